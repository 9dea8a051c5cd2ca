//! Runs the transcripts in `scenarios`: what clients ask, and below each request everything that is said.
//!
//! ```text
//! # Words after a number sign are for the reader.
//! at 5                                  time goes on to 5 ns after the start
//! 1: sell 1 10 @ 500 as 7               client 1 sells 10 of instrument 1 at 500 or better, and calls the order 7
//!   book 1 ask 500: 10 in 1             an event on a topic: indented, as are all that follow
//!   -> accepted #1 as 7, open 10        the answer
//! ```
//!
//! `stop buy|sell I Q at T @ P as N` enters a stop with the trigger T; behind it may stand `trail D` as well.
//!
//! `peg buy|sell I Q primary|market|midpoint offset D @ P as N` enters an order that follows the best prices, up to P; it is
//! displayed if the last word is `displayed`.
//!
//! An order whose last words are `hidden`, `hidden minimum M` or `display D` has a reserve.
//!
//! `limits A quantity Q value V orders N` is an operator's. `order N`, `open orders`, `account`, `book I depth D` and `statistics I` ask for reports.
//!
//! `phase I NAME`, `bands I reference P static D dynamic D length T` and `schedule I T NAME T NAME …` are an operator's;
//! the names are `continuous`, `pre-open`, `opening`, `intraday`, `closing`, `volatility`, `halted`, `closed`, `announced`,
//! `delisted`. Orders for
//! an auction alone say `at-open` or `at-close`.
//!
//! `allocation I time|pro-rata|top [minimum M]` and `ticks I FROM TICK FROM TICK …` are an operator's as well.
//!
//! `orders I on|off`, `settle I BASE for QUOTE units B Q fees MAKER TAKER`, `deposit A N of ASSET as T`, `withdraw A N of ASSET as T`,
//! `holding A LIMIT of ASSET`, `asset ASSET` and `copies of A to R` (0: to nobody) too; `balances` asks for one's own.
//!
//! Requests: `define I tick T lot L from P to P [protection P] [day T]`, `buy|sell I Q @ P as N`, `cancel N`,
//! `cancel N N …` (several: a list), `replace N to Q @ P [hidden … | display D]`, `replace stop N to Q at T @ P [trail D]`, `reduce N by Q`, `cancel all [of A | of everyone] [in I]
//! [side bids | side asks] [from P to P]`, `kill on|off [A]`, `on-disconnect cancel|keep`, `disconnect`,
//! `self-trade A group G allow|newest|oldest|both|decrement`. An order's price may be `market` or
//! `to-limit`; after its number may stand `ioc`, `fok`, `day`, `until T`, `minimum M`, `post`, `slide`,
//! `fragile`.
//!
//! Each transcript is run against the domain and its model, with all invariants checked after each request.
//! `RINGFENCE_BLESS=1 cargo test -p ringfence-domains scenarios` writes what is said into the files: read the
//! difference before it is committed.

use super::messages::{
    Allocation, AssetId, AuctionIndication, BalanceSaid, Cancel, CancelMany, CancelManyOrder, ClientOrderId, Command,
    DefineInstrument, Direction, Event, Execution, ExecutionReport, GetAccount, GetAsset, GetBalances, GetBook,
    GetOpenOrders, GetOrder, GetStatistics, InstrumentId, KillSwitch, MassCancel, MatchingLimits, NewOrder, NewPeg,
    NewReserve, NewStop, OnDisconnect, OpenOrder, OpenStop, OrderFeed, OrderType, Peg, Phase, Price, Quantity, Reduce,
    Replace, ReplaceReserve, ReplaceStop, Reply, ScheduleEntry, Scope, SelfTrade, SetAllocation, SetBands, SetDropCopy,
    SetHoldingLimit, SetKillSwitch, SetLimits, SetOnDisconnect, SetOrderFeed, SetPhase, SetSchedule, SetSelfTrade,
    SetSettlement, SetTicks, Side, SideCode, Sides, StatisticsReport, TickBand, TimeInForce, Transfer, TransferId,
};
use super::model::Model;
use super::topics;
use crate::tests::{Transcripts, nanoseconds};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, Slot, kind};
use ringfence_kernel::laws::Step;
use ringfence_kernel::messages::{Message, Reserved};
use ringfence_kernel::outbox::image;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{Account, ClientId, OutputHeader, SessionChange, Timestamp, Topic};

