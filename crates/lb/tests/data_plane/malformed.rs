//! Packets that are not what they say.

use crate::{
    packet::{Packet, TCP, UDP, echo, error, frame, tcp, udp},
    site::{Case, Setup, Site, Verdict, real},
    ways::{everything, kinds},
};
use alveary_lb::wire::Way;

fn setup() -> Setup {
    let any = |setup: Setup, at| setup.service(at, TCP, 0, &[3]).service(at, UDP, 0, &[3]);
    any(any(everything(0, &[3]), "192.0.2.10:0"), "[2001:db8::10]:0").real(real(3, Way::Ip, "10.1.0.3"))
}

fn changed(packet: &Packet, at: usize, to: &[u8]) -> Vec<u8> {
    let mut bytes = packet.bytes();
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

pub(crate) fn cases() -> Vec<Case> {
    use Verdict::*;
    let t4 = tcp("203.0.113.5:40000", "192.0.2.10:80");
    let u4 = udp("203.0.113.5:40000", "192.0.2.10:80");
    let t6 = tcp("[2001:db8:1::5]:40000", "[2001:db8::10]:80");
    let u6 = udp("[2001:db8:1::5]:40000", "[2001:db8::10]:80");
    let e4 = echo("203.0.113.5", "192.0.2.10");
    let e6 = echo("2001:db8:1::5", "2001:db8::10");
    let cut = |packet: &Packet, to: usize| packet.bytes()[..to].to_vec();
    let mut all: Vec<(String, Vec<u8>, Verdict)> = Vec::new();
    for (kind, packet) in kinds() {
        let v4 = packet.source.is_ipv4();
        let header = if v4 { 20 } else { 40 };
        for (where_, at) in [
            ("right behind Ethernet", 14),
            ("inside the IP header", 14 + header - 1),
            ("behind the IP header", 14 + header),
            ("inside the transport header", 14 + header + 7),
            ("inside the payload", packet.bytes().len() - 1),
        ] {
            all.push((format!("{kind} cut {where_}"), cut(&packet, at), MalformedIp));
        }
    }
    let mut more = |name: &str, bytes: Vec<u8>, verdict| all.push((name.into(), bytes, verdict));
    more("nothing but addresses", t4.bytes()[..13].to_vec(), MalformedEthernet);
    more("a tag that is cut", t4.clone().tag(0x8100, 1).bytes()[..16].to_vec(), MalformedEthernet);
    more(
        "a second tag that is cut",
        t4.clone().tag(0x88a8, 1).tag(0x8100, 1).bytes()[..20].to_vec(),
        MalformedEthernet,
    );
    more("three tags", t4.clone().tag(0x88a8, 1).tag(0x8100, 2).tag(0x8100, 3).bytes(), TooManyTags);
    more("four tags", t6.clone().tag(0x88a8, 1).tag(0x88a8, 2).tag(0x8100, 2).tag(0x8100, 3).bytes(), TooManyTags);
    more("IPv4 of version 6", changed(&t4, 14, &[0x65]), MalformedIp);
    more("IPv4 of version 0", changed(&t4, 14, &[0x05]), MalformedIp);
    more("IPv6 of version 4", changed(&t6, 14, &[0x40]), MalformedIp);
    for words in 0..5u8 {
        more(&format!("IPv4 header of {words} words"), changed(&t4, 14, &[0x40 | words]), MalformedIp);
    }
    more(
        "IPv4 header longer than the packet",
        changed(&t4.clone().with(|p| p.payload.clear()), 14, &[0x4f]),
        MalformedIp,
    );
    more("total length 0", changed(&t4, 16, &[0, 0]), MalformedIp);
    more("total length 19", changed(&t4, 16, &[0, 19]), MalformedIp);
    more("total length of 65535", changed(&t4, 16, &[0xff, 0xff]), MalformedIp);
    more("total length one too long", changed(&t4, 16, &[0, 61]), MalformedIp);
    more("payload length of 65535", changed(&t6, 18, &[0xff, 0xff]), MalformedIp);
    more("payload length one too long", changed(&t6, 18, &[0, 41]), MalformedIp);
    more("total length that leaves no room for TCP", changed(&t4, 16, &[0, 39]), MalformedTransport);
    more("total length that leaves no room for UDP", changed(&u4, 16, &[0, 27]), MalformedTransport);
    more("total length that leaves no room for ICMP", changed(&e4, 16, &[0, 27]), MalformedTransport);
    more("payload length that leaves no room for TCP", changed(&t6, 18, &[0, 19]), MalformedTransport);
    more("payload length that leaves no room for UDP", changed(&u6, 18, &[0, 7]), MalformedTransport);
    more("payload length that leaves no room for ICMPv6", changed(&e6, 18, &[0, 7]), MalformedTransport);
    more("payload length 0", changed(&t6, 18, &[0, 0]), MalformedTransport);
    for words in [0u8, 4] {
        more(&format!("TCP header of {words} words"), changed(&t4, 46, &[words << 4]), MalformedTransport);
        more(&format!("TCP header of {words} words over IPv6"), changed(&t6, 66, &[words << 4]), MalformedTransport);
    }
    let short = t4.clone().with(|p| p.payload.clear());
    more("TCP header longer than the packet", changed(&short, 46, &[0xf0]), MalformedTransport);
    for length in [0u8, 7] {
        more(&format!("UDP length {length}"), changed(&u4, 38, &[0, length]), MalformedTransport);
        more(&format!("UDP length {length} over IPv6"), changed(&u6, 58, &[0, length]), MalformedTransport);
    }
    more("UDP length one too long", changed(&u4, 38, &[0, 29]), MalformedTransport);
    more("UDP length one too long over IPv6", changed(&u6, 58, &[0, 29]), MalformedTransport);
    let seven = |n: usize, p: &Packet| {
        p.clone().with(|p| p.extensions = (0..n).map(|_| (60u8, vec![0, 1, 4, 0, 0, 0, 0])).collect())
    };
    more("seven extension headers", seven(7, &t6).bytes(), MalformedExtension);
    let extended = seven(1, &t6);
    more("an extension header longer than the packet", changed(&extended, 55, &[0x20]), MalformedExtension);
    more("an extension header that is endless", changed(&extended, 55, &[0xff]), MalformedExtension);
    let mut bytes = extended.bytes()[..14 + 40 + 4].to_vec();
    bytes[18..20].copy_from_slice(&[0, 4]);
    more("an extension header that is cut", bytes, MalformedExtension);
    let mut bytes = extended.bytes()[..14 + 40 + 8].to_vec();
    bytes[18..20].copy_from_slice(&[0, 8]);
    more("nothing behind an extension header", bytes, MalformedTransport);
    let server4 = tcp("192.0.2.10:80", "203.0.113.5:40000");
    let server6 = tcp("[2001:db8::10]:80", "[2001:db8:1::5]:40000");
    for (quoted, verdict) in [(0, MalformedIcmp), (19, MalformedIcmp), (27, MalformedIcmp)] {
        let packet = error("198.18.0.1", 3, 4, &server4, quoted);
        more(&format!("an ICMP error that quotes {quoted} bytes"), packet.bytes(), verdict);
    }
    for quoted in [0, 39, 47] {
        let packet = error("2001:db8:99::1", 2, 0, &server6, quoted);
        more(&format!("an ICMPv6 error that quotes {quoted} bytes"), packet.bytes(), MalformedIcmp);
    }
    // Behind the IP packet the frame goes on, as those of least length do.
    for (name, server, quoted, whole) in [
        ("an ICMP error that quotes {} bytes, and padding", &server4, [0, 19, 20, 27], 28),
        ("an ICMPv6 error that quotes {} bytes, and padding", &server6, [0, 39, 40, 47], 48),
    ] {
        for quoted in quoted {
            let (router, (kind, code)) =
                if server.source.is_ipv4() { ("198.18.0.1", (3, 4)) } else { ("2001:db8:99::1", (2, 0)) };
            let all = error(router, kind, code, server, whole).bytes();
            let cut = error(router, kind, code, server, quoted).bytes();
            let padded = [&cut[..], &all[cut.len()..]].concat();
            more(&name.replace("{}", &quoted.to_string()), padded, MalformedIcmp);
        }
    }
    let quotes = error("198.18.0.1", 3, 4, &server4, 28);
    more("an ICMP error about IPv6", changed(&quotes, 42, &[0x65]), MalformedIcmp);
    more("an ICMP error about a header of 4 words", changed(&quotes, 42, &[0x44]), MalformedIcmp);
    more("an ICMP error about options that are not quoted", changed(&quotes, 42, &[0x4f]), MalformedIcmp);
    let quotes = error("2001:db8:99::1", 2, 0, &server6, 48);
    more("an ICMPv6 error about IPv4", changed(&quotes, 62, &[0x45]), MalformedIcmp);
    more(
        "an ICMPv6 error about an extension header that is cut",
        {
            let mut bytes = error("2001:db8:99::1", 2, 0, &server6, 44).bytes();
            bytes[68] = 60;
            bytes
        },
        MalformedIcmp,
    );
    more("ARP", frame(crate::packet::MACS, &[], 0x0806, &[0; 28]), NotIp);
    more("ARP behind a tag", frame(crate::packet::MACS, &[(0x8100, 4)], 0x0806, &[0; 28]), NotIp);
    more("MPLS", frame(crate::packet::MACS, &[], 0x8847, &[0; 40]), NotIp);
    more("a length in place of a type", frame(crate::packet::MACS, &[], 0x0030, &[0; 48]), NotIp);
    all.into_iter().map(|(name, bytes, verdict)| Case::new(name, setup()).raw(bytes, verdict)).collect()
}

#[test]
fn malformed_packets_are_named() {
    Site::new("malformed packets").run(&cases());
}
