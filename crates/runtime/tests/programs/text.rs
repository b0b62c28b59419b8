//! Printing and parsing text.

use crate::harness::{map_spec, run, runtime};
use alveary_abi::MapType;
use alveary_runtime::LoadedMap;
use alveary_spec::Initial;
use std::slice::from_ref;

/// Instructions that put text on the stack at r10 - `at`.
fn on_stack(text: &[u8], at: usize) -> String {
    let mut bytes = text.to_vec();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let word = |(i, w): (usize, &[u8; 8])| {
        format!("r1 = {} ll\n*(u64 *)(r10 - {}) = r1\n", u64::from_le_bytes(*w), at - i * 8)
    };
    bytes.as_chunks::<8>().0.iter().enumerate().map(word).collect()
}

fn printed(format: &str, args: [u64; 3]) -> (i64, Vec<String>) {
    let runtime = runtime();
    let size = format.len() + 1;
    let [a, b, c] = args;
    let text = format!(
        "{}r1 = r10\nr1 += -64\nr2 = {size}\nr3 = {a} ll\nr4 = {b} ll\nr5 = {c} ll\ncall bpf_trace_printk\nexit\n",
        on_stack(format.as_bytes(), 64)
    );
    let r0 = run(&runtime, &text, &[]) as i64;
    let (lines, lost) = runtime.trace().drain();
    assert_eq!(lost, 0);
    (r0, lines.iter().map(|l| String::from_utf8_lossy(&l.text).into_owned()).collect())
}

#[test]
fn trace_printk_prints_as_the_kernel_does() {
    for (format, args, expected) in [
        ("plain", [0; 3], "plain"),
        ("%d %u %x", [u64::MAX, u64::MAX, 255], "-1 4294967295 ff"),
        ("%ld %lu %llx", [u64::MAX, u64::MAX, 0xabc_0000_0000], "-1 18446744073709551615 abc00000000"),
        ("%i %X 100%%", [7, 0xbeef, 0], "7 BEEF 100%"),
        ("[%5d] [%-5d] [%05d]", [42, 42, 42], "[   42] [42   ] [00042]"),
        ("%c%c%c", [0x61, 0x62, 0x63], "abc"),
        ("%px", [0x1234, 0, 0], "0000000000001234"),
        ("%pI4", [0, 0, 0], "0.0.0.0"),
        ("%s", [0, 0, 0], ""),
    ] {
        let (r0, lines) = printed(format, args);
        assert_eq!(lines, [expected], "{format}");
        assert_eq!(r0, expected.len() as i64, "{format}");
    }
}

#[test]
fn a_bad_format_prints_nothing() {
    for format in ["%", "%f", "%d %d %d %d", "%pZ", "%hd", "a\u{1}b", "%sx", "%llp"] {
        assert_eq!(printed(format, [0; 3]), (-22, vec![]), "{format:?}");
    }
}

#[test]
fn strings_and_addresses_are_read_from_the_programs_memory() {
    let runtime = runtime();
    let text = format!(
        "{}{}{}r1 = r10\nr1 += -64\nr2 = 16\nr3 = r10\nr3 += -32\nr4 = r10\nr4 += -16\nr5 = 0\n\
         call bpf_trace_printk\nexit\n",
        on_stack(b"%s is at %pI4\0", 64),
        on_stack(b"host\0", 32),
        on_stack(&[192, 0, 2, 33], 16)
    );
    run(&runtime, &text, &[]);
    let line = &runtime.trace().drain().0[0];
    assert_eq!(line.text, b"host is at 192.0.2.33");
    assert_eq!(
        line.to_string(),
        "         alveary-1       [000] ..s2.     0.000000: bpf_trace_printk: host is at 192.0.2.33"
    );
}

#[test]
fn lines_that_do_not_fit_are_counted() {
    use crate::harness::{Bench, kernel, load, run_prog};
    let runtime = alveary_runtime::Runtime::builder(kernel(), alveary_runtime::World::repeatable())
        .family::<Bench>(std::sync::Arc::new(()))
        .trace_lines(2)
        .build();
    let text = format!("{}r1 = r10\nr1 += -8\nr2 = 2\ncall bpf_trace_printk\nexit\n", on_stack(b"x", 8));
    let prog = load(&runtime, &text, &[]);
    for _ in 0..5 {
        run_prog(&runtime, &prog).expect("no trap");
    }
    let (lines, lost) = runtime.trace().drain();
    assert_eq!((lines.len(), lost), (2, 3));
    assert_eq!(runtime.trace().drain(), (vec![], 0));
}

