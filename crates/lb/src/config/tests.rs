//! What is taken, and what is said of what is not.

use super::*;
use alveary_diag::Place;
use proptest::prelude::*;
use std::time::Duration;

const WHOLE: &str = r#"
[balancer]
name = "edge"
devices = ["eth0", "eth1"]
mode = "native"
source = ["10.0.0.1", "fc00::1"]
mtu = 1500
seed = 42
nat-ports = [40000, 50000]

[limits]
vips = 64
reals = 128
slots = 500_000
connections = 1000
connections-per-cpu = 4096

[rates]
new-connections = 5000
sample = 1000

[api]
socket = "/run/edge.sock"
address = "127.0.0.1:9200"

[metrics]
address = "127.0.0.1:9100"

[default]
slots = 4093
drain = "30s"

[[vip]]
name = "web"
address = "192.0.2.1"
port = [80, 443]
mss = true
slow-start = "10s"
  [vip.check]
  type = "http"
  path = "/health"
  status = ["200-202", 204]
  interval = "500ms"
  [[vip.real]]
  address = "10.0.1.1"
  weight = 2
  [[vip.real]]
  address = "fc00:1::2"
  forward = "gue"
  gue-port = 9886
  [[vip.route]]
  from = ["198.51.100.0/24"]
  reals = ["fc00:1::2"]

[[vip]]
address = "2001:db8::1"
port = 443
protocol = "udp"
quic = "katran"
slots = 65_537
options = "drop"
real = [{ address = "10.0.1.1", id = 7 }]
"#;

/// Every key that can stand beside the others, a line each.
const EVERYTHING: &str = r#"[balancer]
name = "edge"
devices = ["eth0", "eth1"]
mode = "native"
source = ["172.16.0.0", "fc00:9::"]
spread = 16
mtu = 1500
seed = 42
nat-ports = [40000, 50000]
[limits]
vips = 64
reals = 128
slots = 500_000
connections = 1000
connections-per-cpu = 4096
[rates]
new-connections = 5000
answers = 100
sample = 1000
[api]
socket = "/run/edge.sock"
address = "192.0.2.77:9200"
token = "/token"
certificate = "/c"
key = "/k"
clients = "/a"
[metrics]
address = "127.0.0.1:9100"
[announce]
file = "/x.conf"
bird = "/b.ctl"
when = "all"
linger = "2s"
as = 65001
bfd = "100ms"
[[announce.peer]]
address = "10.0.9.1"
as = 65000
[sync]
listen = "10.0.9.2:7947"
peers = ["10.0.9.3:7947"]
key = "/secret"
[default]
slots = 4093
forward = "gue"
drain = "30s"
slow-start = "5s"
[default.check]
type = "dns"
query = "example.org"
[[vip]]
name = "web"
address = "192.0.2.1"
port = [80, 443]
protocol = ["tcp", "udp"]
action = "balance"
forward = "gue"
hash = "flow"
table = "maglev"
slots = 1009
remember = "all"
idle = "30s"
quic = "quic-lb"
quic-server-id = [1, 4]
tcp-id = true
udp-id = true
hop-limit = true
mss = 1400
fragments = "pass"
options = "drop"
drain = "10s"
slow-start = "10s"
[vip.check]
type = "https"
path = "/health"
host = "www.example"
status = ["200-202", 204]
interval = "500ms"
timeout = "400ms"
jitter = 20
rise = 3
fall = 4
port = 8443
server-name = "www.example"
ca = "/ca"
verify = true
[[vip.real]]
address = "10.0.1.1"
name = "one"
weight = 2
gue-port = 9886
checksum = true
id = [7, 8]
mtu = 1600
device = "eth2"
[[vip.real]]
address = "fc00:1::2"
name = "two"
forward = "l2"
mac = "02:00:00:00:00:01"
id = 9
[[vip.real]]
address = "10.0.1.3"
forward = "nat"
port = 8080
id = 10
[[vip.route]]
from = ["198.51.100.0/24"]
reals = ["two"]
[[vip]]
address = "192.0.2.2"
port = 80
[vip.check]
type = "exec"
command = ["/bin/test", "{address}", "{port}"]
[[vip.real]]
address = "10.0.1.9"
[[vip]]
address = "192.0.2.3"
port = 80
[vip.check]
type = "tcp"
tunnel = true
[[vip.real]]
address = "10.0.1.9"
forward = "ip"
[[vip]]
address = "2001:db8::1"
protocol = "icmp"
echo = true
"#;

fn lines(text: &str) -> Vec<String> {
    Config::read("lb.toml", text).expect_err("faults").iter().map(ToString::to_string).collect()
}

#[test]
fn exceptions_and_katrans_places() {
    let text = "[balancer]\ndevices = [\"eth0\"]\nsource = \"172.16.0.0\"\nspread = 16\n[katran]\nvips = 1024\n\
                [[vip]]\naddress = \"192.0.2.1\"\nport = 443\nprotocol = \"udp\"\nquic = \"katran\"\n\
                real = [{ address = \"10.0.0.1\", id = [7, 0x30007] }]\n\
                [[vip]]\naddress = \"192.0.2.1\"\nprotocol = \"any\"\naction = \"drop\"\n";
    let config = Config::read("lb.toml", text).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(config.katran.map(|katran| (katran.ring.slots(), katran.vips)), Some((65_537, 1024)));
    assert_eq!((config.vips[0].table, config.vips[0].slots.slots()), (Table::Katran, 65_537), "[katran] says so");
    assert_eq!((config.vips[1].action, config.spread), (Action::Drop, 16));
    assert_eq!(config.vips[0].reals[0].ids[..], [7, 0x30007]);
    let wrong = |from: &str, to: &str, message: &str| {
        assert!(text.contains(from), "{from}");
        let said = lines(&text.replace(from, to)).join("\n");
        assert!(said.contains(message), "{said}");
    };
    wrong("172.16.0.0", "172.16.1.1", "the last 16 bits of `source` are not free");
    wrong(
        "action = \"drop\"",
        "action = \"host\"\nreal = [{ address = \"10.0.0.1\" }]",
        "not balanced, and it has reals",
    );
    wrong("port = 443", "port = 443\nslots = 4093", "all tables are its rings, of 65537 slots");
    wrong("port = 443", "port = 443\ntable = \"maglev\"", "all tables are its rings");
    wrong("[7, 0x30007]", "[7, 7]", "two reals of the VIP have the id 7");
}

