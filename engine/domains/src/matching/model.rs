//! The slow, obvious twin of [`Matching`]: it keeps every order in one list and looks through all of it.
//!
//! It is written from the rules in `README.md`, not from the fast books, and shares nothing with them but messages.

mod allocation;
mod copies;
mod entry;
mod limits;
mod pegs;
mod phases;
mod removal;
mod replacing;
mod reports;
mod reserve;
mod self_trade;
mod settlement;
mod stops;

use super::messages::{
    Allocation, ClientOrderId, Command, DeclineReason, Declined, DefineInstrument, Event, LevelChanged, MatchingLimits,
    OnDisconnect, OrderFeed, OrderFeedSet, OrderId, OrderShown, OrderType, Peg, Price, Priority, Quantity, Reject,
    Reply, SelfTrade, SetLimits, SetOrderFeed, SetSettlement, Side, TickBand, TimeInForce, TopOfBook, Transfer,
};
use super::{Matching, topics};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use phases::Market;
use reports::Traded;
use ringfence_kernel::laws;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Context, Out, SessionChange, Timestamp};

/// One order that rests.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// The engine's number.
    pub order: u64,
    /// The client's number.
    pub client_order: u64,
    /// Whose it is.
    pub account: u32,
    /// What it trades.
    pub instrument: u32,
    /// On which side.
    pub side: Side,
    /// At which price.
    pub price: i64,
    /// What is open.
    pub remaining: u64,
    /// What has traded.
    pub filled: u64,
    /// Its type when it is replaced.
    pub order_type: OrderType,
    /// What becomes of it when its account's session closes.
    pub on_disconnect: OnDisconnect,
    /// When it ends, if it does.
    pub expires: Option<Timestamp>,
    /// When it came to its place in the queue: less is earlier.
    pub place: u64,
    /// What it waits for, while it is a stop.
    pub stop: Option<Stop>,
    /// For which auction alone it stands.
    pub only: Option<TimeInForce>,
    /// What is open beside that and will be displayed later.
    pub hidden: u64,
    /// How much it displays at a time; zero when it does not hide a part.
    pub display: u64,
    /// Whether it displays nothing.
    pub hides: bool,
    /// How much it trades with one order at least.
    pub minimum: u64,
    /// Whether it is a market order in an auction.
    pub unpriced: bool,
    /// What it follows.
    pub pegged: Option<Pegged>,
    /// Whether it is pegged and has no price.
    pub parked: bool,
}

/// What a pegged order follows.
#[derive(Clone, Copy, Debug)]
pub struct Pegged {
    /// Which displayed price, and whether it is displayed itself.
    pub peg: Peg,
    /// How far from it towards the other side.
    pub offset: i64,
    /// The worst price at which it trades.
    pub worst: i64,
}

impl Order {
    /// All that is open of it.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.remaining + self.hidden
    }

    /// The worst price at which it trades.
    fn limit(&self) -> i64 {
        self.pegged.map_or(self.price, |pegged| pegged.worst)
    }

    /// Whether it stands where everyone sees it.
    fn is_displayed(&self) -> bool {
        self.part() == 0
    }

    /// Which price level it takes up.
    fn level(&self) -> (u32, Side, i64, u8) {
        (self.instrument, self.side, self.stop.map_or(self.price, |stop| stop.trigger), self.part())
    }

    /// In which part of a book it is: displayed, a stop, hidden, a market order in an auction, or pegged without a price.
    fn part(&self) -> u8 {
        match self {
            Self { parked: true, .. } => 4,
            Self { stop: Some(_), .. } => 1,
            Self { hides: true, .. } => 2,
            Self { unpriced: true, .. } => 3,
            _ => 0,
        }
    }
}

/// What a stop waits for. Its price is what it will ask for when it comes in.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// The price that triggers it.
    pub trigger: i64,
    /// How far the trigger follows.
    pub trail: i64,
    /// How long it then stays.
    pub time_in_force: TimeInForce,
}

/// The slow twin.
#[derive(Clone, Debug)]
pub struct Model {
    limits: MatchingLimits,
    instruments: BTreeMap<u32, DefineInstrument>,
    markets: BTreeMap<u32, Market>,
    /// Every order that rests, in no order.
    pub orders: Vec<Order>,
    accounts: BTreeSet<u32>,
    /// Every order that ended: its account, the client's number, and how.
    ended: Vec<(u32, u64, DeclineReason)>,
    /// Those whose kill switch is on.
    killed: BTreeSet<u32>,
    /// The group and what is prevented, for those of whom it was said.
    self_trade: BTreeMap<u32, (u32, SelfTrade)>,
    /// Up to what orders of accounts are let in.
    order_limits: BTreeMap<u32, SetLimits>,
    /// How what comes in is shared, and below which share there is none.
    allocations: BTreeMap<u32, (Allocation, u64)>,
    /// Which order of a side bettered the market last.
    tops: BTreeMap<(u32, Side), u64>,
    /// From which prices on which ticks hold.
    ticks: BTreeMap<u32, Vec<TickBand>>,
    /// Instruments each of whose orders is said.
    shown: BTreeSet<u32>,
    /// Who gets the drop copy of an account, and who ever got one.
    readers: BTreeMap<u32, u32>,
    all_readers: BTreeSet<u32>,
    /// In what instruments are settled.
    settlements: BTreeMap<u32, SetSettlement>,
    /// What accounts have of assets in all, and up to how much they may.
    balances: BTreeMap<(u32, u32), (i128, u64)>,
    /// What there is of assets, and what of it was taken in fees.
    assets: BTreeMap<u32, (i128, i128)>,
    /// The last transfer of each account, and what was free after it.
    transfers: BTreeMap<u32, (Transfer, u64)>,
    /// Those all of whose orders go with the session.
    fragile: BTreeSet<u32>,
    /// The price of the last trade of each instrument.
    last_prices: BTreeMap<u32, i64>,
    /// Every trade there was.
    trades: Vec<Traded>,
    /// Stops that were triggered and have not come in.
    triggered: VecDeque<Order>,
    /// The time at which what happens happens.
    now: Timestamp,
    last_order: u64,
    last_trade: u64,
    last_place: u64,
}

