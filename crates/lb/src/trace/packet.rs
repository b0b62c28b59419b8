//! Packets as people write them, and packets in words.

use alveary_diag::{Diagnostic, Place};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::Range,
};

/// Flags of TCP, in the order of their bits.
const FLAGS: [&str; 6] = ["fin", "syn", "rst", "psh", "ack", "urg"];
const SYN: u8 = 2;
/// Bytes of a packet that are most: a jumbo frame.
const MOST: usize = 9216;
const EXAMPLE: &str = "tcp 198.51.100.7:40000 > 192.0.2.1:443";

/// A packet from what a person writes: its bytes as hexadecimal digits, from the Ethernet header on; or
/// `tcp 198.51.100.7:40000 > 192.0.2.1:443`, which is a SYN unless flags stand behind it (`ack`, `rst` …); the same with `udp`; or
/// `icmp 198.51.100.7 > 192.0.2.1`, an echo request.
///
/// # Errors
/// What is wrong, where, and what is expected there.
pub fn packet(text: &str) -> Result<Vec<u8>, Diagnostic> {
    let words = words(text);
    let Some((first, _)) = words.first() else {
        return Err(wrong(text, 0..text.len(), "there is no packet", EXAMPLE));
    };
    match *first {
        "tcp" | "udp" | "icmp" => flow(text, &words),
        first if first.chars().all(|c| c.is_ascii_hexdigit() || c == ':') => digits(text),
        _ => Err(wrong(
            text,
            words[0].1.clone(),
            "the packet is of no protocol that is known here",
            "tcp, udp, icmp, or hexadecimal digits",
        )),
    }
}

fn wrong(text: &str, at: Range<usize>, message: &str, expected: &str) -> Diagnostic {
    let found = text.get(at.clone()).unwrap_or_default();
    let bytes = at.start as u32..at.end as u32;
    let place = Place::Text { file: "PACKET".into(), text: text.into(), bytes };
    let why = Diagnostic::new("lb-packet", message.to_owned(), place).expected(expected.to_owned());
    let found: String = found.chars().take(40).collect();
    let why = if found.is_empty() { why.found("the end") } else { why.found(found) };
    why.help(format!("{EXAMPLE}; or the bytes in hexadecimal, from the Ethernet header on"))
}

/// Words, and where they stand.
fn words(text: &str) -> Vec<(&str, Range<usize>)> {
    let at = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    text.split_whitespace().map(|word| (word, at(word)..at(word) + word.len())).collect()
}

fn digits(text: &str) -> Result<Vec<u8>, Diagnostic> {
    let (mut bytes, mut half) = (Vec::new(), None);
    for (at, c) in text.char_indices().filter(|(_, c)| !c.is_whitespace() && *c != ':') {
        let Some(digit) = c.to_digit(16) else {
            return Err(wrong(text, at..at + c.len_utf8(), "this is no hexadecimal digit", "0 to 9, a to f"));
        };
        half = match half {
            None => Some(digit),
            Some(high) => {
                bytes.push((high << 4 | digit) as u8);
                None
            }
        };
        if bytes.len() > MOST {
            return Err(wrong(text, at..at + 1, &format!("the packet is longer than {MOST} bytes"), "a frame"));
        }
    }
    match half {
        Some(_) => Err(wrong(text, text.len()..text.len(), "the last byte has one digit", "two digits for each byte")),
        None if bytes.len() < 14 => {
            let message = format!("{} bytes are no Ethernet header", bytes.len());
            Err(wrong(text, text.len()..text.len(), &message, "at least 14 bytes"))
        }
        None => Ok(bytes),
    }
}

