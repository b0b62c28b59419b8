//! Where programs can go.

use super::{PerfEvent, Program, Watched, usdt};
use crate::{
    netlink::{Hook, Route, Tunnel},
    sys::{IterTarget, Order},
};
use alveary_abi::{AttachType, ProgType, Tables};
use alveary_btf::TypeId;
use alveary_diag::{Diagnostic, Place as At};
use alveary_spec::{Attach, XdpMode};
use std::{fmt, os::fd::BorrowedFd, path::PathBuf};

/// A network device of this process's network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
}

impl Device {
    /// The device of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn named(name: &str) -> Result<Device, Diagnostic> {
        let missing = || {
            Diagnostic::new("no-device", format!("there is no network device `{name}`"), At::Nowhere)
                .expected("a device of this network namespace (`ip link` lists them)")
        };
        let text = std::ffi::CString::new(name).map_err(|_| missing())?;
        // SAFETY: the name ends in a zero.
        let index = unsafe { libc::if_nametoindex(text.as_ptr()) };
        if index == 0 { Err(missing()) } else { Ok(Device { index, name: name.to_owned() }) }
    }
}

/// Which packets of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Direction {
    Ingress,
    Egress,
}

/// Which of the two devices of a netkit pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Side {
    Primary,
    Peer,
}

/// Whose packets a netfilter hook sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Family {
    Ipv4,
    Ipv6,
}

