//! A link as JSON.

use super::show::{Seen, attach_name};
use crate::bpftool::{
    json::{Json, Verbatim},
    owners::Owners,
};
use alveary_abi::{AttachType, Profile};
use alveary_linux::sys::{LinkDetail, PerfDetail};
use std::io;

/// Flag of a link to many probes: it runs when the functions return.
const RETURNS: u32 = 1;

pub(super) fn link(seen: &Seen, owners: &Owners, names: &Profile, json: &mut Json<'_>) -> io::Result<()> {
    let info = &seen.info;
    json.object(|json| {
        json.field("id", info.id)?;
        match info.ty.name() {
            Some(name) => json.field("type", name)?,
            None => json.field("type", info.ty.0)?,
        }
        json.field("prog_id", info.prog)?;
        detail(seen, names, json)?;
        owners.json(info.id, json)
    })
}

fn detail(seen: &Seen, names: &Profile, json: &mut Json<'_>) -> io::Result<()> {
    let attach = |ty: AttachType, json: &mut Json<'_>| match attach_name(ty, names) {
        Some(name) => json.field("attach_type", name),
        None => json.field("attach_type", ty.0),
    };
    let device = |index: u32, json: &mut Json<'_>| {
        let unnamed = if index == 0 { "(detached)" } else { "(unknown)" };
        json.field("devname", seen.device.as_deref().unwrap_or(unnamed))?;
        json.field("ifindex", index)
    };
    match &seen.info.detail {
        LinkDetail::RawTracepoint { name, .. } => json.field("tp_name", name),
        LinkDetail::Tracing { attach_type, target_obj, target_btf, .. } => {
            if let Some(ty) = seen.prog_type {
                match names.prog_type(ty) {
                    Some(row) => json.field("prog_type", row.name)?,
                    None => json.field("prog_type", ty.0)?,
                }
            }
            attach(*attach_type, json)?;
            json.field("target_obj_id", *target_obj)?;
            json.field("target_btf_id", target_btf.0)
        }
        LinkDetail::Cgroup { id, attach_type } => {
            json.field("cgroup_id", *id)?;
            attach(*attach_type, json)
        }
        LinkDetail::Iter { target, map, cgroup, order, tid, pid } => {
            json.field("target_name", target)?;
            match &**target {
                "bpf_map_elem" | "bpf_sk_storage_map" => json.field("map_id", *map),
                "task" | "task_file" | "task_vma" if *tid > 0 => json.field("tid", *tid),
                "task" | "task_file" | "task_vma" if *pid > 0 => json.field("pid", *pid),
                "cgroup" => {
                    json.field("cgroup_id", *cgroup)?;
                    json.field("order", order_name(*order))
                }
                _ => Ok(()),
            }
        }
        LinkDetail::Netns { inode, attach_type } => {
            json.field("netns_ino", *inode)?;
            attach(*attach_type, json)
        }
        LinkDetail::Netfilter { family, hook, priority, flags } => {
            json.field("pf", *family)?;
            json.field("hook", *hook)?;
            json.field("prio", *priority)?;
            json.field("flags", *flags)
        }
        LinkDetail::Xdp { ifindex } => device(*ifindex, json),
        LinkDetail::Tcx { ifindex, attach_type } | LinkDetail::Netkit { ifindex, attach_type } => {
            device(*ifindex, json)?;
            attach(*attach_type, json)
        }
        LinkDetail::Sockmap { map, attach_type } => {
            json.field("map_id", *map)?;
            attach(*attach_type, json)
        }
        LinkDetail::StructOps { map } => json.field("map_id", *map),
        LinkDetail::KprobeMulti { flags, missed, addresses, .. } => {
            json.field("retprobe", flags & RETURNS != 0)?;
            json.field("func_cnt", addresses.len())?;
            json.field("missed", *missed)?;
            json.name("funcs")?;
            json.array(|json| {
                seen.functions.iter().try_for_each(|function| {
                    json.object(|json| {
                        json.field("addr", function.address)?;
                        json.field("func", &function.name)?;
                        match &*function.module {
                            "" => json.field("module", Verbatim(format_args!("null")))?,
                            module => json.field("module", module)?,
                        }
                        json.field("cookie", function.cookie)
                    })
                })
            })
        }
        LinkDetail::UprobeMulti { path, flags, pid, offsets, ref_ctr_offsets, cookies } => {
            json.field("retprobe", flags & RETURNS != 0)?;
            json.field("path", path)?;
            json.field("func_cnt", offsets.len())?;
            json.field("pid", *pid as i32)?;
            json.name("funcs")?;
            json.array(|json| {
                offsets.iter().enumerate().try_for_each(|(i, offset)| {
                    json.object(|json| {
                        json.field("offset", *offset)?;
                        json.field("ref_ctr_offset", ref_ctr_offsets.get(i).copied().unwrap_or(0))?;
                        json.field("cookie", cookies.get(i).copied().unwrap_or(0))
                    })
                })
            })
        }
        LinkDetail::PerfEvent(event) => perf(event, json),
        LinkDetail::Unknown => Ok(()),
    }
}

