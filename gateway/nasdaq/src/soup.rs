//! SoupBinTCP 3.00: packets, of which the sequenced ones are numbered by counting.
//!
//! ```text
//! packet   length (2 bytes, the higher first: what follows) · type · payload
//! ```
//!
//! Names and passwords are padded on the right with spaces and know no case; sessions and numbers are padded on the left,
//! and are understood padded on either side.

use crate::layout::{Field as _, Text, take};
use std::fmt;
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroize as _;

/// Bytes before a packet's type.
pub const LENGTH_BYTES: usize = 2;
/// The most bytes of a packet behind its length that a client may send: more than any message, and room for a debug text.
pub const CLIENT_PACKET_MAX: usize = 1_024;
/// Bytes of a login request behind its type.
const LOGIN_BYTES: usize = 46;
/// Bytes of a login's acceptance behind its type.
const ACCEPTED_BYTES: usize = 30;

/// The name of a session.
pub type Session = Text<10>;

/// The stream is not what it should be; nothing that follows can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPacket {
    /// A packet without a type, or one longer than it may be.
    #[error("a packet of {0} bytes")]
    Length(usize),
    /// There is no such type.
    #[error("no packet has the type {0:#04x}")]
    Type(u8),
    /// A packet of that type is longer or shorter.
    #[error("a packet {kind} with {bytes} bytes of payload", kind = char::from(*kind))]
    Payload {
        /// The type.
        kind: u8,
        /// Bytes of its payload.
        bytes: usize,
    },
    /// A number of other than digits and spaces, or one that is too large.
    #[error("a sequence number that is none")]
    Number,
    /// No such reason to reject a login.
    #[error("no login is rejected for {0:#04x}")]
    Reason(u8),
}

/// A client's password. It is never printed, and is compared in the same time wherever it differs.
#[derive(Clone)]
pub struct Password([u8; 10]);

impl Password {
    /// A password of up to ten printable characters.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        Text::new(text).map(|Text(bytes)| Self(bytes))
    }

    /// Whether both are the same but for case.
    #[must_use]
    pub fn matches(&self, other: &Self) -> Choice {
        self.0.to_ascii_uppercase().ct_eq(&other.0.to_ascii_uppercase())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What a client asks for when it logs in.
#[derive(Clone, Debug)]
pub struct Login {
    /// Who it is.
    pub username: Text<6>,
    /// The proof.
    pub password: Password,
    /// Which session; blank for the present one.
    pub session: Session,
    /// The number of the first message that it wants, from 1; 0 for the next one that is said.
    pub from: u64,
}

/// Why a login is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginReject {
    /// Name or password is wrong.
    #[error("not authorized")]
    NotAuthorized,
    /// There is no such session, or not as much of it.
    #[error("the session is not available")]
    NotAvailable,
}

