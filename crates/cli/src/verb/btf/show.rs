//! `alveary btf show`: the types that are loaded in the kernel, and what stands on them.

use crate::{
    bpftool::{json::Json, options::Shape, owners::Owners, select, words::Words},
    failure::Failure,
};
use alveary_linux::sys::{self, BtfInfo, Object, ProgParts};
use clap::Args;
use std::{
    collections::BTreeMap,
    io::{self, Write},
    os::fd::{AsFd, OwnedFd},
};

/// Show the types that are loaded in the kernel, with the programs and maps that use them
#[derive(Debug, Args)]
pub(super) struct Show {
    /// `id ID`
    #[arg(value_name = "BTF")]
    words: Vec<String>,
}

impl Show {
    pub(super) fn run(&self, shape: Shape) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        let seen = Seen { users: Users::all()?, owners: Owners::of(Object::Btf, false) };
        let info = |fd: OwnedFd| Ok(sys::btf_info(fd.as_fd(), false)?);
        let text = |info: &BtfInfo, out: &mut dyn Write| seen.text(info, out);
        let json = |info: &BtfInfo, json: &mut Json<'_>| seen.json(info, json);
        if words.is_empty() {
            return shape.each(select::all(Object::Btf).map(|fd| info(fd?)), false, text, json);
        }
        let btf = select::btf(&mut words)?;
        words.end()?;
        shape.each([info(btf)], true, text, json)
    }
}

/// Ids of programs and of maps, by the id of their types.
#[derive(Default)]
struct Users {
    progs: BTreeMap<u32, Vec<u32>>,
    maps: BTreeMap<u32, Vec<u32>>,
}

impl Users {
    fn all() -> Result<Users, Failure> {
        let mut users = Users::default();
        for fd in select::all(Object::Prog) {
            let info = sys::prog_info(fd?.as_fd(), ProgParts::default())?;
            users.progs.entry(info.btf_id).or_default().push(info.id);
        }
        for fd in select::all(Object::Map) {
            let info = sys::map_info(fd?.as_fd())?;
            users.maps.entry(info.btf_id).or_default().push(info.id);
        }
        Ok(users)
    }
}

struct Seen {
    users: Users,
    owners: Owners,
}

impl Seen {
    fn users(&self, id: u32) -> [(&'static str, &[u32]); 2] {
        [
            ("prog_ids", self.users.progs.get(&id).map_or(&[][..], Vec::as_slice)),
            ("map_ids", self.users.maps.get(&id).map_or(&[][..], Vec::as_slice)),
        ]
    }

    fn text(&self, info: &BtfInfo, out: &mut dyn Write) -> io::Result<()> {
        let name = match (&*info.name, info.kernel) {
            (name, true) => format!("[{name}]"),
            ("", false) => "<anon>".to_owned(),
            (name, false) => name.to_owned(),
        };
        write!(out, "{}: name {name}  size {}B", info.id, info.size)?;
        for (what, ids) in self.users(info.id).into_iter().filter(|(_, ids)| !ids.is_empty()) {
            let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
            write!(out, "  {what} {}", ids.join(","))?;
        }
        self.owners.pids_text(info.id, out)?;
        writeln!(out)
    }

    fn json(&self, info: &BtfInfo, json: &mut Json<'_>) -> io::Result<()> {
        json.object(|json| {
            json.field("id", info.id)?;
            json.field("size", info.size)?;
            for (what, ids) in self.users(info.id) {
                json.list(what, ids.iter().copied())?;
            }
            self.owners.json(info.id, json)?;
            json.field("kernel", info.kernel)?;
            if info.name.is_empty() { Ok(()) } else { json.field("name", &info.name) }
        })
    }
}
