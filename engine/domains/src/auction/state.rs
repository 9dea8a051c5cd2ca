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
use super::ledger::{Ledger, share_of};
use super::line_items::LineItems;
use super::messages::{AdvertiserId, AuctionLimits, EventKind, LineItemId, PlacementId, PublisherId, UserKey};
use super::names::Names;
use super::placements::{Placement, Placements};
use super::ranking::Ranking;
use super::recording::billable;
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
            ranking: Ranking::new(limits.line_items as usize, items.index.blocks()),
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
            // What was billed, and only that, saw the event that its line item pays for.
            if (win.billed == 1) != win.saw(billable(item.terms.model.get())) {
                return Err(Corrupt("whether a win was billed"));
            }
            sums.add_win(win, self.caps_of(win));
            self.add_levels(win, item.terms.campaign.0 - 1, &mut sums);
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
            let kept = sums.is_kept(Level::Campaign(place), &campaign.budget);
            if (campaign.budget.spent.0, campaign.budget.held.0) != (spent, held) || !kept {
                return Err(Corrupt("what a campaign spent"));
            }
            // Campaigns promise no more than a ledger holds.
            let sum = advertisers.entry(campaign.terms.advertiser).or_default();
            *sum = [sum[0] + spent, sum[1] + held];
        }
        let sum_of = |advertiser| advertisers.get(&advertiser).copied().unwrap_or_default();
        let kept = |Advertiser { terms, budget }: &Advertiser| {
            [budget.spent.0, budget.held.0] == sum_of(terms.advertiser)
                && sums.is_kept(Level::Advertiser(terms.advertiser), budget)
        };
        if !self.advertisers.iter().all(kept) {
            return Err(Corrupt("what an advertiser spent"));
        }
        let spent = |(advertiser, owed)| owed == i128::from(sum_of(advertiser)[0]);
        if !self.ledger.owed().all(spent) || self.ledger.balance() != 0 {
            return Err(Corrupt("the accounts of the ledger"));
        }
        self.check_placements(&sums)?;
        self.check_hours()?;
        self.check_caps(&sums)
    }

    /// Placements were billed what advertisers owe, each no less than what its wins can take back, and publishers are owed
    /// what their placements are.
    fn check_placements(&self, sums: &Sums) -> Result<(), Corrupt> {
        let (mut billed, mut publishers) = (0, BTreeMap::<PublisherId, i128>::new());
        for placement in self.placements.iter() {
            let [amount, part] = sums.placements.get(&placement.terms.placement).copied().unwrap_or_default();
            let (of_publisher, all) = (placement.publisher_amount.0, placement.billed.0);
            if of_publisher < part || all.checked_sub(of_publisher).is_none_or(|house| house < amount - part) {
                return Err(Corrupt("what a placement was billed"));
            }
            billed += i128::from(all);
            *publishers.entry(placement.terms.publisher).or_default() += i128::from(of_publisher);
        }
        let owed: i128 = self.ledger.owed().map(|(_, owed)| owed).sum();
        let is_owed = |(publisher, amount)| amount == publishers.get(&publisher).copied().unwrap_or(0);
        let agree = billed == owed && self.ledger.publishers().all(is_owed);
        if agree { Ok(()) } else { Err(Corrupt("what placements were billed")) }
    }

    /// What a win used of the day's budgets of all levels, and what of billed ones can be taken back.
    fn add_levels(&self, win: &Win, place: u32, sums: &mut Sums) {
        let campaign = &self.campaigns[place];
        let mut add = |level: Level, day: Day| {
            let used = sums.used.entry((level, day)).or_default();
            *used = used.saturating_add(win.price.0);
        };
        add(Level::Item(win.item), campaign.day(win.at));
        add(Level::Campaign(place), campaign.day(win.at));
        if let Some(advertiser) = self.advertisers.get(campaign.terms.advertiser) {
            add(Level::Advertiser(campaign.terms.advertiser), advertiser.day(win.at));
        }
        if win.billed == 1 {
            let billed = sums.billed.entry(win.item).or_default();
            *billed = billed.saturating_add(win.price.0);
            let terms = &self.placements[win.placement].terms;
            let [amount, part] = sums.placements.entry(terms.placement).or_default();
            *amount = amount.saturating_add(win.price.0);
            *part = part.saturating_add(share_of(win.price, terms.share).0);
        }
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
        for (subject, kind) in self.caps.running() {
            if self.cap(subject).is_none_or(|cap| cap.period != kind) {
                return Err(Corrupt("the period of a counter"));
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

/// What has a budget.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Item(u32),
    Campaign(u32),
    Advertiser(AdvertiserId),
}

/// What wins that wait or can be taken back hold, by line item; and how often they count for caps.
#[derive(Default)]
struct Sums {
    held: BTreeMap<u32, u64>,
    /// What was billed of them, by line item, and by placement with the publisher's part.
    billed: BTreeMap<u32, u64>,
    placements: BTreeMap<PlacementId, [u64; 2]>,
    /// By day, billed ones included.
    used: BTreeMap<(Level, Day), u64>,
    users: BTreeMap<(UserKey, Subject, u32), u32>,
}

impl Sums {
    fn add_win(&mut self, win: &Win, caps: impl Iterator<Item = Cap>) {
        if win.billed == 0 {
            let held = self.held.entry(win.item).or_default();
            *held = held.saturating_add(win.price.0);
        }
        // What was not shown before it was over counts no more.
        for cap in caps.filter(|_| win.closed == 0 || win.saw(EventKind::Impression)) {
            *self.users.entry((win.user, cap.subject, caps::period(cap.period, win.at))).or_default() += 1;
        }
    }

    /// Whether a budget is within its bounds, and has used of its day what wins of that day can give back.
    fn is_kept(&self, level: Level, budget: &Budget) -> bool {
        budget.is_kept() && self.used.get(&(level, budget.day)).is_none_or(|used| *used <= budget.used.0)
    }

    fn check_budget(&self, place: u32, budget: &Budget) -> Result<(), Corrupt> {
        let sum = |sums: &BTreeMap<u32, u64>| sums.get(&place).copied().unwrap_or(0);
        let kept = self.is_kept(Level::Item(place), budget)
            && sum(&self.held) == budget.held.0
            && sum(&self.billed) <= budget.spent.0;
        if kept { Ok(()) } else { Err(Corrupt("what a line item spent")) }
    }
}
