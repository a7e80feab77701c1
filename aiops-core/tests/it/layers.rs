//! Layers: what they do to a call, and what a lost answer means.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aiops_core::action::*;
use aiops_core::fake::{FixedMask, InMemoryBus, InMemorySource, RecordingNotifier};
use aiops_core::layer::*;
use aiops_core::model::*;
use aiops_core::seam::{
    Event, EventBus, Mask, Mitigator, Notification, NotificationKind, Notifier, Offset, SourceCapability,
    TelemetrySource, Topic,
};
use aiops_core::{Cancellation, Clock, Context, Error, ErrorKind, ManualClock, Result};
use async_trait::async_trait;
use futures_lite::future::{block_on, poll_once};

use crate::world::*;

fn request() -> FetchRequest {
    FetchRequest::new(TimeRange::ending_at(start(), seconds(60)))
}

fn leaping() -> (ManualClock, Context) {
    let clock = ManualClock::leaping(start());
    (clock.clone(), Context::new(Arc::new(clock)))
}

/// Fails a number of times, then answers; counts the calls.
#[derive(Debug)]
struct Flaky {
    failures: u32,
    kind: ErrorKind,
    calls: AtomicU32,
}

impl Flaky {
    fn new(failures: u32, kind: ErrorKind) -> Self {
        Self { failures, kind, calls: AtomicU32::new(0) }
    }
}

#[async_trait]
impl TelemetrySource for Flaky {
    fn capability(&self) -> SourceCapability {
        SourceCapability::of(SignalSet::all())
    }
    async fn fetch(&self, request: &FetchRequest, _: &Context) -> Result<TelemetryWindow> {
        if self.calls.fetch_add(1, Ordering::SeqCst) < self.failures {
            return Err(Error::new(self.kind, "flaky"));
        }
        Ok(TelemetryWindow::new(request.range))
    }
}

#[derive(Debug)]
struct Never;

#[async_trait]
impl TelemetrySource for Never {
    fn capability(&self) -> SourceCapability {
        SourceCapability::of(SignalSet::all())
    }
    async fn fetch(&self, _: &FetchRequest, _: &Context) -> Result<TelemetryWindow> {
        std::future::pending().await
    }
}

#[test]
fn a_late_read_is_a_timeout() {
    let (clock, ctx) = leaping();
    let source = Never.layer(Timeout::after(seconds(5)).unwrap());
    let e = block_on(source.fetch(&request(), &ctx)).unwrap_err();
    assert_eq!((e.kind(), e.operation()), (ErrorKind::Timeout, Some("TelemetrySource::fetch")));
    assert_eq!(clock.now(), start() + seconds(5));
    assert!(Timeout::after(seconds(0)).is_err());
}

/// Executes, and then never answers.
#[derive(Debug)]
struct Mute(aiops_core::fake::InMemoryMitigator);

#[async_trait]
impl Mitigator for Mute {
    fn capability(&self) -> aiops_core::seam::MitigatorCapability {
        self.0.capability()
    }
    async fn preview(&self, action: &Action, ctx: &Context) -> Result<Preview> {
        self.0.preview(action, ctx).await
    }
    async fn execute(
        &self,
        action: aiops_core::guard::Intended<Action>,
        ctx: &Context,
    ) -> Result<aiops_core::guard::Receipt> {
        let _receipt = self.0.execute(action, ctx).await?;
        std::future::pending().await
    }
    async fn status(&self, _: &IdempotencyKey, _: &Context) -> Result<ActionStatus> {
        std::future::pending().await
    }
}

#[test]
fn a_late_act_is_in_doubt() {
    let mut world = World::new();
    world.ctx = leaping().1;
    let chain = world.chain(allow()).build().unwrap();
    let right = world.authorize(&chain, proposal()).unwrap();
    let right = block_on(right.record(&world.ctx)).unwrap();
    let key = right.key().clone();
    let mute = Mute(world.mitigator.clone()).layer(Timeout::after(seconds(5)).unwrap());
    let e = block_on(mute.execute(right, &world.ctx)).unwrap_err();
    assert_eq!((e.kind(), e.is_transient()), (ErrorKind::InDoubt, false));
    assert_eq!(world.mitigator.executed().len(), 1, "it did take place");
    let e = block_on(mute.status(&key, &world.ctx)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Timeout, "asking again is a read");
}

#[test]
fn retry_repeats_only_what_may_pass() {
    let (clock, ctx) = leaping();
    let fetch = |flaky| {
        let source = Flaky::layer(flaky, Retry::default());
        let answer = block_on(source.fetch(&request(), &ctx)).map(drop).map_err(|e| e.kind());
        (answer, source.inner().calls.load(Ordering::SeqCst))
    };
    assert_eq!(fetch(Flaky::new(2, ErrorKind::Unavailable)), (Ok(()), 3));
    assert_eq!(clock.now(), start() + std::time::Duration::from_millis(600), "200 ms, then 400 ms");
    assert_eq!(fetch(Flaky::new(9, ErrorKind::RateLimited)), (Err(ErrorKind::RateLimited), 3));
    for kind in [ErrorKind::Invalid, ErrorKind::Limit, ErrorKind::InDoubt, ErrorKind::Cancelled] {
        assert_eq!(fetch(Flaky::new(1, kind)), (Err(kind), 1));
    }
}

