//! Streams made of what an engine would say.

use super::entry::Wanted;
use super::gathering::Frame;
use super::orders::Orders;
use super::settings::Settings;
use super::stream::{Input, Make, Stream};
use super::tape::{self, Tape};
use super::{BOUNDS, HEARTBEAT, PEER_TIMEOUT, Peer, Place};
use crate::itch::{self, Message as Itch};
use crate::layout::Text;
use crate::ouch::{self, Inbound, Outbound};
use crate::store::Batch;
use ringfence_domains::matching::messages::{
    AuctionIndication, Cancel, ClientOrderId, CloseReason, DeclineReason, Declined, Event, Fill, InstrumentId,
    Liquidity, OrderAccepted, OrderCancelled, OrderClosed, OrderDecremented, OrderId, OrderReduced, OrderReplaced,
    OrderShown, OrderStatus, Phase, PhaseChanged, Price, Priority, Quantity, Reply, Side, Trade, TradeId,
};
use ringfence_domains::matching::{Matching, topics};
use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, OutputHeader, flag, kind};
use ringfence_kernel::messages::{Message, Reserved};
use ringfence_kernel::wire::{Notice, SnapshotEnd};
use ringfence_kernel::{Account, Domain as _, RequestId, Sequence, Timestamp, Topic};
use ringfence_peers::{Closing, Connection};
use std::io::Read as _;
use std::time::{Duration, Instant};

/// A quarter past midnight.
const AT: u64 = 900_000_000_000;

fn settings() -> Settings {
    let text = "
        session = \"S1\"
        directory = \"sessions\"
        [[instruments]]
        instrument = 1
        stock = \"ACME\"
        decimals = 2
    ";
    toml::from_str(text).expect("sound")
}

fn frame<'m>(header: OutputHeader, message: impl Message<'m>) -> Frame {
    let mut bytes = vec![0; OUTPUT_HEADER_BYTES + message.body_bytes()];
    let length = bytes.len() as u16;
    let header = OutputHeader { length, timestamp: Timestamp(AT), message: message.header(), ..header };
    bytes[..OUTPUT_HEADER_BYTES].copy_from_slice(bytemuck::bytes_of(&header));
    message.encode(&mut bytes[OUTPUT_HEADER_BYTES..]);
    Frame::read(&bytes).expect("a whole image")
}

fn event(topic: Topic, number: u64, sequence: u64, event: Event<'_>) -> Frame {
    let (request, sequence) = (RequestId(number), Sequence(sequence));
    frame(OutputHeader { kind: kind::EVENT, topic, request, sequence, ..OutputHeader::default() }, event)
}

fn reply(request: u64, sequence: u64, reply: Reply<'_>) -> Frame {
    let (request, sequence) = (RequestId(request), Sequence(sequence));
    frame(OutputHeader { kind: kind::REPLY, request, sequence, ..OutputHeader::default() }, reply)
}

fn snapshot_end(topic: Topic, number: u64) -> Frame {
    let sequence = Sequence(number);
    let header = OutputHeader { kind: kind::SNAPSHOT, flags: flag::LAST, topic, sequence, ..OutputHeader::default() };
    frame(header, Notice::SnapshotEnd(&SnapshotEnd { topic, number }))
}

/// What a stream says when it takes an input.
fn taken<M: Make>(stream: &mut Stream<M>, input: &Input<'_>) -> Vec<Vec<u8>> {
    let from = stream.store.next();
    stream.take(input).expect("it is kept");
    since(stream, from)
}

/// What a stream has said since message `from`.
fn since<M>(stream: &mut Stream<M>, from: u64) -> Vec<Vec<u8>> {
    let mut reader = stream.store.reader(from).expect("it is there");
    let mut out = Vec::new();
    stream.store.read(&mut reader, &mut out, usize::MAX).expect("it is read");
    let mut rest = &out[..];
    let mut messages = Vec::new();
    while let Ok(Some((packet, taken))) = crate::soup::split(rest) {
        messages.push(packet[1..].to_vec());
        rest = &rest[taken..];
    }
    messages
}

