//! Anonymous ballots: each voter is issued one token, each token casts one ballot, and nothing here says whose it was.
//!
//! Who signs tokens blindly and who checks the signatures stands outside: the domain sees a fingerprint of the blinded token on
//! one side and the nullifier, the hash of the token itself, on the other.

use super::Votes;
use super::casting::decline;
use super::elections::Voter;
use super::messages::{
    AnonymousBallotCast, CastAnonymously, CastOutcome, DeclineReason, ElectionId, IssueToken, Mark, Phase, Receipt,
    Reject, Reply, TokenIssued, TokenOutcome, VoterId, VotesLimits,
};
use alloc::vec::Vec;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::KeyIndex;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::state::fold;
use ringfence_kernel::{Corrupt, Out, Progress, Sink, Source, Timestamp};

/// A token that has cast its ballot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Spent {
    nullifier: [u8; 32],
    pub(super) receipt: u64,
    pub(super) election: ElectionId,
    /// Which ballot.
    pub(super) ballot: u32,
}

/// All tokens that have cast a ballot, in the order in which they did.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    spent: Vec<Spent>,
    capacity: usize,
    by_nullifier: KeyIndex,
}

fn hash(election: ElectionId, nullifier: &[u8; 32]) -> u64 {
    let words: [u64; 4] = bytemuck::pod_read_unaligned(nullifier);
    words.iter().fold(election.0.into(), |hash, word| fold(hash ^ word, 0xd6e8_feb8_6659_fd93))
}

impl Tokens {
    pub(super) fn new(limits: &VotesLimits) -> Self {
        let capacity = limits.nullifiers as usize;
        Self { spent: Vec::with_capacity(capacity), capacity, by_nullifier: KeyIndex::new(capacity) }
    }

    fn find(&self, election: ElectionId, nullifier: &[u8; 32]) -> Option<&Spent> {
        let same = |at: u32| {
            let known = &self.spent[at as usize];
            known.election == election && known.nullifier == *nullifier
        };
        self.by_nullifier.get(hash(election, nullifier), same).map(|at| &self.spent[at as usize])
    }

    /// Notes one; there is room.
    fn spend(&mut self, spent: Spent) {
        let at = self.spent.len() as u32;
        self.by_nullifier.insert(hash(spent.election, &spent.nullifier), at).expect("as many keys as tokens");
        self.spent.push(spent);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Spent> {
        self.spent.iter()
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.value(&(self.spent.len() as u64));
        sink.values(&self.spent);
    }

    /// What [`Tokens::save`] wrote; ballots and elections are checked by whoever has them.
    pub(super) fn load(limits: &VotesLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut all = Self::new(limits);
        for _ in 0..source.count(all.capacity, "nullifiers")? {
            let spent: Spent = source.value()?;
            if all.find(spent.election, &spent.nullifier).is_some() {
                return Err(Corrupt("a nullifier twice"));
            }
            all.spend(spent);
        }
        Ok(all)
    }
}

/// A voter without a name: a token weighs one vote.
pub(super) const ANONYMOUS: Voter = Voter::of_weight(1);
const NOBODY: VoterId = VoterId(0);

impl Votes {
    /// Lets a voter have a token, once; asked again for the same one, it says so again.
    pub(super) fn issue(&mut self, command: IssueToken, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let IssueToken { blinded, election: id, voter: number } = command;
        let place = self.elections.place(id)?;
        if blinded == 0 {
            return Err(Reject::BadToken);
        }
        let election = &self.elections[place];
        let voter = self.elections.voter(place, number);
        let outcome = match (voter, election.phase.get()) {
            _ if !election.is_anonymous() => Err(DeclineReason::NotAnonymous),
            (None, _) => Err(DeclineReason::NotRegistered),
            (Some(voter), _) if voter.receipt == blinded => Ok(TokenOutcome::IssuedBefore),
            (Some(voter), _) if voter.receipt != 0 => Err(DeclineReason::TokenIssued),
            (_, Phase::Draft | Phase::Open) => Ok(TokenOutcome::Issued),
            (_, Phase::Closed | Phase::Certified) => Err(DeclineReason::WrongPhase),
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(reason) => return Ok(decline(id, number, reason, out)),
        };
        if outcome == TokenOutcome::Issued {
            self.elections.set_ballot(place, number, blinded, 0);
            self.elections[place].tokens += 1;
        }
        let (outcome, reserved) = (outcome.into(), Reserved::default());
        out.reply(Reply::TokenIssued(&TokenIssued { election: id, voter: number, outcome, reserved }));
        Ok(Progress::Done)
    }

    /// Takes a token's ballot in, or names the one that it cast.
    pub(super) fn cast_anonymously(
        &mut self,
        now: Timestamp,
        command: &CastAnonymously,
        marks: &[Mark],
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let CastAnonymously { nullifier, election: id, .. } = *command;
        let place = self.elections.place(id)?;
        let election = &self.elections[place];
        let answer = |receipt: u64, outcome: CastOutcome, out: &mut Out<'_, Self>| {
            let (receipt, outcome, reserved) = (Receipt(receipt), outcome.into(), Reserved::default());
            out.reply(Reply::AnonymousBallotCast(&AnonymousBallotCast { receipt, election: id, outcome, reserved }));
        };
        if let Some(spent) = self.tokens.find(id, &nullifier) {
            answer(spent.receipt, CastOutcome::AlreadyCast, out);
            return Ok(Progress::Done);
        }
        let reason = match () {
            () if !election.is_anonymous() => Some(DeclineReason::NotAnonymous),
            () if election.phase.get() != Phase::Open => Some(DeclineReason::WrongPhase),
            // Whoever signs tokens cannot cast more ballots than voters were issued tokens.
            () if election.ballots == u64::from(election.tokens) => Some(DeclineReason::NoToken),
            () => None,
        };
        if let Some(reason) = reason {
            return Ok(decline(id, NOBODY, reason, out));
        }
        if self.tokens.spent.len() == self.tokens.capacity {
            return Err(Reject::NullifiersFull);
        }
        self.ballots.read(&election.terms, marks)?;
        let ballot = self.take_in(place)?;
        self.add(place, ballot, ANONYMOUS);
        self.last_receipt += 1;
        let receipt = self.last_receipt;
        self.tokens.spend(Spent { nullifier, receipt, election: id, ballot });
        answer(receipt, CastOutcome::Counted, out);
        Ok(self.note_change(place, 0, now, out))
    }
}
