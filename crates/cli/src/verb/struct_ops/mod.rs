//! `alveary struct_ops`: kernel interfaces that programs implement (TCP congestion controls, schedulers …), as bpftool
//! shows and handles them.

mod register;

use crate::{
    bpftool::{
        json::Json,
        options::{Options, Shape},
        select,
        typed::{self, Typed},
        usage,
        words::Words,
    },
    failure::Failure,
    output,
};
use alveary_abi::MapType;
use alveary_btf::{Btf, Kind, TypeId};
use alveary_diag::{Diagnostic, Place};
use alveary_linux::sys::{self, Map, MapInfo, Object};
use clap::{Args, Subcommand};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

/// Show and handle kernel interfaces that programs implement
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary struct_ops register cubic.bpf.o /sys/fs/bpf/links
  alveary struct_ops list
  alveary struct_ops dump name cubic
  alveary struct_ops unregister name cubic")]
pub(crate) struct StructOps {
    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show interfaces: all, or one
    #[command(visible_alias = "list")]
    Show(One),
    /// Show what is in interfaces: their programs and data
    Dump(One),
    /// Register the interfaces of an object
    ///
    /// Those of section `.struct_ops` stay until they are unregistered, those of `.struct_ops.link` as long as their link,
    /// which is pinned in the directory.
    Register(register::Register),
    /// Take an interface without a link out of force
    Unregister(One),
}

#[derive(Debug, Args)]
struct One {
    /// `id ID` or `name NAME`, of the interface's map
    #[arg(value_name = "MAP")]
    words: Vec<String>,
}

impl StructOps {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        let shape = self.options.shape(json);
        match &self.action {
            Action::Show(one) => show(&interfaces(&one.words)?, shape),
            Action::Dump(one) => dump(&interfaces(&one.words)?, shape),
            Action::Register(register) => register.run(self.options.nomount, shape),
            Action::Unregister(one) if one.words.is_empty() => {
                Err(usage("nothing says which interface").expected("`id ID` or `name NAME`").into())
            }
            Action::Unregister(one) => register::unregister(&interfaces(&one.words)?, shape),
        }
    }
}

/// An interface in the kernel: its map.
struct Interface {
    map: Map,
    info: MapInfo,
    /// The types of the kernel, or of the module whose interface it is.
    kernel: Arc<Btf>,
}

/// What the kernel calls the type of such a map's value, in front of the interface's own name.
const VALUE: &str = "bpf_struct_ops_";

impl Interface {
    /// `struct bpf_struct_ops_tcp_congestion_ops`.
    fn value(&self) -> &str {
        self.kernel.name(self.info.btf_vmlinux_value_type)
    }

    /// `tcp_congestion_ops`.
    fn kind(&self) -> &str {
        self.value().strip_prefix(VALUE).unwrap_or_default()
    }
}

/// The interfaces that the words name; without words all.
fn interfaces(words: &[String]) -> Result<Vec<Interface>, Failure> {
    let mut words = Words::new(words);
    let named = if words.is_empty() {
        None
    } else if words.is("id") {
        Some(Named::Id(words.number("an id")?))
    } else if words.is("name") {
        Some(Named::Name(words.must("a map's name")?))
    } else {
        return Err(words.unexpected("`id ID` or `name NAME`"));
    };
    words.end()?;
    let mut found = Vec::new();
    let mut types = BTreeMap::new();
    for fd in select::all(Object::Map) {
        let fd: OwnedFd = fd?;
        let info = sys::map_info(fd.as_fd())?;
        if info.ty != MapType::STRUCT_OPS || !named.as_ref().is_none_or(|named| named.is(&info)) {
            continue;
        }
        let kernel = match types.entry(info.btf_vmlinux_id) {
            Entry::Occupied(known) => Arc::clone(known.get()),
            Entry::Vacant(place) => Arc::clone(place.insert(typed::of_interface(&info)?)),
        };
        found.push(Interface { map: Map::from_fd(fd)?, info, kernel });
    }
    match named {
        Some(named) if found.is_empty() => Err(named.missing()),
        _ => Ok(found),
    }
}

enum Named<'a> {
    Id(u32),
    Name(&'a str),
}

impl Named<'_> {
    fn is(&self, info: &MapInfo) -> bool {
        match self {
            Named::Id(id) => info.id == *id,
            // The kernel keeps 15 bytes.
            Named::Name(name) => info.name == name.get(..15).unwrap_or(name),
        }
    }

    fn missing(&self) -> Failure {
        let named = match self {
            Named::Id(id) => format!("with id {id}"),
            Named::Name(name) => format!("of the name `{name}`"),
        };
        Diagnostic::new("not-found", format!("there is no kernel interface {named}"), Place::Nowhere)
            .help("`alveary struct_ops list` shows those that there are")
            .into()
    }
}

fn show(all: &[Interface], shape: Shape) -> Result<(), Failure> {
    shape.each(
        all.iter().map(Ok),
        false,
        |one, out| writeln!(out, "{}: {:<15} {:<32}", one.info.id, one.info.name, one.kind()),
        |one, json| {
            json.object(|json| {
                json.field("id", one.info.id)?;
                json.field("name", &one.info.name)?;
                json.field("kernel_struct_ops", one.kind())
            })
        },
    )
}

/// What the kernel tells about maps, by its own types.
const INFO: &str = "bpf_map_info";

fn dump(all: &[Interface], shape: Shape) -> Result<(), Failure> {
    // For people, too: names are what makes it readable.
    let (pretty, plain) = match shape {
        Shape::Text => (true, true),
        Shape::Json { pretty } => (pretty, false),
    };
    let values: Vec<Vec<u8>> = all.iter().map(value).collect::<Result<_, _>>()?;
    let about: Vec<Vec<u8>> = all.iter().map(|one| sys::map_info_bytes(one.map.as_fd())).collect::<Result<_, _>>()?;
    output::bare(|out| {
        Json::new(&mut *out, pretty).array(|json| {
            all.iter().zip(values).zip(about).try_for_each(|((one, value), about)| {
                let typed = Typed { btf: &one.kernel, plain, programs: true };
                let mut member = |name: &str, ty: TypeId, bytes: &[u8]| {
                    json.object(|json| {
                        json.name(name)?;
                        typed.value(ty, bytes, json)
                    })
                };
                if let Some(ty) = one.kernel.find(INFO, Kind::Struct) {
                    member(INFO, ty, &about)?;
                }
                member(one.value(), one.info.btf_vmlinux_value_type, &value)
            })
        })?;
        writeln!(out)
    })
}

/// What an interface consists of: programs by their ids.
fn value(one: &Interface) -> Result<Vec<u8>, Failure> {
    let mut bytes = vec![0; one.map.value_size()];
    one.map.lookup(&[0; 4], &mut bytes, 0)?;
    Ok(bytes)
}
