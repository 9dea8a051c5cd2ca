//! Call auctions: at which price most would trade, and the trades when that price is made.

use super::instruments;
use super::levels::{BOOK, Half, NONE, better};
use super::messages::{AuctionIndication, Event, Fill, Liquidity, Phase, Price, Quantity, Side, Trade, TradeId};
use super::orders::Order;
use super::phases::PhaseChange;
use super::settlement::{Open, Party};
use super::specials::RESERVE;
use super::views::Before;
use super::{Matching, topics};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Out, Progress};

/// A price at which a book could be uncrossed.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    ticks: u64,
    /// What is bid at it or above, and asked at it or below.
    bid: u64,
    asked: u64,
}

impl Candidate {
    fn volume(&self) -> u64 {
        self.bid.min(self.asked)
    }

    fn surplus(&self) -> u64 {
        self.bid.abs_diff(self.asked)
    }

    /// Whether more trades here than at `other`, or as much with less left over.
    fn beats(&self, other: &Self) -> bool {
        (self.volume(), other.surplus()) > (other.volume(), self.surplus())
    }

    fn equals(&self, other: &Self) -> bool {
        (self.volume(), self.surplus()) == (other.volume(), other.surplus())
    }

    /// The lowest and the highest of the best, when this one is looked at as well.
    fn among(self, best: Option<(Self, Self)>) -> (Self, Self) {
        match best {
            Some((lowest, highest)) if self.equals(&lowest) && self.ticks < lowest.ticks => (self, highest),
            Some((lowest, highest)) if self.equals(&lowest) && self.ticks > highest.ticks => (lowest, self),
            Some(best) if !self.beats(&best.0) => best,
            _ => (self, self),
        }
    }
}

/// How far one side of an auction was looked at, from its best price down: what is displayed, and what is not.
#[derive(Clone, Copy, Debug)]
struct Depth {
    side: Side,
    shown: Option<u32>,
    hidden: Option<u32>,
}

/// How much takes part at a price.
#[derive(Clone, Copy, Debug)]
struct AtPrice {
    ticks: u64,
    quantity: u64,
}

impl Matching {
    /// What the auction of `instrument` would trade now, and at which price; all zero when nothing would.
    pub(super) fn indication(&mut self, instrument: u32) -> AuctionIndication {
        let mut indication = AuctionIndication::NOTHING;
        let Some((lowest, highest)) = self.best_candidates(instrument) else { return indication };
        let chosen = match (lowest.bid >= lowest.asked, highest.bid > highest.asked) {
            // More is bid than asked at all of them: the highest. More is asked: the lowest.
            (true, true) => highest.ticks,
            (false, false) => lowest.ticks,
            _ => self.reference_ticks(instrument).unwrap_or(lowest.ticks).clamp(lowest.ticks, highest.ticks),
        };
        let (bid, asked) = (self.sum_to(instrument, Side::Buy, chosen), self.sum_to(instrument, Side::Sell, chosen));
        let volume = bid.min(asked);
        indication.price = self.instruments[instrument].terms.price(chosen);
        indication.quantity = Quantity(volume);
        (indication.bid_surplus, indication.ask_surplus) = (Quantity(bid - volume), Quantity(asked - volume));
        indication
    }

    /// After loading: what was last said of each auction is what it is.
    pub(super) fn settle_indications(&mut self) {
        for place in 0..self.limits.instruments as u32 {
            if self.instruments[place].phase.get().is_auction() {
                self.instruments[place].indication = self.indication(place);
            }
        }
    }

    /// The price, in ticks, that an auction keeps near to: the last trade's, or before any what the operator says. Where a table
    /// of ticks has come between, the next lower that an order may have.
    fn reference_ticks(&self, instrument: u32) -> Option<u64> {
        let book = &self.instruments[instrument];
        let said = || Some(book.bands.reference).filter(|price| *price != Price(0));
        let ticks = self.last_ticks(instrument).or_else(|| book.terms.ticks(said()?).ok())?;
        Some(book.on_tick(Side::Buy, ticks).unwrap_or(ticks))
    }