struct Desk {
    dir: tempfile::TempDir,
    stream: Stream<Orders>,
    request: u64,
    number: u64,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let stream = Stream::open(&dir.path().join("S1.ouch"), Orders::new(&settings()), 0).expect("it is made");
        let mut desk = Self { dir, stream, request: 0, number: 0 };
        desk.said(snapshot_end(account(), 0));
        desk
    }

    /// The same, from the file.
    fn again(self) -> Self {
        let Self { dir, stream, request, number } = self;
        drop(stream);
        let stream = Stream::open(&dir.path().join("S1.ouch"), Orders::new(&settings()), 7).expect("it is opened");
        Self { dir, stream, request, number }
    }

    fn ask(&mut self, message: impl Into<Inbound>) -> Vec<Outbound> {
        let mut bytes = Vec::new();
        message.into().write(&mut bytes);
        self.request += 1;
        let messages = taken(&mut self.stream, &Input::Asked { at: AT, request: self.request, message: &bytes });
        messages.iter().map(|message| Outbound::parse(message).expect("sound")).collect()
    }

    fn said(&mut self, frame: Frame) -> Vec<Outbound> {
        let from = self.stream.store.next();
        self.stream.hear(&frame).expect("it is kept");
        let all = since(&mut self.stream, from);
        all.iter().map(|message| Outbound::parse(message).expect("sound")).collect()
    }

    fn event(&mut self, said: Event<'_>) -> Vec<Outbound> {
        self.number += 1;
        self.said(event(account(), self.number, 1, said))
    }

    fn reply(&mut self, said: Reply<'_>) -> Vec<Outbound> {
        self.said(reply(self.request, 1, said))
    }

    /// Enters order number `order`, which stands.
    fn stand(&mut self, enter: ouch::EnterOrder, order: u64) {
        assert_eq!(self.ask(enter), []);
        let said = self.reply(Reply::OrderAccepted(&accepted(order, 0, u64::from(enter.shares), OrderStatus::Open)));
        assert!(matches!(said[..], [Outbound::Accepted(_)]), "{said:?}");
    }
}

fn account() -> Topic {
    Topic::account(Matching::ID, Account(3))
}

fn token(name: &str) -> ouch::Token {
    Text::new(name).expect("it fits")
}

fn enter(name: &str) -> ouch::EnterOrder {
    ouch::EnterOrder {
        token: token(name),
        side: b'B',
        shares: 100,
        stock: Text::new("ACME").expect("it fits"),
        price: 1_005_000,
        time_in_force: ouch::code::SYSTEM_HOURS,
        firm: Text::new("FIRM").expect("it fits"),
        display: b'Y',
        capacity: b'P',
        sweep: b'N',
        minimum: 0,
        cross: b'N',
        customer: b' ',
    }
}

fn accepted(order: u64, filled: u64, remaining: u64, status: OrderStatus) -> OrderAccepted {
    OrderAccepted {
        order: OrderId(order),
        client_order: ClientOrderId(order - 1),
        price: Price(10_050),
        filled: Quantity(filled),
        remaining: Quantity(remaining),
        status: status.into(),
        reserved: Reserved::default(),
    }
}

fn fill(order: u64, quantity: u64, liquidity: Liquidity) -> Fill {
    Fill {
        order: OrderId(order),
        client_order: ClientOrderId(order - 1),
        counter_order: OrderId(77),
        trade: TradeId(9),
        price: Price(10_040),
        quantity: Quantity(quantity),
        remaining: Quantity(0),
        instrument: InstrumentId(1),
        side: Side::Buy.into(),
        liquidity: liquidity.into(),
        reserved: Reserved::default(),
    }
}

fn kinds(said: &[Outbound]) -> String {
    let kind = |message: &Outbound| {
        let mut bytes = Vec::new();
        message.write(&mut bytes);
        char::from(bytes[0])
    };
    said.iter().map(kind).collect()
}

/// Guards against an execution of an order that the peer has not heard of yet, and against a rest that is not cancelled.
#[test]
fn an_order_is_accepted_before_it_trades() {
    let mut desk = Desk::new();
    let immediate = ouch::EnterOrder { time_in_force: ouch::code::IMMEDIATE, ..enter("A") };
    assert_eq!(desk.ask(immediate), []);
    assert_eq!(desk.event(Event::Fill(&fill(1, 60, Liquidity::Taker))), []);
    let said = desk.reply(Reply::OrderAccepted(&accepted(1, 60, 0, OrderStatus::Cancelled)));
    assert_eq!(kinds(&said), "AEC");
    let Outbound::Canceled(cancelled) = said[2] else { panic!("{said:?}") };
    assert_eq!((cancelled.decrement, cancelled.reason, cancelled.timestamp), (40, b'I', AT));
    let Outbound::Executed(executed) = said[1] else { panic!("{said:?}") };
    assert_eq!((executed.shares, executed.price, executed.liquidity, executed.match_number), (60, 1_004_000, b'R', 9));
    // Prevented: what was to stay does not.
    assert_eq!(desk.ask(enter("B")), []);
    let said = desk.reply(Reply::OrderAccepted(&accepted(2, 0, 0, OrderStatus::Cancelled)));
    assert_eq!(kinds(&said), "AD");
}

