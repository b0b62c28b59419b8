//! Rules of the verifier that some kernels have and others do not: which version brought each, and which stable levels
//! have it, too. What a rule does is the verifier's matter; here stands who has it.
//!
//! Facts: the kernel's sources and the change logs of Debian's kernels up to 5.10.262, 6.1.192, 6.12.117 and 7.3.4. A
//! level is the first that is known to have the rule.

use crate::Version;

/// A rule of the verifier, as a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleRow {
    /// The rule.
    pub rule: Rule,
    /// Its name (`scalar_forks`).
    pub name: &'static str,
    /// What a kernel does that has it, in a sentence.
    pub doc: &'static str,
    /// The first version that has it.
    pub since: Version,
    /// Older versions that have it from a stable level on (the 75 of 6.12.75).
    pub stable: &'static [(Version, u8)],
}

impl RuleRow {
    /// The row of a rule.
    #[must_use]
    pub fn of(rule: Rule) -> &'static RuleRow {
        &RULES[rule as usize]
    }

    /// The first kernels that had it (`6.3, 5.10.222 and 6.1.100`).
    #[must_use]
    pub fn kernels(&self) -> String {
        let stable: Vec<String> = self.stable.iter().map(|(version, level)| format!("{version}.{level}")).collect();
        match stable.split_last() {
            None => self.since.to_string(),
            Some((last, [])) => format!("{} and {last}", self.since),
            Some((last, rest)) => format!("{}, {} and {last}", self.since, rest.join(", ")),
        }
    }

    /// Whether the kernel `version` at stable level `patch` has it.
    #[must_use]
    pub fn holds(&self, version: Version, patch: u8) -> bool {
        version >= self.since || self.stable.iter().any(|(branch, level)| *branch == version && patch >= *level)
    }
}

macro_rules! rules {
    ($(#[doc = $doc:literal] $rule:ident $name:literal ($major:literal, $minor:literal)
       [$(($branch:literal, $number:literal, $level:literal)),*];)*) => {
        /// A rule of the verifier that not all kernels have.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Rule { $(#[doc = $doc] $rule,)* }

        /// Every rule, the oldest first.
        pub const RULES: &[RuleRow] = &[$(RuleRow {
            rule: Rule::$rule,
            name: $name,
            doc: $doc.trim_ascii(),
            since: Version($major, $minor),
            stable: &[$((Version($branch, $number), $level)),*],
        }),*];
    };
}

rules! {
    /// Functions whose BTF says that they are global are verified by themselves, by their prototype.
    GlobalFunctions "global_functions" (5, 6) [];
    /// Programs of several functions may make tail calls.
    MixedTailCalls "mixed_tail_calls" (5, 10) [];
    /// Atomic operations besides addition, and those that fetch.
    Atomics "atomics" (5, 12) [];
    /// Loads and stores of the stack may be at variable offsets.
    VariableStack "variable_stack" (5, 12) [];
    /// The address of a function may be taken, to be called back.
    FunctionAddresses "function_addresses" (5, 13) [];
    /// Of two pointers that are equal, and one of which is there, the other is there, too.
    EqualsAreThere "equals_are_there" (6, 2) [];
    /// Whoever may see addresses may read what was never written to the stack.
    UnwrittenStack "unwritten_stack" (6, 3) [(5, 10, 222), (6, 1, 100)];
    /// Instructions of the fourth version: sign extension, signed division, unconditional byte swaps.
    Version4 "version_4" (6, 6) [];
    /// Far jumps.
    FarJumps "far_jumps" (6, 6) [(6, 1, 72)];
    /// Loops may close by an instruction that does not jump.
    LoopsByFalling "loops_by_falling" (6, 7) [];
    /// `may_goto`.
    MayGoto "may_goto" (6, 9) [];
    /// A tail call may move packets.
    TailCallsMovePackets "tail_calls_move_packets" (6, 13) [(6, 12, 9)];
    /// A call of a global function moves packets if the function may.
    FunctionsMovePackets "functions_move_packets" (6, 13) [(6, 12, 25)];
    /// Large frames of programs that may interrupt each other have a stack of their own.
    PrivateStacks "private_stacks" (6, 13) [];
    /// The value of an array at a constant index in its bounds is there.
    KnownEntries "known_entries" (6, 14) [];
    /// Loads that acquire, stores that release.
    AcquireRelease "acquire_release" (6, 15) [];
    /// A mistaken way ends where a barrier is put, instead of making the program unfit.
    Barriers "barriers" (6, 17) [];
    /// The address of a map is not null.
    MapsAreThere "maps_are_there" (6, 17) [(6, 12, 43)];
    /// What a pointer in the kernel's structs leads to may be read, even if it is no struct.
    WalkedMemory "walked_memory" (6, 17) [];
    /// A program behind a tail call in a function returns to the function's caller.
    TailCallsReturn "tail_calls_return" (6, 19) [(6, 18, 44)];
    /// A number that is 0 or -1 is followed as both when a constant is and-ed or or-ed to it.
    ScalarForks "scalar_forks" (7, 0) [(6, 12, 75), (6, 18, 16), (6, 19, 6)];
    /// What a loop by a callback ends in is a way around it: what is compared with it later knows what its rounds need.
    CallbackLoops "callback_loops" (7, 0) [(6, 19, 6)];
    /// Both ways of such a number do the operation; before, the one with 0 went on behind it.
    ForksOperate "forks_operate" (7, 0) [(6, 12, 80), (6, 18, 21), (6, 19, 11)];
    /// A packet load by offset that fails in a function returns 0 to its caller.
    PacketLoadsReturn "packet_loads_return" (7, 1) [(6, 1, 183), (6, 12, 101), (6, 18, 44)];
    /// No packet loads by offset in callbacks.
    NoPacketLoadsInCallbacks "no_packet_loads_in_callbacks" (7, 3) [(6, 12, 114), (6, 18, 44), (7, 2, 7)];
}

/// The rules that a kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules(u64);

// A rule is a bit.
const _: () = assert!(RULES.len() <= 64);

impl Rules {
    pub(crate) const ALL: Rules = Rules(u64::MAX >> (64 - RULES.len()));

    pub(crate) fn of(version: Version, patch: u8) -> Rules {
        let held = RULES.iter().filter(|row| row.holds(version, patch));
        Rules(held.fold(0, |bits, row| bits | 1 << row.rule as u32))
    }

    pub(crate) const fn has(self, rule: Rule) -> bool {
        self.0 >> rule as u32 & 1 == 1
    }
}

impl Version {
    /// The newest stable levels that the rules are taken from; kernels themselves say 255 where it is more.
    const LEVELS: &[(Version, u8)] = &[
        (Version(5, 10), 255),
        (Version(6, 1), 192),
        (Version(6, 12), 117),
        (Version(6, 18), 44),
        (Version(7, 2), 13),
    ];

    /// The newest stable level of this version that the tables describe (the 117 of 6.12.117); 0 where they describe the
    /// version as it came out.
    #[must_use]
    pub fn newest_level(self) -> u8 {
        Version::LEVELS.iter().find(|(version, _)| *version == self).map_or(0, |(_, level)| *level)
    }

    /// The newest version that the tables know rules of, if this one is newer (`7.2.13`).
    #[must_use]
    pub fn newest_known(self) -> Option<String> {
        let (newest, level) = Version::LEVELS.last().expect("some are known");
        (self > *newest).then(|| format!("{newest}.{level}"))
    }
}
