//! The programs. Each leaves what its helpers gave in a map.

use crate::{
    lab::{IN, OUT},
    packets::{segment, srh},
    signed::{SHA1, SHA256, to_be_signed},
};
use alveary_testing::Draw;
use std::fmt::Write;

/// Place of a packet's first segment routing header.
const SRH: i64 = 40;

/// A program under way: r6 is the context, r7 a sum of all results.
#[derive(Clone)]
pub(crate) struct Text(String);

impl Text {
    pub(crate) fn new() -> Text {
        Text("r6 = r1\nr7 = 0\n".to_owned())
    }

    /// Calls a helper with a number, bytes and their length.
    fn with_bytes(mut self, helper: &str, number: i64, bytes: &[u8]) -> Text {
        let mut padded = bytes.to_vec();
        padded.resize(bytes.len().next_multiple_of(8), 0);
        let room = 16 + padded.len();
        for (word, eight) in padded.chunks(8).enumerate() {
            let value = u64::from_ne_bytes(eight.try_into().expect("eight bytes"));
            writeln!(self.0, "r1 = {value:#x} ll\n*(u64 *)(r10 - {}) = r1", room - 8 * word).expect("room");
        }
        let len = bytes.len();
        writeln!(self.0, "r1 = r6\nr2 = {number}\nr3 = r10\nr3 += -{room}\nr4 = {len}\ncall {helper}").expect("room");
        self.sum()
    }

    fn sum(mut self) -> Text {
        self.0.push_str("r7 *= 31\nr7 += r0\n");
        self
    }

    pub(crate) fn store(self, offset: i64, bytes: &[u8]) -> Text {
        self.with_bytes("bpf_lwt_seg6_store_bytes", offset, bytes)
    }

    pub(crate) fn adjust(mut self, offset: i64, by: i64) -> Text {
        writeln!(self.0, "r1 = r6\nr2 = {offset}\nr3 = {by}\ncall bpf_lwt_seg6_adjust_srh").expect("room");
        self.sum()
    }

    pub(crate) fn action(self, action: i64, parameter: &[u8]) -> Text {
        self.with_bytes("bpf_lwt_seg6_action", action, parameter)
    }

    fn redirect(mut self, device: u32) -> Text {
        writeln!(self.0, "r1 = {device}\nr2 = 0\ncall bpf_redirect").expect("room");
        self.sum()
    }

    pub(crate) fn push(self, mode: i64, header: &[u8]) -> Text {
        self.with_bytes("bpf_lwt_push_encap", mode, header)
    }

    /// Adds what a field of the context or bytes of the packet are.
    pub(crate) fn look(mut self) -> Text {
        for offset in [0, 4, 8, 16, 20, 32, 48, 164, 176] {
            writeln!(self.0, "r0 = *(u32 *)(r6 + {offset})\nr7 *= 31\nr7 += r0").expect("room");
        }
        self.0.push_str(
            "r1 = *(u32 *)(r6 + 76)\nr2 = *(u32 *)(r6 + 80)\nr3 = r1\nr3 += 20\nif r3 > r2 goto +3\n\
             r0 = *(u64 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 16)\nr7 += r3\nr7 += r0\n",
        );
        let load = "*(u64 *)(r10 - 16) = 0\nr1 = r6\nr2 = 4\nr3 = r10\nr3 += -16\nr4 = 8\ncall bpf_skb_load_bytes\n";
        writeln!(self.0, "{load}r1 = *(u64 *)(r10 - 16)\nr0 ^= r1").expect("room");
        self.sum()
    }

    /// Ends: the sum goes into the map, `code` is returned.
    pub(crate) fn returns(self, code: i64) -> String {
        format!(
            "{}*(u32 *)(r10 - 4) = 0\nr1 = map ll\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem\nif r0 == 0 goto +1\n\
             *(u64 *)(r0 + 0) = r7\nr0 = {code}\nexit\n",
            self.0
        )
    }
}

pub(crate) const OK: i64 = 0;
pub(crate) const DROP: i64 = 2;
pub(crate) const REDIRECT: i64 = 7;
pub(crate) const REROUTE: i64 = 128;

