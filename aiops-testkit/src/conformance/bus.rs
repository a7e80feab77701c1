use std::sync::atomic::{AtomicU64, Ordering};

use aiops_core::seam::{Delivered, Event, EventBus, Offset, Topic};
use aiops_core::{Context, ErrorKind, Result};

use super::report::{Fault, Outcome, Report, alike, cancelled, ensure, late, refused};

/// What [`bus`] may use.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BusFixture {
    /// Context of all calls.
    pub ctx: Context,
    /// How many events a topic holds before it pushes back; at least 16. `None` when that cannot be provoked.
    pub capacity: Option<usize>,
}

impl BusFixture {
    /// A fixture of a bus that cannot be filled.
    #[must_use]
    pub fn new(ctx: Context) -> Self {
        Self { ctx, capacity: None }
    }
}

/// Numbers of topics, so that no two clauses share one.
static TOPICS: AtomicU64 = AtomicU64::new(0);

struct Stage<'a> {
    bus: &'a dyn EventBus,
    fx: &'a BusFixture,
}

impl Stage<'_> {
    fn topic(&self) -> Topic {
        let n = TOPICS.fetch_add(1, Ordering::Relaxed);
        Topic(format!("conformance-{n}-{}", self.fx.ctx.now().as_nanosecond()))
    }

    fn event(&self, key: &str, n: u64) -> Event {
        Event::new(self.fx.ctx.now(), key, serde_json::json!({ "n": n, "text": "\u{0}\"é\u{202e}" }))
    }

    /// A topic with `n` events.
    async fn filled(&self, n: u64) -> Outcome<Topic> {
        let topic = self.topic();
        for i in 1..=n {
            self.bus.publish(&topic, &self.event("k", i), &self.fx.ctx).await?;
        }
        Ok(topic)
    }

    async fn read(&self, topic: &Topic, after: u64, most: usize) -> Outcome<Vec<Delivered>> {
        Ok(self.bus.read(topic, Offset(after), most, &self.fx.ctx).await?)
    }
}

fn numbers(read: &[Delivered]) -> Vec<u64> {
    read.iter().filter_map(|d| d.event.payload.get("n")?.as_u64()).collect()
}

/// The contract of [`EventBus`]: 11 clauses.
pub async fn bus(bus: &dyn EventBus, fx: &BusFixture) -> Report {
    let mut report = Report::of("EventBus");
    let s = Stage { bus, fx };
    report.clause("offsets", offsets(&s)).await;
    report.clause("intact", intact(&s)).await;
    report.clause("order", order(&s)).await;
    report.clause("replay", replay(&s)).await;
    report.clause("after", after(&s)).await;
    report.clause("most", most(&s)).await;
    report.clause("apart", apart(&s)).await;
    report.clause("concurrent", concurrent(&s)).await;
    report.clause("back_pressure", back_pressure(&s)).await;
    report.clause("cancelled", ended(&s, &cancelled(&fx.ctx), ErrorKind::Cancelled)).await;
    report.clause("deadline", ended(&s, &late(&fx.ctx), ErrorKind::Timeout)).await;
    report
}

/// Offsets grow from 1, and publishing tells the one under which the event is read.
async fn offsets(s: &Stage<'_>) -> Outcome {
    let topic = s.topic();
    let mut told = Vec::new();
    for i in 1..=3 {
        told.push(s.bus.publish(&topic, &s.event("k", i), &s.fx.ctx).await?);
    }
    ensure!(told.first() == Some(&Offset(1)), "the first event has offset {:?}", told.first());
    ensure!(told.is_sorted_by(|a, b| a < b), "offsets do not grow: {told:?}");
    let mut read: Vec<Offset> = s.read(&topic, 0, 9).await?.into_iter().map(|d| d.offset).collect();
    read.sort();
    alike(&told, &read)
}

