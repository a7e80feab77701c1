//! Names, labels and kinds as nobody would choose them who means well.

use std::collections::BTreeMap;
use std::sync::Arc;

use aiops_act::policy::{Policy, PolicyTable};
use aiops_cedar::{CedarConfig, CedarGuard};
use aiops_core::action::{ActionKind, Operation, Principal, Share};
use aiops_core::model::{Entity, EntityId, EntityKind};

use crate::support::{allowed, guard, noon, propose, refused, restart, restart_of, said};

const ORDERS: &str = r#"@id("orders") permit (principal == Principal::"planner", action, resource == Service::"orders");
    @id("by-name") permit (principal, action, resource) when { principal.name == "second" && resource.name like "shop-*" };"#;

#[test]
fn look_alikes_are_others() {
    let guard = guard(ORDERS);
    assert!(allowed(&said(&guard, &restart_of("orders"))));
    for name in [
        "\u{43e}rders",
        "Orders",
        "orders ",
        " orders",
        "orders\0",
        "orders\u{200b}",
        "o\u{301}rders",
        "orders\n",
        "/orders",
        "ｏrders",
        "",
        "service/orders",
        "Service::\"orders\"",
        "orders\") || true || (\"",
        "*",
        "order?",
    ] {
        assert!(refused(&said(&guard, &restart_of(name))), "{name:?}");
    }
    for kind in [EntityKind::Pod, EntityKind::Database, EntityKind::External] {
        assert!(refused(&said(&guard, &propose(restart(), EntityId::new(kind, "orders")))), "{kind}");
    }
    for who in ["Planner", "planner ", "pl\u{430}nner", "", "planner\0"] {
        let mut proposal = restart_of("orders");
        proposal.proposed_by = Principal::new(who);
        assert!(refused(&said(&guard, &proposal)), "{who:?}");
    }
    let mut second = restart_of("shop-*");
    second.proposed_by = Principal::new("second");
    assert!(allowed(&said(&guard, &second)), "a star in a name is a letter");
    second.action.target = EntityId::service("\u{455}hop-a");
    assert!(refused(&said(&guard, &second)));
}

/// Whatever a name is made of, the translated policy means it and no other.
#[test]
fn names_of_all_letters_survive_translation() {
    let names = [
        "a\"b",
        "a\\b",
        "a\\b\"",
        "\u{0}",
        "é",
        "e\u{301}",
        "日本",
        "\u{1f600}",
        "\u{202e}abc",
        "a\nb",
        "${x}",
        "\\u{61}",
        "'",
        "a b",
        " ",
        "?principal",
        "\u{10ffff}",
    ];
    for name in names {
        for (pattern, others) in
            [(name.to_owned(), vec![format!("{name}x")]), (format!("{name}*"), vec![format!("x{name}")])]
        {
            let json = serde_json::json!({ "rules": [{ "id": name, "effect": "allow", "targets": { "service": [pattern] }, "principals": [pattern] }] });
            let policy: Policy = serde_json::from_value(json).unwrap();
            // An id of blanks is none in Cedar.
            if name.trim().is_empty() {
                assert!(CedarGuard::new(&CedarConfig::from_table(&policy).unwrap()).is_err());
                continue;
            }
            let guard = CedarGuard::new(&CedarConfig::from_table(&policy).unwrap()).unwrap();
            let table = PolicyTable::new(&policy).unwrap();
            for tried in others.iter().map(String::as_str).chain(names) {
                let mut proposal = restart_of(tried);
                proposal.proposed_by = Principal::new(name);
                assert_eq!(
                    guard.judge(&proposal, noon()),
                    table.judge(&proposal, noon()),
                    "{pattern:?} {tried:?}"
                );
            }
            let mut proposal = restart_of(name);
            proposal.proposed_by = Principal::new(name);
            assert_eq!(guard.judge(&proposal, noon()).rules, [name]);
        }
    }
}

#[test]
fn names_and_labels_without_end_are_judged() {
    let mut entity = Entity::new(EntityId::service("orders"));
    let long = "x".repeat(1 << 20);
    entity.attributes = (0..5_000).map(|n| (format!("label-{n}"), format!("{n}"))).collect();
    entity.attributes.insert("long", long.clone());
    entity.environment = Some(long);
    entity.owner = Some("\u{0}\u{202e}\"".to_owned());
    let known = BTreeMap::from([(entity.id.clone(), Arc::new(entity))]);
    let guard = guard(
        r#"@id("a") permit (principal, action, resource) when { resource.hasTag("label-4999") && resource.getTag("label-4999") == "4999" };
           @id("b") forbid (principal, action, resource) when { resource.name like "*a*a*a*b" };"#,
    )
    .with_inventory(known);
    assert!(allowed(&said(&guard, &restart_of("orders"))));
    let mut proposal = restart_of(&"a".repeat(1 << 20));
    proposal.proposed_by = Principal::new("p".repeat(1 << 20));
    assert!(refused(&said(&guard, &proposal)));
}

/// The schema knows every kind that core does.
#[test]
fn every_kind_of_action_and_target_is_in_the_schema() {
    let guard = guard(r#"@id("any") permit (principal, action, resource);"#);
    let none = std::collections::BTreeMap::new;
    let operations = [
        restart(),
        Operation::Scale { replicas: 2 },
        Operation::Rollback { to: "r1".into() },
        Operation::Cordon,
        Operation::Drain,
        Operation::CachePurge,
        Operation::LogRotation,
        Operation::Throttle { to: Share::new(0.5).unwrap() },
        Operation::Concurrency { limit: 4 },
        Operation::JobTemplate { template: "t".into(), variables: none() },
        Operation::PlaybookStep { playbook: "p".into(), step: "s".into() },
        Operation::Stop,
        Operation::Custom { name: "c".into(), parameters: none() },
    ];
    let kinds: std::collections::BTreeSet<ActionKind> = operations.iter().map(Operation::kind).collect();
    assert_eq!(kinds.len(), 13);
    let targets: Vec<EntityId> = [
        "service",
        "instance",
        "pod",
        "container",
        "node",
        "host",
        "gpu",
        "database",
        "queue",
        "cache",
        "volume",
        "network",
        "tenant",
        "job",
        "external",
    ]
    .iter()
    .map(|kind| format!("{kind}/x").parse().unwrap())
    .collect();
    for operation in operations {
        for target in &targets {
            let verdict = said(&guard, &propose(operation.clone(), target.clone()));
            assert!(allowed(&verdict), "{operation} {target}: {verdict:?}");
        }
    }
}
