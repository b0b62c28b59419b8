//! Native code that outlives its compiler: it is linked again wherever things are then, and nothing is run but what was
//! kept.
#![cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux"))]

mod support;

use alveary_isa::{AluOp, Inst, Operand, Reg, Wide};
use alveary_vm::{Call, Code, Env, Exit, Func, HelperFn, Image, Jit, Link, Settings, Sym};
use std::sync::Arc;
use support::{shelf::Shelf, *};

unsafe extern "C" fn plus_one(_: *const Env, r1: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    r1 + 1
}

unsafe extern "C" fn plus_two(_: *const Env, r1: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    r1 + 2
}

/// Where things are in a process.
struct Process {
    map: u64,
    helper: HelperFn,
}

const FIRST: Process = Process { map: 0x1000, helper: plus_one };
const SECOND: Process = Process { map: 0x7777_0000_0000, helper: plus_two };

// SAFETY: the tests' programs access nothing; the helpers take any arguments.
unsafe impl Link for Process {
    fn map(&self, _: u16) -> u64 {
        self.map
    }

    fn map_value(&self, _: u16, off: u32) -> u64 {
        self.map + u64::from(off)
    }

    fn memory(&self, _: u16, off: u64) -> u64 {
        self.map + off
    }

    fn helper(&self, _: u16) -> HelperFn {
        self.helper
    }
}

/// A large program that names a map's address, adds it to what a helper gives of `number`, and all that by a subprogram.
fn code(number: i32) -> Code {
    let address = Inst::LoadImm64 { dst: Reg(6), value: 0 };
    let work = (0..1_000).map(|n| Inst::Alu {
        wide: Wide::W64,
        op: if n % 2 == 0 { AluOp::Add } else { AluOp::Sub },
        dst: Reg(6),
        src: Operand::Reg(Reg(7)),
    });
    let head = [address, mov(7, number)].into_iter().chain(work);
    // To the instruction behind the next two.
    let tail = [
        Inst::CallLocal { rel: 2 },
        alu(AluOp::Add, 0, 6),
        EXIT,
        movr(1, 0),
        mov(1, number),
        Inst::CallHelper { id: 0 },
        EXIT,
    ];
    let insts: Vec<Inst> = head.chain(tail).collect();
    let slots = slots(&insts);
    let second = slots.len() as u32 - 4;
    Code {
        insns: slots,
        funcs: vec![Func { start: 0, stack: 0 }, Func { start: second, stack: 0 }],
        syms: vec![(0, Sym::MapValue(0, 5))],
        calls: vec![Call { args: 5, returns: true, tag: 5 }],
        ..Code::default()
    }
}

fn run(code: &Code, process: &Process, jit: &Arc<Jit>) -> u64 {
    // SAFETY: the program accesses nothing.
    let image = unsafe { Image::native(code, process, jit) }.expect("well-formed");
    match image.run(&Env::new(), 0, [0; 5], None) {
        Ok(Exit::Return(value)) => value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_compiled_is_linked_again_where_things_are_then() {
    let shelf = Shelf::default();
    assert_eq!(run(&code(40), &FIRST, &shelf.jit(Settings::default())), 0x1005 + 41);
    assert_eq!(shelf.puts(), 1);
    assert_eq!(run(&code(40), &SECOND, &shelf.jit(Settings::default())), 0x7777_0000_0005 + 42);
    assert_eq!(shelf.puts(), 1, "it was compiled again");
}

#[test]
fn other_programs_and_settings_have_images_of_their_own() {
    let shelf = Shelf::default();
    run(&code(40), &FIRST, &shelf.jit(Settings::default()));
    assert_eq!(run(&code(50), &FIRST, &shelf.jit(Settings::default())), 0x1005 + 51);
    run(&code(40), &FIRST, &shelf.jit(Settings { fuel: true, ..Settings::default() }));
    assert_eq!(shelf.puts(), 3);
    run(&code(40), &FIRST, &shelf.jit(Settings { harden: true, ..Settings::default() }));
    assert_eq!(shelf.puts(), 3, "hidden constants are this process's alone");
}

#[test]
fn what_was_changed_is_not_run_but_made_anew() {
    let shelf = Shelf::default();
    let jit = || shelf.jit(Settings::default());
    run(&code(40), &FIRST, &jit());
    let bytes = shelf.0.lock().expect("no test panics with it").images.values().next().expect("one").len();
    // A byte of each part: the code, the head, addresses, machine code; then all that is cut off.
    let mut made = 1;
    for at in (0..bytes).step_by(bytes / 40) {
        shelf.change(|image| image[at] ^= 0x80);
        assert_eq!(run(&code(40), &FIRST, &jit()), 0x1005 + 41, "byte {at}");
        made += 1;
        assert_eq!(shelf.puts(), made, "byte {at} was believed");
    }
    for left in [0, 16, 32, 33, bytes - 1] {
        shelf.change(|image| image.truncate(left));
        assert_eq!(run(&code(40), &FIRST, &jit()), 0x1005 + 41);
        made += 1;
        assert_eq!(shelf.puts(), made, "{left} bytes were believed");
    }
}

#[test]
fn an_image_is_not_believed_under_another_name_or_secret() {
    let shelf = Shelf::default();
    run(&code(40), &FIRST, &shelf.jit(Settings::default()));
    run(&code(50), &FIRST, &shelf.jit(Settings::default()));
    {
        let mut kept = shelf.0.lock().expect("no test panics with it");
        let images: Vec<Vec<u8>> = kept.images.values().rev().cloned().collect();
        kept.images.values_mut().zip(images).for_each(|(image, other)| *image = other);
    }
    assert_eq!(run(&code(40), &FIRST, &shelf.jit(Settings::default())), 0x1005 + 41);
    assert_eq!(shelf.puts(), 3);
    shelf.0.lock().expect("no test panics with it").secret = [7; 32];
    assert_eq!(run(&code(40), &FIRST, &shelf.jit(Settings::default())), 0x1005 + 41);
    assert_eq!(shelf.puts(), 4);
}

#[test]
fn small_programs_are_not_kept() {
    let shelf = Shelf::default();
    let owner = Owner(vec![]);
    // SAFETY: the program accesses nothing.
    let image =
        unsafe { Image::native(&owner.code(&[mov(0, 3), EXIT], &[0]), &owner, &shelf.jit(Settings::default())) };
    assert!(image.is_ok());
    assert_eq!(shelf.puts(), 0);
}

#[test]
fn what_is_kept_is_listed_as_it_runs() {
    // Listings were made of the same code with addresses written in, of which nothing stood where it runs.
    let shelf = Shelf::default();
    for _ in 0..2 {
        let jit = shelf.jit(Settings::default());
        let code = code(4);
        // SAFETY: the program accesses nothing, and calls as the helper takes.
        let image = unsafe { Image::native(&code, &FIRST, &jit) }.expect("well-formed");
        let listed = jit.list(&code, &FIRST).expect("well-formed");
        let functions = image.native_functions();
        assert_eq!(functions.len(), listed.len());
        for (function, listed) in functions.iter().zip(listed) {
            assert!(image.machine_code(function).expect("it is there").starts_with(&listed.code));
            assert!(!listed.parts.is_empty());
        }
    }
    assert_eq!(shelf.puts(), 1);
}
