//! What is asked of a balancer that is served: by its API, on its Unix socket.

use super::{others, record::time, serve::ROOT, watch::watch};
use crate::{
    failure::Failure,
    output,
    table::{Align, Table, grouped},
};
use alveary_diag::{Diagnostic, Place};
use alveary_lb::{
    announce::{noted_bpffs, noted_socket},
    asked,
    config::Prefix,
    http::ask,
    instance, samples,
};
use clap::{Args, ValueHint};
use serde_json::{Value, json};
use std::{
    io::{self, IsTerminal},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

/// Which balancer.
#[derive(Clone, Debug, Args)]
pub(super) struct Which {
    /// The balancer's name, if it has one
    #[arg(long, value_name = "NAME", default_value = "main", value_parser = name)]
    name: String,

    /// Its socket, if its configuration says another one
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// What a balancer may be called: its name is part of paths.
pub(super) fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_name = (1..=64).contains(&text.len()) && text.chars().all(plain);
    if is_name { Ok(text.to_owned()) } else { Err("letters, digits, - and _, at most 64".into()) }
}

/// What is done about a balancer that does not answer; `pinned` is where one balances all the same.
fn silent(name: &str, pinned: Option<&Path>) -> Vec<String> {
    let start = "`alveary lb serve CONFIG.toml` starts one; --name or --socket says which";
    let Some(root) = pinned else { return vec![start.into()] };
    let folder = instance::folder(root, name);
    let more = if root == Path::new(ROOT) { String::new() } else { format!(" --bpffs {}", root.display()) };
    vec![
        format!("no process serves `{name}`, but packets are still balanced by what is pinned in {}", folder.display()),
        format!("`alveary lb serve CONFIG.toml{more}` takes it over; `alveary lb stop {name}{more}` ends it"),
    ]
}

impl Which {
    pub(super) fn new(name: &str, socket: Option<PathBuf>) -> Which {
        Which { name: name.to_owned(), socket }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its socket: the one that is said, or that it has noted.
    pub(super) fn path(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| noted_socket(&self.name))
    }

    pub(super) fn ask(&self, method: &str, target: &str, body: &Value) -> Result<Value, Failure> {
        let path = self.path();
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let answer = UnixStream::connect(&path).and_then(|mut stream| ask(&mut stream, method, target, &body));
        let (status, answer) = answer.map_err(|why| {
            let message = format!("no balancer answers at {}", path.display());
            let wrong = Diagnostic::new("lb-api", message, Place::Nowhere).found(why.to_string());
            match why.kind() {
                io::ErrorKind::PermissionDenied => wrong.help("ask as root: sudo"),
                _ => {
                    let root = noted_bpffs(&self.name).unwrap_or_else(|| ROOT.into());
                    let pinned = instance::goes_on(&root, &self.name).then_some(root);
                    silent(&self.name, pinned.as_deref()).into_iter().fold(wrong, Diagnostic::help)
                }
            }
        })?;
        let said: Value = serde_json::from_slice(&answer).unwrap_or_default();
        if status == 200 {
            return Ok(said);
        }
        let why = said["error"].as_str().unwrap_or("the balancer does not say why").to_owned();
        Err(Diagnostic::new("lb-api", why, Place::Nowhere).into())
    }
}

/// Tell how a balancer is: VIPs, reals, what became of packets
///
/// Of each VIP: `packets` and `bytes` that came for it, whatever became of them; `returned`, packets of reals behind NAT to its
/// clients; `opened`, connections that were begun and remembered (not those that are open now, which `alveary lb flows` lists; UDP's
/// flows are connections, too). Of each real: its weight, its part of the VIP's table now, packets and bytes that were sent to
/// it, for all VIPs that send there the same way. Counts go on when another process takes over, until `alveary lb stop`.
///
/// With --watch on a screen of its own, which is renewed: how many packets came in each second, who is well. Arrows move what
/// is shown, `q` ends.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary lb status
  alveary lb status --watch")]
pub(super) struct Status {
    /// Look again and again, every so many seconds (1)
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1",
        value_parser = clap::value_parser!(u16).range(1..))]
    watch: Option<u16>,

    #[command(flatten)]
    which: Which,
}

