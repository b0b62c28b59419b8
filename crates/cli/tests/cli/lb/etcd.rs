//! VIPs from etcd: a real one (Debian's), in a network namespace beside the balancer.

use alveary_lab::{Network, Node};
use alveary_testing::BpfFs;
use serde_json::Value;
use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

struct Fleet {
    network: Network,
    node: Node,
    bpffs: BpfFs,
    folder: PathBuf,
    etcd: Option<Child>,
    served: Option<Child>,
}

fn exists(program: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(program).exists())
}

fn vip(name: &str, port: u16) -> String {
    format!("[[vip]]\nname = \"{name}\"\naddress = \"192.0.2.1\"\nport = {port}\n")
}

impl Fleet {
    fn new(test: &str) -> Option<Fleet> {
        for program in ["etcd", "etcdctl"] {
            if !exists(program) {
                eprintln!("SKIP {test}: {program} is not installed (Debian's etcd-server, etcd-client)");
                return None;
            }
        }
        if !alveary_testing::bpf::permitted(test) {
            return None;
        }
        let bpffs = BpfFs::mount(test)?;
        let mut network = Network::new();
        let (node, other) = (network.node("balancer").expect("a node"), network.node("router").expect("a node"));
        network.pair([(node, "eth0"), (other, "lb")]).expect("a pair");
        network.address(node, "eth0", "10.0.9.2/24").expect("an address");
        let folder = std::env::temp_dir().join(format!("alveary-{test}-files-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let text = format!(
            "[balancer]\nname = \"etcd\"\ndevices = [\"eth0\"]\nmode = \"generic\"\n[api]\nsocket = {:?}\n\
             [limits]\nvips = 16\nreals = 16\nslots = 200000\nconnections = 1024\nconnections-per-cpu = 1024\n\
             [etcd]\nendpoints = [\"http://127.0.0.1:2379\"]\nkept = {:?}\n",
            folder.join("lb.sock"),
            folder.join("kept.toml"),
        );
        fs::write(folder.join("lb.toml"), text).expect("a file");
        Some(Fleet { network, node, bpffs, folder, etcd: None, served: None })
    }

    fn start(&self, mut command: Command, log: &str) -> Child {
        let log = fs::File::options().create(true).append(true).open(self.folder.join(log)).expect("a file");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("twice")).stderr(log);
        self.network.at(self.node, || command.spawn()).expect("the namespace").expect("it runs")
    }

    fn start_etcd(&mut self) {
        let mut command = Command::new("etcd");
        command.args([
            "--listen-client-urls",
            "http://127.0.0.1:2379",
            "--advertise-client-urls",
            "http://127.0.0.1:2379",
        ]);
        command.args([
            "--listen-peer-urls",
            "http://127.0.0.1:2380",
            "--initial-advertise-peer-urls",
            "http://127.0.0.1:2380",
        ]);
        command
            .args(["--initial-cluster", "default=http://127.0.0.1:2380", "--data-dir"])
            .arg(self.folder.join("data"));
        self.etcd = Some(self.start(command, "etcd.log"));
        self.until("etcd answers", |fleet| fleet.ctl(&["endpoint", "health"], "").is_some());
    }

    fn kill(child: &mut Option<Child>) {
        if let Some(mut child) = child.take() {
            child.kill().expect("it is ours");
            child.wait().expect("it ends");
        }
    }

    /// Something that etcdctl does.
    fn ctl(&self, words: &[&str], input: &str) -> Option<String> {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = self.network.at(self.node, || command.spawn()).expect("the namespace").expect("it runs");
        child.stdin.take().expect("one").write_all(input.as_bytes()).ok();
        let output = child.wait_with_output().expect("it ends");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn put(&self, text: &str) {
        assert!(self.ctl(&["put", "/alveary/lb/etcd"], text).is_some(), "etcd takes it");
    }

    fn serve(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_alveary"));
        command.args(["lb", "serve"]).arg(self.folder.join("lb.toml")).arg("--bpffs").arg(&self.bpffs.path);
        self.served = Some(self.start(command, "log"));
        self.until("it answers", |fleet| fleet.status().is_some());
    }

    fn status(&self) -> Option<Value> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_alveary"));
        let output = command.args(["lb", "status", "--json", "--socket"]).arg(self.folder.join("lb.sock")).output();
        let output = output.expect("it runs");
        output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("it is JSON"))
    }

    /// The names of the VIPs, why etcd is gone, why what it has is refused.
    fn has(&self) -> (Vec<String>, Value, Value) {
        let status = self.status().unwrap_or_default();
        let vips = status["vips"].as_array().cloned().unwrap_or_default();
        let names = vips.iter().filter_map(|vip| Some(vip["name"].as_str()?.to_owned())).collect();
        (names, status["etcd"]["gone"].clone(), status["etcd"]["refused"].clone())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn until(&self, what: &str, is_so: impl Fn(&Fleet) -> bool) {
        for _ in 0..800 {
            if is_so(self) {
                return;
            }
            thread::sleep(Duration::from_millis(25));
        }
        panic!("{what}: that does not come\n{:#?}\n{}", self.status(), self.log());
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        Fleet::kill(&mut self.served);
        Fleet::kill(&mut self.etcd);
        fs::remove_dir_all(self.bpffs.path.join("alveary-lb")).ok();
        fs::remove_dir_all(&self.folder).ok();
    }
}

