//! The project's own commands: `cargo xtask COMMAND`.
//!
//! Holds what a person or CI does with the repository as a whole. No crate of the workspace depends on it.

mod agree;
mod bench;
mod bpf;
mod capture;
mod conformance;
mod differential;
mod dist;
mod fuzz;
mod libbpf;
mod linked;
mod packages;
mod peers;
mod process;
mod sound;
mod test;
mod vm;

use std::process::ExitCode;

/// What a command ends with: nothing, or the sentence that says what went wrong.
type Outcome = Result<(), String>;

struct Command {
    name: &'static str,
    help: &'static str,
    run: fn(&[String]) -> Outcome,
}

const COMMANDS: &[Command] = &[
    Command { name: "test", help: "[--full] everything that must hold before a change is taken", run: test::run },
    Command { name: "bench", help: "[--peers] the figures of docs/performance.md", run: bench::measure_all },
    Command { name: "fuzz", help: "[--seconds N] [TARGET…] run the fuzz targets", run: fuzz::run_targets },
    Command {
        name: "dist",
        help: "[--order] static binary, manual pages, completions, libalveary, in dist/",
        run: dist::make,
    },
    Command {
        name: "bpf",
        help: "[--check] compile bpf/ into examples/, or compare with what is there",
        run: bpf::run,
    },
    Command {
        name: "libbpf",
        help: "[--time | OBJECT…] instructions as Alveary and as libbpf resolves them, compared (root)",
        run: libbpf::compare,
    },
    Command {
        name: "differential",
        help: "[--pcap IN] [--map PRESET]… [OBJECT…] every program on user and on linux, over the same packets, compared (root)",
        run: differential::compare,
    },
    Command {
        name: "agree",
        help: "DIR… verify objects with this kernel and with ours, and compare (root)",
        run: agree::run,
    },
    Command {
        name: "conformance",
        help: "DIR the cases of the public suite, of which DIR is a clone, by each engine",
        run: conformance::run,
    },
    Command { name: "mutate", help: "DIR… the same with mutants of the programs (root)", run: agree::mutate },
    Command {
        name: "sound",
        help: "[--count N] [--seed N] [--kernel] [--engines] generated programs: what is accepted runs without a trap",
        run: sound::run,
    },
    Command { name: "vm", help: "--kernel VERSION -- COMMAND… run it under another kernel", run: vm::run },
    Command { name: "attach-table", help: "the table of docs/linux.md, on every kernel (root)", run: vm::write_table },
    Command { name: "capture", help: "record examples/traffic.pcap (root)", run: capture::run },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = arguments.first().map_or("", String::as_str);
    let Some(command) = COMMANDS.iter().find(|command| command.name == wanted) else {
        eprintln!("usage: cargo xtask COMMAND\n");
        for command in COMMANDS {
            eprintln!("  {:12} {}", command.name, command.help);
        }
        return ExitCode::from(2);
    };
    match (command.run)(&arguments[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask {}: {message}", command.name);
            ExitCode::FAILURE
        }
    }
}
