//! Every pass, alone and with all others: native code does what the interpreter does, at the edges of what passes look
//! at.
#![cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux"))]

mod support;

use alveary_isa::asm::assemble;
use alveary_vm::{Code, Env, Exit, Func, Image, Jit, Known, Memory, Pass, Passes};
use std::sync::{Arc, OnceLock};
use support::Owner;

/// Compilers with all passes, with none, with those that others build on, and with each alone.
fn compilers() -> &'static [(String, Arc<Jit>)] {
    static ALL: OnceLock<Vec<(String, Arc<Jit>)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let alone = Pass::all().map(|pass| (pass.name().to_owned(), Passes::only(pass)));
        let sets = [("all", Passes::ALL), ("none", Passes::NONE), ("lifting", Passes::LIFTING)];
        let sets = sets.map(|(name, passes)| (name.to_owned(), passes)).into_iter().chain(alone);
        sets.map(|(name, passes)| (name, Jit::with_passes(1 << 30, passes).expect("there is one for this machine")))
            .collect()
    })
}

/// Holds a program against the interpreter for each of some arguments. Functions begin at labels without a dot.
fn agree(text: &str, arguments: impl IntoIterator<Item = [u64; 5]>) {
    agree_by(&[], text, arguments);
}

/// The code of a program.
fn code(text: &str) -> Code {
    let (assembly, errors) = assemble(text, &|_| None);
    assert!(errors.is_empty(), "{errors:?}");
    let labels = assembly.sections[0].labels.iter().filter(|label| !label.name.starts_with('.'));
    let mut funcs: Vec<Func> = labels.map(|label| Func { start: label.slot, stack: 512 }).collect();
    funcs.sort_unstable_by_key(|func| func.start);
    let insns = assembly.into_raw().expect("no references").to_vec();
    // What the tests' programs access is one memory, or their frames.
    let known = vec![Known { memory: Memory::Packet, ..Known::NOTHING }; insns.len()];
    Code { insns, funcs, known, ..Code::default() }
}

/// As [`agree`], by the compilers of these names; none: by all.
fn agree_by(compilers: &[&str], text: &str, arguments: impl IntoIterator<Item = [u64; 5]>) {
    let (code, owner, env) = (code(text), Owner(vec![]), Env::new());
    // SAFETY: the tests' programs read the bytes that they are given.
    let interpreted = unsafe { Image::trusted(&code, &owner) }.expect("well-formed");
    let native: Vec<(&String, Image)> = self::compilers()
        .iter()
        .filter(|(name, _)| compilers.is_empty() || compilers.contains(&&**name))
        // SAFETY: as above.
        .map(|(name, jit)| (name, unsafe { Image::native(&code, &owner, jit) }.expect("well-formed")))
        .collect();
    let arguments: Vec<[u64; 5]> = arguments.into_iter().collect();
    let mut all = Vec::new();
    for &args in &arguments {
        let run = |image: &Image| match image.run(&env, 0, args, None) {
            Ok(Exit::Return(value)) => value,
            other => panic!("{other:?}"),
        };
        let expected = run(&interpreted);
        for (name, image) in &native {
            assert_eq!(run(image), expected, "passes: {name}, arguments {args:x?}\n{text}");
        }
        all.push(expected);
    }
    // The same in a loop around the program.
    for (name, image) in native.iter().filter(|(name, _)| matches!(&***name, "all" | "none")) {
        let mut results = vec![0; arguments.len()];
        assert_eq!(image.batch(&env, None, |batch| batch.run_each(&arguments, &mut results)), Ok(()));
        assert_eq!(results, all, "passes: {name}\n{text}");
    }
}

/// A packet, and each of the first lengths that it could have.
fn lengths(packet: &[u8]) -> impl Iterator<Item = [u64; 5]> {
    let start = packet.as_ptr() as u64;
    (0..packet.len() as u64 - 16).map(move |len| [start, start + len, 0, 0, 0])
}

