use std::borrow::Cow;

use super::{Event, FamilyType, Format, LineErrorKind, Sample};

pub(super) enum Line<'a> {
    /// Blank line or plain comment.
    Nothing,
    /// `# EOF`
    Eof,
    Event(Event<'a>),
}

/// Reads one line, in time linear in its length (quadratic only in the number of labels, which is limited).
pub(super) fn read_line(text: &str, format: Format, max_labels: usize) -> Result<Line<'_>, LineErrorKind> {
    let text = text.trim_start_matches(blank);
    match text.strip_prefix('#') {
        Some(comment) => read_comment(comment, format),
        None if text.is_empty() => Ok(Line::Nothing),
        None => read_sample(text, format, max_labels).map(|sample| Line::Event(Event::Sample(sample))),
    }
}

fn blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

fn read_comment(comment: &str, format: Format) -> Result<Line<'_>, LineErrorKind> {
    let body = comment.trim_start_matches(blank);
    let (keyword, rest) = body.split_once(blank).unwrap_or((body.trim_end_matches(blank), ""));
    if keyword == "EOF" && format == Format::OpenMetrics && rest.trim_matches(blank).is_empty() {
        return Ok(Line::Eof);
    }
    if !matches!(keyword, "HELP" | "TYPE" | "UNIT") {
        return Ok(Line::Nothing);
    }
    let mut cursor = Cursor { rest: rest.trim_start_matches(blank) };
    let family = if cursor.rest.starts_with('"') { cursor.quoted()? } else { cursor.metric_name()? };
    let text = cursor.rest.trim_start_matches(blank);
    if cursor.rest.len() == text.len() && !text.is_empty() {
        return Err(LineErrorKind::BadMetricName);
    }
    Ok(Line::Event(match keyword {
        "HELP" => Event::Help { family, text: unescape(text) },
        "UNIT" => Event::Unit { family, unit: Cow::Borrowed(text.trim_end_matches(blank)) },
        _ => {
            let kind = FamilyType::from_name(text.trim_end_matches(blank)).ok_or(LineErrorKind::BadType)?;
            Event::Type { family, kind }
        }
    }))
}

fn read_sample(text: &str, format: Format, max_labels: usize) -> Result<Sample<'_>, LineErrorKind> {
    let mut cursor = Cursor { rest: text };
    let mut name = if text.starts_with('{') { None } else { Some(cursor.metric_name()?) };
    let mut labels = Vec::new();
    let separated = cursor.rest.starts_with(blank);
    cursor.skip_blanks();
    if cursor.eat('{') {
        read_labels(&mut cursor, &mut name, &mut labels, max_labels)?;
    } else if !separated {
        return Err(LineErrorKind::BadMetricName);
    }
    let name = name.ok_or(LineErrorKind::BadMetricName)?;
    let mut rest = cursor.rest;
    if format == Format::OpenMetrics {
        // INVARIANT: the label set is behind the cursor, so this `#` starts an exemplar, not a label value.
        rest = rest.split_once(" # ").map_or(rest, |(sample, _exemplar)| sample);
    }
    let mut fields = rest.split(blank).filter(|field| !field.is_empty());
    let value = fields.next().and_then(read_float).ok_or(LineErrorKind::BadValue)?;
    let timestamp_ms = fields.next().map(|field| read_timestamp(field, format)).transpose()?;
    if fields.next().is_some() {
        return Err(LineErrorKind::TrailingText);
    }
    Ok(Sample { name, labels, value, timestamp_ms })
}

