//! The estimate beside real tokenizers.
#![cfg(feature = "tokenizer")]

use aiops_compact::briefing::{BriefingBuilder, CountTokens, Finding, Tokenizer, estimate_tokens};
use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, EvidenceKind, TimeRange, TokenBudget};

/// Texts of one kind, from a fixed seed.
fn texts(kind: &str) -> Vec<String> {
    let mut rng = fastrand::Rng::with_seed(11);
    let words = [
        "connection",
        "refused",
        "while",
        "reading",
        "response",
        "header",
        "from",
        "upstream",
        "timeout",
        "failed",
        "to",
        "acquire",
        "lock",
        "on",
        "partition",
        "retrying",
        "in",
        "NullPointerException",
        "DataNode",
        "INFO",
    ];
    let cjk: Vec<char> =
        "数据库连接失败重试次数请求超时服务不可用接続に失敗しました再試行中연결에실패했습니다"
            .chars()
            .collect();
    let emoji: Vec<char> = "🔥🚨✅❌⚠️🧑‍💻👍🏽🇩🇪🎉💥".chars().collect();
    let mut one = |i: usize| -> String {
        let mut word = || words[rng.usize(..words.len())];
        match kind {
            "english logs" => {
                let text: Vec<&str> = (0..12).map(|_| word()).collect();
                format!("2026-11-21 12:0{}:{:02},{:03} {}", i % 10, i % 60, i % 1000, text.join(" "))
            }
            "json" => format!(
                "{{\"level\":\"{}\",\"time\":{},\"msg\":\"{} {}\",\"n\":{}.{},\"ok\":true,\"list\":[1,22,null]}}",
                word(),
                i * 7919,
                word(),
                word(),
                i,
                i * 31
            ),
            "hex" => (0..8).map(|_| format!("{:016x} ", rng.u64(..))).collect(),
            "upper hex" => (0..8).map(|_| format!("{:016X}:", rng.u64(..))).collect(),
            "paths" => format!(
                "/var/lib/{}/{}-{}/{}.log.{} C:\\Users\\{}\\x.dll",
                word(),
                word(),
                i,
                word(),
                i,
                word()
            ),
            "cjk" => (0..40).map(|_| cjk[rng.usize(..cjk.len())]).collect(),
            "emoji" => (0..40).map(|_| emoji[rng.usize(..emoji.len())]).collect(),
            "code" => {
                format!("    if (x_{i} == null) {{\n\t\treturn {}::{}({i});\n    }}\n\n", word(), word())
            }
            "numbers" => (0..20).map(|_| format!("{:.4} ", rng.f64() * 1e4)).collect(),
            "random letters" => (0..80).map(|_| char::from(b'a' + rng.u8(..26))).collect(),
            "spaces" => format!("{}x{}y", " ".repeat(i % 17), "\t".repeat(i % 5)),
            _ => "café naïve Ünïcödé ©®™ “quoted” — dash… пример журнал خطأ".to_owned(),
        }
    };
    (0..100).map(&mut one).collect()
}

const KINDS: [&str; 12] = [
    "english logs",
    "json",
    "hex",
    "upper hex",
    "paths",
    "cjk",
    "emoji",
    "code",
    "numbers",
    "random letters",
    "spaces",
    "accents",
];

#[test]
fn the_estimate_is_never_below_a_real_count() {
    for kind in KINDS {
        for tokenizer in [Tokenizer::Cl100kBase, Tokenizer::O200kBase] {
            let (mut estimated, mut real) = (0, 0);
            for text in texts(kind) {
                let (estimate, count) = (estimate_tokens(&text), tokenizer.count(&text));
                assert!(estimate >= count, "{kind}, {tokenizer:?}: {estimate} < {count} for {text:?}");
                (estimated, real) = (estimated + estimate, real + count);
            }
            println!("{kind}, {tokenizer:?}: estimate {:.2} times the count", estimated as f64 / real as f64);
        }
    }
}

#[test]
fn a_real_tokenizer_fits_more_into_the_same_budget() {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let range = TimeRange::new(start, start).unwrap();
    let findings: Vec<Finding> = (0..200)
        .map(|i| {
            let text = format!("request latency of checkout left its norm for the {i}th time");
            Finding::new(EntityId::service(format!("s{i}")), EvidenceKind::Anomaly, start, f64::from(i), text)
        })
        .collect();
    let lines = |builder: BriefingBuilder| {
        let briefing = builder.build(range, findings.clone(), Vec::new(), TokenBudget(600)).unwrap();
        assert!(Tokenizer::O200kBase.count(&briefing.to_markdown()) <= 600);
        briefing.lines.len()
    };
    let estimated = lines(BriefingBuilder::default());
    let counted = lines(BriefingBuilder::default().with_counter(Tokenizer::O200kBase));
    assert!(counted > estimated && estimated > 3, "{counted} and {estimated} lines");
}
