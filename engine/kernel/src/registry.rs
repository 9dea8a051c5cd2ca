//! The registry: all domains of a build behind one readable match.

use crate::domain::{Context, Cursor, Domain, Out, Progress};
use crate::ids::{ClientId, DomainId, Timestamp, Topic};
use crate::image::MessageHeader;
use crate::limits::{Limit, Limits};
use crate::messages::{Malformed, Message, Part, Reserved, Then};
use crate::outbox::Outbox;
use crate::reject::{Code, Refusal, Row};
use crate::session::SessionChange;
use crate::state::{Corrupt, Sink, Source};
use crate::system::{GenesisDomain, LIMITS_BYTES};
use crate::wire::Rejected;

/// What a build knows of a domain before any exists.
#[derive(Clone, Copy, Debug)]
pub struct DomainInfo {
    /// Its schema id.
    pub id: DomainId,
    /// Its name.
    pub name: &'static str,
    /// The version of its schema.
    pub version: u16,
    /// Its messages: commands, replies, events.
    pub parts: [&'static Part; 3],
    /// Its rows of the table of codes.
    pub rejects: &'static [Row],
    /// Its capacities.
    pub limits: &'static [Limit],
    /// Topics that it can ever publish on with the limits of a Genesis entry, private streams of accounts aside.
    pub topics: fn(&GenesisDomain) -> Result<u64, UnknownDomain>,
}

impl DomainInfo {
    /// What a build knows of `D`.
    #[must_use]
    pub const fn of<D: Domain>() -> Self {
        Self {
            id: D::ID,
            name: D::NAME,
            version: D::VERSION,
            parts: [
                <D::Command<'static> as Message<'static>>::PART,
                <D::Reply<'static> as Message<'static>>::PART,
                <D::Event<'static> as Message<'static>>::PART,
            ],
            rejects: D::REJECTS,
            limits: <D::Limits as Limits>::FIELDS,
            topics: |genesis| limits_of::<D>(genesis).map(|limits| D::topics(&limits)),
        }
    }

    /// Its entry in the Genesis frame, with limits in the order of [`DomainInfo::limits`].
    #[must_use]
    pub fn genesis(&self, limits: &[u64]) -> GenesisDomain {
        assert!(limits.len() == self.limits.len(), "as many limits as the domain has");
        let mut bytes = [0; LIMITS_BYTES];
        for (place, limit) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(limits) {
            *place = limit.to_le_bytes();
        }
        GenesisDomain { domain: self.id, version: self.version, limits_used: (limits.len() * 8) as u32, limits: bytes }
    }
}

/// Commands that are foreseen together.
pub const FORESEEN: usize = 64;

/// All domains of a build. [`registry!`](crate::registry!) writes it.
///
/// `index` is a domain's place in [`Registry::DOMAINS`]. A domain that the journal's Genesis does not name is absent:
/// it claims no memory and does nothing.
pub trait Registry: Sized + Send + 'static {
    /// The domains, by id.
    const DOMAINS: &'static [DomainInfo];

    /// The domains that `genesis` names, empty.
    ///
    /// # Errors
    /// [`UnknownDomain`] when this build has no such domain.
    fn new(genesis: &[GenesisDomain]) -> Result<Self, UnknownDomain>;

    /// Whether the journal has this domain.
    fn is_present(&self, index: usize) -> bool;

    /// The place of the domain with `id`, when the journal has it.
    fn index(&self, id: DomainId) -> Option<usize>;

    /// See [`Domain::foresees`]: whether any domain does.
    fn foresees(&self) -> bool;

    /// See [`Domain::foresee`]; nothing when the journal has no such domain.
    fn foresee(&mut self, client: ClientId, header: MessageHeader, body: &[u8]);

    /// See [`Domain::bring_near`]: of all domains.
    fn bring_near(&mut self);

    /// Decodes and decides a command.
    ///
    /// # Errors
    /// Why it is refused.
    fn apply(
        &mut self,
        index: usize,
        context: Context,
        header: MessageHeader,
        body: &[u8],
        outbox: &mut Outbox,
    ) -> Result<Progress, Refused>;

    /// See [`Domain::resume`].
    fn resume(&mut self, index: usize, context: Context, outbox: &mut Outbox) -> Progress;

    /// See [`Domain::on_time`].
    fn on_time(&mut self, index: usize, context: Context, outbox: &mut Outbox) -> Progress;

    /// See [`Domain::on_session`].
    fn on_session(&mut self, index: usize, context: Context, change: SessionChange, outbox: &mut Outbox) -> Progress;

    /// See [`Domain::next_deadline`].
    fn next_deadline(&self, index: usize) -> Option<Timestamp>;

    /// See [`Domain::snapshot_topic`].
    fn snapshot_topic(&self, index: usize, topic: Topic, cursor: &mut Cursor, outbox: &mut Outbox) -> Option<Progress>;

    /// See [`Domain::save`].
    fn save(&self, index: usize, sink: &mut impl Sink);

