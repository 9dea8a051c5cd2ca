//! Messages of fixed layout: a type, then fields one behind the other without anything between them.
//!
//! Numbers have their highest byte first. Text is ASCII, with spaces behind it.

use std::fmt;

/// Bytes that are no message of their set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// There is not even a type.
    #[error("a message without a type")]
    Empty,
    /// The set has no such type.
    #[error("no message has the type {0:#04x}")]
    Type(u8),
    /// A message of that type is longer or shorter.
    #[error("a message {kind} has {expected} bytes, not {bytes}", kind = char::from(*kind))]
    Length {
        /// The type.
        kind: u8,
        /// Bytes of such a message, its type included.
        expected: usize,
        /// Bytes that came.
        bytes: usize,
    },
}

/// What stands at one place of a layout.
pub trait Field: Copy {
    /// Bytes that it takes.
    const BYTES: usize;

    /// What `bytes` say, of which there are [`Field::BYTES`].
    fn read(bytes: &[u8]) -> Self;

    /// Writes it behind `out`.
    fn write(self, out: &mut Vec<u8>);
}

macro_rules! numbers {
    ($($number:ty),*) => { $(
        impl Field for $number {
            const BYTES: usize = size_of::<$number>();

            fn read(bytes: &[u8]) -> Self {
                Self::from_be_bytes(bytes.try_into().expect("as many bytes as the field has"))
            }

            fn write(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
        }
    )* };
}
numbers!(u8, u16, u32, u64);

/// Nanoseconds after midnight UTC, in six bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nanos48(pub u64);

impl Field for Nanos48 {
    const BYTES: usize = 6;

    fn read(bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes()[2..]);
    }
}

/// Text of `N` bytes, as it came: what is shorter has spaces behind it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const N: usize>(pub [u8; N]);

impl<const N: usize> Text<N> {
    /// Spaces alone.
    pub const BLANK: Self = Self([b' '; N]);

    /// `text` with spaces behind it; none when it is longer, or not of printable ASCII.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [b' '; N];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self(bytes)).filter(Self::is_printable)
    }

    /// Whether all of it is printable ASCII.
    #[must_use]
    pub fn is_printable(&self) -> bool {
        self.0.iter().all(|byte| matches!(byte, b' '..=b'~'))
    }

    /// What stands between the spaces.
    #[must_use]
    pub fn trimmed(&self) -> &[u8] {
        self.0.trim_ascii()
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.trimmed().escape_ascii())
    }
}

impl<const N: usize> Field for Text<N> {
    const BYTES: usize = N;

    fn read(bytes: &[u8]) -> Self {
        Self(bytes.try_into().expect("as many bytes as the field has"))
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

/// Takes the next field off the front of `bytes`, whose length was looked at before.
pub(crate) fn take<F: Field>(bytes: &mut &[u8]) -> F {
    let (field, rest) = bytes.split_at(F::BYTES);
    *bytes = rest;
    F::read(field)
}

/// Declares a set of messages: a struct for each, and an enum of all that reads and writes them.
///
/// The length of each, its type included, is said beside it as the specification says it; it does not compile otherwise.
macro_rules! layouts {
    (
        $(#[$set_doc:meta])*
        pub enum $Set:ident {
            $(
                $(#[$doc:meta])*
                $kind:literal => $Message:ident: $bytes:literal {
                    $( $(#[$field_doc:meta])* $field:ident: $Field:ty, )*
                }
            )*
        }
    ) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub struct $Message { $( $(#[$field_doc])* pub $field: $Field, )* }

            const _: () = assert!(1 $( + <$Field as $crate::layout::Field>::BYTES )* == $bytes, stringify!($Message));

            impl From<$Message> for $Set {
                fn from(message: $Message) -> Self {
                    Self::$Message(message)
                }
            }
        )*

        $(#[$set_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $Set { $( $(#[$doc])* $Message($Message), )* }

        impl $Set {
            /// Reads one message, which takes all of `bytes`.
            ///
            /// # Errors
            /// [`Malformed`](crate::Malformed) when it is none of these.
            pub fn parse(bytes: &[u8]) -> Result<Self, $crate::Malformed> {
                let (&kind, mut rest) = bytes.split_first().ok_or($crate::Malformed::Empty)?;
                let expected = match kind {
                    $( $kind => $bytes, )*
                    _ => return Err($crate::Malformed::Type(kind)),
                };
                if bytes.len() != expected {
                    return Err($crate::Malformed::Length { kind, expected, bytes: bytes.len() });
                }
                Ok(match kind {
                    $( $kind => Self::$Message($Message { $( $field: $crate::layout::take(&mut rest), )* }), )*
                    _ => unreachable!("its type has a length"),
                })
            }

            /// Writes it behind `out`.
            pub fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $( Self::$Message(message) => {
                        out.push($kind);
                        $( $crate::layout::Field::write(message.$field, out); )*
                    } )*
                }
            }
        }
    };
}
pub(crate) use layouts;
