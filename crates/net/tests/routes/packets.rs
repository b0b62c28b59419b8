//! Packets with segment routing headers: right ones, and such as are broken in one place.

use alveary_testing::Draw;

/// Where the packets come from, and the prefix that goes through the program.
const SOURCE: [u8; 16] = [0xfc, 0, 0, 0xa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const HERE: [u8; 16] = [0xfc, 0, 0, 0xe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// A segment somewhere else.
pub(crate) const fn segment(n: u8) -> [u8; 16] {
    [0xfc, 0, 0, 0xb, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n]
}

pub(crate) fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x6a, 0xbc, 0xde, 0xf1];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    packet.extend(SOURCE);
    packet.extend(HERE);
    packet.extend(payload);
    packet
}

pub(crate) fn ipv4(payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 64, 17, 0, 0, 10, 13, 0, 1, 10, 14, 0, 1];
    packet.extend(payload);
    let len = (packet.len() as u16).to_be_bytes();
    packet[2..4].copy_from_slice(&len);
    let sum = packet[..20].chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum::<u32>();
    let sum = (sum & 0xffff) + (sum >> 16);
    packet[10..12].copy_from_slice(&(!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes());
    packet
}

pub(crate) fn udp(data: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x30, 0x39, 0x30, 0x3a];
    packet.extend((8 + data.len() as u16).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(data);
    packet
}

/// A header of so many segments, of which so many are left; `tlvs` fill it to a multiple of 8.
pub(crate) fn srh(next: u8, segments: u8, left: u8, tlvs: &[u8]) -> Vec<u8> {
    let ext_len = usize::from(segments) * 2 + tlvs.len() / 8;
    let mut header = vec![next, ext_len as u8, 4, left, segments.wrapping_sub(1), 0, 0x12, 0x34];
    header.extend((0..segments).flat_map(segment));
    header.extend(tlvs);
    header
}

fn changed(mut packet: Vec<u8>, at: usize, to: u8) -> Vec<u8> {
    packet[at] = to;
    packet
}

/// Each with a name; behind each IPv6 header there is one of segments.
pub(crate) fn all() -> Vec<(String, Vec<u8>)> {
    let data = udp(b"delay, hybrid, discover");
    let one = |header: Vec<u8>| ipv6(43, &[header, data.clone()].concat());
    let plain = one(srh(17, 2, 1, &[]));
    let opaque = [[0x7c, 6, 1, 2, 3, 4, 5, 6], [4, 6, 0, 0, 0, 0, 0, 0]].concat();
    let tlvs = one(srh(17, 2, 1, &opaque));
    let inner = ipv6(17, &data);
    let elsewhere = |mut packet: Vec<u8>| {
        packet[24..40].copy_from_slice(&segment(0x55));
        packet
    };
    let towards = elsewhere(inner.clone());
    let hmac = [vec![5, 38, 0, 0, 0, 0, 0, 7], vec![0xab; 32]].concat();
    let mut named = vec![
        ("plain", plain.clone()),
        ("three segments", one(srh(17, 3, 2, &[]))),
        ("last segment", one(srh(17, 1, 1, &[]))),
        ("TLVs", tlvs.clone()),
        ("one segment, TLVs", one(srh(17, 1, 1, &opaque))),
        ("padding behind", [tlvs.clone(), vec![9; 13]].concat()),
        ("reduced", one(srh(17, 1, 2, &[]))),
        ("none left", one(srh(17, 2, 0, &[]))),
        ("too many left", one(srh(17, 2, 4, &[]))),
        ("no segments", one(vec![17, 0, 4, 1, 0, 0, 0, 0])),
        ("another routing type", changed(plain.clone(), 42, 3)),
        ("header too short for its list", changed(plain.clone(), 41, 3)),
        ("header longer than the packet", changed(plain.clone(), 41, 40)),
        ("list too long", changed(plain.clone(), 44, 2)),
        ("TLV over the end", changed(tlvs.clone(), 40 + 40 + 9, 7)),
        ("TLV without length", changed(tlvs.clone(), 40 + 40 + 9, 5)),
        ("pad1", one(srh(17, 2, 1, &[0, 0, 0, 0, 0, 0, 0, 0]))),
        ("truncated", plain[..70].to_vec()),
        ("payload longer than the packet", changed(plain.clone(), 5, 0xff)),
        ("no SRH", inner.clone()),
        ("HMAC of unknown key", changed(one(srh(17, 1, 1, &hmac)), 45, 8)),
        ("HMAC flag alone", changed(plain.clone(), 45, 8)),
        ("HMAC without flag", one(srh(17, 1, 1, &hmac))),
        ("around a packet", ipv6(43, &[srh(41, 2, 1, &opaque), towards.clone()].concat())),
        ("around a segment's", ipv6(43, &[srh(41, 2, 1, &[]), elsewhere(one(srh(17, 2, 1, &opaque)))].concat())),
        ("two SRHs", ipv6(43, &[srh(43, 2, 0, &[]), srh(17, 2, 1, &opaque), data.clone()].concat())),
        ("two SRHs, both alive", ipv6(43, &[srh(43, 2, 1, &[]), srh(17, 2, 2, &opaque), data.clone()].concat())),
    ];
    let options = [60, 0, 1, 4, 0, 0, 0, 0];
    let before = |number: u8, first: u8| [vec![43, 0, 1, 4, 0, 0, 0, 0], vec![number, first]].concat()[..8].to_vec();
    named.push(("destination options before", {
        ipv6(60, &[before(0, 0), srh(17, 2, 1, &opaque), data.clone()].concat())
    }));
    named.push(("hop-by-hop options before", {
        ipv6(0, &[before(0, 0), srh(17, 2, 1, &opaque), data.clone()].concat())
    }));
    named.push(("options behind", {
        let tail = [vec![17], options[1..].to_vec()].concat();
        ipv6(43, &[srh(60, 2, 1, &opaque), tail, data.clone()].concat())
    }));
    named.push(("first fragment", {
        ipv6(44, &[vec![43, 0, 0, 1, 0, 0, 0, 5], srh(17, 2, 1, &opaque), data.clone()].concat())
    }));
    named.push(("later fragment", {
        ipv6(44, &[vec![43, 0, 0, 9, 0, 0, 0, 5], srh(17, 2, 1, &opaque), data.clone()].concat())
    }));
    named.into_iter().map(|(name, packet)| (name.to_owned(), packet)).collect()
}

/// Packets of which a byte of the SRH, or the length, is another.
pub(crate) fn mutants(draw: &mut Draw, count: usize) -> Vec<(String, Vec<u8>)> {
    let all = all();
    let one = |n: usize| {
        let (name, packet) = &all[draw.below(all.len() as u64) as usize];
        let mut packet = packet.clone();
        for _ in 0..=draw.below(2) {
            let at = draw.of(&[4, 5, 6, 40, 41, 42, 43, 44, 45, 56, 72, 80, 81, 82, 88, 89]);
            let to = if draw.chance(1, 3) { draw.next() as u8 } else { draw.below(8) as u8 };
            if let Some(byte) = packet.get_mut(at) {
                *byte = to;
            }
        }
        (format!("mutant {n} of {name}"), packet)
    };
    (0..count).map(one).collect()
}
