//! What is said to the votes domain and by it.
//!
//! Any change to a field, a number or a code here breaks clients and journals: the schema, the golden vectors and
//! [`super::Votes`]'s version pin them.

use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Timestamp, choice, limits, messages, newtype, rejects};

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
/// Points that one mark gives at most.
pub const POINTS_MAX: u16 = 255;
/// Ties of one election that an officer may decide.
pub const DECISIONS_MAX: usize = 16;

choice! {
    /// How ballots are counted.
    pub enum Method as MethodCode {
        /// Each mark is a vote; most votes win. `marks_max` makes it plurality (1), limited (fewer than seats), block
        /// (as many as seats) or approval (as many as candidates).
        Plurality = 1,
        /// Each mark gives points; most points win. `points_total` makes it cumulative.
        Score = 2,
        /// Of n candidates, the one ranked k-th gets n − k points.
        Borda = 3,
        /// The candidate ranked k-th gets 1/k of a point, truncated to 5 decimals.
        Dowdall = 4,
        /// Instant-runoff: the last is excluded until one has more than half of the continuing votes.
        InstantRunoff = 5,
        /// Single transferable vote by weighted inclusive Gregory as in Scotland: Droop quota, 5 decimals truncated.
        ScottishStv = 6,
        /// One for each candidate beaten, a half for each tie.
        Copeland = 7,
        /// The smallest of the largest defeats, by winning votes.
        Minimax = 8,
        /// The strongest paths, by winning votes.
        Schulze = 9,
        /// Victories locked in by winning votes, those that close a circle left out (Tideman).
        RankedPairs = 10,
        /// Seats for lists by highest averages, divisors 1, 2, 3 and so on.
        DHondt = 11,
        /// Seats for lists by highest averages, divisors 1, 3, 5 and so on.
        SainteLague = 12,
        /// Seats for lists by Hare quotas, the rest by largest remainders.
        LargestRemainder = 13,
        /// The last is excluded until as many continue as there are seats.
        BottomsUp = 14,
        /// Seats one after another, each by an instant-runoff of its own among those who have none.
        Sequential = 15,
        /// Whom most ballots rank last is excluded until one has more than half of the continuing votes.
        Coombs = 16,
        /// Score, then a runoff between the two of most points: who is given more points by more ballots.
        Star = 17,
        /// Single transferable vote by Meek: each elected candidate keeps a part of each ballot; 9 decimals.
        Meek = 18,
        /// Single transferable vote by whole ballots: of a surplus as many go as it has, evenly spread.
        WholeBallots = 19,
    }
}
choice! {
    /// What a voter may do who has voted.
    pub enum ChangePolicy as ChangePolicyCode {
        /// Nothing: the first ballot counts.
        Never = 1,
        /// Vote again while the election is open: the last ballot counts.
        LastCounts = 2,
        /// Vote again after an officer has spoilt the ballot.
        SpoilAndRecast = 3,
    }
}
choice! {
    /// When an election may be counted.
    pub enum Results as ResultsCode {
        /// At any time once it is open.
        Live = 1,
        /// Not before it is closed.
        AtClose = 2,
    }
}
choice! {
    /// How a tie is broken that nothing earlier broke.
    pub enum TieBreak as TieBreakCode {
        /// An officer draws lots and says the outcome.
        Officer = 1,
        /// The lower number is preferred.
        Order = 2,
        /// An order drawn from the election's seed.
        Seeded = 3,
    }
}
choice! {
    /// Whether earlier stages break a tie first, the latest at which the tied differed.
    pub enum EarlierStages as EarlierStagesCode {
        /// They do.
        Asked = 1,
        /// They do not.
        Ignored = 2,
    }
}
choice! {
    /// Who is excluded at a stage, where the last is.
    pub enum Exclusions as ExclusionsCode {
        /// One candidate.
        OneByOne = 1,
        /// All who together have fewer votes than the next, when there are several; else one.
        Batches = 2,
    }
}
choice! {
    /// Of which votes an instant-runoff majority is more than half.
    pub enum Majority as MajorityCode {
        /// Of those that continuing candidates have.
        OfContinuing = 1,
        /// Of those that candidates had at the first stage.
        OfFirstStage = 2,
    }
}
choice! {
    /// The quota of a seat.
    pub enum Quota as QuotaCode {
        /// The least that one more than there are seats cannot reach: votes ÷ (seats + 1), whole part, plus 1.
        Droop = 1,
        /// Votes ÷ seats; for single transferable votes rounded up.
        Hare = 2,
    }
}
choice! {
    /// How long an instant-runoff count goes on.
    pub enum Until as UntilCode {
        /// Until one has the majority.
        Majority = 1,
        /// Until two candidates are left, though one has the majority before.
        TwoLeft = 2,
    }
}
choice! {
    /// What becomes of a ranked ballot that breaks a rule.
    pub enum Fault as FaultCode {
        /// The ballot is refused.
        Refuse = 1,
        /// The rank is passed over.
        PassOver = 2,
        /// The ballot says nothing from there on.
        Exhaust = 3,
    }
}
choice! {
    /// Where an election stands.
    pub enum Phase as PhaseCode {
        /// It is prepared.
        Draft = 1,
        /// It takes ballots.
        Open = 2,
        /// It takes none any more and is counted.
        Closed = 3,
        /// Its result stands.
        Certified = 4,
    }
}
choice! {
    /// How far the official count has come.
    pub enum CountState as CountStateCode {
        /// There was none.
        NotCounted = 1,
        /// It waits for an officer to decide a tie.
        Tied = 2,
        /// It is complete.
        Complete = 3,
    }
}
choice! {
    /// What became of a ballot.
    pub enum CastOutcome as CastOutcomeCode {
        /// It counts.
        Counted = 1,
        /// It counts, and the one before it does no more.
        Replaced = 2,
        /// The voter has voted: the receipt is of the ballot that counts.
        AlreadyCast = 3,
    }
}
choice! {
    /// Where a candidate stands.
    pub enum Standing as StandingCode {
        /// In the count.
        Continuing = 1,
        /// Elected.
        Elected = 2,
        /// Excluded.
        Excluded = 3,
        /// Not elected when the count ended.
        Defeated = 4,
    }
}
choice! {
    /// What was done at a stage.
    pub enum Action as ActionCode {
        /// All ballots were counted as they came.
        FirstCount = 1,
        /// A surplus was transferred.
        Surplus = 2,
        /// A candidate was excluded and the ballots were transferred.
        Exclusion = 3,
        /// The two of most points were compared.
        Runoff = 4,
    }
}
choice! {
    /// What a tie is about. The officer names the candidate on whom it falls.
    pub enum TieQuestion as TieQuestionCode {
        /// Who is elected.
        Elect = 1,
        /// Whose surplus is transferred first.
        Transfer = 2,
        /// Who is excluded.
        Exclude = 3,
    }
}
choice! {
    /// Why a request that was understood had no effect.
    pub enum DeclineReason as DeclineReasonCode {
        /// The election is in another phase.
        WrongPhase = 1,
        /// The voter is not on the roll.
        NotRegistered = 2,
        /// Fewer ballots were cast than the quorum asks for.
        QuorumNotMet = 3,
        /// Results are hidden until the election is closed.
        ResultsHidden = 4,
        /// The official count is not complete.
        NotCounted = 5,
        /// There is no tie of that number to decide, or the candidate is not in it.
        NoSuchTie = 6,
        /// The voter has no ballot that counts.
        NoBallot = 7,
        /// The election does not spoil ballots.
        NotSpoilable = 8,
        /// The candidate is no write-in of the election.
        NoWriteIn = 9,
    }
}

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
        /// The list names no voter, one outside the roll, or a weight of zero or above 10⁶.
        BadRoll = 4007,
        /// A voter of the list is registered with another weight.
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
        /// Different ballots of all elections: 58 bytes each, marks aside.
        ballots = 65536 in 1..=268_435_456,
        /// Marks on the different ballots: 4 bytes each.
        marks = 524288 in 1..=2_147_483_648,
    }
}

