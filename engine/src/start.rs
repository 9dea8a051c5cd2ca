//! Starting: a journal is made or recovered, and the frames that a start adds to it are named.

use crate::config::{ConfigError, EngineConfig, GenesisConfig, JournalConfig, LimitsConfig};
use crate::knobs;
use crate::machine::Machine;
use crate::replay::{Observer, ReplayError, advance};
use crate::snapshots::{self, SnapshotError};
use ringfence_journal::{ChainWriter, Cut, Error, StorageHandle, Writer};
use ringfence_kernel::image::Slot;
use ringfence_kernel::messages::{Message, Reserved};
use ringfence_kernel::system::{ActivateLogicVersion, Frame, SetLimits, SetRoles, Started};
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, CommandHeader, DomainId, Registry, Roles, Sequence, Timestamp};
use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

/// A start that is refused; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The journal's directory cannot be made.
    #[error("the directory {} cannot be made", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] Error),
    /// Its snapshot cannot be used.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// It cannot be replayed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The configuration says other than what Genesis fixed.
    #[error("genesis.{field} is {configured}, but the journal was made with {fixed}; it cannot change")]
    Fixed {
        /// The setting.
        field: String,
        /// What the configuration says.
        configured: u64,
        /// What Genesis says.
        fixed: u64,
    },
    /// The configuration enables other domains than Genesis did.
    #[error("genesis.enabled: the journal was made with other domains; they cannot change")]
    Domains,
    /// The keys file names more clients than the journal can know, those of earlier starts included.
    #[error("the keys file and the journal name {named} clients, but the journal was made for {fixed}")]
    Clients {
        /// Clients named.
        named: usize,
        /// What Genesis says.
        fixed: u32,
    },
    /// An older version of the rules is asked for than is in force.
    #[error("limits.logic_version is {configured}, but {active} is in force; it cannot go back")]
    LogicBack {
        /// What the configuration says.
        configured: u32,
        /// What is in force.
        active: u32,
    },
    /// The wall clock is behind the log: commands would all carry the log's last time.
    #[error("the clock is {behind:?} behind the log's last time; set it right")]
    ClockBehind {
        /// How far.
        behind: Duration,
    },
    /// The wall clock is so far ahead of the log that it is likely wrong; the log's time never goes back.
    #[error("the clock is {ahead:?} ahead of the log's last time; if that is right, start once with --accept-clock")]
    ClockAhead {
        /// How far.
        ahead: Duration,
    },
}

/// How far the wall clock may be behind the log's last time.
const CLOCK_BEHIND_MAX: Duration = Duration::from_secs(10);
/// How far it may be ahead, unless the operator says that it is right.
const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// What a client may do, as the keys file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The client.
    pub client: ClientId,
    /// Which of its keys is in force.
    pub key_version: u32,
    /// In which domain.
    pub domain: DomainId,
    /// What it may do there.
    pub roles: Roles,
}

/// Everything that a start is told.
#[derive(Clone, Debug)]
pub struct StartConfig<'a> {
    /// Threads and rings.
    pub engine: &'a EngineConfig,
    /// The journal.
    pub journal: &'a JournalConfig,
    /// What Genesis fixes.
    pub genesis: &'a GenesisConfig,
    /// What may change.
    pub limits: &'a LimitsConfig,
    /// All grants in force; a client that has none left loses what it had.
    pub grants: Vec<Grant>,
    /// The wall clock.
    pub now: Timestamp,
    /// The wall clock is right, however far it is ahead.
    pub accept_clock: bool,
    /// Which build this is.
    pub build: u64,
}

/// An engine that is ready to be assembled.
#[derive(Debug)]
pub struct Ready<R> {
    /// The state.
    pub machine: Machine<R>,
    /// The journal.
    pub writer: Writer,
    /// The output chain beside it.
    pub chain: ChainWriter,
    /// The frames that the start adds, to be sequenced before any client's.
    pub frames: VecDeque<CommandImage>,
    /// What was done.
    pub report: StartReport,
}

