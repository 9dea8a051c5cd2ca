//! The Merkle tree of a board's lines by RFC 6962, with SHA-256: that a line is in it, and that it only grew.

use anyhow::{Context as _, ensure};
use base16ct::lower::encode_string as hex;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

const HASH_BYTES: usize = 32;

/// The tree of some lines.
pub struct Tree {
    tree: MemoryBackedTree<Sha256, String>,
    /// Its root after each line: who saw it then asks whether it only grew.
    roots: Vec<RootHash<Sha256>>,
}

/// That a line stands in a tree, or that a tree begins with another.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "proof", rename_all = "snake_case", deny_unknown_fields)]
pub enum Proof {
    /// A line stands in a tree.
    Inclusion {
        /// The line.
        line: String,
        /// Where, from 0.
        index: u64,
        /// Entries of the tree.
        entries: u64,
        /// Its root.
        root: String,
        /// The siblings on the way to the root, lowest first.
        hashes: Vec<String>,
    },
    /// A tree begins with another.
    Consistency {
        /// Entries of the other.
        old_entries: u64,
        /// Its root.
        old_root: String,
        /// Entries of the tree.
        entries: u64,
        /// Its root.
        root: String,
        /// What leads to both roots.
        hashes: Vec<String>,
    },
}

impl Tree {
    /// The tree of those lines.
    #[must_use]
    pub fn of(lines: &[String]) -> Self {
        let mut tree = MemoryBackedTree::new();
        let grown = lines.iter().map(|line| {
            tree.push(line.clone());
            tree.root()
        });
        let roots = grown.collect();
        Self { tree, roots }
    }

    /// Its root, in hexadecimal.
    #[must_use]
    pub fn root(&self) -> String {
        hex(self.tree.root().as_bytes())
    }

    /// That the line `index` stands in it.
    ///
    /// # Panics
    /// When there are not as many lines.
    #[must_use]
    pub fn inclusion(&self, index: usize) -> Proof {
        Proof::Inclusion {
            line: self.tree.get(index).expect("there are as many lines").clone(),
            index: index as u64,
            entries: self.tree.len(),
            root: self.root(),
            hashes: self.tree.prove_inclusion(index).as_bytes().chunks(HASH_BYTES).map(hex).collect(),
        }
    }

    /// That it begins with the first `old` lines.
    ///
    /// # Errors
    /// When there are not as many lines, or none is asked for.
    pub fn consistency(&self, old: u64) -> anyhow::Result<Proof> {
        ensure!(
            (1..=self.tree.len()).contains(&old),
            "the board has {} entries: it cannot begin with {old}",
            self.tree.len()
        );
        let proof = self.tree.prove_consistency((self.tree.len() - old) as usize);
        Ok(Proof::Consistency {
            old_entries: old,
            old_root: hex(self.roots[old as usize - 1].as_bytes()),
            entries: self.tree.len(),
            root: self.root(),
            hashes: proof.as_bytes().chunks(HASH_BYTES).map(hex).collect(),
        })
    }
}

impl Proof {
    /// Checks that it leads to the root it names.
    ///
    /// # Errors
    /// When it does not, or cannot be read.
    pub fn check(&self) -> anyhow::Result<()> {
        let bytes = |hashes: &[String]| -> anyhow::Result<Vec<u8>> {
            Ok(hashes.iter().map(|hash| unhex(hash)).collect::<anyhow::Result<Vec<_>>>()?.concat())
        };
        let root = |root: &str, entries: u64| -> anyhow::Result<RootHash<Sha256>> {
            Ok(RootHash::new(unhex(root)?.into(), entries))
        };
        match self {
            Self::Inclusion { line, index, entries, root: top, hashes } => {
                let proof =
                    InclusionProof::<Sha256>::try_from_bytes(bytes(hashes)?).context("the hashes are no proof")?;
                ensure!(index < entries, "the index {index} is outside {entries} entries");
                let verified = root(top, *entries)?.verify_inclusion(line, *index, &proof);
                verified.context("the line does not lead to the root")
            }
            Self::Consistency { old_entries, old_root, entries, root: top, hashes } => {
                let proof = ConsistencyProof::try_from_bytes(bytes(hashes)?).context("the hashes are no proof")?;
                ensure!((1..=*entries).contains(old_entries), "{entries} entries cannot begin with {old_entries}");
                let (old, new) = (root(old_root, *old_entries)?, root(top, *entries)?);
                new.verify_consistency(&old, &proof).context("the tree does not begin with the old one")
            }
        }
    }

    /// The root it leads to.
    #[must_use]
    pub fn root(&self) -> &str {
        match self {
            Self::Inclusion { root, .. } | Self::Consistency { root, .. } => root,
        }
    }
}

fn unhex(text: &str) -> anyhow::Result<[u8; HASH_BYTES]> {
    let mut bytes = [0; HASH_BYTES];
    let decoded = base16ct::mixed::decode(text, &mut bytes).map_or(0, <[u8]>::len);
    ensure!(decoded == HASH_BYTES, "{text:?} is no hash of {HASH_BYTES} bytes in hexadecimal");
    Ok(bytes)
}
