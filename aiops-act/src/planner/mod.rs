//! From a diagnosed case to typed proposals. // ACT-01, VER-02

mod doubt;
mod remedies;

use std::collections::BTreeMap;
use std::time::Duration;

use aiops_core::action::{
    Action, ActionKind, ActionOutcome, BlastRadius, Operation, Precondition, Principal, Proposal, ProposalId,
    Risk, RollbackPlan, Share,
};
use aiops_core::model::{
    Change, DiagnosisStatus, EdgeKind, EntityId, EntityKind, Hypothesis, MetricKind, MetricSeries, Standing,
    TelemetryWindow, time::elapsed,
};
use aiops_core::seam::Planner;
use aiops_core::{Case, CasePart, Context, Result};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::doubt::{doubt, doubt_of};
use self::remedies::{Remedy, remedies};
use crate::config::require;

/// Settings of [`RemedyPlanner`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlannerConfig {
    /// Most proposals for one diagnosis; default 3, 1..=10.
    pub proposals: usize,
    /// Metric that tells how many copies of a service are wanted, not empty. Without it nothing is scaled.
    pub desired_replicas: Option<String>,
    /// How old its last sample may be at the end of the window; default 2 min. On an older one nothing is scaled: meanwhile
    /// somebody may have added more copies than the plan would.
    #[serde(with = "aiops_core::model::duration")]
    pub desired_age: Duration,
    /// Metric that counts the requests of a service in a second, not empty. Without it nobody knows how much more is asked, and load gets one
    /// copy more.
    pub requests: Option<String>,
    /// Most times as many requests as before that copies are added for; default 2, 1..=1000. Beyond it how much to add, and to pay for, is
    /// a person's to decide.
    pub most_times: f64,
    /// Share that a throttled offender keeps at most, more than 0 and less than 1; default 0.25. Where telemetry tells how much it sent
    /// before, it keeps that much.
    pub throttle_to: f64,
    /// Share that a throttled offender keeps at least, more than 0 and at most `throttle_to`; default 0.02.
    pub throttle_least: f64,
    /// Copies that may be missing during a rolling restart; default 1, at least 1.
    pub max_unavailable: u32,
    /// Shortest time between two actions of one kind on one target; default 5 min.
    #[serde(with = "aiops_core::model::duration")]
    pub cooldown: Duration,
    /// Risk that is declared for doubtful remedies, however low that of their kind: of a cause that fails a causal test, or that some
    /// look at the case since the last attempt did not name first; and on somebody else than the cause's system, of whom no hypothesis
    /// tells. Default medium, so that a person is asked; `low` declares none.
    pub doubtful: Risk,
    /// As whom it proposes.
    pub principal: Principal,
}

impl Default for PlannerConfig {
    fn default() -> Self {
        Self {
            proposals: 3,
            desired_replicas: None,
            desired_age: Duration::from_secs(120),
            requests: None,
            most_times: 2.0,
            throttle_to: 0.25,
            throttle_least: 0.02,
            max_unavailable: 1,
            cooldown: Duration::from_secs(300),
            doubtful: Risk::Medium,
            principal: Principal::new("remedy-planner"),
        }
    }
}

