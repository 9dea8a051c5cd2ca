//! The gateway of ISO 8583 before a running engine: what terminals ask and are answered, and what hostile ones get.

mod support;

use base16ct::mixed::decode_vec as unhex;
use ringfence_client::Client;
use ringfence_domains::atm::messages::{
    AccountNumber, Command, Constraint, Currency, Cutover, SetAcquirer, TerminalId,
};
use ringfence_iso8583::security::{Pan, Purpose, cvv};
use ringfence_iso8583::{Framing, Layout, Message};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::random::Random;
use std::path::Path;
use support::iso8583::{
    FUNDS, Gateway, OTHER_KEY, PAN, PIN, PIN_KEY, Terminal, accept, code, day_after, issue_in_dollars, open_account,
    open_bank, text, today, wrapped,
};
use support::{Place, wait_until};

/// An engine with a bank, and a gateway before it.
fn world(settings: &str) -> (Place, ringfence::engine_process::EngineProcess, Gateway) {
    let place = Place::new(2, "");
    let engine = place.engine();
    let mut operator = Client::connect(place.config(1, engine.address())).expect("the engine listens");
    open_bank(&mut operator, 2);
    operator.close().expect("goodbye");
    let gateway = Gateway::start(&place, engine.address(), 2, settings);
    (place, engine, gateway)
}

/// The balance that an answer says, of field 54.
fn balance(answer: &Message) -> u64 {
    text(answer, 54)[8..20].parse().expect("twelve digits")
}

/// A network message.
fn network(terminal: &Terminal, trace: u32, what: &str) -> Message {
    let mut message = terminal.message(b"0800", trace);
    message.set(70, what.as_bytes());
    message
}

