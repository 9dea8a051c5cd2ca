//! The mix of messages that exchange-core measures itself with: mostly orders that are moved.

use super::{limit_order, terms};
use crate::matching::messages::{Cancel, ClientOrderId, Command, Price, Quantity, Replace, Side, TimeInForce};
use alloc::vec::Vec;
use ringfence_kernel::ClientId;
use ringfence_kernel::random::Random;
use ringfence_kernel::workload::{CommandImage, Workload};

/// Of a hundred messages 9 are orders that rest, 3 trade at once or go, 6 cancel, 82 replace. About 1,000 orders stand at
/// about 750 prices. It knows what is live: bids and asks have prices of their own, and only the 3 trade.
pub(super) struct Exchange {
    random: Random,
    clients: u32,
    steps: u64,
    numbers: u64,
    live: Vec<Live>,
}

#[derive(Clone, Copy)]
struct Live {
    client: ClientId,
    client_order: ClientOrderId,
    side: Side,
    /// How far from the best price there could be, and since when.
    away: u64,
    since: u64,
    quantity: u64,
    left: u64,
}

const MID: i64 = 1_000_000;
/// Prices of each side, so many that 500 orders stand at about 375 of them.
const PRICES: u64 = 850;
const LIVE: usize = 1_000;

fn price(side: Side, away: u64) -> Price {
    Price(if side == Side::Buy { MID - away as i64 } else { MID + 1 + away as i64 })
}

impl Exchange {
    pub(super) fn new(seed: u64, clients: u32) -> Self {
        Self { random: Random::new(seed), clients: clients.max(1), steps: 0, numbers: 0, live: Vec::new() }
    }

    fn any(&mut self) -> usize {
        self.random.below(self.live.len() as u64) as usize
    }

    fn order(&mut self, time_in_force: TimeInForce, image: &mut CommandImage) {
        let client = ClientId(1 + self.random.below(self.clients.into()) as u32);
        let side = if self.random.below(2) == 0 { Side::Buy } else { Side::Sell };
        let away = self.random.below(PRICES);
        self.numbers += 1;
        let (client_order, quantity) = (ClientOrderId(self.numbers), 1 + self.random.below(100));
        let at = if time_in_force == TimeInForce::ImmediateOrCancel {
            self.take(side.opposite(), away, quantity);
            price(side.opposite(), away)
        } else {
            let (since, left) = (self.steps, quantity);
            self.live.push(Live { client, client_order, side, away, since, quantity, left });
            price(side, away)
        };
        let order = limit_order(client_order, side, at, Quantity(quantity), time_in_force);
        image.set(client, Command::NewOrder(&order));
    }

    /// Takes that much of one side, down to a price.
    fn take(&mut self, side: Side, away: u64, mut quantity: u64) {
        while quantity > 0 {
            let met = self.live.iter().enumerate().filter(|(_, live)| live.side == side && live.away <= away);
            let Some((at, _)) = met.min_by_key(|(_, live)| (live.away, live.since)) else { return };
            let traded = self.live[at].left.min(quantity);
            quantity -= traded;
            self.live[at].left -= traded;
            if self.live[at].left == 0 {
                self.live.swap_remove(at);
            }
        }
    }
}

impl Workload for Exchange {
    fn next(&mut self, image: &mut CommandImage) {
        self.steps += 1;
        if self.steps == 1 {
            return image.set(ClientId(1), Command::DefineInstrument(&terms(1)));
        }
        // The book is filled first, and kept about full.
        match self.random.below(100) {
            _ if self.live.len() < LIVE * 9 / 10 => self.order(TimeInForce::GoodTillCancelled, image),
            0..9 if self.live.len() < LIVE * 11 / 10 => self.order(TimeInForce::GoodTillCancelled, image),
            9..12 => self.order(TimeInForce::ImmediateOrCancel, image),
            12..18 => {
                let at = self.any();
                let Live { client, client_order, .. } = self.live.swap_remove(at);
                image.set(client, Command::Cancel(&Cancel { client_order }));
            }
            _ => {
                let (at, away) = (self.any(), self.random.below(PRICES));
                let live = &mut self.live[at];
                (live.away, live.since) = (away, self.steps);
                let Live { client, client_order, side, quantity, .. } = *live;
                let (price, quantity) = (price(side, away), Quantity(quantity));
                image.set(client, Command::Replace(&Replace { client_order, price, quantity }));
            }
        }
    }
}
