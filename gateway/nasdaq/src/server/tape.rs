//! Market data: what the engine says of instruments, as ITCH.
//!
//! | the engine | ITCH |
//! |---|---|
//! | an order is displayed | `A` |
//! | it displays less, and stands where it stood | `X` |
//! | it displays more, or stands last at its price | `U`, under a new number |
//! | it is gone, or has another price | `D`, and `A` at the other |
//! | a trade with a displayed order | `E`; `C` where the price is another |
//! | a trade with one that is not displayed | `P` |
//! | a trade of an auction | `C`, not printed, of both orders; `Q` when the auction is over |
//! | an indication | `I` |
//! | a phase | `H` |

use super::gathering::Frame;
use super::settings::Listing;
use super::stream::{Input, Make};
use crate::itch::{self, Message, code};
use crate::layout::{Nanos48, Text};
use crate::store::Batch;
use ringfence_domains::matching::messages::{
    AuctionIndication, Event, OrderShown, Phase, Price, Priority, Quantity, Side, Trade,
};
use ringfence_domains::matching::topics;
use ringfence_kernel::Topic;
use ringfence_kernel::image::kind;
use std::collections::{BTreeMap, HashMap};

const DAY_NS: u64 = 86_400 * 1_000_000_000;
/// Orders that are taken out at most in one batch.
const DELETES_MAX: usize = 1_000;

/// Nanoseconds after midnight UTC.
pub(crate) const fn since_midnight(at: u64) -> u64 {
    at % DAY_NS
}

/// An order as the feed has it.
#[derive(Clone, Copy, Debug)]
struct Shown {
    /// Its number in the feed: an order that stands last gets another.
    reference: u64,
    /// Its place among the listings.
    listing: usize,
    price: Price,
    shares: u32,
    side: Side,
    /// The snapshot that last named it, if nothing else did since.
    snapshot: Option<u64>,
}

/// What is known of an instrument.
#[derive(Debug)]
struct Line {
    listing: Listing,
    phase: Option<Phase>,
    /// What the auction that goes on has traded: how much, at which price, and the last trade's number.
    crossed: Option<(u64, u32, u64)>,
    /// Whether its orders are known.
    is_known: bool,
    /// The snapshot of its orders that is being read: the log's number that all its parts have.
    reading: Option<u64>,
}

/// Makes ITCH of what the engine says.
#[derive(Debug)]
pub(crate) struct Tape {
    lines: Vec<Line>,
    orders: HashMap<u64, Shown>,
    /// The feed's last number of an order.
    reference: u64,
    /// Numbers of the last events, by topic.
    last: BTreeMap<Topic, u64>,
    is_market_open: bool,
    has_more: bool,
    is_over: bool,
}

/// What is common to the messages that are made of one image.
#[derive(Clone, Copy)]
struct Stamp {
    locate: u16,
    tracking: u16,
    timestamp: Nanos48,
}

impl Tape {
    pub(crate) fn new(listings: &[Listing]) -> Self {
        let line = |listing: &Listing| Line {
            listing: listing.clone(),
            phase: None,
            crossed: None,
            is_known: false,
            reading: None,
        };
        Self {
            lines: listings.iter().map(line).collect(),
            orders: HashMap::new(),
            reference: 0,
            last: BTreeMap::new(),
            is_market_open: false,
            has_more: false,
            is_over: false,
        }
    }

    /// The number of the last event of a topic; none when a snapshot of it is not known in full.
    pub(crate) fn last(&self, topic: Topic) -> Option<u64> {
        self.last.get(&topic).copied()
    }

    fn begin(&mut self, at: u64, batch: &mut Batch) {
        let timestamp = Nanos48(since_midnight(at));
        for event in [code::START_OF_MESSAGES, code::START_OF_SYSTEM] {
            put(batch, itch::SystemEvent { locate: 0, tracking: 0, timestamp, event });
        }
        for line in &self.lines {
            let Listing { instrument, stock, round_lot, .. } = &line.listing;
            put(
                batch,
                itch::StockDirectory {
                    locate: *instrument,
                    tracking: 0,
                    timestamp,
                    stock: stock.0,
                    market_category: b' ',
                    financial_status: b' ',
                    round_lot: *round_lot,
                    round_lots_only: b'N',
                    classification: b'C',
                    subtype: Text(*b"Z "),
                    authenticity: b'P',
                    short_sale: b' ',
                    ipo: b' ',
                    tier: b' ',
                    fund: b' ',
                    leverage: 0,
                    inverse: b'N',
                },
            );
        }
    }

