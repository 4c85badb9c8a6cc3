//! Due schedules: each starts one backup, with any number of schedules and workers and with any fault.

mod accounts;
mod many;
mod port_calls;
