//! Contexts of programs that pick or watch sockets: messages, reuseport groups, lookups.

use crate::{
    Access, CtxLayout, FieldKind, ProgSet, ProgType as P, Scope, Sizes, Version,
    context::{Field, long, word},
};

/// `struct sk_msg_md`.
pub static SK_MSG: CtxLayout = CtxLayout { name: "sk_msg_md", size: 80, fields: MESSAGE };
/// `struct sk_reuseport_md`.
pub static SK_REUSEPORT: CtxLayout = CtxLayout { name: "sk_reuseport_md", size: 56, fields: REUSEPORT };
/// `struct bpf_sk_lookup`.
pub static SK_LOOKUP: CtxLayout = CtxLayout { name: "bpf_sk_lookup", size: 72, fields: LOOKUP };

const fn read(ty: P) -> (Scope, Access) {
    (Scope::of(ProgSet::of(&[ty]), Version(0, 0)), Access::Read)
}

const MSG: &[(Scope, Access)] = &[read(P::SK_MSG)];
const PORT: &[(Scope, Access)] = &[read(P::SK_REUSEPORT)];
const FIND: &[(Scope, Access)] = &[read(P::SK_LOOKUP)];

const MESSAGE: &[Field] = &[
    long("data", 0).gives(FieldKind::PacketStart).by(MSG),
    long("data_end", 8).gives(FieldKind::PacketEnd).by(MSG),
    word("family", 16).by(MSG),
    word("remote_ip4", 20).by(MSG),
    word("local_ip4", 24).by(MSG),
    word("remote_ip6", 28).times(4).by(MSG),
    word("local_ip6", 44).times(4).by(MSG),
    word("remote_port", 60).by(MSG),
    word("local_port", 64).by(MSG),
    word("size", 68).by(MSG),
    long("sk", 72).gives(FieldKind::Socket).by(MSG),
];

const REUSEPORT: &[Field] = &[
    long("data", 0).gives(FieldKind::PacketStart).by(PORT),
    long("data_end", 8).gives(FieldKind::PacketEnd).by(PORT),
    word("len", 16).narrow().by(PORT),
    word("eth_protocol", 20).sized(Sizes::Halves).by(PORT),
    word("ip_protocol", 24).narrow().by(PORT),
    word("bind_inany", 28).narrow().by(PORT),
    word("hash", 32).by(PORT),
    long("sk", 40).gives(FieldKind::Socket).by(PORT),
    long("migrating_sk", 48).gives(FieldKind::SockCommonOrNull).since(5, 14).by(PORT),
];

const LOOKUP: &[Field] = &[
    long("sk", 0).gives(FieldKind::SocketOrNull).by(FIND),
    word("family", 8).narrow().by(FIND),
    word("protocol", 12).narrow().by(FIND),
    word("remote_ip4", 16).narrow().by(FIND),
    word("remote_ip6", 20).times(4).narrow().by(FIND),
    word("remote_port", 36).narrow().by(FIND),
    word("local_ip4", 40).narrow().by(FIND),
    word("local_ip6", 44).times(4).narrow().by(FIND),
    word("local_port", 60).narrow().by(FIND),
    word("ingress_ifindex", 64).narrow().since(5, 17).by(FIND),
];