    fn end(&mut self, at: u64, batch: &mut Batch) {
        self.is_over = true;
        let market = if self.is_market_open { Some(code::END_OF_MARKET) } else { None };
        for event in market.into_iter().chain([code::END_OF_SYSTEM, code::END_OF_MESSAGES]) {
            let timestamp = Nanos48(since_midnight(at));
            put(batch, itch::SystemEvent { locate: 0, tracking: 0, timestamp, event });
        }
    }

    fn said(&mut self, frame: &Frame, batch: &mut Batch) -> bool {
        let header = frame.header();
        let topic = header.topic;
        let Some(at) = self.lines.iter().position(|line| u32::from(line.listing.instrument) == topic.id()) else {
            return false;
        };
        let timestamp = Nanos48(since_midnight(header.timestamp.0));
        let stamp = Stamp { locate: self.lines[at].listing.instrument, tracking: 0, timestamp };
        let is_part = header.kind == kind::SNAPSHOT;
        if topic.kind() == topics::ORDERS {
            // One that was cut off is followed by another one, or by events.
            self.lines[at].reading = is_part.then_some(header.sequence.0);
        }
        if let Some(number) = frame.snapshot_end() {
            self.close_snapshot(at, topic, number, stamp, batch);
            return true;
        }
        if header.kind == kind::EVENT {
            self.last.insert(topic, header.request.0);
        }
        match frame.output().decode() {
            Ok(Event::Trade(trade)) if !is_part => self.traded(at, trade, stamp, batch),
            Ok(Event::OrderShown(shown)) => self.shown(at, shown, stamp, batch),
            Ok(Event::PhaseChanged(changed)) => self.phase(at, changed.phase.get(), stamp, batch),
            Ok(Event::AuctionIndication(indication)) => self.indicated(at, indication, stamp, batch),
            _ => {}
        }
        true
    }

    /// The snapshot of a topic was said in full: orders that it does not name are gone.
    fn close_snapshot(&mut self, at: usize, topic: Topic, number: u64, stamp: Stamp, batch: &mut Batch) {
        if topic.kind() == topics::ORDERS {
            let snapshot = self.lines[at].reading;
            let is_gone = |order: &Shown| order.listing == at && order.snapshot != snapshot;
            let gone = self.orders.iter().filter(|(_, order)| is_gone(order));
            let mut gone: Vec<(u64, u64)> = gone.map(|(order, shown)| (shown.reference, *order)).collect();
            gone.sort_unstable();
            self.has_more = gone.len() > DELETES_MAX;
            for (reference, order) in gone.into_iter().take(DELETES_MAX) {
                self.orders.remove(&order);
                delete(batch, stamp, reference);
            }
            if self.has_more {
                return;
            }
            (self.lines[at].reading, self.lines[at].is_known) = (None, true);
        }
        self.last.insert(topic, number);
    }

    /// What an order displays now.
    fn shown(&mut self, at: usize, shown: &OrderShown, stamp: Stamp, batch: &mut Batch) {
        let line = &self.lines[at];
        let (order, Quantity(quantity)) = (shown.order.0, shown.quantity);
        let snapshot = line.reading;
        // What ITCH has no number for is as good as not displayed.
        let new = match (u32::try_from(quantity), line.listing.price_out(shown.price)) {
            (Ok(shares), Some(price)) if shares > 0 => Some((shares, price)),
            _ => None,
        };
        let old = self.orders.get_mut(&order).filter(|old| old.listing == at);
        let (Some((shares, price)), Some(old)) = (new, old) else {
            if let Some(old) = self.orders.remove(&order) {
                delete(batch, stamp, old.reference);
            }
            if let Some((shares, price)) = new {
                let reference = self.next_reference();
                let (side, stock) = (shown.side.get(), self.lines[at].listing.stock.0);
                let added = Shown { reference, listing: at, price: shown.price, shares, side, snapshot };
                self.orders.insert(order, added);
                let Stamp { locate, tracking, timestamp } = stamp;
                let side = if side == Side::Buy { code::BUY } else { code::SELL };
                put(batch, itch::AddOrder { locate, tracking, timestamp, reference, side, shares, stock, price });
            }
            return;
        };
        old.snapshot = snapshot;
        let Stamp { locate, tracking, timestamp } = stamp;
        let is_kept = snapshot.is_some() || shown.priority.get() == Priority::Kept;
        let stays = old.price == shown.price && is_kept;
        if stays && shares == old.shares {
            return;
        }
        let reference = old.reference;
        if stays && shares < old.shares {
            let less = old.shares - shares;
            old.shares = shares;
            put(batch, itch::OrderCancel { locate, tracking, timestamp, reference, shares: less });
            return;
        }
        (old.shares, old.price, old.side) = (shares, shown.price, shown.side.get());
        self.reference += 1;
        old.reference = self.reference;
        let new_reference = self.reference;
        put(batch, itch::OrderReplace { locate, tracking, timestamp, reference, new_reference, shares, price });
    }

