//! Creatives: what line items show, in which sizes, how often each, and where it stands.

use super::campaigns::can_go;
use super::caps::Cap;
use super::line_items::LineItems;
use super::messages::{
    AuctionLimits, CREATIVES_MAX, CreativeChanged, CreativeId, DefineCreative, LineItemId, Phase, PhaseCode, Reject,
};
use alloc::boxed::Box;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::messages::{Reserved, Wire as _};
use ringfence_kernel::{Corrupt, Sink, Source};

/// One creative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Creative {
    /// All zero where none is defined.
    pub(super) terms: DefineCreative,
    /// The next of its line item, by number; zero when it is the last.
    next: CreativeId,
    pub(super) phase: PhaseCode,
    reserved: [u8; 3],
}

impl Creative {
    pub(super) fn changed(&self) -> CreativeChanged {
        let DefineCreative { creative, item, .. } = self.terms;
        CreativeChanged { creative, item, phase: self.phase, reserved: Reserved::default() }
    }

    pub(super) fn is_active(&self) -> bool {
        self.phase.get() == Phase::Active
    }
}

/// All creatives by their numbers. Those of a line item are a list, by number, which begins at the line item.
#[derive(Clone, Debug)]
pub(super) struct Creatives {
    creatives: Box<[Creative]>,
}

impl Creatives {
    pub(super) fn new(limits: &AuctionLimits) -> Self {
        Self { creatives: bytemuck::allocation::zeroed_slice_box(limits.creatives as usize) }
    }

    /// The creative of that number, when one is defined.
    pub(super) fn get(&self, id: CreativeId) -> Option<&Creative> {
        self.creatives.get(id.0.wrapping_sub(1) as usize).filter(|creative| creative.terms.weight != 0)
    }

    /// Creatives in a row, from the first of a line item on.
    pub(super) fn from(&self, first: CreativeId) -> impl Iterator<Item = &Creative> {
        core::iter::successors(self.get(first), |creative| self.get(creative.next))
    }

    /// Prepares a creative of a line item; whether it is new.
    pub(super) fn define(&mut self, terms: &DefineCreative, items: &mut LineItems) -> Result<bool, Reject> {
        let place = terms.creative.0.wrapping_sub(1) as usize;
        let known = self.creatives.get(place).ok_or(Reject::CreativesFull)?;
        if known.terms.weight != 0 {
            return if known.terms == *terms { Ok(false) } else { Err(Reject::CreativeExists) };
        }
        let item = items.place(terms.item)?;
        if terms.weight == 0 || !Cap::is_sound(terms.cap, terms.cap_period.get()) {
            return Err(Reject::BadTerms);
        }
        let first = &mut items[item].first_creative;
        if self.from(*first).count() == CREATIVES_MAX {
            return Err(Reject::CreativesFull);
        }
        let before = self.from(*first).take_while(|other| other.terms.creative < terms.creative).last();
        let link = match before.map(|before| before.terms.creative) {
            Some(before) => &mut self.creatives[before.0 as usize - 1].next,
            None => first,
        };
        let next = core::mem::replace(link, terms.creative);
        self.creatives[place] = Creative { terms: *terms, next, phase: Phase::Draft.into(), reserved: [0; 3] };
        Ok(true)
    }

    /// Puts a creative into a phase; whether it can go there.
    pub(super) fn set_phase(&mut self, id: CreativeId, phase: Phase) -> Result<bool, Reject> {
        self.get(id).ok_or(Reject::UnknownCreative)?;
        let creative = &mut self.creatives[id.0 as usize - 1];
        let can = can_go(creative.phase.get(), phase);
        if can {
            creative.phase = phase.into();
        }
        Ok(can)
    }

    /// Creatives that are defined, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Creative> {
        self.creatives.iter().filter(|creative| creative.terms.weight != 0)
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.value(&(self.iter().count() as u64));
        for creative in self.iter() {
            sink.value(&creative.terms);
            sink.value(&creative.phase);
        }
    }

    /// What [`Creatives::save`] wrote; their line items' lists are made again.
    pub(super) fn load(
        limits: &AuctionLimits,
        items: &mut LineItems,
        source: &mut impl Source,
    ) -> Result<Self, Corrupt> {
        let (mut all, mut last) = (Self::new(limits), 0);
        for _ in 0..source.count(limits.creatives as usize, "creatives")? {
            let terms: DefineCreative = source.value()?;
            let phase: PhaseCode = source.value()?;
            let valid = terms.creative.0 > last
                && terms.item != LineItemId(0)
                && terms.cap_period.is_valid()
                && terms.reserved.is_valid()
                && phase.is_valid();
            last = terms.creative.0;
            if !valid || all.define(&terms, items) != Ok(true) {
                return Err(Corrupt("a creative"));
            }
            all.creatives[last as usize - 1].phase = phase;
        }
        Ok(all)
    }
}
