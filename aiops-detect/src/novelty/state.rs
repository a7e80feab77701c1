//! The stored form of one series.

use aiops_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use super::detector::NOVELTY_VERSION;
use super::{NoveltyConfig, NoveltyDetector, Scale};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    version: u32,
    config: NoveltyConfig,
    values: Vec<f64>,
    scales: Vec<Scale>,
    seen: u64,
    last_alarm: Option<u64>,
}

impl From<NoveltyDetector> for Document {
    fn from(detector: NoveltyDetector) -> Self {
        let NoveltyDetector { config, values, scales, seen, last_alarm } = detector;
        Self { version: NOVELTY_VERSION, config, values, scales, seen, last_alarm }
    }
}

impl TryFrom<Document> for NoveltyDetector {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self, Error> {
        let Document { version, config, values, scales, seen, last_alarm } = document;
        if version != NOVELTY_VERSION {
            return Err(Error::new(ErrorKind::Unsupported, "unknown version of a stored novelty detector")
                .with("version", version)
                .with("known", NOVELTY_VERSION));
        }
        let options = config.options();
        let longest = options.lengths.iter().copied().max().unwrap_or(1);
        let good = |scale: &Scale| {
            scale.distances.len() <= options.history
                && scale.distances.iter().all(|d| d.is_finite() && *d >= 0.0)
                && scale.unit.is_finite()
                && scale.unit >= 0.0
        };
        let whole = scales.iter().map(|scale| scale.length).eq(options.lengths.iter().copied())
            && scales.iter().all(good)
            && values.len() <= 2 * (options.history + longest)
            && values.iter().all(|value| value.is_finite())
            && values.len() as u64 <= seen
            && last_alarm.is_none_or(|last| last < seen);
        if !whole {
            return Err(Error::new(ErrorKind::Invalid, "a stored novelty detector is damaged"));
        }
        Ok(Self { config, values, scales, seen, last_alarm })
    }
}