/// Guards against orders that the engine would understand otherwise than their owner meant them.
#[test]
fn what_is_not_offered_is_rejected_by_its_reason() {
    type Change = fn(&mut ouch::EnterOrder);
    let cases: [(u8, Change); 19] = [
        (b'S', |order| order.stock = Text::BLANK),
        (b'X', |order| order.price = 1_005_001),
        (b'X', |order| order.price = 0),
        (b'X', |order| order.price = 2_000_000_000),
        (b'X', |order| order.price = 0x7fff_ffff),
        (b'Z', |order| order.shares = 0),
        (b'Z', |order| order.shares = 1_000_000),
        (b'O', |order| order.side = b'?'),
        (b'O', |order| order.time_in_force = 100_000),
        (b'O', |order| order.token = Text([0; 14])),
        (b'd', |order| order.sweep = b'Y'),
        (b'D', |order| order.display = b'M'),
        (b'D', |order| (order.display, order.time_in_force) = (b'P', 0)),
        (b'D', |order| (order.display, order.cross) = (b'N', b'O')),
        (b'N', |order| order.minimum = 10),
        (b'N', |order| (order.minimum, order.time_in_force) = (101, 0)),
        (b'R', |order| order.cross = b'S'),
        (b'R', |order| (order.cross, order.time_in_force) = (b'O', 0)),
        (b'R', |order| order.cross = b'H'),
    ];
    for (at, (reason, change)) in cases.into_iter().enumerate() {
        let mut desk = Desk::new();
        let mut order = enter("A");
        change(&mut order);
        let said = desk.ask(order);
        assert!(matches!(said[..], [Outbound::Rejected(rejected)] if rejected.reason == reason), "{at}: {said:?}");
        assert!(desk.stream.maker.unanswered().is_empty());
        assert_eq!(desk.ask(order), [], "its token is used");
    }
    let mut desk = Desk::new();
    desk.ask(enter("A"));
    let (client_order, reserved) = (ClientOrderId(0), Reserved::default());
    let reason = DeclineReason::PhaseForbids.into();
    let said = desk.reply(Reply::Declined(&Declined { client_order, reason, reserved }));
    assert!(matches!(said[..], [Outbound::Rejected(rejected)] if rejected.reason == b'H'), "{said:?}");
}

fn replace(existing: &str, name: &str, shares: u32, price: u32) -> ouch::ReplaceOrder {
    let (existing, token, time_in_force) = (token(existing), token(name), ouch::code::SYSTEM_HOURS);
    ouch::ReplaceOrder { existing, token, shares, price, time_in_force, display: b'Y', sweep: b'N', minimum: 0 }
}

/// Guards against the loss of what is not displayed when it is replaced, or against its display.
#[test]
fn an_order_that_is_not_displayed_is_replaced() {
    let mut desk = Desk::new();
    desk.stand(ouch::EnterOrder { display: b'N', minimum: 20, ..enter("A") }, 1);
    let (display, minimum) = (b'N', 20);
    assert_eq!(desk.ask(ouch::ReplaceOrder { display, minimum, ..replace("A", "B", 90, 1_010_000) }), []);
    let wanted = desk.stream.maker.wanted(desk.request);
    let Some(Wanted::ReplaceHidden(replace)) = wanted else { panic!("{wanted:?}") };
    assert_eq!((replace.quantity, replace.display, replace.minimum), (Quantity(90), Quantity(0), Quantity(20)));
}

