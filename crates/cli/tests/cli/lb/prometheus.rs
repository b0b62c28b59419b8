//! What Prometheus (Debian's) reads of a balancer, in a network namespace beside it.

use alveary_lab::Network;
use alveary_testing::BpfFs;
use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// What ends, and goes, with the test.
struct Ends(Vec<Child>, PathBuf, PathBuf);

impl Drop for Ends {
    fn drop(&mut self) {
        for child in &mut self.0 {
            child.kill().ok();
            child.wait().ok();
        }
        fs::remove_dir_all(&self.1).ok();
        fs::remove_dir_all(&self.2).ok();
    }
}

/// The answer of a Prometheus in the calling thread's namespace.
fn ask(query: &str) -> Option<Value> {
    let mut stream = TcpStream::connect("127.0.0.1:9090").ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET /api/v1/query?query={query} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

#[test]
fn prometheus_reads_what_a_balancer_counts() {
    if Command::new("prometheus").arg("--version").output().is_err() {
        eprintln!("SKIP lb_prometheus: prometheus is not installed");
        return;
    }
    if !alveary_testing::bpf::permitted("lb_prometheus") {
        return;
    }
    let Some(bpffs) = BpfFs::mount("lb_prometheus") else { return };
    let mut network = Network::new();
    let (node, other) = (network.node("balancer").expect("a node"), network.node("router").expect("a node"));
    network.pair([(node, "eth0"), (other, "lb")]).expect("a pair");
    network.address(node, "eth0", "10.0.9.2/24").expect("an address");
    let folder = std::env::temp_dir().join(format!("alveary-lb-prometheus-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let mut ends = Ends(Vec::new(), folder.clone(), bpffs.path.join("alveary-lb"));
    let text = format!(
        "[balancer]\nname = \"counted\"\ndevices = [\"eth0\"]\nmode = \"generic\"\nsource = \"10.0.9.2\"\n\
         [metrics]\naddress = \"127.0.0.1:9100\"\n[api]\nsocket = {:?}\n\
         [limits]\nvips = 16\nreals = 16\nslots = 20000\nconnections = 1024\nconnections-per-cpu = 1024\n\
         [default]\nslots = 1009\n[[vip]]\nname = \"a \\\"web\\\"\"\naddress = \"192.0.2.1\"\nport = 80\n\
         real = [{{ address = \"10.0.1.2\" }}, {{ address = \"10.0.1.3\" }}]\n",
        folder.join("lb.sock")
    );
    fs::write(folder.join("lb.toml"), text).expect("a file");
    let scrape = "global:\n  scrape_interval: 1s\nscrape_configs:\n- job_name: lb\n  static_configs:\n  - targets: ['127.0.0.1:9100']\n";
    fs::write(folder.join("prometheus.yml"), scrape).expect("a file");
    let mut serve = Command::new(env!("CARGO_BIN_EXE_alveary"));
    serve.args(["lb", "serve"]).arg(folder.join("lb.toml")).arg("--bpffs").arg(&bpffs.path);
    let mut prometheus = Command::new("prometheus");
    prometheus.arg(format!("--config.file={}", folder.join("prometheus.yml").display()));
    prometheus.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
    prometheus.arg("--web.listen-address=127.0.0.1:9090");
    for mut command in [serve, prometheus] {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        ends.0.push(network.at(node, || command.spawn()).expect("the namespace").expect("it runs"));
    }
    let of = |query: &str| network.at(node, || ask(query)).expect("the namespace").unwrap_or_default();
    let results = |query: &str| of(query)["data"]["result"].as_array().cloned().unwrap_or_default();
    let mut slots = Vec::new();
    for _ in 0..1200 {
        slots = results("alveary_lb_real_slots");
        if !slots.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(25));
    }
    // Each real's part of the table, under the names that the configuration has.
    let part = |one: &Value| {
        assert_eq!(one["metric"]["vip"], "a \"web\"", "{one}");
        (one["metric"]["real"].clone(), one["value"][1].as_str().and_then(|text| text.parse::<u32>().ok()).unwrap_or(0))
    };
    let parts: Vec<_> = slots.iter().map(part).collect();
    assert_eq!(parts.iter().map(|(_, slots)| slots).sum::<u32>(), 1009, "{parts:?}");
    assert_eq!(parts.len(), 2, "{parts:?}");
    // All that it has is understood: the scrape was a success, and each family is there.
    assert_eq!(results("up")[0]["value"][1], "1");
    for family in ["vip_packets_total", "real_up", "packets_total", "events_total", "real_bytes_total"] {
        assert!(!results(&format!("alveary_lb_{family}")).is_empty(), "{family}");
    }
}
