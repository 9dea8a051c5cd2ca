//! PINs and card numbers, which are cleared when they are dropped and never printed.

use super::SecurityError;
use zeroize::Zeroizing;

/// A PIN: 4 to 12 digits.
#[derive(Clone)]
pub struct Pin(Zeroizing<Vec<u8>>);

/// A card number: 12 to 19 digits.
#[derive(Clone)]
pub struct Pan(Zeroizing<Vec<u8>>);

impl core::fmt::Debug for Pin {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Pin")
    }
}

impl core::fmt::Debug for Pan {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Pan")
    }
}

impl Pin {
    /// The PIN of these digits.
    ///
    /// # Errors
    /// [`SecurityError::Pin`] when they are no PIN.
    pub fn new(digits: &[u8]) -> Result<Self, SecurityError> {
        let is_pin = (4..=12).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
        if is_pin { Ok(Self(Zeroizing::new(digits.to_vec()))) } else { Err(SecurityError::Pin) }
    }

    /// Its digits, as text.
    pub(crate) fn digits(&self) -> &[u8] {
        &self.0
    }
}

impl Pan {
    /// The card number of these digits.
    ///
    /// # Errors
    /// [`SecurityError::Pan`] when they are no card number.
    pub fn new(digits: &[u8]) -> Result<Self, SecurityError> {
        let is_pan = (12..=19).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
        if is_pan { Ok(Self(Zeroizing::new(digits.to_vec()))) } else { Err(SecurityError::Pan) }
    }

    /// Its digits, as text.
    pub(crate) fn digits(&self) -> &[u8] {
        &self.0
    }

    /// The last `count` digits before the check digit; of a number that is too short, those that there are.
    pub(crate) fn before_check(&self, count: usize) -> &[u8] {
        let end = self.0.len() - 1;
        &self.0[end.saturating_sub(count)..end]
    }
}
