//! The way of the packets: out of the capture in batches, through the program, into counts and files.

use super::{
    Run,
    engine::{Engine, Judged, Stopped},
    events::Events,
    outputs::{End, Outcome, Outputs},
    summary::Totals,
};
use crate::{failure::Failure, progress::Progress};
use alveary::{
    Packet,
    runtime::{Fault, TrapKind},
};
use alveary_abi::ProgType;
use alveary_diag::Diagnostic;
use alveary_ports::{Capture, LinkType};
use std::{
    cell::Cell,
    iter,
    ops::{ControlFlow, Range},
    time::Instant,
};

/// Packets in a batch: enough that reading the clock costs nothing beside them, few enough to stay in the cache.
const BATCH: usize = 256;
/// Bytes after which a batch is full.
const BATCH_BYTES: usize = 256 << 10;

/// A run that has ended.
pub(super) struct Ran {
    pub(super) totals: Totals,
    /// The first trap, and the number of its packet.
    pub(super) fault: Option<(Box<Fault>, u64)>,
    /// What ended the capture early.
    pub(super) broken: Option<Failure>,
    /// A packet used the budget up: the next ones would too, and take as long.
    exhausted: bool,
}

/// What is run.
pub(super) struct Job<'a> {
    pub(super) run: &'a Run,
    pub(super) ty: ProgType,
    /// Packets are shown to the program as they are in the capture, whatever their link type.
    pub(super) as_captured: bool,
}

/// Runs the program over all packets.
///
/// # Errors
/// What keeps the run from beginning, or its results from being written. What is wrong with a packet or in the midst of
/// the capture is in [`Ran`]: what was counted until then is still worth showing.
pub(super) fn drive(job: &Job<'_>, engine: &mut impl Engine, mut events: Events<'_>) -> Result<Ran, Failure> {
    let run = job.run;
    let mut capture = Capture::open(&run.pcap)?;
    let link = if job.as_captured { capture.link_type() } else { LinkType::Ethernet };
    let mut outputs = Outputs::create(run, job.ty, link)?;
    let mut progress = Progress::new(capture.bytes_total());
    let mut batch = Batch::new(if events.expected() { 1 } else { BATCH }, job.as_captured);
    let mut ran = Ran { totals: Totals::default(), fault: None, broken: None, exhausted: false };
    // Whoever reads a buffer has to be there before the first event.
    events.drain()?;
    loop {
        ran.broken = batch.fill(&mut capture).err().map(|why| why.in_file(run.pcap.display().to_string()).into());
        if batch.slots.is_empty() {
            break;
        }
        let first = ran.totals.packets + 1;
        let keep = outputs.wanted();
        let since = Instant::now();
        batch.run(engine, run.repeat, keep, &mut ran);
        ran.totals.time += engine.took().unwrap_or_else(|| since.elapsed());
        events.drain()?;
        if keep {
            batch.hand_out(first, &mut outputs)?;
        }
        progress.at(capture.bytes_read(), ran.totals.packets);
        if ran.broken.is_some() || ran.exhausted {
            break;
        }
    }
    outputs.finish()?;
    Ok(ran)
}

/// Packets that wait, and what became of them. Its memory is used again for the next ones.
struct Batch {
    most: usize,
    as_captured: bool,
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    /// What the program left of the packets, if someone wants to see it.
    left: Vec<u8>,
    ends: Vec<Result<Left, String>>,
}

/// A packet in a batch.
struct Slot {
    bytes: Range<usize>,
    time: u64,
    original: u32,
}

/// What a program returned, and left in [`Batch::left`].
struct Left {
    judged: Judged,
    bytes: Range<usize>,
}