/// Guards against a replacement that keeps the old name, trades under the wrong one, or leaves the old order when it fails.
#[test]
fn an_order_is_replaced_made_less_and_taken_out() {
    let mut desk = Desk::new();
    desk.stand(enter("A"), 1);
    desk.ask(replace("A", "B", 90, 1_010_000));
    assert_eq!(desk.event(Event::Fill(&fill(1, 10, Liquidity::Taker))), [], "it is the replacement that takes");
    let replaced = OrderReplaced {
        order: OrderId(1),
        client_order: ClientOrderId(0),
        price: Price(10_100),
        filled: Quantity(10),
        remaining: Quantity(80),
        status: OrderStatus::Open.into(),
        priority: Priority::Lost.into(),
        reserved: Reserved::default(),
    };
    let said = desk.reply(Reply::OrderReplaced(&replaced));
    assert_eq!(kinds(&said), "UE");
    assert!(matches!(said[1], Outbound::Executed(executed) if executed.token == token("B")), "{said:?}");
    for stale in [replace("A", "C", 80, 1_010_000), replace("B", "A", 80, 1_010_000)] {
        assert_eq!(desk.ask(stale), []);
        assert!(desk.stream.maker.unanswered().is_empty(), "{stale:?} is passed over");
    }
    // No more than 50 in all: 40 less.
    desk.ask(ouch::CancelOrder { token: token("B"), shares: 50 });
    let (order, client_order) = (OrderId(1), ClientOrderId(0));
    let (filled, remaining) = (Quantity(10), Quantity(40));
    let said = desk.reply(Reply::OrderReduced(&OrderReduced { order, client_order, filled, remaining }));
    assert!(matches!(said[..], [Outbound::Canceled(cancelled)] if cancelled.decrement == 40), "{said:?}");
    let modify = ouch::ModifyOrder { token: token("B"), side: b'S', shares: 50 };
    assert_eq!(desk.ask(modify), [], "a purchase is no sale");
    // A replacement that cannot come takes the order out.
    desk.ask(replace("B", "C", 50, 1_010_001));
    let request = desk.request;
    assert!(matches!(
        desk.stream.maker.wanted(request),
        Some(super::entry::Wanted::Cancel(Cancel { client_order: ClientOrderId(0) }))
    ));
    let (filled, cancelled) = (Quantity(10), Quantity(40));
    let said = desk.reply(Reply::OrderCancelled(&OrderCancelled { order, client_order, filled, cancelled }));
    assert_eq!(kinds(&said), "C");
    assert_eq!(desk.ask(ouch::CancelOrder { token: token("B"), shares: 0 }), [], "it is gone");
    // One that the engine declines does too.
    desk.stand(enter("D"), 2);
    desk.ask(replace("D", "E", 10, 1_010_000));
    let (client_order, reason, reserved) = (ClientOrderId(1), DeclineReason::OutsideBand.into(), Reserved::default());
    assert_eq!(desk.reply(Reply::Declined(&Declined { client_order, reason, reserved })), []);
    assert!(desk.stream.maker.is_leaving());
    assert_eq!(desk.ask(enter("E")), []);
    assert_eq!(desk.stream.maker.unanswered(), [desk.request], "its token may be used again");
    // Nothing is taken out of a session that is over.
    taken(&mut desk.stream, &Input::End { at: AT });
    assert!(!desk.stream.maker.is_leaving());
}

/// Guards against what happened before a replacement being said under its name, and what happened by it before its answer,
/// when requests are not waited for.
#[test]
fn what_happens_is_said_about_the_answer_of_its_command() {
    let mut desk = Desk::new();
    desk.ask(enter("A"));
    desk.ask(replace("A", "B", 200, 1_010_000));
    let mut number = 0;
    let mut event = |sequence, said: Event<'_>| {
        number += 1;
        event(account(), number, sequence, said)
    };
    let (order, client_order) = (OrderId(1), ClientOrderId(0));
    let less = |decremented, remaining| {
        let (decremented, remaining) = (Quantity(decremented), Quantity(remaining));
        OrderDecremented { order, client_order, decremented, remaining }
    };
    assert_eq!(desk.said(event(10, Event::OrderDecremented(&less(10, 90)))), []);
    assert_eq!(desk.said(event(10, Event::Fill(&fill(1, 20, Liquidity::Taker)))), []);
    let said = desk.said(reply(1, 10, Reply::OrderAccepted(&accepted(1, 20, 70, OrderStatus::Open))));
    assert_eq!(kinds(&said), "ADE");
    assert!(matches!(said[2], Outbound::Executed(executed) if executed.token == token("A")), "{said:?}");
    // It trades before it is replaced, and as it is replaced.
    assert_eq!(desk.said(event(11, Event::Fill(&fill(1, 5, Liquidity::Maker)))), []);
    assert_eq!(desk.said(event(12, Event::OrderDecremented(&less(30, 145)))), []);
    let replaced = OrderReplaced {
        order,
        client_order,
        price: Price(10_100),
        filled: Quantity(25),
        remaining: Quantity(145),
        status: OrderStatus::Open.into(),
        priority: Priority::Lost.into(),
        reserved: Reserved::default(),
    };
    let said = desk.said(reply(2, 12, Reply::OrderReplaced(&replaced)));
    assert_eq!(kinds(&said), "EUD");
    assert!(matches!(said[0], Outbound::Executed(executed) if executed.token == token("A")), "{said:?}");
    assert!(
        matches!(said[2], Outbound::AiqCanceled(aiq) if (aiq.token, aiq.decrement) == (token("B"), 30)),
        "{said:?}"
    );
    // 200 in all, less the 30: it is no less than 170 already, and 70 less than that at 100.
    let mut desk = desk.again();
    desk.ask(ouch::CancelOrder { token: token("B"), shares: 170 });
    assert!(desk.stream.maker.unanswered().is_empty());
    desk.ask(ouch::CancelOrder { token: token("B"), shares: 100 });
    let wanted = desk.stream.maker.wanted(desk.request);
    assert!(matches!(wanted, Some(super::entry::Wanted::Reduce(less)) if less.quantity == Quantity(70)), "{wanted:?}");
    let (filled, remaining) = (Quantity(25), Quantity(75));
    let said = desk.reply(Reply::OrderReduced(&OrderReduced { order, client_order, filled, remaining }));
    assert!(matches!(said[..], [Outbound::Canceled(cancelled)] if cancelled.decrement == 70), "{said:?}");
    // What is prevented of one that does not stay is not cancelled again.
    desk.ask(ouch::EnterOrder { time_in_force: ouch::code::IMMEDIATE, ..enter("C") });
    let (order, client_order) = (OrderId(2), ClientOrderId(1));
    let (decremented, remaining) = (Quantity(40), Quantity(60));
    let less = OrderDecremented { order, client_order, decremented, remaining };
    assert_eq!(desk.said(event(14, Event::OrderDecremented(&less))), []);
    assert!(!desk.stream.maker.is_settled());
    let cancelled = accepted(2, 0, 0, OrderStatus::Cancelled);
    let said = desk.said(reply(desk.request, 14, Reply::OrderAccepted(&cancelled)));
    assert_eq!(kinds(&said), "ADC");
    assert!(matches!(said[2], Outbound::Canceled(cancelled) if cancelled.decrement == 60), "{said:?}");
    assert!(desk.stream.maker.is_settled());
}

