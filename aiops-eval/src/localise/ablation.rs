//! The fused localiser without one of its components.

use aiops_core::Error;
use aiops_rca::{FusedLocalizer, FusionConfig};

/// Takes one component out of a configuration.
type Without = fn(&mut FusionConfig);

/// Every component that can be taken out, by name.
const COMPONENTS: [(&str, Without); 13] = [
    ("onset found", |c| c.onset.reach = std::time::Duration::ZERO),
    ("callees explain callers", |c| c.explained = 0.0),
    ("costs along calls", |c| c.unaccounted = 1.0),
    ("roles of metrics", |c| {
        (c.either, c.relief, c.client_side, c.host_metric, c.other) = (1.0, 1.0, 1.0, 1.0, 1.0)
    }),
    ("use of resources", |c| c.idle = 1.0),
    ("time in spans", |c| c.span_time = 0.0),
    ("callee before caller", |c| c.callee_prior = 0.0),
    ("missing work in spans", |c| (c.work_missing, c.work_new) = (0.0, 0.0)),
    ("missing calls in metrics", |c| c.calls_missing = 0.0),
    ("errors in lines", |c| c.log_errors = 0.0),
    ("missing lines", |c| (c.log_missing, c.log_new) = (0.0, 0.0)),
    ("corroboration", |c| c.corroboration = 0.0),
    ("tail of metrics", |c| c.tail = 0.0),
];

/// `localizer` without each of its components.
pub(super) fn without_each(localizer: &FusedLocalizer) -> Result<Vec<(String, FusedLocalizer)>, Error> {
    COMPONENTS
        .iter()
        .map(|(name, without)| {
            let mut config = localizer.config().clone();
            without(&mut config);
            Ok((format!("− {name}"), localizer.clone().with_config(config)?))
        })
        .collect()
}
