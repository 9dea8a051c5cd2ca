//! Names that the log gave numbers, as far as they were told.

use ringfence_domains::auction::messages::{Dimension, NAME_BYTES, NameDefined};
use std::borrow::Cow;
use std::collections::HashMap;

/// The numbers of names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    numbers: HashMap<Dimension, HashMap<Box<str>, u32>>,
    /// Categories of advertisements below one: `IAB3-1` is below `IAB3`, and blocked with it.
    below: HashMap<Box<str>, Vec<u32>>,
}

/// A name as it is compared: domains are the same whatever letters are capitals.
fn folded(dimension: Dimension, text: &str) -> Cow<'_, str> {
    if dimension == Dimension::AdDomain && text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return text.to_ascii_lowercase().into();
    }
    text.into()
}

impl Names {
    /// Takes in what the log says.
    pub(crate) fn learn(&mut self, defined: &NameDefined) {
        let text = defined.text.get(..defined.length.into()).and_then(|text| std::str::from_utf8(text).ok());
        if let Some(text) = text {
            self.insert(defined.dimension.get(), text, defined.value);
        }
    }

    /// Takes in the number of a name.
    pub(crate) fn insert(&mut self, dimension: Dimension, text: &str, value: u32) {
        let text = folded(dimension, text);
        if dimension == Dimension::AdCategory {
            for (at, _) in text.match_indices('-') {
                let below = self.below.entry(text[..at].into()).or_default();
                if !below.contains(&value) {
                    below.push(value);
                }
            }
        }
        self.numbers.entry(dimension).or_default().insert(text.into(), value);
    }

    /// The number of a name; none when nobody gave it one.
    pub(crate) fn number(&self, dimension: Dimension, text: &str) -> Option<u32> {
        if text.len() > NAME_BYTES {
            return None;
        }
        self.numbers.get(&dimension)?.get(folded(dimension, text).as_ref()).copied()
    }

    /// The numbers of what is blocked with a name: its own, and those below it.
    pub(crate) fn blocked<'a>(&'a self, dimension: Dimension, text: &str) -> impl Iterator<Item = u32> + use<'a> {
        let below = if dimension == Dimension::AdCategory { self.below.get(text) } else { None };
        self.number(dimension, text).into_iter().chain(below.into_iter().flatten().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against blocks that miss what they are for: a category below the one that is named, a domain with capitals.
    #[test]
    fn blocks_reach_what_is_below_and_whatever_letters_are_capitals() {
        let mut names = Names::default();
        for (value, text) in (1..).zip(["IAB3", "IAB3-1", "IAB30", "IAB3-1-2"]) {
            names.insert(Dimension::AdCategory, text, value);
        }
        names.insert(Dimension::AdDomain, "Advertiser.example", 9);
        let blocked = |dimension, text| names.blocked(dimension, text).collect::<Vec<_>>();
        assert_eq!(blocked(Dimension::AdCategory, "IAB3"), [1, 2, 4]);
        assert_eq!(blocked(Dimension::AdCategory, "IAB3-1"), [2, 4]);
        assert_eq!(blocked(Dimension::AdCategory, "IAB30"), [3]);
        assert_eq!(blocked(Dimension::AdDomain, "ADVERTISER.example"), [9]);
        assert_eq!(names.number(Dimension::Site, "advertiser.example"), None);
    }
}
