//! Saving and loading: one canonical walk. Indexes, flights and windows are built again from what is saved.

use super::Auction;
use super::advertisers::{Advertiser, Advertisers};
use super::buckets::AllBuckets;
use super::budgets::{Budget, Day};
use super::campaigns::Campaigns;
use super::caps::{self, Cap, Caps, Subject};
use super::creatives::Creatives;
use super::currencies::Currencies;
use super::hours::Hours;
use super::ledger::Ledger;
use super::line_items::LineItems;
use super::messages::{AdvertiserId, AuctionLimits, EventKind, LineItemId, PlacementId, UserKey};
use super::names::Names;
use super::placements::{Placement, Placements};
use super::ranking::Ranking;
use super::traffic::Traffic;
use super::wins::{Tally, Win, Wins};
use alloc::collections::BTreeMap;
use ringfence_kernel::{Corrupt, Sink, Source};

impl Auction {
    pub(super) fn write(&self, sink: &mut impl Sink) {
        self.advertisers.save(sink);
        self.campaigns.save(sink);
        self.items.save(sink);
        self.creatives.save(sink);
        self.placements.save(sink);
        self.wins.save(sink);
        self.caps.save(sink);
        self.traffic.save(sink);
        self.hours.save(sink);
        self.names.save(sink);
        self.ledger.save(sink);
        self.currencies.save(sink);
        self.buckets.save(sink);
    }

    pub(super) fn read(limits: &AuctionLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let advertisers = Advertisers::load(limits, source)?;
        let campaigns = Campaigns::load(limits, &advertisers, source)?;
        let mut items = LineItems::load(limits, &campaigns, source)?;
        let auction = Self {
            ranking: Ranking::new(limits.line_items as usize, items.index.words()),
            creatives: Creatives::load(limits, &mut items, source)?,
            items,
            advertisers,
            campaigns,
            placements: Placements::load(limits, source)?,
            wins: Wins::load(limits, source)?,
            caps: Caps::load(limits.counters as usize, source)?,
            traffic: Traffic::load(limits, source)?,
            hours: Hours::load(limits, source)?,
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
            let shown = win.creative.0 == 0
                || self.creatives.get(win.creative).is_some_and(|creative| creative.terms.item == item.terms.item);
            if !shown || (win.user.0 == 0 && self.caps_of(win).next().is_some()) {
                return Err(Corrupt("the creative or the user of a win"));
            }
            let over = win.at.saturating_add(item.terms.window);
            if win.over < over || (win.closed == 0 && win.over > over) {
                return Err(Corrupt("when a win is over"));
            }
            let touches = win.closed == 0 && win.user.0 != 0 && item.terms.has_windows();
            if win.touches != if touches { self.advertiser_of(win.item) } else { AdvertiserId(0) } {
                return Err(Corrupt("whom a win touches"));
            }
            sums.add_win(win, self.campaigns[item.terms.campaign.0 - 1].day(win.at), self.caps_of(win));
        }
        let mut campaigns = BTreeMap::<u32, [u64; 3]>::new();
        for (place, item) in self.items.iter() {
            sums.check_budget(place, &item.budget)?;
            let sum = campaigns.entry(item.terms.campaign.0 - 1).or_default();
            for (sum, part) in sum.iter_mut().zip([item.budget.spent, item.budget.held, item.budget.used]) {
                *sum = sum.checked_add(part.0).ok_or(Corrupt("what line items spent"))?;
            }
        }
        let mut advertisers = BTreeMap::<AdvertiserId, [u64; 2]>::new();
        for (place, campaign) in self.campaigns.iter() {
            let [spent, held, _] = campaigns.get(&place).copied().unwrap_or_default();
            if (campaign.budget.spent.0, campaign.budget.held.0) != (spent, held) || !campaign.budget.is_kept() {
                return Err(Corrupt("what a campaign spent"));
            }
            // Campaigns promise no more than a ledger holds.
            let sum = advertisers.entry(campaign.terms.advertiser).or_default();
            *sum = [sum[0] + spent, sum[1] + held];
        }
        let sum_of = |advertiser| advertisers.get(&advertiser).copied().unwrap_or_default();
        let kept = |Advertiser { terms, budget }: &Advertiser| {
            [budget.spent.0, budget.held.0] == sum_of(terms.advertiser) && budget.is_kept()
        };
        if !self.advertisers.iter().all(kept) {
            return Err(Corrupt("what an advertiser spent"));
        }
        let spent = |(advertiser, owed)| owed == i128::from(sum_of(advertiser)[0]);
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
        self.check_hours()?;
        self.check_caps(&sums)
    }

