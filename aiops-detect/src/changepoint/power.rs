//! Binary logarithms and powers of two numbers at a time, of the range that densities have.
//!
//! The functions of the C library cannot be inlined, so that every register is saved around them, and their last digits are
//! those of the library and the processor at hand. These take two numbers in the time of one, and are the same anywhere.

use wide::{f64x2, u64x2};

/// The bits of √½, where the mantissa of a logarithm's argument begins: it lies as far below 1 as above.
const ROOT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;

/// The bits of 1.
const ONE: u64 = 0x3ff0_0000_0000_0000;

const MANTISSA: u64 = (1 << 52) - 1;

/// 2⁵²: in the mantissa of a number of this size stands an integer.
const INTEGER: f64 = 4_503_599_627_370_496.0;

const BIAS: f64 = 1023.0;

/// Binary logarithm of positive normal numbers, to 10⁻¹⁵ of its size or absolutely, whichever is more.
///
/// With s = (m−1)/(m+1), ln m = 2 artanh s = s (2 + R(s²)); the polynomial is that of fdlibm's `e_log.c` (Sun Microsystems
/// 1993), which is off by less than 2⁻⁵⁸. Powers are made side by side (Estrin 1960), because one after the other would be
/// waited for.
#[inline]
pub(super) fn log2(x: f64x2) -> f64x2 {
    let shifted: u64x2 = bits(x) + u64x2::splat(ONE - ROOT_HALF);
    let exponent = number((shifted >> 52) | u64x2::splat(INTEGER.to_bits())) - (INTEGER + BIAS);
    let mantissa = number((shifted & u64x2::splat(MANTISSA)) + u64x2::splat(ROOT_HALF));
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let z = s * s;
    let w = z * z;
    let odd = (0.666_666_666_666_673_5 + w * 0.285_714_287_436_623_9)
        + (w * w) * (0.181_835_721_616_180_5 + w * 0.147_981_986_051_165_86);
    let even = 0.399_999_999_994_094_2 + w * (0.222_221_984_321_497_84 + w * 0.153_138_376_992_093_73);
    exponent + s * std::f64::consts::LOG2_E * (2.0 + (z * odd + w * even))
}

/// 2 to the power of numbers between −1000 and 1000, to 10⁻¹⁴ of its size.
///
/// Taylor's polynomial of degree 11 for the part within ±½.
#[inline]
pub(super) fn exp2(x: f64x2) -> f64x2 {
    // Adding one and a half times 2⁵² rounds to an integer, which then stands in the last digits.
    let shifted = x + 1.5 * INTEGER;
    let r = x - (shifted - 1.5 * INTEGER);
    let whole = number((bits(shifted) + u64x2::splat(BIAS as u64)) << 52);
    let r2 = r * r;
    let four = |[[a, b], [c, d]]: [[f64; 2]; 2]| (a + b * r) + r2 * (c + d * r);
    let r4 = r2 * r2;
    let [low, middle, high] = TAYLOR;
    whole * (four(low) + r4 * (four(middle) + r4 * four(high)))
}

/// (ln 2)ᵏ / k! from k = 0 on.
const TAYLOR: [[[f64; 2]; 2]; 3] = [
    [[1.0, std::f64::consts::LN_2], [0.240_226_506_959_100_7, 0.055_504_108_664_821_58]],
    [
        [0.009_618_129_107_628_477, 0.001_333_355_814_642_844_3],
        [0.000_154_035_303_933_816_1, 1.525_273_380_405_984e-5],
    ],
    [
        [1.321_548_679_014_430_8e-6, 1.017_808_600_923_969_8e-7],
        [7.054_911_620_801_123e-9, 4.445_538_271_870_811_6e-10],
    ],
];

#[inline]
fn bits(x: f64x2) -> u64x2 {
    let [a, b] = x.to_array();
    u64x2::from([a.to_bits(), b.to_bits()])
}

#[inline]
fn number(bits: u64x2) -> f64x2 {
    let [a, b] = bits.to_array();
    f64x2::from([f64::from_bits(a), f64::from_bits(b)])
}

#[cfg(test)]
mod tests {
    use wide::f64x2;

    use super::{exp2, log2};

    /// Evenly over exponents, and close to 1 on both sides, where a logarithm loses its digits most easily.
    #[test]
    fn logarithms_are_those_of_the_library() {
        let mut rng = fastrand::Rng::with_seed(1);
        for i in 0..200_000 {
            let near = 1.0 + (rng.f64() - 0.5) * 2f64.powi(-(i % 52));
            let far = (1.0 + rng.f64()) * 2f64.powi(rng.i32(-1022..1023));
            let [a, b] = log2(f64x2::from([near, far])).to_array();
            for (found, of) in [(a, near), (b, far)] {
                let expected = of.log2();
                assert!(
                    (found - expected).abs() <= 1e-15 * expected.abs().max(1e-1),
                    "{of}: {found} {expected}"
                );
            }
        }
        assert_eq!(log2(f64x2::from([1.0, 2f64.powi(-1022)])).to_array(), [0.0, -1022.0]);
    }

    #[test]
    fn powers_are_those_of_the_library() {
        let mut rng = fastrand::Rng::with_seed(2);
        for _ in 0..200_000 {
            let (near, far) = (rng.f64() - 0.5, 2000.0 * rng.f64() - 1000.0);
            let [a, b] = exp2(f64x2::from([near, far])).to_array();
            for (found, of) in [(a, near), (b, far)] {
                let expected = of.exp2();
                assert!((found - expected).abs() <= 1e-14 * expected, "{of}: {found} {expected}");
            }
        }
        for whole in -1000..=1000 {
            assert_eq!(exp2(f64x2::splat(f64::from(whole))).to_array(), [2f64.powi(whole); 2]);
        }
    }
}
