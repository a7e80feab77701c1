//! Cedar has no floating point; its decimals have four places.

use cedar_policy::RestrictedExpression;

/// Ten-thousandths in one.
const UNIT: i64 = 10_000;
/// Larger numbers are taken as this: nothing here is meant to be larger.
const MOST: f64 = 1e9;

/// `x` in ten-thousandths, rounded down or up from its shortest decimal notation, which is how it stands in a file: so 0.29 is 2,900, although
/// the nearest `f64` is a little less. `None` for NaN.
pub(crate) fn ten_thousandths(x: f64, up: bool) -> Option<i64> {
    if x.is_nan() {
        return None;
    }
    let text = x.clamp(-MOST, MOST).to_string();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.as_str()),
    };
    let (whole, places) = digits.split_once('.').unwrap_or((digits, ""));
    let (kept, rest) = places.split_at_checked(4).unwrap_or((places, ""));
    let kept: i64 = format!("{kept:0<4}").parse().ok()?;
    let nearer_to_zero = whole.parse::<i64>().ok()?.checked_mul(UNIT)?.checked_add(kept)?;
    let cut = rest.bytes().any(|digit| digit != b'0');
    // Away from zero is down for what is negative and up for what is not.
    let size = nearer_to_zero + i64::from(cut && up != negative);
    Some(if negative { -size } else { size })
}

/// The decimal as Cedar reads it.
pub(crate) fn text(ten_thousandths: i64) -> String {
    let sign = if ten_thousandths < 0 { "-" } else { "" };
    let size = ten_thousandths.unsigned_abs();
    format!("{sign}{}.{:04}", size / UNIT.unsigned_abs(), size % UNIT.unsigned_abs())
}

pub(crate) fn decimal(ten_thousandths: i64) -> RestrictedExpression {
    RestrictedExpression::new_decimal(text(ten_thousandths))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_where_it_should() {
        for (x, down, up) in [
            (0.0, 0, 0),
            (0.29, 2_900, 2_900),
            (0.57, 5_700, 5_700),
            (1.0, 10_000, 10_000),
            (0.849_99, 8_499, 8_500),
            (0.000_01, 0, 1),
            (1e-300, 0, 1),
            (-0.000_01, -1, 0),
            (-1.5, -15_000, -15_000),
            (f64::INFINITY, 10_000_000_000_000, 10_000_000_000_000),
            (f64::NEG_INFINITY, -10_000_000_000_000, -10_000_000_000_000),
        ] {
            assert_eq!((ten_thousandths(x, false), ten_thousandths(x, true)), (Some(down), Some(up)), "{x}");
        }
        assert_eq!(ten_thousandths(f64::NAN, false), None);
        assert_eq!(
            (text(8_500), text(-1), text(12_345)),
            ("0.8500".into(), "-0.0001".into(), "1.2345".into())
        );
    }
}