#[test]
fn loops_over_packets_of_every_length() {
    let packet: Vec<u8> = (0..200_u32).map(|n| (n * 7 + n / 16) as u8).collect();
    let counted = |end: &str, step: i32, bound: i32| {
        format!(
            "main:\n r0 = 0\n r4 = 0\n.loop:\n r5 = r1\n r5 += r4\n r3 = r5\n r3 += 3\n if r3 {end} r2 goto .end\n \
             r5 = *(u16 *)(r5 + 1)\n r0 += r5\n r0 *= 3\n r4 += {step}\n if r4 != {bound} goto .loop\n r0 ^= 1\n\
             .end:\n r0 += r4\n exit\n"
        )
    };
    for (step, rounds) in [(1, 1), (1, 7), (1, 8), (2, 9), (3, 16), (1, 23), (2, 40), (5, 64), (1, 150)] {
        for end in [">", ">="] {
            agree(&counted(end, step, step * rounds), lengths(&packet));
        }
    }
    let uncounted = "main:\n r0 = 0\n.loop:\n if r1 >= r2 goto .end\n r3 = *(u8 *)(r1 + 0)\n r0 += r3\n r0 *= 5\n \
                     r1 += 1\n goto .loop\n.end:\n exit\n";
    agree(uncounted, lengths(&packet));
    // The end is asked from the other side, and something else ends the loop, too.
    let found = "main:\n r0 = 0\n.loop:\n r4 = r1\n r4 += 4\n if r2 < r4 goto .end\n r3 = *(u8 *)(r1 + 3)\n r0 += r3\n \
                 if r3 == 44 goto .end\n r1 += 2\n goto .loop\n.end:\n r0 <<= 8\n r0 |= r3\n exit\n";
    agree(found, lengths(&packet));
}

#[test]
fn loops_whose_bound_wraps() {
    // Nothing is loaded: any numbers will do. The loop is also left after so many rounds.
    let text = "main:\n r0 = 0\n r4 = 0\n.loop:\n r5 = r1\n r5 += r4\n if r5 > r2 goto .end\n r0 += 1\n r4 += 1\n \
                if r4 != 40 goto .loop\n r0 += 1000\n.end:\n exit\n";
    let near = (0..60_u64).flat_map(|back| [u64::MAX - back, u64::MAX / 2 - back, back]);
    let ends = [0, 1, 30, u64::MAX - 20, u64::MAX - 1, u64::MAX, u64::MAX / 2, u64::MAX / 2 + 9];
    agree(text, near.flat_map(|first| ends.map(|end| [first, end, 0, 0, 0])));
}

#[test]
fn loops_that_run_so_many_rounds() {
    let text = |first: i32, step: i32, test: &str, bound: i32| {
        format!(
            "main:\n r0 = r1\n r3 = {first}\n.loop:\n r0 *= 31\n r0 += r3\n r3 += {step}\n if r3 {test} {bound} goto .loop\n \
             r0 += r3\n exit\n"
        )
    };
    for (first, step) in [(0, 1), (5, 1), (-6, 3), (0, 4), (100, -5), (3, -1), (i32::MAX - 40, 2)] {
        for rounds in [1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 100] {
            let Some(bound) = first.checked_add(step * rounds) else { continue };
            agree(&text(first, step, "!=", bound), [[9, 0, 0, 0, 0]]);
            if step > 0 {
                agree(&text(first, step, "s<", bound), [[9, 0, 0, 0, 0]]);
                agree(&text(first, step, "s<=", bound), [[9, 0, 0, 0, 0]]);
                agree(&text(first, step, "s<", bound - 1), [[9, 0, 0, 0, 0]]);
            }
            // Without a sign, what begins below zero does not end soon.
            if step > 0 && first >= 0 {
                agree(&text(first, step, "<", bound), [[9, 0, 0, 0, 0]]);
                agree(&text(first, step, "<=", bound - 1), [[9, 0, 0, 0, 0]]);
            }
        }
    }
}

#[test]
fn trees_of_comparisons() {
    // Balanced, over five bits.
    fn tree(from: i32, to: i32, reg: &str) -> String {
        if to - from == 1 {
            return format!(" goto .{}\n", ["a", "b", "c", "d", "e"][from as usize % 5]);
        }
        let middle = (from + to) / 2;
        let (below, above) = (tree(from, middle, reg), tree(middle, to, reg));
        format!(" if {reg} s> {} goto .above{middle}\n{below}.above{middle}:\n{above}", middle - 1)
    }
    let ends = [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)];
    let ends = || ends.map(|(name, value)| format!(".{name}:\n r0 = {value}\n exit\n")).concat();
    let balanced = |reg: &str, first: &str| format!("main:\n {first}\n{}{}", tree(0, 32, reg), ends());
    let list = |reg: &str| {
        let cases = (1..30).map(|n| format!(" if {reg} == {n} goto .{}\n", ["a", "b", "c"][n % 3]));
        format!("main:\n{} r0 = 0\n exit\n{}", cases.collect::<String>(), ends())
    };
    let values = || (0..70).chain([u64::MAX, 1 << 63, 1 << 32, (1 << 32) + 3, u64::MAX << 32 | 4, 255, 256, 263]);
    for reg in ["r1", "w1"] {
        for first in ["w1 &= 31", "r1 &= 63", "r2 = 0"] {
            agree(&balanced(reg, first), values().map(|value| [value, 0, 0, 0, 0]));
        }
        agree(&list(reg), values().map(|value| [value, 0, 0, 0, 0]));
    }
}

