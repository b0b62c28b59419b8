//! `clsact`, the queueing discipline that does not queue, and the BPF filters that hang on it.

use super::{
    AF_UNSPEC,
    message::{
        Message, NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL, NLM_F_REPLACE, Refusal, Request, attributes, number, string,
    },
    socket::{change, dump},
};
use std::os::fd::{AsRawFd, BorrowedFd};

const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;
pub(super) const RTM_NEWTFILTER: u16 = 44;
const RTM_DELTFILTER: u16 = 45;
pub(super) const RTM_GETTFILTER: u16 = 46;
/// Bytes of `struct tcmsg`.
pub(super) const TCMSG: usize = 20;
pub(super) const TCA_KIND: u16 = 1;
pub(super) const TCA_OPTIONS: u16 = 2;
const TCA_BPF_FD: u16 = 6;
pub(super) const TCA_BPF_NAME: u16 = 7;
const TCA_BPF_FLAGS: u16 = 8;
pub(super) const TCA_BPF_ID: u16 = 11;
/// The program's verdict is what happens, not the class of the packet.
const ACT_DIRECT: u32 = 1;
/// Any protocol (`ETH_P_ALL`), as on the wire.
const ALL_PROTOCOLS: u32 = 0x0003_u16.to_be() as u32;
const CLSACT: u32 = 0xffff_fff1;
const CLSACT_HANDLE: u32 = 0xffff_0000;

/// Where in `clsact` a filter hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Parent {
    Ingress,
    Egress,
}

impl Parent {
    pub(super) fn number(self) -> u32 {
        match self {
            Parent::Ingress => 0xffff_fff2,
            Parent::Egress => 0xffff_fff3,
        }
    }
}

/// A BPF filter of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Number of the device.
    pub device: u32,
    /// Where it hangs.
    pub parent: Parent,
    /// Filters run in the order of this number; 0: the kernel picks one.
    pub priority: u16,
    /// Its number among those of its priority; 0: the kernel picks one.
    pub handle: u32,
    /// Its name.
    pub name: String,
    /// Id of its program.
    pub prog: u32,
}

/// Adds `clsact`; `false` if it is there.
pub(crate) fn add_clsact(device: u32) -> Result<bool, Refusal> {
    let mut request = Request::new(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &tcmsg(device, CLSACT_HANDLE, CLSACT, 0));
    request.text(TCA_KIND, "clsact");
    match change(request, |_| None::<()>) {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.errno == alveary_abi::Errno::EEXIST => Ok(false),
        Err(refusal) => Err(refusal),
    }
}

/// Removes `clsact` with all that hangs on it.
pub(crate) fn delete_clsact(device: u32) -> Result<(), Refusal> {
    let mut request = Request::new(RTM_DELQDISC, 0, &tcmsg(device, CLSACT_HANDLE, CLSACT, 0));
    request.text(TCA_KIND, "clsact");
    change(request, |_| None::<()>).map(drop)
}

/// Adds a filter, or puts another program into one that is there; gives it with the numbers that the kernel picked.
pub(crate) fn add_filter(filter: &Filter, program: BorrowedFd<'_>, replace: bool) -> Result<Filter, Refusal> {
    let how = if replace { NLM_F_REPLACE } else { NLM_F_EXCL };
    let mut request = Request::new(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_ECHO | how, &filter.fixed());
    request.text(TCA_KIND, "bpf").nest(TCA_OPTIONS, |options| {
        options.number(TCA_BPF_FD, program.as_raw_fd() as u32);
        options.text(TCA_BPF_NAME, &filter.name).number(TCA_BPF_FLAGS, ACT_DIRECT);
    });
    let made = change(request, |message| read(message, filter.parent))?;
    Ok(made.unwrap_or_else(|| filter.clone()))
}

/// Removes a filter.
pub(crate) fn delete_filter(filter: &Filter) -> Result<(), Refusal> {
    let mut request = Request::new(RTM_DELTFILTER, 0, &filter.fixed());
    request.text(TCA_KIND, "bpf");
    change(request, |_| None::<()>).map(drop)
}

/// The BPF filters of a device in one direction, in the order in which they run; none if there is no `clsact`.
#[must_use]
pub fn filters(device: u32, parent: Parent) -> Vec<Filter> {
    let request = Request::new(RTM_GETTFILTER, 0, &tcmsg(device, 0, parent.number(), 0));
    dump(request, |message| read(message, parent)).unwrap_or_default()
}

impl Filter {
    fn fixed(&self) -> [u8; TCMSG] {
        let info = u32::from(self.priority) << 16 | ALL_PROTOCOLS;
        tcmsg(self.device, self.handle, self.parent.number(), info)
    }
}

fn read(message: Message<'_>, parent: Parent) -> Option<Filter> {
    if message.ty != RTM_NEWTFILTER {
        return None;
    }
    let body = message.body;
    let mut filter = Filter {
        device: number(body, 4)?,
        parent,
        handle: number(body, 8)?,
        priority: (number::<u32>(body, 16)? >> 16) as u16,
        name: String::new(),
        prog: 0,
    };
    let mut bpf = false;
    for (ty, value) in message.attributes(TCMSG) {
        match ty {
            TCA_KIND => bpf = string(value) == "bpf",
            TCA_OPTIONS => {
                for (ty, value) in attributes(value) {
                    match ty {
                        TCA_BPF_NAME => filter.name = string(value),
                        TCA_BPF_ID => filter.prog = number(value, 0).unwrap_or(0),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    // A list also has an entry for each priority, which is no filter.
    (bpf && filter.handle != 0).then_some(filter)
}

/// `struct tcmsg`.
pub(super) fn tcmsg(device: u32, handle: u32, parent: u32, info: u32) -> [u8; TCMSG] {
    let mut fixed = [0; TCMSG];
    fixed[0] = AF_UNSPEC;
    for (at, value) in [(4, device), (8, handle), (12, parent), (16, info)] {
        fixed[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }
    fixed
}
