//! Runs the transcripts in `scenarios`: what clients ask, and below each request everything that is said.
//!
//! ```text
//! # Words after a number sign are for the reader.
//! at 2h                                        time goes on to 2 hours after the epoch; also d, m, s
//! campaign 1 of 1 total=1000                   campaign 1 of advertiser 1
//!   campaign 1: Draft, spent 0, held 0         an event: indented, as are all that follow
//!   -> campaign 1 is Draft                     the answer
//! ```
//!
//! Requests: `advertiser I total=N [daily=N] [zone=MINUTES]`, `campaign I of ADVERTISER total=N [daily=N] [zone=MINUTES]
//! [cap=N/PERIOD]`, `creative I of ITEM [size=V] [weight=N] [cap=N/PERIOD]`, `item I of CAMPAIGN total=N bid=N [daily=N]
//! [cpc|cpa] [rate=PPM] [quality=PPM] [cap=N/minute|hour|day|week|life] [from=T] [to=T] [window=T] [click=T] [view=T] [even|plan=W,W…] [pid=P,I,D] [hours=DAY:FROM-TO] … [+DIMENSION=V] …
//! [-DIMENSION=V] … [GROUP:+DIMENSION=V] … [priority=N]`, `placement I of PUBLISHER RULE [floor=N] [seed=N] [share=PPM] [buckets=N] [zone=MINUTES] : FACTOR …`, `start|pause|end
//! campaign|item|creative I`, `bid I N [rate=PPM] [quality=PPM]`, `floor I N`, `auction PLACEMENT [user=N] [floor=N]
//! [slots=N] [currency=N] [DIMENSION=V] … [deal=V@FLOOR] … [bidder=V@BID[/MOST]] …`, `rate CURRENCY N` (in units of 10⁻⁹), `buckets N ROUNDING MIN-MAX/INCREMENT …`,
//! `name DIMENSION TEXT`, `impression|click|conversion WIN [from=SOURCE]`, `conversion user N of ADVERTISER`, `traffic [clickafter=T]
//! [clawback=T] [user=N] [source=N]`, `list|unlist SOURCE`, `void|release WIN`, `invoice|credit ADVERTISER`,
//! `report item|placement I`, `report hour HOUR PLACEMENT [ITEM]`. A win is `N.S`: slot S, from 0, of the N-th
//! request of the transcript.
//!
//! Each transcript is run against the domain and its model. `RINGFENCE_BLESS=1 cargo test -p ringfence-domains
//! scenarios` writes what is said into the files: read the difference before it is committed.

use super::messages::{
    AdvertiserId, Attribute, AuctionHeld, AuctionLimits, AuctionRule, CampaignId, CapPeriod, Command, CreativeId,
    CurrencyId, DefineBuckets, DefineName, Dimension, Event, EventKind, LineItemId, ListSource, MakeCreditNote,
    MakeInvoice, Nanos, Phase, PlacementId, Ppm, PriceModel, PriceRange, RecordConversion, RecordEvent, ReleaseWin,
    Reply, ReportHour, ReportLineItem, ReportPlacement, Rounding, SetBid, SetCampaign, SetCreative, SetFloor,
    SetLineItem, SetRate, SetTraffic, TargetMode, UserKey, VoidWin, WHOLE, WinId,
};
use super::model::Model;
use super::{topics, workload};
use crate::tests::Transcripts;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, Slot, kind};
use ringfence_kernel::laws::Step;
use ringfence_kernel::messages::{Message, Reserved};
use ringfence_kernel::outbox::image;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, Corrupt, OutputHeader, Timestamp};

const LIMITS: AuctionLimits = AuctionLimits {
    advertisers: 4,
    publishers: 2,
    campaigns: 4,
    line_items: 8,
    creatives: 8,
    placements: 4,
    targets: 20,
    values: 6,
    wins: 8,
    counters: 5,
    currencies: 2,
    buckets: 2,
    names: 2,
    sources: 1,
    event_rates: 3,
    hours: 4,
};

/// Guards against a rule that is not kept: each transcript names one at its top.
#[test]
fn scenarios_are_as_written() {
    let transcripts = Transcripts::<Model> {
        folder: "auction/scenarios",
        least: 12,
        limits: LIMITS,
        time,
        step: |line| parse(line).map(Step::Command),
        sound: |auction| auction.check().map_err(|Corrupt(what)| what),
        say,
    };
    transcripts.check();
}