#[test]
fn machines_whose_next_state_each_case_computes() {
    let machine = |bits: u32| {
        let cases = (0..(1 << bits) - 1).map(|n| format!(" if r2 == {n} goto .{}\n", ["a", "b", "c", "d", "e"][n % 5]));
        format!(
            "main:\n r0 = 0\n r3 = 0\n.next:\n r2 = r1\n r2 &= {}\n{} r0 += 77\n goto .last\n.a:\n r0 += 3\n \
             goto .last\n.b:\n r0 *= 5\n goto .last\n.c:\n r0 ^= 99\n goto .last\n.d:\n r0 <<= 1\n goto .last\n.e:\n \
             r0 -= r3\n.last:\n r1 >>= 1\n r3 += 1\n if r3 != 60 goto .next\n exit\n",
            (1 << bits) - 1,
            cases.collect::<String>()
        )
    };
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        [state, 0, 0, 0, 0]
    };
    for bits in [3, 5] {
        agree(&machine(bits), (0..50).map(|_| random()));
    }
}

/// A `may_goto` counts whether or not it changes the way.
#[test]
fn a_may_goto_whose_ways_meet_counts() {
    agree(
        "main:\n r0 = 0\n.loop:\n may_goto .a\n goto .a\n.a:\n r0 += 1\n may_goto .end\n goto .loop\n.end:\n exit\n",
        [[0; 5]],
    );
}

/// Stores side by side that reach further than half of what offsets do.
#[test]
fn more_stores_side_by_side_than_offsets_are_far() {
    let stores: String = (-16384..=16392).step_by(8).map(|off| format!(" *(u64 *)(r1 {off:+}) = 0\n")).collect();
    let mut buffer = vec![0_u64; 5 << 10];
    let middle = buffer.as_mut_ptr() as u64 + (20 << 10);
    let text = format!("main:\n{stores} r0 = *(u64 *)(r1 + 16392)\n exit\n");
    agree_by(&["all", "fill"], &text, [[middle, 0, 0, 0, 0]]);
}

/// What a loop steps by in a loop inside it, or in a circle that is entered at two places, it steps by several times in a
/// round.
#[test]
fn steps_that_are_made_several_times_in_a_round() {
    let inner = |step: &str, first: i32, test: &str| {
        format!(
            "main:\n r0 = 0\n r4 = r1\n r1 = {first}\n.outer:\n r2 = 0\n.inner:\n {step}\n r2 += 1\n if r2 s< r4 goto .inner\n \
             r0 += 1\n if r0 == 5 goto .end\n if r1 != {test} goto .outer\n.end:\n exit\n"
        )
    };
    for (step, first, test) in [("r1 += -1", 10, "0"), ("r1 += 1", 0, "10"), ("r1 += 1", -4, "6")] {
        agree(&inner(step, first, test), (0..9).map(|rounds| [rounds, 0, 0, 0, 0]));
    }
    let circle = "main:\n r0 = 0\n r4 = r2\n r3 = 4\n.head:\n r2 = r4\n if r1 == 0 goto .b\n.a:\n r0 += 16\n.s:\n r3 += -1\n \
                  r2 += -1\n if r2 != 0 goto .a\n r0 += 1\n if r0 > 4000 goto .end\n if r3 != 0 goto .head\n.end:\n exit\n.b:\n \
                  r0 += 256\n goto .s\n";
    for first in [0, 1] {
        agree(circle, (1..5).map(|rounds| [first, rounds, 0, 0, 0]));
    }
}

