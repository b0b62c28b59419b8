//! A site in network namespaces: clients and reals behind a router, balancers beside it. Each node has an Ethernet pair to the
//! router.
//!
//! ```text
//! client1 10.1.1.2 --.                 .-- lb1 10.9.1.2
//! client2 10.1.2.2 ---- router (ECMP) <
//! real1   10.2.1.2 --'      |          '-- lb2 10.9.2.2
//!                          desk 10.8.1.2 (etcd, Prometheus)
//! ```

use super::{
    bgp,
    children::{Running, Starter},
    desk, server,
};
use crate::{failure::Failure, packed::Packed, verb::lb::serve::all};
use alveary::{
    Linux, Loader, MapHandle, Object,
    kernel::{
        Offload,
        attach::{Device, Link, Place as Hook},
        child::mount_on,
    },
    spec::XdpMode,
};
use alveary_diag::{Diagnostic, Place};
use alveary_lab::{Network, Node};
use alveary_lb::{http::ask, instance};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// What is balanced.
pub(super) const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Where NAT comes from at all balancers: who has the packets of clients has the answers, too.
const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 9, 99, 1);
/// Where balancers tell each other of connections.
const SYNC: u16 = 7947;
/// All that the lab has in files, in a file system that only its processes see.
pub(super) const FOLDER: &str = "/run/alveary-lab";
/// The program of the reals, which takes tunnels off.
static DECAP: Packed = packed!("lb-decap.bpf.o");
/// Packets of clients, and those with headers around them.
const PACKET: u32 = 1500;
/// What a site takes its time for at most.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);
/// Lines of what a process has said before it ended.
const SAID: usize = 10;
/// Ports of the balancers' own connections: NAT has others.
const OWN_PORTS: &str = "20001 30000";

/// How packets get to the reals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Forward {
    /// In another IP header
    Ip,
    /// In UDP
    Gue,
    /// With their addresses replaced: answers come back through the balancer
    Nat,
}

/// What a site has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) clients: u8,
    pub(super) balancers: u8,
    /// Those that are balanced in the beginning; a further one waits.
    pub(super) reals: u8,
    pub(super) forward: Forward,
    /// Whether the router learns its ways by BGP.
    pub(super) bgp: bool,
    /// Whether VIPs are in etcd.
    pub(super) etcd: bool,
    /// Whether a Prometheus asks the balancers.
    pub(super) prometheus: bool,
    /// Connections that it has to have room for.
    pub(super) connections: u32,
}

impl Plan {
    /// Balancers that get packets at once: of NAT's, one alone, since answers have to come back to it.
    fn at_once(&self, of: usize) -> usize {
        if self.forward == Forward::Nat { of.min(1) } else { of }
    }
}

pub(super) struct Real {
    pub(super) name: String,
    pub(super) address: Ipv4Addr,
    node: Node,
    server: Option<Running>,
    _decap: Option<Link>,
}

pub(super) struct Balancer {
    pub(super) name: String,
    node: Node,
    /// What is run: a copy of this binary, so that it can be replaced.
    binary: PathBuf,
    process: Option<Running>,
    bird: Option<Running>,
    /// A program at the router's end of its cable.
    _far: Link,
}

/// A site. Its processes end before its namespaces do.
pub(super) struct Site {
    pub(super) plan: Plan,
    pub(super) reals: Vec<Real>,
    pub(super) balancers: Vec<Balancer>,
    pub(super) clients: Vec<Node>,
    router: Node,
    router_bird: Option<Running>,
    /// The node of etcd and Prometheus.
    pub(super) desk: Option<Node>,
    pub(super) etcd: Option<Running>,
    pub(super) prometheus: Option<Running>,
    pub(super) starter: Starter,
    pub(super) network: Network,
}

pub(super) fn wrong(message: String, why: &dyn std::fmt::Display) -> Failure {
    Diagnostic::new("lab", message, Place::Nowhere).found(why.to_string()).into()
}

