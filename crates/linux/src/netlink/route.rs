//! Routes whose packets go through a program: lightweight tunnels of BPF, and SRv6 endpoints (End.BPF).

use super::{
    message::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Refusal, Request},
    socket::change,
};
use std::{
    net::IpAddr,
    os::fd::{AsRawFd, BorrowedFd},
};

const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
/// Bytes of `struct rtmsg`.
const RTMSG: usize = 12;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_TABLE: u16 = 15;
const RTA_ENCAP_TYPE: u16 = 21;
const RTA_ENCAP: u16 = 22;
const ENCAP_BPF: u16 = 6;
const ENCAP_SEG6_LOCAL: u16 = 7;
const LWT_BPF_XMIT_HEADROOM: u16 = 4;
const LWT_BPF_PROG_FD: u16 = 1;
const LWT_BPF_PROG_NAME: u16 = 2;
const SEG6_LOCAL_ACTION: u16 = 1;
const SEG6_LOCAL_BPF: u16 = 8;
const SEG6_LOCAL_BPF_PROG: u16 = 1;
const SEG6_LOCAL_BPF_PROG_NAME: u16 = 2;
const ACTION_END_BPF: u32 = 15;
/// The table of routes that people fill.
const MAIN: u32 = 254;
/// Made by an administrator (`RTPROT_BOOT`), an ordinary route (`RTN_UNICAST`).
const BOOT: u8 = 3;
const UNICAST: u8 = 1;
const UNIVERSE: u8 = 0;
/// Reaches hosts of the same link (`RT_SCOPE_LINK`): IPv4 routes without a gateway.
const ON_LINK: u8 = 253;

/// Where on the way of a tunnel's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Hook {
    In,
    Out,
    Xmit,
}

/// What a route does with its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tunnel {
    /// A program sees them there. At transmission it may need room in front, in bytes.
    Bpf(Hook, u32),
    /// A program is the action of an SRv6 endpoint.
    Seg6Local,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where its packets go to.
    pub destination: IpAddr,
    /// How many bits of that count.
    pub prefix: u8,
    /// Number of the device that they leave by.
    pub device: u32,
    /// The next hop, if there is one.
    pub gateway: Option<IpAddr>,
    /// The table that it stands in; 0 is the main one.
    pub table: u32,
}

impl Route {
    /// Adds it, or exchanges the program of one that is there.
    pub(crate) fn add(
        &self,
        tunnel: Tunnel,
        program: BorrowedFd<'_>,
        name: &str,
        replace: bool,
    ) -> Result<(), Refusal> {
        let how = if replace { NLM_F_REPLACE } else { NLM_F_EXCL };
        let mut request = self.request(RTM_NEWROUTE, NLM_F_CREATE | how);
        let fd = program.as_raw_fd() as u32;
        match tunnel {
            Tunnel::Bpf(hook, headroom) => {
                request.put(RTA_ENCAP_TYPE, &ENCAP_BPF.to_ne_bytes()).nest(RTA_ENCAP, |encap| {
                    let place = match hook {
                        Hook::In => 1,
                        Hook::Out => 2,
                        Hook::Xmit => 3,
                    };
                    encap.nest(place, |program| {
                        program.number(LWT_BPF_PROG_FD, fd).text(LWT_BPF_PROG_NAME, name);
                    });
                    if headroom > 0 {
                        encap.number(LWT_BPF_XMIT_HEADROOM, headroom);
                    }
                });
            }
            Tunnel::Seg6Local => {
                request.put(RTA_ENCAP_TYPE, &ENCAP_SEG6_LOCAL.to_ne_bytes()).nest(RTA_ENCAP, |encap| {
                    encap.number(SEG6_LOCAL_ACTION, ACTION_END_BPF).nest(SEG6_LOCAL_BPF, |program| {
                        program.number(SEG6_LOCAL_BPF_PROG, fd).text(SEG6_LOCAL_BPF_PROG_NAME, name);
                    });
                });
            }
        }
        change(request, |_| None::<()>).map(drop)
    }

    /// Removes it.
    pub(crate) fn delete(&self) -> Result<(), Refusal> {
        change(self.request(RTM_DELROUTE, 0), |_| None::<()>).map(drop)
    }

    fn request(&self, ty: u16, flags: u16) -> Request {
        let octets = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let four = self.destination.is_ipv4();
        let family = if four { libc::AF_INET } else { libc::AF_INET6 } as u8;
        let scope = if four && self.gateway.is_none() { ON_LINK } else { UNIVERSE };
        let mut fixed = [0; RTMSG];
        fixed[0] = family;
        fixed[1] = self.prefix;
        fixed[5] = BOOT;
        fixed[6] = scope;
        fixed[7] = UNICAST;
        let mut request = Request::new(ty, flags, &fixed);
        request.put(RTA_DST, &octets(self.destination)).number(RTA_OIF, self.device);
        request.number(RTA_TABLE, if self.table == 0 { MAIN } else { self.table });
        if let Some(gateway) = self.gateway {
            request.put(RTA_GATEWAY, &octets(gateway));
        }
        request
    }
}
