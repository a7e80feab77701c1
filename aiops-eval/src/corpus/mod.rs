//! Large labelled log sets from small ones: the same templates in the same proportions, with other values. // CMP-04
//!
//! A line is drawn from the set; what its template calls variable is varied, the rest is kept to the byte, and so is its
//! label. What is made scores like the set it came from only when a miner stays accurate at that size; it has no message the
//! set has not.

mod align;
mod vary;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufWriter, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use fastrand::Rng;
use serde::Serialize;

use crate::EvalError;
use crate::logs::{Labels, LogSet};

/// How much is made, and of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CorpusOptions {
    /// Lines of each set.
    pub lines: usize,
    /// Seed of all draws: the same seed gives the same bytes.
    pub seed: u64,
    /// Labels to take over.
    pub labels: Labels,
}

impl Default for CorpusOptions {
    fn default() -> Self {
        Self { lines: 1_000_000, seed: 1, labels: Labels::Corrected }
    }
}

/// What became of one set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CorpusSet {
    /// Name of the set.
    pub name: String,
    /// Labelled lines it was made from.
    pub source_lines: usize,
    /// Of those, lines that do not fit their own label: they are repeated as they are.
    pub unvaried: usize,
    /// Of the source lines, those whose raw line does not end with the message: they get the header of the line before.
    pub headless: usize,
    /// Distinct labels.
    pub templates: usize,
    /// Lines written.
    pub lines: usize,
}

/// Makes a set of `options.lines` lines below `out` for every labelled set of `folder` (only those named in `only`, unless
/// it is empty), in the same layout: `<set>/<set>.log` with whole lines, `<set>/<set>.log_structured.csv` with the columns
/// `LineId,Content,EventId,EventTemplate`. O(lines).
///
/// # Errors
/// When files cannot be read or written, a set has no labels, or not as many as lines.
pub fn generate(
    folder: &Path,
    out: &Path,
    only: &[String],
    options: &CorpusOptions,
) -> Result<Vec<CorpusSet>, EvalError> {
    let mut sets = LogSet::find(folder, options.labels)?;
    sets.retain(|set| only.is_empty() || only.contains(&set.name));
    sets.iter().map(|set| one(set, out, options)).collect()
}

/// A table.
#[must_use]
pub fn text(sets: &[CorpusSet]) -> String {
    let mut text = format!(
        "{:<16} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
        "set", "templates", "source", "unvaried", "headless", "lines"
    );
    for set in sets {
        let CorpusSet { name, source_lines, unvaried, headless, templates, lines } = set;
        let _ = writeln!(
            text,
            "{name:<16} {templates:>9} {source_lines:>9} {unvaried:>9} {headless:>9} {lines:>9}"
        );
    }
    text
}

/// A labelled line: what is constant and what is not.
struct Source<'a> {
    header: &'a [u8],
    content: &'a [u8],
    /// Index of its template.
    template: usize,
    /// Ranges of `content` that are variable; `None` when the line does not fit its label.
    spans: Option<Vec<(usize, usize)>>,
}

fn one(set: &LogSet, out: &Path, options: &CorpusOptions) -> Result<CorpusSet, EvalError> {
    let contents = set.contents()?;
    let labels = set
        .column("EventTemplate")?
        .ok_or_else(|| EvalError::NoColumn { path: set.structured.clone(), column: "EventTemplate" })?;
    let raw = if set.raw.is_some() { set.raw_lines()? } else { contents.clone() };
    for lines in [labels.len(), raw.len()] {
        if lines != contents.len() {
            return Err(EvalError::LineCount { set: set.name.clone(), lines: contents.len(), labels: lines });
        }
    }
    let mut templates: BTreeMap<&[u8], usize> = BTreeMap::new();
    for label in &labels {
        let next = templates.len();
        templates.entry(label).or_insert(next);
    }
    let mut headless = 0;
    let mut header: &[u8] = b"";
    let mut sources: Vec<Source<'_>> = Vec::with_capacity(contents.len());
    for ((content, label), raw) in contents.iter().zip(&labels).zip(&raw) {
        match raw.trim_ascii_end().strip_suffix(content.trim_ascii_end()) {
            Some(own) => header = own,
            None => headless += 1,
        }
        let template = templates.get(label.as_slice()).copied().unwrap_or(0);
        sources.push(Source { header, content, template, spans: align::spans(content, label) });
    }
    write(set, out, options, &sources, &labels)?;
    Ok(CorpusSet {
        name: set.name.clone(),
        source_lines: sources.len(),
        unvaried: sources.iter().filter(|source| source.spans.is_none()).count(),
        headless,
        templates: templates.len(),
        lines: if sources.is_empty() { 0 } else { options.lines },
    })
}

