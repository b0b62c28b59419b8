//! Perf events, on which tracepoints and probes hang as well.

use super::{
    Link, Place, Program,
    explain::{refused, refused_by_call},
    link::Part,
};
use crate::sys::{LinkCreate, LinkOptions, Target, possible_cpus};
use alveary_abi::{AttachType, Errno};
use alveary_diag::{Diagnostic, Place as At};
use std::{
    ffi::CStr,
    fmt, fs, io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
};
use zerocopy::{Immutable, IntoBytes};

/// What is counted, and when it is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerfEvent {
    /// `PERF_TYPE_…`: who counts.
    pub ty: u32,
    /// What, in the counter's own numbers.
    pub config: u64,
    /// How often the program runs.
    pub every: Every,
}

/// How often a counter's program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// Each time that it has counted so many.
    Count(u64),
    /// So many times a second.
    Hertz(u64),
}

/// Of whom is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// Every CPU, whatever it does.
    Cpus,
    /// A process.
    Process(u32),
}

const PERF_TYPE_SOFTWARE: u32 = 1;
const PERF_TYPE_TRACEPOINT: u32 = 2;
const PERF_COUNT_SW_CPU_CLOCK: u64 = 0;

impl PerfEvent {
    /// The CPUs' time, so many times a second.
    #[must_use]
    pub fn clock(hertz: u64) -> PerfEvent {
        PerfEvent { ty: PERF_TYPE_SOFTWARE, config: PERF_COUNT_SW_CPU_CLOCK, every: Every::Hertz(hertz) }
    }
}

impl fmt::Display for PerfEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.ty, self.config)
    }
}

/// `struct perf_event_attr` as of its first extension.
#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Attr {
    ty: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    bp_type: u32,
    /// A function's or file's name for probes.
    config1: u64,
    /// An offset for probes.
    config2: u64,
}

impl Attr {
    /// A probe: its kind, what else is said in the kind's own bits, and the offset from a name or in a file.
    pub(super) fn probe(ty: u32, config: u64, name: &CStr, offset: u64) -> Attr {
        Attr { ty, config, config1: name.as_ptr() as u64, config2: offset, ..Attr::default() }
    }
}

/// Of the flags: `sample_period` is a frequency.
const FREQUENCY: u64 = 1 << 10;
const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 8;
/// `PERF_EVENT_IOC_ENABLE`, `PERF_EVENT_IOC_SET_BPF`.
const ENABLE: libc::c_ulong = 0x2400;
const SET_BPF: libc::c_ulong = 0x4004_2408;

/// Opens an event, of a process or of all on one CPU.
///
/// # Safety
/// Where the kind of event takes names by address (`config1`), a text that ends in a zero is there.
pub(super) unsafe fn open(attr: Attr, pid: i32, cpu: i32) -> io::Result<OwnedFd> {
    let attr = Attr { size: size_of::<Attr>() as u32, ..attr };
    // SAFETY: the attribute is as long as it says; the rest is the caller's promise. The descriptor is new.
    unsafe {
        let fd = libc::syscall(libc::SYS_perf_event_open, &raw const attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd as i32)) }
    }
}

/// Of the flags: what happens in user space is not counted.
const EXCLUDE_USER: u64 = 1 << 4;

/// Counts on a CPU what happens in the kernel.
pub(crate) fn count(ty: u32, config: u64, cpu: u32) -> io::Result<OwnedFd> {
    let attr = Attr { ty, config, flags: EXCLUDE_USER, ..Attr::default() };
    // SAFETY: counters take no address. It counts from the beginning: nothing says that it shall not.
    unsafe { open(attr, -1, cpu as i32) }
}

/// Runs a program on an event.
pub(super) fn run_on(program: Program<'_>, place: &Place<'_>, event: OwnedFd, cookie: u64) -> Result<Link, Diagnostic> {
    let options = LinkOptions::PerfEvent { cookie };
    let create =
        LinkCreate { options, ..LinkCreate::new(program.fd, Target::Fd(event.as_fd()), AttachType::PERF_EVENT) };
    let control = |request, value: libc::c_int| {
        // SAFETY: both requests take a number.
        let done = unsafe { libc::ioctl(event.as_raw_fd(), request, value) };
        if done < 0 { Err(refused_by_call(program, place, "ioctl", &io::Error::last_os_error())) } else { Ok(()) }
    };
    match create.create() {
        Ok(fd) => {
            control(ENABLE, 0)?;
            // The link holds the event.
            Ok(Link::of_fd(place, fd))
        }
        // Links of perf events came with Linux 5.15.
        Err(error) if error.errno() == Errno::EINVAL && cookie == 0 => {
            control(SET_BPF, program.fd.as_raw_fd())?;
            control(ENABLE, 0)?;
            Ok(Link::of(place, Event(Some(event))))
        }
        Err(error) => Err(refused(program, place, &error)),
    }
}

