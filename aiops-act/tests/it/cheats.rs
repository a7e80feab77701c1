//! Eight ways to make an incident look over, each beside its honest twin. No cheat is scored as a recovery; every twin is.

use Recovery::{Inconclusive, NotRecovered, Recovered};
use aiops_act::{LivenessCheck, TelemetryVerifier, TrafficCheck, VerifierConfig};
use aiops_core::action::{IncidentId, Mode};
use aiops_core::model::{
    Alert, Anomaly, FetchRequest, MetricKind, Recovery, SeriesKey, Severity, TelemetryWindow,
};
use aiops_core::seam::{SourceCapability, TelemetrySource, Verifier};
use aiops_core::{Case, Context, Result};
use async_trait::async_trait;
use futures_lite::future::block_on;

use crate::feed::{BAD, Feed, GOOD, context, receipt, slow, slow_on};
use crate::support::{at, orders, secs, start};

/// Everything the verifier can look at.
fn watchful() -> VerifierConfig {
    let liveness = LivenessCheck {
        desired: "desired".into(),
        ready: "ready".into(),
        restarts: Some("restarts".into()),
        service_label: "service".into(),
    };
    let traffic = TrafficCheck {
        requests: "requests".into(),
        service_label: "service".into(),
        min_share: 0.5,
        reference: secs(600),
    };
    VerifierConfig { liveness: Some(liveness), traffic: Some(traffic), ..VerifierConfig::default() }
}

fn said(source: impl TelemetrySource, detected: &[Anomaly]) -> Recovery {
    let verifier = TelemetryVerifier::new(source, watchful()).unwrap();
    block_on(verifier.verify(&receipt(), detected, &context())).unwrap().recovery
}

fn of(name: &str) -> SeriesKey {
    SeriesKey::new(name).with("service", "orders")
}

/// What a series shows at a time in seconds after the action, where it is not what it always is.
type Level = fn(i64) -> Option<f64>;

const TWO: Level = |_| Some(2.0);
const NONE: Level = |_| Some(0.0);
const SERVED: Level = |_| Some(100.0);

/// Latency after the action, copies wanted and ready, restarts, requests served.
fn world(latency: Level, desired: Level, ready: Level, restarts: Level, requests: Level) -> Feed {
    Feed::latency(move |t, _| latency(t))
        .with(of("desired"), orders(), move |t, _| desired(t))
        .with(of("ready"), orders(), move |t, _| ready(t))
        .with(of("restarts"), orders(), move |t, _| restarts(t))
        .with(of("requests"), orders(), move |t, _| requests(t))
}

/// What an honest remedy looks like.
fn honest() -> Feed {
    world(|_| GOOD, TWO, TWO, NONE, SERVED)
}

#[test]
fn an_honest_remedy_is_scored_as_one() {
    assert_eq!(said(honest(), &[slow()]), Recovered);
}

#[test]
fn deleting_the_workload() {
    let gone: Level = |t| if t < 0 { Some(2.0) } else { None };
    let unserved: Level = |t| if t < 0 { Some(100.0) } else { None };
    let quiet: Level = |t| if t < 0 { Some(0.0) } else { None };
    // Nobody is slow any more, because nobody is there.
    assert_eq!(said(world(|_| None, gone, gone, quiet, unserved), &[slow()]), NotRecovered);
    assert_eq!(said(world(|_| GOOD, gone, gone, quiet, unserved), &[slow()]), NotRecovered);
    // Deleted and made anew.
    let back: Level = |t| if (0..60).contains(&t) { None } else { Some(2.0) };
    let served: Level = |t| if (0..60).contains(&t) { None } else { Some(100.0) };
    assert_eq!(said(world(|_| GOOD, back, back, NONE, served), &[slow()]), Recovered);
}

#[test]
fn scaling_to_zero() {
    let zero: Level = |t| Some(if t < 0 { 2.0 } else { 0.0 });
    let unserved: Level = |t| Some(if t < 0 { 100.0 } else { 0.0 });
    assert_eq!(said(world(|_| GOOD, zero, zero, NONE, unserved), &[slow()]), NotRecovered);
    assert_eq!(
        said(world(|_| GOOD, zero, zero, NONE, SERVED), &[slow()]),
        NotRecovered,
        "whoever serves now"
    );
    let one: Level = |t| Some(if t < 0 { 2.0 } else { 1.0 });
    assert_eq!(said(world(|_| GOOD, one, one, NONE, SERVED), &[slow()]), Recovered, "fewer is not none");
}

