//! What a reading of the counters says, beside an earlier one: rates, occupancy, lags, percentiles.

use crate::counters::Life;
use ringfence_counters::{Distribution, Fault, Reading};
use ringfence_kernel::reject::Refusal;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// What `top` shows. As JSON its names are these fields; counts are since the engine's start.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// The engine's process.
    pub process: u64,
    /// Whether it is still there: `alive`, `ended`, `rebooted`.
    pub life: &'static str,
    /// The build's version.
    pub build: String,
    /// When the engine started, in nanoseconds since the Unix epoch.
    pub started_ns: u64,
    /// How long it has run, by its own clock, in seconds.
    pub up_seconds: u64,
    /// The durability level.
    pub level: &'static str,
    /// Threads of the layout.
    pub threads: u64,
    /// One command in so many is timed.
    pub sample_every: u64,
    /// Seconds over which rates and recent percentiles are taken; none in a first reading.
    pub seconds: Option<f64>,
    /// Commands sequenced.
    pub commands: Rate,
    /// Answers to commands.
    pub replies: Rate,
    /// Events of topics.
    pub events: Rate,
    /// Bytes read from sockets.
    pub bytes_read: Rate,
    /// Bytes written to sockets.
    pub bytes_written: Rate,
    /// Connections open.
    pub connections: u64,
    /// Sessions open or opening.
    pub sessions: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Logons refused: unknown clients, wrong proofs, other protocols, logons that did not come.
    pub logons_refused: u64,
    /// Times that a connection's events were dropped, to be replaced by a snapshot.
    pub overruns: u64,
    /// The ingress ring.
    pub ingress: Ring,
    /// Slots of it that wait for the journal.
    pub waits_for_journal: u64,
    /// Slots of it that wait for the gate.
    pub waits_for_replicate: u64,
    /// Slots of it that wait for the domains.
    pub waits_for_execute: u64,
    /// The egress ring.
    pub egress: Ring,
    /// Commands appended.
    pub appended: u64,
    /// Commands that survive loss of power.
    pub durable: u64,
    /// Commands appended and not durable.
    pub durable_lag: u64,
    /// Commands decided.
    pub executed: u64,
    /// The segment that is written.
    pub segment: u64,
    /// Steps in which the journal had no room.
    pub journal_full: u64,
    /// Percentiles by name: `batch` in commands; `sync`, `appended`, `released`, `decided`, `written` in nanoseconds.
    pub percentiles: BTreeMap<&'static str, Spread>,
    /// Refusals and closings, the most frequent first.
    pub rejects: Vec<Reject>,
}

/// Something that only grows.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rate {
    /// Since the start.
    pub total: u64,
    /// A second, since the earlier reading.
    pub per_second: Option<f64>,
}

/// How full a ring is.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ring {
    /// Slots in use.
    pub used: u64,
    /// Slots that it has.
    pub slots: u64,
    /// Claims that found no room.
    pub full: u64,
}

/// Percentiles of the time since the earlier reading, and since the start.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Spread {
    /// Since the earlier reading; none in a first one, or when nothing was recorded.
    pub recent: Option<Percentiles>,
    /// Since the start.
    pub all: Option<Percentiles>,
}

/// Percentiles, each at most 3.2 % too high.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// Half are no larger.
    pub p50: u64,
    /// 90 % are no larger.
    pub p90: u64,
    /// 99 % are no larger.
    pub p99: u64,
    /// 99.9 % are no larger.
    #[serde(rename = "p99.9")]
    pub p999: u64,
    /// The largest.
    pub worst: u64,
    /// Values recorded.
    pub count: u64,
}

/// Refusals and closings with one code.
#[derive(Clone, Debug, Serialize)]
pub struct Reject {
    /// The code.
    pub code: u16,
    /// Its name.
    pub name: String,
    /// How many.
    #[serde(flatten)]
    pub rate: Rate,
}

/// The histograms of a counters file, by the name that they have here.
const SPREADS: [(&str, &str); 6] = [
    ("batch", "journal.batch"),
    ("sync", "sync.duration"),
    ("appended", "age.appended"),
    ("released", "age.released"),
    ("decided", "age.decided"),
    ("written", "age.written"),
];

