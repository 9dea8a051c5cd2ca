//! Bodies of the fuzz targets in `tools/fuzz`. Ordinary tests run them on seeded bytes.

use crate::atm;
use crate::auction;
use crate::matching::messages::{Command, MatchingLimits, Scope, TimeInForce};
use crate::matching::model::Model;
use crate::votes;
use crate::votes::messages::{Fault, Method};
use crate::votes::workload::METHODS;
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
    let limits = MatchingLimits { instruments: 3, orders: 24, levels: 10, accounts: 3 };
    hold::<Model>(&limits, images::<Command<'_>>(bytes, small));
}

/// Any bytes, taken for commands of atm one after another, against the laws and the model.
///
/// # Panics
/// When a law is broken.
pub fn atm(bytes: &[u8]) {
    hold::<atm::model::Model>(&ATM, images::<atm::messages::Command<'_>>(bytes, small_atm));
}

const ATM: atm::messages::AtmLimits =
    atm::messages::AtmLimits { accounts: 5, cards: 3, terminals: 2, transactions: 8, transfers: 40 };

/// Any bytes, taken for commands of auctions one after another, against the laws and the model.
///
/// # Panics
/// When a law is broken.
pub fn auction(bytes: &[u8]) {
    hold::<auction::model::Model>(&AUCTION, images::<auction::messages::Command<'_>>(bytes, small_auction));
}

const AUCTION: auction::messages::AuctionLimits = auction::messages::AuctionLimits {
    advertisers: 3,
    publishers: 3,
    campaigns: 3,
    line_items: 3,
    placements: 3,
    targets: 12,
    values: 8,
    wins: 12,
    counters: 4,
};

/// Any bytes, taken for commands of votes one after another, against the laws and the model.
///
/// # Panics
/// When a law is broken.
pub fn votes(bytes: &[u8]) {
    hold::<votes::model::Model>(&VOTES, images::<votes::messages::Command<'_>>(bytes, small_votes));
}

const VOTES: votes::messages::VotesLimits =
    votes::messages::VotesLimits { elections: 3, candidates: 12, voters: 20, ballots: 12, marks: 30 };

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

/// Makes fields small and choices known, so that commands meet each other: same numbers, same prices, sound terms.
fn small(name: &str, body: &mut [u8]) {
    let keep = |range: core::ops::Range<usize>, mask: u8, body: &mut [u8]| {
        body[range.start] &= mask;
        body[range.start + 1..range.end].fill(0);
    };
    match name {
        "NewOrder" => {
            let [side, time_in_force, order_type, expires] = core::array::from_fn(|at| body[44 + at]);
            for (at, mask) in [(0, 15), (8, 15), (16, 31), (24, if time_in_force > 200 { 15 } else { 0 }), (32, 0)] {
                keep(at..at + 8, mask, body);
            }
            keep(40..44, 3, body);
            // Most of what comes are limit orders that rest, for the others to meet.
            let (time_in_force, order_type) = (time_in_force % 12, order_type % 12);
            let [time_in_force, order_type] = [time_in_force, order_type].map(|code| if code > 5 { 1 } else { code });
            (body[44], body[45], body[46], body[47]) = (1 + side % 2, time_in_force.max(1), order_type.max(1), 1);
            if body[45] == TimeInForce::GoodTillDate as u8 {
                let expires = 1_000_000_000 + u32::from(expires);
                body[32..36].copy_from_slice(&expires.to_le_bytes());
            }
            if matches!(body[46], 2 | 3) {
                body[8] = 0;
            }
        }
        "Replace" => {
            for (at, mask) in [(0, 15), (8, 15), (16, 31)] {
                keep(at..at + 8, mask, body);
            }
        }
        "Cancel" | "Reduce" => {
            (0..body.len()).step_by(8).for_each(|at| keep(at..at + 8, 15, body));
        }
        "CancelMany" => {
            keep(0..8, 0, body);
            (16..body.len()).step_by(8).for_each(|at| keep(at..at + 8, 15, body));
        }
        "MassCancel" => {
            let [scope, sides] = [body[24], body[25]];
            for (range, mask) in [(0..8, 15), (8..16, 15), (16..20, 3), (20..24, 3)] {
                keep(range, mask, body);
            }
            body[24..].fill(0);
            (body[24], body[25]) = (1 + scope % 3, 1 + sides % 3);
            if body[24] != Scope::Account as u8 {
                body[20] = 0;
            }
        }
        "SetKillSwitch" => {
            keep(0..4, 3, body);
            // Mostly off, so that there is something to trade with.
            (body[4], body[5]) = (1 + u8::from(body[0] != 0), 1 + u8::from(body[5] < 8));
            body[6..].fill(0);
        }
        "SetSelfTrade" => {
            keep(0..4, 3, body);
            keep(4..8, 1, body);
            body[8] = 1 + body[8] % 5;
            body[9..].fill(0);
        }
        "SetOnDisconnect" => {
            body[0] = 1 + body[0] % 2;
            body[1..].fill(0);
        }
        "DefineInstrument" => {
            keep(0..8, 0, body);
            keep(8..16, 0, body);
            body[8] = 15;
            for at in [16, 24] {
                keep(at..at + 8, 0, body);
                body[at] = 1;
            }
            keep(32..40, 3, body);
            keep(40..48, 0, body);
            keep(48..52, 3, body);
            keep(52..56, 0, body);
        }
        _ => {}
    }
}

/// As [`small`], for votes: few elections, voters and candidates, and terms that make sense.
fn small_votes(name: &str, body: &mut [u8]) {
    let keep = |at: usize, bytes: usize, mask: u8, body: &mut [u8]| {
        body[at] &= mask;
        body[at + 1..at + bytes].fill(0);
    };
    match name {
        "DefineElection" => {
            let choices: [u8; 12] = core::array::from_fn(|at| body[52 + at]);
            (0..32).step_by(8).for_each(|at| keep(at, 8, 1, body));
            body[..24].fill(0);
            for (at, bytes) in [(32, 4), (36, 4), (40, 4), (44, 2), (46, 2), (48, 2), (50, 2)] {
                keep(at, bytes, 3, body);
            }
            for (at, most) in [3_u8, 2, 2, 2, 3, 3, 3, 2, 2, 2].into_iter().enumerate() {
                body[53 + at] = 1 + choices[1 + at] % most;
            }
            let method = METHODS[usize::from(choices[0]) % METHODS.len()];
            body[52] = method as u8;
            if !method.excludes() {
                body[60] = 1;
            }
            if method != Method::InstantRunoff {
                body[61..63].fill(1);
            }
            let passes = method.is_ranked() && body[58] == Fault::PassOver as u8;
            body[63] = if passes { choices[11] % 3 } else { 0 };
            // Three candidates, whom every method can elect one of.
            (body[44], body[46], body[48]) = (3, 1, 1 + body[48] % 3);
            if method.is_of_lists() {
                body[48] = 1;
            }
            if method != Method::Score {
                (body[40], body[50]) = (0, 0);
            }
        }
        "RegisterVoters" | "CastBallot" => {
            (0..8).step_by(4).for_each(|at| keep(at, 4, 3, body));
            for at in (16..body.len()).step_by(8) {
                keep(at, 4, 3, body);
                let candidate = body[at + 4] & 3;
                body[at + 4..at + 8].fill(0);
                body[at + 4] = if name == "CastBallot" { candidate } else { 0 };
            }
        }
        "SetPhase" => {
            keep(0, 4, 3, body);
            body[4] = 1 + body[4] % 4;
            body[5..].fill(0);
        }
        "DecideTie" => {
            keep(0, 4, 3, body);
            (4..8).step_by(2).for_each(|at| keep(at, 2, 3, body));
        }
        _ => (0..body.len())
            .step_by(4)
            .for_each(|at| keep(at, 4, if at == 0 || name == "SpoilBallot" { 3 } else { 0 }, body)),
    }
}

/// As [`small`], for atm: few accounts, cards, terminals and names, one currency, and amounts that notes pay.
fn small_atm(name: &str, body: &mut [u8]) {
    let keep = |at: usize, bytes: usize, mask: u8, body: &mut [u8]| {
        body[at] &= mask;
        body[at + 1..at + bytes].fill(0);
    };
    let one_of = |at: usize, choices: &[u8], body: &mut [u8]| {
        body[at] = choices[usize::from(body[at]) % choices.len()];
    };
    match name {
        "OpenAccount" => {
            keep(0, 8, 3, body);
            keep(8, 8, 0, body);
            keep(16, 2, 0, body);
            body[16] = 1;
            one_of(18, &[1, 2], body);
            body[19..].fill(0);
        }
        "TransferLinked" => {
            body[..8].fill(0);
            for at in (16..body.len()).step_by(56) {
                for (place, mask) in [(0, 15), (8, 3), (16, 3), (24, 15), (32, 15), (40, 7)] {
                    keep(at + place, 8, mask, body);
                }
                one_of(at + 48, &[1, 1, 2, 2, 3, 4], body);
                if body[at + 48] < 3 {
                    body[at + 32] = 0;
                } else {
                    (body[at + 8], body[at + 16]) = (0, 0);
                }
                body[at + 49..at + 56].fill(0);
            }
        }
        "SetCard" => {
            keep(0, 16, 1, body);
            (32..56).step_by(8).for_each(|at| keep(at, 8, 3, body));
            keep(56, 8, 0xff, body);
            keep(64, 8, 0xff, body);
            keep(72, 8, 3, body);
            keep(80, 4, 3, body);
            keep(84, 4, 0, body);
            keep(92, 4, 3, body);
            one_of(96, &[1, 1, 1, 2, 3, 4, 5, 6], body);
            body[97..].fill(0);
        }
        "SetCardStatus" => {
            keep(0, 16, 1, body);
            one_of(16, &[1, 1, 2, 6], body);
            body[17..].fill(0);
        }
        "ReplaceCard" => {
            keep(0, 16, 1, body);
            keep(16, 16, 3, body);
            keep(48, 4, 0, body);
        }
        "SetTerminal" => {
            keep(0, 8, 1, body);
            body[0] += 6;
            keep(8, 8, 0, body);
            keep(16, 8, 0, body);
            keep(24, 8, 7, body);
            keep(32, 4, 3, body);
            keep(36, 4, 0, body);
            body[36] = 1;
        }
        "SetService" => {
            keep(0, 4, 1, body);
            one_of(4, &[1, 1, 1, 2], body);
            body[5..].fill(0);
        }
        "LoadCash" | "CountCash" => {
            keep(0, 8, 3, body);
            keep(8, 8, 1, body);
            for at in (24..body.len()).step_by(8) {
                let (first, second) = if name == "LoadCash" { (1, 7) } else { (15, 0) };
                keep(at, 4, first, body);
                keep(at + 4, 4, second, body);
            }
        }
        "UnloadCash" => {
            keep(0, 8, 3, body);
            keep(8, 8, 1, body);
        }
        "CaptureCard" => {
            keep(0, 16, 1, body);
            keep(16, 8, 1, body);
        }
        "Cutover" => keep(0, 8, 3, body),
        "Authorize" => {
            keep(0, 16, 1, body);
            keep(16, 8, 15, body);
            keep(24, 4, 1, body);
            keep(28, 4, 7, body);
            keep(32, 8, 1, body);
            keep(36, 4, 0, body);
            one_of(40, &[1, 1, 1, 2], body);
            one_of(41, &[1, 1, 1, 31, 40], body);
            one_of(42, &[0, 10, 20, 30], body);
            one_of(43, if body[41] == 40 { &[10, 20, 30] } else { &[0] }, body);
            body[44..].fill(0);
        }
        "ChangePin" => {
            keep(0, 16, 1, body);
            keep(16, 16, 1, body);
            keep(32, 4, 1, body);
            keep(36, 4, 7, body);
            keep(40, 8, 1, body);
            keep(44, 4, 1, body);
            one_of(48, &[1, 1, 1, 2], body);
            body[49..].fill(0);
        }
        "Complete" => {
            keep(0, 8, 7, body);
            keep(8, 4, 1, body);
            keep(12, 4, 7, body);
            keep(16, 8, 1, body);
        }
        _ => {
            keep(0, 4, 1, body);
            keep(4, 4, 7, body);
            keep(8, 8, 1, body);
        }
    }
}

/// As [`small`], for auctions: few of everything, and terms that make sense.
fn small_auction(name: &str, body: &mut [u8]) {
    let keep = |at: usize, bytes: usize, mask: u8, body: &mut [u8]| {
        body[at] &= mask;
        body[at + 1..at + bytes].fill(0);
    };
    let number = |at: usize, body: &mut [u8]| {
        body[at] = 1 + body[at] % 2;
        body[at + 1..at + 4].fill(0);
    };
    match name {
        "DefineCampaign" => {
            body[2..8].fill(0);
            keep(8, 8, 0, body);
            number(16, body);
            number(20, body);
            body[25..].fill(0);
        }
        "DefineLineItem" => {
            let (first, model) = (body[68] % 5, body[69] % 3);
            body[2..8].fill(0);
            keep(8, 8, 0, body);
            keep(16, 8, 15, body);
            keep(24, 8, 0, body);
            body[32..40].fill(255);
            keep(40, 8, 127, body);
            number(48, body);
            number(52, body);
            body[56..60].copy_from_slice(&1_000_000_u32.to_le_bytes());
            body[60..64].copy_from_slice(&1_000_000_u32.to_le_bytes());
            keep(64, 4, 3, body);
            body[64] = if first == 0 { 0 } else { body[64].max(1) };
            (body[68], body[69]) = (1 + first, 1 + model);
            body[70..120].fill(0);
            for (rank, at) in (128..body.len()).step_by(8).enumerate() {
                let mode = 1 + body[at + 5] % 2;
                body[at..at + 8].copy_from_slice(&[rank as u8, 0, 0, 0, 1, mode, 0, 0]);
            }
        }
        "DefinePlacement" => {
            keep(0, 8, 7, body);
            number(16, body);
            number(20, body);
            keep(24, 4, 255, body);
            body[28] = 1 + body[28] % 4;
            body[29..32].fill(0);
            for at in (40..body.len()).step_by(8) {
                body[at..at + 8].copy_from_slice(&[100, 0, 0, 0, 0, 0, 0, 0]);
            }
        }
        "SetCampaign" | "SetLineItem" => {
            number(0, body);
            body[4] = if body[4].is_multiple_of(8) { 1 + body[4] / 64 } else { 2 };
            body[5..].fill(0);
        }
        "SetBid" => {
            keep(0, 8, 15, body);
            number(8, body);
            body[12..16].copy_from_slice(&1_000_000_u32.to_le_bytes());
            body[16..20].copy_from_slice(&500_000_u32.to_le_bytes());
            body[20..].fill(0);
        }
        "SetFloor" => {
            keep(0, 8, 7, body);
            keep(8, 8, 3, body);
        }
        "HoldAuction" => {
            keep(0, 8, 3, body);
            keep(8, 8, 7, body);
            keep(16, 8, 255, body);
            number(16, body);
            for (rank, at) in (32..body.len()).step_by(8).enumerate() {
                body[at..at + 8].copy_from_slice(&[rank as u8, 0, 0, 0, 1, 0, 0, 0]);
            }
        }
        "RecordEvent" => {
            // Of one of the first 256 commands, the first slot.
            keep(2, 6, 0, body);
            (body[0], body[1]) = (body[0] & !7, body[1] & 7);
            body[8] = 1 + body[8] % 3;
            body[9..].fill(0);
        }
        _ => keep(0, 8, 3, body),
    }
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
                let template = [1 + random.below(9) as u8, 51 + random.below(7) as u8, 101 + random.below(9) as u8];
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
            let mut harness = laws::Harness::<crate::matching::Matching>::new(&MatchingLimits {
                instruments: 3,
                orders: 24,
                levels: 10,
                accounts: 3,
            });
            for image in images::<Command<'_>>(&bytes(&mut random, 8_000), small) {
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
            for image in images::<votes::messages::Command<'_>>(&bytes(&mut random, 8_000), small_votes) {
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
            for image in images::<atm::messages::Command<'_>>(&bytes(&mut random, 20_000), small_atm) {
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
        for _ in 0..600 {
            let mut harness = laws::Harness::<auction::Auction>::new(&AUCTION);
            for image in images::<auction::messages::Command<'_>>(&bytes(&mut random, 30_000), small_auction) {
                let record = image.header().message.template == 9;
                let outcome = harness.step(&laws::Step::Command(image), ringfence_kernel::Timestamp(1), false);
                said += u32::from(outcome.outputs.len() > 1);
                billed += u32::from(record && outcome.outputs.len() > 1);
            }
        }
        assert!(said > 1_000 && billed > 5, "{said} commands were more than answered, {billed} billed");
    }
}
