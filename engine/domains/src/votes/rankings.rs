//! Rankings as a preference trie: those that begin alike hang on one branch, which knows the weight of all of them. A count that
//! moves ballots moves branches, and looks into one only where its ballots part.
//!
//! ```text
//! 2 ─ 1 ──┬── 3 ─ end      ballot 2 1 3      a node stands where rankings part,
//!         ├── 4 ─ end      ballot 2 1 4      with all that they share above it
//!         └── end          ballot 2 1
//! ```
//! It is built again from the ballots when they are loaded; no count depends on its shape.

use super::ballots::NONE;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// A ballot, or a node below which rankings part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Branch(u32);

/// Set in branches that are nodes.
const NODE: u32 = 1 << 31;

/// What a branch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Below {
    /// One ballot, by its place.
    Ballot(u32),
    /// A node, by its place.
    Node(u32),
}

impl Branch {
    /// No branch.
    pub(super) const NONE: Self = Self(NONE);

    const fn ballot(at: u32) -> Self {
        Self(at)
    }

    const fn node(at: u32) -> Self {
        Self(at | NODE)
    }

    pub(super) const fn below(self) -> Below {
        if self.0 & NODE == 0 { Below::Ballot(self.0) } else { Below::Node(self.0 & !NODE) }
    }

    fn exists(self) -> Option<Self> {
        (self != Self::NONE).then_some(self)
    }
}

/// Where a branch hangs.
#[derive(Clone, Copy, Debug)]
struct Stem {
    /// The node above it; `NONE` at the root.
    parent: u32,
    /// The next branch of the same node.
    sibling: Branch,
    /// The mark at which it parts from the others.
    mark: u16,
}

const ROOT: Stem = Stem { parent: NONE, sibling: Branch::NONE, mark: 0 };

/// Where rankings part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// Of all ballots below.
    pub(super) weight: u64,
    /// Its first branch.
    first: Branch,
    /// One of the ballots below.
    pub(super) ballot: u32,
    /// How many marks all of them share.
    pub(super) shared: u16,
    stem: Stem,
}

/// The tries of all elections whose ballots move.
#[derive(Clone, Debug)]
pub(super) struct Rankings {
    /// By the place of the election.
    roots: Box<[Branch]>,
    nodes: Vec<Node>,
    /// By the place of the ballot.
    ballots: Vec<Stem>,
}

impl Rankings {
    /// Room for so many different ballots.
    pub(super) fn new(elections: usize, ballots: usize) -> Self {
        assert!(ballots < NODE as usize, "a bit is left to tell nodes from ballots");
        Self {
            roots: alloc::vec![Branch::NONE; elections].into(),
            nodes: Vec::with_capacity(ballots),
            ballots: Vec::with_capacity(ballots),
        }
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The branch of all ballots of an election; none before the first.
    pub(super) fn root(&self, election: u32) -> Option<Branch> {
        self.roots[election as usize].exists()
    }

    #[inline]
    pub(super) fn node(&self, at: u32) -> &Node {
        &self.nodes[at as usize]
    }

    /// The branches of a node, each with the mark at which it parts from the others.
    #[inline]
    pub(super) fn branches(&self, at: u32) -> impl Iterator<Item = (Branch, u16)> {
        core::iter::successors(self.node(at).first.exists(), |branch| self.stem(*branch).sibling.exists())
            .map(|branch| (branch, self.stem(branch).mark))
    }

    #[inline]
    fn stem(&self, branch: Branch) -> &Stem {
        match branch.below() {
            Below::Ballot(at) => &self.ballots[at as usize],
            Below::Node(at) => &self.nodes[at as usize].stem,
        }
    }

    fn stem_mut(&mut self, branch: Branch) -> &mut Stem {
        match branch.below() {
            Below::Ballot(at) => &mut self.ballots[at as usize],
            Below::Node(at) => &mut self.nodes[at as usize].stem,
        }
    }

    /// Notes the next ballot, one whose election has no trie.
    pub(super) fn pass_over(&mut self) {
        self.ballots.push(ROOT);
    }

    /// Hangs up the next ballot, which no other is like and which weighs nothing yet. `marks` are those of a ballot and what
    /// stands behind them, the end mark first.
    pub(super) fn insert<'a>(&mut self, election: u32, marks: impl Fn(u32) -> &'a [u16], weight: impl Fn(u32) -> u64) {
        let new = self.ballots.len() as u32;
        self.ballots.push(ROOT);
        let Some(mut branch) = self.root(election) else {
            self.roots[election as usize] = Branch::ballot(new);
            return;
        };
        let said = marks(new);
        // Marks that are the new ballot's on the way down.
        let mut known = 0;
        loop {
            let (sum, like, shared) = match branch.below() {
                // A ballot's marks end.
                Below::Ballot(at) => (weight(at), at, usize::from(u16::MAX)),
                Below::Node(at) => {
                    let Node { weight, ballot, shared, .. } = *self.node(at);
                    (weight, ballot, shared.into())
                }
            };
            let other = marks(like);
            let parts = (known..).find(|at| *at >= shared || said[*at] != other[*at]).expect("no two are alike");
            if parts < shared {
                self.part(
                    election,
                    branch,
                    Node { weight: sum, first: branch, ballot: new, shared: parts as u16, stem: *self.stem(branch) },
                );
                self.stem_mut(branch).mark = other[parts];
                self.stem_mut(branch).sibling = Branch::ballot(new);
                let parent = self.nodes.len() as u32 - 1;
                self.ballots[new as usize] = Stem { parent, sibling: Branch::NONE, mark: said[parts] };
                return;
            }
            let Below::Node(node) = branch.below() else { unreachable!("two ballots part somewhere") };
            let next = self.branches(node).find(|(_, mark)| *mark == said[parts]);
            match next {
                Some((next, _)) => (branch, known) = (next, parts + 1),
                None => {
                    let sibling = core::mem::replace(&mut self.nodes[node as usize].first, Branch::ballot(new));
                    self.ballots[new as usize] = Stem { parent: node, sibling, mark: said[parts] };
                    return;
                }
            }
        }
    }

    /// Puts a node in the place of a branch, which hangs on the node from then on.
    fn part(&mut self, election: u32, branch: Branch, node: Node) {
        let (at, parent) = (self.nodes.len() as u32, node.stem.parent);
        self.nodes.push(node);
        let above = if parent == NONE {
            &mut self.roots[election as usize]
        } else if self.nodes[parent as usize].first == branch {
            &mut self.nodes[parent as usize].first
        } else {
            let before = self.branches(parent).find(|(other, _)| self.stem(*other).sibling == branch);
            let (before, _) = before.expect("it hangs there");
            &mut self.stem_mut(before).sibling
        };
        *above = Branch::node(at);
        self.stem_mut(branch).parent = at;
    }

    /// Changes the weight of a ballot.
    #[inline]
    pub(super) fn weigh(&mut self, ballot: u32, change: impl Fn(&mut u64)) {
        let mut up = self.ballots[ballot as usize].parent;
        while let Some(node) = self.nodes.get_mut(up as usize) {
            change(&mut node.weight);
            up = node.stem.parent;
        }
    }
}