const LIMITS: MatchingLimits = MatchingLimits {
    instruments: 4,
    orders: 64,
    levels: 16,
    accounts: 4,
    specials: 8,
    assets: 3,
    balances: 8,
    readers: 2,
};

/// Guards against a rule that is not kept: each transcript names one at its top.
#[test]
fn scenarios_are_as_written() {
    let transcripts = Transcripts::<Model> {
        folder: "matching/scenarios",
        least: 56,
        limits: LIMITS,
        time: nanoseconds,
        step,
        sound: |matching| {
            matching.check_invariants();
            Ok(())
        },
        say,
    };
    transcripts.check();
}

/// What one line asks for.
fn step(line: &str) -> Option<Step> {
    match line.split_once(": ")? {
        (client, "disconnect") => Some(Step::Session(ClientId(client.parse().ok()?), SessionChange::Closed)),
        (client, request) => parse(ClientId(client.parse().ok()?), request).map(Step::Command),
    }
}

fn parse(client: ClientId, request: &str) -> Option<CommandImage> {
    let words: Vec<&str> = request.split_whitespace().collect();
    let mut image = CommandImage::default();
    let id = |word: &str| word.parse().ok().map(ClientOrderId);
    match words[..] {
        ["define", instrument, "tick", tick, "lot", lot, "from", min, "to", max, ref rest @ ..] => {
            let after = |word| rest.iter().position(|known| *known == word).and_then(|at| rest.get(at + 1));
            let define = DefineInstrument {
                price_min: price(min)?,
                price_max: price(max)?,
                tick: price(tick)?,
                lot: Quantity(lot.parse().ok()?),
                protection: after("protection").map_or(Some(Price(0)), |word| price(word))?,
                day_end: after("day").map_or(Some(0), |word| word.parse().ok())?,
                instrument: InstrumentId(instrument.parse().ok()?),
                price_decimals: 2,
                reserved: Reserved::default(),
            };
            image.set(client, Command::DefineInstrument(&define));
        }
        [side @ ("buy" | "sell"), instrument, quantity, "@", at, "as", number, ref rest @ ..] => {
            let mut order = new_order(side, instrument, quantity, at, number)?;
            if let Some((words, reserve)) = reserve(rest) {
                terms(words, &mut order)?;
                image.set(client, Command::NewReserve(&with_reserve(&order, reserve)));
                return Some(image);
            }
            terms(rest, &mut order)?;
            image.set(client, Command::NewOrder(&order));
        }
        [
            "stop",
            side @ ("buy" | "sell"),
            instrument,
            quantity,
            "at",
            trigger,
            "@",
            at,
            "as",
            number,
            ref rest @ ..,
        ] => {
            let order = new_order(side, instrument, quantity, at, number)?;
            image.set(client, Command::NewStop(&stop(price(trigger)?, order, rest)?));
        }
        ["peg", side, instrument, quantity, to, "offset", offset, "@", at, "as", number, ref rest @ ..] => {
            let mut order = new_order(side, instrument, quantity, at, number)?;
            let (is_displayed, rest) = match rest {
                [rest @ .., "displayed"] => (true, rest),
                _ => (false, rest),
            };
            terms(rest, &mut order)?;
            image.set(client, Command::NewPeg(&peg(to, is_displayed, price(offset)?, &order)?));
        }
        ["limits", of, "quantity", quantity, "value", value, "orders", orders] => {
            let (order_quantity, order_value) = (Quantity(quantity.parse().ok()?), value.parse().ok()?);
            let (account, orders) = (Account(of.parse().ok()?), orders.parse().ok()?);
            image.set(client, Command::SetLimits(&SetLimits { order_quantity, order_value, account, orders }));
        }
        ["order", number] => image.set(client, Command::GetOrder(&GetOrder { client_order: id(number)? })),
        ["open", "orders"] => {
            image.set(client, Command::GetOpenOrders(&GetOpenOrders { reserved: Reserved::default() }));
        }
        ["account"] => image.set(client, Command::GetAccount(&GetAccount { reserved: Reserved::default() })),
        ["book", instrument, "depth", depth] => {
            let (instrument, depth) = (InstrumentId(instrument.parse().ok()?), depth.parse().ok()?);
            image.set(client, Command::GetBook(&GetBook { instrument, depth, reserved: Reserved::default() }));
        }
        ["statistics", instrument] => {
            let (instrument, reserved) = (InstrumentId(instrument.parse().ok()?), Reserved::default());
            image.set(client, Command::GetStatistics(&GetStatistics { instrument, reserved }));
        }
        ["phase", instrument, name] => {
            let (instrument, phase) = (InstrumentId(instrument.parse().ok()?), phase(name)?.into());
            let reserved = Reserved::default();
            image.set(client, Command::SetPhase(&SetPhase { instrument, phase, reserved }));
        }
        ["bands", instrument, "reference", reference, "static", fixed, "dynamic", moving, "length", length] => {
            let bands = SetBands {
                reference: price(reference)?,
                static_band: price(fixed)?,
                dynamic_band: price(moving)?,
                volatility_length: length.parse().ok()?,
                instrument: InstrumentId(instrument.parse().ok()?),
                reserved: Reserved::default(),
            };
            image.set(client, Command::SetBands(&bands));
        }
        ["schedule", instrument, ref entries @ ..] => {
            let entry = |pair: &[&str]| {
                let (time, phase) = (pair.first()?.parse().ok()?, phase(pair.get(1)?)?.into());
                Some(ScheduleEntry { time, phase, reserved: Reserved::default() })
            };
            let entries: Option<Vec<_>> = entries.chunks(2).map(entry).collect();
            let schedule =
                SetSchedule { instrument: InstrumentId(instrument.parse().ok()?), reserved: Reserved::default() };
            image.set(client, Command::SetSchedule(&schedule, &entries?));
        }
        ["cancel", "all", ref rest @ ..] => image.set(client, Command::MassCancel(&mass_cancel(rest)?)),
        ["kill", switch @ ("on" | "off"), ref account @ ..] => {
            let account = account.first().map_or(Some(0), |word| word.parse().ok())?;
            let scope = if account == 0 { Scope::Own } else { Scope::Account };
            let kill_switch = if switch == "on" { KillSwitch::On } else { KillSwitch::Off };
            let (scope, kill_switch, reserved) = (scope.into(), kill_switch.into(), Reserved::default());
            let set = SetKillSwitch { account: Account(account), scope, kill_switch, reserved };
            image.set(client, Command::SetKillSwitch(&set));
        }
        ["allocation", instrument, how, ref rest @ ..] => {
            let allocation = match how {
                "time" => Allocation::PriceTime,
                "pro-rata" => Allocation::ProRata,
                "top" => Allocation::ProRataTop,
                _ => return None,
            };
            let minimum = match *rest {
                ["minimum", minimum] => minimum.parse().ok()?,
                [] => 0,
                _ => return None,
            };
            let (minimum, instrument) = (Quantity(minimum), InstrumentId(instrument.parse().ok()?));
            let (allocation, reserved) = (allocation.into(), Reserved::default());
            image.set(client, Command::SetAllocation(&SetAllocation { minimum, instrument, allocation, reserved }));
        }
        ["settle", instrument, base, "for", quote, "units", base_unit, quote_unit, "fees", maker, taker] => {
            let asset = |word: &str| word.parse().ok().map(AssetId);
            let settlement = SetSettlement {
                base_unit: base_unit.parse().ok()?,
                quote_unit: quote_unit.parse().ok()?,
                base: asset(base)?,
                quote: asset(quote)?,
                maker_fee: maker.parse().ok()?,
                taker_fee: taker.parse().ok()?,
                instrument: InstrumentId(instrument.parse().ok()?),
                reserved: Reserved::default(),
            };
            image.set(client, Command::SetSettlement(&settlement));
        }
        [way @ ("deposit" | "withdraw"), account, amount, "of", asset, "as", number] => {
            let direction = if way == "deposit" { Direction::Deposit } else { Direction::Withdrawal };
            let transfer = Transfer {
                transfer: TransferId(number.parse().ok()?),
                amount: amount.parse().ok()?,
                account: Account(account.parse().ok()?),
                asset: AssetId(asset.parse().ok()?),
                direction: direction.into(),
                reserved: Reserved::default(),
            };
            image.set(client, Command::Transfer(&transfer));
        }
        ["holding", account, limit, "of", asset] => {
            let (account, asset) = (Account(account.parse().ok()?), AssetId(asset.parse().ok()?));
            let limit = limit.parse().ok()?;
            image.set(client, Command::SetHoldingLimit(&SetHoldingLimit { limit, account, asset }));
        }
        ["orders", instrument, feed @ ("on" | "off")] => {
            let feed = if feed == "on" { OrderFeed::On } else { OrderFeed::Off }.into();
            let (instrument, reserved) = (InstrumentId(instrument.parse().ok()?), Reserved::default());
            image.set(client, Command::SetOrderFeed(&SetOrderFeed { instrument, feed, reserved }));
        }
        ["copies", "of", account, "to", reader] => {
            let [account, reader] = [account, reader].map(|word| word.parse().ok().map(Account));
            image.set(client, Command::SetDropCopy(&SetDropCopy { account: account?, reader: reader? }));
        }
        ["balances"] => image.set(client, Command::GetBalances(&GetBalances { reserved: Reserved::default() })),
        ["asset", asset] => {
            let (asset, reserved) = (AssetId(asset.parse().ok()?), Reserved::default());
            image.set(client, Command::GetAsset(&GetAsset { asset, reserved }));
        }
        ["ticks", instrument, ref bands @ ..] => {
            let band = |pair: &[&str]| match *pair {
                [from, tick] => Some(TickBand { from: price(from)?, tick: price(tick)? }),
                _ => None,
            };
            let bands: Option<Vec<TickBand>> = bands.chunks(2).map(band).collect();
            let (instrument, reserved) = (InstrumentId(instrument.parse().ok()?), Reserved::default());
            image.set(client, Command::SetTicks(&SetTicks { instrument, reserved }, &bands?));
        }
        ["self-trade", of, "group", group, how] => {
            let self_trade = match how {
                "allow" => SelfTrade::Allow,
                "newest" => SelfTrade::CancelNewest,
                "oldest" => SelfTrade::CancelOldest,
                "both" => SelfTrade::CancelBoth,
                "decrement" => SelfTrade::DecrementAndCancel,
                _ => return None,
            };
            let (account, group) = (Account(of.parse().ok()?), group.parse().ok()?);
            let (self_trade, reserved) = (self_trade.into(), Reserved::default());
            image.set(client, Command::SetSelfTrade(&SetSelfTrade { account, group, self_trade, reserved }));
        }
        ["on-disconnect", what @ ("cancel" | "keep")] => {
            let on_disconnect = if what == "cancel" { OnDisconnect::Cancel } else { OnDisconnect::Keep };
            let set = SetOnDisconnect { on_disconnect: on_disconnect.into(), reserved: Reserved::default() };
            image.set(client, Command::SetOnDisconnect(&set));
        }
        ["cancel", number] => image.set(client, Command::Cancel(&Cancel { client_order: id(number)? })),
        ["cancel", ref numbers @ ..] => {
            let list: Option<Vec<_>> =
                numbers.iter().map(|number| Some(CancelManyOrder { client_order: id(number)? })).collect();
            image.set(client, Command::CancelMany(&CancelMany { reserved: Reserved::default() }, &list?));
        }
        ["replace", number, "to", quantity, "@", at] => {
            let (price, quantity) = (price(at)?, Quantity(quantity.parse().ok()?));
            image.set(client, Command::Replace(&Replace { client_order: id(number)?, price, quantity }));
        }
        ["replace", number, "to", quantity, "@", at, ref rest @ ..] => {
            let (_, [display, minimum]) = reserve(rest)?;
            let (client_order, price, quantity) = (id(number)?, price(at)?, Quantity(quantity.parse().ok()?));
            let replace = ReplaceReserve { client_order, price, quantity, display, minimum };
            image.set(client, Command::ReplaceReserve(&replace));
        }
        ["replace", "stop", number, "to", quantity, "at", trigger, "@", at, ref rest @ ..] => {
            let replace = ReplaceStop {
                client_order: id(number)?,
                trigger: price(trigger)?,
                price: if at == "market" { Price(0) } else { price(at)? },
                trail: if let ["trail", distance] = *rest { price(distance)? } else { Price(0) },
                quantity: Quantity(quantity.parse().ok()?),
            };
            image.set(client, Command::ReplaceStop(&replace));
        }
        ["reduce", number, "by", quantity] => {
            let quantity = Quantity(quantity.parse().ok()?);
            image.set(client, Command::Reduce(&Reduce { client_order: id(number)?, quantity }));
        }
        _ => return None,
    }
    Some(image)
}

