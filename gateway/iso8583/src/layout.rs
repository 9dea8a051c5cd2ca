//! Which fields there are, and how messages are written: configuration.

use crate::field::Field;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The layout of ISO 8583:1987, as text.
const ISO87: &str = include_str!("iso87.toml");

/// How characters become bytes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Digits {
    /// A byte each.
    Ascii,
    /// Two a byte, the first one in the high half; an odd number begins with a zero.
    Bcd,
}

/// How bits become bytes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Bits {
    /// Two hexadecimal digits for eight.
    Hex,
    /// A byte for eight.
    Binary,
}

/// How the parts of a message are written.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Encodings {
    /// The message type.
    pub mti: Digits,
    /// The bitmaps.
    pub bitmap: Bits,
    /// Lengths of fields.
    pub lengths: Digits,
    /// `n` and `z`.
    pub numbers: Digits,
    /// `b`.
    pub binaries: Bits,
}

/// What fields a type of message has.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Those that it must have.
    #[serde(default)]
    pub mandatory: Vec<u8>,
    /// Those that it may have beside them.
    #[serde(default)]
    pub optional: Vec<u8>,
}

/// Which fields there are, and how messages are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// How the parts of a message are written.
    pub encodings: Encodings,
    /// By number, 2 to 128; 65 is none.
    fields: Vec<Option<Field>>,
    /// Which fields a message may have, by its type; other types may have all.
    rules: BTreeMap<String, Rules>,
}

/// Why a text is no layout.
#[derive(Debug, thiserror::Error)]
pub enum BadLayout {
    /// It is not TOML, or has other keys.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// A field's number is not from 2 to 128, or is 65.
    #[error("field {0}: there is no such field")]
    Number(String),
    /// A field's notation is none.
    #[error("field {number}: {notation:?} is no notation of the standard")]
    Notation {
        /// The field.
        number: u8,
        /// What was written.
        notation: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    encodings: Option<Encodings>,
    #[serde(default)]
    fields: BTreeMap<String, String>,
    #[serde(default)]
    messages: BTreeMap<String, Rules>,
}

impl Layout {
    /// ISO 8583:1987 in ASCII, bitmaps and binary fields in hexadecimal digits.
    ///
    /// # Panics
    /// Never: its text is part of the build.
    #[must_use]
    pub fn iso87() -> Self {
        let encodings = Encodings {
            mti: Digits::Ascii,
            bitmap: Bits::Hex,
            lengths: Digits::Ascii,
            numbers: Digits::Ascii,
            binaries: Bits::Hex,
        };
        let empty = Self { encodings, fields: vec![None; 129], rules: BTreeMap::new() };
        empty.with(ISO87).expect("the layout of the build is one")
    }

    /// ISO 8583:1987 in binary: digits packed two a byte, bitmaps and binary fields as they are.
    #[must_use]
    pub fn iso87_binary() -> Self {
        let (digits, bits) = (Digits::Bcd, Bits::Binary);
        let encodings = Encodings { mti: digits, bitmap: bits, lengths: digits, numbers: digits, binaries: bits };
        Self { encodings, ..Self::iso87() }
    }

    /// This layout, with what `text` says otherwise. Its form is that of `iso87.toml`; a table `messages."0420"` with
    /// `mandatory` and `optional` lists the fields of a type of message.
    ///
    /// # Errors
    /// [`BadLayout`] names what is wrong.
    pub fn with(mut self, text: &str) -> Result<Self, BadLayout> {
        let text: Text = toml::from_str(text)?;
        self.encodings = text.encodings.unwrap_or(self.encodings);
        for (number, notation) in text.fields {
            let known = number.parse::<u8>().ok().filter(|number| (2..=128).contains(number) && *number != 65);
            let number = known.ok_or(BadLayout::Number(number))?;
            let field = Field::read(&notation).ok_or(BadLayout::Notation { number, notation })?;
            self.fields[usize::from(number)] = Some(field);
        }
        self.rules.extend(text.messages);
        Ok(self)
    }

    /// The field of that number.
    #[must_use]
    pub fn field(&self, number: u8) -> Option<&Field> {
        self.fields.get(usize::from(number))?.as_ref()
    }

    /// What fields a type of message has, when that is laid down.
    #[must_use]
    pub fn rules(&self, mti: &[u8; 4]) -> Option<&Rules> {
        self.rules.get(core::str::from_utf8(mti).ok()?)
    }
}
