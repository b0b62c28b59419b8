//! Packets through a program, one after the other, at little cost for each.

mod routed;

use super::UserProgram;
use crate::{Context, Error, Kind, Outcome, Redirect, Result, error::OrKind};
use alveary_abi::ProgType;
use alveary_diag::{Diagnostic, Place};
use alveary_net::{Dropped, SkBuff, Skb, Start, Xdp, XdpBuff};
use alveary_runtime::{Batch, Fault, Feed, Ran, Runtime, Vcpu};
use std::{fmt, ops::ControlFlow, sync::Arc};

/// A packet on its way in.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Its bytes, from the Ethernet header on.
    pub data: &'a [u8],
    /// Number of the device that it came from.
    pub ifindex: u32,
    /// When it came, in ns; a virtual clock is set to it.
    pub time: u64,
}

impl Default for Packet<'_> {
    /// No bytes, from device 1 (the loopback device), at time zero.
    fn default() -> Self {
        Packet { data: &[], ifindex: 1, time: 0 }
    }
}

/// A virtual CPU that is ready to run one program over many packets: what does not change between them is done once,
/// and packet memory is used again.
///
/// ```
/// use alveary::{Object, Packet, Target};
/// # fn main() -> alveary::Result<()> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/count.bpf.o");
/// let loaded = Object::open(path)?.load(Target::user())?;
/// let program = loaded.program("count")?;
/// let mut cpu = loaded.target().vcpu(0)?;
/// let mut packets = program.packets(&mut cpu)?;
/// for data in [[0u8; 64], [1; 64]] {
///     let verdict = packets.run(&Packet { data: &data, ..Packet::default() }).map_err(|fault| fault.diagnostic()).unwrap();
///     assert_eq!(verdict.name(), Some("XDP_PASS"));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Packets<'c> {
    runtime: Arc<Runtime>,
    ty: ProgType,
    hook: Hook<'c>,
}

