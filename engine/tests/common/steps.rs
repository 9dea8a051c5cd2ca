//! The simulator: the stages of a pipeline driven step by step on one thread, in an order that a seed chooses.

use super::{Front, Setup, assembled};
use ringfence_domains::Domains;
use ringfence_domains::matching::messages::{CANCEL_MANY_MAX, CancelMany, CancelManyOrder, ClientOrderId, Command};
use ringfence_domains::workloads::find;
use ringfence_engine::Machine;
use ringfence_engine::pipeline::Stages;
use ringfence_engine::port::FrontEnd as _;
use ringfence_engine::replicate_stage::Solo;
use ringfence_engine::start::Ready;
use ringfence_journal::Options;
use ringfence_kernel::ClientId;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::random::Random;
use ringfence_kernel::workload::{CommandImage, Workload};

/// Rings so small that they fill up.
pub const RING_SLOTS: usize = 256;

/// A setup for simulations: little memory, small rings.
pub fn small() -> Setup {
    Setup { orders: 2_048, reply_window: 32, clients: 4, ring_slots: RING_SLOTS, ..Setup::default() }
}

/// Journal options for simulations: small segments, everything on the driver's thread.
pub fn options(setup: &Setup) -> Options {
    Options::small(setup.level.into())
}

/// Small resting orders, many trades, and every tenth command a list of up to 4,090 cancels: 128 slots.
pub struct Long {
    crowded: Box<dyn Workload>,
    random: Random,
    clients: u32,
}

impl Long {
    pub fn new(kind: &str, seed: u64, clients: u32) -> Self {
        let crowded = (find("matching", kind).expect("it exists").new)(seed, clients);
        Self { crowded, random: Random::new(seed ^ 0x107A), clients }
    }
}

impl Workload for Long {
    fn next(&mut self, image: &mut CommandImage) {
        if !self.random.percent(10) {
            return self.crowded.next(image);
        }
        let random = &mut self.random;
        let most = if random.percent(20) { CANCEL_MANY_MAX } else { 200 };
        let orders = 1 + random.below(most as u64) as usize;
        let list = (0..orders).map(|_| CancelManyOrder { client_order: ClientOrderId(1 + random.below(2_000)) });
        let list = list.collect::<Vec<_>>();
        let client = ClientId(1 + random.below(self.clients.into()) as u32);
        image.set(client, Command::CancelMany(&CancelMany { reserved: Reserved::default() }, &list));
    }
}

/// A pipeline, and which of its parts goes next.
pub struct Steps {
    pub front: Front,
    pub stages: Stages<Domains, Solo>,
    pub random: Random,
    /// How often each part is chosen, in a hundred: publish, append, sync, replicate, execute, take.
    pub shares: [u64; 6],
}

impl Steps {
    pub fn new(ready: Ready<Domains>, setup: &Setup, frames: Vec<CommandImage>, now: u64, mut random: Random) -> Self {
        let (front, stages) = assembled(ready, setup, frames, now);
        // Some seeds let one part sleep for long, so that the rings before it fill up.
        let mut shares = [20; 6];
        shares[random.below(6) as usize] = 1;
        Self { front, stages, random, shares }
    }

    /// One step of one part; gives how much it did.
    pub fn step(&mut self) -> usize {
        let Self { front, stages, random, shares } = self;
        let mut chosen = random.below(shares.iter().sum());
        let part = shares.iter().position(|share| {
            let here = chosen < *share;
            chosen = chosen.saturating_sub(*share);
            here
        });
        let work = match part.expect("the shares add up") {
            0 => front.publish(1 + random.below(40) as usize),
            1 => stages.journal.append_all(),
            2 => {
                stages.journal.sync();
                0
            }
            3 => stages.replicate.step(),
            4 => stages.execute.step(),
            _ => front.take(1),
        };
        let (journal, replicate, execute) =
            (stages.journal.position(), stages.replicate.position(), stages.execute.position());
        assert!(journal >= replicate && replicate >= execute, "{journal}, {replicate}, {execute}: out of order");
        work
    }

    /// Steps until all is answered.
    ///
    /// # Panics
    /// When it takes longer than any sound pipeline does.
    pub fn run(&mut self) {
        for _ in 0..2_000_000 {
            if self.front.is_done() && self.stages.execute.position() == self.front.claimed() {
                // What was said last may still wait for room.
                while self.stages.execute.step() + self.front.take(usize::MAX) > 0 {}
                return;
            }
            self.step();
        }
        panic!("the pipeline stands still");
    }

    /// The state, when all is done and the journal is closed.
    pub fn finish(self) -> Machine<Domains> {
        let Stages { journal, execute, .. } = self.stages;
        journal.into_writer().close().expect("the journal closes");
        execute.into_machine()
    }
}
