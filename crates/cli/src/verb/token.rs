//! `alveary token`: what BPF file systems delegate to processes without privileges.

use crate::{
    bpftool::{json::Json, mounts, options::Options},
    failure::Failure,
};
use clap::{Args, Subcommand};
use std::{
    io::{self, Write},
    path::PathBuf,
};

/// Show what BPF file systems delegate to processes without privileges
///
/// A file system that was mounted with delegate_cmds, delegate_maps, delegate_progs or delegate_attachs gives tokens to
/// the processes of its user namespace. `prog load` and `map create` use one of that in LIBBPF_BPF_TOKEN_PATH, if that is
/// set, as libbpf does.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary token list
  LIBBPF_BPF_TOKEN_PATH=/run/bpf alveary prog load count.bpf.o /run/bpf/count")]
pub(crate) struct Token {
    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the file systems that delegate something, and what
    #[command(visible_alias = "list")]
    Show,
}

impl Token {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        let Action::Show = self.action;
        let all: Vec<Delegation> = mounts::bpf().filter_map(Delegation::of).collect();
        self.options.shape(json).each(all.iter().map(Ok), false, |one, out| one.text(out), |one, json| one.json(json))
    }
}

/// A file system that delegates something.
struct Delegation {
    path: PathBuf,
    /// For each of [`KINDS`] the names.
    allowed: [Vec<String>; 4],
}

/// What is delegated: the mount's option, and what it is called.
const KINDS: [(&str, &str); 4] = [
    ("delegate_cmds", "allowed_cmds"),
    ("delegate_maps", "allowed_maps"),
    ("delegate_progs", "allowed_progs"),
    ("delegate_attachs", "allowed_attachs"),
];
/// Names on one line.
const ON_LINE: usize = 4;

impl Delegation {
    fn of(mount: mounts::Mount) -> Option<Delegation> {
        let allowed = KINDS.map(|(option, _)| {
            let value = mount.options.split(',').find_map(|one| one.strip_prefix(option)?.strip_prefix('='));
            value.into_iter().flat_map(|names| names.split(':')).map(str::to_owned).collect::<Vec<_>>()
        });
        allowed.iter().any(|names| !names.is_empty()).then_some(Delegation { path: mount.path, allowed })
    }

    fn json(&self, json: &mut Json<'_>) -> io::Result<()> {
        json.object(|json| {
            json.field("token_info", &self.path.display().to_string())?;
            KINDS.iter().zip(&self.allowed).try_for_each(|((_, name), allowed)| json.list(name, allowed))
        })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "token_info  {}", self.path.display())?;
        for ((_, name), allowed) in KINDS.iter().zip(&self.allowed) {
            writeln!(out, "\t{name}:")?;
            for line in allowed.chunks(ON_LINE) {
                let names: String = line.iter().map(|name| format!("{name:<20}")).collect();
                writeln!(out, "\t  {names}")?;
            }
        }
        Ok(())
    }
}
