//! Spans and log lines of a window, compared with a baseline, as findings and as a briefing.

use std::time::Duration;

use aiops_compact::briefing::{Baseline, BriefingBuilder, WindowCompactor, WindowConfig};
use aiops_compact::logs::window::Novelty;
use aiops_compact::logs::{ChangeConfig, ChangeOptions, EntityLogs, LogMiner, MinerConfig, changes};
use aiops_core::jiff::Timestamp;
use aiops_core::model::{
    EntityId, EvidenceKind, LogRecord, LogSeverity, Span, SpanId, TelemetryWindow, TimeRange, TokenBudget,
    TraceId,
};
use proptest::prelude::*;

const MINUTES: u64 = 10;

fn at(millis: u64) -> Timestamp {
    "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + Duration::from_millis(millis)
}

/// Requests once a second: shop calls cart, cart calls the database. From `slow_from` on, cart itself takes 300 ms more
/// and fails a lookup with a line of severity error.
fn window(slow_from: Option<u64>) -> TelemetryWindow {
    let mut window = TelemetryWindow::new(TimeRange::new(at(0), at(MINUTES * 60_000)).unwrap());
    for second in 0..MINUTES * 60 {
        let (start, base) = (second * 1000, 20 + second % 7);
        let slow = slow_from.is_some_and(|from| second >= from);
        let own = if slow { 300 } else { 0 };
        let id = |n: u64| SpanId(second * 10 + n);
        let mut span = |n: u64, name: &str, parent: Option<u64>, begin: u64, millis: u64| {
            let entity = EntityId::service(name);
            let trace = TraceId(u128::from(second) + 1);
            let length = Duration::from_millis(millis);
            let span = Span::new(trace, id(n), entity, format!("do {name}"), at(start + begin), length);
            window.spans.push(match parent {
                Some(parent) => span.with_parent(id(parent)),
                None => span,
            });
        };
        span(1, "shop", None, 0, 3 * base + own);
        span(2, "cart", Some(1), 5, 2 * base + own);
        span(3, "database", Some(2), 10, base);
        let mut line = |name: &str, text: String, severity| {
            let line = LogRecord::new(at(start), EntityId::service(name), text);
            window.logs.push(line.with_severity(severity));
        };
        line("shop", format!("served request {second}"), LogSeverity::Info);
        line("cart", format!("cart of user {second} read"), LogSeverity::Info);
        if slow {
            line("cart", format!("lookup of item {second} failed"), LogSeverity::Error);
        }
    }
    window.sort();
    window
}

#[test]
fn the_service_that_is_slow_itself_comes_before_those_that_wait_for_it() {
    let sick = window(Some(450));
    let config = WindowConfig::default();
    // With a baseline from a healthy window, and with the earlier part of the window itself.
    let alone = WindowCompactor::new(BriefingBuilder::default(), config.clone());
    let learned = alone.clone().with_baseline(Baseline::learn(&window(None), &config));
    for compactor in [alone, learned] {
        let briefing = compactor.briefing(&sick, Vec::new(), TokenBudget(4000)).unwrap();
        let first = briefing.items().next().unwrap();
        assert!(first.iter().all(|line| line.entity == EntityId::service("cart")));
        let text = |kind| first.iter().find(|line| line.kind == Some(kind)).map(|line| line.text.as_str());
        let span = text(EvidenceKind::Trace).unwrap();
        assert!(
            span.starts_with("own time of do cart: ") && span.ends_with("100 % of all time added"),
            "{span}"
        );
        let log = text(EvidenceKind::Log).unwrap();
        assert!(
            log.starts_with("new error line, 0 → 150: ") && log.ends_with("lookup of item <*> failed"),
            "{log}"
        );
        let recent = TimeRange::new(at(450_000), at(600_000)).unwrap();
        assert!(briefing.lines.iter().all(|line| recent.contains(line.time.unwrap())));
        let waiting = |line: &&aiops_core::model::BriefingLine| line.entity == EntityId::service("database");
        assert_eq!(briefing.lines.iter().find(waiting), None);
    }
}

