//! `ringfence feed`: others' data through a running engine, over TCP.

use crate::commands::{Engine, take_snapshot};
use crate::say;
use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use ringfence_client::{Client, Config};
use ringfence_domains::matching::messages::{
    Cancel, ClientOrderId, Command, DefineInstrument, Event, InstrumentId, Liquidity, NewOrder, OnDisconnect,
    OrderType, Price, Quantity, Reduce, Reply, Side, TimeInForce, TopOfBook,
};
use ringfence_domains::matching::{Matching, topics};
use ringfence_kernel::image::kind;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Domain as _, RequestId, Sequence, Timestamp, Topic};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Send others' data through a running engine.
#[derive(Subcommand)]
pub enum Feed {
    /// A LOBSTER message file: `time,type,order,size,price,side` a line, prices in 1/10,000 of the currency.
    Lobster(Lobster),
}

/// Sends a LOBSTER message file, checks each of its executions, and reports orders, trades, mismatches by class, and
/// the top of the book at the end. Its client needs trade, administer and observe.
///
/// New orders are entered, partial cancels reduce, deletions cancel. An execution of a visible order becomes an
/// opposite immediate-or-cancel order of its size and price, and the order that it trades with must be the one that the
/// file names. What is treated otherwise is counted by class:
///
/// - executions of hidden orders (5), which the file does not show resting, and halts (7), are left out;
/// - orders that rested before the file starts, by their number, are seeded at the start, in the order of their
///   numbers, though the file lets them come into view later or never;
/// - orders that came in beyond the levels that the file shows are seeded just before it names them;
/// - an execution that passes over an order standing before it at the same price is out of turn: no engine with
///   price-time priority can repeat it, so that it becomes a reduction of the order it names.
#[derive(Args)]
pub struct Lobster {
    /// The message file.
    file: PathBuf,
    #[command(flatten)]
    engine: Engine,
    /// The instrument's number in the engine.
    #[arg(long, default_value_t = 1)]
    instrument: u32,
}

/// One line of the file.
#[derive(Clone, Copy, Debug)]
struct Row {
    class: u8,
    order: u64,
    size: u64,
    price: i64,
    side: Side,
}

/// What is compared, by class of the file's messages.
#[derive(Debug, Default)]
pub struct Report {
    /// Lines of the file by class.
    pub rows: BTreeMap<u8, u64>,
    /// Orders that are entered without a line of the file: they rested before it or came in beyond its levels.
    pub seeded: usize,
    /// Orders that come into view and rested all along: entered at the start already.
    pub already_resting: u64,
    /// Executions that pass over an order standing before them at the same price.
    pub out_of_turn: u64,
    /// Lines that are not sent, by class.
    pub skipped: BTreeMap<u8, u64>,
    /// Lines that led to something other than the file says, by class; lines on seeded orders apart.
    pub mismatches: BTreeMap<u8, u64>,
    /// The same for lines that name a seeded order.
    pub mismatches_seeded: u64,
    /// Trades that the engine reported.
    pub trades: u64,
    /// The best prices at the end.
    pub top: Option<TopOfBook>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Feed {
    /// Runs it.
    ///
    /// # Errors
    /// When the file or the engine cannot be used, or there are mismatches.
    pub fn run(&self) -> anyhow::Result<()> {
        let Self::Lobster(lobster) = self;
        let report = feed(&lobster.file, lobster.engine.config()?, InstrumentId(lobster.instrument))?;
        report.print();
        ensure!(report.mismatches.is_empty(), "the engine and the file differ");
        Ok(())
    }
}

impl Report {
    fn print(&self) {
        let list = |counts: &BTreeMap<u8, u64>| match counts.is_empty() {
            true => "none".to_string(),
            false => {
                counts.iter().map(|(class, count)| format!("{count} of type {class}")).collect::<Vec<_>>().join(", ")
            }
        };
        let rows: u64 = self.rows.values().sum();
        say!("messages    {rows}: {}", list(&self.rows));
        say!("seeded      {} orders, of which {} come into view later", self.seeded, self.already_resting);
        say!("out of turn {} executions pass over an order that stands before theirs", self.out_of_turn);
        say!("left out    {}", list(&self.skipped));
        say!("trades      {}", self.trades);
        say!("mismatches  {}; on seeded orders {}", list(&self.mismatches), self.mismatches_seeded);
        if let Some(top) = self.top {
            say!(
                "top         {} at {} bid, {} at {} asked",
                top.bid_quantity,
                top.bid_price,
                top.ask_quantity,
                top.ask_price
            );
        }
        let seconds = self.elapsed.as_secs_f64();
        say!("elapsed     {seconds:.2} s, {:.0} messages/s", rows as f64 / seconds);
    }
}

fn parse(file: &Path) -> anyhow::Result<Vec<Row>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let row = |line: &str| -> Option<Row> {
        let mut fields = line.split(',').skip(1);
        let class = fields.next()?.parse().ok()?;
        let order = fields.next()?.parse().ok()?;
        let size = fields.next()?.parse().ok()?;
        let price = fields.next()?.parse().ok()?;
        let side = match fields.next()?.trim() {
            "1" => Side::Buy,
            "-1" => Side::Sell,
            _ => return None,
        };
        Some(Row { class, order, size, price, side })
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty());
    lines.map(|(at, line)| row(line).with_context(|| format!("{}, line {}", file.display(), at + 1))).collect()
}

