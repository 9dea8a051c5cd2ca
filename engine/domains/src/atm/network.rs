//! A network of terminals over a link that loses, repeats, delays and reorders both requests and answers, with terminals
//! that jam, and reboot in the middle of anything, and a host that is stopped and started again from what it saved. At
//! the end what came out of the terminals is what the ledger says, to the note.

use super::Atm;
use super::messages::{
    AccountNumber, AccountType, Amount, AtmLimits, Authorize, BusinessDate, CASSETTES, CardStatus, CassetteLoad,
    Command, Complete, Constraint, ConversionChoice, Currency, LoadCash, Notes, OpenAccount, PinVerdict, PinVersion,
    RateVersion, Reply, ResponseCode, Reverse, Service, SetCard, SetService, SetTerminal, TerminalId, Trace,
    TransactionType, TransferEntry, TransferId, TransferKind, TransferLinked,
};
use super::tests::prove;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, kind};
use ringfence_kernel::laws::{Harness, Step};
use ringfence_kernel::messages::{Message, Reserved};
use ringfence_kernel::outbox::{image, message};
use ringfence_kernel::random::Random;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, OutputHeader, Timestamp};

const LIMITS: AtmLimits = AtmLimits {
    accounts: 2_100,
    cards: 500,
    terminals: 1_000,
    transactions: 200_000,
    transfers: 600,
    issuers: 2,
    routes: 6,
    stood_in: 5,
    movements: 0,
    fees: 1,
    rates: 1,
};
const CARDS: u64 = 500;
const EURO: Currency = Currency(978);
const BANK: AccountNumber = AccountNumber(1);
const DENOMINATIONS: [u32; CASSETTES] = [1_000, 2_000, 5_000, 10_000];
const LOADED: u32 = 5_000;
const FUNDS: u64 = 1_000_000_000;
/// How long a terminal waits before it asks again, in ticks; the host lets go after fewer than a few of these.
const PATIENCE: u64 = 40;

/// What a terminal is doing. All but asking is in its journal, and goes on after a reboot.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Doing {
    Idle,
    Asking { tries: u32 },
    Confirming(Notes),
    Reversing,
}

struct Terminal {
    doing: Doing,
    /// When it last sent something.
    sent: u64,
    trace: u32,
    card: u64,
    amount: u64,
    left: u32,
    /// Notes that came out.
    out: [u32; CASSETTES],
}

/// What is on the link: to the host, or back, with the trace number that it is about.
enum Packet {
    Up(u32, Trace, CommandImage),
    Authorized(u32, Trace, ResponseCode, Notes),
    Ended(u32, Trace, ResponseCode),
}

struct Network {
    host: Harness<Atm>,
    terminals: Vec<Terminal>,
    link: BTreeMap<(u64, u64), Packet>,
    packets: u64,
    random: Random,
    now: u64,
    /// What came out for each card.
    paid: Vec<u64>,
    steps: u64,
    lost: u64,
    reboots: u64,
    late: u64,
}

fn token(card: u64) -> [u8; 16] {
    bytemuck::cast([card, 0])
}

impl Network {
    fn new(seed: u64, terminals: u32, withdrawals: u32) -> Self {
        let mut network = Self {
            host: Harness::new(&LIMITS),
            terminals: Vec::new(),
            link: BTreeMap::new(),
            packets: 0,
            random: Random::new(seed),
            now: 1,
            paid: alloc::vec![0; CARDS as usize],
            steps: 0,
            lost: 0,
            reboots: 0,
            late: 0,
        };
        network.open(BANK, Constraint::Free);
        for card in 0..CARDS {
            network.issue(card);
        }
        for number in 1..=terminals {
            network.install(number);
            let (doing, out) = (Doing::Idle, [0; CASSETTES]);
            network.terminals.push(Terminal { doing, sent: 0, trace: 0, card: 0, amount: 0, left: withdrawals, out });
        }
        network
    }

    /// Asks the host directly; it must accept.
    fn set_up(&mut self, command: Command<'_>) {
        let mut image = CommandImage::default();
        image.set(ClientId(1), command);
        assert_eq!(self.host.step(&Step::Command(image), Timestamp(1), false).reject, None);
    }

    fn open(&mut self, account: AccountNumber, constraint: Constraint) {
        let (overdraft, constraint, reserved) = (Amount(0), constraint.into(), Reserved::default());
        self.set_up(Command::OpenAccount(&OpenAccount { account, overdraft, currency: EURO, constraint, reserved }));
    }

