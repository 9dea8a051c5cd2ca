//! Two hosts, each an engine with its gateway: the acquirer's terminals, the issuer's cards. Engines and the issuer's gateway
//! are killed under it; in the end what came out of the terminals is what both ledgers say, to the cent.

mod support;

use ringfence::engine_process::EngineProcess;
use ringfence_client::Client;
use ringfence_domains::atm::messages::{
    AccountNumber, Amount, Command as Atm, Constraint, Currency, IssuerId, OpenAccount, Service, SetAcquirer,
    SetIssuer, SetRoute, SetService, TerminalId,
};
use ringfence_iso8583::security::Purpose;
use ringfence_iso8583::{Framing, Layout, Message};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::random::Random;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{HashMap, HashSet};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use support::iso8583::{
    DENOMINATIONS, FUNDS, Gateway, PIN, Terminal, accept, authentic, code, open_account, open_bank, text, wrapped,
};
use support::{Place, seed, size, wait_until};

const ACQUIRER: &str = "00000000042";
const LINK_KEY: &[u8; 16] = b"a key of a link.";
/// What the issuer owes at the acquirer, and what it owes the acquirer: an account of each host.
const OWED: AccountNumber = AccountNumber(50);

/// An engine and who runs it.
struct Host {
    place: Place,
    engine: EngineProcess,
}

impl Host {
    fn new() -> Self {
        let place = Place::new(2, "");
        let engine = place.engine();
        let host = Self { place, engine };
        open_bank(&mut host.operator(), 2);
        host
    }

    fn operator(&self) -> Client {
        Client::connect(self.place.config(1, self.engine.address())).expect("the engine listens")
    }

    /// Balance and what is available of an account.
    fn stands(&self, account: AccountNumber, constraint: Constraint) -> (i64, i64) {
        open_account(&mut self.operator(), account, constraint)
    }
}

/// The issuer: its cards are used at the terminals of an acquirer.
fn issuer() -> (Host, Gateway) {
    let host = Host::new();
    open_account(&mut host.operator(), OWED, Constraint::Free);
    let (confirm_within_ns, terminal, reserved) = (3_600_000_000_000, TerminalId(90), Reserved::default());
    let set = SetAcquirer { settlement: OWED, confirm_within_ns, terminal, currency: Currency(978), reserved };
    accept(&mut host.operator(), Atm::SetAcquirer(&set));
    let (pin, mac) = (wrapped(Purpose::PinBlock, LINK_KEY), wrapped(Purpose::Mac, LINK_KEY));
    let settings = format!(
        "answer_timeout_ms = 400\n[gateway.acquirers.{ACQUIRER:?}]\nterminal = 90\npin_block = {pin:?}\nmac = {mac:?}"
    );
    let gateway = Gateway::start(&host.place, host.engine.address(), 2, &settings);
    (host, gateway)
}

/// Opens the account of what the issuer owes, or asks what stands on it.
fn open_owed(operator: &mut Client) -> (i64, i64) {
    let (overdraft, constraint, reserved) = (Amount(FUNDS * 1_000), Constraint::Covered.into(), Reserved::default());
    let owed = OpenAccount { account: OWED, overdraft, currency: Currency(978), constraint, reserved };
    accept(operator, Atm::OpenAccount(&owed))
}

/// The acquirer: it asks the issuer about cards that begin with 4, and stands in for it.
fn acquirer(issuer: SocketAddr) -> (Host, Gateway) {
    let host = Host::new();
    let mut operator = host.operator();
    open_owed(&mut operator);
    let set = SetIssuer {
        settlement: OWED,
        stand_in_max: Amount(5_000),
        stand_in_day_max: Amount(FUNDS),
        advice_lasts_ns: 3_600_000_000_000,
        stand_in_day_count_max: 1_000,
        issuer: IssuerId(1),
        reserved: Reserved::default(),
    };
    accept(&mut operator, Atm::SetIssuer(&set));
    let route = SetRoute { prefix: 4, digits: 1, reserved: Reserved::default(), issuer: IssuerId(1) };
    accept(&mut operator, Atm::SetRoute(&route));
    let (terminal, service, reserved) = (TerminalId(1), Service::In.into(), Reserved::default());
    accept(&mut operator, Atm::SetService(&SetService { terminal, service, reserved }));
    let (pin, mac) = (wrapped(Purpose::PinBlock, LINK_KEY), wrapped(Purpose::Mac, LINK_KEY));
    let settings = format!(
        "[[gateway.issuers]]\nissuer = 1\naddress = \"{issuer}\"\nacquirer = {ACQUIRER:?}\npin_block = {pin:?}\nmac = \
         {mac:?}\ntimeout_ms = 600"
    );
    let gateway = Gateway::start(&host.place, host.engine.address(), 2, &settings);
    (host, gateway)
}