/// Orders that are seeded, by number: those that rested before the file starts, whether it shows them later or not, and
/// those that it uses and never enters, as large as all that is done with them.
fn seeds(rows: &[Row], first_entered: u64) -> BTreeMap<u64, Row> {
    let mut entered = HashSet::new();
    let mut seeds = BTreeMap::new();
    for row in rows {
        match row.class {
            1 => {
                entered.insert(row.order);
                if row.order < first_entered {
                    seeds.insert(row.order, *row);
                }
            }
            2..=4 if !entered.contains(&row.order) => {
                seeds.entry(row.order).or_insert(Row { class: 1, size: 0, ..*row }).size += row.size;
            }
            _ => {}
        }
    }
    seeds
}

/// Who stands where by the file's own account: what an execution is held against.
#[derive(Debug, Default)]
struct Queues {
    levels: HashMap<(Side, i64), VecDeque<u64>>,
    open: HashMap<u64, u64>,
}

impl Queues {
    fn enter(&mut self, row: Row) {
        self.levels.entry((row.side, row.price)).or_default().push_back(row.order);
        self.open.insert(row.order, row.size);
    }

    /// Whether the order that `row` executes is the first at its price.
    fn is_first(&self, row: Row) -> bool {
        self.levels.get(&(row.side, row.price)).and_then(VecDeque::front) == Some(&row.order)
    }

    fn take(&mut self, row: Row) {
        let Some(open) = self.open.get_mut(&row.order) else { return };
        *open = open.saturating_sub(row.size);
        if (*open == 0 || row.class == 3)
            && let Some(level) = self.levels.get_mut(&(row.side, row.price))
        {
            level.retain(|order| *order != row.order);
        }
    }
}

/// Orders that take for the file's executions are numbered from here, above all that it names.
const TAKERS: u64 = 1 << 62;
/// The file's prices are in 1/10,000; the instrument trades in cents.
const TICK: i64 = 100;

/// Feeds one file.
struct Feeding {
    client: Client,
    instrument: InstrumentId,
    seeded: HashSet<u64>,
    queues: Queues,
    /// What each unanswered request stands for.
    sent: HashMap<RequestId, Row>,
    /// Makers and sizes of the fills of each command, until its answer comes.
    fills: HashMap<Sequence, Vec<(u64, u64)>>,
    report: Report,
}

/// Sends `file` to the engine and compares.
///
/// # Errors
/// When the file or the engine cannot be used.
pub fn feed(file: &Path, config: Config, instrument: InstrumentId) -> anyhow::Result<Report> {
    let rows = parse(file)?;
    // The exchange numbers orders as they come in.
    let first_entered = rows.iter().find(|row| row.class == 1).map_or(u64::MAX, |row| row.order);
    let mut seeds = seeds(&rows, first_entered);
    let account = Account(config.client.0);
    let mut client = Client::connect(config)?;
    define(&mut client, instrument)?;
    client.subscribe(Topic::account(Matching::ID, account), 0)?;
    let mut feeding = Feeding {
        client,
        instrument,
        seeded: seeds.keys().copied().collect(),
        queues: Queues::default(),
        sent: HashMap::new(),
        fills: HashMap::new(),
        report: Report { seeded: seeds.len(), ..Report::default() },
    };
    take_snapshot(&mut feeding.client, |_| {})?;
    let begun = Instant::now();
    let bar = ProgressBar::new(rows.len() as u64);
    for (_, seed) in seeds.extract_if(..first_entered, |_, _| true) {
        feeding.send(seed, 0)?;
    }
    for (row, at) in rows.iter().zip(1..) {
        *feeding.report.rows.entry(row.class).or_default() += 1;
        if let Some(seed) = seeds.remove(&row.order) {
            feeding.send(seed, 0)?;
        }
        match row.class {
            1 if row.order < first_entered => feeding.report.already_resting += 1,
            1..=4 => feeding.send(*row, at)?,
            class => *feeding.report.skipped.entry(class).or_default() += 1,
        }
        if at % 1024 == 0 {
            bar.set_position(at);
        }
    }
    while !feeding.sent.is_empty() {
        feeding.take(Duration::from_millis(100))?;
    }
    bar.finish_and_clear();
    feeding.report.elapsed = begun.elapsed();
    feeding.top()
}

