//! Key figures M1 to M12 of an incident store: case files, and what people labelled of them. // EVA-06
//!
//! What nobody labelled is unknown, not zero.

use std::collections::BTreeMap;

use aiops_act::foretold::Tally;
use aiops_core::action::{ActionOutcome, Risk};
use aiops_core::jiff::Timestamp;
use aiops_core::model::Recovery;
use aiops_core::{Case, CasePart, CaseStatus};
use serde::{Deserialize, Serialize};

use super::protocol::episode::{Played, Truth};

/// What people know of one case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Label {
    /// Whether something was really wrong.
    pub real: Option<bool>,
    /// When it really began.
    pub began: Option<Timestamp>,
    /// Whether everything the case holds together belongs together, and nothing is missing.
    pub grouped_right: Option<bool>,
}

/// What people know beside the cases.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ledger {
    /// Incidents that no case was opened for.
    pub missed: Option<u64>,
    /// Alarms of models that had drifted, of all retrained in the period.
    pub drifted: Option<u64>,
    /// Cost of model calls, in the currency of the store.
    pub cost: Option<f64>,
    /// Model calls.
    pub inferences: Option<u64>,
    /// Length of the period, days.
    pub days: Option<f64>,
    /// What became of predictions ([`Foretold::tally`](aiops_act::Foretold::tally)); makes figures `P1` and `P2`.
    pub foretold: Option<Tally>,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// It is known.
    Known {
        /// The value.
        value: f64,
        /// Its unit.
        unit: String,
        /// On how many items it rests.
        of: u64,
        /// Whether the starting target is met, where there is one.
        met: Option<bool>,
    },
    /// Nobody labelled what it needs.
    Unknown {
        /// What that is.
        needs: String,
    },
}

/// The figures by number, `M1` to `M12`; where predictions were made, `P1` and `P2`.
pub type Kpis = BTreeMap<String, (String, Figure)>;

fn mean(values: &[f64]) -> Option<(f64, u64)> {
    let n = values.len() as u64;
    (n > 0).then(|| (values.iter().sum::<f64>() / n as f64, n))
}

fn figure(value: Option<(f64, u64)>, unit: &str, met: impl Fn(f64) -> Option<bool>, needs: &str) -> Figure {
    match value {
        Some((value, of)) => Figure::Known { value, unit: unit.to_owned(), of, met: met(value) },
        None => Figure::Unknown { needs: needs.to_owned() },
    }
}