    /// Two orders traded.
    fn traded(&mut self, at: usize, trade: &Trade, stamp: Stamp, batch: &mut Batch) {
        let line = &mut self.lines[at];
        let Some(price) = line.listing.price_out(trade.price).filter(|_| line.is_known) else { return };
        let (quantity, match_number) = (trade.quantity.0, trade.trade.0);
        if line.phase.is_some_and(|phase| phase != Phase::Continuous) {
            let before = line.crossed.map_or(0, |(shares, ..)| shares);
            line.crossed = Some((before.saturating_add(quantity), price, match_number));
            for order in [trade.maker_order, trade.taker_order] {
                self.execute(order.0, quantity, (match_number, price, true), stamp, batch);
            }
            return;
        }
        let shown = self.execute(trade.maker_order.0, quantity, (match_number, price, false), stamp, batch);
        let mut hidden = quantity - u64::from(shown);
        let (stock, Stamp { locate, tracking, timestamp }) = (self.lines[at].listing.stock.0, stamp);
        while hidden > 0 {
            let shares = u32::try_from(hidden).unwrap_or(u32::MAX);
            hidden -= u64::from(shares);
            let (reference, side) = (0, code::BUY);
            put(
                batch,
                itch::Trade { locate, tracking, timestamp, reference, side, shares, stock, price, match_number },
            );
        }
    }

    /// Says that a displayed order traded; gives how much of it was displayed.
    fn execute(
        &mut self,
        order: u64,
        quantity: u64,
        (match_number, price, is_cross): (u64, u32, bool),
        stamp: Stamp,
        batch: &mut Batch,
    ) -> u32 {
        let Some(shown) = self.orders.get_mut(&order) else { return 0 };
        let shares = u32::try_from(quantity).unwrap_or(u32::MAX).min(shown.shares);
        let (reference, Stamp { locate, tracking, timestamp }) = (shown.reference, stamp);
        let at_its_price = self.lines[shown.listing].listing.price_out(shown.price) == Some(price);
        shown.shares -= shares;
        if shown.shares == 0 {
            self.orders.remove(&order);
        }
        if at_its_price && !is_cross {
            put(batch, itch::OrderExecuted { locate, tracking, timestamp, reference, shares, match_number });
        } else {
            let printable = if is_cross { code::NON_PRINTABLE } else { b'Y' };
            put(
                batch,
                itch::ExecutedWithPrice {
                    locate,
                    tracking,
                    timestamp,
                    reference,
                    shares,
                    match_number,
                    printable,
                    price,
                },
            );
        }
        shares
    }

    fn indicated(&mut self, at: usize, said: &AuctionIndication, stamp: Stamp, batch: &mut Batch) {
        let line = &self.lines[at];
        let Some(phase) = line.phase.filter(|phase| *phase != Phase::Continuous) else { return };
        let Some(price) = line.listing.price_out(said.price) else { return };
        let (direction, imbalance) = match (said.quantity.0, said.bid_surplus.0, said.ask_surplus.0) {
            (0, ..) => (code::INSUFFICIENT, 0),
            (_, 0, 0) => (code::NO_IMBALANCE, 0),
            (_, bids, 0) => (code::BUY_IMBALANCE, bids),
            (_, _, asks) => (code::SELL_IMBALANCE, asks),
        };
        let Stamp { locate, tracking, timestamp } = stamp;
        put(
            batch,
            itch::Imbalance {
                locate,
                tracking,
                timestamp,
                paired: said.quantity.0,
                imbalance,
                direction,
                stock: line.listing.stock.0,
                far: price,
                near: price,
                reference: price,
                cross: cross(phase),
                variation: code::NO_VARIATION,
            },
        );
    }

