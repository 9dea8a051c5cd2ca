//! From sockets to the ingress ring.

use crate::codecs::native::{Audience, Split, audience, split};
use crate::connection::State;
use crate::core::{Core, Place, Run};
use crate::port::Port;
use ringfence_kernel::image::{COMMAND_HEADER_BYTES, CommandHeader};
use ringfence_kernel::reject::Refusal;
use std::io::{ErrorKind, Read};

/// Reads in a row that may bring nothing before a connection is left to the poller.
const MISSES_MAX: u32 = 4_096;
/// A billionth of a command is the unit of an allowance, as a nanosecond is of time.
const ALLOWANCE_UNIT: u64 = 1_000_000_000;

/// Why a run of commands ended.
enum Next {
    /// The claim is full; more may follow.
    Full,
    /// The rest is not a whole frame.
    Partial,
    /// The connection's window is full: nothing more until answers come.
    Blocked,
    /// A frame that is not simply sequenced.
    Special { length: usize, refusal: Option<Refusal> },
    /// No frame.
    Bad,
}

impl Core {
    /// Looks at every hot connection once. With few of them it reads without asking the poller; with many it leaves
    /// those that are empty to it.
    pub(crate) fn read<P: Port>(&mut self, port: &mut P, run: &mut Run) -> usize {
        let direct = self.hot.len() <= self.config.direct_max;
        let (mut work, mut index) = (0, 0);
        while let Some(place) = self.hot.get(index).copied() {
            work += self.look_at(place, port, run);
            // Losing a connection takes it off the list: another stands here now.
            let Some(connection) =
                self.connections[place as usize].as_mut().filter(|_| self.hot.get(index) == Some(&place))
            else {
                continue;
            };
            let misses_max = if direct { MISSES_MAX } else { 0 };
            if (connection.backlog && !self.stopping) || connection.readable || connection.misses < misses_max {
                index += 1;
            } else {
                connection.hot = false;
                self.hot.swap_remove(index);
            }
        }
        work
    }

