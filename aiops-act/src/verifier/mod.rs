//! Whether it is over, from telemetry alone. // VER-01, VER-02

mod liveness;
mod read;
mod signals;
mod traffic;

pub use liveness::LivenessCheck;
pub use traffic::TrafficCheck;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aiops_core::action::ReceiptRecord;
use aiops_core::model::{Anomaly, EntityId, Recovery, RecoveryReport, SignalCheck, TimeRange, time};
use aiops_core::seam::{TelemetrySource, Verifier};
use aiops_core::{Context, Result};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::read::Look;
use crate::config::require;

/// Settings of [`TelemetryVerifier`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VerifierConfig {
    /// Time after the action that is not judged, while it takes effect; default 30 s.
    #[serde(with = "aiops_core::model::duration")]
    pub settle: Duration,
    /// For how long the signals must be back; default 5 min.
    #[serde(with = "aiops_core::model::duration")]
    pub hold: Duration,
    /// When to give up, counted from the end of the action; default 15 min, longer than `settle` and `hold` together.
    #[serde(with = "aiops_core::model::duration")]
    pub deadline: Duration,
    /// Time between two reads; default 15 s.
    #[serde(with = "aiops_core::model::duration")]
    pub poll: Duration,
    /// How far from its baseline a signal may be, in σ of the baseline; default 3, more than 0.
    pub tolerance_sigma: f64,
    /// Share of the samples within `hold` that must be back, 0.5..=1; default 0.8. The newest one must be.
    pub share_back: f64,
    /// Fewest samples within `hold` to judge a signal by; default 3, at least 1.
    pub min_samples: usize,
    /// Share of the samples due within `hold` that must exist to judge a signal by, 0..=1; default 0.5.
    pub coverage: f64,
    /// A signal is silent when its newest sample is older than this many steps; default 2, at least 1.
    pub silent_after: u32,
    /// Time before the action within which the signals are looked at as well: if all of them were back then, it was over before the
    /// action began, and the action gets no credit. For a signal that is sampled seldom it is as long as `min_samples` of its samples take, and
    /// never further back than the last onset. Where too little was seen within it to tell, the report says so, and the recovery stands. Default
    /// 1 min; zero credits the action in any case.
    #[serde(with = "aiops_core::model::duration")]
    pub before: Duration,
    /// How to see that the target lives; without it liveness is not checked.
    pub liveness: Option<LivenessCheck>,
    /// How to see that traffic is served; without it traffic is not checked.
    pub traffic: Option<TrafficCheck>,
}

impl Default for VerifierConfig {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(30),
            hold: Duration::from_secs(300),
            deadline: Duration::from_secs(900),
            poll: Duration::from_secs(15),
            tolerance_sigma: 3.0,
            share_back: 0.8,
            min_samples: 3,
            coverage: 0.5,
            silent_after: 2,
            before: Duration::from_secs(60),
            liveness: None,
            traffic: None,
        }
    }
}

impl VerifierConfig {
    fn validate(&self) -> Result<()> {
        require(!self.hold.is_zero(), "hold", format!("{:?}", self.hold), "more than 0 s")?;
        require(!self.poll.is_zero(), "poll", format!("{:?}", self.poll), "more than 0 s")?;
        let enough = self.deadline > self.settle.saturating_add(self.hold);
        require(enough, "deadline", format!("{:?}", self.deadline), "longer than settle + hold")?;
        let tolerance = self.tolerance_sigma;
        require(tolerance.is_finite() && tolerance > 0.0, "tolerance_sigma", tolerance, "more than 0")?;
        require((0.5..=1.0).contains(&self.share_back), "share_back", self.share_back, "0.5..=1")?;
        require(self.min_samples >= 1, "min_samples", self.min_samples, "1 or more")?;
        require((0.0..=1.0).contains(&self.coverage), "coverage", self.coverage, "0..=1")?;
        require(self.silent_after >= 1, "silent_after", self.silent_after, "1 or more")?;
        self.liveness.as_ref().map_or(Ok(()), LivenessCheck::validate)?;
        self.traffic.as_ref().map_or(Ok(()), TrafficCheck::validate)
    }
}

/// Re-reads what detected the incident until it is back at its old baseline, and the target lives and serves.
///
/// Signals are held against the baseline of the finding, not against what a detector has learned since, so a bad
/// level that lasts does not become normal. Only the direction in which a signal left counts: a latency that is
/// better than before is no reason for doubt. What was over before the action began is inconclusive: it was not the action. Where
/// the action followed the onset faster than the signals are sampled that cannot be told, and the check *attribution* says so. Each
/// read looks at the last [`hold`](VerifierConfig::hold), and only at time after the action and
/// [`settle`](VerifierConfig::settle). What cannot be read, or fell silent, is inconclusive, and so
/// is an incident of which no signal was detected: a living target alone proves nothing.
#[derive(Debug)]
pub struct TelemetryVerifier {
    source: Arc<dyn TelemetrySource>,
    config: VerifierConfig,
}

