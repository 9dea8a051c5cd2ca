//! The gateway of SoupBinTCP before a whole engine: what its streams say, and that nothing is lost, said twice or said otherwise
//! while it and the engine are killed under traders at work.

mod support;

use ringfence_client::Client;
use ringfence_domains::matching::messages::{
    Cancel, ClientOrderId, Command, Event, GetBook, InstrumentId, NewOrder, OnDisconnect, OrderType, Phase, Price,
    Quantity, Side, TimeInForce,
};
use ringfence_kernel::Timestamp;
use ringfence_kernel::image::kind;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::random::Random;
use ringfence_nasdaq::Text;
use ringfence_nasdaq::itch::Message as Itch;
use ringfence_nasdaq::ouch::{CancelOrder, EnterOrder, Outbound, ReplaceOrder, Token};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use support::nasdaq::{Gateway, Heard, Peer, accept, list, set_phase};
use support::{Place, seed, size, wait_until};

fn token(name: &str) -> Token {
    Text::new(name).expect("it fits")
}

fn enter(name: &str, side: u8, shares: u32, price: u32) -> EnterOrder {
    EnterOrder {
        token: token(name),
        side,
        shares,
        stock: Text::new("ACME").expect("it fits"),
        price,
        time_in_force: 99_999,
        firm: Text::new("FIRM").expect("it fits"),
        display: b'Y',
        capacity: b'P',
        sweep: b'N',
        minimum: 0,
        cross: b'N',
        customer: b' ',
    }
}

/// What a trader hears next.
fn told(peer: &mut Peer) -> Outbound {
    Outbound::parse(&peer.message()).expect("a message of OUCH")
}

/// What a reader hears next.
fn read(peer: &mut Peer) -> Itch {
    Itch::parse(&peer.message()).expect("a message of ITCH")
}

fn alpha(gateway: &Gateway, from: u64) -> Peer {
    Peer::log_in(gateway.ouch, "alpha", "SECRET-A", from).expect("the gateway listens")
}

