//! Skeletons in Rust: what `alveary gen skeleton --lang rust` makes of three objects stands here, is compiled with this test
//! and used. `UPDATE=1` makes the modules anew.

use alveary::{Kind, Object, Target, User, skeleton::Skeleton, skeleton::plain::Plain, spec::Initial};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Of the README's example.
// Nobody uses all of a skeleton: it has to take care itself that no warning says so.
#[deny(dead_code)]
#[allow(unreachable_pub, reason = "a test uses a part of it")]
mod count {
    include!("count.rs");
}

// Nobody uses all of a skeleton: it has to take care itself that no warning says so.
#[deny(dead_code)]
#[allow(unreachable_pub, reason = "a test uses a part of it")]
mod globals {
    include!("globals.rs");
}

/// An object with a kernel interface.
// Nobody uses all of a skeleton: it has to take care itself that no warning says so.
#[deny(dead_code)]
#[allow(unreachable_pub, reason = "a test uses a part of it")]
mod control {
    include!("control.rs");
}

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[track_caller]
fn is_current(object: &str, name: &str) {
    let module = file(&format!("tests/skeleton/{name}.rs"));
    let bytes = fs::read(file(object)).unwrap();
    let object = Object::parse(&bytes).unwrap();
    let text = Skeleton::new(object.spec(), &bytes, name).rust().unwrap();
    if env::var_os("UPDATE").is_some_and(|v| v == "1") {
        fs::write(&module, &text).unwrap();
    }
    assert!(fs::read_to_string(&module).unwrap() == text, "{} is not current (UPDATE=1 renews it)", module.display());
}

#[test]
fn the_modules_are_what_is_made_of_their_objects() {
    is_current("../../examples/count.bpf.o", "count");
    is_current("tests/skeleton/globals.bpf.o", "globals");
    is_current("tests/skeleton/control.bpf.o", "control");
}

#[test]
fn rustfmt_leaves_them_as_they_are() {
    if !Command::new("rustfmt").arg("--version").stdout(Stdio::null()).status().is_ok_and(|s| s.success()) {
        println!("SKIP rustfmt_leaves_them_as_they_are: rustfmt is missing");
        return;
    }
    for name in ["control", "count", "globals"] {
        let module = file(&format!("tests/skeleton/{name}.rs"));
        let options = ["--edition", "2024", "--config-path", "/dev/null", "--check"];
        let checked = Command::new("rustfmt").args(options).arg(module).output().unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    }
}

