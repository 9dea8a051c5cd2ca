//! One voter, one ballot.

use super::Votes;
use super::ballots::NONE;
use super::elections::Voter;
use super::messages::{
    BallotCast, BallotSpoilt, CastBallot, CastOutcome, ChangePolicy, DeclineReason, Declined, ElectionId, Mark, Phase,
    QuarantineEnding, Receipt, Reject, Reply, SpoilBallot, VoterId,
};
use super::screening::Origin;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Out, Progress, Timestamp};

impl Votes {
    /// Takes a ballot in, or names the one that counts or is in quarantine.
    #[inline]
    pub(super) fn cast(
        &mut self,
        now: Timestamp,
        CastBallot { election: id, voter: number }: CastBallot,
        origin: Origin,
        marks: &[Mark],
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
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
        let held = self.held(place, number);
        if phase != Phase::Open || changes != ChangePolicy::LastCounts {
            if let Some(held) = held {
                answer(held.receipt, CastOutcome::Quarantined, out);
                return Ok(Progress::Done);
            }
            if voter.receipt != 0 {
                answer(voter.receipt, CastOutcome::AlreadyCast, out);
                return Ok(Progress::Done);
            }
        }
        if phase != Phase::Open {
            self.note_attempt(place, number, origin, out)?;
            return Ok(decline(id, number, DeclineReason::WrongPhase, out));
        }
        let judged = self.screening.judge(now, place, number, origin);
        self.ballots.read(&election.terms, marks)?;
        if let Err(full) = self.screening.has_room(judged) {
            // A repeat needs no room.
            let known = self.ballots.known(place).ok_or(full)?;
            let repeats = held.is_some_and(|held| held.ballot == known) || voter.receipt != 0 && voter.ballot == known;
            if !repeats {
                return Err(full);
            }
        }
        let ballot = self.take_in(place)?;
        if let Some(held) = held {
            if held.ballot == ballot {
                answer(held.receipt, CastOutcome::Quarantined, out);
                return Ok(Progress::Done);
            }
            self.end_quarantine(place, number, QuarantineEnding::Superseded, out);
        }
        if voter.receipt != 0 && voter.ballot == ballot {
            answer(voter.receipt, CastOutcome::AlreadyCast, out);
            return Ok(Progress::Done);
        }
        self.last_receipt += 1;
        let receipt = self.last_receipt;
        if self.screen(now, place, number, judged, ballot, out) {
            answer(receipt, CastOutcome::Quarantined, out);
            return Ok(Progress::Done);
        }
        let outcome = if voter.receipt == 0 { CastOutcome::Counted } else { CastOutcome::Replaced };
        self.put(place, number, voter, receipt, ballot);
        answer(receipt, outcome, out);
        Ok(self.note_change(place, self.elections[place].row(voter), now, out))
    }

    /// Has a voter's ballot count, in place of the one that did.
    #[inline]
    pub(super) fn put(&mut self, place: u32, number: VoterId, voter: Voter, receipt: u64, ballot: u32) {
        self.add(place, ballot, voter);
        if voter.receipt != 0 {
            self.take(place, voter.ballot, voter);
        }
        self.elections.set_ballot(place, number, receipt, ballot);
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
