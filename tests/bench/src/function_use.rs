//! Memory and processor time of the processes of functions.

use std::collections::BTreeMap;
use std::fs;

use dev_stack::failure::Result;
use dev_stack::stack::Stack;

use crate::figure::Figure;

/// What the processes of functions have used so far.
#[derive(Debug, Default)]
pub(crate) struct FunctionUse {
    /// The highest peak of each function's processes, in KiB.
    peaks: BTreeMap<String, u64>,
    /// The processor time of each process, in ticks.
    ticks: BTreeMap<i32, u64>,
}

/// Ticks of Linux's process times in a second (`USER_HZ`), the same on all of its platforms in use.
const TICKS: f64 = 100.0;
/// The most of a function's memory that it should need, in percent.
const MOST_MEMORY: f64 = 60.0;
/// The memory of functions in the template, in MiB.
const MEMORY: f64 = 256.0;
/// The function with more: a batch of values of 64 kB needs it.
const MORE_MEMORY: (&str, f64) = ("restore-chunk", 320.0);

impl FunctionUse {
    /// Looks at all processes of all functions. The kernel keeps the peak and the time of each one until it ends, and
    /// the emulator keeps them for the next invocation, so looking now and then is enough.
    ///
    /// # Errors
    /// When the processes cannot be listed.
    pub(crate) fn look(&mut self, stack: &Stack) -> Result<()> {
        let processes = dev_stack::process_list::processes()?;
        for (function, code) in &stack.code {
            for process in processes.iter().filter(|process| process.command.contains(code)) {
                let status = fs::read_to_string(format!("/proc/{}/status", process.id)).unwrap_or_default();
                let Some(peak) = peak_of(&status) else { continue };
                let highest = self.peaks.entry(function.clone()).or_default();
                *highest = peak.max(*highest);
                let times = fs::read_to_string(format!("/proc/{}/stat", process.id)).unwrap_or_default();
                if let Some(ticks) = ticks_of(&times) {
                    self.ticks.insert(process.id, ticks);
                }
            }
        }
        Ok(())
    }

    /// The highest peak of `function` in MiB, or None when none of its processes was seen.
    pub(crate) fn of(&self, function: &str) -> Option<f64> {
        self.peaks.get(function).map(|kib| crate::sample::number(*kib) / 1024.0)
    }

    /// Adds what was seen elsewhere.
    pub(crate) fn add(&mut self, other: &Self) {
        for (function, peak) in &other.peaks {
            let highest = self.peaks.entry(function.clone()).or_default();
            *highest = (*highest).max(*peak);
        }
        for (process, ticks) in &other.ticks {
            let latest = self.ticks.entry(*process).or_default();
            *latest = (*latest).max(*ticks);
        }
    }

    /// Processor time of all functions together, in seconds.
    pub(crate) fn processor_seconds(&self) -> f64 {
        crate::sample::number(self.ticks.values().sum()) / TICKS
    }

    /// The peaks as figures of the benchmark `name`.
    pub(crate) fn memory(&self, name: &str) -> Vec<Figure> {
        let figure = |(function, peak): (&str, f64)| {
            let has = if function == MORE_MEMORY.0 { MORE_MEMORY.1 } else { MEMORY };
            let how = format!("highest VmHWM of all its processes; the function has {has} MiB");
            Figure::new(format!("{name}: memory of {function}"), peak, "MiB", how).at_most(has * MOST_MEMORY / 100.0)
        };
        self.all().into_iter().map(figure).collect()
    }

    /// All functions that were seen, with their peaks in MiB, highest first.
    pub(crate) fn all(&self) -> Vec<(&str, f64)> {
        let mut all: Vec<_> = self.peaks.keys().filter_map(|name| Some((name.as_str(), self.of(name)?))).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all
    }
}

/// Time in user and kernel mode of a process's `stat` file: the 14th and the 15th field. The second is the command in
/// parentheses and may have spaces.
fn ticks_of(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    Some(times.next()?.ok()? + times.next()?.ok()?)
}

/// `VmHWM` of a process's status file, in KiB.
fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_as_the_kernel_writes_it() {
        assert_eq!(peak_of("VmPeak:\t  9 kB\nVmHWM:\t   12345 kB\nVmRSS:\t 3 kB\n"), Some(12_345));
        assert_eq!(peak_of("Name:\tx\n"), None);
    }

    #[test]
    fn processor_time_is_that_in_user_and_kernel_mode() {
        assert_eq!(ticks_of("17 (a b) S 1 2 3 4 5 6 7 8 9 10 250 40 0 0 20"), Some(290));
        assert_eq!(ticks_of("17 (a"), None);
    }
}
