//! Incidents that are told of in the field, and the faults that play them.

/// Scenarios by number, each with the faults of the catalogue that are its like: a silent roll-out that leaks and cascades, a
/// database without connections, a query without an index, a noisy tenant, cold starts, a release that deadlocks, a crowd, a
/// hanging collective and a storm of memory errors on GPUs, an exploited package.
pub const SCENARIOS: [(&str, &[&str]); 9] = [
    ("SCN-01", &["composite-silent-rollout-cascades"]),
    ("SCN-02", &["resource-database-connections"]),
    ("SCN-03", &["code-missing-index"]),
    ("SCN-05", &["load-noisy-tenant"]),
    ("SCN-06", &["load-cold-starts"]),
    ("SCN-07", &["code-deadlocking-release"]),
    ("SCN-08", &["load-flash-crowd"]),
    ("SCN-09", &["gpu-hang-of-one-rank", "gpu-memory-storm"]),
    ("SCN-10", &["security-exploited-package"]),
];

/// Whether the fault `id` is meant by `only`: the number of a scenario, or how ids begin.
#[must_use]
pub fn is_meant(only: &str, id: &str) -> bool {
    match SCENARIOS.iter().find(|(scenario, _)| *scenario == only) {
        Some((_, faults)) => faults.contains(&id),
        None => id.starts_with(only),
    }
}
