//! What programs print and send while they run: `bpf_trace_printk` lines, perf events, ring buffers.

use super::dump::json_of;
use super::outputs::hex;
use crate::{failure::Failure, output, table::printable};
use alveary::{Backend, Loaded, MapHandle, User};
use alveary_abi::MapType;
use alveary_btf::{Btf, Kind, TypeId};
use serde_json::{Value, json};
use std::{
    io::{self, Write},
    sync::Arc,
};

/// Hands on what comes from one run.
///
/// Trace lines go to stderr, as the kernel writes them. Events are results: they go to stdout, a line each; with `--json`,
/// where stdout holds one object only, they go to stderr as a JSON object each.
pub(super) struct Events<'a> {
    streams: Vec<Stream<'a>>,
    /// Where trace lines come from; the kernel's are everybody's, and stay where they are.
    trace: Option<&'a User>,
    json: bool,
    /// Lines that wait to be written.
    text: String,
}

/// A map that carries events.
struct Stream<'a> {
    name: String,
    take: Take<'a>,
    /// What an event is, if BTF tells: its type and size.
    ty: Option<(Arc<Btf>, TypeId, u32)>,
}

/// Takes events out of a map: the CPU, and the bytes; gives how many were lost.
type Take<'a> = Box<dyn Fn(&mut dyn FnMut(u32, &[u8])) -> alveary::Result<u64> + 'a>;

impl<'a> Events<'a> {
    /// Of everything that a program may send through.
    pub(super) fn of<B: Backend>(loaded: &'a Loaded<B>, btf: Option<&Arc<Btf>>, json: bool) -> Events<'a> {
        let carries = |map: &B::Map| matches!(map.spec().def.ty, MapType::PERF_EVENT_ARRAY | MapType::RINGBUF);
        let maps = loaded.maps().filter(|(_, map)| carries(map));
        let streams = maps.map(|(name, map)| Stream {
            name: name.to_owned(),
            take: Box::new(move |each| loaded.target().events(map, each)),
            ty: btf.and_then(|btf| event_type(btf, name)),
        });
        Events { streams: streams.collect(), trace: None, json, text: String::new() }
    }

    /// With what programs print.
    pub(super) fn with_trace(self, user: &'a User) -> Events<'a> {
        Events { trace: Some(user), ..self }
    }

    /// Whether events are to be expected: they are taken out often then, so that none is lost.
    pub(super) fn expected(&self) -> bool {
        !self.streams.is_empty()
    }

    /// Takes out what came since the last time.
    pub(super) fn drain(&mut self) -> Result<(), Failure> {
        let (lines, lost) = self.trace.map(|user| user.runtime().trace().drain()).unwrap_or_default();
        if !lines.is_empty() {
            let mut text: String = lines.iter().map(|line| printable(&line.to_string()).into_owned() + "\n").collect();
            if lost > 0 {
                text += &format!("{lost} lines were lost\n");
            }
            io::stderr().write_all(text.as_bytes()).ok();
        }
        for stream in &self.streams {
            let (text, json) = (&mut self.text, self.json);
            let lost = (stream.take)(&mut |cpu, data| stream.line(cpu, data, json, text))?;
            if lost > 0 {
                self.text += &stream.lost(lost, self.json);
            }
        }
        self.write()
    }

    fn write(&mut self) -> Result<(), Failure> {
        if self.text.is_empty() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.text);
        if self.json {
            io::stderr().write_all(text.as_bytes()).ok();
            Ok(())
        } else {
            output::write(|out| out.write_all(text.as_bytes()))
        }
    }
}

/// The type of a map's events, by custom: maps do not say it (the kernel wants values of 4 bytes or none). It is the
/// struct that is named like the map, or `event`.
fn event_type(btf: &Arc<Btf>, map: &str) -> Option<(Arc<Btf>, TypeId, u32)> {
    let names = [map, map.strip_suffix('s').unwrap_or(map), "event"];
    let ty = names.into_iter().find_map(|name| btf.find(name, Kind::Struct))?;
    Some((btf.clone(), ty, btf.size_of(ty)?))
}

impl Stream<'_> {
    fn line(&self, cpu: u32, data: &[u8], json: bool, text: &mut String) {
        let typed = self.ty.as_ref().filter(|(_, _, size)| data.len() >= *size as usize);
        let value = typed.map(|(btf, ty, size)| btf.value(*ty, &data[..*size as usize]));
        // Behind the struct may stand bytes of the packet.
        let rest = &data[typed.map_or(0, |(_, _, size)| *size as usize)..];
        let mut bytes = String::new();
        hex(rest, &mut bytes);
        if json {
            let event = json!({ "map": self.name, "cpu": cpu, "value": value.as_ref().map(json_of), "data": bytes });
            *text += &format!("{}\n", json!({ "event": event }));
            return;
        }
        let value = value.map(|v| format!(" {}", printable(&v.to_string()))).unwrap_or_default();
        let bytes = if bytes.is_empty() { bytes } else { format!(" hex:{bytes}") };
        *text += &format!("{} [cpu {cpu}]:{value}{bytes}\n", printable(&self.name));
    }

    fn lost(&self, lost: u64, json: bool) -> String {
        if json {
            let event: Value = json!({ "map": self.name, "lost": lost });
            return format!("{}\n", json!({ "event": event }));
        }
        format!("{}: {lost} events were lost\n", printable(&self.name))
    }
}
