//! Signatures of segment routing headers (RFC 8754, section 2.1.2): keys, what is signed, what is asked of headers that
//! come in (Linux: `net/ipv6/seg6_hmac.c`). Knows no routers: who signs and who checks is said elsewhere.
//!
//! Signed are the packet's source, the list's last index, the flags, the key's number and the segments; tag, other TLVs and
//! what follows are not. SHA-1's 20 bytes stand in front in the field of 32, zeroes behind them.

use super::{FIXED, FLAG_HMAC, IPV6_LEN, Octets, Room, SEGMENT, Srh, Unable};
use hmac::{Hmac, Mac, digest::KeyInit};
use std::{collections::BTreeMap, fmt};

/// Longest secret of a key, in bytes.
pub const MOST_SECRET: usize = 64;
/// Most segments that Linux signs, and checks; RFC 8754 has no limit.
pub const MOST_SIGNED: usize = 14;

/// Bytes of the field that holds an HMAC.
const FIELD: usize = 32;
/// Place of the source in an IPv6 header.
const SOURCE: usize = 8;
/// Places in the TLV.
const KEY: usize = 4;
const CODE: usize = 8;

/// How HMACs are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Algorithm {
    Sha1,
    Sha256,
}

/// A key. Its secret is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    algorithm: Algorithm,
    secret: Vec<u8>,
}

impl Key {
    /// With a secret.
    ///
    /// # Errors
    /// What is expected of a secret.
    pub fn new(algorithm: Algorithm, secret: impl Into<Vec<u8>>) -> Result<Key, &'static str> {
        let secret = secret.into();
        // Linux takes an empty one for the wish to remove the key.
        if (1..=MOST_SECRET).contains(&secret.len()) { Ok(Key { algorithm, secret }) } else { Err("1 to 64 bytes") }
    }

    fn code(&self, text: &[u8]) -> [u8; FIELD] {
        match self.algorithm {
            Algorithm::Sha1 => code::<Hmac<sha1::Sha1>>(&self.secret, text),
            Algorithm::Sha256 => code::<Hmac<sha2::Sha256>>(&self.secret, text),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Keys by their numbers, which headers name them by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys(BTreeMap<u32, Key>);

impl Keys {
    /// None.
    pub const NONE: &'static Keys = &Keys(BTreeMap::new());

    /// Adds a key, in the place of one with its number; which it had, if there was one.
    pub fn add(&mut self, id: u32, key: Key) -> Option<Key> {
        self.0.insert(id, key)
    }

    /// The key of a number.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<&Key> {
        self.0.get(&id)
    }

    /// The HMAC that belongs into the TLV at `at` of a packet's header.
    fn code(&self, packet: &(impl Octets + ?Sized), srh: &Srh, at: usize) -> Result<[u8; FIELD], Unable> {
        const MOST: usize = 16 + 2 + 4 + MOST_SIGNED * SEGMENT;
        let id: [u8; 4] = packet.array(at + KEY).ok_or(Unable::Short)?;
        let key = self.get(u32::from_be_bytes(id)).ok_or(Unable::NoKey)?;
        let list = srh.segments_end() - FIXED;
        let end = 22 + list;
        let mut text = [0; MOST];
        let text = text.get_mut(..end).ok_or(Unable::TooLong)?;
        packet.read(SOURCE, &mut text[..16]).ok_or(Unable::Short)?;
        text[16..18].copy_from_slice(&[srh.last_entry, srh.flags]);
        text[18..22].copy_from_slice(&id);
        packet.read(srh.at + FIXED, &mut text[22..]).ok_or(Unable::Short)?;
        Ok(key.code(text))
    }
}

/// What is asked of headers that come to a segment (`seg6_require_hmac` of a device).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Require {
    /// Nothing: HMACs are not looked at (-1).
    Nothing,
    /// Where there is an HMAC, it is right (0).
    #[default]
    Right,
    /// There is one, and it is right (1).
    Present,
}

/// What is asked of headers, and the keys for it. By default no key is known, and nobody has to sign.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    /// The keys.
    pub keys: &'a Keys,
    /// What is asked.
    pub require: Require,
}

impl Default for Policy<'_> {
    fn default() -> Self {
        Policy { keys: Keys::NONE, require: Require::Right }
    }
}

impl Policy<'_> {
    /// Whether a packet may pass: `srh` is its header, as far as there is one.
    #[inline]
    #[must_use]
    pub fn accepts(&self, packet: &(impl Octets + ?Sized), srh: Option<Srh>) -> bool {
        if self.require == Require::Nothing {
            return true;
        }
        let Some((srh, at)) = srh.and_then(|srh| Some((srh, srh.hmac(packet)?))) else {
            return self.require != Require::Present;
        };
        let code = self.keys.code(packet, &srh, at).ok();
        code.zip(packet.array(at + CODE)).is_some_and(|(code, found)| same(&code, &found))
    }
}

/// Signs the header behind a packet's IPv6 header, if its flag says that it is to be.
pub(super) fn sign(packet: &mut impl Room, keys: &Keys) -> Result<(), Unable> {
    let Some(srh) = Srh::read(packet, IPV6_LEN).filter(|srh| srh.flags & FLAG_HMAC != 0) else { return Ok(()) };
    let at = srh.hmac(packet).ok_or(Unable::NoHmac)?;
    let code = keys.code(packet, &srh, at);
    match code {
        Ok(code) => packet.write(at + CODE, &code),
        // Linux has cleared the field by then.
        Err(Unable::TooLong) => packet.write(at + CODE, &[0; FIELD]),
        Err(_) => {}
    }
    code.map(drop)
}

fn code<M: Mac + KeyInit>(secret: &[u8], text: &[u8]) -> [u8; FIELD] {
    let mut mac = <M as Mac>::new_from_slice(secret).expect("HMAC takes secrets of any length");
    mac.update(text);
    let code = mac.finalize().into_bytes();
    let mut field = [0; FIELD];
    field.iter_mut().zip(code).for_each(|(to, byte)| *to = byte);
    field
}

/// Whether they are the same; how long that takes to say does not tell where they differ.
fn same(one: &[u8; FIELD], other: &[u8; FIELD]) -> bool {
    one.iter().zip(other).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}
