//! What is said of what is wrong: all of it, each with its place, and nothing that only follows.

use super::*;
use proptest::prelude::*;

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

/// The same of the way to a real, which needs no source; of room that is less without a word; of Katran's rings.
#[test]
fn one_wrong_key_that_vips_rely_on_is_one_fault() {
    let with = |more: &str| format!("[balancer]\ndevices = \"eth0\"\n{more}");
    let vip = "[[vip]]\naddress = \"192.0.2.1\"\nport = 80\n";
    for (forward, real) in
        [("l2", "address = \"10.0.1.1\"\nmac = \"02:00:00:00:00:01\""), ("local", "address = \"127.0.0.1\"")]
    {
        one_key_after_another(&with(&format!("{vip}forward = \"{forward}\"\n[[vip.real]]\n{real}\n")));
        one_key_after_another(&with(&format!("{vip}[[vip.real]]\n{real}\nforward = \"{forward}\"\n")));
    }
    let large = with(&format!("[limits]\nslots = 3000000\n{vip}slots = 1048573\n"));
    one_key_after_another(&large);
    for wrong in [
        large.replace("[limits]", "[limts]"),
        large.replace("[limits]\nslots", "limits").replace("[bal", "limits = 7\n[bal"),
    ] {
        let wrong = wrong.replace("limits = 3000000\n", "");
        assert_eq!(lines(&wrong).len(), 1, "{wrong}\n{:#?}", lines(&wrong));
    }
    one_key_after_another(&with(&format!("[katran]\nring = 4093\nvips = 16\n{vip}slots = 4093\n")));
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
