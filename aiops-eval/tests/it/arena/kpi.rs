//! Key figures of an incident store.

use aiops_core::{Case, CaseStatus};
use aiops_eval::arena::kpi::{Figure, Label, Ledger, kpis, text};

use crate::world::case;

fn value(kpis: &aiops_eval::arena::kpi::Kpis, id: &str) -> Option<f64> {
    match &kpis[id].1 {
        Figure::Known { value, .. } => Some(*value),
        Figure::Unknown { .. } => None,
    }
}

#[test]
fn what_nobody_labelled_is_unknown_and_not_zero() {
    let store: Vec<(Case, Label)> = vec![(case("a", Some(CaseStatus::Recovered)), Label::default())];
    let all = kpis(&store, &Ledger::default());
    assert_eq!(all.len(), 12);
    for id in ["M1", "M2", "M6", "M7", "M8", "M9", "M10", "M12"] {
        assert_eq!(value(&all, id), None, "{id}");
    }
    assert!(value(&all, "M3").unwrap() > 0.0);
    assert!(text(&all).contains("unknown: needs"));
}

#[test]
fn labels_and_ledgers_make_figures() {
    let real = |real| Label { real: Some(real), grouped_right: Some(real), ..Label::default() };
    let store: Vec<(Case, Label)> = [true, true, true, false]
        .into_iter()
        .map(|r| (case("a", Some(CaseStatus::Recovered)), real(r)))
        .collect();
    let ledger = Ledger {
        missed: Some(1),
        drifted: Some(2),
        cost: Some(3.0),
        inferences: Some(6),
        days: Some(4.0),
        foretold: None,
    };
    let all = kpis(&store, &ledger);
    let is = |id: &str, expected: f64| assert!((value(&all, id).unwrap() - expected).abs() < 1e-12, "{id}");
    is("M1", 0.75);
    is("M2", 0.75);
    is("M6", 0.5);
    is("M7", 0.75);
    is("M8", 0.25);
    is("M9", 0.5);
    assert!(matches!(all["M2"].1, Figure::Known { met: Some(false), .. }));
    assert!(matches!(all["M8"].1, Figure::Known { met: Some(true), .. }));
}

#[test]
fn predictions_make_figures_of_what_is_known_of_them() {
    let foretold = |tally: serde_json::Value| {
        let ledger = Ledger { foretold: Some(serde_json::from_value(tally).unwrap()), ..Ledger::default() };
        kpis(&[], &ledger)
    };
    let none = foretold(serde_json::json!({"unknown": 9, "averted": 9, "open": 3}));
    assert_eq!((value(&none, "P1"), value(&none, "P2")), (None, None), "what nobody can know is no figure");
    let some = foretold(
        serde_json::json!({"came_true": 6, "prevented": 2, "false_alarms": 2, "unknown": 9, "averted": 9}),
    );
    assert_eq!((value(&some, "P1"), value(&some, "P2")), (Some(2.0), Some(0.2)));
    assert!(text(&some).contains("incidents prevented") && some.len() == 14);
}
