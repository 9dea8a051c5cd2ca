//! The laws, on seeded workloads and against the slow twin. `RINGFENCE_PROVE=1` makes the same bodies ten times as
//! long, and twenty times beside the slow twin.

use super::messages::{
    CancelMany, CancelManyOrder, ClientOrderId, Command, Event, Execution, InstrumentId, KillSwitch, MassCancel,
    MatchingLimits, NewOrder, NewPeg, NewStop, OnDisconnect, OrderStatus, OrderType, Peg, Price, Quantity, Reply,
    Scope, SetDropCopy, SetKillSwitch, Side, Sides, TimeInForce,
};
use super::model::Model;
use super::workload::{Flow, KINDS, Mix, NORMAL, limit_order};
use super::{Matching, topics};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, kind};
use ringfence_kernel::laws::{Harness, Often, Outcome, Step};
use ringfence_kernel::messages::{Message, Reserved};
use ringfence_kernel::outbox::{image, message};
use ringfence_kernel::workload::{CommandImage, Workload};
use ringfence_kernel::{
    Account, ClientId, Cursor, Domain, Out, Outbox, OutputHeader, Progress, Roles, Timestamp, Topic,
};

const SMALL: MatchingLimits = MatchingLimits {
    instruments: 8,
    orders: 6_000,
    levels: 2_000,
    accounts: 8,
    specials: 500,
    assets: 4,
    balances: 32,
    readers: 4,
};
/// So little room that commands run into every capacity.
const TIGHT: MatchingLimits = MatchingLimits {
    instruments: 4,
    orders: 40,
    levels: 12,
    accounts: 3,
    specials: 5,
    assets: 3,
    balances: 7,
    readers: 2,
};

/// Whether it is to be proved.
fn proves() -> bool {
    std::env::var("RINGFENCE_PROVE").is_ok_and(|value| value == "1")
}

/// How many steps a law runs: `steps`, or ten times as many to prove.
fn steps(steps: u64) -> u64 {
    if proves() { steps * 10 } else { steps }
}

fn workload(kind: &str, seed: u64) -> alloc::boxed::Box<dyn Workload> {
    std::println!("workload {kind}, seed {seed}");
    (KINDS.iter().find(|known| known.name == kind).expect("a known kind").new)(seed, 5)
}

fn laws_hold(kind: &str, limits: &MatchingLimits, seed: u64, count: u64) {
    let often = Often { rejects: 16, restores: 512 };
    // Beside the slow twin twenty times as many.
    let count = if proves() { count * 20 } else { count };
    crate::tests::check::<Model>(limits, 5, || workload(kind, seed), count, 1_000, often);
    std::println!("proved: {count} commands of {kind}, seed {seed}");
}

/// Guards against a book that says other than the rules do while prices wander.
#[test]
fn prove_normal_agrees_with_the_model() {
    laws_hold("normal", &SMALL, 1, 10_000);
}

/// Guards against books that go wrong where prices travel, are swept and abandoned, or most orders are moved.
#[test]
fn prove_a_price_that_travels_agrees_with_the_model() {
    for (seed, kind) in [(45, "swing-25"), (46, "swing-40"), (47, "flash-crash"), (48, "exchange-core")] {
        laws_hold(kind, &SMALL, seed, 2_500);
    }
}

/// Guards against a workload that is not of the shape that its figures are published for.
#[test]
fn workloads_have_their_shapes() {
    let shapes = ["normal", "static", "swing-25", "swing-40", "flash-crash", "exchange-core"].map(|kind| {
        let shape = Shape::of(kind);
        std::println!("{kind}: {shape:?}");
        shape
    });
    let [normal, deep, swing, far, crash, exchange] = shapes;
    assert!(normal.refused + deep.refused + exchange.refused < 0.01, "they are decided");
    assert!(deep.orders > 10_000.0 && deep.levels < 100.0, "{deep:?}");
    assert!((800.0..1_200.0).contains(&exchange.orders) && (650.0..850.0).contains(&exchange.levels), "{exchange:?}");
    assert!(exchange.touched > 1.5, "a move touches two levels: {exchange:?}");
    assert!(far.travelled > swing.travelled * 3 / 2 && swing.travelled > 50_000, "{swing:?} {far:?}");
    assert!(crash.sweep_max > 30 && crash.sweep_max > 2 * normal.sweep_max, "{crash:?} {normal:?}");
}

