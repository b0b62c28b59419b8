//! What an error number means for a command: what lacks, and what would grant it.

use super::{About, Command, Error};
use alveary_abi::{
    AttachType, Errno, Tables,
    rights::{NETWORK_MAPS, NETWORK_PROGS, OBSERVING_PROGS},
};
use alveary_diag::{Diagnostic, Place};
use std::{fmt, fs};

/// A capability that bpf(2) asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the kernel's")]
pub enum Capability {
    NetAdmin = 12,
    SysAdmin = 21,
    Perfmon = 38,
    Bpf = 39,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Capability::NetAdmin => "CAP_NET_ADMIN",
            Capability::SysAdmin => "CAP_SYS_ADMIN",
            Capability::Perfmon => "CAP_PERFMON",
            Capability::Bpf => "CAP_BPF",
        })
    }
}

/// Whether this thread has a capability now; `None` if `/proc` does not tell.
#[must_use]
pub fn held(capability: Capability) -> Option<bool> {
    let status = fs::read_to_string("/proc/thread-self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    let bits = u64::from_str_radix(line.trim(), 16).ok()?;
    // CAP_SYS_ADMIN stands for CAP_BPF and CAP_PERFMON too, and for CAP_NET_ADMIN where bpf(2) asks for it.
    Some(bits & (1 << capability as u32 | 1 << Capability::SysAdmin as u32) != 0)
}

/// What a command takes. A program of no privilege may load `socket_filter` and `cgroup_skb` where the kernel allows it.
fn needed(command: Command, about: About) -> Vec<Capability> {
    use Capability::{Bpf, NetAdmin, Perfmon, SysAdmin};
    match (command, about) {
        (Command::MapCreate, About::Map(ty)) if NETWORK_MAPS.contains(&ty) => vec![Bpf, NetAdmin],
        (Command::ProgLoad, About::Prog(ty, _)) => {
            let mut all = vec![Bpf];
            all.extend(NETWORK_PROGS.has(ty).then_some(NetAdmin));
            all.extend(OBSERVING_PROGS.has(ty).then_some(Perfmon));
            all
        }
        (Command::ProgAttach | Command::ProgDetach | Command::ProgQuery, _) => vec![NetAdmin],
        (Command::LinkCreate | Command::RawTracepointOpen, About::Attach(ty)) if is_tracing(ty) => vec![Bpf, Perfmon],
        (Command::LinkCreate, _) => vec![NetAdmin],
        (Command::RawTracepointOpen, _) => vec![Bpf, Perfmon],
        (
            Command::ProgGetNextId
            | Command::MapGetNextId
            | Command::BtfGetNextId
            | Command::LinkGetNextId
            | Command::ProgGetFdById
            | Command::MapGetFdById
            | Command::BtfGetFdById
            | Command::LinkGetFdById
            | Command::TaskFdQuery
            | Command::EnableStats,
            _,
        ) => vec![SysAdmin],
        _ => vec![Bpf],
    }
}

fn is_tracing(ty: AttachType) -> bool {
    use AttachType as A;
    matches!(
        ty,
        A::TRACE_RAW_TP
            | A::TRACE_FENTRY
            | A::TRACE_FEXIT
            | A::MODIFY_RETURN
            | A::LSM_MAC
            | A::TRACE_ITER
            | A::PERF_EVENT
            | A::TRACE_KPROBE_MULTI
            | A::TRACE_UPROBE_MULTI
            | A::TRACE_KPROBE_SESSION
            | A::TRACE_UPROBE_SESSION
    )
}

pub(super) fn diagnostic(e: &Error) -> Diagnostic {
    let (command, errno) = (e.command(), e.errno());
    let mut why = Diagnostic::new(code(errno), message(e), Place::Nowhere).kernel(format!("{command}: {errno}"));
    if matches!(errno, Errno::EPERM) || errno == Errno::EACCES && e.log().is_empty() {
        why = permission(e, why);
    } else if let Some((meaning, help)) = meaning(e) {
        why = why.found(meaning);
        if !help.is_empty() {
            why = why.help(help);
        }
    } else if let Some(since) = since(e) {
        why = why.found("this kernel cannot do it").help(since);
    }
    if let Some(last) = last_words(e.log()) {
        why = why.note(format!("the verifier's last words: {last}"));
    }
    why
}

/// The code of diagnostics that say that a privilege lacks.
pub const PRIVILEGE: &str = "bpf-privilege";

fn code(errno: Errno) -> &'static str {
    match errno {
        Errno::EPERM => PRIVILEGE,
        Errno::ENOSYS | Errno::ENOTSUPP | Errno::EOPNOTSUPP => "bpf-unsupported",
        Errno::ENOENT => "bpf-missing",
        Errno::E2BIG | Errno::ENOMEM | Errno::ENOSPC => "bpf-room",
        _ => "bpf-refused",
    }
}

