use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{
    Alert, Briefing, Change, Cut, EdgeKind, EntityId, EvidenceKind, LogRecord, MetricSeries, Severity,
    Signal, Span, TimeRange, TokenBudget, Topology, time,
};
use aiops_core::{Error, ErrorKind, Result};

use super::calls::call_evidence;
use super::digest::Digest;
use super::evidence::{Callers, weighed};
use super::intake::Intake;
use super::lines::line_evidence;
use super::measured::{Beside, Compared, metric_evidence};
use super::metrics::losses;
use super::tracks::Tracks;
use super::{Finding, WindowCompactor};
use crate::deviation::{References, recent_part};
use crate::logs::{LogMiner, TemplateId};

/// A window as it arrives: samples, spans and lines in any interleaving, in bounded memory; then its briefing. // CMP-06, CMP-07
///
/// Made by [`WindowCompactor::stream`]. The window's range is known beforehand, so that what arrives is held against the earlier
/// part, or against the baseline, as it comes.
///
/// # Memory
/// Series keep at most [`IntakeOptions::max_samples`](super::IntakeOptions::max_samples) samples each. Spans, and the lines
/// written in them, are held until their trace is idle for [`TraceOptions::idle_ms`](crate::traces::TraceOptions::idle_ms) by
/// the latest start of a span or instant of a line seen, or until too much is open; what stays are counts, sums and sketches by
/// operation, call type, path and template. All of it is bounded by the configuration, whatever the length of the window; after a
/// [`merge`](Self::merge) the counts of `n` shards are kept, at most `n` times as many. What a limit cost is said among the briefing's cuts.
///
/// # Order and shards
/// How modalities interleave and how a modality is cut into batches decides nothing, as long as every trace is complete within the
/// idle time. Shards that were cut between traces [`merge`](Self::merge) into what one stream over everything gives: exactly for
/// counts, sums and sketches, up to the rounding of sums for averaged samples, and up to the ids' order for log templates (see
/// [`LogMiner`]). Where a limit is reached, what comes first is kept, so that order and shards decide what is counted as lost.
///
/// ```
/// use aiops_compact::briefing::WindowCompactor;
/// use aiops_core::model::{EntityId, LogRecord, LogSeverity, TimeRange, TokenBudget};
///
/// let start: aiops_core::jiff::Timestamp = "2026-01-01T00:00:00Z".parse()?;
/// let at = |second: u64| start + std::time::Duration::from_secs(second);
/// let mut stream = WindowCompactor::default().stream(TimeRange::new(start, at(1000))?);
/// for second in 0..1000 {
///     stream.push_line(&LogRecord::new(at(second), EntityId::service("cart"), "request served"));
///     if second > 800 {
///         let line = LogRecord::new(at(second), EntityId::service("cart"), "pool exhausted");
///         stream.push_line(&line.with_severity(LogSeverity::Error));
///     }
/// }
/// let briefing = stream.finish(Vec::new(), TokenBudget(300))?;
/// let text = briefing.to_markdown();
/// assert!(text.contains("**service/cart**\n  - [l1] new error line, 0 → 199: pool exhausted"), "{text}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WindowStream {
    compactor: WindowCompactor,
    range: TimeRange,
    recent: TimeRange,
    tracks: Tracks,
    earlier: Intake,
    now: Intake,
    miner: LogMiner,
    /// What merged shards saw, earlier and now, with ids of this miner.
    merged: (Digest, Digest),
    evicted: u64,
    changes: BTreeMap<(Timestamp, String), Change>,
    alerts: BTreeMap<(Timestamp, String), Alert>,
    /// Caller and callee, as topologies tell.
    edges: BTreeSet<(EntityId, EntityId)>,
    lost_edges: u64,
    /// Latest instant seen, and when idle traces were closed last.
    latest: Option<Timestamp>,
    closed: Option<Timestamp>,
    /// Whether traces are held to the end: whoever has the whole window in memory loses nothing by it.
    hold: bool,
    spans: u64,
    lines: u64,
    outside_spans: u64,
    outside_lines: u64,
    lost_events: u64,
}

