//! What is on the screen, and what keys do to it. Knows no terminal: text comes out, keys go in.

use super::counts::{Column, Look, Row};
use crate::{
    table::{Align, Table, grouped},
    terminal::Key,
};
use std::{
    io::{self, Write},
    time::Duration,
};

/// What a key leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Stay,
    End,
}

/// What is looked at, and how.
#[derive(Debug)]
pub(super) struct Page {
    by: Column,
    reversed: bool,
    holds: bool,
    /// Rows above the first that is shown.
    above: usize,
    /// Rows that had room when the page was last shown.
    room: usize,
}

const SORTS: [(char, Column); 6] = [
    ('i', Column::Id),
    ('t', Column::Type),
    ('n', Column::Name),
    ('r', Column::Runs),
    ('a', Column::Average),
    ('c', Column::Cpu),
];
const HELP: &str = "sort by (i)d (t)ype (n)ame (r)uns (a)verage (c)pu   space holds   q ends";
/// Lines that are no rows: what the page is, heading, help.
const OTHERS: usize = 3;
/// White on black, the other way round, and back.
const HEADING: (&str, &str) = ("\x1b[7m", "\x1b[0m");

impl Page {
    pub(super) fn new(by: Column) -> Page {
        Page { by, reversed: false, holds: false, above: 0, room: 1 }
    }

    /// Whether the picture stays as it is.
    pub(super) fn holds(&self) -> bool {
        self.holds
    }

    /// Does what a key says.
    pub(super) fn press(&mut self, key: Key) -> Step {
        match key {
            Key::Char('q') | Key::Escape => return Step::End,
            Key::Char(' ') => self.holds = !self.holds,
            Key::Up => self.above = self.above.saturating_sub(1),
            Key::Down => self.above += 1,
            Key::PageUp => self.above = self.above.saturating_sub(self.room),
            Key::PageDown => self.above += self.room,
            Key::Char(key) => {
                if let Some((_, by)) = SORTS.iter().find(|(letter, _)| *letter == key) {
                    self.reversed = self.by == *by && !self.reversed;
                    (self.by, self.above) = (*by, 0);
                }
            }
        }
        Step::Stay
    }

    /// The screen's lines: no more of them, and none longer, than there is room for (columns, lines).
    pub(super) fn text(&mut self, look: &Look, (columns, lines): (usize, usize)) -> Vec<String> {
        let rows = look.rows(self.by, self.reversed);
        self.room = lines.saturating_sub(OTHERS).max(1);
        self.above = self.above.min(rows.len().saturating_sub(self.room));
        let mut table = Vec::new();
        // A Vec takes everything.
        drop(self::table(&rows, look.time(), &mut table));
        let table = anstream::adapter::strip_bytes(&table).into_vec();
        let table = String::from_utf8_lossy(&table);
        let mut table = table.lines();
        let state = if self.holds { ", held" } else { "" };
        let title = format!("{} of {} programs ran{state}", rows.len(), look.programs());
        let heading = format!("{:columns$}", table.next().unwrap_or_default());
        let shown = table.skip(self.above).take(self.room).map(str::to_owned);
        let mut all = vec![title, heading];
        all.extend(shown);
        all.resize(self.room + OTHERS - 1, String::new());
        all.push(HELP.to_owned());
        all.truncate(lines);
        for line in &mut all {
            *line = line.chars().take(columns).collect();
        }
        if let Some(heading) = all.get_mut(1) {
            *heading = format!("{}{heading}{}", HEADING.0, HEADING.1);
        }
        all
    }
}

