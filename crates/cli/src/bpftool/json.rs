//! JSON as bpftool lays it out, written as it comes: a map of millions of entries is never held.
//!
//! Compact on one line, or pretty: four columns a level, a list's elements beside each other. Whoever compares the
//! bytes of the two tools finds none that differ.

use super::bytes::digits;
use std::{
    fmt,
    io::{self, Write},
};

/// Bytes that are collected before they are handed on.
const ROOM: usize = 1 << 15;

/// Writes one JSON value: what is collected of it is handed on when it is whole.
pub(crate) struct Json<'a> {
    out: &'a mut dyn Write,
    collected: Vec<u8>,
    pretty: bool,
    depth: usize,
    /// Whether something stands before the next element.
    behind: bool,
}

impl<'a> Json<'a> {
    pub(crate) fn new(out: &'a mut dyn Write, pretty: bool) -> Json<'a> {
        Json { out, collected: Vec::new(), pretty, depth: 0, behind: false }
    }

    /// An object: `members` writes [`Json::name`]s and values, or [`Json::field`]s.
    pub(crate) fn object(&mut self, members: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        self.open(b'{');
        members(self)?;
        self.close(b'}')
    }

    /// A list: `elements` writes the values.
    pub(crate) fn array(&mut self, elements: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        self.open(b'[');
        elements(self)?;
        self.close(b']')
    }

    /// A member's name; its value follows.
    pub(crate) fn name(&mut self, name: &str) -> io::Result<()> {
        self.separate();
        self.line();
        self.quote(name);
        self.collected.extend_from_slice(if self.pretty { b": " } else { b":" });
        self.behind = false;
        Ok(())
    }

    /// A member.
    pub(crate) fn field(&mut self, name: &str, value: impl Scalar) -> io::Result<()> {
        self.name(name)?;
        self.value(value)
    }

    /// A member that is a list.
    pub(crate) fn list<T: Scalar>(&mut self, name: &str, values: impl IntoIterator<Item = T>) -> io::Result<()> {
        self.name(name)?;
        self.array(|json| values.into_iter().try_for_each(|value| json.value(value)))
    }

    /// A number, a truth value or a text.
    pub(crate) fn value(&mut self, value: impl Scalar) -> io::Result<()> {
        self.separate();
        self.behind = true;
        value.write(self)?;
        self.complete()
    }

    /// Hands over what is written so far to whoever reads it.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.hand_on()?;
        self.out.flush()
    }

    fn open(&mut self, bracket: u8) {
        self.separate();
        self.collected.push(bracket);
        self.depth += 1;
        self.behind = false;
    }

    fn close(&mut self, bracket: u8) -> io::Result<()> {
        self.depth -= 1;
        if self.behind {
            self.line();
        }
        self.collected.push(bracket);
        self.behind = true;
        self.complete()
    }

    /// Behind a value.
    fn complete(&mut self) -> io::Result<()> {
        if self.depth == 0 || self.collected.len() >= ROOM { self.hand_on() } else { Ok(()) }
    }

    fn hand_on(&mut self) -> io::Result<()> {
        self.out.write_all(&self.collected)?;
        self.collected.clear();
        Ok(())
    }

    fn separate(&mut self) {
        if self.behind {
            self.collected.push(b',');
        }
    }

    fn line(&mut self) {
        if self.pretty {
            self.collected.push(b'\n');
            self.collected.resize(self.collected.len() + self.depth * 4, b' ');
        }
    }

    fn quote(&mut self, text: &str) {
        self.collected.push(b'"');
        let plain = |byte: u8| byte >= b' ' && !matches!(byte, b'"' | b'\\');
        let mut rest = text.as_bytes();
        while let Some(at) = rest.iter().position(|byte| !plain(*byte)) {
            let (before, from) = rest.split_at(at);
            self.collected.extend_from_slice(before);
            self.escape(from[0]);
            rest = &from[1..];
        }
        self.collected.extend_from_slice(rest);
        self.collected.push(b'"');
    }

    /// A byte that cannot stand for itself.
    fn escape(&mut self, byte: u8) {
        let short = match byte {
            b'\t' => b't',
            b'\n' => b'n',
            b'\r' => b'r',
            0x0c => b'f',
            0x08 => b'b',
            b'"' | b'\\' => byte,
            _ => return self.display(format_args!("\\u{byte:04x}")),
        };
        self.collected.extend_from_slice(&[b'\\', short]);
    }

    fn display(&mut self, text: fmt::Arguments<'_>) {
        self.collected.write_fmt(text).expect("a Vec takes everything");
    }
}

/// What is neither an object nor a list.
pub(crate) trait Scalar {
    fn write(self, json: &mut Json<'_>) -> io::Result<()>;
}

/// Text that is a JSON value already.
pub(crate) struct Verbatim<'a>(pub(crate) fmt::Arguments<'a>);

impl Scalar for Verbatim<'_> {
    fn write(self, json: &mut Json<'_>) -> io::Result<()> {
        json.display(self.0);
        Ok(())
    }
}

/// A byte as a text: `"0x1f"`. Of those that large maps have by the million, nothing is formatted.
pub(crate) struct Byte(pub(crate) u8);

impl Scalar for Byte {
    fn write(self, json: &mut Json<'_>) -> io::Result<()> {
        let [high, low] = digits(self.0);
        json.collected.extend_from_slice(&[b'"', b'0', b'x', high, low, b'"']);
        Ok(())
    }
}

impl Scalar for &str {
    fn write(self, json: &mut Json<'_>) -> io::Result<()> {
        json.quote(self);
        Ok(())
    }
}

impl Scalar for &String {
    fn write(self, json: &mut Json<'_>) -> io::Result<()> {
        json.quote(self);
        Ok(())
    }
}

macro_rules! displayed {
    ($($number:ty),*) => { $(
        impl Scalar for $number {
            fn write(self, json: &mut Json<'_>) -> io::Result<()> {
                json.display(format_args!("{self}"));
                Ok(())
            }
        }
    )* };
}

displayed!(u8, u16, u32, u64, u128, i32, i64, i128, usize, bool);

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(pretty: bool) -> String {
        let mut bytes = Vec::new();
        let mut json = Json::new(&mut bytes, pretty);
        json.array(|json| {
            json.object(|json| {
                json.field("id", 6u32)?;
                json.field("name", "a\"b\n\x01")?;
                json.list("map_ids", [9u32, 10])?;
                json.list("none", [0u32; 0])
            })?;
            json.object(|json| json.field("jited", true))
        })
        .expect("a Vec takes everything");
        String::from_utf8(bytes).expect("it is text")
    }

    #[test]
    fn compact_is_one_line() {
        let expected = r#"[{"id":6,"name":"a\"b\n\u0001","map_ids":[9,10],"none":[]},{"jited":true}]"#;
        assert_eq!(sample(false), expected);
    }

    #[test]
    fn pretty_is_laid_out_as_bpftool_does() {
        let expected = "[{
        \"id\": 6,
        \"name\": \"a\\\"b\\n\\u0001\",
        \"map_ids\": [9,10
        ],
        \"none\": []
    },{
        \"jited\": true
    }
]";
        assert_eq!(sample(true), expected);
    }
}
