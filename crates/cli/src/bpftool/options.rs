//! The options that bpftool takes before its verb, and where output goes: text, or JSON on one line or on many.

use super::json::Json;
use crate::{failure::Failure, output};
use clap::Args;
use std::io::{self, Write};

/// How objects of the kernel are shown
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Options {
    /// Print JSON, on one line
    #[arg(short = 'j', global = true)]
    compact: bool,

    /// Print JSON for people to read
    #[arg(short = 'p', long, global = true)]
    pretty: bool,

    /// Show where objects are pinned
    #[arg(short = 'f', long = "bpffs", global = true)]
    pub(crate) pinned: bool,

    /// Never mount a BPF file system to pin in
    #[arg(short = 'n', long, global = true)]
    pub(crate) nomount: bool,
}

impl Options {
    /// The shape of the output; `json` is `--json`.
    pub(crate) fn shape(self, json: bool) -> Shape {
        match (self.pretty, json || self.compact) {
            (true, _) => Shape::Json { pretty: true },
            (false, true) => Shape::Json { pretty: false },
            (false, false) => Shape::Text,
        }
    }
}

/// The shape of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Text,
    Json { pretty: bool },
}

impl Shape {
    /// Writes a list of things one by one, each as text or as JSON; `alone` is an only thing that was asked for: no list.
    pub(crate) fn each<T>(
        self,
        things: impl IntoIterator<Item = Result<T, Failure>>,
        alone: bool,
        text: impl Fn(&T, &mut dyn Write) -> io::Result<()>,
        json: impl Fn(&T, &mut Json<'_>) -> io::Result<()>,
    ) -> Result<(), Failure> {
        // What is wrong with one thing is said behind those that were shown: the output stays whole.
        let mut wrong = None;
        let mut things = things.into_iter().map_while(|thing| thing.map_err(|why| wrong = Some(why)).ok());
        match self {
            Shape::Text => output::bare(|out| things.try_for_each(|thing| text(&thing, out)))?,
            Shape::Json { pretty } => output::bare(|out| {
                let mut writer = Json::new(out, pretty);
                let mut all = |writer: &mut Json<'_>| things.try_for_each(|thing| json(&thing, writer));
                if alone {
                    all(&mut writer)?
                } else {
                    writer.array(all)?
                }
                writeln!(out)
            })?,
        }
        wrong.map_or(Ok(()), Err)
    }

    /// Says that it is done: nothing in text, `null` in JSON, as bpftool does.
    pub(crate) fn done(self) -> Result<(), Failure> {
        match self {
            Shape::Text => Ok(()),
            Shape::Json { .. } => output::bare(|out| writeln!(out, "null")),
        }
    }
}
