//! What an operator sets.

use crate::layout::Text;
use crate::soup::{Password, Session};
use ringfence_domains::matching::messages::Price;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Text of a fixed width.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "String")]
pub struct Word<const N: usize>(pub Text<N>);

impl<const N: usize> TryFrom<String> for Word<N> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
        let word = Text::new(&text).filter(|_| is_word);
        word.map(Self)
            .ok_or_else(|| format!("`{text}` is not 1 to {N} printable characters without spaces and slashes"))
    }
}

/// A password. It is never printed.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Secret(pub(crate) Password);

impl TryFrom<String> for Secret {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let password = Password::new(&text).filter(|_| !text.trim().is_empty());
        password.map(Self).ok_or("a password is 1 to 10 printable characters")
    }
}

/// Who may log in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The name, of which case is of no account.
    pub username: Word<6>,
    /// The password, likewise.
    pub password: Secret,
}

/// An account that enters orders.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountSettings {
    /// The name, of which case is of no account.
    pub username: Word<6>,
    /// The password, likewise.
    pub password: Secret,
    /// Which client of the engine it is, and so which account. It needs trade.
    pub client: u32,
}

/// An instrument that is offered.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// Its number in the engine, which is its locate.
    pub instrument: u16,
    /// What it is called.
    pub stock: Word<8>,
    /// Decimal digits of its prices in the engine, four at most.
    pub decimals: u8,
    /// What the directory says of its round lot.
    #[serde(default = "default_round_lot")]
    pub round_lot: u32,
}

impl Listing {
    /// How many units of the fourth decimal digit one of the engine's prices is.
    const fn scale(&self) -> u32 {
        10_u32.pow(4 - self.decimals as u32)
    }

    /// The engine's price of one with four decimal digits; none when it has none.
    pub(crate) fn price_in(&self, price: u32) -> Option<Price> {
        price.is_multiple_of(self.scale()).then(|| Price(i64::from(price / self.scale())))
    }

    /// One of the engine's prices with four decimal digits; none when that does not fit.
    pub(crate) fn price_out(&self, price: Price) -> Option<u32> {
        price.0.checked_mul(i64::from(self.scale())).and_then(|price| u32::try_from(price).ok())
    }
}

/// The gateway's settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The name of the session. Another name begins another one, with messages from 1.
    pub session: Word<10>,
    /// The folder in which sessions are kept.
    pub directory: PathBuf,
    /// Where it listens for OUCH. Port 0 takes any free port.
    #[serde(default = "default_ouch")]
    pub ouch: SocketAddr,
    /// Where it listens for those who read ITCH. Port 0 takes any free port.
    #[serde(default = "default_itch")]
    pub itch: SocketAddr,
    /// Whether to switch on the streams of orders that market data is made of, for which the client needs administer.
    #[serde(default)]
    pub order_feeds: bool,
    /// Connections at once.
    #[serde(default = "default_connections")]
    pub connections_max: usize,
    /// What is traded.
    pub instruments: Vec<Listing>,
    /// Who enters orders.
    #[serde(default)]
    pub accounts: Vec<AccountSettings>,
    /// Who reads market data.
    #[serde(default)]
    pub readers: Vec<User>,
}

fn default_round_lot() -> u32 {
    100
}
fn default_ouch() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 7_442))
}
fn default_itch() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 7_450))
}
fn default_connections() -> usize {
    256
}

/// Instruments at most: a stream begins with a message of each of them, which are kept at once.
const INSTRUMENTS_MAX: usize = 1_500;