impl WindowStream {
    pub(super) fn new(compactor: WindowCompactor, range: TimeRange, hold: bool) -> Self {
        let config = &compactor.config;
        let miner = match &compactor.baseline {
            // Templates of the baseline may join while lines are mined.
            Some(baseline) => baseline.miner.clone(),
            None => LogMiner::new(config.miner.clone()),
        };
        Self {
            range,
            recent: recent_part(range, &config.deviation),
            tracks: Tracks::new(range, *config.intake.options()),
            earlier: Intake::new(config, hold),
            now: Intake::new(config, hold),
            miner,
            merged: (Digest::default(), Digest::default()),
            evicted: 0,
            changes: BTreeMap::new(),
            alerts: BTreeMap::new(),
            edges: BTreeSet::new(),
            lost_edges: 0,
            latest: None,
            closed: None,
            hold,
            spans: 0,
            lines: 0,
            outside_spans: 0,
            outside_lines: 0,
            lost_events: 0,
            compactor,
        }
    }

    /// The range it is about.
    #[must_use]
    pub fn range(&self) -> TimeRange {
        self.range
    }

    /// Adds a batch of samples of one series. Batches of a series may come in any order and of any size; kind and unit are
    /// those of its first.
    pub fn push_metrics(&mut self, series: &MetricSeries) {
        self.tracks.push(series);
    }

    /// Adds a span; the start says whether it is of the recent part.
    pub fn push_span(&mut self, span: &Span) {
        self.spans += 1;
        if !self.range.contains(span.start) {
            self.outside_spans += 1;
            return;
        }
        let intake = if self.recent.contains(span.start) {
            &mut self.now
        } else if self.compactor.baseline.is_none() {
            &mut self.earlier
        } else {
            // The baseline stands for what is earlier.
            return;
        };
        intake.push_span(span);
        // Its end is no news of time: a span that claims to be endless must not stop the closing of traces.
        self.pass(span.start);
    }

    /// Adds a log line. A line that names its span is told from other lines of the operation.
    pub fn push_line(&mut self, line: &LogRecord) {
        self.lines += 1;
        if !self.range.contains(line.time) {
            self.outside_lines += 1;
            return;
        }
        let intake = if self.recent.contains(line.time) {
            &mut self.now
        } else if self.compactor.baseline.is_none() {
            &mut self.earlier
        } else {
            return;
        };
        let template = self.miner.push(line.body.as_bytes());
        intake.push_line(line, template);
        self.pass(line.time);
    }

    /// Adds a change, which may be older than the range.
    pub fn push_change(&mut self, change: &Change) {
        self.changes.insert((change.time, change.id.to_string()), change.clone());
        if self.changes.len() > self.compactor.config.intake.options().max_events {
            self.changes.pop_first();
            self.lost_events += 1;
        }
    }

    /// Adds an alert.
    pub fn push_alert(&mut self, alert: &Alert) {
        let key = (alert.started_at, format!("{} {}", alert.entity, alert.name));
        self.alerts.insert(key, alert.clone());
        if self.alerts.len() > self.compactor.config.intake.options().max_events {
            self.alerts.pop_first();
            self.lost_events += 1;
        }
    }

    /// Adds who calls whom, beside what spans say.
    pub fn push_topology(&mut self, topology: &Topology) {
        for edge in topology.edges().filter(|edge| edge.kind == EdgeKind::Calls) {
            self.push_edge((edge.from.clone(), edge.to.clone()));
        }
    }

    fn push_edge(&mut self, edge: (EntityId, EntityId)) {
        let full = self.edges.len() >= self.compactor.config.intake.options().max_edges;
        if full && !self.edges.contains(&edge) {
            self.lost_edges += 1;
        } else {
            self.edges.insert(edge);
        }
    }

    /// Time passes: idle traces are closed, now and then.
    fn pass(&mut self, to: Timestamp) {
        // An instant beyond the range is no news of time.
        let to = to.min(self.range.end());
        if self.hold || self.latest.is_some_and(|latest| to <= latest) {
            return;
        }
        self.latest = Some(to);
        let idle = Duration::from_millis(self.compactor.config.traces.options().idle_ms);
        let closed = *self.closed.get_or_insert(to);
        if time::elapsed(closed, to) >= idle / 4 {
            self.closed = Some(to);
            self.earlier.close_idle(to, idle);
            self.now.close_idle(to, idle);
        }
    }

