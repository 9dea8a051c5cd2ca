//! A thousand terminals that speak ISO 8583 to the gateway over lines that lose, repeat, delay and reorder both requests and
//! answers; terminals jam, and reboot in the middle of anything; the engine is killed under load, again and again. At the end
//! the cash that came out is what the accounts were debited, to the note.

mod support;

use ringfence_client::Client;
use ringfence_domains::atm::messages::{
    AccountNumber, CASSETTES, CassetteCount, Command as Atm, Constraint, CountCash, Reply, Service, SetService,
    TerminalId,
};
use ringfence_iso8583::security::{Padding, Pan, Pin, PinBlockFormat, encipher, retail_mac};
use ringfence_iso8583::{Framing, Layout, Message};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::random::Random;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::iso8583::{
    DENOMINATIONS, FUNDS, Gateway, MAC_KEY, PIN, PIN_KEY, accept, install, issue, open_account, open_bank, today,
};
use support::{Place, seed, size, wait_until};

const TERMINALS: u32 = 1_000;
const LINES: u32 = 8;
const CARDS: u64 = 40;
const LOADED: u32 = 5_000;
/// How long a terminal waits before it says again what it is about; and how long the host waits for the notes.
const PATIENCE: Duration = Duration::from_millis(250);
const CONFIRM_NS: u64 = 400_000_000;

fn pan(card: u64) -> String {
    format!("42220000{card:08}")
}

fn customer(card: u64) -> AccountNumber {
    AccountNumber(10_000 + card)
}

/// What a terminal is doing. All but asking is in its journal, and goes on after a reboot.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Doing {
    Idle,
    Asking { tries: u32 },
    Confirming([u16; CASSETTES]),
    Reversing,
}

struct Terminal {
    name: String,
    doing: Doing,
    said: Instant,
    trace: u32,
    card: u64,
    amount: u64,
    left: u64,
    out: [u32; CASSETTES],
}

/// What went wrong on purpose.
#[derive(Debug, Default)]
struct Seen {
    lost: u64,
    repeated: u64,
    reboots: u64,
    unanswered: u64,
    asked: u64,
}

/// Terminals on one line to the gateway.
struct Line<'w> {
    stream: TcpStream,
    input: Vec<u8>,
    /// What is on its way, by when it arrives: to the gateway, or back.
    up: BTreeMap<(Instant, u64), Vec<u8>>,
    down: BTreeMap<(Instant, u64), Vec<u8>>,
    packets: u64,
    random: Random,
    terminals: Vec<Terminal>,
    blocks: &'w [Vec<u8>],
    date: String,
    /// What came out for each card.
    paid: Vec<u64>,
    seen: Seen,
    answers: &'w AtomicU64,
}

impl<'w> Line<'w> {
    fn new(
        address: SocketAddr,
        line: u32,
        withdrawals: u64,
        seed: u64,
        blocks: &'w [Vec<u8>],
        answers: &'w AtomicU64,
    ) -> Self {
        let stream = TcpStream::connect(address).expect("the gateway listens");
        stream.set_nodelay(true).and(stream.set_read_timeout(Some(Duration::from_millis(1)))).expect("options");
        let terminals = (1..=TERMINALS).filter(|number| number % LINES == line).map(|number| Terminal {
            name: format!("ATM{number:05}"),
            doing: Doing::Idle,
            said: Instant::now(),
            trace: 0,
            card: 0,
            amount: 0,
            left: withdrawals,
            out: [0; CASSETTES],
        });
        Self {
            stream,
            input: Vec::new(),
            up: BTreeMap::new(),
            down: BTreeMap::new(),
            packets: 0,
            random: Random::new(seed << 8 | u64::from(line)),
            terminals: terminals.collect(),
            blocks,
            date: today().1,
            paid: vec![0; CARDS as usize],
            seen: Seen::default(),
            answers,
        }
    }

