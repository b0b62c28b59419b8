//! lpm_trie: the longest prefix of a key that is in the map.
//!
//! # Layout
//! At the mapping's start the version and the root: number + 1 of the first node, 32 bits each. Node i is at
//! `64 + i * node`:
//!
//! | at | what |
//! |---|---|
//! | 0, 4 | number + 1 of the child whose next bit is 0, is 1 |
//! | 8 | bits of its prefix; the top bit is set for a node that only branches |
//! | 16 | the prefix's bytes, padded to 8 |
//! | 16 + padded | the value |
//!
//! # Protocol
//! Writers hold a lock; each change is one store to one link, an update puts a new node in the old one's place. Nodes
//! are recycled, so a reader that looks while something changes cannot trust what it saw: a version, odd while a
//! writer is at work, tells. After some attempts a reader takes the lock.

use crate::{
    Errno, Layout, Value, flags,
    memory::{LINE, Memory, round_up},
    object::{Kind, index},
};
use alveary_abi::MapDef;
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, Ordering::*, fence},
};

/// Marks a node that only branches.
const BRANCH: u32 = 1 << 31;
const BITS: u64 = 8;
const DATA: u64 = 16;
const VERSION: u64 = 0;
const ROOT: u64 = 4;
/// Where nodes begin.
const NODES: u64 = LINE;
/// Attempts to look a key up beside writers before the lock is taken.
const ATTEMPTS: u32 = 16;
/// Most addresses that the nodes of one map take: beyond, `max_entries` is a limit that memory reaches first, as in
/// the kernel, which takes nodes as they come.
const MOST: u64 = 64 << 30;

/// A trie.
#[derive(Debug)]
pub(crate) struct Trie {
    memory: Memory,
    pool: Mutex<Pool>,
    node: u32,
    value: u32,
    value_size: u32,
    /// Bytes of a key behind its prefix length.
    data_size: usize,
    max: u32,
    nodes: u32,
}

/// Nodes in use and nodes to be had.
#[derive(Debug, Default)]
struct Pool {
    entries: u32,
    fresh: u32,
    free: Vec<Node>,
}

type Node = u32;

/// A key, taken apart.
#[derive(Clone, Copy)]
struct Key<'a> {
    bits: u32,
    data: &'a [u8],
}

impl Trie {
    pub(crate) fn new(def: &MapDef) -> Result<Trie, Errno> {
        let data_size = def.key_size as usize - 4;
        let value = DATA + round_up(data_size as u64, 8);
        let node = value + round_up(u64::from(def.value_size), 8);
        // Each entry but the first may need a node that branches; an update needs one more for a moment.
        let nodes = (2 * u64::from(def.max_entries)).min(MOST / node).min(u64::from(BRANCH) - 2).max(2);
        Ok(Trie {
            memory: Memory::reserve(NODES + nodes * node)?,
            pool: Mutex::default(),
            node: node as u32,
            value: value as u32,
            value_size: def.value_size,
            data_size,
            max: def.max_entries,
            nodes: nodes as u32,
        })
    }

