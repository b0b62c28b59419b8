//! `alveary lb lab`: connections through all that may happen to a site. Which of them break is asserted, not how long
//! anything takes.

use crate::session::Session;
use alveary_testing::bpf;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// What a lab tells.
fn told(line: &str) -> Value {
    let output = Session::new().output(&format!("lb lab {line} --json"));
    assert_eq!(output.code, Some(0), "lb lab {line}: {}\n{}", output.stdout, output.stderr);
    serde_json::from_str(&output.stdout).expect("JSON")
}

/// What it tells of its steps.
fn steps(line: &str) -> Vec<Value> {
    told(line)["steps"].as_array().expect("steps").clone()
}

/// Beside so many connections there are some flows of datagrams.
fn check(steps: &[Value], connections: u64) {
    for step in steps {
        assert!(step["connections"].as_u64().is_some_and(|there| there > connections), "{step}");
        assert_eq!(step["broken"], step["must"], "{step}");
        assert!(step["asked"].as_u64().is_some_and(|asked| asked > 0), "{step}");
    }
    // What broke with the real that died is what that real had, and no other's.
    let last = steps.last().expect("a last one");
    let by_real = last["by_real"].as_object().expect("reals");
    assert!(by_real.len() == 1 && last["must"].as_u64().is_some_and(|must| must > 0), "{last}");
}

#[test]
fn connections_outlive_all_but_their_real() {
    if !bpf::permitted("lb_lab") {
        return;
    }
    let told = steps("--connections 200");
    check(&told, 200);
    let names: Vec<_> = told.iter().filter_map(|step| step["step"].as_str()).collect();
    for name in
        ["all processes are killed (-9)", "the binary is replaced, restart", "a balancer dies", "it begins anew"]
    {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
}

#[test]
fn so_do_those_behind_nat_and_in_gue() {
    if !bpf::permitted("lb_lab_ways") {
        return;
    }
    check(&steps("--connections 60 --clients 1 --reals 2 --forward nat"), 60);
    check(&steps("--connections 60 --clients 1 --forward gue"), 60);
}

/// Whether etcd and Prometheus are there, and a lab may be made.
fn may_have_desk(test: &str) -> bool {
    for (program, package) in [("etcd", "etcd-server"), ("prometheus", "prometheus")] {
        if Command::new(program).arg("--version").output().is_err() {
            eprintln!("SKIP {test}: {program} is not installed (Debian's {package})");
            return false;
        }
    }
    bpf::permitted(test)
}

#[test]
fn so_do_those_whose_vips_are_in_etcd() {
    if !may_have_desk("lb_lab_etcd") {
        return;
    }
    let told = told("--connections 60 --clients 1 --etcd --prometheus");
    let steps = told["steps"].as_array().expect("steps");
    check(steps, 60);
    let names: Vec<_> = steps.iter().filter_map(|step| step["step"].as_str()).collect();
    for name in
        ["etcd has what is wrong", "etcd dies", "a balancer begins without it", "etcd comes back, with what is new"]
    {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    // What is wrong was refused, and where it is was told.
    let refused = told["refused"].as_str().expect("it was refused");
    assert!(refused.starts_with("etcd:/alveary/lb/lab:3:11: ") && refused.contains("192.0.2.300"), "{refused}");
    // Of each balancer Prometheus has each metric, under the address that it was read at.
    let asked = told["prometheus"].as_array().expect("answers");
    let queries: Vec<_> = asked.iter().filter_map(|one| one["query"].as_str()).collect();
    assert_eq!(queries, ["up", "alveary_lb_packets_total{verdict=\"forwarded\"}", "alveary_lb_etcd_up"]);
    for one in asked {
        let answer = one["answer"].as_array().expect("numbers");
        let of: Vec<_> = answer.iter().filter_map(|number| number[0].as_str()).collect();
        assert_eq!(of, ["10.9.1.2:9100", "10.9.2.2:9100"], "{one}");
        let all: f64 = answer.iter().filter_map(|number| number[1].as_f64()).sum();
        let packets = one["query"] == queries[1];
        // Each of so many connections has asked several times.
        assert!(if packets { all > 60.0 } else { all == 2.0 }, "{one}");
    }
}

/// Processes that a process has started, by name.
fn children(of: u32) -> Vec<(u32, String)> {
    let tasks = fs::read_dir(format!("/proc/{of}/task")).into_iter().flatten().flatten();
    let all: String =
        tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok()).collect::<Vec<_>>().join(" ");
    let named = |id: &str| Some((id.parse().ok()?, name(id.parse().ok()?)?));
    all.split_whitespace().filter_map(named).collect()
}

/// The name of a process that runs.
fn name(id: u32) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    // One that has ended, and that nobody has asked for yet, is over.
    (!field("State:")?.starts_with(['Z', 'X'])).then(|| field("Name:").map(str::to_owned))?
}