    /// Samples, slots, and spans and lines of open traces held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.tracks.held() + self.earlier.held() + self.now.held()
    }

    /// Adds what a shard saw of the same range.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when its range or configuration is another one, or when it does not share this one's baseline; nothing is
    /// added then.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        let same_baseline = match (&self.compactor.baseline, &other.compactor.baseline) {
            (None, None) => true,
            (Some(mine), Some(others)) => std::sync::Arc::ptr_eq(mine, others),
            _ => false,
        };
        if other.range != self.range
            || other.recent != self.recent
            || other.compactor.config != self.compactor.config
            || !same_baseline
        {
            return Err(Error::new(
                ErrorKind::Invalid,
                "streams of different ranges, settings or baselines cannot be joined",
            )
            .at("WindowStream::merge")
            .with("range", self.range)
            .with("other", other.range));
        }
        self.tracks.merge(other.tracks);
        self.evicted += other.evicted + other.earlier.evicted() + other.now.evicted();
        let mut theirs = other.miner;
        theirs.settle();
        let resolve = |id: TemplateId| theirs.resolve(id).unwrap_or(id);
        let parts = [(other.earlier, other.merged.0), (other.now, other.merged.1)].map(|(intake, merged)| {
            let mut digest = intake.finish();
            digest.merge(merged);
            digest.resolved(resolve)
        });
        let map: BTreeMap<TemplateId, TemplateId> = self.miner.merge(theirs).into_iter().collect();
        let translate = |id: TemplateId| map.get(&id).copied().unwrap_or(id);
        let [earlier, now] = parts.map(|digest| digest.resolved(translate));
        self.merged.0.merge(earlier);
        self.merged.1.merge(now);
        for change in other.changes.values() {
            self.push_change(change);
        }
        for alert in other.alerts.values() {
            self.push_alert(alert);
        }
        for edge in other.edges {
            self.push_edge(edge);
        }
        self.lost_edges += other.lost_edges;
        self.spans += other.spans;
        self.lines += other.lines;
        self.outside_spans += other.outside_spans;
        self.outside_lines += other.outside_lines;
        self.lost_events += other.lost_events;
        Ok(())
    }

    /// The briefing of everything that arrived; `others` are findings of modalities that are compacted elsewhere.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] when not even the stated loss fits `budget`.
    pub fn finish(self, others: Vec<Finding>, budget: TokenBudget) -> Result<Briefing> {
        let Self { compactor, range, recent, tracks, mut miner, merged, .. } = self;
        let evicted = self.evicted + self.earlier.evicted() + self.now.evicted();
        miner.settle();
        let resolve = |id: TemplateId| miner.resolve(id).unwrap_or(id);
        let whole = |intake: Intake, merged: Digest| {
            let mut digest = intake.finish();
            digest.merge(merged);
            digest.resolved(resolve)
        };
        let now = whole(self.now, merged.1);
        let before = match &compactor.baseline {
            Some(baseline) => baseline.digest.clone().resolved(resolve),
            None => whole(self.earlier, merged.0),
        };
        let (metrics, untaken) = tracks.finish();
        let config = &compactor.config;
        let options = config.weights.options();
        let none = References::new();
        let references = compactor.baseline.as_ref().map_or(&none, |baseline| &baseline.references);
        let compared = Compared::new(range, metrics);
        let report = compared.report(references, config);
        let calls = callers([&before, &now], &self.edges);
        let spans_tell: BTreeSet<_> = if before.work.is_empty() {
            BTreeSet::new()
        } else {
            now.work.keys().map(|(entity, _)| (**entity).clone()).collect()
        };
        let beside = Beside { range, references, recent, calls: &calls, spans_tell: &spans_tell };
        let mut evidence = metric_evidence(&compared, &report, &beside, options);
        evidence.extend(call_evidence(&before, &now, options));
        let text = |id| miner.template(id).map(|template| template.to_string());
        evidence.extend(line_evidence(&before, &now, options, text));
        let mut findings = weighed(evidence, &calls, options);
        findings.extend(others);
        let onset = onset(&findings);

        let mut cuts = losses(&report, &config.deviation);
        for (signal, kind, count) in [
            (Signal::Logs, EvidenceKind::Log, self.lines - self.outside_lines),
            (Signal::Traces, EvidenceKind::Trace, self.spans - self.outside_spans),
        ] {
            if !findings.iter().any(|finding| finding.kind == kind) {
                cuts.extend(cut(
                    &signal.to_string(),
                    count,
                    "nothing among them changed, or too few to tell",
                ));
            }
        }
        let limit = "beyond the limits of what is held";
        let dropped = [before.dropped, now.dropped];
        let sum = |of: fn(&super::digest::Dropped) -> u64| dropped.iter().map(of).sum::<u64>();
        for (what, count, why) in [
            ("samples", untaken.outside, "outside the range"),
            ("samples", untaken.crowded, limit),
            ("samples", untaken.repeated, "of an instant that had one"),
            ("samples", untaken.unusable, "not a number, infinite or too large"),
            ("series", untaken.averaged, "of many samples, averaged over slots of time"),
            ("spans", self.outside_spans, "outside the range"),
            ("lines", self.outside_lines, "outside the range"),
            ("spans and lines", sum(|d| d.entities), limit),
            ("lines", sum(|d| d.lines), limit),
            ("calls", sum(|d| d.links), limit),
            ("spans and lines", evicted, "of traces cut short, since too much was open"),
            ("changes and alerts", self.lost_events, limit),
            ("calls told by topologies", self.lost_edges, limit),
        ] {
            cuts.extend(cut(what, count, why));
        }
        findings.extend(self.alerts.values().map(of_alert));
        findings.extend(self.changes.values().map(|change| of_change(change, onset, config.change_lag)));
        compactor.builder.build(range, findings, cuts, budget)
    }
}

