//! Kernels as shared objects of this machine.

use crate::rounds::Runs;
use std::{
    ffi::{CStr, CString, c_void},
    path::Path,
};

/// A kernel's entry.
pub(crate) struct Native {
    entry: unsafe extern "C" fn(*const u8, u64) -> u64,
    packet: Vec<u8>,
    #[cfg(feature = "peers")]
    library: *mut c_void,
}

impl Native {
    /// Opens what was compiled from our own kernels.
    pub(crate) fn open(object: &Path, packet: Vec<u8>) -> Result<Native, String> {
        let path = CString::new(object.to_string_lossy().as_bytes()).map_err(|error| error.to_string())?;
        // SAFETY: the object was compiled just now from our own source; it has no initialisers.
        let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if library.is_null() {
            return Err(format!("{}: it does not load", object.display()));
        }
        let entry = symbol(library, c"prog").ok_or_else(|| format!("{}: it has no entry", object.display()))?;
        Ok(Native {
            // SAFETY: kernel.h defines it with this signature.
            entry: unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*const u8, u64) -> u64>(entry) },
            packet,
            #[cfg(feature = "peers")]
            library,
        })
    }

    /// A function of it.
    #[cfg(feature = "peers")]
    pub(crate) fn symbol(&self, name: &CStr) -> Option<*mut c_void> {
        symbol(self.library, name)
    }
}

fn symbol(library: *mut c_void, name: &CStr) -> Option<*mut c_void> {
    // SAFETY: libraries are opened above and never closed.
    let address = unsafe { libc::dlsym(library, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}

impl Runs for Native {
    fn run(&mut self, times: u32) -> Result<u32, String> {
        let (address, length) = (self.packet.as_ptr(), self.packet.len() as u64);
        let mut result = 0;
        for _ in 0..times {
            // SAFETY: kernels stay inside the packet that they are given, and only read it.
            result = std::hint::black_box(unsafe { (self.entry)(address, length) });
        }
        Ok(result as u32)
    }
}
