//! Floods, hostile input, memory.

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::{Alert, AlertState, EntityId, EntityKind, Severity};
use aiops_detect::correlate::{
    CorrelationStats, Correlator, CorrelatorConfig, CorrelatorOptions, Disposition, Fingerprint, Incident,
    LimitOptions, Priors, RootWeights,
};
use proptest::prelude::*;

use super::{alert, at, calls, critical, knowing, service, with};

fn small(max_alerts: usize, max_incidents: usize) -> CorrelatorOptions {
    CorrelatorOptions { max_alerts, max_incidents, ..CorrelatorOptions::default() }
}

/// Every notification has one count.
fn balanced(s: &CorrelationStats) -> bool {
    let counted = s.new + s.repeated + s.reopened + s.resolved + s.unmatched + s.late + s.held;
    counted + s.limited_entity + s.limited_info + s.limited_warning == s.notifications
}

/// Critical alerts that are listed or folded.
fn critical_ones(incidents: &[Incident]) -> u64 {
    incidents
        .iter()
        .map(|i| {
            let listed = i.members.iter().filter(|m| m.alert.severity == Severity::Critical).count();
            listed as u64 + i.folded.critical
        })
        .sum()
}

/// Alerts of a flood: 20 000, or as many as `AIOPS_ALERT_FLOOD` says (`scripts/alert_flood.sh` says a million).
fn flood() -> u32 {
    std::env::var("AIOPS_ALERT_FLOOD").ok().map_or(20_000, |n| n.parse().expect("a number of alerts"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 0, ..ProptestConfig::default() })]

    /// Of a flood of distinct alerts over any number of services, at any pace, in any mix, every critical one is in an incident: listed while
    /// there is room, which others make first, and counted where it was listed else. Nothing of it outgrows its bound.
    #[test]
    fn critical_alerts_survive_a_flood(
        seed: u64,
        services in 1..5_000_u32,
        every in 2..2_000_u32,
        per_second in 1..20_000_u32,
        max_alerts in 16..6_000_usize,
        max_incidents in 1..1_200_usize,
    ) {
        let max_bytes = 8 << 20;
        let mut correlator = with(CorrelatorOptions { max_bytes, ..small(max_alerts, max_incidents) });
        correlator.set_topology(calls(&["s0>s1", "s1>s2", "s3>s1", "s4>s2"]));
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut sent: BTreeSet<Fingerprint> = BTreeSet::new();
        let (mut closed, mut listed) = (0, BTreeSet::new());
        for i in 0..flood() {
            let t = i64::from(i / per_second);
            let mut alert = alert(&format!("Rule{i}"), &format!("s{}", rng.u32(..services)), t);
            alert.labels.insert("namespace", format!("n{}", rng.u32(..20)));
            let grave = rng.u32(..every) == 0;
            alert.severity = match i % 2 {
                _ if grave => Severity::Critical,
                0 => Severity::Info,
                _ => Severity::Warning,
            };
            let outcome = correlator.push(&alert, at(t));
            if grave {
                prop_assert!(outcome.disposition.incident().is_some(), "{outcome:?}");
                sent.insert(outcome.fingerprint);
            }
            if i % 5_000 == 0 {
                for incident in correlator.advance(at(t)) {
                    closed += critical_ones(std::slice::from_ref(&incident));
                    listed.extend(incident.members.iter().map(|m| m.fingerprint));
                }
                let kept: usize = correlator.incidents().iter().map(|i| i.members.len()).sum();
                prop_assert!(kept <= max_alerts && correlator.open_incidents().count() <= max_incidents);
                // Alerts have their bound; words, rates and incidents have theirs.
                prop_assert!(correlator.memory() < max_bytes + (24 << 20), "{}", correlator.memory());
            }
        }
        let stats = *correlator.stats();
        prop_assert!(balanced(&stats), "{stats:?}");
        let incidents = correlator.incidents();
        prop_assert_eq!(closed + critical_ones(&incidents), sent.len() as u64);
        listed.extend(incidents.iter().flat_map(|i| &i.members).map(|m| m.fingerprint));
        if sent.len() < max_alerts && stats.notifications < 100 * max_alerts as u64 {
            prop_assert!(sent.is_subset(&listed), "others are folded first");
        }
    }
}

/// When even critical alerts are too many to list, they are counted in their incidents.
#[test]
fn a_flood_of_critical_alerts_is_folded_and_not_lost() {
    let mut correlator = with(small(200, 50));
    for i in 0..5_000 {
        let alert = critical(&format!("Down{i}"), &format!("service-{}", i % 400), i / 10);
        let outcome = correlator.push(&alert, at(i / 10));
        assert!(outcome.disposition.incident().is_some());
    }
    let incidents = correlator.incidents();
    assert_eq!(critical_ones(&incidents), 5_000);
    assert!(incidents.iter().all(|i| i.severity == Severity::Critical));
    assert!(incidents.len() <= 50 && incidents.iter().any(|i| i.storm));
    let listed: usize = incidents.iter().map(|i| i.members.len()).sum();
    assert_eq!((listed, correlator.stats().folded), (200, 4_800));
    assert!(
        incidents
            .iter()
            .filter(|i| i.storm)
            .flat_map(Incident::links)
            .any(|l| l.to_string().contains("too many"))
    );
}

