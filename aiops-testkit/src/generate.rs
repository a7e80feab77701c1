//! `proptest` strategies for the model, with everything that real telemetry has: gaps, NaN, ±∞, hostile text, equal instants.
//!
//! ```
//! use aiops_testkit::generate;
//! use proptest::prelude::*;
//!
//! proptest!(|(series in generate::series())| {
//!     prop_assert_eq!(series.samples().count(), series.len());
//! });
//! ```

use std::time::Duration;

use aiops_core::action::{
    Action, ActionOutcome, BlastRadius, IdempotencyKey, IncidentId, IntentRecord, JournalEntry, Mode,
    Operation, Precondition, Principal, Proposal, ProposalId, Risk, RollbackPlan, Share,
};
use aiops_core::jiff::Timestamp;
use aiops_core::model::{
    Alert, Anomaly, Baseline, Change, ChangeKind, Confidence, DetectorId, EdgeKind, Entity, EntityId,
    EntityKind, FetchRequest, FittedHash, Labels, LogRecord, LogSeverity, MetricKind, MetricSeries, Recovery,
    Revision, Selector, SeriesKey, Severity, Shape, Signal, Span, SpanId, SpanStatus, TelemetryWindow,
    TimeAxis, TimeRange, Topology, TraceId, Unit, time,
};
use aiops_core::{Case, Context};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::sample;

/// Any float: ordinary ones mostly, and zero of both signs, subnormals, huge ones, NaN and ±∞.
pub fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => -1e6..1e6_f64,
        1 => any::<f64>(),
        1 => select(vec![0.0, -0.0, 5e-324, f64::MAX, f64::MIN, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ]
}

/// Text as it comes from outside: mostly words, and now and then anything.
pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![6 => "[a-z]{1,8}", 1 => any::<String>(), 1 => Just("\u{0}\u{1b}[2J\u{202e}\"\\\n".to_owned())]
}

/// A name that is not empty.
pub fn name() -> impl Strategy<Value = String> {
    prop_oneof![6 => "[a-z][a-z0-9_]{0,6}", 1 => "\\PC{1,8}", 1 => Just("a/b".to_owned())]
}

/// An instant between 1900 and 2200, to the nanosecond.
pub fn instant() -> impl Strategy<Value = Timestamp> {
    (-2_208_988_800_i64..7_258_118_400, 0..1_000_000_000_i32)
        .prop_map(|(s, ns)| Timestamp::new(s, ns).unwrap_or(Timestamp::UNIX_EPOCH))
}

/// A duration from 1 ns to about a month.
pub fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        3 => (1..3_600_u64).prop_map(Duration::from_secs),
        1 => (1..2_600_000_000_000_000_u64).prop_map(Duration::from_nanos),
    ]
}

/// A range of time, now and then empty.
pub fn time_range() -> impl Strategy<Value = TimeRange> {
    let length = prop_oneof![1 => Just(Duration::ZERO), 9 => duration()];
    (instant(), length).prop_map(|(end, length)| TimeRange::ending_at(end, length))
}

/// An entity of any kind.
pub fn entity_id() -> impl Strategy<Value = EntityId> {
    use EntityKind::{Container, Database, Host, Instance, Node, Pod, Service};
    let kind = select(vec![Service, Instance, Pod, Container, Node, Host, Database]);
    (kind, name()).prop_map(|(kind, name)| EntityId::new(kind, name))
}

/// Up to three labels.
pub fn labels() -> impl Strategy<Value = Labels> {
    btree_map(name(), text(), 0..4).prop_map(|pairs| pairs.into_iter().collect())
}

/// A key with labels.
pub fn series_key() -> impl Strategy<Value = SeriesKey> {
    (name(), labels()).prop_map(|(name, labels)| SeriesKey { name, labels })
}

/// An axis of up to 200 samples, regular or not.
pub fn axis() -> impl Strategy<Value = TimeAxis> {
    let regular = (instant(), duration(), 0..200_usize)
        .prop_filter_map("leaves time", |(start, step, len)| TimeAxis::regular(start, step, len).ok());
    let irregular = btree_set(instant(), 0..60)
        .prop_filter_map("never", |times| TimeAxis::irregular(times.into_iter().collect()).ok());
    prop_oneof![regular.boxed(), irregular.boxed()]
}

