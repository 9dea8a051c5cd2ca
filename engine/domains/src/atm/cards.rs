//! Cards: what their holders may do, and what they did today.

use super::limits::{Limits, Windows};
use super::messages::{
    AccountType, Amount, CardStatus, CardStatusCode, PIN_TRIES, PinReferenceSet, PinVersion, ReplaceCard, ResponseCode,
    SetCard,
};
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::{Full, KeyIndex, Slab};
use ringfence_kernel::state::fold;
use ringfence_kernel::{Corrupt, Sink, Source};

/// In place of an account or a card: none.
pub(super) const NONE: u32 = u32::MAX;

/// One card, in two lines of the cache: what lets a withdrawal be, and then what it is of.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Card {
    pub(super) token: [u8; 16],
    pub(super) limits: Limits,
    pub(super) pin_version: PinVersion,
    pub(super) status: CardStatusCode,
    pub(super) pin_wrong: u8,
    reserved: [u8; 2],
    /// The places of its cheque, its savings and its credit account.
    pub(super) accounts: [u32; 3],
    pub(super) last_four: [u8; 4],
    pub(super) fast_cash: Amount,
    pub(super) pin_reference: [u8; 16],
    reserved_end: [u64; 3],
}

impl Card {
    /// The place of the account of that type, or the code that says that it has none.
    #[inline]
    pub(super) fn account(&self, of: AccountType) -> Result<u32, ResponseCode> {
        let [cheque, savings, credit] = self.accounts;
        let (place, missing) = match of {
            AccountType::Default => {
                (self.accounts.into_iter().find(|place| *place != NONE).unwrap_or(NONE), ResponseCode::NoCheque)
            }
            AccountType::Cheque => (cheque, ResponseCode::NoCheque),
            AccountType::Savings => (savings, ResponseCode::NoSavings),
            AccountType::Credit => (credit, ResponseCode::NotPermitted),
        };
        if place == NONE { Err(missing) } else { Ok(place) }
    }

    /// Whether its PIN is later than that of new terms: of a higher version, or of the same and another. A verdict about a
    /// version is so about one PIN alone.
    pub(super) fn has_later_pin(&self, terms: &SetCard) -> bool {
        self.pin_version > terms.pin_version
            || self.pin_version == terms.pin_version && self.pin_reference != terms.pin_reference
    }

    /// What the gateway is told of its PIN.
    pub(super) fn pin_reference_set(&self) -> PinReferenceSet {
        let Self { token, pin_reference, pin_version, last_four, .. } = *self;
        PinReferenceSet { token, pin_reference, pin_version, last_four }
    }

    /// Why its status declines, if it does.
    #[inline]
    pub(super) fn declines(&self) -> Option<ResponseCode> {
        match self.status.get() {
            CardStatus::Active => None,
            CardStatus::Stolen => Some(ResponseCode::Stolen),
            CardStatus::Lost => Some(ResponseCode::Lost),
            CardStatus::Retained => Some(ResponseCode::RestrictedKeep),
            CardStatus::Blocked => Some(ResponseCode::Restricted),
            CardStatus::Expired => Some(ResponseCode::Expired),
        }
    }
}

/// All cards.
#[derive(Clone, Debug)]
pub(super) struct Cards {
    cards: Slab<Card>,
    by_token: KeyIndex,
}

impl core::ops::Index<u32> for Cards {
    type Output = Card;
    #[inline]
    fn index(&self, index: u32) -> &Card {
        &self.cards[index]
    }
}

impl core::ops::IndexMut<u32> for Cards {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut Card {
        &mut self.cards[index]
    }
}

#[inline]
fn hash(token: &[u8; 16]) -> u64 {
    let [low, high]: [u64; 2] = bytemuck::cast(*token);
    fold(low ^ 0x9e37_79b9_7f4a_7c15, high ^ 0xd6e8_feb8_6659_fd93)
}

impl Cards {
    pub(super) fn new(cards: usize) -> Self {
        Self { cards: Slab::new(cards), by_token: KeyIndex::new(cards) }
    }

    #[inline]
    pub(super) fn find(&self, token: &[u8; 16]) -> Option<u32> {
        self.by_token.get(hash(token), |index| self.cards[index].token == *token)
    }

    /// Which one may have `token`, without looking at it; [`NONE`] when none is seen.
    #[inline]
    pub(super) fn guess(&self, token: &[u8; 16]) -> u32 {
        self.by_token.guess(hash(token))
    }

    fn add(&mut self, card: Card) -> Result<u32, Full> {
        let index = self.cards.insert(card)?;
        self.by_token.insert(hash(&card.token), index).expect("as many keys as cards");
        Ok(index)
    }

    /// Issues the card or changes its terms; gives its place.
    pub(super) fn set(&mut self, terms: &SetCard, accounts: [u32; 3], windows: &mut Windows) -> Result<u32, Full> {
        let index = match self.find(&terms.token) {
            Some(index) => index,
            None => self.add(Card { token: terms.token, ..Card::zeroed() })?,
        };
        let card = &mut self.cards[index];
        if card.pin_version != terms.pin_version {
            card.pin_wrong = 0;
        }
        card.accounts = accounts;
        (card.limits.transaction_max, card.limits.day_max) = (terms.transaction_max, terms.day_max);
        (card.limits.day_count_max, card.pin_version) = (terms.day_count_max, terms.pin_version);
        (card.last_four, card.status) = (terms.last_four, terms.status);
        card.pin_reference = terms.pin_reference;
        windows.set(&mut card.limits, terms.window_ns, terms.window_count_max);
        Ok(index)
    }

    /// Gives all of the card at `index` but its PIN and status to a new one.
    pub(super) fn replace(&mut self, index: u32, by: &ReplaceCard, windows: &mut Windows) -> Result<u32, Full> {
        let old = self.cards[index];
        let (status, pin_wrong) = (CardStatus::Active.into(), 0);
        let ReplaceCard { new_token: token, pin_reference, pin_version, last_four, .. } = *by;
        let new = self.add(Card { token, pin_reference, pin_version, last_four, status, pin_wrong, ..old })?;
        windows.copy(&mut self.cards[new].limits);
        if matches!(old.status.get(), CardStatus::Active | CardStatus::Blocked) {
            self.cards[index].status = CardStatus::Expired.into();
        }
        Ok(new)
    }

    /// All of them, by place.
    pub(super) fn all(&self) -> &[Card] {
        self.cards.entries()
    }

    pub(super) fn len(&self) -> usize {
        self.cards.len()
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        self.cards.save(sink);
    }

    pub(super) fn load(capacity: usize, accounts: usize, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut cards = Self { cards: Slab::load(capacity, source)?, by_token: KeyIndex::new(capacity) };
        if cards.len() != cards.cards.entries().len() {
            return Err(Corrupt("a card that was taken out"));
        }
        for index in 0..cards.len() as u32 {
            let card = cards.cards[index];
            let known = |place: &u32| *place == NONE || (*place as usize) < accounts;
            let sound = card.status.try_get().is_some()
                && card.pin_wrong <= PIN_TRIES
                && (card.reserved, card.reserved_end) == ([0; 2], [0; 3]);
            if !sound || !card.accounts.iter().all(known) || cards.find(&card.token).is_some() {
                return Err(Corrupt("a card"));
            }
            cards.by_token.insert(hash(&card.token), index).expect("as many keys as cards");
        }
        Ok(cards)
    }
}
