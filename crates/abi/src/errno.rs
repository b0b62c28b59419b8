//! Linux's error numbers, as far as eBPF gives them.

use std::fmt;

/// A Linux error number, positive (`Errno(2)` is `ENOENT`); helpers give them back negated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(pub i32);

macro_rules! numbers {
    ($($name:ident = $number:literal, $what:literal;)*) => {
        impl Errno {
            $(#[doc = $what] pub const $name: Errno = Errno($number);)*

            /// Its name in the UAPI; `None` for one that eBPF does not give.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }

        /// The same as helpers' bodies give them back: negated, as wide as a register.
        pub mod negative {
            $(#[doc = $what] pub const $name: i64 = -$number;)*
        }
    };
}

numbers! {
    EPERM = 1, "Not allowed.";
    ENOENT = 2, "No such entry.";
    ESRCH = 3, "No such task.";
    EINTR = 4, "Interrupted.";
    EIO = 5, "Input or output failed.";
    E2BIG = 7, "Full, too long, or behind the end.";
    EBADF = 9, "No such file descriptor, or not of this kind.";
    EAGAIN = 11, "Not at the moment.";
    ENOMEM = 12, "Not enough memory.";
    EACCES = 13, "The verifier, or a permission, forbids it.";
    EFAULT = 14, "A bad address.";
    EBUSY = 16, "In use.";
    EEXIST = 17, "It is there already.";
    ENODEV = 19, "No such device.";
    EINVAL = 22, "A wrong argument.";
    ENFILE = 23, "Too many open files.";
    EMFILE = 24, "Too many open files in this process.";
    ENOSPC = 28, "No room.";
    EROFS = 30, "Read-only.";
    EDOM = 33, "Outside the domain.";
    ERANGE = 34, "Outside the range.";
    EDEADLK = 35, "It would wait for itself.";
    ENAMETOOLONG = 36, "Too long a name.";
    ENOSYS = 38, "This kernel cannot do it.";
    ELOOP = 40, "Too many levels.";
    ENODATA = 61, "No data.";
    ENOLINK = 67, "The link is gone.";
    EPROTO = 71, "Against the protocol.";
    EBADMSG = 74, "A malformed message.";
    EOVERFLOW = 75, "Too large a value.";
    EILSEQ = 84, "Not a valid text.";
    EMSGSIZE = 90, "Too long a message.";
    EPROTONOSUPPORT = 93, "This protocol is not supported.";
    EOPNOTSUPP = 95, "This object cannot do it.";
    EAFNOSUPPORT = 97, "This address family is not supported.";
    EADDRINUSE = 98, "The address is in use.";
    ENETDOWN = 100, "The device, or the network, is down.";
    ENETUNREACH = 101, "No way to the network.";
    ENOBUFS = 105, "No buffer.";
    EISCONN = 106, "Connected already.";
    ENOTCONN = 107, "Not connected.";
    ETIMEDOUT = 110, "Too late.";
    EHOSTUNREACH = 113, "No way to the host.";
    EALREADY = 114, "Done, or under way, already.";
    EINPROGRESS = 115, "On its way.";
    ESTALE = 116, "It is not what it was.";
    ENOTSUPP = 524, "Not supported (a number of the kernel's own that escapes to user space).";
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "-{name}"),
            None => write!(f, "-{}", self.0),
        }
    }
}

impl std::error::Error for Errno {}
