//! Routes of a balancer, by a BIRD that only notes what it is told.

use super::serve::{Site, answering};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixListener,
    process::Stdio,
    sync::{Arc, Mutex, atomic::Ordering},
    thread,
};

/// What BIRD was told each time: whether there was a route, and whether the balancer's program was attached by then.
type Told = Arc<Mutex<Vec<(bool, bool)>>>;

/// Answers at the socket as BIRD does.
fn bird(site: &Site, name: &str) -> Told {
    let (socket, file) = (site.folder.join("bird.ctl"), site.folder.join("routes.conf"));
    let link = site.bpffs.path.join("alveary-lb").join(name).join("link-eth0");
    let (listener, told) = (UnixListener::bind(socket).expect("a socket"), Told::default());
    let notes = told.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("someone");
            stream.write_all(b"0001 BIRD ready.\n").expect("a greeting");
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).expect("a command");
            assert_eq!(line, "configure\n");
            let text = fs::read_to_string(&file).expect("the file");
            notes.lock().expect("notes").push((text.contains("route 192.0.2.1/32"), link.exists()));
            // Who asked may have been killed.
            let _ = stream.write_all(b"0003 Reconfigured\n");
        }
    });
    told
}

/// A `stop` that was refused since BIRD did not answer was told to BIRD nevertheless, when that came back.
#[test]
fn a_stop_that_is_refused_withdraws_nothing() {
    let Some(mut site) = Site::new("lb_routes_refused") else { return };
    let _servers = [site.server(0), site.server(1)];
    let name = format!("refused-{}", std::process::id());
    let socket = site.folder.join("bird.ctl");
    site.configure(&format!(
        "[announce]\nfile = {:?}\nbird = {socket:?}\nlinger = \"1ms\"\n",
        site.folder.join("routes.conf")
    ));
    site.replace("name = \"test\"", &format!("name = \"{name}\""));
    site.serve();
    site.until("both are well", |site| site.health().iter().all(|(health, _)| health == "up"));
    site.until("its address waits for BIRD", |site| {
        fs::read_to_string(site.folder.join("routes.conf")).is_ok_and(|text| text.contains("route 192.0.2.1/32"))
    });
    let stopped = site.command(&["stop", &name, "--bpffs"]).arg(&site.bpffs.path).output().expect("it runs");
    let why = String::from_utf8_lossy(&stopped.stderr).into_owned();
    assert!(!stopped.status.success() && why.contains("packets go on being balanced"), "{why}");
    let told = bird(&site, &name);
    site.until("BIRD is told", |_| !told.lock().expect("notes").is_empty());
    assert!(told.lock().expect("notes").iter().all(|told| *told == (true, true)), "{told:?}");
    assert_eq!(site.status().expect("it answers")["announce"]["withdrawn"], false);
    let stopped = site.command(&["stop", &name, "--bpffs"]).arg(&site.bpffs.path).output().expect("it runs");
    assert!(stopped.status.success(), "{stopped:?}");
    assert_eq!(told.lock().expect("notes").last(), Some(&(false, true)));
}

/// A device that was deleted and came back had no program until somebody read the file anew, and its routes stood.
#[test]
fn a_device_that_comes_back_is_balanced_again() {
    let Some(mut site) = Site::new("lb_comes_back") else { return };
    let _servers = [site.server(0), site.server(1)];
    let name = format!("back-{}", std::process::id());
    let (bird_at, file) = (site.folder.join("bird.ctl"), site.folder.join("routes.conf"));
    site.configure(&format!("[announce]\nfile = {file:?}\nbird = {bird_at:?}\nlinger = \"1ms\"\n"));
    site.replace("name = \"test\"", &format!("name = \"{name}\""));
    // Reals that are well whatever the checks would say.
    site.replace("check = { type = \"tcp\", interval = \"50ms\" }\n", "");
    let told = bird(&site, &name);
    let last = |site: &Site| (told.lock().expect("notes").last().copied(), site.log().matches("attached to").count());
    site.serve();
    site.until("its address is announced", |site| last(site).0 == Some((true, true)));
    site.ip("link del eth0");
    site.until("its routes are withdrawn", |site| last(site).0.is_some_and(|(route, _)| !route));
    let (router, balancer) = (site.router, site.balancer);
    site.network.pair([(router, "lb"), (balancer, "eth0")]).expect("a pair");
    site.network.leaf([(router, "lb"), (balancer, "eth0")], "10.0.9").expect("addresses");
    site.network.route(router, "192.0.2.0/24", "lb", Some("10.0.9.2")).expect("a route");
    site.until("it is announced again", |site| last(site) == (Some((true, true)), 1));
    assert_eq!(answering(&mut site.connect(20)), 20);
    let log = site.log();
    assert!(log.contains("`eth0` is gone: no packets come by it") && log.contains("`eth0` is back"), "{log}");
}

