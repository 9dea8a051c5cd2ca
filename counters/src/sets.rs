//! What an engine counts, stage by stage. Each set moves to the stage's thread, which alone stores into it.

use crate::cells::{Counter, Histogram};
use crate::file::{Stage, Unit};
use crate::registrar::{Full, Registrar};

/// Everything that an engine counts.
#[derive(Debug)]
pub struct EngineCounters {
    /// For the gateway.
    pub gateway: GatewayCounters,
    /// For the gateway's end of the rings.
    pub port: PortCounters,
    /// For the journal stage.
    pub journal: JournalCounters,
    /// How long each write and sync of the journal took, in nanoseconds: for whoever syncs.
    pub syncs: Histogram,
    /// For the gate.
    pub replicate: ReplicateCounters,
    /// For the execute stage.
    pub execute: ExecuteCounters,
}

/// What a reader must know of the engine's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Slots of each ring.
    pub ring_slots: u64,
    /// Whether an answer waits for a sync.
    pub durable: bool,
    /// Threads of the layout.
    pub threads: u64,
    /// One command in so many is timed: a power of two.
    pub sample_every: u64,
}

/// What the gateway counts.
#[derive(Debug)]
pub struct GatewayCounters {
    /// The gateway's clock at the start of its last step: a sign of life.
    pub clock: Counter,
    /// Commands sequenced.
    pub commands: Counter,
    /// Answers to commands.
    pub replies: Counter,
    /// Events of topics.
    pub events: Counter,
    /// Times that a connection's events were dropped, to be replaced by a snapshot.
    pub overruns: Counter,
    /// Bytes read from sockets.
    pub bytes_read: Counter,
    /// Bytes written to sockets.
    pub bytes_written: Counter,
    /// Connections accepted.
    pub accepted: Counter,
    /// Connections open.
    pub connections: Counter,
    /// Sessions open or opening.
    pub sessions: Counter,
    /// Age of a sampled command when its answer had been passed to the socket.
    pub written: Histogram,
    /// Refusals and closings.
    pub rejects: Rejects,
}

/// What is counted where the gateway meets the rings.
#[derive(Debug)]
pub struct PortCounters {
    /// Slots published on the ingress ring.
    pub published: Counter,
    /// Claims that the ingress ring had no room for.
    pub full: Counter,
    /// Slots taken from the egress ring.
    pub drained: Counter,
}

/// What the journal stage counts.
#[derive(Debug)]
pub struct JournalCounters {
    /// Slots released.
    pub position: Counter,
    /// Commands appended.
    pub appended: Counter,
    /// Commands that survive loss of power.
    pub durable: Counter,
    /// The segment that is written.
    pub segment: Counter,
    /// Steps in which the journal had no room.
    pub full: Counter,
    /// Commands of a batch.
    pub batches: Histogram,
    /// Age of a sampled command when its batch was appended.
    pub appended_age: Histogram,
}

/// What the gate counts.
#[derive(Debug)]
pub struct ReplicateCounters {
    /// Slots released.
    pub position: Counter,
    /// Age of a sampled command when it was released.
    pub released_age: Histogram,
}

/// What the execute stage counts.
#[derive(Debug)]
pub struct ExecuteCounters {
    /// Slots released.
    pub position: Counter,
    /// Commands decided.
    pub executed: Counter,
    /// Slots published on the egress ring.
    pub published: Counter,
    /// Steps in which the egress ring had no room.
    pub full: Counter,
    /// Age of a sampled command when it was decided.
    pub decided_age: Histogram,
}

/// Refusals and closings by code.
#[derive(Debug)]
pub struct Rejects {
    /// By code, ascending.
    known: Vec<(u16, Counter)>,
    other: Counter,
}

impl Rejects {
    fn new<'a>(on: &mut Registrar, rows: impl Iterator<Item = &'a (u16, &'static str)>) -> Result<Self, Full> {
        let mut known = rows.map(|(code, name)| Ok((*code, on.reject(name, *code)?))).collect::<Result<Vec<_>, _>>()?;
        known.sort_unstable_by_key(|(code, _)| *code);
        Ok(Self { known, other: on.reject("(of no table)", u16::MAX)? })
    }

