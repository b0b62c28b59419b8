//! Who is answered, and who is not: by token, by certificate, from this machine.

use super::*;
use crate::{http::ask, tls::Trust};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};
use std::{
    cell::{Cell, RefCell},
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

const TOKEN_SAID: &str = "a-token-of-many-letters";

/// A folder with certificates: `ca.pem`, and `server` and `client` that it has signed, for localhost.
struct Folder {
    path: PathBuf,
    answered: RefCell<Vec<Answered>>,
    metrics: Cell<Option<SocketAddr>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = Folder {
            path: std::env::temp_dir().join(format!("alveary-lb-api-{}-{number}", std::process::id())),
            answered: RefCell::default(),
            metrics: Cell::default(),
            log: Arc::default(),
        };
        fs::create_dir_all(&folder.path).expect("a folder");
        folder.sign();
        folder.write("token", TOKEN_SAID);
        folder
    }

    /// An authority, a server and a client, all of them new.
    fn sign(&self) {
        let folder = self;
        let mut own = CertificateParams::default();
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(own, KeyPair::generate().expect("a key")).expect("a certificate");
        folder.write("ca.pem", &ca.pem());
        for name in ["server", "client"] {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
            let signed = params.signed_by(&key, &ca).expect("a certificate");
            folder.write(&format!("{name}.pem"), &signed.pem());
            folder.write(&format!("{name}.key"), &key.serialize_pem());
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
    }

    /// Listens at a loopback address, with these words in `[api]`, in which `DIR` is the folder.
    fn listens(&self, words: &str) -> Result<SocketAddr> {
        let text = format!(
            "[balancer]\ndevices = [\"eth0\"]\n[api]\nsocket = \"DIR/lb.sock\"\naddress = \"127.0.0.1:0\"\n{words}"
        );
        let text = text.replace("DIR", &self.path.display().to_string());
        let read = Config::read_placed("lb.toml", &text, None);
        let (config, places) = read.unwrap_or_else(|faults| panic!("{faults:#?}"));
        let said = |request: Request| Answer::json(&serde_json::json!(request.method));
        let doors = open(&config, &places)?;
        let at = doors.listening;
        let said_of_keys = self.log.clone();
        let answered = doors.answer(said, move |line| said_of_keys.lock().expect("it is whole").push(line))?;
        self.answered.borrow_mut().push(answered);
        self.metrics.set(at.metrics);
        Ok(at.address.expect("an address"))
    }

    /// What a client of TLS speaks that shows a certificate, or none.
    fn speaks(&self, shows: Option<&str>) -> Arc<ClientConfig> {
        use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
        let Some(name) = shows else { return tls::client(&Trust::File(self.path("ca.pem"))).expect("certificates") };
        let mut roots = rustls::RootCertStore::empty();
        let read = |file: &str| CertificateDer::from_pem_file(self.path(file)).expect("a certificate");
        roots.add(read("ca.pem")).expect("it can sign");
        let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let client = client.expect("versions").with_root_certificates(roots);
        Arc::new(client.with_client_auth_cert(vec![read(&format!("{name}.pem"))], key).expect("its key"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The status of what is answered to a request.
fn status(stream: &mut (impl Read + Write), request: &str) -> io::Result<u16> {
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(|| ErrorKind::InvalidData.into())
}

fn plain(to: SocketAddr, request: &str) -> io::Result<u16> {
    status(&mut TcpStream::connect(to)?, request)
}

fn inside(to: SocketAddr, speaks: Arc<ClientConfig>, request: &str) -> io::Result<u16> {
    let client = ClientConnection::new(speaks, ServerName::try_from("localhost").expect("a name")).expect("a client");
    status(&mut StreamOwned::new(client, TcpStream::connect(to)?), request)
}

fn request(method: &str, host: &str, token: Option<&str>) -> String {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!("{method} /v1/status HTTP/1.1\r\nHost: {host}\r\n{token}Content-Length: 0\r\n\r\n")
}

#[test]
fn without_a_token_this_machine_may_look_and_change_nothing() {
    let folder = Folder::new();
    let at = folder.listens("").expect("it listens");
    assert_eq!(plain(at, &request("GET", "localhost:1", None)).expect("an answer"), 200);
    assert_eq!(plain(at, &request("POST", "127.0.0.1", None)).expect("an answer"), 403);
    // A page of somebody else's, which a browser here shows under a name that leads here.
    assert_eq!(plain(at, &request("GET", "evil.example", None)).expect("an answer"), 403);
    let mut unix = UnixStream::connect(folder.path("lb.sock")).expect("the socket");
    assert_eq!(ask(&mut unix, "POST", "/", b"").expect("an answer").0, 200, "the socket asks for nothing");
    let mode = fs::metadata(folder.path("lb.sock")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// A configuration that names another file as its socket had that removed.
#[test]
fn what_is_no_socket_stays_where_it_is() {
    let folder = Folder::new();
    fs::write(folder.path("lb.sock"), "a file").expect("a file");
    let why = at_socket(&folder.path("lb.sock")).map(drop).expect_err("something is there");
    assert_eq!(why.kind(), ErrorKind::AddrInUse);
    assert_eq!(fs::read_to_string(folder.path("lb.sock")).expect("it is there"), "a file");
    fs::remove_file(folder.path("lb.sock")).expect("it is ours");
    // What a process that was killed has left.
    drop(UnixListener::bind(folder.path("lb.sock")).expect("a socket"));
    drop(at_socket(&folder.path("lb.sock")).expect("nobody is there"));
}

#[test]
fn a_token_is_asked_for() {
    let folder = Folder::new();
    let at = folder.listens("token = \"DIR/token\"").expect("it listens");
    assert_eq!(plain(at, &request("GET", "localhost", None)).expect("an answer"), 401);
    for wrong in ["", "a-token-of-many-letterz", "a-token-of-many-letters-and-more"] {
        assert_eq!(plain(at, &request("GET", "localhost", Some(wrong))).expect("an answer"), 401, "{wrong}");
    }
    assert_eq!(plain(at, &request("POST", "other.example", Some(TOKEN_SAID))).expect("an answer"), 200);
    folder.write("token", "short");
    let why = folder.listens("token = \"DIR/token\"").expect_err("it can be guessed").to_string();
    assert!(why.contains("less than 16 letters"), "{why}");
}

#[test]
fn inside_tls_a_token_is_asked_for_too() {
    let folder = Folder::new();
    let own = "certificate = \"DIR/server.pem\"\nkey = \"DIR/server.key\"\ntoken = \"DIR/token\"";
    let at = folder.listens(own).expect("it listens");
    let speaks = folder.speaks(None);
    assert_eq!(inside(at, speaks.clone(), &request("GET", "localhost", None)).expect("an answer"), 401);
    assert_eq!(inside(at, speaks, &request("POST", "localhost", Some(TOKEN_SAID))).expect("an answer"), 200);
    plain(at, &request("GET", "localhost", Some(TOKEN_SAID))).expect_err("nothing is said outside of TLS");
    let other = Folder::new();
    inside(at, other.speaks(None), &request("GET", "localhost", None)).expect_err("another has signed it");
}

#[test]
fn a_certificate_is_asked_for() {
    let folder = Folder::new();
    let own = "certificate = \"DIR/server.pem\"\nkey = \"DIR/server.key\"\nclients = \"DIR/ca.pem\"";
    let at = folder.listens(own).expect("it listens");
    assert_eq!(inside(at, folder.speaks(Some("client")), &request("POST", "any", None)).expect("an answer"), 200);
    inside(at, folder.speaks(None), &request("GET", "localhost", None)).expect_err("it shows none");
    let other = Folder::new();
    fs::copy(folder.path("ca.pem"), other.path("ca.pem")).expect("a copy");
    inside(at, other.speaks(Some("client")), &request("GET", "any", None)).expect_err("another has signed it");
}

#[test]
fn who_says_nothing_in_tls_keeps_nobody_for_long() {
    let folder = Folder::new();
    let at = folder.listens("certificate = \"DIR/server.pem\"\nkey = \"DIR/server.key\"").expect("it listens");
    let mut silent = TcpStream::connect(at).expect("a connection");
    silent.set_read_timeout(Some(Duration::from_secs(60))).expect("a time");
    let waits = |why: &io::Error| matches!(why.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
    let ended = silent.read(&mut [0; 64]);
    assert!(ended.as_ref().map_or_else(|why| !waits(why), |len| *len == 0), "it is over before we are: {ended:?}");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = Folder::new();
    for (words, expected) in [
        ("certificate = \"DIR/none\"\nkey = \"DIR/server.key\"", "none: no certificates"),
        ("certificate = \"DIR/token\"\nkey = \"DIR/server.key\"", "token: no certificates"),
        ("certificate = \"DIR/server.pem\"\nkey = \"DIR/server.pem\"", "server.pem: no private key"),
        ("certificate = \"DIR/server.pem\"\nkey = \"DIR/client.key\"", "server.pem and"),
        (
            "certificate = \"DIR/server.pem\"\nkey = \"DIR/server.key\"\nclients = \"DIR/token\"",
            "token: no certificates",
        ),
    ] {
        let why = folder.listens(words).expect_err(words).to_string();
        assert!(why.contains(expected), "{words}: {why}");
    }
}

#[test]
fn renewed_keys_are_taken_and_half_of_them_change_nothing() {
    let folder = Folder::new();
    let own = "certificate = \"DIR/server.pem\"\nkey = \"DIR/server.key\"\ntoken = \"DIR/token\"";
    let at = folder.listens(own).expect("it listens");
    let (before, asks) = (folder.speaks(None), request("GET", "localhost", Some(TOKEN_SAID)));
    assert_eq!(inside(at, before.clone(), &asks).expect("an answer"), 200);

    // A certificate whose key has not come yet.
    let key = fs::read_to_string(folder.path("server.key")).expect("the key");
    let ca = fs::read_to_string(folder.path("ca.pem")).expect("the authority");
    folder.sign();
    let (new_key, new_ca) = (fs::read_to_string(folder.path("server.key")), fs::read_to_string(folder.path("ca.pem")));
    folder.write("server.key", &key);
    for _ in 0..2 {
        assert_eq!(inside(at, before.clone(), &asks).expect("an answer"), 200);
    }
    let said = folder.log.lock().expect("it is whole").clone();
    assert!(said.len() == 1 && said[0].contains("server.pem and"), "it is said once: {said:?}");
    folder.write("server.key", &new_key.expect("a key"));
    inside(at, before.clone(), &asks).expect_err("another has signed it");
    assert_ne!(ca, new_ca.expect("an authority"));
    // Clients of a file that has changed are made anew.
    let renewed = Folder::new();
    fs::copy(folder.path("ca.pem"), renewed.path("ca.pem")).expect("a copy");
    assert_eq!(inside(at, renewed.speaks(None), &asks).expect("an answer"), 200);

    folder.write("token", "another-token-of-many-letters");
    let other = request("GET", "localhost", Some("another-token-of-many-letters"));
    assert_eq!(inside(at, renewed.speaks(None), &asks).expect("an answer"), 401);
    assert_eq!(inside(at, renewed.speaks(None), &other).expect("an answer"), 200);
}

#[test]
fn who_asks_for_metrics_keeps_nobody_from_the_socket() {
    let folder = Folder::new();
    let at = folder.listens("[metrics]\naddress = \"127.0.0.1:0\"").expect("it listens");
    let metrics = folder.metrics.get().expect("an address");
    // They say nothing, and are waited for.
    let _silent: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(metrics).expect("a connection")).collect();
    let mut unix = UnixStream::connect(folder.path("lb.sock")).expect("the socket");
    assert_eq!(ask(&mut unix, "GET", "/", b"").expect("an answer").0, 200);
    assert_eq!(plain(at, &request("GET", "localhost:1", None)).expect("an answer"), 200);
}

#[test]
fn somebody_whom_the_system_refuses_is_not_the_last_one() {
    let (told, hears) = mpsc::channel();
    let mut comes = vec![Ok(2), Err(io::Error::from_raw_os_error(24)), Err(ErrorKind::ConnectionAborted.into()), Ok(1)];
    let (_stays, ends) = mpsc::channel::<()>();
    let next = move || match comes.pop() {
        Some(one) => one,
        // Nobody comes any more.
        None => ends.recv().map(|()| 0).map_err(io::Error::other),
    };
    lets_in(next, move |one: u8| {
        // Nobody may listen any more.
        let _ = told.send(one);
    })
    .expect("a thread");
    let heard = [(); 2].map(|()| hears.recv_timeout(Duration::from_secs(60)));
    assert_eq!(heard, [Ok(1), Ok(2)]);
}

#[test]
fn who_asks_is_answered_before_it_is_quiet() {
    let room = Arc::new(Room::new(1));
    let inside = room.enter().expect("there is room");
    assert!(room.enter().is_none(), "there is room for one");
    let other = room.clone();
    let waits = thread::spawn(move || {
        other.quiet(Instant::now() + Duration::from_secs(60));
        *other.count()
    });
    drop(inside);
    assert_eq!(waits.join().expect("it ends"), 0);
}

/// A place that somebody else has is told with the key that names it, where that stands, and what to do.
#[test]
fn a_place_that_is_taken_is_told_by_its_key() {
    let folder = Folder::new();
    let refused = |words: &str| match folder.listens(words).expect_err("it is taken") {
        Fault::Own(why) => (why.to_string(), why.help.join("; ")),
        Fault::Target(why) => panic!("{why}"),
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = taken.local_addr().expect("one");
    let (why, help) = refused(&format!("[metrics]\naddress = \"{at}\""));
    let said = format!(
        "lb.toml:7:11: nobody can be answered at {at}, which is `address` in [metrics] (found Address already in use"
    );
    assert!(why.starts_with(&said), "{why}");
    assert!(help.contains(&format!("`ss -ltnp 'sport = :{}'` says which process", at.port())), "{help}");
    assert!(help.contains("another port in `address`"), "{help}");
    let (why, help) = refused("[metrics]\naddress = \"192.0.2.77:9100\"");
    assert!(why.contains("`address` in [metrics]") && help.contains("`ip address` lists them"), "{why} {help}");
    // Who serves has the socket.
    folder.listens("").expect("it is free");
    let (why, help) = refused("");
    assert!(why.starts_with("lb.toml:4:10: nobody can be answered at /") && why.contains("`socket` in [api]"), "{why}");
    assert!(help.contains("somebody answers there: `alveary lb status --socket /"), "{help}");
    // A file is nobody's to remove.
    let other = Folder::new();
    other.write("lb.sock", "mine");
    let why = match other.listens("").expect_err("a file is there") {
        Fault::Own(why) => why.help.join("; "),
        Fault::Target(why) => panic!("{why}"),
    };
    assert!(why.contains("what is there is no socket"), "{why}");
    assert_eq!(fs::read_to_string(other.path("lb.sock")).expect("it is there"), "mine");
    let text = format!(
        "[balancer]\ndevices = [\"lo\"]\n[sync]\nlisten = \"{{}}\"\npeers = \"127.0.0.1:7\"\nkey = {:?}\n",
        folder.path("key")
    );
    folder.write("key", "a secret of more than sixteen letters");
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let at = udp.local_addr().expect("one");
    let (config, places) =
        Config::read_placed("lb.toml", &text.replace("{}", &at.to_string()), None).expect("it is right");
    let why = crate::sync::Peers::open(config.sync.as_ref().expect("it is there"), &places).map(drop);
    let Err(Fault::Own(why)) = why else { panic!("it is taken") };
    assert!(
        why.to_string()
            .starts_with(&format!("lb.toml:4:10: nobody can be answered at {at}, which is `listen` in [sync]")),
        "{why}"
    );
    assert!(why.help[0].contains(&format!("`ss -lunp 'sport = :{}'`", at.port())), "{why:?}");
}
