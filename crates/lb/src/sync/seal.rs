//! Datagrams: signed, of a process that lives, and each taken once.
//!
//! A datagram: `ALB3`, kind, three zeros, the sender's life, its number in that, entries, HMAC-SHA256 of all that and of the
//! sender's address and port, so that nobody says in another's name what a peer has said in its own.
//!
//! A life is a random number that a process makes up when it begins. No clock tells which of two is the later one: clocks are
//! set back. Who hears a life that it does not know takes nothing of it, and asks it (`CHALLENGE`) for a nonce that was never
//! asked for; only a process that has the secret and runs now can sign that in an answer (`PROOF`). From then on this life
//! counts, each number of it once, and the one before does not come back: its datagrams prove nothing, and its proofs were of
//! other nonces.

use crate::wire::{self, some};
use hmac::{Hmac, Mac};
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::Sha256;
use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

const MAGIC: &[u8; 4] = b"ALB3";
pub(super) const HEAD: usize = 24;
pub(super) const SIGNATURE: usize = 32;
/// Numbers that a datagram may be behind the latest: networks change their order.
const WINDOW: u64 = 64;
/// Between two questions whether a life is one.
const ASK: Duration = Duration::from_millis(50);

/// What is asked for, once.
pub(super) type Nonce = [u8; 16];

/// Bytes that nobody knows before.
pub(super) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut done = 0;
    while done < N {
        done += getrandom(&mut bytes[done..], GetRandomFlags::empty())?;
    }
    Ok(bytes)
}

/// What a datagram is to who hears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It was not seen before.
    New,
    /// It was, or is too old to tell.
    Again,
    /// Of a life that is not known.
    Stranger,
}

/// What is known of a peer: its life, and numbers that it has used.
#[derive(Debug)]
pub(super) struct Seen {
    life: Option<u64>,
    latest: u64,
    /// Bit n: the one that is n behind the latest.
    window: u64,
    nonce: Nonce,
    asked: Option<Instant>,
}

impl Seen {
    pub(super) fn new() -> io::Result<Seen> {
        Ok(Seen { life: None, latest: 0, window: 0, nonce: random()?, asked: None })
    }

    /// Whether it has ever proved that it lives.
    pub(super) fn lives(&self) -> bool {
        self.life.is_some()
    }

    /// What to ask for, if it is time to.
    pub(super) fn asks(&mut self, now: Instant) -> Option<Nonce> {
        let due = self.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= ASK);
        due.then(|| {
            self.asked = Some(now);
            self.nonce
        })
    }

    /// Takes a life that was proved by what was asked for: from now on it is the peer's.
    pub(super) fn proves(&mut self, life: u64, number: u64, said: &[u8]) -> io::Result<bool> {
        if self.life == Some(life) || said != self.nonce {
            return Ok(false);
        }
        // Nobody is asked for this one again.
        *self = Seen { life: Some(life), latest: number, window: 1, nonce: random()?, asked: None };
        Ok(true)
    }

    /// What a datagram of this life and number is.
    pub(super) fn hears(&mut self, life: u64, number: u64) -> Heard {
        if self.life != Some(life) {
            return Heard::Stranger;
        }
        if number > self.latest {
            let by = number - self.latest;
            self.window = if by < WINDOW { self.window << by | 1 } else { 1 };
            self.latest = number;
            return Heard::New;
        }
        let behind = self.latest - number;
        if behind >= WINDOW || self.window & 1 << behind != 0 {
            return Heard::Again;
        }
        self.window |= 1 << behind;
        Heard::New
    }
}

fn signer(secret: &[u8]) -> Option<Hmac<Sha256>> {
    // A key may have any length.
    Hmac::<Sha256>::new_from_slice(secret).ok()
}

/// What is signed besides what is said: who says it.
fn signed_address(from: SocketAddr) -> Vec<u8> {
    [&wire::address(from.ip())[..], &[u8::from(from.is_ipv6())], &from.port().to_be_bytes()].concat()
}

pub(super) fn sealed(secret: &[u8], from: SocketAddr, kind: u8, life: u64, number: u64, entries: &[u8]) -> Vec<u8> {
    let mut datagram = MAGIC.to_vec();
    datagram.extend([kind, 0, 0, 0]);
    datagram.extend(life.to_be_bytes());
    datagram.extend(number.to_be_bytes());
    datagram.extend(entries);
    if let Some(signer) = signer(secret) {
        let signature = signer.chain_update(&datagram).chain_update(signed_address(from)).finalize().into_bytes();
        datagram.extend(signature);
    }
    datagram
}

/// Kind, the sender's life, number, entries; `None` if nobody who has the secret sent it from there.
pub(super) fn opened<'d>(secret: &[u8], from: SocketAddr, datagram: &'d [u8]) -> Option<(u8, u64, u64, &'d [u8])> {
    let at = datagram.len().checked_sub(SIGNATURE).filter(|at| *at >= HEAD)?;
    let (said, signature) = datagram.split_at(at);
    signer(secret)?.chain_update(said).chain_update(signed_address(from)).verify_slice(signature).ok()?;
    (said.starts_with(MAGIC)).then_some(())?;
    Some((said[4], u64::from_be_bytes(some(said, 8)), u64::from_be_bytes(some(said, 16)), &said[HEAD..]))
}
