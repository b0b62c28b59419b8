//! Kernel interfaces (`struct_ops`): a map that holds one, put into force.

use super::{Link, Program, link::Part};
use crate::sys::{self, LinkCreate, LinkUpdate, Map, Target};
use alveary_abi::{AttachType, Errno, Version, flags::BPF_F_LINK};
use alveary_diag::{Diagnostic, Place as At};
use alveary_spec::StructOpsValue;
use std::os::fd::AsFd;

/// Kernel interfaces have links since then.
const LINKS: Version = Version(6, 4);
/// Modules have interfaces since then.
const OF_MODULES: Version = Version(6, 9);
/// Such maps have one element.
const KEY: [u8; 4] = [0; 4];

/// Registers a kernel interface: `value` goes into the map, with descriptors of programs where functions belong.
///
/// A map that was made for links (`BPF_F_LINK`, section `.struct_ops.link`) gets one. Any other is registered by its
/// value alone, once in its life: it stays until it is taken out, also when this process ends. Dropping the [`Link`] does
/// that.
///
/// # Errors
/// The kernel's: `EEXIST` if another one of this name is registered, `EBUSY` if a map without a link was before.
pub fn register(map: &Map, value: &[u8], name: &str) -> Result<Link, Diagnostic> {
    let linked = is_linked(map)?;
    fill(map, value, name, linked)?;
    let place = format!("the kernel interface {name}");
    if linked {
        let create = LinkCreate::new(map.as_fd(), Target::None, AttachType::STRUCT_OPS);
        return Ok(Link::of_fd(place, create.create().map_err(|error| refused(name, &error))?));
    }
    let map = map.try_clone().map_err(|why| {
        unregister(map).ok();
        Diagnostic::new("attach", format!("`{name}` cannot be held: {why}"), At::Nowhere)
    })?;
    Ok(Link::of(place, Registered(map)))
}

/// Puts the kernel interface of this map in the place of the one that `link` has registered, at once for everyone.
///
/// # Errors
/// The kernel's: `EOPNOTSUPP` if interfaces of this kind cannot be exchanged, `EINVAL` if the two are not of one kind or
/// one name. Then the link is as it was.
pub fn replace_interface(link: &Link, map: &Map, value: &[u8], name: &str) -> Result<(), Diagnostic> {
    let without = |what: &str| {
        Diagnostic::new(
            "link-replace",
            format!("{what} has no link, which alone can be given another interface"),
            At::Nowhere,
        )
        .expected("interfaces of section `.struct_ops.link`")
    };
    let of = link.fds().next().ok_or_else(|| without(link.place()))?;
    if !is_linked(map)? {
        return Err(without(&format!("`{name}`")));
    }
    fill(map, value, name, true)?;
    let update = LinkUpdate { link: of, new: map.as_fd(), old: None, flags: 0 };
    update.update().map_err(|error| {
        let message = format!("`{name}` cannot take the place of {}", link.place());
        let why = Diagnostic::new("link-replace", message, At::Nowhere).kernel(said(&error));
        match error.errno() {
            Errno::EPERM | Errno::EACCES => error.diagnostic(),
            Errno::EOPNOTSUPP => why.expected("a kind of interface that the kernel knows how to exchange"),
            Errno::EINVAL => why.expected("an interface of the same kind and name, of section `.struct_ops.link`"),
            _ => why,
        }
    })
}

/// Whether a map was made for links.
fn is_linked(map: &Map) -> Result<bool, Diagnostic> {
    Ok(map.info().map_err(Diagnostic::from)?.map_flags & BPF_F_LINK != 0)
}

/// Gives a map its value, which registers it if it was not made for links.
fn fill(map: &Map, value: &[u8], name: &str, linked: bool) -> Result<(), Diagnostic> {
    match map.update(&KEY, value, 0) {
        Ok(()) => Ok(()),
        // Its value is in it since it was registered before.
        Err(error) if linked && error.errno() == Errno::EBUSY => Ok(()),
        Err(error) => Err(refused(name, &error)),
    }
}

/// Takes a kernel interface that has no link out of force.
///
/// # Errors
/// The kernel's: `ENOENT` if it is not registered, `EOPNOTSUPP` if it is by a link.
pub fn unregister(map: &Map) -> Result<(), Diagnostic> {
    map.delete(&KEY).map_err(Diagnostic::from)
}

/// A map that is registered by its value.
#[derive(Debug)]
struct Registered(Map);

impl Part for Registered {
    fn detach(&mut self) -> Result<(), Diagnostic> {
        unregister(&self.0)
    }

    fn replace(&mut self, _: Program<'_>) -> Option<Result<(), Diagnostic>> {
        None
    }

    fn outlives_us(&self) -> bool {
        true
    }
}

fn refused(name: &str, error: &sys::Error) -> Diagnostic {
    let message = format!("the kernel interface `{name}` cannot be registered");
    let why = Diagnostic::new("attach", message, At::Nowhere).kernel(said(error));
    match error.errno() {
        Errno::EPERM | Errno::EACCES => error.diagnostic(),
        Errno::EBUSY => why
            .expected("an interface that never was registered")
            .help("load the object anew, or use section `.struct_ops.link`, whose interfaces come and go"),
        Errno::EEXIST => why
            .expected("none of this name that is registered")
            .help("`alveary struct_ops show` lists those that are; `struct_ops unregister` takes one out"),
        Errno::EINVAL => why.expected(
            "an interface that the kernel finds complete: a name, and every function that it cannot do without",
        ),
        _ => why,
    }
}

fn said(error: &sys::Error) -> String {
    format!("{}: {}", error.command().name(), error.errno())
}

/// What the kernel has against making a map for an interface, where it does not say it itself.
pub(crate) fn explain(why: Diagnostic, flags: u32, kernel: &StructOpsValue, errno: Errno) -> Diagnostic {
    let before = |version| errno == Errno::EINVAL && sys::running().is_some_and(|running| running < version);
    if let Some(module) = kernel.module.as_ref().filter(|_| before(OF_MODULES)) {
        return why
            .expected(format!("Linux {OF_MODULES} or newer, which takes interfaces of modules"))
            .found(format!("one of module `{module}`"));
    }
    if flags & BPF_F_LINK != 0 && before(LINKS) {
        return why
            .expected("Linux 6.4 or newer, which has links of kernel interfaces (section `.struct_ops.link`)")
            .help("section `.struct_ops` does without a link, since Linux 5.6");
    }
    why
}