/// Proposes what the field does about a cause, and nothing where it does nothing.
///
/// | whom | cause | remedy | way back |
/// |---|---|---|---|
/// | anybody | a change with an earlier revision | roll back to it | forward again |
/// | machine | hardware, network, or a resource other than its disk | drain | by a person: where work ran before is not known |
/// | machine, workload | a disk that fills | rotate logs | not needed: what was rotated is kept elsewhere |
/// | cache | it ran out, starts over and over, or does not serve | purge, else rolling restart | not needed: a cache fills again |
/// | workload | memory, connection pool, lock, slow work, any other resource that ran out | rolling restart | not needed: the same revision starts anew |
/// | one of several copies | failing responses | rolling restart; of all of them nothing, where the fault is their code: it is what they share | not needed: as above |
/// | workload | crash loop | purge the cache the process starts from, else restart | not needed: a cache fills again |
/// | job | a rank that its others wait for | rolling restart, from its last checkpoint; of one that is only slow, or that is started over and over already, nothing | not needed: as above |
/// | workload | jobs that wait though there is room | rolling restart of the scheduler | not needed: as above |
/// | tenant, or a service that others call as well | load of one tenant, attack of a tenant | throttle it | its revision before |
/// | workload | load | more copies | as many as before |
/// | service where users arrive | load | more copies of those below that suffer, most suspected first; else of itself | as many as before |
/// | database | a busy processor, or that it answers late | nothing: a restart makes its caches cold and the query no better | |
/// | somebody else's service | anything | nothing: a person asks them | |
/// | anybody | anything else | nothing: a person decides | |
///
/// Order: as the hypotheses are ordered, and for one hypothesis as in the table. Only findings are acted on, and a kind of
/// action that was tried on a target in this case is not proposed for it again. What the pipeline did to undo an attempt is no
/// attempt. A database is restarted or rolled back only while its replication is healthy. The last machine that is known is never
/// drained, and users are never throttled as a whole: that turns away whom it should serve.
///
/// Copies are added in proportion to the requests, so that each has as much to do as before ([`PlannerConfig::requests`]): by the utilisation
/// law U = X·S / c it is then as busy as when it was well, whatever a request costs. One copy more where half as many again were needed
/// leaves its queue growing. Beyond [`PlannerConfig::most_times`], and of whom no more is asked than before, nothing is proposed.
///
/// Doubtful remedies ([`PlannerConfig::doubtful`]) are proposed as what a person decides, and [`Proposal::reason`] says why.
#[derive(Debug, Clone, Default)]
pub struct RemedyPlanner {
    config: PlannerConfig,
}

impl RemedyPlanner {
    /// A planner as `config` says.
    ///
    /// # Errors
    /// When a field is out of range.
    pub fn new(config: PlannerConfig) -> Result<Self> {
        require((1..=10).contains(&config.proposals), "proposals", config.proposals, "1..=10")?;
        let throttles = config.throttle_to > 0.0 && config.throttle_to < 1.0;
        require(throttles, "throttle_to", config.throttle_to, "more than 0, less than 1")?;
        let (least, most) = (config.throttle_least, config.throttle_to);
        require(least > 0.0 && least <= most, "throttle_least", least, "more than 0, at most throttle_to")?;
        require(config.max_unavailable >= 1, "max_unavailable", config.max_unavailable, "1 or more")?;
        require((1.0..=1000.0).contains(&config.most_times), "most_times", config.most_times, "1..=1000")?;
        for (field, name) in [("desired_replicas", &config.desired_replicas), ("requests", &config.requests)]
        {
            let named = name.as_ref().is_none_or(|name| !name.is_empty());
            require(named, field, "\"\"", "the name of a metric")?;
        }
        Ok(Self { config })
    }

    /// Remedies for one cause, best first.
    fn remedies(&self, case: &Case, cause: &Hypothesis) -> Result<Vec<Action>> {
        let change = cause.change.as_ref().and_then(|id| case.change(id)).map(|cited| &cited.change);
        let mut actions = Vec::new();
        if let Some(change) = change {
            actions.extend(self.undo(case, change)?);
        }
        let target = &cause.system;
        for remedy in remedies(case, cause) {
            match remedy {
                Remedy::Restart => actions.push(self.restart(case, target)?),
                Remedy::Purge => {
                    let purge = self.action(case, Operation::CachePurge, target)?;
                    actions.push(not_needed(purge, "a cache fills again"));
                }
                Remedy::RotateLogs => {
                    let rotate = self.action(case, Operation::LogRotation, target)?;
                    actions.push(not_needed(rotate, "what was rotated is kept elsewhere"));
                }
                Remedy::Drain => actions.push(self.drain(case, target)?),
                Remedy::Throttle => actions.push(self.throttle(case, target)?),
                Remedy::MoreOf(of) => actions.extend(self.more_of(case, &of, target)?),
            }
        }
        Ok(actions)
    }

