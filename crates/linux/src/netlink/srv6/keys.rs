//! What segment routing knows beside routes: the source address of tunnels, the keys of HMACs. By the generic netlink
//! family `SEG6`.

use super::super::{
    message::{Message, Refusal, Request, attributes, number, string},
    socket::Socket,
};
use alveary_abi::Errno;
use std::net::Ipv6Addr;

/// The family that knows the others.
const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
/// Bytes of `struct genlmsghdr`: command, version, nothing.
const GENL: usize = 4;

const SEG6: &str = "SEG6";
const VERSION: u8 = 1;
const SETHMAC: u8 = 1;
const DUMPHMAC: u8 = 2;
const SET_TUNSRC: u8 = 3;
const GET_TUNSRC: u8 = 4;
const ATTR_DST: u16 = 1;
const ATTR_HMACKEYID: u16 = 3;
const ATTR_SECRET: u16 = 4;
const ATTR_SECRETLEN: u16 = 5;
const ATTR_ALGID: u16 = 6;

/// How HMACs are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Algorithm {
    Sha1,
    Sha256,
}

impl Algorithm {
    const ALL: [Algorithm; 2] = [Algorithm::Sha1, Algorithm::Sha256];

    fn number(self) -> u8 {
        self as u8 + 1
    }
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HmacKey {
    /// What headers call it; not 0.
    pub id: u32,
    /// What it is for.
    pub algorithm: Algorithm,
    /// It, of at most 64 bytes.
    pub secret: Vec<u8>,
}

/// The source address of tunnels; `::` if each takes one of its device.
///
/// # Errors
/// The kernel's: `ENOENT` if it has no segment routing.
pub fn tunnel_source() -> Result<Ipv6Addr, Refusal> {
    let mut family = Family::open()?;
    let found = family.ask(GET_TUNSRC, |message| {
        let (_, value) = message.attributes(GENL).find(|(ty, _)| *ty == ATTR_DST)?;
        number::<[u8; 16]>(value, 0).map(Ipv6Addr::from)
    })?;
    Ok(found.unwrap_or(Ipv6Addr::UNSPECIFIED))
}

/// Sets it.
///
/// # Errors
/// The kernel's.
pub fn set_tunnel_source(source: Ipv6Addr) -> Result<(), Refusal> {
    let mut family = Family::open()?;
    let mut request = family.request(SET_TUNSRC);
    request.put(ATTR_DST, &source.octets());
    family.socket.change(request, |_| None::<()>).map(drop)
}

/// The keys that there are.
///
/// # Errors
/// The kernel's: `EOPNOTSUPP` if it has no HMACs.
pub fn hmac_keys() -> Result<Vec<HmacKey>, Refusal> {
    let mut family = Family::open()?;
    let request = family.request(DUMPHMAC);
    family.socket.dump(request, |message| {
        let value = |wanted| message.attributes(GENL).find(|(ty, _)| *ty == wanted).map(|(_, value)| value);
        let algorithm = number::<u8>(value(ATTR_ALGID)?, 0)?;
        Some(HmacKey {
            id: number(value(ATTR_HMACKEYID)?, 0)?,
            algorithm: *Algorithm::ALL.iter().find(|known| known.number() == algorithm)?,
            secret: value(ATTR_SECRET)?.to_vec(),
        })
    })
}

/// Sets a key, in the place of one with its number. One with an empty secret is removed.
///
/// # Errors
/// The kernel's: `EOPNOTSUPP` if it has no HMACs, `ENOENT` if the key to be removed is not there.
pub fn set_hmac_key(key: &HmacKey) -> Result<(), Refusal> {
    let mut family = Family::open()?;
    let mut request = family.request(SETHMAC);
    request.number(ATTR_HMACKEYID, key.id).put(ATTR_SECRETLEN, &[key.secret.len().min(255) as u8]);
    request.put(ATTR_ALGID, &[key.algorithm.number()]);
    if !key.secret.is_empty() {
        request.put(ATTR_SECRET, &key.secret);
    }
    family.socket.change(request, |_| None::<()>).map(drop)
}

/// The generic netlink family.
struct Family {
    socket: Socket,
    id: u16,
}

impl Family {
    fn open() -> Result<Family, Refusal> {
        let mut socket = Socket::open_generic()?;
        let mut request = Request::new(GENL_ID_CTRL, 0, &[CTRL_CMD_GETFAMILY, VERSION, 0, 0]);
        request.text(CTRL_ATTR_FAMILY_NAME, SEG6);
        let id = socket.change(request, |message| {
            let all = attributes(message.body.get(GENL..)?);
            let found = all.fold((None, false), |(id, named), (ty, value)| match ty {
                CTRL_ATTR_FAMILY_ID => (number::<u16>(value, 0), named),
                CTRL_ATTR_FAMILY_NAME => (id, string(value) == SEG6),
                _ => (id, named),
            });
            found.0.filter(|_| found.1)
        })?;
        let id = id.ok_or(Refusal { errno: Errno::ENOENT, text: String::new() })?;
        Ok(Family { socket, id })
    }

    fn request(&self, command: u8) -> Request {
        Request::new(self.id, 0, &[command, VERSION, 0, 0])
    }

    fn ask<T>(&mut self, command: u8, read: impl FnMut(Message<'_>) -> Option<T>) -> Result<Option<T>, Refusal> {
        self.socket.change(self.request(command), read)
    }
}
