//! The user-space kernel as a target. The families of program types are put together here, and only here.

mod builder;
mod map;
mod packets;

pub use builder::UserBuilder;
pub use map::UserMap;
pub use packets::{Packet, Packets, Verdict};

use crate::{Backend, Error, Kind, Origin, Outcome, ProgramRef, Result, TestRun, error::OrKind};
use alveary_diag::{Diagnostic, Place};
use alveary_runtime::{LoadedMap, Prog, Runtime, Trust, Vcpu};
use alveary_spec::{Kernel, MapSpec, Program};
use std::sync::Arc;

/// The user-space kernel. Cheap to clone: clones are one kernel. `Send` and `Sync`: threads run programs side by side,
/// each on a virtual CPU of its own.
#[derive(Clone, Debug)]
pub struct User {
    runtime: Arc<Runtime>,
    verifies: bool,
}

/// A program of the user-space kernel. `Send` and `Sync`.
#[derive(Clone, Debug)]
pub struct UserProgram(pub(crate) Arc<Prog>);

impl User {
    /// A user-space kernel with settings.
    #[must_use]
    pub fn builder() -> UserBuilder {
        UserBuilder::default()
    }

    /// The same kernel, whose verifier is not asked about what is loaded by this handle: programs run checked, each
    /// access held against what they were given, and the one that goes astray is stopped.
    ///
    /// ```
    /// use alveary::{Object, Target, runtime::Trust};
    /// # fn main() -> alveary::Result<()> {
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/count.bpf.o");
    /// let loaded = Object::open(path)?.load(Target::user().unverified())?;
    /// assert!(matches!(loaded.program("count")?.handle().trust(), Trust::Unverified));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn unverified(self) -> User {
        User { verifies: false, ..self }
    }

    /// What stands behind it, for embedders that run contexts of their own.
    #[must_use]
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// A virtual CPU, until it is dropped.
    ///
    /// # Errors
    /// [`Kind::Busy`] if there is no CPU of that number, or another thread has it.
    pub fn vcpu(&self, number: u32) -> Result<Vcpu> {
        self.runtime.vcpu(number).ok_or_else(|| {
            let there = self.runtime.kernel().cpus;
            let why = Diagnostic::new("cpu-busy", format!("virtual CPU {number} is not to be had"), Place::Nowhere)
                .expected(format!("a CPU from 0 to {} that nobody uses", there.saturating_sub(1)))
                .help("use another CPU, or build the target with more of them");
            Error::new(Kind::Busy, why)
        })
    }
}

impl UserProgram {
    /// Whether it was proven and runs as it is, or runs checked, and why.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        self.0.trust()
    }

    /// What stands behind it, for [`User::runtime`].
    #[must_use]
    pub fn prog(&self) -> &Arc<Prog> {
        &self.0
    }
}

impl Backend for User {
    type Map = UserMap;
    type Prog = UserProgram;

    fn kernel(&self) -> &Kernel {
        self.runtime.kernel()
    }

    fn create_map(&self, spec: &MapSpec, _inner: Option<&UserMap>, _from: &Origin<'_>) -> Result<UserMap> {
        self.runtime.create_map(spec).map(UserMap::from).or_kind(Kind::Map)
    }

    fn load_program(&self, program: &Arc<Program>, maps: &[UserMap]) -> Result<UserProgram> {
        let maps = maps.iter().map(|map| LoadedMap::clone(&map.0)).collect();
        if !self.verifies {
            return self.runtime.load_unverified(program.clone(), maps).map(UserProgram).or_kind(Kind::Unsupported);
        }
        self.runtime.load(program.clone(), maps).map(UserProgram).map_err(|not| match not.rejected {
            Some(report) => Error::new(Kind::Verifier, not.why).with_log(report.log),
            None => Error::new(Kind::Unsupported, not.why),
        })
    }

    fn set_program(&self, map: &UserMap, index: u32, program: &UserProgram) -> Result<()> {
        self.runtime.set_slot(&map.0, index, &program.0).or_kind(Kind::Map)
    }

    fn set_map(&self, map: &UserMap, key: &[u8], inner: &UserMap) -> Result<()> {
        map.check_key(key)?;
        self.runtime.set_map(&map.0, key, &inner.0, 0).or_kind(Kind::Map)
    }

    fn program_id(&self, program: &UserProgram) -> u32 {
        program.0.id()
    }

    fn events(&self, map: &UserMap, each: &mut dyn FnMut(u32, &[u8])) -> Result<u64> {
        map.events(each)
    }

    fn test_run(&self, program: &UserProgram, run: &TestRun<'_>) -> Result<Outcome> {
        let mut cpu = self.vcpu(run.cpu)?;
        let mut packets = Packets::new(&mut cpu, program)?;
        let packet = Packet { data: run.data, ..Packet::default() };
        packets
            .run(&packet)
            .map(|verdict| verdict.outcome())
            .map_err(|fault| Error::new(Kind::Trap, fault.diagnostic()))
    }
}

impl ProgramRef<'_, User> {
    /// Prepares a virtual CPU to run this program over many packets.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] if its type takes no packets.
    pub fn packets<'c>(&self, cpu: &'c mut Vcpu) -> Result<Packets<'c>> {
        Packets::new(cpu, self.handle())
    }
}