/// A packet.
#[derive(Clone, Debug)]
pub enum Packet<'a> {
    /// Text for people.
    Debug(&'a [u8]),
    /// The server lets the client in.
    LoginAccepted {
        /// The session.
        session: Session,
        /// The number of the next sequenced message.
        next: u64,
    },
    /// The server does not let the client in, and closes.
    LoginRejected(LoginReject),
    /// A message of the server's, with the next number.
    Sequenced(&'a [u8]),
    /// The server has said nothing else for a second.
    ServerHeartbeat,
    /// The session is over, and the server closes.
    EndOfSession,
    /// The client's first packet.
    LoginRequest(Login),
    /// A message that has no number.
    Unsequenced(&'a [u8]),
    /// The client has said nothing else for a second.
    ClientHeartbeat,
    /// The client goes.
    LogoutRequest,
}

/// The packet at the front of `stream`, without its length, and the bytes that it takes with it; none when it is not there
/// in full.
///
/// # Errors
/// [`BadPacket::Length`] when no packet can be there.
pub fn split(stream: &[u8]) -> Result<Option<(&[u8], usize)>, BadPacket> {
    let Some((length, rest)) = stream.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes(*length));
    if length == 0 || length > CLIENT_PACKET_MAX {
        return Err(BadPacket::Length(length));
    }
    Ok(rest.get(..length).map(|packet| (packet, LENGTH_BYTES + length)))
}

impl<'a> Packet<'a> {
    /// Reads a packet, without its length.
    ///
    /// # Errors
    /// [`BadPacket`] when it is none.
    pub fn parse(packet: &'a [u8]) -> Result<Self, BadPacket> {
        let (&kind, payload) = packet.split_first().ok_or(BadPacket::Length(0))?;
        let exact = |bytes: usize| match payload.len() == bytes {
            true => Ok(()),
            false => Err(BadPacket::Payload { kind, bytes: payload.len() }),
        };
        Ok(match kind {
            b'+' => Self::Debug(payload),
            b'S' => Self::Sequenced(payload),
            b'U' => Self::Unsequenced(payload),
            b'A' => {
                exact(ACCEPTED_BYTES)?;
                let mut rest = payload;
                Self::LoginAccepted { session: take(&mut rest), next: number(rest)? }
            }
            b'J' => {
                exact(1)?;
                Self::LoginRejected(match payload[0] {
                    b'A' => LoginReject::NotAuthorized,
                    b'S' => LoginReject::NotAvailable,
                    other => return Err(BadPacket::Reason(other)),
                })
            }
            b'L' => {
                exact(LOGIN_BYTES)?;
                let mut rest = payload;
                let (username, password) = (take(&mut rest), take::<Text<10>>(&mut rest));
                let session = take(&mut rest);
                Self::LoginRequest(Login { username, password: Password(password.0), session, from: number(rest)? })
            }
            b'H' | b'Z' | b'R' | b'O' => {
                exact(0)?;
                match kind {
                    b'H' => Self::ServerHeartbeat,
                    b'Z' => Self::EndOfSession,
                    b'R' => Self::ClientHeartbeat,
                    _ => Self::LogoutRequest,
                }
            }
            other => return Err(BadPacket::Type(other)),
        })
    }

    /// Writes it behind `out`, its length first.
    ///
    /// # Panics
    /// When its payload is longer than a length can say.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; LENGTH_BYTES]);
        match self {
            Self::Debug(text) => payload(out, b'+', text),
            Self::Sequenced(message) => payload(out, b'S', message),
            Self::Unsequenced(message) => payload(out, b'U', message),
            Self::LoginAccepted { session, next } => {
                let session = String::from_utf8_lossy(session.trimmed());
                payload(out, b'A', format!("{session:>10}{next:>20}").as_bytes());
            }
            Self::LoginRejected(LoginReject::NotAuthorized) => payload(out, b'J', b"A"),
            Self::LoginRejected(LoginReject::NotAvailable) => payload(out, b'J', b"S"),
            Self::LoginRequest(login) => {
                out.push(b'L');
                login.username.write(out);
                out.extend_from_slice(&login.password.0);
                let session = String::from_utf8_lossy(login.session.trimmed());
                out.extend_from_slice(format!("{session:>10}{:>20}", login.from).as_bytes());
            }
            Self::ServerHeartbeat => out.push(b'H'),
            Self::EndOfSession => out.push(b'Z'),
            Self::ClientHeartbeat => out.push(b'R'),
            Self::LogoutRequest => out.push(b'O'),
        }
        let length = u16::try_from(out.len() - start - LENGTH_BYTES).expect("a payload fits its length");
        out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    }
}

fn payload(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.push(kind);
    out.extend_from_slice(bytes);
}