impl Figures {
    /// What `now` says, and what it says beside `before`, a reading of the same engine so much earlier.
    ///
    /// # Errors
    /// [`Fault::Missing`] when a value is not in the file.
    pub fn of(now: &Reading, before: Option<(&Reading, Duration)>, life: Life) -> Result<Self, Fault> {
        let before = before.filter(|(earlier, elapsed)| same_engine(earlier, now) && !elapsed.is_zero());
        let value = |name| now.value(name);
        let rate = |name| {
            let per_second = |(earlier, elapsed): (&Reading, Duration)| {
                Ok::<_, Fault>(now.value(name)?.saturating_sub(earlier.value(name)?) as f64 / elapsed.as_secs_f64())
            };
            Ok::<_, Fault>(Rate { total: value(name)?, per_second: before.map(per_second).transpose()? })
        };
        let rejects = rejects(now, before);
        let slots = value("engine.ring_slots")?;
        let between = |from, to| Ok::<_, Fault>(value(from)?.saturating_sub(value(to)?).min(slots));
        let (appended, durable) = (value("journal.appended")?, value("journal.durable")?);
        let header = &now.header;
        let refused = [Refusal::LogonRefused, Refusal::ProtocolMismatch, Refusal::LogonTimeout].map(|code| code as u16);
        Ok(Self {
            process: header.process,
            life: match life {
                Life::Alive => "alive",
                Life::Ended => "ended",
                Life::Rebooted => "rebooted",
            },
            build: text(&header.build),
            started_ns: header.started,
            up_seconds: value("gateway.clock")?.saturating_sub(header.started) / 1_000_000_000,
            level: if value("engine.durable")? > 0 { "fsync" } else { "cached" },
            threads: value("engine.threads")?,
            sample_every: value("engine.sample_every")?,
            seconds: before.map(|(_, elapsed)| elapsed.as_secs_f64()),
            commands: rate("gateway.commands")?,
            replies: rate("gateway.replies")?,
            events: rate("gateway.events")?,
            bytes_read: rate("gateway.bytes_read")?,
            bytes_written: rate("gateway.bytes_written")?,
            connections: value("gateway.connections")?,
            sessions: value("gateway.sessions")?,
            accepted: value("gateway.accepted")?,
            logons_refused: rejects.iter().filter(|row| refused.contains(&row.code)).map(|row| row.rate.total).sum(),
            overruns: value("gateway.overruns")?,
            ingress: Ring {
                used: between("ingress.published", "execute.position")?,
                slots,
                full: value("ingress.full")?,
            },
            waits_for_journal: between("ingress.published", "journal.position")?,
            waits_for_replicate: between("journal.position", "replicate.position")?,
            waits_for_execute: between("replicate.position", "execute.position")?,
            egress: Ring { used: between("egress.published", "egress.drained")?, slots, full: value("egress.full")? },
            appended,
            durable,
            durable_lag: appended.saturating_sub(durable),
            executed: value("execute.executed")?,
            segment: value("journal.segment")?,
            journal_full: value("journal.full")?,
            percentiles: SPREADS
                .iter()
                .map(|(name, at)| {
                    let all = now.distribution(at)?;
                    let recent = before.map(|(earlier, _)| Ok::<_, Fault>(all.since(&earlier.distribution(at)?)));
                    let recent = recent.transpose()?.as_ref().and_then(percentiles);
                    Ok((*name, Spread { recent, all: percentiles(&all) }))
                })
                .collect::<Result<_, Fault>>()?,
            rejects,
        })
    }
}

/// Whether two readings are of one process: a file is replaced at every start.
fn same_engine(one: &Reading, other: &Reading) -> bool {
    one.header == other.header
}

fn rejects(now: &Reading, before: Option<(&Reading, Duration)>) -> Vec<Reject> {
    let rows = now.rejects().map(|(code, name, total)| {
        let per_second = before.map(|(earlier, elapsed)| {
            let then = earlier.rejects().find(|(other, ..)| *other == code).map_or(0, |(.., total)| total);
            total.saturating_sub(then) as f64 / elapsed.as_secs_f64()
        });
        Reject { code, name: name.into(), rate: Rate { total, per_second } }
    });
    let mut rows = rows.collect::<Vec<_>>();
    rows.sort_by_key(|row| std::cmp::Reverse(row.rate.total));
    rows
}

fn percentiles(of: &Distribution) -> Option<Percentiles> {
    Some(Percentiles {
        p50: of.percentile(500_000)?,
        p90: of.percentile(900_000)?,
        p99: of.percentile(990_000)?,
        p999: of.percentile(999_000)?,
        worst: of.worst()?,
        count: of.total(),
    })
}

fn text(bytes: &[u8]) -> String {
    let printed = bytes.iter().take_while(|byte| byte.is_ascii_graphic());
    printed.map(|byte| char::from(*byte)).collect()
}
