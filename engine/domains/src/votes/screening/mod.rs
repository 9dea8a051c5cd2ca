//! Ballots that come from a source and a device: what the rules of an election find strange about them is flagged, or kept out
//! of the count until an officer settles it.
//!
//! ```text
//! ballot ── judge ──► nothing strange ──────────────► counts
//!              └────► flagged ──► counts, or quarantine ── officer ──► counts, or is rejected
//! ```

mod sightings;

use super::casting::decline;
use super::messages::{
    BallotSettled, DeclineReason, Event, Phase, Precaution, QuarantineEnded, QuarantineEnding, Receipt, Reject, Reply,
    ScreeningSet, SetScreening, SettleBallot, Verdict, VoterId,
};
use super::publishing::Answer;
use super::{Votes, topics};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Cursor, Out, Progress, Timestamp};
use sightings::Judgement;
pub(super) use sightings::{Origin, Quarantined, Screening};

/// Rules that a ballot has met, a bit each.
pub mod rules {
    /// Its source has cast more ballots in the period than it may.
    pub const SOURCE: u8 = 1;
    /// More voters have voted from its device than may.
    pub const DEVICE: u8 = 2;
    /// Its source has tried more often than it may while the election was not open.
    pub const ATTEMPTS: u8 = 4;
}

impl Votes {
    /// Says by which rules ballots of an election are screened from now on.
    pub(super) fn set_screening(&mut self, asked: &SetScreening, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let place = self.elections.place(asked.election)?;
        let election = &self.elections[place];
        if !asked.is_sound() {
            return Err(Reject::BadScreening);
        }
        let reason = match election.phase.get() {
            _ if election.is_anonymous() => Some(DeclineReason::Anonymous),
            Phase::Draft | Phase::Open => None,
            Phase::Closed | Phase::Certified => Some(DeclineReason::WrongPhase),
        };
        if let Some(reason) = reason {
            return Ok(decline(asked.election, VoterId(0), reason, out));
        }
        self.screening.rules[place as usize] = *asked;
        let (election, reserved) = (asked.election, Reserved::default());
        out.reply(Reply::ScreeningSet(&ScreeningSet { election, reserved }));
        Ok(Progress::Done)
    }

    /// A voter's ballot in quarantine.
    #[inline]
    pub(super) fn held(&self, place: u32, voter: VoterId) -> Option<Quarantined> {
        let election = &self.elections[place];
        if election.held == 0 {
            return None;
        }
        self.screening.find_held(election.id(), voter).map(|at| self.screening.held[at])
    }

    /// Notes that a ballot came while its election was not open, and says when that is once too often.
    pub(super) fn note_attempt(
        &mut self,
        place: u32,
        voter: VoterId,
        origin: Origin,
        out: &mut Out<'_, Self>,
    ) -> Result<(), Reject> {
        if self.screening.note_attempt(place, origin)? {
            let id = self.elections[place].id();
            let precaution = self.screening.rules[place as usize].attempts_precaution.get();
            self.say_flagged(&Quarantined::of(id, voter, origin, rules::ATTEMPTS, 0, 0), precaution, out);
        }
        Ok(())
    }

    /// Notes a ballot that was judged, and says what is strange about it. Whether it is kept out of the count, in quarantine.
    #[inline]
    pub(super) fn screen(
        &mut self,
        now: Timestamp,
        place: u32,
        voter: VoterId,
        judged: Judgement,
        ballot: u32,
        out: &mut Out<'_, Self>,
    ) -> bool {
        self.screening.note(now, place, voter, judged.origin);
        if judged.rules == 0 {
            return false;
        }
        let id = self.elections[place].id();
        let held = Quarantined::of(id, voter, judged.origin, judged.rules, self.last_receipt, ballot);
        let precaution = if judged.quarantines { Precaution::Quarantine } else { Precaution::Flag };
        self.say_flagged(&held, precaution, out);
        if judged.quarantines {
            self.screening.hold(held);
            self.elections[place].held += 1;
        }
        judged.quarantines
    }

    fn say_flagged(&self, held: &Quarantined, precaution: Precaution, out: &mut Out<'_, Self>) {
        out.publish(topics::SCREENING, held.election.0, Event::BallotFlagged(&held.flagged(precaution)));
    }

    /// Takes a voter's ballot out of quarantine.
    pub(super) fn end_quarantine(
        &mut self,
        place: u32,
        voter: VoterId,
        ending: QuarantineEnding,
        out: &mut Out<'_, Self>,
    ) -> Quarantined {
        let id = self.elections[place].id();
        let held = self.screening.release(id, voter);
        self.elections[place].held -= 1;
        let (receipt, ending, reserved) = (Receipt(held.receipt), ending.into(), Reserved::default());
        let ended = QuarantineEnded { receipt, voter, ending, reserved };
        out.publish(topics::SCREENING, id.0, Event::QuarantineEnded(&ended));
        held
    }

    /// Has a ballot in quarantine counted, or rejects it. An election that waited for it to be settled is counted.
    pub(super) fn settle(
        &mut self,
        now: Timestamp,
        command: SettleBallot,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let SettleBallot { election: id, voter: number, verdict, .. } = command;
        let place = self.elections.place(id)?;
        let Some(voter) = self.elections.voter(place, number).filter(|_| self.held(place, number).is_some()) else {
            return Ok(decline(id, number, DeclineReason::NotHeld, out));
        };
        let counts = verdict.get() == Verdict::Count;
        let ending = if counts { QuarantineEnding::Counted } else { QuarantineEnding::Rejected };
        let held = self.end_quarantine(place, number, ending, out);
        if counts {
            self.put(place, number, voter, held.receipt, held.ballot);
        }
        let (receipt, reserved) = (Receipt(held.receipt), Reserved::default());
        out.reply(Reply::BallotSettled(&BallotSettled { receipt, election: id, voter: number, verdict, reserved }));
        let election = &self.elections[place];
        Ok(match election.phase.get() {
            Phase::Open if counts => self.note_change(place, election.row(voter), now, out),
            Phase::Closed if election.held == 0 => self.report(place, Some(Answer::Nobody), out),
            _ => Progress::Done,
        })
    }

    /// The ballots of an election that are in quarantine.
    pub(super) fn screening_snapshot(&self, place: u32, cursor: &mut Cursor, out: &mut Out<'_, Self>) -> Progress {
        let id = self.elections[place].id();
        let all = self.screening.held.entries();
        while let Some(held) = all.get(cursor.0 as usize) {
            if held.receipt != 0 && held.election == id {
                if out.room() == 0 {
                    return Progress::More;
                }
                out.part(Event::BallotFlagged(&held.flagged(Precaution::Quarantine)));
            }
            cursor.0 += 1;
        }
        Progress::Done
    }
}
