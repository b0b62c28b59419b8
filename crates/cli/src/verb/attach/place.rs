//! Where a program goes, as options say it.

use super::held::Held;
use crate::failure::Failure;
use alveary::kernel::{
    attach::{Device, Direction, Family, PerfEvent, Place, Side, Watched},
    netlink::{Hook, Route, Tunnel},
    sys::Order,
};
use alveary_abi::{AttachType, ProgType, SectionRest};
use alveary_diag::{Diagnostic, Place as At};
use alveary_spec::{Attach, Program, XdpMode};
use clap::Args;
use std::{net::IpAddr, path::PathBuf};

/// Where a program goes; by default where its section says
#[derive(Debug, Args)]
#[command(next_help_heading = "Where to attach")]
pub(super) struct Options {
    /// XDP of a device: `native`, `generic` (slower, for every device) or `offload`; by default the first that works
    #[arg(long, num_args = 1..=2, value_names = ["IF", "MODE"], group = "where")]
    xdp: Option<Vec<String>>,

    /// A filter of a device (clsact), `ingress` or `egress`
    #[arg(long, num_args = 1..=2, value_names = ["IF", "WAY"], group = "where")]
    tc: Option<Vec<String>>,

    /// A device's list of programs (Linux 6.6), `ingress` or `egress`
    #[arg(long, num_args = 1..=2, value_names = ["IF", "WAY"], group = "where")]
    tcx: Option<Vec<String>>,

    /// A netkit device (Linux 6.7), `primary` or `peer`
    #[arg(long, num_args = 1..=2, value_names = ["IF", "SIDE"], group = "where")]
    netkit: Option<Vec<String>>,

    /// A route, which is added: lightweight tunnels, SRv6 endpoints
    #[arg(long, num_args = 2..=3, value_names = ["PREFIX", "IF", "GATEWAY"], group = "where")]
    route: Option<Vec<String>>,

    /// A netfilter hook: `ipv4` or `ipv6`; prerouting, input, forward, output or postrouting
    #[arg(long, num_args = 2, value_names = ["FAMILY", "HOOK"], group = "where")]
    netfilter: Option<Vec<String>>,

    /// A control group, by its directory
    #[arg(long, value_name = "DIR", group = "where")]
    pub(super) cgroup: Option<PathBuf>,

    /// A network namespace, by its file, as /proc/self/ns/net
    #[arg(long, value_name = "FILE", group = "where")]
    pub(super) netns: Option<PathBuf>,

    /// A map of sockets, by its pin
    #[arg(long, value_name = "PIN", group = "where")]
    pub(super) sockmap: Option<PathBuf>,

    /// A socket of a process
    #[arg(long, value_name = "PID:FD", group = "where")]
    pub(super) socket: Option<String>,

    /// The sockets that share a port, by one of them
    #[arg(long, value_name = "PID:FD", group = "where")]
    pub(super) reuseport: Option<String>,

    /// An infrared receiver, as /dev/lirc0
    #[arg(long, value_name = "FILE", group = "where")]
    pub(super) lirc: Option<PathBuf>,

    /// A tracepoint
    #[arg(long, value_name = "CATEGORY/NAME", group = "where")]
    tracepoint: Option<String>,

    /// A tracepoint, with its bare arguments
    #[arg(long, value_name = "NAME", group = "where")]
    raw_tracepoint: Option<String>,

    /// An instruction of a kernel function
    #[arg(long, value_name = "FUNCTION[+OFFSET]", group = "where")]
    kprobe: Option<String>,

    /// The return of a kernel function
    #[arg(long, value_name = "FUNCTION", group = "where")]
    kretprobe: Option<String>,

    /// The kernel functions whose names fit
    #[arg(long, value_name = "PATTERN", group = "where")]
    kprobe_multi: Option<String>,

    /// An instruction of a function in a file
    #[arg(long, value_name = "FILE:FUNCTION[+OFFSET]", group = "where")]
    uprobe: Option<String>,

