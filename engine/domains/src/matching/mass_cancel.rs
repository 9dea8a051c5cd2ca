//! What takes many orders out of the books at once: mass cancels, kill switches, sessions that close.

use super::copies::Happened;
use super::levels::{Half, Level, NONE};
use super::messages::{
    CloseReason, Event, Execution, KillSwitch, KillSwitchCode, KillSwitchSet, MassCancel, OnDisconnect,
    OnDisconnectSet, OrderClosed, OrdersCancelled, Price, Quantity, Reject, Reply, Scope, SetKillSwitch,
    SetOnDisconnect, Side, Sides,
};
use super::orders::Order;
use super::removal::OUTPUTS_EACH;
use super::{Matching, Pending};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Context, Out, Progress};

/// Orders that are being cancelled together.
#[derive(Clone, Copy, Debug)]
pub(super) struct MassCancelling {
    filter: Filter,
    walk: Walk,
    reason: CloseReason,
    then: Then,
    /// How much was taken out, in how many orders.
    quantity: u64,
    orders: u32,
}

/// Which of the orders on the way.
#[derive(Clone, Copy, Debug)]
struct Filter {
    instrument: Option<u32>,
    sides: Sides,
    price_min: Price,
    price_max: Price,
    /// Only those that do not outlive their session.
    on_disconnect: bool,
}

/// Where the next order is looked for.
#[derive(Clone, Copy, Debug)]
enum Walk {
    /// From this one on, as their account entered them.
    Account(u32),
    /// From this level on, best first, its orders oldest first; then the other parts of the book, then the instruments
    /// up to `end`.
    Books { instrument: u32, end: u32, part: usize, level: u32 },
}

/// The parts of a book: bids and asks, then the stops to buy and to sell that wait, then what displays nothing, then market
/// orders, then what is pegged and has no price.
const PARTS: usize = 10;

/// What is said at the end.
#[derive(Clone, Copy, Debug)]
enum Then {
    Cancelled,
    KillSwitchSet(Account, KillSwitchCode),
    Nothing,
}

impl Filter {
    const ALL: Self = Self {
        instrument: None,
        sides: Sides::Both,
        price_min: Price(i64::MIN),
        price_max: Price(i64::MAX),
        on_disconnect: false,
    };

    fn has_level(&self, level: &Level) -> bool {
        self.instrument.is_none_or(|instrument| instrument == level.instrument)
            && self.sides.include(level.side.get())
            && (self.price_min..=self.price_max).contains(&level.price)
    }
}

impl Matching {
    #[cold]
    pub(super) fn mass_cancel(
        &mut self,
        context: Context,
        command: &MassCancel,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let scope = command.scope.get();
        if (scope == Scope::Account) != (command.account != Account(0)) {
            return Err(Reject::BadScope);
        }
        if command.price_min > command.price_max {
            return Err(Reject::BadRange);
        }
        let instrument = match command.instrument.0 {
            0 => None,
            _ => Some(self.instruments.place(command.instrument).ok_or(Reject::UnknownInstrument)?),
        };
        let (sides, price_min, price_max) = (command.sides.get(), command.price_min, command.price_max);
        let filter = Filter { instrument, sides, price_min, price_max, ..Filter::ALL };
        let walk = match scope {
            Scope::Own => self.orders_of(context.account()),
            Scope::Account => self.orders_of(command.account),
            Scope::Everyone => self.books_of(instrument),
        };
        Ok(self.cancel_all(filter, walk, CloseReason::Cancelled, Then::Cancelled, out))
    }

    #[cold]
    pub(super) fn set_kill_switch(
        &mut self,
        context: Context,
        command: &SetKillSwitch,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let account = match (command.scope.get(), command.account) {
            (Scope::Own, Account(0)) => context.account(),
            (Scope::Account, account) if account != Account(0) => account,
            _ => return Err(Reject::BadScope),
        };
        let place = self.place_of(account)?;
        self.orders.accounts.set_kill_switch(place, command.kill_switch.get());
        let walk = match command.kill_switch.get() {
            KillSwitch::On => self.orders_of(account),
            KillSwitch::Off => Walk::Account(NONE),
        };
        let then = Then::KillSwitchSet(account, command.kill_switch);
        Ok(self.cancel_all(Filter::ALL, walk, CloseReason::KillSwitch, then, out))
    }

    #[cold]
    pub(super) fn set_on_disconnect(
        &mut self,
        context: Context,
        command: &SetOnDisconnect,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let place = self.place_of(context.account())?;
        self.orders.accounts[place].on_disconnect = command.on_disconnect;
        let (on_disconnect, reserved) = (command.on_disconnect, Reserved::default());
        out.reply(Reply::OnDisconnectSet(&OnDisconnectSet { on_disconnect, reserved }));
        Ok(Progress::Done)
    }

    /// Cancels what does not outlive the session. The next one starts by what each order says.
    #[cold]
    pub(super) fn session_closed(&mut self, account: Account, out: &mut Out<'_, Self>) -> Progress {
        let Some(place) = self.orders.accounts.find(account) else { return Progress::Done };
        let all = core::mem::replace(&mut self.orders.accounts[place].on_disconnect, OnDisconnect::Keep.into());
        let filter = Filter { on_disconnect: all.get() == OnDisconnect::Keep, ..Filter::ALL };
        self.cancel_all(filter, self.orders_of(account), CloseReason::Disconnected, Then::Nothing, out)
    }

