//! What a security module does for a gateway: PIN blocks, PIN references, CVV and message authentication.
//!
//! [`SecurityModule`] is what a gateway asks, and what a hardware module can implement: keys go in and out only wrapped
//! under its master key, PINs only as blocks. [`SoftwareModule`] does the same in this process, for tests and
//! demonstrations: its master key is in memory.
//!
//! Ciphers are RustCrypto's; this module only composes them as the industry's standards say. Comparisons take the same
//! time whatever they find; PINs, keys and blocks are cleared when they are dropped.

mod cvv;
mod mac;
mod module;
mod pin;
mod pin_block;
mod reference;

pub use cvv::cvv;
pub use mac::{Padding, aes_cmac, retail_mac};
pub use module::{CardData, NewKey, PinUnderKey, Purpose, SecurityModule, SoftwareModule, WrappedKey};
pub use pin::{Pan, Pin};
use pin_block::aes as aes_block;
pub use pin_block::{PinBlockFormat, decipher, encipher};
pub use reference::{Decimalization, PinReference, ibm3624_offset, visa_pvv};

/// Why a security module refuses. It never says what the secret was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecurityError {
    /// A PIN is 4 to 12 digits.
    #[error("a PIN that is not 4 to 12 digits")]
    Pin,
    /// A card number is 12 to 19 digits.
    #[error("a card number that is not 12 to 19 digits")]
    Pan,
    /// The block is not as its format says: a wrong key, another card, or damage.
    #[error("a PIN block that is not of its format")]
    PinBlock,
    /// A key has a length that its cipher does not have.
    #[error("a key of a length that its cipher does not have")]
    Key,
    /// The key was not wrapped by this module, or for another purpose.
    #[error("a key that was not wrapped here for this purpose")]
    Unwrap,
    /// Another argument is not digits, or not as many as it should be.
    #[error("{0} is not as many digits as it should be")]
    Digits(&'static str),
    /// The operating system gives no random numbers.
    #[error("no random numbers")]
    Random,
}

/// Three-key, two-key or one-key DES, as an array of eight-byte keys says.
fn tdes(key: &[u8], block: &mut [u8; 8]) -> Result<(), SecurityError> {
    use des::cipher::{BlockCipherEncrypt as _, KeyInit as _};
    match key.len() {
        8 => des::Des::new_from_slice(key).map_err(|_| SecurityError::Key)?.encrypt_block(block.into()),
        16 => des::TdesEde2::new_from_slice(key).map_err(|_| SecurityError::Key)?.encrypt_block(block.into()),
        24 => des::TdesEde3::new_from_slice(key).map_err(|_| SecurityError::Key)?.encrypt_block(block.into()),
        _ => return Err(SecurityError::Key),
    }
    Ok(())
}

/// As [`tdes`], the other way.
fn tdes_back(key: &[u8], block: &mut [u8; 8]) -> Result<(), SecurityError> {
    use des::cipher::{BlockCipherDecrypt as _, KeyInit as _};
    match key.len() {
        8 => des::Des::new_from_slice(key).map_err(|_| SecurityError::Key)?.decrypt_block(block.into()),
        16 => des::TdesEde2::new_from_slice(key).map_err(|_| SecurityError::Key)?.decrypt_block(block.into()),
        24 => des::TdesEde3::new_from_slice(key).map_err(|_| SecurityError::Key)?.decrypt_block(block.into()),
        _ => return Err(SecurityError::Key),
    }
    Ok(())
}

/// Packs half-bytes, two a byte.
fn packed<const N: usize>(halves: impl Iterator<Item = u8>) -> [u8; N] {
    let mut bytes = [0; N];
    for (at, half) in halves.take(2 * N).enumerate() {
        bytes[at / 2] |= if at % 2 == 0 { half << 4 } else { half };
    }
    bytes
}

/// The half-bytes of `bytes`.
fn halves(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15])
}

/// The first `count` decimal digits of `bytes`: those that are digits, left to right, then the others less ten.
fn decimalized(bytes: &[u8], count: usize) -> Vec<u8> {
    let digits = halves(bytes).filter(|half| *half < 10);
    let others = halves(bytes).filter(|half| *half > 9).map(|half| half - 10);
    digits.chain(others).take(count).map(|digit| b'0' + digit).collect()
}