/// The number that digits between spaces say.
fn number(text: &[u8]) -> Result<u64, BadPacket> {
    let digits = text.trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(BadPacket::Number);
    }
    let digits = str::from_utf8(digits).map_err(|_| BadPacket::Number)?;
    digits.parse().map_err(|_| BadPacket::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<const N: usize>(text: &str) -> Text<N> {
        Text::new(text).expect("it fits")
    }

    fn login(from: u64) -> Packet<'static> {
        let password = Password::new("secret").expect("it fits");
        Packet::LoginRequest(Login { username: text("trader"), password, session: text("S1"), from })
    }

    /// Guards against fields of packets that stand elsewhere than the specification says. Each is written here by hand.
    #[test]
    fn packets_are_as_the_specification_writes_them() {
        let cases: [(Packet<'_>, &[u8]); 11] = [
            (Packet::Debug(b"hello"), b"\0\x06+hello"),
            (Packet::LoginAccepted { session: text("S1"), next: 42 }, b"\0\x1fA        S1                  42"),
            (Packet::LoginRejected(LoginReject::NotAuthorized), b"\0\x02JA"),
            (Packet::LoginRejected(LoginReject::NotAvailable), b"\0\x02JS"),
            (Packet::Sequenced(b"abc"), b"\0\x04Sabc"),
            (Packet::ServerHeartbeat, b"\0\x01H"),
            (Packet::EndOfSession, b"\0\x01Z"),
            (login(1), b"\0\x2fLtradersecret            S1                   1"),
            (Packet::Unsequenced(b"xyz"), b"\0\x04Uxyz"),
            (Packet::ClientHeartbeat, b"\0\x01R"),
            (Packet::LogoutRequest, b"\0\x01O"),
        ];
        for (packet, bytes) in cases {
            let mut out = Vec::new();
            packet.write(&mut out);
            assert_eq!(out.escape_ascii().to_string(), bytes.escape_ascii().to_string());
            let (whole, taken) = split(bytes).expect("sound").expect("whole");
            assert_eq!(taken, bytes.len());
            let mut again = Vec::new();
            Packet::parse(whole).expect("sound").write(&mut again);
            assert_eq!(again, bytes);
            for cut in 0..bytes.len() {
                assert!(matches!(split(&bytes[..cut]), Ok(None)), "cut at {cut}");
            }
        }
    }

    /// Guards against logins of others' clients, which pad numbers and sessions on the right.
    #[test]
    fn numbers_and_sessions_are_understood_padded_on_either_side() {
        let packet = b"Ltradersecret    S1        17                  ";
        let Ok(Packet::LoginRequest(login)) = Packet::parse(packet) else { panic!("a login") };
        assert_eq!((login.session.trimmed(), login.from), (&b"S1"[..], 17));
    }

    /// Guards against packets that are taken for something else than nothing.
    #[test]
    fn what_is_no_packet_is_refused_by_name() {
        let refused = |packet: &[u8]| Packet::parse(packet).map(|_| ()).unwrap_err();
        assert!(matches!(split(b"\0\0"), Err(BadPacket::Length(0))));
        assert!(matches!(split(b"\x04\x01U"), Err(BadPacket::Length(1_025))));
        assert_eq!(refused(b""), BadPacket::Length(0));
        assert_eq!(refused(b"?"), BadPacket::Type(b'?'));
        assert_eq!(refused(b"R "), BadPacket::Payload { kind: b'R', bytes: 1 });
        assert_eq!(refused(b"L"), BadPacket::Payload { kind: b'L', bytes: 0 });
        assert_eq!(refused(b"JX"), BadPacket::Reason(b'X'));
        for number in ["                    ", "                  -1", "                 1 2", "18446744073709551616"] {
            let packet = format!("Ltradersecret            S1{number:>20}");
            assert_eq!(refused(packet.as_bytes()), BadPacket::Number, "{number}");
        }
    }

    /// Guards against a password that is printed, or that matches where it should not.
    #[test]
    fn a_password_is_compared_without_case_and_never_printed() {
        let password = |text| Password::new(text).expect("it fits");
        assert!(bool::from(password("Secret").matches(&password("sECRET"))));
        assert!(!bool::from(password("secret").matches(&password("secret1"))));
        assert!(Password::new("eleven long").is_none());
        let Packet::LoginRequest(login) = login(1) else { panic!("a login") };
        assert!(!format!("{login:?}").contains("secret"), "{login:?}");
    }
}
