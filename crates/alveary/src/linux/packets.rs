//! Packets through a program of the running kernel, one after the other.

use super::{Linux, LinuxProgram, failed, routed};
use crate::{Backend, Context, Error, Kind, Packet, Result};
use alveary_abi::{Profile, ProgType};
use alveary_diag::{Diagnostic, Place};
use alveary_linux::sys::TestRun;
use alveary_net::{Arrival, Dropped};
use std::os::fd::AsFd;

/// The most that a program can make of a packet: 64 KiB, and headers in front.
const ROOM: usize = 1 << 17;
/// `struct __sk_buff`: its size, and where some of its fields stand.
const SK_BUFF: usize = 192;
const SK_BUFF_MARK: usize = 8;
const SK_BUFF_PRIORITY: usize = 32;
const SK_BUFF_CB: usize = 48;
const SK_BUFF_TIME: usize = 152;
/// `struct xdp_md`: its size, and where its first three fields stand.
const XDP_MD: usize = 24;
const XDP_MD_DATA: usize = 0;
const XDP_MD_DATA_END: usize = 4;
/// An Ethernet header.
const HEADER: usize = 14;

/// A program of the kernel that is ready to run over many packets, by `BPF_PROG_TEST_RUN`: as attached, but that nothing
/// is sent anywhere.
#[derive(Debug)]
pub struct LinuxPackets {
    program: LinuxProgram,
    profile: Profile,
    /// A packet with another Ethernet header in front.
    wrapped: Vec<u8>,
    out: Vec<u8>,
    context_out: Vec<u8>,
}

impl LinuxPackets {
    pub(super) fn new(linux: &Linux, program: &LinuxProgram) -> Result<LinuxPackets> {
        let spec = program.program();
        let takes = [
            ProgType::XDP,
            ProgType::SCHED_CLS,
            ProgType::SCHED_ACT,
            ProgType::SOCKET_FILTER,
            ProgType::CGROUP_SKB,
            ProgType::LWT_IN,
            ProgType::LWT_OUT,
            ProgType::LWT_XMIT,
        ];
        let profile = linux.kernel().profile.clone();
        if !takes.contains(&spec.ty) {
            let name = profile.prog_type(spec.ty).map_or("unknown", |row| row.name);
            let message = format!("the kernel has no test run over packets for program `{}`", spec.name);
            let why = Diagnostic::new("no-packets", message, Place::Nowhere)
                .expected(
                    "a program of type xdp, sched_cls, sched_act, socket_filter, cgroup_skb or lwt_in, _out, _xmit",
                )
                .found(format!("type {name}"))
                .help("attach it, and send packets its way");
            return Err(Error::new(Kind::Unsupported, why));
        }
        let context_out = vec![0; if spec.ty == ProgType::XDP { XDP_MD } else { SK_BUFF }];
        Ok(LinuxPackets { program: program.clone(), profile, wrapped: Vec::new(), out: vec![0; ROOM], context_out })
    }

