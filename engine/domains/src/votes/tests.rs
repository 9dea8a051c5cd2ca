//! The laws, on seeded workloads and against the slow twin. `RINGFENCE_PROVE=1` makes the same bodies ten times as long.

use super::Votes;
use super::messages::{Command, VotesLimits};
use super::model::Model;
use super::workload::{CONDUCTED, Flow, KINDS, Mix, RANKED};
use alloc::boxed::Box;
use ringfence_kernel::laws::{Harness, Often, Step};
use ringfence_kernel::workload::{CommandImage, Workload};
use ringfence_kernel::{ClientId, Timestamp};

const SMALL: VotesLimits = VotesLimits {
    elections: 64,
    candidates: 2_000,
    voters: 4_000,
    ballots: 4_000,
    marks: 20_000,
    sums: 20_000,
    nullifiers: 2_000,
    sightings: 2_000,
    quarantine: 200,
};
/// So little room that commands run into every capacity.
const TIGHT: VotesLimits = VotesLimits {
    elections: 12,
    candidates: 60,
    voters: 250,
    ballots: 90,
    marks: 150,
    sums: 160,
    nullifiers: 9,
    sightings: 12,
    quarantine: 2,
};

/// How many steps a law runs: `steps`, or ten times as many to prove.
fn steps(steps: u64) -> u64 {
    if std::env::var("RINGFENCE_PROVE").is_ok_and(|value| value == "1") { steps * 10 } else { steps }
}

/// Runs a workload for several seeds, each against domain and model that are empty.
fn laws_hold(limits: &VotesLimits, seeds: core::ops::Range<u64>, count: u64, new: impl Fn(u64) -> Flow) {
    for seed in seeds.start..seeds.start + steps(seeds.end - seeds.start) {
        std::println!("seed {seed}");
        let often = Often { rejects: 16, restores: 256 };
        crate::tests::check::<Model>(limits, 5, || Box::new(new(seed)), count, 1_000, often);
    }
}

/// Guards against phases, papers and counts of any method that are other than the rules.
#[test]
fn prove_conducted_votes_agree_with_the_model() {
    laws_hold(&SMALL, 1..9, 5_000, |seed| Flow::new(seed, 5, CONDUCTED));
}

/// Guards against counts that go wrong in few of many elections: 64 of each seed, by every method, each of few ballots.
#[test]
fn prove_random_elections_agree_with_the_model() {
    let mix = Mix { voters: 12, steps: 16, ..CONDUCTED };
    for seed in 1_000..1_000 + if steps(1) > 1 { 15_625 } else { 10 } {
        std::println!("seed {seed}");
        let often = Often { rejects: 64, restores: 1_024 };
        crate::tests::check::<Model>(&SMALL, 5, || Box::new(Flow::new(seed, 5, mix)), 2_500, 1_000, often);
    }
}

/// Guards against windows that open or close too early, too late, or out of turn.
#[test]
fn prove_timed_votes_agree_with_the_model() {
    laws_hold(&SMALL, 11..19, 5_000, |seed| Flow::new(seed, 5, Mix { timed: true, ..CONDUCTED }));
}

/// Guards against transfers that go wrong only with many papers and seats.
#[test]
fn prove_ranked_votes_agree_with_the_model() {
    let mix = Mix { elections: 8, voters: 300, steps: 500, ..RANKED };
    laws_hold(&SMALL, 21..23, 4_000, |seed| Flow::new(seed, 5, mix));
}

/// Guards against a capacity that is overstepped, or refused where there is room.
#[test]
fn prove_tight_votes_agree_with_the_model() {
    laws_hold(&TIGHT, 31..37, 2_000, |seed| Flow::new(seed, 5, CONDUCTED));
}

/// Guards against bytes that panic the domain or change it without being understood.
#[test]
fn prove_hostile_votes_agree_with_the_model() {
    let new = KINDS.iter().find(|kind| kind.name == "hostile").expect("a known kind").new;
    for seed in 41..41 + steps(4) {
        std::println!("seed {seed}");
        let limits = VotesLimits { elections: 5, ballots: 60, marks: 100, ..TIGHT };
        crate::tests::check::<Model>(&limits, 5, || new(seed, 5), 5_000, 1_000, Often { rejects: 4, restores: 64 });
    }
}

/// Guards against a state that was damaged and is loaded all the same into one that is not sound.
#[test]
fn every_flipped_byte_is_refused_or_loads_into_a_state_that_saves_as_it_came() {
    let limits = VotesLimits {
        elections: 6,
        candidates: 400,
        voters: 240,
        ballots: 300,
        marks: 2_000,
        sums: 2_000,
        nullifiers: 100,
        sightings: 60,
        quarantine: 20,
    };
    let (mut harness, mut flow) = (Harness::<Votes>::new(&limits), Flow::new(3, 2, CONDUCTED));
    let mut image = CommandImage::default();
    for _ in 0..180 {
        flow.next(&mut image);
        harness.step(&Step::Command(image.clone()), Timestamp(1), false);
    }
    crate::tests::flip_every_byte(&harness.domain, &limits);
}

