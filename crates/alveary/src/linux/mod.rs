//! The running Linux kernel as a target.

mod attach;
mod builder;
mod events;
mod interface;
mod kernel;
mod map;
mod packets;
mod routed;
mod targets;

pub use builder::LinuxBuilder;
pub use map::LinuxMap;
pub use packets::{LinuxPackets, LinuxVerdict};

use crate::{Backend, Error, Kind, Origin, Outcome, Packet, ProgramRef, Result, TestRun, error::OrKind};
use targets::TargetProgram;

use alveary_abi::Errno;
use alveary_btf::Btf;
use alveary_linux::{
    btf::Loaded,
    map::MapFrom,
    modules::Opened,
    prog::{ProgFrom, Refused},
    sys::{self, LogLevel, ProgInfo, ProgParts},
};
use alveary_spec::{Kernel, MapSpec, Program, Spec};
use std::{
    collections::BTreeMap,
    fmt, fs,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// The running Linux kernel. Cheap to clone; `Send` and `Sync`.
///
/// ```no_run
/// use alveary::{Object, Target};
/// # fn main() -> alveary::Result<()> {
/// let loaded = Object::open("examples/count.bpf.o")?.load(Target::linux())?;
/// let outcome = loaded.program("count")?.run(&[0; 64])?;
/// assert_eq!(outcome.value, 2); // XDP_PASS
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Linux(Arc<State>);

struct State {
    kernel: kernel::Known,
    pins: Option<PathBuf>,
    log: LogLevel,
    ifindex: u32,
    token: Option<OwnedFd>,
    /// What programs are loaded for of other programs', by name.
    targets: BTreeMap<String, TargetProgram>,
    /// Types that are loaded, for as long as someone has the object that they are from.
    types: Mutex<Vec<Types>>,
}

/// The types of an object, and those that the kernel takes of them.
type Types = (Weak<Btf>, Option<Arc<Loaded>>);

/// A program of the running kernel. Clones are the same program; `Send` and `Sync`. Its descriptor ([`AsFd`]) is closed
/// with the last of them.
#[derive(Clone, Debug)]
pub struct LinuxProgram(Arc<LoadedProgram>);

#[derive(Debug)]
struct LoadedProgram {
    fd: OwnedFd,
    log: String,
    id: u32,
    program: Arc<Program>,
}

impl Linux {
    /// The running kernel with settings.
    #[must_use]
    pub fn builder() -> LinuxBuilder {
        LinuxBuilder::default()
    }

    /// The object's types, loaded; `None` if the kernel does not take them.
    fn types(&self, btf: Option<&Arc<Btf>>) -> Option<Arc<Loaded>> {
        let btf = btf?;
        let mut known = self.0.types.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(weak, _)| weak.strong_count() > 0);
        if let Some((_, fd)) = known.iter().find(|(weak, _)| std::ptr::eq(weak.as_ptr(), Arc::as_ptr(btf))) {
            return fd.clone();
        }
        let fd = alveary_linux::btf::load(btf, self.token()).ok().map(Arc::new);
        known.push((Arc::downgrade(btf), fd.clone()));
        fd
    }

    fn token(&self) -> Option<BorrowedFd<'_>> {
        self.0.token.as_ref().map(OwnedFd::as_fd)
    }
}

impl LinuxProgram {
    /// What was loaded.
    #[must_use]
    pub fn program(&self) -> &Arc<Program> {
        &self.0.program
    }

    /// Its id in the kernel.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id
    }

    /// What the verifier said, if [`LinuxBuilder::log`] asked.
    #[must_use]
    pub fn log(&self) -> &str {
        &self.0.log
    }

    /// What the kernel tells about it.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] with the kernel's reason.
    pub fn info(&self, parts: ProgParts) -> Result<ProgInfo> {
        sys::prog_info(self.as_fd(), parts).map_err(|e| failed(e, Kind::Unsupported))
    }

    /// Gives it a name in a BPF file system, by which it lives on.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] if that name is taken or the path is not in such a file system.
    pub fn pin(&self, path: impl AsRef<Path>) -> Result<()> {
        alveary_linux::map::pin(self.as_fd(), path.as_ref()).or_kind(Kind::Unsupported)
    }
}

impl AsFd for LinuxProgram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}

impl fmt::Debug for Linux {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linux").field("version", &self.kernel().profile.version).finish_non_exhaustive()
    }
}

impl Backend for Linux {
    type Map = LinuxMap;
    type Prog = LinuxProgram;

    fn kernel(&self) -> &Kernel {
        &self.0.kernel.bare
    }

    fn kernel_for(&self, spec: &Spec) -> Result<&Kernel> {
        self.0.kernel.for_object(spec)
    }

