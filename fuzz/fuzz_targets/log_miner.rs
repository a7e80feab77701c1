//! Any bytes as a log: no panic, bounds are kept, every line can be taken apart and put together again, and a stored miner
//! is read back. Small limits, so that short inputs reach them.
#![no_main]

use aiops_compact::logs::{Header, LogMiner, MinerConfig, MinerOptions, Segment};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    let header = if first % 2 == 0 { Header::None } else { Header::Infer };
    let options = MinerOptions {
        header,
        header_lines: 16,
        max_patterns: 64,
        max_patterns_per_template: 8,
        max_line_bytes: 256,
        max_tokens: 24,
        ..MinerOptions::default()
    };
    let mut miner = LogMiner::new(MinerConfig::try_from(options).expect("the limits are in range"));
    for line in data.split(|b| *b == b'\n') {
        let id = miner.push(line);
        assert!(miner.resolve(id).is_some(), "a line just seen has a template");
        assert!(miner.patterns() <= 64);
        let parts = miner.extract(line).expect("a line just seen has a template");
        let mut again = parts.header.to_vec();
        for segment in &parts.segments {
            match segment {
                Segment::Literal(text) | Segment::Parameter { text, .. } => again.extend_from_slice(text),
            }
        }
        assert_eq!(again, line);
    }
    miner.settle();
    let counted: u64 = miner.templates().iter().map(|template| template.count).sum();
    let stats = miner.stats();
    assert_eq!(counted + stats.evicted_lines, stats.lines);
    let stored = serde_json::to_vec(&miner).expect("a miner can be written");
    let read: LogMiner = serde_json::from_slice(&stored).expect("what was written can be read");
    assert_eq!(read.templates(), miner.templates());
    let mut merged = read;
    merged.merge(miner);
});
