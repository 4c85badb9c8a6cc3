//! The peak memory of function processes.

use std::collections::BTreeMap;
use std::fs;

use dev_stack::failure::Result;
use dev_stack::stack::Stack;

/// The highest peak of each function's processes so far, in KiB.
#[derive(Debug, Default)]
pub(crate) struct Peaks(BTreeMap<String, u64>);

impl Peaks {
    /// Looks at all processes of all functions. The kernel keeps each one's peak, so looking now and then is enough.
    ///
    /// # Errors
    /// When the processes cannot be listed.
    pub(crate) fn look(&mut self, stack: &Stack) -> Result<()> {
        let processes = dev_stack::process_list::processes()?;
        for (function, code) in &stack.code {
            for process in processes.iter().filter(|process| process.command.contains(code)) {
                let status = fs::read_to_string(format!("/proc/{}/status", process.id)).unwrap_or_default();
                let Some(peak) = peak_of(&status) else { continue };
                let highest = self.0.entry(function.clone()).or_default();
                *highest = peak.max(*highest);
            }
        }
        Ok(())
    }

    /// The highest peak of `function` in MiB, or None when none of its processes was seen.
    pub(crate) fn of(&self, function: &str) -> Option<f64> {
        self.0.get(function).map(|kib| crate::sample::number(*kib) / 1024.0)
    }

    /// All functions that were seen, with their peaks in MiB, highest first.
    pub(crate) fn all(&self) -> Vec<(&str, f64)> {
        let mut all: Vec<_> = self.0.keys().filter_map(|name| Some((name.as_str(), self.of(name)?))).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all
    }
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
}
