//! Alignment: always of the stack and of atomics, elsewhere only where the program asks for it.

use crate::{
    scalar::Tnum,
    state::Kind,
    stop::{Check, reject},
    verifier::Verifier,
};

/// How network headers lie behind a packet's start, so that IP headers are aligned.
const NET_IP_ALIGN: i64 = 2;

impl Verifier<'_> {
    pub(super) fn check_alignment(&mut self, regno: u8, off: i64, size: i64, strict_once: bool) -> Check {
        let reg = *self.reg(regno);
        let strict = self.strict_alignment || strict_once || reg.ty.kind == Kind::Stack;
        if !strict || size == 1 {
            return Ok(());
        }
        let aligned = |shift: i64| {
            let at = reg.val.bits.add(Tnum::known((shift + i64::from(reg.off) + off) as u64));
            at.is_aligned(size as u64)
        };
        if reg.ty.is_packet() {
            if !aligned(NET_IP_ALIGN) {
                reject!(
                    self,
                    EACCES,
                    "misaligned packet access off {NET_IP_ALIGN}+{}+{}+{off} size {size}\n",
                    reg.val.bits,
                    reg.off
                );
            }
            return Ok(());
        }
        let name = match reg.ty.kind {
            Kind::FlowKeys => "flow keys ",
            Kind::MapKey => "key ",
            Kind::MapValue => "value ",
            Kind::Ctx => "context ",
            Kind::Stack => "stack ",
            Kind::Socket => "sock ",
            Kind::SockCommon => "sock_common ",
            Kind::TcpSock => "tcp_sock ",
            Kind::XdpSock => "xdp_sock ",
            _ => "",
        };
        if !aligned(0) {
            reject!(self, EACCES, "misaligned {name}access off {}+{}+{off} size {size}\n", reg.val.bits, reg.off);
        }
        Ok(())
    }

    /// The alignment of a number that a helper reads or writes.
    pub(crate) fn check_number_alignment(&mut self, regno: u8, size: i64) -> Check {
        self.check_alignment(regno, 0, size, true)
    }
}
