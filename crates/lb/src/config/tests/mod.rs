//! What is taken, and what is said of what is not.
//!
//! | file | holds |
//! |---|---|
//! | `checks` | checks: what they run |
//! | `faults` | what is said of what is wrong |
//! | `fleet` | BIRD, etcd, peers |
//! | `here` | what this machine lacks |
//! | `limits` | how much and how many |
//! | `pages` | what the pages say |
//! | `vips` | VIPs and their reals |

mod checks;
mod faults;
mod fleet;
mod here;
mod limits;
mod pages;
mod vips;

use super::*;
use alveary_diag::Place;

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

fn lines(text: &str) -> Vec<String> {
    Config::read("lb.toml", text).expect_err("faults").iter().map(ToString::to_string).collect()
}

fn lines_containing(lines: &[String], said: &str) -> usize {
    lines.iter().filter(|line| line.contains(said)).count()
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