fn time(word: &str) -> Option<Timestamp> {
    let (number, unit) = word.split_at(word.find(|c: char| c.is_alphabetic()).unwrap_or(word.len()));
    let unit = match unit {
        "" => 1,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return None,
    };
    Some(Timestamp(number.parse::<u64>().ok()? * unit))
}

fn dimension(name: &str) -> Option<Dimension> {
    use Dimension::{
        AdAttribute, AdCategory, AdDomain, Bidder, Category, Deal, Device, Geography, Keyword, Label, Language,
        Segment, Site, Size, System,
    };
    [
        Geography,
        Device,
        System,
        Language,
        Site,
        Category,
        Keyword,
        Segment,
        Size,
        Deal,
        AdCategory,
        AdDomain,
        AdAttribute,
        Bidder,
        Label,
    ]
    .into_iter()
    .find(|dimension| format!("{dimension:?}").to_lowercase() == name)
}

fn cap(value: &str) -> Option<(u32, CapPeriod)> {
    let (most, period) = value.split_once('/')?;
    let period = match period {
        "minute" => CapPeriod::Minute,
        "hour" => CapPeriod::Hour,
        "day" => CapPeriod::Day,
        "week" => CapPeriod::Week,
        "life" => CapPeriod::Life,
        _ => return None,
    };
    Some((most.parse().ok()?, period))
}

fn rule(name: &str) -> Option<AuctionRule> {
    use AuctionRule::{FirstPrice, GeneralizedSecondPrice, SecondPrice, Vcg};
    [FirstPrice, SecondPrice, GeneralizedSecondPrice, Vcg].into_iter().find(|rule| format!("{rule:?}") == name)
}

