//! Payment cards and bank accounts, by their checksums.

use std::ops::Range;

use super::class::{at, before, is_word};

/// Separators between groups of digits of a card.
fn separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'-')
}

/// The payment card number that starts at `start`: 13 to 19 digits of a known issuer that pass the Luhn check (ISO/IEC
/// 7812-1), in one run or in groups of four to six divided by one kind of separator.
pub(super) fn card(text: &[u8], start: usize) -> Option<Range<usize>> {
    if matches!(before(text, start), b'.' | b'-') && before(text, start - 1).is_ascii_digit() {
        return None;
    }
    let (mut digits, mut count) = ([0_u8; 19], 0);
    let (mut end, mut between, mut group) = (start, None, 0);
    loop {
        let byte = at(text, end);
        if byte.is_ascii_digit() {
            *digits.get_mut(count)? = byte - b'0';
            count += 1;
            group += 1;
        } else if separator(byte)
            && (4..=6).contains(&group)
            && between.is_none_or(|seen| seen == byte)
            && at(text, end + 1).is_ascii_digit()
        {
            (between, group) = (Some(byte), 0);
        } else {
            break;
        }
        end += 1;
    }
    let next = at(text, end);
    let goes_on = is_word(next) || matches!(next, b'.' | b'-') && at(text, end + 1).is_ascii_digit();
    // No issuer hands out fewer than 13.
    let digits = digits.get(..count).filter(|digits| digits.len() >= 13)?;
    (!goes_on && issued(digits) && luhn(digits)).then_some(start..end)
}

/// Whether an issuer hands out numbers with this start and length.
fn issued(digits: &[u8]) -> bool {
    let head = |n: usize| digits.iter().take(n).fold(0_u32, |sum, d| sum * 10 + u32::from(*d));
    let (two, three, four) = (head(2), head(3), head(4));
    match digits.len() {
        13 => head(1) == 4,
        14 => matches!(three, 300..=305 | 309) || matches!(two, 36 | 38 | 39),
        15 => matches!(two, 34 | 37),
        16 => head(1) == 4 || matches!(two, 50..=58 | 60..=65) || matches!(four, 2221..=2720 | 3528..=3589),
        17 | 18 => matches!(two, 50 | 56..=58 | 60..=65),
        19 => head(1) == 4 || matches!(two, 50 | 56..=58 | 60..=65) || matches!(four, 3528..=3589),
        _ => false,
    }
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| {
            let d = u32::from(*d) << (i % 2);
            if d > 9 { d - 9 } else { d }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Countries and lengths of their IBANs (SWIFT IBAN registry).
const COUNTRIES: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 \
    EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 \
    KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 \
    PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 \
    UA29 VA22 VG24 XK20 YE30";

/// The IBAN (ISO 13616) that starts at `start`, in one run or in groups of four, with a valid check (ISO 7064, mod 97-10).
pub(super) fn iban(text: &[u8], start: usize) -> Option<Range<usize>> {
    let country = text.get(start..start + 2)?;
    let length = COUNTRIES.split_ascii_whitespace().find_map(|entry| {
        let (name, length) = entry.split_at_checked(2)?;
        (name.as_bytes() == country).then(|| length.parse::<usize>().ok())?
    })?;
    let (mut end, mut seen, mut remainder) = (start, Vec::with_capacity(length), 0_u32);
    while seen.len() < length {
        let byte = at(text, end);
        if byte.is_ascii_digit() || byte.is_ascii_uppercase() {
            seen.push(byte);
        } else if byte != b' ' || seen.is_empty() || seen.len() % 4 != 0 || before(text, end) == b' ' {
            return None;
        }
        end += 1;
    }
    if is_word(at(text, end)) {
        return None;
    }
    let (head, tail) = seen.split_at_checked(4)?;
    for byte in tail.iter().chain(head) {
        let value = u32::from(if byte.is_ascii_digit() { byte - b'0' } else { byte - b'A' + 10 });
        remainder = (remainder * if value > 9 { 100 } else { 10 } + value) % 97;
    }
    (remainder == 1).then_some(start..end)
}

/// The E.164 number whose `+` stands at `plus`: 8 to 15 digits, single separators or brackets between them.
pub(super) fn phone(text: &[u8], plus: usize) -> Option<Range<usize>> {
    if is_word(before(text, plus)) {
        return None;
    }
    let (mut end, mut digits, mut position, mut marks) = (plus + 1, 0, plus + 1, 0);
    loop {
        match at(text, position) {
            b'0'..=b'9' => {
                (digits, marks) = (digits + 1, 0);
                end = position + 1;
            }
            // `+49 (0) 30 …`: a bracket may follow a space.
            b' ' | b'-' | b'.' | b'(' | b')' if marks < 2 => marks += 1,
            _ => break,
        }
        position += 1;
        if digits > 15 {
            return None;
        }
    }
    let first = at(text, plus + 1);
    (digits >= 8 && first.is_ascii_digit() && first != b'0' && !is_word(at(text, end))).then_some(plus..end)
}
