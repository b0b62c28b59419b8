//! What is counted over many programs, and how it is printed.

use super::verdict::{Outcome, Verdict, family};
use std::collections::BTreeMap;
use std::time::Duration;

/// One program, judged by both.
pub(crate) struct Judged {
    pub(crate) corpus: String,
    /// Object and program.
    pub(crate) name: String,
    pub(crate) kernel: Verdict,
    pub(crate) ours: Verdict,
}

impl Judged {
    /// Whether the kernel has a verdict.
    fn counts(&self) -> bool {
        !matches!(self.kernel.outcome, Outcome::None(_))
    }

    /// Whether we have the kernel's verdict.
    fn agrees(&self) -> bool {
        matches!(
            (&self.kernel.outcome, &self.ours.outcome),
            (Outcome::Accept, Outcome::Accept) | (Outcome::Reject(_), Outcome::Reject(_))
        )
    }

    /// What each says, if that differs.
    pub(crate) fn difference(&self) -> Option<String> {
        let (kernel, ours) = (self.kernel.outcome.text(), self.ours.outcome.text());
        (self.counts() && !self.agrees()).then(|| format!("{}: the kernel says {kernel}, we {ours}", self.name))
    }

    /// Our processed instructions as a multiple of the kernel's.
    fn insns_ratio(&self) -> Option<f64> {
        let (ours, kernel) = (self.ours.insns?, self.kernel.insns.filter(|n| *n > 0)?);
        Some(ours as f64 / kernel as f64)
    }

    fn time_ratio(&self) -> Option<f64> {
        let (ours, kernel) = (self.ours.time?, self.kernel.time.filter(|t| !t.is_zero())?);
        Some(ours.as_secs_f64() / kernel.as_secs_f64())
    }
}

/// Counts of one corpus, or of all.
#[derive(Default)]
struct Counts {
    programs: usize,
    unjudged: usize,
    /// By us, though the kernel judges them.
    refused: usize,
    accepted: [usize; 2],
    rejected: [usize; 2],
    same_message: usize,
    close_insns: [usize; 2],
    time_ratios: Vec<f64>,
}

impl Counts {
    fn add(&mut self, one: &Judged) {
        self.programs += 1;
        let count = |of: &mut [usize; 2], yes: bool| {
            of[0] += usize::from(yes);
            of[1] += 1;
        };
        self.refused += usize::from(one.counts() && matches!(one.ours.outcome, Outcome::None(_)));
        match &one.kernel.outcome {
            Outcome::None(_) => self.unjudged += 1,
            Outcome::Accept => {
                count(&mut self.accepted, one.agrees());
                if let Some(ratio) = one.insns_ratio().filter(|_| one.agrees()) {
                    count(&mut self.close_insns, (0.9..=1.1).contains(&ratio));
                    self.time_ratios.extend(one.time_ratio());
                }
            }
            Outcome::Reject(message) => {
                count(&mut self.rejected, one.agrees());
                self.same_message += usize::from(one.ours.outcome.text() == message);
            }
        }
    }

    fn line(&self, name: &str) -> String {
        let share = |[yes, all]: [usize; 2]| match all {
            0 => format!("{:>13} {:>7}", "–", ""),
            _ => format!("{:>13} {:>6.2}%", format!("{yes}/{all}"), 100.0 * yes as f64 / all as f64),
        };
        let time = match self.time_ratios.len() {
            0 => "–".into(),
            n => format!("{:.2}", (self.time_ratios.iter().map(|r| r.ln()).sum::<f64>() / n as f64).exp()),
        };
        format!(
            "{name:24} {:>8} {:>8} {:>8} {} {} {:>8} {} {time:>6}",
            self.programs,
            self.unjudged,
            self.refused,
            share(self.accepted),
            share(self.rejected),
            self.same_message,
            share(self.close_insns),
        )
    }
}

