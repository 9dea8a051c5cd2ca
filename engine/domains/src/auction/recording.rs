//! What happens to slots that were won: events are counted and billed once, what no event
//! claims is free again, and what was invalid is taken back.

use super::Auction;
use super::conduct::decline;
use super::messages::{
    DeclineReason, DefinePlacement, Event, EventBilled, EventCredited, EventKind, EventOutcome, EventRecorded,
    LineItemId, Nanos, PlacementId, PriceModel, RecordEvent, Reject, Reply, VoidWin, WinReleased, WinVoided,
};
use super::topics;
use super::wins::Win;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Out, Progress, Timestamp};

/// The event that a line item pays for.
fn billable(model: PriceModel) -> EventKind {
    match model {
        PriceModel::Cpm => EventKind::Impression,
        PriceModel::Cpc => EventKind::Click,
        PriceModel::Cpa => EventKind::Conversion,
    }
}

impl Auction {
    /// Counts an event, and bills it when the line item pays for its kind.
    #[inline]
    pub(super) fn record(&mut self, command: RecordEvent, out: &mut Out<'_, Self>) -> Progress {
        let kind = command.kind.get();
        let Some(win) = self.wins.get_mut(command.win) else {
            return decline(command.win, 0, DeclineReason::NoSuchWin, out);
        };
        let bills = billable(self.items[win.item].terms.model.get()) == kind;
        let outcome = match (win.see(kind), bills) {
            (false, _) => EventOutcome::Repeated,
            (true, false) => EventOutcome::Counted,
            (true, true) => EventOutcome::Billed,
        };
        let (mut amount, item) = (Nanos(0), LineItemId(win.item + 1));
        if outcome != EventOutcome::Repeated {
            self.items[win.item].tally.see(kind);
            self.placements[win.placement].tally.see(kind);
        }
        if outcome == EventOutcome::Billed {
            win.billed = 1;
            let win = *win;
            amount = win.price;
            self.bill(&win, out);
        }
        let (win, outcome, reserved) = (command.win, outcome.into(), Reserved::default());
        out.reply(Reply::EventRecorded(&EventRecorded { amount, win, item, outcome, reserved }));
        Progress::Done
    }

    /// Bills what was held for a win, on every level and in the ledger.
    fn bill(&mut self, win: &Win, out: &mut Out<'_, Self>) {
        self.on_levels(win.item, win.at, |budget, _| budget.bill(win.price));
        let (advertiser, placement) = (self.advertiser_of(win.item), &mut self.placements[win.placement]);
        let DefinePlacement { publisher, share, .. } = placement.terms;
        let publisher_amount = self.ledger.bill(advertiser, publisher, win.price, share);
        placement.billed.0 += win.price.0;
        placement.publisher_amount.0 += publisher_amount.0;
        let billed = EventBilled {
            amount: win.price,
            publisher_amount,
            win: win.id,
            item: LineItemId(win.item + 1),
            placement: PlacementId(win.placement + 1),
        };
        out.publish(topics::SPEND, advertiser.0, Event::EventBilled(&billed));
    }

    /// Ends the windows that are over, earliest first, and of those over together the earlier win first.
    pub(super) fn windows(&mut self, now: Timestamp, out: &mut Out<'_, Self>) -> Progress {
        while self.wins.next_over().is_some_and(|over| over <= now) {
            if out.room() == 0 {
                return Progress::More;
            }
            let win = self.wins.take_over(now).expect("one is over");
            self.end(&win, out);
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
    pub(super) fn void(&mut self, command: VoidWin, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let Some(win) = self.wins.get(command.win).copied() else {
            return Ok(decline(command.win, 0, DeclineReason::NoSuchWin, out));
        };
        let advertiser = self.advertiser_of(win.item);
        if win.billed == 1 && !self.ledger.can_credit(advertiser, win.price) {
            return Err(Reject::CreditsFull);
        }
        self.wins.take(win.id);
        self.items[win.item].tally.voided += 1;
        self.end(&win, out);
        if win.billed == 1 {
            self.credit(&win, out);
        }
        let amount = if win.billed == 1 { win.price } else { Nanos(0) };
        let (item, reserved) = (LineItemId(win.item + 1), Reserved::default());
        out.reply(Reply::WinVoided(&WinVoided { amount, win: win.id, item, reserved }));
        Ok(Progress::Done)
    }

    /// Gives back what a win was billed, on every level and in the ledger.
    fn credit(&mut self, win: &Win, out: &mut Out<'_, Self>) {
        self.on_levels(win.item, win.at, |budget, day| budget.credit(win.price, day));
        let (advertiser, placement) = (self.advertiser_of(win.item), &mut self.placements[win.placement]);
        let DefinePlacement { publisher, share, .. } = placement.terms;
        let publisher_amount = self.ledger.credit(advertiser, publisher, win.price, share);
        placement.billed.0 -= win.price.0;
        placement.publisher_amount.0 -= publisher_amount.0;
        let credited = EventCredited {
            amount: win.price,
            publisher_amount,
            win: win.id,
            item: LineItemId(win.item + 1),
            placement: PlacementId(win.placement + 1),
        };
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