#[test]
fn huge_and_hostile_labels_are_cut_and_told_apart() {
    let mut correlator = knowing(&[]);
    let huge = |end: &str| {
        let mut alert = alert(&"n".repeat(100_000), "cart", 0);
        alert.entity = service(&format!("{}é", "s".repeat(1023)));
        for i in 0..1000 {
            alert.labels.insert(format!("label-{i}"), "v".repeat(2_000) + end);
            alert.annotations.insert(format!("{i}\u{0}\n"), "\u{202e}é".repeat(3_000));
        }
        alert
    };
    correlator.push(&huge("a"), at(0));
    correlator.push(&huge("b"), at(0));
    assert_eq!((correlator.stats().new, correlator.stats().trimmed), (2, 2));
    assert!(matches!(correlator.push(&huge("a"), at(1)).disposition, Disposition::Repeated(_)));
    let incident = correlator.incidents().remove(0);
    let kept = &incident.members[0].alert;
    assert_eq!((kept.labels.len(), kept.annotations.len(), kept.name.len()), (64, 64, 1024));
    assert_eq!(kept.entity.name().len(), 1023, "cut before a character, not within");
    assert!(kept.annotations.iter().all(|(_, v)| v.len() <= 1024));
    let empty = Alert::new("", EntityId::new(EntityKind::Pod, ""), at(0), Severity::Info);
    assert!(matches!(correlator.push(&empty, at(0)).disposition, Disposition::New(_)));
}

#[test]
fn bytes_are_bounded_whatever_the_alerts_hold() {
    let max_bytes = 2 << 20;
    let mut correlator = with(CorrelatorOptions { max_bytes, ..CorrelatorOptions::default() });
    for i in 0..2_000 {
        let mut alert = critical(&format!("Down{i}"), &format!("service-{i}"), i);
        for l in 0..30 {
            alert.labels.insert(format!("label{l}"), "x".repeat(1_000));
        }
        correlator.push(&alert, at(i));
        assert!(correlator.memory() < 4 * max_bytes, "{}", correlator.memory());
    }
    assert!(correlator.stats().folded > 1_900);
}

/// One step of a random life.
#[derive(Debug, Clone)]
enum Step {
    Push { rule: u8, about: u8, severity: Severity, resolved: bool, started: i64, pod: u8 },
    Advance,
    Split(usize),
    Change(u8),
    Maintain(u8),
}

fn step() -> impl Strategy<Value = (i64, Step)> {
    let severity = prop_oneof![Just(Severity::Info), Just(Severity::Warning), Just(Severity::Critical)];
    let push = (0..6_u8, 0..8_u8, severity, any::<bool>(), -400..30_i64, any::<u8>()).prop_map(
        |(rule, about, severity, resolved, started, pod)| Step::Push {
            rule,
            about,
            severity,
            resolved,
            started,
            pod,
        },
    );
    let step = prop_oneof![
        20 => push,
        1 => Just(Step::Advance),
        1 => any::<usize>().prop_map(Step::Split),
        1 => (0..8_u8).prop_map(Step::Change),
        1 => (0..8_u8).prop_map(Step::Maintain),
    ];
    // Mostly forward, at times a jump either way.
    (prop_oneof![30 => 0..120_i64, 1 => -100_000..100_000_i64], step)
}

fn drive(correlator: &mut Correlator, now: &mut i64, (by, step): &(i64, Step)) {
    *now += by;
    let t = *now;
    match step {
        Step::Push { rule, about, severity, resolved, started, pod } => {
            let mut alert = alert(&format!("Rule{rule}"), &format!("s{about}"), t + started);
            alert.severity = *severity;
            alert.labels.insert("pod", format!("p{pod}"));
            if *resolved {
                alert.state = AlertState::Resolved;
            }
            correlator.push(&alert, at(t));
        }
        Step::Advance => drop(correlator.advance(at(t))),
        Step::Split(n) => {
            let incidents = correlator.incidents();
            if let Some(incident) = incidents.get(n % incidents.len().max(1)) {
                let half = incident.members.iter().take(incident.members.len() / 2).map(|m| m.id).collect();
                let _ = correlator.split(incident.number, &half, at(t));
            }
        }
        Step::Change(about) => correlator.change(aiops_core::model::Change::new(
            format!("c{t}-{about}"),
            at(t),
            aiops_core::model::ChangeKind::Deployment,
            service(&format!("s{about}")),
            "deployed",
        )),
        Step::Maintain(about) => correlator.announce(aiops_detect::correlate::MaintenanceWindow::new(
            format!("m{about}"),
            aiops_core::model::TimeRange::new(at(t), at(t + 600)).unwrap(),
            [service(&format!("s{about}"))],
        )),
    }
}