/// What a workload's messages do, by the message, after the first tenth.
#[derive(Debug)]
#[allow(dead_code, reason = "printed")]
struct Shape {
    orders: f64,
    levels: f64,
    fills: f64,
    touched: f64,
    refused: f64,
    /// The most levels that one message emptied.
    sweep_max: usize,
    /// From the lowest to the highest price of a trade.
    travelled: u64,
}

impl Shape {
    fn of(kind: &str) -> Self {
        let limits = MatchingLimits { orders: 60_000, levels: 30_000, ..SMALL };
        let (mut harness, mut workload) = (Harness::<Matching>::new(&limits), workload(kind, 1));
        let (mut image, count) = (CommandImage::default(), steps(220_000));
        let mut shape =
            Self { orders: 0.0, levels: 0.0, fills: 0.0, touched: 0.0, refused: 0.0, sweep_max: 0, travelled: 0 };
        let (mut lowest, mut highest, mut looks) = (i64::MAX, i64::MIN, 0.0);
        for step in 0..count {
            workload.next(&mut image);
            let outcome = harness.step(&Step::Command(image.clone()), Timestamp(1_000_000_000 + step * 1_000), false);
            if step < count / 10 {
                continue;
            }
            shape.refused += f64::from(u8::from(outcome.reject.is_some()));
            let mut emptied = 0;
            for slot in &outcome.outputs {
                match Event::decode(message(self::image(slot)), &self::image(slot)[OUTPUT_HEADER_BYTES..]) {
                    Ok(Event::Trade(trade)) => {
                        shape.fills += 1.0;
                        (lowest, highest) = (lowest.min(trade.price.0), highest.max(trade.price.0));
                    }
                    Ok(Event::LevelChanged(level)) => {
                        shape.touched += 1.0;
                        emptied += usize::from(level.orders == 0);
                    }
                    _ => {}
                }
            }
            shape.sweep_max = shape.sweep_max.max(emptied);
            if step % 1_000 == 0 {
                looks += 1.0;
                shape.orders += harness.domain.orders.live().count() as f64;
                let live = harness.domain.levels.entries().iter().filter(|level| level.orders > 0);
                shape.levels += live.count() as f64;
            }
        }
        let messages = (count - count / 10) as f64;
        (shape.orders, shape.levels) = (shape.orders / looks, shape.levels / looks);
        (shape.fills, shape.touched) = (shape.fills / messages, shape.touched / messages);
        shape.refused /= messages;
        shape.travelled = (highest - lowest) as u64;
        shape
    }
}

/// Guards against queues that lose or reorder what stands in them.
#[test]
fn prove_static_agrees_with_the_model() {
    laws_hold("static", &SMALL, 2, 10_000);
}

/// Guards against sweeps, replacements into the cross and lists that end wrongly.
#[test]
fn prove_crowded_agrees_with_the_model() {
    laws_hold("crowded", &SMALL, 3, 40_000);
}

/// Guards against orders that outlive their time, or end in another order than they should.
#[test]
fn prove_timed_agrees_with_the_model() {
    laws_hold("timed", &SMALL, 4, 40_000);
}

/// Guards against prices, minimums and days of orders of every type that are other than the rules say.
#[test]
fn prove_types_agrees_with_the_model() {
    laws_hold("types", &SMALL, 16, 40_000);
}

/// Guards against stops that trigger too early, too late, in another order or not at all.
#[test]
fn prove_stops_agree_with_the_model() {
    laws_hold("stops", &SMALL, 23, 40_000);
}

/// Guards against auctions at a wrong price, phases that come too late, bands that let through, and orders that trade
/// where none may.
#[test]
fn prove_phases_agree_with_the_model() {
    laws_hold("phases", &SMALL, 26, 40_000);
    laws_hold("phases", &SMALL, 27, 20_000);
}

/// Guards against what is not displayed being shown, lost, or traded out of turn or against its minimum.
#[test]
fn prove_reserve_agrees_with_the_model() {
    laws_hold("reserve", &SMALL, 30, 40_000);
}

