//! ACT-06: what is not listed is denied.

use aiops_act::guards::{AllowList, AllowRule, Pattern};
use aiops_core::ErrorKind;
use aiops_core::action::{ActionKind, Operation};
use aiops_core::model::{EntityId, EntityKind};
use proptest::prelude::*;

use crate::support::{action, allowed, judge, orders, preview, propose, refused, restart, restart_of};

fn rule(id: &str, actions: &[ActionKind], targets: &[&str]) -> AllowRule {
    AllowRule {
        id: id.to_owned(),
        actions: actions.iter().copied().collect(),
        target_kind: EntityKind::Service,
        targets: targets.iter().map(|t| Pattern::new(*t).unwrap()).collect(),
    }
}

fn restarts(targets: &[&str]) -> AllowList {
    AllowList::new(vec![rule("shop", &[ActionKind::RollingRestart], targets)]).unwrap()
}

#[test]
fn what_is_not_listed_is_denied() {
    let list = restarts(&["orders"]);
    let said = |action| judge(&list, &propose("p", "inc", action), &preview(2, 10));
    assert!(allowed(&said(restart_of(orders()))));
    assert!(refused(&said(action(Operation::Stop, orders()))), "another kind of action");
    assert!(refused(&said(restart_of(EntityId::service("gateway")))), "another name");
    assert!(refused(&said(restart_of(EntityId::instance("orders")))), "another kind of target");
    let empty = AllowList::new(Vec::new()).unwrap();
    assert!(refused(&judge(&empty, &propose("p", "inc", restart_of(orders())), &preview(2, 10))));
}

#[test]
fn an_undoing_must_be_listed_as_well() {
    let world = crate::support::World::new();
    let done = propose("p", "inc", crate::support::rollback_of(orders()));
    world.done(&done, None);
    assert!(refused(&world.judge(&restarts(&["*"]), &crate::support::undoing(&done))));
}

#[test]
fn names_that_only_look_alike_do_not_fit() {
    let list = restarts(&["orders", "shop-*"]);
    let said = |name: &str| {
        judge(&list, &propose("p", "inc", action(restart(), EntityId::service(name))), &preview(2, 10))
    };
    for name in ["orders", "shop-", "shop-x", "shop-*", "shop-\u{0}"] {
        assert!(allowed(&said(name)), "{name:?}");
    }
    for name in [
        "оrders",         // Cyrillic о
        "οrders",         // Greek omicron
        "orders\u{200b}", // zero-width space
        "orde\u{0301}rs",
        "Orders",
        " orders",
        "orders ",
        "orders2",
        "order",
        "",
        "shoр-x", // Cyrillic р
        "shop",
        "shop\u{2011}x", // non-breaking hyphen
        "myshop-x",
    ] {
        assert!(refused(&said(name)), "{name:?}");
    }
}

