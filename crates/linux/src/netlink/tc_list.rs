//! Every BPF filter of devices, wherever it hangs: in classes, in queueing disciplines, in `clsact`.

use super::{
    message::{Message, Refusal, Request, attributes, number, string},
    socket::Socket,
    tc::{Parent, RTM_GETTFILTER, RTM_NEWTFILTER, TCA_BPF_ID, TCA_BPF_NAME, TCA_KIND, TCA_OPTIONS, TCMSG, tcmsg},
};

const RTM_GETQDISC: u16 = 38;
const RTM_GETTCLASS: u16 = 42;
const TC_H_ROOT: u32 = u32::MAX;
const TCA_BPF_ACT: u16 = 1;
const TCA_ACT_KIND: u16 = 1;
const TCA_ACT_OPTIONS: u16 = 2;
const TCA_ACT_BPF_NAME: u16 = 6;
const TCA_ACT_BPF_ID: u16 = 9;

/// A BPF filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedFilter {
    /// What it hangs on: `clsact/ingress`, `root`, the kind of a class or queueing discipline.
    pub at: String,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Id of its program, if the kernel says it.
    pub prog: Option<u32>,
    /// The BPF actions that follow; `None` if there is no list of actions.
    pub actions: Option<Vec<Action>>,
}

/// A BPF action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Id of its program, if the kernel says it.
    pub prog: Option<u32>,
}

/// The BPF filters of devices, for each: of its classes, of its queueing disciplines, at the root, in `clsact`.
///
/// # Errors
/// The kernel's.
pub fn listed_filters(devices: &[u32]) -> Result<Vec<Vec<ListedFilter>>, Refusal> {
    let mut socket = Socket::open()?;
    // The kernel lists those of every device.
    let disciplines = socket.dump(Request::new(RTM_GETQDISC, 0, &tcmsg(0, 0, 0, 0)), |message| {
        Some((number::<u32>(message.body, 4)?, place(message)?))
    })?;
    let of_device = |device: &u32| {
        let own = disciplines.iter().filter(|(of, (handle, kind))| of == device && *handle != 0 && kind != "clsact");
        filters_of(*device, own.map(|(_, place)| place.clone()), &mut socket)
    };
    devices.iter().map(of_device).collect()
}

fn filters_of(
    device: u32,
    disciplines: impl Iterator<Item = (u32, String)>,
    socket: &mut Socket,
) -> Result<Vec<ListedFilter>, Refusal> {
    let mut places = socket.dump(Request::new(RTM_GETTCLASS, 0, &tcmsg(device, 0, 0, 0)), place)?;
    places.extend(disciplines);
    places.push((TC_H_ROOT, "root".to_owned()));
    places.push((Parent::Ingress.number(), "clsact/ingress".to_owned()));
    places.push((Parent::Egress.number(), "clsact/egress".to_owned()));
    let mut all = Vec::new();
    for (parent, at) in places {
        let request = Request::new(RTM_GETTFILTER, 0, &tcmsg(device, 0, parent, 0));
        all.extend(socket.dump(request, |message| filter(message, &at))?);
    }
    Ok(all)
}

/// Handle and kind of a class or queueing discipline.
fn place(message: Message<'_>) -> Option<(u32, String)> {
    let kind = message.attributes(TCMSG).find(|(ty, _)| *ty == TCA_KIND);
    Some((number(message.body, 8)?, kind.map_or_else(|| "unknown".to_owned(), |(_, kind)| string(kind))))
}

fn filter(message: Message<'_>, at: &str) -> Option<ListedFilter> {
    let value = |wanted| message.attributes(TCMSG).find(|(ty, _)| *ty == wanted).map(|(_, value)| value);
    // A list also has an entry for each priority, which has no options.
    let options = value(TCA_OPTIONS)?;
    if message.ty != RTM_NEWTFILTER || string(value(TCA_KIND)?) != "bpf" {
        return None;
    }
    let mut filter = ListedFilter { at: at.to_owned(), ..ListedFilter::default() };
    for (ty, value) in attributes(options) {
        match ty {
            TCA_BPF_NAME => filter.name = Some(string(value)),
            TCA_BPF_ID => filter.prog = number(value, 0),
            TCA_BPF_ACT => filter.actions = Some(attributes(value).filter_map(|(_, one)| action(one)).collect()),
            _ => {}
        }
    }
    Some(filter)
}

fn action(bytes: &[u8]) -> Option<Action> {
    let value = |wanted| attributes(bytes).find(|(ty, _)| *ty == wanted).map(|(_, value)| value);
    if string(value(TCA_ACT_KIND)?) != "bpf" {
        return None;
    }
    let mut action = Action::default();
    for (ty, value) in attributes(value(TCA_ACT_OPTIONS)?) {
        match ty {
            TCA_ACT_BPF_NAME => action.name = Some(string(value)),
            TCA_ACT_BPF_ID => action.prog = number(value, 0),
            _ => {}
        }
    }
    Some(action)
}
