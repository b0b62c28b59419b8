//! What stands beside a site, at a node of its own: etcd, which has the VIPs, and Prometheus, which asks the balancers.

use super::site::{Site, file, ready, status, until, wrong};
use crate::failure::Failure;
use alveary_lb::{
    config::{Endpoint, Etcd},
    etcd::{fetch, put},
    tls::Trust,
};
use alveary_sort::Sort;
use serde_json::Value;
use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::Command,
    time::Duration,
};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 8, 1, 2);
const ETCD: u16 = 2379;
const PROMETHEUS: u16 = 9090;
const KEY: &str = "/alveary/lb/lab";
/// What Prometheus may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A question to Prometheus, and what it has read of each balancer.
pub(super) struct Asked {
    pub(super) query: &'static str,
    pub(super) answer: Vec<(String, f64)>,
}

/// The table `[etcd]` of a balancer.
pub(super) fn etcd(kept: &Path) -> String {
    format!("[etcd]\nendpoints = [\"http://{ADDRESS}:{ETCD}\"]\nkey = \"{KEY}\"\nkept = {kept:?}\n")
}

/// The same, for who writes it.
fn member() -> Etcd {
    Etcd {
        endpoints: vec![Endpoint { host: ADDRESS.to_string(), port: ETCD, tls: false }],
        key: KEY.into(),
        kept: file("kept.toml"),
        user: None,
        exec: false,
        trust: Trust::Machine,
        shown: None,
    }
}

impl Site {
    /// Starts etcd, with what it had, and waits until it answers.
    pub(super) fn start_etcd(&mut self) -> Result<(), Failure> {
        let Some(desk) = self.desk else { return Ok(()) };
        let (clients, peers) = (format!("http://{ADDRESS}:{ETCD}"), format!("http://{ADDRESS}:2380"));
        let mut command = Command::new("etcd");
        command.args(["--name", "lab", "--initial-cluster", &format!("lab={peers}")]);
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        command.arg("--data-dir").arg(file("etcd"));
        let (network, log) = (&self.network, Site::log("etcd"));
        let mut process = self.starter.start("etcd", network.namespace(desk), command, &log)?;
        ready("etcd", &mut process, &log, || network.at(desk, || fetch(&member()).is_ok()).unwrap_or(false))?;
        self.etcd = Some(process);
        Ok(())
    }

    /// Puts a value there, from which balancers take their VIPs.
    pub(super) fn put(&self, text: &str) -> Result<(), Failure> {
        let Some(desk) = self.desk else { return Ok(()) };
        let done = self.network.at(desk, || put(&member(), text))?;
        done.map_err(|why| wrong("the VIPs cannot be put into etcd".into(), &why))
    }

    /// Waits until each balancer says that etcd answers, or that it does not.
    pub(super) fn etcd_answers(&self, answers: bool) -> Result<(), Failure> {
        let what = if answers { "etcd answers again" } else { "etcd is gone" };
        self.each_says(what, |etcd| etcd["gone"].is_null() == answers)?;
        self.scraped("sum(alveary_lb_etcd_up)", if answers { f64::from(self.plan.balancers) } else { 0.0 })
    }

    /// Waits until each balancer refuses what is in etcd, and gives what the first one says of it; or until none does.
    pub(super) fn refused(&self, is: bool) -> Result<Option<String>, Failure> {
        let what = if is { "etcd's value is wrong" } else { "etcd's value is right" };
        self.each_says(what, |etcd| etcd["refused"].is_null() != is)?;
        self.scraped("sum(alveary_lb_etcd_refused)", if is { f64::from(self.plan.balancers) } else { 0.0 })?;
        let first = self.balancers.first().and_then(|balancer| status(&balancer.name));
        Ok(first.and_then(|status| status["etcd"]["refused"].as_str().map(str::to_owned)))
    }

