//! Bodies of the fuzz targets in `tools/fuzz`. Ordinary tests run them on seeded bytes.

mod small;

use crate::atm;
use crate::auction;
use crate::matching::messages::{Command, MatchingLimits};
use crate::matching::model::Model;
use crate::votes;
use alloc::vec::Vec;
use ringfence_kernel::image::{COMMAND_BYTES_MAX, COMMAND_HEADER_BYTES, CommandHeader};
use ringfence_kernel::laws::{self, Often, Step};
use ringfence_kernel::messages::{GroupHeader, Message};
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, Domain, MessageHeader, system, wire};

/// Any bytes, decoded as every message there is: a value or a typed refusal, and a value is encoded as it came.
///
/// # Panics
/// When a decoder accepts what it would write otherwise.
pub fn decoders(bytes: &[u8]) {
    let mut image = CommandImage::default();
    image.set_bytes(ClientId(1), bytes);
    decode::<Command<'_>>(&image);
    decode::<crate::matching::messages::Reply<'_>>(&image);
    decode::<crate::matching::messages::Event<'_>>(&image);
    decode::<atm::messages::Command<'_>>(&image);
    decode::<atm::messages::Reply<'_>>(&image);
    decode::<atm::messages::Event<'_>>(&image);
    decode::<auction::messages::Command<'_>>(&image);
    decode::<auction::messages::Reply<'_>>(&image);
    decode::<auction::messages::Event<'_>>(&image);
    decode::<votes::messages::Command<'_>>(&image);
    decode::<votes::messages::Reply<'_>>(&image);
    decode::<votes::messages::Event<'_>>(&image);
    decode::<wire::Request<'_>>(&image);
    decode::<wire::Notice<'_>>(&image);
    decode::<system::Frame<'_>>(&image);
}

fn decode<'a, M: Message<'a>>(image: &'a CommandImage) {
    let header = image.header().message;
    let Ok(message) = M::decode(header, image.body()) else { return };
    let mut words = alloc::vec![0_u64; COMMAND_BYTES_MAX / 8];
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    let length = message.encode(bytes);
    assert_eq!(&bytes[..length], image.body(), "what is accepted is written as it came");
    assert_eq!(message.header(), MessageHeader { schema: M::PART.schema, ..header }, "and under its own header");
}