/// Guards against pegged orders that stand where they should not, go too late, or shut each other out.
#[test]
fn prove_pegs_agree_with_the_model() {
    laws_hold("pegs", &SMALL, 50, 40_000);
}

/// Guards against shares that are too large, too small, of another order, or lost; and against prices off their tick.
#[test]
fn prove_shares_agree_with_the_model() {
    laws_hold("shares", &SMALL, 37, 40_000);
}

/// Guards against money that comes from nowhere or is lost, orders that hold too much or too little, and fees that are
/// rounded otherwise.
#[test]
fn prove_funds_agree_with_the_model() {
    laws_hold("funds", &SMALL, 41, 40_000);
}

/// Guards against orders that outlive a mass cancel, a kill switch or their session, or that go without any of these.
#[test]
fn prove_risk_agrees_with_the_model() {
    laws_hold("risk", &SMALL, 19, 40_000);
}

/// Guards against bytes that panic the domain or change it without being understood.
#[test]
fn prove_hostile_agrees_with_the_model() {
    laws_hold("hostile", &SMALL, 5, 40_000);
}

/// Guards against a capacity that is overstepped, or refused where there is room.
#[test]
fn prove_tight_agrees_with_the_model() {
    for (seed, kind) in [
        (6, "normal"),
        (7, "crowded"),
        (8, "timed"),
        (9, "hostile"),
        (17, "types"),
        (21, "risk"),
        (24, "stops"),
        (28, "phases"),
        (31, "reserve"),
        (38, "shares"),
        (42, "funds"),
        (51, "pegs"),
    ] {
        laws_hold(kind, &TIGHT, seed, 15_000);
    }
}

/// Guards against sums, ladders and lists that go wrong where no answer shows it yet, and against quantity that comes
/// from nowhere or is lost.
#[test]
fn prove_invariants_hold_and_quantity_is_conserved() {
    for (seed, kind) in [
        (10, "normal"),
        (11, "crowded"),
        (12, "timed"),
        (13, "hostile"),
        (18, "types"),
        (22, "risk"),
        (25, "stops"),
        (29, "phases"),
        (32, "reserve"),
        (39, "shares"),
        (43, "funds"),
        (52, "pegs"),
    ] {
        let (mut harness, mut workload) = (Harness::<Matching>::new(&SMALL), workload(kind, seed));
        let (mut image, mut ledger) = (CommandImage::default(), Ledger::default());
        for step in 0..steps(6_000) {
            workload.next(&mut image);
            let outcome = harness.step(&Step::Command(image.clone()), Timestamp(1_000_000_000 + step * 1_000), false);
            ledger.note(&image, &outcome);
            harness.domain.check_invariants();
            if step % 16 == 0 {
                assert_eq!(ledger.open(), open(&harness.domain), "step {step}: what is open is what is left");
            }
        }
        assert_eq!(ledger.bought, ledger.sold, "each trade has two sides");
        assert!(kind == "hostile" || ledger.bought > 1_000, "the workload trades");
    }
}

/// What is open by the domain's own books.
fn open(matching: &Matching) -> BTreeMap<u64, u64> {
    let open = |order: &super::orders::Order| {
        let hidden =
            if order.special == super::levels::NONE { 0 } else { matching.orders.specials[order.special].hidden };
        (order.order.0, order.remaining + hidden)
    };
    matching.orders.live().map(open).collect()
}

/// What is open as a reader of all answers and events must believe it to be.
#[derive(Default)]
struct Ledger {
    open: BTreeMap<u64, u64>,
    /// Fills of orders whose answer has not come yet.
    early: BTreeMap<u64, u64>,
    /// What prevention took out of orders whose answer has not come yet.
    decremented: BTreeMap<u64, u64>,
    bought: u64,
    sold: u64,
}

impl Ledger {
    fn open(&self) -> BTreeMap<u64, u64> {
        self.open.iter().filter(|(_, quantity)| **quantity > 0).map(|(order, quantity)| (*order, *quantity)).collect()
    }

