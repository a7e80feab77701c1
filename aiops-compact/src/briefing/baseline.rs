use std::time::Duration;

use aiops_core::model::{TelemetryWindow, duration};
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::intake::Intake;
use super::measured::references;
use super::{IntakeConfig, WeightConfig};
use crate::deviation::{DeviationConfig, DeviationOptions, References};
use crate::logs::{LogMiner, MinerConfig};
use crate::shape::Persistence;
use crate::traces::TraceConfig;

/// How each modality of a window is compared with what is normal; every part is checked by itself.
///
/// The thresholds are lower than those of the parts by themselves, which decide whether anything is wrong at all. Whoever
/// asks for a briefing knows that; the strongest findings come first in any case, and the budget cuts the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WindowConfig {
    /// Metrics, and which part of a window is the recent one. Default: 2 of 5 samples beyond 2 σ whose level is beyond
    /// any that the reference reached.
    pub deviation: DeviationConfig,
    /// Limits of spans.
    pub traces: TraceConfig,
    /// Templates of log lines.
    pub miner: MinerConfig,
    /// How much is held at once.
    pub intake: IntakeConfig,
    /// What findings are worth.
    pub weights: WeightConfig,
    /// How much later than the first sign of trouble a change may be dated and still be its cause: metrics are read at times,
    /// and clocks differ. Default 60 s.
    #[serde(with = "duration")]
    pub change_lag: Duration,
}

impl Default for WindowConfig {
    fn default() -> Self {
        let persistence = Persistence { sigma: 2.0, hits: 2, ..Persistence::default() };
        let deviation =
            DeviationOptions { persistence, finding_sigma: 2.0, novelty: 1.0, ..DeviationOptions::default() };
        Self {
            // Constants that a test checks.
            deviation: DeviationConfig::try_from(deviation).unwrap_or_default(),
            traces: TraceConfig::default(),
            miner: MinerConfig::default(),
            intake: IntakeConfig::default(),
            weights: WeightConfig::default(),
            change_lag: Duration::from_secs(60),
        }
    }
}

/// What is normal in each modality.
///
/// Memory: one [`Reference`](crate::deviation::Reference) per series, counts and sketches per operation and call type, one entry
/// per entity and log template, and the templates; however long the window was.
#[derive(Debug, Clone)]
pub struct Baseline {
    pub(super) references: References,
    pub(super) digest: Digest,
    pub(super) miner: LogMiner,
}

impl Baseline {
    /// Learns from a window that is known to be healthy, all of it.
    #[must_use]
    pub fn learn(window: &TelemetryWindow, config: &WindowConfig) -> Self {
        let references = references(window, config);
        let mut miner = LogMiner::new(config.miner.clone());
        let mut intake = Intake::new(config, true);
        window.spans.iter().for_each(|span| intake.push_span(span));
        for line in &window.logs {
            let template = miner.push(line.body.as_bytes());
            intake.push_line(line, template);
        }
        Self { references, digest: intake.finish(), miner }
    }
}
