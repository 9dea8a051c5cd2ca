//! Seeded commands of a domain, for benches, fuzzing, simulation and laws.

use crate::ids::{ClientId, RequestId, SessionId, Timestamp};
use crate::image::{COMMAND_BYTES_MAX, COMMAND_HEADER_BYTES, CommandHeader, SLOT_BYTES, Slot, slots};
use crate::messages::Message;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Commands without end.
pub trait Workload: Send {
    /// Writes the next command and who sends it into `image`; header fields that the gateway stamps stay zero.
    fn next(&mut self, image: &mut CommandImage);
}

/// A named kind of workload.
#[derive(Clone, Copy)]
pub struct WorkloadKind {
    /// Its name, for the command line.
    pub name: &'static str,
    /// What it is like.
    pub doc: &'static str,
    /// Makes one from a seed. Clients are numbered from 1 to `clients`.
    pub new: fn(seed: u64, clients: u32) -> Box<dyn Workload>,
}

impl core::fmt::Debug for WorkloadKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name)
    }
}

/// One command image and the memory it stands in, aligned as in a ring.
#[derive(Clone, Debug)]
pub struct CommandImage {
    slots: Vec<Slot>,
    /// Who sends it.
    pub client: ClientId,
}

impl Default for CommandImage {
    fn default() -> Self {
        Self { slots: alloc::vec![Slot::EMPTY], client: ClientId(0) }
    }
}

impl CommandImage {
    /// Makes it `command`, from `client`.
    ///
    /// # Panics
    /// When the command is longer than an image may be.
    pub fn set<'m>(&mut self, client: ClientId, command: impl Message<'m>) {
        let length = COMMAND_HEADER_BYTES + command.body_bytes();
        assert!(length <= COMMAND_BYTES_MAX, "a command is at most 32,768 bytes");
        if self.slots.len() < slots(length) {
            self.slots.resize(slots(length), Slot::EMPTY);
        }
        self.client = client;
        let bytes = bytemuck::cast_slice_mut(&mut self.slots);
        command.encode(&mut bytes[COMMAND_HEADER_BYTES..]);
        let header = CommandHeader { length: length as u16, message: command.header(), ..CommandHeader::default() };
        bytes[..COMMAND_HEADER_BYTES].copy_from_slice(bytemuck::bytes_of(&header));
    }

    /// Makes it the given bytes, whatever they are, cut or padded to a whole number of words.
    pub fn set_bytes(&mut self, client: ClientId, image: &[u8]) {
        let length = image.len().clamp(COMMAND_HEADER_BYTES, COMMAND_BYTES_MAX).next_multiple_of(8);
        self.slots.resize(slots(length).max(self.slots.len()), Slot::EMPTY);
        self.client = client;
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.slots);
        bytes[..length].fill(0);
        let kept = image.len().min(length);
        bytes[..kept].copy_from_slice(&image[..kept]);
        bytes[..2].copy_from_slice(&(length as u16).to_le_bytes());
    }

    /// Stamps it as a gateway does.
    pub fn stamp(&mut self, session: SessionId, request: RequestId, timestamp: Timestamp) {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.slots);
        let header: &mut CommandHeader = bytemuck::from_bytes_mut(&mut bytes[..COMMAND_HEADER_BYTES]);
        header.session = session;
        header.request = request;
        header.timestamp = timestamp;
    }

    /// Its header.
    #[must_use]
    pub fn header(&self) -> CommandHeader {
        CommandHeader::read(self.slots[0].bytes()).expect("a slot is longer than a header")
    }

    /// Its bytes.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.slots)[..self.slots[0].image_bytes()]
    }

    /// Its body.
    #[must_use]
    #[inline]
    pub fn body(&self) -> &[u8] {
        &self.bytes()[COMMAND_HEADER_BYTES..]
    }
}

const _: () = assert!(SLOT_BYTES >= COMMAND_HEADER_BYTES);