/// Reads `label="value", … }`; a quoted string without `=` is the metric name (UTF-8 names of Prometheus 3).
fn read_labels<'a>(
    cursor: &mut Cursor<'a>,
    name: &mut Option<Cow<'a, str>>,
    labels: &mut Vec<(Cow<'a, str>, Cow<'a, str>)>,
    max_labels: usize,
) -> Result<(), LineErrorKind> {
    loop {
        cursor.skip_blanks();
        if cursor.eat('}') {
            return Ok(());
        }
        let quoted = cursor.rest.starts_with('"');
        let key = if quoted { cursor.quoted()? } else { cursor.label_name()? };
        cursor.skip_blanks();
        if cursor.eat('=') {
            if key.is_empty() || key == "__name__" {
                return Err(LineErrorKind::BadLabelName);
            }
            cursor.skip_blanks();
            let value = cursor.quoted().map_err(|_| LineErrorKind::BadLabelSet)?;
            if labels.iter().any(|(seen, _)| *seen == key) {
                return Err(LineErrorKind::DuplicateLabel);
            }
            if !value.is_empty() {
                if labels.len() >= max_labels {
                    return Err(LineErrorKind::TooManyLabels);
                }
                labels.push((key, value));
            }
        } else if quoted && name.is_none() && labels.is_empty() && !key.is_empty() {
            *name = Some(key);
        } else {
            return Err(LineErrorKind::BadLabelSet);
        }
        cursor.skip_blanks();
        if !cursor.eat(',') {
            return if cursor.eat('}') { Ok(()) } else { Err(LineErrorKind::BadLabelSet) };
        }
    }
}

/// Go's and Rust's number grammars agree on everything exporters write (`NaN`, `+Inf`, `1e3`); a decimal too large for
/// a float is an error in Go and infinity in Rust, and we side with Go: an overflow is not an infinity somebody meant.
pub(crate) fn read_float(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    if value.is_infinite() && text.bytes().any(|byte| byte.is_ascii_digit()) { None } else { Some(value) }
}

fn read_timestamp(text: &str, format: Format) -> Result<i64, LineErrorKind> {
    match format {
        Format::PrometheusText => text.parse().map_err(|_| LineErrorKind::BadTimestamp),
        Format::OpenMetrics => {
            read_float(text).and_then(seconds_to_millis).ok_or(LineErrorKind::BadTimestamp)
        }
    }
}

/// Seconds as written by OpenMetrics and the HTTP API to integer milliseconds; `None` outside ±9.2e15 s or for NaN.
pub(crate) fn seconds_to_millis(seconds: f64) -> Option<i64> {
    let millis = (seconds * 1_000.0).round();
    // The bound is exact in a float and leaves room for arithmetic; the cast cannot saturate inside it.
    (millis.abs() <= 9.0e18).then_some(millis as i64)
}

/// Unescapes `\\`, `\"` and `\n`; any other backslash stands for itself, as in Prometheus's own parser.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('\\') => out.push('\\'),
            Some('"') => out.push('"'),
            Some('n') => out.push('\n'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    Cow::Owned(out)
}

struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(blank);
    }

    fn eat(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !accept(c)).unwrap_or(self.rest.len());
        let (head, tail) = self.rest.split_at(end);
        self.rest = tail;
        head
    }

    fn metric_name(&mut self) -> Result<Cow<'a, str>, LineErrorKind> {
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
        if name.starts_with(|c: char| !c.is_ascii_digit()) {
            Ok(Cow::Borrowed(name))
        } else {
            Err(LineErrorKind::BadMetricName)
        }
    }

    fn label_name(&mut self) -> Result<Cow<'a, str>, LineErrorKind> {
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        if name.starts_with(|c: char| !c.is_ascii_digit()) {
            Ok(Cow::Borrowed(name))
        } else {
            Err(LineErrorKind::BadLabelName)
        }
    }

    fn quoted(&mut self) -> Result<Cow<'a, str>, LineErrorKind> {
        let body = self.rest.strip_prefix('"').ok_or(LineErrorKind::BadLabelSet)?;
        let mut escaped = false;
        for (at, byte) in body.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    // A quote byte is ASCII, hence a character boundary.
                    let (inside, tail) = body.split_at(at);
                    self.rest = tail.strip_prefix('"').unwrap_or(tail);
                    return Ok(unescape(inside));
                }
                _ => {}
            }
        }
        Err(LineErrorKind::BadLabelSet)
    }
}
