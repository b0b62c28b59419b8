//! A balancer in the running kernel. Its maps and links are pinned: when the process that made them ends, packets go on
//! being balanced, and the next one takes them over, exchanging the program without a gap.

use crate::{
    Fault, Result,
    config::{Config, Mode},
    owner,
    store::{Store, prepare},
    wanted::Devices,
};
use alveary::{
    Backend, Linux, LinuxMap, Loaded, Loader, MapHandle, Object,
    kernel::{
        attach::{Device, Place},
        netlink,
        sys::{LinkDetail, LinkUpdate, PathFlags, link_detach, link_info, obj_get},
    },
};
use alveary_diag::{Diagnostic, Place as At};
use alveary_sort::Sort;
use std::{
    fs, io,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

/// The program in the object.
const PROGRAM: &str = "lb";
/// Its constants, and the tables of CPUs, whose entries mean nothing with other constants.
const CONSTANTS: &str = ".rodata";
const CACHED: &str = "cached";
/// The recorder's maps, which nobody needs but while it records: those of another version are not taken over.
const RECORDERS: [&str; 2] = [crate::record::RECORDER, "matches"];

/// A balancer in the running kernel.
#[derive(Debug)]
pub struct Instance {
    /// Its maps.
    pub store: Store<Linux>,
    /// Whether it was there before.
    pub adopted: bool,
    loaded: Loaded<Linux>,
    root: PathBuf,
    folder: PathBuf,
    /// Links that are new since all was right last.
    attached: Vec<PathBuf>,
    /// Its maps are pinned: what is there goes on without this process.
    begun: bool,
}

/// Where balancers are pinned below a BPF file system.
#[must_use]
pub fn folder(root: &Path, name: &str) -> PathBuf {
    root.join("alveary-lb").join(name)
}

/// The file of a map: names of files there have no dots.
pub(crate) fn file(map: &str) -> String {
    map.trim_start_matches('.').replace('.', "-")
}

/// Where a balancer that runs is pinned; `code` is that of who asks.
///
/// # Errors
/// None of that name runs.
pub(crate) fn running(root: &Path, name: &str, code: &'static str) -> std::result::Result<PathBuf, Diagnostic> {
    let folder = folder(root, name);
    if folder.join("layout").exists() {
        return Ok(folder);
    }
    let why = Diagnostic::new(code, format!("no balancer `{name}` runs"), At::Nowhere);
    Err(why.expected(format!("its maps at {}", folder.display())))
}

/// A map that is pinned in a balancer's folder, if it is as the object says.
///
/// # Errors
/// The object has none of that name; it is not there, or another one.
pub(crate) fn pinned(folder: &Path, object: &Object, map: &str) -> Result<LinuxMap> {
    Ok(LinuxMap::pinned(folder.join(file(map)), object.map_spec(map)?)?)
}

fn wrong(doing: &str, path: &Path, why: &io::Error) -> Diagnostic {
    Diagnostic::new("lb-pins", format!("{} cannot be {doing}: {why}", path.display()), At::Nowhere)
}

impl Instance {
    /// Opens the balancer of this configuration: the one that runs, or a new one. Nothing of what runs is changed; nothing
    /// is pinned or attached yet.
    ///
    /// # Errors
    /// The kernel's; maps of another version.
    pub fn open(config: &Config, object: &[u8], root: &Path) -> Result<Instance> {
        let linux = Linux::builder().without_pins().build();
        let mut object = Object::parse(object)?;
        prepare(&mut object, config, linux.kernel().cpus)?;
        let folder = folder(root, &config.name);
        let adopted = folder.join("layout").exists();
        let mut loader = Loader::new(linux).named("lb").program(PROGRAM);
        let fits =
            |name: &str, path: &Path| object.map_spec(name).is_ok_and(|spec| LinuxMap::pinned(path, spec).is_ok());
        // Matches that are new are all empty: then who records asks for none of them.
        let same_recorder = RECORDERS.iter().all(|name| fits(name, &folder.join(file(name))));
        let fresh = |name: &str| match name {
            CONSTANTS => true,
            CACHED => !same_constants(&folder, &object),
            _ => RECORDERS.contains(&name) && !same_recorder,
        };
        if adopted {
            for (name, spec) in &object.spec().maps {
                let path = folder.join(file(name));
                // A newer program may have maps that the older one had not.
                if !fresh(name) && path.exists() {
                    loader = loader.map(name, LinuxMap::pinned(&path, spec)?);
                }
            }
        }
        let loaded = loader.load(&object)?;
        let store = Store::open(&loaded)?;
        Ok(Instance { store, adopted, loaded, root: root.to_owned(), folder, attached: Vec::new(), begun: adopted })
    }

    fn pin(&self) -> Result<()> {
        for (name, map) in self.loaded.maps() {
            let path = self.folder.join(file(name));
            if !path.exists() {
                map.pin(&path)?;
            }
        }
        Ok(())
    }

    /// Brings the program to the devices of a configuration, and takes it off those that it has no more. Gives what is
    /// worth knowing.
    ///
    /// # Errors
    /// The kernel's; somebody else's program is there. Devices are as they were then.
    pub fn attach(&mut self, config: &Config) -> Result<Vec<String>> {
        let notes = self.attach_new(config).and_then(|notes| self.take_place(config).map(|()| notes));
        if notes.is_err() {
            self.take_back();
        }
        notes
    }

    /// Attaches the program to the devices where none of ours is: of all that is to be done, that is what others may
    /// refuse. Those where it runs are as they were.
    ///
    /// # Errors
    /// As [`Instance::attach`]; [`Instance::take_back`] takes off what was attached so far.
    pub fn attach_new(&mut self, config: &Config) -> Result<Vec<String>> {
        self.attach_to(&config.devices, config.mode)
    }

    /// The devices of a configuration where the program is not: they are gone, have come back as others, or somebody has
    /// detached it.
    #[must_use]
    pub fn lacking<'c>(&self, config: &'c Config) -> Vec<&'c str> {
        let has = |name: &str| {
            let link = obj_get(&self.folder.join(link_file(name)), PathFlags::default());
            link.is_ok_and(|link| Device::named(name).is_ok_and(|device| is_at(&link, &device)))
        };
        config.devices.iter().map(String::as_str).filter(|name| !has(name)).collect()
    }

    /// Attaches the program to a device that has come back. Gives what is worth knowing.
    ///
    /// # Errors
    /// As [`Instance::attach`].
    pub fn attach_again(&mut self, name: &str, mode: Mode) -> Result<Vec<String>> {
        let done = self.attach_to(&[name.to_owned()], mode);
        if done.is_err() {
            self.take_back();
        }
        self.attached.clear();
        done
    }

    fn attach_to(&mut self, names: &[String], mode: Mode) -> Result<Vec<String>> {
        owner::make(&self.root, &self.folder)?;
        let devices = names.iter().map(|name| Device::named(name)).collect::<std::result::Result<Vec<_>, _>>()?;
        let mode = match mode {
            Mode::Any => alveary::spec::XdpMode::Any,
            Mode::Native => alveary::spec::XdpMode::Native,
            Mode::Generic => alveary::spec::XdpMode::Generic,
        };
        let mut notes = Vec::new();
        for (name, device) in names.iter().zip(devices) {
            let path = self.folder.join(link_file(name));
            if let Ok(link) = obj_get(&path, PathFlags::default()) {
                if is_at(&link, &device) {
                    continue;
                }
                // Its device is gone; another one has the name now.
                detach(&path)?;
            }
            let ifindex = device.index;
            let link = self
                .loaded
                .attach_to(PROGRAM, &Place::Xdp { device, mode, replace: false })
                .map_err(|why| taken(why, name, &self.root, serving(&self.root, ifindex)))?;
            notes.extend(link.notes().iter().cloned());
            link.pin(&path)?;
            self.attached.push(path);
        }
        Ok(notes)
    }

    /// Lets this program take the place of the one that runs, between two packets, and detaches it from the devices that
    /// the configuration has no more.
    ///
    /// # Errors
    /// The kernel's.
    pub fn take_place(&mut self, config: &Config) -> Result<()> {
        let program = self.loaded.program(PROGRAM)?;
        for name in &config.devices {
            let path = self.folder.join(link_file(name));
            if self.attached.contains(&path) {
                continue;
            }
            let link = obj_get(&path, PathFlags::default()).map_err(Diagnostic::from)?;
            LinkUpdate { link: link.as_fd(), new: program.handle().as_fd(), old: None, flags: 0 }
                .update()
                .map_err(Diagnostic::from)?;
        }
        // What came with this program stands in the place of what it replaces, for the next one.
        for name in [CONSTANTS, CACHED].into_iter().chain(RECORDERS) {
            let (path, map) = (self.folder.join(file(name)), self.loaded.map(name)?);
            if self.adopted {
                let _ = fs::remove_file(&path);
                map.pin(&path)?;
            }
        }
        self.pin()?;
        for path in links(&self.folder) {
            let wanted =
                config.devices.iter().any(|name| path.file_name().is_some_and(|file| *file == *link_file(name)));
            if !wanted {
                detach(&path)?;
            }
        }
        self.attached.clear();
        self.begun = true;
        Ok(())
    }

    /// Takes off what was attached since all was right last, and of a balancer that could not begin everything.
    pub fn take_back(&mut self) {
        for path in self.attached.drain(..) {
            // There is nobody who could do more about it.
            let _ = detach(&path);
        }
        if !self.begun {
            for (name, _) in self.loaded.maps() {
                let _ = fs::remove_file(self.folder.join(file(name)));
            }
        }
    }
}

