//! Messages: one declaration gives layout, ids, size checks, a borrowed view and the schema.
//!
//! [`messages!`](crate::messages!) declares the messages of one direction of one schema. Everything else about them
//! (XML schema, golden vectors, documentation) is generated from the [`Part`] it leaves behind.

use crate::image::{ALIGNMENT, MessageHeader, aligned};
use bytemuck::{Pod, Zeroable};

/// What is wrong with a body, and at which byte of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The schema has no such message.
    #[error("template {template} is not of this schema")]
    Template {
        /// The number that was sent.
        template: u16,
    },
    /// The writer has another version of the schema.
    #[error("schema version {version}, expected {expected}")]
    Version {
        /// The version that was sent.
        version: u16,
        /// The version that this build speaks.
        expected: u16,
    },
    /// The body is not as long as the message is.
    #[error("template {template}: {bytes} bytes where {expected} were expected")]
    Length {
        /// The message.
        template: u16,
        /// Bytes of the root block or of the body that were sent.
        bytes: usize,
        /// Bytes that the message has.
        expected: usize,
    },
    /// A field holds what it must not.
    #[error("template {template}: field {field} at byte {offset} of the body is not valid")]
    Field {
        /// The message.
        template: u16,
        /// Its field.
        field: &'static str,
        /// Where the field stands in the body.
        offset: u16,
    },
}

impl Malformed {
    /// The byte of the body at which it goes wrong; 0 when it is the body as a whole.
    #[must_use]
    pub const fn offset(&self) -> u16 {
        match self {
            Self::Field { offset, .. } => *offset,
            _ => 0,
        }
    }
}

/// The messages of one direction of one schema, seen in place.
pub trait Message<'a>: Copy {
    /// What the schema says of them.
    const PART: &'static Part;

    /// Views `body` as the message that `header` names. `body` stands on an 8-byte boundary and may end in up to
    /// seven zero bytes of padding.
    ///
    /// # Errors
    /// [`Malformed`] names what is wrong and where.
    #[inline]
    fn decode(header: MessageHeader, body: &'a [u8]) -> Result<Self, Malformed> {
        Self::decode_then(header, body, Itself)
    }

    /// As [`Message::decode`], and does something with it: where that is inlined, each kind of message has a way of its
    /// own, and is told apart once.
    ///
    /// # Errors
    /// [`Malformed`] names what is wrong and where.
    fn decode_then<T: Then<Self>>(header: MessageHeader, body: &'a [u8], then: T) -> Result<T::Output, T::Error>;

    /// Its header, as a writer of this build sends it.
    fn header(&self) -> MessageHeader;

    /// Bytes of its body, padded to a whole number of words.
    fn body_bytes(&self) -> usize;

    /// Writes its body, padding included, to the front of `out`; gives how many bytes that was.
    ///
    /// # Panics
    /// When `out` is shorter than [`Message::body_bytes`].
    fn encode(&self, out: &mut [u8]) -> usize;
}

/// What is done with a message.
pub trait Then<M> {
    /// What comes of it.
    type Output;
    /// Why nothing does.
    type Error: From<Malformed>;

    /// Does it.
    ///
    /// # Errors
    /// When it cannot be done.
    fn then(self, message: M) -> Result<Self::Output, Self::Error>;
}

/// Gives the message itself.
struct Itself;

impl<M> Then<M> for Itself {
    type Output = M;
    type Error = Malformed;

    #[inline(always)]
    fn then(self, message: M) -> Result<M, Malformed> {
        Ok(message)
    }
}

/// A type that may be a field of a message.
pub trait Wire: Pod {
    /// What the schema calls it.
    const TYPE: Type;

    /// Whether this value may stand on the wire.
    #[inline]
    fn is_valid(&self) -> bool {
        true
    }
}

/// A field's type in the schema.
#[derive(Clone, Copy, Debug)]
pub struct Type {
    /// Its name: an SBE primitive's, or its own.
    pub name: &'static str,
    /// The SBE primitive under it.
    pub primitive: &'static str,
    /// How many of them; 1 unless it is an array.
    pub count: usize,
    /// The values it may take, when they are named.
    pub choices: &'static [Choice],
    /// What it means.
    pub doc: &'static [&'static str],
}

/// A named value of a field.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// Its name.
    pub name: &'static str,
    /// Its number on the wire.
    pub value: u8,
    /// What it means.
    pub doc: &'static [&'static str],
}

