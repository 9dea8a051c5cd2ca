//! Published examples and real prices of auctions, through the domain: who wins which slot, what it pays, to the cent, and
//! whether a day's budget is spent as planned.

use ringfence::commands::pacing::{follow, planned};
use ringfence_domains::auction::Auction;
use ringfence_domains::auction::messages::{
    Attribute, AuctionLimits, AuctionRule, CampaignId, Command, DefineBuckets, DefinePlacement, Dimension, Event,
    EventKind, EventOutcome, HoldAuction, LineItemId, Nanos, Phase, PriceModel, PriceRange, RecordEvent, Reply,
    Rounding, SetCampaign, SetLineItem, WHOLE, WinId,
};
use ringfence_domains::auction::workload::{amount, auction, campaign, line_item, placement, slot};
use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, Slot, kind};
use ringfence_kernel::laws::{Harness, Step};
use ringfence_kernel::limits::Limits as _;
use ringfence_kernel::messages::{Message as _, Reserved};
use ringfence_kernel::outbox::image;
use ringfence_kernel::random::Random;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, OutputHeader, Timestamp};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

/// Units of money in a dollar, and in a cent.
const DOLLAR: u64 = 1_000_000_000;
const CENT: u64 = DOLLAR / 100;

/// One example: bidders with what they bid for a click, slots with their clicks, and what each winner pays for all.
#[derive(Debug, Deserialize)]
struct Example {
    name: String,
    rule: String,
    bids: Vec<(String, u64)>,
    clicks: Vec<u64>,
    reserve: u64,
    expected_total_payment: Vec<(String, u64)>,
}

