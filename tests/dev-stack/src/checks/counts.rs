//! How many tests passed, failed or were ignored.

/// Numbers of single tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// Adds the numbers of a test program's last line, `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    pub(super) fn add(&mut self, output: &str) {
        let Some(line) = output.lines().rev().find(|line| line.starts_with("test result:")) else { return };
        let count = |what: &str| {
            let part = line.split(['.', ';']).map(str::trim).find(|part| part.ends_with(what));
            part.and_then(|part| part.split(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        self.passed += count("passed");
        self.failed += count("failed");
        self.ignored += count("ignored");
    }

    /// As the summary prints them.
    pub(super) fn in_words(self) -> String {
        let Self { passed, failed, ignored } = self;
        let mut words = format!("{passed} tests passed");
        for (count, what) in [(failed, "failed"), (ignored, "ignored")] {
            if count > 0 {
                words.extend([", ", &count.to_string(), " ", what]);
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_test_program_is_counted() {
        let mut counts = Counts::default();
        counts.add(
            "running 4 tests\n\ntest result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; finished in 0.01s\n",
        );
        counts.add("test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured\n");
        assert_eq!(counts, Counts { passed: 7, failed: 1, ignored: 1 });
        assert_eq!(counts.in_words(), "7 tests passed, 1 failed, 1 ignored");
    }
}
