//! Ad auctions: from the auction to the bill, and not a cent over. `README.md` has the rules in plain words.
//!
//! [`Auction::apply`] is the table of contents. Campaigns and line items stand in `campaigns` and `line_items` with their
//! budgets, `index` finds line items by what they target, `holding` holds an auction over them, where `competing` says who takes part and `ranking` in which order, and `pricing` says what
//! it costs; `wins` wait for their events in `recording`, and the `ledger` has what was billed.
#![doc = include_str!("README.md")]

pub mod messages;

mod competing;
mod conduct;
mod control;
mod explaining;
mod holding;
mod pricing;
mod ranking;
mod recording;
mod snapshots;

mod advertisers;
mod buckets;
mod budgets;
mod campaigns;
mod caps;
mod creatives;
mod currencies;
mod hours;
mod index;
mod ledger;
mod line_items;
mod names;
mod placements;
mod traffic;
mod wins;

mod state;

#[cfg(any(test, feature = "models"))]
pub mod model;
pub mod workload;

#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod tests;

pub use explaining::{Explained, Fate, Loss};

use advertisers::Advertisers;
use buckets::AllBuckets;
use campaigns::Campaigns;
use caps::Caps;
use creatives::Creatives;
use currencies::Currencies;
use hours::Hours;
use ledger::Ledger;
use line_items::LineItems;
use messages::{AuctionLimits, Command, Event, Reject, Reply};
use names::Names;
use placements::Placements;
use ranking::Ranking;
use ringfence_kernel::{
    Context, Corrupt, Cursor, Domain, DomainId, Out, Progress, Roles, SessionChange, Sink, Source, Timestamp, Topic,
};
use traffic::Traffic;
use wins::Wins;

/// Kinds of topics of this domain.
pub mod topics {
    /// [`super::messages::CampaignChanged`], [`super::messages::LineItemChanged`] and
    /// [`super::messages::CreativeChanged`]; the id is the campaign. Its snapshot is where the campaign, its line items and
    /// their creatives stand.
    pub const CAMPAIGNS: u16 = 1;
    /// [`super::messages::EventBilled`], [`super::messages::WinReleased`] and [`super::messages::EventCredited`]; the id is the advertiser. Its snapshot is
    /// where the advertiser's account stands.
    pub const SPEND: u16 = 2;
    /// [`super::messages::NameDefined`]; the id is [`ALL_NAMES`]. Its snapshot is all names.
    pub const NAMES: u16 = 3;
    /// The one topic of names.
    pub const ALL_NAMES: u32 = 1;
}

/// All campaigns with their line items, all placements, what was won and what was billed.
#[derive(Debug)]
pub struct Auction {
    advertisers: Advertisers,
    campaigns: Campaigns,
    creatives: Creatives,
    items: LineItems,
    placements: Placements,
    wins: Wins,
    caps: Caps,
    traffic: Traffic,
    hours: Hours,
    ledger: Ledger,
    currencies: Currencies,
    buckets: AllBuckets,
    names: Names,
    /// Room for one auction. Not state.
    ranking: Ranking,
}

impl Domain for Auction {
    const ID: DomainId = DomainId(3);
    const NAME: &'static str = "auction";
    const VERSION: u16 = 1;
    const REJECTS: &'static [ringfence_kernel::reject::Row] = Reject::TABLE;

    type Command<'a> = Command<'a>;
    type Reply<'a> = Reply<'a>;
    type Event<'a> = Event<'a>;
    type Reject = Reject;
    type Limits = AuctionLimits;

    fn topics(limits: &AuctionLimits) -> u64 {
        limits.campaigns.saturating_add(limits.advertisers).saturating_add(1)
    }

    fn new(limits: &AuctionLimits) -> Self {
        let items = LineItems::new(limits);
        Self {
            ranking: Ranking::new(limits.line_items as usize, items.index.blocks()),
            advertisers: Advertisers::new(limits),
            campaigns: Campaigns::new(limits),
            creatives: Creatives::new(limits),
            items,
            placements: Placements::new(limits),
            wins: Wins::new(limits),
            caps: Caps::new(limits.counters as usize),
            traffic: Traffic::new(limits),
            hours: Hours::new(limits),
            ledger: Ledger::new(limits),
            currencies: Currencies::new(limits),
            buckets: AllBuckets::new(limits),
            names: Names::new(limits),
        }
    }

