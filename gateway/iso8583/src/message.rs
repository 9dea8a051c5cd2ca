//! One message: its type and its fields.

use crate::field::{Class, Field, Length};
use crate::layout::{Bits, Digits, Layout};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// What is wrong with a field or a part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes end before it does.
    #[error("cut short")]
    Short,
    /// Bytes follow it that belong to nothing.
    #[error("more bytes than the bitmap says")]
    Over,
    /// A character that it may not hold.
    #[error("a character that it may not hold")]
    Character,
    /// Its length is not in digits, or other than it may be.
    #[error("a length that it may not have")]
    Length,
    /// The layout has no such field.
    #[error("not in the layout")]
    Unknown,
    /// The message must have it.
    #[error("missing")]
    Missing,
    /// The message may not have it.
    #[error("not expected in this message")]
    Unexpected,
}

/// Why bytes are no message, or a message cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}, field {field}: {fault}")]
pub struct Error {
    /// Which field; 0 is the message type, 1 the bitmaps, 129 the end.
    pub field: u8,
    /// At which byte it begins to be wrong; 0 when it is not about bytes.
    pub offset: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// The end of a message, where an [`Error`] names a field.
const END: u8 = 129;

/// One message. Values are characters as the standard counts them, whatever bytes they are written as; those of binary
/// fields are bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    mti: [u8; 4],
    /// Whether it was read with a secondary bitmap that names no field.
    has_empty_bitmap: bool,
    fields: BTreeMap<u8, Zeroizing<Vec<u8>>>,
}

impl core::fmt::Debug for Message {
    /// Says which fields there are and how long each is, never what is in them.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} ", self.mti.escape_ascii())?;
        f.debug_map().entries(self.fields.iter().map(|(number, value)| (number, value.len()))).finish()
    }
}

impl Message {
    /// A message of that type without fields.
    #[must_use]
    pub const fn new(mti: [u8; 4]) -> Self {
        Self { mti, has_empty_bitmap: false, fields: BTreeMap::new() }
    }

    /// Its type, four digits.
    #[must_use]
    pub const fn mti(&self) -> [u8; 4] {
        self.mti
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, field: u8) -> Option<&[u8]> {
        self.fields.get(&field).map(|value| value.as_slice())
    }

    /// Sets a field. Whether it may be so is looked at when the message is written.
    pub fn set(&mut self, field: u8, value: &[u8]) -> &mut Self {
        self.fields.insert(field, Zeroizing::new(value.to_vec()));
        self
    }

    /// Takes a field away.
    pub fn remove(&mut self, field: u8) -> &mut Self {
        self.fields.remove(&field);
        self
    }

    /// The fields that it has, ascending.
    pub fn fields(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.fields.iter().map(|(number, value)| (*number, value.as_slice()))
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`Error`] names the field and the byte at which it goes wrong.
    pub fn parse(bytes: &[u8], layout: &Layout) -> Result<Self, Error> {
        let (message, read) = Self::read(bytes, layout);
        read.map(|()| message)
    }

    /// Reads a message as far as it can be read: what was found before it goes wrong can be said in an answer that
    /// refuses it. A type of four zeros is none.
    pub fn read(bytes: &[u8], layout: &Layout) -> (Self, Result<(), Error>) {
        let mut message = Self::new(*b"0000");
        let read = message.read_from(bytes, layout);
        (message, read)
    }

