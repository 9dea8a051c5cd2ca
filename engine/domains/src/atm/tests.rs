//! The laws, on seeded workloads and against the slow twin. `RINGFENCE_PROVE=1` makes the same bodies long.

use super::Atm;
use super::messages::{AtmLimits, Command, Event, Reject, Reply, ResponseCode};
use super::model::Model;
use super::scenarios::{parse, say};
use super::workload::{CUTOVER, KINDS};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, kind};
use ringfence_kernel::laws::{self, Bytes, Harness, Often, Step};
use ringfence_kernel::limits::Limits;
use ringfence_kernel::messages::Message;
use ringfence_kernel::outbox::{image, message};
use ringfence_kernel::session::SessionChange;
use ringfence_kernel::workload::{CommandImage, Workload};
use ringfence_kernel::{Context, Domain, Out, OutputHeader, Progress, Timestamp};

/// So little room that commands run into every capacity.
const TIGHT: AtmLimits = AtmLimits {
    accounts: 15,
    cards: 15,
    terminals: 5,
    transactions: 60,
    transfers: 40,
    issuers: 2,
    routes: 6,
    stood_in: 5,
    movements: 3,
    fees: 3,
    rates: 1,
};
/// Room for what may be repeated and little else.
const SMALL: AtmLimits = AtmLimits {
    accounts: 20,
    cards: 60,
    terminals: 6,
    transactions: 1_000,
    transfers: 300,
    issuers: 2,
    routes: 6,
    stood_in: 5,
    movements: 4,
    fees: 8,
    rates: 4,
};

/// How many steps a law runs: `steps`, or `long` to prove.
pub(super) fn prove(steps: u64, long: u64) -> u64 {
    if std::env::var("RINGFENCE_PROVE").is_ok_and(|value| value == "1") { long } else { steps }
}

fn workload(kind: &str, seed: u64) -> alloc::boxed::Box<dyn Workload> {
    std::println!("workload {kind}, seed {seed}");
    (KINDS.iter().find(|known| known.name == kind).expect("a known kind").new)(seed, 5)
}

/// Guards against a decision other than the rules say: repeats, reversals first, silence, partial dispenses, balancing.
#[test]
fn prove_mixed_atm_is_as_the_model() {
    let often = Often { rejects: 64, restores: 2_048 };
    for seed in 0..4 {
        let count = if seed == 0 { prove(40_000, 10_000_000) } else { prove(20_000, 200_000) };
        crate::tests::check::<Model>(&SMALL, 5, || workload("mixed", seed), count, 1_000, often);
        std::println!("proved: seed {seed}: {count} commands");
    }
}

/// Decides without the straight way of plain withdrawals.
struct General(Atm);

impl laws::Model for General {
    type Domain = Atm;

    fn new(limits: &AtmLimits) -> Self {
        Self(Atm::new(limits))
    }

    fn apply(&mut self, context: Context, command: Command<'_>, out: &mut Out<'_, Atm>) -> Result<(), Reject> {
        let mut progress = match command {
            Command::Authorize(command) => self.0.authorize_any(context, command, out)?,
            Command::Complete(command) => self.0.complete_any(context, command, out)?,
            command => self.0.apply(context, command, out)?,
        };
        while progress == Progress::More {
            progress = self.0.resume(context, out);
        }
        Ok(())
    }

    fn on_time(&mut self, context: Context, out: &mut Out<'_, Atm>) {
        while self.0.on_time(context, out) == Progress::More {}
    }

    fn on_session(&mut self, context: Context, change: SessionChange, out: &mut Out<'_, Atm>) {
        assert_eq!(self.0.on_session(context, change, out), Progress::Done);
    }
}

/// Guards against a plain withdrawal that is decided otherwise than by the rules for all.
#[test]
fn prove_plain_withdrawals_are_as_all_others() {
    let often = Often { rejects: 64, restores: 2_048 };
    for seed in 30..32 {
        let count = prove(20_000, 1_000_000);
        crate::tests::check::<General>(&SMALL, 5, || workload("mixed", seed), count, 1_000, often);
    }
    let often = Often { rejects: 1_024, restores: 16_384 };
    crate::tests::check::<General>(&AtmLimits::defaults(), 5, || workload("uniform", 1), 40_000, 1_000, often);
}

