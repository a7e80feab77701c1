//! Members, the direction of dependencies, manifests.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::repository::{metadata, read, root};

/// Members that the plain `cargo test` at the root leaves out.
const NOT_BY_DEFAULT: [&str; 1] = ["aiops-benches"];
const UNPUBLISHED: [&str; 3] = ["aiops-benches", "aiops-eval", "aiops-examples"];
const BACKENDS: [&str; 6] =
    ["aiops-approvals", "aiops-biscuit", "aiops-cedar", "aiops-process", "aiops-prometheus", "aiops-redis"];
/// Clients and engines that only backends and programs may use.
const HEAVY: [&str; 12] = [
    "axum",
    "cedar-policy",
    "datafusion",
    "hyper",
    "kube",
    "openssl",
    "rdkafka",
    "reqwest",
    "rustls",
    "tantivy",
    "tonic",
    "native-tls",
];

/// Crates of this workspace that `name` may depend on: for its users, and for its tests.
fn allowed(name: &str) -> Option<(Vec<&'static str>, Vec<&'static str>)> {
    const INNER: [&str; 5] = ["aiops-core", "aiops-compact", "aiops-detect", "aiops-rca", "aiops-act"];
    let tested = |normal: &[&'static str]| (normal.to_vec(), [INNER.as_slice(), &["aiops-testkit"]].concat());
    Some(match name {
        // The fakes' conformance runs in the testkit, so that it needs no second build of core.
        "aiops-core" => (vec![], vec![]),
        "aiops-compact" | "aiops-act" => tested(&["aiops-core"]),
        "aiops-detect" | "aiops-rca" => tested(&["aiops-core", "aiops-compact"]),
        "aiops-testkit" => (vec!["aiops-core"], INNER.to_vec()),
        backend if BACKENDS.contains(&backend) => tested(&INNER),
        "aiops" => {
            let normal = [INNER.as_slice(), &BACKENDS].concat();
            (normal.clone(), [normal.as_slice(), &["aiops-testkit"]].concat())
        }
        "aiops-examples" => {
            let all = [INNER.as_slice(), &BACKENDS, &["aiops", "aiops-testkit"]].concat();
            (all.clone(), all)
        }
        // Game days break the example system, which knows nothing of being evaluated.
        "aiops-eval" => {
            let all = [INNER.as_slice(), &BACKENDS, &["aiops", "aiops-testkit", "aiops-examples"]].concat();
            (all.clone(), all)
        }
        // What is evaluated is measured too, from the same made-up telemetry.
        "aiops-benches" => {
            let all = [INNER.as_slice(), &BACKENDS, &["aiops", "aiops-testkit", "aiops-eval"]].concat();
            (all.clone(), all)
        }
        _ => return None,
    })
}

/// Dependencies that point the wrong way, are too heavy for their place, or belong to a crate without a place.
fn wrong_dependencies(packages: &[Value]) -> Vec<String> {
    let ours: BTreeSet<&str> = packages.iter().map(|p| p["name"].as_str().unwrap()).collect();
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let Some((normal, tests)) = allowed(name) else {
            wrong.push(format!("{name} has no place in the direction of dependencies"));
            continue;
        };
        let inner =
            allowed("aiops").is_some_and(|(below, _)| below.contains(&name) && !BACKENDS.contains(&name));
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            let for_tests = dependency["kind"] == "dev";
            let may = if for_tests { &tests } else { &normal };
            if ours.contains(on) && on != name && !may.contains(&on) {
                wrong.push(format!("{name} depends on {on}"));
            }
            let light = matches!(name, "aiops-core" | "aiops-compact");
            if !for_tests && ((light && on == "tokio") || (inner && HEAVY.contains(&on))) {
                wrong.push(format!("{name} is too light for {on}"));
            }
        }
    }
    wrong
}

/// What a package's manifest lacks.
fn manifest_faults(package: &Value, manifest: &str) -> Vec<String> {
    let name = package["name"].as_str().unwrap();
    let mut faults = Vec::new();
    let lints = manifest.split("\n[").find_map(|section| section.strip_prefix("lints]"));
    if !lints.is_some_and(|section| section.lines().any(|line| line.trim() == "workspace = true")) {
        faults.push(format!("{name} does not take the lints of the workspace"));
    }
    for field in ["description", "license", "rust_version"] {
        if package[field].as_str().unwrap_or_default().is_empty() {
            faults.push(format!("{name} has no {field}"));
        }
    }
    // Cargo lists the registries a package may be published to; none means never.
    let unpublished = package["publish"].as_array().is_some_and(Vec::is_empty);
    if unpublished != UNPUBLISHED.contains(&name) {
        faults.push(format!("{name}: publish is not as intended"));
    }
    faults
}