fn message(e: &Error) -> String {
    let what = match e.command() {
        Command::MapCreate => "the kernel does not make the map",
        Command::MapLookupElem => "the kernel does not read the element",
        Command::MapUpdateElem => "the kernel does not set the element",
        Command::MapDeleteElem => "the kernel does not delete the element",
        Command::MapGetNextKey => "the kernel does not go through the keys",
        Command::MapLookupAndDeleteElem => "the kernel does not take the element",
        Command::MapFreeze => "the kernel does not freeze the map",
        Command::MapLookupBatch
        | Command::MapLookupAndDeleteBatch
        | Command::MapUpdateBatch
        | Command::MapDeleteBatch => "the kernel does not do the batch of elements",
        Command::ProgLoad if !e.log().is_empty() => "the kernel's verifier refuses the program",
        Command::ProgLoad => "the kernel does not load the program",
        Command::BtfLoad => "the kernel does not load the BTF",
        Command::ObjPin => "the object cannot be pinned",
        Command::ObjGet => "the pinned object cannot be opened",
        Command::ProgAttach | Command::LinkCreate | Command::RawTracepointOpen => "the program cannot be attached",
        Command::ProgDetach | Command::LinkDetach => "the program cannot be detached",
        Command::LinkUpdate => "the link's program cannot be replaced",
        Command::ProgTestRun => "the kernel does not run the program for a test",
        Command::ProgQuery => "the kernel does not tell what is attached",
        Command::ObjGetInfoByFd => "the kernel does not describe the object",
        Command::ProgGetNextId | Command::MapGetNextId | Command::BtfGetNextId | Command::LinkGetNextId => {
            "the kernel does not list its objects"
        }
        Command::ProgGetFdById | Command::MapGetFdById | Command::BtfGetFdById | Command::LinkGetFdById => {
            "the object of this id cannot be opened"
        }
        Command::TaskFdQuery => "the kernel does not tell what the descriptor runs",
        Command::EnableStats => "statistics cannot be enabled",
        Command::IterCreate => "the iterator cannot be opened",
        Command::ProgBindMap => "the map cannot be bound to the program",
        Command::TokenCreate => "the token cannot be made",
        Command::ProgStreamReadByFd => "the program's stream cannot be read",
    };
    let subject = subject(e.subject());
    match (e.name(), subject) {
        ("", None) => what.to_owned(),
        ("", Some(subject)) => format!("{what} ({subject})"),
        (name, None) => format!("`{name}`: {what}"),
        (name, Some(subject)) => format!("`{name}`: {what} ({subject})"),
    }
}

fn subject(about: About) -> Option<String> {
    let tables = Tables::linux();
    match about {
        About::Nothing => None,
        About::Map(ty) => tables.map_types.iter().find(|row| row.ty == ty).map(|row| format!("type {}", row.name)),
        About::Prog(ty, _) => tables.prog_types.iter().find(|row| row.ty == ty).map(|row| format!("type {}", row.name)),
        About::Attach(ty) => {
            tables.attach_types.iter().find(|row| row.ty == ty).map(|row| format!("attach type {}", row.name))
        }
    }
}

/// Says which privilege lacks; if none does, what else forbids it.
fn permission(e: &Error, why: Diagnostic) -> Diagnostic {
    if e.command() == Command::ObjPin && e.errno() == Errno::EPERM && held(Capability::Bpf) == Some(true) {
        return why
            .expected("a path in a BPF file system")
            .help("pin below /sys/fs/bpf (mount -t bpf bpf /sys/fs/bpf)");
    }
    if e.errno() == Errno::EACCES && matches!(e.command(), Command::ObjPin | Command::ObjGet) {
        return why
            .expected("a path that this user may use, of a BPF object")
            .help("look at the owner and the mode of the path (ls -l)");
    }
    if e.errno() == Errno::EPERM && changes_map(e.command()) {
        return why.found("a map that is frozen, or opened or made so that user space may not do that");
    }
    let needed = needed(e.command(), e.subject());
    let missing: Vec<String> = needed.iter().filter(|c| held(**c) == Some(false)).map(Capability::to_string).collect();
    if missing.is_empty() {
        let mut why = why.found("nothing lacks of this process's capabilities: something else forbids it");
        if let Some(lockdown) = lockdown() {
            why = why.note(format!("the kernel is locked down ({lockdown})"));
        }
        return why.help("look for a security module, a seccomp filter or a user namespace around this process");
    }
    let names: Vec<String> = needed.iter().map(Capability::to_string).collect();
    why.expected(names.join(" and "))
        .found(format!("this process lacks {}", missing.join(" and ")))
        .help(format!("run it as root, or grant it: setcap {}+ep FILE", names.join(",").to_lowercase()))
}

fn changes_map(command: Command) -> bool {
    matches!(
        command,
        Command::MapLookupElem
            | Command::MapUpdateElem
            | Command::MapDeleteElem
            | Command::MapGetNextKey
            | Command::MapLookupAndDeleteElem
            | Command::MapLookupBatch
            | Command::MapLookupAndDeleteBatch
            | Command::MapUpdateBatch
            | Command::MapDeleteBatch
            | Command::MapFreeze
    )
}

fn lockdown() -> Option<String> {
    let modes = fs::read_to_string("/sys/kernel/security/lockdown").ok()?;
    let mode = modes.split_once('[')?.1.split_once(']')?.0;
    (mode != "none").then(|| mode.to_owned())
}