#[test]
fn loops_that_ask_which_constant_a_register_holds() {
    let mut state = 5_u64;
    let packet: Vec<u8> = (0..64)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 61) as u8
        })
        .collect();
    // Each byte leads to another state; one of them is computed, one is not known, and all are read behind the loop.
    let machine = |first: &str, computed: &str, asked: &str| {
        format!(
            "main:\n r0 = 0\n {first}\n.loop:\n r3 = *(u8 *)(r1 + 0)\n r1 += 1\n if {asked} == 1 goto .one\n \
             if {asked} == 2 goto .two\n if {asked} s> 4 goto .more\n r0 += 1\n r6 = 1\n if r3 < 5 goto .latch\n r6 = r3\n \
             goto .latch\n.one:\n r0 *= 3\n if r3 == 2 goto .latch\n {computed}\n goto .latch\n.two:\n r0 ^= r3\n \
             w6 = -3\n if r3 & 1 goto .latch\n r6 = 0\n goto .latch\n.more:\n r0 += r6\n r6 = 2\n.latch:\n \
             if r1 < r2 goto .loop\n r0 <<= 8\n r0 ^= r6\n exit\n"
        )
    };
    for first in ["r6 = 0", "r6 = 2", "r6 = -1", "w6 = -1", "r6 = r2"] {
        for computed in ["r6 += 1", "w6 -= 2", "r6 <<= 35", "w6 *= -1", "w6 s/= -1", "r6 = 7"] {
            for asked in ["r6", "w6"] {
                agree_by(&["all", "none", "states"], &machine(first, computed, asked), lengths(&packet));
            }
        }
    }
    // Loops that count, and ask before their end, in their middle, and after their end.
    for (first, step, test, end) in [(0, 1, ">", 7), (3, -1, "s<", -4), (-2, 2, "==", 8), (0, 1, ">=", 8)] {
        for wide in ["r", "w"] {
            let counted = format!(
                "main:\n r0 = 0\n {wide}4 = {first}\n.loop:\n r3 = r1\n r3 += 2\n if r3 > r2 goto .out\n \
                 r3 = *(u8 *)(r1 + 0)\n r0 += r3\n if r3 == 1 goto .out\n {wide}4 += {step}\n \
                 if {wide}4 {test} {end} goto .end\n r1 += r3\n r0 *= 5\n if r3 != 4 goto .loop\n r1 += 1\n \
                 goto .loop\n.end:\n r0 += 1000\n.out:\n r0 ^= r4\n exit\n"
            );
            agree(&counted, lengths(&packet));
        }
    }
}

#[test]
fn stack_words_that_are_used_as_one_width_after_the_other() {
    let values = || [0, 1, u64::MAX, 0x1234_5678_9abc_def0, 1 << 63, 0xffff_ffff].map(|value| [value, !value, 0, 0, 0]);
    // One value after the other, each read as it was written.
    let after = "main:\n *(u64 *)(r10 - 8) = r1\n r0 = *(u64 *)(r10 - 8)\n *(u32 *)(r10 - 8) = r2\n r3 = *(u32 *)(r10 - 8)\n \
                 r0 ^= r3\n *(u16 *)(r10 - 6) = r1\n r3 = *(u16 *)(r10 - 6)\n r0 += r3\n exit\n";
    agree(after, values());
    // What was written as another width is read, at the same place and beside it, by one way and by both.
    for (written, read) in [
        ("u32 *)(r10 - 8)", "u64 *)(r10 - 8)"),
        ("u16 *)(r10 - 6)", "u32 *)(r10 - 8)"),
        ("u64 *)(r10 - 8)", "u32 *)(r10 - 8)"),
    ] {
        for test in ["!=", "==", "=="] {
            let text = format!(
                "main:\n *(u64 *)(r10 - 8) = r1\n *({written} = r2\n *(u64 *)(r10 - 16) = r2\n if r1 {test} 0 goto .read\n \
                 *({read} = r1\n.read:\n r0 = *({read}\n r3 = *(u64 *)(r10 - 16)\n r0 += r3\n exit\n"
            );
            agree(&text, values());
        }
        let round = format!(
            "main:\n r0 = 0\n r4 = 0\n *(u64 *)(r10 - 8) = r1\n.loop:\n r3 = *({read}\n r0 += r3\n r0 *= 3\n \
             *({written} = r0\n r4 += 1\n if r4 != 3 goto .loop\n r3 = *({written}\n r0 ^= r3\n exit\n"
        );
        agree(&round, values());
    }
}

