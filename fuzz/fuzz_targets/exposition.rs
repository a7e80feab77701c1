//! Any bytes as an exposition page, in both formats: no panic, and what is read does not depend on how the page was
//! cut into chunks. Small limits, so that short inputs reach them.
#![no_main]

use aiops_prometheus::exposition::{Event, Format, ParseReport, Parser, ParserConfig};
use libfuzzer_sys::fuzz_target;

fn read(page: &[u8], chunk: usize, format: Format) -> (Vec<String>, ParseReport) {
    let config = ParserConfig { max_line_bytes: 256, max_samples: 64, max_labels: 4 };
    let mut parser = Parser::new(config, format).expect("the limits are in range");
    let mut events = Vec::new();
    let mut see = |event: Event<'_>| events.push(format!("{event:?}"));
    for part in page.chunks(chunk) {
        parser.push(part, &mut see);
    }
    let report = parser.finish(&mut see);
    (events, report)
}

fuzz_target!(|data: &[u8]| {
    let Some((cut, page)) = data.split_first() else { return };
    for format in [Format::PrometheusText, Format::OpenMetrics] {
        let whole = read(page, page.len().max(1), format);
        let chunked = read(page, usize::from(*cut).max(1), format);
        assert_eq!(whole, chunked, "chunks of {} bytes are read differently", (*cut).max(1));
        let samples = whole.0.iter().filter(|event| event.starts_with("Sample(")).count();
        let malformed = whole.0.iter().filter(|event| event.starts_with("Malformed(")).count();
        assert_eq!((whole.1.samples, whole.1.malformed), (samples as u64, malformed as u64));
    }
});
