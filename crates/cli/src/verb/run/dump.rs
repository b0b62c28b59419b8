//! What maps hold after a run: as text by their BTF, and as JSON.

use crate::table::{HEADING, count, grouped, printable};
use alveary::{Backend, Loaded, MapHandle, Result};
use alveary_abi::MapType;
use alveary_btf::{Btf, Type, TypeId, Value};
use alveary_sort::Sort;
use alveary_spec::MapSpec;
use serde_json::{Map as Object, Value as Json, json};
use std::{
    cmp::Ordering,
    io::{self, Write},
};

/// A map's content.
pub(super) struct Dump {
    name: String,
    ty: &'static str,
    content: Content,
}

enum Content {
    Entries {
        /// In the order of their keys.
        listed: Vec<Entry>,
        /// Entries of an array that hold nothing but zeros: they are not listed.
        zeros: u64,
    },
    /// The variables of a data section.
    Variables(Value),
    /// The programs in a prog array, by slot.
    Programs(Vec<(u32, String)>),
    /// The map carries events and holds nothing.
    Events,
    /// The map cannot be listed; why.
    Unlisted(String),
}

struct Entry {
    key: Value,
    held: Held,
}

/// What an entry holds.
enum Held {
    /// One value for all CPUs.
    One(Value),
    /// A value for each CPU, and what they add up to if they are numbers.
    PerCpu { each: Vec<Value>, sum: Option<Value> },
}

impl Dump {
    /// Reads a map of `loaded`.
    pub(super) fn of<B: Backend>(name: &str, map: &B::Map, loaded: &Loaded<B>, btf: Option<&Btf>) -> Result<Dump> {
        let spec = map.spec();
        let row = loaded.target().kernel().profile.map_type(spec.def.ty);
        let reader = Reader { spec, btf, per_cpu: row.is_some_and(|r| r.per_cpu) };
        let content = match spec.def.ty {
            MapType::PERF_EVENT_ARRAY | MapType::RINGBUF => Content::Events,
            MapType::PROG_ARRAY => Content::Programs(programs(map, loaded)?),
            MapType::QUEUE | MapType::STACK => {
                let most = count(spec.def.max_entries.into(), "entry", "entries");
                Content::Unlisted(format!("{most} at most, which cannot be listed without taking them out"))
            }
            MapType::BLOOM_FILTER => Content::Unlisted("which only answers whether it may hold a value".to_owned()),
            // What a run comes to is worth more than one map of it.
            _ => match map.entries() {
                Ok(entries) => reader.content(entries),
                Err(why) => Content::Unlisted(format!("which cannot be listed: {}", why.diagnostic().message)),
            },
        };
        Ok(Dump { name: name.to_owned(), ty: row.map_or("unknown", |r| r.name), content })
    }

    /// The map's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Where this map differs from the same map of another target: the first entry, here and there. Values of CPUs are
    /// compared as what they add up to, if they do; maps that cannot be listed are not compared.
    pub(super) fn difference(&self, other: &Dump) -> Option<[String; 2]> {
        let lines = |dump: &Dump| -> Vec<String> {
            match &dump.content {
                Content::Entries { listed, .. } => listed.iter().map(Entry::compared).collect(),
                Content::Variables(Value::Struct(variables)) => {
                    variables.iter().map(|(name, value)| format!("{name}: {value}")).collect()
                }
                Content::Variables(value) => vec![value.to_string()],
                Content::Programs(slots) => slots.iter().map(|(slot, name)| format!("{slot}: {name}")).collect(),
                Content::Events | Content::Unlisted(_) => Vec::new(),
            }
        };
        let listed = |dump: &Dump| !matches!(dump.content, Content::Unlisted(_));
        if !listed(self) || !listed(other) {
            return None;
        }
        let (ours, theirs) = (lines(self), lines(other));
        let at = (0..ours.len().max(theirs.len())).find(|i| ours.get(*i) != theirs.get(*i))?;
        let line = |lines: &[String]| lines.get(at).cloned().unwrap_or_else(|| "no further entry".to_owned());
        Some([line(&ours), line(&theirs)])
    }

