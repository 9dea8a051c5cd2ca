//! Cards: what their holders may do, and what they did today.

use super::messages::{
    AccountType, Amount, BusinessDate, CardStatus, CardStatusCode, PIN_TRIES, PinReferenceSet, PinVersion, ReplaceCard,
    ResponseCode, SetCard, WINDOW_MAX,
};
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::{Full, KeyIndex, Slab};
use ringfence_kernel::state::fold;
use ringfence_kernel::{Corrupt, Sink, Source, Timestamp};

/// In place of an account or a card: none.
pub(super) const NONE: u32 = u32::MAX;

/// One card.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Card {
    pub(super) token: [u8; 16],
    pub(super) pin_reference: [u8; 16],
    pub(super) transaction_max: Amount,
    day_max: Amount,
    /// What was withdrawn or is held on `date`.
    day_amount: u64,
    window_ns: u64,
    /// When the latest withdrawals were authorized, and which place comes next.
    recent: [Timestamp; WINDOW_MAX],
    next: u32,
    window_count_max: u32,
    day_count_max: u32,
    day_count: u32,
    date: BusinessDate,
    pub(super) pin_version: PinVersion,
    /// The places of its cheque, its savings and its credit account.
    pub(super) accounts: [u32; 3],
    pub(super) last_four: [u8; 4],
    pub(super) status: CardStatusCode,
    pub(super) pin_wrong: u8,
    reserved: [u8; 6],
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

    /// Why its limits decline `amount` on `date`, if they do.
    #[inline]
    pub(super) fn exceeds(&self, amount: Amount, date: BusinessDate, now: Timestamp) -> Option<ResponseCode> {
        let (sum, count) = if self.date == date { (self.day_amount, self.day_count) } else { (0, 0) };
        match () {
            () if amount > self.transaction_max => Some(ResponseCode::ExceedsAmount),
            () if sum.saturating_add(amount.0) > self.day_max.0 => Some(ResponseCode::ExceedsAmount),
            () if count >= self.day_count_max => Some(ResponseCode::ExceedsCount),
            () if self.is_window_full(now) => Some(ResponseCode::ExceedsCount),
            () => None,
        }
    }

    /// Whether the withdrawal that came as many ago as the limit is still within the window that ends now.
    fn is_window_full(&self, now: Timestamp) -> bool {
        let back = self.window_count_max as usize;
        let place = (self.next as usize + WINDOW_MAX - back) % WINDOW_MAX;
        let since = self.recent[place];
        back > 0 && since != Timestamp(0) && since.saturating_add(self.window_ns) > now
    }

    /// Remembers for the window that a withdrawal is authorized now.
    #[inline]
    pub(super) fn remember(&mut self, now: Timestamp) {
        if self.window_count_max > 0 {
            self.recent[self.next as usize] = now;
            self.next = (self.next + 1) % WINDOW_MAX as u32;
        }
    }

    /// Counts `amount` on `date`.
    #[inline]
    pub(super) fn count(&mut self, amount: Amount, date: BusinessDate) {
        if self.date != date {
            (self.date, self.day_amount, self.day_count) = (date, 0, 0);
        }
        self.day_amount += amount.0;
        self.day_count += 1;
    }

    /// Whether `amount` in `count` withdrawals is among what it counted on `date`, or that date is over.
    pub(super) fn has_counted(&self, amount: u64, count: u32, date: BusinessDate) -> bool {
        self.date != date || self.day_amount >= amount && self.day_count >= count
    }

    /// Counts again what was given back on `date` and came out after all.
    pub(super) fn count_late(&mut self, amount: Amount, date: BusinessDate) {
        if self.date == date {
            self.count(amount, date);
        }
    }

    /// Gives back what of `amount`, counted on `date`, was not dispensed.
    #[inline]
    pub(super) fn give_back(&mut self, amount: Amount, dispensed: Amount, date: BusinessDate) {
        if self.date == date {
            self.day_amount -= amount.0 - dispensed.0;
            self.day_count -= u32::from(dispensed.0 == 0);
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

    fn add(&mut self, card: Card) -> Result<u32, Full> {
        let index = self.cards.insert(card)?;
        self.by_token.insert(hash(&card.token), index).expect("as many keys as cards");
        Ok(index)
    }

    /// Issues the card or changes its terms; gives its place.
    pub(super) fn set(&mut self, terms: &SetCard, accounts: [u32; 3]) -> Result<u32, Full> {
        let index = match self.find(&terms.token) {
            Some(index) => index,
            None => self.add(Card { token: terms.token, ..Card::zeroed() })?,
        };
        let card = &mut self.cards[index];
        if card.pin_version != terms.pin_version {
            card.pin_wrong = 0;
        }
        card.accounts = accounts;
        (card.transaction_max, card.day_max) = (terms.transaction_max, terms.day_max);
        (card.day_count_max, card.pin_version) = (terms.day_count_max, terms.pin_version);
        (card.last_four, card.status) = (terms.last_four, terms.status);
        card.pin_reference = terms.pin_reference;
        if terms.window_count_max == 0 {
            (card.recent, card.next) = Default::default();
        }
        (card.window_ns, card.window_count_max) = (terms.window_ns, terms.window_count_max);
        Ok(index)
    }

    /// Gives all of the card at `index` but its PIN and status to a new one.
    pub(super) fn replace(&mut self, index: u32, by: &ReplaceCard) -> Result<u32, Full> {
        let old = self.cards[index];
        let (status, pin_wrong) = (CardStatus::Active.into(), 0);
        let ReplaceCard { new_token: token, pin_reference, pin_version, last_four, .. } = *by;
        let new = self.add(Card { token, pin_reference, pin_version, last_four, status, pin_wrong, ..old })?;
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
                && card.reserved == [0; 6]
                && (card.next as usize) < WINDOW_MAX
                && card.window_count_max as usize <= WINDOW_MAX;
            if !sound || !card.accounts.iter().all(known) || cards.find(&card.token).is_some() {
                return Err(Corrupt("a card"));
            }
            cards.by_token.insert(hash(&card.token), index).expect("as many keys as cards");
        }
        Ok(cards)
    }
}
