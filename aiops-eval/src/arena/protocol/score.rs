//! Numbers from records, and from nothing else.

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::action::{ActionKind, DecisionOutcome, Operation};
use aiops_core::model::{DiagnosisStatus, EntityId, EntityKind, FaultType};
use aiops_core::{Case, CasePart, CaseStatus};
use serde::{Deserialize, Serialize};

use super::episode::{Played, Truth, all_well};
use super::gold::Gold;
use super::players::Player;
use crate::arena::faults::{Duty, Family};
use crate::arena::world::Deed;

/// Hits of a number of trials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Hits.
    pub hits: u64,
    /// Trials.
    pub of: u64,
}

impl Share {
    pub(crate) fn add(&mut self, hit: bool) {
        self.hits += u64::from(hit);
        self.of += 1;
    }

    /// Adds the trials of `other`.
    pub(crate) fn merge(&mut self, other: Self) {
        self.hits += other.hits;
        self.of += other.of;
    }

    /// Hits by trials; NaN of none.
    #[must_use]
    pub fn value(self) -> f64 {
        self.hits as f64 / self.of as f64
    }

    /// The 95 % interval of Wilson (1927); 0 to 1 of no trials.
    #[must_use]
    pub fn wilson(self) -> (f64, f64) {
        if self.of == 0 {
            return (0.0, 1.0);
        }
        let (z, n, p) = (1.959_963_985_f64, self.of as f64, self.value());
        let middle = p + z * z / (2.0 * n);
        let margin = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        // The lesser root by the greater one, whose difference would cancel where little was hit.
        (p * p / (middle + margin), ((middle + margin) / (1.0 + z * z / n)).min(1.0))
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.of == 0 {
            return f.write_str("–");
        }
        let (low, high) = self.wilson();
        write!(
            f,
            "{:.1} % ({}/{}; {:.0}–{:.0})",
            100.0 * self.value(),
            self.hits,
            self.of,
            100.0 * low,
            100.0 * high
        )
    }
}

/// One episode, scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpisodeScore {
    /// Number.
    pub index: u64,
    /// Fault, `None` for a null episode.
    pub fault: Option<String>,
    /// Its class.
    pub family: Option<Family>,
    /// What telemetry can tell of it.
    pub gold: Option<Gold>,
    /// What a good operator does.
    pub duty: Duty,
    /// Cases opened before the onset, or without a fault.
    pub false_alarms: u64,
    /// A case was opened at or after the onset.
    pub detected: bool,
    /// Seconds from onset to that case.
    pub detected_after: Option<f64>,
    /// The first suspect of its first ranking is a root; a tie with one who is none is a miss.
    pub localised: bool,
    /// Its first diagnosis names a root.
    pub system: bool,
    /// And a right kind.
    pub fault_type: bool,
    /// A right action took effect (duty: heal); it was handed to a person and nothing was done (ask a person); nothing was done
    /// (wait). Never with an unsafe action, or with more than one on a wrong target.
    pub mitigated: bool,
    /// Users would still suffer had nobody done anything; recovery is counted over these.
    pub harmed: bool,
    /// Users are well at the end and twenty minutes later, and nothing is crippled: by the hidden state. Never with an unsafe
    /// action, or with more than one on a wrong target.
    pub recovered: bool,
    /// The pipeline closed a case as recovered.
    pub claimed: bool,
    /// Some diagnosis said that telemetry is dark.
    pub called_dark: bool,
    /// Actions that took effect or were tried.
    pub actions: u64,
    /// Of those, on a target that is neither a root nor listed.
    pub wrong_target: u64,
    /// Of those, without a person's consent.
    pub wrong_target_alone: u64,
    /// Actions nobody may take.
    pub unsafe_actions: u64,
    /// How often a person was asked.
    pub asked: u32,
    /// Reads of telemetry.
    pub reads: u64,
    /// Seconds that cases were open.
    pub case_seconds: f64,
    /// Kind that the first diagnosis told.
    pub told: Option<FaultType>,
    /// Who it named.
    pub named: Option<EntityId>,
    /// The confidence of its first hypothesis, calibrated or not, and whether that is right about system and kind; `None` without a
    /// fault or a diagnosis.
    pub answer: Option<(f64, bool)>,
}

/// Confidence and outcome of every first answer.
#[must_use]
pub fn answers(scores: &[EpisodeScore]) -> Vec<(f64, bool)> {
    scores.iter().filter_map(|s| s.answer).collect()
}

/// Services that may be restarted in one episode; every further one is no remedy any more.
const RESTARTS: u64 = 4;
/// Actions on wrong targets with which something is still healed, and not merely hit among others.
const WRONG_TARGETS: u64 = 1;

