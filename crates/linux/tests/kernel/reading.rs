use crate::support::{allowed, map};
use alveary_abi::ProgType;
use alveary_isa::Inst;
use alveary_linux::{
    read::{MappedArray, PerfBuffer, RingBuffer, Waiter},
    sys::{Loaded, Map, MapCreate, ProgLoad, TestRun, stay_on_cpu},
};
use alveary_testing::code;
use std::{
    os::fd::{AsFd, AsRawFd},
    time::Duration,
};

const PERF_EVENT_ARRAY: u32 = 4;
const RINGBUF: u32 = 27;

/// A program that names this map as `map`.
fn program(map: &Map, text: &str) -> Loaded {
    let fd = map.as_fd().as_raw_fd();
    let insns = code(text, |dst, _| Inst::MapFd { dst, fd });
    let load = ProgLoad { license: c"GPL", ..ProgLoad::new(ProgType::XDP, &insns) };
    load.load().unwrap_or_else(|why| panic!("{why}\n{}", why.log()))
}

/// Runs it so many times, on a packet of these bytes.
fn run(program: &Loaded, packet: &[u8], times: u32) {
    let run = TestRun { data: packet, repeat: times, ..TestRun::default() };
    run.run(program.fd.as_fd()).expect("a run");
}

/// Sends 100 bytes, the first of which is 7, or (as END says) thinks better of it.
const SEND: &str = "
    r1 = map ll
    r2 = 100
    r3 = 0
    call bpf_ringbuf_reserve
    if r0 == 0 goto out
    r1 = 7
    *(u64*)(r0 + 0) = r1
    r1 = r0
    r2 = 0
    call END
out:
    r0 = 2
    exit";

#[test]
fn a_ring_buffer_is_read_round_its_end() {
    if !allowed("a_ring_buffer_is_read_round_its_end") {
        return;
    }
    let ring = map(RINGBUF, 0, 0, 4096);
    let send = program(&ring, &SEND.replace("END", "bpf_ringbuf_submit"));
    let dropped = program(&ring, &SEND.replace("END", "bpf_ringbuf_discard"));
    let mut reader = RingBuffer::open(&ring).expect("a reader");
    let mut waiter = Waiter::new().expect("epoll");
    waiter.add(reader.as_fd(), 5).expect("a descriptor that can be waited for");
    assert_eq!(waiter.wait(Some(Duration::ZERO)).expect("an answer").count(), 0, "nothing is there yet");
    let mut records = 0;
    for _ in 0..50 {
        run(&send, &[0; 64], 7);
        run(&dropped, &[0; 64], 3);
        run(&send, &[0; 64], 1);
        assert_eq!(waiter.wait(None).expect("an answer").collect::<Vec<_>>(), [5]);
        reader.drain(|record| {
            assert_eq!((record.len(), record[0]), (100, 7));
            records += 1;
        });
    }
    assert_eq!(records, 50 * 8, "what was discarded does not come");
}

#[test]
fn a_perf_buffer_counts_what_it_lost() {
    const OUTPUT: &str = "
        *(u64*)(r10 - 8) = 7
        r2 = map ll
        r3 = 0xffffffff ll
        r4 = r10
        r4 += -8
        r5 = 8
        call bpf_perf_event_output
        r0 = 2
        exit";
    if !allowed("a_perf_buffer_counts_what_it_lost") {
        return;
    }
    stay_on_cpu(0).ok();
    let events = map(PERF_EVENT_ARRAY, 4, 4, 64);
    let send = program(&events, OUTPUT);
    let mut reader = PerfBuffer::open(&events, 1).expect("a reader");
    let mut seen = 0;
    run(&send, &[0; 64], 1000);
    let mut lost = reader.drain(|_, data| {
        assert_eq!(data[0], 7);
        seen += 1;
    });
    // What was lost is written down with the next record that there is room for.
    run(&send, &[0; 64], 1);
    lost += reader.drain(|_, _| seen += 1);
    assert!(seen > 10 && lost > 10, "{seen} seen, {lost} lost");
    assert_eq!(seen + lost, 1001);
}

#[test]
fn a_mapped_array_is_the_map_itself() {
    if !allowed("a_mapped_array_is_the_map_itself") {
        return;
    }
    let flags = alveary_abi::flags::BPF_F_MMAPABLE;
    let create = MapCreate {
        map_type: 2,
        key_size: 4,
        value_size: 20,
        max_entries: 3,
        map_flags: flags,
        ..MapCreate::default()
    };
    let array = create.create().expect("a map");
    array.update(&2u32.to_ne_bytes(), &[9; 20], 0).expect("a value");
    let mapped = MappedArray::open(&array, true).expect("a mapping");
    assert_eq!(mapped.value(2), Some(vec![9; 20]));
    assert_eq!(mapped.word(2, 8), Some(0x0909_0909_0909_0909));
    assert_eq!((mapped.value(3), mapped.word(0, 16), mapped.word(0, 3)), (None, None, None), "not inside");
    assert!(mapped.write(1, 4, &[1, 2]) && !mapped.write(1, 19, &[1, 2]));
    let mut value = [0; 20];
    array.lookup(&1u32.to_ne_bytes(), &mut value, 0).expect("a value");
    assert_eq!(value[..8], [0, 0, 0, 0, 1, 2, 0, 0]);
}

#[test]
fn a_part_of_an_array_has_its_own_indices_alone() {
    if !allowed("a_part_of_an_array_has_its_own_indices_alone") {
        return;
    }
    let flags = alveary_abi::flags::BPF_F_MMAPABLE;
    let create = MapCreate {
        map_type: 2,
        key_size: 4,
        value_size: 4,
        max_entries: 10_000,
        map_flags: flags,
        ..MapCreate::default()
    };
    let array = create.create().expect("a map");
    // Two values that are not on one page, the second one not on the part's first.
    for (index, part) in [(700u32, 600..1300), (9_999, 9_000..10_000), (1_250, 600..1300)] {
        let mapped = MappedArray::part(&array, true, part.clone()).expect("a mapping");
        assert!(mapped.write(index, 0, &index.to_ne_bytes()));
        assert!(!mapped.write(part.start - 1, 0, &[1; 4]) && !mapped.write(part.end, 0, &[1; 4]), "not of this part");
        let mut value = [0; 4];
        array.lookup(&index.to_ne_bytes(), &mut value, 0).expect("a value");
        assert_eq!((u32::from_ne_bytes(value), mapped.value(index)), (index, Some(value.to_vec())));
    }
    for wrong in [5..5, 9_999..10_001] {
        assert!(MappedArray::part(&array, true, wrong).is_err());
    }
}

#[cfg(feature = "tokio")]
#[test]
fn a_stream_wakes_its_reader() {
    use alveary_linux::read::{Event, EventStream};
    use std::{future::poll_fn, pin::Pin};
    if !allowed("a_stream_wakes_its_reader") {
        return;
    }
    let ring = map(RINGBUF, 0, 0, 4096);
    let send = program(&ring, &SEND.replace("END", "bpf_ringbuf_submit"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    runtime.block_on(async {
        let mut stream = EventStream::ring(RingBuffer::open(&ring).expect("a reader")).expect("a stream");
        let sender = std::thread::spawn(move || run(&send, &[0; 64], 3));
        for _ in 0..3 {
            let next = poll_fn(|cx| futures_core::Stream::poll_next(Pin::new(&mut stream), cx)).await;
            let Some(Ok(Event::Record { data, .. })) = next else { panic!("{next:?}") };
            assert_eq!(data.len(), 100);
        }
        sender.join().expect("the sender");
    });
}