    /// The return of a function in a file
    #[arg(long, value_name = "FILE:FUNCTION", group = "where")]
    uretprobe: Option<String>,

    /// The functions of a file whose names fit
    #[arg(long, value_name = "FILE:PATTERN", group = "where")]
    uprobe_multi: Option<String>,

    /// A static probe of a program
    #[arg(long, value_name = "FILE:PROVIDER:NAME", group = "where")]
    usdt: Option<String>,

    /// So many times a second, on every CPU or in the process of --pid
    #[arg(long, value_name = "HERTZ", group = "where")]
    sample: Option<u64>,

    /// What an iterator goes over: `map MAP`, `cgroup DIR [ORDER]`, `task TID`, `pid PID`
    #[arg(long, num_args = 2..=4, value_names = ["WHAT", "WHICH"], group = "where")]
    pub(super) over: Option<Vec<String>>,

    /// Uprobes and samples of this process alone
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,

    /// What `bpf_get_attach_cookie` gives the program
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    cookie: u64,

    /// Take the place of the XDP program, filter or route that is there
    #[arg(long)]
    replace: bool,

    /// Filters and netfilter programs run in the order of this number
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    priority: Option<i32>,

    /// Number of the filter among those of its priority
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    handle: u32,

    /// Run before all others (tcx, netkit, control groups)
    #[arg(long, group = "order")]
    first: bool,

    /// Run before the program of this id
    #[arg(long, value_name = "ID", group = "order")]
    before: Option<u32>,

    /// Run behind the program of this id
    #[arg(long, value_name = "ID", group = "order")]
    after: Option<u32>,
}

const PROBES: &[ProgType] = &[ProgType::KPROBE];
const CLASSIFIERS: &[ProgType] = &[ProgType::SCHED_CLS, ProgType::SCHED_ACT];
const CGROUP: &[ProgType] = &[
    ProgType::CGROUP_SKB,
    ProgType::CGROUP_SOCK,
    ProgType::CGROUP_SOCK_ADDR,
    ProgType::CGROUP_DEVICE,
    ProgType::CGROUP_SYSCTL,
    ProgType::CGROUP_SOCKOPT,
    ProgType::SOCK_OPS,
    ProgType::LSM,
];
const ROUTE: &[ProgType] = &[ProgType::LWT_IN, ProgType::LWT_OUT, ProgType::LWT_XMIT, ProgType::LWT_SEG6LOCAL];

/// The option that says where a program of this type goes.
pub(super) fn wanted(ty: ProgType) -> &'static str {
    match ty {
        ProgType::XDP => "name the device: `--xdp IF`",
        ProgType::SCHED_CLS | ProgType::SCHED_ACT => "name the device: `--tcx IF ingress`, or `--tc IF ingress`",
        ProgType::NETFILTER => "name the hook: `--netfilter ipv4 prerouting`",
        ProgType::SK_SKB | ProgType::SK_MSG => "name the map: `--sockmap PIN`",
        ProgType::SK_LOOKUP | ProgType::FLOW_DISSECTOR => "name the namespace: `--netns /proc/self/ns/net`",
        ProgType::SOCKET_FILTER => "name the socket: `--socket PID:FD`",
        ProgType::SK_REUSEPORT => "name one of the sockets: `--reuseport PID:FD`",
        ProgType::PERF_EVENT => "say how often: `--sample 99`",
        ProgType::KPROBE => "name the function: `--kprobe FUNCTION`, or `--uprobe FILE:FUNCTION`",
        ProgType::TRACEPOINT => "name it: `--tracepoint CATEGORY/NAME`",
        ProgType::RAW_TRACEPOINT | ProgType::RAW_TRACEPOINT_WRITABLE => "name it: `--raw-tracepoint NAME`",
        ProgType::TRACING => "say what an iterator goes over: `--over map name MAP`",
        ProgType::LIRC_MODE2 => "name the receiver: `--lirc /dev/lirc0`",
        ty if CGROUP.contains(&ty) && ty != ProgType::LSM => "name the control group: `--cgroup DIR`",
        ty if ROUTE.contains(&ty) => "name the route: `--route PREFIX IF`",
        _ => "programs of this type go where their section says, as `SEC(\"fentry/FUNCTION\")`",
    }
}

