//! What those who run campaigns and placements do: prepare, start, pause, end, bid, set floors, invoice, ask for reports. And the flights
//! that begin and end.

use super::Auction;
use super::campaigns::can_go;
use super::messages::{
    AdvertiserId, AdvertiserSet, BucketsDefined, CampaignId, CampaignSet, CreativeId, CreativeSet, DeclineReason,
    Declined, DefineAdvertiser, DefineBuckets, DefineCampaign, DefineCreative, DefineLineItem, DefineName,
    DefinePlacement, Event, LineItemId, LineItemReport, LineItemSet, ListSource, MakeCreditNote, MakeInvoice, NameIs,
    PlacementId, PlacementReport, PlacementSet, PriceRange, RateSet, Reject, Reply, ReportHour, SetBid, SetCampaign,
    SetCreative, SetFloor, SetLineItem, SetRate, SetTraffic, Slot, Target, TrafficSet, WinId,
};
use super::topics;
use super::wins::Tally;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Out, Progress, Timestamp};

const NO_WIN: WinId = WinId(0);

impl Auction {
    pub(super) fn define_advertiser(
        &mut self,
        terms: &DefineAdvertiser,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let has_campaigns = self.campaigns.iter().any(|(_, campaign)| campaign.terms.advertiser == terms.advertiser);
        self.advertisers.define(terms, has_campaigns)?;
        let (advertiser, reserved) = (terms.advertiser, Reserved::default());
        out.reply(Reply::AdvertiserSet(&AdvertiserSet { advertiser, reserved }));
        Ok(Progress::Done)
    }

    pub(super) fn define_creative(
        &mut self,
        terms: &DefineCreative,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        if self.creatives.define(terms, &mut self.items)? {
            self.say_creative(terms.creative, out);
        }
        Ok(self.answer_creative(terms.creative, out))
    }

    pub(super) fn set_creative(&mut self, command: SetCreative, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        if !self.creatives.set_phase(command.creative, command.phase.get())? {
            return Ok(decline(NO_WIN, command.creative.0, DeclineReason::WrongPhase, out));
        }
        self.say_creative(command.creative, out);
        Ok(self.answer_creative(command.creative, out))
    }

    pub(super) fn define_campaign(
        &mut self,
        terms: &DefineCampaign,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let (place, new) = self.campaigns.define(terms, &self.advertisers)?;
        if new {
            self.say_campaign(place, out);
        }
        Ok(self.answer_campaign(place, out))
    }

    pub(super) fn define_line_item(
        &mut self,
        context: Context,
        terms: &DefineLineItem,
        targets: &[Target],
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let (place, new) = self.items.define(context.now, terms, targets, &self.campaigns)?;
        if new {
            self.say_line_item(place, out);
        }
        Ok(self.answer_line_item(place, out))
    }

    pub(super) fn define_placement(
        &mut self,
        terms: &DefinePlacement,
        slots: &[Slot],
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let known = terms.buckets == 0 || self.buckets.get(terms.buckets).is_some();
        let place = self.placements.define(terms, slots, known)?;
        Ok(self.answer_placement(place, out))
    }

    pub(super) fn set_campaign(&mut self, command: SetCampaign, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let place = self.campaigns.place(command.campaign)?;
        let campaign = &mut self.campaigns[place];
        if !can_go(campaign.phase.get(), command.phase.get()) {
            return Ok(decline(NO_WIN, command.campaign.0, DeclineReason::WrongPhase, out));
        }
        campaign.phase = command.phase;
        self.items.campaign_changed(place, &self.campaigns);
        self.say_campaign(place, out);
        Ok(self.answer_campaign(place, out))
    }

    pub(super) fn set_line_item(&mut self, command: SetLineItem, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let place = self.items.place(command.item)?;
        if !self.items.set_phase(place, command.phase.get(), &self.campaigns) {
            return Ok(decline(NO_WIN, command.item.0, DeclineReason::WrongPhase, out));
        }
        self.say_line_item(place, out);
        Ok(self.answer_line_item(place, out))
    }

