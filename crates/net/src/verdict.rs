//! What became of a packet: the return value, by name, and where it was redirected to.

use alveary_abi::{MapType, Profile, ProgType};
use std::{net::Ipv6Addr, sync::Arc};

/// The end of a run on a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What the program returned, as its hook reads it: a number of 32 bits.
    pub code: i32,
    /// Its name (`XDP_DROP`), if it has one.
    pub name: Option<&'static str>,
    /// Where the packet goes, if the verdict is a redirection.
    pub redirect: Option<Redirect>,
}

impl Verdict {
    pub(crate) fn new(profile: &Profile, ty: ProgType, value: u64, redirect: Option<Redirect>) -> Verdict {
        let code = value as u32 as i32;
        Verdict { code, name: profile.verdict_name(ty, code), redirect }
    }
}

/// Where a packet is redirected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// A device.
    Device {
        /// Its number.
        ifindex: u32,
        /// How it gets there.
        way: Way,
    },
    /// An entry of a map.
    Map {
        /// Name of the map.
        map: Arc<str>,
        /// Its type: devmap, cpumap, xskmap.
        ty: MapType,
        /// The key.
        key: u32,
        /// What the entry holds: a device's number, a queue size, a socket; `None` when it goes to every entry.
        value: Option<u32>,
        /// To every entry but that of the device that it came from (`BPF_F_EXCLUDE_INGRESS`).
        exclude_ingress: bool,
    },
    /// The way that an SRv6 action found.
    Route {
        /// The table of routes that was asked; 0 means those that the rules say.
        table: u32,
        /// The next hop, if the action named one; else the packet's destination says it.
        next_hop: Option<Ipv6Addr>,
    },
}

/// How a packet gets to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is sent.
    Egress,
    /// It is received there (`BPF_F_INGRESS`).
    Ingress,
    /// It is received by the device's peer in another namespace (`bpf_redirect_peer`).
    Peer,
    /// It is sent after a look at the neighbours (`bpf_redirect_neigh`).
    Neighbour,
}
