//! What operators do to a market.

use crate::matching::messages::{Command, InstrumentId, Phase, Price, ScheduleEntry, SetBands, SetPhase, SetSchedule};
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
            let (phase, reserved) = (PHASES[phase].into(), Reserved::default());
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
