//! The recorder at a balancer that runs.

use super::serve::{Site, VIP};
use alveary_ports::Capture;
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::UdpSocket,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

/// A recorder that has begun.
struct Recording {
    child: Child,
    said: BufReader<ChildStdout>,
    file: PathBuf,
}

impl Recording {
    fn begin(site: &Site, filter: &str, file: &str, more: &[&str]) -> Recording {
        let file = site.folder.join(file);
        let mut command = command(site, filter, &file, more);
        let child = site.network.at(site.balancer, || command.stdout(Stdio::piped()).spawn()).expect("the namespace");
        let mut child = child.expect("the binary runs");
        let mut said = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        said.read_line(&mut line).expect("it says so");
        assert!(line.starts_with("recording to "), "{line}");
        Recording { child, said, file }
    }

    /// What it says at its end.
    fn end(mut self) -> (String, Vec<Vec<u8>>) {
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).expect("text");
        assert!(self.child.wait().expect("it ends").success(), "{rest}");
        (rest, frames(&self.file))
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.expect("it runs").success());
    }
}

fn command(site: &Site, filter: &str, file: &Path, more: &[&str]) -> Command {
    let mut command = site.command(&["record", filter, "--name", "test", "--bpffs"]);
    command.arg(&site.bpffs.path).arg("-w").arg(file).args(more);
    command
}

fn frames(file: &Path) -> Vec<Vec<u8>> {
    let mut capture = Capture::open(file).expect("a capture");
    let mut frames = Vec::new();
    while let Some(packet) = capture.next() {
        frames.push(packet.expect("a packet").data.to_vec());
    }
    frames
}

/// Whether the data plane is asked for anything.
fn is_asked(site: &Site) -> bool {
    let path = site.bpffs.path.join("alveary-lb/test/data-recorder");
    let dump = Command::new(env!("CARGO_BIN_EXE_alveary")).args(["map", "dump", "--json", "pinned"]).arg(path).output();
    let dump = String::from_utf8(dump.expect("it runs").stdout).expect("text");
    assert!(dump.contains("\"matches\":"), "{dump}");
    !dump.contains("\"matches\": 0") && !dump.contains("\"matches\":0")
}

/// The flow log: what the data plane samples, as it passes.
#[test]
fn sampled_packets_are_followed() {
    let Some(mut site) = Site::new("lb_samples") else { return };
    let _servers = [site.server(0), site.server(1)];
    site.configure("");
    site.serve();
    site.until("both are well", |site| site.health().iter().all(|(health, _)| health == "up"));
    let follow = |more: &[&str]| {
        let mut command = site.command(&["flows", "--follow", "--name", "test", "--bpffs"]);
        command.arg(&site.bpffs.path).args(more);
        command
    };
    let refused = follow(&[]).output().expect("it runs");
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && why.contains("the balancer `test` samples no packets"), "{why}");
    assert!(why.contains("sample = 1000"), "{why}");

    site.configure("[rates]\nsample = 1\n");
    site.until("it samples", |_| {
        let none = follow(&["--for", "1ms"]).output().expect("it runs");
        none.status.success()
    });
    // What was sampled before is not told; of what comes no more than is asked for.
    drop(site.connect(5));
    let mut command = follow(&["--for", "60s"]);
    let child = site.network.at(site.balancer, || command.stdout(Stdio::piped()).spawn()).expect("the namespace");
    let mut child = child.expect("the binary runs");
    let mut said = BufReader::new(child.stdout.take().expect("piped"));
    let mut first = String::new();
    said.read_line(&mut first).expect("it says so");
    assert!(first.starts_with("one of 1 packets"), "{first}");
    let second = follow(&["--for", "20s"]).output().expect("it runs");
    assert!(String::from_utf8_lossy(&second.stderr).contains("someone reads the samples"), "{second:?}");
    let open = site.connect(10);
    let sent = said.lines().map_while(Result::ok).find(|line| {
        line.contains("s  tcp 10.0.0.2:")
            && line.contains(" > 192.0.2.1:80: forwarded, VIP 192.0.2.1:80/tcp, real 10.0.")
    });
    assert!(sent.is_some(), "no packet of a client in a minute");
    child.kill().and_then(|()| child.wait()).expect("it ends");
    // Nobody reads any more; checks alone are as many packets as are asked for.
    let counted = follow(&["--count", "6"]).output().expect("it runs");
    assert!(counted.status.success(), "{counted:?}");
    let lines = String::from_utf8_lossy(&counted.stdout).into_owned();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 8, "what is sampled, six, and how many: {lines:#?}");
    assert!(lines[7].starts_with("6 samples"), "{lines:#?}");
    drop(open);
}

