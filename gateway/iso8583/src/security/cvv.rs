//! Card verification values.

use super::{Pan, SecurityError, decimalized, packed, tdes};

/// The value of a card's number, expiry (four digits) and service code (three digits) under a two-part key.
///
/// # Errors
/// [`SecurityError::Digits`] when expiry or service code are none, [`SecurityError::Key`] when the key is not of 16 bytes.
pub fn cvv(key: &[u8], pan: &Pan, expiry: &[u8], service: &[u8]) -> Result<[u8; 3], SecurityError> {
    let is_digits = |text: &[u8], count: usize| text.len() == count && text.iter().all(u8::is_ascii_digit);
    if !is_digits(expiry, 4) {
        return Err(SecurityError::Digits("the expiry"));
    }
    if !is_digits(service, 3) {
        return Err(SecurityError::Digits("the service code"));
    }
    let (first, _) = key.split_at_checked(8).filter(|_| key.len() == 16).ok_or(SecurityError::Key)?;
    let text = pan.digits().iter().chain(expiry).chain(service);
    let data: [u8; 16] = packed(text.map(|digit| digit - b'0'));
    let mut block: [u8; 8] = data[..8].try_into().expect("half of it");
    tdes(first, &mut block)?;
    block.iter_mut().zip(&data[8..]).for_each(|(byte, other)| *byte ^= other);
    tdes(key, &mut block)?;
    Ok(decimalized(&block, 3).try_into().expect("sixteen half-bytes give three digits"))
}
