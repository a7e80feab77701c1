//! Text of a briefing: numbers, instants, keys from foreign systems.

use std::fmt::Write as _;
use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::jiff::tz::TimeZone;
use aiops_core::model::TimeRange;

/// An instant to the second: the time of day (UTC) where the briefing's range, which its head tells, leaves no doubt of the
/// day. A whole date takes some 20 tokens a line.
pub(super) fn clock(time: Timestamp, range: TimeRange) -> String {
    const DAY: Duration = Duration::from_secs(86_400);
    if range.length() < DAY && range.start() <= time && time <= range.end() {
        return time.to_zoned(TimeZone::UTC).strftime("%H:%M:%S").to_string();
    }
    format!("{time:.0}")
}

/// A number to three significant digits, without trailing zeros.
pub(super) fn number(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e7).contains(&magnitude) {
        return format!("{value:.2e}");
    }
    let decimals = (2 - magnitude.log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Foreign text made safe for one line: control characters and line separators replaced, at most `limit` characters.
pub(super) fn one_line(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == limit {
            let _ = out.write_char('…');
            break;
        }
        let breaks = c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        let _ = out.write_char(if breaks { '\u{fffd}' } else { c });
    }
    out
}

/// Characters shown of the name of an operation.
const NAME_CHARS: usize = 80;

/// A name from a foreign system, short enough for a line.
pub(super) fn clipped(name: &str) -> String {
    one_line(name, NAME_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-0.021_34, "-0.0213"),
            (123_456.7, "123457"),
            (0.5, "0.5"),
            (1e9, "1.00e9"),
            (1e-9, "1.00e-9"),
            (1000.0, "1000"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn instants_are_short_where_nothing_is_lost() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (start, end) = (at("2026-01-01T23:00:00Z"), at("2026-01-02T01:00:00Z"));
        let range = TimeRange::new(start, end).unwrap();
        assert_eq!(clock(at("2026-01-02T00:07:31.25Z"), range), "00:07:31");
        assert_eq!(clock(at("2026-01-01T22:00:00Z"), range), "2026-01-01T22:00:00Z");
        let long = TimeRange::new(start, at("2026-01-09T00:00:00Z")).unwrap();
        assert_eq!(clock(end, long), "2026-01-02T01:00:00Z");
    }

    #[test]
    fn foreign_text_stays_on_its_line() {
        assert_eq!(one_line("a\nb\u{2028}c", 10), "a\u{fffd}b\u{fffd}c");
        assert_eq!(one_line("abcdef", 3), "abc…");
    }
}
