//! What stops know beyond other orders, while they wait: what each becomes, and which of them trail; and which orders
//! stand for an auction alone.

use super::levels::{BOOK, HIDDEN, Level, WAITS};
use super::messages::{OrderId, OrderType, Phase, Price, TimeInForce, TimeInForceCode};
use super::orders::Order;
use alloc::vec::Vec;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::Slab;
use ringfence_kernel::{Corrupt, Sink, Source};

/// What stands beside an order that waits for its trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Special {
    /// Whose this is.
    pub(super) order: OrderId,
    /// The worst price at which it will trade; zero when it becomes a market order.
    pub(super) price: Price,
    /// How far its trigger follows the last trade's price; zero when it does not.
    pub(super) trail: Price,
    /// The place of its instrument.
    pub(super) instrument: u32,
    /// How long it then stays.
    pub(super) time_in_force: TimeInForceCode,
    pub(super) kind: u8,
    pub(super) reserved: [u8; 2],
    /// What is not displayed of an order that displays something; no part of what it has open beside this.
    pub(super) hidden: u64,
    /// How much it displays at once; zero when it displays nothing.
    pub(super) display: u64,
    /// How much it trades at once at least.
    pub(super) minimum: u64,
}

/// Of which kind a [`Special`] is.
pub(super) const STOP: u8 = 1;
pub(super) const RESERVE: u8 = 2;

/// A stop that trails: the place of its instrument, its number and its own place.
type Trailing = (u32, OrderId, u32);

/// All stops that wait.
#[derive(Clone, Debug)]
pub(super) struct Specials {
    specials: Slab<Special>,
    /// Those that trail, by instrument and as they were entered. Built again when it is loaded.
    trailing: Vec<Trailing>,
}

impl core::ops::Index<u32> for Specials {
    type Output = Special;
    fn index(&self, place: u32) -> &Special {
        &self.specials[place]
    }
}

impl Specials {
    pub(super) fn new(capacity: usize) -> Self {
        Self { specials: Slab::new(capacity), trailing: Vec::with_capacity(capacity) }
    }

    pub(super) fn len(&self) -> usize {
        self.specials.len()
    }

    /// Specials that still fit.
    pub(super) fn room(&self) -> usize {
        self.specials.room()
    }

    /// Takes away of what is not displayed; gives how much there was.
    pub(super) fn uncover(&mut self, place: u32, most: u64) -> u64 {
        let special = &mut self.specials[place];
        let quantity = special.hidden.min(most);
        special.hidden -= quantity;
        quantity
    }

    /// Adds that of the order at `index`; there is room.
    pub(super) fn insert(&mut self, stop: Special, index: u32) -> u32 {
        self.follow(&stop, index);
        self.specials.insert(stop).expect("room was looked for")
    }

    /// Takes out that of the order at `index`.
    #[cold]
    pub(super) fn remove(&mut self, place: u32, index: u32) -> Special {
        let stop = self.specials.remove(place);
        if stop.trail != Price(0) {
            let at = self.trailing.binary_search(&(stop.instrument, stop.order, index)).expect("it trails");
            self.trailing.remove(at);
        }
        stop
    }

    fn follow(&mut self, stop: &Special, index: u32) {
        if stop.trail != Price(0) {
            let trailing = (stop.instrument, stop.order, index);
            let at = self.trailing.partition_point(|known| *known < trailing);
            self.trailing.insert(at, trailing);
        }
    }

    /// Where those of `instrument` that trail begin.
    pub(super) fn first_trailing(&self, instrument: u32) -> usize {
        self.trailing.partition_point(|(of, ..)| *of < instrument)
    }

    /// The place of the order that trails there, if it is one of `instrument`.
    pub(super) fn trailing(&self, at: usize, instrument: u32) -> Option<u32> {
        self.trailing.get(at).filter(|(of, ..)| *of == instrument).map(|(.., index)| *index)
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        self.specials.save(sink);
    }

    /// What [`Specials::save`] wrote. Which trail is found when they are hung up.
    pub(super) fn load(capacity: usize, source: &mut impl Source) -> Result<Self, Corrupt> {
        Ok(Self { specials: Slab::load(capacity, source)?, ..Self::new(capacity) })
    }

    /// After loading: the order at `index`, which waits at `level`, has the stop at `place` beside it.
    pub(super) fn hang(&mut self, place: u32, index: u32, order: OrderId, level: &Level) -> Result<(), Corrupt> {
        let stop = *self.specials.entries().get(place as usize).ok_or(Corrupt("a stop outside the slab"))?;
        let known = stop.time_in_force.try_get().is_some() && stop.trail.0 >= 0 && stop.reserved == [0; 2];
        let placed = match (level.waits, stop.kind) {
            (WAITS, STOP) => stop.hidden == 0 && stop.display == 0 && stop.minimum == 0,
            (BOOK, RESERVE) => stop.trail == Price(0) && stop.display > 0 && stop.minimum == 0,
            (HIDDEN, RESERVE) => stop.trail == Price(0) && stop.display == 0 && stop.hidden == 0,
            _ => false,
        };
        if !known || !placed || stop.order != order || stop.instrument != level.instrument {
            return Err(Corrupt("what stands beside an order"));
        }
        self.follow(&stop, index);
        Ok(())
    }
}

/// How [`Order::only`] says for which auction an order stands.
pub(super) const AT_OPEN: u8 = TimeInForce::AtOpen as u8;
pub(super) const AT_CLOSE: u8 = TimeInForce::AtClose as u8;

/// Orders that stand for an auction alone, by instrument and as they were entered. Built again when it is loaded.
#[derive(Clone, Debug)]
pub(super) struct ForAuction {
    orders: Vec<(u32, OrderId, u32, TimeInForce)>,
    capacity: usize,
}

impl ForAuction {
    pub(super) fn new(capacity: usize) -> Self {
        Self { orders: Vec::with_capacity(capacity), capacity }
    }

    /// Orders that still fit.
    pub(super) fn room(&self) -> usize {
        self.capacity - self.orders.len()
    }

    /// Adds the order at `index`; there is room.
    #[cold]
    pub(super) fn insert(&mut self, instrument: u32, order: &Order, index: u32) {
        let auction = if order.only == AT_OPEN { TimeInForce::AtOpen } else { TimeInForce::AtClose };
        let at = self.orders.partition_point(|(of, number, ..)| (*of, *number) < (instrument, order.order));
        self.orders.insert(at, (instrument, order.order, index, auction));
    }

    #[cold]
    pub(super) fn remove(&mut self, index: u32) {
        let at = self.orders.iter().position(|(.., known, _)| *known == index).expect("it stands for an auction");
        self.orders.remove(at);
    }

    /// The first of `instrument` that does not stand in `phase`.
    pub(super) fn first_that_ends(&self, instrument: u32, phase: Phase) -> Option<u32> {
        let first = self.orders.partition_point(|(of, ..)| *of < instrument);
        let of_it = self.orders[first..].iter().take_while(|(of, ..)| *of == instrument);
        let mut ends = of_it.filter(|(.., auction)| !phase.takes(OrderType::Limit, *auction));
        ends.next().map(|(_, _, index, _)| *index)
    }
}
