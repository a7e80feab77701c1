//! Any bytes through the mask: no panic, twice is as once, text stays text, and what is masked is gone.
#![no_main]

use aiops_compact::mask::{Form, MaskConfig, MaskKey, MaskOptions, Masker, Pattern};
use aiops_core::seam::Mask as _;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let pattern = |label: &str, form| Pattern { label: label.to_owned(), form };
    let patterns = vec![
        pattern("name", Form::Literal("Müller".to_owned())),
        pattern("voucher", Form::Prefix { text: "VCH".to_owned(), least: 4 }),
        pattern("customer", Form::Shape("CUST-######".to_owned())),
    ];
    let options = MaskOptions { phone: true, uuid: true, patterns, ..MaskOptions::default() };
    let config = MaskConfig::try_from(options).expect("the settings are in range");
    let masker = Masker::new(&config, MaskKey::new([7; 32])).expect("the literals fit");
    let once = masker.mask_bytes(data);
    assert_eq!(masker.mask_bytes(&once), once, "twice is not as once");
    assert!(!once.windows("Müller".len()).any(|window| window == "Müller".as_bytes()));
    if let Ok(text) = std::str::from_utf8(data) {
        assert_eq!(masker.mask(text).as_bytes(), once.as_ref(), "text is masked as bytes are");
    }
});
