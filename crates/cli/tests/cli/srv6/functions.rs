//! Our network functions behind a segment of the router in user space: what they do to packets is what the router's own
//! behaviours do, or what their sources say.

use crate::session::Session;
use serde_json::Value;

const SEGMENT: [u8; 16] = [0xfc, 0, 0, 0xe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const NEXT: [u8; 16] = [0xfc, 0, 0, 0xf, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// When packets come, in seconds.
const TIME: u64 = 5;
const TAG: [u8; 2] = [0x12, 0xff];

/// A packet inside: without a next header.
fn inside() -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 4, 59, 64];
    packet.extend([0xfd; 16]);
    packet.extend([0xfe; 16]);
    packet.extend(b"inside"[..4].iter());
    packet
}

/// A packet at the first of two segments, with these TLVs.
fn packet(tlvs: &[u8]) -> Vec<u8> {
    let inside = inside();
    let mut packet = vec![0x60, 0, 0, 0, 0, (40 + tlvs.len() + inside.len()) as u8, 43, 64];
    packet.extend([[0xfc; 16], SEGMENT].concat());
    packet.extend([41, (4 + tlvs.len() / 8) as u8, 4, 1, 1, 0, TAG[0], TAG[1]]);
    packet.extend([NEXT, SEGMENT].concat());
    packet.extend(tlvs);
    packet.extend(inside);
    packet
}

/// The same when it has left: at its next segment, one hop less.
fn after(tlvs: &[u8]) -> Vec<u8> {
    let mut packet = packet(tlvs);
    (packet[7], packet[43]) = (63, 0);
    packet[24..40].copy_from_slice(&NEXT);
    packet
}

fn capture(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65535, 1].map(u32::to_le_bytes).concat();
    for packet in packets {
        let len = packet.len() as u32 + 14;
        file.extend([TIME as u32, 0, len, len].map(u32::to_le_bytes).concat());
        file.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd]);
        file.extend(packet);
    }
    file
}

/// What leaves a router with this behaviour, and what the router tells.
fn through(behaviour: &str, packets: &[Vec<u8>]) -> (Vec<Vec<u8>>, Value) {
    let topology = format!(
        "interface = [{{ name = \"west\" }}, {{ name = \"east\" }}]\n\
         [[route]]\nto = \"fc00:e::1/128\"\n{behaviour}\n\
         [[route]]\nto = \"::/0\"\ndev = \"east\"\n\
         [[route]]\nto = \"::/0\"\ntable = 77\ndev = \"east\"\n"
    );
    let session = Session::new().file("router.toml", topology).file("in.pcap", capture(packets));
    let session = session.example("srv6-functions.bpf.o").example("srv6-delay.bpf.o");
    let output = session.output("srv6 run router.toml --pcap in.pcap --write out --json");
    let told = serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{why}: {}", output.stderr));
    let mut left = Vec::new();
    let file = session.read("out/east.pcap");
    let mut rest = &file[24..];
    while let Some(len) = rest.get(8..12) {
        let len = u32::from_le_bytes(len.try_into().expect("4 bytes")) as usize;
        left.push(rest[16 + 14..16 + len].to_vec());
        rest = &rest[16 + len..];
    }
    (left, told)
}

fn program(name: &str) -> String {
    format!("behaviour = \"End.BPF\"\nprogram = \"srv6-functions.bpf.o:{name}\"")
}

#[test]
fn endpoints_by_program_are_the_routers_own() {
    let packets = [packet(&[]), packet(&[125, 6, 0, 0, 0, 0, 0, 0])];
    let own = through("behaviour = \"End\"", &packets).0;
    assert_eq!(own, [after(&[]), after(&[125, 6, 0, 0, 0, 0, 0, 0])]);
    assert_eq!(through(&program("end"), &packets).0, own);
    assert_eq!(through(&program("end_t"), &packets).0, through("behaviour = \"End.T\"\nlookup = 77", &packets).0);
}

#[test]
fn headers_come_off() {
    let mut inside = inside();
    inside[7] = 63;
    assert_eq!(through(&program("end_dt6"), &[packet(&[])]).0, [inside]);
}

#[test]
fn the_tag_is_one_more() {
    let mut more = after(&[]);
    more[46..48].copy_from_slice(&[0x13, 0]);
    assert_eq!(through(&program("tag"), &[packet(&[])]).0, [more]);
}

#[test]
fn a_tlv_is_added() {
    let tlv = [&[125, 6][..], b"alvear"].concat();
    assert_eq!(through(&program("add_tlv"), &[packet(&[]), packet(&tlv)]).0, [after(&tlv), after(&tlv.repeat(2))]);
}

const MONITOR: &str = "behaviour = \"End.BPF\"\nprogram = \"srv6-delay.bpf.o:end_dm\"";

/// A delay TLV.
fn delay(kind: u8, reflected: u64) -> Vec<u8> {
    let mut tlv = vec![kind, 30, 0, 0, 0, 0, 0, 7];
    tlv.extend([3u64, 1000, reflected].map(u64::to_be_bytes).concat());
    tlv
}

#[test]
fn delay_tlvs_come_off_where_they_are_reported() {
    let [before, behind] = [[4u8, 6, 0, 0, 0, 0, 0, 0], [125, 6, 1, 2, 3, 4, 5, 6]];
    let packets = [
        packet(&delay(124, 0)),
        packet(&delay(252, 9)),
        packet(&[&before[..], &delay(124, 0), &behind].concat()),
        packet(&[]),
        packet(&behind),
    ];
    let left = through(MONITOR, &packets).0;
    let both = [before, behind].concat();
    assert_eq!(left, [after(&[]), after(&[]), after(&both), after(&[]), after(&behind)]);
}

#[test]
fn what_is_to_come_back_gets_the_time() {
    let left = through(MONITOR, &[packet(&delay(252, 0))]).0;
    let [one] = &left[..] else { panic!("{left:?}") };
    let time = u64::from_be_bytes(*one[104..].first_chunk().expect("8 bytes"));
    assert_eq!((one.len(), time), (packet(&delay(252, 0)).len(), TIME * 1_000_000_000));
    assert_eq!(one[80..104], delay(252, 0)[..24], "the rest of the TLV stays");
}

#[test]
fn broken_delay_tlvs_are_dropped() {
    let short = [124u8, 6, 0, 0, 0, 0, 0, 0];
    // Too long for the header that it is in: such a header no router takes.
    let long = [124u8, 30, 0, 0, 0, 0, 0, 0];
    let (left, told) = through(MONITOR, &[packet(&short), packet(&long), packet(&[])]);
    assert_eq!(left, [after(&[])], "{told}");
    assert_eq!(told["lost"].as_object().map(|lost| lost.values().filter_map(Value::as_u64).sum::<u64>()), Some(2));
}
