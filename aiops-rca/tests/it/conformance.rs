//! The contract of the `Localizer` seam.

use aiops_core::seam::Localizer;
use aiops_rca::{Baseline, FusedLocalizer, TopologyLocalizer};
use aiops_testkit::conformance::{LocalizerFixture, localizer};
use aiops_testkit::sample;
use futures_lite::future::block_on;

/// All clauses hold; none is skipped.
fn conforms(subject: &dyn Localizer) {
    let anomalies = sample::case().anomalies().to_vec();
    let fixture = LocalizerFixture::new(sample::context(), sample::window(), anomalies);
    block_on(localizer(subject, &fixture)).assert_counts(10, 0);
}

#[test]
fn the_fused_localizer() {
    conforms(&FusedLocalizer::default());
}

#[test]
fn the_localizer_by_topology() {
    conforms(&TopologyLocalizer::default());
}

#[test]
fn every_baseline() {
    for baseline in Baseline::ALL {
        conforms(&baseline);
    }
}