/// Guards against money that is created or lost between two hosts, whichever of them dies when; against an issuer that is
/// asked in vain, or not asked; and against an advice that is not said until it is heard.
#[test]
fn prove_two_hosts_agree_to_the_cent() {
    let (mut issuer, mut issuer_gateway) = issuer();
    let (mut acquirer, gateway) = acquirer(issuer_gateway.address);
    let mut atm = Terminal::new(gateway.address, 1);
    let mut trace = 0;
    let mut next = || {
        trace += 1;
        trace
    };
    // The issuer decides: it knows PIN and account, and says what it holds.
    wait_until("the issuer lets the acquirer sign on", || {
        let inquiry = atm.ask(&atm.transaction(next(), "310000", 0, PIN));
        code(&inquiry) == "00" && text(&inquiry, 54).contains(&format!("{FUNDS:012}"))
    });
    // On a busy machine the issuer may be late: then it is asked again.
    let mut refused = |processing: &str, amount, pin: &str| {
        let mut said = "91".to_owned();
        wait_until("the issuer answers in time", || {
            said = code(&atm.ask(&atm.transaction(next(), processing, amount, pin)));
            said != "91"
        });
        said
    };
    assert_eq!(refused("310000", 0, "4321"), "55", "the issuer looks at the PIN");
    assert_eq!(refused("402010", 100, PIN), "57", "no transfers there");

    let (mut random, mut taken, mut stood_in) = (Random::new(seed()), 0, 0);
    let (mut declined, rounds) = (0, size(40, 400));
    for round in 0..rounds {
        match round % 10 {
            3 => issuer.engine.kill().expect("it is killed"),
            5 => issuer.engine.start_again().expect("it starts"),
            7 => issuer_gateway.kill_and_start_again(),
            9 => {
                acquirer.engine.kill().expect("it is killed");
                acquirer.engine.start_again().expect("it starts");
            }
            _ => {}
        }
        let amount = 1_000 * (1 + random.below(7));
        let number = next();
        let withdrawal = atm.transaction(number, "012000", amount, PIN);
        let answer = atm.ask(&withdrawal);
        if code(&answer) != "00" {
            declined += 1;
            assert_eq!(code(&answer), "91", "round {round}");
            // It may be undone or not: it is taken back.
            wait_until("it is taken back", || code(&atm.ask(&atm.message(b"0420", number))) == "00");
            continue;
        }
        stood_in += u64::from(text(&answer, 54).contains("02978C000000000000"));
        assert_eq!(code(&atm.ask(&withdrawal)), "00", "a repeat is answered alike");
        // All notes come out, or all but one of the first cassette, or none.
        let notes = text(&answer, 63).strip_prefix("NT016").expect("the notes").to_owned();
        let mut counts: Vec<u64> = (0..4).map(|at| notes[at * 4..at * 4 + 4].parse().expect("a number")).collect();
        match random.below(4) {
            0 => counts = vec![0; 4],
            1 => counts[0] = counts[0].saturating_sub(1),
            _ => {}
        }
        taken += counts.iter().zip(DENOMINATIONS).map(|(count, one)| count * u64::from(one)).sum::<u64>();
        let said: String = counts.iter().map(|count| format!("{count:04}")).collect();
        let mut completion = atm.message(b"0220", number);
        completion.set(63, format!("NT016{said}").as_bytes());
        wait_until("the notes are known", || code(&atm.ask(&completion)) == "00");
    }
    let left = (FUNDS - taken) as i64;
    wait_until("the issuer has heard all", || {
        issuer.stands(AccountNumber(2), Constraint::Covered) == (left, left)
            && issuer.stands(OWED, Constraint::Free) == (taken as i64, taken as i64)
    });
    let stands = open_owed(&mut acquirer.operator());
    assert_eq!(stands, (-(taken as i64), -(taken as i64)), "what the issuer owes");
    println!(
        "proved: {rounds} withdrawals of {taken} in all between two hosts; {stood_in} stood in for, {declined} declined"
    );
    assert!(stood_in > 0 && taken > 0, "the issuer was away and was stood in for");
}

