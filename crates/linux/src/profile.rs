//! What a program that is loaded costs the processor: counters, read before and behind each of its runs.
//!
//! Two programs of our own do it, at the entry and at the exit of the program that is looked at (fentry, fexit). They
//! keep what they read in a map, for each CPU by itself.

use crate::{
    attach::perf,
    function,
    sys::{self, Map, MapCreate, ProgLoad, possible_cpus},
};
use alveary_abi::{AttachType, Errno, MapType, Profile, ProgType};
use alveary_btf::TypeId;
use alveary_diag::{Diagnostic, Place};
use alveary_isa::{Insn, asm::assemble};
use std::{
    fmt::Write as _,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

/// What is counted, by the numbers of perf_event_open(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Its name, for messages.
    pub name: &'static str,
    /// `PERF_TYPE_…`: who counts.
    pub ty: u32,
    /// What.
    pub config: u64,
}

/// What a counter counted while the program ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The count.
    pub counter: u64,
    /// Nanoseconds in which it was to count, and in which it did: where there are more counters than the processor has,
    /// they take turns.
    pub enabled: u64,
    /// See `enabled`.
    pub running: u64,
}

/// What all counters counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// How often the program ran.
    pub runs: u64,
    /// For each counter.
    pub counters: Vec<Reading>,
}

/// A program that is looked at. It is let go when this is dropped.
#[derive(Debug)]
pub struct Profiler {
    readings: Map,
    counters: usize,
    _links: [OwnedFd; 2],
    _events: Vec<OwnedFd>,
    /// A map of events lets go of them when its descriptor closes, programs or not.
    _counted: Vec<Map>,
}

impl Profiler {
    /// Looks at a program from now on.
    ///
    /// # Errors
    /// What the processor cannot count; a program without BTF; what the kernel has against it.
    pub fn start(program: BorrowedFd<'_>, counters: &[Counter]) -> Result<Profiler, Diagnostic> {
        let target = Target { program, function: function::find(program, None)? };
        let mut events = Vec::new();
        let counted = counters.iter().map(|counter| count(*counter, &mut events)).collect::<Result<Vec<_>, _>>()?;
        let value_size = Slot(counters.len()).begin() as u32;
        let readings = MapCreate {
            map_type: MapType::PERCPU_ARRAY.0,
            key_size: 4,
            value_size,
            max_entries: 1,
            name: "profile",
            ..MapCreate::default()
        }
        .create()?;
        // The exit first: what has no beginning is not counted.
        let exit = target.attach(AttachType::TRACE_FEXIT, &at_exit(&readings, &counted))?;
        let entry = target.attach(AttachType::TRACE_FENTRY, &at_entry(&readings, &counted))?;
        Ok(Profiler { readings, counters: counters.len(), _links: [entry, exit], _events: events, _counted: counted })
    }

    /// What was counted so far.
    ///
    /// # Errors
    /// The kernel's.
    pub fn read(&self) -> sys::Result<Readings> {
        let mut bytes = vec![0; self.readings.value_size()];
        self.readings.lookup(&[0; 4], &mut bytes, 0)?;
        let mut all = Readings { runs: 0, counters: vec![Reading::default(); self.counters] };
        for cpu in bytes.chunks(Slot(self.counters).begin()) {
            let word =
                |at: usize| cpu.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |b| u64::from_ne_bytes(*b));
            all.runs += word(RUNS);
            for (slot, reading) in (0..).map(Slot).zip(&mut all.counters) {
                reading.counter += word(slot.total());
                reading.enabled += word(slot.total() + 8);
                reading.running += word(slot.total() + 16);
            }
        }
        Ok(all)
    }
}

/// A counter on every CPU, in a map by the CPUs' numbers.
fn count(counter: Counter, events: &mut Vec<OwnedFd>) -> Result<Map, Diagnostic> {
    let cpus = possible_cpus().unwrap_or(1) as u32;
    let map = MapCreate {
        map_type: MapType::PERF_EVENT_ARRAY.0,
        key_size: 4,
        value_size: 4,
        max_entries: cpus,
        name: "profile_events",
        ..MapCreate::default()
    }
    .create()?;
    for cpu in 0..cpus {
        match perf::count(counter.ty, counter.config, cpu) {
            Ok(event) => {
                map.update(&cpu.to_ne_bytes(), &event.as_raw_fd().to_ne_bytes(), 0)?;
                events.push(event);
            }
            // A CPU that is possible need not be there.
            Err(why) if why.raw_os_error() == Some(libc::ENODEV) && cpu > 0 => {}
            Err(why) => return Err(not_counted(counter, &why)),
        }
    }
    Ok(map)
}

