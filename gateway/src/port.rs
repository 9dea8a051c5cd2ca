//! Where the gateway meets the engine: two rings, a clock's deadline and a disk's answer.

use ringfence_kernel::ids::Timestamp;
use ringfence_kernel::image::Slot;

/// The engine as the gateway sees it. Nothing here waits: what cannot be done now is refused.
pub trait Port {
    /// Claims `slots` contiguous slots of the ingress ring and fills them by index, from 0 up, or claims none when
    /// the ring is that full. All slots of a command are claimed at once; one claim may hold several commands.
    fn try_claim(&mut self, slots: usize, fill: impl FnMut(usize, &mut Slot)) -> bool;

    /// Hands over at most `limit` outputs of the egress ring, one a slot, in order; gives how many those were.
    fn drain(&mut self, limit: usize, each: impl FnMut(&Slot)) -> usize;

    /// Whether the journal takes in more. When it does not, commands are refused before they are sequenced.
    fn accepts(&self) -> bool;

    /// When the domains next have something due, as the execute stage published it.
    fn next_deadline(&self) -> Option<Timestamp>;
}
