//! The stored state.

use aiops_core::model::{Change, ChangeKind};
use aiops_detect::Correlator;
use serde_json::Value;

use super::{alert, at, critical, knowing, resolved, service};

fn lived() -> Correlator {
    let mut correlator = knowing(&["web>cart", "cart>db", "job>queue"]);
    correlator.change(Change::new("d1", at(0), ChangeKind::Deployment, service("db"), "v2"));
    correlator.push(&alert("Slow", "db", 10), at(10));
    correlator.push(&alert("Slow", "web", 20), at(20));
    correlator.push(&critical("Down", "cart", 30), at(30));
    correlator.push(&alert("Stuck", "queue", 30), at(30));
    correlator.push(&resolved(&alert("Stuck", "queue", 30)), at(40));
    // A later firing with the fingerprint of a member that ended.
    correlator.push(&alert("Stuck", "queue", 2000), at(2000));
    correlator
}

#[test]
fn a_stored_correlator_goes_on_as_if_it_had_never_been_away() {
    let mut correlator = lived();
    let stored = serde_json::to_string(&correlator).unwrap();
    let mut restored: Correlator = serde_json::from_str(&stored).unwrap();
    assert_eq!(restored, correlator);
    assert_eq!(serde_json::to_string(&restored).unwrap(), stored, "byte for byte");
    for alert in [alert("Slow", "cart", 2100), alert("Stuck", "queue", 2000), critical("Down", "db", 2200)] {
        assert_eq!(restored.push(&alert, at(2200)), correlator.push(&alert, at(2200)));
    }
    assert_eq!(restored.advance(at(90_000)), correlator.advance(at(90_000)));
    assert_eq!(restored, correlator);
}

#[test]
fn damaged_states_are_refused() {
    let stored = serde_json::to_value(lived()).unwrap();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut damaged = stored.clone();
        change(&mut damaged);
        serde_json::from_value::<Correlator>(damaged).is_err()
    };
    assert!(!refused(&|_| ()));
    assert!(refused(&|s| s["version"] = 3.into()));
    assert!(refused(&|s| s["unknown"] = 2.into()));
    assert!(refused(&|s| s["next_alert"] = 0.into()));
    assert!(refused(&|s| s["next_incident"] = 0.into()));
    assert!(refused(&|s| s["storm"] = 77.into()));
    assert!(refused(&|s| s["superseded"] = serde_json::json!([])));
    assert!(refused(&|s| s["records"][1]["incident"] = 9.into()));
    assert!(refused(&|s| drop(s["groups"].as_array_mut().unwrap().pop())));
    assert!(refused(&|s| drop(s["records"].as_array_mut().unwrap().remove(1))));
    assert!(refused(&|s| s["groups"][0]["loci"] = serde_json::json!({})));
    assert!(refused(&|s| s["groups"][0]["firing"] = 99.into()));
    assert!(refused(&|s| s["pace"]["world"]["lone"] = (-1.0).into()));
    assert!(refused(&|s| s["records"][1]["fingerprint"] = "x".into()));
    assert!(refused(&|s| s["records"][1]["locus"] = "service/elsewhere".into()));
    assert!(refused(&|s| s["events"]["next"] = 0.into()));
    assert!(refused(&|s| s["config"]["threshold"] = 7.into()));
    assert!(refused(&|s| s["config"]["max_alerts"] = 16.into()) == (lived().stats().new > 16));
}
