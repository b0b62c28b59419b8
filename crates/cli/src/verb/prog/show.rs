//! `alveary prog show`: what the kernel tells about its programs.

use crate::{
    bpftool::{
        device::Bound,
        json::Json,
        options::Options,
        owners::Owners,
        select,
        typed::{self, Typed},
        words::Words,
    },
    failure::Failure,
};
use alveary_abi::{Errno, MapType, Profile, ProgType};
use alveary_btf::{Btf, Type, TypeId};
use alveary_linux::{
    FdInfo, local_time, since_epoch,
    sys::{self, Map, Object, ProgInfo, ProgParts},
};
use clap::Args;
use std::{
    io::{self, Write},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

/// Show programs: all, or those that the words name
#[derive(Debug, Args)]
pub(super) struct Show {
    /// `id ID`, `name NAME`, `tag TAG` or `pinned FILE`
    #[arg(value_name = "PROG")]
    words: Vec<String>,
}

impl Show {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let shape = options.shape(json);
        let mut words = Words::new(&self.words);
        let owners = Owners::of(Object::Prog, options.pinned);
        let profile = Profile::linux_6_18();
        let text = |seen: &Seen, out: &mut dyn Write| seen.text(&owners, &profile, out);
        let json = |seen: &Seen, json: &mut Json<'_>| seen.json(&owners, &profile, json);
        if words.is_empty() {
            return shape.each(select::all(Object::Prog).map(|fd| Seen::of(&fd?, &owners)), false, text, json);
        }
        let found = select::progs(&mut words)?;
        words.end()?;
        shape.each(found.iter().map(|fd| Seen::of(fd, &owners)), found.len() == 1, text, json)
    }
}

/// A program as it is shown.
struct Seen {
    info: ProgInfo,
    /// The device that it was translated for is gone.
    orphaned: bool,
    name: String,
    memlock: Option<u64>,
    metadata: Option<Metadata>,
}

impl Seen {
    fn of(fd: &OwnedFd, owners: &Owners) -> Result<Seen, Failure> {
        let fd = fd.as_fd();
        let (info, told, orphaned) = match sys::prog_info(fd, ProgParts::MAPS) {
            Ok(info) => {
                let told = owners.info(info.id, fd);
                (info, told, false)
            }
            // Of such a program `/proc` alone tells something.
            Err(why) if why.errno() == Errno::ENODEV => {
                let told = FdInfo::of(fd);
                let number = |name| told.number(name).unwrap_or(0) as u32;
                let ty = ProgType(number("prog_type"));
                (ProgInfo { ty, id: number("prog_id"), ..ProgInfo::default() }, told, true)
            }
            Err(why) => return Err(why.into()),
        };
        let name = select::full_name(fd, &info);
        let metadata = Metadata::of(&info.map_ids);
        Ok(Seen { info, orphaned, name, memlock: told.number("memlock"), metadata })
    }

    fn json(&self, owners: &Owners, profile: &Profile, json: &mut Json<'_>) -> io::Result<()> {
        let info = &self.info;
        json.object(|json| {
            header_json(info, &self.name, profile, json)?;
            if let Some(device) = Bound::of(info.ifindex, info.netns_dev, info.netns_ino) {
                device.json(json)?;
            }
            if info.load_time > 0 {
                json.field("loaded_at", since_epoch(info.load_time))?;
                json.field("uid", info.created_by_uid)?;
            }
            json.field("orphaned", self.orphaned)?;
            json.field("bytes_xlated", info.xlated_len)?;
            json.field("jited", info.jited_len > 0)?;
            if info.jited_len > 0 {
                json.field("bytes_jited", info.jited_len)?;
            }
            if let Some(bytes) = self.memlock {
                json.field("bytes_memlock", bytes)?;
            }
            if !info.map_ids.is_empty() {
                json.list("map_ids", info.map_ids.iter().copied())?;
            }
            if info.btf_id > 0 {
                json.field("btf_id", info.btf_id)?;
            }
            owners.json(info.id, json)?;
            self.metadata.as_ref().map_or(Ok(()), |metadata| metadata.json(json))
        })
    }

    fn text(&self, owners: &Owners, profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
        let info = &self.info;
        header_text(info, &self.name, profile, out)?;
        if info.load_time > 0 {
            let at = local_time(since_epoch(info.load_time));
            writeln!(out, "\tloaded_at {at}  uid {}", info.created_by_uid)?;
        }
        write!(out, "\txlated {}B", info.xlated_len)?;
        match info.jited_len {
            0 => write!(out, "  not jited")?,
            bytes => write!(out, "  jited {bytes}B")?,
        }
        if let Some(bytes) = self.memlock {
            write!(out, "  memlock {bytes}B")?;
        }
        if self.orphaned {
            write!(out, "  orphaned")?;
        }
        if !info.map_ids.is_empty() {
            let ids: Vec<_> = info.map_ids.iter().map(u32::to_string).collect();
            write!(out, "  map_ids {}", ids.join(","))?;
        }
        owners.pinned_text(info.id, out)?;
        if info.btf_id > 0 {
            write!(out, "\n\tbtf_id {}", info.btf_id)?;
        }
        owners.pids_text(info.id, out)?;
        writeln!(out)?;
        self.metadata.as_ref().map_or(Ok(()), |metadata| metadata.text(out))
    }
}

