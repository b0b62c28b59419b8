//! Checks through the tunnel: the VIP is asked, by sockets as any other, and what they send gets the headers that the data plane
//! puts around packets to a real. The real answers from the VIP's address, as it answers clients. One that does not take
//! tunnels, or has not the VIP's address, fails them.
//!
//! Nothing of the machine's routes is changed. A program at the egress of the device that the route to the VIP leaves by puts
//! the headers around packets with the marks of checks, and counts them: what was answered otherwise does not count. It is
//! there as long as this process: at tcx, or where the kernel has none, in a filter of `clsact`. A filter stays behind when the
//! process is killed; it does nothing then, since nobody sends what has marks, and the next process takes its place.

use crate::{
    check::{left, words},
    config::{Config, Forward, Real, Vip},
};
use alveary::{
    Linux, LinuxMap, Loaded, Loader, MapHandle, Object,
    kernel::{
        attach::{Device, Direction, Link, Place},
        netlink::{Asked, WayOut, devices, ethernet_address, way_out},
        set_longest_segment, set_mark,
        sys::Order,
    },
};
use alveary_sort::Gather;
use rustix::{
    fd::OwnedFd,
    io::Errno,
    net::{
        AddressFamily, SocketFlags, SocketType, bind, connect, getsockname, socket_with,
        sockopt::{Timeout, set_socket_linger, set_socket_timeout},
    },
};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

const OBJECT: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/lb-check.bpf.o"));
const PROGRAM: &str = "check";
/// The marks of checks, as the program has them.
const MARKS: u32 = 0x6c62_0000;
const WAYS: u32 = 16_384;
/// Where the count is in `struct way`.
const PACKETS: usize = 56;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// TCP's own header.
const TCP_HEADER: u16 = 20;
/// The priority of filters; each balancer's has a handle of its own.
const PRIORITY: u16 = 0x6c62;
/// Bounds of Linux's for a segment.
const SEGMENT: (u16, u16) = (88, 32_767);

/// The program that puts headers around what checks send. It comes with the first of them.
#[derive(Debug, Default)]
pub struct Headers {
    /// The handle of its filters; 0: any.
    handle: u32,
    /// Filters, and no tcx.
    filters: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By the devices' numbers. They go before their program.
    links: BTreeMap<u32, Link>,
    loaded: Option<(Loaded<Linux>, LinuxMap)>,
    /// Numbers of checks: late packets of one find its way until its number comes round again.
    next: u32,
    taken: BTreeSet<u32>,
    /// No check goes through the tunnel any more.
    over: bool,
}

impl Headers {
    /// Those of the balancer of this name.
    #[must_use]
    pub fn of(name: &str) -> Headers {
        // FNV-1a: the next process, of whatever version, finds the filter of one that was killed.
        let hash = name.bytes().fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        Headers { handle: hash >> 1 | 1, ..Headers::default() }
    }

    /// The same by filters alone, as on kernels that have no tcx (before Linux 6.6).
    #[must_use]
    pub fn by_filters(self) -> Headers {
        Headers { filters: true, ..self }
    }

