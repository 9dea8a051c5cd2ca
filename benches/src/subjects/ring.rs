//! The rings alone: a publisher on one core, three stages and a no-op domain on the other, 64 bytes touched a slot.
//!
//! Excluded: the journal, sessions, sockets.

use crate::load::{Flight, LEAD_NS, Load, Nanos, Outcome, pin};
use crate::noop::{Command as NoopCommand, Ping, Pong, Reply};
use ringfence_engine::ring::{self, FirstReader, NextReader, Producer, RING_SLOTS, Scratch};
use ringfence_kernel::image::{COMMAND_HEADER_BYTES, OUTPUT_HEADER_BYTES, OutputHeader, Slot, kind};
use ringfence_kernel::messages::Message as _;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, CommandHeader};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const BATCH: usize = 256;

/// The chain of stages that one thread drives.
struct Chain {
    journal: FirstReader,
    replicate: NextReader,
    execute: NextReader,
    egress: Option<Producer>,
    scratch: Scratch,
    total: u64,
}

impl Chain {
    fn step(&mut self) -> usize {
        let mut sum = 0_u64;
        let read = self.journal.read(BATCH, |command| {
            for piece in command.pieces() {
                sum = piece[..64].as_chunks::<8>().0.iter().fold(sum, |sum, word| sum ^ u64::from_le_bytes(*word));
            }
            true
        });
        black_box(sum);
        self.journal.release(read.slots);
        let read = self.replicate.read(BATCH, |_| true);
        self.replicate.release(read.slots);
        let Self { execute, egress, scratch, total, .. } = self;
        let read = execute.read(BATCH, |command| {
            let image = command.image(scratch);
            let header = CommandHeader::read(image).expect("a command has a header");
            let Ok(NoopCommand::Ping(ping)) = NoopCommand::decode(header.message, &image[COMMAND_HEADER_BYTES..])
            else {
                return true;
            };
            *total = total.wrapping_add(ping.amount);
            let Some(egress) = egress else { return true };
            let pong = Pong { token: ping.token, total: *total };
            egress.try_claim(1, |_, slot| answer(slot, &header, &pong))
        });
        self.execute.release(read.slots);
        read.commands
    }
}

fn answer(slot: &mut Slot, command: &CommandHeader, pong: &Pong) {
    let reply = Reply::Pong(pong);
    let header = OutputHeader {
        length: (OUTPUT_HEADER_BYTES + 16) as u16,
        kind: kind::REPLY,
        session: command.session,
        request: command.request,
        message: reply.header(),
        ..OutputHeader::default()
    };
    let bytes = slot.bytes_mut();
    bytes[..OUTPUT_HEADER_BYTES].copy_from_slice(bytemuck::bytes_of(&header));
    reply.encode(&mut bytes[OUTPUT_HEADER_BYTES..]);
}

/// A ping's image: one slot, 64 bytes.
#[must_use]
pub fn ping() -> CommandImage {
    let mut image = CommandImage::default();
    image.set(ClientId(1), NoopCommand::Ping(&Ping { token: 0, amount: 1, filler: [0; 16] }));
    image
}

fn chain(egress: Option<Producer>) -> (Producer, Chain) {
    let (producer, journal, replicate, execute) = ring::ingress(RING_SLOTS);
    (producer, Chain { journal, replicate, execute, egress, scratch: Scratch::default(), total: 0 })
}

/// Commands a second, published in batches.
#[must_use]
pub fn throughput(commands: u64) -> f64 {
    let (mut producer, mut chain) = chain(None);
    let image = ping();
    let mut seconds = 0.0;
    std::thread::scope(|scope| {
        let consumer = scope.spawn(move || {
            pin(1);
            let mut done = 0;
            while done < commands {
                done += chain.step() as u64;
            }
        });
        pin(0);
        let clock = Nanos::default();
        for sent in (0..commands).step_by(BATCH) {
            let batch = BATCH.min((commands - sent) as usize);
            while !producer.try_claim(batch, |index, slot| {
                slot.bytes_mut()[..64].copy_from_slice(image.bytes());
                slot.0[4] = sent + index as u64;
            }) {
                std::hint::spin_loop();
            }
        }
        consumer.join().expect("the stages run");
        seconds = clock.now() as f64 / 1e9;
    });
    commands as f64 / seconds
}

/// Round trips under `load`, at most `window` of them at once, and never more than a ring.
#[must_use]
pub fn round_trip(load: Load, window: u64, commands: u64) -> Outcome {
    let (egress, mut answers) = ring::egress(RING_SLOTS);
    let (mut producer, mut chain) = chain(Some(egress));
    let image = ping();
    let over = AtomicBool::new(false);
    let mut flight = Flight::new(RING_SLOTS);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(1);
            while !over.load(Ordering::Relaxed) {
                chain.step();
            }
        });
        pin(0);
        let clock = Nanos::default();
        let begun = clock.now() + LEAD_NS;
        let (mut sent, mut answered) = (0, 0);
        while answered < commands {
            let now = clock.now();
            let due = match load {
                Load::Open { .. } => begun + load.due(sent),
                Load::Closed => now,
            };
            let room = sent < commands && sent - answered < window.min(RING_SLOTS as u64);
            if room
                && now >= due
                && producer.try_claim(1, |_, slot| slot.bytes_mut()[..64].copy_from_slice(image.bytes()))
            {
                flight.send(due, now);
                sent += 1;
            }
            let read = answers.read_slots(BATCH, |_| flight.land(clock.now()));
            answers.release(read);
            answered += read as u64;
        }
        over.store(true, Ordering::Relaxed);
        flight.latency.elapsed = Duration::from_nanos(clock.now() - begun);
    });
    Outcome { latency: flight.latency, sent: commands, answered: commands, refused: 0 }
}
