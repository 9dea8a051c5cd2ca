//! Clients, their open sessions, roles and reply windows: replicated state, saved and hashed.

use crate::knobs;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::HashIndex;
use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, REPLY_BODY_BYTES_MAX};
use ringfence_kernel::{ClientId, Corrupt, DomainId, RequestId, Roles, SessionId, Sink, Source};

/// Ids of domains are below this, so that a client's roles have a fixed size.
pub const DOMAIN_IDS: usize = 64;

/// Bytes of a kept reply at most.
const REPLY_BYTES: usize = OUTPUT_HEADER_BYTES + REPLY_BODY_BYTES_MAX;

/// What a client is and may do.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Client {
    /// Who it is.
    pub client: ClientId,
    /// Its open session, or 0.
    pub session: SessionId,
    /// The highest request id that was executed.
    pub highest: RequestId,
    /// Requests executed so far; the last [`Sessions::window`] of them have their reply kept.
    pub executed: u64,
    /// The protocol version of its last session.
    protocol: u16,
    reserved: [u8; 2],
    /// Which of its keys is in force.
    pub key_version: u32,
    /// Where in its circle the next reply is kept: `executed` modulo the window, without the division.
    kept_next: u32,
    reserved_end: [u8; 4],
    /// Its roles by domain id.
    roles: [Roles; DOMAIN_IDS],
}

impl Client {
    /// What it may do in a domain.
    #[must_use]
    #[inline]
    pub fn roles(&self, domain: DomainId) -> Roles {
        self.roles[usize::from(domain.0)]
    }
}

/// A kept reply: an output image of at most 112 bytes. No more alignment than a word: zeroed memory of a larger one is
/// written at once instead of when it is first used.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Kept([u64; 16]);

const _: () = assert!(size_of::<Kept>() >= REPLY_BYTES);

impl Kept {
    fn image(&self) -> &[u8] {
        let bytes: &[u8; 128] = bytemuck::must_cast_ref(&self.0);
        &bytes[..usize::from(u16::from_le_bytes([bytes[0], bytes[1]]))]
    }

    fn request(&self) -> RequestId {
        RequestId(self.0[1])
    }
}

/// What the window says of a request id that is not new.
#[derive(Debug, PartialEq, Eq)]
pub enum Earlier<'a> {
    /// It was executed: this is its reply, an output image.
    Answered(&'a [u8]),
    /// A later one was executed and it never was.
    NotSequenced,
    /// Its reply is no longer kept.
    TooOld,
}

/// All clients the journal knows.
#[derive(Debug)]
pub struct Sessions {
    /// In the order in which they were first named.
    clients: Vec<Client>,
    clients_max: usize,
    /// Sessions open at once.
    sessions_max: usize,
    /// Replies kept for each client.
    window: usize,
    /// `window` places for each client, used in a circle.
    kept: Box<[Kept]>,
    /// Client id to place.
    by_client: HashIndex,
    /// Open session to the place of its client.
    by_session: HashIndex,
}

/// There is no place for a further client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal has as many clients as its Genesis allows")]
pub struct ClientsFull;

impl Sessions {
    /// No clients yet; memory for `clients_max` of them with `window` replies each is claimed, and touched when used.
    #[must_use]
    pub fn new(clients_max: usize, sessions_max: usize, window: usize) -> Self {
        Self {
            clients: Vec::with_capacity(clients_max),
            clients_max,
            sessions_max,
            window,
            kept: bytemuck::allocation::zeroed_slice_box(clients_max * window),
            by_client: HashIndex::new(clients_max),
            by_session: HashIndex::new(clients_max),
        }
    }

    /// Replies kept for each client.
    #[must_use]
    pub fn window(&self) -> usize {
        self.window
    }