#[test]
fn the_readmes_example_counts_by_name_and_type() -> alveary::Result<()> {
    let mut open = count::Open::new()?;
    open.maps.services.def.max_entries = 2;
    let count = open.load(User::builder().cpus(2).build())?;
    // UDP from port 1000 to port 53, over IPv4.
    let mut packet = [0; 64];
    packet[12..15].copy_from_slice(&[8, 0, 0x45]);
    packet[17] = 50;
    packet[23] = 17;
    packet[34..38].copy_from_slice(&[3, 232, 0, 53]);
    packet[39] = 30;
    assert_eq!(count.progs().count()?.run(&packet)?.value, 2);
    let entries = count.maps.services.entries()?;
    assert_eq!(entries.len(), 1);
    let (service, traffic) = &entries[0];
    assert_eq!((service.protocol, service.port), (17, 53));
    assert_eq!(traffic.iter().map(|t| (t.packets, t.bytes)).collect::<Vec<_>>(), [(1, 64), (0, 0)]);
    assert_eq!(count.maps.services.lookup(service)?.as_ref(), Some(traffic));
    assert!(count.maps.services.delete(service)?);
    assert_eq!(count.maps.services.lookup(service)?, None);
    // As many as the size that was set before.
    let key = |port| count::types::service { port, ..count::types::service::zeroed() };
    count.maps.services.update(&key(1), traffic, 0)?;
    count.maps.services.update(&key(2), &[], 0)?;
    assert_eq!(count.maps.services.update(&key(3), traffic, 0).unwrap_err().kind(), Kind::Map);
    assert_eq!(count.maps.services.lookup(&key(2))?.unwrap()[0].packets, 0);
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn the_running_kernel_attaches_what_sections_say() -> alveary::Result<()> {
    if !alveary_testing::bpf::permitted("the_running_kernel_attaches_what_sections_say") {
        return Ok(());
    }
    let count = count::Open::new()?.load(Target::linux())?;
    // `SEC("xdp")` names no device: nothing is attached, and nothing is wrong.
    assert!(count.attach()?.count.is_none());
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn the_running_kernel_registers_kernel_interfaces() -> alveary::Result<()> {
    if !alveary_testing::bpf::permitted("the_running_kernel_registers_kernel_interfaces") {
        return Ok(());
    }
    // The list is the whole machine's: a name of our own.
    let name = format!("alvskel{}", std::process::id());
    let registered = || {
        let list = fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control").expect("a list");
        list.split_whitespace().any(|found| found == name)
    };
    let mut open = control::Open::new()?;
    let Initial::StructOps(interface) = &mut open.maps.control.initial else { panic!("it is an interface") };
    interface.bytes[24..40].fill(0);
    interface.bytes[24..24 + name.len()].copy_from_slice(name.as_bytes());
    let loaded = open.load(Target::linux())?;
    let links = loaded.attach()?;
    assert!(links.control.is_some() && links.half.is_none() && registered());
    drop(links);
    assert!(!registered());
    Ok(())
}

#[test]
fn variables_are_set_before_a_program_runs_and_read_behind_it() -> alveary::Result<()> {
    use globals::types::mode;
    let mut open = globals::Open::new()?;
    assert_eq!((open.data.threshold, open.rodata.mode, open.rodata.limits[1].bytes), (1000, mode::OFF, 100));
    open.rodata.mode = mode::COUNT;
    open.rodata.limits[1].bytes = 70;
    open.bss.seen.packets = 40;
    let loaded = open.load(Target::user())?;
    let measure = loaded.progs().measure()?;
    assert_eq!(measure.run(&[0; 60])?.value, 2);
    assert_eq!(measure.run(&[0; 80])?.value, 1);
    let bss = loaded.bss.read()?;
    assert_eq!((bss.seen.packets, bss.seen.__anon1.word(), bss.seen.__anon1.bytes()), (42, 2, [2, 0, 0, 0]));
    let length = loaded.maps.lengths.lookup(&80)?.unwrap();
    assert_eq!((length.bytes, length.low(), length.high()), (80, 5, 9));
    assert_eq!(loaded.maps.total.lookup(&0)?.unwrap(), [140]);

    // What is written counts from then on; what is read-only stays.
    let mut data = loaded.data.read()?;
    data.threshold = 10;
    loaded.data.write(&data)?;
    assert_eq!(measure.run(&[0; 60])?.value, 1);
    let constants = loaded.rodata.read()?;
    assert_eq!(loaded.rodata.write(&constants).unwrap_err().kind(), Kind::Map);
    Ok(())
}

#[test]
fn programs_are_chosen_before_they_are_loaded() -> alveary::Result<()> {
    let mut open = globals::Open::new()?;
    open.progs.measure.autoload = false;
    open.progs.optional.autoload = true;
    let loaded = open.load(Target::user())?;
    assert_eq!(loaded.progs().optional()?.run(&[0; 60])?.value, 2);
    assert_eq!(loaded.progs().measure().unwrap_err().kind(), Kind::NotFound);
    Ok(())
}

#[test]
fn a_type_of_another_size_is_refused_before_it_is_read() {
    let mut object = Object::open(file("tests/skeleton/globals.bpf.o")).unwrap();
    let why = object.data::<u32>(".rodata").unwrap_err();
    assert_eq!((why.kind(), why.diagnostic().found.as_deref()), (Kind::Map, Some("4 bytes: u32")));
    assert_eq!(object.set_data(".nothing", &1u32).unwrap_err().kind(), Kind::NotFound);
    assert_eq!(object.map_spec_mut("lenghts").unwrap_err().diagnostic().help, ["did you mean `lengths`?"]);
}
