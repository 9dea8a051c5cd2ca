//! What a late subscriber of a topic is told.

use super::Auction;
use super::messages::{AdvertiserId, CampaignId, Event, LineItemId};
use super::topics;
use ringfence_kernel::{Cursor, Out, Progress, Topic};

/// From here on a cursor counts creatives: there are fewer line items.
const CREATIVES: u64 = 1 << 32;

impl Auction {
    /// Says a topic's state: of a campaign where it, its line items and their creatives stand, of spend the advertiser's
    /// account, and all names.
    pub(super) fn snapshot(&self, topic: Topic, cursor: &mut Cursor, out: &mut Out<'_, Self>) -> Option<Progress> {
        match topic.kind() {
            topics::SPEND => {
                out.part(Event::AccountStands(&self.ledger.stands(AdvertiserId(topic.id()))?));
                Some(Progress::Done)
            }
            topics::CAMPAIGNS => self.snapshot_campaign(CampaignId(topic.id()), cursor, out),
            topics::NAMES if topic.id() == topics::ALL_NAMES => {
                // The cursor counts the names that were said.
                while let Some(defined) = self.names.defined(cursor.0 as u32 + 1) {
                    if out.room() == 0 {
                        return Some(Progress::More);
                    }
                    out.part(Event::NameDefined(&defined));
                    cursor.0 += 1;
                }
                Some(Progress::Done)
            }
            _ => None,
        }
    }

    /// The cursor is the number of what was said last: 0 is the campaign, and creatives come after line items.
    fn snapshot_campaign(&self, id: CampaignId, cursor: &mut Cursor, out: &mut Out<'_, Self>) -> Option<Progress> {
        let place = self.campaigns.place(id).ok()?;
        if cursor.0 == 0 {
            out.part(Event::CampaignChanged(&self.campaigns[place].changed()));
            cursor.0 = 1;
        }
        let is_own = |item: LineItemId| self.items[item.0 - 1].terms.campaign == id;
        let from = cursor.0;
        let items = self.items.iter().map(|(_, item)| item).filter(|item| is_own(item.terms.item));
        for item in items.filter(|item| u64::from(item.terms.item.0) >= from) {
            if out.room() == 0 {
                return Some(Progress::More);
            }
            out.part(Event::LineItemChanged(&item.changed()));
            cursor.0 = u64::from(item.terms.item.0) + 1;
        }
        let from = cursor.0;
        let creatives = self.creatives.iter().filter(|creative| is_own(creative.terms.item));
        for creative in creatives.filter(|creative| CREATIVES + u64::from(creative.terms.creative.0) >= from) {
            if out.room() == 0 {
                return Some(Progress::More);
            }
            out.part(Event::CreativeChanged(&creative.changed()));
            cursor.0 = CREATIVES + u64::from(creative.terms.creative.0) + 1;
        }
        Some(Progress::Done)
    }
}