    fn look_at<P: Port>(&mut self, place: Place, port: &mut P, run: &mut Run) -> usize {
        let now = self.now;
        let mut work = 0;
        if self.at(place).backlog && !self.stopping {
            work += self.take_in(place, port, run);
        }
        let stopping = self.stopping;
        let connection = self.at(place);
        if connection.state == State::Closing {
            connection.input.clear();
        } else if stopping {
            (connection.readable, connection.misses) = (false, u32::MAX);
            return work;
        }
        let room = connection.input.room();
        if room.is_empty() {
            // It is not read because the ring or its window is full: its silence is the gateway's doing.
            connection.heard = now;
            return work;
        }
        let wanted = room.len();
        match connection.stream.read(room) {
            Ok(0) => self.lose(place),
            Ok(count) => {
                connection.input.read(count);
                connection.heard = now;
                connection.misses = 0;
                // A short read empties a stream socket: the poller tells of what comes later.
                connection.readable = count == wanted || connection.ended;
                self.stats.bytes_read += count as u64;
                work += 1 + self.take_in(place, port, run);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                connection.readable = false;
                connection.misses = connection.misses.saturating_add(1);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.lose(place),
        }
        work
    }

    /// Takes in the whole frames that the connection has sent, as far as window and ring allow; gives how many.
    pub(crate) fn take_in<P: Port>(&mut self, place: Place, port: &mut P, run: &mut Run) -> usize {
        let mut work = 0;
        self.top_up(place);
        loop {
            if !self.publish(port) {
                self.at(place).backlog = true;
                return work;
            }
            run.clear();
            let next = self.gather(place, port.accepts(), run);
            let now = self.now;
            let connection = self.at(place);
            connection.backlog = false;
            if run.commands > 0 {
                let wanted = run.commands;
                let input = connection.input.unread();
                if !run.claim(port, input, connection.session, now) {
                    run.only_first();
                    if !run.claim(port, input, connection.session, now) {
                        connection.backlog = true;
                        return work;
                    }
                }
                connection.input.take(run.bytes);
                connection.in_flight += run.commands;
                self.sequenced += run.commands as usize;
                self.stats.sequenced += u64::from(run.commands);
                work += run.commands as usize;
                self.spend(place, run.commands);
                if run.commands < wanted {
                    continue;
                }
            }
            match next {
                Next::Full => {}
                Next::Partial => return work,
                Next::Blocked => {
                    self.at(place).backlog = true;
                    return work;
                }
                Next::Special { length, refusal } => {
                    self.special(place, length, refusal, port.accepts());
                    work += 1;
                    // Refusals are answers too: who does not read them is not sent more and more.
                    if self.at(place).output.len() > self.config.reply_bytes_max {
                        self.close(place, Refusal::ReplyOverflow);
                    }
                    if self.at(place).state == State::Closing {
                        return work;
                    }
                }
                Next::Bad => {
                    self.close(place, Refusal::BadFrame);
                    return work;
                }
            }
        }
    }

    /// Collects the commands at the front of the input that can be sequenced as they are.
    #[inline]
    fn gather(&mut self, place: Place, accepts: bool, run: &mut Run) -> Next {
        let window = self.reply_window;
        let limited = self.config.rate_per_second > 0;
        let connection = self.connections[place as usize].as_mut().expect("a place in use");
        match connection.state {
            State::Closing => return Next::Partial,
            // What it says before its session is open waits, so that it needs no second copy.
            State::Opening if !connection.input.unread().is_empty() => return Next::Blocked,
            _ => {}
        }
        let open = connection.state == State::Open;
        let input = connection.input.unread();
        loop {
            let (length, message) = match split(&input[run.bytes..]) {
                Split::Whole { length, message } => (length, message),
                Split::Partial => return Next::Partial,
                Split::Bad => return Next::Bad,
            };
            if !open || audience(message.schema) != Audience::Domain {
                return Next::Special { length, refusal: None };
            }
            if !accepts {
                return Next::Special { length, refusal: Some(Refusal::DiskFull) };
            }
            if limited && connection.allowance < (u64::from(run.commands) + 1) * ALLOWANCE_UNIT {
                return Next::Special { length, refusal: Some(Refusal::RateLimited) };
            }
            if connection.in_flight + run.commands >= window {
                return Next::Blocked;
            }
            if !run.add(length) {
                return Next::Full;
            }
        }
    }

    /// Handles a frame that is not simply sequenced.
    fn special(&mut self, place: Place, length: usize, refusal: Option<Refusal>, accepts: bool) {
        // A request of the session protocol is short: it is copied out, so that the buffer is free again.
        let mut words = [0_u64; 12];
        let copy: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        let input = &mut self.at(place).input;
        let header = CommandHeader::read(input.unread()).expect("a whole frame has a header");
        let kept = length.min(copy.len());
        copy[..kept].copy_from_slice(&input.unread()[..kept]);
        input.take(length);
        match refusal {
            Some(code) => self.refuse(place, header.request, header.message.template, code),
            None => self.request(place, header, &copy[COMMAND_HEADER_BYTES..kept], length, accepts),
        }
    }

    /// Gives the connection the allowance that it has earned since.
    fn top_up(&mut self, place: Place) {
        let (rate, burst) = (u64::from(self.config.rate_per_second), u64::from(self.config.rate_burst.max(1)));
        if rate == 0 {
            return;
        }
        let now = self.now;
        let connection = self.at(place);
        let elapsed = now.0.saturating_sub(connection.allowed_at.0);
        connection.allowed_at = now;
        connection.allowance =
            connection.allowance.saturating_add(elapsed.saturating_mul(rate)).min(burst * ALLOWANCE_UNIT);
    }

    /// Spends the allowance for one request, if there is any.
    pub(crate) fn may_spend(&mut self, place: Place) -> bool {
        let may = self.config.rate_per_second == 0 || self.at(place).allowance >= ALLOWANCE_UNIT;
        if may {
            self.spend(place, 1);
        }
        may
    }

    fn spend(&mut self, place: Place, commands: u32) {
        if self.config.rate_per_second > 0 {
            self.at(place).allowance -= u64::from(commands) * ALLOWANCE_UNIT;
        }
    }
}