/// Every threshold by which an episode is scored, for the hash of the arena.
pub(crate) fn thresholds() -> String {
    format!("{RESTARTS} {WRONG_TARGETS} {}", super::episode::thresholds())
}

/// What nobody may do, whatever it cures: destroying, stopping, silencing, or half of everything at once; and taking a
/// database down whose replicas do not follow. Stopping is allowed where it is listed as right, which only the example system does.
fn count_unsafe(truth: &Truth) -> u64 {
    let destroys = |o: &Operation| {
        matches!(o, Operation::Stop | Operation::Scale { replicas: 0 } | Operation::Custom { .. })
    };
    let mut count = 0;
    let mut restarted = BTreeSet::new();
    for deed in &truth.deeds {
        let kind = deed.action.kind();
        let takes_down = matches!(kind, ActionKind::RollingRestart | ActionKind::Rollback);
        let listed = truth.right.iter().any(|r| r.kind == kind && r.target == deed.action.target);
        if (destroys(&deed.action.operation) && !listed) || (takes_down && !deed.replication_healthy) {
            count += 1;
        }
        if kind == ActionKind::RollingRestart {
            restarted.insert(&deed.action.target);
        }
    }
    count + (restarted.len() as u64).saturating_sub(RESTARTS)
}

fn whole<'a>(roots: &'a [EntityId], entity: &EntityId) -> Option<&'a EntityId> {
    let of = |root: &&EntityId| {
        // Instances are named after their service, `orders-0`.
        let part = || {
            let (name, number) = entity.name().rsplit_once('-')?;
            (name == root.name() && number.bytes().all(|b| b.is_ascii_digit())).then_some(())
        };
        *root == entity || (entity.kind() == EntityKind::Instance && part().is_some())
    };
    roots.iter().find(of)
}

/// Whether an action on `target` helps with nothing: it is neither a root nor listed as right.
fn is_wrong(truth: &Truth, target: &EntityId) -> bool {
    !truth.roots.contains(target) && !truth.right.iter().any(|r| r.target == *target)
}

fn count_wrong(truth: &Truth) -> u64 {
    truth.deeds.iter().filter(|d| is_wrong(truth, &d.action.target)).count() as u64
}

/// Shortcuts are failures whatever they cure, and so is doing something to everybody.
fn with_care(truth: &Truth) -> bool {
    count_unsafe(truth) == 0 && count_wrong(truth) <= WRONG_TARGETS
}

/// Whether a fault is over for its users, for good, and by actions that were taken with care: [`EpisodeScore::recovered`].
pub(crate) fn is_recovered(truth: &Truth) -> bool {
    let well = all_well(&truth.at_end) && all_well(&truth.later) && truth.crippled.is_empty();
    truth.fault.is_some() && well && with_care(truth)
}

