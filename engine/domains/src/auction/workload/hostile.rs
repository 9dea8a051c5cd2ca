//! Whatever a client could send.

use super::super::messages::WHOLE;
use super::flow::Flow;
use super::{MIXED, Mix, pick};
use ringfence_kernel::ClientId;
use ringfence_kernel::image::COMMAND_HEADER_BYTES;
use ringfence_kernel::random::Random;
use ringfence_kernel::workload::{CommandImage, Workload};

/// Whatever a client could send: edges of ranges, and bodies that are no messages.
pub(super) struct Hostile {
    random: Random,
    clients: u32,
    flow: Flow,
}

impl Hostile {
    pub(super) fn new(seed: u64, clients: u32) -> Self {
        let mix = Mix { before: clients.into(), items: 8, campaigns: 4, placements: 4, ..MIXED };
        Self { random: Random::new(!seed), clients: clients.max(1), flow: Flow::new(seed, clients, mix) }
    }
}

impl Workload for Hostile {
    fn next(&mut self, image: &mut CommandImage) {
        self.flow.next(image);
        let client = ClientId(1 + self.random.below(self.clients.into()) as u32);
        let mut bytes = image.bytes().to_vec();
        let body = COMMAND_HEADER_BYTES;
        match self.random.below(8) {
            // A field becomes an edge of its range.
            0..2 => {
                let at = body + 4 * self.random.below(((bytes.len() - body) / 4) as u64) as usize;
                let edge: u32 = pick(&mut self.random, &[0, 1, u32::MAX, i32::MAX as u32, WHOLE, WHOLE + 1]);
                bytes[at..at + 4].copy_from_slice(&edge.to_le_bytes());
            }
            // A bit of the message header or the body flips.
            2 => {
                let from = body - size_of::<ringfence_kernel::MessageHeader>();
                let at = from + self.random.below((bytes.len() - from) as u64) as usize;
                bytes[at] ^= 1 << self.random.below(8);
            }
            3 if self.random.percent(30) => bytes.truncate(body + 8 * self.random.below(4) as usize),
            _ => {}
        }
        image.set_bytes(client, &bytes);
    }
}
