//! What the kernel has against segment routing by netlink, and what helps.

use alveary::kernel::netlink::Refusal;
use alveary_abi::Errno;
use alveary_diag::{Diagnostic, Place};

/// `message` says what was to be done.
pub(super) fn refused(message: impl Into<String>, why: &Refusal) -> Diagnostic {
    let said = if why.text.is_empty() { why.errno.to_string() } else { format!("{} ({})", why.errno, why.text) };
    let diagnostic = Diagnostic::new("srv6", message.into(), Place::Nowhere).kernel(format!("netlink: {said}"));
    match why.errno {
        Errno::EPERM | Errno::EACCES => diagnostic.help("this needs CAP_NET_ADMIN in this network namespace"),
        Errno::ENETDOWN => diagnostic.help("bring the route's device up first: `ip link set DEVICE up`"),
        Errno::EEXIST => diagnostic.help("`--replace` puts this one in the place of the one that is there"),
        Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT if why.text.is_empty() => {
            diagnostic.expected("a kernel with CONFIG_IPV6_SEG6_LWTUNNEL, CONFIG_IPV6_SEG6_HMAC, CONFIG_IPV6_SEG6_BPF")
        }
        _ => diagnostic,
    }
}
