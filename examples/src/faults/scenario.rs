//! One run of the shop, decided by a seed: when it breaks, how, and what else happens.

use std::time::Duration;

use aiops_core::Clock;
use fastrand::Rng;

use super::{Fault, HarmlessPlan, Injection, Truth, harmless};
use crate::shop::{Shop, ShopError};

/// What is going to happen in a run. Equal arguments give equal scenarios.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    fault_at: Duration,
    injection: Option<Injection>,
    harmless: HarmlessPlan,
}

impl Scenario {
    /// Draws a scenario: the fault, if any, comes up to 3 s after `quiet`; harmless events fill the time until
    /// `end`. Times count from the start of [`play`](Self::play).
    #[must_use]
    pub fn draw(fault: Option<Fault>, seed: u64, quiet: Duration, end: Duration) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x7363_656e_6172_696f);
        let fault_at = quiet.saturating_add(Duration::from_secs_f64(3.0 * rng.f64()));
        let injection = fault.map(|fault| Injection::draw(fault, seed));
        let faulty = injection.as_ref().map(Injection::service);
        let harmless = HarmlessPlan::draw(seed, fault_at, end, faulty);
        Self { fault_at, injection, harmless }
    }

    /// When the fault comes, from the start of the run.
    #[must_use]
    pub const fn fault_at(&self) -> Duration {
        self.fault_at
    }

    /// The harmless events.
    #[must_use]
    pub const fn harmless(&self) -> &HarmlessPlan {
        &self.harmless
    }

    /// Plays the scenario to its end and tells what was really done; `None` without a fault. Dropping the future
    /// ends it early.
    ///
    /// # Errors
    /// The fault could not be injected.
    pub async fn play(&self, shop: &Shop, clock: &dyn Clock) -> Result<Option<Truth>, ShopError> {
        let fault = self.play_fault(shop, clock);
        let (truth, ()) = tokio::join!(fault, harmless::play(shop, &self.harmless, clock));
        truth
    }

    /// Plays only the fault, in its time.
    ///
    /// # Errors
    /// The fault could not be injected.
    pub async fn play_fault(&self, shop: &Shop, clock: &dyn Clock) -> Result<Option<Truth>, ShopError> {
        let Some(injection) = &self.injection else { return Ok(None) };
        tokio::time::sleep(self.fault_at).await;
        injection.inject(shop, clock).await.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const QUIET: Duration = Duration::from_secs(16);
    const END: Duration = Duration::from_secs(50);

    #[test]
    fn a_seed_decides_everything() {
        for seed in 0..50 {
            let draw = || Scenario::draw(Some(Fault::SlowDependency), seed, QUIET, END);
            assert_eq!(draw(), draw());
        }
        let all: BTreeSet<String> =
            (0..50).map(|seed| format!("{:?}", Scenario::draw(None, seed, QUIET, END))).collect();
        assert_eq!(all.len(), 50);
    }

    #[test]
    fn harmless_events_come_in_every_run_and_leave_the_faulty_service_alone_afterwards() {
        let mut shortly_before = 0;
        for seed in 0..200 {
            let fault = Fault::ALL[usize::try_from(seed).unwrap() % Fault::ALL.len()];
            let scenario = Scenario::draw(Some(fault), seed, QUIET, END);
            let at = scenario.fault_at();
            assert!(at >= QUIET && at < QUIET + Duration::from_secs(3));
            let events = &scenario.harmless().0;
            assert!(events.iter().filter(|(when, _)| *when < at).count() >= 2, "{scenario:?}");
            assert!(events.is_sorted_by_key(|(when, _)| *when));
            assert!(events.iter().all(|(when, _)| *when <= END));
            shortly_before += usize::from(
                events.iter().any(|(when, _)| *when < at && at - *when <= Duration::from_secs(3)),
            );
            let faulty = scenario.injection.as_ref().map(Injection::service);
            for (_, event) in events.iter().filter(|(when, _)| *when >= at) {
                assert!(event.touches().is_none() || event.touches() != faulty, "{scenario:?}");
            }
        }
        let quiet_hour = Scenario::draw(None, 1, QUIET, Duration::from_secs(3600));
        let later =
            quiet_hour.harmless().0.iter().filter(|(when, _)| *when > Duration::from_secs(1800)).count();
        assert!((40..=80).contains(&later), "{later} events in the second half hour");
        assert!((60..=160).contains(&shortly_before), "{shortly_before} of 200");
    }
}
