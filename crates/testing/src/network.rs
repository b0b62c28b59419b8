//! A network of a test's own: a namespace for its thread, devices whose wire is a file of the test.

use std::{
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    process::Command,
};

/// Gives this thread a network namespace of its own, until it ends.
///
/// # Errors
/// If that is not permitted.
pub fn enter() -> io::Result<()> {
    // SAFETY: the call changes what this thread sees, and nothing in memory.
    match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Calls `ip` with these words.
///
/// # Panics
/// If it says no.
pub fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("`ip` (package iproute2)");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Sets a value below `/proc/sys/net` of this thread's namespace.
///
/// # Panics
/// If it cannot be set.
pub fn set(key: &str, value: &str) {
    fs::write(format!("/proc/sys/net/{key}"), value).unwrap_or_else(|why| panic!("{key}: {why}"));
}

/// A device whose wire is a file: what is written to it is received by the stack, what the stack sends is read from it.
#[derive(Debug)]
pub struct Tun {
    file: File,
    /// Its name.
    pub name: String,
    /// Its number.
    pub index: u32,
}

impl Tun {
    /// Makes one without link layer in this thread's namespace, and takes it up.
    ///
    /// # Errors
    /// If that is not permitted, or there are none on this system.
    ///
    /// # Panics
    /// If the name is too long for one.
    pub fn new(name: &str) -> io::Result<Tun> {
        const IFF_TUN: u16 = 1;
        Tun::of(name, IFF_TUN)
    }

    /// The same with Ethernet frames.
    ///
    /// # Errors
    /// If that is not permitted, or there are none on this system.
    ///
    /// # Panics
    /// If the name is too long for one.
    pub fn tap(name: &str) -> io::Result<Tun> {
        const IFF_TAP: u16 = 2;
        Tun::of(name, IFF_TAP)
    }

    fn of(name: &str, kind: u16) -> io::Result<Tun> {
        const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
        const IFF_NO_PI: u16 = 0x1000;
        let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
        let mut request = [0u8; 40];
        assert!(name.len() < 16, "a name of at most 15 bytes");
        request[..name.len()].copy_from_slice(name.as_bytes());
        request[16..18].copy_from_slice(&(kind | IFF_NO_PI).to_ne_bytes());
        // SAFETY: the request is a `struct ifreq`, which the kernel reads and writes.
        if unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF, request.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        ip(&format!("link set {name} up"));
        let text = CString::new(name)?;
        // SAFETY: the name ends in a zero.
        let index = unsafe { libc::if_nametoindex(text.as_ptr()) };
        Ok(Tun { file, name: name.to_owned(), index })
    }

    /// Lets the stack receive a packet; says whether it took it for one.
    #[must_use]
    pub fn send(&self, packet: &[u8]) -> bool {
        (&self.file).write(packet).is_ok()
    }

    /// The next packet that the stack has sent.
    #[must_use]
    pub fn receive(&self) -> Option<Vec<u8>> {
        let mut packet = vec![0; 1 << 16];
        let len = (&self.file).read(&mut packet).ok()?;
        packet.truncate(len);
        Some(packet)
    }
}
