//! One small incident: `orders` calls `store`; `store` got a bad configuration, its latency rose, `orders` failed.
//!
//! Everything is fixed, so two calls give equal values.

use std::sync::Arc;
use std::time::Duration;

use aiops_core::action::{
    Action, ActionOutcome, ApprovalRequest, BlastRadius, IncidentId, IntentRecord, Mode, Operation, Preview, Principal,
    Proposal, ProposalId, ReceiptRecord, Share, TargetState, Verdict,
};
use aiops_core::fake::{FixedGuard, InMemoryJournal, InMemoryMitigator, SimulatedWorkload};
use aiops_core::guard::{ChainConfig, GuardChain, Intended, Receipt};
use aiops_core::jiff::Timestamp;
use aiops_core::model::{
    Alert, Anomaly, Baseline, Change, ChangeKind, Confidence, DetectorId, Diagnosis, EdgeKind, EntityId, FaultType,
    FetchRequest, FittedHash, Hypothesis, LogRecord, MetricSeries, Ranking, Revision, Selector, SeriesKey, Severity,
    Shape, Signal, SignalSet, Span, SpanId, Suspect, TelemetryWindow, TimeAxis, TimeRange, TraceId, time,
};
use aiops_core::seam::{Journal, Mitigator};
use aiops_core::{Case, CasePart, Context, Error, ErrorKind, ManualClock, Result};

const STEP: Duration = Duration::from_secs(15);
const STEPS: usize = 40;
/// Step at which the store went bad.
const ONSET: usize = 30;

/// The instant at which the window ends and the incident is opened.
#[must_use]
pub fn now() -> Timestamp {
    time::after(Timestamp::UNIX_EPOCH, Duration::from_secs(1_767_225_600))
}

/// A context on a leaping clock that stands at [`now`].
#[must_use]
pub fn context() -> Context {
    Context::new(Arc::new(ManualClock::leaping(now())))
}

/// The ten minutes that [`window`] covers.
#[must_use]
pub fn range() -> TimeRange {
    TimeRange::ending_at(now(), STEP * 40)
}

/// Ten minutes of the day before, in which nothing was recorded.
#[must_use]
pub fn quiet_range() -> TimeRange {
    TimeRange::ending_at(time::before(now(), Duration::from_secs(86_400)), STEP * 40)
}

/// The service where the trouble began.
#[must_use]
pub fn store() -> EntityId {
    EntityId::service("store")
}

/// The service that suffered.
#[must_use]
pub fn orders() -> EntityId {
    EntityId::service("orders")
}

fn at(step: usize) -> Timestamp {
    time::after(range().start(), STEP * u32::try_from(step).unwrap_or(u32::MAX))
}

fn series(name: &str, route: &str, entity: EntityId, base: f64, peak: f64) -> Option<MetricSeries> {
    let axis = TimeAxis::regular(range().start(), STEP, STEPS).ok()?;
    let ripple = |i: usize| [0.0, 0.4, -0.2, -0.4, 0.2].into_iter().cycle().nth(i).unwrap_or(0.0);
    // One scrape was missed; a gap is not a zero.
    let sample = |i: usize| (i != 7).then(|| if i < ONSET { base + ripple(i) } else { peak + ripple(i) });
    MetricSeries::new(SeriesKey::new(name).with("route", route), entity, axis, (0..STEPS).map(sample)).ok()
}

