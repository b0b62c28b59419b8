//! Configuration from etcd: the value of one key, read and watched by the JSON gateway of its third API, which every member
//! has, inside TLS where its address says so. As much of HTTP as that needs, and no more.

use crate::{
    config::{Endpoint, Etcd},
    resolver, tls,
};
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use serde_json::{Value, json};
use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

/// How long a member may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// A watch that says nothing for so long may be one whose other end is gone: it is asked.
const SILENCE: Duration = Duration::from_secs(5);
/// Between two tries.
const AGAIN: Duration = Duration::from_secs(1);
/// Bytes of a message: twice what etcd takes for a value, as letters.
const MESSAGE: u64 = 8 << 20;
const HEAD: u64 = 64 << 10;

/// What is in etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The value; what is no text is `None`.
    pub text: Option<String>,
    /// The revision that wrote it.
    pub revision: u64,
}

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A value that is another than before.
    Value(Found),
    /// The key is not there.
    Missing,
    /// No member answers, and why.
    Gone(String),
    /// One answers again.
    Back,
}

/// What a member says of the key: what it holds, and the revision of all.
#[derive(Debug)]
struct Said {
    found: Option<Found>,
    revision: u64,
}

/// The value, from the first member that answers.
///
/// # Errors
/// None does, and why the last one does not.
pub fn fetch(etcd: &Etcd) -> io::Result<Option<Found>> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for endpoint in &etcd.endpoints {
        match Member::new(etcd, endpoint).and_then(|member| member.range(etcd)) {
            Ok(said) => return Ok(said.found),
            Err(why) => last = named(endpoint, why),
        }
    }
    Err(last)
}

/// Writes the value, by the first member that answers.
///
/// # Errors
/// None does, and why the last one does not.
pub fn put(etcd: &Etcd, text: &str) -> io::Result<()> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    let body = json!({ "key": base64(etcd.key.as_bytes()), "value": base64(text.as_bytes()) });
    for endpoint in &etcd.endpoints {
        match Member::new(etcd, endpoint).and_then(|member| member.ask("/v3/kv/put", &body)) {
            Ok(_) => return Ok(()),
            Err(why) => last = named(endpoint, why),
        }
    }
    Err(last)
}

/// Tells what becomes of the key behind a revision that is known (0: none is), until nobody listens.
pub fn follow(etcd: &Etcd, mut known: u64, mut tell: impl FnMut(News) -> bool) {
    // How many members have failed in a row.
    let (mut failed, mut gone, mut listens) = (0, false, true);
    for endpoint in etcd.endpoints.iter().cycle() {
        let done = Member::new(etcd, endpoint).and_then(|member| {
            member.follow(etcd, &mut known, &mut |news| {
                failed = 0;
                if std::mem::take(&mut gone) {
                    listens &= tell(News::Back);
                }
                listens = listens && news.is_none_or(&mut tell);
                listens
            })
        });
        if !listens {
            return;
        }
        failed += 1;
        if let Err(why) = done
            && failed >= etcd.endpoints.len()
            && !std::mem::replace(&mut gone, true)
            && !tell(News::Gone(named(endpoint, why).to_string()))
        {
            return;
        }
        thread::sleep(AGAIN);
    }
}

fn named(endpoint: &Endpoint, why: io::Error) -> io::Error {
    let inside = why.get_ref().and_then(|why| why.downcast_ref::<rustls::Error>());
    let words = match why.kind() {
        _ if inside.is_some() => inside.map(tls::words).unwrap_or_default(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        io::ErrorKind::UnexpectedEof => "it ends the conversation".to_owned(),
        _ => why.to_string(),
    };
    io::Error::new(why.kind(), format!("etcd at {}:{}: {words}", endpoint.host, endpoint.port))
}

/// A member of the cluster.
struct Member<'a> {
    endpoint: &'a Endpoint,
    token: Option<String>,
    /// What TLS is spoken with, if it is.
    tls: Option<Arc<ClientConfig>>,
}

