//! Names of reals: most are addresses, and there may be a hundred thousand of them.

use std::{fmt, ops::Deref};

/// A name. Short ones stand in place.
#[derive(Clone)]
pub struct Name(Text);

/// Bytes of a name that stands in place.
const SHORT: usize = 22;

#[derive(Clone)]
enum Text {
    Short(u8, [u8; SHORT]),
    Long(Box<str>),
}

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // It was text when it was put there.
            Text::Short(len, bytes) => std::str::from_utf8(&bytes[..usize::from(*len)]).unwrap_or_default(),
            Text::Long(text) => text,
        }
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Name {
        let mut bytes = [0; SHORT];
        match bytes.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                Name(Text::Short(text.len() as u8, bytes))
            }
            None => Name(Text::Long(text.into())),
        }
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Name) -> std::cmp::Ordering {
        self.as_str().cmp(other)
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for Name {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_their_text_short_or_long() {
        for len in [0, 1, SHORT - 1, SHORT, SHORT + 1, 200] {
            let text = "ä".repeat(len / 2) + &"x".repeat(len % 2);
            let name = Name::from(text.as_str());
            assert_eq!(
                (name.as_str(), format!("{name}"), format!("{name:?}")),
                (&*text, text.clone(), format!("{text:?}"))
            );
            assert_eq!(matches!(name.0, Text::Short(..)), len <= SHORT);
        }
        let names = ["b", &"a".repeat(50), "a"].map(Name::from);
        let mut sorted = names.clone();
        sorted.sort();
        assert_eq!(sorted, [&names[2], &names[1], &names[0]].map(Clone::clone));
        assert_eq!(size_of::<Name>(), 24);
    }
}
