//! One voter, one ballot.

use super::Votes;
use super::ballots::NONE;
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
        let Self { elections, ballots, reports, .. } = self;
        let place = elections.place(id)?;
        let Some(voter) = elections.voter(place, number) else {
            return Ok(decline(id, number, DeclineReason::NotRegistered, out));
        };
        let election = &elections[place];
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
        ballots.read(&election.terms, marks)?;
        let (last, before) = (election.last_ballot, ballots.len());
        let ballot = ballots.place(place, last)?;
        if voter.receipt != 0 && voter.ballot == ballot {
            answer(voter.receipt, CastOutcome::AlreadyCast, out);
            return Ok(Progress::Done);
        }
        let election = &mut elections[place];
        if ballots.len() > before {
            election.last_ballot = ballot;
            if last == NONE {
                election.first_ballot = ballot;
            }
        }
        ballots.add(ballot, voter.weight());
        reports.change(election, voter, ballots.marks(ballot), true);
        let outcome = if voter.receipt == 0 {
            election.ballots += 1;
            election.weight += u64::from(voter.weight());
            CastOutcome::Counted
        } else {
            ballots.take(voter.ballot, voter.weight());
            reports.change(election, voter, ballots.marks(voter.ballot), false);
            CastOutcome::Replaced
        };
        self.last_receipt += 1;
        let receipt = self.last_receipt;
        let row = election.row(voter);
        elections.set_ballot(place, number, receipt, ballot);
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
        self.ballots.take(voter.ballot, voter.weight());
        let election = &mut self.elections[place];
        election.ballots -= 1;
        election.weight -= u64::from(voter.weight());
        self.reports.change(election, voter, self.ballots.marks(voter.ballot), false);
        let row = election.row(voter);
        self.elections.set_ballot(place, number, 0, 0);
        let receipt = Receipt(voter.receipt);
        out.reply(Reply::BallotSpoilt(&BallotSpoilt { receipt, election: id, voter: number }));
        Ok(self.note_change(place, row, now, out))
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