/// `PROTOCOL FROM > TO [FLAGS]`.
fn flow(text: &str, words: &[(&str, Range<usize>)]) -> Result<Vec<u8>, Diagnostic> {
    let end = text.len()..text.len();
    let word = |at: usize| words.get(at).map_or(("", end.clone()), |(word, place)| (*word, place.clone()));
    let protocol = words[0].0;
    let side = |at: usize, what: &str| -> Result<SocketAddr, Diagnostic> {
        let (said, place) = word(at);
        if protocol == "icmp" {
            let read = said.parse().map(|ip: IpAddr| SocketAddr::new(ip, 0));
            return read.map_err(|_| {
                wrong(text, place, &format!("{what} is no address"), "an address: 198.51.100.7, 2001:db8::7")
            });
        }
        let expected = "address and port: 198.51.100.7:40000, [2001:db8::7]:40000";
        said.parse().map_err(|_| {
            let message = match said.parse::<IpAddr>() {
                Ok(_) => format!("{what} has no port"),
                Err(_) => format!("{what} is no address and port"),
            };
            wrong(text, place, &message, expected)
        })
    };
    let from = side(1, "where it comes from")?;
    let (arrow, place) = word(2);
    if !matches!(arrow, ">" | "->") {
        return Err(wrong(text, place, "where the packet goes to stands behind `>`", "`>`"));
    }
    let to = side(3, "where it goes to")?;
    if from.is_ipv4() != to.is_ipv4() {
        let family = if from.is_ipv4() { "an IPv4 address" } else { "an IPv6 address" };
        return Err(wrong(text, word(3).1, "the two addresses are of different families", family));
    }
    let mut flags = 0;
    for (said, place) in words.iter().skip(4) {
        match FLAGS.iter().position(|flag| *flag == said.to_ascii_lowercase()) {
            Some(bit) if protocol == "tcp" => flags |= 1u8 << bit,
            _ if protocol == "tcp" => {
                return Err(wrong(text, place.clone(), "this is no flag of TCP", &FLAGS.join(", ")));
            }
            _ => return Err(wrong(text, place.clone(), "something stands behind the packet", "the end")),
        }
    }
    Ok(match protocol {
        "tcp" => segment(6, tcp(from, to, if flags == 0 { SYN } else { flags }), 16, from.ip(), to.ip()),
        "udp" => {
            let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
            segment(17, [&ports[..], &[0, 8, 0, 0]].concat(), 6, from.ip(), to.ip())
        }
        _ => {
            let (number, kind) = if from.is_ipv4() { (1, 8) } else { (58, 128) };
            segment(number, vec![kind, 0, 0, 0, 0, 1, 0, 1], 2, from.ip(), to.ip())
        }
    })
}

fn tcp(from: SocketAddr, to: SocketAddr, flags: u8) -> Vec<u8> {
    let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    // Sequence 1, five words, a window.
    [&ports[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]].concat()
}

fn segment(protocol: u8, mut transport: Vec<u8>, checksum: usize, from: IpAddr, to: IpAddr) -> Vec<u8> {
    let len = transport.len() as u16;
    let mut packet = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    let (addresses, header) = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            packet.extend([8, 0]);
            let mut header = vec![0x45, 0];
            header.extend((20 + len).to_be_bytes());
            header.extend([0, 1, 0, 0, 64, protocol, 0, 0]);
            header.extend([from.octets(), to.octets()].concat());
            let sum = sum(&header).to_be_bytes();
            header[10..12].copy_from_slice(&sum);
            ([from.octets(), to.octets()].concat(), header)
        }
        (from, to) => {
            let six = |ip: IpAddr| match ip {
                IpAddr::V4(four) => four.to_ipv6_mapped().octets(),
                IpAddr::V6(six) => six.octets(),
            };
            packet.extend([0x86, 0xdd]);
            let mut header = vec![0x60, 0, 0, 0];
            header.extend(len.to_be_bytes());
            header.extend([protocol, 64]);
            header.extend([six(from), six(to)].concat());
            ([six(from), six(to)].concat(), header)
        }
    };
    // ICMP of IPv4 has no pseudo-header.
    let pseudo =
        if protocol == 1 { Vec::new() } else { [addresses, vec![0, protocol], len.to_be_bytes().to_vec()].concat() };
    let sum = sum(&[pseudo, transport.clone()].concat()).to_be_bytes();
    transport[checksum..checksum + 2].copy_from_slice(&sum);
    packet.extend(header);
    packet.extend(transport);
    packet
}

