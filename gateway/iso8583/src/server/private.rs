//! What this gateway and its terminals say to each other beyond the standard, in field 63: elements of two letters, three
//! digits of length, and a value.

use zeroize::Zeroizing;

/// Notes of each cassette, four digits a cassette: those to dispense, and those that were.
pub(crate) const NOTES: [u8; 2] = *b"NT";
/// A new PIN's block, in hexadecimal digits.
pub(crate) const NEW_PIN: [u8; 2] = *b"PN";
/// What was posted, twelve digits.
pub(crate) const POSTED: [u8; 2] = *b"PO";
/// An offer to convert: `O` asks for one or is one, `A` accepts and `D` declines one. Behind an `A` stands the rate's version, ten
/// digits; behind the `O` of an answer the version, the reference rate as field 10 writes rates, the mark-up in 1/10,000, five
/// digits, and the second since 1970 from which on it is in force no more, ten digits.
pub(crate) const CONVERSION: [u8; 2] = *b"DC";
/// A new key for PIN blocks under the exchange key, and its check value, in hexadecimal digits.
pub(crate) const PIN_KEY: [u8; 2] = *b"KP";
/// A new key for authentication, likewise.
pub(crate) const MAC_KEY: [u8; 2] = *b"KM";

/// The value of an element; an error when the field is not made of elements.
pub(crate) fn find(field: &[u8], tag: [u8; 2]) -> Result<Option<&[u8]>, ()> {
    let (mut rest, mut found) = (field, None);
    while !rest.is_empty() {
        let (head, after) = rest.split_at_checked(5).ok_or(())?;
        let digits = &head[2..];
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(());
        }
        let length = digits.iter().fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
        let (value, after) = after.split_at_checked(length).ok_or(())?;
        if head[..2] == tag && found.replace(value).is_some() {
            return Err(());
        }
        rest = after;
    }
    Ok(found)
}

/// Adds an element.
pub(crate) fn put(field: &mut Zeroizing<Vec<u8>>, tag: [u8; 2], value: &[u8]) {
    field.extend_from_slice(&tag);
    field.extend_from_slice(format!("{:03}", value.len()).as_bytes());
    field.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against an element that is taken for another, and against lengths that reach beyond the field.
    #[test]
    fn elements_are_found_or_refused() {
        let mut field = Zeroizing::new(Vec::new());
        put(&mut field, NOTES, b"0001000200030004");
        put(&mut field, NEW_PIN, b"");
        assert_eq!(find(&field, NOTES), Ok(Some(&b"0001000200030004"[..])));
        assert_eq!(find(&field, NEW_PIN), Ok(Some(&b""[..])));
        assert_eq!(find(&field, POSTED), Ok(None));
        for wrong in [&b"N"[..], b"NT00", b"NT001", b"NT0a1x", b"NT000NT000", b"NT999x"] {
            assert_eq!(find(wrong, NOTES), Err(()), "{}", wrong.escape_ascii());
        }
    }
}
