//! The family of programs that see a socket buffer: where their context's fields stand, which helpers they have.

use super::{Fields, SkBuff, bytes, checksum, hash, lwt, meta, place, redirect, room, srv6, vlan};
use crate::Net;
use alveary_abi::ProgType;
use alveary_isa::Width;
use alveary_runtime::{Backing, Bind, Family, LEGACY_LOAD, Step, Store, helpers};
use alveary_vm::Region;
use std::mem::offset_of;

/// The family of classifiers, actions, socket filters, lightweight tunnels and SRv6 endpoints.
#[derive(Debug)]
pub struct Skb;

/// A field that stands in the context in this width.
macro_rules! read {
    ($name:ident, $width:ident) => {
        Backing::read(stringify!($name), &[Step::Load(Width::$width, place!($name) as u16)])
    };
}

/// The same, written too: values above `max` are not.
macro_rules! write {
    ($name:ident, $width:ident, $max:expr) => {
        Backing {
            field: stringify!($name),
            load: &[Step::Load(Width::$width, place!($name) as u16)],
            store: Some(Store { width: Width::$width, off: place!($name) as u16, max: $max }),
        }
    };
}

const ANY: u64 = u64::MAX;
/// `NO_QUEUE_MAPPING` is no queue.
const LAST_QUEUE: u64 = 0xfffe;

// SAFETY: each backing is a cell of `SkBuff` of that width (`cb` an array of five). The region is the packet: bytes of
// `Memory`, which are cells; it moves only when a helper whose row says `changes_packet` runs, and in `set`, `set_ip` and
// `get_ip`, which take the buffer mutably.
unsafe impl Family for Skb {
    type Ctx = SkBuff;
    type State = Net;
    const NAME: &'static str = "skb";
    const TYPES: &'static [ProgType] = &[
        ProgType::SOCKET_FILTER,
        ProgType::SCHED_CLS,
        ProgType::SCHED_ACT,
        ProgType::LWT_IN,
        ProgType::LWT_OUT,
        ProgType::LWT_XMIT,
        ProgType::LWT_SEG6LOCAL,
    ];

    fn backings() -> &'static [Backing] {
        const {
            &[
                read!(len, B4),
                read!(pkt_type, B4),
                write!(mark, B4, ANY),
                write!(queue_mapping, B2, LAST_QUEUE),
                read!(protocol, B2),
                read!(vlan_present, B4),
                read!(vlan_tci, B2),
                read!(vlan_proto, B2),
                write!(priority, B4, ANY),
                read!(ingress_ifindex, B4),
                read!(ifindex, B4),
                write!(tc_index, B2, ANY),
                write!(cb, B4, ANY),
                read!(hash, B4),
                write!(tc_classid, B2, ANY),
                Backing::read("data", &[Step::Load(Width::B8, offset_of!(SkBuff, data) as u16)]),
                Backing::read("data_end", &[Step::Load(Width::B8, offset_of!(SkBuff, data_end) as u16)]),
                // There is no metadata: it begins where the packet does.
                Backing::read("data_meta", &[Step::Load(Width::B8, offset_of!(SkBuff, data) as u16)]),
                Backing::read("napi_id", &[Step::Const(0)]),
                write!(tstamp, B8, ANY),
                read!(wire_len, B4),
                read!(gso_segs, B2),
                Backing::read("sk", &[Step::Const(0)]),
                read!(gso_size, B2),
                read!(tstamp_type, B1),
                read!(hwtstamp, B8),
            ]
        }
    }

    fn helpers() -> &'static [Bind] {
        ALL
    }

    fn regions(ctx: &SkBuff, add: &mut dyn FnMut(Region)) {
        let addr = ctx.data.get();
        add(Region { addr, len: ctx.data_end.get() - addr, write: ctx.writable, slots: None });
    }
}

const ALL: &[Bind] = helpers![Skb;
    own LEGACY_LOAD => bytes::legacy_load,
    SKB_LOAD_BYTES => bytes::load_bytes,
    SKB_LOAD_BYTES_RELATIVE => bytes::load_bytes_relative,
    SKB_STORE_BYTES => bytes::store_bytes,
    SKB_PULL_DATA => bytes::pull_data,
    PERF_EVENT_OUTPUT => bytes::event_output,
    L3_CSUM_REPLACE => checksum::l3_replace,
    L4_CSUM_REPLACE => checksum::l4_replace,
    CSUM_UPDATE => checksum::update,
    CSUM_LEVEL => checksum::level,
    SKB_CHANGE_TAIL => room::change_tail,
    SKB_CHANGE_HEAD => room::change_head,
    SKB_CHANGE_PROTO => room::change_proto,
    SKB_ADJUST_ROOM => room::adjust,
    SKB_VLAN_PUSH => vlan::push,
    SKB_VLAN_POP => vlan::pop,
    REDIRECT => redirect::redirect,
    REDIRECT_PEER => redirect::redirect_peer,
    REDIRECT_NEIGH => redirect::redirect_neigh,
    CLONE_REDIRECT => redirect::clone_redirect,
    GET_HASH_RECALC => hash::recalc,
    SET_HASH => hash::set,
    SET_HASH_INVALID => hash::invalidate,
    SKB_CHANGE_TYPE => meta::change_type,
    GET_ROUTE_REALM => meta::zero,
    GET_CGROUP_CLASSID => meta::zero,
    SKB_CGROUP_ID => meta::zero,
    GET_SOCKET_COOKIE => meta::zero,
    GET_SOCKET_UID => meta::nobody,
    LWT_PUSH_ENCAP => lwt::push_encap,
    LWT_SEG6_STORE_BYTES => srv6::store_bytes,
    LWT_SEG6_ADJUST_SRH => srv6::adjust_srh,
    LWT_SEG6_ACTION => srv6::action,
];