/// Where a program goes: all that the kernel has to be told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Place<'a> {
    /// A network device, before packets get their `sk_buff`.
    Xdp {
        /// The device.
        device: Device,
        /// Which implementation; `Any` is the driver's, or else the generic one.
        mode: XdpMode,
        /// The program that is there makes room.
        replace: bool,
    },
    /// A filter in `clsact`, which is added if it is not there.
    Tc {
        /// The device.
        device: Device,
        /// Which packets.
        direction: Direction,
        /// Filters run in the order of this number; 0: the kernel picks one, in front of the others.
        priority: u16,
        /// Its number among those of its priority; 0: the kernel picks one.
        handle: u32,
        /// The filter of this priority and handle gets this program instead of its own.
        replace: bool,
    },
    /// A device's list of programs (tcx).
    Tcx {
        /// The device.
        device: Device,
        /// Which packets.
        direction: Direction,
        /// Its place in the list.
        order: Order<'a>,
    },
    /// A netkit device's list of programs.
    Netkit {
        /// The primary device.
        device: Device,
        /// Whose packets.
        side: Side,
        /// Its place in the list.
        order: Order<'a>,
    },
    /// A route with a lightweight tunnel or an SRv6 endpoint.
    Route {
        /// The route, which is added.
        route: Route,
        /// What it does.
        tunnel: Tunnel,
        /// A route that is there gets this program.
        replace: bool,
    },
    /// A netfilter hook of this network namespace.
    Netfilter {
        /// Whose packets.
        family: Family,
        /// `NF_INET_PRE_ROUTING` (0), `LOCAL_IN` (1), `FORWARD` (2), `LOCAL_OUT` (3), `POST_ROUTING` (4).
        hook: u32,
        /// Programs run in the order of this number.
        priority: i32,
        /// Fragments are put together before it sees them.
        defragment: bool,
    },
    /// A socket's filter.
    Socket(BorrowedFd<'a>),
    /// The choice among the sockets of a `SO_REUSEPORT` group, by one of them.
    Reuseport(BorrowedFd<'a>),
    /// A sockmap or sockhash: all sockets in it.
    Sockmap(BorrowedFd<'a>),
    /// A receiver of infrared signals.
    Lirc(BorrowedFd<'a>),
    /// A control group.
    Cgroup {
        /// Its directory.
        directory: BorrowedFd<'a>,
        /// Its place among others (Linux 6.17).
        order: Order<'a>,
    },
    /// A network namespace.
    Netns(BorrowedFd<'a>),
    /// A tracepoint, with its bare arguments.
    RawTracepoint {
        /// Its name.
        name: String,
        /// What `bpf_get_attach_cookie` gives.
        cookie: u64,
    },
    /// What of the kernel's types the program was loaded for: a function, a tracepoint, a security hook.
    Loaded {
        /// What `bpf_get_attach_cookie` gives.
        cookie: u64,
    },
    /// A function of another program, which is replaced.
    Replace {
        /// The other program.
        target: BorrowedFd<'a>,
        /// The function in its types; void: the one that the program was loaded for.
        function: TypeId,
    },
    /// An iterator.
    Iter(IterTarget<'a>),
    /// A tracepoint, with its arguments as its format says.
    Tracepoint {
        /// Its category.
        category: String,
        /// Its name.
        name: String,
        /// What `bpf_get_attach_cookie` gives.
        cookie: u64,
    },
    /// A counter that overflows.
    PerfEvent {
        /// What is counted.
        event: PerfEvent,
        /// Of whom.
        watched: Watched,
        /// What `bpf_get_attach_cookie` gives.
        cookie: u64,
    },
    /// An instruction of a kernel function, or its return.
    Kprobe {
        /// The function.
        function: String,
        /// Bytes behind its start.
        offset: u64,
        /// The return.
        ret: bool,
        /// What `bpf_get_attach_cookie` gives.
        cookie: u64,
    },
    /// The kernel functions whose names fit a pattern.
    Kprobes {
        /// The pattern: `*` any text, `?` any character.
        pattern: String,
        /// Their returns.
        ret: bool,
    },
    /// A system call, whatever its function is called on this machine.
    Ksyscall {
        /// Its name.
        name: String,
        /// Its return.
        ret: bool,
    },
    /// An instruction of a function in a file, or its return.
    Uprobe {
        /// The file.
        path: PathBuf,
        /// The function; if empty, the offset is the file's.
        function: String,
        /// Bytes behind its start.
        offset: u64,
        /// The return.
        ret: bool,
        /// Of this process alone.
        pid: Option<u32>,
        /// What `bpf_get_attach_cookie` gives.
        cookie: u64,
    },
    /// The functions of a file whose names fit a pattern.
    Uprobes {
        /// The file.
        path: PathBuf,
        /// The pattern: `*` any text, `?` any character.
        pattern: String,
        /// Their returns.
        ret: bool,
        /// Of this process alone.
        pid: Option<u32>,
    },
    /// A probe that the author of a program put into it.
    Usdt {
        /// The file.
        path: PathBuf,
        /// Who defines the probe.
        provider: String,
        /// Its name.
        name: String,
        /// Of this process alone.
        pid: Option<u32>,
        /// What `bpf_usdt_cookie` gives.
        cookie: u64,
        /// The maps by which the program finds the probe's arguments, if it asks for them.
        maps: Option<usdt::Maps<'a>>,
    },
}

impl Place<'static> {
    /// The place that a section name says; `None` if it leaves something open (the device of an XDP program).
    ///
    /// # Errors
    /// What does not belong there, devices and files that are not there.
    pub fn of(attach: Option<&Attach>, ty: ProgType) -> Result<Option<Place<'static>>, Diagnostic> {
        let Some(attach) = attach else { return Ok(None) };
        let (cookie, pid) = (0, None);
        Ok(Some(match attach.clone() {
            Attach::Xdp { dev, mode } => Place::Xdp { device: Device::named(&dev)?, mode, replace: false },
            Attach::Kprobe { function, offset, ret } => Place::Kprobe { function, offset, ret, cookie },
            Attach::KprobeMulti { pattern, ret } => Place::Kprobes { pattern, ret },
            Attach::Ksyscall { name, ret } => Place::Ksyscall { name, ret },
            Attach::Uprobe { path, function, offset, ret } => {
                Place::Uprobe { path: super::elf::find(&path)?, function, offset, ret, pid, cookie }
            }
            Attach::UprobeMulti { path, pattern, ret } => {
                Place::Uprobes { path: super::elf::find(&path)?, pattern, ret, pid }
            }
            Attach::Usdt { path, provider, name } => {
                Place::Usdt { path: super::elf::find(&path)?, provider, name, pid, cookie, maps: None }
            }
            Attach::Tracepoint { category, name } => Place::Tracepoint { category, name, cookie },
            Attach::RawTracepoint { name } => Place::RawTracepoint { name, cookie },
            Attach::Btf { .. } if ty == ProgType::TRACING || ty == ProgType::LSM => Place::Loaded { cookie },
            // `iter/bpf_map_elem` goes over a map that the section does not name.
            Attach::Iter { name } if !matches!(&*name, "bpf_map_elem" | "bpf_sk_storage_map" | "sockmap") => {
                Place::Iter(IterTarget::All)
            }
            Attach::Malformed { text, expected } => {
                return Err(Diagnostic::new("attach", "the section name does not say where to attach", At::Nowhere)
                    .expected(expected)
                    .found(format!("`{text}`"))
                    .help("say where, by an option"));
            }
            _ => return Ok(None),
        }))
    }
}

const PROBES: &[ProgType] = &[ProgType::KPROBE];
const TC: &[ProgType] = &[ProgType::SCHED_CLS];

impl Place<'_> {
    /// Types of programs that can go there.
    fn types(&self) -> &'static [ProgType] {
        match self {
            Place::Xdp { .. } => &[ProgType::XDP],
            Place::Tc { .. } => &[ProgType::SCHED_CLS, ProgType::SCHED_ACT],
            Place::Tcx { .. } | Place::Netkit { .. } => TC,
            Place::Route { tunnel: Tunnel::Bpf(Hook::In, _), .. } => &[ProgType::LWT_IN],
            Place::Route { tunnel: Tunnel::Bpf(Hook::Out, _), .. } => &[ProgType::LWT_OUT],
            Place::Route { tunnel: Tunnel::Bpf(Hook::Xmit, _), .. } => &[ProgType::LWT_XMIT],
            Place::Route { tunnel: Tunnel::Seg6Local, .. } => &[ProgType::LWT_SEG6LOCAL],
            Place::Netfilter { .. } => &[ProgType::NETFILTER],
            Place::Socket(_) => &[ProgType::SOCKET_FILTER],
            Place::Reuseport(_) => &[ProgType::SK_REUSEPORT, ProgType::SOCKET_FILTER],
            Place::Sockmap(_) => &[ProgType::SK_SKB, ProgType::SK_MSG],
            Place::Lirc(_) => &[ProgType::LIRC_MODE2],
            Place::Cgroup { .. } => &[
                ProgType::CGROUP_SKB,
                ProgType::CGROUP_SOCK,
                ProgType::CGROUP_SOCK_ADDR,
                ProgType::CGROUP_DEVICE,
                ProgType::CGROUP_SYSCTL,
                ProgType::CGROUP_SOCKOPT,
                ProgType::SOCK_OPS,
                ProgType::LSM,
            ],
            Place::Netns(_) => &[ProgType::SK_LOOKUP, ProgType::FLOW_DISSECTOR],
            Place::RawTracepoint { .. } => &[ProgType::RAW_TRACEPOINT, ProgType::RAW_TRACEPOINT_WRITABLE],
            Place::Loaded { .. } => &[ProgType::TRACING, ProgType::LSM, ProgType::EXT],
            Place::Replace { .. } => &[ProgType::EXT],
            Place::Iter(_) => &[ProgType::TRACING],
            Place::Tracepoint { .. } => &[ProgType::TRACEPOINT],
            Place::PerfEvent { .. } => &[ProgType::PERF_EVENT],
            Place::Kprobe { .. } | Place::Kprobes { .. } | Place::Ksyscall { .. } => PROBES,
            Place::Uprobe { .. } | Place::Uprobes { .. } | Place::Usdt { .. } => PROBES,
        }
    }

    /// Refuses programs of other types, before the kernel does so without saying why.
    pub(super) fn check(&self, program: Program<'_>) -> Result<(), Diagnostic> {
        let types = self.types();
        if types.contains(&program.ty) {
            return Ok(());
        }
        let names: Vec<&str> = types.iter().map(|ty| type_name(*ty)).collect();
        Err(Diagnostic::new("attach", format!("program `{}` cannot be attached to {self}", program.name), At::Nowhere)
            .expected(format!("a program of type {}", names.join(" or ")))
            .found(format!("type {}", type_name(program.ty))))
    }

    /// The attach type whose row says which kernel has this, for a program that was loaded for `expected`.
    pub(super) fn attach_type(&self, expected: Option<AttachType>) -> Option<AttachType> {
        match self {
            Place::Tcx { direction, .. } => Some(match direction {
                Direction::Ingress => AttachType::TCX_INGRESS,
                Direction::Egress => AttachType::TCX_EGRESS,
            }),
            Place::Netkit { .. } => Some(AttachType::NETKIT_PRIMARY),
            Place::Netfilter { .. } => Some(AttachType::NETFILTER),
            Place::Kprobes { .. } | Place::Uprobes { .. } | Place::Cgroup { .. } => expected,
            _ => None,
        }
    }
}

pub(super) fn type_name(ty: ProgType) -> &'static str {
    Tables::linux().prog_types.iter().find(|row| row.ty == ty).map_or("unknown", |row| row.name)
}

