//! The session protocol: what a frame does that is not simply sequenced.

use crate::codecs::native::{Audience, audience};
use crate::connection::State;
use crate::core::{Core, Place};
use ringfence_kernel::ids::{RequestId, SessionId};
use ringfence_kernel::image::{COMMAND_HEADER_BYTES, CommandHeader};
use ringfence_kernel::messages::{Message, Reserved};
use ringfence_kernel::reject::Refusal;
use ringfence_kernel::system::{Frame, SessionOpened};
use ringfence_kernel::wire::{Logon, PROTOCOL, Request};

impl Core {
    /// One frame of a connection that is challenged or open. `body` is all of it unless the frame is too long to be a
    /// request; then `length` tells.
    pub(crate) fn request(&mut self, place: Place, header: CommandHeader, body: &[u8], length: usize, accepts: bool) {
        let (request, template) = (header.request, header.message.template);
        let state = self.at(place).state;
        if audience(header.message.schema) == Audience::Nobody && state == State::Open {
            return self.refuse(place, request, template, Refusal::NotPermitted);
        }
        if audience(header.message.schema) != Audience::Gateway {
            self.refuse(place, request, template, Refusal::NotLoggedOn);
            return self.close(place, Refusal::NotLoggedOn);
        }
        let whole = length == COMMAND_HEADER_BYTES + body.len();
        let Some(message) = whole.then(|| Request::decode(header.message, body).ok()).flatten() else {
            return self.close(place, Refusal::BadFrame);
        };
        match (state, message) {
            (_, Request::Logoff(_)) => self.close(place, Refusal::LoggedOff),
            (_, Request::Alive(_)) => {}
            (State::Challenged, Request::Logon(logon)) => self.log_on(place, logon, accepts),
            (State::Challenged, _) => {
                self.refuse(place, request, template, Refusal::NotLoggedOn);
                self.close(place, Refusal::NotLoggedOn);
            }
            (_, Request::Logon(_)) => self.refuse(place, request, template, Refusal::NotPermitted),
            // A snapshot costs the engine more than most commands.
            (_, Request::Subscribe(_)) if !self.may_spend(place) => {
                self.refuse(place, request, template, Refusal::RateLimited);
            }
            (_, Request::Subscribe(subscribe)) => self.subscribe(place, request, *subscribe, accepts),
            (_, Request::Unsubscribe(unsubscribe)) => self.unsubscribe(place, request, unsubscribe.topic),
        }
    }

    /// Checks the proof and asks the engine for a session.
    fn log_on(&mut self, place: Place, logon: &Logon, accepts: bool) {
        let nonce = self.at(place).nonce;
        let proved = self.keys.verify(&nonce, logon.client, logon.protocol, &logon.proof);
        if logon.protocol != PROTOCOL {
            return self.close(place, Refusal::ProtocolMismatch);
        }
        if !proved {
            tracing::warn!(connection = place, client = logon.client.0, "logon refused");
            return self.close(place, Refusal::LogonRefused);
        }
        // A session is two frames of the log. On a full disk those that are open may still close: what the journal keeps
        // back is enough for them, and not for a client that comes and goes. The client's first session stays.
        if !accepts {
            return self.close(place, Refusal::DiskFull);
        }
        if let Some(first) = self.clients.get(logon.client.0.into()) {
            // A logon that was long on its way may come after that of the connection which the client made in its place.
            if self.at(first).number > self.at(place).number {
                return self.close(place, Refusal::Superseded);
            }
            // The first connection's session is closed in the log before the second one's is opened.
            self.close(first, Refusal::Superseded);
        }
        let (session, now) = (self.session_next, self.now);
        self.session_next = SessionId(session.0 + 1);
        let connection = self.at(place);
        connection.client = logon.client;
        connection.session = session;
        connection.state = State::Opening;
        connection.since = now;
        self.sessions.insert(session.0.into(), place).expect("as many sessions as connections");
        self.clients.insert(logon.client.0.into(), place).expect("as many clients as connections");
        self.stats.sessions += 1;
        let opened = SessionOpened { client: logon.client, protocol: logon.protocol, reserved: Reserved::default() };
        self.sequence(session, RequestId(0), logon.client, Frame::SessionOpened(&opened));
        tracing::info!(connection = place, client = logon.client.0, session = session.0, "logon proved");
    }
}