/// Guards against sales whose kind cannot be changed, and against ends of orders that are told with the wrong reason.
#[test]
fn orders_are_modified_and_end_for_a_reason() {
    let mut desk = Desk::new();
    desk.stand(ouch::EnterOrder { side: b'S', ..enter("A") }, 1);
    let said = desk.ask(ouch::ModifyOrder { token: token("A"), side: b'T', shares: 100 });
    assert!(matches!(said[..], [Outbound::Modified(modified)] if (modified.side, modified.shares) == (b'T', 100)));
    desk.ask(ouch::ModifyOrder { token: token("A"), side: b'E', shares: 60 });
    let (order, client_order, filled) = (OrderId(1), ClientOrderId(0), Quantity(0));
    let remaining = Quantity(60);
    let said = desk.reply(Reply::OrderReduced(&OrderReduced { order, client_order, filled, remaining }));
    assert!(matches!(said[..], [Outbound::Modified(modified)] if (modified.side, modified.shares) == (b'E', 60)));
    let (decremented, remaining) = (Quantity(10), Quantity(50));
    let said = desk.event(Event::OrderDecremented(&OrderDecremented { order, client_order, decremented, remaining }));
    assert!(
        matches!(said[..], [Outbound::AiqCanceled(aiq)] if (aiq.decrement, aiq.price) == (10, 1_005_000)),
        "{said:?}"
    );
    for (at, (reason, expected)) in [
        (CloseReason::Expired, Some(b'T')),
        (CloseReason::Cancelled, Some(b'S')),
        (CloseReason::AuctionOver, Some(b'C')),
        (CloseReason::Disconnected, Some(b'Z')),
        (CloseReason::SelfTrade, None),
    ]
    .into_iter()
    .enumerate()
    {
        let number = at as u64 + 2;
        desk.stand(enter(&format!("B{at}")), number);
        let (order, client_order, cancelled) = (OrderId(number), ClientOrderId(number - 1), Quantity(100));
        let (reason, reserved) = (reason.into(), Reserved::default());
        let closed = OrderClosed { order, client_order, filled, cancelled, reason, reserved };
        let said = desk.event(Event::OrderClosed(&closed));
        match (expected, &said[..]) {
            (Some(reason), [Outbound::Canceled(cancelled)]) => assert_eq!(cancelled.reason, reason),
            (None, [Outbound::AiqCanceled(_)]) => {}
            _ => panic!("{said:?}"),
        }
    }
}

/// Guards against a gateway that forgets, when it starts again, what it asked, what names were used, or what it was told.
#[test]
fn an_account_is_the_same_from_its_file() {
    let mut desk = Desk::new();
    desk.stand(enter("A"), 1);
    desk.ask(enter("B"));
    let request = desk.request;
    assert_eq!(desk.event(Event::Fill(&fill(2, 100, Liquidity::Taker))), [], "it waits, and is not kept");
    let mut desk = desk.again();
    assert_eq!(desk.stream.maker.unanswered(), [request]);
    assert_eq!(desk.stream.maker.last(), Some(0), "the fill is asked for again");
    assert_eq!(desk.ask(enter("A")), [], "its name is used");
    desk.request = request;
    desk.number = 0;
    let said = desk.reply(Reply::OrderAccepted(&accepted(2, 100, 0, OrderStatus::Filled)));
    assert_eq!(kinds(&said), "A");
    assert_eq!(kinds(&desk.event(Event::Fill(&fill(2, 100, Liquidity::Taker)))), "E");
    // A snapshot behind which nothing was missed changes nothing; one behind which something was ends the session.
    let mut desk = desk.again();
    assert_eq!(desk.said(snapshot_end(account(), 1)), []);
    assert!(!desk.stream.maker.is_over());
    let said = desk.said(snapshot_end(account(), 2));
    assert!(matches!(said[..], [Outbound::SystemEvent(event)] if event.event == b'E'), "{said:?}");
    assert!(desk.again().stream.maker.is_over());
}

