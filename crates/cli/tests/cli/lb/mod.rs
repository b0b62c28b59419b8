//! The balancer.

mod capabilities;
mod etcd;
mod lab;
mod owner;
mod page;
mod prometheus;
mod record;
mod routes;
mod serve;
mod watch;

use crate::{golden::golden, session::Session};

const GOOD: &str = "[balancer]
devices = [\"eth0\"]
source = [\"192.0.2.2\", \"2001:db8::2\"]

[[vip]]
name = \"web\"
address = \"192.0.2.1\"
port = [80, 443]
  [[vip.real]]
  address = \"10.0.0.11\"
  [[vip.real]]
  address = \"fc00::12\"
  forward = \"gue\"

[[vip]]
address = \"2001:db8::1\"
port = 53
protocol = [\"tcp\", \"udp\"]
slots = 4093
mss = true
  [[vip.real]]
  address = \"10.0.0.11\"
";

const BAD: &str = "[balancer]
devices = \"eth0\"
sorce = \"192.0.2.2\"

[[vip]]
address = \"192.0.2.1\"
port = 80
slots = 65536
  [[vip.real]]
  address = \"10.0.0.11\"
  wieght = 2
";

const ABSENT: &str = "[balancer]
devices = [\"lo\", \"none0\"]

[api]
address = \"192.0.2.77:9200\"
token = \"/nonexistent/token\"

[metrics]
address = \"192.0.2.77:9100\"
";

const TIGHT: &str = "[balancer]
devices = [\"lo\"]
source = \"192.0.2.2\"

[limits]
vips = 1
reals = 1
slots = 1000

[default]
slots = 1009

[[vip]]
address = \"192.0.2.1\"
port = [1, 2, 3, 4, 5]
  [[vip.real]]
  address = \"10.0.0.11\"
  [[vip.real]]
  address = \"10.0.0.12\"
";

const KEEPALIVED: &str = "virtual_server 192.0.2.1 443 {
    lb_algo lc
    lb_kind TUN
    real_server 10.0.0.1 443 {
        weight 3
        TCP_CHECK { connect_timeout 3 }
    }
}
";

#[test]
fn configurations() {
    let session = Session::new()
        .file("good.toml", GOOD)
        .file("bad.toml", BAD)
        .file("absent.toml", ABSENT)
        .file("tight.toml", TIGHT)
        .file("keepalived.conf", KEEPALIVED);
    let session = session.run("lb check --elsewhere good.toml").run("lb check --elsewhere good.toml --json");
    let session = session.run("lb check bad.toml").run("lb check absent.toml").run("lb check tight.toml");
    let session = session.run("lb check /dev/zero");
    let session = session.run("lb import keepalived.conf --device eth1 --source 192.0.2.2");
    let session = session.run("lb import keepalived.conf --source 0.0.0.0").run("lb flows --name ../../etc");
    let session = session.file("cut.conf", &KEEPALIVED[..60]).file("empty.conf", "");
    let session = session.run("lb import keepalived.conf").run("lb import cut.conf").run("lb import empty.conf");
    let session = session.file("all.conf", "include conf.d/*.conf\n").run("lb import all.conf");
    let session = session.run("lb trace").run("lb trace 'tcp 198.51.100.7 > 192.0.2.1:443'").run("lb trace 02zz");
    let etcd = "[balancer]\ndevices = [\"lo\"]\n\n[etcd]\nendpoints = [\"http://10.0.0.5:2379\"]\n";
    let session = session.file("none.toml", &etcd[..28]).file("etcd.toml", etcd).file("vips.toml", &GOOD[72..]);
    let session = session.run("lb check none.toml").run("lb check none.toml --shared none.toml");
    let session = session.run("lb check etcd.toml").run("lb check etcd.toml --shared /dev/null");
    let exec = GOOD.replace(
        "  [[vip.real]]\n  address = \"10.0.0.11\"\n  [[",
        "  [vip.check]\n  type = \"exec\"\n  command = [\"/no/such\", \"{ip}\"]\n  [[",
    );
    let exec = exec.replace("eth0", "lo");
    let session = session.file("exec.toml", &exec).run("lb check exec.toml").run("lb check --elsewhere exec.toml");
    golden("lb-check.txt", session.text());
}

/// A balancer's name is a part of paths, whoever asks for it.
#[test]
fn names_are_no_paths() {
    for verb in [
        "status",
        "vips",
        "reals",
        "flows",
        "flows --follow",
        "drain 10.0.0.1",
        "undrain 10.0.0.1",
        "reload",
        "withdraw",
        "announce",
        "trace 00",
        "record -w none.pcapng",
    ] {
        for name in ["../..", "/", "a/b", "a.b"] {
            let session = Session::new().run(&format!("lb {verb} --name '{name}'"));
            let said = session.text();
            assert!(said.contains("letters, digits, - and _") && said.contains("(exit code 2)"), "{verb}: {said}");
        }
    }
}

#[test]
fn what_is_long_is_not_printed_whole() {
    let long = "x".repeat(100_000);
    let text = format!("[balancer]\ndevices = [\"eth0\"]\nmode = \"{long}\"\n{long} = 1\n");
    let session = Session::new().file("long.toml", &text).run("lb check long.toml");
    let said = session.text();
    assert!(said.contains("`mode` is not what it should be") && said.contains("has no key `xxx"), "{said:.2000}");
    assert!(said.len() < 5000, "{} bytes are said", said.len());
}
