//! What no client should send.

use super::{draw_report, draw_risk, funds, phases, terms};
use crate::matching::messages::{
    Cancel, CancelMany, CancelManyOrder, ClientOrderId, Command, DefineInstrument, InstrumentId, NewOrder, NewPeg,
    NewReserve, NewStop, OnDisconnect, OrderType, Peg, Price, QUANTITY_MAX, Quantity, Reduce, Replace, ReplaceReserve,
    ReplaceStop, Side, TimeInForce,
};
use alloc::vec::Vec;
use ringfence_kernel::image::COMMAND_HEADER_BYTES;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::random::Random;
use ringfence_kernel::workload::{CommandImage, Workload};
use ringfence_kernel::{ClientId, Timestamp};

/// Whatever a client could send: edges of ranges, and bodies that are no messages.
pub(super) struct Hostile {
    random: Random,
    clients: u32,
}

impl Hostile {
    pub(super) fn new(seed: u64, clients: u32) -> Self {
        Self { random: Random::new(seed), clients: clients.max(1) }
    }

    fn signed(&mut self) -> i64 {
        const EDGES: [i64; 8] = [0, -1, 1, i64::MIN, i64::MAX, i64::MIN + 1, i64::MAX - 1, 5];
        match self.random.below(4) {
            0 => EDGES[self.random.below(8) as usize],
            1 => self.random.next() as i64,
            _ => self.random.below(40) as i64 - 10,
        }
    }

    fn unsigned(&mut self) -> u64 {
        match self.random.below(20) {
            0 => 0,
            1 => u64::MAX,
            2 => QUANTITY_MAX + self.random.below(2),
            3 => self.random.next(),
            _ => 1 + self.random.below(30),
        }
    }

