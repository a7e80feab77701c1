//! The cause, by rules: what changed, what ran out, who sends more, who answers late.

mod account;
mod attempts;
mod calls;
mod changes;
mod claim;
mod config;
mod dark;
mod device;
mod distinguish;
mod fleet;
mod mechanisms;
mod observed;
mod security;
mod shares;
mod trouble;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::{
    Check, Confidence, Diagnosis, DiagnosisStatus, EntityId, FaultType, FittedHash, Hypothesis, NullFinding,
    Observation, Ranking, Signal, Suspect, TelemetryWindow, mechanism,
};
use aiops_core::seam::Rca;
use aiops_core::{Case, CasePart, Context, Error, ErrorKind, Result};
use async_trait::async_trait;

pub use config::{ChangeConfig, ObservedConfig, RuleRcaConfig};
pub(crate) use {
    device::ACTIVITY, device::CLOCK, device::COLLECTIVE, device::ECC, device::FABRIC, device::NVLINK,
    device::POWER, device::THERMAL,
};
pub(crate) use {device::UTILISATION, device::XID, security::AUTHENTICATION, security::INTRUSION};

use crate::calibrate::{CalibrationError, Calibrator};
use crate::config::hash;
use crate::picture::Picture;
use crate::roles::MetricRoles;
use claim::Claim;
use trouble::Trouble;

/// Raised whenever the same case would be told other raw confidences.
const VERSION: u32 = 8;

/// Names failing system and fault type by rules over the ranked suspects.
///
/// For every suspect, rules claim causes with a support in 0..=1: a change shortly before the onset, a resource that runs out, a pool, lock
/// or queue that fills while its callees are well, restarts over and over, a caller that sends far more, a callee that
/// answers late with nothing of its own amiss. Earlier attempts of the case count: a restart that did not help speaks against
/// transient causes and for configuration, code and state that outlives a restart. What was looked for and not found, changes that
/// are refuted among it, stands in [`Diagnosis::null_findings`].
///
/// Raw score of a claim = share of the suspect · support / (supports of all kinds of fault + doubt), where the support of a kind is that of
/// its strongest claim: memory and processor are no rivals where the question is whether something ran out. It is a [`Confidence`] that is
/// uncalibrated, until a [`Calibrator`] fitted on outcomes maps it.
#[derive(Debug, Clone, Default)]
pub struct RuleRca {
    roles: MetricRoles,
    config: RuleRcaConfig,
    calibrator: Option<Calibrator>,
}

/// What the rules of one suspect need.
pub(crate) struct Scene<'s> {
    pub(crate) case: &'s Case,
    pub(crate) picture: &'s Picture<'s>,
    pub(crate) config: &'s RuleRcaConfig,
    /// The service of the suspect.
    pub(crate) system: EntityId,
    /// What the localiser observed of it beside the anomalies.
    seen: Vec<&'s Observation>,
    /// Its trouble.
    trouble: &'s Trouble,
}

