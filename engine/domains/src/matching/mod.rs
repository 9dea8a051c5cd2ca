//! Order matching: order books, by price and time or shared, for many instruments. `README.md` has the rules in plain words.
//!
//! [`Matching::apply`] is the table of contents: each command is one function of `entry`, `stops`, `reserve`, `pegs`, `replacing`, `removal`,
//! `mass_cancel`, `self_trade`, `limits`, `phases`, `allocation`, `ticks`, `settlement`,
//! `transfers`, `copies` or `reports`. What comes in is priced in `pricing` and trades in `trading`; what rests stands in `orders`, grouped
//! into `levels`, found from `instruments`; `foresight` says what will be needed of them. What holds for an account stands in `accounts`.
#![doc = include_str!("README.md")]

pub mod messages;

mod allocation;
mod auctions;
mod copies;
mod entry;
mod foresight;
mod limits;
mod mass_cancel;
mod pegs;
mod phases;
mod pricing;
mod removal;
mod replacing;
mod reports;
mod reserve;
mod self_trade;
mod settlement;
mod stops;
mod ticks;
mod trading;
mod transfers;
mod views;

mod accounts;
mod entered;
mod instruments;
mod ledger;
mod levels;
mod market;
mod orders;
mod specials;

mod state;

#[cfg(any(test, feature = "models"))]
mod invariants;
#[cfg(any(test, feature = "models"))]
pub mod model;
pub mod workload;

#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use allocation::Sharing;
use foresight::Foresight;
use instruments::Instruments;
use ledger::Ledger;
use levels::Levels;
use mass_cancel::MassCancelling;
use messages::{
    CANCEL_MANY_MAX, ClientOrderId, Command, Event, KillSwitch, MatchingLimits, ORDERS_MAX, Reject, Reply, Scope,
};
use orders::Orders;
use pegs::Moving;
use phases::PhaseChange;
use removal::CancellingMany;
use reports::Reporting;
use ringfence_kernel::{
    Account, ClientId, Context, Corrupt, Cursor, Domain, DomainId, MessageHeader, Out, Progress, Roles, SessionChange,
    Sink, Source, Timestamp, Topic,
};
use stops::Triggered;
use trading::Taker;

/// Kinds of topics of this domain; their id is the instrument, but for drop copies.
pub mod topics {
    /// [`super::messages::Trade`]. Its snapshot is the last trade.
    pub const TRADES: u16 = 1;
    /// [`super::messages::LevelChanged`]. Its snapshot is every level, bids then asks, best first.
    pub const LEVELS: u16 = 2;
    /// [`super::messages::TopOfBook`]. Its snapshot is the best prices.
    pub const TOP: u16 = 3;
    /// [`super::messages::AuctionIndication`]. Its snapshot is the present one.
    pub const AUCTIONS: u16 = 4;
    /// [`super::messages::OrderShown`]. Its snapshot is what every order displays, bids then asks, as they would trade.
    pub const ORDERS: u16 = 6;
    /// [`super::messages::PhaseChanged`]. Its snapshot is the present phase.
    pub const PHASES: u16 = 5;
    /// [`super::messages::ExecutionReport`]; its id is the client who gets the drop copy. Its snapshot is what is open of
    /// the accounts in its group.
    pub const COPIES: u16 = ringfence_kernel::Topic::PRIVATE + 1;
}

/// The matching engine: all books, and what is known of accounts.
#[derive(Debug)]
pub struct Matching {
    limits: MatchingLimits,
    instruments: Instruments,
    levels: Levels,
    orders: Orders,
    ledger: Ledger,
    /// The numbers given last.
    last_order: u64,
    last_trade: u64,
    /// The decision that goes on in [`Domain::resume`]. Nothing is saved while there is one.
    pending: Pending,
    /// What a [`messages::CancelMany`] that goes on has still to cancel.
    list: Vec<ClientOrderId>,
    /// Specials that were triggered in this decision, in that order, and how many of them have come in.
    triggered: Vec<Triggered>,
    came_in: usize,
    /// Whether anything follows from this decision: stops come in, or pegged orders move.
    follows: bool,
    /// Instruments whose pegged orders are to be looked at, and those orders of one of them that go elsewhere, of which so
    /// many have left where they stood, and so many have come in again.
    due: Vec<u32>,
    moving: Vec<Moving>,
    left: usize,
    moved: usize,
    /// The price at which a taker that goes on is shared out.
    sharing: Option<Sharing>,
    /// The time at which what happens happens.
    now: Timestamp,
    /// Where bids are summed up while the price of an auction is looked for.
    bids: Vec<(u64, u64)>,
    /// Not state: what comes soon.
    foresight: Foresight,
}

