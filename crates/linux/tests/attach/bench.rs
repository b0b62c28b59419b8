//! One program that counts how often it runs, and the steps of its life.

use alveary_abi::{AttachType, Errno, MapType, ProgType, Tables, Version};
use alveary_btf::{Btf, Kind, TypeId};
use alveary_isa::{Insn, Inst};
use alveary_linux::{
    attach::{Link, Place, Program, attach},
    sys::{Map, MapCreate, ProgLoad},
};
use std::{
    fmt, fs,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    sync::OnceLock,
};

/// How a result begins that is a fault of ours, not something that a kernel does not have.
pub(crate) const BROKEN: &str = "BROKEN";

/// Why a step was not reached.
pub(crate) struct Refusal(pub(crate) String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a case comes to.
pub(crate) type Steps = Result<String, Refusal>;

/// All went as it should.
pub(crate) const WHOLE: &str = "yes";

/// What a program is loaded for.
#[derive(Clone, Copy)]
pub(crate) struct Kindred {
    pub(crate) ty: ProgType,
    pub(crate) expected: Option<AttachType>,
    /// What of the kernel's types.
    pub(crate) target: Option<(&'static str, Kind)>,
    pub(crate) flags: u32,
    /// What it does behind the counting; gives its result.
    pub(crate) tail: &'static str,
    /// It counts for this process alone.
    pub(crate) own: bool,
}

impl Kindred {
    pub(crate) const fn of(ty: ProgType, tail: &'static str) -> Kindred {
        Kindred { ty, expected: None, target: None, flags: 0, tail, own: false }
    }

    pub(crate) const fn expecting(self, expected: AttachType) -> Kindred {
        Kindred { expected: Some(expected), ..self }
    }

    pub(crate) const fn at(self, name: &'static str, kind: Kind) -> Kindred {
        Kindred { target: Some((name, kind)), ..self }
    }

    pub(crate) const fn flagged(self, flags: u32) -> Kindred {
        Kindred { flags, ..self }
    }

    /// For tracing: it counts for this process alone.
    pub(crate) const fn own(self) -> Kindred {
        Kindred { own: true, ..self }
    }
}

/// A counter in a map.
pub(crate) struct Bench {
    counter: Map,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench::named("attach_test")
    }

    pub(crate) fn named(name: &str) -> Bench {
        let counter = MapCreate {
            map_type: MapType::ARRAY.0,
            key_size: 4,
            value_size: 8,
            max_entries: 1,
            name,
            ..MapCreate::default()
        };
        Bench { counter: counter.create().expect("an array") }
    }

    pub(crate) fn count(&self) -> u64 {
        let mut value = [0; 8];
        self.counter.lookup(&0u32.to_ne_bytes(), &mut value, 0).expect("an array's element");
        u64::from_ne_bytes(value)
    }

    /// The counting program's code.
    pub(crate) fn code(&self, kindred: &Kindred) -> Vec<Insn> {
        let mut text = String::from("r6 = r1\n");
        if kindred.own {
            text += "call bpf_get_current_pid_tgid\nr0 >>= 32\n";
            text += &format!("r1 = {}\nif r0 != r1 goto out\n", std::process::id());
        }
        text += "r1 = counter ll\nr2 = 1\nlock *(u64 *)(r1 + 0) += r2\nout:\n";
        text += kindred.tail;
        text += "\nexit\n";
        let fd = self.counter.as_fd().as_raw_fd();
        alveary_testing::code(&text, |dst, _| Inst::MapValueFd { dst, fd, off: 0 })
    }

    /// Loads it.
    pub(crate) fn load(&self, kindred: &Kindred) -> Result<OwnedFd, Refusal> {
        let insns = self.code(kindred);
        let target = match kindred.target {
            Some((name, kind)) => vmlinux()
                .find(name, kind)
                .ok_or_else(|| Refusal(format!("load: the kernel's types have no `{name}`")))?,
            None => TypeId::VOID,
        };
        let load = ProgLoad {
            expected: kindred.expected,
            flags: kindred.flags,
            name: "attach_test",
            license: c"GPL",
            attach_btf_id: target,
            ..ProgLoad::new(kindred.ty, &insns)
        };
        load.load().map(|loaded| loaded.fd).map_err(|error| Refusal(refusal(kindred, error.errno())))
    }

    /// Loads, attaches, triggers, detaches, and looks at the counter after each.
    pub(crate) fn live(&self, kindred: &Kindred, place: &Place<'_>, trigger: impl FnMut()) -> Steps {
        let fd = self.load(kindred)?;
        self.live_with(kindred, fd.as_fd(), place, trigger)
    }

    /// The same for a program that is loaded.
    pub(crate) fn live_with(
        &self,
        kindred: &Kindred,
        fd: BorrowedFd<'_>,
        place: &Place<'_>,
        trigger: impl FnMut(),
    ) -> Steps {
        let program = Program { fd, ty: kindred.ty, expected: kindred.expected, name: "attach_test" };
        let link = attach(program, place).map_err(|why| Refusal(format!("attach: {}", reason(&why))))?;
        self.watch(link, trigger)
    }

    /// Triggers and detaches what is attached.
    pub(crate) fn watch(&self, link: Link, mut trigger: impl FnMut()) -> Steps {
        let before = self.count();
        trigger();
        if self.count() == before {
            return Err(Refusal("attached, but it does not run".into()));
        }
        if let Err(why) = link.detach() {
            return Err(Refusal(format!("{BROKEN}: it does not detach: {why}")));
        }
        let after = self.count();
        trigger();
        if self.count() != after {
            return Err(Refusal(format!("{BROKEN}: it still runs")));
        }
        Ok(WHOLE.into())
    }
}

/// What the kernel says to a program, or which one would take it.
pub(crate) fn refusal(kindred: &Kindred, errno: Errno) -> String {
    let tables = Tables::linux();
    let of_type = tables.prog_types.iter().find(|row| row.ty == kindred.ty).map(|row| row.since);
    let of_place = tables.attach_types.iter().find(|row| Some(row.ty) == kindred.expected).map(|row| row.since);
    match of_type.max(of_place).filter(|since| running() < *since) {
        Some(since) => format!("load: needs Linux {since}"),
        None => format!("load: {}", errno.name().unwrap_or("an error without a name")),
    }
}

/// The version of the running kernel.
fn running() -> Version {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's version");
    let mut numbers = text.split('.').filter_map(|number| number.parse().ok());
    Version(numbers.next().expect("a number"), numbers.next().expect("another"))
}

/// The short of a refusal: which kernel it takes, or what the kernel said.
pub(crate) fn reason(why: &alveary_diag::Diagnostic) -> String {
    match (&why.expected, &why.kernel) {
        (Some(expected), _) if expected.starts_with("Linux ") => format!("needs {}", expected.replace(" or newer", "")),
        (_, Some(kernel)) => kernel.clone(),
        _ => why.message.to_string(),
    }
}

/// The running kernel's types.
pub(crate) fn vmlinux() -> &'static Btf {
    static BTF: OnceLock<Btf> = OnceLock::new();
    BTF.get_or_init(|| {
        let bytes = fs::read("/sys/kernel/btf/vmlinux").expect("the kernel's types");
        Btf::read_owned(bytes, None).expect("the kernel's types are well formed")
    })
}
