//! What PINs are verified against: kept current by what the engine says.

use crate::security::PinReference;
use ringfence_client::kernel::Topic;
use ringfence_domains::atm::messages::{PinReferenceSet, PinVersion};
use std::collections::HashMap;

/// The version that is named for a card of which nothing is known here: no card has it, so that no try is counted.
pub(crate) const UNKNOWN: PinVersion = PinVersion(u32::MAX);

/// PIN references by the card's token.
pub(crate) struct References {
    by_token: HashMap<[u8; 16], (PinVersion, [u8; 16])>,
    /// The topics that are not known in full yet; none before the first is asked for.
    awaited: Vec<Topic>,
}

impl References {
    /// Takes in what the engine said.
    pub(crate) fn set(&mut self, said: &PinReferenceSet) {
        self.by_token.insert(said.token, (said.pin_version, said.pin_reference));
    }

    /// Nothing is known before these topics are.
    pub(crate) fn awaiting(topics: Vec<Topic>) -> Self {
        Self { by_token: HashMap::new(), awaited: topics }
    }

    /// All of a topic has been said.
    pub(crate) fn complete(&mut self, topic: Topic) {
        self.awaited.retain(|awaited| *awaited != topic);
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.awaited.is_empty()
    }

    /// The reference of a card, if it has one that can be read, and its version.
    pub(crate) fn of(&self, token: &[u8; 16]) -> (PinVersion, Option<PinReference>) {
        match self.by_token.get(token) {
            Some((version, text)) => (*version, PinReference::from_text(text)),
            None => (UNKNOWN, None),
        }
    }
}
