//! Packets of a device with their `sk_buff`: filters in `clsact`, and the lists of tcx and netkit.

use super::{
    Device, Direction, Link, Place, Program, Side,
    explain::{refused, refused_by_netlink},
    link::Part,
    owner,
};
use crate::{
    netlink::{Filter, Parent, add_clsact, add_filter, delete_clsact, delete_filter, filters},
    sys::{LinkCreate, LinkOptions, Order, ProgQuery, Target},
};
use alveary_abi::{AttachType, Errno};
use alveary_diag::Diagnostic;

pub(super) fn attach(
    program: Program<'_>,
    place: &Place<'_>,
    device: &Device,
    direction: Direction,
    (priority, handle): (u16, u32),
    replace: bool,
) -> Result<Link, Diagnostic> {
    let failed = |refusal| refused_by_netlink(program, place, &refusal);
    let parent = match direction {
        Direction::Ingress => Parent::Ingress,
        Direction::Egress => Parent::Egress,
    };
    let made_clsact = add_clsact(device.index).map_err(failed)?;
    let others = filters(device.index, parent);
    let name = program.name.to_owned();
    let wanted = Filter { device: device.index, parent, priority, handle, name, prog: 0 };
    let filter = match add_filter(&wanted, program.fd, replace) {
        Ok(filter) => filter,
        Err(refusal) => {
            if made_clsact {
                // As it was before.
                let _ = delete_clsact(device.index);
            }
            let why = failed(refusal.clone());
            let there = others.iter().find(|other| other.priority == priority && other.handle == handle);
            return Err(match there {
                Some(other) if refusal.errno == Errno::EEXIST => why
                    .note(format!("priority {priority}, handle {handle} is {}", owner::describe(other.prog, None)))
                    .help("`--replace` puts this program in its place; another priority runs both"),
                _ => why,
            });
        }
    };
    let note =
        others.iter().filter(|other| (other.priority, other.handle) != (filter.priority, filter.handle)).map(|other| {
            let side = if other.priority < filter.priority { "runs before" } else { "runs behind" };
            format!("{} {side} it, with priority {}", owner::describe(other.prog, None), other.priority)
        });
    let notes: Vec<String> = note.collect();
    let mut link = Link::of(place, TcFilter { filter, device: device.clone(), made_clsact });
    for note in notes {
        link = link.noting(note);
    }
    Ok(link)
}

/// A filter: the device holds it until someone takes it off.
#[derive(Debug)]
struct TcFilter {
    filter: Filter,
    device: Device,
    /// `clsact` was not there before us: it goes with its last filter.
    made_clsact: bool,
}

impl Part for TcFilter {
    fn detach(&mut self) -> Result<(), Diagnostic> {
        let device = self.device.index;
        delete_filter(&self.filter).map_err(|refusal| {
            let message = format!("the filter `{}` of {} cannot be removed", self.filter.name, self.device.name);
            Diagnostic::new("detach", message, alveary_diag::Place::Nowhere).found(refusal.errno.to_string())
        })?;
        let unused = [Parent::Ingress, Parent::Egress].iter().all(|parent| filters(device, *parent).is_empty());
        if self.made_clsact && unused {
            // Somebody may have removed it already.
            let _ = delete_clsact(device);
        }
        Ok(())
    }

    fn replace(&mut self, program: Program<'_>) -> Option<Result<(), Diagnostic>> {
        let direction = match self.filter.parent {
            Parent::Ingress => Direction::Ingress,
            Parent::Egress => Direction::Egress,
        };
        let (priority, handle) = (self.filter.priority, self.filter.handle);
        let place = Place::Tc { device: self.device.clone(), direction, priority, handle, replace: true };
        self.filter.name = program.name.to_owned();
        let done = add_filter(&self.filter, program.fd, true);
        Some(done.map(drop).map_err(|refusal| refused_by_netlink(program, &place, &refusal)))
    }

    fn outlives_us(&self) -> bool {
        true
    }
}

pub(super) fn attach_tcx(
    program: Program<'_>,
    place: &Place<'_>,
    device: &Device,
    direction: Direction,
    order: Order<'_>,
) -> Result<Link, Diagnostic> {
    let ty = match direction {
        Direction::Ingress => AttachType::TCX_INGRESS,
        Direction::Egress => AttachType::TCX_EGRESS,
    };
    attach_to_list(program, place, device, ty, order)
}

pub(super) fn attach_netkit(
    program: Program<'_>,
    place: &Place<'_>,
    device: &Device,
    side: Side,
    order: Order<'_>,
) -> Result<Link, Diagnostic> {
    let ty = match side {
        Side::Primary => AttachType::NETKIT_PRIMARY,
        Side::Peer => AttachType::NETKIT_PEER,
    };
    attach_to_list(program, place, device, ty, order)
}

fn attach_to_list(
    program: Program<'_>,
    place: &Place<'_>,
    device: &Device,
    ty: AttachType,
    order: Order<'_>,
) -> Result<Link, Diagnostic> {
    let target = Target::Device(device.index);
    let create = LinkCreate { options: LinkOptions::Order(order), ..LinkCreate::new(program.fd, target, ty) };
    let fd = create.create().map_err(|error| refused(program, place, &error))?;
    let mut link = Link::of_fd(place, fd);
    let list = ProgQuery { target, ty, flags: 0 }.query().unwrap_or_default();
    let ours = program.id();
    let at = list.progs.iter().position(|prog| *prog == ours).unwrap_or(list.progs.len());
    for (index, prog) in list.progs.iter().enumerate().filter(|(index, _)| *index != at) {
        let side = if index < at { "runs before" } else { "runs behind" };
        let its_link = list.links.get(index).copied().filter(|id| *id != 0);
        link = link.noting(format!("{} {side} it", owner::describe(*prog, its_link)));
    }
    Ok(link)
}