    /// When copies of a packet arrive: none, one or two, sooner or later.
    fn fate(&mut self) -> Vec<(Instant, u64)> {
        let copies = match self.random.below(100) {
            0..10 => 0,
            10..20 => 2,
            _ => 1,
        };
        self.seen.lost += u64::from(copies == 0);
        self.seen.repeated += u64::from(copies == 2);
        let mut arrivals = Vec::new();
        for _ in 0..copies {
            let most = if self.random.percent(3) { 1_500 } else { 20 };
            self.packets += 1;
            arrivals.push((Instant::now() + Duration::from_millis(self.random.below(most)), self.packets));
        }
        arrivals
    }

    /// A terminal says again what it is about.
    fn say(&mut self, place: usize) {
        let terminal = &mut self.terminals[place];
        terminal.said = Instant::now();
        let mti = match terminal.doing {
            Doing::Idle => return,
            Doing::Asking { .. } => *b"0200",
            Doing::Confirming(_) => *b"0220",
            Doing::Reversing => *b"0420",
        };
        let mut message = Message::new(mti);
        message.set(7, format!("{}120000", self.date).as_bytes()).set(11, format!("{:06}", terminal.trace).as_bytes());
        message.set(13, self.date.as_bytes()).set(41, terminal.name.as_bytes());
        match terminal.doing {
            Doing::Asking { .. } => {
                message.set(2, pan(terminal.card).as_bytes()).set(3, b"012000");
                message.set(4, format!("{:012}", terminal.amount).as_bytes());
                message.set(49, b"978").set(52, &self.blocks[terminal.card as usize]);
            }
            Doing::Confirming(notes) => {
                let counts: String = notes.iter().map(|count| format!("{count:04}")).collect();
                message.set(63, format!("NT016{counts}").as_bytes());
            }
            _ => {}
        }
        message.set(64, &[0; 8]);
        let bytes = message.encode(&Layout::iso87()).expect("sound");
        let code = retail_mac(&MAC_KEY, &bytes[..bytes.len() - 16], Padding::Zeros).expect("a key");
        let mut framed = Vec::new();
        let bytes = message.set(64, &code).encode(&Layout::iso87()).expect("sound");
        Framing::TwoBytes.write(&bytes, &mut framed).expect("it is short");
        self.seen.asked += 1;
        for arrival in self.fate() {
            self.up.insert(arrival, framed.clone());
        }
    }

    /// Lets arrive what is due, and takes in what comes.
    fn carry(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.up.first_entry().filter(|entry| entry.key().0 <= now) {
            let packet = entry.remove();
            self.stream.write_all(&packet).expect("the gateway takes it");
        }
        let mut chunk = [0; 8_192];
        match self.stream.read(&mut chunk) {
            Ok(0) => panic!("the gateway closed the line"),
            Ok(count) => self.input.extend_from_slice(&chunk[..count]),
            Err(error)
                if [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::Interrupted].contains(&error.kind()) => {}
            Err(error) => panic!("{error}"),
        }
        while let Some((message, taken)) = Framing::TwoBytes.split(&self.input).expect("sound frames") {
            let message = message.to_vec();
            self.input.drain(..taken);
            self.answers.fetch_add(1, Ordering::Relaxed);
            for arrival in self.fate() {
                self.down.insert(arrival, message.clone());
            }
        }
        while let Some(entry) = self.down.first_entry().filter(|entry| entry.key().0 <= now) {
            let packet = entry.remove();
            self.hear(&packet);
        }
    }

