//! What became of tests and steps.

use crate::Outcome;

/// What passed, failed and was skipped.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    /// A line on each failure.
    pub(crate) failures: Vec<String>,
    /// A line on each thing that was skipped, with its reason.
    pub(crate) skips: Vec<String>,
    /// What else a person should know; not counted.
    pub(crate) notes: Vec<String>,
}

impl Tally {
    /// One check.
    pub(crate) fn of(what: &str, outcome: Outcome) -> Self {
        match outcome {
            Ok(()) => Tally { passed: 1, ..Tally::default() },
            Err(message) => {
                eprintln!("{message}");
                Tally { failures: vec![format!("{what}: {message}")], ..Tally::default() }
            }
        }
    }

    /// One check that could not be made.
    pub(crate) fn skipped(what: &str, reason: &str) -> Self {
        println!("SKIP {what}: {reason}");
        Tally { skips: vec![format!("{what}: {reason}")], ..Tally::default() }
    }

    /// No check, only remarks.
    pub(crate) fn noting(notes: Vec<String>) -> Self {
        Tally { notes, ..Tally::default() }
    }

    pub(crate) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failures.extend(other.failures);
        self.skips.extend(other.skips);
        self.notes.extend(other.notes);
    }

    pub(crate) fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }

    /// `N passed, N failed, N skipped`.
    pub(crate) fn counts(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failures.len(), self.skips.len())
    }

    /// Prints a line on all that did not simply pass.
    pub(crate) fn list(&self) {
        for (word, lines) in [("NOTE", &self.notes), ("SKIP", &self.skips), ("FAIL", &self.failures)] {
            for line in lines {
                println!("{word} {line}");
            }
        }
    }
}