struct Feed {
    dir: tempfile::TempDir,
    stream: Stream<Tape>,
    numbers: [u64; 8],
}

/// Guards against an order that another process sends once more under a number that is over.
#[test]
fn a_request_that_goes_out_again_is_known_by_its_new_number() {
    let mut desk = Desk::new();
    assert_eq!(kinds(&desk.ask(enter("A"))), "");
    assert!(taken(&mut desk.stream, &Input::Again { old: 1, new: 5 }).is_empty());
    let mut desk = desk.again();
    assert_eq!(desk.stream.maker.unanswered(), [5]);
    assert_eq!(desk.stream.maker.oldest(), Some(5));
    let late = desk.said(reply(1, 7, Reply::OrderAccepted(&accepted(1, 0, 100, OrderStatus::Open))));
    assert_eq!(kinds(&late), "", "the old number is nobody's");
    let said = desk.said(reply(5, 8, Reply::OrderAccepted(&accepted(1, 0, 100, OrderStatus::Open))));
    assert_eq!(kinds(&said), "A");
    assert!(desk.stream.maker.is_settled());
}

/// Guards against a peer that keeps its place though it says nothing, takes nothing or does not log in, and against one that is
/// left without a heartbeat.
#[test]
fn peers_hear_heartbeats_and_are_closed_when_they_say_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("it listens");
    let mut other = std::net::TcpStream::connect(listener.local_addr().expect("an address")).expect("it is there");
    let (stream, _) = listener.accept().expect("it came");
    stream.set_nonblocking(true).expect("a socket");
    let connection = Connection::new(mio::net::TcpStream::from_std(stream), BOUNDS);
    let mut peer = Peer { connection, is_ouch: true, since: Instant::now(), at: None, is_told: false };
    let before = |time: Duration| Instant::now().checked_sub(time).expect("the machine is up that long");
    let is_silent = |looked: Result<(), Closing>| matches!(looked, Err(Closing::Silent));

    let desk = Desk::new();
    peer.connection.said = before(HEARTBEAT);
    assert!(peer.look().is_ok());
    peer.at = Some((Place::Trader(0), desk.stream.store.reader(1).expect("it is there")));
    assert!(peer.look().is_ok(), "it is told that the server lives");
    let mut heartbeat = [0; 3];
    other.read_exact(&mut heartbeat).expect("it came");
    assert_eq!(heartbeat, [0, 1, b'H']);

    peer.connection.heard = before(PEER_TIMEOUT + Duration::from_millis(1));
    assert!(is_silent(peer.look()), "it says nothing");
    peer.connection.heard = Instant::now();
    assert!(peer.look().is_ok());
    (peer.at, peer.since) = (None, before(PEER_TIMEOUT + Duration::from_millis(1)));
    assert!(is_silent(peer.look()), "it does not log in");
}

fn topic(kind: u16) -> Topic {
    Topic::new(Matching::ID, kind, 1)
}

impl Feed {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let tape = Tape::new(&settings().instruments);
        let stream = Stream::open(&dir.path().join("S1.itch"), tape, AT).expect("it is made");
        let mut feed = Self { dir, stream, numbers: [0; 8] };
        feed.take(&snapshot_end(topic(topics::ORDERS), 0));
        feed
    }

    fn again(self) -> Self {
        let Self { dir, stream, numbers } = self;
        drop(stream);
        let tape = Tape::new(&settings().instruments);
        Self { stream: Stream::open(&dir.path().join("S1.itch"), tape, 7).expect("it is opened"), dir, numbers }
    }

    fn take(&mut self, frame: &Frame) -> Vec<Itch> {
        let messages = taken(&mut self.stream, &Input::Said(frame));
        messages.iter().map(|message| Itch::parse(message).expect("sound")).collect()
    }

    fn frame(&mut self, kind: u16, sequence: u64, said: Event<'_>) -> Frame {
        self.numbers[usize::from(kind)] += 1;
        event(topic(kind), self.numbers[usize::from(kind)], sequence, said)
    }

    fn said(&mut self, kind: u16, said: Event<'_>) -> Vec<Itch> {
        let frame = self.frame(kind, 1, said);
        self.take(&frame)
    }
}

fn shown(order: u64, side: Side, price: i64, quantity: u64, priority: Priority) -> OrderShown {
    OrderShown {
        order: OrderId(order),
        price: Price(price),
        quantity: Quantity(quantity),
        side: side.into(),
        priority: priority.into(),
        reserved: Reserved::default(),
    }
}

