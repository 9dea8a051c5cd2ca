//! What PINs are verified against: kept current by what the engine says.

use crate::security::PinReference;
use ringfence_domains::atm::messages::{PinReferenceSet, PinVersion};
use std::collections::HashMap;

/// The version that is named for a card of which nothing is known here: no card has it, so that no try is counted.
pub(crate) const UNKNOWN: PinVersion = PinVersion(u32::MAX);

/// PIN references by the card's token.
#[derive(Default)]
pub(crate) struct References {
    by_token: HashMap<[u8; 16], (PinVersion, [u8; 16])>,
}

impl References {
    /// Takes in what the engine said.
    pub(crate) fn set(&mut self, said: &PinReferenceSet) {
        self.by_token.insert(said.token, (said.pin_version, said.pin_reference));
    }

    /// The reference of a card, if it has one that can be read, and its version.
    pub(crate) fn of(&self, token: &[u8; 16]) -> (PinVersion, Option<PinReference>) {
        match self.by_token.get(token) {
            Some((version, text)) => (*version, PinReference::from_text(text)),
            None => (UNKNOWN, None),
        }
    }
}
