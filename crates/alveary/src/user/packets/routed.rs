//! Packets through a route's program: some are dropped before it sees them, some after.

use super::{Left, Packet, Verdict};
use alveary_abi::ProgType;
use alveary_net::{Dropped, SkBuff, Skb, seg6::Policy};
use alveary_runtime::{Batch, Fault, Feed, Ran, Runtime};
use std::ops::ControlFlow;

pub(super) const BPF_DROP: i32 = 2;

/// Runs the program over one packet, if it comes so far.
pub(super) fn run<'v>(
    runtime: &'v Runtime,
    ty: ProgType,
    batch: &mut Batch<'_, Skb>,
    buff: &'v mut SkBuff,
    packet: &Packet<'_>,
) -> Result<Verdict<'v>, Box<Fault>> {
    match take(buff, ty, packet) {
        Ok(()) => {
            batch.set_time(packet.time);
            let ran = batch.run(buff)?;
            Ok(left(runtime, ty, buff, ran))
        }
        Err(why) => Ok(stopped(runtime, ty, buff, why)),
    }
}

fn take(buff: &mut SkBuff, ty: ProgType, packet: &Packet<'_>) -> Result<(), Dropped> {
    buff.set_routed(packet.data, ty, &Policy::default())?;
    buff.set_ingress(packet.ifindex, packet.time);
    Ok(())
}

/// What became of a packet that the program saw.
fn left<'v>(runtime: &'v Runtime, ty: ProgType, buff: &'v SkBuff, ran: Ran) -> Verdict<'v> {
    let dropped = buff.leave(ty, ran.value).err();
    Verdict { runtime, ty, left: Left::Skb(buff), ran, dropped }
}

/// What became of one that it did not.
fn stopped<'v>(runtime: &'v Runtime, ty: ProgType, buff: &'v SkBuff, why: Dropped) -> Verdict<'v> {
    let ran = Ran { value: BPF_DROP as u64, insns: 0 };
    Verdict { runtime, ty, left: Left::Skb(buff), ran, dropped: Some(why) }
}

/// Packets on their way into one buffer.
pub(super) struct Fed<'b, 'p, I, E>(pub(super) super::Fed<'b, 'p, I, SkBuff, E>);

impl<'p, I, E> Feed<Skb> for Fed<'_, 'p, I, E>
where
    I: Iterator<Item = Packet<'p>>,
    E: FnMut(&Packet<'p>, Result<Verdict<'_>, Box<Fault>>) -> ControlFlow<()>,
{
    fn next(&mut self) -> Option<(&SkBuff, u64)> {
        let fed = &mut self.0;
        loop {
            fed.last = fed.packets.next()?;
            match take(fed.buff, fed.ty, &fed.last) {
                Ok(()) => return Some((fed.buff, fed.last.time)),
                Err(why) => {
                    let verdict = stopped(fed.runtime, fed.ty, fed.buff, why);
                    if (fed.each)(&fed.last, Ok(verdict)).is_break() {
                        return None;
                    }
                }
            }
        }
    }

    fn ran(&mut self, end: Result<Ran, Box<Fault>>) -> ControlFlow<()> {
        let fed = &mut self.0;
        (fed.each)(&fed.last, end.map(|ran| left(fed.runtime, fed.ty, fed.buff, ran)))
    }
}
