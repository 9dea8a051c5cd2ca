//! Phases of the market: what may be done with an instrument when, and how one phase becomes another.

use super::instruments;
use super::levels::NONE;
use super::market::{Bands, Schedule};
use super::messages::{
    AuctionIndication, BandsSet, CloseReason, Event, OrderType, Phase, PhaseChanged, PhaseSet, Price, Quantity, Reject,
    Reply, ScheduleEntry, ScheduleSet, SetBands, SetPhase, SetSchedule, TimeInForce,
};
use super::reserve::Wanted;
use super::trading::Taker;
use super::{Matching, Pending, topics};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Out, Progress, Timestamp};

/// A phase that becomes another.
#[derive(Clone, Copy, Debug)]
pub(super) struct PhaseChange {
    pub(super) instrument: u32,
    to: Phase,
    /// Whether an operator waits for the answer.
    asked: bool,
    stage: Stage,
    /// At which price the book is uncrossed, how much trades in all, and how much of that has not yet.
    pub(super) price: Price,
    volume: u64,
    pub(super) left: u64,
    /// The last bid and the last ask of those that display nothing and take no part; [`NONE`] when there is none before
    /// the next to trade.
    pub(super) passed: [u32; 2],
    /// Whether the best bids and the best asks have traded in part, so that their level is still to be said.
    pub(super) partly: [bool; 2],
}

/// How far it has come.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Uncross,
    /// Orders for an auction alone end.
    EndOrders,
}

/// What may be done with an instrument.
impl Phase {
    /// Whether orders come in and stand, and nothing trades.
    pub(super) const fn collects(self) -> bool {
        matches!(self, Self::PreOpen) || self.is_auction()
    }

    /// Whether orders come in at all.
    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::Continuous) || self.collects()
    }

    /// Whether a schedule may have it.
    pub(super) const fn is_scheduled(self) -> bool {
        !matches!(self, Self::VolatilityAuction | Self::Announced | Self::Delisted)
    }

    /// Whether an order that says this of its time comes in, or stands, in this phase.
    pub(super) const fn takes(self, order_type: OrderType, time_in_force: TimeInForce) -> bool {
        let in_auctions = matches!(order_type, OrderType::Limit | OrderType::Market);
        match time_in_force {
            TimeInForce::AtOpen => matches!(self, Self::PreOpen | Self::OpeningAuction) && in_auctions,
            TimeInForce::AtClose => matches!(self, Self::ClosingAuction) && in_auctions,
            TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill => matches!(self, Self::Continuous),
            _ => matches!(self, Self::Continuous) || self.collects() && in_auctions,
        }
    }
}

impl Matching {
    #[cold]
    pub(super) fn set_phase(&mut self, command: &SetPhase, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let instrument = self.instruments.place(command.instrument).ok_or(Reject::UnknownInstrument)?;
        let (book, to) = (&self.instruments[instrument], command.phase.get());
        let is_new = book.is_empty() && book.last_trade().is_none();
        if book.phase.get() == Phase::Delisted && to != Phase::Delisted || to == Phase::Announced && !is_new {
            return Err(Reject::BadPhase);
        }
        let change = self.phase_change(instrument, to, true);
        Ok(self.go_on_changing(change, out))
    }

    #[cold]
    pub(super) fn set_bands(&mut self, command: &SetBands, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let place = self.instruments.place(command.instrument).ok_or(Reject::UnknownInstrument)?;
        let instrument = &mut self.instruments[place];
        let bands = Bands {
            reference: command.reference,
            static_band: command.static_band,
            dynamic_band: command.dynamic_band,
            volatility_length: command.volatility_length,
        };
        if !bands.is_sound(&instrument.terms) {
            return Err(Reject::BadBands);
        }
        instrument.set_bands(bands);
        self.say_indication(place, out);
        let (instrument, reserved) = (command.instrument, Reserved::default());
        out.reply(Reply::BandsSet(&BandsSet { instrument, reserved }));
        Ok(Progress::Done)
    }

    #[cold]
    pub(super) fn set_schedule(
        &mut self,
        context: Context,
        command: &SetSchedule,
        entries: &[ScheduleEntry],
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let instrument = self.instruments.place(command.instrument).ok_or(Reject::UnknownInstrument)?;
        let schedule = Schedule::of(entries, context.now).ok_or(Reject::BadSchedule)?;
        if self.instruments[instrument].phase.get() == Phase::Delisted {
            return Err(Reject::BadPhase);
        }
        self.instruments[instrument].schedule = schedule;
        self.instruments.set_timer(instrument);
        let (instrument, entries) = (command.instrument, entries.len() as u32);
        out.reply(Reply::ScheduleSet(&ScheduleSet { instrument, entries }));
        Ok(Progress::Done)
    }