impl Options {
    /// Types of programs that can go where the options say; `None` if they say nothing.
    pub(super) fn types(&self) -> Option<&'static [ProgType]> {
        let table: &[(bool, &'static [ProgType])] = &[
            (self.xdp.is_some(), &[ProgType::XDP]),
            (self.tc.is_some() || self.tcx.is_some() || self.netkit.is_some(), CLASSIFIERS),
            (self.route.is_some(), ROUTE),
            (self.netfilter.is_some(), &[ProgType::NETFILTER]),
            (self.cgroup.is_some(), CGROUP),
            (self.netns.is_some(), &[ProgType::SK_LOOKUP, ProgType::FLOW_DISSECTOR]),
            (self.sockmap.is_some(), &[ProgType::SK_SKB, ProgType::SK_MSG]),
            (self.socket.is_some(), &[ProgType::SOCKET_FILTER]),
            (self.reuseport.is_some(), &[ProgType::SK_REUSEPORT, ProgType::SOCKET_FILTER]),
            (self.lirc.is_some(), &[ProgType::LIRC_MODE2]),
            (self.tracepoint.is_some(), &[ProgType::TRACEPOINT]),
            (self.raw_tracepoint.is_some(), &[ProgType::RAW_TRACEPOINT, ProgType::RAW_TRACEPOINT_WRITABLE]),
            (self.sample.is_some(), &[ProgType::PERF_EVENT]),
            (self.over.is_some(), &[ProgType::TRACING]),
            (self.kprobe.is_some() || self.kretprobe.is_some() || self.kprobe_multi.is_some(), PROBES),
            (self.uprobe.is_some() || self.uretprobe.is_some() || self.uprobe_multi.is_some(), PROBES),
            (self.usdt.is_some(), PROBES),
        ];
        table.iter().find(|(given, _)| *given).map(|(_, types)| *types)
    }