#[test]
fn stretches_that_are_compared() {
    // Two stretches that differ at one place, or nowhere: every place, and every length of the packet behind it.
    let mut packet: Vec<u8> = (0..60).chain(0..60).chain([0; 40]).collect();
    let loads = |width: &str, bytes: i32, asks: bool, behind: &str| {
        let asked =
            if asks { format!(" r5 = r4\n r5 += {}\n if r5 > r2 goto .out\n", 60 + bytes) } else { String::new() };
        format!(
            "main:\n r3 = 0\n r0 = 0\n r4 = r1\n.round:\n{asked} r5 = *({width} *)(r4 + 60)\n r1 = *({width} *)(r4 + 0)\n \
             w0 = w3\n if w1 != w5 goto .end\n{behind} r4 += {bytes}\n w3 += 1\n if w3 != {} goto .round\n \
             r0 += 1000\n.end:\n r0 *= 31\n r0 += r1\n r0 *= 31\n r0 += r3\n exit\n.out:\n r0 = r3\n r0 += 5000\n exit\n",
            60 / bytes
        )
    };
    for (width, bytes) in [("u8", 1), ("u16", 2), ("u32", 4)] {
        for (asks, behind) in [(true, ""), (false, ""), (true, " r0 += 7\n r5 = 3\n"), (false, " w1 ^= 1\n")] {
            let text = loads(width, bytes, asks, behind);
            let jit = Jit::with_passes(1 << 24, Passes::only(Pass::Compare)).expect("there is one for this machine");
            let listed = jit.list(&code(&text), &Owner(vec![])).expect("well-formed");
            let mut lines = listed.iter().flat_map(|part| &part.lifted);
            assert!(lines.any(|line| line.text.contains(" load.i64")), "eight bytes are compared at once:\n{text}");
            for place in [0, 1, 7, 8, 9, 15, 16, 31, 40, 55, 56, 57, 59, 60] {
                let was = packet[60 + place];
                packet[60 + place] ^= 0x80;
                let start = packet.as_ptr() as u64;
                let ends = if asks { vec![0, 60, 61, 68, 75, 90, 119, 120, 121, 150] } else { vec![150] };
                let arguments = ends.into_iter().map(|end| [start, start + end, 0, 0, 0]);
                agree_by(&["all", "none", "compare"], &text, arguments);
                packet[60 + place] = was;
            }
        }
    }
}

#[test]
fn small_functions_called_in_a_loop() {
    let text = "main:\n r6 = r1\n r7 = 0\n.loop:\n r1 = r6\n r2 = r7\n call mix\n r6 = r0\n r7 += 1\n if r7 != 20 goto .loop\n \
                r0 = r6\n exit\nmix:\n r6 = r1\n r6 *= 31\n r7 = *(u64 *)(r10 - 8)\n r6 += r7\n *(u64 *)(r10 - 8) = r2\n \
                if r2 == 3 goto .out\n r6 ^= r2\n.out:\n r0 = r6\n exit\n";
    agree(text, (0..5).map(|n| [n, 0, 0, 0, 0]));
}

#[test]
fn small_functions_that_begin_with_a_loop() {
    // What a round leaves in a stack word, the next one finds there.
    let inner = "f:\n if r1 > 0 goto .l\n r2 = 77\n *(u64 *)(r10 - 8) = r2\n.l:\n r0 = *(u64 *)(r10 - 8)\n r1 += 1\n \
                 if r1 != 3 goto f\n exit\n";
    agree(&format!("main:\n r1 = 0\n call f\n exit\n{inner}"), [[0; 5]]);
    // Each call has its words anew.
    let twice = format!("main:\n r1 = 0\n call f\n r6 = r0\n r1 = 1\n call f\n r0 *= 31\n r0 += r6\n exit\n{inner}");
    agree(&twice, [[0; 5]]);
    let rounds = "main:\n r6 = r1\n r7 = 0\n.again:\n r1 = r6\n call f\n r7 *= 31\n r7 += r0\n r6 -= 1\n \
                  if r6 != 0 goto .again\n r0 = r7\n exit\nf:\n r0 = *(u64 *)(r10 - 8)\n r0 *= 3\n r0 += r1\n \
                  *(u64 *)(r10 - 8) = r0\n r0 = *(u64 *)(r10 - 8)\n r1 -= 1\n if r1 s> 0 goto f\n exit\n";
    agree(rounds, (1..9).map(|n| [n, 0, 0, 0, 0]));
    // So does a program, and a function too large to be made part of another.
    let main = "main:\n r0 = *(u64 *)(r10 - 8)\n r0 *= 3\n r0 += r1\n *(u64 *)(r10 - 8) = r0\n r1 -= 1\n \
                if r1 s> 0 goto main\n exit\n";
    agree(main, (1..9).map(|n| [n, 0, 0, 0, 0]));
    let large = format!(
        "main:\n call f\n r0 += 1\n exit\nf:\n r0 = *(u64 *)(r10 - 8)\n{} r0 += r1\n *(u64 *)(r10 - 8) = r0\n r1 -= 1\n \
         if r1 s> 0 goto f\n exit\n",
        " r0 *= 3\n r0 ^= 5\n".repeat(40)
    );
    agree(&large, (1..9).map(|n| [n, 0, 0, 0, 0]));
}