    /// Replaces a domain's state by what [`Registry::save`] wrote. `genesis` is its entry in the Genesis frame.
    ///
    /// # Errors
    /// See [`Domain::load`].
    fn load(&mut self, index: usize, genesis: &GenesisDomain, source: &mut impl Source) -> Result<(), Corrupt>;
}

/// The journal names a domain, or a version of one, that this build does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this build has no domain {domain} of schema version {version} with {limits_bytes} bytes of limits")]
pub struct UnknownDomain {
    /// Its id.
    pub domain: DomainId,
    /// Its schema version.
    pub version: u16,
    /// Bytes of its limits.
    pub limits_bytes: u32,
}

/// The limits of `D` that `genesis` carries.
///
/// # Errors
/// [`UnknownDomain`] when version or limits are not of this build.
pub fn limits_of<D: Domain>(genesis: &GenesisDomain) -> Result<D::Limits, UnknownDomain> {
    if genesis.version == D::VERSION && genesis.limits_used as usize == size_of::<D::Limits>() {
        return Ok(bytemuck::pod_read_unaligned(&genesis.limits[..size_of::<D::Limits>()]));
    }
    Err(UnknownDomain { domain: genesis.domain, version: genesis.version, limits_bytes: genesis.limits_used })
}

/// Decodes, checks roles, decides.
///
/// # Errors
/// Why it is refused.
#[inline(always)]
pub fn apply<D: Domain>(
    domain: &mut D,
    context: Context,
    header: MessageHeader,
    body: &[u8],
    outbox: &mut Outbox,
) -> Result<Progress, Refused> {
    D::Command::decode_then(header, body, Decide { domain, context, outbox })
}

/// Why a command is refused, and where it goes wrong. It fits a register, and every decision gives one or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub code: Code,
    /// The byte of the body that is wrong, when it is one.
    pub offset: u16,
}

impl Refused {
    /// The body of the reject, of a command of that template.
    #[must_use]
    pub fn body(self, template: u16) -> Rejected {
        let Self { code, offset } = self;
        Rejected { code, template, offset, reserved: Reserved::default() }
    }
}

impl From<Malformed> for Refused {
    #[cold]
    fn from(malformed: Malformed) -> Self {
        Self { code: refusal(malformed).into(), offset: malformed.offset() }
    }
}

/// Checks roles and decides, once a command is decoded.
struct Decide<'d, D> {
    domain: &'d mut D,
    context: Context,
    outbox: &'d mut Outbox,
}

impl<'a, D: Domain> Then<D::Command<'a>> for Decide<'_, D> {
    type Output = Progress;
    type Error = Refused;

    #[inline(always)]
    fn then(self, command: D::Command<'a>) -> Result<Progress, Refused> {
        let Self { domain, context, outbox } = self;
        let refused = |code| Refused { code, offset: 0 };
        if !context.roles.allow(D::roles_needed(&command)) {
            return Err(refused(Refusal::NotPermitted.into()));
        }
        domain.apply(context, command, &mut Out::new(outbox)).map_err(|reject| refused(reject.into()))
    }
}

/// The code under which a malformed body is refused.
#[must_use]
pub const fn refusal(malformed: Malformed) -> Refusal {
    match malformed {
        Malformed::Template { .. } => Refusal::UnknownTemplate,
        Malformed::Version { .. } => Refusal::VersionMismatch,
        Malformed::Length { .. } | Malformed::Field { .. } => Refusal::Malformed,
    }
}