    /// The place that the options name for a program; `None` if they name none.
    pub(super) fn place<'a>(&self, held: &'a Held, program: &Program) -> Result<Option<Place<'a>>, Failure> {
        if let Some(over) = held.over() {
            return Ok(Some(Place::Iter(over.target())));
        }
        if let Some(place) = self.on_device(program)? {
            return Ok(Some(place));
        }
        if let (Some(fd), order) = (held.fd(), self.order()) {
            return Ok(Some(match self {
                Options { cgroup: Some(_), .. } => Place::Cgroup { directory: fd, order },
                Options { netns: Some(_), .. } => Place::Netns(fd),
                Options { sockmap: Some(_), .. } => Place::Sockmap(fd),
                Options { socket: Some(_), .. } => Place::Socket(fd),
                Options { reuseport: Some(_), .. } => Place::Reuseport(fd),
                _ => Place::Lirc(fd),
            }));
        }
        Ok(self.traced(program)?)
    }

    fn on_device<'a>(&self, program: &Program) -> Result<Option<Place<'a>>, Failure> {
        let (replace, handle) = (self.replace, self.handle);
        let words = [&self.xdp, &self.tc, &self.tcx, &self.netkit, &self.route, &self.netfilter];
        let Some(words) = words.into_iter().flatten().next() else { return Ok(None) };
        let word = |at: usize| words.get(at).map_or("", String::as_str);
        Ok(Some(match self {
            Options { xdp: Some(_), .. } => {
                let modes = [
                    ("", XdpMode::Any),
                    ("native", XdpMode::Native),
                    ("generic", XdpMode::Generic),
                    ("offload", XdpMode::Offload),
                ];
                Place::Xdp { device: Device::named(word(0))?, mode: one_of("--xdp IF", word(1), &modes)?, replace }
            }
            Options { tc: Some(_), .. } => {
                let direction = way("--tc IF", word(1), program)?;
                let priority = self.priority.unwrap_or(0).clamp(0, i32::from(u16::MAX)) as u16;
                Place::Tc { device: Device::named(word(0))?, direction, priority, handle, replace }
            }
            Options { tcx: Some(_), .. } => {
                let direction = way("--tcx IF", word(1), program)?;
                Place::Tcx { device: Device::named(word(0))?, direction, order: self.order() }
            }
            Options { netkit: Some(_), .. } => {
                let said = match program.expected {
                    Some(AttachType::NETKIT_PEER) => Side::Peer,
                    _ => Side::Primary,
                };
                let sides = [("", said), ("primary", Side::Primary), ("peer", Side::Peer)];
                let side = one_of("--netkit IF", word(1), &sides)?;
                Place::Netkit { device: Device::named(word(0))?, side, order: self.order() }
            }
            Options { route: Some(_), .. } => {
                let (route, tunnel) = (route(word(0), word(1), word(2))?, tunnel(program.ty));
                Place::Route { route, tunnel, replace }
            }
            _ => {
                let family = one_of("--netfilter", word(0), &[("ipv4", Family::Ipv4), ("ipv6", Family::Ipv6)])?;
                let hooks = [("prerouting", 0), ("input", 1), ("forward", 2), ("output", 3), ("postrouting", 4)];
                let hook = one_of("--netfilter FAMILY", word(1), &hooks)?;
                Place::Netfilter { family, hook, priority: self.priority.unwrap_or(0), defragment: false }
            }
        }))
    }

    /// Probes and tracepoints: what they name is written as in section names.
    fn traced<'a>(&self, program: &Program) -> Result<Option<Place<'a>>, Diagnostic> {
        let (pid, cookie) = (self.pid, self.cookie);
        if let Some(hertz) = self.sample {
            let watched = pid.map_or(Watched::Cpus, Watched::Process);
            return Ok(Some(Place::PerfEvent { event: PerfEvent::clock(hertz), watched, cookie }));
        }
        let table = [
            (&self.tracepoint, SectionRest::Tracepoint, false),
            (&self.raw_tracepoint, SectionRest::RawTracepoint, false),
            (&self.kprobe, SectionRest::Kprobe, false),
            (&self.kretprobe, SectionRest::Kprobe, true),
            (&self.kprobe_multi, SectionRest::KprobeMulti, false),
            (&self.uprobe, SectionRest::Uprobe, false),
            (&self.uretprobe, SectionRest::Uprobe, true),
            (&self.uprobe_multi, SectionRest::UprobeMulti, false),
            (&self.usdt, SectionRest::Usdt, false),
        ];
        let given = table.into_iter().find_map(|(text, rest, ret)| Some((text.as_deref()?, rest, ret)));
        let place = match given {
            Some((text, rest, ret)) => {
                let attach = Attach::parse(rest, ret, text).map_err(|expected| {
                    Diagnostic::new("attach-where", "the option does not name a place", At::Nowhere)
                        .expected(expected)
                        .found(format!("`{text}`"))
                })?;
                Place::of(Some(&attach), program.ty)?
            }
            // What the section says, with the settings of the options.
            None if pid.is_some() || cookie != 0 => Place::of(program.attach.as_ref(), program.ty)?,
            None => None,
        };
        Ok(place.map(|place| with(place, pid, cookie)))
    }

    fn order<'a>(&self) -> Order<'a> {
        match (self.before, self.after) {
            (Some(id), _) => Order { before: true, id, ..Order::default() },
            (_, Some(id)) => Order { after: true, id, ..Order::default() },
            _ => Order { before: self.first, ..Order::default() },
        }
    }
}

