use std::borrow::Cow;

use aiops_prometheus::exposition::{
    Encoder, Event, FamilyType, Format, LineErrorKind, ParseReport, Parser, ParserConfig,
};
use proptest::prelude::*;

#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Help(String, String),
    Type(String, FamilyType),
    Unit(String, String),
    Sample(String, Vec<(String, String)>, u64, Option<i64>),
    Malformed(u64, LineErrorKind),
}

fn own(event: Event<'_>) -> Seen {
    match event {
        Event::Help { family, text } => Seen::Help(family.into_owned(), text.into_owned()),
        Event::Type { family, kind } => Seen::Type(family.into_owned(), kind),
        Event::Unit { family, unit } => Seen::Unit(family.into_owned(), unit.into_owned()),
        Event::Sample(sample) => Seen::Sample(
            sample.name.into_owned(),
            sample.labels.into_iter().map(|(k, v)| (k.into_owned(), v.into_owned())).collect(),
            sample.value.to_bits(),
            sample.timestamp_ms,
        ),
        Event::Malformed(error) => Seen::Malformed(error.line, error.kind),
    }
}

fn parse_chunks<'a>(
    chunks: impl IntoIterator<Item = &'a [u8]>,
    format: Format,
    config: ParserConfig,
) -> (Vec<Seen>, ParseReport) {
    let mut parser = Parser::new(config, format).unwrap();
    let mut seen = Vec::new();
    for chunk in chunks {
        parser.push(chunk, &mut |event| seen.push(own(event)));
    }
    let report = parser.finish(&mut |event| seen.push(own(event)));
    (seen, report)
}

fn parse(page: impl AsRef<[u8]>, format: Format) -> (Vec<Seen>, ParseReport) {
    parse_chunks([page.as_ref()], format, ParserConfig::default())
}

fn sample(name: &str, labels: &[(&str, &str)], value: f64, timestamp_ms: Option<i64>) -> Seen {
    let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Seen::Sample(name.to_owned(), labels, value.to_bits(), timestamp_ms)
}

/// The example of the format's documentation.
#[test]
fn reads_the_documented_example() {
    let page = r#"# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9

# Minimalistic line:
metric_without_timestamp_and_labels 12.47

# A weird metric from before the epoch:
something_weird{problem="division by zero"} +Inf -3982045
"#;
    let (seen, report) = parse(page, Format::PrometheusText);
    assert_eq!(
        seen,
        [
            Seen::Help("http_requests_total".into(), "The total number of HTTP requests.".into()),
            Seen::Type("http_requests_total".into(), FamilyType::Counter),
            sample(
                "http_requests_total",
                &[("method", "post"), ("code", "200")],
                1027.0,
                Some(1_395_066_363_000)
            ),
            sample(
                "http_requests_total",
                &[("method", "post"), ("code", "400")],
                3.0,
                Some(1_395_066_363_000)
            ),
            sample(
                "msdos_file_access_time_seconds",
                &[("path", "C:\\DIR\\FILE.TXT"), ("error", "Cannot find file:\n\"FILE.TXT\"")],
                1.458_255_915e9,
                None
            ),
            sample("metric_without_timestamp_and_labels", &[], 12.47, None),
            sample("something_weird", &[("problem", "division by zero")], f64::INFINITY, Some(-3_982_045)),
        ]
    );
    assert_eq!((report.lines, report.samples, report.malformed, report.complete), (13, 5, 0, true));
}