/// A series with gaps and with values that are no numbers.
pub fn series() -> impl Strategy<Value = MetricSeries> {
    use MetricKind::{Counter, Gauge, Quantile, Rate, Ratio};
    let kind = select(vec![Gauge, Counter, Rate, Quantile, Ratio]);
    (series_key(), entity_id(), axis(), kind, text())
        .prop_flat_map(|(key, entity, axis, kind, unit)| {
            let samples = vec(option::weighted(0.8, value()), axis.len());
            (Just((key, entity, axis, kind, unit)), samples)
        })
        .prop_filter_map("never", |((key, entity, axis, kind, unit), samples)| {
            let series = MetricSeries::new(key, entity, axis, samples).ok()?;
            Some(series.with_kind(kind).with_unit(Unit(unit)))
        })
}

/// A log line.
pub fn log_record() -> impl Strategy<Value = LogRecord> {
    use LogSeverity::{Debug, Error, Fatal, Info, Trace, Warn};
    let severity = option::of(select(vec![Trace, Debug, Info, Warn, Error, Fatal]));
    let ids = (option::of(any::<u128>()), option::of(any::<u64>()));
    (instant(), entity_id(), text(), severity, labels(), ids).prop_map(
        |(t, entity, body, severity, attributes, ids)| {
            let mut log = LogRecord::new(t, entity, body);
            (log.severity, log.attributes) = (severity, attributes);
            (log.trace_id, log.span_id) = (ids.0.map(TraceId), ids.1.map(SpanId));
            log
        },
    )
}

/// A span.
pub fn span() -> impl Strategy<Value = Span> {
    let ids = (any::<u128>(), any::<u64>(), option::of(any::<u64>()));
    let status = select(vec![SpanStatus::Unset, SpanStatus::Ok, SpanStatus::Error]);
    (ids, entity_id(), text(), instant(), duration(), status).prop_map(
        |(ids, entity, operation, start, length, status)| {
            let mut span = Span::new(TraceId(ids.0), SpanId(ids.1), entity, operation, start, length)
                .with_status(status);
            span.parent = ids.2.map(SpanId);
            span
        },
    )
}

/// A change.
pub fn change() -> impl Strategy<Value = Change> {
    use ChangeKind::{ConfigRollout, Deployment, FeatureFlag, Maintenance, Restart, Rollback, Scaling};
    let kinds = vec![Deployment, ConfigRollout, FeatureFlag, Scaling, Restart, Rollback, Maintenance];
    let revision = option::of((option::of(text()), text()));
    (name(), instant(), select(kinds), entity_id(), text(), revision, option::of(text())).prop_map(
        |(id, t, kind, entity, summary, revision, author)| {
            let mut change = Change::new(id, t, kind, entity, summary);
            change.revision = revision.map(|(from, to)| Revision::new(from, to));
            change.author = author;
            change
        },
    )
}

/// An alert.
pub fn alert() -> impl Strategy<Value = Alert> {
    let severity = select(vec![Severity::Info, Severity::Warning, Severity::Critical]);
    (name(), entity_id(), instant(), severity, labels()).prop_map(|(name, entity, t, severity, labels)| {
        let mut alert = Alert::new(name, entity, t, severity);
        alert.annotations = labels;
        alert
    })
}

/// Up to eight services with edges of every kind; cycles and self-loops included.
pub fn topology() -> impl Strategy<Value = Topology> {
    use EdgeKind::{Calls, DependsOn, PartOf, RunsOn};
    let kind = select(vec![Calls, Calls, DependsOn, RunsOn, PartOf]);
    let edges = vec((0..8_u8, 0..8_u8, kind), 0..30);
    edges.prop_map(|edges| {
        let mut topology = Topology::new();
        topology.insert(Entity::new(EntityId::service("s0")));
        for (from, to, kind) in edges {
            topology.connect(
                EntityId::service(format!("s{from}")),
                EntityId::service(format!("s{to}")),
                kind,
            );
        }
        topology
    })
}

