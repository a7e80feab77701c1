//! A table and its translation say the same, of every proposal.

use aiops_act::policy::{Effect, Policy, PolicyTable, Rule};
use aiops_cedar::{CedarConfig, CedarGuard};
use aiops_core::action::{ActionKind, Operation, Principal, Proposal, Verdict};
use aiops_core::model::{Confidence, EntityId, EntityKind};
use proptest::prelude::*;

use crate::support::{hear, instant, preview, propose, radius, restart, restart_of};

/// The policy of the table's documentation.
const DOCUMENTED: &str = r#"
zone = "Europe/Berlin"

[groups.production]
service = ["shop-*", "billing"]

[[rules]]
id = "restarts"
effect = "allow"
actions = ["rolling_restart", "cache_purge"]
groups = ["production"]
min_confidence = 0.85
max_replicas = 4

[[rules]]
id = "night-asks"
effect = "ask"
actions = ["rolling_restart"]
groups = ["production"]
during = { from = "22:00:00", to = "06:00:00" }

[[rules]]
id = "frozen"
effect = "deny"
during = { days = ["saturday", "sunday"] }
"#;

fn both(policy: &Policy) -> (PolicyTable, CedarGuard) {
    let config = CedarConfig::from_table(policy).unwrap();
    let guard = CedarGuard::new(&config).unwrap_or_else(|e| panic!("{}: {e}", config.policies));
    (PolicyTable::new(policy).unwrap(), guard)
}

#[test]
fn the_documented_policy_says_the_same() {
    let (table, guard) = both(&toml::from_str(DOCUMENTED).unwrap());
    let mut effects = std::collections::BTreeMap::new();
    for name in ["shop-orders", "billing", "billing-2", "Shop-orders", "shop-"] {
        for hour in 0..24 * 14 {
            let at = instant("2026-03-20T00:30:00Z") + std::time::Duration::from_secs(3600 * hour);
            let (mine, theirs) = (guard.judge(&restart_of(name), at), table.judge(&restart_of(name), at));
            assert_eq!(mine, theirs, "{name} at {at}");
            *effects.entry(mine.effect).or_insert(0) += 1;
        }
    }
    assert!([Effect::Allow, Effect::Ask, Effect::Deny].iter().all(|e| effects[e] > 100), "{effects:?}");
}

#[test]
fn what_cedar_cannot_hold_is_not_rounded() {
    for text in [
        r#"rules = [{ id = "a", effect = "allow", min_confidence = 0.12345 }]"#,
        r#"rules = [{ id = "a", effect = "allow", during = { from = "10:00:00.5", to = "11:00:00" } }]"#,
        r#"rules = [{ id = "a", effect = "deny" }, { id = "b", effect = "deny" }]"#,
    ] {
        let error = CedarConfig::from_table(&toml::from_str(text).unwrap()).expect_err(text);
        assert_eq!(error.kind(), aiops_core::ErrorKind::Invalid, "{text}");
    }
}

const NAMES: [&str; 6] = ["a", "ab", "abc", "b", "é", "a\"*"];
const KINDS: [ActionKind; 3] = [ActionKind::RollingRestart, ActionKind::Rollback, ActionKind::Stop];
const TARGETS: [EntityKind; 2] = [EntityKind::Service, EntityKind::Database];

prop_compose! {
    fn rule()(
        effect in prop::sample::select(vec![Effect::Allow, Effect::Ask, Effect::Deny]),
        actions in prop::sample::subsequence(KINDS.to_vec(), 0..=2),
        names in prop::collection::vec((prop::sample::select(TARGETS.to_vec()), prop::sample::select(NAMES[..5].to_vec()), any::<bool>()), 0..3),
        group in prop::option::of(prop::sample::select(vec!["g", "h"])),
        principals in prop::collection::vec(prop::sample::select(vec!["planner", "person", "p*"]), 0..2),
        min_confidence in prop::option::of(prop::sample::select(vec![0.5, 0.9])),
        below_confidence in prop::option::of(prop::sample::select(vec![0.6, 0.57, 1.0])),
        max_replicas in prop::option::of(2_u32..4),
        above_replicas in prop::option::of(0_u32..2),
        during in prop::option::of(prop::sample::select(vec![
            r#"{"days":["saturday","sunday"]}"#,
            r#"{"from":"22:00:00","to":"06:00:00"}"#,
            r#"{"days":["friday"],"from":"20:00:00","to":"12:00:00"}"#,
            r#"{"days":["monday"],"from":"09:00:00","to":"17:30:15"}"#,
            r#"{"from":"12:00:00"}"#,
            r#"{}"#,
        ])),
        wait in 1_u64..1000,
        notify in any::<bool>(),
    ) -> Rule {
        let mut targets = serde_json::Map::new();
        for (kind, name, open) in names {
            let name = format!("{name}{}", if open { "*" } else { "" });
            targets.entry(kind.as_str()).or_insert_with(|| serde_json::json!([])).as_array_mut().unwrap().push(name.into());
        }
        let during: Option<serde_json::Value> = during.map(|text| serde_json::from_str(text).unwrap());
        serde_json::from_value(serde_json::json!({
            "id": "", "effect": effect, "actions": actions, "targets": targets, "principals": principals,
            "groups": group.into_iter().collect::<Vec<_>>(),
            "min_confidence": min_confidence, "below_confidence": below_confidence,
            "max_replicas": max_replicas, "above_replicas": above_replicas, "during": during,
            "wait": format!("{wait}s"), "notify": notify,
        })).unwrap()
    }
}

