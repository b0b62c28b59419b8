//! `alveary map lookup`, `getnext`, `update`, `delete`: one element of a map.

use super::entry::Elements;
use crate::{
    bpftool::{
        bytes,
        json::{Json, Verbatim},
        options::{Options, Shape},
        select, usage,
        words::Words,
    },
    failure::Failure,
    output,
};
use alveary_abi::{
    Errno,
    flags::{BPF_ANY, BPF_EXIST, BPF_NOEXIST},
};
use clap::Args;
use std::os::fd::{AsFd, OwnedFd};

/// Print the element of a key
#[derive(Debug, Args)]
pub(super) struct Lookup {
    /// `id ID`, `name NAME` or `pinned FILE`; then `key DATA`: each byte a word, or `hex` and each byte in hexadecimal
    #[arg(value_name = "MAP key DATA", required = true)]
    words: Vec<String>,
}

impl Lookup {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let (map, given) = Given::read(&self.words, Takes { key: true, value: false })?;
        let key = given.key(&map)?;
        let mut value = vec![0; map.map.value_size()];
        let shape = options.shape(json);
        match map.map.lookup(&key, &mut value, 0) {
            Ok(()) => map.print(&key, &value, shape),
            Err(why) if why.errno() == Errno::ENOENT => {
                output::write(|out| match shape {
                    Shape::Text => writeln!(out, "key:\n{}\n\nNot found", bytes::hex(&key)),
                    Shape::Json { .. } => writeln!(out, "null"),
                })?;
                Err(Failure::Silent)
            }
            Err(why) => Err(why.into()),
        }
    }
}

/// Print the key behind a key, or the first one
#[derive(Debug, Args)]
pub(super) struct GetNext {
    /// `id ID`, `name NAME` or `pinned FILE`; then `key DATA`, unless the first key is wanted
    #[arg(value_name = "MAP [key DATA]", required = true)]
    words: Vec<String>,
}

impl GetNext {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let (map, given) = Given::read(&self.words, Takes { key: true, value: false })?;
        let mut next = vec![0; map.map.key_size()];
        map.map.next_key(given.key.as_deref(), &mut next)?;
        output::write(|out| match options.shape(json) {
            Shape::Text => {
                match &given.key {
                    Some(key) => writeln!(out, "key:\n{}", bytes::hex(key))?,
                    None => writeln!(out, "key: None")?,
                }
                writeln!(out, "next key:\n{}", bytes::hex(&next))
            }
            Shape::Json { pretty } => {
                Json::new(&mut *out, pretty).object(|json| {
                    json.name("key")?;
                    match &given.key {
                        Some(key) => bytes::json(key, json)?,
                        None => json.value(Verbatim(format_args!("null")))?,
                    }
                    json.name("next_key")?;
                    bytes::json(&next, json)
                })?;
                writeln!(out)
            }
        })
    }
}

/// Set an element
#[derive(Debug, Args)]
pub(super) struct Update {
    /// `id ID`, `name NAME` or `pinned FILE`; then `key DATA`, `value DATA` and `any`, `exist` or `noexist`
    ///
    /// DATA is bytes, each a word, or `hex` and bytes in hexadecimal. A map of programs or of maps takes one, named
    /// as `prog show` or `map show` takes it.
    #[arg(value_name = "MAP key DATA value DATA", required = true)]
    words: Vec<String>,
}

impl Update {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let (map, given) = Given::read(&self.words, Takes { key: true, value: true })?;
        let key = given.key(&map)?;
        match &given.value {
            Some(Value::Bytes(value)) => map.map.update(&key, &map.for_all_cpus(value), given.flags)?,
            Some(Value::Object(fd)) => map.map.update_fd(&key, fd.as_fd(), given.flags)?,
            None => return Err(usage("there is no value").expected("`value DATA`").into()),
        }
        options.shape(json).done()
    }
}

/// Take an element out
#[derive(Debug, Args)]
pub(super) struct Delete {
    /// `id ID`, `name NAME` or `pinned FILE`; then `key DATA`
    #[arg(value_name = "MAP key DATA", required = true)]
    words: Vec<String>,
}

impl Delete {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let (map, given) = Given::read(&self.words, Takes { key: true, value: false })?;
        map.map.delete(&given.key(&map)?)?;
        options.shape(json).done()
    }
}

/// What can stand behind a map.
#[derive(Clone, Copy)]
pub(super) struct Takes {
    pub(super) key: bool,
    pub(super) value: bool,
}

/// The element that the words behind a map say.
pub(super) struct Given {
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Value>,
    pub(super) flags: u64,
}

/// A value, or what stands in its place in maps of objects.
pub(super) enum Value {
    Bytes(Vec<u8>),
    Object(OwnedFd),
}

impl Given {
    /// Reads a map and what follows it.
    pub(super) fn read(words: &[String], takes: Takes) -> Result<(Elements, Given), Failure> {
        let mut words = Words::new(words);
        let map = Elements::of(select::map(&mut words)?)?;
        let mut given = Given { key: None, value: None, flags: BPF_ANY };
        let mut flags = None;
        while !words.is_empty() {
            if takes.key && given.key.is_none() && words.is("key") {
                given.key = Some(bytes::take(&mut words, "key", map.map.key_size())?);
            } else if takes.value && given.value.is_none() && words.is("value") {
                given.value = Some(value(&map, &mut words)?);
            } else if takes.value && flags.is_none() && words.is("any") {
                flags = Some(BPF_ANY);
            } else if takes.value && flags.is_none() && words.is("noexist") {
                flags = Some(BPF_NOEXIST);
            } else if takes.value && flags.is_none() && words.is("exist") {
                flags = Some(BPF_EXIST);
            } else {
                return Err(words.unexpected(match takes {
                    Takes { value: false, .. } => "`key DATA`, once",
                    Takes { key: true, .. } => "`key DATA`, `value DATA` and `any`, `exist` or `noexist`, each once",
                    Takes { .. } => "`value DATA` and `any`, `exist` or `noexist`, each once",
                }));
            }
        }
        given.flags = flags.unwrap_or(BPF_ANY);
        Ok((map, given))
    }

    /// The key, which must be there unless the map has none.
    fn key(&self, map: &Elements) -> Result<Vec<u8>, Failure> {
        match &self.key {
            Some(key) => Ok(key.clone()),
            None if map.map.key_size() == 0 => Ok(Vec::new()),
            None => {
                Err(usage("there is no key").expected(format!("`key DATA` with {} bytes", map.map.key_size())).into())
            }
        }
    }
}

fn value(map: &Elements, words: &mut Words<'_>) -> Result<Value, Failure> {
    Ok(if map.holds_maps() {
        Value::Object(select::map(words)?)
    } else if map.holds_programs() {
        Value::Object(select::prog(words)?)
    } else {
        Value::Bytes(bytes::take(words, "value", map.info.value_size as usize)?)
    })
}