#[test]
fn everything_has_its_place() {
    let config = Config::read("lb.toml", WHOLE).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(config.name, "edge");
    assert_eq!(config.limits.slots, 500_000);
    assert_eq!(config.rates, Rates { new_connections: 5000, answers: 1000, sample: 1000 });
    let [web, quic] = &config.vips[..] else { panic!("two VIPs") };
    assert_eq!((web.name.as_str(), quic.name.as_str()), ("web", "[2001:db8::1]:443"));
    assert_eq!(web.check.as_ref().expect("a check").status, [200, 201, 202, 204]);
    assert_eq!((web.drain, web.slow_start), (Duration::from_secs(30), Duration::from_secs(10)));
    assert_eq!((web.slots.slots(), quic.slots.slots()), (4093, 65_537));
    assert_eq!(web.keys().map(|(_, port, _)| port).collect::<Vec<_>>(), [80, 443]);
    assert_eq!(web.reals.iter().map(|real| config.inner_mtu(real)).collect::<Vec<_>>(), [1480, 1452]);
    assert_eq!(web.routes, [Route { from: vec!["198.51.100.0/24".parse().expect("a prefix")], reals: vec![1] }]);
    assert_eq!(quic.reals[0].ids[..], [7]);
}

#[test]
fn every_fault_is_told_at_once_with_its_place() {
    let text = r#"[balancer]
devices = ["eth0"]
mtu = 100
sorce = "10.0.0.1"

[[vip]]
address = "192.0.2.300"
port = 0
slots = 4096

[[vip]]
address = "192.0.2.2"
port = 80
  [vip.check]
  type = "http"
  query = "example.org"
  rise = 0
  [[vip.real]]
  weight = -1
  [[vip.real]]
  address = "10.0.0.2"
  forward = "l2"

[[vip]]
address = "192.0.2.2"
port = 80
[[vip.route]]
from = "10.0.0.1/8"
reals = ["nobody"]
"#;
    assert_eq!(
        lines(text),
        [
            "lb.toml:3:7: `mtu` is not what it should be (expected at least 1280, found 100)",
            "lb.toml:4:1: `balancer` has no key `sorce`",
            "lb.toml:7:11: `address` is not what it should be (expected an IP address: \"192.0.2.1\", \"2001:db8::1\", \
             found \"192.0.2.300\")",
            "lb.toml:8:8: `port` is not what it should be (expected a port from 1 to 65535, several of them, or no `port` \
             for all, found 0)",
            "lb.toml:9:9: `slots` is not what it should be (expected a prime number from 3 to 1048576; 4099 is one, found \
             4096)",
            "lb.toml:16:11: `query` is of `type = \"dns\"` alone",
            "lb.toml:17:10: `rise` is not what it should be (expected at least 1, found 0)",
            "lb.toml:18:3: `real` lacks `address`",
            "lb.toml:19:12: `weight` is not what it should be (expected a whole number from 0 to 65535, found -1)",
            "lb.toml:20:3: `10.0.0.2` is reached by its Ethernet address, which is not said",
            "lb.toml:28:8: `from` is not what it should be (expected a prefix without bits behind it: \"192.0.2.0/24\", \
             \"2001:db8::/32\", found \"10.0.0.1/8\")",
            "lb.toml:29:10: the VIP has no real `nobody`",
        ]
    );
}

#[test]
fn what_does_not_go_together() {
    let with = |vip: &str| lines(&format!("[balancer]\ndevices = [\"eth0\"]\n[[vip]]\naddress = \"192.0.2.1\"\n{vip}"));
    for (vip, said) in [
        ("port = 80\nreal = [{ address = \"10.0.0.1\" }]", "packets to `10.0.0.1` need an IPv4 address to come from"),
        ("port = 80\nprotocol = \"icmp\"", "this protocol has no ports"),
        ("port = 80\nquic = \"quic-lb\"", "`quic = \"quic-lb\"` and `quic-server-id` go together"),
        ("port = 80\nquic-server-id = 4", "`quic = \"quic-lb\"` and `quic-server-id` go together"),
        (
            "check = { type = \"tcp\" }\nreal = [{ address = \"10.0.0.1\", forward = \"local\" }]",
            "the check has no port: the VIP takes all of them",
        ),
        ("port = 80\nfragments = \"drop\"", "a fragment has no ports, and the VIP has"),
        (
            "fragments = \"hash\"\nreal = [{ address = \"10.0.0.1\", forward = \"nat\" }]",
            "a fragment has no ports, which are replaced on the way to `10.0.0.1`",
        ),
        ("real = [{ address = \"10.0.0.1\", checksum = true }]", "`checksum` is of `forward = \"gue\"` alone"),
        (
            "protocol = \"udp\"\nquic = \"quic-lb-encrypted\"\nquic-server-id = 4",
            "encrypted connection ids of QUIC are not read here",
        ),
        (
            "protocol = \"udp\"\nquic = \"quic-lb\"\nquic-key = \"00\"\nquic-server-id = 4",
            "encrypted connection ids of QUIC are not read here",
        ),
        ("check = { type = \"exec\" }", "the check lacks `command`"),
        (
            "check = { type = \"exec\", command = [\"true\"], tunnel = true }",
            "`tunnel` is of `type = \"tcp\"` and `type = \"http\"` and `type = \"https\"` and `type = \"dns\"` alone",
        ),
        (
            "port = 80\ncheck = { type = \"tcp\", tunnel = true }\nreal = [{ address = \"10.0.0.1\", forward = \"local\" }]",
            "`10.0.0.1` is checked through the tunnel, and is reached without one",
        ),
        (
            "port = 80\ncheck = { type = \"tcp\", tunnel = true }\nreal = [{ address = \"fc00::1\" }]",
            "checks through the tunnel need an IPv4 address that the reals answer to",
        ),
        ("check = { type = \"http\", ca = \"x\" }", "`ca` is of `type = \"https\"` alone"),
        ("check = { type = \"https\", host = \"a name:80\" }", "expected a name without spaces"),
        ("check = { type = \"https\", host = \"-:80\" }", "no certificate is for such a host"),
        ("check = { type = \"tcp\", host = \"x\" }", "`host` is of `type = \"http\"` and `type = \"https\"` alone"),
        (
            "check = { type = \"https\", verify = false, ca = \"x\" }",
            "certificates are not verified, and `ca` says by what",
        ),
        ("check = { type = \"https\", server-name = \"a b\" }", "`server-name` is not what it should be"),
        ("real = [{ address = \"fc00::1\", forward = \"nat\" }]", "`fc00::1` is of another family than the VIP"),
        (
            "real = [{ address = \"10.0.0.1\", forward = \"local\", port = 1 }]",
            "the port of `10.0.0.1:1` is replaced with",
        ),
        (
            "tcp-id = true\nreal = [{ address = \"10.0.0.1\", forward = \"local\" }]",
            "packets shall name reals, and no real has an `id`",
        ),
        (
            "real = [{ address = \"10.0.0.1\", forward = \"local\" }, { address = \"10.0.0.1\", forward = \"local\" }]",
            "two reals of the VIP are called `10.0.0.1`",
        ),
        ("action = \"drop\"\n[[vip]]\naddress = \"192.0.2.1\"\naction = \"host\"", "two VIPs are 192.0.2.1, tcp"),
    ] {
        let lines = lines_containing(&with(vip), said);
        assert_eq!(lines, 1, "{vip}: {said}\n{:#?}", with(vip));
    }
    // What cannot be read is told alone.
    let encrypted = "protocol = \"udp\"\nquic = \"quic-lb-encrypted\"\nquic-server-id = 4\n\
                     real = [{ address = \"10.0.0.1\", forward = \"local\", id = 7 }]";
    assert_eq!(with(encrypted).len(), 1, "{:#?}", with(encrypted));
    let open = "[balancer]\ndevices = [\"eth0\"]\n[api]\naddress = \"0.0.0.0:9200\"";
    assert!(lines(open)[0].contains("others than this machine may ask here, and nothing says who"));
    let tls = |words: &str| lines(&format!("{open}\n{words}"));
    for (words, said) in [
        // Inside TLS anybody may still come.
        ("certificate = \"c\"\nkey = \"k\"", "others than this machine may ask here, and nothing says who"),
        ("token = \"t\"\ncertificate = \"c\"", "a `certificate` goes with its `key`"),
        ("token = \"t\"\nkey = \"k\"", "a `key` goes with a `certificate`"),
        ("token = \"t\"\nclients = \"c\"", "certificates are shown in TLS alone"),
    ] {
        assert_eq!(lines_containing(&tls(words), said), 1, "{words}: {:#?}", tls(words));
    }
    for words in ["token = \"t\"", "certificate = \"c\"\nkey = \"k\"\nclients = \"a\""] {
        Config::read("lb.toml", &format!("{open}\n{words}")).unwrap_or_else(|faults| panic!("{words}: {faults:#?}"));
    }
    let nowhere = "[balancer]\ndevices = [\"eth0\"]\n[api]\ntoken = \"t\"";
    assert!(lines(nowhere)[0].contains("`token` is for who comes to the `address`, and there is none"));
    assert_eq!(lines("")[0], "lb.toml:1:1: the file lacks a table `[balancer]`");
}