/// As a sentence names it.
impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = |direction: &Direction| match direction {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        };
        let probe = |ret: &bool| if *ret { "the return of" } else { "" };
        match self {
            Place::Xdp { device, .. } => write!(f, "XDP of {}", device.name),
            Place::Tc { device, direction, .. } => write!(f, "the {} filters of {}", way(direction), device.name),
            Place::Tcx { device, direction, .. } => write!(f, "tcx {} of {}", way(direction), device.name),
            Place::Netkit { device, .. } => write!(f, "netkit {}", device.name),
            Place::Route { route, .. } => write!(f, "the route to {}/{}", route.destination, route.prefix),
            Place::Netfilter { family: Family::Ipv4, .. } => f.write_str("a netfilter hook of IPv4"),
            Place::Netfilter { family: Family::Ipv6, .. } => f.write_str("a netfilter hook of IPv6"),
            Place::Socket(_) => f.write_str("a socket"),
            Place::Reuseport(_) => f.write_str("a SO_REUSEPORT group"),
            Place::Sockmap(_) => f.write_str("a map of sockets"),
            Place::Lirc(_) => f.write_str("an infrared receiver"),
            Place::Cgroup { .. } => f.write_str("a control group"),
            Place::Netns(_) => f.write_str("a network namespace"),
            Place::RawTracepoint { name, .. } => write!(f, "the raw tracepoint {name}"),
            Place::Loaded { .. } => f.write_str("what it was loaded for"),
            Place::Replace { .. } => f.write_str("a function of another program"),
            Place::Iter(_) => f.write_str("an iterator"),
            Place::Tracepoint { category, name, .. } => write!(f, "the tracepoint {category}/{name}"),
            Place::PerfEvent { event, .. } => write!(f, "the perf event {event}"),
            Place::Kprobe { function, ret, .. } => write!(f, "{} the kernel function {function}", probe(ret)),
            Place::Kprobes { pattern, .. } => write!(f, "the kernel functions {pattern}"),
            Place::Ksyscall { name, ret } => write!(f, "{} the system call {name}", probe(ret)),
            Place::Uprobe { path, function, ret, .. } => {
                write!(f, "{} {function} of {}", probe(ret), path.display())
            }
            Place::Uprobes { path, pattern, .. } => write!(f, "the functions {pattern} of {}", path.display()),
            Place::Usdt { path, provider, name, .. } => write!(f, "the probe {provider}:{name} of {}", path.display()),
        }
    }
}
