//! Whether the programs of a run are proven; what is not is said aloud.

use crate::table::printable;
use alveary::{Loaded, User, runtime::Trust};
use std::io::{self, Write};

/// What the verifier made of the programs that run in user space.
#[derive(Debug, Default)]
pub(super) struct Proof {
    /// Why the program that is run runs checked, if it does.
    unproven: Option<String>,
    /// A line for each program that runs checked.
    warnings: Vec<String>,
}

impl Proof {
    /// Of everything that was loaded; `run` is what is run.
    pub(super) fn of(loaded: &Loaded<User>, run: &str) -> Proof {
        let mut proof = Proof::default();
        for program in loaded.programs() {
            let name = printable(&program.spec().name);
            let (why, warning) = match program.handle().trust() {
                Trust::Proven(_) => continue,
                Trust::Unverified => (
                    "it was not verified".to_owned(),
                    format!("program `{name}` is unverified: each access is checked"),
                ),
                // Proven all the same: what runs it is not the verifier's affair.
                Trust::NotProven(why) if why.starts_with("it is proven") => {
                    (why.clone(), format!("program `{name}` runs with each access checked: {why}"))
                }
                Trust::NotProven(why) => {
                    (why.clone(), format!("program `{name}` cannot be proven, each access is checked: {why}"))
                }
            };
            proof.warnings.push(format!("warning: {warning}"));
            if *program.spec().name == *run {
                proof.unproven = Some(why);
            }
        }
        proof
    }

    /// Says on stderr what is not proven.
    pub(super) fn warn(&self) {
        for line in &self.warnings {
            // A closed stderr is no reason to stop.
            io::stderr().write_all(format!("{}\n", printable(line)).as_bytes()).ok();
        }
    }

    /// Why the program runs checked, if it does.
    pub(super) fn unproven(&self) -> Option<&str> {
        self.unproven.as_deref()
    }
}
