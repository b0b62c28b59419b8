//! What a target must offer. The loading algorithm is written once, over this ([`crate::Loader`]).

use crate::{MapHandle, Redirect, Result, User};
use alveary_spec::{Kernel, MapSpec, Program};
use std::sync::Arc;

/// Names the targets: [`Target::user`] is Alveary's own user-space kernel.
#[derive(Clone, Copy, Debug)]
pub enum Target {}

impl Target {
    /// The user-space kernel: no privilege, deterministic unless told otherwise. [`User::builder`] has its settings.
    #[must_use]
    pub fn user() -> User {
        User::builder().build()
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

    /// Makes a map, fills it with its first bytes and freezes it, as its Spec says; `inner` is the template of its inner
    /// maps. Slots that name programs or maps are filled later.
    ///
    /// # Errors
    /// [`crate::Kind::Map`] with what the target has against the definition.
    fn create_map(&self, spec: &MapSpec, inner: Option<&Self::Map>) -> Result<Self::Map>;

    /// Loads a program; `maps` are those of [`Program::maps`], in that order.
    ///
    /// # Errors
    /// [`crate::Kind::Unsupported`] for what the target does not have.
    fn load_program(&self, program: &Arc<Program>, maps: &[Self::Map]) -> Result<Self::Prog>;

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
    /// Instructions that it ran.
    pub insns: u64,
}