fn define(client: &mut Client, instrument: InstrumentId) -> anyhow::Result<()> {
    let terms = DefineInstrument {
        price_min: Price(TICK),
        price_max: Price(100_000_000 * TICK),
        tick: Price(TICK),
        lot: Quantity(1),
        protection: Price(0),
        day_end: 0,
        instrument,
        price_decimals: 4,
        reserved: Reserved::default(),
    };
    let answer = client.call(Command::DefineInstrument(&terms))?;
    let _: Reply<'_> = answer.reply().context("defining the instrument")?;
    Ok(())
}

impl Feeding {
    fn send(&mut self, mut row: Row, at: u64) -> anyhow::Result<()> {
        match row.class {
            1 => self.queues.enter(row),
            4 if !self.queues.is_first(row) => {
                self.report.out_of_turn += 1;
                self.queues.take(row);
                row.class = 2;
            }
            _ => self.queues.take(row),
        }
        while self.client.room() == 0 {
            self.take(Duration::from_millis(100))?;
        }
        let client_order = ClientOrderId(row.order);
        let quantity = Quantity(row.size);
        let price = Price(row.price);
        let order = |client_order, side: Side, time_in_force: TimeInForce| NewOrder {
            client_order,
            price,
            quantity,
            minimum: Quantity(0),
            expires: Timestamp(0),
            instrument: self.instrument,
            side: side.into(),
            time_in_force: time_in_force.into(),
            order_type: OrderType::Limit.into(),
            on_disconnect: OnDisconnect::Keep.into(),
        };
        let request = match row.class {
            1 => {
                let order = order(client_order, row.side, TimeInForce::GoodTillCancelled);
                self.client.send(Command::NewOrder(&order))
            }
            2 => self.client.send(Command::Reduce(&Reduce { client_order, quantity })),
            3 => self.client.send(Command::Cancel(&Cancel { client_order })),
            _ => {
                let order = order(ClientOrderId(TAKERS + at), row.side.opposite(), TimeInForce::ImmediateOrCancel);
                self.client.send(Command::NewOrder(&order))
            }
        };
        self.sent.insert(request?, row);
        // What has come is taken between sends, so that the window stays open.
        if self.sent.len().is_multiple_of(64) {
            self.take(Duration::ZERO)?;
        }
        Ok(())
    }

    /// Takes in what came, waiting for the first at most `timeout`.
    fn take(&mut self, mut timeout: Duration) -> anyhow::Result<()> {
        while let Some(output) = self.client.poll(timeout)? {
            timeout = Duration::ZERO;
            let header = output.header;
            match header.kind {
                kind::EVENT => {
                    if let Event::Fill(fill) = output.decode()?
                        && fill.liquidity.get() == Liquidity::Maker
                    {
                        self.report.trades += 1;
                        self.fills.entry(header.sequence).or_default().push((fill.client_order.0, fill.quantity.0));
                    }
                }
                kind::REPLY | kind::REJECT => {
                    let fills = self.fills.remove(&header.sequence).unwrap_or_default();
                    let row = self.sent.remove(&header.request).context("an answer to nothing")?;
                    let agrees = header.kind == kind::REPLY && agrees(row, output.decode()?, &fills);
                    if !agrees && self.seeded.contains(&row.order) {
                        self.report.mismatches_seeded += 1;
                    } else if !agrees {
                        *self.report.mismatches.entry(row.class).or_default() += 1;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The best prices at the end, and goodbye.
    fn top(mut self) -> anyhow::Result<Report> {
        self.client.subscribe(Topic::new(Matching::ID, topics::TOP, self.instrument.0), 0)?;
        let mut top = None;
        take_snapshot(&mut self.client, |event| {
            if let Event::TopOfBook(best) = event {
                top = Some(*best);
            }
        })?;
        self.client.close()?;
        Ok(Report { top, ..self.report })
    }
}

/// Whether the engine did with a line what the file says.
fn agrees(row: Row, reply: Reply<'_>, fills: &[(u64, u64)]) -> bool {
    match (row.class, reply) {
        (1, Reply::OrderAccepted(accepted)) => {
            accepted.filled == Quantity(0) && accepted.remaining == Quantity(row.size)
        }
        (2, Reply::OrderReduced(_)) => true,
        (3, Reply::OrderCancelled(cancelled)) => cancelled.cancelled == Quantity(row.size),
        (4, Reply::OrderAccepted(accepted)) => {
            accepted.filled == Quantity(row.size) && fills == [(row.order, row.size)]
        }
        _ => false,
    }
}
