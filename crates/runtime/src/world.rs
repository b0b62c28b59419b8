//! What a program can see of the world outside: time, randomness, identity. Configuration, never looked up elsewhere.

use alveary_vm::Body;
use std::{
    hash::{BuildHasher, RandomState},
    time::SystemTime,
};

/// Where time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The machine's clocks.
    Real,
    /// A number that stands still until [`crate::Vcpu::set_time`] moves it.
    Virtual {
        /// Its first value, in ns.
        start: u64,
    },
}

/// Time, randomness and identity as programs see them.
///
/// With a virtual clock and a seed, a run on one virtual CPU can be repeated exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// Time.
    pub clock: Clock,
    /// Seed of all randomness; `None`: another one each time.
    pub seed: Option<u64>,
    /// Process id (`tgid` in the kernel's words).
    pub pid: u32,
    /// Thread id (`pid` in the kernel's words).
    pub tid: u32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Name of the process, NUL-terminated.
    pub comm: [u8; 16],
}

impl World {
    /// A world that is the same each time: clock at zero, seed zero, process 1.
    #[must_use]
    pub fn repeatable() -> World {
        World {
            clock: Clock::Virtual { start: 0 },
            seed: Some(0),
            pid: 1,
            tid: 1,
            uid: 0,
            gid: 0,
            comm: *b"alveary\0\0\0\0\0\0\0\0\0",
        }
    }

    /// The machine's clocks, fresh randomness, this process.
    #[must_use]
    pub fn real() -> World {
        let pid = std::process::id();
        World { clock: Clock::Real, seed: None, pid, tid: pid, ..World::repeatable() }
    }

    /// The seed, drawn now if none is given.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or_else(|| RandomState::new().hash_one(SystemTime::now()))
    }
}

/// Which of the kernel's clocks a helper reads. With a virtual clock they are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockId {
    /// Since boot, without time asleep.
    Monotonic,
    /// Since boot.
    Boot,
    /// Atomic time since 1970.
    Tai,
}

/// Reads one of the machine's clocks, in ns.
pub(crate) fn real_time(clock: ClockId) -> u64 {
    #[cfg(target_os = "linux")]
    {
        let id = match clock {
            ClockId::Monotonic => rustix::time::ClockId::Monotonic,
            ClockId::Boot => rustix::time::ClockId::Boottime,
            ClockId::Tai => rustix::time::ClockId::Tai,
        };
        let t = rustix::time::clock_gettime(id);
        (t.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(t.tv_nsec as u64)
    }
    #[cfg(not(target_os = "linux"))]
    {
        use std::{
            sync::OnceLock,
            time::{Instant, UNIX_EPOCH},
        };
        static START: OnceLock<Instant> = OnceLock::new();
        match clock {
            ClockId::Monotonic | ClockId::Boot => START.get_or_init(Instant::now).elapsed().as_nanos() as u64,
            ClockId::Tai => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64),
        }
    }
}

/// One step of the generator behind `bpf_get_prandom_u32` (SplitMix64): the new state and a number.
pub(crate) fn next_random(state: u64) -> (u64, u32) {
    let state = state.wrapping_add(Body::RANDOM_STEP);
    let mix = |z: u64, (shift, factor): (u8, u64)| (z ^ z >> shift).wrapping_mul(factor);
    let z = Body::RANDOM_MIXING.into_iter().fold(state, mix);
    (state, ((z ^ z >> Body::RANDOM_LAST) >> 32) as u32)
}