impl Settings {
    /// What of the settings cannot work together.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        fn is_distinct<T: Ord>(all: impl Iterator<Item = T>) -> bool {
            let mut seen = BTreeSet::new();
            all.into_iter().all(|one| seen.insert(one))
        }
        let name = |name: &Word<6>| name.0.0.to_ascii_uppercase();
        match () {
            () if self.instruments.iter().any(|listing| listing.instrument == 0 || listing.decimals > 4) => {
                Err("an instrument's number is 1 or more, and its prices have four decimal digits at most")
            }
            () if self.instruments.len() > INSTRUMENTS_MAX => Err("there are more than 1,500 instruments"),
            () if !is_distinct(self.instruments.iter().map(|listing| listing.instrument)) => {
                Err("an instrument is listed twice")
            }
            () if !is_distinct(self.instruments.iter().map(|listing| listing.stock)) => Err("two stocks have one name"),
            () if !is_distinct(self.accounts.iter().map(|account| name(&account.username))) => {
                Err("two accounts have one name")
            }
            () if !is_distinct(self.accounts.iter().map(|account| account.client)) => {
                Err("two accounts are one client of the engine")
            }
            () if !is_distinct(self.readers.iter().map(|reader| name(&reader.username))) => {
                Err("two readers have one name")
            }
            () => Ok(()),
        }
    }

    /// The session's name.
    pub(crate) fn session(&self) -> Session {
        self.session.0
    }

    /// The file of a stream.
    pub(crate) fn file(&self, stream: &str) -> PathBuf {
        self.directory.join(format!("{}.{stream}", self.session.0))
    }
}

/// The listing of a stock.
pub(crate) fn listing<'a>(listings: &'a [Listing], stock: &Text<8>) -> Option<&'a Listing> {
    listings.iter().find(|listing| listing.stock.0 == *stock)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
        session = \"S1\"
        directory = \"sessions\"
        [[instruments]]
        instrument = 1
        stock = \"ACME\"
        decimals = 2
        [[accounts]]
        username = \"ALPHA\"
        password = \"secret\"
        client = 2
        [[readers]]
        username = \"READ\"
        password = \"secret\"
    ";

    /// Guards against settings that cannot work and are found out only when somebody logs in, and against passwords in logs.
    #[test]
    fn settings_that_cannot_work_are_refused() {
        let good: Settings = toml::from_str(GOOD).expect("sound");
        assert_eq!(good.check(), Ok(()));
        assert!(!format!("{good:?}").contains("secret"), "{good:?}");
        assert_eq!(good.file("itch"), PathBuf::from("sessions/S1.itch"));
        for (from, to) in [
            ("\"S1\"", "\"../S1\""),
            ("\"S1\"", "\"\""),
            ("\"ACME\"", "\"NINECHARS\""),
            ("\"ALPHA\"", "\"SEVENCH\""),
            ("\"secret\"", "\"elevenchars\""),
        ] {
            assert!(toml::from_str::<Settings>(&GOOD.replace(from, to)).is_err(), "{to}");
        }
        let twice = |part: &str| format!("{GOOD}{part}");
        let listing = |number| format!("\n[[instruments]]\ninstrument = {number}\nstock = \"S{number}\"\ndecimals = 0");
        let listed = |count| (2..=count).map(listing).collect::<String>();
        let most: Settings = toml::from_str(&twice(&listed(1_500))).expect("it is TOML of these");
        assert_eq!(most.check(), Ok(()));
        for text in [
            GOOD.replace("instrument = 1", "instrument = 0"),
            GOOD.replace("decimals = 2", "decimals = 5"),
            twice(&listed(1_501)),
            twice("[[instruments]]\ninstrument = 1\nstock = \"B\"\ndecimals = 0"),
            twice("[[instruments]]\ninstrument = 2\nstock = \"ACME\"\ndecimals = 0"),
            twice("[[accounts]]\nusername = \"alpha\"\npassword = \"p\"\nclient = 3"),
            twice("[[accounts]]\nusername = \"BETA\"\npassword = \"p\"\nclient = 2"),
            twice("[[readers]]\nusername = \"read\"\npassword = \"p\""),
        ] {
            let settings: Settings = toml::from_str(&text).expect("it is TOML of these");
            assert!(settings.check().is_err(), "{text}");
        }
    }

    /// Guards against prices that are rounded, or that wrap.
    #[test]
    fn prices_are_exact_or_none() {
        let listing: Listing = toml::from_str("instrument = 1\nstock = \"A\"\ndecimals = 2").expect("sound");
        assert_eq!(listing.price_in(1_234_500), Some(Price(12_345)));
        assert_eq!(listing.price_in(1_234_501), None);
        assert_eq!(listing.price_out(Price(12_345)), Some(1_234_500));
        for price in [Price(-1), Price(42_949_673), Price(i64::MAX), Price(i64::MIN)] {
            assert_eq!(listing.price_out(price), None, "{price}");
        }
    }
}