impl RuleRca {
    /// Without a calibrator every confidence is marked as uncalibrated.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when the configuration is out of range.
    pub fn new(roles: MetricRoles, config: RuleRcaConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self { roles, config, calibrator: None })
    }

    /// The same with confidences mapped by `calibrator`, as far as it was fitted on this [`configuration`](Self::configuration).
    #[must_use]
    pub fn with_calibrator(mut self, calibrator: Calibrator) -> Self {
        self.calibrator = Some(calibrator);
        self
    }

    /// Names whose raw confidences these are: what a [`Calibrator`] must have been fitted on to hold for them. `localizer` is what
    /// [`Ranking::localizer`] says, or the localiser's own `id()`.
    #[must_use]
    pub fn configuration(&self, localizer: &FittedHash) -> FittedHash {
        hash("rules", VERSION, &(localizer, self.roles.config(), &self.config))
    }

    /// The calibrator, where it holds for the scores of the case's ranking.
    fn calibrator(&self, case: &Case) -> Result<Option<(&Calibrator, FittedHash)>, CalibrationError> {
        let Some(calibrator) = &self.calibrator else { return Ok(None) };
        let localizer = case.ranking().and_then(|r| r.localizer.as_ref());
        let configuration = localizer.map(|l| self.configuration(l));
        calibrator.check(configuration.as_ref())?;
        Ok(configuration.map(|configuration| (calibrator, configuration)))
    }

    /// Diagnoses, without a runtime. Where the calibrator was fitted on another configuration, confidences are uncalibrated and
    /// [`Diagnosis::unseen`] says why.
    ///
    /// # Errors
    /// [`Internal`](ErrorKind::Internal) for a defect of the score.
    pub fn analyze(&self, case: &Case) -> Result<Diagnosis> {
        let Some(window) = case.window() else {
            return Ok(dark::nothing(case, "no telemetry was read"));
        };
        let picture = Picture::of(window, case.anomalies(), &self.roles, &self.config.symptoms);
        let troubles = self.troubles(case);
        let untroubled = Trouble::default();
        let (config, picture) = (&self.config, &picture);
        let look = shares::Look { case, picture, troubles: &troubles, untroubled: &untroubled, config };
        let suspects = shares::excuse(shares::pool(self.suspects(case, picture), look), look);
        let Some((leader, _)) = suspects.first() else {
            return Ok(dark::nothing(case, "no suspect was found"));
        };
        let leader = leader.clone();
        let mut scored: Vec<(f64, Hypothesis)> = Vec::new();
        let (mut nulls, mut dark) = (Vec::new(), None);
        let mut unseen = dark::unseen(case, window);
        let calibrator = self.calibrator(case).unwrap_or_else(|refused| {
            unseen.push(format!("how often such answers were right: {refused}"));
            None
        });
        for (system, share) in suspects {
            let trouble = troubles.get(&system).unwrap_or(&untroubled);
            let scene = Scene::of(case, picture, &self.config, system.clone(), trouble);
            let (claims, found_nothing) = scene.claims();
            if system == leader {
                nulls.extend(found_nothing);
                unseen.extend(dark::unmeasured(&scene));
                dark = dark::verdict(&scene, &claims);
            }
            let all = rivals(&claims) + self.config.doubt;
            for claim in claims.into_iter().filter(|c| c.support > 0.0) {
                let raw = (share * claim.support / all).clamp(0.0, 1.0);
                scored.push((raw, hypothesis(&scene, claim, confidence(raw, calibrator.as_ref())?)));
            }
        }
        scored.sort_by(|(a, x), (b, y)| {
            b.total_cmp(a).then_with(|| (&x.system, &x.statement).cmp(&(&y.system, &y.statement)))
        });
        // The first answer may be about another than the first suspect.
        if let Some((_, first)) = scored.first().filter(|(_, first)| dark.is_none() && first.system != leader)
        {
            let trouble = troubles.get(&first.system).unwrap_or(&untroubled);
            dark = dark::of_answer(&Scene::of(case, picture, config, first.system.clone(), trouble));
        }
        let status = self.status(&scored, dark);
        let hypotheses = scored.into_iter().map(|(_, h)| h).take(self.config.hypotheses).collect();
        let mut diagnosis = Diagnosis::new(hypotheses);
        if let Some(status) = status {
            diagnosis.status = status;
        }
        if !unseen.iter().any(|u| u.starts_with("changes ")) {
            nulls.extend(changes::null_findings(
                case,
                picture,
                &leader,
                troubles.get(&leader).unwrap_or(&untroubled),
                &self.config.changes,
            ));
        } else {
            nulls.push(null("changes were not looked at"));
        }
        nulls.extend(mechanisms::null_findings(picture, &leader));
        diagnosis.null_findings = nulls;
        diagnosis.unseen = unseen;
        Ok(diagnosis)
    }

    /// Services of the first suspects, with their share of the suspicion; a part stands for its service, and of whom a treatment helped
    /// in part less is left.
    fn suspects(&self, case: &Case, picture: &Picture<'_>) -> Vec<(EntityId, f64)> {
        let ranked = case.ranking().map(|r| r.suspects.as_slice()).unwrap_or_default();
        let treated = shares::treated(case, picture);
        let mut scores: Vec<(EntityId, f64)> = Vec::new();
        for Suspect { entity, score, .. } in ranked {
            let whole = picture.whole(entity);
            if score.is_finite() && *score > 0.0 && !scores.iter().any(|(known, _)| *known == whole) {
                let left = if treated.contains(&whole) { self.config.after_remedy } else { 1.0 };
                scores.push((whole, left * score.powf(self.config.sharpness)));
            }
        }
        if !treated.is_empty() {
            scores.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        }
        let sum: f64 = scores.iter().map(|(_, s)| s).sum();
        scores.truncate(self.config.suspects);
        scores.into_iter().map(|(e, s)| (e, if sum > 0.0 { s / sum } else { 0.0 })).collect()
    }

    /// The trouble of every system.
    fn troubles(&self, case: &Case) -> BTreeMap<EntityId, Trouble> {
        let mut troubles: BTreeMap<EntityId, Trouble> = BTreeMap::new();
        let (mut window, mut acted) = (None, None);
        for entry in case.entries() {
            match &entry.part {
                CasePart::Observed(w) => window = Some(w),
                CasePart::Acted(receipt) => acted = acted.or(Some(receipt.started_at)),
                CasePart::Detected(anomalies) => {
                    let Some(window) = window else { continue };
                    let picture = Picture::of(window, anomalies, &self.roles, &self.config.symptoms);
                    for (id, group) in &picture.groups {
                        troubles.entry(id.clone()).or_default().see(group, acted, picture.resolution);
                    }
                }
                CasePart::Localized(ranking) => self.observed(ranking, window.map(|w| &**w), &mut troubles),
                _ => {}
            }
        }
        troubles
    }

    /// Of whom no anomaly tells, observations do.
    fn observed(
        &self,
        ranking: &Ranking,
        window: Option<&TelemetryWindow>,
        troubles: &mut BTreeMap<EntityId, Trouble>,
    ) {
        let Some(window) = window else { return };
        for suspect in &ranking.suspects {
            let trouble = troubles.entry(window.topology.whole(&suspect.entity).clone()).or_default();
            if trouble.is_told() {
                continue;
            }
            for seen in &suspect.observations {
                trouble.see_observed(&suspect.entity, seen, self.config.observed.half_strength);
            }
        }
    }

    /// `None` leaves it to the standing of the first hypothesis.
    fn status(&self, scored: &[(f64, Hypothesis)], dark: Option<Vec<String>>) -> Option<DiagnosisStatus> {
        // A change that is blamed can be undone without seeing what it broke.
        let blamed_by_change = scored.first().is_some_and(|(_, h)| h.change.is_some());
        if let Some(missing) = dark.filter(|_| !blamed_by_change) {
            return Some(DiagnosisStatus::ObservabilityDark { missing });
        }
        let (top, first) = scored.first()?;
        let rival = scored.iter().find(|(_, h)| h.system != first.system).map_or(0.0, |(raw, _)| *raw);
        let unclear = *top < self.config.least || rival >= top * self.config.ambiguous;
        unclear.then_some(DiagnosisStatus::Inconclusive)
    }
}

