//! Settings of the Linux target.

use super::{Linux, kernel};
use alveary_linux::sys::LogLevel;
use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock},
};

/// Builds a [`Linux`] target.
#[derive(Debug)]
pub struct LinuxBuilder {
    pins: Option<PathBuf>,
    log: LogLevel,
    ifindex: u32,
    token: Option<OwnedFd>,
}

impl Default for LinuxBuilder {
    fn default() -> LinuxBuilder {
        LinuxBuilder { pins: Some("/sys/fs/bpf".into()), log: LogLevel::NONE, ifindex: 0, token: None }
    }
}

impl LinuxBuilder {
    /// Where maps that are pinned by name are looked for and pinned; `/sys/fs/bpf` unless told otherwise.
    #[must_use]
    pub fn pin_root(mut self, path: impl AsRef<Path>) -> LinuxBuilder {
        self.pins = Some(path.as_ref().to_owned());
        self
    }

    /// Makes every map anew and pins none, whatever the object wants: what is loaded ends with this process, and nobody
    /// else's maps are touched.
    #[must_use]
    pub fn without_pins(mut self) -> LinuxBuilder {
        self.pins = None;
        self
    }

    /// Has the verifier say what it did, also of programs that it accepts ([`super::LinuxProgram::log`]).
    #[must_use]
    pub fn log(mut self, level: LogLevel) -> LinuxBuilder {
        self.log = level;
        self
    }

    /// Binds programs to a network device.
    #[must_use]
    pub fn device(mut self, ifindex: u32) -> LinuxBuilder {
        self.ifindex = ifindex;
        self
    }

    /// Uses a BPF token, by which a process without privileges may do what a BPF file system delegates.
    #[must_use]
    pub fn token(mut self, token: OwnedFd) -> LinuxBuilder {
        self.token = Some(token);
        self
    }

    /// The target.
    #[must_use]
    pub fn build(self) -> Linux {
        let LinuxBuilder { pins, log, ifindex, token } = self;
        let (types, whole) = (Mutex::default(), OnceLock::new());
        Linux(Arc::new(super::State { bare: kernel::bare(), whole, pins, log, ifindex, token, types }))
    }
}
