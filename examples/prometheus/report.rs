use std::collections::BTreeMap;
use std::fmt::Write as _;

use aiops_core::model::{Anomaly, Severity};
use aiops_core::{Error, ErrorKind, Result};

use crate::scan::{Found, Scan};

/// Findings printed of one metric name: fifty copies of a service that fail alike are one piece of news.
const PER_METRIC: usize = 3;
/// Remarks printed about what was not read.
const REMARKS: usize = 10;

/// One JSON object on one line.
pub(crate) fn json(scan: &Scan) -> Result<String> {
    serde_json::to_string(scan)
        .map_err(|e| Error::new(ErrorKind::Internal, "cannot write the report").caused_by(e))
}

/// An error with its causes.
pub(crate) fn failure(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// The report of one scan.
pub(crate) fn text(scan: &Scan, top: usize) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(
        out,
        "{}: {} signals, {} series; {} to {} against the time since {}",
        scan.url,
        scan.signals,
        scan.compared,
        moment(scan.recent.start()),
        moment(scan.recent.end()),
        moment(scan.range.start()),
    );
    for (reason, count) in &scan.not_compared {
        let _ = writeln!(out, "not compared: {count} series, {reason}");
    }
    let unread = scan.unread.iter().map(|(signal, why)| format!("not read: {signal}: {why}"));
    for told in unread.chain(scan.notes.iter().map(|note| format!("note: {note}"))).take(REMARKS) {
        let _ = writeln!(out, "{}", safe(&told));
    }
    let untold = (scan.unread.len() + scan.notes.len()).saturating_sub(REMARKS);
    if untold > 0 {
        let _ = writeln!(out, "… {untold} more remarks (--json shows them)");
    }
    if scan.found.is_empty() {
        out.push_str("Nothing left its norm.\n");
        return out;
    }
    let _ =
        writeln!(out, "\n{:>9}  {:<16} {:<9} {:<28} signal: now (normal)", "σ", "shape", "since", "entity");
    let mut shown_of: BTreeMap<&str, usize> = BTreeMap::new();
    let mut shown = 0;
    for found in &scan.found {
        let of_metric = shown_of.entry(found.anomaly.series.name.as_str()).or_default();
        *of_metric += 1;
        if *of_metric <= PER_METRIC && shown < top {
            shown += 1;
            let _ = writeln!(out, "{}", line(found));
        }
    }
    let more = scan.found.len().saturating_sub(shown);
    if more > 0 {
        let alike: usize = shown_of.values().map(|count| count.saturating_sub(PER_METRIC)).sum();
        let _ =
            writeln!(out, "… {more} more, {alike} of them alike on further series (--top, --json show them)");
    }
    out
}

/// One finding on one line.
pub(crate) fn line(found: &Found) -> String {
    let anomaly = &found.anomaly;
    let mark = if anomaly.severity == Severity::Critical { "!" } else { " " };
    let ended =
        if anomaly.ongoing { String::new() } else { format!(", over since {}", moment(anomaly.last)) };
    format!(
        "{mark}{:>8}  {:<16} {:<9} {:<28} {}: {} ({} ± {}{}){ended}",
        sigma(anomaly.sigma),
        anomaly.shape.to_string(),
        moment(anomaly.onset),
        safe(&anomaly.entity.to_string()),
        safe(&series(anomaly)),
        number(found.now),
        number(anomaly.baseline.center),
        number(anomaly.baseline.scale),
        if anomaly.unit.0.is_empty() { String::new() } else { format!(" {}", anomaly.unit) },
    )
}

/// The series without the labels that its entity already says.
fn series(anomaly: &Anomaly) -> String {
    let told =
        |label: &str, value: &str| matches!(label, "job" | "instance") || anomaly.entity.name() == value;
    let labels: Vec<String> = anomaly
        .series
        .labels
        .iter()
        .filter(|(label, value)| !told(label, value))
        .map(|(label, value)| format!("{label}={value:?}"))
        .collect();
    if labels.is_empty() {
        anomaly.series.name.clone()
    } else {
        format!("{}{{{}}}", anomaly.series.name, labels.join(","))
    }
}

/// A stranger's text must not move the cursor or flood the line.
fn safe(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let mut short: String = clean.take(160).collect();
    if text.chars().count() > 160 {
        short.push('…');
    }
    short
}

/// `12:04:30`, in UTC.
fn moment(at: jiff::Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// Beyond a thousand the digits of a deviation mean nothing.
fn sigma(sigma: f64) -> String {
    if sigma.abs() > 1_000.0 {
        (if sigma > 0.0 { "> +1000" } else { "< -1000" }).to_owned()
    } else {
        format!("{sigma:+.1}")
    }
}

/// Three significant digits with an SI prefix where it helps.
fn number(value: f64) -> String {
    let magnitude = value.abs();
    if !value.is_finite() || value == 0.0 {
        return value.to_string();
    }
    let prefixes = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let (scaled, prefix) = prefixes
        .into_iter()
        .find(|(size, _)| magnitude >= *size)
        .map_or((value, ""), |(size, prefix)| (value / size, prefix));
    if scaled.abs() < 1e-3 {
        return format!("{value:.1e}");
    }
    let digits = 2_i32.saturating_sub(scaled.abs().log10().floor() as i32).clamp(0, 5);
    let text = format!("{scaled:.*}", usize::try_from(digits).unwrap_or(0));
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{prefix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 1.0, 12.345, 0.012_345, 1e-9, 4_096.0, 2.5e9, -1_234_567.0, f64::NAN].map(number);
        assert_eq!(shown, ["0", "1", "12.3", "0.0123", "1.0e-9", "4.1k", "2.5G", "-1.23M", "NaN"]);
        assert_eq!([sigma(4.56), sigma(-1e9), sigma(f64::INFINITY)], ["+4.6", "< -1000", "> +1000"]);
    }

    #[test]
    fn a_strangers_text_stays_on_its_line() {
        assert_eq!(safe("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
        assert_eq!(safe(&"x".repeat(500)).chars().count(), 161);
    }
}
