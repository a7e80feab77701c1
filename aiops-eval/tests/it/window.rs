use aiops_core::model::TokenBudget;
use aiops_eval::window::{MixedStream, measure};

#[test]
fn a_planted_fault_is_found_in_one_pass() {
    for seed in [1, 2, 3] {
        let report = measure(12, seed, TokenBudget(4000), |_, _| {}).unwrap();
        assert_eq!(report.place, Some(1), "{}", report.text());
        assert!(report.tokens <= 4000 && report.bytes > 9_000_000);
        let counts = report.counts;
        assert!(counts.samples > 0 && counts.spans > 0 && counts.lines > counts.spans);
        // Nothing of it is lost: the stream keeps within every limit.
        let lost =
            report.briefing.cuts.iter().filter(|cut| cut.why.contains("limit") || cut.why.contains("open"));
        assert_eq!(lost.count(), 0, "{:?}", report.briefing.cuts);
    }
}

/// What is held at once does not grow with what goes through.
#[test]
fn a_longer_window_holds_no_more() {
    let held = |megabytes| measure(megabytes, 1, TokenBudget(4000), |_, _| {}).unwrap().most_held;
    let (short, long) = (held(110), held(160));
    assert!((long as f64) < 1.1 * short as f64, "{short} and {long}");
}

#[test]
fn a_stream_is_a_function_of_its_seed() {
    let digest = |seed| {
        let mut stream = MixedStream::new(60, seed).unwrap();
        let mut text = format!("{} {}", stream.culprit(), stream.onset());
        for _ in 0..11 {
            let second = stream.next_second().unwrap().unwrap();
            assert!(second.spans.iter().all(|span| stream.range().start() <= span.start));
            text.push_str(&serde_json::to_string(&(second.metrics, second.spans, second.lines)).unwrap());
        }
        text
    };
    assert_eq!(digest(5), digest(5));
    assert_ne!(digest(5), digest(6));
    assert!(MixedStream::new(59, 1).is_err());
    assert!(measure(1, 1, TokenBudget(4000), |_, _| {}).is_err());
}
