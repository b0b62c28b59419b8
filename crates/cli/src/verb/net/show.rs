//! `alveary net show`: what runs on the network devices of this network namespace.

use super::routes::Routed;
use crate::{
    bpftool::{device, json::Json, options::Shape, select, words::Words},
    failure::Failure,
    output,
    verb::link::netfilter_text,
};
use alveary_abi::{AttachType, Errno};
use alveary_diag::{Diagnostic, Place};
use alveary_linux::{
    netlink::{self, ListedFilter, NetDevice, XdpSlot},
    sys::{self, LinkDetail, Object, ProgParts, ProgQuery, Queried, Target},
};
use alveary_sort::Sort;
use clap::Args;
use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
};

/// Show XDP, tc, tcx and netkit programs, flow dissectors, netfilter programs and those of routes: of all devices, or of one
#[derive(Debug, Args)]
pub(super) struct Show {
    /// `dev NAME`
    #[arg(value_name = "DEVICE")]
    words: Vec<String>,
}

impl Show {
    pub(super) fn run(&self, shape: Shape) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        let only = if words.is_empty() { None } else { Some(device::behind_dev(&mut words)?) };
        words.end()?;
        let seen = Seen::of(only)?;
        output::bare(|out| match shape {
            Shape::Text => seen.text(out),
            Shape::Json { pretty } => {
                Json::new(&mut *out, pretty).array(|json| json.object(|json| seen.json(json)))?;
                writeln!(out)
            }
        })
    }
}

/// All that is shown.
struct Seen {
    devices: Vec<Device>,
    flow_dissector: Option<u32>,
    netfilter: Vec<Netfilter>,
    routes: Vec<Routed>,
}

struct Device {
    net: NetDevice,
    listed: Vec<Listed>,
    filters: Vec<ListedFilter>,
}

/// A program of tcx or netkit.
struct Listed {
    at: &'static str,
    name: String,
    prog: u32,
    prog_flags: u32,
    link: u32,
    link_flags: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Netfilter {
    family: u32,
    hook: u32,
    priority: i32,
    flags: u32,
    prog: u32,
}

/// The lists of a device, in the order in which they are shown.
const LISTS: [(AttachType, &str); 4] = [
    (AttachType::TCX_INGRESS, "tcx/ingress"),
    (AttachType::TCX_EGRESS, "tcx/egress"),
    (AttachType::NETKIT_PRIMARY, "netkit/primary"),
    (AttachType::NETKIT_PEER, "netkit/peer"),
];

impl Seen {
    fn of(only: Option<u32>) -> Result<Seen, Failure> {
        let flow_dissector = flow_dissector()?;
        let devices = netlink::devices().map_err(unreadable)?;
        let wanted = |device: &NetDevice| only.is_none_or(|index| index == device.index);
        let devices: Vec<_> = devices.into_iter().filter(wanted).collect();
        let routes = Routed::all(&devices)?;
        let indices: Vec<_> = devices.iter().map(|device| device.index).collect();
        let filters = netlink::listed_filters(&indices).map_err(unreadable)?;
        let devices = devices.into_iter().zip(filters).map(|(net, filters)| Device::of(net, filters)).collect();
        Ok(Seen { devices, flow_dissector, netfilter: netfilter()?, routes })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "xdp:")?;
        for Device { net, .. } in self.devices.iter().filter(|device| !device.net.xdp.progs.is_empty()) {
            write!(out, "{}({})", net.name, net.index)?;
            net.xdp.progs.iter().try_for_each(|(slot, id)| write!(out, " {} id {id}", slot_name(*slot)))?;
            writeln!(out)?;
        }
        writeln!(out, "\ntc:")?;
        for device in &self.devices {
            device.listed.iter().try_for_each(|one| one.text(&device.net, out))?;
            device.filters.iter().try_for_each(|filter| filter_text(filter, &device.net, out))?;
        }
        writeln!(out, "\nflow_dissector:")?;
        if let Some(id) = self.flow_dissector {
            write!(out, "id {id}")?;
        }
        writeln!(out, "\nnetfilter:")?;
        for one in &self.netfilter {
            let mut line = String::new();
            let written = netfilter_text(one.family, one.hook, one.priority, one.flags, &mut line);
            written.expect("a String takes everything");
            write!(out, "{line} prog_id {}", one.prog)?;
        }
        writeln!(out)?;
        // bpftool has no such list: without routes there is none here either.
        if !self.routes.is_empty() {
            writeln!(out, "routes:")?;
        }
        self.routes.iter().try_for_each(|one| one.text(&self.net(), out))
    }

