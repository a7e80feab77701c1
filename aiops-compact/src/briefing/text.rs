//! Text of a briefing: numbers, keys from foreign systems.

use std::fmt::Write as _;

/// A number to four significant digits, without trailing zeros.
pub(super) fn number(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e7).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    let decimals = (3 - magnitude.log10().floor() as i32).max(0) as usize;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-0.021_34, "-0.02134"),
            (123_456.7, "123457"),
            (0.5, "0.5"),
            (1e9, "1.000e9"),
            (1e-9, "1.000e-9"),
            (1000.0, "1000"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn foreign_text_stays_on_its_line() {
        assert_eq!(one_line("a\nb\u{2028}c", 10), "a\u{fffd}b\u{fffd}c");
        assert_eq!(one_line("abcdef", 3), "abc…");
    }
}
