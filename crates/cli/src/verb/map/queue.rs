//! `alveary map push`, `pop`, `peek` (and `enqueue`, `dequeue`): queues and stacks.

use super::element::{Given, Takes, Value};
use crate::{
    bpftool::{
        options::{Options, Shape},
        usage,
    },
    failure::Failure,
    output,
};
use alveary_abi::Errno;
use clap::Args;

/// Put a value into a queue or onto a stack
#[derive(Debug, Args)]
pub(super) struct Push {
    /// `id ID`, `name NAME` or `pinned FILE`; then `value DATA`
    #[arg(value_name = "MAP value DATA", required = true)]
    words: Vec<String>,
}

impl Push {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let (map, given) = Given::read(&self.words, Takes { key: false, value: true })?;
        match given.value {
            Some(Value::Bytes(value)) => map.map.update(&[], &value, given.flags)?,
            _ => return Err(usage("there is no value").expected("`value DATA`").into()),
        }
        options.shape(json).done()
    }
}

/// Take the next value out of a queue or off a stack
#[derive(Debug, Args)]
pub(super) struct Pop {
    /// `id ID`, `name NAME` or `pinned FILE`
    #[arg(value_name = "MAP", required = true)]
    words: Vec<String>,
}

impl Pop {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let (map, _) = Given::read(&self.words, Takes { key: false, value: false })?;
        let shape = options.shape(json);
        let mut value = vec![0; map.map.value_size()];
        match map.map.take(&[], &mut value, 0) {
            Ok(()) => map.print(&[], &value, shape),
            Err(why) if why.errno() == Errno::ENOENT => {
                output::write(|out| match shape {
                    Shape::Text => writeln!(out, "Error: empty map"),
                    Shape::Json { .. } => writeln!(out, "null"),
                })?;
                Err(Failure::Silent)
            }
            Err(why) => Err(why.into()),
        }
    }
}