#[test]
fn reads_open_metrics_with_exemplars_units_and_end() {
    let page = "# TYPE foo_seconds histogram\n# UNIT foo_seconds seconds\n# HELP foo_seconds A \\\"quoted\\\" help\n\
                foo_seconds_bucket{le=\"0.1\"} 8 # {trace_id=\"a # b\"} 0.054\n\
                foo_seconds_bucket{le=\"+Inf\",x=\" # \"} 17 1520879607.789 # {} 9.8 1520879607.79\n# EOF\n";
    let (seen, report) = parse(page, Format::OpenMetrics);
    assert_eq!(
        seen,
        [
            Seen::Type("foo_seconds".into(), FamilyType::Histogram),
            Seen::Unit("foo_seconds".into(), "seconds".into()),
            Seen::Help("foo_seconds".into(), "A \"quoted\" help".into()),
            sample("foo_seconds_bucket", &[("le", "0.1")], 8.0, None),
            sample("foo_seconds_bucket", &[("le", "+Inf"), ("x", " # ")], 17.0, Some(1_520_879_607_789)),
        ]
    );
    assert!(report.complete);
}

#[test]
fn an_open_metrics_page_without_end_is_incomplete_and_text_after_the_end_is_malformed() {
    assert!(!parse("a 1\n", Format::OpenMetrics).1.complete);
    let (seen, report) = parse("a 1\n# EOF\n\nb 2\n", Format::OpenMetrics);
    assert!(report.complete);
    assert_eq!(seen, [sample("a", &[], 1.0, None), Seen::Malformed(4, LineErrorKind::AfterEof)]);
    assert_eq!(parse("a 1\n# EOF\nb 2\n", Format::PrometheusText).0.len(), 2, "no end marker in this format");
}

#[test]
fn each_bad_line_is_named_and_its_neighbours_are_read() {
    use LineErrorKind::{
        BadLabelName, BadLabelSet, BadMetricName, BadTimestamp, BadType, BadValue, DuplicateLabel, NotUtf8,
        TrailingText,
    };
    let cases: &[(&[u8], LineErrorKind)] = &[
        (b"{} 1", BadMetricName),
        (b"{a=\"b\"} 1", BadMetricName),
        (b"1a 1", BadMetricName),
        (b"a-b 1", BadMetricName),
        (b"a$ 1", BadMetricName),
        (b"a1.5", BadMetricName),
        ("caf\u{e9} 1".as_bytes(), BadMetricName),
        (b"a{1b=\"c\"} 1", BadLabelName),
        (b"a{__name__=\"c\"} 1", BadLabelName),
        (b"a{\"\"=\"c\"} 1", BadLabelName),
        (b"a{b=\"c\" 1", BadLabelSet),
        (b"a{b=\"c\\\"} 1", BadLabelSet),
        (b"a{b=c} 1", BadLabelSet),
        (b"a{b} 1", BadLabelSet),
        (b"a{b=\"c\"d=\"e\"} 1", BadLabelSet),
        (b"a{\"x\"} 1", BadLabelSet),
        (b"a{b=\"c\",b=\"d\"} 1", DuplicateLabel),
        (b"a", BadMetricName),
        (b"a ", BadValue),
        (b"a{b=\"c\"}", BadValue),
        (b"a one", BadValue),
        (b"a 1e999", BadValue),
        (b"a 0x10", BadValue),
        (b"a 1 later", BadTimestamp),
        (b"a 1 1.5", BadTimestamp),
        (b"a 1 99999999999999999999", BadTimestamp),
        (b"a 1 2 3", TrailingText),
        (b"a 1 # {} 1", BadTimestamp),
        (b"# TYPE a thing", BadType),
        (b"# TYPE a", BadType),
        (b"# HELP", BadMetricName),
        (b"# HELP 1a x", BadMetricName),
        (b"a{b=\"\xff\"} 1", NotUtf8),
        (b"\x80\x81", NotUtf8),
        (b"a{b=\"\xed\xa0\x80\"} 1", NotUtf8),
    ];
    for (line, kind) in cases {
        let page = [b"ok 1\n".as_slice(), line, b"\nok 2\n"].concat();
        let (seen, report) = parse(&page, Format::PrometheusText);
        let expected =
            [sample("ok", &[], 1.0, None), Seen::Malformed(2, *kind), sample("ok", &[], 2.0, None)];
        assert_eq!(seen, expected, "{}", String::from_utf8_lossy(line));
        assert_eq!((report.malformed, report.malformed_by_kind[&kind.to_string()]), (1, 1));
    }
}

