//! The packets that kernels read: 1,494 bytes each, always the same.

const LENGTH: usize = 1494;
const PAYLOAD: usize = 54;

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn byte(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 56) as u8
    }

    fn below(&mut self, end: u8) -> u8 {
        self.byte() % end
    }
}

/// TCP over IPv4, random bytes, two equal stretches of 256 of them.
pub(crate) fn plain() -> Vec<u8> {
    let mut random = Random(7);
    let mut packet: Vec<u8> = (0..LENGTH).map(|_| random.byte()).collect();
    packet[..14].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
    packet[14..34].copy_from_slice(&[0x45, 0, 5, 200, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet[34..38].copy_from_slice(&[0x30, 0x39, 0, 80]);
    packet.copy_within(512..768, 1024);
    packet
}

fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut packet = plain();
    packet[at..at + bytes.len()].copy_from_slice(bytes);
    packet
}

/// A query for a name of five labels.
pub(crate) fn dns() -> Vec<u8> {
    let mut packet = plain();
    packet[23] = 17;
    packet[34..42].copy_from_slice(&[0xc0, 0, 0, 53, 0, 80, 0, 0]);
    let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in ["_sip", "Registration", "Edge-07", "Example", "net"] {
        query.push(label.len() as u8);
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 33, 0, 1]);
    packet[42..42 + query.len()].copy_from_slice(&query);
    packet
}

/// A request with nine headers.
pub(crate) fn http() -> Vec<u8> {
    let text = "POST /v1/meters/4711/readings?unit=kWh&from=2026-11-01 HTTP/1.1\r\nHost: metering.example.net\r\n\
                User-Agent: reader/3.14 (embedded)\r\nAccept: application/json\r\nAccept-Encoding: gzip, br\r\n\
                Content-Type: application/json; charset=utf-8\r\nContent-Length: 1307\r\nConnection: keep-alive\r\n\
                X-Request-Id: 6f1c0c3a-58f5-4f0e-9a35-4b3c2e2a7d11\r\nCache-Control: no-store\r\n\r\n{\"readings\":[";
    with(PAYLOAD, text.as_bytes())
}

/// UDP behind hop-by-hop options, a routing header, destination options and a fragment header.
pub(crate) fn ipv6() -> Vec<u8> {
    let mut packet = plain();
    packet[12..14].copy_from_slice(&[0x86, 0xdd]);
    packet[14..22].copy_from_slice(&[0x60, 1, 2, 3, 5, 160, 0, 64]);
    let mut headers = [0u8; 8 + 24 + 16 + 8 + 8];
    for (at, next, units) in [(0, 43, 0), (8, 60, 2), (32, 44, 1), (48, 17, 0)] {
        headers[at..at + 2].copy_from_slice(&[next, units]);
    }
    headers[56..64].copy_from_slice(&[0x30, 0x39, 0, 53, 0, 100, 0, 0]);
    packet[54..54 + headers.len()].copy_from_slice(&headers);
    packet
}

/// A ClientHello with a session, 17 cipher suites, and the name as its fifth extension.
pub(crate) fn hello() -> Vec<u8> {
    let mut hello = vec![22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
    hello.extend_from_slice(&[0x5a; 32]);
    hello.push(32);
    hello.extend_from_slice(&[0xa5; 32]);
    hello.extend_from_slice(&[0, 34]);
    hello.extend_from_slice(&[0x13; 34]);
    hello.extend_from_slice(&[1, 0, 1, 124]);
    for (extension, length) in [(43u8, 9u8), (10, 14), (11, 4), (13, 30)] {
        hello.extend_from_slice(&[0, extension, 0, length]);
        hello.extend(std::iter::repeat_n(7, length.into()));
    }
    let name = b"registration.edge-07.example.net";
    let length = name.len() as u8;
    hello.extend_from_slice(&[0, 0, 0, length + 5, 0, length + 3, 0, 0, length]);
    hello.extend_from_slice(name);
    with(PAYLOAD, &hello)
}

/// English, with the word that is looked for three times in it.
pub(crate) fn prose() -> Vec<u8> {
    let sentence = "A balancer keeps the flows of one client on one upstream while it can, and drains it before it \
                    goes; what was sent up the stream comes back the way it went. Few streams are steady. ";
    let mut text = sentence.repeat(6).replace("Few streams", "No upturn").into_bytes();
    for at in [300, 620, 640] {
        text[at..at + 8].copy_from_slice(b"upstraem");
    }
    with(PAYLOAD, &text[..1024])
}

/// Text of one to four bytes a character.
pub(crate) fn letters() -> Vec<u8> {
    with(64, &"Bienenstöcke: ὑψηλός, 蜂巢, пчела, 🐝 mead & honey; naïve façade — ".repeat(8).as_bytes()[..640])
}

/// What `lz.c` decodes, and where it begins.
pub(crate) fn compressed() -> Vec<u8> {
    let (mut random, mut stream, mut length) = (Random(11), vec![], 0u16);
    for _ in 0..48 {
        let (literals, extra) = (1 + random.below(10), random.below(16));
        stream.push(literals << 4 | extra);
        stream.extend((0..literals).map(|_| b'a' + random.below(26)));
        length += u16::from(literals);
        let back = 1 + u16::from(random.byte()) % length;
        stream.extend_from_slice(&back.to_le_bytes());
        length += u16::from(extra) + 4;
    }
    stream.push(0);
    let mut packet = with(64, &stream);
    packet[58..62].copy_from_slice(&[0, 0, 0, 64]);
    packet
}

/// Tags and numbers of one to four bytes, and where they begin.
pub(crate) fn fields() -> Vec<u8> {
    let (mut random, mut stream) = (Random(13), vec![]);
    for _ in 0..96 {
        stream.push(random.byte());
        let more = [0, 0, 0, 1, 1, 2, 3][usize::from(random.below(7))];
        stream.extend((0..more).map(|_| random.byte() | 0x80));
        stream.push(random.below(128));
    }
    let mut packet = with(64, &stream);
    packet[58..60].copy_from_slice(&[0, 64]);
    packet
}
