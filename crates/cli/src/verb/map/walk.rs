//! All elements of a map: in batches where the kernel has them, else one by one.

use super::entry::Elements;
use crate::failure::Failure;
use alveary_abi::Errno;
use alveary_linux::sys::{self, Cursor};

/// Bytes of a batch, at most, to begin with.
const ROOM: usize = 1 << 18;
/// Elements of a batch that are too few for a bucket, at most, before we go on one by one.
const LARGEST: usize = 1 << 20;

/// Gives every element to `each`, with what the kernel says of its value. Elements that come or go meanwhile may be
/// missing.
pub(super) fn walk(
    elements: &Elements,
    mut each: impl FnMut(&[u8], Result<&[u8], &sys::Error>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let map = &elements.map;
    let (key_size, value_size) = (map.key_size(), map.value_size());
    let mut count = (ROOM / (key_size + value_size).max(1)).clamp(16, 1 << 14);
    let mut cursor = Cursor::new();
    let mut nothing_yet = true;
    // What a map of programs or maps has in batches are ids, and its empty slots end them.
    let batches = !elements.holds_programs() && !elements.holds_maps() && key_size > 0;
    while batches && !cursor.done() {
        let (mut keys, mut values) = (vec![0; count * key_size], vec![0; count * value_size]);
        match map.lookup_batch(&mut cursor, &mut keys, &mut values, 0) {
            Ok(found) => {
                nothing_yet &= found == 0;
                let values = values.chunks(value_size.max(1));
                keys.chunks(key_size).zip(values).take(found).try_for_each(|(key, value)| each(key, Ok(value)))?;
            }
            Err(why) if why.errno() == Errno::ENOSPC && count < LARGEST => count *= 2,
            // Types and kernels without batches.
            Err(_) if nothing_yet => return one_by_one(elements, each),
            Err(why) => return Err(why.into()),
        }
    }
    if batches { Ok(()) } else { one_by_one(elements, each) }
}

fn one_by_one(
    elements: &Elements,
    mut each: impl FnMut(&[u8], Result<&[u8], &sys::Error>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let map = &elements.map;
    let mut value = vec![0; map.value_size()];
    let mut last: Option<Vec<u8>> = None;
    loop {
        let mut key = vec![0; map.key_size()];
        match map.next_key(last.as_deref(), &mut key) {
            Ok(()) => {}
            Err(end) if end.errno() == Errno::ENOENT => return Ok(()),
            Err(why) => return Err(why.into()),
        }
        match map.lookup(&key, &mut value, 0) {
            Ok(()) => each(&key, Ok(&value))?,
            Err(why) => each(&key, Err(&why))?,
        }
        last = Some(key);
    }
}
