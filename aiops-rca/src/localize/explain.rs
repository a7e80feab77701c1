//! What somebody else's trouble explains.

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::{Direction, EntityId, EvidenceId, time};
use jiff::Timestamp;

use super::config::LocalizerConfig;
use crate::picture::{Picture, Symptom};
use crate::roles::{MetricRole, Side};

/// Score that moved from one entity to another, with what it rests on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Moved {
    pub(crate) score: f64,
    pub(crate) evidence: Vec<EvidenceId>,
}

/// For every group: what explains its symptoms.
#[derive(Debug)]
pub(crate) struct Explanations {
    /// By group: callees in trouble, how much and since when.
    callees: BTreeMap<EntityId, Vec<(f64, Timestamp)>>,
    /// By group: callers in trouble or with less to do.
    callers: BTreeMap<EntityId, Vec<(f64, Timestamp)>>,
    /// By group: share of its trouble that a caller's load explains.
    overload: BTreeMap<EntityId, f64>,
    taken_over: BTreeMap<EntityId, Vec<Moved>>,
    blamed: BTreeMap<EntityId, Moved>,
    config: LocalizerConfig,
    resolution: std::time::Duration,
}

impl Explanations {
    pub(crate) fn of(picture: &Picture<'_>, config: &LocalizerConfig) -> Self {
        let mut this = Self {
            callees: BTreeMap::new(),
            callers: BTreeMap::new(),
            overload: BTreeMap::new(),
            taken_over: BTreeMap::new(),
            blamed: BTreeMap::new(),
            config: config.clone(),
            resolution: picture.resolution,
        };
        for id in picture.groups.keys() {
            let callees = picture.callees(id).into_iter().filter_map(|c| picture.groups.get(c)?.trouble());
            this.callees.insert(id.clone(), callees.collect());
            let callers = picture.callers(id).into_iter().filter_map(|c| less_to_do(picture, c));
            this.callers.insert(id.clone(), callers.collect());
        }
        this.blame(picture);
        this.take_over(picture);
        this
    }

    /// How much of a symptom of `group` others explain, 0..=1.
    pub(crate) fn share(&self, group: &EntityId, s: &Symptom<'_>) -> f64 {
        let explainable = self.config.weight(s.class.role).explainable;
        let from = |list: &BTreeMap<EntityId, Vec<(f64, Timestamp)>>| {
            let all = list.get(group).into_iter().flatten();
            all.map(|(trouble, since)| self.explains(*trouble, *since, s)).fold(0.0, f64::max)
        };
        let fewer = s.class.role == MetricRole::Traffic && s.anomaly().direction() == Direction::Down;
        let mut share = from(&self.callees);
        if fewer {
            share = share.max(from(&self.callers));
        }
        if s.class.side == Side::Client && s.peer.as_ref().is_some_and(|p| self.blamed.contains_key(p)) {
            share = share.max(self.config.blame);
        }
        // A lock is held by its own process, whatever it does meanwhile.
        let explainable =
            if s.class.mechanism.as_deref() == Some("lock") { explainable / 2.0 } else { explainable };
        let share = explainable * share;
        let overload = self.overload.get(group).copied().unwrap_or(0.0);
        share.max(if s.class.role == MetricRole::Liveness { 0.0 } else { overload })
    }

    /// Trouble as strong as the symptom explains it; what began later explains little.
    fn explains(&self, trouble: f64, since: Timestamp, s: &Symptom<'_>) -> f64 {
        let strong = (trouble / s.strength.max(f64::MIN_POSITIVE)).min(1.0);
        let late = time::elapsed(s.onset(), since).saturating_sub(self.resolution);
        let decay = (-late.as_secs_f64() / self.config.onset_decay.as_secs_f64()).exp();
        strong * decay.max(self.config.late_explains)
    }

    pub(crate) fn taken_over(&self, id: &EntityId) -> Vec<Moved> {
        self.taken_over.get(id).cloned().unwrap_or_default()
    }

    pub(crate) fn blamed(&self) -> impl Iterator<Item = (&EntityId, &Moved)> {
        self.blamed.iter()
    }