/// A place with a process and a cookie, where it takes them.
fn with(mut place: Place<'_>, process: Option<u32>, number: u64) -> Place<'_> {
    if let Place::Uprobe { pid, .. } | Place::Uprobes { pid, .. } | Place::Usdt { pid, .. } = &mut place {
        *pid = process;
    }
    if let Place::Tracepoint { cookie, .. }
    | Place::RawTracepoint { cookie, .. }
    | Place::Loaded { cookie }
    | Place::Kprobe { cookie, .. }
    | Place::Uprobe { cookie, .. }
    | Place::Usdt { cookie, .. } = &mut place
    {
        *cookie = number;
    }
    place
}

/// The direction that a word says, or that the program was loaded for.
fn way(option: &str, word: &str, program: &Program) -> Result<Direction, Diagnostic> {
    let said = match program.expected {
        Some(AttachType::TCX_INGRESS) => Some(Direction::Ingress),
        Some(AttachType::TCX_EGRESS) => Some(Direction::Egress),
        _ => None,
    };
    match said.filter(|_| word.is_empty()) {
        Some(direction) => Ok(direction),
        None => one_of(option, word, &[("ingress", Direction::Ingress), ("egress", Direction::Egress)]),
    }
}

pub(crate) fn one_of<T: Copy>(option: &str, word: &str, known: &[(&str, T)]) -> Result<T, Diagnostic> {
    known.iter().find(|(name, _)| *name == word).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).filter(|name| !name.is_empty()).collect();
        let found = if word.is_empty() { "nothing".to_owned() } else { format!("`{word}`") };
        Diagnostic::new("attach-where", format!("what follows `{option}` is not known"), At::Nowhere)
            .expected(listed(&names))
            .found(found)
    })
}

/// The names as a sentence lists what may be chosen of: `ipv4 or ipv6`, `native, generic or offload`.
fn listed(names: &[&str]) -> String {
    match names {
        [some @ .., last] if !some.is_empty() => format!("{} or {last}", some.join(", ")),
        _ => names.concat(),
    }
}

fn tunnel(ty: ProgType) -> Tunnel {
    match ty {
        ProgType::LWT_IN => Tunnel::Bpf(Hook::In, 0),
        ProgType::LWT_OUT => Tunnel::Bpf(Hook::Out, 0),
        ProgType::LWT_SEG6LOCAL => Tunnel::Seg6Local,
        _ => Tunnel::Bpf(Hook::Xmit, 0),
    }
}

fn route(prefix: &str, device: &str, gateway: &str) -> Result<Route, Diagnostic> {
    let wrong = |what: &str, found: &str| {
        Diagnostic::new("attach-where", "the route is not understood", At::Nowhere)
            .expected(what.to_owned())
            .found(format!("`{found}`"))
    };
    let parsed = match prefix.split_once('/') {
        Some((address, bits)) => address.parse::<IpAddr>().ok().zip(bits.parse::<u8>().ok()),
        None => prefix.parse::<IpAddr>().ok().map(|address| (address, if address.is_ipv4() { 32 } else { 128 })),
    };
    let most = |address: &IpAddr| if address.is_ipv4() { 32 } else { 128 };
    let (destination, prefix) = parsed
        .filter(|(address, bits)| *bits <= most(address))
        .ok_or_else(|| wrong("an address and its bits, as 10.1.0.0/16", prefix))?;
    let gateway = match gateway {
        "" => None,
        text => Some(text.parse().map_err(|_| wrong("the address of a gateway", text))?),
    };
    Ok(Route { destination, prefix, device: Device::named(device)?.index, gateway, table: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let lo = |text: &str| route(text, "lo", "").map(|route| (route.destination.to_string(), route.prefix));
        assert_eq!(lo("10.1.0.0/16").ok(), Some(("10.1.0.0".into(), 16)));
        assert_eq!(lo("fc00::1").ok(), Some(("fc00::1".into(), 128)));
        for wrong in ["10.1.0.0/33", "fc00::/129", "10.1", "/8"] {
            assert!(lo(wrong).is_err(), "{wrong}");
        }
    }
}
