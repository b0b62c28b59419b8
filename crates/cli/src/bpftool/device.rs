//! Network devices as users name them.

use super::{usage, words::Words};
use crate::failure::Failure;
use rustix::net::{AddressFamily, SocketType, netdevice::name_to_index, socket};

/// The number of the network device of this name, in this network namespace.
pub(crate) fn named(name: &str) -> Result<u32, Failure> {
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None);
    let index = any.ok().and_then(|any| name_to_index(any, name).ok());
    index.ok_or_else(|| {
        usage(format!("there is no network device `{name}`")).help("`ip link` shows those that there are").into()
    })
}

/// The device behind `dev`.
pub(crate) fn behind_dev(words: &mut Words<'_>) -> Result<u32, Failure> {
    if words.is("dev") { named(words.must("a network device")?) } else { Err(words.unexpected("`dev NAME`")) }
}