    /// As JSON.
    pub(super) fn json(&self) -> Json {
        match &self.content {
            Content::Entries { listed, zeros } => {
                let entries: Vec<_> = listed.iter().map(Entry::json).collect();
                json!({ "type": self.ty, "entries": entries, "zeros": zeros })
            }
            Content::Variables(value) => json!({ "type": self.ty, "variables": json_of(value) }),
            Content::Programs(slots) => {
                let entries: Vec<_> = slots.iter().map(|(key, name)| json!({ "key": key, "value": name })).collect();
                json!({ "type": self.ty, "entries": entries })
            }
            Content::Events => json!({ "type": self.ty, "entries": [] }),
            Content::Unlisted(note) => json!({ "type": self.ty, "entries": null, "note": note }),
        }
    }

    /// As text: a line for each entry.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{HEADING}{}{HEADING:#}: {}", printable(&self.name), self.ty)?;
        match &self.content {
            Content::Entries { listed, zeros } => {
                writeln!(out, ", {}", counts(listed.len() as u64, *zeros))?;
                listed.iter().try_for_each(|entry| entry.write(out))
            }
            Content::Variables(Value::Struct(variables)) => {
                writeln!(out, ", {}", count(variables.len() as u64, "variable", "variables"))?;
                variables.iter().try_for_each(|(name, value)| line(out, name, value))
            }
            Content::Variables(value) => writeln!(out, "\n  {}", printable(&value.to_string())),
            Content::Programs(slots) => {
                writeln!(out, ", {}", count(slots.len() as u64, "program", "programs"))?;
                slots.iter().try_for_each(|(slot, name)| line(out, slot, name))
            }
            Content::Events => writeln!(out, ", for events"),
            Content::Unlisted(note) => writeln!(out, ", {note}"),
        }
    }
}

fn counts(listed: u64, zeros: u64) -> String {
    match (listed, zeros) {
        (listed, 0) => count(listed, "entry", "entries"),
        (0, zeros) => count(zeros, "entry", "entries") + " of zeros",
        (listed, zeros) => format!("{}, {} more of zeros", count(listed, "entry", "entries"), grouped(zeros)),
    }
}

fn line(out: &mut dyn Write, key: impl ToString, value: impl ToString) -> io::Result<()> {
    writeln!(out, "  {}: {}", printable(&key.to_string()), printable(&value.to_string()))
}

/// The programs in a prog array. An entry reads as the program's id.
fn programs<B: Backend>(map: &B::Map, loaded: &Loaded<B>) -> Result<Vec<(u32, String)>> {
    let name = |id: u32| {
        let program = loaded.programs().find(|p| loaded.target().program_id(p.handle()) == id);
        program.map_or_else(|| format!("program {id}"), |p| p.spec().name.to_string())
    };
    let mut slots = Vec::new();
    for (key, value) in map.entries()? {
        if let (Some(slot), Some(id)) = (native(&key), native(&value)) {
            slots.push((slot, name(id)));
        }
    }
    Ok(slots)
}

/// A number of 4 bytes, as user space reads it.
fn native(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_ne_bytes)
}

/// The types whose entries all exist from the start.
const ARRAYS: [MapType; 2] = [MapType::ARRAY, MapType::PERCPU_ARRAY];
/// The types whose key is a plain index, whether or not BTF says so.
const INDEXED: [MapType; 5] =
    [MapType::ARRAY, MapType::PERCPU_ARRAY, MapType::DEVMAP, MapType::CPUMAP, MapType::XSKMAP];

struct Reader<'a> {
    spec: &'a MapSpec,
    btf: Option<&'a Btf>,
    per_cpu: bool,
}

