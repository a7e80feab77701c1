use std::collections::BTreeMap;
use std::time::Duration;

use aiops_core::Result;
use aiops_core::model::{ChangeKind, duration};
use serde::{Deserialize, Serialize};

use crate::config::{out_of_range, positive, within};
use crate::picture::SymptomConfig;
use crate::windows::EvidenceWindows;

/// How changes are held against onsets (RCA-03).
///
/// Support = weight of the kind · explained · exp(−lead / decay) · (1 − chance) · fit · superseded^later · distance^hops, where `explained` is
/// the share of the system's trouble that began after the change, `lead` the time from the change to the first onset of that,
/// `chance` the probability that a change falls so close before it at the rate at which the system is changed, and `later` the
/// number of changes of the system between this one and the onset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ChangeConfig {
    /// Lead after which a change is only 37 % as suspect; default 10 min.
    #[serde(with = "duration")]
    pub decay: Duration,
    /// Lead up to which a change of the system itself, that hardly fell there by chance, is the reason rather than a coincidence: at this
    /// lead it is so by 37 %; default 3 min. Within it what deviates, resources too, is what the change did.
    #[serde(with = "duration")]
    pub moment: Duration,
    /// Oldest change considered before the onset; default 4 h (RCA-10).
    #[serde(with = "duration")]
    pub reach: Duration,
    /// Least share of the trouble, by strength, that must have begun after a change for it to be considered; default 0.5, 0..=1.
    /// A blip before the change then hides nothing, and what comes when all is lost is no cause.
    pub explains: f64,
    /// Factor a hop from the suspect to what it needs; default 0.4, 0..=1.
    pub distance: f64,
    /// Factor for each later change of the same system before the onset; default 0.4, 0..=1.
    pub superseded: f64,
    /// Factor when nothing tells what was changed; default 0.8, 0..=1.
    pub vague: f64,
    /// Factor when what was changed has to do with something else than what deviates; default 0.4, 0..=1.
    pub misfit: f64,
    /// Share by which a configured bound must have fallen across a change for it to speak for that change; default 0.3, 0..=1.
    pub lowered: f64,
    /// Weights of kinds that differ from the defaults, 0..=1: deployment, configuration and feature flag 1.0, patch 0.8,
    /// rollback 0.6, scaling 0.35, maintenance 0.25, restart 0.2.
    #[serde(with = "kinds")]
    pub weights: Vec<(ChangeKind, f64)>,
}

/// A table in files: `[{kind, weight}]`, since kinds have no order to be keys by.
mod kinds {
    use aiops_core::model::ChangeKind;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Row {
        kind: ChangeKind,
        weight: f64,
    }

