//! Orders that rest: one slab, their queues at each level, and the ways to find them.

use super::accounts::{Accounts, Holder};
use super::instruments::Instruments;
use super::levels::{BOOK, Level, Levels, NONE, UNPRICED};
use super::messages::{
    ClientOrderId, DeclineReason, MatchingLimits, OnDisconnectCode, OrderId, OrderType, OrderTypeCode, Phase,
    QUANTITY_MAX,
};
use super::specials::{AT_CLOSE, AT_OPEN, ForAuction, IN_AUCTIONS, PEG, Special, Specials};
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::{KeyIndex, Slab, Timers};
use ringfence_kernel::state::fold;
use ringfence_kernel::{Account, Corrupt, Sink, Source, Timestamp};

/// One order in a book: a cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Order {
    /// The engine's number.
    pub(super) order: OrderId,
    /// The client's number.
    pub(super) client_order: ClientOrderId,
    /// What is open; zero only in a freed place.
    pub(super) remaining: u64,
    /// What has traded.
    pub(super) filled: u64,
    /// Its account's place.
    pub(super) account: u32,
    /// Its level.
    pub(super) level: u32,
    /// The next older and the next newer order at its level.
    pub(super) older: u32,
    pub(super) newer: u32,
    /// The order that its account entered before it and after it, of those that rest.
    pub(super) before: u32,
    pub(super) after: u32,
    /// As which type it came in; none only in a freed place.
    pub(super) order_type: OrderTypeCode,
    /// What becomes of it when its account's session closes.
    pub(super) on_disconnect: OnDisconnectCode,
    /// 1 when it ends by itself: its deadline is among the timers.
    pub(super) timed: u8,
    /// Zero, or for which auction alone it stands: what it said of its time.
    pub(super) only: u8,
    /// What stands beside it in `Specials`, or [`NONE`].
    pub(super) special: u32,
}

impl Order {
    /// An order that came in so, in no list.
    #[inline]
    pub(super) fn new(order_type: OrderTypeCode, on_disconnect: OnDisconnectCode) -> Self {
        Self {
            order: OrderId(0),
            client_order: ClientOrderId(0),
            remaining: 0,
            filled: 0,
            account: NONE,
            level: NONE,
            older: NONE,
            newer: NONE,
            before: NONE,
            after: NONE,
            order_type,
            on_disconnect,
            timed: 0,
            only: 0,
            special: NONE,
        }
    }

    /// Whether an order that rests can have these bytes.
    fn is_sound(&self) -> bool {
        self.remaining > 0
            && self.remaining.saturating_add(self.filled) <= QUANTITY_MAX
            && self.order_type.try_get().is_some()
            && self.on_disconnect.try_get().is_some()
            && self.timed <= 1
            && match self.only {
                0 => true,
                AT_OPEN | AT_CLOSE => matches!(self.order_type.get(), OrderType::Limit | OrderType::Market),
                IN_AUCTIONS => self.is_unpriced(),
                _ => false,
            }
    }

    /// Whether it displays all of it, stands for more than an auction and may trade when it is replaced.
    #[inline(always)]
    pub(super) fn is_plain(&self) -> bool {
        let can_trade =
            self.order_type != OrderType::PostOnly.into() && self.order_type != OrderType::PostOnlySlide.into();
        self.special == NONE && self.only == 0 && can_trade
    }

    /// Whether it is a market order in an auction.
    #[inline]
    pub(super) fn is_unpriced(&self) -> bool {
        self.only != 0 && self.order_type == OrderType::Market.into()
    }
}

/// All orders that rest, in whichever book.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    orders: Slab<Order>,
    pub(super) accounts: Accounts,
    /// What stops know beyond other orders.
    pub(super) specials: Specials,
    /// Those that stand for an auction alone.
    pub(super) for_auction: ForAuction,
    /// Finds an order by its account and the client's number.
    by_client: KeyIndex,
    /// When orders end.
    timers: Timers,
}

impl core::ops::Index<u32> for Orders {
    type Output = Order;
    #[inline]
    fn index(&self, index: u32) -> &Order {
        &self.orders[index]
    }
}