type Says<'o, 'b> = &'o mut Out<'b, Matching>;

impl Model {
    fn mine(&self, account: Account, client_order: ClientOrderId) -> Option<usize> {
        self.orders.iter().position(|order| order.account == account.0 && order.client_order == client_order.0)
    }

    /// What stands on one side of a book.
    fn book(&self, instrument: u32, side: Side) -> impl Iterator<Item = &Order> {
        self.orders.iter().filter(move |o| o.instrument == instrument && o.side == side && o.is_displayed())
    }

    fn at(&self, instrument: u32, side: Side, price: i64) -> impl Iterator<Item = &Order> {
        self.book(instrument, side).filter(move |order| order.price == price)
    }

    /// What stands at a price.
    #[must_use]
    pub fn level(&self, instrument: u32, side: Side, price: i64) -> LevelChanged {
        LevelChanged {
            price: Price(price),
            quantity: Quantity(self.at(instrument, side, price).map(|order| order.remaining).sum()),
            orders: self.at(instrument, side, price).count() as u32,
            side: side.into(),
            reserved: Reserved::default(),
        }
    }

    /// The prices of one side of a book, best first.
    #[must_use]
    pub fn prices(&self, instrument: u32, side: Side) -> Vec<i64> {
        let prices: BTreeSet<i64> = self.book(instrument, side).map(|order| order.price).collect();
        match side {
            Side::Buy => prices.into_iter().rev().collect(),
            Side::Sell => prices.into_iter().collect(),
        }
    }

    /// The best prices.
    #[must_use]
    pub fn top(&self, instrument: u32) -> TopOfBook {
        let best = |side| match self.prices(instrument, side).first() {
            Some(price) => (Price(*price), self.level(instrument, side, *price).quantity),
            None => (Price(0), Quantity(0)),
        };
        let ((bid_price, bid_quantity), (ask_price, ask_quantity)) = (best(Side::Buy), best(Side::Sell));
        TopOfBook { bid_price, bid_quantity, ask_price, ask_quantity }
    }

    fn say_level(&self, order: &Order, out: Says<'_, '_>) {
        if !order.is_displayed() {
            return;
        }
        let level = self.level(order.instrument, order.side, order.price);
        out.publish(topics::LEVELS, order.instrument, Event::LevelChanged(&level));
    }

    /// Says what an order displays now.
    fn say_order(&self, order: &Order, quantity: u64, priority: Priority, out: Says<'_, '_>) {
        if !order.is_displayed() || !self.shown.contains(&order.instrument) {
            return;
        }
        let shown = OrderShown {
            order: OrderId(order.order),
            price: Price(order.price),
            quantity: Quantity(quantity),
            side: order.side.into(),
            priority: priority.into(),
            reserved: Reserved::default(),
        };
        out.publish(topics::ORDERS, order.instrument, Event::OrderShown(&shown));
    }

    /// Says what is left of an order that was as `before`.
    fn say_left(&self, before: &Order, out: Says<'_, '_>) {
        let now = self.orders.iter().find(|order| order.order == before.order);
        let (left, moved) = now.map_or((0, false), |now| (now.remaining, now.place != before.place));
        self.say_order(before, left, if moved { Priority::Lost } else { Priority::Kept }, out);
    }

    fn set_order_feed(&mut self, command: &SetOrderFeed, out: Says<'_, '_>) -> Result<(), Reject> {
        let SetOrderFeed { instrument, feed, reserved } = *command;
        if !self.instruments.contains_key(&instrument.0) {
            return Err(Reject::UnknownInstrument);
        }
        match feed.get() {
            OrderFeed::On => self.shown.insert(instrument.0),
            OrderFeed::Off => self.shown.remove(&instrument.0),
        };
        out.reply(Reply::OrderFeedSet(&OrderFeedSet { instrument, feed, reserved }));
        Ok(())
    }

    fn say_top(&mut self, instrument: u32, before: &TopOfBook, out: Says<'_, '_>) {
        let top = self.top(instrument);
        if top != *before {
            out.publish(topics::TOP, instrument, Event::TopOfBook(&top));
        }
        self.say_indication(instrument, out);
    }

