use std::fmt::Write as _;

use super::{FamilyType, Format};

/// Writes a page, for a service that exposes `/metrics` and for tests.
///
/// ```
/// use aiops_prometheus::exposition::{Encoder, FamilyType, Format};
///
/// let mut page = Encoder::new(Format::PrometheusText);
/// page.family("http_requests_total", FamilyType::Counter, "Requests served.");
/// page.sample("http_requests_total", [("code", "200")], 12.0, None);
/// let lines = [
///     "# HELP http_requests_total Requests served.",
///     "# TYPE http_requests_total counter",
///     "http_requests_total{code=\"200\"} 12",
/// ];
/// assert!(page.finish().lines().eq(lines));
/// ```
#[derive(Debug, Clone)]
pub struct Encoder {
    format: Format,
    out: String,
}

impl Encoder {
    /// An empty page.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, out: String::new() }
    }

    /// The `Content-Type` of this page.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        match self.format {
            Format::PrometheusText => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Writes `# HELP` and `# TYPE`. For OpenMetrics, the family of a counter is written without `_total`, as the format demands.
    pub fn family(&mut self, name: &str, kind: FamilyType, help: &str) {
        let open_metrics = self.format == Format::OpenMetrics;
        let family = match name.strip_suffix("_total") {
            Some(base) if open_metrics && kind == FamilyType::Counter => base,
            _ => name,
        };
        let kind = match kind {
            FamilyType::Unknown if !open_metrics => "untyped",
            kind => kind.name(),
        };
        self.out.push_str("# HELP ");
        self.metric_name(family);
        self.out.push(' ');
        self.escaped(help, open_metrics);
        self.out.push_str("\n# TYPE ");
        self.metric_name(family);
        self.out.push(' ');
        self.out.push_str(kind);
        self.out.push('\n');
    }

    /// Writes one sample; the timestamp is in milliseconds since the Unix epoch.
    pub fn sample<'a>(
        &mut self,
        name: &str,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        value: f64,
        timestamp_ms: Option<i64>,
    ) {
        let plain = is_plain(name, true);
        let mut labels = labels.into_iter().peekable();
        if plain {
            self.out.push_str(name);
        }
        if !plain || labels.peek().is_some() {
            self.out.push('{');
            if !plain {
                self.quoted(name);
            }
            let mut first = plain;
            for (label, text) in labels {
                if !first {
                    self.out.push(',');
                }
                first = false;
                if is_plain(label, false) {
                    self.out.push_str(label);
                } else {
                    self.quoted(label);
                }
                self.out.push('=');
                self.quoted(text);
            }
            self.out.push('}');
        }
        self.out.push(' ');
        self.number(value);
        if let Some(millis) = timestamp_ms {
            // Writing to a String cannot fail.
            let _infallible = match self.format {
                Format::PrometheusText => write!(self.out, " {millis}"),
                Format::OpenMetrics => {
                    let sign = if millis < 0 { "-" } else { "" };
                    let magnitude = millis.unsigned_abs();
                    write!(self.out, " {sign}{}.{:03}", magnitude / 1_000, magnitude % 1_000)
                }
            };
        }
        self.out.push('\n');
    }

    /// The page, with `# EOF` where the format has one.
    #[must_use]
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    fn metric_name(&mut self, name: &str) {
        if is_plain(name, true) {
            self.out.push_str(name);
        } else {
            self.quoted(name);
        }
    }

    fn quoted(&mut self, text: &str) {
        self.out.push('"');
        self.escaped(text, true);
        self.out.push('"');
    }

    fn escaped(&mut self, text: &str, quotes: bool) {
        for c in text.chars() {
            match c {
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '"' if quotes => self.out.push_str("\\\""),
                c => self.out.push(c),
            }
        }
    }

    fn number(&mut self, value: f64) {
        if value.is_nan() {
            self.out.push_str("NaN");
        } else if value.is_infinite() {
            self.out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        } else {
            // Rust prints the shortest decimal that reads back to the same bits.
            let _infallible = write!(self.out, "{value}");
        }
    }
}

fn is_plain(name: &str, colon: bool) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':'))
}
