use aiops_prometheus::store::{Bucket, Grid, Point, histogram_quantile, increase, instant};
use proptest::prelude::*;

fn points(list: &[(i64, f64)]) -> Vec<Point> {
    list.iter().map(|(at, value)| Point::new(*at, *value)).collect()
}

#[test]
fn instant_looks_back_and_stops_at_a_stale_marker() {
    let mut series = points(&[(1_000, 1.0), (2_000, f64::NAN), (3_000, 3.0)]);
    series.push(Point::stale(4_000));
    series.push(Point::new(9_000, 9.0));
    let grid = Grid { start_ms: 500, step_ms: 500, len: 18 };
    let values = instant(&series, grid, 1_000);
    let gaps: Vec<i64> =
        values.iter().zip(grid.times()).filter(|(value, _)| value.is_none()).map(|(_, at)| at).collect();
    assert_eq!(gaps, [500, 4_000, 4_500, 5_000, 5_500, 6_000, 6_500, 7_000, 7_500, 8_000, 8_500]);
    assert!(values[3].unwrap().is_nan(), "NaN is a value");
    assert_eq!(values[17], Some(9.0));
    assert_eq!(
        instant(&series[..1], Grid { start_ms: 2_000, step_ms: 1, len: 1 }, 1_000),
        [None],
        "left-open"
    );
    assert_eq!(instant(&[], grid, 1_000), vec![None; 18]);
}

#[test]
fn increase_adds_back_resets_and_needs_two_samples() {
    let at =
        |series: &[Point], t, window| increase(series, Grid { start_ms: t, step_ms: 1, len: 1 }, window)[0];
    let series = points(&[(0, 10.0), (1_000, 15.0), (2_000, 3.0), (3_000, 8.0), (4_000, 2.0)]);
    let whole = at(&series, 4_000, 5_000).unwrap();
    // 10→15, restart, 0→3→8, restart, 0→2.
    assert_eq!((whole.increase, whole.covered_seconds), (5.0 + 8.0 + 2.0, 4.0));
    assert_eq!(whole.per_second(), 3.75);
    let left_open = at(&series, 1_000, 1_000);
    assert_eq!(left_open, None, "the sample at the left edge is outside");
    assert_eq!(at(&series, 1_000, 1_001).unwrap().increase, 5.0);
    assert_eq!(at(&series, 500, 5_000), None);
    assert_eq!(at(&[], 500, 5_000), None);

    let mut broken = points(&[(0, 1.0), (1_000, f64::NAN), (2_000, f64::INFINITY), (3_000, 4.0)]);
    broken.push(Point::stale(3_500));
    broken.push(Point::new(4_000, 1.0));
    assert_eq!(at(&broken, 4_000, 10_000).unwrap().increase, 4.0, "no count, no poison: 1→4, restart, 0→1");
}

/// Vectors of Prometheus's own test suite (promql/testdata/histograms.test).
#[test]
fn quantiles_match_the_reference_vectors() {
    let histogram = |list: &[(f64, f64)]| -> Vec<Bucket> {
        list.iter().map(|(upper_bound, count)| Bucket { upper_bound: *upper_bound, count: *count }).collect()
    };
    let inf = f64::INFINITY;
    let positive = histogram(&[(0.1, 50.0), (0.2, 70.0), (1.0, 110.0), (inf, 120.0)]);
    let negative = histogram(&[(-0.2, 10.0), (-0.1, 20.0), (0.3, 20.0), (inf, 30.0)]);
    let close = |q, buckets: &[Bucket], expected: f64| {
        let value = histogram_quantile(q, buckets).unwrap();
        assert!((value - expected).abs() < 1e-12 || value == expected, "q {q}: {value} is not {expected}");
    };
    for (q, a, b) in [
        (-0.1, -inf, -inf),
        (0.0, 0.0, -0.2),
        (0.2, 0.048, -0.2),
        (0.5, 0.15, -0.15),
        (0.8, 0.72, 0.3),
        (1.0, 1.0, 0.3),
        (1.01, inf, inf),
    ] {
        close(q, &positive, a);
        close(q, &negative, b);
    }
    let undefined = [
        histogram(&[]),
        histogram(&[(inf, 5.0)]),
        histogram(&[(1.0, 5.0), (2.0, 5.0)]),
        histogram(&[(1.0, 0.0), (inf, 0.0)]),
        histogram(&[(f64::NAN, 1.0), (inf, 1.0)]),
        histogram(&[(1.0, f64::NAN), (inf, 1.0)]),
    ];
    for buckets in undefined {
        assert_eq!(histogram_quantile(0.5, &buckets), None, "{buckets:?}");
    }
    assert_eq!(histogram_quantile(f64::NAN, &positive), None);
    let shuffled = histogram(&[(inf, 60.0), (1.0, 110.0), (0.1, 50.0), (inf, 60.0), (0.2, 70.0)]);
    close(0.8, &shuffled, 0.72);
    let torn = histogram(&[(0.1, 50.0), (0.2, 40.0), (1.0, 110.0), (inf, 109.0)]);
    close(0.5, &torn, 0.2 + 0.8 * 5.0 / 60.0);
}