/// What a start did.
#[derive(Debug)]
pub struct StartReport {
    /// Whether the journal was made by this start.
    pub created: bool,
    /// Where the snapshot stood from which the tail was replayed; 0 without one.
    pub snapshot: Sequence,
    /// Frames that were replayed from there.
    pub replayed: u64,
    /// Newer snapshots that were passed over.
    pub damaged: Vec<(PathBuf, Error)>,
    /// The commit that was cut off, when the last stop was none.
    pub cut: Option<Cut>,
}

/// Makes or recovers the journal. `each_event` sees the outputs of the replayed tail, for retransmission.
///
/// # Errors
/// [`StartError`].
pub fn start<R: Registry>(
    storage: &StorageHandle,
    config: &StartConfig<'_>,
    each_event: impl FnMut(&Slot),
) -> Result<Ready<R>, StartError> {
    config.engine.threads()?;
    let dir = &config.journal.directory;
    let mut options = knobs::journal_options(config.journal.options(config.engine)?);
    // A configuration that cannot be is refused before anything is made.
    config.genesis.frame::<R>(config.limits, 0, config.now)?;

    storage.create_dir(dir).map_err(|source| StartError::Directory { dir: dir.clone(), source })?;
    let loaded = snapshots::load_newest::<R>(storage, dir)?;
    let snapshot = loaded.machine.as_ref().map_or(Sequence(0), Machine::sequence);
    options.verify_from = snapshot;
    let opened = ringfence_journal::open(storage, dir, &options)?;
    let (mut writer, recovered) = (opened.writer, opened.recovered);

    let empty = recovered.next_sequence == Sequence(0);
    if empty {
        make_genesis::<R>(config, &mut writer)?;
    }
    let machine = advance(storage, dir, loaded.machine, None, &mut Tail { each_event })?;
    if !empty {
        check_genesis::<R>(config, &machine)?;
        check_clock(config, machine.now())?;
    }
    let report = StartReport {
        created: empty,
        snapshot,
        replayed: machine.sequence().0 - snapshot.0,
        damaged: loaded.damaged,
        cut: recovered.cut,
    };
    let frames = start_frames(config, &machine)?;
    Ok(Ready { machine, writer, chain: opened.chain, frames, report })
}

struct Tail<F> {
    each_event: F,
}

impl<F: FnMut(&Slot)> Observer for Tail<F> {
    fn outputs(&mut self, outputs: &[Slot]) {
        outputs.iter().for_each(&mut self.each_event);
    }
    fn executed(&mut self, _: Sequence, _: u64) {}
}

/// Appends frame 0 and makes it durable, whatever the level.
fn make_genesis<R: Registry>(config: &StartConfig<'_>, writer: &mut Writer) -> Result<(), StartError> {
    let journal = writer.journal().0 as u64;
    let frame = config.genesis.frame::<R>(config.limits, journal, config.now)?;
    let mut batch = loop {
        // The first segment is empty, so that there is room as soon as it is prepared.
        match writer.begin(frame.bytes().len())? {
            Some(batch) => break batch,
            None => std::thread::yield_now(),
        }
    };
    batch.push(frame.bytes());
    batch.commit(1);
    while writer.marks().durable() < Sequence(1) && config.journal.level == crate::config::Durability::Fsync {
        writer.sync()?;
    }
    Ok(())
}

/// Refuses a configuration that says other than Genesis.
fn check_genesis<R: Registry>(config: &StartConfig<'_>, machine: &Machine<R>) -> Result<(), StartError> {
    let frame = config.genesis.frame::<R>(config.limits, 0, config.now)?;
    let header = CommandHeader::read(frame.bytes()).expect("a frame has a header");
    let Ok(Frame::Genesis(configured, domains)) = Frame::decode(header.message, frame.body()) else {
        unreachable!("a Genesis frame was made above");
    };
    let (fixed, fixed_domains) = machine.origin();
    let fields = [
        ("reply_window", configured.reply_window, fixed.reply_window),
        ("clients_max", configured.clients_max, fixed.clients_max),
        ("topics_max", configured.topics_max, fixed.topics_max),
    ];
    for (field, configured, fixed) in fields {
        if configured != fixed {
            let field = field.to_string();
            return Err(StartError::Fixed { field, configured: configured.into(), fixed: fixed.into() });
        }
    }
    // A build that has learnt a domain since plays the journal without it, unless it is asked for by name.
    let ids =
        |domains: &[_]| domains.iter().map(|d: &ringfence_kernel::system::GenesisDomain| d.domain).collect::<Vec<_>>();
    if !config.genesis.enabled.is_empty() && ids(domains) != ids(fixed_domains) {
        return Err(StartError::Domains);
    }
    for fixed in fixed_domains {
        let Some(configured) = domains.iter().find(|domain| domain.domain == fixed.domain) else { continue };
        let info = R::DOMAINS.iter().find(|info| info.id == fixed.domain).expect("the journal was replayed");
        let values =
            |bytes: &[u8; 256]| bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect::<Vec<_>>();
        for ((limit, configured), fixed) in
            info.limits.iter().zip(values(&configured.limits)).zip(values(&fixed.limits))
        {
            if configured != fixed {
                let field = format!("domains.{}.{}", info.name, limit.name);
                return Err(StartError::Fixed { field, configured, fixed });
            }
        }
    }
    Ok(())
}