    fn issue(&mut self, card: u64) {
        let account = AccountNumber(1_000_000 + card);
        self.open(account, Constraint::Covered);
        let funds = TransferEntry {
            id: TransferId(card + 1),
            debit: BANK,
            credit: account,
            amount: Amount(FUNDS),
            hold: TransferId(0),
            lasts_ns: 0,
            kind: TransferKind::Move.into(),
            reserved: Reserved::default(),
        };
        self.set_up(Command::TransferLinked(&TransferLinked { reserved: Reserved::default() }, &[funds]));
        self.set_up(Command::SetCard(&SetCard {
            token: token(card),
            pin_reference: [0; 16],
            cheque: account,
            savings: AccountNumber(0),
            credit: AccountNumber(0),
            transaction_max: Amount(FUNDS),
            day_max: Amount(FUNDS),
            window_ns: 0,
            day_count_max: u32::MAX,
            pin_version: PinVersion(0),
            last_four: *b"0000",
            window_count_max: 0,
            status: CardStatus::Active.into(),
            reserved: Reserved::default(),
        }));
    }

    fn install(&mut self, number: u32) {
        let (terminal, cash, reserved) =
            (TerminalId(number), AccountNumber(2 + u64::from(number)), Reserved::default());
        let (fees, surcharge, confirm_within_ns) = (AccountNumber(0), Amount(0), 2 * PATIENCE);
        let set = SetTerminal { cash, fees, surcharge, confirm_within_ns, terminal, currency: EURO, reserved };
        self.set_up(Command::SetTerminal(&set));
        let loads = DENOMINATIONS.map(|denomination| CassetteLoad { denomination, notes: LOADED });
        self.set_up(Command::LoadCash(&LoadCash { vault: BANK, terminal, reserved: Reserved::default() }, &loads));
        let (service, reserved) = (Service::In.into(), Reserved::default());
        self.set_up(Command::SetService(&SetService { terminal, service, reserved }));
    }

    /// Puts something on the link, once, twice, or not at all, to arrive sooner or later.
    fn send(&mut self, packet: impl Fn() -> Packet) {
        let copies = match self.random.below(100) {
            0..10 => 0,
            10..20 => 2,
            _ => 1,
        };
        self.lost += u64::from(copies == 0);
        for _ in 0..copies {
            let delay = if self.random.percent(5) { self.random.below(4 * PATIENCE) } else { self.random.below(8) };
            self.packets += 1;
            self.link.insert((self.now + 1 + delay, self.packets), packet());
        }
    }

    /// A terminal says again what it is about.
    fn say(&mut self, place: usize) {
        let terminal = &mut self.terminals[place];
        terminal.sent = self.now;
        let (number, trace, date) = (TerminalId(place as u32 + 1), Trace(terminal.trace), BusinessDate(0));
        let mut image = CommandImage::default();
        match terminal.doing {
            Doing::Idle => return,
            Doing::Asking { .. } => image.set(
                ClientId(1),
                Command::Authorize(&Authorize {
                    token: token(terminal.card),
                    amount: Amount(terminal.amount),
                    cashback: Amount(0),
                    billed: Amount(0),
                    terminal: number,
                    trace,
                    date,
                    pin_version: PinVersion(0),
                    pin: PinVerdict::Right.into(),
                    transaction: TransactionType::Withdrawal.into(),
                    account: AccountType::Cheque.into(),
                    to: AccountType::Default.into(),
                    rate_version: RateVersion(0),
                    billed_in: Currency(0),
                    conversion: ConversionChoice::None.into(),
                    reserved: Reserved::default(),
                }),
            ),
            Doing::Confirming(notes) => {
                let reserved = Reserved::default();
                image.set(ClientId(1), Command::Complete(&Complete { notes, terminal: number, trace, date, reserved }));
            }
            Doing::Reversing => {
                let reserved = Reserved::default();
                image.set(ClientId(1), Command::Reverse(&Reverse { terminal: number, trace, date, reserved }));
            }
        }
        self.send(|| Packet::Up(number.0, trace, image.clone()));
    }

    /// Lets the host decide what arrived, and sends its answer back.
    fn decide(&mut self, number: u32, trace: Trace, command: CommandImage) {
        self.steps += 1;
        if self.steps.is_multiple_of(10_000) {
            // It is stopped, and started again from what it saved.
            self.host = self.host.restored();
        }
        let outcome = self.host.step(&Step::Command(command), Timestamp(self.now), false);
        assert_eq!(outcome.reject, None, "nothing is refused");
        for slot in &outcome.outputs {
            if OutputHeader::read(image(slot)).expect("it has one").kind != kind::REPLY {
                self.late += 1;
                continue;
            }
            let bytes = image(slot);
            match Reply::decode(message(bytes), &bytes[OUTPUT_HEADER_BYTES..]).expect("a reply") {
                Reply::Authorized(said) => {
                    let (code, notes) = (said.code.get(), said.notes);
                    self.send(|| Packet::Authorized(number, trace, code, notes));
                }
                Reply::Ended(said) => {
                    let code = said.code.get();
                    self.send(|| Packet::Ended(number, trace, code));
                }
                other => panic!("nobody asked for {other:?}"),
            }
        }
    }