    /// Of all prices of orders, and the reference where market orders stand on both sides, the lowest and the highest
    /// of those at which most trades and least is left over.
    fn best_candidates(&mut self, instrument: u32) -> Option<(Candidate, Candidate)> {
        let [market_bids, market_asks] = [Side::Buy, Side::Sell].map(|side| self.unpriced(instrument, side));
        let [mut bids, mut asks] = [Side::Buy, Side::Sell].map(|side| self.depth(instrument, side));
        let (mut next_bid, mut next_ask) = (self.next_depth(&mut bids), self.next_depth(&mut asks));
        // Market orders meet the other side at all its prices, others up to their own.
        let top = if market_bids > 0 { u64::MAX } else { next_bid?.ticks };
        let bottom = if market_asks > 0 { 0 } else { next_ask?.ticks };
        // Bids from the best down, each with all that is bid at it or above.
        self.bids.clear();
        let mut sum = market_bids;
        while let Some(bid) = next_bid.filter(|bid| bid.ticks >= bottom) {
            sum += bid.quantity;
            self.bids.push((bid.ticks, sum));
            next_bid = self.next_depth(&mut bids);
        }
        let (mut best, mut asked) = (None, market_asks);
        loop {
            let ask = next_ask.filter(|ask| ask.ticks <= top);
            let bid = self.bids.last().copied();
            let ticks = match (ask, bid) {
                (Some(ask), Some((bid, _))) => ask.ticks.min(bid),
                (Some(ask), None) => ask.ticks,
                (None, Some((bid, _))) => bid,
                (None, None) => break,
            };
            if let Some(ask) = ask.filter(|ask| ask.ticks == ticks) {
                asked += ask.quantity;
                next_ask = self.next_depth(&mut asks);
            }
            let candidate = Candidate { ticks, bid: bid.map_or(market_bids, |(_, sum)| sum), asked };
            best = Some(candidate.among(best));
            if bid.is_some_and(|(bid, _)| bid == ticks) {
                self.bids.pop();
            }
        }
        match self.reference_ticks(instrument) {
            Some(ticks) if market_bids > 0 && market_asks > 0 => {
                let [bid, asked] = [Side::Buy, Side::Sell].map(|side| self.sum_to(instrument, side, ticks));
                Some(Candidate { ticks, bid, asked }.among(best))
            }
            _ => best,
        }
    }

    /// How much one side has at `ticks` or better.
    fn sum_to(&self, instrument: u32, side: Side, ticks: u64) -> u64 {
        let (mut sum, mut depth) = (self.unpriced(instrument, side), self.depth(instrument, side));
        while let Some(at) = self.next_depth(&mut depth).filter(|at| !better(side, ticks, at.ticks)) {
            sum += at.quantity;
        }
        sum
    }

    /// How much the market orders of one side are.
    fn unpriced(&self, instrument: u32, side: Side) -> u64 {
        match self.instruments[instrument].unpriced(side).best {
            NONE => 0,
            at => self.levels[at].quantity,
        }
    }

    fn depth(&self, instrument: u32, side: Side) -> Depth {
        let book = &self.instruments[instrument];
        let best = |half: Half| Some(half.best).filter(|at| *at != NONE);
        Depth { side, shown: best(book.half(side)), hidden: best(book.hidden(side)) }
    }

    /// What takes part at the next price of a side.
    fn next_depth(&self, depth: &mut Depth) -> Option<AtPrice> {
        let side = depth.side;
        loop {
            let ticks = [depth.shown, depth.hidden].map(|at| at.map(|at| self.levels[at].ticks));
            let ticks = match ticks {
                [Some(shown), Some(hidden)] if better(side, hidden, shown) => hidden,
                [Some(shown), _] => shown,
                [None, hidden] => hidden?,
            };
            let mut quantity = 0;
            if let Some(at) = depth.shown.filter(|at| self.levels[*at].ticks == ticks) {
                quantity += self.displayed_in_auction(at);
                depth.shown = self.levels.worse(at);
            }
            if let Some(at) = depth.hidden.filter(|at| self.levels[*at].ticks == ticks) {
                let taking_part = self.orders.queue_of(&self.levels[at]).filter(|index| self.takes_part(*index));
                quantity += taking_part.map(|index| self.orders[index].remaining).sum::<u64>();
                depth.hidden = self.levels.worse(at);
            }
            if quantity > 0 {
                return Some(AtPrice { ticks, quantity });
            }
        }
    }