/// Guards against a transaction that is done twice, or not as it was asked for, or answered to another; and against a PIN
/// that is verified against a reference of yesterday.
#[test]
fn terminals_are_served() {
    let (_place, _engine, gateway) = world("");
    let mut atm = Terminal::new(gateway.address, 1);
    assert_eq!(code(&atm.ask(&atm.transaction(1, "310000", 0, PIN))), "58", "it has not signed on");
    let on = atm.ask(&network(&atm, 2, "001"));
    assert_eq!((on.mti(), code(&on)), (*b"0810", "00".into()));
    assert_eq!(code(&atm.ask(&network(&atm, 3, "301"))), "00");

    let inquiry = atm.ask(&atm.transaction(4, "310000", 0, PIN));
    assert_eq!((code(&inquiry), balance(&inquiry)), ("00".into(), FUNDS));
    assert_eq!(code(&atm.ask(&atm.transaction(5, "310000", 0, "4321"))), "55");

    // A withdrawal, said twice, completed, completed again.
    let withdrawal = atm.transaction(6, "010000", 18_000, PIN);
    atm.say(&withdrawal);
    let first = atm.hear_bytes().expect("an answer");
    atm.say(&withdrawal);
    assert_eq!(atm.hear_bytes().expect("an answer"), first, "a repeat gets the same bytes");
    let said = Message::parse(&first, &Layout::iso87()).expect("sound");
    assert_eq!((said.mti(), code(&said), text(&said, 63)), (*b"0210", "00".into(), "NT0160001000100010001".into()));
    let mut other = withdrawal.clone();
    other.set(4, b"000000019000");
    assert_eq!(code(&atm.ask(&other)), "94");
    let mut completion = atm.message(b"0220", 6);
    completion.set(63, b"NT0160001000100010000");
    let done = atm.ask(&completion);
    assert_eq!((done.mti(), code(&done), balance(&done)), (*b"0230", "00".into(), FUNDS - 8_000));
    assert_eq!(text(&done, 63), "PO012000000008000");

    // A reversal that comes first leaves a tombstone; its key stands in field 90.
    let mut reversal = atm.message(b"0420", 7);
    let original = format!("0200{:06}{}1200000000000000000000000000", 8, today().1);
    reversal.set(90, &original.as_bytes()[..42]);
    assert_eq!(code(&atm.ask(&reversal)), "00");
    assert_eq!(code(&atm.ask(&atm.transaction(8, "010000", 10_000, PIN))), "68");
    let mut again = reversal.clone();
    again.set(90, format!("0800{}", &original[4..42]).as_bytes());
    let refused = atm.ask(&again);
    assert_eq!((refused.mti(), code(&refused), text(&refused, 44)), (*b"0430", "30".into(), "FIELD 090".into()));

    // A transfer, and back.
    assert_eq!(code(&atm.ask(&atm.transaction(9, "402010", 2_000, PIN))), "00");
    let back = atm.ask(&atm.message(b"0400", 9));
    assert_eq!((back.mti(), code(&back), balance(&back)), (*b"0410", "00".into(), FUNDS - 8_000));

    // A purchase with cash back, fast cash that the card has none of, a deposit that the terminal takes none of.
    let mut purchase = atm.transaction(20, "092000", 3_000, PIN);
    purchase.set(54, b"2040978D000000001000");
    assert_eq!(code(&atm.ask(&purchase)), "00");
    purchase.set(54, b"2040978D000000000900");
    assert_eq!(code(&atm.ask(&purchase)), "94", "other cash back");
    assert_eq!(code(&atm.ask(&atm.message(b"0420", 20))), "00");
    let fast = atm.ask(&atm.transaction(21, "910000", 0, PIN));
    assert_eq!((code(&fast), text(&fast, 4)), ("00".into(), "000000005000".into()));
    assert_eq!(code(&atm.ask(&atm.message(b"0420", 21))), "00");
    assert_eq!(code(&atm.ask(&atm.transaction(22, "210000", 100, PIN))), "58");

    // A mini statement: what came first, the notes that came out, what was moved and moved back. A repeat gets the same bytes.
    let statement = atm.transaction(23, "382000", 0, PIN);
    atm.say(&statement);
    let first = atm.hear_bytes().expect("an answer");
    atm.say(&statement);
    assert_eq!(atm.hear_bytes().expect("an answer"), first, "with all of its lines");
    let said = Message::parse(&first, &Layout::iso87()).expect("sound");
    let lines = text(&said, 48);
    let moved: Vec<&str> = (0..lines.len() / 38).map(|line| &lines[line * 38 + 4..line * 38 + 25]).collect();
    assert_eq!((code(&said), balance(&said), moved.len()), ("00".into(), FUNDS - 8_000, 6));
    assert_eq!(moved[1..3], ["04D000000008000000006", "02D000000002000000009"], "{moved:?}");
    assert_eq!(lines[lines.len() - 13..], format!("C{:012}", FUNDS - 8_000));

    // Another PIN: the old one is wrong at once.
    let mut change = atm.transaction(10, "900000", 0, PIN);
    let block = base16ct::upper::encode_string(&atm.block("9876"));
    change.set(63, format!("PN{:03}{block}", block.len()).as_bytes());
    assert_eq!(code(&atm.ask(&change)), "00");
    assert_eq!(code(&atm.ask(&atm.transaction(11, "310000", 0, PIN))), "55");
    assert_eq!(code(&atm.ask(&atm.transaction(12, "310000", 0, "9876"))), "00");

    // Other keys: what comes under the old ones is not authentic any more, once the new ones were used.
    let exchanged = atm.ask(&network(&atm, 13, "161"));
    assert_eq!(code(&exchanged), "00");
    let own = text(&exchanged, 63);
    let open = |hex: &str| open_key(&unhex(hex).expect("digits"));
    assert_eq!(code(&atm.ask(&atm.transaction(14, "310000", 0, "9876"))), "00", "an answer may be lost");
    let old = (atm.pin_key.clone(), atm.mac_key.clone());
    (atm.pin_key, atm.mac_key) = (open(&own[5..37]), open(&own[48..80]));
    assert_eq!(code(&atm.ask(&atm.transaction(15, "310000", 0, "9876"))), "00");
    let new = (atm.pin_key.clone(), atm.mac_key.clone());
    (atm.pin_key, atm.mac_key) = old;
    atm.say(&atm.transaction(16, "310000", 0, "9876"));
    let refused = Message::parse(&atm.hear_bytes().expect("an answer"), &Layout::iso87()).expect("sound");
    assert_eq!(code(&refused), "63");
    (atm.pin_key, atm.mac_key) = new;

    // Another terminal still has the first keys; and signs off.
    let mut second = Terminal::new(gateway.address, 2);
    assert_eq!(code(&second.ask(&network(&second, 1, "001"))), "00");
    assert_eq!(code(&second.ask(&second.transaction(2, "010000", 10_000, "9876"))), "00");
    assert_eq!(code(&second.ask(&network(&second, 3, "002"))), "00");
    assert_eq!(code(&second.ask(&second.transaction(4, "010000", 10_000, "9876"))), "58");
}

