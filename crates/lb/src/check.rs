//! One check of one real: whether it does what it is there for. Each takes no longer than its time.

use crate::{
    config::{Check, CheckKind},
    http::Until,
    tls,
    tunnel::{Passage, Tunnel},
};
use alveary::kernel::child::ends_with_us;
use rustix::process::{Pid, Signal, kill_process_group};
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Bytes of an answer that are looked at.
const ANSWER: usize = 4096;
/// Longest pause between two looks whether a program has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// Checks a real; `port` is the one to be asked, of its address, or through the `tunnel` of the VIP's.
///
/// # Errors
/// What it did not do, in a few words.
pub fn check(check: &Check, address: IpAddr, port: u16, tunnel: Option<&Tunnel>) -> Result<(), String> {
    let end = Instant::now() + check.timeout;
    let Some(tunnel) = tunnel else { return Asked { to: SocketAddr::new(address, port), by: None, end }.by(check) };
    let passage = tunnel.begin()?;
    let said = Asked { to: SocketAddr::new(tunnel.vip(), port), by: Some(&passage), end }.by(check);
    passage.counted(said)
}

/// Who is asked, by which way, and until when.
struct Asked<'t> {
    to: SocketAddr,
    by: Option<&'t Passage<'t>>,
    end: Instant,
}

impl Asked<'_> {
    fn by(&self, check: &Check) -> Result<(), String> {
        match check.kind {
            CheckKind::Tcp => self.connect().map(drop),
            CheckKind::Http => http(check, self.to, &mut Until::new(self.connect()?, self.end)),
            CheckKind::Https => https(check, self),
            CheckKind::Dns => dns(&check.query, self),
            CheckKind::Exec => exec(&check.command, self.to, self.end),
        }
    }

    fn connect(&self) -> Result<TcpStream, String> {
        match self.by {
            Some(passage) => passage.tcp(self.to.port(), self.end),
            None => TcpStream::connect_timeout(&self.to, left(self.end)?).map_err(|why| words(&why)),
        }
    }

    /// A socket that talks with who is asked.
    fn datagrams(&self) -> Result<UdpSocket, String> {
        if let Some(passage) = self.by {
            return passage.udp(self.to.port());
        }
        let any: IpAddr = if self.to.is_ipv4() { [0; 4].into() } else { [0u16; 8].into() };
        let socket = UdpSocket::bind((any, 0)).map_err(|why| words(&why))?;
        socket.connect(self.to).map_err(|why| words(&why))?;
        Ok(socket)
    }
}

pub(crate) fn left(end: Instant) -> Result<Duration, String> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() { Err("no answer in time".into()) } else { Ok(left) }
}

/// The system's error in a few words.
pub(crate) fn words(why: &io::Error) -> String {
    if let Some(why) = why.get_ref().and_then(|why| why.downcast_ref()) {
        return tls::words(why);
    }
    match why.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "no answer in time".into(),
        ErrorKind::ConnectionRefused => "the connection is refused".into(),
        _ => why.to_string(),
    }
}

fn https(check: &Check, asked: &Asked<'_>) -> Result<(), String> {
    let config = tls::client(&check.trust)?;
    let name = match (&check.server_name, &check.host) {
        (Some(name), _) => ServerName::try_from(name.clone()).ok(),
        (None, Some(host)) => server_name(host),
        (None, None) => Some(ServerName::from(asked.to.ip())),
    };
    let name = name.ok_or("no certificate is for such a name")?;
    let client = ClientConnection::new(config, name).map_err(|why| tls::words(&why))?;
    http(check, asked.to, &mut StreamOwned::new(client, Until::new(asked.connect()?, asked.end)))
}

/// Whom a certificate has to name for requests to this host: `www.example:8443`, `[2001:db8::1]`.
pub(crate) fn server_name(host: &str) -> Option<ServerName<'static>> {
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    ServerName::try_from(bare.to_owned()).ok()
}