/// Puts bytes of the packet together: loads, what is done to each, and how they are joined.
fn joined(parts: &[(&str, i32, &str)], join: &str) -> String {
    let part = |(load, off, change): &(&str, i32, &str)| {
        let change = if change.is_empty() { String::new() } else { format!(" {change}\n") };
        format!(" r2 = *({load} *)(r1 + {off})\n{change} {join}\n")
    };
    let parts: String = parts.iter().map(part).collect();
    format!(
        "main:\n r0 = *(u8 *)(r1 + 0)\n r3 = r1\n r3 += 1\n{parts} r2 = *(u8 *)(r3 + 2)\n r2 <<= 8\n r0 += r2\n exit\n"
    )
}

#[test]
fn bytes_that_are_put_together() {
    let mut packet: Vec<u8> = (0..64_u32).map(|n| (n * 73 + 129) as u8).collect();
    let argument = [[packet.as_mut_ptr() as u64, 0, 0, 0, 0]];
    let two = &["all", "gather"];
    let orders = [
        [0, 1, 2, 3],
        [3, 2, 1, 0],
        [1, 0, 2, 3],
        [0, 0, 2, 3],
        [1, 2, 3, 4],
        [4, 3, 2, 1],
        [2, 1, 0, -1],
        [7, 5, 3, 1],
    ];
    for order in orders {
        for join in ["r0 |= r2", "r0 += r2", "r0 ^= r2", "w0 |= w2", "w0 += w2"] {
            for register in ["r2", "w2"] {
                let shift = |by: i32| format!("{register} <<= {by}");
                let shifts: Vec<String> = (0..4).map(|n| shift(8 * n)).collect();
                let parts: Vec<_> = order.iter().zip(&shifts).map(|(at, shift)| ("u8", at + 8, &**shift)).collect();
                agree_by(two, &joined(&parts, join), argument);
                // A byte twice is a sum, and a gap is one.
                agree_by(two, &joined(&parts[1..], join), argument);
                agree_by(two, &joined(&[&parts[..], &parts[..1]].concat(), join), argument);
            }
        }
    }
    let halves = [
        ("u16", "r2 = be16 r2"),
        ("u16", "r2 = le16 r2"),
        ("u16", "r2 = bswap32 r2"),
        ("u32", "r2 = be32 r2"),
        ("u32", "r2 = be16 r2"),
        ("u64", "r2 = be64 r2"),
    ];
    for (load, swap) in halves {
        for (first, second) in [(0, 2), (2, 0), (0, 4), (4, 0), (0, 1)] {
            for more in [
                "",
                "\n r2 >>= 8",
                "\n w2 &= 0xff00",
                "\n r2 &= -256",
                "\n r2 &= 255\n w2 = w2",
                "\n r2 <<= 16",
                "\n r2 <<= 4",
            ] {
                let (one, other) = (format!("{swap}{more}"), format!("{swap}{more}\n r2 <<= 16"));
                agree_by(two, &joined(&[(load, first, &one), (load, second, &other)], "r0 |= r2"), argument);
                agree_by(two, &joined(&[(load, first, &other), (load, second, &one)], "r0 += r2"), argument);
            }
        }
    }
    // What is written in between is not what was read before.
    let written = "main:\n r2 = *(u8 *)(r1 + 0)\n r3 = *(u8 *)(r1 + 1)\n r4 = r2\n r4 += 1\n *(u8 *)(r1 + 1) = r4\n \
                   r3 <<= 8\n r2 |= r3\n r0 = r2\n *(u8 *)(r1 + 1) = 202\n exit\n";
    agree_by(two, written, argument);
}

#[test]
fn sums_of_more_than_registers_hold() {
    let packet: Vec<u8> = (0..128_u32).map(|n| (n * 41 + 7) as u8).collect();
    for (products, again) in
        [(4, ""), (5, ""), (6, " r0 ^= r2\n"), (24, ""), (24, " r4 = *(u16 *)(r1 + 3)\n r0 += r4\n")]
    {
        let product = |n: i32| {
            let (one, other) = (3 * n, 127 - 2 * n);
            format!(
                " r2 = *(u8 *)(r1 + {one})\n r3 = *(u8 *)(r1 + {other})\n r2 *= r3\n r0 += r2\n{again} r2 ^= r0\n *(u64 *)(r10 - 8) = r2\n"
            )
        };
        let all: String = (0..products).map(product).collect();
        agree(
            &format!("main:\n r0 = 0\n{all} r2 = *(u64 *)(r10 - 8)\n r0 += r2\n exit\n"),
            [[packet.as_ptr() as u64, 0, 0, 0, 0]],
        );
    }
}