/// List the VIPs of a balancer
///
/// `packets` and `bytes` came for the VIP, whatever became of them; `returned` are packets of reals behind NAT to its clients; `opened`
/// are connections that were begun and remembered, not those that are open now (`alveary lb flows` lists those).
#[derive(Debug, Args)]
#[command(after_help = "Example:
  alveary lb vips")]
pub(super) struct Vips {
    #[command(flatten)]
    which: Which,
}

/// List the reals of a balancer, with their health and their part of the table
#[derive(Debug, Args)]
#[command(after_help = "Example:
  alveary lb reals")]
pub(super) struct Reals {
    #[command(flatten)]
    which: Which,
}

/// List connections that all CPUs know, 10,000 at most; or follow packets that are sampled
///
/// `--client`, `--vip` and `--real` say which: those for which all holds that is said. With `--follow` it prints a line for each packet that the data plane samples, as it passes: the flow, what became of it, the VIP
/// and the real. `[rates] sample` in the configuration says one of how many packets that is.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary lb flows
  alveary lb flows --client 198.51.100.0/24 --real 10.0.0.11
  alveary lb flows --follow --for 10s
  alveary lb flows --follow --json | jq 'select(.verdict == \"no-real\")'")]
pub(super) struct Flows {
    #[command(flatten)]
    pub(super) which: Which,

    /// Of clients of this prefix alone
    #[arg(long, value_name = "PREFIX", conflicts_with = "follow", value_parser = prefix)]
    client: Option<Prefix>,

    /// To this VIP alone, by its name or address
    #[arg(long, value_name = "VIP", conflicts_with = "follow")]
    vip: Option<String>,

    /// Of this real alone, by its name
    #[arg(long, value_name = "REAL", conflicts_with = "follow")]
    real: Option<String>,

    /// Print sampled packets until Ctrl-C
    #[arg(long, conflicts_with = "socket")]
    follow: bool,

    /// End when so many samples have come
    #[arg(long, value_name = "N", requires = "follow", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,

    /// End after this time
    #[arg(long = "for", value_name = "TIME", requires = "follow", value_parser = time)]
    pub(super) time: Option<Duration>,

    /// The BPF file system in which it is pinned
    #[arg(long, value_name = "DIR", requires = "follow", default_value = ROOT, value_hint = ValueHint::DirPath)]
    pub(super) bpffs: PathBuf,
}

fn prefix(text: &str) -> Result<Prefix, String> {
    text.parse().map_err(|()| "a prefix without bits behind it is expected: 198.51.100.0/24, 2001:db8::/32".into())
}

/// Send no new connections to a real
///
/// Its connections go on until the VIP's `drain` time is over, or the one that is said here; then they end.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary lb drain 10.0.0.11
  alveary lb drain 10.0.0.11 --vip web --within 30s")]
pub(super) struct Drain {
    /// The real, by name
    real: String,

    /// Of this VIP alone
    #[arg(long, value_name = "NAME")]
    vip: Option<String>,

    /// In which time its connections have to end
    #[arg(long, value_name = "TIME")]
    within: Option<String>,

    #[command(flatten)]
    which: Which,
}

/// Send new connections to a real again
#[derive(Debug, Args)]
#[command(after_help = "Example:
  alveary lb undrain 10.0.0.11")]
pub(super) struct Undrain {
    /// The real, by name
    real: String,

    /// Of this VIP alone
    #[arg(long, value_name = "NAME")]
    vip: Option<String>,

    #[command(flatten)]
    which: Which,
}

/// Have a balancer read its configuration again
#[derive(Debug, Args)]
#[command(after_help = "Example:
  alveary lb reload")]
pub(super) struct Reload {
    #[command(flatten)]
    which: Which,
}

