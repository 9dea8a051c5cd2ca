//! What is said to the votes domain and by it.
//!
//! Any change to a field, a number or a code here breaks clients and journals: the schema, the golden vectors and
//! [`super::Votes`]'s version pin them.

mod choices;
mod commands;
mod events;
mod replies;

pub use choices::{
    Action, ActionCode, CastOutcome, CastOutcomeCode, ChangePolicy, ChangePolicyCode, CountState, CountStateCode,
    DeclineReason, DeclineReasonCode, EarlierStages, EarlierStagesCode, Exclusions, ExclusionsCode, Fault, FaultCode,
    Majority, MajorityCode, Method, MethodCode, Phase, PhaseCode, Precaution, PrecautionCode, QuarantineEnding,
    QuarantineEndingCode, Quota, QuotaCode, Registration, RegistrationCode, Results, ResultsCode, Secrecy, SecrecyCode,
    Standing, StandingCode, TieBreak, TieBreakCode, TieQuestion, TieQuestionCode, TokenOutcome, TokenOutcomeCode,
    Until, UntilCode, Verdict, VerdictCode,
};
pub use commands::{
    AnonymousMark, CastAnonymously, CastBallot, CastOnline, Command, CountElection, DecideTie, DeclareWriteIn,
    DefineElection, IssueToken, Mark, OnlineMark, RegisterVoters, SetPhase, SetScreening, SettleBallot, SpoilBallot,
    VoterEntry,
};
pub use events::{
    BallotFlagged, CandidateCounted, ElectionChanged, Event, LastPlacesCounted, PairCounted, QuarantineEnded,
    RegionCandidateReported, RegionReported, StageCounted, TieFound,
};
pub use replies::{
    AnonymousBallotCast, BallotCast, BallotSettled, BallotSpoilt, Declined, ElectionCounted, ElectionDefined,
    PhaseChanged, Reply, ScreeningSet, TokenIssued, VotersRegistered, WriteInDeclared,
};

use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{limits, newtype, rejects};

newtype! {
    /// An election: one question with its candidates and its roll. A dense number from 1 up to the limit of elections.
    pub struct ElectionId(u32);
}
newtype! {
    /// A voter's number on the roll of an election, from 1 up to the length of the roll.
    pub struct VoterId(u32);
}
newtype! {
    /// A candidate's number in an election, from 1; 0 where none is meant.
    pub struct CandidateId(u16);
}
newtype! {
    /// The engine's number of a ballot that was taken in, counted from 1 over all elections and never reused. It is the
    /// voter's receipt.
    pub struct Receipt(u64);
}
newtype! {
    /// Votes or points in units of 10⁻⁵; in a count by Meek in units of 10⁻⁹.
    pub struct Tally(u64);
}

/// Units of [`Tally`] in one vote.
pub const VOTE: u64 = 100_000;
/// Units of [`Tally`] in one vote of a count by Meek.
pub const MEEK_VOTE: u64 = 1_000_000_000;
/// Candidates of one election at most: a number fits a byte, of which two values say other things.
pub const CANDIDATES_MAX: u16 = 254;
/// Seats for lists at most.
pub const SEATS_MAX: u16 = 1_024;
/// The weight of one voter at most.
pub const WEIGHT_MAX: u32 = 1_000_000;
/// The weight of all voters of an election at most. With 255 points a vote it still fits [`Tally`].
pub const ROLL_WEIGHT_MAX: u64 = 10_000_000_000;
/// Regions of an election at most.
pub const REGIONS_MAX: u16 = 4_095;
/// Points that one mark gives at most.
pub const POINTS_MAX: u16 = 255;
/// Ties of one election that an officer may decide.
pub const DECISIONS_MAX: usize = 512;

rejects! {
    /// Why the votes domain refuses a command. Nothing has changed.
    pub enum Reject {
        /// No such election is defined.
        UnknownElection = 4001,
        /// The number of the election is zero or above the limit of elections.
        ElectionsFull = 4002,
        /// The election is defined with other terms.
        ElectionExists = 4003,
        /// Seats, candidates, marks, points, window or method make no sense together.
        BadTerms = 4004,
        /// The rolls of all elections hold as many voters as they may.
        VotersFull = 4005,
        /// All elections have as many candidates as they may.
        CandidatesFull = 4006,
        /// The list names no voter, one outside the roll, a weight of zero or above 10⁶, or no region of the election.
        BadRoll = 4007,
        /// A voter of the list is registered with another weight or region.
        VoterExists = 4008,
        /// The roll would weigh more than 10¹⁰.
        RollTooHeavy = 4009,
        /// A mark names no candidate, or a rank or points out of range.
        BadMark = 4010,
        /// More candidates are marked than the election allows.
        TooManyMarks = 4011,
        /// Two candidates have the same rank.
        Overvote = 4012,
        /// A rank is skipped.
        SkippedRank = 4013,
        /// A candidate is marked twice.
        DuplicateMark = 4014,
        /// The points of the ballot are more than the election allows.
        TooManyPoints = 4015,
        /// As many different ballots were cast as may be, or their marks fill the room for marks.
        BallotsFull = 4016,
        /// As many ties were decided as may be.
        DecisionsFull = 4017,
        /// The election votes on the roll of another.
        NoRoll = 4018,
        /// The sums of all elections need more room than there is.
        SumsFull = 4019,
        /// A blinded token is not zero.
        BadToken = 4020,
        /// As many tokens have cast ballots as may.
        NullifiersFull = 4021,
        /// A number of ballots of a source and the period that it is for go together.
        BadScreening = 4022,
        /// As many sources, devices and voters on devices were seen as may be.
        SightingsFull = 4023,
        /// As many ballots are in quarantine as may be.
        QuarantineFull = 4024,
    }
}

limits! {
    /// Capacities of the votes domain.
    pub struct VotesLimits {
        /// Elections; their ids run from 1 to this.
        elections = 64 in 1..=65_536,
        /// Candidates of all elections.
        candidates = 2048 in 1..=1_048_576,
        /// Voters on the rolls of all elections: 16 bytes each.
        voters = 262144 in 1..=1_000_000_000,
        /// Different ballots of all elections: 142 bytes each with room for a count, and up to 16 more to find them, marks aside.
        ballots = 65536 in 1..=268_435_456,
        /// Marks on the different ballots: 2 bytes each.
        marks = 524288 in 1..=1_073_741_824,
        /// Sums of all elections, for each region one of each candidate and three more: 24 bytes each.
        sums = 65536 in 1..=268_435_456,
        /// Tokens of all elections that have cast ballots: 48 bytes each, and 16 to find them.
        nullifiers = 65536 in 1..=1_000_000_000,
        /// Sources, devices and voters on a device that the rules of all elections look at: 40 bytes each, and 16 to find them.
        sightings = 65536 in 1..=268_435_456,
        /// Ballots of all elections in quarantine: 40 bytes each, and 16 to find them.
        quarantine = 4096 in 1..=268_435_456,
    }
}

impl VoterEntry {
    /// A voter of that weight in an election without regions.
    #[must_use]
    pub fn of_weight(weight: u32) -> Self {
        Self { weight, region: 0, reserved: Reserved::default() }
    }
}

impl Mark {
    /// Marks of an anonymous ballot or one cast online, which say the same.
    #[must_use]
    pub fn of<T: bytemuck::NoUninit>(marks: &[T]) -> &[Self] {
        bytemuck::must_cast_slice(marks)
    }
}
