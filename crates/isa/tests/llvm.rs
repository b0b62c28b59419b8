//! Our disassembly against `llvm-objdump-19 -d`, on C compiled here for every CPU version and byte order, and on the
//! objects of Debian's libxdp1; and those instructions through text and back. Skipped by name where a tool is missing.

use alveary_isa::asm::assemble;
use alveary_isa::disasm::{Notation, Style};
use alveary_isa::{Endian, Insn, decode};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Gives llvm's text as ours has it, where the row applies.
type Rewrite = fn(&str) -> Option<&str>;

/// Where we differ from llvm-objdump 19 on purpose: what to rewrite in its text, and why. Nothing else may differ.
const DIFFERENCES: [(Rewrite, &str); 1] =
    [(without_symbol, "llvm appends <symbol+offset> to targets: names are the caller's to give")];

fn without_symbol(llvm: &str) -> Option<&str> {
    Some(llvm.strip_suffix('>')?.rsplit_once(" <")?.0)
}

/// A section: its slots, and llvm's text by slot.
type Listing = (Vec<Insn>, Vec<(usize, String)>);

const SOURCE: &str = r#"
typedef unsigned long long u64; typedef long long s64; typedef unsigned int u32; typedef int s32;
typedef unsigned short u16; typedef short s16; typedef unsigned char u8; typedef signed char s8;
static u64 (*helper)(void) = (void *)5;
u64 load_half(void *, u64) asm("llvm.bpf.load.half");
int table[16]; u64 total;
__attribute__((noinline)) static u64 mix(u64 a, u64 b) { return (a * 31 + b) ^ (a >> 7); }
__attribute__((noinline)) u64 narrow(u32 a, u32 b) { return a * b / (b | 3) % 11 + (a >> (b & 31)); }
__attribute__((section("socket"), used)) u64 program(u64 *c) {
    u8 *b = (u8 *)c; u16 *h = (u16 *)c; u32 *w = (u32 *)c; u64 sum = 0;
    sum += b[1] + h[3] + w[5] + c[7];
    sum -= *(volatile s8 *)(b + 9); sum ^= *(volatile s16 *)(h + 11); sum |= *(volatile s32 *)(w + 13);
    sum &= ~(u64)w[3]; sum <<= b[4] & 63; sum = (u64)((s64)sum >> (b[5] & 63)); sum >>= 3;
    sum = sum / (c[8] | 1) % (w[9] | 1); sum += (u64)((s32)w[1] > -7) + ((s64)c[2] < (s64)c[3]);
    sum += __builtin_bswap16(h[1]) + __builtin_bswap32(w[1]) + __builtin_bswap64(c[1]);
    if ((s32)w[8] >= (s32)w[9]) sum += mix(sum, c[4]);
    if (w[8] & 0x10) sum += narrow(w[0], w[1]);
    if (sum > 0xfedcba9876543210ULL) sum -= 0x123456789abcdefULL;
    for (u32 i = 0; i < w[20]; i++) { sum += helper() * table[i & 15]; total += i; }
    b[1] = sum; h[2] = sum; w[3] = sum; c[4] = sum;
    *(volatile u8 *)(b + 99) = 1; *(volatile u16 *)(h + 70) = 2; *(volatile u32 *)(w + 40) = -3; *(volatile u64 *)(c + 30) = -4;
    __sync_fetch_and_add(&total, sum); __sync_fetch_and_add(&table[3], 1);
    sum += load_half(c, 12);
    return -sum;
}
"#;

/// What v3 brought: atomics that return.
const ATOMICS: &str = r#"
typedef unsigned long long u64; typedef unsigned int u32;
u64 fetches(u64 *p, u32 *q, u64 v) {
    v += __sync_fetch_and_add(p, v); v ^= __sync_fetch_and_or(p + 1, v); v -= __sync_fetch_and_and(p + 2, v);
    v += __sync_fetch_and_xor(p - 3, v); v += __sync_lock_test_and_set(p, v); v += __sync_val_compare_and_swap(p, v, 7);
    v += __sync_fetch_and_add(q, v); v ^= __sync_fetch_and_or(q + 1, v); v -= __sync_fetch_and_and(q + 2, v);
    v += __sync_fetch_and_xor(q - 3, v); v += __sync_lock_test_and_set(q, v); v += __sync_val_compare_and_swap(q, (u32)v, 7);
    __sync_fetch_and_or(p, 5); __sync_fetch_and_and(q, 6); __sync_fetch_and_xor(p, 9);
    return v;
}
"#;