    /// How much takes part at a level of the book: all, but for pegged orders that are to be parked and still stand there.
    fn displayed_in_auction(&self, at: u32) -> u64 {
        let level = &self.levels[at];
        if level.pegged == 0 {
            return level.total();
        }
        let pegged = self.orders.queue_of(level).filter(|index| self.orders.is_pegged(*index));
        level.total() - pegged.map(|index| self.orders[index].remaining).sum::<u64>()
    }

    /// Whether the order at `index`, which displays nothing, takes part in auctions.
    fn takes_part(&self, index: u32) -> bool {
        let special = &self.orders.specials[self.orders[index].special];
        special.kind == RESERVE && special.minimum == 0
    }

    /// Says what the auction would trade, when that has changed.
    #[cold]
    pub(super) fn say_indication(&mut self, instrument: u32, out: &mut Out<'_, Self>) {
        let is_auction = self.instruments[instrument].phase.get().is_auction();
        let indication = if is_auction { self.indication(instrument) } else { AuctionIndication::NOTHING };
        if indication != self.instruments[instrument].indication {
            self.instruments[instrument].indication = indication;
            out.publish(topics::AUCTIONS, instruments::id(instrument).0, Event::AuctionIndication(&indication));
        }
    }

    /// Trades what crosses at the one price of `change`: market orders first, then best price first, displayed before what
    /// is not, oldest first.
    pub(super) fn uncross(&mut self, change: &mut PhaseChange, out: &mut Out<'_, Self>) -> Progress {
        loop {
            // And what is left of the other order, and of its level.
            if out.room() < super::trading::OUTPUTS_EACH + 2 {
                return Progress::More;
            }
            if change.left == 0 {
                break;
            }
            let (bid, ask) = (self.next_in_auction(change, Side::Buy), self.next_in_auction(change, Side::Sell));
            let (Some(bid), Some(ask)) = (bid, ask) else { break };
            let levels = [bid, ask].map(|index| self.orders[index].level);
            self.trade_at_auction(change, [bid, ask], out);
            for (at, partly) in levels.into_iter().zip(&mut change.partly) {
                let left = self.levels[at].orders > 0;
                if self.levels[at].waits == BOOK {
                    *partly = left;
                }
                if !left {
                    self.say_level(at, out);
                    self.close_if_empty(at);
                }
            }
        }
        for (side, partly) in [Side::Buy, Side::Sell].into_iter().zip(change.partly) {
            if partly {
                self.say_level(self.instruments[change.instrument].half(side).best, out);
            }
        }
        change.partly = [false; 2];
        Progress::Done
    }

    /// The order of one side that trades next.
    fn next_in_auction(&self, change: &mut PhaseChange, side: Side) -> Option<u32> {
        let book = &self.instruments[change.instrument];
        let unpriced = book.unpriced(side).best;
        if unpriced != NONE {
            return Some(self.levels[unpriced].head);
        }
        let shown = Some(book.half(side).best).filter(|at| *at != NONE);
        let hidden = self.next_hidden_in_auction(book.hidden(side), &mut change.passed[side as usize - 1]);
        match (shown, hidden) {
            (Some(at), Some((_, ticks))) if !better(side, ticks, self.levels[at].ticks) => Some(self.levels[at].head),
            (Some(at), None) => Some(self.levels[at].head),
            (_, hidden) => hidden.map(|(index, _)| index),
        }
    }

