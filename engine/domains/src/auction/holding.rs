//! Holding an auction: who takes part, who wins, what it costs, and why the others lost.

use super::Auction;
use super::budgets::hour_of_week;
use super::currencies::Rate;
use super::messages::{
    Attribute, AuctionHeld, CapPeriod, Dimension, Event, HoldAuction, LineItemId, Nanos, OutsideWon, Reject, Reply,
    SLOTS_MAX, SlotWon, TARGETS_MAX, Target, TargetMode, UserKey, WHOLE, WinId,
};
use super::pricing::{Bidder, floor_of_event, price};
use super::wins::Win;
use super::{caps, index};
use alloc::boxed::Box;
use alloc::vec::Vec;
use ringfence_kernel::state::fold;
use ringfence_kernel::{Context, Out, Progress, Timestamp};

/// The ranked at most: all slots and the runner-up.
const RANKED_MAX: usize = SLOTS_MAX + 1;

/// A place in the ranking: higher is better. Equal scores are ranked by a draw, equal draws by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    score: u64,
    draw: u64,
    /// The complement of the place, so that the lower number is the better.
    number: u32,
}

/// The places of bids made elsewhere, which are no line items: this, and their place among the bids of a request.
const OUTSIDE: u32 = 1 << 31;

/// A bid made elsewhere, for an impression.
#[derive(Clone, Copy, Debug)]
struct Outside {
    bidder: u32,
    /// What was bid, and the price bucket of it.
    bid: Nanos,
    bucket: Nanos,
}

/// Why a candidate did not compete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    BelowFloor,
    OffHours,
    BudgetSpent,
    Paced,
    Capped,
    SameAdvertiser,
}

/// Who competes, and where it ranks.
#[derive(Clone, Copy, Debug, Default)]
struct Competitor {
    rank: Rank,
    place: u32,
    advertiser: u32,
    floor: Nanos,
}

/// Room for one auction.
#[derive(Debug, Default)]
pub(super) struct Ranking {
    /// The best, each of another advertiser, best first.
    best: [Competitor; RANKED_MAX],
    len: usize,
    /// Winners and the runner-up: as many as are looked for.
    wanted: usize,
    /// Those who did not compete and may have ranked before the last of the best.
    losses: Vec<(Rank, Loss)>,
    /// Bids made elsewhere.
    outside: Vec<Outside>,
    /// A bit for each line item that is targeted.
    found: Box<[u64]>,
}

impl Ranking {
    /// Room for an auction among `items` line items, which an index with rows of `words` words finds.
    pub(super) fn new(items: usize, words: usize) -> Self {
        let found = bytemuck::allocation::zeroed_slice_box(words);
        let (losses, outside) = (Vec::with_capacity(items), Vec::with_capacity(TARGETS_MAX));
        Self { losses, outside, found, ..Self::default() }
    }

    fn begin(&mut self, slots: usize) {
        self.len = 0;
        self.wanted = slots + 1;
        self.losses.clear();
        self.outside.clear();
    }

    /// Behind whom nobody matters; none while fewer compete than are looked for.
    fn last(&self) -> Option<Rank> {
        (self.len == self.wanted).then(|| self.best[self.len - 1].rank)
    }

    fn lose(&mut self, rank: Rank, loss: Loss) {
        self.losses.push((rank, loss));
    }

    /// Ranks a competitor. Of one advertiser only the best competes.
    fn compete(&mut self, new: Competitor) {
        let same = self.best[..self.len].iter().position(|other| other.advertiser == new.advertiser);
        let end = match same {
            Some(at) if self.best[at].rank > new.rank => return self.lose(new.rank, Loss::SameAdvertiser),
            Some(at) => {
                self.lose(self.best[at].rank, Loss::SameAdvertiser);
                at
            }
            None if self.len < self.wanted => {
                self.len += 1;
                self.len - 1
            }
            None => self.len - 1,
        };
        let at = self.best[..end].partition_point(|other| other.rank > new.rank);
        self.best.copy_within(at..end, at + 1);
        self.best[at] = new;
    }