/// Telemetry of every kind over [`range`].
#[must_use]
pub fn window() -> TelemetryWindow {
    let mut window = TelemetryWindow::new(range());
    window.metrics.extend(series("latency", "/put", store(), 20.0, 90.0));
    window.metrics.extend(series("errors", "/buy", orders(), 1.0, 30.0));
    window.metrics.extend(series("latency", "/buy", orders(), 40.0, 40.0));
    window.logs.push(LogRecord::new(at(10), orders(), "checkout of alice@example.com done"));
    window.logs.push(LogRecord::new(at(31), store(), "pool exhausted"));
    for (i, step) in [12, 33].into_iter().enumerate() {
        let id = i as u64 + 1;
        window.spans.push(Span::new(TraceId(u128::from(id)), SpanId(id), orders(), "POST /buy", at(step), STEP));
    }
    let revision = Revision::new(Some("r1".to_owned()), "r2");
    let rollout = Change::new("c1", at(28), ChangeKind::ConfigRollout, store(), "pool size 50 to 5");
    window.changes.push(rollout.with_revision(revision));
    window.changes.push(Change::new("c2", at(35), ChangeKind::Scaling, orders(), "3 to 4 copies"));
    window.alerts.push(Alert::new("HighErrorRate", orders(), at(32), Severity::Critical));
    window.topology.connect(orders(), store(), EdgeKind::Calls);
    window.observed = SignalSet::all();
    window.sort();
    window
}

/// What a detector finds in [`window`]: a level shift of both services.
#[must_use]
pub fn anomalies() -> Vec<Anomaly> {
    let found = |entity: EntityId, name: &str, route: &str, center: f64, value: f64| {
        let key = SeriesKey::new(name).with("route", route);
        let selector = Selector::all().with_entity(entity.clone()).with_metric(name);
        let reread = FetchRequest::new(range()).with_signals(Signal::Metrics.into()).with_selector(selector);
        let (id, fitted) = (DetectorId("scripted".to_owned()), FittedHash::of(b"scripted"));
        let baseline = Baseline { center, scale: 0.5, samples: ONSET };
        Anomaly::new(id, fitted, entity, key, Shape::LevelShiftUp, at(ONSET), value, baseline, reread)
    };
    vec![found(orders(), "errors", "/buy", 1.0, 30.0), found(store(), "latency", "/put", 20.0, 90.0)]
}

/// The incident, observed and detected.
#[must_use]
pub fn case() -> Case {
    let mut case = Case::open(IncidentId::new("incident-1"), now(), Mode::Auto);
    case.observe(now(), window());
    case.detect(now(), anomalies());
    case
}

/// The incident, diagnosed as well: the store's configuration.
///
/// # Errors
/// Never for these values.
pub fn diagnosed_case() -> Result<Case> {
    let mut case = case();
    case.push(now(), CasePart::Localized(ranking(&case)));
    case.push(now(), CasePart::Diagnosed(diagnosis(&case)?));
    Ok(case)
}

/// The same after [`action`] was run and did not help.
///
/// # Errors
/// Never for these values.
pub fn tried_case() -> Result<Case> {
    let mut case = diagnosed_case()?;
    case.act(receipt()?);
    Ok(case)
}

/// A case in which nothing was observed.
#[must_use]
pub fn dark_case() -> Case {
    Case::open(IncidentId::new("incident-0"), now(), Mode::Auto)
}

/// The suspects of [`case`], the store first.
#[must_use]
pub fn ranking(case: &Case) -> Ranking {
    let suspects = case.anomalies().iter().map(|cited| {
        let score = if cited.anomaly.entity == store() { 2.0 } else { 1.0 };
        let mut suspect = Suspect::new(cited.anomaly.entity.clone(), score);
        suspect.evidence.push(cited.id.clone());
        suspect.path.push(cited.anomaly.entity.clone());
        suspect
    });
    Ranking::new(suspects.collect())
}

/// The cause of [`case`]: the roll-out, and as a second guess the load.
///
/// # Errors
/// Never for these values.
pub fn diagnosis(case: &Case) -> Result<Diagnosis> {
    let cited: Vec<_> = case.evidence().iter().map(|e| e.id.clone()).collect();
    let sure = Confidence::calibrated(0.9, "sample")?;
    let mut first = Hypothesis::new(store(), FaultType::Config, "the pool is too small", sure, cited);
    first.change = case.changes().first().map(|c| c.change.id.clone());
    let guess = Confidence::uncalibrated(0.2)?;
    let second = Hypothesis::new(store(), FaultType::Load, "more load", guess, Vec::new());
    Ok(Diagnosis::new(vec![first, second]))
}

