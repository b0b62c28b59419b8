//! From the sections of an object to a Spec.

use crate::{
    code::Places,
    elf::Elf,
    externs::{self, Externs},
    maps::Maps,
    relocs, tags, types,
};
use alveary_abi::Profile;
use alveary_diag::Diagnostic;
use alveary_spec::Spec;
use std::sync::Arc;

/// Reads an object file, with the section names and map types of the newest kernel.
///
/// # Errors
/// What is wrong with the file, by section and offset.
pub fn read(bytes: &[u8]) -> Result<Spec, Diagnostic> {
    read_with(bytes, &Profile::linux_6_18())
}

/// Reads an object file, with the section names of `profile` (an embedder's among them).
///
/// # Errors
/// What is wrong with the file, by section and offset.
pub fn read_with(bytes: &[u8], profile: &Profile) -> Result<Spec, Diagnostic> {
    let elf = Elf::read(bytes)?;
    let mut btf = types::read(&elf)?;
    let externs = match &mut btf {
        Some(btf) => externs::read(&elf, btf)?,
        None => Externs::default(),
    };
    let places = Places::find(&elf)?;
    let mut maps = Maps::read(&elf, btf.as_ref(), &places)?;
    maps.specs.extend(externs.config.map(|map| (map.name.clone(), map)));
    let mut functions = places.functions(&elf);
    relocs::read(&elf, &places, &maps, &mut functions)?;
    let mut programs = places.programs(&elf, profile);
    if let Some(btf) = &mut btf {
        types::attach(&elf, btf, &places, &mut functions)?;
        tags::read(btf, &mut functions, &mut programs);
        types::hide(btf, &functions);
    }
    Ok(Spec {
        endian: elf.endian,
        license: license(&elf),
        maps: maps.specs,
        programs,
        functions,
        externs: externs.all,
        btf: btf.map(Arc::new),
    })
}

/// The licence: a string, which compilers end with a zero.
fn license(elf: &Elf<'_>) -> String {
    let bytes = elf.section("license").map_or(&[][..], |s| s.data);
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