#[test]
fn short_ways_in_loops() {
    let of_both = ["r4 -= r3", "r4 += r5", "w4 |= 32", "r4 = r5", "r4 <<= 3", "w4 s>>= 1", "r4 = 9", "r4 = -r4"];
    let of_words = ["r5 = r4", "r5 += 7", "r5 ^= r4", "w5 = w4"];
    let test = |wide: &str, op: &str| format!("if {wide}1 {op} {wide}3 goto .then");
    let tests = ["<", "s<", "==", "!=", "s>=", "&"].map(|op| [test("r", op), test("w", op)]).concat();
    for (n, test) in tests.iter().enumerate() {
        for (m, way) in of_both.iter().enumerate() {
            let (other, more) = (of_both[(n + m + 1) % of_both.len()], of_words[(n + m) % of_words.len()]);
            let ways = [
                format!(" {way}\n.then:\n"),
                format!(" {way}\n {more}\n.then:\n"),
                format!(" {way}\n {more}\n r4 *= r5\n.then:\n"),
                format!(" {way}\n goto .end\n.then:\n {other}\n.end:\n"),
                format!(" {way}\n goto .end\n.then:\n {more}\n.end:\n r0 ^= r5\n"),
                // A way inside of a way; both ways to one place; a way to where the loop begins.
                format!(" if r1 == 5 goto .inner\n {way}\n.inner:\n {other}\n.then:\n"),
                format!(" if r1 == 5 goto .inner\n.inner:\n {way}\n.then:\n if r4 < r5 goto +0\n"),
                format!(" {way}\n r1 += 1\n r0 += r4\n if r1 s< 12 goto .loop\n.then:\n"),
            ];
            // Each with two of them.
            for ways in [n + m, n + m + 3].map(|at| &ways[at % ways.len()]) {
                let text = format!(
                    "main:\n r0 = 0\n r5 = r2\n.loop:\n r4 = r1\n r4 *= r2\n {test}\n{ways} r0 ^= r4\n r0 *= 31\n \
                     r1 += 3\n if r1 s< 40 goto .loop\n r0 += r5\n exit\n"
                );
                let small = (0..4).flat_map(|first: u64| [[first.wrapping_neg(), 7, 11, 0, 0], [first, 3, 1, 0, 0]]);
                let large = [[20, 1 << 63 | 9, 1 << 63, 0, 0], [30, u64::MAX, 1 << 32 | 33, 0, 0]];
                agree_by(&["all", "none", "select"], &text, small.chain(large));
            }
        }
    }
}

#[test]
fn bits_beside_shifted_ones() {
    let packet: Vec<u8> = (0..64_u32).map(|n| (n * 151 + 255) as u8).collect();
    // What may be as large as the first bit that was shifted, and what is just below.
    let lows = [
        "r3 = r2\n r3 &= 1",
        "r3 = r2\n r3 &= 3",
        "r3 = r2\n r3 &= 7",
        "r3 = r2\n r3 &= 8",
        "w3 = w2\n w3 >>= 29",
        "w3 = w2\n w3 >>= 31",
        "r3 = r2\n r3 >>= 61",
        "r3 = *(u8 *)(r1 + 1)\n r3 >>= 5",
        "r3 = *(u8 *)(r1 + 1)\n r3 >>= 4",
        "r3 = *(u16 *)(r1 + 1)\n w3 >>= 14",
        "r3 = *(s8 *)(r1 + 1)\n r3 >>= 61",
        "r3 = *(s8 *)(r1 + 1)\n r3 s>>= 6",
        "r3 = r2\n r3 &= 1\n r4 = r2\n r4 >>= 62\n r3 |= r4",
        "r3 = r2\n r3 &= 2\n r3 ^= 5",
        "r3 = r2\n r3 &= 2\n r3 += 1",
        "r3 = 6",
    ];
    for low in lows {
        for by in [0, 1, 2, 3, 4] {
            for (register, other) in [("r0", "r3"), ("w0", "w3")] {
                let text = |join: &str| {
                    format!("main:\n r0 = r2\n r0 *= 5\n {low}\n {register} <<= {by}\n {join}\n r0 += 1\n exit\n")
                };
                let address = packet.as_ptr() as u64;
                let numbers = (0..40_u64).map(|n| [address + n, (n * 3).wrapping_mul(0x9e37_79b9_7f4a_7c15), 0, 0, 0]);
                agree_by(&["all", "scale"], &text(&format!("{register} |= {other}")), numbers.clone());
                let joined = format!("{other} |= {register}\n r0 = r3");
                agree_by(&["all", "scale"], &text(&joined), numbers);
            }
        }
    }
}