    fn command(&mut self, client: ClientId, image: &mut CommandImage) {
        let client_order = ClientOrderId(if self.random.percent(1) { u64::MAX } else { self.random.below(40) });
        match self.random.below(20) {
            19 => {
                let instrument = 1 + self.random.below(5) as u32;
                funds::settle(&mut self.random, instrument, image);
            }
            18 => {
                let number = self.random.below(400);
                funds::draw(&mut self.random, self.clients, number, 10, image);
            }
            17 => {
                let (instrument, middle) = (self.random.below(6) as u32, self.random.below(40) as i64 - 10);
                phases::draw_shares(&mut self.random, instrument, middle, image);
            }
            16 => draw_report(&mut self.random, client, 5, image),
            15 if self.random.percent(50) => self.peg(client, client_order, image),
            15 => self.reserve(client, client_order, image),
            14 => {
                let (instrument, middle) = (self.random.below(6) as u32, self.signed());
                let steps = self.random.below(100_000);
                phases::draw(&mut self.random, instrument, middle.clamp(-1_000, 1_000), steps, image);
            }
            13 => self.stop(client, client_order, image),
            12 => draw_risk(&mut self.random, self.clients, client, 10, image),
            0 => {
                let (price_min, price_max) = (Price(self.signed()), Price(self.signed()));
                let mut define = DefineInstrument { price_min, price_max, ..terms(self.random.below(6) as u32) };
                match self.random.below(4) {
                    0 => (define.tick, define.lot) = (Price(self.signed()), Quantity(self.unsigned())),
                    1 => (define.price_min, define.price_max) = (Price(i64::MIN), Price(i64::MAX)),
                    _ => {}
                }
                if self.random.percent(20) {
                    (define.protection, define.day_end) = (Price(self.signed()), self.unsigned());
                }
                define.price_decimals = self.random.below(20) as u8;
                image.set(client, Command::DefineInstrument(&define));
            }
            1..=6 => {
                let side = if self.random.below(2) == 0 { Side::Buy } else { Side::Sell };
                let kinds = if self.random.percent(10) { 7 } else { 5 };
                let time_in_force = match self.random.below(kinds) {
                    5 => TimeInForce::AtOpen,
                    6 => TimeInForce::AtClose,
                    0 => TimeInForce::GoodTillCancelled,
                    1 => TimeInForce::ImmediateOrCancel,
                    2 => TimeInForce::FillOrKill,
                    3 => TimeInForce::Day,
                    _ => TimeInForce::GoodTillDate,
                };
                let order_type = match self.random.below(8) {
                    0 => OrderType::Market,
                    1 => OrderType::MarketToLimit,
                    2 => OrderType::PostOnly,
                    3 => OrderType::PostOnlySlide,
                    _ => OrderType::Limit,
                };
                let is_market = matches!(order_type, OrderType::Market | OrderType::MarketToLimit);
                let price = if is_market && self.random.percent(80) { 0 } else { self.signed() };
                let minimum = if self.random.percent(10) { self.unsigned() } else { 0 };
                let expires = match time_in_force {
                    TimeInForce::GoodTillDate => Timestamp(1_000_000_000 + self.random.below(200_000_000)),
                    _ if self.random.percent(3) => Timestamp(self.random.next()),
                    _ => Timestamp(0),
                };
                let order = NewOrder {
                    client_order,
                    price: Price(price),
                    quantity: Quantity(self.unsigned()),
                    minimum: Quantity(minimum),
                    expires,
                    instrument: InstrumentId(self.random.below(6) as u32),
                    side: side.into(),
                    time_in_force: time_in_force.into(),
                    order_type: order_type.into(),
                    on_disconnect: if self.random.percent(20) { OnDisconnect::Cancel } else { OnDisconnect::Keep }
                        .into(),
                };
                image.set(client, Command::NewOrder(&order));
            }
            7 => image.set(client, Command::Cancel(&Cancel { client_order })),
            8 => {
                let (price, quantity) = (Price(self.signed()), Quantity(self.unsigned()));
                match self.random.below(4) {
                    0 => {
                        let trigger = Price(self.signed());
                        let price = if self.random.percent(50) { Price(0) } else { price };
                        let trail = Price(if self.random.percent(50) { 0 } else { self.signed() });
                        let stop = ReplaceStop { client_order, trigger, price, trail, quantity };
                        image.set(client, Command::ReplaceStop(&stop));
                    }
                    1 => {
                        let display = Quantity(if self.random.percent(30) { 0 } else { self.unsigned() });
                        let minimum = Quantity(if self.random.percent(60) { 0 } else { self.unsigned() });
                        let reserve = ReplaceReserve { client_order, price, quantity, display, minimum };
                        image.set(client, Command::ReplaceReserve(&reserve));
                    }
                    _ => image.set(client, Command::Replace(&Replace { client_order, price, quantity })),
                }
            }
            9 => {
                let quantity = Quantity(self.unsigned());
                image.set(client, Command::Reduce(&Reduce { client_order, quantity }));
            }
            _ => {
                let list: Vec<_> = (0..self.random.below(60))
                    .map(|_| CancelManyOrder { client_order: ClientOrderId(self.random.below(40)) })
                    .collect();
                image.set(client, Command::CancelMany(&CancelMany { reserved: Reserved::default() }, &list));
            }
        }
    }
}

impl Hostile {
    fn reserve(&mut self, client: ClientId, client_order: ClientOrderId, image: &mut CommandImage) {
        let times = [TimeInForce::GoodTillCancelled, TimeInForce::Day, TimeInForce::FillOrKill, TimeInForce::AtClose];
        let reserve = NewReserve {
            client_order,
            price: Price(self.signed()),
            quantity: Quantity(self.unsigned()),
            display: Quantity(if self.random.percent(30) { 0 } else { self.unsigned() }),
            minimum: Quantity(if self.random.percent(60) { 0 } else { self.unsigned() }),
            expires: Timestamp(if self.random.percent(5) { 1_100_000_000 } else { 0 }),
            instrument: InstrumentId(self.random.below(6) as u32),
            side: if self.random.below(2) == 0 { Side::Buy } else { Side::Sell }.into(),
            time_in_force: times[(self.random.below(9) as usize).saturating_sub(5)].into(),
            on_disconnect: OnDisconnect::Keep.into(),
            reserved: Reserved::default(),
        };
        image.set(client, Command::NewReserve(&reserve));
    }

