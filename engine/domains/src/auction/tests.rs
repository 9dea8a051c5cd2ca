//! The laws, on seeded workloads and against the slow twin. `RINGFENCE_PROVE=1` makes the same bodies longer.

use super::Auction;
use super::messages::{AuctionLimits, Command};
use super::model::Model;
use super::workload::{Flow, KINDS, MIXED, Mix};
use alloc::boxed::Box;
use ringfence_kernel::laws::{Harness, Often, Step};
use ringfence_kernel::messages::Message as _;
use ringfence_kernel::workload::{CommandImage, Workload};
use ringfence_kernel::{ClientId, Timestamp};

const SMALL: AuctionLimits = AuctionLimits {
    advertisers: 6,
    publishers: 6,
    campaigns: 12,
    line_items: 64,
    creatives: 48,
    placements: 12,
    targets: 400,
    values: 64,
    wins: 400,
    counters: 400,
    currencies: 2,
    buckets: 2,
    names: 4,
    sources: 3,
    event_rates: 6,
    hours: 40,
};
/// So little room that commands run into every capacity.
const TIGHT: AuctionLimits = AuctionLimits {
    campaigns: 10,
    line_items: 42,
    creatives: 22,
    targets: 70,
    values: 9,
    wins: 14,
    counters: 12,
    ..SMALL
};
/// Five minutes: days and weeks go by.
const LONG: u64 = 300_000_000_000;

/// How much a law runs: `much`, or a hundred times that to prove.
fn steps(much: u64) -> u64 {
    if std::env::var("RINGFENCE_PROVE").is_ok_and(|value| value == "1") { much * 100 } else { much }
}

/// Runs a workload for several seeds, each against domain and model that are empty.
fn laws_hold(limits: &AuctionLimits, seeds: core::ops::Range<u64>, count: u64, mix: Mix) {
    let seeds = seeds.start..seeds.start + steps(seeds.end - seeds.start);
    for seed in seeds.clone() {
        std::println!("seed {seed}");
        let often = Often { rejects: 64, restores: 512 };
        let flow = || -> Box<dyn Workload> { Box::new(Flow::new(seed, 5, Mix { before: 5, ..mix })) };
        crate::tests::check::<Model>(limits, 5, flow, count, mix.tick, often);
    }
    std::println!("proved: {} seeds of {count} commands from {}", seeds.end - seeds.start, seeds.start);
}

/// Guards against winners, prices, reasons, budgets and bills that are other than the rules.
#[test]
fn prove_auctions_agree_with_the_model() {
    laws_hold(&SMALL, 1..9, 5_000, MIXED);
}

/// Guards against days, caps and flights that begin or end too early or too late.
#[test]
fn prove_long_auctions_agree_with_the_model() {
    laws_hold(&SMALL, 1_001..1_009, 5_000, Mix { tick: LONG, ..MIXED });
}

/// Guards against a capacity that is overstepped, or refused where there is room.
#[test]
fn prove_tight_auctions_agree_with_the_model() {
    laws_hold(&TIGHT, 2_001..2_007, 3_000, Mix { tick: LONG, ..MIXED });
}

/// Guards against bytes that panic the domain or change it without being understood.
#[test]
fn prove_hostile_auctions_agree_with_the_model() {
    let new = KINDS.iter().find(|kind| kind.name == "hostile").expect("a known kind").new;
    for seed in 41..41 + steps(4) {
        std::println!("seed {seed}");
        crate::tests::check::<Model>(&TIGHT, 5, || new(seed, 5), 5_000, 1_000, Often { rejects: 4, restores: 64 });
    }
}

