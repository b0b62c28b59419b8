//! `alveary lb status --watch`: how a balancer is, again and again, on a screen of its own.

use super::{
    client::{count, each, health, text},
    others,
};
use crate::{
    failure::Failure,
    table::{Align, Table, grouped},
    terminal::{Key, Terminal},
};
use alveary_linux::signal::Ending;
use anstream::adapter::strip_str;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// What stands below the tables.
const KEYS: &str = "arrows move, q ends";

/// Without a word for so long, or for as long as a look is apart from the next, a balancer does not answer.
const SILENCE: Duration = Duration::from_secs(2);
/// How often is looked whether it has answered.
const LOOK: Duration = Duration::from_millis(50);

/// One look: counters by what they count.
struct Look {
    at: Instant,
    status: Value,
    counts: BTreeMap<String, u64>,
}

impl Look {
    fn new(status: Value) -> Look {
        let mut counts = BTreeMap::new();
        for vip in each(&status["vips"]) {
            let name = text(&vip["name"]);
            counts.insert(format!("vip {name} packets"), count(&vip["to"]["packets"]));
            counts.insert(format!("vip {name} bytes"), count(&vip["to"]["bytes"]));
            counts.insert(format!("vip {name} opened"), count(&vip["opened"]));
            for real in each(&vip["reals"]) {
                counts.insert(format!("real {name} {}", text(&real["name"])), count(&real["packets"]));
            }
        }
        for verdict in each(&status["verdicts"]) {
            counts.insert(format!("verdict {}", text(&verdict["name"])), count(&verdict["packets"]));
        }
        Look { at: Instant::now(), status, counts }
    }

    /// How many more of it there were in a second; nothing is said at the first look.
    fn rate(&self, before: Option<&Look>, what: &str) -> String {
        let Some(before) = before else { return String::new() };
        let (now, then) = (self.counts.get(what).copied(), before.counts.get(what).copied());
        let time = self.at.saturating_duration_since(before.at).as_secs_f64();
        // A balancer that was begun anew counts from zero.
        let more = now.unwrap_or_default().saturating_sub(then.unwrap_or_default());
        if time > 0.0 { grouped((more as f64 / time).round() as u64) } else { String::new() }
    }

    /// All that there is to be seen, by line.
    fn lines(&self, before: Option<&Look>) -> Vec<String> {
        let right = |name| (name, Align::Right);
        let left = |name| (name, Align::Left);
        let mut vips = Table::new(vec![
            left("VIP"),
            right("up"),
            right("reals"),
            right("packets/s"),
            right("bytes/s"),
            right("opened/s"),
        ]);
        let mut reals = Table::new(vec![
            left("real"),
            left("VIP"),
            left("health"),
            right("table"),
            right("packets/s"),
            right("packets"),
        ]);
        for vip in each(&self.status["vips"]) {
            let name = text(&vip["name"]);
            let well = each(&vip["reals"]).filter(|real| !matches!(real["health"].as_str(), Some("down" | "unknown")));
            let rate = |what| self.rate(before, &format!("vip {name} {what}"));
            vips.row([
                name.clone(),
                grouped(well.count() as u64),
                grouped(each(&vip["reals"]).count() as u64),
                rate("packets"),
                rate("bytes"),
                rate("opened"),
            ]);
            for real in each(&vip["reals"]) {
                let part = count(&real["slots"]) as f64 / count(&vip["slots"]).max(1) as f64;
                reals.row([
                    text(&real["name"]),
                    name.clone(),
                    health(real),
                    format!("{:.1} %", part * 100.0),
                    self.rate(before, &format!("real {name} {}", text(&real["name"]))),
                    grouped(count(&real["packets"])),
                ]);
            }
        }
        let mut verdicts =
            Table::new(vec![left("what became of packets"), right("packets/s"), right("packets"), left("")]);
        for verdict in each(&self.status["verdicts"]).filter(|one| count(&one["packets"]) > 0) {
            let name = text(&verdict["name"]);
            let dropped = if verdict["drops"] == true { "dropped" } else { "" };
            let rate = self.rate(before, &format!("verdict {name}"));
            verdicts.row([name, rate, grouped(count(&verdict["packets"])), dropped.to_owned()]);
        }
        let mut out = Vec::new();
        for line in others::lines(&self.status) {
            out.extend(format!("  {line}\n").bytes());
        }
        for table in
            [Some(&vips), Some(&reals), Some(&verdicts), others::counted(&self.status).as_ref()].into_iter().flatten()
        {
            // Memory takes it.
            let _ = table.write("  ", &mut out);
            out.push(b'\n');
        }
        // Without styles a line can be cut anywhere.
        let text = String::from_utf8_lossy(&out).into_owned();
        strip_str(&text).to_string().lines().map(str::to_owned).collect()
    }
}

