use crate::support::{allowed, compiled};
use alveary::{Linux, MapHandle};
use alveary_testing::BpfFs;

const SOURCE: &str = r#"
    struct { __uint(type, 2); __uint(max_entries, ENTRIES); __type(key, int); __type(value, int); __uint(pinning, 1); }
        kept SEC(".maps");
    SEC("xdp") int entry(struct xdp_md *ctx) {
        int key = 0, *value = bpf_map_lookup_elem(&kept, &key);
        return value ? *value : -1;
    }"#;

#[test]
fn a_map_that_is_pinned_by_name_is_found_again() {
    let test = "pinned_by_name";
    if !allowed(test) {
        return;
    }
    let Some(fs) = BpfFs::mount(test) else { return };
    let linux = || Linux::builder().pin_root(&fs.path).build();
    let Some(object) = compiled(test, &SOURCE.replace("ENTRIES", "4")) else { return };
    let first = object.load(linux()).expect("a program");
    first.map("kept").unwrap().update(&[0; 4], &5u32.to_ne_bytes(), 0).unwrap();
    drop(first);
    let second = object.load(linux()).expect("a program");
    assert_eq!(second.program("entry").unwrap().run(&[0; 64]).unwrap().value, 5);

    let Some(other) = compiled(test, &SOURCE.replace("ENTRIES", "9")) else { return };
    let refused = other.load(linux()).expect_err("another size");
    let why = refused.diagnostic();
    assert!(why.message.contains("another map than `kept` in number of entries"), "{why}");
    assert_eq!((why.expected.as_deref(), why.found.as_deref()), (Some("9"), Some("4")));
}

/// The verifier refuses a program of the object: its maps are not pinned either.
#[test]
fn a_load_that_fails_pins_nothing() {
    let test = "fails_pins_nothing";
    if !allowed(test) {
        return;
    }
    let Some(fs) = BpfFs::mount(test) else { return };
    let source = SOURCE.replace("type, 2", "type, 1").replace("ENTRIES", "4").replace("value ? *value : -1", "*value");
    let Some(object) = compiled(test, &source) else { return };
    object.load(Linux::builder().pin_root(&fs.path).build()).expect_err("a pointer that may be NULL");
    assert!(!fs.path.join("kept").exists());
}
