//! Any bytes as what the balancer is told: its configuration, keepalived's, filters, what its API is asked, what reals answer to
//! checks.

use crate::budget::within;
use alveary_lb::{
    asked::Drain,
    check::{dns_answer, http_status},
    config::Config,
    http::{Answer, Stream, converse},
    keepalived,
    record::Filter,
};
use std::{
    io::{self, Cursor, Read, Write},
    time::Duration,
};

/// What tables of a configuration, its errors and their places take of a byte of it, and what any of them takes.
const OF_A_BYTE: usize = 4096;
const ANY: usize = 1 << 20;

/// The first byte says what it is, in order: a digit, so that seeds can be read. Nothing panics, what is refused is refused in
/// words, memory is in proportion.
pub fn lb(bytes: &[u8]) {
    let Some((what, rest)) = bytes.split_first() else { return };
    within(ANY + OF_A_BYTE * rest.len(), "what the balancer is told", || match what % 6 {
        0 => configuration(&String::from_utf8_lossy(rest)),
        1 => imported(&String::from_utf8_lossy(rest)),
        2 => filter(&String::from_utf8_lossy(rest)),
        3 => asked(rest),
        4 => body(rest),
        _ => answered(rest),
    });
}

fn configuration(text: &str) {
    match Config::read("lb.toml", text) {
        Ok(config) => assert_eq!(Config::read("lb.toml", text).ok(), Some(config), "read again it is the same"),
        Err(faults) => {
            assert!(!faults.is_empty());
            assert!(faults.iter().all(|fault| !fault.to_string().is_empty()));
        }
    }
}

/// No file includes another.
struct Alone;

impl keepalived::Files for Alone {
    fn matching(&self, _: &str, _: &str) -> Result<Vec<String>, String> {
        Err("there is no such file".into())
    }

    fn text(&self, _: &str) -> Result<String, String> {
        Err("there is no such file".into())
    }
}

/// What comes of keepalived's is TOML, whatever its values are worth.
fn imported(text: &str) {
    match keepalived::import("keepalived.conf", text, &keepalived::Told::default(), &Alone) {
        Ok(imported) => {
            if let Err(faults) = Config::read("out.toml", &imported.toml) {
                assert!(faults.iter().all(|fault| !fault.to_string().is_empty()));
            }
        }
        Err(faults) => assert!(faults.iter().all(|fault| !fault.to_string().is_empty())),
    }
}

fn filter(text: &str) {
    if let Err(why) = Filter::read(text) {
        assert!(!why.to_string().is_empty());
    }
}

/// A connection whose other end has said all of this.
struct Said<'a> {
    said: Cursor<&'a [u8]>,
    answer: Vec<u8>,
}

impl Read for Said<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.said.read(to)
    }
}

impl Write for Said<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.answer.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Said<'_> {
    fn patience(&mut self, _: Duration) -> io::Result<()> {
        Ok(())
    }
}

/// Whoever says a whole request, or none, is answered; who ends before that is not.
fn asked(request: &[u8]) {
    let mut stream = Said { said: Cursor::new(request), answer: Vec::new() };
    let mut body = None;
    let answered = converse(&mut stream, |request| {
        assert!(request.path.starts_with('/') && !request.path.contains('?'));
        body = Some(request.body.len());
        Answer::refused(404, &request.path)
    });
    assert_eq!(answered.is_ok(), stream.answer.starts_with(b"HTTP/1.1 4"));
    assert!(body.is_none_or(|body| body < request.len()));
}

fn body(body: &[u8]) {
    if let Err(why) = Drain::read(body) {
        assert!(!why.is_empty());
    }
}

fn answered(answer: &[u8]) {
    assert!(http_status(answer).is_none_or(|status| (100..600).contains(&status)));
    if let Some((high, low, rest)) = answer.split_first().and_then(|(a, b)| b.split_first().map(|(c, d)| (*a, *c, d))) {
        let said = dns_answer(answer, u16::from_be_bytes([high, low]));
        assert!(said.is_none() || rest.len() >= 10);
        assert_eq!(dns_answer(answer, !u16::from_be_bytes([high, low])), None, "somebody else's");
    }
}
