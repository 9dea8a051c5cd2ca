//! One voter, one ballot.

use super::Votes;
use super::ballots::NONE;
use super::elections::Voter;
use super::messages::{
    BallotCast, BallotSpoilt, CastBallot, CastOutcome, ChangePolicy, DeclineReason, Declined, ElectionId, Mark, Phase,
    Receipt, Reject, Reply, SpoilBallot, VoterId,
};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Out, Progress, Timestamp};

impl Votes {
    /// Takes a ballot in, or names the one that counts.
    #[inline]
    pub(super) fn cast(
        &mut self,
        now: Timestamp,
        command: &CastBallot,
        marks: &[Mark],
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let CastBallot { election: id, voter: number } = *command;
        let place = self.elections.place(id)?;
        let Some(voter) = self.elections.voter(place, number) else {
            return Ok(decline(id, number, DeclineReason::NotRegistered, out));
        };
        let election = &self.elections[place];
        if election.is_anonymous() {
            return Ok(decline(id, number, DeclineReason::Anonymous, out));
        }
        let (phase, changes) = (election.phase.get(), election.terms.changes.get());
        let answer = |receipt: u64, outcome: CastOutcome, out: &mut Out<'_, Self>| {
            let (receipt, reserved) = (Receipt(receipt), Reserved::default());
            let outcome = outcome.into();
            out.reply(Reply::BallotCast(&BallotCast { receipt, election: id, voter: number, outcome, reserved }));
        };
        if voter.receipt != 0 && (phase != Phase::Open || changes != ChangePolicy::LastCounts) {
            answer(voter.receipt, CastOutcome::AlreadyCast, out);
            return Ok(Progress::Done);
        }
        if phase != Phase::Open {
            return Ok(decline(id, number, DeclineReason::WrongPhase, out));
        }
        self.ballots.read(&election.terms, marks)?;
        let ballot = self.take_in(place)?;
        if voter.receipt != 0 && voter.ballot == ballot {
            answer(voter.receipt, CastOutcome::AlreadyCast, out);
            return Ok(Progress::Done);
        }
        self.add(place, ballot, voter);
        let outcome = if voter.receipt == 0 {
            CastOutcome::Counted
        } else {
            self.take(place, voter.ballot, voter);
            CastOutcome::Replaced
        };
        self.last_receipt += 1;
        let receipt = self.last_receipt;
        let row = self.elections[place].row(voter);
        self.elections.set_ballot(place, number, receipt, ballot);
        answer(receipt, outcome, out);
        Ok(self.note_change(place, row, now, out))
    }

    /// Takes a voter's ballot out of the count.
    pub(super) fn spoil(
        &mut self,
        now: Timestamp,
        command: SpoilBallot,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let SpoilBallot { election: id, voter: number } = command;
        let place = self.elections.place(id)?;
        let election = &self.elections[place];
        let (phase, changes) = (election.phase.get(), election.terms.changes.get());
        let Some(voter) = self.elections.voter(place, number) else {
            return Ok(decline(id, number, DeclineReason::NotRegistered, out));
        };
        let reason = match () {
            () if changes != ChangePolicy::SpoilAndRecast => Some(DeclineReason::NotSpoilable),
            () if phase != Phase::Open => Some(DeclineReason::WrongPhase),
            () if voter.receipt == 0 => Some(DeclineReason::NoBallot),
            () => None,
        };
        if let Some(reason) = reason {
            return Ok(decline(id, number, reason, out));
        }
        self.take(place, voter.ballot, voter);
        let row = self.elections[place].row(voter);
        self.elections.set_ballot(place, number, 0, 0);
        let receipt = Receipt(voter.receipt);
        out.reply(Reply::BallotSpoilt(&BallotSpoilt { receipt, election: id, voter: number }));
        Ok(self.note_change(place, row, now, out))
    }

    /// The place of the ballot that was read, chained by its election when it is new.
    #[inline]
    pub(super) fn take_in(&mut self, place: u32) -> Result<u32, Reject> {
        let (last, before) = (self.elections[place].last_ballot, self.ballots.len());
        let ballot = self.ballots.place(place, last)?;
        if self.ballots.len() > before {
            let election = &mut self.elections[place];
            election.last_ballot = ballot;
            if last == NONE {
                election.first_ballot = ballot;
            }
        }
        Ok(ballot)
    }

    /// One ballot more of those that say this.
    #[inline]
    pub(super) fn add(&mut self, place: u32, ballot: u32, voter: Voter) {
        self.ballots.add(ballot, voter.weight());
        let election = &mut self.elections[place];
        election.ballots += 1;
        election.weight += u64::from(voter.weight());
        self.reports.change(election, voter, self.ballots.marks(ballot), true);
    }

    /// One ballot less.
    #[inline]
    pub(super) fn take(&mut self, place: u32, ballot: u32, voter: Voter) {
        self.ballots.take(ballot, voter.weight());
        let election = &mut self.elections[place];
        election.ballots -= 1;
        election.weight -= u64::from(voter.weight());
        self.reports.change(election, voter, self.ballots.marks(ballot), false);
    }
}

/// Answers that a request had no effect.
pub(super) fn decline(
    election: ElectionId,
    voter: VoterId,
    reason: DeclineReason,
    out: &mut Out<'_, Votes>,
) -> Progress {
    let reason = reason.into();
    out.reply(Reply::Declined(&Declined { election, voter, reason, reserved: Reserved::default() }));
    Progress::Done
}
