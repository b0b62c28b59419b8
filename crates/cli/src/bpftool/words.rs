//! Words behind a verb, as bpftool's users type them: `id 7`, `pinned FILE key 0x01 value 2`, each of bpftool's own words
//! down to its first letter.

use super::usage;
use crate::failure::Failure;

/// The words that are left.
#[derive(Clone, Debug)]
pub(crate) struct Words<'a> {
    left: &'a [String],
    last: &'a str,
}

impl<'a> Words<'a> {
    pub(crate) fn new(words: &'a [String]) -> Words<'a> {
        Words { left: words, last: "" }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// The next word, which stays.
    pub(crate) fn peek(&self) -> Option<&'a str> {
        self.left.first().map(String::as_str)
    }

    /// The next word.
    pub(crate) fn take(&mut self) -> Option<&'a str> {
        let (first, rest) = self.left.split_first()?;
        (self.left, self.last) = (rest, first);
        Some(first)
    }

    /// Takes the next word if it is `word`, or the beginning of it.
    pub(crate) fn is(&mut self, word: &str) -> bool {
        let is = self.peek().is_some_and(|found| !found.is_empty() && word.starts_with(found));
        if is {
            self.take();
        }
        is
    }

    /// The next word, which must be there; `what` it is.
    pub(crate) fn must(&mut self, what: &str) -> Result<&'a str, Failure> {
        let behind = self.last;
        self.take().ok_or_else(|| {
            let where_ = if behind.is_empty() { String::new() } else { format!(" behind `{behind}`") };
            usage(format!("something is missing{where_}")).expected(what).found("the end of the command").into()
        })
    }

    /// The next word as a number, in C's notation; `what` it is.
    pub(crate) fn number<T: TryFrom<u64>>(&mut self, what: &str) -> Result<T, Failure> {
        let word = self.must(what)?;
        let number = number(word).and_then(|n| T::try_from(n).ok());
        number.ok_or_else(|| usage(format!("`{word}` is not {what}")).expected("a number that fits").into())
    }

    /// Nothing may be left.
    pub(crate) fn end(&self) -> Result<(), Failure> {
        if self.is_empty() { Ok(()) } else { Err(self.unexpected("nothing more")) }
    }

    /// The next word is not what can stand here.
    pub(crate) fn unexpected(&self, expected: &str) -> Failure {
        let found = self.peek().map_or_else(|| "the end of the command".to_owned(), |word| format!("`{word}`"));
        usage("these words make no sense").expected(expected).found(found).into()
    }
}

/// A number in C's notation: decimal, `0x` hexadecimal, `0` octal.
pub(crate) fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None if text.len() > 1 && text.starts_with('0') => u64::from_str_radix(&text[1..], 8).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_may_be_abbreviated_and_must_all_be_understood() {
        let given: Vec<String> = ["i", "0x10", "rest"].map(str::to_owned).into();
        let mut words = Words::new(&given);
        assert!(!words.is("pinned"));
        assert!(words.is("id"));
        assert_eq!(words.number::<u32>("an id").expect("it is a number"), 16);
        assert!(words.end().is_err());
        words.take();
        assert!(words.end().is_ok());
        assert!(words.must("a map").is_err());
    }

    #[test]
    fn numbers_are_read_as_c_does() {
        for (text, expected) in
            [("10", Some(10)), ("0x1F", Some(31)), ("010", Some(8)), ("0", Some(0)), ("", None), ("x", None)]
        {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
