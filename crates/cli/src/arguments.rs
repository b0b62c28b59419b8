//! The command line: the verbs, and what a wrong one gets. What a verb takes is written in the verb's own file.

use crate::{error, failure::Failure, verb};
use clap::{Arg, ArgAction, Args, Command, FromArgMatches, Subcommand};
use std::{ffi::OsString, process::ExitCode};

/// Exit code of a command line that makes no sense.
const USAGE: u8 = 2;

/// What a command line asks for.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) verb: Verb,
    pub(crate) json: bool,
}

impl Arguments {
    /// Every verb, with all that it takes.
    pub(crate) fn command() -> Command {
        Verb::augment_subcommands(root())
    }

    /// Reads a command line, the binary's name in front.
    pub(crate) fn read(line: &[OsString]) -> Result<Arguments, clap::Error> {
        // The parser learns only what the verb takes that is meant: to learn of all of them takes longer than most run.
        let verb = line.get(1).and_then(|word| word.to_str()).and_then(Verb::named);
        let command = verb.map_or_else(Arguments::command, |only| root().subcommand(only));
        let matches = command.try_get_matches_from(line)?;
        Ok(Arguments { verb: Verb::from_arg_matches(&matches)?, json: matches.get_flag(JSON) })
    }
}

const JSON: &str = "json";

/// The command line without its verbs.
fn root() -> Command {
    let json = Arg::new(JSON)
        .long("json")
        .global(true)
        .action(ArgAction::SetTrue)
        .help("Print results and errors as JSON")
        .long_help(
            "Print results and errors as JSON\n\nResults are one JSON object on stdout, errors one JSON object on stderr.",
        )
        // The same place in every verb's help, however many verbs there are.
        .display_order(1000);
    Command::new("alveary")
        .about("eBPF in one command: check and run programs in user space, load and look after them in the kernel")
        .version(env!("CARGO_PKG_VERSION"))
        .max_term_width(100)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(json)
}

macro_rules! verbs {
    ($($name:literal: $verb:ident($takes:ty),)*) => {
        // What can be done. (The parser would take a comment for what the binary is.)
        #[derive(Debug, Subcommand)]
        pub(crate) enum Verb {
            $(#[command(name = $name)] $verb(Box<$takes>),)*
        }

        impl Verb {
            /// What the verb of this name takes.
            fn named(name: &str) -> Option<Command> {
                match name {
                    $($name => Some(<$takes>::augment_args(Command::new($name))),)*
                    _ => None,
                }
            }

            /// Does it.
            pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
                match self {
                    $(Verb::$verb(verb) => verb.run(json),)*
                }
            }
        }
    };
}

verbs! {
    "run": Run(verb::run::Run),
    "load": Load(verb::load::Load),
    "check": Check(verb::check::Check),
    "show": Show(verb::show::Show),
    "disasm": Disasm(verb::disasm::Disasm),
    "compile": Compile(verb::compile::Compile),
    "asm": Asm(verb::asm::Asm),
    "btf": Btf(verb::btf::Btf),
    "attach": Attach(verb::attach::Attach),
    "detach": Detach(verb::detach::Detach),
    "prog": Prog(verb::prog::Prog),
    "map": Map(verb::map::Map),
    "link": Link(verb::link::Link),
    "net": Net(verb::net::Net),
    "srv6": Srv6(verb::srv6::Srv6),
    "lb": Lb(verb::lb::Lb),
    "cgroup": Cgroup(verb::cgroup::Cgroup),
    "perf": Perf(verb::perf::Perf),
    "struct_ops": StructOps(verb::struct_ops::StructOps),
    "token": Token(verb::token::Token),
    "iter": Iter(verb::iter::Iter),
    "feature": Feature(verb::feature::Feature),
    "batch": Batch(verb::batch::Batch),
    "gen": Generate(verb::generate::Generate),
    "completions": Completions(verb::completions::Completions),
    "man": Man(verb::man::Man),
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

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_verb_takes_the_same_alone_as_among_all() {
        let mut all = Arguments::command();
        for verb in all.get_subcommands_mut() {
            let mut alone = Verb::named(verb.get_name()).expect("every verb is in the table");
            assert_eq!(alone.render_long_help().to_string(), verb.render_long_help().to_string());
        }
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
