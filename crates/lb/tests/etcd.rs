//! A real etcd (Debian's) inside TLS: who it is, and who comes.

use alveary_lb::{
    config::{Config, Etcd},
    etcd::{Found, News, fetch, follow},
};
use alveary_testing::network;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

struct Member {
    process: Child,
    folder: PathBuf,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// Somebody who signs, and two that it has signed: etcd (`server.pem`) and us (`own.pem`).
fn certificates(folder: &Path) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(DnType::CommonName, "who signs here");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    fs::write(folder.join("ca.pem"), params.self_signed(&key).expect("a certificate").pem()).expect("a file");
    let issuer = Issuer::new(params, key);
    for (name, host) in [("server", "127.0.0.1"), ("own", "balancer.example")] {
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        // The gateway of etcd comes to etcd itself with the server's.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &issuer).expect("a certificate");
        fs::write(folder.join(format!("{name}.pem")), signed.pem()).expect("a file");
        fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).expect("a file");
    }
    let stranger = rcgen::generate_simple_self_signed(vec!["ca.example".to_owned()]).expect("a certificate");
    fs::write(folder.join("stranger.pem"), stranger.cert.pem()).expect("a file");
}

impl Member {
    fn start(folder: PathBuf) -> Member {
        let url = "https://127.0.0.1:2379";
        let mut command = Command::new("etcd");
        command.args(["--listen-client-urls", url, "--advertise-client-urls", url, "--client-cert-auth"]);
        for peers in ["--listen-peer-urls", "--initial-advertise-peer-urls"] {
            command.args([peers, "http://127.0.0.1:2380"]);
        }
        command.args(["--initial-cluster", "default=http://127.0.0.1:2380"]);
        for (word, file) in [
            ("--trusted-ca-file", "ca.pem"),
            ("--cert-file", "server.pem"),
            ("--key-file", "server.key"),
            ("--data-dir", "data"),
        ] {
            command.arg(word).arg(folder.join(file));
        }
        let log = fs::File::create(folder.join("log")).expect("a file");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("twice")).stderr(log);
        Member { process: command.spawn().expect("it runs"), folder }
    }

    fn put(&self, value: &str) -> bool {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", "https://127.0.0.1:2379"]);
        for (word, file) in [("--cacert", "ca.pem"), ("--cert", "own.pem"), ("--key", "own.key")] {
            command.arg(word).arg(self.folder.join(file));
        }
        command.args(["put", "/alveary/lb/main", value]).output().expect("it runs").status.success()
    }

    /// The table `[etcd]` of a balancer.
    fn etcd(&self, scheme: &str, more: &str) -> Etcd {
        let more = more.replace('@', &self.folder.display().to_string());
        let text =
            format!("[balancer]\ndevices = [\"eth0\"]\n[etcd]\nendpoints = [\"{scheme}://127.0.0.1:2379\"]\n{more}");
        let config = Config::read("lb.toml", &text).unwrap_or_else(|faults| panic!("{faults:#?}"));
        config.etcd.expect("it is there")
    }
}

#[test]
fn etcd_is_who_its_certificate_says_and_wants_to_know_us() {
    for program in ["etcd", "etcdctl"] {
        if Command::new(program).arg("--version").env("ETCDCTL_API", "2").output().is_err() {
            eprintln!("SKIP lb_etcd_tls: {program} is not installed (Debian's etcd-server, etcd-client)");
            return;
        }
    }
    if let Err(why) = network::enter() {
        eprintln!("SKIP lb_etcd_tls: no network of its own: {why}");
        return;
    }
    network::ip("link set lo up");
    let folder = std::env::temp_dir().join(format!("alveary-lb-etcd-tls-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    certificates(&folder);
    let member = Member::start(folder);
    let mut tries = 0;
    while !member.put("one") {
        tries += 1;
        assert!(tries < 600, "{}", fs::read_to_string(member.folder.join("log")).unwrap_or_default());
        thread::sleep(Duration::from_millis(50));
    }
    let shown = "certificate = \"@/own.pem\"\ncertificate-key = \"@/own.key\"\n";
    let known = member.etcd("https", &format!("ca = \"@/ca.pem\"\n{shown}"));
    let found = fetch(&known).expect("it answers").expect("the key is there");
    assert_eq!(found.text.as_deref(), Some("one"));

    // It is watched inside TLS, too.
    let (told, news) = mpsc::channel();
    let etcd = known.clone();
    let revision = found.revision;
    // Threads are in the network of who begins them.
    let watch = thread::spawn(move || {
        follow(&etcd, revision, |news| {
            told.send(news).expect("it is heard");
            false
        });
    });
    assert!(member.put("two"));
    let said = news.recv_timeout(Duration::from_secs(60)).expect("it is told");
    assert_eq!(said, News::Value(Found { text: Some("two".into()), revision: revision + 1 }));
    watch.join().expect("it ends");

    // Who is signed by a stranger is not believed; who shows nothing is not answered, nor who speaks in clear.
    let said = |etcd: &Etcd| fetch(etcd).expect_err("it fails").to_string();
    let stranger = said(&member.etcd("https", &format!("ca = \"@/stranger.pem\"\n{shown}")));
    assert!(stranger.ends_with("the certificate is signed by nobody who is trusted"), "{stranger}");
    let nobody = said(&member.etcd("https", "ca = \"@/ca.pem\"\n"));
    assert!(nobody.contains("TLS") || nobody.contains("ends the conversation"), "{nobody}");
    let clear = said(&member.etcd("http", ""));
    assert!(clear.starts_with("etcd at 127.0.0.1:2379"), "{clear}");
}
