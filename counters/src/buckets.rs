//! Which bucket of a histogram a value falls into.
//!
//! The buckets are HdrHistogram's: each power of two is cut into [`SUB_BUCKETS`] equal parts, and what is below the first
//! power of two that can be cut is counted exactly. A bucket is at most 1/32 as wide as its lowest value is large, so
//! that a percentile, which is told as its bucket's highest value, is never too low and at most 3.2 % too high.

/// Parts of a power of two.
pub const SUB_BUCKETS: u64 = 1 << SUB_BITS;
const SUB_BITS: u32 = 5;

/// The largest value that is told apart from larger ones: 2^40 − 1, as nanoseconds 18 minutes.
pub const VALUE_MAX: u64 = (1 << VALUE_BITS) - 1;
const VALUE_BITS: u32 = 40;

/// Buckets of a histogram.
pub const BUCKETS: usize = (SUB_BUCKETS * (VALUE_BITS - SUB_BITS + 1) as u64) as usize;

/// The bucket of `value`; what is above [`VALUE_MAX`] falls into the last one.
#[must_use]
#[inline]
pub const fn bucket(value: u64) -> usize {
    let value = if value > VALUE_MAX { VALUE_MAX } else { value };
    // The lowest power of two that is cut stands in for everything below it: those values are their own bucket.
    let shift = (u64::BITS - 1 - SUB_BITS) - (value | SUB_BUCKETS).leading_zeros();
    ((shift as u64) << SUB_BITS) as usize + (value >> shift) as usize
}

/// The highest value of a bucket.
#[must_use]
pub const fn highest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < SUB_BUCKETS {
        return bucket;
    }
    let shift = bucket / SUB_BUCKETS - 1;
    ((bucket - shift * SUB_BUCKETS + 1) << shift) - 1
}

const _: () = assert!(bucket(0) == 0 && bucket(VALUE_MAX) == BUCKETS - 1 && highest(BUCKETS - 1) == VALUE_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against a value that is counted in a bucket which does not contain it, and against gaps between buckets.
    #[test]
    fn every_bucket_begins_where_the_last_one_ends() {
        let mut lowest = 0;
        for at in 0..BUCKETS {
            assert_eq!((bucket(lowest), bucket(highest(at))), (at, at));
            let width = highest(at) - lowest + 1;
            assert!(width == 1 || width * SUB_BUCKETS <= lowest, "bucket {at} is {width} wide at {lowest}");
            lowest = highest(at) + 1;
        }
        assert_eq!(lowest, VALUE_MAX + 1);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }
}
