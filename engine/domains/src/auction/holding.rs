//! Holding an auction: who takes part, who wins, what it costs, and why the others lost.

use super::Auction;
use super::budgets::hour_of_week;
use super::caps::COUNTERS_PER_SLOT;
use super::competing::Request;
use super::hours::Hour;
use super::index;
use super::messages::{
    Attribute, AuctionHeld, Dimension, Event, HoldAuction, LineItemId, OutsideWon, PlacementId, PriceModel, Reject,
    Reply, SLOTS_MAX, SlotWon, TARGETS_MAX, WHOLE, WinId,
};
use super::pricing::{Bidder, price};
use super::ranking::{Competitor, Draws, Loss, OUTSIDE, Outside, RANKED_MAX, ROTATION, Rank, Ranking};
use super::wins::Win;
use alloc::collections::BinaryHeap;
use bytemuck::Zeroable as _;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Out, Progress};

/// How often the best of a class are looked for before all that are left are put in order.
const TURNS: u32 = 4;

/// The attributes of a dimension: they stand side by side.
fn of_dimension(attributes: &[Attribute], dimension: Dimension) -> &[Attribute] {
    let first = attributes.partition_point(|attribute| attribute.dimension.get() < dimension);
    let end = attributes.partition_point(|attribute| attribute.dimension.get() <= dimension);
    &attributes[first..end]
}

/// Whether an attribute may come after another: they are in order, each there once but bidders, who may bid several times.
fn follows(before: &Attribute, after: &Attribute) -> bool {
    let key = |attribute: &Attribute| (attribute.dimension.get(), attribute.value);
    let again = after.dimension.get() == Dimension::Bidder && before.bids_max == after.bids_max;
    key(before) < key(after) || (key(before) == key(after) && again)
}

/// Whether an attribute says no more than those of its dimension can.
fn makes_sense(attribute: &Attribute) -> bool {
    match attribute.dimension.get() {
        Dimension::Bidder => true,
        Dimension::Deal => attribute.bids_max == 0,
        _ => attribute.bids_max == 0 && attribute.amount.0 == 0,
    }
}

