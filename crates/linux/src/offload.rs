//! What a network device does for the stack, turned on and off as `ethtool -K` does.

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd, AsRawFd},
};

/// What a device may do for the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Offload {
    /// Checksums of what is sent are left to it (`ETHTOOL_STXCSUM`). One that has no wire leaves them out.
    TxChecksum = 0x17,
}

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// Turns something on or off at a device of the calling thread's namespace.
///
/// # Errors
/// The system's; what the device cannot do.
pub fn set_offload(device: &str, what: Offload, on: bool) -> io::Result<()> {
    let name = CString::new(device)?;
    let name = name.as_bytes_with_nul();
    if name.len() > libc::IFNAMSIZ {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    let mut value = Value { command: what as u32, data: on.into() };
    // SAFETY: zeros are a value of that struct, which is a name and a union of plain numbers and a pointer.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name) {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)?;
    // SAFETY: the request and the value that it points to live until the call is over, and are what this command takes.
    let done = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
