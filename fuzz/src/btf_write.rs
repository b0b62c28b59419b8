//! Any bytes as BTF, and what is made of whole sets: written, made one, put together and taken apart, moved over another
//! base, as text in C and in Rust.

use crate::budget::within;
use alveary_btf::{Btf, Builder, TypeId};
use alveary_isa::Endian;
use std::sync::Arc;

/// The input: that of [`crate::btf`], read as two sets of which the second continues the first, if it does.
///
/// What is written reads as the same words, in either byte order; each type of a deduplicated set has the name that it
/// had; a set put behind another is found there; text is in proportion; a set moved over its own base is as it was.
pub fn btf_write(bytes: &[u8]) {
    let Some((len, rest)) = bytes.split_first_chunk::<4>() else { return };
    let (first, second) = rest.split_at((u32::from_le_bytes(*len) as usize).min(rest.len()));
    let Ok(base) = Btf::read(first, None) else { return };
    set(&base);
    let base = Arc::new(base);
    let Ok(split) = Btf::read(second, Some(base.clone())) else { return };
    set(&split);
    if let Ok(moved) = split.relocate(base.clone()) {
        assert_eq!(moved.count(), split.count());
        assert!(split.ids().all(|id| moved.name(id) == split.name(id)));
    }
}

fn set(btf: &Btf) {
    let size = btf.bytes().len() + btf.base().map_or(0, |base| base.bytes().len());
    let most = (1 << 20) + 256 * size;
    written(btf);
    within(most, "dedup", || {
        let Ok((once, becomes)) = btf.dedup() else { return };
        assert!(once.count() <= btf.count());
        assert_eq!(becomes.len(), btf.count() as usize);
        assert!(btf.ids().all(|id| once.name(becomes[id.0 as usize]) == btf.name(id)));
    });
    appended(btf);
    within(most, "a C header", || {
        let _ = btf.to_c((1..btf.count()).map(TypeId));
        let _ = btf.to_c(btf.sorted());
    });
    within(most, "Rust types", || drop(btf.to_rust(btf.ids())));
    for id in btf.ids().take(64) {
        let _ = btf.c_declaration(id, "name", 1);
    }
}

/// Once written in the usual layout nothing changes any more.
fn written(btf: &Btf) {
    let own = btf.write(btf.endian());
    let read = |bytes: Vec<u8>| Btf::read_owned(bytes, btf.base().cloned()).expect("what was written is read");
    let again = read(own.clone());
    assert_eq!(again.count(), btf.count());
    assert_eq!(again.write(btf.endian()), own);
    if btf.base().is_none() {
        let other = if btf.endian() == Endian::Little { Endian::Big } else { Endian::Little };
        let swapped = read(btf.write(other));
        assert_eq!(swapped.write(btf.endian()), own);
    }
}

/// The set twice over.
fn appended(btf: &Btf) {
    let mut twice = Builder::from(btf);
    let moved = twice.append(btf);
    let twice = twice.finish().expect("types that were read can be written");
    assert_eq!(twice.count(), btf.count() + moved);
    assert!(btf.ids().all(|id| twice.name(TypeId(id.0 + moved)) == btf.name(id)));
}
