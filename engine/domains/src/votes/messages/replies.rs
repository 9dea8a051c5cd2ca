//! What answers a command.

use super::{
    CandidateId, CastOutcomeCode, CountStateCode, DeclineReasonCode, ElectionId, PhaseCode, Receipt, TokenOutcomeCode,
    VerdictCode, VoterId,
};
use ringfence_kernel::messages;
use ringfence_kernel::messages::Reserved;

messages! {
    /// What answers a command.
    pub enum Reply in schema 4 version 1 {
        /// The election is prepared.
        51 => ElectionDefined: 8 {
            /// Its number.
            election: ElectionId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// The voters are on the roll.
        52 => VotersRegistered: 16 {
            /// On which roll.
            election: ElectionId,
            /// How many of them were not on it before.
            added: u32,
            /// How many are on it now.
            registered: u32,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// The election is in its new phase.
        53 => PhaseChanged: 8 {
            /// Which.
            election: ElectionId,
            /// Its phase.
            phase: PhaseCode,
            /// How far its official count has come.
            count: CountStateCode,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// The ballot was taken in, or the voter's ballot that counts is named.
        54 => BallotCast: 24 {
            /// The receipt of the ballot that counts.
            receipt: Receipt,
            /// In which election.
            election: ElectionId,
            /// Whose ballot.
            voter: VoterId,
            /// What became of it.
            outcome: CastOutcomeCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// The ballot counts no more.
        55 => BallotSpoilt: 16 {
            /// Its receipt.
            receipt: Receipt,
            /// In which election.
            election: ElectionId,
            /// Whose ballot.
            voter: VoterId,
        },
        /// The election was counted; its stream of counts has all stages.
        56 => ElectionCounted: 16 {
            /// Which.
            election: ElectionId,
            /// Stages.
            stages: u16,
            /// Candidates elected.
            elected: u16,
            /// The tie at which it stopped; zero when it is complete.
            tie: u16,
            /// Zero.
            reserved: Reserved<6>,
        },
        /// The write-in stands as a candidate.
        58 => WriteInDeclared: 8 {
            /// In which election.
            election: ElectionId,
            /// Who.
            candidate: CandidateId,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// The voter has the token: the blinded one may be signed.
        59 => TokenIssued: 16 {
            /// In which election.
            election: ElectionId,
            /// Whose.
            voter: VoterId,
            /// What became of the request.
            outcome: TokenOutcomeCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// The anonymous ballot was taken in, or the one that the token cast is named.
        60 => AnonymousBallotCast: 16 {
            /// The receipt of the ballot that counts.
            receipt: Receipt,
            /// In which election.
            election: ElectionId,
            /// What became of it.
            outcome: CastOutcomeCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// Ballots that are cast online are screened by the rules.
        61 => ScreeningSet: 8 {
            /// In which election.
            election: ElectionId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// The ballot is in quarantine no more.
        62 => BallotSettled: 24 {
            /// Its receipt.
            receipt: Receipt,
            /// In which election.
            election: ElectionId,
            /// Whose ballot.
            voter: VoterId,
            /// What became of it.
            verdict: VerdictCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// The request was understood and had no effect.
        57 => Declined: 16 {
            /// The election that was named.
            election: ElectionId,
            /// The voter that was named; zero when none was.
            voter: VoterId,
            /// Why.
            reason: DeclineReasonCode,
            /// Zero.
            reserved: Reserved<7>,
        },
    }
}