    fn read_from(&mut self, bytes: &[u8], layout: &Layout) -> Result<(), Error> {
        let message = self;
        let mut reader = Reader { bytes, at: 0, field: 0, layout };
        let mti = reader.digits(4, layout.encodings.mti, false)?;
        if let Some(at) = mti.iter().position(|digit| !digit.is_ascii_digit()) {
            return Err(reader.error(Fault::Character, at));
        }
        message.mti = mti[..].try_into().expect("four digits were read");
        reader.field = 1;
        let mut bitmap = [0; 16];
        let first: [u8; 8] = reader.bits(8, layout.encodings.bitmap)?[..].try_into().expect("eight bytes were read");
        bitmap[..8].copy_from_slice(&first);
        if bitmap[0] & 0x80 != 0 {
            bitmap[8..].copy_from_slice(&reader.bits(8, layout.encodings.bitmap)?);
            message.has_empty_bitmap = bitmap[8..] == [0; 8];
        }
        let is_set = |number: &u8| bitmap[usize::from(number - 1) / 8] & 0x80 >> ((number - 1) % 8) != 0;
        for number in (2..=128).filter(is_set) {
            reader.field = number;
            let value = reader.value()?;
            message.fields.insert(number, value);
        }
        reader.field = END;
        if reader.at < bytes.len() {
            return Err(reader.error(Fault::Over, 0));
        }
        message.obeys(layout)
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`Error`] names a field that cannot be written so.
    pub fn encode(&self, layout: &Layout) -> Result<Vec<u8>, Error> {
        if !self.mti.iter().all(u8::is_ascii_digit) {
            return Err(Error { field: 0, offset: 0, fault: Fault::Character });
        }
        self.obeys(layout)?;
        let mut out = Vec::new();
        put_digits(&self.mti, layout.encodings.mti, &mut out);
        let mut bitmap = [0_u8; 16];
        for number in self.fields.keys() {
            let error = |fault| Error { field: *number, offset: 0, fault };
            let place = number.checked_sub(1).filter(|place| (1..128).contains(place)).ok_or(error(Fault::Unknown))?;
            bitmap[usize::from(place / 8)] |= 0x80 >> (place % 8);
        }
        let length = if self.has_empty_bitmap || bitmap[8..] != [0; 8] { 16 } else { 8 };
        bitmap[0] |= if length == 16 { 0x80 } else { 0 };
        put_bits(&bitmap[..length], layout.encodings.bitmap, &mut out);
        for (number, value) in &self.fields {
            let error = |fault| Error { field: *number, offset: 0, fault };
            let field = layout.field(*number).ok_or(error(Fault::Unknown))?;
            if !field.fits(value.len()) {
                return Err(error(Fault::Length));
            }
            if let Some(offset) = field.wrong(value) {
                return Err(Error { field: *number, offset, fault: Fault::Character });
            }
            if let Length::Variable { digits, .. } = field.length {
                put_digits(format!("{:0digits$}", value.len()).as_bytes(), layout.encodings.lengths, &mut out);
            }
            match field.class {
                Class::Digits | Class::Track => put_digits(value, layout.encodings.numbers, &mut out),
                Class::Binary => put_bits(value, layout.encodings.binaries, &mut out),
                _ => out.extend_from_slice(value),
            }
        }
        Ok(out)
    }

    /// Whether it has the fields that the layout lays down for its type.
    fn obeys(&self, layout: &Layout) -> Result<(), Error> {
        let Some(rules) = layout.rules(&self.mti) else { return Ok(()) };
        if let Some(missing) = rules.mandatory.iter().find(|number| !self.fields.contains_key(number)) {
            return Err(Error { field: *missing, offset: 0, fault: Fault::Missing });
        }
        let is_listed = |number: &&u8| rules.mandatory.contains(number) || rules.optional.contains(number);
        match self.fields.keys().find(|number| !is_listed(number)) {
            Some(field) => Err(Error { field: *field, offset: 0, fault: Fault::Unexpected }),
            None => Ok(()),
        }
    }
}

struct Reader<'m> {
    bytes: &'m [u8],
    at: usize,
    field: u8,
    layout: &'m Layout,
}

impl<'m> Reader<'m> {
    fn error(&self, fault: Fault, further: usize) -> Error {
        Error { field: self.field, offset: self.at + further, fault }
    }