    fn cancel_all(
        &mut self,
        filter: Filter,
        walk: Walk,
        reason: CloseReason,
        then: Then,
        out: &mut Out<'_, Self>,
    ) -> Progress {
        self.go_on_mass_cancelling(MassCancelling { filter, walk, reason, then, quantity: 0, orders: 0 }, out)
    }

    #[cold]
    pub(super) fn go_on_mass_cancelling(&mut self, mut so_far: MassCancelling, out: &mut Out<'_, Self>) -> Progress {
        loop {
            if out.room() < OUTPUTS_EACH {
                self.pending = Pending::MassCancelling(so_far);
                return Progress::More;
            }
            let Some(index) = self.next_order(&so_far.filter, &mut so_far.walk) else { break };
            so_far.quantity += self.orders.open(index);
            so_far.orders += 1;
            self.close(index, so_far.reason, out);
        }
        let (cancelled, orders) = (Quantity(so_far.quantity), so_far.orders);
        match so_far.then {
            Then::Cancelled => {
                out.reply(Reply::OrdersCancelled(&OrdersCancelled { cancelled, orders, unknown: 0 }));
            }
            Then::KillSwitchSet(account, kill_switch) => {
                let reserved = Reserved::default();
                let set = KillSwitchSet { cancelled, account, orders, kill_switch, reserved };
                out.reply(Reply::KillSwitchSet(&set));
            }
            Then::Nothing => {}
        }
        Progress::Done
    }

    pub(super) fn place_of(&mut self, account: Account) -> Result<u32, Reject> {
        let accounts = &mut self.orders.accounts;
        if accounts.has_room_for(account) { Ok(accounts.place(account)) } else { Err(Reject::AccountsFull) }
    }

    fn orders_of(&self, account: Account) -> Walk {
        Walk::Account(self.orders.first_of(account).unwrap_or(NONE))
    }

    fn books_of(&self, instrument: Option<u32>) -> Walk {
        let (instrument, end) = match instrument {
            Some(instrument) => (instrument, instrument + 1),
            None => (0, self.limits.instruments as u32),
        };
        Walk::Books { instrument, end, part: 0, level: self.part(instrument, 0).best }
    }

    /// The first order of a book, as everyone's would be cancelled.
    pub(super) fn first_of_book(&self, instrument: u32) -> Option<u32> {
        let best = (0..PARTS).map(|part| self.part(instrument, part).best).find(|best| *best != NONE)?;
        Some(self.levels[best].head)
    }

    fn part(&self, instrument: u32, part: usize) -> Half {
        let instrument = &self.instruments[instrument];
        let side = if part.is_multiple_of(2) { Side::Buy } else { Side::Sell };
        match part / 2 {
            0 => instrument.half(side),
            1 => instrument.stops(side),
            2 => instrument.hidden(side),
            3 => instrument.unpriced(side),
            _ => instrument.parked(side),
        }
    }

    /// The next order to cancel. The walk has passed it, so that it may go.
    fn next_order(&self, filter: &Filter, walk: &mut Walk) -> Option<u32> {
        match walk {
            Walk::Account(next) => loop {
                let index = Some(*next).filter(|next| *next != NONE)?;
                let Order { after, level, on_disconnect, .. } = self.orders[index];
                *next = after;
                let fragile = !filter.on_disconnect || on_disconnect.get() == OnDisconnect::Cancel;
                if fragile && filter.has_level(&self.levels[level]) {
                    return Some(index);
                }
            },
            Walk::Books { instrument, end, part, level } => loop {
                while *level != NONE {
                    let Level { head, orders, .. } = self.levels[*level];
                    let wanted = filter.has_level(&self.levels[*level]);
                    if !wanted || orders == 1 {
                        *level = self.levels.worse(*level).unwrap_or(NONE);
                    }
                    if wanted {
                        return Some(head);
                    }
                }
                *part += 1;
                if *part == PARTS {
                    (*part, *instrument) = (0, *instrument + 1);
                }
                if *instrument == *end {
                    return None;
                }
                *level = self.part(*instrument, *part).best;
            },
        }
    }

    /// Takes an order out and tells its account, which did not ask for it alone.
    pub(super) fn close(&mut self, index: u32, reason: CloseReason, out: &mut Out<'_, Self>) {
        let account = self.orders.account(index);
        let Order { order, client_order, filled, .. } = self.orders[index];
        let closed = OrderClosed {
            order,
            client_order,
            filled: Quantity(filled),
            cancelled: Quantity(self.orders.open(index)),
            reason: reason.into(),
            reserved: Reserved::default(),
        };
        out.notify(account, Event::OrderClosed(&closed));
        let execution = if reason == CloseReason::Expired { Execution::Expired } else { Execution::Cancelled };
        self.copy_order(index, Happened::out(execution, closed.cancelled.0), 0, out);
        self.take_out(index, out);
    }
}