    fn roles_needed(command: &Command<'_>) -> Roles {
        match command {
            Command::HoldAuction(..)
            | Command::RecordEvent(..)
            | Command::RecordConversion(..)
            | Command::ReleaseWin(..) => Roles::TRADE,
            Command::ReportLineItem(..) | Command::ReportPlacement(..) | Command::ReportHour(..) => Roles::OBSERVE,
            _ => Roles::ADMINISTER,
        }
    }

    #[inline]
    fn apply(&mut self, context: Context, command: Command<'_>, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        match command {
            Command::HoldAuction(command, attributes) => self.hold(context, command, attributes, out),
            Command::RecordEvent(command) => Ok(self.record(context.now, *command, out)),
            Command::RecordConversion(command) => Ok(self.convert(context.now, *command, out)),
            Command::SetBid(command) => self.set_bid(command, out),
            Command::SetFloor(command) => self.set_floor(*command, out),
            Command::SetLineItem(command) => self.set_line_item(*command, out),
            Command::SetCampaign(command) => self.set_campaign(*command, out),
            Command::DefineAdvertiser(command) => self.define_advertiser(command, out),
            Command::DefineCreative(command) => self.define_creative(command, out),
            Command::SetCreative(command) => self.set_creative(*command, out),
            Command::DefineCampaign(command) => self.define_campaign(command, out),
            Command::DefineLineItem(command, targets) => self.define_line_item(context, command, targets, out),
            Command::DefinePlacement(command, slots) => self.define_placement(command, slots, out),
            Command::VoidWin(command) => self.void(context.now, *command, out),
            Command::ReleaseWin(command) => self.give_up(context.now, *command, out),
            Command::SetTraffic(command) => Ok(self.set_traffic(*command, out)),
            Command::ListSource(command) => self.list_source(*command, out),
            Command::MakeInvoice(command) => self.make_invoice(*command, out),
            Command::MakeCreditNote(command) => self.make_credit_note(*command, out),
            Command::ReportLineItem(command) => self.report_line_item(command.item, out),
            Command::ReportHour(command) => self.report_hour(*command, out),
            Command::SetRate(command) => self.set_rate(*command, out),
            Command::DefineBuckets(command, ranges) => self.define_buckets(command, ranges, out),
            Command::DefineName(command) => self.define_name(command, out),
            Command::ReportPlacement(command) => self.report_placement(command.placement, out),
        }
    }

    fn resume(&mut self, _: Context, _: &mut Out<'_, Self>) -> Progress {
        // No decision says more than one flush holds.
        Progress::Done
    }

    fn on_time(&mut self, context: Context, out: &mut Out<'_, Self>) -> Progress {
        match self.windows(context.now, out) {
            Progress::More => return Progress::More,
            Progress::Done => {}
        }
        if self.flights(context.now, out) == Progress::More {
            return Progress::More;
        }
        self.control(context.now);
        Progress::Done
    }

    fn on_session(&mut self, _: Context, _: SessionChange, _: &mut Out<'_, Self>) -> Progress {
        // Campaigns and wins outlive the sessions of those who run them.
        Progress::Done
    }

    #[inline]
    fn next_deadline(&self) -> Option<Timestamp> {
        let flight = self.items.next_flight().map(|(due, _)| due);
        let step = self.items.next_step().map(|(due, _)| due);
        self.wins.next_over().into_iter().chain(flight).chain(step).min()
    }

    fn snapshot_topic(&self, topic: Topic, cursor: &mut Cursor, out: &mut Out<'_, Self>) -> Option<Progress> {
        self.snapshot(topic, cursor, out)
    }

    fn save(&self, sink: &mut impl Sink) {
        self.write(sink);
    }

    fn load(limits: &AuctionLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        Self::read(limits, source)
    }
}
