use std::collections::BTreeMap;

use super::FamilyMetadata;
use crate::config::ConfigError;
use crate::exposition::{Event, Format, ParseReport, Parser, ParserConfig};
use crate::selector::LabelMap;

/// One sample of a page, owned.
#[derive(Debug, Clone, PartialEq)]
pub struct ScrapedSample {
    /// Metric name.
    pub name: String,
    /// Labels of the page; those of the target are not in yet.
    pub labels: LabelMap,
    /// Value.
    pub value: f64,
    /// Explicit timestamp in milliseconds since the Unix epoch.
    pub timestamp_ms: Option<i64>,
}

/// A page read to its end.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// Samples in page order.
    pub samples: Vec<ScrapedSample>,
    /// What `# TYPE`, `# HELP` and `# UNIT` said, by family.
    pub metadata: BTreeMap<String, FamilyMetadata>,
    /// What was read and what was skipped.
    pub report: ParseReport,
}

impl Page {
    /// Reads a page held in memory.
    ///
    /// # Errors
    /// When `config` is out of range; a bad page is not an error but counted in [`Page::report`].
    pub fn parse(bytes: &[u8], format: Format, config: ParserConfig) -> Result<Self, ConfigError> {
        let mut reader = PageReader::new(format, config)?;
        reader.push(bytes);
        Ok(reader.finish())
    }
}

/// Collects a [`Page`] from chunks.
#[derive(Debug)]
pub struct PageReader {
    parser: Parser,
    page: Page,
}

impl PageReader {
    /// An empty page.
    ///
    /// # Errors
    /// When `config` is out of range.
    pub fn new(format: Format, config: ParserConfig) -> Result<Self, ConfigError> {
        Ok(Self { parser: Parser::new(config, format)?, page: Page::default() })
    }

    /// Reads the next bytes, cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        let page = &mut self.page;
        self.parser.push(bytes, &mut |event| collect(page, event));
    }

    /// The page, after the last byte.
    #[must_use]
    pub fn finish(self) -> Page {
        let mut page = self.page;
        let report = self.parser.finish(&mut |event| collect(&mut page, event));
        page.report = report;
        page
    }
}

fn collect(page: &mut Page, event: Event<'_>) {
    match event {
        Event::Sample(sample) => page.samples.push(ScrapedSample {
            name: sample.name.into_owned(),
            labels: sample.labels.into_iter().map(|(k, v)| (k.into_owned(), v.into_owned())).collect(),
            value: sample.value,
            timestamp_ms: sample.timestamp_ms,
        }),
        Event::Type { family, kind } => {
            page.metadata.entry(family.into_owned()).or_default().kind = Some(kind)
        }
        Event::Help { family, text } => {
            page.metadata.entry(family.into_owned()).or_default().help = text.into_owned();
        }
        Event::Unit { family, unit } => {
            page.metadata.entry(family.into_owned()).or_default().unit = unit.into_owned();
        }
        Event::Malformed(_) => {}
    }
}
