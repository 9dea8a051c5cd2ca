//! Events, bills, credits and reports of the slow twin.

use super::super::messages::{
    AdvertiserId, CreditNoteMade, DeclineReason, Event, EventBilled, EventCredited, EventKind, EventOutcome,
    EventRecorded, HourReport, InvoiceMade, LineItemId, LineItemReport, MakeInvoice, Nanos, PlacementId,
    PlacementReport, PriceModel, RecordEvent, Reject, Reply, ReportHour, WinId, WinReleased, WinVoided,
};
use super::super::{Auction, topics};
use super::{Entry, Level, Model, Win, decline};

use alloc::collections::BTreeSet;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Out, Timestamp};

impl Model {
    pub(super) fn record(&mut self, now: Timestamp, command: RecordEvent, out: &mut Out<'_, Auction>) {
        if self.wins.get(&command.win.0).is_none_or(|win| win.closed) {
            return decline(command.win, 0, DeclineReason::NoSuchWin, out);
        }
        let kind = command.kind.get();
        let invalid = !self.wins[&command.win.0].seen.contains_key(&kind) && self.is_invalid(now, &command);
        let attributed = kind != EventKind::Conversion || self.touch(command.win.0, now).is_some();
        let Win { item, placement, ref seen, .. } = self.wins[&command.win.0];
        let pays = match self.items[&item].terms.model.get() {
            PriceModel::Cpm => EventKind::Impression,
            PriceModel::Cpc => EventKind::Click,
            PriceModel::Cpa => EventKind::Conversion,
        };
        let outcome = if seen.contains_key(&kind) {
            EventOutcome::Repeated
        } else if invalid {
            EventOutcome::Invalid
        } else if !attributed {
            EventOutcome::Unattributed
        } else if kind != pays {
            EventOutcome::Counted
        } else {
            EventOutcome::Billed
        };
        match outcome {
            EventOutcome::Invalid => self.note(item, placement, Entry::Invalid),
            EventOutcome::Counted | EventOutcome::Billed => self.note(item, placement, Entry::Event(kind)),
            EventOutcome::Repeated | EventOutcome::Unattributed => {}
        }
        let win = self.wins.get_mut(&command.win.0).expect("it waits");
        if matches!(outcome, EventOutcome::Counted | EventOutcome::Billed) {
            win.seen.insert(kind, now);
        }
        let (mut amount, item) = (Nanos(0), LineItemId(item));
        if outcome == EventOutcome::Billed {
            win.billed = true;
            amount = Nanos(win.price);
            let (placement, price, at) = (win.placement, win.price, win.at);
            let campaign = self.items[&item.0].terms.campaign.0;
            for (level, _) in self.levels(item.0, at) {
                *self.held.get_mut(&level).expect("it was held") -= price;
                *self.spent.entry(level).or_default() += price;
            }
            let advertiser = self.campaigns[&campaign].0.advertiser.0;
            let account = self.accounts.entry(advertiser).or_default();
            (account.0, account.1) = (account.0 + price, account.1 + 1);
            let share = self.placements[&placement].0.share.0;
            let publisher_amount = Nanos((u128::from(price) * u128::from(share) / 1_000_000) as u64);
            self.note(item.0, placement, Entry::Billed(price, publisher_amount.0));
            let (win, placement) = (command.win, PlacementId(placement));
            let billed = EventBilled { amount, publisher_amount, win, item, placement };
            out.publish(topics::SPEND, advertiser, Event::EventBilled(&billed));
        }
        let (win, outcome, reserved) = (command.win, outcome.into(), Reserved::default());
        out.reply(Reply::EventRecorded(&EventRecorded { amount, win, item, outcome, reserved }));
    }

    pub(super) fn end_window(&mut self, id: u64, out: &mut Out<'_, Auction>) {
        let mut win = self.wins.remove(&id).expect("it waits");
        if win.closed {
            return;
        }
        for counter in &win.counted {
            if !win.seen.contains_key(&EventKind::Impression) {
                *self.shown.get_mut(counter).expect("it was counted") -= 1;
            }
        }
        if win.billed {
            // For a while it can be taken back.
            if self.traffic.clawback > 0 {
                win.over = win.over.saturating_add(self.traffic.clawback);
                win.closed = true;
                self.wins.insert(id, win);
            }
            return;
        }
        let campaign = self.items[&win.item].terms.campaign.0;
        for (level, day) in self.levels(win.item, win.at) {
            *self.held.get_mut(&level).expect("it was held") -= win.price;
            *self.days.get_mut(&(level, day)).expect("it was held") -= win.price;
        }
        let (amount, item, reserved) = (Nanos(win.price), LineItemId(win.item), Reserved::default());
        let advertiser = self.campaigns[&campaign].0.advertiser.0;
        let released = WinReleased { amount, win: WinId(id), item, reserved };
        out.publish(topics::SPEND, advertiser, Event::WinReleased(&released));
    }