/// Why a device cannot be had, with what is to be done about it by who serves a balancer: nothing here replaces a program.
fn taken(why: alveary::Error, device: &str, root: &Path, balancer: Option<String>) -> Fault {
    let Some(mut occupied) = why.diagnostics().find(|why| why.code.0 == "xdp-occupied").cloned() else {
        return why.into();
    };
    let stop = match balancer {
        Some(name) => {
            let root = root.display();
            format!("the balancer `{name}` balances there: `alveary lb stop {name} --bpffs {root}` ends it")
        }
        None => format!("whoever put it there takes it off: `alveary net show dev {device}`"),
    };
    let other = "or other `devices` in the configuration";
    occupied.help = vec![stop, other.into()];
    occupied.into()
}

/// The balancer below a BPF file system whose program is on a device.
fn serving(root: &Path, ifindex: u32) -> Option<String> {
    let on = |path: &PathBuf| {
        let link = obj_get(path, PathFlags::default()).and_then(|link| link_info(link.as_fd()));
        matches!(link.map(|info| info.detail), Ok(LinkDetail::Xdp { ifindex: there }) if there == ifindex)
    };
    names(root).into_iter().find(|name| links(&folder(root, name)).iter().any(on))
}

/// Whether packets are balanced by what is pinned, although no process serves the balancer.
#[must_use]
pub fn goes_on(root: &Path, name: &str) -> bool {
    !links(&folder(root, name)).is_empty()
        && owner::Owner::of(root, name).is_ok_and(|owned| owned == owner::Owned::Nobody)
}

