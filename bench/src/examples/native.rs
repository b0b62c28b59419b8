//! Programs as shared objects of this machine: every packet is copied in, maps and helpers are plain C (`native/`),
//! called or compiled in.

use super::{
    Packets, Replay,
    list::{Entry, Example, Hook},
    ours::said,
};
use crate::{
    compile::{self, Compiler},
    native::Library,
    rounds::Runs,
};
use alveary::Object;
use std::ffi::{CStr, CString, c_char};

/// Where maps and helpers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Helpers {
    /// They are another translation unit's functions, as programs call those of the kernel.
    Called,
    /// They are part of the program, with all sizes constant.
    Within,
}

pub(super) struct Native {
    run: unsafe extern "C" fn(*const u8, u64) -> u32,
    left: *const *const u8,
    left_length: *const u64,
    packets: Packets,
}

impl Native {
    pub(super) fn open(
        compiler: Compiler,
        helpers: Helpers,
        example: &Example,
        packets: Packets,
    ) -> Result<Native, String> {
        let object = Object::open(example.object()?).map_err(said)?;
        // What has keys is a map to look into; names with a dot are sections, whose variables are the source's own.
        let maps = object.spec().maps.values().filter(|map| map.def.key_size != 0 && !map.name.contains('.'));
        let maps: String = maps.map(|map| format!("MAP({}) ", map.name)).collect();
        let mut defines = vec![
            format!("-DSOURCE=\"{}\"", example.source().display()),
            format!("-DENTRY={}", example.program),
            format!("-DMAPS={maps}"),
        ];
        defines.extend((example.hook == Hook::Tc).then(|| "-DSKB".to_owned()));
        defines.extend((helpers == Helpers::Within).then(|| "-DWITHIN".to_owned()));
        let kind = format!("{helpers:?}");
        let library = Library::open(&compile::example(compiler, example.name, &kind, &defines)?)?;
        // SAFETY: native.c defines these with these types, and nothing of a library ever goes.
        let (make, put, run, left, left_length) = unsafe {
            (
                library.get::<unsafe extern "C" fn()>(c"make")?,
                library.get::<unsafe extern "C" fn(*const c_char, *const u8, *const u8) -> i64>(c"put")?,
                library.get(c"prog")?,
                library.get(c"left")?,
                library.get(c"left_length")?,
            )
        };
        // SAFETY: it takes nothing.
        unsafe { make() };
        for Entry { map, key, value } in (example.entries)() {
            let name = CString::new(map).map_err(|error| error.to_string())?;
            // SAFETY: key and value have the sizes of the map's: the other engines have checked them.
            if unsafe { put(CStr::as_ptr(&name), key.as_ptr(), value.as_ptr()) } != 0 {
                return Err(format!("map `{map}` takes no such entry"));
            }
        }
        Ok(Native { run, left, left_length, packets })
    }
}

impl Runs for Native {
    fn run(&mut self, times: u32) -> Result<u32, String> {
        let mut sum = 0u32;
        for _ in 0..times {
            for packet in &*self.packets {
                // SAFETY: captured packets are shorter than the memory that they are copied into.
                sum = sum.wrapping_add(unsafe { (self.run)(packet.as_ptr(), packet.len() as u64) });
            }
        }
        Ok(sum)
    }
}

impl Replay for Native {
    fn one(&mut self, packet: &[u8]) -> Result<(u32, Vec<u8>), String> {
        // SAFETY: as above; the library says where it has left the packet, which stays there until the next one.
        unsafe {
            let verdict = (self.run)(packet.as_ptr(), packet.len() as u64);
            Ok((verdict, std::slice::from_raw_parts(*self.left, *self.left_length as usize).to_vec()))
        }
    }
}
