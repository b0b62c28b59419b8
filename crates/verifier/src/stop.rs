//! How a check ends early.

use alveary_abi::Errno;

/// Why no more is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The kernel rejects the program; the log has the message.
    Rejected(Errno),
    /// The program needs what is not judged here.
    Refused(String),
}

pub(crate) type Check<T = ()> = Result<T, Stop>;

/// Says why, and rejects with an error number.
macro_rules! reject {
    ($verifier:expr, $errno:ident, $($words:tt)*) => {{
        $verifier.log.say(format_args!($($words)*));
        return Err($crate::stop::Stop::Rejected(alveary_abi::Errno::$errno))
    }};
}

/// Gives up with a reason.
macro_rules! refuse {
    ($($words:tt)*) => {
        return Err($crate::stop::Stop::Refused(format!($($words)*)))
    };
}

pub(crate) use {refuse, reject};
