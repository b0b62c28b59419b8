//! `alveary prog profile`: what a program costs the processor, by its counters.

use crate::{
    bpftool::{
        json::Json,
        options::{Options, Shape},
        select, usage,
        words::Words,
    },
    failure::Failure,
    output,
};
use alveary_linux::{
    profile::{Counter, Profiler, Reading, Readings},
    signal::Ending,
};
use alveary_sort::Sort;
use clap::Args;
use std::{
    io::{self, Write},
    os::fd::AsFd,
    thread,
    time::Duration,
};

/// Count what a program costs the processor while it runs
///
/// Until Ctrl-C, or as long as is said. It takes a processor whose counters the kernel knows, and a kernel that traces
/// programs (fentry, fexit).
#[derive(Debug, Args)]
#[command(after_help = "Metrics: cycles, instructions, l1d_loads, llc_misses, itlb_misses, dtlb_misses

Examples:
  alveary prog profile name filter duration 10 cycles instructions llc_misses
  alveary prog profile id 7 cycles --json")]
pub(super) struct Measure {
    /// The program (`id ID`, `name NAME`, `tag TAG` or `pinned FILE`), perhaps `duration SECONDS`, then metrics
    #[arg(value_name = "WORD", required = true)]
    words: Vec<String>,
}

/// What can be counted.
struct Metric {
    counter: Counter,
    /// What of another metric, by its place, it is told for: so many times it is one.
    ratio: Option<(usize, f64, &'static str)>,
}

/// `PERF_TYPE_HARDWARE` and `PERF_TYPE_HW_CACHE`; of the latter what is counted: a cache, and whether it had what was read.
const HARDWARE: u32 = 0;
const HW_CACHE: u32 = 3;
const MISSES: u64 = 1 << 16;
const MILLION: f64 = 1e6;

const METRICS: [Metric; 6] = [
    Metric::new("cycles", HARDWARE, 0, None),
    Metric::new("instructions", HARDWARE, 1, Some((0, 1.0, "insns per cycle"))),
    Metric::new("l1d_loads", HW_CACHE, 0, None),
    Metric::new("llc_misses", HW_CACHE, 2 | MISSES, Some((1, MILLION, "LLC misses per million insns"))),
    Metric::new("itlb_misses", HW_CACHE, 4 | MISSES, Some((1, MILLION, "itlb misses per million insns"))),
    Metric::new("dtlb_misses", HW_CACHE, 3 | MISSES, Some((1, MILLION, "dtlb misses per million insns"))),
];

impl Metric {
    const fn new(name: &'static str, ty: u32, config: u64, ratio: Option<(usize, f64, &'static str)>) -> Metric {
        Metric { counter: Counter { name, ty, config }, ratio }
    }
}

impl Measure {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        let program = select::prog(&mut words)?;
        let duration = if words.is("duration") { Some(words.number("seconds")?) } else { None };
        let mut wanted = Vec::new();
        while !words.is_empty() {
            let metric = (0..METRICS.len()).find(|index| words.is(METRICS[*index].counter.name));
            wanted.push(metric.ok_or_else(|| words.unexpected(&names()))?);
        }
        if wanted.is_empty() {
            return Err(usage("nothing says what is counted").expected(names()).into());
        }
        // In the order of the table, each once, as bpftool tells them.
        wanted.order();
        wanted.dedup();
        let counters: Vec<Counter> = wanted.iter().map(|index| METRICS[*index].counter).collect();
        let ending = Ending::expect()?;
        let profiler = Profiler::start(program.as_fd(), &counters)?;
        match duration {
            Some(seconds) => thread::sleep(Duration::from_secs(seconds)),
            None => ending.wait(),
        }
        let readings = profiler.read()?;
        output::bare(|out| match options.shape(json) {
            Shape::Text => text(&wanted, &readings, out),
            Shape::Json { pretty } => {
                as_json(&wanted, &readings, &mut Json::new(&mut *out, pretty))?;
                writeln!(out)
            }
        })
    }
}

fn names() -> String {
    METRICS.map(|metric| format!("`{}`", metric.counter.name)).join(", ")
}

fn text(wanted: &[usize], readings: &Readings, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{:>18} {:<20}", readings.runs, "run_cnt")?;
    for (index, reading) in wanted.iter().zip(&readings.counters) {
        let metric = &METRICS[*index];
        write!(out, "{:>18} {:<20}", reading.counter, metric.counter.name)?;
        let other = |of: usize| wanted.iter().zip(&readings.counters).find(|(index, _)| **index == of);
        let ratio = metric.ratio.and_then(|(of, times, what)| {
            let counter = other(of)?.1.counter;
            (counter > 0).then(|| (reading.counter as f64 * times / counter as f64, what))
        });
        match ratio {
            Some((ratio, what)) => write!(out, "# {ratio:>8.2} {what:<30}")?,
            None => write!(out, "{:41}", "")?,
        }
        let Reading { enabled, running, .. } = *reading;
        if enabled > running {
            write!(out, "({:.2}%)", running as f64 * 100.0 / enabled as f64)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn as_json(wanted: &[usize], readings: &Readings, json: &mut Json<'_>) -> io::Result<()> {
    json.array(|json| {
        wanted.iter().zip(&readings.counters).try_for_each(|(index, reading)| {
            json.object(|json| {
                json.field("metric", METRICS[*index].counter.name)?;
                json.field("run_cnt", readings.runs)?;
                json.field("value", reading.counter)?;
                json.field("enabled", reading.enabled)?;
                json.field("running", reading.running)
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings() -> Readings {
        let reading = |counter| Reading { counter, enabled: 1000, running: 1000 };
        Readings { runs: 7, counters: vec![reading(400), Reading { running: 250, ..reading(600) }, reading(3)] }
    }

    #[test]
    fn metrics_stand_beside_what_they_are_told_for() {
        let mut out = Vec::new();
        text(&[0, 1, 3], &readings(), &mut out).expect("a Vec has room");
        let lines = [
            "",
            "                 7 run_cnt             ",
            "               400 cycles                                                       ",
            "               600 instructions        #     1.50 insns per cycle               (25.00%)",
            "                 3 llc_misses          #  5000.00 LLC misses per million insns  ",
        ];
        assert_eq!(String::from_utf8(out).expect("it is text"), lines.join("\n") + "\n");
    }

    #[test]
    fn json_has_the_numbers() {
        let mut out = Vec::new();
        as_json(
            &[1],
            &Readings { runs: 7, counters: readings().counters.split_off(1) },
            &mut Json::new(&mut out, false),
        )
        .expect("a Vec has room");
        let expected = r#"[{"metric":"instructions","run_cnt":7,"value":600,"enabled":1000,"running":250}]"#;
        assert_eq!(String::from_utf8(out).expect("it is text"), expected);
    }
}