/// Programs of an SRv6 endpoint.
pub(crate) fn endpoints() -> Vec<String> {
    let mut all = vec![];
    for code in [OK, DROP, REDIRECT, REROUTE, 1, -1] {
        all.push(Text::new().look().returns(code));
    }
    // With two segments, TLVs begin at 80, with 16 bytes of them they end at 96.
    for offset in [0, 39, 40, 44, 45, 46, 47, 48, 55, 64, 71, 72, 79, 80, 88, 95, 96, 97, 5000, -1] {
        for len in [1, 2, 3, 8, 16, 40] {
            all.push(Text::new().store(offset, &vec![2; len]).returns(OK));
        }
    }
    // A TLV that does not hold together, one that does.
    all.push(Text::new().store(80, &[1, 200]).returns(OK));
    all.push(Text::new().store(80, &[1, 14, 9, 9]).store(46, &[0xbe, 0xef]).returns(OK));
    all.push(Text::new().store(45, &[8]).returns(OK));
    for offset in [47, 48, 56, 72, 79, 80, 81, 88, 95, 96, 97, 104, -1] {
        for by in [0, 1, 8, -1, -8, -16, -17, 16, 24, 256, -1 << 31, 1300] {
            all.push(Text::new().adjust(offset, by).returns(OK));
        }
    }
    // Room for a TLV, and the TLV.
    for (offset, by) in [(80, 8), (96, 8), (80, 16), (96, 2048)] {
        all.push(Text::new().adjust(offset, by).store(offset, &[0x7d, 6, 1, 2, 3, 4, 5, 6]).returns(OK));
        all.push(Text::new().adjust(offset, by).action(2, &segment(9)).returns(REDIRECT));
        all.push(Text::new().adjust(offset, by).adjust(offset, -by).returns(OK));
    }
    for table in [77u32, 254, 255, 1234, 0] {
        for action in [3, 7] {
            for code in [OK, REDIRECT] {
                all.push(Text::new().action(action, &table.to_ne_bytes()).look().returns(code));
            }
        }
    }
    for action in [0, 1, 2, 4, 5, 6, 8, 11, 15, 16, -1] {
        all.push(Text::new().action(action, &segment(9)).returns(REDIRECT));
        all.push(Text::new().action(action, &[0; 4]).returns(OK));
    }
    for header in headers() {
        if header.get(5) == Some(&8) {
            all.push(Text::new().action(10, &header).returns(DROP));
            all.push(Text::new().action(9, &header).store(46, &[7, 7]).returns(OK));
            continue;
        }
        for action in [9, 10] {
            all.push(Text::new().action(action, &header).look().returns(REDIRECT));
            all.push(Text::new().action(action, &header).returns(OK));
            all.push(Text::new().action(action, &header).store(46, &[7, 7]).adjust(80, 8).returns(OK));
        }
    }
    for header in signed_headers() {
        for action in [9, 10] {
            all.push(Text::new().action(action, &header).look().returns(REDIRECT));
            all.push(Text::new().action(action, &header).store(46, &[7, 7]).returns(OK));
        }
    }
    for action in [9, 10] {
        all.push(Text::new().action(action, &too_long()).returns(DROP));
    }
    all.push(Text::new().action(7, &254u32.to_ne_bytes()).action(10, &srh(0, 2, 1, &[])).look().returns(REDIRECT));
    all.push(Text::new().action(7, &254u32.to_ne_bytes()).adjust(80, 8).store(46, &[1]).returns(REDIRECT));
    all
}

/// Programs of several steps, at random.
pub(crate) fn random_endpoints(draw: &mut Draw, count: usize) -> Vec<String> {
    let one = |_| {
        let mut text = Text::new();
        for _ in 0..=draw.below(3) {
            let any = SRH + draw.below(70) as i64;
            let offset = draw.of(&[45, 46, 72, 80, 80, 88, 96, any]);
            text = match draw.below(7) {
                0..=2 => {
                    let bytes = (0..=draw.below(12)).map(|_| draw.below(12) as u8).collect::<Vec<_>>();
                    text.store(offset, &bytes)
                }
                3 | 4 => text.adjust(offset, draw.of(&[8, -8, 16, -16, 4, -4, 40, 0])),
                5 => text.action(draw.of(&[2, 3, 7, 9, 10]), &draw.of(&[segment(3), [0; 16]])),
                _ => text.action(draw.of(&[9, 10]), &headers()[draw.below(4) as usize]),
            };
        }
        text.returns(draw.of(&[OK, OK, OK, REDIRECT, DROP]))
    };
    (0..count).map(one).collect()
}

