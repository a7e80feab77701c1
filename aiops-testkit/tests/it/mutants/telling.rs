use std::borrow::Cow;
use std::sync::Mutex;
use std::thread::ThreadId;

use aiops_core::fake::{FixedMask, InMemoryBus};
use aiops_core::seam::{
    AuditEvent, AuditSink, Delivered, Event, EventBus, Mask, Notification, Notifier, Offset, Topic,
};
use aiops_core::{Context, ErrorKind, Result};
use aiops_testkit::conformance;
use async_trait::async_trait;
use futures_lite::future::block_on;

use super::{Fault, hunt, with};
use crate::fixtures as fx;

#[derive(Debug)]
struct Pager(Fault, &'static Mutex<Vec<Notification>>);

/// The suites want `'static`, so what the tests look at is leaked: a few vectors a run.
fn leaked<T: Default>() -> &'static T {
    Box::leak(Box::default())
}

#[async_trait]
impl Notifier for Pager {
    async fn notify(&self, notification: &Notification, ctx: &Context) -> Result<()> {
        let Self(fault, inbox) = self;
        fault.heed(ctx).check()?;
        let mut inbox = inbox.lock().unwrap();
        match fault.clause {
            "arrives" if notification.title == "orders is down" => {}
            "hostile_text" if notification.body.contains('\0') => {}
            "order" if notification.title == "two" => {
                let last = inbox.len() - 1;
                inbox.insert(last, notification.clone());
            }
            _ => inbox.push(notification.clone()),
        }
        Ok(())
    }
}

#[test]
fn notifier() {
    hunt(5, |clause| {
        let inbox: &'static Mutex<Vec<Notification>> = leaked();
        let arrived = || inbox.lock().unwrap().clone();
        let fixture = conformance::NotifierFixture::new(fx::ctx(), &arrived);
        block_on(conformance::notifier(&Pager(Fault::in_clause(clause), inbox), &fixture))
    });
}

#[derive(Debug)]
struct Ledger(Fault, &'static Mutex<Vec<AuditEvent>>);

#[async_trait]
impl AuditSink for Ledger {
    async fn append(&self, event: &AuditEvent, ctx: &Context) -> Result<()> {
        let Self(fault, log) = self;
        fault.heed(ctx).check()?;
        let mut log = log.lock().unwrap();
        let last = log.len().saturating_sub(1);
        match fault.clause {
            "order" if event.what == "acted" && log.last().is_some_and(|e| e.what == "intended") => {
                log.insert(last, event.clone());
            }
            "append_only" if event.what == "second" => log[last] = event.clone(),
            "duplicates" if log.last() == Some(event) => {}
            _ => log.push(event.clone()),
        }
        Ok(())
    }
}

#[test]
fn audit() {
    hunt(5, |clause| {
        let kept: &'static Mutex<Vec<AuditEvent>> = leaked();
        let log = || kept.lock().unwrap().clone();
        let fixture = conformance::AuditFixture::new(fx::ctx(), &log);
        block_on(conformance::audit(&Ledger(Fault::in_clause(clause), kept), &fixture))
    });
}

#[derive(Debug)]
struct Wire {
    fault: Fault,
    inner: InMemoryBus,
    home: ThreadId,
    asked: Mutex<Vec<(Topic, Offset, usize)>>,
}

#[async_trait]
impl EventBus for Wire {
    async fn publish(&self, topic: &Topic, event: &Event, ctx: &Context) -> Result<Offset> {
        let fault = &self.fault;
        let mut event = event.clone();
        match fault.clause {
            "intact" => event.payload["text"] = "cleaned".into(),
            "concurrent" if std::thread::current().id() != self.home && fault.count() == 5 => {
                return Ok(Offset(1));
            }
            _ => {}
        }
        match self.inner.publish(topic, &event, &fault.heed(ctx)).await {
            Ok(Offset(n)) if fault.is("offsets") => Ok(Offset(n + 1)),
            Err(e) if fault.is("back_pressure") && e.kind() == ErrorKind::RateLimited => Ok(Offset(1)),
            answer => answer,
        }
    }

    async fn read(&self, topic: &Topic, after: Offset, most: usize, ctx: &Context) -> Result<Vec<Delivered>> {
        let fault = &self.fault;
        let question = (topic.clone(), after, most);
        let again = self.asked.lock().unwrap().contains(&question);
        self.asked.lock().unwrap().push(question);
        let (after, most) = match fault.clause {
            "after" => (Offset(0), most),
            "most" if most == 4 => (after, 5),
            _ => (after, most),
        };
        with(self.inner.read(topic, after, most, &fault.heed(ctx)).await, |read| match fault.clause {
            "order" if read.len() == 9 => read.reverse(),
            "replay" if again => read.clear(),
            "apart" if read.is_empty() && most == 9 => {
                let event = Event::new(ctx.now(), "k", serde_json::json!({ "n": 1 }));
                read.push(Delivered { offset: Offset(1), event });
            }
            _ => {}
        })
    }
}

#[test]
fn bus() {
    hunt(11, |clause| {
        let wire = Wire {
            fault: Fault::in_clause(clause),
            inner: InMemoryBus::with_capacity(16),
            home: std::thread::current().id(),
            asked: Mutex::default(),
        };
        block_on(conformance::bus(&wire, &fx::bus()))
    });
}

#[derive(Debug)]
struct Veil(Fault, FixedMask);

impl Mask for Veil {
    fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Self(fault, inner) = self;
        let masked = inner.mask(text);
        let hit = masked != text;
        match fault.clause {
            "hides" if text == inner.0 => Cow::Borrowed(text),
            "keeps_the_rest" if hit && text.starts_with("user") => Cow::Borrowed("[masked]"),
            "equal_tokens" if hit => {
                masked.replace("[masked]", &format!("[masked-{}]", fault.count())).into()
            }
            "idempotent" if text.contains("[masked]") => format!("{text}!").into(),
            "clean" if text.contains("clean") => text.to_uppercase().into(),
            _ => masked,
        }
    }
}

#[test]
fn mask() {
    hunt(5, |clause| {
        let veil = Veil(Fault::in_clause(clause), FixedMask("alice@example.com".to_owned()));
        block_on(conformance::mask(&veil, &fx::mask()))
    });
}