    fn each_says(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<(), Failure> {
        self.balancers.iter().try_for_each(|balancer| {
            let name = &balancer.name;
            until(&format!("{name} says that {what}"), || status(name).is_some_and(|status| is_so(&status["etcd"])))
        })
    }

    /// Starts Prometheus, and waits until it answers.
    pub(super) fn start_prometheus(&mut self) -> Result<(), Failure> {
        let Some(desk) = self.desk else { return Ok(()) };
        let targets: Vec<String> = (1..=self.plan.balancers).map(|number| format!("'10.9.{number}.2:9100'")).collect();
        let text = format!(
            "global:\n  scrape_interval: 1s\nscrape_configs:\n- job_name: lb\n  static_configs:\n  - targets: [{}]\n",
            targets.join(", ")
        );
        let path = file("prometheus.yml");
        fs::write(&path, text).map_err(|why| wrong("Prometheus' configuration cannot be written".into(), &why))?;
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", path.display()));
        command.arg(format!("--storage.tsdb.path={}", file("prometheus").display()));
        command.arg(format!("--web.listen-address={ADDRESS}:{PROMETHEUS}"));
        let log = Site::log("prometheus");
        let mut process = self.starter.start("prometheus", self.network.namespace(desk), command, &log)?;
        ready("Prometheus", &mut process, &log, || self.number("vector(1)") == Some(1.0))?;
        self.prometheus = Some(process);
        Ok(())
    }

    /// What Prometheus has read: whether balancers answer it, and how many packets each has sent to reals; of etcd, too.
    pub(super) fn read(&self) -> Result<Vec<Asked>, Failure> {
        if self.prometheus.is_none() {
            return Ok(Vec::new());
        }
        let packets = "alveary_lb_packets_total{verdict=\"forwarded\"}";
        self.scraped("sum(up)", f64::from(self.plan.balancers))?;
        until("Prometheus reads of packets", || self.number(&format!("sum({packets})")).is_some_and(|all| all > 0.0))?;
        let mut queries = vec!["up", packets];
        if self.plan.etcd {
            queries.push("alveary_lb_etcd_up");
        }
        let asked = |query| {
            let silent = || wrong(format!("Prometheus does not answer `{query}`"), &"it did a moment ago");
            Ok(Asked { query, answer: self.query(query).ok_or_else(silent)? })
        };
        queries.into_iter().map(asked).collect()
    }

    /// Waits until Prometheus, if there is one, has read so much.
    fn scraped(&self, query: &str, number: f64) -> Result<(), Failure> {
        if self.prometheus.is_none() {
            return Ok(());
        }
        until(&format!("Prometheus reads that {query} is {number}"), || self.number(query) == Some(number))
    }

    /// The one number that a query comes to.
    fn number(&self, query: &str) -> Option<f64> {
        self.query(query)?.first().map(|(_, number)| *number)
    }

    /// What a query comes to, by the balancer that it was read of.
    fn query(&self, query: &str) -> Option<Vec<(String, f64)>> {
        let path = format!("/api/v1/query?query={}", encoded(query));
        let asked = || {
            let mut stream = TcpStream::connect((ADDRESS, PROMETHEUS)).ok()?;
            stream.set_read_timeout(Some(PATIENCE)).ok()?;
            // By HTTP/1.0 it ends the conversation when all is said.
            write!(stream, "GET {path} HTTP/1.0\r\nHost: {ADDRESS}\r\n\r\n").ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            Some(answer)
        };
        numbers(&self.network.at(self.desk?, asked).ok()??)
    }
}

/// The numbers in an answer of Prometheus', by instance, in its order.
fn numbers(answer: &str) -> Option<Vec<(String, f64)>> {
    let said: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
    let number = |one: &Value| {
        let of = one["metric"]["instance"].as_str().unwrap_or_default().to_owned();
        Some((of, one["value"][1].as_str()?.parse().ok()?))
    };
    let mut all: Vec<_> = said["data"]["result"].as_array()?.iter().map(number).collect::<Option<_>>()?;
    all.order_by(|(one, _), (other, _)| one.cmp(other));
    Some(all)
}

/// A query as a URL has it.
fn encoded(query: &str) -> String {
    query.bytes().fold(String::new(), |mut all, byte| {
        if byte.is_ascii_alphanumeric() {
            all.push(char::from(byte));
        } else {
            // A string takes all that is written.
            let _ = write!(all, "%{byte:02X}");
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_a_number_of_each_balancer() {
        let said = |result: &str| {
            format!(
                "HTTP/1.0 200 OK\r\n\r\n{{\"status\":\"success\",\"data\":{{\"resultType\":\"vector\",\"result\":[{result}]}}}}"
            )
        };
        let one =
            |of: &str, number: &str| format!("{{\"metric\":{{\"instance\":\"{of}\"}},\"value\":[1.5,\"{number}\"]}}");
        let both = said(&format!("{},{}", one("b", "7"), one("a", "1e+06")));
        assert_eq!(numbers(&both), Some(vec![("a".to_owned(), 1_000_000.0), ("b".to_owned(), 7.0)]));
        assert_eq!(numbers(&said("{\"metric\":{},\"value\":[1,\"3\"]}")), Some(vec![(String::new(), 3.0)]));
        assert_eq!(numbers(&said("")), Some(Vec::new()));
        let refused = "HTTP/1.0 400 Bad Request\r\n\r\n{\"status\":\"error\",\"errorType\":\"bad_data\"}";
        assert_eq!(numbers(refused), None);
        assert_eq!(numbers("HTTP/1.0 200 OK\r\n"), None);
    }

    #[test]
    fn queries_are_written_as_a_url_has_them() {
        assert_eq!(encoded("sum(a{b=\"c d\"})"), "sum%28a%7Bb%3D%22c%20d%22%7D%29");
    }
}