/// The balancers that are pinned below a BPF file system, by name.
#[must_use]
pub fn names(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder(root, "")).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.order();
    names
}

/// Whether a link is to this device.
fn is_at(link: &impl AsFd, device: &Device) -> bool {
    let there = link_info(link.as_fd()).map(|info| info.detail);
    matches!(there, Ok(LinkDetail::Xdp { ifindex }) if ifindex == device.index)
}

/// Files of links.
fn links(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("link-")).map(|entry| entry.path()).collect()
}

/// Detaches the program from a device. A file that goes lets its link go some time later: nobody is to wait for that.
fn detach(path: &Path) -> Result<()> {
    if let Ok(link) = obj_get(path, PathFlags::default()) {
        // One whose device is gone is detached.
        let _ = link_detach(link.as_fd());
    }
    Ok(fs::remove_file(path).map_err(|why| wrong("removed", path, &why))?)
}

fn link_file(device: &str) -> String {
    // Names of devices may have dots; `_` is no part of ours.
    format!("link-{}", device.replace('.', "_"))
}

/// Whether the program that runs was loaded with the same constants: then it finds flows where this one looks for them.
fn same_constants(folder: &Path, object: &Object) -> bool {
    let Ok(spec) = object.map_spec(CONSTANTS) else { return false };
    let there = LinuxMap::pinned(folder.join(file(CONSTANTS)), spec).and_then(|map| map.lookup(&[0; 4]));
    let size = object.map_spec(CACHED).map(|map| map.def.max_entries);
    let pinned = object.map_spec(CACHED).and_then(|spec| LinuxMap::pinned(folder.join(file(CACHED)), spec));
    let same_size = matches!((size, pinned), (Ok(size), Ok(map)) if map.spec().def.max_entries == size);
    matches!((&spec.initial, there), (alveary::spec::Initial::Bytes(ours), Ok(Some(theirs))) if *ours == theirs)
        && same_size
}

