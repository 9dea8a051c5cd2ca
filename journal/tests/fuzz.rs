//! A short seeded run of the reader's fuzz body.

mod support;

use ringfence_journal::testing::{Seeded, fuzz_reader};
use support::{image, scale};

/// Guards against bytes that make the reader or recovery panic, hang, or read more than there is.
#[test]
fn no_bytes_upset_the_reader() {
    for seed in 0..scale(1500, 200_000) {
        let mut seeded = Seeded::new(seed);
        let mut data = vec![u8::try_from(seeded.below(4)).expect("small")];
        let mut sequence = 0_u64;
        // Batches that are nearly right: the sound fields of a few, each field wrong now and then.
        for index in 1..1 + seeded.below(8) as u64 {
            let images: Vec<Vec<u8>> =
                (0..1 + seeded.below(3)).map(|n| image(sequence + n as u64, seed, 32 + seeded.below(8) * 8)).collect();
            let length = 56 + images.iter().map(Vec::len).sum::<usize>();
            let mut wrong = |value: u64| if seeded.below(16) == 0 { seeded.next_u64() } else { value };
            let mut batch = Vec::new();
            batch.extend_from_slice(&[0; 8]);
            batch.extend_from_slice(&u32::try_from(length).expect("small").to_le_bytes());
            batch.extend_from_slice(&[0; 4]);
            for field in [1, index, sequence, sequence] {
                batch.extend_from_slice(&wrong(field).to_le_bytes());
            }
            batch.extend_from_slice(&wrong(images.len() as u64).to_le_bytes());
            for image in &images {
                batch.extend_from_slice(image);
            }
            data.extend_from_slice(&batch);
            sequence += images.len() as u64;
        }
        for _ in 0..seeded.below(3) {
            let at = seeded.below(data.len());
            data[at] ^= 1 << seeded.below(8);
        }
        fuzz_reader(&data);
    }
}
