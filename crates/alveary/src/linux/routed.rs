//! Packets of tunnels, for the kernel's test run: what that leaves out of the way to the program, and of the way behind it.

use alveary_abi::ProgType;
use alveary_net::{Arrival, Dropped};

/// An Ethernet header, the address in front in it, and the bit of that which many share.
const HEADER: usize = 14;
const ADDRESS: usize = 6;
const MULTICAST: u8 = 1;
const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;
/// What programs return.
pub(super) const BPF_DROP: i32 = 2;
const BPF_OK: i32 = 0;

/// Whether programs of a type see packets on their way through a route.
pub(super) fn is_routed(ty: ProgType) -> bool {
    matches!(ty, ProgType::LWT_IN | ProgType::LWT_OUT | ProgType::LWT_XMIT)
}

/// What a route's program is given of a packet: no VLAN tags, no padding, for an address that is this machine's.
pub(super) fn given(packet: &[u8], arrival: Arrival, to: &mut Vec<u8>) {
    let (header, ip) = (packet.get(..HEADER - 2), packet.get(arrival.start..).and_then(|ip| ip.get(..arrival.len)));
    to.clear();
    to.extend_from_slice(header.unwrap_or(&[0; HEADER - 2]));
    to.extend_from_slice(&arrival.ethertype.to_be_bytes());
    to.extend_from_slice(ip.unwrap_or_default());
    if let [first, ..] = to.as_slice()
        && first & MULTICAST == 0
    {
        // The test run's device has this one.
        to.iter_mut().take(ADDRESS).for_each(|byte| *byte = 0);
    }
}

/// The packet with the headers that it came with, and what the test run left behind them (`out`, `end` bytes of it): its
/// length.
pub(super) fn whole(packet: &[u8], arrival: Arrival, out: &mut Vec<u8>, end: usize) -> usize {
    let Arrival { ethertype, start, .. } = arrival;
    let protocol = out.get(HEADER).filter(|_| end > HEADER).map_or(ethertype, |first| protocol(*first, ethertype));
    let left = end.saturating_sub(HEADER);
    if out.len() < start + left {
        out.resize(start + left, 0);
    }
    out.copy_within(HEADER..HEADER + left, start);
    // An arrival's packet reaches behind its `start`.
    out[..start].copy_from_slice(&packet[..start]);
    out[start - 2..start].copy_from_slice(&protocol.to_be_bytes());
    start + left
}

/// Why the stack drops a packet that the program, which returned `code`, did not: it made another protocol's of it and asked
/// for no new route.
pub(super) fn dropped(ty: ProgType, code: i32, arrival: Arrival, out: &[u8]) -> Option<Dropped> {
    let changed = out.get(arrival.start).is_some_and(|first| protocol(*first, arrival.ethertype) != arrival.ethertype);
    (ty == ProgType::LWT_XMIT && code == BPF_OK && changed).then_some(Dropped::NotRerouted)
}

/// The protocol of an IP packet, by its first byte.
fn protocol(first: u8, otherwise: u16) -> u16 {
    match first >> 4 {
        4 => ETH_P_IP,
        6 => ETH_P_IPV6,
        _ => otherwise,
    }
}
