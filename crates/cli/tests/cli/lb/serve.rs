//! A site: a client, a router, a balancer and two reals, each in a network namespace of its own; the balancer is the binary.

use alveary_lab::{Network, Node, Shape};
use alveary_testing::BpfFs;
use serde_json::Value;
use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

pub(super) const VIP: &str = "192.0.2.1:80";
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Site {
    pub(super) network: Network,
    pub(super) client: Node,
    pub(super) router: Node,
    pub(super) balancer: Node,
    pub(super) reals: [Node; 2],
    pub(super) bpffs: BpfFs,
    pub(super) folder: PathBuf,
    pub(super) served: Option<Child>,
}

impl Site {
    pub(super) fn new(test: &str) -> Option<Site> {
        if !alveary_testing::bpf::permitted(test) {
            return None;
        }
        let bpffs = BpfFs::mount(test)?;
        let mut network = Network::new();
        let mut node = |name: &str| network.node(name).expect("a namespace");
        let (client, router, balancer) = (node("client"), node("router"), node("balancer"));
        let reals = [node("one"), node("two")];
        // Links of tun devices: what comes from them has whole checksums, as from a wire.
        for (node, name, addresses) in
            [(client, "client", "10.0.0"), (reals[0], "one", "10.0.1"), (reals[1], "two", "10.0.2")]
        {
            network.link([(node, "up"), (router, name)], Shape::default()).expect("a link");
            network.leaf([(router, name), (node, "up")], addresses).expect("addresses");
        }
        network.pair([(router, "lb"), (balancer, "eth0")]).expect("a pair");
        network.leaf([(router, "lb"), (balancer, "eth0")], "10.0.9").expect("addresses");
        network.route(router, "192.0.2.0/24", "lb", Some("10.0.9.2")).expect("a route");
        let folder = std::env::temp_dir().join(format!("alveary-lb-{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        Some(Site { network, client, router, balancer, reals, bpffs, folder, served: None })
    }

    pub(super) fn configure(&self, more: &str) {
        let socket = self.folder.join("lb.sock");
        let text = format!(
            "[balancer]\nname = \"test\"\ndevices = [\"eth0\"]\nmode = \"generic\"\nsource = \"10.0.9.2\"\n\
             [api]\nsocket = {socket:?}\naddress = \"127.0.0.1:9200\"\n[limits]\nvips = 16\nreals = 16\nslots = 200000\nconnections = 10000\n\
             connections-per-cpu = 4096\n[default]\nslots = 1009\nforward = \"nat\"\ncheck = {{ type = \"tcp\", interval = \"50ms\" }}\n\
             [[vip]]\nname = \"web\"\naddress = \"192.0.2.1\"\nport = 80\nreal = [\n\
             {{ name = \"one\", address = \"10.0.1.2\", port = 8080 }}, {{ name = \"two\", address = \"10.0.2.2\", port = 8080 }}]\n{more}"
        );
        // As editors do: the new file takes the place of the old one at once.
        fs::write(self.folder.join("new"), text).expect("a file");
        fs::rename(self.folder.join("new"), self.folder.join("lb.toml")).expect("a file");
    }

    /// Something that `ip` does at the balancer.
    pub(super) fn ip(&self, words: &str) {
        let mut ip = Command::new("ip");
        ip.args(words.split(' '));
        let done = self.network.at(self.balancer, || ip.status()).expect("the namespace");
        assert!(done.expect("`ip` (package iproute2)").success(), "{words}");
    }

    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_alveary"));
        command.arg("lb").args(words);
        command
    }

    /// Changes what the configuration says.
    pub(super) fn replace(&self, what: &str, by: &str) {
        let path = self.folder.join("lb.toml");
        let text = fs::read_to_string(&path).expect("the configuration");
        assert!(text.contains(what), "{what}\n{text}");
        fs::write(self.folder.join("new"), text.replace(what, by)).expect("a file");
        fs::rename(self.folder.join("new"), path).expect("a file");
    }

    /// Starts another process for the same balancer, and gives what it says when it ends.
    pub(super) fn serves_not(&self) -> String {
        let mut command = self.command(&["serve"]);
        command.arg(self.folder.join("lb.toml")).arg("--bpffs").arg(&self.bpffs.path).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.network.at(self.balancer, || command.spawn()).expect("the namespace");
        let mut child = child.expect("it runs");
        // One that serves does not end.
        let ended = (0..400).any(|_| {
            thread::sleep(Duration::from_millis(25));
            child.try_wait().expect("it is ours").is_some()
        });
        if !ended {
            child.kill().expect("it is ours");
        }
        let output = child.wait_with_output().expect("it ends");
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }

    /// Starts the balancer, and waits until it answers.
    pub(super) fn serve(&mut self) {
        let mut command = self.command(&["serve"]);
        command.arg(self.folder.join("lb.toml")).arg("--bpffs").arg(&self.bpffs.path);
        self.start(command);
    }

    /// The same by a command of its own.
    pub(super) fn start(&mut self, mut command: Command) {
        let log = fs::File::options().create(true).append(true).open(self.folder.join("log")).expect("a file");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("twice")).stderr(log);
        let child = self.network.at(self.balancer, || command.spawn()).expect("the namespace");
        self.served = Some(child.expect("the binary runs"));
        self.until("it answers", |site| site.status().is_some());
    }