/// Guards against money that is lost, made or overspent: at every place in the log, budgets are kept at every level, what
/// wins hold is what budgets hold, and the ledger is zero.
#[test]
fn prove_no_cent_is_overspent_at_any_place_of_the_log() {
    for seed in 61..61 + steps(4) {
        let mix = Mix { tick: if seed % 2 == 0 { LONG } else { 1_000 }, ..MIXED };
        let (mut harness, mut flow) = (Harness::<Auction>::new(&SMALL), Flow::new(seed, 5, mix));
        let mut image = CommandImage::default();
        for step in 0..4_000 {
            flow.next(&mut image);
            harness.step(&Step::Command(image.clone()), Timestamp(1_000_000_000 + step * mix.tick), false);
            harness.domain.check().unwrap_or_else(|broken| panic!("seed {seed}, step {step}: {broken}"));
        }
    }
    std::println!("proved: {} seeds of 4000 commands from 61", steps(4));
}

/// Guards against a state that was damaged and is loaded all the same into one that is not sound.
#[test]
fn every_flipped_byte_is_refused_or_loads_into_a_state_that_saves_as_it_came() {
    let (mut harness, mut flow) = (Harness::<Auction>::new(&SMALL), Flow::new(3, 2, MIXED));
    let mut image = CommandImage::default();
    for step in 0..600 {
        flow.next(&mut image);
        harness.step(&Step::Command(image.clone()), Timestamp(1_000_000_000 + step * MIXED.tick), false);
    }
    crate::tests::flip_every_byte(&harness.domain, &SMALL);
}

/// Guards against workloads that never reach what they are for.
#[test]
fn mixed_auctions_come_to_every_outcome() {
    use super::messages::{EventOutcome, Reply};
    use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, kind};
    use ringfence_kernel::outbox::{image as bytes_of, message};
    let mix = Mix { tick: LONG, ..MIXED };
    let mut image = CommandImage::default();
    let (mut lost, mut won, mut outcomes, mut invoices) = ([0; 8], 0, [0; 6], 0);
    let new = |seed: u64| (Harness::<Auction>::new(&SMALL), Flow::new(seed, 5, mix));
    let (mut harness, mut flow) = new(7);
    for step in 0..32_000 {
        if step % 8_000 == 0 {
            (harness, flow) = new(7 + step);
        }
        flow.next(&mut image);
        assert!(Command::decode(image.header().message, image.body()).is_ok() && image.client != ClientId(0));
        let now = Timestamp(1_000_000_000 + step % 8_000 * mix.tick);
        for slot in harness.step(&Step::Command(image.clone()), now, false).outputs {
            let (header, body) = (message(bytes_of(&slot)), &bytes_of(&slot)[OUTPUT_HEADER_BYTES..]);
            let output = ringfence_kernel::OutputHeader::read(bytes_of(&slot)).expect("it has one");
            if output.kind != kind::REPLY {
                continue;
            }
            match Reply::decode(header, body).expect("a reply") {
                Reply::AuctionHeld(h) => {
                    let (paced, off_hours) = (h.paced, h.off_hours);
                    let reasons = [
                        h.outbid,
                        h.below_floor,
                        off_hours,
                        h.no_creative,
                        h.budget_spent,
                        paced,
                        h.capped,
                        h.excluded,
                    ];
                    lost.iter_mut().zip(reasons).for_each(|(lost, more)| *lost += more);
                    won += u32::from(h.won);
                }
                Reply::EventRecorded(e) => outcomes[e.outcome.get() as usize] += 1,
                Reply::InvoiceMade(_) => invoices += 1,
                _ => {}
            }
        }
    }
    let billed = outcomes[EventOutcome::Billed as usize];
    std::println!("{won} won, lost {lost:?}, events {outcomes:?}, {invoices} invoices");
    assert!(lost.iter().all(|count| *count > 100), "lost by each reason: {lost:?}");
    assert!(
        won > 1_000 && billed > 200 && outcomes[3..].iter().all(|count| *count > 100) && invoices > 20,
        "{won} won, {outcomes:?}, {invoices}"
    );
}

