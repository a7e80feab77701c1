//! What a localiser may see.

use std::fmt;
use std::str::FromStr;

use aiops_core::model::{Signal, TelemetryWindow, Topology};
use serde::Serialize;

use crate::incidents::Layout;

/// What a localiser may see: any of metrics (with the call graph where the set gives one), spans and log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[non_exhaustive]
pub struct Modalities {
    /// Metrics.
    pub metrics: bool,
    /// Spans.
    pub spans: bool,
    /// Log lines.
    pub logs: bool,
}

impl Modalities {
    /// Everything the set has.
    pub const ALL: Self = Self::of(true, true, true);
    /// What an ablation looks at one by one: everything first.
    pub const CHOICES: [Self; 7] = [
        Self::ALL,
        Self::of(true, false, false),
        Self::of(false, true, false),
        Self::of(false, false, true),
        Self::of(true, true, false),
        Self::of(true, false, true),
        Self::of(false, true, true),
    ];

    const fn of(metrics: bool, spans: bool, logs: bool) -> Self {
        Self { metrics, spans, logs }
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [(self.metrics, "metrics"), (self.spans, "spans"), (self.logs, "logs")];
        all.into_iter().filter_map(|(seen, name)| seen.then_some(name))
    }

    pub(super) fn sees(self, signal: Signal) -> bool {
        match signal {
            Signal::Metrics => self.metrics,
            Signal::Traces => self.spans,
            Signal::Logs => self.logs,
            _ => true,
        }
    }

    /// The window without what may not be seen. A call graph made of spans goes with them.
    pub(super) fn part(self, window: &TelemetryWindow, layout: Layout) -> TelemetryWindow {
        let mut part = window.clone();
        if !self.metrics {
            part.metrics.clear();
        }
        if !self.spans {
            part.spans.clear();
            if layout == Layout::Nezha {
                part.topology = Topology::new();
            }
        }
        if !self.logs {
            part.logs.clear();
        }
        part
    }
}

impl fmt::Display for Modalities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL {
            return f.write_str("all");
        }
        f.write_str(&self.names().collect::<Vec<_>>().join("+"))
    }
}

impl FromStr for Modalities {
    type Err = String;

    /// `all`, or any of `metrics`, `spans`, `logs` with commas between them.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::ALL);
        }
        let mut seen = Self::of(false, false, false);
        for name in text.split(',') {
            match name.trim() {
                "metrics" => seen.metrics = true,
                "spans" => seen.spans = true,
                "logs" => seen.logs = true,
                other => return Err(format!("{other:?} is none of metrics, spans, logs")),
            }
        }
        Ok(seen)
    }
}
