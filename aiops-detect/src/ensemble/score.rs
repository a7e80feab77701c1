use serde::{Deserialize, Serialize};

use super::combine::{Combination, combine};
use super::tail::{TailCalibration, TailOptions};
use crate::checked::Checked;
use crate::error::FitError;

/// A member of a [`ScoreEnsemble`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreMember {
    /// Its name.
    pub name: String,
    /// What its scores are worth.
    pub tail: TailCalibration,
    /// Weight, more than 0.
    pub weight: f64,
}

/// Streams of scores, higher being stranger, as one stream of p-values.
///
/// Members are calibrated on scores of healthy data, and so is what comes out: whatever the members depend on each other, and
/// however exact the rule is, [`p_value`](Self::p_value) is again the share of healthy rows that are as strange. Scores of rows that a
/// member was learned from are too low to calibrate it; learn it from one part, score the other, and the other way round
/// (Vovk, *Cross-conformal predictors*, 2015).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreEnsemble {
    members: Vec<ScoreMember>,
    rule: Combination,
    /// Of −ln of the combined p-value.
    whole: TailCalibration,
}

impl ScoreEnsemble {
    /// Learns from healthy scores of each member, row by row; members with shorter ones have NaN for the rest.
    ///
    /// # Errors
    /// [`FitError::TooFew`] when a member, or the whole, has too few finite scores.
    pub fn fit(
        healthy: &[(&str, &[f64])],
        rule: Combination,
        options: &Checked<TailOptions>,
    ) -> Result<Self, FitError> {
        let mut members = Vec::with_capacity(healthy.len());
        for (name, scores) in healthy {
            let tail = TailCalibration::fit(scores.iter().copied(), options)?;
            members.push(ScoreMember { name: (*name).to_owned(), tail, weight: 1.0 });
        }
        let rows = healthy.iter().map(|(_, scores)| scores.len()).max().unwrap_or(0);
        let row = |i: usize| {
            let p = members.iter().zip(healthy).map(|(member, (_, scores))| {
                (member.tail.p_value(scores.get(i).copied().unwrap_or(f64::NAN)), member.weight)
            });
            -combine(&p.collect::<Vec<_>>(), rule).ln()
        };
        let whole = TailCalibration::fit((0..rows).map(row), options)?;
        Ok(Self { members, rule, whole })
    }

    /// Its members.
    #[must_use]
    pub fn members(&self) -> &[ScoreMember] {
        &self.members
    }

    /// Probability of a row as strange in healthy data; `scores` in the order of the members, NaN where one says nothing.
    #[must_use]
    pub fn p_value(&self, scores: &[f64]) -> f64 {
        let told = self.members.iter().zip(scores);
        let p: Vec<(f64, f64)> = told.map(|(m, score)| (m.tail.p_value(*score), m.weight)).collect();
        self.whole.p_value(-combine(&p, self.rule).ln())
    }

    /// `−log10` of [`p_value`](Self::p_value): a score.
    #[must_use]
    pub fn score(&self, scores: &[f64]) -> f64 {
        -self.p_value(scores).log10()
    }
}