fn http(check: &Check, to: SocketAddr, stream: &mut (impl Read + Write)) -> Result<(), String> {
    let host = check.host.clone().unwrap_or_else(|| to.to_string());
    let request =
        format!("GET {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: alveary-lb\r\nConnection: close\r\n\r\n", check.path);
    stream.write_all(request.as_bytes()).and_then(|()| stream.flush()).map_err(|why| words(&why))?;
    let mut answer = Vec::new();
    let mut some = [0; 512];
    while !answer.contains(&b'\n') && answer.len() < ANSWER {
        match stream.read(&mut some) {
            Ok(0) => break,
            Ok(len) => answer.extend(&some[..len]),
            // Servers that do not say in TLS that they end: what they have said is looked at.
            Err(why) if why.kind() == ErrorKind::UnexpectedEof => break,
            Err(why) => return Err(words(&why)),
        }
    }
    let status = http_status(&answer).ok_or("the answer is not HTTP")?;
    let expected = if check.status.is_empty() { (200..400).contains(&status) } else { check.status.contains(&status) };
    if expected { Ok(()) } else { Err(format!("the answer's status is {status}")) }
}

/// The status of an answer: `HTTP/1.1 200 OK`.
#[must_use]
pub fn http_status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok().filter(|status| (100..600).contains(status))
}

/// What a question looks like: RFC 1035, section 4.
fn question(name: &str, id: u16) -> Vec<u8> {
    let mut question = id.to_be_bytes().to_vec();
    // Recursion is desired; one question.
    question.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        // The configuration sees to it that labels are short.
        question.push(label.len().min(63) as u8);
        question.extend(&label.as_bytes()[..label.len().min(63)]);
    }
    // The root, an address (A), of the Internet.
    question.extend([0, 0, 1, 0, 1]);
    question
}

fn dns(name: &str, asked: &Asked<'_>) -> Result<(), String> {
    let socket = asked.datagrams()?;
    let id = socket.local_addr().map_or(1, |own| own.port());
    socket.send(&question(name, id)).map_err(|why| words(&why))?;
    let mut answer = [0; ANSWER];
    loop {
        socket.set_read_timeout(Some(left(asked.end)?)).map_err(|why| words(&why))?;
        let len = socket.recv(&mut answer).map_err(|why| words(&why))?;
        if let Some(said) = dns_answer(&answer[..len], id) {
            return said;
        }
    }
}

/// What an answer to the question of this number says; `None`: it is somebody else's.
#[must_use]
pub fn dns_answer(answer: &[u8], id: u16) -> Option<Result<(), String>> {
    if answer.len() < 12 || answer[..2] != id.to_be_bytes() || answer[2] & 0x80 == 0 {
        return None;
    }
    Some(match answer[3] & 0xf {
        // That there is no such name is an answer.
        0 | 3 => Ok(()),
        code => Err(format!("the answer's code is {code}")),
    })
}

/// What stands in the place of a name, for who is asked.
type Fill = fn(SocketAddr) -> String;

/// What is filled into the words of a command, and with what.
pub(crate) const FILLED: [(&str, Fill); 2] =
    [("{address}", |to| to.ip().to_string()), ("{port}", |to| to.port().to_string())];

/// What looks as if something were to be filled in there, and nothing is: names in braces. `${…}` is a shell's.
pub(crate) fn unfilled(word: &str) -> impl Iterator<Item = &str> {
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let braces = word.match_indices('{').filter(|(at, _)| !word[..*at].ends_with('$'));
    let names = braces.filter_map(|(at, _)| Some(&word[at..=at + word[at..].find('}')?]));
    names.filter(move |name| is_name(&name[1..name.len() - 1]) && FILLED.iter().all(|(known, _)| known != name))
}