#[test]
fn what_it_starts_ends_with_it_when_it_is_killed() {
    if !may_have_desk("lb_lab_killed") {
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_alveary"));
    command.args(["lb", "lab", "--connections", "60", "--etcd", "--prometheus"]);
    let mut lab = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let started = loop {
        let all = children(lab.id());
        if ["etcd", "prometheus"].iter().all(|program| all.iter().any(|(_, name)| name == program)) {
            break all;
        }
        assert!(lab.try_wait().expect("it is ours").is_none(), "it ends before it has started them: {all:?}");
        thread::sleep(Duration::from_millis(5));
    };
    lab.kill().expect("it is ours");
    lab.wait().expect("it ends");
    gone(started);
}

/// Waits until processes are over.
fn gone(started: Vec<(u32, String)>) {
    for (id, was) in started {
        // Another one may have its number by now, but hardly its name.
        let mut looks = 0;
        while name(id).is_some_and(|is| is == was) {
            assert!(looks < 6000, "{was} outlives the lab");
            looks += 1;
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn programs_that_are_missing_are_named_with_their_packages() {
    for (option, program, package) in
        [("--bgp", "bird", "bird2"), ("--etcd", "etcd", "etcd-server"), ("--prometheus", "prometheus", "prometheus")]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_alveary"));
        let output = command.args(["lb", "lab", option]).env("PATH", "/nowhere").output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("`{program}` is not installed")), "{said}");
        assert!(said.contains(&format!("apt install {package}")), "{said}");
    }
}

#[test]
fn so_do_those_by_bgp() {
    if !bpf::permitted("lb_lab_bgp") {
        return;
    }
    if Command::new("bird").arg("--version").output().is_err() {
        eprintln!("SKIP lb_lab_bgp: bird is not installed (Debian's bird2)");
        return;
    }
    let told = steps("--connections 100 --bgp");
    check(&told, 100);
    let names: Vec<_> = told.iter().filter_map(|step| step["step"].as_str()).collect();
    for name in ["it begins anew", "it is started again", "it begins anew and asks the others"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
}

/// What a lab could leave behind on the machine: named namespaces, pins, files, and notes of its balancers. Other tests have
/// theirs beside them.
fn machine() -> Vec<String> {
    let listed = |folder: &str| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path().display().to_string()).collect::<Vec<_>>()
    };
    let folders = ["/run/netns", "/sys/fs/bpf/alveary-lb", "/run/alveary", "/run/alveary-lab"];
    let is_others = |path: &String| path.starts_with("/run/alveary/") && !path.starts_with("/run/alveary/lb-lb");
    let mut all: Vec<String> = folders.into_iter().flat_map(listed).filter(|path| !is_others(path)).collect();
    all.sort();
    all
}

#[test]
fn nothing_remains_of_a_site_that_stood() {
    if !bpf::permitted("lb_lab_keep") {
        return;
    }
    let before = machine();
    let mut command = Command::new(env!("CARGO_BIN_EXE_alveary"));
    command.args(["lb", "lab", "--connections", "20", "--clients", "1", "--reals", "2", "--keep"]);
    let mut lab = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
    let mut said = BufReader::new(lab.stdout.take().expect("what it says")).lines().map_while(Result::ok);
    assert!(said.any(|line| line.starts_with("The site stands until Ctrl-C")), "it does not stand");
    let started = children(lab.id());
    assert!(started.len() >= 4, "balancers and reals: {started:?}");
    assert_eq!(machine(), before, "nothing of it is seen from outside while it stands");
    kill_process(Pid::from_child(&lab), Signal::INT).expect("it is ours");
    lab.wait().expect("it ends");
    gone(started);
    assert_eq!(machine(), before);
}
