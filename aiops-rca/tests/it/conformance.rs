//! The contracts of the seams, kept by what this crate offers.

use aiops_core::model::{EdgeKind, EntityId};
use aiops_core::seam::Localizer;
use aiops_core::{Case, CasePart};
use aiops_rca::{
    Baseline, FusedLocalizer, LocalizerConfig, MetricRoles, RuleRca, RuleRcaConfig, TopologyLocalizer,
};
use aiops_testkit::conformance::{self, LocalizerFixture, RcaFixture, localizer};
use aiops_testkit::sample;
use futures_lite::future::block_on;

fn ranked() -> Case {
    let mut case = sample::case();
    let localizer = TopologyLocalizer::new(MetricRoles::default(), LocalizerConfig::default()).unwrap();
    let ranking = localizer.rank(case.window().unwrap(), case.anomalies());
    case.localize(sample::now(), ranking);
    case
}

#[test]
fn root_cause() {
    let rca = RuleRca::new(MetricRoles::default(), RuleRcaConfig::default()).unwrap();
    let mut fixture = RcaFixture::new(sample::context(), ranked());
    fixture.dark = Some(sample::dark_case());
    block_on(conformance::rca(&rca, &fixture)).assert_counts(13, 0);
}

#[test]
fn root_cause_on_observations() {
    let rca = RuleRca::default();
    let mut case = sample::case();
    let localizer = FusedLocalizer::default();
    let localize = aiops_core::seam::Localizer::localize;
    let ctx = sample::context();
    let ranking = block_on(localize(&localizer, case.window().unwrap(), case.anomalies(), &ctx)).unwrap();
    assert!(ranking.suspects.iter().any(|s| !s.observations.is_empty()));
    case.localize(sample::now(), ranking);
    let mut fixture = RcaFixture::new(ctx, case);
    // Observed, and nothing in it but a gap.
    let mut dark = sample::dark_case();
    let mut window = sample::window();
    window.topology.connect(EntityId::service("a"), EntityId::service("b"), EdgeKind::Calls);
    dark.push(sample::now(), CasePart::Observed(Box::new(window)));
    fixture.dark = Some(dark);
    block_on(conformance::rca(&rca, &fixture)).assert_counts(13, 0);
}

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