    fn phase(&mut self, at: usize, phase: Phase, stamp: Stamp, batch: &mut Batch) {
        let line = &mut self.lines[at];
        let before = line.phase.replace(phase);
        if before == Some(phase) {
            return;
        }
        let (stock, Stamp { locate, tracking, timestamp }) = (line.listing.stock.0, stamp);
        if let (Some((shares, price, match_number)), Some(before)) = (line.crossed.take(), before) {
            let cross = cross(before);
            put(batch, itch::CrossTrade { locate, tracking, timestamp, shares, stock, price, match_number, cross });
        }
        if phase == Phase::Continuous && !std::mem::replace(&mut self.is_market_open, true) {
            put(batch, itch::SystemEvent { locate: 0, tracking, timestamp, event: code::START_OF_MARKET });
        }
        let (state, reason) = match phase {
            Phase::Continuous => (code::TRADING, *b"    "),
            Phase::PreOpen | Phase::OpeningAuction | Phase::IntradayAuction | Phase::ClosingAuction => {
                (code::QUOTATION, *b"    ")
            }
            Phase::VolatilityAuction => (code::PAUSED, *b"LUDP"),
            Phase::Halted | Phase::Closed | Phase::Announced | Phase::Delisted => (code::HALTED, *b"    "),
        };
        let (reserved, reason) = (0, Text(reason));
        put(batch, itch::TradingAction { locate, tracking, timestamp, stock, state, reserved, reason });
    }

    fn next_reference(&mut self) -> u64 {
        self.reference += 1;
        self.reference
    }
}

impl Make for Tape {
    fn take(&mut self, input: &Input<'_>, batch: &mut Batch) -> bool {
        match input {
            Input::Begin { at } => self.begin(*at, batch),
            Input::End { at } => self.end(*at, batch),
            Input::Said(frame) if !self.is_over => return self.said(frame, batch),
            Input::Said(_) | Input::Asked { .. } | Input::Settled { .. } | Input::Again { .. } => {}
        }
        false
    }

    fn has_more(&self) -> bool {
        self.has_more
    }

    fn is_over(&self) -> bool {
        self.is_over
    }
}

/// Which auction a phase is.
const fn cross(phase: Phase) -> u8 {
    match phase {
        Phase::PreOpen | Phase::OpeningAuction => code::OPENING,
        Phase::ClosingAuction => code::CLOSING,
        _ => code::HALT,
    }
}

fn delete(batch: &mut Batch, stamp: Stamp, reference: u64) {
    let Stamp { locate, tracking, timestamp } = stamp;
    put(batch, itch::OrderDelete { locate, tracking, timestamp, reference });
}

fn put(batch: &mut Batch, message: impl Into<Message>) {
    batch.push(|out| message.into().write(out));
}

/// The order in which one command's events of an instrument are, as far as the topics of it leave that open: each trade
/// before what is then displayed of its orders; the phase behind all that an auction trades, and indications about it.
pub(crate) fn interleave(frames: Vec<Frame>) -> Vec<Frame> {
    let mut all = Vec::with_capacity(frames.len());
    for run in frames.chunk_by(|a, b| a.header().sequence == b.header().sequence) {
        let mut by_instrument = BTreeMap::<u32, Vec<&Frame>>::new();
        for frame in run {
            by_instrument.entry(frame.header().topic.id()).or_default().push(frame);
        }
        for frames in by_instrument.values() {
            let of = |kind| frames.iter().filter(move |frame| frame.header().topic.kind() == kind);
            let mut trades: Vec<&&Frame> = of(topics::TRADES).collect();
            for frame in of(topics::ORDERS) {
                let is_of = |trade: &&Frame| match (trade.output().decode(), frame.output().decode()) {
                    (Ok(Event::Trade(trade)), Ok(Event::OrderShown(shown))) => {
                        [trade.maker_order, trade.taker_order].contains(&shown.order)
                    }
                    _ => false,
                };
                // What an order displays when it comes to stand is behind what it traded as it came in.
                if let Some(at) = trades.iter().position(|trade| is_of(trade)) {
                    all.extend(trades.drain(..=at).map(|trade| **trade));
                }
                all.push(**frame);
            }
            all.extend(trades.into_iter().map(|frame| **frame));
            let is_empty = |frame: &Frame| match frame.output().decode() {
                Ok(Event::AuctionIndication(indication)) => indication.quantity == Quantity(0),
                _ => false,
            };
            all.extend(of(topics::AUCTIONS).filter(|frame| is_empty(frame)).map(|frame| **frame));
            all.extend(of(topics::PHASES).map(|frame| **frame));
            all.extend(of(topics::AUCTIONS).filter(|frame| !is_empty(frame)).map(|frame| **frame));
        }
    }
    all
}