    /// Counts one.
    #[inline]
    pub fn count(&mut self, code: u16) {
        match self.known.binary_search_by_key(&code, |(code, _)| *code) {
            Ok(at) => self.known[at].1.add(1),
            Err(_) => self.other.add(1),
        }
    }
}

impl EngineCounters {
    /// Takes all counters of an engine; `rejects` are the codes with which it may refuse, and their names.
    ///
    /// # Errors
    /// [`Full`] when there are too many codes.
    pub fn new(on: &mut Registrar, settings: &Settings, rejects: &[(u16, &'static str)]) -> Result<Self, Full> {
        on.stage(Stage::Engine);
        on.gauge("engine.ring_slots", Unit::Slots)?.set(settings.ring_slots);
        on.gauge("engine.durable", Unit::Count)?.set(settings.durable.into());
        on.gauge("engine.threads", Unit::Count)?.set(settings.threads);
        on.gauge("engine.sample_every", Unit::Commands)?.set(settings.sample_every);
        on.stage(Stage::Gateway);
        let gateway = GatewayCounters::new(on, rejects)?;
        let port = PortCounters {
            published: on.counter("ingress.published", Unit::Slots)?,
            full: on.counter("ingress.full", Unit::Count)?,
            drained: on.counter("egress.drained", Unit::Slots)?,
        };
        on.stage(Stage::Journal);
        let journal = JournalCounters {
            position: on.counter("journal.position", Unit::Slots)?,
            appended: on.counter("journal.appended", Unit::Commands)?,
            durable: on.counter("journal.durable", Unit::Commands)?,
            segment: on.counter("journal.segment", Unit::Count)?,
            full: on.counter("journal.full", Unit::Count)?,
            batches: on.histogram("journal.batch", Unit::Commands)?,
            appended_age: on.histogram("age.appended", Unit::Nanoseconds)?,
        };
        on.stage(Stage::Sync);
        let syncs = on.histogram("sync.duration", Unit::Nanoseconds)?;
        on.stage(Stage::Replicate);
        let replicate = ReplicateCounters {
            position: on.counter("replicate.position", Unit::Slots)?,
            released_age: on.histogram("age.released", Unit::Nanoseconds)?,
        };
        on.stage(Stage::Execute);
        let execute = ExecuteCounters {
            position: on.counter("execute.position", Unit::Slots)?,
            executed: on.counter("execute.executed", Unit::Commands)?,
            published: on.counter("egress.published", Unit::Slots)?,
            full: on.counter("egress.full", Unit::Count)?,
            decided_age: on.histogram("age.decided", Unit::Nanoseconds)?,
        };
        Ok(Self { gateway, port, journal, syncs, replicate, execute })
    }
}

impl GatewayCounters {
    fn new(on: &mut Registrar, rejects: &[(u16, &'static str)]) -> Result<Self, Full> {
        Ok(Self {
            clock: on.counter("gateway.clock", Unit::Nanoseconds)?,
            commands: on.counter("gateway.commands", Unit::Commands)?,
            replies: on.counter("gateway.replies", Unit::Count)?,
            events: on.counter("gateway.events", Unit::Count)?,
            overruns: on.counter("gateway.overruns", Unit::Count)?,
            bytes_read: on.counter("gateway.bytes_read", Unit::Bytes)?,
            bytes_written: on.counter("gateway.bytes_written", Unit::Bytes)?,
            accepted: on.counter("gateway.accepted", Unit::Count)?,
            connections: on.gauge("gateway.connections", Unit::Count)?,
            sessions: on.gauge("gateway.sessions", Unit::Count)?,
            written: on.histogram("age.written", Unit::Nanoseconds)?,
            rejects: Rejects::new(on, rejects.iter())?,
        })
    }
}
