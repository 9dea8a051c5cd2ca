//! Seeded commands for benches, laws, fuzzing and simulation.
//!
//! All kinds but one are a [`Flow`]: clients who quote around a price that wanders, and change and cancel what they
//! quoted. It believes that what it sent is live, as a client does before the answer comes, so that some cancels come
//! too late.

mod deep;
mod exchange;
mod funds;
mod hostile;
mod phases;

use super::messages::{
    Cancel, CancelMany, CancelManyOrder, ClientOrderId, Command, DefineInstrument, GetAccount, GetBook, GetOpenOrders,
    GetOrder, GetStatistics, InstrumentId, KillSwitch, MassCancel, NewOrder, NewPeg, NewReserve, NewStop, OnDisconnect,
    OrderType, Peg, Price, Quantity, Reduce, Replace, ReplaceReserve, ReplaceStop, Scope, SelfTrade, SetDropCopy,
    SetKillSwitch, SetLimits, SetOnDisconnect, SetSelfTrade, Side, Sides, TimeInForce,
};
use alloc::boxed::Box;
use alloc::vec::Vec;
pub use deep::Size;
use exchange::Exchange;
use hostile::Hostile;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::random::Random;
use ringfence_kernel::workload::{CommandImage, Workload, WorkloadKind};
use ringfence_kernel::{Account, ClientId, Timestamp};

/// The kinds of commands. Client 1 defines the instruments first.
pub const KINDS: &[WorkloadKind] = &[
    WorkloadKind {
        name: "normal",
        doc: "eight instruments whose prices wander; half orders, a third cancels, some replaces; 4,000 live orders",
        new: |seed, clients| Box::new(Flow::new(seed, clients, NORMAL)),
    },
    WorkloadKind {
        name: "static",
        doc: "one instrument whose price stays; ten deep levels a side, 20,000 live orders",
        new: |seed, clients| Box::new(Flow::new(seed, clients, STATIC)),
    },
    WorkloadKind {
        name: "swing-25",
        doc: "as normal, of one instrument whose price travels up by a quarter and back in a million commands",
        new: |seed, clients| Box::new(Flow::new(seed, clients, Mix { swing: 25, ..TRAVELS })),
    },
    WorkloadKind {
        name: "swing-40",
        doc: "the same, by two fifths",
        new: |seed, clients| Box::new(Flow::new(seed, clients, Mix { swing: 40, ..TRAVELS })),
    },
    WorkloadKind {
        name: "flash-crash",
        doc: "as normal, of one instrument that falls by a tenth in 2,000 of 100,000 commands, swept by sellers, and rises again",
        new: |seed, clients| Box::new(Flow::new(seed, clients, Mix { crash: 60, ..TRAVELS })),
    },
    WorkloadKind {
        name: "exchange-core",
        doc: "exchange-core's mix: 9 % rest, 3 % trade at once, 6 % cancel, 82 % replace; 1,000 orders at 750 prices",
        new: |seed, clients| Box::new(Exchange::new(seed, clients)),
    },
    WorkloadKind {
        name: "crowded",
        doc: "three instruments, few prices, large takers: many trades, long sweeps, lists of cancels",
        new: |seed, clients| Box::new(Flow::new(seed, clients, CROWDED)),
    },
    WorkloadKind {
        name: "timed",
        doc: "as crowded, with orders that expire; times assume one command each microsecond from second 1 on",
        new: |seed, clients| Box::new(Flow::new(seed, clients, Mix { dated: 30, ..CROWDED })),
    },
    WorkloadKind {
        name: "types",
        doc: "as timed, with orders of every type and time in force",
        new: |seed, clients| Box::new(Flow::new(seed, clients, Mix { dated: 20, types: 60, ..CROWDED })),
    },
    WorkloadKind {
        name: "risk",
        doc: "as types, with mass cancels, kill switches, orders that go with their session, self-trade prevention",
        new: |seed, clients| Box::new(Flow::new(seed, clients, Mix { dated: 20, types: 30, risk: 3, ..CROWDED })),
    },
    WorkloadKind {
        name: "stops",
        doc: "as types, with stops, many of which trail and set off each other",
        new: |seed, clients| Box::new(Flow::new(seed, clients, Mix { dated: 20, types: 20, stops: 30, ..CROWDED })),
    },
    WorkloadKind {
        name: "reserve",
        doc: "as stops, with icebergs, hidden orders, minimums and all or none, and self-trade prevention",
        new: |seed, clients| Box::new(Flow::new(seed, clients, RESERVE)),
    },
    WorkloadKind {
        name: "shares",
        doc: "as reserve, shared by what is displayed at a price, with tables of ticks",
        new: |seed, clients| Box::new(Flow::new(seed, clients, SHARES)),
    },
    WorkloadKind {
        name: "pegs",
        doc: "as reserve, with orders that follow the best prices, halts and auctions",
        new: |seed, clients| Box::new(Flow::new(seed, clients, PEGS)),
    },
    WorkloadKind {
        name: "funds",
        doc: "as reserve, with instruments that are settled, deposits, withdrawals and auctions",
        new: |seed, clients| Box::new(Flow::new(seed, clients, FUNDS)),
    },
    WorkloadKind {
        name: "phases",
        doc: "as stops, with phases, auctions, bands and schedules that change all the time",
        new: |seed, clients| Box::new(Flow::new(seed, clients, PHASES)),
    },
    WorkloadKind {
        name: "hostile",
        doc: "random values in all fields, edges of every range, malformed and cut bodies",
        new: |seed, clients| Box::new(Hostile::new(seed, clients)),
    },
];

