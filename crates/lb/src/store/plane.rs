//! What the store needs of a target besides its maps' entries: words of an array many at once, tables page by page.

use crate::{Fault, Result, wire};
use alveary::{
    Backend, Linux, LinuxMap, MapHandle, User, UserMap,
    kernel::{read::MappedArray, sys::Cursor},
};
use alveary_diag::{Diagnostic, Place};
use rustix::io::Errno;

/// Entries of a table that are held at once.
const PAGE: usize = 1024;
/// The same where one bucket of the kernel's has more than that.
const LARGEST: usize = PAGE << 8;

/// A target on which the data plane can be.
pub trait Plane: Backend {
    /// Words of an array, to be read and written many at once.
    ///
    /// # Errors
    /// The target's.
    fn words(map: &Self::Map) -> Result<Box<dyn Words>>;

    /// Hands over the entries of a table, key and value, until `take` has enough (`false`). No more than a page of them is
    /// held at once, however large the table is; what comes or goes meanwhile may be missing.
    ///
    /// # Errors
    /// The target's.
    fn each(map: &Self::Map, take: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<()>;
}

/// An array of words.
pub trait Words {
    /// Writes some.
    ///
    /// # Errors
    /// The target's, and if they do not fit.
    fn write(&mut self, at: u32, words: &[u32]) -> Result<()>;

    /// Reads some.
    ///
    /// # Errors
    /// As above.
    fn read(&mut self, at: u32, count: u32) -> Result<Vec<u32>>;
}

impl Plane for User {
    fn words(map: &UserMap) -> Result<Box<dyn Words>> {
        Ok(Box::new(map.clone()))
    }

    fn each(map: &UserMap, take: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<()> {
        let mut next = map.next_key(None)?;
        // Where a key goes meanwhile it begins anew.
        for _ in 0..map.spec().def.max_entries {
            let Some(key) = next else { break };
            next = map.next_key(Some(&key))?;
            if let Some(value) = map.lookup(&key)?
                && !take(&key, &value)
            {
                break;
            }
        }
        Ok(())
    }
}

impl Words for UserMap {
    fn write(&mut self, at: u32, words: &[u32]) -> Result<()> {
        (at..).zip(words).try_for_each(|(at, word)| Ok(self.update(&at.to_ne_bytes(), &word.to_ne_bytes(), 0)?))
    }

    fn read(&mut self, at: u32, count: u32) -> Result<Vec<u32>> {
        let word = |at: u32| Ok(wire::word(&self.lookup(&at.to_ne_bytes())?.unwrap_or_default(), 0));
        (at..at.saturating_add(count)).map(word).collect()
    }
}

impl Plane for Linux {
    fn words(map: &LinuxMap) -> Result<Box<dyn Words>> {
        Ok(Box::new(Mapped(map.clone())))
    }

    fn each(map: &LinuxMap, take: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<()> {
        let (key, value) = (map.spec().def.key_size as usize, map.entry_size());
        let (mut cursor, mut room) = (Cursor::new(), PAGE);
        let (mut keys, mut values) = (vec![0; room * key], vec![0; room * value]);
        while !cursor.done() {
            match map.sys().lookup_batch(&mut cursor, &mut keys, &mut values, 0) {
                Ok(count) => {
                    let mut page = keys.chunks_exact(key).zip(values.chunks_exact(value)).take(count);
                    if !page.all(|(key, value)| take(key, value)) {
                        break;
                    }
                }
                // A bucket with more entries than there is room for.
                Err(why) if why.errno().0 == Errno::NOSPC.raw_os_error() && room < LARGEST => {
                    room *= 4;
                    keys.resize(room * key, 0);
                    values.resize(room * value, 0);
                }
                Err(why) => return Err(failed(format!("map `{}` cannot be read: {why}", map.spec().name))),
            }
        }
        Ok(())
    }
}

/// An array of the kernel's. It is mapped table by table: all tables together may be larger than the rest of the process.
struct Mapped(LinuxMap);

impl Mapped {
    fn part(&self, at: u32, count: usize) -> Result<MappedArray> {
        let end = u32::try_from(count).ok().and_then(|count| at.checked_add(count)).unwrap_or(u32::MAX);
        let part = MappedArray::part(self.0.sys(), true, at..end);
        part.map_err(|why| {
            failed(format!("words {at} to {end} of map `{}` cannot be mapped: {why}", self.0.spec().name))
        })
    }
}

impl Words for Mapped {
    fn write(&mut self, at: u32, words: &[u32]) -> Result<()> {
        if words.is_empty() {
            return Ok(());
        }
        let part = self.part(at, words.len())?;
        let fits = (at..).zip(words).all(|(at, word)| part.write(at, 0, &word.to_ne_bytes()));
        if fits { Ok(()) } else { Err(failed(format!("{} words at {at} are behind the end", words.len()))) }
    }

    fn read(&mut self, at: u32, count: u32) -> Result<Vec<u32>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let part = self.part(at, count as usize)?;
        let word = |at: u32| part.value(at).map(|bytes| wire::word(&bytes, 0));
        let words: Option<Vec<u32>> = (at..at.saturating_add(count)).map(word).collect();
        words.ok_or_else(|| failed(format!("{count} words at {at} are behind the end")))
    }
}

fn failed(message: String) -> Fault {
    Diagnostic::new("lb", message, Place::Nowhere).into()
}
