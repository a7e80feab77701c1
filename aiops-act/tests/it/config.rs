//! Bad settings are refused with the name of the field.

use std::collections::BTreeMap;
use std::fmt::Debug;

use aiops_act::capacity::{CriticalLast, CriticalLastConfig, SizingConfig, TrialConfig};
use aiops_act::guards::{
    ActionCap, BandsConfig, BlastRadiusCap, BlastRadiusConfig, BreakerConfig, CapConfig, CircuitBreaker,
    ConfidenceBands, RateSpike, RiskTiers, SpikeConfig, TiersConfig,
};
use aiops_act::{
    Learned, LearnedConfig, LivenessCheck, PlannerConfig, RemedyPlanner, TelemetryVerifier, TrafficCheck,
    VerifierConfig,
};
use aiops_core::action::{ActionKind, Risk};
use aiops_core::fake::InMemorySource;
use aiops_core::{ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Builds from the defaults with each of `bad` set, and checks that the error names field and allowed range.
fn refuses<C, T: Debug>(build: impl Fn(C) -> Result<T>, defaults: &Value, bad: &[(&str, Value)])
where
    C: DeserializeOwned,
{
    build(serde_json::from_value(defaults.clone()).unwrap()).expect("the defaults are fine");
    for (field, value) in bad {
        let mut config = defaults.clone();
        let slot = field.split('.').fold(&mut config, |at, part| &mut at[part]);
        *slot = value.clone();
        let last = field.rsplit('.').next().unwrap();
        let error = build(serde_json::from_value(config).unwrap()).expect_err(field);
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains(last), "{field} = {value}: {error}");
        let context: Vec<&str> = error.context().map(|(name, _)| name).collect();
        assert!(context.contains(&"value") && context.contains(&"allowed"), "{error}");
    }
}

fn defaults<C: Default + Serialize + DeserializeOwned + PartialEq + Debug>() -> Value {
    let written = serde_json::to_value(C::default()).unwrap();
    assert_eq!(
        serde_json::from_value::<C>(written.clone()).unwrap(),
        C::default(),
        "what is written is read"
    );
    assert_eq!(serde_json::from_value::<C>(json!({})).unwrap(), C::default(), "every field has a default");
    assert!(serde_json::from_value::<C>(json!({"no_such_field": 1})).is_err());
    written
}

#[test]
fn caps() {
    let bad = [("remedies", json!(0)), ("remedies", json!(101)), ("reverts", json!(101))];
    refuses(ActionCap::new, &defaults::<CapConfig>(), &bad);
    ActionCap::new(CapConfig { remedies: 100, reverts: 0 }).unwrap();
    assert_eq!(CapConfig::default(), CapConfig { remedies: 8, reverts: 8 });
}

#[test]
fn spikes() {
    refuses(RateSpike::new, &defaults::<SpikeConfig>(), &[("actions", json!(0)), ("window", json!("0s"))]);
}

#[test]
fn breakers() {
    let bad = [("failures", json!(0)), ("failures", json!(101)), ("open_for", json!("0s"))];
    refuses(CircuitBreaker::new, &defaults::<BreakerConfig>(), &bad);
}

#[test]
fn blast_radii() {
    let bad = [("replicas", json!(0)), ("share_of_fleet", json!(-0.1)), ("share_of_fleet", json!(1.1))];
    refuses(BlastRadiusCap::new, &defaults::<BlastRadiusConfig>(), &bad);
    for share in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let config = BlastRadiusConfig { share_of_fleet: share, ..BlastRadiusConfig::default() };
        assert!(BlastRadiusCap::new(config).unwrap_err().to_string().contains("share_of_fleet"));
    }
}

#[test]
fn tiers() {
    let bad = [("wait", json!("0s")), ("classes", json!({"drain": "low"}))];
    refuses(RiskTiers::new, &defaults::<TiersConfig>(), &bad);
    let raised = TiersConfig { classes: [(ActionKind::Drain, Risk::High)].into(), ..TiersConfig::default() };
    RiskTiers::new(raised).unwrap();
}

#[test]
fn bands() {
    let bad = [
        ("escalate_below", json!(-0.1)),
        ("escalate_below", json!(0.9)),
        ("silent_above", json!(0.1)),
        ("silent_above", json!(1.1)),
    ];
    let build = |config| ConfidenceBands::new(config, BTreeMap::new());
    refuses(build, &defaults::<BandsConfig>(), &bad);
    for nan in [
        BandsConfig { escalate_below: f64::NAN, silent_above: 0.9 },
        BandsConfig { escalate_below: 0.5, silent_above: f64::NAN },
    ] {
        assert!(build(nan).is_err());
        let by_kind = [(ActionKind::Scale, nan)].into();
        let error = ConfidenceBands::new(BandsConfig::default(), by_kind).unwrap_err();
        assert!(error.to_string().contains("kind: scale"), "{error}");
    }
}