    /// A terminal takes an answer in, if it is to what it is about.
    fn hear(&mut self, bytes: &[u8]) {
        let answer = Message::parse(bytes, &Layout::iso87()).expect("a sound answer");
        let text = |field: u8| String::from_utf8_lossy(answer.get(field).unwrap_or_default()).into_owned();
        let (name, trace, code) = (text(41), text(11), text(39));
        let Some(place) = self.terminals.iter().position(|terminal| terminal.name == name) else { return };
        let terminal = &mut self.terminals[place];
        if trace != format!("{:06}", terminal.trace) {
            return;
        }
        self.seen.unanswered += u64::from(code == "91");
        match (answer.mti(), terminal.doing) {
            ([b'0', b'2', b'1', b'0'], Doing::Asking { .. }) => match code.as_str() {
                "00" => {}
                // Whether it was decided nobody knows.
                "91" => {
                    terminal.doing = Doing::Reversing;
                    return self.say(place);
                }
                code => panic!("{name}, {trace}: {code}, though there is money and nothing was reversed"),
            },
            ([b'0', b'2', b'3', b'0'], Doing::Confirming(_)) | ([b'0', b'4', b'3', b'0'], Doing::Reversing) => {
                assert!(matches!(code.as_str(), "00" | "91"), "{name}, {trace}: {code}, {:?}", terminal.doing);
                if code == "00" {
                    terminal.doing = Doing::Idle;
                }
                return;
            }
            _ => return,
        }
        let notes = text(63).strip_prefix("NT016").expect("the notes").to_owned();
        // It may jam after some notes; its journal knows how many came out.
        let jams = self.random.percent(10);
        let mut counts = [0; CASSETTES];
        for (at, count) in counts.iter_mut().enumerate() {
            *count = notes[at * 4..at * 4 + 4].parse().expect("a number");
            if jams {
                *count = self.random.below(u64::from(*count) + 1) as u16;
            }
            terminal.out[at] += u32::from(*count);
            self.paid[terminal.card as usize] += u64::from(*count) * u64::from(DENOMINATIONS[at]);
        }
        terminal.doing = Doing::Confirming(counts);
        self.say(place);
    }

    /// What a terminal does by itself.
    fn act(&mut self, place: usize) {
        let (starts, reboots) = (self.random.below(400) == 0, self.random.below(1_500) == 0);
        let (card, amount) = (self.random.below(CARDS), 1_000 * (1 + self.random.below(60)));
        let terminal = &mut self.terminals[place];
        let is_late = terminal.said.elapsed() >= PATIENCE;
        self.seen.reboots += u64::from(reboots && terminal.doing != Doing::Idle);
        match terminal.doing {
            Doing::Idle if terminal.left == 0 || !starts => return,
            Doing::Idle => {
                terminal.left -= 1;
                (terminal.trace, terminal.card, terminal.amount) = (terminal.trace + 1, card, amount);
                terminal.doing = Doing::Asking { tries: 0 };
            }
            Doing::Asking { .. } if reboots => terminal.doing = Doing::Reversing,
            _ if !is_late && !reboots => return,
            Doing::Asking { tries: 2 } => terminal.doing = Doing::Reversing,
            Doing::Asking { tries } => terminal.doing = Doing::Asking { tries: tries + 1 },
            Doing::Confirming(_) | Doing::Reversing => {}
        }
        self.say(place);
    }

    fn run(&mut self) {
        let begun = Instant::now();
        while self.terminals.iter().any(|one| one.left > 0 || one.doing != Doing::Idle) {
            assert!(begun.elapsed() < Duration::from_secs(400), "it comes to an end");
            self.carry();
            (0..self.terminals.len()).for_each(|place| self.act(place));
        }
    }
}

