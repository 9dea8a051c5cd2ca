//! One account: what its peer asks for, as commands; what the engine answers and says, as OUCH.
//!
//! ```text
//! peer    ──► message ──► kept, with the request's number ──► command ──► engine
//! peer    ◄── sequenced ◄── kept ◄── answers by that number, events of the account ◄── engine
//! ```
//!
//! What happens to an order as it comes in, or is replaced, is said by the engine before its answer, and by OUCH behind it: it
//! waits here for the answer of its command, which has the same number in the log.
//! An order keeps the engine's numbers when it is replaced; only its token is another.

use super::entry::{Wanted, decline_reason, new_order, price_in, reject_reason, side};
use super::gathering::Frame;
use super::settings::{Listing, Settings, listing};
use super::stream::{Input, Make, Stream};
use super::tape::since_midnight;
use crate::layout::Text;
use crate::ouch::{self, Inbound, Outbound, Token, code};
use crate::store::Batch;
use ringfence_domains::matching::messages::{
    Cancel, ClientOrderId, CloseReason, DeclineReason, Event, Fill, Liquidity, OrderAccepted, OrderClosed,
    OrderReplaced, OrderStatus, Quantity, Reduce, Replace, ReplaceReserve, Reply,
};
use ringfence_kernel::Sequence;
use ringfence_kernel::image::kind;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;

/// What a request was for.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    Enter,
    Replace {
        token: Token,
        shares: u32,
    },
    /// To make it less by so much; whether as a modification, and with which side.
    Reduce {
        by: u32,
        modified: Option<u8>,
    },
    Cancel,
}

/// A request that the engine has not answered.
#[derive(Clone, Copy, Debug)]
struct Pending {
    order: usize,
    purpose: Purpose,
    wanted: Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The engine has not answered.
    Entering,
    Live,
    Dead,
}

/// An order.
#[derive(Clone, Copy, Debug)]
struct Order {
    entered: ouch::EnterOrder,
    /// Its name now: that of its last replacement.
    token: Token,
    /// Its name when all that was asked is done.
    newest: Token,
    /// How much in all, now.
    shares: u32,
    /// How much in all when all that was asked is done.
    intended: u32,
    executed: u32,
    price: u32,
    /// The engine's number of it.
    reference: u64,
    state: State,
    /// What is left of it is cancelled, for this reason, when so much of it has been said to have traded: see
    /// [`Input::Settled`].
    closing: Option<(u32, u8)>,
}

/// An account's orders of a session.
#[derive(Debug)]
pub(crate) struct Orders {
    listings: Vec<Listing>,
    /// The engine's number of the first order: numbers of other sessions are others.
    first: u64,
    orders: Vec<Order>,
    /// Every token that was ever used, with its order; none when that was rejected at once.
    tokens: HashMap<Token, Option<usize>>,
    pending: BTreeMap<u64, Pending>,
    /// Orders that must go because their replacement cannot come.
    leaving: VecDeque<usize>,
    /// Orders that came in and do not stay.
    closing: VecDeque<usize>,
    /// What waits for the answer of an order that comes in or is replaced, and whatever is said behind that.
    waiting: VecDeque<Frame>,
    /// The number of the account's last event; none when it is not known yet.
    last: Option<u64>,
    is_over: bool,
}

/// Messages, and when they are said.
struct Say<'a> {
    batch: &'a mut Batch,
    timestamp: u64,
}

impl Say<'_> {
    fn put(&mut self, message: impl Into<Outbound>) {
        self.batch.push(|out| message.into().write(out));
    }

    fn reject(&mut self, token: Token, reason: u8) {
        let timestamp = self.timestamp;
        self.put(ouch::Rejected { timestamp, token, reason });
    }

    fn cancel(&mut self, token: Token, decrement: u32, reason: u8) {
        let timestamp = self.timestamp;
        self.put(ouch::Canceled { timestamp, token, decrement, reason });
    }
}