impl Batch {
    fn new(most: usize, as_captured: bool) -> Batch {
        Batch {
            most,
            as_captured,
            bytes: Vec::with_capacity(BATCH_BYTES),
            slots: Vec::with_capacity(most),
            left: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Takes packets out of the capture until it is full or there are no more. After an error the packets before it are
    /// there.
    fn fill(&mut self, capture: &mut Capture) -> Result<(), Diagnostic> {
        self.bytes.clear();
        self.slots.clear();
        while self.slots.len() < self.most && self.bytes.len() < BATCH_BYTES {
            let number = capture.packets() + 1;
            let Some(packet) = capture.next() else { break };
            let packet = packet?;
            let start = self.bytes.len();
            if self.as_captured || packet.link == LinkType::Ethernet {
                self.bytes.extend_from_slice(packet.data);
            } else {
                let frame = packet.ethernet_view().map_err(|why| why.note(format!("in packet {number}")))?;
                let (header, rest) = frame.parts();
                self.bytes.extend_from_slice(header);
                self.bytes.extend_from_slice(rest);
            }
            let added = (self.bytes.len() - start).saturating_sub(packet.data.len()) as u32;
            let original = packet.original_len.saturating_add(added);
            self.slots.push(Slot { bytes: start..self.bytes.len(), time: packet.timestamp_ns, original });
        }
        Ok(())
    }

    /// Runs the program over its packets. This is what is timed.
    fn run(&mut self, engine: &mut impl Engine, repeat: u32, keep: bool, ran: &mut Ran) {
        self.left.clear();
        self.ends.clear();
        let (slots, bytes, ends) = (&self.slots, &self.bytes, &mut self.ends);
        // The packet that runs, and how many runs it still has.
        let now = Cell::new((0, repeat));
        let mut packets = iter::from_fn(|| {
            let slot = slots.get(now.get().0)?;
            Some(Packet { data: &bytes[slot.bytes.clone()], time: slot.time, ..Packet::default() })
        });
        let mut start = 0;
        engine.run_all(&mut packets, keep.then_some(&mut self.left), |end, left| {
            let totals = &mut ran.totals;
            let (number, runs) = now.get();
            totals.runs += 1;
            if let Ok(judged) = &end
                && runs > 1
            {
                totals.insns += judged.insns;
                now.set((number, runs - 1));
                if let Some(left) = left {
                    left.truncate(start);
                }
                return ControlFlow::Continue(());
            }
            now.set((number + 1, repeat));
            totals.packets += 1;
            totals.bytes += slots[number].bytes.len() as u64;
            let before = std::mem::replace(&mut start, left.map_or(0, |left| left.len()));
            match end {
                Ok(judged) => {
                    totals.insns += judged.insns;
                    totals.count(judged.code);
                    if let Some(why) = judged.dropped {
                        *totals.dropped.entry(why).or_default() += 1;
                    }
                    totals.changed += u64::from(judged.changed);
                    if keep {
                        ends.push(Ok(Left { judged, bytes: before..start }));
                    }
                }
                Err(Stopped::Refused(why)) => {
                    totals.refused += 1;
                    if keep {
                        ends.push(Err(why.to_string()));
                    }
                    let first = (why.diagnostic().clone(), totals.packets);
                    totals.refusal.get_or_insert(first);
                }
                Err(Stopped::Trap(fault)) => {
                    totals.stopped += 1;
                    totals.insns += fault.insns;
                    if keep {
                        ends.push(Err(fault.diagnostic().to_string()));
                    }
                    let number = totals.packets;
                    ran.exhausted = matches!(fault.trap.kind, TrapKind::Budget);
                    ran.fault.get_or_insert((fault, number));
                    if ran.exhausted {
                        return ControlFlow::Break(());
                    }
                }
            }
            ControlFlow::Continue(())
        });
    }

    /// Gives packets and what became of them to those who want them.
    fn hand_out(&mut self, first: u64, outputs: &mut Outputs) -> Result<(), Failure> {
        for ((number, slot), end) in (first..).zip(&self.slots).zip(self.ends.drain(..)) {
            let original = &self.bytes[slot.bytes.clone()];
            let end = end.map(|left| End {
                code: left.judged.code,
                name: left.judged.name,
                bytes: &self.left[left.bytes],
                redirect: left.judged.redirect,
                dropped: left.judged.dropped,
            });
            outputs.take(&Outcome { number, time: slot.time, length: slot.original, original, end })?;
        }
        Ok(())
    }
}
