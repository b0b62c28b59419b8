//! The kernels: where their sources are, over which packets they run.

use crate::packet;

/// Some kernels that are measured together.
#[derive(Debug)]
pub(crate) struct Set {
    /// Its folder in `kernels/`.
    pub(crate) name: &'static str,
    pub(crate) kernels: &'static [Kernel],
    /// Those that a second mean leaves out.
    pub(crate) apart: &'static [&'static str],
}

/// One kernel, and what makes its packet.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) name: &'static str,
    pub(crate) packet: fn() -> Vec<u8>,
    /// Sources of its native form beside its own.
    pub(crate) beside: &'static [&'static str],
    /// It is too much for any verifier.
    pub(crate) unproven: bool,
}

/// The kernel whose time is taken off the others'.
pub(crate) const EMPTY: Kernel = kernel("empty", packet::plain);

const fn kernel(name: &'static str, packet: fn() -> Vec<u8>) -> Kernel {
    Kernel { name, packet, beside: &[], unproven: false }
}

/// What the engine was measured by from the first day. Of `big1` and `big10` clang itself makes poor code.
pub(crate) const FIRST: Set = Set {
    name: "first",
    kernels: &[
        kernel("alu", packet::plain),
        kernel("alu2", packet::plain),
        Kernel { unproven: true, ..kernel("sieve", packet::plain) },
        kernel("cksum", packet::plain),
        kernel("memcmp", packet::plain),
        kernel("parse", packet::plain),
        Kernel { beside: &["table.c"], ..kernel("map", packet::plain) },
        kernel("switch", packet::plain),
        kernel("call", packet::plain),
        kernel("big1", packet::plain),
        kernel("big10", packet::plain),
    ],
    apart: &["big1", "big10"],
};

/// Another hand's, written before any pass of the compiler was read.
pub(crate) const SECOND: Set = Set {
    name: "second",
    kernels: &[
        kernel("base64", packet::plain),
        kernel("bitset", packet::plain),
        kernel("bloom", packet::plain),
        kernel("bucket", packet::plain),
        kernel("chacha", packet::plain),
        kernel("crc32", packet::plain),
        kernel("dns", packet::dns),
        kernel("ewma", packet::plain),
        kernel("flows", packet::plain),
        kernel("histogram", packet::plain),
        kernel("http", packet::http),
        kernel("ipv6", packet::ipv6),
        kernel("lz", packet::compressed),
        kernel("matrix", packet::plain),
        kernel("nat", packet::plain),
        kernel("ring", packet::plain),
        kernel("route", packet::plain),
        kernel("search", packet::prose),
        kernel("sni", packet::hello),
        kernel("sort", packet::plain),
        kernel("toeplitz", packet::plain),
        kernel("utf8", packet::letters),
        kernel("varint", packet::fields),
        kernel("xxhash", packet::plain),
    ],
    apart: &[],
};
