//! `ringfence pacing`: a day of auctions whose prices others paid, spent by a plan and by feedback.

use crate::say;
use anyhow::{Context as _, ensure};
use clap::Args;
use ringfence_domains::auction::Auction;
use ringfence_domains::auction::messages::{
    AuctionLimits, AuctionRule, BID_MAX, CampaignId, Command, EventKind, HoldAuction, LineItemId, Nanos, Phase,
    RecordEvent, Reply, SetCampaign, SetLineItem, WHOLE, WinId,
};
use ringfence_domains::auction::workload::{auction, campaign, line_item, placement, slot};
use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, kind};
use ringfence_kernel::laws::{Harness, Step};
use ringfence_kernel::limits::Limits as _;
use ringfence_kernel::messages::{Message as _, Reserved};
use ringfence_kernel::outbox::image;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, OutputHeader, Timestamp};
use std::path::PathBuf;

const MINUTE: u64 = 60 * 1_000_000_000;
/// Minutes of the day.
pub const MINUTES: u64 = 24 * 60;

/// Hold a day of auctions, each at a price that somebody paid, and print by the minute what was planned, and what one line item
/// spent that is held to its plan and one that follows it by feedback (PID): CSV, to draw.
#[derive(Args)]
pub struct Pacing {
    /// The prices: the second column of lines with tabs between, a CPM in thousandths, as iPinYou's logs are prepared.
    file: PathBuf,
    /// The day's budget in percent of what all auctions cost.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=100))]
    budget: u64,
    /// Gains of feedback in hundredths: proportional, integral, derivative.
    #[arg(long, value_delimiter = ',', num_args = 3, default_values_t = [30, 4, 0])]
    gains: Vec<u8>,
}

impl Pacing {
    /// Runs it.
    ///
    /// # Errors
    /// When the file has no prices.
    pub fn run(&self) -> anyhow::Result<()> {
        let name = || self.file.display().to_string();
        let text = std::fs::read_to_string(&self.file).with_context(name)?;
        let price = |line: &str| line.split('\t').nth(1)?.parse::<u64>().ok()?.checked_mul(1_000);
        let prices: Option<Vec<u64>> = text.lines().map(price).collect();
        let prices = prices.filter(|prices| !prices.is_empty()).context("a line has no price").with_context(name)?;
        ensure!(prices.iter().all(|price| *price < BID_MAX), "{}: a price is more than can be bid", name());
        let daily = prices.iter().sum::<u64>() / 100 * self.budget;
        let gains = self.gains.as_slice().try_into().context("there are three gains")?;
        ensure!(daily > 0 && gains != [0; 3], "nothing is to be spent, or by no feedback");
        let (by_plan, by_feedback) = (follow(&prices, daily, [0; 3]), follow(&prices, daily, gains));
        say!("minute,planned,by_plan,by_feedback");
        for (minute, (plan, feedback)) in (1..).zip(by_plan.iter().zip(&by_feedback)) {
            say!("{minute},{},{plan},{feedback}", planned(daily, minute));
        }
        Ok(())
    }
}

/// What of a day's budget is planned to be spent after so many minutes.
#[must_use]
pub fn planned(daily: u64, minutes: u64) -> u64 {
    (u128::from(daily) * u128::from(minutes) / u128::from(MINUTES)) as u64
}

/// What a line item has spent of its day's budget at the end of each minute that bids more than all prices: held to an even plan, or
/// by feedback with those gains.
///
/// # Panics
/// When the domain refuses what makes sense.
#[must_use]
pub fn follow(prices: &[u64], daily: u64, gains: [u8; 3]) -> Vec<u64> {
    let mut server = Server::new(prices, daily, gains);
    let (mut spent, mut by_minute) = (0, Vec::new());
    for (at, price) in (0..).zip(prices) {
        let now = (u128::from(MINUTES * MINUTE) * at / prices.len() as u128) as u64;
        while by_minute.len() as u64 <= now / MINUTE {
            by_minute.push(spent);
        }
        spent += server.buy(now, *price);
    }
    by_minute.remove(0);
    by_minute.resize(MINUTES as usize, spent);
    by_minute
}

/// A domain with one line item.
struct Server(Harness<Auction>);

impl Server {
    fn new(prices: &[u64], daily: u64, gains: [u8; 3]) -> Self {
        let limits = AuctionLimits { line_items: 1, targets: 1, values: 1, ..AuctionLimits::defaults() };
        let mut server = Self(Harness::new(&limits));
        let (phase, reserved) = (Phase::Active.into(), Reserved::default());
        server.ask(0, Command::DefineCampaign(&campaign(1, 1, daily)));
        server.ask(0, Command::SetCampaign(&SetCampaign { campaign: CampaignId(1), phase, reserved }));
        let mut item = line_item(1, 1, daily, prices.iter().max().map_or(1, |most| most + 1));
        (item.daily, item.plan, item.gains) = (Nanos(daily), [1; 24], gains);
        server.ask(0, Command::DefineLineItem(&item, &[]));
        server.ask(0, Command::SetLineItem(&SetLineItem { item: LineItemId(1), phase, reserved }));
        server.ask(0, Command::DefinePlacement(&placement(1, 1, AuctionRule::SecondPrice), &[slot(WHOLE)]));
        server
    }

    /// Holds an auction at a price, and shows what was won; gives what that cost.
    fn buy(&mut self, now: u64, price: u64) -> u64 {
        let command = HoldAuction { floor: Nanos(price), ..auction(1) };
        let Some(win) = self.ask(now, Command::HoldAuction(&command, &[])) else { return 0 };
        let (kind, reserved) = (EventKind::Impression.into(), Reserved::default());
        self.ask(now, Command::RecordEvent(&RecordEvent { win, kind, reserved, source: 0 }));
        price
    }

    /// Asks; gives a win, when that is the answer.
    fn ask(&mut self, now: u64, command: Command<'_>) -> Option<WinId> {
        let mut asked = CommandImage::default();
        asked.set(ClientId(1), command);
        let outcome = self.0.step(&Step::Command(asked), Timestamp(now), false);
        assert_eq!(outcome.reject, None, "{command:?}");
        outcome.outputs.iter().find_map(|output| {
            let header = OutputHeader::read(image(output))?;
            match Reply::decode(header.message, &image(output)[OUTPUT_HEADER_BYTES..]) {
                Ok(Reply::AuctionHeld(held)) if header.kind == kind::REPLY && held.won > 0 => Some(held.win),
                _ => None,
            }
        })
    }
}
