//! Books of a given size: what a command costs by how much stands.

use super::{limit_order, terms};
use crate::matching::messages::{
    Cancel, ClientOrderId, Command, InstrumentId, NewOrder, Price, Quantity, Side, TimeInForce,
};
use alloc::boxed::Box;
use alloc::vec::Vec;
use ringfence_kernel::ClientId;
use ringfence_kernel::random::Random;
use ringfence_kernel::workload::{CommandImage, Workload};

/// How much stands, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Orders that stand.
    pub orders: u32,
    /// Instruments over which they are spread.
    pub instruments: u32,
}

/// Prices of each side of an instrument.
const PRICES: u64 = 500;
const MID: i64 = 1_000_000;
/// So much that those who take a lot at a time leave all orders standing.
const QUANTITY: u64 = 1_000_000_000;

impl Size {
    /// Commands until all orders stand.
    #[must_use]
    pub const fn set_up(&self) -> u64 {
        self.instruments as u64 + self.orders as u64
    }

    /// Price levels there may be at once.
    #[must_use]
    pub fn levels(&self) -> u64 {
        let prices = 2 * PRICES * u64::from(self.instruments);
        prices.min(u64::from(self.orders) + 1).max(2)
    }

    /// Sets up that much, and then without end: of ten commands, one trades a lot at the best price, and the others
    /// cancel any order that stands and enter another one anywhere, by turns.
    #[must_use]
    pub fn workload(self, seed: u64, clients: u32) -> Box<dyn Workload> {
        let live = Vec::with_capacity(self.orders as usize);
        Box::new(Deep { size: self, random: Random::new(seed), clients: clients.max(1), steps: 0, live, vacant: false })
    }
}

struct Deep {
    size: Size,
    random: Random,
    clients: u32,
    steps: u64,
    /// Who entered each order that stands, and under which number.
    live: Vec<(ClientId, u64)>,
    /// An order was cancelled, for which another one is to come: at the end of those that stand.
    vacant: bool,
}

impl Deep {
    fn order(&mut self) -> NewOrder {
        let side = if self.random.below(2) == 0 { Side::Buy } else { Side::Sell };
        let away = 1 + self.random.below(PRICES) as i64;
        let price = Price(if side == Side::Buy { MID - away } else { MID + away });
        let instrument = InstrumentId(1 + self.random.below(self.size.instruments.into()) as u32);
        let (number, quantity) = (ClientOrderId(self.steps), Quantity(QUANTITY));
        NewOrder { instrument, ..limit_order(number, side, price, quantity, TimeInForce::GoodTillCancelled) }
    }

    fn client(&mut self) -> ClientId {
        ClientId(1 + self.random.below(self.clients.into()) as u32)
    }

    fn enter(&mut self, image: &mut CommandImage) {
        let (client, order) = (self.client(), self.order());
        self.live.push((client, order.client_order.0));
        image.set(client, Command::NewOrder(&order));
    }

    fn take(&mut self, image: &mut CommandImage) {
        let (client, order) = (self.client(), self.order());
        let price = Price(if order.side.get() == Side::Buy { MID + MID / 2 } else { MID / 2 });
        let (quantity, time_in_force) = (Quantity(1), TimeInForce::ImmediateOrCancel.into());
        image.set(client, Command::NewOrder(&NewOrder { price, quantity, time_in_force, ..order }));
    }
}

impl Workload for Deep {
    fn next(&mut self, image: &mut CommandImage) {
        self.steps += 1;
        let Size { orders, instruments } = self.size;
        if self.steps <= u64::from(instruments) {
            return image.set(ClientId(1), Command::DefineInstrument(&terms(self.steps as u32)));
        }
        if self.steps <= self.size.set_up() {
            return self.enter(image);
        }
        if orders == 0 || self.random.below(10) == 0 {
            return self.take(image);
        }
        self.vacant = !self.vacant;
        if !self.vacant {
            return self.enter(image);
        }
        let at = self.random.below(self.live.len() as u64) as usize;
        let (client, number) = self.live.swap_remove(at);
        image.set(client, Command::Cancel(&Cancel { client_order: ClientOrderId(number) }));
    }
}
