//! The loop. [`Gateway::step`] reads as its table of contents.

use crate::clock::Clock;
use crate::config::GatewayConfig;
use crate::connection::{Connection, State};
use crate::core::{Core, Run};
use crate::counting::Counting;
use crate::logon::Keys;
use crate::port::Port;
use crate::retransmission::Retransmission;
use crate::stats::Stats;
use crate::subscriptions::Subscriptions;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};
use ringfence_counters::GatewayCounters;
use ringfence_kernel::bounded::HashIndex;
use ringfence_kernel::ids::{ClientId, RequestId, SessionId, Timestamp};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::reject::Refusal;
use ringfence_kernel::system::{Frame, Tick};
use ringfence_kernel::wire::{Challenge, Closing, Heartbeat, Notice, PROTOCOL};
use ringfence_kernel::workload::CommandImage;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What the poller tells at once.
const EVENTS_MAX: usize = 1_024;
const LISTENER: Token = Token(usize::MAX - 1);
const WAKER: Token = Token(usize::MAX - 2);
/// Outputs taken from the egress ring in one step at most, so that sockets are written to in between.
const OUTPUTS_MAX: usize = 4_096;
/// Connections taken in one step at most: whoever is logged on does not wait for a crowd at the door.
const ACCEPTED_MAX: usize = 64;
/// Steps between two looks at the poller while few connections are busy and read from directly.
const STEPS_BETWEEN_POLLS: usize = 32;
/// Work after which the poller is looked at in any case.
const WORK_BETWEEN_POLLS: usize = 4_096;
/// A deadline that is still due this long after its tick gets another one.
const TICK_AGAIN_NS: u64 = 1_000_000_000;
const NS_PER_MS: u64 = 1_000_000;

/// What the engine hands over when the gateway starts.
#[derive(Debug)]
pub struct Start {
    /// The next session to be given. Numbers are never given twice within a journal.
    pub first_session: SessionId,
    /// System frames to be sequenced before any client's: `Started`, `SetRoles` and the like.
    pub frames: VecDeque<CommandImage>,
    /// The store of events, refilled from the log's tail.
    pub retransmission: Retransmission,
    /// Requests that a client may have in flight.
    pub reply_window: u32,
}

/// The gateway. Whoever owns it calls [`Gateway::step`] again and again, and [`Gateway::park`] when nothing happens.
#[derive(Debug)]
pub struct Gateway<P, C> {
    port: P,
    clock: C,
    core: Core,
    run: Run,

    poll: Poll,
    events: Events,
    listener: TcpListener,
    waker: Arc<Waker>,
    /// The listener may have connections to accept.
    acceptable: bool,
    /// Steps and work since the poller was last looked at.
    polled: (usize, usize),

    /// When heartbeats and time-outs are next looked at.
    timers_due: Timestamp,
    timers_every_ns: u64,
    /// The deadline that was last ticked for, and when.
    ticked: Option<(Timestamp, Timestamp)>,
    /// Until when a stop waits for answers; none when they are no longer waited for, or there is no stop.
    stop_until: Option<Timestamp>,
}

impl<P: Port, C: Clock> Gateway<P, C> {
    /// Listens. Clients are accepted from the first step on.
    ///
    /// # Errors
    /// When the address cannot be listened on or the poller cannot be made. Settings that
    /// [`GatewayConfig::check`] refuses are invalid input; the [`crate::ConfigError`] is the error's source.
    pub fn new(config: GatewayConfig, keys: Keys, port: P, mut clock: C, start: Start) -> io::Result<Self> {
        config.check().map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(config.listen)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let shortest = config.heartbeat_ms.min(config.logon_timeout_ms).min(config.closing_timeout_ms);
        let timers_every_ns = u64::from(shortest / 4).clamp(1, 250) * NS_PER_MS;
        let now = clock.now();
        tracing::info!(address = %listener.local_addr()?, clients = keys.len(), "listening");
        let core = Core {
            keys,
            reply_window: start.reply_window,
            connections: Vec::new(),
            free: Vec::new(),
            sessions: HashIndex::new(config.connections_max),
            clients: HashIndex::new(config.connections_max),
            session_next: start.first_session,
            delivered_to: 0,
            hot: Vec::with_capacity(config.connections_max),
            dirty: Vec::with_capacity(config.connections_max),
            pending: start.frames,
            subscriptions: Subscriptions::new(start.retransmission.topics_max()),
            retransmission: start.retransmission,
            now,
            sequenced: 0,
            stopping: false,
            disk_full: false,
            stats: Stats::default(),
            counting: None,
            config,
        };
        Ok(Self {
            port,
            clock,
            core,
            run: Run::new(),
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            listener,
            waker,
            acceptable: true,
            polled: (0, 0),
            timers_due: now,
            timers_every_ns,
            ticked: None,
            stop_until: None,
        })
    }