#[test]
fn packets_are_recorded_as_they_come_and_as_they_leave() {
    let Some(mut site) = Site::new("lb_record") else { return };
    let servers = [site.server(0), site.server(1)];
    site.configure("");
    site.serve();
    site.until("both are well", |site| site.health().iter().all(|(health, _)| health == "up"));

    // Nothing is made of what is wrong.
    let refused = |filter: &str, more: &[&str]| {
        let file = site.folder.join("refused.pcapng");
        let output = command(&site, filter, &file, more).output().expect("it runs");
        assert!(!output.status.success() && !file.exists(), "{filter}: {output:?}");
        String::from_utf8(output.stderr).expect("text")
    };
    let why = refused("vip 192.0.2.9", &[]);
    assert!(why.contains("the balancer has no such VIP"), "{why}");
    assert!(refused("tcp prot 80", &[]).contains("`prot`"));
    assert!(refused("", &["--snap", "2049"]).contains("1..=2048"));

    // Ten SYNs are wanted, and no more than ten packets.
    let recording =
        Recording::begin(&site, &format!("vip {VIP} and src host 10.0.0.2"), "in.pcapng", &["--count", "10"]);
    assert!(is_asked(&site));
    assert!(refused("", &[]).contains("someone records"));
    let open = site.connect(10);
    let (said, frames) = recording.end();
    assert!(said.starts_with("10 packets in ") && said.contains(": 20 frames, 10 of them as a packet left"), "{said}");
    assert_eq!(frames.len(), 20, "each as it came and as it left");
    for pair in frames.chunks(2) {
        assert_eq!((&pair[0][26..30], &pair[0][30..34]), (&[10, 0, 0, 2][..], &[192, 0, 2, 1][..]), "as it came");
        assert_eq!(pair[1][26..30], [10, 0, 9, 2], "NAT comes from the balancer");
        assert!(pair[1][30..34] == [10, 0, 1, 2] || pair[1][30..34] == [10, 0, 2, 2], "and goes to a real");
    }
    let bytes = fs::read(site.folder.join("in.pcapng")).expect("the file");
    let has = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    for text in ["forwarded: sent to a real\nvip 192.0.2.1:80/tcp\nreal 10.0.", "XDP_TX, came by eth0"] {
        assert!(has(text), "{text}");
    }
    assert!(!is_asked(&site), "it ends with the recorder");

    // What comes back is recorded, too, until it is ended; a flow's packets, and no others.
    let port = open[0].0.local_addr().expect("an address").port();
    let recording = Recording::begin(
        &site,
        &format!("verdict returned and not dst port {port}"),
        "back.pcapng.gz",
        &["--rate", "0"],
    );
    let more = site.connect(1);
    site.until("it is asked for", is_asked);
    recording.signal("-INT");
    let (said, frames) = recording.end();
    assert!(said.contains(" packets in ") && frames.len() >= 2, "{said}");
    assert!(frames.chunks(2).all(|pair| pair[1][26..30] == [192, 0, 2, 1]), "to the client from the VIP");
    assert!(!is_asked(&site));

    // What is left to the host has a frame each.
    let recording = Recording::begin(&site, "verdict no-vip and udp", "host.pcapng", &["--count", "3", "--rate", "0"]);
    let sends = || {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a port");
        for _ in 0..3 {
            socket.send_to(b"nobody's", "10.0.9.2:9").expect("sent");
        }
    };
    site.network.at(site.client, sends).expect("the namespace");
    let (said, frames) = recording.end();
    assert!(said.contains(": 3 frames, none of them as a packet left") && frames.len() == 3, "{said}");

    // Who is killed holds nobody off.
    let recording = Recording::begin(&site, "", "killed.pcapng", &[]);
    recording.signal("-KILL");
    let Recording { mut child, .. } = recording;
    child.wait().expect("it ends");
    let recording = Recording::begin(&site, "tcp", "after.pcapng", &["--for", "1ms"]);
    recording.end();
    assert!(!is_asked(&site));
    drop((open, more, servers));
}
