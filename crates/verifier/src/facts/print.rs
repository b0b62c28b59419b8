//! Facts in words, as a listing puts them behind an instruction.

use super::{Argument, Base, Fact, MapRef, Pointer};
use crate::scalar::Scalar;
use std::fmt::{self, Display, Formatter};

/// A fact in words; empty if there is nothing to be said.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// The fact.
    pub fact: &'a Fact,
    /// The names of the program's maps.
    pub maps: &'a [String],
}

impl Display for Words<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let fact = self.fact;
        if !fact.reached {
            return f.write_str("never reached");
        }
        let mut words: Vec<String> = Vec::new();
        match (fact.falls_through, fact.jumps) {
            (true, false) => words.push("never jumps".to_owned()),
            (false, true) => words.push("always jumps".to_owned()),
            _ => {}
        }
        if let Some(access) = fact.access {
            words.push(self.place(access.base, access.offset));
        }
        if fact.divisor_not_zero {
            words.push("never by zero".to_owned());
        }
        if let Some(call) = &fact.call {
            let args = call.args.iter().zip(1..).filter_map(|(arg, n)| Some(format!("r{n} {}", self.argument(arg)?)));
            words.extend(args);
            words.extend(call.key.map(|key| format!("entry {key}")));
        }
        let result = match fact.pointer {
            Some(pointer) => Some(self.pointer(pointer)),
            None => number(&fact.result),
        };
        words.extend(result.map(|result| format!("gives {result}")));
        f.write_str(&words.join(", "))
    }
}

impl Words<'_> {
    fn argument(&self, arg: &Argument) -> Option<String> {
        match arg {
            Argument::Number(value) => number(value),
            Argument::Pointer(pointer) => Some(self.pointer(*pointer)),
        }
    }

    fn pointer(&self, pointer: Pointer) -> String {
        let place = self.place(pointer.base, pointer.offset);
        if pointer.or_null { format!("{place} or NULL") } else { place }
    }

    fn place(&self, base: Base, offset: (i64, i64)) -> String {
        let what = match base {
            Base::Context => "ctx".to_owned(),
            Base::Frame => "frame".to_owned(),
            Base::OuterFrame => "caller's frame".to_owned(),
            Base::Packet => "packet".to_owned(),
            Base::PacketMeta => "packet's metadata".to_owned(),
            Base::PacketEnd => return "packet's end".to_owned(),
            Base::Value(map) => format!("value of {}", self.map(map)),
            Base::Key(map) => format!("key of {}", self.map(map)),
            Base::Map(map) => return format!("map {}", self.map(map)),
            Base::Function(n) => return format!("function {n}"),
            Base::Memory(size) => format!("memory of {size} bytes"),
            Base::Object(name) => name.to_owned(),
        };
        match offset {
            (0, 0) => what,
            (least, most) if least == most => format!("{what} {}", signed(least)),
            (least, most) => format!("{what} {} to {}", signed(least), signed(most)),
        }
    }

    fn map(&self, map: MapRef) -> String {
        let name = |n: u16| self.maps.get(usize::from(n)).map_or("?", String::as_str);
        match map {
            MapRef::Own(n) => name(n).to_owned(),
            MapRef::In(n) => format!("a map in {}", name(n)),
        }
    }
}

fn signed(off: i64) -> String {
    if off < 0 { format!("- {}", off.unsigned_abs()) } else { format!("+ {off}") }
}

/// A number, if something is known of it: the value, or the range by the reading that says more.
fn number(value: &Scalar) -> Option<String> {
    if let Some(value) = value.value() {
        return Some(value.to_string());
    }
    let range = value.wide;
    if range.umax < u64::MAX || range.umin > 0 {
        return Some(format!("{} to {}", range.umin, range.umax));
    }
    if range.smin > i64::MIN || range.smax < i64::MAX {
        return Some(format!("{} to {}", range.smin, range.smax));
    }
    (!value.bits.is_unknown()).then(|| format!("bits {}", value.bits))
}