impl<'a> Member<'a> {
    /// Makes itself known, if it has to.
    fn new(etcd: &Etcd, endpoint: &'a Endpoint) -> io::Result<Member<'a>> {
        let client = || tls::member(&etcd.trust, etcd.shown.as_ref()).map_err(io::Error::other);
        let mut member = Member { endpoint, token: None, tls: endpoint.tls.then(client).transpose()? };
        if let Some((user, password)) = &etcd.user {
            let password = fs::read_to_string(password)?;
            let said =
                member.ask("/v3/auth/authenticate", &json!({ "name": user, "password": password.trim_end() }))?;
            member.token = said["token"].as_str().map(str::to_owned);
        }
        Ok(member)
    }

    /// Asks for the key.
    fn range(&self, etcd: &Etcd) -> io::Result<Said> {
        let said = self.ask("/v3/kv/range", &json!({ "key": base64(etcd.key.as_bytes()) }))?;
        let found = said["kvs"].get(0).map(value).transpose()?;
        Ok(Said { found, revision: number(&said["header"]["revision"]) })
    }

    /// Tells what becomes of the key, until that fails or nobody listens. `None` is said where nothing is new.
    fn follow(&self, etcd: &Etcd, known: &mut u64, tell: &mut dyn FnMut(Option<News>) -> bool) -> io::Result<()> {
        loop {
            let said = self.range(etcd)?;
            if !tell(fresh(said.found, known)) {
                return Ok(());
            }
            let from = said.revision + 1;
            let create =
                json!({ "create_request": { "key": base64(etcd.key.as_bytes()), "start_revision": from.to_string() } });
            let mut watch = BufReader::new(self.post("/v3/watch", &create)?);
            loop {
                watch.get_ref().patience(SILENCE)?;
                let mut line = String::new();
                match (&mut watch).take(MESSAGE).read_line(&mut line) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(_) => {}
                    // Whether it is still there, and whether all was heard: the key is asked for anew.
                    Err(why)
                        if line.is_empty()
                            && matches!(why.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
                    {
                        break;
                    }
                    Err(why) => return Err(why),
                }
                let said: Value = serde_json::from_str(&line)?;
                let result = &said["result"];
                if result["canceled"] == true || !said["error"].is_null() {
                    // What it would have told is compacted: the key has all that counts. Who refuses each watch is not
                    // asked without end.
                    thread::sleep(AGAIN);
                    break;
                }
                for event in result["events"].as_array().into_iter().flatten() {
                    let gone = event["type"] == "DELETE";
                    let found = if gone { None } else { Some(value(&event["kv"])?) };
                    if !tell(fresh(found, known)) {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn ask(&self, path: &str, body: &Value) -> io::Result<Value> {
        let mut said = Vec::new();
        self.post(path, body)?.take(MESSAGE).read_to_end(&mut said)?;
        let said: Value = serde_json::from_slice(&said)?;
        match said["error"].as_str() {
            Some(why) => Err(io::Error::other(why.to_owned())),
            None => Ok(said),
        }
    }

    fn post(&self, path: &str, body: &Value) -> io::Result<Body> {
        let (host, port) = (self.endpoint.host.as_str(), self.endpoint.port);
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in resolver::addresses(host)? {
            match TcpStream::connect_timeout(&SocketAddr::new(address, port), PATIENCE) {
                Ok(stream) => return self.converse(stream, path, body),
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    fn converse(&self, stream: TcpStream, path: &str, body: &Value) -> io::Result<Body> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let (host, port, body) = (&self.endpoint.host, self.endpoint.port, body.to_string());
        let token = self.token.as_ref().map(|token| format!("Authorization: {token}\r\n")).unwrap_or_default();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n{token}Content-Length: {}\r\n\
             Connection: close\r\n\r\n",
            body.len()
        );
        let mut speech = match &self.tls {
            None => Speech::Plain(stream),
            Some(config) => {
                let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                let client = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
                Speech::Tls(Box::new(StreamOwned::new(client, stream)))
            }
        };
        speech.write_all((head + &body).as_bytes())?;
        speech.flush()?;
        Body::new(speech)
    }
}

/// What is new of what was found; the revision that is known from now on.
fn fresh(found: Option<Found>, known: &mut u64) -> Option<News> {
    match found {
        Some(found) if found.revision == *known => None,
        Some(found) => {
            *known = found.revision;
            Some(News::Value(found))
        }
        None if *known == u64::MAX => None,
        None => {
            // No revision is that high: it is said once.
            *known = u64::MAX;
            Some(News::Missing)
        }
    }
}

fn value(kv: &Value) -> io::Result<Found> {
    let bytes = match &kv["value"] {
        Value::Null => Vec::new(),
        value => value.as_str().and_then(from_base64).ok_or_else(|| io::Error::other("a value is no base64"))?,
    };
    Ok(Found { text: String::from_utf8(bytes).ok(), revision: number(&kv["mod_revision"]) })
}

/// Numbers of 64 bits are texts there.
fn number(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).or(value.as_u64()).unwrap_or_default()
}

/// A conversation, as it is or inside TLS.
enum Speech {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Speech {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self {
            Speech::Plain(stream) => stream.read(to),
            Speech::Tls(stream) => stream.read(to),
        }
    }
}

impl Write for Speech {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Speech::Plain(stream) => stream.write(bytes),
            Speech::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Speech::Plain(stream) => stream.flush(),
            Speech::Tls(stream) => stream.flush(),
        }
    }
}

/// What follows an answer's head.
struct Body {
    reader: BufReader<Speech>,
    /// Bytes that are left of the chunk, or of all.
    left: u64,
    chunked: bool,
    over: bool,
}

impl Body {
    fn new(speech: Speech) -> io::Result<Body> {
        let mut reader = BufReader::new(speech);
        let (mut status, mut chunked, mut left) = (None, false, None);
        let mut room = HEAD;
        loop {
            let mut line = String::new();
            let len = (&mut reader).take(room).read_line(&mut line)? as u64;
            room = room.saturating_sub(len);
            if room == 0 || len == 0 {
                return Err(io::Error::other("the answer is not HTTP"));
            }
            let line = line.trim_end();
            match (status, line.split_once(':')) {
                (None, _) => {
                    let number =
                        line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse::<u16>().ok());
                    status = Some(number.ok_or_else(|| io::Error::other("the answer is not HTTP"))?);
                }
                (_, _) if line.is_empty() => break,
                (_, Some((name, value))) if name.eq_ignore_ascii_case("transfer-encoding") => {
                    chunked = value.trim().eq_ignore_ascii_case("chunked");
                }
                (_, Some((name, value))) if name.eq_ignore_ascii_case("content-length") => {
                    left = value.trim().parse().ok()
                }
                _ => {}
            }
        }
        let left = if chunked { 0 } else { left.unwrap_or(MESSAGE) };
        let mut body = Body { reader, left, chunked, over: false };
        if status != Some(200) {
            let mut said = String::new();
            // What it says is worth more than why it cannot be read.
            let _ = (&mut body).take(1024).read_to_string(&mut said);
            let why =
                serde_json::from_str::<Value>(&said).ok().and_then(|said| Some(said["error"].as_str()?.to_owned()));
            let status = status.unwrap_or_default();
            return Err(io::Error::other(why.unwrap_or_else(|| format!("the answer's status is {status}"))));
        }
        Ok(body)
    }

    /// How long is waited for what comes next.
    fn patience(&self, patience: Duration) -> io::Result<()> {
        match self.reader.get_ref() {
            Speech::Plain(stream) => stream.set_read_timeout(Some(patience)),
            Speech::Tls(stream) => stream.sock.set_read_timeout(Some(patience)),
        }
    }

    /// The length of the next chunk.
    fn chunk(&mut self) -> io::Result<u64> {
        loop {
            let mut line = String::new();
            if (&mut self.reader).take(256).read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            // The end of the one before.
            if line.trim().is_empty() {
                continue;
            }
            let size = line.split(';').next().unwrap_or_default().trim();
            return u64::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData.into());
        }
    }
}

impl Read for Body {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.over || to.is_empty() {
            return Ok(0);
        }
        if self.left == 0 {
            self.left = if self.chunked { self.chunk()? } else { 0 };
            if self.left == 0 {
                self.over = true;
                return Ok(0);
            }
        }
        let most = self.left.min(to.len() as u64) as usize;
        let len = self.reader.read(&mut to[..most])?;
        self.left -= len as u64;
        self.over |= len == 0;
        Ok(len)
    }
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let all = three.iter().fold(0u32, |all, byte| all << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for at in 0..4 {
            let letter = LETTERS[(all >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for four in text.chunks(4) {
        let mut all = 0u32;
        for letter in four {
            all = all << 6 | LETTERS.iter().position(|one| one == letter)? as u32;
        }
        all <<= 6 * (4 - four.len());
        let count = match four.len() {
            4 => 3,
            3 => 2,
            2 => 1,
            _ => return None,
        };
        bytes.extend(&all.to_be_bytes()[1..=count]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::TcpListener;

    /// A member that gives these answers, one a conversation.
    fn member(answers: Vec<String>) -> (Etcd, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("one").port();
        let serve = move || {
            let answer = |answer: String| {
                let (mut stream, _) = listener.accept().expect("someone");
                let (mut asked, mut some) = (Vec::new(), [0; 1024]);
                while !asked.ends_with(b"}") {
                    let len = stream.read(&mut some).expect("a request");
                    asked.extend(&some[..len]);
                }
                stream.write_all(answer.as_bytes()).expect("sent");
                String::from_utf8_lossy(&asked).into_owned()
            };
            answers.into_iter().map(answer).collect()
        };
        let etcd = Etcd {
            endpoints: vec![Endpoint { host: "127.0.0.1".into(), port, tls: false }],
            key: "/lb".into(),
            kept: "/none".into(),
            user: None,
            trust: tls::Trust::Machine,
            shown: None,
            exec: false,
        };
        (etcd, thread::spawn(serve))
    }

    fn plain(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    fn range(value: &str, revision: u64) -> String {
        plain(&format!(
            r#"{{"header":{{"revision":"9"}},"kvs":[{{"key":"L2xi","mod_revision":"{revision}","value":"{}"}}],"count":"1"}}"#,
            base64(value.as_bytes())
        ))
    }

    #[test]
    fn a_key_is_found_or_is_not() {
        let (etcd, asked) = member(vec![range("[[vip]]", 7), plain(r#"{"header":{"revision":"9"}}"#)]);
        let found = Found { text: Some("[[vip]]".into()), revision: 7 };
        assert_eq!(fetch(&etcd).expect("an answer"), Some(found));
        assert_eq!(fetch(&etcd).expect("an answer"), None);
        let asked = asked.join().expect("it ends");
        assert!(
            asked[0].starts_with("POST /v3/kv/range HTTP/1.1\r\n") && asked[0].ends_with(r#"{"key":"L2xi"}"#),
            "{asked:?}"
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        let (etcd, asked) = member(vec![
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 33\r\n\r\n{\"error\":\"etcdserver: no\",\"c\":1 }".into(),
            "SSH-2.0\r\n\r\n".into(),
            plain("{"),
        ]);
        let said: Vec<String> = (0..3).map(|_| fetch(&etcd).expect_err("it fails").to_string()).collect();
        asked.join().expect("it ends");
        assert!(said[0].ends_with("etcdserver: no") && said[1].ends_with("the answer is not HTTP"), "{said:?}");
        assert!(fetch(&etcd).expect_err("nobody is there").to_string().contains("etcd at 127.0.0.1"));
    }

    #[test]
    fn a_watch_tells_of_changes_in_pieces() {
        let message = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
        let event = |value: &str, revision: u64| {
            format!(
                "{{\"result\":{{\"events\":[{{\"kv\":{{\"mod_revision\":\"{revision}\",\"value\":\"{}\"}}}}]}}}}\n",
                base64(value.as_bytes())
            )
        };
        let (first, last) = (event("b", 10), "{\"result\":{\"events\":[{\"type\":\"DELETE\",\"kv\":{}}]}}\n");
        let (one, two) = first.split_at(20);
        let watch = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned()
            + &message("{\"result\":{\"created\":true}}\n")
            + &message(one)
            + &message(two)
            + &message(last);
        let (etcd, asked) = member(vec![range("a", 7), watch]);
        let mut told = Vec::new();
        follow(&etcd, 7, |news| {
            told.push(news);
            told.len() < 3
        });
        asked.join().expect("it ends");
        let value = |text: &str, revision| News::Value(Found { text: Some(text.into()), revision });
        assert_eq!(told[..2], [value("b", 10), News::Missing]);
        assert!(matches!(&told[2], News::Gone(why) if why.contains("ends the conversation")), "{told:?}");
    }

    #[test]
    fn all_are_gone_when_each_one_is() {
        // One of three answers: nobody is gone.
        let (mut etcd, asked) = member(vec![range("a", 7)]);
        let none = || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            Endpoint { host: "127.0.0.1".into(), port: listener.local_addr().expect("one").port(), tls: false }
        };
        etcd.endpoints.insert(0, none());
        etcd.endpoints.push(none());
        let last = format!("127.0.0.1:{}", etcd.endpoints[1].port);
        let mut told = Vec::new();
        follow(&etcd, 1, |news| {
            told.push(news);
            told.len() < 2
        });
        asked.join().expect("it ends");
        let value = News::Value(Found { text: Some("a".into()), revision: 7 });
        assert_eq!(told[0], value, "the first one, which is down, is not all of them");
        // It was heard, then it ended the conversation; the two others have to fail as well.
        assert!(matches!(&told[1], News::Gone(why) if !why.contains(&last)), "{told:?}");
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(from_base64("Zg"), Some(b"f".to_vec()));
        assert!(from_base64("Zm9v!").is_none() && from_base64("Zm9vY").is_none());
    }

    proptest! {
        #[test]
        fn base64_goes_there_and_back(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(from_base64(&base64(&bytes)), Some(bytes));
        }
    }
}
