use aiops_core::model::DiagnosisStatus;
use aiops_eval::diagnose::diagnose;
use aiops_rca::{FusedLocalizer, RuleRca};

use crate::localise::set;

#[test]
fn system_and_kind_are_judged_apart_and_ties_count_against() {
    let dir = tempfile::tempdir().unwrap();
    set(dir.path());
    let rca = RuleRca::default();
    let report = diagnose(&[dir.path()], &FusedLocalizer::default(), &rca, |_, _| {}).unwrap();
    let [busy, quiet] = report.sets[0].answers.as_slice() else { panic!("{report:#?}") };
    assert!(busy.system_right && busy.fault_right == Some(true) && busy.right(), "{busy:#?}");
    assert!(busy.raw > 0.5 && busy.statement.as_ref().unwrap().contains("cpu of service/b"), "{busy:#?}");
    // Nobody deviates: three are suspected alike, and the first of them is no answer.
    assert!(!quiet.right() && quiet.raw < 0.3 && quiet.raw < busy.raw, "{quiet:#?}");
    assert_eq!(quiet.status, DiagnosisStatus::Inconclusive);
    // Two outcomes are no calibration, and that is said.
    assert!(report.sets[0].leave_one_out.is_none() && report.across_sets.is_none());
    let text = report.text();
    assert!(text.contains("system 0.50 (1/2)") && text.contains("too few outcomes"), "{text}");
    let again = diagnose(&[dir.path()], &FusedLocalizer::default(), &rca, |_, _| {}).unwrap();
    let told = |r: &aiops_eval::diagnose::DiagnoseReport| {
        r.sets[0].answers.iter().map(|a| (a.statement.clone(), a.raw.to_bits())).collect::<Vec<_>>()
    };
    assert_eq!(told(&report), told(&again));
}
