//! Lists of some orders of an instrument, as they were entered. Built again when state is loaded.

use super::levels::NONE;
use alloc::boxed::Box;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::{HashIndex, Slab};

/// An order in a list.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Node {
    /// The order's place.
    order: u32,
    list: u32,
    before: u32,
    after: u32,
}

/// Lists of orders: whoever is added comes last, and whoever goes is found at once.
#[derive(Clone, Debug)]
pub(super) struct Entered {
    nodes: Slab<Node>,
    /// Finds a node by its order's place.
    by_order: HashIndex,
    /// The first and the last node of each list.
    ends: Box<[(u32, u32)]>,
}

impl Entered {
    pub(super) fn new(lists: usize, capacity: usize) -> Self {
        let (nodes, by_order) = (Slab::new(capacity), HashIndex::new(capacity));
        Self { nodes, by_order, ends: alloc::vec![(NONE, NONE); lists].into() }
    }

    /// Orders that still fit.
    pub(super) fn room(&self) -> usize {
        self.nodes.room()
    }

    /// Adds the order at `order`, which is in no list, last to `list`; there is room.
    #[cold]
    pub(super) fn push(&mut self, list: u32, order: u32) {
        let before = self.ends[list as usize].1;
        let node = self.nodes.insert(Node { order, list, before, after: NONE }).expect("room was looked for");
        self.by_order.insert(order.into(), node).expect("as many keys as nodes");
        match before {
            NONE => self.ends[list as usize].0 = node,
            before => self.nodes[before].after = node,
        }
        self.ends[list as usize].1 = node;
    }

    /// Takes the order at `order` out of its list.
    #[cold]
    pub(super) fn remove(&mut self, order: u32) {
        let node = self.by_order.remove(order.into()).expect("it is in a list");
        let Node { list, before, after, .. } = self.nodes.remove(node);
        match before {
            NONE => self.ends[list as usize].0 = after,
            before => self.nodes[before].after = after,
        }
        match after {
            NONE => self.ends[list as usize].1 = before,
            after => self.nodes[after].before = before,
        }
    }

    /// The first order of `list`.
    pub(super) fn first(&self, list: u32) -> Option<u32> {
        let node = self.ends[list as usize].0;
        (node != NONE).then(|| self.nodes[node].order)
    }

    /// The order after the one at `order` in its list.
    pub(super) fn next(&self, order: u32) -> Option<u32> {
        let node = self.by_order.get(order.into()).expect("it is in a list");
        let after = self.nodes[node].after;
        (after != NONE).then(|| self.nodes[after].order)
    }
}
