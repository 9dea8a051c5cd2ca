//! What a PIN is verified against: a value that is made of it and of the card's number, and does not give it away.

use super::{Pan, Pin, SecurityError, decimalized, halves, packed, tdes};
use subtle::ConstantTimeEq as _;

/// What a PIN is verified against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinReference {
    /// Visa's PIN verification value, of the leftmost four digits of the PIN, and the index of its key, 0 to 6.
    Pvv {
        /// Which key.
        index: u8,
        /// The value, four digits.
        value: [u8; 4],
    },
    /// IBM 3624: what to add to the natural PIN, digit by digit, to get the one that the holder chose.
    Offset(Vec<u8>),
}

/// How IBM 3624 makes a natural PIN of a card number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimalization {
    /// For each of sixteen half-bytes a digit, as text.
    pub table: [u8; 16],
    /// Where the digits that are taken of the card number begin, and how many they are, at most 16.
    pub validation: core::ops::Range<usize>,
    /// What fills them up to sixteen half-bytes.
    pub pad: u8,
}

impl PinReference {
    /// The reference in 16 bytes of text: `P`, the index and the value of a PVV; `O` and the digits of an offset; blanks.
    #[must_use]
    pub fn to_text(&self) -> [u8; 16] {
        let mut text = [b' '; 16];
        let (kind, digits) = match self {
            Self::Pvv { index, value } => (b'P', [&[b'0' + index], &value[..]].concat()),
            Self::Offset(digits) => (b'O', digits.clone()),
        };
        text[0] = kind;
        text[1..=digits.len()].copy_from_slice(&digits);
        text
    }

    /// Reads what [`PinReference::to_text`] wrote. None when it is something else.
    #[must_use]
    pub fn from_text(text: &[u8; 16]) -> Option<Self> {
        let (kind, digits) = text.trim_ascii_end().split_first()?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        match (kind, digits) {
            (b'P', [index @ b'0'..=b'6', value @ ..]) => {
                Some(Self::Pvv { index: index - b'0', value: value.try_into().ok()? })
            }
            (b'O', digits) if (4..=12).contains(&digits.len()) => Some(Self::Offset(digits.to_vec())),
            _ => None,
        }
    }

    /// Whether two are the same, found in the same time whatever they are.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pvv { index, value }, Self::Pvv { index: other_index, value: other }) => {
                index == other_index && bool::from(value.ct_eq(other))
            }
            (Self::Offset(one), Self::Offset(two)) => bool::from(one.ct_eq(two)),
            _ => false,
        }
    }
}

/// Visa's PIN verification value under a two-part key.
///
/// # Errors
/// [`SecurityError::Key`] when the key's length is not one of the cipher's, [`SecurityError::Digits`] for an index above 6.
pub fn visa_pvv(key: &[u8], index: u8, pin: &Pin, pan: &Pan) -> Result<[u8; 4], SecurityError> {
    if index > 6 {
        return Err(SecurityError::Digits("the index of a verification key"));
    }
    let digit = |digit: &u8| digit - b'0';
    let data = pan.before_check(11).iter().map(digit).chain([index]).chain(pin.digits()[..4].iter().map(digit));
    let mut block = packed(data);
    tdes(key, &mut block)?;
    Ok(decimalized(&block, 4).try_into().expect("sixteen half-bytes give four digits"))
}

/// The offset from the natural PIN of a card to the one that its holder chose.
///
/// # Errors
/// [`SecurityError::Digits`] when the decimalization is none, [`SecurityError::Key`] as [`visa_pvv`].
pub fn ibm3624_offset(key: &[u8], with: &Decimalization, pin: &Pin, pan: &Pan) -> Result<Vec<u8>, SecurityError> {
    let validation = pan.digits().get(with.validation.clone()).filter(|digits| digits.len() <= 16);
    let validation = validation.ok_or(SecurityError::Digits("the validation data"))?;
    if !with.table.iter().all(u8::is_ascii_digit) || with.pad > 15 {
        return Err(SecurityError::Digits("the decimalization table"));
    }
    let data = validation.iter().map(|digit| digit - b'0').chain(core::iter::repeat(with.pad)).take(16);
    let mut block: [u8; 8] = packed(data);
    tdes(key, &mut block)?;
    let natural = halves(&block).map(|half| with.table[usize::from(half)]);
    Ok(pin.digits().iter().zip(natural).map(|(chosen, natural)| b'0' + (10 + chosen - natural) % 10).collect())
}