    pub(super) fn set_bid(&mut self, command: &SetBid, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let place = self.items.set_bid(command, &self.campaigns)?;
        self.say_line_item(place, out);
        Ok(self.answer_line_item(place, out))
    }

    pub(super) fn set_floor(&mut self, command: SetFloor, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let place = self.placements.set_floor(command.placement, command.floor)?;
        Ok(self.answer_placement(place, out))
    }

    pub(super) fn make_invoice(&mut self, command: MakeInvoice, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let AdvertiserId(id) = command.advertiser;
        match self.ledger.invoice(command.advertiser)? {
            Some(invoice) => out.reply(Reply::InvoiceMade(&invoice)),
            None => return Ok(decline(NO_WIN, id, DeclineReason::NothingToInvoice, out)),
        }
        Ok(Progress::Done)
    }

    pub(super) fn make_credit_note(
        &mut self,
        command: MakeCreditNote,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let AdvertiserId(id) = command.advertiser;
        match self.ledger.credit_note(command.advertiser)? {
            Some(note) => out.reply(Reply::CreditNoteMade(&note)),
            None => return Ok(decline(NO_WIN, id, DeclineReason::NothingToCredit, out)),
        }
        Ok(Progress::Done)
    }

    pub(super) fn set_rate(&mut self, command: SetRate, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let SetRate { rate, currency, .. } = command;
        self.currencies.set(currency, rate)?;
        out.reply(Reply::RateSet(&RateSet { rate, currency, reserved: Reserved::default() }));
        Ok(Progress::Done)
    }

    pub(super) fn set_traffic(&mut self, terms: SetTraffic, out: &mut Out<'_, Self>) -> Progress {
        self.traffic.terms = terms;
        self.answer_traffic(out)
    }

    pub(super) fn list_source(&mut self, command: ListSource, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        self.traffic.list(command)?;
        Ok(self.answer_traffic(out))
    }

    fn answer_traffic(&self, out: &mut Out<'_, Self>) -> Progress {
        let (sources, reserved) = (self.traffic.sources(), Reserved::default());
        out.reply(Reply::TrafficSet(&TrafficSet { sources, reserved }));
        Progress::Done
    }

    pub(super) fn define_buckets(
        &mut self,
        terms: &DefineBuckets,
        ranges: &[PriceRange],
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        self.buckets.define(terms, ranges)?;
        let (buckets, reserved) = (terms.buckets, Reserved::default());
        out.reply(Reply::BucketsDefined(&BucketsDefined { buckets, reserved }));
        Ok(Progress::Done)
    }

    pub(super) fn define_name(&mut self, name: &DefineName, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let (value, new) = self.names.define(name)?;
        if let Some(defined) = self.names.defined(value).filter(|_| new) {
            out.publish(topics::NAMES, topics::ALL_NAMES, Event::NameDefined(&defined));
        }
        let (dimension, reserved) = (name.dimension, Reserved::default());
        out.reply(Reply::NameIs(&NameIs { value, dimension, reserved }));
        Ok(Progress::Done)
    }

    pub(super) fn report_line_item(&self, id: LineItemId, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let item = &self.items[self.items.place(id)?];
        let Tally { wins, impressions, clicks, conversions, voided, invalid } = item.tally;
        let (spent, held, phase) = (item.budget.spent, item.budget.held, item.phase);
        let (item, reserved) = (id, Reserved::default());
        out.reply(Reply::LineItemReport(&LineItemReport {
            spent,
            held,
            wins,
            impressions,
            clicks,
            conversions,
            voided,
            invalid,
            item,
            phase,
            reserved,
        }));
        Ok(Progress::Done)
    }

