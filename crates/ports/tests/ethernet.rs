//! Packets of every link type, shown as Ethernet frames.

use alveary_ports::LinkType;

/// Six bytes of destination, of source, an EtherType, the rest.
fn frame(destination: [u8; 6], source: [u8; 6], ethertype: u16, rest: &[u8]) -> Vec<u8> {
    [&destination[..], &source, &ethertype.to_be_bytes(), rest].concat()
}

const ZEROS: [u8; 6] = [0; 6];
const SOURCE: [u8; 6] = [2, 0, 0, 0, 0, 9];
const IPV4: [u8; 4] = [0x45, 0, 0, 20];
const IPV6: [u8; 4] = [0x60, 0, 0, 0];

fn sll(kind: u16, address_len: u16, protocol: u16, rest: &[u8]) -> Vec<u8> {
    let mut packet = [kind, 1, address_len].map(u16::to_be_bytes).concat();
    packet.extend(SOURCE);
    packet.extend([0xee; 2]);
    packet.extend(protocol.to_be_bytes());
    packet.extend(rest);
    packet
}

fn sll2(kind: u8, address_len: u8, protocol: u16, rest: &[u8]) -> Vec<u8> {
    let mut packet = protocol.to_be_bytes().to_vec();
    packet.extend([0, 0, 0, 0, 0, 7, 0, 1, kind, address_len]);
    packet.extend(SOURCE);
    packet.extend([0xee; 2]);
    packet.extend(rest);
    packet
}

#[test]
fn each_link_type() {
    let ip4 = frame(ZEROS, ZEROS, 0x0800, &IPV4);
    let ip6 = frame(ZEROS, ZEROS, 0x86dd, &IPV6);
    let cooked = frame(ZEROS, SOURCE, 0x0800, &IPV4);
    let broadcast = frame([0xff; 6], SOURCE, 0x0806, &[1, 2]);
    let llc = frame(ZEROS, SOURCE, 3, &[0x42, 0x42, 3]);
    let rows: Vec<(LinkType, Vec<u8>, Vec<u8>)> = vec![
        (LinkType::Ethernet, cooked.clone(), cooked.clone()),
        (LinkType::Ethernet, vec![1, 2], vec![1, 2]),
        (LinkType::Raw, IPV4.to_vec(), ip4.clone()),
        (LinkType::Raw, IPV6.to_vec(), ip6.clone()),
        (LinkType::Raw, vec![0x12], frame(ZEROS, ZEROS, 0, &[0x12])),
        (LinkType::Raw, vec![], frame(ZEROS, ZEROS, 0, &[])),
        (LinkType::Ipv4, IPV4.to_vec(), ip4.clone()),
        (LinkType::Ipv6, IPV6.to_vec(), ip6.clone()),
        (LinkType::Null, [&[2, 0, 0, 0], &IPV4[..]].concat(), ip4.clone()),
        (LinkType::Null, [&[0, 0, 0, 30], &IPV6[..]].concat(), ip6.clone()),
        (LinkType::Loop, [&[0, 0, 0, 24], &IPV6[..]].concat(), ip6),
        (LinkType::Loop, [&[2, 0, 0, 0], &IPV4[..]].concat(), frame(ZEROS, ZEROS, 0, &IPV4)),
        (LinkType::LinuxSll, sll(0, 6, 0x0800, &IPV4), cooked.clone()),
        (LinkType::LinuxSll, sll(1, 6, 0x0806, &[1, 2]), broadcast.clone()),
        (LinkType::LinuxSll, sll(4, 0, 0x0800, &IPV4), ip4.clone()),
        (LinkType::LinuxSll, sll(0, 6, 4, &[0x42, 0x42, 3]), llc.clone()),
        (LinkType::LinuxSll2, sll2(0, 6, 0x0800, &IPV4), cooked),
        (LinkType::LinuxSll2, sll2(1, 6, 0x0806, &[1, 2]), broadcast),
        (LinkType::LinuxSll2, sll2(0, 8, 0x0800, &IPV4), ip4),
        (LinkType::LinuxSll2, sll2(0, 6, 4, &[0x42, 0x42, 3]), llc),
    ];
    for (link, packet, expected) in rows {
        let view = link.ethernet_view(&packet).unwrap();
        assert_eq!(view.to_vec(), expected, "{} {packet:02x?}", link.name());
        assert_eq!(view.len(), expected.len());
    }
}

#[test]
fn a_packet_shorter_than_its_link_header_is_refused() {
    for (link, least) in [(LinkType::Null, 4), (LinkType::Loop, 4), (LinkType::LinuxSll, 16), (LinkType::LinuxSll2, 20)]
    {
        assert!(link.ethernet_view(&vec![0; least]).is_ok());
        let error = link.ethernet_view(&vec![0; least - 1]).unwrap_err();
        assert_eq!(error.found, Some((least - 1).to_string()));
        assert!(error.expected.as_ref().is_some_and(|expected| expected.contains(link.name())));
    }
}