    /// Does all that can be done now, without waiting; gives how much that was.
    ///
    /// Answers go out before new commands come in: whoever waits for one is served first.
    pub fn step(&mut self) -> usize {
        self.core.now = self.clock.now();
        self.core.sequenced = 0;
        self.look_at_disk();
        let mut work = self.drain();
        work += self.core.write();
        if let Some(counting) = &mut self.core.counting {
            counting.written(&mut self.clock);
        }
        work += usize::from(!self.core.pending.is_empty() && self.core.publish(&mut self.port));
        work += self.look();
        work += self.accept();
        work += self.core.read(&mut self.port, &mut self.run);
        work += self.timers();
        work += self.stop();
        work += self.core.write();
        self.core.publish_counters();
        self.polled.1 += work;
        work
    }

    /// Waits until a socket, the waker or a timer has something for the next step, or until `timeout` is over.
    pub fn park(&mut self, timeout: Duration) {
        self.core.now = self.clock.now();
        let busy =
            self.acceptable
                || !self.core.pending.is_empty()
                || !self.core.dirty.is_empty()
                || self.core.hot.iter().any(|place| {
                    self.core.connections[*place as usize].as_ref().is_some_and(|c| c.readable && !c.backlog)
                });
        let deadline = self.port.next_deadline().filter(|deadline| {
            !self.core.disk_full && !self.core.stopping && self.ticked.is_none_or(|(last, _)| last != *deadline)
        });
        let due = deadline.map_or(self.timers_due, |deadline| deadline.min(self.timers_due));
        // Without connections there is nobody to send a heartbeat to: only the engine's deadline counts.
        let until = if self.core.stats.connections == 0 { deadline } else { Some(due) };
        let wait = match until {
            _ if busy => Duration::ZERO,
            Some(due) => timeout.min(Duration::from_nanos(due.0.saturating_sub(self.core.now.0))),
            None => timeout,
        };
        self.wait(wait);
    }

    /// What wakes [`Gateway::park`] from another thread.
    #[must_use]
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Refuses new connections, reads nothing more, and closes each connection once its commands are answered, or
    /// after `stop_timeout_ms` in any case. Calling it again changes nothing.
    pub fn begin_stop(&mut self) {
        if self.core.stopping {
            return;
        }
        tracing::info!(connections = self.core.stats.connections, "stopping");
        self.core.stopping = true;
        let timeout_ns = u64::from(self.core.config.stop_timeout_ms) * NS_PER_MS;
        self.stop_until = Some(self.clock.now().saturating_add(timeout_ns));
    }