fn new_order(side: &str, instrument: &str, quantity: &str, at: &str, number: &str) -> Option<NewOrder> {
    let (price, order_type) = match at {
        "market" => (Price(0), OrderType::Market),
        "to-limit" => (Price(0), OrderType::MarketToLimit),
        at => (price(at)?, OrderType::Limit),
    };
    Some(NewOrder {
        client_order: ClientOrderId(number.parse().ok()?),
        price,
        quantity: Quantity(quantity.parse().ok()?),
        minimum: Quantity(0),
        expires: Timestamp(0),
        instrument: InstrumentId(instrument.parse().ok()?),
        side: if side == "buy" { Side::Buy } else { Side::Sell }.into(),
        time_in_force: TimeInForce::GoodTillCancelled.into(),
        order_type: order_type.into(),
        on_disconnect: OnDisconnect::Keep.into(),
    })
}

/// What an order displays and its minimum, when its last words are `hidden`, `hidden minimum M` or `display D`; and the
/// words before these.
fn reserve<'w>(words: &'w [&'w str]) -> Option<(&'w [&'w str], [Quantity; 2])> {
    let number = |word: &str| word.parse().ok().map(Quantity);
    match words {
        [before @ .., "hidden"] => Some((before, [Quantity(0); 2])),
        [before @ .., "hidden", "minimum", minimum] => Some((before, [Quantity(0), number(minimum)?])),
        [before @ .., "display", display] => Some((before, [number(display)?, Quantity(0)])),
        [before @ .., "display", display, "minimum", minimum] => Some((before, [number(display)?, number(minimum)?])),
        _ => None,
    }
}

fn with_reserve(order: &NewOrder, [display, minimum]: [Quantity; 2]) -> NewReserve {
    let NewOrder { client_order, price, quantity, expires, instrument, side, time_in_force, on_disconnect, .. } =
        *order;
    let reserved = Reserved::default();
    NewReserve {
        client_order,
        price,
        quantity,
        display,
        minimum,
        expires,
        instrument,
        side,
        time_in_force,
        on_disconnect,
        reserved,
    }
}

/// An order like `order` that follows what `to` says, at that distance.
fn peg(to: &str, is_displayed: bool, offset: Price, order: &NewOrder) -> Option<NewPeg> {
    let peg = match (to, is_displayed) {
        ("primary", false) => Peg::Primary,
        ("market", false) => Peg::Market,
        ("midpoint", false) => Peg::Midpoint,
        ("primary", true) => Peg::PrimaryDisplayed,
        ("market", true) => Peg::MarketDisplayed,
        _ => return None,
    };
    let NewOrder { client_order, price, quantity, minimum, expires, instrument, side, time_in_force, .. } = *order;
    let on_disconnect = order.on_disconnect;
    let peg = peg.into();
    Some(NewPeg {
        client_order,
        price,
        offset,
        quantity,
        minimum,
        expires,
        instrument,
        side,
        time_in_force,
        peg,
        on_disconnect,
    })
}

/// A stop that becomes `order`, with what stands behind its number.
fn stop(trigger: Price, mut order: NewOrder, words: &[&str]) -> Option<NewStop> {
    let (trail, words) = match *words {
        ["trail", distance, ref rest @ ..] => (price(distance)?, rest),
        _ => (Price(0), words),
    };
    terms(words, &mut order)?;
    let NewOrder { client_order, price, quantity, expires, instrument, side, time_in_force, order_type, .. } = order;
    let on_disconnect = order.on_disconnect;
    Some(NewStop {
        client_order,
        trigger,
        price,
        trail,
        quantity,
        expires,
        instrument,
        side,
        time_in_force,
        order_type,
        on_disconnect,
    })
}

fn phase(name: &str) -> Option<Phase> {
    Some(match name {
        "continuous" => Phase::Continuous,
        "pre-open" => Phase::PreOpen,
        "opening" => Phase::OpeningAuction,
        "intraday" => Phase::IntradayAuction,
        "closing" => Phase::ClosingAuction,
        "volatility" => Phase::VolatilityAuction,
        "halted" => Phase::Halted,
        "closed" => Phase::Closed,
        "announced" => Phase::Announced,
        "delisted" => Phase::Delisted,
        _ => return None,
    })
}

/// What stands after `cancel all`.
fn mass_cancel(words: &[&str]) -> Option<MassCancel> {
    let mut command = MassCancel {
        price_min: Price(i64::MIN),
        price_max: Price(i64::MAX),
        instrument: InstrumentId(0),
        account: Account(0),
        scope: Scope::Own.into(),
        sides: Sides::Both.into(),
        reserved: Reserved::default(),
    };
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match (word, words.next()) {
            ("of", Some("everyone")) => command.scope = Scope::Everyone.into(),
            ("of", Some(account)) => {
                (command.scope, command.account) = (Scope::Account.into(), Account(account.parse().ok()?));
            }
            ("in", Some(instrument)) => command.instrument = InstrumentId(instrument.parse().ok()?),
            ("side", Some("bids")) => command.sides = Sides::Buy.into(),
            ("side", Some("asks")) => command.sides = Sides::Sell.into(),
            ("from", Some(min)) => command.price_min = price(min)?,
            ("to", Some(max)) => command.price_max = price(max)?,
            _ => return None,
        }
    }
    Some(command)
}