    /// How many lost for a reason of their own: who ranks behind the last of the best was outbid whatever else.
    fn lost(&self, loss: Loss) -> u32 {
        let last = self.last();
        let counts = |(rank, reason): &&(Rank, Loss)| *reason == loss && last.is_none_or(|last| *rank > last);
        self.losses.iter().filter(counts).count() as u32
    }
}

/// What equal scores are ranked by: a number made from the placement's seed, the auction and the line item.
pub(super) fn draw(seed: u64, context: Context, place: u32) -> u64 {
    // Folded multiplies; one for each line item alone would leave neighbours related.
    let auction = fold(seed ^ 0x9e37_79b9_7f4a_7c15, context.sequence.0 | 1 << 63);
    fold(fold(auction ^ u64::from(place), 0xd6e8_feb8_6659_fd93), auction | 1)
}

/// What a candidate is looked at for.
#[derive(Clone, Copy, Debug)]
struct Request<'a> {
    now: Timestamp,
    user: UserKey,
    /// What an impression costs at least.
    floor: Nanos,
    /// What its currency is worth, and its private deals.
    rate: Rate,
    deals: &'a [Attribute],
    /// The hour of the placement's week.
    hour: usize,
    /// Counters of caps that may have to be begun.
    slots: usize,
}

/// The attributes of a dimension: they stand side by side.
fn of_dimension(attributes: &[Attribute], dimension: Dimension) -> &[Attribute] {
    let first = attributes.partition_point(|attribute| attribute.dimension.get() < dimension);
    let end = attributes.partition_point(|attribute| attribute.dimension.get() <= dimension);
    &attributes[first..end]
}

impl Auction {
    /// Holds an auction.
    #[inline]
    pub(super) fn hold(
        &mut self,
        context: Context,
        command: &HoldAuction,
        attributes: &[Attribute],
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let place = self.placements.place(command.placement)?;
        let keys = attributes.iter().map(|attribute| (attribute.dimension.get(), attribute.value));
        if attributes.len() > TARGETS_MAX || !keys.is_sorted_by(|a, b| a < b) {
            return Err(Reject::BadTargets);
        }
        let has_amount =
            |attribute: &Attribute| matches!(attribute.dimension.get(), Dimension::Deal | Dimension::Bidder);
        if attributes.iter().any(|attribute| attribute.amount.0 > 0 && !has_amount(attribute)) {
            return Err(Reject::BadTargets);
        }
        let rate = self.currencies.rate(command.currency)?;
        let placement = &self.placements[place];
        let (seed, slots) = (placement.terms.seed, placement.factors().len());
        if self.wins.room() < slots {
            return Err(Reject::WinsFull);
        }
        let floor = placement.floor.max(rate.at_least(command.floor));
        let hour = hour_of_week(context.now, placement.terms.zone_minutes);
        self.caps.turn(context.now);
        let deals = of_dimension(attributes, Dimension::Deal);
        let request = Request { now: context.now, user: command.user, floor, rate, deals, hour, slots };
        self.placements[place].auctions += 1;
        let mut ranking = core::mem::take(&mut self.ranking);
        ranking.begin(slots);
        self.enter_outside(context, place, request, of_dimension(attributes, Dimension::Bidder), &mut ranking);
        let candidates = self.items.index.meet(attributes, &mut ranking.found);
        for (class, word) in self.items.index.order() {
            if ranking.last().is_some_and(|last| index::class(last.score) > class) {
                break;
            }
            let mut bits = ranking.found[word];
            while bits != 0 {
                let (place, score) = self.items.index.at(word * 64 + bits.trailing_zeros() as usize);
                bits &= bits - 1;
                self.look_at(context, request, seed, (place, score), &mut ranking);
            }
        }
        let won = self.award(context, place, request, &ranking, out);
        self.answer(candidates, won, &ranking, out);
        self.ranking = ranking;
        Ok(Progress::Done)
    }

