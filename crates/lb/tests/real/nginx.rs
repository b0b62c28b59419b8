//! Debian's nginx as reals.

use crate::site::{Site, WEB};
use alveary_lb::{check::check, wanted::Standing};
use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Servers, and their files, which end with the test.
struct Servers(Vec<Child>, PathBuf);

impl Drop for Servers {
    fn drop(&mut self) {
        for server in &mut self.0 {
            server.kill().ok();
            server.wait().ok();
        }
        fs::remove_dir_all(&self.1).ok();
    }
}

/// One nginx in one process, which says its number.
fn start(site: &Site, number: usize, folder: &Path) -> Child {
    let own = folder.join(number.to_string());
    fs::create_dir_all(&own).expect("a folder");
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|what| format!("{what}_temp_path {}/{what};\n", own.display()))
        .collect();
    let text = format!(
        "daemon off;\nmaster_process off;\npid {0}/pid;\nerror_log {0}/log;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}\
         server {{\nlisten 10.0.{1}.2:{WEB};\nserver_name web.example;\nlocation / {{ return 200 \"{number}\"; }}\n}}\n}}\n",
        own.display(),
        number + 1,
    );
    fs::write(own.join("nginx.conf"), text).expect("a file");
    let mut command = Command::new("nginx");
    command.arg("-c").arg(own.join("nginx.conf")).arg("-p").arg(&own);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    site.network.at(site.reals[number], || command.spawn()).expect("the namespace").expect("it runs")
}

/// What a check of a real says.
fn said(site: &Site, number: usize) -> Result<(), String> {
    let vip = site.config.vips.iter().find(|vip| vip.ports == [WEB]).expect("it is there");
    let how = vip.check.as_ref().expect("a check");
    site.network.at(site.balancer, || check(how, vip.reals[number].address, WEB, None)).expect("the namespace")
}

/// Which servers answer so many requests to the VIP, each in a connection of its own.
fn answer(site: &Site, count: usize) -> BTreeSet<String> {
    let to: SocketAddr = format!("192.0.2.1:{WEB}").parse().expect("an address");
    let one = || {
        let mut stream = TcpStream::connect_timeout(&to, PATIENCE).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("patience");
        stream.write_all(b"GET / HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\nServer: nginx"), "{answer}");
        answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
    };
    site.network.at(site.client, || (0..count).map(|_| one()).collect()).expect("the namespace")
}

#[test]
fn nginx_is_checked_and_balanced() {
    if Command::new("nginx").arg("-v").output().is_err() {
        eprintln!("SKIP lb_nginx: nginx is not installed");
        return;
    }
    let Some(site) = Site::new("lb_nginx") else { return };
    let folder = std::env::temp_dir().join(format!("alveary-lb-nginx-files-{}", std::process::id()));
    let mut servers = Servers(Vec::new(), folder.clone());
    assert_eq!(said(&site, 0), Err("the connection is refused".into()), "nobody is there yet");
    for number in [0, 1] {
        servers.0.push(start(&site, number, &folder));
        let mut tries = 0;
        while said(&site, number).is_err() {
            tries += 1;
            assert!(tries < 400, "{:?}", fs::read_to_string(folder.join(format!("{number}/log"))));
            thread::sleep(Duration::from_millis(25));
        }
    }
    let both: BTreeSet<String> = ["0".to_owned(), "1".to_owned()].into();
    assert_eq!(answer(&site, 60), both);

    // One ends: its check says so, and what that leads to is that all go to the other one.
    servers.0[1].kill().expect("it is ours");
    servers.0[1].wait().expect("it ends");
    assert_eq!(said(&site, 1), Err("the connection is refused".into()));
    site.stand(&|_, real| if real == 1 { Standing::GONE } else { Standing::WELL });
    assert_eq!(answer(&site, 40), ["0".to_owned()].into());
}
