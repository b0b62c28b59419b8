//! A kernel as a value: the rows that it knows, found fast, and its limits.
//!
//! The tables hold every row, so that an error can say which kernel brings what this one lacks; the lookups of a
//! [`Profile`] give only what its kernel has.

use crate::{
    AttachType, AttachTypeRow, Helper, HelperId, MapType, MapTypeRow, ProgType, ProgTypeRow, SectionName, SectionRest,
    Version,
    attach_types::ATTACH_TYPES,
    helpers::HELPERS,
    map_types::MAP_TYPES,
    prog_types::PROG_TYPES,
    rules::{Rule, Rules},
    sections::SECTIONS,
};
use std::{
    borrow::Cow,
    collections::HashMap,
    hash::Hash,
    sync::{Arc, LazyLock, OnceLock},
};

/// The rows that a profile knows: Linux's, and an embedder's behind them.
///
/// Cheap to clone while nothing is added. Of two rows with one number or name the later one counts.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Tables {
    pub helpers: Cow<'static, [&'static Helper]>,
    pub prog_types: Cow<'static, [ProgTypeRow]>,
    pub attach_types: Cow<'static, [AttachTypeRow]>,
    pub map_types: Cow<'static, [MapTypeRow]>,
    pub sections: Cow<'static, [SectionName]>,
}

impl Tables {
    /// The rows of every Linux up to [`Version::NEWEST`].
    #[must_use]
    pub const fn linux() -> Tables {
        Tables {
            helpers: Cow::Borrowed(HELPERS),
            prog_types: Cow::Borrowed(PROG_TYPES),
            attach_types: Cow::Borrowed(ATTACH_TYPES),
            map_types: Cow::Borrowed(MAP_TYPES),
            sections: Cow::Borrowed(SECTIONS),
        }
    }

    /// With a helper of one's own; [`Helper::new`] has an example.
    #[must_use]
    pub fn with_helper(mut self, row: &'static Helper) -> Tables {
        self.helpers.to_mut().push(row);
        self
    }

    /// With a program type of one's own.
    ///
    /// ```
    /// use alveary_abi::{Limits, ProgType, ProgTypeRow, Profile, Tables, Version};
    ///
    /// const FILTER: ProgType = ProgType::FIRST_OWN;
    /// let filter = ProgTypeRow {
    ///     ty: FILTER,
    ///     name: "article_filter",
    ///     doc: "Decides which articles are shown.",
    ///     ctx: None,
    ///     attach: &[],
    ///     direct_packet_write: false,
    ///     ret: &[],
    ///     verdicts: &[(0, "HIDE"), (1, "SHOW")],
    ///     since: Version(0, 0),
    /// };
    /// let profile = Profile::new(Version::NEWEST, Limits::LINUX, Tables::linux().with_prog_type(filter));
    /// assert_eq!(profile.verdict_name(FILTER, 1), Some("SHOW"));
    /// ```
    #[must_use]
    pub fn with_prog_type(mut self, row: ProgTypeRow) -> Tables {
        self.prog_types.to_mut().push(row);
        self
    }

    /// With a map type of one's own.
    #[must_use]
    pub fn with_map_type(mut self, row: MapTypeRow) -> Tables {
        self.map_types.to_mut().push(row);
        self
    }

    /// With a section name of one's own.
    #[must_use]
    pub fn with_section(mut self, row: SectionName) -> Tables {
        self.sections.to_mut().push(row);
        self
    }
}

impl Version {
    /// The newest kernel that the tables describe.
    pub const NEWEST: Version = Version(6, 18);
}

/// Limits that a kernel sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Instructions that the verifier may process.
    pub insns: u32,
    /// Branches that may wait to be processed.
    pub jumps: u32,
    /// Bytes of stack of all frames together.
    pub stack: u32,
    /// Frames.
    pub frames: u32,
    /// Subprograms.
    pub subprogs: u32,
    /// Maps that one program may use.
    pub maps: u32,
    /// Tail calls in a row.
    pub tail_calls: u32,
}

impl Limits {
    /// The limits of Linux 5.4 and everything after it.
    pub const LINUX: Limits =
        Limits { insns: 1_000_000, jumps: 8192, stack: 512, frames: 8, subprogs: 256, maps: 64, tail_calls: 33 };
}

/// A kernel as a value: what it accepts.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its version.
    pub version: Version,
    /// Its limits.
    pub limits: Limits,
    patch: u8,
    rules: Rules,
    tables: Tables,
    index: Arc<Index>,
}

