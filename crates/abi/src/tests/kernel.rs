//! The running kernel's BTF is asked whether our numbers are its numbers.

use super::as_in_the_kernel;
use crate::{AttachType, HelperId, MapType, ProgType, Version, flags};
use std::collections::BTreeMap;

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

#[test]
fn numbers_are_those_of_the_kernels_btf() {
    let Ok(btf) = std::fs::read(VMLINUX) else {
        println!("skipped numbers_are_those_of_the_kernels_btf: {VMLINUX} cannot be read");
        return;
    };
    let enums = enums(&btf).expect("the kernel's BTF is whole");
    let ours = [
        ("bpf_prog_type", as_in_the_kernel(ProgType::PREFIX, ProgType::NAMED, |ty| ty.0)),
        ("bpf_attach_type", as_in_the_kernel(AttachType::PREFIX, AttachType::NAMED, |ty| ty.0)),
        ("bpf_map_type", as_in_the_kernel(MapType::PREFIX, MapType::NAMED, |ty| ty.0)),
        ("bpf_func_id", as_in_the_kernel(HelperId::PREFIX, HelperId::NAMED, |id| id.0)),
    ];
    for (name, ours) in ours {
        let theirs = &enums[name];
        for (enumerator, number) in &ours {
            if let Some(theirs) = theirs.get(enumerator) {
                assert_eq!(theirs, number, "{enumerator}");
            } else {
                assert!(running() < Version::NEWEST, "this kernel has no {enumerator}");
            }
        }
        for (enumerator, number) in theirs.iter().filter(|(enumerator, _)| !enumerator.starts_with("__")) {
            let known = ours.values().any(|ours| ours == number) || *number == 0;
            assert!(known || running() > Version::NEWEST, "{enumerator} = {number} is not in the tables");
        }
    }
}

#[test]
fn flags_are_those_of_the_kernels_btf() {
    let Ok(btf) = std::fs::read(VMLINUX) else {
        println!("skipped flags_are_those_of_the_kernels_btf: {VMLINUX} cannot be read");
        return;
    };
    let theirs = &enums(&btf).expect("the kernel's BTF is whole")[""];
    let mut compared = 0;
    for &(name, value) in flags::ALL.iter().copied().flatten() {
        // Macros and flags that are wider than 32 bits are not in these enums.
        if let Some(&number) = theirs.get(name) {
            assert_eq!(u64::from(number), value, "{name}");
            compared += 1;
        }
    }
    assert!(compared > 50, "only {compared} flags were found");
}

/// The version of the running kernel.
fn running() -> Version {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.trim().parse().ok());
    Version(numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// All enums of 32 bits by name, with their enumerators.
///
/// A dozen lines in place of the `btf` crate, which stands above this one.
fn enums(btf: &[u8]) -> Option<BTreeMap<String, BTreeMap<String, u32>>> {
    let word = |at: usize| Some(u32::from_le_bytes(btf.get(at..at + 4)?.try_into().ok()?));
    let header = word(4)? as usize;
    let (types, types_len, strings) = (header + word(8)? as usize, word(12)? as usize, header + word(16)? as usize);
    let text = |offset: u32| {
        let bytes = btf.get(strings + offset as usize..)?;
        let end = bytes.iter().position(|&byte| byte == 0)?;
        String::from_utf8(bytes[..end].to_vec()).ok()
    };
    let mut found = BTreeMap::new();
    let mut at = types;
    while at < types + types_len {
        let (name, info) = (word(at)?, word(at + 4)?);
        let (kind, members) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
        at += 12;
        let size = match kind {
            1 | 14 | 17 => 4,                // INT, VAR, DECL_TAG
            3 => 12,                         // ARRAY
            4 | 5 | 15 | 19 => 12 * members, // STRUCT, UNION, DATASEC, ENUM64
            6 | 13 => 8 * members,           // ENUM, FUNC_PROTO
            _ => 0,
        };
        if kind == 6 {
            let mut values = BTreeMap::new();
            for member in 0..members {
                values.insert(text(word(at + 8 * member)?)?, word(at + 8 * member + 4)?);
            }
            // Enums without a name hold the flags: all of them together.
            found.entry(text(name)?).or_insert_with(BTreeMap::new).append(&mut values);
        }
        at += size;
    }
    Some(found)
}
