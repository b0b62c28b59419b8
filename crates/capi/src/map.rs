//! Maps.

use crate::{
    boundary::{bytes, copy_out, enter, given, given_mut},
    error::{Failure, alveary_error, string},
};
use alveary::{MapHandle, UserMap};
use std::{
    ffi::{CString, c_char, c_int, c_void},
    sync::OnceLock,
};

/// A map. Opaque to C.
pub(crate) struct alveary_map {
    map: UserMap,
    /// Made when it is asked for: a map that a helper gets hardly ever is.
    name: OnceLock<CString>,
}

impl alveary_map {
    pub(crate) fn new(map: UserMap) -> alveary_map {
        alveary_map { map, name: OnceLock::new() }
    }

    /// The place of an entry must be of its size.
    fn holds_entry(&self, len: usize) -> Result<(), Failure> {
        let size = self.map.entry_size();
        if len == size {
            return Ok(());
        }
        let message = format!("map `{}`: the place for an entry has the wrong size", self.map.spec().name);
        Err(Failure::wrong(message, format!("{size} bytes"), format!("{len} bytes")))
    }
}

/// What is known of a map, as in the header.
#[repr(C)]
struct alveary_map_info {
    ty: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    entry_size: usize,
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_map_name(map: *const alveary_map) -> *const c_char {
    // SAFETY: NULL or a map, as the header says.
    let map = unsafe { map.as_ref() };
    map.map_or(c"".as_ptr(), |map| map.name.get_or_init(|| string(&map.map.spec().name)).as_ptr())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_map_get_info(
    map: *const alveary_map,
    info: *mut alveary_map_info,
    error: *mut *mut alveary_error,
) -> c_int {
    // SAFETY: the handle, the struct and `error` are what the header says.
    unsafe {
        enter(error, -1, || {
            let map = &given(map, "the map")?.map;
            let def = &map.spec().def;
            *given_mut(info, "the place for what is known of the map")? = alveary_map_info {
                ty: def.ty.0,
                key_size: def.key_size,
                value_size: def.value_size,
                max_entries: def.max_entries,
                entry_size: map.entry_size(),
            };
            Ok(0)
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_map_lookup(
    map: *const alveary_map,
    key: *const c_void,
    key_len: usize,
    entry: *mut c_void,
    entry_len: usize,
    error: *mut *mut alveary_error,
) -> c_int {
    // SAFETY: the handle, the bytes and `error` are what the header says.
    unsafe {
        enter(error, -1, || {
            let map = given(map, "the map")?;
            let key = bytes(key, key_len, "the key")?;
            map.holds_entry(entry_len)?;
            if entry.is_null() && entry_len != 0 {
                return Err(Failure::null("the place for the entry"));
            }
            let Some(found) = map.map.lookup(key)? else { return Ok(0) };
            copy_out(&found, entry, entry_len);
            Ok(1)
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_map_update(
    map: *const alveary_map,
    key: *const c_void,
    key_len: usize,
    entry: *const c_void,
    entry_len: usize,
    flags: u64,
    error: *mut *mut alveary_error,
) -> c_int {
    // SAFETY: the handle, the bytes and `error` are what the header says.
    unsafe {
        enter(error, -1, || {
            let map = given(map, "the map")?;
            let key = bytes(key, key_len, "the key")?;
            map.map.update(key, bytes(entry, entry_len, "the entry")?, flags)?;
            Ok(0)
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_map_delete(
    map: *const alveary_map,
    key: *const c_void,
    key_len: usize,
    error: *mut *mut alveary_error,
) -> c_int {
    // SAFETY: the handle, the bytes and `error` are what the header says.
    unsafe { enter(error, -1, || Ok(given(map, "the map")?.map.delete(bytes(key, key_len, "the key")?)?.into())) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_map_next_key(
    map: *const alveary_map,
    key: *const c_void,
    next: *mut c_void,
    key_len: usize,
    error: *mut *mut alveary_error,
) -> c_int {
    // SAFETY: the handle, the bytes and `error` are what the header says. `next` is written when `key` is read no more.
    unsafe {
        enter(error, -1, || {
            let map = &given(map, "the map")?.map;
            let size = map.spec().def.key_size as usize;
            if key_len != size {
                let message = format!("map `{}`: a key has the wrong size", map.spec().name);
                return Err(Failure::wrong(message, format!("{size} bytes"), format!("{key_len} bytes")));
            }
            if next.is_null() {
                return Err(Failure::null("the place for the key"));
            }
            let after = if key.is_null() { None } else { Some(bytes(key, key_len, "the key")?) };
            let Some(found) = map.next_key(after)? else { return Ok(0) };
            copy_out(&found, next, key_len);
            Ok(1)
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_map_events(
    map: *const alveary_map,
    each: Option<unsafe extern "C" fn(*mut c_void, u32, *const c_void, usize)>,
    user: *mut c_void,
    error: *mut *mut alveary_error,
) -> i64 {
    // SAFETY: the handle, the callback and `error` are what the header says.
    unsafe {
        enter(error, -1, || {
            let map = given(map, "the map")?;
            let each = each.ok_or_else(|| Failure::null("the callback"))?;
            let lost = map.map.events(|cpu, data| each(user, cpu, data.as_ptr().cast(), data.len()))?;
            Ok(i64::try_from(lost).unwrap_or(i64::MAX))
        })
    }
}