#[test]
fn what_is_learned() {
    let folder = tempfile::tempdir().unwrap();
    let bad = [
        ("base", json!(1.1)),
        ("most", json!(0.5)),
        ("target", json!(0.0)),
        ("rate", json!(0.6)),
        ("record", json!(0)),
    ];
    let build = |config| Learned::open(folder.path().join("learned"), config);
    refuses(build, &defaults::<LearnedConfig>(), &bad);
}

#[test]
fn capacity() {
    let bad = [("record", json!(0)), ("success", json!(1.1)), ("z", json!(-1.0))];
    refuses(CriticalLast::new, &defaults::<CriticalLastConfig>(), &bad);
    defaults::<SizingConfig>();
    defaults::<TrialConfig>();
}

#[test]
fn planners() {
    let bad = [
        ("proposals", json!(0)),
        ("proposals", json!(11)),
        ("desired_replicas", json!("")),
        ("requests", json!("")),
        ("most_times", json!(0.9)),
        ("most_times", json!(1001.0)),
        ("throttle_to", json!(0.0)),
        ("throttle_to", json!(1.0)),
        ("throttle_to", json!(-0.5)),
        ("max_unavailable", json!(0)),
    ];
    refuses(RemedyPlanner::new, &defaults::<PlannerConfig>(), &bad);
    let nan = PlannerConfig { throttle_to: f64::NAN, ..PlannerConfig::default() };
    assert!(RemedyPlanner::new(nan).is_err());
}

#[test]
fn verifiers() {
    let build = |config| TelemetryVerifier::new(InMemorySource::new(), config);
    defaults::<VerifierConfig>();
    let whole = VerifierConfig {
        liveness: Some(LivenessCheck {
            desired: "desired".into(),
            ready: "ready".into(),
            restarts: Some("restarts".into()),
            service_label: "service".into(),
        }),
        traffic: Some(TrafficCheck {
            requests: "requests".into(),
            service_label: "service".into(),
            min_share: 0.5,
            reference: std::time::Duration::from_secs(600),
        }),
        ..VerifierConfig::default()
    };
    let bad = [
        ("hold", json!("0s")),
        ("poll", json!("0s")),
        ("deadline", json!("5m 30s")),
        ("tolerance_sigma", json!(0.0)),
        ("tolerance_sigma", json!(-1.0)),
        ("share_back", json!(0.49)),
        ("share_back", json!(1.01)),
        ("min_samples", json!(0)),
        ("coverage", json!(-0.1)),
        ("coverage", json!(1.1)),
        ("silent_after", json!(0)),
        ("liveness.desired", json!("")),
        ("liveness.ready", json!("")),
        ("liveness.restarts", json!("")),
        ("liveness.service_label", json!("")),
        ("traffic.requests", json!("")),
        ("traffic.service_label", json!("")),
        ("traffic.min_share", json!(0.0)),
        ("traffic.min_share", json!(1.1)),
        ("traffic.reference", json!("0s")),
    ];
    refuses(build, &serde_json::to_value(&whole).unwrap(), &bad);
    for part in ["liveness", "traffic"] {
        let mut unknown = serde_json::to_value(&whole).unwrap();
        unknown[part]["extra"] = json!(1);
        assert!(serde_json::from_value::<VerifierConfig>(unknown).is_err(), "{part}");
    }
    for not_finite in [f64::NAN, f64::INFINITY] {
        assert!(build(VerifierConfig { tolerance_sigma: not_finite, ..VerifierConfig::default() }).is_err());
        assert!(build(VerifierConfig { share_back: not_finite, ..VerifierConfig::default() }).is_err());
        assert!(build(VerifierConfig { coverage: not_finite, ..VerifierConfig::default() }).is_err());
    }
    // No sum of durations overflows.
    let huge = std::time::Duration::MAX;
    assert!(build(VerifierConfig { settle: huge, hold: huge, ..VerifierConfig::default() }).is_err());
}

#[test]
fn durations_in_files_are_not_negative() {
    assert!(serde_json::from_value::<VerifierConfig>(json!({"hold": "-5m"})).is_err());
    assert!(serde_json::from_value::<VerifierConfig>(json!({"hold": 300})).is_err(), "a unit is required");
}
