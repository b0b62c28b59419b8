//! One process serves a balancer; one that cannot leaves everything as it was; and `stop` ends it.

use super::serve::{Site, answering};
use alveary_linux::{attach::Device, netlink::device_xdp};
use std::{fs, net::TcpListener, os::unix::fs::MetadataExt, path::Path, time::Duration};

/// The program of the balancer's device.
fn program(site: &Site) -> Option<u32> {
    let of = || device_xdp(Device::named("eth0").expect("it is there").index).progs.first().map(|(_, id)| *id);
    site.network.at(site.balancer, of).expect("the namespace")
}

/// The pins of a balancer: each by its name and file.
fn pins(folder: &Path) -> Vec<(String, u64)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut pins: Vec<_> = entries
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.metadata().expect("it is there").ino()))
        .collect();
    pins.sort();
    pins
}

#[test]
fn a_second_process_is_refused_and_stop_ends_the_first() {
    let Some(mut site) = Site::new("lb_owner") else { return };
    let _servers = [site.server(0), site.server(1)];
    site.configure("");
    site.serve();
    site.until("both are well", |site| site.health().iter().all(|(health, _)| health == "up"));
    let mut open = site.connect(20);
    let pid = site.served.as_ref().expect("it runs").id();
    let folder = site.bpffs.path.join("alveary-lb/test");
    let (program_before, pins_before) = (program(&site), pins(&folder));
    assert!(program_before.is_some());

    // Another configuration of the same name.
    site.replace("name = \"two\", address", "name = \"other\", address");
    site.replace("slots = 200000", "slots = 190000");
    let said = site.serves_not();
    assert!(said.contains("is served already") && said.contains(&format!("process {pid}")), "{said}");
    assert!(said.contains("alveary lb reload --name test") && said.contains("alveary lb stop test"), "{said}");
    assert_eq!((program(&site), pins(&folder)), (program_before, pins_before));
    assert_eq!(answering(&mut open), 20);

    // Without its socket's name: it has noted where it answers. But another one of this name may have noted so, too.
    let stop = |site: &Site, words: &[&str]| {
        let output = site.command(words).arg("--bpffs").arg(&site.bpffs.path).output().expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (stopped, why) = stop(&site, &["stop"]);
    assert!(!stopped && why.contains("there is no balancer `main`"), "{why}");
    let root = site.bpffs.path.display();
    assert!(why.contains(&format!("no {root}/alveary-lb/main; nobody answers at ")), "{why}");
    assert!(why.contains(&format!("`test` is there: `alveary lb stop test --bpffs {root}`")), "{why}");
    let (stopped, why) = stop(&site, &["stop", "../test"]);
    assert!(!stopped && why.contains("letters, digits, - and _"), "{why}");
    let socket = site.folder.join("lb.sock");
    let (stopped, why) = stop(&site, &["stop", "test", "--socket", &socket.display().to_string()]);
    assert!(stopped, "{why}");
    let ended = site.served.take().expect("it runs").try_wait().expect("it is ours");
    assert!(ended.is_some_and(|status| status.success()), "it has ended: {ended:?}");
    assert!(site.log().contains("Z test: stopped: its program is detached"), "{}", site.log());
    assert!(!folder.exists() && !socket.exists());
    assert_eq!((program(&site), answering(&mut open[..1])), (None, 0));
}

#[test]
fn a_balancer_that_cannot_begin_leaves_everything_as_it_was() {
    let Some(mut site) = Site::new("lb_begin") else { return };
    let _servers = [site.server(0), site.server(1)];
    let folder = site.bpffs.path.join("alveary-lb/test");
    let taken = site.network.at(site.balancer, || TcpListener::bind("127.0.0.1:9202").expect("a port"));
    let _taken = taken.expect("the namespace");
    let refusals = [
        ("127.0.0.1:9200\"", "127.0.0.1:9200\"\ntoken = \"/nonexistent/token\"", "/nonexistent/token"),
        ("127.0.0.1:9200", "127.0.0.1:9202", "127.0.0.1:9202"),
        ("[\"eth0\"]", "[\"eth0\", \"eth9\"]", "eth9"),
        ("reals = 16", "reals = 1", "reals"),
        (
            "[api]",
            "[sync]\nlisten = \"127.0.0.1:0\"\npeers = \"127.0.0.1:7\"\nkey = \"/nonexistent/key\"\n[api]",
            "/nonexistent/key",
        ),
    ];
    // Where nothing was there is nothing.
    for (what, by, why) in refusals {
        site.configure("");
        site.replace(what, by);
        let said = site.serves_not();
        assert!(said.contains(why), "{why}: {said}");
        assert!(!folder.exists() && program(&site).is_none() && !site.folder.join("lb.sock").exists(), "{why}");
    }
    // A device that somebody else has: with the generic XDP of lo.
    site.configure("");
    site.replace("[\"eth0\"]", "[\"eth0\", \"lo\"]");
    let object = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/lb-decap.bpf.o");
    let pin = site.bpffs.path.join("other");
    let others = |site: &Site, words: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_alveary"));
        let output = site.network.at(site.balancer, || command.args(words).output()).expect("the namespace");
        let output = output.expect("it runs");
        assert!(output.status.success(), "{output:?}");
    };
    let pin = pin.display().to_string();
    others(&site, &["prog", "load", object, &pin]);
    others(&site, &["net", "attach", "xdpgeneric", "pinned", &pin, "dev", "lo"]);
    let said = site.serves_not();
    assert!(said.contains("lo") && said.contains("`alveary net show dev lo`"), "{said}");
    assert!(!said.contains("--replace"), "what `lb serve` does not know: {said}");
    assert!(!folder.exists() && program(&site).is_none(), "{said}");

    // A process that was killed: what it left goes on, as it was.
    site.configure("");
    site.serve();
    site.until("both are well", |site| site.health().iter().all(|(health, _)| health == "up"));
    let mut open = site.connect(20);
    assert!(!alveary_lb::instance::goes_on(&site.bpffs.path, "test"), "a process serves it");
    site.kill();
    assert!(alveary_lb::instance::goes_on(&site.bpffs.path, "test"), "nobody does");
    // Who would begin another one there is told which it is.
    site.configure("");
    site.replace("name = \"test\"", "name = \"other\"");
    let said = site.serves_not();
    assert!(said.contains("the balancer `test` balances there: `alveary lb stop test"), "{said}");
    let (program_before, pins_before) = (program(&site), pins(&folder));
    for (what, by, why) in refusals.into_iter().chain([("[\"eth0\"]", "[\"eth0\", \"lo\"]", "lo")]) {
        site.configure("");
        site.replace("name = \"two\", address = \"10.0.2.2\", port = 8080", "name = \"two\", address = \"10.0.2.9\"");
        site.replace(what, by);
        let said = site.serves_not();
        assert!(said.contains(why), "{why}: {said}");
        assert_eq!((program(&site), &pins(&folder)), (program_before, &pins_before), "{why}");
        assert_eq!(answering(&mut open), 20, "{why}");
    }
    others(&site, &["net", "detach", "xdpgeneric", "dev", "lo"]);
    fs::remove_file(&pin).expect("it is ours");

    // And is taken over then; a device comes and goes while it runs.
    site.configure("");
    site.serve();
    assert!(site.log().contains("test: taken over"), "{}", site.log());
    let link = folder.join("link-lo");
    site.replace("[\"eth0\"]", "[\"eth0\", \"lo\"]");
    site.until("another device is taken", |_| link.exists());
    let of_lo = || device_xdp(Device::named("lo").expect("it is there").index).progs.len();
    assert_eq!(site.network.at(site.balancer, of_lo).expect("the namespace"), 1);
    site.replace("[\"eth0\", \"lo\"]", "[\"eth0\"]");
    site.until("it is given back", |_| !link.exists());
    assert_eq!(site.network.at(site.balancer, of_lo).expect("the namespace"), 0);
    assert!(program(&site).is_some());
    open.iter().for_each(|(stream, _)| stream.set_read_timeout(Some(Duration::from_secs(10))).expect("patience"));
    assert_eq!(answering(&mut open), 20);
}

