//! `alveary struct_ops register` and `unregister`.

use super::Interface;
use crate::{
    bpftool::{options::Shape, pins::Pins, select, words::Words},
    failure::Failure,
    kernel::KernelOptions,
    output,
};
use alveary::{
    Linux, Loaded, MapHandle, Object,
    kernel::attach::{self, Link},
};
use alveary_abi::flags::BPF_F_LINK;
use alveary_diag::{Diagnostic, Place};
use alveary_linux::sys::{self, LinkDetail};
use alveary_spec::Initial;
use clap::Args;
use std::{
    io::{self, Write},
    os::fd::AsFd,
    path::Path,
};

#[derive(Debug, Args)]
pub(super) struct Register {
    /// The object, and a directory in a BPF file system for the links
    #[arg(value_name = "OBJ [DIR]", required = true)]
    words: Vec<String>,

    #[command(flatten)]
    kernel: KernelOptions,
}

impl Register {
    pub(super) fn run(&self, nomount: bool, shape: Shape) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        let file = words.must("an object file")?;
        let directory = words.take().map(Path::new);
        words.end()?;
        let mut pins = Pins::default();
        if let Some(directory) = directory {
            pins.ready_directory(directory, nomount)?;
        }
        let loaded = Object::open(file)?.load(self.kernel.linux(Linux::builder())?.build())?;
        // All are in force before the first is kept: one that fails takes the others along.
        let registered =
            loaded.interfaces().map(|name| Registered::new(&loaded, name)).collect::<Result<Vec<_>, _>>()?;
        if registered.is_empty() {
            return Err(Diagnostic::new("not-found", "the object has no kernel interface", Place::Nowhere)
                .expected("a variable in section `.struct_ops` or `.struct_ops.link`")
                .in_file(file.to_owned())
                .into());
        }
        let lines: Vec<String> = registered.iter().map(Registered::text).collect();
        for one in registered {
            one.keep(directory, &mut pins, shape)?;
        }
        pins.stay();
        match shape {
            Shape::Text => output::bare(|out| lines.iter().try_for_each(|line| writeln!(out, "{line}"))),
            Shape::Json { .. } => shape.done(),
        }
    }
}

/// An interface that is in force.
struct Registered<'a> {
    name: &'a str,
    kind: &'a str,
    map: u32,
    link: Link,
    /// Of the link, if it has one.
    id: Option<u32>,
}

impl<'a> Registered<'a> {
    fn new(loaded: &'a Loaded<Linux>, name: &'a str) -> Result<Registered<'a>, Failure> {
        let map = loaded.map(name)?;
        let kind = match &map.spec().initial {
            Initial::StructOps(ops) => &ops.interface,
            _ => "",
        };
        let link = loaded.register(name)?;
        let id = link.fds().next().map(sys::link_info).transpose()?.map(|info| info.id);
        Ok(Registered { name, kind, map: map.sys().info()?.id, link, id })
    }

    fn text(&self) -> String {
        let Registered { name, kind, map, .. } = self;
        match self.id {
            Some(id) => format!("Registered {kind} {name} map id {map} link id {id}"),
            None => format!("Registered {kind} {name} id {map}"),
        }
    }

    fn keep(self, directory: Option<&Path>, pins: &mut Pins, shape: Shape) -> Result<(), Failure> {
        match (directory, self.id) {
            (None, Some(_)) => {
                if shape == Shape::Text {
                    let note = "goes with this command: its link is kept in a directory of a BPF file system";
                    // A closed stderr is no reason to fail.
                    writeln!(io::stderr(), "note: `{}` {note}", self.name).ok();
                }
            }
            // What has no link stays without a pin.
            (_, None) => drop(self.link.pin(Path::new(""))?),
            (Some(directory), Some(_)) => {
                let path = pins.place(directory, self.name);
                self.link.pin(&path)?;
                pins.made(path);
            }
        }
        Ok(())
    }
}

/// Takes interfaces out of force.
pub(super) fn unregister(all: &[Interface], shape: Shape) -> Result<(), Failure> {
    if let Some(linked) = all.iter().find(|one| one.info.map_flags & BPF_F_LINK != 0) {
        return Err(has_link(linked)?.into());
    }
    let mut lines = Vec::new();
    for one in all {
        attach::unregister(&one.map)?;
        lines.push(format!("Unregistered {} {} id {}", one.kind(), one.info.name, one.info.id));
    }
    match shape {
        Shape::Text => output::bare(|out| lines.iter().try_for_each(|line| writeln!(out, "{line}"))),
        Shape::Json { .. } => shape.done(),
    }
}

/// What goes with its link is not taken out by its map.
fn has_link(one: &Interface) -> Result<Diagnostic, Failure> {
    let message = format!("the interface `{}` is in force by a link", one.info.name);
    let why = Diagnostic::new("struct-ops", message, Place::Nowhere);
    for fd in select::all(sys::Object::Link) {
        let link = sys::link_info(fd?.as_fd())?;
        if matches!(link.detail, LinkDetail::StructOps { map } if map == one.info.id) {
            let id = link.id;
            return Ok(why.help(format!(
                "`alveary link detach id {id}` ends it; `alveary -f link show id {id}` tells who keeps it"
            )));
        }
    }
    Ok(why.note("no link is left: nothing is in force"))
}
