//! Files that are cut, flipped or something else: each gets one error that says where and what, and none a panic.

use crate::common::{compile, kernel};
use alveary_object::{Options, read, read_with, resolve};
use alveary_spec::Kernel;

const SOURCE: &str = r#"
struct { __uint(type, 2); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); } numbers SEC(".maps");
__u64 total = 1;
noinline int add(int n) { total += n; return n; }
SEC("xdp") int entry(struct xdp_md *ctx) {
    __u32 key = 1;
    return add(!!bpf_map_lookup_elem(&numbers, &key));
}
char _license[] SEC("license") = "GPL";
"#;

/// Reads and, if that goes well, resolves.
fn exercise(bytes: &[u8], kernel: &Kernel) {
    if let Ok(spec) = read_with(bytes, &kernel.profile) {
        let _ = resolve(&spec, kernel, &Options::default());
    }
}

#[test]
fn a_cut_object_is_refused_wherever_it_is_cut() {
    let Some(object) = compile("a_cut_object_is_refused_wherever_it_is_cut", SOURCE, &["-g"]) else { return };
    for len in 0..object.len() {
        let error = read(&object[..len]).expect_err("a part of an object");
        assert!(error.expected.is_some() && error.found.is_some(), "{len}: {error}");
    }
    let error = read(&object[..object.len() - 1]).unwrap_err();
    assert_eq!(error.code.0, "elf-truncated");
    assert_eq!(error.help, ["the file was cut: copy or build it again"]);
}

#[test]
fn a_flipped_bit_never_panics() {
    let kernel = kernel();
    let test = "a_flipped_bit_never_panics";
    let Some(object) = compile(test, SOURCE, &["-g", "-gno-column-info"]) else { return };
    for bit in 0..object.len() * 8 {
        let mut bytes = object.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        exercise(&bytes, &kernel);
    }
}

/// An object that asks the kernel for much.
const ASKS: &str = r#"
struct thing { int a; struct { long b : 40; }; int row[2]; } __attribute__((preserve_access_index));
extern int CONFIG_HZ __attribute__((section(".kconfig")));
extern int function(struct thing *t) __attribute__((section(".ksyms"), weak));
SEC("xdp") int entry(struct thing *t) {
    int n = __builtin_preserve_type_info(*(struct thing *)0, 2) + __builtin_preserve_field_info(t->b, 4);
    return t->row[1] + n + CONFIG_HZ + function(t);
}
"#;

#[test]
fn damaged_types_never_panic_as_the_kernels_either() {
    let test = "damaged_types_never_panic_as_the_kernels_either";
    let Some(object) = compile(test, ASKS, &["-g", "-gno-column-info"]) else { return };
    for at in 0..object.len() {
        let mut bytes = object.clone();
        bytes[at] ^= 1 << (at % 8);
        let Ok(spec) = read(&bytes) else { continue };
        let kernel = Kernel { btf: spec.btf.clone(), symbols: Some(Default::default()), ..kernel() };
        let _ = resolve(&spec, &kernel, &Options::default());
    }
}

#[test]
fn a_byte_at_its_limit_never_panics() {
    let kernel = kernel();
    let test = "a_byte_at_its_limit_never_panics";
    for (source, options) in [(SOURCE, &["-g", "big"][..]), ("int f(void *c) { return 1; }", &[])] {
        let Some(object) = compile(test, source, options) else { return };
        for (at, value) in (0..object.len()).flat_map(|at| [(at, 0), (at, 0x7f), (at, 0xff)]) {
            let mut bytes = object.clone();
            bytes[at] = value;
            exercise(&bytes, &kernel);
        }
    }
}

#[test]
fn other_files_are_named() {
    let error = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert_eq!(
        error(b""),
        "offset 0x0: this is no ELF object (expected a file that begins with 7f 45 4c 46, found an empty file)"
    );
    assert!(error(b"int main(void) { return 0; }\n").ends_with("found text)"));
    assert!(error(b"\x9f\xeb\x01\x00").ends_with("found raw BTF: types without programs)"));
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let error = error(&own);
    assert!(
        error.starts_with("offset 0x12: this is no eBPF object (expected machine 247 (eBPF), found machine"),
        "{error}"
    );
}

#[test]
fn bad_maps_are_named_with_their_section_and_offset() {
    let test = "bad_maps_are_named_with_their_section_and_offset";
    let unknown = "struct { __uint(type, 2); } fine SEC(\".maps\"); struct { __uint(type, 999); } odd SEC(\".maps\");";
    let Some(object) = compile(test, unknown, &["-g"]) else { return };
    // It can be looked at, not loaded.
    let errors = resolve(&read(&object).unwrap(), &kernel(), &Options::default()).unwrap_err();
    assert_eq!(
        errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "section .maps, offset 0x8: map `odd` is of an unknown type (expected a map type of Linux 6.18 or before, found type 999)"
        ]
    );
    let none = "struct { __uint(type, 0); } odd SEC(\".maps\");";
    let error = read(&compile(test, none, &["-g"]).unwrap()).unwrap_err();
    assert!(error.to_string().starts_with("section .maps, offset 0x0: map `odd` has no type"), "{error}");
    let misspelt = "struct { __uint(type, 2); __uint(max_entrys, 4); } odd SEC(\".maps\");";
    let error = read(&compile(test, misspelt, &["-g"]).unwrap()).unwrap_err();
    assert!(error.message.contains("map `odd` has a member that no map has"), "{error}");
    assert_eq!(error.help, ["did you mean `max_entries`?"]);
    let error = read(&compile(test, misspelt, &[]).unwrap()).unwrap_err();
    assert_eq!(error.help, ["compile with -g"]);
    let legacy = "struct { __u32 a[4]; } odd SEC(\"maps\") = { 0, 4, 4, 1 };";
    let error = read(&compile(test, legacy, &[]).unwrap()).unwrap_err();
    assert!(error.to_string().starts_with("section maps, offset 0x0: map `odd` has no type"), "{error}");
}
