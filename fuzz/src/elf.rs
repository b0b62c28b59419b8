//! Any bytes as an object file.

use crate::budget::within;
use crate::user;
use alveary::{Kind, Loader, MapHandle, Object, Packet};
use alveary_abi::Profile;
use alveary_diag::{Place, Sources};
use alveary_object::{Options, read, resolve};
use alveary_spec::{Kernel, MapSpec, Program, Resolved, Spec};

/// Slots that programs of one file may be laid out to, with what belongs to each of them.
const LAID_OUT: usize = 256 << 20;
/// Largest map that is made here: a small file may ask for as much as there is, as it may in the kernel.
const LARGEST_MAP: u64 = 1 << 20;
const BUDGET: u64 = 10_000;

/// An object is read with memory in proportion, and twice to the same; what it resolves to is whole, and runs on the
/// target `user` without harm.
pub fn elf(bytes: &[u8]) {
    let spec = match within((256 << 10) + 1024 * bytes.len(), "reading an object", || read(bytes)) {
        Ok(spec) => spec,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let again = read(bytes).expect("it was read before");
    assert_eq!(described(&spec), described(&again));
    assert!(spec.programs.values().all(|program| spec.functions.contains_key(&program.name)));

    let kernel = Kernel { cpus: 2, ..Kernel::of(Profile::linux_6_18()) };
    match within(LAID_OUT, "resolving an object", || resolve(&spec, &kernel, &Options::default())) {
        Ok(resolved) => {
            resolved.programs.iter().for_each(|program| whole(&resolved, program));
            runs(&Object::from_spec(spec));
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            errors.iter().for_each(|error| assert!(!error.to_string().is_empty()));
        }
    }
}

fn described(spec: &Spec) -> String {
    format!("{:?} {:?} {:?} {:?}", spec.license, spec.maps, spec.programs, spec.functions)
}

/// What a program refers to is there.
fn whole(resolved: &Resolved, program: &Program) {
    let slots = program.insns.len() as u32;
    assert_eq!(program.subprogs.first().map(|(at, _)| *at), Some(0));
    assert!(program.subprogs.is_sorted_by(|a, b| a.0 < b.0), "{:?}", program.subprogs);
    assert!(program.subprogs.iter().all(|(at, _)| *at < slots));
    assert!(program.lines.iter().all(|line| line.insn < slots) && program.lines.is_sorted_by_key(|line| line.insn));
    assert!(program.funcs.iter().all(|func| func.insn < slots) && program.funcs.is_sorted_by_key(|func| func.insn));
    assert!(program.maps.iter().all(|map| resolved.maps.contains_key(map)));
    for index in 0..slots.min(64) {
        let _ = program.source(&Place::Insn { prog: program.name.clone(), index });
    }
}

/// Loads and runs what the target has; what it has not, it refuses.
fn runs(object: &Object) {
    let small = |map: &MapSpec| {
        let entry = u64::from(map.def.key_size) + u64::from(map.def.value_size) + 64;
        entry.saturating_mul(map.def.max_entries.into()) <= LARGEST_MAP
    };
    if object.spec().maps.values().any(|map| !small(map) || map.inner.as_deref().is_some_and(|inner| !small(inner))) {
        return;
    }
    let loaded = match Loader::new(user()).load(object) {
        Ok(loaded) => loaded,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let mut cpu = loaded.target().vcpu(0).expect("nobody else uses it");
    cpu.set_budget(BUDGET);
    for program in loaded.programs() {
        let mut packets = match program.packets(&mut cpu) {
            Ok(packets) => packets,
            Err(error) => return assert_eq!(error.kind(), Kind::Unsupported),
        };
        for len in [0, 14, 60, 1500] {
            let data = [0x08; 1500];
            if let Err(fault) = packets.run(&Packet { data: &data[..len], ..Packet::default() }) {
                assert!(!fault.diagnostic().to_string().is_empty());
            }
        }
    }
    for (_, map) in loaded.maps() {
        if let Ok(entries) = map.entries() {
            assert!(entries.iter().all(|(_, value)| value.len() == map.entry_size()));
        }
    }
}
