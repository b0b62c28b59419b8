//! Numbers that the kernel's verifier is built with, beyond those that a profile gives.

/// Frames at most; a profile may allow fewer.
pub(crate) const MAX_FRAMES: usize = 8;
/// Bytes of stack of one frame.
pub(crate) const MAX_STACK: i64 = 512;
/// How far a pointer's offset may be from its base.
pub(crate) const MAX_VAR_OFF: i64 = 1 << 29;
/// Largest size that a helper may be given for memory.
pub(crate) const MAX_VAR_SIZE: u64 = 1 << 29;
/// How far into a packet an offset may be.
pub(crate) const MAX_PACKET_OFF: u64 = 0xffff;
/// Rounds that precision is carried around a loop before everything is called precise.
pub(crate) const MAX_BACKEDGE_ROUNDS: u32 = 64;
/// Checkpoints of an instruction, in programs of ordinary users.
pub(crate) const MAX_STATES: u32 = 64;
/// Slots of a program of an ordinary user.
pub(crate) const MAX_USER_INSNS: usize = 4096;
/// Negative numbers from here on are errors.
pub(crate) const MAX_ERRNO: i64 = 4095;