/// A window with some of everything, in the documented order.
pub fn window() -> impl Strategy<Value = TelemetryWindow> {
    let signals = proptest::sample::subsequence(Signal::ALL.to_vec(), 0..=6);
    let records = (vec(log_record(), 0..4), vec(span(), 0..4), vec(change(), 0..4), vec(alert(), 0..4));
    (time_range(), vec(series(), 0..4), records, topology(), signals).prop_map(
        |(range, metrics, (logs, spans, changes, alerts), topology, signals)| {
            let mut window = TelemetryWindow::new(range);
            window.metrics = metrics;
            (window.logs, window.spans, window.changes, window.alerts) = (logs, spans, changes, alerts);
            window.topology = topology;
            window.observed = signals.into_iter().collect();
            window.sort();
            window
        },
    )
}

/// A finding.
pub fn anomaly() -> impl Strategy<Value = Anomaly> {
    let shape =
        select(vec![Shape::Spike, Shape::Dip, Shape::LevelShiftUp, Shape::SteadyIncrease, Shape::Vanished]);
    (entity_id(), series_key(), shape, time_range(), value(), value(), 1e-9..1e6_f64).prop_map(
        |(entity, key, shape, range, value, center, scale)| {
            let selector = Selector::all().with_entity(entity.clone()).with_metric(key.name.clone());
            let reread = FetchRequest::new(range).with_selector(selector);
            let baseline = Baseline { center, scale, samples: 30 };
            let (id, fitted) = (DetectorId("generated".to_owned()), FittedHash::of(b"generated"));
            Anomaly::new(id, fitted, entity, key, shape, range.start(), value, baseline, reread)
        },
    )
}

/// An operation of any kind.
pub fn operation() -> impl Strategy<Value = Operation> {
    let share = (0.0..=1.0_f64).prop_filter_map("never", |s| Share::new(s).ok());
    let pairs = btree_map(name(), text(), 0..3);
    prop_oneof![
        (0..4_u32, 0..4_u32).prop_map(|(max_unavailable, max_surge)| Operation::RollingRestart {
            max_unavailable,
            max_surge
        }),
        (0..20_u32).prop_map(|replicas| Operation::Scale { replicas }),
        text().prop_map(|to| Operation::Rollback { to }),
        share.prop_map(|to| Operation::Throttle { to }),
        any::<u32>().prop_map(|limit| Operation::Concurrency { limit }),
        (name(), pairs).prop_map(|(name, parameters)| Operation::Custom { name, parameters }),
        select(vec![
            Operation::Cordon,
            Operation::Drain,
            Operation::CachePurge,
            Operation::LogRotation,
            Operation::Stop
        ]),
    ]
}

/// An action of any kind, with and without a way back.
pub fn action() -> impl Strategy<Value = Action> {
    let rollback = prop_oneof![
        operation().prop_map(|o| RollbackPlan::Operation(Box::new(o))),
        text().prop_map(|reason| RollbackPlan::NotNeeded { reason }),
        Just(RollbackPlan::Impossible),
    ];
    let precondition = prop_oneof![
        (0..9_u32).prop_map(Precondition::ReadyReplicas),
        text().prop_map(Precondition::Revision),
        Just(Precondition::ReplicationHealthy),
    ];
    let share = (0.0..=1.0_f64).prop_filter_map("never", |s| Share::new(s).ok());
    let radius =
        (0..20_u32, share).prop_map(|(replicas, share_of_fleet)| BlastRadius { replicas, share_of_fleet });
    let risk = option::of(select(vec![Risk::Low, Risk::Medium, Risk::High]));
    (operation(), entity_id(), radius, rollback, option::of(precondition), duration(), risk).prop_map(
        |(operation, target, radius, rollback, precondition, cooldown, risk)| {
            let mut action =
                Action::new(operation, target, radius).with_rollback(rollback).with_cooldown(cooldown);
            action.preconditions.extend(precondition);
            action.raised_risk = risk;
            action
        },
    )
}