#[test]
fn what_it_has_to_do_with_others() {
    let with = |more: &str| lines(&format!("[balancer]\ndevices = [\"eth0\"]\n{more}"));
    for (more, said) in [
        ("[announce]", "`announce` lacks `file`"),
        ("[etcd]", "`etcd` lacks `endpoints`"),
        ("[etcd]\nendpoints = []", "`endpoints` names nothing"),
        ("[etcd]\nendpoints = [\"http://a:1\"]\nca = \"b\"", "`ca` is for members that speak TLS, and there are none"),
        (
            "[etcd]\nendpoints = [\"https://a:1\"]\ncertificate = \"b\"",
            "a certificate has a key, and a key its certificate",
        ),
        ("[announce]\nfile = \"/\"", "`file` is not what it should be"),
        ("[announce]\nfile = \"/x\"\nwhen = \"some\"", "`when` is not what it should be"),
        ("[announce]\nfile = \"/x\"\nas = 65001", "`as` is about peers, and there are none"),
        ("[announce]\nfile = \"/x\"\npeer = [{ address = \"10.0.0.1\", as = 1 }]", "no number of our own"),
        ("[announce]\nfile = \"/x\"\nas = 1\npeer = [{ address = \"10.0.0.1\" }]", "`peer` lacks `as`"),
    ] {
        assert_eq!(lines_containing(&with(more), said), 1, "{more}: {said}\n{:#?}", with(more));
    }
}

/// What can never work is no configuration, each with what is said of it.
#[test]
fn contradictions_are_refused() {
    let said = |own: &str, vip: &str| {
        let text = format!(
            "[balancer]\ndevices = [\"eth0\"]\nsource = [\"10.0.9.2\", \"fc00::9\"]\n{own}\n[[vip]]\naddress = \"192.0.2.1\"\n{vip}\n"
        );
        Config::read("lb.toml", &text).err().unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let real = "real = [{ address = \"10.0.0.1\" }]";
    assert!(said("", real).is_empty(), "{:?}", said("", real));
    for (vip, expected) in [
        ("port = []", "`port` names nothing"),
        ("protocol = [\"tcp\", \"udp\", \"tcp\"]", "`tcp` is named twice"),
        ("name = \"\"", "`name` is not what it should be (expected 1 to 128 bytes"),
        ("name = \"a\\nb\"", "`name` is not what it should be (expected 1 to 128 bytes"),
        ("real = [{ address = \"10.0.0.1\", name = \" a\" }]", "`name` is not what it should be"),
        ("real = [{ address = \"10.0.0.1\", device = \"a b\" }]", "`device` is not what it should be"),
        ("real = [{ address = \"192.0.2.1\" }]", "`192.0.2.1` has the address of the VIP `192.0.2.1`"),
        ("real = [{ address = \"10.0.9.2\" }]", "`10.0.9.2` has an address that is the balancer's own"),
        ("real = [{ address = \"0.0.0.0\" }]", "and this is no address: any of them"),
        ("real = [{ address = \"127.0.0.1\" }]", "and this is a loopback address"),
        ("real = [{ address = \"224.0.0.1\" }]", "and this is a multicast address"),
        ("real = [{ address = \"ff02::1\" }]", "and this is a multicast address"),
        ("real = [{ address = \"255.255.255.255\" }]", "and this is the broadcast address"),
        (
            "real = [{ address = \"10.0.0.1\" }, { address = \"10.0.0.1\", name = \"b\" }]",
            "another real of the VIP has the address of `b`",
        ),
        ("real = [{ address = \"10.0.0.1\", id = 7 }]", "has an id, and the VIP looks for none"),
        (
            "protocol = \"udp\"\nquic = \"quic-lb\"\nquic-server-id = 1\nreal = [{ address = \"10.0.0.1\", id = 256 }]",
            "the id 256 of `10.0.0.1` does not fit",
        ),
        ("protocol = \"udp\"\nmss = true", "`mss` is about TCP, and the VIP takes none of it"),
        ("protocol = \"udp\"\ntcp-id = true\nreal = [{ address = \"10.0.0.1\", id = 7 }]", "`tcp-id` is about TCP"),
        ("quic = \"katran\"\nreal = [{ address = \"10.0.0.1\", id = 7 }]", "`quic` is about UDP"),
        ("idle = \"30s\"", "`idle` is about UDP"),
        ("echo = true", "`echo` is about ICMP"),
        (
            "port = 53\nprotocol = \"udp\"\ncheck = { type = \"tcp\" }",
            "the check `tcp` asks by TCP, at a port of the VIP's, which takes no TCP",
        ),
        (
            "port = 80\ncheck = { type = \"tcp\", interval = \"1s\", timeout = \"2s\" }",
            "a check may take longer (`timeout`, 2s) than it is to the next (`interval`, 1s)",
        ),
        ("check = { type = \"http\", port = 80, status = [99] }", "`status` is not what it should be"),
        ("check = { type = \"http\", port = 80, status = \"299-200\" }", "expected statuses from 100 to 599"),
        ("check = { type = \"tcp\", port = 0 }", "`port` is not what it should be"),
    ] {
        let lines = said("", &if vip.contains("real") { vip.to_owned() } else { format!("{vip}\n{real}") });
        assert_eq!(lines_containing(&lines, expected), 1, "{vip}: {expected}\n{lines:#?}");
        assert_eq!(lines.len(), 1, "{vip}: nothing else is said\n{lines:#?}");
    }
    for address in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "::1"] {
        let text = format!("[balancer]\ndevices = [\"eth0\"]\n[[vip]]\naddress = \"{address}\"\naction = \"drop\"");
        assert_eq!(lines_containing(&lines(&text), "an address that packets are routed to"), 1, "{address}");
    }
    assert_eq!(lines("[balancer]\ndevices = []")[0], "lb.toml:2:11: `devices` names nothing");
    // VIPs are read one by one: places in one are not those of the file.
    let text = "[balancer]\ndevices = [\"eth0\"]\n[[vip]]\naddress = \"192.0.2.1\"\n[[vip]]\naddress = \"192.0.2.2\"\nport = []\n";
    assert_eq!(lines_containing(&lines(text), "lb.toml:7:8: `port` names nothing"), 1, "{:#?}", lines(text));
}

