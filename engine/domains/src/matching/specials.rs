//! What stops know beyond other orders, while they wait: what each becomes, and which of them trail; and which orders
//! stand for an auction alone.

use super::entered::Entered;
use super::instruments::Terms;
use super::levels::{BOOK, HIDDEN, Level, PARKED, WAITS};
use super::messages::{OrderId, OrderType, PegCode, Phase, Price, QUANTITY_MAX, TimeInForce, TimeInForceCode};
use super::orders::Order;
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
    /// What a pegged order follows, and whether it is displayed; none of any other.
    pub(super) peg: PegCode,
    pub(super) reserved: u8,
    /// How far a pegged order stands from that.
    pub(super) offset: Price,
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
pub(super) const PEG: u8 = 3;

/// All stops that wait and orders with a reserve.
#[derive(Clone, Debug)]
pub(super) struct Specials {
    specials: Slab<Special>,
    /// Stops that trail, by instrument. Built again when it is loaded.
    trailing: Entered,
    /// Pegged orders, by instrument. Built again when it is loaded.
    pegged: Entered,
}

impl core::ops::Index<u32> for Specials {
    type Output = Special;
    fn index(&self, place: u32) -> &Special {
        &self.specials[place]
    }
}

impl Specials {
    pub(super) fn new(instruments: usize, capacity: usize) -> Self {
        Self {
            specials: Slab::new(capacity),
            trailing: Entered::new(instruments, capacity),
            pegged: Entered::new(instruments, capacity),
        }
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

    /// What the stop becomes, and how far its trigger follows, are other from now on. Whether it follows is not.
    pub(super) fn set_stop(&mut self, place: u32, price: Price, trail: Price) {
        let special = &mut self.specials[place];
        debug_assert!((special.trail == Price(0)) == (trail == Price(0)), "a stop that trails goes on trailing");
        (special.price, special.trail) = (price, trail);
    }

    /// What is not displayed, how much is at a time and the minimum are other from now on.
    pub(super) fn set_reserve(&mut self, place: u32, hidden: u64, display: u64, minimum: u64) {
        let special = &mut self.specials[place];
        (special.hidden, special.display, special.minimum) = (hidden, display, minimum);
    }

    /// Adds that of the order at `index`, which comes after all others of its kind; there is room.
    pub(super) fn insert(&mut self, special: Special, index: u32) -> u32 {
        self.enlist(&special, index);
        self.specials.insert(special).expect("room was looked for")
    }

    /// Takes out that of the order at `index`.
    #[cold]
    pub(super) fn remove(&mut self, place: u32, index: u32) -> Special {
        let special = self.specials.remove(place);
        if special.trail != Price(0) {
            self.trailing.remove(index);
        }
        if special.kind == PEG {
            self.pegged.remove(index);
        }
        special
    }

    /// The stops that trail, by instrument and as they were entered.
    pub(super) fn trailing(&self) -> &Entered {
        &self.trailing
    }

    /// The pegged orders, by instrument and as they were entered.
    pub(super) fn pegged(&self) -> &Entered {
        &self.pegged
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        self.specials.save(sink);
    }

    /// What [`Specials::save`] wrote. Which trail is found when they are hung up.
    pub(super) fn load(instruments: usize, capacity: usize, source: &mut impl Source) -> Result<Self, Corrupt> {
        Ok(Self { specials: Slab::load(capacity, source)?, ..Self::new(instruments, capacity) })
    }

    /// After loading: what stands beside `order`, which stands at `level`, if the two make sense together.
    pub(super) fn check(&self, order: &Order, level: &Level, terms: &Terms) -> Result<Special, Corrupt> {
        let special = self.specials.entries().get(order.special as usize).ok_or(Corrupt("a stop outside the slab"))?;
        let placed = match (level.waits, special.kind) {
            (WAITS, STOP) => special.is_stop(order, terms),
            (BOOK, RESERVE) => special.is_reserve(order) && special.display > 0 && special.minimum == 0,
            (BOOK | HIDDEN | PARKED, PEG) => special.is_peg(order, terms),
            (HIDDEN, RESERVE) => special.is_reserve(order) && special.display == 0 && special.hidden == 0,
            _ => false,
        };
        let its = special.order == order.order && special.instrument == level.instrument && order.only == 0;
        let open = order.remaining.saturating_add(order.filled).saturating_add(special.hidden);
        if !placed || !its || open > QUANTITY_MAX || special.reserved != 0 {
            return Err(Corrupt("what stands beside an order"));
        }
        Ok(*special)
    }

    /// Puts the order at `index`, which comes after all others, into the lists where what stands beside it belongs.
    pub(super) fn enlist(&mut self, special: &Special, index: u32) {
        if special.trail != Price(0) {
            self.trailing.push(special.instrument, index);
        }
        if special.kind == PEG {
            self.pegged.push(special.instrument, index);
        }
    }
}

impl Special {
    /// Whether it can stand beside a stop that was entered so.
    fn is_stop(&self, order: &Order, terms: &Terms) -> bool {
        let prices = match order.order_type.get() {
            OrderType::Limit => self.trail == Price(0) && terms.ticks(self.price).is_ok(),
            OrderType::Market | OrderType::MarketToLimit => self.price == Price(0) && terms.is_distance(self.trail),
            _ => false,
        };
        let time_in_force = self.time_in_force.try_get();
        prices
            && time_in_force.is_some_and(|time| !matches!(time, TimeInForce::AtOpen | TimeInForce::AtClose))
            && order.filled == 0
            && self.follows_nothing()
            && (self.hidden, self.display, self.minimum) == (0, 0, 0)
    }

