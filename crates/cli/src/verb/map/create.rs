//! `alveary map create`, `pin`, `freeze`: maps made, named and locked.

use crate::{
    bpftool::{device, mounts, options::Options, pins, select, usage, words::Words},
    failure::Failure,
};
use alveary_abi::{Errno, Profile};
use alveary_diag::did_you_mean;
use alveary_linux::sys::{self, Map, MapCreate, PathFlags};
use clap::Args;
use std::{
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

/// Make a map and pin it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary map create /sys/fs/bpf/seen type lru_hash key 4 value 8 entries 1024 name seen
  alveary map create /sys/fs/bpf/shards type array_of_maps key 4 value 4 entries 8 name shards inner_map name shard")]
pub(super) struct Create {
    /// A path in a BPF file system; then `type TYPE`, `key BYTES`, `value BYTES`, `entries N`, `name NAME`, and what is
    /// wanted of `flags N`, `inner_map MAP`, `offload_dev DEVICE`
    #[arg(value_name = "FILE type TYPE …", required = true)]
    words: Vec<String>,
}

impl Create {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        let path = words.must("a path in a BPF file system")?;
        let (mut map, mut name, mut inner) = (MapCreate::default(), None, None::<OwnedFd>);
        let (mut ty, mut device) = (None, None);
        while !words.is_empty() {
            // In bpftool's order, which decides what a short word means.
            if words.is("type") {
                ty = Some(map_type(words.must("a type of maps")?)?);
            } else if words.is("name") {
                name = Some(words.must("a name")?);
            } else if words.is("key") {
                map.key_size = words.number("the size of a key")?;
            } else if words.is("value") {
                map.value_size = words.number("the size of a value")?;
            } else if words.is("entries") {
                map.max_entries = words.number("a number of entries")?;
            } else if words.is("flags") {
                map.map_flags = words.number("flags")?;
            } else if words.is("dev") || words.is("offload_dev") {
                let name = words.must("a network device")?;
                (map.ifindex, device) = (device::named(name)?, Some(name));
            } else if words.is("inner_map") {
                inner = Some(select::map(&mut words)?);
            } else {
                return Err(words.unexpected(
                    "`type`, `name`, `key`, `value`, `entries`, `flags`, `inner_map` or `offload_dev`, and its value",
                ));
            }
        }
        map.map_type = ty.ok_or_else(|| usage("the map has no type").expected("`type TYPE`"))?;
        map.name = name.ok_or_else(|| usage("the map has no name").expected("`name NAME`"))?;
        let token = mounts::token()?;
        let (inner_map, token) = (inner.as_ref().map(AsFd::as_fd), token.as_ref().map(AsFd::as_fd));
        let made = MapCreate { inner_map, token, ..map }.create().map_err(|why| match device {
            Some(device) if matches!(why.errno(), Errno::EINVAL | Errno::EOPNOTSUPP) => {
                why.diagnostic().expected("a device whose driver keeps maps").found(format!("`{device}`"))
            }
            _ => why.diagnostic(),
        })?;
        let path = Path::new(path);
        pins::pin(path, options.nomount, || sys::obj_pin(made.as_fd(), path, PathFlags::default()))?;
        options.shape(json).done()
    }
}

/// The number of a type of maps that has this name.
pub(super) fn map_type(name: &str) -> Result<u32, Failure> {
    let profile = Profile::linux_6_18();
    if let Some(row) = profile.map_type_named(name) {
        return Ok(row.ty.0);
    }
    let why = usage(format!("`{name}` is no type of maps"));
    let near = did_you_mean(name, profile.tables().map_types.iter().map(|row| row.name));
    Err(match near {
        Some(near) => why.help(format!("did you mean `{near}`?")),
        None => why.help("`alveary feature list_builtins map_types` shows them"),
    }
    .into())
}

/// Keep a map under a name in a BPF file system
#[derive(Debug, Args)]
pub(super) struct Pin {
    /// `id ID`, `name NAME` or `pinned FILE`; then the path
    #[arg(value_name = "MAP FILE", required = true)]
    words: Vec<String>,
}

impl Pin {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        let map = select::map(&mut words)?;
        let path = words.must("a path in a BPF file system")?;
        words.end()?;
        let path = Path::new(path);
        pins::pin(path, options.nomount, || sys::obj_pin(map.as_fd(), path, PathFlags::default()))?;
        options.shape(json).done()
    }
}

/// Have user space no longer change a map; programs still can
#[derive(Debug, Args)]
pub(super) struct Freeze {
    /// `id ID`, `name NAME` or `pinned FILE`
    #[arg(value_name = "MAP", required = true)]
    words: Vec<String>,
}

impl Freeze {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        let map = select::map(&mut words)?;
        words.end()?;
        Map::from_fd(map)?.freeze()?;
        options.shape(json).done()
    }
}