    /// A callee in trouble because one caller sends far more: the caller takes its score over.
    fn take_over(&mut self, picture: &Picture<'_>) {
        let mut moves = Vec::new();
        for (callee, group) in &picture.groups {
            let Some((_, since)) = group.trouble() else { continue };
            // Requests fewer than before are no overload.
            let starved = group.strongest(|s| {
                s.class.role == MetricRole::Traffic
                    && s.class.caller.is_none()
                    && s.anomaly().direction() == Direction::Down
            });
            if starved.is_some_and(|s| s.strength > self.config.sick) {
                continue;
            }
            let Some((caller, rise, evidence)) = offender(picture, &self.config, callee, since) else {
                continue;
            };
            let mass: f64 = {
                let mut strongest: BTreeMap<MetricRole, f64> = BTreeMap::new();
                for s in &group.symptoms {
                    let weight = self.config.weight(s.class.role).weight;
                    let entry = strongest.entry(s.class.role).or_default();
                    *entry = entry.max(weight * s.strength * (1.0 - self.share(callee, s)));
                }
                strongest.values().sum()
            };
            moves.push((callee.clone(), caller, rise, mass, evidence));
        }
        for (callee, caller, rise, mass, evidence) in moves {
            let share = self.config.blame * rise;
            self.taken_over.entry(caller).or_default().push(Moved { score: share * mass, evidence });
            self.overload.insert(callee, share);
        }
    }

    /// Callees of which only callers tell: they have no telemetry, or too young to compare with.
    fn blame(&mut self, picture: &Picture<'_>) {
        for (id, group) in &picture.groups {
            for s in group.harmful().filter(|s| s.class.side == Side::Client) {
                let Some(peer) = s.peer.as_ref().filter(|p| *p != id) else { continue };
                if picture
                    .groups
                    .get(peer)
                    .is_some_and(|g| g.has_metrics && !(g.fresh && g.trouble().is_none()))
                {
                    continue;
                }
                self.callees.entry(id.clone()).or_default().push((self.config.blame * s.strength, s.onset()));
                let blamed = self.blamed.entry(peer.clone()).or_default();
                let score = self.config.blame * self.config.weight(s.class.role).weight * s.strength;
                blamed.score = blamed.score.max(score);
                blamed.evidence.push(s.cited.id.clone());
            }
        }
    }
}

/// A caller that explains why there is less to do: it is in trouble, or has less to do itself.
fn less_to_do(picture: &Picture<'_>, caller: &EntityId) -> Option<(f64, Timestamp)> {
    let group = picture.groups.get(caller)?;
    let fewer = group
        .strongest(|s| s.class.role == MetricRole::Traffic && s.anomaly().direction() == Direction::Down)
        .map(|s| (s.strength, s.onset()));
    let stronger = |a: &(f64, Timestamp), b: &(f64, Timestamp)| a.0.total_cmp(&b.0);
    [fewer, group.trouble()].into_iter().flatten().max_by(stronger)
}

/// Who sends more: the caller whose traffic rose most since before `since`, or whoever drove that caller.
/// With the strength of the rise and what shows it.
fn offender(
    picture: &Picture<'_>,
    config: &LocalizerConfig,
    callee: &EntityId,
    since: Timestamp,
) -> Option<(EntityId, f64, Vec<EvidenceId>)> {
    let rise_of = |id: &EntityId| {
        let group = picture.groups.get(id)?;
        group.strongest(|s| s.is_load(config.symptoms.load_rise) && picture.not_before(s.onset(), since))
    };
    let times = |s: &Symptom<'_>| {
        let a = s.anomaly();
        a.value / a.baseline.center.abs().max(a.baseline.scale.abs()).max(f64::MIN_POSITIVE)
    };
    let loudest_caller = |of: &EntityId, seen: &BTreeSet<EntityId>| {
        let callers = picture.callers(of).into_iter().filter(|c| !seen.contains(*c));
        let rising = callers.filter_map(|c| Some((c.clone(), rise_of(c)?)));
        rising.max_by(|a, b| times(a.1).total_cmp(&times(b.1)).then_with(|| b.0.cmp(&a.0)))
    };
    let mut seen = BTreeSet::from([callee.clone()]);
    let (mut origin, mut rise) = loudest_caller(callee, &seen)?;
    while let Some((driver, driving)) = loudest_caller(&origin, &seen) {
        seen.insert(origin);
        (origin, rise) = (driver, driving);
    }
    let arrived = picture.groups.get(callee)?.strongest(|s| s.is_load(1.0) && s.class.side != Side::Client);
    let evidence = std::iter::once(rise).chain(arrived).map(|s| s.cited.id.clone()).collect();
    Some((origin, rise.strength, evidence))
}