/// Computes the figures of cases, each with what people know of it.
#[must_use]
pub fn kpis(store: &[(Case, Label)], ledger: &Ledger) -> Kpis {
    let cases = || store.iter().map(|(c, _)| c);
    let real: Vec<bool> = store.iter().filter_map(|(_, l)| l.real).collect();
    let true_alarms = real.iter().filter(|r| **r).count() as u64;
    let precision = (!real.is_empty()).then(|| (true_alarms as f64 / real.len() as f64, real.len() as u64));
    let recall = ledger.missed.filter(|m| true_alarms + m > 0).map(|missed| {
        let all = true_alarms + missed;
        (true_alarms as f64 / all as f64, all)
    });
    let since = |a: Timestamp, b: Timestamp| b.duration_since(a).as_secs_f64();
    let closed = |(c, l): &(Case, Label)| {
        let recovered = matches!(c.status(), Some(CaseStatus::Recovered));
        let end = c.entries().last().filter(|_| recovered)?;
        Some(since(l.began.unwrap_or(c.opened_at()), end.at))
    };
    let repaired: Vec<f64> = store.iter().filter_map(closed).collect();
    let first = |c: &Case| {
        let taken = c.entries().iter().find(|e| matches!(e.part, CasePart::Diagnosed(_)))?;
        Some(since(c.opened_at(), taken.at))
    };
    let acknowledged: Vec<f64> = cases().filter_map(first).collect();
    let mut low = Vec::new();
    let mut ran = Vec::new();
    for (receipt, recovery) in cases().flat_map(Case::attempts) {
        let done = receipt.outcome == ActionOutcome::Completed;
        if receipt.action.risk() == Risk::Low {
            low.push(f64::from(u8::from(done && recovery == Some(Recovery::Recovered))));
        }
        ran.push(since(receipt.started_at, receipt.finished_at));
    }
    let grouped: Vec<f64> =
        store.iter().filter_map(|(_, l)| l.grouped_right).map(|g| f64::from(u8::from(g))).collect();
    let detected: Vec<f64> = store.iter().filter_map(|(c, l)| Some(since(l.began?, c.opened_at()))).collect();
    let burdens = cases().flat_map(Case::entries).filter(|e| match &e.part {
        CasePart::Decided(d) => d.approval.is_some(),
        CasePart::Closed(CaseStatus::Escalated { .. }) => true,
        _ => false,
    });
    let burdens = burdens.count() as u64;
    let none = |_: f64| None;
    let rows = [
        ("M1", "alert precision", figure(precision, "1", |v| Some(v >= 0.6), "whether each case was real")),
        ("M2", "alert recall", figure(recall, "1", |v| Some(v >= 0.9), "how many incidents were missed")),
        ("M3", "mean time to repair", figure(mean(&repaired), "s", none, "a case that recovered")),
        (
            "M4",
            "mean time to acknowledge",
            figure(mean(&acknowledged), "s", |v| Some(v < 300.0), "a diagnosed case"),
        ),
        ("M5", "automation success", figure(mean(&low), "1", |v| Some(v >= 0.85), "an action of low risk")),
        (
            "M6",
            "drift rate",
            figure(
                ledger.drifted.zip(ledger.days).map(|(n, d)| (n as f64 / d, n)),
                "1/d",
                none,
                "which models drifted, and the period",
            ),
        ),
        (
            "M7",
            "correlation accuracy",
            figure(mean(&grouped), "1", |v| Some(v >= 0.7), "whether each case is one incident"),
        ),
        (
            "M8",
            "false-positive rate",
            figure(
                precision.map(|(p, n)| (1.0 - p, n)),
                "1",
                |v| Some(v < 0.4),
                "whether each case was real",
            ),
        ),
        (
            "M9",
            "cost per inference",
            figure(
                ledger.cost.zip(ledger.inferences).filter(|(_, n)| *n > 0).map(|(c, n)| (c / n as f64, n)),
                "{currency}",
                none,
                "cost and number of model calls",
            ),
        ),
        ("M10", "time to detect", figure(mean(&detected), "s", none, "when each incident began")),
        ("M11", "runbook time", figure(mean(&ran), "s", none, "an action that ran")),
        (
            "M12",
            "on-call load",
            figure(
                ledger.days.filter(|d| *d > 0.0).map(|d| (burdens as f64 / d, burdens)),
                "1/d",
                none,
                "the period",
            ),
        ),
    ];
    let of_predictions = ledger.foretold.map(predictions).into_iter().flatten();
    rows.into_iter()
        .chain(of_predictions)
        .map(|(id, name, f)| (id.to_owned(), (name.to_owned(), f)))
        .collect()
}

/// Incidents that were prevented, and false alarms, of predictions whose outcome is known. // DET-13
fn predictions(tally: Tally) -> [(&'static str, &'static str, Figure); 2] {
    let known = tally.known() as u64;
    let prevented = (known > 0).then_some((tally.prevented as f64, known));
    let false_alarms = tally.false_alarm_share().map(|share| (share, known));
    let needs = "predictions whose outcome is known";
    [
        ("P1", "incidents prevented", figure(prevented, "{incident}", |_| None, needs)),
        ("P2", "false alarms of predictions", figure(false_alarms, "1", |_| None, needs)),
    ]
}

/// What the arena knows of its episodes, as a store and a ledger.
#[must_use]
pub fn of_arena(episodes: &[(Played, Truth)]) -> (Vec<(Case, Label)>, Ledger) {
    let (mut store, mut missed, mut seconds) = (Vec::new(), 0, 0.0);
    for (played, truth) in episodes {
        let broken = truth.fault.is_some();
        let mut seen = false;
        for case in &played.cases {
            let real = broken && case.opened_at() >= truth.onset;
            seen |= real;
            let began = real.then_some(truth.onset);
            store.push((case.clone(), Label { real: Some(real), began, grouped_right: None }));
        }
        missed += u64::from(broken && !seen);
        seconds += played.watched_seconds;
    }
    let ledger = Ledger { missed: Some(missed), days: Some(seconds / 86_400.0), ..Ledger::default() };
    (store, ledger)
}

/// As a Markdown table.
#[must_use]
pub fn text(kpis: &Kpis) -> String {
    let mut out = String::from("| | figure | value | target |\n|---|---|---|---|\n");
    let ids = (1..=12).map(|n| format!("M{n}")).chain(["P1".to_owned(), "P2".to_owned()]);
    for id in ids {
        let Some((name, figure)) = kpis.get(&id) else { continue };
        out += &match figure {
            Figure::Known { value, unit, of, met } => {
                let met = met.map_or("", |m| if m { "met" } else { "not met" });
                format!("| {id} | {name} | {value:.3} {unit} (of {of}) | {met} |\n")
            }
            Figure::Unknown { needs } => format!("| {id} | {name} | unknown: needs {needs} | |\n"),
        };
    }
    out
}
