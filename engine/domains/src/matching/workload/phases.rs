//! What operators do to a market.

use crate::matching::messages::{
    Allocation, Command, InstrumentId, OrderFeed, Phase, Price, Quantity, ScheduleEntry, SetAllocation, SetBands,
    SetOrderFeed, SetPhase, SetSchedule, SetTicks, TickBand,
};
use alloc::vec::Vec;
use ringfence_kernel::ClientId;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::random::Random;
use ringfence_kernel::workload::CommandImage;

const PHASES: [Phase; 8] = [
    Phase::Continuous,
    Phase::PreOpen,
    Phase::OpeningAuction,
    Phase::IntradayAuction,
    Phase::ClosingAuction,
    Phase::VolatilityAuction,
    Phase::Halted,
    Phase::Closed,
];

/// Changes the phase, the bands or the schedule of an instrument. `steps` commands of a microsecond have come.
pub(super) fn draw(random: &mut Random, instrument: u32, middle: i64, steps: u64, image: &mut CommandImage) {
    let (client, instrument) = (ClientId(1), InstrumentId(instrument));
    match random.below(10) {
        0..=6 => {
            // Halts are rare, and trading goes on after most of what interrupts it.
            let phase = if random.percent(50) { 0 } else { random.below(8) as usize };
            let phase = if phase >= 6 && random.percent(50) { 2 } else { phase };
            let phase = match random.below(1_500) {
                0 => Phase::Delisted,
                1..=30 => Phase::Announced,
                _ => PHASES[phase],
            };
            let (phase, reserved) = (phase.into(), Reserved::default());
            image.set(client, Command::SetPhase(&SetPhase { instrument, phase, reserved }));
        }
        7 | 8 => {
            let near = random.below(9) as i64 - 4;
            let static_band = if random.percent(50) { 0 } else { 2 + random.below(12) as i64 };
            let dynamic_band = if random.percent(40) { 0 } else { random.below(4) as i64 };
            let bands = SetBands {
                reference: Price(middle + near),
                static_band: Price(static_band),
                dynamic_band: Price(dynamic_band),
                volatility_length: 1_000 * (1 + random.below(150)),
                instrument,
                reserved: Reserved::default(),
            };
            image.set(client, Command::SetBands(&bands));
        }
        _ => {
            let mut times: Vec<u64> =
                (0..random.below(6)).map(|_| 1_000_000_000 + (steps + random.below(400)) * 1_000).collect();
            times.sort_unstable();
            let entry = |time| {
                let phase = if random.percent(40) { 0 } else { random.below(5) as usize };
                ScheduleEntry { time, phase: PHASES[phase].into(), reserved: Reserved::default() }
            };
            let entries: Vec<ScheduleEntry> = times.into_iter().map(entry).collect();
            let reserved = Reserved::default();
            image.set(client, Command::SetSchedule(&SetSchedule { instrument, reserved }, &entries));
        }
    }
}

/// Changes how what comes in is shared, or the table of ticks.
pub(super) fn draw_shares(random: &mut Random, instrument: u32, middle: i64, image: &mut CommandImage) {
    let (client, instrument) = (ClientId(1), InstrumentId(instrument));
    if random.percent(20) {
        let feed = if random.percent(70) { OrderFeed::On } else { OrderFeed::Off }.into();
        return image
            .set(client, Command::SetOrderFeed(&SetOrderFeed { instrument, feed, reserved: Reserved::default() }));
    }
    if random.percent(70) {
        let (allocation, most) = match random.below(6) {
            0 => (Allocation::PriceTime, 2),
            1 | 2 => (Allocation::ProRata, 6),
            _ => (Allocation::ProRataTop, 6),
        };
        let minimum = Quantity(if random.percent(50) { 0 } else { random.below(most) });
        let (allocation, reserved) = (allocation.into(), Reserved::default());
        return image.set(client, Command::SetAllocation(&SetAllocation { minimum, instrument, allocation, reserved }));
    }
    let mut from = middle - 8;
    let bands: Vec<TickBand> = (0..random.below(5))
        .map(|_| {
            from += 1 + random.below(6) as i64;
            let tick = if random.percent(95) { 1 + random.below(3) as i64 } else { random.below(9) as i64 - 2 };
            // Mostly as it should be.
            let off = if random.percent(95) && tick > 0 { from.rem_euclid(tick) } else { 0 };
            TickBand { from: Price(from - off), tick: Price(tick) }
        })
        .collect();
    image.set(client, Command::SetTicks(&SetTicks { instrument, reserved: Reserved::default() }, &bands));
}
