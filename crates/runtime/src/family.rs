//! What a family of program types is, to the runtime: a context struct, where each field of the UAPI's layout stands
//! in it, helper bodies, memory. Data for both readers: the checked mode evaluates it, lowering emits it.
//! Knows no program type by name.

use crate::Bind;
use alveary_abi::ProgType;
use alveary_isa::Width;
use alveary_vm::Region;
use std::{
    any::{Any, TypeId},
    fmt,
    sync::Arc,
};

/// A group of program types that share a context.
///
/// An embedder's own hook, complete: a context of one field, and a program that reads it.
///
/// ```
#[doc = include_str!("../examples/own_family.rs")]
/// ```
///
/// # Safety
/// Checked programs load and store where this trait says. So, for every `Ctx` that exists:
/// - each [`Step::Load`] and [`Store`] of [`Family::backings`] stays inside `Ctx`, or inside what the pointer loaded
///   by the step before points to, at a place that holds plain numbers or pointers of that width, in [`std::cell::Cell`]s
///   if it is stored to or ever changes;
/// - what [`Family::regions`] adds is memory that may be read (and with `write`, written) through raw pointers until
///   the run ends: even when a helper has put other memory in its place, since a helper that is under way may still
///   have it as an argument, and another run of the same context may be in the middle of it. No Rust reference to it
///   lives meanwhile. The regions are asked for again after helpers whose row says `changes_packet`.
///
/// Proven programs do so without being asked, wherever the rows of abi's tables let the verifier believe that they may.
/// So, of the types of [`Family::TYPES`], too:
/// - fields that the layout calls the packet's start, metadata and end are addresses, in this order as metadata, start,
///   end, with memory between them that is one of the regions;
/// - the bodies of [`Family::helpers`] give back what their rows say: of a row that gives a value of a map or memory, an
///   address of that, and call functions of the program back only with what the row's helper gives them on Linux.
#[allow(clippy::needless_doctest_main, reason = "the example is a whole program")]
pub unsafe trait Family: Sized + 'static {
    /// The context behind `r1`. Shared while a program runs: what changes is in cells.
    type Ctx: 'static;
    /// What its helpers need besides the context; shared by all virtual CPUs.
    type State: Send + Sync + 'static;
    /// Its name, for messages.
    const NAME: &'static str;
    /// Its program types.
    const TYPES: &'static [ProgType];
    /// Where each field of the types' context layout stands in `Ctx`. A field that is missing is refused at load.
    fn backings() -> &'static [Backing];
    /// Its helpers, besides those that every program type may call.
    fn helpers() -> &'static [Bind];
    /// Adds the memory that a program may touch besides its stack, its maps and its context (packet bytes).
    fn regions(ctx: &Self::Ctx, add: &mut dyn FnMut(Region));
    /// What r1–r5 are when a program starts, if that is not the address of its context in r1: addresses in its regions,
    /// and numbers. Of such programs nothing can be proven that uses them: they run checked.
    fn registers(_ctx: &Self::Ctx) -> Option<[u64; 5]> {
        None
    }
}

/// Where one field of a context stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backing {
    /// Name in the UAPI struct.
    pub field: &'static str,
    /// How a load gets it, starting at the context.
    pub load: &'static [Step],
    /// How a store puts it, if any program may.
    pub store: Option<Store>,
}

impl Backing {
    /// A field that stands in the context as it is, and is only read.
    #[must_use]
    pub const fn read(field: &'static str, load: &'static [Step]) -> Backing {
        Backing { field, load, store: None }
    }
}

/// One step from the context to a field's value. Each works on what the step before gave, the first on the context's
/// address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Loads at an offset from the address. Element i of a field with several stands i widths further.
    Load(Width, u16),
    /// Masks.
    And(u64),
    /// Shifts right.
    Shr(u8),
    /// Swaps the low two or four bytes.
    Swap(Width),
    /// Ends with this value if it is zero so far (a NULL pointer on the way).
    OrElse(u64),
    /// Is this number.
    Const(u64),
}

/// Where a store of a field goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Store {
    /// Width of the place.
    pub width: Width,
    /// Its offset in the context.
    pub off: u16,
    /// Values above it are not stored.
    pub max: u64,
}

impl Store {
    /// A store of every value that fits.
    #[must_use]
    pub const fn at(width: Width, off: usize) -> Store {
        assert!(off <= u16::MAX as usize);
        Store { width, off: off as u16, max: u64::MAX }
    }
}

/// A [`Family`] without its types: what the runtime keeps.
#[derive(Clone)]
pub(crate) struct FamilyTable {
    pub(crate) name: &'static str,
    pub(crate) id: TypeId,
    pub(crate) backings: &'static [Backing],
    pub(crate) helpers: &'static [Bind],
    pub(crate) state: Arc<dyn Any + Send + Sync>,
}

impl FamilyTable {
    pub(crate) fn of<F: Family>(state: Arc<F::State>) -> FamilyTable {
        FamilyTable { name: F::NAME, id: TypeId::of::<F>(), backings: F::backings(), helpers: F::helpers(), state }
    }

    /// Address of the state, for [`alveary_vm::Env::state`].
    pub(crate) fn state(&self) -> *const () {
        Arc::as_ptr(&self.state).cast()
    }

    pub(crate) fn backing(&self, field: &str) -> Option<&'static Backing> {
        self.backings.iter().find(|b| b.field == field)
    }
}

impl fmt::Debug for FamilyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family").field("name", &self.name).finish_non_exhaustive()
    }
}
