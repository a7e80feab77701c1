use std::time::Duration;

use aiops_core::Result;
use aiops_core::model::duration;
use serde::{Deserialize, Serialize};

use crate::config::{out_of_range, positive, within};
use crate::onset::OnsetConfig;

macro_rules! settings {
    (
        counts { $($(#[$count_doc:meta])* $count:ident = $number:literal;)+ }
        numbers { $($(#[$doc:meta])* $name:ident = $value:literal, $low:literal..=$high:literal;)+ }
    ) => {
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
            /// How the onset is found about the time that is stated.
            pub onset: OnsetConfig,
            $($(#[$count_doc])* pub $count: usize,)+
            $($(#[$doc])* pub $name: f64,)+
        }

        impl Default for FusionConfig {
            fn default() -> Self {
                Self {
                    recent: Duration::from_secs(7200),
                    guard: Duration::from_secs(60),
                    onset: OnsetConfig::default(),
                    $($count: $number,)+
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
                self.onset.validate()?;
                $(if self.$count == 0 {
                    return Err(out_of_range(stringify!($count), self.$count, "1 or more"));
                })+
                $(within(stringify!($name), self.$name, $low, $high)?;)+
                Ok(())
            }
        }
    };
}

settings! {
    counts {
        /// Fewest samples to compare with lately or the reference alone; default 8, 1 or more.
        least_samples = 8;
        /// Last samples that tell what a device does now; default 4, 1 or more.
        lately = 4;
        /// Fewest spans of a call type on either side; default 3, 1 or more.
        least_spans = 3;
        /// Fewest spans of an operation on either side to compare how many children they have; default 20, 1 or more.
        many_spans = 20;
        /// Most findings a suspect cites; default 8, 1 or more.
        citations = 8;
        /// First suspects whose path is told; default 20, 1 or more. The path of others is themselves.
        paths = 20;
        /// Longest chain of calls along which costs are followed; default 32, 1 or more.
        longest_chain = 32;
        /// First words that stand for a line that does not name its place in the code; default 8, 1 or more.
        place_words = 8;
    }
    numbers {
        /// Standard errors in one unit of strength, which is ln(1 + z / `unit`); default 3, 0.1..=100.
        unit = 3.0, 0.1..=100.0;
        /// Standard errors from which more are no surer; default 100, 1..=1e6.
        most_z = 100.0, 1.0..=1e6;
        /// Quantile of the samples since the fault that is compared with the norm (and its mirror image); default 0.75,
        /// 0.5..=1: part of the window may lie before or after the fault.
        reach = 0.75, 0.5..=1.0;
        /// Least scale of a metric as a share of its median; default 0.02, 0..=1.
        relative_floor = 0.02, 0.0..=1.0;
        /// Weight of a shift where either direction may be harm; default 0.6, 0..=1.
        either = 0.6, 0.0..=1.0;
        /// Weight of a shift to the good; default 0.15, 0..=1.
        relief = 0.15, 0.0..=1.0;
        /// Weight of what an entity measures as a client; default 0.1, 0..=1.
        client_side = 0.1, 0.0..=1.0;
        /// Weight of a metric of the machine; default 0.2, 0..=1.
        host_metric = 0.2, 0.0..=1.0;
        /// Least scale of a share of failures, in the unit of the metric's norm; default 0.001, 0..=1.
        failure_floor = 0.001, 0.0..=1.0;
        /// Utilisation, in percent, from which a resource counts in full; default 50, 1..=100.
        busy = 50.0, 1.0..=100.0;
        /// Least weight of a resource that is hardly used; default 0.1, 0..=1.
        idle = 0.1, 0.0..=1.0;
        /// Most that certainty adds to latency and failures as metrics say; default 1.4 (nine standard errors), 0..=10.
        sure = 1.4, 0.0..=10.0;
        /// Least weight of latency or failures that nothing tells to have reached the symptom; default 0.1, 0..=1.
        unaccounted = 0.1, 0.0..=1.0;
        /// Weight of latency as a metric says where spans tell it better; default 0.3, 0..=1.
        told_by_spans = 0.3, 0.0..=1.0;
        /// Weight of latency where the symptom is failures, and the other way round; default 0.2, 0..=1.
        beside_symptom = 0.2, 0.0..=1.0;
        /// Variance of counts beyond Poisson's, as a share of the squared mean; default 0.02, 0..=1.
        overdispersion = 0.02, 0.0..=1.0;
        /// Weakest finding to keep; default 0.02, 0..=10.
        least_strength = 0.02, 0.0..=10.0;
        /// Standard errors from which time counts as added; default 3, 0..=100.
        least_z = 3.0, 0.0..=100.0;
        /// Drift of span times that is no finding, as a share; default 0.1, 0..=10.
        time_drift = 0.1, 0.0..=10.0;
        /// How many times longer it must take for a place to count in full though it adds little to the whole; default 30,
        /// 1..=1e6.
        many_times = 30.0, 1.0..=1e6;
        /// Share of one call's added time from which another of the same entity counts as slow too; default 0.1, 0..=1.
        likewise = 0.1, 0.0..=1.0;
        /// Growth of memory, as a share, from which it counts in full; default 0.5, 0.01..=100.
        growth = 0.5, 0.01..=100.0;
        /// Weight of errors that others wrote when all was well; default 0.3, 0..=1.
        common_errors = 0.3, 0.0..=1.0;
        /// How much more time between two entities is held against the callee where nothing tells; default 0.25, 0..=10.
        callee_prior = 0.25, 0.0..=10.0;
        /// How much more an error about a call is held against the one called, whom it names; default 3, 0..=100.
        accused_prior = 3.0, 0.0..=100.0;
        /// Share of what callers say of somebody that answers as ever which is not believed; default 0.9, 0..=1.
        vouched = 0.9, 0.0..=1.0;
        /// Share of the copies of something that must show the same for it to be the whole's; default 0.6, 0..=1.
        most_copies = 0.6, 0.0..=1.0;
        /// Share of the strongest copy's finding from which another shows the same; default 0.4, 0..=1.
        alike = 0.4, 0.0..=1.0;
        /// Utilisation of a machine, in percent, from which it counts in full; default 80, 1..=100.
        machine_busy = 80.0, 1.0..=100.0;
        /// Strength of a machine's finding from which it explains half of its residents' slowness and failures; default 1, 0.01..=10.
        sick_machine = 1.0, 0.01..=10.0;
        /// Rise of what is asked for from outside, or of calls for each request, as a multiple of its norm, from which it counts; default 1.5, 1..=1000.
        load_rise = 1.5, 1.0..=1000.0;
        /// Weight of load from outside; default 2, 0..=10.
        load = 2.0, 0.0..=10.0;
        /// Weight of calls made more often for each request; default 2, 0..=10.
        calls_more = 2.0, 0.0..=10.0;
        /// Share of spans from which a child counts as always there; default 0.9, 0..=1.
        always = 0.9, 0.0..=1.0;
        /// How much the number of children of an operation's spans varies with what is asked for, as a share; default 0.05,
        /// 0..=1.
        mix_drift = 0.05, 0.0..=1.0;
        /// Lines to be expected from which their absence says something; default 3, 0..=1e6.
        least_expected = 3.0, 0.0..=1e6;
        /// Weight of processor, memory and the like; default 1, 0..=10.
        resource = 1.0, 0.0..=10.0;
        /// Weight of latency as a metric says; default 1, 0..=10.
        latency = 1.0, 0.0..=10.0;
        /// Weight of failures as a metric says; default 1.2, 0..=10.
        errors = 1.2, 0.0..=10.0;
        /// Weight of traffic; default 0.3, 0..=10.
        traffic = 0.3, 0.0..=10.0;
        /// Weight of metrics of unknown meaning and of network counters; default 0.2, 0..=10.
        other = 0.2, 0.0..=10.0;
        /// Weight of time added in spans; default 2, 0..=10.
        span_time = 2.0, 0.0..=10.0;
        /// Weight of missing work in spans; default 1.5, 0..=10.
        work_missing = 1.5, 0.0..=10.0;
        /// Weight of calls that metrics say are no longer made; default 1.5, 0..=10.
        calls_missing = 1.5, 0.0..=10.0;
        /// Weight of new work in spans; default 0.4, 0..=10.
        work_new = 0.4, 0.0..=10.0;
        /// Weight of failed spans; default 1, 0..=10.
        span_errors = 1.0, 0.0..=10.0;
        /// Weight of new errors in logs; default 2, 0..=10.
        log_errors = 2.0, 0.0..=10.0;
        /// Weight of other new lines; default 0.25, 0..=10.
        log_new = 0.25, 0.0..=10.0;
        /// Weight of missing lines; default 1.5, 0..=10.
        log_missing = 1.5, 0.0..=10.0;
        /// Weight of being the one whose metrics lie out furthest, whatever they mean; half of it for the second, a third for the
        /// third: it orders those of whom nothing else is known. Default 0.1, 0..=10.
        tail = 0.1, 0.0..=10.0;
        /// Share of slowness or wrong outcomes that a callee's explains; default 0.9, 0..=1.
        explained = 0.9, 0.0..=1.0;
        /// How much less somebody one call further away explains; default 0.95, 0..=1.
        per_call = 0.95, 0.0..=1.0;
        /// Share of the findings of one symptom beyond the strongest that adds to it; default 0.15, 0..=1.
        corroboration = 0.15, 0.0..=1.0;
        /// Most that they add, in findings as strong as the strongest; default 4, 0..=100.
        corroborating = 4.0, 0.0..=100.0;
        /// Weight of what a device or its machine reports of itself; default 2, 0..=10.
        device = 2.0, 0.0..=10.0;
        /// Weight of an error that memory or a link corrected by itself; default 0.15, 0..=10.
        corrected = 0.15, 0.0..=10.0;
        /// Weight of errors that a program made on a device; default 2, 0..=10.
        program = 2.0, 0.0..=10.0;
        /// Weight of a rank that does other than its peers; default 2, 0..=10.
        out_of_step = 2.0, 0.0..=10.0;
        /// Weight of jobs that wait though there is room; default 2, 0..=10.
        starvation = 2.0, 0.0..=10.0;
        /// Weight of a change of what those suffer by who suffer, or of themselves; default 1.5, 0..=10.
        rolled_out = 1.5, 0.0..=10.0;
        /// Seconds between a change and the fault over which the change becomes a third as likely the reason; default 600,
        /// 1..=86400.
        change_decay = 600.0, 1.0..=86400.0;
        /// Utilisation, in percent, from which a device is at work; default 50, 1..=100.
        device_busy = 50.0, 1.0..=100.0;
        /// Utilisation, in percent, below which a device is free; default 5, 0..=100.
        device_free = 5.0, 0.0..=100.0;
        /// Share of its clock that a device at work must lose to be slowed down; default 0.1, 0..=1.
        clock_lost = 0.1, 0.0..=1.0;
        /// Largest share of a job's devices that may be the exception; default 0.25, 0..=1.
        odd_ranks = 0.25, 0.0..=1.0;
        /// Share of the devices no job holds that must be free for waiting jobs to starve; default 0.2, 0..=1.
        free_devices = 0.2, 0.0..=1.0;
        /// Score of the first at which its confidence is half of what its distance from the second says; default 0.5, 0..=10.
        half_sure = 0.5, 0.0..=10.0;
        /// Share of the strongest finding below which another does not decide the kind of fault; default 0.5, 0..=1.
        weak = 0.5, 0.0..=1.0;
        /// Strength of a resource's finding that decides the kind of fault whatever else was found; default 0.5 (two standard
        /// errors of a resource in full use), 0..=10.
        certain = 0.5, 0.0..=10.0;
        /// Share of a busy processor's finding from which growing memory is the reason; default 0.75, 0..=10.
        fills = 0.75, 0.0..=10.0;
    }
}

impl FusionConfig {
    /// ln(1 + z / unit): adding evidence to what is already certain adds little.
    pub(super) fn strength(&self, z: f64) -> f64 {
        if z.is_nan() { 0.0 } else { (z.clamp(0.0, self.most_z) / self.unit).ln_1p() }
    }
}
