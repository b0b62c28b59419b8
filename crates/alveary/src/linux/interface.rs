//! Kernel interfaces of an object (`.struct_ops`, `.struct_ops.link`): registered, and taken out again.

use super::{Linux, LinuxMap, attach::failed};
use crate::{Loaded, MapHandle, Result, loader::not_found};
use alveary_linux::attach::{self, Link};
use alveary_spec::{Initial, StructOpsValue};
use std::os::fd::{AsFd, AsRawFd};

impl Loaded<Linux> {
    /// The kernel interfaces that were made, by their maps' names.
    pub fn interfaces(&self) -> impl Iterator<Item = &str> {
        self.maps().filter(|(_, map)| value(map).is_some()).map(|(name, _)| name)
    }

    /// Registers a kernel interface with the kernel: a congestion control, a scheduler. The [`Link`] takes it out when it
    /// is dropped. One of section `.struct_ops.link` can be pinned; one of `.struct_ops` stays without a pin if
    /// [`Link::pin`] lets go of it, until [`attach::unregister`].
    ///
    /// ```no_run
    /// # fn main() -> alveary::Result<()> {
    /// use alveary::{Object, Target};
    /// let loaded = Object::open("cubic.bpf.o")?.load(Target::linux())?;
    /// let link = loaded.register("cubic")?; // SEC(".struct_ops.link") struct tcp_congestion_ops cubic = { … }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`crate::Kind::Attach`] with what the kernel has against it; [`crate::Kind::NotFound`].
    pub fn register(&self, map: &str) -> Result<Link> {
        let (held, value) = self.interface(map)?;
        attach::register(held.sys(), &value, map).map_err(failed)
    }

    /// Registers a kernel interface if it was made; `None` if not.
    ///
    /// # Errors
    /// As for [`Loaded::register`].
    pub fn register_if_made(&self, map: &str) -> Result<Option<Link>> {
        let made = self.interfaces().any(|name| name == map);
        made.then(|| self.register(map)).transpose()
    }

    /// Puts this kernel interface in the place of the one that `link` has registered, without a gap: who uses that one
    /// uses this one from then on. Both are of section `.struct_ops.link` and of one name, and the kernel knows how to
    /// exchange interfaces of their kind (`tcp_congestion_ops`, since Linux 6.4).
    ///
    /// # Errors
    /// As for [`Loaded::register`]; the link stays as it was.
    pub fn replace_interface(&self, link: &mut Link, map: &str) -> Result<()> {
        let (held, value) = self.interface(map)?;
        attach::replace_interface(link, held.sys(), &value, map).map_err(failed)
    }

    /// A kernel interface by its map's name, with what it is given: descriptors of programs where functions belong.
    fn interface(&self, map: &str) -> Result<(&LinuxMap, Vec<u8>)> {
        let held = self.map(map)?;
        let kernel = value(held).ok_or_else(|| not_found("kernel interface", map, self.interfaces().collect()))?;
        let mut bytes = kernel.bytes.clone();
        for (at, program) in &kernel.programs {
            let program = self.program(program)?.handle();
            if let Some(to) = bytes.get_mut(*at as usize..).and_then(|rest| rest.get_mut(..8)) {
                to.copy_from_slice(&(program.as_fd().as_raw_fd() as u64).to_ne_bytes());
            }
        }
        Ok((held, bytes))
    }
}

/// What a kernel is given of an interface; `None` of other maps.
fn value(map: &LinuxMap) -> Option<&StructOpsValue> {
    match &map.spec().initial {
        Initial::StructOps(ops) => ops.kernel.as_ref(),
        _ => None,
    }
}