/// Guards against a conversion that debits something else than was stated before the customer chose, and against what is said of
/// an account in dollars as if it were euro.
#[test]
fn what_is_offered_is_debited() {
    const OTHER: &str = "4222222222222220";
    let (place, engine, gateway) = world("");
    let mut operator = Client::connect(place.config(1, engine.address())).expect("the engine listens");
    issue_in_dollars(&mut operator, OTHER, 4_102_444_800_000_000_000);
    operator.close().expect("goodbye");
    let mut atm = Terminal::new(gateway.address, 1);
    assert_eq!(code(&atm.ask(&network(&atm, 1, "001"))), "00");
    let ask = |atm: &Terminal, trace: u32, own: &str| {
        let mut message = atm.transaction_of(OTHER, trace, "010000", 18_000, PIN);
        message.set(63, own.as_bytes());
        message
    };
    // 1.08 and 3.55 in a hundred of it is 1.11834; 180.00 euro are 201.3012 dollars.
    let mut offer = ask(&atm, 2, "DC001O");
    offer.remove(52);
    let said = atm.ask(&offer);
    assert_eq!(
        (code(&said), text(&said, 4), text(&said, 6)),
        ("00".into(), "000000018000".into(), "000000020130".into())
    );
    assert_eq!((text(&said, 10), text(&said, 51)), ("61118340".into(), "840".into()));
    assert_eq!(text(&said, 63), "DC034O000000000761080000003554102444800");
    let accepts = |atm: &Terminal, trace: u32, billed: &[u8; 12], version: u32| {
        let mut message = ask(atm, trace, &format!("DC011A{version:010}"));
        message.set(6, billed).set(51, b"840");
        message
    };
    assert_eq!(code(&atm.ask(&accepts(&atm, 3, b"000000020131", 7))), "13", "not what was stated");
    assert_eq!(code(&atm.ask(&accepts(&atm, 4, b"000000020130", 6))), "12", "another version");
    assert_eq!(code(&atm.ask(&ask(&atm, 5, "DC001D"))), "12", "this host has no rate of its own");
    let withdrawal = accepts(&atm, 6, b"000000020130", 7);
    let said = atm.ask(&withdrawal);
    assert_eq!((code(&said), text(&said, 6), text(&said, 51)), ("00".into(), "000000020130".into(), "840".into()));
    let left = FUNDS - 20_130;
    assert_eq!(text(&said, 54), format!("0001840C{FUNDS:012}0002840C{left:012}"));
    let mut completion = atm.message(b"0220", 6);
    completion.set(63, b"NT0160001000100010000");
    let done = atm.ask(&completion);
    // 80.00 came out, which are 89.4672.
    assert_eq!((code(&done), text(&done, 6), text(&done, 51)), ("00".into(), "000000008947".into(), "840".into()));
    assert_eq!((text(&done, 63), balance(&done)), ("PO012000000008000".into(), FUNDS - 8_947));
    // What is no element of an offer is named.
    for wrong in ["DC000", "DC001X", "DC010A000000007", "DC002DX"] {
        let refused = atm.ask(&ask(&atm, 7, wrong));
        assert_eq!((code(&refused), text(&refused, 44)), ("30".into(), "FIELD 063".into()), "{wrong}");
    }
}