/// A file among the shared data, or none.
fn data(name: &str) -> Option<PathBuf> {
    let data = std::env::var_os("RINGFENCE_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    Some(data.join("auction").join(name)).filter(|file| file.exists())
}

struct Server(Harness<Auction>);

impl Server {
    fn new() -> Self {
        let limits =
            AuctionLimits { line_items: 64, targets: 64, values: 8, counters: 64, ..AuctionLimits::defaults() };
        Self(Harness::new(&limits))
    }

    fn ask(&mut self, command: Command<'_>) -> Vec<Slot> {
        self.ask_at(0, command)
    }

    fn ask_at(&mut self, now: u64, command: Command<'_>) -> Vec<Slot> {
        let mut image = CommandImage::default();
        image.set(ClientId(1), command);
        let outcome = self.0.step(&Step::Command(image), Timestamp(now), false);
        assert_eq!(outcome.reject, None, "{command:?}");
        outcome.outputs
    }

    /// Who won, slot by slot, and what an event of it costs.
    fn hold(&mut self, now: u64, floor: Nanos) -> Vec<(WinId, LineItemId, Nanos)> {
        let command = HoldAuction { floor, ..auction(1) };
        let (mut first, mut rest) = (None, Vec::new());
        for output in self.ask_at(now, Command::HoldAuction(&command, &[])) {
            let header = OutputHeader::read(image(&output)).expect("it has one");
            let body = &image(&output)[OUTPUT_HEADER_BYTES..];
            if header.kind == kind::REPLY {
                let Ok(Reply::AuctionHeld(held)) = Reply::decode(header.message, body) else { panic!("no answer") };
                first = (held.won > 0).then_some((held.win, held.item, held.price));
            } else if let Ok(Event::SlotWon(won)) = Event::decode(header.message, body) {
                rest.push((won.win, won.item, won.price));
            }
        }
        first.into_iter().chain(rest).collect()
    }

    /// What an event of a win is billed at.
    fn record(&mut self, now: u64, win: WinId, kind: EventKind) -> Nanos {
        let (kind, reserved) = (kind.into(), Reserved::default());
        let outputs = self.ask_at(now, Command::RecordEvent(&RecordEvent { win, kind, reserved, source: 0 }));
        let answer = outputs.iter().find_map(|output| {
            let header = OutputHeader::read(image(output)).expect("it has one");
            match Reply::decode(header.message, &image(output)[OUTPUT_HEADER_BYTES..]) {
                Ok(Reply::EventRecorded(recorded)) => Some(*recorded),
                _ => None,
            }
        });
        let answer = answer.expect("it is answered");
        assert_eq!(answer.outcome.get(), EventOutcome::Billed);
        answer.amount
    }
}

/// Guards against prices that are right by the twin, which was written from the same page, and wrong by the books.
#[test]
fn worked_examples_are_right_to_the_cent() {
    let Some(file) = data("auction_worked_examples.json") else {
        println!("SKIPPED: no auction_worked_examples.json in ../shared/data/auction or $RINGFENCE_DATA/auction");
        return;
    };
    let examples: Vec<Example> =
        serde_json::from_str(&std::fs::read_to_string(file).expect("it is read")).expect("examples");
    assert!(examples.len() >= 10);
    for example in &examples {
        let rule = match example.rule.as_str() {
            "gsp" => AuctionRule::GeneralizedSecondPrice,
            "vcg" => AuctionRule::Vcg,
            other => panic!("{}: no rule {other}", example.name),
        };
        let mut server = Server::new();
        let (phase, reserved) = (Phase::Active.into(), Reserved::default());
        for (id, (_, bid)) in (1..).zip(&example.bids) {
            server.ask(Command::DefineCampaign(&campaign(id, id, 1_000_000 * DOLLAR)));
            server.ask(Command::SetCampaign(&SetCampaign { campaign: CampaignId(id), phase, reserved }));
            let mut item = line_item(id, id, 1_000_000 * DOLLAR, bid * DOLLAR);
            item.model = PriceModel::Cpc.into();
            server.ask(Command::DefineLineItem(&item, &[]));
            server.ask(Command::SetLineItem(&SetLineItem { item: LineItemId(id), phase, reserved }));
        }
        let most = example.clicks.iter().max().expect("there are slots");
        let factor = |clicks: &u64| slot(u32::try_from(clicks * u64::from(WHOLE) / most).expect("a share"));
        let mut terms = placement(1, 1, rule);
        terms.floor = Nanos(example.reserve * DOLLAR);
        server.ask(Command::DefinePlacement(&terms, &example.clicks.iter().map(factor).collect::<Vec<_>>()));
        let won = server.hold(0, Nanos(0));
        let paid = won.iter().zip(&example.clicks).map(|((win, item, price), clicks)| {
            assert_eq!(server.record(0, *win, EventKind::Click), *price);
            (example.bids[item.0 as usize - 1].0.clone(), price.0 * clicks / CENT)
        });
        let paid: Vec<_> = paid.collect();
        let expected = example.expected_total_payment.iter().map(|(who, dollars)| (who.clone(), dollars * 100));
        assert_eq!(paid, expected.collect::<Vec<_>>(), "{}", example.name);
    }
    println!("proved: {} worked examples, to the cent", examples.len());
}

/// Guards against a plan that holds on made-up traffic and not on real prices: a day of 100,000 auctions, in each of which
/// the price that others paid is what must be reached. Spend never runs ahead of its plan, and that of
/// each quarter of an hour is within one percent of it.
#[test]
fn a_day_of_real_prices_is_spent_as_planned() {
    let Some(file) = data("ipinyou/exp-data/test.txt") else {
        println!("SKIPPED: no test.txt in ../shared/data/auction/ipinyou/exp-data or $RINGFENCE_DATA");
        return;
    };
    const DAY: u64 = 86_400 * 1_000_000_000;
    // More than anybody else ever paid, so that there are always auctions to win: prices come in runs.
    const BID: u64 = 300_001;
    let text = std::fs::read_to_string(file).expect("it is read");
    // Prices are for a thousand: in these units, thousands for one.
    let price = |line: &str| Some(Nanos(line.split('\t').nth(1)?.parse::<u64>().ok()? * 1_000));
    let prices: Vec<Nanos> = text.lines().map(|line| price(line).expect("a market price")).collect();
    assert!(prices.len() >= 100_000);
    // Half of what all of them cost: more than a hundred bids in a quarter of an hour.
    let daily = prices.iter().map(|price| price.0).sum::<u64>() / 2;
    assert!(prices.iter().all(|price| price.0 < BID) && daily / 96 > 100 * BID);
    let mut server = Server::new();
    let (phase, reserved) = (Phase::Active.into(), Reserved::default());
    server.ask(Command::DefineCampaign(&campaign(1, 1, 2 * daily)));
    server.ask(Command::SetCampaign(&SetCampaign { campaign: CampaignId(1), phase, reserved }));
    let mut item = line_item(1, 1, 2 * daily, BID);
    (item.daily, item.plan) = (Nanos(daily), [1; 24]);
    server.ask(Command::DefineLineItem(&item, &[]));
    server.ask(Command::SetLineItem(&SetLineItem { item: LineItemId(1), phase, reserved }));
    server.ask(Command::DefinePlacement(&placement(1, 1, AuctionRule::SecondPrice), &[slot(WHOLE)]));
    let (mut spent, mut before, mut quarter, mut off) = (0_u64, 0, 0, 0);
    for (at, price) in (0..).zip(&prices) {
        let now = at * DAY / prices.len() as u64;
        let planned = |now: u64| (u128::from(daily) * u128::from(now) / u128::from(DAY)) as u64;
        if now / (DAY / 96) > quarter {
            quarter = now / (DAY / 96);
            off = off.max((spent - before).abs_diff(daily / 96));
            before = spent;
        }
        for (win, _, cost) in server.hold(now, *price) {
            assert_eq!(cost, *price, "it pays what must be reached");
            spent += server.record(now, win, EventKind::Impression).0;
        }
        assert!(spent <= planned(now), "auction {at} is ahead of the plan");
    }
    let percent = off as f64 * 100.0 / (daily / 96) as f64;
    assert!(percent < 1.0, "a quarter of an hour is {percent:.2} % off its plan");
    println!("proved: {} auctions, {spent} spent of {daily}, 15 minutes {percent:.2} % off at most", prices.len());
}

/// Guards against plots of pacing that are other than what was spent: a made-up day of 30,000 prices, by the command as by the
/// function. What is held to its plan never runs ahead of it; both spend the day.
#[test]
fn pacing_is_printed_by_the_minute() {
    let mut random = Random::new(5);
    let prices: Vec<u64> = (0..30_000).map(|_| 1 + random.below(300)).collect();
    let lines: Vec<String> = prices.iter().map(|price| format!("0\t{price}\t0.1")).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("prices.txt");
    std::fs::write(&file, lines.join("\n")).expect("it is written");
    let output = Process::new(env!("CARGO_BIN_EXE_ringfence")).arg("pacing").arg(&file).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let (head, rows) = text.split_once('\n').expect("a head");
    assert_eq!(head, "minute,planned,by_plan,by_feedback");
    let rows: Vec<Vec<u64>> =
        rows.lines().map(|row| row.split(',').map(|word| word.parse().expect("a number")).collect()).collect();
    let prices: Vec<u64> = prices.iter().map(|price| price * 1_000).collect();
    let daily = prices.iter().sum::<u64>() / 100 * 50;
    let feedback = follow(&prices, daily, [30, 4, 0]);
    assert_eq!(rows.len(), 1_440);
    assert!(rows.iter().zip(&feedback).all(|(row, spent)| row[3] == *spent), "as the function");
    assert!(rows.iter().all(|row| row[1] == planned(daily, row[0]) && row[2] <= row[1]), "ahead of its plan");
    let last = &rows[1_439];
    assert!(last[2].max(last[3]) <= daily && last[2].min(last[3]) * 100 >= daily * 98, "{last:?} of {daily}");
}

/// What a fixture of a header-bidding server says of one request: its bids and its floor, and who was left after it.
struct Floors {
    /// What an impression costs at least, in millionths for a thousand.
    floor: u64,
    bids: Vec<(String, u64)>,
    passed: Vec<String>,
    rejected: Vec<String>,
}

impl Floors {
    fn read(file: &Path) -> Self {
        let fixture: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(file).expect("it is read")).expect("JSON");
        let millionths = |price: &serde_json::Value| (price.as_f64().expect("a price") * 1e6).round() as u64;
        let request = &fixture["incomingRequest"]["ortbRequest"];
        // The impression's own floor, or that of the rule for every medium and site.
        let rule = &request["ext"]["prebid"]["floors"]["data"]["modelgroups"][0]["values"]["*|*"];
        let floor = match &request["imp"][0]["bidfloor"] {
            serde_json::Value::Null => rule,
            own => own,
        };
        let names = |list: &serde_json::Value, of: &str| -> Vec<String> {
            let seats = list.as_array().into_iter().flatten();
            let mut names: Vec<_> = seats.map(|seat| seat[of].as_str().expect("a seat").to_owned()).collect();
            names.sort();
            names
        };
        let bidders = fixture["outgoingRequests"].as_object().expect("bidders");
        let bids = bidders.iter().map(|(name, bidder)| {
            let bid = &bidder["mockResponse"]["pbsSeatBids"][0]["pbsBids"][0]["ortbBid"];
            (name.clone(), millionths(&bid["price"]))
        });
        Self {
            floor: millionths(floor),
            bids: bids.collect(),
            passed: names(&fixture["response"]["bids"]["seatbid"], "seat"),
            rejected: names(&fixture["response"]["ext"]["prebid"]["seatnonbid"], "seat"),
        }
    }
}