/// Lists the domains of a build, in the order of their ids. Ids that are equal or out of order do not compile.
#[macro_export]
macro_rules! registry {
    ($(#[$meta:meta])* $vis:vis struct $Name:ident { $( $field:ident : $D:ty ),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug)]
        $vis struct $Name { $( $field: Option<$D>, )* }

        const _: () = {
            let ids = [$( <$D as $crate::Domain>::ID.0 ),*];
            let mut at = 1;
            while at < ids.len() {
                assert!(ids[at - 1] < ids[at], "domains stand in the order of their ids, each once");
                at += 1;
            }
        };

        impl $crate::Registry for $Name {
            const DOMAINS: &'static [$crate::registry::DomainInfo] =
                &[$( $crate::registry::DomainInfo::of::<$D>() ),*];

            fn new(genesis: &[$crate::system::GenesisDomain]) -> Result<Self, $crate::registry::UnknownDomain> {
                let mut domains = Self { $( $field: None, )* };
                for entry in genesis {
                    match entry.domain {
                        $( <$D as $crate::Domain>::ID => {
                            let limits = $crate::registry::limits_of::<$D>(entry)?;
                            domains.$field = Some(<$D as $crate::Domain>::new(&limits));
                        } )*
                        domain => return Err($crate::registry::UnknownDomain {
                            domain,
                            version: entry.version,
                            limits_bytes: entry.limits_used,
                        }),
                    }
                }
                Ok(domains)
            }

            fn is_present(&self, index: usize) -> bool {
                $crate::registry!(@each self index domain [$($field),*] { domain.is_some() })
            }

            #[inline]
            fn index(&self, id: $crate::DomainId) -> Option<usize> {
                <Self as $crate::Registry>::DOMAINS
                    .iter()
                    .position(|info| info.id == id)
                    .filter(|index| self.is_present(*index))
            }

            #[inline]
            fn foresees(&self) -> bool {
                false $( || self.$field.as_ref().is_some_and($crate::Domain::foresees) )*
            }

            #[inline]
            fn foresee(&mut self, client: $crate::ClientId, header: $crate::MessageHeader, body: &[u8]) {
                match $crate::DomainId(header.schema) {
                    $( <$D as $crate::Domain>::ID => if let Some(domain) = &mut self.$field {
                        $crate::Domain::foresee(domain, client, header, body);
                    }, )*
                    _ => {}
                }
            }

            #[inline]
            fn bring_near(&mut self) {
                $( if let Some(domain) = &mut self.$field {
                    $crate::Domain::bring_near(domain);
                } )*
            }

            #[inline(always)]
            fn apply(
                &mut self,
                index: usize,
                context: $crate::Context,
                header: $crate::MessageHeader,
                body: &[u8],
                outbox: &mut $crate::Outbox,
            ) -> Result<$crate::Progress, $crate::registry::Refused> {
                $crate::registry!(@present_mut self index domain [$($field),*] {
                    $crate::registry::apply(domain, context, header, body, outbox)
                })
            }

            fn resume(&mut self, index: usize, context: $crate::Context, outbox: &mut $crate::Outbox) -> $crate::Progress {
                $crate::registry!(@present_mut self index domain [$($field),*] {
                    $crate::Domain::resume(domain, context, &mut $crate::Out::new(outbox))
                })
            }

            fn on_time(&mut self, index: usize, context: $crate::Context, outbox: &mut $crate::Outbox) -> $crate::Progress {
                $crate::registry!(@present_mut self index domain [$($field),*] {
                    $crate::Domain::on_time(domain, context, &mut $crate::Out::new(outbox))
                })
            }

            fn on_session(
                &mut self,
                index: usize,
                context: $crate::Context,
                change: $crate::SessionChange,
                outbox: &mut $crate::Outbox,
            ) -> $crate::Progress {
                $crate::registry!(@present_mut self index domain [$($field),*] {
                    $crate::Domain::on_session(domain, context, change, &mut $crate::Out::new(outbox))
                })
            }

            #[inline(always)]
            fn next_deadline(&self, index: usize) -> Option<$crate::Timestamp> {
                $crate::registry!(@each self index domain [$($field),*] {
                    domain.as_ref().and_then($crate::Domain::next_deadline)
                })
            }

            fn snapshot_topic(
                &self,
                index: usize,
                topic: $crate::Topic,
                cursor: &mut $crate::Cursor,
                outbox: &mut $crate::Outbox,
            ) -> Option<$crate::Progress> {
                $crate::registry!(@present self index domain [$($field),*] {
                    $crate::Domain::snapshot_topic(domain, topic, cursor, &mut $crate::Out::of_snapshot(outbox, topic))
                })
            }

            fn save(&self, index: usize, sink: &mut impl $crate::Sink) {
                $crate::registry!(@present self index domain [$($field),*] { $crate::Domain::save(domain, sink) })
            }

            fn load(
                &mut self,
                index: usize,
                genesis: &$crate::system::GenesisDomain,
                source: &mut impl $crate::Source,
            ) -> Result<(), $crate::Corrupt> {
                let mut at = 0;
                $(
                    if at == index {
                        let limits = $crate::registry::limits_of::<$D>(genesis)
                            .map_err(|_| $crate::Corrupt("limits of a domain"))?;
                        self.$field = Some(<$D as $crate::Domain>::load(&limits, source)?);
                        return Ok(());
                    }
                    at += 1;
                )*
                let _ = at;
                unreachable!("a domain's index is below their number")
            }
        }
    };

    (@each $self:ident $index:ident $domain:ident [$($field:ident),*] $body:block) => {{
        let mut at = 0;
        $( if at == $index { let $domain = &$self.$field; return $body; } at += 1; )*
        let _ = at;
        unreachable!("a domain's index is below their number")
    }};
    (@present $self:ident $index:ident $domain:ident [$($field:ident),*] $body:block) => {{
        let mut at = 0;
        $( if at == $index {
            let $domain = $self.$field.as_ref().expect("only a present domain is asked");
            return $body;
        } at += 1; )*
        let _ = at;
        unreachable!("a domain's index is below their number")
    }};
    (@present_mut $self:ident $index:ident $domain:ident [$($field:ident),*] $body:block) => {{
        let mut at = 0;
        $( if at == $index {
            let $domain = $self.$field.as_mut().expect("only a present domain is asked");
            return $body;
        } at += 1; )*
        let _ = at;
        unreachable!("a domain's index is below their number")
    }};
}
