use crate::support::{allowed, insns, xdp};
use alveary_abi::{Errno, ProgType};
use alveary_linux::sys::{LOG_STATS, ProgLoad, ProgParts, Stream, TestRun, prog_info, stream_read};
use std::os::fd::AsFd;

#[test]
fn a_program_runs_over_a_packet() {
    if !allowed("a_program_runs_over_a_packet") {
        return;
    }
    let prog = xdp("r0 = 2\nexit");
    let mut out = [0; 64];
    let run = TestRun { data: &[7; 60], data_out: &mut out, repeat: 1, ..TestRun::default() };
    let outcome = run.run(prog.fd.as_fd()).expect("a run");
    assert_eq!((outcome.retval, outcome.data, outcome.truncated), (2, 60, false));
    assert_eq!(out[..60], [7; 60]);
}

#[test]
fn a_packet_that_does_not_fit_is_cut_and_said_so() {
    if !allowed("a_packet_that_does_not_fit_is_cut_and_said_so") {
        return;
    }
    let prog = xdp("r0 = 2\nexit");
    let mut out = [0; 10];
    let run = TestRun { data: &[7; 60], data_out: &mut out, repeat: 1, ..TestRun::default() };
    let outcome = run.run(prog.fd.as_fd()).expect("a run");
    assert_eq!((outcome.retval, outcome.data, outcome.truncated), (2, 60, true));
    assert_eq!(out, [7; 10]);
}

#[test]
fn the_verifier_says_why() {
    if !allowed("the_verifier_says_why") {
        return;
    }
    let bad = insns("r0 = r3\nexit");
    let refused = ProgLoad { name: "bad", ..ProgLoad::new(ProgType::XDP, &bad) }.load().expect_err("r3 is not set");
    assert_eq!(refused.errno(), Errno::EACCES);
    assert!(refused.log().contains("R3 !read_ok"), "{}", refused.log());
    let why = refused.diagnostic();
    assert!(why.message.contains("`bad`: the kernel's verifier refuses the program (type xdp)"), "{why}");
    assert!(why.notes.iter().any(|note| note.contains("R3 !read_ok")), "{why:?}");
}

/// A log that is longer than the first buffer is there in full.
#[test]
fn a_long_log_is_whole() {
    if !allowed("a_long_log_is_whole") {
        return;
    }
    let mut text = "r0 = 0\n".to_owned();
    text.extend(std::iter::repeat_n("r0 += 1\n", 3000));
    text.push_str("r0 = r9\nexit");
    let load = insns(&text);
    let level = alveary_linux::sys::LOG_BRANCHES.and(alveary_linux::sys::LOG_INSNS);
    let refused = ProgLoad { log: level, ..ProgLoad::new(ProgType::XDP, &load) }.load().expect_err("r9 is not set");
    assert_eq!(refused.errno(), Errno::EACCES);
    assert!(refused.log().len() > 1 << 16, "{}", refused.log().len());
    assert!(refused.log().contains("0: (b7) r0 = 0") && refused.log().contains("R9 !read_ok"));
}

#[test]
fn statistics_are_logged_if_wanted() {
    if !allowed("statistics_are_logged_if_wanted") {
        return;
    }
    let code = insns("r0 = 2\nexit");
    let loaded = ProgLoad { log: LOG_STATS, ..ProgLoad::new(ProgType::XDP, &code) }.load().expect("a program");
    assert!(loaded.log.contains("processed 2 insns"), "{}", loaded.log);
}

#[test]
fn a_program_is_described() {
    if !allowed("a_program_is_described") {
        return;
    }
    let prog = xdp("r0 = 2\nexit");
    let info = prog_info(prog.fd.as_fd(), ProgParts::ALL).expect("a description");
    assert_eq!((info.ty, info.name.as_str(), info.gpl_compatible), (ProgType::XDP, "alveary_test", true));
    assert_eq!(info.xlated.expect("instructions").len(), info.xlated_len as usize);
    assert_eq!(info.jited.expect("machine code").len(), info.jited_len as usize);
    assert_eq!(info.jited_func_lens, [info.jited_len]);
    assert_eq!((info.map_ids.as_slice(), info.verified_insns), ([].as_slice(), 2));
}

#[test]
fn a_silent_program_has_an_empty_stream() {
    if !allowed("a_silent_program_has_an_empty_stream") {
        return;
    }
    let prog = xdp("r0 = 2\nexit");
    match stream_read(prog.fd.as_fd(), Stream::Stderr, &mut [0; 64]) {
        Ok(read) => assert_eq!(read, 0),
        Err(e) => assert!(e.to_string().contains("Linux 6.17"), "{e}"),
    }
}
