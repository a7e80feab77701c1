//! Bounded top-k against sorting everything.

use aiops_compact::TopK;
use proptest::prelude::*;

proptest! {
    #[test]
    fn keeps_what_sorting_puts_first(
        items in prop::collection::vec((prop_oneof![(-3..3_i32).prop_map(f64::from), Just(f64::NAN), Just(f64::INFINITY)], 0..50_u32), 0..80),
        k in 0..12_usize, cut in 0..80_usize, second_cut in 0..80_usize,
    ) {
        let mut naive = items.clone();
        let key = |s: f64| if s.is_nan() { f64::NEG_INFINITY } else { s };
        naive.sort_by(|a, b| key(b.0).total_cmp(&key(a.0)).then(a.0.is_nan().cmp(&b.0.is_nan())).then(a.1.cmp(&b.1)));
        let expected: Vec<u32> = naive.into_iter().take(k).map(|(_, item)| item).collect();

        let mut whole = TopK::new(k);
        let (mut left, mut middle, mut right) = (TopK::new(k), TopK::new(k), TopK::new(k));
        for (i, (score, item)) in items.iter().enumerate() {
            whole.push(*score, *item);
            let shard = match (i < cut, i < second_cut) {
                (true, _) => &mut left,
                (false, true) => &mut middle,
                (false, false) => &mut right,
            };
            shard.push(*score, *item);
        }
        // (left + middle) + right and right + (middle + left).
        let mut one_way = left.clone();
        one_way.merge(middle.clone());
        one_way.merge(right.clone());
        middle.merge(left);
        right.merge(middle);
        prop_assert_eq!((one_way.offered(), right.offered()), (items.len() as u64, items.len() as u64));
        let names = |top: TopK<u32>| top.into_sorted_vec().into_iter().map(|(_, item)| item).collect::<Vec<_>>();
        prop_assert_eq!(names(whole), expected.clone());
        prop_assert_eq!(names(one_way), expected.clone());
        prop_assert_eq!(names(right), expected);
    }
}
