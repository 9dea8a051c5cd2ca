//! A real election by instant-runoff, whose winner others would have beaten: Burlington, Vermont, 2009.

use super::super::messages::{
    CandidateId, CastBallot, Command, DefineElection, ElectionId, Event, Fault, Mark, Method, Phase, RegisterVoters,
    SetPhase, Standing, VOTE, VoterEntry, VoterId, VotesLimits,
};
use super::super::{Votes, workload};
use alloc::vec::Vec;
use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, kind};
use ringfence_kernel::laws::{Harness, Step};
use ringfence_kernel::messages::{Message as _, Reserved};
use ringfence_kernel::outbox::{image as bytes_of, message};
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, OutputHeader, Timestamp};
use std::path::{Path, PathBuf};

/// The votes of the first round and the standings at the end, by candidate.
fn burlington(method: Method, file: &str) -> (Vec<u64>, Vec<Standing>) {
    let limits = VotesLimits {
        elections: 1,
        candidates: 6,
        voters: 8_980,
        ballots: 1_000,
        marks: 6_000,
        sums: 9,
        nullifiers: 0,
        sightings: 0,
        quarantine: 0,
    };
    let mut harness = Harness::<Votes>::new(&limits);
    let (election, reserved) = (ElectionId(1), Reserved::default());
    let mut step = |command: Command<'_>| {
        let mut image = CommandImage::default();
        image.set(ClientId(1), command);
        let outcome = harness.step(&Step::Command(image), Timestamp(1), false);
        assert_eq!(outcome.reject, None, "nothing is refused");
        outcome.outputs
    };
    // Two candidates at one rank say nothing from there on.
    let terms = DefineElection { overvotes: Fault::Exhaust.into(), ..workload::terms(1, method, 6, 1, 8_980) };
    step(Command::DefineElection(&terms));
    for first in (1..=8_980_u32).step_by(4_000) {
        let count = 4_000.min(8_981 - first) as usize;
        let voters = alloc::vec![VoterEntry::of_weight(1); count];
        step(Command::RegisterVoters(&RegisterVoters { election, first: VoterId(first) }, &voters));
    }
    let phase = |phase: Phase| SetPhase { election, phase: phase.into(), reserved: Reserved::default() };
    step(Command::SetPhase(&phase(Phase::Open)));
    let mut voter = 0;
    for line in file.lines().filter(|line| !line.starts_with('#')) {
        let (count, ranks) = line.split_once(": ").expect("a count and ranks");
        let (mut rank, mut shared, mut marks) = (0, false, Vec::new());
        for word in ranks.split(',') {
            rank += u32::from(!shared);
            let opens = word.starts_with('{');
            shared = (shared || opens) && !word.ends_with('}');
            let candidate = CandidateId(word.trim_matches(['{', '}']).parse().expect("a candidate"));
            marks.push(Mark { value: rank, candidate, reserved });
        }
        for _ in 0..count.parse::<u32>().expect("a count") {
            voter += 1;
            step(Command::CastBallot(&CastBallot { election, voter: VoterId(voter) }, &marks));
        }
    }
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for slot in step(Command::SetPhase(&phase(Phase::Closed))) {
        let bytes = bytes_of(&slot);
        if OutputHeader::read(bytes).expect("it has one").kind != kind::EVENT {
            continue;
        }
        if let Event::CandidateCounted(row) =
            Event::decode(message(bytes), &bytes[OUTPUT_HEADER_BYTES..]).expect("an event")
        {
            let at = usize::from(row.candidate.0) - 1;
            last.resize(6, Standing::Continuing);
            last[at] = row.standing.get();
            if row.stage == 1 {
                first.push(row.votes.0 / VOTE);
            }
        }
    }
    (first, last)
}

/// Guards against a runoff or a comparison that names another winner than the record of a real election does: Kiss won
/// the runoff though Montroll beats everyone.
#[test]
fn burlington_2009_is_as_recorded() {
    let data = std::env::var_os("RINGFENCE_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let Ok(file) = std::fs::read_to_string(data.join("votes/burlington/00005-00000002.toi")) else {
        std::println!("SKIPPED: no 00005-00000002.toi in ../shared/data/votes/burlington or $RINGFENCE_DATA");
        return;
    };
    let winner = |standings: &[Standing]| standings.iter().position(|standing| *standing == Standing::Elected);
    let (kiss, montroll, wright) = (0, 1, 4);
    let (first, standings) = burlington(Method::InstantRunoff, &file);
    assert_eq!((first[wright], first[kiss], first[montroll]), (2_951, 2_585, 2_063), "the first round");
    assert_eq!(winner(&standings), Some(kiss));
    for method in [Method::Copeland, Method::Minimax, Method::Schulze, Method::RankedPairs] {
        assert_eq!(winner(&burlington(method, &file).1), Some(montroll), "{method:?}");
    }
}