fn trade(number: u64, maker: u64, taker: u64, price: i64, quantity: u64) -> Trade {
    Trade {
        trade: TradeId(number),
        maker_order: OrderId(maker),
        taker_order: OrderId(taker),
        price: Price(price),
        quantity: Quantity(quantity),
        taker_side: Side::Buy.into(),
        reserved: Reserved::default(),
    }
}

fn phase(phase: Phase) -> PhaseChanged {
    PhaseChanged { phase: phase.into(), reserved: Reserved::default() }
}

/// Guards against a book that a reader would build otherwise than it is.
#[test]
fn orders_and_trades_are_told_as_they_are() {
    use Priority::{Kept, Lost};
    use Side::Sell;
    let mut feed = Feed::new();
    let hours = feed.said(topics::PHASES, Event::PhaseChanged(&phase(Phase::Continuous)));
    assert!(
        matches!(hours[..], [Itch::SystemEvent(event), Itch::TradingAction(action)]
        if (event.event, action.state, action.locate) == (b'Q', b'T', 1)),
        "{hours:?}"
    );
    let show = |feed: &mut Feed, shown: &OrderShown| feed.said(topics::ORDERS, Event::OrderShown(shown));
    let said = show(&mut feed, &shown(11, Sell, 10_050, 100, Lost));
    let Itch::AddOrder(add) = said[0] else { panic!("{said:?}") };
    assert_eq!((add.reference, add.side, add.shares, add.price, add.locate), (1, b'S', 100, 1_005_000, 1));
    let said = feed.said(topics::TRADES, Event::Trade(&trade(5, 11, 12, 10_050, 30)));
    assert!(
        matches!(said[..], [Itch::OrderExecuted(executed)]
        if (executed.reference, executed.shares, executed.match_number) == (1, 30, 5)),
        "{said:?}"
    );
    assert_eq!(show(&mut feed, &shown(11, Sell, 10_050, 70, Kept)), [], "that is known");
    let said = show(&mut feed, &shown(11, Sell, 10_050, 60, Kept));
    assert!(matches!(said[..], [Itch::OrderCancel(less)] if (less.reference, less.shares) == (1, 10)), "{said:?}");
    let said = show(&mut feed, &shown(11, Sell, 10_050, 90, Lost));
    assert!(
        matches!(said[..], [Itch::OrderReplace(replace)]
        if (replace.reference, replace.new_reference, replace.shares) == (1, 2, 90)),
        "{said:?}"
    );
    let said = show(&mut feed, &shown(11, Sell, 10_050, 0, Kept));
    assert!(matches!(said[..], [Itch::OrderDelete(gone)] if gone.reference == 2), "{said:?}");
    let said = feed.said(topics::TRADES, Event::Trade(&trade(6, 99, 12, 10_050, 5_000_000_000)));
    assert!(
        matches!(said[..], [Itch::Trade(first), Itch::Trade(second)]
        if u64::from(first.shares) + u64::from(second.shares) == 5_000_000_000 && first.side == b'B'),
        "{said:?}"
    );
    assert_eq!(show(&mut feed, &shown(13, Sell, 10_050, 5_000_000_000, Lost)), [], "ITCH has no such number");
    assert_eq!(show(&mut feed, &shown(13, Sell, 10_050, 7, Kept)).len(), 1);
    assert_eq!(show(&mut feed, &shown(14, Sell, -1, 7, Lost)), [], "nor such a price");
    // An order that is fully executed is gone, whatever is said of it behind that.
    let said = feed.said(topics::TRADES, Event::Trade(&trade(7, 13, 12, 10_050, 7)));
    assert!(matches!(said[..], [Itch::OrderExecuted(_)]), "{said:?}");
    assert_eq!(show(&mut feed, &shown(13, Sell, 10_050, 0, Kept)), []);
    // A snapshot tells which orders are gone.
    show(&mut feed, &shown(15, Sell, 10_060, 1, Lost));
    show(&mut feed, &shown(16, Sell, 10_070, 1, Lost));
    let mut feed = feed.again();
    let topic = topic(topics::ORDERS);
    // One that is cut off behind the first tells nothing.
    for (sequence, order, price) in [(39, 15, 10_060), (40, 16, 10_070)] {
        let part = shown(order, Sell, price, 1, Kept);
        let sequence = Sequence(sequence);
        let header = OutputHeader { kind: kind::SNAPSHOT, topic, sequence, ..OutputHeader::default() };
        assert_eq!(feed.take(&frame(header, Event::OrderShown(&part))), []);
    }
    let said = feed.take(&snapshot_end(topic, 40));
    assert!(matches!(said[..], [Itch::OrderDelete(gone)] if gone.reference == 4), "{said:?}");
    assert_eq!(feed.stream.maker.last(topic), Some(40));
}