/// The terms that workloads give their instruments.
const PRICE_MAX: i64 = 2_000_000;
const MID: i64 = 1_000_000;

/// What a [`Flow`] is like. Shares are in a hundred.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// How many instruments.
    pub instruments: u32,
    /// Share of steps at which a price wanders by a tick.
    pub drift: u64,
    /// How far from the middle orders are placed, in ticks: mostly near, sometimes as far as eight times this.
    pub spread: u64,
    /// Orders that are believed live, at about which cancels outweigh new ones.
    pub live: usize,
    /// Share of new orders that cross.
    pub crossing: u64,
    /// Share of those that are immediate-or-cancel.
    pub immediate: u64,
    /// Share of resting orders that expire.
    pub dated: u64,
    /// Share of commands that change an order.
    pub changes: u64,
    /// The largest quantity; takers send up to four times as much.
    pub quantity: u64,
    /// Share of cancels that name many orders.
    pub many: u64,
    /// Share of new orders whose type, time in force or minimum is drawn anew.
    pub types: u64,
    /// Share of commands that are for many orders of an account, or of all. A third of orders then go with the session.
    pub risk: u64,
    /// Share of new orders that are stops.
    pub stops: u64,
    /// Share of commands, in a thousand, that change a phase, bands or a schedule. Some orders are then for an auction.
    pub phases: u64,
    /// Share of new orders that display a part of themselves, or nothing.
    pub reserve: u64,
    /// Share of new orders that are pegged.
    pub pegs: u64,
    /// Share of commands that ask for a report.
    pub reports: u64,
    /// Share of commands, in a thousand, that change how what comes in is shared, or the ticks.
    pub shares: u64,
    /// By how many hundredths of itself the middle travels up, and back, in a million commands.
    pub swing: u64,
    /// Share of new orders that sweep while the middle falls by a tenth: in the last 2,000 of each 100,000 commands.
    pub crash: u64,
    /// Share of commands, in a thousand, that move or ask for what accounts have. Instruments are then settled.
    pub funds: u64,
}