impl TelemetryVerifier {
    /// Verifies through `source`, which should not be the mitigator's own word.
    ///
    /// # Errors
    /// When a field is out of range.
    pub fn new(source: impl TelemetrySource, config: VerifierConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self { source: Arc::new(source), config })
    }

    async fn look(
        &self,
        receipt: &ReceiptRecord,
        detected: &[Anomaly],
        now: Timestamp,
        last: Timestamp,
        ctx: &Context,
    ) -> Result<RecoveryReport> {
        let look = Look {
            source: &*self.source,
            range: TimeRange::ending_at(now, self.config.hold),
            limited: ctx.with_timeout(time::elapsed(now, last).max(self.config.poll)),
            silent_after: self.config.silent_after,
        };
        let target = &receipt.action.target;
        let mut checks = signals::check(&look, detected, &self.config, ctx).await?;
        if detected.is_empty() {
            let why = "no signal was detected that could be read again".to_owned();
            checks.push(check(target, "symptoms", Recovery::Inconclusive, why));
        }
        if let Some(liveness) = &self.config.liveness {
            checks.extend(liveness.check(&look, target, detected, ctx).await?);
        }
        if let Some(traffic) = &self.config.traffic {
            checks.extend(traffic.check(&look, target, detected, ctx).await?);
        }
        Ok(RecoveryReport::from_checks(ctx.now(), checks))
    }
}

impl TelemetryVerifier {
    /// `report`, unless every signal was back before the action began; with a word where that cannot be told.
    async fn attribute(
        &self,
        report: RecoveryReport,
        receipt: &ReceiptRecord,
        detected: &[Anomaly],
        last: Timestamp,
        ctx: &Context,
    ) -> Result<RecoveryReport> {
        if self.config.before.is_zero() {
            return Ok(report);
        }
        let was = self.look_before(receipt, detected, last, ctx).await?;
        let any = |r: Recovery| was.iter().any(|signal| signal.recovery == r);
        if any(Recovery::NotRecovered) {
            return Ok(report);
        }
        let (recovery, detail) = if any(Recovery::Inconclusive) {
            let why = "unknown: too little was seen before the action to tell whether it was over by then";
            (Recovery::Recovered, why)
        } else {
            (Recovery::Inconclusive, "every signal was back before the action began")
        };
        let mut checks = report.checks;
        checks.push(check(&receipt.action.target, "attribution", recovery, detail.to_owned()));
        Ok(RecoveryReport::from_checks(ctx.now(), checks))
    }

    /// The signals as they were right before the action, each over as long as it takes to see enough of it.
    async fn look_before(
        &self,
        receipt: &ReceiptRecord,
        detected: &[Anomaly],
        last: Timestamp,
        ctx: &Context,
    ) -> Result<Vec<SignalCheck>> {
        // From the last onset at the earliest: before it all was well, and that proves nothing.
        let onset = detected.iter().map(|a| a.onset).max();
        let age = onset.map_or(Duration::ZERO, |onset| time::elapsed(onset, receipt.started_at));
        let samples = u32::try_from(self.config.min_samples).unwrap_or(u32::MAX);
        let mut by_length: BTreeMap<Duration, Vec<Anomaly>> = BTreeMap::new();
        for anomaly in detected {
            let enough = anomaly.reread.step.saturating_mul(samples);
            by_length.entry(self.config.before.max(enough).min(age)).or_default().push(anomaly.clone());
        }
        let mut was = Vec::with_capacity(detected.len());
        for (length, anomalies) in by_length {
            if length.is_zero() {
                let unseen = "the action began with the onset".to_owned();
                was.push(check(&receipt.action.target, "attribution", Recovery::Inconclusive, unseen));
                continue;
            }
            let look = Look {
                source: &*self.source,
                range: TimeRange::ending_at(receipt.started_at, length),
                limited: ctx.with_timeout(time::elapsed(ctx.now(), last).max(self.config.poll)),
                silent_after: self.config.silent_after,
            };
            was.extend(signals::check(&look, &anomalies, &self.config, ctx).await?);
        }
        Ok(was)
    }
}

#[async_trait]
impl Verifier for TelemetryVerifier {
    async fn verify(
        &self,
        receipt: &ReceiptRecord,
        detected: &[Anomaly],
        ctx: &Context,
    ) -> Result<RecoveryReport> {
        let first = time::after(receipt.finished_at, self.config.settle.saturating_add(self.config.hold));
        let last = time::after(receipt.finished_at, self.config.deadline);
        loop {
            ctx.check()?;
            let now = ctx.now();
            // Asked anew each time: a clock that was set back must not let a look reach to before the action.
            if now < first {
                ctx.sleep(time::elapsed(now, first)).await?;
                continue;
            }
            let report = self.look(receipt, detected, now, last, ctx).await?;
            tracing::debug!(recovery = ?report.recovery, "verifying");
            let left = time::elapsed(ctx.now(), last);
            if report.recovery == Recovery::Recovered {
                return self.attribute(report, receipt, detected, last, ctx).await;
            }
            if left.is_zero() {
                return Ok(report);
            }
            ctx.sleep(self.config.poll.min(left)).await?;
        }
    }
}

fn check(entity: &EntityId, what: impl Into<String>, recovery: Recovery, detail: String) -> SignalCheck {
    SignalCheck { entity: entity.clone(), what: what.into(), recovery, detail }
}
