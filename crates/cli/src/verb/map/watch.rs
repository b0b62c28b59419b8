//! `alveary map watch`: what changes in a map, as it does. The kernel does not tell: the map is read again and again, in
//! batches, and held against what it was.

use super::{entry::Elements, walk::walk};
use crate::{
    bpftool::{
        json::Json,
        options::{Options, Shape},
        select,
        words::Words,
    },
    failure::Failure,
    output,
};
use alveary_sort::Sort;
use clap::Args;
use std::{collections::BTreeMap, io::Write, thread, time::Duration};

/// Print what changes in a map: elements that come, change and go
///
/// Each line begins with `+`, `~` or `-`. What comes and goes between two looks is not seen.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary map watch name services
  alveary map watch id 12 --interval 100 --json")]
pub(super) struct Watch {
    /// `id ID`, `name NAME` or `pinned FILE`
    #[arg(value_name = "MAP", required = true)]
    words: Vec<String>,

    /// How often to look, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    interval: u64,

    /// End after so many changes
    #[arg(long, value_name = "N")]
    changes: Option<u64>,
}

type Snapshot = BTreeMap<Vec<u8>, Vec<u8>>;

impl Watch {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        let map = Elements::of(select::map(&mut words)?)?;
        words.end()?;
        let shape = options.shape(json);
        let mut before = snapshot(&map)?;
        let mut left = self.changes.unwrap_or(u64::MAX);
        while left > 0 {
            thread::sleep(Duration::from_millis(self.interval));
            let now = snapshot(&map)?;
            let changes = changes(&before, &now);
            output::write(|out| {
                changes.iter().take(left as usize).try_for_each(|change| print(&map, change, shape, out))
            })?;
            left = left.saturating_sub(changes.len() as u64);
            before = now;
        }
        Ok(())
    }
}

fn snapshot(map: &Elements) -> Result<Snapshot, Failure> {
    let mut found = Snapshot::new();
    walk(map, |key, value| {
        // An element that went while we looked is not there.
        if let Ok(value) = value {
            found.insert(key.to_vec(), value.to_vec());
        }
        Ok(())
    })?;
    Ok(found)
}

/// What happened to an element.
#[derive(Debug, PartialEq, Eq)]
struct Change<'a> {
    sign: char,
    what: &'static str,
    key: &'a [u8],
    value: &'a [u8],
}

/// By key.
fn changes<'a>(before: &'a Snapshot, now: &'a Snapshot) -> Vec<Change<'a>> {
    let gone =
        before.iter().filter(|(key, _)| !now.contains_key(*key)).map(|(key, value)| ('-', "deleted", key, value));
    let there = now.iter().filter_map(|(key, value)| match before.get(key) {
        None => Some(('+', "added", key, value)),
        Some(old) if old != value => Some(('~', "changed", key, value)),
        Some(_) => None,
    });
    let mut all: Vec<_> = gone.chain(there).map(|(sign, what, key, value)| Change { sign, what, key, value }).collect();
    all.order_by_key(|change| change.key);
    all
}

fn print(map: &Elements, change: &Change<'_>, shape: Shape, out: &mut dyn Write) -> std::io::Result<()> {
    match shape {
        Shape::Text => {
            if map.typed() {
                write!(out, "{} ", change.sign)?;
                map.formatted(change.key, change.value, true, &mut Json::new(out, false))?;
                return writeln!(out);
            }
            let mut lines = Vec::new();
            map.text(change.key, change.value, &mut lines)?;
            let lines = String::from_utf8_lossy(&lines);
            let words: Vec<&str> = lines.split_whitespace().collect();
            writeln!(out, "{} {}", change.sign, words.join(" "))
        }
        // One object a line, pretty or not: the list has no end.
        Shape::Json { .. } => {
            Json::new(out, false).object(|json| {
                json.field("change", change.what)?;
                json.name("element")?;
                map.json(change.key, change.value, json)
            })?;
            writeln!(out)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_come_change_and_go() {
        let map = |elements: &[(u8, u8)]| elements.iter().map(|(k, v)| (vec![*k], vec![*v])).collect::<Snapshot>();
        let (before, now) = (map(&[(1, 10), (2, 20), (3, 30)]), map(&[(2, 20), (3, 31), (4, 40)]));
        let found: Vec<_> = changes(&before, &now).iter().map(|c| (c.sign, c.key[0], c.value[0])).collect();
        assert_eq!(found, [('-', 1, 10), ('~', 3, 31), ('+', 4, 40)]);
        assert_eq!(changes(&now, &now), []);
    }
}