/// Whether a bid is among the best of its bidder's, which are side by side: as many as may take part, of equal ones the first.
fn is_entered(bids: &[Attribute], at: usize) -> bool {
    let of_bidder = |other: &&Attribute| other.value == bids[at].value;
    let better =
        bids[..at].iter().rev().take_while(of_bidder).filter(|before| before.amount >= bids[at].amount).count()
            + bids[at + 1..].iter().take_while(of_bidder).filter(|after| after.amount > bids[at].amount).count();
    better < usize::from(bids[at].bids_max.max(1))
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
        if attributes.len() > TARGETS_MAX || !attributes.is_sorted_by(follows) || !attributes.iter().all(makes_sense) {
            return Err(Reject::BadTargets);
        }
        let rate = self.currencies.rate(command.currency)?;
        let placement = &self.placements[place];
        let (seed, slots) = (placement.terms.seed, placement.slots(command.slots));
        if self.wins.room() < slots {
            return Err(Reject::WinsFull);
        }
        let floor = placement.floor.max(rate.at_least(command.floor));
        let hour = hour_of_week(context.now, placement.terms.zone_minutes);
        self.caps.turn(context.now);
        let (deals, sizes) = (of_dimension(attributes, Dimension::Deal), of_dimension(attributes, Dimension::Size));
        let countable = self.caps.room() >= slots * COUNTERS_PER_SLOT;
        let (now, user, draws) = (context.now, command.user, Draws::new(seed, context.sequence));
        let request = Request { now, draws, user, floor, rate, sizes, deals, hour, slots, countable };
        self.placements[place].auctions += 1;
        self.hours.note(LineItemId(0), command.placement, context.now, Hour::hold);
        let mut ranking = core::mem::take(&mut self.ranking);
        ranking.begin(slots, floor);
        self.enter_outside(place, &request, of_dimension(attributes, Dimension::Bidder), &mut ranking);
        let candidates = self.items.meet(attributes, &mut ranking.met);
        self.rank(&request, &mut ranking);
        let won = self.award(context, place, &request, &ranking, out);
        self.answer(candidates, won, &ranking, out);
        ranking.held = Some((context.sequence, seed));
        self.ranking = ranking;
        Ok(Progress::Done)
    }

    /// Ranks bids made elsewhere: each in its price bucket, for an impression, and of nobody's advertiser. Of a bidder so many
    /// take part as the request says.
    fn enter_outside(&self, placement: u32, request: &Request<'_>, bids: &[Attribute], ranking: &mut Ranking) {
        let buckets = self.buckets.get(self.placements[placement].terms.buckets);
        for (place, (at, bid)) in (OUTSIDE..).zip(bids.iter().enumerate()) {
            let draw = request.draw(place);
            let amount = request.rate.at_most(bid.amount);
            let bucket = buckets.map_or(amount, |buckets| buckets.of(amount, draw & 1 == 1));
            let entered = is_entered(bids, at);
            let outside = Outside { bidder: bid.value, bid: amount, bucket, entered };
            ranking.outside.push(outside);
            if entered && bucket.0 > 0 && bucket >= request.floor {
                ranking.entered.push(outside.rank(place, draw));
            }
        }
        ranking.entered.sort_unstable();
    }

    /// Looks at candidates in order of rank, class by class, until nobody who follows can matter. Those to whom an impression is
    /// not worth the floor are counted and not looked at.
    #[inline]
    fn rank(&self, request: &Request<'_>, ranking: &mut Ranking) {
        let least = u64::try_from(u128::from(request.floor.0) * u128::from(WHOLE)).unwrap_or(u64::MAX);
        let mut shelves: [(u32, u32); index::SHELVES] = [(0, 0); index::SHELVES];
        shelves.iter_mut().zip(ranking.met.shelves()).for_each(|(shelf, range)| *shelf = range);
        loop {
            let first_of = |(first, end): &(u32, u32)| (first < end).then(|| ranking.met.found[*first as usize].0);
            let best = shelves.iter().filter_map(first_of).min().map(|entry| index::class_and_block(entry).0);
            let outside = ranking.entered.last().map(|rank| index::class(rank.score));
            let Some(class) = best.max(outside) else { break };
            let (begun, mut below) = (shelves, 0);
            for (first, end) in &mut shelves {
                below += self.gather(class, least, (first, *end), ranking);
            }
            while let Some(rank) = ranking.entered.pop_if(|rank| index::class(rank.score) == class) {
                ranking.class.push((rank.score, rank.place()));
            }
            self.look_at_class(request, ranking);
            if ranking.is_decided() {
                if below > 0 {
                    let reached = |(first, end)| self.below(request, least, class, first..end, ranking);
                    below = begun.into_iter().map(reached).sum();
                }
                ranking.lost[Loss::BelowFloor as usize] += below;
                break;
            }
            ranking.lost[Loss::BelowFloor as usize] += below;
        }
    }

    /// Puts those of a class who are found on a shelf to the others of that class; gives how many there are besides to whom an
    /// impression is not worth `least`.
    #[inline]
    fn gather(&self, class: u32, least: u64, (first, end): (&mut u32, u32), ranking: &mut Ranking) -> u32 {
        let mut below = 0;
        while *first < end {
            let (entry, found) = &ranking.met.found[*first as usize];
            let (of, block) = index::class_and_block(*entry);
            if of != class {
                break;
            }
            *first += 1;
            if self.items.index.top(block) < least {
                below += found.iter().map(|word| word.count_ones()).sum::<u32>();
                continue;
            }
            for bit in index::ones(found) {
                let (place, standing) = self.items.index.at_bit(block, bit);
                if standing.worth < least {
                    below += 1;
                } else {
                    ranking.class.push((standing.score, place));
                }
            }
        }
        below
    }

    /// Of those of a class who are found in a range of blocks, how many were reached to whom an impression is not worth `least`.
    fn below(
        &self,
        request: &Request<'_>,
        least: u64,
        class: u32,
        blocks: core::ops::Range<u32>,
        ranking: &Ranking,
    ) -> u32 {
        let found = &ranking.met.found[blocks.start as usize..blocks.end as usize];
        let of_class = found.iter().take_while(|(entry, _)| index::class_and_block(*entry).0 == class);
        let items = of_class.flat_map(|(entry, found)| {
            let (_, block) = index::class_and_block(*entry);
            index::ones(found).map(move |bit| self.items.index.at_bit(block, bit))
        });
        let reached = items.filter(|(place, standing)| {
            standing.worth < least && ranking.reaches(Rank::new(standing.score, request.draw(*place), *place))
        });
        reached.count() as u32
    }

    /// Looks at those of a class in order of rank. The few best are looked for one after another, since most often no more matter.
    #[inline]
    fn look_at_class(&self, request: &Request<'_>, ranking: &mut Ranking) {
        let mut class = core::mem::take(&mut ranking.class);
        let rank = |(score, place): (u64, u32)| Rank::new(score, request.draw(place), place);
        let mut turns = 0;
        while !class.is_empty() && !ranking.is_decided() {
            let mut next = core::mem::take(&mut ranking.next);
            if turns < TURNS {
                let best = class.iter().map(|(score, _)| *score).max().unwrap_or(0);
                let mut at = 0;
                while at < class.len() {
                    match class[at].0 == best {
                        true => next.push(rank(class.swap_remove(at))),
                        false => at += 1,
                    }
                }
                turns += 1;
            } else {
                next.extend(class.drain(..).map(rank));
            }
            let mut best_first = BinaryHeap::from(next);
            while let Some(rank) = best_first.pop() {
                self.look_at(request, rank, ranking);
                if ranking.is_decided() {
                    break;
                }
            }
            ranking.next = best_first.into_vec();
            ranking.next.clear();
        }
        class.clear();
        ranking.class = class;
    }

    /// Ranks a candidate behind those who compete already, unless it does not compete.
    #[inline]
    fn look_at(&self, request: &Request<'_>, rank: Rank, ranking: &mut Ranking) {
        let place = rank.place();
        if place >= OUTSIDE {
            let (advertiser, floor) = (place, request.floor);
            return ranking.best.push(Competitor { rank, advertiser, floor, deal: 0 });
        }
        let is_beside = |other: &Competitor, advertiser: u32| {
            let labels = request.slots > 1 && other.rank.place() < OUTSIDE;
            other.advertiser == advertiser || (labels && self.items.share_label(other.rank.place(), place))
        };
        match self.competes(request, rank) {
            Ok(Competitor { advertiser, .. }) if ranking.best.iter().any(|other| is_beside(other, advertiser)) => {
                ranking.lose(rank, Loss::Excluded);
            }
            Ok(competitor) => ranking.best.push(competitor),
            Err(loss) => ranking.lose(rank, loss),
        }
    }

    /// Gives the slots to the best, and holds what they cost; gives how many line items and how many others won, and the
    /// first slot's.
    fn award(
        &mut self,
        context: Context,
        placement: u32,
        request: &Request<'_>,
        ranking: &Ranking,
        out: &mut Out<'_, Self>,
    ) -> (u32, u32, SlotWon) {
        let mut bidders = [Bidder::default(); RANKED_MAX];
        let bidders = &mut bidders[..ranking.best.len()];
        for (bidder, competitor) in bidders.iter_mut().zip(&ranking.best) {
            *bidder = self.bidder(competitor, ranking);
        }
        let mut first = SlotWon::zeroed();
        let mut outside = 0;
        for (at, competitor) in ranking.winners().iter().enumerate() {
            let terms = &self.placements[placement];
            let price = price(terms.terms.rule.get(), bidders, &terms.factors()[..request.slots], at);
            let slot = at as u32 + 1;
            if let Some(own) = competitor.rank.outside() {
                let Outside { bidder, bid, .. } = ranking.outside[own];
                out.tell(context.session, Event::OutsideWon(&OutsideWon { bid, price, bidder, slot }));
                outside += 1;
                continue;
            }
            let win = WinId(context.sequence.0 * SLOTS_MAX as u64 + at as u64);
            let item = competitor.rank.place();
            let creative = self.rotate(request, item, request.draw(ROTATION | item));
            let over = request.now.saturating_add(self.items[item].terms.window);
            let mut held = Win::new(win, price, request.user, item, placement);
            (held.creative, held.at, held.over) = (creative, request.now, over);
            if request.user.0 != 0 && self.items[item].terms.has_windows() {
                held.touches = self.advertiser_of(item);
            }
            self.hold_price(held);
            let (item, pays, reserved) = (LineItemId(item + 1), self.items[item].terms.model, Reserved::default());
            let won = SlotWon { win, price, item, slot, creative, pays, deal: competitor.deal, reserved };
            match at {
                0 => first = won,
                _ => out.tell(context.session, Event::SlotWon(&won)),
            }
        }
        (ranking.winners().len() as u32 - outside, outside, first)
    }

    /// What a competitor bids, for its price.
    fn bidder(&self, competitor: &Competitor, ranking: &Ranking) -> Bidder {
        let floor = competitor.floor;
        if let Some(at) = competitor.rank.outside() {
            return Bidder { bid: ranking.outside[at].bucket, weight: u64::from(WHOLE), floor, contract: false };
        }
        let item = &self.items[competitor.rank.place()];
        Bidder { bid: item.bid.bid, weight: item.weight(), floor, contract: item.terms.priority > 0 }
    }

    /// Holds the price of a win on every level, and counts it.
    fn hold_price(&mut self, win: Win) {
        self.on_levels(win.item, win.at, |budget, day| budget.hold(win.price, day));
        self.items[win.item].tally.wins += 1;
        self.placements[win.placement].tally.wins += 1;
        self.hours.note(LineItemId(win.item + 1), PlacementId(win.placement + 1), win.at, Hour::win);
        for cap in self.caps_of(&win) {
            self.caps.add(win.user, &cap, win.at);
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
        let [below_floor, off_hours, no_creative, budget_spent, paced, capped, excluded] = ranking.lost;
        let lost: u32 = ranking.lost.iter().sum();
        out.reply(Reply::AuctionHeld(&AuctionHeld {
            win: first.win,
            price: first.price,
            item: first.item,
            won: won as u8,
            outbid: candidates - won - lost,
            below_floor,
            off_hours,
            budget_spent,
            paced,
            capped,
            excluded,
            not_targeted: self.items.index.count() - candidates,
            outside: outside as u8,
            no_creative,
            creative: first.creative,
            pays: if first.item.0 == 0 { PriceModel::Cpm.into() } else { first.pays },
            deal: first.deal,
        }));
    }
}