/// What is right, and gives nobody anything.
#[test]
fn vips_that_drop_all_packets_are_told() {
    let remarks = |vip: &str| {
        let text =
            format!("[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.9.2\"\n[[vip]]\naddress = \"192.0.2.1\"\n{vip}");
        Config::read("lb.toml", &text).unwrap_or_else(|faults| panic!("{vip}: {faults:#?}")).remarks(None)
    };
    assert_eq!(remarks("port = 80"), ["192.0.2.1:80 has no reals: all packets to it are dropped"]);
    let none = "real = [{ address = \"10.0.0.1\", weight = 0 }]\n";
    assert_eq!(remarks(none), ["192.0.2.1 has no real with a weight: all packets to it are dropped"]);
    for vip in [
        "action = \"drop\"".to_owned(),
        "protocol = \"icmp\"\necho = true".to_owned(),
        format!("{none}route = [{{ from = \"10.0.0.0/8\", reals = \"10.0.0.1\" }}]"),
    ] {
        assert!(remarks(&vip).is_empty(), "{vip}");
    }
}

/// What looks odd, and can work.
#[test]
fn what_has_a_reason_is_taken() {
    for vip in [
        "protocol = \"icmp\"\necho = true",
        "action = \"drop\"",
        "real = [{ address = \"127.0.0.1\", forward = \"local\" }]",
        "real = [{ address = \"192.0.2.1\", forward = \"local\" }]",
        "real = [{ address = \"10.0.0.1\", weight = 0 }]\nroute = [{ from = \"10.0.0.0/8\", reals = \"10.0.0.1\" }]",
        "protocol = \"any\"\nmss = true\nreal = [{ address = \"10.0.0.1\" }]",
        "port = 53\nprotocol = \"udp\"\ncheck = { type = \"tcp\", port = 53 }\nreal = [{ address = \"10.0.0.1\" }]",
        "real = [{ address = \"10.0.0.1\", forward = \"nat\", port = 1 }, { address = \"10.0.0.1\", forward = \"nat\", port = 2 }]",
    ] {
        let text =
            format!("[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.9.2\"\n[[vip]]\naddress = \"192.0.2.1\"\n{vip}");
        Config::read("lb.toml", &text).unwrap_or_else(|faults| panic!("{vip}: {faults:#?}"));
    }
}

/// What follows from another fault is not said: that one is.
#[test]
fn consequences_are_not_faults() {
    let vips = "[[vip]]\naddress = \"192.0.2.1\"\nport = 80\nreal = [{ address = \"10.0.0.1\" }, { address = \"10.0.0.2\" }]\n";
    let source = format!("{vips}[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.9.300\"\n");
    assert_eq!(lines(&source).len(), 1, "{:#?}", lines(&source));
    assert!(lines(&source)[0].starts_with("lb.toml:7:10: `source`"));
    assert_eq!(lines(vips), ["lb.toml:1:1: the file lacks a table `[balancer]`"]);
    let misspelt = format!("[balncer]\ndevices = [\"eth0\"]\n{vips}");
    assert_eq!(lines(&misspelt), ["lb.toml:1:2: `configuration` has no key `balncer`"]);
    let table =
        "[balancer]\ndevices = [\"eth0\"]\n[etcd]\nendpoints = [\"http://a:1\"]\n[vip]\naddress = \"192.0.2.1\"\n";
    assert_eq!(lines(table).len(), 1, "{:#?}", lines(table));
    let real = "[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.9.2\"\n[[vip]]\naddress = \"192.0.2.1\"\n\
                real = [{ address = \"10.0.0.\", name = \"a\" }]\nroute = [{ from = \"10.0.0.0/8\", reals = \"a\" }]\n";
    assert_eq!(lines(real).len(), 1, "{:#?}", lines(real));
}

/// A file in which one key alone is wrong, whichever it is and however, has one fault.
#[test]
fn one_wrong_key_is_one_fault() {
    let elsewhere = "[balancer]\ndevices = \"eth0\"\n[etcd]\nendpoints = [\"https://10.0.0.5:2379\"]\nkey = \"/lb\"\n\
                     kept = \"/kept\"\nuser = \"lb\"\npassword = \"/p\"\nca = \"/ca\"\ncertificate = \"/c\"\n\
                     certificate-key = \"/k\"\nexec = true\n";
    one_key_after_another(EVERYTHING);
    one_key_after_another(elsewhere);
}

