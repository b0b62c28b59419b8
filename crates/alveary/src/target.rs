//! What a target must offer. The loading algorithm is written once, over this ([`crate::Loader`]).

#[cfg(target_os = "linux")]
use crate::Linux;
use crate::{MapHandle, Redirect, Result, User};
use alveary_btf::Btf;
use alveary_spec::{Kernel, MapSpec, Program, Spec};
use std::sync::Arc;

/// Names the targets: [`Target::user`] is Alveary's own user-space kernel, [`Target::linux`] the running one.
#[derive(Clone, Copy, Debug)]
pub enum Target {}

impl Target {
    /// The user-space kernel: no privilege, deterministic unless told otherwise. [`User::builder`] has its settings.
    #[must_use]
    pub fn user() -> User {
        User::builder().build()
    }

    /// The running Linux kernel, by bpf(2): what it takes needs privileges. [`Linux::builder`] has its settings.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn linux() -> Linux {
        Linux::builder().build()
    }
}

/// The primitives in which targets differ. Their special powers are inherent methods of the implementing types.
pub trait Backend {
    /// A map that was made.
    type Map: MapHandle + Clone + 'static;
    /// A program that was loaded.
    type Prog: Clone;

    /// The kernel that objects are resolved for.
    fn kernel(&self) -> &Kernel;

    /// The kernel, with as much of it known as this object asks for: a target that has to look for the rest need not.
    ///
    /// # Errors
    /// [`crate::Kind::Read`] if what the object asks for cannot be read.
    fn kernel_for(&self, _spec: &Spec) -> Result<&Kernel> {
        Ok(self.kernel())
    }

    /// Makes a map, fills it with its first bytes and freezes it, as its Spec says; `inner` is the template of its inner
    /// maps. Slots that name programs or maps are filled later.
    ///
    /// # Errors
    /// [`crate::Kind::Map`] with what the target has against the definition.
    fn create_map(&self, spec: &MapSpec, inner: Option<&Self::Map>, from: &Origin<'_>) -> Result<Self::Map>;

    /// Loads a program; `maps` are those of [`Program::maps`], in that order.
    ///
    /// # Errors
    /// [`crate::Kind::Unsupported`] for what the target does not have.
    fn load_program(&self, program: &Arc<Program>, maps: &[Self::Map]) -> Result<Self::Prog>;

    /// Keeps a map as long as the program is there, though it does not use it: `.rodata` may tell about the program
    /// (`bpf_metadata_…`). A target that cannot does without.
    fn hold(&self, _program: &Self::Prog, _map: &Self::Map) {}

    /// Called with all maps of an object once everything of it is loaded: those that are pinned by name are pinned now.
    ///
    /// # Errors
    /// [`crate::Kind::Map`]; then none of them is pinned.
    fn keep_maps(&self, _maps: &[&Self::Map]) -> Result<()> {
        Ok(())
    }

    /// The number that the target knows a program by: entries of prog arrays read as it.
    fn program_id(&self, program: &Self::Prog) -> u32;

    /// Hands over the events that programs sent through a map since the last call, oldest first: the CPU, and the bytes.
    /// Gives how many were lost in between.
    ///
    /// # Errors
    /// [`crate::Kind::Map`] if the map carries no events.
    fn events(&self, map: &Self::Map, each: &mut dyn FnMut(u32, &[u8])) -> Result<u64>;

    /// Puts a program into a prog array.
    ///
    /// # Errors
    /// [`crate::Kind::Map`], as for any update.
    fn set_program(&self, map: &Self::Map, index: u32, program: &Self::Prog) -> Result<()>;

    /// Puts a map into the entry `key` of a map of maps. [`MapHandle::delete`] takes it out.
    ///
    /// # Errors
    /// [`crate::Kind::Map`], as for any update.
    fn set_map(&self, map: &Self::Map, key: &[u8], inner: &Self::Map) -> Result<()>;

    /// Runs a program once over a packet, unattached: `BPF_PROG_TEST_RUN` and its like.
    ///
    /// # Errors
    /// [`crate::Kind::Trap`] if it was stopped, [`crate::Kind::Unsupported`] if its type cannot be run this way.
    fn test_run(&self, program: &Self::Prog, run: &TestRun<'_>) -> Result<Outcome>;
}

/// Where a map comes from: what its Spec does not say of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin<'a> {
    /// Name of the object, without folder and suffixes.
    pub object: &'a str,
    /// The object's types.
    pub btf: Option<&'a Arc<Btf>>,
}

/// What a test run is given.
#[derive(Clone, Copy, Debug)]
pub struct TestRun<'a> {
    /// The packet.
    pub data: &'a [u8],
    /// The virtual CPU.
    pub cpu: u32,
}

/// What a test run gives back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the program returned.
    pub value: u32,
    /// The packet as the program left it.
    pub data: Vec<u8>,
    /// Where the program redirected the packet.
    pub redirect: Option<Redirect>,
    /// Instructions that it ran; 0 on targets that do not count them.
    pub insns: u64,
}
