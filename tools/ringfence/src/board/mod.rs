//! The board: what of an election anyone may read, one JSON object a line, in the order of the log, under one Merkle root.
//!
//! ```text
//! {"entry":"election","terms":{…}}                                  what was asked, and how it is counted
//! {"entry":"cast","receipt":1,"weight":1,"region":0,"marks":[[2,1]]}  a ballot, without its voter
//! {"entry":"said","template":"ElectionChanged","body":{…}}          what the engine said: phases, then every stage
//! {"root":"8f0c…","entries":3}                                      last: the root of the lines above
//! ```
//! `gather` makes it of a journal, `tree` proves what is in it, `recount` counts it again.

pub mod gather;
pub mod recount;
pub mod sample;
pub mod tree;

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use tree::Tree;

/// One line of a board.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "entry", rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// The terms, as the schema names their fields.
    Election {
        /// `DefineElection`.
        terms: Map<String, Value>,
    },
    /// A write-in stands as a candidate.
    WriteIn {
        /// Who.
        candidate: u16,
    },
    /// A ballot that counts.
    Cast {
        /// Its receipt.
        receipt: u64,
        /// For how many votes.
        weight: u32,
        /// Where; 0 when there are no regions.
        region: u16,
        /// Candidates with their rank, points or 1.
        marks: Vec<(u16, u32)>,
    },
    /// A ballot that counts in place of another.
    Replaced {
        /// Its receipt.
        receipt: u64,
        /// The receipt of the other.
        of: u64,
        /// Candidates with their rank, points or 1.
        marks: Vec<(u16, u32)>,
    },
    /// A ballot that counts no more.
    Spoilt {
        /// Its receipt.
        receipt: u64,
    },
    /// A ballot is in quarantine: it counts when it is cast by that receipt.
    Held {
        /// Its receipt.
        receipt: u64,
    },
    /// A ballot in quarantine will not count: an officer rejected it, or its voter cast another.
    Rejected {
        /// Its receipt.
        receipt: u64,
    },
    /// An officer drew lots.
    Tie {
        /// The number of the tie.
        tie: u16,
        /// On whom it fell.
        candidate: u16,
    },
    /// The engine said where the election stands, or a row of the official count.
    Said {
        /// The event's name in the schema.
        template: String,
        /// Its fields.
        body: Map<String, Value>,
    },
}

/// What the last line says of those before.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// The root of all entries, in hexadecimal.
    pub root: String,
    /// How many there are.
    pub entries: u64,
}

/// A board that was read.
#[derive(Debug)]
pub struct Board {
    /// The lines of the entries, as they are hashed.
    pub lines: Vec<String>,
    /// What they say.
    pub entries: Vec<Entry>,
    /// The last line.
    pub seal: Seal,
}

impl Board {
    /// Reads a board; it is not checked but that each line can be understood.
    ///
    /// # Errors
    /// When the file cannot be read, or a line is no entry.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let mut lines = BufReader::new(file)
            .lines()
            .collect::<Result<Vec<_>, _>>()
            .with_context(|| format!("reading {}", path.display()))?;
        let Some(last) = lines.pop() else { bail!("{} is empty", path.display()) };
        let seal = serde_json::from_str(&last).context("the last line is no root: the board is cut off")?;
        let parse = |(number, line): (usize, &String)| {
            serde_json::from_str(line).with_context(|| format!("line {number} is no entry"))
        };
        let entries = (1..).zip(&lines).map(parse).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self { lines, entries, seal })
    }

    /// Checks that the root is that of the lines; gives their tree.
    ///
    /// # Errors
    /// When it is not, or is not `expected`.
    pub fn check_root(&self, expected: Option<&str>) -> anyhow::Result<Tree> {
        let tree = Tree::of(&self.lines);
        let root = tree.root();
        let Seal { root: sealed, entries } = &self.seal;
        ensure!(*entries == self.lines.len() as u64, "{entries} entries are sealed, {} stand here", self.lines.len());
        ensure!(*sealed == root, "the root of the lines is {root}, sealed is {sealed}: a line was changed");
        ensure!(expected.is_none_or(|expected| expected == root), "the root is {root}, which is not the expected one");
        Ok(tree)
    }

    /// Ballots that count at the end: their line from 0, receipt, weight, region and marks.
    ///
    /// # Errors
    /// When a receipt is replaced or spoilt that does not count.
    pub fn ballots(&self) -> anyhow::Result<Vec<Ballot<'_>>> {
        let mut known = std::collections::BTreeMap::<u64, Ballot<'_>>::new();
        for (line, entry) in self.entries.iter().enumerate() {
            let gone = |receipt: &u64| format!("line {}: receipt {receipt} does not count", line + 1);
            match entry {
                Entry::Cast { receipt, weight, region, marks } => {
                    let ballot = Ballot { line, receipt: *receipt, weight: *weight, region: *region, marks };
                    ensure!(known.insert(*receipt, ballot).is_none(), "line {}: receipt {receipt} twice", line + 1);
                }
                Entry::Replaced { receipt, of, marks } => {
                    let before = known.remove(of).with_context(|| gone(of))?;
                    let ballot = Ballot { line, receipt: *receipt, marks, ..before };
                    ensure!(known.insert(*receipt, ballot).is_none(), "line {}: receipt {receipt} twice", line + 1);
                }
                Entry::Spoilt { receipt } => {
                    known.remove(receipt).with_context(|| gone(receipt))?;
                }
                _ => {}
            }
        }
        Ok(known.into_values().collect())
    }
}

/// A ballot that counts.
#[derive(Clone, Copy, Debug)]
pub struct Ballot<'a> {
    /// Its line, from 0.
    pub line: usize,
    /// Its receipt.
    pub receipt: u64,
    /// For how many votes.
    pub weight: u32,
    /// Where; 0 when there are no regions.
    pub region: u16,
    /// Candidates with their rank, points or 1.
    pub marks: &'a [(u16, u32)],
}
