//! What all parts of the loop share: the connections, who has which session, and what waits to be sequenced.

use crate::codecs::native;
use crate::config::GatewayConfig;
use crate::connection::{Connection, State};
use crate::counting::Counting;
use crate::logon::Keys;
use crate::port::Port;
use crate::retransmission::Retransmission;
use crate::stats::{Stats, name};
use crate::subscriptions::Subscriptions;
use ringfence_kernel::bounded::HashIndex;
use ringfence_kernel::ids::{ClientId, RequestId, SessionId, Timestamp};
use ringfence_kernel::image::{SLOT_BYTES, kind, slots};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::reject::{Code, Refusal};
use ringfence_kernel::system::{Frame, SessionClosed};
use ringfence_kernel::wire::{Closing, Notice, Rejected};
use ringfence_kernel::workload::CommandImage;
use std::collections::VecDeque;
use std::net::Shutdown;

/// A connection's place in the table.
pub(crate) type Place = u32;

/// Everything of the loop but its three edges: the poller, the port and the clock.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: GatewayConfig,
    pub(crate) keys: Keys,
    /// Requests that a client may have in flight.
    pub(crate) reply_window: u32,

    /// The connections; a token of the poller is a place here.
    pub(crate) connections: Vec<Option<Connection>>,
    pub(crate) free: Vec<Place>,
    /// Which connection has a session.
    pub(crate) sessions: HashIndex,
    /// Which connection has a client's session.
    pub(crate) clients: HashIndex,
    pub(crate) session_next: SessionId,
    /// Where the last output went.
    pub(crate) delivered_to: Place,

    /// Connections to be looked at in the next step.
    pub(crate) hot: Vec<Place>,
    /// Connections with something to send.
    pub(crate) dirty: Vec<Place>,

    /// Frames of the gateway itself that the ring had no room for. They go before all else.
    pub(crate) pending: VecDeque<CommandImage>,
    pub(crate) retransmission: Retransmission,
    pub(crate) subscriptions: Subscriptions,

    pub(crate) now: Timestamp,
    /// Frames of any kind that were sequenced in this step.
    pub(crate) sequenced: usize,
    pub(crate) stopping: bool,
    /// The journal took in nothing more when it was last looked at.
    pub(crate) disk_full: bool,
    pub(crate) stats: Stats,
    /// What other processes see of it.
    pub(crate) counting: Option<Counting>,
}

impl Core {
    /// Sequences what waits, in order; gives whether nothing waits any more.
    pub(crate) fn publish<P: Port>(&mut self, port: &mut P) -> bool {
        while let Some(frame) = self.pending.front_mut() {
            let header = frame.header();
            frame.stamp(header.session, header.request, self.now);
            let bytes = frame.bytes();
            let claimed = port.try_claim(slots(bytes.len()), |index, slot| {
                let part = &bytes[index * SLOT_BYTES..bytes.len().min((index + 1) * SLOT_BYTES)];
                slot.bytes_mut()[..part.len()].copy_from_slice(part);
            });
            if !claimed {
                return false;
            }
            self.sequenced += 1;
            self.pending.pop_front();
        }
        true
    }

    /// Puts a frame of the gateway itself behind those that wait.
    pub(crate) fn sequence(&mut self, session: SessionId, request: RequestId, client: ClientId, frame: Frame<'_>) {
        let mut image = CommandImage::default();
        image.set(client, frame);
        image.stamp(session, request, self.now);
        self.pending.push_back(image);
    }

    #[inline]
    pub(crate) fn connection(&mut self, place: Place) -> Option<&mut Connection> {
        self.connections.get_mut(place as usize)?.as_mut()
    }

    /// The connection at `place`, which the caller knows to be there.
    #[inline]
    pub(crate) fn at(&mut self, place: Place) -> &mut Connection {
        self.connections[place as usize].as_mut().expect("a place in use")
    }

    /// Looks at the connection in the next step.
    #[inline]
    pub(crate) fn heat(&mut self, place: Place) {
        let connection = self.connections[place as usize].as_mut().expect("a place in use");
        connection.misses = 0;
        if !std::mem::replace(&mut connection.hot, true) {
            self.hot.push(place);
        }
    }

    /// The connection has something to send.
    #[inline]
    pub(crate) fn soil(&mut self, place: Place) {
        let connection = self.connections[place as usize].as_mut().expect("a place in use");
        if !std::mem::replace(&mut connection.dirty, true) {
            self.dirty.push(place);
        }
    }

    /// Refuses a request of the connection; nothing else changes.
    pub(crate) fn refuse(&mut self, place: Place, request: RequestId, template: u16, code: Refusal) {
        let (now, code) = (self.now, Code::from(code));
        self.count_refusal(code);
        let rejected = Rejected { code, template, offset: 0, reserved: Reserved::default() };
        self.at(place).say(kind::REJECT, request, now, Notice::Rejected(&rejected));
        self.soil(place);
    }

    /// Counts a refusal or closing by the gateway itself.
    pub(crate) fn count_refusal(&mut self, code: Code) {
        self.stats.refuse(code);
        if let Some(counting) = &mut self.counting {
            counting.refused(code);
        }
    }

