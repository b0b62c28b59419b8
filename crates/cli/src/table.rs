//! Columns of text, aligned; and how numbers and foreign names are written in them.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, Write},
};

/// Bold: for what names the lines and columns below and right of it.
pub(crate) const HEADING: anstyle::Style = anstyle::Style::new().bold();

/// Where a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows under a heading.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(columns: impl Into<Vec<(&'static str, Align)>>) -> Self {
        Table { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row: one cell for each column.
    pub(crate) fn row(&mut self, cells: impl Into<Vec<String>>) {
        let cells = cells.into();
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// Writes heading and rows, each line behind `indent`. A column in which every cell is empty is left out.
    pub(crate) fn write(&self, indent: &str, out: &mut dyn Write) -> io::Result<()> {
        let width = |c: usize| self.rows.iter().map(|r| printable(&r[c]).chars().count()).max().unwrap_or(0);
        let shown: Vec<_> = (0..self.columns.len()).filter(|c| width(*c) > 0).collect();
        let widths: Vec<_> = shown.iter().map(|c| width(*c).max(self.columns[*c].0.chars().count())).collect();
        let line = |cells: &[Cow<'_, str>]| {
            let mut line = String::from(indent);
            for (column, width) in shown.iter().zip(&widths) {
                let gap = if line.len() > indent.len() { "  " } else { "" };
                match self.columns[*column].1 {
                    Align::Left => write!(line, "{gap}{:width$}", cells[*column]),
                    Align::Right => write!(line, "{gap}{:>width$}", cells[*column]),
                }
                .expect("a String takes everything");
            }
            line.truncate(line.trim_end().len());
            line
        };
        let heading = line(&self.columns.iter().map(|c| c.0.into()).collect::<Vec<_>>());
        writeln!(out, "{HEADING}{heading}{HEADING:#}")?;
        let cells = |row: &'_ Vec<String>| row.iter().map(|c| printable(c).into_owned().into()).collect::<Vec<_>>();
        self.rows.iter().try_for_each(|row| writeln!(out, "{}", line(&cells(row))))
    }
}

/// A number with its digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// Text from outside, with what would move the cursor or change colours written out.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        text.chars()
            .fold(String::new(), |mut safe, c| {
                if c.is_control() {
                    safe.extend(c.escape_default())
                } else {
                    safe.push(c)
                }
                safe
            })
            .into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(table: &Table) -> String {
        let mut bytes = Vec::new();
        table.write("  ", &mut bytes).expect("a Vec takes everything");
        anstream::adapter::strip_str(std::str::from_utf8(&bytes).expect("it is text")).to_string()
    }

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let mut table = Table::new([("name", Align::Left), ("pin", Align::Left), ("entries", Align::Right)]);
        table.row(["ports".to_owned(), String::new(), "65,536".to_owned()]);
        table.row(["a\x1b[2Jb".to_owned(), String::new(), "1".to_owned()]);
        assert_eq!(text(&table), "  name         entries\n  ports         65,536\n  a\\u{1b}[2Jb        1\n");
    }

    #[test]
    fn digits_are_grouped() {
        for (number, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), expected);
        }
    }
}