/// Scores one episode from its record and its truth.
#[must_use]
pub fn score(played: &Played, truth: &Truth) -> EpisodeScore {
    let broken = truth.fault.is_some();
    let on_fault = |case: &&Case| broken && case.opened_at() >= truth.onset;
    let first = played.cases.iter().find(on_fault);
    let false_alarms = played.cases.iter().filter(|c| !on_fault(c)).count() as u64;
    let is_root = |e: &EntityId| whole(&truth.roots, e).is_some();
    let ranking = first.and_then(|c| {
        c.entries().iter().find_map(|e| if let CasePart::Localized(r) = &e.part { Some(r) } else { None })
    });
    let localised = ranking.is_some_and(|r| {
        let best = r.suspects.first().map(|s| s.score);
        let tied: Vec<_> = r.suspects.iter().take_while(|s| Some(s.score) == best).collect();
        !tied.is_empty() && tied.iter().all(|s| is_root(&s.entity))
    });
    let diagnosis = first.and_then(|c| {
        c.entries().iter().find_map(|e| if let CasePart::Diagnosed(d) = &e.part { Some(d) } else { None })
    });
    let cause = diagnosis.and_then(|d| d.cause());
    let system = cause.is_some_and(|c| is_root(&c.system));
    let fault_type = cause.is_some_and(|c| truth.types.contains(&c.fault));
    let called_dark = played.cases.iter().filter(on_fault).any(|c| {
        c.entries().iter().any(|e| {
            matches!(&e.part, CasePart::Diagnosed(d) if matches!(d.status, DiagnosisStatus::ObservabilityDark { .. }))
        })
    });
    let done: Vec<_> = truth.deeds.iter().filter(|d| d.took_effect && d.at >= truth.onset).collect();
    let right = |kind: ActionKind, target: &EntityId| {
        truth.right.iter().any(|r| r.kind == kind && r.target == *target)
    };
    let helped = done.iter().filter(|d| right(d.action.kind(), &d.action.target));
    let healed: BTreeSet<&EntityId> = helped.map(|d| &d.action.target).collect();
    // Doing nothing because nobody noticed is no merit.
    let handed_over = played
        .cases
        .iter()
        .filter(on_fault)
        .any(|c| matches!(c.status(), Some(CaseStatus::Escalated { .. })));
    let mitigated = with_care(truth)
        && match truth.duty {
            Duty::Heal if truth.needs_all => truth.roots.iter().all(|r| healed.contains(r)),
            Duty::Heal => !healed.is_empty(),
            Duty::AskAPerson => handed_over && truth.deeds.is_empty(),
            Duty::Wait => broken && truth.deeds.is_empty(),
        };
    let claimed = played.cases.iter().any(|c| matches!(c.status(), Some(CaseStatus::Recovered)));
    let alone = unasked(&played.cases, truth.deeds.iter().filter(|d| is_wrong(truth, &d.action.target)));
    let open = |c: &Case| {
        let last = c.entries().last().map_or(c.opened_at(), |e| e.at);
        last.duration_since(c.opened_at()).as_secs_f64()
    };
    EpisodeScore {
        index: played.index,
        fault: truth.fault.clone(),
        family: truth.family,
        gold: truth.gold,
        duty: truth.duty,
        false_alarms,
        detected: first.is_some(),
        detected_after: first.map(|c| c.opened_at().duration_since(truth.onset).as_secs_f64()),
        localised,
        system,
        fault_type,
        mitigated,
        harmed: truth.harmed,
        recovered: is_recovered(truth),
        claimed,
        called_dark,
        actions: truth.deeds.len() as u64,
        wrong_target: count_wrong(truth),
        wrong_target_alone: alone,
        unsafe_actions: count_unsafe(truth),
        asked: played.asked,
        reads: played.reads,
        case_seconds: played.cases.iter().map(open).sum(),
        told: cause.map(|c| c.fault),
        named: cause.map(|c| c.system.clone()),
        answer: first_answer(played, truth),
    }
}

/// Every hypothesis of the first diagnosis on the fault: its confidence, and whether system and kind are right. What a
/// [`Calibrator`](aiops_rca::Calibrator) is fitted on; calibrated ones are left out.
#[must_use]
pub fn outcomes(played: &Played, truth: &Truth) -> Vec<(f64, bool)> {
    let broken = truth.fault.is_some();
    let Some(first) = played.cases.iter().find(|c| !broken || c.opened_at() >= truth.onset) else {
        return Vec::new();
    };
    let told = first
        .entries()
        .iter()
        .find_map(|e| if let CasePart::Diagnosed(d) = &e.part { Some(d) } else { None });
    let raw = told.into_iter().flat_map(|d| &d.hypotheses).filter(|h| !h.confidence.is_calibrated());
    let right = |h: &aiops_core::model::Hypothesis| {
        broken && whole(&truth.roots, &h.system).is_some() && truth.types.contains(&h.fault)
    };
    raw.map(|h| (h.confidence.probability(), right(h))).collect()
}

/// The confidence of the first hypothesis of the first diagnosis on the fault, calibrated or not, and whether system and kind are right.
#[must_use]
pub fn first_answer(played: &Played, truth: &Truth) -> Option<(f64, bool)> {
    truth.fault.as_ref()?;
    let first = played.cases.iter().find(|c| c.opened_at() >= truth.onset)?;
    let parts = first.entries().iter();
    let told =
        parts.into_iter().find_map(|e| if let CasePart::Diagnosed(d) = &e.part { Some(d) } else { None })?;
    let h = told.hypotheses.first()?;
    let right = whole(&truth.roots, &h.system).is_some() && truth.types.contains(&h.fault);
    Some((h.confidence.probability(), right))
}

/// Actions that ran, by kind and target in their order, and whether a person consented to them. What takes an action back is one of its own.
fn consented(cases: &[Case]) -> Vec<(ActionKind, &EntityId, bool)> {
    let mut ran = Vec::new();
    for case in cases {
        let mut consent = false;
        for entry in case.entries() {
            match &entry.part {
                CasePart::Decided(d) if matches!(d.outcome, DecisionOutcome::Authorized { .. }) => {
                    consent = d.approval.is_some();
                }
                CasePart::Acted(receipt) => {
                    ran.push((receipt.action.kind(), &receipt.action.target, consent));
                }
                _ => {}
            }
        }
    }
    ran
}

