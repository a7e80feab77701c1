//! Several detectors as one; budgets of false alarms; findings that wait for a person.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aiops_core::fake::InMemorySource;
use aiops_core::model::{
    Anomaly, Baseline, DetectorId, EntityId, FetchRequest, FittedHash, SeriesKey, Severity, Shape,
    TelemetryWindow, TimeRange,
};
use aiops_core::pipeline::Look;
use aiops_core::seam::{Detector, Fit};
use aiops_core::{CaseStatus, Context, ErrorKind, ManualClock};
use aiops_detect::ensemble::{
    Admission, AlarmBudget, BookError, BookFile, BookOptions, BudgetOptions, Combination, EnsembleDetector,
    EnsembleFit, EnsembleOptions, FittedEnsemble, Judgement, Pattern, ScoreEnsemble, TailCalibration,
    TailOptions, ValidatedEnsemble, ValidationBook, combine, confidence,
};
use aiops_detect::novelty::{NoveltyFit, NoveltySeriesDetector};
use aiops_detect::rolling::{RollingDetector, RollingFit};
use aiops_detect::{Checked, FitError, Options};
use aiops_testkit::conformance::{DetectorFixture, detector as conformance};
use futures_lite::future::block_on;
use jiff::Timestamp;
use proptest::prelude::*;

use crate::detectors::{FIRST, LEN, window};
use crate::worlds::{disordered, normal, rng, spoiled};

fn tail(scores: impl IntoIterator<Item = f64>) -> TailCalibration {
    TailCalibration::fit(scores, &Checked::default()).unwrap()
}

#[test]
fn p_values_are_the_shares_they_say() {
    let mut random = rng(1);
    let calibration = tail((0..4000).map(|_| normal(&mut random)));
    assert_eq!(calibration.count(), 4000);
    let fresh: Vec<f64> = (0..200_000).map(|_| normal(&mut random)).collect();
    for level in [0.5, 0.1, 0.02, 0.005, 0.001] {
        let share = fresh.iter().filter(|s| calibration.p_value(**s) <= level).count() as f64 / 200_000.0;
        assert!((0.5..=2.0).contains(&(share / level)), "{share} at {level}");
    }
    // Beyond everything seen the order stays, however far.
    let far: Vec<f64> = [5.0, 6.0, 9.0, 30.0].map(|s| calibration.p_value(s)).to_vec();
    assert!(far.is_sorted_by(|a, b| a > b) && far.iter().all(|p| *p > 0.0), "{far:?}");
    assert_eq!((calibration.p_value(f64::NAN), calibration.p_value(f64::NEG_INFINITY)), (1.0, 1.0));
}