    /// Ranks bids made elsewhere: each in its price bucket, for an impression, and of nobody's advertiser.
    fn enter_outside(
        &self,
        context: Context,
        placement: u32,
        request: Request<'_>,
        bids: &[Attribute],
        ranking: &mut Ranking,
    ) {
        let terms = &self.placements[placement].terms;
        let buckets = self.buckets.get(terms.buckets);
        for (place, bid) in (OUTSIDE..).zip(bids) {
            let draw = draw(terms.seed, context, place);
            let amount = request.rate.at_most(bid.amount);
            let bucket = buckets.map_or(amount, |buckets| buckets.of(amount, draw & 1 == 1));
            ranking.outside.push(Outside { bidder: bid.value, bid: amount, bucket });
            let rank = Rank { score: bucket.0 * u64::from(WHOLE), draw, number: !place };
            let matters = ranking.last().is_none_or(|last| rank > last);
            if bucket.0 > 0 && bucket >= request.floor && matters {
                ranking.compete(Competitor { rank, place, advertiser: place, floor: request.floor });
            }
        }
    }

    /// Ranks a candidate, unless it ranks behind everybody who matters.
    #[inline]
    fn look_at(
        &self,
        context: Context,
        request: Request<'_>,
        seed: u64,
        (place, score): (u32, u64),
        ranking: &mut Ranking,
    ) {
        if ranking.last().is_some_and(|last| score < last.score) {
            return;
        }
        let rank = Rank { score, draw: draw(seed, context, place), number: !place };
        if ranking.last().is_some_and(|last| rank < last) {
            return;
        }
        match self.competes(request, place) {
            Ok((advertiser, floor)) => ranking.compete(Competitor { rank, place, advertiser, floor }),
            Err(loss) => ranking.lose(rank, loss),
        }
    }

    /// Whose it is and what an event costs it at least, or why it does not compete: the first reason that holds.
    fn competes(&self, request: Request<'_>, place: u32) -> Result<(u32, Nanos), Loss> {
        let item = &self.items[place];
        let campaign = &self.campaigns[item.terms.campaign.0 - 1];
        let (bid, day) = (item.bid.bid, campaign.day(request.now));
        let floor = match item.private {
            0 => request.floor,
            _ => self.deal_floor(request, place),
        };
        let floor = floor_of_event(floor, item.bid.rate);
        if bid < floor {
            return Err(Loss::BelowFloor);
        }
        if !item.takes_part_at(request.hour) {
            return Err(Loss::OffHours);
        }
        if item.budget.room(day).min(campaign.budget.room(day)) < bid.0 {
            return Err(Loss::BudgetSpent);
        }
        if item.terms.is_planned() {
            let planned = item.planned(request.now, campaign.terms.zone_minutes);
            if planned < item.budget.used_on(day) + bid.0 {
                return Err(Loss::Paced);
            }
        }
        let kind = item.terms.cap_period.get();
        if kind != CapPeriod::None {
            let count = self.caps.count(request.user, place, caps::period(kind, request.now));
            let countable = request.user.0 != 0 && (count.is_some() || self.caps.room() >= request.slots);
            if !countable || count.unwrap_or(0) >= item.terms.cap {
                return Err(Loss::Capped);
            }
        }
        Ok((campaign.terms.advertiser.0, floor))
    }

    /// What an impression costs a line item of private deals at least: the least of what the deals say that it includes
    /// and the request has.
    fn deal_floor(&self, request: Request<'_>, place: u32) -> Nanos {
        let includes = |deal: &&Attribute| {
            let is_it = |target: &Target| {
                let kind = (target.dimension.get(), target.mode.get());
                kind == (Dimension::Deal, TargetMode::Include) && target.value == deal.value
            };
            self.items.targets(place).iter().any(is_it)
        };
        let floor = |deal: &Attribute| match deal.amount.0 {
            0 => request.floor,
            _ => request.rate.at_least(deal.amount),
        };
        request.deals.iter().filter(includes).map(floor).min().unwrap_or(request.floor)
    }

