//! Any bytes as an ELF file that holds types, beside a kernel's: read, moved over them, and cut down to what an object
//! needs.

use crate::budget::within;
use alveary_btf::Btf;
use alveary_object::{CoreOutcome, core_relocations, minimal_types, read, read_types};
use alveary_spec::{Modules, Spec};
use std::sync::Arc;

/// The input: the length of the first ELF file in four bytes (little-endian), and behind it a second one.
///
/// Reading types takes memory in proportion; a set that brings its base along is moved over the second file's types, or
/// refused with a reason; the first file's relocations come in the smallest part of the second one's types to what they
/// come to in the whole, and no smaller part is found in that part.
pub fn types_of_files(bytes: &[u8]) {
    let Some((len, rest)) = bytes.split_first_chunk::<4>() else { return };
    let (first, second) = rest.split_at((u32::from_le_bytes(*len) as usize).min(rest.len()));
    let most = (64 << 10) + 64 * bytes.len();
    let types = |bytes, base| within(most, "reading types", || read_types(bytes, base));
    let alone = types(first, None);
    if let Err(error) = &alone {
        assert!(!error.to_string().is_empty());
    }
    let Ok(Some(kernel)) = types(second, None) else { return };
    let kernel = Arc::new(kernel);
    match read_types(first, Some(kernel.clone())) {
        Ok(Some(over)) => assert!(over.count() >= kernel.count()),
        Ok(None) => assert!(matches!(alone, Ok(None))),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let Ok(spec) = read(first) else { return };
    let Ok(least) = minimal_types([&spec], &kernel) else { return };
    assert_eq!(outcomes(&spec, &least), outcomes(&spec, &kernel));
    let again = minimal_types([&spec], &least).expect("what was asked once can be asked again");
    assert_eq!(again.count(), least.count());
}

/// What the relocations come to; numbers of types are those of the set.
fn outcomes(spec: &Spec, kernel: &Btf) -> Vec<String> {
    let say = |outcome: CoreOutcome| match outcome {
        CoreOutcome::Resolved { value, .. } => value.to_string(),
        CoreOutcome::Missing(why) => why.code.0.to_owned(),
        CoreOutcome::Refused(why) => why.code.0.to_owned(),
    };
    let is_id = |kind| matches!(kind, alveary_btf::CoreKind::TypeIdTarget);
    core_relocations(spec, Some(kernel), &Modules::default())
        .into_iter()
        .map(|r| match &r.outcome {
            CoreOutcome::Resolved { value, .. } if is_id(r.record.kind) => (*value != 0).to_string(),
            _ => say(r.outcome),
        })
        .collect()
}
