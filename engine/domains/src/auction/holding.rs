//! Holding an auction: who takes part, who wins, what it costs, and why the others lost.

use super::Auction;
use super::budgets::hour_of_week;
use super::caps::COUNTERS_PER_SLOT;
use super::competing::Request;
use super::index;
use super::messages::{
    Attribute, AuctionHeld, Dimension, Event, HoldAuction, LineItemId, OutsideWon, PriceModel, Reject, Reply,
    SLOTS_MAX, SlotWon, TARGETS_MAX, WHOLE, WinId,
};
use super::pricing::{Bidder, price};
use super::ranking::{Competitor, Loss, OUTSIDE, Outside, RANKED_MAX, ROTATION, Rank, Ranking, draw};
use super::wins::Win;
use bytemuck::Zeroable as _;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Out, Progress};

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
        let (deals, sizes) = (of_dimension(attributes, Dimension::Deal), of_dimension(attributes, Dimension::Size));
        let countable = self.caps.room() >= slots * COUNTERS_PER_SLOT;
        let request =
            Request { now: context.now, user: command.user, floor, rate, sizes, deals, hour, slots, countable };
        self.placements[place].auctions += 1;
        let mut ranking = core::mem::take(&mut self.ranking);
        ranking.begin(slots, floor);
        self.enter_outside(context, place, request, of_dimension(attributes, Dimension::Bidder), &mut ranking);
        let candidates = self.items.meet(attributes, &mut ranking.found);
        if slots > 1 && self.items.are_labelled() {
            self.look_at_in_order(context, request, seed, &mut ranking);
        } else {
            self.look_at_all(context, request, seed, &mut ranking);
        }
        let won = self.award(context, place, request, &ranking, out);
        self.answer(candidates, won, &ranking, out);
        ranking.held = Some((context, seed));
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
            let outside = Outside { bidder: bid.value, bid: amount, bucket };
            ranking.outside.push(outside);
            let rank = outside.rank(place, draw);
            let matters = ranking.last().is_none_or(|last| rank > last);
            if bucket.0 > 0 && bucket >= request.floor && matters {
                ranking.compete(Competitor { rank, place, advertiser: place, floor: request.floor });
            }
        }
    }

    /// Ranks candidates, best class first, until nobody who follows can matter.
    #[inline]
    fn look_at_all(&self, context: Context, request: Request<'_>, seed: u64, ranking: &mut Ranking) {
        for (class, word) in self.items.index.order() {
            if ranking.last().is_some_and(|last| index::class(last.score) > class) {
                break;
            }
            let mut bits = ranking.found[word];
            while bits != 0 {
                let (place, score) = self.items.index.at(word * 64 + bits.trailing_zeros() as usize);
                bits &= bits - 1;
                self.look_at(context, request, seed, (place, score), ranking);
            }
        }
    }

    /// As [`Auction::look_at_all`], each class in the order of its ranks: who ranks higher is there when labels are compared.
    fn look_at_in_order(&self, context: Context, request: Request<'_>, seed: u64, ranking: &mut Ranking) {
        let mut order = self.items.index.order().peekable();
        while let Some((class, first)) = order.next() {
            if ranking.last().is_some_and(|last| index::class(last.score) > class) {
                break;
            }
            let mut row = core::mem::take(&mut ranking.row);
            row.clear();
            let mut word = Some(first);
            while let Some(at) = word {
                let mut bits = ranking.found[at];
                while bits != 0 {
                    let (place, score) = self.items.index.at(at * 64 + bits.trailing_zeros() as usize);
                    bits &= bits - 1;
                    row.push(Rank { score, draw: draw(seed, context, place), number: !place });
                }
                word = order.next_if(|(other, _)| *other == class).map(|(_, word)| word);
            }
            row.sort_unstable_by(|a, b| b.cmp(a));
            for rank in &row {
                let (place, last) = (!rank.number, ranking.last());
                if last.is_some_and(|last| *rank < last) {
                    break;
                }
                let better = |other: &Competitor| other.place < OUTSIDE && self.items.share_label(other.place, place);
                match self.competes(request, place, rank.draw) {
                    Ok(_) if ranking.best().iter().any(better) => ranking.lose(*rank, Loss::Excluded),
                    Ok((advertiser, floor)) => ranking.compete(Competitor { rank: *rank, place, advertiser, floor }),
                    Err(loss) => ranking.lose(*rank, loss),
                }
            }
            ranking.row = row;
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
        match self.competes(request, place, rank.draw) {
            Ok((advertiser, floor)) => ranking.compete(Competitor { rank, place, advertiser, floor }),
            Err(loss) => ranking.lose(rank, loss),
        }
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
        let best = ranking.best();
        for (bidder, competitor) in bidders.iter_mut().zip(best) {
            *bidder = self.bidder(competitor, ranking);
        }
        let mut first = SlotWon::zeroed();
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
            let rotation = draw(terms.terms.seed, context, ROTATION | competitor.place);
            let win = WinId(context.sequence.0 * SLOTS_MAX as u64 + slot as u64);
            let (item, creative) = (competitor.place, self.rotate(request, competitor.place, rotation));
            let over = request.now.saturating_add(self.items[item].terms.window);
            let mut held = Win::new(win, price, request.user, item, placement);
            (held.creative, held.at, held.over) = (creative, request.now, over);
            self.hold_price(held);
            let item = LineItemId(item + 1);
            let won = SlotWon { win, price, item, slot: slot_number, creative, reserved: Reserved::default() };
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
    fn hold_price(&mut self, win: Win) {
        self.on_levels(win.item, win.at, |budget, day| budget.hold(win.price, day));
        self.items[win.item].tally.wins += 1;
        self.placements[win.placement].tally.wins += 1;
        for cap in self.caps_of(&win).iter().filter(|cap| !cap.is_none()) {
            self.caps.add(win.user, cap, win.at);
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
        let losses = [
            Loss::BelowFloor,
            Loss::OffHours,
            Loss::NoCreative,
            Loss::BudgetSpent,
            Loss::Paced,
            Loss::Capped,
            Loss::Excluded,
        ];
        let [below_floor, off_hours, no_creative, budget_spent, paced, capped, excluded] =
            losses.map(|loss| ranking.lost(loss));
        let lost = below_floor + off_hours + no_creative + budget_spent + paced + capped + excluded;
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
            pays: self.items.get(first.item.0.wrapping_sub(1)).map_or(PriceModel::Cpm.into(), |item| item.terms.model),
            reserved: Reserved::default(),
        }));
    }
}