impl Reader<'_> {
    fn content(&self, all: Vec<(Vec<u8>, Vec<u8>)>) -> Content {
        if let (Some(btf), Some(ty), [(_, value)]) = (self.btf, self.spec.value_type, &*all)
            && matches!(btf.resolved(ty), Type::DataSec(_))
        {
            return Content::Variables(btf.value(ty, value));
        }
        let empty = |value: &[u8]| ARRAYS.contains(&self.spec.def.ty) && value.iter().all(|b| *b == 0);
        let shown = all.iter().filter(|(_, value)| !empty(value));
        let mut listed: Vec<_> = shown.map(|(key, value)| self.entry(key, value)).collect();
        listed.order_by(|a, b| order(&a.key, &b.key));
        let zeros = (all.len() - listed.len()) as u64;
        Content::Entries { listed, zeros }
    }

    fn entry(&self, key: &[u8], bytes: &[u8]) -> Entry {
        let size = self.spec.def.value_size as usize;
        let held = if self.per_cpu {
            let values = bytes.chunks(size.next_multiple_of(8).max(1)).filter_map(|b| b.get(..size));
            let each: Vec<_> = values.map(|b| self.value(b)).collect();
            Held::PerCpu { sum: total(&each), each }
        } else {
            Held::One(self.value(bytes))
        };
        Entry { key: self.key(key), held }
    }

    fn key(&self, bytes: &[u8]) -> Value {
        match (INDEXED.contains(&self.spec.def.ty), native(bytes)) {
            (true, Some(index)) => Value::Int(index.into()),
            _ => self.typed(self.spec.key_type, bytes),
        }
    }

    fn value(&self, bytes: &[u8]) -> Value {
        self.typed(self.spec.value_type, bytes)
    }

    /// Bytes by their type; as they are, if there is none.
    fn typed(&self, ty: Option<TypeId>, bytes: &[u8]) -> Value {
        match (self.btf, ty) {
            (Some(btf), Some(ty)) => btf.value(ty, bytes),
            _ => Value::Bytes(bytes.to_vec()),
        }
    }
}

impl Entry {
    /// As it is compared with that of another target.
    fn compared(&self) -> String {
        let value = match &self.held {
            Held::One(value) => value.to_string(),
            Held::PerCpu { sum: Some(sum), .. } => sum.to_string(),
            Held::PerCpu { each, sum: None } => each.iter().map(|v| v.to_string() + " ").collect(),
        };
        format!("{}: {value}", self.key)
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        match &self.held {
            Held::One(value) => line(out, &self.key, value),
            Held::PerCpu { each, .. } if each.len() == 1 => line(out, &self.key, &each[0]),
            Held::PerCpu { each, sum } => {
                line(out, &self.key, sum.as_ref().map(|s| format!("{s} in all")).unwrap_or_default())?;
                each.iter().enumerate().try_for_each(|(cpu, value)| line(out, format!("  cpu {cpu}"), value))
            }
        }
    }

    fn json(&self) -> Json {
        match &self.held {
            Held::One(value) => json!({ "key": json_of(&self.key), "value": json_of(value) }),
            Held::PerCpu { each, sum } => json!({
                "key": json_of(&self.key),
                "value": sum.as_ref().map(json_of),
                "cpus": each.iter().map(json_of).collect::<Vec<_>>(),
            }),
        }
    }
}

/// A value as JSON: numbers as numbers where JSON has them exactly, bytes and addresses in hex.
pub(super) fn json_of(value: &Value) -> Json {
    match value {
        Value::Int(n) => match (i64::try_from(*n), u64::try_from(*n)) {
            (Ok(n), _) => n.into(),
            (_, Ok(n)) => n.into(),
            _ => n.to_string().into(),
        },
        Value::Float(x) => (*x).into(),
        Value::Bool(b) => (*b).into(),
        Value::Str(text) => text.as_str().into(),
        Value::Enum { name, .. } => name.as_str().into(),
        Value::Array(all) => all.iter().map(json_of).collect(),
        Value::Struct(fields) => fields.iter().map(|(n, v)| (n.clone(), json_of(v))).collect::<Object<_, _>>().into(),
        Value::Bytes(_) | Value::Ptr(_) | Value::Wide(_) => value.to_string().into(),
    }
}

