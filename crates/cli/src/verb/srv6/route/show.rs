//! `alveary srv6 route show`.

use super::{
    super::prefix::{MAIN, Prefix},
    Which,
    encap::Told,
};
use crate::{
    failure::Failure,
    output,
    table::{Align, Table, grouped},
};
use alveary::kernel::netlink::srv6::{Next, SteeredRoute};
use clap::Args;
use rustix::net::{AddressFamily, SocketType, netdevice::index_to_name, socket};
use serde_json::{Map, Value, json};

/// Show the routes with a segment, a headend or a program of this network namespace
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary srv6 route show
  alveary srv6 route show fc00:e::/64 --table 77 --json")]
pub(super) struct Show {
    /// Those to this destination alone
    #[arg(value_name = "PREFIX")]
    destination: Option<Prefix>,

    #[command(flatten)]
    which: Which,
}

impl Show {
    pub(super) fn run(&self, as_json: bool) -> Result<(), Failure> {
        let all = self.which.routes(self.destination)?;
        if as_json {
            return output::object(&json!({ "routes": all.iter().map(json).collect::<Vec<_>>() }));
        }
        if all.is_empty() {
            return output::plain("no route with a segment, a headend or a program\n");
        }
        let left = ["destination", "behaviour", "with", "dev", "via", "table"].map(|name| (name, Align::Left));
        let right = ["metric", "packets", "bytes", "errors"].map(|name| (name, Align::Right));
        let mut table = Table::new([&left[..], &right[..]].concat());
        all.iter().for_each(|route| rows(route, &mut table));
        output::write(|out| table.write("", out))
    }
}

/// Each way of a route is a row.
fn rows(route: &SteeredRoute, table: &mut Table) {
    for (number, next) in route.next.iter().enumerate() {
        let first = |text: String| if number == 0 { text } else { String::new() };
        let told = next.encap.as_ref().map(Told::of);
        let counters = told.as_ref().and_then(|told| told.counters);
        let count = |read: fn(&alveary::kernel::netlink::srv6::Counters) -> u64| {
            counters.as_ref().map(|counters| grouped(read(counters))).unwrap_or_default()
        };
        table.row([
            first(destination(route)),
            told.as_ref().map(|told| told.behaviours.join(" ")).unwrap_or_default(),
            told.as_ref().map(with).unwrap_or_default(),
            device(next.device),
            next.gateway.map(|gateway| gateway.to_string()).unwrap_or_default(),
            first(if route.key.table == MAIN { String::new() } else { route.key.table.to_string() }),
            first(route.key.metric.to_string()),
            count(|counters| counters.packets),
            count(|counters| counters.bytes),
            count(|counters| counters.errors),
        ]);
    }
}

/// A route in a sentence.
pub(super) fn line(route: &SteeredRoute) -> String {
    let way = |next: &Next| {
        let told = next.encap.as_ref().map(Told::of);
        let (does, with) = told.map(|told| (told.behaviours.join(" "), with(&told))).unwrap_or_default();
        format!("{does} {with} dev {}", device(next.device))
    };
    let ways: Vec<_> = route.next.iter().map(way).collect();
    format!("{} {} table {}", destination(route), ways.join(" | "), route.key.table)
}

/// A route as an object.
pub(super) fn json(route: &SteeredRoute) -> Value {
    let way = |next: &Next| {
        let mut object = Map::new();
        if let Some(told) = next.encap.as_ref().map(Told::of) {
            let behaviours = match &told.behaviours[..] {
                [one] => json!(one),
                several => json!(several),
            };
            object.insert("behaviour".into(), behaviours);
            for (name, value) in told.with {
                object.insert(name.replace('-', "_"), Value::String(value));
            }
            if let Some(counters) = told.counters {
                let counters =
                    json!({ "packets": counters.packets, "bytes": counters.bytes, "errors": counters.errors });
                object.insert("counters".into(), counters);
            }
        }
        object.insert("dev".into(), json!(device(next.device)));
        if let Some(gateway) = next.gateway {
            object.insert("via".into(), json!(gateway));
        }
        object
    };
    let mut object = Map::new();
    object.insert("destination".into(), json!(destination(route)));
    object.insert("table".into(), json!(route.key.table));
    object.insert("metric".into(), json!(route.key.metric));
    match &route.next[..] {
        [only] => object.extend(way(only)),
        several => {
            object.insert("ways".into(), json!(several.iter().map(way).collect::<Vec<_>>()));
        }
    }
    Value::Object(object)
}

fn destination(route: &SteeredRoute) -> String {
    Prefix { address: route.key.destination, bits: route.key.prefix }.to_string()
}

fn with(told: &Told) -> String {
    told.with.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(" ")
}

/// The name of a device, or its number if it has none any more.
pub(super) fn device(index: u32) -> String {
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None).ok();
    any.and_then(|any| index_to_name(any, index).ok()).unwrap_or_else(|| index.to_string())
}