/// Prices wander; realistic shares.
pub const NORMAL: Mix = Mix {
    instruments: 8,
    drift: 5,
    spread: 12,
    live: 4_000,
    crossing: 12,
    immediate: 50,
    dated: 0,
    changes: 12,
    quantity: 100,
    many: 0,
    types: 0,
    risk: 0,
    stops: 0,
    phases: 0,
    reserve: 0,
    pegs: 0,
    reports: 0,
    shares: 0,
    swing: 0,
    crash: 0,
    funds: 0,
};
/// A price that travels.
const TRAVELS: Mix = Mix { instruments: 1, drift: 20, ..NORMAL };
/// A price that stays, and deep queues.
pub const STATIC: Mix = Mix { instruments: 1, drift: 0, spread: 5, live: 20_000, crossing: 8, ..NORMAL };
/// Few prices and many trades.
pub const CROWDED: Mix = Mix {
    instruments: 3,
    drift: 20,
    spread: 3,
    live: 120,
    crossing: 35,
    immediate: 40,
    dated: 0,
    changes: 25,
    quantity: 20,
    many: 5,
    types: 0,
    risk: 0,
    stops: 0,
    phases: 0,
    reserve: 0,
    pegs: 0,
    reports: 0,
    shares: 0,
    swing: 0,
    crash: 0,
    funds: 0,
};
/// Phases that change all the time.
const PHASES: Mix =
    Mix { shares: 2, dated: 20, types: 20, stops: 15, phases: 25, reserve: 10, pegs: 10, reports: 2, ..CROWDED };
/// Much that is not displayed.
const RESERVE: Mix = Mix { dated: 20, types: 20, stops: 10, risk: 1, reserve: 40, reports: 2, ..CROWDED };

/// Shared by what is displayed.
const SHARES: Mix = Mix { shares: 10, phases: 1, crossing: 30, quantity: 40, ..RESERVE };

/// Settled, with little money.
const FUNDS: Mix = Mix { funds: 40, phases: 3, shares: 1, reserve: 15, pegs: 10, ..RESERVE };

/// Much that follows the best prices.
const PEGS: Mix = Mix { pegs: 50, reserve: 15, phases: 4, shares: 2, crossing: 30, drift: 40, ..RESERVE };

#[derive(Clone, Copy)]
struct Live {
    client: ClientId,
    client_order: ClientOrderId,
    instrument: usize,
    side: Side,
    price: i64,
    quantity: u64,
    kind: Kind,
}

/// How an order is replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// As a stop that trails, or does not.
    Stop {
        trails: bool,
        has_price: bool,
    },
    Reserve,
}

/// Clients who quote around prices that wander.
pub struct Flow {
    mix: Mix,
    random: Random,
    clients: u32,
    defined: u32,
    mids: Vec<i64>,
    live: Vec<Live>,
    /// What each client has counted its orders to.
    client_orders: Vec<u64>,
    steps: u64,
    /// Transfers there were.
    transfers: u64,
    /// Numbers of one list of cancels.
    list: Vec<CancelManyOrder>,
}

impl Flow {
    /// The commands of `seed` with that `mix`.
    #[must_use]
    pub fn new(seed: u64, clients: u32, mix: Mix) -> Self {
        Self {
            mix,
            random: Random::new(seed),
            clients: clients.max(1),
            defined: 0,
            mids: alloc::vec![MID; mix.instruments as usize],
            live: Vec::new(),
            client_orders: alloc::vec![0; clients.max(1) as usize],
            steps: 0,
            transfers: 0,
            list: Vec::new(),
        }
    }

