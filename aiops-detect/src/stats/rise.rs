use aiops_compact::order::{MAD_TO_SIGMA, mad_of_sorted, median_of_sorted};

use super::median;

/// When a rise has begun lately; see [`latest_rise`]. Lengths of steps are in σ of what is usual for the series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RiseTest {
    /// What a step must exceed to speak for a rise.
    pub(crate) slack: f64,
    /// Where a step is cut: a single jump is no rise.
    pub(crate) cut: f64,
    /// Sum of such steps from which it is one.
    pub(crate) decision: f64,
    /// Smallest σ of a step, in the unit of y.
    pub(crate) floor: f64,
}

/// A rise that goes on at the end of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rise {
    /// Index of the last point before it.
    pub(crate) since: usize,
    /// Median slope since then, per unit of x.
    pub(crate) slope: f64,
}

/// A rise that began within the series and goes on at its end, for points `(x, y)` with ascending x and finite y.
///
/// A one-sided cumulative sum of steps (E. S. Page, *Continuous inspection schemes*, Biometrika 1954), each cut as Huber's ψ cuts
/// (*Robust estimation of a location parameter*, 1964). [Ranks](super::mann_kendall) tell a slow rise out of much noise, and need most of the series for it; this
/// tells a fast one after `decision / (cut − slack)` steps, whatever the series did before. σ is 1.48 times the MAD of the steps, so it is of what is usual as
/// long as less than half of them rise. `None` for fewer than eight steps. O(n log n).
pub(crate) fn latest_rise(points: &[(f64, f64)], test: &RiseTest) -> Option<Rise> {
    let pairs = || points.windows(2).filter_map(|pair| if let [a, b] = pair { Some((a, b)) } else { None });
    let mut steps: Vec<f64> = pairs().map(|(a, b)| b.1 - a.1).collect();
    if steps.len() < 8 {
        return None;
    }
    steps.sort_unstable_by(f64::total_cmp);
    let sigma = MAD_TO_SIGMA * mad_of_sorted(&steps, median_of_sorted(&steps)?)?;
    let sigma = sigma.max(test.floor);
    let (mut sum, mut since) = (0.0_f64, 0);
    for (at, (a, b)) in pairs().enumerate() {
        if sum == 0.0 {
            since = at;
        }
        sum = (sum + ((b.1 - a.1) / sigma).min(test.cut) - test.slack).max(0.0);
    }
    // What is no number adds nothing: `max` passes it over.
    if sum < test.decision {
        return None;
    }
    let slope =
        median(pairs().skip(since).filter(|(a, b)| b.0 > a.0).map(|(a, b)| (b.1 - a.1) / (b.0 - a.0)));
    (slope > 0.0).then_some(Rise { since, slope })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: RiseTest = RiseTest { slack: 0.5, cut: 3.0, decision: 8.0, floor: 1e-3 };

    fn series(n: u32, y: impl Fn(u32) -> f64) -> Vec<(f64, f64)> {
        (0..n).map(|i| (2.0 * f64::from(i), y(i))).collect()
    }

    /// Uniform noise of σ 1, by a generator of one line (Steele, Lea and Flood 2014).
    fn noise(seed: u64) -> impl FnMut() -> f64 {
        let mut state = seed;
        move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) as f64 / u64::MAX as f64 - 0.5) * 12_f64.sqrt()
        }
    }

    #[test]
    fn a_fast_rise_is_told_after_four_steps_with_its_onset_and_slope() {
        let ramp = |last: u32| series(last + 1, |i| if i < 30 { 5.0 } else { 5.0 + 4.0 * f64::from(i - 29) });
        assert_eq!(latest_rise(&ramp(32), &TEST), None);
        let rise = latest_rise(&ramp(33), &TEST).unwrap();
        assert_eq!((rise.since, rise.slope), (29, 2.0));
    }

    #[test]
    fn a_jump_a_burst_a_fall_and_what_is_over_are_none() {
        for (what, points) in [
            ("jump", series(40, |i| if i < 35 { 5.0 } else { 50.0 })),
            ("burst", series(40, |i| if (30..34).contains(&i) { f64::from(i) } else { 5.0 })),
            ("fall", series(40, |i| 100.0 - 2.0 * f64::from(i))),
            ("over", series(90, |i| if i < 30 { 5.0 } else { f64::from(i.min(36)) })),
            ("level", series(40, |_| 5.0)),
            ("short", series(8, f64::from)),
        ] {
            assert_eq!(latest_rise(&points, &TEST), None, "{what}");
        }
        assert_eq!(latest_rise(&series(40, |i| if i == 20 { f64::NAN } else { 1.0 }), &TEST), None);
    }

    #[test]
    fn noise_and_even_a_random_walk_seldom_rise() {
        let (mut level, mut walk) = (0, 0);
        for seed in 0..2_000 {
            let mut draw = noise(seed);
            let steps: Vec<f64> = (0..120).map(|_| draw()).collect();
            let sums: Vec<f64> = steps
                .iter()
                .scan(0.0, |sum, step| {
                    *sum += step;
                    Some(*sum)
                })
                .collect();
            let points = |y: &[f64]| y.iter().enumerate().map(|(i, y)| (i as f64, *y)).collect::<Vec<_>>();
            level += usize::from(latest_rise(&points(&steps), &TEST).is_some());
            walk += usize::from(latest_rise(&points(&sums), &TEST).is_some());
        }
        // At any one end of a series; e⁻⁸ is what theory gives for a walk of normal steps.
        assert_eq!(level, 0);
        assert!(walk <= 4, "{walk} of 2000");
    }
}