    fn peg(&mut self, client: ClientId, client_order: ClientOrderId, image: &mut CommandImage) {
        let times = [TimeInForce::GoodTillCancelled, TimeInForce::Day, TimeInForce::FillOrKill];
        let pegs = [Peg::Primary, Peg::Market, Peg::Midpoint, Peg::PrimaryDisplayed, Peg::MarketDisplayed];
        let peg = NewPeg {
            client_order,
            price: Price(self.signed()),
            offset: Price(if self.random.percent(50) { 0 } else { self.signed() }),
            quantity: Quantity(self.unsigned()),
            minimum: Quantity(if self.random.percent(60) { 0 } else { self.unsigned() }),
            expires: Timestamp(if self.random.percent(5) { 1_100_000_000 } else { 0 }),
            instrument: InstrumentId(self.random.below(6) as u32),
            side: if self.random.below(2) == 0 { Side::Buy } else { Side::Sell }.into(),
            time_in_force: times[(self.random.below(7) as usize).saturating_sub(4)].into(),
            peg: pegs[self.random.below(5) as usize].into(),
            on_disconnect: OnDisconnect::Keep.into(),
        };
        image.set(client, Command::NewPeg(&peg));
    }

    fn stop(&mut self, client: ClientId, client_order: ClientOrderId, image: &mut CommandImage) {
        let choices = [OrderType::Limit, OrderType::Market, OrderType::MarketToLimit, OrderType::PostOnly];
        let order_type = choices[self.random.below(4) as usize];
        let times =
            [TimeInForce::GoodTillCancelled, TimeInForce::Day, TimeInForce::FillOrKill, TimeInForce::GoodTillDate];
        let no_price = order_type != OrderType::Limit && self.random.percent(80);
        let stop = NewStop {
            client_order,
            trigger: Price(self.signed()),
            price: Price(if no_price { 0 } else { self.signed() }),
            trail: Price(if self.random.percent(50) { 0 } else { self.signed() }),
            quantity: Quantity(self.unsigned()),
            expires: Timestamp(if self.random.percent(10) { 1_100_000_000 } else { 0 }),
            instrument: InstrumentId(self.random.below(6) as u32),
            side: if self.random.below(2) == 0 { Side::Buy } else { Side::Sell }.into(),
            time_in_force: times[self.random.below(4) as usize].into(),
            order_type: order_type.into(),
            on_disconnect: OnDisconnect::Cancel.into(),
        };
        image.set(client, Command::NewStop(&stop));
    }
}

impl Workload for Hostile {
    fn next(&mut self, image: &mut CommandImage) {
        let client = ClientId(1 + self.random.below(self.clients.into()) as u32);
        self.command(client, image);
        if self.random.percent(80) {
            return;
        }
        // Break it: flip a byte of the message header or the body, or cut it, or add to it.
        let mut bytes = image.bytes().to_vec();
        match self.random.below(4) {
            0 => bytes.truncate(COMMAND_HEADER_BYTES + 8 * self.random.below(4) as usize),
            1 => bytes.extend_from_slice(&[self.random.next() as u8; 16][..8 * (1 + self.random.below(2) as usize)]),
            _ => {
                let from = COMMAND_HEADER_BYTES - size_of::<ringfence_kernel::MessageHeader>();
                let at = from + self.random.below((bytes.len() - from) as u64) as usize;
                bytes[at] ^= 1 << self.random.below(8);
            }
        }
        image.set_bytes(client, &bytes);
    }
}
