//! Who may be the origin.

mod config;
mod explain;
mod path;

use aiops_core::model::{
    EdgeKind, EntityId, EvidenceId, FittedHash, Ranking, Signal, Suspect, TelemetryWindow, time,
};
use aiops_core::seam::Localizer;
use aiops_core::{CitedAnomaly, Context, Result};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};

pub use config::{LocalizerConfig, RoleWeight};

use crate::config::hash;
use crate::picture::{Group, Picture, Symptom};
use crate::roles::{MetricRole, MetricRoles};
use explain::Explanations;

/// Raised whenever the same anomalies would be given other scores.
const VERSION: u32 = 1;

/// Ranks suspects by what deviates, who needs whom, and what came first.
///
/// A service's score is the sum, over the roles of its metrics, of weight · strongest symptom · (1 − what others explain).
/// Others explain:
/// - latency, errors and, in part, saturation of a caller by a callee that serves worse since the same time or earlier;
/// - less traffic by callers in trouble;
/// - trouble of a callee by a caller that sends it far more since the same time or earlier, which then takes it over.
///
/// An early onset adds a little, within the sampling resolution. A callee without telemetry of its own is suspected through what
/// its callers see of it. Parts of a service of which only some deviate, and nodes whose residents deviate while others do
/// not, are ranked beside the services. Without topology there is nothing to explain by: deviation and onset decide, and
/// [`Ranking::unseen`] says so.
///
/// Cost: O(series · rules + anomalies · callees). Deterministic; names never count, only labels' meaning does.
#[derive(Debug, Clone, Default)]
pub struct TopologyLocalizer {
    roles: MetricRoles,
    config: LocalizerConfig,
}

impl TopologyLocalizer {
    /// A localiser.
    ///
    /// # Errors
    /// [`Invalid`](aiops_core::ErrorKind::Invalid) when the configuration is out of range.
    pub fn new(roles: MetricRoles, config: LocalizerConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self { roles, config })
    }

    /// Kind and configuration, as a hash.
    #[must_use]
    pub fn id(&self) -> FittedHash {
        hash("topology", VERSION, &(self.roles.config(), &self.config))
    }

    /// Ranks suspects, without a runtime.
    #[must_use]
    pub fn rank(&self, window: &TelemetryWindow, anomalies: &[CitedAnomaly]) -> Ranking {
        let picture = Picture::of(window, anomalies, &self.roles, &self.config.symptoms);
        let explained = Explanations::of(&picture, &self.config);
        let mut suspects: Vec<Suspect> = Vec::new();
        for (id, group) in &picture.groups {
            let own = self.score(&picture, &explained, id, group.symptoms.iter());
            let taken = explained.taken_over(id);
            let score = own + taken.iter().map(|t| t.score).sum::<f64>();
            if score <= 0.0 {
                continue;
            }
            let mut evidence = cite(group.symptoms.iter());
            evidence.extend(taken.into_iter().flat_map(|t| t.evidence));
            suspects.push(self.suspect(&picture, id, score, evidence));
            suspects.extend(self.parts(&picture, &explained, id, group));
        }
        let blamed = explained.blamed();
        let blamed = blamed.map(|(id, b)| self.suspect(&picture, id, b.score, b.evidence.clone())).collect();
        merge(&mut suspects, blamed);
        merge(&mut suspects, self.nodes(&picture, &explained));
        suspects.retain(|s| s.score.is_finite() && s.score >= self.config.least);
        let mut ranking = Ranking::new(suspects).by(self.id());
        ranking.suspects.truncate(self.config.most);
        ranking.unseen = unseen(window, &picture, anomalies, &ranking);
        ranking
    }

    fn score<'s, 'a: 's>(
        &self,
        picture: &Picture<'_>,
        explained: &Explanations,
        group: &EntityId,
        symptoms: impl Iterator<Item = &'s Symptom<'a>>,
    ) -> f64 {
        let mut strongest: BTreeMap<MetricRole, f64> = BTreeMap::new();
        let mut earliest = 0.0_f64;
        for s in symptoms {
            let weight = self.config.weight(s.class.role);
            let left = s.strength * (1.0 - explained.share(group, s));
            let entry = strongest.entry(s.class.role).or_default();
            *entry = entry.max(weight.weight * left);
            if s.harmful && left > 0.0 {
                earliest = earliest.max(self.earliness(picture, s));
            }
        }
        strongest.values().sum::<f64>() * (1.0 + self.config.onset_weight * earliest)
    }

    /// 1 for the first onset, falling with the time after it; onsets within the resolution are one.
    fn earliness(&self, picture: &Picture<'_>, s: &Symptom<'_>) -> f64 {
        let Some(first) = picture.first else { return 0.0 };
        let late = time::elapsed(first, s.onset()).saturating_sub(picture.resolution);
        (-late.as_secs_f64() / self.config.onset_decay.as_secs_f64()).exp()
    }

    /// Parts that stand out: some deviate, others with telemetry do not.
    fn parts(
        &self,
        picture: &Picture<'_>,
        explained: &Explanations,
        id: &EntityId,
        group: &Group<'_>,
    ) -> Vec<Suspect> {
        let deviating: BTreeSet<&EntityId> =
            group.harmful().map(|s| &s.anomaly().entity).filter(|e| *e != id).collect();
        let parts = group.parts.iter().filter(|p| *p != id && picture.whole(p) == *id).count();
        if deviating.is_empty() || deviating.len() >= parts {
            return Vec::new();
        }
        let suspect = |part: &EntityId| {
            let own = || group.symptoms.iter().filter(|s| s.anomaly().entity == *part);
            let score = self.config.part_share * self.score(picture, explained, id, own());
            let mut suspect = self.suspect(picture, id, score, cite(own()));
            suspect.entity = part.clone();
            suspect.path.insert(0, part.clone());
            suspect
        };
        deviating.into_iter().map(suspect).collect()
    }

    /// Nodes whose residents deviate while residents of other nodes do not.
    fn nodes(&self, picture: &Picture<'_>, explained: &Explanations) -> Vec<Suspect> {
        let mut residents: BTreeMap<&EntityId, BTreeSet<&EntityId>> = BTreeMap::new();
        for edge in picture.topology.edges().filter(|e| e.kind == EdgeKind::RunsOn) {
            residents.entry(&edge.to).or_default().insert(&edge.from);
        }
        let placed: BTreeSet<&EntityId> = residents.values().flatten().copied().collect();
        let strength: BTreeMap<&EntityId, (f64, Vec<EvidenceId>)> = placed
            .iter()
            .map(|part| {
                let whole = picture.whole(part);
                let group = picture.groups.get(&whole);
                let own = || {
                    let all = group.into_iter().flat_map(|g| g.symptoms.iter());
                    all.filter(|s| s.anomaly().entity == **part && s.harmful)
                };
                let left = own().map(|s| s.strength * (1.0 - explained.share(&whole, s))).fold(0.0, f64::max);
                (*part, (left, cite(own())))
            })
            .collect();
        let sick = |part: &&EntityId| strength.get(*part).is_some_and(|(s, _)| *s >= self.config.sick);
        let share = |n: usize, of: usize| if of == 0 { None } else { Some(ratio(n, of)) };
        let mut suspects = Vec::new();
        for (node, here) in &residents {
            let elsewhere: Vec<&&EntityId> = placed.iter().filter(|p| !here.contains(**p)).collect();
            let sick_here: Vec<&EntityId> = here.iter().copied().filter(|p| sick(p)).collect();
            let wholes: BTreeSet<EntityId> = sick_here.iter().map(|p| picture.whole(p)).collect();
            let sick_elsewhere = elsewhere.iter().filter(|p| sick(p)).count();
            let (Some(inside), Some(outside)) =
                (share(sick_here.len(), here.len()), share(sick_elsewhere, elsewhere.len()))
            else {
                continue;
            };
            if wholes.len() < 2 || inside <= outside {
                continue;
            }
            let strengths = || sick_here.iter().filter_map(|p| strength.get(*p));
            let mean = strengths().map(|(s, _)| s).sum::<f64>() / ratio(sick_here.len(), 1);
            let score = self.config.common_cause * (inside - outside) * mean * ratio(wholes.len(), 1);
            let evidence = strengths().flat_map(|(_, e)| e.iter().cloned()).collect();
            suspects.push(self.suspect(picture, node, score, evidence));
        }
        suspects
    }

    fn suspect(
        &self,
        picture: &Picture<'_>,
        id: &EntityId,
        score: f64,
        mut evidence: Vec<EvidenceId>,
    ) -> Suspect {
        let mut seen = BTreeSet::new();
        evidence.retain(|e| seen.insert(e.clone()));
        evidence.truncate(self.config.citations);
        let mut suspect = Suspect::new(id.clone(), score);
        suspect.evidence = evidence;
        suspect.path = path::to_where_it_was_felt(picture, id);
        suspect
    }
}

