//! Call auctions: at which price most would trade, and the trades when that price is made.

use super::instruments;
use super::levels::{NONE, better};
use super::messages::{AuctionIndication, Event, Fill, Liquidity, Phase, Price, Quantity, Side, Trade, TradeId};
use super::orders::Order;
use super::phases::PhaseChange;
use super::settlement::{Open, Party};
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
            _ => self.last_ticks(instrument).unwrap_or(lowest.ticks).clamp(lowest.ticks, highest.ticks),
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

    /// Of all prices of orders, the lowest and the highest of those at which most trades and least is left over.
    fn best_candidates(&mut self, instrument: u32) -> Option<(Candidate, Candidate)> {
        let (bids, asks) =
            (self.instruments[instrument].half(Side::Buy), self.instruments[instrument].half(Side::Sell));
        if bids.best == NONE || asks.best == NONE {
            return None;
        }
        let (top, bottom) = (self.levels[bids.best].ticks, self.levels[asks.best].ticks);
        // Bids from the best down, each with all that is bid at it or above.
        self.bids.clear();
        let (mut sum, mut next) = (0, Some(bids.best));
        while let Some(at) = next.filter(|at| self.levels[*at].ticks >= bottom) {
            sum += self.levels[at].total();
            self.bids.push((self.levels[at].ticks, sum));
            next = self.levels.worse(bids, at);
        }
        let (mut best, mut asked, mut next_ask) = (None, 0, Some(asks.best));
        loop {
            let ask = next_ask.map(|at| self.levels[at].ticks).filter(|ticks| *ticks <= top);
            let bid = self.bids.last().copied();
            let ticks = match (ask, bid) {
                (Some(ask), Some((bid, _))) => ask.min(bid),
                (Some(ask), None) => ask,
                (None, Some((bid, _))) => bid,
                (None, None) => return best,
            };
            if ask == Some(ticks) {
                let at = next_ask.expect("its price was just seen");
                asked += self.levels[at].total();
                next_ask = self.levels.worse(asks, at);
            }
            let candidate = Candidate { ticks, bid: bid.map_or(0, |(_, sum)| sum), asked };
            best = match best {
                Some((lowest, _)) if candidate.equals(&lowest) => Some((lowest, candidate)),
                Some((lowest, highest)) if !candidate.beats(&lowest) => Some((lowest, highest)),
                _ => Some((candidate, candidate)),
            };
            if bid.is_some_and(|(bid, _)| bid == ticks) {
                self.bids.pop();
            }
        }
    }

    /// How much one side has at `ticks` or better.
    fn sum_to(&self, instrument: u32, side: Side, ticks: u64) -> u64 {
        let half = self.instruments[instrument].half(side);
        let (mut sum, mut next) = (0, Some(half.best).filter(|at| *at != NONE));
        while let Some(at) = next.filter(|at| !better(side, ticks, self.levels[*at].ticks)) {
            sum += self.levels[at].total();
            next = self.levels.worse(half, at);
        }
        sum
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

    /// Trades what crosses at the one price of `change`: best price first, oldest first.
    pub(super) fn uncross(&mut self, change: &mut PhaseChange, out: &mut Out<'_, Self>) -> Progress {
        loop {
            // And what is left of the other order, and of its level.
            if out.room() < super::trading::OUTPUTS_EACH + 2 {
                return Progress::More;
            }
            let instrument = &self.instruments[change.instrument];
            let [bid, ask] = [instrument.half(Side::Buy).best, instrument.half(Side::Sell).best];
            let crosses = change.left > 0 && bid != NONE && ask != NONE;
            if !crosses {
                break;
            }
            self.trade_at_auction(change, bid, ask, out);
            for (at, partly) in [bid, ask].into_iter().zip(&mut change.partly) {
                *partly = self.levels[at].orders > 0;
                if !*partly {
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

    /// Lets the oldest orders of two levels trade with each other.
    fn trade_at_auction(&mut self, change: &mut PhaseChange, bid: u32, ask: u32, out: &mut Out<'_, Self>) {
        let heads = [self.levels[bid].head, self.levels[ask].head];
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