/// Guards against floors that keep others out than a header-bidding server's do: the same bids under the same floor, deals
/// included, since the fixtures hold those to the floor too.
#[test]
fn floors_keep_out_whom_the_fixtures_say() {
    let files: Option<Vec<PathBuf>> =
        ["prebid/floors_enforcement.json", "prebid/floors_deal_enforcement.json"].into_iter().map(data).collect();
    let Some(files) = files else {
        println!("SKIPPED: no floors fixtures in ../shared/data/auction/prebid or $RINGFENCE_DATA/auction/prebid");
        return;
    };
    for file in &files {
        let Floors { floor, bids, passed, rejected } = Floors::read(file);
        let mut server = Server::new();
        let (phase, reserved) = (Phase::Active.into(), Reserved::default());
        for (id, (_, bid)) in (1..).zip(&bids) {
            server.ask(Command::DefineCampaign(&campaign(id, id, DOLLAR)));
            server.ask(Command::SetCampaign(&SetCampaign { campaign: CampaignId(id), phase, reserved }));
            server.ask(Command::DefineLineItem(&line_item(id, id, DOLLAR, *bid), &[]));
            server.ask(Command::SetLineItem(&SetLineItem { item: LineItemId(id), phase, reserved }));
        }
        let slots = vec![slot(WHOLE); bids.len()];
        server.ask(Command::DefinePlacement(&placement(1, 1, AuctionRule::FirstPrice), &slots));
        let won = server.hold(0, Nanos(floor));
        let mut winners: Vec<_> = won.iter().map(|(_, item, _)| bids[item.0 as usize - 1].0.clone()).collect();
        winners.sort();
        let mut losers: Vec<_> =
            bids.into_iter().map(|(name, _)| name).filter(|name| !winners.contains(name)).collect();
        losers.sort();
        assert_eq!((winners, losers), (passed, rejected), "{}", file.display());
    }
    println!("proved: {} fixtures of floors", files.len());
}

