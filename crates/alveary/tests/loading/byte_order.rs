//! Objects for machines of the other byte order: their instructions run, they are not loaded.

use alveary::{Kind, Object, Target};
use alveary_isa::Endian;
use alveary_object::{Options, resolve};
use alveary_spec::Program;
use alveary_testing::{compile, kernel};
use alveary_vm::{Code, Env, Exit, Func, HelperFn, Image, Link};
use std::sync::Arc;

/// Arithmetic in registers and on the stack, without a look at single bytes of a number.
const PLAIN: &str = r#"
static noinline __u64 collatz(__u64 n) {
    __u64 steps = 0;
    while (n > 1 && steps < 1000) { n = n & 1 ? 3 * n + 1 : n >> 1; steps++; }
    return steps;
}
SEC("xdp") __u64 mix(__u64 a, __u64 b) {
    volatile __u64 kept[4] = { a, b, a ^ b, 0x123456789abcdef0 };
    volatile __u32 half = (__u32)(a * 31);
    volatile short small = (short)(b * 7);
    for (int i = 0; i < 8; i++)
        kept[i & 3] += (kept[(i + 1) & 3] << 7) ^ (kept[(i + 2) & 3] >> 13);
    return kept[0] / (b | 1) + kept[1] % 1000003 + (long long)small * half + collatz(kept[2] & 0xffff) - kept[3];
}
"#;

/// Byte swaps: with `-mcpu=v4` instructions of their own, whatever the machine.
const SWAPS: &str = r#"
SEC("xdp") __u64 mix(__u64 a, __u64 b) {
    return __builtin_bswap64(a) ^ __builtin_bswap32((__u32)b) * 3ULL ^ __builtin_bswap16((__u16)(a + b));
}
"#;

/// The one program of a source, compiled for a machine.
fn program(test: &str, source: &str, target: &str, endian: Endian) -> Option<Arc<Program>> {
    let object = compile(test, source, target, &["-mcpu=v4", "-g"])?;
    let spec = alveary_object::read(&object).unwrap();
    assert_eq!(spec.endian, endian);
    let resolved = resolve(&spec, &kernel(1), &Options::default()).unwrap();
    assert_eq!((resolved.endian, resolved.programs.len()), (endian, 1));
    Some(resolved.programs[0].clone())
}

/// Nothing to link: no maps, no helpers.
struct Nothing;

// SAFETY: it gives no addresses.
unsafe impl Link for Nothing {
    fn map(&self, _: u16) -> u64 {
        unreachable!("the programs have no maps")
    }
    fn map_value(&self, _: u16, _: u32) -> u64 {
        unreachable!("the programs have no maps")
    }
    fn memory(&self, _: u16, _: u64) -> u64 {
        unreachable!("the programs have no maps")
    }
    fn helper(&self, _: u16) -> HelperFn {
        unreachable!("the programs call no helpers")
    }
}

fn run(program: &Program, [a, b]: [u64; 2]) -> u64 {
    let funcs = program.subprogs.iter().map(|(start, _)| Func { start: *start, stack: 512 }).collect();
    let code = Code { insns: program.insns.clone(), funcs, ..Code::default() };
    let image = Image::checked(&code, &Nothing).unwrap();
    match image.run(&Env::new(), 0, [a, b, 0, 0, 0], None) {
        Ok(Exit::Return(value)) => value,
        end => panic!("{end:?}"),
    }
}

fn same_on_both(test: &str, source: &str) {
    let Some(little) = program(test, source, "bpfel", Endian::Little) else { return };
    let Some(big) = program(test, source, "bpfeb", Endian::Big) else { return };
    let inputs = [[0, 0], [1, 2], [u64::MAX, 3], [0x0102_0304_0506_0708, 0x1122_3344_5566_7788], [1 << 63, u64::MAX]];
    let results = inputs.map(|input| run(&little, input));
    assert_eq!(results, inputs.map(|input| run(&big, input)));
    assert!(results.iter().any(|r| *r != results[0]), "the inputs make a difference: {results:x?}");
}

#[test]
fn instructions_of_a_big_endian_object_run() {
    same_on_both("instructions_of_a_big_endian_object_run", PLAIN);
}

#[test]
fn byte_swaps_of_a_big_endian_object_run() {
    same_on_both("byte_swaps_of_a_big_endian_object_run", SWAPS);
}

#[test]
fn an_object_of_the_other_byte_order_is_not_loaded() {
    let (other, ours) = match Endian::HOST {
        Endian::Little => ("bpfeb", "bpfel"),
        Endian::Big => ("bpfel", "bpfeb"),
    };
    let Some(object) = compile("an_object_of_the_other_byte_order_is_not_loaded", SWAPS, other, &["-mcpu=v4"]) else {
        return;
    };
    let why = Object::parse(&object).unwrap().load(Target::user()).unwrap_err();
    assert_eq!((why.kind(), why.diagnostic().code.0), (Kind::Unsupported, "byte-order"));
    assert!(why.diagnostic().help[0].contains(ours), "{why:?}");
}
