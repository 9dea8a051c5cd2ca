//! Identifiers and quantities that every part shares. Each is a newtype, so that two numbers of different meaning
//! never stand side by side as bare integers.

use crate::newtype;

newtype! {
    /// The position of a command in the log, counted from 0. It counts commands, never slots or bytes.
    pub struct Sequence(u64);
}
newtype! {
    /// Nanoseconds since the Unix epoch. The log's timestamps are the only clock that a domain sees.
    pub struct Timestamp(u64);
}
newtype! {
    /// One logon of one client. Numbers are given in the order of logons and never reused within a journal.
    pub struct SessionId(u32);
}
newtype! {
    /// Who logs on: the holder of a key. Reply windows and roles belong to a client and outlive its sessions.
    pub struct ClientId(u32);
}
newtype! {
    /// A client's own number for a command. Numbers of one client increase strictly; gaps are allowed.
    pub struct RequestId(u64);
}
newtype! {
    /// Who owns what a domain keeps. A client acts for the account of its own number.
    pub struct Account(u32);
}
newtype! {
    /// A domain's number: the `schemaId` of its messages, on the wire and in the journal, never reused.
    pub struct DomainId(u16);
}
newtype! {
    /// A stream of events with contiguous numbers: the domain in the highest 16 bits, then the kind, then the id.
    ///
    /// Kinds are the domain's own, except [`Topic::ACCOUNT`]: the private stream of one account.
    pub struct Topic(u64);
}

impl Sequence {
    /// The sequence after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Timestamp {
    /// This moment and `nanoseconds` more, or the end of time.
    #[must_use]
    pub const fn saturating_add(self, nanoseconds: u64) -> Self {
        Self(self.0.saturating_add(nanoseconds))
    }
}

impl Topic {
    /// The kind of a domain's private account streams; the id is the account.
    pub const ACCOUNT: u16 = 0xffff;
    /// Kinds from this one on are private: only the client whose number is the id may follow them.
    pub const PRIVATE: u16 = 0x8000;
    /// No topic: the event goes to one session.
    pub const NONE: Self = Self(0);

    /// The stream of a domain's own `kind` and `id`.
    #[must_use]
    pub const fn new(domain: DomainId, kind: u16, id: u32) -> Self {
        Self((domain.0 as u64) << 48 | (kind as u64) << 32 | id as u64)
    }

    /// The private stream of an account in a domain.
    #[must_use]
    pub const fn account(domain: DomainId, account: Account) -> Self {
        Self::new(domain, Self::ACCOUNT, account.0)
    }

    /// Whether `client` may follow it, when its roles allow: a private stream is for one client alone.
    #[must_use]
    pub const fn is_for(self, client: ClientId) -> bool {
        self.kind() < Self::PRIVATE || self.id() == client.0
    }

    /// The domain that publishes this stream.
    #[must_use]
    pub const fn domain(self) -> DomainId {
        DomainId((self.0 >> 48) as u16)
    }

    /// What kind of stream it is, within its domain.
    #[must_use]
    pub const fn kind(self) -> u16 {
        (self.0 >> 32) as u16
    }

    /// Which one of its kind: an instrument, an account, an election.
    #[must_use]
    pub const fn id(self) -> u32 {
        self.0 as u32
    }
}