/// A look as a table.
pub(super) fn table(rows: &[Row<'_>], time: Duration, out: &mut dyn Write) -> io::Result<()> {
    let right = |name| (name, Align::Right);
    let mut table = Table::new([
        right("id"),
        ("type", Align::Left),
        ("name", Align::Left),
        right("runs"),
        right("ns per run"),
        right("CPU %"),
    ]);
    for row in rows {
        let share = share(row.nanoseconds, time);
        table.row([
            row.id.to_string(),
            row.seen.ty.clone(),
            row.seen.name.clone(),
            grouped(row.runs),
            grouped(row.average()),
            format!("{}.{:02}", share / 100, share % 100),
        ]);
    }
    if rows.is_empty() { writeln!(out, "no program ran") } else { table.write("", out) }
}

/// Of one CPU, in hundredths of a percent.
fn share(nanoseconds: u64, time: Duration) -> u64 {
    (u128::from(nanoseconds) * 10_000 / time.as_nanos().max(1)) as u64
}

#[cfg(test)]
mod tests {
    use super::{super::counts::Seen, *};
    use std::collections::BTreeMap;

    /// Programs 1 to `n`, of which each ran as often as its number says, the last for the shortest time.
    fn look(n: u32) -> Look {
        let seen = |id: u32| Seen {
            ty: "xdp".into(),
            name: format!("p{id}"),
            runs: id.into(),
            nanoseconds: u64::from(100 - id) * u64::from(id),
        };
        let now = (1..=n).map(|id| (id, seen(id))).collect();
        Look::of(BTreeMap::new(), now, Duration::from_micros(1))
    }

    /// Names of the programs that are shown.
    fn names(page: &mut Page, look: &Look, lines: usize) -> Vec<String> {
        let text = page.text(look, (60, lines));
        assert_eq!(text.len(), lines);
        let rows = text[2..lines - 1].iter().filter(|line| !line.is_empty());
        rows.map(|line| line.split_whitespace().nth(2).expect("a name").to_owned()).collect()
    }

    #[test]
    fn a_page_fits_the_terminal() {
        let (mut page, look) = (Page::new(Column::Id), look(9));
        let text = page.text(&look, (30, 6));
        assert_eq!(text[0], "9 of 9 programs ran");
        assert_eq!(text[1], "\x1b[7mid  type  name  runs  ns per r\x1b[0m");
        assert_eq!(text[2], " 1  xdp   p1       1          ");
        assert_eq!(text[5], "sort by (i)d (t)ype (n)ame (r)");
        for size in [(0, 0), (1, 1), (5, 2), (200, 100)] {
            let text = page.text(&look, size);
            assert!(text.len() <= size.1, "{text:?}");
        }
        assert_eq!(
            page.text(&Look::of(BTreeMap::new(), BTreeMap::new(), Duration::ZERO), (80, 24))[0],
            "0 of 0 programs ran"
        );
    }

    #[test]
    fn keys_sort_hold_and_end() {
        let (mut page, look) = (Page::new(Column::Cpu), look(3));
        assert_eq!(names(&mut page, &look, 24), ["p3", "p2", "p1"]);
        assert_eq!(page.press(Key::Char('a')), Step::Stay);
        assert_eq!(names(&mut page, &look, 24), ["p1", "p2", "p3"], "the average");
        page.press(Key::Char('a'));
        assert_eq!(names(&mut page, &look, 24), ["p3", "p2", "p1"], "the other way round");
        page.press(Key::Char('x'));
        assert_eq!(names(&mut page, &look, 24), ["p3", "p2", "p1"], "no key of ours");
        page.press(Key::Char(' '));
        assert!(page.holds() && page.text(&look, (80, 24))[0].ends_with("ran, held"));
        page.press(Key::Char(' '));
        assert!(!page.holds());
        assert_eq!((page.press(Key::Char('q')), page.press(Key::Escape)), (Step::End, Step::End));
    }

    #[test]
    fn arrows_move_as_far_as_there_are_rows() {
        let (mut page, look) = (Page::new(Column::Id), look(9));
        let mut shown = |key| {
            page.press(key);
            names(&mut page, &look, 3 + 4)
        };
        assert_eq!(shown(Key::Up), ["p1", "p2", "p3", "p4"]);
        assert_eq!(shown(Key::Down), ["p2", "p3", "p4", "p5"]);
        assert_eq!(shown(Key::PageDown), ["p6", "p7", "p8", "p9"]);
        assert_eq!(shown(Key::PageDown), ["p6", "p7", "p8", "p9"], "the end");
        assert_eq!(shown(Key::PageUp), ["p2", "p3", "p4", "p5"]);
        assert_eq!(share(500, Duration::from_nanos(1000)), 5000);
    }
}
