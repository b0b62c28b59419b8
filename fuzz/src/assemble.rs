//! Any text as assembler source.

use crate::budget::within;
use alveary_isa::{
    Endian, Insn, Inst,
    asm::{AsmError, Assembly, Section, assemble as assemble_text},
    decode,
};

/// A text is assembled with memory in proportion; errors and references stand inside the text; without errors every
/// slot decodes, is printed and assembled to the same slots again, and becomes an object that is read back.
pub fn assemble(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let helper = |name: &str| (name == "bpf_ktime_get_ns").then_some(5);
    let (assembly, errors) = within((64 << 10) + 1024 * text.len(), "assembling", || assemble_text(&text, &helper));
    for error in &errors {
        inside(&text, error);
    }
    for section in &assembly.sections {
        consistent(&text, section);
    }
    if !errors.is_empty() {
        return;
    }
    for section in &assembly.sections {
        survives(section);
    }
    for endian in [Endian::Little, Endian::Big] {
        object(&assembly, endian);
    }
    if let Err(errors) = assembly.into_raw() {
        errors.iter().for_each(|error| inside(&text, error));
    }
}

/// The bytes that an error is about can be shown.
fn inside(text: &str, error: &AsmError) {
    assert!(text.get(error.bytes.start as usize..error.bytes.end as usize).is_some(), "{error:?}");
    assert!(!error.to_string().is_empty());
}

fn consistent(text: &str, section: &Section) {
    let slots = section.insns.len();
    assert_eq!(section.lines.len(), slots);
    assert!(section.lines.iter().all(|at| text.is_char_boundary(*at as usize)));
    assert!(section.labels.iter().all(|label| label.slot as usize <= slots));
    for reference in &section.references {
        assert!((reference.slot as usize) < slots, "{reference:?}");
        let symbol = text.get(reference.bytes.start as usize..reference.bytes.end as usize);
        assert_eq!(symbol, Some(reference.symbol.as_str()));
    }
}

/// Instructions of one section, printed and assembled again.
fn survives(section: &Section) {
    let mut text = String::new();
    let mut at = 0;
    while at < section.insns.len() {
        let inst: Inst = decode(&section.insns, at).unwrap_or_else(|error| panic!("assembled, but {error}"));
        text.push_str(&format!("{inst}\n"));
        at += inst.slots();
    }
    let (again, errors) = assemble_text(&text, &|_| None);
    assert!(errors.is_empty(), "{errors:?}\n{text}");
    assert_eq!(again.into_raw().as_ref(), Ok(&section.insns), "{text}");
}

/// Everything that was assembled stands in the object that is made of it.
fn object(assembly: &Assembly, endian: Endian) {
    let bytes = alveary_object::write(assembly, endian);
    // An object may be refused (two functions of one name, a name of more than 1,024 bytes): with a reason.
    match alveary_object::read(&bytes) {
        Ok(spec) => {
            assert_eq!(spec.endian, endian);
            let written: usize = assembly.sections.iter().map(|section| section.insns.len()).sum();
            let read: Vec<&Vec<Insn>> = spec.functions.values().map(|function| &function.insns).collect();
            assert!(read.iter().all(|insns| insns.len() <= written));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
