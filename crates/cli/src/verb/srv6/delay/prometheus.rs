//! What a collector knows, for Prometheus: its text format, and an endpoint that answers with it. Who asks is answered
//! between two rounds of the collector; whoever is slow is not waited for.

use super::{monitor::Counts, statistics::Statistics};
use crate::failure::Failure;
use alveary_diag::{Diagnostic, Place};
use std::{
    fmt::Write as _,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

/// Bounds of buckets in microseconds.
const BOUNDS: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 20_000, 30_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    5_000_000,
];
/// Who takes longer than that for a request is turned away.
const PATIENCE: Duration = Duration::from_millis(50);
/// No request is longer.
const REQUEST: usize = 4096;

/// An address at which Prometheus may ask.
pub(super) struct Endpoint(TcpListener);

impl Endpoint {
    pub(super) fn new(address: SocketAddr) -> Result<Endpoint, Failure> {
        let listener = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        listener.map(Endpoint).map_err(|why| {
            Diagnostic::new("srv6", format!("nobody can be answered at {address}"), Place::Nowhere)
                .found(why.to_string())
                .into()
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.0.local_addr().ok()
    }

    /// Answers those who ask by now.
    pub(super) fn answer(&self, metrics: impl Fn() -> String) {
        while let Ok((stream, _)) = self.0.accept() {
            // Who goes away meanwhile has no answer.
            let _ = converse(stream, &metrics);
        }
    }
}

fn converse(mut stream: TcpStream, metrics: &impl Fn() -> String) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request = Vec::new();
    let mut some = [0; 512];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut some)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            len if request.len() + len > REQUEST => return Err(ErrorKind::InvalidData.into()),
            len => request.extend(&some[..len]),
        }
    }
    let (status, body) = match request.split(|byte| *byte == b' ').take(2).collect::<Vec<_>>()[..] {
        [b"GET", b"/metrics"] => ("200 OK", metrics()),
        [b"GET", _] => ("404 Not Found", "ask for /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "ask with GET\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

/// The text that Prometheus reads.
pub(super) fn text(statistics: &Statistics, counts: &Counts) -> String {
    let mut text = String::new();
    let mut add = |line: std::fmt::Arguments<'_>| {
        // There is always room in a text.
        let _ = text.write_fmt(line).and_then(|()| text.write_char('\n'));
    };
    add(format_args!("# HELP alveary_srv6_delay_seconds Delay of a path, two-way that of the whole way"));
    add(format_args!("# TYPE alveary_srv6_delay_seconds histogram"));
    for (path, known) in &statistics.paths {
        let count = known.delay.count();
        for bound in BOUNDS {
            let (seconds, up_to) = (bound as f64 / 1e6, known.delay.up_to(bound * 1000));
            add(format_args!("alveary_srv6_delay_seconds_bucket{{path=\"{path}\",le=\"{seconds}\"}} {up_to}"));
        }
        add(format_args!("alveary_srv6_delay_seconds_bucket{{path=\"{path}\",le=\"+Inf\"}} {count}"));
        add(format_args!("alveary_srv6_delay_seconds_sum{{path=\"{path}\"}} {}", known.delay.sum() as f64 / 1e9));
        add(format_args!("alveary_srv6_delay_seconds_count{{path=\"{path}\"}} {count}"));
    }
    for (name, help, of) in [
        ("lost", "Measured packets that did not come", (|path| path.lost()) as fn(&super::statistics::Path) -> u64),
        ("overtaken", "Measured packets that came after later ones", |path| path.overtaken),
    ] {
        add(format_args!("# HELP alveary_srv6_delay_{name}_packets {help}"));
        add(format_args!("# TYPE alveary_srv6_delay_{name}_packets gauge"));
        for (path, known) in &statistics.paths {
            add(format_args!("alveary_srv6_delay_{name}_packets{{path=\"{path}\"}} {}", of(known)));
        }
    }
    for (name, help, value) in [
        ("reports", "Packets that were reported", counts.reported),
        ("unreported", "Packets that there was no time to read of", counts.unreported),
        ("malformed", "Packets that were dropped for a delay TLV that makes no sense", counts.malformed),
        ("without", "Packets that came to the segment without a delay TLV", counts.without),
    ] {
        add(format_args!("# HELP alveary_srv6_delay_{name}_total {help}"));
        add(format_args!("# TYPE alveary_srv6_delay_{name}_total counter"));
        add(format_args!("alveary_srv6_delay_{name}_total {value}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verb::srv6::delay::packet::Report;

    fn known() -> Statistics {
        let mut statistics = Statistics::default();
        for sequence in [0, 1, 3] {
            let received = 1000 + 2_000_000 * (sequence + 1);
            statistics.add(&Report { path: 7, two_way: false, sequence, sent: 1000, reflected: 0, received });
        }
        statistics
    }

    #[test]
    fn buckets_hold_what_is_not_above_them() {
        let text = text(&known(), &Counts { reported: 3, ..Counts::default() });
        for line in [
            "alveary_srv6_delay_seconds_bucket{path=\"7\",le=\"0.001\"} 0",
            "alveary_srv6_delay_seconds_bucket{path=\"7\",le=\"0.0025\"} 1",
            "alveary_srv6_delay_seconds_bucket{path=\"7\",le=\"0.005\"} 2",
            "alveary_srv6_delay_seconds_bucket{path=\"7\",le=\"+Inf\"} 3",
            "alveary_srv6_delay_seconds_sum{path=\"7\"} 0.014",
            "alveary_srv6_delay_lost_packets{path=\"7\"} 1",
            "alveary_srv6_delay_reports_total 3",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is missing:\n{text}");
        }
    }

    #[test]
    fn whoever_asks_is_answered() {
        let endpoint = Endpoint::new("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let ask = |words: &str| {
            let mut stream = TcpStream::connect(endpoint.address().expect("one")).expect("a connection");
            stream.write_all(words.as_bytes()).expect("sent");
            endpoint.answer(|| "numbers\n".into());
            let mut answer = String::new();
            stream.read_to_string(&mut answer).map(|_| answer).unwrap_or_default()
        };
        let answer = ask("GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nnumbers\n"), "{answer}");
        assert!(ask("GET / HTTP/1.1\r\n\r\n").contains("404"));
        assert!(ask("POST /metrics HTTP/1.1\r\n\r\n").contains("405"));
        assert_eq!(ask(&"x".repeat(5000)), "", "no such request");
    }
}
