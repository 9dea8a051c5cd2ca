//! What officers do: prepare, register, open, close, count, decide ties, certify. And the windows that open and close.

use super::Votes;
use super::casting::decline;
use super::messages::{
    CountElection, CountState, DECISIONS_MAX, DecideTie, DeclareWriteIn, DeclineReason, DefineElection,
    ElectionDefined, Event, Phase, RegisterVoters, Registration, Reject, Reply, Results, SetPhase, VoterEntry, VoterId,
    VotersRegistered, WriteInDeclared,
};
use super::publishing::{Answer, Counting};
use super::topics;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Out, Progress, Timestamp};

const NOBODY: VoterId = VoterId(0);

impl Votes {
    pub(super) fn define(
        &mut self,
        context: Context,
        terms: &DefineElection,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        if let Some(place) = self.elections.define(context.now, terms, &mut self.reports)? {
            self.say_changed(place, out);
        }
        let (election, reserved) = (terms.election, Reserved::default());
        out.reply(Reply::ElectionDefined(&ElectionDefined { election, reserved }));
        Ok(Progress::Done)
    }

    pub(super) fn register(
        &mut self,
        command: RegisterVoters,
        voters: &[VoterEntry],
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let RegisterVoters { election: id, first } = command;
        let place = self.elections.place(id)?;
        let election = &self.elections[place];
        let in_time = match election.phase.get() {
            Phase::Draft => true,
            Phase::Open => election.terms.registration.get() == Registration::UntilClosed,
            Phase::Closed | Phase::Certified => false,
        };
        if !in_time {
            return Ok(decline(id, NOBODY, DeclineReason::WrongPhase, out));
        }
        let added = self.elections.register(place, first, voters)?;
        let (registered, reserved) = (self.elections.registered(place), Reserved::default());
        out.reply(Reply::VotersRegistered(&VotersRegistered { election: id, added, registered, reserved }));
        Ok(Progress::Done)
    }

    pub(super) fn set_phase(&mut self, command: SetPhase, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let SetPhase { election: id, phase, .. } = command;
        let place = self.elections.place(id)?;
        let election = &self.elections[place];
        let reason = match (election.phase.get(), phase.get()) {
            (Phase::Draft, Phase::Open) | (Phase::Open, Phase::Closed) => None,
            (Phase::Closed, Phase::Certified) => match () {
                () if election.count.get() != CountState::Complete => Some(DeclineReason::NotCounted),
                () if election.ballots < election.terms.quorum => Some(DeclineReason::QuorumNotMet),
                () => None,
            },
            _ => Some(DeclineReason::WrongPhase),
        };
        if let Some(reason) = reason {
            return Ok(decline(id, NOBODY, reason, out));
        }
        Ok(self.enter(place, phase.get(), Answer::PhaseChanged, out))
    }

    /// Puts an election into its next phase and says so; one that is closed is counted.
    fn enter(&mut self, place: u32, phase: Phase, answer: Answer, out: &mut Out<'_, Self>) -> Progress {
        self.elections.set_phase(place, phase);
        self.say_changed(place, out);
        // What is in quarantine is settled before anything is counted.
        if phase == Phase::Closed && self.elections[place].held == 0 {
            return self.report(place, Some(answer), out);
        }
        self.answer(place, answer, out);
        Progress::Done
    }

