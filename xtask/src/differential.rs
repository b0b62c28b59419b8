//! `cargo xtask differential`: programs on the user-space kernel and on the running one, over the same packets.

use crate::{Outcome, process};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const CAPTURE: &str = "examples/traffic.pcap";
/// Where Debian's libxdp puts its objects.
const LIBXDP: &str = "/usr/lib/x86_64-linux-gnu/bpf";

/// What our own objects find in their maps; addresses and ports are those of the capture.
const PRESETS: &[(&str, &[&str])] = &[
    ("filter.bpf.o", &["blocked_v4:192.0.2.0/31=1", "blocked_v4:192.0.2.1/32=0", "ports:{protocol=17,port=53}=1"]),
    ("rewrite.bpf.o", &["targets:{address=192.0.2.2,port=80,protocol=6}={address=10.0.0.9,port=8080,dscp=46}"]),
];

/// What is run, and over what.
struct Order {
    objects: Vec<PathBuf>,
    capture: PathBuf,
    /// Presets of maps beside ours.
    maps: Vec<String>,
}

impl Order {
    /// `[--pcap IN] [--map PRESET]… [OBJECT]…`
    fn parse(arguments: &[String]) -> Result<Order, String> {
        let mut order = Order { objects: Vec::new(), capture: process::path(CAPTURE), maps: Vec::new() };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
            match word.as_str() {
                "--pcap" => order.capture = value()?.into(),
                "--map" => order.maps.push(value()?.clone()),
                word if word.starts_with("--") => return Err(format!("`{word}` is neither --pcap nor --map")),
                word => order.objects.push(word.into()),
            }
        }
        if order.objects.is_empty() {
            order.objects = [&*process::path("examples"), Path::new(LIBXDP)].into_iter().flat_map(objects_in).collect();
        }
        Ok(order)
    }
}

/// Compares every program of the objects that are named; of ours and libxdp's if none is.
pub(crate) fn compare(arguments: &[String]) -> Outcome {
    let order = Order::parse(arguments)?;
    process::run(&mut process::cargo(&["build", "--quiet", "--package", "alveary-cli"]))?;
    let (mut same, mut different, mut apart) = (0, 0, 0);
    for object in &order.objects {
        for program in programs(object)? {
            let name = format!("{} {program}", object.display());
            match run(object, &program, &order)? {
                Verdict::Same => same += 1,
                Verdict::Different(why) => {
                    different += 1;
                    println!("DIFFERENT  {name}: {why}");
                }
                Verdict::Apart(why) => {
                    apart += 1;
                    println!("not run    {name}: {why}");
                }
            }
        }
    }
    println!("{same} programs do the same on both, {different} do not, {apart} cannot be run on both");
    if different == 0 { Ok(()) } else { Err(format!("{different} programs differ")) }
}

fn objects_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut objects: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "o")).collect();
    objects.sort();
    objects
}

fn alveary() -> Command {
    Command::new(process::target().join("debug/alveary"))
}

fn programs(object: &Path) -> Result<Vec<String>, String> {
    let shown = alveary().args(["show", "--json"]).arg(object).output().map_err(|e| e.to_string())?;
    let shown: Value = serde_json::from_slice(&shown.stdout).map_err(|e| format!("{}: {e}", object.display()))?;
    let name = |program: &Value| program["name"].as_str().map(str::to_owned);
    Ok(shown["programs"].as_array().into_iter().flatten().filter_map(name).collect())
}

enum Verdict {
    Same,
    Different(String),
    Apart(String),
}

fn run(object: &Path, program: &str, order: &Order) -> Result<Verdict, String> {
    let ours = PRESETS.iter().find(|(name, _)| object.file_name().is_some_and(|file| file == *name));
    let maps = ours.iter().flat_map(|(_, maps)| maps.iter().copied()).chain(order.maps.iter().map(String::as_str));
    let mut command = alveary();
    command.arg("run").arg(object).arg("--pcap").arg(&order.capture);
    command.args(["--on", "both", "--json", "--prog", program]).args(maps.flat_map(|map| ["--map", map]));
    let output = command.output().map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(Verdict::Same);
    }
    let errors: Value = serde_json::from_slice(&output.stderr).unwrap_or_default();
    let first = &errors["errors"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let words =
        format!("{} (kernel: {}; here: {})", text(&first["message"]), text(&first["expected"]), text(&first["found"]));
    Ok(if first["code"] == "difference" { Verdict::Different(words) } else { Verdict::Apart(text(&first["message"])) })
}
