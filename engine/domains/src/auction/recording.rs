//! What happens to slots that were won: events are counted and billed once, what no event
//! claims is free again, and what was invalid is taken back.

use super::Auction;
use super::conduct::decline;
use super::hours::Hour;
use super::messages::{
    AdvertiserId, DeclineReason, DefinePlacement, Event, EventBilled, EventCredited, EventKind, EventOutcome,
    EventRecorded, LineItemId, Nanos, PlacementId, PriceModel, RecordConversion, RecordEvent, Reject, ReleaseWin,
    Reply, VoidWin, WinId, WinReleased, WinVoided,
};
use super::topics;
use super::wins::{Tally, Win};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Out, Progress, Timestamp};

/// The event that a line item pays for.
pub(super) fn billable(model: PriceModel) -> EventKind {
    match model {
        PriceModel::Cpm => EventKind::Impression,
        PriceModel::Cpc => EventKind::Click,
        PriceModel::Cpa => EventKind::Conversion,
    }
}

impl Auction {
    /// Counts an event of a win.
    #[inline]
    pub(super) fn record(&mut self, now: Timestamp, command: RecordEvent, out: &mut Out<'_, Self>) -> Progress {
        match self.wins.get(command.win).filter(|win| win.closed == 0).copied() {
            Some(win) => self.happen(now, &win, command.kind.get(), command.source, out),
            None => decline(command.win, 0, DeclineReason::NoSuchWin, out),
        }
    }

    /// Counts a conversion for the win that touched the user last.
    pub(super) fn convert(&mut self, now: Timestamp, command: RecordConversion, out: &mut Out<'_, Self>) -> Progress {
        let touch = |win: &Win| Some((self.items[win.item].terms.attributes(win, now)?, win.id));
        let last = self.wins.touching(command.user, command.advertiser).filter_map(touch).max();
        match last.and_then(|(_, id)| self.wins.get(id).copied()) {
            Some(win) => self.happen(now, &win, EventKind::Conversion, command.source, out),
            None => decline(WinId(0), command.advertiser.0, DeclineReason::NoTouch, out),
        }
    }

    /// Counts an event, and bills it when the line item pays for its kind.
    fn happen(&mut self, now: Timestamp, win: &Win, kind: EventKind, source: u32, out: &mut Out<'_, Self>) -> Progress {
        let outcome = self.outcome(now, win, kind, source);
        let amount = if outcome == EventOutcome::Billed { win.price } else { Nanos(0) };
        let (item, placement) = (LineItemId(win.item + 1), PlacementId(win.placement + 1));
        let tallies = [&mut self.items[win.item].tally, &mut self.placements[win.placement].tally];
        match outcome {
            EventOutcome::Repeated | EventOutcome::Unattributed => {}
            EventOutcome::Invalid => {
                tallies.into_iter().for_each(Tally::mistrust);
                self.hours.note(item, placement, now, Hour::mistrust);
            }
            EventOutcome::Counted | EventOutcome::Billed => {
                tallies.into_iter().for_each(|tally| tally.see(kind));
                self.hours.note(item, placement, now, |hour| {
                    hour.see(kind);
                    hour.bill(amount);
                });
                let waiting = self.wins.get_mut(win.id).expect("it waits");
                waiting.see(kind, now);
                waiting.billed |= u8::from(outcome == EventOutcome::Billed);
            }
        }
        if outcome == EventOutcome::Billed {
            self.bill(win, out);
        }
        let (id, reserved) = (win.id, Reserved::default());
        let recorded = EventRecorded { amount, win: id, item, outcome: outcome.into(), reserved };
        out.reply(Reply::EventRecorded(&recorded));
        Progress::Done
    }

    /// What becomes of an event: the first that holds.
    fn outcome(&mut self, now: Timestamp, win: &Win, kind: EventKind, source: u32) -> EventOutcome {
        let terms = &self.items[win.item].terms;
        if win.saw(kind) {
            EventOutcome::Repeated
        } else if self.traffic.is_invalid(win, kind, source, now) {
            EventOutcome::Invalid
        } else if kind == EventKind::Conversion && terms.attributes(win, now).is_none() {
            EventOutcome::Unattributed
        } else if kind == billable(terms.model.get()) {
            EventOutcome::Billed
        } else {
            EventOutcome::Counted
        }
    }

