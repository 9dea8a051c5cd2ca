//! What orders need that come soon, or are changed. The index, the order, its level and the orders beside it in its queue and in its
//! account stand far apart in memory, and each tells where the next one is: what many commands need of each is read in one go, so
//! that they are waited for together.

use super::Matching;
use super::levels::{Level, NONE, rank};
use super::messages::{Cancel, ClientOrderId, NewOrder, Price, Reduce, Replace, Side};
use super::orders::hash;
use core::hint::black_box;
use ringfence_kernel::messages::block;
use ringfence_kernel::registry::FORESEEN;
use ringfence_kernel::{Account, MessageHeader};

/// With fewer orders all that they need is near anyway.
const ORDERS_NEAR: usize = 10_000;

/// The commands that come soon.
#[derive(Debug, Default)]
pub(super) struct Foresight {
    changes: Soon<Change>,
    orders: Soon<New>,
}

/// At most as many as are foreseen together.
#[derive(Debug)]
struct Soon<T> {
    soon: [Option<T>; FORESEEN],
    count: usize,
}

/// A live order that is changed, and the price that it gets.
#[derive(Clone, Copy, Debug)]
struct Change {
    index: u32,
    price: Option<Price>,
}

/// A new order: its instrument's place.
#[derive(Clone, Copy, Debug)]
struct New {
    instrument: u32,
    side: Side,
    price: Price,
}

impl<T: Copy> Default for Soon<T> {
    fn default() -> Self {
        Self { soon: [None; FORESEEN], count: 0 }
    }
}

impl<T: Copy> Soon<T> {
    #[inline]
    fn note(&mut self, one: T) {
        if let Some(place) = self.soon.get_mut(self.count) {
            (*place, self.count) = (Some(one), self.count + 1);
        }
    }

    #[inline]
    fn iter(&self) -> impl Iterator<Item = T> {
        self.soon[..self.count].iter().copied().flatten()
    }
}

impl Matching {
    #[inline]
    pub(super) fn foresees_orders(&self) -> bool {
        self.orders.len() >= ORDERS_NEAR
    }

    /// Reads where it stands in the index.
    #[inline]
    pub(super) fn foresee_order(&mut self, account: Account, header: MessageHeader, body: &[u8]) {
        let (client_order, price) = match header.template {
            NewOrder::TEMPLATE => match block::<NewOrder>(header, body) {
                Ok((order, _)) => return self.foresee_new(account, order),
                Err(_) => return,
            },
            Replace::TEMPLATE => match block::<Replace>(header, body) {
                Ok((replace, _)) => (replace.client_order, Some(replace.price)),
                Err(_) => return,
            },
            Cancel::TEMPLATE | Reduce::TEMPLATE => match body.first_chunk() {
                Some(number) => (ClientOrderId(u64::from_le_bytes(*number)), None),
                None => return,
            },
            _ => return,
        };
        let index = self.orders.guess(hash(account, client_order));
        if index != NONE {
            self.foresight.changes.note(Change { index, price });
        }
    }

    #[inline]
    fn foresee_new(&mut self, account: Account, order: &NewOrder) {
        black_box(self.orders.guess(hash(account, order.client_order)));
        let place = self.instruments.place(order.instrument);
        if let (Some(instrument), Some(side)) = (place, order.side.try_get()) {
            self.foresight.orders.note(New { instrument, side, price: order.price });
        }
    }

    /// Reads orders that are changed, and what stands beside them; then instruments, levels that orders come to, and the last
    /// orders there.
    #[inline]
    pub(super) fn bring_orders_near(&mut self) {
        let Self { foresight: Foresight { changes, orders: new }, orders, levels, instruments, .. } = self;
        for Change { index, .. } in changes.iter() {
            black_box(orders[index].level);
        }
        for Change { index, .. } in changes.iter() {
            let order = &orders[index];
            levels.bring_near(order.level);
            for beside in [order.older, order.newer, order.before, order.after] {
                if beside != NONE {
                    black_box(orders[beside].level);
                }
            }
        }
        for Change { index, price } in changes.iter() {
            let Level { instrument, side, price: now, .. } = levels[orders[index].level];
            if let Some(side) = side.try_get() {
                new.note(New { instrument, side, price: price.unwrap_or(now) });
            }
        }
        for New { instrument, side, .. } in new.iter() {
            instruments[instrument].bring_near(side);
        }
        let found = new.soon[..new.count].iter().flatten().map(|New { instrument, side, price }| {
            let book = &instruments[*instrument];
            let ticks = book.terms.ticks(*price).ok()?;
            levels.find(book.half(*side), rank(*side, ticks), ticks)
        });
        let mut at = [None; FORESEEN];
        at.iter_mut().zip(found).for_each(|(at, found)| *at = found);
        for level in at.into_iter().flatten() {
            black_box(orders[levels[level].tail].level);
        }
        (changes.count, new.count) = (0, 0);
    }
}
