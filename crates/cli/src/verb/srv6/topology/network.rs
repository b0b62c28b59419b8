//! Several routers, hosts and the links between, as a file describes them, made a network in virtual time.

use super::{
    super::topology,
    Mac, Text, Topology, keys,
    programs::{self, Ready},
    target,
    units::{Rate, Share, Time},
};
use crate::{failure::Failure, kernel::KernelOptions};
use alveary::{
    UserMap,
    net::{
        network::{self, Network, Node, Port},
        router::{Programs, Router},
    },
};
use alveary_diag::{Diagnostic, Place};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
    path::Path,
    sync::Arc,
};
use toml::Spanned;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Described {
    /// What links lose is drawn from it.
    #[serde(default)]
    seed: u64,
    router: Vec<Spanned<Topology>>,
    #[serde(default)]
    host: Vec<Spanned<Host>>,
    #[serde(default)]
    link: Vec<Spanned<Link>>,
}

/// An end of the network.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Host {
    name: Spanned<String>,
    /// By which it asks, and answers to echo requests, in `discover`.
    #[serde(default)]
    address: Option<Ipv6Addr>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    /// `ROUTER:INTERFACE` or `HOST`, twice.
    ends: [Spanned<String>; 2],
    #[serde(default)]
    rate: Option<Rate>,
    #[serde(default)]
    delay: Time,
    #[serde(default)]
    loss: Share,
    #[serde(default)]
    queue: Option<usize>,
    /// What it is from the second end to the first, if it is not the same.
    #[serde(default)]
    back: Option<Way>,
}

/// A link one way.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Way {
    #[serde(default)]
    rate: Option<Rate>,
    #[serde(default)]
    delay: Time,
    #[serde(default)]
    loss: Share,
    #[serde(default)]
    queue: Option<usize>,
}

/// The network, and what its parts are called.
pub(in super::super) struct Built {
    pub(in super::super) network: Network,
    pub(in super::super) nodes: Vec<Named>,
    /// The links: from where, to where.
    pub(in super::super) links: Vec<(Port, Port)>,
}

/// A router or a host.
pub(in super::super) struct Named {
    pub(in super::super) node: Node,
    pub(in super::super) name: String,
    /// A router's interfaces, the first is number 1; a host has one, which has no name.
    pub(in super::super) interfaces: Vec<String>,
    /// A host's, if it is told.
    pub(in super::super) address: Option<Ipv6Addr>,
    /// What is known to a router.
    pub(in super::super) router: Option<Arc<Router>>,
    /// Ethernet addresses of next hops.
    pub(in super::super) neighbours: BTreeMap<IpAddr, Mac>,
    /// A router's, with their maps.
    programs: Option<Ready>,
}

impl Described {
    /// Makes the network; `file` is where it is described.
    pub(in super::super) fn build(&self, text: &Text, file: &Path, kernel: &KernelOptions) -> Result<Built, Failure> {
        let mut built = Built { network: Network::new(self.seed), nodes: Vec::new(), links: Vec::new() };
        let mut names = BTreeSet::new();
        for described in &self.router {
            let at = text.first_line(described.span());
            let described = described.get_ref();
            let Some(name) = &described.name else {
                return Err(topology::wrong("the router lacks a name", at).expected("`name`").into());
            };
            free_name(name, text, &mut names)?;
            let keys = keys::read(text, described, file)?;
            let (router, wanted) = target::router(text, described, keys)?;
            let router = Arc::new(router);
            let ready = match &wanted[..] {
                [] => None,
                wanted => Some(programs::load(wanted, &router, kernel, file)?),
            };
            built.add_router(name.get_ref(), described, router, ready)?;
        }
        for host in &self.host {
            let Host { name, address } = host.get_ref();
            free_name(name, text, &mut names)?;
            built.nodes.push(Named {
                node: built.network.host(),
                name: name.get_ref().clone(),
                interfaces: Vec::new(),
                address: *address,
                router: None,
                neighbours: BTreeMap::new(),
                programs: None,
            });
        }
        for link in &self.link {
            built.add_link(link.get_ref(), text)?;
        }
        Ok(built)
    }
}

impl Named {
    /// The maps of that name of its programs.
    pub(in super::super) fn maps(&self, name: &str) -> Vec<&UserMap> {
        self.programs.iter().flat_map(|programs| programs.maps(name)).collect()
    }
}

impl Built {
    fn add_router(
        &mut self,
        name: &str,
        described: &Topology,
        router: Arc<Router>,
        ready: Option<Ready>,
    ) -> Result<(), Failure> {
        let programs = ready.as_ref().map_or_else(|| Ok(Programs::none()), Ready::programs)?;
        let node = self.network.router(router.clone(), programs);
        for (device, interface) in (1..).zip(&described.interface) {
            if let Some(mac) = interface.get_ref().mac {
                self.network.set_mac(node.port(device), mac.0);
            }
        }
        self.nodes.push(Named {
            node,
            name: name.to_owned(),
            interfaces: described.interface.iter().map(|interface| interface.get_ref().name.clone()).collect(),
            address: None,
            router: Some(router),
            neighbours: described.neighbour.clone(),
            programs: ready,
        });
        Ok(())
    }