fn not_counted(counter: Counter, why: &io::Error) -> Diagnostic {
    let message = format!("`{}` cannot be counted", counter.name);
    let refused = Diagnostic::new("perf-event", message, Place::Nowhere)
        .kernel(format!("perf_event_open: {}", Errno(why.raw_os_error().unwrap_or_default())));
    match why.raw_os_error() {
        Some(libc::ENOENT | libc::EOPNOTSUPP | libc::EINVAL) => {
            refused.expected("a processor with counters that the kernel knows").help(
                "virtual machines often have none: `ls /sys/bus/event_source/devices` lists `cpu` where there are some",
            )
        }
        Some(libc::EACCES | libc::EPERM) => {
            refused.help("it takes CAP_PERFMON, or /proc/sys/kernel/perf_event_paranoid below 1")
        }
        _ => refused,
    }
}

/// The program that is looked at, and its function in its types.
struct Target<'a> {
    program: BorrowedFd<'a>,
    function: TypeId,
}

impl Target<'_> {
    fn attach(&self, at: AttachType, code: &[Insn]) -> Result<OwnedFd, Diagnostic> {
        let loaded = ProgLoad {
            expected: Some(at),
            name: "profile",
            license: c"Dual MIT/GPL",
            attach_btf_id: self.function,
            attach_to: Some(self.program),
            ..ProgLoad::new(ProgType::TRACING, code)
        }
        .load()?;
        Ok(sys::raw_tracepoint_open(None, loaded.fd.as_fd(), 0)?)
    }
}

/// What the map has for each CPU: whether a run was begun, how many came to their end; then for each counter what it said
/// at the beginning, and what was counted in all.
const BEGUN: usize = 0;
const RUNS: usize = 8;
const READING: usize = size_of::<Reading>();

/// A counter, by its place.
struct Slot(usize);

impl Slot {
    fn begin(&self) -> usize {
        16 + self.0 * 2 * READING
    }

    fn total(&self) -> usize {
        self.begin() + READING
    }
}

/// `r6` becomes the address of what this CPU has.
fn find(readings: &Map) -> String {
    format!(
        "*(u32 *)(r10 - 4) = 0
         r2 = r10
         r2 += -4
         r1 = map_by_fd({}) ll
         call bpf_map_lookup_elem
         if r0 == 0 goto end
         r6 = r0\n",
        readings.as_fd().as_raw_fd()
    )
}

/// Reads a counter into what `r3` points to.
fn read(counter: &Map) -> String {
    format!(
        "r1 = map_by_fd({}) ll
         w2 = -1
         r4 = {READING}
         call bpf_perf_event_read_value
         if r0 != 0 goto end\n",
        counter.as_fd().as_raw_fd()
    )
}

const END: &str = "end: r0 = 0\nexit\n";

fn at_entry(readings: &Map, counters: &[Map]) -> Vec<Insn> {
    let mut text = find(readings);
    text.push_str("r1 = 0\n*(u64 *)(r6 + 0) = r1\n");
    for (slot, counter) in (0..).map(Slot).zip(counters) {
        write!(text, "r3 = r6\nr3 += {}\n{}", slot.begin(), read(counter)).expect("a String takes everything");
    }
    write!(text, "r1 = 1\n*(u64 *)(r6 + {BEGUN}) = r1\n{END}").expect("a String takes everything");
    code(&text)
}

fn at_exit(readings: &Map, counters: &[Map]) -> Vec<Insn> {
    let mut text = find(readings);
    write!(text, "r1 = *(u64 *)(r6 + {BEGUN})\nif r1 == 0 goto end\nr1 = 0\n*(u64 *)(r6 + {BEGUN}) = r1\n")
        .expect("a String takes everything");
    for (slot, counter) in (0..).map(Slot).zip(counters) {
        write!(text, "r3 = r10\nr3 += -32\n{}", read(counter)).expect("a String takes everything");
        for word in (0..READING).step_by(8) {
            let (begin, total) = (slot.begin() + word, slot.total() + word);
            write!(
                text,
                "r1 = *(u64 *)(r10 - {})\nr2 = *(u64 *)(r6 + {begin})\nr1 -= r2
                 r2 = *(u64 *)(r6 + {total})\nr2 += r1\n*(u64 *)(r6 + {total}) = r2\n",
                32 - word
            )
            .expect("a String takes everything");
        }
    }
    write!(text, "r1 = *(u64 *)(r6 + {RUNS})\nr1 += 1\n*(u64 *)(r6 + {RUNS}) = r1\n{END}")
        .expect("a String takes everything");
    code(&text)
}

fn code(text: &str) -> Vec<Insn> {
    let profile = Profile::linux_6_18();
    let number = |name: &str| profile.helper_named(name.strip_prefix("bpf_")?).map(|helper| helper.id.0 as i32);
    let (assembly, errors) = assemble(text, &number);
    assert!(errors.is_empty(), "a program of our own: {errors:?}\n{text}");
    assembly.into_raw().expect("a program of our own has no symbols")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_one_behind_the_other() {
        assert_eq!((BEGUN, RUNS, Slot(0).begin(), Slot(0).total(), Slot(1).begin()), (0, 8, 16, 40, 64));
    }
}