    fn net(&self) -> Vec<NetDevice> {
        self.devices.iter().map(|device| device.net.clone()).collect()
    }

    fn json(&self, json: &mut Json<'_>) -> io::Result<()> {
        json.name("xdp")?;
        json.array(|json| self.devices.iter().try_for_each(|device| xdp_json(&device.net, json)))?;
        json.name("tc")?;
        json.array(|json| {
            self.devices.iter().try_for_each(|device| {
                device.listed.iter().try_for_each(|one| one.json(&device.net, json))?;
                device.filters.iter().try_for_each(|filter| filter_json(filter, &device.net, json))
            })
        })?;
        json.name("flow_dissector")?;
        json.array(|json| self.flow_dissector.iter().try_for_each(|id| json.object(|json| json.field("id", *id))))?;
        json.name("netfilter")?;
        json.array(|json| {
            self.netfilter.iter().try_for_each(|one| {
                json.object(|json| {
                    json.field("pf", one.family)?;
                    json.field("hook", one.hook)?;
                    json.field("prio", one.priority)?;
                    json.field("flags", one.flags)?;
                    json.field("id", one.prog)
                })
            })
        })?;
        if self.routes.is_empty() {
            return Ok(());
        }
        json.name("routes")?;
        json.array(|json| self.routes.iter().try_for_each(|one| one.json(&self.net(), json)))
    }
}

impl Device {
    fn of(net: NetDevice, filters: Vec<ListedFilter>) -> Device {
        let mut listed = Vec::new();
        for (ty, at) in LISTS {
            // Devices and kernels without such a list have nothing in it.
            let Ok(found) = (ProgQuery { target: Target::Device(net.index), ty, flags: 0 }).query() else { continue };
            listed.extend((0..found.progs.len()).map(|i| Listed::of(at, &found, i)));
        }
        Device { net, listed, filters }
    }
}

impl Listed {
    fn of(at: &'static str, found: &Queried, index: usize) -> Listed {
        let number = |list: &[u32]| list.get(index).copied().unwrap_or(0);
        let prog = number(&found.progs);
        let name = sys::open_id(Object::Prog, prog, 0, None).and_then(|fd| {
            let info = sys::prog_info(fd.as_fd(), ProgParts::default())?;
            Ok(select::full_name(fd.as_fd(), &info))
        });
        Listed {
            at,
            name: name.unwrap_or_default(),
            prog,
            prog_flags: number(&found.prog_flags),
            link: number(&found.links),
            link_flags: number(&found.link_flags),
        }
    }

    fn text(&self, net: &NetDevice, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{}({}) {}", net.name, net.index, self.at)?;
        if !self.name.is_empty() {
            write!(out, " {}", self.name)?;
        }
        write!(out, " prog_id {} ", self.prog)?;
        let flags = |out: &mut dyn Write, name: &str, flags: u32| {
            if flags == 0 {
                return Ok(());
            }
            write!(out, "{name} ")?;
            bits(flags).try_for_each(|bit| write!(out, "{bit} "))
        };
        flags(out, "prog_flags", self.prog_flags)?;
        if self.link != 0 {
            write!(out, "link_id {} ", self.link)?;
            flags(out, "link_flags", self.link_flags)?;
        }
        writeln!(out)
    }

    fn json(&self, net: &NetDevice, json: &mut Json<'_>) -> io::Result<()> {
        json.object(|json| {
            json.field("devname", &net.name)?;
            json.field("ifindex", net.index)?;
            json.field("kind", self.at)?;
            if !self.name.is_empty() {
                json.field("name", &self.name)?;
            }
            json.field("prog_id", self.prog)?;
            json.list("prog_flags", bits(self.prog_flags))?;
            json.field("link_id", self.link)?;
            json.list("link_flags", bits(self.link_flags))
        })
    }
}

