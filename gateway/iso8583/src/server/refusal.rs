//! Why the gateway itself refuses a message.

use crate::message::Error;
use crate::security::SecurityError;
use ringfence_client::kernel::reject::Code;
use ringfence_domains::atm::messages::Reject;

/// Why a message is refused before the engine decides, or by the engine without a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read.
    #[error(transparent)]
    Format(#[from] Error),
    /// A field that is needed is not there.
    #[error("field {0} is missing")]
    Missing(u8),
    /// A field says what it cannot say.
    #[error("field {0} is not what it should be")]
    Field(u8),
    /// Its type or what it asks for is not served here.
    #[error("it asks for what is not served here")]
    Unserved,
    /// It names another currency.
    #[error("another currency")]
    Currency,
    /// Its authentication code is wrong, or missing.
    #[error("it is not authentic")]
    Mac,
    /// The security module cannot use its PIN block, or a key.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The value on the card's track is wrong.
    #[error("the card's verification value is wrong")]
    Cvv,
    /// Messages may not do that here.
    #[error("not permitted")]
    NotPermitted,
    /// The route of the card leads to an issuer that is not reached from here.
    #[error("no way to the card's issuer")]
    NoRoute,
    /// The engine cannot be reached, or does not answer in time.
    #[error("the engine does not answer")]
    Silent,
    /// The engine refuses it.
    #[error("the engine refuses it with {0}")]
    Engine(Code),
}

impl Refusal {
    /// The response code, field 39.
    #[must_use]
    pub fn code(&self) -> [u8; 2] {
        *match self {
            Self::Format(_) | Self::Missing(_) | Self::Field(_) => b"30",
            Self::Unserved | Self::Currency => b"12",
            Self::Mac | Self::Security(_) => b"63",
            Self::Cvv => b"05",
            Self::NotPermitted => b"58",
            Self::NoRoute => b"92",
            Self::Silent => b"91",
            Self::Engine(code) if *code == Reject::UnknownTerminal.into() => b"58",
            Self::Engine(code) if *code == Reject::BadDate.into() => b"12",
            Self::Engine(_) => b"96",
        }
    }

    /// The field that it is about.
    #[must_use]
    pub fn field(&self) -> Option<u8> {
        match self {
            Self::Format(error) => Some(error.field),
            Self::Missing(field) | Self::Field(field) => Some(*field),
            _ => None,
        }
    }
}
