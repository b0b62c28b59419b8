//! `--map NAME:KEY=VALUE` and `--map VARIABLE=VALUE`: the text taken apart, and applied. How keys and values are written is
//! BTF's to say.

use crate::{failure::Failure, inspect};
use alveary::{Backend, Loaded, MapHandle};
use alveary_abi::MapType;
use alveary_btf::{Btf, Snippet, TypeId, parse_plain};
use alveary_diag::{Diagnostic, Place};
use alveary_isa::Endian;
use alveary_spec::{Initial, Spec};
use std::{ops::Range, sync::Arc};

/// What the option is called in messages.
const OPTION: &str = "--map";

/// One `--map`.
#[derive(Clone, Debug)]
pub(crate) struct Preset {
    text: Arc<str>,
    map: Option<Range<usize>>,
    key: Range<usize>,
    value: Range<usize>,
}

impl Preset {
    /// Takes an argument apart, at the first `:` and `=` that no bracket and no quote holds.
    ///
    /// # Errors
    /// What is missing, in clap's manner.
    pub(crate) fn parse(text: &str) -> Result<Preset, String> {
        let split = outside(text, '=').ok_or("there is no `=` between a key and its value")?;
        let map = outside(&text[..split], ':').map(|colon| 0..colon);
        let key = map.as_ref().map_or(0, |m| m.end + 1)..split;
        let preset = Preset { text: text.into(), map, key, value: split + 1..text.len() };
        for (part, what) in [(preset.map(), "map"), (Some(preset.key()), "key"), (Some(preset.value()), "value")] {
            if part.is_some_and(|p| p.bytes.is_empty()) {
                return Err(format!("the {what} is empty"));
            }
        }
        Ok(preset)
    }

    /// The map's name; `None` if only a variable is named.
    pub(crate) fn map(&self) -> Option<Snippet<'_>> {
        self.map.clone().map(|m| self.part(m))
    }

    /// The key, or the variable's name.
    pub(crate) fn key(&self) -> Snippet<'_> {
        self.part(self.key.clone())
    }

    /// The value.
    pub(crate) fn value(&self) -> Snippet<'_> {
        self.part(self.value.clone())
    }

    fn part(&self, bytes: Range<usize>) -> Snippet<'_> {
        let part = &self.text[bytes.clone()];
        let start = bytes.start + part.len() - part.trim_start().len();
        Snippet { file: OPTION, text: &self.text, bytes: start..start + part.trim().len() }
    }
}

/// The text of a part.
pub(crate) fn text<'a>(part: &Snippet<'a>) -> &'a str {
    &part.text[part.bytes.clone()]
}

/// Where a part stands, for messages.
pub(crate) fn place(part: &Snippet<'_>) -> Place {
    let bytes = part.bytes.start as u32..part.bytes.end as u32;
    Place::Text { file: part.file.into(), text: part.text.into(), bytes }
}

/// Applies a preset that changes what is loaded: a global variable, a slot of a prog array. `false`: it is an entry of
/// another map, for [`into_map`].
pub(crate) fn into_spec(preset: &Preset, spec: &mut Spec) -> Result<bool, Diagnostic> {
    let Some(name) = preset.map() else {
        return variable(preset, spec, None).map(|()| true);
    };
    let Some(map) = spec.maps.get(text(&name)) else { return Err(no_map(&name, spec)) };
    if inspect::is_data(map, spec.btf.as_deref()) {
        let section = map.name.clone();
        return variable(preset, spec, Some(&section)).map(|()| true);
    }
    match map.def.ty {
        MapType::PROG_ARRAY => slot(preset, spec, text(&name)).map(|()| true),
        _ => Ok(false),
    }
}

/// Writes a global variable's first value.
fn variable(preset: &Preset, spec: &mut Spec, section: Option<&str>) -> Result<(), Diagnostic> {
    let (key, value) = (preset.key(), preset.value());
    let Some(btf) = spec.btf.clone() else {
        return Err(Diagnostic::new("no-btf", "global variables have no names in this object", place(&key))
            .help("compile the object with -g: BTF holds the names"));
    };
    let maps = spec.maps.values_mut().filter(|m| section.is_none_or(|s| m.name == s));
    let mut known = Vec::new();
    for map in maps {
        if !inspect::is_data(map, Some(&btf)) {
            continue;
        }
        let found = inspect::variables(&btf, map.value_type).find(|v| v.name == text(&key));
        if let Some(variable) = found {
            let written = btf.parse_value(variable.ty, &value)?;
            let mut bytes = match std::mem::replace(&mut map.initial, Initial::Empty) {
                Initial::Bytes(bytes) => bytes,
                _ => vec![0; map.def.value_size as usize],
            };
            return match bytes.get_mut(variable.range()).filter(|part| part.len() == written.len()) {
                Some(part) => {
                    part.copy_from_slice(&written);
                    map.initial = Initial::Bytes(bytes);
                    Ok(())
                }
                None => Err(Diagnostic::new("variable", "the variable does not lie in its section", place(&key))),
            };
        }
        known.extend(inspect::variables(&btf, map.value_type).map(|v| v.name));
    }
    Err(inspect::missing("global variable", text(&key), &known, place(&key)))
}