    fn new_order(&mut self, image: &mut CommandImage) {
        let Mix { spread, crossing, immediate, dated, quantity, .. } = self.mix;
        let random = &mut self.random;
        let instrument = random.below(self.mids.len() as u64) as usize;
        let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
        let crosses = random.percent(crossing);
        let reach = if random.percent(10) { spread * 8 } else { spread };
        // Near the middle more often than far from it.
        let away = random.below(reach).min(random.below(reach)) as i64 + 1;
        let away = if crosses { -away } else { away };
        let price = match side {
            Side::Buy => self.mids[instrument] - away,
            Side::Sell => self.mids[instrument] + away,
        };
        let quantity = 1 + random.below(if crosses { quantity * 4 } else { quantity });
        let time_in_force = match () {
            () if crosses && random.percent(immediate) => TimeInForce::ImmediateOrCancel,
            () if random.percent(dated) => TimeInForce::GoodTillDate,
            () => TimeInForce::GoodTillCancelled,
        };
        let expires = match time_in_force {
            TimeInForce::GoodTillDate => Timestamp(1_000_000_000 + (self.steps + 1 + random.below(300)) * 1_000),
            _ => Timestamp(0),
        };
        let client = ClientId(1 + random.below(self.clients.into()) as u32);
        let count = &mut self.client_orders[client.0 as usize - 1];
        *count += 1;
        let client_order = ClientOrderId(*count);
        let mut order = NewOrder {
            expires,
            instrument: InstrumentId(instrument as u32 + 1),
            ..limit_order(client_order, side, Price(price), Quantity(quantity), time_in_force)
        };
        if self.mix.types > 0 && self.random.percent(self.mix.types) {
            draw_type(&mut self.random, &mut order);
        }
        if self.mix.risk > 0 && self.random.percent(33) {
            order.on_disconnect = OnDisconnect::Cancel.into();
        }
        if self.mix.phases > 0 && self.random.percent(15) {
            let at_open = self.random.percent(70);
            order.time_in_force = if at_open { TimeInForce::AtOpen } else { TimeInForce::AtClose }.into();
            (order.order_type, order.price) = (OrderType::Limit.into(), Price(price));
            (order.expires, order.minimum) = (Timestamp(0), Quantity(0));
            if self.random.percent(30) {
                (order.order_type, order.price) = (OrderType::Market.into(), Price(0));
            }
        }
        if self.mix.reserve > 0 && self.random.percent(self.mix.reserve) {
            let reserve = draw_reserve(&mut self.random, &order, Price(price));
            let kind = Kind::Reserve;
            self.live.push(Live { client, client_order, instrument, side, price, quantity, kind });
            return image.set(client, Command::NewReserve(&reserve));
        }
        if self.mix.pegs > 0 && self.random.percent(self.mix.pegs) {
            let peg = draw_peg(&mut self.random, &order, Price(price), spread);
            self.live.push(Live { client, client_order, instrument, side, price, quantity, kind: Kind::Plain });
            return image.set(client, Command::NewPeg(&peg));
        }
        if self.mix.stops > 0 && self.random.percent(self.mix.stops) {
            let stop = draw_stop(&mut self.random, &order, self.mids[instrument], spread);
            let kind = Kind::Stop { trails: stop.trail.0 != 0, has_price: stop.price.0 != 0 };
            self.live.push(Live { client, client_order, instrument, side, price, quantity, kind });
            return image.set(client, Command::NewStop(&stop));
        }
        if !matches!(order.time_in_force.get(), TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill) {
            self.live.push(Live { client, client_order, instrument, side, price, quantity, kind: Kind::Plain });
        }
        image.set(client, Command::NewOrder(&order));
    }

    fn cancel(&mut self, image: &mut CommandImage) {
        let at = self.random.below(self.live.len() as u64) as usize;
        let Live { client, client_order, .. } = self.live.swap_remove(at);
        if !self.random.percent(self.mix.many) {
            return image.set(client, Command::Cancel(&Cancel { client_order }));
        }
        self.list.clear();
        self.list.push(CancelManyOrder { client_order });
        let most = 1 + self.random.below(60) as usize;
        let mut index = 0;
        while index < self.live.len() && self.list.len() < most {
            if self.live[index].client == client {
                self.list.push(CancelManyOrder { client_order: self.live.swap_remove(index).client_order });
            } else {
                index += 1;
            }
        }
        image.set(client, Command::CancelMany(&CancelMany { reserved: Reserved::default() }, &self.list));
    }