fn check_clock(config: &StartConfig<'_>, last: Timestamp) -> Result<(), StartError> {
    let behind = Duration::from_nanos(last.0.saturating_sub(config.now.0));
    if behind > CLOCK_BEHIND_MAX {
        return Err(StartError::ClockBehind { behind });
    }
    let ahead = Duration::from_nanos(config.now.0.saturating_sub(last.0));
    if ahead > CLOCK_AHEAD_MAX && !config.accept_clock {
        return Err(StartError::ClockAhead { ahead });
    }
    Ok(())
}

/// What this start adds to the log: itself first, then what the configuration changes.
fn start_frames<R: Registry>(
    config: &StartConfig<'_>,
    machine: &Machine<R>,
) -> Result<VecDeque<CommandImage>, StartError> {
    let mut frames = VecDeque::new();
    let mut add = |frame: Frame<'_>| {
        let mut image = CommandImage::default();
        image.set(ClientId(0), frame);
        frames.push_back(image);
    };
    add(Frame::Started(&Started { incarnation: machine.incarnation() + 1, build: config.build }));
    let logic = config.limits.logic_version;
    if logic < machine.logic() {
        return Err(StartError::LogicBack { configured: logic, active: machine.logic() });
    }
    if logic > machine.logic() {
        add(Frame::ActivateLogicVersion(&ActivateLogicVersion { logic, reserved: Reserved::default() }));
    }
    let sessions_max = config.limits.sessions_max;
    if sessions_max as usize != machine.sessions().sessions_max() {
        add(Frame::SetLimits(&SetLimits { sessions_max, reserved: Reserved::default() }));
    }
    let sessions = machine.sessions();
    check_clients(config, machine)?;
    for grant in &config.grants {
        let place = sessions.find(grant.client);
        let current = place.map(|client| (client.key_version, client.roles(grant.domain)));
        if current != Some((grant.key_version, grant.roles)) {
            add(Frame::SetRoles(&set_roles(*grant)));
        }
    }
    for client in sessions.clients() {
        for info in R::DOMAINS {
            let kept = config.grants.iter().any(|grant| grant.client == client.client && grant.domain == info.id);
            if !kept && client.roles(info.id) != Roles::NONE {
                let (client, key_version) = (client.client, client.key_version);
                let none = Grant { client, key_version, domain: info.id, roles: Roles::NONE };
                add(Frame::SetRoles(&set_roles(none)));
            }
        }
    }
    Ok(frames)
}

/// Refuses a keys file with more clients than the journal can ever know.
fn check_clients<R: Registry>(config: &StartConfig<'_>, machine: &Machine<R>) -> Result<(), StartError> {
    let known = machine.sessions().clients().iter().map(|client| client.client);
    let named = known.chain(config.grants.iter().map(|grant| grant.client)).collect::<BTreeSet<_>>().len();
    let fixed = machine.origin().0.clients_max;
    if named > fixed as usize {
        return Err(StartError::Clients { named, fixed });
    }
    Ok(())
}

fn set_roles(grant: Grant) -> SetRoles {
    let Grant { client, key_version, domain, roles } = grant;
    SetRoles { client, key_version, domain, roles, reserved: Reserved::default() }
}
