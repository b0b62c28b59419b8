//! `alveary map show`: what the kernel tells about its maps.

use crate::{
    bpftool::{device::Bound, json::Json, options::Options, owners::Owners, select, words::Words},
    failure::Failure,
};
use alveary_abi::{MapType, Profile, ProgType};
use alveary_linux::sys::{self, MapInfo, Object};
use clap::Args;
use std::{
    io::{self, Write},
    os::fd::{AsFd, OwnedFd},
};

/// Show maps: all, or those that the words name
#[derive(Debug, Args)]
pub(super) struct Show {
    /// `id ID`, `name NAME` or `pinned FILE`
    #[arg(value_name = "MAP")]
    words: Vec<String>,
}

impl Show {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let shape = options.shape(json);
        let mut words = Words::new(&self.words);
        let owners = Owners::of(Object::Map, options.pinned);
        let profile = Profile::linux_6_18();
        let text = |seen: &Seen, out: &mut dyn Write| seen.text(&owners, &profile, out);
        let json = |seen: &Seen, json: &mut Json<'_>| seen.json(&owners, &profile, json);
        if words.is_empty() {
            return shape.each(select::all(Object::Map).map(|fd| Seen::of(&fd?, &owners)), false, text, json);
        }
        let found = select::maps(&mut words)?;
        words.end()?;
        shape.each(found.iter().map(|fd| Seen::of(fd, &owners)), found.len() == 1, text, json)
    }
}

/// A map as it is shown.
struct Seen {
    info: MapInfo,
    memlock: Option<u64>,
    frozen: u64,
    /// Which programs a prog array takes: their type, whether they are native code.
    owner: (Option<ProgType>, Option<bool>),
}

impl Seen {
    fn of(fd: &OwnedFd, owners: &Owners) -> Result<Seen, Failure> {
        let info = sys::map_info(fd.as_fd())?;
        let told = owners.info(info.id, fd.as_fd());
        let owner = match info.ty {
            MapType::PROG_ARRAY => (
                told.number("owner_prog_type").map(|ty| ProgType(ty as u32)),
                told.number("owner_jited").map(|jited| jited != 0),
            ),
            _ => (None, None),
        };
        Ok(Seen { info, memlock: told.number("memlock"), frozen: told.number("frozen").unwrap_or(0), owner })
    }

    fn json(&self, owners: &Owners, profile: &Profile, json: &mut Json<'_>) -> io::Result<()> {
        let info = &self.info;
        json.object(|json| {
            json.field("id", info.id)?;
            match profile.map_type(info.ty) {
                Some(row) => json.field("type", row.name)?,
                None => json.field("type", info.ty.0)?,
            }
            if !info.name.is_empty() {
                json.field("name", &info.name)?;
            }
            json.field("flags", info.map_flags as i32)?;
            if let Some(device) = Bound::of(info.ifindex, info.netns_dev, info.netns_ino) {
                device.json(json)?;
            }
            json.field("bytes_key", info.key_size)?;
            json.field("bytes_value", info.value_size)?;
            json.field("max_entries", info.max_entries)?;
            if let Some(bytes) = self.memlock {
                json.field("bytes_memlock", bytes)?;
            }
            if let Some(ty) = self.owner.0 {
                match profile.prog_type(ty) {
                    Some(row) => json.field("owner_prog_type", row.name)?,
                    None => json.field("owner_prog_type", ty.0)?,
                }
            }
            if let Some(jited) = self.owner.1 {
                json.field("owner_jited", jited)?;
            }
            json.field("frozen", self.frozen)?;
            if info.btf_id > 0 {
                json.field("btf_id", info.btf_id)?;
            }
            owners.json(info.id, json)
        })
    }

    fn text(&self, owners: &Owners, profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
        let info = &self.info;
        match profile.map_type(info.ty) {
            Some(row) => write!(out, "{}: {}  ", info.id, row.name)?,
            None => write!(out, "{}: type {}  ", info.id, info.ty.0)?,
        }
        if !info.name.is_empty() {
            write!(out, "name {}  ", info.name)?;
        }
        write!(out, "flags {:#x}", info.map_flags)?;
        if let Some(device) = Bound::of(info.ifindex, info.netns_dev, info.netns_ino) {
            device.text(out)?;
        }
        writeln!(out)?;
        write!(out, "\tkey {}B  value {}B  max_entries {}", info.key_size, info.value_size, info.max_entries)?;
        if let Some(bytes) = self.memlock {
            write!(out, "  memlock {bytes}B")?;
        }
        if self.owner != (None, None) {
            write!(out, "\n\t")?;
        }
        if let Some(ty) = self.owner.0 {
            match profile.prog_type(ty) {
                Some(row) => write!(out, "owner_prog_type {}  ", row.name)?,
                None => write!(out, "owner_prog_type {}  ", ty.0)?,
            }
        }
        if let Some(jited) = self.owner.1 {
            write!(out, "owner{} jited", if jited { "" } else { " not" })?;
        }
        owners.pinned_text(info.id, out)?;
        match (info.btf_id, self.frozen) {
            (0, 0) => {}
            (0, _) => write!(out, "\n\tfrozen")?,
            (id, 0) => write!(out, "\n\tbtf_id {id}")?,
            (id, _) => write!(out, "\n\tbtf_id {id}  frozen")?,
        }
        owners.pids_text(info.id, out)?;
        writeln!(out)
    }
}
