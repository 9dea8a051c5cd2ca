//! What a client may ask.

use super::{
    CandidateId, ChangePolicyCode, EarlierStagesCode, ElectionId, ExclusionsCode, FaultCode, MajorityCode, MethodCode,
    PhaseCode, PrecautionCode, QuotaCode, RegistrationCode, ResultsCode, SecrecyCode, TieBreakCode, UntilCode,
    VerdictCode, VoterId,
};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Timestamp, messages};

messages! {
    /// What a client may ask.
    pub enum Command in schema 4 version 1 {
        /// Prepares an election. Saying the same again is answered again; other terms are refused.
        1 => DefineElection: 88 {
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
            /// How long voters may be put on the roll; until it closes where the roll is another's.
            registration: RegistrationCode,
            /// The election on whose roll it votes, one that has a roll of its own; zero for a roll of its own.
            roll: ElectionId,
            /// Regions of the roll, their numbers run from 1 to this; zero where there are none.
            regions: u16,
            /// Ballots of a region that are released together, at least 2, where results are hidden until the close; zero:
            /// nothing is released before.
            batch: u16,
            /// Microseconds until a change is released, where results are live; zero: nothing is before the close.
            refresh: u32,
            /// Whether the log says whose a ballot is. Anonymous: voters weigh one vote, have no regions and change nothing.
            secrecy: SecrecyCode,
            /// Zero.
            reserved: Reserved<7>,
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
            /// The region, from 1; zero where the election has none.
            region: u16,
            /// Zero.
            reserved: Reserved<2>,
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
        /// Lets a voter have one token of an anonymous election. The client has made sure who the voter is, and signs the blinded
        /// token when it is issued.
        9 => IssueToken: 16 {
            /// The first 8 bytes of the SHA-256 of the blinded token, as an integer; not zero.
            blinded: u64,
            /// In which election.
            election: ElectionId,
            /// Whose.
            voter: VoterId,
        },
        /// Casts the ballot of a token. The client has checked the signature over it.
        10 => CastAnonymously: 40 {
            /// The SHA-256 of the token.
            nullifier: [u8; 32],
            /// In which election.
            election: ElectionId,
            /// Zero.
            reserved: Reserved<4>,
        } + marks: AnonymousMark: 8 {
            /// As of a mark of an identified ballot.
            value: u32,
            /// Whom it marks.
            candidate: CandidateId,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// Casts a voter's ballot from a source and a device, which the rules of the election look at. The client has made sure who
        /// the voter is, and names both by numbers that tell nobody else what they are.
        11 => CastOnline: 24 {
            /// From where, as an address or a network; zero when that is not known.
            source: u64,
            /// On which device; zero when that is not known.
            device: u64,
            /// In which election.
            election: ElectionId,
            /// Whose ballot.
            voter: VoterId,
        } + marks: OnlineMark: 8 {
            /// As of a mark of any identified ballot.
            value: u32,
            /// Whom it marks.
            candidate: CandidateId,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// Says by which rules ballots that are cast online are screened from now on, until the election closes.
        12 => SetScreening: 24 {
            /// In which election.
            election: ElectionId,
            /// Ballots that one source may cast in a period; zero: any number.
            source_ballots: u32,
            /// How long the period is, in microseconds; zero with any number. Periods begin at multiples of it.
            period: u32,
            /// Voters who may vote from one device; zero: any number.
            device_voters: u32,
            /// Ballots that one source may try to cast while the election is not open; zero: any number.
            attempts_max: u32,
            /// What becomes of ballots beyond `source_ballots`.
            source_precaution: PrecautionCode,
            /// What becomes of ballots beyond `device_voters`.
            device_precaution: PrecautionCode,
            /// What becomes of ballots of a source beyond `attempts_max`.
            attempts_precaution: PrecautionCode,
            /// Zero.
            reserved: Reserved<1>,
        },
        /// Has a ballot in quarantine counted, or rejects it.
        13 => SettleBallot: 16 {
            /// In which election.
            election: ElectionId,
            /// Whose ballot.
            voter: VoterId,
            /// What becomes of it.
            verdict: VerdictCode,
            /// Zero.
            reserved: Reserved<7>,
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
