//! What is held before any alert was seen.

use std::time::Duration;

use aiops_compact::ConfigError;
use serde::{Deserialize, Serialize};

use super::config::{HOUR, MINUTE, check_time};
use crate::error::{check, check_count};

/// What is held of incidents and of chance before any alert was seen.
///
/// Times: an incident that is no chance raises `further` more alerts, spread in time about those it has (a kernel density estimate).
/// The kernel is as wide as samples are apart, for it is chance at which of two samples an alert is seen, and then falls like the
/// modified Omori law `(1 + t/c)^(−p)` (Utsu, Ogata and Matsu'ura 1995). Everything else: the ratio of the
/// probability that two alerts agree when they are of one incident (m) to that when they are not (u), where the latter comes from
/// the sizes of what they might have been about (Fellegi and Sunter 1969). The latter is not configured; it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Priors {
    /// Alerts that an incident is expected to raise yet, however many there were, 0.1 to 1000. Default 9.
    pub further: f64,
    /// `c`: how long trouble takes from one to the next, 1 s to 1 h. Default 1 min.
    #[serde(with = "aiops_core::model::duration")]
    pub propagation: Duration,
    /// Gaps within incidents of a place that count as much as what is held of `propagation`, 1 to 1 000 000. Default 20.
    pub gaps: f64,
    /// Time between the samples that alerts are judged on, until enough alerts of a place have shown it; 1 s to 1 h. Default 1 min.
    #[serde(with = "aiops_core::model::duration")]
    pub resolution: Duration,
    /// `p`: how fast an incident dies down, 2.1 to 10. Default 3.
    pub decay: f64,
    /// Incidents an hour that begin in a place of which nothing is known yet, 0.01 to 1000. Default 4.
    pub per_hour: f64,
    /// Entities of a place whose size is not known, 2 to 1 000 000. Default 20.
    pub entities: usize,
    /// Probability that an alert of an incident is about something the incident has alerts about already. Default 0.45.
    pub same: f64,
    /// Probability that it is about none of these and nothing that the topology relates to one. Default 0.1.
    pub apart: f64,
    /// Of those that are related: share that is one hop nearer than the rest, 0.01 to 1. Default 0.5.
    pub hop: f64,
    /// Probability that it is in another place (namespace) than all before it. Default 0.2.
    pub elsewhere: f64,
    /// Probability that its text is like that of another of its incident. Default 0.3. By chance as many are as
    /// [`text_common`](super::CorrelatorOptions::text_common) says.
    pub text: f64,
    /// Probability that its text names something its incident is about, or the other way round. Default 0.2.
    pub mention: f64,
    /// Probability that it follows a change that another of its incident follows. Default 0.5.
    pub change: f64,
    /// Probability that a label that is no place has the value it has in another of its incident, where both have it. Default 0.5.
    pub label: f64,
    /// Probability that an alert that ended comes again in the same incident. Default 0.1; by chance it is one half.
    pub refire: f64,
    /// Probability that an incident goes on after all its alerts have ended. Default 0.1; by chance it is one half.
    pub ended: f64,
}

impl Default for Priors {
    fn default() -> Self {
        Self {
            further: 9.0,
            propagation: MINUTE,
            gaps: 20.0,
            resolution: MINUTE,
            decay: 3.0,
            per_hour: 4.0,
            entities: 20,
            same: 0.45,
            apart: 0.1,
            hop: 0.5,
            elsewhere: 0.2,
            text: 0.3,
            mention: 0.2,
            change: 0.5,
            label: 0.5,
            refire: 0.1,
            ended: 0.1,
        }
    }
}

/// Whether all are what they may be.
pub(super) fn check_priors(p: &Priors) -> Result<(), ConfigError> {
    let hour = Duration::from_secs(1)..=HOUR;
    check_time("priors.propagation", p.propagation, hour.clone(), "1 s to 1 h")?;
    check_time("priors.resolution", p.resolution, hour, "1 s to 1 h")?;
    check("priors.further", p.further, 0.1..=1000.0, "0.1 to 1000")?;
    check("priors.gaps", p.gaps, 1.0..=1e6, "1 to 1000000")?;
    check("priors.decay", p.decay, 2.1..=10.0, "2.1 to 10")?;
    check("priors.per_hour", p.per_hour, 0.01..=1000.0, "0.01 to 1000 incidents an hour")?;
    check_count("priors.entities", p.entities, 2..=1_000_000, "2 to 1000000")?;
    check("priors.hop", p.hop, 0.01..=1.0, "0.01 to 1")?;
    for (field, value) in [
        ("priors.same", p.same),
        ("priors.apart", p.apart),
        ("priors.elsewhere", p.elsewhere),
        ("priors.text", p.text),
        ("priors.mention", p.mention),
        ("priors.change", p.change),
        ("priors.label", p.label),
        ("priors.refire", p.refire),
        ("priors.ended", p.ended),
    ] {
        check(field, value, 0.001..=0.999, "0.001 to 0.999")?;
    }
    if p.same + p.apart > 1.0 {
        return Err(ConfigError::new("priors.apart", p.apart, "at most 1 - `priors.same`"));
    }
    Ok(())
}