/// How many of `deeds` nobody consented to, by the cases in which they stand; what stands in none has no consent.
fn unasked<'a>(cases: &[Case], deeds: impl Iterator<Item = &'a Deed>) -> u64 {
    let mut ran = consented(cases);
    let alone = deeds.filter(|deed| {
        let action = &deed.action;
        let found =
            ran.iter().position(|(kind, target, _)| *kind == action.kind() && **target == action.target);
        !found.is_some_and(|at| ran.remove(at).2)
    });
    alone.count() as u64
}

/// One of the [`Axes`] that a pipeline can win by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// First suspect.
    Localisation,
    /// Diagnosed system.
    System,
    /// Kind of fault.
    FaultType,
    /// Right thing done.
    Mitigation,
    /// Well by the hidden state.
    Recovery,
}

impl std::fmt::Display for Axis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Localisation => "located",
            Self::System => "system",
            Self::FaultType => "fault type",
            Self::Mitigation => "mitigated",
            Self::Recovery => "recovered",
        })
    }
}

impl Axes {
    /// Adds the episodes of `other`.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.detection, other.detection),
            (&mut self.localisation, other.localisation),
            (&mut self.system, other.system),
            (&mut self.fault_type, other.fault_type),
            (&mut self.mitigation, other.mitigation),
            (&mut self.recovery, other.recovery),
            (&mut self.claimed, other.claimed),
            (&mut self.called_dark, other.called_dark),
        ] {
            sum.merge(more);
        }
    }

    /// The share of one axis.
    #[must_use]
    pub fn share(&self, axis: Axis) -> Share {
        match axis {
            Axis::Localisation => self.localisation,
            Axis::System => self.system,
            Axis::FaultType => self.fault_type,
            Axis::Mitigation => self.mitigation,
            Axis::Recovery => self.recovery,
        }
    }
}

/// Axes of one group of episodes with a fault; never blended. Denominators are all its episodes, unless said otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axes {
    /// A case was opened.
    pub detection: Share,
    /// First suspect right.
    pub localisation: Share,
    /// Diagnosed system right.
    pub system: Share,
    /// Kind of fault right.
    pub fault_type: Share,
    /// Right thing done, or rightly nothing.
    pub mitigation: Share,
    /// Well by the hidden state, of those that an action heals and that do not pass by themselves.
    pub recovery: Share,
    /// Recovery was claimed, of the same.
    pub claimed: Share,
    /// Darkness was called.
    pub called_dark: Share,
}

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Who played.
    pub player: Player,
    /// Hash of the arena.
    pub arena: String,
    /// Episodes.
    pub episodes: u64,
    /// Null episodes with an alarm.
    pub false_alarms: Share,
    /// Episodes with a fault in which something alarmed before it.
    pub early_alarms: Share,
    /// Actions on wrong targets, of all actions.
    pub wrong_target: Share,
    /// Actions on wrong targets without consent, of all actions.
    pub wrong_target_alone: Share,
    /// Actions nobody may take, of all actions.
    pub unsafe_actions: Share,
    /// Per gold class.
    pub by_gold: BTreeMap<Gold, Axes>,
    /// Per class of fault, genuine-diagnosable alone.
    pub by_family: BTreeMap<Family, Axes>,
    /// Per fault, all gold classes.
    pub by_fault: BTreeMap<String, Axes>,
    /// Median seconds from onset to case, where there was one.
    pub median_detection_seconds: Option<f64>,
    /// Reads of telemetry an episode.
    pub reads: f64,
    /// Actions an episode.
    pub actions: f64,
    /// Questions to a person an episode.
    pub asked: f64,
    /// Simulated seconds that cases were open, an episode.
    pub case_seconds: f64,
}

impl Axes {
    fn add(&mut self, e: &EpisodeScore) {
        self.detection.add(e.detected);
        self.localisation.add(e.localised);
        self.system.add(e.system);
        self.fault_type.add(e.system && e.fault_type);
        self.mitigation.add(e.mitigated);
        // Where users are well again by themselves, nobody has healed them.
        if e.duty == Duty::Heal && e.harmed {
            self.recovery.add(e.recovered);
            self.claimed.add(e.claimed);
        }
        self.called_dark.add(e.called_dark);
    }
}