#[test]
fn what_waits_and_what_is_silent_is_said() {
    let Some(mut site) = Site::new("lb_says") else { return };
    let servers = [site.server(0)];
    site.configure(
        "[[vip]]\nname = \"other\"\naddress = \"192.0.2.2\"\nport = 81\nreal = [\n\
                    { name = \"two\", address = \"10.0.2.2\", port = 8080 }]\n",
    );
    site.serve();
    site.until("both have been looked at", |site| {
        site.health().iter().map(|(health, _)| health.as_str()).eq(["up", "down"])
    });
    // One that is down from the start is told of, with the time.
    let log = site.log();
    let line = log.lines().find(|line| line.contains("web: two is down")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.starts_with("20") && line.as_bytes()[10] == b'T' && line.contains("Z web: two"), "{line}");

    // A change that waits is said with its line; one that cannot be taken is refused with its own.
    site.replace("mode = \"generic\"", "mode = \"native\"");
    site.replace("reals = 16", "reals = 32");
    let said = site.ask(&["reload"]);
    assert!(
        said.contains("lb.toml:4:8") && said.contains("`mode` in [balancer] waits until `alveary lb stop`"),
        "{said}"
    );
    assert!(said.contains("lb.toml:11:9") && said.contains("`reals` in [limits] waits"), "{said}");
    site.replace("source = ", "seed = 7\nsource = ");
    let said = site.ask(&["reload"]);
    assert!(said.contains("lb.toml:5:8") && said.contains("`seed` in [balancer] is set when it begins"), "{said}");
    site.replace("seed = 7\n", "");
    assert!(site.ask(&["reload"]).contains("`mode`"), "it waits still");
    site.replace("mode = \"native\"", "mode = \"generic\"");
    site.replace("reals = 32", "reals = 16");
    assert_eq!(site.ask(&["reload"]), "");

    // Drained in all VIPs that have it; and the last one of a VIP.
    let said = site.ask(&["drain", "two"]);
    assert!(said.contains("`two` is a real of several VIPs") && said.contains("other, web"), "{said}");
    let said = site.ask(&["drain", "one", "--within", "30s"]);
    assert!(said.contains("web: none of its reals takes new connections"), "{said}");
    let log = site.log();
    assert!(log.contains("web: one is drained, its connections have 30 s"), "{log}");
    assert!(log.contains("web: none of its reals takes new connections"), "{log}");
    for (words, why) in [
        (["undrain", "tow", "--vip", "web"], "the VIP `web` has no real `tow`; did you mean `two`?"),
        (["undrain", "one", "--vip", "other"], "the VIP `other` has no real `one`; it is a real of `web`"),
        (["drain", "one", "--vip", "wbe"], "no VIP with reals is called `wbe`; did you mean `web`?"),
    ] {
        let said = site.ask(&words);
        assert!(said.contains(why), "{said}");
    }
    assert!(site.ask(&["undrain", "one"]).is_empty());
    assert!(site.ask(&["undrain", "one"]).contains("the real `one` is there and not drained: `web`"));
    drop(servers);
}

