//! What is known of paths, as users see it.

use super::{Statistics, histogram::Histogram, monitor::Counts};
use crate::table::{Align, Table, grouped};
use serde_json::{Value, json};
use std::io::{self, Write};

/// Quantiles that are told.
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];

/// A table of the paths; where nothing came, that.
pub(super) fn text(statistics: &Statistics, counts: &Counts, out: &mut dyn Write) -> io::Result<()> {
    if statistics.paths.is_empty() {
        writeln!(out, "no measured packet came")?;
    } else {
        let right = ["packets", "lost", "overtaken", "min", "p50", "p90", "p99", "max"];
        let mut columns = vec![("path", Align::Right), ("", Align::Left)];
        columns.extend(right.map(|name| (name, Align::Right)));
        let mut table = Table::new(columns);
        for (path, known) in &statistics.paths {
            let kind = if known.two_way { "there and back" } else { "there" };
            let mut cells = vec![path.to_string(), kind.to_owned(), grouped(known.delay.count())];
            cells.push(format!("{} ({:.1} %)", grouped(known.lost()), known.loss() * 100.0));
            cells.push(grouped(known.overtaken));
            cells.extend(values(&known.delay).map(|(_, value)| milliseconds(value)));
            table.row(cells);
        }
        table.write("", out)?;
    }
    for (number, what) in [
        (counts.reflected, "sent back from here"),
        (counts.unreported, "came when nobody had read the earlier ones"),
        (counts.without, "came without a delay TLV, and went on"),
        (counts.malformed, "were dropped: their delay TLV makes no sense"),
    ] {
        if number > 0 {
            writeln!(out, "{} {what}", crate::table::count(number, "packet", "packets"))?;
        }
    }
    Ok(())
}

/// The same for programs. Times are nanoseconds.
pub(in super::super) fn object(statistics: &Statistics, counts: &Counts) -> Value {
    let histogram = |all: &Histogram| {
        let buckets: Vec<_> = all.filled().map(|(from, to, count)| json!([from, to, count])).collect();
        let mut object: serde_json::Map<String, Value> =
            values(all).map(|(name, value)| (name.to_owned(), json!(value))).collect();
        object.insert("sum".into(), json!(all.sum() as i64));
        object.insert("buckets".into(), json!(buckets));
        Value::Object(object)
    };
    let paths = statistics.paths.iter().map(|(path, known)| {
        let mut object = json!({
            "path": path, "two_way": known.two_way, "packets": known.delay.count(), "lost": known.lost(),
            "overtaken": known.overtaken, "twice": known.twice, "delay": histogram(&known.delay),
        });
        if known.two_way {
            object["there"] = histogram(&known.there);
        }
        object
    });
    json!({ "paths": paths.collect::<Vec<_>>(), "counts": counts })
}

fn values(all: &Histogram) -> impl Iterator<Item = (&'static str, Option<i64>)> {
    let quantiles = QUANTILES.map(|(name, part)| (name, all.quantile(part)));
    [("min", all.least())].into_iter().chain(quantiles).chain([("max", all.most())])
}

/// Nanoseconds as milliseconds.
fn milliseconds(value: Option<i64>) -> String {
    value.map_or_else(String::new, |value| format!("{:.3} ms", value as f64 / 1e6))
}