#[test]
fn restarting_over_and_over() {
    let looping: Level = |t| Some(if t % 60 == 0 { 0.1 } else { 0.0 });
    assert_eq!(said(world(|_| GOOD, TWO, TWO, looping, SERVED), &[slow()]), NotRecovered);
    let once: Level = |t| Some(if (0..30).contains(&t) { 0.1 } else { 0.0 });
    assert_eq!(said(world(|_| GOOD, TWO, TWO, once, SERVED), &[slow()]), Recovered);
}

/// Telemetry with an alert on it while the latency is bad, unless somebody silenced it.
#[derive(Debug)]
struct Alerting {
    feed: Feed,
    silenced: bool,
    bad: bool,
}

#[async_trait]
impl TelemetrySource for Alerting {
    fn capability(&self) -> SourceCapability {
        self.feed.capability()
    }
    async fn fetch(&self, request: &FetchRequest, ctx: &Context) -> Result<TelemetryWindow> {
        let mut window = self.feed.fetch(request, ctx).await?;
        if self.bad && !self.silenced {
            window.alerts.push(Alert::new("SlowOrders", orders(), start(), Severity::Critical));
        }
        Ok(window)
    }
}

#[test]
fn silencing_the_alert() {
    let bad = || world(|_| BAD, TWO, TWO, NONE, SERVED);
    for silenced in [true, false] {
        assert_eq!(said(Alerting { feed: bad(), silenced, bad: true }, &[slow()]), NotRecovered);
    }
    assert_eq!(said(Alerting { feed: honest(), silenced: true, bad: false }, &[slow()]), Recovered);
}

#[test]
fn dropping_the_metric() {
    let dropped = world(|_| None, TWO, TWO, NONE, SERVED);
    assert_eq!(said(dropped, &[slow()]), Inconclusive);
    let renamed = world(|_| None, TWO, TWO, NONE, SERVED).with(
        SeriesKey::new("latency_v2").with("service", "orders"),
        orders(),
        |_, _| GOOD,
    );
    assert_eq!(said(renamed, &[slow()]), Inconclusive);
    let missing_for_a_minute: Level = |t| if (60..120).contains(&t) { None } else { GOOD };
    assert_eq!(said(world(missing_for_a_minute, TWO, TWO, NONE, SERVED), &[slow()]), Recovered);
}

#[test]
fn resetting_the_counter() {
    let errors = SeriesKey::new("errors").with("service", "orders");
    let mut many = slow_on(errors.clone(), orders());
    many.value = 900.0;
    let fell: Level = |t| Some(if t < 0 { 900.0 } else { 0.0 });
    let with =
        |level: Level, kind| honest().with(errors.clone(), orders(), move |t, _| level(t)).of_kind(kind);
    assert_eq!(said(with(fell, MetricKind::Counter), &[many.clone()]), Inconclusive, "a total does not fall");
    // Reset again and again, so that it never grows.
    let sawtooth: Level = |t| {
        Some(if t < 0 {
            900.0
        } else if t % 30 == 0 {
            0.04
        } else {
            0.0
        })
    };
    assert_eq!(said(with(sawtooth, MetricKind::Counter), &[many.clone()]), Inconclusive);
    assert_eq!(said(with(fell, MetricKind::Rate), &[many]), Recovered, "errors a second may well stop");
}

#[test]
fn widening_the_threshold() {
    let mut wide = slow();
    wide.baseline.scale = 10.0;
    let mut case = Case::open(IncidentId::new("inc"), start(), Mode::Auto);
    case.detect(at(-60), vec![slow()]);
    case.detect(at(60), vec![wide.clone()]);
    let lasting = || world(|_| BAD, TWO, TWO, NONE, SERVED);
    let credulous =
        TelemetryVerifier::new(lasting(), VerifierConfig { before: secs(0), ..watchful() }).unwrap();
    let report = block_on(credulous.verify(&receipt(), std::slice::from_ref(&wide), &context())).unwrap();
    assert_eq!(report.recovery, Recovered, "by the wide threshold all is well");
    assert_eq!(said(lasting(), &[wide]), Inconclusive, "and always was");
    assert_eq!(said(lasting(), &case.detected()), NotRecovered, "a case holds to the one that found it");
    assert_eq!(said(honest(), &case.detected()), Recovered);
    for widened in [f64::INFINITY, f64::NAN, 0.0] {
        let config = VerifierConfig { tolerance_sigma: widened, ..watchful() };
        assert!(TelemetryVerifier::new(Feed::new(), config).is_err(), "{widened}");
    }
}

