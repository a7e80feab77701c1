use std::collections::{BTreeMap, BTreeSet};

use aiops_compact::ConfigError;
use aiops_core::model::float;
use serde::{Deserialize, Serialize};

use crate::checked::{Checked, Options};
use crate::error::{check, check_count};
use crate::stats::chi_squared_sf;

/// When the names given in two periods are held to differ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabelDriftOptions {
    /// Fewest labels in either period, 1 to 1 000 000. Default 20.
    pub fewest: usize,
    /// Least Jensen–Shannon distance, 0 to 1. Default 0.15: with many labels the smallest difference is significant.
    pub distance: f64,
    /// Most probability of so much difference by chance, more than 0 to 1. Default 0.01.
    pub p: f64,
}

impl Default for LabelDriftOptions {
    fn default() -> Self {
        Self { fewest: 20, distance: 0.15, p: 0.01 }
    }
}

impl Options for LabelDriftOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        check_count("fewest", self.fewest, 1..=1_000_000, "1 to 1000000")?;
        check("distance", self.distance, 0.0..=1.0, "0 to 1")?;
        check("p", self.p, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")
    }
}

/// How the share of one name changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelShift {
    /// The name.
    pub name: String,
    /// Share of the labels before.
    #[serde(with = "float")]
    pub before: f64,
    /// Share of them now.
    #[serde(with = "float")]
    pub now: f64,
}

/// How the names given in two periods differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelDrift {
    /// Jensen–Shannon distance of the shares, base 2: 0 for equal ones, 1 where no name is in both (Lin 1991).
    #[serde(with = "float")]
    pub distance: f64,
    /// Probability of a likelihood-ratio statistic (G) at least as large if both periods were alike.
    #[serde(with = "float")]
    pub p: f64,
    /// Whether both say that they differ.
    pub drifted: bool,
    /// The names, those that changed most first.
    pub shifts: Vec<LabelShift>,
}

/// Compares how often each name was given in two periods; none where either has too few. O(names · log names).
///
/// Shares that differ mean that incidents changed or that names are given otherwise; only looking at some of either tells which.
#[must_use]
pub fn label_drift(
    before: &BTreeMap<String, u64>,
    now: &BTreeMap<String, u64>,
    config: &Checked<LabelDriftOptions>,
) -> Option<LabelDrift> {
    let options = config.options();
    let total = |counts: &BTreeMap<String, u64>| counts.values().map(|n| *n as f64).sum::<f64>();
    let (n, m) = (total(before), total(now));
    let fewest = options.fewest as f64;
    if n < fewest || m < fewest {
        return None;
    }
    let given = |counts: &BTreeMap<String, u64>, name: &str| counts.get(name).map_or(0.0, |n| *n as f64);
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let (mut divergence, mut g, mut kinds) = (0.0, 0.0, 0.0);
    let mut shifts = Vec::with_capacity(names.len());
    for name in names {
        let (a, b) = (given(before, name), given(now, name));
        if a + b == 0.0 {
            continue;
        }
        kinds += 1.0;
        let (p, q, pooled) = (a / n, b / m, (a + b) / (n + m));
        let middle = 0.5 * (p + q);
        let term = |weight: f64, of: f64, to: f64| if of > 0.0 { weight * (of / to).ln() } else { 0.0 };
        divergence += 0.5 * (term(p, p, middle) + term(q, q, middle));
        g += 2.0 * (term(a, p, pooled) + term(b, q, pooled));
        shifts.push(LabelShift { name: name.clone(), before: p, now: q });
    }
    let distance = (divergence / std::f64::consts::LN_2).clamp(0.0, 1.0).sqrt();
    // One kind alone cannot be given otherwise; G has as many degrees of freedom as there are others.
    let p = if kinds > 1.0 { chi_squared_sf(g, kinds - 1.0) } else { 1.0 };
    let changed = |shift: &LabelShift| (shift.now - shift.before).abs();
    shifts.sort_by(|a, b| changed(b).total_cmp(&changed(a)).then_with(|| a.name.cmp(&b.name)));
    Some(LabelDrift { distance, p, drifted: distance >= options.distance && p <= options.p, shifts })
}
