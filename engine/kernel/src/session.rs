//! What a domain and a gateway know of clients and their sessions. The table itself is the engine's.

use crate::choice;
use crate::newtype;

newtype! {
    /// What a client may do in a domain: bits of [`Roles::TRADE`], [`Roles::ADMINISTER`], [`Roles::OBSERVE`].
    pub struct Roles(u8);
}

impl Roles {
    /// May do nothing.
    pub const NONE: Self = Self(0);
    /// May use the domain for its own account.
    pub const TRADE: Self = Self(1);
    /// May change what others depend on: instruments, limits, schedules.
    pub const ADMINISTER: Self = Self(2);
    /// May subscribe to public topics.
    pub const OBSERVE: Self = Self(4);
    /// Every role that there is.
    pub const ALL: Self = Self(7);

    /// Whether all of `needed` are among these.
    #[must_use]
    #[inline]
    pub const fn allow(self, needed: Self) -> bool {
        self.0 & needed.0 == needed.0
    }

    /// These and `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

choice! {
    /// What became of a session.
    pub enum SessionChange as SessionChangeCode {
        /// The client logged on.
        Opened = 1,
        /// It is gone: logged off, lost, superseded, or the engine started again.
        Closed = 2,
    }
}