    fn throttle(&self, case: &Case, target: &EntityId) -> Result<Action> {
        let usual = usual_share(case, target).unwrap_or(self.config.throttle_to);
        let to = Share::new(usual.clamp(self.config.throttle_least, self.config.throttle_to))?;
        let throttle = Operation::Throttle { to };
        let back = current_revision(case, target).map_or(RollbackPlan::Impossible, |to| {
            RollbackPlan::Operation(Box::new(Operation::Rollback { to }))
        });
        Ok(self.action(case, throttle, target)?.with_rollback(back))
    }

    /// Touches every copy that runs on the machine, as far as the topology tells.
    fn drain(&self, case: &Case, node: &EntityId) -> Result<Action> {
        let parts = case.window().map_or(0, |w| w.topology.needed_by(node, EdgeKind::RunsOn).count());
        let replicas = u32::try_from(parts).unwrap_or(u32::MAX).max(1);
        let mut action = self.action(case, Operation::Drain, node)?;
        let fleet = self.fleet(case).max(replicas);
        let share_of_fleet = Share::new(f64::from(replicas) / f64::from(fleet))?;
        action.blast_radius = BlastRadius { replicas, share_of_fleet };
        Ok(action.with_rollback(RollbackPlan::Impossible))
    }

    fn undo(&self, case: &Case, change: &Change) -> Result<Option<Action>> {
        let Some(revision) = &change.revision else { return Ok(None) };
        // A change that ended where it began, as a restart does, has nothing to go back to.
        let Some(to) = revision.from.clone().filter(|from| *from != revision.to) else { return Ok(None) };
        let forward = Operation::Rollback { to: revision.to.clone() };
        let undo = self.action(case, Operation::Rollback { to }, &change.entity)?;
        // Somebody may have rolled out again meanwhile: then this change is no longer what runs.
        let still_runs = Precondition::Revision(revision.to.clone());
        Ok(Some(undo.with_rollback(RollbackPlan::Operation(Box::new(forward))).with_precondition(still_runs)))
    }

    fn restart(&self, case: &Case, target: &EntityId) -> Result<Action> {
        let restart =
            Operation::RollingRestart { max_unavailable: self.config.max_unavailable, max_surge: 0 };
        Ok(not_needed(self.action(case, restart, target)?, "the same revision starts anew"))
    }