    /// The change whose time has come for `instrument`: an auction for volatility ends, or what the schedule says.
    #[cold]
    pub(super) fn change_by_time(&mut self, instrument: u32, out: &mut Out<'_, Self>) -> Progress {
        let to = self.instruments[instrument].take_due();
        self.instruments.set_timer(instrument);
        let change = self.phase_change(instrument, to, false);
        self.go_on_changing(change, out)
    }

    fn phase_change(&mut self, instrument: u32, to: Phase, asked: bool) -> PhaseChange {
        let from = self.instruments[instrument].phase.get();
        let ends = from.is_auction() && !matches!(to, Phase::Halted | Phase::Delisted);
        let uncrosses = from != to && (to == Phase::Continuous || ends);
        let indication = if uncrosses { self.indication(instrument) } else { AuctionIndication::NOTHING };
        let (price, volume) = (indication.price, indication.quantity.0);
        let (stage, left, passed, partly) = (Stage::Uncross, volume, [NONE; 2], [false; 2]);
        PhaseChange { instrument, to, asked, stage, price, volume, left, passed, partly }
    }

    #[cold]
    pub(super) fn go_on_changing(&mut self, mut change: PhaseChange, out: &mut Out<'_, Self>) -> Progress {
        if let Stage::Uncross = change.stage {
            // Behind the trades: the best prices, the indication, the phase and its indication.
            if self.uncross(&mut change, out) == Progress::More || out.room() < 4 {
                self.pending = Pending::Changing(change);
                return Progress::More;
            }
            self.enter_phase(&mut change, out);
        }
        while let Some((index, reason)) = self.next_that_ends(&change) {
            if out.room() < super::removal::OUTPUTS_EACH {
                self.pending = Pending::Changing(change);
                return Progress::More;
            }
            self.close(index, reason, out);
        }
        if change.asked {
            let (instrument, phase) = (instruments::id(change.instrument), change.to.into());
            let (price, quantity, reserved) = (change.price, Quantity(change.volume), Reserved::default());
            out.reply(Reply::PhaseSet(&PhaseSet { price, quantity, instrument, phase, reserved }));
        }
        if change.to == Phase::Continuous {
            self.trigger_stops(change.instrument);
        }
        Progress::Done
    }

    /// The next order that has no place in the new phase, and why.
    fn next_that_ends(&self, change: &PhaseChange) -> Option<(u32, CloseReason)> {
        let for_auction = self.orders.first_that_ends(change.instrument, change.to);
        let delisted = || self.first_of_book(change.instrument).filter(|_| change.to == Phase::Delisted);
        let for_auction = for_auction.map(|index| (index, CloseReason::AuctionOver));
        for_auction.or_else(|| delisted().map(|index| (index, CloseReason::Delisted)))
    }

    fn enter_phase(&mut self, change: &mut PhaseChange, out: &mut Out<'_, Self>) {
        change.stage = Stage::EndOrders;
        let place = change.instrument;
        if change.volume > 0 {
            self.say_top(place, out);
            self.instruments[place].bands.reference = change.price;
        }
        if self.instruments[place].phase.get() == change.to {
            return;
        }
        self.instruments[place].set_phase(change.to, Timestamp(0));
        self.look_at_pegs(place);
        if change.to == Phase::Delisted {
            self.instruments[place].schedule = Schedule::none();
        }
        self.instruments.set_timer(place);
        let changed = PhaseChanged { phase: change.to.into(), reserved: Reserved::default() };
        out.publish(topics::PHASES, instruments::id(place).0, Event::PhaseChanged(&changed));
        self.say_indication(place, out);
    }

    /// An order would have traded too far from the last trade: the instrument goes to auction.
    #[cold]
    pub(super) fn interrupt_if_beyond(&mut self, taker: &Taker, left: u64, out: &mut Out<'_, Self>) {
        let place = taker.instrument;
        let is_continuous = self.instruments[place].phase.get() == Phase::Continuous;
        if left == 0 || !is_continuous || taker.order_type.get().is_post_only() {
            return;
        }
        // One that asks for a minimum would not have traded further without it.
        let minimum = taker.reserve.map_or(0, |reserve| reserve.minimum.min(left));
        let wanted = Wanted { reach: taker.ticks, minimum: minimum.max(1), ..taker.wants() };
        if !(minimum == 0 && self.crosses(taker) || self.offers(&wanted)) {
            return;
        }
        let ends = self.now.0.saturating_add(self.instruments[place].bands.volatility_length);
        self.instruments[place].set_phase(Phase::VolatilityAuction, Timestamp(ends));
        self.look_at_pegs(place);
        self.instruments.set_timer(place);
        let changed = PhaseChanged { phase: Phase::VolatilityAuction.into(), reserved: Reserved::default() };
        out.publish(topics::PHASES, instruments::id(place).0, Event::PhaseChanged(&changed));
        self.say_indication(place, out);
    }
}
