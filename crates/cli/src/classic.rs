//! Classic filters as files: what `tcpdump -ddd` prints, read and checked, with errors that point into the text.

use crate::{failure::Failure, files};
use alveary_diag::{Diagnostic, Place};
use alveary_isa::{
    Insn,
    cbpf::{self, Filter, FilterError, TextError},
};
use std::{ops::Range, path::Path, sync::Arc};

/// A file with a filter in it.
pub(crate) struct Classic {
    file: Arc<str>,
    text: Arc<str>,
    /// The filter.
    pub(crate) filter: Filter,
}

/// Names of an instruction's fields in the order of a line.
const FIELDS: [&str; 4] = ["code", "jt", "jf", "k"];

impl Classic {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Classic, Failure> {
        let text: Arc<str> = files::text(path)?.into();
        let file: Arc<str> = path.display().to_string().into();
        let place = |bytes| Place::Text { file: file.clone(), text: text.clone(), bytes };
        let insns = cbpf::parse(&text).map_err(|why| unreadable(&why, place(field(&text, why.line, why.field))))?;
        let filter = Filter::new(insns).map_err(|why| refused(&why, place(of_insn(&text, why.index, why.field))))?;
        Ok(Classic { file, text, filter })
    }

    /// The filter as a `socket_filter` program.
    pub(crate) fn translated(&self) -> Result<Vec<Insn>, Diagnostic> {
        cbpf::translate(&self.filter).map_err(|why| {
            let bytes = of_insn(&self.text, why.index, "k");
            let at = Place::Text { file: self.file.clone(), text: self.text.clone(), bytes };
            let name = why.ancillary.name();
            Diagnostic::new("cbpf-translate", format!("loading `{name}` has no equivalent in eBPF"), at)
                .note("Linux reads its own sk_buff there, which no program of type socket_filter can")
        })
    }
}

fn unreadable(why: &TextError, at: Place) -> Diagnostic {
    let found = if why.found.is_empty() { "nothing".to_owned() } else { format!("`{}`", why.found) };
    Diagnostic::new("cbpf-text", "this is not what `tcpdump -ddd` prints", at)
        .expected(why.expected.clone())
        .found(found)
        .help("make the file with `tcpdump -ddd EXPRESSION > FILE`")
}

fn refused(why: &FilterError, at: Place) -> Diagnostic {
    Diagnostic::new("cbpf-filter", "Linux would refuse this filter", at)
        .expected(why.expected.clone())
        .found(format!("{} {}", why.field, why.found))
}

/// The bytes of a field in a line (from 1); the whole line if the field is none of an instruction's.
fn field(text: &str, line: usize, name: &str) -> Range<u32> {
    let Some(line) = text.lines().nth(line.saturating_sub(1)) else {
        return text.len() as u32..text.len() as u32;
    };
    let start = line.as_ptr() as usize - text.as_ptr() as usize;
    let word = match FIELDS.iter().position(|f| *f == name) {
        Some(n) => line.split_whitespace().nth(n).map_or("", |word| word),
        None => line.trim(),
    };
    let at = match word {
        "" => line.len(),
        word => word.as_ptr() as usize - line.as_ptr() as usize,
    };
    (start + at) as u32..(start + at + word.len()) as u32
}

/// The bytes of an instruction's field: instructions stand in the lines behind the first that is not empty.
fn of_insn(text: &str, index: usize, name: &str) -> Range<u32> {
    let line = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()).nth(index + 1);
    field(text, line.map_or(usize::MAX, |(n, _)| n + 1), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_in_its_line() {
        let text = "2\n\n 40 0 0 12\n6 0 0 262144\n";
        let shown = |range: Range<u32>| &text[range.start as usize..range.end as usize];
        assert_eq!(shown(field(text, 1, "count")), "2");
        assert_eq!(shown(of_insn(text, 0, "code")), "40");
        assert_eq!(shown(of_insn(text, 0, "k")), "12");
        assert_eq!(shown(of_insn(text, 1, "line")), "6 0 0 262144");
        assert_eq!(of_insn(text, 9, "k"), text.len() as u32..text.len() as u32);
    }
}
