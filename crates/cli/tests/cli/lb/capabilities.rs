//! A balancer that is nobody in particular, with three capabilities, for ever: CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON.

use super::serve::Site;
use std::{
    fs,
    os::unix::fs::chown,
    process::{Command, Stdio},
};

/// Debian's `nobody`, `nogroup`.
const NOBODY: u32 = 65534;
const THREE: &str = "-all,+bpf,+net_admin,+perfmon";

impl Site {
    /// Starts a command in the balancer's namespace as nobody, with these capabilities and no way to others.
    fn as_nobody(&self, capabilities: &str, words: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        let user = NOBODY.to_string();
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--no-new-privs"]);
        command.arg(format!("--bounding-set={capabilities}")).arg(format!("--inh-caps={capabilities}"));
        command.arg(format!("--ambient-caps={capabilities}"));
        command.arg(env!("CARGO_BIN_EXE_alveary")).arg("lb").args(words);
        command.stdin(Stdio::null());
        command
    }
}

#[test]
fn three_capabilities_are_enough() {
    if Command::new("setpriv").arg("--version").output().is_err() {
        eprintln!("SKIP lb_capabilities: setpriv (util-linux) is not installed");
        return;
    }
    let Some(mut site) = Site::new("lb_capabilities") else { return };
    let servers = [site.server(0), site.server(1)];
    site.configure("");
    // What a unit file says by RuntimeDirectory=, and by a BPF file system of the user's: folders that are its own.
    for folder in [&site.folder, &site.bpffs.path] {
        chown(folder, Some(NOBODY), Some(NOBODY)).expect("it is ours");
    }
    let run = "/run/alveary";
    fs::create_dir_all(run).expect("a folder");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "mode=0755,uid=65534", "run", run]).status();
    assert!(mounted.expect("`mount`").success(), "in a mount namespace of our own");

    let (config, bpffs) = (site.folder.join("lb.toml"), site.bpffs.path.clone());
    let (config, bpffs) = (config.to_str().expect("text"), bpffs.to_str().expect("text"));
    let words = ["serve", config, "--bpffs", bpffs];
    let start = |site: &mut Site| {
        let command = site.as_nobody(THREE, &words);
        site.start(command);
    };
    start(&mut site);
    let status = fs::read_to_string(format!("/proc/{}/status", site.process())).expect("it runs");
    let line =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
    // CAP_NET_ADMIN is 12, CAP_PERFMON 38, CAP_BPF 39.
    let three = format!("{:016x}", 1u64 << 12 | 1 << 38 | 1 << 39);
    for set in ["CapEff:", "CapPrm:", "CapBnd:"] {
        assert_eq!(line(set), three, "{set}");
    }
    assert!(line("Uid:").starts_with("65534"), "{}", line("Uid:"));

    // It checks, balances, reads its file again.
    site.until("both are well", |site| site.health().iter().all(|(health, _)| health == "up"));
    let mut open = site.connect(20);
    site.configure(
        "[[vip]]\nname = \"other\"\naddress = \"192.0.2.2\"\nport = 81\nforward = \"ip\"\nreal = [{ address = \"10.0.1.2\" }]\n\
         check = { type = \"http\", tunnel = true, interval = \"200ms\", timeout = \"200ms\" }\n",
    );
    site.until("the file is read again", |site| {
        site.status().is_some_and(|status| status["vips"][1]["name"] == "other")
    });
    assert_eq!(super::serve::answering(&mut open), 20);
    // This real takes no tunnels: that its checks went there, and were counted, is all that can be seen.
    site.until("checks go through the tunnel", |site| {
        site.status().is_some_and(|status| status["vips"][1]["reals"][0]["why"] == "no answer in time")
    });
    // Another one takes over what it has pinned, and ends it.
    site.kill();
    start(&mut site);
    assert!(site.log().contains("test: taken over"), "{}", site.log());
    assert_eq!(super::serve::answering(&mut open), 20);
    site.connect(4);
    site.kill();
    let mut stop = site.as_nobody(THREE, &["stop", "test", "--bpffs", bpffs]);
    let stopped = site.network.at(site.balancer, || stop.output()).expect("the namespace").expect("it runs");
    assert!(stopped.status.success(), "{stopped:?}");
    assert!(!site.bpffs.path.join("alveary-lb/test").exists());

    // With less it does not begin, and says what it lacks.
    for (less, name) in [("-all,+net_admin,+perfmon", "CAP_BPF"), ("-all,+bpf,+perfmon", "CAP_NET_ADMIN")] {
        let mut command = site.as_nobody(less, &words);
        let refused = site.network.at(site.balancer, || command.output()).expect("the namespace").expect("it runs");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains(name), "{name}: {said}");
    }
    drop(servers);
}