/// What all values add up to.
fn total(each: &[Value]) -> Option<Value> {
    let (first, rest) = each.split_first()?;
    rest.iter().try_fold(first.clone(), |sum, value| add(&sum, value))
}

/// What two values add up to, if they are numbers, or structs and arrays of such.
fn add(a: &Value, b: &Value) -> Option<Value> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(Value::Int(a.wrapping_add(*b))),
        (Value::Array(a), Value::Array(b)) => {
            a.iter().zip(b).map(|(a, b)| add(a, b)).collect::<Option<_>>().map(Value::Array)
        }
        (Value::Struct(a), Value::Struct(b)) => {
            let fields = a.iter().zip(b).map(|((name, a), (_, b))| Some((name.clone(), add(a, b)?)));
            fields.collect::<Option<_>>().map(Value::Struct)
        }
        _ => None,
    }
}

/// The order of keys: numbers by size, structs and arrays part by part.
fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Int(a) | Value::Enum { value: a, .. }, Value::Int(b) | Value::Enum { value: b, .. }) => a.cmp(b),
        (Value::Wide(a), Value::Wide(b)) => a.cmp(b),
        (Value::Wide(_), Value::Int(_)) => Ordering::Greater,
        (Value::Int(_), Value::Wide(_)) => Ordering::Less,
        (Value::Ptr(a), Value::Ptr(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => a.total_cmp(b),
        (Value::Str(a), Value::Str(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => first_difference(a.iter().zip(b)),
        (Value::Struct(a), Value::Struct(b)) => first_difference(a.iter().zip(b).map(|((_, a), (_, b))| (a, b))),
        // A field may be text in one key and bytes in another.
        _ => a.to_string().cmp(&b.to_string()),
    }
}

fn first_difference<'a>(pairs: impl Iterator<Item = (&'a Value, &'a Value)>) -> Ordering {
    pairs.map(|(a, b)| order(a, b)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(packets: i128) -> Value {
        Value::Struct(vec![("packets".into(), Value::Int(packets)), ("bytes".into(), Value::Int(64 * packets))])
    }

    fn text(entry: &Entry) -> String {
        let mut out = Vec::new();
        entry.write(&mut out).expect("a Vec takes everything");
        String::from_utf8(out).expect("it is text")
    }

    #[test]
    fn values_of_several_cpus_are_listed_and_added_up() {
        let each = vec![traffic(3), traffic(4)];
        let entry = Entry { key: Value::Int(7), held: Held::PerCpu { sum: total(&each), each } };
        let expected = "  7: {.packets = 7, .bytes = 448} in all\n    cpu 0: {.packets = 3, .bytes = 192}\n    \
             cpu 1: {.packets = 4, .bytes = 256}\n";
        assert_eq!(text(&entry), expected);
        assert_eq!(entry.json()["value"]["packets"], 7);
        assert_eq!(entry.json()["cpus"][1]["bytes"], 256);
    }

    #[test]
    fn what_is_no_number_is_not_added_up() {
        assert_eq!(total(&[Value::Str("a".into()), Value::Str("b".into())]), None);
        assert_eq!(
            total(&[Value::Array(vec![Value::Int(1)]), Value::Array(vec![Value::Int(2)])]),
            Some(Value::Array(vec![Value::Int(3)]))
        );
    }

    #[test]
    fn keys_are_in_the_order_of_their_parts() {
        let key = |a, b| Value::Struct(vec![("a".into(), Value::Int(a)), ("b".into(), Value::Int(b))]);
        let mut keys = vec![key(2, 1), key(256, 0), key(2, -1), key(1, 9)];
        keys.sort_by(order);
        assert_eq!(keys, [key(1, 9), key(2, -1), key(2, 1), key(256, 0)]);
    }

    #[test]
    fn json_has_numbers_where_it_can() {
        assert_eq!(json_of(&Value::Int(u64::MAX.into())), json!(u64::MAX));
        assert_eq!(json_of(&Value::Int(1 << 100)), json!("1267650600228229401496703205376"));
        assert_eq!(json_of(&Value::Bytes(vec![10, 0])), json!("hex:0a00"));
    }
}
