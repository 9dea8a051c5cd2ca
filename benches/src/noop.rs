//! A domain that does nothing, so that what is measured is everything else.

use ringfence_kernel::domain::{Context, Cursor, Domain, Out, Progress};
use ringfence_kernel::ids::{DomainId, Timestamp, Topic};
use ringfence_kernel::reject::{Code, Row};
use ringfence_kernel::session::{Roles, SessionChange};
use ringfence_kernel::state::{Corrupt, Sink, Source};
use ringfence_kernel::{limits, messages};
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

limits! {
    /// None that matter.
    pub struct NoopLimits {
        /// Not used.
        unused = 0 in 0..=0,
    }
}

messages! {
    /// 32 bytes of body: an image of 64 bytes.
    pub enum Command in schema 63 version 1 {
        /// Is answered and changes a counter.
        1 => Ping: 32 {
            /// Comes back.
            token: u64,
            /// Is added up.
            amount: u64,
            /// Fills the cache line.
            filler: [u8; 16],
        },
    }
}

messages! {
    /// 16 bytes of body: an image of 64 bytes.
    pub enum Reply in schema 63 version 1 {
        /// Answers a ping.
        51 => Pong: 16 {
            /// What was sent.
            token: u64,
            /// The sum so far.
            total: u64,
        },
    }
}

messages! {
    /// None is said.
    pub enum Event in schema 63 version 1 {
        /// Never said.
        101 => Silence: 8 {
            /// Nothing.
            nothing: u64,
        },
    }
}

/// Counts, so that it cannot be optimised away.
#[derive(Debug)]
pub struct Noop {
    total: u64,
    /// Divisions in a row that each decision takes longer. Not state: it changes when an answer comes, not what it is.
    burn: u32,
}

/// What [`burn`] set, for the domains made after it.
static BURN: AtomicU32 = AtomicU32::new(0);

/// Makes each decision of the domain longer by `divisions` in a row, to see whether a comparison finds it.
pub fn burn(divisions: u32) {
    BURN.store(divisions, Ordering::Relaxed);
}

impl Domain for Noop {
    const ID: DomainId = DomainId(63);
    const NAME: &'static str = "noop";
    const VERSION: u16 = 1;
    const REJECTS: &'static [Row] = &[];
    type Command<'a> = Command<'a>;
    type Reply<'a> = Reply<'a>;
    type Event<'a> = Event<'a>;
    type Reject = Code;
    type Limits = NoopLimits;

    fn topics(_: &NoopLimits) -> u64 {
        0
    }

    fn new(_: &NoopLimits) -> Self {
        Self { total: 0, burn: BURN.load(Ordering::Relaxed) }
    }

    fn roles_needed(_: &Command<'_>) -> Roles {
        Roles::TRADE
    }

    #[inline]
    fn apply(&mut self, _: Context, command: Command<'_>, out: &mut Out<'_, Self>) -> Result<Progress, Code> {
        let Command::Ping(ping) = command;
        let mut burnt = u64::MAX;
        for _ in 0..self.burn {
            // Nanoseconds, and not to be done beside each other: a pause of the processor is too long to add 5 %.
            burnt = black_box(burnt) / black_box(3);
        }
        black_box(burnt);
        self.total = self.total.wrapping_add(ping.amount);
        out.reply(Reply::Pong(&Pong { token: ping.token, total: self.total }));
        Ok(Progress::Done)
    }

    fn resume(&mut self, _: Context, _: &mut Out<'_, Self>) -> Progress {
        Progress::Done
    }

    fn on_time(&mut self, _: Context, _: &mut Out<'_, Self>) -> Progress {
        Progress::Done
    }

    fn on_session(&mut self, _: Context, _: SessionChange, _: &mut Out<'_, Self>) -> Progress {
        Progress::Done
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        None
    }

    fn snapshot_topic(&self, _: Topic, _: &mut Cursor, _: &mut Out<'_, Self>) -> Option<Progress> {
        None
    }

    fn save(&self, sink: &mut impl Sink) {
        sink.value(&self.total);
    }

    fn load(_: &NoopLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        Ok(Self { total: source.value()?, burn: BURN.load(Ordering::Relaxed) })
    }
}

ringfence_kernel::registry! {
    /// The one domain that does nothing.
    pub struct NoopOnly {
        noop: Noop,
    }
}