/// The same of `[default]`, for VIPs that rely on each key of it; and of its own name.
#[test]
fn one_wrong_key_of_the_defaults_is_one_fault() {
    let check = "[default.check]\ntype = \"tcp\"\nport = 8080\ninterval = \"500ms\"\ntimeout = \"400ms\"\n";
    let vips = "[[vip]]\naddress = \"192.0.2.1\"\n[[vip.real]]\nREAL\n\
                [[vip]]\naddress = \"192.0.2.2\"\nport = 53\nprotocol = \"udp\"\n[[vip.real]]\nREAL\n";
    for (source, forward, tunnel, real) in [
        (true, "ip", true, "address = \"10.0.1.1\""),
        (true, "gue", true, "address = \"10.0.1.1\"\ngue-port = 9886\nchecksum = true"),
        (true, "nat", false, "address = \"10.0.1.1\"\nport = 8080"),
        (false, "l2", false, "address = \"fc00::1\"\nmac = \"02:00:00:00:00:01\""),
        (false, "local", false, "address = \"127.0.0.1\""),
        (false, "local", false, "address = \"192.0.2.1\""),
    ] {
        let source = if source { "source = \"172.16.0.0\"\n" } else { "" };
        let tunnel = if tunnel { "tunnel = true\n" } else { "" };
        // Less room than tables of 65,537 slots need.
        let right = format!(
            "[balancer]\ndevices = \"eth0\"\n{source}[limits]\nslots = 3000\n[default]\nslots = 997\n\
             forward = \"{forward}\"\ndrain = \"30s\"\nslow-start = \"5s\"\n{check}{tunnel}{}",
            vips.replace("REAL", real)
        );
        one_key_after_another(&right);
        for name in ["defalt", "defaults"] {
            let wrong = right.replace("[default", &format!("[{name}"));
            assert_eq!(lines(&wrong).len(), 1, "{wrong}\n{:#?}", lines(&wrong));
        }
        let wrong = right.replace("[default.check]", "[default.chek]");
        assert_eq!(lines(&wrong).len(), 1, "{wrong}\n{:#?}", lines(&wrong));
        let wrong = right.split("[default]").next().unwrap_or_default().replace("[bal", "default = 7\n[bal");
        let wrong = wrong + &vips.replace("REAL", real);
        assert_eq!(lines(&wrong).len(), 1, "{wrong}\n{:#?}", lines(&wrong));
    }
}

/// What a VIP says of itself holds whatever is wrong with `[default]`: other faults are told beside that one.
#[test]
fn a_wrong_default_hides_no_other_fault() {
    let faults = lines(
        "[balancer]\ndevices = \"eth0\"\n[limits]\nslots = 3000\n[default]\nforwad = \"local\"\nslots = 4\n\
         check = { type = \"tcp\", prot = 8080 }\n\
         [[vip]]\naddress = \"192.0.2.1\"\nslots = 65537\ncheck = { type = \"tcp\" }\n\
         real = [{ address = \"10.0.0.1\", forward = \"ip\" }]\n",
    );
    for said in [
        "`default` has no key `forwad`",
        "`slots` is not what it should be",
        "`check` has no key `prot`",
        "need an IPv4 address to come from",
        "the check has no port",
    ] {
        assert_eq!(lines_containing(&faults, said), 1, "{said}: {faults:#?}");
    }
    assert_eq!(faults.len(), 5, "{faults:#?}");
    let slots = "[balancer]\ndevices = \"eth0\"\n[limits]\nslots = 3000\n[default]\nslots = 4\n\
                 [[vip]]\naddress = \"192.0.2.1\"\nslots = 65537\n";
    assert_eq!(lines_containing(&lines(slots), "no room for so many slots"), 1, "{:#?}", lines(slots));
}

fn one_key_after_another(right: &str) {
    let with = |at: usize, line: &str| {
        let mut lines: Vec<&str> = right.lines().collect();
        lines[at] = line;
        lines.join("\n")
    };
    let faults = |text: &str| match Config::read("lb.toml", text) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(faults(right), Vec::<String>::new());
    let mut more = Vec::new();
    for (at, line) in right.lines().enumerate() {
        let Some((key, value)) = line.split_once(" = ") else { continue };
        for wrong in ["\"?\"", "-1", "0", "[]", "{}", "99999999999", "[\"?\"]", "\"\"", "true"] {
            let all = faults(&with(at, &format!("{key} = {wrong}")));
            if all.len() > 1 {
                more.push((at + 1, format!("{key} = {wrong}"), all));
            }
        }
        // A letter more, and one less.
        for wrong in [format!("{key}q"), key[1..].to_owned()] {
            let all = faults(&with(at, &format!("{wrong} = {value}")));
            if all.len() != 1 {
                more.push((at + 1, wrong, all));
            }
        }
    }
    assert!(more.is_empty(), "{}\n{more:#?}", more.len());
}

/// Limits are those that `serve` has, and what is beyond them is told where.
#[test]
fn limits_are_checked() {
    let vip = |number: u32, reals: u32| {
        let real = |at| format!("{{ address = \"10.0.{number}.{at}\" }}");
        let reals: Vec<String> = (1..=reals).map(real).collect();
        format!("[[vip]]\naddress = \"192.0.2.{number}\"\nport = 80\nslots = 101\nreal = [{}]\n", reals.join(", "))
    };
    let own = "[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.9.2\"\n[limits]\nvips = 2\nreals = 3\nslots = 303\n";
    Config::read("lb.toml", &format!("{own}{}{}", vip(1, 1), vip(2, 2))).unwrap_or_else(|faults| panic!("{faults:#?}"));
    for (vips, expected) in [
        (
            format!("{}{}", vip(1, 2), vip(2, 2)),
            "lb.toml:13:1: there is no room for so many reals (expected at most 3, found 4)",
        ),
        (
            format!("{}{}{}", vip(1, 1), vip(2, 1), vip(3, 1)),
            "lb.toml:18:1: there is no room for so many VIPs (expected at most 2, found 3)",
        ),
        (
            format!("{}{}", vip(1, 1), vip(2, 1).replace("101", "103")),
            "lb.toml:13:1: there is no room for so many slots of tables, and one table that changes \
             (expected at most 303, found 307)",
        ),
    ] {
        assert_eq!(lines(&format!("{own}{vips}")), [expected]);
    }
}

#[test]
fn what_is_shown_is_cut() {
    let long = "x".repeat(100_000);
    for text in [
        format!("[balancer]\ndevices = [\"eth0\"]\nmode = \"{long}\""),
        format!("[balancer]\ndevices = [\"eth0\"]\n{long} = 1"),
        format!("[balancer]\ndevices = [\"eth0\"]\n[[vip]]\naddress = \"192.0.2.1\"\nname = \"{long}\""),
        format!("[balancer]\ndevices = [\"{long}\"]"),
    ] {
        let lines = lines(&text);
        assert!(lines.iter().all(|line| line.len() < 1000), "{:?}", lines.iter().map(String::len).collect::<Vec<_>>());
    }
}

