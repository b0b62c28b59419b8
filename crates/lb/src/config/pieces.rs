//! Where VIPs stand in a file: each is read by itself, since all of them as one tree are a hundred times the file's size.

use std::{borrow::Cow, ops::Range};
use toml_parser::{
    Source,
    lexer::{Token, TokenKind},
};

/// The parts of a file that are a `[[vip]]` each, with the tables in it; `None` if it is not as simple as that. What is
/// no TOML is found by who reads the parts.
pub(super) fn of(text: &str) -> Option<Vec<Range<usize>>> {
    let source = Source::new(text);
    let mut tokens = source.lex().filter(|token| token.kind() != TokenKind::Whitespace);
    let (mut pieces, mut open) = (Vec::new(), None);
    while let Some(token) = tokens.next() {
        match token.kind() {
            TokenKind::Newline | TokenKind::Comment | TokenKind::Eof => {}
            TokenKind::LeftSquareBracket => {
                let start = token.span().start();
                let (is_array, key, is_alone) = header(&mut tokens)?;
                match text.get(key) {
                    Some("vip") if is_array && is_alone => {
                        pieces.extend(open.replace(start).map(|before| before..start));
                    }
                    // A table in the one that is open.
                    Some("vip") => drop(open?),
                    _ => pieces.extend(open.take().map(|before| before..start)),
                }
            }
            _ => value(&mut tokens)?,
        }
    }
    pieces.extend(open.map(|before| before..text.len()));
    Some(pieces)
}

/// The rest of a line `[…]` behind its first bracket: whether there are two of them, its first key, whether that is all.
fn header(tokens: &mut impl Iterator<Item = Token>) -> Option<(bool, Range<usize>, bool)> {
    let mut token = tokens.next()?;
    let is_array = token.kind() == TokenKind::LeftSquareBracket;
    if is_array {
        token = tokens.next()?;
    }
    let key = match token.kind() {
        TokenKind::Atom => token.span().start()..token.span().end(),
        // In quotation marks.
        _ => return None,
    };
    let is_alone = tokens.next()?.kind() == TokenKind::RightSquareBracket;
    tokens.find(|token| matches!(token.kind(), TokenKind::Newline | TokenKind::Eof));
    Some((is_array, key, is_alone))
}

/// The rest of `key = value`, over lines if it has brackets.
fn value(tokens: &mut impl Iterator<Item = Token>) -> Option<()> {
    let mut depth = 0u32;
    for token in tokens {
        match token.kind() {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => depth += 1,
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => depth = depth.checked_sub(1)?,
            TokenKind::Newline if depth == 0 => return Some(()),
            _ => {}
        }
    }
    (depth == 0).then_some(())
}

/// The file without these parts, all that is left in its place.
pub(super) fn without<'t>(text: &'t str, pieces: &[Range<usize>]) -> Cow<'t, str> {
    let Some(first) = pieces.first() else { return text.into() };
    let kept = pieces.iter().zip(pieces.iter().skip(1)).map(|(piece, next)| piece.end..next.start);
    let kept = kept.chain(pieces.last().map(|last| last.end..text.len())).filter(|part| !part.is_empty());
    let mut rest = Cow::Borrowed(&text[..first.start]);
    for part in kept {
        let rest = rest.to_mut();
        rest.push_str(&" ".repeat(part.start - rest.len()));
        rest.push_str(&text[part]);
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<Vec<&str>> {
        Some(of(text)?.into_iter().map(|piece| &text[piece]).collect())
    }

    #[test]
    fn each_vip_is_a_part_with_the_tables_in_it() {
        let text = "a = '''\n[[vip]]\n'''\n[x] # [[vip]]\nb = [\n[\"[[vip]]\"],\n]\n[[vip]]\nc = 1\n[vip.check]\n [[ vip . real ]]\n[[vip]] # 2\nd = { e = [1,\n2] }\n[y]\nz = 1\n[[vip]]\n";
        let vips =
            ["[[vip]]\nc = 1\n[vip.check]\n [[ vip . real ]]\n", "[[vip]] # 2\nd = { e = [1,\n2] }\n", "[[vip]]\n"];
        assert_eq!(parts(text), Some(vips.to_vec()));
        let rest = without(text, &of(text).expect("simple"));
        assert_eq!((rest.len(), rest.find("[y]"), rest.contains("d =")), (text.len() - 8, text.find("[y]"), false));
        let last = "[x]\n[[vip]]\n[[vip]]\n";
        assert!(matches!(without(last, &of(last).expect("simple")), Cow::Borrowed("[x]\n")));
        assert_eq!(parts(""), Some(vec![]));
    }

    #[test]
    fn what_is_not_as_simple_is_read_as_a_whole() {
        for text in
            ["[vip.check]\n", "[[vip]]\n[x]\n[[vip.real]]\n", "[[\"vip\"]]\n", "a = ]\n[[vip]]\n", "a = [\n[[vip]]\n"]
        {
            assert_eq!(parts(text), None, "{text}");
        }
    }
}