/// In a container the process has another number than on the machine: `stop`, which named it by that, was refused.
#[test]
fn a_balancer_in_a_container_is_stopped_from_the_machine() {
    let Some(mut site) = Site::new("lb_container") else { return };
    let _servers = [site.server(0), site.server(1)];
    site.configure("");
    let mut command = std::process::Command::new("unshare");
    command.args([
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--",
        env!("CARGO_BIN_EXE_alveary"),
        "lb",
        "serve",
    ]);
    command.arg(site.folder.join("lb.toml")).arg("--bpffs").arg(&site.bpffs.path);
    site.start(command);
    let stop = |site: &Site, socket: &Path| {
        let mut command = site.command(&["stop", "test", "--bpffs"]);
        let output = command.arg(&site.bpffs.path).arg("--socket").arg(socket).output().expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    // Where nobody answers it is told who should.
    let (stopped, why) = stop(&site, &site.folder.join("none.sock"));
    assert!(!stopped && why.contains("serves it; if it does not answer: kill "), "{why}");
    let (stopped, why) = stop(&site, &site.folder.join("lb.sock"));
    assert!(stopped, "{why}");
    let ended = site.served.take().expect("it runs").wait().expect("it is ours");
    assert!(ended.success(), "{ended:?}");
    assert!(site.log().contains("stopped: its program is detached") && program(&site).is_none(), "{}", site.log());
}

/// Another balancer of this name, pinned elsewhere, answers at the socket.
#[test]
fn a_balancer_that_is_not_meant_is_not_stopped() {
    let Some(mut site) = Site::new("lb_meant") else { return };
    let _servers = [site.server(0), site.server(1)];
    site.configure("");
    site.serve();
    let Some(other) = alveary_testing::BpfFs::mount("lb_meant_other") else { return };
    let mut owner = alveary_lb::owner::Owner::take(&other.path, "test").expect("it is free");
    owner.keep();
    let mut command = site.command(&["stop", "test", "--bpffs"]);
    let output = command.arg(&other.path).arg("--socket").arg(site.folder.join("lb.sock")).output().expect("it runs");
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && why.contains("whose balancer `test` is pinned elsewhere"), "{why}");
    assert!(program(&site).is_some() && site.status().is_some());
}

/// A process that is killed leaves its socket; who stops its balancer removes that, too.
#[test]
fn the_socket_of_a_killed_process_goes_with_its_balancer() {
    let Some(mut site) = Site::new("lb_left") else { return };
    let _servers = [site.server(0), site.server(1)];
    site.configure("");
    // Names of notes are the machine's: nobody else's test may have this one.
    site.replace("name = \"test\"", "name = \"lb-left\"");
    site.serve();
    site.kill();
    let socket = site.folder.join("lb.sock");
    assert!(socket.exists(), "nobody could remove it");
    let output = site.command(&["stop", "lb-left", "--bpffs"]).arg(&site.bpffs.path).output().expect("it runs");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(!socket.exists() && program(&site).is_none());
}