    fn arrive(&mut self, packet: Packet) {
        match packet {
            Packet::Up(number, trace, image) => self.decide(number, trace, image),
            Packet::Authorized(number, trace, code, notes) => {
                let place = number as usize - 1;
                let terminal = &mut self.terminals[place];
                if terminal.trace != trace.0 || !matches!(terminal.doing, Doing::Asking { .. }) {
                    return;
                }
                if code != ResponseCode::Approved {
                    panic!("{number}, {trace}: {code:?}, though there is money and nothing was reversed");
                }
                // It may jam after some notes; its journal knows how many came out.
                let jams = self.random.percent(10);
                let counts = notes.counts().map(|count| match jams {
                    true => self.random.below(u64::from(count) + 1) as u16,
                    false => count,
                });
                for (at, count) in counts.iter().enumerate() {
                    terminal.out[at] += u32::from(*count);
                    self.paid[terminal.card as usize] += u64::from(*count) * u64::from(DENOMINATIONS[at]);
                }
                terminal.doing = Doing::Confirming(Notes::new(counts));
                self.say(place);
            }
            Packet::Ended(number, trace, code) => {
                let terminal = &mut self.terminals[number as usize - 1];
                if terminal.trace == trace.0 && matches!(terminal.doing, Doing::Confirming(_) | Doing::Reversing) {
                    assert_eq!(code, ResponseCode::Approved, "{number}, {trace}, {:?}", terminal.doing);
                    terminal.doing = Doing::Idle;
                }
            }
        }
    }

    /// What a terminal does by itself.
    fn act(&mut self, place: usize) {
        let (now, reboots) = (self.now, self.random.below(1_000) == 0);
        let amount = 1_000 * (1 + self.random.below(60));
        let (starts, card) = (self.random.percent(5), self.random.below(CARDS));
        let terminal = &mut self.terminals[place];
        self.reboots += u64::from(reboots && terminal.doing != Doing::Idle);
        match terminal.doing {
            Doing::Idle if terminal.left == 0 || !starts => return,
            Doing::Idle => {
                terminal.left -= 1;
                (terminal.trace, terminal.card, terminal.amount) = (terminal.trace + 1, card, amount);
                terminal.doing = Doing::Asking { tries: 0 };
            }
            Doing::Asking { .. } if reboots => terminal.doing = Doing::Reversing,
            _ if now < terminal.sent + PATIENCE && !reboots => return,
            Doing::Asking { tries: 2 } => terminal.doing = Doing::Reversing,
            Doing::Asking { tries } => terminal.doing = Doing::Asking { tries: tries + 1 },
            Doing::Confirming(_) | Doing::Reversing => {}
        }
        self.say(place);
    }

    fn run(&mut self) {
        while !self.link.is_empty() || self.terminals.iter().any(|one| one.left > 0 || one.doing != Doing::Idle) {
            self.now += 1;
            assert!(self.now < 1_000_000, "it comes to an end");
            while let Some(entry) = self.link.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let packet = entry.remove();
                self.arrive(packet);
            }
            (0..self.terminals.len()).for_each(|place| self.act(place));
        }
    }
}

/// Guards against money that is taken and not given, or given and not taken, whatever the network does.
#[test]
fn prove_atm_network_agrees_to_the_note() {
    let (terminals, withdrawals) = (1_000, prove(10, 100));
    let mut network = Network::new(7, terminals, withdrawals as u32);
    network.run();
    assert_eq!(network.host.domain.check(), Ok(()));
    let mut notes = 0;
    for (place, terminal) in network.terminals.iter().enumerate() {
        let known = network.host.domain.terminals.look(TerminalId(place as u32 + 1)).expect("it was installed");
        for (cassette, out) in known.cassettes().iter().zip(terminal.out) {
            assert_eq!((cassette.notes, cassette.held), (LOADED - out, 0), "terminal {}", place + 1);
            notes += out;
        }
    }
    for (card, paid) in (0..).zip(&network.paid) {
        let account = network.host.domain.ledger.find(AccountNumber(1_000_000 + card)).expect("it was opened");
        let (balance, available) = network.host.domain.ledger[account].balances();
        assert_eq!((balance.0, available.0), ((FUNDS - paid) as i64, (FUNDS - paid) as i64), "card {card}");
    }
    let Network { steps, lost, reboots, late, .. } = network;
    std::println!(
        "proved: {terminals} terminals, {notes} notes, {steps} requests; {lost} packets lost, {late} holds timed out, \
         {reboots} reboots"
    );
    assert!(notes > 20_000 && lost > 1_000 && reboots > 100 && late > 100, "the network is what it should be");
}