impl core::ops::IndexMut<u32> for Orders {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut Order {
        &mut self.orders[index]
    }
}

/// Where an order is looked for. Sixteen numbers that follow each other stand side by side: clients count, and a
/// client who counts then touches few cache lines and pages.
#[inline(always)]
pub(super) fn hash(account: Account, client_order: ClientOrderId) -> u64 {
    let ClientOrderId(number) = client_order;
    fold(number >> 4 ^ 0x9e37_79b9_7f4a_7c15, u64::from(account.0) ^ 0xd6e8_feb8_6659_fd93).wrapping_add(number & 15)
}

impl Orders {
    pub(super) fn new(limits: &MatchingLimits) -> Self {
        let (orders, accounts) = (limits.orders as usize, limits.accounts as usize);
        let (instruments, specials) = (limits.instruments as usize, limits.specials as usize);
        Self {
            orders: Slab::new(orders),
            accounts: Accounts::new(accounts, limits.readers as usize),
            specials: Specials::new(instruments, specials),
            for_auction: ForAuction::new(instruments, specials),
            by_client: KeyIndex::new(orders),
            timers: Timers::new(orders),
        }
    }

    /// Orders that still fit.
    #[inline]
    pub(super) fn room(&self) -> usize {
        self.orders.room()
    }

