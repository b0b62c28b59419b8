//! `alveary prog top`: which programs run, how often and for how long.
//!
//! | file | holds |
//! |---|---|
//! | `counts` | what the kernel counted, between two looks |
//! | `page` | what is on the screen, and what keys do to it; knows no terminal |

mod counts;
mod page;

use crate::{
    bpftool::{
        json::Json,
        options::{Options, Shape},
    },
    failure::Failure,
    output,
    terminal::Terminal,
};
use alveary_linux::{signal::Ending, sys};
use clap::Args;
use counts::{Column, Look, Row};
use page::{Page, Step};
use std::{
    io::{self, IsTerminal, Write},
    thread,
    time::{Duration, Instant},
};

/// Show which programs run, how often and for how long: again and again
///
/// The kernel counts runs only while someone asks for it, which costs each run some time. On a terminal each look takes the
/// place of the one before, and keys sort: `i` by id, `t` by type, `n` by name, `r` by runs, `a` by ns per run, `c` by
/// CPU time, the same key again the other way round; the space bar holds the picture, arrows move it, `q` ends.
/// Elsewhere looks follow each other, with --json as one object a line.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary prog top
  alveary prog top --sort runs
  alveary prog top --interval 200 --looks 5 --json")]
pub(super) struct Top {
    /// How often to look, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    interval: u64,

    /// End after so many looks
    #[arg(long, value_name = "N")]
    looks: Option<u64>,

    /// What comes first: the largest, of names the first in the alphabet
    #[arg(long, value_enum, value_name = "COLUMN", default_value_t = Column::Cpu)]
    sort: Column,

    /// One look behind the other, on a terminal too
    #[arg(long)]
    plain: bool,
}

impl Top {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let shape = options.shape(json);
        let _counted = sys::enable_stats()?;
        let interactive =
            shape == Shape::Text && !self.plain && io::stdout().is_terminal() && io::stdin().is_terminal();
        if interactive { self.on_terminal() } else { self.lines(shape) }
    }

    /// Looks, one behind the other.
    fn lines(&self, shape: Shape) -> Result<(), Failure> {
        let mut look = Look::first()?;
        for _ in 0..self.looks.unwrap_or(u64::MAX) {
            thread::sleep(self.interval());
            look = look.next()?;
            let rows = look.rows(self.sort, false);
            output::write(|out| match shape {
                Shape::Text => {
                    page::table(&rows, look.time(), out)?;
                    writeln!(out)
                }
                Shape::Json { .. } => object(&rows, look.time(), out),
            })?;
        }
        Ok(())
    }

    /// Looks in one place, and keys.
    fn on_terminal(&self) -> Result<(), Failure> {
        let ending = Ending::expect()?;
        let mut look = Look::first()?;
        let mut terminal = Terminal::take()?;
        let (mut page, mut looks, mut due) = (Page::new(self.sort), 0, Instant::now() + self.interval());
        while self.looks.is_none_or(|most| looks < most) && !ending.came() {
            terminal.show(&page.text(&look, terminal.size()))?;
            for key in terminal.keys(due)? {
                if page.press(key) == Step::End {
                    return Ok(());
                }
            }
            if Instant::now() >= due {
                if !page.holds() {
                    look = look.next()?;
                    looks += 1;
                }
                due = Instant::now() + self.interval();
            }
        }
        Ok(())
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(self.interval)
    }
}

fn object(rows: &[Row<'_>], time: Duration, out: &mut dyn Write) -> io::Result<()> {
    Json::new(&mut *out, false).object(|json| {
        json.field("ns", time.as_nanos() as u64)?;
        json.name("programs")?;
        json.array(|json| {
            rows.iter().try_for_each(|row| {
                json.object(|json| {
                    json.field("id", row.id)?;
                    json.field("type", &row.seen.ty)?;
                    json.field("name", &row.seen.name)?;
                    json.field("run_cnt", row.runs)?;
                    json.field("run_time_ns", row.nanoseconds)
                })
            })
        })
    })?;
    writeln!(out)
}