#[test]
fn retry_ends_with_the_context() {
    let (_, ctx) = leaping();
    let source = Flaky::new(9, ErrorKind::Unavailable).layer(Retry::default());
    ctx.cancellation().cancel();
    assert_eq!(block_on(source.fetch(&request(), &ctx)).unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(source.inner().calls.load(Ordering::SeqCst), 1);
    for attempts in [0, 21] {
        let mut config = RetryConfig::default();
        config.attempts = attempts;
        assert_eq!(Retry::new(config).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[test]
fn rate_limit_spaces_calls_out_after_a_burst() {
    let (clock, ctx) = leaping();
    let source = InMemorySource::new().layer(RateLimit::new(seconds(10), 2).unwrap());
    let when = || {
        block_on(source.fetch(&request(), &ctx)).unwrap();
        clock.now().duration_since(start()).as_secs()
    };
    assert_eq!([when(), when(), when(), when()], [0, 0, 10, 20]);
    clock.advance(seconds(100));
    assert_eq!([when(), when(), when()], [120, 120, 130]);
    // A clock that jumped far back must not hold everyone up until the old future.
    clock.set(start() - seconds(1_000_000));
    assert!(when() < -900_000);
    assert!(RateLimit::new(seconds(0), 1).is_err() && RateLimit::new(seconds(1), 0).is_err());
}

#[test]
fn rate_limit_lets_go_of_who_gives_up() {
    let clock = ManualClock::at(start());
    let ctx = Context::new(Arc::new(clock.clone()));
    let source = InMemorySource::new().layer(RateLimit::new(seconds(10), 1).unwrap());
    let (request, limited) = (request(), ctx.with_timeout(seconds(3)));
    block_on(async {
        source.fetch(&request, &ctx).await.unwrap();
        let mut waits = source.fetch(&request, &limited);
        assert!(poll_once(&mut waits).await.is_none());
        clock.advance(seconds(3));
        assert_eq!(waits.await.unwrap_err().kind(), ErrorKind::Timeout);
    });
}

fn chaos(set: impl FnOnce(&mut ChaosConfig)) -> Chaos {
    let mut config = ChaosConfig::calm(1).unwrap();
    set(&mut config);
    Chaos::new(config)
}

#[test]
fn chaos_refuses_before_and_loses_after_the_call() {
    let (_, ctx) = leaping();
    let always = Share::new(1.0).unwrap();
    let refuses = Flaky::new(0, ErrorKind::Internal).layer(chaos(|c| c.refuse = always));
    assert_eq!(block_on(refuses.fetch(&request(), &ctx)).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(refuses.inner().calls.load(Ordering::SeqCst), 0);
    let loses = Flaky::new(0, ErrorKind::Internal).layer(chaos(|c| c.lose_answer = always));
    assert_eq!(block_on(loses.fetch(&request(), &ctx)).unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(loses.inner().calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_call_that_chaos_delays_can_be_cancelled() {
    let always = Share::new(1.0).unwrap();
    let late = Flaky::new(0, ErrorKind::Internal).layer(chaos(|c| {
        (c.late, c.delay) = (always, seconds(3600));
    }));
    let stop = Cancellation::new();
    let ctx = Context::system().with_cancellation(stop.clone());
    stop.cancel();
    let error = block_on(late.fetch(&request(), &ctx)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(late.inner().calls.load(Ordering::SeqCst), 0, "it was never made");
}

#[test]
fn chaos_comes_again_with_its_seed() {
    let (_, ctx) = leaping();
    let run = |seed| {
        let half = Share::new(0.5).unwrap();
        let source = InMemorySource::new().layer(chaos(|c| (c.refuse, c.seed) = (half, seed)));
        (0..64).map(|_| block_on(source.fetch(&request(), &ctx)).is_ok()).collect::<Vec<_>>()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
    let answered = run(7).iter().filter(|ok| **ok).count();
    assert!((16..48).contains(&answered), "{answered} of 64 at one half");
}

#[test]
fn no_secret_passes_a_mask() {
    let (_, ctx) = leaping();
    let secret = "tok-123";
    let leak = || format!("with {secret} inside");
    let a = EntityId::service("a");
    let mut window = TelemetryWindow::new(request().range);
    let at = window.range.start();
    let mut log = LogRecord::new(at, a.clone(), leak());
    log.attributes.insert("token", leak());
    window.logs.push(log);
    let mut span = Span::new(TraceId(1), SpanId(1), a.clone(), leak(), at, seconds(1));
    span.attributes.insert("token", leak());
    window.spans.push(span);
    let mut change = Change::new("c1", at, ChangeKind::Deployment, a.clone(), leak()).with_author(leak());
    change.attributes.insert("token", leak());
    window.changes.push(change);
    let mut alert = Alert::new("A", a, at, Severity::Info);
    alert.annotations.insert("token", leak());
    window.alerts.push(alert);
    let source = InMemorySource::holding(window).masked(FixedMask(secret.to_owned()));
    let seen = block_on(source.fetch(&request(), &ctx)).unwrap();
    let text = serde_json::to_string(&seen).unwrap();
    assert!(!text.contains(secret), "{text}");
    assert_eq!(text.matches("with [masked] inside").count(), 8);

    let inbox = RecordingNotifier::default();
    let note = Notification::new(IncidentId::new("i1"), NotificationKind::Acted, leak(), leak());
    block_on(inbox.clone().masked(FixedMask(secret.to_owned())).notify(&note, &ctx)).unwrap();
    assert!(!format!("{:?}", inbox.sent()).contains(secret));

    let bus = InMemoryBus::with_capacity(9);
    let topic = Topic("t".to_owned());
    let payload = serde_json::json!({ "a": [leak(), { "b": leak() }], "n": 1 });
    let event = Event::new(at, "key", payload);
    block_on(bus.clone().masked(FixedMask(secret.to_owned())).publish(&topic, &event, &ctx)).unwrap();
    block_on(bus.publish(&topic, &event, &ctx)).unwrap();
    let masked = block_on(bus.read(&topic, Offset(0), 9, &ctx)).unwrap();
    assert_eq!(masked[0].event.payload["a"][1]["b"], "with [masked] inside");
    assert_eq!(masked[0].event.payload["n"], 1);
    let read = block_on(bus.masked(FixedMask(secret.to_owned())).read(&topic, Offset(0), 9, &ctx)).unwrap();
    assert_eq!((read.len(), read[0] == masked[0], &read[1].event), (2, true, &masked[0].event));
}

/// Masks values of settings named `password`, and nothing else.
#[derive(Debug)]
struct ByName;

impl Mask for ByName {
    fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let value = text.strip_prefix("password=\"").and_then(|rest| rest.strip_suffix('"'));
        value.map_or(Cow::Borrowed(text), |_| Cow::Owned("password=\"[x]\"".to_owned()))
    }
}

#[test]
fn the_name_of_an_attribute_may_say_that_it_is_secret() {
    let (_, ctx) = leaping();
    let mut window = TelemetryWindow::new(request().range);
    let mut log = LogRecord::new(window.range.start(), EntityId::service("a"), "login");
    log.attributes.insert("password", "hun \"ter\" 2");
    log.attributes.insert("user", "ann");
    window.logs.push(log);
    let source = InMemorySource::holding(window).masked(ByName);
    let seen = block_on(source.fetch(&request(), &ctx)).unwrap();
    let attributes = &seen.logs[0].attributes;
    assert_eq!((attributes.get("password"), attributes.get("user")), (Some("[x]"), Some("ann")));
}

#[test]
fn names_in_a_payload_tell_of_all_below_them() {
    let (now, ctx) = (request().range.start(), leaping().1);
    let bus = InMemoryBus::with_capacity(9);
    let topic = Topic("t".to_owned());
    let payload = serde_json::json!({
        "password": 12345678,
        "user": { "password": { "value": "hunter2", "n": 7, "old": ["a", { "b": ["c", null, true] }] }, "n": 7 },
        "list": [{ "password": "d" }, "e"],
    });
    block_on(bus.clone().masked(ByName).publish(&topic, &Event::new(now, "key", payload), &ctx)).unwrap();
    let masked = block_on(bus.read(&topic, Offset(0), 9, &ctx)).unwrap();
    let expected = serde_json::json!({
        "password": "[x]",
        "user": { "password": { "value": "[x]", "n": "[x]", "old": ["[x]", { "b": ["[x]", null, true] }] }, "n": 7 },
        "list": [{ "password": "[x]" }, "e"],
    });
    assert_eq!(masked[0].event.payload, expected);
    let again = block_on(bus.masked(ByName).read(&topic, Offset(0), 9, &ctx)).unwrap();
    assert_eq!(again[0].event.payload, expected);

    // A secret that happens to be a name does not make secrets of the values below it.
    let bus = InMemoryBus::with_capacity(9);
    let event = Event::new(now, "key", serde_json::json!({ "tok-123": { "a": "b", "n": 1 } }));
    let mask = FixedMask("tok-123".to_owned());
    block_on(bus.clone().masked(mask).publish(&topic, &event, &ctx)).unwrap();
    let masked = block_on(bus.read(&topic, Offset(0), 9, &ctx)).unwrap();
    assert_eq!(masked[0].event.payload["tok-123"], serde_json::json!({ "a": "b", "n": 1 }));
}

#[test]
fn the_fixed_mask_masks_once() {
    for secret in ["mask", "a", "[masked]", "]", "ed][m"] {
        let mask = FixedMask(secret.to_owned());
        for text in
            [format!("x {secret} y {secret}{secret}"), "[masked][masked]".to_owned(), "aaa".to_owned()]
        {
            let once = mask.mask(&text).into_owned();
            assert_eq!(mask.mask(&once), once, "{secret} in {text}");
        }
    }
}