#[test]
fn healing_by_itself_before_the_action() {
    let at_peace = |since: i64| {
        Feed::new()
            .with(
                crate::feed::latency(),
                orders(),
                move |t, _| if (-120..since).contains(&t) { BAD } else { GOOD },
            )
            .with(of("desired"), orders(), |t, _| TWO(t))
            .with(of("ready"), orders(), |t, _| TWO(t))
            .with(of("restarts"), orders(), |t, _| NONE(t))
            .with(of("requests"), orders(), |t, _| SERVED(t))
    };
    let verifier = TelemetryVerifier::new(at_peace(-90), watchful()).unwrap();
    let report = block_on(verifier.verify(&receipt(), &[slow()], &context())).unwrap();
    assert_eq!(report.recovery, Inconclusive, "attributed to no one: {report:?}");
    assert!(report.checks.iter().any(|c| c.what == "attribution"), "and it says so: {report:?}");
    assert_eq!(said(at_peace(0), &[slow()]), Recovered, "back with the action");
    assert_eq!(said(at_peace(-20), &[slow()]), Recovered, "a single good sample before it proves nothing");
    // One of two symptoms was back: the other one is what the action remedied.
    let other = SeriesKey::new("errors").with("service", "orders");
    let half =
        at_peace(-90).with(other.clone(), orders(), |t, _| if (-120..0).contains(&t) { BAD } else { GOOD });
    assert_eq!(said(half, &[slow(), slow_on(other, orders())]), Recovered);
    // Acted on at once: that all was well before it began proves nothing.
    let mut sudden = slow();
    sudden.onset = at(-20);
    assert_eq!(said(at_peace(-120), &[sudden]), Recovered);
    // By whom cannot be told then, and it says so.
    let verifier = TelemetryVerifier::new(at_peace(-120), watchful()).unwrap();
    let mut sudden = slow();
    sudden.onset = at(-20);
    let report = block_on(verifier.verify(&receipt(), &[sudden], &context())).unwrap();
    let attribution = report.checks.iter().find(|c| c.what == "attribution").unwrap();
    assert!(attribution.detail.starts_with("unknown"), "{report:?}");
    let credited = VerifierConfig { before: secs(0), ..watchful() };
    let verifier = TelemetryVerifier::new(at_peace(-90), credited).unwrap();
    assert_eq!(block_on(verifier.verify(&receipt(), &[slow()], &context())).unwrap().recovery, Recovered);
}

/// A sample a minute: three of them do not fit into the minute before the action.
#[test]
fn healing_by_itself_between_samples_that_are_far_apart() {
    let said = |since: i64, onset: i64| {
        let bad = move |t: i64| (onset..since).contains(&t);
        let feed = Feed::new()
            .with(crate::feed::latency(), orders(), move |t, _| if bad(t) { BAD } else { GOOD })
            .with(of("desired"), orders(), |t, _| TWO(t))
            .with(of("ready"), orders(), |t, _| TWO(t))
            .with(of("restarts"), orders(), |t, _| NONE(t))
            .with(of("requests"), orders(), |t, _| SERVED(t));
        let mut symptom = slow();
        (symptom.onset, symptom.reread.step) = (at(onset), secs(60));
        let verifier = TelemetryVerifier::new(feed, watchful()).unwrap();
        let report = block_on(verifier.verify(&receipt(), &[symptom], &context())).unwrap();
        let attribution = report.checks.into_iter().find(|c| c.what == "attribution");
        (report.recovery, attribution.map(|c| c.detail))
    };
    let (recovery, attribution) = said(-300, -600);
    assert_eq!(recovery, Inconclusive, "it was over five minutes before the action");
    assert_eq!(attribution.as_deref(), Some("every signal was back before the action began"));
    assert_eq!(said(0, -600), (Recovered, None), "back with the action");
    // Acted on within less than three samples: nobody can tell, and nobody says he can.
    let (recovery, attribution) = said(-90, -120);
    assert_eq!(recovery, Recovered);
    assert!(attribution.unwrap().starts_with("unknown"));
}
