//! Linux's error numbers, as far as maps give them.

use std::fmt;

/// A Linux error number, positive (`Errno(2)` is `ENOENT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

macro_rules! numbers {
    ($($name:ident = $number:literal, $what:literal;)*) => {
        impl Errno {
            $(#[doc = $what] pub const $name: Errno = Errno($number);)*

            /// Its name in the UAPI, `None` for one that no map gives.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

numbers! {
    EPERM = 1, "Not allowed: frozen, or opened without the right.";
    ENOENT = 2, "No such entry.";
    E2BIG = 7, "Full, or the index is behind the end.";
    EBADF = 9, "No such file.";
    EAGAIN = 11, "No room at the moment.";
    ENOMEM = 12, "Not enough memory.";
    EBUSY = 16, "In use.";
    EEXIST = 17, "The entry exists.";
    ENODEV = 19, "No such CPU.";
    EINVAL = 22, "An argument is wrong.";
    ENOSPC = 28, "No room.";
    EOVERFLOW = 75, "Too large a value.";
    EOPNOTSUPP = 95, "This map type cannot do it.";
    ENOTSUPP = 524, "This map type cannot do it (the kernel's own number).";
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
