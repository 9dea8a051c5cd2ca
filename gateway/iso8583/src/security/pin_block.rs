//! PIN blocks of ISO 9564-1: a PIN tied to its card, then enciphered.

use super::{Pan, Pin, SecurityError, halves, packed, tdes, tdes_back};
use aes::cipher::{BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _};
use serde::Deserialize;
use zeroize::Zeroizing;

/// How a PIN and a card number become a block.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum PinBlockFormat {
    /// Filled with F, under triple DES.
    #[default]
    Iso0,
    /// Filled with random digits from A to F, under triple DES.
    Iso3,
    /// Filled with A and eight random bytes, under AES.
    Iso4,
}

impl PinBlockFormat {
    /// Bytes of a block.
    #[must_use]
    pub const fn bytes(self) -> usize {
        if matches!(self, Self::Iso4) { 16 } else { 8 }
    }
}

/// The block of `pin` and `pan` under `key`. `fill` is random: of each byte format 3 takes a digit, format 4 takes eight
/// bytes as they are.
///
/// # Errors
/// [`SecurityError::Key`] when the key's length is not one of the cipher's.
pub fn encipher(
    format: PinBlockFormat,
    key: &[u8],
    pin: &Pin,
    pan: &Pan,
    fill: &[u8; 16],
) -> Result<Vec<u8>, SecurityError> {
    let digits = pin.digits().iter().map(|digit| digit - b'0');
    let count = digits.len() as u8;
    let filler = |half: u8| move |byte: &u8| half + byte % 6;
    match format {
        PinBlockFormat::Iso0 => {
            let field = [0, count].into_iter().chain(digits).chain(core::iter::repeat(15));
            under_des(packed(field), key, pan)
        }
        PinBlockFormat::Iso3 => {
            let field = [3, count].into_iter().chain(digits).chain(fill.iter().map(filler(10)));
            under_des(packed(field), key, pan)
        }
        PinBlockFormat::Iso4 => {
            let fixed = [4, count].into_iter().chain(digits).chain(core::iter::repeat(10)).take(16);
            let field: Zeroizing<[u8; 16]> = Zeroizing::new(packed(fixed.chain(halves(&fill[..8]))));
            let mut block = Zeroizing::new(*field);
            aes(key, &mut block, true)?;
            block.iter_mut().zip(pan_field(pan)).for_each(|(byte, other)| *byte ^= other);
            aes(key, &mut block, true)?;
            Ok(block.to_vec())
        }
    }
}

/// The PIN of a block of `pan` under `key`.
///
/// # Errors
/// [`SecurityError::PinBlock`] when it is none of that format, card and key; [`SecurityError::Key`] as [`encipher`].
pub fn decipher(format: PinBlockFormat, key: &[u8], block: &[u8], pan: &Pan) -> Result<Pin, SecurityError> {
    let (control, is_fill): (u8, fn(u8) -> bool) = match format {
        PinBlockFormat::Iso0 => (0, |half| half == 15),
        PinBlockFormat::Iso3 => (3, |half| half > 9),
        PinBlockFormat::Iso4 => (4, |half| half == 10),
    };
    let field = match format {
        PinBlockFormat::Iso0 | PinBlockFormat::Iso3 => from_des(block, key, pan)?,
        PinBlockFormat::Iso4 => {
            let mut block: Zeroizing<[u8; 16]> = Zeroizing::new(block.try_into().map_err(|_| SecurityError::PinBlock)?);
            aes(key, &mut block, false)?;
            block.iter_mut().zip(pan_field(pan)).for_each(|(byte, other)| *byte ^= other);
            aes(key, &mut block, false)?;
            Zeroizing::new(block[..8].to_vec())
        }
    };
    let halves = Zeroizing::new(halves(&field).collect::<Vec<_>>());
    let count = usize::from(halves[1]);
    if halves[0] != control || count > 12 || !halves[2 + count..].iter().all(|half| is_fill(*half)) {
        return Err(SecurityError::PinBlock);
    }
    let digits = Zeroizing::new(halves[2..2 + count].iter().map(|half| b'0' + half).collect::<Vec<_>>());
    Pin::new(&digits).map_err(|_| SecurityError::PinBlock)
}

/// The twelve digits before the check digit, which formats 0 and 3 tie the PIN to.
fn account_field(pan: &Pan) -> [u8; 8] {
    packed([0; 4].into_iter().chain(pan.before_check(12).iter().map(|digit| digit - b'0')))
}

/// How many digits above twelve, then the number, which format 4 ties the PIN to.
fn pan_field(pan: &Pan) -> [u8; 16] {
    let digits = pan.digits();
    packed([digits.len() as u8 - 12].into_iter().chain(digits.iter().map(|digit| digit - b'0')))
}

fn under_des(field: [u8; 8], key: &[u8], pan: &Pan) -> Result<Vec<u8>, SecurityError> {
    let mut block = Zeroizing::new(field);
    block.iter_mut().zip(account_field(pan)).for_each(|(byte, other)| *byte ^= other);
    tdes(key, &mut block)?;
    Ok(block.to_vec())
}

fn from_des(block: &[u8], key: &[u8], pan: &Pan) -> Result<Zeroizing<Vec<u8>>, SecurityError> {
    let mut block: Zeroizing<[u8; 8]> = Zeroizing::new(block.try_into().map_err(|_| SecurityError::PinBlock)?);
    tdes_back(key, &mut block)?;
    block.iter_mut().zip(account_field(pan)).for_each(|(byte, other)| *byte ^= other);
    Ok(Zeroizing::new(block.to_vec()))
}

pub(super) fn aes(key: &[u8], block: &mut [u8; 16], forth: bool) -> Result<(), SecurityError> {
    macro_rules! with {
        ($cipher:ty) => {{
            let cipher = <$cipher>::new_from_slice(key).map_err(|_| SecurityError::Key)?;
            if forth { cipher.encrypt_block(block.into()) } else { cipher.decrypt_block(block.into()) }
        }};
    }
    match key.len() {
        16 => with!(aes::Aes128),
        24 => with!(aes::Aes192),
        32 => with!(aes::Aes256),
        _ => return Err(SecurityError::Key),
    }
    Ok(())
}