/// Guards against a draw that favours a line item: of three equal ones each wins a third.
#[test]
fn ties_favour_nobody() {
    let (draws, mut won) = (30_000_u32, [0_u32; 3]);
    for auction in 1..=draws {
        let draw = |place: &u32| super::ranking::draw(7, ringfence_kernel::Sequence(auction.into()), *place);
        won[(0..3).max_by_key(draw).expect("there are three") as usize] += 1;
    }
    // Five standard deviations of a fair draw are 408.
    assert!(won.iter().all(|won| won.abs_diff(draws / 3) < 408), "{won:?}");
}

/// Guards against a late subscriber who is told less than there is, or a snapshot that ends with the first flush.
#[test]
fn snapshots_say_where_campaigns_and_accounts_stand() {
    use super::messages::Event;
    use super::{topics, workload};
    use ringfence_kernel::image::OUTPUT_HEADER_BYTES;
    use ringfence_kernel::outbox::{image as bytes_of, message};
    use ringfence_kernel::{Cursor, Domain as _, Out, Outbox, Progress, Topic};
    let limits = AuctionLimits { line_items: 200, ..SMALL };
    let mut harness = Harness::<Auction>::new(&limits);
    let mut step = |command: Command<'_>| {
        let mut image = CommandImage::default();
        image.set(ClientId(1), command);
        assert_eq!(harness.step(&Step::Command(image), Timestamp(1), false).reject, None);
    };
    for campaign in 1..=2 {
        step(Command::DefineCampaign(&workload::campaign(campaign, 3, 1_000)));
    }
    for item in 1..=200 {
        step(Command::DefineLineItem(&workload::line_item(item, 1 + item % 2, 10, 5), &[]));
    }
    let said = |kind: u16, id: u32| {
        let (mut outbox, mut cursor, mut said) = (Outbox::new(), Cursor(0), std::vec::Vec::new());
        let topic = Topic::new(Auction::ID, kind, id);
        loop {
            let mut out = Out::of_snapshot(&mut outbox, topic);
            let progress = harness.domain.snapshot_topic(topic, &mut cursor, &mut out)?;
            said.extend(outbox.outputs().iter().map(|slot| {
                match Event::decode(message(bytes_of(slot)), &bytes_of(slot)[OUTPUT_HEADER_BYTES..]) {
                    Ok(Event::CampaignChanged(changed)) => changed.campaign.0,
                    Ok(Event::LineItemChanged(changed)) => changed.item.0,
                    Ok(Event::AccountStands(account)) => account.advertiser.0,
                    other => panic!("a snapshot does not say {other:?}"),
                }
            }));
            outbox.flushed();
            if progress == Progress::Done {
                return Some(said);
            }
        }
    };
    let all = core::iter::once(2).chain((1..=200).step_by(2)).collect();
    assert_eq!(said(topics::CAMPAIGNS, 2), Some(all));
    assert_eq!(said(topics::SPEND, 3), Some(std::vec![3]));
    assert_eq!(said(topics::CAMPAIGNS, 3), None, "a campaign that is not defined has no topic");
    assert_eq!(said(topics::SPEND, 7), None, "nor has an advertiser that cannot be");
    assert_eq!(said(9, 1), None);
}