/// Guards against a capacity that is overstepped, or refused where there is room, and a repeat that is forgotten.
#[test]
fn prove_tight_atm_is_as_the_model() {
    for seed in 10..14 {
        let often = Often { rejects: 8, restores: 64 };
        crate::tests::check::<Model>(&TIGHT, 5, || workload("mixed", seed), prove(8_000, 200_000), 1_000, often);
    }
}

/// Guards against money or notes that come from nowhere or are lost, at any sequence; and against a code, an event or a
/// reject that no command reaches.
#[test]
fn prove_atm_conserves_money_and_notes_at_every_sequence() {
    let (mut codes, mut events, mut rejects, mut outcomes) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut checked, mut converted) = (0_u64, 0_u64);
    for (seed, limits) in (20..24).zip([SMALL, SMALL, TIGHT, TIGHT]) {
        let (mut harness, mut workload) = (Harness::<Atm>::new(&limits), workload("mixed", seed));
        let mut command = CommandImage::default();
        for step in 0..prove(10_000, 250_000) {
            workload.next(&mut command);
            let outcome = harness.step(&Step::Command(command.clone()), Timestamp(1_000_000_000 + step * 1_000), false);
            assert_eq!(harness.domain.check(), Ok(()), "seed {seed}, step {step}, after {command:?}");
            checked += 1;
            rejects.extend(outcome.reject.map(|code| code.0));
            for slot in &outcome.outputs {
                let (header, body) = (message(image(slot)), &image(slot)[OUTPUT_HEADER_BYTES..]);
                if OutputHeader::read(image(slot)).expect("it has one").kind == kind::REPLY {
                    match Reply::decode(header, body).expect("a reply") {
                        Reply::Authorized(said) => {
                            converted += u64::from(said.billed_in.0 > 0);
                            codes.insert(said.code.get() as u8)
                        }
                        Reply::Offered(said) => codes.insert(said.code.get() as u8),
                        Reply::Ended(said) => codes.insert(said.code.get() as u8),
                        Reply::Transferred(said) => outcomes.insert(said.outcome.get() as u8),
                        _ => false,
                    };
                } else {
                    events.insert(header.template);
                }
            }
        }
    }
    std::println!(
        "proved: {checked} commands, {converted} answers of what is converted, codes {codes:?}, rejects {rejects:?}"
    );
    let expected =
        [0, 5, 12, 13, 14, 30, 36, 38, 41, 43, 51, 53, 54, 55, 57, 58, 61, 62, 65, 68, 75, 76, 91, 92, 94, 96];
    assert_eq!(Vec::from_iter(codes), expected, "the codes");
    assert_eq!(Vec::from_iter(outcomes), Vec::from_iter(1..=8), "what becomes of transfers");
    assert_eq!(
        Vec::from_iter(events),
        [101, 102, 103, 104, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116],
        "the events"
    );
    assert!(rejects.len() >= 10, "{rejects:?}");
    assert!(converted > 10, "{converted} answers of what is converted");
}

