//! How many events a second one core reads out of a ring buffer. A program fills it by `BPF_PROG_TEST_RUN`, which is not
//! timed; then all of it is drained, which is. Prints the best of several rounds.

use alveary_abi::ProgType;
use alveary_isa::Inst;
use alveary_linux::{
    read::RingBuffer,
    sys::{MapCreate, ProgLoad, TestRun, stay_on_cpu},
};
use alveary_testing::{bpf::permitted, code};
use std::{
    hint::black_box,
    os::fd::{AsFd, AsRawFd},
    time::Instant,
};

const ROUNDS: usize = 25;
/// A record of 8 bytes takes 16 with its header.
const EVENTS: u32 = 1 << 19;
const SIZE: u32 = 16 * EVENTS * 2;
const RINGBUF: u32 = 27;

const PROGRAM: &str = "
    *(u64*)(r10 - 8) = 7
    r1 = ring ll
    r2 = r10
    r2 += -8
    r3 = 8
    r4 = 0
    call bpf_ringbuf_output
    r0 = 2
    exit";

fn main() {
    if !permitted("the ring buffer's benchmark") {
        return;
    }
    // Where there is one CPU alone, that is the one.
    stay_on_cpu(0).ok();
    let ring = MapCreate { map_type: RINGBUF, max_entries: SIZE, ..MapCreate::default() }.create();
    let ring = ring.unwrap_or_else(|why| panic!("{why}"));
    let fd = ring.as_fd().as_raw_fd();
    let insns = code(PROGRAM, |dst, _| Inst::MapFd { dst, fd });
    let program = ProgLoad { license: c"GPL", ..ProgLoad::new(ProgType::XDP, &insns) }.load();
    let program = program.unwrap_or_else(|why| panic!("{why}"));
    let mut reader = RingBuffer::open(&ring).unwrap_or_else(|why| panic!("{why}"));
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let run = TestRun { data: &[0; 64], repeat: EVENTS, ..TestRun::default() };
        run.run(program.fd.as_fd()).unwrap_or_else(|why| panic!("{why}"));
        let (mut sum, start) = (0u64, Instant::now());
        let seen = reader.drain(|record| sum += u64::from(record[0]));
        let took = start.elapsed().as_secs_f64();
        assert_eq!((seen, black_box(sum)), (EVENTS.into(), 7 * u64::from(EVENTS)), "every event is read");
        best = best.min(took / f64::from(EVENTS));
    }
    println!("ring buffer: {:.1} million events/s read on one core ({:.1} ns an event)", 1e-6 / best, best * 1e9);
}
