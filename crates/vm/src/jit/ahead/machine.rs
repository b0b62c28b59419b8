//! The machines that libraries are made for, and their processors.

use cranelift_codegen::isa::{Builder, LookupError, lookup_by_name};
use cranelift_codegen::settings::Configurable;
use std::{borrow::Cow, fmt};

/// A machine, with Linux on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Machine {
    /// x86-64.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
    /// 64-bit RISC-V with the extensions that Linux distributions ask for (RV64GC).
    Riscv64,
    /// IBM Z (big-endian).
    S390x,
}

/// Which processor of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cpu {
    /// Any.
    #[default]
    Baseline,
    /// One like this, if this is such a machine.
    Host,
    /// One of this name, like `x86-64-v3`, or with an extension of this name.
    Named(String),
}

/// Why there is no native code for a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoCode {
    machine: Machine,
    why: Cow<'static, str>,
}

impl fmt::Display for NoCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no native code for {}: {}", self.machine.name(), self.why)
    }
}

impl std::error::Error for NoCode {}

impl Machine {
    /// Why there is no code for it.
    pub(super) fn without(self, why: impl Into<Cow<'static, str>>) -> NoCode {
        NoCode { machine: self, why: why.into() }
    }

    /// All of them. Of which there is native code is known when a library is made.
    pub const ALL: [Machine; 4] = [Machine::X86_64, Machine::Aarch64, Machine::Riscv64, Machine::S390x];

    /// This one, if it is among them.
    #[must_use]
    pub fn host() -> Option<Machine> {
        Machine::named(std::env::consts::ARCH)
    }

    /// The machine of this name, as `uname -m` writes it.
    #[must_use]
    pub fn named(name: &str) -> Option<Machine> {
        Machine::ALL.into_iter().find(|machine| machine.name() == name)
    }

    /// Its name, as `uname -m` writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Machine::X86_64 => "x86_64",
            Machine::Aarch64 => "aarch64",
            Machine::Riscv64 => "riscv64",
            Machine::S390x => "s390x",
        }
    }

    /// Whether the most significant byte comes first.
    #[must_use]
    pub fn is_big_endian(self) -> bool {
        self == Machine::S390x
    }

    /// Whether this build makes code for it.
    #[must_use]
    pub fn is_there(self) -> bool {
        builder(self, &Cpu::Baseline).is_ok()
    }

    fn triple(self) -> &'static str {
        match self {
            Machine::X86_64 => "x86_64-unknown-linux-gnu",
            Machine::Aarch64 => "aarch64-unknown-linux-gnu",
            Machine::Riscv64 => "riscv64gc-unknown-linux-gnu",
            Machine::S390x => "s390x-unknown-linux-gnu",
        }
    }
}

/// The code generator for a processor.
pub(super) fn builder(machine: Machine, cpu: &Cpu) -> Result<Builder, NoCode> {
    if *cpu == Cpu::Host {
        if Machine::host() != Some(machine) {
            return Err(machine.without("this is another machine"));
        }
        return cranelift_native::builder().map_err(|why| machine.without(why));
    }
    let mut builder = lookup_by_name(machine.triple()).map_err(|error| match error {
        LookupError::SupportDisabled => {
            machine.without(
                "this build makes some for its own machine alone; `cargo build --release -p alveary-cli --features targets` \
                 makes one for all",
            )
        }
        LookupError::Unsupported => machine.without("the code generator does not know it"),
    })?;
    if let Cpu::Named(name) = cpu
        && builder.enable(name).is_err()
    {
        let names: Vec<&str> = builder.iter().map(|setting| setting.name).collect();
        let why = format!("the code generator knows no processor or feature `{name}`; it knows {}", names.join(", "));
        return Err(machine.without(why));
    }
    Ok(builder)
}
