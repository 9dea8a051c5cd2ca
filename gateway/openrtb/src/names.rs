//! Names that the log gave numbers, as far as they were told.

use ringfence_domains::auction::messages::{Dimension, NAME_BYTES, NameDefined};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// The numbers of names. One thread learns them, others ask.
#[derive(Debug, Default)]
pub(crate) struct Names {
    names: RwLock<HashMap<(u8, Box<str>), u32>>,
}

impl Names {
    /// Takes in what the log says.
    pub(crate) fn learn(&self, defined: &NameDefined) {
        let text = defined.text.get(..defined.length.into()).and_then(|text| std::str::from_utf8(text).ok());
        if let Some(text) = text {
            self.insert(defined.dimension.get(), text, defined.value);
        }
    }

    /// Takes in the number of a name.
    pub(crate) fn insert(&self, dimension: Dimension, text: &str, value: u32) {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        names.insert((dimension as u8, text.into()), value);
    }

    /// The number of a name; none when nobody gave it one.
    pub(crate) fn number(&self, dimension: Dimension, text: &str) -> Option<u32> {
        if text.len() > NAME_BYTES {
            return None;
        }
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.get(&(dimension as u8, text.into())).copied()
    }
}