/// A decision that said [`Progress::More`].
#[derive(Clone, Copy, Debug)]
enum Pending {
    Nothing,
    /// An order trades.
    Taking(Taker),
    /// Stops that were triggered come in, and pegged orders move.
    Following,
    /// A phase becomes another.
    Changing(PhaseChange),
    /// A report is said.
    Reporting(Reporting),
    /// A list is cancelled.
    Cancelling(CancellingMany),
    /// All orders of some kind are cancelled.
    MassCancelling(MassCancelling),
}

impl Matching {
    /// Lets what follows from a decision happen once it is done.
    #[inline]
    fn finish(&mut self, progress: Progress, out: &mut Out<'_, Self>) -> Progress {
        if self.follows && progress == Progress::Done { self.follow(out) } else { progress }
    }
}

impl Domain for Matching {
    const ID: DomainId = DomainId(1);
    const NAME: &'static str = "matching";
    const VERSION: u16 = 1;
    const REJECTS: &'static [ringfence_kernel::reject::Row] = Reject::TABLE;

    type Command<'a> = Command<'a>;
    type Reply<'a> = Reply<'a>;
    type Event<'a> = Event<'a>;
    type Reject = Reject;
    type Limits = MatchingLimits;

    fn topics(limits: &MatchingLimits) -> u64 {
        // Trades, levels, top, auctions, phases and orders of each instrument, and drop copies.
        limits.instruments.saturating_mul(6).saturating_add(limits.readers)
    }

    fn new(limits: &MatchingLimits) -> Self {
        assert!(limits.orders <= ORDERS_MAX, "at most 16,000,000 orders");
        Self {
            limits: *limits,
            instruments: Instruments::new(limits.instruments as usize),
            levels: Levels::new(limits.levels as usize),
            orders: Orders::new(limits),
            ledger: Ledger::new(limits),
            last_order: 0,
            last_trade: 0,
            pending: Pending::Nothing,
            list: Vec::with_capacity(CANCEL_MANY_MAX),
            triggered: Vec::with_capacity(limits.specials as usize),
            came_in: 0,
            follows: false,
            due: Vec::with_capacity(limits.instruments as usize),
            moving: Vec::with_capacity(limits.specials as usize),
            left: 0,
            moved: 0,
            sharing: None,
            now: Timestamp(0),
            bids: Vec::with_capacity(limits.levels as usize),
            foresight: Foresight::default(),
        }
    }

    #[inline(always)]
    fn roles_needed(command: &Command<'_>) -> Roles {
        match command {
            Command::DefineInstrument(_) | Command::SetSelfTrade(_) | Command::SetLimits(_) => Roles::ADMINISTER,
            Command::SetPhase(_) | Command::SetBands(_) | Command::SetSchedule(..) => Roles::ADMINISTER,
            Command::SetAllocation(_)
            | Command::SetTicks(..)
            | Command::SetSettlement(_)
            | Command::SetOrderFeed(_)
            | Command::SetDropCopy(_) => Roles::ADMINISTER,
            Command::Transfer(_) | Command::SetHoldingLimit(_) | Command::GetAsset(_) => Roles::ADMINISTER,
            Command::MassCancel(command) if command.scope.get() != Scope::Own => Roles::ADMINISTER,
            Command::SetKillSwitch(command) if command.scope.get() != Scope::Own => Roles::ADMINISTER,
            Command::SetKillSwitch(command) if command.kill_switch.get() == KillSwitch::Off => Roles::ADMINISTER,
            _ => Roles::TRADE,
        }
    }

    #[inline]
    fn foresees(&self) -> bool {
        self.foresees_orders()
    }

    #[inline]
    fn foresee(&mut self, client: ClientId, header: MessageHeader, body: &[u8]) {
        self.foresee_order(Account(client.0), header, body);
    }

    #[inline]
    fn bring_near(&mut self) {
        self.bring_orders_near();
    }

