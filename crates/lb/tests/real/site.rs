//! A client, a router, a balancer and two reals, each in a network namespace of its own.

use alveary_lab::{Network, Node, Shape};
use alveary_lb::{
    config::Config,
    instance::{Here, Instance},
    wanted::{Standing, wanted},
    wire,
};
use alveary_testing::BpfFs;
use std::{fs, net::UdpSocket};

/// Ports of the VIPs: by connection ids, by what datagrams begin with, by neither; and a web site.
pub(crate) const QUIC: u16 = 443;
pub(crate) const STABLE: u16 = 444;
pub(crate) const PLAIN: u16 = 445;
pub(crate) const WEB: u16 = 80;

pub(crate) struct Site {
    pub(crate) network: Network,
    pub(crate) client: Node,
    pub(crate) balancer: Node,
    pub(crate) reals: [Node; 2],
    bpffs: BpfFs,
    pub(crate) config: Config,
}

impl Site {
    pub(crate) fn new(test: &str) -> Option<Site> {
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
        let mut text = "[balancer]\nname = \"moves\"\ndevices = [\"eth0\"]\nmode = \"generic\"\nsource = \"10.0.9.2\"\n\
                        [limits]\nvips = 16\nreals = 16\nslots = 20000\nconnections = 10000\nconnections-per-cpu = 4096\n\
                        [default]\nslots = 1009\nforward = \"nat\"\n"
            .to_owned();
        for (port, how) in [(QUIC, "quic = \"katran\""), (STABLE, "udp-id = true"), (PLAIN, "")] {
            let id = |id: u32| if how.is_empty() { String::new() } else { format!(", id = {id}") };
            text += &format!(
                "[[vip]]\naddress = \"192.0.2.1\"\nport = {port}\nprotocol = \"udp\"\n{how}\n\
                 real = [{{ address = \"10.0.1.2\"{} }}, {{ address = \"10.0.2.2\"{} }}]\n",
                id(1),
                id(2)
            );
        }
        text += &format!(
            "[[vip]]\naddress = \"192.0.2.1\"\nport = {WEB}\ncheck = {{ type = \"http\", host = \"web.example\", status = [200] }}\n\
             real = [{{ address = \"10.0.1.2\" }}, {{ address = \"10.0.2.2\" }}]\n"
        );
        let config = Config::read("lb.toml", &text).unwrap_or_else(|faults| panic!("{faults:#?}"));
        let site = Site { network, client, balancer, reals, bpffs, config };
        site.stand(&|_, _| Standing::WELL);
        Some(site)
    }

    /// The reals are so from now on, by VIP and number.
    pub(crate) fn stand(&self, standing: &(dyn Fn(usize, usize) -> Standing + Sync)) {
        self.instance(|instance| {
            let wanted = wanted(&self.config, standing, &Here);
            instance.store.apply(&wanted).expect("it fits");
            instance.attach(&self.config).expect("it is attached");
        });
    }

    /// Something with the balancer, whose maps and links are pinned in between.
    fn instance<T: Send>(&self, with: impl FnOnce(&mut Instance) -> T + Send) -> T {
        let object = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/lb.bpf.o")).expect("the object");
        let work = || {
            let opened = Instance::open(&self.config, &object, &self.bpffs.path);
            with(&mut opened.unwrap_or_else(|why| panic!("{why:?}")))
        };
        self.network.at(self.balancer, work).expect("the namespace")
    }

    /// How often something was counted.
    pub(crate) fn event(&self, name: &str) -> u64 {
        let place = wire::EVENTS.iter().position(|(event, _)| *event == name).expect("there is such an event");
        self.instance(|instance| instance.store.events().expect("counters")[place])
    }

    pub(crate) fn socket(&self, node: Node, address: &str) -> UdpSocket {
        let bind = || UdpSocket::bind(address).unwrap_or_else(|why| panic!("{address}: {why}"));
        self.network.at(node, bind).expect("the namespace")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        fs::remove_dir_all(self.bpffs.path.join("alveary-lb")).ok();
    }
}