/// Where a row stands in its table, by number and by name.
#[derive(Debug)]
struct Index {
    /// Whose rows are found.
    kernel: Version,
    helpers: Rows<&'static Helper>,
    prog_types: Rows<ProgTypeRow>,
    attach_types: Rows<AttachTypeRow>,
    map_types: Rows<MapTypeRow>,
    sections: OnceLock<HashMap<&'static str, usize>>,
}

/// Made when a row is first asked for: all of them take longer to make than a short command takes.
#[derive(Debug)]
struct Rows<R: Row> {
    by_number: OnceLock<HashMap<R::Number, usize>>,
    by_name: OnceLock<HashMap<&'static str, usize>>,
}

/// A row that has a number and a name.
trait Row {
    type Number: Eq + Hash;
    fn number(&self) -> Self::Number;
    fn name(&self) -> &'static str;
    fn since(&self) -> Version;
}

macro_rules! rows {
    ($($row:ty: $number:ty = $field:ident,)*) => {
        $(impl Row for $row {
            type Number = $number;

            fn number(&self) -> $number {
                self.$field
            }

            fn name(&self) -> &'static str {
                self.name
            }

            fn since(&self) -> Version {
                self.since
            }
        })*
    };
}

rows! {
    &'static Helper: HelperId = id,
    ProgTypeRow: ProgType = ty,
    AttachTypeRow: AttachType = ty,
    MapTypeRow: MapType = ty,
}

impl<R: Row> Rows<R> {
    const fn unasked() -> Rows<R> {
        Rows { by_number: OnceLock::new(), by_name: OnceLock::new() }
    }

    /// The row of `rows` with this number, if `kernel` has it.
    fn numbered<'t>(&self, rows: &'t [R], kernel: Version, number: R::Number) -> Option<&'t R> {
        let index = self.by_number.get_or_init(|| index(rows, kernel, R::number));
        index.get(&number).map(|&at| &rows[at])
    }

    /// The row of `rows` with this name, if `kernel` has it.
    fn named<'t>(&self, rows: &'t [R], kernel: Version, name: &str) -> Option<&'t R> {
        let index = self.by_name.get_or_init(|| index(rows, kernel, R::name));
        index.get(name).map(|&at| &rows[at])
    }
}

/// Where the rows stand that `kernel` has, by what `key` says of them.
fn index<R: Row, K: Eq + Hash>(rows: &[R], kernel: Version, key: impl Fn(&R) -> K) -> HashMap<K, usize> {
    let had = rows.iter().enumerate().filter(|(_, row)| row.since() <= kernel);
    had.map(|(at, row)| (key(row), at)).collect()
}

impl Profile {
    /// Linux of this version, at the newest stable level that the tables describe. Kernels between the ones that the
    /// tables are checked against (5.4, 5.10, 5.15, 6.1, 6.6, 6.12, 6.18) are as good as the rows' `since`.
    #[must_use]
    pub fn linux(version: Version) -> Profile {
        // The newest is asked for again and again: all share one index.
        static NEWEST: LazyLock<Profile> =
            LazyLock::new(|| Profile::new(Version::NEWEST, Limits::LINUX, Tables::linux()));
        if version == Version::NEWEST {
            return NEWEST.clone();
        }
        Profile::new(version, Limits::LINUX, Tables::linux())
    }

    /// Linux 6.18: the newest profile.
    #[must_use]
    pub fn linux_6_18() -> Profile {
        Profile::linux(Version::NEWEST)
    }

    /// The same at another stable level (the 44 of 6.18.44).
    #[must_use]
    pub fn at_level(self, patch: u8) -> Profile {
        Profile { patch, rules: Rules::of(self.version, patch), ..self }
    }

    /// A kernel with these rows, at the newest stable level that the tables describe. Rows that came after `version`
    /// stay in the tables but are not found.
    #[must_use]
    pub fn new(version: Version, limits: Limits, tables: Tables) -> Profile {
        let index = Arc::new(Index {
            kernel: version,
            helpers: Rows::unasked(),
            prog_types: Rows::unasked(),
            attach_types: Rows::unasked(),
            map_types: Rows::unasked(),
            sections: OnceLock::new(),
        });
        let patch = version.newest_level();
        Profile { version, limits, patch, rules: Rules::of(version, patch), tables, index }
    }

    /// The same rows of the newest version, by all rules that are known, also those that only later kernels have.
    #[must_use]
    pub fn newest(&self) -> Profile {
        let newest = if self.version == Version::NEWEST {
            self.clone().at_level(Version::NEWEST.newest_level())
        } else {
            Profile::new(Version::NEWEST, self.limits, self.tables.clone())
        };
        Profile { rules: Rules::ALL, ..newest }
    }

