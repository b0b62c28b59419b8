//! Network devices as users name them, and those that programs and maps are bound to.

use super::{json::Json, usage, words::Words};
use crate::failure::Failure;
use rustix::{
    fs::stat,
    net::{
        AddressFamily, SocketType,
        netdevice::{index_to_name, name_to_index},
        socket,
    },
};
use std::io::{self, Write};

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

/// The device that translated a program, or keeps a map, and the network namespace that it is in.
pub(crate) struct Bound {
    index: u32,
    namespace: (u64, u64),
}

impl Bound {
    /// `None` of what is bound to no device.
    pub(crate) fn of(index: u32, netns_dev: u64, netns_ino: u64) -> Option<Bound> {
        (index != 0).then_some(Bound { index, namespace: (netns_dev, netns_ino) })
    }

    /// Its name, if it is in our own network namespace.
    fn name(&self) -> Option<String> {
        let ours = stat("/proc/self/ns/net").ok()?;
        let any = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
        let is_there = (ours.st_dev, ours.st_ino) == self.namespace;
        is_there.then(|| index_to_name(any, self.index).ok()).flatten()
    }

    /// As part of a line.
    pub(crate) fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        match self.name() {
            Some(name) => write!(out, "  offloaded_to {name}"),
            None => {
                let (dev, ino) = self.namespace;
                write!(out, "  offloaded_to ifindex {} ns_dev {dev} ns_ino {ino}", self.index)
            }
        }
    }

    /// As a member of an object.
    pub(crate) fn json(&self, json: &mut Json<'_>) -> io::Result<()> {
        json.name("dev")?;
        json.object(|json| {
            json.field("ifindex", self.index)?;
            json.field("ns_dev", self.namespace.0)?;
            json.field("ns_inode", self.namespace.1)?;
            self.name().map_or(Ok(()), |name| json.field("ifname", &name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_device_has_its_name_in_its_own_network_namespace() {
        let told = |bound: Bound| {
            let (mut text, mut json) = (Vec::new(), Vec::new());
            bound.text(&mut text).expect("there is room");
            Json::new(&mut json, false).object(|json| bound.json(json)).expect("there is room");
            [text, json].map(|bytes| String::from_utf8(bytes).expect("it is text"))
        };
        assert!(Bound::of(0, 1, 2).is_none());
        let here = stat("/proc/self/ns/net").expect("a network namespace");
        let [text, json] = told(Bound::of(1, here.st_dev, here.st_ino).expect("a device"));
        assert!(text == "  offloaded_to lo" && json.ends_with("\"ifname\":\"lo\"}}"), "{text} {json}");
        let [text, json] = told(Bound::of(1, 2, 3).expect("a device"));
        assert_eq!(text, "  offloaded_to ifindex 1 ns_dev 2 ns_ino 3");
        assert_eq!(json, "{\"dev\":{\"ifindex\":1,\"ns_dev\":2,\"ns_inode\":3}}");
    }
}