impl Status {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let which = self.which.clone();
        let ask = move || which.ask("GET", "/v1/status", &Value::Null);
        if let Some(seconds) = self.watch {
            if json || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
                let why = "`--watch` takes a terminal, and shows no JSON";
                let wrong = Diagnostic::new("terminal", why, Place::Nowhere);
                return Err(wrong.help("`alveary lb status --json`, as often as you like").into());
            }
            return watch(Duration::from_secs(seconds.into()), ask);
        }
        let status = ask()?;
        if json {
            return output::object(&status);
        }
        let dropped: u64 =
            each(&status["verdicts"]).filter(|one| one["drops"] == true).map(|one| count(&one["packets"])).sum();
        output::write(|out| {
            let devices: Vec<&str> = each(&status["devices"]).filter_map(Value::as_str).collect();
            writeln!(out, "{} on {}\n", text(&status["name"]), devices.join(", "))?;
            vips(&status).write("  ", out)?;
            writeln!(out)?;
            reals(&status).write("  ", out)?;
            writeln!(out)?;
            let mut table = Table::new(vec![("packets", Align::Left), ("", Align::Right), ("", Align::Left)]);
            for verdict in each(&status["verdicts"]).filter(|one| count(&one["packets"]) > 0) {
                table.row([text(&verdict["name"]), grouped(count(&verdict["packets"])), text(&verdict["about"])]);
            }
            table.write("  ", out)?;
            writeln!(out, "\n{} dropped", crate::table::count(dropped, "packet", "packets"))?;
            if let Some(counted) = others::counted(&status) {
                writeln!(out)?;
                counted.write("  ", out)?;
            }
            let lines = others::lines(&status);
            if !lines.is_empty() {
                writeln!(out)?;
            }
            lines.iter().try_for_each(|line| writeln!(out, "{line}"))
        })
    }
}

impl Vips {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let status = self.which.ask("GET", "/v1/status", &Value::Null)?;
        if json {
            return output::object(&json!({ "vips": status["vips"] }));
        }
        output::write(|out| vips(&status).write("", out))
    }
}

impl Reals {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let status = self.which.ask("GET", "/v1/status", &Value::Null)?;
        if json {
            let of = |vip: &Value| json!({ "vip": vip["name"], "reals": vip["reals"] });
            return output::object(&json!({ "vips": each(&status["vips"]).map(of).collect::<Vec<_>>() }));
        }
        output::write(|out| reals(&status).write("", out))
    }
}

impl Flows {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        if self.follow {
            return super::flows::follow(self, json);
        }
        let query = asked::Flows::query(self.client, self.vip.as_deref(), self.real.as_deref());
        let target = if query.is_empty() { "/v1/flows".to_owned() } else { format!("/v1/flows?{query}") };
        let flows = self.which.ask("GET", &target, &Value::Null)?;
        if json {
            return output::object(&flows);
        }
        let mut table = Table::new(["client", "VIP", "protocol", "real"].map(|name| (name, Align::Left)).to_vec());
        for flow in each(&flows["flows"]) {
            let end = |address: &Value, port: &Value| match text(address) {
                six if six.contains(':') => format!("[{six}]:{port}"),
                four => format!("{four}:{port}"),
            };
            let protocol = samples::protocol(flow["protocol"].as_u64().unwrap_or_default() as u8);
            let (client, vip) = (end(&flow["client"], &flow["client_port"]), end(&flow["vip"], &flow["vip_port"]));
            table.row([client, vip, protocol, text(&flow["real"])]);
        }
        if flows["more"] == true {
            let most = grouped(count(&flows["most"]));
            anstream::eprintln!("there are more than these {most}: --client, --vip and --real say which are wanted");
        }
        output::write(|out| table.write("", out))
    }
}

impl Drain {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let body = json!({ "real": self.real, "vip": self.vip, "within": self.within });
        noted(&self.which.ask("POST", "/v1/drain", &body)?, json)
    }
}

impl Undrain {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let body = json!({ "real": self.real, "vip": self.vip });
        noted(&self.which.ask("POST", "/v1/undrain", &body)?, json)
    }
}

impl Reload {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        noted(&self.which.ask("POST", "/v1/reload", &Value::Null)?, json)
    }
}

/// What an answer says besides that it was done: lines on stderr.
fn noted(answer: &Value, json: bool) -> Result<(), Failure> {
    each(&answer["notes"]).filter_map(Value::as_str).for_each(|note| anstream::eprintln!("{note}"));
    said(answer, json)
}

pub(super) fn said(answer: &Value, json: bool) -> Result<(), Failure> {
    if json { output::object(answer) } else { Ok(()) }
}

