//! Kernels as shared objects of this machine.

use crate::rounds::Runs;
use std::{
    ffi::{CStr, CString, c_void},
    mem,
    path::Path,
};

/// A shared object that was compiled just now. It is never closed.
pub(crate) struct Library(*mut c_void);

impl Library {
    /// Opens one that was made from our own sources.
    pub(crate) fn open(object: &Path) -> Result<Library, String> {
        let path = CString::new(object.to_string_lossy().as_bytes()).map_err(|error| error.to_string())?;
        // SAFETY: the object was compiled just now from our own source; it has no initialisers.
        let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if library.is_null() { Err(format!("{}: it does not load", object.display())) } else { Ok(Library(library)) }
    }

    /// Where a function or a variable is, as a pointer of that type.
    ///
    /// # Safety
    /// `T` is a pointer to what the library has under this name.
    pub(crate) unsafe fn get<T: Copy>(&self, name: &CStr) -> Result<T, String> {
        const { assert!(size_of::<T>() == size_of::<*mut c_void>()) };
        // SAFETY: the library is open.
        let address = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        // SAFETY: it is as large as an address, which is what the caller says it is.
        if address.is_null() { Err(format!("no {name:?}")) } else { Ok(unsafe { mem::transmute_copy(&address) }) }
    }
}

/// A kernel's entry.
pub(crate) struct Native {
    entry: unsafe extern "C" fn(*const u8, u64) -> u64,
    packet: Vec<u8>,
    #[cfg(feature = "peers")]
    pub(crate) library: Library,
}

impl Native {
    /// Opens what was compiled from our own kernels.
    pub(crate) fn open(object: &Path, packet: Vec<u8>) -> Result<Native, String> {
        let library = Library::open(object)?;
        Ok(Native {
            // SAFETY: kernel.h defines it with this signature.
            entry: unsafe { library.get(c"prog") }.map_err(|why| format!("{}: {why}", object.display()))?,
            packet,
            #[cfg(feature = "peers")]
            library,
        })
    }
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
