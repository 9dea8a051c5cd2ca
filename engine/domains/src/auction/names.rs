//! Names: text of protocols at the border, each with the number by which the engine knows it.

use super::messages::{AuctionLimits, DefineName, Dimension, DimensionCode, NAME_BYTES, NameDefined, Reject};
use alloc::vec::Vec;
use ringfence_kernel::bounded::KeyIndex;
use ringfence_kernel::messages::{Reserved, Wire as _};
use ringfence_kernel::state::fold;
use ringfence_kernel::{Corrupt, Sink, Source};

/// All names; a name's number is its place, from 1.
#[derive(Clone, Debug)]
pub(super) struct Names {
    names: Vec<DefineName>,
    capacity: usize,
    index: KeyIndex,
}

fn hash(name: &DefineName) -> u64 {
    let seed = 0x9e37_79b9_7f4a_7c15 ^ name.dimension.get() as u64;
    name.text
        .as_chunks::<8>()
        .0
        .iter()
        .fold(seed, |hash, word| fold(hash ^ u64::from_le_bytes(*word), 0xd6e8_feb8_6659_fd93))
}

fn sound(name: &DefineName) -> bool {
    let length = usize::from(name.length);
    (1..=NAME_BYTES).contains(&length)
        && core::str::from_utf8(&name.text[..length]).is_ok()
        && name.text[length..].iter().all(|byte| *byte == 0)
}

impl DefineName {
    /// Asks for the number of a name. What is longer than a name keeps its length, and is refused for it.
    #[must_use]
    pub fn new(dimension: Dimension, name: &str) -> Self {
        let mut text = [0; NAME_BYTES];
        let within = name.len().min(NAME_BYTES);
        text[..within].copy_from_slice(&name.as_bytes()[..within]);
        let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
        Self { text, dimension: dimension.into(), length, reserved: Reserved::default() }
    }
}

impl Names {
    pub(super) fn new(limits: &AuctionLimits) -> Self {
        let capacity = limits.names as usize;
        Self { names: Vec::with_capacity(capacity), capacity, index: KeyIndex::new(capacity) }
    }

    /// Gives a name its number, and whether it is new.
    pub(super) fn define(&mut self, name: &DefineName) -> Result<(u32, bool), Reject> {
        if !sound(name) {
            return Err(Reject::BadName);
        }
        if let Some(place) = self.index.get(hash(name), |place| self.names[place as usize] == *name) {
            return Ok((place + 1, false));
        }
        if self.names.len() == self.capacity {
            return Err(Reject::NamesFull);
        }
        let place = self.names.len() as u32;
        self.index.insert(hash(name), place).map_err(|_| Reject::NamesFull)?;
        self.names.push(*name);
        Ok((place + 1, true))
    }

    /// What is said of a name.
    pub(super) fn defined(&self, value: u32) -> Option<NameDefined> {
        let name = self.names.get(value.wrapping_sub(1) as usize)?;
        let DefineName { text, dimension, length, .. } = *name;
        Some(NameDefined { text, value, dimension, length, reserved: Reserved::default() })
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.value(&(self.names.len() as u64));
        sink.values(&self.names);
    }

    /// What [`Names::save`] wrote.
    pub(super) fn load(limits: &AuctionLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut all = Self::new(limits);
        for _ in 0..source.count(all.capacity, "names")? {
            let name: DefineName = source.value()?;
            let valid = DimensionCode::is_valid(&name.dimension) && name.reserved.is_valid();
            if !valid || !matches!(all.define(&name), Ok((_, true))) {
                return Err(Corrupt("a name"));
            }
        }
        Ok(all)
    }
}