/// Guards against two hosts that believe to agree on a date and do not, and against a difference that is not seen.
#[test]
fn a_date_is_settled_between_hosts() {
    const ACQUIRER: &[u8] = b"00000000042";
    let wrap = |purpose, key| wrapped(purpose, key);
    let settings = format!(
        "[gateway.acquirers.\"00000000042\"]\nterminal = 90\npin_block = {:?}\nmac = {:?}",
        wrap(Purpose::PinBlock, &PIN_KEY),
        wrap(Purpose::Mac, b"key of acquirers")
    );
    let (place, engine, gateway) = world(&settings);
    let mut operator = Client::connect(place.config(1, engine.address())).expect("the engine listens");
    let owed = AccountNumber(50);
    open_account(&mut operator, owed, Constraint::Free);
    let (confirm_within_ns, terminal, reserved) = (3_600_000_000_000, TerminalId(90), Reserved::default());
    let set = SetAcquirer { settlement: owed, confirm_within_ns, terminal, currency: Currency(978), reserved };
    accept(&mut operator, Command::SetAcquirer(&set));
    let mut host = Terminal::new(gateway.address, 1);
    host.mac_key = b"key of acquirers".to_vec();
    let from = |mut message: Message| message.set(32, ACQUIRER).clone();
    assert_eq!(code(&host.ask(&from(network(&host, 1, "001")))), "00");
    assert_eq!(code(&host.ask(&from(host.transaction(2, "010000", 3_000, PIN)))), "00");
    for (trace, amount) in [(2, 2_500), (3, 1_000)] {
        let mut advice = host.transaction(trace, "010000", amount, PIN);
        advice.remove(52);
        let advice = advice.encode(&Layout::iso87()).expect("sound");
        let mut advice = Message::parse(&[&b"0220"[..], &advice[4..]].concat(), &Layout::iso87()).expect("sound");
        assert_eq!(code(&host.ask(advice.set(32, ACQUIRER))), "00");
    }
    let date = day_after(1).0;
    accept(&mut operator, Command::Cutover(&Cutover { date, reserved: Reserved::default() }));
    operator.close().expect("goodbye");
    let reconcile = |host: &Terminal, mti: &[u8; 4], debits: u64, amount: u64| {
        let mut message = host.message(mti, 9);
        for field in [74, 75, 77] {
            message.set(field, b"0000000000");
        }
        for field in [86, 87, 89] {
            message.set(field, b"0000000000000000");
        }
        message.set(76, format!("{debits:010}").as_bytes()).set(88, format!("{amount:016}").as_bytes());
        message.set(97, format!("D{amount:016}").as_bytes()).set(15, today().1.as_bytes());
        from(message)
    };
    for (mti, answered) in [(b"0500", *b"0510"), (b"0521", *b"0530")] {
        let said = host.ask(&reconcile(&host, mti, 2, 3_500));
        assert_eq!((said.mti(), code(&said), text(&said, 66)), (answered, "00".into(), "1".into()));
    }
    let said = host.ask(&reconcile(&host, b"0500", 3, 3_600));
    assert_eq!((code(&said), text(&said, 66)), ("00".into(), "2".into()));
    let own = (text(&said, 76), text(&said, 88), text(&said, 97));
    assert_eq!(own, ("0000000002".into(), format!("{:016}", 3_500), format!("D{:016}", 3_500)));
    let mut other = reconcile(&host, b"0500", 2, 3_500);
    assert_eq!(code(&host.ask(other.set(15, day_after(1).1.as_bytes()))), "12", "that date goes on");
    let refused = host.ask(reconcile(&host, b"0500", 2, 3_500).remove(97));
    assert_eq!((code(&refused), text(&refused, 44)), ("30".into(), "FIELD 097".into()));
}

/// Guards against a peer that names another acquirer's number as its own and gets its keys or switches it off; against keys
/// for terminals without end; and against business dates that anybody begins, or that are far ahead.
#[test]
fn nobody_speaks_for_another() {
    let wrap = |purpose| wrapped(purpose, b"key of acquirers");
    let settings = format!(
        "cutover = true\nterminals_max = 50\n[gateway.acquirers.\"00000000042\"]\nterminal = 2\npin_block = {:?}\nmac = {:?}",
        wrap(Purpose::PinBlock),
        wrap(Purpose::Mac)
    );
    let (_place, _engine, gateway) = world(&settings);
    for (number, what) in [(2, "161"), (2, "002"), (2, "001"), (51, "161")] {
        let mut other = Terminal::new(gateway.address, number);
        let answer = other.ask(&network(&other, 1, what));
        assert_eq!((code(&answer), text(&answer, 44)), ("30".into(), "FIELD 041".into()), "{number}, {what}");
    }
    let (mut atm, layout) = (Terminal::new(gateway.address, 1), Layout::iso87());
    let begin = |atm: &Terminal, date: &str| network(atm, 3, "201").set(15, date.as_bytes()).clone();
    let (tomorrow, far) = (day_after(1).1, day_after(30).1);
    for (message, expected) in
        [(begin(&atm, &tomorrow), "63"), (network(&atm, 4, "001"), "63"), (network(&atm, 5, "301"), "00")]
    {
        atm.say_bytes(&message.encode(&layout).expect("sound"));
        assert_eq!(code(&atm.hear()), expected, "without a code: {message:?}");
    }
    let refused = atm.ask(&begin(&atm, &far));
    assert_eq!((code(&refused), text(&refused, 44)), ("30".into(), "FIELD 015".into()));
    assert_eq!(code(&atm.ask(&begin(&atm, &tomorrow))), "00");
}

