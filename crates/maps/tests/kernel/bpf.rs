//! bpf(2) for the tests: maps of the running kernel.

use alveary_abi::MapDef;
use alveary_maps::Errno;
use std::{fs, io};

/// A map of the kernel.
pub(crate) struct KernelMap {
    fd: i32,
}

#[repr(C)]
#[derive(Default)]
struct Create {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    map_name: [u8; 16],
    map_ifindex: u32,
    btf: [u32; 4],
    map_extra: u64,
}

#[repr(C)]
struct Element {
    map_fd: u32,
    pad: u32,
    key: *const u8,
    value: *mut u8,
    flags: u64,
}

fn bpf<T>(command: i32, attr: &mut T) -> Result<i32, Errno> {
    // SAFETY: `attr` is what the command takes, as long as it says; the buffers that it points to are alive and as long
    // as the map's keys and values, which the callers below see to.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr as *mut T, size_of::<T>()) };
    match result {
        -1 => Err(Errno(io::Error::last_os_error().raw_os_error().unwrap_or(0))),
        result => Ok(result as i32),
    }
}

impl KernelMap {
    pub(crate) fn create(def: &MapDef, inner: Option<&KernelMap>) -> Result<KernelMap, Errno> {
        let mut attr = Create {
            map_type: def.ty.0,
            key_size: def.key_size,
            value_size: def.value_size,
            max_entries: def.max_entries,
            map_flags: def.flags,
            inner_map_fd: inner.map_or(0, |map| map.fd as u32),
            map_extra: def.extra,
            ..Create::default()
        };
        bpf(0, &mut attr).map(|fd| KernelMap { fd })
    }

    fn element(&self, command: i32, key: Option<&[u8]>, value: Option<&mut [u8]>, flags: u64) -> Result<(), Errno> {
        let key = key.filter(|key| !key.is_empty()).map_or(std::ptr::null(), <[u8]>::as_ptr);
        let value = value.map_or(std::ptr::null_mut(), <[u8]>::as_mut_ptr);
        bpf(command, &mut Element { map_fd: self.fd as u32, pad: 0, key, value, flags }).map(drop)
    }

    pub(crate) fn read(&self, key: &[u8], out: &mut [u8]) -> Result<(), Errno> {
        self.element(1, Some(key), Some(out), 0)
    }

    pub(crate) fn write(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.element(2, Some(key), Some(&mut value.to_vec()), flags)
    }

    pub(crate) fn remove(&self, key: &[u8]) -> Result<(), Errno> {
        self.element(3, Some(key), None, 0)
    }

    pub(crate) fn next_key(&self, after: Option<&[u8]>, out: &mut [u8]) -> Result<(), Errno> {
        self.element(4, after, Some(out), 0)
    }

    pub(crate) fn take(&self, key: &[u8], out: &mut [u8]) -> Result<(), Errno> {
        self.element(21, Some(key), Some(out), 0)
    }

    pub(crate) fn freeze(&self) -> Result<(), Errno> {
        self.element(22, None, None, 0)
    }
}

impl Drop for KernelMap {
    fn drop(&mut self) {
        // SAFETY: the descriptor is this value's own.
        unsafe { libc::close(self.fd) };
    }
}

/// Number of possible CPUs: how many values a per-CPU map of the kernel has.
pub(crate) fn possible_cpus() -> u32 {
    let list = fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
    list.trim().rsplit(['-', ',']).next().and_then(|last| last.parse::<u32>().ok()).map_or(1, |last| last + 1)
}
