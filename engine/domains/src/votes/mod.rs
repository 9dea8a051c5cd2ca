//! Vote tallying: elections with a roll, one ballot a voter, counted exactly. `README.md` has the rules in plain words.
//!
//! [`Votes::apply`] is the table of contents. Elections stand in `elections` with their rolls, different ballots in
//! `ballots`, and those that move from candidate to candidate also in `rankings`, by how they begin. `screening` looks at
//! where ballots come from, `reports` keeps what each region has, `counting` makes stages and `publishing` says those.
#![doc = include_str!("README.md")]

pub mod messages;

mod casting;
mod conduct;
mod publishing;
mod reports;
pub mod screening;
mod tokens;

mod ballots;
mod counting;
mod elections;
mod rankings;

mod state;

#[cfg(any(test, feature = "models"))]
pub mod model;
pub mod workload;

#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod tests;

use ballots::Ballots;
use counting::Counter;
use elections::Elections;
use messages::{CastBallot, CastOnline, Command, Event, Mark, Reject, Reply, VotesLimits};
use publishing::Counting;
use reports::{Reporting, Reports};
use ringfence_kernel::{
    Context, Corrupt, Cursor, Domain, DomainId, Out, Progress, Roles, SessionChange, Sink, Source, Timestamp, Topic,
};
use screening::{Origin, Screening};
use tokens::Tokens;

/// Kinds of topics of this domain; their id is the election.
pub mod topics {
    /// [`super::messages::ElectionChanged`]. Its snapshot is where the election stands.
    pub const PHASES: u16 = 1;
    /// Stages of counts. Its snapshot is the candidates at the end of the official count.
    pub const COUNTS: u16 = 2;
    /// What regions report. Its snapshot is all that is released.
    pub const REPORTS: u16 = 3;
    /// Ballots that are flagged, and how their quarantine ends. Its snapshot is the quarantine.
    pub const SCREENING: u16 = 4;
}

/// All elections, their rolls and their ballots.
#[derive(Debug)]
pub struct Votes {
    elections: Elections,
    ballots: Ballots,
    reports: Reports,
    tokens: Tokens,
    screening: Screening,
    /// The receipt given last.
    last_receipt: u64,
    /// Room for one count.
    counter: Counter,
    /// What goes on in [`Domain::resume`] or [`Domain::on_time`]. Nothing is saved while there is something.
    pending: Option<Pending>,
}

/// What a decision has still to do.
#[derive(Clone, Copy, Debug)]
enum Pending {
    Counting(Counting),
    Reporting(Reporting),
}

impl Domain for Votes {
    const ID: DomainId = DomainId(4);
    const NAME: &'static str = "votes";
    const VERSION: u16 = 1;
    const REJECTS: &'static [ringfence_kernel::reject::Row] = Reject::TABLE;

    type Command<'a> = Command<'a>;
    type Reply<'a> = Reply<'a>;
    type Event<'a> = Event<'a>;
    type Reject = Reject;
    type Limits = VotesLimits;

    fn topics(limits: &VotesLimits) -> u64 {
        // The phase, the counts, the reports and the screening of each election.
        limits.elections.saturating_mul(4)
    }

    fn new(limits: &VotesLimits) -> Self {
        Self {
            elections: Elections::new(limits),
            ballots: Ballots::new(limits),
            reports: Reports::new(limits),
            tokens: Tokens::new(limits),
            screening: Screening::new(limits),
            last_receipt: 0,
            counter: Counter::new(limits.ballots as usize),
            pending: None,
        }
    }

    fn roles_needed(command: &Command<'_>) -> Roles {
        match command {
            Command::CastBallot(..)
            | Command::CastOnline(..)
            | Command::IssueToken(..)
            | Command::CastAnonymously(..) => Roles::TRADE,
            _ => Roles::ADMINISTER,
        }
    }

    #[inline]
    fn apply(&mut self, context: Context, command: Command<'_>, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        debug_assert!(self.pending.is_none(), "a decision is ended before the next one");
        match command {
            Command::CastBallot(command, marks) => self.cast(context.now, *command, Origin::default(), marks, out),
            Command::CastOnline(command, marks) => {
                let CastOnline { source, device, election, voter } = *command;
                self.cast(context.now, CastBallot { election, voter }, Origin { source, device }, Mark::of(marks), out)
            }
            Command::SetScreening(command) => self.set_screening(command, out),
            Command::SettleBallot(command) => self.settle(context.now, *command, out),
            Command::IssueToken(command) => self.issue(*command, out),
            Command::CastAnonymously(command, marks) => {
                self.cast_anonymously(context.now, command, Mark::of(marks), out)
            }
            Command::SpoilBallot(command) => self.spoil(context.now, *command, out),
            Command::RegisterVoters(command, voters) => self.register(*command, voters, out),
            Command::DefineElection(command) => self.define(context, command, out),
            Command::SetPhase(command) => self.set_phase(*command, out),
            Command::CountElection(command) => self.count(*command, out),
            Command::DecideTie(command) => self.decide_tie(*command, out),
            Command::DeclareWriteIn(command) => self.declare(*command, out),
        }
    }

    fn resume(&mut self, _: Context, out: &mut Out<'_, Self>) -> Progress {
        self.go_on(out)
    }

    fn on_time(&mut self, context: Context, out: &mut Out<'_, Self>) -> Progress {
        self.windows(context.now, out)
    }

    fn on_session(&mut self, _: Context, _: SessionChange, _: &mut Out<'_, Self>) -> Progress {
        // Elections outlive the sessions of those who conduct them.
        Progress::Done
    }

    #[inline]
    fn next_deadline(&self) -> Option<Timestamp> {
        // While a count goes on that a window began, what is due is not done.
        let next = [self.elections.next_window(), self.elections.next_refresh()];
        next.into_iter().flatten().map(|(deadline, _)| deadline).min()
    }

    fn snapshot_topic(&self, topic: Topic, cursor: &mut Cursor, out: &mut Out<'_, Self>) -> Option<Progress> {
        self.snapshot(topic, cursor, out)
    }

    fn save(&self, sink: &mut impl Sink) {
        self.write(sink);
    }

    fn load(limits: &VotesLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        Self::read(limits, source)
    }
}

impl Votes {
    /// Goes on with what the decision has still to do.
    fn go_on(&mut self, out: &mut Out<'_, Self>) -> Progress {
        match self.pending.take() {
            None => Progress::Done,
            Some(Pending::Counting(counting)) => self.go_on_counting(counting, out),
            Some(Pending::Reporting(reporting)) => self.say_reports(reporting, out),
        }
    }
}