/// Puts a program into a slot of a prog array.
fn slot(preset: &Preset, spec: &mut Spec, map: &str) -> Result<(), Diagnostic> {
    let (key, value) = (preset.key(), preset.value());
    let Some(program) = spec.programs.get(text(&value)).map(|p| p.name.clone()) else {
        let known: Vec<_> = inspect::in_order(spec).map(|p| &*p.name).collect();
        return Err(inspect::missing("program", text(&value), &known, place(&value)));
    };
    let Some(map) = spec.maps.get_mut(map) else { return Ok(()) };
    let entries = map.def.max_entries as usize;
    let Some(index) = text(&key).parse::<usize>().ok().filter(|index| *index < entries) else {
        return Err(Diagnostic::new("slot", "the prog array has no such slot", place(&key))
            .expected(format!("a number below {entries}")));
    };
    let mut slots = match std::mem::replace(&mut map.initial, Initial::Empty) {
        Initial::Programs(slots) => slots,
        _ => Vec::new(),
    };
    slots.resize(slots.len().max(index + 1), None);
    slots[index] = Some(program);
    map.initial = Initial::Programs(slots);
    Ok(())
}

/// Writes a map's entry.
pub(crate) fn into_map<B: Backend>(
    preset: &Preset,
    loaded: &Loaded<B>,
    btf: Option<&Btf>,
    endian: Endian,
) -> Result<(), Failure> {
    let Some(name) = preset.map() else { return Ok(()) };
    let map = loaded.map(text(&name))?;
    let spec = map.spec();
    if matches!(spec.def.ty, MapType::PERF_EVENT_ARRAY | MapType::RINGBUF) {
        let message = format!("map `{}` carries events: it has no entries to set", text(&name));
        return Err(Diagnostic::new("no-entries", message, place(&name)).into());
    }
    let parse = |part: &Snippet<'_>, ty: Option<TypeId>, size: u32| match (btf, ty) {
        (Some(btf), Some(ty)) => btf.parse_value(ty, part),
        _ => parse_plain(size, endian, part),
    };
    let key = parse(&preset.key(), spec.key_type, spec.def.key_size)?;
    let mut value = parse(&preset.value(), spec.value_type, spec.def.value_size)?;
    if value.len() != map.entry_size() {
        // One value for each CPU, each in a multiple of 8 bytes: all get the same.
        value.resize(value.len().next_multiple_of(8), 0);
        value = value.repeat(map.entry_size() / value.len().max(1));
    }
    map.update(&key, &value, 0).map_err(|why| {
        let mut why = why.diagnostic().clone();
        if let Some(primary) = why.labels.first_mut() {
            primary.at = place(&preset.key());
        }
        why.into()
    })
}

/// Says that no map has this name.
fn no_map(name: &Snippet<'_>, spec: &Spec) -> Diagnostic {
    let known: Vec<_> = spec.maps.keys().map(String::as_str).collect();
    inspect::missing("map", text(name), &known, place(name))
}

/// Where `wanted` stands first, not counting what brackets or quotes hold.
fn outside(text: &str, wanted: char) -> Option<usize> {
    let mut depth = 0u32;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{' | '[' | '(') => depth += 1,
            (None, '}' | ']' | ')') => depth = depth.saturating_sub(1),
            (None, _) if c == wanted && depth == 0 => return Some(at),
            (None, _) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_map_key_and_value() {
        for (text, map, key, value) in [
            ("ports:443=1", Some("ports"), "443", "1"),
            ("policy=2", None, "policy", "2"),
            (".rodata:policy=2", Some(".rodata"), "policy", "2"),
            ("v6:2001:db8::1=1", Some("v6"), "2001:db8::1", "1"),
            ("gateway=2001:db8::1", None, "gateway", "2001:db8::1"),
            ("rules:{len=24, addr=10.0.0.0}={drop=1, n=2}", Some("rules"), "{len=24, addr=10.0.0.0}", "{drop=1, n=2}"),
            ("names:\"a=b\"=\"c:d\"", Some("names"), "\"a=b\"", "\"c:d\""),
            ("chars:'='=1", Some("chars"), "'='", "1"),
            (" ports : 80 = 1 ", Some("ports"), "80", "1"),
        ] {
            let preset = Preset::parse(text).expect(text);
            let parts =
                (preset.map().map(|m| super::text(&m)), super::text(&preset.key()), super::text(&preset.value()));
            assert_eq!(parts, (map, key, value), "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        for (text, why) in [
            ("ports:443", "there is no `=` between a key and its value"),
            ("rules:{a=1}", "there is no `=` between a key and its value"),
            (":443=1", "the map is empty"),
            ("ports:=1", "the key is empty"),
            ("ports:443=", "the value is empty"),
            ("", "there is no `=` between a key and its value"),
        ] {
            assert_eq!(Preset::parse(text).map(|_| ()), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_place_is_where_the_part_stands() {
        let preset = Preset::parse("ports:https=1").expect("it is well formed");
        let Place::Text { bytes, .. } = place(&preset.key()) else { panic!("a place in a text") };
        assert_eq!(bytes, 6..11);
    }
}
