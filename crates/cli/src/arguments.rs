//! The command line: the verbs, and what a wrong one gets. What a verb takes is written in the verb's own file.

use crate::{error, failure::Failure, verb};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Exit code of a command line that makes no sense.
const USAGE: u8 = 2;

/// eBPF in one command: check and run programs in user space, load and look after them in the kernel
#[derive(Debug, Parser)]
#[command(name = "alveary", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) verb: Verb,

    /// Print results and errors as JSON
    ///
    /// Results are one JSON object on stdout, errors one JSON object on stderr.
    // The same place in every verb's help, however many verbs there are.
    #[arg(long, global = true, display_order = 1000)]
    pub(crate) json: bool,
}

/// What can be done
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Run(Box<verb::run::Run>),
    Load(verb::load::Load),
    Check(verb::check::Check),
    Show(verb::show::Show),
    Disasm(verb::disasm::Disasm),
    Asm(verb::asm::Asm),
    Btf(verb::btf::Btf),
    Attach(Box<verb::attach::Attach>),
    Detach(verb::detach::Detach),
    Prog(verb::prog::Prog),
    Map(verb::map::Map),
    Link(verb::link::Link),
    Net(verb::net::Net),
    Cgroup(verb::cgroup::Cgroup),
    Perf(verb::perf::Perf),
    Iter(verb::iter::Iter),
    Feature(verb::feature::Feature),
    Batch(verb::batch::Batch),
    #[command(name = "gen")]
    Generate(verb::generate::Generate),
    Completions(verb::completions::Completions),
    Man(verb::man::Man),
}

impl Verb {
    /// Does it.
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        match self {
            Verb::Run(verb) => verb.run(json),
            Verb::Load(verb) => verb.run(json),
            Verb::Check(verb) => verb.run(json),
            Verb::Show(verb) => verb.run(json),
            Verb::Disasm(verb) => verb.run(json),
            Verb::Asm(verb) => verb.run(json),
            Verb::Btf(verb) => verb.run(json),
            Verb::Attach(verb) => verb.run(json),
            Verb::Detach(verb) => verb.run(json),
            Verb::Prog(verb) => verb.run(json),
            Verb::Map(verb) => verb.run(json),
            Verb::Link(verb) => verb.run(json),
            Verb::Net(verb) => verb.run(json),
            Verb::Cgroup(verb) => verb.run(json),
            Verb::Perf(verb) => verb.run(json),
            Verb::Iter(verb) => verb.run(json),
            Verb::Feature(verb) => verb.run(json),
            Verb::Batch(verb) => verb.run(json),
            Verb::Generate(verb) => verb.run(json),
            Verb::Completions(verb) => verb.run(),
            Verb::Man(verb) => verb.run(),
        }
    }
}

/// Prints help, the version, or what is wrong with the command line; gives the exit code.
pub(crate) fn report(usage: &clap::Error, json: bool) -> ExitCode {
    if usage.use_stderr() && json {
        error::report_usage(&usage.to_string());
    } else {
        // Whoever closed the terminal under us does not read the error either.
        usage.print().ok();
    }
    if usage.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_verb_shows_an_example() {
        for verb in Arguments::command().get_subcommands() {
            let after =
                verb.get_after_long_help().or(verb.get_after_help()).map(ToString::to_string).unwrap_or_default();
            assert!(after.contains("alveary "), "`alveary {} --help` ends without an example", verb.get_name());
        }
    }

    #[test]
    fn every_option_is_explained() {
        let mut command = Arguments::command();
        command.build();
        for verb in command.get_subcommands() {
            for arg in verb.get_arguments() {
                assert!(arg.get_help().is_some(), "{} of {} has no help", arg.get_id(), verb.get_name());
            }
        }
    }
}
