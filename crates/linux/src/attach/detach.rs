//! Taking off what somebody attached: by its pin, or by what it hangs on.

use super::{Device, Direction, owner};
use crate::{
    netlink::{Filter, Parent, SetXdp, delete_clsact, delete_filter, device_xdp, filters, set_xdp},
    sys::{self, Object, PathFlags, link_detach},
};
use alveary_abi::Errno;
use alveary_diag::{Diagnostic, Place as At};
use std::{fs, os::fd::AsFd, path::Path};

/// Detaches the link that is pinned there, or all links of a folder of pins, and removes the files.
///
/// # Errors
/// If there is no link, or a file cannot be removed.
pub fn detach_pinned(path: &Path) -> Result<(), Diagnostic> {
    let failed = |error: std::io::Error| {
        Diagnostic::new("detach", format!("{} cannot be removed: {error}", path.display()), At::Nowhere)
    };
    if path.is_dir() {
        for entry in fs::read_dir(path).map_err(failed)? {
            detach_pinned(&entry.map_err(failed)?.path())?;
        }
        return fs::remove_dir(path).map_err(failed);
    }
    let object = sys::obj_get(path, PathFlags::default())?;
    sys::link_info(object.as_fd()).map_err(|_| {
        Diagnostic::new("detach", format!("{} is no link", path.display()), At::Nowhere)
            .expected("a link that was pinned, as by `alveary attach --pin`")
    })?;
    match link_detach(object.as_fd()) {
        // This kind goes with its last holder alone.
        Err(error) if error.errno() != Errno::EOPNOTSUPP => return Err(error.diagnostic()),
        _ => {}
    }
    fs::remove_file(path).map_err(failed)
}

/// Takes the XDP programs of a device off, however they came; gives what they were.
///
/// # Errors
/// If there are none, and the kernel's.
pub fn detach_xdp(device: &Device) -> Result<Vec<String>, Diagnostic> {
    let there = device_xdp(device.index).progs;
    if there.is_empty() {
        return Err(Diagnostic::new("detach", format!("no XDP program is attached to {}", device.name), At::Nowhere));
    }
    let mut taken = Vec::new();
    for (slot, prog) in there {
        let link = super::xdp::link_of(device, prog);
        taken.push(owner::describe(prog, link));
        if let Some(id) = link {
            link_detach(sys::open_id(Object::Link, id, 0, None)?.as_fd())?;
            continue;
        }
        let flags = super::xdp::flags_of(slot);
        let set = SetXdp { device: device.index, program: None, flags, expected: None };
        set_xdp(&set).map_err(|refusal| {
            let message = format!("the XDP program of {} cannot be taken off", device.name);
            Diagnostic::new("detach", message, At::Nowhere)
                .kernel(format!("rtnetlink: {} {}", refusal.errno, refusal.text))
        })?;
    }
    Ok(taken)
}

/// Removes a filter of `clsact`; without a priority the only one. `clsact` goes with its last filter.
///
/// # Errors
/// If there is none, or more than one fits.
pub fn detach_tc(device: &Device, direction: Direction, priority: Option<u16>) -> Result<String, Diagnostic> {
    let parent = match direction {
        Direction::Ingress => Parent::Ingress,
        Direction::Egress => Parent::Egress,
    };
    let all = filters(device.index, parent);
    let fitting: Vec<&Filter> = all.iter().filter(|filter| priority.is_none_or(|p| filter.priority == p)).collect();
    let named = |filter: &&Filter| format!("{} with priority {}", owner::describe(filter.prog, None), filter.priority);
    let [filter] = fitting[..] else {
        let wrong = |message: String| Diagnostic::new("detach", message, At::Nowhere);
        let list = |some: &[&Filter]| some.iter().map(named).collect::<Vec<_>>().join("; ");
        let name = &device.name;
        let direction = if direction == Direction::Ingress { "ingress" } else { "egress" };
        return Err(match (&fitting[..], &all[..]) {
            ([], []) => wrong(format!("no filter with a program is attached to {direction} of {name}")),
            ([], _) => wrong(format!("no filter of {direction} of {name} has this priority"))
                .found(list(&all.iter().collect::<Vec<_>>())),
            _ => wrong(format!("which filter of {direction} of {name}?"))
                .found(list(&fitting))
                .help("name its priority: `--priority N`"),
        });
    };
    delete_filter(filter).map_err(|refusal| {
        Diagnostic::new("detach", format!("the filter of {} cannot be removed", device.name), At::Nowhere)
            .kernel(format!("rtnetlink: {}", refusal.errno))
    })?;
    let unused = [Parent::Ingress, Parent::Egress].iter().all(|parent| filters(device.index, *parent).is_empty());
    if unused {
        // Somebody may have removed it already.
        let _ = delete_clsact(device.index);
    }
    Ok(named(&filter))
}