fn confidence(raw: f64, calibrator: Option<&(&Calibrator, FittedHash)>) -> Result<Confidence> {
    match calibrator {
        Some((calibrator, configuration)) => Ok(calibrator.confidence(raw, configuration)?),
        None => Confidence::uncalibrated(raw)
            .map_err(|e| Error::new(ErrorKind::Internal, "a score left 0..=1").caused_by(e)),
    }
}

fn hypothesis(scene: &Scene<'_>, claim: Claim, confidence: Confidence) -> Hypothesis {
    let account = account::account(scene, &claim);
    let distinctions = distinguish::distinctions(scene, &claim);
    let open = distinguish::open(scene, &claim, &distinctions);
    let system = claim.system.unwrap_or_else(|| scene.system.clone());
    let mut h = Hypothesis::new(system, claim.fault, claim.statement, confidence, claim.citations);
    h.mechanism = claim.mechanism;
    h.change = claim.change;
    h.next_checks = claim.next.into_iter().chain(open).collect();
    h.explains = account.explains;
    h.unexplained = account.unexplained;
    h.path = account.path;
    h.causal_tests = account.tests;
    h.distinctions = distinctions;
    h
}

impl<'s> Scene<'s> {
    fn of(
        case: &'s Case,
        picture: &'s Picture<'s>,
        config: &'s RuleRcaConfig,
        system: EntityId,
        trouble: &'s Trouble,
    ) -> Self {
        let mut scene = Self { case, picture, config, system, seen: Vec::new(), trouble };
        scene.seen = observed::of_system(&scene);
        scene
    }

