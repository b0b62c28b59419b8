//! What an error says to whoever prints it.

use alveary::{Object, Target};

#[test]
fn a_main_that_returns_an_error_prints_what_helps() {
    let error = Object::parse(b"int main(void) { return 0; }\n").unwrap_err();
    let line = "offset 0x0: this is no ELF object (expected a file that begins with 7f 45 4c 46, found text)";
    assert_eq!(error.to_string(), line);
    assert_eq!(format!("{error:?}"), format!("{line}\n  help: compile the source with `clang -O2 -g -target bpf -c`"));
    assert!(format!("{error:#?}").starts_with("Error {\n    kind: Object,"), "{error:#?}");
}

#[test]
fn all_that_lacks_is_printed_and_what_helps_with_all_of_it_once() {
    let test = "all_that_lacks_is_printed_and_what_helps_with_all_of_it_once";
    let source = r#"
        extern int CONFIG_HZ __attribute__((section(".kconfig")));
        extern int CONFIG_NR_CPUS __attribute__((section(".kconfig")));
        SEC("xdp") int f(void *context) { return CONFIG_HZ + CONFIG_NR_CPUS; }
    "#;
    let Some(bytes) = alveary_testing::compile(test, source, "bpfel", &["-g"]) else { return };
    let error = Object::parse(&bytes).unwrap().load(Target::user()).unwrap_err();
    let printed = format!("{error:?}");
    let lines: Vec<_> = printed.lines().collect();
    let [one, other, help] = lines[..] else { panic!("{printed}") };
    assert!(one.contains("the program needs `CONFIG_") && other.contains("the program needs `CONFIG_"), "{printed}");
    assert!(
        help.starts_with("  help: give the configuration: `--kconfig FILE`, in Rust `User::builder()."),
        "{printed}"
    );
}
