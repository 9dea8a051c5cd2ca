//! How long an auction takes among 100,000 line items of which 1,000 match, and how many events are billed a second:
//! `cargo run --release -p ringfence-domains --example auctions`. Decoding and outputs are included; sessions, rings,
//! journal and sockets are not. With `-- caps` it counts 10⁷ users instead, and says what memory the process has.
#![allow(clippy::print_stdout, reason = "a command's edge")]

use ringfence_domains::auction::Auction;
use ringfence_domains::auction::messages::{
    AuctionLimits, AuctionRule, CampaignId, CapPeriod, Command, HoldAuction, LineItemId, Phase, SetCampaign,
    SetLineItem, UserKey, WHOLE,
};
use ringfence_domains::auction::workload::{Flow, LARGE, auction, campaign, line_item, placement, slot};
use ringfence_kernel::limits::Limits as _;
use ringfence_kernel::messages::{Message as _, Reserved};
use ringfence_kernel::outbox::Stamp;
use ringfence_kernel::registry::apply;
use ringfence_kernel::workload::{CommandImage, Workload as _};
use ringfence_kernel::{ClientId, Context, Domain as _, Out, Outbox, Progress, Roles, Sequence, SessionId, Timestamp};
use std::time::{Duration, Instant};

/// Commands that are timed: half of them are auctions, half are events.
const COMMANDS: usize = 400_000;
const USERS: u64 = 10_000_000;

/// A domain and its place in the log.
struct Server {
    auction: Auction,
    outbox: Outbox,
    sequence: u64,
}

impl Server {
    fn new(limits: &AuctionLimits) -> Self {
        Self { auction: Auction::new(limits), outbox: Outbox::new(), sequence: 0 }
    }

    /// Decides a command, a microsecond after the one before, and lets what is due happen first.
    fn decide(&mut self, image: &CommandImage) {
        self.sequence += 1;
        let context = Context {
            sequence: Sequence(self.sequence),
            now: Timestamp(1_000_000_000 + self.sequence * 1_000),
            session: SessionId(1),
            client: ClientId(1),
            roles: Roles::ALL,
            logic: 1,
        };
        self.outbox.begin(Stamp { sequence: context.sequence, now: context.now, ..Stamp::default() });
        while self.auction.next_deadline().is_some_and(|due| due <= context.now) {
            let progress = self.auction.on_time(context, &mut Out::new(&mut self.outbox));
            assert!(progress == Progress::Done || !self.outbox.is_empty(), "it goes on");
            self.outbox.flushed();
        }
        let decided = apply(&mut self.auction, context, image.header().message, image.body(), &mut self.outbox);
        assert_eq!(decided.map_err(|rejected| rejected.code), Ok(Progress::Done));
        self.outbox.flushed();
    }

    fn ask(&mut self, command: Command<'_>) {
        let mut image = CommandImage::default();
        image.set(ClientId(1), command);
        self.decide(&image);
    }
}

fn main() {
    if std::env::args().any(|argument| argument == "caps") {
        return caps();
    }
    let (mut server, mut flow) = (Server::new(&AuctionLimits::defaults()), Flow::new(1, 1, LARGE));
    let mut image = CommandImage::default();
    for _ in 0..Flow::preparations(&LARGE) {
        flow.next(&mut image);
        server.decide(&image);
    }
    for _ in 0..5 {
        run(&mut server, &mut flow);
    }
}

fn run(server: &mut Server, flow: &mut Flow) {
    let mut images = vec![CommandImage::default(); COMMANDS];
    images.iter_mut().for_each(|image| flow.next(image));
    let (mut auctions, mut events) = (Vec::with_capacity(COMMANDS), Duration::ZERO);
    for image in &images {
        let is_auction = matches!(Command::decode(image.header().message, image.body()), Ok(Command::HoldAuction(..)));
        let begun = Instant::now();
        server.decide(image);
        let took = begun.elapsed();
        if is_auction { auctions.push(took) } else { events += took }
    }
    let total: Duration = auctions.iter().sum();
    auctions.sort_unstable();
    let at = |percent: usize| auctions[auctions.len() * percent / 100].as_nanos();
    println!(
        "auctions: {:.0} a second, p50 {} ns, p90 {} ns, p99 {} ns; events: {:.2} M a second",
        auctions.len() as f64 / total.as_secs_f64(),
        at(50),
        at(90),
        at(99),
        (COMMANDS - auctions.len()) as f64 / events.as_secs_f64() / 1e6,
    );
}

/// Shows one line item to many users, each once, under a cap.
fn caps() {
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").expect("a process has a status");
        let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("and resident memory");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("in KiB")
    };
    let before = resident();
    let limits = AuctionLimits { counters: USERS, line_items: 64, wins: 4_096, ..AuctionLimits::defaults() };
    let mut server = Server::new(&limits);
    let (phase, reserved) = (Phase::Active.into(), Reserved::default());
    server.ask(Command::DefineCampaign(&campaign(1, 1, 1 << 60)));
    server.ask(Command::SetCampaign(&SetCampaign { campaign: CampaignId(1), phase, reserved }));
    let mut item = line_item(1, 1, 1 << 60, 1);
    (item.cap, item.cap_period, item.window) = (3, CapPeriod::Life.into(), 1_000_000);
    server.ask(Command::DefineLineItem(&item, &[]));
    server.ask(Command::SetLineItem(&SetLineItem { item: LineItemId(1), phase, reserved }));
    server.ask(Command::DefinePlacement(&placement(1, 1, AuctionRule::FirstPrice), &[slot(WHOLE)]));
    let begun = Instant::now();
    for user in 1..=USERS {
        server.ask(Command::HoldAuction(&HoldAuction { user: UserKey(user), ..auction(1) }, &[]));
    }
    let nanoseconds = begun.elapsed().as_nanos() as f64 / USERS as f64;
    println!("{USERS} users: {} MiB, {nanoseconds:.0} ns an auction", (resident() - before) / 1024);
}
