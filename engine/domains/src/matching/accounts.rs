//! Accounts that have orders, or had: what holds for all of them, and what became of those that ended last.

use super::levels::NONE;
use super::messages::{
    ClientOrderId, DeclineReason, DeclineReasonCode, KillSwitch, KillSwitchCode, OnDisconnect, OnDisconnectCode,
    Quantity, SelfTrade, SelfTradeCode,
};
use super::transfers::LastTransfer;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::{HashIndex, Slab};
use ringfence_kernel::{Account, Corrupt, Sink, Source};

/// Someone who has orders, or had.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Holder {
    pub(super) account: Account,
    /// The first and the last of its orders that rest, as they were entered.
    pub(super) first: u32,
    pub(super) last: u32,
    /// How many these are.
    pub(super) orders: u32,
    /// Accounts of one group are of the same hands; zero is none.
    group: u32,
    /// On: it has no orders and enters none.
    kill_switch: KillSwitchCode,
    /// What becomes of all its orders when its session closes.
    pub(super) on_disconnect: OnDisconnectCode,
    /// What happens when one of its orders comes in and meets one of the same hands.
    self_trade: SelfTradeCode,
    reserved: u8,
}

/// Up to what an account's orders are let in; zero where there is no such limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct OrderLimits {
    /// The quantity of one.
    pub(super) order_quantity: Quantity,
    /// Its quantity times its price, whatever the sign.
    pub(super) order_value: u64,
    /// How many stand or wait at once.
    pub(super) orders: u64,
}

/// Accounts of numbers below this are found without a search. Clients count from 1, too.
const LOW: usize = 1 << 16;
/// How many of an account's orders are remembered after their end.
const ENDED: usize = 64;

/// The orders of an account that ended last, one for each remainder of the client's numbers. Clients count: so these
/// are about the last, and each is found at once.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Ended {
    client_orders: [ClientOrderId; ENDED],
    /// What is said of each: filled, or cancelled; zero where there is none.
    reasons: [DeclineReasonCode; ENDED],
}

impl Ended {
    #[inline]
    fn remember(&mut self, client_order: ClientOrderId, reason: DeclineReason) {
        let at = client_order.0 as usize % ENDED;
        (self.client_orders[at], self.reasons[at]) = (client_order, reason.into());
    }

    /// What is said of the last order of that number.
    #[inline]
    fn find(&self, client_order: ClientOrderId) -> Option<DeclineReason> {
        let at = client_order.0 as usize % ENDED;
        self.reasons[at].try_get().filter(|_| self.client_orders[at] == client_order)
    }

    fn is_sound(&self) -> bool {
        (0..ENDED).zip(self.client_orders).zip(self.reasons).all(|((at, client_order), reason)| {
            match reason.try_get() {
                Some(DeclineReason::Filled | DeclineReason::Cancelled) => client_order.0 as usize % ENDED == at,
                Some(_) => false,
                None => reason == DeclineReasonCode::zeroed() && client_order == ClientOrderId(0),
            }
        })
    }
}

/// All accounts that are known, by place.
#[derive(Clone, Debug)]
pub(super) struct Accounts {
    holders: Slab<Holder>,
    /// What each has behind it, by the same place.
    ended: Vec<Ended>,
    /// The limits of each, by the same place.
    limits: Vec<OrderLimits>,
    /// The last transfer of each, by the same place.
    transfers: Vec<LastTransfer>,
    /// The place of each account of a low number and one; zero of one that is not known.
    low: Box<[u32]>,
    /// The places of all others.
    by_account: HashIndex,
    /// How many kill switches are on.
    killed: usize,
    /// Whether any has a kill switch on, limits or a reader of its drop copy: an order that comes in is asked for them.
    looked_at: bool,
    /// How many do not trade with themselves.
    preventing: usize,
    /// How many have limits.
    limited: usize,
    /// Who gets the drop copy of each, by the same place; zero when nobody does.
    readers: Vec<Account>,
    /// Who ever got one.
    all_readers: Vec<Account>,
    readers_max: usize,
    /// How many accounts have a reader.
    copied: usize,
}

impl core::ops::Index<u32> for Accounts {
    type Output = Holder;
    #[inline]
    fn index(&self, place: u32) -> &Holder {
        &self.holders[place]
    }
}

impl core::ops::IndexMut<u32> for Accounts {
    #[inline]
    fn index_mut(&mut self, place: u32) -> &mut Holder {
        &mut self.holders[place]
    }
}

impl Accounts {
    pub(super) fn new(capacity: usize, readers_max: usize) -> Self {
        Self {
            holders: Slab::new(capacity),
            ended: Vec::with_capacity(capacity),
            limits: Vec::with_capacity(capacity),
            transfers: Vec::with_capacity(capacity),
            low: bytemuck::allocation::zeroed_slice_box(LOW),
            by_account: HashIndex::new(capacity),
            killed: 0,
            looked_at: false,
            preventing: 0,
            limited: 0,
            readers: Vec::with_capacity(capacity),
            all_readers: Vec::with_capacity(readers_max),
            readers_max,
            copied: 0,
        }
    }

