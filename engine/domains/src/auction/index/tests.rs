//! Whether blocks are kept as the index needs them.

use super::super::workload::{attribute, target};
use super::*;
use ringfence_kernel::random::Random;

fn standing(score: u64) -> Standing {
    Standing { score, worth: score / 3 }
}

/// Guards against blocks that are lost, shared by two classes or shelves, or left nearly empty, as line items come, go and change
/// their class: each shelf must have each of its bits once, best class first, of a class one block at most has room, and a
/// block knows its best.
#[test]
fn blocks_are_kept_full_and_in_order() {
    for values in [1, 3, 40] {
        blocks_are_kept(values);
    }
}

fn blocks_are_kept(values: u32) {
    let (items, mut random) = (1_500_u32, Random::new(5));
    // Every fifth includes two values, and stands on the open shelf.
    let targets: Vec<Vec<Target>> = (0..items)
        .map(|place| {
            let value = |value: u32| target(TargetMode::Include, Dimension::Site, value % values);
            let mut own = alloc::vec![value(place)];
            if place % 5 == 0 && values > 1 {
                own.push(value(place + 1));
            }
            own.sort_unstable_by_key(|target| target.value);
            own
        })
        .collect();
    let mut index = Index::new(items as usize, values as usize);
    targets.iter().for_each(|targets| index.know(targets).expect("there is room"));
    let mut scores = alloc::vec![None; items as usize];
    let mut met = Met::new(index.blocks());
    for step in 0..60_000 {
        let place = random.below(items.into()) as u32;
        // For a while nearly all are of one class, then of many.
        let classes = if step / 10_000 % 2 == 0 { 2 } else { 60 };
        let score = random.percent(70).then(|| (1 << random.below(classes)) + random.below(3));
        index.put(place, score.map(standing), |place| &targets[place as usize]);
        scores[place as usize] = score;
        if step % 97 != 0 {
            continue;
        }
        for order in &index.order {
            assert!(order.is_sorted(), "step {step}");
            for pair in order.windows(2).filter(|pair| pair[0] >> 16 == pair[1] >> 16) {
                let open = |entry: u32| block_of(&index.present, class_and_block(entry).1) != [u64::MAX; WORDS];
                assert!(!(open(pair[0]) && open(pair[1])), "step {step}: two have room");
            }
        }
        let value = step as u32 % values;
        let count = index.meet(&[attribute(Dimension::Site, value)], &mut met);
        let mut seen = Vec::new();
        let mut shelves = 0;
        for (first, end) in met.shelves() {
            shelves += 1;
            let found = &met.found[first as usize..end as usize];
            assert!(found.is_sorted_by_key(|(entry, _)| *entry), "step {step}: best class first");
            for (entry, bits) in found {
                let (class_of_block, block) = class_and_block(*entry);
                for bit in ones(bits) {
                    let (place, own) = index.at(block * BITS as usize + bit);
                    assert!(class(own.score) == class_of_block, "step {step}");
                    assert!(scores[place as usize].map(standing) == Some(own), "step {step}");
                    assert!(own.worth <= index.top(block), "step {step}");
                    seen.push(place);
                }
            }
        }
        assert!(shelves <= 2, "step {step}: its own shelf and the open one");
        for order in &index.order {
            for (_, block) in order.iter().map(|entry| class_and_block(*entry)) {
                let worths =
                    ones(&block_of(&index.present, block)).map(|bit| index.at(block * BITS as usize + bit).1.worth);
                assert_eq!(worths.max(), Some(index.top(block)), "step {step}");
            }
        }
        seen.sort_unstable();
        let includes = |place: &u32| targets[*place as usize].iter().any(|target| target.value == value);
        let expected: Vec<u32> =
            (0..items).filter(|place| includes(place) && scores[*place as usize].is_some()).collect();
        assert!(seen == expected && count as usize == expected.len(), "step {step}");
    }
}

/// Guards against classes that are out of the order of their scores, or more than there are.
#[test]
fn a_higher_class_has_higher_scores() {
    let mut random = Random::new(6);
    for _ in 0..100_000 {
        let (a, b) = (random.next() >> random.below(64), random.next() >> random.below(64));
        assert!((a <= b) <= (class(a) <= class(b)), "{a} and {b}");
    }
    assert!(class(0) == 0 && class(u64::MAX) < CLASSES as u32);
}
