//! The few words of HTTP/1.1 that an API needs: a request, an answer, the end of the connection. Whoever is slow or says
//! too much is turned away.

use rustls::{ServerConnection, StreamOwned};
use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of what stands before a body, and of a body.
const HEAD: usize = 8 << 10;
const BODY: usize = 64 << 10;

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST` …
    pub method: String,
    /// The path, without what is behind `?`.
    pub path: String,
    /// What is behind it.
    pub query: String,
    /// Whom it is asked of.
    pub host: String,
    /// `Authorization: Bearer …`.
    pub token: Option<String>,
    /// What it is about.
    pub body: Vec<u8>,
}

/// What is said to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The type of what follows.
    pub kind: &'static str,
    /// What follows.
    pub body: Vec<u8>,
}

impl Answer {
    /// JSON.
    #[must_use]
    pub fn json(value: &serde_json::Value) -> Answer {
        Answer { status: 200, kind: "application/json", body: (value.to_string() + "\n").into_bytes() }
    }

    /// That it went wrong.
    #[must_use]
    pub fn refused(status: u16, why: &str) -> Answer {
        Answer { status, ..Answer::json(&serde_json::json!({ "error": why })) }
    }
}

/// A connection: something that is read and written, with an end to how long.
pub trait Stream: Read + Write {
    /// Waits no longer than that for the next bytes.
    ///
    /// # Errors
    /// The system's.
    fn patience(&mut self, most: Duration) -> io::Result<()>;

    /// All has been said.
    ///
    /// # Errors
    /// The system's.
    fn end(&mut self) -> io::Result<()> {
        self.flush()
    }
}

impl Stream for TcpStream {
    fn patience(&mut self, most: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(most))?;
        self.set_write_timeout(Some(most))
    }
}

impl Stream for std::os::unix::net::UnixStream {
    fn patience(&mut self, most: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(most))?;
        self.set_write_timeout(Some(most))
    }
}

/// A connection that ends then, however slowly bytes come: what is read in several parts takes no longer.
pub struct Until {
    stream: TcpStream,
    end: Instant,
}

impl Until {
    /// A connection, and when it is over.
    #[must_use]
    pub fn new(stream: TcpStream, end: Instant) -> Until {
        Until { stream, end }
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Until {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(to)
    }
}

impl Write for Until {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A server's end of TLS.
impl Stream for StreamOwned<ServerConnection, Until> {
    fn patience(&mut self, most: Duration) -> io::Result<()> {
        self.sock.end = Instant::now() + most;
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.conn.send_close_notify();
        self.flush()
    }
}

/// One conversation.
///
/// # Errors
/// Who goes away, is too slow, or says what is no request.
pub fn converse(stream: &mut dyn Stream, answer: impl FnOnce(Request) -> Answer) -> io::Result<()> {
    let request = read(stream)?;
    let Answer { status, kind, body } = match request {
        Some(request) => answer(request),
        None => Answer::refused(400, "this is no request"),
    };
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        422 => "Unprocessable Content",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    };
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'none'; script-src 'unsafe-inline'; \
         style-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.patience(PATIENCE)?;
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)?;
    stream.end()
}

/// Reads a request; `None` if it is none.
fn read(stream: &mut dyn Stream) -> io::Result<Option<Request>> {
    let end = Instant::now() + PATIENCE;
    let mut bytes = Vec::new();
    let mut more = |bytes: &mut Vec<u8>| {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.patience(left)?;
        let mut some = [0; 4096];
        match stream.read(&mut some)? {
            0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            len => {
                bytes.extend(&some[..len]);
                Ok(())
            }
        }
    };
    let head = loop {
        if let Some(head) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            break head;
        }
        if bytes.len() > HEAD {
            return Ok(None);
        }
        more(&mut bytes)?;
    };
    let Some((mut request, length)) = parse(&bytes[..head]) else { return Ok(None) };
    if length > BODY {
        return Ok(None);
    }
    while bytes.len() < head + 4 + length {
        more(&mut bytes)?;
    }
    request.body = bytes[head + 4..head + 4 + length].to_vec();
    Ok(Some(request))
}

/// What stands before the body, and how long that is.
fn parse(head: &[u8]) -> Option<(Request, usize)> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if !version.starts_with("HTTP/1.") || words.next().is_some() || !target.starts_with('/') {
        return None;
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request { method: method.into(), path: path.into(), query: query.into(), ..Request::default() };
    let mut length = 0;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "host" => value.clone_into(&mut request.host),
            "content-length" => length = value.parse().ok()?,
            // No request of ours comes in pieces.
            "transfer-encoding" => return None,
            "authorization" => request.token = value.strip_prefix("Bearer ").map(str::to_owned),
            _ => {}
        }
    }
    Some((request, length))
}

/// Asks, as a client: the status and what follows.
///
/// # Errors
/// The system's, and what is no answer.
pub fn ask(stream: &mut dyn Stream, method: &str, target: &str, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
    // A change of large tables takes its time.
    stream.patience(Duration::from_secs(60))?;
    let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let none = || io::Error::from(io::ErrorKind::InvalidData);
    let end = answer.windows(4).position(|end| end == b"\r\n\r\n").ok_or_else(none)?;
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| none())?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(none)?;
    Ok((status, answer.split_off(end + 4)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{os::unix::net::UnixStream, thread};

    fn said(request: &'static [u8]) -> String {
        let (mut here, mut there) = UnixStream::pair().expect("two ends");
        let client = thread::spawn(move || {
            there.write_all(request).expect("sent");
            there.shutdown(std::net::Shutdown::Write).expect("said all");
            let mut answer = String::new();
            there.read_to_string(&mut answer).map(|_| answer).unwrap_or_default()
        });
        let _ = converse(&mut here, |request| Answer::json(&serde_json::json!(format!("{request:?}"))));
        drop(here);
        client.join().expect("it ends")
    }

    #[test]
    fn requests_are_understood_or_refused() {
        let answer =
            said(b"POST /v1/drain?x=1 HTTP/1.1\r\nhost: a\r\nAuthorization: Bearer t\r\nContent-Length: 2\r\n\r\n{}");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        for part in
            ["method: \\\"POST\\\"", "path: \\\"/v1/drain\\\"", "query: \\\"x=1\\\"", "Some(\\\"t\\\")", "[123, 125]"]
        {
            assert!(answer.contains(part), "{part}: {answer}");
        }
        for none in [
            b"GET nowhere HTTP/1.1\r\n\r\n".as_slice(),
            b"GET / SMTP\r\n\r\n",
            b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        ] {
            assert!(said(none).starts_with("HTTP/1.1 400"), "{}", String::from_utf8_lossy(none));
        }
        assert_eq!(said(b"GET / HTTP/1.1\r\n"), "", "who says half of it is told nothing");
    }

    #[test]
    fn a_client_reads_what_a_server_says() {
        let (mut here, mut there) = UnixStream::pair().expect("two ends");
        let server = thread::spawn(move || {
            converse(&mut there, |request| Answer::refused(404, &request.path)).expect("an answer");
        });
        let (status, body) = ask(&mut here, "GET", "/x", b"").expect("an answer");
        server.join().expect("it ends");
        assert_eq!((status, body.as_slice()), (404, b"{\"error\":\"/x\"}\n".as_slice()));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(head in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(parse(&head));
        }
    }
}