    /// Bills what was held for a win, on every level and in the ledger.
    fn bill(&mut self, win: &Win, out: &mut Out<'_, Self>) {
        self.on_levels(win.item, win.at, |budget, _| budget.bill(win.price));
        let (advertiser, placement) = (self.advertiser_of(win.item), &mut self.placements[win.placement]);
        let DefinePlacement { publisher, share, .. } = placement.terms;
        let publisher_amount = self.ledger.bill(advertiser, publisher, win.price, share);
        placement.billed.0 += win.price.0;
        placement.publisher_amount.0 += publisher_amount.0;
        let (item, placement) = (LineItemId(win.item + 1), PlacementId(win.placement + 1));
        let billed = EventBilled { amount: win.price, publisher_amount, win: win.id, item, placement };
        out.publish(topics::SPEND, advertiser.0, Event::EventBilled(&billed));
    }

    /// Ends the windows that are over, earliest first, and of those over together the earlier win first.
    pub(super) fn windows(&mut self, now: Timestamp, out: &mut Out<'_, Self>) -> Progress {
        while self.wins.next_over().is_some_and(|over| over <= now) {
            if out.room() == 0 {
                return Progress::More;
            }
            let win = self.wins.take_over(now).expect("one is over");
            if win.closed == 1 {
                continue;
            }
            self.end(&win, out);
            // What was billed can be taken back for a while.
            if win.billed == 1 && self.traffic.terms.clawback > 0 {
                let over = win.over.saturating_add(self.traffic.terms.clawback);
                let mut closed = win;
                (closed.closed, closed.touches, closed.over) = (1, AdvertiserId(0), over);
                self.wins.add(closed);
            }
        }
        Progress::Done
    }

    /// What of a win was not shown does not count for its cap, and what was not billed is free.
    fn end(&mut self, win: &Win, out: &mut Out<'_, Self>) {
        if !win.saw(EventKind::Impression) {
            for cap in self.caps_of(win) {
                self.caps.take_back(win.user, &cap, win.at);
            }
        }
        if win.billed == 0 {
            self.release(win, out);
        }
    }

    /// Takes a win back: it is over at once, and what it was billed is credited.
    pub(super) fn void(
        &mut self,
        now: Timestamp,
        command: VoidWin,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let Some(win) = self.wins.get(command.win).copied() else {
            return Ok(decline(command.win, 0, DeclineReason::NoSuchWin, out));
        };
        let advertiser = self.advertiser_of(win.item);
        if win.billed == 1 && !self.ledger.can_credit(advertiser, win.price) {
            return Err(Reject::CreditsFull);
        }
        self.wins.take(win.id);
        let voided = &mut self.items[win.item].tally.voided;
        *voided = voided.saturating_add(1);
        if win.closed == 0 {
            self.end(&win, out);
        }
        if win.billed == 1 {
            self.credit(now, &win, out);
        }
        let amount = if win.billed == 1 { win.price } else { Nanos(0) };
        let (item, reserved) = (LineItemId(win.item + 1), Reserved::default());
        out.reply(Reply::WinVoided(&WinVoided { amount, win: win.id, item, reserved }));
        Ok(Progress::Done)
    }

    /// Gives up a win that was not billed.
    pub(super) fn give_up(
        &mut self,
        now: Timestamp,
        command: ReleaseWin,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        if self.wins.get(command.win).is_some_and(|win| win.billed == 1) {
            return Ok(decline(command.win, 0, DeclineReason::AlreadyBilled, out));
        }
        self.void(now, VoidWin { win: command.win }, out)
    }

    /// Gives back what a win was billed, on every level and in the ledger.
    fn credit(&mut self, now: Timestamp, win: &Win, out: &mut Out<'_, Self>) {
        self.on_levels(win.item, win.at, |budget, day| budget.credit(win.price, day));
        let (advertiser, placement) = (self.advertiser_of(win.item), &mut self.placements[win.placement]);
        let DefinePlacement { publisher, share, .. } = placement.terms;
        let publisher_amount = self.ledger.credit(advertiser, publisher, win.price, share);
        placement.billed.0 -= win.price.0;
        placement.publisher_amount.0 -= publisher_amount.0;
        let (item, placement) = (LineItemId(win.item + 1), PlacementId(win.placement + 1));
        self.hours.note(item, placement, now, |hour| hour.credit(win.price));
        let credited = EventCredited { amount: win.price, publisher_amount, win: win.id, item, placement };
        out.publish(topics::SPEND, advertiser.0, Event::EventCredited(&credited));
    }

    /// Frees what was held for a win that is over without an event to bill.
    fn release(&mut self, win: &Win, out: &mut Out<'_, Self>) {
        self.on_levels(win.item, win.at, |budget, day| budget.release(win.price, day));
        let (amount, item, reserved) = (win.price, LineItemId(win.item + 1), Reserved::default());
        let released = WinReleased { amount, win: win.id, item, reserved };
        out.publish(topics::SPEND, self.advertiser_of(win.item).0, Event::WinReleased(&released));
    }
}