/// What stands after an order's number.
fn terms(words: &[&str], order: &mut NewOrder) -> Option<()> {
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "ioc" => order.time_in_force = TimeInForce::ImmediateOrCancel.into(),
            "at-open" => order.time_in_force = TimeInForce::AtOpen.into(),
            "at-close" => order.time_in_force = TimeInForce::AtClose.into(),
            "fok" => order.time_in_force = TimeInForce::FillOrKill.into(),
            "day" => order.time_in_force = TimeInForce::Day.into(),
            "until" => {
                order.time_in_force = TimeInForce::GoodTillDate.into();
                order.expires = Timestamp(words.next()?.parse().ok()?);
            }
            "minimum" => order.minimum = Quantity(words.next()?.parse().ok()?),
            "post" => order.order_type = OrderType::PostOnly.into(),
            "fragile" => order.on_disconnect = OnDisconnect::Cancel.into(),
            "slide" => order.order_type = OrderType::PostOnlySlide.into(),
            _ => return None,
        }
    }
    Some(())
}

fn price(word: &str) -> Option<Price> {
    match word {
        "lowest" => Some(Price(i64::MIN)),
        "highest" => Some(Price(i64::MAX)),
        _ => word.parse().ok().map(Price),
    }
}

fn side(code: SideCode, buy: &'static str, sell: &'static str) -> &'static str {
    match code.get() {
        Side::Buy => buy,
        Side::Sell => sell,
    }
}