/// A field of a message.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name, in snake case.
    pub name: &'static str,
    /// Its type.
    pub wire: Type,
    /// Where it stands in its block.
    pub offset: usize,
    /// What it means.
    pub doc: &'static [&'static str],
}

/// A repeating group at the end of a message.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Its name, in snake case.
    pub name: &'static str,
    /// Bytes of an entry.
    pub bytes: usize,
    /// Fields of an entry.
    pub fields: &'static [Field],
}

/// One message of a schema.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    /// Its name, in camel case.
    pub name: &'static str,
    /// Its number.
    pub id: u16,
    /// Bytes of its root block.
    pub bytes: usize,
    /// Fields of its root block.
    pub fields: &'static [Field],
    /// Its group, when it has one.
    pub group: Option<Group>,
    /// What it means.
    pub doc: &'static [&'static str],
}

/// The messages of one direction of a schema.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The direction: `Command`, `Reply`, `Event` or the like.
    pub name: &'static str,
    /// The schema's number.
    pub schema: u16,
    /// The schema's version.
    pub version: u16,
    /// What is said in this direction.
    pub doc: &'static [&'static str],
    /// The messages.
    pub templates: &'static [Template],
}

/// The dimensions of a group, as SBE writes them: 8 bytes, so that entries stand aligned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct GroupHeader {
    /// Bytes of one entry.
    pub block_length: u16,
    /// How many entries follow.
    pub count: u16,
    /// Groups within an entry: none.
    pub groups: u16,
    /// Variable fields within an entry: none.
    pub variables: u16,
}

/// Bytes that are sent as zero and refused otherwise, so that a later version can give them a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct Reserved<const N: usize>([u8; N]);

impl<const N: usize> Default for Reserved<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Wire for Reserved<N> {
    const TYPE: Type = Type { name: "uint8", primitive: "uint8", count: N, choices: &[], doc: &[] };
    #[inline]
    fn is_valid(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }
}

impl<const N: usize> Wire for [u8; N] {
    const TYPE: Type = Type { name: "uint8", primitive: "uint8", count: N, choices: &[], doc: &[] };
}

macro_rules! primitives {
    ($($t:ty => $name:literal),*) => { $(
        impl Wire for $t {
            const TYPE: Type = Type { name: $name, primitive: $name, count: 1, choices: &[], doc: &[] };
        }
    )* };
}
primitives!(u8 => "uint8", u16 => "uint16", u32 => "uint32", u64 => "uint64", i8 => "int8", i16 => "int16", i32 => "int32", i64 => "int64");

/// The root block at the front of `body`, when `header` describes it.
///
/// # Errors
/// [`Malformed::Length`] when either length is not the block's.
#[inline(always)]
pub fn block<T: Pod>(header: MessageHeader, body: &[u8]) -> Result<(&T, &[u8]), Malformed> {
    // Most bodies are the block and nothing else.
    if usize::from(header.block_length) == size_of::<T>() && body.len() == size_of::<T>() {
        return Ok((view(body), &[]));
    }
    let (root, rest) = front(header, body, size_of::<T>())?;
    Ok((view(root), rest))
}

#[cold]
fn front(header: MessageHeader, body: &[u8], expected: usize) -> Result<(&[u8], &[u8]), Malformed> {
    let wrong = |bytes| Malformed::Length { template: header.template, bytes, expected };
    if usize::from(header.block_length) != expected {
        return Err(wrong(header.block_length.into()));
    }
    body.split_at_checked(expected).ok_or_else(|| wrong(body.len()))
}

/// The entries of the group at the front of `rest`, and what follows them.
///
/// # Errors
/// [`Malformed::Length`] when the dimensions do not fit the bytes.
#[inline]
pub fn group<T: Pod>(template: u16, rest: &[u8]) -> Result<(&[T], &[u8]), Malformed> {
    let short = |expected| Malformed::Length { template, bytes: rest.len(), expected };
    let (head, rest) =
        rest.split_at_checked(size_of::<GroupHeader>()).ok_or_else(|| short(size_of::<GroupHeader>()))?;
    let head: &GroupHeader = view(head);
    if usize::from(head.block_length) != size_of::<T>() || head.groups != 0 || head.variables != 0 {
        return Err(Malformed::Length { template, bytes: head.block_length.into(), expected: size_of::<T>() });
    }
    let bytes = size_of::<T>() * usize::from(head.count);
    let (entries, rest) = rest.split_at_checked(bytes).ok_or_else(|| short(size_of::<GroupHeader>() + bytes))?;
    Ok((bytemuck::try_cast_slice(entries).expect("an entry is a whole number of words in an aligned body"), rest))
}

