//! `struct __sk_buff`: what the programs of classifiers, sockets, cgroups and tunnels see of a packet.

use crate::{
    Access, CtxLayout, FieldKind, ProgSet, ProgType, Scope, Sizes, Version,
    context::{Field, byte, long, word},
};

/// `struct __sk_buff`.
pub static SK_BUFF: CtxLayout = CtxLayout { name: "__sk_buff", size: 192, fields: FIELDS };

const SOCKET_FILTER: ProgSet = ProgSet::of(&[ProgType::SOCKET_FILTER]);
const TC: ProgSet = ProgSet::of(&[ProgType::SCHED_CLS, ProgType::SCHED_ACT]);
const CGROUP: ProgSet = ProgSet::of(&[ProgType::CGROUP_SKB]);
const LWT: ProgSet = ProgSet::of(&[ProgType::LWT_IN, ProgType::LWT_OUT, ProgType::LWT_XMIT, ProgType::LWT_SEG6LOCAL]);
const SK_SKB: ProgSet = ProgSet::of(&[ProgType::SK_SKB]);
const FLOW_DISSECTOR: ProgSet = ProgSet::of(&[ProgType::FLOW_DISSECTOR]);

/// Everyone but the flow dissector, who sees no more of a packet than its bytes.
const ALL: ProgSet = SOCKET_FILTER.or(TC).or(CGROUP).or(LWT).or(SK_SKB);

const fn read(progs: ProgSet) -> (Scope, Access) {
    (Scope::of(progs, Version(0, 0)), Access::Read)
}

const fn read_write(progs: ProgSet) -> (Scope, Access) {
    (Scope::of(progs, Version(0, 0)), Access::ReadWrite)
}

const PACKET: &[(Scope, Access)] = &[read(TC.or(CGROUP).or(LWT).or(SK_SKB).or(FLOW_DISSECTOR))];
const SOCKET: &[(Scope, Access)] = &[read(CGROUP.or(SK_SKB))];

const FIELDS: &[Field] = &[
    word("len", 0).narrow().by(&[read(ALL)]),
    word("pkt_type", 4).narrow().by(&[read(ALL)]),
    word("mark", 8).narrow().by(&[read_write(TC.or(CGROUP).or(LWT)), read(SOCKET_FILTER)]),
    word("queue_mapping", 12).narrow().by(&[read_write(TC), read(ALL)]),
    word("protocol", 16).narrow().by(&[read(ALL)]),
    word("vlan_present", 20).narrow().by(&[read(ALL)]),
    word("vlan_tci", 24).narrow().by(&[read(ALL)]),
    word("vlan_proto", 28).narrow().by(&[read(ALL)]),
    word("priority", 32).narrow().by(&[read_write(TC.or(CGROUP).or(LWT).or(SK_SKB)), read(SOCKET_FILTER)]),
    word("ingress_ifindex", 36).narrow().since(4, 2).by(&[read(ALL)]),
    word("ifindex", 40).narrow().since(4, 2).by(&[read(ALL)]),
    word("tc_index", 44).narrow().since(4, 2).by(&[read_write(TC.or(SK_SKB)), read(ALL)]),
    word("cb", 48)
        .times(5)
        .sized(Sizes::Any)
        .since(4, 2)
        .by(&[read_write(SOCKET_FILTER.or(TC).or(CGROUP).or(LWT)), read(SK_SKB)]),
    word("hash", 68).narrow().since(4, 3).by(&[read(ALL)]),
    word("tc_classid", 72).narrow().since(4, 4).by(&[read_write(TC)]),
    word("data", 76).gives(FieldKind::PacketStart).since(4, 7).by(PACKET),
    word("data_end", 80).gives(FieldKind::PacketEnd).since(4, 7).by(PACKET),
    word("napi_id", 84).narrow().since(4, 12).by(&[read(ALL)]),
    word("family", 88).narrow().since(4, 14).by(SOCKET),
    word("remote_ip4", 92).since(4, 14).by(SOCKET),
    word("local_ip4", 96).since(4, 14).by(SOCKET),
    word("remote_ip6", 100).times(4).since(4, 14).by(SOCKET),
    word("local_ip6", 116).times(4).since(4, 14).by(SOCKET),
    word("remote_port", 132).narrow().since(4, 14).by(SOCKET),
    word("local_port", 136).narrow().since(4, 14).by(SOCKET),
    word("data_meta", 140).gives(FieldKind::PacketMeta).since(4, 15).by(&[read(TC)]),
    long("flow_keys", 144).gives(FieldKind::FlowKeys).since(4, 20).by(&[read(FLOW_DISSECTOR)]),
    long("tstamp", 152).since(5, 0).by(&[read_write(TC.or(CGROUP))]),
    word("wire_len", 160).narrow().since(5, 0).by(&[read(TC)]),
    word("gso_segs", 164).narrow().since(5, 1).by(&[read(ALL)]),
    long("sk", 168).gives(FieldKind::SockCommonOrNull).since(5, 1).by(&[read(ALL)]),
    word("gso_size", 176).narrow().since(5, 7).by(&[read(ALL)]),
    byte("tstamp_type", 180).since(5, 18).by(&[read(TC)]),
    long("hwtstamp", 184).since(5, 16).by(&[read(TC.or(CGROUP))]),
];