    /// The number of the process that serves.
    pub(super) fn process(&self) -> u32 {
        self.served.as_ref().map_or(0, Child::id)
    }

    /// Has the process end as systemd does, and waits for that.
    pub(super) fn terminate(&mut self) {
        let mut child = self.served.take().expect("it runs");
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
            .expect("it is ours");
        assert!(child.wait().expect("it ends").success());
    }

    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.served.take() {
            child.kill().expect("it is ours");
            child.wait().expect("it ends");
        }
    }

    pub(super) fn status(&self) -> Option<Value> {
        let output =
            self.command(&["status", "--json", "--socket"]).arg(self.folder.join("lb.sock")).output().expect("it runs");
        output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("it is JSON"))
    }

    /// What the first VIP's reals are.
    pub(super) fn health(&self) -> Vec<(String, u64)> {
        let status = self.status().expect("it answers");
        let real = |real: &Value| {
            (real["health"].as_str().unwrap_or_default().to_owned(), real["slots"].as_u64().unwrap_or_default())
        };
        status["vips"][0]["reals"].as_array().expect("reals").iter().map(real).collect()
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    pub(super) fn ask(&self, words: &[&str]) -> String {
        let output = self.command(words).arg("--socket").arg(self.folder.join("lb.sock")).output().expect("it runs");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }

    /// Looks again and again until something is so.
    pub(super) fn until(&self, what: &str, is_so: impl Fn(&Site) -> bool) {
        for _ in 0..400 {
            if is_so(self) {
                return;
            }
            thread::sleep(Duration::from_millis(25));
        }
        panic!("{what}: that does not come\n{:#?}\n{}", self.status(), self.log());
    }

    /// A server at a real, which says its name and then what it is told, until its flag is put down.
    pub(super) fn server(&self, real: usize) -> Arc<AtomicBool> {
        let runs = Arc::new(AtomicBool::new(true));
        let (goes_on, name) = (runs.clone(), [b'1', b'2'][real]);
        let listener = self
            .network
            .at(self.reals[real], || TcpListener::bind("0.0.0.0:8080").expect("a port"))
            .expect("the namespace");
        listener.set_nonblocking(true).expect("it can be asked");
        thread::spawn(move || {
            while goes_on.load(Ordering::Relaxed) {
                let Ok((mut stream, _)) = listener.accept() else {
                    thread::sleep(Duration::from_millis(2));
                    continue;
                };
                thread::spawn(move || {
                    stream.set_nonblocking(false).expect("it waits");
                    let mut byte = [name];
                    while stream.write_all(&byte).is_ok() && stream.read_exact(&mut byte).is_ok() {}
                });
            }
        });
        runs
    }

    /// So many connections, and the name of each one's server.
    pub(super) fn connect(&self, count: usize) -> Vec<(TcpStream, u8)> {
        let to: SocketAddr = VIP.parse().expect("an address");
        let one = || {
            let mut stream = TcpStream::connect_timeout(&to, PATIENCE).expect("a connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("patience");
            let mut name = [0];
            stream.read_exact(&mut name).expect("a name");
            (stream, name[0])
        };
        self.network.at(self.client, || (0..count).map(|_| one()).collect()).expect("the namespace")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.kill();
        fs::remove_dir_all(self.bpffs.path.join("alveary-lb")).ok();
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// How many of them still answer.
pub(super) fn answering(connections: &mut [(TcpStream, u8)]) -> usize {
    let answers = |(stream, _): &mut (TcpStream, u8)| {
        let mut byte = [b'x'];
        stream.write_all(&byte).is_ok() && stream.read_exact(&mut byte).is_ok() && byte == [b'x']
    };
    connections.iter_mut().map(answers).filter(|answers| *answers).count()
}

fn names(connections: &[(TcpStream, u8)]) -> BTreeSet<u8> {
    connections.iter().map(|(_, name)| *name).collect()
}

#[test]
fn connections_outlive_the_process_and_follow_health() {
    let Some(mut site) = Site::new("lb_serve") else { return };
    let servers = [site.server(0), site.server(1)];
    site.configure("");
    site.serve();
    site.until("both are well", |site| {
        site.health().iter().all(|(health, slots)| health == "up" && (504..=505).contains(slots))
    });
    let mut open = site.connect(100);
    assert_eq!(names(&open), [b'1', b'2'].into());

    let flows = site.ask(&["flows"]);
    let (port, real) =
        (open[0].0.local_addr().expect("an address").port(), if open[0].1 == b'1' { "one" } else { "two" });
    let line = flows.lines().find(|line| line.contains(&format!("10.0.0.2:{port} "))).unwrap_or_default();
    assert!(line.contains("192.0.2.1:80") && line.trim_end().ends_with(real), "{real}: {line}\n{flows}");
    let some = |words: &[&str]| site.ask(&[&["flows"], words].concat()).lines().count() - 1;
    assert_eq!((some(&["--client", "10.0.0.0/24"]), some(&["--client", "10.0.1.0/24"])), (100, 0));
    assert_eq!(some(&["--vip", "web", "--real", "one"]) + some(&["--vip", "192.0.2.1", "--real", "two"]), 100);
    assert!(site.ask(&["flows", "--real", "tow"]).contains("no VIP has a real `tow`; did you mean `two`?"));
    assert!(site.ask(&["flows", "--vip", "wbe"]).contains("no VIP is called `wbe`; did you mean `web`?"));

    // What would become of a packet: the same as becomes of it.
    for (stream, name) in &open[..4] {
        let from = stream.local_addr().expect("an address");
        let packet = format!("tcp {from} > {VIP}");
        let words = ["trace", &packet, "--name", "test", "--bpffs"];
        let traced = site.command(&words).arg(&site.bpffs.path).output().expect("it runs");
        let said = String::from_utf8_lossy(&traced.stdout);
        let real = format!("to the real 10.0.{}.2 (number", char::from(*name));
        assert!(said.contains(&real), "{real}\n{traced:?}");
        assert!(said.contains("forwarded: sent to a real\nXDP_TX: IPv4 "), "{said}");
        assert!(said.starts_with("IPv4 ") && said.contains("it is for the VIP 192.0.2.1:80/tcp"), "{said}");
    }

    // Killed: packets go on, old connections and new ones.
    site.kill();
    assert_eq!(answering(&mut open), 100);
    assert_eq!(names(&site.connect(40)), [b'1', b'2'].into());

    // Another process takes over, with the program loaded anew.
    site.serve();
    assert!(site.log().contains("test: taken over, VIPs: 1, reals: 2"), "{}", site.log());
    assert!(site.health().iter().all(|(_, slots)| (504..=505).contains(slots)), "nobody is away meanwhile");
    assert_eq!(answering(&mut open), 100);

    // A VIP comes while it runs; a configuration that is wrong changes nothing.
    site.configure("[[vip]]\nname = \"other\"\naddress = \"192.0.2.2\"\nport = 81\n");
    site.until("the file is read again", |site| {
        site.status().is_some_and(|status| status["vips"][1]["name"] == "other")
    });
    site.configure("[[vip]]\naddress = \"nonsense\"\n");
    assert!(site.ask(&["reload"]).contains("`address` is not what it should be"));
    assert_eq!(answering(&mut open), 100);
    site.configure("");
    assert_eq!(site.ask(&["reload"]), "");

    // Drained: it keeps its connections and gets no new ones.
    assert!(site.ask(&["drain", "tow"]).contains("did you mean `two`?"));
    assert_eq!(site.ask(&["drain", "two", "--within", "1h"]), "");
    assert_eq!(names(&site.connect(40)), [b'1'].into());
    assert_eq!(answering(&mut open), 100);
    assert_eq!(site.ask(&["undrain", "two"]), "");
    assert_eq!(names(&site.connect(60)), [b'1', b'2'].into());

    // Down: new connections go elsewhere. Up again: they come back.
    servers[1].store(false, Ordering::Relaxed);
    site.until("it is down", |site| site.health()[1] == ("down".into(), 0));
    assert_eq!(names(&site.connect(40)), [b'1'].into());
    let _again = site.server(1);
    site.until("it is up", |site| site.health()[1].0 == "up");
    assert_eq!(names(&site.connect(60)), [b'1', b'2'].into());

    let status = site.status().expect("it answers");
    assert!(status["vips"][0]["opened"].as_u64().is_some_and(|opened| opened >= 300), "{status}");
    site.kill();
    let stopped = site.command(&["stop", "test", "--bpffs"]).arg(&site.bpffs.path).output().expect("it runs");
    assert!(stopped.status.success(), "{stopped:?}");
    assert!(!site.bpffs.path.join("alveary-lb/test").exists());
    assert_eq!(answering(&mut open[..1]), 0, "nobody balances any more");
}

/// Steps that are further apart than the balancer looks at its file were never taken: a real that came back kept a tenth of its
/// weight.
#[test]
fn a_slow_start_goes_on_by_itself() {
    let Some(mut site) = Site::new("lb_slow_start") else { return };
    let _servers = [site.server(0), site.server(1)];
    site.configure("");
    site.replace("[default]\n", "[default]\nslow-start = \"15s\"\n");
    site.serve();
    site.until("both are well", |site| site.health().iter().all(|(health, _)| health == "up"));
    assert_eq!(site.ask(&["drain", "two"]), "");
    assert_eq!(site.ask(&["undrain", "two"]), "");
    // A tenth of its weight, beside the whole of the other's; then two.
    let slots = |site: &Site| site.health()[1].1;
    assert!((90..=92).contains(&slots(&site)), "{:?}", site.health());
    site.until("it gets more", |site| slots(site) >= 168);
}

/// What a reload leaves to a real that is out of the file was cut where another process read it: all its connections broke.
#[test]
fn who_takes_over_leaves_connections_to_reals_that_are_out_of_the_file() {
    let Some(mut site) = Site::new("lb_leaving") else { return };
    let _servers = [site.server(0), site.server(1)];
    site.configure("");
    site.serve();
    site.until("both are well", |site| site.health().iter().all(|(health, _)| health == "up"));
    let mut open = site.connect(40);
    assert_eq!(names(&open), [b'1', b'2'].into());
    let two = ", { name = \"two\", address = \"10.0.2.2\", port = 8080 }";
    // While nobody serves it.
    site.kill();
    site.replace(two, "");
    site.serve();
    assert_eq!(site.health().len(), 1);
    assert_eq!(answering(&mut open), 40);
    assert_eq!(names(&site.connect(20)), [b'1'].into(), "it gets nobody new");
    // A process that finds one leaving lets it leave.
    site.kill();
    site.serve();
    assert_eq!(answering(&mut open), 40);
    // Who comes back is nobody that an operator drains.
    let all = fs::read_to_string(site.folder.join("lb.toml")).expect("the configuration");
    site.kill();
    site.configure("");
    site.serve();
    let drained = |site: &Site| {
        let status = site.status().expect("it answers");
        (!status["vips"][0]["reals"][1]["drained_seconds_left"].is_null(), site.health()[1].1)
    };
    assert!(!drained(&site).0 && drained(&site).1 > 500, "{:?}", drained(&site));
    assert_eq!(names(&site.connect(40)), [b'1', b'2'].into());
    assert_eq!(site.ask(&["drain", "two"]), "");
    site.kill();
    site.serve();
    assert_eq!(drained(&site), (true, 0), "such a one is drained by whoever takes over");
    assert_eq!(site.ask(&["undrain", "two"]), "");
    assert_eq!(answering(&mut open), 40);
    fs::write(site.folder.join("lb.toml"), all).expect("a file");
    site.until("it is out again", |site| site.health().len() == 1);
    // Not for ever.
    site.kill();
    site.replace("[default]\n", "[default]\ndrain = \"1s\"\n");
    site.serve();
    let (stay, go): (Vec<_>, Vec<_>) = open.into_iter().partition(|(_, name)| *name == b'1');
    let (mut stay, go) = (stay, RefCell::new(go));
    site.until("their time is over", |_| answering(&mut go.borrow_mut()) == 0);
    assert_eq!(answering(&mut stay), stay.len());
}

/// A device that went away failed all changes of the data plane: dead reals of all VIPs kept their packets.
#[test]
fn a_device_that_is_gone_keeps_no_other_change_waiting() {
    let Some(mut site) = Site::new("lb_device") else { return };
    let servers = [site.server(0), site.server(1)];
    let other = |site: &Site| site.status().expect("it answers")["vips"][1]["reals"][0].clone();
    let is = |real: &Value, health: &str, slots: u64| real["health"] == health && real["slots"] == slots;
    site.ip("link add eth7 type veth peer name eth8");
    let more = "[[vip]]\nname = \"other\"\naddress = \"192.0.2.2\"\nport = 81\nreal = [{ address = \"10.0.7.2\", \
                forward = \"l2\", mac = \"02:00:00:00:00:07\", device = \"eth7\" }]\n";
    site.configure(more);
    site.replace("check = { type = \"tcp\", interval = \"50ms\" }\n", "");
    site.replace("port = 80\n", "port = 80\ncheck = { type = \"tcp\", interval = \"50ms\" }\n");
    site.serve();
    site.until("both are well", |site| site.health().iter().all(|(health, _)| health == "up"));
    assert!(is(&other(&site), "unchecked", 1009), "{}", other(&site));

    site.ip("link del eth7");
    site.until("the one behind it is down", |site| is(&other(site), "down", 0));
    assert_eq!(other(&site)["why"], "there is no network device `eth7`");
    servers[1].store(false, Ordering::Relaxed);
    site.until("another one is down", |site| site.health()[1] == ("down".into(), 0));
    assert_eq!(names(&site.connect(40)), [b'1'].into());
    // What is new in the file is taken.
    site.replace("address = \"192.0.2.2\"", "address = \"192.0.2.3\"");
    assert_eq!(site.ask(&["reload"]), "");
    assert!(is(&other(&site), "down", 0), "{}", other(&site));

    site.ip("link add eth7 type veth peer name eth8");
    site.until("it is back", |site| is(&other(site), "unchecked", 1009));
    let log = site.log();
    let lines = ["is gone: reals behind it get nothing until it is back", "is back"];
    assert!(lines.iter().all(|line| log.contains(&format!("the network device `eth7` {line}"))), "{log}");
    assert!(!log.contains("could not be made"), "{log}");
}

/// What a reload refuses was taken by the next process: flows that are remembered are not where it looks for them.
#[test]
fn who_takes_over_hashes_as_before() {
    let Some(mut site) = Site::new("lb_hashes") else { return };
    let _servers = [site.server(0), site.server(1)];
    site.configure("");
    site.serve();
    site.until("both are well", |site| site.health().iter().all(|(health, _)| health == "up"));
    let mut open = site.connect(20);
    site.kill();
    let seed = ["source = \"10.0.9.2\"\n", "source = \"10.0.9.2\"\nseed = 7\n"];
    site.replace(seed[0], seed[1]);
    let said = site.serves_not();
    assert!(said.contains("`seed` in [balancer] is not what the balancer `test` began with"), "{said}");
    assert!(said.contains("lb.toml:6:8") && said.contains("`alveary lb stop test`, and `serve` again"), "{said}");
    site.replace(seed[1], seed[0]);
    site.replace("[limits]\n", "[katran]\nring = 1009\n[limits]\n");
    let said = site.serves_not();
    assert!(said.contains("[katran] is not what the balancer `test` began with"), "{said}");
    assert_eq!(answering(&mut open), 20);
    site.replace("[katran]\nring = 1009\n", "");
    // What tables have room for on each CPU is no matter of hashes.
    site.replace("connections-per-cpu = 4096", "connections-per-cpu = 8192");
    site.serve();
    assert_eq!(answering(&mut open), 20);
}

/// Keys of an answer that its description does not know.
fn undescribed(value: &Value, schema: &Value, openapi: &Value, path: &str, all: &mut Vec<String>) {
    let schema = match schema["$ref"].as_str() {
        Some(to) => openapi.pointer(&to[1..]).unwrap_or(&Value::Null),
        None => schema,
    };
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = format!("{path}/{key}");
                match schema["properties"].get(key) {
                    Some(schema) => undescribed(value, schema, openapi, &path, all),
                    None => all.push(path),
                }
            }
        }
        Value::Array(items) => {
            items.iter().for_each(|item| undescribed(item, &schema["items"], openapi, path, all));
        }
        _ => {}
    }
}