    /// Sessions open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.by_session.len()
    }

    /// Sessions that may be open at once.
    #[must_use]
    pub fn sessions_max(&self) -> usize {
        self.sessions_max
    }

    /// From here on, so many sessions may be open at once. Those open stay.
    pub fn set_sessions_max(&mut self, sessions_max: usize) {
        self.sessions_max = sessions_max;
    }

    /// The clients, in the order in which they were first named.
    #[must_use]
    pub fn clients(&self) -> &[Client] {
        &self.clients
    }

    /// The place of the client whose open session this is.
    #[must_use]
    #[inline]
    pub fn place(&self, session: SessionId) -> Option<u32> {
        self.by_session.get(session.0.into())
    }

    /// The client at `place`.
    #[must_use]
    #[inline]
    pub fn client(&self, place: u32) -> &Client {
        &self.clients[place as usize]
    }

    /// The client with this id.
    #[must_use]
    pub fn find(&self, client: ClientId) -> Option<&Client> {
        self.by_client.get(client.0.into()).map(|place| self.client(place))
    }

    /// The place of `client`, new if need be.
    ///
    /// # Errors
    /// [`ClientsFull`] when it is new and there is none.
    pub fn admit(&mut self, client: ClientId) -> Result<u32, ClientsFull> {
        if let Some(place) = self.by_client.get(client.0.into()) {
            return Ok(place);
        }
        if self.clients.len() == self.clients_max {
            return Err(ClientsFull);
        }
        let place = self.clients.len() as u32;
        self.clients.push(Client { client, ..Client::zeroed() });
        self.by_client.insert(client.0.into(), place).expect("the index holds as many as the table");
        Ok(place)
    }

    /// Sets what a client may do in a domain.
    pub fn set_roles(&mut self, place: u32, domain: DomainId, roles: Roles, key_version: u32) {
        let client = &mut self.clients[place as usize];
        client.roles[usize::from(domain.0)] = roles;
        client.key_version = key_version;
    }

    /// What the client at `place` may do in a domain.
    #[must_use]
    #[inline]
    pub fn roles(&self, place: u32, domain: DomainId) -> Roles {
        self.clients[place as usize].roles(domain)
    }

    /// Opens `session` for the client at `place`.
    ///
    /// # Panics
    /// When it has one: the gateway closes the first before it opens a second.
    pub fn open_session(&mut self, place: u32, session: SessionId, protocol: u16) {
        let client = &mut self.clients[place as usize];
        assert!(client.session == SessionId(0), "a client has one session");
        client.session = session;
        client.protocol = protocol;
        self.by_session.insert(session.0.into(), place).expect("a client has one session");
    }

    /// Closes `session`.
    pub fn close_session(&mut self, session: SessionId) {
        let place = self.by_session.remove(session.0.into()).expect("only an open session is closed");
        self.clients[place as usize].session = SessionId(0);
    }

    /// The open session with the lowest id above `after`, and its client.
    #[must_use]
    pub fn next_open(&self, after: SessionId) -> Option<(SessionId, u32)> {
        let places = self.clients.iter().zip(0_u32..);
        places.filter(|(client, _)| client.session > after).map(|(client, place)| (client.session, place)).min()
    }

    /// Whether `request` is new; else what the window says of it.
    ///
    /// # Errors
    /// [`Earlier`] when it is not above the highest executed.
    #[inline]
    pub fn check(&self, place: u32, request: RequestId) -> Result<(), Earlier<'_>> {
        let client = &self.clients[place as usize];
        if request > client.highest || knobs::forget_dedupe() {
            return Ok(());
        }
        Err(self.earlier(place, request))
    }

    #[cold]
    fn earlier(&self, place: u32, request: RequestId) -> Earlier<'_> {
        let executed = self.clients[place as usize].executed;
        let (mut low, mut high) = (executed.saturating_sub(self.window as u64), executed);
        let all_kept = low == 0;
        let oldest = low;
        while low < high {
            let middle = low + (high - low) / 2;
            let kept = &self.kept[self.kept_at(place, middle)];
            match kept.request().cmp(&request) {
                core::cmp::Ordering::Equal => return Earlier::Answered(kept.image()),
                core::cmp::Ordering::Less => low = middle + 1,
                core::cmp::Ordering::Greater => high = middle,
            }
        }
        if low == oldest && !all_kept { Earlier::TooOld } else { Earlier::NotSequenced }
    }

    #[inline]
    fn kept_at(&self, place: u32, executed: u64) -> usize {
        place as usize * self.window + (executed % self.window as u64) as usize
    }

    /// The place where the answer to the client's newest request is kept: the caller writes its image there.
    #[inline]
    pub fn keep(&mut self, place: u32, request: RequestId) -> &mut [[u64; 2]] {
        let client = &mut self.clients[place as usize];
        debug_assert!(request > client.highest || knobs::forget_dedupe(), "request ids increase strictly");
        let at = place as usize * self.window + client.kept_next as usize;
        client.highest = request;
        client.executed += 1;
        client.kept_next = if client.kept_next as usize + 1 == self.window { 0 } else { client.kept_next + 1 };
        self.kept[at].0.as_chunks_mut().0
    }

    /// Writes clients and the replies kept for each, oldest first.
    pub fn save(&self, sink: &mut impl Sink) {
        sink.value(&(self.sessions_max as u64));
        sink.value(&(self.clients.len() as u64));
        for (client, place) in self.clients.iter().zip(0_u32..) {
            sink.value(client);
            for executed in client.executed.saturating_sub(self.window as u64)..client.executed {
                sink.put(self.kept[self.kept_at(place, executed)].image());
            }
        }
    }

    /// What [`Sessions::save`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] when it cannot be that.
    pub fn load(clients_max: usize, window: usize, source: &mut impl Source) -> Result<Self, Corrupt> {
        let sessions_max = source.count(u32::MAX as usize, "sessions at once")?;
        let mut sessions = Self::new(clients_max, sessions_max, window);
        for place in 0..source.count(clients_max, "clients")? as u32 {
            let client: Client = source.value()?;
            let twice = sessions.by_client.insert(client.client.0.into(), place).map_err(|_| Corrupt("clients"))?;
            let open = client.session != SessionId(0);
            if twice.is_some() || open && sessions.by_session.insert(client.session.0.into(), place) != Ok(None) {
                return Err(Corrupt("a client or session stands twice"));
            }
            if u64::from(client.kept_next) != client.executed % window as u64 {
                return Err(Corrupt("a client's place in its window"));
            }
            sessions.clients.push(client);
            for executed in client.executed.saturating_sub(window as u64)..client.executed {
                let at = sessions.kept_at(place, executed);
                sessions.kept[at] = load_reply(source)?;
            }
        }
        Ok(sessions)
    }
}

fn load_reply(source: &mut impl Source) -> Result<Kept, Corrupt> {
    let mut kept = Kept::zeroed();
    let bytes: &mut [u8; 128] = bytemuck::must_cast_mut(&mut kept.0);
    source.take(&mut bytes[..8])?;
    let length = usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
    let body = bytes.get_mut(8..length).filter(|_| length >= OUTPUT_HEADER_BYTES).ok_or(Corrupt("a kept reply"))?;
    source.take(body)?;
    Ok(kept)
}
