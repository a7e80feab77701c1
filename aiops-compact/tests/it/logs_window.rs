//! Ranking of a window's templates.

use aiops_compact::logs::window::{LogWindow, Novelty, RankConfig, RankOptions, rank};
use aiops_compact::logs::{LogMiner, MinerConfig, TemplateId};
use aiops_core::jiff::Timestamp;
use aiops_core::model::LogSeverity;
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Ten minutes of baseline, ten of window.
fn scene() -> (LogMiner, LogWindow, LogWindow) {
    let mut miner = LogMiner::new(MinerConfig::default());
    let (mut baseline, mut window) = (LogWindow::new(), LogWindow::new());
    for second in 0..1200 {
        let late = second >= 600;
        let mut lines =
            vec![format!("served request {second} in 3 ms"), format!("retry {second} failed once")];
        if !late {
            lines.push(format!("heartbeat {second} sent"));
        }
        if second % 60 == 0 || late {
            lines.push(format!("queue {second} is full"));
        }
        if second == 900 {
            lines.push("disk sda is gone for good".to_owned());
        }
        for line in lines {
            let id = miner.push(line.as_bytes());
            let into = if late { &mut window } else { &mut baseline };
            into.observe(at(second), id, &line, None);
        }
    }
    (miner, baseline, window)
}

#[test]
fn what_is_new_vanished_or_bursting_is_ranked() {
    let (miner, baseline, window) = scene();
    let top =
        rank(&window, &baseline, &RankConfig::default(), |id| miner.template(id).map(|t| t.to_string()));
    let found: Vec<(&str, Novelty, u64)> =
        top.iter().map(|t| (t.template.as_str(), t.novelty, t.count)).collect();
    assert!(found.contains(&("queue <*> is full", Novelty::Bursting, 600)), "{found:?}");
    assert!(found.contains(&("heartbeat <*> sent", Novelty::Vanished, 0)), "{found:?}");
    assert!(
        found.contains(&("disk sda is gone for good", Novelty::New, 1)),
        "one line of 3000 is kept: {found:?}"
    );
    assert!(!found.iter().any(|f| f.0.starts_with("served")), "{found:?}");
    let burst = &top[found.iter().position(|f| f.1 == Novelty::Bursting).unwrap()];
    assert_eq!(burst.minutes, (10..20).map(|m| (at(m * 60), 60)).collect::<Vec<_>>());
    assert_eq!((burst.first, burst.last), (at(600), at(1199)));
    assert_eq!(burst.expected, 10.0);
    assert!(!burst.examples.is_empty() && burst.examples.iter().all(|e| e.ends_with("is full")));
}

#[test]
fn the_percentile_cuts_only_what_is_usual() {
    let (miner, baseline, window) = scene();
    let text = |id: TemplateId| miner.template(id).map(|t| t.to_string());
    let config =
        |percentile| RankConfig::try_from(RankOptions { percentile, ..RankOptions::default() }).unwrap();
    let all = rank(&window, &baseline, &config(0.0), text);
    assert_eq!(all.len(), 4);
    let usual = all.last().unwrap();
    assert_eq!(
        (usual.template.as_str(), usual.novelty),
        ("retry <*> failed once", Novelty::Usual),
        "a keyword"
    );
    let strict = rank(&window, &baseline, &config(100.0), text);
    assert_eq!(strict.len(), 3);
    assert!(strict.iter().all(|entry| entry.novelty != Novelty::Usual));
}

#[test]
fn severity_ranks_whatever_the_words() {
    let mut miner = LogMiner::new(MinerConfig::default());
    let id = miner.push(b"all is calm");
    let mut window = LogWindow::new();
    window.observe(at(0), id, "all is calm", Some(LogSeverity::Error));
    let top = rank(&window, &window.clone(), &RankConfig::default(), |_| Some("all is calm".to_owned()));
    assert_eq!(top.len(), 1);
    assert!(rank(&LogWindow::new(), &LogWindow::new(), &RankConfig::default(), |_| None).is_empty());
    let error =
        RankConfig::try_from(RankOptions { percentile: 101.0, ..RankOptions::default() }).unwrap_err();
    assert_eq!(error.field(), "percentile");
}

proptest! {
    #[test]
    fn windows_merge_exactly(lines in prop::collection::vec((0_i64..600, 0_usize..5, 0_u32..50), 0..80), cut in 0_usize..80) {
        let mut miner = LogMiner::new(MinerConfig::default());
        let names = ["alpha", "beta", "gamma", "delta", "eps"];
        let (mut whole, mut left, mut right) = (LogWindow::new(), LogWindow::new(), LogWindow::new());
        for (n, (second, name, value)) in lines.iter().enumerate() {
            let line = format!("{} has {value}", names[*name]);
            let id = miner.push(line.as_bytes());
            whole.observe(at(*second), id, &line, None);
            let shard = if n < cut { &mut left } else { &mut right };
            shard.observe(at(*second), id, &line, None);
        }
        let mut other = right.clone();
        other.merge(left.clone());
        left.merge(right);
        prop_assert_eq!(&left, &whole);
        prop_assert_eq!(&other, &whole);
        prop_assert_eq!(whole.clone().resolved(|id| id), whole);
    }
}