/// Refuses what follows a message unless it is the zero padding of an image.
///
/// # Errors
/// [`Malformed::Length`] when it is anything else.
#[inline(always)]
pub fn padding(template: u16, body: &[u8], rest: &[u8]) -> Result<(), Malformed> {
    if rest.is_empty() { Ok(()) } else { padded(template, body, rest) }
}

#[cold]
fn padded(template: u16, body: &[u8], rest: &[u8]) -> Result<(), Malformed> {
    if rest.len() < ALIGNMENT && rest.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    Err(Malformed::Length { template, bytes: body.len(), expected: aligned(body.len() - rest.len()) })
}

/// Writes a block word by word: whoever reads its words at once need not wait until pieces of one have come together in
/// the cache.
///
/// # Panics
/// When `out` is shorter.
#[inline(always)]
pub fn put<const WORDS: usize>(out: &mut [u8], block: [u64; WORDS]) {
    let out = &mut out.as_chunks_mut::<8>().0[..WORDS];
    macro_rules! words {
        ($($at:literal)*) => { $( if $at < WORDS { out[$at] = block[$at].to_le_bytes(); } )* };
    }
    words!(0 1 2 3 4 5 6 7 8 9 10 11);
    for at in 12..WORDS {
        out[at] = block[at].to_le_bytes();
    }
}

#[inline]
fn view<T: Pod>(bytes: &[u8]) -> &T {
    bytemuck::try_from_bytes(bytes).expect("a body stands on an 8-byte boundary")
}

/// Refuses a block with a value that may not stand on the wire.
#[doc(hidden)]
#[macro_export]
macro_rules! check_fields {
    ($template:expr, $base:expr, $block:expr, $Msg:ident { $($f:ident : $t:ty),* }) => { $(
        if !<$t as $crate::messages::Wire>::is_valid(&$block.$f) {
            Err($crate::messages::Malformed::Field {
                template: $template,
                field: stringify!($f),
                offset: ($base + core::mem::offset_of!($Msg, $f)) as u16,
            })?;
        }
    )* };
}