/// Headers to put on packets, right and broken.
fn headers() -> Vec<Vec<u8>> {
    let tlvs = [0x7c, 6, 1, 2, 3, 4, 5, 6];
    let changed = |at: usize, to: u8| {
        let mut header = srh(0, 2, 1, &tlvs);
        header[at] = to;
        header
    };
    let hmac = [vec![5, 38, 0, 0, 0, 0, 0, 7], vec![0xab; 32]].concat();
    let mut signed = srh(0, 2, 1, &hmac);
    signed[5] = 8;
    vec![
        srh(0, 2, 1, &[]),
        srh(99, 1, 0, &[]),
        srh(0, 3, 2, &tlvs),
        srh(0, 3, 1, &[]),
        changed(1, 3),
        changed(2, 0),
        changed(3, 2),
        changed(4, 2),
        changed(5, 8),
        changed(41, 7),
        signed,
        vec![0; 4],
    ]
}

/// Headers that are signed where they are put on packets.
fn signed_headers() -> Vec<Vec<u8>> {
    let opaque = [0x7c, 6, 1, 2, 3, 4, 5, 6];
    vec![to_be_signed(1, SHA256, &[]), to_be_signed(2, SHA1, &opaque), to_be_signed(14, SHA256, &[])]
}

/// One that has a segment more than can be signed.
fn too_long() -> Vec<u8> {
    to_be_signed(15, SHA256, &[])
}

/// Programs of tunnels, where packets come in.
pub(crate) fn incoming() -> Vec<String> {
    let mut all = vec![];
    // Another route than this one there is not, unless the packet becomes another.
    for code in [OK, DROP, REDIRECT, 1, -1] {
        all.push(Text::new().look().returns(code));
    }
    for header in headers() {
        // Without its HMAC, the kernel leaves the length in the outer header to chance.
        let half = header.get(5) == Some(&8);
        all.push(Text::new().push(1, &header).look().returns(OK));
        all.push(if half {
            Text::new().push(0, &header).returns(DROP)
        } else {
            Text::new().push(0, &header).look().returns(OK)
        });
        if !half {
            all.push(Text::new().push(0, &header).push(1, &srh(0, 2, 1, &[])).look().returns(OK));
        }
    }
    for header in signed_headers() {
        for mode in [0, 1] {
            all.push(Text::new().push(mode, &header).look().returns(OK));
            all.push(Text::new().push(mode, &header).push(1 - mode, &header).look().returns(OK));
        }
    }
    for mode in [0, 1] {
        all.push(Text::new().push(mode, &too_long()).returns(DROP));
    }
    for (header, code) in ip_headers() {
        all.push(Text::new().push(2, &header).look().returns(code));
    }
    all.push(Text::new().push(3, &srh(0, 2, 1, &[])).returns(OK));
    all
}

/// Programs of tunnels, where packets leave.
pub(crate) fn leaving() -> Vec<String> {
    let mut all = vec![];
    for code in [OK, DROP, 1, -1] {
        all.push(Text::new().look().returns(code));
    }
    for (header, code) in ip_headers() {
        all.push(Text::new().push(2, &header).look().returns(code));
    }
    for mode in [0, 1, 3] {
        all.push(Text::new().push(mode, &srh(0, 2, 1, &[])).returns(OK));
    }
    for device in [0, IN, OUT, 99] {
        all.push(Text::new().redirect(device).returns(REDIRECT));
    }
    all.push(Text::new().returns(REDIRECT));
    // A mark, a priority, and bytes of the packet.
    all.push(
        Text("r6 = r1\nr7 = 0\n*(u32 *)(r6 + 8) = 5\n*(u32 *)(r6 + 32) = 6\n*(u32 *)(r6 + 48) = 7\n".to_owned())
            .look()
            .returns(OK),
    );
    all.push(
        "r6 = r1\nr2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr4 = r2\nr4 += 40\nif r4 > r3 goto +2\n\
         r4 = 0x77\n*(u8 *)(r2 + 39) = r4\nr7 = 3\n"
            .to_owned()
            + &Text(String::new()).returns(OK),
    );
    for (len, flags) in [(60, 0), (39, 0), (40, 0), (300, 0), (60, 1)] {
        let text = format!("r6 = r1\nr7 = 0\nr2 = {len}\nr3 = {flags}\ncall bpf_skb_change_tail\n");
        all.push(Text(text).sum().look().returns(OK));
    }
    all
}

fn ip6(next: u8) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0, 0, 100, next, 33];
    header.extend(segment(1));
    header.extend(segment(2));
    header
}

fn ip4(protocol: u8, sum: u16) -> Vec<u8> {
    let mut header = vec![0x45, 0, 0, 140, 0, 1, 0, 0, 33, protocol];
    header.extend(sum.to_be_bytes());
    header.extend([10, 98, 0, 1, 10, 77, 0, 1]);
    header
}

