//! How long votes takes to count 10⁶ ballots: `cargo run --release -p ringfence-domains --example count`. Rankings of
//! every length, favourites first, of eight candidates, which many ballots rank alike, and of 24, which few do. The whole
//! command is timed, its events included. With `-- roll` it fills a roll of 10⁸ voters instead, half of whom vote, and
//! says what memory the process has.
#![allow(clippy::print_stdout, reason = "a command's edge")]

use ringfence_domains::votes::Votes;
use ringfence_domains::votes::messages::{
    CandidateId, CastBallot, Command, ElectionId, Mark, Method, Phase, RegisterVoters, SetPhase, VoterEntry, VoterId,
    VotesLimits,
};
use ringfence_domains::votes::workload::terms;
use ringfence_kernel::laws::{Harness, Step};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::random::Random;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, Timestamp};
use std::collections::HashSet;
use std::time::Instant;

const BALLOTS: u32 = 1_000_000;

fn main() {
    if std::env::args().any(|argument| argument == "roll") {
        return roll();
    }
    for candidates in [8, 24] {
        let methods = [(Method::InstantRunoff, 1), (Method::ScottishStv, 4), (Method::Schulze, 1), (Method::Borda, 1)];
        for (method, seats) in methods {
            let mut times = (0..3).map(|_| run(method, seats, candidates)).collect::<Vec<_>>();
            times.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            let ((best, different), (worst, _)) = (times[0], times[2]);
            println!(
                "{method:?} for {seats} of {candidates}, {different} different: {best:.1} ms, {worst:.1} at worst of 3"
            );
        }
    }
}

/// Fills a large roll.
fn roll() {
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").expect("a process has a status");
        let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("and resident memory");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("in KiB") * 1024
    };
    const VOTERS: u32 = 100_000_000;
    let before = resident();
    let limits = VotesLimits {
        elections: 1,
        candidates: 2,
        voters: VOTERS.into(),
        ballots: 4,
        marks: 4,
        sums: 5,
        nullifiers: 1,
        sightings: 1,
        quarantine: 1,
    };
    let mut votes = Harness::<Votes>::new(&limits);
    let election = ElectionId(1);
    let mut image = CommandImage::default();
    let mut step = |command: Command<'_>| {
        image.set(ClientId(1), command);
        assert!(votes.step(&Step::Command(image.clone()), Timestamp(1), false).reject.is_none(), "refused");
    };
    step(Command::DefineElection(&terms(1, Method::Plurality, 2, 1, VOTERS)));
    let entries = vec![VoterEntry::of_weight(1); 4_000];
    for first in (1..=VOTERS).step_by(4_000) {
        step(Command::RegisterVoters(&RegisterVoters { election, first: VoterId(first) }, &entries));
    }
    step(Command::SetPhase(&SetPhase { election, phase: Phase::Open.into(), reserved: Reserved::default() }));
    for voter in (1..=VOTERS).step_by(2) {
        let mark = Mark { value: 1, candidate: CandidateId(1 + (voter / 2 % 2) as u16), reserved: Reserved::default() };
        step(Command::CastBallot(&CastBallot { election, voter: VoterId(voter) }, &[mark]));
    }
    let bytes = resident() - before;
    println!("{VOTERS} voters: {} MiB resident, {:.1} bytes a voter", bytes >> 20, bytes as f64 / f64::from(VOTERS));
}

/// Casts the ballots and closes; gives the milliseconds that closing took, and how many ballots were different.
fn run(method: Method, seats: u16, candidates: u16) -> (f64, usize) {
    let limits = VotesLimits {
        elections: 1,
        candidates: candidates.into(),
        voters: BALLOTS.into(),
        ballots: 1 << 20,
        marks: 1 << 24,
        sums: 32,
        nullifiers: 1,
        sightings: 1,
        quarantine: 1,
    };
    let mut votes = Harness::<Votes>::new(&limits);
    let mut image = CommandImage::default();
    let election = ElectionId(1);
    let mut step = |command: Command<'_>| {
        image.set(ClientId(1), command);
        let step = Step::Command(image.clone());
        let begun = Instant::now();
        let outcome = votes.step(&step, Timestamp(1), false);
        assert!(outcome.reject.is_none(), "refused: {:?}", outcome.reject);
        begun.elapsed().as_secs_f64() * 1e3
    };
    let phase = |phase: Phase| SetPhase { election, phase: phase.into(), reserved: Reserved::default() };
    step(Command::DefineElection(&terms(1, method, candidates, seats, BALLOTS)));
    let entries = vec![VoterEntry::of_weight(1); 4_000];
    for first in (1..=BALLOTS).step_by(4_000) {
        step(Command::RegisterVoters(&RegisterVoters { election, first: VoterId(first) }, &entries));
    }
    step(Command::SetPhase(&phase(Phase::Open)));
    let mut random = Random::new(1);
    let (mut marks, mut different) = (Vec::new(), HashSet::new());
    for voter in 1..=BALLOTS {
        marks.clear();
        for value in 1..=1 + random.below(candidates.into()) as u32 {
            let favourite = random.below(candidates.into()).min(random.below(candidates.into())) as u16;
            let candidate = (favourite..favourite + candidates)
                .map(|at| CandidateId(at % candidates + 1))
                .find(|candidate| marks.iter().all(|mark: &Mark| mark.candidate != *candidate));
            let candidate = candidate.expect("no more marks than candidates");
            marks.push(Mark { value, candidate, reserved: Reserved::default() });
        }
        different.insert(marks.iter().map(|mark| mark.candidate.0).collect::<Vec<_>>());
        step(Command::CastBallot(&CastBallot { election, voter: VoterId(voter) }, &marks));
    }
    (step(Command::SetPhase(&phase(Phase::Closed))), different.len())
}
