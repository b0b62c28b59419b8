//! Programs of routes, tunnels and SRv6 endpoints: `alveary run`; `alveary srv6`.

mod discover;
mod functions;
mod labs;
mod network;
mod router;
mod routes;

use crate::session::Session;
use serde_json::Value;

/// Tag++ behind an endpoint; then a TLV over the end, which the stack does not let through.
const PROGRAMS: &str = "\
.section lwt_seg6local/tag
tag:
    r6 = r1
    r2 = *(u32 *)(r1 + 76)
    r3 = *(u32 *)(r1 + 80)
    r4 = r2
    r4 += 48
    if r4 > r3 goto drop
    r5 = *(u16 *)(r2 + 46)
    r5 = be16 r5
    r5 += 1
    r5 = be16 r5
    *(u16 *)(r10 - 8) = r5
    r2 = 46
    r3 = r10
    r3 += -8
    r4 = 2
    call bpf_lwt_seg6_store_bytes
    if r0 != 0 goto drop
    exit
drop:
    r0 = 2
    exit

.section lwt_seg6local/broken
broken:
    r2 = 64
    r3 = 4
    call bpf_lwt_seg6_adjust_srh
    r0 = 0
    exit

.section lwt_xmit/twist
twist:
    *(u32 *)(r10 - 24) = 0x14000045
    *(u32 *)(r10 - 20) = 0
    *(u32 *)(r10 - 16) = 0x2940
    *(u32 *)(r10 - 12) = 0
    *(u32 *)(r10 - 8) = 0
    r2 = 2
    r3 = r10
    r3 += -24
    r4 = 20
    call bpf_lwt_push_encap
    r0 = 0
    exit
";

/// A packet with one segment left, one with none, one that is no IP packet: as Ethernet frames.
fn capture() -> Vec<u8> {
    let segments = |left: u8| {
        let mut packet = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 43, 64];
        packet.extend([0xfc; 32]);
        packet.extend([59, 2, 4, left, 0, 0, 0, 41]);
        packet.extend([0xfd; 16]);
        packet
    };
    let mut arp = vec![0xff; 42];
    arp[12..14].copy_from_slice(&[8, 6]);
    let mut file = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65535, 1].map(u32::to_le_bytes).concat();
    for packet in [segments(1), segments(0), arp] {
        let len = packet.len() as u32;
        file.extend([0, 0, len, len].map(u32::to_le_bytes).concat());
        file.extend(packet);
    }
    file
}

fn session() -> Session {
    Session::new().file("routes.s", PROGRAMS).file("in.pcap", capture()).run("asm routes.s -o routes.o")
}

fn run(session: &Session, program: &str, more: &str) -> Value {
    let output = session.output(&format!("run routes.o --pcap in.pcap --prog {program} --json {more}"));
    serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{why}: {} {}", output.stdout, output.stderr))
}

#[test]
fn an_endpoint_gets_what_has_segments_left() {
    let session = session();
    let value = run(&session, "tag", "--packets each.jsonl --write on.pcap --write-dropped off.pcap");
    assert_eq!(value["verdicts"], serde_json::json!({ "BPF_OK": 1, "BPF_DROP": 2 }));
    let why = &value["dropped_by_stack"];
    assert_eq!(*why, serde_json::json!({ "no IP packet": 1, "no valid SRH with segments left": 1 }));
    // On to the next segment, none is left; the tag is one more.
    let mut after = capture()[40..][..78].to_vec();
    after[38..54].fill(0xfd);
    (after[57], after[61]) = (0, 42);
    assert_eq!(session.read("on.pcap")[40..], after);
    assert_eq!(session.read("off.pcap").len(), 24 + 16 + 78 + 16 + 42);
    let lines = String::from_utf8(session.read("each.jsonl")).expect("text");
    assert!(lines.contains(r#""verdict":"BPF_DROP","value":2"#), "{lines}");
    assert!(lines.contains(r#""dropped":"no IP packet""#), "{lines}");
}

#[test]
fn what_a_program_breaks_is_dropped_by_name() {
    let session = session();
    let value = run(&session, "broken", "");
    assert_eq!(value["verdicts"], serde_json::json!({ "BPF_DROP": 3 }));
    let text = session.output("run routes.o --pcap in.pcap --prog broken").stdout;
    assert!(text.contains("  the program left a broken SRH"), "{text}");
    let value = run(&session, "twist", "");
    assert_eq!(value["verdicts"], serde_json::json!({ "BPF_DROP": 3 }));
    assert_eq!(value["dropped_by_stack"]["another protocol, and no new route"], 2);
}
