//! From the egress ring to sockets.

use crate::connection::State;
use crate::core::{Core, Place};
use crate::subscriptions::SUBSCRIBE;
use ringfence_kernel::ids::SessionId;
use ringfence_kernel::image::{MessageHeader, OUTPUT_HEADER_BYTES, OutputHeader, Slot, flag, kind};
use ringfence_kernel::messages::Message;
use ringfence_kernel::outbox::image;
use ringfence_kernel::reject::Refusal;
use ringfence_kernel::wire::Notice;
use ringfence_kernel::{system, wire};
use std::io::{ErrorKind, Write};
use std::net::Shutdown;

/// The template of [`system::Frame::SnapshotTopic`], as a refusal of one names it.
const SNAPSHOT_TOPIC: u16 = 9;
/// Where a refusal names the template.
const TEMPLATE_AT: usize = OUTPUT_HEADER_BYTES + std::mem::offset_of!(wire::Rejected, template);

impl Core {
    /// Hands one output to whom it is for.
    #[inline]
    pub(crate) fn deliver(&mut self, output: &Slot) {
        let (kind, session) = (output.kind(), output.session());
        if kind == kind::EVENT && session.0 == 0 {
            return self.publish_event(output, output.topic());
        }
        // Answers to a session whose connection is gone are kept in the client's window.
        let Some(place) = self.place(session) else {
            self.stats.answered += u64::from(kind == kind::REPLY || kind == kind::REJECT);
            return;
        };
        if let Some(counting) = &mut self.counting {
            counting.answered(output);
        }
        if kind == kind::REPLY {
            return self.answer(place, output);
        }
        let header = OutputHeader::read(output.bytes()).expect("a slot is longer than a header");
        match kind {
            kind::REJECT => match self.refused_snapshot(place, &header, output) {
                Some(stream) => {
                    self.drop_topic(place, stream);
                    // The client asked for it with a `Subscribe`; of the log's frames it knows nothing.
                    let mut told = *output;
                    told.bytes_mut()[TEMPLATE_AT..TEMPLATE_AT + 2].copy_from_slice(&SUBSCRIBE.to_le_bytes());
                    self.forward(place, &told);
                }
                None => self.answer(place, output),
            },
            kind::SNAPSHOT => {
                let last = header.flags & flag::LAST != 0;
                self.deliver_part(place, output, header.topic, header.request, last);
            }
            kind::SESSION => self.engine_notice(place, header.message, output),
            _ => self.forward(place, output),
        }
    }

    /// The connection that has `session`: most often the one that the output before was for.
    #[inline]
    fn place(&mut self, session: SessionId) -> Option<Place> {
        let last = self.connections.get(self.delivered_to as usize).and_then(Option::as_ref);
        if last.is_some_and(|connection| connection.session == session) && session.0 != 0 {
            return Some(self.delivered_to);
        }
        self.delivered_to = self.sessions.get(session.0.into())?;
        Some(self.delivered_to)
    }

    #[inline]
    fn answer(&mut self, place: Place, output: &Slot) {
        self.stats.answered += 1;
        let connection = self.at(place);
        // Answers that bring it below its window let it speak again.
        connection.in_flight = connection.in_flight.saturating_sub(1);
        self.forward(place, output);
    }

    /// Sends an output that may not be dropped.
    #[inline]
    fn forward(&mut self, place: Place, output: &Slot) {
        let bound = self.config.reply_bytes_max;
        let (connection, bytes) = (self.at(place), image(output));
        if connection.output.len() + bytes.len() > bound {
            return self.close(place, Refusal::ReplyOverflow);
        }
        connection.output.push(bytes);
        self.soil(place);
    }

    /// The topic whose snapshot a reject refuses; none when it answers a command.
    fn refused_snapshot(&mut self, place: Place, header: &OutputHeader, output: &Slot) -> Option<u32> {
        let notice = Notice::decode(header.message, &image(output)[OUTPUT_HEADER_BYTES..]);
        match notice {
            Ok(Notice::Rejected(rejected)) if rejected.template == SNAPSHOT_TOPIC => {
                self.awaited_snapshot(place, header.request)
            }
            _ => None,
        }
    }

    /// The engine speaks to a session: it is open, or it is refused.
    fn engine_notice(&mut self, place: Place, message: MessageHeader, output: &Slot) {
        let now = self.now;
        match Notice::decode(message, &image(output)[OUTPUT_HEADER_BYTES..]) {
            Ok(Notice::LoggedOn(_)) => {
                let connection = self.at(place);
                if connection.state == State::Opening {
                    connection.state = State::Open;
                    connection.since = now;
                }
                self.forward(place, output);
                self.heat(place);
            }
            Ok(Notice::Closing(closing)) => {
                let opening = self.at(place).state == State::Opening;
                self.forward(place, output);
                self.count_refusal(closing.code);
                self.end(place, closing.code, !opening);
            }
            _ => self.forward(place, output),
        }
    }

    /// Sends what there is to send, with one call for each connection; gives how many took some.
    pub(crate) fn write(&mut self) -> usize {
        let now = self.now;
        let (mut work, mut index) = (0, 0);
        while let Some(place) = self.dirty.get(index).copied() {
            let connection = self.connections[place as usize].as_mut().expect("a place in use");
            let mut lost = false;
            if connection.writable && !connection.output.is_empty() {
                match connection.stream.write(connection.output.unsent()) {
                    Ok(0) => lost = true,
                    Ok(count) => {
                        connection.output.sent(count);
                        connection.said = now;
                        self.stats.bytes_written += count as u64;
                        work += 1;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => connection.writable = false,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => lost = true,
                }
            }
            if lost {
                self.lose(place);
                continue;
            }
            if connection.output.is_empty() && connection.state == State::Closing && !connection.shut {
                // The client reads its last bytes and then the end; its own last bytes are still taken, so that the
                // socket is not reset over them.
                connection.shut = true;
                let _ = connection.stream.shutdown(Shutdown::Write);
            }
            if connection.output.is_empty() || !connection.writable {
                connection.dirty = false;
                self.dirty.swap_remove(index);
            } else {
                index += 1;
            }
        }
        work
    }
}

const _: () = assert!(wire::SCHEMA != system::SCHEMA);