    /// Whether it can stand beside a pegged order.
    fn is_peg(&self, order: &Order, terms: &Terms) -> bool {
        terms.ticks(self.price).is_ok()
            && self.trail == Price(0)
            && self.time_in_force == TimeInForce::GoodTillCancelled.into()
            && order.order_type == OrderType::Limit.into()
            && (self.hidden, self.display) == (0, 0)
            && self.minimum <= QUANTITY_MAX
            && self
                .peg
                .try_get()
                .is_some_and(|peg| terms.is_offset(peg, self.offset) && (self.minimum == 0 || !peg.is_displayed()))
    }

    fn follows_nothing(&self) -> bool {
        (self.peg, self.offset) == (PegCode::zeroed(), Price(0))
    }

    /// Whether it can stand beside an order that displays a part of itself, or nothing.
    fn is_reserve(&self, order: &Order) -> bool {
        (self.price, self.trail) == (Price(0), Price(0))
            && self.time_in_force == TimeInForce::GoodTillCancelled.into()
            && order.order_type == OrderType::Limit.into()
            && self.follows_nothing()
            && self.minimum <= QUANTITY_MAX
    }
}

/// How [`Order::only`] says for which auction an order stands.
pub(super) const AT_OPEN: u8 = TimeInForce::AtOpen as u8;
pub(super) const AT_CLOSE: u8 = TimeInForce::AtClose as u8;
/// A market order that stands as long as orders are collected.
pub(super) const IN_AUCTIONS: u8 = TimeInForce::GoodTillCancelled as u8;

/// Orders that stand for an auction alone. Built again when it is loaded.
#[derive(Clone, Debug)]
pub(super) struct ForAuction {
    /// Of each instrument those for its opening, those for its closing auction, and those for any.
    orders: Entered,
}

impl ForAuction {
    pub(super) fn new(instruments: usize, capacity: usize) -> Self {
        Self { orders: Entered::new(3 * instruments, capacity) }
    }

    /// Orders that still fit.
    pub(super) fn room(&self) -> usize {
        self.orders.room()
    }

    /// Adds the order at `index`, which stands for the auction that `only` says and comes last; there is room.
    pub(super) fn push(&mut self, instrument: u32, only: u8, index: u32) {
        let list = match only {
            AT_OPEN => 0,
            AT_CLOSE => 1,
            _ => 2,
        };
        self.orders.push(3 * instrument + list, index);
    }

    pub(super) fn remove(&mut self, index: u32) {
        self.orders.remove(index);
    }

    /// The first for the opening, for the closing and for any auction of `instrument`, of those that do not stand in
    /// `phase`.
    pub(super) fn that_end(&self, instrument: u32, phase: Phase) -> [Option<u32>; 3] {
        let first = |stands: bool, list| self.orders.first(3 * instrument + list).filter(|_| !stands);
        [
            first(phase.takes(OrderType::Limit, TimeInForce::AtOpen), 0),
            first(phase.takes(OrderType::Limit, TimeInForce::AtClose), 1),
            first(phase.collects(), 2),
        ]
    }
}