fn installed(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok();
    if !found {
        eprintln!("SKIP {tool} is not installed");
    }
    found
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("the tool starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The listing of each section of an object.
fn listing(object: &Path, endian: Endian) -> Vec<Listing> {
    let text = run(Command::new("llvm-objdump-19").args(["-d", "--mcpu=v4"]).arg(object));
    let mut sections = Vec::new();
    for line in text.lines() {
        if line.starts_with("Disassembly of section") {
            sections.push((Vec::new(), Vec::new()));
        }
        let [slot, bytes, insn] = line.split('\t').collect::<Vec<_>>()[..] else { continue };
        let slot = slot.trim().trim_end_matches(':').parse::<usize>();
        let (Ok(slot), Some((slots, lines))) = (slot, sections.last_mut()) else { continue };
        let bytes: Vec<u8> = bytes.split_whitespace().map(|b| u8::from_str_radix(b, 16).expect("a byte")).collect();
        assert_eq!(slot, slots.len());
        slots.extend(bytes.chunks(8).map(|b| Insn::from_bytes(b.try_into().expect("8 bytes"), endian)));
        lines.push((slot, insn.trim().to_owned()));
    }
    sections
}

/// Compares one object; gives the number of instructions.
fn compare(object: &Path, endian: Endian) -> usize {
    let mut count = 0;
    for (slots, lines) in listing(object, endian) {
        let mut text = String::new();
        for (at, llvm) in lines {
            let inst = decode(&slots, at).unwrap_or_else(|error| panic!("{}: {error}: {llvm}", object.display()));
            let expected = DIFFERENCES.iter().fold(llvm.as_str(), |text, row| (row.0)(text).unwrap_or(text));
            let ours = Notation { style: Style::Llvm, names: &() }.text(at, inst).to_string();
            assert_eq!(ours, expected, "{} slot {at}", object.display());
            text.push_str(&format!("{inst}\n"));
            count += 1;
        }
        let (assembly, errors) = assemble(&text, &|_| None);
        assert_eq!(errors, []);
        assert_eq!(assembly.into_raw().expect("no symbols"), slots, "{}", object.display());
    }
    count
}

#[test]
fn compiled_objects_read_as_llvm_reads_them() {
    if !installed("clang-19") || !installed("llvm-objdump-19") {
        return;
    }
    let dir = std::env::temp_dir().join(format!("alveary-isa-llvm-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory for objects");
    let mut count = 0;
    for (name, source, cpus) in
        [("program", SOURCE, &["v1", "v2", "v3", "v4"][..]), ("atomics", ATOMICS, &["v3", "v4"][..])]
    {
        let path = dir.join(format!("{name}.c"));
        std::fs::write(&path, source).expect("a source file");
        for cpu in cpus {
            for (target, endian) in [("bpfel", Endian::Little), ("bpfeb", Endian::Big)] {
                let object = dir.join(format!("{name}-{target}-{cpu}.o"));
                run(Command::new("clang-19").args(["-O2", "-target", target, &format!("-mcpu={cpu}"), "-c"]).args([
                    &path,
                    Path::new("-o"),
                    &object,
                ]));
                count += compare(&object, endian);
            }
        }
    }
    std::fs::remove_dir_all(&dir).expect("the directory goes away");
    assert!(count > 1000, "only {count} instructions compared");
}

#[test]
fn objects_of_libxdp1_read_as_llvm_reads_them() {
    let list = Command::new("dpkg").args(["-L", "libxdp1"]).output();
    let list = list.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let objects: Vec<PathBuf> = list.lines().filter(|line| line.ends_with(".o")).map(PathBuf::from).collect();
    if objects.is_empty() {
        eprintln!("SKIP libxdp1 is not installed");
        return;
    }
    if installed("llvm-objdump-19") {
        let count: usize = objects.iter().map(|object| compare(object, Endian::Little)).sum();
        assert!(count > 1000, "only {count} instructions compared");
    }
}