    pub(super) fn invoice(&mut self, command: MakeInvoice, out: &mut Out<'_, Auction>) -> Result<(), Reject> {
        let advertiser = command.advertiser;
        if advertiser.0 == 0 || u64::from(advertiser.0) > self.limits.advertisers {
            return Err(Reject::UnknownAdvertiser);
        }
        let account = self.accounts.entry(advertiser.0).or_default();
        let (amount, events, _) = *account;
        if events == 0 {
            decline(WinId(0), advertiser.0, DeclineReason::NothingToInvoice, out);
            return Ok(());
        }
        *account = (0, 0, account.2 + 1);
        let number = account.2;
        out.reply(Reply::InvoiceMade(&InvoiceMade { amount: Nanos(amount), events, advertiser, number }));
        Ok(())
    }

    pub(super) fn void(&mut self, id: WinId, out: &mut Out<'_, Auction>) -> Result<(), Reject> {
        let Some(win) = self.wins.get(&id.0).cloned() else {
            decline(id, 0, DeclineReason::NoSuchWin, out);
            return Ok(());
        };
        let campaign = self.items[&win.item].terms.campaign.0;
        let advertiser = self.campaigns[&campaign].0.advertiser.0;
        let credited = self.credited.get(&advertiser).copied().unwrap_or(0) + u128::from(win.price);
        if win.billed && credited >= 1 << 63 {
            return Err(Reject::CreditsFull);
        }
        self.note(win.item, win.placement, Entry::Voided);
        self.end_window(id.0, out);
        self.wins.remove(&id.0);
        let item = LineItemId(win.item);
        if win.billed {
            for (level, day) in self.levels(win.item, win.at) {
                *self.spent.get_mut(&level).expect("it was spent") -= win.price;
                *self.days.get_mut(&(level, day)).expect("it was spent") -= win.price;
            }
            let share = self.placements[&win.placement].0.share.0;
            let part = (u128::from(win.price) * u128::from(share) / 1_000_000) as u64;
            let credits = self.credits.entry(advertiser).or_default();
            (credits.0, credits.1) = (credits.0 + win.price, credits.1 + 1);
            self.credited.insert(advertiser, credited);
            self.note(win.item, win.placement, Entry::Credited(win.price, part));
            let (amount, publisher_amount, placement) = (Nanos(win.price), Nanos(part), PlacementId(win.placement));
            let credited = EventCredited { amount, publisher_amount, win: id, item, placement };
            out.publish(topics::SPEND, advertiser, Event::EventCredited(&credited));
        }
        let (amount, reserved) = (Nanos(if win.billed { win.price } else { 0 }), Reserved::default());
        out.reply(Reply::WinVoided(&WinVoided { amount, win: id, item, reserved }));
        Ok(())
    }

    pub(super) fn credit_note(&mut self, advertiser: AdvertiserId, out: &mut Out<'_, Auction>) -> Result<(), Reject> {
        if advertiser.0 == 0 || u64::from(advertiser.0) > self.limits.advertisers {
            return Err(Reject::UnknownAdvertiser);
        }
        let credits = self.credits.entry(advertiser.0).or_default();
        let (amount, events, notes) = *credits;
        if events == 0 {
            decline(WinId(0), advertiser.0, DeclineReason::NothingToCredit, out);
            return Ok(());
        }
        *credits = (0, 0, notes + 1);
        let (amount, number) = (Nanos(amount), notes + 1);
        out.reply(Reply::CreditNoteMade(&CreditNoteMade { amount, events, advertiser, number }));
        Ok(())
    }