    /// Takes the program off all devices, for good: filters would stay.
    pub fn end(&self) {
        let mut state = self.state();
        state.over = true;
        state.links.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the program at a device; gives the map of ways.
    fn at(&self, device: u32) -> Result<LinuxMap, String> {
        let mut state = self.state();
        if state.loaded.is_none() {
            let load = || -> crate::Result<(Loaded<Linux>, LinuxMap)> {
                let linux = Linux::builder().without_pins().build();
                let loaded = Loader::new(linux).named("lb-check").program(PROGRAM).load(&Object::parse(OBJECT)?)?;
                let ways = loaded.map("ways")?.clone();
                Ok((loaded, ways))
            };
            let loaded = load().map_err(|why| format!("the program of checks through the tunnel: {why}"))?;
            state.loaded = Some(loaded);
        }
        let State { links, loaded: Some((loaded, ways)), over, .. } = &mut *state else { return Err(String::new()) };
        if *over {
            return Err("the balancer ends".into());
        }
        if !links.contains_key(&device) {
            let name = name(device);
            let at = || Device { index: device, name: name.clone() };
            let (direction, order) = (Direction::Egress, Order::default());
            let list = Place::Tcx { device: at(), direction, order };
            let (priority, handle) = (PRIORITY, self.handle);
            let filter = Place::Tc { device: at(), direction, priority, handle, replace: true };
            let by_list = if self.filters { None } else { loaded.attach_to(PROGRAM, &list).ok() };
            let link = by_list.map_or_else(|| loaded.attach_to(PROGRAM, &filter), Ok).map_err(|why| {
                format!("checks through the tunnel need tcx (Linux 6.6), or filters of `clsact`, at {name}: {why}")
            })?;
            // Those of devices that are gone are of no use.
            let there: BTreeSet<u32> = devices().unwrap_or_default().iter().map(|device| device.index).gather();
            links.retain(|device, _| there.contains(device));
            links.insert(device, link);
        }
        Ok(ways.clone())
    }

    /// A number for a check.
    fn number(&self) -> Result<u32, String> {
        let mut state = self.state();
        for _ in 0..WAYS {
            let number = state.next;
            state.next = (number + 1) % WAYS;
            if state.taken.insert(number) {
                return Ok(number);
            }
        }
        Err(format!("there are {WAYS} checks at once"))
    }
}

fn name(device: u32) -> String {
    let all = devices().unwrap_or_default();
    all.into_iter().find(|one| one.index == device).map_or_else(|| format!("device {device}"), |one| one.name)
}

/// The way that packets of a VIP go to a real.
#[derive(Clone, Debug)]
pub struct Tunnel {
    vip: IpAddr,
    real: IpAddr,
    /// The balancer's addresses: of the VIP's family, and of the real's.
    inner: IpAddr,
    outer: IpAddr,
    /// The port of GUE; `None`: IP in IP.
    gue: Option<u16>,
    /// Bytes of the longest packet that fits inside.
    mtu: u16,
    headers: Arc<Headers>,
}

impl Tunnel {
    /// That of a real; `None` if it is reached without a tunnel, or the balancer has no address to be answered at.
    #[must_use]
    pub fn of(config: &Config, vip: &Vip, real: &Real, headers: &Arc<Headers>) -> Option<Tunnel> {
        let gue = match real.forward {
            Forward::Ip => None,
            Forward::Gue => Some(real.gue_port),
            _ => return None,
        };
        let own = |to: IpAddr| match to {
            IpAddr::V4(_) => config.sources.v4.map(IpAddr::from),
            IpAddr::V6(_) => config.sources.v6.map(IpAddr::from),
        };
        let mtu = config.inner_mtu(real);
        let (vip, real) = (vip.address, real.address);
        Some(Tunnel { vip, real, inner: own(vip)?, outer: own(real)?, gue, mtu, headers: headers.clone() })
    }

    /// Who is asked.
    pub(crate) fn vip(&self) -> IpAddr {
        self.vip
    }

    /// Begins a check.
    pub(crate) fn begin(&self) -> Result<Passage<'_>, String> {
        Ok(Passage { tunnel: self, number: self.headers.number()?, left: Cell::default() })
    }

    /// What this machine lacks for checks of this port, if that can be told before one is made.
    pub(crate) fn lacks(&self, port: u16) -> Option<String> {
        self.ways(SocketAddr::new(self.inner, 0), port, TCP, MARKS).err()
    }

    /// The device that what is sent to the VIP leaves by, and the one that it leaves by in its headers.
    fn ways(&self, own: SocketAddr, port: u16, protocol: u8, mark: u32) -> Result<(u32, u32), String> {
        let by = self.way_out(own, SocketAddr::new(self.vip, port), protocol, mark)?;
        let outer = match self.gue {
            Some(port) => (UDP, port),
            None => (0, 0),
        };
        let from = SocketAddr::new(self.outer, 0);
        let to = self.way_out(from, SocketAddr::new(self.real, outer.1), outer.0, 0)?;
        for device in [by, to] {
            if ethernet_address(device).ok().flatten().is_none() {
                let name = name(device);
                return Err(format!("{name} is no Ethernet device: checks through the tunnel leave by none other"));
            }
        }
        Ok((by, to))
    }

