//! Passes `lanes` and `sum`: loops of drawn bodies do in lanes what the interpreter does one by one, memory and registers alike.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod support;

use alveary_isa::{Inst, Operand, Reg, Wide, asm::assemble, decode};
use alveary_vm::{Code, Env, Exit, Func, Image, Jit, Known, Memory, Pass, Passes};
use std::fmt::Write;
use support::Owner;

/// Bytes of each piece of memory.
const SIZE: usize = 1024;

/// Numbers that are drawn.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }
}

/// The code of a program in which r6 and r9 point to the packet, r7 and r8 to values of two maps.
fn code(text: &str) -> Code {
    let (assembly, errors) = assemble(text, &|_| None);
    assert!(errors.is_empty(), "{errors:?}\n{text}");
    let insns = assembly.into_raw().expect("no references").to_vec();
    let mut known = vec![Known::NOTHING; insns.len()];
    let mut slot = 0;
    while let Ok(inst) = decode(&insns, slot) {
        let base = match inst {
            Inst::Load { src, .. } => src.0,
            Inst::Store { dst, .. } => dst.0,
            _ => 0,
        };
        known[slot].memory = match base {
            6 | 9 => Memory::Packet,
            7 => Memory::Value(0),
            8 => Memory::Value(1),
            10 => Memory::Frame,
            _ => Memory::Any,
        };
        // Sums of 64 bits of which it is known that they have 32; those that are drawn do.
        if let Inst::Alu { wide: Wide::W64, dst: Reg(4), src: Operand::Reg(Reg(0)), .. } = inst {
            known[slot].range = (0, u32::MAX.into());
        }
        slot += inst.slots();
    }
    Code { insns, known, funcs: vec![Func { start: 0, stack: 512 }], ..Code::default() }
}

/// Runs over memory of its own: the result, and all memory behind it.
fn run(image: &Image, memory: &[u8]) -> (u64, Vec<u8>) {
    let mut memory = memory.to_vec();
    let [packet, first, second] = [0, SIZE, 2 * SIZE].map(|at| memory[at..].as_mut_ptr() as u64);
    match image.run(&Env::new(), 0, [packet, first, second, 0, 0], None) {
        Ok(Exit::Return(value)) => (value.wrapping_sub(packet * PACKETS), memory),
        other => panic!("{other:?}"),
    }
}

/// How often the packet's address is part of a result.
const PACKETS: u64 = 3;