#[test]
fn odd_scores_calibrate_too() {
    let constant = tail([3.0; 200]);
    assert_eq!(constant.p_value(3.0), 1.0);
    assert!(constant.p_value(3.1) < 0.01);
    // Nearly always nothing: what a detector says of healthy series.
    let silent = tail((0..1000).map(|i| if i < 4 { 4.0 + f64::from(i) } else { 0.0 }));
    assert_eq!(silent.p_value(0.0), 1.0);
    assert!(silent.p_value(4.0) < 0.01 && silent.p_value(12.0) < silent.p_value(7.0));
    let mixed = (0..150).map(f64::from).chain([f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
    assert_eq!(tail(mixed).count(), 150);
    let few = TailCalibration::fit([f64::NAN; 500], &Checked::default()).unwrap_err();
    assert_eq!(few, FitError::TooFew { usable: 0, needed: 100 });
    let bad = TailOptions { share: 0.5, ..Default::default() };
    assert_eq!(bad.validate().unwrap_err().field(), "share");
}

#[test]
fn rules_combine_as_they_say() {
    for rule in [Combination::Cauchy, Combination::HarmonicMean, Combination::Normal] {
        assert_eq!(combine(&[], rule), 1.0);
        assert_eq!(combine(&[(f64::NAN, 1.0), (0.1, 0.0), (0.1, f64::NAN)], rule), 1.0);
        // One member, or members that say the same, are that member.
        for p in [1e-200, 1e-12, 1e-4, 0.2] {
            for of in [vec![(p, 1.0)], vec![(p, 2.0), (p, 0.5)]] {
                let combined = combine(&of, rule);
                assert!((combined / p - 1.0).abs() < 1e-3, "{rule:?} {p} {combined}");
            }
        }
    }
    // Somebody sure among silent ones: as much as there are members, and no more.
    let sure = [(1e-9, 1.0), (1.0, 1.0), (1.0, 1.0)];
    assert!((combine(&sure, Combination::Cauchy) / 3e-9 - 1.0).abs() < 1e-3);
    assert!((combine(&sure, Combination::HarmonicMean) / 3e-9 - 1.0).abs() < 1e-3);
    // A weight counts.
    let trusted = combine(&[(1e-6, 3.0), (1.0, 1.0)], Combination::Cauchy);
    assert!(trusted < combine(&[(1e-6, 1.0), (1.0, 3.0)], Combination::Cauchy));
}

#[test]
fn confidence_is_what_a_p_value_allows() {
    assert!(
        (confidence(1.0, 0.01) - 0.01).abs() < 1e-12 && (confidence(f64::NAN, 0.01) - 0.01).abs() < 1e-12
    );
    assert_eq!(confidence(1e-9, 0.0), 0.0);
    let falling: Vec<f64> = [0.1, 1e-2, 1e-3, 1e-5, 1e-8].map(|p| confidence(p, 0.01)).to_vec();
    assert!(falling.is_sorted() && falling[4] > 0.999 && falling[1] < 0.2, "{falling:?}");
}

#[test]
fn what_depends_on_each_other_stays_calibrated() {
    // Two members that say nearly the same, and one of its own.
    let rows = |seed: u64, n: usize| -> [Vec<f64>; 3] {
        let mut random = rng(seed);
        let mut rows = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..n {
            let shared = normal(&mut random);
            rows[0].push(shared);
            rows[1].push(20.0 * (shared + 0.1 * normal(&mut random)));
            rows[2].push(normal(&mut random).exp());
        }
        rows
    };
    let healthy = rows(1, 5000);
    for rule in [Combination::Cauchy, Combination::HarmonicMean, Combination::Normal] {
        let named = [("a", &healthy[0][..]), ("b", &healthy[1][..]), ("c", &healthy[2][..])];
        let ensemble = ScoreEnsemble::fit(&named, rule, &Checked::default()).unwrap();
        assert_eq!(ensemble.members().len(), 3);
        let fresh = rows(2, 50_000);
        let alarms = (0..50_000)
            .filter(|i| ensemble.p_value(&[fresh[0][*i], fresh[1][*i], fresh[2][*i]]) <= 0.005)
            .count();
        assert!((125..=500).contains(&alarms), "{rule:?}: {alarms} where 250 are meant");
        // Something only one member can see is seen, and NaN is no evidence.
        assert!(ensemble.score(&[0.0, 0.0, 1e4]) > ensemble.score(&[0.0, 0.0, 3.0]));
        assert!(ensemble.p_value(&[f64::NAN; 3]) > 0.5);
        let stored = serde_json::to_string(&ensemble).unwrap();
        assert_eq!(serde_json::from_str::<ScoreEnsemble>(&stored).unwrap(), ensemble);
    }
}

fn day(n: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(86_400 * n)
}

#[test]
fn a_budget_of_false_alarms_is_kept() {
    let options = BudgetOptions { start: 0.01, ..Default::default() };
    let mut budget = AlarmBudget::new(Checked::new(options).unwrap(), day(0));
    let mut random = rng(3);
    let mut late = 0;
    // 2880 looks a day whose p-values are three times too small: 2 a day are 2 / 2880 / 3.
    for n in 0..2880_u64 * 60 {
        if random.f64() / 3.0 <= budget.level() {
            budget.raised();
            late += usize::from(n >= 2880 * 30);
        }
        budget.looked(day(0) + Duration::from_secs(30 * (n + 1)));
    }
    assert_eq!(budget.periods(), 60);
    assert!((40..=90).contains(&late), "{late} in 30 days");
    let meant = 2.0 / 2880.0 / 3.0;
    assert!((0.3..3.0).contains(&(budget.level() / meant)), "{} where {meant} is meant", budget.level());
}

#[test]
fn a_level_stays_within_its_bounds() {
    let options = BudgetOptions { least: 1e-6, most: 1e-2, ..Default::default() };
    let mut flood = AlarmBudget::new(Checked::new(options).unwrap(), day(0));
    let mut quiet = flood.clone();
    let first = flood.level();
    for n in 1..100 {
        (0..1000).for_each(|_| flood.raised());
        flood.looked(day(n));
        quiet.looked(day(n));
    }
    assert_eq!((flood.level(), quiet.level()), (1e-6, 1e-2));
    assert!(flood.mean_false_alarms() > 999.0);
    // Confirmed alarms are none of the budget's.
    let mut right = AlarmBudget::new(Checked::new(options).unwrap(), day(0));
    (0..50).for_each(|_| right.raised());
    (0..48).for_each(|_| right.judged(Judgement::Confirmed));
    right.looked(day(1));
    assert_eq!(right.level(), first);
    // Not looking is not quiet, nor is a clock that jumps back.
    let mut away = AlarmBudget::new(Checked::new(options).unwrap(), day(50));
    away.looked(day(90));
    away.looked(day(3));
    assert_eq!((away.level(), away.periods()), (first, 0));
    let stored = serde_json::to_string(&flood).unwrap();
    assert_eq!(serde_json::from_str::<AlarmBudget>(&stored).unwrap(), flood);
    for (field, bad) in [
        ("allowed", BudgetOptions { allowed: 0.0, ..options }),
        ("most", BudgetOptions { most: 0.9, ..options }),
        ("start", BudgetOptions { start: 0.5, ..options }),
        ("period", BudgetOptions { period: Duration::ZERO, ..options }),
    ] {
        assert_eq!(bad.validate().unwrap_err().field(), field);
    }
}

fn finding(name: &str, severity: Severity) -> Anomaly {
    let range = TimeRange::new(day(0), day(1)).unwrap();
    let baseline = Baseline { center: 1.0, scale: 0.5, samples: 9 };
    let mut anomaly = Anomaly::new(
        DetectorId("test".into()),
        FittedHash("0".into()),
        EntityId::service(name),
        SeriesKey::new("load"),
        Shape::LevelShiftUp,
        day(0),
        9.0,
        baseline,
        FetchRequest::new(range),
    );
    anomaly.severity = severity;
    anomaly
}

#[test]
fn unsure_findings_wait_and_persons_teach() {
    let mut book = ValidationBook::new(Checked::default());
    let (weak, grave) = (finding("orders", Severity::Warning), finding("orders", Severity::Critical));
    let Admission::Held(id) = book.admit(&weak, 0.3, day(1)) else { panic!("is told") };
    // The same waits once; what is sure or critical does not wait.
    assert_eq!(book.admit(&weak, 0.3, day(2)), Admission::Held(id));
    assert_eq!(book.admit(&weak, 0.7, day(2)), Admission::Told);
    assert_eq!(book.admit(&grave, 0.3, day(2)), Admission::Critical);
    assert!(!book.admit(&finding("users", Severity::Info), f64::NAN, day(2)).is_told());
    assert_eq!(
        book.waiting().map(|held| held.anomaly.entity.name()).collect::<Vec<_>>(),
        ["orders", "users"]
    );
    assert!(matches!(book.judge(id, Judgement::Confirmed, " ", day(3)), Err(BookError::Nameless)));
    assert_eq!(book.judge(id, Judgement::Confirmed, "ann", day(3)).unwrap(), Some(weak.clone()));
    assert!(matches!(book.judge(id, Judgement::Confirmed, "ann", day(3)), Err(BookError::Unknown(_))));
    // Its like is told now: (2 · 0.3 + 1) ÷ 3; and a year later no longer.
    assert_eq!(book.admit(&weak, 0.3, day(4)), Admission::Told);
    let Admission::Held(again) = book.admit(&weak, 0.3, day(400)) else { panic!("is told") };
    assert_eq!(book.judge(again, Judgement::Rejected, "ben", day(400)).unwrap(), None);
    // One rejection holds back what is moderately sure.
    assert!(!book.admit(&weak, 0.7, day(401)).is_told());
    assert_eq!(book.admit(&weak, 0.99, day(401)), Admission::Told);
    assert_eq!(book.judgements(&Pattern::of(&weak), day(401)), (0, 1));
    let counts = book.counts();
    assert_eq!((counts.held, counts.confirmed, counts.rejected, counts.waiting), (4, 1, 1, 2));
}

#[test]
fn a_full_book_hides_nothing() {
    let options = BookOptions { max_held: 3, max_patterns: 2, ..Default::default() };
    let mut book = ValidationBook::new(Checked::new(options).unwrap());
    let admitted: Vec<Admission> =
        (0..5).map(|i| book.admit(&finding(&format!("s-{i}"), Severity::Warning), 0.1, day(1))).collect();
    assert_eq!(admitted.iter().filter(|a| **a == Admission::Overflow).count(), 2, "{admitted:?}");
    let ids: Vec<_> = book.waiting().map(|held| held.id).collect();
    for (n, id) in ids.into_iter().enumerate() {
        book.judge(id, Judgement::Rejected, "ann", day(2 + n as u64)).unwrap();
    }
    // The pattern judged longest ago is forgotten.
    let known = |book: &ValidationBook, i| book.judgements(&Pattern::of(&finding(i, Severity::Info)), day(9));
    assert_eq!([known(&book, "s-0"), known(&book, "s-1"), known(&book, "s-2")], [(0, 0), (0, 1), (0, 1)]);
    for (field, bad) in [
        ("tell_from", BookOptions { tell_from: 1.5, ..options }),
        ("trust", BookOptions { trust: 0.0, ..options }),
        ("valid_for", BookOptions { valid_for: Duration::ZERO, ..options }),
        ("max_held", BookOptions { max_held: 0, ..options }),
    ] {
        assert_eq!(bad.validate().unwrap_err().field(), field);
    }
}

/// A path of its own for each test, without what an earlier run left.
fn path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("aiops-book-{}-{name}.jsonl", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn a_book_survives_a_restart_and_a_crash() {
    let path = path("restart");
    let (weak, other) = (finding("orders", Severity::Warning), finding("users", Severity::Warning));
    let kept = {
        let mut file = BookFile::open(&path, Checked::default()).unwrap();
        let Admission::Held(id) = file.admit(&weak, 0.2, day(1)).unwrap() else { panic!("is told") };
        file.admit(&other, 0.2, day(1)).unwrap();
        file.judge(id, Judgement::Rejected, "ann", day(2)).unwrap();
        file.review(&other, Judgement::Confirmed, "ben", day(2)).unwrap();
        assert!(matches!(file.review(&other, Judgement::Confirmed, "", day(2)), Err(BookError::Nameless)));
        file.book().clone()
    };
    assert_eq!(*BookFile::open(&path, Checked::default()).unwrap().book(), kept);
    // Cut off while a line was written: that line never counted, and what follows is whole.
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..], b"{\"held\":{\"id\":7"].concat()).unwrap();
    let mut file = BookFile::open(&path, Checked::default()).unwrap();
    assert_eq!((file.cut_off(), file.book()), (Some("{\"held\":{\"id\":7"), &kept));
    file.admit(&finding("third", Severity::Warning), 0.2, day(3)).unwrap();
    let after = file.book().clone();
    drop(file);
    let again = BookFile::open(&path, Checked::default()).unwrap();
    assert_eq!((again.book(), again.cut_off()), (&after, None));
    drop(again);
    // Every other damage is an error, and leaves the file alone.
    let text = std::fs::read_to_string(&path).unwrap();
    let second = text.lines().nth(1).unwrap();
    for (what, damaged) in [
        ("other version", text.replacen(":1}", ":2}", 1)),
        ("no version", text.replacen("{\"validation_book\":1}\n", "", 1)),
        ("torn in the middle", text.replacen("held", "he", 1)),
        ("an event twice", format!("{text}{second}\n")),
    ] {
        std::fs::write(&path, &damaged).unwrap();
        let error = BookFile::open(&path, Checked::default()).unwrap_err();
        assert!(matches!(error, BookError::Malformed { .. }), "{what}: {error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged, "{what}");
    }
    std::fs::remove_file(&path).unwrap();
    let missing = path.join("no/such/folder");
    assert!(matches!(BookFile::open(missing, Checked::default()), Err(BookError::File { .. })));
}

/// Healthy windows, members that learned from one of them, and the ensemble's options.
fn members() -> (Vec<TelemetryWindow>, Vec<Arc<dyn Detector>>) {
    let healthy: Vec<TelemetryWindow> =
        (0..40).map(|seed| window(FIRST, LEN, 100 + seed, u32::MAX, 0.0, 0.0)).collect();
    let history = window(FIRST - 4 * LEN, 4 * LEN, 5, u32::MAX, 0.0, 0.0);
    let rolling = RollingDetector::new(RollingFit::default().fit(&history).unwrap()).unwrap();
    let novelty = NoveltySeriesDetector::new(NoveltyFit::default().fit(&history).unwrap()).unwrap();
    (healthy, vec![Arc::new(rolling), Arc::new(novelty)])
}

fn options() -> Checked<EnsembleOptions> {
    let tail = TailOptions { min_scores: 40, ..Default::default() };
    Checked::new(EnsembleOptions { tail, level: 0.02, ..Default::default() }).unwrap()
}

fn ensemble() -> EnsembleDetector {
    let (healthy, members) = members();
    let fit = EnsembleFit::new(options(), members.clone()).unwrap();
    let fitted = block_on(fit.fit(&healthy, &Context::system())).unwrap();
    EnsembleDetector::new(fitted, members).unwrap()
}

fn sick() -> TelemetryWindow {
    window(FIRST, LEN, 3, 84, 120.0, 0.5)
}

#[test]
fn contract() {
    let detector = ensemble();
    let mut fixture = DetectorFixture::new(Context::system(), sick());
    fixture.normal = Some(window(FIRST, LEN, 4, u32::MAX, 0.0, 0.0));
    fixture.thin = Some(window(FIRST, 2, 4, u32::MAX, 0.0, 0.0));
    block_on(conformance(&detector, &fixture)).assert_counts(11, 0);
    for (_, spoiled) in spoiled(&sick()) {
        let _ = block_on(detector.detect(&spoiled, &Context::system())).unwrap();
    }
    let _ = block_on(detector.detect(&disordered(&sick()), &Context::system())).unwrap();
    let file = BookFile::open(path("contract"), Checked::default()).unwrap();
    let validated = ValidatedEnsemble::new(detector, file);
    block_on(conformance(&validated, &fixture)).assert_counts(11, 0);
}

#[test]
fn an_ensemble_says_who_saw_what() {
    let detector = ensemble();
    let told = block_on(detector.explain(&sick(), &Context::system())).unwrap();
    assert!(told.iter().any(|c| c.members.len() == 2), "{told:?}");
    for c in &told {
        let least = c.members.iter().map(|(_, p)| *p).fold(1.0, f64::min);
        assert!(c.p_value >= least && c.p_value <= 1.0 && (0.0..=1.0).contains(&c.confidence), "{c:?}");
    }
    let stored = serde_json::to_string(detector.state()).unwrap();
    assert_eq!(serde_json::from_str::<FittedEnsemble>(&stored).unwrap(), *detector.state());
    for damaged in
        [stored.replace("\"version\":1", "\"version\":9"), stored.replace("\"shape\":", "\"shape\":7")]
    {
        assert!(serde_json::from_str::<FittedEnsemble>(&damaged).is_err());
    }
    // Who was found right weighs more; other members, or none, are refused.
    let mut fitted = detector.state().clone();
    assert_eq!(fitted.weights(), [1.0, 1.0]);
    assert!(fitted.judged(&DetectorId("rolling-deviation".into()), 30, 2));
    assert!(fitted.judged(&fitted.members()[1].detector.clone(), 2, 30));
    assert!(!fitted.judged(&DetectorId("nobody".into()), 1, 1));
    let weights = fitted.weights();
    assert!(weights[0] > 1.3 && weights[1] < 0.7 && weights[1] > 0.0, "{weights:?}");
    let (_, mut others) = members();
    others.reverse();
    assert_eq!(EnsembleDetector::new(fitted.clone(), others).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(EnsembleFit::new(options(), Vec::new()).unwrap_err().kind(), ErrorKind::Invalid);
    let (_, twice) = members();
    let twice = vec![twice[0].clone(), twice[0].clone()];
    assert_eq!(EnsembleFit::new(options(), twice).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(fitted.with_level(0.9).unwrap_err().field(), "level");
    let (_, few) = members();
    let fit = EnsembleFit::new(options(), few).unwrap();
    assert_eq!(block_on(fit.fit(&[], &Context::system())).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn an_ensemble_opens_an_incident_in_a_pipeline_and_what_is_unsure_waits() {
    let now = sick().range.end();
    let ctx = Context::new(Arc::new(ManualClock::leaping(now)));
    let source = InMemorySource::holding(window(FIRST, LEN, 4, u32::MAX, 0.0, 0.0));
    let pipeline =
        crate::pipeline::pipeline(Box::new(ensemble()), source.clone(), now + Duration::from_secs(1));
    assert!(matches!(block_on(pipeline.step(&ctx)).unwrap(), Look::Quiet));
    source.set(sick());
    match block_on(pipeline.step(&ctx)).unwrap() {
        Look::Incident(case) => assert_eq!(case.status(), Some(&CaseStatus::Recovered)),
        other => panic!("{other:?}"),
    }
    // A book that tells nothing of itself holds all that is not critical, until a person confirms it.
    let file = path("pipeline");
    let strict = Checked::new(BookOptions { tell_from: 1.0, trust: 0.1, ..Default::default() }).unwrap();
    let validated = ValidatedEnsemble::new(ensemble(), BookFile::open(&file, strict).unwrap());
    // So does one that somebody found wrong, however sure the members are.
    let all = block_on(validated.ensemble().detect(&sick(), &ctx)).unwrap();
    {
        let mut taught = BookFile::open(&file, strict).unwrap();
        all.iter().for_each(|a| taught.review(a, Judgement::Rejected, "ben", now).unwrap());
    }
    let validated = ValidatedEnsemble::new(ensemble(), BookFile::open(&file, strict).unwrap());
    let told = block_on(validated.detect(&sick(), &ctx)).unwrap();
    assert!(told.iter().all(|a| a.severity == Severity::Critical));
    let all = block_on(validated.ensemble().detect(&sick(), &ctx)).unwrap();
    let waiting = validated.with_book(|file| file.book().waiting().cloned().collect::<Vec<_>>());
    assert_eq!(all.len(), told.len() + waiting.len());
    for held in &waiting {
        let released = validated.judge(held.id, Judgement::Confirmed, "ann", &ctx).unwrap();
        assert_eq!(released.as_ref(), Some(&held.anomaly));
        assert_eq!(
            validated.judge(held.id, Judgement::Rejected, "ann", &ctx).unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }
    assert_eq!(validated.failures(), 0);
    std::fs::remove_file(file).unwrap();
}

proptest! {
    /// Whatever is held, told and judged: the counts balance, and the events make the same book again.
    #[test]
    fn books_balance(steps in proptest::collection::vec((0..4_usize, 0.0..1.0_f64, any::<bool>()), 0..60)) {
        let options = Checked::new(BookOptions { max_held: 3, max_patterns: 2, ..Default::default() }).unwrap();
        let mut book = ValidationBook::new(options);
        let mut events = Vec::new();
        for (n, (who, confidence, confirm)) in steps.into_iter().enumerate() {
            let at = day(n as u64);
            let (_, event) = book.consider(&finding(&format!("s-{who}"), Severity::Warning), confidence, at);
            let event = event.or_else(|| {
                let id = book.waiting().next()?.id;
                let judgement = if confirm { Judgement::Confirmed } else { Judgement::Rejected };
                book.judgement(id, judgement, "ann", at).ok()
            });
            if let Some(event) = event {
                prop_assert!(book.apply(&event).is_ok());
                events.push(event);
            }
            let c = book.counts();
            prop_assert_eq!(c.held, c.confirmed + c.rejected + c.waiting);
            prop_assert_eq!(c.waiting, book.waiting().count() as u64);
            prop_assert!(c.waiting <= 3);
        }
        let mut again = ValidationBook::new(options);
        for event in &events {
            prop_assert!(again.apply(event).is_ok());
        }
        prop_assert_eq!(again, book);
    }

    /// Any p-values and weights give a probability, and a smaller one of any member gives no larger one.
    #[test]
    fn combining_is_monotone(
        p in proptest::collection::vec((1e-300..=1.0_f64, 0.01..10.0_f64), 1..6),
        which in 0..6_usize,
    ) {
        for rule in [Combination::Cauchy, Combination::HarmonicMean, Combination::Normal] {
            let before = combine(&p, rule);
            prop_assert!(before > 0.0 && before <= 1.0);
            let mut smaller = p.clone();
            let at = which % smaller.len();
            smaller[at].0 /= 2.0;
            prop_assert!(combine(&smaller, rule) <= before * (1.0 + 1e-9));
        }
    }
}
