//! What the book looks like from outside: levels, best prices, snapshots of topics.

use super::instruments;
use super::levels::{BOOK, Level, NONE, WAITS};
use super::messages::{
    Event, InstrumentId, LevelChanged, OpenOrder, OpenStop, OrderFeedSet, OrderId, OrderShown, PhaseChanged, Priority,
    Quantity, Reject, Reply, SetOrderFeed, Side,
};
use super::orders::Order;
use super::specials::Special;
use super::{Matching, topics};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Cursor, Out, Progress, Topic};

impl Matching {
    /// Says what is displayed at a level of a book now. Where stops wait, or orders hide, is for their accounts alone.
    #[inline(always)]
    pub(super) fn say_level(&self, at: u32, out: &mut Out<'_, Self>) {
        let level = &self.levels[at];
        if level.waits == BOOK {
            say_displayed(level, out);
        }
    }

    #[cold]
    pub(super) fn set_order_feed(
        &mut self,
        command: &SetOrderFeed,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let SetOrderFeed { instrument, feed, .. } = *command;
        let place = self.instruments.place(instrument).ok_or(Reject::UnknownInstrument)?;
        self.instruments[place].set_order_feed(feed.get());
        out.reply(Reply::OrderFeedSet(&OrderFeedSet { instrument, feed, reserved: Reserved::default() }));
        Ok(Progress::Done)
    }

    /// Says that an order of the level at `at` displays that much now, where each order is said.
    #[cold]
    pub(super) fn say_order(
        &self,
        at: u32,
        order: OrderId,
        quantity: u64,
        priority: Priority,
        out: &mut Out<'_, Self>,
    ) {
        let level = &self.levels[at];
        if self.instruments[level.instrument].shows_orders() && level.waits == BOOK {
            let shown = order_shown(level, order, quantity, priority);
            out.publish(topics::ORDERS, instruments::id(level.instrument).0, Event::OrderShown(&shown));
        }
    }

    /// Says what the order at `index`, if it still is, displays now that `quantity` of what it displayed is gone.
    #[cold]
    pub(super) fn say_less(&self, index: u32, before: Before, quantity: u64, out: &mut Out<'_, Self>) {
        let (left, priority) = match before.displayed - quantity {
            _ if before.open == quantity => (0, Priority::Kept),
            0 => (self.orders[index].remaining, Priority::Lost),
            left => (left, Priority::Kept),
        };
        self.say_order(before.at, before.order, left, priority, out);
    }

    /// Takes a level without orders out of its book.
    #[inline(always)]
    pub(super) fn close_if_empty(&mut self, at: u32) {
        let level = &self.levels[at];
        if level.orders == 0 {
            self.levels.close(self.instruments[level.instrument].half_of(level), at);
        }
    }

    /// Says the best prices, and what an auction would trade, when they have changed.
    #[inline]
    pub(super) fn say_top(&mut self, instrument: u32, out: &mut Out<'_, Self>) {
        if let Some(top) = self.instruments[instrument].top_to_say(&self.levels) {
            out.publish(topics::TOP, instruments::id(instrument).0, Event::TopOfBook(top));
        }
        if !self.instruments[instrument].is_plain {
            self.note_quote(instrument);
            self.say_indication(instrument, out);
        }
    }

    /// The same once the level at `at` displays less or more: of a plain book nothing, when that level is not its best.
    #[inline]
    pub(super) fn say_top_beside(&mut self, at: u32, instrument: u32, side: Side, out: &mut Out<'_, Self>) {
        let book = &self.instruments[instrument];
        if !book.is_plain || book.half(side).best == at {
            self.say_top(instrument, out);
        }
    }

    pub(super) fn snapshot(&self, topic: Topic, cursor: &mut Cursor, out: &mut Out<'_, Self>) -> Option<Progress> {
        if topic.kind() == Topic::ACCOUNT {
            return Some(self.open_orders(Account(topic.id()), cursor, out));
        }
        if topic.kind() == topics::COPIES {
            return Some(self.all_copied(Account(topic.id()), cursor, out));
        }
        let place = self.instruments.place(InstrumentId(topic.id()))?;
        let instrument = &self.instruments[place];
        match topic.kind() {
            topics::ORDERS => return Some(self.all_orders(place, cursor, out)),
            topics::LEVELS => return Some(self.all_levels(place, cursor, out)),
            topics::TOP => out.part(Event::TopOfBook(&instrument.top(&self.levels))),
            topics::TRADES => {
                if let Some(trade) = instrument.last_trade() {
                    out.part(Event::Trade(&trade));
                }
            }
            topics::AUCTIONS => out.part(Event::AuctionIndication(&instrument.indication)),
            topics::PHASES => {
                let (phase, reserved) = (instrument.phase, Reserved::default());
                out.part(Event::PhaseChanged(&PhaseChanged { phase, reserved }));
            }
            _ => return None,
        }
        Some(Progress::Done)
    }