    fn add_link(&mut self, link: &Link, text: &Text) -> Result<(), Diagnostic> {
        let mut ports = Vec::new();
        for end in &link.ends {
            let at = || text.at(end.span());
            let port = self.port(end.get_ref()).map_err(|why| at_place(why, &at()))?;
            if self.network.counts(port).is_some() || ports.contains(&port) {
                return Err(topology::wrong(format!("{} has two links", end.get_ref()), at()));
            }
            ports.push(port);
        }
        let way = |rate: Option<Rate>, delay: Time, loss: Share, queue: Option<usize>| {
            let usual = network::Link::default();
            network::Link {
                rate: rate.map(|rate| rate.0),
                delay: delay.0,
                loss: loss.0,
                queue: queue.unwrap_or(usual.queue),
            }
        };
        let there = way(link.rate, link.delay, link.loss, link.queue);
        let back = link.back.as_ref().map_or(there, |back| way(back.rate, back.delay, back.loss, back.queue));
        for (from, to, link) in [(ports[0], ports[1], there), (ports[1], ports[0], back)] {
            self.network.one_way(from, to, link);
            self.links.push((from, to));
        }
        Ok(())
    }

    /// The interface that `ROUTER:INTERFACE` or `HOST` means.
    pub(in super::super) fn port(&self, said: &str) -> Result<Port, Diagnostic> {
        let (name, interface) = said.split_once(':').map_or((said, None), |(name, rest)| (name, Some(rest)));
        let wrong = |message: String| topology::wrong(message, Place::Nowhere);
        let named = self.nodes.iter().find(|named| named.name == name).ok_or_else(|| {
            let known: Vec<_> = self.nodes.iter().map(|named| &*named.name).collect();
            wrong(format!("there is no router or host `{name}`")).expected(format!("one of {}", known.join(", ")))
        })?;
        if named.interfaces.is_empty() && interface.is_none() {
            return Ok(named.node.port(1));
        }
        let found = (1..).zip(&named.interfaces).find(|(_, known)| Some(&***known) == interface);
        found.map(|(device, _)| named.node.port(device)).ok_or_else(|| {
            let known: Vec<_> = named.interfaces.iter().map(|known| format!("{name}:{known}")).collect();
            let expected = if known.is_empty() { name.to_owned() } else { format!("one of {}", known.join(", ")) };
            wrong(format!("there is no interface `{said}`")).expected(expected)
        })
    }

    /// The first interface of a router that has no link, or else the first host.
    pub(in super::super) fn open_port(&self) -> Result<Port, Diagnostic> {
        let ports = |named: &Named| (1..=named.interfaces.len() as u32).map(|device| named.node.port(device)).collect();
        let open = self.nodes.iter().flat_map(|named| -> Vec<Port> { ports(named) });
        let host = self.nodes.iter().find(|named| named.interfaces.is_empty()).map(|named| named.node.port(1));
        open.into_iter().find(|port| self.network.counts(*port).is_none()).or(host).ok_or_else(|| {
            topology::wrong("every interface has a link, and there is no host", Place::Nowhere)
                .help("say where packets come in: `--in ROUTER:IF`")
        })
    }

    /// A node with what it is called.
    pub(in super::super) fn named(&self, node: Node) -> Option<&Named> {
        self.nodes.iter().find(|named| named.node == node)
    }

    /// What a node is called.
    pub(in super::super) fn name(&self, node: Node) -> &str {
        self.named(node).map_or("", |named| &named.name)
    }

    /// What an interface is called: `ROUTER:INTERFACE` or `HOST`.
    pub(in super::super) fn port_name(&self, port: Port) -> String {
        let name = self.name(port.node);
        let interfaces = self.named(port.node).map_or(&[][..], |named| &named.interfaces);
        let interface = (port.device as usize).checked_sub(1).and_then(|at| interfaces.get(at));
        interface.map_or_else(|| name.to_owned(), |interface| format!("{name}:{interface}"))
    }
}

/// A name that nobody has yet, and that a file may have.
fn free_name(name: &Spanned<String>, text: &Text, names: &mut BTreeSet<String>) -> Result<(), Diagnostic> {
    let said = name.get_ref();
    let what = if !names.insert(said.clone()) {
        "two routers or hosts have this name"
    } else if said.is_empty() || said.starts_with('.') || said.contains(['/', '\0', ':']) {
        "no file can have this name"
    } else {
        return Ok(());
    };
    Err(topology::wrong(what, text.at(name.span())).found(format!("`{said}`")))
}

fn at_place(mut why: Diagnostic, at: &Place) -> Diagnostic {
    why.labels.iter_mut().filter(|label| label.primary).for_each(|label| label.at = at.clone());
    why
}
