//! What the book looks like from outside: levels, best prices, snapshots of topics.

use super::instruments;
use super::levels::{BOOK, HIDDEN, Level, NONE, WAITS};
use super::messages::{Event, InstrumentId, LevelChanged, OpenOrder, OpenStop, PhaseChanged, Quantity, Side};
use super::orders::Order;
use super::specials::Special;
use super::{Matching, topics};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Cursor, Out, Progress, Topic};

impl Matching {
    /// Says what is displayed at a level of a book now. Where stops wait, or orders hide, is for their accounts alone.
    #[inline]
    pub(super) fn say_level(&self, at: u32, out: &mut Out<'_, Self>) {
        let level = &self.levels[at];
        if level.waits != BOOK {
            return;
        }
        out.publish(topics::LEVELS, instruments::id(level.instrument).0, Event::LevelChanged(&level_changed(level)));
    }

    /// Takes a level without orders out of its book.
    #[inline]
    pub(super) fn close_if_empty(&mut self, at: u32) {
        let level = self.levels[at];
        if level.orders == 0 {
            self.levels.close(self.instruments[level.instrument].half_of(&level), at);
        }
    }

    /// Says the best prices, and what an auction would trade, when they have changed.
    #[inline]
    pub(super) fn say_top(&mut self, instrument: u32, out: &mut Out<'_, Self>) {
        if let Some(top) = self.instruments[instrument].top_to_say(&self.levels) {
            out.publish(topics::TOP, instruments::id(instrument).0, Event::TopOfBook(top));
        }
        if !self.instruments[instrument].is_plain {
            self.say_indication(instrument, out);
        }
    }

    pub(super) fn snapshot(&self, topic: Topic, cursor: &mut Cursor, out: &mut Out<'_, Self>) -> Option<Progress> {
        if topic.kind() == Topic::ACCOUNT {
            return Some(self.open_orders(Account(topic.id()), cursor, out));
        }
        let place = self.instruments.place(InstrumentId(topic.id()))?;
        let instrument = &self.instruments[place];
        match topic.kind() {
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
            next = self.levels.worse(instrument.half(side), at);
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
            let hidden = if waits == HIDDEN { remaining } else { Quantity(self.orders.hidden(index)) };
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

pub(super) fn level_changed(level: &Level) -> LevelChanged {
    let Level { price, quantity, orders, side, .. } = *level;
    LevelChanged { price, quantity: Quantity(quantity), orders, side, reserved: Reserved::default() }
}