impl Orders {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            listings: settings.instruments.clone(),
            first: 0,
            orders: Vec::new(),
            tokens: HashMap::new(),
            pending: BTreeMap::new(),
            leaving: VecDeque::new(),
            closing: VecDeque::new(),
            waiting: VecDeque::new(),
            last: None,
            is_over: false,
        }
    }

    /// The number of the account's last event that was taken in.
    pub(crate) fn last(&self) -> Option<u64> {
        self.last
    }

    /// The command of a request that is not answered.
    pub(crate) fn wanted(&self, request: u64) -> Option<Wanted> {
        self.pending.get(&request).map(|pending| pending.wanted)
    }

    /// All requests that are not answered, in the order of their numbers.
    pub(crate) fn unanswered(&self) -> Vec<u64> {
        self.pending.keys().copied().collect()
    }

    /// The number of the oldest request that is not answered.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.pending.keys().next().copied()
    }

    /// Whether the gateway itself has an order to take out.
    pub(crate) fn is_leaving(&self) -> bool {
        !self.is_over && !self.leaving.is_empty()
    }

    /// Whether nothing that was asked is still to be done or to be said.
    pub(crate) fn is_settled(&self) -> bool {
        self.pending.is_empty() && self.leaving.is_empty() && self.waiting.is_empty() && self.closing.is_empty()
    }

    fn asked(&mut self, message: &[u8], request: u64, at: u64, say: &mut Say<'_>) -> bool {
        if message.is_empty() {
            let Some(order) = self.leaving.pop_front() else { return false };
            self.want_cancel(order, request);
            return true;
        }
        match Inbound::parse(message) {
            Ok(Inbound::EnterOrder(enter)) => self.enter(enter, request, at, say),
            Ok(Inbound::ReplaceOrder(replace)) => self.replace(&replace, request),
            Ok(Inbound::CancelOrder(cancel)) => self.reduce(cancel.token, cancel.shares, None, request),
            Ok(Inbound::ModifyOrder(modify)) => self.modify(&modify, request, say),
            Err(_) => false,
        }
    }

    fn enter(&mut self, enter: ouch::EnterOrder, request: u64, at: u64, say: &mut Say<'_>) -> bool {
        // A message that comes again changes nothing.
        if self.tokens.contains_key(&enter.token) {
            return false;
        }
        let place = self.orders.len();
        let wanted = match new_order(&self.listings, &enter, ClientOrderId(self.first + place as u64), at) {
            Ok(wanted) => wanted,
            Err(reason) => {
                self.tokens.insert(enter.token, None);
                say.reject(enter.token, reason);
                return true;
            }
        };
        self.tokens.insert(enter.token, Some(place));
        self.orders.push(Order {
            entered: enter,
            token: enter.token,
            newest: enter.token,
            shares: enter.shares,
            intended: enter.shares,
            executed: 0,
            price: enter.price,
            reference: 0,
            state: State::Entering,
            closing: None,
        });
        self.pending.insert(request, Pending { order: place, purpose: Purpose::Enter, wanted });
        true
    }

    /// The live order that a token names, if that is its newest name.
    fn live(&self, token: Token) -> Option<usize> {
        let place = (*self.tokens.get(&token)?)?;
        let order = &self.orders[place];
        (order.state != State::Dead && order.newest == token).then_some(place)
    }

    fn replace(&mut self, replace: &ouch::ReplaceOrder, request: u64) -> bool {
        let Some(place) = self.live(replace.existing) else { return false };
        if self.tokens.contains_key(&replace.token) || !replace.token.is_printable() {
            return false;
        }
        let order = &mut self.orders[place];
        let listing = listing(&self.listings, &order.entered.stock);
        let price = listing.and_then(|listing| price_in(listing, replace.price));
        let is_alike = replace.time_in_force == order.entered.time_in_force
            && replace.display == order.entered.display
            && replace.minimum == order.entered.minimum
            && matches!(replace.sweep, b'N' | b' ');
        let (Some(price), true, 1..ouch::SHARES_END) = (price, is_alike, replace.shares) else {
            // A replacement that cannot come takes the order out, and its token may be used again.
            self.want_cancel(place, request);
            return true;
        };
        order.newest = replace.token;
        order.intended = replace.shares;
        self.tokens.insert(replace.token, Some(place));
        let (client_order, quantity) = (ClientOrderId(self.first + place as u64), Quantity(replace.shares.into()));
        let purpose = Purpose::Replace { token: replace.token, shares: replace.shares };
        let wanted = match order.entered.display {
            code::NON_DISPLAY => {
                let (display, minimum) = (Quantity(0), Quantity(order.entered.minimum.into()));
                Wanted::ReplaceHidden(ReplaceReserve { client_order, price, quantity, display, minimum })
            }
            _ => Wanted::Replace(Replace { client_order, price, quantity }),
        };
        self.pending.insert(request, Pending { order: place, purpose, wanted });
        true
    }

    /// Makes an order less, so that no more than `shares` of it trade in all.
    fn reduce(&mut self, token: Token, shares: u32, modified: Option<u8>, request: u64) -> bool {
        let Some(place) = self.live(token) else { return false };
        let order = &mut self.orders[place];
        if shares >= order.intended {
            return false;
        }
        if shares == 0 {
            self.want_cancel(place, request);
            return true;
        }
        let by = order.intended - shares;
        order.intended = shares;
        let (client_order, quantity) = (ClientOrderId(self.first + place as u64), Quantity(by.into()));
        let wanted = Wanted::Reduce(Reduce { client_order, quantity });
        self.pending.insert(request, Pending { order: place, purpose: Purpose::Reduce { by, modified }, wanted });
        true
    }

    fn modify(&mut self, modify: &ouch::ModifyOrder, request: u64, say: &mut Say<'_>) -> bool {
        let Some(place) = self.live(modify.token) else { return false };
        let order = &mut self.orders[place];
        // Only which kind of sale it is may change.
        if side(modify.side) != side(order.entered.side) || modify.shares == 0 || modify.shares > order.intended {
            return false;
        }
        if modify.shares < order.intended {
            return self.reduce(modify.token, modify.shares, Some(modify.side), request);
        }
        order.entered.side = modify.side;
        let (token, side, shares, timestamp) = (modify.token, modify.side, modify.shares, say.timestamp);
        say.put(ouch::Modified { timestamp, token, side, shares });
        true
    }

    fn want_cancel(&mut self, order: usize, request: u64) {
        let wanted = Wanted::Cancel(Cancel { client_order: ClientOrderId(self.first + order as u64) });
        self.pending.insert(request, Pending { order, purpose: Purpose::Cancel, wanted });
    }

    fn said(&mut self, frame: &Frame, batch: &mut Batch) -> bool {
        let header = frame.header();
        match header.kind {
            kind::REPLY | kind::REJECT => self.answered(frame, batch),
            kind::EVENT => {
                self.last = Some(header.request.0);
                self.happened(frame, batch);
                true
            }
            kind::SNAPSHOT => match (frame.snapshot_end(), self.last) {
                (Some(number), None) => {
                    self.last = Some(number);
                    true
                }
                // What is between is not kept any more: nobody can say it.
                (Some(number), Some(last)) if number > last => {
                    self.end(header.timestamp.0, batch);
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// The place of an order by the engine's name of it, if it is of this session.
    fn place(&self, client_order: ClientOrderId) -> Option<usize> {
        let place = usize::try_from(client_order.0.checked_sub(self.first)?).ok()?;
        (place < self.orders.len()).then_some(place)
    }

    /// Whether the engine has not answered a replacement of an order.
    fn is_being_replaced(&self, place: usize) -> bool {
        self.pending
            .values()
            .any(|pending| pending.order == place && matches!(pending.purpose, Purpose::Replace { .. }))
    }

    /// Whether what happened to an order may be of a command that is not answered.
    fn must_wait(&self, frame: &Frame) -> bool {
        if self.is_over || frame.header().kind != kind::EVENT {
            return false;
        }
        let order = match frame.output().decode() {
            Ok(Event::Fill(fill)) => fill.client_order,
            Ok(Event::OrderDecremented(decremented)) => decremented.client_order,
            Ok(Event::OrderClosed(closed)) => closed.client_order,
            _ => return false,
        };
        let Some(place) = self.place(order) else { return false };
        self.orders[place].state == State::Entering || self.is_being_replaced(place)
    }

    fn happened(&mut self, frame: &Frame, batch: &mut Batch) {
        let mut say = Say { batch, timestamp: since_midnight(frame.header().timestamp.0) };
        match frame.output().decode() {
            Ok(Event::Fill(fill)) => self.filled(fill, &mut say),
            Ok(Event::OrderClosed(closed)) => self.closed(closed, &mut say),
            Ok(Event::OrderDecremented(decremented)) => {
                let Some(place) = self.place(decremented.client_order) else { return };
                let is_being_replaced = self.is_being_replaced(place);
                let order = &mut self.orders[place];
                let decrement = shares(decremented.decremented);
                order.shares = order.shares.saturating_sub(decrement);
                // A replacement that comes behind it says how much it is in all.
                if !is_being_replaced {
                    order.intended = order.intended.saturating_sub(decrement);
                }
                order.self_match(decrement, &mut say);
                order.end_if_done();
            }
            _ => {}
        }
    }

    fn filled(&mut self, fill: &Fill, say: &mut Say<'_>) {
        let Some(place) = self.place(fill.client_order) else { return };
        let order = &mut self.orders[place];
        let listing = listing(&self.listings, &order.entered.stock);
        let price = listing.and_then(|listing| listing.price_out(fill.price)).unwrap_or(order.price);
        let executed = shares(fill.quantity);
        order.executed = order.executed.saturating_add(executed);
        let liquidity = match (fill.liquidity.get(), order.entered.cross, order.entered.display) {
            (Liquidity::Auction, code::OPENING_CROSS, _) => code::OPENING,
            (Liquidity::Auction, code::CLOSING_CROSS, _) => code::CLOSING,
            (Liquidity::Auction, ..) => code::HALT,
            (Liquidity::Taker, ..) => code::REMOVED,
            (Liquidity::Maker, _, code::NON_DISPLAY) => code::ADDED_HIDDEN,
            (Liquidity::Maker, ..) => code::ADDED,
        };
        let (timestamp, token, match_number) = (say.timestamp, order.token, fill.trade.0);
        say.put(ouch::Executed { timestamp, token, shares: executed, price, liquidity, match_number });
        order.end_if_done();
    }

    fn closed(&mut self, closed: &OrderClosed, say: &mut Say<'_>) {
        let Some(place) = self.place(closed.client_order) else { return };
        let order = &mut self.orders[place];
        let decrement = shares(closed.cancelled);
        order.state = State::Dead;
        match closed.reason.get() {
            CloseReason::SelfTrade => order.self_match(decrement, say),
            CloseReason::Expired => say.cancel(order.token, decrement, code::TIMEOUT),
            CloseReason::AuctionOver => say.cancel(order.token, decrement, code::CROSS),
            CloseReason::Cancelled | CloseReason::KillSwitch | CloseReason::Delisted => {
                say.cancel(order.token, decrement, code::SUPERVISORY);
            }
            _ => say.cancel(order.token, decrement, code::SYSTEM),
        }
    }

    /// The engine answered a request.
    fn answered(&mut self, frame: &Frame, batch: &mut Batch) -> bool {
        let Some(pending) = self.pending.remove(&frame.header().request.0) else { return false };
        let mut say = Say { batch, timestamp: since_midnight(frame.header().timestamp.0) };
        let (place, say) = (pending.order, &mut say);
        if let Some(rejected) = frame.output().rejected() {
            self.refused(place, pending.purpose, reject_reason(rejected.code), false, say);
            return true;
        }
        match frame.output().decode() {
            Ok(Reply::OrderAccepted(accepted)) => self.accepted(place, accepted, say),
            Ok(Reply::OrderReplaced(replaced)) => self.replaced(place, pending.purpose, replaced, say),
            Ok(Reply::OrderReduced(reduced)) => {
                let left = shares(reduced.filled).saturating_add(shares(reduced.remaining));
                self.orders[place].reduced(left, pending.purpose, reduced.remaining == Quantity(0), say);
            }
            Ok(Reply::OrderCancelled(cancelled)) => {
                let order = &mut self.orders[place];
                order.state = State::Dead;
                say.cancel(order.token, shares(cancelled.cancelled), code::USER);
            }
            Ok(Reply::Declined(declined)) => {
                let reason = declined.reason.get();
                let is_late =
                    matches!(reason, DeclineReason::Filled | DeclineReason::Cancelled | DeclineReason::UnknownOrder);
                self.refused(place, pending.purpose, decline_reason(reason), is_late, say);
            }
            _ => self.refused(place, pending.purpose, code::OTHER, false, say),
        }
        true
    }

    fn accepted(&mut self, place: usize, accepted: &OrderAccepted, say: &mut Say<'_>) {
        let listing = listing(&self.listings, &self.orders[place].entered.stock);
        let order = &mut self.orders[place];
        let ouch::EnterOrder {
            side,
            shares: entered,
            stock,
            time_in_force,
            firm,
            display,
            capacity,
            sweep,
            minimum,
            cross,
            ..
        } = order.entered;
        order.state = State::Live;
        order.reference = accepted.order.0;
        order.price = listing.and_then(|listing| listing.price_out(accepted.price)).unwrap_or(order.price);
        let (timestamp, token, price, reference) = (say.timestamp, order.token, order.price, order.reference);
        let (state, weight) = (code::LIVE, code::UNSPECIFIED);
        let shares_entered = entered;
        say.put(ouch::Accepted {
            timestamp,
            token,
            side,
            shares: shares_entered,
            stock,
            price,
            time_in_force,
            firm,
            display,
            reference,
            capacity,
            sweep,
            minimum,
            cross,
            state,
            weight,
        });
        self.came_in(place, accepted.status.get(), accepted.filled);
    }

    fn replaced(&mut self, place: usize, purpose: Purpose, replaced: &OrderReplaced, say: &mut Say<'_>) {
        let Purpose::Replace { token, shares: total } = purpose else { return };
        let listing = listing(&self.listings, &self.orders[place].entered.stock);
        let order = &mut self.orders[place];
        let previous = std::mem::replace(&mut order.token, token);
        order.shares = total;
        order.price = listing.and_then(|listing| listing.price_out(replaced.price)).unwrap_or(order.price);
        let ouch::EnterOrder { side, stock, time_in_force, firm, display, capacity, sweep, minimum, cross, .. } =
            order.entered;
        let (timestamp, price, reference) = (say.timestamp, order.price, order.reference);
        let (state, weight) = (code::LIVE, code::UNSPECIFIED);
        say.put(ouch::Replaced {
            timestamp,
            token,
            side,
            shares: total,
            stock,
            price,
            time_in_force,
            firm,
            display,
            reference,
            capacity,
            sweep,
            minimum,
            cross,
            state,
            previous,
            weight,
        });
        self.came_in(place, replaced.status.get(), replaced.filled);
    }

    /// An order came in, and `filled` of it has traded since it was entered: the rest goes when that has been said.
    fn came_in(&mut self, place: usize, status: OrderStatus, filled: Quantity) {
        let order = &mut self.orders[place];
        if status == OrderStatus::Cancelled {
            let is_immediate = order.entered.time_in_force == code::IMMEDIATE;
            let reason = if is_immediate { code::IMMEDIATE_OR_CANCEL } else { code::SELF_MATCH };
            order.closing = Some((shares(filled), reason));
            self.closing.push_back(place);
        }
        order.end_if_done();
    }

    /// Whether all was said that an order did that came in and does not stay.
    fn is_closing(&self) -> bool {
        let closing = self.closing.front().map(|place| &self.orders[*place]);
        let is_said = |order: &Order| order.closing.is_some_and(|(filled, _)| filled <= order.executed);
        !self.is_over && self.waiting.is_empty() && closing.is_some_and(is_said)
    }

    /// Cancels what is left of an order that came in and does not stay.
    fn close(&mut self, say: &mut Say<'_>) -> bool {
        let Some(place) = self.closing.pop_front() else { return false };
        let order = &mut self.orders[place];
        let Some((_, reason)) = order.closing.take() else { return false };
        order.state = State::Dead;
        let decrement = order.shares.saturating_sub(order.executed);
        if reason == code::SELF_MATCH {
            order.self_match(decrement, say);
        } else {
            say.cancel(order.token, decrement, reason);
        }
        true
    }

    /// The engine did not do what was asked; `is_late` when the order was gone already.
    fn refused(&mut self, place: usize, purpose: Purpose, reason: u8, is_late: bool, say: &mut Say<'_>) {
        let order = &mut self.orders[place];
        let (timestamp, token) = (say.timestamp, order.token);
        if let Purpose::Replace { token: unused, .. } = purpose {
            self.tokens.remove(&unused);
        }
        match purpose {
            Purpose::Enter => {
                order.state = State::Dead;
                say.reject(token, reason);
            }
            // What comes too late is passed over.
            _ if is_late => {}
            Purpose::Replace { .. } => {
                order.newest = token;
                self.leaving.push_back(place);
            }
            Purpose::Reduce { by, .. } => {
                order.intended = order.intended.saturating_add(by);
                say.put(ouch::CancelReject { timestamp, token });
            }
            Purpose::Cancel => say.put(ouch::CancelReject { timestamp, token }),
        }
    }

    fn end(&mut self, at: u64, batch: &mut Batch) {
        self.is_over = true;
        let event = ouch::SystemEvent { timestamp: since_midnight(at), event: code::END_OF_DAY };
        batch.push(|out| Outbound::from(event).write(out));
    }
}

impl Order {
    /// Ends it if there is nothing left of it.
    fn end_if_done(&mut self) {
        if self.executed >= self.shares {
            self.state = State::Dead;
        }
    }

    /// Some of it was taken out so that it would not trade with one of the same hands.
    fn self_match(&self, decrement: u32, say: &mut Say<'_>) {
        let (timestamp, token, reason) = (say.timestamp, self.token, code::SELF_MATCH);
        let (prevented, price, liquidity) = (decrement, self.price, code::ADDED);
        say.put(ouch::AiqCanceled { timestamp, token, decrement, reason, prevented, price, liquidity });
    }

    /// It is less: `left` in all, with what has traded.
    fn reduced(&mut self, left: u32, purpose: Purpose, is_gone: bool, say: &mut Say<'_>) {
        let decrement = self.shares.saturating_sub(left);
        self.shares = left;
        if is_gone {
            self.state = State::Dead;
        }
        match purpose {
            Purpose::Reduce { modified: Some(side), .. } => {
                self.entered.side = side;
                let (timestamp, token) = (say.timestamp, self.token);
                say.put(ouch::Modified { timestamp, token, side, shares: left });
            }
            _ => say.cancel(self.token, decrement, code::USER),
        }
    }
}

impl Make for Orders {
    fn take(&mut self, input: &Input<'_>, batch: &mut Batch) -> bool {
        match input {
            Input::Begin { at } => {
                self.first = *at;
                let event = ouch::SystemEvent { timestamp: since_midnight(*at), event: code::START_OF_DAY };
                batch.push(|out| Outbound::from(event).write(out));
                true
            }
            _ if self.is_over => false,
            Input::Said(frame) => self.said(frame, batch),
            Input::Asked { at, request, message } => {
                self.asked(message, *request, *at, &mut Say { batch, timestamp: since_midnight(*at) })
            }
            Input::Again { old, new } => {
                let Some(pending) = self.pending.remove(old) else { return false };
                self.pending.insert(*new, pending);
                true
            }
            Input::Settled { at } => self.close(&mut Say { batch, timestamp: since_midnight(*at) }),
            Input::End { at } => {
                self.end(*at, batch);
                true
            }
        }
    }

    fn has_more(&self) -> bool {
        false
    }

    fn is_over(&self) -> bool {
        self.is_over
    }
}

impl Orders {
    /// The next of what waited, if it need not wait any more because it is of a command up to `until`, or of none that is
    /// not answered.
    fn next_waiting(&mut self, until: u64) -> Option<Frame> {
        let front = self.waiting.front()?;
        if front.header().sequence.0 > until && self.must_wait(front) {
            return None;
        }
        self.waiting.pop_front()
    }
}

impl Stream<Orders> {
    /// Takes in what the engine said, in the order of OUCH: what happens to an order as it comes in, or is replaced, behind the
    /// answer to that; what happened before, before it.
    pub(crate) fn hear(&mut self, frame: &Frame) -> io::Result<()> {
        let Sequence(sequence) = frame.header().sequence;
        if matches!(frame.header().kind, kind::REPLY | kind::REJECT) {
            self.release(sequence.saturating_sub(1))?;
            self.take(&Input::Said(frame))?;
            self.release(sequence)?;
        } else {
            self.maker.waiting.push_back(*frame);
            self.release(0)?;
        }
        self.settle(frame.header().timestamp.0)
    }

    /// Takes in what waits no more.
    fn release(&mut self, until: u64) -> io::Result<()> {
        while let Some(frame) = self.maker.next_waiting(until) {
            self.take(&Input::Said(&frame))?;
        }
        Ok(())
    }

    /// Cancels what is left of orders that came in and do not stay, once all else was said of them.
    pub(crate) fn settle(&mut self, at: u64) -> io::Result<()> {
        while self.maker.is_closing() {
            self.take(&Input::Settled { at })?;
        }
        Ok(())
    }
}

/// Shares of one of this account's orders, which are fewer than a million.
fn shares(quantity: Quantity) -> u32 {
    u32::try_from(quantity.0).unwrap_or(u32::MAX)
}

/// The name of a stream of orders: the account's, in capitals.
pub(crate) fn stream_name(username: &Text<6>) -> String {
    username.to_string().to_ascii_uppercase() + ".ouch"
}