fn parse(line: &str) -> Option<CommandImage> {
    let line = line.replace(" :", "");
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut image = CommandImage::default();
    let number = |word: &str| word.parse::<u32>().ok();
    let reserved = Reserved::default();
    let client = ClientId(1);
    match words[..] {
        ["advertiser", id, ref rest @ ..] => {
            let mut terms = workload::advertiser(number(id)?, 0);
            for word in rest {
                match word.split_once('=')? {
                    ("total", value) => terms.total = Nanos(value.parse().ok()?),
                    ("daily", value) => terms.daily = Nanos(value.parse().ok()?),
                    ("zone", value) => terms.zone_minutes = value.parse().ok()?,
                    _ => return None,
                }
            }
            image.set(client, Command::DefineAdvertiser(&terms));
        }
        ["creative", id, "of", item, ref rest @ ..] => {
            let mut terms = workload::creative(number(id)?, number(item)?);
            for word in rest {
                match word.split_once('=')? {
                    ("size", value) => terms.size = number(value)?,
                    ("weight", value) => terms.weight = number(value)?,
                    ("cap", value) => {
                        let (most, period) = cap(value)?;
                        (terms.cap, terms.cap_period) = (most, period.into());
                    }
                    _ => return None,
                }
            }
            image.set(client, Command::DefineCreative(&terms));
        }
        ["campaign", id, "of", advertiser, ref rest @ ..] => {
            let mut terms = workload::campaign(number(id)?, number(advertiser)?, 0);
            for word in rest {
                let (name, value) = word.split_once('=')?;
                match name {
                    "total" => terms.total = Nanos(value.parse().ok()?),
                    "daily" => terms.daily = Nanos(value.parse().ok()?),
                    "zone" => terms.zone_minutes = value.parse().ok()?,
                    "cap" => {
                        let (most, period) = cap(value)?;
                        (terms.cap, terms.cap_period) = (most, period.into());
                    }
                    _ => return None,
                }
            }
            image.set(client, Command::DefineCampaign(&terms));
        }
        ["item", id, "of", campaign, ref rest @ ..] => {
            let mut terms = workload::line_item(number(id)?, number(campaign)?, 0, 0);
            let mut targets = Vec::new();
            for word in rest {
                let (name, value) = word.split_once('=').unwrap_or((word, ""));
                match name {
                    "total" => terms.total = Nanos(value.parse().ok()?),
                    "daily" => terms.daily = Nanos(value.parse().ok()?),
                    "bid" => terms.bid = Nanos(value.parse().ok()?),
                    "cpc" => terms.model = PriceModel::Cpc.into(),
                    "cpa" => terms.model = PriceModel::Cpa.into(),
                    "rate" => terms.rate = Ppm(number(value)?),
                    "quality" => terms.quality = Ppm(number(value)?),
                    "priority" => terms.priority = value.parse().ok()?,
                    "from" => terms.starts = time(value)?,
                    "to" => terms.ends = time(value)?,
                    "window" => terms.window = time(value)?.0,
                    "click" => terms.click_through = time(value)?.0,
                    "view" => terms.view_through = time(value)?.0,
                    "even" => terms.plan = [1; 24],
                    "pid" => {
                        let gains: Option<Vec<u8>> = value.split(',').map(|gain| gain.parse().ok()).collect();
                        terms.gains = gains?.try_into().ok()?;
                    }
                    "plan" => {
                        let weights: Option<Vec<u8>> = value.split(',').map(|weight| weight.parse().ok()).collect();
                        // Of the hours that are not named none has any.
                        terms.plan.iter_mut().zip(weights?).for_each(|(hour, weight)| *hour = weight);
                    }
                    "hours" => {
                        let (day, hours) = value.split_once(':')?;
                        let (from, to) = hours.split_once('-')?;
                        let day: usize = day.parse().ok()?;
                        for hour in from.parse::<usize>().ok()?..to.parse().ok()? {
                            terms.hours[(day * 24 + hour) / 8] |= 1 << (hour % 8);
                        }
                    }
                    "cap" => {
                        let (most, period) = cap(value)?;
                        (terms.cap, terms.cap_period) = (most, period.into());
                    }
                    _ => {
                        let (group, name) = name.split_once(':').unwrap_or(("0", name));
                        let mode = match name.as_bytes().first()? {
                            b'+' => TargetMode::Include,
                            b'-' => TargetMode::Exclude,
                            _ => return None,
                        };
                        targets.push(workload::alternative(
                            group.parse().ok()?,
                            mode,
                            dimension(&name[1..])?,
                            number(value)?,
                        ));
                    }
                }
            }
            image.set(client, Command::DefineLineItem(&terms, &targets));
        }
        ["placement", id, "of", publisher, rule, ref rest @ ..] => {
            let mut terms = workload::placement(number(id)?, number(publisher)?, self::rule(rule)?);
            let mut slots = Vec::new();
            for word in rest {
                match word.split_once('=') {
                    None => slots.push(workload::slot(number(word)?)),
                    Some(("floor", value)) => terms.floor = Nanos(value.parse().ok()?),
                    Some(("seed", value)) => terms.seed = value.parse().ok()?,
                    Some(("buckets", value)) => terms.buckets = value.parse().ok()?,
                    Some(("zone", value)) => terms.zone_minutes = value.parse().ok()?,
                    Some(("share", value)) => terms.share = Ppm(number(value)?),
                    Some(_) => return None,
                }
            }
            image.set(client, Command::DefinePlacement(&terms, &slots));
        }
        [verb @ ("start" | "pause" | "end"), what @ ("campaign" | "item" | "creative"), id] => {
            let phase = match verb {
                "start" => Phase::Active,
                "pause" => Phase::Paused,
                _ => Phase::Ended,
            };
            let (phase, id) = (phase.into(), number(id)?);
            if what == "creative" {
                let creative = CreativeId(id);
                image.set(client, Command::SetCreative(&SetCreative { creative, phase, reserved }));
            } else if what == "campaign" {
                let campaign = CampaignId(id);
                image.set(client, Command::SetCampaign(&SetCampaign { campaign, phase, reserved }));
            } else {
                let item = LineItemId(id);
                image.set(client, Command::SetLineItem(&SetLineItem { item, phase, reserved }));
            }
        }
        ["bid", item, bid, ref rest @ ..] => {
            let (bid, item) = (Nanos(bid.parse().ok()?), LineItemId(number(item)?));
            let mut command =
                SetBid { bid, item, rate: Ppm(WHOLE), quality: Ppm(WHOLE), reserved: Reserved::default() };
            for word in rest {
                match word.split_once('=')? {
                    ("rate", value) => command.rate = Ppm(number(value)?),
                    ("quality", value) => command.quality = Ppm(number(value)?),
                    _ => return None,
                }
            }
            image.set(client, Command::SetBid(&command));
        }
        ["floor", placement, floor] => {
            let (floor, placement) = (Nanos(floor.parse().ok()?), PlacementId(number(placement)?));
            let reserved = Reserved::default();
            image.set(client, Command::SetFloor(&SetFloor { floor, placement, reserved }));
        }
        ["auction", placement, ref rest @ ..] => {
            let mut command = workload::auction(number(placement)?);
            let mut attributes = Vec::new();
            for word in rest {
                match word.split_once('=')? {
                    ("user", value) => command.user = UserKey(value.parse().ok()?),
                    ("floor", value) => command.floor = Nanos(value.parse().ok()?),
                    ("slots", value) => command.slots = value.parse().ok()?,
                    ("currency", value) => command.currency = CurrencyId(value.parse().ok()?),
                    (name, value) => {
                        let (value, bids_max) = value.split_once('/').unwrap_or((value, "0"));
                        let (value, amount) = value.split_once('@').unwrap_or((value, "0"));
                        let attribute = workload::amount(dimension(name)?, number(value)?, amount.parse().ok()?);
                        attributes.push(Attribute { bids_max: bids_max.parse().ok()?, ..attribute });
                    }
                }
            }
            image.set(client, Command::HoldAuction(&command, &attributes));
        }
        ["conversion", "user", user, "of", advertiser] => {
            let (user, advertiser) = (UserKey(user.parse().ok()?), AdvertiserId(number(advertiser)?));
            image.set(client, Command::RecordConversion(&RecordConversion { user, advertiser, source: 0 }));
        }
        ["traffic", ref rest @ ..] => {
            let mut terms = SetTraffic { click_after: 0, clawback: 0, user_most: 0, source_most: 0 };
            for word in rest {
                match word.split_once('=')? {
                    ("clickafter", value) => terms.click_after = time(value)?.0,
                    ("clawback", value) => terms.clawback = time(value)?.0,
                    ("user", value) => terms.user_most = number(value)?,
                    ("source", value) => terms.source_most = number(value)?,
                    _ => return None,
                }
            }
            image.set(client, Command::SetTraffic(&terms));
        }
        [verb @ ("list" | "unlist"), source] => {
            let (source, listed) = (number(source)?, u8::from(verb == "list"));
            image.set(client, Command::ListSource(&ListSource { source, listed, reserved }));
        }
        [kind @ ("impression" | "click" | "conversion"), win, ref rest @ ..] => {
            let source = match rest {
                [] => 0,
                [source] => number(source.strip_prefix("from=")?)?,
                _ => return None,
            };
            let (auction, slot) = win.split_once('.')?;
            let win = WinId(auction.parse::<u64>().ok()? * 8 + slot.parse::<u64>().ok()?);
            let kind = match kind {
                "impression" => EventKind::Impression,
                "click" => EventKind::Click,
                _ => EventKind::Conversion,
            };
            let (kind, reserved) = (kind.into(), Reserved::default());
            image.set(client, Command::RecordEvent(&RecordEvent { win, kind, reserved, source }));
        }
        ["rate", currency, rate] => {
            let (rate, currency) = (rate.parse().ok()?, CurrencyId(currency.parse().ok()?));
            image.set(client, Command::SetRate(&SetRate { rate, currency, reserved: Reserved::default() }));
        }
        ["buckets", buckets, rounding, ref rest @ ..] => {
            let rounding = match rounding {
                "down" => Rounding::Down,
                "nearest" => Rounding::Nearest,
                "up" => Rounding::Up,
                "timesplit" => Rounding::TimeSplit,
                _ => return None,
            };
            let mut ranges = Vec::new();
            for word in rest {
                let (min, range) = word.split_once('-')?;
                let (max, increment) = range.split_once('/')?;
                let nanos = |word: &str| word.parse().ok().map(Nanos);
                ranges.push(PriceRange { min: nanos(min)?, max: nanos(max)?, increment: nanos(increment)? });
            }
            let (buckets, rounding) = (buckets.parse().ok()?, rounding.into());
            let terms = DefineBuckets { buckets, rounding, reserved: Reserved::default() };
            image.set(client, Command::DefineBuckets(&terms, &ranges));
        }
        ["name", dimension, name] => {
            image.set(client, Command::DefineName(&DefineName::new(self::dimension(dimension)?, name)));
        }
        [verb @ ("void" | "release"), win] => {
            let (auction, slot) = win.split_once('.')?;
            let win = WinId(auction.parse::<u64>().ok()? * 8 + slot.parse::<u64>().ok()?);
            match verb {
                "void" => image.set(client, Command::VoidWin(&VoidWin { win })),
                _ => image.set(client, Command::ReleaseWin(&ReleaseWin { win })),
            }
        }
        ["credit", advertiser] => {
            let (advertiser, reserved) = (AdvertiserId(number(advertiser)?), Reserved::default());
            image.set(client, Command::MakeCreditNote(&MakeCreditNote { advertiser, reserved }));
        }
        ["report", "item", item] => {
            let (item, reserved) = (LineItemId(number(item)?), Reserved::default());
            image.set(client, Command::ReportLineItem(&ReportLineItem { item, reserved }));
        }
        ["report", "placement", placement] => {
            let (placement, reserved) = (PlacementId(number(placement)?), Reserved::default());
            image.set(client, Command::ReportPlacement(&ReportPlacement { placement, reserved }));
        }
        ["report", "hour", hour, placement, ref rest @ ..] => {
            let item = match rest {
                [] => 0,
                [item] => number(item)?,
                _ => return None,
            };
            let (item, placement, reserved) = (LineItemId(item), PlacementId(number(placement)?), Reserved::default());
            let hour = number(hour)?;
            image.set(client, Command::ReportHour(&ReportHour { item, placement, hour, reserved }));
        }
        ["invoice", advertiser] => {
            let (advertiser, reserved) = (AdvertiserId(number(advertiser)?), Reserved::default());
            image.set(client, Command::MakeInvoice(&MakeInvoice { advertiser, reserved }));
        }
        _ => return None,
    }
    Some(image)
}

