//! Capacities of a domain: named whole numbers, fixed when the journal is made, and carried by its first frame.

/// The capacities of a domain.
pub trait Limits: bytemuck::Pod {
    /// Their names, defaults and meaning, in the order in which they stand.
    const FIELDS: &'static [Limit];

    /// The defaults.
    fn defaults() -> Self;
}

/// One capacity.
#[derive(Clone, Debug)]
pub struct Limit {
    /// Its name in configuration.
    pub name: &'static str,
    /// What it is when nothing is said.
    pub default: u64,
    /// What it may be.
    pub range: core::ops::RangeInclusive<u64>,
    /// What it bounds.
    pub doc: &'static [&'static str],
}

/// Declares the capacities of a domain, each with its default and the range that it may be in.
#[macro_export]
macro_rules! limits {
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $Name:ident {
            $( $(#[doc = $fdoc:literal])* $f:ident = $default:literal in $range:expr ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
        #[repr(C)]
        $vis struct $Name { $( $(#[doc = $fdoc])* pub $f: u64, )* }
        const _: () = assert!(core::mem::size_of::<$Name>() <= $crate::system::LIMITS_BYTES);

        impl $crate::limits::Limits for $Name {
            const FIELDS: &'static [$crate::limits::Limit] = &[
                $( $crate::limits::Limit {
                    name: stringify!($f),
                    default: $default,
                    range: $range,
                    doc: &[$($fdoc),*],
                } ),*
            ];
            fn defaults() -> Self {
                Self { $( $f: $default ),* }
            }
        }
    };
}
