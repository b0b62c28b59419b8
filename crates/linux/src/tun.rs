//! TUN devices: network devices without link layer whose wire is a descriptor.

use rustix::fs::{Mode, OFlags, open};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
const IFF_TUN: u16 = 1;
/// Packets stand alone, without information in front.
const IFF_NO_PI: u16 = 0x1000;
/// Bytes of `struct ifreq`, and of the name in front of it, with its zero.
const IFREQ: usize = 40;
const IFNAMSIZ: usize = 16;

/// A device, for as long as this value lives: what is written is received by the stack, what the stack sends is read.
#[derive(Debug)]
pub struct Tun {
    fd: OwnedFd,
}

impl Tun {
    /// Makes one in the network namespace of the calling thread; it is down.
    ///
    /// # Errors
    /// `EINVAL` for a name that is no device's (1 to 15 bytes); `EPERM` without `CAP_NET_ADMIN`; `EBUSY` if there is one
    /// of the name; what else the system says.
    pub fn new(name: &str) -> io::Result<Tun> {
        if name.is_empty() || name.len() >= IFNAMSIZ || name.contains(['/', '\0', ' ']) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let fd = open("/dev/net/tun", OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
        let mut request = [0u8; IFREQ];
        request[..name.len()].copy_from_slice(name.as_bytes());
        request[IFNAMSIZ..IFNAMSIZ + 2].copy_from_slice(&(IFF_TUN | IFF_NO_PI).to_ne_bytes());
        // SAFETY: the request is as long as the `struct ifreq` that the kernel reads and writes.
        match unsafe { libc::ioctl(fd.as_raw_fd(), TUNSETIFF, request.as_mut_ptr()) } {
            0 => Ok(Tun { fd }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Lets the stack receive a packet.
    ///
    /// # Errors
    /// `EINVAL` for what is no IP packet, `EIO` if the device is down; what else the system says.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        rustix::io::write(&self.fd, packet)?;
        Ok(())
    }

    /// The next packet that the stack has sent: its length in the buffer, whose end cuts it. `None`: none waits.
    ///
    /// # Errors
    /// The system's.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match rustix::io::read(&self.fd, buffer) {
            Ok(len) => Ok(Some(len)),
            Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