    pub(super) fn report_placement(&self, id: PlacementId, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let placement = &self.placements[self.placements.place(id)?];
        let Tally { wins, impressions, clicks, conversions, invalid, .. } = placement.tally;
        out.reply(Reply::PlacementReport(&PlacementReport {
            billed: placement.billed,
            publisher_amount: placement.publisher_amount,
            auctions: placement.auctions,
            wins,
            impressions,
            clicks,
            conversions,
            placement: id,
            invalid,
        }));
        Ok(Progress::Done)
    }

    pub(super) fn report_hour(&self, command: ReportHour, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let ReportHour { item, placement, hour, .. } = command;
        self.placements.place(placement)?;
        if item.0 != 0 {
            self.items.place(item)?;
        }
        match self.hours.report(item, placement, hour) {
            Some(report) => out.reply(Reply::HourReport(&report)),
            None => return Ok(decline(NO_WIN, placement.0, DeclineReason::HourForgotten, out)),
        }
        Ok(Progress::Done)
    }

    /// Begins and ends the flights that are due, earliest first, of those due together the lower number first.
    pub(super) fn flights(&mut self, now: Timestamp, out: &mut Out<'_, Self>) -> Progress {
        while let Some((_, place)) = self.items.next_flight().filter(|(due, _)| *due <= now) {
            if out.room() == 0 {
                return Progress::More;
            }
            self.items.fly(place, &self.campaigns);
            self.say_line_item(place, out);
        }
        Progress::Done
    }

    fn answer_campaign(&self, place: u32, out: &mut Out<'_, Self>) -> Progress {
        let (campaign, phase) = (CampaignId(place + 1), self.campaigns[place].phase);
        out.reply(Reply::CampaignSet(&CampaignSet { campaign, phase, reserved: Reserved::default() }));
        Progress::Done
    }

    fn answer_line_item(&self, place: u32, out: &mut Out<'_, Self>) -> Progress {
        let (item, phase) = (self.items[place].terms.item, self.items[place].phase);
        out.reply(Reply::LineItemSet(&LineItemSet { item, phase, reserved: Reserved::default() }));
        Progress::Done
    }

    fn answer_placement(&self, place: u32, out: &mut Out<'_, Self>) -> Progress {
        let (placement, floor) = (self.placements[place].terms.placement, self.placements[place].floor);
        out.reply(Reply::PlacementSet(&PlacementSet { floor, placement, reserved: Reserved::default() }));
        Progress::Done
    }

    fn answer_creative(&self, id: CreativeId, out: &mut Out<'_, Self>) -> Progress {
        let phase = self.creatives.get(id).expect("it is defined").phase;
        out.reply(Reply::CreativeSet(&CreativeSet { creative: id, phase, reserved: Reserved::default() }));
        Progress::Done
    }

    /// Says where a creative stands. There is room for it.
    fn say_creative(&self, id: CreativeId, out: &mut Out<'_, Self>) {
        let changed = self.creatives.get(id).expect("it is defined").changed();
        let campaign = self.items[changed.item.0 - 1].terms.campaign;
        out.publish(topics::CAMPAIGNS, campaign.0, Event::CreativeChanged(&changed));
    }

    /// Says where a campaign stands. There is room for it.
    fn say_campaign(&self, place: u32, out: &mut Out<'_, Self>) {
        out.publish(topics::CAMPAIGNS, place + 1, Event::CampaignChanged(&self.campaigns[place].changed()));
    }

    /// Says where a line item stands. There is room for it.
    fn say_line_item(&self, place: u32, out: &mut Out<'_, Self>) {
        let item = &self.items[place];
        out.publish(topics::CAMPAIGNS, item.terms.campaign.0, Event::LineItemChanged(&item.changed()));
    }
}

/// Answers that a request had no effect.
pub(super) fn decline(win: WinId, id: u32, reason: DeclineReason, out: &mut Out<'_, Auction>) -> Progress {
    let reason = reason.into();
    out.reply(Reply::Declined(&Declined { win, id, reason, reserved: Reserved::default() }));
    Progress::Done
}