#[test]
fn a_healthy_window_says_that_nothing_changed() {
    let config = WindowConfig::default();
    let baseline = Baseline::learn(&window(None), &config);
    let compactor = WindowCompactor::new(BriefingBuilder::default(), config).with_baseline(baseline);
    let briefing = compactor.briefing(&window(None), Vec::new(), TokenBudget(1000)).unwrap();
    assert_eq!(briefing.lines, []);
    let cut: Vec<&str> = briefing.cuts.iter().map(|cut| cut.what.as_str()).collect();
    assert_eq!(cut, ["logs", "traces"]);
    // Nothing to learn from, nothing to compare: no line, no error.
    let empty = TelemetryWindow::new(TimeRange::new(at(0), at(1)).unwrap());
    let baseline = Baseline::learn(&empty, &WindowConfig::default());
    let compactor = WindowCompactor::default().with_baseline(baseline);
    assert_eq!(compactor.briefing(&empty, Vec::new(), TokenBudget(1000)).unwrap().lines, []);
}

#[test]
fn the_default_thresholds_are_those_documented() {
    let config = WindowConfig::default();
    assert_eq!(config.deviation.options().persistence.sigma, 2.0);
    assert_eq!((config.deviation.options().finding_sigma, config.deviation.options().novelty), (2.0, 1.0));
    assert_eq!(
        (config.deviation.options().persistence.hits, config.deviation.options().persistence.of),
        (2, 5)
    );
    assert_eq!((config.weights.options().min_calls, config.weights.options().min_sigma), (3, 2.0));
    assert_eq!(config.intake.options().max_samples, 512);
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<WindowConfig>(&text).unwrap(), config);
    assert!(serde_json::from_str::<WindowConfig>(r#"{"weight": {}}"#).is_err());
}

#[test]
fn another_value_in_a_line_is_no_other_line() {
    let mut window = TelemetryWindow::new(TimeRange::new(at(0), at(600_000)).unwrap());
    let mut say = |second: u64, text: String| {
        let line = LogRecord::new(at(second * 1000), EntityId::service("trains"), text);
        window.logs.push(line.with_severity(LogSeverity::Info));
    };
    for second in 0..600 {
        // Never more than two words in a place, so that the miner cannot know a variable.
        let kind = if second < 450 { "express" } else { "regional" };
        say(second, format!("[findByType] asking for the train of type {kind}"));
        say(second, "served one request".to_owned());
        if second < 450 {
            say(second, "cache refreshed".to_owned());
        }
    }
    let briefing = WindowCompactor::default().briefing(&window, Vec::new(), TokenBudget(4000)).unwrap();
    let texts: Vec<&str> = briefing.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].starts_with("line missing, ") && texts[0].ends_with("cache refreshed"), "{texts:?}");
}

#[test]
fn work_left_out_is_told_and_whoever_waits_is_not_blamed() {
    // From 450 s on, cart asks the database no more; from 500 s on nobody is slower but the shop's clock in a metric.
    let mut window = window(None);
    window.spans.retain(|span| span.start < at(450_000) || span.entity.name() != "database");
    let briefing = WindowCompactor::default().briefing(&window, Vec::new(), TokenBudget(4000)).unwrap();
    let first = briefing.items().next().unwrap();
    assert!(first.iter().all(|line| line.entity == EntityId::service("cart")));
    let missing = |line: &aiops_core::model::BriefingLine| {
        line.text.starts_with("do cart: do database missing in 150 of 150 calls")
    };
    assert!(first.iter().any(missing), "{}", briefing.to_markdown());
    // Latency as metrics say: the caller's is explained by the callee's.
    let series = |name: &str, level: f64| {
        let axis = aiops_core::model::TimeAxis::regular(at(0), Duration::from_secs(10), 60).unwrap();
        let values = (0..60).map(|i| Some(if i < 48 { 20.0 } else { level } + f64::from(i % 3)));
        let key = aiops_core::model::SeriesKey::new("request.duration");
        aiops_core::model::MetricSeries::new(key, EntityId::service(name), axis, values).unwrap()
    };
    let mut window = TelemetryWindow::new(TimeRange::new(at(0), at(600_000)).unwrap());
    window.metrics = vec![series("database", 200.0), series("shop", 260.0), series("unrelated", 150.0)];
    let shop_calls = |window: &mut TelemetryWindow| {
        let (shop, database) = (EntityId::service("shop"), EntityId::service("database"));
        window.topology.connect(shop, database, aiops_core::model::EdgeKind::Calls);
    };
    let order = |window: &TelemetryWindow| -> Vec<String> {
        let briefing = WindowCompactor::default().briefing(window, Vec::new(), TokenBudget(4000)).unwrap();
        briefing.lines.iter().map(|line| line.entity.name().to_owned()).collect()
    };
    let unexplained = order(&window);
    shop_calls(&mut window);
    let explained = order(&window);
    assert_eq!(explained, ["database", "unrelated", "shop"]);
    assert_ne!(unexplained.last().unwrap(), "shop");
}

