//! The ledger: what advertisers owe, publishers are owed and the house keeps. Every billed event is one entry on each
//! side, so that all accounts together are always zero.

use super::messages::{
    AccountStands, AdvertiserId, AuctionLimits, CreditNoteMade, InvoiceMade, Nanos, Ppm, PublisherId, Reject, WHOLE,
};
use alloc::boxed::Box;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::{Corrupt, Sink, Source};

/// What an advertiser was billed, or credited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct Entries {
    /// In all, and what of it is in a document: an invoice or a credit note.
    amount: Nanos,
    documented: Nanos,
    /// Events in all, and how many are in a document.
    events: u64,
    events_documented: u64,
    documents: u64,
}

impl Entries {
    fn post(&mut self, amount: Nanos) {
        self.amount.0 += amount.0;
        self.events += 1;
    }

    /// Puts what is in no document into the next: its amount, its events and its number. None when there is nothing.
    fn document(&mut self) -> Option<(Nanos, u64, u32)> {
        let (amount, events) = (self.amount.0 - self.documented.0, self.events - self.events_documented);
        if events == 0 {
            return None;
        }
        self.documents += 1;
        (self.documented, self.events_documented) = (self.amount, self.events);
        Some((Nanos(amount), events, self.documents as u32))
    }

    fn is_sound(&self) -> bool {
        self.documented <= self.amount
            && self.events_documented <= self.events
            && self.documents <= self.events_documented
    }
}

/// What an advertiser owes: what it was billed without what it was credited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct Account {
    billed: Entries,
    credited: Entries,
}

/// All accounts.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    advertisers: Box<[Account]>,
    /// What each publisher is owed.
    publishers: Box<[Nanos]>,
    /// What the house keeps.
    house: Nanos,
}

/// The publisher's part of an amount, truncated: what is left of a unit is the house's.
pub(super) fn share_of(amount: Nanos, share: Ppm) -> Nanos {
    Nanos((u128::from(amount.0) * u128::from(share.0) / u128::from(WHOLE)) as u64)
}

impl Ledger {
    pub(super) fn new(limits: &AuctionLimits) -> Self {
        Self {
            advertisers: alloc::vec![Account::zeroed(); limits.advertisers as usize].into(),
            publishers: alloc::vec![Nanos(0); limits.publishers as usize].into(),
            house: Nanos(0),
        }
    }

    /// Posts a billed event; gives the publisher's part of it.
    pub(super) fn bill(
        &mut self,
        advertiser: AdvertiserId,
        publisher: PublisherId,
        amount: Nanos,
        share: Ppm,
    ) -> Nanos {
        let publisher_amount = share_of(amount, share);
        self.advertisers[advertiser.0 as usize - 1].billed.post(amount);
        self.publishers[publisher.0 as usize - 1].0 += publisher_amount.0;
        self.house.0 += amount.0 - publisher_amount.0;
        publisher_amount
    }

    /// Whether an advertiser can be credited so much more.
    pub(super) fn can_credit(&self, advertiser: AdvertiserId, amount: Nanos) -> bool {
        // What campaigns can spend at a time is as much again: together it fits what is billed.
        i64::MAX as u64 - self.advertisers[advertiser.0 as usize - 1].credited.amount.0 >= amount.0
    }

    /// Posts that a billed event is taken back; gives the publisher's part of it.
    pub(super) fn credit(
        &mut self,
        advertiser: AdvertiserId,
        publisher: PublisherId,
        amount: Nanos,
        share: Ppm,
    ) -> Nanos {
        let publisher_amount = share_of(amount, share);
        self.advertisers[advertiser.0 as usize - 1].credited.post(amount);
        self.publishers[publisher.0 as usize - 1].0 -= publisher_amount.0;
        self.house.0 -= amount.0 - publisher_amount.0;
        publisher_amount
    }

    fn account(&mut self, advertiser: AdvertiserId) -> Result<&mut Account, Reject> {
        let place = advertiser.0.wrapping_sub(1) as usize;
        self.advertisers.get_mut(place).ok_or(Reject::UnknownAdvertiser)
    }

    /// Invoices what an advertiser was billed since the last invoice; none when it was nothing.
    pub(super) fn invoice(&mut self, advertiser: AdvertiserId) -> Result<Option<InvoiceMade>, Reject> {
        let made = self.account(advertiser)?.billed.document();
        Ok(made.map(|(amount, events, number)| InvoiceMade { amount, events, advertiser, number }))
    }

    /// Makes a credit note of what an advertiser was credited since the last one; none when it was nothing.
    pub(super) fn credit_note(&mut self, advertiser: AdvertiserId) -> Result<Option<CreditNoteMade>, Reject> {
        let made = self.account(advertiser)?.credited.document();
        Ok(made.map(|(amount, events, number)| CreditNoteMade { amount, events, advertiser, number }))
    }

    /// Where an advertiser's account stands; none when there is no such advertiser.
    pub(super) fn stands(&self, advertiser: AdvertiserId) -> Option<AccountStands> {
        let Account { billed, credited } = self.advertisers.get(advertiser.0.wrapping_sub(1) as usize)?;
        Some(AccountStands {
            billed: billed.amount,
            invoiced: billed.documented,
            credited: credited.amount,
            events: billed.events,
            advertiser,
            invoices: billed.documents as u32,
        })
    }

    /// What each advertiser owes.
    pub(super) fn owed(&self) -> impl Iterator<Item = (AdvertiserId, i128)> {
        (1..).zip(&self.advertisers).map(|(id, Account { billed, credited })| {
            (AdvertiserId(id), i128::from(billed.amount.0) - i128::from(credited.amount.0))
        })
    }

    /// What each publisher is owed.
    pub(super) fn publishers(&self) -> impl Iterator<Item = (PublisherId, i128)> {
        (1..).zip(&self.publishers).map(|(id, amount)| (PublisherId(id), i128::from(amount.0)))
    }

    /// All accounts together: what publishers and the house have, without what advertisers owe.
    pub(super) fn balance(&self) -> i128 {
        let owed: i128 = self.owed().map(|(_, owed)| owed).sum();
        let publishers: i128 = self.publishers().map(|(_, amount)| amount).sum();
        publishers + i128::from(self.house.0) - owed
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.values(&self.advertisers);
        sink.values(&self.publishers);
        sink.value(&self.house);
    }

    /// What [`Ledger::save`] wrote; what campaigns spent is checked by [`super::Auction::check`].
    pub(super) fn load(limits: &AuctionLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut all = Self::new(limits);
        source.take(bytemuck::cast_slice_mut(&mut all.advertisers))?;
        source.take(bytemuck::cast_slice_mut(&mut all.publishers))?;
        all.house = source.value()?;
        let sound = |account: &Account| {
            account.billed.is_sound() && account.credited.is_sound() && account.credited.amount.0 <= i64::MAX as u64
        };
        if all.advertisers.iter().all(sound) && all.balance() == 0 {
            Ok(all)
        } else {
            Err(Corrupt("the accounts of the ledger"))
        }
    }
}
