//! Tables of ticks: from a price on, prices are multiples of a larger tick.

use super::Matching;
use super::instruments::{Instrument, Terms};
use super::messages::{Price, Reject, Reply, SetTicks, Side, TICKS_MAX, TickBand, TicksSet};
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::{Out, Progress};

/// From which prices on which ticks hold; below the first, and without any, that of the instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct TickTable {
    pub(super) count: u64,
    /// Rising; zero behind the last.
    from: [i64; TICKS_MAX],
    ticks: [i64; TICKS_MAX],
}

impl TickTable {
    /// The table of `bands`, when it makes sense.
    fn of(bands: &[TickBand], terms: &Terms) -> Option<Self> {
        let mut table = Self { count: bands.len() as u64, ..Self::zeroed() };
        for (at, band) in bands.iter().enumerate() {
            *table.from.get_mut(at)? = band.from.0;
            table.ticks[at] = band.tick.0;
        }
        table.is_sound(terms).then_some(table)
    }

    pub(super) fn is_sound(&self, terms: &Terms) -> bool {
        if self.count as usize > TICKS_MAX {
            return false;
        }
        let (from, no_from) = self.from.split_at(self.count as usize);
        let (ticks, no_ticks) = self.ticks.split_at(self.count as usize);
        from.is_sorted_by(|a, b| a < b)
            && ticks.iter().all(|tick| *tick > 0 && terms.is_distance(Price(*tick)))
            && from.iter().zip(ticks).all(|(from, tick)| from % tick == 0)
            && no_from.iter().chain(no_ticks).all(|none| *none == 0)
    }

    /// How many of the entries begin at `price` or below.
    fn band(&self, price: i64) -> usize {
        self.from[..self.count as usize].partition_point(|from| *from <= price)
    }

    /// The highest price of the table at `price` or below.
    fn floor(&self, price: i64) -> Option<i64> {
        match self.band(price) {
            0 => Some(price),
            band => price.checked_sub(price.rem_euclid(self.ticks[band - 1])),
        }
    }

    /// The lowest price of the table at `price` or above.
    fn ceiling(&self, price: i64) -> Option<i64> {
        let band = self.band(price);
        let floor = self.floor(price)?;
        if band == 0 || floor == price {
            return Some(price);
        }
        let next = floor.checked_add(self.ticks[band - 1])?;
        Some(self.from[..self.count as usize].get(band).map_or(next, |from| next.min(*from)))
    }
}

impl Instrument {
    /// Whether an order may have this price, which is a multiple of the instrument's tick.
    #[cold]
    pub(super) fn check_tick(&self, price: Price) -> Result<(), Reject> {
        if self.ticks.floor(price.0) == Some(price.0) { Ok(()) } else { Err(Reject::OffTick) }
    }

    /// The nearest price, in ticks of the instrument, at or below `ticks` for one who buys, at or above it for one who
    /// sells; none outside the range.
    pub(super) fn on_tick(&self, side: Side, ticks: u64) -> Option<u64> {
        let Price(price) = self.terms.price(ticks);
        let price = match side {
            Side::Buy => self.ticks.floor(price)?,
            Side::Sell => self.ticks.ceiling(price)?,
        };
        self.terms.ticks(Price(price)).ok()
    }
}

impl Matching {
    #[cold]
    pub(super) fn set_ticks(
        &mut self,
        command: &SetTicks,
        bands: &[TickBand],
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let place = self.instruments.place(command.instrument).ok_or(Reject::UnknownInstrument)?;
        let instrument = &mut self.instruments[place];
        instrument.set_ticks(TickTable::of(bands, &instrument.terms).ok_or(Reject::BadTicks)?);
        let (instrument, bands) = (command.instrument, bands.len() as u32);
        self.look_at_pegs(place);
        self.say_indication(place, out);
        out.reply(Reply::TicksSet(&TicksSet { instrument, bands }));
        Ok(Progress::Done)
    }
}