    /// As many copies of `target` as leave each what it had to do before. It will be asked for as many times more as `origin`, where the load
    /// comes in, once nobody on the way holds that back (forced flow law: what each is asked is in proportion to what comes in).
    fn more_of(&self, case: &Case, target: &EntityId, origin: &EntityId) -> Result<Option<Action>> {
        let Some(now) = self.desired(case, target) else { return Ok(None) };
        let told = self.config.requests.as_ref().and_then(|metric| {
            let rises = [origin, target].into_iter().filter_map(|of| rise(case, of, metric));
            rises.reduce(f64::max)
        });
        if told.is_some_and(|times| times <= 1.0 || times > self.config.most_times) {
            return Ok(None);
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most a million times a thousand; casts of floats saturate"
        )]
        let wanted = (f64::from(now) * told.unwrap_or(1.0)).ceil() as u32;
        let replicas = wanted.max(now.saturating_add(1));
        let back = RollbackPlan::Operation(Box::new(Operation::Scale { replicas: now }));
        let mut more = self.action(case, Operation::Scale { replicas }, target)?;
        more.blast_radius.replicas = replicas - now;
        let fleet = self.fleet(case).max(replicas - now);
        more.blast_radius.share_of_fleet = Share::new(f64::from(replicas - now) / f64::from(fleet))?;
        Ok(Some(more.with_rollback(back)))
    }

    fn action(&self, case: &Case, operation: Operation, target: &EntityId) -> Result<Action> {
        let replicas = match operation.kind() {
            ActionKind::Scale => 1,
            _ => self.desired(case, target).unwrap_or(1),
        };
        let fleet = self.fleet(case).max(replicas).max(1);
        let share_of_fleet = Share::new(f64::from(replicas) / f64::from(fleet))?;
        let radius = BlastRadius { replicas, share_of_fleet };
        let restarts = matches!(operation, Operation::RollingRestart { .. } | Operation::Rollback { .. });
        let action = Action::new(operation, target.clone(), radius).with_cooldown(self.config.cooldown);
        // Replication first, then the database. // ACT-07
        Ok(if restarts && target.kind() == EntityKind::Database {
            action.with_precondition(Precondition::ReplicationHealthy)
        } else {
            action
        })
    }

    /// Copies of `target` wanted at the end of the last window, as far as that is told.
    fn desired(&self, case: &Case, target: &EntityId) -> Option<u32> {
        self.desired_by_entity(case).find(|(entity, _)| *entity == target).map(|(_, n)| n)
    }

    fn fleet(&self, case: &Case) -> u32 {
        self.desired_by_entity(case).fold(0, |sum, (_, n)| sum.saturating_add(n))
    }

    fn desired_by_entity<'a>(&'a self, case: &'a Case) -> impl Iterator<Item = (&'a EntityId, u32)> {
        let series = case.window().into_iter().flat_map(|w| w.metrics.iter().map(|s| (w.range.end(), s)));
        let named = series.filter(|(_, s)| self.config.desired_replicas.as_ref() == Some(&s.key().name));
        named.filter_map(|(end, s)| {
            let (at, last) = s.points().next_back()?;
            if elapsed(at, end) > self.config.desired_age {
                return None;
            }
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked to be a small count"
            )]
            let copies = ((0.0..=1e6).contains(&last)).then_some(last.round() as u32)?;
            Some((s.entity(), copies))
        })
    }
}

/// Newest samples of a rate that tell how much is sent now.
const NOW: usize = 4;

/// What `offender` sent before as a share of what it sends now: medians over the first half and the end of the window, of the rate that
/// names it in a label and rose most. `None` where none does.
fn usual_share(case: &Case, offender: &EntityId) -> Option<f64> {
    let window = case.window()?;
    let names_it = |s: &&MetricSeries| {
        s.kind() == MetricKind::Rate && s.key().labels.iter().any(|(_, v)| v == offender.name())
    };
    let share = |series: &MetricSeries| {
        let rates: Vec<f64> = series.points().map(|(_, v)| v).filter(|v| v.is_finite()).collect();
        let was = median(rates.get(..rates.len() / 2)?)?;
        let now = median(rates.get(rates.len().saturating_sub(NOW)..)?)?;
        (was > 0.0 && now > was).then_some(was / now)
    };
    window.metrics.iter().filter(names_it).filter_map(share).min_by(f64::total_cmp)
}