    /// Every order that is displayed, bids and then asks, as they would trade. The cursor is the next order and one; zero
    /// at the start.
    fn all_orders(&self, place: u32, cursor: &mut Cursor, out: &mut Out<'_, Self>) -> Progress {
        let instrument = &self.instruments[place];
        let first = |side| Some(instrument.half(side).best).filter(|at| *at != NONE).map(|at| self.levels[at].head);
        let mut next = match cursor.0 {
            0 => first(Side::Buy).or_else(|| first(Side::Sell)),
            index => Some((index - 1) as u32),
        };
        while let Some(index) = next {
            if out.room() == 0 {
                *cursor = Cursor(u64::from(index) + 1);
                return Progress::More;
            }
            let Order { order, remaining, level: at, newer, .. } = self.orders[index];
            let level = &self.levels[at];
            out.part(Event::OrderShown(&order_shown(level, order, remaining, Priority::Lost)));
            let side = level.side.get();
            next = Some(newer).filter(|newer| *newer != NONE);
            if next.is_none() {
                let worse = self.levels.worse(at).map(|at| self.levels[at].head);
                next = worse.or_else(|| if side == Side::Buy { first(Side::Sell) } else { None });
            }
        }
        Progress::Done
    }

    /// Bids and then asks, best first. The cursor is the next level and one; zero at the start.
    fn all_levels(&self, place: u32, cursor: &mut Cursor, out: &mut Out<'_, Self>) -> Progress {
        let instrument = &self.instruments[place];
        let best = |side| Some(instrument.half(side).best).filter(|at| *at != NONE);
        let mut next = match cursor.0 {
            0 => best(Side::Buy).or_else(|| best(Side::Sell)),
            at => Some((at - 1) as u32),
        };
        while let Some(at) = next {
            if out.room() == 0 {
                *cursor = Cursor(u64::from(at) + 1);
                return Progress::More;
            }
            let level = &self.levels[at];
            out.part(Event::LevelChanged(&level_changed(level)));
            let side = level.side.get();
            next = self.levels.worse(at);
            if next.is_none() && side == Side::Buy {
                next = best(Side::Sell);
            }
        }
        Progress::Done
    }

    /// What the account has in all books, as it was entered. The cursor is the next order and one; zero at the start.
    fn open_orders(&self, account: Account, cursor: &mut Cursor, out: &mut Out<'_, Self>) -> Progress {
        let mut next = match cursor.0 {
            0 => self.orders.first_of(account),
            index => Some((index - 1) as u32),
        };
        while let Some(index) = next {
            if out.room() == 0 {
                *cursor = Cursor(u64::from(index) + 1);
                return Progress::More;
            }
            out.part(self.open(index).as_event());
            next = self.orders.next_of(index);
        }
        Progress::Done
    }
}

/// What is said of an order that rests, or a stop that waits.
pub(super) enum Open {
    Order(OpenOrder),
    Stop(OpenStop),
}

impl Open {
    pub(super) fn as_event(&self) -> Event<'_> {
        match self {
            Self::Order(open) => Event::OpenOrder(open),
            Self::Stop(open) => Event::OpenStop(open),
        }
    }
}

impl Matching {
    /// What is said of the order at `index` when it is asked for.
    pub(super) fn open(&self, index: u32) -> Open {
        let Order { order, client_order, remaining, filled, level, order_type, special, .. } = self.orders[index];
        let Level { price, instrument, side, waits, .. } = self.levels[level];
        let (instrument, expires) = (instruments::id(instrument), self.orders.expires(index));
        if waits != WAITS {
            let remaining = Quantity(self.orders.open(index));
            let hidden = if waits == BOOK { Quantity(self.orders.hidden(index)) } else { remaining };
            let (filled, reserved) = (Quantity(filled), Reserved::default());
            return Open::Order(OpenOrder {
                order,
                client_order,
                price,
                filled,
                remaining,
                hidden,
                expires,
                instrument,
                side,
                order_type,
                reserved,
            });
        }
        let Special { price: limit, trail, time_in_force, .. } = self.orders.specials[special];
        Open::Stop(OpenStop {
            order,
            client_order,
            trigger: price,
            price: limit,
            trail,
            quantity: Quantity(remaining),
            expires,
            instrument,
            side,
            order_type,
            time_in_force,
            reserved: Reserved::default(),
        })
    }
}

/// An order before something of what it displayed went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    /// Its level, which still is.
    pub(super) at: u32,
    pub(super) order: OrderId,
    pub(super) displayed: u64,
    /// All that it had open.
    pub(super) open: u64,
}

/// Says what is displayed at a level of a book now.
#[inline(always)]
pub(super) fn say_displayed(level: &Level, out: &mut Out<'_, Matching>) {
    out.publish(topics::LEVELS, instruments::id(level.instrument).0, Event::LevelChanged(&level_changed(level)));
}

fn order_shown(level: &Level, order: OrderId, quantity: u64, priority: Priority) -> OrderShown {
    let (price, quantity, side) = (level.price, Quantity(quantity), level.side);
    OrderShown { order, price, quantity, side, priority: priority.into(), reserved: Reserved::default() }
}

#[inline(always)]
pub(super) fn level_changed(level: &Level) -> LevelChanged {
    let Level { price, quantity, orders, side, .. } = *level;
    LevelChanged { price, quantity: Quantity(quantity), orders, side, reserved: Reserved::default() }
}