/// The key that a terminal is sent under its exchange key.
fn open_key(sent: &[u8]) -> Vec<u8> {
    use des::cipher::{BlockCipherDecrypt as _, KeyInit as _};
    let cipher = des::TdesEde2::new_from_slice(b"any other key...").expect("16 bytes");
    let mut key = sent.to_vec();
    key.chunks_exact_mut(8).for_each(|half| cipher.decrypt_block(half.try_into().expect("eight bytes")));
    key
}

/// Guards against a message that is refused without a name, or not at all, or that stops what comes after it.
#[test]
fn what_is_wrong_is_named() {
    let (_place, _engine, gateway) = world("cvv_at = 5\ntrack = \"required\"");
    let mut atm = Terminal::new(gateway.address, 1);
    assert_eq!(code(&atm.ask(&network(&atm, 1, "001"))), "00");
    let number = Pan::new(PAN.as_bytes()).expect("a number");
    let value = cvv(&OTHER_KEY, &number, b"2912", b"101").expect("sound");
    let track = [PAN.as_bytes(), b"=291210100000", &value].concat();
    let mut sound = atm.transaction(2, "310000", 0, PIN);
    sound.set(35, &track);
    let later = day_after(60).1;
    let mut refused = |change: &dyn Fn(&mut Message) -> &mut Message, code_of: &str, field: &str| {
        let mut message = sound.clone();
        change(&mut message);
        let answer = atm.ask(&message);
        assert_eq!((code(&answer).as_str(), text(&answer, 44).as_str()), (code_of, field), "{message:?}");
        assert_eq!(text(&answer, 11), "000002", "it says to what it answers");
    };
    refused(&|message| message.remove(52), "30", "FIELD 052");
    refused(&|message| message.remove(2).remove(35), "30", "FIELD 002");
    refused(&|message| message.remove(35), "30", "FIELD 035");
    refused(&|message| message.remove(13), "30", "FIELD 013");
    refused(&|message| message.set(41, b"XYZ00001"), "30", "FIELD 041");
    refused(&|message| message.set(41, b"ATM99999"), "58", "");
    refused(&|message| message.set(49, b"840"), "12", "");
    refused(&|message| message.set(3, b"990000"), "12", "");
    refused(&|message| message.set(3, b"315000"), "30", "FIELD 003");
    refused(&|message| message.set(15, later.as_bytes()), "12", "");
    refused(&|message| message.set(63, b"PN999"), "30", "FIELD 063");
    refused(&|message| message.set(35, b"4111111111111111=2912101").remove(2), "30", "FIELD 035");
    refused(&|message| message.set(35, b"4111111111111111=291210100000000"), "05", "");
    refused(&|message| message.set(52, &[0; 8]), "63", "");

    // Without a code, with a wrong one, a day that nobody may begin, a class that nobody serves.
    let layout = Layout::iso87();
    atm.say_bytes(&sound.encode(&layout).expect("sound"));
    assert_eq!(code(&atm.hear()), "63");
    atm.say_bytes(&sound.clone().set(64, &[1; 8]).encode(&layout).expect("sound"));
    assert_eq!(code(&atm.hear()), "63");
    let mut cutover = network(&atm, 3, "201");
    cutover.set(15, later.as_bytes());
    assert_eq!(code(&atm.ask(&cutover)), "58");
    let other = atm.ask(&atm.message(b"0500", 4));
    assert_eq!((other.mti(), code(&other)), (*b"0510", "12".into()));
    assert_eq!(code(&atm.ask(&network(&atm, 5, "999"))), "12");
    assert_eq!(code(&atm.ask(&sound)), "00", "after all that");
}

