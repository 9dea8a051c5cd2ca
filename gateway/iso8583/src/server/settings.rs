//! What an operator sets.

use crate::frame::Framing;
use crate::layout::{BadLayout, Layout};
use crate::security::{Decimalization, PinBlockFormat};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Which layout the messages start from; `fields` may say otherwise of it.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// Everything in ASCII.
    #[default]
    Ascii,
    /// Digits packed, bitmaps and binary fields as they are.
    Binary,
}

/// Whether messages must bring what is verified.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// A message without it is refused.
    #[default]
    Required,
    /// It must be right where it is there.
    Optional,
}

/// A key in hexadecimal digits, wrapped by the module's master key.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyText(pub(crate) Vec<u8>);

impl KeyText {
    /// The wrapped key.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl core::fmt::Debug for KeyText {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("KeyText")
    }
}

impl TryFrom<String> for KeyText {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        base16ct::mixed::decode_vec(text).map(Self).map_err(|_| "a key is pairs of hexadecimal digits")
    }
}

/// The keys, each wrapped for its purpose.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// Makes tokens of card numbers.
    pub token: KeyText,
    /// PIN blocks come under it, until a terminal exchanges keys.
    pub pin_block: KeyText,
    /// PIN references are made with it.
    pub pin_verification: KeyText,
    /// Messages are authenticated with it, until a terminal exchanges keys.
    pub mac: KeyText,
    /// New keys go to terminals under it.
    pub exchange: KeyText,
    /// CVVs, of tracks 2, are made with it; without it none is looked at.
    pub cvv: Option<KeyText>,
    /// Numbers of cards of remote issuers are covered with it; needed when there are any.
    pub cover: Option<KeyText>,
}

/// Another acquirer, which this host is the issuer for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acquirer {
    /// The number that the engine knows it by, among terminals.
    pub terminal: u32,
    /// PIN blocks come from it under this key.
    pub pin_block: KeyText,
    /// Messages are authenticated with this key.
    pub mac: KeyText,
}

/// A remote issuer, to which this host is the acquirer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteIssuer {
    /// The number that the engine knows it by.
    pub issuer: u16,
    /// Where it listens, for messages in the same layout and framing.
    pub address: SocketAddr,
    /// What it knows this host by: field 32.
    pub acquirer: String,
    /// PIN blocks go to it under this key.
    pub pin_block: KeyText,
    /// Messages are authenticated with this key.
    pub mac: KeyText,
    /// Milliseconds after which it is silent, and after which an advice is repeated.
    #[serde(default = "default_issuer_timeout")]
    pub timeout_ms: u64,
}

/// How natural PINs of IBM 3624 are made.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Natural {
    table: String,
    first: usize,
    digits: usize,
    pad: u8,
}

impl Natural {
    fn read(&self) -> Option<Decimalization> {
        let Self { table, first, digits, pad } = self;
        let table = table.as_bytes().try_into().ok()?;
        (*digits <= 16 && *pad <= 15).then(|| Decimalization { table, validation: *first..first + digits, pad: *pad })
    }
}

impl Default for Natural {
    fn default() -> Self {
        Self { table: "0123456789012345".into(), first: 0, digits: 12, pad: 15 }
    }
}

/// The gateway's settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where it listens. Port 0 takes any free port.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// How the length of a message is written.
    #[serde(default)]
    pub framing: Framing,
    /// Which layout it starts from.
    #[serde(default)]
    pub layout: Base,
    /// What is otherwise in the layout, in the form of a layout's file.
    #[serde(default)]
    pub fields: String,
    /// What terminals' names in field 41 begin with; the rest is the terminal's number.
    #[serde(default)]
    pub terminal_prefix: String,
    /// The currency that field 49 must name.
    pub currency: u16,
    /// How PIN blocks are made.
    #[serde(default)]
    pub pin_block: PinBlockFormat,
    /// Whether messages must be authenticated. An echo and a request for keys may come without: a terminal that lost its
    /// keys asks for others.
    #[serde(default)]
    pub mac: Presence,
    /// Whether requests must bring track 2, where there is a key for CVVs: whoever knows a card's number alone has none.
    #[serde(default)]
    pub track: Presence,
    /// Whether a message may begin a business date.
    #[serde(default)]
    pub cutover: bool,
    /// Where the CVV stands in track 2, counted from behind the service code.
    #[serde(default)]
    pub cvv_at: usize,
    /// Milliseconds after which what the engine has not answered is refused with 91, and taken back.
    #[serde(default = "default_answer_timeout")]
    pub answer_timeout_ms: u64,
    /// Milliseconds without a byte after which a connection is closed.
    #[serde(default = "default_idle_timeout")]
    pub idle_timeout_ms: u64,
    /// The highest number of a terminal that is given keys.
    #[serde(default = "default_terminals")]
    pub terminals_max: u32,
    /// Connections at once.
    #[serde(default = "default_connections")]
    pub connections_max: usize,
    /// The keys.
    pub keys: Keys,
    /// How natural PINs are made.
    #[serde(default)]
    pub natural_pin: Natural,
    /// Other acquirers, by what their messages have in field 32.
    #[serde(default)]
    pub acquirers: BTreeMap<String, Acquirer>,
    /// Remote issuers.
    #[serde(default)]
    pub issuers: Vec<RemoteIssuer>,
}

fn default_listen() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 7_583))
}
const fn default_answer_timeout() -> u64 {
    10_000
}
const fn default_issuer_timeout() -> u64 {
    5_000
}
const fn default_idle_timeout() -> u64 {
    600_000
}
const fn default_terminals() -> u32 {
    65_536
}
const fn default_connections() -> usize {
    1_024
}

impl Settings {
    /// What of the settings cannot work together.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let twice = |mut numbers: Vec<u32>| {
            numbers.sort_unstable();
            numbers.windows(2).any(|pair| pair[0] == pair[1])
        };
        match () {
            () if !self.issuers.is_empty() && self.keys.cover.is_none() => {
                Err("there are remote issuers, and no key to cover card numbers with")
            }
            () if twice(self.issuers.iter().map(|issuer| issuer.issuer.into()).collect()) => {
                Err("two remote issuers have one number")
            }
            () if twice(self.acquirers.values().map(|acquirer| acquirer.terminal).collect()) => {
                Err("two acquirers are one terminal")
            }
            () => Ok(()),
        }
    }

    /// The layout of messages.
    ///
    /// # Errors
    /// [`BadLayout`] when `fields` is none.
    pub fn messages(&self) -> Result<Layout, BadLayout> {
        let base = if self.layout == Base::Ascii { Layout::iso87() } else { Layout::iso87_binary() };
        base.with(&self.fields)
    }

    /// How natural PINs are made; none when it cannot be so.
    #[must_use]
    pub fn decimalization(&self) -> Option<Decimalization> {
        self.natural_pin.read()
    }

    /// How natural PINs are made where nothing is set.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn no_decimalization() -> Decimalization {
        Natural::default().read().expect("the default can be so")
    }

    pub(crate) fn answer_timeout(&self) -> Duration {
        Duration::from_millis(self.answer_timeout_ms)
    }

    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }
}