    /// Notes what a report counts.
    pub(super) fn note(&mut self, item: u32, placement: u32, entry: Entry) {
        self.log.push((item, placement, entry));
        if entry == Entry::Voided {
            return;
        }
        for item in BTreeSet::from([0, item]) {
            let hour = (item, placement, self.hour);
            if !self.hours.contains(&hour) {
                if self.hours.len() as u64 == self.limits.hours {
                    self.forgotten = Some(self.hours.remove(0).2);
                }
                self.hours.push(hour);
            }
            self.hourly.push((hour, entry));
        }
    }

    pub(super) fn report_hour(&self, command: ReportHour, out: &mut Out<'_, Auction>) -> Result<(), Reject> {
        let ReportHour { item, placement, hour, .. } = command;
        self.placements.get(&placement.0).ok_or(Reject::UnknownPlacement)?;
        if item.0 != 0 && !self.items.contains_key(&item.0) {
            return Err(Reject::UnknownLineItem);
        }
        if self.forgotten.is_some_and(|forgotten| hour <= forgotten) {
            decline(WinId(0), placement.0, DeclineReason::HourForgotten, out);
            return Ok(());
        }
        let entries = |of: u32| {
            let key = (of, placement.0, hour);
            self.hourly.iter().filter(move |(other, _)| *other == key).map(|(_, entry)| *entry)
        };
        let count = |entry: Entry| entries(item.0).filter(|other| *other == entry).count() as u32;
        let sum = |amount: fn(Entry) -> u64| Nanos(entries(item.0).map(amount).sum());
        out.reply(Reply::HourReport(&HourReport {
            billed: sum(|entry| if let Entry::Billed(amount, _) = entry { amount } else { 0 }),
            credited: sum(|entry| if let Entry::Credited(amount, _) = entry { amount } else { 0 }),
            auctions: entries(0).filter(|entry| *entry == Entry::Auction).count() as u64,
            wins: count(Entry::Win),
            impressions: count(Entry::Event(EventKind::Impression)),
            clicks: count(Entry::Event(EventKind::Click)),
            conversions: count(Entry::Event(EventKind::Conversion)),
            invalid: count(Entry::Invalid),
            item,
            placement,
            hour,
        }));
        Ok(())
    }

    /// How often the log has an entry, for a line item or a placement.
    pub(super) fn logged(&self, of: impl Fn(u32, u32) -> bool, entry: Entry) -> u64 {
        self.log.iter().filter(|(item, placement, other)| of(*item, *placement) && *other == entry).count() as u64
    }

    pub(super) fn report_line_item(&self, item: LineItemId, out: &mut Out<'_, Auction>) -> Result<(), Reject> {
        let known = self.items.get(&item.0).ok_or(Reject::UnknownLineItem)?;
        let (spent, held) = self.money(Level::Item(item.0));
        let count = |entry| self.logged(|of, _| of == item.0, entry);
        out.reply(Reply::LineItemReport(&LineItemReport {
            spent,
            held,
            wins: count(Entry::Win),
            impressions: count(Entry::Event(EventKind::Impression)),
            clicks: count(Entry::Event(EventKind::Click)),
            conversions: count(Entry::Event(EventKind::Conversion)),
            voided: count(Entry::Voided) as u32,
            invalid: count(Entry::Invalid) as u32,
            item,
            phase: known.phase.into(),
            reserved: Reserved::default(),
        }));
        Ok(())
    }

    pub(super) fn report_placement(&self, placement: PlacementId, out: &mut Out<'_, Auction>) -> Result<(), Reject> {
        self.placements.get(&placement.0).ok_or(Reject::UnknownPlacement)?;
        let count = |entry| self.logged(|_, of| of == placement.0, entry);
        let (mut billed, mut part) = (0, 0);
        for (_, of, entry) in &self.log {
            match entry {
                Entry::Billed(amount, publisher) if *of == placement.0 => {
                    (billed, part) = (billed + amount, part + publisher);
                }
                Entry::Credited(amount, publisher) if *of == placement.0 => {
                    (billed, part) = (billed - amount, part - publisher);
                }
                _ => {}
            }
        }
        out.reply(Reply::PlacementReport(&PlacementReport {
            billed: Nanos(billed),
            publisher_amount: Nanos(part),
            auctions: count(Entry::Auction),
            wins: count(Entry::Win),
            impressions: count(Entry::Event(EventKind::Impression)),
            clicks: count(Entry::Event(EventKind::Click)),
            conversions: count(Entry::Event(EventKind::Conversion)),
            placement,
            invalid: count(Entry::Invalid) as u32,
        }));
        Ok(())
    }
}