/// Lines of (writer, text, severity), counted.
fn count(miner: &mut LogMiner, lines: &[(&str, &str, LogSeverity, u64)]) -> EntityLogs {
    let mut logs = EntityLogs::new();
    for (name, text, severity, times) in lines {
        for n in 0..*times {
            let template = miner.push(text.as_bytes());
            logs.observe(&EntityId::service(*name), template, at(n), Some(*severity));
        }
    }
    logs
}

#[test]
fn trouble_is_told_before_what_was_only_asked_for() {
    use LogSeverity::{Error, Info};
    let mut miner = LogMiner::new(MinerConfig::default());
    let before = count(
        &mut miner,
        &[
            ("a", "served", Info, 500),
            ("a", "disk full", Error, 30),
            ("b", "served", Info, 500),
            ("d", "idle", Info, 90),
        ],
    );
    let now = count(
        &mut miner,
        &[
            ("a", "served", Info, 1000),
            ("a", "cache rebuilt", Info, 60),
            ("b", "served", Info, 1000),
            ("b", "pool exhausted", Error, 60),
            // Nobody asked c for anything before.
            ("c", "hello", Info, 100),
            ("c", "cannot bind", Error, 20),
        ],
    );
    let found = changes(&before, &now, &ChangeConfig::default());
    let text = |id| miner.template(id).unwrap().to_string();
    let told: Vec<(&str, String, Novelty)> =
        found.iter().map(|c| (c.entity.name(), text(c.template), c.novelty)).collect();
    let expected = [("c", "cannot bind"), ("b", "pool exhausted"), ("a", "cache rebuilt")];
    assert_eq!(told, expected.map(|(name, text)| (name, text.to_owned(), Novelty::New)));
    assert_eq!((found[1].baseline, found[1].current), ((0, 500), (60, 1060)));
    assert!(found[1].sigma > 3.5 && found[1].effect == 1.0);
    // The other way round the trouble is over; what is left is the line that is written no more.
    let back = changes(&now, &before, &ChangeConfig::default());
    let told: Vec<(&str, String, Novelty)> =
        back.iter().map(|c| (c.entity.name(), text(c.template), c.novelty)).collect();
    let (gone, trouble) = ("cache rebuilt".to_owned(), "disk full".to_owned());
    assert_eq!(told, [("a", trouble, Novelty::New), ("a", gone, Novelty::Vanished)]);
}

#[test]
fn thresholds_outside_their_range_are_named() {
    for (field, change) in [
        ("finding_sigma", (|o| o.finding_sigma = 0.0) as fn(&mut ChangeOptions)),
        ("full_sigma", |o| o.full_sigma = 1.0),
        ("min_effect", |o| o.min_effect = f64::NAN),
        ("plain_weight", |o| o.plain_weight = 1.1),
    ] {
        let mut options = ChangeOptions::default();
        change(&mut options);
        assert_eq!(ChangeConfig::try_from(options).unwrap_err().field(), field);
    }
}

proptest! {
    #[test]
    fn lines_may_be_counted_in_any_order_and_in_shards(
        lines in prop::collection::vec((0..3_u8, 0..4_u8, 0..100_u64, any::<bool>()), 0..60),
        cut in 0..60_usize,
    ) {
        let mut miner = LogMiner::new(MinerConfig::default());
        let ids = ["one word", "two words", "more words here", "x"].map(|text| miner.push(text.as_bytes()));
        let count = |lines: &mut dyn Iterator<Item = &(u8, u8, u64, bool)>| {
            let mut logs = EntityLogs::new();
            for (who, what, time, severe) in lines {
                let severity = severe.then_some(LogSeverity::Error);
                logs.observe(&EntityId::service(format!("s{who}")), ids[usize::from(*what)], at(*time), severity);
            }
            logs
        };
        let whole = count(&mut lines.iter());
        prop_assert_eq!(&count(&mut lines.iter().rev()), &whole);
        let cut = cut.min(lines.len());
        let (mut late, early) = (count(&mut lines[cut..].iter()), count(&mut lines[..cut].iter()));
        late.merge(early);
        prop_assert_eq!(&late, &whole);
        prop_assert_eq!(whole.lines(), lines.len() as u64);
        prop_assert_eq!(&whole.clone().resolved(|id| id), &whole);
    }
}
