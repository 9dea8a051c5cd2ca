//! Those who run campaigns, and those who show advertisements.

use super::super::messages::{Attribute, Target};
use super::super::messages::{
    Command, CurrencyId, Dimension, EventKind, HoldAuction, Nanos, PlacementId, RecordEvent, SLOTS_MAX, UserKey, WinId,
};
use super::preparing::{advertisers, creatives, terms};
use super::terms::{amount, attribute};
use super::{Mix, pick};
use alloc::vec::Vec;
use ringfence_kernel::ClientId;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::random::Random;
use ringfence_kernel::workload::{CommandImage, Workload};

/// The first second of the times that workloads assume.
const START_NS: u64 = 1_000_000_000;
/// Wins that events are for: of the auctions held last.
pub(super) const RECENT: usize = 16;

/// Those who run campaigns, and those who show advertisements.
pub struct Flow {
    pub(super) mix: Mix,
    pub(super) random: Random,
    clients: u32,
    commands: u64,
    /// Places in the log of the auctions held last.
    pub(super) recent: [u64; RECENT],
    pub(super) auctions: usize,
    pub(super) targets: Vec<Target>,
    attributes: Vec<Attribute>,
}

impl Flow {
    /// The commands of `seed` with that `mix`.
    #[must_use]
    pub fn new(seed: u64, clients: u32, mix: Mix) -> Self {
        Self {
            mix,
            random: Random::new(seed),
            clients: clients.max(1),
            commands: 0,
            recent: [0; RECENT],
            auctions: 0,
            targets: Vec::new(),
            attributes: Vec::new(),
        }
    }

    /// Commands that prepare: a campaign or a line item and its start, a placement.
    #[must_use]
    pub fn preparations(mix: &Mix) -> u64 {
        let Mix { campaigns, items, placements, .. } = *mix;
        terms(mix) + advertisers(mix) + 2 * u64::from(campaigns + items) + 2 * creatives(mix) + u64::from(placements)
    }

    pub(super) fn now(&self) -> u64 {
        START_NS + (self.mix.before + self.commands) * self.mix.tick
    }

    /// What a request may have beside values that are targeted: deals, labels that it blocks, bids made elsewhere.
    fn more_attributes(&mut self) {
        let random = &mut self.random;
        for size in 1..4 {
            if random.percent(60) {
                self.attributes.push(attribute(Dimension::Size, size));
            }
        }
        for deal in 0..3 {
            if random.percent(25) {
                let floor = if random.percent(50) { 1 + random.below(9) } else { 0 };
                self.attributes.push(amount(Dimension::Deal, deal, floor));
            }
        }
        if random.percent(20) {
            self.attributes.push(attribute(Dimension::AdCategory, random.below(2) as u32));
        }
        for bidder in 0..3 {
            if random.percent(20) {
                let bids_max = if random.percent(50) { 0 } else { 1 + random.below(3) as u8 };
                let bids = if random.percent(50) { 1 } else { 1 + random.below(4) };
                for _ in 0..bids {
                    let bid = amount(Dimension::Bidder, bidder, random.below(16));
                    self.attributes.push(Attribute { bids_max, ..bid });
                }
            }
        }
        if random.percent(15) {
            self.attributes.push(attribute(Dimension::Label, random.below(3) as u32));
        }
    }

    fn hold(&mut self, image: &mut CommandImage) {
        let Mix { values, users, placements, varied, before, .. } = self.mix;
        let random = &mut self.random;
        self.attributes.clear();
        for dimension in [Dimension::Geography, Dimension::Device] {
            self.attributes.push(attribute(dimension, random.below(values.into()) as u32));
        }
        let first = random.below(8) as u32;
        self.attributes.push(attribute(Dimension::Category, first));
        if random.percent(30) {
            self.attributes.push(attribute(Dimension::Category, first + 1 + random.below(4) as u32));
        }
        if varied {
            self.more_attributes();
        }
        let random = &mut self.random;
        let unknown = varied && random.percent(5);
        let foreign = varied && random.percent(20);
        let few = varied && random.percent(20);
        let command = HoldAuction {
            user: UserKey(if unknown { 0 } else { 1 + random.below(users) }),
            floor: Nanos(if varied && random.percent(20) { random.below(9) } else { 0 }),
            placement: PlacementId(1 + random.below(placements.into()) as u32),
            currency: CurrencyId(if foreign { 1 + random.below(2) as u16 } else { 0 }),
            slots: if few { 1 + random.below(4) as u8 } else { 0 },
            reserved: Reserved::default(),
        };
        self.recent[self.auctions % RECENT] = before + self.commands;
        self.auctions += 1;
        let client = ClientId(1 + random.below(self.clients.into()) as u32);
        image.set(client, Command::HoldAuction(&command, &self.attributes));
    }

    fn record(&mut self, image: &mut CommandImage) {
        let random = &mut self.random;
        let auction = if self.mix.varied {
            self.recent[random.below(self.auctions.min(RECENT) as u64) as usize]
        } else {
            self.recent[(self.auctions - 1) % RECENT]
        };
        let elsewhere = self.mix.varied && random.percent(30);
        let slot = if elsewhere { random.below(SLOTS_MAX as u64) } else { 0 };
        let kinds = [EventKind::Impression, EventKind::Impression, EventKind::Click, EventKind::Conversion];
        let kind = if self.mix.varied { pick(random, &kinds) } else { EventKind::Impression };
        let (win, reserved) = (WinId(auction * SLOTS_MAX as u64 + slot), Reserved::default());
        let source = if self.mix.varied { random.below(4) as u32 } else { 0 };
        let client = ClientId(1 + random.below(self.clients.into()) as u32);
        image.set(client, Command::RecordEvent(&RecordEvent { win, kind: kind.into(), reserved, source }));
    }
}

impl Workload for Flow {
    fn next(&mut self, image: &mut CommandImage) {
        let at = self.commands;
        self.commands += 1;
        if at < Self::preparations(&self.mix) {
            self.prepare(at, image);
        } else if self.mix.varied {
            match self.random.below(100) {
                0..50 => self.hold(image),
                50..90 if self.auctions > 0 => self.record(image),
                _ => self.change(image),
            }
        } else if at.is_multiple_of(2) {
            self.record_or_hold(image);
        } else {
            self.hold(image);
        }
    }
}

impl Flow {
    fn record_or_hold(&mut self, image: &mut CommandImage) {
        if self.auctions > 0 { self.record(image) } else { self.hold(image) }
    }
}
