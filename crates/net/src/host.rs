//! What packet helpers ask of the world around a packet: which devices there are, which way it goes. Whoever forwards
//! packets answers.

use crate::{Lookup, seg6::Keys};
use std::net::Ipv6Addr;

/// Devices and routes, as helpers see them.
pub trait Host: Send + Sync {
    /// Whether there is a device with this number: `bpf_clone_redirect` fails if there is none.
    fn has_device(&self, ifindex: u32) -> bool;

    /// Whether there is a way for a packet: 0, or the error, negated. There is one unless told otherwise.
    fn route(&self, _lookup: &Lookup) -> i64 {
        0
    }

    /// The source address of a tunnel to there (`ip sr tunsrc`): none unless told otherwise.
    fn tunnel_source(&self, _destination: Ipv6Addr) -> Ipv6Addr {
        Ipv6Addr::UNSPECIFIED
    }

    /// The keys that headers are signed with (`ip sr hmac`): none unless told otherwise.
    fn keys(&self) -> &Keys {
        Keys::NONE
    }
}

impl<H: Host + ?Sized> Host for std::sync::Arc<H> {
    fn has_device(&self, ifindex: u32) -> bool {
        (**self).has_device(ifindex)
    }

    fn route(&self, lookup: &Lookup) -> i64 {
        (**self).route(lookup)
    }

    fn tunnel_source(&self, destination: Ipv6Addr) -> Ipv6Addr {
        (**self).tunnel_source(destination)
    }

    fn keys(&self) -> &Keys {
        (**self).keys()
    }
}

/// No host: every device and every route may exist, nothing is sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl Host for NoHost {
    fn has_device(&self, _: u32) -> bool {
        true
    }
}

/// State of the networking families, shared by all virtual CPUs.
pub struct Net {
    pub(crate) host: Box<dyn Host>,
}

impl Net {
    /// With a host.
    #[must_use]
    pub fn new(host: impl Host + 'static) -> Net {
        Net { host: Box::new(host) }
    }
}

impl Default for Net {
    fn default() -> Net {
        Net::new(NoHost)
    }
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Net").finish_non_exhaustive()
    }
}
