use std::time::Duration;

use aiops_core::Result;
use aiops_core::model::duration;
use serde::{Deserialize, Serialize};

use crate::config::{out_of_range, positive, within};

/// Settings of [`onset`](super::onset).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct OnsetConfig {
    /// How far from the stated time the fault may have begun; default 60 s. Zero believes what is stated.
    #[serde(with = "duration")]
    pub reach: Duration,
    /// How far the stated time is usually off (σ of a normal distribution); default 60 s, more than 0 s.
    #[serde(with = "duration")]
    pub error: Duration,
    /// Resolution; default 5 s, more than 0 s and at most `context`.
    #[serde(with = "duration")]
    pub step: Duration,
    /// Spans and lines on either side of the stated time that are compared; default 3 min, 1 to 10⁴ steps.
    #[serde(with = "duration")]
    pub context: Duration,
    /// What must have been recorded on either side of an onset; default 30 s, 0 s to `context`. At the edge of a recording a change cannot be
    /// told from a clump of requests.
    #[serde(with = "duration")]
    pub lasting: Duration,
    /// What a change of one channel must gain, in units of log-likelihood, to say anything; default 8, 0..=1000.
    pub penalty: f64,
    /// Least that all channels together must gain for the stated time to give way; default 12, 0..=1e6.
    pub least: f64,
    /// Standard deviations from which values of one sample, or the time of one span, count no more; default 4, 1..=100.
    pub clip: f64,
    /// Strength of an anomaly, as a share of the strongest one's, from which it tells when the trouble began; default 0.5, 0..=1.
    pub leading: f64,
    /// Share of what deviates, by strength, that may have begun by chance before the trouble did; default 0.05, 0..=0.5. Of a hundred series a few
    /// happen to be off their norm when the rest follows; of twenty that are as loud as each other none is passed over.
    pub coincidence: f64,
    /// Fewest events of a channel on either side; default 5, 1 or more.
    pub least_events: usize,
}

impl Default for OnsetConfig {
    fn default() -> Self {
        Self {
            reach: Duration::from_secs(60),
            error: Duration::from_secs(60),
            step: Duration::from_secs(5),
            context: Duration::from_secs(180),
            lasting: Duration::from_secs(30),
            penalty: 8.0,
            least: 12.0,
            clip: 4.0,
            leading: 0.5,
            coincidence: 0.05,
            least_events: 5,
        }
    }
}

/// Most steps of the context.
const MOST_STEPS: u128 = 10_000;

impl OnsetConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`Invalid`](aiops_core::ErrorKind::Invalid) with the field, its value and the allowed range.
    pub fn validate(&self) -> Result<()> {
        positive("onset.error", self.error)?;
        positive("onset.step", self.step)?;
        let steps = self.context.as_nanos() / self.step.as_nanos().max(1);
        if !(1..=MOST_STEPS).contains(&steps) {
            return Err(out_of_range("onset.context", format!("{:?}", self.context), "1 to 10000 steps"));
        }
        if self.reach > self.context {
            return Err(out_of_range("onset.reach", format!("{:?}", self.reach), "at most `context`"));
        }
        if self.lasting > self.context {
            return Err(out_of_range("onset.lasting", format!("{:?}", self.lasting), "at most `context`"));
        }
        within("onset.penalty", self.penalty, 0.0, 1000.0)?;
        within("onset.least", self.least, 0.0, 1e6)?;
        within("onset.leading", self.leading, 0.0, 1.0)?;
        within("onset.coincidence", self.coincidence, 0.0, 0.5)?;
        within("onset.clip", self.clip, 1.0, 100.0)?;
        if self.least_events == 0 {
            return Err(out_of_range("onset.least_events", self.least_events, "1 or more"));
        }
        Ok(())
    }
}
