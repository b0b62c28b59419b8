//! Helper rows as declarations: how Linux's are written here, and how embedders write theirs.

use crate::{Arg, AttachType, Effects, Helper, HelperId, ProgSet, Proto, Ret, Right, Scope, Version};

/// A row, word by word.
///
/// ```
/// use alveary_abi::{Arg, Helper, HelperId, Limits, Profile, Proto, Tables, Version};
///
/// static PRICE: Helper = Helper::new(HelperId::FIRST_OWN, "price")
///     .doc("The price of an article in cents.")
///     .protos(&[Proto::takes(&[Arg::Any])]);
///
/// let tables = Tables::linux().with_helper(&PRICE);
/// let profile = Profile::new(Version::NEWEST, Limits::LINUX, tables);
/// assert_eq!(profile.helper_named("price").map(|row| row.id), Some(HelperId::FIRST_OWN));
/// ```
impl Helper {
    /// A helper that is there from the start, without prototypes yet.
    #[must_use]
    pub const fn new(id: HelperId, name: &'static str) -> Helper {
        Helper { id, name, doc: "", since: Version(0, 0), right: Right::None, protos: &[] }
    }

    /// What it does, in a sentence or two.
    #[must_use]
    pub const fn doc(self, doc: &'static str) -> Helper {
        Helper { doc, ..self }
    }

    /// The first kernel that has it.
    #[must_use]
    pub const fn since(self, major: u16, minor: u16) -> Helper {
        Helper { since: Version(major, minor), ..self }
    }

    /// What one must be allowed to load programs with it.
    #[must_use]
    pub const fn right(self, right: Right) -> Helper {
        Helper { right, ..self }
    }

    /// Its prototypes; the first one whose scope admits the program counts.
    #[must_use]
    pub const fn protos(self, protos: &'static [Proto]) -> Helper {
        Helper { protos, ..self }
    }
}

/// A prototype, word by word.
impl Proto {
    /// A prototype for every program type that gives a number and does nothing else.
    ///
    /// # Panics
    /// If there are more than five arguments; in a `const` or `static`, when it is compiled.
    #[must_use]
    pub const fn takes(list: &[Arg]) -> Proto {
        assert!(list.len() <= 5, "a helper takes five arguments at most");
        let mut args = [Arg::None; 5];
        let mut at = 0;
        while at < list.len() {
            args[at] = list[at];
            at += 1;
        }
        Proto {
            scope: Scope::of(ProgSet::ALL, Version(0, 0)),
            args,
            ret: Ret::Scalar,
            effects: Effects::NONE,
            packet_memory: false,
            gpl: false,
        }
    }

    /// What it gives back.
    #[must_use]
    pub const fn gives(self, ret: Ret) -> Proto {
        Proto { ret, ..self }
    }

    /// Only these program types may call it.
    #[must_use]
    pub const fn by(self, progs: ProgSet) -> Proto {
        Proto { scope: Scope { progs, ..self.scope }, ..self }
    }

    /// Only programs with one of these expected attach types may call it.
    #[must_use]
    pub const fn at(self, attach: &'static [AttachType]) -> Proto {
        Proto { scope: Scope { attach: Some(attach), ..self.scope }, ..self }
    }

    /// It came with this kernel, later than the helper itself.
    #[must_use]
    pub const fn since(self, major: u16, minor: u16) -> Proto {
        Proto { scope: Scope { since: Version(major, minor), ..self.scope }, ..self }
    }

    /// It is gone from this kernel on.
    #[must_use]
    pub const fn until(self, major: u16, minor: u16) -> Proto {
        Proto { scope: Scope { until: Some(Version(major, minor)), ..self.scope }, ..self }
    }

    /// Only programs under a GPL-compatible licence may call it.
    #[must_use]
    pub const fn gpl(self) -> Proto {
        Proto { gpl: true, ..self }
    }

    /// Pointers into the packet may be passed as memory, keys and values.
    #[must_use]
    pub const fn packet_memory(self) -> Proto {
        Proto { packet_memory: true, ..self }
    }

    /// Packet pointers that were checked before are no longer known to be valid.
    #[must_use]
    pub const fn changes_packet(self) -> Proto {
        Proto { effects: Effects { changes_packet: true, ..self.effects }, ..self }
    }

    /// What it gives back must be released.
    #[must_use]
    pub const fn acquires(self) -> Proto {
        Proto { effects: Effects { acquires: true, ..self.effects }, ..self }
    }

    /// It releases this argument (from 0).
    #[must_use]
    pub const fn releases(self, arg: u8) -> Proto {
        Proto { effects: Effects { releases: Some(arg), ..self.effects }, ..self }
    }

    /// Only sleepable programs may call it.
    #[must_use]
    pub const fn sleeps(self) -> Proto {
        Proto { effects: Effects { sleeps: true, ..self.effects }, ..self }
    }

    /// It reads or writes an address that nothing vouches for.
    #[must_use]
    pub const fn raw_address(self) -> Proto {
        Proto { effects: Effects { raw_address: true, ..self.effects }, ..self }
    }

    /// It also reads the registers behind its arguments.
    #[must_use]
    pub const fn reads_more(self) -> Proto {
        Proto { effects: Effects { reads_more: true, ..self.effects }, ..self }
    }

    /// It may not be called while a spin lock is held.
    #[must_use]
    pub const fn takes_lock(self) -> Proto {
        Proto { effects: Effects { takes_lock: true, ..self.effects }, ..self }
    }

    /// It gives up the lock.
    #[must_use]
    pub const fn drops_lock(self) -> Proto {
        Proto { effects: Effects { drops_lock: true, ..self.effects }, ..self }
    }
}