    // Inlined where commands are decoded: each goes its own way from there.
    #[inline(always)]
    fn apply(&mut self, context: Context, command: Command<'_>, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        debug_assert!(matches!(self.pending, Pending::Nothing), "a decision is ended before the next one");
        self.now = context.now;
        let decided = match command {
            Command::NewOrder(command) => self.new_order(context, command, out),
            Command::NewStop(command) => self.new_stop(context, command, out),
            Command::NewReserve(command) => self.new_reserve(context, command, out),
            Command::NewPeg(command) => self.new_peg(context, command, out),
            Command::Cancel(command) => Ok(self.cancel(context, command, out)),
            Command::CancelMany(_, orders) => self.cancel_many(context, orders, out),
            Command::Replace(command) => self.replace(context, command, out),
            Command::ReplaceStop(command) => self.replace_stop(context, command, out),
            Command::ReplaceReserve(command) => self.replace_reserve(context, command, out),
            Command::Reduce(command) => self.reduce(context, command, out),
            Command::MassCancel(command) => self.mass_cancel(context, command, out),
            Command::SetKillSwitch(command) => self.set_kill_switch(context, command, out),
            Command::SetOnDisconnect(command) => self.set_on_disconnect(context, command, out),
            Command::SetSelfTrade(command) => self.set_self_trade(command, out),
            Command::SetLimits(command) => self.set_limits(command, out),
            Command::GetOrder(command) => Ok(self.get_order(context, command, out)),
            Command::GetOpenOrders(_) => Ok(self.get_open_orders(context, out)),
            Command::GetAccount(_) => Ok(self.get_account(context, out)),
            Command::GetBook(command) => self.get_book(context, command, out),
            Command::GetStatistics(command) => self.get_statistics(command, out),
            Command::SetPhase(command) => self.set_phase(command, out),
            Command::SetBands(command) => self.set_bands(command, out),
            Command::SetSchedule(command, entries) => self.set_schedule(context, command, entries, out),
            Command::SetAllocation(command) => self.set_allocation(command, out),
            Command::SetOrderFeed(command) => self.set_order_feed(command, out),
            Command::SetDropCopy(command) => self.set_drop_copy(command, out),
            Command::SetSettlement(command) => self.set_settlement(command, out),
            Command::Transfer(command) => self.transfer(command, out),
            Command::SetHoldingLimit(command) => self.set_holding_limit(command, out),
            Command::GetBalances(_) => Ok(self.get_balances(context, out)),
            Command::GetAsset(command) => self.get_asset(command, out),
            Command::SetTicks(command, bands) => self.set_ticks(command, bands, out),
            Command::DefineInstrument(command) => self.define_instrument(command, out),
        };
        if self.follows { Ok(self.finish(decided?, out)) } else { decided }
    }

    fn resume(&mut self, context: Context, out: &mut Out<'_, Self>) -> Progress {
        let progress = match core::mem::replace(&mut self.pending, Pending::Nothing) {
            // Orders whose time is over still end: what follows from that comes when all have.
            Pending::Nothing => return Progress::Done,
            Pending::Taking(mut taker) => self.take(&mut taker, out),
            Pending::Following => self.follow(out),
            Pending::Changing(change) => self.go_on_changing(change, out),
            Pending::Reporting(reporting) => self.go_on_reporting(reporting, out),
            Pending::Cancelling(cancelling) => self.go_on_cancelling(context, cancelling, out),
            Pending::MassCancelling(cancelling) => self.go_on_mass_cancelling(cancelling, out),
        };
        self.finish(progress, out)
    }

    fn on_time(&mut self, context: Context, out: &mut Out<'_, Self>) -> Progress {
        if self.resume(context, out) == Progress::More {
            return Progress::More;
        }
        let progress = self.let_time_pass(context.now, out);
        self.finish(progress, out)
    }

    fn on_session(&mut self, context: Context, change: SessionChange, out: &mut Out<'_, Self>) -> Progress {
        self.now = context.now;
        match change {
            SessionChange::Opened => Progress::Done,
            SessionChange::Closed => {
                let progress = self.session_closed(context.account(), out);
                self.finish(progress, out)
            }
        }
    }

    #[inline]
    fn next_deadline(&self) -> Option<Timestamp> {
        match (self.orders.next_to_expire(), self.instruments.next_change()) {
            (None, None) => None,
            (ends, changes) => ends.into_iter().chain(changes).map(|(deadline, _)| deadline).min(),
        }
    }

    fn snapshot_topic(&self, topic: Topic, cursor: &mut Cursor, out: &mut Out<'_, Self>) -> Option<Progress> {
        self.snapshot(topic, cursor, out)
    }

    fn save(&self, sink: &mut impl Sink) {
        self.write(sink);
    }

    fn load(limits: &MatchingLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        Self::read(limits, source)
    }
}
