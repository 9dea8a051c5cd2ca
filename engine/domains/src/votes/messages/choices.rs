//! Choices that terms, answers and events make.

use ringfence_kernel::choice;

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
    /// How long voters may be put on a roll.
    pub enum Registration as RegistrationCode {
        /// Until the election closes.
        UntilClosed = 1,
        /// Until it opens.
        UntilOpen = 2,
    }
}
choice! {
    /// Whether the log says whose a ballot is.
    pub enum Secrecy as SecrecyCode {
        /// It does: a ballot is cast under the voter's number.
        Identified = 1,
        /// It does not: each voter is issued a token, and a token casts a ballot.
        Anonymous = 2,
    }
}
choice! {
    /// What became of a request for a token.
    pub enum TokenOutcome as TokenOutcomeCode {
        /// The voter has it, and no other.
        Issued = 1,
        /// The same was issued before: it may be signed again.
        IssuedBefore = 2,
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
        /// It is in quarantine and counts when an officer says so. The receipt is of that ballot.
        Quarantined = 4,
    }
}
choice! {
    /// What becomes of a ballot that is flagged.
    pub enum Precaution as PrecautionCode {
        /// It counts.
        Flag = 1,
        /// It does not count until an officer says so.
        Quarantine = 2,
    }
}
choice! {
    /// What an officer says of a ballot in quarantine.
    pub enum Verdict as VerdictCode {
        /// It counts.
        Count = 1,
        /// It is as if it had never been cast.
        Reject = 2,
    }
}
choice! {
    /// How the quarantine of a ballot ends.
    pub enum QuarantineEnding as QuarantineEndingCode {
        /// It counts.
        Counted = 1,
        /// An officer rejected it.
        Rejected = 2,
        /// The voter has cast another.
        Superseded = 3,
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
        /// Ballots of the election are anonymous: they are cast by tokens.
        Anonymous = 10,
        /// Ballots of the election are cast under voters' numbers.
        NotAnonymous = 11,
        /// The voter was issued another token.
        TokenIssued = 12,
        /// As many ballots were cast as tokens were issued.
        NoToken = 13,
        /// The voter has no ballot in quarantine.
        NotHeld = 14,
        /// Ballots are in quarantine: it is counted when the last of them is settled.
        BallotsHeld = 15,
    }
}