#[test]
fn vips_follow_etcd_and_outlive_it() {
    let Some(mut fleet) = Fleet::new("lb_etcd") else { return };

    // Without etcd, and without a value that was kept, there is nothing to begin with.
    let mut command = Command::new(env!("CARGO_BIN_EXE_alveary"));
    command.args(["lb", "serve"]).arg(fleet.folder.join("lb.toml")).arg("--bpffs").arg(&fleet.bpffs.path);
    let refused = fleet.network.at(fleet.node, || command.output()).expect("the namespace").expect("it runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("etcd at 127.0.0.1:2379"), "{said}");
    assert!(said.contains("no earlier value is kept"), "{said}");

    fleet.start_etcd();
    fleet.put(&vip("one", 80));
    fleet.serve();
    assert_eq!(fleet.has(), (vec!["one".into()], Value::Null, Value::Null));

    // What is put is there, and kept.
    let two = vip("one", 80) + &vip("two", 81);
    let names = ["one".to_owned(), "two".to_owned()];
    fleet.put(&two);
    fleet.until("two VIPs", |fleet| fleet.has().0 == names);
    fleet.until("they are kept", |fleet| {
        fs::read_to_string(fleet.folder.join("kept.toml")).is_ok_and(|text| text == two)
    });

    // What is wrong is told, with its place, and not applied, nor kept.
    fleet.put("[[vip]]\naddress = \"nonsense\"\n");
    fleet.until("it is refused", |fleet| !fleet.has().2.is_null());
    let (there, _, why) = fleet.has();
    assert_eq!(there, names);
    assert!(why.as_str().is_some_and(|why| why.contains("etcd:/alveary/lb/etcd:2:")), "{why}");
    assert_eq!(fs::read_to_string(fleet.folder.join("kept.toml")).expect("a file"), two);

    // What waits is tried again with another file: here one that says where tunnels come from.
    let with = |by: &str| {
        let path = fleet.folder.join("lb.toml");
        let text = fs::read_to_string(&path).expect("a file").replace("source = \"10.0.9.2\"\n", "");
        fs::write(fleet.folder.join("new"), text.replace("[balancer]\n", &format!("[balancer]\n{by}")))
            .expect("a file");
        fs::rename(fleet.folder.join("new"), path).expect("a file");
    };
    let four = vip("four", 84) + "real = [{ address = \"10.0.1.1\" }]\n";
    fleet.put(&four);
    fleet.until("it is refused", |fleet| fleet.has().2.as_str().is_some_and(|why| why.contains("10.0.1.1")));
    assert_eq!(fleet.has().0, names);
    with("source = \"10.0.9.2\"\n");
    fleet.until("it is taken with the other file", |fleet| {
        fleet.has() == (vec!["four".into()], Value::Null, Value::Null)
    });
    // A file that is wrong is not what etcd has.
    with("nonsense = 1\nsource = \"10.0.9.2\"\n");
    fleet.put(&two);
    fleet.until("the file is told", |fleet| fleet.log().contains("lb.toml is wrong, and what etcd has in revision"));
    let path = fleet.folder.join("lb.toml");
    fs::write(&path, fs::read_to_string(&path).expect("a file").replace("nonsense = 1\n", "")).expect("a file");
    fleet.until("it is taken", |fleet| fleet.has() == (names.to_vec(), Value::Null, Value::Null));
    fleet.put("[[vip]]\naddress = \"nonsense\"\n");
    fleet.until("it is refused", |fleet| !fleet.has().2.is_null());

    // Gone: nothing changes, in the process that runs and in the next one.
    Fleet::kill(&mut fleet.etcd);
    fleet.until("it is gone", |fleet| !fleet.has().1.is_null());
    assert_eq!(fleet.has().0, names);
    Fleet::kill(&mut fleet.served);
    fleet.serve();
    assert_eq!(fleet.has().0, names);
    assert!(fleet.log().contains("VIPs are those that were kept in"), "{}", fleet.log());

    // Back, with what is wrong still there; then with what is right.
    fleet.start_etcd();
    fleet.until("it is back", |fleet| fleet.has().1.is_null() && !fleet.has().2.is_null());
    assert_eq!(fleet.has().0, names);
    fleet.put(&vip("three", 82));
    fleet.until("it is taken", |fleet| fleet.has() == (vec!["three".into()], Value::Null, Value::Null));

    // A key that is gone takes nothing with it.
    assert!(fleet.ctl(&["del", "/alveary/lb/etcd"], "").is_some());
    fleet.until("it is told", |fleet| fleet.has().2 == "the key is not there");
    assert_eq!(fleet.has().0, ["three"]);
}