    fn change(&mut self, image: &mut CommandImage) {
        let at = self.random.below(self.live.len() as u64) as usize;
        let random = &mut self.random;
        let order = &mut self.live[at];
        let Live { client, client_order, .. } = *order;
        if random.percent(25) {
            let quantity = Quantity(1 + random.below(order.quantity));
            return image.set(client, Command::Reduce(&Reduce { client_order, quantity }));
        }
        if random.percent(60) {
            // The price follows the middle.
            let away = 1 + random.below(self.mix.spread) as i64;
            let mid = self.mids[order.instrument];
            order.price = if order.side == Side::Buy { mid - away } else { mid + away };
            if random.percent(10) {
                order.price = mid;
            }
        } else {
            order.quantity = 1 + random.below(self.mix.quantity);
        }
        let (price, quantity) = (Price(order.price), Quantity(order.quantity));
        // Some are replaced as what they are not, or no more.
        match order.kind {
            Kind::Stop { trails, has_price } if random.percent(90) => {
                let away = random.below(self.mix.spread * 3) as i64 - 1;
                let mid = self.mids[order.instrument];
                let trigger = if order.side == Side::Buy { mid + away } else { mid - away };
                let price = Price(if has_price { trigger + random.below(5) as i64 - 2 } else { 0 });
                let trail = Price(if trails { 1 + random.below(self.mix.spread) as i64 } else { 0 });
                let stop = ReplaceStop { client_order, trigger: Price(trigger), price, trail, quantity };
                image.set(client, Command::ReplaceStop(&stop));
            }
            Kind::Reserve if random.percent(90) => {
                let quantity = 2 + quantity.0 + random.below(20);
                let (display, minimum) = draw_display(random, quantity);
                let quantity = Quantity(quantity);
                let reserve = ReplaceReserve { client_order, price, quantity, display, minimum };
                image.set(client, Command::ReplaceReserve(&reserve));
            }
            _ => image.set(client, Command::Replace(&Replace { client_order, price, quantity })),
        }
    }
}

/// Commands there and back.
const SWING: u64 = 1_000_000;
/// Commands from one crash to the end of the next, in how many of them the price falls, and in how many it comes back.
const CRASH: u64 = 100_000;
const FALL: u64 = 2_000;
const RISE: u64 = 20_000;

impl Flow {
    /// Whether the price falls.
    fn crashes(&self) -> bool {
        self.mix.crash > 0 && self.steps % CRASH >= CRASH - FALL
    }

    /// Moves the middle to where it is by now.
    fn travel(&mut self) {
        let at = self.steps % SWING;
        let up = (MID as u64 * self.mix.swing / 100 * at.min(SWING - at) / (SWING / 2)) as i64;
        let at = self.steps % CRASH;
        let fallen = match self.mix.crash {
            0 => 0,
            _ if self.crashes() => (at - (CRASH - FALL)) * 1_000 / FALL,
            _ if self.steps > CRASH => RISE.saturating_sub(at) * 1_000 / RISE,
            _ => 0,
        };
        let middle = MID + up - MID / 10 * fallen as i64 / 1_000;
        self.mids.fill(middle);
    }

    /// An order that sells whatever is bid, far down.
    fn sweep(&mut self, image: &mut CommandImage) {
        let client = ClientId(1 + self.random.below(self.clients.into()) as u32);
        let count = &mut self.client_orders[client.0 as usize - 1];
        *count += 1;
        let (number, quantity) = (ClientOrderId(*count), Quantity(1 + self.random.below(self.mix.quantity * 100)));
        let order = limit_order(number, Side::Sell, Price(MID - MID / 5), quantity, TimeInForce::ImmediateOrCancel);
        image.set(client, Command::NewOrder(&order));
    }
}