/// Prints the table by corpus.
pub(crate) fn print_corpora(all: &[Judged]) {
    println!(
        "{:24} {:>8} {:>8} {:>8} {:>21} {:>21} {:>8} {:>21} {:>6}",
        "corpus",
        "programs",
        "unjudged",
        "refused",
        "accepted by both",
        "rejected by both",
        "message",
        "insns within 10 %",
        "time ×"
    );
    let mut corpora: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut sum = Counts::default();
    for one in all {
        corpora.entry(&one.corpus).or_default().add(one);
        sum.add(one);
    }
    for (name, counts) in &corpora {
        println!("{}", counts.line(name));
    }
    println!("{}", sum.line("all"));
    let mut times: Vec<Duration> = all.iter().filter_map(|one| one.ours.time).collect();
    times.sort();
    if let (Some(median), Some(late)) = (times.get(times.len() / 2), times.get(times.len() * 99 / 100)) {
        println!("our time: median {median:.1?}, p99 {late:.1?}, longest {:.1?}", times[times.len() - 1]);
    }
    let memory = all.iter().filter_map(|one| Some((one.ours.memory?, one))).max_by_key(|(memory, _)| *memory);
    if let Some((memory, one)) = memory {
        println!("our memory for one program: at most {:.1} MB, for {}", memory as f64 / 1e6, one.name);
    }
}

/// Prints the kernel's refusals by their kind, and ours of what it accepts.
pub(crate) fn print_messages(all: &[Judged]) {
    let mut theirs: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    let mut ours: BTreeMap<String, usize> = BTreeMap::new();
    for one in all.iter().filter(|one| one.counts()) {
        if let Outcome::Reject(message) = &one.kernel.outcome {
            let counts = theirs.entry(family(message)).or_default();
            counts[0] += 1;
            counts[1] += usize::from(one.agrees());
            counts[2] += usize::from(family(one.ours.outcome.text()) == family(message));
        } else if !one.agrees() {
            *ours.entry(family(one.ours.outcome.text())).or_default() += 1;
        }
    }
    let mut theirs: Vec<_> = theirs.into_iter().collect();
    theirs.sort_by_key(|(_, counts)| std::cmp::Reverse(counts[0]));
    println!("\nrejected by the kernel, by us too, with the same kind of message");
    for (message, [all, both, same]) in theirs {
        println!("{all:>6} {both:>6} {same:>6}  {message}");
    }
    let mut ours: Vec<_> = ours.into_iter().collect();
    ours.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    println!("\naccepted by the kernel, not by us");
    for (message, count) in ours {
        println!("{count:>6}  {message}");
    }
}

/// Prints each program on which the two differ.
pub(crate) fn print_differences(all: &[Judged]) {
    println!("\ndifferences");
    for one in all.iter().filter(|one| one.counts() && !one.agrees()) {
        let (kernel, ours) = (one.kernel.outcome.text(), one.ours.outcome.text());
        println!("{}/{}\n    kernel: {kernel}\n    we:     {ours}", one.corpus, one.name);
    }
}

/// Prints why the kernel did not judge what it did not judge.
pub(crate) fn print_unjudged(all: &[Judged]) {
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for one in all {
        if let Outcome::None(why) = &one.kernel.outcome {
            *reasons.entry(family(why)).or_default() += 1;
        }
    }
    println!("\nnot judged by the kernel");
    for (why, count) in reasons {
        println!("{count:>6}  {why}");
    }
}

/// One line a program, tab-separated, for other tools.
pub(crate) fn table(all: &[Judged]) -> String {
    let mut table = String::from("corpus\tprogram\tkernel\tours\tkernel_insns\tour_insns\tkernel_us\tour_us\n");
    let number = |n: Option<u64>| n.map_or_else(String::new, |n| n.to_string());
    for one in all {
        let micros = |v: &Verdict| number(v.time.map(|t| t.as_micros() as u64));
        let fields = [
            one.corpus.clone(),
            one.name.clone(),
            one.kernel.outcome.text().replace('\t', " "),
            one.ours.outcome.text().replace('\t', " "),
            number(one.kernel.insns),
            number(one.ours.insns),
            micros(&one.kernel),
            micros(&one.ours),
        ];
        table.push_str(&fields.join("\t"));
        table.push('\n');
    }
    table
}