fn shows(CreativeId(creative): CreativeId) -> String {
    if creative == 0 { String::new() } else { format!(" shows {creative}") }
}

fn by_deal(deal: u8) -> String {
    if deal == 0 { String::new() } else { format!(" by deal {deal}") }
}

fn invalid(count: u32) -> String {
    if count == 0 { String::new() } else { format!(", {count} invalid") }
}

fn win(WinId(win): WinId) -> String {
    format!("{}.{}", win / 8, win % 8)
}

/// One output as a line.
fn say(slot: &Slot) -> String {
    let bytes = image(slot);
    let header = OutputHeader::read(bytes).expect("it has one");
    let body = &bytes[OUTPUT_HEADER_BYTES..];
    if header.kind == kind::REPLY {
        return answer(&Reply::decode(header.message, body).expect("a reply"));
    }
    let event = Event::decode(header.message, body).expect("an event");
    match event {
        Event::CampaignChanged(c) => {
            assert_eq!((header.topic.kind(), header.topic.id()), (topics::CAMPAIGNS, c.campaign.0));
            format!("campaign {}: {:?}, spent {}, held {}", c.campaign, c.phase.get(), c.spent, c.held)
        }
        Event::LineItemChanged(c) => {
            format!("item {}: {:?}, bids {}, spent {}, held {}", c.item, c.phase.get(), c.bid, c.spent, c.held)
        }
        Event::SlotWon(w) => {
            format!("win {}: item {} at {}{}{}", win(w.win), w.item, w.price, shows(w.creative), by_deal(w.deal))
        }
        Event::CreativeChanged(c) => {
            assert_eq!(header.topic.kind(), topics::CAMPAIGNS);
            format!("creative {} of item {}: {:?}", c.creative, c.item, c.phase.get())
        }
        Event::EventBilled(b) => {
            let part = b.publisher_amount;
            format!(
                "billed advertiser {}: {} for {}, {part} of it the publisher's",
                header.topic.id(),
                b.amount,
                win(b.win)
            )
        }
        Event::EventCredited(c) => {
            let part = c.publisher_amount;
            format!(
                "credited advertiser {}: {} for {}, {part} of it from the publisher",
                header.topic.id(),
                c.amount,
                win(c.win)
            )
        }
        Event::WinReleased(r) => format!("released advertiser {}: {} of {}", header.topic.id(), r.amount, win(r.win)),
        Event::OutsideWon(w) => format!("slot {}: bidder {} at {}, who bid {}", w.slot, w.bidder, w.price, w.bid),
        Event::NameDefined(n) => {
            assert_eq!((header.topic.kind(), header.topic.id()), (topics::NAMES, topics::ALL_NAMES));
            let text = core::str::from_utf8(&n.text[..n.length.into()]).expect("a name");
            format!("{:?} {text} is {}", n.dimension.get(), n.value)
        }
        Event::AccountStands(a) => format!("account {}: {} billed, {} invoiced", a.advertiser, a.billed, a.invoiced),
    }
}

