//! Whether a count says anything, seen among all that were counted.

/// Deviance of `seen` of `of` against `then` of `there`: twice the log-likelihood that two shares gain on one, positive where the share
/// rose, negative where it fell, divided by `dispersion` (1 or more; quasi-likelihood: McCullagh and Nelder, *Generalized Linear
/// Models*, 1989, ch. 4.5). Counts that may exceed what they are counted of are Poisson's instead.
///
/// exp(−|deviance| / 2) bounds the probability of a difference as large by chance (Chernoff's bound with the pooled share for the
/// true one).
pub(super) fn deviance((then, there): (f64, f64), (seen, of): (f64, f64), dispersion: f64) -> f64 {
    let (k, n) = (then + seen, there + of);
    if there <= 0.0 || of <= 0.0 || k <= 0.0 {
        return 0.0;
    }
    let part =
        |k: f64, expected: f64| if k > 0.0 { k * (k / expected.max(f64::MIN_POSITIVE)).ln() } else { 0.0 };
    let mut sum = part(then, k * there / n) + part(seen, k * of / n);
    if then <= there && seen <= of && k < n {
        sum += part(there - then, (n - k) * there / n) + part(of - seen, (n - k) * of / n);
    }
    let sign = if seen * there >= then * of { 1.0 } else { -1.0 };
    sign * 2.0 * sum.max(0.0) / dispersion.max(1.0)
}

/// Share of a finding that is left when `looked` counts were compared: 1 − looked · p, at least 0 (Bonferroni's bound of the
/// probability that any of them is as far off by chance). `deviance` towards what the finding says.
pub(super) fn believed(deviance: f64, looked: f64) -> f64 {
    (1.0 - looked * (-0.5 * deviance.max(0.0)).exp()).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::{believed, deviance};

    #[test]
    fn few_events_among_many_counts_say_nothing() {
        // 3.5 to be expected, none seen, among 500 counts.
        let missing = -deviance((35.0, 10_000.0), (0.0, 1000.0), 1.0);
        assert!(believed(missing, 500.0) <= 0.0);
        // Alone it would.
        assert!(believed(missing, 1.0) > 0.9);
        // What always stood there is missed sooner: 12 of 12, now none of 12.
        assert!(believed(-deviance((12.0, 12.0), (0.0, 12.0), 1.0), 500.0) > 0.99);
    }

    #[test]
    fn the_sign_says_which_way_and_equal_shares_say_nothing() {
        assert!(deviance((10.0, 100.0), (30.0, 100.0), 1.0) > 0.0);
        assert!(deviance((30.0, 100.0), (10.0, 100.0), 1.0) < 0.0);
        assert!(deviance((30.0, 100.0), (3.0, 10.0), 1.0).abs() < 1e-9);
        assert!(deviance((0.0, 0.0), (5.0, 10.0), 1.0).abs() <= 0.0);
        let (plain, clumped) =
            (deviance((1.0, 100.0), (9.0, 100.0), 1.0), deviance((1.0, 100.0), (9.0, 100.0), 3.0));
        assert!((plain / clumped - 3.0).abs() < 1e-9);
        // More lines than spans.
        assert!(deviance((100.0, 50.0), (400.0, 50.0), 1.0) > 100.0);
    }
}
