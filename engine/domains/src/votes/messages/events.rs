//! What the votes domain says beside the answer.

use super::{
    ActionCode, CandidateId, CountStateCode, ElectionId, PhaseCode, PrecautionCode, QuarantineEndingCode, Receipt,
    StandingCode, Tally, TieQuestionCode, VoterId,
};
use ringfence_kernel::messages;
use ringfence_kernel::messages::Reserved;

messages! {
    /// What the votes domain says beside the answer.
    pub enum Event in schema 4 version 1 {
        /// Where an election stands. On its stream of phases.
        101 => ElectionChanged: 32 {
            /// Ballots that count.
            ballots: u64,
            /// Their weight.
            weight: u64,
            /// Which.
            election: ElectionId,
            /// Voters on the roll.
            registered: u32,
            /// Voters who were issued a token.
            tokens: u32,
            /// Its phase.
            phase: PhaseCode,
            /// How far its official count has come.
            count: CountStateCode,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// A stage of a count. On the election's stream of counts, before its candidates.
        102 => StageCounted: 40 {
            /// What elects: the quota, or the majority that instant-runoff asks for; zero where there is none.
            quota: Tally,
            /// Votes of ballots that name no continuing candidate more.
            exhausted: Tally,
            /// Votes lost by truncation.
            residual: Tally,
            /// Votes of all ballots that count, blank ones included.
            total: Tally,
            /// The stage, from 1.
            stage: u16,
            /// Whose votes were transferred; zero at the first stage.
            candidate: CandidateId,
            /// What was done.
            action: ActionCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// A candidate after a stage. On the election's stream of counts.
        103 => CandidateCounted: 16 {
            /// The votes or points. With Minimax the votes of the largest defeat, with Schulze and RankedPairs the
            /// candidates by whom this one is beaten: fewest win.
            votes: Tally,
            /// The stage.
            stage: u16,
            /// Who.
            candidate: CandidateId,
            /// Seats that a list has won; 1 for a candidate who is elected.
            seats: u16,
            /// Where the candidate stands after it.
            standing: StandingCode,
            /// Zero.
            reserved: Reserved<1>,
        },
        /// Two candidates compared on all ballots. On the election's stream of counts, after the candidates.
        104 => PairCounted: 24 {
            /// Votes that prefer the first.
            first_votes: Tally,
            /// Votes that prefer the second.
            second_votes: Tally,
            /// The first.
            first: CandidateId,
            /// The second.
            second: CandidateId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// What a region has, as far as it is released. On the election's stream of reports, before its candidates.
        107 => RegionReported: 32 {
            /// Ballots that count.
            ballots: u64,
            /// Their weight.
            weight: u64,
            /// The weight of those that are blank.
            blank: u64,
            /// The region; zero where the election has none.
            region: u16,
            /// Zero.
            reserved: Reserved<6>,
        },
        /// What a candidate has in a region. On the election's stream of reports.
        108 => RegionCandidateReported: 16 {
            /// The votes or points; where ballots are ranked and no points made of that, the votes of those who rank the
            /// candidate first.
            votes: Tally,
            /// The region; zero where the election has none.
            region: u16,
            /// Who.
            candidate: CandidateId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// The rules find something strange about a ballot that was cast online. On the election's stream of screening.
        109 => BallotFlagged: 32 {
            /// Its receipt; zero for one that was declined because the election was not open: its source then tried once too
            /// often.
            receipt: Receipt,
            /// From where it came.
            source: u64,
            /// On which device it was cast.
            device: u64,
            /// Whose ballot.
            voter: VoterId,
            /// The rules that it meets: 1 its source's ballots in a period, 2 the voters of its device, 4 what its source tried
            /// while the election was not open; added up.
            rules: u8,
            /// What becomes of it.
            precaution: PrecautionCode,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// A ballot is in quarantine no more. On the election's stream of screening.
        110 => QuarantineEnded: 16 {
            /// Its receipt.
            receipt: Receipt,
            /// Whose ballot.
            voter: VoterId,
            /// How it ended.
            ending: QuarantineEndingCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// Votes of those who rank a candidate last, in a count by Coombs. On the election's stream of counts, after the
        /// candidates of each stage.
        106 => LastPlacesCounted: 16 {
            /// The votes. A ballot that does not rank some of those who continue ranks all of them last, an equal part of
            /// a vote each.
            votes: Tally,
            /// The stage.
            stage: u16,
            /// Who.
            candidate: CandidateId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// A candidate in a tie that an officer must decide. On the election's stream of counts, last.
        105 => TieFound: 8 {
            /// The number of the tie in this count, from 1.
            tie: u16,
            /// Who is in it.
            candidate: CandidateId,
            /// The last stage before it.
            stage: u16,
            /// What it is about.
            question: TieQuestionCode,
            /// Zero.
            reserved: Reserved<1>,
        },
    }
}