fn names(metadata: &Value, list: &str) -> BTreeSet<String> {
    let ids: Vec<&str> = metadata[list].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    let of = |p: &&Value| ids.contains(&p["id"].as_str().unwrap());
    let packages = metadata["packages"].as_array().unwrap().iter().filter(of);
    packages.map(|p| p["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_default_members_are_all_but_the_listed() {
    let metadata = metadata();
    let (all, default) =
        (names(&metadata, "workspace_members"), names(&metadata, "workspace_default_members"));
    let left_out: Vec<&String> = all.difference(&default).collect();
    assert_eq!(left_out, NOT_BY_DEFAULT);
    assert!(default.contains("aiops") && default.is_subset(&all));
}

#[test]
fn dependencies_point_inwards() {
    let metadata = metadata();
    let wrong = wrong_dependencies(metadata["packages"].as_array().unwrap());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn manifests_are_complete() {
    let metadata = metadata();
    let mut faults = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let manifest = std::fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap();
        faults.extend(manifest_faults(package, &manifest));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn fuzzing_stays_outside() {
    let manifest = read("fuzz/Cargo.toml".as_ref());
    assert!(manifest.contains("\n[workspace]\n") && manifest.contains("\npublish = false\n"));
    assert!(root().join("fuzz/Cargo.lock").is_file(), "fuzz targets are built from a lock file");
}

#[test]
fn a_dependency_that_points_outwards_is_seen() {
    let package = |name: &str, on: &str, kind: Value| json!({"name": name, "dependencies": [{"name": on, "kind": kind}]});
    let wrong = |name: &str, on: &str, kind: Value| {
        let other = json!({"name": on, "dependencies": []});
        let known = allowed(on).is_some();
        let packages =
            if known { vec![package(name, on, kind), other] } else { vec![package(name, on, kind)] };
        wrong_dependencies(&packages)
    };
    assert_eq!(wrong("aiops-core", "aiops-testkit", json!("dev")), ["aiops-core depends on aiops-testkit"]);
    assert_eq!(wrong("aiops-act", "aiops-rca", Value::Null), ["aiops-act depends on aiops-rca"]);
    assert_eq!(wrong("aiops-rca", "aiops", json!("dev")), ["aiops-rca depends on aiops"]);
    assert_eq!(
        wrong("aiops-rca", "aiops-prometheus", json!("build")),
        ["aiops-rca depends on aiops-prometheus"]
    );
    assert_eq!(
        wrong("aiops-process", "aiops-prometheus", Value::Null),
        ["aiops-process depends on aiops-prometheus"]
    );
    assert_eq!(wrong("aiops-compact", "tokio", Value::Null), ["aiops-compact is too light for tokio"]);
    assert_eq!(wrong("aiops-rca", "reqwest", Value::Null), ["aiops-rca is too light for reqwest"]);
    assert_eq!(
        wrong("aiops-new", "serde", Value::Null),
        ["aiops-new has no place in the direction of dependencies"]
    );
    for (name, on, kind) in [
        ("aiops-rca", "aiops-compact", Value::Null),
        ("aiops-rca", "aiops-testkit", json!("dev")),
        ("aiops-prometheus", "reqwest", Value::Null),
        ("aiops-examples", "aiops-prometheus", Value::Null),
    ] {
        assert_eq!(wrong(name, on, kind), Vec::<String>::new());
    }
}

#[test]
fn an_incomplete_manifest_is_seen() {
    let package = |name: &str, publish: Value| json!({"name": name, "description": "d", "license": "MIT", "rust_version": "1.95", "publish": publish});
    let good = "[package]\nname = \"x\"\n\n[lints]\nworkspace = true\n";
    let good_package = package("aiops-act", Value::Null);
    assert_eq!(manifest_faults(&good_package, good), Vec::<String>::new());
    assert_eq!(manifest_faults(&package("aiops-act", json!([])), good).len(), 1);
    assert_eq!(manifest_faults(&package("aiops-eval", Value::Null), good).len(), 1);
    for bad in ["[package]\nedition.workspace = true\n", "[lints]\n[dependencies]\nworkspace = true\n"] {
        assert_eq!(
            manifest_faults(&good_package, bad),
            ["aiops-act does not take the lints of the workspace"]
        );
    }
    let bare = json!({"name": "aiops-act", "description": "", "license": null, "publish": null});
    assert_eq!(manifest_faults(&bare, good).len(), 3);
}
