//! Attaching loaded programs, every type of them, to where they run; and what stands there already.
//!
//! [`attach`] takes a program and a [`Place`] and gives a [`Link`]: dropped, it detaches; pinned, it stays. A place is
//! what the kernel has to know: descriptors and numbers besides names, which [`Place::of`] finds for what a section name
//! says. Knows no ELF objects of ours: of other files it reads symbols and probes.
//!
//! | file | holds |
//! |---|---|
//! | `place` | where programs can go, and what a section name says of it |
//! | `link` | what an attachment is to its holder |
//! | `detach` | taking off what somebody attached |
//! | `explain` | what an error number means for a place: privilege, feature, least kernel |
//! | `owner` | whose programs are there already |
//! | `xdp`, `tc`, `route`, `netfilter` | network devices and the way of packets |
//! | `socket` | sockets, maps of sockets, LIRC |
//! | `hook` | cgroups, network namespaces, tracing by BTF, iterators: plain links |
//! | `interface` | kernel interfaces (`struct_ops`) |
//! | `perf` | perf events, tracepoints |
//! | `kprobe`, `uprobe`, `usdt`, `elf` | probes, and what they are looked up in |

mod detach;
mod elf;
mod explain;
mod hook;
mod interface;
mod kprobe;
mod link;
mod netfilter;
mod owner;
pub(crate) mod perf;
mod place;
mod route;
mod socket;
mod tc;
mod uprobe;
mod usdt;
mod xdp;

pub use detach::{detach_pinned, detach_tc, detach_xdp};
pub use elf::find as find_file;
pub(crate) use interface::explain as explain_interface;
pub use interface::{register, replace_interface, unregister};
pub use link::{Link, Pinned};
pub use perf::{PerfEvent, Watched};
pub use place::{Device, Direction, Family, Place, Side};
pub use usdt::Maps as UsdtMaps;

use crate::sys::{self, ProgParts};
use alveary_abi::{AttachType, ProgType};
use alveary_diag::Diagnostic;
use std::os::fd::BorrowedFd;

/// A loaded program, as far as attaching has to know it.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Its descriptor.
    pub fd: BorrowedFd<'a>,
    /// Its type.
    pub ty: ProgType,
    /// The attach type that it was loaded for.
    pub expected: Option<AttachType>,
    /// Its name, for messages and for places that keep one.
    pub name: &'a str,
}

impl Program<'_> {
    /// Its id.
    fn id(&self) -> u32 {
        sys::prog_info(self.fd, ProgParts::default()).map_or(0, |info| info.id)
    }

    /// The attach type that it was loaded for, or the one that its type implies.
    fn attach_type(&self, implied: AttachType) -> AttachType {
        self.expected.unwrap_or(implied)
    }
}

/// Attaches a program.
///
/// # Errors
/// What the kernel has against it, with what helps: the privilege that lacks, the kernel that has the feature, whose
/// program is in the way.
pub fn attach(program: Program<'_>, place: &Place<'_>) -> Result<Link, Diagnostic> {
    place.check(program)?;
    match place {
        Place::Xdp { device, mode, replace } => xdp::attach(program, place, device, *mode, *replace),
        Place::Tc { device, direction, priority, handle, replace } => {
            tc::attach(program, place, device, *direction, (*priority, *handle), *replace)
        }
        Place::Tcx { device, direction, order } => tc::attach_tcx(program, place, device, *direction, *order),
        Place::Netkit { device, side, order } => tc::attach_netkit(program, place, device, *side, *order),
        Place::Route { route, tunnel, replace } => route::attach(program, place, route, *tunnel, *replace),
        Place::Netfilter { family, hook, priority, defragment } => {
            netfilter::attach(program, place, *family, *hook, *priority, *defragment)
        }
        Place::Socket(socket) => socket::attach(program, place, *socket, socket::FILTER),
        Place::Reuseport(socket) => socket::attach(program, place, *socket, socket::REUSEPORT),
        Place::Sockmap(map) => socket::attach_sockmap(program, place, *map),
        Place::Lirc(receiver) => socket::attach_lirc(program, place, *receiver),
        Place::Cgroup { directory, order } => hook::attach_cgroup(program, place, *directory, *order),
        Place::Netns(netns) => hook::attach_netns(program, place, *netns),
        Place::RawTracepoint { name, cookie } => hook::attach_raw_tracepoint(program, place, Some(name), *cookie),
        Place::Loaded { cookie } => hook::attach_raw_tracepoint(program, place, None, *cookie),
        Place::Replace { target, function } => hook::attach_replacement(program, place, *target, *function),
        Place::Iter(over) => hook::attach_iterator(program, place, *over),
        Place::Tracepoint { category, name, cookie } => {
            perf::attach_tracepoint(program, place, category, name, *cookie)
        }
        Place::PerfEvent { event, watched, cookie } => perf::attach(program, place, *event, *watched, *cookie),
        Place::Kprobe { function, offset, ret, cookie } => {
            kprobe::attach(program, place, function, *offset, *ret, *cookie)
        }
        Place::Kprobes { pattern, ret } => kprobe::attach_many(program, place, pattern, *ret),
        Place::Ksyscall { name, ret } => kprobe::attach_syscall(program, place, name, *ret),
        Place::Uprobe { path, function, offset, ret, pid, cookie } => uprobe::attach(
            program,
            place,
            path,
            function,
            *offset,
            uprobe::How { ret: *ret, pid: *pid, cookie: *cookie },
        ),
        Place::Uprobes { path, pattern, ret, pid } => uprobe::attach_many(program, place, path, pattern, *ret, *pid),
        Place::Usdt { path, provider, name, pid, cookie, maps } => {
            usdt::attach(program, place, path, (provider, name), *pid, *cookie, maps.as_ref())
        }
    }
}