/// Guards against the workloads of benches doing something else than withdrawing, and against totals of a thousand
/// terminals that leave one out, or are other than what was posted.
#[test]
fn uniform_and_hot_withdraw() {
    for kind in ["uniform", "hot"] {
        let (mut harness, mut workload) = (Harness::<Atm>::new(&AtmLimits::defaults()), workload(kind, 1));
        let (mut command, mut withdrawals, mut posted) = (CommandImage::default(), 0, 0);
        let (mut of_terminals, mut of_currencies, mut dates) = ((0, 0), (0, 0), 0);
        for step in 0..1_000_000 {
            workload.next(&mut command);
            let outcome = harness.step(&Step::Command(command.clone()), Timestamp(step), false);
            assert_eq!(outcome.reject, None, "{kind}, step {step}");
            for slot in &outcome.outputs {
                let (header, body) = (message(image(slot)), &image(slot)[OUTPUT_HEADER_BYTES..]);
                if let Ok(event) = Event::decode(header, body) {
                    match event {
                        Event::TerminalTotals(said) => {
                            of_terminals = (of_terminals.0 + 1, of_terminals.1 + said.dispensed.0)
                        }
                        Event::CurrencyTotals(said) => {
                            of_currencies = (of_currencies.0 + said.terminals, of_currencies.1 + said.dispensed.0);
                            dates += 1;
                            assert_eq!(of_currencies, of_terminals, "the sums of {dates} dates");
                            assert_eq!(of_currencies.1, posted, "what was posted until the end of {dates} dates");
                        }
                        Event::PinReferenceSet(_) => {}
                        other => panic!("{kind}, step {step}: {other:?}"),
                    }
                    continue;
                }
                match Reply::decode(header, body).expect("a reply") {
                    Reply::Authorized(said) => assert_eq!(said.code.get(), ResponseCode::Approved, "{kind}"),
                    Reply::Ended(_) if command.header().message.template != 14 => panic!("nothing is reversed"),
                    // A withdrawal that comes before a cutover is completed again after it.
                    Reply::Ended(said) if step % CUTOVER != 2 => {
                        withdrawals += 1;
                        posted += said.posted.0;
                    }
                    _ => {}
                }
            }
        }
        assert!(withdrawals > 400_000 && dates == 4, "{kind}: {withdrawals} withdrawals, {dates} dates");
        assert_eq!(of_terminals.0, dates * 1_000, "{kind}: every terminal says its totals");
        assert_eq!(harness.domain.check(), Ok(()));
    }
}

/// Guards against saved state that is damaged and yet loaded into a ledger that does not sum to zero.
#[test]
fn damaged_state_is_refused_or_sound() {
    let (mut harness, mut workload) = (Harness::<Atm>::new(&TIGHT), workload("mixed", 30));
    let mut command = CommandImage::default();
    for step in 0..400 {
        workload.next(&mut command);
        harness.step(&Step::Command(command.clone()), Timestamp(1_000_000_000 + step * 1_000), false);
    }
    let mut saved = Bytes::default();
    harness.domain.save(&mut saved);
    let saved = saved.bytes().to_vec();
    let mut refused = 0;
    for at in 0..saved.len() {
        let mut damaged = saved.clone();
        damaged[at] ^= 1 << (at % 8);
        match Atm::load(&TIGHT, &mut Bytes::from(damaged)) {
            Ok(atm) => assert_eq!(atm.check(), Ok(()), "byte {at}"),
            Err(_) => refused += 1,
        }
        assert!(Atm::load(&TIGHT, &mut Bytes::from(saved[..at].to_vec())).is_err(), "cut at byte {at}");
    }
    assert!(refused > saved.len() / 10, "damage is seen: {refused} of {}", saved.len());
}

/// What comes of each line of a transcript, at the times that `at` lines say.
fn run(limits: &AtmLimits, lines: &[String]) -> (Harness<Atm>, Vec<String>) {
    let (mut harness, mut now, mut said) = (Harness::<Atm>::new(limits), 1, Vec::new());
    for line in lines {
        if let Some(at) = line.strip_prefix("at ") {
            now = at.parse().expect("a time");
            continue;
        }
        let outcome = harness.step(&Step::Command(parse(line).expect(line)), Timestamp(now), false);
        assert_eq!(harness.domain.check(), Ok(()), "after {line}");
        let refused = outcome.reject.map(|code| format!("refused: {}", code.0));
        said.push(refused.unwrap_or_else(|| say(outcome.outputs.last().expect("an answer"))));
    }
    (harness, said)
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(String::from).collect()
}

