//! Placements: where advertisements are shown, what that costs at least, and whose they are.

use super::messages::{
    AuctionLimits, AuctionRule, BID_MAX, DefinePlacement, Nanos, PlacementId, Reject, SLOTS_MAX, Slot, WHOLE,
    ZONE_MINUTES_MAX,
};
use super::wins::Tally;
use alloc::boxed::Box;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::messages::Wire;
use ringfence_kernel::{Corrupt, Sink, Source};

/// One placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Placement {
    /// All zero where none is defined.
    pub(super) terms: DefinePlacement,
    /// What an impression costs at least now: `terms` has what it began with.
    pub(super) floor: Nanos,
    /// What each slot yields; zero behind the last.
    factors: [u32; SLOTS_MAX],
    slots: u32,
    reserved: [u8; 4],
    /// Auctions that were held, what came of them, what was billed and what of it is the publisher's.
    pub(super) auctions: u64,
    pub(super) tally: Tally,
    pub(super) billed: Nanos,
    pub(super) publisher_amount: Nanos,
}

impl Placement {
    /// What its slots yield of what a perfect one would, in units of 10⁻⁶, best first.
    #[inline]
    pub(super) fn factors(&self) -> &[u32] {
        &self.factors[..self.slots as usize]
    }

    /// How many slots an auction has that asks for `asked` at most, or for all when that is zero.
    #[inline]
    pub(super) fn slots(&self, asked: u8) -> usize {
        match asked {
            0 => self.slots as usize,
            asked => (self.slots as usize).min(asked.into()),
        }
    }
}

fn sound(terms: &DefinePlacement, factors: &[u32]) -> bool {
    let single = terms.rule.get() == AuctionRule::SecondPrice;
    (1..=SLOTS_MAX).contains(&factors.len())
        && (!single || factors.len() == 1)
        && factors.iter().all(|factor| (1..=WHOLE).contains(factor))
        && factors.is_sorted_by(|better, worse| better >= worse)
        && terms.share.0 <= WHOLE
        && terms.floor.0 <= BID_MAX
        && (-ZONE_MINUTES_MAX..=ZONE_MINUTES_MAX).contains(&terms.zone_minutes)
}

/// All placements by their numbers.
#[derive(Clone, Debug)]
pub(super) struct Placements {
    placements: Box<[Placement]>,
    publishers: u64,
}

impl core::ops::Index<u32> for Placements {
    type Output = Placement;
    #[inline]
    fn index(&self, place: u32) -> &Placement {
        &self.placements[place as usize]
    }
}

impl core::ops::IndexMut<u32> for Placements {
    #[inline]
    fn index_mut(&mut self, place: u32) -> &mut Placement {
        &mut self.placements[place as usize]
    }
}

impl Placements {
    pub(super) fn new(limits: &AuctionLimits) -> Self {
        let placements = bytemuck::allocation::zeroed_slice_box(limits.placements as usize);
        Self { placements, publishers: limits.publishers }
    }

    /// The place of a placement that is defined.
    #[inline]
    pub(super) fn place(&self, id: PlacementId) -> Result<u32, Reject> {
        let place = id.0.wrapping_sub(1);
        let known = self.placements.get(place as usize).is_some_and(|placement| placement.slots > 0);
        if known { Ok(place) } else { Err(Reject::UnknownPlacement) }
    }

    /// Placements that are defined.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Placement> {
        self.placements.iter().filter(|placement| placement.slots > 0)
    }

    /// Prepares a placement, whose price buckets are known or not; gives its place.
    pub(super) fn define(
        &mut self,
        terms: &DefinePlacement,
        slots: &[Slot],
        buckets_known: bool,
    ) -> Result<u32, Reject> {
        let place = terms.placement.0.wrapping_sub(1);
        let known = self.placements.get_mut(place as usize).ok_or(Reject::PlacementsFull)?;
        let mut factors = [0; SLOTS_MAX];
        factors.iter_mut().zip(slots).for_each(|(factor, slot)| *factor = slot.factor.0);
        if known.slots > 0 {
            let same = known.terms == *terms && known.slots as usize == slots.len() && known.factors == factors;
            return if same { Ok(place) } else { Err(Reject::PlacementExists) };
        }
        if !(1..=self.publishers).contains(&terms.publisher.0.into()) {
            return Err(Reject::UnknownPublisher);
        }
        if !buckets_known {
            return Err(Reject::UnknownBuckets);
        }
        if slots.len() > SLOTS_MAX || !sound(terms, &factors[..slots.len()]) {
            return Err(Reject::BadTerms);
        }
        let (slots, reserved) = (slots.len() as u32, [0; 4]);
        *known = Placement { terms: *terms, floor: terms.floor, factors, slots, reserved, ..Placement::zeroed() };
        Ok(place)
    }

    /// Changes a floor.
    pub(super) fn set_floor(&mut self, id: PlacementId, floor: Nanos) -> Result<u32, Reject> {
        let place = self.place(id)?;
        if floor.0 > BID_MAX {
            return Err(Reject::BadTerms);
        }
        self.placements[place as usize].floor = floor;
        Ok(place)
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.value(&(self.iter().count() as u64));
        self.iter().for_each(|placement| sink.value(placement));
    }

    /// What [`Placements::save`] wrote.
    pub(super) fn load(limits: &AuctionLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut all = Self::new(limits);
        let mut last = 0;
        for _ in 0..source.count(limits.placements as usize, "placements")? {
            let placement: Placement = source.value()?;
            let Placement { terms, floor, factors, slots, reserved, .. } = placement;
            let (id, slots) = (terms.placement.0, slots as usize);
            if id <= last || u64::from(id) > limits.placements {
                return Err(Corrupt("the order of placements"));
            }
            last = id;
            let valid = terms.rule.is_valid()
                && reserved == [0; 4]
                && floor.0 <= BID_MAX
                && (1..=SLOTS_MAX).contains(&slots)
                && factors[slots..].iter().all(|factor| *factor == 0)
                && sound(&terms, &factors[..slots])
                && (1..=limits.publishers).contains(&terms.publisher.0.into());
            if !valid {
                return Err(Corrupt("a placement"));
            }
            all.placements[id as usize - 1] = placement;
        }
        Ok(all)
    }
}