#[test]
fn two_numbers_in_either_order() {
    // The first one is read again, the second one is not; and the other way around.
    for sign in ["&", "|", "^", "*"] {
        for [first, second] in [["r0", "r4"], ["r4", "r0"], ["w0", "w4"], ["w4", "w0"]] {
            for again in ["r3", "r2", "r0", "r5"] {
                let text = format!(
                    "main:\n r0 = r2\n r0 += 7\n r4 = r3\n r4 <<= 3\n r5 = r0\n r5 += r4\n {first} {sign}= {second}\n \
                     r5 -= {again}\n r0 ^= r5\n exit\n"
                );
                let numbers = (0..40_u64).map(|n| [n, n.wrapping_mul(0x9e37_79b9_7f4a_7c15), !n << 29, 0, 0]);
                agree_by(&["all", "order"], &text, numbers);
            }
        }
    }
}

#[test]
fn divisions_by_constants() {
    let edges = |divisor: u64| {
        let near = |x: u64| [x.wrapping_sub(1), x, x.wrapping_add(1)];
        let last = u64::MAX / divisor * divisor;
        let last32 = u64::from(u32::MAX) / divisor * divisor;
        let numbers = [0, divisor, divisor << 9, last, last32, u64::MAX, u32::MAX.into(), 1 << 32, 1 << 63];
        numbers.into_iter().flat_map(near).map(|x| [x, 0, 0, 0, 0])
    };
    for divisor in
        [1, 2, 3, 5, 6, 7, 10, 24, 25, 64, 100, 127, 641, 1000, 3600, 65_536, 65_537, 1_000_000_000, i32::MAX]
    {
        for op in ["/=", "%="] {
            agree(
                &format!("main:\n r0 = r1\n r0 {op} {divisor}\n w1 {op} {divisor}\n r0 ^= r1\n exit\n"),
                edges(divisor as u64),
            );
        }
    }
}

#[test]
fn what_is_compared_twice() {
    let tests =
        ["r1 < r2", "r1 >= r2", "w1 < w2", "r1 s< r2", "r1 & r2", "r1 == 5", "w1 != 5", "r3 != 0", "r3 == 1", "w3 & 1"];
    let between = ["r3 = 1", "w3 = 0", "r1 += 1", "r3 = -1", "r0 += 7"];
    let numbers = [0, 1, 4, 5, 6, u64::MAX, 1 << 32, 5 | 1 << 32, 1 << 63];
    let arguments: Vec<[u64; 5]> =
        numbers.iter().flat_map(|&one| numbers.iter().map(move |&two| [one, two, 0, 0, 0])).collect();
    for first in tests {
        for then in tests {
            for between in between {
                let text = format!(
                    "main:\n r0 = 1\n r3 = 0\n if {first} goto .a\n r0 += 2\n r3 = 1\n.a:\n {between}\n r0 <<= 2\n if {then} goto .b\n \
                     r0 += 8\n.b:\n r0 <<= 8\n if {first} goto .c\n r0 += r3\n.c:\n if {then} goto .d\n r0 ^= 64\n.d:\n exit\n"
                );
                agree_by(&["all", "none", "thread"], &text, arguments.iter().copied());
            }
        }
    }
}

#[test]
fn loops_that_ask_for_large_numbers_and_count_down_to_some() {
    let numbers = [3, 32, 33, 40, 1 << 32 | 35];
    for (wide, end) in [("r", 31), ("w", 31), ("r", 2), ("w", 2)] {
        let text = format!(
            "main:\n r0 = 0\n r4 = 0\n.loop:\n r3 = 0x123456789abcd ll\n r0 ^= r3\n r3 = 0x1234567890000 ll\n r0 += r3\n r0 *= 5\n \
             r4 += 1\n if r4 == 200 goto .end\n {wide}1 -= 1\n if {wide}1 != {end} goto .loop\n r0 ^= r4\n.end:\n r0 += r1\n exit\n"
        );
        agree(&text, numbers.map(|n| [n, 0, 0, 0, 0]));
    }
}
