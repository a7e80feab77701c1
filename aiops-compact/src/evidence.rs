//! How surely two counts differ.

/// One term of a deviance; 0·ln 0 is 0.
fn term(seen: f64, expected: f64) -> f64 {
    if seen > 0.0 { seen * (seen / expected).ln() } else { 0.0 }
}

/// Signed root of the likelihood-ratio statistic of two binomial shares, `now` (successes, trials) against `before`:
/// about standard normal when both come from one share, also where the normal approximation of the difference fails
/// (shares near 0 or 1). With half a success taken from the difference on either side (the continuity correction of
/// Yates), without which one success of one trial would look certain. Positive when the share rose; 0 without trials
/// on either side, or without a difference of more than the correction.
pub(crate) fn shares(before: (u64, u64), now: (u64, u64)) -> f64 {
    let [k0, n0, k1, n1] = [before.0.min(before.1), before.1, now.0.min(now.1), now.1].map(|n| n as f64);
    if n0 == 0.0 || n1 == 0.0 {
        return 0.0;
    }
    let (risen, pooled) = (k1 / n1 - k0 / n0, (k0 + k1) / (n0 + n1));
    let (k0, k1) = (k0 + 0.5_f64.copysign(risen), k1 - 0.5_f64.copysign(risen));
    if (k1 / n1 - k0 / n0) * risen <= 0.0 {
        return 0.0;
    }
    let half = term(k0, n0 * pooled)
        + term(n0 - k0, n0 * (1.0 - pooled))
        + term(k1, n1 * pooled)
        + term(n1 - k1, n1 * (1.0 - pooled));
    (2.0 * half.max(0.0)).sqrt().copysign(risen)
}

/// Count, sum and sum of squares of what is compared by mean.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub n: f64,
    pub sum: f64,
    pub squares: f64,
}

impl Sample {
    pub(crate) fn mean(&self) -> f64 {
        self.sum / self.n
    }

    fn variance(&self) -> f64 {
        ((self.squares - self.sum * self.mean()) / (self.n - 1.0)).max(0.0)
    }
}

/// Welch's statistic of two means of counts, `now` minus `before`, in standard errors. Each variance is taken as no
/// less than a Poisson count's of the pooled mean, over one trial at least, so that two equal counts do not look certain.
pub(crate) fn means(before: Sample, now: Sample) -> f64 {
    if before.n < 1.0 || now.n < 1.0 {
        return 0.0;
    }
    let pooled = (before.sum + now.sum) / (before.n + now.n);
    let variance = |sample: &Sample| {
        let own = if sample.n > 1.0 { sample.variance() } else { 0.0 };
        own.max(pooled) / sample.n
    };
    let error = (variance(&before) + variance(&now)).sqrt();
    if error > 0.0 { (now.mean() - before.mean()) / error } else { 0.0 }
}
