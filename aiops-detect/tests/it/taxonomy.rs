//! Names of incidents over versions, their drift, and application errors told apart.

use std::collections::{BTreeMap, BTreeSet};

use aiops_detect::Checked;
use aiops_detect::taxonomy::{
    Category, ErrorFingerprint, ErrorReport, LabelDriftOptions, Relabelled, Taxonomy, TaxonomyError,
    TaxonomyHistory, label_drift,
};
use proptest::prelude::*;

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn kinds(names: &[&str]) -> Vec<(String, Category)> {
    names.iter().map(|name| ((*name).to_owned(), Category::new("as it says"))).collect()
}

fn history() -> TaxonomyHistory {
    let first = Taxonomy::new(kinds(&["slow", "down", "full", "odd"])).unwrap();
    let second = first
        .next(
            kinds(&["latency", "down", "disk full", "memory full"]),
            [("slow", set(&["latency"])), ("full", set(&["disk full", "memory full"])), ("odd", set(&[]))],
        )
        .unwrap();
    let third = second
        .next(
            kinds(&["latency", "down", "saturation"]),
            [("disk full", set(&["saturation"])), ("memory full", set(&["saturation"]))],
        )
        .unwrap();
    TaxonomyHistory::try_from(vec![first, second, third]).unwrap()
}

#[test]
fn labels_of_any_version_become_those_of_the_latest() {
    let history = history();
    assert_eq!(history.latest().unwrap().version(), 3);
    assert_eq!(history.relabel(1, "slow"), Relabelled::Renamed("latency".into()));
    assert_eq!(history.relabel(1, "down"), Relabelled::Same);
    // Split and put together again: nobody has to choose.
    assert_eq!(history.relabel(1, "full"), Relabelled::Renamed("saturation".into()));
    assert_eq!(history.relabel(1, "odd"), Relabelled::GivenUp);
    assert_eq!(history.relabel(2, "slow"), Relabelled::Unknown);
    assert_eq!(history.relabel(0, "slow"), Relabelled::Unknown);
    assert_eq!(history.relabel(9, "slow"), Relabelled::Unknown);
    let two: Vec<Taxonomy> = Vec::from(history).into_iter().take(2).collect();
    let two = TaxonomyHistory::try_from(two).unwrap();
    assert_eq!(two.relabel(1, "full"), Relabelled::OneOf(set(&["disk full", "memory full"])));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let within = |name: &str, parent: &str| (name.to_owned(), Category::new("x").within(parent));
    assert_eq!(
        Taxonomy::new([within("a", "b")]),
        Err(TaxonomyError::Dangling { name: "a".into(), to: "b".into() })
    );
    assert_eq!(Taxonomy::new([within("a", "b"), within("b", "a")]), Err(TaxonomyError::Cycle("a".into())));
    assert_eq!(Taxonomy::new(kinds(&[""])), Err(TaxonomyError::Unnamed));
    let first = Taxonomy::new(kinds(&["a", "b"])).unwrap();
    let none: [(String, BTreeSet<String>); 0] = [];
    assert_eq!(
        first.next(kinds(&["a"]), none.clone()),
        Err(TaxonomyError::Lost { name: "b".into(), version: 1 })
    );
    assert_eq!(
        first.next(kinds(&["a", "b"]), [("b", set(&["a"]))]),
        Err(TaxonomyError::MovedAndKept("b".into()))
    );
    assert_eq!(
        first.next(kinds(&["a", "b"]), [("c", set(&["a"]))]),
        Err(TaxonomyError::MovedUnknown("c".into()))
    );
    let second = first.next(kinds(&["a", "b"]), none).unwrap();
    assert_eq!(
        TaxonomyHistory::try_from(vec![second.clone()]),
        Err(TaxonomyError::Version { expected: 1, found: 2 })
    );
    assert!(TaxonomyHistory::try_from(vec![first, second.clone(), second]).is_err());
    assert!(TaxonomyHistory::try_from(Vec::new()).is_err());
}