#[test]
fn a_star_stands_only_at_the_end() {
    for bad in ["", "*-shop", "a*b", "a**", "**", "*a*"] {
        let error = Pattern::new(bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{bad}");
        assert!(error.to_string().contains(bad));
        let json = serde_json::to_string(bad).unwrap();
        assert!(serde_json::from_str::<Pattern>(&json).is_err(), "files are held to the same: {bad}");
    }
    let all = Pattern::new("*").unwrap();
    assert!(all.matches("") && all.matches("anything"));
    let unicode = Pattern::new("größe-*").unwrap();
    assert!(unicode.matches("größe-1") && !unicode.matches("gro\u{0308}ße-1"));
    assert_eq!(String::from(Pattern::new("a-*").unwrap()), "a-*");
}

#[test]
fn rules_that_never_decide_are_errors() {
    use ActionKind::{RollingRestart as Restart, Scale};
    let refused = |rules: Vec<AllowRule>| AllowList::new(rules).map(drop).unwrap_err().to_string();
    assert!(refused(vec![rule("a", &[], &["x"])]).contains("needs actions"));
    assert!(refused(vec![rule("a", &[Scale], &[])]).contains("targets"));
    let same_id = vec![rule("a", &[Scale], &["x"]), rule("a", &[Restart], &["y"])];
    assert!(refused(same_id).contains("one id"));
    // Covered by an earlier one, by a later one, by an equal one: the superfluous rule is named.
    let earlier = refused(vec![rule("wide", &[Scale, Restart], &["*"]), rule("narrow", &[Scale], &["x"])]);
    assert!(earlier.contains("rule wide covers it") && earlier.contains("rule: narrow"), "{earlier}");
    let later = refused(vec![rule("narrow", &[Scale], &["x-1", "x-2*"]), rule("wide", &[Scale], &["x-*"])]);
    assert!(later.contains("rule wide covers it") && later.contains("rule: narrow"), "{later}");
    let equal = refused(vec![rule("first", &[Scale], &["x"]), rule("second", &[Scale], &["x"])]);
    assert!(equal.contains("rule first covers it") && equal.contains("rule: second"), "{equal}");
}

#[test]
fn rules_that_overlap_without_cover_are_fine() {
    use ActionKind::{RollingRestart as Restart, Scale};
    let mut pods = rule("pods", &[Scale], &["x"]);
    pods.target_kind = EntityKind::Pod;
    let rules = vec![
        rule("a", &[Scale], &["x", "y"]),
        rule("b", &[Scale], &["y", "z"]),
        rule("c", &[Restart, Scale], &["x"]),
        // A pattern's text itself is a name like any other.
        rule("d", &[Restart], &["x-*"]),
        rule("e", &[Scale, Restart], &["x-"]),
        pods,
    ];
    AllowList::new(rules).unwrap();
}

#[test]
fn rules_in_files_name_every_field_and_no_other() {
    let read = |text: &str| serde_json::from_str::<AllowRule>(text);
    let good = r#"{"id":"a","actions":["scale"],"target_kind":"service","targets":["x-*"]}"#;
    assert_eq!(read(good).unwrap(), rule("a", &[ActionKind::Scale], &["x-*"]));
    for bad in [
        r#"{"id":"a","actions":["scale"],"target_kind":"service","targets":["x"],"deny":true}"#,
        r#"{"id":"a","actions":["everything"],"target_kind":"service","targets":["x"]}"#,
        r#"{"id":"a","actions":["scale"],"target_kind":"any","targets":["x"]}"#,
        r#"{"id":"a","actions":["scale"],"target_kind":"service","targets":["*x"]}"#,
        r#"{"id":"a","actions":["scale"],"target_kind":"service"}"#,
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Looking rules up by name finds what looking at every rule finds, and names the first.
    #[test]
    fn looking_up_is_looking_at_every_rule(
        patterns in prop::collection::vec(("[ab\u{e9}]{1,3}", any::<bool>(), any::<bool>()), 1..12),
        name in "[ab\u{e9}]{0,4}",
    ) {
        let rules: Vec<AllowRule> = patterns
            .iter()
            .enumerate()
            .map(|(i, (text, begins, scales))| {
                let pattern = if *begins { format!("{text}*") } else { text.clone() };
                let kind = if *scales { ActionKind::Scale } else { ActionKind::RollingRestart };
                rule(&format!("r{i}"), &[kind], &[&pattern])
            })
            .collect();
        // Lists with rules that never decide anything are refused.
        let Ok(list) = AllowList::new(rules.clone()) else { return Ok(()) };
        let first = rules.iter().find(|r| {
            r.actions.contains(&ActionKind::RollingRestart) && r.targets.iter().any(|p| p.matches(&name))
        });
        let said = judge(&list, &propose("p", "inc", restart_of(EntityId::service(&name))), &preview(2, 10));
        prop_assert_eq!(allowed(&said), first.is_some());
        if let Some(rule) = first {
            prop_assert_eq!(said.reason(), format!("rule {}", rule.id));
        }
    }
}
