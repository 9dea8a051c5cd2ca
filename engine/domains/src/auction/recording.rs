//! What happens to slots that were won: events are counted and billed once, and what no event claims is free again.

use super::Auction;
use super::conduct::decline;
use super::messages::{
    DeclineReason, Event, EventBilled, EventKind, EventOutcome, EventRecorded, LineItemId, Nanos, PlacementId,
    PriceModel, RecordEvent, Reply, WinReleased,
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
        let item = &mut self.items[win.item];
        let campaign = &mut self.campaigns[item.terms.campaign.0 - 1];
        item.budget.bill(win.price);
        campaign.budget.bill(win.price);
        let (advertiser, placement) = (campaign.terms.advertiser, &self.placements[win.placement].terms);
        let publisher_amount = self.ledger.bill(advertiser, placement.publisher, win.price, placement.share);
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
            if win.user.0 != 0 && !win.saw(EventKind::Impression) {
                self.caps.take_back(win.user, win.item, win.period);
            }
            if win.billed == 0 {
                self.release(&win, out);
            }
        }
        Progress::Done
    }

    /// Frees what was held for a win that is over without an event to bill.
    fn release(&mut self, win: &Win, out: &mut Out<'_, Self>) {
        let item = &mut self.items[win.item];
        let campaign = &mut self.campaigns[item.terms.campaign.0 - 1];
        item.budget.release(win.price, win.day);
        campaign.budget.release(win.price, win.day);
        let (amount, item, reserved) = (win.price, LineItemId(win.item + 1), Reserved::default());
        let released = WinReleased { amount, win: win.id, item, reserved };
        out.publish(topics::SPEND, campaign.terms.advertiser.0, Event::WinReleased(&released));
    }
}
