//! The keys in force: the host's own, and those that terminals were given.

use super::settings::{Acquirer, KeyText, Settings};
use crate::security::{NewKey, Purpose, WrappedKey};
use ringfence_domains::atm::messages::TerminalId;
use std::collections::HashMap;
use std::sync::Arc;

/// What a terminal and this host have in common.
pub(crate) struct TerminalKeys {
    pub(crate) pin_block: WrappedKey,
    pub(crate) mac: Arc<WrappedKey>,
}

impl TerminalKeys {
    pub(crate) fn new(pin_block: &KeyText, mac: &KeyText) -> Self {
        Self { pin_block: key(Purpose::PinBlock, pin_block), mac: Arc::new(key(Purpose::Mac, mac)) }
    }
}

fn key(purpose: Purpose, text: &KeyText) -> WrappedKey {
    WrappedKey { purpose, bytes: text.0.clone() }
}

/// All keys, each wrapped for its purpose.
pub(crate) struct KeyRing {
    pub(crate) token: WrappedKey,
    pub(crate) pin_verification: WrappedKey,
    pub(crate) exchange: WrappedKey,
    pub(crate) cvv: Option<WrappedKey>,
    pub(crate) cover: Option<WrappedKey>,
    /// Of a terminal that was given none.
    first: TerminalKeys,
    by_terminal: HashMap<TerminalId, TerminalKeys>,
    /// Those that terminals were given and have not used yet: the ones before are in force until then.
    next: HashMap<TerminalId, TerminalKeys>,
}

impl KeyRing {
    /// The keys of the settings.
    pub(crate) fn new(settings: &Settings) -> Self {
        let keys = &settings.keys;
        let of_acquirer = |acquirer: &Acquirer| {
            (TerminalId(acquirer.terminal), TerminalKeys::new(&acquirer.pin_block, &acquirer.mac))
        };
        Self {
            cover: keys.cover.as_ref().map(|text| key(Purpose::Cover, text)),
            token: key(Purpose::Token, &keys.token),
            pin_verification: key(Purpose::PinVerification, &keys.pin_verification),
            exchange: key(Purpose::Exchange, &keys.exchange),
            cvv: keys.cvv.as_ref().map(|text| key(Purpose::Cvv, text)),
            first: TerminalKeys::new(&keys.pin_block, &keys.mac),
            by_terminal: settings.acquirers.values().map(of_acquirer).collect(),
            next: HashMap::new(),
        }
    }

    /// Those of a terminal, or of one that does not say who it is.
    pub(crate) fn of(&self, terminal: Option<TerminalId>) -> &TerminalKeys {
        terminal.and_then(|terminal| self.by_terminal.get(&terminal)).unwrap_or(&self.first)
    }

    /// Those that a terminal was given and has not used yet.
    pub(crate) fn next_of(&self, terminal: TerminalId) -> Option<&TerminalKeys> {
        self.next.get(&terminal)
    }

    /// A terminal was given others.
    pub(crate) fn give(&mut self, terminal: TerminalId, pin_block: NewKey, mac: NewKey) {
        let keys = TerminalKeys { pin_block: pin_block.wrapped, mac: Arc::new(mac.wrapped) };
        self.next.insert(terminal, keys);
    }

    /// The keys that a terminal was given last are in force.
    pub(crate) fn begin(&mut self, terminal: TerminalId) {
        if let Some(keys) = self.next.remove(&terminal) {
            self.by_terminal.insert(terminal, keys);
        }
    }
}
