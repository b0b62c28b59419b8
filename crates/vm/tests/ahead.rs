//! The cases of instructions, compiled ahead of time: for this machine, and for those whose code generator (feature
//! `targets`), compiler (Debian's cross gcc) and emulator (qemu-user) are there.

mod support;

use alveary_vm::ahead::{Cpu, Data, Library, Machine, Place};
use alveary_vm::{BadCodeKind, Code, Passes, Sym};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::cases::{self, Case};

/// Calls every case and prints the numbers of those that gave something else.
const MAIN: &str = "
static uint64_t first_argument(const void *table, uint64_t r1) { (void)table; return r1; }
static const struct { void *user; uint64_t (*first)(const void *, uint64_t); } table = { 0, first_argument };

int main(void) {
    for (unsigned n = 0; n < sizeof cases / sizeof *cases; n++) {
        uint64_t value = cases[n].run(&table, cases[n].r1, cases[n].r2, 0, 0, 0);
        if (value != cases[n].expected)
            printf(\"%u %llx\\n\", n, (unsigned long long)value);
    }
    puts(\"done\");
    return 0;
}
";

fn directory(machine: Machine, what: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ahead-{}-{what}", machine.name()));
    fs::create_dir_all(&directory).expect("a directory of the test's own");
    directory
}

/// The compiler for a machine, and what runs its programs here.
fn tools(machine: Machine) -> Option<(String, Option<String>)> {
    let is_host = Machine::host() == Some(machine);
    let compiler = if is_host { "cc".to_owned() } else { format!("{}-linux-gnu-gcc", machine.name()) };
    let emulator = (!is_host).then(|| format!("qemu-{}", machine.name()));
    let is_there = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
    for tool in [Some(&compiler), emulator.as_ref()].into_iter().flatten() {
        if !is_there(tool) {
            eprintln!("SKIP {}: {tool} is missing", machine.name());
            return None;
        }
    }
    Some((compiler, emulator))
}

/// Compiles and links C with a library, runs it, and gives back what it prints.
fn run(machine: Machine, what: &str, library: &Library, c: &str) -> Option<String> {
    let (compiler, emulator) = tools(machine)?;
    let directory = directory(machine, what);
    let [object, source, program] = ["library.o", "main.c", "main"].map(|name| directory.join(name));
    fs::write(&object, library.object().expect("an object file")).expect("it is written");
    fs::write(&source, c).expect("it is written");
    let made = Command::new(compiler).args(["-O1", "-static", "-o"]).args([&program, &source, &object]).output();
    let made = made.expect("it runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut command = match emulator {
        Some(emulator) => Command::new(emulator),
        None => Command::new(&program),
    };
    if machine != Machine::host().expect("this one") {
        command.arg(&program);
    }
    let ran = command.output().expect("it runs");
    assert!(ran.status.success(), "{}: {:?}", ran.status, ran);
    Some(String::from_utf8(ran.stdout).expect("text"))
}

/// What is called by a number that only an engine knows.
fn by_number(case: &Case) -> bool {
    case.what == "a helper's number can be called"
}

fn every_case(machine: Machine) {
    if !machine.is_there() {
        return eprintln!("SKIP {}: this build has no code generator for it (feature `targets`)", machine.name());
    }
    let mut library = Library::new(machine, &Cpu::Baseline, Passes::ALL).expect("it is there");
    let cases: Vec<Case> = cases::all(machine.is_big_endian()).into_iter().filter(|case| !by_number(case)).collect();
    assert!(cases.len() > 1000, "only {} cases were found", cases.len());
    let (mut declared, mut table) = (String::from("#include <stdint.h>\n#include <stdio.h>\n"), String::new());
    for (n, case) in cases.iter().enumerate() {
        let code = cases::code(&case.text);
        library.program(&format!("case_{n}"), &code, &[0], |_| None).expect("well-formed");
        let parameters = "const void *, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t";
        writeln!(declared, "uint64_t case_{n}({parameters});").expect("memory");
        let ([r1, r2], expected) = (case.args, case.expected);
        writeln!(table, "    {{ case_{n}, {r1:#x}u, {r2:#x}u, {expected:#x}u }},").expect("memory");
    }
    let row =
        "uint64_t (*run)(const void *, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t); uint64_t r1, r2, expected;";
    let c = format!("{declared}static const struct {{ {row} }} cases[] = {{\n{table}}};\n{MAIN}");
    let Some(printed) = run(machine, "cases", &library, &c) else { return };
    let wrong = printed.lines().filter_map(|line| {
        let (n, value) = line.split_once(' ')?;
        let case = &cases[n.parse::<usize>().expect("a number")];
        Some(format!("{}: {value}, expected {:x}\n{}", case.what, case.expected, case.text))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "on {}:\n{}", machine.name(), wrong.join("\n"));
    assert!(printed.ends_with("done\n"));
}

#[test]
fn every_case_on_x86_64() {
    every_case(Machine::X86_64);
}

#[test]
fn every_case_on_aarch64() {
    every_case(Machine::Aarch64);
}

#[test]
fn every_case_on_riscv64() {
    every_case(Machine::Riscv64);
}

#[test]
fn every_case_on_s390x() {
    every_case(Machine::S390x);
}

fn code(text: &str, syms: &[(u32, Sym)]) -> Code {
    Code { syms: syms.to_vec(), calls: Vec::new(), ..cases::code(text) }
}

#[test]
fn memory_of_a_library_is_shared_by_its_programs_and_others() {
    for machine in Machine::ALL.into_iter().filter(|machine| machine.is_there()) {
        let mut library = Library::new(machine, &Cpu::Baseline, Passes::ALL).expect("it is there");
        let constants =
            Data { name: "constants".into(), size: 8, bytes: vec![0, 0, 0, 0, 7, 7, 7, 7], ..Data::default() };
        let constants = library.data(constants);
        let counter = library.data(Data { name: "counter".into(), size: 8, writable: true, ..Data::default() });
        let pointer =
            Data { name: "pointer".into(), size: 8, writable: true, addresses: vec![(0, counter)], ..Data::default() };
        let pointer = library.data(pointer);
        library.accessor("pointer", pointer).expect("a function");
        let text = "r1 = 0 ll\nr0 = *(u32 *)(r1 + 0)\nr1 = 0 ll\nlock *(u64 *)(r1 + 0) += r0\nr0 = 0\nexit\n";
        let syms = [(0, Sym::MapValue(0, 4)), (3, Sym::Memory(1, 0))];
        let place = |sym| match sym {
            Sym::MapValue(0, off) => Some(Place { data: constants, off: off.into() }),
            Sym::Memory(1, off) => Some(Place { data: counter, off }),
            _ => None,
        };
        library.program("count", &code(text, &syms), &[], place).expect("well-formed");
        let c = "
            #include <stdint.h>
            #include <stdio.h>
            uint64_t count(void);
            uint64_t **pointer(void);
            int main(void) { count(); count(); printf(\"%llx\", (unsigned long long)**pointer()); return 0; }
        ";
        let Some(printed) = run(machine, "memory", &library, c) else { continue };
        assert_eq!(printed, "e0e0e0e", "{}", machine.name());
    }
}

#[test]
fn what_a_library_does_not_have_is_refused_by_its_slot() {
    let mut library = Library::new(Machine::X86_64, &Cpu::Baseline, Passes::ALL).expect("it is there");
    let refused = |result: Result<(), alveary_vm::BadCode>| result.map_err(|bad| (bad.insn, bad.why));
    let named = library.program("named", &code("r0 = 1\nr1 = 0 ll\nexit\n", &[(1, Sym::Map(0))]), &[], |_| None);
    assert_eq!(refused(named), Err((1, BadCodeKind::NoSymbol)));
    let mut env = code("r0 = 1\nexit\n", &[]);
    env.insns[0] = alveary_isa::Insn { op: 0xbf, dst: alveary_isa::Reg(0), src: alveary_isa::Reg::ENV, off: 0, imm: 0 };
    let environment = library.program("environment", &env, &[], |_| None);
    assert_eq!(refused(environment), Err((0, BadCodeKind::Unsupported("the engine's environment"))));
}