    /// The first order in `half`, where nothing is displayed, that takes part, and its price. What is passed by is not
    /// looked at twice.
    fn next_hidden_in_auction(&self, half: Half, passed: &mut u32) -> Option<(u32, u64)> {
        let (mut at, mut index) = match (*passed, half.best) {
            (NONE, NONE) => return None,
            (NONE, best) => (best, self.levels[best].head),
            (passed, _) => (self.orders[passed].level, self.orders[passed].newer),
        };
        loop {
            while index != NONE {
                if self.takes_part(index) {
                    return Some((index, self.levels[at].ticks));
                }
                *passed = index;
                index = self.orders[index].newer;
            }
            at = self.levels.worse(at)?;
            index = self.levels[at].head;
        }
    }

    /// Lets a bid and an ask trade with each other.
    fn trade_at_auction(&mut self, change: &mut PhaseChange, heads: [u32; 2], out: &mut Out<'_, Self>) {
        let [bid, ask] = heads.map(|index| self.orders[index].level);
        let [buyer, seller] = heads.map(|index| self.orders[index]);
        let quantity = buyer.remaining.min(seller.remaining);
        change.left -= quantity;
        self.last_trade += 1;
        // Who came later takes.
        let buyer_takes = buyer.order > seller.order;
        let (maker, taker, taker_side) =
            if buyer_takes { (seller.order, buyer.order, Side::Buy) } else { (buyer.order, seller.order, Side::Sell) };
        let trade = Trade {
            trade: TradeId(self.last_trade),
            maker_order: maker,
            taker_order: taker,
            price: change.price,
            quantity: Quantity(quantity),
            taker_side: taker_side.into(),
            reserved: Reserved::default(),
        };
        let instrument = instruments::id(change.instrument);
        self.instruments[change.instrument].remember(&trade, self.now);
        out.publish(topics::TRADES, instrument.0, Event::Trade(&trade));
        let counters = [seller.order, buyer.order];
        let befores = heads.map(|index| {
            let Order { order, remaining: displayed, level: at, .. } = self.orders[index];
            Before { at, order, displayed, open: self.orders.open(index) }
        });
        let parties = [(heads[0], bid), (heads[1], ask)].map(|(index, at)| Party {
            account: self.orders.account(index),
            order: self.orders[index].order,
            open: Open {
                side: self.levels[at].side.get(),
                price: self.levels[at].price,
                quantity: self.orders.open(index),
            },
            takes: self.orders[index].order == taker,
        });
        for (((index, at), side), counter_order) in
            heads.into_iter().zip([bid, ask]).zip([Side::Buy, Side::Sell]).zip(counters)
        {
            let (account, open) = (self.orders.account(index), self.orders.open(index));
            let order = &self.orders[index];
            let fill = Fill {
                order: order.order,
                client_order: order.client_order,
                counter_order,
                trade: trade.trade,
                price: trade.price,
                quantity: trade.quantity,
                remaining: Quantity(open - quantity),
                instrument,
                side: side.into(),
                liquidity: Liquidity::Auction.into(),
                reserved: Reserved::default(),
            };
            let (own_price, filled) = (self.levels[at].price, order.filled + quantity);
            self.orders.fill(&mut self.levels[at], index, at, quantity);
            out.notify(account, Event::Fill(&fill));
            if self.orders.accounts.copies_any() {
                self.copy_fill(account, &fill, own_price, filled, out);
            }
        }
        if self.instruments[change.instrument].is_settled() {
            self.settle_trade(change.instrument, trade.trade, trade.price, quantity, parties, out);
        }
        for (index, before) in heads.into_iter().zip(befores) {
            self.say_less(index, before, quantity, out);
        }
    }
}

impl AuctionIndication {
    /// Nothing would trade.
    pub(super) const NOTHING: Self =
        Self { price: Price(0), quantity: Quantity(0), bid_surplus: Quantity(0), ask_surplus: Quantity(0) };
}

impl Phase {
    /// Whether it ends in trades at one price.
    #[must_use]
    pub const fn is_auction(self) -> bool {
        matches!(self, Self::OpeningAuction | Self::IntradayAuction | Self::ClosingAuction | Self::VolatilityAuction)
    }
}