/// Harmful symptoms, strongest first.
fn cite<'s, 'a: 's>(symptoms: impl Iterator<Item = &'s Symptom<'a>>) -> Vec<EvidenceId> {
    let mut harmful: Vec<&Symptom<'_>> = symptoms.filter(|s| s.harmful && s.strength > 0.0).collect();
    harmful.sort_by(|a, b| b.strength.total_cmp(&a.strength).then_with(|| a.cited.id.cmp(&b.cited.id)));
    harmful.into_iter().map(|s| s.cited.id.clone()).collect()
}

/// Adds the scores of one entity together.
fn merge(suspects: &mut Vec<Suspect>, more: Vec<Suspect>) {
    for new in more {
        match suspects.iter_mut().find(|s| s.entity == new.entity) {
            Some(known) => {
                known.score += new.score;
                known.evidence.extend(new.evidence);
            }
            None => suspects.push(new),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of entities are far below 2^52")]
pub(crate) fn ratio(n: usize, of: usize) -> f64 {
    n as f64 / of.max(1) as f64
}

fn unseen(
    window: &TelemetryWindow,
    picture: &Picture<'_>,
    anomalies: &[CitedAnomaly],
    ranking: &Ranking,
) -> Vec<String> {
    let mut unseen = Vec::new();
    if anomalies.is_empty() {
        return unseen;
    }
    if !window.observed.contains(Signal::Metrics) && window.metrics.is_empty() {
        unseen.push("metrics were not read".to_owned());
    }
    if window.topology.edges().next().is_none() {
        unseen.push("who calls whom is not known: victims cannot be told from origins".to_owned());
    }
    for suspect in &ranking.suspects {
        for dark in picture.dark_callees(&suspect.entity) {
            let line = format!("{dark}, which {} needs, has no telemetry", suspect.entity);
            if !unseen.contains(&line) {
                unseen.push(line);
            }
        }
    }
    unseen
}

#[async_trait]
impl Localizer for TopologyLocalizer {
    async fn localize(
        &self,
        window: &TelemetryWindow,
        anomalies: &[CitedAnomaly],
        ctx: &Context,
    ) -> Result<Ranking> {
        ctx.check()?;
        Ok(self.rank(window, anomalies))
    }
}
