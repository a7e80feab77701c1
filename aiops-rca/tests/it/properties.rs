use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::{EdgeKind, EntityId, MetricKind, Ranking, SeriesKey, Shape};
use proptest::prelude::*;

use crate::world::{World, service};

/// A system of up to 6 services with calls among them, and deviations of random size.
fn world() -> impl Strategy<Value = World> {
    let calls = prop::collection::vec((0..6_usize, 0..6_usize), 0..10);
    let signal = (0..6_usize, 0..5_usize, 5..55_i64, 1.5..40.0_f64);
    (calls, prop::collection::vec(signal, 1..12)).prop_map(|(calls, signals)| {
        let mut world = World::new();
        for i in 0..6 {
            world.copy(&format!("s{i}"), &format!("s{i}-1"));
            world.copy(&format!("s{i}"), &format!("s{i}-2"));
        }
        for (from, to) in calls {
            if from != to {
                world.window.topology.connect(
                    service(&format!("s{from}")),
                    service(&format!("s{to}")),
                    EdgeKind::Calls,
                );
            }
        }
        let mut there = BTreeSet::new();
        for (n, (of, which, onset, times)) in signals.into_iter().enumerate() {
            // A detector finds a signal once.
            if !there.insert((of, which, n % 2)) {
                continue;
            }
            let (name, kind) = [
                ("p95(http_server_request_duration_seconds)", MetricKind::Quantile),
                ("rate(http_server_errors_total)", MetricKind::Rate),
                ("rate(http_server_requests_total)", MetricKind::Rate),
                ("process_resident_memory_bytes", MetricKind::Gauge),
                ("db_pool_pending_requests", MetricKind::Gauge),
            ][which];
            let id = EntityId::instance(format!("s{of}-{}", n % 2 + 1));
            // Distinct sizes, so that no two suspects tie by accident.
            let value = times + 1e-3 * n as f64;
            world.deviates(&id, SeriesKey::new(name), kind, Shape::LevelShiftUp, onset, 1.0, value);
        }
        world
    })
}

fn scores(ranking: &Ranking, back: impl Fn(&EntityId) -> EntityId) -> BTreeMap<EntityId, i64> {
    // To nine digits: sums may be taken in another order.
    ranking.suspects.iter().map(|s| (back(&s.entity), (s.score * 1e9).round() as i64)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn renaming_permutes_the_ranking(world in world(), shift in 1..6_usize) {
        let turn = |id: &EntityId, by: usize| {
            let (digit, rest) = id.name()[1..].split_at(1);
            let i: usize = digit.parse().unwrap();
            EntityId::new(id.kind(), format!("s{}{rest}", (i + by) % 6))
        };
        let renamed = world.renamed(|id| turn(id, shift));
        let (plain, turned) = (world.ranking(), renamed.ranking());
        prop_assert_eq!(scores(&plain, Clone::clone), scores(&turned, |id| turn(id, 6 - shift)));
    }

    #[test]
    fn an_unrelated_healthy_service_changes_nothing(world in world()) {
        let mut more = world.clone();
        more.copy("zz-bystander", "zz-bystander-1");
        more.copy("aa-bystander", "aa-bystander-1");
        more.calls("zz-bystander", "aa-bystander");
        let (plain, with) = (world.ranking(), more.ranking());
        prop_assert_eq!(&plain.suspects, &with.suspects);
        prop_assert_eq!(world.diagnosis().hypotheses, more.diagnosis().hypotheses);
    }

    #[test]
    fn the_same_input_gives_the_same_bytes(world in world()) {
        let json = |w: &World| serde_json::to_string(&(w.ranking(), w.diagnosis())).unwrap();
        let mut shuffled = world.clone();
        shuffled.window.metrics.reverse();
        shuffled.anomalies.reverse();
        prop_assert_eq!(json(&world), json(&world));
        prop_assert_eq!(json(&world), json(&shuffled));
    }

    #[test]
    fn scores_are_finite_confidences_in_range_and_citations_there(world in world()) {
        let (case, ranking) = world.ranked();
        for s in &ranking.suspects {
            prop_assert!(s.score.is_finite() && s.score > 0.0);
            prop_assert!(s.path.contains(&s.entity));
            prop_assert!(s.evidence.iter().all(|e| case.cited(e).is_some()));
        }
        // Answers to who and what kind exclude each other; mechanisms of one answer do not.
        let mut answers: BTreeMap<(EntityId, String), f64> = BTreeMap::new();
        for h in world.diagnosis().hypotheses {
            let answer = answers.entry((h.system, h.fault.to_string())).or_default();
            *answer = answer.max(h.confidence.probability());
        }
        let sum: f64 = answers.values().sum();
        prop_assert!(sum <= 1.0 + 1e-9, "{}", sum);
    }
}