#[test]
fn ports_of_the_machines_own_are_told() {
    let text = "[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.9.2\"\n[[vip]]\naddress = \"192.0.2.1\"\nport = 80\n\
                real = [{ address = \"10.0.0.1\", forward = \"nat\" }]\n";
    let with = |ports: &str| {
        let text = text.replace("[[vip]]", &format!("{ports}\n[[vip]]"));
        Config::read("lb.toml", &text).unwrap_or_else(|faults| panic!("{faults:#?}"))
    };
    let linux = Some((32_768, 60_999));
    assert!(with("").remarks(linux).is_empty(), "the default is not Linux's");
    let odd = with("nat-ports = [60999, 61000]").remarks(linux);
    assert!(odd.len() == 1 && odd[0].contains("60999 to 61000") && odd[0].contains("32768 to 60999"), "{odd:?}");
    assert!(with("nat-ports = [61000, 65535]").remarks(linux).is_empty());
    assert!(with("").remarks(Some((1024, 60_999)))[0].contains("net.ipv4.ip_local_port_range"));
    assert!(with("").remarks(None).is_empty());
    let tunnels = Config::read("lb.toml", &text.replace("\"nat\"", "\"ip\"")).expect("it is right");
    assert!(tunnels.remarks(Some((1, 65_535))).is_empty(), "without NAT it is no matter");
}

#[test]
fn a_file_without_an_end_is_no_configuration() {
    let why = text(std::path::Path::new("/dev/zero")).expect_err("it has no end");
    assert!(why.to_string().contains("the file is larger than 64 MiB"), "{why}");
}

/// What the pages say that a configuration has is one, with the table that each has if it is a part of one.
#[test]
fn configurations_of_the_pages_are_right() {
    let pages = [include_str!("../../../../docs/lb.md"), include_str!("../../../../docs/lb-data-plane.md")];
    let blocks = pages.iter().flat_map(|page| page.split("```toml\n").skip(1));
    let blocks: Vec<&str> = blocks.filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 5, "{blocks:?}");
    for block in blocks {
        let own = if block.lines().any(|line| line == "[balancer]") {
            ""
        } else {
            "[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.9.2\"\n"
        };
        let text = format!("{own}{block}");
        // Where they are in etcd it has VIPs.
        let vips = ("etcd", "[[vip]]\naddress = \"192.0.2.1\"\nport = 80\nreal = [{ address = \"10.0.0.1\" }]\n");
        let shared = block.contains("[etcd]").then_some(vips);
        if let Err(faults) = Config::read_placed("lb.toml", &text, shared) {
            panic!("{text}\n{faults:#?}");
        }
    }
}

/// docs/lb.md names every key, and what it is without a word.
#[test]
fn every_key_is_in_the_reference() {
    let page = include_str!("../../../../docs/lb.md");
    let section = page.split("## Every key\n").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("a section");
    let mut rows: Vec<(&str, &str, &str)> = Vec::new();
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [key, _, without] = cells[..] else { panic!("{line}") };
        let key = key.trim_start_matches("| `").trim_end_matches('`');
        let (table, key) = key.rsplit_once('.').expect("a table and a key");
        rows.push((table, key, without.trim_end_matches(" |")));
    }
    // The tables, each of which has one key more.
    let whole = |table: &str, line: &str| {
        let (forward, kind) = match line.split(' ').next().unwrap_or_default() {
            "gue-port" | "checksum" => ("gue", "tcp"),
            "path" | "host" | "status" => ("ip", "http"),
            "verify" => ("ip", "https"),
            _ => ("ip", "tcp"),
        };
        let forward = if line.starts_with("forward") { String::new() } else { format!("forward = \"{forward}\"\n") };
        let mut text = String::new();
        for (name, header, lines) in [
            ("balancer", "[balancer]", "devices = [\"eth0\"]\nsource = [\"10.0.9.2\", \"fc00::9\"]\n".to_owned()),
            ("limits", "[limits]", String::new()),
            ("rates", "[rates]", String::new()),
            ("api", "[api]", String::new()),
            ("announce", "[announce]", "file = \"/x\"\n".to_owned()),
            ("default", "[default]", String::new()),
            ("vip", "[[vip]]", "address = \"192.0.2.1\"\nport = 80\n".to_owned()),
            ("vip.check", "[vip.check]", format!("type = \"{kind}\"\n")),
            ("vip.real", "[[vip.real]]", format!("address = \"10.0.0.1\"\n{forward}")),
            ("vip.route", "[[vip.route]]", "from = \"10.0.0.0/8\"\nreals = \"10.0.0.1\"\n".to_owned()),
        ] {
            let more = if name == table { format!("{line}\n") } else { String::new() };
            text += &format!("{header}\n{lines}{more}");
        }
        let rest = match table {
            "katran" => format!("[katran]\n{line}\n"),
            "metrics" => format!("[metrics]\naddress = \"127.0.0.1:1\"\n{line}\n"),
            "sync" => format!("[sync]\nlisten = \"10.0.0.1:1\"\npeers = \"10.0.0.2:1\"\nkey = \"/x\"\n{line}\n"),
            _ => String::new(),
        };
        text + &rest
    };
    let tables: std::collections::BTreeSet<&str> = rows.iter().map(|(table, ..)| *table).collect();
    for table in tables {
        // Who names a key that there is not is told those that there are.
        let why = Config::read("lb.toml", &whole(table, "qqqqqqqqqqqqqqqq = 1")).expect_err(table);
        let keys = why[0].expected.clone().unwrap_or_else(|| panic!("{table}: {why:#?}"));
        let mut keys: Vec<&str> = keys.split(", ").map(|key| key.trim_matches('`')).collect();
        let mut said: Vec<&str> = rows.iter().filter(|(of, ..)| *of == table).map(|(_, key, _)| *key).collect();
        keys.sort_unstable();
        said.sort_unstable();
        assert_eq!(said, keys, "{table}");
    }
    let read = |text: &str| {
        let mut config = Config::read("lb.toml", text).unwrap_or_else(|faults| panic!("{text}\n{faults:#?}"));
        for vip in &mut config.vips {
            vip.at = 0..0;
            vip.reals.iter_mut().for_each(|real| real.at = 0..0);
        }
        config
    };
    for (table, key, without) in rows.iter().filter(|(.., without)| without.starts_with('`')) {
        let said = read(&whole(table, &format!("{key} = {}", without.trim_matches('`'))));
        assert_eq!(said, read(&whole(table, &format!("{key} #")).replace(&format!("{key} #"), "")), "{table}.{key}");
    }
}

