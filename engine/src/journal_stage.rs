//! Journal: appends every command, a ring batch as one journal batch, and releases it at once.

use crate::counting::Counting;
use crate::ring::{FirstReader, Read};
use ringfence_counters::{Histogram, JournalCounters};
use ringfence_journal::Writer;
use ringfence_kernel::image::{COMMAND_BYTES_MAX, SLOT_BYTES, SLOTS_MAX};

/// Slots that one batch takes at most.
const BATCH_SLOTS: usize = 1024;

/// The first stage of the ingress ring.
#[derive(Debug)]
pub struct JournalStage {
    commands: FirstReader,
    writer: Writer,
    /// Slots that one batch takes at most: fewer than usual when segments are small.
    batch_slots: usize,
    /// Slots released so far.
    position: u64,
    counting: Option<Counting<JournalCounters>>,
}

impl JournalStage {
    /// Appends `commands` through `writer`.
    ///
    /// # Panics
    /// When a batch of the journal cannot hold the longest command.
    #[must_use]
    pub fn new(commands: FirstReader, writer: Writer) -> Self {
        assert!(writer.images_bytes_max() >= COMMAND_BYTES_MAX, "a batch holds the longest command");
        let batch_slots = BATCH_SLOTS.min(writer.images_bytes_max() / SLOT_BYTES);
        Self { commands, writer, batch_slots, position: 0, counting: None }
    }

    pub(crate) fn count(&mut self, counting: Counting<JournalCounters>, syncs: Histogram) {
        self.writer.time_syncs(syncs);
        self.counting = Some(counting);
    }

    /// Appends all that was published, then makes it durable if this thread is the one to do so: one sync covers all
    /// that was appended.
    ///
    /// # Panics
    /// When an append or a sync fails: nothing retries over it, the process stops.
    #[inline]
    pub fn step(&mut self) -> usize {
        let commands = self.append_all();
        self.sync();
        commands
    }

    /// The first half of [`JournalStage::step`]: appends and releases. The simulator lets others go between the halves,
    /// as a sync thread does.
    ///
    /// # Panics
    /// When an append fails.
    #[inline]
    pub fn append_all(&mut self) -> usize {
        let mut commands = 0;
        loop {
            let appended = self.append();
            commands += appended.commands;
            // A batch with room to spare took all there was: a further look would be for nothing.
            if appended.slots + SLOTS_MAX <= self.batch_slots {
                return commands;
            }
        }
    }

    /// The second half: makes durable what was appended.
    ///
    /// # Panics
    /// When a sync fails.
    #[inline]
    pub fn sync(&mut self) {
        let durable = self.writer.sync();
        let durable = durable.unwrap_or_else(|error| panic!("the journal could not be made durable: {error}"));
        if let Some(Counting { counters, .. }) = &mut self.counting {
            counters.durable.set(durable.0);
            counters.segment.set(self.writer.segment());
        }
    }

    #[inline]
    fn append(&mut self) -> Read {
        let Self { commands, writer, batch_slots, counting, .. } = self;
        let mut sequence = writer.appended().0;
        let batch = writer.begin(*batch_slots * SLOT_BYTES);
        let batch = batch.unwrap_or_else(|error| panic!("the journal cannot go on: {error}"));
        // No room yet: the commands wait in the ring, and the gateway stops reading when that is full.
        let Some(mut batch) = batch else {
            counting.iter_mut().for_each(|counting| counting.counters.full.add(1));
            return Read::default();
        };
        let read = commands.read(*batch_slots, |command| {
            if let Some(Counting { ages, .. }) = counting {
                ages.look(sequence, || command.timestamp());
                sequence += 1;
            }
            command.pieces().for_each(|piece| batch.push(piece));
            true
        });
        if read.commands == 0 {
            return read;
        }
        let appended = batch.commit(read.commands as u32);
        self.commands.release(read.slots);
        self.position += read.slots as u64;
        if let Some(Counting { counters, ages }) = &mut self.counting {
            counters.appended.set(appended.0);
            counters.position.set(self.position);
            counters.batches.record(read.commands as u64);
            ages.done(&mut counters.appended_age);
        }
        read
    }

    /// Slots released so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The writer, when the work is over.
    #[must_use]
    pub fn into_writer(self) -> Writer {
        self.writer
    }
}