/// Guards against workloads that never reach what they are for.
#[test]
fn conducted_elections_come_to_their_end() {
    use super::messages::{Event, Phase, Reply};
    use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, kind};
    use ringfence_kernel::messages::Message as _;
    use ringfence_kernel::outbox::{image as bytes_of, message};
    let (mut harness, mut flow) = (Harness::<Votes>::new(&SMALL), Flow::new(7, 5, CONDUCTED));
    let (mut image, mut certified, mut ties, mut counted) = (CommandImage::default(), 0, 0, 0);
    let mut endings = [0; 3];
    for _ in 0..5_000 {
        flow.next(&mut image);
        assert!(Command::decode(image.header().message, image.body()).is_ok() && image.client != ClientId(0));
        for slot in harness.step(&Step::Command(image.clone()), Timestamp(1), false).outputs {
            let (header, body) = (message(bytes_of(&slot)), &bytes_of(&slot)[OUTPUT_HEADER_BYTES..]);
            let output = ringfence_kernel::OutputHeader::read(bytes_of(&slot)).expect("it has one");
            if output.kind == kind::REPLY {
                match Reply::decode(header, body).expect("a reply") {
                    Reply::PhaseChanged(changed) => certified += u32::from(changed.phase.get() == Phase::Certified),
                    Reply::ElectionCounted(count) => counted += u32::from(count.tie == 0),
                    _ => {}
                }
                continue;
            }
            match Event::decode(header, body) {
                Ok(Event::TieFound(_)) => ties += 1,
                Ok(Event::QuarantineEnded(ended)) => endings[ended.ending.get() as usize - 1] += 1,
                _ => {}
            }
        }
    }
    assert!(certified > 20 && ties > 10 && counted > 10, "{certified} certified, {ties} tied, {counted} counted");
    assert!(endings.iter().all(|ended| *ended > 2), "{endings:?} in quarantine were counted, rejected, superseded");
}

/// Guards against a late subscriber who is told less than was counted, or a snapshot that ends with the first flush.
#[test]
fn snapshots_say_where_an_election_stands() {
    use super::messages::{CandidateId, Event, Method, Phase, SetPhase};
    use super::{topics, workload};
    use ringfence_kernel::image::OUTPUT_HEADER_BYTES;
    use ringfence_kernel::messages::{Message as _, Reserved};
    use ringfence_kernel::outbox::{image as bytes_of, message};
    use ringfence_kernel::{Cursor, Domain as _, Out, Outbox, Progress, Topic};
    let mut harness = Harness::<Votes>::new(&SMALL);
    let mut step = |command: Command<'_>| {
        let mut image = CommandImage::default();
        image.set(ClientId(1), command);
        assert_eq!(harness.step(&Step::Command(image), Timestamp(1), false).reject, None);
        harness.domain.state_hash()
    };
    let terms = workload::terms(2, Method::Borda, 150, 3, 10);
    step(Command::DefineElection(&terms));
    for phase in [Phase::Open, Phase::Closed] {
        let (phase, reserved) = (phase.into(), Reserved::default());
        step(Command::SetPhase(&SetPhase { election: terms.election, phase, reserved }));
    }
    let said = |kind: u16, id: u32| {
        let (mut outbox, mut cursor, mut said) = (Outbox::new(), Cursor(0), std::vec::Vec::new());
        let topic = Topic::new(Votes::ID, kind, id);
        loop {
            let mut out = Out::of_snapshot(&mut outbox, topic);
            let progress = harness.domain.snapshot_topic(topic, &mut cursor, &mut out)?;
            said.extend(outbox.outputs().iter().map(|slot| {
                match Event::decode(message(bytes_of(slot)), &bytes_of(slot)[OUTPUT_HEADER_BYTES..]) {
                    Ok(Event::CandidateCounted(row)) => (row.candidate, row.seats),
                    Ok(Event::ElectionChanged(changed)) => (CandidateId(0), changed.phase.get() as u16),
                    other => panic!("a snapshot does not say {other:?}"),
                }
            }));
            outbox.flushed();
            if progress == Progress::Done {
                return Some(said);
            }
        }
    };
    assert_eq!(said(topics::PHASES, 2), Some(std::vec![(CandidateId(0), Phase::Closed as u16)]));
    // Nobody voted: the order decides.
    let all = (1..=150).map(|at| (CandidateId(at), u16::from(at <= 3))).collect();
    assert_eq!(said(topics::COUNTS, 2), Some(all));
    assert_eq!(said(topics::COUNTS, 1), None, "an election that is not defined has no topics");
    assert_eq!(said(9, 2), None);
}