impl Workload for Flow {
    fn next(&mut self, image: &mut CommandImage) {
        self.steps += 1;
        if self.defined < self.mix.instruments {
            self.defined += 1;
            return image.set(ClientId(1), Command::DefineInstrument(&terms(self.defined)));
        }
        let settled = self.steps - u64::from(self.mix.instruments);
        if self.mix.funds > 0 && settled <= u64::from(self.mix.instruments) {
            return funds::settle(&mut self.random, settled as u32, image);
        }
        if self.mix.swing > 0 || self.mix.crash > 0 {
            self.travel();
        }
        if self.random.percent(self.mix.drift) {
            let at = self.random.below(self.mids.len() as u64) as usize;
            let step = if self.random.below(2) == 0 { 1 } else { -1 };
            self.mids[at] = (self.mids[at] + step).clamp(MID / 2, MID + MID / 2);
        }
        let full = self.live.len() * 100 / self.mix.live.max(1);
        // New orders dominate while there are few, and balance with cancels when there are enough.
        let adds = 100_u64.saturating_sub((full as u64).saturating_sub(50)).clamp(10, 100);
        if self.mix.reports > 0 && self.random.percent(self.mix.reports) {
            let client = ClientId(1 + self.random.below(self.clients.into()) as u32);
            draw_report(&mut self.random, client, self.mids.len() as u64, image);
        } else if self.mix.funds > 0 && self.random.below(1_000) < self.mix.funds {
            self.transfers += 1;
            funds::draw(&mut self.random, self.clients, self.transfers, self.mids[0], image);
        } else if self.mix.shares > 0 && self.random.below(1_000) < self.mix.shares {
            let instrument = self.random.below(self.mids.len() as u64) as usize;
            phases::draw_shares(&mut self.random, instrument as u32 + 1, self.mids[instrument], image);
        } else if self.mix.phases > 0 && self.random.below(1_000) < self.mix.phases {
            let instrument = self.random.below(self.mids.len() as u64) as usize;
            phases::draw(&mut self.random, instrument as u32 + 1, self.mids[instrument], self.steps, image);
        } else if self.mix.risk > 0 && self.random.percent(self.mix.risk) {
            let client = ClientId(1 + self.random.below(self.clients.into()) as u32);
            draw_risk(&mut self.random, self.clients, client, self.mids[0], image);
        } else if !self.live.is_empty() && self.random.percent(self.mix.changes) {
            self.change(image);
        } else if self.crashes() && self.random.percent(self.mix.crash) {
            self.sweep(image);
        } else if self.live.is_empty() || self.random.percent(adds) {
            self.new_order(image);
        } else {
            self.cancel(image);
        }
    }
}

/// Makes it an order of another type, or of another time in force.
fn draw_type(random: &mut Random, order: &mut NewOrder) {
    let rests = !matches!(order.time_in_force.get(), TimeInForce::ImmediateOrCancel);
    match random.below(6) {
        0 => (order.order_type, order.price) = (OrderType::Market.into(), Price(0)),
        1 => (order.order_type, order.price) = (OrderType::MarketToLimit.into(), Price(0)),
        2 if rests => order.order_type = OrderType::PostOnly.into(),
        3 if rests => order.order_type = OrderType::PostOnlySlide.into(),
        4 => (order.time_in_force, order.expires) = (TimeInForce::Day.into(), Timestamp(0)),
        _ => {
            (order.time_in_force, order.expires) = (TimeInForce::FillOrKill.into(), Timestamp(0));
            if random.percent(50) {
                order.time_in_force = TimeInForce::ImmediateOrCancel.into();
                order.minimum = Quantity(1 + random.below(order.quantity.0));
            }
        }
    }
}

/// An order like `order` that displays a part of itself, or nothing.
fn draw_reserve(random: &mut Random, order: &NewOrder, price: Price) -> NewReserve {
    let quantity = 1 + order.quantity.0 + random.below(20);
    let (display, minimum) = draw_display(random, quantity);
    let rests = matches!(order.time_in_force.get(), TimeInForce::GoodTillDate | TimeInForce::Day);
    NewReserve {
        client_order: order.client_order,
        price,
        quantity: Quantity(quantity),
        display,
        minimum,
        expires: if rests { order.expires } else { Timestamp(0) },
        instrument: order.instrument,
        side: order.side,
        time_in_force: if rests { order.time_in_force } else { TimeInForce::GoodTillCancelled.into() },
        on_disconnect: order.on_disconnect,
        reserved: Reserved::default(),
    }
}

/// How much an order of that quantity displays, and its minimum.
fn draw_display(random: &mut Random, quantity: u64) -> (Quantity, Quantity) {
    let (display, minimum) = match random.below(4) {
        0 | 1 => (1 + random.below(quantity.min(8)), 0),
        2 => (0, 0),
        _ if random.percent(30) => (0, quantity),
        _ => (0, 1 + random.below(quantity)),
    };
    (Quantity(display.min(quantity - 1)), Quantity(minimum))
}