/// A rolling restart of `target`: low risk, and harmless to repeat.
///
/// # Errors
/// Never for these values.
pub fn restart(target: EntityId) -> Result<Action> {
    let radius = BlastRadius { replicas: 1, share_of_fleet: Share::new(0.25)? };
    Ok(Action::new(Operation::RollingRestart { max_unavailable: 1, max_surge: 0 }, target, radius))
}

/// The remedy: a rolling restart of the store.
///
/// # Errors
/// Never for these values.
pub fn action() -> Result<Action> {
    restart(store())
}

/// A proposal of `action` under `id`, for [`case`], with a calibrated confidence.
///
/// # Errors
/// Never for these values.
pub fn proposal(id: &str, action: Action) -> Result<Proposal> {
    let sure = Confidence::calibrated(0.9, "sample")?;
    let (incident, planner) = (IncidentId::new("incident-1"), Principal::new("planner"));
    Ok(Proposal::new(ProposalId::new(id), incident, action, planner, sure, "the pool is exhausted"))
}

/// A target that exists, and a sentence.
#[must_use]
pub fn preview() -> Preview {
    Preview::new(TargetState::existing(), "would restart the store")
}

/// A request for approval of [`action`], written as a chain would.
///
/// # Errors
/// When the request does not read, which never happens for these values.
pub fn approval_request() -> Result<ApprovalRequest> {
    let json = serde_json::json!({
        "proposal": proposal("p1", action()?)?,
        "preview": preview(),
        "reasons": ["medium risk"],
        "expires_at": time::after(now(), Duration::from_secs(300)),
    });
    serde_json::from_value(json).map_err(|e| Error::new(ErrorKind::Internal, "a sample").caused_by(e))
}

/// A chain in auto mode with one guard, which has no objections.
///
/// # Errors
/// Never for these values.
pub fn chain(journal: impl Journal) -> Result<GuardChain> {
    let guard = FixedGuard::new("sample", Verdict::allow("a sample"));
    GuardChain::builder(journal).guard(guard).config(ChainConfig::in_mode(Mode::Auto)).build()
}

/// A mitigator that runs `targets`, three copies each at revision `r1`.
#[must_use]
pub fn workloads(targets: impl IntoIterator<Item = EntityId>) -> InMemoryMitigator {
    let add = |m: InMemoryMitigator, target| m.with(target, SimulatedWorkload::new(3, "r1"));
    targets.into_iter().fold(InMemoryMitigator::new(), add)
}

/// The right to run `proposal`, by [`chain`] and its journal.
///
/// # Errors
/// When it is denied or cannot be recorded.
pub async fn intended(
    proposal: Proposal,
    journal: impl Journal,
    mitigator: &dyn Mitigator,
    ctx: &Context,
) -> Result<Intended<Action>> {
    chain(journal)?.authorize(proposal, mitigator, ctx).await?.record(ctx).await
}

/// An intent to restart `target` under `id`, as it stands in a journal.
///
/// # Errors
/// Those of the clock's context only.
pub async fn intent(id: &str, target: EntityId, ctx: &Context) -> Result<IntentRecord> {
    let (journal, mitigator) = (InMemoryJournal::new(), workloads([target.clone()]));
    let intended = intended(proposal(id, restart(target)?)?, journal.clone(), &mitigator, ctx).await?;
    let history = journal.history(ctx).await?;
    let trace = history.get(intended.key()).cloned();
    trace.map(|t| t.intent).ok_or_else(|| Error::new(ErrorKind::Internal, "a sample has no intent"))
}

/// The record of [`action`], carried out.
///
/// # Errors
/// Never for these values.
pub fn receipt() -> Result<ReceiptRecord> {
    futures_lite::future::block_on(async {
        let ctx = context();
        let mitigator = workloads([store()]);
        let right = intended(proposal("p1", action()?)?, InMemoryJournal::new(), &mitigator, &ctx).await?;
        let (_, spent) = right.spend(&ctx)?;
        Ok(Receipt::new(spent, ActionOutcome::Completed, "sample").into_record())
    })
}