async fn intact(s: &Stage<'_>) -> Outcome {
    let topic = s.topic();
    let event = s.event("a key with spaces/ü", 7);
    s.bus.publish(&topic, &event, &s.fx.ctx).await?;
    let read = s.read(&topic, 0, 1).await?;
    ensure!(read.first().map(|d| &d.event) == Some(&event), "published {event:?}, read {read:?}");
    Ok(())
}

async fn order(s: &Stage<'_>) -> Outcome {
    let topic = s.filled(9).await?;
    alike(&(1..=9).collect::<Vec<u64>>(), &numbers(&s.read(&topic, 0, 99).await?))
}

/// Reading does not consume.
async fn replay(s: &Stage<'_>) -> Outcome {
    let topic = s.filled(3).await?;
    let first = s.read(&topic, 0, 9).await?;
    alike(&first, &s.read(&topic, 0, 9).await?)
}

async fn after(s: &Stage<'_>) -> Outcome {
    let topic = s.filled(5).await?;
    let second = s.read(&topic, 0, 2).await?.last().map(|d| d.offset.0).unwrap_or_default();
    let mut rest = numbers(&s.read(&topic, second, 99).await?);
    rest.sort_unstable();
    alike(&vec![3, 4, 5], &rest)?;
    for beyond in [99, u64::MAX] {
        let read = s.read(&topic, beyond, 99).await?;
        ensure!(read.is_empty(), "events after offset {beyond}: {read:?}");
    }
    Ok(())
}

async fn most(s: &Stage<'_>) -> Outcome {
    let topic = s.filled(5).await?;
    for most in [0, 1, 4] {
        let found = s.read(&topic, 0, most).await?.len();
        ensure!(found <= most, "asked for {most} events, got {found}");
    }
    Ok(())
}

async fn apart(s: &Stage<'_>) -> Outcome {
    s.filled(2).await?;
    let read = s.read(&s.topic(), 0, 9).await?;
    ensure!(read.is_empty(), "events in a topic nobody published to: {read:?}");
    Ok(())
}

/// Four publishers at once: nothing is lost, and each one's events stay in order.
async fn concurrent(s: &Stage<'_>) -> Outcome {
    let topic = s.topic();
    let publish = |key: &str| -> Result<()> {
        for n in 1..=4 {
            futures_lite::future::block_on(s.bus.publish(&topic, &s.event(key, n), &s.fx.ctx))?;
        }
        Ok(())
    };
    let keys = ["a", "b", "c", "d"];
    std::thread::scope(|scope| -> Outcome {
        let threads: Vec<_> = keys.iter().map(|key| scope.spawn(|| publish(key))).collect();
        for thread in threads {
            thread.join().map_err(|_| Fault::Fail("a publisher panicked".to_owned()))??;
        }
        Ok(())
    })?;
    let read = s.read(&topic, 0, 99).await?;
    for key in keys {
        let own: Vec<Delivered> = read.iter().filter(|d| d.event.key == key).cloned().collect();
        let mut numbers = numbers(&own);
        numbers.dedup();
        alike(&vec![1, 2, 3, 4], &numbers)?;
    }
    Ok(())
}

async fn back_pressure(s: &Stage<'_>) -> Outcome {
    let Some(capacity) = s.fx.capacity else {
        return Err(Fault::Skip("it cannot be filled".to_owned()));
    };
    let topic = s.filled(capacity as u64).await?;
    let answer = s.bus.publish(&topic, &s.event("k", 0), &s.fx.ctx).await;
    refused(answer, ErrorKind::RateLimited)?;
    let kept = s.read(&topic, 0, usize::MAX).await?.len();
    ensure!(kept == capacity, "{kept} of {capacity} events after one was refused");
    Ok(())
}

async fn ended(s: &Stage<'_>, ctx: &Context, kind: ErrorKind) -> Outcome {
    let topic = s.topic();
    refused(s.bus.publish(&topic, &s.event("k", 1), ctx).await, kind)?;
    ensure!(s.read(&topic, 0, 1).await?.is_empty(), "refused, and yet published");
    refused(s.bus.read(&topic, Offset(0), 9, ctx).await, kind)
}
