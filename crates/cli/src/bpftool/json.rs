//! JSON as bpftool lays it out, written as it comes: a map of millions of entries is never held.
//!
//! Compact on one line, or pretty: four columns a level, a list's elements beside each other. Whoever compares the
//! bytes of the two tools finds none that differ.

use std::{
    fmt::{self, Write as _},
    io::{self, Write},
};

/// Writes one JSON value.
pub(crate) struct Json<'a> {
    out: &'a mut dyn Write,
    pretty: bool,
    depth: usize,
    /// Whether something stands before the next element.
    behind: bool,
}

impl<'a> Json<'a> {
    pub(crate) fn new(out: &'a mut dyn Write, pretty: bool) -> Json<'a> {
        Json { out, pretty, depth: 0, behind: false }
    }

    /// An object: `members` writes [`Json::name`]s and values, or [`Json::field`]s.
    pub(crate) fn object(&mut self, members: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        self.open("{")?;
        members(self)?;
        self.close("}")
    }

    /// A list: `elements` writes the values.
    pub(crate) fn array(&mut self, elements: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        self.open("[")?;
        elements(self)?;
        self.close("]")
    }

    /// A member's name; its value follows.
    pub(crate) fn name(&mut self, name: &str) -> io::Result<()> {
        self.separate()?;
        self.line()?;
        self.quote(name)?;
        self.out.write_all(if self.pretty { b": " } else { b":" })?;
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
        self.separate()?;
        self.behind = true;
        value.write(self)
    }

    /// Hands over what is written so far to whoever reads it.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn open(&mut self, bracket: &str) -> io::Result<()> {
        self.separate()?;
        self.out.write_all(bracket.as_bytes())?;
        self.depth += 1;
        self.behind = false;
        Ok(())
    }

    fn close(&mut self, bracket: &str) -> io::Result<()> {
        self.depth -= 1;
        if self.behind {
            self.line()?;
        }
        self.out.write_all(bracket.as_bytes())?;
        self.behind = true;
        Ok(())
    }

    fn separate(&mut self) -> io::Result<()> {
        if self.behind { self.out.write_all(b",") } else { Ok(()) }
    }

    fn line(&mut self) -> io::Result<()> {
        if self.pretty { write!(self.out, "\n{:1$}", "", self.depth * 4) } else { Ok(()) }
    }

    fn quote(&mut self, text: &str) -> io::Result<()> {
        let plain = |c: &char| *c >= ' ' && !matches!(c, '"' | '\\');
        if text.chars().all(|c| plain(&c)) {
            return write!(self.out, "\"{text}\"");
        }
        let mut quoted = String::with_capacity(text.len() + 8);
        for c in text.chars() {
            match c {
                '\t' => quoted.push_str("\\t"),
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '\x0c' => quoted.push_str("\\f"),
                '\x08' => quoted.push_str("\\b"),
                c if plain(&c) => quoted.push(c),
                '"' | '\\' => quoted.extend(['\\', c]),
                c => write!(quoted, "\\u{:04x}", u32::from(c)).expect("a String takes everything"),
            }
        }
        write!(self.out, "\"{quoted}\"")
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
        json.out.write_fmt(self.0)
    }
}

impl Scalar for &str {
    fn write(self, json: &mut Json<'_>) -> io::Result<()> {
        json.quote(self)
    }
}

impl Scalar for &String {
    fn write(self, json: &mut Json<'_>) -> io::Result<()> {
        json.quote(self)
    }
}

macro_rules! displayed {
    ($($number:ty),*) => { $(
        impl Scalar for $number {
            fn write(self, json: &mut Json<'_>) -> io::Result<()> {
                write!(json.out, "{self}")
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
