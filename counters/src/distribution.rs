//! A reading of a histogram.

use crate::buckets::{BUCKETS, bucket, highest};

/// How often which values occurred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    counts: Vec<u64>,
    worst: u64,
}

impl Distribution {
    /// From the words of a histogram.
    pub(crate) fn of(words: &[u64]) -> Option<Self> {
        let (worst, counts) = words.split_first().filter(|(_, counts)| counts.len() == BUCKETS)?;
        Some(Self { counts: counts.to_vec(), worst: *worst })
    }

    /// What was added since `earlier`; all of it, when that is no earlier reading of this one.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let Some(counts) = self
            .counts
            .iter()
            .zip(&earlier.counts)
            .map(|(now, then)| now.checked_sub(*then))
            .collect::<Option<Vec<_>>>()
        else {
            return self.clone();
        };
        // The worst of all may be older: what was added is known by its bucket.
        let top = counts.iter().rposition(|count| *count > 0);
        let worst = top.map_or(0, |top| if bucket(self.worst) == top { self.worst } else { highest(top) });
        Self { counts, worst }
    }

    /// Values recorded.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().copied().fold(0, u64::saturating_add)
    }

    /// The largest value recorded; none when there is none.
    #[must_use]
    pub fn worst(&self) -> Option<u64> {
        (self.total() > 0).then_some(self.worst)
    }

    /// The value that `per_million` millionths of all do not exceed, as the highest value of its bucket, and never more
    /// than the worst; none when nothing was recorded.
    #[must_use]
    pub fn percentile(&self, per_million: u64) -> Option<u64> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let rank = (u128::from(total) * u128::from(per_million)).div_ceil(1_000_000).max(1);
        let mut seen = 0_u128;
        let at = self.counts.iter().position(|count| {
            seen += u128::from(*count);
            seen >= rank
        })?;
        // The largest value is stored after its count: it may be a store behind.
        Some(highest(at).min(self.worst.max(if at == 0 { 0 } else { highest(at - 1) + 1 })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[u64]) -> Distribution {
        let mut words = vec![0; BUCKETS + 1];
        for value in values {
            words[0] = words[0].max(*value);
            words[1 + bucket(*value)] += 1;
        }
        Distribution::of(&words).expect("as many words as a histogram has")
    }

    /// Guards against percentiles that are off by a bucket or by one value.
    #[test]
    fn percentiles_are_the_sorted_values_within_a_32nd() {
        let values: Vec<u64> = (0..1000).map(|n| n * n * 7 + 3).collect();
        let all = of(&values);
        for per_million in [1_u64, 500_000, 900_000, 990_000, 999_000, 1_000_000] {
            let exact = values[(1000_u64 * per_million).div_ceil(1_000_000).max(1) as usize - 1];
            let told = all.percentile(per_million).expect("there are values");
            assert!(told >= exact && told - exact <= exact / 32, "{per_million}: {told} for {exact}");
        }
        assert_eq!((all.total(), all.worst(), all.percentile(1_000_000)), (1000, Some(999 * 999 * 7 + 3), all.worst()));
        assert_eq!((of(&[]).percentile(500_000), of(&[]).worst()), (None, None));
        assert_eq!((of(&[0]).percentile(500_000), of(&[0]).worst()), (Some(0), Some(0)));
    }

    /// Guards against a refresh that shows what was there before it.
    #[test]
    fn what_was_added_stands_alone() {
        let (before, after) = (of(&[5, 1_000_000]), of(&[5, 1_000_000, 70, 70]));
        let added = after.since(&before);
        assert_eq!((added.total(), added.percentile(500_000), added.worst()), (2, Some(71), Some(71)));
        assert_eq!(before.since(&after), before, "another engine's readings are no earlier ones");
    }
}
