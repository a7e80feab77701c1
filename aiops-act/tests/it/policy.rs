//! Policies as data: the strictest rule that applies, checked when loaded, tried on recorded cases.

use aiops_act::policy::{Effect, Judgement, Policy, PolicyTable, Rule};
use aiops_core::action::{ActionKind, Principal, Proposal, Verdict};
use aiops_core::model::{EntityId, EntityKind, Recovery};
use aiops_core::{Case, CasePart, ErrorKind};
use aiops_testkit::conformance::{self, GuardrailFixture};
use aiops_testkit::sample;
use futures_lite::future::block_on;
use jiff::Timestamp;
use proptest::prelude::*;

use crate::support::{
    World, action, allowed, asks, preview, propose, radius, refused, restart_of, rollback_of, sure, undoing,
};

/// The policy of the module's documentation.
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

fn table(text: &str) -> PolicyTable {
    PolicyTable::new(&toml::from_str(text).unwrap()).unwrap()
}

fn restart(name: &str) -> Proposal {
    propose("p", "inc", restart_of(EntityId::service(name)))
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn judged(judgement: &Judgement) -> (Effect, Vec<&str>) {
    (judgement.effect, judgement.rules.iter().map(String::as_str).collect())
}

#[test]
fn the_documented_policy_says_what_is_documented() {
    let table = table(DOCUMENTED);
    // A Tuesday in winter: Berlin is an hour ahead.
    let (day, night) = (instant("2026-01-13T12:00:00Z"), instant("2026-01-13T21:30:00Z"));
    let saturday = instant("2026-01-16T23:30:00Z");
    let shop = restart("shop-orders");
    assert_eq!(judged(&table.judge(&shop, day)), (Effect::Allow, vec!["restarts"]));
    assert_eq!(judged(&table.judge(&shop, night)), (Effect::Ask, vec!["night-asks"]));
    assert_eq!(judged(&table.judge(&shop, saturday)), (Effect::Deny, vec!["frozen"]));
    assert_eq!(judged(&table.judge(&restart("billing"), day)), (Effect::Allow, vec!["restarts"]));
    for other in [
        restart("billing-2"),
        restart("Shop-orders"),
        propose("p", "inc", rollback_of(EntityId::service("billing"))),
    ] {
        assert_eq!(judged(&table.judge(&other, day)), (Effect::Deny, vec![]), "{}", other.action);
    }
    let mut unsure = shop.clone();
    unsure.confidence = sure(0.84);
    assert_eq!(table.judge(&unsure, day).effect, Effect::Deny);
    let mut wide = shop;
    wide.action.blast_radius = radius(5, 0.1);
    assert_eq!(table.judge(&wide, day).effect, Effect::Deny);
    assert_eq!(table.conflicts(), []);
}

/// On the day the clocks go forward the night is an hour shorter, and the rule keeps to the wall clock.
#[test]
fn times_follow_the_wall_clock() {
    let table = table(DOCUMENTED);
    let shop = restart("shop-orders");
    // Berlin, 30 March 2026 (a Monday, summer time since the day before), 05:59 and 06:00.
    for (time, effect) in [("2026-03-30T03:59:59Z", Effect::Ask), ("2026-03-30T04:00:00Z", Effect::Allow)] {
        assert_eq!(table.judge(&shop, instant(time)).effect, effect, "{time}");
    }
    // In winter an hour later.
    for (time, effect) in [("2026-03-27T04:59:59Z", Effect::Ask), ("2026-03-27T05:00:00Z", Effect::Allow)] {
        assert_eq!(table.judge(&shop, instant(time)).effect, effect, "{time}");
    }
}

/// A night belongs to the day on which it begins.
#[test]
fn a_span_over_midnight_belongs_to_the_day_it_begins_on() {
    let table = table(
        r#"
        rules = [
            { id = "any", effect = "allow" },
            { id = "friday-night", effect = "deny", during = { days = ["friday"], from = "22:00:00", to = "02:00:00" } },
        ]"#,
    );
    for (time, effect) in [
        ("2026-01-16T21:59:59Z", Effect::Allow),
        ("2026-01-16T22:00:00Z", Effect::Deny),
        ("2026-01-17T01:59:59Z", Effect::Deny),
        ("2026-01-17T02:00:00Z", Effect::Allow),
        ("2026-01-17T22:30:00Z", Effect::Allow),
        ("2026-01-16T01:00:00Z", Effect::Allow),
    ] {
        assert_eq!(table.judge(&restart("x"), instant(time)).effect, effect, "{time}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_when_loaded() {
    for (text, names) in [
        (r#"rules = [{ id = "a", effect = "allow" }, { id = "a", effect = "deny" }]"#, "a"),
        (r#"rules = [{ id = "a", effect = "allow", groups = ["nowhere"] }]"#, "nowhere"),
        (r#"zone = "Mars/Olympus""#, "Mars/Olympus"),
        (r#"rules = [{ id = "a", effect = "allow", targets = { service = [] } }]"#, "a"),
        (r#"rules = [{ id = "a", effect = "allow", min_confidence = 1.5 }]"#, "min_confidence"),
        (r#"rules = [{ id = "a", effect = "allow", min_confidence = 0.9, below_confidence = 0.9 }]"#, "a"),
        (r#"rules = [{ id = "a", effect = "allow", above_replicas = 4, max_replicas = 4 }]"#, "a"),
        (r#"rules = [{ id = "a", effect = "ask", wait = "0s" }]"#, "wait"),
        // Covered by a stricter one, by an equal one, by a wider one.
        (
            r#"rules = [{ id = "a", effect = "allow", actions = ["scale"] }, { id = "b", effect = "deny", actions = ["scale", "stop"] }]"#,
            "b",
        ),
        (r#"rules = [{ id = "a", effect = "deny" }, { id = "b", effect = "deny" }]"#, "b"),
        (
            r#"rules = [{ id = "a", effect = "ask", targets = { service = ["shop-a*"] } }, { id = "b", effect = "ask", targets = { service = ["shop-*"] } }]"#,
            "a",
        ),
        // Times that leave nothing out are none, and a denial tells nobody.
        (
            r#"rules = [{ id = "a", effect = "allow", during = {} }, { id = "b", effect = "allow", max_replicas = 2 }]"#,
            "b",
        ),
        (
            r#"rules = [{ id = "a", effect = "allow", min_confidence = 0.0 }, { id = "b", effect = "allow", max_replicas = 2 }]"#,
            "b",
        ),
        (
            r#"rules = [
                { id = "a", effect = "deny", during = { from = "22:00:00", days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] } },
                { id = "b", effect = "deny", actions = ["scale"], during = { from = "22:00:00" } },
            ]"#,
            "b",
        ),
        (
            r#"rules = [{ id = "a", effect = "deny" }, { id = "b", effect = "deny", actions = ["scale"], notify = true }]"#,
            "b",
        ),
    ] {
        let error = PolicyTable::new(&toml::from_str(text).unwrap()).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
        assert!(error.to_string().contains(names), "{text}: {error}");
    }
    for text in [
        r#"rules = [{ id = "a", effect = "perhaps" }]"#,
        r#"rules = [{ id = "a", effect = "allow", target = {} }]"#,
        r#"rules = [{ id = "a", effect = "allow", targets = { service = ["a*b"] } }]"#,
        r#"rules = [{ id = "a", effect = "allow", during = { from = "25:00:00" } }]"#,
    ] {
        assert!(toml::from_str::<Policy>(text).is_err(), "{text}");
    }
}

#[test]
fn conflicts_are_reported() {
    let conflicting = table(
        r#"rules = [
            { id = "shop", effect = "allow", targets = { service = ["shop-*"] } },
            { id = "no-restarts", effect = "deny", actions = ["rolling_restart"] },
            { id = "not-the-store", effect = "deny", targets = { service = ["shop-store"] } },
            { id = "not-now", effect = "deny", during = { days = ["sunday"] } },
            { id = "no-stops", effect = "deny", actions = ["stop"], during = { from = "12:00:00", to = "12:00:00" } },
        ]"#,
    );
    let conflicts = conflicting.conflicts();
    let told: Vec<_> = conflicts.iter().map(|c| (c.allows.as_str(), c.denies.as_str())).collect();
    assert_eq!(told, [("shop", "no-restarts"), ("shop", "no-stops")]);
}

#[test]
fn as_a_guard_it_names_the_rules() {
    let world = World::new();
    let table = table(
        r#"rules = [
            { id = "calm", effect = "allow", actions = ["rolling_restart"] },
            { id = "loud", effect = "allow", actions = ["rolling_restart"], notify = true, targets = { service = ["orders"] } },
            { id = "asked", effect = "ask", actions = ["rollback"], wait = "2m" },
            { id = "asked-soon", effect = "ask", actions = ["rollback"], wait = "1m", targets = { service = ["orders"] } },
            { id = "never", effect = "deny", actions = ["rollback"], targets = { service = ["store"] } },
        ]"#,
    );
    let of = |p: &Proposal| world.judge(&table, p);
    let orders = EntityId::service("orders");
    assert_eq!(of(&restart("orders")), Verdict::Allow { reason: "rule calm, loud".into(), notify: true });
    assert_eq!(of(&restart("gateway")), Verdict::Allow { reason: "rule calm".into(), notify: false });
    let back = propose("p", "inc", rollback_of(orders));
    assert_eq!(
        of(&back),
        Verdict::NeedsApproval {
            reason: "rule asked, asked-soon".into(),
            wait: std::time::Duration::from_secs(60)
        }
    );
    let store = propose("p", "inc", rollback_of(EntityId::service("store")));
    assert_eq!(of(&store), Verdict::deny("rule never"));
    let stop = propose("p", "inc", action(aiops_core::action::Operation::Stop, EntityId::service("orders")));
    assert!(refused(&of(&stop)));
    // Undoing what was consented to needs no second consent; what is denied stays denied.
    world.done(&back, Some(Recovery::NotRecovered));
    assert!(allowed(&of(&undoing(&back))));
    world.done(&store, Some(Recovery::NotRecovered));
    assert!(refused(&of(&undoing(&store))));
    let mut forged = undoing(&back);
    forged.incident = aiops_core::action::IncidentId::new("another");
    assert!(asks(&of(&forged)));
}

#[test]
fn keeps_the_contract_of_a_guard() {
    let world = World::new();
    let mut fixture = GuardrailFixture::new(world.ctx.clone(), restart("orders"), preview(4, 16));
    fixture.history = world.history();
    for text in [DOCUMENTED, r#"rules = [{ id = "any", effect = "allow" }]"#, ""] {
        block_on(conformance::guardrail(&table(text), &fixture)).assert_counts(4, 0);
    }
}

/// Run alone, run with consent, denied: one decision of each kind.
fn recorded() -> Case {
    let mut case = sample::diagnosed_case().unwrap();
    let decided = |id: &str, outcome: serde_json::Value, approval: serde_json::Value| {
        let record = serde_json::json!({
            "proposal": id, "mode": "auto", "verdicts": [], "at": "2026-01-19T12:00:00Z",
            "outcome": outcome, "approval": approval,
        });
        CasePart::Decided(serde_json::from_value(record).unwrap())
    };
    let proposed = |id: &str, name: &str| propose(id, "inc", restart_of(EntityId::service(name)));
    let authorized = serde_json::json!({ "authorized": { "expires_at": "2026-01-19T12:00:30Z" } });
    let consent = serde_json::json!({ "approver": "ada", "granted": true, "reason": "yes", "at": "2026-01-19T12:00:00Z" });
    let at = sample::now();
    case.push(
        at,
        CasePart::Planned(vec![proposed("a", "alone"), proposed("b", "asked"), proposed("c", "denied")]),
    );
    case.push(at, decided("a", authorized.clone(), serde_json::Value::Null));
    case.push(at, decided("b", authorized, consent));
    case.push(at, decided("c", serde_json::json!({ "denied": { "reason": "no" } }), serde_json::Value::Null));
    case
}

#[test]
fn a_dry_run_tells_what_would_have_been_otherwise() {
    let case = recorded();
    let otherwise = |text: &str| -> Vec<(String, Effect, Effect, Vec<String>)> {
        let differences = table(text).replay([&case]);
        assert!(
            differences.iter().all(|d| d.incident == *case.id() && d.at == instant("2026-01-19T12:00:00Z"))
        );
        let short = |d: aiops_act::policy::Difference| {
            (d.proposal.action.target.name().to_owned(), d.then, d.now.effect, d.now.rules)
        };
        differences.into_iter().map(short).collect()
    };
    let none = Vec::<String>::new;
    assert_eq!(
        otherwise(""),
        [
            ("alone".into(), Effect::Allow, Effect::Deny, none()),
            ("asked".into(), Effect::Ask, Effect::Deny, none())
        ]
    );
    assert_eq!(
        otherwise(r#"rules = [{ id = "any", effect = "allow" }]"#),
        [
            ("asked".into(), Effect::Ask, Effect::Allow, vec!["any".into()]),
            ("denied".into(), Effect::Deny, Effect::Allow, vec!["any".into()])
        ]
    );
    let same = r#"rules = [
        { id = "a", effect = "allow", targets = { service = ["alone"] } },
        { id = "b", effect = "ask", targets = { service = ["asked"] } },
    ]"#;
    assert_eq!(otherwise(same), []);
    assert!(table("").replay(std::iter::empty::<&Case>()).is_empty());
}

const NAMES: [&str; 5] = ["a", "ab", "abc", "b", "é"];
const KINDS: [ActionKind; 3] = [ActionKind::RollingRestart, ActionKind::Rollback, ActionKind::Stop];
const TARGETS: [EntityKind; 2] = [EntityKind::Service, EntityKind::Database];

prop_compose! {
    fn rule()(
        effect in prop::sample::select(vec![Effect::Allow, Effect::Ask, Effect::Deny]),
        actions in prop::sample::subsequence(KINDS.to_vec(), 0..=2),
        names in prop::collection::vec((prop::sample::select(TARGETS.to_vec()), prop::sample::select(NAMES.to_vec()), any::<bool>()), 0..3),
        principals in prop::collection::vec(prop::sample::select(vec!["planner", "person"]), 0..2),
        min_confidence in prop::option::of(prop::sample::select(vec![0.5, 0.9])),
        below_confidence in prop::option::of(prop::sample::select(vec![0.6, 1.0])),
        max_replicas in prop::option::of(2_u32..4),
        above_replicas in prop::option::of(0_u32..2),
        weekend in any::<bool>(),
    ) -> Rule {
        let mut targets = serde_json::Map::new();
        for (kind, name, open) in names {
            let kind = serde_json::to_value(kind).unwrap().as_str().unwrap().to_owned();
            let name = format!("{name}{}", if open { "*" } else { "" });
            targets.entry(kind).or_insert_with(|| serde_json::json!([])).as_array_mut().unwrap().push(name.into());
        }
        let during = weekend.then(|| serde_json::json!({ "days": ["saturday", "sunday"] }));
        serde_json::from_value(serde_json::json!({
            "id": "", "effect": effect, "actions": actions, "targets": targets, "principals": principals,
            "min_confidence": min_confidence, "below_confidence": below_confidence,
            "max_replicas": max_replicas, "above_replicas": above_replicas, "during": during,
        })).unwrap()
    }
}

prop_compose! {
    fn proposal()(
        kind in prop::sample::select(TARGETS.to_vec()),
        name in prop::sample::select(vec!["a", "ab", "abcd", "b", "é", "éa", "c"]),
        restarts in any::<bool>(),
        by in prop::sample::select(vec!["planner", "person", "planner-2"]),
        confidence in prop::sample::select(vec![0.4, 0.55, 0.6, 0.9, 1.0]),
        replicas in 0_u32..5,
    ) -> Proposal {
        let target = EntityId::new(kind, name);
        let mut proposal = propose("p", "inc", if restarts { restart_of(target) } else { rollback_of(target) });
        proposal.proposed_by = Principal::new(by);
        proposal.confidence = sure(confidence);
        proposal.action.blast_radius = radius(replicas, 0.1);
        proposal
    }
}

/// The definition, rule by rule.
fn applies(rule: &Rule, p: &Proposal, weekend: bool) -> bool {
    let fits = |pattern: &str, name: &str| match pattern.strip_suffix('*') {
        Some(beginning) => {
            name.len() >= beginning.len() && name.bytes().zip(beginning.bytes()).all(|(a, b)| a == b)
        }
        None => pattern == name,
    };
    let (name, confidence, replicas) =
        (p.action.target.name(), p.confidence.probability(), p.action.blast_radius.replicas);
    (rule.actions.is_empty() || rule.actions.contains(&p.action.kind()))
        && (rule.targets.is_empty()
            || rule.targets.iter().any(|(kind, names)| {
                *kind == p.action.target.kind() && names.iter().any(|n| fits(n.as_str(), name))
            }))
        && (rule.principals.is_empty()
            || rule.principals.iter().any(|n| fits(n.as_str(), p.proposed_by.as_str())))
        && rule.min_confidence.is_none_or(|m| confidence >= m)
        && rule.below_confidence.is_none_or(|m| confidence < m)
        && rule.max_replicas.is_none_or(|m| replicas <= m)
        && rule.above_replicas.is_none_or(|m| replicas > m)
        && (rule.during.is_none() || weekend)
}

/// Takes out the rules that make loading fail, which must never change what is said.
fn loaded(mut rules: Vec<Rule>) -> (Vec<Rule>, PolicyTable) {
    for (i, rule) in rules.iter_mut().enumerate() {
        rule.id = format!("r{i}");
    }
    loop {
        let policy = Policy { rules: rules.clone(), ..Policy::default() };
        match PolicyTable::new(&policy) {
            Ok(table) => return (rules, table),
            Err(e) => {
                let text = e.to_string();
                let idle = rules.iter().position(|r| {
                    text.contains(&format!("rule: {})", r.id)) || text.contains(&format!("rule: {},", r.id))
                });
                rules.remove(idle.unwrap_or_else(|| panic!("which rule: {text}")));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_strictest_rule_that_applies_decides(
        rules in prop::collection::vec(rule(), 0..8),
        proposals in prop::collection::vec(proposal(), 8),
        rotate in 0_usize..8,
        weekend in any::<bool>(),
    ) {
        // Including the rules that were taken out: they never decide anything.
        let mut all = rules.clone();
        all.iter_mut().enumerate().for_each(|(i, r)| r.id = format!("r{i}"));
        let (kept, table) = loaded(rules);
        let mut turned = kept.clone();
        if !turned.is_empty() {
            let by = rotate % turned.len();
            turned.rotate_left(by);
        }
        let (_, turned) = loaded(turned);
        // A Saturday or a Monday.
        let now = if weekend { instant("2026-01-17T12:00:00Z") } else { instant("2026-01-19T12:00:00Z") };
        for p in &proposals {
            let said = table.judge(p, now);
            let possible = |r: &&Rule| {
                r.min_confidence.zip(r.below_confidence).is_none_or(|(a, b)| a < b)
                    && r.above_replicas.zip(r.max_replicas).is_none_or(|(a, b)| a < b)
            };
            let strictest = all.iter().filter(possible).filter(|r| applies(r, p, weekend)).map(|r| r.effect).max();
            prop_assert_eq!(said.effect, strictest.unwrap_or(Effect::Deny));
            let of_kept = kept.iter().filter(|r| applies(r, p, weekend) && Some(r.effect) == strictest);
            prop_assert_eq!(&said.rules, &of_kept.map(|r| r.id.clone()).collect::<Vec<_>>());
            prop_assert_eq!(turned.judge(p, now).effect, said.effect);
        }
    }
}

/// What a proposal declares is not what its target is: the guard goes by the larger.
#[test]
fn an_understated_blast_radius_meets_no_bound() {
    let few = table("rules = [{ id = \"few\", effect = \"allow\", max_replicas = 4 }]");
    let many = table(
        "rules = [{ id = \"all\", effect = \"allow\" }, { id = \"many\", effect = \"deny\", above_replicas = 4 }]",
    );
    let modest = restart("orders");
    assert_eq!(modest.action.blast_radius.replicas, 1);
    for guard in [&few, &many] {
        assert!(allowed(&crate::support::judge(guard, &modest, &preview(4, 100))));
        assert!(refused(&crate::support::judge(guard, &modest, &preview(5, 100))), "it touches five");
    }
}

/// A hostile name costs no more than the patterns it could fit.
#[test]
fn a_name_without_end_is_judged_at_once() {
    let rules: Vec<String> = (1..=200)
        .map(|n| {
            format!(
                "{{ id = \"r{n}\", effect = \"allow\", targets = {{ service = [\"{}b*\"] }} }}",
                "a".repeat(n)
            )
        })
        .collect();
    let long = table(&format!("rules = [{}]", rules.join(",")));
    let name = "a".repeat(4 << 20);
    assert!(refused(&crate::support::judge(&long, &restart(&name), &preview(1, 100))));
    assert!(allowed(&crate::support::judge(&long, &restart("aaabc"), &preview(1, 100))));
}
