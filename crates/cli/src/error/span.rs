//! What part of a source line is meant. Compilers record a column, not a range: the expression around it is found by its
//! signs.

#[cfg(test)]
mod tests;

use std::{borrow::Cow, ops::Range};

/// A tab's width.
const TAB: usize = 4;

/// A line as it is shown.
pub(super) struct Line<'a> {
    pub(super) text: Cow<'a, str>,
    /// The characters that are meant.
    pub(super) span: Range<usize>,
    /// The compiler's column, from 1.
    pub(super) column: u32,
}

/// All of a line.
pub(super) fn whole(text: &str) -> Line<'_> {
    Line { text: text.into(), span: 0..text.chars().count(), column: 1 }
}

/// The expression at a column, from 1, of a source line; of a `condition`, all of it.
pub(super) fn of_source(text: &str, column: u32, condition: bool) -> Line<'_> {
    let text = text.trim_end();
    let chars: Vec<char> = text.chars().collect();
    // Columns count bytes.
    let at = (column as usize).checked_sub(1).and_then(|at| text.get(..at)).map(|before| before.chars().count());
    let span = at
        .and_then(|at| if condition { Some(conditional(&chars, at)) } else { expression(&chars, at) })
        .unwrap_or_else(|| trimmed(&chars, 0..chars.len()));
    let place = |end: usize| chars[..end].iter().fold(0, |width, c| if *c == '\t' { width + TAB } else { width + 1 });
    let shown = text.replace('\t', &" ".repeat(TAB));
    Line { text: shown.into(), span: place(span.start)..place(span.end), column }
}

/// The condition that a jump at a column decides, or one side of `&&` and `||`.
fn conditional(chars: &[char], at: usize) -> Range<usize> {
    match expression(chars, at) {
        Some(word) if chars[at..].starts_with(&['i', 'f']) || chars[at..].starts_with(&['f', 'o', 'r']) => word,
        _ => around(chars, at),
    }
}

fn expression(chars: &[char], at: usize) -> Option<Range<usize>> {
    let first = *chars.get(at)?;
    if is_word(first) {
        let word: String = chars[at..].iter().take_while(|c| is_word(**c)).collect();
        if matches!(&*word, "if" | "while" | "for" | "switch") {
            let open = (at..chars.len()).find(|n| chars[*n] == '(')?;
            let close = closing(chars, open).unwrap_or(chars.len());
            return Some(trimmed(chars, open + 1..close));
        }
        if word == "return" {
            let end = (at..chars.len()).find(|n| chars[*n] == ';').unwrap_or(chars.len());
            return Some(at..end);
        }
        return Some(operand_start(chars, at)..operand_end(chars, at));
    }
    if matches!(first, '*' | '&' | '(' | '!' | '-' | '~') && starts_operand(chars, at) {
        let mut end = at + 1;
        if first == '(' {
            end = closing(chars, at).map_or(chars.len(), |close| close + 1);
        }
        let next = (end..chars.len()).find(|n| chars[*n] != ' ')?;
        return Some(at..if is_word(chars[next]) || chars[next] == '(' { operand_end(chars, next) } else { end });
    }
    if first.is_whitespace() || matches!(first, '{' | '}' | ';') {
        return None;
    }
    Some(around(chars, at))
}

/// The whole expression around an operator, up to what encloses it.
fn around(chars: &[char], at: usize) -> Range<usize> {
    let mut depth = 0;
    let start = (0..at).rev().find(|n| match chars[*n] {
        ')' | ']' => {
            depth += 1;
            false
        }
        '(' | '[' if depth > 0 => {
            depth -= 1;
            false
        }
        '(' | '[' | '{' | ';' | ',' => true,
        '=' => depth == 0 && is_assignment(chars, *n),
        '&' | '|' => depth == 0 && (chars.get(n + 1) == Some(&chars[*n]) || *n > 0 && chars[n - 1] == chars[*n]),
        _ => false,
    });
    let mut depth = 0;
    let end = (at..chars.len()).find(|n| match chars[*n] {
        '(' | '[' => {
            depth += 1;
            false
        }
        ')' | ']' if depth > 0 => {
            depth -= 1;
            false
        }
        ')' | ']' | '{' | ';' | ',' => true,
        '&' | '|' => depth == 0 && chars.get(n + 1) == Some(&chars[*n]),
        _ => false,
    });
    trimmed(chars, start.map_or(0, |n| n + 1)..end.unwrap_or(chars.len()))
}

fn is_assignment(chars: &[char], at: usize) -> bool {
    chars.get(at + 1) != Some(&'=') && !(at > 0 && matches!(chars[at - 1], '=' | '!' | '<' | '>'))
}

/// `->`, `.`, calls and indices behind a word belong to it.
fn operand_end(chars: &[char], at: usize) -> usize {
    let mut end = at;
    while end < chars.len() {
        end += match chars[end] {
            c if is_word(c) || c == '.' => 1,
            '-' if chars.get(end + 1) == Some(&'>') => 2,
            '(' | '[' => match closing(chars, end) {
                Some(close) => close + 1 - end,
                None => break,
            },
            _ => break,
        };
    }
    end
}

/// What a field is a field of belongs to it.
fn operand_start(chars: &[char], at: usize) -> usize {
    let mut start = at;
    loop {
        let before = &chars[..start];
        if before.ends_with(&['-', '>']) {
            start -= 2;
        } else if before.last().is_some_and(|c| is_word(*c) || *c == '.') {
            start -= 1;
        } else {
            return start;
        }
    }
}

/// Whether a sign at `at` stands in front of its operand, not between two.
fn starts_operand(chars: &[char], at: usize) -> bool {
    let before = chars[..at].iter().rev().find(|c| !c.is_whitespace());
    !before.is_some_and(|c| is_word(*c) || matches!(c, ')' | ']'))
}

fn closing(chars: &[char], open: usize) -> Option<usize> {
    let mut depth = 0;
    (open..chars.len()).find(|n| {
        match chars[*n] {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

fn trimmed(chars: &[char], range: Range<usize>) -> Range<usize> {
    let mut range = range.start.min(chars.len())..range.end.min(chars.len());
    while range.start < range.end && chars[range.start].is_whitespace() {
        range.start += 1;
    }
    while range.start < range.end && chars[range.end - 1].is_whitespace() {
        range.end -= 1;
    }
    range
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
