//! `struct xdp_md`: what an XDP program sees of a frame and where it came from.

use crate::{
    Access, AttachType, CtxLayout, FieldKind, ProgSet, ProgType, Scope, Version,
    context::{Field, word},
};

/// `struct xdp_md`. Nothing in it can be written (but on offloading devices); all loads are of 4 bytes.
pub static XDP_MD: CtxLayout = CtxLayout { name: "xdp_md", size: 24, fields: FIELDS };

const READ: &[(Scope, Access)] = &[(XDP, Access::Read)];
const XDP: Scope = Scope::of(ProgSet::of(&[ProgType::XDP]), Version(4, 8));

/// Only a program in a devmap runs after its frame's way out is known.
const READ_IN_DEVMAP: &[(Scope, Access)] = &[(Scope { attach: Some(&[AttachType::XDP_DEVMAP]), ..XDP }, Access::Read)];

const FIELDS: &[Field] = &[
    word("data", 0).gives(FieldKind::PacketStart).since(4, 8).by(READ),
    word("data_end", 4).gives(FieldKind::PacketEnd).since(4, 8).by(READ),
    word("data_meta", 8).gives(FieldKind::PacketMeta).since(4, 15).by(READ),
    word("ingress_ifindex", 12).since(4, 16).by(READ),
    word("rx_queue_index", 16).since(4, 16).by(READ),
    word("egress_ifindex", 20).since(5, 8).by(READ_IN_DEVMAP),
];