/// Guards against a plan that a spike of traffic runs ahead of, or that falls behind while there are auctions enough: with
/// ten times the traffic in some quarters of an hour, each quarter's spend is within one percent of its plan, where that
/// plan is at least a hundred bids.
#[test]
fn spend_is_within_one_percent_of_plan_under_tenfold_spikes() {
    use super::messages::{AuctionRule, CampaignId, LineItemId, Nanos, Phase};
    use super::messages::{SetCampaign, SetLineItem};
    use super::workload;
    use ringfence_kernel::messages::Reserved;
    const SECOND: u64 = 1_000_000_000;
    const BID: u64 = 1_000;
    let weights: [u8; 24] = core::array::from_fn(|hour| [1, 2, 4, 3][hour % 4]);
    for plan in [[1; 24], weights] {
        let limits = AuctionLimits { wins: 200_000, ..SMALL };
        let mut harness = Harness::<Auction>::new(&limits);
        let mut step = |now: u64, command: Command<'_>| {
            let mut image = CommandImage::default();
            image.set(ClientId(1), command);
            assert_eq!(harness.step(&Step::Command(image), Timestamp(now), false).reject, None);
            harness.domain.items.get(0).map_or(0, |item| item.budget.spent.0 + item.budget.held.0)
        };
        let (phase, reserved) = (Phase::Active.into(), Reserved::default());
        // A hundred bids in a quarter of the least weight.
        let total: u64 = plan.iter().map(|weight| u64::from(*weight)).sum();
        let daily = total * 4 * 100 * BID;
        step(0, Command::DefineCampaign(&workload::campaign(1, 1, 10 * daily)));
        step(0, Command::SetCampaign(&SetCampaign { campaign: CampaignId(1), phase, reserved }));
        let mut item = workload::line_item(1, 1, 10 * daily, BID);
        (item.daily, item.plan, item.window) = (Nanos(daily), plan, 2 * 86_400 * SECOND);
        step(0, Command::DefineLineItem(&item, &[]));
        step(0, Command::SetLineItem(&SetLineItem { item: LineItemId(1), phase, reserved }));
        let terms = workload::placement(1, 1, AuctionRule::FirstPrice);
        step(0, Command::DefinePlacement(&terms, &[workload::slot(1_000_000)]));
        let mut before = 0;
        for quarter in 0..96 {
            // An auction a second, or ten.
            let spike = if quarter % 7 == 3 { 10 } else { 1 };
            let mut spent = 0;
            for at in 0..=900 * spike {
                let now = (quarter * 900 * spike + at) * SECOND / spike;
                let hold = workload::auction(1);
                spent = step(now, Command::HoldAuction(&hold, &[]));
            }
            let planned = u64::from(plan[quarter as usize / 4]) * 100 * BID;
            assert!((spent - before).abs_diff(planned) * 100 <= planned, "quarter {quarter}: {spent} of {planned}");
            before = spent;
        }
    }
}

/// Guards against feedback that does not come to its plan, or swings about it: a day with 0.5 to 2 auctions a second, and one with
/// ten times the traffic in some quarters of an hour. Each quarter is within one percent of its plan, of a hundred bids or of four
/// hundred; of ten bids, where feedback alone rules, the day is.
#[test]
fn feedback_follows_the_plan() {
    use super::messages::{AuctionRule, CampaignId, LineItemId, Nanos, Phase, SetCampaign, SetLineItem};
    use super::workload;
    use ringfence_kernel::messages::Reserved;
    const SECOND: u64 = 1_000_000_000;
    const BID: u64 = 1_000;
    for (spike, bids, quarter_most) in [(1, 100, 100), (10, 100, 100), (1, 400, 100), (10, 400, 100), (10, 10, 40_000)]
    {
        let daily = 96 * bids * BID;
        let mut harness = Harness::<Auction>::new(&AuctionLimits { wins: 200_000, ..SMALL });
        let mut step = |now: u64, command: Command<'_>| {
            let mut image = CommandImage::default();
            image.set(ClientId(1), command);
            assert_eq!(harness.step(&Step::Command(image), Timestamp(now), false).reject, None);
            harness.domain.items.get(0).map_or(0, |item| item.budget.spent.0 + item.budget.held.0)
        };
        let (phase, reserved) = (Phase::Active.into(), Reserved::default());
        step(0, Command::DefineCampaign(&workload::campaign(1, 1, 10 * daily)));
        step(0, Command::SetCampaign(&SetCampaign { campaign: CampaignId(1), phase, reserved }));
        let mut item = workload::line_item(1, 1, 10 * daily, BID);
        (item.daily, item.plan, item.gains, item.window) = (Nanos(daily), [1; 24], [30, 4, 0], 2 * 86_400 * SECOND);
        step(0, Command::DefineLineItem(&item, &[]));
        step(0, Command::SetLineItem(&SetLineItem { item: LineItemId(1), phase, reserved }));
        let terms = workload::placement(1, 1, AuctionRule::FirstPrice);
        step(0, Command::DefinePlacement(&terms, &[workload::slot(1_000_000)]));
        let (mut now, mut worst, mut spent, mut before) = (0, 0, 0, 0);
        for quarter in 0..96 {
            let pause = [SECOND, SECOND / 2, SECOND, 2 * SECOND][quarter as usize / 8 % 4];
            let pause = if quarter % 7 == 3 { pause / spike } else { pause };
            while now < (quarter + 1) * 900 * SECOND {
                spent = step(now, Command::HoldAuction(&workload::auction(1), &[]));
                now += pause;
            }
            // In hundredths of a percent.
            worst = worst.max((spent - before).abs_diff(bids * BID) * 10_000 / (bids * BID));
            before = spent;
        }
        let day = spent.abs_diff(daily) * 10_000 / daily;
        std::println!(
            "{bids} bids, spikes of {spike}: a quarter is off its plan by {worst}, the day by {day} in 10,000"
        );
        assert!(worst <= quarter_most && day <= 100, "{bids} bids, spikes of {spike}: {worst}, {day} in 10,000");
    }
}

