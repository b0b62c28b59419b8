//! `alveary srv6 run`: a router in user space.

use super::{PROGRAMS, capture};
use crate::session::Session;
use serde_json::{Value, json};

/// A file of what leaves by `north`, `east` and, one flow or the other, `south`; a program behind a segment.
const TOPOLOGY: &str = r#"
source = "fc00:99::1"
interface = [
    { name = "west", mac = "02:00:00:00:00:aa" },
    { name = "east", mtu = 1400, mac = "02:00:00:00:00:bb" },
    { name = "south" },
]

[[route]]
to = "fdfd::/16"
dev = "east"
via = "fe80::2"

[[route]]
to = "fcfc::/16"
behaviour = "End.BPF"
program = "routes.o:tag"

[[route]]
to = "::/0"
behaviour = "unreachable"

[neighbour]
"fe80::2" = "02:00:00:00:00:cc"
"#;

fn session(topology: &str) -> Session {
    let session = Session::new().file("router.toml", topology).file("routes.s", PROGRAMS);
    session.file("in.pcap", capture()).run("asm routes.s -o routes.o")
}

fn run(session: &Session) -> Value {
    let output = session.output("srv6 run router.toml --pcap in.pcap --write out --json");
    serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{why}: {} {}", output.stdout, output.stderr))
}

#[test]
fn a_capture_goes_through_a_router() {
    let session = session(TOPOLOGY);
    let told = run(&session);
    assert_eq!(told["packets"], 3);
    assert_eq!(told["sent"], json!({ "west": 0, "east": 1, "south": 0 }));
    assert_eq!(told["lost"], json!({ "no IP packet": 1, "no valid SRH with segments left": 1 }));
    // On to the next segment, the tag one more, one hop less; towards the neighbour.
    let mut frame = capture()[40..][..78].to_vec();
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 0xcc, 2, 0, 0, 0, 0, 0xbb]);
    frame[38..54].fill(0xfd);
    (frame[21], frame[57], frame[61]) = (63, 0, 42);
    assert_eq!(session.read("out/east.pcap")[40..], frame);
    assert_eq!(session.read("out/west.pcap").len(), 24);
    let text = session.output("srv6 run router.toml --pcap in.pcap --write out").stdout;
    assert!(text.contains("3 packets came in\n") && text.contains("  1 left by east\n"), "{text}");
}

/// What `lwt_seg6_action` finds is where the packet goes: End.T by a table that leads elsewhere.
#[test]
fn a_program_steers_packets() {
    let program = "\
.section lwt_seg6local/steer
steer:
    *(u32 *)(r10 - 4) = 77
    r2 = 3
    r3 = r10
    r3 += -4
    r4 = 4
    call bpf_lwt_seg6_action
    if r0 != 0 goto drop
    r0 = 7
    exit
drop:
    r0 = 2
    exit
";
    let way = "[[route]]\nto = \"fdfd::/16\"\ntable = 77\ndev = \"south\"\n";
    for (way, expected) in [(way, json!({ "south": 1 })), ("", json!({ "south": 0 }))] {
        let topology = TOPOLOGY.replace("routes.o:tag", "steer.o").replace("[neighbour]", &format!("{way}[neighbour]"));
        let session = session(&topology).file("steer.s", program).run("asm steer.s -o steer.o");
        let told = run(&session);
        assert_eq!(told["sent"]["south"], expected["south"], "{told}");
        assert_eq!(told["lost"]["a program dropped it"], if way.is_empty() { json!(1) } else { Value::Null });
    }
}