/// Any bytes, taken for commands of matching one after another, against the laws and the model.
///
/// # Panics
/// When a law is broken.
pub fn matching(bytes: &[u8]) {
    hold::<Model>(&MATCHING, images::<Command<'_>>(bytes, small::matching));
}

const MATCHING: MatchingLimits = MatchingLimits {
    instruments: 3,
    orders: 24,
    levels: 10,
    accounts: 3,
    specials: 6,
    assets: 2,
    balances: 5,
    readers: 2,
};

/// Any bytes, taken for commands of atm one after another, against the laws and the model.
///
/// # Panics
/// When a law is broken.
pub fn atm(bytes: &[u8]) {
    hold::<atm::model::Model>(&ATM, images::<atm::messages::Command<'_>>(bytes, small::atm));
}

const ATM: atm::messages::AtmLimits = atm::messages::AtmLimits {
    accounts: 5,
    cards: 3,
    terminals: 2,
    transactions: 8,
    transfers: 40,
    issuers: 2,
    routes: 6,
    stood_in: 5,
    movements: 2,
    fees: 3,
    rates: 2,
};

/// Any bytes, taken for commands of auctions one after another, against the laws and the model.
///
/// # Panics
/// When a law is broken.
pub fn auction(bytes: &[u8]) {
    hold::<auction::model::Model>(&AUCTION, images::<auction::messages::Command<'_>>(bytes, small::auction));
}

const AUCTION: auction::messages::AuctionLimits = auction::messages::AuctionLimits {
    advertisers: 3,
    publishers: 3,
    campaigns: 3,
    line_items: 3,
    creatives: 4,
    placements: 3,
    targets: 12,
    values: 8,
    wins: 12,
    counters: 4,
    currencies: 2,
    buckets: 2,
    names: 4,
    sources: 2,
    event_rates: 2,
    hours: 4,
};

/// Any bytes, taken for commands of votes one after another, against the laws and the model.
///
/// # Panics
/// When a law is broken.
pub fn votes(bytes: &[u8]) {
    hold::<votes::model::Model>(&VOTES, images::<votes::messages::Command<'_>>(bytes, small::votes));
}

const VOTES: votes::messages::VotesLimits = votes::messages::VotesLimits {
    elections: 3,
    candidates: 12,
    voters: 20,
    ballots: 12,
    marks: 30,
    sums: 40,
    nullifiers: 5,
    sightings: 8,
    quarantine: 3,
};

fn hold<M: laws::Model>(limits: &<M::Domain as Domain>::Limits, images: Vec<CommandImage>) {
    laws::check_steps::<M>(limits, images.into_iter().map(Step::Command), 1, Often { rejects: 4, restores: 8 });
}

/// Commands out of bytes: a byte for the client and the template, a byte for the length of a list, then the body.
/// Headers are made right, so that most bytes reach the domain; every sixteenth stays as wrong as it comes.
fn images<'a, C: Message<'a>>(mut bytes: &[u8], small: fn(&str, &mut [u8])) -> Vec<CommandImage> {
    let templates = C::PART.templates;
    let mut images = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        let template = &templates[usize::from(*first) % templates.len()];
        let entries = if template.group.is_some() { usize::from(*second % 8) } else { 0 };
        let mut body = Vec::from(&rest[..rest.len().min(template.bytes)]);
        body.resize(template.bytes, 0);
        bytes = &rest[rest.len().min(template.bytes)..];
        if let Some(group) = template.group {
            let (block_length, count) = (group.bytes as u16, entries as u16);
            body.extend_from_slice(bytemuck::bytes_of(&GroupHeader { block_length, count, groups: 0, variables: 0 }));
            let wanted = bytes.len().min(group.bytes * entries);
            let end = body.len() + group.bytes * entries;
            body.extend_from_slice(&bytes[..wanted]);
            body.resize(end, 0);
            bytes = &bytes[wanted..];
        }
        if *second >> 4 != 0 {
            small(template.name, &mut body);
        }
        let mut header = CommandHeader::default();
        header.message.template = template.id;
        header.message.block_length = template.bytes as u16;
        header.message.schema = C::PART.schema;
        header.message.version = C::PART.version;
        let mut image = Vec::with_capacity(COMMAND_HEADER_BYTES + body.len());
        image.extend_from_slice(bytemuck::bytes_of(&header));
        image.extend_from_slice(&body);
        let mut command = CommandImage::default();
        command.set_bytes(ClientId(1 + u32::from(first >> 5) % 4), &image);
        images.push(command);
    }
    images
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringfence_kernel::random::Random;

    fn bytes(random: &mut Random, most: u64) -> Vec<u8> {
        (0..random.below(most)).map(|_| random.next() as u8).collect()
    }

    /// Guards against fuzz targets that do not build or that fail at once; the long runs are `cargo fuzz`'s.
    #[test]
    fn prove_fuzz_bodies_hold_on_seeded_bytes() {
        let mut random = Random::new(30);
        let rounds = if std::env::var("RINGFENCE_PROVE").is_ok() { 20_000 } else { 1_000 };
        for _ in 0..rounds {
            let mut image = bytes(&mut random, 200);
            if let Some(header) = image.get_mut(24..32) {
                // A header that some schema knows.
                let schema = [0_u8, 1, 2, 3, 4, 255][random.below(6) as usize];
                let template = [1 + random.below(20) as u8, 51 + random.below(16) as u8, 101 + random.below(16) as u8];
                let template = template[random.below(3) as usize];
                let length = 8 * (1 + random.below(8) as u8);
                header.copy_from_slice(&[length, 0, template, 0, schema, 0, 1, 0]);
            }
            decoders(&image);
            matching(&bytes(&mut random, 3_000));
            auction(&bytes(&mut random, 2_000));
            votes(&bytes(&mut random, 1_500));
            atm(&bytes(&mut random, 3_000));
        }
    }

    /// Guards against a target whose bytes never become commands that the domain accepts.
    #[test]
    fn seeded_bytes_reach_the_books() {
        let mut random = Random::new(31);
        let mut accepted = 0;
        for _ in 0..20 {
            let mut harness = laws::Harness::<crate::matching::Matching>::new(&MATCHING);
            for image in images::<Command<'_>>(&bytes(&mut random, 8_000), small::matching) {
                let outcome = harness.step(&Step::Command(image), ringfence_kernel::Timestamp(1), false);
                accepted += u32::from(outcome.outputs.len() > 1);
            }
        }
        assert!(accepted > 60, "{accepted} commands changed a book");
    }

    /// As above, for votes.
    #[test]
    fn seeded_bytes_reach_the_ballot_boxes() {
        let mut random = Random::new(32);
        let mut said = 0;
        for _ in 0..20 {
            let mut harness = laws::Harness::<votes::Votes>::new(&VOTES);
            for image in images::<votes::messages::Command<'_>>(&bytes(&mut random, 16_000), small::votes) {
                let outcome = harness.step(&Step::Command(image), ringfence_kernel::Timestamp(1), false);
                said += u32::from(outcome.outputs.len() > 2);
            }
        }
        assert!(said > 60, "{said} commands had an election counted");
    }
    /// As above, for atm.
    #[test]
    fn seeded_bytes_reach_the_ledger() {
        let mut random = Random::new(33);
        let mut said = 0;
        for _ in 0..20 {
            let mut harness = laws::Harness::<atm::Atm>::new(&ATM);
            for image in images::<atm::messages::Command<'_>>(&bytes(&mut random, 20_000), small::atm) {
                let is_transaction = image.header().message.template >= 13;
                let outcome = harness.step(&laws::Step::Command(image), ringfence_kernel::Timestamp(1), false);
                said += u32::from(is_transaction && !outcome.outputs.is_empty());
            }
        }
        assert!(said > 100, "{said} transactions were answered");
    }

    /// As above, for auctions.
    #[test]
    fn seeded_bytes_reach_the_auctions() {
        let mut random = Random::new(33);
        let (mut said, mut billed) = (0, 0);
        for _ in 0..9_000 {
            let mut harness = laws::Harness::<auction::Auction>::new(&AUCTION);
            for image in images::<auction::messages::Command<'_>>(&bytes(&mut random, 30_000), small::auction) {
                let record = image.header().message.template == 9;
                let outcome = harness.step(&laws::Step::Command(image), ringfence_kernel::Timestamp(1), false);
                said += u32::from(outcome.outputs.len() > 1);
                billed += u32::from(record && outcome.outputs.len() > 1);
            }
        }
        assert!(said > 1_000 && billed > 3, "{said} commands were more than answered, {billed} billed");
    }
}