/// One output as a line.
fn say(slot: &Slot) -> String {
    let bytes = image(slot);
    let header = OutputHeader::read(bytes).expect("it has one");
    let body = &bytes[OUTPUT_HEADER_BYTES..];
    if header.kind == kind::REPLY {
        return answer(&Reply::decode(header.message, body).expect("a reply"));
    }
    let id = header.topic.id();
    match Event::decode(header.message, body).expect("an event") {
        Event::Trade(t) => {
            assert_eq!(header.topic.kind(), topics::TRADES);
            let verb = side(t.taker_side, "buys from", "sells to");
            format!("trade {id}: {} @ {}, #{} {verb} #{}", t.quantity, t.price, t.taker_order, t.maker_order)
        }
        Event::LevelChanged(l) => {
            let side = side(l.side, "bid", "ask");
            match l.orders {
                _ if header.topic == Topic::NONE => format!("told {side} {}: {} in {}", l.price, l.quantity, l.orders),
                0 => format!("book {id} {side} {}: gone", l.price),
                orders => format!("book {id} {side} {}: {} in {orders}", l.price, l.quantity),
            }
        }
        Event::TopOfBook(t) => {
            assert_eq!(header.topic.kind(), topics::TOP);
            let best = |price: Price, quantity: Quantity| match quantity.0 {
                0 => "nothing".to_string(),
                quantity => format!("{quantity} @ {price}"),
            };
            format!("top {id}: {} / {}", best(t.bid_price, t.bid_quantity), best(t.ask_price, t.ask_quantity))
        }
        Event::Fill(f) => {
            let verb = side(f.side, "bought", "sold");
            format!(
                "to {id}: {} {verb} {} @ {} against #{} as {:?}, {} open",
                f.client_order,
                f.quantity,
                f.price,
                f.counter_order,
                f.liquidity.get(),
                f.remaining
            )
        }
        Event::OrderClosed(c) => {
            format!(
                "to {id}: {} {:?}, {} taken out, {} had traded",
                c.client_order,
                c.reason.get(),
                c.cancelled,
                c.filled
            )
        }
        Event::OrderDecremented(d) => {
            format!("to {id}: {} less by {}, {} open", d.client_order, d.decremented, d.remaining)
        }
        Event::OrderShown(o) => {
            assert_eq!(header.topic.kind(), topics::ORDERS);
            let (side, place) = (side(o.side, "bid", "ask"), o.priority.get());
            match o.quantity.0 {
                0 => format!("order {id} #{} {side} {}: gone", o.order, o.price),
                quantity => format!("order {id} #{} {side} {}: {quantity}, place {place:?}", o.order, o.price),
            }
        }
        Event::ExecutionReport(e) => {
            assert_eq!(header.topic.kind(), topics::COPIES);
            let ExecutionReport { client_order, quantity, price, last_price, filled, remaining, account, .. } = e;
            let (what, verb) = (e.execution.get(), side(e.side, "buys", "sells"));
            let done = match what {
                Execution::Traded => format!("{what:?} {quantity} @ {last_price}"),
                _ if quantity.0 > 0 => format!("{what:?} {quantity}"),
                _ => format!("{what:?}"),
            };
            format!("copy {id}: {account}'s {client_order} {verb} @ {price}: {done}, {filled} traded, {remaining} open")
        }
        Event::Settled(s) => {
            format!("to {id}: #{} settled for {} of {}, fee {}", s.order, s.amount, s.asset, s.fee)
        }
        Event::BalanceSaid(b) => {
            let BalanceSaid { free, held, incoming, limit, asset, .. } = b;
            format!("told {free} of {asset} free, {held} held, {incoming} to come, limit {limit}")
        }
        Event::AuctionIndication(a) => {
            assert_eq!(header.topic.kind(), topics::AUCTIONS);
            let AuctionIndication { price, quantity, bid_surplus, ask_surplus } = a;
            format!("auction {id}: {quantity} @ {price}, {bid_surplus} more bid, {ask_surplus} more asked")
        }
        Event::PhaseChanged(p) => {
            assert_eq!(header.topic.kind(), topics::PHASES);
            format!("phase {id}: {:?}", p.phase.get())
        }
        Event::StopTriggered(s) => {
            format!("to {id}: {} triggered at {}, {} @ {}", s.client_order, s.trigger, s.quantity, s.price)
        }
        Event::OpenOrder(o) => {
            let verb = side(o.side, "buys", "sells");
            let OpenOrder { client_order, price, filled, remaining, hidden, instrument, .. } = o;
            format!(
                "told {client_order} {verb} {remaining} of {instrument} @ {price}, {hidden} hidden, {filled} traded"
            )
        }
        Event::OpenStop(s) => {
            let verb = side(s.side, "buys", "sells");
            let OpenStop { client_order, trigger, price, quantity, instrument, .. } = s;
            format!("told {client_order} {verb} {quantity} of {instrument} at {trigger} @ {price}")
        }
    }
}