    fn note(&mut self, command: &CommandImage, outcome: &Outcome) {
        for slot in &outcome.outputs {
            let (bytes, header) = (image(slot), message(image(slot)));
            let body = &bytes[OUTPUT_HEADER_BYTES..];
            if OutputHeader::read(bytes).expect("it has one").kind == kind::REPLY {
                self.answer(command, &Reply::decode(header, body).expect("a reply"));
            } else {
                self.event(&Event::decode(header, body).expect("an event"));
            }
        }
        assert!(self.early.is_empty(), "an order that traded is answered");
    }

    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Fill(fill) => {
                let sum = if fill.side.get() == Side::Buy { &mut self.bought } else { &mut self.sold };
                *sum += fill.quantity.0;
                match self.open.get_mut(&fill.order.0) {
                    Some(open) => {
                        *open = open.checked_sub(fill.quantity.0).unwrap_or_else(|| {
                            // A replacement that trades at once is answered after its fills.
                            *self.early.entry(fill.order.0).or_default() += fill.quantity.0;
                            0
                        });
                    }
                    None => *self.early.entry(fill.order.0).or_default() += fill.quantity.0,
                }
            }
            Event::OrderDecremented(less) => match self.open.get_mut(&less.order.0) {
                Some(open) => *open = open.saturating_sub(less.decremented.0),
                None => *self.decremented.entry(less.order.0).or_default() += less.decremented.0,
            },
            Event::OrderClosed(closed) => {
                let open = self.open.remove(&closed.order.0).expect("it was open");
                assert_eq!(open, closed.cancelled.0, "all that was open is taken out");
            }
            _ => {}
        }
    }

    fn answer(&mut self, command: &CommandImage, reply: &Reply<'_>) {
        match reply {
            Reply::OrderAccepted(accepted) => {
                let early = self.early.remove(&accepted.order.0).unwrap_or(0);
                assert_eq!(early, accepted.filled.0, "the answer says what the fills said");
                let quantity = match Command::decode(command.header().message, command.body()) {
                    Ok(Command::NewOrder(order)) => order.quantity,
                    Ok(Command::NewReserve(order)) => order.quantity,
                    Ok(Command::NewPeg(order)) => order.quantity,
                    _ => panic!("only a new order is accepted"),
                };
                let decremented = self.decremented.remove(&accepted.order.0).unwrap_or(0);
                if accepted.status.get() != OrderStatus::Cancelled {
                    let sum = accepted.filled.0 + accepted.remaining.0 + decremented;
                    assert_eq!(sum, quantity.0, "nothing is lost");
                }
                self.open.insert(accepted.order.0, accepted.remaining.0);
            }
            Reply::StopAccepted(stop) => _ = self.open.insert(stop.order.0, stop.quantity.0),
            Reply::OrderReplaced(replaced) => {
                self.early.remove(&replaced.order.0);
                self.open.insert(replaced.order.0, replaced.remaining.0);
            }
            Reply::OrderReduced(reduced) => {
                self.open.insert(reduced.order.0, reduced.remaining.0);
            }
            Reply::OrderCancelled(cancelled) => {
                let open = self.open.remove(&cancelled.order.0).expect("it was open");
                assert_eq!(open, cancelled.cancelled.0, "all that was open is taken out");
            }
            _ => {}
        }
    }
}

fn order(client_order: u64, side: Side, price: i64, quantity: u64, time_in_force: TimeInForce) -> NewOrder {
    limit_order(ClientOrderId(client_order), side, Price(price), Quantity(quantity), time_in_force)
}

