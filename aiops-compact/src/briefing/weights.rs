use serde::{Deserialize, Serialize};

use crate::error::{ConfigError, check};

macro_rules! weights {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $low:literal..=$high:literal, $allowed:literal;)+) => {
        /// What a finding of a window is worth on the scale common to all modalities (see
        /// [`Finding::with_strength`](super::Finding::with_strength)). Plain fields with the defaults that are documented
        /// on each; [`WeightConfig`] holds a checked set.
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct WeightOptions {
            /// Fewest calls on either side to compare times, or what an operation does; 2 to 10⁶. Default 3.
            pub min_calls: u64,
            $($(#[$doc])* pub $name: f64,)+
        }

        impl Default for WeightOptions {
            fn default() -> Self {
                Self { min_calls: 3, $($name: $value,)+ }
            }
        }

        fn checked(o: &WeightOptions) -> Result<(), ConfigError> {
            $(check(stringify!($name), o.$name, $low..=$high, $allowed)?;)+
            Ok(())
        }
    };
}

weights! {
    /// How sure it must be that a call takes longer, in standard errors; 1 to 100. Default 2.
    min_sigma = 2.0, 1.0..=100.0, "1 to 100";
    /// Drift of times that load and neighbours cause anyway, as a share; 0 to 10. Default 0.1.
    time_drift = 0.1, 0.0..=10.0, "0 to 10";
    /// How many times longer a call must take to count in full though it adds little to the whole; 1 to 10⁶. Default 30.
    many_times = 30.0, 1.0..=1e6, "1 to 10^6";
    /// Share of one gap's time from which another gap of the same end counts as slow too; 0 to 1. Default 0.1.
    likewise = 0.1, 0.0..=1.0, "0 to 1";
    /// How much more a gap is held against the callee where nothing tells; 0 to 10. Default 0.25.
    callee_prior = 0.25, 0.0..=10.0, "0 to 10";
    /// Share of an operation's calls from which a child counts as always there; 0.5 to 1. Default 0.9.
    always = 0.9, 0.5..=1.0, "0.5 to 1";
    /// Calls of an operation on either side from which its number of children is compared; 2 to 10⁶. Default 20.
    many_calls = 20.0, 2.0..=1e6, "2 to 10^6";
    /// How much the number of an operation's children varies with what is asked for, as a share; 0 to 1. Default 0.05.
    mix_drift = 0.05, 0.0..=1.0, "0 to 1";
    /// Variance of counts beyond Poisson's, as a share of the squared mean; 0 to 1. Default 0.02.
    overdispersion = 0.02, 0.0..=1.0, "0 to 1";
    /// Lines to be expected from which their absence says something; 0 to 10⁶. Default 3.
    min_expected = 3.0, 0.0..=1e6, "0 to 10^6";
    /// Weight of time added in spans; 0 to 10. Default 2.
    added_time = 2.0, 0.0..=10.0, "0 to 10";
    /// Weight of work that an operation always did and does no more; 0 to 10. Default 1.5.
    missing_work = 1.5, 0.0..=10.0, "0 to 10";
    /// Weight of work not seen before; 0 to 10. Default 0.4.
    new_work = 0.4, 0.0..=10.0, "0 to 10";
    /// Weight of spans that fail by themselves; 0 to 10. Default 1.
    failed_spans = 1.0, 0.0..=10.0, "0 to 10";
    /// Weight of new lines of severity error and above; 0 to 10. Default 2.
    error_lines = 2.0, 0.0..=10.0, "0 to 10";
    /// Factor on error lines that others wrote when all was well; 0 to 1. Default 0.3.
    common_errors = 0.3, 0.0..=1.0, "0 to 1";
    /// Weight of other new lines; 0 to 10. Default 0.25.
    new_lines = 0.25, 0.0..=10.0, "0 to 10";
    /// Weight of lines that are missing though the work that wrote them is there; 0 to 10. Default 1.5.
    missing_lines = 1.5, 0.0..=10.0, "0 to 10";
    /// Weight of processor, memory, pools and the like; 0 to 10. Default 1.
    resource = 1.0, 0.0..=10.0, "0 to 10";
    /// Weight of latency as a metric says; 0 to 10. Default 1.
    latency = 1.0, 0.0..=10.0, "0 to 10";
    /// Weight of failures as a metric says; 0 to 10. Default 1.2.
    failures = 1.2, 0.0..=10.0, "0 to 10";
    /// Smallest scale of a metric of failures or successes as a share of its level, in place of
    /// [`DeviationOptions::relative_floor`](crate::deviation::DeviationOptions::relative_floor) and `constant_floor`; 0 to 1.
    /// The default 0.001 makes 99.5 % of successes where there were 100 % a deviation.
    failure_floor = 0.001, 0.0..=1.0, "0 to 1";
    /// Share of words from which two templates of a writer may be one statement with other values; 0 to 1. Default 0.5.
    same_statement = 0.5, 0.0..=1.0, "0 to 1";
    /// Weight of traffic; 0 to 10. Default 0.3.
    traffic = 0.3, 0.0..=10.0, "0 to 10";
    /// Weight of metrics of unknown meaning and of network counters; 0 to 10. Default 0.2.
    other = 0.2, 0.0..=10.0, "0 to 10";
    /// Factor on a shift where either direction may be harm; 0 to 1. Default 0.6.
    either = 0.6, 0.0..=1.0, "0 to 1";
    /// Factor on a shift to the good; 0 to 1. Default 0.15.
    relief = 0.15, 0.0..=1.0, "0 to 1";
    /// Factor on what an entity measures as a client, which tells as much about the one it calls; 0 to 1. Default 0.1.
    client_side = 0.1, 0.0..=1.0, "0 to 1";
    /// Factor on metrics of the machine, which everyone on it shows; 0 to 1. Default 0.2.
    host_metric = 0.2, 0.0..=1.0, "0 to 1";
    /// Factor on latency as a metric says where spans tell it better; 0 to 1. Default 0.3.
    told_by_spans = 0.3, 0.0..=1.0, "0 to 1";
    /// Most that certainty adds to latency and failures as metrics say; 0 to 10. Default 1.4: some nine σ.
    sure = 1.4, 0.0..=10.0, "0 to 10";
    /// Least factor on latency or failures that cost next to nothing of what all requests lose; 0 to 1. Default 0.1.
    unaccounted = 0.1, 0.0..=1.0, "0 to 1";
    /// Utilisation, in percent, from which a resource counts in full; 1 to 100. Default 50.
    busy = 50.0, 1.0..=100.0, "1 to 100";
    /// Least factor on a resource that is hardly used; 0 to 1. Default 0.1.
    idle = 0.1, 0.0..=1.0, "0 to 1";
    /// Growth of memory, as a share, from which it counts in full; 0.01 to 100. Default 0.5.
    growth = 0.5, 0.01..=100.0, "0.01 to 100";
    /// Share of slowness, or of wrong outcomes, that those of a callee explain in its callers; 0 to 1. Default 0.9.
    explained = 0.9, 0.0..=1.0, "0 to 1";
    /// How much less somebody one call further away explains; 0 to 1. Default 0.95.
    per_call = 0.95, 0.0..=1.0, "0 to 1";
}

/// Checked [`WeightOptions`].
///
/// ```
/// use aiops_compact::briefing::{WeightConfig, WeightOptions};
/// let error = WeightConfig::try_from(WeightOptions { explained: 1.5, ..Default::default() }).unwrap_err();
/// assert_eq!(error.field(), "explained");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WeightOptions", into = "WeightOptions")]
pub struct WeightConfig(WeightOptions);

impl WeightConfig {
    /// The weights.
    #[must_use]
    pub fn options(&self) -> &WeightOptions {
        &self.0
    }
}

impl From<WeightConfig> for WeightOptions {
    fn from(config: WeightConfig) -> Self {
        config.0
    }
}

impl TryFrom<WeightOptions> for WeightConfig {
    type Error = ConfigError;

    fn try_from(options: WeightOptions) -> Result<Self, ConfigError> {
        if !(2..=1_000_000).contains(&options.min_calls) {
            return Err(ConfigError::new("min_calls", options.min_calls, "2 to 1000000 calls"));
        }
        checked(&options)?;
        Ok(Self(options))
    }
}
