//! An election from its terms to its count, for tests that compare with what others counted.

use ringfence_domains::votes::Votes;
use ringfence_domains::votes::messages::{
    CastBallot, Command, DefineElection, Mark, Phase, RegisterVoters, SetPhase, VoterEntry, VoterId, VotesLimits,
};
use ringfence_kernel::image::Slot;
use ringfence_kernel::laws::{Harness, Step};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, Timestamp};

/// The engine's side of one election.
pub(crate) struct Booth(Harness<Votes>);

impl Booth {
    /// Prepares an election, registers a voter of that weight for each paper, casts the papers and closes; also gives
    /// what was published on closing.
    pub(crate) fn conduct(terms: &DefineElection, papers: &[(u32, Vec<Mark>)]) -> (Self, Vec<Slot>) {
        let room = papers.len() as u64;
        let marks = papers.iter().map(|(_, marks)| marks.len() as u64).sum::<u64>().max(1);
        let candidates = terms.candidates.into();
        let limits = VotesLimits {
            elections: 1,
            candidates,
            voters: room,
            ballots: room,
            marks,
            sums: u64::from(terms.candidates) + 3,
            nullifiers: 1,
            sightings: 1,
            quarantine: 1,
        };
        let mut booth = Self(Harness::new(&limits));
        let election = terms.election;
        booth.step(Command::DefineElection(terms));
        for (first, papers) in (1..).step_by(4_000).zip(papers.chunks(4_000)) {
            let voters: Vec<_> = papers.iter().map(|(weight, _)| VoterEntry::of_weight(*weight)).collect();
            booth.step(Command::RegisterVoters(&RegisterVoters { election, first: VoterId(first) }, &voters));
        }
        let phase = |phase: Phase| SetPhase { election, phase: phase.into(), reserved: Reserved::default() };
        booth.step(Command::SetPhase(&phase(Phase::Open)));
        for (voter, (_, marks)) in (1..).zip(papers) {
            booth.step(Command::CastBallot(&CastBallot { election, voter: VoterId(voter) }, marks));
        }
        let outputs = booth.step(Command::SetPhase(&phase(Phase::Closed)));
        (booth, outputs)
    }

    /// What is said to a command, which is not refused.
    pub(crate) fn step(&mut self, command: Command<'_>) -> Vec<Slot> {
        let mut image = CommandImage::default();
        image.set(ClientId(1), command);
        let outcome = self.0.step(&Step::Command(image), Timestamp(1), false);
        assert_eq!(outcome.reject, None, "{command:?}");
        outcome.outputs
    }
}