fn tight() -> CorrelatorOptions {
    let limits = LimitOptions { warning_per_minute: 10, warning_burst: 8, ..LimitOptions::default() };
    CorrelatorOptions {
        max_alerts: 24,
        max_incidents: 6,
        text_after: 10,
        limits,
        ..CorrelatorOptions::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes: counts balance, members are in one incident each, the books agree with the incidents, and what is stored and
    /// restored in between goes on alike.
    #[test]
    fn books_balance(steps in prop::collection::vec(step(), 1..160), cut in 0..160_usize) {
        let mut correlator = with(tight());
        correlator.set_topology(calls(&["s0>s1", "s1>s2", "s3>s2", "s4>s5", "s5>s6"]));
        let mut restored: Option<Correlator> = None;
        let (mut now, mut again) = (0, 0);
        for (i, step) in steps.iter().enumerate() {
            if i == cut {
                let stored = serde_json::to_string(&correlator).unwrap();
                restored = Some(serde_json::from_str(&stored).unwrap());
                prop_assert_eq!(restored.as_ref().unwrap(), &correlator);
                again = now;
            }
            drive(&mut correlator, &mut now, step);
            if let Some(copy) = &mut restored {
                drive(copy, &mut again, step);
            }
            prop_assert!(balanced(correlator.stats()), "{:?}", correlator.stats());
            let incidents = correlator.incidents();
            let mut seen = BTreeMap::new();
            for incident in &incidents {
                for member in &incident.members {
                    prop_assert!(seen.insert(member.id, incident.number).is_none());
                    prop_assert!(member.alert.severity <= incident.severity);
                    prop_assert!(incident.onsets.start() <= member.onset && member.onset <= incident.onsets.end());
                }
                prop_assert!((0.0..=1.0).contains(&incident.score));
                prop_assert!(!incident.members.is_empty() || incident.folded.total() > 0);
            }
            // An incident may be split beyond what may be opened, and nothing else may.
            prop_assert!(seen.len() + correlator.quiet().count() <= 24);
        }
        if let Some(copy) = restored {
            prop_assert_eq!(copy, correlator);
        }
    }
}

#[test]
fn options_are_checked() {
    let field = |change: fn(&mut CorrelatorOptions)| {
        let mut options = CorrelatorOptions::default();
        change(&mut options);
        CorrelatorConfig::try_from(options).unwrap_err().field()
    };
    use std::time::Duration;
    assert_eq!(field(|o| o.threshold = f64::NAN), "threshold");
    assert_eq!(field(|o| o.threshold = 1.0), "threshold");
    assert_eq!(field(|o| o.horizon = Duration::ZERO), "horizon");
    assert_eq!(field(|o| o.change_window = Duration::from_millis(999)), "change_window");
    assert_eq!(field(|o| o.change_lookback = Duration::from_secs(1799)), "change_lookback");
    assert_eq!(field(|o| o.close_after = Duration::from_secs(1)), "close_after");
    assert_eq!(field(|o| o.late_within = Duration::from_secs(1_000_000)), "late_within");
    assert_eq!(field(|o| o.max_alerts = 1), "max_alerts");
    assert_eq!(field(|o| o.priors.text = 1.5), "priors.text");
    assert_eq!(field(|o| o.priors.further = 0.0), "priors.further");
    assert_eq!(field(|o| o.priors.decay = 2.0), "priors.decay");
    assert_eq!(field(|o| o.priors.gaps = 0.0), "priors.gaps");
    assert_eq!(field(|o| o.priors.propagation = Duration::ZERO), "priors.propagation");
    assert_eq!(field(|o| o.priors.entities = 1), "priors.entities");
    assert_eq!(field(|o| (o.priors.same, o.priors.apart) = (0.6, 0.5)), "priors.apart");
    assert_eq!(field(|o| o.root.onset = -1.0), "root.onset");
    assert_eq!(field(|o| o.limits.info_burst = 0), "limits.info_burst");
    let none = RootWeights { coverage: 0.0, onset: 0.0, breadth: 0.0, severity: 0.0, change: 0.0 };
    assert_eq!(
        CorrelatorConfig::try_from(CorrelatorOptions { root: none, ..Default::default() })
            .unwrap_err()
            .field(),
        "root"
    );
    assert!(serde_json::from_str::<Priors>(r#"{"textt": 0.1}"#).is_err());
    let stored = serde_json::to_string(&CorrelatorConfig::default()).unwrap();
    assert_eq!(serde_json::from_str::<CorrelatorConfig>(&stored).unwrap(), CorrelatorConfig::default());
}