    /// The key, `None` if its prefix is longer than keys are.
    fn key<'a>(&self, key: &'a [u8]) -> Option<Key<'a>> {
        let (bits, data) = key.split_at(4);
        let bits = index(bits);
        (bits <= self.longest()).then_some(Key { bits, data })
    }

    fn longest(&self) -> u32 {
        self.data_size as u32 * 8
    }

    fn version(&self) -> &AtomicU32 {
        self.memory.word32(VERSION)
    }

    fn root(&self) -> &AtomicU32 {
        self.memory.word32(ROOT)
    }

    fn at(&self, node: Node) -> u64 {
        NODES + u64::from(node) * u64::from(self.node)
    }

    fn child(&self, node: Node, bit: bool) -> &AtomicU32 {
        self.memory.word32(self.at(node) + if bit { 4 } else { 0 })
    }

    fn prefix(&self, node: Node) -> &AtomicU32 {
        self.memory.word32(self.at(node) + BITS)
    }

    fn bits(&self, node: Node) -> u32 {
        self.prefix(node).load(Relaxed) & !BRANCH
    }

    fn is_branch(&self, node: Node) -> bool {
        self.prefix(node).load(Relaxed) & BRANCH != 0
    }

    fn value_at(&self, node: Node) -> u64 {
        self.at(node) + u64::from(self.value)
    }

    /// How many leading bits of a node's prefix the key has, at most as many as either has.
    fn common(&self, node: Node, key: Key<'_>) -> u32 {
        let most = self.bits(node).min(key.bits);
        let mut common = 0;
        for (n, part) in key.data.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            let there = self.memory.word64(self.at(node) + DATA + n as u64 * 8).load(Relaxed);
            let differ = u64::from_be(there) ^ u64::from_be_bytes(word);
            common += differ.leading_zeros();
            if differ != 0 || common >= most {
                break;
            }
        }
        common.min(most)
    }

    /// The longest prefix of `key`. A reader beside writers may be led astray, but no further than keys are long.
    fn longest_match(&self, key: Key<'_>) -> Option<Node> {
        let mut found = None;
        let mut link = self.root().load(Acquire);
        for _ in 0..=self.longest() {
            let Some(node) = link.checked_sub(1) else { break };
            let (prefix, common) = (self.prefix(node).load(Relaxed), self.common(node, key));
            let bits = prefix & !BRANCH;
            if common < bits {
                break;
            }
            if prefix & BRANCH == 0 {
                found = Some(node);
            }
            if bits >= self.longest() {
                break;
            }
            link = self.child(node, bit(key.data, bits)).load(Acquire);
        }
        found
    }

    /// Looks without a lock as long as no writer comes between.
    fn search(&self, key: Key<'_>) -> Option<Node> {
        for _ in 0..ATTEMPTS {
            let before = self.version().load(Acquire);
            let found = self.longest_match(key);
            fence(Acquire);
            if before & 1 == 0 && self.version().load(Relaxed) == before {
                return found;
            }
        }
        let _pool = self.pool();
        self.longest_match(key)
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks out other writers and makes readers look again.
    fn change(&self) -> Change<'_> {
        let pool = self.pool();
        self.version().fetch_add(1, Relaxed);
        fence(Release);
        Change { trie: self, pool }
    }

    /// Goes down to the place of `key`: the link to it, and how much of the node there the key shares.
    fn descend(&self, key: Key<'_>) -> Place<'_> {
        let mut above = None;
        let mut link = self.root();
        loop {
            let Some(node) = link.load(Relaxed).checked_sub(1) else {
                return Place { above, link, found: None };
            };
            let (bits, common) = (self.bits(node), self.common(node, key));
            if bits != common || bits == key.bits {
                return Place { above, link, found: Some((node, common)) };
            }
            above = Some((link, node));
            link = self.child(node, bit(key.data, bits));
        }
    }

    fn is_exact(&self, (node, common): (Node, u32), key: Key<'_>) -> bool {
        common == key.bits && self.bits(node) == common && !self.is_branch(node)
    }

    fn copy_key(&self, node: Node, out: &mut [u8]) {
        let (bits, data) = out.split_at_mut(4);
        bits.copy_from_slice(&self.bits(node).to_ne_bytes());
        self.memory.read(self.at(node) + DATA, data);
    }

    /// The first entry below `node` in postorder: more specific ones first.
    fn first_below(&self, mut node: Node) -> Node {
        loop {
            let (low, high) = (self.child(node, false).load(Relaxed), self.child(node, true).load(Relaxed));
            match (low, high) {
                (0, 0) => return node,
                (0, child) | (child, _) => node = child - 1,
            }
        }
    }
}

/// Where a key is or would be.
struct Place<'a> {
    /// The node above and the link to it.
    above: Option<(&'a AtomicU32, Node)>,
    link: &'a AtomicU32,
    /// The node at the link and how many bits the key shares with it.
    found: Option<(Node, u32)>,
}

/// Bit `n` of a key, from the most significant of its first byte.
fn bit(data: &[u8], n: u32) -> bool {
    data.get(n as usize / 8).is_some_and(|byte| byte & (0x80 >> (n % 8)) != 0)
}

/// A writer at work.
struct Change<'a> {
    trie: &'a Trie,
    pool: MutexGuard<'a, Pool>,
}

