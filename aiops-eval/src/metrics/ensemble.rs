//! Ensembles beside their members: scores calibrated on healthy rows, combined by each rule. // DET-08

use aiops_detect::Checked;
use aiops_detect::ensemble::{Combination, EnsembleOptions, ScoreEnsemble, TailCalibration, combine};

use crate::EvalError;

/// The rules, each with what it is called in reports and folders.
pub(super) const RULES: [(Combination, &str, &str); 3] = [
    (Combination::Cauchy, "ensemble, Cauchy", "ensemble-cauchy"),
    (Combination::HarmonicMean, "ensemble, harmonic mean", "ensemble-harmonic"),
    (Combination::Normal, "ensemble, normal deviates", "ensemble-normal"),
];

/// What a method is called in reports and folders, and what it says of each row.
pub(super) type Told = (&'static str, &'static str, Vec<f64>);

/// `-log10` of the p-value from which on an ensemble tells a finding by default.
pub(super) fn level() -> f64 {
    -EnsembleOptions::default().level.log10()
}

/// Scores of judged rows by each rule, 1 where the default level is; members in the same order in both.
pub(super) fn combined(healthy: &[(&str, &[f64])], judged: &[&[f64]]) -> Result<Vec<Told>, EvalError> {
    let rows = judged.iter().map(|scores| scores.len()).max().unwrap_or(0);
    let row = |i: usize| judged.iter().map(|s| s.get(i).copied().unwrap_or(f64::NAN)).collect::<Vec<_>>();
    let mut all = Vec::with_capacity(RULES.len());
    for (rule, method, folder) in RULES {
        let ensemble = ScoreEnsemble::fit(healthy, rule, &Checked::default())?;
        let scores = (0..rows).map(|i| ensemble.score(&row(i)) / level()).collect();
        all.push((method, folder, scores));
    }
    Ok(all)
}

/// Rows after which a stream is calibrated anew, at least; later on, one in so many of those seen.
const REFIT: usize = 100;

/// p-values of the members of a stream, row by row, each calibrated on what it said before: no row is judged by itself or a later
/// one, and what drifts becomes usual. Empty while too little was said.
pub(super) fn streamed(members: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let rows = members.iter().map(Vec::len).max().unwrap_or(0);
    let mut tails: Vec<TailCalibration> = Vec::new();
    let mut next = 0;
    let mut all = Vec::with_capacity(rows);
    for row in 0..rows {
        if row >= next {
            next = row + REFIT.max(row / REFIT);
            let before = members.iter().map(|m| m.iter().take(row).copied());
            let fitted: Result<Vec<_>, _> =
                before.map(|scores| TailCalibration::fit(scores, &Checked::default())).collect();
            tails = fitted.unwrap_or_default();
        }
        let told = tails.iter().zip(members);
        all.push(told.map(|(t, m)| t.p_value(m.get(row).copied().unwrap_or(f64::NAN))).collect());
    }
    all
}

/// `-log10` of combined p-values; NaN where there are none.
pub(super) fn joined(p_values: &[Vec<f64>], rule: Combination) -> Vec<f64> {
    let join = |p: &Vec<f64>| {
        let weighed: Vec<(f64, f64)> = p.iter().map(|p| (*p, 1.0)).collect();
        if p.is_empty() { f64::NAN } else { -combine(&weighed, rule).log10() }
    };
    p_values.iter().map(join).collect()
}

/// As [`combined`], the members calibrated on as they go.
pub(super) fn following(healthy: &[(&str, &[f64])], judged: &[&[f64]]) -> Vec<Told> {
    let begun = healthy.iter().map(|(_, scores)| scores.len()).max().unwrap_or(0);
    let whole: Vec<Vec<f64>> =
        healthy.iter().zip(judged).map(|((_, before), scores)| [*before, *scores].concat()).collect();
    let p_values = streamed(&whole);
    let later = p_values.get(begun..).unwrap_or_default();
    let score = |rule| joined(later, rule).into_iter().map(|score| score / level()).collect();
    vec![
        ("ensemble, Cauchy, calibrated on", "ensemble-cauchy-on", score(Combination::Cauchy)),
        ("ensemble, normal deviates, calibrated on", "ensemble-normal-on", score(Combination::Normal)),
    ]
}
