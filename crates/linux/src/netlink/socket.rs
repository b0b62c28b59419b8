//! A netlink socket: requests, and the answers to each.

use super::message::{Message, NLM_F_ACK, NLM_F_DUMP, NLMSG_DONE, NLMSG_ERROR, Refusal, Request, messages};
use rustix::{
    buffer::spare_capacity,
    net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, sendto, socket_with},
};
use std::os::fd::{AsRawFd, OwnedFd};

/// Datagrams from the kernel are no longer.
const DATAGRAM: usize = 1 << 16;

const SOL_NETLINK: libc::c_int = 270;
const NETLINK_EXT_ACK: libc::c_int = 11;

/// Sends a request that changes something; gives what `NLM_F_ECHO` made the kernel answer.
pub(super) fn change<T>(request: Request, read: impl FnMut(Message<'_>) -> Option<T>) -> Result<Option<T>, Refusal> {
    Socket::open()?.change(request, read)
}

/// Sends a request for a list; gives what `read` makes of each of its messages.
pub(super) fn dump<T>(request: Request, read: impl FnMut(Message<'_>) -> Option<T>) -> Result<Vec<T>, Refusal> {
    Socket::open()?.dump(request, read)
}

/// A socket for several requests, one behind the other.
pub(super) struct Socket {
    fd: OwnedFd,
    datagram: Vec<u8>,
    /// Of the last request.
    sequence: u32,
}

impl Socket {
    /// To what knows devices, filters and routes.
    pub(super) fn open() -> Result<Socket, Refusal> {
        Socket::of(None)
    }

    /// To the families that are known by name.
    pub(super) fn open_generic() -> Result<Socket, Refusal> {
        Socket::of(Some(netlink::GENERIC))
    }

    fn of(protocol: Option<Protocol>) -> Result<Socket, Refusal> {
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        let yes: libc::c_int = 1;
        let len = size_of_val(&yes) as libc::socklen_t;
        // That the kernel explains itself is welcome, not needed.
        // SAFETY: the option's value is a number of the length that is said.
        let _ = unsafe { libc::setsockopt(fd.as_raw_fd(), SOL_NETLINK, NETLINK_EXT_ACK, (&raw const yes).cast(), len) };
        Ok(Socket { fd, datagram: Vec::with_capacity(DATAGRAM), sequence: 0 })
    }

    /// [`change`], on this socket.
    pub(super) fn change<T>(
        &mut self,
        request: Request,
        mut read: impl FnMut(Message<'_>) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let mut found = None;
        self.talk(request, NLM_F_ACK, |message| found = read(message).or_else(|| found.take()))?;
        Ok(found)
    }

    /// [`dump`], on this socket.
    pub(super) fn dump<T>(
        &mut self,
        request: Request,
        mut read: impl FnMut(Message<'_>) -> Option<T>,
    ) -> Result<Vec<T>, Refusal> {
        let mut all = Vec::new();
        self.talk(request, NLM_F_DUMP, |message| all.extend(read(message)))?;
        Ok(all)
    }

    fn talk(&mut self, request: Request, flags: u16, mut each: impl FnMut(Message<'_>)) -> Result<(), Refusal> {
        self.sequence += 1;
        let mut bytes = request.finish(self.sequence);
        let flags = flags | u16::from_ne_bytes([bytes[6], bytes[7]]);
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        sendto(&self.fd, &bytes, SendFlags::empty(), &netlink::SocketAddrNetlink::new(0, 0))?;
        loop {
            self.datagram.clear();
            recv(&self.fd, spare_capacity(&mut self.datagram), RecvFlags::empty())?;
            for message in messages(&self.datagram).filter(|message| message.answers(self.sequence)) {
                match message.ty {
                    NLMSG_ERROR => return message.refusal().map_or(Ok(()), Err),
                    // The end of a list carries a number too: some lists cannot be made.
                    NLMSG_DONE => return message.refusal().map_or(Ok(()), Err),
                    _ => each(message),
                }
            }
        }
    }
}
