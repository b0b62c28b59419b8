//! Assembled source as an object: read back by us, and by llvm.

use crate::common::{kernel, program};
use alveary_abi::ProgType;
use alveary_isa::{
    Endian,
    asm::{Assembly, assemble},
};
use alveary_object::{Options, read, resolve, write};
use std::process::Command;

const SOURCE: &str = "
    .section xdp
    .globl filter
    filter:
        r6 = r1
        if r6 == 0 goto out
        r1 = 3
        call double
    again:
        call shared
        r2 = double ll
        if r0 > 5 goto again
    out:
        r0 = 2
        exit
    double:
        r0 = r1
        r0 += r0
        exit
    .section tc/ingress
        r0 = 0
        exit
    .text
    .globl shared
    shared:
        r0 = 7
        exit
";

fn assembled(text: &str) -> Assembly {
    let (assembly, errors) = assemble(text, &|_| None);
    assert!(errors.is_empty(), "{errors:?}");
    assembly
}

#[test]
fn what_is_written_is_read_again_in_both_byte_orders() {
    for endian in [Endian::Little, Endian::Big] {
        let spec = read(&write(&assembled(SOURCE), endian)).unwrap();
        assert_eq!(spec.endian, endian);
        assert_eq!(spec.functions.keys().collect::<Vec<_>>(), ["double", "filter", "shared", "tc_ingress"]);
        assert_eq!(spec.programs["filter"].ty, Some(ProgType::XDP));
        assert!(spec.programs.contains_key("tc_ingress") && !spec.programs.contains_key("double"));
        let resolved = resolve(&spec, &kernel(), &Options::default()).unwrap();
        let filter = program(&resolved, "filter");
        let names: Vec<_> = filter.subprogs.iter().map(|(at, name)| (*at, &**name)).collect();
        assert_eq!(names, [(0, "filter"), (10, "double"), (13, "shared")]);
        // The calls and the address reach what they name, from slots 3, 4 and 5.
        assert_eq!([filter.insns[3].imm, filter.insns[4].imm, filter.insns[5].imm], [10 - 4, 13 - 5, 10 - 6]);
    }
}

#[test]
fn what_the_source_does_not_define_is_refused_by_name() {
    let object = write(&assembled(".section xdp\nr1 = my_map ll\ncall nowhere\nexit"), Endian::Little);
    let spec = read(&object).unwrap();
    let errors = resolve(&spec, &kernel(), &Options::default()).unwrap_err();
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "xdp: instruction 0: the program needs `my_map`, which is no map, data or function of the object",
            "xdp: instruction 2: a call of `nowhere`, which the object does not define",
        ]
    );
}

#[test]
fn llvm_reads_what_is_written() {
    let path = std::env::temp_dir().join(format!("alveary-written-{}.o", std::process::id()));
    std::fs::write(&path, write(&assembled(SOURCE), Endian::Little)).unwrap();
    let output = Command::new("llvm-objdump-19").args(["-dr", "--no-show-raw-insn"]).arg(&path).output();
    std::fs::remove_file(&path).unwrap();
    let Ok(output) = output else {
        eprintln!("SKIP llvm_reads_what_is_written: llvm-objdump-19 is missing");
        return;
    };
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout).unwrap();
    let words: Vec<_> = text.split_whitespace().collect();
    let shows = |part: &str| words.windows(part.split(' ').count()).any(|w| w.join(" ") == part);
    for part in ["<filter>:", "<again>:", "<double>:", "<tc_ingress>:", "R_BPF_64_32 shared", "R_BPF_64_64 double"] {
        assert!(shows(part), "{part} is not in:\n{text}");
    }
}