messages! {
    /// What a client may ask.
    pub enum Command in schema 4 version 1 {
        /// Prepares an election. Saying the same again is answered again; other terms are refused.
        1 => DefineElection: 72 {
            /// When it opens by itself; zero for an officer's word.
            opens: Timestamp,
            /// When it closes by itself; zero for an officer's word.
            closes: Timestamp,
            /// What a seeded tie-break draws from; zero with any other.
            seed: u64,
            /// Ballots that must be cast for a result to stand.
            quorum: u64,
            /// Its number, from 1.
            election: ElectionId,
            /// The length of its roll.
            voters: u32,
            /// The points of a score ballot in all, at most; zero when nothing but `points_max` bounds them.
            points_total: u32,
            /// Candidates or lists; their numbers run from 1 to this.
            candidates: u16,
            /// How many are elected.
            seats: u16,
            /// Marks on a ballot at most; for ranked ballots also the lowest rank.
            marks_max: u16,
            /// Points of a mark at most; zero unless ballots carry points.
            points_max: u16,
            /// How it is counted.
            method: MethodCode,
            /// What a voter may do who has voted.
            changes: ChangePolicyCode,
            /// When it may be counted.
            results: ResultsCode,
            /// Whether earlier stages break ties first.
            earlier_stages: EarlierStagesCode,
            /// What breaks a tie after that.
            tie_break: TieBreakCode,
            /// What becomes of a ranked ballot with two candidates at one rank.
            overvotes: FaultCode,
            /// What becomes of a ranked ballot that skips a rank.
            skipped_ranks: FaultCode,
            /// What becomes of a ranked ballot that ranks a candidate again.
            duplicates: FaultCode,
            /// Who is excluded at a stage.
            exclusions: ExclusionsCode,
            /// Of which votes a majority is more than half.
            majority: MajorityCode,
            /// How long an instant-runoff count goes on.
            until: UntilCode,
            /// Ranks in a row that may be skipped where skipped ranks are passed over; more exhaust the ballot. Zero: any
            /// number.
            gap_max: u8,
            /// How many of the candidates, the last of them, are write-ins: who is not declared is excluded first.
            write_ins: u16,
            /// The quota of a seat; Droop where the method has none.
            quota: QuotaCode,
            /// Zero.
            reserved: Reserved<5>,
        },
        /// Puts voters that follow each other on the roll. Until the election closes; saying the same again changes
        /// nothing.
        2 => RegisterVoters: 8 {
            /// On which roll.
            election: ElectionId,
            /// The number of the first.
            first: VoterId,
        } + voters: VoterEntry: 8 {
            /// For how many votes the ballot counts, 1 to 10⁶.
            weight: u32,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Opens, closes or certifies an election, one phase after the other. Closing counts it.
        3 => SetPhase: 8 {
            /// Which.
            election: ElectionId,
            /// The phase it goes to.
            phase: PhaseCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// Casts a voter's ballot. The client has made sure who the voter is. No marks make a blank ballot.
        4 => CastBallot: 8 {
            /// In which election.
            election: ElectionId,
            /// Whose ballot.
            voter: VoterId,
        } + marks: Mark: 8 {
            /// The rank from 1 on a ranked ballot, the points on a score ballot, else 1.
            value: u32,
            /// Whom it marks.
            candidate: CandidateId,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// Takes a voter's ballot out of the count so that the voter may cast another.
        5 => SpoilBallot: 8 {
            /// In which election.
            election: ElectionId,
            /// Whose ballot.
            voter: VoterId,
        },
        /// Counts an election and publishes every stage.
        6 => CountElection: 8 {
            /// Which.
            election: ElectionId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Says on whom the lot fell, and counts again.
        7 => DecideTie: 8 {
            /// In which election.
            election: ElectionId,
            /// The number of the tie, as `TieFound` gave it.
            tie: u16,
            /// On whom it fell.
            candidate: CandidateId,
        },
        /// Says that a write-in stands as a candidate. Until the election closes; saying it again changes nothing.
        8 => DeclareWriteIn: 8 {
            /// In which election.
            election: ElectionId,
            /// Who.
            candidate: CandidateId,
            /// Zero.
            reserved: Reserved<2>,
        },
    }
}

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
            /// Its phase.
            phase: PhaseCode,
            /// How far its official count has come.
            count: CountStateCode,
            /// Zero.
            reserved: Reserved<6>,
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