    /// Where packets between these would leave the machine.
    fn way_out(&self, from: SocketAddr, to: SocketAddr, protocol: u8, mark: u32) -> Result<u32, String> {
        let ip = to.ip();
        match way_out(&Asked { from, to, protocol, mark }) {
            Ok(WayOut::Device(device)) => Ok(device),
            Ok(WayOut::Here) => Err(format!("{ip} is an address of this machine: no check of it leaves by the tunnel")),
            Ok(WayOut::Nowhere) => Err(format!("this machine has no route to {ip}")),
            Err(why) if why.errno.0 == Errno::INVAL.raw_os_error() => {
                Err(format!("{} (`source`) is no address of this machine", from.ip()))
            }
            Err(why) => {
                let why = io::Error::from_raw_os_error(why.errno.0);
                Err(format!("this machine has no route to {ip}: {why}"))
            }
        }
    }

    /// `struct way` of bpf/lb/check.bpf.c.
    fn bytes(&self, device: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(PACKETS + 8);
        for address in [self.vip, self.outer, self.real] {
            match address {
                IpAddr::V4(four) => bytes.extend([&four.octets()[..], &[0; 12]].concat()),
                IpAddr::V6(six) => bytes.extend(six.octets()),
            }
        }
        bytes.extend(device.to_ne_bytes());
        bytes.extend(self.gue.unwrap_or(0).to_be_bytes());
        bytes.extend([self.vip.is_ipv6(), self.real.is_ipv6()].map(u8::from));
        bytes.resize(PACKETS + 8, 0);
        bytes
    }
}

/// A check that goes through the tunnel.
pub(crate) struct Passage<'t> {
    tunnel: &'t Tunnel,
    number: u32,
    /// The device that its packets leave by, when that is known.
    left: Cell<Option<u32>>,
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        self.tunnel.headers.state().taken.remove(&self.number);
    }
}

impl Passage<'_> {
    /// A connection to the VIP's port.
    pub(crate) fn tcp(&self, port: u16, end: Instant) -> Result<TcpStream, String> {
        let socket = self.socket(SocketType::STREAM, port)?;
        set_socket_timeout(&socket, Timeout::Send, Some(left(end)?)).map_err(said)?;
        let connected = connect(&socket, &SocketAddr::new(self.tunnel.vip, port));
        if let Err(why) = connected {
            return Err(if why == Errno::INPROGRESS { "no answer in time".into() } else { said(why) });
        }
        // Who gives up says so at once: nothing of it is sent later.
        let _ = set_socket_linger(&socket, Some(Duration::ZERO));
        Ok(TcpStream::from(socket))
    }

    /// A socket that talks with the VIP's port.
    pub(crate) fn udp(&self, port: u16) -> Result<UdpSocket, String> {
        let socket = self.socket(SocketType::DGRAM, port)?;
        connect(&socket, &SocketAddr::new(self.tunnel.vip, port)).map_err(said)?;
        Ok(UdpSocket::from(socket))
    }

    /// One whose packets go by the tunnel, to this port.
    fn socket(&self, ty: SocketType, port: u16) -> Result<OwnedFd, String> {
        let tunnel = self.tunnel;
        let family = if tunnel.inner.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket_with(family, ty, SocketFlags::CLOEXEC, None).map_err(said)?;
        let mark = MARKS + self.number;
        set_mark(&socket, mark).map_err(|why| match why.kind() {
            ErrorKind::PermissionDenied => "checks through the tunnel take CAP_NET_ADMIN".to_owned(),
            _ => words(&why),
        })?;
        let protocol = if ty == SocketType::STREAM {
            let ip = if tunnel.vip.is_ipv4() { 20 } else { 40 };
            let most = tunnel.mtu.saturating_sub(ip + TCP_HEADER).clamp(SEGMENT.0, SEGMENT.1);
            set_longest_segment(&socket, most.into()).map_err(|why| words(&why))?;
            TCP
        } else {
            UDP
        };
        bind(&socket, &SocketAddr::new(tunnel.inner, 0)).map_err(|why| match why {
            Errno::ADDRNOTAVAIL => format!("{} (`source`) is no address of this machine", tunnel.inner),
            why => said(why),
        })?;
        let own = getsockname(&socket).ok().and_then(|own| SocketAddr::try_from(own).ok());
        let own = own.unwrap_or(SocketAddr::new(tunnel.inner, 0));
        let (by, to) = tunnel.ways(own, port, protocol, mark)?;
        let ways = tunnel.headers.at(by)?;
        let put = ways.update(&self.number.to_ne_bytes(), &tunnel.bytes(to), 0);
        put.map_err(|why| format!("the way through the tunnel: {why}"))?;
        self.left.set(Some(by));
        Ok(socket)
    }

    /// What was said, if that went through the tunnel.
    pub(crate) fn counted(&self, said: Result<(), String>) -> Result<(), String> {
        let (Some(device), Some((_, ways))) = (self.left.get(), &self.tunnel.headers.state().loaded) else {
            return said;
        };
        let bytes = ways.lookup(&self.number.to_ne_bytes()).ok().flatten().unwrap_or_default();
        if bytes.get(PACKETS..).is_some_and(|count| count.iter().any(|byte| *byte != 0)) {
            return said;
        }
        let (vip, name) = (self.tunnel.vip, name(device));
        Err(match said {
            Ok(()) => format!("{vip} answered, and nothing went there through the tunnel by {name}"),
            Err(why) => format!("{why}: nothing to {vip} has left by {name}; does the next hop of its route answer?"),
        })
    }
}