    /// Opens, closes and releases what is due, earliest first; of what is due together windows come before releases, and the
    /// lower number first.
    pub(super) fn windows(&mut self, now: Timestamp, out: &mut Out<'_, Self>) -> Progress {
        if self.go_on(out) == Progress::More {
            return Progress::More;
        }
        let due = |next: Option<(Timestamp, u32)>| next.filter(|(at, _)| *at <= now);
        loop {
            let (window, refresh) = (due(self.elections.next_window()), due(self.elections.next_refresh()));
            if out.room() == 0 && window.or(refresh).is_some() {
                return Progress::More;
            }
            let place = match (window, refresh) {
                (Some((opens, place)), Some((refreshes, _))) if opens <= refreshes => place,
                (Some((_, place)), None) => place,
                (_, Some((_, place))) => {
                    if self.report(place, None, out) == Progress::More {
                        return Progress::More;
                    }
                    continue;
                }
                (None, None) => return Progress::Done,
            };
            let election = &self.elections[place];
            let opens = election.phase.get() == Phase::Draft && election.terms.opens != Timestamp(0);
            let phase = if opens { Phase::Open } else { Phase::Closed };
            if self.enter(place, phase, Answer::Nobody, out) == Progress::More {
                return Progress::More;
            }
        }
    }

    pub(super) fn count(&mut self, command: CountElection, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let place = self.elections.place(command.election)?;
        let election = &self.elections[place];
        let reason = match election.phase.get() {
            Phase::Draft => Some(DeclineReason::WrongPhase),
            Phase::Open if election.terms.results.get() == Results::AtClose => Some(DeclineReason::ResultsHidden),
            Phase::Closed if election.held > 0 => Some(DeclineReason::BallotsHeld),
            Phase::Open | Phase::Closed | Phase::Certified => None,
        };
        if let Some(reason) = reason {
            return Ok(decline(command.election, NOBODY, reason, out));
        }
        Ok(self.begin_counting(place, Answer::Counted, out))
    }

    /// Notes on whom the lot fell, and counts again with that.
    pub(super) fn decide_tie(&mut self, command: DecideTie, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let DecideTie { election: id, tie, candidate } = command;
        let place = self.elections.place(id)?;
        let election = &mut self.elections[place];
        let at = usize::from(candidate.0.wrapping_sub(1));
        let tied = election.tied.get(at / 64).is_some_and(|bits| bits >> (at % 64) & 1 == 1);
        if election.count.get() != CountState::Tied || tie != election.decided + 1 || !tied {
            return Ok(decline(id, NOBODY, DeclineReason::NoSuchTie, out));
        }
        let decided = usize::from(election.decided);
        if decided == DECISIONS_MAX {
            return Err(Reject::DecisionsFull);
        }
        election.decisions[decided] = candidate.0;
        election.decided += 1;
        Ok(self.begin_counting(place, Answer::Counted, out))
    }

    /// Lets a write-in stand as a candidate.
    pub(super) fn declare(&mut self, command: DeclareWriteIn, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let DeclareWriteIn { election: id, candidate, .. } = command;
        let place = self.elections.place(id)?;
        let election = &mut self.elections[place];
        let write_ins = election.terms.candidates - election.terms.write_ins + 1..=election.terms.candidates;
        let reason = match election.phase.get() {
            _ if !write_ins.contains(&candidate.0) => Some(DeclineReason::NoWriteIn),
            Phase::Draft | Phase::Open => None,
            Phase::Closed | Phase::Certified => Some(DeclineReason::WrongPhase),
        };
        if let Some(reason) = reason {
            return Ok(decline(id, NOBODY, reason, out));
        }
        let at = usize::from(candidate.0 - 1);
        election.declared[at / 64] |= 1 << (at % 64);
        let reserved = Reserved::default();
        out.reply(Reply::WriteInDeclared(&WriteInDeclared { election: id, candidate, reserved }));
        Ok(Progress::Done)
    }

    pub(super) fn begin_counting(&mut self, place: u32, answer: Answer, out: &mut Out<'_, Self>) -> Progress {
        self.counter.begin(&self.elections[place], &self.reports);
        self.go_on_counting(Counting::new(place, answer), out)
    }

    /// Says where an election stands. There is room for it.
    pub(super) fn say_changed(&self, place: u32, out: &mut Out<'_, Self>) {
        let changed = self.elections.changed(place);
        out.publish(topics::PHASES, changed.election.0, Event::ElectionChanged(&changed));
    }
}
