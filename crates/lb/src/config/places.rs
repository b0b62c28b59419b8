//! Where the keys of a configuration stand, for what is found about them when it has been read.

use super::table::Faults;
use alveary_diag::{Diagnostic, Place};
use alveary_sort::Sort;
use std::{collections::BTreeMap, ops::Range, path::PathBuf, sync::Arc};

/// Tables whose keys are noted: there is one of each. Others are many.
const NOTED: [&str; 9] =
    ["configuration", "balancer", "limits", "api", "metrics", "katran", "announce", "etcd", "sync"];

/// A table, and a key of it.
type Key = (&'static str, &'static str);

/// Places of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    at: BTreeMap<Key, Range<usize>>,
    /// Files that something is verified with.
    pub(super) files: Vec<(PathBuf, Range<usize>)>,
    /// Programs that checks run.
    pub(super) programs: Vec<(Box<str>, Range<usize>)>,
    /// Devices that reals are behind, each where it is named first.
    pub(super) devices: BTreeMap<Box<str>, Range<usize>>,
}

impl Notes {
    pub(super) fn note(&mut self, table: &'static str, key: &'static str, at: &Range<usize>) {
        if NOTED.contains(&table) {
            self.at.entry((table, key)).or_insert_with(|| at.clone());
        }
    }
}

/// Where the keys of a file stand. It holds the file's text.
#[derive(Clone, Debug)]
pub struct Places {
    file: Arc<str>,
    text: Arc<str>,
    notes: Notes,
    /// Files that reals are verified with, by the VIPs of another text: where that is named.
    others: Vec<(PathBuf, Place)>,
    /// The same of devices.
    other_devices: Vec<(Box<str>, Place)>,
    /// The same of programs.
    other_programs: Vec<(Box<str>, Place)>,
}

impl Places {
    pub(super) fn new(faults: &mut Faults) -> Places {
        let (file, text) = faults.file();
        let notes = std::mem::take(&mut faults.notes);
        let (others, other_devices, other_programs) = Default::default();
        Places { file, text, notes, others, other_devices, other_programs }
    }

    /// The same, and the files that are named by VIPs elsewhere.
    pub(super) fn with(mut self, others: &mut Faults) -> Places {
        let files = std::mem::take(&mut others.notes.files);
        self.others.extend(files.into_iter().map(|(path, at)| (path, others.at(at))));
        let devices = std::mem::take(&mut others.notes.devices);
        self.other_devices.extend(devices.into_iter().map(|(name, at)| (name, others.at(at))));
        let programs = std::mem::take(&mut others.notes.programs);
        self.other_programs.extend(programs.into_iter().map(|(name, at)| (name, others.at(at))));
        self
    }

    /// Where a key's value stands; where there is none, its table, and where there is no table, the file.
    #[must_use]
    pub fn of(&self, table: &'static str, key: &'static str) -> Place {
        let known = [(table, key), ("configuration", table)].into_iter().find_map(|key| self.notes.at.get(&key));
        self.at(known.cloned().unwrap_or_default())
    }

    /// Brings what is said of the file into its order; what is said of VIPs elsewhere stands behind that.
    pub(crate) fn order(&self, all: &mut [Diagnostic]) {
        all.order_by_key(|fault| match fault.place() {
            Place::Text { file, bytes, .. } => (*file != self.file, bytes.start),
            _ => (true, u32::MAX),
        });
    }

    /// Files that reals are verified with.
    pub(super) fn files(&self) -> impl Iterator<Item = (&PathBuf, Place)> {
        let own = self.notes.files.iter().map(|(path, at)| (path, self.at(at.clone())));
        own.chain(self.others.iter().map(|(path, at)| (path, at.clone())))
    }

    /// Programs that checks run.
    pub(super) fn programs(&self) -> impl Iterator<Item = (&str, Place)> {
        let own = self.notes.programs.iter().map(|(name, at)| (&**name, self.at(at.clone())));
        own.chain(self.other_programs.iter().map(|(name, at)| (&**name, at.clone())))
    }

    /// Devices that reals are behind.
    pub(super) fn devices(&self) -> impl Iterator<Item = (&str, Place)> {
        let own = self.notes.devices.iter().map(|(name, at)| (&**name, self.at(at.clone())));
        own.chain(self.other_devices.iter().map(|(name, at)| (&**name, at.clone())))
    }

    fn at(&self, bytes: Range<usize>) -> Place {
        Place::Text { file: self.file.clone(), text: self.text.clone(), bytes: bytes.start as u32..bytes.end as u32 }
    }
}