fn cut(what: &str, count: u64, why: &str) -> Option<Cut> {
    (count > 0).then(|| Cut::new(what, usize::try_from(count).unwrap_or(usize::MAX), why))
}

/// Who calls whom, by spans and as is known otherwise.
fn callers(digests: [&Digest; 2], edges: &BTreeSet<(EntityId, EntityId)>) -> Callers {
    let mut calls = Callers::default();
    for (from, to) in edges {
        calls.add(from, to);
    }
    for digest in digests {
        for (parent, children) in &digest.with_child {
            children.keys().for_each(|child| calls.add(&parent.0, &child.0));
        }
    }
    calls
}

/// When the trouble began: the onset of what is strongest, the earliest of equals.
fn onset(findings: &[Finding]) -> Option<Timestamp> {
    let strength = |finding: &Finding| finding.strength.map_or(f64::NEG_INFINITY, |strength| strength.value);
    let strongest =
        findings.iter().max_by(|a, b| strength(a).total_cmp(&strength(b)).then(b.onset.cmp(&a.onset)));
    strongest.map(|finding| finding.onset)
}

fn of_alert(alert: &Alert) -> Finding {
    let (score, severity) = match alert.severity {
        Severity::Info => (1.0, "info"),
        Severity::Warning => (2.0, "warning"),
        Severity::Critical => (3.0, "critical"),
    };
    let summary = format!("alert {} ({severity})", alert.name);
    Finding::new(alert.entity.clone(), EvidenceKind::Alert, alert.started_at, score, summary)
}

/// The closer before the onset, the likelier a change is its cause; what came after it is none, the later the less. Without an
/// onset the latest comes first.
fn of_change(change: &Change, onset: Option<Timestamp>, lag: Duration) -> Finding {
    let revision = change
        .revision
        .as_ref()
        .map(|revision| format!(" ({} → {})", revision.from.as_deref().unwrap_or("?"), revision.to));
    let summary = format!("change: {}{}", change.summary, revision.unwrap_or_default());
    let score = match onset.map(|onset| time::after(onset, lag)) {
        // Seconds up to the onset are below 10¹², the span of all instants.
        Some(latest) if change.time <= latest => 1e12 - time::elapsed(change.time, latest).as_secs_f64(),
        Some(latest) => -time::elapsed(latest, change.time).as_secs_f64(),
        None => change.time.as_second() as f64,
    };
    Finding::new(change.entity.clone(), EvidenceKind::Change, change.time, score, summary)
}
