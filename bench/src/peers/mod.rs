//! Other engines, over plain memory and with the native map's functions as helpers.

mod rbpf;
mod sbpf;

pub(crate) use rbpf::Rbpf;
pub(crate) use sbpf::Sbpf;

use crate::native::Native;
use std::sync::OnceLock;

/// Where code of the kernels' object code calls a helper.
const CALL: u8 = 0x85;

/// The map of the kernel `map`: what engines call, and where its values are. Helpers are plain functions that are given
/// nothing of ours, so that it is known to all.
struct Table {
    look_up: unsafe extern "C" fn(u64, u64) -> u64,
    update: unsafe extern "C" fn(u64, u64, u64, u64) -> u64,
    values: (u64, u64),
}

static TABLE: OnceLock<Table> = OnceLock::new();

/// Makes the map of a native kernel that of all engines; kernels without one leave it.
pub(crate) fn share_map(native: &Native) {
    let library = &native.library;
    // SAFETY: table.c defines these functions so; pointers are handed over as numbers, which is the same to the callee.
    let table = unsafe {
        let range = library.get::<unsafe extern "C" fn(*mut u64, *mut u64)>(c"range");
        let (Ok(look_up), Ok(update), Ok(range)) = (library.get(c"look_up"), library.get(c"update"), range) else {
            return;
        };
        let (mut start, mut length) = (0, 0);
        range(&raw mut start, &raw mut length);
        Table { look_up, update, values: (start, length) }
    };
    let _ = TABLE.set(table);
}

fn look_up(map: u64, key: u64) -> u64 {
    // SAFETY: the kernel `map` hands over the address of a key.
    TABLE.get().map_or(0, |table| unsafe { (table.look_up)(map, key) })
}

fn update(map: u64, key: u64, value: u64, flags: u64) -> u64 {
    // SAFETY: the kernel `map` hands over the addresses of a key and a value.
    TABLE.get().map_or(0, |table| unsafe { (table.update)(map, key, value, flags) })
}