fn answer(reply: &Reply<'_>) -> String {
    match reply {
        Reply::CampaignSet(c) => format!("-> campaign {} is {:?}", c.campaign, c.phase.get()),
        Reply::LineItemSet(c) => format!("-> item {} is {:?}", c.item, c.phase.get()),
        Reply::AdvertiserSet(a) => format!("-> advertiser {} has budgets", a.advertiser),
        Reply::CreativeSet(c) => format!("-> creative {} is {:?}", c.creative, c.phase.get()),
        Reply::PlacementSet(c) => format!("-> placement {} has floor {}", c.placement, c.floor),
        Reply::AuctionHeld(held) => auction_held(held),
        Reply::EventRecorded(e) => format!("-> {:?} at {} for item {}", e.outcome.get(), e.amount, e.item),
        Reply::InvoiceMade(i) => {
            format!("-> invoice {} of {}: {} for {} events", i.number, i.advertiser, i.amount, i.events)
        }
        Reply::WinVoided(v) => format!("-> void {}: {} credited", win(v.win), v.amount),
        Reply::CreditNoteMade(n) => {
            format!("-> credit note {} of {}: {} for {} events", n.number, n.advertiser, n.amount, n.events)
        }
        Reply::LineItemReport(r) => format!(
            "-> item {}: {:?}, spent {}, held {}, {} won, {} shown, {} clicked, {} converted, {} void{}",
            r.item,
            r.phase.get(),
            r.spent,
            r.held,
            r.wins,
            r.impressions,
            r.clicks,
            r.conversions,
            r.voided,
            invalid(r.invalid)
        ),
        Reply::PlacementReport(r) => format!(
            "-> placement {}: billed {}, {} of it the publisher's, {} auctions, {} won, {} shown, {} clicked, {} converted{}",
            r.placement,
            r.billed,
            r.publisher_amount,
            r.auctions,
            r.wins,
            r.impressions,
            r.clicks,
            r.conversions,
            invalid(r.invalid)
        ),
        Reply::RateSet(r) => format!("-> currency {} is at {}", r.currency, r.rate),
        Reply::BucketsDefined(b) => format!("-> buckets {}", b.buckets),
        Reply::HourReport(r) => format!(
            "-> hour {} of placement {}, item {}: {} billed, {} credited, {} auctions, {} won, {} shown, {} clicked, {} converted{}",
            r.hour,
            r.placement,
            r.item,
            r.billed,
            r.credited,
            r.auctions,
            r.wins,
            r.impressions,
            r.clicks,
            r.conversions,
            invalid(r.invalid)
        ),
        Reply::TrafficSet(t) => format!("-> traffic, {} sources listed", t.sources),
        Reply::NameIs(n) => format!("-> {:?} {}", n.dimension.get(), n.value),
        Reply::Declined(d) => format!("-> declined: {:?}", d.reason.get()),
    }
}

fn auction_held(held: &AuctionHeld) -> String {
    let first = match held.item.0 {
        0 => "nobody".to_string(),
        item => {
            let (shows, deal) = (shows(held.creative), by_deal(held.deal));
            format!("win {}: item {item} at {}{shows}{deal}", win(held.win), held.price)
        }
    };
    let losses = [
        ("outbid", held.outbid),
        ("below the floor", held.below_floor),
        ("off hours", held.off_hours),
        ("no creative", held.no_creative),
        ("budget spent", held.budget_spent),
        ("paced", held.paced),
        ("capped", held.capped),
        ("excluded", held.excluded),
    ];
    let candidates = u32::from(held.won) + losses.iter().map(|(_, count)| count).sum::<u32>();
    let mut said = format!("-> {first}; {} of {candidates} won", held.won);
    let others = [("not targeted", held.not_targeted), ("won outside", held.outside.into())];
    for (name, count) in losses.into_iter().chain(others).filter(|(_, count)| *count > 0) {
        write!(said, ", {count} {name}").expect("a string takes all");
    }
    said
}
