//! Published examples of auctions, through the domain: who wins which slot, and what it pays, to the cent.

use ringfence_domains::auction::Auction;
use ringfence_domains::auction::messages::{
    AuctionLimits, AuctionRule, CampaignId, Command, Event, EventKind, EventOutcome, HoldAuction, LineItemId, Nanos,
    Phase, PlacementId, PriceModel, RecordEvent, Reply, SetCampaign, SetLineItem, UserKey, WHOLE, WinId,
};
use ringfence_domains::auction::workload::{campaign, line_item, placement, slot};
use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, Slot, kind};
use ringfence_kernel::laws::{Harness, Step};
use ringfence_kernel::limits::Limits as _;
use ringfence_kernel::messages::{Message as _, Reserved};
use ringfence_kernel::outbox::image;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, OutputHeader, Timestamp};
use serde::Deserialize;
use std::path::{Path, PathBuf};

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
        let mut image = CommandImage::default();
        image.set(ClientId(1), command);
        let outcome = self.0.step(&Step::Command(image), Timestamp(DOLLAR), true);
        assert_eq!(outcome.reject, None, "{command:?}");
        outcome.outputs
    }

    /// Who won, slot by slot, and what a click of it costs.
    fn hold(&mut self) -> Vec<(WinId, LineItemId, Nanos)> {
        let (placement, reserved) = (PlacementId(1), Reserved::default());
        let command = HoldAuction { user: UserKey(0), floor: Nanos(0), placement, reserved };
        let (mut first, mut rest) = (None, Vec::new());
        for output in self.ask(Command::HoldAuction(&command, &[])) {
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

    /// What a click of a win is billed at.
    fn click(&mut self, win: WinId) -> Nanos {
        let (kind, reserved) = (EventKind::Click.into(), Reserved::default());
        let outputs = self.ask(Command::RecordEvent(&RecordEvent { win, kind, reserved }));
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
        let won = server.hold();
        let paid = won.iter().zip(&example.clicks).map(|((win, item, price), clicks)| {
            assert_eq!(server.click(*win), *price);
            (example.bids[item.0 as usize - 1].0.clone(), price.0 * clicks / CENT)
        });
        let paid: Vec<_> = paid.collect();
        let expected = example.expected_total_payment.iter().map(|(who, dollars)| (who.clone(), dollars * 100));
        assert_eq!(paid, expected.collect::<Vec<_>>(), "{}", example.name);
    }
    println!("proved: {} worked examples, to the cent", examples.len());
}