#[test]
fn reads_what_is_odd_but_legal() {
    let cases: &[(&str, Seen)] = &[
        ("a{} 1", sample("a", &[], 1.0, None)),
        ("  a\t{ b = \"c\" , }\t-0 \r", sample("a", &[("b", "c")], -0.0, None)),
        (":a:b_1 nan", sample(":a:b_1", &[], f64::NAN, None)),
        ("a{b=\"\",c=\"d\"} -Inf", sample("a", &[("c", "d")], f64::NEG_INFINITY, None)),
        ("a{b=\"}#,=\\q\\\\\"} 5e-324", sample("a", &[("b", "}#,=\\q\\")], 5e-324, None)),
        ("{\"my.metric\",\"my.label\"=\"x\"} 3", sample("my.metric", &[("my.label", "x")], 3.0, None)),
        ("a{b=\"日本\u{0}\"} 1", sample("a", &[("b", "日本\u{0}")], 1.0, None)),
    ];
    for (line, expected) in cases {
        let (seen, report) = parse(line, Format::PrometheusText);
        assert_eq!(report.malformed, 0, "{line}");
        assert_eq!(seen, std::slice::from_ref(expected), "{line}");
    }
    assert_eq!(
        parse("", Format::PrometheusText),
        (vec![], ParseReport { complete: true, ..ParseReport::default() })
    );
}

#[test]
fn limits_hold_whatever_the_chunks() {
    let config = ParserConfig { max_line_bytes: 64, max_samples: 3, max_labels: 2 };
    let long = format!("a{{b=\"{}\"}} 1\n", "x".repeat(200));
    let page =
        format!("{long}ok 1\nl{{a=\"1\",b=\"2\",c=\"3\"}} 1\nok 2\nok 3\nok 4\n# TYPE ok gauge\n{long}");
    let mut expected = None;
    for size in [1, 2, 7, 63, 64, 65, 1_000] {
        let (seen, report) = parse_chunks(page.as_bytes().chunks(size), Format::PrometheusText, config);
        assert_eq!((report.samples, report.malformed), (3, 4), "chunks of {size}");
        assert_eq!(report.malformed_by_kind["longer than the line limit"], 2);
        assert_eq!(report.malformed_by_kind["more labels than the limit"], 1);
        assert_eq!(report.malformed_by_kind["more samples than the limit"], 1);
        assert_eq!(*expected.get_or_insert_with(|| seen.clone()), seen, "chunks of {size}");
    }
    for wrong in [
        ParserConfig { max_line_bytes: 63, ..config },
        ParserConfig { max_samples: 0, ..config },
        ParserConfig { max_labels: 1_025, ..config },
    ] {
        assert!(Parser::new(wrong, Format::PrometheusText).is_err());
    }
}

#[test]
fn the_content_type_tells_the_format() {
    let of = Format::from_content_type;
    assert_eq!(of(Some("application/openmetrics-text; version=1.0.0; charset=utf-8")), Format::OpenMetrics);
    assert_eq!(of(Some("Application/OpenMetrics-Text")), Format::OpenMetrics);
    assert_eq!(of(Some("text/plain; version=0.0.4")), Format::PrometheusText);
    assert_eq!(of(None), Format::PrometheusText);
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(-0.0),
        Just(f64::MIN_POSITIVE),
        Just(f64::MAX)
    ]
}

type WrittenSample = (String, Vec<(String, String)>, f64, Option<i64>);

fn written() -> impl Strategy<Value = WrittenSample> {
    let name = prop_oneof![3 => "[a-zA-Z_:][a-zA-Z0-9_:]{0,20}", 1 => "\\PC{1,12}"];
    let label = prop_oneof![3 => "[a-zA-Z_][a-zA-Z0-9_]{0,12}", 1 => "\\PC{1,8}"];
    let label = label.prop_filter("reserved", |label| label != "__name__");
    let labels = proptest::collection::btree_map(label, "(?s).{1,16}", 0..6);
    let labels = labels.prop_map(|labels| labels.into_iter().collect::<Vec<_>>());
    let time = proptest::option::of(-4_000_000_000_000_000_i64..4_000_000_000_000_000);
    (name, labels, number(), time)
}

