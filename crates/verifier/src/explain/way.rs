//! The path to a rejection, in one line: source lines where the object has them, else instructions; branches by which way
//! they went; rounds of loops counted, not repeated.

use super::Story;
use alveary_diag::{Place, SourceLine, Sources};
use std::fmt::Write;

/// Items that are shown at most, at the start and at the end.
const HEAD: usize = 6;
const TAIL: usize = 14;
/// The longest round of a loop that is looked for.
const ROUND: usize = 24;

/// Something that the path goes through.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    text: String,
}

/// The path, if there was one and it is more than one place.
pub(super) fn path(story: &Story<'_>) -> Option<String> {
    if story.moments.len() < 2 {
        return None;
    }
    let mut items = lines(story);
    let lined = items.len() > 1;
    if !lined {
        items = instructions(story);
    }
    let word = if lined { "lines" } else { "instructions" };
    let mut rounds = fold(items);
    let mut text = format!("{word} {}", if story.cut { "…, " } else { "" });
    if rounds.len() > HEAD + TAIL + 1 {
        let left_out = rounds.len() - HEAD - TAIL;
        rounds.splice(HEAD..HEAD + left_out, [format!("… ({left_out} left out)")]);
    }
    text.push_str(&rounds.join(", "));
    Some(text)
}

pub(super) fn line_of(story: &Story<'_>, insn: u32) -> Option<SourceLine> {
    let program = story.program().program;
    program.source(&Place::Insn { prog: program.name.clone(), index: insn })
}

/// Source lines, each as long as the path stays on it. In front of lines of another file stands its name.
fn lines(story: &Story<'_>) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut at: Option<(SourceLine, String)> = None;
    let mut file = None;
    for n in 0..story.moments.len() {
        let Some(line) = line_of(story, story.moments[n].insn) else { continue };
        let branch = match story.taken(n) {
            Some(true) => " (taken)",
            Some(false) => " (not taken)",
            None => "",
        };
        // The compiler's line 0 stands for no line.
        if line.line == 0 {
            continue;
        }
        match &mut at {
            Some((known, marks)) if known.line == line.line && known.file == line.file => {
                if !branch.is_empty() {
                    *marks = branch.to_owned();
                }
            }
            _ => {
                items.extend(at.take().map(|at| shown(&at, &mut file)));
                at = Some((line, branch.to_owned()));
            }
        }
    }
    items.extend(at.take().map(|at| shown(&at, &mut file)));
    items
}

fn shown((line, marks): &(SourceLine, String), file: &mut Option<std::sync::Arc<str>>) -> Item {
    let mut text = String::new();
    let other = file.as_ref().is_some_and(|known| *known != line.file);
    if other {
        let name = line.file.rsplit('/').next().unwrap_or_default();
        let _ = write!(text, "{name}:");
    }
    *file = Some(line.file.clone());
    let _ = write!(text, "{}{marks}", line.line);
    Item { text }
}

/// Runs of instructions, as long as one follows the other.
fn instructions(story: &Story<'_>) -> Vec<Item> {
    let mut items = Vec::new();
    let mut first = story.moments[0].insn;
    for n in 0..story.moments.len() {
        let insn = story.moments[n].insn;
        let width = story.program().width(insn);
        let next = story.moments.get(n + 1).map(|moment| moment.insn);
        let taken = story.taken(n);
        if next == Some(insn + width) && taken.is_none() {
            continue;
        }
        let branch = match taken {
            Some(true) => " (taken)",
            Some(false) => " (not taken)",
            None => "",
        };
        let text = if first == insn { format!("{insn}{branch}") } else { format!("{first}–{insn}{branch}") };
        items.push(Item { text });
        first = next.unwrap_or_default();
    }
    items
}

/// Repeated rounds become one with a count.
fn fold(items: Vec<Item>) -> Vec<String> {
    let mut folded = Vec::new();
    let mut at = 0;
    while at < items.len() {
        let best = (1..=ROUND.min((items.len() - at) / 2))
            .map(|length| (length, count_rounds(&items[at..], length)))
            .filter(|(_, count)| *count > 1)
            .max_by_key(|(length, count)| (length * (count - 1), usize::MAX - length));
        let Some((length, count)) = best else {
            folded.push(items[at].text.clone());
            at += 1;
            continue;
        };
        let round: Vec<&str> = items[at..at + length].iter().map(|item| &*item.text).collect();
        let text = round.join(", ");
        folded.push(if length == 1 { format!("{text} (×{count})") } else { format!("[{text}] ×{count}") });
        at += length * count;
    }
    folded
}

/// How often the first `length` items follow each other.
fn count_rounds(items: &[Item], length: usize) -> usize {
    items.chunks_exact(length).take_while(|round| *round == &items[..length]).count()
}