/// An event that runs a program as long as it is open.
#[derive(Debug)]
struct Event(Option<OwnedFd>);

impl Part for Event {
    fn detach(&mut self) -> Result<(), Diagnostic> {
        self.0 = None;
        Ok(())
    }

    fn replace(&mut self, _: Program<'_>) -> Option<Result<(), Diagnostic>> {
        None
    }
}

pub(super) fn attach(
    program: Program<'_>,
    place: &Place<'_>,
    event: PerfEvent,
    watched: Watched,
    cookie: u64,
) -> Result<Link, Diagnostic> {
    let (sample_period, flags) = match event.every {
        Every::Count(count) => (count, 0),
        Every::Hertz(hertz) => (hertz, FREQUENCY),
    };
    let attr = Attr { ty: event.ty, config: event.config, sample_period, flags, ..Attr::default() };
    let on: Vec<(i32, i32)> = match watched {
        Watched::Process(pid) => vec![(pid as i32, -1)],
        Watched::Cpus => (0..possible_cpus().unwrap_or(1) as i32).map(|cpu| (-1, cpu)).collect(),
    };
    let mut links = Vec::new();
    for (pid, cpu) in on {
        // SAFETY: no kind of event that is described by plain numbers takes an address, but probes, whose numbers are
        // given to nobody: those that a user writes down are the kernel's to check.
        match unsafe { open(attr, pid, cpu) } {
            Ok(event) => links.push(run_on(program, place, event, cookie)?),
            // A CPU that is possible need not be there.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) && cpu > 0 => {}
            Err(error) => return Err(failed(program, place, &error)),
        }
    }
    Ok(Link::all(place, links))
}

pub(super) fn attach_tracepoint(
    program: Program<'_>,
    place: &Place<'_>,
    category: &str,
    name: &str,
    cookie: u64,
) -> Result<Link, Diagnostic> {
    let config = tracepoint(category, name)?;
    let attr = Attr { ty: PERF_TYPE_TRACEPOINT, config, sample_period: 1, ..Attr::default() };
    // SAFETY: a tracepoint takes no address. On whichever CPU the event is, its program runs on all.
    let event = unsafe { open(attr, -1, 0) }.map_err(|error| failed(program, place, &error))?;
    run_on(program, place, event, cookie)
}

pub(super) fn failed(program: Program<'_>, place: &Place<'_>, error: &io::Error) -> Diagnostic {
    refused_by_call(program, place, "perf_event_open", error)
}

/// Where tracefs is mounted.
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// A file of tracefs.
pub(super) fn tracefs(file: &str) -> Option<String> {
    TRACEFS.iter().find_map(|root| fs::read_to_string(format!("{root}/{file}")).ok())
}

/// Number of a tracepoint.
fn tracepoint(category: &str, name: &str) -> Result<u64, Diagnostic> {
    let number = tracefs(&format!("events/{category}/{name}/id")).and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| {
        let why = Diagnostic::new("no-tracepoint", format!("there is no tracepoint `{category}/{name}`"), At::Nowhere)
            .expected("one of those in /sys/kernel/tracing/events");
        if tracefs("events/header_page").is_none() {
            return why
                .found("no tracefs that we may read")
                .help("`mount -t tracefs tracefs /sys/kernel/tracing`, as root");
        }
        why
    })
}

/// Number of a kind of probes, by which events of it are opened.
pub(super) fn probe_type(kind: &str) -> Result<u32, Diagnostic> {
    let file = format!("/sys/bus/event_source/devices/{kind}/type");
    fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
        Diagnostic::new("no-probes", format!("this kernel has no {kind}s"), At::Nowhere)
            .expected(format!("Linux 4.17 or newer with CONFIG_{}_EVENTS", kind.to_uppercase()))
            .found(format!("no {file}"))
    })
}