fn bits(flags: u32) -> impl Iterator<Item = u32> {
    (0..32).map(|bit| 1 << bit).filter(move |bit| flags & bit != 0)
}

fn slot_name(slot: XdpSlot) -> &'static str {
    match slot {
        XdpSlot::Native => "driver",
        XdpSlot::Generic => "generic",
        XdpSlot::Offload => "offload",
    }
}

fn xdp_json(net: &NetDevice, json: &mut Json<'_>) -> io::Result<()> {
    let program = |(slot, id): &(XdpSlot, u32), json: &mut Json<'_>| {
        json.field("mode", slot_name(*slot))?;
        json.field("id", *id)
    };
    if net.xdp.progs.is_empty() {
        return Ok(());
    }
    json.object(|json| {
        json.field("devname", &net.name)?;
        json.field("ifindex", net.index)?;
        match &net.xdp.progs[..] {
            [only] => program(only, json),
            several => {
                json.name("multi_attachments")?;
                json.array(|json| several.iter().try_for_each(|one| json.object(|json| program(one, json))))
            }
        }
    })
}

fn filter_text(filter: &ListedFilter, net: &NetDevice, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{}({}) {}", net.name, net.index, filter.at)?;
    if let Some(name) = &filter.name {
        write!(out, " {name}")?;
    }
    if let Some(id) = filter.prog {
        write!(out, " id {id}")?;
    }
    if let Some(actions) = &filter.actions {
        write!(out, " act [")?;
        for action in actions {
            write!(out, "{{{}", action.name.as_deref().unwrap_or_default())?;
            if let Some(id) = action.prog {
                write!(out, " id {id}")?;
            }
            write!(out, "}}")?;
        }
        write!(out, "] ")?;
    }
    writeln!(out)
}

fn filter_json(filter: &ListedFilter, net: &NetDevice, json: &mut Json<'_>) -> io::Result<()> {
    let program = |name: &Option<String>, prog: Option<u32>, json: &mut Json<'_>| {
        if let Some(name) = name {
            json.field("name", name)?;
        }
        prog.map_or(Ok(()), |id| json.field("id", id))
    };
    json.object(|json| {
        json.field("devname", &net.name)?;
        json.field("ifindex", net.index)?;
        json.field("kind", &filter.at)?;
        program(&filter.name, filter.prog, json)?;
        let Some(actions) = &filter.actions else { return Ok(()) };
        json.name("act")?;
        json.array(|json| {
            actions.iter().try_for_each(|action| json.object(|json| program(&action.name, action.prog, json)))
        })
    })
}

/// The flow dissector of this network namespace.
fn flow_dissector() -> Result<Option<u32>, Failure> {
    let path = std::path::Path::new("/proc/self/ns/net");
    let namespace = File::open(path).map_err(|why| Failure::file("open", path, &why))?;
    let query = ProgQuery { target: Target::Fd(namespace.as_fd()), ty: AttachType::FLOW_DISSECTOR, flags: 0 };
    match query.query() {
        Ok(found) => Ok(found.progs.first().copied()),
        // Kernels that cannot tell.
        Err(why) if why.errno() == Errno::EINVAL => Ok(None),
        Err(why) => Err(why.into()),
    }
}

/// Netfilter programs, which have links: by family, hook and priority.
fn netfilter() -> Result<Vec<Netfilter>, Failure> {
    let mut found = Vec::new();
    for fd in select::all(Object::Link) {
        let info = sys::link_info(fd?.as_fd())?;
        if let LinkDetail::Netfilter { family, hook, priority, flags } = info.detail {
            found.push(Netfilter { family, hook, priority, flags, prog: info.prog });
        }
    }
    found.order();
    Ok(found)
}

pub(super) fn unreadable(why: netlink::Refusal) -> Failure {
    let text = if why.text.is_empty() { why.errno.to_string() } else { why.text };
    Diagnostic::new("netlink", format!("the kernel does not tell of its devices and routes: {text}"), Place::Nowhere)
        .into()
}
