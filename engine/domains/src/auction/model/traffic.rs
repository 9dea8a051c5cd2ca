//! Attribution and invalid traffic of the slow twin.

use super::super::Auction;
use super::super::messages::{
    DeclineReason, EventKind, ListSource, RecordConversion, RecordEvent, Reject, Reply, TOUCHES_MAX, TrafficSet, WinId,
};
use super::{MINUTE, Model, decline};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Out, Timestamp};

impl Model {
    /// The touch by which a conversion is a win's: whether it was a click, and when.
    pub(super) fn touch(&self, win: u64, now: Timestamp) -> Option<(bool, u64)> {
        let win = &self.wins[&win];
        let terms = &self.items[&win.item].terms;
        if terms.click_through == 0 && terms.view_through == 0 {
            return Some((false, 0));
        }
        let touches = [(EventKind::Click, terms.click_through), (EventKind::Impression, terms.view_through)];
        let mut within = touches.into_iter().filter_map(|(kind, through)| {
            let at = win.seen.get(&kind)?.0;
            (u128::from(now.0) < u128::from(at) + u128::from(through)).then_some((kind == EventKind::Click, at))
        });
        within.next()
    }

    /// The last touch of a user by an advertiser's line items that have attribution windows, clicks above views.
    pub(super) fn convert(&mut self, now: Timestamp, command: RecordConversion, out: &mut Out<'_, Auction>) {
        let touches = self.wins.iter().rev().filter(|(_, win)| {
            let terms = &self.items[&win.item].terms;
            let advertiser = self.campaigns[&terms.campaign.0].0.advertiser;
            let windows = terms.click_through > 0 || terms.view_through > 0;
            !win.closed && windows && advertiser == command.advertiser && win.user == command.user.0 && win.user != 0
        });
        let latest = touches.take(TOUCHES_MAX);
        match latest.filter_map(|(id, _)| Some((self.touch(*id, now)?, *id))).max() {
            None => decline(WinId(0), command.advertiser.0, DeclineReason::NoTouch, out),
            Some((_, id)) => {
                let (win, kind, reserved) = (WinId(id), EventKind::Conversion.into(), Reserved::default());
                self.record(now, RecordEvent { win, kind, reserved, source: command.source }, out);
            }
        }
    }

    /// Whether an event is invalid: from a listed source, a click too soon, or one too many in its minute.
    pub(super) fn is_invalid(&mut self, now: Timestamp, event: &RecordEvent) -> bool {
        let win = &self.wins[&event.win.0];
        if self.sources.contains(&event.source) {
            return true;
        }
        if event.kind.get() == EventKind::Click && self.traffic.click_after > 0 {
            match win.seen.get(&EventKind::Impression) {
                None => return true,
                Some(shown) if u128::from(now.0) < u128::from(shown.0) + u128::from(self.traffic.click_after) => {
                    return true;
                }
                Some(_) => {}
            }
        }
        let minute = now.0 / MINUTE;
        self.events.retain(|(_, _, of), _| *of == minute);
        let mut invalid = false;
        let who = [(win.user, false, self.traffic.user_most), (event.source.into(), true, self.traffic.source_most)];
        for (who, is_source, most) in who.into_iter().filter(|(who, _, most)| *who != 0 && *most != 0) {
            let key = (who, is_source, minute);
            let count = self.events.get(&key).copied();
            if count.is_some_and(|count| count >= most) {
                invalid = true;
            } else if count.is_some() || (self.events.len() as u64) < self.limits.event_rates {
                *self.events.entry(key).or_default() += 1;
            }
        }
        invalid
    }

    pub(super) fn list_source(&mut self, command: ListSource, out: &mut Out<'_, Auction>) -> Result<(), Reject> {
        match (command.source, command.listed) {
            (0, _) | (_, 2..) => return Err(Reject::BadTerms),
            (source, 0) => {
                self.sources.remove(&source);
            }
            (source, _) if !self.sources.contains(&source) && self.sources.len() as u64 == self.limits.sources => {
                return Err(Reject::SourcesFull);
            }
            (source, _) => {
                self.sources.insert(source);
            }
        }
        self.answer_traffic(out);
        Ok(())
    }

    pub(super) fn answer_traffic(&self, out: &mut Out<'_, Auction>) {
        let (sources, reserved) = (self.sources.len() as u32, Reserved::default());
        out.reply(Reply::TrafficSet(&TrafficSet { sources, reserved }));
    }
}