/// An issuer that a test plays. Where the test is late, as it may be on a busy machine, the gateway gives a line up and makes
/// another.
struct Played {
    listener: TcpListener,
    line: TcpStream,
}

impl Played {
    /// Waits for the gateway's first line.
    fn new(listener: TcpListener) -> Self {
        let line = Self::accept(&listener);
        Self { listener, line }
    }

    fn accept(listener: &TcpListener) -> TcpStream {
        listener.set_nonblocking(true).expect("an option");
        let mut line = None;
        wait_until("the gateway connects", || {
            line = listener.accept().ok();
            line.is_some()
        });
        let (line, _) = line.expect("it was waited for");
        line.set_nonblocking(false).expect("an option");
        line.set_read_timeout(Some(Duration::from_secs(120))).expect("an option");
        line
    }

    /// The next message on this line; none when it is closed, and then the next line is this one.
    fn hear(&mut self) -> Option<Message> {
        let mut bytes = Vec::new();
        loop {
            if let Some((message, _)) = Framing::TwoBytes.split(&bytes).expect("a sound frame") {
                return Some(Message::parse(message, &Layout::iso87()).expect("a sound message"));
            }
            // No more than the one message.
            let mut chunk = [0; 1];
            match self.line.read(&mut chunk) {
                Ok(1..) => bytes.extend_from_slice(&chunk),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("it says nothing: {error}"),
                Ok(0) | Err(_) => {
                    self.line = Self::accept(&self.listener);
                    return None;
                }
            }
        }
    }

    /// Says something, on a line that may be closed: that is heard next.
    fn say(&mut self, bytes: &[u8]) {
        let mut framed = Vec::new();
        Framing::TwoBytes.write(bytes, &mut framed).expect("it is short");
        let _ = self.line.write_all(&framed);
    }

    /// Lets whoever signs on or asks for an echo know that somebody is there.
    fn answer(&mut self, request: &Message) {
        assert_eq!(request.mti(), *b"0800");
        let mut answer = Message::new(*b"0810");
        for field in [11, 70] {
            answer.set(field, request.get(field).expect("it says so"));
        }
        self.say(&answer.set(39, b"00").encode(&Layout::iso87()).expect("sound"));
    }
}

/// Takes a note out, for which the issuer is stood in for.
fn take_a_note(atm: &mut Terminal, trace: &mut u32) {
    wait_until("it is stood in for", || {
        *trace += 1;
        code(&atm.ask(&atm.transaction(*trace, "010000", 1_000, PIN))) == "00"
    });
    let mut completion = atm.message(b"0220", *trace);
    completion.set(63, b"NT0160001000000000000");
    wait_until("the note is known", || code(&atm.ask(&completion)) == "00");
}

/// Guards against an advice that is taken for acknowledged because it was sent back as it was.
#[test]
fn what_is_sent_back_acknowledges_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (_host, gateway) = acquirer(listener.local_addr().expect("it is bound"));
    let mut issuer = Played::new(listener);
    // Withdrawals are not answered: the issuer is stood in for, and then told.
    let mut atm = Terminal::new(gateway.address, 1);
    let atm = std::thread::spawn(move || take_a_note(&mut atm, &mut 0));
    let mut told = HashSet::new();
    wait_until("an advice that was sent back is said again", || {
        let Some(message) = issuer.hear() else { return false };
        match &message.mti() {
            b"0800" => issuer.answer(&message),
            b"0220" | b"0221" => {
                issuer.say(&message.encode(&Layout::iso87()).expect("sound"));
                return !told.insert(text(&message, 11));
            }
            b"0200" | b"0420" | b"0421" => {}
            other => panic!("{}", other.escape_ascii()),
        }
        false
    });
    atm.join().expect("the note is taken");
}