fn write(
    set: &LogSet,
    out: &Path,
    options: &CorpusOptions,
    sources: &[Source<'_>],
    labels: &[Vec<u8>],
) -> Result<(), EvalError> {
    let folder = out.join(&set.name);
    std::fs::create_dir_all(&folder).map_err(|source| EvalError::Write { path: folder.clone(), source })?;
    let same = |a: &Path, b: &Path| a.canonicalize().ok() == b.canonicalize().ok();
    if set.structured.parent().is_some_and(|source| same(source, &folder)) {
        let source = std::io::Error::new(ErrorKind::AlreadyExists, "the set would be written over itself");
        return Err(EvalError::Write { path: folder, source });
    }
    let path = folder.join(format!("{}.log", set.name));
    let write_error = |source| EvalError::Write { path: path.clone(), source };
    let mut log = BufWriter::new(std::fs::File::create(&path).map_err(write_error)?);
    let table: PathBuf = folder.join(format!("{}.log_structured.csv", set.name));
    let csv_error = |source| EvalError::Csv { path: table.clone(), source };
    let mut csv = csv::Writer::from_path(&table).map_err(csv_error)?;
    csv.write_record(["LineId", "Content", "EventId", "EventTemplate"]).map_err(csv_error)?;
    // Lines of each template, to take values from.
    let mut alike: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, source) in sources.iter().enumerate().filter(|(_, source)| source.spans.is_some()) {
        alike.entry(source.template).or_default().push(at);
    }
    let mut rng = Rng::with_seed(options.seed);
    let mut content = Vec::new();
    for id in 1..=options.lines {
        let at = if sources.is_empty() { 0 } else { rng.usize(..sources.len()) };
        let (Some(source), Some(label)) = (sources.get(at), labels.get(at)) else { break };
        content.clear();
        match &source.spans {
            Some(spans) => {
                let others = alike.get(&source.template).map_or(&[][..], Vec::as_slice);
                fill(&mut content, source, spans, sources, others, &mut rng);
            }
            None => content.extend_from_slice(source.content),
        }
        log.write_all(source.header).map_err(write_error)?;
        log.write_all(&content).map_err(write_error)?;
        log.write_all(b"\n").map_err(write_error)?;
        let (id, event) = (id.to_string(), format!("E{}", source.template + 1));
        csv.write_record([id.as_bytes(), &content, event.as_bytes(), label]).map_err(csv_error)?;
    }
    log.flush().map_err(write_error)?;
    csv.flush().map_err(|source| EvalError::Write { path: table.clone(), source })
}

/// The line with each variable either as it is or as in another line of the template, and its digits drawn anew.
fn fill(
    content: &mut Vec<u8>,
    source: &Source<'_>,
    spans: &[(usize, usize)],
    sources: &[Source<'_>],
    others: &[usize],
    rng: &mut Rng,
) {
    let mut done = 0;
    for (place, (start, end)) in spans.iter().enumerate() {
        content.extend_from_slice(source.content.get(done..*start).unwrap_or_default());
        let own = source.content.get(*start..*end).unwrap_or_default();
        let other = (rng.bool() && !others.is_empty())
            .then(|| others.get(rng.usize(..others.len())).and_then(|at| sources.get(*at)))
            .flatten()
            .and_then(|other| {
                let (start, end) = *other.spans.as_ref()?.get(place)?;
                other.content.get(start..end)
            });
        vary::digits(other.unwrap_or(own), content, rng);
        done = *end;
    }
    content.extend_from_slice(source.content.get(done..).unwrap_or_default());
}