/// Guards against timers that say more than one flush holds: one event first, and then two each.
#[test]
fn timers_that_say_two_events_fit_a_flush() {
    let limits = AtmLimits { transactions: 100, ..SMALL };
    let mut steps = lines(
        "account 1 free\naccount 2 covered\naccount 3 free\nmove 1 1 2 10\nterminal 1 cash=9 within=100\n\
         load 1 from 1: 1*50\nservice 1 In\ncard 1 cheque=2\nissuer 1 settles=3 lasts=500\nroute 4 to 1\nwithdraw 1 1",
    );
    steps.extend((2..42).map(|trace| format!("ask {trace} 1 of=1")));
    steps.extend(lines("at 200\nwithdraw 50 1\nat 900\nwithdraw 51 1"));
    let steps: Vec<Step> = steps
        .iter()
        .filter(|line| !line.starts_with("at "))
        .map(|line| Step::Command(parse(line).expect(line)))
        .collect();
    let mut harness = Harness::<Atm>::new(&limits);
    let last = steps.len() - 2;
    for (at, step) in steps.iter().enumerate() {
        let now = match at.checked_sub(last) {
            None => 1,
            Some(late) => [200, 900][late],
        };
        let outcome = harness.step(step, Timestamp(now), false);
        assert_eq!(outcome.reject, None);
        let events = outcome.outputs.len();
        assert_eq!(
            events,
            match now {
                200 => 1 + 40 * 2 + 1,
                900 => 40 * 2 + 1 + 1,
                _ => events,
            },
            "at {now}"
        );
    }
    assert_eq!(harness.domain.check(), Ok(()));
}

/// Guards against a hold without an end, or a deposit that nobody counts, that is the oldest and so keeps all others out.
#[test]
fn what_is_held_is_passed_over() {
    let limits = AtmLimits { transactions: 4, transfers: 32, ..SMALL };
    let mut steps = lines(
        "account 1 free\naccount 2 covered\naccount 3 free\nhold 1 1 2 5\nterminal 1 cash=9 within=1000\n\
         terms 1 deposits=1\nload 1 from 1: 1*50\nservice 1 In\ncard 1 cheque=2",
    );
    steps.extend((2..33).map(|id| format!("move {id} 1 2 1")));
    steps
        .extend(lines("move 33 1 2 1\ndeposit 1 10\ninquire 2\ninquire 3\ninquire 4\ninquire 5\ncutover 1\ncutover 2"));
    let first = steps.len();
    steps.extend(lines("move 33 1 2 1\ninquire 5 date=2\npost 34 1 5\ncounted 1 10\ninquire 5 date=2\nmove 33 1 2 1"));
    let (mut harness, said) = run(&limits, &steps);
    assert!(said[first - 8].contains("2006") && said[first - 3].contains("2016"), "{:?}", &said[first - 8..first]);
    let expected = ["-> 1 done", "00 Approved", "-> 1 done", "posted 10", "00 Approved", "-> 1 done"];
    for (said, expected) in said[first..].iter().zip(expected) {
        assert!(said.contains(expected), "{expected} in {:?}", &said[first..]);
    }
    let mut saved = Bytes::default();
    harness.domain.save(&mut saved);
    harness.domain = Atm::load(&limits, &mut saved).expect("it is sound");
    // A ring of holds alone still lets one be ended, and that one go.
    let mut steps = lines("account 1 free\naccount 2 covered\naccount 3 free");
    steps.extend((1..33).map(|id| format!("hold {id} 1 2 1")));
    steps.extend(lines("cutover 1\ncutover 2\nmove 50 1 2 1\nvoid 51 7\nmove 52 1 2 1"));
    let (_, said) = run(&limits, &steps);
    let end = &said[said.len() - 3..];
    assert!(end[0].contains("2006") && end[1].contains("-> 1 done") && end[2].contains("2006"), "{end:?}");
    let steps = steps.iter().map(|line| Step::Command(parse(line).expect(line)));
    ringfence_kernel::laws::check_steps::<Model>(&limits, steps, 1, Often { rejects: 1, restores: 1 });
}

