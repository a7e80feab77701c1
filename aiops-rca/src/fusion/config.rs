use std::time::Duration;

use aiops_core::Result;
use aiops_core::model::duration;
use serde::{Deserialize, Serialize};

use crate::config::{out_of_range, positive, within};

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: f64 = $value:literal, $low:literal..=$high:literal;)+) => {
        /// Settings of a [`FusedLocalizer`](super::FusedLocalizer).
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        #[non_exhaustive]
        pub struct FusionConfig {
            /// What counts as lately, before the fault; default 2 h, more than 0 s.
            #[serde(with = "duration")]
            pub recent: Duration,
            /// Time before the onset that counts neither as normal nor as fault; default 60 s.
            #[serde(with = "duration")]
            pub guard: Duration,
            /// Fewest samples to compare with lately or the reference alone; default 8, 1 or more.
            pub least_samples: usize,
            /// Fewest spans of a call type on either side; default 3, 1 or more.
            pub least_spans: usize,
            /// Fewest spans of an operation on either side to compare how many children they have; default 20, 1 or more.
            pub many_spans: usize,
            /// Most findings a suspect cites; default 8, 1 or more.
            pub citations: usize,
            $($(#[$doc])* pub $name: f64,)+
        }

        impl Default for FusionConfig {
            fn default() -> Self {
                Self {
                    recent: Duration::from_secs(7200),
                    guard: Duration::from_secs(60),
                    least_samples: 8,
                    least_spans: 3,
                    many_spans: 20,
                    citations: 8,
                    $($name: $value,)+
                }
            }
        }

        impl FusionConfig {
            /// Checks every field against its range.
            ///
            /// # Errors
            /// [`Invalid`](aiops_core::ErrorKind::Invalid) with the field, its value and the allowed range.
            pub fn validate(&self) -> Result<()> {
                positive("recent", self.recent)?;
                let counts = [
                    ("least_samples", self.least_samples),
                    ("least_spans", self.least_spans),
                    ("many_spans", self.many_spans),
                    ("citations", self.citations),
                ];
                for (field, value) in counts {
                    if value == 0 {
                        return Err(out_of_range(field, value, "1 or more"));
                    }
                }
                $(within(stringify!($name), self.$name, $low, $high)?;)+
                Ok(())
            }
        }
    };
}

settings! {
    /// Quantile of the samples since the fault that is compared with the norm (and its mirror image); default 0.75,
    /// 0.5..=1: part of the window may lie before or after the fault.
    reach: f64 = 0.75, 0.5..=1.0;
    /// Least scale of a metric as a share of its median; default 0.02, 0..=1.
    relative_floor: f64 = 0.02, 0.0..=1.0;
    /// Weight of a shift where either direction may be harm; default 0.6, 0..=1.
    either: f64 = 0.6, 0.0..=1.0;
    /// Weight of a shift to the good; default 0.15, 0..=1.
    relief: f64 = 0.15, 0.0..=1.0;
    /// Weight of what an entity measures as a client; default 0.1, 0..=1.
    client_side: f64 = 0.1, 0.0..=1.0;
    /// Weight of a metric of the machine; default 0.2, 0..=1.
    host_metric: f64 = 0.2, 0.0..=1.0;
    /// Least scale of a share of failures, in the unit of the metric's norm; default 0.001, 0..=1.
    failure_floor: f64 = 0.001, 0.0..=1.0;
    /// Utilisation, in percent, from which a resource counts in full; default 50, 1..=100.
    busy: f64 = 50.0, 1.0..=100.0;
    /// Least weight of a resource that is hardly used; default 0.1, 0..=1.
    idle: f64 = 0.1, 0.0..=1.0;
    /// Most that certainty adds to latency and failures as metrics say; default 1.4 (nine standard errors), 0..=10.
    sure: f64 = 1.4, 0.0..=10.0;
    /// Least weight of latency or failures that nothing tells to have reached the symptom; default 0.1, 0..=1.
    unaccounted: f64 = 0.1, 0.0..=1.0;
    /// Weight of latency as a metric says where spans tell it better; default 0.3, 0..=1.
    told_by_spans: f64 = 0.3, 0.0..=1.0;
    /// Weight of latency where the symptom is failures, and the other way round; default 0.2, 0..=1.
    beside_symptom: f64 = 0.2, 0.0..=1.0;
    /// Variance of counts beyond Poisson's, as a share of the squared mean; default 0.02, 0..=1.
    overdispersion: f64 = 0.02, 0.0..=1.0;
    /// Weakest finding to keep; default 0.02, 0..=10.
    least_strength: f64 = 0.02, 0.0..=10.0;
    /// Standard errors from which time counts as added; default 3, 0..=100.
    least_z: f64 = 3.0, 0.0..=100.0;
    /// Drift of span times that is no finding, as a share; default 0.1, 0..=10.
    time_drift: f64 = 0.1, 0.0..=10.0;
    /// How many times longer it must take for a place to count in full though it adds little to the whole; default 30,
    /// 1..=1e6.
    many_times: f64 = 30.0, 1.0..=1e6;
    /// Share of one call's added time from which another of the same entity counts as slow too; default 0.1, 0..=1.
    likewise: f64 = 0.1, 0.0..=1.0;
    /// Growth of memory, as a share, from which it counts in full; default 0.5, 0.01..=100.
    growth: f64 = 0.5, 0.01..=100.0;
    /// Weight of errors that others wrote when all was well; default 0.3, 0..=1.
    common_errors: f64 = 0.3, 0.0..=1.0;
    /// How much more time between two entities is held against the callee where nothing tells; default 0.25, 0..=10.
    callee_prior: f64 = 0.25, 0.0..=10.0;
    /// Share of spans from which a child counts as always there; default 0.9, 0..=1.
    always: f64 = 0.9, 0.0..=1.0;
    /// How much the number of children of an operation's spans varies with what is asked for, as a share; default 0.05,
    /// 0..=1.
    mix_drift: f64 = 0.05, 0.0..=1.0;
    /// Lines to be expected from which their absence says something; default 3, 0..=1e6.
    least_expected: f64 = 3.0, 0.0..=1e6;
    /// Weight of processor, memory and the like; default 1, 0..=10.
    resource: f64 = 1.0, 0.0..=10.0;
    /// Weight of latency as a metric says; default 1, 0..=10.
    latency: f64 = 1.0, 0.0..=10.0;
    /// Weight of failures as a metric says; default 1.2, 0..=10.
    errors: f64 = 1.2, 0.0..=10.0;
    /// Weight of traffic; default 0.3, 0..=10.
    traffic: f64 = 0.3, 0.0..=10.0;
    /// Weight of metrics of unknown meaning and of network counters; default 0.2, 0..=10.
    other: f64 = 0.2, 0.0..=10.0;
    /// Weight of time added in spans; default 2, 0..=10.
    span_time: f64 = 2.0, 0.0..=10.0;
    /// Weight of missing work in spans; default 1.5, 0..=10.
    work_missing: f64 = 1.5, 0.0..=10.0;
    /// Weight of new work in spans; default 0.4, 0..=10.
    work_new: f64 = 0.4, 0.0..=10.0;
    /// Weight of failed spans; default 1, 0..=10.
    span_errors: f64 = 1.0, 0.0..=10.0;
    /// Weight of new errors in logs; default 2, 0..=10.
    log_errors: f64 = 2.0, 0.0..=10.0;
    /// Weight of other new lines; default 0.25, 0..=10.
    log_new: f64 = 0.25, 0.0..=10.0;
    /// Weight of missing lines; default 1.5, 0..=10.
    log_missing: f64 = 1.5, 0.0..=10.0;
    /// Share of slowness or wrong outcomes that a callee's explains; default 0.9, 0..=1.
    explained: f64 = 0.9, 0.0..=1.0;
    /// How much less somebody one call further away explains; default 0.95, 0..=1.
    per_call: f64 = 0.95, 0.0..=1.0;
    /// Share of the findings of one kind beyond the strongest that adds to it; default 0.15, 0..=1.
    corroboration: f64 = 0.15, 0.0..=1.0;
}