#[test]
fn status_tells_of_others_and_is_described() {
    let Some(mut site) = Site::new("lb_others") else { return };
    let key = site.folder.join("key");
    fs::write(&key, "a secret for nobody else").expect("a file");
    let (bird, file) = (site.folder.join("bird.ctl"), site.folder.join("routes.conf"));
    site.configure(&format!(
        "[sync]\nlisten = \"10.0.9.2:7947\"\npeers = [\"10.0.9.3:7947\"]\nkey = {key:?}\n\
         [announce]\nfile = {file:?}\nbird = {bird:?}\n"
    ));
    site.serve();
    site.until("it has tried to announce", |site| {
        site.status().is_some_and(|status| status["announce"]["why_not"].is_string())
    });
    let status = site.status().expect("it answers");
    let openapi: Value = serde_json::from_str(alveary_lb::report::OPENAPI).expect("JSON");
    let schema = openapi.pointer("/paths/~1v1~1status/get/responses/200/content/application~1json/schema");
    let mut all = Vec::new();
    undescribed(&status, schema.expect("a description"), &openapi, "", &mut all);
    assert_eq!(all, [""; 0]);
    assert_eq!(status["vips"][0]["reals"][0]["name"], "one", "it was looked at");
    let said = site.ask(&["status"]);
    assert!(said.contains("\nannounced: nothing; what is to be announced BIRD has not taken: BIRD does not"), "{said}");
    assert!(said.contains("\npeers: 10.0.9.3:7947 not heard; connections told 0, "), "{said}");
}
