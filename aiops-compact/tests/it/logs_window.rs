//! Ranking of a window's templates.

use aiops_compact::logs::window::{
    LogWindow, LogWindowConfig, LogWindowOptions, Novelty, RankConfig, RankOptions, rank,
};
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

fn bounded(max_templates: usize, max_minutes: usize) -> LogWindow {
    LogWindow::with_config(
        LogWindowConfig::try_from(LogWindowOptions { max_templates, max_minutes }).unwrap(),
    )
}

/// So many ids, by number.
fn ids(count: usize) -> Vec<TemplateId> {
    let mut miner = LogMiner::new(MinerConfig::default());
    (0..count).map(|n| miner.push("word ".repeat(n + 1).as_bytes())).collect()
}

#[test]
fn the_oldest_minutes_go_and_are_counted() {
    let ids = ids(2);
    let mut window = bounded(8, 3);
    // A clock that jumps far ahead takes one minute of three, a line from before all of them none.
    for minute in [0, 1, 2, 3, 2, 9_000_000, 0] {
        window.observe(at(minute * 60), ids[0], "often", None);
    }
    window.observe(at(1), ids[1], "early", None);
    assert_eq!((window.lines(), window.dropped(), window.minutes(), window.templates()), (8, 4, 3, 1));
    let top = rank(&window, &LogWindow::new(), &RankConfig::default(), |_| Some("failed".to_owned()));
    assert_eq!(top[0].minutes, [(at(120), 2), (at(180), 1), (at(540_000_000), 1)]);
    assert_eq!(top[0].count, 4);
}

#[test]
fn the_templates_seen_longest_ago_go_and_are_counted() {
    let ids = ids(100);
    let mut window = bounded(16, 5);
    for (second, id) in (0..).zip(&ids) {
        window.observe(at(second), *id, "once", None);
        window.observe(at(second), ids[0], "always", None);
        assert!(window.templates() <= 16);
    }
    assert_eq!((window.lines(), window.minutes()), (200, 2));
    let top = rank(&window, &LogWindow::new(), &RankConfig::default(), |id| Some(format!("failed {id}")));
    assert_eq!(top.iter().map(|t| t.count).sum::<u64>() + window.dropped(), 200);
    assert!(top.iter().any(|t| t.id == ids[0] && t.count == 101), "what is seen stays");
    for (field, options) in [
        ("max_templates", LogWindowOptions { max_templates: 0, ..LogWindowOptions::default() }),
        ("max_minutes", LogWindowOptions { max_minutes: 1_000_001, ..LogWindowOptions::default() }),
    ] {
        assert_eq!(LogWindowConfig::try_from(options).unwrap_err().field(), field);
    }
}

#[test]
fn a_stored_window_that_none_can_have_written_is_refused() {
    let (_, _, window) = scene();
    let stored = serde_json::to_value(&window).unwrap();
    assert_eq!(serde_json::from_value::<LogWindow>(stored.clone()).unwrap(), window);
    let id = stored["templates"].as_object().unwrap().keys().next().unwrap().clone();
    let refused = |reason: &str, change: &dyn Fn(&mut serde_json::Value)| {
        let mut changed = stored.clone();
        change(&mut changed);
        let error = serde_json::from_value::<LogWindow>(changed).unwrap_err().to_string();
        assert!(error.contains(reason), "{reason}: {error}");
    };
    refused("more lines in minutes", &|w| w["lines"] = 1.into());
    refused("more lines in minutes", &|w| w["lines"] = u64::MAX.into());
    refused("more lines in minutes", &|w| w["minutes"]["10"] = u64::MAX.into());
    refused("too many minutes", &|w| w["config"]["max_minutes"] = 2.into());
    refused("too many templates", &|w| w["config"]["max_templates"] = 1.into());
    refused("unknown field", &|w| w["more"] = 1.into());
    refused("unknown field", &|w| w["templates"][&id]["more"] = 1.into());
    refused("not that of its minutes", &|w| w["templates"][&id]["count"] = u64::MAX.into());
    refused("without lines", &|w| w["minutes"].as_object_mut().unwrap().retain(|minute, _| minute != "10"));
    refused("fewer lines", &|w| w["minutes"]["10"] = 1.into());
    refused("before the first", &|w| w["templates"][&id]["first"] = "2026-01-01T00:00:00Z".into());
    refused("examples", &|w| w["templates"][&id]["examples"] = serde_json::json!({ "1": "x".repeat(2000) }));
}

proptest! {
    #[test]
    fn bounded_windows_keep_the_same_minutes_in_any_order(
        lines in prop::collection::vec((0_i64..1200, 0_usize..4), 0..80),
        cut in 0_usize..80,
    ) {
        let ids = ids(4);
        let (mut whole, mut left, mut right) = (bounded(8, 5), bounded(8, 5), bounded(8, 5));
        for (n, (second, id)) in lines.iter().enumerate() {
            whole.observe(at(*second), ids[*id], "a line", None);
            let shard = if n < cut { &mut left } else { &mut right };
            shard.observe(at(*second), ids[*id], "a line", None);
        }
        let mut backwards = bounded(8, 5);
        lines.iter().rev().for_each(|(second, id)| backwards.observe(at(*second), ids[*id], "a line", None));
        left.merge(right);
        let counts = |window: &LogWindow| {
            let value = serde_json::to_value(window).unwrap();
            let of = |seen: &serde_json::Value| (seen["count"].clone(), seen["minutes"].clone());
            let templates = value["templates"].as_object().unwrap();
            let templates: Vec<_> = templates.iter().map(|(id, seen)| (id.clone(), of(seen))).collect();
            (templates, value["minutes"].clone(), window.lines(), window.dropped())
        };
        prop_assert_eq!(counts(&left), counts(&whole));
        prop_assert_eq!(counts(&backwards), counts(&whole));
        let kept: u64 = {
            let mut minutes: Vec<i64> = lines.iter().map(|(second, _)| second / 60).collect();
            minutes.sort_unstable();
            minutes.dedup();
            let from = minutes.len().saturating_sub(5);
            lines.iter().filter(|(second, _)| minutes[from..].contains(&(second / 60))).count() as u64
        };
        prop_assert_eq!(whole.lines() - whole.dropped(), kept);
    }

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