    /// A question about the system that `signal` answers, around its onset.
    pub(crate) fn ask(&self, question: &str, signal: Signal) -> Check {
        self.ask_about(&self.system, question, signal)
    }

    fn ask_about(&self, system: &EntityId, question: &str, signal: Signal) -> Check {
        let onset = self.trouble.onset().unwrap_or(self.case.opened_at());
        let parts = self.picture.groups.get(system).into_iter().flat_map(|g| g.parts.iter().cloned());
        let about: BTreeSet<EntityId> = parts.chain([system.clone()]).collect();
        let mut request = self.config.windows.request(signal, onset, about);
        let steps = self.case.anomalies().iter().map(|a| a.anomaly.reread.step);
        if let Some(step) = steps.filter(|s| !s.is_zero()).min() {
            request.step = step;
        }
        Check::new(question).reading(request)
    }

    pub(crate) fn changes_looked_at(&self) -> bool {
        let read = |w: &TelemetryWindow| w.observed.contains(Signal::Changes) || !w.changes.is_empty();
        self.case.window().is_some_and(read)
    }

    /// What the rules claim of the system, and what they looked for in vain.
    fn claims(&self) -> (Vec<Claim>, Vec<NullFinding>) {
        let mut changes = changes::claims(self);
        let mut mechanisms = mechanisms::claims(self);
        // What fails by itself needs no change to explain it. A change that only happens to be near is then the
        // lesser explanation, unless what it did shows in telemetry, or it came so right before that it is no coincidence.
        let by_itself =
            mechanisms.iter().filter(|c| fails_by_itself(c)).map(|c| c.support).fold(0.0, f64::max);
        for claim in changes.iter_mut().filter(|c| c.shown != Some(true)) {
            claim.support *= 1.0 - self.config.coincidence * by_itself * (1.0 - claim.timely);
        }
        // A change on the system explains its mechanism; it does not compete with it.
        let explained = changes.iter().filter(|c| c.system.is_none()).map(|c| c.support).fold(0.0, f64::max);
        for claim in &mut mechanisms {
            let on_it = changes.iter().filter(|c| c.system == claim.system).map(|c| c.support);
            claim.support *= 1.0 - on_it.fold(explained, f64::max);
        }
        let mut claims: Vec<Claim> = changes.into_iter().chain(mechanisms).collect();
        let nulls = attempts::weigh(self, &mut claims);
        (claims, nulls)
    }
}

/// Support of all answers to who and what kind, each as strong as its strongest claim.
fn rivals(claims: &[Claim]) -> f64 {
    let mut strongest: BTreeMap<(&Option<EntityId>, FaultType), f64> = BTreeMap::new();
    for claim in claims {
        let kind = strongest.entry((&claim.system, claim.fault)).or_default();
        *kind = kind.max(claim.support);
    }
    strongest.values().sum()
}

/// Mechanisms with a signal of their own, that need no bad setting to come about.
fn fails_by_itself(claim: &Claim) -> bool {
    let known = [
        mechanism::MEMORY,
        mechanism::LOCK,
        mechanism::CONNECTION_POOL,
        mechanism::CRASH_LOOP,
        mechanism::TENANT_LOAD,
    ];
    claim.mechanism.as_deref().is_some_and(|m| known.contains(&m))
}

pub(crate) fn null(statement: impl Into<String>) -> NullFinding {
    NullFinding { statement: statement.into() }
}

#[async_trait]
impl Rca for RuleRca {
    async fn diagnose(&self, case: &Case, ctx: &Context) -> Result<Diagnosis> {
        ctx.check()?;
        self.analyze(case)
    }
}