/// The hook that a program hangs on, with its packet memory.
#[derive(Debug)]
enum Hook<'c> {
    Xdp(Batch<'c, Xdp>, XdpBuff),
    Skb(Batch<'c, Skb>, SkBuff),
    /// A route's: lightweight tunnels and SRv6 endpoints.
    Routed(Batch<'c, Skb>, SkBuff),
}

impl<'c> Packets<'c> {
    pub(crate) fn new(cpu: &'c mut Vcpu, program: &UserProgram) -> Result<Packets<'c>> {
        let runtime = cpu.runtime().clone();
        let ty = program.0.program().ty;
        let hook = match ty {
            ProgType::XDP => Hook::Xdp(cpu.batch(&program.0).or_kind(Kind::Unsupported)?, XdpBuff::new()),
            ProgType::SCHED_CLS | ProgType::SCHED_ACT | ProgType::SOCKET_FILTER => {
                Hook::Skb(cpu.batch(&program.0).or_kind(Kind::Unsupported)?, SkBuff::new())
            }
            ProgType::LWT_IN | ProgType::LWT_OUT | ProgType::LWT_XMIT | ProgType::LWT_SEG6LOCAL => {
                Hook::Routed(cpu.batch(&program.0).or_kind(Kind::Unsupported)?, SkBuff::new())
            }
            _ => return Err(no_packets(&runtime, program)),
        };
        Ok(Packets { runtime, ty, hook })
    }

    /// Runs the program over one packet. What became of it can be looked at until the next run.
    ///
    /// # Errors
    /// The trap that stopped the program.
    #[inline]
    pub fn run(&mut self, packet: &Packet<'_>) -> Result<Verdict<'_>, Box<Fault>> {
        let (ran, left) = match &mut self.hook {
            Hook::Xdp(batch, buff) => {
                take_xdp(buff, packet);
                batch.set_time(packet.time);
                (batch.run(buff)?, Left::Xdp(buff))
            }
            Hook::Skb(batch, buff) => {
                take_skb(buff, packet);
                batch.set_time(packet.time);
                (batch.run(buff)?, Left::Skb(buff))
            }
            Hook::Routed(batch, buff) => return routed::run(&self.runtime, self.ty, batch, buff, packet),
        };
        Ok(Verdict { runtime: &self.runtime, ty: self.ty, left, ran, dropped: None })
    }

    /// Runs the program over packet after packet, and hands each to `each` with what became of it, until that breaks off.
    /// It does the same as [`Packets::run`] for each of them, and costs less: programs are entered once for all.
    ///
    /// ```
    /// use alveary::{Object, Packet, Target};
    /// use std::ops::ControlFlow;
    /// # fn main() -> alveary::Result<()> {
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/count.bpf.o");
    /// let loaded = Object::open(path)?.load(Target::user())?;
    /// let mut cpu = loaded.target().vcpu(0)?;
    /// let packets = [[0u8; 64], [1; 64]];
    /// let mut passed = 0;
    /// let packets = packets.iter().map(|data| Packet { data, ..Packet::default() });
    /// loaded.program("count")?.packets(&mut cpu)?.run_batch(packets, |_, verdict| {
    ///     passed += u32::from(verdict.is_ok_and(|verdict| verdict.name() == Some("XDP_PASS")));
    ///     ControlFlow::Continue(())
    /// });
    /// assert_eq!(passed, 2);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn run_batch<'p>(
        &mut self,
        packets: impl IntoIterator<Item = Packet<'p>>,
        each: impl FnMut(&Packet<'p>, Result<Verdict<'_>, Box<Fault>>) -> ControlFlow<()>,
    ) {
        let (packets, last) = (packets.into_iter(), Packet::default());
        let (runtime, ty) = (&*self.runtime, self.ty);
        match &mut self.hook {
            Hook::Xdp(batch, buff) => batch.run_all(&mut Fed { packets, last, buff, runtime, ty, each }),
            Hook::Skb(batch, buff) => batch.run_all(&mut Fed { packets, last, buff, runtime, ty, each }),
            Hook::Routed(batch, buff) => {
                batch.run_all(&mut routed::Fed(Fed { packets, last, buff, runtime, ty, each }));
            }
        }
    }
}

fn take_xdp(buff: &mut XdpBuff, packet: &Packet<'_>) {
    buff.set(packet.data);
    buff.set_ingress(packet.ifindex, 0);
}

fn take_skb(buff: &mut SkBuff, packet: &Packet<'_>) {
    buff.set(packet.data, Start::Link);
    buff.set_ingress(packet.ifindex, packet.time);
}

/// Packets on their way into one buffer.
struct Fed<'b, 'p, I, B, E> {
    packets: I,
    last: Packet<'p>,
    buff: &'b mut B,
    runtime: &'b Runtime,
    ty: ProgType,
    each: E,
}

impl<'p, I, E> Feed<Xdp> for Fed<'_, 'p, I, XdpBuff, E>
where
    I: Iterator<Item = Packet<'p>>,
    E: FnMut(&Packet<'p>, Result<Verdict<'_>, Box<Fault>>) -> ControlFlow<()>,
{
    #[inline]
    fn next(&mut self) -> Option<(&XdpBuff, u64)> {
        self.last = self.packets.next()?;
        take_xdp(self.buff, &self.last);
        Some((self.buff, self.last.time))
    }

    #[inline]
    fn ran(&mut self, end: Result<Ran, Box<Fault>>) -> ControlFlow<()> {
        let (runtime, ty, left) = (self.runtime, self.ty, Left::Xdp(self.buff));
        (self.each)(&self.last, end.map(|ran| Verdict { runtime, ty, left, ran, dropped: None }))
    }
}

impl<'p, I, E> Feed<Skb> for Fed<'_, 'p, I, SkBuff, E>
where
    I: Iterator<Item = Packet<'p>>,
    E: FnMut(&Packet<'p>, Result<Verdict<'_>, Box<Fault>>) -> ControlFlow<()>,
{
    #[inline]
    fn next(&mut self) -> Option<(&SkBuff, u64)> {
        self.last = self.packets.next()?;
        take_skb(self.buff, &self.last);
        Some((self.buff, self.last.time))
    }

    #[inline]
    fn ran(&mut self, end: Result<Ran, Box<Fault>>) -> ControlFlow<()> {
        let (runtime, ty, left) = (self.runtime, self.ty, Left::Skb(self.buff));
        (self.each)(&self.last, end.map(|ran| Verdict { runtime, ty, left, ran, dropped: None }))
    }
}

/// What became of a packet.
pub struct Verdict<'p> {
    runtime: &'p Runtime,
    ty: ProgType,
    left: Left<'p>,
    ran: Ran,
    dropped: Option<Dropped>,
}

/// The packet as the program left it.
#[derive(Clone, Copy)]
enum Left<'p> {
    Xdp(&'p XdpBuff),
    Skb(&'p SkBuff),
}

impl Verdict<'_> {
    /// What the program returned: 32 bits, as every packet hook reads it. `BPF_DROP` if the stack dropped the packet,
    /// whatever that was.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self.dropped {
            Some(_) => routed::BPF_DROP,
            None => self.ran.value as u32 as i32,
        }
    }

    /// Why the stack dropped the packet before the program saw it or after, if it did: routes do.
    #[must_use]
    pub fn dropped(&self) -> Option<Dropped> {
        self.dropped
    }

    /// The name of what it returned (`XDP_DROP`), if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        self.runtime.kernel().profile.verdict_name(self.ty, self.code())
    }

    /// Instructions that were executed.
    #[must_use]
    pub fn insns(&self) -> u64 {
        self.ran.insns
    }

    /// Where the packet was sent, if the program redirected it.
    #[must_use]
    pub fn redirect(&self) -> Option<Redirect> {
        let profile = &self.runtime.kernel().profile;
        match self.left {
            Left::Xdp(buff) => buff.verdict(profile, self.ran.value).redirect,
            Left::Skb(_) if self.dropped.is_some() => None,
            Left::Skb(buff) => buff.verdict(profile, self.ty, self.ran.value).redirect,
        }
    }

    /// Whether the packet, as it would be sent, is still `original`.
    #[must_use]
    pub fn is(&self, original: &[u8]) -> bool {
        match self.left {
            Left::Xdp(buff) => buff.is(original),
            Left::Skb(buff) => buff.wire_is(original),
        }
    }

    /// The packet as it would be sent, from its Ethernet header on.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self.left {
            Left::Xdp(buff) => buff.to_vec(),
            Left::Skb(buff) => buff.to_wire(),
        }
    }

    /// What the program left in its context.
    #[must_use]
    pub fn context(&self) -> Context {
        match self.left {
            Left::Xdp(buff) => Context::xdp(buff.meta()),
            Left::Skb(buff) => Context::skb(buff.mark(), buff.priority(), buff.cb(), buff.tstamp()),
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        Outcome { value: self.code() as u32, data: self.bytes(), redirect: self.redirect(), insns: self.ran.insns }
    }
}

impl fmt::Debug for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verdict").field("code", &self.code()).field("name", &self.name()).finish_non_exhaustive()
    }
}

fn no_packets(runtime: &Runtime, program: &UserProgram) -> Error {
    let spec = program.0.program();
    let name = runtime.kernel().profile.prog_type(spec.ty).map_or("an embedder's own", |row| row.name);
    let message = format!("program `{}` cannot be run over packets", spec.name);
    let why = Diagnostic::new("no-packets", message, Place::Nowhere)
        .expected("a program of type xdp, sched_cls, sched_act, socket_filter or lwt_in, _out, _xmit, _seg6local")
        .found(format!("type {name}"));
    Error::new(Kind::Unsupported, why)
}