/// The Internet's checksum (RFC 1071) of an even number of bytes.
fn sum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes.chunks_exact(2).map(|two| u32::from(u16::from_be_bytes([two[0], two[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !sum as u16
}

/// A frame in words, header by header: `VLAN 7, IPv4 10.0.9.2 > 10.0.0.11, in it IPv4 198.51.100.7 > 192.0.2.1, TCP 40000 > 443 syn`.
/// What is cut ends it.
#[must_use]
pub fn describe(frame: &[u8]) -> String {
    let mut words = Vec::new();
    let half = |at: usize| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
    let (mut at, mut kind) = (14, half(12));
    while let (Some(0x8100 | 0x88a8), 0..=3) = (kind, words.len()) {
        let Some(tag) = half(at) else { break };
        words.push(format!("VLAN {}", tag & 0xfff));
        (kind, at) = (half(at + 2), at + 4);
    }
    match kind {
        None => words.push("no whole Ethernet header".into()),
        Some(0x0800) => ip(frame.get(at..).unwrap_or_default(), 4, 0, &mut words),
        Some(0x86dd) => ip(frame.get(at..).unwrap_or_default(), 6, 0, &mut words),
        Some(0x0806) => words.push("ARP".into()),
        Some(other) => words.push(format!("Ethernet type {other:#06x}")),
    }
    words.join(", ")
}

fn ip(bytes: &[u8], version: u8, depth: usize, words: &mut Vec<String>) {
    let inside = if depth == 0 { "" } else { "in it " };
    let (protocol, rest) = if version == 4 {
        let header = bytes.first().map_or(0, |first| usize::from(first & 15) * 4);
        let Some(fixed) = bytes.first_chunk::<20>().filter(|_| header >= 20 && header <= bytes.len()) else {
            words.push(format!("{inside}an IPv4 header that is cut"));
            return;
        };
        let address = |at: usize| Ipv4Addr::new(fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]);
        words.push(format!("{inside}IPv4 {} > {}", address(12), address(16)));
        if u16::from_be_bytes([fixed[6], fixed[7]]) & 0x1fff != 0 {
            words.push("a fragment".into());
            return;
        }
        (fixed[9], &bytes[header..])
    } else {
        let Some(fixed) = bytes.first_chunk::<40>() else {
            words.push(format!("{inside}an IPv6 header that is cut"));
            return;
        };
        let address = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&fixed[at..at + 16]).unwrap_or_default());
        words.push(format!("{inside}IPv6 {} > {}", address(8), address(24)));
        (fixed[6], &bytes[40..])
    };
    let ports =
        || rest.first_chunk::<4>().map(|p| (u16::from_be_bytes([p[0], p[1]]), u16::from_be_bytes([p[2], p[3]])));
    match (protocol, ports()) {
        (4 | 41, _) if depth < 2 => ip(rest, if protocol == 4 { 4 } else { 6 }, depth + 1, words),
        (6, Some((from, to))) => {
            let set = rest.get(13).copied().unwrap_or_default();
            let flags: Vec<&str> =
                (0..).zip(FLAGS).filter(|(bit, _)| set >> bit & 1 == 1).map(|(_, flag)| flag).collect();
            words.push(format!("TCP {from} > {to} {}", flags.join(" ")).trim_end().to_owned());
        }
        (17, Some((from, to))) => {
            words.push(format!("UDP {from} > {to}"));
            // GUE, variant 1: the version of what is in it stands where a header's would.
            match rest.get(8).map(|first| first >> 4) {
                Some(version @ (4 | 6)) if depth == 0 && looks_whole(&rest[8..], version) => {
                    ip(&rest[8..], version, depth + 1, words);
                }
                _ => {}
            }
        }
        (1 | 58, _) if rest.len() >= 2 => words.push(format!("ICMP type {}, code {}", rest[0], rest[1])),
        (6 | 17 | 1 | 58, _) => words.push("a header that is cut".into()),
        (other, _) => words.push(format!("protocol {other}")),
    }
}

/// Whether a payload is an IP packet to its end.
fn looks_whole(bytes: &[u8], version: u8) -> bool {
    let half = |at: usize| bytes.get(at..at + 2).map(|two| usize::from(u16::from_be_bytes([two[0], two[1]])));
    match version {
        4 => half(2) == Some(bytes.len()),
        _ => half(4).map(|length| length + 40) == Some(bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packets_are_written_in_words_or_digits() {
        let syn = packet("tcp 198.51.100.7:40000 > 192.0.2.1:443").expect("a packet");
        assert_eq!(syn.len(), 54);
        assert_eq!(sum(&syn[14..34]), 0, "the header's checksum is right");
        let pseudo = [&syn[26..34], &[0, 6, 0, 20], &syn[34..]].concat();
        assert_eq!(sum(&pseudo), 0, "and the segment's");
        for (text, said) in [
            ("tcp 198.51.100.7:40000 > 192.0.2.1:443", "IPv4 198.51.100.7 > 192.0.2.1, TCP 40000 > 443 syn"),
            (
                "tcp 198.51.100.7:40000 -> 192.0.2.1:443 ack psh",
                "IPv4 198.51.100.7 > 192.0.2.1, TCP 40000 > 443 psh ack",
            ),
            ("udp [2001:db8::7]:53 > [2001:db8::1]:53", "IPv6 2001:db8::7 > 2001:db8::1, UDP 53 > 53"),
            ("icmp 198.51.100.7 > 192.0.2.1", "IPv4 198.51.100.7 > 192.0.2.1, ICMP type 8, code 0"),
            ("icmp 2001:db8::7 > 2001:db8::1", "IPv6 2001:db8::7 > 2001:db8::1, ICMP type 128, code 0"),
        ] {
            assert_eq!(describe(&packet(text).expect(text)), said);
        }
        let tagged = "02:00:00:00:00:01 02:00:00:00:00:02 8100 0007 0806";
        assert_eq!(describe(&packet(tagged).expect("a packet")), "VLAN 7, ARP");
        assert_eq!(packet(tagged).expect("a packet").len(), 18);
    }

    #[test]
    fn what_is_no_packet_is_told_where() {
        for (text, said) in [
            ("", "PACKET:1:1: there is no packet (expected tcp 198.51.100.7:40000 > 192.0.2.1:443, found the end)"),
            (
                "sctp 1.2.3.4:5",
                "PACKET:1:1: the packet is of no protocol that is known here (expected tcp, udp, icmp, or hexadecimal digits, found sctp)",
            ),
            (
                "tcp",
                "PACKET:1:4: where it comes from is no address and port (expected address and port: 198.51.100.7:40000, [2001:db8::7]:40000, found the end)",
            ),
            (
                "tcp 1.2.3.4 > 5.6.7.8:9",
                "PACKET:1:5: where it comes from has no port (expected address and port: 198.51.100.7:40000, [2001:db8::7]:40000, found 1.2.3.4)",
            ),
            (
                "tcp 1.2.3.4:5 5.6.7.8:9",
                "PACKET:1:15: where the packet goes to stands behind `>` (expected `>`, found 5.6.7.8:9)",
            ),
            (
                "tcp 1.2.3.4:5 > 5.6.7.8:99999",
                "PACKET:1:17: where it goes to is no address and port (expected address and port: 198.51.100.7:40000, [2001:db8::7]:40000, found 5.6.7.8:99999)",
            ),
            (
                "tcp 1.2.3.4:5 > [::1]:6",
                "PACKET:1:17: the two addresses are of different families (expected an IPv4 address, found [::1]:6)",
            ),
            (
                "tcp 1.2.3.4:5 > 5.6.7.8:9 sin",
                "PACKET:1:27: this is no flag of TCP (expected fin, syn, rst, psh, ack, urg, found sin)",
            ),
            (
                "udp 1.2.3.4:5 > 5.6.7.8:9 syn",
                "PACKET:1:27: something stands behind the packet (expected the end, found syn)",
            ),
            (
                "icmp 1.2.3.4:5 > 5.6.7.8",
                "PACKET:1:6: where it comes from is no address (expected an address: 198.51.100.7, 2001:db8::7, found 1.2.3.4:5)",
            ),
            ("020", "PACKET:1:4: the last byte has one digit (expected two digits for each byte, found the end)"),
            ("0200 02g0", "PACKET:1:8: this is no hexadecimal digit (expected 0 to 9, a to f, found g)"),
            ("0200", "PACKET:1:5: 2 bytes are no Ethernet header (expected at least 14 bytes, found the end)"),
        ] {
            assert_eq!(packet(text).expect_err(text).to_string(), said);
        }
        assert!(packet(&"00".repeat(10_000)).is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "(tcp|udp|icmp|[0-9a-f:]{0,80})? ?\\PC{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(packet) = packet(&text) {
                drop(describe(&packet));
            }
            drop(describe(&bytes));
            drop(describe(&[&[0; 12][..], &[8, 0, 0x45], &bytes].concat()));
        }
    }
}