    /// Accounts that are known.
    pub(super) fn len(&self) -> u32 {
        self.holders.len() as u32
    }

    /// The place of an account that is known.
    #[inline(always)]
    pub(super) fn find(&self, account: Account) -> Option<u32> {
        match self.low.get(account.0 as usize) {
            Some(place) => place.checked_sub(1),
            None => self.by_account.get(account.0.into()),
        }
    }

    /// Whether another account can become known.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.holders.room() > 0
    }

    /// Whether `account` is known or can become so.
    pub(super) fn has_room_for(&self, account: Account) -> bool {
        self.has_room() || self.find(account).is_some()
    }

    /// The place of `account`, which is known from now on. There is room for it.
    #[inline]
    pub(super) fn place(&mut self, account: Account) -> u32 {
        match self.find(account) {
            Some(place) => place,
            None => self.add(account),
        }
    }

    /// The place of `account`, which was not known. There is room for it.
    #[cold]
    pub(super) fn add(&mut self, account: Account) -> u32 {
        let holder = Holder {
            account,
            first: NONE,
            last: NONE,
            orders: 0,
            group: 0,
            kill_switch: KillSwitch::Off.into(),
            on_disconnect: OnDisconnect::Keep.into(),
            self_trade: SelfTrade::Allow.into(),
            reserved: 0,
        };
        let place = self.holders.insert(holder).expect("room was looked for");
        self.ended.push(Ended::zeroed());
        self.limits.push(OrderLimits::zeroed());
        self.transfers.push(LastTransfer::zeroed());
        self.readers.push(Account(0));
        let known = self.name(account, place);
        debug_assert!(!known, "an account is added once");
        place
    }

    /// From now on `account` is found at `place`; gives whether it was at another.
    fn name(&mut self, account: Account, place: u32) -> bool {
        let before = match self.low.get_mut(account.0 as usize) {
            Some(low) => core::mem::replace(low, place + 1).checked_sub(1),
            None => self.by_account.insert(account.0.into(), place).expect("as many keys as holders"),
        };
        before.is_some()
    }

    /// Whether the kill switch of `account` is on.
    pub(super) fn is_killed(&self, account: Account) -> bool {
        self.killed > 0 && self.find(account).is_some_and(|place| self[place].is_killed())
    }

    /// Whether any account has a kill switch on, limits, or a reader of its drop copy. Seldom has one.
    #[inline]
    pub(super) fn looks_at_any(&self) -> bool {
        self.looked_at
    }

    fn see_looked_at(&mut self) {
        self.looked_at = self.killed > 0 || self.limited > 0 || self.copied > 0;
    }

    pub(super) fn set_kill_switch(&mut self, place: u32, kill_switch: KillSwitch) {
        self.killed -= usize::from(self[place].is_killed());
        self[place].kill_switch = kill_switch.into();
        self.killed += usize::from(self[place].is_killed());
        self.see_looked_at();
    }

    pub(super) fn set_self_trade(&mut self, place: u32, group: u32, self_trade: SelfTrade) {
        let holder = &mut self.holders[place];
        self.preventing -= usize::from(holder.self_trade.get() != SelfTrade::Allow);
        (holder.group, holder.self_trade) = (group, self_trade.into());
        self.preventing += usize::from(self_trade != SelfTrade::Allow);
    }

    pub(super) fn set_limits(&mut self, place: u32, limits: OrderLimits) {
        let known = core::mem::replace(&mut self.limits[place as usize], limits);
        self.limited -= usize::from(known != OrderLimits::zeroed());
        self.limited += usize::from(limits != OrderLimits::zeroed());
        self.see_looked_at();
    }

    pub(super) fn limits(&self, place: u32) -> OrderLimits {
        self.limits[place as usize]
    }

    pub(super) fn transfer(&self, place: u32) -> LastTransfer {
        self.transfers[place as usize]
    }

    pub(super) fn set_transfer(&mut self, place: u32, transfer: LastTransfer) {
        self.transfers[place as usize] = transfer;
    }

    /// Whether `reader` may get drop copies, as well as those who do.
    pub(super) fn has_room_for_reader(&self, reader: Account) -> bool {
        reader == Account(0) || self.all_readers.len() < self.readers_max || self.all_readers.contains(&reader)
    }

    /// From now on `reader`, for whom there is room, gets the drop copy of the account at `place`; nobody when it is
    /// zero.
    pub(super) fn set_reader(&mut self, place: u32, reader: Account) {
        if reader != Account(0) && !self.all_readers.contains(&reader) {
            self.all_readers.push(reader);
        }
        let known = core::mem::replace(&mut self.readers[place as usize], reader);
        self.copied -= usize::from(known != Account(0));
        self.copied += usize::from(reader != Account(0));
        self.see_looked_at();
    }

    /// Who gets the drop copy of the account at `place`.
    pub(super) fn reader(&self, place: u32) -> Option<Account> {
        Some(self.readers[place as usize]).filter(|reader| *reader != Account(0))
    }

    /// Whether anyone gets a drop copy.
    #[inline]
    pub(super) fn copies_any(&self) -> bool {
        self.copied > 0
    }

    /// Whether any account has limits.
    #[inline]
    pub(super) fn limit_any(&self) -> bool {
        self.limited > 0
    }

    /// Whether any account does not trade with itself.
    #[inline]
    pub(super) fn prevent_any(&self) -> bool {
        self.preventing > 0
    }

    /// What happens when an order of `taker` meets one of the account at `maker`; none when they are of other hands.
    pub(super) fn prevention(&self, taker: Account, maker: u32) -> Option<SelfTrade> {
        let place = self.find(taker)?;
        let (taker, other) = (&self[place], &self[maker]);
        let same = place == maker || taker.group != 0 && taker.group == other.group;
        same.then_some(taker.self_trade.get())
    }

    /// What holds for `account`, known or not: its group, and what was set.
    pub(super) fn settings(&self, account: Account) -> (u32, KillSwitchCode, OnDisconnectCode, SelfTradeCode) {
        match self.find(account) {
            Some(place) => {
                let Holder { group, kill_switch, on_disconnect, self_trade, .. } = self[place];
                (group, kill_switch, on_disconnect, self_trade)
            }
            None => (0, KillSwitch::Off.into(), OnDisconnect::Keep.into(), SelfTrade::Allow.into()),
        }
    }

    /// Remembers what became of an order of the account at `place`.
    #[inline(always)]
    pub(super) fn remember(&mut self, place: u32, client_order: ClientOrderId, reason: DeclineReason) {
        self.ended[place as usize].remember(client_order, reason);
    }

    /// Why the account at `place`, if it is known, has no live order that it calls `client_order`.
    #[inline]
    pub(super) fn why_gone(&self, place: Option<u32>, client_order: ClientOrderId) -> DeclineReason {
        let ended = place.and_then(|place| self.ended[place as usize].find(client_order));
        ended.unwrap_or(DeclineReason::UnknownOrder)
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        self.holders.save(sink);
        sink.values(&self.ended);
        sink.values(&self.limits);
        sink.values(&self.transfers);
        sink.values(&self.readers);
        sink.value(&(self.all_readers.len() as u64));
        sink.values(&self.all_readers);
    }

    /// What [`Accounts::save`] wrote. Whether the lists of orders are whole is for [`super::orders`] to see.
    pub(super) fn load(capacity: usize, readers_max: usize, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut accounts = Self { holders: Slab::load(capacity, source)?, ..Self::new(capacity, readers_max) };
        if accounts.holders.len() != accounts.holders.entries().len() {
            return Err(Corrupt("an account that was freed"));
        }
        for place in 0..accounts.len() {
            let holder = accounts[place];
            if accounts.name(holder.account, place) {
                return Err(Corrupt("an account twice"));
            }
            if !holder.is_sound() {
                return Err(Corrupt("what holds for an account"));
            }
            accounts.killed += usize::from(holder.is_killed());
            accounts.preventing += usize::from(holder.self_trade.get() != SelfTrade::Allow);
            let ended: Ended = source.value()?;
            if !ended.is_sound() {
                return Err(Corrupt("what is remembered of an account"));
            }
            accounts.ended.push(ended);
        }
        for place in 0..accounts.len() {
            accounts.limits.push(OrderLimits::zeroed());
            accounts.set_limits(place, source.value()?);
        }
        for _ in 0..accounts.len() {
            let transfer: LastTransfer = source.value()?;
            if !transfer.is_sound() {
                return Err(Corrupt("the last transfer of an account"));
            }
            accounts.transfers.push(transfer);
        }
        accounts.load_readers(source)?;
        Ok(accounts)
    }

    fn load_readers(&mut self, source: &mut impl Source) -> Result<(), Corrupt> {
        for _ in 0..self.len() {
            self.readers.push(source.value()?);
        }
        for _ in 0..source.count(self.readers_max, "the readers of drop copies")? {
            let reader = source.value()?;
            if reader == Account(0) || self.all_readers.contains(&reader) {
                return Err(Corrupt("a reader of drop copies"));
            }
            self.all_readers.push(reader);
        }
        let has_reader = |reader: &&Account| **reader != Account(0);
        if self.readers.iter().filter(has_reader).any(|reader| !self.all_readers.contains(reader)) {
            return Err(Corrupt("the reader of an account"));
        }
        self.copied = self.readers.iter().filter(has_reader).count();
        self.see_looked_at();
        Ok(())
    }
}

impl Holder {
    fn is_killed(&self) -> bool {
        self.kill_switch.get() == KillSwitch::On
    }

    fn is_sound(&self) -> bool {
        let killed = self.kill_switch.try_get().map(|kill_switch| kill_switch == KillSwitch::On);
        killed.is_some_and(|killed| !killed || (self.first, self.last) == (NONE, NONE))
            && self.on_disconnect.try_get().is_some()
            && self.self_trade.try_get().is_some()
            && self.reserved == 0
    }
}
