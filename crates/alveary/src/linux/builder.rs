//! Settings of the Linux target.

use super::{Linux, kernel, targets::TargetProgram};
use alveary_linux::sys::LogLevel;
use std::{
    collections::BTreeMap,
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
    targets: BTreeMap<String, TargetProgram>,
}

impl Default for LinuxBuilder {
    fn default() -> LinuxBuilder {
        LinuxBuilder {
            pins: Some("/sys/fs/bpf".into()),
            log: LogLevel::NONE,
            ifindex: 0,
            token: None,
            targets: BTreeMap::new(),
        }
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

    /// Loads `program` for a function of another program, which it replaces (`SEC("freplace/…")`) or traces
    /// (`SEC("fentry/…")`, `fexit`, `fmod_ret`). Without `function`, it is the one that the section names, or else the
    /// other program's first.
    #[must_use]
    pub fn target_program(mut self, program: &str, target: OwnedFd, function: Option<&str>) -> LinuxBuilder {
        let function = function.map(str::to_owned);
        self.targets.insert(program.to_owned(), TargetProgram { fd: target, function });
        self
    }

    /// The target.
    #[must_use]
    pub fn build(self) -> Linux {
        let LinuxBuilder { pins, log, ifindex, token, targets } = self;
        let (types, whole) = (Mutex::default(), OnceLock::new());
        Linux(Arc::new(super::State { bare: kernel::bare(), whole, pins, log, ifindex, token, targets, types }))
    }
}
