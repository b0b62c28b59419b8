//! What packets go through: a program on a target, or on both at once.

use alveary::{Context, Dropped, LinuxPackets, Packet, Packets, Redirect, Verdict, runtime::Fault};
use std::{ops::ControlFlow, time::Duration};

/// Runs a program over packets.
pub(super) trait Engine {
    /// Runs it over one packet; what it leaves of that goes into `left`, if someone wants to see it.
    fn run(&mut self, packet: &Packet<'_>, left: Option<&mut Vec<u8>>) -> Result<Judged, Stopped>;

    /// Runs it over packet after packet, and hands what became of each to `each`, until that breaks off.
    fn run_all<'p>(
        &mut self,
        packets: &mut impl Iterator<Item = Packet<'p>>,
        mut left: Option<&mut Vec<u8>>,
        mut each: impl FnMut(Result<Judged, Stopped>, Option<&mut Vec<u8>>) -> ControlFlow<()>,
    ) {
        for packet in packets {
            let end = self.run(&packet, left.as_deref_mut());
            if each(end, left.as_deref_mut()).is_break() {
                break;
            }
        }
    }

    /// Time that the program took since the last question, if the target measures it itself.
    fn took(&mut self) -> Option<Duration> {
        None
    }
}

/// What a program made of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) code: i32,
    /// The code's name, if it has one and someone wants to see it.
    pub(super) name: Option<&'static str>,
    pub(super) changed: bool,
    /// Instructions; 0 where they are not counted.
    pub(super) insns: u64,
    /// Where it was redirected, if someone wants to see it and the target says it.
    pub(super) redirect: Option<Redirect>,
    /// Why the stack dropped it, if that did.
    pub(super) dropped: Option<Dropped>,
}

/// Why there is no verdict.
pub(super) enum Stopped {
    /// The program was stopped.
    Trap(Box<Fault>),
    /// The target takes the packet for none.
    Refused(alveary::Error),
}

/// The user-space kernel.
pub(super) struct OnUser<'c>(pub(super) Packets<'c>);

impl OnUser<'_> {
    /// The same, with what the program left in its context.
    #[inline]
    pub(super) fn judge(
        &mut self,
        packet: &Packet<'_>,
        left: Option<&mut Vec<u8>>,
        context: Option<&mut Context>,
    ) -> Result<Judged, Stopped> {
        let verdict = self.0.run(packet).map_err(Stopped::Trap)?;
        if let Some(context) = context {
            *context = verdict.context();
        }
        Ok(judged(&verdict, packet, left))
    }
}

#[inline]
fn judged(verdict: &Verdict<'_>, packet: &Packet<'_>, left: Option<&mut Vec<u8>>) -> Judged {
    // What only those ask for who look at single packets costs more than a small program.
    let (name, redirect) = match left {
        Some(left) => {
            left.extend(verdict.bytes());
            (verdict.name(), verdict.redirect())
        }
        None => (None, None),
    };
    let changed = !verdict.is(packet.data);
    Judged { code: verdict.code(), name, changed, insns: verdict.insns(), redirect, dropped: verdict.dropped() }
}

impl Engine for OnUser<'_> {
    #[inline]
    fn run(&mut self, packet: &Packet<'_>, left: Option<&mut Vec<u8>>) -> Result<Judged, Stopped> {
        self.judge(packet, left, None)
    }

    #[inline]
    fn run_all<'p>(
        &mut self,
        packets: &mut impl Iterator<Item = Packet<'p>>,
        mut left: Option<&mut Vec<u8>>,
        mut each: impl FnMut(Result<Judged, Stopped>, Option<&mut Vec<u8>>) -> ControlFlow<()>,
    ) {
        self.0.run_batch(packets, |packet, end| {
            let end = end.map(|verdict| judged(&verdict, packet, left.as_deref_mut())).map_err(Stopped::Trap);
            each(end, left.as_deref_mut())
        });
    }
}

/// The running kernel.
pub(super) struct OnLinux {
    packets: LinuxPackets,
    took: Duration,
}

impl OnLinux {
    pub(super) fn new(packets: LinuxPackets) -> OnLinux {
        OnLinux { packets, took: Duration::ZERO }
    }

    /// The same, with what the program left in its context.
    pub(super) fn judge(
        &mut self,
        packet: &Packet<'_>,
        left: Option<&mut Vec<u8>>,
        context: Option<&mut Context>,
    ) -> Result<Judged, Stopped> {
        let verdict = self.packets.run(packet).map_err(Stopped::Refused)?;
        if let Some(context) = context {
            *context = verdict.context();
        }
        self.took += Duration::from_nanos(verdict.duration().into());
        let name = left.is_some().then(|| verdict.name()).flatten();
        if let Some(left) = left {
            left.extend(verdict.bytes());
        }
        let changed = !verdict.is(packet.data);
        Ok(Judged { code: verdict.code(), name, changed, insns: 0, redirect: None, dropped: verdict.dropped() })
    }
}

impl Engine for OnLinux {
    fn run(&mut self, packet: &Packet<'_>, left: Option<&mut Vec<u8>>) -> Result<Judged, Stopped> {
        self.judge(packet, left, None)
    }

    fn took(&mut self) -> Option<Duration> {
        Some(std::mem::take(&mut self.took))
    }
}