/// An order like `order` that follows a displayed price, up to `price` or farther.
fn draw_peg(random: &mut Random, order: &NewOrder, price: Price, spread: u64) -> NewPeg {
    let kinds = [Peg::Primary, Peg::Market, Peg::Midpoint, Peg::PrimaryDisplayed, Peg::MarketDisplayed];
    let peg = kinds[random.below(5) as usize];
    let offset = match peg {
        Peg::Midpoint if random.percent(98) => 0,
        Peg::MarketDisplayed if random.percent(98) => -1 - random.below(3) as i64,
        _ => random.below(7) as i64 - 3,
    };
    let farther = random.below(spread * 3) as i64;
    let rests = matches!(order.time_in_force.get(), TimeInForce::GoodTillDate | TimeInForce::Day);
    let has_minimum = random.percent(if peg.is_displayed() { 2 } else { 20 });
    let minimum = if has_minimum { 1 + random.below(order.quantity.0) } else { 0 };
    NewPeg {
        client_order: order.client_order,
        price: Price(if order.side.get() == Side::Buy { price.0 + farther } else { price.0 - farther }),
        offset: Price(offset),
        quantity: order.quantity,
        minimum: Quantity(minimum),
        expires: if rests { order.expires } else { Timestamp(0) },
        instrument: order.instrument,
        side: order.side,
        time_in_force: if rests { order.time_in_force } else { TimeInForce::GoodTillCancelled.into() },
        peg: peg.into(),
        on_disconnect: order.on_disconnect,
    }
}

/// A stop that becomes something like `order`, mostly triggered a little way off the middle.
fn draw_stop(random: &mut Random, order: &NewOrder, middle: i64, spread: u64) -> NewStop {
    let away = random.below(spread * 3) as i64 - 1;
    let trigger = if order.side.get() == Side::Buy { middle + away } else { middle - away };
    let (order_type, price) = match random.below(5) {
        0 | 1 => (OrderType::Limit, Price(trigger + random.below(5) as i64 - 2)),
        2 => (OrderType::MarketToLimit, Price(0)),
        _ => (OrderType::Market, Price(0)),
    };
    let trails = order_type != OrderType::Limit && random.percent(50);
    NewStop {
        client_order: order.client_order,
        trigger: Price(trigger),
        price,
        trail: Price(if trails { 1 + random.below(spread) as i64 } else { 0 }),
        quantity: order.quantity,
        expires: order.expires,
        instrument: order.instrument,
        side: order.side,
        time_in_force: order.time_in_force,
        order_type: order_type.into(),
        on_disconnect: order.on_disconnect,
    }
}

/// Makes it a request for a report.
fn draw_report(random: &mut Random, client: ClientId, instruments: u64, image: &mut CommandImage) {
    let instrument = InstrumentId(1 + random.below(instruments + 1) as u32);
    match random.below(5) {
        0 => {
            let client_order = ClientOrderId(1 + random.below(200));
            image.set(client, Command::GetOrder(&GetOrder { client_order }));
        }
        1 => image.set(client, Command::GetOpenOrders(&GetOpenOrders { reserved: Reserved::default() })),
        2 => image.set(client, Command::GetAccount(&GetAccount { reserved: Reserved::default() })),
        3 => {
            let (depth, reserved) = (random.below(12) as u16, Reserved::default());
            image.set(client, Command::GetBook(&GetBook { instrument, depth, reserved }));
        }
        _ => {
            let reserved = Reserved::default();
            image.set(client, Command::GetStatistics(&GetStatistics { instrument, reserved }));
        }
    }
}