/// Guards against money that is taken and not given, or given and not taken, whatever the lines do and whenever the engine
/// dies.
#[test]
fn prove_a_thousand_terminals_agree_to_the_note() {
    let (seed, withdrawals) = (seed(), size(2, 60));
    let place = Place::new(2, "");
    let mut engine = place.engine();
    let mut operator = Client::connect(place.config(1, engine.address())).expect("the engine listens");
    open_bank(&mut operator, 0);
    for card in 0..CARDS {
        open_account(&mut operator, customer(card), Constraint::Covered);
        issue(&mut operator, &pan(card), customer(card), 100 + card);
    }
    for number in 1..=TERMINALS {
        install(&mut operator, number, AccountNumber(20_000 + u64::from(number)), CONFIRM_NS, LOADED);
        let (terminal, service, reserved) = (TerminalId(number), Service::In.into(), Reserved::default());
        accept(&mut operator, Atm::SetService(&SetService { terminal, service, reserved }));
    }
    let gateway = Gateway::start(&place, engine.address(), 2, "answer_timeout_ms = 60000");
    let block = |card| {
        let (pan, pin) = (Pan::new(pan(card).as_bytes()).expect("a number"), Pin::new(PIN.as_bytes()).expect("a PIN"));
        encipher(PinBlockFormat::Iso0, &PIN_KEY, &pin, &pan, &[0; 16]).expect("sound")
    };
    let blocks: Vec<Vec<u8>> = (0..CARDS).map(block).collect();
    let answers = AtomicU64::new(0);
    let kills = size(3, 20);
    let lines: Vec<Line<'_>> = std::thread::scope(|scope| {
        let lines: Vec<_> = (0..LINES)
            .map(|line| {
                let (blocks, answers, address) = (&blocks, &answers, gateway.address);
                scope.spawn(move || {
                    let mut line = Line::new(address, line, withdrawals, seed, blocks, answers);
                    line.run();
                    line
                })
            })
            .collect();
        let all = u64::from(TERMINALS) * withdrawals * 2;
        for kill in 1..=kills {
            wait_until("answers", || {
                answers.load(Ordering::Relaxed) >= all * kill / (kills + 2)
                    || lines.iter().any(|line| line.is_finished())
            });
            engine.kill().expect("it is killed");
            engine.start_again().expect("it starts");
        }
        lines.into_iter().map(|line| line.join().expect("a line does not panic")).collect()
    });
    // What nobody confirmed or reversed is let go at its deadline.
    let mut notes = 0;
    for terminal in lines.iter().flat_map(|line| &line.terminals) {
        let number = TerminalId(terminal.name[3..].parse().expect("a number"));
        let counts = terminal.out.map(|out| CassetteCount { notes: LOADED - out, reserved: Reserved::default() });
        notes += terminal.out.iter().sum::<u32>();
        for cassettes in 1..=CASSETTES {
            let (difference, reserved) = (AccountNumber(1), Reserved::default());
            let count = CountCash { difference, terminal: number, reserved };
            let command = Atm::CountCash(&count, &counts[..cassettes]);
            let mut counted = operator.call(command).expect("the engine answers");
            // Terminals with notes held are refused until their time is over.
            wait_until("the last holds", || {
                if counted.output().rejected().is_some() {
                    counted = operator.call(command).expect("the engine answers");
                }
                counted.output().rejected().is_none()
            });
            let Ok(Reply::CashSet(said)) = counted.reply() else { panic!("a count is answered") };
            assert_eq!(said.change.0, 0, "{}: cassette {cassettes} differs, seed {seed}", terminal.name);
        }
    }
    for card in 0..CARDS {
        let paid: u64 = lines.iter().map(|line| line.paid[card as usize]).sum();
        let stands = open_account(&mut operator, customer(card), Constraint::Covered);
        let left = (FUNDS_OF_CARD - paid) as i64;
        assert_eq!(stands, (left, left), "card {card}: balance and what is available, seed {seed}");
    }
    let sum = |of: fn(&Seen) -> u64| lines.iter().map(|line| of(&line.seen)).sum::<u64>();
    println!(
        "proved: {TERMINALS} terminals, {notes} notes, {} requests; {} packets lost, {} repeated, {} reboots, {} answers \
         of 91, {kills} kills",
        sum(|seen| seen.asked),
        sum(|seen| seen.lost),
        sum(|seen| seen.repeated),
        sum(|seen| seen.reboots),
        sum(|seen| seen.unanswered)
    );
    assert!(
        notes > 3_000 && sum(|seen| seen.lost) > 500 && sum(|seen| seen.reboots) > 10,
        "the lines are what they should be"
    );
}

/// What the account of each card begins with.
const FUNDS_OF_CARD: u64 = FUNDS * 1_000;