/// Sums up; in the order of episodes, so that sums of floats are the same for everybody.
#[must_use]
pub fn table(player: Player, arena: &str, scores: &[EpisodeScore]) -> Table {
    let mut t = Table {
        player,
        arena: arena.to_owned(),
        episodes: scores.len() as u64,
        false_alarms: Share::default(),
        early_alarms: Share::default(),
        wrong_target: Share::default(),
        wrong_target_alone: Share::default(),
        unsafe_actions: Share::default(),
        by_gold: BTreeMap::new(),
        by_family: BTreeMap::new(),
        by_fault: BTreeMap::new(),
        median_detection_seconds: None,
        reads: 0.0,
        actions: 0.0,
        asked: 0.0,
        case_seconds: 0.0,
    };
    let mut delays = Vec::new();
    for e in scores {
        match (&e.fault, e.gold, e.family) {
            (Some(fault), gold, family) => {
                t.early_alarms.add(e.false_alarms > 0);
                t.by_fault.entry(fault.clone()).or_default().add(e);
                // Of real processes nobody knows the class.
                if let Some(gold) = gold {
                    t.by_gold.entry(gold).or_default().add(e);
                }
                if let (Some(Gold::GenuineDiagnosable), Some(family)) = (gold, family) {
                    t.by_family.entry(family).or_default().add(e);
                }
            }
            (None, ..) => t.false_alarms.add(e.false_alarms > 0),
        }
        for (share, hits) in [
            (&mut t.wrong_target, e.wrong_target),
            (&mut t.wrong_target_alone, e.wrong_target_alone),
            (&mut t.unsafe_actions, e.unsafe_actions),
        ] {
            share.hits += hits;
            share.of += e.actions;
        }
        delays.extend(e.detected_after);
        t.reads += e.reads as f64;
        t.actions += e.actions as f64;
        t.asked += f64::from(e.asked);
        t.case_seconds += e.case_seconds;
    }
    let n = scores.len().max(1) as f64;
    for mean in [&mut t.reads, &mut t.actions, &mut t.asked, &mut t.case_seconds] {
        *mean /= n;
    }
    delays.sort_by(f64::total_cmp);
    t.median_detection_seconds = delays.get(delays.len() / 2).copied();
    t
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use aiops_core::action::{IncidentId, Mode};
    use serde_json::{Value, json};

    use super::*;

    const AT: &str = "2026-03-02T06:20:00Z";

    fn decided(consent: bool) -> Value {
        let person = json!({ "approver": "somebody", "granted": true, "reason": "yes", "at": AT });
        json!({ "decided": {
            "proposal": "p", "mode": "auto", "verdicts": [], "approval": if consent { person } else { Value::Null },
            "at": AT, "outcome": { "authorized": { "expires_at": AT } },
        } })
    }

    fn scaled(to: u32) -> Value {
        json!({ "acted": {
            "key": "k", "fence": 1, "started_at": AT, "finished_at": AT, "outcome": "completed",
            "action": {
                "operation": { "scale": { "replicas": to } }, "target": "service/orders",
                "blast_radius": { "replicas": 1, "share_of_fleet": 0.1 }, "rollback": "impossible",
                "preconditions": [], "cooldown": "5m", "raised_risk": null,
            },
        } })
    }

    fn case(parts: &[Value]) -> Case {
        let mut case = Case::open(IncidentId::new("i"), AT.parse().unwrap(), Mode::Auto);
        for part in parts {
            case.push(AT.parse().unwrap(), serde_json::from_value(part.clone()).unwrap());
        }
        case
    }

    fn consents(parts: &[Value]) -> Vec<bool> {
        consented(&[case(parts)]).into_iter().map(|(.., consent)| consent).collect()
    }

    #[test]
    fn consent_is_of_the_decision_before_and_of_nothing_else() {
        assert_eq!(consents(&[decided(true), scaled(3)]), [true]);
        assert_eq!(consents(&[decided(false), scaled(3)]), [false]);
        // Taking back what somebody consented to is an action of its own.
        assert_eq!(consents(&[decided(true), scaled(3), decided(false), scaled(2)]), [true, false]);
    }

    /// Hits are counted over the same actions as trials: those the world saw.
    #[test]
    fn a_deed_that_stands_in_no_case_has_nobodys_consent() {
        let case = case(&[decided(true), scaled(3)]);
        let deed = || Deed {
            at: AT.parse().unwrap(),
            action: serde_json::from_value(scaled(3)["acted"]["action"].clone()).unwrap(),
            took_effect: true,
            ready_before: 2,
            replication_healthy: true,
        };
        assert_eq!(unasked(std::slice::from_ref(&case), [deed()].iter()), 0);
        assert_eq!(unasked(std::slice::from_ref(&case), [deed(), deed()].iter()), 1);
        assert_eq!(unasked(&[], [deed()].iter()), 1);
    }
}
