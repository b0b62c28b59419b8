//! Frames with VLAN tags, one and two, built by hand and sent as they are: no VLAN device is needed.

use super::{CLIENT_V4, CLIENT_V6, SERVER_V4, SERVER_V6, checksum, system::FrameSocket};

const SOURCE: [u8; 6] = [2, 0, 0, 0, 0, 1];
const DESTINATION: [u8; 6] = [2, 0, 0, 0, 0, 2];
const BROADCAST: [u8; 6] = [0xff; 6];

const ARP: u16 = 0x0806;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// A tag's type and value: customers' tags are 802.1Q's, the provider's around them is 802.1ad's.
type Tag = (u16, u16);
const VLAN_10: Tag = (0x8100, 10);
const VLAN_20_URGENT: Tag = (0x8100, 20 | 5 << 13);
const PROVIDER_100: Tag = (0x88a8, 100);

const ROUNDS: u16 = 20;

/// Sends ARP, UDP over IPv4 and over IPv6 in VLANs 10 and 20, and in VLAN 10 inside the provider's VLAN 100. Gives the
/// last frame.
pub(crate) fn send(device: &str) -> Result<Vec<u8>, String> {
    let socket = FrameSocket::open(device)?;
    let mut last = Vec::new();
    for round in 0..ROUNDS {
        for tags in [&[VLAN_10][..], &[VLAN_20_URGENT], &[PROVIDER_100, VLAN_10]] {
            socket.send(&frame(BROADCAST, tags, ARP, &arp_request()))?;
            socket.send(&frame(DESTINATION, tags, IPV4, &ipv4(round)))?;
            last = frame(DESTINATION, tags, IPV6, &ipv6(round));
            socket.send(&last)?;
        }
    }
    Ok(last)
}

fn frame(destination: [u8; 6], tags: &[Tag], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [destination, SOURCE].concat();
    for (kind, value) in tags {
        frame.extend(kind.to_be_bytes());
        frame.extend(value.to_be_bytes());
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame.resize(frame.len().max(60), 0);
    frame
}

fn arp_request() -> Vec<u8> {
    let head = [1, IPV4, 0x0604, 1].map(u16::to_be_bytes).concat();
    [&head[..], &SOURCE, &CLIENT_V4.octets(), &[0; 6], &SERVER_V4.octets()].concat()
}

fn ipv4(round: u16) -> Vec<u8> {
    let (source, destination) = (CLIENT_V4.octets(), SERVER_V4.octets());
    let datagram = udp(round, &source, &destination);
    let mut header = vec![0x45, 0];
    header.extend((20 + datagram.len() as u16).to_be_bytes());
    header.extend(round.to_be_bytes());
    header.extend([0x40, 0, 64, 17, 0, 0]);
    header.extend([source, destination].concat());
    let checksum = checksum::internet(&[&header]);
    header[10..12].copy_from_slice(&checksum);
    [header, datagram].concat()
}

fn ipv6(round: u16) -> Vec<u8> {
    let (source, destination) = (CLIENT_V6.octets(), SERVER_V6.octets());
    let datagram = udp(round, &source, &destination);
    let mut header = vec![0x60, 0, 0, 0];
    header.extend((datagram.len() as u16).to_be_bytes());
    header.extend([17, 64]);
    header.extend([source, destination].concat());
    [header, datagram].concat()
}

/// A log line, as syslog sends them.
fn udp(round: u16, source: &[u8], destination: &[u8]) -> Vec<u8> {
    const SYSLOG: u16 = 514;
    let text = format!("<134>hive frame {round} filled");
    let length = 8 + text.len() as u16;
    let mut datagram = [40_000 + round, SYSLOG, length, 0].map(u16::to_be_bytes).concat();
    datagram.extend(text.as_bytes());
    let checksum = checksum::internet(&[source, destination, &[0, 17], &length.to_be_bytes(), &datagram]);
    datagram[6..8].copy_from_slice(&checksum);
    datagram
}