#[test]
fn headends_and_messages() {
    let encapsulates =
        TOPOLOGY.replace("dev = \"east\"\nvia = \"fe80::2\"", "behaviour = \"H.Encaps.Red\"\nsegments = [\"fcaa::1\"]");
    let session = session(&encapsulates);
    let told = run(&session);
    // fcaa::1 is unreachable: the router tells the source of the outer packet, itself, which has no way either.
    assert_eq!(told["lost"]["unreachable"], 1);
    assert_eq!(told["messages"], 1);
    let reachable = encapsulates.replace(
        "[neighbour]",
        "[[route]]\nto = \"fcaa::/16\"\nways = [{ dev = \"south\" }, { dev = \"south\", weight = 3 }]\n[neighbour]",
    );
    let session = session.file("router.toml", reachable);
    assert_eq!(run(&session)["sent"]["south"], 1);
    let packet = &session.read("out/south.pcap")[40 + 14..];
    assert_eq!((packet[6], packet.len()), (41, 40 + 64), "no header is left of one segment");
    assert_eq!(packet[24..40], [0xfc, 0xaa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
}

#[test]
fn what_is_wrong_with_a_router_is_said_with_its_place() {
    for (from, to, at, expected) in [
        ("dev = \"east\"", "dev = \"weast\"", "router.toml:11:7", "there is no interface `weast`"),
        ("End.BPF", "End.X", "router.toml:14:1", "End.X lacks a next hop (nh6)"),
        ("End.BPF", "End.Y", "router.toml:16:13", "there is no behaviour `End.Y`"),
        ("routes.o:tag", "routes.o:twist", "router.toml:17:11", "`twist` does not go behind this route"),
        ("fdfd::/16", "fdfd::/160", "router.toml:10:6", "such an address has 128 bits"),
        ("\"02:00:00:00:00:aa\"", "\"02:00\"", "router.toml:4:28", "no Ethernet address"),
        ("dev = \"east\"", "dev = east", "router.toml:11:7", ""),
        ("mtu = 1400", "mto = 1400", "router.toml:5:22", "unknown field `mto`"),
        ("dev = \"east\"", "", "router.toml:9:1", "the route does not say where packets go"),
        ("name = \"south\"", "name = \"east\"", "router.toml:5:5", "two interfaces have this name"),
        ("name = \"south\"", "name = \"../x\"", "router.toml:6:5", "no file can have this interface's name"),
    ] {
        let session = session(&TOPOLOGY.replace(from, to));
        let output = session.output("srv6 run router.toml --pcap in.pcap --write out");
        let json = session.output("srv6 run router.toml --pcap in.pcap --write out --json");
        assert_eq!(output.code, Some(1), "{to}: {}", output.stdout);
        assert!(output.stderr.contains(at) && output.stderr.contains(expected), "{to}, {at}: {}", output.stderr);
        assert!(serde_json::from_str::<Value>(&json.stderr).is_ok(), "{}", json.stderr);
    }
}

/// Another router than [`TOPOLOGY`]: what goes to fcfc::/16 is sent on a way of signed segments.
fn signing() -> String {
    let sent = "behaviour = \"H.Encaps\"\nsegments = [\"fcaa::1\", \"fdfd::1\"]\nhmac = 7";
    let way = "[[route]]\nto = \"fcaa::/16\"\ndev = \"east\"\n\n[[hmac]]\nkey = 7\nalgorithm = \"sha256\"\n";
    TOPOLOGY
        .replace("behaviour = \"End.BPF\"\nprogram = \"routes.o:tag\"", sent)
        .replace("[neighbour]", &format!("{way}secret = \"a secret\"\n\n[neighbour]"))
}

/// The HMAC is the one of Python's `hmac`, over source, last index, flags, number of the key and segments.
#[test]
fn signed_segments_are_checked_by_the_next_router() {
    let session = session(&signing()).file("key.txt", "a secret\n").file("other.txt", "another secret\n");
    assert_eq!(run(&session)["sent"]["east"], 2);
    let packet = &session.read("out/east.pcap")[40 + 14..];
    let hmac = packet[88..120].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hmac, "744c6a93cc5a1a189bddff81d9a16001e78d39bcf28ea32e7c6dd2386c6668b5");

    let signed = session.read("out/east.pcap");
    let key = |file: &str| format!("[[hmac]]\nkey = 7\nalgorithm = \"sha256\"\nsecret-file = \"{file}\"\n");
    let lost = json!({ "an HMAC that is wrong, of an unknown key, or missing": 2 });
    assert_eq!(next_router(&key("key.txt"), 1, &signed), (json!(2), json!({})));
    assert_eq!(next_router(&key("key.txt"), 0, &signed), (json!(2), json!({})));
    assert_eq!(next_router(&key("other.txt"), 0, &signed), (json!(0), lost.clone()));
    assert_eq!(next_router("", 0, &signed), (json!(0), lost.clone()));
    assert_eq!(next_router("", -1, &signed), (json!(2), json!({})));

    let session = session.file("router.toml", signing().replace("hmac = 7\n", ""));
    assert_eq!(run(&session)["sent"]["east"], 2);
    let unsigned = session.read("out/east.pcap");
    assert_eq!(next_router("", 0, &unsigned), (json!(2), json!({})));
    assert_eq!(next_router(&key("key.txt"), 1, &unsigned), (json!(0), lost));
}

/// What an End at fcaa::1 sends on and loses of a capture, with these keys.
fn next_router(keys: &str, require: i32, capture: &[u8]) -> (Value, Value) {
    let behind = "to = \"fcfc::/16\"\nbehaviour = \"End.BPF\"\nprogram = \"routes.o:tag\"";
    let topology = TOPOLOGY
        .replace(behind, "to = \"fcaa::1/128\"\nbehaviour = \"End\"")
        .replace("{ name = \"west\",", &format!("{{ name = \"west\", require-hmac = {require},"))
        .replace("[neighbour]", &format!("{keys}\n[neighbour]"));
    let session = Session::new().file("router.toml", topology).file("in.pcap", capture);
    let told = run(&session.file("key.txt", "a secret\n").file("other.txt", "another secret\n"));
    (told["sent"]["east"].clone(), told["lost"].clone())
}

#[test]
fn what_is_wrong_with_a_key_is_said_with_its_place() {
    let many = format!("segments = [{}]", vec!["\"fcaa::1\""; 15].join(", "));
    for (from, to, at, expected) in [
        ("hmac = 7", "hmac = 8", "router.toml:18:8", "there is no key 8"),
        ("segments = [\"fcaa::1\", \"fdfd::1\"]", &*many, "router.toml:17:12", "at most 14"),
        ("key = 7", "key = 0", "router.toml:29:7", "no key has the number 0"),
        ("key = 7", "kee = 7", "router.toml:29:1", "unknown field `kee`"),
        ("\"sha256\"", "\"md5\"", "router.toml:30:13", "`md5` is no algorithm"),
        ("secret = \"a secret\"", "", "router.toml:28:1", "the key lacks a secret"),
        ("secret = \"a secret\"", "secret = \"\"", "router.toml:31:10", "1 to 64 bytes"),
        ("secret = \"a secret\"", "secret-file = \"none\"", "router.toml:31:15", "the secret cannot be read from"),
        ("secret = \"a", "secret-file = \"b\"\nsecret = \"a", "router.toml:28:1", "the key has two secrets"),
        (
            "[neighbour]",
            "[[hmac]]\nkey = 7\nalgorithm = \"sha1\"\nsecret = \"b\"\n[neighbour]",
            "router.toml:34:7",
            "two keys have the number 7",
        ),
        ("{ name = \"south\"", "{ name = \"south\", require-hmac = 2", "router.toml:6:38", "`2` says nothing of HMACs"),
    ] {
        let topology = signing();
        assert!(topology.contains(from), "{from}");
        let output = session(&topology.replace(from, to)).output("srv6 run router.toml --pcap in.pcap --write out");
        assert_eq!(output.code, Some(1), "{to}: {}", output.stdout);
        assert!(output.stderr.contains(at) && output.stderr.contains(expected), "{to}, {at}: {}", output.stderr);
    }
}
