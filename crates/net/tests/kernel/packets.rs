//! A handful of packets, built here.

fn ethernet(ty: u16) -> Vec<u8> {
    let mut p = vec![0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2];
    p.extend(ty.to_be_bytes());
    p
}

fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = (20 + payload.len()) as u16;
    let mut p = vec![0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, protocol, 0xbe, 0xef, 192, 0, 2, 1, 198, 51, 100, 7];
    p[2..4].copy_from_slice(&len.to_be_bytes());
    p.extend(payload);
    p
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut p = vec![0x60, 0, 0, 0];
    p.extend((payload.len() as u16).to_be_bytes());
    p.extend([next, 64]);
    p.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    p.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    p.extend(payload);
    p
}

fn tcp(data: &[u8]) -> Vec<u8> {
    let mut p = vec![0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0xab, 0xcd, 0, 0];
    p.extend(data);
    p
}

fn udp(data: &[u8], checksum: u16) -> Vec<u8> {
    let mut p = vec![0x30, 0x39, 0, 53];
    p.extend((8 + data.len() as u16).to_be_bytes());
    p.extend(checksum.to_be_bytes());
    p.extend(data);
    p
}

fn tagged(tags: &[(u16, u16)], ty: u16, payload: &[u8]) -> Vec<u8> {
    let mut p = ethernet(tags[0].0);
    for (i, (_, tci)) in tags.iter().enumerate() {
        p.extend(tci.to_be_bytes());
        p.extend(tags.get(i + 1).map_or(ty, |t| t.0).to_be_bytes());
    }
    p.extend(payload);
    p
}

/// Each with a name.
pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
    let with = |ty: u16, payload: Vec<u8>| [ethernet(ty), payload].concat();
    let mut multicast = with(0x0800, ipv4(17, &udp(b"many", 1)));
    multicast[0] = 1;
    vec![
        ("tcp4", with(0x0800, ipv4(6, &tcp(b"GET / HTTP/1.1\r\n\r\n")))),
        ("udp4", with(0x0800, ipv4(17, &udp(b"who is it?", 0x1234)))),
        ("udp4 without checksum", with(0x0800, ipv4(17, &udp(b"odd", 0)))),
        ("tcp6", with(0x86dd, ipv6(6, &tcp(&[7; 64])))),
        ("udp6", with(0x86dd, ipv6(17, &udp(b"six", 0xfefe)))),
        ("vlan", tagged(&[(0x8100, 0x2007)], 0x0800, &ipv4(6, &tcp(b"tagged")))),
        ("qinq", tagged(&[(0x88a8, 100), (0x8100, 200)], 0x86dd, &ipv6(17, &udp(b"twice", 9)))),
        ("arp", with(0x0806, vec![0, 1, 8, 0, 6, 4, 0, 1])),
        ("length", with(0x0026, vec![0xff; 46])),
        ("llc", with(0x0026, vec![0x42; 46])),
        ("multicast", multicast),
        ("short", ethernet(0x1234)),
        ("long", with(0x0800, ipv4(17, &udp(&[0x5a; 1400], 0x4321)))),
    ]
}