fn lines_containing(lines: &[String], said: &str) -> usize {
    lines.iter().filter(|line| line.contains(said)).count()
}

#[test]
fn who_writes_a_key_of_etcd_runs_no_programs() {
    let own =
        "[balancer]\ndevices = [\"eth0\"]\nsource = \"172.16.0.0\"\n[etcd]\nendpoints = [\"http://10.0.0.5:2379\"]\n";
    let shared = "[[vip]]\naddress = \"192.0.2.1\"\nport = 80\nreal = [{ address = \"10.0.0.1\" }]\n\
                  check = { type = \"exec\", command = [\"true\"] }\n";
    let read = |own: &str| Config::read_shared("lb.toml", own, Some(("vips.toml", shared)));
    let faults = read(own).expect_err("it is refused");
    assert!(faults[0].to_string().contains("a check that etcd names runs no program here"), "{faults:?}");
    read(&format!("{own}exec = true\n")).expect("this machine allows it");
}

#[test]
fn what_is_no_toml_is_said_where() {
    assert_eq!(lines("[balancer]\ndevices = [\"eth0\"\nmtu = ")[0].split(": ").next(), Some("lb.toml:3:1"));
}

proptest! {
    /// Whatever stands there, it is read or refused.
    #[test]
    fn nothing_makes_it_panic(cut in 0usize..WHOLE.len(), len in 0usize..40, with in "[\\PC\n\\[\\]\"={}0-9.,:]{0,12}") {
        let end = (cut + len).min(WHOLE.len());
        let text = format!("{}{with}{}", &WHOLE[..cut], &WHOLE[end..]);
        if let Err(faults) = Config::read("lb.toml", &text) {
            prop_assert!(!faults.is_empty());
            faults.iter().for_each(|fault| drop(fault.to_string()));
        }
    }
}

/// What is read VIP by VIP, and the whole, are one configuration; and say the same of what is wrong, with the same places.
#[test]
fn vips_one_by_one_are_those_of_the_whole_file() {
    let head = "[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.9.2\"\n";
    let vip = |last: u8, more: &str| {
        format!("[[vip]]\naddress = \"192.0.2.{last}\"\nport = 80\n{more}\n[[vip.real]]\naddress = \"10.0.0.{last}\"\n")
    };
    let vips = vip(1, "") + "weight = 2\n[vip.check]\ntype = \"tcp\"\n" + &vip(2, "mss = true");
    let between = format!("{head}{}[default]\nslots = 101\n{}[rates]\nsample = 3\n", vip(1, ""), vip(2, ""));
    let faulty = format!("{head}{}{}{}[wrong]\n", vip(1, "colour = 3"), vip(1, "mss = 7"), vip(3, "address = 1"));
    for text in [
        head.to_owned() + &vips,
        between,
        faulty,
        head.to_owned() + &vips + "[[vip]\n",
        head.to_owned() + &vips + "[vip.check]\ntype = \"tcp\"\n",
        format!("vip = []\n{head}{vips}"),
        format!("{head}[etcd]\nendpoints = [\"http://10.0.0.5:2379\"]\n{vips}"),
        head.to_owned() + "[[vip]]\n[[vip.real]]\naddress = 1\n",
    ] {
        let whole = Config::read_pieces("lb.toml", &text, None, false)
            .map(|(config, _)| config)
            .map_err(|all| format!("{all:#?}"));
        let read = Config::read("lb.toml", &text).map_err(|all| format!("{:#?}", Some(all)));
        assert_eq!(read, whole, "{text}");
        let here = format!("{head}[etcd]\nendpoints = [\"http://10.0.0.5:2379\"]\n");
        let shared = Config::read_pieces("lb.toml", &here, Some(("etcd", &text)), false)
            .map(|(config, _)| config)
            .map_err(|all| format!("{all:#?}"));
        let read =
            Config::read_shared("lb.toml", &here, Some(("etcd", &text))).map_err(|all| format!("{:#?}", Some(all)));
        assert_eq!(read, shared, "{text}");
    }
}

#[test]
fn limits_are_said_where_they_are_passed() {
    for (more, expected) in [
        ("drain = \"2d\"", "a time of at most a day"),
        ("slow-start = \"25h\"", "a time of at most a day"),
        ("port = 80000", "a port from 1 to 65535"),
        ("port = [80, -1]", "a port from 1 to 65535"),
    ] {
        let text = format!("[balancer]\ndevices = [\"eth0\"]\n[[vip]]\naddress = \"192.0.2.1\"\n{more}\n");
        let faults = Config::read("lb.toml", &text).expect_err(more);
        assert!(faults[0].expected.as_deref().is_some_and(|said| said.contains(expected)), "{more}: {faults:?}");
    }
}

/// What is worth knowing of sources that are not here, and of nothing to balance.
#[test]
fn what_may_be_wrong_is_remarked() {
    let config = |source: &str, forward: &str| {
        let text = format!(
            "[balancer]\ndevices = [\"lo\"]\nsource = \"{source}\"\n[[vip]]\naddress = \"192.0.2.1\"\nport = 80\n\
             [[vip.real]]\naddress = \"10.0.0.1\"\nforward = \"{forward}\"\nmac = \"02:00:00:00:00:01\"\n"
        );
        Config::read("lb.toml", &text).unwrap_or_else(|faults| panic!("{faults:#?}"))
    };
    let nat = config("192.0.2.77", "nat").foreign();
    assert!(nat.len() == 1 && nat[0].contains("`source` 192.0.2.77") && nat[0].contains("NAT"), "{nat:?}");
    let tunnel = config("192.0.2.77", "ip").foreign();
    assert!(tunnel.len() == 1 && tunnel[0].contains("tunnels"), "{tunnel:?}");
    assert_eq!(config("192.0.2.77", "l2").foreign(), Vec::<String>::new());
    let mut own = config("192.0.2.77", "nat");
    own.sources.v4 = Some(std::net::Ipv4Addr::LOCALHOST);
    assert_eq!(own.foreign(), Vec::<String>::new());
    let none = Config::read("lb.toml", "[balancer]\ndevices = [\"lo\"]\n").expect("it is right");
    assert_eq!(none.remarks(None), ["there are no VIPs ([[vip]]): nothing is balanced"]);
    assert_eq!(own.remarks(None), Vec::<String>::new());
    // The same of those that etcd is to have.
    let here = "[balancer]\ndevices = [\"lo\"]\n[etcd]\nendpoints = [\"http://10.0.0.5:2379\"]\n";
    let none = Config::read_shared("lb.toml", here, Some(("vips.toml", ""))).expect("it is right");
    assert_eq!(none.remarks(None), ["there are no VIPs ([[vip]]): nothing is balanced"]);
}