    /// Tells the client why, ends its session and hears nothing more of it.
    pub(crate) fn close(&mut self, place: Place, code: Refusal) {
        let now = self.now;
        let connection = self.at(place);
        if connection.state == State::Closing {
            return;
        }
        let closing = Closing { code: code.into(), reserved: Reserved::default() };
        connection.note(now, Notice::Closing(&closing));
        self.count_refusal(code.into());
        self.end(place, code.into(), true);
    }

    /// Ends the session, if there is one, and lets the connection send its last bytes. `tell` says whether the engine
    /// hears of it: it does not when it refused the session itself.
    pub(crate) fn end(&mut self, place: Place, code: Code, tell: bool) {
        let now = self.now;
        let connection = self.at(place);
        if connection.state == State::Closing {
            return;
        }
        tracing::info!(connection = place, client = connection.client.0, code = name(code), number = code.0, "closing");
        connection.state = State::Closing;
        connection.since = now;
        connection.backlog = false;
        connection.input.clear();
        let (session, client) = (std::mem::take(&mut connection.session), connection.client);
        let topics = std::mem::take(&mut connection.topics);
        for topic in topics {
            self.subscriptions.leave(topic, place);
            self.forget_topic(topic);
        }
        if session.0 != 0 {
            self.sessions.remove(session.0.into());
            self.clients.remove(client.0.into());
            self.stats.sessions -= 1;
            if tell {
                let closed = SessionClosed { code: code.0, reserved: Reserved::default() };
                self.sequence(session, RequestId(0), client, Frame::SessionClosed(&closed));
            }
        }
        self.soil(place);
        self.heat(place);
    }

    /// The socket is of no more use: whatever was still to be sent is lost.
    pub(crate) fn lose(&mut self, place: Place) {
        self.end(place, Refusal::Disconnected.into(), true);
        let connection = self.connections[place as usize].take().expect("a place in use");
        let _ = connection.stream.shutdown(Shutdown::Both);
        self.stats.connections -= 1;
        if connection.hot {
            self.hot.retain(|other| *other != place);
        }
        if connection.dirty {
            self.dirty.retain(|other| *other != place);
        }
        self.free.push(place);
        tracing::debug!(connection = place, "gone");
    }

    /// A connection whose challenge is on its way.
    pub(crate) fn enter(&mut self, mut connection: Connection) -> Place {
        connection.number = self.stats.accepted;
        let place = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            (self.connections.len() - 1) as Place
        });
        self.connections[place as usize] = Some(connection);
        self.stats.connections += 1;
        self.stats.accepted += 1;
        place
    }
}

/// Commands of one claim, slot by slot: where each slot's bytes stand in the connection's input.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// Offset, with the lowest bit set on the first slot of a command, and length.
    pieces: Vec<(u32, u32)>,
    pub(crate) commands: u32,
    /// Bytes of the input that the run covers.
    pub(crate) bytes: usize,
    /// Slots and bytes of its first command: what is tried when there is no room for all.
    first: (usize, usize),
}

/// Slots that one claim takes at most.
pub(crate) const CLAIM_SLOTS_MAX: usize = 256;

impl Run {
    pub(crate) fn new() -> Self {
        Self { pieces: Vec::with_capacity(CLAIM_SLOTS_MAX), ..Self::default() }
    }

    pub(crate) fn clear(&mut self) {
        self.pieces.clear();
        (self.commands, self.bytes) = (0, 0);
    }

    /// Adds the command of `length` bytes that follows; gives whether there was room.
    #[inline]
    pub(crate) fn add(&mut self, length: usize) -> bool {
        let count = slots(length);
        if self.pieces.len() + count > CLAIM_SLOTS_MAX {
            return false;
        }
        let start = self.bytes as u32;
        self.pieces.push((start | 1, length.min(SLOT_BYTES) as u32));
        for index in 1..count {
            let offset = index * SLOT_BYTES;
            self.pieces.push((start + offset as u32, (length - offset).min(SLOT_BYTES) as u32));
        }
        if self.commands == 0 {
            self.first = (count, length);
        }
        self.commands += 1;
        self.bytes += length;
        true
    }

    /// Keeps the first command alone.
    pub(crate) fn only_first(&mut self) {
        let (slots, bytes) = self.first;
        self.pieces.truncate(slots);
        (self.commands, self.bytes) = (1, bytes);
    }

    /// Claims the slots, copies the commands in and stamps them; gives whether there was room.
    #[inline]
    pub(crate) fn claim<P: Port>(&self, port: &mut P, input: &[u8], session: SessionId, now: Timestamp) -> bool {
        port.try_claim(self.pieces.len(), |index, slot| {
            let (offset, length) = self.pieces[index];
            let (offset, first, length) = ((offset & !1) as usize, offset & 1 != 0, length as usize);
            slot.bytes_mut()[..length].copy_from_slice(&input[offset..offset + length]);
            if first {
                native::stamp(slot, session, now);
            }
        })
    }
}
