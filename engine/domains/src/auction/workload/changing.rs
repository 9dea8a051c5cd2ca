//! What changes while auctions are held.

use super::super::messages::{
    AdvertiserId, CampaignId, Command, CreativeId, DefineName, Dimension, LineItemId, ListSource, MakeCreditNote,
    MakeInvoice, Nanos, Phase, PlacementId, Ppm, RecordConversion, ReleaseWin, ReportHour, ReportLineItem,
    ReportPlacement, SLOTS_MAX, SetBid, SetCampaign, SetCreative, SetFloor, SetLineItem, SetTraffic, UserKey, VoidWin,
    WinId,
};
use super::flow::{Flow, RECENT};
use super::{Mix, pick};
use ringfence_kernel::ClientId;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::workload::CommandImage;

impl Flow {
    /// A change: a bid, a floor, a phase, an invoice, or something else that is prepared.
    pub(super) fn change(&mut self, image: &mut CommandImage) {
        let Mix { campaigns, items, placements, parties, users, tick, .. } = self.mix;
        let now = self.now();
        let random = &mut self.random;
        let reserved = Reserved::default();
        let item = LineItemId(1 + random.below(u64::from(items) + 1) as u32);
        let phases = [Phase::Active, Phase::Active, Phase::Active, Phase::Paused, Phase::Paused, Phase::Ended];
        match random.below(48) {
            0..8 => {
                let (bid, quality) = (Nanos(2 + random.below(12)), Ppm(pick(random, &[1_000_000, 700_000])));
                let rate = Ppm(pick(random, &[1_000_000, 1_000_000, 500_000]));
                let bid = SetBid { bid, item, rate, quality, reserved: Reserved::default() };
                image.set(ClientId(1), Command::SetBid(&bid));
            }
            8..11 => {
                let placement = PlacementId(1 + random.below(u64::from(placements) + 1) as u32);
                let (floor, reserved) = (Nanos(random.below(6)), Reserved::default());
                image.set(ClientId(1), Command::SetFloor(&SetFloor { floor, placement, reserved }));
            }
            11..17 => {
                let phase = pick(random, &phases).into();
                image.set(ClientId(1), Command::SetLineItem(&SetLineItem { item, phase, reserved }));
            }
            17..20 => {
                let campaign = CampaignId(1 + random.below(u64::from(campaigns) + 1) as u32);
                let phase = pick(random, &phases[..5]).into();
                image.set(ClientId(1), Command::SetCampaign(&SetCampaign { campaign, phase, reserved }));
            }
            20..22 => {
                let advertiser = AdvertiserId(1 + random.below(parties.into()) as u32);
                let reserved = Reserved::default();
                image.set(ClientId(1), Command::MakeInvoice(&MakeInvoice { advertiser, reserved }));
            }
            22..26 => {
                let auction = self.recent[random.below(self.auctions.clamp(1, RECENT) as u64) as usize];
                let win = WinId(auction * SLOTS_MAX as u64);
                let command = match random.percent(50) {
                    true => Command::VoidWin(&VoidWin { win }),
                    false => Command::ReleaseWin(&ReleaseWin { win }),
                };
                image.set(ClientId(1), command);
            }
            26 => {
                let advertiser = AdvertiserId(1 + random.below(parties.into()) as u32);
                image.set(
                    ClientId(1),
                    Command::MakeCreditNote(&MakeCreditNote { advertiser, reserved: Reserved::default() }),
                );
            }
            27 => {
                image.set(ClientId(1), Command::ReportLineItem(&ReportLineItem { item, reserved: Reserved::default() }))
            }
            28 => {
                let placement = PlacementId(1 + random.below(u64::from(placements) + 1) as u32);
                image.set(
                    ClientId(1),
                    Command::ReportPlacement(&ReportPlacement { placement, reserved: Reserved::default() }),
                );
            }
            29 => {
                let currency = 1 + random.below(3) as u16;
                self.set_rate(currency, image);
            }
            30 => {
                let buckets = 1 + random.below(3) as u8;
                self.define_buckets(buckets, image);
            }
            31 => {
                let dimension = pick(random, &[Dimension::Site, Dimension::Deal]);
                let text = pick(random, &["", "a", "b", "site.example", "grün"]);
                image.set(ClientId(1), Command::DefineName(&DefineName::new(dimension, text)));
            }
            32 => {
                let advertiser = 1 + random.below(u64::from(parties) + 2) as u32;
                self.define_advertiser(advertiser, image);
            }
            33..35 => {
                let creative = 1 + random.below(u64::from(items)) as u32;
                self.define_creative(creative, image);
            }
            35 => {
                let creative = CreativeId(1 + random.below(u64::from(items)) as u32);
                let phase = pick(random, &phases).into();
                image.set(ClientId(1), Command::SetCreative(&SetCreative { creative, phase, reserved }));
            }
            36 => {
                let id = 1 + random.below(u64::from(campaigns) + 2) as u32;
                self.define_campaign(id, image);
            }
            37 => {
                let (clawback, most) = (pick(random, &[0, 30, 300]) * tick, [0, 0, 2, 3]);
                let (user_most, source_most) = (pick(random, &most), pick(random, &most));
                let click_after = pick(random, &[0, 0, 0, 3]) * tick;
                let terms = SetTraffic { click_after, clawback, user_most, source_most };
                image.set(ClientId(1), Command::SetTraffic(&terms));
            }
            38 => {
                let (source, listed) = (random.below(5) as u32, u8::from(random.percent(40)));
                image.set(ClientId(1), Command::ListSource(&ListSource { source, listed, reserved }));
            }
            43..46 => {
                let hour =
                    (now / 3_600_000_000_000) as u32 - random.below(3) as u32 * u32::from(now > 7_200_000_000_000);
                let placement = PlacementId(1 + random.below(placements.into()) as u32);
                let item = if random.percent(40) { LineItemId(0) } else { item };
                let command = ReportHour { item, placement, hour, reserved: Reserved::default() };
                image.set(ClientId(1), Command::ReportHour(&command));
            }
            39..43 => {
                let (user, source) = (UserKey(random.below(users)), random.below(4) as u32);
                let advertiser = AdvertiserId(1 + random.below(parties.into()) as u32);
                image.set(ClientId(1), Command::RecordConversion(&RecordConversion { user, advertiser, source }));
            }
            _ => {
                let id = 1 + random.below(u64::from(items) + 10) as u32;
                self.define_line_item(id, image);
            }
        }
    }
}