    /// Whether no order fits any more.
    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        self.orders.is_full()
    }

    /// The live order that `account` calls `client_order`.
    #[inline(always)]
    pub(super) fn find(&self, account: Account, client_order: ClientOrderId) -> Option<u32> {
        self.seek(account, client_order).ok()
    }

    /// How many orders are live.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.orders.len()
    }

    /// Where an order stands, probably, that hashes to `key`: see [`KeyIndex::guess`].
    #[inline]
    pub(super) fn guess(&self, key: u64) -> u32 {
        self.by_client.guess(key)
    }

    /// The live order that `account` calls `client_order`; if there is none, the account's place, if that is known.
    #[inline(always)]
    pub(super) fn seek(&self, account: Account, client_order: ClientOrderId) -> Result<u32, Option<u32>> {
        let holder = self.accounts.find(account).ok_or(None)?;
        self.find_of(holder, hash(account, client_order), client_order).ok_or(Some(holder))
    }

    /// The live order that the account at `holder` calls `client_order`, which both hash to `key`.
    #[inline(always)]
    pub(super) fn find_of(&self, holder: u32, key: u64, client_order: ClientOrderId) -> Option<u32> {
        self.by_client.get(key, |index| {
            let order = &self.orders[index];
            order.client_order == client_order && order.account == holder
        })
    }

    /// Whose order it is.
    #[inline]
    pub(super) fn account(&self, index: u32) -> Account {
        self.accounts[self.orders[index].account].account
    }

    /// Adds a new order of the account at `holder`, last at `level`, which stands at `at`. It ends at `expires` unless
    /// that is zero. There is room for it.
    pub(super) fn add(&mut self, holder: u32, mut order: Order, expires: Timestamp, level: &mut Level, at: u32) -> u32 {
        order.timed = (expires != Timestamp(0)).into();
        let key = hash(self.accounts[holder].account, order.client_order);
        let index = self.add_plain(holder, key, order, level, at);
        if order.timed != 0 {
            self.timers.set(index, expires, order.order.0);
        }
        if order.only != 0 {
            self.for_auction.push(level.instrument, order.only, index);
        }
        index
    }

    /// Adds an order that does not end by itself and stands for more than an auction. It is looked for at `key`.
    #[inline(always)]
    pub(super) fn add_plain(&mut self, holder: u32, key: u64, mut order: Order, level: &mut Level, at: u32) -> u32 {
        debug_assert!(order.remaining > 0, "what rests is open");
        let entered = &mut self.accounts[holder];
        let (before, older) = (entered.last, level.tail);
        (order.account, order.before, order.level, order.older) = (holder, before, at, older);
        level.quantity += order.remaining;
        level.orders += 1;
        let index = self.orders.insert(order).expect("room was looked for");
        let orders = self.orders.places_mut();
        (entered.last, level.tail) = (index, index);
        entered.orders += 1;
        match before {
            NONE => entered.first = index,
            before => orders[before as usize].after = index,
        }
        match older {
            NONE => level.head = index,
            older => orders[older as usize].newer = index,
        }
        self.by_client.insert(key, index).expect("as many keys as orders");
        index
    }

    /// Forgets the order at `index`, which stands in no queue any more, but for what became of it.
    #[inline(always)]
    pub(super) fn remove(&mut self, index: u32, reason: DeclineReason) {
        let orders = self.orders.places_mut();
        let Order { account, client_order, before, after, timed, special, only, .. } = orders[index as usize];
        let holder = &mut self.accounts[account];
        let key = hash(holder.account, client_order);
        holder.orders -= 1;
        match before {
            NONE => holder.first = after,
            before => orders[before as usize].after = after,
        }
        match after {
            NONE => holder.last = before,
            after => orders[after as usize].before = before,
        }
        if timed != 0 || special != NONE || only != 0 {
            self.forget(index);
        }
        self.orders.clear(index);
        self.by_client.remove(key, index);
        self.accounts.remember(account, client_order, reason);
    }

    /// Takes what few orders have out of where it is: a deadline, something beside it, an auction alone.
    #[cold]
    #[inline(never)]
    fn forget(&mut self, index: u32) {
        let Order { timed, special, only, .. } = self.orders[index];
        if timed != 0 {
            self.timers.clear(index);
        }
        if special != NONE {
            self.specials.remove(special, index);
        }
        if only != 0 {
            self.for_auction.remove(index);
        }
    }

    /// The order at `index` is no stop any more.
    pub(super) fn trigger(&mut self, index: u32) -> Special {
        let stop = core::mem::replace(&mut self.orders[index].special, NONE);
        self.specials.remove(stop, index)
    }

    /// Puts the order at `index` last into the queue of `level`, which stands at `at`: what it displays.
    #[inline(always)]
    pub(super) fn queue(&mut self, level: &mut Level, index: u32, at: u32) {
        let orders = self.orders.places_mut();
        let order = &mut orders[index as usize];
        let older = core::mem::replace(&mut level.tail, index);
        (order.level, order.older, order.newer) = (at, older, NONE);
        level.quantity += order.remaining;
        level.orders += 1;
        match older {
            NONE => level.head = index,
            older => orders[older as usize].newer = index,
        }
    }

    /// Takes the order at `index` out of the queue of its level, with what it has open.
    #[inline(always)]
    pub(super) fn leave(&mut self, level: &mut Level, index: u32) {
        let orders = self.orders.places_mut();
        let Order { remaining, older, newer, special, .. } = orders[index as usize];
        if special != NONE {
            let special = &self.specials[special];
            level.hidden -= special.hidden;
            level.pegged -= u32::from(special.kind == PEG && level.waits == BOOK);
        }
        debug_assert!(level.orders > 0 && level.quantity >= remaining, "a level is the sum of its orders");
        level.quantity -= remaining;
        level.orders -= 1;
        // At either end its own link is set instead of a neighbour's, which changes nothing: whether it stands there can
        // be foreseen by nobody, and a branch would be taken wrongly every other time.
        let (is_oldest, is_newest) = (older == NONE, newer == NONE);
        level.head = if is_oldest { newer } else { level.head };
        level.tail = if is_newest { older } else { level.tail };
        orders[if is_oldest { index } else { older } as usize].newer = newer;
        orders[if is_newest { index } else { newer } as usize].older = older;
    }

    /// What the order at `index` has open and does not display, of which it will display more.
    #[inline(always)]
    pub(super) fn hidden(&self, index: u32) -> u64 {
        match self.orders[index].special {
            NONE => 0,
            special => self.specials[special].hidden,
        }
    }

    /// All that the order at `index` has open.
    #[inline(always)]
    pub(super) fn open(&self, index: u32) -> u64 {
        self.orders[index].remaining + self.hidden(index)
    }

    /// The order at `index`, of which nothing is displayed any more, displays the next part, last in its queue at `at`.
    #[cold]
    pub(super) fn refill(&mut self, level: &mut Level, index: u32, at: u32) {
        self.leave(level, index);
        let special = self.orders[index].special;
        let display = self.specials[special].display;
        self.orders[index].remaining = self.specials.uncover(special, display);
        self.queue(level, index, at);
        level.hidden += self.specials[special].hidden;
    }

    /// That much of what the order at `index` displays has traded. When it was all, it displays the next part, or is gone.
    #[inline(always)]
    pub(super) fn fill(&mut self, level: &mut Level, index: u32, at: u32, quantity: u64) {
        let order = &mut self.orders[index];
        order.filled += quantity;
        if order.remaining > quantity {
            order.remaining -= quantity;
            level.quantity -= quantity;
        } else if order.special != NONE && self.specials[order.special].hidden > 0 {
            self.refill(level, index, at);
        } else {
            self.leave(level, index);
            self.remove(index, DeclineReason::Filled);
        }
    }

    /// Whether the order at `index` is pegged.
    #[cold]
    pub(super) fn is_pegged(&self, index: u32) -> bool {
        let special = self.orders[index].special;
        special != NONE && self.specials[special].kind == PEG
    }

    /// The orders of a level, oldest first.
    pub(super) fn queue_of(&self, level: &Level) -> impl Iterator<Item = u32> + use<'_> {
        let first = (level.head != NONE).then_some(level.head);
        core::iter::successors(first, |index| Some(self.orders[*index].newer).filter(|newer| *newer != NONE))
    }

    /// The order that ends next, and when.
    #[inline]
    pub(super) fn next_to_expire(&self) -> Option<(Timestamp, u32)> {
        self.timers.first()
    }

    /// When the order at `index` ends; zero when it does not by itself.
    pub(super) fn expires(&self, index: u32) -> Timestamp {
        self.timers.get(index).unwrap_or_default()
    }

    /// The order of `instrument` that was entered first, of those for an auction alone that do not stand in `phase`.
    pub(super) fn first_that_ends(&self, instrument: u32, phase: Phase) -> Option<u32> {
        let ends = self.for_auction.that_end(instrument, phase);
        ends.into_iter().flatten().min_by_key(|index| self.orders[*index].order)
    }

    /// The first order of `account`, as they were entered.
    pub(super) fn first_of(&self, account: Account) -> Option<u32> {
        let holder = self.accounts.find(account)?;
        Some(self.accounts[holder].first).filter(|index| *index != NONE)
    }

    /// The order that the same account entered next.
    pub(super) fn next_of(&self, index: u32) -> Option<u32> {
        Some(self.orders[index].after).filter(|index| *index != NONE)
    }

    /// Every order that rests, by place.
    #[cfg(any(test, feature = "models"))]
    pub(super) fn live(&self) -> impl Iterator<Item = &Order> {
        self.orders.entries().iter().filter(|order| order.remaining > 0)
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        self.accounts.save(sink);
        self.orders.save(sink);
        self.specials.save(sink);
        for (index, order) in (0..).zip(self.orders.entries()) {
            if order.timed != 0 {
                sink.value(&self.expires(index));
            }
        }
    }

    /// What [`Orders::save`] wrote, every link of every list followed once.
    pub(super) fn load(
        limits: &MatchingLimits,
        instruments: &Instruments,
        levels: &Levels,
        last_order: OrderId,
        source: &mut impl Source,
    ) -> Result<Self, Corrupt> {
        let (instruments_max, specials_max) = (limits.instruments as usize, limits.specials as usize);
        let mut orders = Self {
            accounts: Accounts::load(limits.accounts as usize, limits.readers as usize, source)?,
            orders: Slab::load(limits.orders as usize, source)?,
            specials: Specials::load(instruments_max, specials_max, source)?,
            ..Self::new(limits)
        };
        let mut beside = 0;
        // As they were entered: those that trail and those for an auction, and in the end all.
        let mut entered = alloc::vec::Vec::with_capacity(orders.orders.len());
        for index in 0..orders.orders.entries().len() as u32 {
            let Order { order, timed, .. } = orders.orders[index];
            if timed != 0 {
                orders.timers.set(index, source.value()?, order.0);
            }
        }
        let mut walk = Walk { left: orders.orders.len(), seen: alloc::vec![0; orders.orders.entries().len()] };
        for (index, level) in (0..).zip(levels.entries()).filter(|(_, level)| level.orders > 0) {
            let (mut sum, mut hidden, mut pegged) = (0_u64, 0_u128, 0);
            let (mut at, mut older) = (level.head, NONE);
            for _ in 0..level.orders {
                let order = walk.see(&orders.orders, at, 1)?;
                if order.level != index || order.older != older || !order.is_sound() {
                    return Err(Corrupt("the queue of a level"));
                }
                let plain = matches!(level.waits, BOOK | UNPRICED);
                if !plain && order.special == NONE || (level.waits == UNPRICED) != order.is_unpriced() {
                    return Err(Corrupt("an order outside the book"));
                }
                if order.special != NONE {
                    let terms = &instruments[level.instrument].terms;
                    let special = orders.specials.check(&order, level, terms)?;
                    hidden += u128::from(special.hidden);
                    pegged += u32::from(special.kind == PEG && level.waits == BOOK);
                    beside += 1;
                }
                entered.push((order.order, at));
                sum = sum.checked_add(order.remaining).ok_or(Corrupt("the quantity of a level"))?;
                (older, at) = (at, order.newer);
            }
            let summed = (at, older, sum, hidden, pegged);
            if summed != (NONE, level.tail, level.quantity, level.hidden.into(), level.pegged) {
                return Err(Corrupt("the sum of a level"));
            }
        }
        if walk.left != 0 {
            return Err(Corrupt("orders outside all levels"));
        }
        if beside != orders.specials.len() {
            return Err(Corrupt("a stop without an order"));
        }
        entered.sort_unstable();
        let numbered = entered.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !numbered || entered.last().is_some_and(|(newest, _)| *newest > last_order) {
            return Err(Corrupt("the numbers of orders"));
        }
        for (_, at) in entered {
            orders.enlist(at, levels)?;
        }
        walk.left = orders.orders.len();
        for holder in 0..orders.accounts.len() {
            let Holder { account, first, last, orders: entered, .. } = orders.accounts[holder];
            let (mut at, mut before, mut count) = (first, NONE, 0);
            while at != NONE {
                let order = walk.see(&orders.orders, at, 2)?;
                if order.account != holder || order.before != before {
                    return Err(Corrupt("the orders of an account"));
                }
                if orders.find(account, order.client_order).is_some() {
                    return Err(Corrupt("a client's order number twice"));
                }
                let key = hash(account, order.client_order);
                orders.by_client.insert(key, at).expect("as many keys as orders");
                (before, at, count) = (at, order.after, count + 1);
            }
            if (before, count) != (last, entered) {
                return Err(Corrupt("the last order of an account"));
            }
        }
        if walk.left == 0 { Ok(orders) } else { Err(Corrupt("orders without an account")) }
    }
}

impl Orders {
    /// After loading: puts the order at `index`, which was entered last, into the lists where it is looked for.
    fn enlist(&mut self, index: u32, levels: &Levels) -> Result<(), Corrupt> {
        let Order { only, special, level, .. } = self.orders[index];
        let instrument = levels[level].instrument;
        if only != 0 && self.for_auction.room() == 0 {
            return Err(Corrupt("the number of orders for an auction"));
        }
        if only != 0 {
            self.for_auction.push(instrument, only, index);
        }
        if special != NONE {
            let special = self.specials[special];
            self.specials.enlist(&special, index);
        }
        Ok(())
    }
}

/// Follows lists that may be corrupt: every order is met once in each round.
struct Walk {
    left: usize,
    seen: alloc::vec::Vec<u8>,
}

impl Walk {
    fn see(&mut self, orders: &Slab<Order>, at: u32, round: u8) -> Result<Order, Corrupt> {
        let seen = self.seen.get_mut(at as usize).ok_or(Corrupt("an order outside the slab"))?;
        if *seen + 1 != round || self.left == 0 {
            return Err(Corrupt("an order in two lists"));
        }
        *seen = round;
        self.left -= 1;
        Ok(orders[at])
    }
}
