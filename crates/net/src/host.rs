//! What packet helpers ask of the world around a packet: which devices there are. Whoever forwards packets answers.

/// Devices, as helpers see them.
pub trait Host: Send + Sync {
    /// Whether there is a device with this number: `bpf_clone_redirect` fails if there is none.
    fn has_device(&self, ifindex: u32) -> bool;
}

/// No host: every device may exist, nothing is sent.
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
