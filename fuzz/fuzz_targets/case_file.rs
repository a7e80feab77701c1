//! Any bytes as a case file: a typed error, or a case that is written and read back unchanged.
#![no_main]

use aiops_core::Case;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(case) = Case::from_json(data) else { return };
    let written = case.to_json().expect("what was read can be written");
    let again = Case::from_json(&written).expect("what was written can be read");
    // Compared as bytes: a case may hold NaN, which equals nothing.
    assert_eq!(again.to_json().expect("what was read can be written"), written);
    // Views on a case must cope with any order of its parts.
    let _ = (case.detected().len(), case.attempts().count(), case.status(), case.window());
});
