//! `map create`, `pin`, `freeze`, queues, `event_pipe`, `watch`, and maps as JSON.

use super::{id, map, output, permitted, same_script, text};
use alveary_abi::{MapType, ProgType};
use alveary_isa::Inst;
use alveary_linux::sys::{ProgLoad, TestRun};
use std::{
    io::{BufRead, BufReader, Read},
    os::fd::{AsFd, AsRawFd},
    process::{Command, Stdio},
    sync::mpsc,
};

#[test]
fn maps_are_made_and_handled_as_by_bpftool() {
    if !permitted("maps_are_made_and_handled_as_by_bpftool") {
        return;
    }
    let told = same_script(
        "tell() { echo \"$*\"; $tool \"$@\" | sed 's/^[0-9]*:/ID:/; s/\"id\":[0-9]*/\"id\":ID/'; }
         tell map create queue type queue key 0 value 4 entries 3 name the_queue
         tell -j map create hash type hash key 4 value 8 entries 9 name the_hash flags 1
         tell map create of type hash_of_maps key 4 value 4 entries 2 name the_outer inner_map pinned hash
         tell map create none key 4 value 4 entries 1 name
         tell map create none type hush key 4 value 4 entries 1 name none
         for file in queue hash of; do tell map show pinned $file; tell -j map show pinned $file; done
         for i in 1 2 3 4; do tell map push pinned queue value $i 0 0 0; done
         for shape in '' -j -p; do
           tell $shape map peek pinned queue; tell $shape map pop pinned queue; tell $shape map dequeue pinned queue
           tell $shape map enqueue pinned queue value 9 8 7 6; tell $shape map pop pinned queue
           tell $shape map pop pinned queue; tell $shape map peek pinned queue
         done
         tell map pin pinned hash again; tell map show pinned again
         tell map freeze pinned hash; tell map freeze pinned hash; tell map show pinned hash
         tell map update pinned hash key 1 0 0 0 value 1 2 3 4 5 6 7 8",
    );
    let told = told.lines().filter(|l| l.contains("name the_")).count();
    assert!(told > 6, "it printed something: {told}");
}

#[test]
fn events_are_printed_as_they_come() {
    if !permitted("events_are_printed_as_they_come") {
        return;
    }
    let events = map(MapType::PERF_EVENT_ARRAY, "cli_events", (4, 4), 64, 0);
    // Four bytes from the stack, to the buffer of the CPU that runs it.
    let source = "r0 = 0x04030201
        *(u32 *)(r10 - 8) = r0
        r2 = events ll
        r3 = 0xffffffff ll
        r4 = r10
        r4 += -8
        r5 = 4
        call bpf_perf_event_output
        r0 = 2
        exit";
    let fd = events.as_fd().as_raw_fd();
    let code = alveary_testing::code(source, |dst, _| Inst::MapFd { dst, fd });
    let program = ProgLoad { license: c"GPL", ..ProgLoad::new(ProgType::XDP, &code) }.load();
    let program = program.expect("the kernel takes it");
    let mut child = Command::new(env!("CARGO_BIN_EXE_alveary"))
        .args(["map", "event_pipe", "id", &id(&events)])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary can be run");
    let stdout = child.stdout.take().expect("it is piped");
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            tell.send(line.expect("the output is text")).ok();
        }
    });
    // Nobody hears the first ones: the buffers are opened meanwhile.
    let mut lines = Vec::new();
    while lines.len() < 2 && child.try_wait().expect("it can be asked").is_none() {
        TestRun { data: &[0; 64], ..TestRun::default() }.run(program.fd.as_fd()).expect("it runs");
        lines.extend(told.try_iter());
        std::thread::yield_now();
    }
    child.kill().expect("it runs until it is ended");
    child.wait().expect("it ends");
    assert!(lines[0].starts_with("== @") && lines[0].contains(" CPU: ") && lines[0].ends_with(" ====="), "{lines:?}");
    assert!(lines[1].starts_with("01 02 03 04"), "{lines:?}");

    // What was begun is closed, whoever ends it.
    let mut child = Command::new(env!("CARGO_BIN_EXE_alveary"))
        .args(["-j", "map", "event_pipe", "id", &id(&events)])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary can be run");
    let mut stdout = child.stdout.take().expect("it is piped");
    let mut told = vec![0];
    stdout.read_exact(&mut told).expect("the list begins");
    assert!(output("kill", &["-INT", &child.id().to_string()]).status.success());
    stdout.read_to_end(&mut told).expect("it ends");
    assert_eq!(text(&told), "[]\n");
    assert!(child.wait().expect("it ends").success());

    let other = map(MapType::HASH, "cli_no_events", (4, 4), 4, 0);
    let refused = output(env!("CARGO_BIN_EXE_alveary"), &["map", "event_pipe", "id", &id(&other)]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("perf_event_array"));
}

#[test]
fn changes_of_a_map_are_told() {
    if !permitted("changes_of_a_map_are_told") {
        return;
    }
    let watched = map(MapType::HASH, "cli_watched", (4, 4), 8, 0);
    let mut child = Command::new(env!("CARGO_BIN_EXE_alveary"))
        .args(["map", "watch", "id", &id(&watched), "--interval", "1", "--changes", "2"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary can be run");
    let stdout = child.stdout.take().expect("it is piped");
    let (tell, told) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            tell.send(line.expect("the output is text")).ok();
        }
    });
    // Until it has begun to look, nothing that we do is a change.
    let mut seen = Vec::new();
    for n in 0u32.. {
        watched.update(&[1, 0, 0, 0], &n.to_ne_bytes(), 0).expect("there is room");
        match told.try_recv() {
            Ok(line) => seen.push(line),
            Err(mpsc::TryRecvError::Disconnected) => break,
            Err(mpsc::TryRecvError::Empty) => std::thread::yield_now(),
        }
    }
    assert!(child.wait().expect("it ends").success());
    reader.join().expect("it ends");
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen[1].starts_with("~ key: 01 00 00 00 value: "), "{seen:?}");
}

#[test]
fn exported_elements_of_each_cpu_come_back() {
    if !permitted("exported_elements_of_each_cpu_come_back") {
        return;
    }
    let from = map(MapType::PERCPU_HASH, "cli_from", (4, 6), 4, 0);
    let into = map(MapType::PERCPU_HASH, "cli_into", (4, 6), 4, 0);
    let mut value = vec![0; from.value_size()];
    for (cpu, slot) in value.chunks_mut(8).enumerate() {
        slot[..6].fill(cpu as u8 + 1);
    }
    from.update(&[5, 0, 0, 0], &value, 0).expect("there is room");
    let ours = env!("CARGO_BIN_EXE_alveary");
    let pipe = format!("{ours} map export id {} | {ours} map import - into id {}", id(&from), id(&into));
    let done = output("sh", &["-c", &pipe]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let mut again = vec![0; value.len()];
    into.lookup(&[5, 0, 0, 0], &mut again, 0).expect("it was imported");
    assert_eq!(again, value);

    let narrow = map(MapType::HASH, "cli_narrow", (4, 2), 4, 0);
    let pipe = format!("{ours} map export id {} | {ours} map import - into id {}", id(&from), id(&narrow));
    let refused = output("sh", &["-c", &pipe]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("does not fit"), "{}", text(&refused.stderr));
}