fn answer(reply: &Reply<'_>) -> String {
    match reply {
        Reply::OrderAccepted(a) => {
            let (status, filled, open, price) = (a.status.get(), a.filled, a.remaining, a.price);
            format!(
                "-> accepted #{} as {} @ {price}: {status:?}, {filled} traded, {open} open",
                a.order, a.client_order
            )
        }
        Reply::LimitsSet(l) => format!("-> limits of {}", l.account),
        Reply::OrderReport(o) => {
            let (state, number, price, filled) = (o.state.get(), o.client_order, o.price, o.filled);
            format!("-> order {number} {state:?} @ {price}: {filled} traded, {} open", o.remaining)
        }
        Reply::OpenOrdersSaid(o) => format!("-> {} open orders", o.orders),
        Reply::AccountReport(a) => {
            let (kill, gone, own) = (a.kill_switch.get(), a.on_disconnect.get(), a.self_trade.get());
            format!(
                "-> account: {} orders, group {}, kill {kill:?}, disconnect {gone:?}, own {own:?}",
                a.orders, a.group
            )
        }
        Reply::BookSaid(b) => format!("-> book of {}: {} levels", b.instrument, b.levels),
        Reply::StatisticsReport(s) => {
            let turnover = i128::from(s.turnover_high) << 64 | i128::from(s.turnover_low);
            let StatisticsReport { open, high, low, last, volume, trades, .. } = s;
            format!("-> open {open} high {high} low {low} last {last}: {volume} in {trades} for {turnover}")
        }
        Reply::PhaseSet(p) => {
            format!("-> phase of {} {:?}: {} @ {}", p.instrument, p.phase.get(), p.quantity, p.price)
        }
        Reply::AllocationSet(a) => format!("-> allocation of {}", a.instrument),
        Reply::OrderFeedSet(o) => format!("-> orders of {}: {:?}", o.instrument, o.feed.get()),
        Reply::DropCopySet(d) => format!("-> copies of {} to {}", d.account, d.reader),
        Reply::SettlementSet(s) => format!("-> settlement of {}", s.instrument),
        Reply::TransferMade(t) => {
            format!("-> transfer {} of {}: {} of {}, {} free", t.transfer, t.account, t.amount, t.asset, t.free)
        }
        Reply::TransferDeclined(t) => format!("-> declined transfer {}: {:?}", t.transfer, t.reason.get()),
        Reply::HoldingLimitSet(h) => format!("-> holding of {} in {}", h.account, h.asset),
        Reply::BalancesSaid(b) => format!("-> {} balances", b.balances),
        Reply::AssetReport(a) => format!("-> asset {}: {}, of it fees {}", a.asset, a.total, a.fees),
        Reply::TicksSet(t) => format!("-> ticks of {}: {} bands", t.instrument, t.bands),
        Reply::BandsSet(b) => format!("-> bands of {}", b.instrument),
        Reply::ScheduleSet(s) => format!("-> schedule of {}: {} a day", s.instrument, s.entries),
        Reply::StopAccepted(s) => {
            format!("-> stop #{} as {} waits for {}: {}", s.order, s.client_order, s.trigger, s.quantity)
        }
        Reply::OrderCancelled(c) => {
            format!("-> cancelled {}: {} taken out, {} had traded", c.client_order, c.cancelled, c.filled)
        }
        Reply::OrdersCancelled(c) => {
            format!("-> cancelled {} orders: {} taken out, {} unknown", c.orders, c.cancelled, c.unknown)
        }
        Reply::OrderReplaced(r) => {
            let (status, priority) = (r.status.get(), r.priority.get());
            let (number, price, filled, open) = (r.client_order, r.price, r.filled, r.remaining);
            format!("-> replaced {number} @ {price}: {status:?}, {filled} traded, {open} open, priority {priority:?}")
        }
        Reply::OrderReduced(r) => format!("-> reduced {}: {} traded, {} open", r.client_order, r.filled, r.remaining),
        Reply::InstrumentDefined(d) => format!("-> defined {}", d.instrument),
        Reply::KillSwitchSet(k) => {
            let (account, switch, orders, cancelled) = (k.account, k.kill_switch.get(), k.orders, k.cancelled);
            format!("-> kill switch of {account} {switch:?}: {orders} orders, {cancelled} taken out")
        }
        Reply::SelfTradeSet(s) => format!("-> self-trade of {} in {}: {:?}", s.account, s.group, s.self_trade.get()),
        Reply::OnDisconnectSet(o) => format!("-> on disconnect: {:?}", o.on_disconnect.get()),
        Reply::Declined(d) => format!("-> declined {}: {:?}", d.client_order, d.reason.get()),
    }
}