/// What a program is, as the first members of an object.
pub(super) fn header_json(info: &ProgInfo, name: &str, profile: &Profile, json: &mut Json<'_>) -> io::Result<()> {
    json.field("id", info.id)?;
    match profile.prog_type(info.ty) {
        Some(row) => json.field("type", row.name)?,
        None => json.field("type", info.ty.0)?,
    }
    if !name.is_empty() {
        json.field("name", name)?;
    }
    json.field("tag", &tag(info))?;
    json.field("gpl_compatible", info.gpl_compatible)?;
    if info.run_time_ns > 0 {
        json.field("run_time_ns", info.run_time_ns)?;
        json.field("run_cnt", info.run_count)?;
    }
    if info.recursion_misses > 0 {
        json.field("recursion_misses", info.recursion_misses)?;
    }
    Ok(())
}

/// What a program is, as one line.
pub(super) fn header_text(info: &ProgInfo, name: &str, profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    match profile.prog_type(info.ty) {
        Some(row) => write!(out, "{}: {}  ", info.id, row.name)?,
        None => write!(out, "{}: type {}  ", info.id, info.ty.0)?,
    }
    if !name.is_empty() {
        write!(out, "name {}  ", name)?;
    }
    write!(out, "tag {}", tag(info))?;
    if let Some(device) = Bound::of(info.ifindex, info.netns_dev, info.netns_ino) {
        device.text(out)?;
    }
    if info.gpl_compatible {
        write!(out, "  gpl")?;
    }
    if info.run_time_ns > 0 {
        write!(out, " run_time_ns {} run_cnt {}", info.run_time_ns, info.run_count)?;
    }
    if info.recursion_misses > 0 {
        write!(out, " recursion_misses {}", info.recursion_misses)?;
    }
    writeln!(out)
}

fn tag(info: &ProgInfo) -> String {
    format!("{:016x}", u64::from_be_bytes(info.tag))
}

/// What the author wrote about a program: variables `bpf_metadata_…` in its read-only data.
struct Metadata {
    btf: Arc<Btf>,
    /// Name, type and bytes of each.
    variables: Vec<(String, TypeId, Vec<u8>)>,
}

const PREFIX: &str = "bpf_metadata_";

impl Metadata {
    fn of(maps: &[u32]) -> Option<Metadata> {
        let (info, bytes) = maps.iter().find_map(|id| {
            let fd = sys::open_id(Object::Map, *id, 0, None).ok()?;
            let info = sys::map_info(fd.as_fd()).ok()?;
            let fits = info.ty == MapType::ARRAY && info.key_size == 4 && info.max_entries == 1;
            if !fits || info.btf_value_type == TypeId(0) || !info.name.contains(".rodata") {
                return None;
            }
            let map = Map::from_fd(fd).ok()?;
            let mut bytes = vec![0; map.value_size()];
            map.lookup(&[0; 4], &mut bytes, 0).ok()?;
            Some((info, bytes))
        })?;
        let btf = typed::types(info.btf_id).ok()?;
        let Some(Type::DataSec(section)) = btf.ty(info.btf_value_type) else { return None };
        let variables: Vec<_> = section
            .vars()
            .filter_map(|var| match btf.ty(var.ty)? {
                Type::Var { name, ty, .. } => {
                    Some((name.strip_prefix(PREFIX)?.to_owned(), ty, bytes.get(var.offset as usize..)?.to_owned()))
                }
                _ => None,
            })
            .collect();
        (!variables.is_empty()).then_some(Metadata { btf, variables })
    }

    fn json(&self, json: &mut Json<'_>) -> io::Result<()> {
        json.name("metadata")?;
        json.object(|json| {
            self.variables.iter().try_for_each(|(name, ty, bytes)| {
                json.name(name)?;
                Typed { btf: &self.btf, plain: false, programs: false }.value(*ty, bytes, json)
            })
        })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "\tmetadata:")?;
        for (name, ty, bytes) in &self.variables {
            write!(out, "\n\t\t{name} = ")?;
            Typed { btf: &self.btf, plain: true, programs: false }.value(*ty, bytes, &mut Json::new(out, false))?;
        }
        writeln!(out)
    }
}