    fn create_map(&self, spec: &MapSpec, inner: Option<&LinuxMap>, from: &Origin<'_>) -> Result<LinuxMap> {
        let types = self.types(from.btf);
        let modules = Opened::for_map(spec).map_err(|e| failed(e, Kind::Unsupported))?;
        let from = MapFrom {
            object: from.object,
            types: from.btf.map(Arc::as_ref),
            btf: types.as_deref().map(|types| types.fd.as_fd()),
            inner: inner.map(AsFd::as_fd),
            pins: self.0.pins.as_deref(),
            modules: Some(&modules),
            token: self.token(),
        };
        let made = alveary_linux::map::create(spec, &from).map_err(|why| Error::new(kind_of(&why, Kind::Map), why))?;
        Ok(LinuxMap::new(made, spec.clone()))
    }

    fn load_program(&self, program: &Arc<Program>, maps: &[LinuxMap]) -> Result<LinuxProgram> {
        let types = self.types(program.btf.as_ref());
        let fds: Vec<BorrowedFd<'_>> = maps.iter().map(AsFd::as_fd).collect();
        let modules = Opened::for_program(program).map_err(|e| failed(e, Kind::Unsupported))?;
        let from = ProgFrom {
            maps: &fds,
            replaces: targets::of(program, &self.0.targets).or_kind(Kind::Unsupported)?,
            btf: types.as_deref().filter(|types| types.functions).map(|types| types.fd.as_fd()),
            modules: Some(&modules),
            kernel: Some((self.kernel().profile.version, self.kernel().profile.patch())),
            ifindex: self.0.ifindex,
            log: self.0.log,
            token: self.token(),
        };
        let sys::Loaded { fd, log } = alveary_linux::prog::load(program, &from).map_err(|refused| {
            let Refused { why, log, errno } = *refused;
            let kind = match errno {
                Some(Errno::EPERM) => Kind::Privilege,
                _ if log.is_empty() => Kind::Unsupported,
                _ => Kind::Verifier,
            };
            Error::new(kind, why).with_log(log)
        })?;
        let id = sys::prog_info(fd.as_fd(), ProgParts::default()).map_err(|e| failed(e, Kind::Unsupported))?.id;
        Ok(LinuxProgram(Arc::new(LoadedProgram { fd, log, id, program: program.clone() })))
    }

    fn hold(&self, program: &LinuxProgram, map: &LinuxMap) {
        // Kernels before 5.10 cannot, and the program is as good without.
        sys::prog_bind_map(program.as_fd(), map.as_fd()).ok();
    }

    fn keep_maps(&self, maps: &[&LinuxMap]) -> Result<()> {
        let mut pinned = Vec::new();
        for map in maps {
            let Some(path) = map.pin_path() else { continue };
            if let Err(why) = map.pin(path) {
                for path in pinned {
                    // Nothing of a load that failed remains; what cannot be removed is not ours any more.
                    fs::remove_file(path).ok();
                }
                return Err(why);
            }
            pinned.push(path);
        }
        Ok(())
    }

    fn program_id(&self, program: &LinuxProgram) -> u32 {
        program.id()
    }

    fn events(&self, map: &LinuxMap, each: &mut dyn FnMut(u32, &[u8])) -> Result<u64> {
        map.events(each)
    }

    fn set_program(&self, map: &LinuxMap, index: u32, program: &LinuxProgram) -> Result<()> {
        map.sys().update_fd(&index.to_ne_bytes(), program.as_fd(), 0).map_err(|e| map.failed(e))
    }

    fn set_map(&self, map: &LinuxMap, key: &[u8], inner: &LinuxMap) -> Result<()> {
        map.sys().update_fd(key, inner.as_fd(), 0).map_err(|e| map.failed(e))
    }

    fn test_run(&self, program: &LinuxProgram, run: &TestRun<'_>) -> Result<Outcome> {
        let mut packets = LinuxPackets::new(self, program)?;
        let verdict = packets.run(&Packet { data: run.data, ..Packet::default() })?;
        let value = verdict.code() as u32;
        Ok(Outcome { value, data: verdict.bytes().to_vec(), redirect: None, insns: 0 })
    }
}

impl ProgramRef<'_, Linux> {
    /// Prepares to run this program over many packets, by `BPF_PROG_TEST_RUN`.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] if its type takes no packets, or the kernel has no test run for it.
    pub fn packets(&self) -> Result<LinuxPackets> {
        LinuxPackets::new(self.target(), self.handle())
    }
}

/// A refusal of the kernel as an error of this library.
fn failed(e: sys::Error, kind: Kind) -> Error {
    let why = e.diagnostic();
    Error::new(kind_of(&why, kind), why)
}

/// The kind of a refusal: a privilege that lacks is told apart.
fn kind_of(why: &alveary_diag::Diagnostic, otherwise: Kind) -> Kind {
    if why.code.0 == sys::PRIVILEGE { Kind::Privilege } else { otherwise }
}