/// What of a configuration decides where flows go, and is otherwise than what the balancer that runs, if one does, began with:
/// table and key. Flows that are remembered stand where its own say.
///
/// # Errors
/// For an object that is not the balancer's.
pub(crate) fn hashes_otherwise(
    config: &Config,
    object: &[u8],
    root: &Path,
) -> Result<Option<(&'static str, &'static str)>> {
    let mut object = Object::parse(object)?;
    prepare(&mut object, config, 1)?;
    let path = folder(root, &config.name).join(file(CONSTANTS));
    let there = LinuxMap::pinned(path, object.map_spec(CONSTANTS)?).and_then(|map| map.lookup(&[0; 4]));
    // Where they are arranged otherwise they are another version's, which cannot be asked.
    let Ok(Some(there)) = there else { return Ok(None) };
    for (variable, size, table, key) in [
        ("lb_seed", 8, "balancer", "seed"),
        ("lb_katran", 4, "configuration", "katran"),
        ("lb_katran_vips", 4, "configuration", "katran"),
    ] {
        let ours = constants(&object)?;
        let with = |byte: u8| {
            let mut other = object.clone();
            other.set_variable(variable, &vec![byte; size])?;
            constants(&other)
        };
        // It stands where the bytes differ if it does.
        let differ = with(0)?.into_iter().zip(with(0xff)?).map(|(one, other)| one != other);
        if differ.zip(ours.iter().zip(&there)).any(|(own, (ours, theirs))| own && ours != theirs) {
            return Ok(Some((table, key)));
        }
    }
    Ok(None)
}

fn constants(object: &Object) -> Result<Vec<u8>> {
    match &object.map_spec(CONSTANTS)?.initial {
        alveary::spec::Initial::Bytes(bytes) => Ok(bytes.clone()),
        _ => Ok(Vec::new()),
    }
}

/// Ends a balancer: its program is detached, its maps are gone. `false` if there is none of that name.
///
/// # Errors
/// The system's.
pub fn stop(root: &Path, name: &str) -> Result<bool> {
    let folder = folder(root, name);
    for path in links(&folder) {
        detach(&path)?;
    }
    match fs::remove_dir_all(&folder) {
        Ok(()) => Ok(true),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(why) => Err(wrong("removed", &folder, &why).into()),
    }
}

/// The devices of this network namespace.
#[derive(Clone, Copy, Debug)]
pub struct Here;

impl Devices for Here {
    fn device(&self, name: &str) -> Option<(u32, [u8; 6])> {
        let device = Device::named(name).ok()?;
        let address = netlink::ethernet_address(device.index).ok().flatten();
        Some((device.index, address.unwrap_or_default()))
    }
}
