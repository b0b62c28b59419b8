//! Functions of a program that others replace and trace. This takes a kernel with BPF trampolines (`cargo xtask vm`).

use crate::support::allowed;
use alveary::{Error, Kind, Linux, Loaded, Loader, MapHandle, Object, Target};
use std::os::fd::{AsFd, OwnedFd};

fn object() -> Object {
    Object::parse(include_bytes!("replace.bpf.o")).expect("an object")
}

/// The XDP program, and another descriptor of it.
fn target() -> (Loaded<Linux>, OwnedFd) {
    let loaded = Loader::new(Target::linux()).program("decide").load(&object()).expect("XDP is loaded everywhere");
    let program = loaded.program("decide").expect("it is there").handle().clone();
    let fd = program.as_fd().try_clone_to_owned().expect("a descriptor");
    (loaded, fd)
}

fn value(loaded: &Loaded<Linux>) -> u32 {
    loaded.program("decide").expect("it is there").run(&[0; 64]).expect("it runs").value
}

/// Loads one program for a function of another.
fn load(program: &str, target: OwnedFd, function: Option<&str>) -> Result<Loaded<Linux>, Error> {
    let linux = Linux::builder().target_program(program, target, function).build();
    Loader::new(linux).program(program).load(&object())
}

/// What was loaded; `None`, and a line about it, where the kernel refuses such programs.
fn taken(test: &str, loaded: Result<Loaded<Linux>, Error>) -> Option<Loaded<Linux>> {
    match loaded {
        Err(why) if why.kind() == Kind::Privilege => {
            eprintln!("SKIP {test}: this kernel takes no programs for functions of others");
            None
        }
        loaded => Some(loaded.expect("it loads")),
    }
}

#[test]
fn a_function_is_replaced_as_long_as_the_link_lives() {
    let test = "a_function_is_replaced_as_long_as_the_link_lives";
    if !allowed(test) {
        return;
    }
    let (target, fd) = target();
    assert_eq!(value(&target), 1);
    let Some(loaded) = taken(test, load("heavier", fd, None)) else { return };
    assert_eq!(value(&target), 1, "it is not attached yet");
    let link = loaded.attach("heavier").expect("it attaches");
    assert_eq!(value(&target), 2);
    drop(link);
    assert_eq!(value(&target), 1);
}

#[test]
fn functions_of_programs_are_traced() {
    let test = "functions_of_programs_are_traced";
    if !allowed(test) {
        return;
    }
    // The section of `watch` names the function, that of `enter` none: then it is the program's first, or the one that is
    // said.
    for (program, function, expected) in [("watch", None, 1), ("enter", None, 100), ("enter", Some("weight"), 100)] {
        let (target, fd) = target();
        let Some(loaded) = taken(test, load(program, fd, function)) else { return };
        let seen = || {
            let bytes = loaded.map(".bss").expect("variables").lookup(&[0; 4]).expect("a map").expect("an element");
            u64::from_ne_bytes(bytes[..8].try_into().expect("eight bytes"))
        };
        let link = loaded.attach(program).expect("it attaches");
        assert_eq!((value(&target), seen()), (1, expected), "{program}");
        drop(link);
        assert_eq!((value(&target), seen()), (1, expected), "{program}: detached");
    }
}

#[test]
fn what_is_replaced_has_to_be_there() {
    if !allowed("what_is_replaced_has_to_be_there") {
        return;
    }
    let (_target, fd) = target();
    let why = load("heavier", fd, Some("wieght")).expect_err("a wrong name").to_string();
    assert!(why.contains("program `decide` has no function `wieght` (expected one of decide, weight"), "{why}");
    let why = Loader::new(Target::linux()).program("heavier").load(&object()).expect_err("no program").to_string();
    assert!(why.contains("replaces a function of another program, which is not named"), "{why}");
}