/// Holds a program against the interpreter; whether something was done in lanes by pass `lanes` alone, and by `sum` alone.
fn agree(text: &str) -> [bool; 2] {
    let (code, owner) = (code(text), Owner(vec![]));
    let memory: Vec<u8> = (0..3 * SIZE as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    // SAFETY: the programs stay inside the memory that they are given.
    let interpreted = unsafe { Image::trusted(&code, &owner) }.expect("well-formed");
    let expected = run(&interpreted, &memory);
    let mut lanes = Vec::new();
    for passes in [
        Passes::only(Pass::Lanes),
        Passes::only(Pass::Sum),
        Passes::ALL,
        Passes::ALL.without(Pass::Lanes),
        Passes::ALL.without(Pass::Sum),
    ] {
        let jit = Jit::with_passes(1 << 24, passes).expect("it is x86-64");
        // SAFETY: as above.
        let native = unsafe { Image::native(&code, &owner, &jit) }.expect("well-formed");
        assert!(run(&native, &memory) == expected, "{passes:?}\n{text}");
        let listed = jit.list(&code, &owner).expect("well-formed");
        lanes.push(listed.iter().any(|part| part.lifted.iter().any(|line| line.text.contains("i32x4"))));
    }
    [lanes[0], lanes[1]]
}

/// A loop: loads, operations, spilled words, one or two stores, what goes up.
fn drawn(drawn: &mut Drawn) -> String {
    let mut text = "main:\n r6 = r1\n r9 = r1\n r7 = r2\n r8 = r3\n".to_owned();
    let (loaded, bytes) = [("u8", 1), ("u16", 2), ("u32", 4)][drawn.below(3) as usize];
    let (wide, unit) = (drawn.below(2) == 0, 1 + drawn.below(5));
    let (counter, rounds) = (if wide { "r5" } else { "w5" }, 1 + drawn.below(40));
    let first = drawn.below(3) * 7;
    let _ = write!(text, " r0 = 11\n r1 = 12\n r2 = 13\n r3 = 14\n r4 = 15\n {counter} = {first}\n.round:\n");
    let temporaries = ["0", "1", "2", "3"];
    // All that is read below is written in each round, most of the time.
    let initial = if drawn.below(8) == 0 { 2 } else { 4 };
    for temporary in &temporaries[..initial] {
        let off = drawn.below(60);
        let _ = match drawn.below(6) {
            0 => writeln!(text, " r{temporary} = *({loaded} *)(r9 + {off})"),
            1 => writeln!(text, " w{temporary} = {}", drawn.below(1 << 31)),
            2 => writeln!(text, " w{temporary} = w5"),
            _ => writeln!(text, " r{temporary} = *({loaded} *)(r6 + {off})"),
        };
    }
    for _ in 0..drawn.below(9) {
        let (to, from) = (drawn.one_of(&temporaries), drawn.one_of(&temporaries));
        let op = drawn.one_of(&["+=", "-=", "*=", "&=", "|=", "^=", "="]);
        let _ = match drawn.below(8) {
            0 => writeln!(text, " w{to} {} {}", drawn.one_of(&["<<=", ">>=", "s>>="]), drawn.below(32)),
            1 => writeln!(text, " w{to} {op} {}", drawn.below(1 << 31) as i64 - (1 << 30)),
            2 => writeln!(text, " r{to} {} r{from}", drawn.one_of(&["&=", "|=", "^=", "="])),
            3 => writeln!(text, " r{to} >>= {}", drawn.below(32)),
            4 => writeln!(text, " *(u32 *)(r10 - 8) = r{from}\n r{to} = *(u32 *)(r10 - 8)"),
            5 => writeln!(text, " *(u64 *)(r10 - 16) = r5\n r5 = r{from}\n w{to} {op} w5\n r5 = *(u64 *)(r10 - 16)"),
            6 => writeln!(text, " r{to} {op} {}", drawn.below(1 << 16)),
            _ => writeln!(text, " w{to} {op} w{from}"),
        };
    }
    let stored = drawn.one_of(&temporaries);
    let _ = writeln!(text, " *(u32 *)(r7 + 0) = r{stored}\n r7 += 4");
    if drawn.below(3) == 0 {
        let (name, bytes) = [("u8", 1), ("u16", 2), ("u32", 4), ("u64", 8)][drawn.below(4) as usize];
        let value = drawn.one_of(&["r4", "7", "-3"]);
        let _ = writeln!(text, " *({name} *)(r8 + 8) = {value}\n r8 += {bytes}");
    }
    let _ = writeln!(text, " r6 += {bytes}\n {counter} += {unit}");
    let bound = first + unit * rounds;
    let _ = match drawn.below(3) {
        0 => writeln!(text, " if {counter} < {bound} goto .round"),
        1 => writeln!(text, " if {counter} s<= {} goto .round", bound - 1),
        _ => writeln!(text, " if {counter} != {bound} goto .round"),
    };
    if drawn.below(3) == 0 {
        text += " r0 ^= r1\n r0 *= 3\n r0 += r2\n";
    } else {
        text += " r0 = 5\n";
    }
    text + " r0 *= 31\n r0 += r5\n r0 += r6\n r0 += r9\n r0 += r6\n exit\n"
}

#[test]
fn loops_of_drawn_bodies() {
    let mut numbers = Drawn(1);
    let programs = 300;
    let in_lanes = (0..programs).filter(|_| agree(&drawn(&mut numbers))[0]).count();
    assert!(in_lanes > programs / 5, "{in_lanes} of {programs}");
}

/// A loop that sums what it loads, and may ask for the end of the packet in each round; whether it does, and whether its sum
/// has 64 bits.
fn drawn_sum(drawn: &mut Drawn) -> (String, bool, bool) {
    let (loaded, bytes) = [("u8", 1), ("u16", 2), ("u32", 4)][drawn.below(3) as usize];
    let (counter, rounds) = (drawn.one_of(&["r5", "w5"]), 1 + drawn.below(60));
    let end = drawn.below(300);
    let mut text = format!(
        "main:\n r6 = r1\n r9 = r1\n r7 = r1\n r7 += {end}\n w4 = {}\n w3 = {}\n r5 = 0\n r2 = 9\n.round:\n",
        drawn.below(1 << 30),
        drawn.below(99)
    );
    let asks = drawn.below(4);
    let off = drawn.below(9);
    if asks > 0 {
        let (test, more) = [(">", 0), (">=", 0), (">", 3)][asks as usize - 1];
        let _ = write!(text, " r1 = r6\n r1 += {}\n if r1 {test} r7 goto .end\n", off + bytes + more);
    }
    let _ = writeln!(text, " r0 = *({loaded} *)(r6 + {off})");
    let changes = drawn.below(3);
    for _ in 0..changes {
        let _ = match drawn.below(3) {
            0 => writeln!(text, " w0 {} {}", drawn.one_of(&["+=", "*=", "&=", "^="]), drawn.below(1 << 30)),
            1 => writeln!(text, " w0 {} {}", drawn.one_of(&["<<=", ">>="]), drawn.below(32)),
            _ => writeln!(text, " w2 = w0\n w0 += w2"),
        };
    }
    let wide = drawn.below(3) == 0;
    let _ = match wide {
        // No more than sixty of 16 bits each.
        true if changes == 0 && bytes < 4 => writeln!(text, " r4 {} r0", drawn.one_of(&["+=", "+=", "^=", "|="])),
        true => writeln!(text, " r4 {} r0", drawn.one_of(&["^=", "|="])),
        false => writeln!(text, " w4 {} w0", drawn.one_of(&["+=", "+=", "+=", "^=", "|=", "-="])),
    };
    match drawn.below(5) {
        0 => text += " w3 += w5\n",
        1 => text += " w3 ^= w0\n",
        // Not a sum alone.
        2 => text += " w3 = w4\n",
        3 => text += " w4 += w0\n",
        _ => {}
    }
    let _ = write!(text, " r6 += {bytes}\n {counter} += 1\n if {counter} != {rounds} goto .round\n.end:\n r0 = r4\n");
    if drawn.below(2) == 0 {
        text += " r0 *= 31\n r0 += r3\n r0 *= 31\n r0 += r2\n";
    }
    (text + " r0 *= 31\n r0 += r5\n r0 += r6\n r0 += r9\n r0 += r6\n exit\n", asks > 0, wide)
}

#[test]
fn sums_of_drawn_bodies() {
    let mut numbers = Drawn(2);
    // By whether rounds ask, and whether the sum has 64 bits: programs, and those that pass `sum` made lanes of.
    let mut counted = [[[0; 2]; 2]; 2];
    for _ in 0..150 {
        let (text, asks, wide) = drawn_sum(&mut numbers);
        let [programs, in_lanes] = &mut counted[usize::from(asks)][usize::from(wide)];
        *programs += 1;
        *in_lanes += usize::from(agree(&text)[1]);
    }
    for [programs, in_lanes] in counted.into_iter().flatten() {
        assert!(in_lanes > programs / 5 && in_lanes > 1, "{counted:?}");
    }
}

#[test]
fn memory_is_only_what_rounds_access() {
    // As many rounds as the memory has places: what is behind it would be seen.
    for (name, bytes) in [("u8", 1), ("u16", 2), ("u32", 4), ("u64", 8)] {
        for rounds in [8, 9, 11, 12, 64, 127, 128] {
            agree(&format!(
                "main:\n r9 = r1\n r4 = 1985229328\n r8 = r3\n r8 += {}\n r5 = 0\n.round:\n *({name} *)(r8 + 0) = r4\n r8 += {bytes}\n r5 += 1\n \
                 if r5 != {rounds} goto .round\n r0 = r9\n r0 *= 3\n exit\n",
                SIZE - bytes * rounds
            ));
        }
    }
}

#[test]
fn frames_of_many_words() {
    // Every word's number, below and above those that are looked at one by one, is the one that is read behind the loop.
    for (words, read) in [(20, 1), (120, 1), (120, 60), (120, 120), (128, 128), (113, 113), (112, 112), (111, 111)] {
        let clear: String = (1..=words).map(|word| format!(" *(u32 *)(r10 - {}) = 0\n", 4 * word)).collect();
        let at = 4 * read;
        let rounds = format!(
            " r5 = 0\n r9 = 0\n.round:\n r0 = *(u32 *)(r6 + 0)\n w0 += 1\n *(u32 *)(r10 - {at}) = w0\n r9 += r0\n r6 += 4\n r5 += 1\n \
             if r5 != 8 goto .round\n"
        );
        for sum in ["", " r9 += r0\n"] {
            let rounds = rounds.replace(" r9 += r0\n", sum).replace("r9 ", "w9 ").replace("+= r0", "+= w0");
            let behind =
                format!(" r0 = *(u32 *)(r10 - {at})\n w1 = w9\n r0 += r1\n r1 = r6\n r1 *= 3\n r0 += r1\n exit\n");
            agree(&format!("main:\n r6 = r1\n{clear}{rounds}{behind}"));
        }
    }
}
