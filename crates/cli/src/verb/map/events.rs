//! `alveary map event_pipe`: what programs write to a perf event array, as it comes.

use crate::{
    bpftool::{
        bytes,
        json::Json,
        options::{Options, Shape},
        select, usage,
        words::Words,
    },
    failure::Failure,
    output,
};
use alveary_abi::MapType;
use alveary_diag::{Diagnostic, Place};
use alveary_linux::{
    read::{PerfBuffer, PerfRecord, PerfSlot, Waiter},
    signal::Ending,
    sys::Map,
};
use clap::Args;
use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// Pages of the buffer of each CPU.
const PAGES: usize = 16;
/// How often it is looked whether it shall end.
const LOOK_UP: Duration = Duration::from_millis(100);
/// Numbers of records (`enum perf_event_type`).
const SAMPLE: u32 = 9;
const LOST: u32 = 2;

/// Print what programs write to a map of type perf_event_array, until it is ended
#[derive(Debug, Args)]
pub(super) struct EventPipe {
    /// `id ID`, `name NAME` or `pinned FILE`; then, for the output of one CPU alone, `cpu N index N`
    #[arg(value_name = "MAP [cpu N index N]", required = true)]
    words: Vec<String>,
}

impl EventPipe {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        let map = Map::from_fd(select::map(&mut words)?)?;
        if map.map_type() != MapType::PERF_EVENT_ARRAY {
            return Err(Diagnostic::new("wrong-kind", "this map holds no perf events", Place::Nowhere)
                .expected("a map of type perf_event_array")
                .help("`alveary map dump` prints the elements of other maps")
                .into());
        }
        let (mut cpu, mut index) = (None, None);
        while !words.is_empty() {
            if words.is("cpu") {
                cpu = Some(words.number("a CPU")?);
            } else if words.is("index") {
                index = Some(words.number("an index")?);
            } else {
                return Err(words.unexpected("`cpu N index N`"));
            }
        }
        let buffer = match (cpu, index) {
            (None, None) => PerfBuffer::open(&map, PAGES),
            (Some(cpu), Some(index)) => PerfBuffer::open_slots(&map, PAGES, [PerfSlot { cpu, index }]),
            _ => {
                return Err(usage("a CPU and an index belong together").expected("`cpu N index N`").into());
            }
        };
        let buffer = buffer.map_err(|why| unreadable(&why))?;
        output::write(|out| match options.shape(json) {
            Shape::Text => follow(buffer, &mut Text(out)),
            Shape::Json { pretty } => {
                Json::new(&mut *out, pretty).array(|json| follow(buffer, json))?;
                writeln!(out)
            }
        })
    }
}

fn unreadable(why: &io::Error) -> Failure {
    Diagnostic::new("perf", format!("the buffers cannot be opened: {why}"), Place::Nowhere)
        .help("perf events of a CPU need CAP_PERFMON, or /proc/sys/kernel/perf_event_paranoid below 1")
        .into()
}

/// Where events are printed to.
trait Sink {
    fn event(&mut self, slot: PerfSlot, record: PerfRecord<'_>) -> io::Result<()>;
    fn flush(&mut self) -> io::Result<()>;
}

/// Prints what comes; whoever reads it gets each batch at once.
fn follow(mut buffer: PerfBuffer, sink: &mut dyn Sink) -> io::Result<()> {
    let mut waiter = Waiter::new()?;
    for fd in buffer.fds() {
        waiter.add(fd, 0)?;
    }
    let ended = ended()?;
    while !ended.load(Ordering::Relaxed) {
        let mut done = Ok(());
        buffer.records(|slot, record| {
            if done.is_ok() {
                done = sink.event(slot, record);
            }
        });
        done?;
        sink.flush()?;
        waiter.wait(Some(LOOK_UP))?.for_each(drop);
    }
    Ok(())
}

/// Becomes true when the user ends it: what was begun is closed.
fn ended() -> io::Result<Arc<AtomicBool>> {
    let ending = Ending::expect()?;
    let ended = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&ended);
    thread::spawn(move || {
        ending.wait();
        tell.store(true, Ordering::Relaxed);
    });
    Ok(ended)
}

struct Text<'a>(&'a mut dyn Write);

impl Sink for Text<'_> {
    fn event(&mut self, slot: PerfSlot, record: PerfRecord<'_>) -> io::Result<()> {
        const SECOND: u64 = 1_000_000_000;
        match record {
            PerfRecord::Sample { time, data } => {
                let (seconds, rest) = (time / SECOND, time % SECOND);
                let PerfSlot { cpu, index } = slot;
                writeln!(self.0, "== @{seconds}.{rest:09} CPU: {cpu} index: {index} =====\n{}", bytes::hex(data))
            }
            PerfRecord::Lost { count, .. } => writeln!(self.0, "lost {count} events"),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Sink for Json<'_> {
    fn event(&mut self, slot: PerfSlot, record: PerfRecord<'_>) -> io::Result<()> {
        self.object(|json| {
            let ty = if matches!(record, PerfRecord::Sample { .. }) { SAMPLE } else { LOST };
            json.field("type", ty)?;
            json.field("cpu", slot.cpu)?;
            json.field("index", slot.index)?;
            match record {
                PerfRecord::Sample { time, data } => {
                    json.field("timestamp", time)?;
                    json.name("data")?;
                    bytes::json(data, json)
                }
                PerfRecord::Lost { id, count } => {
                    json.name("lost")?;
                    json.object(|json| {
                        json.field("id", id)?;
                        json.field("count", count)
                    })
                }
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Json::flush(self)
    }
}
