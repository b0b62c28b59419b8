//! Which way the kernel would send a packet (`ip route get`).

use super::{
    message::{Message, Refusal, Request, number},
    socket::change,
};
use std::net::{IpAddr, SocketAddr};

const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
/// Bytes of `struct rtmsg`.
const RTMSG: usize = 12;
const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_MARK: u16 = 16;
const RTA_IP_PROTO: u16 = 27;
const RTA_SPORT: u16 = 28;
const RTA_DPORT: u16 = 29;
/// Types of routes: to others, to this machine.
const UNICAST: u8 = 1;
const LOCAL: u8 = 2;

/// A packet that may be sent. Where rules and routes with several next hops look at ports, they are asked with these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Where it comes from. The port may be 0.
    pub from: SocketAddr,
    /// Where it goes to, of the same family. The port may be 0.
    pub to: SocketAddr,
    /// The protocol's number: TCP's, UDP's, ICMP's; 0 for others, by which the kernel is not asked.
    pub protocol: u8,
    /// Its mark.
    pub mark: u32,
}

/// Where it would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayOut {
    /// Out of the device of this number.
    Device(u32),
    /// To this machine itself.
    Here,
    /// Nowhere: that is what a route says.
    Nowhere,
}

/// Asks the kernel, of the calling thread's namespace.
///
/// # Errors
/// The kernel's: `ENETUNREACH` if there is no route.
pub fn way_out(asked: &Asked) -> Result<WayOut, Refusal> {
    let octets = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let (family, bits) = if asked.to.is_ipv4() { (libc::AF_INET, 32) } else { (libc::AF_INET6, 128) };
    let mut fixed = [0; RTMSG];
    fixed[..3].copy_from_slice(&[family as u8, bits, bits]);
    let mut request = Request::new(RTM_GETROUTE, 0, &fixed);
    request.put(RTA_DST, &octets(asked.to.ip())).put(RTA_SRC, &octets(asked.from.ip()));
    request.number(RTA_MARK, asked.mark);
    if asked.protocol != 0 {
        request.put(RTA_IP_PROTO, &[asked.protocol]);
    }
    for (ty, port) in [(RTA_SPORT, asked.from.port()), (RTA_DPORT, asked.to.port())] {
        if port != 0 {
            request.put(ty, &port.to_be_bytes());
        }
    }
    Ok(change(request, read)?.unwrap_or(WayOut::Nowhere))
}

fn read(message: Message<'_>) -> Option<WayOut> {
    (message.ty == RTM_NEWROUTE).then_some(())?;
    match *message.body.get(7)? {
        LOCAL => Some(WayOut::Here),
        UNICAST => {
            let (_, device) = message.attributes(RTMSG).find(|(ty, _)| *ty == RTA_OIF)?;
            number(device, 0).map(WayOut::Device)
        }
        _ => Some(WayOut::Nowhere),
    }
}
