//! Elements of a map, as they are printed: by their types if the map has some, else as bytes.

use crate::{
    bpftool::{
        bytes,
        json::Json,
        options::Shape,
        typed::{self, Typed},
    },
    failure::Failure,
    output,
};
use alveary_abi::{Errno, MapType, Profile};
use alveary_btf::{Btf, TypeId};
use alveary_linux::sys::{self, Map, MapInfo};
use std::{
    io::{self, Write},
    os::fd::OwnedFd,
    sync::Arc,
};

/// Keys and values that together have more bytes stand on lines of their own, each longer one behind its name.
const ONE_LINE: usize = 24;
const NAMED: usize = 16;

/// A map, with what it takes to print its elements.
pub(super) struct Elements {
    pub(super) map: Map,
    pub(super) info: MapInfo,
    /// Of key and value, if they have types.
    btf: Option<Arc<Btf>>,
    per_cpu: bool,
}

impl Elements {
    pub(super) fn of(fd: OwnedFd) -> Result<Elements, Failure> {
        let map = Map::from_fd(fd)?;
        let info = map.info()?;
        let btf = match info {
            MapInfo { btf_vmlinux_value_type: TypeId(1..), .. } => Some(typed::of_interface(&info)?),
            MapInfo { btf_value_type: TypeId(1..), btf_id, .. } => Some(typed::types(btf_id)?),
            _ => None,
        };
        let per_cpu = Profile::linux_6_18().map_type(info.ty).is_some_and(|row| row.per_cpu);
        Ok(Elements { map, info, btf, per_cpu })
    }

    /// Whether its elements have types.
    pub(super) fn typed(&self) -> bool {
        self.btf.is_some()
    }

    /// A value as the kernel takes it: one for each CPU, all the same.
    pub(super) fn for_all_cpus(&self, value: &[u8]) -> Vec<u8> {
        if !self.per_cpu {
            return value.to_vec();
        }
        let step = value.len().next_multiple_of(8).max(1);
        let one: Vec<u8> = value.iter().copied().chain(std::iter::repeat(0)).take(step).collect();
        one.repeat(self.map.value_size() / step)
    }

    pub(super) fn holds_maps(&self) -> bool {
        matches!(self.info.ty, MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS)
    }

    pub(super) fn holds_programs(&self) -> bool {
        self.info.ty == MapType::PROG_ARRAY
    }