    fn take(&mut self, bytes: usize) -> Result<&'m [u8], Error> {
        let taken = self.bytes.get(self.at..self.at + bytes).ok_or(self.error(Fault::Short, 0))?;
        self.at += bytes;
        Ok(taken)
    }

    /// So many digits, as characters. `=` of a track is a D when it is packed.
    fn digits(&mut self, count: usize, digits: Digits, is_track: bool) -> Result<Zeroizing<Vec<u8>>, Error> {
        if digits == Digits::Ascii {
            return Ok(Zeroizing::new(self.take(count)?.to_vec()));
        }
        let start = self.at;
        let packed = self.take(count.div_ceil(2))?;
        let mut unpacked = Zeroizing::new(Vec::with_capacity(count + 1));
        for byte in packed {
            for half in [byte >> 4, byte & 15] {
                unpacked.push(match half {
                    0..10 => b'0' + half,
                    13 if is_track => b'=',
                    _ => return Err(Error { field: self.field, offset: start, fault: Fault::Character }),
                });
            }
        }
        if count % 2 == 1 && unpacked.remove(0) != b'0' {
            return Err(Error { field: self.field, offset: start, fault: Fault::Character });
        }
        Ok(unpacked)
    }

    /// So many bytes of bits.
    fn bits(&mut self, bytes: usize, bits: Bits) -> Result<Zeroizing<Vec<u8>>, Error> {
        if bits == Bits::Binary {
            return Ok(Zeroizing::new(self.take(bytes)?.to_vec()));
        }
        let start = self.at;
        let mut value = Zeroizing::new(Vec::with_capacity(bytes));
        for (place, pair) in self.take(bytes * 2)?.chunks(2).enumerate() {
            // Lower case would not be written again.
            let digit = |character: u8| match character {
                b'0'..=b'9' => Some(character - b'0'),
                b'A'..=b'F' => Some(character - b'A' + 10),
                _ => None,
            };
            let byte = digit(pair[0]).zip(digit(pair[1])).map(|(high, low)| high << 4 | low);
            let error = Error { field: self.field, offset: start + place * 2, fault: Fault::Character };
            value.push(byte.ok_or(error)?);
        }
        Ok(value)
    }

    /// The value of the field that is next.
    fn value(&mut self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let layout = self.layout;
        let field: &Field = layout.field(self.field).ok_or(self.error(Fault::Unknown, 0))?;
        let length = match field.length {
            Length::Fixed(length) => length,
            Length::Variable { digits, .. } => {
                let start = self.at;
                let written = self.digits(digits, layout.encodings.lengths, false)?;
                let error = Error { field: self.field, offset: start, fault: Fault::Length };
                let length = core::str::from_utf8(&written).ok().filter(|text| !text.starts_with('+'));
                length.and_then(|text| text.parse().ok()).filter(|length| field.fits(*length)).ok_or(error)?
            }
        };
        let start = self.at;
        let value = match field.class {
            Class::Digits => self.digits(length, layout.encodings.numbers, false)?,
            Class::Track => self.digits(length, layout.encodings.numbers, true)?,
            Class::Binary => self.bits(length, layout.encodings.binaries)?,
            _ => Zeroizing::new(self.take(length)?.to_vec()),
        };
        match field.wrong(&value) {
            Some(at) => Err(Error { field: self.field, offset: start + at, fault: Fault::Character }),
            None => Ok(value),
        }
    }
}

fn put_digits(digits: &[u8], encoding: Digits, out: &mut Vec<u8>) {
    if encoding == Digits::Ascii {
        out.extend_from_slice(digits);
        return;
    }
    let half = |character: u8| if character.is_ascii_digit() { character - b'0' } else { 13 };
    let (first, rest) = digits.split_at(digits.len() % 2);
    out.extend(first.iter().map(|digit| half(*digit)));
    out.extend(rest.chunks(2).map(|pair| half(pair[0]) << 4 | half(pair[1])));
}

fn put_bits(bits: &[u8], encoding: Bits, out: &mut Vec<u8>) {
    match encoding {
        Bits::Binary => out.extend_from_slice(bits),
        Bits::Hex => out.extend(bits.iter().flat_map(|byte| {
            let digit = |half: u8| b"0123456789ABCDEF"[usize::from(half)];
            [digit(byte >> 4), digit(byte & 15)]
        })),
    }
}