prop_compose! {
    fn proposal()(
        kind in prop::sample::select(vec![EntityKind::Service, EntityKind::Database, EntityKind::Pod]),
        name in prop::sample::select(vec!["a", "ab", "abcd", "b", "é", "éa", "c", "a\"*", ""]),
        operation in prop::sample::select(vec![restart(), Operation::Rollback { to: "r1".into() }, Operation::Stop, Operation::Drain]),
        by in prop::sample::select(vec!["planner", "person", "planner-2", "Planner"]),
        confidence in prop::sample::select(vec![0.4, 0.5, 0.499_999, 0.55, 0.57, 0.569_99, 0.6, 0.9, 1.0]),
        replicas in 0_u32..5,
    ) -> Proposal {
        let mut proposal = propose(operation, EntityId::new(kind, name));
        proposal.proposed_by = Principal::new(by);
        proposal.confidence = Confidence::calibrated(confidence, "test").unwrap();
        proposal.action.blast_radius = radius(replicas, 0.1);
        proposal
    }
}

/// Takes out the rules that a table refuses.
fn taken(mut rules: Vec<Rule>) -> Policy {
    let groups = serde_json::json!({ "g": { "service": ["a*"] }, "h": { "service": ["b"], "database": ["é", "ab*"] } });
    for (i, rule) in rules.iter_mut().enumerate() {
        rule.id = format!("r{i}");
    }
    loop {
        let policy = Policy {
            rules: rules.clone(),
            groups: serde_json::from_value(groups.clone()).unwrap(),
            zone: Some("America/New_York".to_owned()),
        };
        match PolicyTable::new(&policy) {
            Ok(_) => return policy,
            Err(e) => {
                let text = e.to_string();
                let named = |id: &str| {
                    text.contains(&format!("rule: {id})")) || text.contains(&format!("rule: {id},"))
                };
                let idle = rules.iter().position(|rule| named(&rule.id));
                rules.remove(idle.unwrap_or_else(|| panic!("which rule: {text}")));
            }
        }
    }
}

/// A verdict without its wording: what, and of which rules.
fn told(verdict: Verdict) -> (Verdict, String) {
    let ids = |reason: &str| {
        reason.strip_prefix("rule ").or(reason.strip_prefix("policy ")).unwrap_or("none").to_owned()
    };
    let of = ids(verdict.reason());
    let bare = match verdict {
        Verdict::Allow { notify, .. } => Verdict::Allow { reason: String::new(), notify },
        Verdict::NeedsApproval { wait, .. } => Verdict::NeedsApproval { reason: String::new(), wait },
        Verdict::Deny { .. } => Verdict::Deny { reason: String::new() },
    };
    (bare, of)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_table_and_its_translation_say_the_same(
        rules in prop::collection::vec(rule(), 1..8),
        proposals in prop::collection::vec((proposal(), 0_i64..14 * 24 * 3600, 0_u32..6), 60),
    ) {
        let (table, guard) = both(&taken(rules));
        for (proposal, later, replicas) in proposals {
            // Over the days on which New York changes its clocks.
            let at = instant("2026-03-02T00:00:00Z") + std::time::Duration::from_secs(later.unsigned_abs());
            prop_assert_eq!(guard.judge(&proposal, at), table.judge(&proposal, at), "{:?} at {}", proposal, at);
            let (preview, history) = (preview(replicas, 100), aiops_core::action::History::new());
            let hear = |guard: &dyn aiops_core::seam::Guardrail| told(hear(guard, &proposal, &preview, &history, at));
            prop_assert_eq!(hear(&guard), hear(&table));
        }
    }
}
