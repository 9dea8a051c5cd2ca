//! A count, stage by stage, as events; and the snapshots of topics.

use super::counting::{Advance, TIED_WORDS};
use super::elections::Final;
use super::messages::{
    CandidateCounted, CandidateId, CountState, ElectionCounted, Event, LastPlacesCounted, PairCounted, Phase,
    PhaseChanged, Reply, StageCounted, Standing, Tally, TieFound,
};
use super::{Pending, Votes, topics};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Cursor, Out, Progress, Topic};

/// How a count is answered when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A window began it: nobody waits.
    Nobody,
    /// As the new phase.
    PhaseChanged,
    /// As a count.
    Counted,
}

/// A count that goes on: what of it was said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counting {
    place: u32,
    answer: Answer,
    /// What the counter did last; none before its first stage.
    now: Option<Advance>,
    /// The next event of it.
    next: usize,
}

impl Counting {
    pub(super) const fn new(place: u32, answer: Answer) -> Self {
        Self { place, answer, now: None, next: 0 }
    }
}

impl Votes {
    /// Counts and publishes until the outbox is full or all is said.
    pub(super) fn go_on_counting(&mut self, mut counting: Counting, out: &mut Out<'_, Self>) -> Progress {
        let election = &self.elections[counting.place];
        let (id, first_ballot) = (election.id().0, election.first_ballot);
        loop {
            let now = *counting.now.get_or_insert_with(|| self.counter.advance(&self.ballots, first_ballot));
            while let Some(event) = self.counted(now, counting.next) {
                if out.room() == 0 {
                    self.pending = Some(Pending::Counting(counting));
                    return Progress::More;
                }
                counting.next += 1;
                match &event {
                    Said::Stage(stage) => out.publish(topics::COUNTS, id, Event::StageCounted(stage)),
                    Said::Candidate(row) => out.publish(topics::COUNTS, id, Event::CandidateCounted(row)),
                    Said::LastPlaces(row) => out.publish(topics::COUNTS, id, Event::LastPlacesCounted(row)),
                    Said::Pair(pair) => out.publish(topics::COUNTS, id, Event::PairCounted(pair)),
                    Said::Tie(tie) => out.publish(topics::COUNTS, id, Event::TieFound(tie)),
                }
            }
            if now != Advance::Stage {
                return self.end_counting(counting, now, out);
            }
            (counting.now, counting.next) = (None, 0);
        }
    }

    /// Keeps what an official count found, says so, and answers.
    fn end_counting(&mut self, counting: Counting, now: Advance, out: &mut Out<'_, Self>) -> Progress {
        let place = counting.place;
        if matches!(self.elections[place].phase.get(), Phase::Closed | Phase::Certified) {
            if out.room() == 0 {
                self.pending = Some(Pending::Counting(counting));
                return Progress::More;
            }
            let state = if now == Advance::Complete { CountState::Complete } else { CountState::Tied };
            let mut tied = [0; TIED_WORDS];
            if now == Advance::Tied {
                self.counter.tied().iter().for_each(|at| tied[usize::from(*at) / 64] |= 1 << (at % 64));
            }
            let election = &mut self.elections[place];
            (election.count, election.tied, election.stages) = (state.into(), tied, self.counter.stage());
            for (at, kept) in self.elections.finals_mut(place).iter_mut().enumerate() {
                *kept = Final::new(self.counter.votes(at), self.counter.standing(at).into(), self.counter.seats(at));
            }
            self.say_changed(place, out);
        }
        self.answer(place, counting.answer, out);
        Progress::Done
    }

    /// Answers the officer, when one waits.
    pub(super) fn answer(&self, place: u32, answer: Answer, out: &mut Out<'_, Self>) {
        let election = &self.elections[place];
        let id = election.id();
        match answer {
            Answer::Nobody => {}
            Answer::PhaseChanged => {
                let (phase, count, reserved) = (election.phase, election.count, Reserved::default());
                out.reply(Reply::PhaseChanged(&PhaseChanged { election: id, phase, count, reserved }));
            }
            Answer::Counted => {
                let candidates = 0..usize::from(election.terms.candidates);
                let elected = candidates.filter(|at| self.counter.standing(*at) == Standing::Elected).count() as u16;
                let (stages, tie, reserved) = (self.counter.stage(), self.counter.tie(), Reserved::default());
                out.reply(Reply::ElectionCounted(&ElectionCounted { election: id, stages, elected, tie, reserved }));
            }
        }
    }

    /// The event number `next` of what the counter did.
    fn counted(&self, now: Advance, next: usize) -> Option<Said> {
        let counter = &self.counter;
        let stage = counter.stage();
        match now {
            Advance::Stage => {
                let Some(at) = next.checked_sub(1) else { return Some(Said::Stage(counter.summary())) };
                let Some(at) = at.checked_sub(counter.candidates()) else {
                    let (votes, standing, seats) = (counter.votes(at), counter.standing(at), counter.seats(at));
                    return Some(Said::Candidate(candidate_counted(at, stage, votes, standing, seats)));
                };
                counter.last_place(at).map(Said::LastPlaces)
            }
            Advance::Complete => counter.pair(next).map(Said::Pair),
            Advance::Tied => {
                let candidate = CandidateId(*counter.tied().get(next)? + 1);
                let (tie, question) = (counter.tie(), counter.question().into());
                Some(Said::Tie(TieFound { tie, candidate, stage, question, reserved: Reserved::default() }))
            }
        }
    }

    pub(super) fn snapshot(&self, topic: Topic, cursor: &mut Cursor, out: &mut Out<'_, Self>) -> Option<Progress> {
        if topic.kind() == Topic::ACCOUNT {
            // Nothing is private to a client here.
            return Some(Progress::Done);
        }
        let place = self.elections.place(super::messages::ElectionId(topic.id())).ok()?;
        let election = &self.elections[place];
        match topic.kind() {
            topics::PHASES => out.part(Event::ElectionChanged(&self.elections.changed(place))),
            topics::COUNTS => {
                let finals = self.elections.finals(place).iter().enumerate().skip(cursor.0 as usize);
                for (at, row) in finals.filter(|(_, row)| row.standing.try_get().is_some()) {
                    if out.room() == 0 {
                        return Some(Progress::More);
                    }
                    let row = candidate_counted(at, election.stages, row.votes.0, row.standing.get(), row.seats);
                    out.part(Event::CandidateCounted(&row));
                    *cursor = Cursor(at as u64 + 1);
                }
            }
            topics::REPORTS => return Some(self.reports_snapshot(place, cursor, out)),
            topics::SCREENING => return Some(self.screening_snapshot(place, cursor, out)),
            _ => return None,
        }
        Some(Progress::Done)
    }
}

/// An event of a count.
enum Said {
    Stage(StageCounted),
    Candidate(CandidateCounted),
    LastPlaces(LastPlacesCounted),
    Pair(PairCounted),
    Tie(TieFound),
}

fn candidate_counted(at: usize, stage: u16, votes: u64, standing: Standing, seats: u16) -> CandidateCounted {
    CandidateCounted {
        votes: Tally(votes),
        stage,
        candidate: CandidateId(at as u16 + 1),
        seats,
        standing: standing.into(),
        reserved: Reserved::default(),
    }
}