/// What fits into a terminal of so many columns and lines, from the line `above` on, which is brought to what there is.
fn page(head: &str, lines: &[String], above: &mut usize, (columns, rows): (usize, usize)) -> Vec<String> {
    let room = rows.saturating_sub(3).max(1);
    *above = (*above).min(lines.len().saturating_sub(room));
    let cut = |line: &str| line.chars().take(columns).collect::<String>();
    let mut page = vec![cut(head), String::new()];
    page.extend(lines.iter().skip(*above).take(room).map(|line| cut(line)));
    page.resize(rows.saturating_sub(1).max(page.len()), String::new());
    page.push(cut(KEYS));
    page
}

/// Looks every `every`, until `q`; `ask` tells how the balancer is, and may take its time.
pub(super) fn watch(every: Duration, ask: impl Fn() -> Result<Value, Failure> + Send + 'static) -> Result<(), Failure> {
    // Until something is shown Ctrl-C ends us as it ends others.
    let mut look = Look::new(ask()?);
    let ending = Ending::expect()?;
    let mut before: Option<Look> = None;
    // One that hangs keeps nobody from the keys.
    let (wants, wanted) = mpsc::channel::<()>();
    let (tells, told) = mpsc::channel();
    thread::Builder::new()
        .name("asks".into())
        .spawn(move || while wanted.recv().is_ok() && tells.send(ask().ok()).is_ok() {})?;
    let (mut asked, mut gone) = (None::<Instant>, false);
    let mut terminal = Terminal::take()?;
    let (mut above, mut due) = (0usize, Instant::now() + every);
    while !ending.came() {
        let devices: Vec<&str> = each(&look.status["devices"]).filter_map(Value::as_str).collect();
        let silent = asked.is_some_and(|asked| asked.elapsed() >= every.max(SILENCE));
        let here = if gone || silent { ": it does not answer" } else { "" };
        let head = format!("{} on {}{here}", text(&look.status["name"]), devices.join(", "));
        let (columns, rows) = terminal.size();
        terminal.show(&page(&head, &look.lines(before.as_ref()), &mut above, (columns, rows)))?;
        let next = if asked.is_some() { Instant::now() + LOOK } else { due };
        for key in terminal.keys(next)? {
            match key {
                Key::Char('q') | Key::Escape => return Ok(()),
                Key::Up | Key::Char('k') => above = above.saturating_sub(1),
                Key::Down | Key::Char('j') => above += 1,
                Key::PageUp => above = above.saturating_sub(rows),
                Key::PageDown => above += rows,
                Key::Char(_) => {}
            }
        }
        if asked.is_none() && Instant::now() >= due {
            due = Instant::now() + every;
            // It ends with us.
            asked = wants.send(()).ok().map(|()| Instant::now());
        }
        if let Ok(answer) = told.try_recv() {
            asked = None;
            gone = answer.is_none();
            // One that is begun anew answers again.
            if let Some(status) = answer {
                before = Some(std::mem::replace(&mut look, Look::new(status)));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn look(packets: u64, at: Instant) -> Look {
        let real =
            json!({ "name": "one", "health": "down", "why": "no answer in time", "slots": 25, "packets": packets });
        let vip = json!({
            "name": "web", "slots": 100, "to": { "packets": packets, "bytes": packets * 100 }, "opened": 3, "reals": [real],
        });
        let verdict = json!({ "name": "no-real", "packets": packets, "drops": true });
        let status = json!({ "name": "main", "devices": ["eth0"], "vips": [vip], "verdicts": [verdict] });
        Look { at, ..Look::new(status) }
    }

    #[test]
    fn rates_are_what_came_since_the_look_before() {
        let now = Instant::now();
        let (before, after) = (look(1000, now), look(5000, now + Duration::from_secs(2)));
        let lines = after.lines(Some(&before));
        let cells = |name: &str| {
            let line = lines.iter().find(|line| line.trim_start().starts_with(name)).expect("a line");
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(cells("web"), ["web", "0", "1", "2,000", "200,000", "0"]);
        assert_eq!(cells("one")[2..], ["down:", "no", "answer", "in", "time", "25.0", "%", "2,000", "5,000"]);
        assert_eq!(cells("no-real"), ["no-real", "2,000", "5,000", "dropped"]);
        assert!(!before.lines(None).iter().any(|line| line.contains("2,000")), "nothing is said at the first look");
        assert_eq!(before.rate(Some(&after), "vip web packets"), "", "no time has passed");
    }

    #[test]
    fn a_page_is_as_large_as_the_terminal() {
        let lines: Vec<String> = (0..10).map(|line| format!("line {line}")).collect();
        let mut above = 100;
        let shown = page("a long head", &lines, &mut above, (6, 7));
        assert_eq!(above, 6, "the last lines are the last");
        assert_eq!(shown, ["a long", "", "line 6", "line 7", "line 8", "line 9", "arrows"]);
        assert_eq!(page("head", &lines[..1], &mut above, (80, 6)), ["head", "", "line 0", "", "", KEYS]);
    }
}
