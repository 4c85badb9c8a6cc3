//! Schedules that are due: however many there are, however many workers look at them at once and whatever strikes
//! those, each starts one backup.

mod accounts;
mod many;
mod port_calls;
