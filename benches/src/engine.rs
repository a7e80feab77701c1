//! Input and floor of the streaming engine.

use aiops_core::jiff::Timestamp;
use aiops_detect::engine::{EngineConfig, EngineOptions, Slot, StreamEngine};

use crate::rolling::Welford;

/// A series that a bare update of count, mean and squares follows, with as much state behind it as the engine keeps: the
/// floor touches one cache line of it, as any update must.
#[derive(Debug, Clone)]
pub struct Padded {
    welford: Welford,
    _rest: [u64; 216],
}

impl Default for Padded {
    fn default() -> Self {
        Self { welford: Welford::default(), _rest: [0; 216] }
    }
}

impl Padded {
    /// Adds a sample.
    #[inline]
    pub fn push(&mut self, value: f64) -> f64 {
        self.welford.push(value)
    }
}

/// Engine and floor with as many series each, and the step they have come to.
#[derive(Debug)]
pub struct Load {
    /// The engine.
    pub engine: StreamEngine<u32>,
    /// Slots of its series, in order.
    pub slots: Vec<Slot>,
    /// The floor.
    pub floor: Vec<Padded>,
    noise: Vec<f64>,
    step: i64,
}

impl Load {
    /// `series` series that have seen `samples` samples, a quarter of an hour apart, and are trusted after a day.
    ///
    /// # Errors
    /// When the configuration is refused.
    pub fn new(series: u32, samples: u32) -> Result<Self, Box<dyn std::error::Error>> {
        let mut options = EngineOptions::default();
        let mut baseline = options.baseline.options().clone();
        // Trusted from the second day on, so that what is measured is a series at work and not a cold start.
        baseline.trusted_days = 1;
        options.baseline = baseline.try_into()?;
        let mut engine = StreamEngine::new(EngineConfig::try_from(options)?);
        engine.reserve(series as usize);
        let slots = (0..series).map(|key| engine.register(key)).collect::<Result<Vec<_>, _>>()?;
        let mut rng = fastrand::Rng::with_seed(42);
        let mut sample = || {
            let noise: f64 = (0..4).map(|_| rng.f64() - 0.5).sum();
            100.0 + noise + if rng.f64() < 0.001 { 50.0 } else { 0.0 }
        };
        let noise = (0..8191).map(|_| sample()).collect();
        let mut load =
            Self { engine, slots, floor: vec![Padded::default(); series as usize], noise, step: 0 };
        for _ in 0..samples {
            load.push_all();
            load.push_floor();
        }
        Ok(load)
    }

    /// The value of a series at a step.
    #[inline]
    fn value(&self, series: usize, step: i64) -> f64 {
        let at = (series * 31 + step.unsigned_abs() as usize) % 8191;
        self.noise.get(at).copied().unwrap_or(100.0)
    }

    /// The next quarter of an hour: one sample of every series through the engine; returns how many were severe.
    pub fn push_all(&mut self) -> u64 {
        self.step += 1;
        let at = Timestamp::from_second(self.step * 900).unwrap_or_default();
        let mut severe = 0;
        for series in 0..self.slots.len() {
            let value = self.value(series, self.step);
            let Some(slot) = self.slots.get(series) else { continue };
            if let Ok(verdict) = self.engine.push(*slot, at, value) {
                severe += u64::from(verdict.severity.is_some());
            }
        }
        severe
    }

    /// One sample of every series through the floor.
    pub fn push_floor(&mut self) -> f64 {
        let mut sum = 0.0;
        for series in 0..self.floor.len() {
            let value = self.value(series, self.step);
            if let Some(floor) = self.floor.get_mut(series) {
                sum += floor.push(value);
            }
        }
        sum
    }
}
