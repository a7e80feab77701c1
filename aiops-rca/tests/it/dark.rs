use aiops_core::model::{
    CollectorHealth, DiagnosisStatus, EdgeKind, EntityId, EntityKind, MetricKind, SeriesKey, Shape, Signal,
};

use crate::world::World;

#[test]
fn a_suspect_that_cannot_be_seen_is_dark_and_says_what_to_instrument() {
    let mut world = World::shop();
    let bank = EntityId::new(EntityKind::External, "bank");
    world.window.topology.connect(EntityId::service("orders"), bank.clone(), EdgeKind::Calls);
    let mut gap = CollectorHealth::new(Signal::Metrics);
    (gap.entity, gap.note) = (Some(bank.clone()), Some("no endpoint".into()));
    world.window.health.push(gap);
    for copy in ["orders-1", "orders-2"] {
        let key = SeriesKey::new("p95(http_client_request_duration_seconds)").with("peer_service", "bank");
        world.deviates(
            &EntityId::instance(copy),
            key,
            MetricKind::Quantile,
            Shape::LevelShiftUp,
            40,
            0.05,
            2.0,
        );
    }
    let diagnosis = world.diagnosis();
    let DiagnosisStatus::ObservabilityDark { missing } = &diagnosis.status else { panic!("{diagnosis:#?}") };
    assert!(missing.iter().any(|m| m.contains("request rate, errors and duration of external/bank")));
    assert!(missing.iter().any(|m| m.contains("no endpoint")), "{missing:?}");
    assert_eq!(diagnosis.hypotheses[0].system, bank);
    assert!(diagnosis.cause().is_none());
}