pub(super) fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(super) fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn vips(status: &Value) -> Table {
    // Without NAT nothing comes back by the balancer.
    let returned = each(&status["vips"]).any(|vip| count(&vip["back"]["packets"]) > 0);
    let right = ["reals", "packets", "bytes", "returned", "opened"].into_iter();
    let right = right.filter(|name| returned || *name != "returned").map(|name| (name, Align::Right));
    let mut columns = vec![("VIP", Align::Left), ("address", Align::Left)];
    columns.extend(right);
    let mut table = Table::new(columns);
    for vip in each(&status["vips"]) {
        let ports: Vec<String> = each(&vip["ports"]).map(ToString::to_string).collect();
        let protocols: Vec<&str> = each(&vip["protocols"]).filter_map(Value::as_str).collect();
        let mut row = vec![
            text(&vip["name"]),
            format!("{} {} {}", text(&vip["address"]), protocols.join(","), ports.join(",")).trim_end().to_owned(),
            grouped(each(&vip["reals"]).count() as u64),
            grouped(count(&vip["to"]["packets"])),
            grouped(count(&vip["to"]["bytes"])),
        ];
        row.extend(returned.then(|| grouped(count(&vip["back"]["packets"]))));
        row.push(grouped(count(&vip["opened"])));
        table.row(row);
    }
    table
}

/// How a real is, in words.
pub(super) fn health(real: &Value) -> String {
    match (real["drained_seconds_left"].as_u64(), real["why"].as_str()) {
        (Some(seconds), _) => format!("drained, {seconds} s left"),
        (None, Some(why)) => format!("{}: {why}", text(&real["health"])),
        (None, None) => text(&real["health"]),
    }
}

fn reals(status: &Value) -> Table {
    let right = ["weight", "table", "packets", "bytes"].map(|name| (name, Align::Right));
    let mut columns = vec![("real", Align::Left), ("VIP", Align::Left), ("health", Align::Left)];
    columns.extend(right);
    let mut table = Table::new(columns);
    for vip in each(&status["vips"]) {
        for real in each(&vip["reals"]) {
            let part = count(&real["slots"]) as f64 / count(&vip["slots"]).max(1) as f64;
            table.row([
                text(&real["name"]),
                text(&vip["name"]),
                health(real),
                real["weight"].to_string(),
                format!("{:.1} %", part * 100.0),
                grouped(count(&real["packets"])),
                grouped(count(&real["bytes"])),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pinned_goes_on_without_an_answer() {
        assert!(silent("edge", None)[0].contains("starts one"));
        let said = silent("edge", Some(Path::new("/run/bpf"))).join("\n");
        assert!(said.contains("still balanced by what is pinned in /run/bpf/alveary-lb/edge"), "{said}");
        assert!(said.contains("`alveary lb serve CONFIG.toml --bpffs /run/bpf` takes it over"), "{said}");
        assert!(!silent("edge", Some(Path::new(ROOT))).join("\n").contains("--bpffs"));
    }

    /// Each count of a VIP stands below its name; what comes back does where there is NAT.
    #[test]
    fn a_vip_s_counts_are_named() {
        let lines = |back: u64| {
            let vip = json!({
                "name": "web", "address": "192.0.2.1", "ports": [80, 443], "protocols": ["tcp"], "reals": [{}, {}],
                "to": { "packets": 1200, "bytes": 90_000 }, "back": { "packets": back, "bytes": 1 }, "opened": 30,
            });
            let mut out = Vec::new();
            vips(&json!({ "vips": [vip] })).write("", &mut out).expect("memory takes it");
            let plain = anstream::adapter::strip_str(std::str::from_utf8(&out).expect("text")).to_string();
            plain.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
        };
        assert_eq!(lines(0), ["VIP address reals packets bytes opened", "web 192.0.2.1 tcp 80,443 2 1,200 90,000 30"]);
        assert_eq!(
            lines(7),
            ["VIP address reals packets bytes returned opened", "web 192.0.2.1 tcp 80,443 2 1,200 90,000 7 30"]
        );
    }

    #[test]
    fn names_are_no_paths() {
        assert_eq!(name("edge-1_a"), Ok("edge-1_a".into()));
        for wrong in ["", "../../etc", "a/b", ".", &"x".repeat(65)] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }
}