    pub(super) fn serialize<S: Serializer>(rows: &[(ChangeKind, f64)], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(rows.iter().map(|(kind, weight)| Row { kind: *kind, weight: *weight }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<(ChangeKind, f64)>, D::Error> {
        Ok(Vec::<Row>::deserialize(d)?.into_iter().map(|r| (r.kind, r.weight)).collect())
    }
}

impl Default for ChangeConfig {
    fn default() -> Self {
        Self {
            decay: Duration::from_secs(600),
            moment: Duration::from_secs(180),
            reach: Duration::from_secs(4 * 3600),
            explains: 0.5,
            distance: 0.4,
            superseded: 0.4,
            vague: 0.8,
            misfit: 0.4,
            lowered: 0.3,
            weights: Vec::new(),
        }
    }
}

impl ChangeConfig {
    pub(super) fn weight(&self, kind: ChangeKind) -> f64 {
        let default = match kind {
            ChangeKind::Deployment | ChangeKind::ConfigRollout | ChangeKind::FeatureFlag => 1.0,
            ChangeKind::Patch => 0.8,
            ChangeKind::Rollback => 0.6,
            ChangeKind::Scaling => 0.35,
            ChangeKind::Maintenance => 0.25,
            _ => 0.2,
        };
        self.weights.iter().find(|(k, _)| *k == kind).map_or(default, |(_, w)| *w)
    }
}

/// How what a localiser observed beside the anomalies is weighed, and what a cause must account for.
///
/// Support of an observation = strength² / (strength² + `half_strength`²), so that what is hardly more than noise supports next to
/// nothing and what is strong cannot support more than in full. Of one symptom the strongest sight counts, whether it was
/// seen in metrics, spans or lines: late or wrong answers are one symptom, other work than before is another, and so are use of
/// resources, traffic, restarts and the network's own counters. Different symptoms combine as independent witnesses do:
/// 1 − ∏(1 − support).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ObservedConfig {
    /// Strength of an observation whose support is one half; default 0.5, 0.01..=100. A fused finding of three standard errors has a
    /// strength of 0.7.
    pub half_strength: f64,
    /// Factor for kinds of fault that observations speak for beside the leading one; default 0.4, 0..=1.
    pub lesser: f64,
    /// Share of the strongest failure that a resource's use must have to be its cause, and not beside it; default 0.25, 0..=1.
    pub commensurate: f64,
    /// Support from which observations show what a change did; default 0.5, 0..=1.
    pub shows: f64,
    /// Most observations a claim cites; default 6, 1 or more.
    pub citations: usize,
    /// Strength from which a symptom must be explained; default 0.2, 0..=1.
    pub least_symptom: f64,
    /// Share of symptoms that must come after, and lie on the ways of, a cause for it to stand the test; default 0.6, 0..=1.
    pub causal_share: f64,
}

impl Default for ObservedConfig {
    fn default() -> Self {
        Self {
            half_strength: 0.5,
            lesser: 0.4,
            commensurate: 0.25,
            shows: 0.5,
            citations: 6,
            least_symptom: 0.2,
            causal_share: 0.6,
        }
    }
}

/// Settings of a [`RuleRca`](super::RuleRca).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RuleRcaConfig {
    /// How deviations become symptoms; the same as the localiser's.
    pub symptoms: SymptomConfig,
    /// How changes are held against onsets.
    pub changes: ChangeConfig,
    /// How observations of the localiser are weighed.
    pub observed: ObservedConfig,
    /// How far next checks look around the onset.
    pub windows: EvidenceWindows,
    /// Most suspects looked at; default 4, 1..=100.
    pub suspects: usize,
    /// Most hypotheses told; default 6, 1..=100.
    pub hypotheses: usize,
    /// Exponent that turns scores of suspects into shares; default 2, 0.1..=10. Higher trusts the ranking more.
    pub sharpness: f64,
    /// Support of "none of the known causes", against which all are weighed; default 0.25, 0.01..=10.
    pub doubt: f64,
    /// How far a mechanism that fails by itself, at full strength, takes the blame off a change that only happened nearby;
    /// default 0.75, 0..=1.
    pub coincidence: f64,
    /// Factor for transient causes once a restart did not help; default 0.4, 0..=1.
    pub after_restart: f64,
    /// Factor for a cause once its own remedy did not help, and for the share of a system whose treatment helped in part; default 0.25,
    /// 0..=1.
    pub after_remedy: f64,
    /// Raw score below which the answer is inconclusive; default 0.12, 0..=1.
    pub least: f64,
    /// Score of the second system, as a share of the first one's, from which the two cannot be told apart; default 0.97, 0..=1.
    pub ambiguous: f64,
    /// Base support of mechanisms that differs from the defaults, by the mechanism's word, 0..=1.
    pub mechanisms: BTreeMap<String, f64>,
}

impl Default for RuleRcaConfig {
    fn default() -> Self {
        Self {
            symptoms: SymptomConfig::default(),
            changes: ChangeConfig::default(),
            observed: ObservedConfig::default(),
            windows: EvidenceWindows::default(),
            suspects: 4,
            hypotheses: 6,
            sharpness: 2.0,
            doubt: 0.25,
            coincidence: 0.75,
            after_restart: 0.4,
            after_remedy: 0.25,
            least: 0.12,
            ambiguous: 0.97,
            mechanisms: BTreeMap::new(),
        }
    }
}

impl RuleRcaConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`Invalid`](aiops_core::ErrorKind::Invalid) with the field, its value and the allowed range.
    pub fn validate(&self) -> Result<()> {
        self.symptoms.validate()?;
        self.windows.validate()?;
        within("observed.half_strength", self.observed.half_strength, 0.01, 100.0)?;
        if self.observed.citations == 0 {
            return Err(out_of_range("observed.citations", self.observed.citations, "1 or more"));
        }
        positive("changes.decay", self.changes.decay)?;
        positive("changes.moment", self.changes.moment)?;
        for (field, value) in [
            ("observed.lesser", self.observed.lesser),
            ("observed.commensurate", self.observed.commensurate),
            ("observed.shows", self.observed.shows),
            ("observed.least_symptom", self.observed.least_symptom),
            ("observed.causal_share", self.observed.causal_share),
            ("changes.explains", self.changes.explains),
            ("changes.distance", self.changes.distance),
            ("changes.superseded", self.changes.superseded),
            ("changes.vague", self.changes.vague),
            ("changes.misfit", self.changes.misfit),
            ("changes.lowered", self.changes.lowered),
            ("coincidence", self.coincidence),
            ("after_restart", self.after_restart),
            ("after_remedy", self.after_remedy),
            ("least", self.least),
            ("ambiguous", self.ambiguous),
        ] {
            within(field, value, 0.0, 1.0)?;
        }
        for (_, weight) in &self.changes.weights {
            within("changes.weights", *weight, 0.0, 1.0)?;
        }
        for support in self.mechanisms.values() {
            within("mechanisms", *support, 0.0, 1.0)?;
        }
        within("sharpness", self.sharpness, 0.1, 10.0)?;
        within("doubt", self.doubt, 0.01, 10.0)?;
        for (field, value) in [("suspects", self.suspects), ("hypotheses", self.hypotheses)] {
            if !(1..=100).contains(&value) {
                return Err(out_of_range(field, value, "1..=100"));
            }
        }
        Ok(())
    }
}
