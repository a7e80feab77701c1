use std::fmt::Write as _;

use aiops_compact::briefing::WindowConfig;
use aiops_eval::briefing::score;
use aiops_eval::incidents::IncidentSet;

use crate::incidents::put;

/// Two faults among eight services: one shows in the metrics of its root, the other nowhere.
fn set() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let p = dir.path();
    put(
        p,
        "labels.csv",
        "case_id,inject_unix,service,fault_type,root_metric,rows_normal,rows_anomalous\n\
         seen,10000,s6,cpu,s6/cpu,100,50\nunseen,10000,s7,cpu,s7/cpu,100,50\n",
    );
    for case in ["seen", "unseen"] {
        let mut text = "unix".to_owned();
        (0..8).for_each(|s| write!(text, ",s{s}/cpu").unwrap());
        for row in 0..150_u32 {
            write!(text, "\n{}", 9900 + row).unwrap();
            for s in 0..8_u32 {
                let noise = f64::from((row * 7 + s * 13) % 5);
                let fault = if case == "seen" && s == 6 && row >= 100 { 60.0 } else { 0.0 };
                write!(text, ",{}", 20.0 + noise + fault).unwrap();
            }
        }
        put(p, &format!("cases/{case}.csv.gz"), &text);
    }
    dir
}

#[test]
fn the_root_is_looked_for_among_the_first_entities() {
    let dir = set();
    let set = IncidentSet::open(dir.path()).unwrap();
    let report = score(&set, &[4000, 300], &WindowConfig::default(), |_, _| {}).unwrap();
    assert_eq!(report.budgets.len(), 2);
    for budget in &report.budgets {
        let [seen, unseen] = &budget.cases[..] else { panic!() };
        assert_eq!((seen.place, unseen.place), (Some(1), None));
        assert!(seen.tokens <= budget.budget && seen.lines == 1);
        assert_eq!(budget.share(None), (0.5, 2));
        assert_eq!(budget.share(Some("cpu")), (0.5, 2));
        assert_eq!(seen.random, 5.0 / 8.0);
    }
    // Listed in order of time and name, the seventh of eight comes seventh where the budget lasts so long.
    assert_eq!(report.budgets[0].cases[0].listed, Some(7));
    let text = report.text();
    assert!(text.contains("4000 tokens, 2 incidents: root among the first 5 entities 50.0 %"), "{text}");
    // Not even the stated loss fits.
    assert!(score(&set, &[5], &WindowConfig::default(), |_, _| {}).is_err());
}