#[test]
fn old_routes_are_forgotten_and_withdrawn_ones_stay_away() {
    let Some(mut site) = Site::new("lb_routes") else { return };
    let _servers = [site.server(0), site.server(1)];
    // Notes of balancers are in a folder of the whole machine.
    let name = format!("routes-{}", std::process::id());
    site.configure(&format!(
        "[announce]\nfile = {:?}\nbird = {:?}\nlinger = \"1ms\"\n",
        site.folder.join("routes.conf"),
        site.folder.join("bird.ctl")
    ));
    let path = site.folder.join("lb.toml");
    let text = fs::read_to_string(&path).expect("the configuration");
    fs::write(&path, text.replace("name = \"test\"", &format!("name = \"{name}\""))).expect("it is written");
    // Of a life that ended with the machine.
    fs::write(site.folder.join("routes.conf"), "route 192.0.2.1/32 blackhole;\n").expect("a file");
    let told = bird(&site, &name);
    let last = || told.lock().expect("notes").last().copied();

    site.serve();
    site.until("its address is announced", |_| last() == Some((true, true)));
    assert_eq!(told.lock().expect("notes")[0], (false, false), "the old route goes before packets are taken");

    assert!(!site.ask(&["withdraw"]).contains("error"));
    assert_eq!(last(), Some((false, true)));
    site.kill();
    let before = told.lock().expect("notes").len();
    site.serve();
    site.until("BIRD is told", |_| told.lock().expect("notes").len() > before);
    site.until("both are well", |site| site.health().iter().all(|(health, _)| health == "up"));
    assert!(told.lock().expect("notes")[before..].iter().all(|told| *told == (false, true)), "{told:?}");
    assert_eq!(site.status().expect("it answers")["announce"]["withdrawn"], true);

    assert!(!site.ask(&["announce"]).contains("error"));
    assert_eq!(last(), Some((true, true)));
    let stopped = site.command(&["stop", &name, "--bpffs"]).arg(&site.bpffs.path).output().expect("it runs");
    assert!(stopped.status.success(), "{stopped:?}");
    assert_eq!(last(), Some((false, true)));
}

/// While routers hear that routes are withdrawn, nothing but that was done: no question answered, no real checked, no signal heard.
#[test]
fn while_routers_hear_of_it_everything_else_goes_on() {
    let Some(mut site) = Site::new("lb_linger") else { return };
    let servers = [site.server(0), site.server(1)];
    let name = format!("linger-{}", std::process::id());
    // So long that it is not over by itself.
    site.configure(&format!(
        "[announce]\nfile = {:?}\nbird = {:?}\nlinger = \"30s\"\n",
        site.folder.join("routes.conf"),
        site.folder.join("bird.ctl")
    ));
    site.replace("name = \"test\"", &format!("name = \"{name}\""));
    let told = bird(&site, &name);
    let last = || told.lock().expect("notes").last().copied();
    site.serve();
    site.until("its address is announced", |_| last() == Some((true, true)));
    let stop = |site: &Site| {
        let mut command = site.command(&["stop", &name, "--bpffs"]);
        command.arg(&site.bpffs.path).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
    };
    let stops = [stop(&site), stop(&site)];
    site.until("routes are withdrawn", |_| last() == Some((false, true)));

    // It answers, and says what it does.
    assert_eq!(site.status().expect("it answers")["announce"]["withdrawn"], true);
    assert!(site.ask(&["announce"]).contains("the balancer is being stopped"));
    // It checks reals, and sends connections elsewhere; it reads its configuration.
    servers[1].store(false, Ordering::Relaxed);
    site.until("a real that is gone is seen", |site| {
        site.health().iter().map(|(health, _)| health.as_str()).eq(["up", "down"])
    });
    assert_eq!(answering(&mut site.connect(8)), 8);
    site.replace("connections = 10000", "connections = 20000");
    assert!(site.ask(&["reload"]).contains("`connections` in [limits] waits"), "{}", site.log());
    assert_eq!(last(), Some((false, true)), "routes stay withdrawn");

    // It ends when it is told to, with packets going on, and who waits for the other end hears so.
    site.terminate();
    for stop in stops {
        let output = stop.wait_with_output().expect("it ends");
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && why.contains("was told to end before the balancer did"), "{why}");
    }
    assert!(site.bpffs.path.join("alveary-lb").join(&name).join("link-eth0").exists());

    // The next one announces again; and a short time passes by itself.
    site.replace("linger = \"30s\"", "linger = \"50ms\"");
    site.serve();
    site.until("its address is announced", |_| last() == Some((true, true)));
    let output = stop(&site).wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(last(), Some((false, true)));
    assert!(!site.bpffs.path.join("alveary-lb").join(&name).exists());
}
