//! What the `alveary` binary does: arguments in, text out. The only crate that prints.
//!
//! Each verb is one file under `verb/`; what they share stands beside it. Nothing in here knows how a program is
//! read, run or disassembled: that is the libraries' work.

#![forbid(unsafe_code)]

mod arguments;
mod bpftool;
mod classic;
mod error;
mod failure;
mod files;
#[cfg(test)]
#[path = "../tests/support/golden.rs"]
mod golden;
mod inspect;
mod kernel;
mod machine;
mod names;
mod output;
#[macro_use]
mod packed;
mod progress;
mod several;
mod table;
mod terminal;
mod types;
mod verb;

use arguments::Arguments;
use bpftool::command_line;
use failure::Failure;
use std::process::ExitCode;

/// Exit code of a run that failed; clap's usage errors are 2.
const FAILED: u8 = 1;

/// Does what the command line says.
pub fn main() -> ExitCode {
    let line = command_line::ours(std::env::args_os());
    let json = line.iter().any(|word| word == "--json") || command_line::asks_json(&line);
    let arguments = match Arguments::read(&line) {
        Ok(arguments) => arguments,
        Err(usage) => return arguments::report(&usage, json),
    };
    match arguments.verb.run(arguments.json) {
        Ok(()) | Err(Failure::ReaderGone) => ExitCode::SUCCESS,
        Err(failure) => {
            error::report(&failure, json);
            ExitCode::from(FAILED)
        }
    }
}