/// Guards against an amount that no notes pay, and that costs a walk through all ways to find out: it costs about what an
/// inquiry does.
#[test]
fn no_amount_costs_a_walk() {
    let limits = AtmLimits { transactions: 50_000, ..SMALL };
    let mut harness = Harness::<Atm>::new(&limits);
    let ask = |line: &str, harness: &mut Harness<Atm>| {
        let step = Step::Command(parse(line).expect(line));
        let begun = std::time::Instant::now();
        let outcome = harness.step(&step, Timestamp(1), false);
        (say(outcome.outputs.last().expect("an answer")), begun.elapsed())
    };
    for line in lines(
        "account 1 free\nterminal 1 cash=9 within=1000\nload 1 from 1: 20*1000 20*1000 20*1000 20*1000\nservice 1 In\n\
         card 1 cheque=1",
    ) {
        ask(&line, &mut harness);
    }
    let mut took = [Vec::new(), Vec::new()];
    for trace in 0..20_000 {
        took[0].push(ask(&format!("inquire {}", trace * 2), &mut harness).1);
        let (said, elapsed) = ask(&format!("withdraw {} 790", trace * 2 + 1), &mut harness);
        assert!(said.contains("13 InvalidAmount"), "{said}");
        took[1].push(elapsed);
    }
    // Of each the one in the middle: no pause of the machine is in it.
    let [inquiry, withdrawal] = took.map(|mut took| *took.select_nth_unstable(10_000).1);
    assert!(withdrawal < inquiry * 15, "{withdrawal:?}, {inquiry:?}");
    assert!(ask("withdraw 50000 800", &mut harness).0.contains("800 in notes [40, 0, 0, 0]"));
}

/// Guards against a sum of the ledger that leaves its range instead of a 96, and against half of what was asked that is
/// done all the same.
#[test]
fn a_sum_that_is_full_takes_no_more() {
    const LIMITS: AtmLimits = AtmLimits {
        accounts: 6,
        cards: 1,
        terminals: 2,
        transactions: 8,
        transfers: 32,
        issuers: 2,
        routes: 6,
        stood_in: 5,
        movements: 0,
        fees: 1,
        rates: 1,
    };
    let mut steps = lines(
        "account 1 free\naccount 2 covered\nmove 1 1 2 1000\ncard 1 cheque=2 savings=1\nterminal 1 cash=9 within=100\n\
         terminal 2 cash=8 within=100 fees=1 surcharge=5\nload 2 from 1: 100*9\nservice 2 In",
    );
    // Each round adds the same to both sides of account 1: first as much as a terminal can hold, then less and less.
    let all = "load 1 from 1: 4294967295*65535 4294967295*65535 4294967295*65535 4294967295*65535";
    for _ in 0..8_192 {
        steps.extend([all.into(), "unload 1 to 1".into()]);
    }
    for (denomination, bit) in
        [u32::MAX, 65_536, 1].into_iter().flat_map(|one| (0..16).rev().map(move |bit| (one, bit)))
    {
        steps.extend([format!("load 1 from 1: {denomination}*{}", 1 << bit), "unload 1 to 1".into()]);
    }
    steps.extend(lines(
        "load 1 from 1: 1*1\nwithdraw 1 100 at=2\ntransfer 2 100 to=Savings at=2\nmove 2 2 1 100\n\
         terminal 2 cash=8 within=100\nwithdraw 3 100 at=2",
    ));
    let steps: Vec<Step> = steps.iter().map(|line| Step::Command(parse(line).expect(line))).collect();
    let mut harness = Harness::<Atm>::new(&LIMITS);
    let mut said = Vec::new();
    for step in &steps {
        let outcome = harness.step(step, Timestamp(1), false);
        said.push(outcome.reject.map_or_else(|| say(&outcome.outputs[0]), |code| format!("refused: {}", code.0)));
    }
    assert_eq!(harness.domain.check(), Ok(()));
    let end = &said[said.len() - 6..];
    let ends = ["refused: 2017", ": 96 Mal", ": 96 Mal", "NotCovered at 0", "set, date 0", ": 00 Approved, 100"];
    for (said, expected) in end.iter().zip(ends) {
        assert!(said.contains(expected), "{expected} in {end:?}");
    }
    ringfence_kernel::laws::check_steps::<Model>(
        &LIMITS,
        steps.into_iter(),
        1,
        Often { rejects: 1_024, restores: 4_096 },
    );
}
