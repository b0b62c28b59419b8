//! A string section that grows: each text is held once.

use crate::{
    Btf,
    hash::{Chains, Seed},
};

/// Strings, continuing those of a base.
pub(crate) struct Strings {
    /// Bytes of the base's strings, which come first.
    base: Vec<u8>,
    /// Where the base's strings end.
    before: u32,
    bytes: Vec<u8>,
    seed: Seed,
    chains: Chains,
    /// The offset that each number in `chains` stands for.
    offsets: Vec<u32>,
}

impl Strings {
    /// Nothing but the empty string, or nothing but the base's strings.
    pub(crate) fn new(base: Option<&Btf>) -> Strings {
        let own = if base.is_some() { Vec::new() } else { vec![0] };
        Strings::holding(base, own)
    }

    /// With the bytes of a string section.
    pub(crate) fn holding(base: Option<&Btf>, bytes: Vec<u8>) -> Strings {
        let base = base.map(Btf::all_strings).unwrap_or_default();
        let before = base.len() as u32;
        let mut strings =
            Strings { base, before, bytes, seed: Seed::new(), chains: Chains::new(1024), offsets: vec![0] };
        let mut at = 0;
        while at < strings.end() {
            let text = strings.get(at).to_vec();
            strings.note(&text, at);
            at += text.len() as u32 + 1;
        }
        strings
    }

    /// The offset of a text, which is added if it is not there.
    pub(crate) fn offset(&mut self, text: &[u8]) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(found) = self.find(text) {
            return found;
        }
        let at = self.end();
        self.bytes.extend(text);
        self.bytes.push(0);
        self.note(text, at);
        at
    }

    /// The bytes of the section, without the base's.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn find(&self, text: &[u8]) -> Option<u32> {
        let numbers = self.chains.of(self.seed.bytes(text));
        numbers.filter_map(|n| self.offsets.get(n as usize).copied()).find(|at| self.get(*at) == text)
    }

    /// The first of equal texts is the one that counts.
    fn note(&mut self, text: &[u8], at: u32) {
        if text.is_empty() || self.find(text).is_some() {
            return;
        }
        if self.chains.is_crowded(self.offsets.len()) {
            let mut wider = Chains::new(4 * self.offsets.len());
            for (n, at) in self.offsets.iter().enumerate().skip(1) {
                wider.push(self.seed.bytes(self.get(*at)), n as u32);
            }
            self.chains = wider;
        }
        self.chains.push(self.seed.bytes(text), self.offsets.len() as u32);
        self.offsets.push(at);
    }

    /// The text at an offset.
    pub(crate) fn get(&self, at: u32) -> &[u8] {
        let (from, at) = if at < self.before { (&self.base, at) } else { (&self.bytes, at - self.before) };
        let from = from.get(at as usize..).unwrap_or_default();
        let end = from.iter().position(|b| *b == 0).unwrap_or(from.len());
        &from[..end]
    }

    fn end(&self) -> u32 {
        self.before + self.bytes.len() as u32
    }
}