/// The price keys of one fixture: for each, the key's amount in millionths, the bid's and the ranges that it was made by.
fn price_keys(file: &Path) -> Vec<(u64, u64, Vec<PriceRange>)> {
    let fixture: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(file).expect("it is read")).expect("JSON");
    let millionths = |price: f64| (price * 1e6).round() as u64;
    let targeting = &fixture["incomingRequest"]["ortbRequest"]["ext"]["prebid"]["targeting"];
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let mut keys = Vec::new();
    for seat in list(&fixture["response"]["bids"]["seatbid"]) {
        for bid in list(&seat["bid"]) {
            let prebid = &bid["ext"]["prebid"];
            let Some(by_name) = prebid["targeting"].as_object() else { continue };
            let is_key = |name: &str| name.starts_with("hb_pb") && !name.starts_with("hb_pb_cat");
            let Some((_, key)) = by_name.iter().find(|(name, _)| is_key(name)) else { continue };
            let medium = prebid["type"].as_str().expect("a medium");
            let granularity = match &targeting["mediatypepricegranularity"][medium] {
                serde_json::Value::Null => &targeting["pricegranularity"],
                own => own,
            };
            let mut end = 0;
            let mut ranges = Vec::new();
            for range in list(&granularity["ranges"]) {
                let of = |name: &str| range[name].as_f64().map(millionths);
                let (min, max) = (of("min").unwrap_or(end), of("max").expect("an end"));
                let increment = Nanos(of("increment").expect("an increment"));
                ranges.push(PriceRange { min: Nanos(min), max: Nanos(max), increment });
                end = max;
            }
            let key: f64 = key.as_str().expect("a key").parse().expect("a price");
            keys.push((millionths(key), millionths(bid["price"].as_f64().expect("a price")), ranges));
        }
    }
    keys
}