    /// Hours add up to what line items and placements counted, while none is forgotten.
    fn check_hours(&self) -> Result<(), Corrupt> {
        let Some(sums) = self.hours.sums() else { return Ok(()) };
        let agrees = |item: LineItemId, placement: PlacementId, tally: &Tally| {
            let Tally { wins, impressions, clicks, conversions, invalid, .. } = *tally;
            let sum = sums.get(&(item, placement)).copied().unwrap_or_default();
            // What has 32 bits counts no further than these.
            let counted = [wins, impressions, clicks, conversions, invalid.into()];
            sum.iter().zip(counted).all(|(sum, count)| *sum == count || count.min(*sum) >= u64::from(u32::MAX))
        };
        let items = self.items.iter().all(|(_, item)| agrees(item.terms.item, PlacementId(0), &item.tally));
        let known = |placement: &Placement| agrees(LineItemId(0), placement.terms.placement, &placement.tally);
        if items && self.placements.iter().all(known) { Ok(()) } else { Err(Corrupt("what hours add up to")) }
    }

    fn check_caps(&self, sums: &Sums) -> Result<(), Corrupt> {
        for (user, subject, period, count) in self.caps.iter() {
            let cap = self.cap(subject).filter(|cap| !cap.is_none()).ok_or(Corrupt("what a counter counts"))?;
            let waiting = sums.users.get(&(user, subject, period)).copied().unwrap_or(0);
            if user.0 == 0 || count > cap.most || count < waiting {
                return Err(Corrupt("a counter of a cap"));
            }
        }
        Ok(())
    }

    /// The cap of what is counted, when there is such a thing.
    fn cap(&self, subject: Subject) -> Option<Cap> {
        let (item, campaign, creative) = subject.which();
        let of_item = item.and_then(|id| self.items.place(id).ok()).map(|place| Cap::of_item(&self.items[place].terms));
        let of_campaign = campaign
            .and_then(|id| self.campaigns.place(id).ok())
            .map(|place| Cap::of_campaign(&self.campaigns[place].terms));
        let of_creative = creative.and_then(|id| self.creatives.get(id)).map(|known| Cap::of_creative(&known.terms));
        of_item.or(of_campaign).or(of_creative)
    }
}

/// What wins that wait hold, by line item; and how often they count for caps.
#[derive(Default)]
struct Sums {
    held: BTreeMap<u32, u64>,
    /// By day too, billed ones included.
    used: BTreeMap<(u32, Day), u64>,
    users: BTreeMap<(UserKey, Subject, u32), u32>,
}

impl Sums {
    fn add_win(&mut self, win: &Win, day: Day, caps: impl Iterator<Item = Cap>) {
        let add = |sum: &mut u64| *sum = sum.saturating_add(win.price.0);
        if win.billed == 0 {
            add(self.held.entry(win.item).or_default());
        }
        add(self.used.entry((win.item, day)).or_default());
        // What was not shown before it was over counts no more.
        for cap in caps.filter(|_| win.closed == 0 || win.saw(EventKind::Impression)) {
            *self.users.entry((win.user, cap.subject, caps::period(cap.period, win.at))).or_default() += 1;
        }
    }

    fn check_budget(&self, place: u32, budget: &Budget) -> Result<(), Corrupt> {
        let held = self.held.get(&place).copied().unwrap_or(0);
        let used = self.used.get(&(place, budget.day)).copied().unwrap_or(0);
        let kept = budget.is_kept() && held == budget.held.0 && used <= budget.used.0;
        if kept { Ok(()) } else { Err(Corrupt("what a line item spent")) }
    }
}
