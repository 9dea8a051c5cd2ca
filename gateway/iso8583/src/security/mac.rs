//! Message authentication.

use super::{SecurityError, tdes, tdes_back};
use cmac::{Cmac, KeyInit as _, Mac as _};

/// How a message is filled up to whole blocks (ISO/IEC 9797-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Method 1: with zeros, if it needs any.
    Zeros,
    /// Method 2: a one bit, then zeros.
    OneAndZeros,
}

/// The MAC of ISO/IEC 9797-1, algorithm 3, with DES: what ISO 8583 networks call a retail MAC. The key has two parts.
///
/// # Errors
/// [`SecurityError::Key`] when the key is not of 16 bytes.
pub fn retail_mac(key: &[u8], message: &[u8], padding: Padding) -> Result<[u8; 8], SecurityError> {
    let (first, second) = key.split_at_checked(8).filter(|_| key.len() == 16).ok_or(SecurityError::Key)?;
    let mut padded = message.to_vec();
    if padding == Padding::OneAndZeros {
        padded.push(0x80);
    }
    padded.resize(padded.len().next_multiple_of(8).max(8), 0);
    let mut mac = [0; 8];
    for block in padded.chunks_exact(8) {
        mac.iter_mut().zip(block).for_each(|(byte, other)| *byte ^= other);
        tdes(first, &mut mac)?;
    }
    tdes_back(second, &mut mac)?;
    tdes(first, &mut mac)?;
    Ok(mac)
}

/// The CMAC of NIST SP 800-38B with AES-128 or AES-256.
///
/// # Errors
/// [`SecurityError::Key`] when the key is not of 16 or 32 bytes.
pub fn aes_cmac(key: &[u8], message: &[u8]) -> Result<[u8; 16], SecurityError> {
    macro_rules! with {
        ($cipher:ty) => {{
            let mut mac = Cmac::<$cipher>::new_from_slice(key).map_err(|_| SecurityError::Key)?;
            mac.update(message);
            Ok(mac.finalize().into_bytes().into())
        }};
    }
    match key.len() {
        16 => with!(aes::Aes128),
        32 => with!(aes::Aes256),
        _ => Err(SecurityError::Key),
    }
}