    /// The value of each CPU; of a map without values per CPU the one that there is.
    fn values<'a>(&self, value: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let size = self.info.value_size as usize;
        let step = if self.per_cpu { size.next_multiple_of(8) } else { size };
        value.chunks(step.max(1)).map(move |one| &one[..size.min(one.len())])
    }

    /// Prints an element that was asked for by itself.
    pub(super) fn print(&self, key: &[u8], value: &[u8], shape: Shape) -> Result<(), Failure> {
        output::bare(|out| match shape {
            Shape::Json { pretty } => {
                self.json(key, value, &mut Json::new(&mut *out, pretty))?;
                writeln!(out)
            }
            Shape::Text if self.typed() => {
                self.formatted(key, value, true, &mut Json::new(&mut *out, true))?;
                writeln!(out)
            }
            Shape::Text => self.text(key, value, out),
        })
    }

    /// An element as bytes, and by its types as well (`formatted`).
    pub(super) fn json(&self, key: &[u8], value: &[u8], json: &mut Json<'_>) -> io::Result<()> {
        json.object(|json| {
            json.name("key")?;
            bytes::json(key, json)?;
            if self.per_cpu {
                json.name("values")?;
                self.each_cpu(value, json, bytes::json)?;
            } else {
                json.name("value")?;
                bytes::json(value, json)?;
                if self.holds_maps() {
                    json.field("inner_map_id", id(value))?;
                }
            }
            if self.typed() {
                json.name("formatted")?;
                self.formatted(key, value, false, json)?;
            }
            Ok(())
        })
    }

    /// An element by its types; `plain` is for people.
    pub(super) fn formatted(&self, key: &[u8], value: &[u8], plain: bool, json: &mut Json<'_>) -> io::Result<()> {
        let Some(btf) = &self.btf else { return Ok(()) };
        let typed = Typed { btf, plain, programs: false };
        let value_type = match self.info.btf_vmlinux_value_type {
            TypeId(0) => self.info.btf_value_type,
            ty => ty,
        };
        json.object(|json| {
            if self.info.btf_key_type != TypeId(0) {
                json.name("key")?;
                typed.value(self.info.btf_key_type, key, json)?;
            }
            if self.per_cpu {
                json.name("values")?;
                self.each_cpu(value, json, |value, json| typed.value(value_type, value, json))
            } else {
                json.name("value")?;
                typed.value(value_type, value, json)
            }
        })
    }

    fn each_cpu(
        &self,
        value: &[u8],
        json: &mut Json<'_>,
        mut one: impl FnMut(&[u8], &mut Json<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        json.array(|json| {
            self.values(value).enumerate().try_for_each(|(cpu, value)| {
                json.object(|json| {
                    json.field("cpu", cpu)?;
                    json.name("value")?;
                    one(value, json)
                })
            })
        })
    }

    /// An element as bytes.
    pub(super) fn text(&self, key: &[u8], value: &[u8], out: &mut dyn Write) -> io::Result<()> {
        if self.per_cpu {
            if !key.is_empty() {
                writeln!(out, "key:\n{}", bytes::hex(key))?;
            }
            let gap = if self.info.value_size as usize > NAMED { '\n' } else { ' ' };
            return self
                .values(value)
                .enumerate()
                .try_for_each(|(cpu, value)| writeln!(out, "value (CPU {cpu:02}):{gap}{}", bytes::hex(value)));
        }
        if self.holds_maps() {
            self.line(key, value.len(), "inner_map_id", &format!("{} ", id(value)), out)
        } else {
            self.line(key, value.len(), "value", &bytes::hex(value), out)
        }
    }

    fn line(&self, key: &[u8], size: usize, name: &str, value: &str, out: &mut dyn Write) -> io::Result<()> {
        let breaks = key.len() > NAMED || size > NAMED;
        let gap = if breaks { '\n' } else { ' ' };
        if !key.is_empty() {
            let behind = if !breaks && key.len() + size <= ONE_LINE { "  " } else { "\n" };
            write!(out, "key:{gap}{}{behind}", bytes::hex(key))?;
        }
        if size > 0 {
            write!(out, "{name}:{gap}{value}")?;
        }
        writeln!(out)
    }

    /// A key whose value cannot be read. Slots that hold nothing are no elements.
    pub(super) fn unreadable(&self, key: &[u8], why: &sys::Error, out: Sink<'_, '_>) -> io::Result<()> {
        let errno = why.errno();
        if errno == Errno::ENOENT && (self.holds_maps() || self.holds_programs()) {
            return Ok(());
        }
        let message = io::Error::from_raw_os_error(errno.0).to_string();
        let message = message.rfind(" (os error").map_or(&*message, |end| &message[..end]);
        match out {
            Sink::Json(json) => json.object(|json| {
                json.name("key")?;
                bytes::json(key, json)?;
                json.name("value")?;
                json.object(|json| json.field("error", message))
            }),
            Sink::Text(out) => {
                let message = match errno {
                    Errno::ENOENT => "<no entry>",
                    Errno::ENOSPC if self.info.ty == MapType::REUSEPORT_SOCKARRAY => "<cannot read>",
                    _ => message,
                };
                self.line(key, message.len(), "value", message, out)
            }
        }
    }
}

/// Where an element is printed to.
pub(super) enum Sink<'a, 'b> {
    Text(&'a mut dyn Write),
    Json(&'a mut Json<'b>),
}

/// The id in a map of maps.
fn id(value: &[u8]) -> u32 {
    value.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}
