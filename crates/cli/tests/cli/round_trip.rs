//! What `disasm` prints `asm` reads: as the same instructions, with the same names.

use crate::session::Session;
use alveary_isa::asm::{Assembly, ReferenceKind, assemble};
use alveary_spec::{RelocKind, Spec};
use std::{fs, path::Path};

/// Disassembles an object of the session, assembles the text, and holds the two against each other.
fn comes_back(session: &Session, object: &str) {
    let listing = session.output(&format!("disasm {object} --source --unresolved"));
    assert_eq!(listing.code, Some(0), "{object}: {}", listing.stderr);
    session.write("listing.s", listing.stdout.as_bytes());
    let again = session.output("asm listing.s -o again.o");
    assert_eq!(again.code, Some(0), "{object}: {}", again.stderr);

    let helpers = alveary_abi::Profile::linux_6_18();
    let helper = |name: &str| helpers.helper_named(name.strip_prefix("bpf_")?).and_then(|row| row.id.0.try_into().ok());
    let (assembly, errors) = assemble(&listing.stdout, &helper);
    assert_eq!(errors, [], "{object}");
    let spec = alveary_object::read(&session.read(object)).expect("it has been disassembled");
    let functions = assembly.sections.iter().flat_map(|s| &s.labels).count();
    assert_eq!(functions, spec.functions.len(), "{object}");
    for name in spec.functions.keys() {
        same_function(&spec, &assembly, name, object);
    }
}

fn same_function(spec: &Spec, assembly: &Assembly, name: &str, object: &str) {
    let function = &spec.functions[name];
    let section = assembly.sections.iter().find(|s| *s.name == *function.section).expect("the section is there");
    let label = section.labels.iter().find(|l| l.name == name).expect("the function is there");
    assert_eq!(label.global, function.global, "{object}: {name}");
    let start = label.slot as usize;
    for (slot, insn) in function.insns.iter().enumerate() {
        let mut found = section.insns[start + slot];
        let mut wanted = *insn;
        let reloc = function.relocs.iter().find(|r| r.insn as usize == slot);
        if let Some(reloc) = reloc {
            // The name counts: what stands in the field is the linker's to fill in.
            (found.imm, wanted.imm) = (0, 0);
            let reference = section.references.iter().find(|r| r.slot as usize == start + slot);
            let named = |symbol: &str, kind| reference.is_some_and(|r| r.symbol == symbol && r.kind == kind);
            let own = |callee: &str| section.labels.iter().any(|l| l.name == callee);
            match &reloc.kind {
                RelocKind::Call(callee) => assert!(named(callee, ReferenceKind::Call) || own(callee), "{callee}"),
                RelocKind::Kfunc(callee) => assert!(named(callee, ReferenceKind::Call), "{callee}"),
                RelocKind::Map(what)
                | RelocKind::MapValue(what, _)
                | RelocKind::FuncAddr(what)
                | RelocKind::Extern(what) => assert!(named(what, ReferenceKind::Address), "{what}"),
            }
            (found.off, wanted.off) = (0, 0);
        }
        assert_eq!(found, wanted, "{object}: {name}, slot {slot}");
    }
}

#[test]
fn the_examples_come_back() {
    for object in ["count.bpf.o", "filter.bpf.o", "rewrite.bpf.o"] {
        comes_back(&Session::new().example(object), object);
    }
}

#[test]
fn libxdps_objects_come_back() {
    let folder = Path::new("/usr/lib/x86_64-linux-gnu/bpf");
    let Ok(objects) = fs::read_dir(folder) else { return eprintln!("SKIP libxdp1 is not installed") };
    for object in objects.filter_map(Result::ok).filter(|o| o.path().extension().is_some_and(|e| e == "o")) {
        let name = object.file_name().into_string().expect("a name in ASCII");
        let session = Session::new().file(&name, fs::read(object.path()).expect("it can be read"));
        comes_back(&session, &name);
    }
}

#[test]
fn a_section_of_any_name_and_jumps_by_distance_come_back() {
    let text = ".section \"7/1 odd\"\n.globl f\nf:\nif r1 == 0 goto out\nr0 = 0x1122334455667788 ll\nout: exit\n";
    let session = Session::new().file("odd.s", text);
    assert_eq!(session.output("asm odd.s -o odd.o").code, Some(0));
    let listing = session.output("disasm odd.o --unresolved").stdout;
    session.write("again.s", listing.as_bytes());
    assert_eq!(session.output("asm again.s -o again.o").code, Some(0), "{listing}");
    assert_eq!(session.output("disasm again.o --unresolved").stdout, listing);
    session.write("edited.s", listing.replacen("     1: r0", "r3 = 1\n     1: r0", 1).as_bytes());
    let edited = session.output("asm edited.s -o edited.o");
    assert!(edited.stderr.contains("the instruction has another number"), "{}", edited.stderr);
}
