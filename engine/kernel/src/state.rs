//! Saving, loading and hashing state: one walk serves all three.

use bytemuck::{AnyBitPattern, NoUninit};

/// Where state is written to.
pub trait Sink {
    /// Takes the next bytes.
    fn put(&mut self, bytes: &[u8]);

    /// Takes one value.
    #[inline]
    fn value<T: NoUninit>(&mut self, value: &T) {
        self.put(bytemuck::bytes_of(value));
    }

    /// Takes values one after another, without their number.
    #[inline]
    fn values<T: NoUninit>(&mut self, values: &[T]) {
        self.put(bytemuck::cast_slice(values));
    }
}

/// Where state is read from.
pub trait Source {
    /// Fills `out` with the next bytes.
    ///
    /// # Errors
    /// [`Corrupt`] when there are not that many.
    fn take(&mut self, out: &mut [u8]) -> Result<(), Corrupt>;

    /// Reads one value.
    ///
    /// # Errors
    /// [`Corrupt`] when the bytes have run out.
    #[inline]
    fn value<T: AnyBitPattern + NoUninit>(&mut self) -> Result<T, Corrupt> {
        let mut value = T::zeroed();
        self.take(bytemuck::bytes_of_mut(&mut value))?;
        Ok(value)
    }

    /// Reads a count that may be `max` at most.
    ///
    /// # Errors
    /// [`Corrupt`] when it is larger, or the bytes have run out.
    fn count(&mut self, max: usize, what: &'static str) -> Result<usize, Corrupt> {
        let count = usize::try_from(self.value::<u64>()?).map_err(|_| Corrupt(what))?;
        if count <= max { Ok(count) } else { Err(Corrupt(what)) }
    }
}