/// What the number means for the command, and what helps.
fn meaning(e: &Error) -> Option<(&'static str, &'static str)> {
    use Command as C;
    Some(match (e.command(), e.errno()) {
        (C::MapUpdateElem | C::MapUpdateBatch, Errno::E2BIG) => ("a full map, or an index behind its end", ""),
        (C::MapUpdateElem | C::MapUpdateBatch, Errno::EEXIST) => ("an element of this key", "leave BPF_NOEXIST away"),
        (C::MapUpdateElem, Errno::ENOENT) => ("no element of this key", "leave BPF_EXIST away"),
        (C::MapLookupElem | C::MapDeleteElem | C::MapLookupAndDeleteElem, Errno::ENOENT) => {
            ("no element of this key", "")
        }
        (C::MapFreeze, Errno::EBUSY) => ("a map that is frozen already, or mapped for writing", ""),
        (C::MapCreate, Errno::ENOMEM) => ("not enough memory, or a limit of this process's cgroup", ""),
        (C::MapCreate, Errno::E2BIG) => ("a map that is too large, or a field that this kernel does not know", ""),
        (C::ProgLoad, Errno::E2BIG) => ("a program with more instructions than this kernel takes, or too complex", ""),
        (C::ProgLoad, Errno::ENOSPC) => ("a log that is too long for the largest buffer", ""),
        (C::ProgLoad, Errno::EBADF) => ("a map or a program that is closed", ""),
        (C::ObjPin, Errno::EEXIST) => ("something of this name", "remove it, or choose another path"),
        (C::ObjPin, Errno::ENOENT) => ("no such path", "mount -t bpf bpf /sys/fs/bpf, and make the directory"),
        (C::ObjGet, Errno::ENOENT) => ("no such path", "check the path: below /sys/fs/bpf stands what is pinned there"),
        (C::ObjPin | C::ObjGet, Errno::ENAMETOOLONG) => ("a path that is too long", ""),
        (C::ProgTestRun, Errno::ENOTSUPP) => ("a program type that the kernel has no test run for", ""),
        (C::ProgTestRun, Errno::EINVAL) => (
            "a packet or a context that is none to this program type: too short, too long, or fields that may not be given",
            "",
        ),
        (C::LinkCreate | C::ProgAttach, Errno::EBUSY) => ("another program in this place", ""),
        (C::LinkCreate | C::ProgAttach, Errno::EEXIST) => ("this program, or another one, in this place already", ""),
        (C::LinkCreate | C::ProgAttach | C::ProgQuery, Errno::ENODEV) => ("no such device", ""),
        (C::ProgDetach, Errno::ENOENT) => ("no such program in this place", ""),
        (C::RawTracepointOpen, Errno::ENOENT) => ("no tracepoint of this name", ""),
        (C::LinkUpdate, Errno::ESTALE | Errno::EPERM) => ("another program in the link than was expected", ""),
        (C::LinkDetach, Errno::EOPNOTSUPP) => ("a kind of link that goes with its last descriptor alone", ""),
        (C::ProgGetFdById | C::MapGetFdById | C::BtfGetFdById | C::LinkGetFdById, Errno::ENOENT) => {
            ("no object of this id", "")
        }
        (C::TaskFdQuery, Errno::ENOTSUPP) => ("a descriptor that runs no program", ""),
        (_, Errno::EMFILE) => ("too many open files in this process", "raise the limit: ulimit -n"),
        _ => return None,
    })
}

/// Which kernel has what is asked for, if that may be why this one refuses.
fn since(e: &Error) -> Option<String> {
    if !matches!(e.errno(), Errno::EINVAL | Errno::ENOSYS | Errno::E2BIG | Errno::ENOTSUPP | Errno::EOPNOTSUPP) {
        return None;
    }
    let tables = Tables::linux();
    let (what, since) = match e.subject() {
        About::Map(ty) => {
            tables.map_types.iter().find(|r| r.ty == ty).map(|r| (format!("maps of type {}", r.name), r.since))
        }
        About::Prog(ty, _) if e.log().is_empty() => {
            tables.prog_types.iter().find(|r| r.ty == ty).map(|r| (format!("programs of type {}", r.name), r.since))
        }
        About::Attach(ty) => {
            tables.attach_types.iter().find(|r| r.ty == ty).map(|r| (format!("attach type {}", r.name), r.since))
        }
        _ => None,
    }
    .filter(|(_, since)| *since > e.command().since())
    .unwrap_or_else(|| (e.command().name().to_owned(), e.command().since()));
    running().filter(|kernel| *kernel < since).map(|kernel| format!("{what} came with Linux {since}; this is {kernel}"))
}

/// The version of the running kernel.
pub(crate) fn running() -> Option<alveary_abi::Version> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some(alveary_abi::Version(numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The last line of a log that says something: of the verifier's, that is why it stopped.
fn last_words(log: &str) -> Option<&str> {
    let counts = |line: &&str| line.starts_with("processed ") && line.contains(" insns ");
    log.lines().rev().map(str::trim).find(|line| !line.is_empty() && !counts(line))
}
