//! The preference trie: what the ballots of an election rank first, what then, and the weight behind each beginning.
//!
//! ```text
//! root 9 ──┬─ 1 2 ── 5 ──┬─ 3 ── 2      five ballots begin with 1 2: three end there, two go on with 3
//!          └─ 4 ── 3                    three ballots say 4 and no more; one is blank
//! ```
//! A branch names as many candidates as all ballots below it have in common, so that there are at most two branches for
//! each different ballot. The weight of a branch is kept when a ballot is added or taken out: a count begins with sums that
//! are there already and touches only branches that move. The trie is made again from the ballots when a state is loaded.

use super::ballots::{NONE, candidate};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Candidates of a branch that stand in it; those after stand with the marks of a ballot.
const NEAR: usize = 6;

/// What ballots with the same beginning say next.
#[derive(Clone, Copy, Debug)]
struct Branch {
    /// The weight of all ballots that begin so.
    weight: u64,
    parent: u32,
    first_child: u32,
    sibling: u32,
    /// Where its candidates stand among the marks of all ballots, and how many there are.
    first_mark: u32,
    length: u16,
    /// The first of them, as places.
    near: [u8; NEAR],
}

const _: () = assert!(size_of::<Branch>() == 32);

/// The preference tries of all elections whose ballots move.
#[derive(Clone, Debug)]
pub(super) struct Preferences {
    branches: Vec<Branch>,
    /// The root of each election, by its place.
    roots: Box<[u32]>,
    /// The branch at whose end each different ballot ends; none where ballots do not move.
    ends: Vec<u32>,
}

impl Preferences {
    pub(super) fn new(elections: usize, ballots: usize) -> Self {
        Self {
            branches: Vec::with_capacity(2 * ballots + elections),
            roots: alloc::vec![NONE; elections].into(),
            ends: Vec::with_capacity(ballots),
        }
    }

    /// The root of an election, when it has ballots.
    pub(super) fn root(&self, election: u32) -> Option<u32> {
        Some(self.roots[election as usize]).filter(|root| *root != NONE)
    }

    #[inline]
    pub(super) fn weight(&self, branch: u32) -> u64 {
        self.branches[branch as usize].weight
    }

    /// The place of the candidate number `at` of a branch, when it has as many.
    #[inline]
    pub(super) fn candidate(&self, marks: &[u32], branch: u32, at: usize) -> Option<usize> {
        let branch = &self.branches[branch as usize];
        if at >= branch.length.into() {
            return None;
        }
        Some(match branch.near.get(at) {
            Some(near) => usize::from(*near),
            None => candidate(marks[branch.first_mark as usize + at]),
        })
    }

    /// What ballots say after a branch.
    #[inline]
    pub(super) fn children(&self, branch: u32) -> impl Iterator<Item = u32> {
        let known = |at: u32| Some(at).filter(|at| *at != NONE);
        core::iter::successors(known(self.branches[branch as usize].first_child), move |at| {
            known(self.branches[*at as usize].sibling)
        })
    }

    /// Makes room for the next different ballot, whose marks stand in `range` and which moves, or does not.
    pub(super) fn insert(&mut self, marks: &[u32], election: u32, range: core::ops::Range<usize>, moves: bool) {
        if !moves {
            return self.ends.push(NONE);
        }
        let root = &mut self.roots[election as usize];
        if *root == NONE {
            *root = self.branches.len() as u32;
            self.branches.push(Branch {
                weight: 0,
                parent: NONE,
                first_child: NONE,
                sibling: NONE,
                first_mark: 0,
                length: 0,
                near: [0; NEAR],
            });
        }
        let (mut above, mut from) = (*root, range.start);
        while from < range.end {
            let first = candidate(marks[from]);
            let Some(branch) = self.children(above).find(|child| self.first(*child) == first) else {
                above = self.grow(marks, above, from..range.end);
                break;
            };
            let known = self.branches[branch as usize];
            let (length, first) = (usize::from(known.length), known.first_mark as usize);
            let most = length.min(range.end - from);
            let shared = (1..most).find(|at| marks[first + at] != marks[from + at]).unwrap_or(most);
            above = if shared < length { self.split(marks, branch, shared) } else { branch };
            from += shared;
        }
        self.ends.push(above);
    }

    fn first(&self, branch: u32) -> usize {
        self.branches[branch as usize].near[0].into()
    }

    /// A new branch below `parent`.
    fn grow(&mut self, marks: &[u32], parent: u32, range: core::ops::Range<usize>) -> u32 {
        let new = self.branches.len() as u32;
        let sibling = core::mem::replace(&mut self.branches[parent as usize].first_child, new);
        self.branches.push(Branch {
            weight: 0,
            parent,
            first_child: NONE,
            sibling,
            first_mark: range.start as u32,
            length: range.len() as u16,
            near: near(&marks[range]),
        });
        new
    }

    /// Divides a branch after `shared` of its candidates; gives the upper part, which is new, so that whoever ends at the
    /// lower part still does.
    fn split(&mut self, marks: &[u32], lower: u32, shared: usize) -> u32 {
        let upper = self.branches.len() as u32;
        let Branch { parent, first_mark, length, .. } = self.branches[lower as usize];
        // The upper part takes the lower one's place among its siblings.
        let before = self.children(parent).find(|child| self.branches[*child as usize].sibling == lower);
        match before {
            Some(before) => self.branches[before as usize].sibling = upper,
            None => self.branches[parent as usize].first_child = upper,
        }
        let first = first_mark as usize;
        let known = &mut self.branches[lower as usize];
        let whole = Branch { length: shared as u16, first_child: lower, ..*known };
        known.parent = upper;
        known.sibling = NONE;
        known.first_mark += shared as u32;
        known.length = length - shared as u16;
        known.near = near(&marks[first + shared..first + usize::from(length)]);
        self.branches.push(whole);
        upper
    }

    /// More weight for a different ballot.
    #[inline]
    pub(super) fn add(&mut self, ballot: u32, weight: u64) {
        self.change(ballot, |known| known + weight);
    }

    /// Less weight for a different ballot.
    #[inline]
    pub(super) fn take(&mut self, ballot: u32, weight: u64) {
        self.change(ballot, |known| known - weight);
    }

    #[inline]
    fn change(&mut self, ballot: u32, new: impl Fn(u64) -> u64) {
        let mut at = self.ends[ballot as usize];
        while let Some(branch) = self.branches.get_mut(at as usize) {
            branch.weight = new(branch.weight);
            at = branch.parent;
        }
    }
}

fn near(marks: &[u32]) -> [u8; NEAR] {
    let mut near = [0; NEAR];
    near.iter_mut().zip(marks).for_each(|(near, mark)| *near = candidate(*mark) as u8);
    near
}
