//! A link as text.

use super::{
    json::{event_config, event_type, order_name},
    show::{Seen, attach_name},
};
use crate::bpftool::owners::Owners;
use alveary_abi::{AttachType, Profile};
use alveary_linux::sys::{LinkDetail, PerfDetail};
use std::{
    fmt::{self, Write as _},
    io::{self, Write},
};

/// Flag of a link to many probes: it runs when the functions return.
const RETURNS: u32 = 1;

pub(super) fn link(seen: &Seen, owners: &Owners, names: &Profile, out: &mut dyn Write) -> io::Result<()> {
    let info = &seen.info;
    match info.ty.name() {
        Some(name) => write!(out, "{}: {name}  ", info.id)?,
        None => write!(out, "{}: type {}  ", info.id, info.ty.0)?,
    }
    match info.detail {
        LinkDetail::StructOps { map } => write!(out, "map {map}  ")?,
        _ => write!(out, "prog {}  ", info.prog)?,
    }
    let mut told = String::new();
    detail(seen, names, &mut told).expect("a String takes everything");
    out.write_all(told.as_bytes())?;
    owners.pinned_text(info.id, out)?;
    owners.pids_text(info.id, out)?;
    writeln!(out)
}

fn detail(seen: &Seen, names: &Profile, out: &mut String) -> fmt::Result {
    let attach = |ty: AttachType, out: &mut String| match attach_name(ty, names) {
        Some(name) => write!(out, "attach_type {name}  "),
        None => write!(out, "attach_type {}  ", ty.0),
    };
    let device = |index: u32, out: &mut String| match (&seen.device, index) {
        (Some(name), _) => write!(out, "\n\tifindex {name}({index})  "),
        (None, 0) => write!(out, "\n\tifindex (detached)  "),
        (None, _) => write!(out, "\n\tifindex (unknown)  "),
    };
    match &seen.info.detail {
        LinkDetail::RawTracepoint { name, .. } => write!(out, "\n\ttp '{name}'  "),
        LinkDetail::Tracing { attach_type, target_obj, target_btf, .. } => {
            if let Some(ty) = seen.prog_type {
                match names.prog_type(ty) {
                    Some(row) => write!(out, "\n\tprog_type {}  ", row.name)?,
                    None => write!(out, "\n\tprog_type {}  ", ty.0)?,
                }
            }
            attach(*attach_type, out)?;
            if *target_obj > 0 || target_btf.0 > 0 {
                write!(out, "\n\ttarget_obj_id {target_obj}  target_btf_id {}  ", target_btf.0)?;
            }
            Ok(())
        }
        LinkDetail::Cgroup { id, attach_type } => {
            write!(out, "\n\tcgroup_id {id}  ")?;
            attach(*attach_type, out)
        }
        LinkDetail::Iter { target, map, cgroup, order, tid, pid } => {
            write!(out, "target_name {target}  ")?;
            match &**target {
                "bpf_map_elem" | "bpf_sk_storage_map" => write!(out, "map_id {map}  "),
                "task" | "task_file" | "task_vma" if *tid > 0 => write!(out, "tid {tid} "),
                "task" | "task_file" | "task_vma" if *pid > 0 => write!(out, "pid {pid} "),
                "cgroup" => write!(out, "cgroup_id {cgroup}  order {}  ", order_name(*order)),
                _ => Ok(()),
            }
        }
        LinkDetail::Netns { inode, attach_type } => {
            write!(out, "\n\tnetns_ino {inode}  ")?;
            attach(*attach_type, out)
        }
        LinkDetail::Netfilter { family, hook, priority, flags } => netfilter(*family, *hook, *priority, *flags, out),
        LinkDetail::Xdp { ifindex } => device(*ifindex, out),
        LinkDetail::Tcx { ifindex, attach_type } | LinkDetail::Netkit { ifindex, attach_type } => {
            device(*ifindex, out)?;
            attach(*attach_type, out)
        }
        LinkDetail::Sockmap { map, attach_type } => {
            write!(out, "\n\tmap_id {map}  ")?;
            attach(*attach_type, out)
        }
        LinkDetail::KprobeMulti { flags, missed, addresses, .. } if !addresses.is_empty() => {
            let kind = if flags & RETURNS != 0 { "kretprobe" } else { "kprobe" };
            write!(out, "\n\t{kind}.multi  func_cnt {}  ", addresses.len())?;
            if *missed > 0 {
                write!(out, "missed {missed}  ")?;
            }
            if !seen.functions.is_empty() {
                write!(out, "\n\t{:<16} {:<16} func [module]", "addr", "cookie")?;
            }
            seen.functions.iter().try_for_each(|function| {
                write!(out, "\n\t{:016x} {:<16x} {}", function.address, function.cookie, function.name)?;
                match &*function.module {
                    "" => write!(out, "  "),
                    module => write!(out, " [{module}]  "),
                }
            })
        }
        LinkDetail::UprobeMulti { path, flags, pid, offsets, ref_ctr_offsets, cookies } if !offsets.is_empty() => {
            let kind = if flags & RETURNS != 0 { "uretprobe" } else { "uprobe" };
            write!(out, "\n\t{kind}.multi  path {path}  func_cnt {}  ", offsets.len())?;
            if *pid > 0 {
                write!(out, "pid {pid}  ")?;
            }
            write!(out, "\n\t{:<16}   {:<16}   {:<16}", "offset", "ref_ctr_offset", "cookies")?;
            offsets.iter().enumerate().try_for_each(|(i, offset)| {
                let (reference, cookie) = (ref_ctr_offsets.get(i).unwrap_or(&0), cookies.get(i).unwrap_or(&0));
                write!(out, "\n\t0x{offset:<16x} 0x{reference:<16x} 0x{cookie:<16x}")
            })
        }
        LinkDetail::PerfEvent(event) => perf(event, out),
        LinkDetail::KprobeMulti { .. }
        | LinkDetail::UprobeMulti { .. }
        | LinkDetail::StructOps { .. }
        | LinkDetail::Unknown => Ok(()),
    }
}