    /// Gives the slots to the best, and holds what they cost; gives how many line items and how many others won, and the
    /// first slot's.
    fn award(
        &mut self,
        context: Context,
        placement: u32,
        request: Request<'_>,
        ranking: &Ranking,
        out: &mut Out<'_, Self>,
    ) -> (u32, u32, SlotWon) {
        let mut bidders = [Bidder::default(); RANKED_MAX];
        let best = &ranking.best[..ranking.len];
        for (bidder, competitor) in bidders.iter_mut().zip(best) {
            *bidder = self.bidder(competitor, ranking);
        }
        let mut first = SlotWon { win: WinId(0), price: Nanos(0), item: LineItemId(0), slot: 0 };
        let winners = best.len().min(request.slots);
        let mut outside = 0;
        for (slot, competitor) in best[..winners].iter().enumerate() {
            let terms = &self.placements[placement];
            let rule = terms.terms.rule.get();
            let price = price(rule, &bidders[..best.len()], terms.factors(), slot);
            let slot_number = slot as u32 + 1;
            if competitor.place >= OUTSIDE {
                let Outside { bidder, bid, .. } = ranking.outside[(competitor.place - OUTSIDE) as usize];
                out.tell(context.session, Event::OutsideWon(&OutsideWon { bid, price, bidder, slot: slot_number }));
                outside += 1;
                continue;
            }
            let win = WinId(context.sequence.0 * SLOTS_MAX as u64 + slot as u64);
            self.hold_price(request.now, Win::new(win, price, request.user, competitor.place, placement));
            let item = LineItemId(competitor.place + 1);
            let won = SlotWon { win, price, item, slot: slot_number };
            match slot {
                0 => first = won,
                _ => out.tell(context.session, Event::SlotWon(&won)),
            }
        }
        (winners as u32 - outside, outside, first)
    }

    /// What a competitor bids, for its price.
    fn bidder(&self, competitor: &Competitor, ranking: &Ranking) -> Bidder {
        let floor = competitor.floor;
        if competitor.place >= OUTSIDE {
            let bid = ranking.outside[(competitor.place - OUTSIDE) as usize].bucket;
            return Bidder { bid, weight: u64::from(WHOLE), floor, contract: false };
        }
        let item = &self.items[competitor.place];
        Bidder { bid: item.bid.bid, weight: item.weight(), floor, contract: item.terms.priority > 0 }
    }

    /// Holds the price of a win on every level, and counts it.
    fn hold_price(&mut self, now: Timestamp, mut win: Win) {
        let item = &mut self.items[win.item];
        let campaign = &mut self.campaigns[item.terms.campaign.0 - 1];
        let day = campaign.day(now);
        item.budget.hold(win.price, day);
        item.tally.wins += 1;
        self.placements[win.placement].tally.wins += 1;
        campaign.budget.hold(win.price, day);
        let kind = item.terms.cap_period.get();
        (win.over, win.day, win.period) = (now.saturating_add(item.terms.window), day, caps::period(kind, now));
        if kind == CapPeriod::None {
            win.user = UserKey(0);
        } else {
            self.caps.add(win.user, win.item, kind, win.period);
        }
        self.wins.add(win);
    }

    fn answer(
        &self,
        candidates: u32,
        (won, outside, first): (u32, u32, SlotWon),
        ranking: &Ranking,
        out: &mut Out<'_, Self>,
    ) {
        let losses =
            [Loss::BelowFloor, Loss::OffHours, Loss::BudgetSpent, Loss::Paced, Loss::Capped, Loss::SameAdvertiser];
        let [below_floor, off_hours, budget_spent, paced, capped, same_advertiser] =
            losses.map(|loss| ranking.lost(loss));
        let lost = below_floor + off_hours + budget_spent + paced + capped + same_advertiser;
        out.reply(Reply::AuctionHeld(&AuctionHeld {
            win: first.win,
            price: first.price,
            item: first.item,
            won,
            candidates,
            outbid: candidates - won - lost,
            below_floor,
            off_hours,
            budget_spent,
            paced,
            capped,
            same_advertiser,
            not_targeted: self.items.index.count() - candidates,
            outside,
        }));
    }
}