pub(super) fn file(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// The BPF file system of the site.
pub(super) fn bpffs() -> PathBuf {
    file("bpf")
}

/// Makes the file systems of a lab. Before that the calling thread needs mounts of its own.
pub(super) fn folders() -> Result<(), Failure> {
    let made = || {
        mount_on("tmpfs", Path::new("/run"))?;
        fs::create_dir_all(bpffs())?;
        fs::write(file("sync.key"), "what the balancers of a lab share")?;
        mount_on("bpf", &bpffs())
    };
    made().map_err(|why| wrong("the lab's file systems cannot be mounted".into(), &why))
}

impl Site {
    pub(super) fn new(plan: Plan) -> Result<Site, Failure> {
        let mut network = Network::new();
        let router = network.node("router")?;
        network.set(router, "ipv4/fib_multipath_hash_policy", "1")?;
        let starter = Starter::new().map_err(|why| wrong("nothing can be started".into(), &why))?;
        let mut clients = Vec::new();
        for number in 1..=plan.clients {
            let node = joined(&mut network, router, &format!("client{number}"), 1, number)?;
            network.set(node, "ipv4/ip_local_port_range", "1024 65000")?;
            clients.push(node);
        }
        let mut reals = Vec::new();
        for number in 1..=plan.reals + 1 {
            let (name, address) = (format!("real{number}"), Ipv4Addr::new(10, 2, number, 2));
            let node = joined(&mut network, router, &name, 2, number)?;
            let decap = match plan.forward {
                Forward::Nat => None,
                Forward::Ip | Forward::Gue => {
                    network.address(node, "lo", &format!("{VIP}/32"))?;
                    Some(network.at(node, || decapsulates("eth0", Some(address)))??)
                }
            };
            reals.push(Real { name, address, node, server: None, _decap: decap });
        }
        let (mut balancers, mut ways) = (Vec::new(), Vec::new());
        for number in 1..=plan.balancers {
            let name = format!("lb{number}");
            let node = joined(&mut network, router, &name, 9, number)?;
            network.set(node, "ipv4/ip_local_port_range", OWN_PORTS)?;
            // What a program sends back, the other end of a pair takes only if it has a program itself (GRO is not enough:
            // nobody wakes it).
            let link = network.at(router, || decapsulates(&name, None))??;
            ways.push((name.clone(), format!("10.9.{number}.2")));
            balancers.push(Balancer { name, node, binary: file("alveary-0"), process: None, bird: None, _far: link });
        }
        let ways: Vec<(&str, Option<&str>)> =
            ways.iter().map(|(name, via)| (name.as_str(), Some(via.as_str()))).collect();
        if !plan.bgp {
            network.ways(router, &format!("{VIP}/32"), &ways[..plan.at_once(ways.len())])?;
        }
        if plan.forward == Forward::Nat {
            network.ways(router, &format!("{SOURCE}/32"), &ways[..1])?;
        }
        let desk = (plan.etcd || plan.prometheus).then(|| joined(&mut network, router, "desk", 8, 1)).transpose()?;
        let (etcd, prometheus) = (None, None);
        let mut site = Site {
            plan,
            reals,
            balancers,
            clients,
            router,
            router_bird: None,
            desk,
            etcd,
            prometheus,
            starter,
            network,
        };
        if plan.bgp {
            site.start_birds()?;
        }
        site.binary(0)?;
        for real in 0..site.reals.len() {
            site.start_server(real)?;
        }
        if plan.etcd {
            site.start_etcd()?;
        }
        if plan.prometheus {
            site.start_prometheus()?;
        }
        Ok(site)
    }

    /// A binary that was not there before, for the balancers that are started from now on.
    pub(super) fn binary(&mut self, version: u32) -> Result<(), Failure> {
        let to = file(&format!("alveary-{version}"));
        std::env::current_exe()
            .and_then(|own| fs::copy(own, &to))
            .map_err(|why| wrong("the binary cannot be copied".into(), &why))?;
        self.balancers.iter_mut().for_each(|balancer| balancer.binary.clone_from(&to));
        Ok(())
    }

    /// Where what a process says is kept.
    pub(super) fn log(name: &str) -> PathBuf {
        file(&format!("{name}.log"))
    }

    /// Starts the server of a real, and waits until it answers.
    pub(super) fn start_server(&mut self, real: usize) -> Result<(), Failure> {
        let nat = self.plan.forward == Forward::Nat;
        let real = &mut self.reals[real];
        let mut command = Command::new(file("alveary-0"));
        command.args(["lb", "lab", "--answer-as", &real.name, "--at", &real.address.to_string()]);
        if !nat {
            command.args(["--at", &VIP.to_string()]);
        }
        let namespace = self.network.namespace(real.node);
        real.server = Some(self.starter.start(&real.name, namespace, command, &Site::log(&real.name))?);
        let to = (IpAddr::from(real.address), server::TCP);
        let (network, node, name) = (&self.network, real.node, real.name.clone());
        until(&name, || network.at(node, || std::net::TcpStream::connect(to).is_ok()).unwrap_or(false))
    }

    /// Ends the server of a real, without a word to its clients.
    pub(super) fn kill_server(&mut self, real: usize) -> Result<(), Failure> {
        // A machine that dies says nothing: no connection is closed.
        self.network.plug(self.router, &format!("real{}", real + 1), false)?;
        self.reals[real].server = None;
        Ok(())
    }

    /// The configuration of the balancers, with these reals; each takes it when it looks next. With etcd it is a put: what
    /// files say is always the same then, and they are written once.
    pub(super) fn configure(&self, reals: &[usize], more: &str) -> Result<(), Failure> {
        for (number, balancer) in (1..).zip(&self.balancers) {
            let (new, path) = (file("new"), file(&format!("{}.toml", balancer.name)));
            if self.plan.etcd && path.exists() {
                continue;
            }
            let text = self.configuration(number, balancer, reals, more);
            fs::write(&new, text)
                .and_then(|()| fs::rename(&new, &path))
                .map_err(|why| wrong("a configuration cannot be written".into(), &why))?;
        }
        if self.plan.etcd { self.put(&self.services(reals, more)) } else { Ok(()) }
    }

    fn configuration(&self, number: u8, balancer: &Balancer, reals: &[usize], more: &str) -> String {
        let name = &balancer.name;
        let room = (4 * self.plan.connections).max(16_384);
        let source = match self.plan.forward {
            Forward::Nat => SOURCE,
            Forward::Ip | Forward::Gue => Ipv4Addr::new(10, 9, number, 2),
        };
        let others = (1..=self.plan.balancers).filter(|other| *other != number);
        let others: Vec<String> = others.map(|other| format!("\"10.9.{other}.2:{SYNC}\"")).collect();
        let sync = match others.join(", ") {
            none if none.is_empty() => none,
            others => format!(
                "[sync]\nlisten = \"10.9.{number}.2:{SYNC}\"\npeers = [{others}]\nkey = \"{FOLDER}/sync.key\"\n\n"
            ),
        };
        let announce = if self.plan.bgp { bgp::announce(number, name) } else { String::new() };
        let services =
            if self.plan.etcd { desk::etcd(&file(&format!("{name}-kept.toml"))) } else { self.services(reals, more) };
        format!(
            "[balancer]\nname = \"{name}\"\ndevices = [\"eth0\"]\nmode = \"native\"\nsource = \"{source}\"\nmtu = 2000\n\n\
             [api]\nsocket = \"{FOLDER}/{name}.sock\"\n\n[metrics]\naddress = \"10.9.{number}.2:9100\"\n\n\
             [limits]\nvips = 64\nreals = 256\nslots = 262144\nconnections = {room}\nconnections-per-cpu = {room}\n\n\
             {announce}{sync}{services}",
        )
    }

    /// What is balanced, which is the same for all.
    fn services(&self, reals: &[usize], more: &str) -> String {
        let forward = match self.plan.forward {
            Forward::Ip => "ip",
            Forward::Gue => "gue",
            Forward::Nat => "nat",
        };
        let reals: Vec<String> = reals
            .iter()
            .map(|real| {
                format!("{{ name = \"{}\", address = \"{}\" }}", self.reals[*real].name, self.reals[*real].address)
            })
            .collect();
        let reals = reals.join(",\n    ");
        format!(
            "[default]\nslots = 16381\nforward = \"{forward}\"\n\
             check = {{ type = \"tcp\", port = {tcp}, interval = \"1s\", timeout = \"1s\" }}\n\n\
             [[vip]]\nname = \"web\"\naddress = \"{VIP}\"\nport = {tcp}\nreal = [\n    {reals},\n]\n\n\
             [[vip]]\nname = \"datagrams\"\naddress = \"{VIP}\"\nprotocol = \"udp\"\nport = {udp}\nreal = [\n    {reals},\n]\n{more}",
            tcp = server::TCP,
            udp = server::UDP,
        )
    }

    /// Starts a balancer, and waits until it answers.
    pub(super) fn serve(&mut self, number: usize) -> Result<(), Failure> {
        let balancer = &mut self.balancers[number];
        let mut command = Command::new(&balancer.binary);
        command.args(["lb", "serve"]).arg(file(&format!("{}.toml", balancer.name))).arg("--bpffs").arg(bpffs());
        let namespace = self.network.namespace(balancer.node);
        let log = Site::log(&balancer.name);
        let running = balancer.process.insert(self.starter.start(&balancer.name, namespace, command, &log)?);
        let name = &balancer.name;
        ready(&format!("the balancer {name}"), running, &log, || status(name).is_some())
    }

    /// Waits until all of these reals, and no others, have their part of each balancer's table.
    pub(super) fn settled(&self, reals: &[usize]) -> Result<(), Failure> {
        let wanted: Vec<&str> = reals.iter().map(|real| self.reals[*real].name.as_str()).collect();
        for balancer in self.balancers.iter().filter(|balancer| balancer.process.is_some()) {
            until(&format!("{} with {}", balancer.name, wanted.join(", ")), || {
                let Some(status) = status(&balancer.name) else { return false };
                let has = |vip: usize| {
                    let all = status["vips"][vip]["reals"].as_array().cloned().unwrap_or_default();
                    let has = all.iter().filter(|real| real["slots"] != 0).filter_map(|real| real["name"].as_str());
                    has.eq(wanted.iter().copied())
                };
                // Each VIP has checks of its own, that of the datagrams, too.
                has(0) && has(1) && status["sync"]["complete"] != false
            })?;
        }
        Ok(())
    }

    /// The balancer's process is killed: its program stays where it is.
    pub(super) fn kill(&mut self, number: usize) {
        self.balancers[number].process = None;
    }

    /// The balancer's process is told to end, or to read its configuration again.
    pub(super) fn tell(&mut self, number: usize, signal: Signal) {
        if let Some(process) = &mut self.balancers[number].process {
            process.signal(signal);
            if signal == Signal::TERM {
                process.wait();
            }
        }
    }

    /// A balancer as a machine: it goes without a word, with all that it knows.
    pub(super) fn halt(&mut self, number: usize) -> Result<(), Failure> {
        let name = self.balancers[number].name.clone();
        if self.plan.bgp {
            // It hangs: its cable is in, and no connection is closed. The router learns that from BFD.
            if let Some(bird) = &mut self.balancers[number].bird {
                bird.signal(Signal::STOP);
            }
        } else {
            self.network.plug(self.router, &name, false)?;
            self.ways_without(number)?;
        }
        self.kill(number);
        instance::stop(&bpffs(), &name).map_err(|why| all(vec![why]))?;
        if self.plan.bgp {
            self.learned(&[number], false)?;
            self.balancers[number].bird = None;
            // It is below /run, which a machine that begins anew has empty.
            fs::remove_file(bgp::routes(&name))
                .map_err(|why| wrong(format!("the routes of {name} cannot be removed"), &why))?;
        }
        Ok(())
    }

    /// A balancer is stopped in order: routes to it are taken back before.
    pub(super) fn stop(&mut self, number: usize) -> Result<(), Failure> {
        let balancer = &self.balancers[number];
        let mut command = Command::new(&balancer.binary);
        command.args(["lb", "stop", &balancer.name, "--bpffs"]).arg(bpffs());
        let (name, namespace) = (balancer.name.clone(), self.network.namespace(balancer.node));
        let log = Site::log(&format!("{name}-stop"));
        self.starter.start(&name, namespace, command, &log)?.wait();
        if bpffs().join("alveary-lb").join(&name).exists() {
            let said = fs::read_to_string(log).unwrap_or_default();
            return Err(wrong(format!("{name} cannot be stopped"), &said.trim_end()));
        }
        self.kill(number);
        Ok(())
    }

    /// That machine begins anew: packets come when it is ready.
    pub(super) fn boot(&mut self, number: usize, reals: &[usize]) -> Result<(), Failure> {
        if self.plan.bgp {
            if self.balancers[number].bird.is_none() {
                self.start_bird(number)?;
            }
            self.serve(number)?;
            self.settled(reals)?;
            return self.learned(&[number], true);
        }
        // Its checks need the cable before packets to the VIP do.
        self.ways_without(number)?;
        let name = self.balancers[number].name.clone();
        self.network.plug(self.router, &name, true)?;
        self.serve(number)?;
        self.settled(reals)?;
        self.all_ways()
    }

    fn way(number: usize) -> (String, String) {
        (format!("lb{}", number + 1), format!("10.9.{}.2", number + 1))
    }

    fn set_ways(&self, numbers: impl Iterator<Item = usize>) -> Result<(), Failure> {
        let mut ways: Vec<_> = numbers.map(Site::way).collect();
        ways.truncate(self.plan.at_once(ways.len()));
        let ways: Vec<(&str, Option<&str>)> =
            ways.iter().map(|(name, via)| (name.as_str(), Some(via.as_str()))).collect();
        if self.plan.forward == Forward::Nat {
            self.network.ways_instead(self.router, &format!("{SOURCE}/32"), &ways)?;
        }
        Ok(self.network.ways_instead(self.router, &format!("{VIP}/32"), &ways)?)
    }

    fn ways_without(&self, number: usize) -> Result<(), Failure> {
        self.set_ways((0..self.balancers.len()).filter(|other| *other != number))
    }

    fn all_ways(&self) -> Result<(), Failure> {
        self.set_ways(0..self.balancers.len())
    }

    /// Starts BIRD at the router and at the balancers.
    fn start_birds(&mut self) -> Result<(), Failure> {
        let text = bgp::router(self.plan.balancers);
        self.router_bird = Some(self.bird("router", self.router, &text)?);
        (0..self.balancers.len()).try_for_each(|number| self.start_bird(number))
    }

    fn start_bird(&mut self, number: usize) -> Result<(), Failure> {
        let (name, node) = (self.balancers[number].name.clone(), self.balancers[number].node);
        let bird = self.bird(&name, node, &bgp::balancer(number as u8 + 1, &name))?;
        self.balancers[number].bird = Some(bird);
        Ok(())
    }

    fn bird(&self, name: &str, node: Node, text: &str) -> Result<Running, Failure> {
        let (path, socket) = (file(&format!("{name}-bird.conf")), bgp::socket(name));
        fs::write(&path, text).map_err(|why| wrong("BIRD's configuration cannot be written".into(), &why))?;
        // One that was killed has left it.
        let _ = fs::remove_file(&socket);
        let mut command = Command::new("bird");
        command.arg("-f").arg("-c").arg(path).arg("-s").arg(&socket).arg("-P").arg(file(&format!("{name}-bird.pid")));
        let log = Site::log(&format!("{name}-bird"));
        let mut bird = self.starter.start("bird", self.network.namespace(node), command, &log)?;
        let answers = || alveary_lb::bird::ask(&socket, "show status").is_ok();
        ready(&format!("the BIRD of {name}"), &mut bird, &log, answers)?;
        Ok(bird)
    }

    /// Waits until the router has ways to the VIP by these balancers, or has none by them.
    pub(super) fn learned(&self, numbers: &[usize], are: bool) -> Result<(), Failure> {
        if !self.plan.bgp {
            return Ok(());
        }
        let what = if are { "the router learns its ways" } else { "the router forgets a way" };
        until(what, || {
            let (_, said) =
                alveary_lb::bird::ask(&bgp::socket("router"), &format!("show route for {VIP}/32")).unwrap_or_default();
            numbers.iter().all(|number| said.contains(&format!("via 10.9.{}.2 ", number + 1)) == are)
        })
    }

    /// The process of a balancer, if it has one.
    pub(super) fn process(&self, number: usize) -> Option<u32> {
        self.balancers[number].process.as_ref().map(Running::id)
    }
}

/// Adds a node `10.NET.NUMBER.2` with an Ethernet pair to the router.
fn joined(network: &mut Network, router: Node, name: &str, net: u8, number: u8) -> Result<Node, Failure> {
    let node = network.node(name)?;
    network.pair([(router, name), (node, "eth0")])?;
    for (node, device, host) in [(router, name, 1), (node, "eth0", 2)] {
        network.address(node, device, &format!("10.{net}.{number}.{host}/24"))?;
        // There is no wire that would reckon them, and the balancer looks at packets as from one.
        network.offload(node, device, Offload::TxChecksum, false)?;
    }
    if net != 9 {
        network.longest(node, "eth0", PACKET)?;
    }
    network.route(node, "0.0.0.0/0", "eth0", Some(&format!("10.{net}.{number}.1")))?;
    Ok(node)
}

/// A device of the calling thread's node takes tunnels off that end at this address; all else passes.
fn decapsulates(device: &str, address: Option<Ipv4Addr>) -> Result<Link, Failure> {
    let object = Object::parse(&DECAP)?;
    let loaded = Loader::new(Linux::builder().without_pins().build()).load(&object)?;
    if let Some(address) = address {
        let mut key = address.octets().to_vec();
        key.resize(16, 0);
        loaded.map("ends")?.update(&key, &[0; 4], 0)?;
    }
    Ok(loaded
        .attach_to("decap", &Hook::Xdp { device: Device::named(device)?, mode: XdpMode::Native, replace: false })?)
}

/// What a balancer says of itself, if it answers.
pub(super) fn status(name: &str) -> Option<Value> {
    let mut stream = UnixStream::connect(file(&format!("{name}.sock"))).ok()?;
    let (status, body) = ask(&mut stream, "GET", "/v1/status", &[]).ok()?;
    (status == 200).then(|| serde_json::from_slice(&body).ok())?
}

/// Waits until a process is as it has to be. One that ends before has said why.
pub(super) fn ready(
    who: &str,
    process: &mut Running,
    log: &Path,
    mut is_so: impl FnMut() -> bool,
) -> Result<(), Failure> {
    until(&format!("{who} answers"), || process.ended() || is_so())?;
    if process.ended() {
        let said = fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        return Err(wrong(format!("{who} ends"), &lines[lines.len().saturating_sub(SAID)..].join("\n")));
    }
    Ok(())
}

/// Looks again and again until something is so.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Result<(), Failure> {
    let begun = Instant::now();
    while !is_so() {
        if begun.elapsed() > PATIENCE {
            return Err(wrong(
                format!("{what}: that does not come"),
                &format!("nothing within {} s", PATIENCE.as_secs()),
            ));
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}
