//! Accounts that have orders, or had: what holds for all of them, and what became of those that ended last.

use super::levels::NONE;
use super::messages::{
    ClientOrderId, DeclineReason, DeclineReasonCode, KillSwitch, KillSwitchCode, OnDisconnect, OnDisconnectCode,
};
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
    /// On: it has no orders and enters none.
    kill_switch: KillSwitchCode,
    /// What becomes of all its orders when its session closes.
    pub(super) on_disconnect: OnDisconnectCode,
    reserved: [u8; 2],
}

/// How many of an account's orders are remembered after their end.
const ENDED: usize = 64;

/// The orders of an account that ended last.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Ended {
    /// The client's numbers, each until [`ENDED`] others have ended after it.
    client_orders: [ClientOrderId; ENDED],
    /// What is said of each: filled, or cancelled.
    reasons: [DeclineReasonCode; ENDED],
    /// How many orders have ended.
    count: u64,
}

impl Ended {
    #[inline]
    fn remember(&mut self, client_order: ClientOrderId, reason: DeclineReason) {
        let at = self.count as usize % ENDED;
        self.client_orders[at] = client_order;
        self.reasons[at] = reason.into();
        self.count += 1;
    }

    /// What is said of the last order of that number.
    fn find(&self, client_order: ClientOrderId) -> Option<DeclineReason> {
        let newest_first = self.places().rev().find(|at| self.client_orders[*at] == client_order);
        newest_first.map(|at| self.reasons[at].get())
    }

    /// Where the orders stand that are remembered, oldest first.
    fn places(&self) -> impl DoubleEndedIterator<Item = usize> {
        (self.count.saturating_sub(ENDED as u64)..self.count).map(|count| count as usize % ENDED)
    }

    fn is_sound(&self) -> bool {
        let known = [Some(DeclineReason::Filled), Some(DeclineReason::Cancelled)];
        self.places().all(|at| known.contains(&self.reasons[at].try_get()))
    }
}

/// All accounts that are known, by place.
#[derive(Clone, Debug)]
pub(super) struct Accounts {
    holders: Slab<Holder>,
    /// What each has behind it, by the same place.
    ended: Vec<Ended>,
    by_account: HashIndex,
    /// How many kill switches are on.
    killed: usize,
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
    pub(super) fn new(capacity: usize) -> Self {
        let (holders, ended) = (Slab::new(capacity), Vec::with_capacity(capacity));
        Self { holders, ended, by_account: HashIndex::new(capacity), killed: 0 }
    }

    /// Accounts that are known.
    pub(super) fn len(&self) -> u32 {
        self.holders.len() as u32
    }

    /// The place of an account that is known.
    #[inline]
    pub(super) fn find(&self, account: Account) -> Option<u32> {
        self.by_account.get(account.0.into())
    }

    /// Whether `account` is known or can become so.
    #[inline]
    pub(super) fn has_room_for(&self, account: Account) -> bool {
        self.holders.room() > 0 || self.find(account).is_some()
    }

    /// The place of `account`, which is known from now on. There is room for it.
    #[inline]
    pub(super) fn place(&mut self, account: Account) -> u32 {
        match self.find(account) {
            Some(place) => place,
            None => self.add(account),
        }
    }

    #[cold]
    fn add(&mut self, account: Account) -> u32 {
        let holder = Holder {
            account,
            first: NONE,
            last: NONE,
            kill_switch: KillSwitch::Off.into(),
            on_disconnect: OnDisconnect::Keep.into(),
            reserved: [0; 2],
        };
        let place = self.holders.insert(holder).expect("room was looked for");
        self.ended.push(Ended::zeroed());
        self.by_account.insert(account.0.into(), place).expect("as many keys as holders");
        place
    }

    /// Whether the kill switch of `account` is on. Seldom is any.
    #[inline]
    pub(super) fn is_killed(&self, account: Account) -> bool {
        self.killed > 0 && self.finds_killed(account)
    }

    #[cold]
    fn finds_killed(&self, account: Account) -> bool {
        self.find(account).is_some_and(|place| self[place].is_killed())
    }

    pub(super) fn set_kill_switch(&mut self, place: u32, kill_switch: KillSwitch) {
        self.killed -= usize::from(self[place].is_killed());
        self[place].kill_switch = kill_switch.into();
        self.killed += usize::from(self[place].is_killed());
    }

    /// Remembers what became of an order of the account at `place`.
    #[inline]
    pub(super) fn remember(&mut self, place: u32, client_order: ClientOrderId, reason: DeclineReason) {
        self.ended[place as usize].remember(client_order, reason);
    }

    /// Remembers what became of an order that never rested. There is room for its account.
    pub(super) fn remember_taker(&mut self, account: Account, client_order: ClientOrderId, reason: DeclineReason) {
        let place = self.place(account);
        self.remember(place, client_order, reason);
    }

    /// Why there is no live order that `account` calls `client_order`.
    pub(super) fn why_gone(&self, account: Account, client_order: ClientOrderId) -> DeclineReason {
        let ended = self.find(account).map(|place| &self.ended[place as usize]);
        ended.and_then(|ended| ended.find(client_order)).unwrap_or(DeclineReason::UnknownOrder)
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        self.holders.save(sink);
        sink.values(&self.ended);
    }

    /// What [`Accounts::save`] wrote. Whether the lists of orders are whole is for [`super::orders`] to see.
    pub(super) fn load(capacity: usize, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut accounts = Self { holders: Slab::load(capacity, source)?, ..Self::new(capacity) };
        if accounts.holders.len() != accounts.holders.entries().len() {
            return Err(Corrupt("an account that was freed"));
        }
        for place in 0..accounts.len() {
            let holder = accounts[place];
            if accounts.by_account.insert(holder.account.0.into(), place) != Ok(None) {
                return Err(Corrupt("an account twice"));
            }
            if !holder.is_sound() {
                return Err(Corrupt("what holds for an account"));
            }
            accounts.killed += usize::from(holder.is_killed());
            let ended: Ended = source.value()?;
            if !ended.is_sound() {
                return Err(Corrupt("what is remembered of an account"));
            }
            accounts.ended.push(ended);
        }
        Ok(accounts)
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
            && self.reserved == [0; 2]
    }
}