fn perf(event: &PerfDetail, json: &mut Json<'_>) -> io::Result<()> {
    match event {
        PerfDetail::Uprobe { returns, file, offset, cookie, .. } => {
            json.field("retprobe", *returns)?;
            json.field("file", file)?;
            json.field("offset", *offset)?;
            json.field("cookie", *cookie)
        }
        PerfDetail::Kprobe { returns, function, offset, address, missed, cookie } => {
            json.field("retprobe", *returns)?;
            json.field("addr", *address)?;
            json.field("func", function)?;
            json.field("offset", *offset)?;
            json.field("missed", *missed)?;
            json.field("cookie", *cookie)
        }
        PerfDetail::Tracepoint { name, cookie } => {
            json.field("tracepoint", name)?;
            json.field("cookie", *cookie)
        }
        PerfDetail::Event { ty, config, cookie } => {
            match event_type(*ty) {
                Some(name) => json.field("event_type", name)?,
                None => json.field("event_type", *ty)?,
            }
            match event_config(*ty, *config) {
                Some(name) => json.field("event_config", &name)?,
                None => json.field("event_config", *config)?,
            }
            json.field("cookie", *cookie)
        }
        PerfDetail::Unknown => Ok(()),
    }
}

/// The order in which an iterator walks over cgroups (`enum bpf_cgroup_iter_order`).
pub(super) fn order_name(order: u32) -> &'static str {
    const NAMES: [&str; 5] = ["order_unspec", "self_only", "descendants_pre", "descendants_post", "ancestors_up"];
    NAMES.get(order as usize).copied().unwrap_or("unknown")
}

/// Kinds of perf events (`enum perf_type_id`).
pub(super) fn event_type(ty: u32) -> Option<&'static str> {
    const NAMES: [&str; 6] = ["hardware", "software", "tracepoint", "hw-cache", "raw", "breakpoint"];
    NAMES.get(ty as usize).copied()
}

/// What a perf event counts, by its kind.
pub(super) fn event_config(ty: u32, config: u64) -> Option<String> {
    const HARDWARE: [&str; 10] = [
        "cpu-cycles",
        "instructions",
        "cache-references",
        "cache-misses",
        "branch-instructions",
        "branch-misses",
        "bus-cycles",
        "stalled-cycles-frontend",
        "stalled-cycles-backend",
        "ref-cycles",
    ];
    const SOFTWARE: [&str; 11] = [
        "cpu-clock",
        "task-clock",
        "page-faults",
        "context-switches",
        "cpu-migrations",
        "minor-faults",
        "major-faults",
        "alignment-faults",
        "emulation-faults",
        "dummy",
        "bpf-output",
    ];
    const CACHES: [&str; 7] = ["L1-dcache", "L1-icache", "LLC", "dTLB", "iTLB", "branch", "node"];
    const OPERATIONS: [&str; 3] = ["load", "store", "prefetch"];
    const RESULTS: [&str; 2] = ["access", "miss"];
    let name = |names: &[&str], number: u64| -> String {
        names.get(number as usize).map_or_else(|| number.to_string(), |name| (*name).to_owned())
    };
    match ty {
        0 => HARDWARE.get(config as usize).map(|name| (*name).to_owned()),
        1 => SOFTWARE.get(config as usize).map(|name| (*name).to_owned()),
        3 => {
            let cache = name(&CACHES, config & 0xff);
            Some(format!("{cache}-{}-{}", name(&OPERATIONS, config >> 8 & 0xff), name(&RESULTS, config >> 16)))
        }
        _ => None,
    }
}
