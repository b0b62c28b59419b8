//! `lb status --watch`, on a terminal of its own; the balancer is one that always says the same.

use alveary_lb::http::{Answer, converse};
use std::{
    io::Write,
    os::unix::net::UnixListener,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

#[test]
fn watched_a_status_has_a_screen_of_its_own() {
    let socket = std::env::temp_dir().join(format!("alveary-lb-watch-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).expect("a socket");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let real = serde_json::json!({ "name": "10.0.0.11", "health": "up", "slots": 1, "packets": 7 });
            let vip = serde_json::json!({ "name": "web", "slots": 1, "reals": [real] });
            let status = serde_json::json!({ "name": "edge", "devices": ["eth7"], "vips": [vip], "verdicts": [] });
            let _ = converse(&mut stream, |_| Answer::json(&status));
        }
    });
    let status = format!("{} lb status --socket {}", env!("CARGO_BIN_EXE_alveary"), socket.display());
    let refused = Command::new("sh").args(["-c", &format!("{status} --watch | cat; {status} --watch --json")]).output();
    let refused = refused.expect("a shell");
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("takes a terminal"), "{why}");
    let mut script = Command::new("script");
    let watch = format!("stty cols 60 rows 12; {status} --watch");
    let script = script.args(["-qec", &watch, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = script.spawn() else {
        eprintln!("SKIP watched_a_status_has_a_screen_of_its_own: `script` is not installed");
        return;
    };
    child.stdin.take().expect("it is piped").write_all(b"jq").expect("it reads keys");
    let output = child.wait_with_output().expect("`q` ends it");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    let (_, screen) = told.split_once("\x1b[?1049h").expect("another screen");
    assert!(screen.contains("edge on eth7") && screen.contains("10.0.0.11") && screen.contains("q ends"), "{screen}");
    assert!(screen.trim_end().ends_with("\x1b[?1049l"), "and back: {screen}");
    let _ = std::fs::remove_file(&socket);
}

#[test]
fn a_balancer_that_hangs_keeps_nobody_at_its_screen() {
    let socket = std::env::temp_dir().join(format!("alveary-lb-hangs-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).expect("a socket");
    let (came, comes) = mpsc::channel();
    thread::spawn(move || {
        let mut held = Vec::new();
        for (number, mut stream) in listener.incoming().flatten().enumerate() {
            if number == 0 {
                let status = serde_json::json!({ "name": "edge", "devices": [], "vips": [], "verdicts": [] });
                let _ = converse(&mut stream, |_| Answer::json(&status));
            } else {
                held.push(stream);
                let _ = came.send(());
            }
        }
    });
    let status = format!("{} lb status --watch --socket {}", env!("CARGO_BIN_EXE_alveary"), socket.display());
    let mut script = Command::new("script");
    let script = script.args(["-qec", &status, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let Ok(mut child) = script.spawn() else {
        eprintln!("SKIP a_balancer_that_hangs_keeps_nobody_at_its_screen: `script` is not installed");
        return;
    };
    comes.recv_timeout(Duration::from_secs(60)).expect("it asks again");
    child.stdin.take().expect("it is piped").write_all(b"q").expect("it reads keys");
    // A client has patience for a minute.
    let ended = (0..600).any(|_| {
        thread::sleep(Duration::from_millis(50));
        child.try_wait().expect("it is ours").is_some()
    });
    let _ = child.kill();
    assert!(ended, "`q` ends it though nobody answers");
    let _ = std::fs::remove_file(&socket);
}
