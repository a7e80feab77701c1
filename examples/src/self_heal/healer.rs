//! The pipeline at work, from where the run before it left off to its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aiops_act::incident::{NextStep, incidents};
use aiops_act::learned::Change;
use aiops_core::guard::KillSwitch;
use aiops_core::pipeline::{Look, Pipeline};
use aiops_core::seam::{Journal, TelemetrySource};
use aiops_core::{Case, Context};
use tokio::task::JoinHandle;

use super::plant::Plant;
use super::safety::{Safety, SafetyConfig, StateFolder};
use super::{Options, RunError, View, compose, detection, operator, sample, stage};

/// Longer nobody waits for what an action in doubt came to; its target stays held then, and a person looks.
const PATIENCE: Duration = Duration::from_secs(40);

/// What a pipeline is made of besides code: everything that outlives it.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) options: &'a Options,
    pub(super) safety: &'a SafetyConfig,
    pub(super) folder: &'a StateFolder,
    pub(super) switch: KillSwitch,
    pub(super) plant: Plant,
    pub(super) source: Arc<dyn TelemetrySource>,
    pub(super) view: &'a View,
}

/// A pipeline with all it holds open.
#[derive(Debug)]
pub(super) struct Healer {
    pipeline: Pipeline,
    safety: Safety,
    plant: Plant,
    view: View,
    asking: JoinHandle<()>,
    resumed: Vec<Case>,
}

impl Healer {
    /// Opens the state folder, learns what is normal until `learned_at` unless that is known, and takes up what was left.
    pub(super) async fn start(
        parts: &Parts<'_>,
        learned_at: Instant,
        ctx: &Context,
    ) -> Result<Self, RunError> {
        let Parts { options, source, view, .. } = parts;
        let (config, folder) = (parts.safety.clone(), parts.folder.clone());
        let safety = Safety::open(config, folder, parts.switch.clone(), ctx).await?;
        for what in &safety.told {
            stage(view, "graduated", what);
        }
        let plant = parts.plant.clone().with_wallet(safety.wallet());
        let (registry, fitted) = safety.registry();
        let detector = match detection::taken_up(registry, &fitted, ctx).await? {
            Some(detector) => {
                stage(view, "learned", "what is normal, as the registry has it");
                detector
            }
            None => {
                stage(view, "learn", "what is normal, from healthy telemetry");
                while Instant::now() < learned_at {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    sample(view, &plant).await;
                }
                detection::learned(source, registry, &fitted, ctx).await?
            }
        };
        let asking = operator::ask_somebody(options, safety.desk(), safety.switch(), view, ctx).await?;
        let pipeline =
            compose::pipeline(options, &safety, plant.clone(), Arc::clone(source), detector, view)?;
        let left = safety.cases().left_open()?;
        let mut healer =
            Self { pipeline, safety, plant, view: Arc::clone(view), asking, resumed: Vec::new() };
        healer.settle(ctx).await?;
        for case in left {
            stage(view, "resumed", &format!("incident {}, opened {:.0}", case.id(), case.opened_at()));
            let case = healer.pipeline.resume(case, ctx).await?;
            healer.learn(&case, ctx).await?;
            healer.resumed.push(case);
        }
        stage(view, "watch", "looking every second");
        Ok(healer)
    }

    /// Cases that the run before left open, and that came to their end here.
    pub(super) fn resumed(&mut self) -> Vec<Case> {
        std::mem::take(&mut self.resumed)
    }

    /// Another replica acts, or may: this one begins nothing any more.
    pub(super) fn is_fenced_off(&self) -> bool {
        self.safety.lost().is_cancelled()
    }

    /// One look, and if it opens a case, that case to its end. Takes a second at least.
    pub(super) async fn look(&self, ctx: &Context) -> Result<Option<Case>, RunError> {
        let began = Instant::now();
        // A lease that is lost ends what was not begun; what is under way is written down all the same.
        let acting = ctx.clone().with_cancellation(self.safety.lost().clone());
        let case = match self.pipeline.step(&acting).await {
            Ok(Look::Incident(case)) => {
                self.learn(&case, ctx).await?;
                stage(&self.view, "watch", "looking every second");
                Some(case)
            }
            Ok(Look::Quiet | Look::Unconfirmed { .. } | Look::HandedOver) => None,
            Err(e) => {
                stage(&self.view, "blind", &e.to_string());
                None
            }
        };
        sample(&self.view, &self.plant).await;
        tokio::time::sleep(Duration::from_secs(1).saturating_sub(began.elapsed())).await;
        Ok(case)
    }

    /// Signs the audit log and gives the lease back.
    pub(super) async fn stop(self, ctx: &Context) -> Result<(), RunError> {
        self.asking.abort();
        self.safety.close(ctx).await
    }

    /// Waits until nothing is in doubt. Its own files are all that a new pipeline knows; until the mitigator was asked the target is held, so nothing runs
    /// twice.
    async fn settle(&self, ctx: &Context) -> Result<(), RunError> {
        let journal = self.pipeline.guards().journal();
        let history = journal.history(ctx).await?;
        let doubtful: Vec<_> = history.in_doubt().map(|action| action.intent.key.clone()).collect();
        for incident in incidents(&history).iter().filter(|incident| !incident.is_closed()) {
            let action =
                |key| history.get(key).map(|a| a.intent.proposal.action.to_string()).unwrap_or_default();
            let what = match &incident.next {
                NextStep::Settle(key) => format!("nobody knows what became of: {}", action(key)),
                NextStep::Verify(key) => format!("nobody looked whether it helped: {}", action(key)),
                other => format!("{other:?}"),
            };
            stage(&self.view, "journal", &format!("incident {}: {what}", incident.id));
        }
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let unsettled = self.pipeline.recover(ctx).await?;
            let history = journal.history(ctx).await?;
            if unsettled.is_empty() && history.in_doubt().next().is_none() {
                break;
            }
            sample(&self.view, &self.plant).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let history = journal.history(ctx).await?;
        for action in doubtful.iter().filter_map(|key| history.get(key)) {
            let what = &action.intent.proposal.action;
            let ended = match &action.outcome {
                Some(outcome) => format!("{what}: {outcome:?}, as the mitigator tells"),
                None => format!("{what}: nobody knows, its target stays held"),
            };
            stage(&self.view, "settled", &ended);
        }
        Ok(())
    }

    async fn learn(&self, case: &Case, ctx: &Context) -> Result<(), RunError> {
        let lessons = self.safety.after(case, ctx).await?;
        for change in &lessons.demoted {
            stage(&self.view, "demoted", &format!("{} asks again: {}", change.class, change.reason));
        }
        for change in &lessons.taught {
            if let Change::Learned(lesson) = change
                && lesson.floor.to > lesson.floor.from
            {
                let (class, percent) = (lesson.outcome.class, lesson.floor.to * 100.0);
                stage(
                    &self.view,
                    "careful",
                    &format!("{class} asks a person below {percent:.0} % from now on"),
                );
            }
        }
        for class in lessons.ready() {
            stage(
                &self.view,
                "ready",
                &format!("{} has the record to act alone; a person decides", class.class),
            );
        }
        Ok(())
    }
}