/// VIPs that are said to be in etcd, of a file that does not say where that is.
#[test]
fn vips_elsewhere_want_to_know_where() {
    let vips = "[[vip]]\naddress = \"192.0.2.1\"\nport = 80\n";
    for more in ["", vips] {
        let own = format!("[balancer]\ndevices = [\"lo\"]\n{more}");
        let faults = Config::read_shared("lb.toml", &own, Some(("vips.toml", vips))).expect_err("where is etcd?");
        let expected = "lb.toml:1:1: its VIPs are said to be in etcd, and there is no table `[etcd]`";
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
    }
}

/// Programs of checks have to be there, and what is filled into their words has to have a name.
#[test]
fn programs_of_checks_are_looked_for() {
    let read = |command: &str| {
        let text = format!(
            "[balancer]\ndevices = [\"lo\"]\n[[vip]]\naddress = \"192.0.2.1\"\nport = 80\n\
             check = {{ type = \"exec\", command = {command} }}\n"
        );
        Config::read_placed("lb.toml", &text, None).map_err(said)
    };
    let lacks = |command: &str| {
        let (config, places) = read(command).unwrap_or_else(|faults| panic!("{command}: {faults:?}"));
        config.lacks(&places).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    for there in ["\"sh\"", "[\"/bin/sh\", \"-c\", \"true\"]", "[\"{address}/x\"]"] {
        assert_eq!(lacks(there), Vec::<String>::new(), "{there}");
    }
    let none = lacks("[\"/no/such\", \"x\"]");
    let expected = "lb.toml:6:37: the check's program `/no/such` cannot be run (found No such file or directory";
    assert!(none.len() == 1 && none[0].starts_with(expected), "{none:?}");
    assert!(lacks("\"no-such-program\"")[0].contains("none of the folders of PATH has such a program: "));
    assert!(lacks("\"/etc/passwd\"")[0].contains("it is not executable"));
    assert!(lacks("\"/etc\"")[0].contains("it is no file"));
    assert_eq!(read("\"\"").map(drop), Err(vec!["6:36 `command` is not what it should be".to_owned()]));

    let wrong = |word: &str| read(&format!("[\"sh\", {word:?}]")).map(|(config, _)| config.remarks(None));
    assert_eq!(wrong("{adress}"), Err(vec!["6:43 nothing is filled in for `{adress}`".to_owned()]));
    assert_eq!(wrong("a{prot}b{port}"), Err(vec!["6:43 nothing is filled in for `{prot}`".to_owned()]));
    let remarks = wrong("{ip}:{port}").expect("it may be the program's own");
    assert!(
        remarks.iter().any(|remark| remark.contains("`{ip}` in the check's command stays as it is")),
        "{remarks:?}"
    );
    // Four letters, of which two are others, are no misspelling.
    assert!(wrong("{host}").is_ok());
    for own in ["{address}:{port}", "${adress}", "{}", "{ print $1 }", "{", "}{"] {
        let remarks = wrong(own).expect("it is right");
        assert!(!remarks.iter().any(|remark| remark.contains("command")), "{own}: {remarks:?}");
    }
}

/// What a file of this text has no room for, or lacks here: line, column and words.
fn said(faults: Vec<Diagnostic>) -> Vec<String> {
    let one = |fault: &Diagnostic| {
        let place = match fault.place() {
            Place::Text { text, bytes, .. } => {
                let before = &text[..bytes.start as usize];
                let line = before.matches('\n').count() + 1;
                format!("{line}:{}", bytes.start as usize - before.rfind('\n').map_or(0, |at| at + 1) + 1)
            }
            other => format!("{other:?}"),
        };
        format!("{place} {}", fault.message)
    };
    faults.iter().map(one).collect()
}

#[test]
fn what_a_machine_lacks_is_said_where_it_stands() {
    let folder = std::env::temp_dir().join(format!("alveary-lb-here-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    for (name, text) in [("short", "guess me"), ("long", "a-token-of-many-letters")] {
        std::fs::write(folder.join(name), text).expect("a file");
    }
    let lacks = |text: &str| {
        let text = text.replace("DIR", &folder.display().to_string());
        let (config, places) = Config::read_placed("lb.toml", &text, None).expect("it is right");
        said(config.lacks(&places))
    };
    assert_eq!(
        lacks("[balancer]\ndevices = [\"lo\"]\n[api]\naddress = \"127.0.0.1:1\"\ntoken = \"DIR/long\"\n"),
        Vec::<String>::new()
    );
    let text = "[balancer]\ndevices = [\"lo\", \"none0\"]\n[api]\naddress = \"192.0.2.77:1\"\ntoken = \"DIR/short\"\n\
                certificate = \"DIR/none\"\nkey = \"DIR/none\"\n[metrics]\naddress = \"127.0.0.1:2\"\n\
                [sync]\nlisten = \"192.0.2.77:3\"\npeers = \"192.0.2.78:3\"\nkey = \"DIR/none\"\n\
                [[vip]]\naddress = \"192.0.2.1\"\nport = 443\ncheck = { type = \"https\", ca = \"DIR/none\" }\n\
                real = [{ address = \"10.0.0.1\", forward = \"l2\", device = \"none1\", mac = \"02:00:00:00:00:01\" }]\n";
    assert_eq!(
        lacks(text),
        [
            "2:11 this machine has no network device `none0`",
            "4:11 this machine cannot be asked at `address`",
            "5:9 the token cannot be used",
            "6:15 the API's certificates cannot be used",
            "11:10 this machine cannot be asked at `listen`",
            "13:7 the secret of the peers cannot be used",
            "17:32 the certificates that reals are verified with cannot be used",
            "18:58 this machine has no network device `none1`",
        ]
    );
    // VIPs that are elsewhere ask for files of this machine, too; and so does the way there.
    let local = "[balancer]\ndevices = [\"lo\"]\n[etcd]\nendpoints = [\"https://127.0.0.1:2379\"]\nca = \"/none/ca\"\n";
    let vips = "[[vip]]\naddress = \"192.0.2.1\"\nport = 443\ncheck = { type = \"https\", ca = \"/none/other\" }\n";
    let (config, places) = Config::read_placed("lb.toml", local, Some(("etcd:key", vips))).expect("it is right");
    let lacks = config.lacks(&places);
    let found: Vec<_> = lacks.iter().map(ToString::to_string).collect();
    assert_eq!(
        self::said(lacks),
        [
            "5:6 the certificates for etcd cannot be used",
            "4:32 the certificates that reals are verified with cannot be used"
        ]
    );
    assert!(found[1].starts_with("etcd:key:4:32"), "{found:?}");
    std::fs::remove_dir_all(folder).expect("it is ours");
}