/// Guards against advices that are not said because others are never acknowledged: as many as are said at once, and some more.
#[test]
fn advices_that_are_never_acknowledged_keep_no_others_from_being_said() {
    const NOTES: usize = 70;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (_host, gateway) = acquirer(listener.local_addr().expect("it is bound"));
    let (mut atm, mut trace) = (Terminal::new(gateway.address, 1), 0);
    (0..NOTES).for_each(|_| take_a_note(&mut atm, &mut trace));
    // Only now the issuer answers a sign-on.
    let mut issuer = Played::new(listener);
    let mut told = HashMap::new();
    wait_until("all are said", || {
        match issuer.hear() {
            Some(message) if message.mti() == *b"0800" => issuer.answer(&message),
            Some(message) => drop(told.insert(text(&message, 11), message)),
            None => {}
        }
        told.len() >= NOTES
    });
    // A late acknowledgement is one: then nothing is said but echoes, each after a silence in which all would be said again.
    for message in told.values() {
        let mut acknowledgement = Message::new(*b"0230");
        for field in [7, 11, 13, 15, 32, 41] {
            acknowledgement.set(field, message.get(field).expect("it says so"));
        }
        issuer.say(&authentic(acknowledgement.set(39, b"00"), LINK_KEY));
    }
    let mut echoes = 0;
    wait_until("nothing is due", || {
        match issuer.hear() {
            Some(message) if message.mti() == *b"0800" => {
                echoes = if text(&message, 70) == "301" { echoes + 1 } else { 0 };
                issuer.answer(&message);
            }
            _ => echoes = 0,
        }
        echoes == 3
    });
}

/// Hears and answers until so many echoes in a row were answered on one line, and another is heard.
fn until_echo(issuer: &mut Played, answered: u32) -> Message {
    let (mut echoes, mut last) = (0, None);
    wait_until("echoes on one line", || {
        match issuer.hear() {
            Some(echo) if text(&echo, 70) == "301" && echoes == answered => last = Some(echo),
            Some(message) => {
                echoes += u32::from(text(&message, 70) == "301");
                issuer.answer(&message);
            }
            None => echoes = 0,
        }
        last.is_some()
    });
    last.expect("it was waited for")
}

/// Guards against a line that is taken for one though nobody is there any more: who asks there waits in vain.
#[test]
fn a_line_on_which_nobody_answers_is_made_again() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (_host, _gateway) = acquirer(listener.local_addr().expect("it is bound"));
    let mut issuer = Played::new(listener);
    // The last one is not answered.
    until_echo(&mut issuer, 2);
    assert!(issuer.hear().is_none(), "the line is closed");
    assert_eq!(
        issuer.hear().map(|message| text(&message, 70)),
        Some("001".into()),
        "it signs on again, on another line"
    );
}

/// Guards against a line that is given up because the gateway's own process stood still: what came meanwhile counts.
#[test]
fn what_an_issuer_said_during_a_pause_counts() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (_host, gateway) = acquirer(listener.local_addr().expect("it is bound"));
    let mut issuer = Played::new(listener);
    let process = Pid::from_raw(gateway.id() as i32).expect("a process");
    // When this test is late, the line may be closed before the process stands still: then it is tried again.
    wait_until("the line stays", || {
        let echo = until_echo(&mut issuer, 1);
        kill_process(process, Signal::STOP).expect("it stops");
        issuer.answer(&echo);
        std::thread::sleep(Duration::from_millis(1_200));
        kill_process(process, Signal::CONT).expect("it goes on");
        issuer.hear().is_some_and(|message| text(&message, 70) == "301")
    });
}