#[test]
fn a_stored_taxonomy_is_checked_when_it_is_read() {
    let stored = serde_json::to_string(&history()).unwrap();
    assert_eq!(serde_json::from_str::<TaxonomyHistory>(&stored).unwrap(), history());
    assert!(serde_json::from_str::<TaxonomyHistory>(&stored.replace("saturation", "")).is_err());
    assert!(serde_json::from_str::<Taxonomy>(r#"{"version": 1, "categories": {}, "more": 1}"#).is_err());
    let wide = Taxonomy::new([
        ("resource".to_owned(), Category::new("x")),
        ("memory".to_owned(), Category::new("x").within("resource")),
        ("leak".to_owned(), Category::new("x").within("memory")),
    ])
    .unwrap();
    assert_eq!(wide.wider("leak").collect::<Vec<_>>(), ["memory", "resource"]);
    assert_eq!(wide.wider("else").count(), 0);
}

fn counts(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
    of.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
}

#[test]
fn names_given_otherwise_are_found_and_few_are_not_judged() {
    let config = Checked::<LabelDriftOptions>::default();
    let usual = counts(&[("memory", 40), ("network", 40), ("deploy", 20)]);
    assert!(!label_drift(&usual, &usual, &config).unwrap().drifted);
    let near = counts(&[("memory", 37), ("network", 41), ("deploy", 22)]);
    assert!(!label_drift(&usual, &near, &config).unwrap().drifted);
    let other = counts(&[("memory", 5), ("network", 45), ("database", 50)]);
    let drift = label_drift(&usual, &other, &config).unwrap();
    assert!(drift.drifted && drift.p < 1e-9, "{drift:?}");
    assert_eq!(drift.shifts[0].name, "database");
    // No name in both.
    let apart =
        label_drift(&counts(&[("a", 50), ("b", 50)]), &counts(&[("c", 50), ("d", 50)]), &config).unwrap();
    assert!((apart.distance - 1.0).abs() < 1e-12);
    assert!(label_drift(&usual, &counts(&[("memory", 19)]), &config).is_none());
    let one = counts(&[("memory", 100)]);
    assert!((label_drift(&one, &one, &config).unwrap().p - 1.0).abs() < 1e-12);
    let third = counts(&[("memory", 30), ("network", 30), ("deploy", 40)]);
    let drift = label_drift(&usual, &third, &config).unwrap();
    let g = 2.0
        * [(40.0, 35.0), (40.0, 35.0), (20.0, 30.0), (30.0, 35.0), (30.0, 35.0), (40.0, 30.0)]
            .map(|(o, e): (f64, f64)| o * (o / e).ln())
            .iter()
            .sum::<f64>();
    // With two degrees of freedom the survival function is an exponential.
    assert!((drift.p - (-g / 2.0).exp()).abs() < 1e-12, "{} {g}", drift.p);
}

const JAVA: &str = "java.lang.IllegalStateException: order 81723 of 'bob' is closed
\tat shop.Orders.lambda$close$17(Orders.java:91)
\tat shop.Orders.close(Orders.java:88)
\tat java.base/java.lang.Thread.run(Thread.java:840)
Caused by: java.io.IOException: reset
\tat shop.Db.read(Db.java:3)";

const PYTHON: &str = "Traceback (most recent call last):
  File \"/srv/app/web.py\", line 12, in post
    cart.add(item)
  File \"/srv/app/cart.py\", line 7, in add
    raise KeyError(item)
KeyError: 'shoe-17'";

const RUST: &str = "thread 'main' panicked at src/main.rs:4:5:
index out of bounds: the len is 3 but the index is 7
stack backtrace:
   0:     0x55d0c0ffee12 - shop::cart::add::h0123456789abcdef
             at ./src/cart.rs:31:5
   1:     0x55d0c0ffee99 - shop::main";

#[test]
fn what_runtimes_print_is_read() {
    let java = ErrorReport::read(JAVA);
    assert_eq!(java.kind, "java.lang.IllegalStateException");
    assert_eq!(java.message, "order 81723 of 'bob' is closed");
    assert_eq!(
        java.frames,
        ["shop.Orders.lambda$close$17", "shop.Orders.close", "java.base/java.lang.Thread.run"]
    );
    let python = ErrorReport::read(PYTHON);
    assert_eq!((python.kind.as_str(), python.message.as_str()), ("KeyError", "'shoe-17'"));
    assert_eq!(python.frames, ["add", "post"]);
    let rust = ErrorReport::read(RUST);
    assert_eq!(rust.frames, ["shop::cart::add::h0123456789abcdef", "shop::main"]);
    let script = ErrorReport::read(
        "TypeError: x is undefined\n    at async load (/app/a.js:3:9)\n    at /app/b.js:1:1",
    );
    assert_eq!((script.kind.as_str(), &script.frames[..]), ("TypeError", &["load".to_owned()][..]));
    let plain = ErrorReport::read("connection to db-7 refused");
    assert_eq!(
        (plain.kind.as_str(), plain.message.as_str(), plain.frames.len()),
        ("", "connection to db-7 refused", 0)
    );
}

#[test]
fn one_error_has_one_fingerprint_whatever_the_build_and_the_input() {
    let of = |text: &str| ErrorFingerprint::of(&ErrorReport::read(text));
    let java = of(JAVA);
    assert_eq!(
        of(&JAVA.replace("Orders.java:91", "Orders.java:95").replace("$17", "$3").replace("81723", "4")),
        java
    );
    assert_ne!(of(&JAVA.replace("Orders.close(", "Orders.open(")), java);
    assert_ne!(of(&JAVA.replace("IllegalState", "IllegalArgument")), java);
    assert_eq!(
        of(&RUST.replace("0123456789abcdef", "fedcba9876543210").replace("c0ffee", "000000")),
        of(RUST)
    );
    assert_eq!(of("connection to db-7 refused after 30 s"), of("connection to db-9 refused after 5 s"));
    assert_ne!(of("connection to db-7 refused"), of("connection to db-7 reset"));
    assert_eq!(of("no user \"ann lee\" here"), of("no user \"bob\" here"));
    // However deep a recursion went.
    let deep = |n: usize| format!("E: x\n{}at b.c(D.java:1)", "at a.b(C.java:1)\n".repeat(n));
    assert_eq!(of(&deep(2)), of(&deep(500)));
    let stored = serde_json::to_string(&java).unwrap();
    assert_eq!(serde_json::from_str::<ErrorFingerprint>(&stored).unwrap(), java);
    assert!(serde_json::from_str::<ErrorFingerprint>("\"+12\"").is_err());
}

proptest! {
    #[test]
    fn any_text_is_a_report(text in "(?s).{0,400}") {
        let report = ErrorReport::read(&text);
        prop_assert_eq!(ErrorFingerprint::of(&report), ErrorFingerprint::of(&report.clone()));
        prop_assert!(report.frames.iter().all(|frame| !frame.is_empty()));
    }
}
