//! What a field may hold: the notation of the standard, read.

/// Which characters a field may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `n`: digits.
    Digits,
    /// `an`: letters and digits, and blanks that fill up.
    Alphanumeric,
    /// `ns`: digits and special characters.
    DigitsSpecial,
    /// `ans`: letters, digits and special characters.
    Text,
    /// `x+n`: C or D for credit or debit, then digits.
    SignedDigits,
    /// `z`: a track: digits, and the separators `=` and `D`.
    Track,
    /// `b`: bits.
    Binary,
}

/// How long a field is, in characters, or in bytes of a binary one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Always so long.
    Fixed(usize),
    /// Its length, in so many digits, comes first; the most that it may be.
    Variable {
        /// Digits of the length.
        digits: usize,
        /// The most that it may be.
        most: usize,
    },
}

/// How a field is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its characters.
    pub class: Class,
    /// Its length.
    pub length: Length,
    /// The parts of a date or time, two characters each: `MMDDhhmmss`.
    pub parts: Option<String>,
}

impl Field {
    /// Reads the notation of the standard: `n 6`, `n..19`, `ans...999`, `b 64`, `n 4 MMDD`. None when it is none.
    #[must_use]
    pub fn read(notation: &str) -> Option<Self> {
        let mut words = notation.split_whitespace();
        let first = words.next()?;
        let (class, length) = match first.split_once("..") {
            Some((class, most)) => {
                let (digits, most) = most.strip_prefix('.').map_or((2, most), |most| (3, most));
                (class, Length::Variable { digits, most: most.parse().ok()? })
            }
            None => (first, Length::Fixed(words.next()?.parse().ok()?)),
        };
        let class = match class {
            "n" => Class::Digits,
            "an" => Class::Alphanumeric,
            "ns" => Class::DigitsSpecial,
            "ans" => Class::Text,
            "x+n" => Class::SignedDigits,
            "z" => Class::Track,
            "b" => Class::Binary,
            _ => return None,
        };
        let length = match (class, length) {
            (Class::Binary, Length::Fixed(bits)) if bits % 8 == 0 => Length::Fixed(bits / 8),
            (Class::Binary, _) => return None,
            (Class::SignedDigits, Length::Fixed(digits)) => Length::Fixed(digits + 1),
            (_, Length::Variable { digits, most }) if most >= 10_usize.pow(digits as u32) => return None,
            (_, length) => length,
        };
        let parts = words.next().map(str::to_owned);
        let fits = |parts: &String| Length::Fixed(parts.len()) == length && parts.len().is_multiple_of(2);
        if parts.as_ref().is_some_and(|parts| !fits(parts)) || words.next().is_some() {
            return None;
        }
        Some(Self { class, length, parts })
    }

    /// Whether so many characters are as long as it may be.
    #[must_use]
    pub const fn fits(&self, characters: usize) -> bool {
        match self.length {
            Length::Fixed(length) => characters == length,
            Length::Variable { most, .. } => characters <= most,
        }
    }

    /// The first character of `value` that the field may not hold.
    #[must_use]
    pub fn wrong(&self, value: &[u8]) -> Option<usize> {
        let allowed = |at: usize, byte: u8| match self.class {
            Class::Digits => byte.is_ascii_digit(),
            Class::Alphanumeric => byte.is_ascii_alphanumeric() || byte == b' ',
            Class::DigitsSpecial => byte.is_ascii_digit() || byte == b' ' || byte.is_ascii_punctuation(),
            Class::Text => byte.is_ascii_graphic() || byte == b' ',
            Class::SignedDigits if at == 0 => matches!(byte, b'C' | b'D'),
            Class::SignedDigits => byte.is_ascii_digit(),
            Class::Track => byte.is_ascii_digit() || matches!(byte, b'=' | b'D'),
            Class::Binary => true,
        };
        let wrong = value.iter().enumerate().position(|(at, byte)| !allowed(at, *byte));
        wrong.or_else(|| self.wrong_part(value))
    }

    /// The first part of a date or time that is none.
    fn wrong_part(&self, value: &[u8]) -> Option<usize> {
        let parts = self.parts.as_ref()?.as_bytes();
        let is_wrong = |(part, digits): (&[u8], &[u8])| {
            let number = digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
            let range = match part {
                b"MM" => 1..=12,
                b"DD" => 1..=31,
                b"hh" => 0..=23,
                b"mm" | b"ss" => 0..=59,
                _ => 0..=99,
            };
            !range.contains(&number)
        };
        parts.chunks(2).zip(value.chunks(2)).position(is_wrong).map(|part| part * 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against a notation that is read as another, or taken for one.
    #[test]
    fn notations_are_read() {
        let field = |class, length| Some(Field { class, length, parts: None });
        assert_eq!(Field::read("n 6"), field(Class::Digits, Length::Fixed(6)));
        assert_eq!(Field::read("n..19"), field(Class::Digits, Length::Variable { digits: 2, most: 19 }));
        assert_eq!(Field::read("ans...999"), field(Class::Text, Length::Variable { digits: 3, most: 999 }));
        assert_eq!(Field::read("b 64"), field(Class::Binary, Length::Fixed(8)));
        assert_eq!(Field::read("x+n 8"), field(Class::SignedDigits, Length::Fixed(9)));
        for wrong in ["", "n", "n six", "q 6", "b 1", "b..8", "n..100", "n 6 MM", "n 4 MMDD more", "n....9"] {
            assert_eq!(Field::read(wrong), None, "{wrong}");
        }
    }

    /// Guards against a date or an hour that does not exist.
    #[test]
    fn dates_and_times_exist() {
        let field = Field::read("n 10 MMDDhhmmss").expect("a notation");
        assert_eq!(field.wrong(b"1231235959"), None);
        for (value, at) in [(b"0001000000", 0), (b"1301000000", 0), (b"0132000000", 2), (b"0101240000", 4)] {
            assert_eq!(field.wrong(value), Some(at));
        }
        assert_eq!(field.wrong(b"0101006000"), Some(6));
        assert_eq!(field.wrong(b"01010000x0"), Some(8));
    }
}