/// Sends a command of a client and gives what came of it.
type Send<'s> = &'s mut dyn FnMut(u32, Command<'_>) -> Outcome;

/// One instrument, ticks of one, any price; then `commands` of client 1.
fn after(limits: &MatchingLimits, commands: impl FnOnce(Send<'_>)) -> Matching {
    let mut harness = Harness::<Matching>::new(limits);
    let mut image = CommandImage::default();
    let mut send = |client, command: Command<'_>| {
        image.set(ClientId(client), command);
        harness.step(&Step::Command(image.clone()), Timestamp(1), true)
    };
    let define = super::messages::DefineInstrument {
        price_min: Price(i64::MIN),
        price_max: Price(i64::MAX),
        tick: Price(1),
        lot: Quantity(1),
        protection: Price(0),
        day_end: 0,
        instrument: InstrumentId(1),
        price_decimals: 0,
        reserved: Reserved::default(),
    };
    assert_eq!(send(1, Command::DefineInstrument(&define)).reject, None);
    commands(&mut send);
    harness.domain.check_invariants();
    harness.domain
}

fn trades(outcome: &Outcome) -> usize {
    let is_trade = |slot: &&ringfence_kernel::image::Slot| {
        OutputHeader::read(image(slot)).is_some_and(|header| header.topic.kind() == topics::TRADES)
    };
    outcome.outputs.iter().filter(is_trade).count()
}

/// Guards against a sweep that ends at a flush, trades twice across one, or leaves something behind.
#[test]
fn a_sweep_of_five_thousand_fills_is_one_decision() {
    let matching = after(&SMALL, |send| {
        for number in 1..=5_000 {
            send(2, Command::NewOrder(&order(number, Side::Sell, 100, 2, TimeInForce::GoodTillCancelled)));
        }
        let outcome = send(3, Command::NewOrder(&order(1, Side::Buy, 100, 10_001, TimeInForce::GoodTillCancelled)));
        assert_eq!(trades(&outcome), 5_000);
        // Three outputs a trade; the swept level, the new one, the best prices and the answer.
        assert_eq!(outcome.outputs.len(), 3 * 5_000 + 4);
    });
    assert_eq!(open(&matching), BTreeMap::from([(5_001, 1)]), "the residue rests");
}

/// Guards against a trader who cancels for others, or lifts a kill switch.
#[test]
fn only_an_operator_acts_for_others() {
    let needed = |command: Command<'_>| Matching::roles_needed(&command);
    let all = |scope: Scope| MassCancel {
        price_min: Price(0),
        price_max: Price(0),
        instrument: InstrumentId(0),
        account: Account(0),
        scope: scope.into(),
        sides: Sides::Both.into(),
        reserved: Reserved::default(),
    };
    let switch = |scope: Scope, kill_switch: KillSwitch| SetKillSwitch {
        account: Account(0),
        scope: scope.into(),
        kill_switch: kill_switch.into(),
        reserved: Reserved::default(),
    };
    for (scope, roles) in
        [(Scope::Own, Roles::TRADE), (Scope::Account, Roles::ADMINISTER), (Scope::Everyone, Roles::ADMINISTER)]
    {
        assert_eq!(needed(Command::MassCancel(&all(scope))), roles);
        assert_eq!(needed(Command::SetKillSwitch(&switch(scope, KillSwitch::On))), roles);
        assert_eq!(needed(Command::SetKillSwitch(&switch(scope, KillSwitch::Off))), Roles::ADMINISTER);
    }
}

/// Guards against a list of the greatest length that is cut, or does not fit a command.
#[test]
fn the_longest_list_is_cancelled_in_one_decision() {
    let matching = after(&SMALL, |send| {
        for number in 1..=4_100 {
            send(
                2,
                Command::NewOrder(&order(
                    number,
                    Side::Sell,
                    100 + number as i64 % 7,
                    1,
                    TimeInForce::GoodTillCancelled,
                )),
            );
        }
        let list: Vec<_> = (1..=4_090).map(|number| CancelManyOrder { client_order: ClientOrderId(number) }).collect();
        let outcome = send(2, Command::CancelMany(&CancelMany { reserved: Reserved::default() }, &list));
        let answer = outcome.outputs.last().expect("an answer");
        let Ok(Reply::OrdersCancelled(answer)) =
            Reply::decode(message(image(answer)), &image(answer)[OUTPUT_HEADER_BYTES..])
        else {
            panic!("the list was not answered");
        };
        assert_eq!((answer.orders, answer.unknown, answer.cancelled), (4_090, 0, Quantity(4_090)));
    });
    assert_eq!(open(&matching).len(), 10);
}

/// Guards against a ladder that loses a level, or its order, among prices as far apart as numbers are.
#[test]
fn ladders_keep_order_over_the_whole_range_of_prices() {
    let mut random = ringfence_kernel::random::Random::new(20);
    let mut prices: Vec<i64> = (0..64).flat_map(|bit| [1_i64 << bit, (1_i64 << bit).wrapping_neg()]).collect();
    prices.extend((0..600).map(|_| (random.next() as i64) >> random.below(60)));
    prices.extend([i64::MIN, i64::MAX, i64::MIN + 1, i64::MAX - 1, 0]);
    prices.retain(|price| *price < i64::MAX / 2);
    let matching = after(&SMALL, |send| {
        for (number, price) in (1..).zip(&prices) {
            send(2, Command::NewOrder(&order(number, Side::Buy, *price, 1, TimeInForce::GoodTillCancelled)));
        }
        let outcome = send(3, Command::NewOrder(&order(1, Side::Sell, i64::MIN, 40, TimeInForce::ImmediateOrCancel)));
        assert_eq!(trades(&outcome), 40);
    });
    prices.sort_unstable();
    prices.truncate(prices.len() - 40);
    prices.dedup();
    prices.reverse();
    let said: Vec<i64> = snapshot(&matching, Topic::new(Matching::ID, topics::LEVELS, 1))
        .iter()
        .map(|event| match event {
            Said::Level(price, ..) => *price,
            other => panic!("{other:?} in a snapshot of levels"),
        })
        .collect();
    assert_eq!(said, prices);
}

#[derive(Debug, PartialEq)]
enum Said {
    Level(i64, u64, u32),
    Open(u64),
    Shown(u64),
    Copied(u32, u64, u64),
    Other(u16),
}

fn snapshot(matching: &Matching, topic: Topic) -> Vec<Said> {
    let (mut outbox, mut cursor, mut said) = (Outbox::new(), Cursor(0), Vec::new());
    loop {
        let progress = matching.snapshot_topic(topic, &mut cursor, &mut Out::of_snapshot(&mut outbox, topic));
        for slot in outbox.outputs() {
            let (header, body) = (message(image(slot)), &image(slot)[OUTPUT_HEADER_BYTES..]);
            said.push(match Event::decode(header, body).expect("an event") {
                Event::LevelChanged(level) => Said::Level(level.price.0, level.quantity.0, level.orders),
                Event::OrderShown(shown) => Said::Shown(shown.order.0),
                Event::OpenOrder(open) => Said::Open(open.client_order.0),
                Event::ExecutionReport(report) => {
                    assert_eq!(report.execution.get(), Execution::Standing);
                    Said::Copied(report.account.0, report.client_order.0, report.remaining.0)
                }
                _ => Said::Other(header.template),
            });
        }
        outbox.flushed();
        match progress {
            None => panic!("there is no topic {topic:?}"),
            Some(Progress::Done) => return said,
            Some(Progress::More) => {}
        }
    }
}

/// Guards against a late joiner who sees another book than those who listened all along.
#[test]
fn snapshots_say_what_the_books_hold() {
    let mut workload = Flow::new(14, 5, Mix { instruments: 2, spread: 60, crossing: 1, ..NORMAL });
    let mut harness = Harness::<Matching>::new(&SMALL);
    let mut image = CommandImage::default();
    for step in 0..20_000 {
        workload.next(&mut image);
        harness.step(&Step::Command(image.clone()), Timestamp(1 + step), false);
    }
    for account in [4, 2] {
        let copy = SetDropCopy { account: Account(account), reader: Account(9) };
        image.set(ClientId(1), Command::SetDropCopy(&copy));
        harness.step(&Step::Command(image.clone()), Timestamp(20_001), false);
    }
    let matching = &harness.domain;
    for (place, instrument) in matching.instruments.iter().enumerate().take(2) {
        let id = place as u32 + 1;
        let (mut expected, mut queues) = (Vec::new(), Vec::new());
        for side in [Side::Buy, Side::Sell] {
            let mut levels: Vec<_> = matching.levels.entries().iter().filter(|l| l.orders > 0).collect();
            levels.retain(|level| level.instrument == place as u32 && level.side.get() == side);
            levels.sort_by_key(|level| if side == Side::Buy { !level.ticks } else { level.ticks });
            expected.extend(levels.iter().map(|level| Said::Level(level.price.0, level.quantity, level.orders)));
            let queued = levels.iter().flat_map(|level| matching.orders.queue_of(level));
            queues.extend(queued.map(|index| Said::Shown(matching.orders[index].order.0)));
        }
        assert!(expected.len() > 64, "more than one flush");
        assert_eq!(snapshot(matching, Topic::new(Matching::ID, topics::LEVELS, id)), expected);
        assert_eq!(snapshot(matching, Topic::new(Matching::ID, topics::ORDERS, id)), queues);
        assert_eq!(snapshot(matching, Topic::new(Matching::ID, topics::TOP, id)), [Said::Other(103)]);
        assert_eq!(snapshot(matching, Topic::new(Matching::ID, topics::TRADES, id)), [Said::Other(101)]);
        assert!(instrument.last_trade().is_some());
    }
    let mut copied: BTreeMap<u32, Vec<Said>> = BTreeMap::new();
    for account in 1..=5 {
        let mut orders: Vec<_> = matching.orders.live().collect();
        orders.retain(|order| {
            matching.orders.find(Account(account), order.client_order).is_some_and(|i| matching.orders[i] == **order)
        });
        orders.sort_by_key(|order| order.order);
        let expected: Vec<_> = orders.iter().map(|order| Said::Open(order.client_order.0)).collect();
        assert!(expected.len() > 64, "more than one flush");
        assert_eq!(snapshot(matching, Topic::account(Matching::ID, Account(account))), expected);
        let copies = orders.iter().map(|order| Said::Copied(account, order.client_order.0, order.remaining));
        copied.insert(matching.orders.accounts.find(Account(account)).expect("it is known"), copies.collect());
    }
    let of_group = |said: &Said| matches!(said, Said::Copied(2 | 4, ..));
    let expected: Vec<_> = copied.into_values().flatten().filter(of_group).collect();
    assert_eq!(snapshot(matching, Topic::new(Matching::ID, topics::COPIES, 9)), expected);
    let none = matching.snapshot_topic(
        Topic::new(Matching::ID, topics::LEVELS, 99),
        &mut Cursor(0),
        &mut Out::new(&mut Outbox::new()),
    );
    assert_eq!(none, None, "an instrument that is not defined has no topics");
}

/// Guards against saved state that was damaged and is loaded as if it were whole: whatever loads is sound, and goes on.
#[test]
fn damaged_state_is_refused_or_loads_into_sound_books() {
    for (seed, kind) in [
        (15, "crowded"),
        (33, "stops"),
        (34, "phases"),
        (35, "reserve"),
        (36, "risk"),
        (40, "shares"),
        (44, "funds"),
        (53, "pegs"),
    ] {
        let mut workload = workload(kind, seed);
        let mut harness = Harness::<Matching>::new(&TIGHT);
        let mut image = CommandImage::default();
        for step in 0..2_000 {
            workload.next(&mut image);
            harness.step(&Step::Command(image.clone()), Timestamp(1_000_000_000 + step * 1_000), false);
        }
        let next: Vec<Step> = (0..60)
            .map(|_| {
                workload.next(&mut image);
                Step::Command(image.clone())
            })
            .collect();
        let mut saved = Collected::default();
        harness.domain.save(&mut saved);
        let mut refused = 0;
        for at in 0..saved.0.len() {
            let mut damaged = saved.0.clone();
            damaged[at] ^= 0x41;
            match Matching::load(&TIGHT, &mut Reader(&damaged)) {
                Err(_) => refused += 1,
                Ok(matching) => {
                    matching.check_invariants();
                    let mut goes_on = Harness::<Matching>::new(&TIGHT);
                    goes_on.domain = matching;
                    for (step, command) in (2_000..).zip(&next) {
                        goes_on.step(command, Timestamp(1_000_000_000 + step * 1_000), false);
                    }
                    goes_on.domain.check_invariants();
                }
            }
            assert!(Matching::load(&TIGHT, &mut Reader(&saved.0[..at])).is_err(), "cut at byte {at}");
        }
        assert!(refused > saved.0.len() / 4, "{kind}: most damage is seen: {refused} of {}", saved.0.len());
    }
}

/// Guards against a stop that is loaded with a price that its instrument has not, and stops the engine when it comes in.
#[test]
fn a_stop_with_a_damaged_price_is_refused() {
    let stop = NewStop {
        client_order: ClientOrderId(1),
        trigger: Price(105),
        price: Price(777_777),
        trail: Price(0),
        quantity: Quantity(1),
        expires: Timestamp(0),
        instrument: InstrumentId(2),
        side: Side::Buy.into(),
        time_in_force: TimeInForce::GoodTillCancelled.into(),
        order_type: OrderType::Limit.into(),
        on_disconnect: OnDisconnect::Keep.into(),
    };
    let matching = after(&TIGHT, |send| {
        send(1, Command::DefineInstrument(&super::workload::terms(2)));
        send(2, Command::NewStop(&stop));
    });
    let mut saved = Collected::default();
    matching.save(&mut saved);
    let price = 777_777_i64.to_le_bytes();
    let at = saved.0.windows(8).position(|bytes| bytes == price).expect("the stop is saved");
    assert!(Matching::load(&TIGHT, &mut Reader(&saved.0)).is_ok());
    for damaged in [i64::MIN, 2_000_001, 0] {
        saved.0[at..at + 8].copy_from_slice(&damaged.to_le_bytes());
        let refused = Matching::load(&TIGHT, &mut Reader(&saved.0));
        assert_eq!(refused.err(), Some(ringfence_kernel::Corrupt("what stands beside an order")), "{damaged}");
    }
}

/// Guards against a pegged order that is loaded as what it is not, or is not counted among those that are displayed: then others
/// would follow it.
#[test]
fn a_displayed_pegged_order_that_is_damaged_is_refused() {
    let peg = NewPeg {
        client_order: ClientOrderId(1),
        price: Price(777_777),
        offset: Price(1),
        quantity: Quantity(1),
        minimum: Quantity(0),
        expires: Timestamp(0),
        instrument: InstrumentId(1),
        side: Side::Buy.into(),
        time_in_force: TimeInForce::GoodTillCancelled.into(),
        peg: Peg::PrimaryDisplayed.into(),
        on_disconnect: OnDisconnect::Keep.into(),
    };
    let matching = after(&TIGHT, |send| {
        send(1, Command::NewOrder(&order(1, Side::Buy, 555_555, 1, TimeInForce::GoodTillCancelled)));
        send(2, Command::NewPeg(&peg));
    });
    let mut saved = Collected::default();
    matching.save(&mut saved);
    let find = |price: i64| saved.0.windows(8).position(|bytes| bytes == price.to_le_bytes()).expect("it is saved");
    let (special, level) = (find(777_777), find(555_556));
    let (code, minimum) = (special + 22, special + 48);
    let pegged = level + 44;
    assert_eq!((saved.0[code], saved.0[minimum], saved.0[pegged]), (4, 0, 1), "where they stand");
    for (at, damage, refused) in [
        (code, 1, "a pegged order that stands elsewhere"),
        (code, 3, "what stands beside an order"),
        (code, 5, "what stands beside an order"),
        (code, 6, "what stands beside an order"),
        (minimum, 1, "what stands beside an order"),
        (pegged, 0, "the sum of a level"),
        (pegged, 2, "the sum of a level"),
    ] {
        let mut damaged = saved.0.clone();
        damaged[at] = damage;
        let loaded = Matching::load(&TIGHT, &mut Reader(&damaged));
        assert_eq!(loaded.err(), Some(ringfence_kernel::Corrupt(refused)), "{damage} at {at}");
    }
}

#[derive(Default)]
struct Collected(Vec<u8>);

impl ringfence_kernel::Sink for Collected {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

struct Reader<'b>(&'b [u8]);

impl ringfence_kernel::Source for Reader<'_> {
    fn take(&mut self, out: &mut [u8]) -> Result<(), ringfence_kernel::Corrupt> {
        let (head, rest) = self.0.split_at_checked(out.len()).ok_or(ringfence_kernel::Corrupt("too short"))?;
        out.copy_from_slice(head);
        self.0 = rest;
        Ok(())
    }
}