/// What is said while an auction collects, and when it ends: by the engine in this order.
fn auction(feed: &mut Feed) -> Vec<Frame> {
    use Priority::{Kept, Lost};
    let indication = |quantity, ask_surplus| AuctionIndication {
        price: Price(if quantity > 0 { 10_000 } else { 0 }),
        quantity: Quantity(quantity),
        bid_surplus: Quantity(0),
        ask_surplus: Quantity(ask_surplus),
    };
    vec![
        feed.frame(topics::PHASES, 1, Event::PhaseChanged(&phase(Phase::OpeningAuction))),
        feed.frame(topics::ORDERS, 2, Event::OrderShown(&shown(1, Side::Sell, 9_900, 10, Lost))),
        feed.frame(topics::ORDERS, 3, Event::OrderShown(&shown(2, Side::Buy, 10_100, 4, Lost))),
        feed.frame(topics::AUCTIONS, 3, Event::AuctionIndication(&indication(4, 6))),
        feed.frame(topics::TRADES, 4, Event::Trade(&trade(1, 1, 2, 10_000, 4))),
        feed.frame(topics::ORDERS, 4, Event::OrderShown(&shown(2, Side::Buy, 10_100, 0, Kept))),
        feed.frame(topics::ORDERS, 4, Event::OrderShown(&shown(1, Side::Sell, 9_900, 6, Kept))),
        feed.frame(topics::AUCTIONS, 4, Event::AuctionIndication(&indication(0, 0))),
        feed.frame(topics::PHASES, 4, Event::PhaseChanged(&phase(Phase::Continuous))),
        feed.frame(topics::TRADES, 5, Event::Trade(&trade(2, 1, 3, 9_900, 6))),
        feed.frame(topics::ORDERS, 5, Event::OrderShown(&shown(1, Side::Sell, 9_900, 0, Kept))),
    ]
}

/// Guards against an auction whose trades are counted twice, or whose kind is another.
#[test]
fn an_auction_is_one_cross() {
    let mut feed = Feed::new();
    let frames = auction(&mut feed);
    let said: Vec<Itch> = frames.iter().flat_map(|frame| feed.take(frame)).collect();
    let [
        Itch::TradingAction(begins),
        Itch::AddOrder(_),
        Itch::AddOrder(_),
        Itch::Imbalance(imbalance),
        Itch::ExecutedWithPrice(ask),
        Itch::ExecutedWithPrice(bid),
        Itch::Imbalance(nothing),
        Itch::CrossTrade(cross),
        Itch::SystemEvent(_),
        Itch::TradingAction(_),
        Itch::OrderExecuted(_),
    ] = said[..]
    else {
        panic!("{said:?}")
    };
    assert_eq!(begins.state, b'Q');
    assert_eq!((imbalance.paired, imbalance.imbalance, imbalance.direction, imbalance.cross), (4, 6, b'S', b'O'));
    assert_eq!((ask.reference, ask.shares, ask.price, ask.printable), (1, 4, 1_000_000, b'N'));
    assert_eq!((bid.reference, bid.shares), (2, 4));
    assert_eq!((nothing.direction, nothing.paired), (b'O', 0));
    assert_eq!((cross.shares, cross.price, cross.cross, cross.match_number), (4, 1_000_000, b'O', 1));
    let timestamp = itch::SystemEvent { locate: 0, tracking: 0, timestamp: imbalance.timestamp, event: b'E' };
    assert_eq!(timestamp.timestamp.0, AT);
    let end = taken(&mut feed.stream, &Input::End { at: AT });
    let events: Vec<u8> = end.iter().map(|message| *message.last().expect("an event")).collect();
    assert_eq!(events, b"MEC");
    assert_eq!(feed.said(topics::PHASES, Event::PhaseChanged(&phase(Phase::Halted))), [], "it is over");
}

/// Guards against a feed that is another one when it was missed and comes topic by topic.
#[test]
fn what_comes_topic_by_topic_is_put_into_the_order_of_the_log() {
    let mut feed = Feed::new();
    let live = auction(&mut feed);
    let mut missed = live.clone();
    missed.sort_by_key(|frame| frame.header().topic);
    assert_ne!(bytes(&missed), bytes(&live));
    missed.sort_by_key(|frame| frame.header().sequence);
    assert_eq!(bytes(&tape::interleave(missed)), bytes(&live));
}

fn bytes(frames: &[Frame]) -> Vec<&[u8]> {
    frames.iter().map(Frame::bytes).collect()
}

/// Guards against a batch that is not what it says.
#[test]
fn a_tape_says_nothing_of_other_instruments() {
    let mut tape = Tape::new(&settings().instruments);
    let mut batch = Batch::default();
    let other = Topic::new(Matching::ID, topics::PHASES, 2);
    let changed = event(other, 1, 1, Event::PhaseChanged(&phase(Phase::Halted)));
    assert!(!tape.take(&Input::Said(&changed), &mut batch) && batch.is_empty());
}
