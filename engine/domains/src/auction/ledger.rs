//! The ledger: what advertisers owe, publishers are owed and the house keeps. Every billed event is one entry on each
//! side, so that all accounts together are always zero.

use super::messages::{
    AccountStands, AdvertiserId, AuctionLimits, InvoiceMade, Nanos, Ppm, PublisherId, Reject, WHOLE,
};
use alloc::boxed::Box;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::{Corrupt, Sink, Source};

/// What an advertiser owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct Account {
    /// Billed in all, and invoiced of it.
    billed: Nanos,
    invoiced: Nanos,
    /// Events billed in all, and invoiced of them.
    events: u64,
    events_invoiced: u64,
    invoices: u64,
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
        let account = &mut self.advertisers[advertiser.0 as usize - 1];
        account.billed.0 += amount.0;
        account.events += 1;
        self.publishers[publisher.0 as usize - 1].0 += publisher_amount.0;
        self.house.0 += amount.0 - publisher_amount.0;
        publisher_amount
    }

    /// Invoices what an advertiser was billed since the last invoice; none when it was nothing.
    pub(super) fn invoice(&mut self, advertiser: AdvertiserId) -> Result<Option<InvoiceMade>, Reject> {
        let place = advertiser.0.wrapping_sub(1) as usize;
        let account = self.advertisers.get_mut(place).ok_or(Reject::UnknownAdvertiser)?;
        let (amount, events) = (account.billed.0 - account.invoiced.0, account.events - account.events_invoiced);
        if events == 0 {
            return Ok(None);
        }
        account.invoices += 1;
        (account.invoiced, account.events_invoiced) = (account.billed, account.events);
        let number = account.invoices as u32;
        Ok(Some(InvoiceMade { amount: Nanos(amount), events, advertiser, number }))
    }

    /// Where an advertiser's account stands; none when there is no such advertiser.
    pub(super) fn stands(&self, advertiser: AdvertiserId) -> Option<AccountStands> {
        let account = self.advertisers.get(advertiser.0.wrapping_sub(1) as usize)?;
        let Account { billed, invoiced, events, invoices, .. } = *account;
        Some(AccountStands { billed, invoiced, events, advertiser, invoices: invoices as u32 })
    }

    /// What each advertiser was billed.
    pub(super) fn billed(&self) -> impl Iterator<Item = (AdvertiserId, u64)> {
        (1..).zip(&self.advertisers).map(|(id, account)| (AdvertiserId(id), account.billed.0))
    }

    /// All accounts together: what publishers and the house have, without what advertisers owe.
    pub(super) fn balance(&self) -> i128 {
        let sum = |amounts: &mut dyn Iterator<Item = Nanos>| amounts.map(|amount| i128::from(amount.0)).sum::<i128>();
        let owed = sum(&mut self.advertisers.iter().map(|account| account.billed));
        sum(&mut self.publishers.iter().copied()) + i128::from(self.house.0) - owed
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
            account.invoiced <= account.billed
                && account.events_invoiced <= account.events
                && account.invoices <= account.events_invoiced
        };
        if all.advertisers.iter().all(sound) && all.balance() == 0 {
            Ok(all)
        } else {
            Err(Corrupt("the accounts of the ledger"))
        }
    }
}
