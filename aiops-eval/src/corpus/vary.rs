//! Other values of the same form.

use fastrand::Rng;

/// Writes `value` with its digits drawn anew: runs of two and more keep their first digit, so that the parts of addresses
/// and times stay about what they were, and so does the zero of `0x`. Letters stay: a word is only replaced by another one
/// of the set.
pub(super) fn digits(value: &[u8], out: &mut Vec<u8>, rng: &mut Rng) {
    let mut before = b' ';
    for (at, byte) in value.iter().enumerate() {
        let next = value.get(at + 1).copied().unwrap_or(b' ');
        let first = !before.is_ascii_digit();
        let kept = first && (next.is_ascii_digit() || matches!(next, b'x' | b'X'));
        if byte.is_ascii_digit() && !kept {
            out.push(b'0' + rng.u8(..10));
        } else {
            out.push(*byte);
        }
        before = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_change_and_not_the_first_of_many() {
        let mut rng = Rng::with_seed(1);
        let value = b"blk_-3886 0x1c 10.0.250.7:80 root";
        let mut seen = [false; 10];
        for _ in 0..200 {
            let mut out = Vec::new();
            digits(value, &mut out, &mut rng);
            assert_eq!(out.len(), value.len());
            for (old, new) in value.iter().zip(&out) {
                assert!(old == new || old.is_ascii_digit() && new.is_ascii_digit());
            }
            assert_eq!((out[5], &out[10..12], out[15], out[20]), (b'3', &b"0x"[..], b'1', b'2'));
            seen[usize::from(out[8] - b'0')] = true;
        }
        assert_eq!(seen, [true; 10]);
    }
}