/// A probability, calibrated or not.
pub fn confidence() -> impl Strategy<Value = Confidence> {
    (0.0..=1.0_f64, option::of(name())).prop_filter_map("never", |(p, fit)| match fit {
        Some(fit) => Confidence::calibrated(p, fit).ok(),
        None => Confidence::uncalibrated(p).ok(),
    })
}

/// A proposal, a remedy or a revert.
pub fn proposal() -> impl Strategy<Value = Proposal> {
    (name(), name(), action(), name(), confidence(), text(), option::of(name())).prop_map(
        |(id, incident, action, by, confidence, reason, of)| {
            let (id, incident, by) = (ProposalId::new(id), IncidentId::new(incident), Principal::new(by));
            let proposal = Proposal::new(id, incident, action, by, confidence, reason);
            match of {
                Some(key) => proposal.reverting(IdempotencyKey::new(key)),
                None => proposal,
            }
        },
    )
}

/// A case with telemetry, findings and proposals.
pub fn case() -> impl Strategy<Value = Case> {
    let rounds = vec((window(), vec(anomaly(), 0..3), vec(proposal(), 0..2)), 0..3);
    let mode = select(vec![Mode::Observe, Mode::Suggest, Mode::Auto]);
    (name(), instant(), mode, rounds).prop_map(|(id, at, mode, rounds)| {
        let mut case = Case::open(IncidentId::new(id), at, mode);
        for (window, anomalies, proposals) in rounds {
            case.observe(at, window);
            case.detect(at, anomalies);
            case.push(at, aiops_core::CasePart::Planned(proposals));
        }
        case
    })
}

/// An intent to restart service `s{target}` under key `k{key}`.
fn intent(template: &IntentRecord, key: u8, target: u8, incident: u8) -> JournalEntry {
    let mut intent = template.clone();
    intent.key = IdempotencyKey::new(format!("k{key}"));
    intent.proposal.action.target = EntityId::service(format!("s{target}"));
    intent.proposal.incident = IncidentId::new(format!("i{incident}"));
    JournalEntry::Intent(Box::new(intent))
}

/// Up to 40 entries as hostile replicas might append them: few keys and targets, so that most rules are broken often.
pub fn journal_entries() -> impl Strategy<Value = Vec<JournalEntry>> {
    let ctx: Context = sample::context();
    let template = futures_lite::future::block_on(sample::intent("template", sample::store(), &ctx)).ok();
    let key = || (0..6_u8).prop_map(|k| IdempotencyKey::new(format!("k{k}")));
    let outcome = select(vec![
        ActionOutcome::Completed,
        ActionOutcome::Failed { reason: "broke".to_owned() },
        ActionOutcome::NotStarted { reason: "never".to_owned() },
    ]);
    let recovery = select(vec![Recovery::Recovered, Recovery::NotRecovered, Recovery::Inconclusive]);
    let at = sample::now();
    let intents = (0..6_u8, 0..3_u8, 0..2_u8).prop_filter_map("never", move |(key, target, incident)| {
        template.as_ref().map(|t| intent(t, key, target, incident))
    });
    let outcomes =
        (key(), outcome).prop_map(move |(key, outcome)| JournalEntry::Outcome { key, outcome, at });
    let verified =
        (key(), recovery).prop_map(move |(key, recovery)| JournalEntry::Verified { key, recovery, at });
    vec(prop_oneof![3 => intents, 3 => outcomes, 1 => verified], 0..40)
}

/// Instants around the ends of a range, where mistakes are made.
pub fn around(range: TimeRange) -> impl Strategy<Value = Timestamp> {
    let near = (0..4_u64, any::<bool>(), any::<bool>()).prop_map(move |(ns, at_end, before)| {
        let edge = if at_end { range.end() } else { range.start() };
        let by = Duration::from_nanos(ns);
        if before { time::before(edge, by) } else { time::after(edge, by) }
    });
    prop_oneof![near, instant()]
}