fn parsed(helper: &str, text: &str, base: u32) -> (i64, u64) {
    let runtime = runtime();
    let call = format!(
        "{}*(u64 *)(r10 - 72) = 99\nr1 = r10\nr1 += -64\nr2 = {}\nr3 = {base}\nr4 = r10\nr4 += -72\ncall {helper}\n",
        on_stack(text.as_bytes(), 64),
        text.len()
    );
    let r0 = run(&runtime, &format!("{call}exit\n"), &[]) as i64;
    (r0, run(&runtime, &format!("{call}r0 = *(u64 *)(r10 - 72)\nexit\n"), &[]))
}

#[test]
fn strtol_and_strtoul() {
    for (text, base, r0, value) in [
        ("42", 0, 2, 42),
        ("  -42 rest", 10, 5, -42),
        ("0x1f", 0, 4, 31),
        ("0X1F", 16, 4, 31),
        ("017", 0, 3, 15),
        ("-9223372036854775808", 0, 20, i64::MIN),
        ("9223372036854775808", 0, -34, 0),
        ("", 0, -22, 0),
        ("x", 0, -22, 0),
        ("5", 7, -22, 0),
    ] {
        if !text.is_empty() {
            assert_eq!(parsed("bpf_strtol", text, base), (r0, value as u64), "{text:?}");
        }
    }
    assert_eq!(parsed("bpf_strtoul", "18446744073709551615", 0), (20, u64::MAX));
    assert_eq!(parsed("bpf_strtoul", "18446744073709551616", 0), (-34, 0));
    assert_eq!(parsed("bpf_strtoul", "-1", 0), (-22, 0));
}

fn constant(runtime: &alveary_runtime::Runtime, text: &[u8]) -> LoadedMap {
    let mut spec = map_spec(".rodata", MapType::ARRAY, 4, text.len() as u32, 1);
    spec.def.flags = 1 << 7;
    spec.initial = Initial::Bytes(text.to_vec());
    spec.freeze = true;
    runtime.create_map(&spec).expect("a map")
}

#[test]
fn snprintf_cuts_and_says_how_long_it_would_be() {
    let runtime = runtime();
    let format = constant(&runtime, b"%d-%s\0");
    let call = |size: u32, args: u32| {
        format!(
            "{}*(u64 *)(r10 - 32) = 7\nr1 = r10\nr1 += -16\n*(u64 *)(r10 - 24) = r1\n*(u64 *)(r10 - 8) = -1\n\
             r1 = r10\nr1 += -8\nr2 = {size}\nr3 = v0 ll\nr4 = r10\nr4 += -32\nr5 = {args}\ncall bpf_snprintf\n",
            on_stack(b"abc\0", 16)
        )
    };
    assert_eq!(run(&runtime, &format!("{}exit\n", call(8, 16)), from_ref(&format)), 6);
    let out = |size| run(&runtime, &format!("{}r0 = *(u64 *)(r10 - 8)\nexit\n", call(size, 16)), from_ref(&format));
    assert_eq!(out(8).to_le_bytes(), *b"7-abc\0\xff\xff");
    assert_eq!(out(4).to_le_bytes(), *b"7-a\0\xff\xff\xff\xff");
    assert_eq!(run(&runtime, &format!("{}exit\n", call(8, 8)), &[format]) as i64, -22, "too few arguments");
}

#[test]
fn strncmp_against_a_constant() {
    let runtime = runtime();
    let constant = constant(&runtime, b"eth0\0");
    for (text, size, expected) in
        [("eth0", 8, 0), ("eth1", 8, 1), ("eth1", 3, 0), ("ets", 8, 1), ("a", 8, -1), ("eth", 8, -1)]
    {
        let text = format!(
            "{}r1 = r10\nr1 += -8\nr2 = {size}\nr3 = v0 ll\ncall bpf_strncmp\nexit\n",
            on_stack(&[text.as_bytes(), b"\0"].concat(), 8)
        );
        assert_eq!((run(&runtime, &text, from_ref(&constant)) as i32).signum(), expected, "{text}");
    }
}