/// How many times as many requests `service` gets now as before it was first looked at in this case: medians of the first half of the first
/// window and of the end of the last one, all series of `metric` together. `None` where either is not told.
fn rise(case: &Case, service: &EntityId, metric: &str) -> Option<f64> {
    let mut windows = case.entries().iter().filter_map(|e| match &e.part {
        CasePart::Observed(window) => Some(&**window),
        _ => None,
    });
    let rates = |window: &TelemetryWindow| {
        let series = window.metrics.iter().filter(|s| s.entity() == service && s.key().name == metric);
        let mut sums: BTreeMap<Timestamp, f64> = BTreeMap::new();
        for (at, rate) in series.flat_map(MetricSeries::points).filter(|(_, rate)| rate.is_finite()) {
            *sums.entry(at).or_default() += rate;
        }
        sums.into_values().collect::<Vec<f64>>()
    };
    let before = rates(windows.clone().next()?);
    let since = rates(windows.next_back()?);
    let was = median(before.get(..before.len() / 2)?)?;
    let now = median(since.get(since.len().saturating_sub(NOW)..)?)?;
    (was > 0.0).then_some(now / was)
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

fn not_needed(action: Action, reason: &str) -> Action {
    action.with_rollback(RollbackPlan::NotNeeded { reason: reason.to_owned() })
}

/// What was tried in this case as a remedy.
fn tried(case: &Case) -> Vec<&Action> {
    let planned: Vec<&Proposal> = case
        .entries()
        .iter()
        .filter_map(|e| if let CasePart::Planned(proposals) = &e.part { Some(proposals) } else { None })
        .flatten()
        .collect();
    let mut tried: Vec<&Action> = Vec::new();
    for (receipt, _) in case.attempts() {
        let action = &receipt.action;
        let undoes = tried.iter().any(|earlier| {
            earlier.target == action.target
                && matches!(&earlier.rollback, RollbackPlan::Operation(back) if **back == action.operation)
        });
        // Nobody planned it and it is the way back of an attempt: the pipeline undid that.
        let undoing = undoes && !planned.iter().any(|p| p.action == *action);
        if !undoing && !matches!(receipt.outcome, ActionOutcome::NotStarted { .. }) {
            tried.push(action);
        }
    }
    tried
}

/// The revision that `target` runs according to the last change the case knows.
fn current_revision(case: &Case, target: &EntityId) -> Option<String> {
    let changes = case.changes().iter().map(|c| &c.change).filter(|c| c.entity == *target);
    let last = changes.filter(|c| c.revision.is_some()).max_by_key(|c| c.time)?;
    last.revision.as_ref().map(|r| r.to.clone())
}

#[async_trait]
impl Planner for RemedyPlanner {
    async fn plan(&self, case: &Case, ctx: &Context) -> Result<Vec<Proposal>> {
        ctx.check()?;
        let Some(diagnosis) = case.diagnosis() else { return Ok(Vec::new()) };
        if diagnosis.status != DiagnosisStatus::Diagnosed {
            return Ok(Vec::new());
        }
        let tried = tried(case);
        let planned = case.entries().iter().filter(|e| matches!(e.part, CasePart::Planned(_)));
        let round = case.attempts().count().max(planned.count()) + 1;
        let mut proposals: Vec<Proposal> = Vec::new();
        for cause in diagnosis.hypotheses.iter().filter(|h| h.standing() == Standing::Finding) {
            let doubtful = doubt(case, cause);
            for mut action in self.remedies(case, cause)? {
                let doubt = doubtful.clone().or_else(|| doubt_of(case, cause, &action.target));
                let doubt = doubt.filter(|_| self.config.doubtful > Risk::Low);
                let reason = match &doubt {
                    Some(doubt) => format!("{}; a person decides: {doubt}", cause.statement),
                    None => cause.statement.clone(),
                };
                action.raised_risk = doubt.is_some().then_some(self.config.doubtful);
                let again = |t: &&Action| t.kind() == action.kind() && t.target == action.target;
                let repeated = tried.iter().any(again)
                    || proposals
                        .iter()
                        .any(|p| p.action.operation == action.operation && p.action.target == action.target);
                if repeated || proposals.len() >= self.config.proposals {
                    continue;
                }
                let id = ProposalId::new(format!("{}-{}-{}", case.id(), round, proposals.len() + 1));
                let proposal = Proposal::new(
                    id,
                    case.id().clone(),
                    action,
                    self.config.principal.clone(),
                    cause.confidence.clone(),
                    reason,
                );
                proposals.push(proposal.with_evidence(cause.citations.clone()));
            }
        }
        Ok(proposals)
    }
}
