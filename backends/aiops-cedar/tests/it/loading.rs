//! What is found out before a policy is in force.

use aiops_cedar::{CedarConfig, CedarGuard, Finding, FlawKind, schema_text};
use aiops_core::{Error, ErrorKind};

use crate::support::{config, groups, guard};

/// Each flaw by kind and policy.
fn flaws(policies: &str) -> Vec<(FlawKind, Option<String>)> {
    let refused = CedarGuard::new(&config(policies)).expect_err(policies);
    refused.flaws().iter().map(|flaw| (flaw.kind, flaw.policy.clone())).collect()
}

#[test]
fn what_cannot_be_meant_is_refused_and_named() {
    use FlawKind::*;
    const ANY: &str = "(principal, action, resource)";
    let cases: &[(FlawKind, &str, &str)] = &[
        (Template, "a", r#"@id("a") permit (principal == ?principal, action, resource);"#),
        (Template, "policy 1", r#"permit (principal == ?principal, action, resource);"#),
        (Id, "policy 1", "permit (principal, action, resource);"),
        (
            Id,
            "policy 2",
            r#"@id("a") forbid (principal, action, resource); @id(" ") permit (principal, action, resource);"#,
        ),
        (
            Id,
            "a",
            r#"@id("a") forbid (principal, action, resource); @id("a") permit (principal, action, resource);"#,
        ),
        // One letter off, and the action would run alone.
        (Annotation, "a", r#"@id("a") @aks("5m") permit (principal, action, resource);"#),
        (Annotation, "a", r#"@id("a") @ask("soon") permit (principal, action, resource);"#),
        (Annotation, "a", r#"@id("a") @ask("0s") permit (principal, action, resource);"#),
        (Annotation, "a", r#"@id("a") @ask("-5m") permit (principal, action, resource);"#),
        (Annotation, "a", r#"@id("a") @ask forbid (principal, action, resource);"#),
        (Annotation, "a", r#"@id("a") @notify("no") permit (principal, action, resource);"#),
        (Annotation, "a", r#"@id("a") @ask @notify permit (principal, action, resource);"#),
        (Schema, "a", r#"@id("a") permit (principal, action == Action::"restart", resource);"#),
        (Schema, "a", r#"@id("a") permit (principal, action, resource is Servce);"#),
        (Schema, "a", r#"@id("a") permit (principal, action, resource) when { resource.nmae == "x" };"#),
        (Schema, "a", r#"@id("a") permit (principal, action, resource) when { context.confidence > 0 };"#),
        (
            Schema,
            "a",
            r#"@id("a") permit (principal, action, resource) when { context.risk == Risk::"hihg" };"#,
        ),
        // What may be absent must be asked for first.
        (
            Schema,
            "a",
            r#"@id("a") permit (principal, action, resource) when { resource.environment == "staging" };"#,
        ),
        (
            Schema,
            "a",
            r#"@id("a") permit (principal, action, resource) when { resource.getTag("team") == "shop" };"#,
        ),
        (
            Schema,
            "a",
            r#"@id("a") permit (principal, action, resource) when { context.error_budget.lessThan(decimal("0.1")) };"#,
        ),
        (
            Schema,
            "a",
            r#"@id("a") permit (principal, action, resource) when { context.confidence.lessThan(decimal("0.12345")) };"#,
        ),
        // There are no groups here.
        (Schema, "a", r#"@id("a") permit (principal, action, resource in Group::"shop");"#),
        (
            Impossible,
            "a",
            r#"@id("a") permit (principal, action, resource) when { resource is Service && resource is Pod };"#,
        ),
        (Impossible, "a", r#"@id("a") permit (principal, action, resource) when { false };"#),
    ];
    for (kind, policy, text) in cases {
        assert_eq!(flaws(text), [(*kind, Some((*policy).to_owned()))], "{text}");
    }
    for text in
        ["permit", &format!("@id(\"a\") permit {ANY}"), "@id(\"a\") allow (principal, action, resource);"]
    {
        assert_eq!(flaws(text), [(Syntax, None)], "{text}");
    }
}

#[test]
fn policies_that_never_decide_are_refused() {
    for (idle, text) in [
        // A denial without conditions over a narrower permit, an equal policy, one that asks sooner, and one that asks at all.
        (
            "a",
            r#"@id("a") permit (principal, action == Action::"scale", resource is Service); @id("b") forbid (principal, action in [Action::"scale", Action::"stop"], resource);"#,
        ),
        (
            "a",
            r#"@id("a") permit (principal, action, resource == Service::"x"); @id("b") forbid (principal, action, resource is Service);"#,
        ),
        (
            "b",
            r#"@id("a") forbid (principal, action, resource); @id("b") forbid (principal, action, resource);"#,
        ),
        (
            "b",
            r#"@id("a") permit (principal, action, resource) when { context.replicas < 4 }; @id("b") permit (principal, action, resource is Pod) when { context.replicas < 4 };"#,
        ),
        (
            "a",
            r#"@id("a") @ask("10m") permit (principal, action, resource); @id("b") @ask("1m") permit (principal, action, resource);"#,
        ),
        (
            "a",
            r#"@id("a") @notify permit (principal, action, resource); @id("b") @ask permit (principal, action, resource);"#,
        ),
    ] {
        assert_eq!(flaws(text), [(FlawKind::Unreachable, Some(idle.to_owned()))], "{text}");
    }
    for text in [
        // It tells people, the wider one does not.
        r#"@id("a") @notify permit (principal, action, resource is Pod); @id("b") permit (principal, action, resource);"#,
        r#"@id("a") permit (principal, action, resource is Pod); @id("b") forbid (principal, action, resource) when { context.replicas > 4 };"#,
        r#"@id("a") permit (principal, action, resource); @id("b") forbid (principal, action, resource is Pod);"#,
        r#"@id("a") @ask("1m") permit (principal, action, resource is Pod); @id("b") @ask("10m") permit (principal, action, resource);"#,
    ] {
        guard(text);
    }
}

/// All flaws of a kind come out together, in the order of the text.
#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let text = r#"
        @id("z") permit (principal, action, resource) when { resource.a == 1 };
        @id("fine") permit (principal, action, resource is Pod);
        @id("a") permit (principal, action, resource) when { false };
    "#;
    let expected = [(FlawKind::Schema, Some("z".to_owned())), (FlawKind::Impossible, Some("a".to_owned()))];
    assert_eq!(flaws(text), expected);
    let error: Error = CedarGuard::new(&config(text)).unwrap_err().into();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains('z'), "{error}");
}

#[test]
fn the_configuration_around_policies_is_checked() {
    let broken = |text: &str| {
        let config: CedarConfig = serde_json::from_str(text).unwrap();
        let refused = CedarGuard::new(&config).expect_err(text);
        assert!(refused.flaws().iter().all(|flaw| flaw.kind == FlawKind::Config), "{refused}");
    };
    broken(r#"{ "zone": "Mars/Olympus" }"#);
    broken(r#"{ "groups": { "shop": {} } }"#);
    broken(r#"{ "groups": { "shop": { "service": [] } } }"#);
    for text in [r#"{ "policy": "" }"#, r#"{ "groups": { "shop": { "server": ["a"] } } }"#] {
        assert!(serde_json::from_str::<CedarConfig>(text).is_err(), "{text}");
    }
    let unknown = CedarConfig {
        groups: groups(r#"{ "shop": { "service": ["a"] } }"#),
        ..config(r#"@id("a") permit (principal, action, resource in Group::"shopp");"#)
    };
    let refused = CedarGuard::new(&unknown).unwrap_err();
    assert_eq!(
        (refused.flaws()[0].kind, refused.flaws()[0].policy.as_deref()),
        (FlawKind::Schema, Some("a"))
    );
}

#[test]
fn findings_tell_what_is_often_a_mistake() {
    let of = |text: &str| guard(text).findings().to_vec();
    let conflict =
        |permits: &str, forbids: &str| Finding::Conflict { permits: permits.into(), forbids: forbids.into() };
    let found = of(r#"
        @id("shop") permit (principal, action, resource is Service) when { resource.name like "shop-*" };
        @id("no-restarts") forbid (principal, action == Action::"rolling_restart", resource);
        @id("not-the-store") forbid (principal, action, resource == Service::"shop-store");
        @id("not-now") forbid (principal, action, resource) when { context.weekday == Weekday::"sunday" };
        @id("not-pods") forbid (principal, action, resource is Pod);
    "#);
    assert_eq!(found, [conflict("shop", "no-restarts")]);
    let found = of(r#"@id("all") permit (principal, action, resource);"#);
    assert_eq!(found, [Finding::Unlimited { policy: "all".into() }]);
    assert_eq!(of(r#"@id("all") @ask permit (principal, action, resource);"#), []);
    // The second letter of оrders is Latin, the first Cyrillic.
    let found = of(
        "@id(\"a\") permit (principal, action, resource == Service::\"\u{43e}rders\") when { resource.name == \"\u{43e}rders\" };",
    );
    assert!(
        matches!(found.as_slice(), [Finding::Suspicious { policy, .. }, ..] if policy == "a"),
        "{found:?}"
    );
    let found =
        of("@id(\"a\") permit (principal, action, resource) when { resource.name == \"x\u{202e}y\" };");
    assert!(
        matches!(found.as_slice(), [Finding::Suspicious { policy, .. }, ..] if policy == "a"),
        "{found:?}"
    );
}

#[test]
fn the_schema_can_be_handed_to_other_tools() {
    let without = schema_text([]);
    assert!(!without.contains("in [Group]"));
    let text = schema_text(["production", "a \"quoted\" one"]);
    assert!(text.contains("in [Group]") && text.contains("Group enum [\"production\", "), "{text}");
}