impl Change<'_> {
    /// A node with this prefix and no children.
    fn node(&mut self, data: &[u8], prefix: u32) -> Result<Node, Errno> {
        let Trie { memory, nodes, .. } = self.trie;
        let node = match self.pool.free.pop() {
            Some(node) => node,
            None if self.pool.fresh < *nodes => {
                self.pool.fresh += 1;
                self.pool.fresh - 1
            }
            None => return Err(Errno::ENOMEM),
        };
        memory.zero(self.trie.at(node), DATA as usize);
        memory.write(self.trie.at(node) + DATA, data);
        self.trie.prefix(node).store(prefix, Relaxed);
        Ok(node)
    }

    /// A node for an entry that is not there yet.
    fn entry(&mut self, key: Key<'_>, value: &[u8], flags: u64) -> Result<Node, Errno> {
        if flags == flags::BPF_EXIST {
            return Err(Errno::ENOENT);
        }
        if self.pool.entries >= self.trie.max {
            return Err(Errno::ENOSPC);
        }
        let node = self.filled(key, value)?;
        self.pool.entries += 1;
        Ok(node)
    }

    fn filled(&mut self, key: Key<'_>, value: &[u8]) -> Result<Node, Errno> {
        let node = self.node(key.data, key.bits)?;
        self.trie.memory.write(self.trie.value_at(node), value);
        Ok(node)
    }

    fn update(&mut self, key: Key<'_>, value: &[u8], flags: u64) -> Result<(), Errno> {
        let trie = self.trie;
        let Place { link, found, .. } = trie.descend(key);
        let Some((there, common)) = found else {
            link.store(self.entry(key, value, flags)? + 1, Release);
            return Ok(());
        };
        if trie.bits(there) == common {
            // The same prefix: an entry to be replaced, or a branch that becomes one.
            let new = match trie.is_branch(there) {
                true => self.entry(key, value, flags)?,
                false if flags == flags::BPF_NOEXIST => return Err(Errno::EEXIST),
                false => self.filled(key, value)?,
            };
            for side in [false, true] {
                trie.child(new, side).store(trie.child(there, side).load(Relaxed), Relaxed);
            }
            link.store(new + 1, Release);
            self.pool.free.push(there);
            return Ok(());
        }
        let new = self.entry(key, value, flags)?;
        let mut data = vec![0; trie.data_size];
        trie.memory.read(trie.at(there) + DATA, &mut data);
        let side = bit(&data, common);
        if common == key.bits {
            // A prefix of what is there: it goes above.
            trie.child(new, side).store(there + 1, Relaxed);
            link.store(new + 1, Release);
            return Ok(());
        }
        let branch = self.node(&data, common | BRANCH).inspect_err(|_| {
            self.pool.entries -= 1;
            self.pool.free.push(new);
        })?;
        trie.child(branch, side).store(there + 1, Relaxed);
        trie.child(branch, !side).store(new + 1, Relaxed);
        link.store(branch + 1, Release);
        Ok(())
    }

    fn delete(&mut self, key: Key<'_>) -> Result<(), Errno> {
        let trie = self.trie;
        let Place { above, link, found } = trie.descend(key);
        let (node, _) = found.filter(|found| trie.is_exact(*found, key)).ok_or(Errno::ENOENT)?;
        self.pool.entries -= 1;
        let child = |node, side| trie.child(node, side).load(Relaxed);
        match (child(node, false), child(node, true), above) {
            (0, 0, Some((to_branch, branch))) if trie.is_branch(branch) => {
                // A branch always has two children: with one left, that one takes its place.
                let other = child(branch, child(branch, false) == node + 1);
                to_branch.store(other, Release);
                self.pool.free.extend([branch, node]);
            }
            (0, only, _) | (only, 0, _) => {
                link.store(only, Release);
                self.pool.free.push(node);
            }
            _ => trie.prefix(node).store(key.bits | BRANCH, Release),
        }
        Ok(())
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.trie.version().fetch_add(1, Release);
    }
}

impl Kind for Trie {
    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn layout(&self) -> Layout {
        Layout::Trie {
            version: VERSION,
            root: ROOT,
            nodes: NODES,
            node: self.node,
            child: 0,
            bits: BITS as u32,
            prefix: DATA as u32,
            value: self.value,
            max: self.nodes,
        }
    }

    fn lookup(&self, _cpu: u32, key: &[u8]) -> Option<Value> {
        let node = self.search(self.key(key)?)?;
        let addr = self.memory.address(self.value_at(node), self.value_size as usize);
        Some(Value { addr, len: self.value_size })
    }

    fn update(&self, _cpu: u32, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.write(key, value, flags)
    }

    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        let key = self.key(key).ok_or(Errno::EINVAL)?;
        self.change().delete(key)
    }

    fn read(&self, key: &[u8], out: &mut [u8]) -> Result<(), Errno> {
        let key = self.key(key).ok_or(Errno::ENOENT)?;
        let _pool = self.pool();
        let node = self.longest_match(key).ok_or(Errno::ENOENT)?;
        self.memory.read(self.value_at(node), out);
        Ok(())
    }

    fn write(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        if flags > flags::BPF_EXIST {
            return Err(Errno::EINVAL);
        }
        let key = self.key(key).ok_or(Errno::EINVAL)?;
        self.change().update(key, value, flags)
    }

    fn next_key(&self, after: Option<&[u8]>, out: &mut [u8]) -> Result<(), Errno> {
        let _pool = self.pool();
        let root = self.root().load(Relaxed).checked_sub(1).ok_or(Errno::ENOENT)?;
        let mut path = Vec::new();
        let key = after.and_then(|key| self.key(key));
        let found = key.is_some_and(|key| {
            let mut link = root + 1;
            while let Some(node) = link.checked_sub(1) {
                path.push(node);
                let (bits, common) = (self.bits(node), self.common(node, key));
                if bits != common || bits == key.bits {
                    return self.is_exact((node, common), key);
                }
                link = self.child(node, bit(key.data, bits)).load(Relaxed);
            }
            false
        });
        if !found {
            self.copy_key(self.first_below(root), out);
            return Ok(());
        }
        while let (Some(node), Some(&above)) = (path.pop(), path.last()) {
            let high = self.child(above, true).load(Relaxed);
            if high != 0 && high != node + 1 {
                self.copy_key(self.first_below(high - 1), out);
                return Ok(());
            }
            if !self.is_branch(above) {
                self.copy_key(above, out);
                return Ok(());
            }
        }
        Err(Errno::ENOENT)
    }
}
