//! Every pass, alone and with all others: native code does what the interpreter does, at the edges of what passes look
//! at.
#![cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux"))]

mod support;

use alveary_isa::asm::assemble;
use alveary_vm::{Code, Env, Exit, Func, Image, Jit, Pass, Passes};
use std::sync::{Arc, OnceLock};
use support::Owner;

/// Compilers with all passes, with none, and with each alone.
fn compilers() -> &'static [(String, Arc<Jit>)] {
    static ALL: OnceLock<Vec<(String, Arc<Jit>)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let alone = Pass::all().map(|pass| (pass.name().to_owned(), Passes::NONE.with(pass)));
        let sets = [("all".to_owned(), Passes::ALL), ("none".to_owned(), Passes::NONE)].into_iter().chain(alone);
        sets.map(|(name, passes)| (name, Jit::with_passes(1 << 30, passes).expect("there is one for this machine")))
            .collect()
    })
}

/// Holds a program against the interpreter for each of some arguments. Functions begin at labels without a dot.
fn agree(text: &str, arguments: impl IntoIterator<Item = [u64; 5]>) {
    let (assembly, errors) = assemble(text, &|_| None);
    assert!(errors.is_empty(), "{errors:?}");
    let labels = assembly.sections[0].labels.iter().filter(|label| !label.name.starts_with('.'));
    let mut funcs: Vec<Func> = labels.map(|label| Func { start: label.slot, stack: 512 }).collect();
    funcs.sort_unstable_by_key(|func| func.start);
    let insns = assembly.into_raw().expect("no references").to_vec();
    let (code, owner, env) = (Code { insns, funcs, ..Code::default() }, Owner(vec![]), Env::new());
    // SAFETY: the tests' programs read the bytes that they are given.
    let interpreted = unsafe { Image::trusted(&code, &owner) }.expect("well-formed");
    let native: Vec<(&String, Image)> = compilers()
        .iter()
        // SAFETY: as above.
        .map(|(name, jit)| (name, unsafe { Image::native(&code, &owner, jit) }.expect("well-formed")))
        .collect();
    for args in arguments {
        let run = |image: &Image| match image.run(&env, 0, args, None) {
            Ok(Exit::Return(value)) => value,
            other => panic!("{other:?}"),
        };
        let expected = run(&interpreted);
        for (name, image) in &native {
            assert_eq!(run(image), expected, "passes: {name}, arguments {args:x?}\n{text}");
        }
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
    let tree = |reg: &str, first: &str| {
        format!(
            "main:\n {first}\n if {reg} s> 3 goto .upper\n if {reg} s> 1 goto .two\n if {reg} == 0 goto .a\n r0 = 1\n exit\n\
             .two:\n if {reg} == 2 goto .b\n r0 = 3\n exit\n.upper:\n if {reg} s> 5 goto .six\n if {reg} == 4 goto .c\n \
             r0 = 5\n exit\n.six:\n if {reg} == 6 goto .a\n r0 = 7\n exit\n.a:\n r0 = 10\n exit\n.b:\n r0 = 12\n exit\n\
             .c:\n r0 = 14\n exit\n"
        )
    };
    let list = |reg: &str| {
        let cases = (1..8).map(|n| format!(" if {reg} == {n} goto .{}\n", ["a", "b", "c"][n % 3]));
        let ends = [("a", 1), ("b", 2), ("c", 3)].map(|(name, value)| format!(".{name}:\n r0 = {value}\n exit\n"));
        format!("main:\n{} r0 = 0\n exit\n{}", cases.collect::<String>(), ends.concat())
    };
    let values = || (0..20).chain([u64::MAX, 1 << 63, 1 << 32, (1 << 32) + 3, u64::MAX << 32 | 4, 255, 256, 263]);
    for reg in ["r1", "w1"] {
        for first in ["w1 &= 7", "r1 &= 15", "r2 = 0"] {
            agree(&tree(reg, first), values().map(|value| [value, 0, 0, 0, 0]));
        }
        agree(&list(reg), values().map(|value| [value, 0, 0, 0, 0]));
    }
    // A machine whose next state each case computes: ways back to the jump.
    let machine = "main:\n r0 = 0\n r3 = 0\n.next:\n r2 = r1\n r2 &= 7\n r1 >>= 1\n r3 += 1\n if r3 == 60 goto .end\n \
                   if r2 == 0 goto .a\n if r2 == 1 goto .b\n if r2 == 2 goto .c\n if r2 == 3 goto .a\n if r2 == 4 goto .d\n \
                   if r2 == 5 goto .e\n r0 += 77\n goto .next\n.a:\n r0 += 3\n goto .next\n.b:\n r0 *= 5\n goto .next\n.c:\n \
                   r0 ^= 99\n goto .next\n.d:\n r0 <<= 1\n goto .next\n.e:\n r0 -= r3\n goto .next\n.end:\n exit\n";
    let mut state = 1_u64;
    let random = (0..50).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        [state, 0, 0, 0, 0]
    });
    agree(machine, random);
}

#[test]
fn small_functions_called_in_a_loop() {
    let text = "main:\n r6 = r1\n r7 = 0\n.loop:\n r1 = r6\n r2 = r7\n call mix\n r6 = r0\n r7 += 1\n if r7 != 20 goto .loop\n \
                r0 = r6\n exit\nmix:\n r6 = r1\n r6 *= 31\n r7 = *(u64 *)(r10 - 8)\n r6 += r7\n *(u64 *)(r10 - 8) = r2\n \
                if r2 == 3 goto .out\n r6 ^= r2\n.out:\n r0 = r6\n exit\n";
    agree(text, (0..5).map(|n| [n, 0, 0, 0, 0]));
}