fn said(why: Errno) -> String {
    words(&why.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alveary_lab::Network;
    use std::{
        io::Read,
        net::{TcpListener, ToSocketAddrs},
        thread,
    };

    /// The real's neighbour has the VIP, too, and answers what is in no tunnel: who takes the program away meanwhile has
    /// checks asked of it.
    #[test]
    fn what_is_answered_otherwise_than_through_the_tunnel_does_not_count() {
        if !alveary_testing::bpf::permitted("answered_otherwise") {
            return;
        }
        let mut network = Network::new();
        let [balancer, neighbour] = ["balancer", "neighbour"].map(|name| network.node(name).expect("a node"));
        network.pair([(balancer, "eth0"), (neighbour, "eth0")]).expect("a pair");
        network.address(balancer, "eth0", "10.0.1.1/24").expect("an address");
        network.address(neighbour, "eth0", "10.0.1.2/24").expect("an address");
        network.address(neighbour, "lo", "192.0.2.1/32").expect("an address");
        let listens = || TcpListener::bind("192.0.2.1:80").expect("a port");
        let listener = network.at(neighbour, listens).expect("the namespace");
        thread::spawn(move || listener.incoming().flatten().for_each(|mut stream| drop(stream.read(&mut [0]))));
        let text = "[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.1.1\"\n[[vip]]\naddress = \"192.0.2.1\"\nport = 80\n\
                    real = [{ address = \"10.0.1.2\" }]\ncheck = { type = \"tcp\", tunnel = true }\n";
        let config = Config::read("lb.toml", text).unwrap_or_else(|faults| panic!("{faults:#?}"));
        let headers = Arc::new(Headers::of("test"));
        let tunnel = Tunnel::of(&config, &config.vips[0], &config.vips[0].reals[0], &headers).expect("a tunnel");
        let lacks = network.at(balancer, || tunnel.lacks(80)).expect("the namespace");
        let lacks = lacks.expect("there is no route");
        assert!(lacks.starts_with("this machine has no route to 192.0.2.1"), "{lacks}");
        network.route(balancer, "192.0.2.1/32", "eth0", Some("10.0.1.2")).expect("a route");
        let asks = || {
            assert_eq!(tunnel.lacks(80), None);
            let passage = tunnel.begin().expect("a number");
            let socket = passage.socket(SocketType::STREAM, 80).expect("a socket");
            headers.end();
            let vip = "192.0.2.1:80".to_socket_addrs().expect("an address").next().expect("one");
            passage.counted(connect(&socket, &vip).map_err(said))
        };
        let said = network.at(balancer, asks).expect("the namespace");
        assert_eq!(said, Err("192.0.2.1 answered, and nothing went there through the tunnel by eth0".into()));
    }
}
