//! What happens on any day: roll-outs, restarts, flushed caches, more or fewer customers.

use std::time::Duration;

use aiops_core::Clock;
use aiops_process::{ConfigChange, Operation, OperationRequest};
use fastrand::Rng;
use toml::{Table, Value};

use super::key_at;
use crate::shop::Shop;

/// One harmless event.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum HarmlessEvent {
    /// A value of the configuration changes within its sensible range.
    RollOut {
        /// The service.
        service: &'static str,
        /// Configuration key.
        key: &'static str,
        /// New value.
        value: i64,
    },
    /// A service is restarted.
    Restart {
        /// The service.
        service: &'static str,
    },
    /// Another number of replicas.
    Scale {
        /// The service.
        service: &'static str,
        /// Replicas wanted.
        replicas: u32,
    },
    /// The orders service's caches are emptied.
    FlushCache,
    /// More or fewer customers for a while.
    Load {
        /// Multiplier of the usual rate.
        level: f64,
        /// For how long.
        lasting: Duration,
    },
}

impl HarmlessEvent {
    /// The service that is worked on; none when only customers behave otherwise.
    #[must_use]
    pub const fn touches(&self) -> Option<&'static str> {
        match self {
            Self::RollOut { service, .. } | Self::Restart { service } | Self::Scale { service, .. } => {
                Some(*service)
            }
            Self::FlushCache => Some("orders"),
            Self::Load { .. } => None,
        }
    }
}

/// Harmless events with the time, from the start of the run, at which each happens.
#[derive(Debug, Clone, PartialEq)]
pub struct HarmlessPlan(pub Vec<(Duration, HarmlessEvent)>);

/// Seconds in which one or two events fall after the fault.
const STRETCH: f64 = 45.0;

/// Sensible values: service, key, choices.
const ROLL_OUTS: [(&str, &str, [i64; 3]); 6] = [
    ("gateway", "log_every", [100, 150, 300]),
    ("orders", "cache_entries", [180, 220, 250]),
    ("orders", "warm_interval_ms", [1800, 2100, 2300]),
    ("inventory", "pool_size", [14, 18, 20]),
    ("inventory", "acquire_timeout_ms", [350, 450, 500]),
    ("worker", "sweep", [12, 18, 20]),
];

impl HarmlessPlan {
    /// Two to four events between 3 s and `fault_at`, half of the time one of them within the last 3 s before it,
    /// and one or two in every 45 s between it and `end`. The later ones leave `faulty`, and the cache, alone: an event
    /// that mends a fault by accident would not be harmless to the measurement.
    #[must_use]
    pub fn draw(seed: u64, fault_at: Duration, end: Duration, faulty: Option<&str>) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x6861_726d_6c65_7373);
        let (fault_at, end) = (fault_at.as_secs_f64(), end.as_secs_f64());
        let between = |rng: &mut Rng, from: f64, to: f64| {
            Duration::from_secs_f64((from + rng.f64() * (to - from).max(0.0)).max(0.0))
        };
        let mut events = Vec::new();
        for _ in 0..rng.u32(2..=4) {
            events.push((between(&mut rng, 3.0, fault_at - 3.0), Self::any(&mut rng)));
        }
        if rng.bool() {
            events.push((between(&mut rng, fault_at - 3.0, fault_at - 0.5), Self::any(&mut rng)));
        }
        let mut from = fault_at + 2.0;
        while from < end {
            let to = end.min(from + STRETCH);
            for _ in 0..rng.u32(1..=2) {
                let event = Self::any(&mut rng);
                if faulty.is_none() || event.touches() != faulty {
                    events.push((between(&mut rng, from, to), event));
                }
            }
            from = to;
        }
        events.sort_by_key(|(at, _)| *at);
        // One more, one less, in turn: a change that changes nothing would be none.
        let sizes = events.iter_mut().filter_map(|(_, event)| match event {
            HarmlessEvent::Scale { replicas, .. } => Some(replicas),
            _ => None,
        });
        for (replicas, size) in sizes.zip([3, 2].into_iter().cycle()) {
            *replicas = size;
        }
        Self(events)
    }

    fn any(rng: &mut Rng) -> HarmlessEvent {
        match rng.u8(0..8) {
            0..=2 => {
                let (service, key, values) = *choose(rng, &ROLL_OUTS);
                HarmlessEvent::RollOut { service, key, value: *choose(rng, &values) }
            }
            3 => {
                let service = *choose(rng, &["gateway", "orders", "worker"]);
                HarmlessEvent::Restart { service }
            }
            4 => HarmlessEvent::Scale { service: "gateway", replicas: 3 },
            5 => HarmlessEvent::FlushCache,
            _ => HarmlessEvent::Load {
                level: 0.75 + 0.5 * rng.f64(),
                lasting: Duration::from_secs_f64(3.0 + 5.0 * rng.f64()),
            },
        }
    }
}

/// One of at least one.
fn choose<'a, T, const N: usize>(rng: &mut Rng, choices: &'a [T; N]) -> &'a T {
    const { assert!(N > 0) };
    let index = rng.usize(0..N);
    #[allow(clippy::indexing_slicing, reason = "the generator stays below N")]
    &choices[index]
}

/// Plays the events in their time, counted from now.
///
/// Errors are passed over: an operator's fence may be stale, or a service may not come up because it is broken,
/// and the people who make such changes are not what is looked at.
pub async fn play(shop: &Shop, plan: &HarmlessPlan, clock: &dyn Clock) {
    let began = tokio::time::Instant::now();
    let mut steps: Vec<(Duration, Step<'_>)> = Vec::new();
    for (at, event) in &plan.0 {
        steps.push((*at, Step::Event(event)));
        if let HarmlessEvent::Load { lasting, .. } = event {
            steps.push((at.saturating_add(*lasting), Step::OrdinaryLoad));
        }
    }
    steps.sort_by_key(|(at, _)| *at);
    for (at, step) in steps {
        tokio::time::sleep_until(began + at).await;
        match step {
            Step::OrdinaryLoad => shop.traffic().set_level(1.0),
            Step::Event(event) => happen(shop, event, clock).await,
        }
    }
}

enum Step<'a> {
    Event(&'a HarmlessEvent),
    OrdinaryLoad,
}

async fn happen(shop: &Shop, event: &HarmlessEvent, clock: &dyn Clock) {
    let operation = match event {
        HarmlessEvent::RollOut { service, key, value } => {
            let overlay = Table::from_iter([((*key).to_owned(), Value::Integer(*value))]);
            Operation::RollOut { service: (*service).to_owned(), change: ConfigChange::Overlay(overlay) }
        }
        HarmlessEvent::Restart { service } => {
            Operation::RollingRestart { service: (*service).to_owned(), bounds: None }
        }
        HarmlessEvent::Scale { service, replicas } => {
            Operation::Scale { service: (*service).to_owned(), replicas: *replicas }
        }
        HarmlessEvent::FlushCache => {
            shop.flush_caches().await;
            Operation::PurgeCache { service: "orders".to_owned() }
        }
        HarmlessEvent::Load { level, .. } => {
            shop.traffic().set_level(*level);
            return;
        }
    };
    let request = OperationRequest::new(key_at(clock.now()), "deployer", operation);
    let _ = shop.supervisor().apply(request).await;
}