fn exec(command: &[String], to: SocketAddr, end: Instant) -> Result<(), String> {
    let fill = |word: &String| FILLED.iter().fold(word.clone(), |word, (name, with)| word.replace(name, &with(to)));
    let mut all = command.iter().map(fill);
    let program = all.next().unwrap_or_default();
    let mut command = Command::new(&program);
    command.args(all).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // A group of its own: what the program has started ends with it.
    let started = ends_with_us(command.process_group(0)).spawn();
    let mut child = started.map_err(|why| format!("`{program}` cannot be run: {}", words(&why)))?;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("`{program}`: {status}")),
            Ok(None) => {}
            Err(why) => return Err(words(&why)),
        }
        match left(end) {
            Ok(left) => thread::sleep(left.min(PAUSE)),
            Err(why) => {
                // All of them may have ended meanwhile; the child's number is its group's until it is waited for.
                let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
                let _ = child.wait();
                return Err(why);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::{fs, net::TcpListener, path::PathBuf};

    fn of(check: &str) -> Check {
        let text = format!(
            "[balancer]\ndevices = [\"eth0\"]\n[[vip]]\naddress = \"192.0.2.1\"\nport = 80\ncheck = {{ {check} }}"
        );
        let config = Config::read("lb.toml", &text).unwrap_or_else(|faults| panic!("{faults:#?}"));
        config.vips[0].check.clone().expect("a check")
    }

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// A server that gives this answer to whoever asks, once.
    fn answering(answer: &'static str) -> (u16, thread::JoinHandle<String>) {
        let listener = TcpListener::bind((HERE, 0)).expect("a port");
        let port = listener.local_addr().expect("one").port();
        let serve = move || {
            let (mut stream, _) = listener.accept().expect("someone");
            let mut asked = [0; 512];
            let len = stream.read(&mut asked).expect("a request");
            stream.write_all(answer.as_bytes()).expect("sent");
            String::from_utf8_lossy(&asked[..len]).into_owned()
        };
        (port, thread::spawn(serve))
    }

    #[test]
    fn tcp_is_a_connection() {
        let listener = TcpListener::bind((HERE, 0)).expect("a port");
        let port = listener.local_addr().expect("one").port();
        assert_eq!(check(&of("type = \"tcp\""), HERE, port, None), Ok(()));
        drop(listener);
        assert_eq!(check(&of("type = \"tcp\""), HERE, port, None), Err("the connection is refused".into()));
    }

    #[test]
    fn http_is_a_status() {
        for (answer, status, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\n", "", Ok(())),
            ("HTTP/1.0 302 Found\r\n\r\n", "", Ok(())),
            ("HTTP/1.1 500 No\r\n\r\n", "", Err("the answer's status is 500")),
            ("HTTP/1.1 200 OK\r\n\r\n", ", status = [204]", Err("the answer's status is 200")),
            ("SSH-2.0-x\r\n", "", Err("the answer is not HTTP")),
            ("HTTP/1.1 99999 x\r\n", "", Err("the answer is not HTTP")),
        ] {
            let (port, server) = answering(answer);
            let asked = of(&format!("type = \"http\", path = \"/up\", host = \"web.example\"{status}"));
            assert_eq!(check(&asked, HERE, port, None), expected.map_err(String::from), "{answer}");
            let request = server.join().expect("it ends");
            assert!(request.starts_with("GET /up HTTP/1.1\r\nHost: web.example\r\n"), "{request}");
        }
    }

    /// A server of TLS whose certificate, for this name, is in a file; it answers so many times.
    fn tls_server(name: &str, times: usize) -> (u16, PathBuf, thread::JoinHandle<Vec<String>>) {
        let folder = std::env::temp_dir().join(format!("alveary-lb-check-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
        let (certificate, key) = (folder.join("own.pem"), folder.join("own.key"));
        fs::write(&certificate, made.cert.pem()).expect("a file");
        fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
        let speaks = tls::server(&certificate, &key, None).expect("a server");
        let listener = TcpListener::bind((HERE, 0)).expect("a port");
        let port = listener.local_addr().expect("one").port();
        let serve = move || {
            let mut asked = Vec::new();
            for stream in listener.incoming().take(times) {
                let server = rustls::ServerConnection::new(speaks.clone()).expect("a server");
                let mut stream = StreamOwned::new(server, stream.expect("someone"));
                let mut request = [0; 512];
                // Who does not believe us says no more.
                let Ok(len) = stream.read(&mut request) else { continue };
                asked.push(String::from_utf8_lossy(&request[..len]).into_owned());
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").and_then(|()| stream.flush()).expect("sent");
            }
            asked
        };
        (port, certificate, thread::spawn(serve))
    }

    #[test]
    fn https_is_http_of_whom_the_certificate_names() {
        let (port, certificate, server) = tls_server("web.example", 5);
        let ca = format!("ca = {certificate:?}");
        for (more, expected) in [
            (format!("{ca}, host = \"web.example:8443\""), Ok(())),
            (format!("{ca}, server-name = \"web.example\""), Ok(())),
            (ca, Err("the certificate is for another name")),
            ("host = \"web.example\"".to_owned(), Err("the certificate is signed by nobody who is trusted")),
            ("verify = false".to_owned(), Ok(())),
        ] {
            let asked = of(&format!("type = \"https\", timeout = \"5s\", {more}"));
            let said = check(&asked, HERE, port, None);
            // A machine may have no certificates that it trusts; then that is what is said.
            let none = said.as_ref().is_err_and(|why| why.starts_with("this machine has no certificates"));
            if none {
                let _ = std::net::TcpStream::connect((HERE, port));
                continue;
            }
            assert_eq!(said, expected.map_err(String::from), "{more}");
        }
        let asked = server.join().expect("it ends");
        assert_eq!(asked.len(), 3, "{asked:?}");
        assert!(asked[0].starts_with("GET / HTTP/1.1\r\nHost: web.example:8443\r\n"), "{asked:?}");
        let (port, server) = answering("HTTP/1.1 200 OK\r\n\r\n");
        let said = check(&of("type = \"https\", verify = false"), HERE, port, None).expect_err("no TLS");
        server.join().expect("it ends");
        assert!(said.starts_with("TLS: "), "{said}");
        let said = check(&of("type = \"https\", ca = \"/no/such\""), HERE, port, None).expect_err("no file");
        assert!(said.starts_with("/no/such: no certificates"), "{said}");
    }

    #[test]
    fn dns_is_an_answer() {
        let server = UdpSocket::bind((HERE, 0)).expect("a port");
        let port = server.local_addr().expect("one").port();
        for (code, expected) in [(0, Ok(())), (3, Ok(())), (2, Err("the answer's code is 2".to_owned()))] {
            let socket = server.try_clone().expect("another");
            let serving = thread::spawn(move || {
                let mut asked = [0; 512];
                let (len, from) = socket.recv_from(&mut asked).expect("a question");
                // First one of somebody else's.
                let mut other = asked;
                other[0] ^= 1;
                other[2] |= 0x80;
                socket.send_to(&other[..len], from).expect("sent");
                (asked[2], asked[3]) = (0x80, code);
                socket.send_to(&asked[..len], from).expect("sent");
                asked[12..len].to_vec()
            });
            let asked = of("type = \"dns\", query = \"example.org\", timeout = \"5s\"");
            assert_eq!(check(&asked, HERE, port, None), expected);
            assert_eq!(serving.join().expect("it ends"), b"\x07example\x03org\0\0\x01\0\x01");
        }
    }

    #[test]
    fn exec_is_an_exit_code() {
        let asked = |words: &str| of(&format!("type = \"exec\", command = [{words}], timeout = \"200ms\""));
        assert_eq!(check(&asked(r#""sh", "-c", "test {address}:{port} = 127.0.0.1:7""#), HERE, 7, None), Ok(()));
        let said = check(&asked(r#""false""#), HERE, 7, None).expect_err("it fails");
        assert!(said.contains("`false`: exit status: 1"), "{said}");
        assert_eq!(check(&asked(r#""sleep", "60""#), HERE, 7, None), Err("no answer in time".into()));
        assert!(check(&asked(r#""/no/such""#), HERE, 7, None).expect_err("it fails").contains("cannot be run"));
    }

    /// What a program had started went on when the program was ended: one more with each check.
    #[test]
    fn what_a_program_starts_ends_with_it() {
        let file = std::env::temp_dir().join(format!("alveary-lb-exec-{}", std::process::id()));
        let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
        let asked = of(&format!("type = \"exec\", command = [\"sh\", \"-c\", {script:?}], timeout = \"1s\""));
        assert_eq!(check(&asked, HERE, 7, None), Err("no answer in time".into()));
        let child = fs::read_to_string(&file).expect("it has started one");
        fs::remove_file(&file).expect("it is ours");
        let status = || fs::read_to_string(format!("/proc/{}/status", child.trim())).unwrap_or_default();
        // One that has ended, and that nobody has asked for yet, is over.
        let runs = || status().lines().any(|line| line.starts_with("State:") && !line.contains(['Z', 'X']));
        let over = (0..1000).any(|_| {
            thread::sleep(Duration::from_millis(5));
            !runs()
        });
        assert!(over, "{}", status());
    }
}
