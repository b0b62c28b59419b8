//! Fields of contexts and of sockets: what each may be used for stands in the tables.

use super::Access;
use crate::{
    state::{Kind, Reg, Type},
    stop::{Check, refuse, reject},
    verifier::Verifier,
};
use alveary_abi::{CtxLayout, Field, FieldKind, ProgType as P, contexts};

impl Verifier<'_> {
    /// One access to the context; what a load gives.
    pub(super) fn check_context(&mut self, off: i64, size: i64, access: Access, signed: bool) -> Check<Reg> {
        let program = self.program.program;
        let Some(row) = self.profile.prog_type(program.ty) else { refuse!("programs of a type without a row") };
        let Some(layout) = row.ctx else { refuse!("the context of {} programs", row.name) };
        let store = access == Access::Write;
        let field = find(layout, off, size, store).filter(|field| {
            let allowed = field.access(program.ty, self.program.expected, self.profile.version);
            let pointer = field.kind != FieldKind::Scalar;
            !(signed && pointer)
                && field.since <= self.profile.version
                && (self.env.caps.bpf || !self.needs_rights(field, store))
                && allowed.is_some_and(|a| if store { a.writes() } else { a.reads() })
        });
        let Some(field) = field else {
            self.log.say(format_args!("invalid bpf_context access off={off} size={size}\n"));
            self.print_line(self.insn);
            return Err(crate::stop::Stop::Rejected(alveary_abi::Errno::EACCES));
        };
        let pointer = |kind| Reg::pointer(Type::of(kind));
        let or_null = |kind, id| Reg { id, ..Reg::pointer(Type::of(kind).or_null()) };
        Ok(match field.kind {
            FieldKind::Scalar => Reg::UNKNOWN,
            FieldKind::PacketStart => pointer(Kind::Packet),
            FieldKind::PacketMeta => pointer(Kind::PacketMeta),
            FieldKind::PacketEnd => pointer(Kind::PacketEnd),
            FieldKind::FlowKeys => pointer(Kind::FlowKeys),
            FieldKind::Socket => pointer(Kind::Socket),
            FieldKind::TraceBuffer => pointer(Kind::TpBuffer),
            FieldKind::SockCommonOrNull => or_null(Kind::SockCommon, self.next_id()),
            FieldKind::SocketOrNull => or_null(Kind::Socket, self.next_id()),
            FieldKind::Btf(name) => refuse!("a pointer to the kernel's struct {name}"),
        })
    }

    /// Whether ordinary users may not use the field: of a control group's packets, where they lie, and when they leave.
    fn needs_rights(&self, field: &Field, store: bool) -> bool {
        let packet = matches!(field.kind, FieldKind::PacketStart | FieldKind::PacketEnd);
        self.program.program.ty == P::CGROUP_SKB && (packet || store && field.name == "tstamp")
    }

    /// One load from a socket.
    pub(super) fn check_socket(&mut self, regno: u8, off: i64, size: i64) -> Check {
        let reg = *self.reg(regno);
        if reg.val.wide.smin < 0 {
            reject!(
                self,
                EACCES,
                "R{regno} min value is negative, either use unsigned index or do a if (index >=0) check.\n"
            );
        }
        let layout = match reg.ty.kind {
            Kind::TcpSock => &contexts::TCP_SOCK,
            Kind::XdpSock => &contexts::XDP_SOCK,
            Kind::SockCommon => &contexts::SOCK_COMMON,
            _ => &contexts::SOCK,
        };
        if find(layout, off, size, false).is_none() {
            reject!(self, EACCES, "R{regno} invalid {} access off={off} size={size}\n", reg.ty);
        }
        Ok(())
    }
}

/// The field that an access of these bytes is to, if its size and alignment are allowed.
fn find(layout: &'static CtxLayout, off: i64, size: i64, store: bool) -> Option<&'static alveary_abi::Field> {
    let (off, size) = (u16::try_from(off).ok()?, u16::try_from(size).ok()?);
    layout.at(off).filter(|field| field.admits(off, size, store))
}