/// Guards against an explanation that names others than the answer counts: in every auction each reason as often, and winners in
/// their slots.
#[test]
fn an_auction_is_explained_as_it_was_answered() {
    use super::messages::Reply;
    use super::{Fate, Loss};
    use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, kind};
    use ringfence_kernel::outbox::{image as bytes_of, message};
    let (mut harness, mut flow) = (Harness::<Auction>::new(&SMALL), Flow::new(9, 5, Mix { tick: LONG, ..MIXED }));
    let (mut image, mut auctions) = (CommandImage::default(), 0);
    for step in 0..4_000 {
        flow.next(&mut image);
        let now = Timestamp(1_000_000_000 + step * LONG);
        for slot in harness.step(&Step::Command(image.clone()), now, false).outputs {
            let bytes = bytes_of(&slot);
            let output = ringfence_kernel::OutputHeader::read(bytes).expect("it has one");
            if output.kind != kind::REPLY {
                continue;
            }
            let Ok(Reply::AuctionHeld(held)) = Reply::decode(message(bytes), &bytes[OUTPUT_HEADER_BYTES..]) else {
                continue;
            };
            let explained = harness.domain.explain(output.sequence).expect("it was held");
            let items = || explained.iter().filter(|one| one.item.0 > 0);
            let count = |fate: Fate| items().filter(|one| one.fate == fate).count() as u32;
            let reasons = [
                (Fate::Outbid, held.outbid),
                (Fate::Lost(Loss::BelowFloor), held.below_floor),
                (Fate::Lost(Loss::OffHours), held.off_hours),
                (Fate::Lost(Loss::NoCreative), held.no_creative),
                (Fate::Lost(Loss::BudgetSpent), held.budget_spent),
                (Fate::Lost(Loss::Paced), held.paced),
                (Fate::Lost(Loss::Capped), held.capped),
                (Fate::Lost(Loss::Excluded), held.excluded),
                (Fate::NotTargeted, held.not_targeted),
            ];
            for (fate, answered) in reasons {
                assert_eq!(count(fate), answered, "step {step}: {fate:?}");
            }
            let won = |one: &&super::Explained| matches!(one.fate, Fate::Won(_));
            assert_eq!(items().filter(won).count(), usize::from(held.won), "step {step}");
            assert_eq!(explained.iter().filter(won).count(), usize::from(held.won + held.outside), "step {step}");
            assert!(
                held.item.0 == 0 || explained[..].iter().any(|one| one.item == held.item && one.fate == Fate::Won(1))
            );
            auctions += 1;
        }
        assert!(harness.domain.explain(ringfence_kernel::Sequence(u64::MAX)).is_none());
    }
    assert!(auctions > 1_000, "{auctions} auctions were explained");
}