/// As the definition says, sample by sample.
fn naive_increase(series: &[Point], t: i64, window: i64) -> Option<(f64, f64)> {
    let inside: Vec<&Point> =
        series.iter().filter(|p| p.at_ms > t - window && p.at_ms <= t && p.value.is_finite()).collect();
    let (first, last) = (inside.first()?, inside.last()?);
    let mut sum = 0.0;
    for pair in inside.windows(2) {
        sum += if pair[1].value < pair[0].value { pair[1].value } else { pair[1].value - pair[0].value };
    }
    (inside.len() > 1).then(|| (sum, (last.at_ms - first.at_ms) as f64 / 1_000.0))
}

fn series() -> impl Strategy<Value = Vec<Point>> {
    let value = prop_oneof![8 => (0_u32..1_000).prop_map(f64::from), 1 => Just(f64::NAN), 1 => Just(f64::from_bits(0x7ff0_0000_0000_0002))];
    proptest::collection::vec((1_i64..5_000, value), 0..60).prop_map(|steps| {
        let mut at = 0;
        steps
            .into_iter()
            .map(|(step, value)| {
                at += step;
                Point { at_ms: at, value }
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn increase_agrees_with_its_definition(series in series(), window in 1_i64..40_000, step in 1_i64..3_000) {
        let grid = Grid { start_ms: -1_000, step_ms: step, len: 60 };
        for (t, got) in grid.times().zip(increase(&series, grid, window)) {
            let expected = naive_increase(&series, t, window);
            match (got, expected) {
                (None, None) => {}
                (Some(got), Some((sum, seconds))) => {
                    prop_assert_eq!(got.increase, sum, "integers add up exactly");
                    prop_assert_eq!(got.covered_seconds, seconds);
                }
                other => prop_assert!(false, "{:?} at {}", other, t),
            }
        }
    }

    #[test]
    fn instant_agrees_with_its_definition(series in series(), lookback in 1_i64..20_000, step in 1_i64..3_000) {
        let grid = Grid { start_ms: -1_000, step_ms: step, len: 60 };
        for (t, got) in grid.times().zip(instant(&series, grid, lookback)) {
            let last = series.iter().rev().find(|p| p.at_ms <= t);
            let expected = last.filter(|p| p.at_ms > t - lookback && !p.is_stale()).map(|p| p.value.to_bits());
            prop_assert_eq!(got.map(f64::to_bits), expected);
        }
    }

    /// The quantile lies in the bucket of the observation of its rank, and grows with q.
    #[test]
    fn a_quantile_lies_in_its_bucket(
        observations in proptest::collection::vec(0.0_f64..20.0, 1..80),
        q in 0.001_f64..1.0,
    ) {
        let bounds = [0.5, 1.0, 2.0, 5.0, 10.0, f64::INFINITY];
        let buckets = bounds.map(|upper_bound| Bucket {
            upper_bound,
            count: observations.iter().filter(|o| **o <= upper_bound).count() as f64,
        });
        let value = histogram_quantile(q, &buckets).unwrap();
        let mut sorted = observations;
        sorted.sort_by(f64::total_cmp);
        let rank = ((q * sorted.len() as f64).ceil() as usize).max(1);
        let truth = sorted[rank - 1];
        let index = bounds.iter().position(|bound| truth <= *bound).unwrap();
        let lower = if index == 0 { 0.0 } else { bounds[index - 1] };
        let upper = bounds[index].min(10.0);
        prop_assert!(value >= lower.min(10.0) && value <= upper, "{value} not in {lower}..{upper}");
        prop_assert!(histogram_quantile((q + 0.1).min(1.0), &buckets).unwrap() >= value);
    }
}