/// Guards against auctions, orders that are not displayed, and ends of sessions that peers learn otherwise than the
/// specifications say; and against peers that are kept although they send what is none of theirs.
#[test]
fn a_session_from_its_first_message_to_its_end() {
    let place = Place::new(4, "");
    let engine = place.engine();
    let mut operator = Client::connect(place.config(1, engine.address())).expect("the engine listens");
    list(&mut operator);
    set_phase(&mut operator, Phase::OpeningAuction);
    let gateway = Gateway::start(&place, engine.address());
    let mut reader = Peer::log_in(gateway.itch, "reader", "secret-r", 1).expect("the gateway listens");
    let mut trader = alpha(&gateway, 1);
    assert!(matches!(told(&mut trader), Outbound::SystemEvent(event) if event.event == b'S'));
    trader.ask(enter("A", b'S', 10, 1_000_000)).expect("it is heard");
    assert!(matches!(told(&mut trader), Outbound::Accepted(accepted) if accepted.token == token("A")));
    trader.ask(EnterOrder { cross: b'O', ..enter("B", b'B', 4, 1_010_000) }).expect("it is heard");
    assert!(matches!(told(&mut trader), Outbound::Accepted(accepted) if accepted.cross == b'O'));
    set_phase(&mut operator, Phase::Continuous);
    let liquidity: Vec<u8> = (0..2)
        .map(|_| match told(&mut trader) {
            Outbound::Executed(executed) => executed.liquidity,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(liquidity == *b"OH" || liquidity == *b"HO", "{liquidity:?}");
    // What is not displayed trades, and only that it did is market data.
    trader.ask(EnterOrder { display: b'N', ..enter("C", b'S', 5, 990_000) }).expect("it is heard");
    assert!(matches!(told(&mut trader), Outbound::Accepted(accepted) if accepted.display == b'N'));
    trader.ask(EnterOrder { time_in_force: 0, ..enter("D", b'B', 5, 990_000) }).expect("it is heard");
    let traded = [told(&mut trader), told(&mut trader), told(&mut trader)];
    let accepted = traded.iter().position(|said| matches!(said, Outbound::Accepted(_))).expect("it came in");
    let takes = |said: &Outbound| matches!(said, Outbound::Executed(executed) if executed.token == token("D"));
    assert!(traded.iter().position(takes).expect("it traded") > accepted, "{traded:?}");
    // A post-only order gets the next price at which it does not trade.
    trader.ask(EnterOrder { display: b'P', ..enter("E", b'B', 1, 1_100_000) }).expect("it is heard");
    assert!(matches!(told(&mut trader), Outbound::Accepted(accepted) if accepted.price == 999_900));
    let mut kinds = String::new();
    while !kinds.ends_with("PA") {
        kinds.push(char::from(reader.message()[0]));
    }
    assert_eq!(kinds, "SSRHIAAICCIQSHPA", "the market's messages");
    // A second peer of the account takes the place of the first, from the middle.
    let mut second = alpha(&gateway, 3);
    assert!(matches!(trader.hear(), Heard::Closed));
    assert!(matches!(told(&mut second), Outbound::Accepted(accepted) if accepted.token == token("B")));
    // Whoever sends what is none of theirs is closed.
    for bytes in [&b"\0\0"[..], b"\xff\xff", b"\0\x02UX", b"\0\x01S", b"\0\x01?", b"\0\x01L"] {
        let mut peer = alpha(&gateway, 0);
        peer.say_bytes(bytes).expect("it is heard");
        assert!(matches!(peer.hear(), Heard::Closed), "{bytes:?}");
    }
    assert!(TcpPeer::is_closed(gateway.itch, b"\0\x01R"), "nobody says anything before a login");
    // The end.
    let mut last = alpha(&gateway, 0);
    let pid = Pid::from_raw(gateway.id() as i32).expect("a process");
    kill_process(pid, Signal::USR1).expect("it is told");
    assert!(matches!(told(&mut last), Outbound::SystemEvent(event) if event.event == b'E'));
    assert!(matches!(last.hear(), Heard::End));
    assert!(matches!(last.hear(), Heard::Closed));
    let ends: Vec<Itch> = (0..3).map(|_| read(&mut reader)).collect();
    assert!(matches!(ends[2], Itch::SystemEvent(event) if event.event == b'C'), "{ends:?}");
    assert!(matches!(reader.hear(), Heard::End));
}

/// Somebody who never logs in.
struct TcpPeer;

impl TcpPeer {
    fn is_closed(address: SocketAddr, bytes: &[u8]) -> bool {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(address).expect("the gateway listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        stream.write_all(bytes).expect("it is heard");
        !matches!(stream.read(&mut [0; 64]), Ok(1..))
    }
}

/// Enters orders as the operator, natively: it sells at this price in cents, so much, so often.
fn sell(operator: &mut Client, first: u64, count: u64, price: i64, quantity: u64) {
    for client_order in first..first + count {
        let order = NewOrder {
            client_order: ClientOrderId(client_order),
            price: Price(price),
            quantity: Quantity(quantity),
            minimum: Quantity(0),
            expires: Timestamp(0),
            instrument: InstrumentId(1),
            side: Side::Sell.into(),
            time_in_force: TimeInForce::GoodTillCancelled.into(),
            order_type: OrderType::Limit.into(),
            on_disconnect: OnDisconnect::Keep.into(),
        };
        accept(operator, Command::NewOrder(&order));
    }
}

/// Guards against a feed that goes on with another book, and an account that is not told, when the engine does not keep any
/// more what was missed.
#[test]
fn what_the_engine_keeps_no_more_is_told_or_ends_the_session() {
    let place = Place::new(4, "");
    let engine = place.engine();
    let mut operator = Client::connect(place.config(1, engine.address())).expect("the engine listens");
    list(&mut operator);
    let mut gateway = Gateway::start(&place, engine.address());
    sell(&mut operator, 1, 3, 11_000, 5);
    let mut trader = alpha(&gateway, 1);
    trader.ask(enter("A", b'B', 10, 1_000_000)).expect("it is heard");
    assert!(matches!([told(&mut trader), told(&mut trader)][1], Outbound::Accepted(_)));
    let mut reader = Peer::log_in(gateway.itch, "reader", "secret-r", 1).expect("the gateway listens");
    let mut feed: Vec<Vec<u8>> = (0..9).map(|_| reader.message()).collect();
    assert_eq!(book(&feed).0, levels(&mut operator));
    gateway.kill();
    // The account trades, an order goes, and more is said than the engine keeps.
    sell(&mut operator, 10, 1, 10_000, 4);
    accept(&mut operator, Command::Cancel(&Cancel { client_order: ClientOrderId(1) }));
    sell(&mut operator, 11, 3_000, 12_000, 1);
    gateway.start_again();
    let mut reader = Peer::log_in(gateway.itch, "reader", "secret-r", 10).expect("the gateway listens");
    catch_up(&mut reader, &mut feed, &mut operator);
    let mut trader = alpha(&gateway, 3);
    assert!(matches!(told(&mut trader), Outbound::SystemEvent(event) if event.event == b'E'));
    assert!(matches!(trader.hear(), Heard::End));
    // An account of which nothing was missed goes on.
    let mut other = Peer::log_in(gateway.ouch, "beta", "secret-b", 1).expect("the gateway listens");
    assert!(matches!(told(&mut other), Outbound::SystemEvent(event) if event.event == b'S'));
    other.ask(enter("B", b'B', 1, 1_000_000)).expect("it is heard");
    assert!(matches!(told(&mut other), Outbound::Accepted(_)));
}

/// What one account asked and was told, by number of the message.
#[derive(Default)]
struct Ledger {
    said: Vec<Vec<u8>>,
    /// Messages that say what became of an order that was entered or a replacement.
    answers: HashMap<Token, u32>,
    /// Shares by match number.
    executed: HashMap<u64, Vec<u32>>,
    entered: Vec<EnterOrder>,
}

impl Ledger {
    fn take(&mut self, bytes: Vec<u8>) {
        match Outbound::parse(&bytes).expect("a message of OUCH") {
            Outbound::Accepted(accepted) => *self.answers.entry(accepted.token).or_default() += 1,
            Outbound::Rejected(rejected) => *self.answers.entry(rejected.token).or_default() += 1,
            Outbound::Executed(executed) => {
                self.executed.entry(executed.match_number).or_default().push(executed.shares);
            }
            _ => {}
        }
        self.said.push(bytes);
    }

    /// Orders that nothing is known of.
    fn unknown(&self) -> Vec<EnterOrder> {
        self.entered.iter().filter(|order| !self.answers.contains_key(&order.token)).copied().collect()
    }
}

/// Trades as an account until so many of its orders are answered; whenever the connection is lost it logs in with the next
/// number, and says again what was not answered.
fn trade(ouch: SocketAddr, username: &str, password: &str, count: usize, seed: u64, done: &AtomicU64) -> Ledger {
    let (mut ledger, mut random) = (Ledger::default(), Random::new(seed));
    'connection: loop {
        let from = ledger.said.len() as u64 + 1;
        let Some(mut peer) = Peer::log_in(ouch, username, password, from) else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        assert_eq!(peer.next, from);
        for order in ledger.unknown() {
            if peer.ask(order).is_none() {
                continue 'connection;
            }
        }
        loop {
            if ledger.entered.len() < count && ledger.unknown().len() < 16 {
                let number = ledger.entered.len();
                let (side, price) =
                    (if random.below(2) == 0 { b'B' } else { b'S' }, 1_000_000 + 100 * random.below(8) as u32);
                let time_in_force = [99_999, 99_999, 99_999, 0][random.below(4) as usize];
                let display = [b'Y', b'Y', b'Y', b'N'][random.below(4) as usize];
                let order = enter(&format!("T{number}"), side, 1 + random.below(20) as u32, price);
                let order = EnterOrder { time_in_force, display, ..order };
                ledger.entered.push(order);
                done.fetch_add(1, Ordering::Relaxed);
                let mut asked = peer.ask(order);
                if number > 4 && random.below(2) == 0 {
                    let other = token(&format!("T{}", number - 1 - random.below(4) as usize));
                    asked = asked.and(peer.ask(CancelOrder { token: other, shares: random.below(10) as u32 }));
                }
                if number > 4 && random.below(4) == 0 {
                    let (existing, token) = (token(&format!("T{}", number - 2)), token(&format!("R{number}")));
                    let (price, shares) = (1_000_000 + 100 * random.below(8) as u32, 1 + random.below(30) as u32);
                    let (time_in_force, display) = (99_999, b'Y');
                    let replace = ReplaceOrder {
                        existing,
                        token,
                        shares,
                        price,
                        time_in_force,
                        display,
                        sweep: b'N',
                        minimum: 0,
                    };
                    asked = asked.and(peer.ask(replace));
                }
                if asked.is_none() {
                    continue 'connection;
                }
            } else if ledger.entered.len() == count && ledger.unknown().is_empty() {
                return ledger;
            } else {
                match peer.hear() {
                    Heard::Message(message) => ledger.take(message),
                    Heard::Closed => continue 'connection,
                    Heard::End => panic!("nobody ended the session"),
                }
            }
        }
    }
}

/// All that a stream has said, read from its first message.
fn whole(address: SocketAddr, username: &str, password: &str) -> Vec<Vec<u8>> {
    let log_in = |from| Peer::log_in(address, username, password, from).expect("the gateway listens");
    let last = log_in(0).next - 1;
    let mut peer = log_in(1);
    (0..last).map(|_| peer.message()).collect()
}

/// What a reader of market data knows: its book by side and price, and shares by match number.
fn book(feed: &[Vec<u8>]) -> (BTreeMap<(u8, u32), u64>, HashMap<u64, u64>) {
    let mut orders = HashMap::<u64, (u8, u32, u32)>::new();
    let mut traded = HashMap::<u64, u64>::new();
    let less = |orders: &mut HashMap<u64, (u8, u32, u32)>, reference: u64, shares: u32| {
        let order = orders.get_mut(&reference).expect("an order that stands");
        order.2 = order.2.checked_sub(shares).expect("no more than stands");
        if order.2 == 0 {
            orders.remove(&reference);
        }
    };
    for message in feed {
        match Itch::parse(message).expect("a message of ITCH") {
            Itch::AddOrder(add) => {
                assert!(orders.insert(add.reference, (add.side, add.price, add.shares)).is_none());
            }
            Itch::OrderExecuted(executed) => {
                less(&mut orders, executed.reference, executed.shares);
                *traded.entry(executed.match_number).or_default() += u64::from(executed.shares);
            }
            Itch::Trade(trade) => *traded.entry(trade.match_number).or_default() += u64::from(trade.shares),
            Itch::OrderCancel(cancel) => less(&mut orders, cancel.reference, cancel.shares),
            Itch::OrderDelete(delete) => {
                orders.remove(&delete.reference).expect("an order that stands");
            }
            Itch::OrderReplace(replace) => {
                let (side, ..) = orders.remove(&replace.reference).expect("an order that stands");
                assert!(orders.insert(replace.new_reference, (side, replace.price, replace.shares)).is_none());
            }
            Itch::SystemEvent(_) | Itch::StockDirectory(_) | Itch::TradingAction(_) => {}
            other => panic!("{other:?} has no place in continuous trading"),
        }
    }
    let mut levels = BTreeMap::new();
    for (side, price, shares) in orders.into_values() {
        *levels.entry((side, price)).or_default() += u64::from(shares);
    }
    (levels, traded)
}

/// Reads a feed until its book is the engine's.
fn catch_up(reader: &mut Peer, feed: &mut Vec<Vec<u8>>, operator: &mut Client) {
    wait_until("the feed is where the engine is", || {
        while !reader.is_silent() {
            feed.push(reader.message());
        }
        book(feed).0 == levels(operator)
    });
}

/// The levels of the engine's book, in the same form.
fn levels(operator: &mut Client) -> BTreeMap<(u8, u32), u64> {
    let (instrument, reserved) = (InstrumentId(1), Reserved::default());
    let request =
        operator.send(Command::GetBook(&GetBook { instrument, depth: u16::MAX, reserved })).expect("it is sent");
    let mut levels = BTreeMap::new();
    loop {
        let output = operator.poll(Duration::from_secs(60)).expect("the engine answers").expect("in time");
        if output.header.kind == kind::REPLY && output.header.request == request {
            return levels;
        }
        if let Ok(Event::LevelChanged(level)) = output.decode() {
            let side = if level.side.get() == Side::Buy { b'B' } else { b'S' };
            levels.insert((side, level.price.0 as u32 * 100), level.quantity.0);
        }
    }
}

/// The shares of both sides by match number, as the streams of the accounts say.
fn matches(streams: &[Vec<Vec<u8>>]) -> HashMap<u64, Vec<u32>> {
    let mut all = Ledger::default();
    streams.iter().flatten().for_each(|message| all.take(message.clone()));
    all.executed
}

const ACCOUNTS: [(&str, &str); 2] = [("alpha", "secret-a"), ("beta", "secret-b")];

/// Guards against orders that are lost or entered twice, against executions that one side hears and the other does not, and
/// against a feed from which another book is built, while the gateway and the engine are killed.
#[test]
fn prove_traders_at_work_lose_nothing_whatever_is_killed() {
    let seed = seed();
    let (count, kills) = (size(400, 4_000) as usize, size(6, 40));
    let place = Place::new(4, "");
    let mut engine = place.engine();
    let mut operator = Client::connect(place.config(1, engine.address())).expect("the engine listens");
    list(&mut operator);
    let mut gateway = Gateway::start(&place, engine.address());
    let done = Arc::new(AtomicU64::new(0));
    let traders: Vec<_> = ACCOUNTS
        .into_iter()
        .zip(1..)
        .map(|((username, password), number)| {
            let (ouch, done) = (gateway.ouch, Arc::clone(&done));
            std::thread::spawn(move || trade(ouch, username, password, count, seed * 2 + number, &done))
        })
        .collect();
    let mut random = Random::new(seed);
    for kill in 1..=kills {
        let at = 2 * count as u64 * kill / (kills + 1);
        wait_until("traders are at work", || done.load(Ordering::Relaxed) >= at);
        let which = random.below(3);
        if which != 0 {
            engine.kill().expect("it is killed");
        }
        if which != 1 {
            gateway.kill();
        }
        if which != 0 {
            engine.start_again().expect("it starts again");
        }
        if which != 1 {
            gateway.start_again();
        }
    }
    let ledgers: Vec<Ledger> = traders.into_iter().map(|trader| trader.join().expect("a trader ends")).collect();
    let mut operator = Client::connect(place.config(1, engine.address())).expect("the engine listens");
    let (mut feed, mut matched) = (Vec::new(), HashMap::<u64, Vec<u32>>::new());
    let mut reader = Peer::log_in(gateway.itch, "reader", "secret-r", 1).expect("the gateway listens");
    let (mut streams, mut traded) = (Vec::new(), HashMap::new());
    // A trade with an order that is not displayed changes no book: the last of them are waited for by their two sides.
    wait_until("each trade has two sides and is on the feed", || {
        catch_up(&mut reader, &mut feed, &mut operator);
        streams = ACCOUNTS.map(|(username, password)| whole(gateway.ouch, username, password)).to_vec();
        (matched, (_, traded)) = (matches(&streams), book(&feed));
        matched.len() == traded.len()
            && traded.keys().all(|number| matched.get(number).is_some_and(|sides| sides.len() == 2))
    });
    for ((ledger, stream), (username, _)) in ledgers.iter().zip(&streams).zip(ACCOUNTS) {
        for order in &ledger.entered {
            assert_eq!(ledger.answers.get(&order.token), Some(&1), "{username}: {:?}", order.token);
        }
        assert!(stream.starts_with(&ledger.said), "{username} is told otherwise from the file");
    }
    for (number, shares) in &matched {
        assert_eq!((u64::from(shares[0]), u64::from(shares[1])), (traded[number], traded[number]), "trade {number}");
    }
    println!("proved: {} orders and {} trades over {kills} kills", 2 * count, matched.len());
}