/// IP headers to put before packets, and what is to be returned then.
fn ip_headers() -> Vec<(Vec<u8>, i64)> {
    let gre = [0, 0, 0x86, 0xdd];
    let udp = [0x12, 0x34, 0x12, 0xb5, 0, 8, 0, 0];
    let mut all = vec![
        (ip6(41), REROUTE),
        (ip6(47).into_iter().chain(gre).collect(), REROUTE),
        (ip6(17), OK),
        (ip6(17).into_iter().chain(udp).collect(), REROUTE),
        (ip4(4, 0), REROUTE),
        (ip4(17, 0), OK),
        (ip4(17, 0).into_iter().chain(udp).collect(), REROUTE),
        (ip4(47, 0).into_iter().chain(gre).collect(), REROUTE),
        (ip4(47, 0x1234).into_iter().chain(gre).collect(), OK),
        (ip6(41)[..39].to_vec(), DROP),
        (ip4(4, 0)[..19].to_vec(), DROP),
        (vec![0x50; 40], DROP),
        (vec![0x4f; 40], DROP),
        (ip6(59).into_iter().chain([0; 216]).collect(), REROUTE),
        (ip6(59).into_iter().chain([0; 217]).collect(), DROP),
    ];
    all.push((ip6(41), OK));
    all
}

/// Programs that the verifier takes or refuses, for every type.
pub(crate) fn questionable() -> Vec<String> {
    let mut all = Vec::new();
    let write = "r2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr4 = r2\nr4 += 1\nr0 = 0\nif r4 > r3 goto +1\n";
    all.push(format!("{write}*(u8 *)(r2 + 0) = r0\nexit\n"));
    all.push(format!("{write}r0 = *(u8 *)(r2 + 0)\nexit\n"));
    for offset in (0..192).step_by(4) {
        all.push(format!("r2 = *(u32 *)(r1 + {offset})\nr0 = 0\nexit\n"));
        all.push(format!("r2 = 0\n*(u32 *)(r1 + {offset}) = r2\nr0 = 0\nexit\n"));
    }
    for offset in (144..192).step_by(8) {
        all.push(format!("r2 = *(u64 *)(r1 + {offset})\nr0 = 0\nexit\n"));
        all.push(format!("r2 = 0\n*(u64 *)(r1 + {offset}) = r2\nr0 = 0\nexit\n"));
    }
    let bytes = "*(u64 *)(r10 - 8) = 0\nr2 = 0\nr3 = r10\nr3 += -8\nr4 = 8\n";
    for helper in ["lwt_push_encap", "lwt_seg6_store_bytes", "lwt_seg6_action", "skb_load_bytes"] {
        all.push(format!("{bytes}call bpf_{helper}\nr0 = 0\nexit\n"));
    }
    all.push(format!("{bytes}r5 = 0\ncall bpf_skb_store_bytes\nr0 = 0\nexit\n"));
    all.push(format!("{bytes}r5 = 0\ncall bpf_fib_lookup\nr0 = 0\nexit\n"));
    for helper in ["lwt_seg6_adjust_srh", "skb_change_tail", "skb_change_head", "clone_redirect"] {
        all.push(format!("r2 = 0\nr3 = 0\ncall bpf_{helper}\nr0 = 0\nexit\n"));
    }
    for helper in ["skb_pull_data", "csum_update", "get_hash_recalc", "set_hash_invalid", "get_route_realm"] {
        all.push(format!("r2 = 0\ncall bpf_{helper}\nr0 = 0\nexit\n"));
    }
    all.push("r1 = 1\nr2 = 0\ncall bpf_redirect\nexit\n".to_owned());
    // Pointers into the packet are worth nothing after a helper that changes it.
    for call in ["r2 = 80\nr3 = 8\ncall bpf_lwt_seg6_adjust_srh\n", &format!("{bytes}call bpf_lwt_push_encap\n")] {
        let packet = "r7 = *(u32 *)(r1 + 76)\nr8 = *(u32 *)(r1 + 80)\nr9 = r7\nr9 += 8\nr0 = 0\nif r9 > r8 goto out\n";
        all.push(format!("{packet}{call}r0 = *(u8 *)(r7 + 0)\nout: r0 = 0\nexit\n"));
    }
    // Without bytes.
    all.push("r2 = 0\nr3 = r10\nr4 = 0\ncall bpf_lwt_seg6_store_bytes\nr0 = 0\nexit\n".to_owned());
    all.push("r2 = 0\nr3 = 0\nr4 = 0\ncall bpf_lwt_push_encap\nr0 = 0\nexit\n".to_owned());
    for code in [-1, 1, 7, 128, 1000] {
        all.push(format!("r0 = {code}\nexit\n"));
    }
    all
}