/// Makes it something for many orders: `client`'s own, another's or all.
fn draw_risk(random: &mut Random, clients: u32, client: ClientId, middle: i64, image: &mut CommandImage) {
    let other = Account(1 + random.below(clients.into()) as u32);
    let reserved = Reserved::default();
    match random.below(15) {
        14 => {
            let reader = Account(random.below(5) as u32);
            image.set(client, Command::SetDropCopy(&SetDropCopy { account: other, reader }));
        }
        13 => {
            // Half of the time there is none.
            let mut limit = |most: u64| if random.percent(50) { 0 } else { 1 + random.below(most) };
            let (order_quantity, orders) = (Quantity(limit(40)), limit(20) as u32);
            let order_value = limit(40) * middle.unsigned_abs();
            let set = SetLimits { order_quantity, order_value, account: other, orders };
            image.set(client, Command::SetLimits(&set));
        }
        0 => {
            let kill_switch = KillSwitch::On.into();
            let (scope, account) = (Scope::Own.into(), Account(0));
            image.set(client, Command::SetKillSwitch(&SetKillSwitch { account, scope, kill_switch, reserved }));
        }
        // Switches go off more often than on, so that most accounts trade.
        1..=4 => {
            let kill_switch = if random.percent(10) { KillSwitch::On } else { KillSwitch::Off }.into();
            let (scope, account) = (Scope::Account.into(), other);
            image.set(client, Command::SetKillSwitch(&SetKillSwitch { account, scope, kill_switch, reserved }));
        }
        6..=8 => {
            let group = random.below(3) as u32;
            let self_trade = match random.below(5) {
                0 => SelfTrade::Allow,
                1 => SelfTrade::CancelNewest,
                2 => SelfTrade::CancelOldest,
                3 => SelfTrade::CancelBoth,
                _ => SelfTrade::DecrementAndCancel,
            };
            let (self_trade, reserved) = (self_trade.into(), Reserved::default());
            image.set(client, Command::SetSelfTrade(&SetSelfTrade { account: other, group, self_trade, reserved }));
        }
        5 => {
            let on_disconnect = if random.percent(50) { OnDisconnect::Cancel } else { OnDisconnect::Keep }.into();
            let reserved = Reserved::default();
            image.set(client, Command::SetOnDisconnect(&SetOnDisconnect { on_disconnect, reserved }));
        }
        _ => {
            let (scope, account) = match random.below(3) {
                0 => (Scope::Own, Account(0)),
                1 => (Scope::Account, other),
                _ => (Scope::Everyone, Account(0)),
            };
            let sides = [Sides::Buy, Sides::Sell, Sides::Both][random.below(3) as usize];
            let near = |random: &mut Random| Price(middle + random.below(9) as i64 - 4);
            let (price_min, price_max) = match random.below(3) {
                0 => (Price(i64::MIN), Price(i64::MAX)),
                _ => (near(random), near(random)),
            };
            let instrument = InstrumentId(random.below(4) as u32);
            let (scope, sides, reserved) = (scope.into(), sides.into(), Reserved::default());
            let command = MassCancel { price_min, price_max, instrument, account, scope, sides, reserved };
            image.set(client, Command::MassCancel(&command));
        }
    }
}

/// A limit order of instrument 1 that asks for nothing else.
pub(super) fn limit_order(
    client_order: ClientOrderId,
    side: Side,
    price: Price,
    quantity: Quantity,
    time_in_force: TimeInForce,
) -> NewOrder {
    NewOrder {
        client_order,
        price,
        quantity,
        minimum: Quantity(0),
        expires: Timestamp(0),
        instrument: InstrumentId(1),
        side: side.into(),
        time_in_force: time_in_force.into(),
        order_type: OrderType::Limit.into(),
        on_disconnect: OnDisconnect::Keep.into(),
    }
}

/// The terms that workloads give an instrument.
pub(super) fn terms(instrument: u32) -> DefineInstrument {
    DefineInstrument {
        price_min: Price(1),
        price_max: Price(PRICE_MAX),
        tick: Price(1),
        lot: Quantity(1),
        protection: Price(2),
        // Some time after the first second, at which times of workloads begin.
        day_end: 1_000_000_000 + u64::from(instrument) * 7_000_000,
        instrument: InstrumentId(instrument),
        price_decimals: 2,
        reserved: Reserved::default(),
    }
}