/// A netfilter hook.
pub(crate) fn netfilter(family: u32, hook: u32, priority: i32, flags: u32, out: &mut String) -> fmt::Result {
    const FAMILIES: [&str; 11] = ["", "inet", "ip", "arp", "", "netdev", "", "bridge", "", "", "ip6"];
    const HOOKS: [&str; 5] = ["prerouting", "input", "forward", "output", "postrouting"];
    const ARP_HOOKS: [&str; 2] = ["input", "output"];
    let family_name = FAMILIES.get(family as usize).filter(|name| !name.is_empty());
    let hooks: &[&str] = match family_name {
        Some(&"arp") => &ARP_HOOKS,
        Some(&"netdev") | None => &[],
        Some(_) => &HOOKS,
    };
    match family_name {
        Some(name) => write!(out, "\n\t{name}")?,
        None => write!(out, "\n\tpf: {family}")?,
    }
    match hooks.get(hook as usize) {
        Some(name) => write!(out, " {name}")?,
        None => write!(out, ", hook {hook},")?,
    }
    write!(out, " prio {priority}")?;
    if flags != 0 { write!(out, " flags {flags:#x}") } else { Ok(()) }
}

fn perf(event: &PerfDetail, out: &mut String) -> fmt::Result {
    let returning = |returns: bool| if returns { "ret" } else { "" };
    match event {
        PerfDetail::Uprobe { returns, file, offset, cookie, .. } if !file.is_empty() => {
            write!(out, "\n\tu{}probe {file}+{offset:#x}  ", returning(*returns))?;
            cookie_of(*cookie, out)
        }
        PerfDetail::Kprobe { returns, function, offset, address, missed, cookie }
            if *address > 0 || !function.is_empty() =>
        {
            write!(out, "\n\tk{}probe ", returning(*returns))?;
            if *address > 0 {
                write!(out, "{address:x} ")?;
            }
            write!(out, "{function}")?;
            if *offset > 0 {
                write!(out, "+{offset:#x}")?;
            }
            if *missed > 0 {
                write!(out, "  missed {missed}")?;
            }
            if *cookie > 0 {
                write!(out, "  cookie {cookie}")?;
            }
            write!(out, "  ")
        }
        PerfDetail::Tracepoint { name, cookie } if !name.is_empty() => {
            write!(out, "\n\ttracepoint {name}  ")?;
            cookie_of(*cookie, out)
        }
        PerfDetail::Event { ty, config, cookie } => {
            match event_type(*ty) {
                Some(name) => write!(out, "\n\tevent {name}:")?,
                None => write!(out, "\n\tevent {ty} :")?,
            }
            match event_config(*ty, *config) {
                Some(name) => write!(out, "{name}  ")?,
                None => write!(out, "{config}  ")?,
            }
            cookie_of(*cookie, out)
        }
        PerfDetail::Uprobe { .. } | PerfDetail::Kprobe { .. } | PerfDetail::Tracepoint { .. } | PerfDetail::Unknown => {
            Ok(())
        }
    }
}

fn cookie_of(cookie: u64, out: &mut String) -> fmt::Result {
    if cookie > 0 { write!(out, "cookie {cookie}  ") } else { Ok(()) }
}
