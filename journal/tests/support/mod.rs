//! What the proofs share: images that say which command they are, and the history they are checked against.
#![allow(dead_code, reason = "each proof uses its part")]

use std::path::{Path, PathBuf};

use ringfence_journal::testing::Seeded;
use ringfence_journal::{Reader, Sequence, StorageHandle, Writer};

/// The directory that simulated journals live in.
pub(crate) fn dir() -> PathBuf {
    PathBuf::from("/journal")
}

/// The size of a proof: small in the ordinary tests, large when RINGFENCE_PROVE is set.
pub(crate) fn scale(ordinary: u64, prove: u64) -> u64 {
    if std::env::var_os("RINGFENCE_PROVE").is_some() { prove } else { ordinary }
}

/// An image of `bytes` bytes made of its sequence and a salt, so that no two histories look alike.
pub(crate) fn image(sequence: u64, salt: u64, bytes: usize) -> Vec<u8> {
    let mut image = vec![0; bytes];
    image[..2].copy_from_slice(&u16::try_from(bytes).expect("an image").to_le_bytes());
    image[8..16].copy_from_slice(&sequence.to_le_bytes());
    image[16..24].copy_from_slice(&salt.to_le_bytes());
    let mut fill = Seeded::new(sequence ^ salt << 32);
    for word in image[32..].chunks_exact_mut(8) {
        word.copy_from_slice(&fill.next_u64().to_le_bytes());
    }
    image
}

/// Every image appended, by sequence.
pub(crate) type History = Vec<Vec<u8>>;

/// Appends a batch of one to three commands of up to `bytes_max` bytes; false if there was no room yet.
pub(crate) fn append(
    writer: &mut Writer,
    history: &mut History,
    seeded: &mut Seeded,
    bytes_max: usize,
) -> Result<bool, ringfence_journal::Error> {
    let salt = seeded.next_u64();
    let count = 1 + seeded.below(3);
    let images: Vec<Vec<u8>> = (0..count)
        .map(|n| {
            let bytes = 32 + seeded.below((bytes_max - 32) / 8 + 1) * 8;
            image((history.len() + n) as u64, salt, bytes)
        })
        .collect();
    let total = images.iter().map(Vec::len).sum();
    let Some(mut batch) = writer.begin(total)? else {
        return Ok(false);
    };
    for image in &images {
        batch.push(image);
    }
    let mark = batch.commit(u32::try_from(count).expect("small"));
    history.extend(images);
    assert_eq!(mark, Sequence(history.len() as u64));
    Ok(true)
}

/// Reads the journal from its oldest command and holds it against the history; returns its end.
pub(crate) fn check_prefix(storage: &StorageHandle, dir: &Path, history: &History) -> u64 {
    let mut reader = Reader::open_oldest(storage, dir).expect("a recovered journal opens");
    let mut next = usize::try_from(reader.position().0).expect("small");
    while let Some(batch) = reader.next_batch().expect("a recovered journal reads") {
        assert_eq!(batch.first_sequence(), Sequence(next as u64));
        for image in batch.images() {
            assert!(next < history.len(), "a command that was never appended");
            assert!(image == history[next], "command {next} is not what was appended");
            next += 1;
        }
    }
    next as u64
}
