//! Mergeable moments against exact integer arithmetic.

use aiops_compact::Moments;
use proptest::prelude::*;

/// Samples `(offset + k) · 2⁻²⁰`, so that sums and sums of squares are exact in 128-bit integers.
fn samples() -> impl Strategy<Value = Vec<i64>> {
    (
        prop_oneof![Just(0_i64), Just(1 << 50), Just(-(1 << 45))],
        prop::collection::vec(-50_000..50_000_i64, 2..200),
    )
        .prop_map(|(offset, ks)| ks.into_iter().map(|k| offset + k).collect())
}

fn exact_variance(samples: &[i64]) -> f64 {
    let n = samples.len() as i128;
    let (sum, squares) =
        samples.iter().fold((0_i128, 0_i128), |(s, q), k| (s + i128::from(*k), q + i128::from(*k).pow(2)));
    (n * squares - sum * sum) as f64 / (n * (n - 1)) as f64 * 2_f64.powi(-40)
}

fn value(k: i64) -> f64 {
    k as f64 * 2_f64.powi(-20)
}

fn bound(n: usize) -> f64 {
    8.0 * n as f64 * f64::EPSILON / 2.0
}

proptest! {
    #[test]
    fn variance_is_exact_to_the_stated_bound(samples in samples()) {
        let moments: Moments = samples.iter().map(|k| value(*k)).collect();
        let exact = exact_variance(&samples);
        let error = (moments.variance().unwrap() - exact).abs();
        prop_assert!(error <= bound(samples.len()) * exact, "{} of {}", error, exact);
    }

    /// Any way to shard and join gives the same within the bound; count, minimum and maximum exactly.
    #[test]
    fn merging_does_not_care_how(samples in samples(), cut_a in 0.0..1.0_f64, cut_b in 0.0..1.0_f64) {
        let n = samples.len();
        let (a, b) = ((cut_a * n as f64) as usize, (cut_b * n as f64) as usize);
        let (a, b) = (a.min(b), a.max(b));
        let part = |range: std::ops::Range<usize>| samples[range].iter().map(|k| value(*k)).collect::<Moments>();
        let mut left = part(0..a);
        left.merge(&part(a..b));
        left.merge(&part(b..n));
        let mut tail = part(a..b);
        tail.merge(&part(b..n));
        let mut right = tail;
        right.merge(&part(0..a));
        let exact = exact_variance(&samples);
        for joined in [left, right] {
            prop_assert_eq!(joined.count(), n as u64);
            prop_assert_eq!(joined.min(), samples.iter().min().map(|k| value(*k)));
            prop_assert_eq!(joined.max(), samples.iter().max().map(|k| value(*k)));
            let error = (joined.variance().unwrap() - exact).abs();
            prop_assert!(error <= bound(n) * exact, "{} of {}", error, exact);
        }
    }
}

#[test]
fn unusable_samples_are_counted_not_added() {
    let moments: Moments = [1.0, f64::NAN, f64::INFINITY, 1e200, 3.0].into_iter().collect();
    assert_eq!((moments.count(), moments.excluded()), (2, 3));
    assert_eq!(moments.mean(), Some(2.0));
    let empty = Moments::new();
    assert_eq!((empty.mean(), empty.variance(), empty.min(), empty.max()), (None, None, None, None));
}

#[test]
fn state_survives_storage() {
    let moments: Moments = [1.0, 2.0, 4.0].into_iter().collect();
    let stored = serde_json::to_string(&moments).unwrap();
    assert_eq!(serde_json::from_str::<Moments>(&stored).unwrap(), moments);
    assert!(serde_json::from_str::<Moments>(&stored.replace("\"count\"", "\"cnt\"")).is_err());
}