/// Saved state that cannot be loaded, and what of it is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("saved state is corrupt: {0}")]
pub struct Corrupt(pub &'static str);

const LANES: usize = 4;
const BLOCK: usize = LANES * 16;
/// The first digits of pi after the point, as in Blowfish: constants without a purpose of their own.
const KEYS: [u64; 8] = [
    0x243f_6a88_85a3_08d3,
    0x1319_8a2e_0370_7344,
    0xa409_3822_299f_31d0,
    0x082e_fa98_ec4e_6c89,
    0x4528_21e6_38d0_1377,
    0xbe54_66cf_34e9_0c6c,
    0xc0ac_29b7_c97c_50dd,
    0x3f84_d5b5_b547_0917,
];

/// Both halves of the 128-bit product, folded into one word.
#[must_use]
#[inline]
pub const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

/// Hashes state with folded multiplies in four lanes: equal on every machine, and independent of how
/// the bytes were cut into calls. It finds accidents; it is no defence against a forger.
#[derive(Clone, Debug)]
pub struct StateHasher {
    lanes: [u64; LANES],
    buffer: [u8; BLOCK],
    filled: usize,
    total: u64,
}

impl Default for StateHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl StateHasher {
    /// The hash of nothing, so far.
    #[must_use]
    pub const fn new() -> Self {
        Self { lanes: [KEYS[4], KEYS[5], KEYS[6], KEYS[7]], buffer: [0; BLOCK], filled: 0, total: 0 }
    }

    #[inline]
    fn block(lanes: &mut [u64; LANES], block: &[u8]) {
        let (words, _) = block.as_chunks::<8>();
        for lane in 0..LANES {
            let left = u64::from_le_bytes(words[2 * lane]) ^ lanes[lane];
            let right = u64::from_le_bytes(words[2 * lane + 1]) ^ KEYS[lane];
            // Adding the operands keeps a block whose product is zero from erasing what came before.
            lanes[lane] = fold(left, right).wrapping_add(left.rotate_left(23));
        }
    }

    /// The hash of all bytes so far.
    #[must_use]
    pub fn finish(mut self) -> u64 {
        self.buffer[self.filled..].fill(0);
        let last = self.buffer;
        Self::block(&mut self.lanes, &last);
        let mut hash = self.total;
        for (lane, key) in self.lanes.iter().zip(KEYS) {
            hash = fold(hash ^ lane, key | 1) ^ hash.rotate_left(31);
        }
        hash
    }
}

impl Sink for StateHasher {
    fn put(&mut self, mut bytes: &[u8]) {
        self.total += bytes.len() as u64;
        if self.filled > 0 {
            let (head, rest) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
            self.buffer[self.filled..self.filled + head.len()].copy_from_slice(head);
            self.filled += head.len();
            bytes = rest;
            if self.filled < BLOCK {
                return;
            }
            let full = self.buffer;
            Self::block(&mut self.lanes, &full);
            self.filled = 0;
        }
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        for block in blocks {
            Self::block(&mut self.lanes, block);
        }
        self.buffer[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
    }
}

/// Folds output images into the chain that tells two histories apart, word by word.
#[must_use]
#[inline]
pub fn chain(chain: u64, image: &[u8]) -> u64 {
    walk(chain, image, core::iter::repeat_with(|| None))
}

/// [`chain`], and the image copied to the front of `copy` in the same walk: word by word, so that an image that was
/// just written need not reach the cache first.
///
/// # Panics
/// When `copy` is shorter than the image.
#[must_use]
#[inline]
pub fn chain_copy(chain: u64, image: &[u8], copy: &mut [[u64; 2]]) -> u64 {
    assert!(copy.len() * 16 >= image.len(), "there is room for the image");
    walk(chain, image, copy.iter_mut().map(Some))
}

/// A multiply for two words, in two lanes by turns: this runs for every output of every command.
#[inline]
fn walk<'a>(chain: u64, image: &[u8], mut copies: impl Iterator<Item = Option<&'a mut [u64; 2]>>) -> u64 {
    debug_assert!(image.len().is_multiple_of(8), "an image is a whole number of words");
    let (mut lane, mut other) = (chain ^ KEYS[4], chain ^ KEYS[5]);
    let (pairs, rest) = image.as_chunks::<16>();
    let mut step = |first: u64, second: u64, copy: Option<&mut [u64; 2]>| {
        if let Some(copy) = copy {
            (copy[0], copy[1]) = (first, second);
        }
        (lane, other) = (other, fold(lane ^ first, second ^ KEYS[1]));
    };
    for (pair, copy) in pairs.iter().zip(&mut copies) {
        let (words, _) = pair.as_chunks::<8>();
        step(u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1]), copy);
    }
    if let Some(word) = rest.first_chunk() {
        step(u64::from_le_bytes(*word), 0, copies.next().flatten());
    }
    // The chain so far is added: a product of zero among the words cannot erase what came before them.
    fold(lane ^ KEYS[2], other ^ KEYS[3]).wrapping_add(chain.rotate_left(29)) ^ image.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// Guards against a hash that depends on how the walk cuts its bytes.
    #[test]
    fn cuts_do_not_matter() {
        let bytes: Vec<u8> = (0..1000_u32).map(|i| (i * 7) as u8).collect();
        let mut whole = StateHasher::new();
        whole.put(&bytes);
        for cut in [1, 3, 63, 64, 65, 999] {
            let mut parts = StateHasher::new();
            bytes.chunks(cut).for_each(|part| parts.put(part));
            assert_eq!(parts.finish(), whole.clone().finish(), "cut every {cut}");
        }
    }

    /// Guards against a hash or a chain that overlooks a bit, or a zero that is added or taken away.
    #[test]
    fn every_bit_matters() {
        let bytes = [0_u8; 256];
        let hash = |bytes: &[u8]| {
            let mut hasher = StateHasher::new();
            hasher.put(bytes);
            (hasher.finish(), chain(1, &bytes[..bytes.len() / 8 * 8]))
        };
        let (plain, plain_chain) = hash(&bytes);
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes;
            other[bit / 8] ^= 1 << (bit % 8);
            let (hash, chain) = hash(&other);
            assert!(hash != plain && chain != plain_chain, "bit {bit} is overlooked");
        }
        assert_ne!(hash(&bytes[..255]).0, plain);
    }
}