/// Declares the messages of one direction of one schema.
///
/// Each message is a `repr(C)` struct of [`Wire`] fields without implicit padding, of the size that stands beside
/// its name (checked at compile time); it may end in one group of entries. The enum is the borrowed view of them all.
///
/// ```
/// use ringfence_kernel::{messages, Message};
/// messages! {
///     /// What a client may ask.
///     pub enum Command in schema 900 version 1 {
///         /// One vote.
///         1 => Cast: 16 {
///             /// Who votes.
///             voter: u64,
///             /// For whom.
///             choice: u64,
///         },
///         /// Several votes at once.
///         2 => CastMany: 8 {
///             /// Who votes.
///             voter: u64,
///         } + choices: Choice: 8 {
///             /// For whom.
///             choice: u64,
///         },
///     }
/// }
/// let command = Command::CastMany(&CastMany { voter: 7 }, &[Choice { choice: 1 }, Choice { choice: 2 }]);
/// let mut words = [0_u64; 8];
/// let bytes = bytemuck::cast_slice_mut(&mut words);
/// let length = command.encode(bytes);
/// assert_eq!(length, 8 + 8 + 16);
/// assert_eq!(Command::decode(command.header(), &bytes[..length]), Ok(command));
/// ```
#[macro_export]
macro_rules! messages {
    (
        $(#[doc = $edoc:literal])*
        $vis:vis enum $View:ident in schema $schema:literal version $version:literal {
            $(
                $(#[doc = $mdoc:literal])*
                $id:literal => $Msg:ident : $size:literal {
                    $( $(#[doc = $fdoc:literal])* $f:ident : $t:ty ),* $(,)?
                } $( + $group:ident : $Entry:ident : $esize:literal {
                    $( $(#[doc = $gdoc:literal])* $gf:ident : $gt:ty ),* $(,)?
                } )?
            ),* $(,)?
        }
    ) => {
        $(
            $(#[doc = $mdoc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
            #[repr(C)]
            $vis struct $Msg { $( $(#[doc = $fdoc])* pub $f: $t, )* }
            impl $Msg {
                /// Its number in the schema.
                pub const TEMPLATE: u16 = $id;
            }
            const _: () = assert!(
                core::mem::size_of::<$Msg>() == $size && $size % 8 == 0,
                concat!("the wire size of ", stringify!($Msg), " changed or is not a whole number of words")
            );
            $(
                /// An entry of the group.
                #[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
                #[repr(C)]
                $vis struct $Entry { $( $(#[doc = $gdoc])* pub $gf: $gt, )* }
                const _: () = assert!(
                    core::mem::size_of::<$Entry>() == $esize && $esize % 8 == 0,
                    concat!("the wire size of ", stringify!($Entry), " changed or is not a whole number of words")
                );
            )?
        )*

        $(#[doc = $edoc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        $vis enum $View<'a> {
            $( $(#[doc = $mdoc])* $Msg(&'a $Msg $(, &'a [$Entry])?), )*
        }

        impl<'a> $crate::messages::Message<'a> for $View<'a> {
            const PART: &'static $crate::messages::Part = &$crate::messages::Part {
                name: stringify!($View),
                schema: $schema,
                version: $version,
                doc: &[$($edoc),*],
                templates: &[$( $crate::messages::Template {
                    name: stringify!($Msg),
                    id: $id,
                    bytes: $size,
                    fields: &[$( $crate::messages::Field {
                        name: stringify!($f),
                        wire: <$t as $crate::messages::Wire>::TYPE,
                        offset: core::mem::offset_of!($Msg, $f),
                        doc: &[$($fdoc),*],
                    } ),*],
                    group: $crate::messages!(@group $( $group $Entry $esize { $( $gf : $gt [$($gdoc),*] ),* } )?),
                    doc: &[$($mdoc),*],
                } ),*],
            };

            #[inline(always)]
            fn decode_then<T: $crate::messages::Then<Self>>(
                header: $crate::image::MessageHeader,
                body: &'a [u8],
                then: T,
            ) -> Result<T::Output, T::Error> {
                if header.version != $version {
                    return Err($crate::messages::Malformed::Version { version: header.version, expected: $version }.into());
                }
                match header.template {
                    $( $id => {
                        let (root, rest) = $crate::messages::block::<$Msg>(header, body)?;
                        $crate::check_fields!($id, 0, root, $Msg { $($f : $t),* });
                        $crate::messages!(@decode $View $Msg $id root body rest then $( $Entry { $($gf : $gt),* } )?)
                    } )*
                    template => Err($crate::messages::Malformed::Template { template })?,
                }
            }

            #[inline(always)]
            fn header(&self) -> $crate::image::MessageHeader {
                let (template, block_length) = match self {
                    $( $View::$Msg(..) => ($id, $size), )*
                };
                $crate::image::MessageHeader { block_length, template, schema: $schema, version: $version }
            }

            #[inline(always)]
            fn body_bytes(&self) -> usize {
                match *self {
                    $( $crate::messages!(@pattern $View $Msg root entries $($Entry)?) => {
                        $crate::messages!(@bytes root entries $($Entry)?)
                    } )*
                }
            }

            #[inline(always)]
            fn encode(&self, out: &mut [u8]) -> usize {
                match *self {
                    $( $crate::messages!(@pattern $View $Msg root entries $($Entry)?) => {
                        $crate::messages::put::<{ $size / 8 }>(out, $crate::bytemuck::must_cast(*root));
                        $crate::messages!(@encode out $size entries $($Entry)?)
                    } )*
                }
            }
        }
    };

    (@group) => { None };
    (@group $group:ident $Entry:ident $esize:literal { $( $gf:ident : $gt:ty [$($gdoc:literal),*] ),* }) => {
        Some($crate::messages::Group {
            name: stringify!($group),
            bytes: $esize,
            fields: &[$( $crate::messages::Field {
                name: stringify!($gf),
                wire: <$gt as $crate::messages::Wire>::TYPE,
                offset: core::mem::offset_of!($Entry, $gf),
                doc: &[$($gdoc),*],
            } ),*],
        })
    };
    (@decode $View:ident $Msg:ident $id:literal $root:ident $body:ident $rest:ident $then:ident) => {{
        $crate::messages::padding($id, $body, $rest)?;
        $then.then($View::$Msg($root))
    }};
    (@decode $View:ident $Msg:ident $id:literal $root:ident $body:ident $rest:ident $then:ident $Entry:ident { $( $gf:ident : $gt:ty ),* }) => {{
        let (entries, rest) = $crate::messages::group::<$Entry>($id, $rest)?;
        for (index, entry) in entries.iter().enumerate() {
            let base = core::mem::size_of::<$Msg>() + 8 + index * core::mem::size_of::<$Entry>();
            $crate::check_fields!($id, base, entry, $Entry { $($gf : $gt),* });
        }
        $crate::messages::padding($id, $body, rest)?;
        $then.then($View::$Msg($root, entries))
    }};
    (@pattern $View:ident $Msg:ident $root:ident $entries:ident) => { $View::$Msg($root) };
    (@pattern $View:ident $Msg:ident $root:ident $entries:ident $Entry:ident) => { $View::$Msg($root, $entries) };
    (@bytes $root:ident $entries:ident) => { core::mem::size_of_val($root) };
    (@bytes $root:ident $entries:ident $Entry:ident) => {
        core::mem::size_of_val($root) + 8 + core::mem::size_of_val($entries)
    };
    (@encode $out:ident $size:literal $entries:ident) => { $size };
    (@encode $out:ident $size:literal $entries:ident $Entry:ident) => {{
        let head = $crate::messages::GroupHeader {
            block_length: core::mem::size_of::<$Entry>() as u16,
            count: u16::try_from($entries.len()).expect("a group has at most 65,535 entries"),
            groups: 0,
            variables: 0,
        };
        let end = $size + 8 + core::mem::size_of_val($entries);
        $out[$size..$size + 8].copy_from_slice($crate::bytemuck::bytes_of(&head));
        $out[$size + 8..end].copy_from_slice($crate::bytemuck::cast_slice($entries));
        end
    }};
}

/// Declares a number with a meaning of its own, fit to be a field of a message.
#[macro_export]
macro_rules! newtype {
    ($(#[doc = $doc:literal])* $vis:vis struct $Name:ident($t:ty);) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, bytemuck::Pod, bytemuck::Zeroable)]
        #[repr(transparent)]
        $vis struct $Name(pub $t);

        impl $crate::messages::Wire for $Name {
            const TYPE: $crate::messages::Type = $crate::messages::Type {
                name: stringify!($Name),
                doc: &[$($doc),*],
                ..<$t as $crate::messages::Wire>::TYPE
            };
        }

        impl core::fmt::Display for $Name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

/// Declares a closed set of named values, and the byte that carries one in a message.
///
/// The byte (`Code`) is checked when a message is decoded, so that [`Code::get`](mod@crate::messages) never meets an
/// unknown value in a domain.
#[macro_export]
macro_rules! choice {
    (
        $(#[doc = $doc:literal])*
        $vis:vis enum $Name:ident as $Code:ident {
            $( $(#[doc = $vdoc:literal])* $Value:ident = $n:literal ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        $vis enum $Name { $( $(#[doc = $vdoc])* $Value = $n, )* }

        #[doc = concat!("The byte that carries [`", stringify!($Name), "`] in a message.")]
        #[derive(Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
        #[repr(transparent)]
        $vis struct $Code(u8);

        impl $Code {
            /// The value; none when the byte names none.
            #[inline]
            #[must_use]
            $vis const fn try_get(self) -> Option<$Name> {
                match self.0 {
                    $( $n => Some($Name::$Value), )*
                    _ => None,
                }
            }

            /// The value of a byte that was checked when its message was decoded.
            ///
            /// # Panics
            /// When the byte was never checked and names no value.
            #[inline]
            #[must_use]
            $vis const fn get(self) -> $Name {
                self.try_get().expect("a decoded message holds only known values")
            }
        }

        impl From<$Name> for $Code {
            #[inline]
            fn from(value: $Name) -> Self {
                Self(value as u8)
            }
        }

        impl core::fmt::Debug for $Code {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.try_get() {
                    Some(value) => core::fmt::Debug::fmt(&value, f),
                    None => write!(f, "{}", self.0),
                }
            }
        }

        impl $crate::messages::Wire for $Code {
            const TYPE: $crate::messages::Type = $crate::messages::Type {
                name: stringify!($Name),
                primitive: "uint8",
                count: 1,
                choices: &[$( $crate::messages::Choice { name: stringify!($Value), value: $n, doc: &[$($vdoc),*] } ),*],
                doc: &[$($doc),*],
            };
            #[inline]
            fn is_valid(&self) -> bool {
                self.try_get().is_some()
            }
        }
    };
}