/// Guards against price buckets other than a header-bidding server's: each bid of the fixtures is entered in an auction, and
/// wins at the price of its key.
#[test]
fn price_buckets_are_the_keys_of_the_fixtures() {
    let names = [
        "mediatypepricegranularity-banner-video-native",
        "mediatypepricegranularity-native",
        "multi-bids",
        "multi-bids-mixed-case",
        "multi-bids-with-extra-bids",
        "multi-bids-different-ortb-versions",
    ];
    let files: Option<Vec<PathBuf>> = names.iter().map(|name| data(&format!("prebid/{name}.json"))).collect();
    let Some(files) = files else {
        println!("SKIPPED: no fixtures of price granularity in ../shared/data/auction/prebid or $RINGFENCE_DATA");
        return;
    };
    let (mut equal, mut binary) = (0, 0);
    for (key, bid, ranges) in files.iter().flat_map(|file| price_keys(file)) {
        let mut server = Server::new();
        let terms = DefineBuckets { buckets: 1, rounding: Rounding::Down.into(), reserved: Reserved::default() };
        server.ask(Command::DefineBuckets(&terms, &ranges));
        let placement = DefinePlacement { buckets: 1, ..placement(1, 1, AuctionRule::FirstPrice) };
        server.ask(Command::DefinePlacement(&placement, &[slot(WHOLE)]));
        let outputs = server.ask(Command::HoldAuction(&auction(1), &[amount(Dimension::Bidder, 1, bid)]));
        let price = outputs.iter().find_map(|output| {
            let header = OutputHeader::read(image(output)).expect("it has one");
            match Event::decode(header.message, &image(output)[OUTPUT_HEADER_BYTES..]) {
                Ok(Event::OutsideWon(won)) => Some(won.price.0),
                _ => None,
            }
        });
        let price = price.expect("it won");
        // Three tenths by steps of a tenth: in binary floats a step too few.
        if (bid, key, price) == (300_000, 200_000, 300_000) {
            binary += 1;
        } else {
            assert_eq!(price, key, "a bid of {bid}");
            equal += 1;
        }
    }
    assert!(equal >= 6 && binary < equal, "{equal} keys are equal, {binary} are not");
    println!("proved: {equal} price keys of {} fixtures, {binary} a binary step lower there", files.len());
}

/// What a fixture of a header-bidding server says of one slot: bids in their order as bidder and price in millionths, those of
/// them that are passed on, and how many each bidder may have.
#[derive(Default)]
struct SeveralBids {
    bids: Vec<(String, u64)>,
    passed: Vec<(String, u64)>,
    most: BTreeMap<String, u8>,
}

/// How many bids of a bidder get keys of their own: as many as the first entry says that names it alone and makes sense. Those
/// named among others have one, since their keys have no names.
fn bids_max(multibid: &serde_json::Value, bidder: &str) -> u8 {
    let is_own = |entry: &&serde_json::Value| {
        entry["bidder"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(bidder)) && entry["maxbids"].is_i64()
    };
    let entry = multibid.as_array().into_iter().flatten().find(is_own);
    let most = entry.filter(|entry| entry["targetbiddercodeprefix"].is_string());
    most.map_or(1, |entry| entry["maxbids"].as_i64().expect("a number").clamp(1, 9) as u8)
}