    /// Whether the stop is complete: every connection is gone, and what was to be sequenced is, or was given up. Nothing
    /// is sequenced from then on. It is true `stop_timeout_ms` and `closing_timeout_ms` after the stop began at the
    /// latest, give or take a look at the timers, whatever the engine does.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.core.stopping && self.core.stats.connections == 0 && self.core.pending.is_empty()
    }

    /// Counts into `counters` from here on, and times one command in `sample_every`, a power of two, by its answer.
    pub fn count(&mut self, counters: GatewayCounters, sample_every: u64) {
        self.core.counting = Some(Counting::new(counters, sample_every));
    }

    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core.stats
    }

    /// The engine's side, as it was handed in.
    pub fn port(&mut self) -> &mut P {
        &mut self.port
    }

    /// The clock, as it was handed in.
    pub fn clock(&mut self) -> &mut C {
        &mut self.clock
    }

    /// Takes answers and events from the engine.
    fn drain(&mut self) -> usize {
        let core = &mut self.core;
        let work = self.port.drain(OUTPUTS_MAX, |output| core.deliver(output));
        if core.subscriptions.is_behind() { work + core.catch_up(self.port.accepts()) } else { work }
    }

    /// Asks the poller which sockets are ready, unless the busy ones are few and it was asked just now.
    fn look(&mut self) -> usize {
        self.polled.0 += 1;
        let direct = !self.core.hot.is_empty() && self.core.hot.len() <= self.core.config.direct_max;
        // Before anybody is taken for silent, and before a later connection is taken in, what came earlier is looked for.
        let is_due = self.acceptable || self.core.now >= self.timers_due;
        if direct && !is_due && self.polled.0 < STEPS_BETWEEN_POLLS && self.polled.1 < WORK_BETWEEN_POLLS {
            return 0;
        }
        self.wait(Duration::ZERO)
    }

    fn wait(&mut self, mut timeout: Duration) -> usize {
        self.polled = (0, 0);
        let mut work = 0;
        loop {
            if let Err(error) = self.poll.poll(&mut self.events, Some(timeout)) {
                assert!(error.kind() == ErrorKind::Interrupted, "the poller is broken: {error}");
                return work;
            }
            let taken = self.take_events();
            work += taken;
            // There may be more than there was room for.
            if taken < EVENTS_MAX {
                return work;
            }
            timeout = Duration::ZERO;
        }
    }

    /// Notes which sockets are ready; gives how many events that were.
    fn take_events(&mut self) -> usize {
        let mut work = 0;
        for event in &self.events {
            work += 1;
            match event.token() {
                LISTENER => self.acceptable = true,
                WAKER => {}
                Token(place) => {
                    let place = place as u32;
                    let Some(connection) = self.core.connection(place) else { continue };
                    connection.ended |= event.is_read_closed() || event.is_error();
                    connection.writable |= event.is_writable();
                    connection.readable |= event.is_readable() || connection.ended;
                    let (send, read) = (event.is_writable() && !connection.output.is_empty(), connection.readable);
                    if send {
                        self.core.soil(place);
                    }
                    if read {
                        self.core.heat(place);
                    }
                }
            }
        }
        work
    }

    /// Takes in new connections and challenges them.
    fn accept(&mut self) -> usize {
        let mut work = 0;
        while self.acceptable && work < ACCEPTED_MAX {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    work += 1;
                    if let Err(error) = self.challenge(stream) {
                        tracing::warn!(%error, "connection not taken");
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.acceptable = false,
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) => {
                    // Out of file descriptors, most likely: the timers try again.
                    tracing::warn!(%error, "cannot accept");
                    self.acceptable = false;
                }
            }
        }
        work
    }

    fn challenge(&mut self, mut stream: mio::net::TcpStream) -> io::Result<()> {
        let core = &mut self.core;
        let now = core.now;
        let refusal = match () {
            () if core.stopping => Some(Refusal::Stopping),
            () if core.stats.connections >= core.config.connections_max => Some(Refusal::ConnectionsFull),
            () => None,
        };
        if let Some(code) = refusal {
            core.count_refusal(code.into());
            let closing = Closing { code: code.into(), reserved: Reserved::default() };
            let mut slot = ringfence_kernel::image::Slot::EMPTY;
            let kind = ringfence_kernel::image::kind::SESSION;
            let message = Notice::Closing(&closing);
            let bytes = crate::codecs::native::notice(&mut slot, kind, SessionId(0), RequestId(0), now, message);
            // A fresh socket takes a few bytes or is broken: either way it is dropped.
            let _ = stream.write(bytes)?;
            return Ok(());
        }
        stream.set_nodelay(true)?;
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|error| io::Error::other(error.to_string()))?;
        let place = core.enter(Connection::new(stream, nonce, core.config.read_bytes_max, now));
        let token = Token(place as usize);
        let connection = core.at(place);
        let both = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut connection.stream, token, both) {
            core.lose(place);
            return Err(error);
        }
        let challenge = Challenge {
            nonce,
            protocol: PROTOCOL,
            reserved: Reserved::default(),
            heartbeat_ms: core.config.heartbeat_ms,
            timeout_ms: core.config.timeout_ms,
            reserved_end: Reserved::default(),
        };
        core.at(place).note(now, Notice::Challenge(&challenge));
        core.soil(place);
        core.heat(place);
        Ok(())
    }

    /// Heartbeats, time-outs and the engine's deadline.
    fn timers(&mut self) -> usize {
        let mut work = self.tick();
        let now = self.core.now;
        if now < self.timers_due {
            return work;
        }
        self.timers_due = now.saturating_add(self.timers_every_ns);
        self.acceptable |= !self.core.stopping;
        let config = &self.core.config;
        let heartbeat_ns = u64::from(config.heartbeat_ms) * NS_PER_MS;
        let timeout_ns = u64::from(config.timeout_ms) * NS_PER_MS;
        let logon_timeout_ns = u64::from(config.logon_timeout_ms) * NS_PER_MS;
        let closing_timeout_ns = u64::from(config.closing_timeout_ms) * NS_PER_MS;
        let stopping = self.core.stopping;
        for place in 0..self.core.connections.len() as u32 {
            let Some(connection) = self.core.connection(place) else { continue };
            let past = |since: Timestamp, limit: u64| now.0.saturating_sub(since.0) >= limit;
            match connection.state {
                State::Closing if past(connection.since, closing_timeout_ns) => self.core.lose(place),
                State::Closing => continue,
                State::Challenged if past(connection.since, logon_timeout_ns) => {
                    self.core.close(place, Refusal::LogonTimeout);
                }
                _ if past(connection.heard, timeout_ns) && !stopping => {
                    self.core.close(place, Refusal::HeartbeatTimeout);
                }
                _ if past(connection.said, heartbeat_ns) && connection.output.is_empty() => {
                    connection.output.shrink();
                    connection.input.shrink();
                    connection.note(now, Notice::Heartbeat(&Heartbeat { reserved: Reserved::default() }));
                    self.core.soil(place);
                }
                _ => continue,
            }
            work += 1;
        }
        work
    }

    /// Tells the engine that a deadline is due, when nothing else that was sequenced does.
    fn tick(&mut self) -> usize {
        let now = self.core.now;
        let Some(deadline) = self.port.next_deadline() else {
            self.ticked = None;
            return 0;
        };
        // A stop ends, and the next start ticks.
        if self.core.stopping {
            return 0;
        }
        // Deadlines come again and again, and what the journal keeps back on a full disk is for sessions that close.
        if !self.port.accepts() {
            return 0;
        }
        let told = self.ticked.is_some_and(|(last, at)| last == deadline && now.0 - at.0 < TICK_AGAIN_NS);
        if deadline > now || told || self.core.sequenced > 0 || !self.core.pending.is_empty() {
            return 0;
        }
        self.ticked = Some((deadline, now));
        self.core.sequence(SessionId(0), RequestId(0), ClientId(0), Frame::Tick(&Tick { deadline }));
        self.core.publish(&mut self.port);
        1
    }

    /// Says when the journal takes in nothing more, and when it does again.
    fn look_at_disk(&mut self) {
        let full = !self.port.accepts();
        if full == std::mem::replace(&mut self.core.disk_full, full) {
            return;
        }
        if full {
            tracing::warn!("DiskFull begins: no command, logon or snapshot is taken in");
        } else {
            let refused = self.core.stats.refused(Refusal::DiskFull.into());
            tracing::info!(refused, "DiskFull ends: all is taken in again");
        }
    }

    /// While stopping: closes every connection whose commands are answered, and at last all of them.
    fn stop(&mut self) -> usize {
        if !self.core.stopping {
            return 0;
        }
        let mut work = 0;
        if self.stop_until.is_some_and(|until| self.core.now >= until) {
            self.stop_until = None;
            work += self.give_up();
        }
        if self.stop_until.is_none() && self.core.stats.connections == 0 && !self.core.pending.is_empty() {
            tracing::warn!(frames = self.core.pending.len(), "stopped without the journal hearing of all ends");
            self.core.pending.clear();
        }
        for place in 0..self.core.connections.len() as u32 {
            let Some(connection) = self.core.connection(place) else { continue };
            match connection.state {
                State::Closing | State::Opening => continue,
                _ if connection.in_flight > 0 => continue,
                _ => self.core.close(place, Refusal::Stopping),
            }
            work += 1;
        }
        work
    }

    /// Waits for answers no longer: closes every connection; gives how many those were.
    fn give_up(&mut self) -> usize {
        let (mut closed, mut commands, mut logons) = (0, 0, 0);
        for place in 0..self.core.connections.len() as u32 {
            let Some(connection) = self.core.connection(place) else { continue };
            if connection.state == State::Closing {
                continue;
            }
            commands += connection.in_flight;
            logons += u32::from(connection.state == State::Opening);
            self.core.close(place, Refusal::Stopping);
            closed += 1;
        }
        if closed > 0 {
            tracing::warn!(
                commands,
                logons,
                connections = closed,
                "answers did not come in time: stopping without them"
            );
        }
        closed
    }
}
