//! The `alveary` binary: what it does is in `src/`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    alveary_commands::main()
}
