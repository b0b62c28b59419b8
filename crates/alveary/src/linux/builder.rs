//! Settings of the Linux target.

use super::{Linux, kernel, targets::TargetProgram};
use alveary_abi::Version;
use alveary_btf::Btf;
use alveary_linux::sys::LogLevel;
use std::{
    collections::BTreeMap,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

/// Builds a [`Linux`] target.
#[derive(Debug)]
pub struct LinuxBuilder {
    pins: Option<PathBuf>,
    log: LogLevel,
    ifindex: u32,
    token: Option<OwnedFd>,
    targets: BTreeMap<String, TargetProgram>,
    given: kernel::Given,
}

impl Default for LinuxBuilder {
    fn default() -> LinuxBuilder {
        LinuxBuilder {
            pins: Some("/sys/fs/bpf".into()),
            log: LogLevel::NONE,
            ifindex: 0,
            token: None,
            targets: BTreeMap::new(),
            given: kernel::Given::default(),
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

    /// Types that CO-RE relocations are answered by, for a kernel that does not show its own, or as if it were another.
    /// Functions, variables and what programs are attached to are looked for in the kernel's own types all the same.
    #[must_use]
    pub fn btf(mut self, types: Arc<Btf>) -> LinuxBuilder {
        self.given.core = Some(types);
        self
    }

    /// The configuration that `__kconfig` variables are filled from, in place of what the kernel or `/boot` shows: names
    /// with `CONFIG_`, values as a configuration file writes them ([`alveary_object::parse_kconfig`] reads one).
    #[must_use]
    pub fn kconfig(mut self, options: BTreeMap<String, String>) -> LinuxBuilder {
        self.given.kconfig = Some(options);
        self
    }

    /// Takes the kernel for this version, third number included: what programs are told as `LINUX_KERNEL_VERSION`, and
    /// old kernels want of probes. What the kernel has stays its own matter.
    #[must_use]
    pub fn version(mut self, version: Version, patch: u8) -> LinuxBuilder {
        self.given.version = Some((version, patch));
        self
    }

    /// The target.
    #[must_use]
    pub fn build(self) -> Linux {
        let LinuxBuilder { pins, log, ifindex, token, targets, given } = self;
        let (kernel, types) = (kernel::Known::new(given), Mutex::default());
        Linux(Arc::new(super::State { kernel, pins, log, ifindex, token, targets, types }))
    }
}