    /// Whether both are one, or clones of one: of these rows, with the same limits and rules.
    #[must_use]
    pub fn is(&self, other: &Profile) -> bool {
        let same = (self.version, self.patch, self.limits) == (other.version, other.patch, other.limits);
        same && Arc::ptr_eq(&self.index, &other.index)
    }

    /// The stable level: third number of the kernel's version, which programs may read.
    #[must_use]
    pub fn patch(&self) -> u8 {
        self.patch
    }

    /// The kernel that this describes, by all its numbers (`6.18.44`).
    #[must_use]
    pub fn release(&self) -> String {
        format!("{}.{}", self.version, self.patch)
    }

    /// Whether its verifier has this rule.
    #[must_use]
    pub fn has(&self, rule: Rule) -> bool {
        self.rules.has(rule)
    }

    /// All rows, those of later kernels included.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The helper of this number.
    #[must_use]
    pub fn helper(&self, id: HelperId) -> Option<&'static Helper> {
        self.index.helpers.numbered(&self.tables.helpers, self.index.kernel, id).copied()
    }

    /// The helper of this name (`map_lookup_elem`).
    #[must_use]
    pub fn helper_named(&self, name: &str) -> Option<&'static Helper> {
        self.index.helpers.named(&self.tables.helpers, self.index.kernel, name).copied()
    }

    /// The program type of this number.
    #[must_use]
    pub fn prog_type(&self, ty: ProgType) -> Option<&ProgTypeRow> {
        self.index.prog_types.numbered(&self.tables.prog_types, self.index.kernel, ty)
    }

    /// The program type of this name (`sched_cls`).
    #[must_use]
    pub fn prog_type_named(&self, name: &str) -> Option<&ProgTypeRow> {
        self.index.prog_types.named(&self.tables.prog_types, self.index.kernel, name)
    }

    /// The attach type of this number.
    #[must_use]
    pub fn attach_type(&self, ty: AttachType) -> Option<&AttachTypeRow> {
        self.index.attach_types.numbered(&self.tables.attach_types, self.index.kernel, ty)
    }

    /// The attach type of this name (`cgroup_inet_ingress`).
    #[must_use]
    pub fn attach_type_named(&self, name: &str) -> Option<&AttachTypeRow> {
        self.index.attach_types.named(&self.tables.attach_types, self.index.kernel, name)
    }

    /// The map type of this number.
    #[must_use]
    pub fn map_type(&self, ty: MapType) -> Option<&MapTypeRow> {
        self.index.map_types.numbered(&self.tables.map_types, self.index.kernel, ty)
    }

    /// The map type of this name (`lru_percpu_hash`).
    #[must_use]
    pub fn map_type_named(&self, name: &str) -> Option<&MapTypeRow> {
        self.index.map_types.named(&self.tables.map_types, self.index.kernel, name)
    }

    /// What a program of this type means by returning `value` (`XDP_DROP`), if the value has a name.
    #[must_use]
    pub fn verdict_name(&self, ty: ProgType, value: i32) -> Option<&'static str> {
        let verdicts = self.prog_type(ty)?.verdicts;
        verdicts.iter().find(|(number, _)| *number == value).map(|&(_, name)| name)
    }

    /// What a section's name says of the programs in it, whichever kernel it was written for.
    #[must_use]
    pub fn section<'n>(&self, name: &'n str) -> Option<SectionMatch<'_, 'n>> {
        let prefixes = self.tables.sections.iter().enumerate().map(|(at, row)| (row.prefix, at));
        let index = self.index.sections.get_or_init(|| prefixes.collect());
        if let Some(&at) = index.get(name) {
            return Some(SectionMatch { row: &self.tables.sections[at], rest: None });
        }
        // The longest prefix first: `sk_skb/stream_parser` before `sk_skb`.
        let ends = name.char_indices().rev().map(|(end, _)| end).filter(|&end| end > 0);
        ends.filter_map(|end| {
            let (prefix, rest) = name.split_at(end);
            let row = &self.tables.sections[*index.get(prefix)?];
            let admitted = match row.rest {
                SectionRest::Nothing => false,
                SectionRest::Comment => !rest.starts_with(char::is_alphabetic),
                _ => rest.starts_with('/'),
            };
            admitted.then(|| SectionMatch { row, rest: Some(rest.strip_prefix('/').unwrap_or(rest)) })
        })
        .next()
    }
}

/// What a section's name says.
#[derive(Clone, Copy, Debug)]
pub struct SectionMatch<'p, 'n> {
    /// The row that fits.
    pub row: &'p SectionName,
    /// What follows its prefix, without the `/` (`syscalls/sys_enter_openat`).
    pub rest: Option<&'n str>,
}
