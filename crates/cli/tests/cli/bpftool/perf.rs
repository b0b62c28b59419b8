//! `perf show`.

use super::{BPFTOOL, output, permitted, text};
use alveary_abi::ProgType;
use alveary_linux::sys::{ProgLoad, raw_tracepoint_open};
use std::os::fd::{AsFd, AsRawFd};

/// What other processes hold comes and goes: only what this one does is held against bpftool.
#[test]
fn what_a_process_holds_open_is_shown_as_by_bpftool() {
    let test = "what_a_process_holds_open_is_shown_as_by_bpftool";
    if !permitted(test) {
        return;
    }
    let code = alveary_testing::code("r0 = 0\nexit", |_, _| unreachable!("there is no symbol"));
    let program = ProgLoad { license: c"GPL", ..ProgLoad::new(ProgType::RAW_TRACEPOINT, &code) }.load();
    let program = program.expect("the kernel takes it");
    // It fires only when a task hangs.
    let Ok(open) = raw_tracepoint_open(Some(c"sched_process_hang"), program.fd.as_fd(), 0) else {
        eprintln!("SKIP {test}: this kernel has no raw tracepoints");
        return;
    };
    let (pid, fd) = (std::process::id(), open.as_raw_fd());
    let lines = |tool: &str, shape: &[&str]| -> Vec<String> {
        let told = output(tool, &[shape, &["perf", "show"]].concat());
        assert!(told.status.success(), "{tool}: {}", text(&told.stderr));
        let (separated, ours) = match shape {
            [] => (text(&told.stdout), format!("pid {pid}  fd {fd}: ")),
            _ => (text(&told.stdout).replace("},", "}\n").replace('[', ""), format!("{{\"pid\":{pid},\"fd\":{fd},")),
        };
        separated.lines().filter(|l| l.starts_with(&ours)).map(|l| l.trim_end_matches(']').to_owned()).collect()
    };
    for shape in [&[][..], &["-j"]] {
        let (theirs, ours) = (lines(BPFTOOL, shape), lines(env!("CARGO_BIN_EXE_alveary"), shape));
        assert_eq!(theirs, ours);
        assert!(ours.len() == 1 && ours[0].contains("sched_process_hang"), "{ours:?}");
    }
}