/// What a fixture says of each of its slots.
fn several_bids(file: &Path) -> BTreeMap<String, SeveralBids> {
    let fixture: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(file).expect("it is read")).expect("JSON");
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let multibid = &fixture["incomingRequest"]["ortbRequest"]["ext"]["prebid"]["multibid"];
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let price = |bid: &serde_json::Value| (bid["price"].as_f64().expect("a price") * 1e6).round() as u64;
    let mut slots: BTreeMap<String, SeveralBids> = BTreeMap::new();
    for bidder in fixture["outgoingRequests"].as_object().expect("bidders").values() {
        for seat in list(&bidder["mockResponse"]["pbsSeatBids"]) {
            let name = text(&seat["seat"]);
            for bid in list(&seat["pbsBids"]) {
                let slot = slots.entry(text(&bid["ortbBid"]["impid"])).or_default();
                slot.most.insert(name.clone(), bids_max(multibid, &name));
                slot.bids.push((name.clone(), price(&bid["ortbBid"])));
            }
        }
    }
    for seat in list(&fixture["response"]["bids"]["seatbid"]) {
        for bid in list(&seat["bid"]) {
            if bid["ext"]["prebid"]["targeting"].is_object() {
                let slot = slots.get_mut(&text(&bid["impid"])).expect("a slot that was bid for");
                slot.passed.push((text(&seat["seat"]), price(&bid)));
            }
        }
    }
    slots
}

/// Guards against other bids of a bidder that take part than a header-bidding server passes on: all bids of each slot of the
/// fixtures are entered in an auction of eight slots.
#[test]
fn as_many_bids_of_a_bidder_take_part_as_the_fixtures_say() {
    let names = ["multi-bids", "multi-bids-mixed-case", "multi-bids-with-extra-bids", "multi-bids-error"];
    let files: Option<Vec<PathBuf>> = names.iter().map(|name| data(&format!("prebid/{name}.json"))).collect();
    let Some(files) = files else {
        println!("SKIPPED: no fixtures of multi-bid in ../shared/data/auction/prebid or $RINGFENCE_DATA");
        return;
    };
    let (mut entered, mut won) = (0, 0);
    for (file, (slot_name, SeveralBids { bids, mut passed, most })) in
        files.iter().flat_map(|file| several_bids(file).into_iter().map(move |slot| (file, slot)))
    {
        let bidders: Vec<&String> = most.keys().collect();
        let mut attributes = Vec::new();
        for (number, name) in (0..).zip(&bidders) {
            let own = bids.iter().filter(|(bidder, _)| bidder == *name);
            let attribute = |(_, bid): &(String, u64)| Attribute {
                bids_max: most[*name],
                ..amount(Dimension::Bidder, number, *bid)
            };
            attributes.extend(own.map(attribute));
        }
        let mut server = Server::new();
        server.ask(Command::DefinePlacement(&placement(1, 1, AuctionRule::FirstPrice), &[slot(WHOLE); 8]));
        let outputs = server.ask(Command::HoldAuction(&auction(1), &attributes));
        let winners = outputs.iter().filter_map(|output| {
            let header = OutputHeader::read(image(output)).expect("it has one");
            match Event::decode(header.message, &image(output)[OUTPUT_HEADER_BYTES..]) {
                Ok(Event::OutsideWon(won)) => Some((bidders[won.bidder as usize].clone(), won.bid.0)),
                _ => None,
            }
        });
        let mut winners: Vec<_> = winners.collect();
        (entered, won) = (entered + bids.len(), won + winners.len());
        winners.sort();
        passed.sort();
        assert_eq!(winners, passed, "{}: {slot_name}", file.display());
    }
    assert!(won < entered, "some are left out");
    println!("proved: {won} of {entered} bids take part, as in {} fixtures of multi-bid", files.len());
}