    fn levels(&self) -> usize {
        self.orders.iter().map(Order::level).collect::<BTreeSet<_>>().len()
    }
}

impl Model {
    /// Says why there is no live order of that number.
    fn decline_gone(&self, account: Account, client_order: ClientOrderId, out: Says<'_, '_>) -> Result<(), Reject> {
        let alike =
            |(of, number, _): &&(u32, u64, DeclineReason)| *of == account.0 && number % 64 == client_order.0 % 64;
        let last = self.ended.iter().rev().find(alike).filter(|(_, number, _)| *number == client_order.0);
        decline(client_order, last.map_or(DeclineReason::UnknownOrder, |(.., how)| *how), out)
    }
}

fn decline(client_order: ClientOrderId, reason: DeclineReason, out: Says<'_, '_>) -> Result<(), Reject> {
    let declined = Declined { client_order, reason: reason.into(), reserved: Reserved::default() };
    out.reply(Reply::Declined(&declined));
    Ok(())
}

impl laws::Model for Model {
    type Domain = Matching;

    fn new(limits: &MatchingLimits) -> Self {
        Self {
            limits: *limits,
            instruments: BTreeMap::new(),
            markets: BTreeMap::new(),
            orders: Vec::new(),
            accounts: BTreeSet::new(),
            ended: Vec::new(),
            killed: BTreeSet::new(),
            self_trade: BTreeMap::new(),
            order_limits: BTreeMap::new(),
            allocations: BTreeMap::new(),
            tops: BTreeMap::new(),
            ticks: BTreeMap::new(),
            shown: BTreeSet::new(),
            readers: BTreeMap::new(),
            all_readers: BTreeSet::new(),
            settlements: BTreeMap::new(),
            balances: BTreeMap::new(),
            assets: BTreeMap::new(),
            transfers: BTreeMap::new(),
            fragile: BTreeSet::new(),
            last_prices: BTreeMap::new(),
            trades: Vec::new(),
            triggered: VecDeque::new(),
            now: Timestamp(0),
            last_order: 0,
            last_trade: 0,
            last_place: 0,
        }
    }

    fn apply(&mut self, context: Context, command: Command<'_>, out: Says<'_, '_>) -> Result<(), Reject> {
        self.now = context.now;
        let done = match command {
            Command::GetOrder(command) => self.get_order(context, command, out),
            Command::GetOpenOrders(_) => self.get_open_orders(context, out),
            Command::GetAccount(_) => self.get_account(context, out),
            Command::GetBook(command) => self.get_book(context, command, out),
            Command::GetStatistics(command) => self.get_statistics(context, command, out),
            Command::SetPhase(command) => self.set_phase(command, out),
            Command::SetBands(command) => self.set_bands(command, out),
            Command::SetSchedule(command, entries) => self.set_schedule(context, command, entries, out),
            Command::DefineInstrument(define) => self.define(define, out),
            Command::SetAllocation(command) => self.set_allocation(command, out),
            Command::SetOrderFeed(command) => self.set_order_feed(command, out),
            Command::SetDropCopy(command) => self.set_drop_copy(command, out),
            Command::SetSettlement(command) => self.set_settlement(command, out),
            Command::Transfer(command) => self.transfer(command, out),
            Command::SetHoldingLimit(command) => self.set_holding_limit(command, out),
            Command::GetBalances(_) => self.get_balances(context, out),
            Command::GetAsset(command) => self.get_asset(command, out),
            Command::SetTicks(command, bands) => self.set_ticks(command, bands, out),
            Command::NewOrder(command) => self.new_order(context, command, out),
            Command::NewStop(command) => self.new_stop(context, command, out),
            Command::NewReserve(command) => self.new_reserve(context, command, out),
            Command::NewPeg(command) => self.new_peg(context, command, out),
            Command::Replace(command) => self.replace(context, command, out),
            Command::ReplaceStop(command) => self.replace_stop(context, command, out),
            Command::ReplaceReserve(command) => self.replace_reserve(context, command, out),
            Command::Cancel(command) => self.cancel(context, command, out),
            Command::Reduce(command) => self.reduce(context, command, out),
            Command::CancelMany(_, list) => self.cancel_many(context, list, out),
            Command::MassCancel(command) => self.mass_cancel(context, command, out),
            Command::SetKillSwitch(command) => self.set_kill_switch(context, command, out),
            Command::SetSelfTrade(command) => self.set_self_trade(command, out),
            Command::SetLimits(command) => self.set_limits(command, out),
            Command::SetOnDisconnect(command) => self.set_on_disconnect(context, command, out),
        };
        self.follow(out);
        done
    }

    fn on_time(&mut self, context: Context, out: Says<'_, '_>) {
        self.let_time_pass(context.now, out);
        self.follow(out);
    }

    fn on_session(&mut self, context: Context, change: SessionChange, out: Says<'_, '_>) {
        self.now = context.now;
        if change == SessionChange::Closed {
            self.disconnect(context.account(), out);
            self.follow(out);
        }
    }
}
