//! The network of the hybrid lab, and what its two ends are told.

use crate::{
    failure::Failure,
    verb::srv6::{hybrid::Config, topology::Text},
};
use alveary::net::network;
use alveary_lab::{Network, Node, Shape};
use std::time::Duration;

/// Bytes of hosts' packets: with headers around them they pass all links.
const PACKET: u32 = 1500;

pub(super) const CLIENT: &str = "2001:db8:a::1";
pub(super) const SERVER: &str = "2001:db8:b::1";
/// What each link is and does.
pub(super) const LINKS: [Slow; 2] =
    [Slow { name: "dsl", megabits: 30, milliseconds: 5 }, Slow { name: "lte", megabits: 20, milliseconds: 25 }];

/// A link.
#[derive(Clone, Copy)]
pub(super) struct Slow {
    pub(super) name: &'static str,
    pub(super) megabits: u32,
    /// One way.
    pub(super) milliseconds: u64,
}

impl Slow {
    /// The same in virtual time.
    pub(super) fn in_virtual_time(&self) -> network::Link {
        network::Link {
            rate: Some(u64::from(self.megabits) * 1_000_000),
            delay: self.milliseconds * 1_000_000,
            ..network::Link::default()
        }
    }
}

/// The network: its hosts, and the two ends of its links.
pub(super) struct Built {
    pub(super) network: Network,
    pub(super) client: Node,
    pub(super) server: Node,
    /// Home, office.
    pub(super) ends: [Node; 2],
    /// The numbers of [`LINKS`]; home is their first end.
    pub(super) links: [usize; 2],
}

impl Built {
    pub(super) fn new() -> Result<Built, Failure> {
        let mut network = Network::new();
        let mut node = |name| network.node(name);
        let (client, home, office, server) = (node("client")?, node("home")?, node("office")?, node("server")?);
        network.link([(client, "home"), (home, "client")], Shape::default())?;
        network.link([(office, "server"), (server, "office")], Shape::default())?;
        let between = LINKS.map(|link| {
            let shape = Shape {
                rate: Some(u64::from(link.megabits) * 1_000_000),
                delay: Duration::from_millis(link.milliseconds),
                ..Shape::default()
            };
            ([(home, link.name), (office, link.name)], shape)
        });
        let first = network.links(&between)?;
        let links = [first, first + 1];
        network.longest(client, "home", PACKET)?;
        network.longest(server, "office", PACKET)?;
        network.address(client, "home", CLIENT)?;
        network.address(server, "office", SERVER)?;
        network.address(home, "client", "fc00:1::1")?;
        network.address(office, "server", "fc00:2::1")?;
        for (node, to, device) in [
            (client, "::/0", "home"),
            (server, "::/0", "office"),
            (home, "2001:db8:a::/48", "client"),
            (office, "2001:db8:b::/48", "server"),
            // Links' segments of the other end, by the link.
            (home, "fc00:2:1::/48", "dsl"),
            (home, "fc00:2:2::/48", "lte"),
            (office, "fc00:1:1::/48", "dsl"),
            (office, "fc00:1:2::/48", "lte"),
        ] {
            network.route(node, to, device, None)?;
        }
        Ok(Built { network, client, server, ends: [home, office], links })
    }

    /// The configuration of an end (0, 1) that uses these links.
    pub(super) fn config(end: usize, links: &[usize]) -> Result<Config, Failure> {
        let (here, there, to) = if end == 0 { (1, 2, "2001:db8:b::/48") } else { (2, 1, "2001:db8:a::/48") };
        let mut text = format!("to = \"{to}\"\nsource = \"fc00:{here}::1\"\nprobes = 50\n");
        for number in links {
            let (Slow { name, megabits, .. }, number) = (&LINKS[*number], number + 1);
            text += &format!(
                "\n[[link]]\nname = \"{name}\"\ndev = \"{name}\"\nweight = {megabits}\n\
                 segments = [\"fc00:{there}:{number}::6\"]\nfar-monitor = \"fc00:{there}:{number}::d\"\n\
                 monitor = \"fc00:{here}:{number}::d\"\ndecapsulate = \"fc00:{here}:{number}::6\"\n"
            );
        }
        Config::read(&Text::new("the lab's", &text))
    }
}