    /// Runs the program over one packet. What became of it can be looked at until the next run.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for a packet that the kernel takes for none: one without a whole Ethernet header, or one that
    /// does not fit a page.
    pub fn run(&mut self, packet: &Packet<'_>) -> Result<LinuxVerdict<'_>> {
        let ty = self.program.program().ty;
        let mut data = packet.data;
        let mut arrival = None;
        if routed::is_routed(ty) {
            match Arrival::of(data) {
                Ok(found) => {
                    routed::given(data, found, &mut self.wrapped);
                    data = &self.wrapped;
                    arrival = Some(found);
                }
                Err(why) => {
                    let len = data.len().min(self.out.len());
                    self.out[..len].copy_from_slice(&data[..len]);
                    self.context_out.fill(0);
                    let code = routed::BPF_DROP;
                    return Ok(LinuxVerdict {
                        packets: self,
                        bytes: 0..len,
                        code,
                        duration: 0,
                        dropped: Some(why),
                        padding: 0,
                    });
                }
            }
        } else if ty == ProgType::SOCKET_FILTER {
            // A test run hides the Ethernet header from them, which they see on packet sockets: it gets one to hide.
            let header = data.get(..HEADER).unwrap_or(&[0; HEADER]);
            self.wrapped.clear();
            self.wrapped.extend_from_slice(header);
            self.wrapped.extend_from_slice(data);
            data = &self.wrapped;
        }
        let mut context = vec![0; self.context_out.len()];
        if ty == ProgType::XDP {
            context[XDP_MD_DATA_END..][..4].copy_from_slice(&(data.len() as u32).to_ne_bytes());
        } else {
            context[SK_BUFF_TIME..][..8].copy_from_slice(&packet.time.to_ne_bytes());
        }
        let run = TestRun {
            data,
            data_out: &mut self.out,
            context,
            context_out: &mut self.context_out,
            repeat: 1,
            ..TestRun::default()
        };
        let outcome = run.run(self.program.as_fd()).map_err(|e| failed(e, Kind::Unsupported))?;
        let (mut start, mut end, mut code) = (0, outcome.data.min(self.out.len()), outcome.retval as i32);
        let (mut dropped, mut padding) = (None, 0);
        if let Some(arrival) = arrival {
            padding = packet.data.len() - arrival.start - arrival.len;
            end = routed::whole(packet.data, arrival, &mut self.out, end);
            dropped = routed::dropped(ty, code, arrival, &self.out[..end]);
            code = if dropped.is_some() { routed::BPF_DROP } else { code };
        } else if ty == ProgType::XDP {
            // What the program put in front as metadata is not sent.
            start = self.context_out[XDP_MD_DATA..].first_chunk().map_or(0, |b| u32::from_ne_bytes(*b)) as usize;
        } else if ty == ProgType::SOCKET_FILTER {
            start = HEADER;
        } else if !matches!(ty, ProgType::SCHED_CLS | ProgType::SCHED_ACT) {
            // Programs that do not see the Ethernet header leave it as it is; the kernel shows zeros in its place.
            let header = packet.data.len().min(HEADER);
            self.out[..header].copy_from_slice(&packet.data[..header]);
        }
        let (start, duration) = (start.min(end), outcome.duration);
        Ok(LinuxVerdict { packets: self, bytes: start..end, code, duration, dropped, padding })
    }
}

/// What became of a packet.
#[derive(Debug)]
pub struct LinuxVerdict<'p> {
    packets: &'p LinuxPackets,
    bytes: std::ops::Range<usize>,
    code: i32,
    duration: u32,
    dropped: Option<Dropped>,
    /// Bytes behind a routed packet that were cut off.
    padding: usize,
}

impl<'p> LinuxVerdict<'p> {
    /// What the program returned. `BPF_DROP` if the stack would drop the packet, whatever that was.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.code
    }

    /// Why the stack would drop the packet before the program saw it or after, if it would: routes do. The test run has no
    /// stack around it; this is what the user-space kernel's does.
    #[must_use]
    pub fn dropped(&self) -> Option<Dropped> {
        self.dropped
    }

    /// The name of what it returned (`XDP_DROP`), if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        self.packets.profile.verdict_name(self.packets.program.program().ty, self.code)
    }

    /// Time that it took, in ns, as the kernel measured it.
    #[must_use]
    pub fn duration(&self) -> u32 {
        self.duration
    }

    /// The packet as it would be sent, from its Ethernet header on.
    #[must_use]
    pub fn bytes(&self) -> &'p [u8] {
        &self.packets.out[self.bytes.clone()]
    }

    /// Whether the packet, as it would be sent, is still `original`.
    #[must_use]
    pub fn is(&self, original: &[u8]) -> bool {
        self.bytes() == &original[..original.len().saturating_sub(self.padding)]
    }

    /// What the program left in its context.
    #[must_use]
    pub fn context(&self) -> Context {
        let LinuxPackets { program, out, context_out, .. } = self.packets;
        if program.program().ty == ProgType::XDP {
            return Context::xdp(out[..self.bytes.start].to_vec());
        }
        let word = |at: usize| context_out[at..].first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
        let time = context_out[SK_BUFF_TIME..].first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        let cb = std::array::from_fn(|cell| word(SK_BUFF_CB + 4 * cell));
        Context::skb(word(SK_BUFF_MARK), word(SK_BUFF_PRIORITY), cb, time)
    }
}
