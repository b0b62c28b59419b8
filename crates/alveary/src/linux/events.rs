//! Events out of a map of the running kernel.

use super::LinuxMap;
use crate::{Error, Kind, MapHandle, Result};
use alveary_abi::MapType;
use alveary_diag::{Diagnostic, Place};
use alveary_linux::read::{PerfBuffer, RingBuffer};

/// Pages of a perf buffer of one CPU.
const PAGES: usize = 64;

/// Who reads a map's events.
#[derive(Debug)]
pub(super) enum Events {
    Ring(RingBuffer),
    Perf(PerfBuffer),
}

impl Events {
    pub(super) fn open(map: &LinuxMap) -> Result<Events> {
        let opened = match map.sys().map_type() {
            MapType::RINGBUF => RingBuffer::open(map.sys()).map(Events::Ring),
            MapType::PERF_EVENT_ARRAY => PerfBuffer::open(map.sys(), PAGES).map(Events::Perf),
            _ => {
                let message = format!("map `{}` carries no events", map.spec().name);
                return Err(Error::new(Kind::Map, Diagnostic::new("map-operation", message, Place::Nowhere)));
            }
        };
        opened.map_err(|why| {
            let message = format!("the events of map `{}` cannot be read: {why}", map.spec().name);
            Error::new(Kind::Map, Diagnostic::new("map-operation", message, Place::Nowhere))
        })
    }

    pub(super) fn drain(&mut self, each: &mut dyn FnMut(u32, &[u8])) -> Result<u64> {
        Ok(match self {
            Events::Ring(ring) => {
                ring.drain(|data| each(0, data));
                0
            }
            Events::Perf(perf) => perf.drain(each),
        })
    }
}
