//! Other log miners in Rust, with the parameters that the Drain paper and Drain3 recommend.

/// The `drain3` crate.
#[must_use]
pub fn drain3() -> drain3::Matcher {
    drain3::Matcher::new(drain3::Config::default())
}

/// The `drain-rs` crate.
#[cfg(feature = "peer-drain-rs")]
#[must_use]
pub fn drain_rs() -> drain_rs::DrainTree {
    drain_rs::DrainTree::new().max_depth(4).max_children(100).min_similarity(0.4)
}