/// Guards against another's traces, sound and broken ones, that stop the gateway or get no answer where one is due.
#[test]
fn traces_of_others_are_answered_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/atm/iso8583");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("SKIPPED: there is no {}", folder.display());
        return;
    };
    let (_place, _engine, gateway) = world("mac = \"optional\"");
    let (mut answered, mut dropped, mut closed) = (0, 0, 0);
    let mut names: Vec<_> = files.map(|file| file.expect("an entry").path()).collect();
    names.sort();
    for name in names.iter().filter(|name| name.extension().is_some_and(|end| end == "dat")) {
        let mut atm = Terminal::new(gateway.address, 1);
        let bytes = std::fs::read(name).expect("a trace");
        if bytes.len() > Framing::MOST {
            // No frame is so long: the line is closed.
            atm.try_say_raw(&[&(bytes.len() as u16).to_be_bytes()[..], &bytes].concat());
            assert_eq!(atm.hear_bytes(), None, "{}", name.display());
            closed += 1;
            continue;
        }
        atm.say_bytes(&bytes);
        atm.say(&network(&atm, 1, "301"));
        let mut heard = atm.hear();
        if heard.get(70) != Some(&b"301"[..]) || text(&heard, 11) != "000001" {
            assert_eq!(heard.mti()[2] - 1, bytes[2], "{}: an answer of its class", name.display());
            assert!(!code(&heard).is_empty(), "{}: {heard:?}", name.display());
            answered += 1;
            heard = atm.hear();
        } else {
            dropped += 1;
        }
        assert_eq!(code(&heard), "00", "{}: the next one is answered", name.display());
    }
    println!("proved: {answered} traces answered, {dropped} dropped, {closed} too long");
    assert!(answered >= 12 && dropped >= 3, "{answered} answered, {dropped} dropped");
}

/// Guards against bytes of an enemy that stop the gateway, or keep it from serving others.
#[test]
fn hostile_bytes_hurt_nobody_else() {
    let (_place, _engine, gateway) = world("connections_max = 40");
    let mut atm = Terminal::new(gateway.address, 1);
    assert_eq!(code(&atm.ask(&network(&atm, 1, "001"))), "00");
    let sound = atm.transaction(2, "310000", 0, PIN).encode(&Layout::iso87()).expect("sound");
    let mut random = Random::new(support::seed());
    let mut half_said = Vec::new();
    for round in 0..support::size(200, 5_000) {
        let mut enemy = Terminal::new(gateway.address, 1);
        for _ in 0..20 {
            let mut bytes = sound.clone();
            match random.below(3) {
                0 => bytes = (0..1 + random.below(300)).map(|_| random.next() as u8).collect(),
                1 => bytes.truncate(1 + random.below(bytes.len() as u64 - 1) as usize),
                _ => {
                    let at = random.below(bytes.len() as u64) as usize;
                    bytes[at] ^= 1 << random.below(8);
                }
            }
            enemy.try_say_bytes(&bytes);
        }
        if round % 10 == 0 && half_said.len() < 20 {
            // A frame that never ends.
            enemy.try_say_raw(&[0x10]);
            half_said.push(enemy);
        }
    }
    assert_eq!(code(&atm.ask(&network(&atm, 3, "301"))), "00");
    assert_eq!(code(&atm.ask(&atm.transaction(4, "310000", 0, PIN))), "00", "no guess was counted");
}

/// Guards against an answer that changes, or a transaction that is lost or done twice, when the engine is killed.
#[test]
fn repeats_are_the_same_across_a_crash() {
    let (_place, mut engine, gateway) = world("answer_timeout_ms = 60000");
    let mut atm = Terminal::new(gateway.address, 1);
    assert_eq!(code(&atm.ask(&network(&atm, 1, "001"))), "00");
    let withdrawal = atm.transaction(2, "010000", 10_000, PIN);
    atm.say(&withdrawal);
    let first = atm.hear_bytes().expect("an answer");
    engine.kill().expect("it is killed");
    // While there is no engine, either it is refused or it waits.
    atm.say(&atm.transaction(3, "010000", 10_000, PIN));
    engine.start_again().expect("it starts");
    let meanwhile = code(&atm.hear());
    assert!(matches!(meanwhile.as_str(), "91" | "00"), "{meanwhile}");
    let mut again = Vec::new();
    wait_until("the engine is back", || {
        atm.say(&withdrawal);
        again = atm.hear_bytes().expect("an answer");
        code(&Message::parse(&again, &Layout::iso87()).expect("sound")) != "91"
    });
    assert_eq!(again, first, "the same bytes as before the crash");
    assert_eq!(code(&atm.ask(&atm.transaction(4, "310000", 0, PIN))), "00");
    assert!(!String::from_utf8_lossy(&first).contains(PAN), "no answer says the card's number");
}
