//! `alveary srv6 run` with several routers: links between them, in the captures' time.

use super::{PROGRAMS, capture};
use crate::session::Session;
use serde_json::{Value, json};

/// A host, a router with a program behind a segment, another router, a host behind it.
const NETWORK: &str = r#"
seed = 7

[[router]]
name = "a"
source = "fc00:99::a"
interface = [{ name = "west" }, { name = "east" }]
[[router.route]]
to = "fcfc::/16"
behaviour = "End.BPF"
program = "routes.o:tag"
[[router.route]]
to = "fdfd::/16"
dev = "east"

[[router]]
name = "b"
source = "fc00:99::b"
interface = [{ name = "west", mac = "02:00:00:00:00:bb" }, { name = "east", mtu = 1400 }, { name = "south" }]
[[router.route]]
to = "fdfd::/16"
dev = "east"
[[router.route]]
to = "::/0"
dev = "south"
via = "fe80::1"
[router.neighbour]
"fe80::1" = "02:00:00:00:00:cc"

[[host]]
name = "h"

[[link]]
ends = ["a:east", "b:west"]
rate = "8mbit"
delay = "5ms"
[[link]]
ends = ["b:east", "h"]
delay = "2ms"
back = { delay = "3ms" }
"#;

fn session(network: &str) -> Session {
    let session = Session::new().file("network.toml", network).file("routes.s", PROGRAMS);
    session.file("in.pcap", capture()).run("asm routes.s -o routes.o")
}

fn run(session: &Session, arguments: &str) -> Value {
    let output = session.output(&format!("srv6 run network.toml --pcap in.pcap --write out --json {arguments}"));
    serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{why}: {} {}", output.stdout, output.stderr))
}

/// Nanoseconds of a file's first packet, of a second.
fn first_time(file: &[u8]) -> u32 {
    u32::from_le_bytes(file[28..32].try_into().expect("four bytes"))
}

#[test]
fn packets_cross_a_network_in_their_own_time() {
    let session = session(NETWORK);
    let told = run(&session, "");
    assert_eq!(told["packets"], 3);
    assert_eq!(told["sent"], json!({ "a.west": 0, "a.east": 1, "b.west": 0, "b.east": 1, "b.south": 0 }));
    assert_eq!(told["received"], json!({ "h": 1 }));
    assert_eq!(told["lost"]["a"]["no valid SRH with segments left"], 1);
    let first = told["links"].as_array().expect("links").iter().find(|link| link["from"] == "a:east");
    assert_eq!(first, Some(&json!({ "from": "a:east", "to": "b:west", "sent": 1, "bytes": 78, "lost": 0, "full": 0 })));
    let (middle, last) = (session.read("out/a.east.pcap"), session.read("out/b.east.pcap"));
    assert_eq!(middle[40..46], [2, 0, 0, 0, 0, 0xbb], "to the interface at the link's other end");
    assert_eq!((middle[40 + 57], middle[40 + 61]), (0, 42), "the tag is one more");
    // 78 bytes at a microsecond each, and 5 ms.
    assert_eq!((first_time(&middle), first_time(&last)), (0, 78_000 + 5_000_000));
    assert_eq!((middle[40 + 21], last[40 + 21]), (63, 62), "a hop less each");
    let text = session.output("srv6 run network.toml --pcap in.pcap --write out").stdout;
    assert!(text.contains("3 packets came in\n  1 came to h\n") && text.contains("  1 left by b.east\n"), "{text}");
}

#[test]
fn captures_come_in_where_they_are_said_to() {
    let session = session(NETWORK);
    // What the host sends, and what comes by another interface.
    let told = run(&session, "--in h --pcap in.pcap --in b:west");
    assert_eq!(told["packets"], 6);
    assert_eq!(told["sent"]["b.south"], 4, "{told}");
    let south = session.read("out/b.south.pcap");
    assert_eq!(south[40..46], [2, 0, 0, 0, 0, 0xcc], "to the neighbour");
    let one_name = session.output("srv6 run network.toml --pcap in.pcap --pcap in.pcap --in h --write out");
    assert!(one_name.code == Some(1) && one_name.stderr.contains("2 times `--in`"), "{}", one_name.stderr);
}

#[test]
fn loss_is_the_same_at_every_run_and_told() {
    let lossy = NETWORK.replace("rate = \"8mbit\"", "loss = \"100%\"");
    let session = session(&lossy);
    let told = run(&session, "");
    assert_eq!((&told["sent"]["a.east"], &told["received"]), (&json!(1), &json!({})));
    let text = session.output("srv6 run network.toml --pcap in.pcap --write out").stdout;
    assert!(text.contains("  1 lost between a:east and b:west\n"), "{text}");
}

#[test]
fn what_is_wrong_with_a_network_is_said_with_its_place() {
    for (from, to, at, expected) in [
        ("\"b:west\"]", "\"b:north\"]", "network.toml:34:19", "one of b:west, b:east, b:south"),
        ("\"h\"]", "\"i\"]", "network.toml:38:19", "there is no router or host `i`"),
        ("\"h\"]", "\"b:west\"]", "network.toml:38:19", "b:west has two links"),
        ("\"8mbit\"", "\"8\"", "network.toml:35:8", "a number and its unit"),
        ("\"5ms\"", "\"-5ms\"", "network.toml:36:9", "a number and its unit"),
        ("name = \"b\"", "name = \"a\"", "network.toml:17:8", "two routers or hosts have this name"),
        ("name = \"h\"", "name = \"h:1\"", "network.toml:31:8", "no file can have this name"),
        ("name = \"b\"\n", "", "network.toml:16:1", "the router lacks a name"),
        ("routes.o:tag", "routes.o:twist", "network.toml:11:11", "`twist` does not go behind this route"),
    ] {
        let session = session(&NETWORK.replace(from, to));
        let output = session.output("srv6 run network.toml --pcap in.pcap --write out");
        assert_eq!(output.code, Some(1), "{to}: {}", output.stdout);
        assert!(output.stderr.contains(at) && output.stderr.contains(expected), "{to}, {at}: {}", output.stderr);
    }
}