proptest! {
    /// Whatever is written is read back bit for bit, in both formats and however the bytes are cut.
    #[test]
    fn what_is_written_is_read_back(
        samples in proptest::collection::vec(written(), 0..12),
        open_metrics in any::<bool>(),
        size in 1_usize..80,
    ) {
        let format = if open_metrics { Format::OpenMetrics } else { Format::PrometheusText };
        let mut page = Encoder::new(format);
        let mut expected = Vec::new();
        for (name, labels, value, time) in &samples {
            // A float of seconds tells milliseconds apart for some 127,000 years around the epoch.
            page.sample(name, labels.iter().map(|(k, v)| (k.as_str(), v.as_str())), *value, *time);
            let value = if value.is_nan() { f64::NAN } else { *value };
            expected.push(Seen::Sample(name.clone(), labels.clone(), value.to_bits(), *time));
        }
        let page = page.finish();
        let (seen, report) = parse_chunks(page.as_bytes().chunks(size), format, ParserConfig::default());
        prop_assert_eq!(report.malformed, 0, "{}", page);
        prop_assert!(report.complete);
        prop_assert_eq!(seen, expected);
    }

    /// No bytes, and no mutilation of a good page, lead to a panic, a lost count or a dependence on chunk sizes.
    #[test]
    fn hostile_bytes_are_counted(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..400),
            proptest::collection::vec(
                proptest::sample::select(b"ab{}=\",\\\n# 1.eE+-NaInf\t\r\xff_:TYPEHLO".to_vec()), 0..400),
        ],
        size in 1_usize..50,
        open_metrics in any::<bool>(),
    ) {
        let format = if open_metrics { Format::OpenMetrics } else { Format::PrometheusText };
        let whole = parse(&bytes, format);
        let cut = parse_chunks(bytes.chunks(size), format, ParserConfig::default());
        prop_assert_eq!(&whole, &cut);
        let (seen, report) = whole;
        let malformed = seen.iter().filter(|event| matches!(event, Seen::Malformed(..))).count() as u64;
        let samples = seen.iter().filter(|event| matches!(event, Seen::Sample(..))).count() as u64;
        prop_assert_eq!((report.malformed, report.samples), (malformed, samples));
        prop_assert_eq!(report.malformed_by_kind.values().sum::<u64>(), malformed);
        prop_assert!(report.lines >= seen.len() as u64);
    }

    /// Help texts come back, their escapes undone.
    #[test]
    fn help_texts_survive(help in "(?s).{0,60}") {
        for format in [Format::PrometheusText, Format::OpenMetrics] {
            let mut page = Encoder::new(format);
            page.family("a_total", FamilyType::Counter, &help);
            let page = page.finish();
            let (seen, _) = parse(&page, format);
            let family = if format == Format::OpenMetrics { "a" } else { "a_total" };
            // Blanks at the start separate; a carriage return at the end belongs to the line end.
            let text = help.trim_start_matches([' ', '\t']);
            let text = text.strip_suffix('\r').unwrap_or(text);
            prop_assert_eq!(&seen[0], &Seen::Help(family.into(), text.into()));
            prop_assert_eq!(&seen[1], &Seen::Type(family.into(), FamilyType::Counter));
        }
    }
}

#[test]
fn a_plain_line_borrows() {
    let mut parser = Parser::new(ParserConfig::default(), Format::PrometheusText).unwrap();
    let mut borrowed = 0;
    parser.push(b"a{b=\"c\"} 1\na{b=\"\\\\\"} 1\n", &mut |event| {
        if let Event::Sample(sample) = event {
            borrowed += usize::from(matches!(&sample.labels[0].1, Cow::Borrowed(_)));
        }
    });
    assert_eq!(borrowed, 1);
}
