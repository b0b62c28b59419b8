//! Nodes, and what is between them.

use crate::{carrier::Link, shape::Shape};
use alveary_diag::{Diagnostic, Place};
use alveary_linux::{
    Namespace, Offload, Tun,
    netlink::{
        self, Refusal,
        srv6::{Encap, Existing, Found, Next, RouteKey, SteeredRoute, ways_to},
    },
};
use rustix::net::{AddressFamily, SocketType, netdevice::name_to_index, socket};
use std::{
    fs, io,
    net::IpAddr,
    os::fd::{AsFd, AsRawFd},
    thread,
    time::Duration,
};

/// The table of routes that people fill.
const MAIN: u32 = 254;
/// Packets of this length pass links and pairs: those of 1500 bytes with headers around them.
const MTU: u32 = 2000;

/// How nodes are set: they forward, take segment routing headers, say nothing unasked, and to senders all that there is to
/// say. What a kernel does not have may be missing. A device's own `forwarding` only has it join the group of all routers,
/// and report that: it stays off.
const SETTINGS: [(&str, &str); 14] = [
    ("ipv6/conf/all/forwarding", "1"),
    ("ipv6/conf/default/forwarding", "0"),
    ("ipv4/ip_forward", "1"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    ("ipv6/conf/all/seg6_enabled", "1"),
    ("ipv6/conf/default/seg6_enabled", "1"),
    ("ipv6/conf/default/addr_gen_mode", "1"),
    ("ipv6/conf/default/router_solicitations", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/auto_flowlabels", "0"),
    ("ipv6/icmp/ratelimit", "0"),
    ("ipv4/icmp_msgs_per_sec", "1000000"),
    ("ipv4/icmp_msgs_burst", "1000000"),
];

/// A node of a network: its number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node(usize);

/// Nodes and links, taken down when this value is dropped.
#[derive(Debug, Default)]
pub struct Network {
    /// Before the namespaces: links keep devices in them.
    links: Vec<Link>,
    nodes: Vec<(String, Namespace)>,
}

impl Network {
    /// Without nodes.
    #[must_use]
    pub fn new() -> Network {
        Network::default()
    }

    /// Adds a node: it has a loopback device and forwards what comes.
    ///
    /// # Errors
    /// Without the privilege; what else the system says.
    pub fn node(&mut self, name: &str) -> Result<Node, Diagnostic> {
        let namespace = Namespace::new().map_err(|why| {
            let said = wrong(format!("the network namespace `{name}` cannot be made"), &why);
            if why.kind() == io::ErrorKind::PermissionDenied {
                return said.expected("CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_BPF").help("run it as root: sudo");
            }
            said
        })?;
        self.nodes.push((name.to_owned(), namespace));
        let node = Node(self.nodes.len() - 1);
        self.at(node, || {
            for (key, value) in SETTINGS {
                let path = format!("/proc/sys/net/{key}");
                fs::write(&path, value)
                    .or_else(|why| if why.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(why) })
                    .map_err(|why| wrong(format!("{path} cannot be set"), &why))?;
            }
            up("lo", None)
        })??;
        Ok(node)
    }

    /// Adds a link between two nodes, as a device without link layer at each. Its number is told.
    ///
    /// # Errors
    /// The system's.
    pub fn link(&mut self, ends: [(Node, &str); 2], shape: Shape) -> Result<usize, Diagnostic> {
        self.links(&[(ends, shape)])?;
        Ok(self.links.len() - 1)
    }

    /// Adds links between nodes that one thread carries: when the machine is busy they are late together, and packets of one
    /// do not overtake those of another by that. They have the numbers from the one that is told on.
    ///
    /// # Errors
    /// The system's.
    pub fn links(&mut self, links: &[([(Node, &str); 2], Shape)]) -> Result<usize, Diagnostic> {
        let make = |(node, name): (Node, &str)| {
            self.at(node, || {
                let tun = Tun::new(name).map_err(|why| wrong(format!("the device `{name}` cannot be made"), &why))?;
                up(name, Some(MTU)).map(|()| tun)
            })?
        };
        let made = links.iter().map(|(ends, shape)| Ok(([make(ends[0])?, make(ends[1])?], *shape)));
        let carried = Link::carry(made.collect::<Result<_, Diagnostic>>()?);
        let first = self.links.len();
        self.links.extend(carried.map_err(|why| wrong("a link cannot carry packets".into(), &why))?);
        Ok(first)
    }

    /// Adds a pair of Ethernet devices between two nodes: the kernel's own, as fast as it is. Their addresses on the link
    /// are fe80::1 and fe80::2, by which a node asks for its neighbours.
    ///
    /// # Errors
    /// The system's.
    pub fn pair(&mut self, ends: [(Node, &str); 2]) -> Result<(), Diagnostic> {
        let [(here, name), (there, other)] = ends;
        let fd = self.nodes[there.0].1.as_fd();
        self.at(here, || {
            netlink::add_veth(name, other, fd).map_err(|why| refused(format!("the pair `{name}` cannot be made"), &why))
        })??;
        let local = ["fe80::1/64", "fe80::2/64"];
        ends.into_iter().zip(local).try_for_each(|((node, name), local)| {
            self.at(node, || up(name, Some(MTU)))??;
            self.address(node, name, local)
        })
    }

    /// A link by its number.
    ///
    /// # Panics
    /// If there is none of that number.
    #[must_use]
    pub fn carrier(&self, link: usize) -> &Link {
        &self.links[link]
    }

    /// Gives a device of a node an address, `ADDRESS/BITS`.
    ///
    /// # Errors
    /// The system's, and what is wrong with the text.
    pub fn address(&self, node: Node, device: &str, address: &str) -> Result<(), Diagnostic> {
        let (ip, bits) = prefix(address)?;
        self.at(node, || {
            netlink::add_address(index(device)?, ip, bits)
                .map_err(|why| refused(format!("`{device}` cannot have the address {address}"), &why))?;
            settled(ip)
        })?
    }

    /// Has a device of a node send packets of at most so many bytes.
    ///
    /// # Errors
    /// The system's.
    pub fn longest(&self, node: Node, device: &str, bytes: u32) -> Result<(), Diagnostic> {
        self.at(node, || up(device, Some(bytes)))?
    }

    /// Pulls the cable of a device of a node, or plugs it in: it is taken down, or up.
    ///
    /// # Errors
    /// The system's.
    pub fn plug(&self, node: Node, device: &str, up: bool) -> Result<(), Diagnostic> {
        self.at(node, || set(device, up, None))?
    }

    /// Turns something on or off that a device of a node does for the stack.
    ///
    /// # Errors
    /// The system's; what the device cannot do.
    pub fn offload(&self, node: Node, device: &str, what: Offload, on: bool) -> Result<(), Diagnostic> {
        self.at(node, || alveary_linux::set_offload(device, what, on))?
            .map_err(|why| wrong(format!("`{device}` cannot be set to {what:?}: {on}"), &why))
    }

    /// Sets something of a node's below `/proc/sys/net`.
    ///
    /// # Errors
    /// The system's.
    pub fn set(&self, node: Node, key: &str, value: &str) -> Result<(), Diagnostic> {
        let path = format!("/proc/sys/net/{key}");
        self.at(node, || fs::write(&path, value))?.map_err(|why| wrong(format!("{path} cannot be set"), &why))
    }

    /// Adds a route of a node: to `ADDRESS/BITS`, by a device, to a next hop there if it has one.
    ///
    /// # Errors
    /// The system's, and what is wrong with the text.
    pub fn route(&self, node: Node, to: &str, device: &str, via: Option<&str>) -> Result<(), Diagnostic> {
        self.ways(node, to, &[(device, via)])
    }

    /// Gives the two ends of a link or pair the addresses `.1` and `.2` of a network, which is named by its first three numbers;
    /// the second one goes everywhere by the first.
    ///
    /// # Errors
    /// The system's, and what is wrong with the text.
    pub fn leaf(&self, [(hub, down), (leaf, up)]: [(Node, &str); 2], network: &str) -> Result<(), Diagnostic> {
        self.address(hub, down, &format!("{network}.1/24"))?;
        self.address(leaf, up, &format!("{network}.2/24"))?;
        self.route(leaf, "0.0.0.0/0", up, Some(&format!("{network}.1")))
    }

    /// Adds a route of a node that has several ways, each flow one of them.
    ///
    /// # Errors
    /// The system's, and what is wrong with the text.
    pub fn ways(&self, node: Node, to: &str, ways: &[(&str, Option<&str>)]) -> Result<(), Diagnostic> {
        self.at(node, || add(to, nexts(ways)?, Existing::Kept))?
    }

    /// The same in place of the route that is there.
    ///
    /// # Errors
    /// The system's, and what is wrong with the text.
    pub fn ways_instead(&self, node: Node, to: &str, ways: &[(&str, Option<&str>)]) -> Result<(), Diagnostic> {
        self.at(node, || add(to, nexts(ways)?, Existing::Replaced))?
    }

    /// Adds a route of a node that does something with segments.
    ///
    /// # Errors
    /// The system's, and what is wrong with the text.
    pub fn steer(&self, node: Node, to: &str, device: &str, encap: Encap) -> Result<(), Diagnostic> {
        self.at(node, || {
            add(to, vec![Next { device: index(device)?, gateway: None, encap: Some(encap), weight: 0 }], Existing::Kept)
        })?
    }

    /// Does something at a node, in a thread that ends with it.
    ///
    /// # Errors
    /// The system's, if there cannot be such a thread.
    pub fn at<T: Send>(&self, node: Node, work: impl FnOnce() -> T + Send) -> Result<T, Diagnostic> {
        let (name, namespace) = &self.nodes[node.0];
        namespace.run(work).map_err(|why| wrong(format!("the network namespace `{name}` cannot be entered"), &why))
    }

    /// The namespace of a node, for threads that stay in it.
    ///
    /// # Panics
    /// If the node is of another network.
    #[must_use]
    pub fn namespace(&self, node: Node) -> &Namespace {
        &self.nodes[node.0].1
    }

    /// Each node by name, with the command that enters it, from another terminal, while this process lives.
    #[must_use]
    pub fn entrances(&self) -> Vec<(String, String)> {
        let command = |namespace: &Namespace| {
            format!("nsenter --net=/proc/{}/fd/{}", std::process::id(), namespace.as_fd().as_raw_fd())
        };
        self.nodes.iter().map(|(name, namespace)| (name.clone(), command(namespace))).collect()
    }
}

/// Waits until an address is there: the kernel has its route made by work of its own, and tells senders before that nobody
/// is there.
fn settled(ip: IpAddr) -> Result<(), Diagnostic> {
    const LOOKS: u32 = 5000;
    const PAUSE: Duration = Duration::from_millis(1);
    // Without a device link-local ones are not asked for.
    if matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()) {
        return Ok(());
    }
    for _ in 0..LOOKS {
        if matches!(ways_to(ip), Ok(Found::Here)) {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    Err(Diagnostic::new("lab", format!("the address {ip} does not come into use"), Place::Nowhere))
}

/// The number of a device of the calling thread's namespace.
fn index(name: &str) -> Result<u32, Diagnostic> {
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None);
    any.and_then(|any| name_to_index(any, name))
        .map_err(|why| wrong(format!("there is no device `{name}`"), &why.into()))
}

fn set(name: &str, up: bool, mtu: Option<u32>) -> Result<(), Diagnostic> {
    let how = if up { "up" } else { "down" };
    netlink::set_device(index(name)?, up, mtu)
        .map_err(|why| refused(format!("the device `{name}` cannot be taken {how}"), &why))
}

fn up(name: &str, mtu: Option<u32>) -> Result<(), Diagnostic> {
    set(name, true, mtu)
}

fn nexts(ways: &[(&str, Option<&str>)]) -> Result<Vec<Next>, Diagnostic> {
    let next = |(device, via): &(&str, Option<&str>)| {
        let gateway = via.map(address).transpose()?;
        Ok(Next { device: index(device)?, gateway, encap: None, weight: 0 })
    };
    ways.iter().map(next).collect()
}

fn add(to: &str, next: Vec<Next>, existing: Existing) -> Result<(), Diagnostic> {
    let (destination, bits) = prefix(to)?;
    let key = RouteKey { destination, prefix: bits, table: MAIN, metric: 0 };
    SteeredRoute { key, next }.add(existing).map_err(|why| refused(format!("the route to {to} cannot be added"), &why))
}

fn address(text: &str) -> Result<IpAddr, Diagnostic> {
    text.parse().map_err(|_| Diagnostic::new("lab", format!("`{text}` is no address"), Place::Nowhere))
}

fn prefix(text: &str) -> Result<(IpAddr, u8), Diagnostic> {
    let (ip, bits) = text.split_once('/').unwrap_or((text, ""));
    let ip = address(ip)?;
    let all = if ip.is_ipv4() { 32 } else { 128 };
    match bits {
        "" => Ok((ip, all)),
        bits => bits.parse().ok().filter(|bits| *bits <= all).map(|bits| (ip, bits)).ok_or_else(|| {
            Diagnostic::new("lab", format!("`{text}` is no prefix"), Place::Nowhere).expected("ADDRESS/BITS")
        }),
    }
}

fn wrong(message: String, why: &io::Error) -> Diagnostic {
    Diagnostic::new("lab", message, Place::Nowhere).found(why.to_string())
}

fn refused(message: String, why: &Refusal) -> Diagnostic {
    let said = if why.text.is_empty() { why.errno.to_string() } else { format!("{}: {}", why.errno, why.text) };
    Diagnostic::new("lab", message, Place::Nowhere).found(said)
}
