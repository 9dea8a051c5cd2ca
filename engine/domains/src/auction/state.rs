//! Saving and loading: one canonical walk. Indexes, flights and windows are built again from what is saved.

use super::Auction;
use super::buckets::AllBuckets;
use super::budgets::{Budget, Day};
use super::campaigns::Campaigns;
use super::caps::Caps;
use super::currencies::Currencies;
use super::holding::Ranking;
use super::ledger::Ledger;
use super::line_items::LineItems;
use super::messages::{AdvertiserId, AuctionLimits, CapPeriod, PlacementId, UserKey};
use super::names::Names;
use super::placements::{Placement, Placements};
use super::wins::{Win, Wins};
use alloc::collections::BTreeMap;
use ringfence_kernel::{Corrupt, Sink, Source};

impl Auction {
    pub(super) fn write(&self, sink: &mut impl Sink) {
        self.campaigns.save(sink);
        self.items.save(sink);
        self.placements.save(sink);
        self.wins.save(sink);
        self.caps.save(sink);
        self.names.save(sink);
        self.ledger.save(sink);
        self.currencies.save(sink);
        self.buckets.save(sink);
    }

    pub(super) fn read(limits: &AuctionLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let campaigns = Campaigns::load(limits, source)?;
        let items = LineItems::load(limits, &campaigns, source)?;
        let auction = Self {
            ranking: Ranking::new(limits.line_items as usize, items.index.words()),
            items,
            campaigns,
            placements: Placements::load(limits, source)?,
            wins: Wins::load(limits, source)?,
            caps: Caps::load(limits, source)?,
            names: Names::load(limits, source)?,
            ledger: Ledger::load(limits, source)?,
            currencies: Currencies::load(limits, source)?,
            buckets: AllBuckets::load(limits, source)?,
        };
        let known = |number: u8| number == 0 || auction.buckets.get(number).is_some();
        if !auction.placements.iter().all(|placement| known(placement.terms.buckets)) {
            return Err(Corrupt("the price buckets of a placement"));
        }
        auction.check()?;
        Ok(auction)
    }

    /// What must hold after every command: budgets are kept at every level, what wins hold is what budgets hold, a
    /// campaign spent what its line items did, the ledger has what campaigns spent and is zero, no cap is overstepped.
    pub(super) fn check(&self) -> Result<(), Corrupt> {
        let mut sums = Sums::default();
        for win in self.wins.iter() {
            let item = self.items.get(win.item).ok_or(Corrupt("the line item of a win"))?;
            self.placements.place(PlacementId(win.placement + 1)).map_err(|_| Corrupt("the placement of a win"))?;
            if (item.terms.cap_period.get() != CapPeriod::None) != (win.user.0 != 0) {
                return Err(Corrupt("the user of a win"));
            }
            sums.add_win(win);
        }
        let mut campaigns = BTreeMap::<u32, [u64; 3]>::new();
        for (place, item) in self.items.iter() {
            sums.check_budget(place, &item.budget)?;
            let sum = campaigns.entry(item.terms.campaign.0 - 1).or_default();
            for (sum, part) in sum.iter_mut().zip([item.budget.spent, item.budget.held, item.budget.used]) {
                *sum = sum.checked_add(part.0).ok_or(Corrupt("what line items spent"))?;
            }
        }
        let mut advertisers = BTreeMap::<AdvertiserId, u64>::new();
        for (place, campaign) in self.campaigns.iter() {
            let [spent, held, _] = campaigns.get(&place).copied().unwrap_or_default();
            if (campaign.budget.spent.0, campaign.budget.held.0) != (spent, held) || !campaign.budget.is_kept() {
                return Err(Corrupt("what a campaign spent"));
            }
            // Campaigns promise no more than a ledger holds.
            *advertisers.entry(campaign.terms.advertiser).or_default() += spent;
        }
        let spent = |(advertiser, owed)| owed == i128::from(advertisers.get(&advertiser).copied().unwrap_or(0));
        if !self.ledger.owed().all(spent) || self.ledger.balance() != 0 {
            return Err(Corrupt("the accounts of the ledger"));
        }
        let placements =
            |of: fn(&Placement) -> u64| self.placements.iter().map(|placement| i128::from(of(placement))).sum::<i128>();
        let owed: i128 = self.ledger.owed().map(|(_, owed)| owed).sum();
        let publishers = placements(|placement| placement.publisher_amount.0);
        if placements(|placement| placement.billed.0) != owed || publishers != self.ledger.publishers() {
            return Err(Corrupt("what placements were billed"));
        }
        self.check_caps(&sums)
    }

    fn check_caps(&self, sums: &Sums) -> Result<(), Corrupt> {
        for (user, place, period, count) in self.caps.iter() {
            let item = self.items.get(place).ok_or(Corrupt("the line item of a counter"))?;
            let waiting = sums.users.get(&(user, place, period)).copied().unwrap_or(0);
            if user.0 == 0 || count > item.terms.cap || count < waiting {
                return Err(Corrupt("a counter of a cap"));
            }
        }
        Ok(())
    }
}

/// What wins that wait hold, by line item; and how often they count for caps.
#[derive(Default)]
struct Sums {
    held: BTreeMap<u32, u64>,
    /// By day too, billed ones included.
    used: BTreeMap<(u32, Day), u64>,
    users: BTreeMap<(UserKey, u32, u32), u32>,
}

impl Sums {
    fn add_win(&mut self, win: &Win) {
        let add = |sum: &mut u64| *sum = sum.saturating_add(win.price.0);
        if win.billed == 0 {
            add(self.held.entry(win.item).or_default());
        }
        add(self.used.entry((win.item, win.day)).or_default());
        if win.user.0 != 0 {
            *self.users.entry((win.user, win.item, win.period)).or_default() += 1;
        }
    }

    fn check_budget(&self, place: u32, budget: &Budget) -> Result<(), Corrupt> {
        let held = self.held.get(&place).copied().unwrap_or(0);
        let used = self.used.get(&(place, budget.day)).copied().unwrap_or(0);
        let kept = budget.is_kept() && held == budget.held.0 && used <= budget.used.0;
        if kept { Ok(()) } else { Err(Corrupt("what a line item spent")) }
    }
}
