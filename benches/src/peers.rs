//! Other log miners in Rust, with the parameters that the Drain paper and Drain3 recommend.

/// The `drain3` crate.
#[must_use]
pub fn drain3() -> drain3::Matcher {
    drain3::Matcher::new(drain3::Config::default())
}

/// The `drain3` crate with masking, so that it does the part of the work without which its groups are not comparable: the
/// rules of the configuration that Drain3 (logpai) ships as its example, with word boundaries for the look-around that the
/// `regex` crate has not.
#[must_use]
pub fn drain3_masked() -> drain3::Matcher {
    let rules = [
        (r"\b(?:[0-9a-f]{2,}:){3,}[0-9a-f]{2,}\b", "<ID>"),
        (r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b", "<IP>"),
        (r"\b(?:[0-9a-f]{6,} ?){3,}\b", "<SEQ>"),
        (r"\b(?:[0-9A-F]{4} ?){4,}\b", "<SEQ>"),
        (r"\b0x[a-f0-9A-F]+\b", "<HEX>"),
        (r"\b[-+]?\d+\b", "<NUM>"),
    ];
    let masking = rules.map(|(pattern, mask)| drain3::MaskingInstruction {
        pattern: pattern.to_owned(),
        mask: mask.to_owned(),
    });
    drain3::Matcher::new(drain3::Config { masking: masking.into(), ..drain3::Config::default() })
}

/// The `drain-rs` crate.
#[cfg(feature = "peer-drain-rs")]
#[must_use]
pub fn drain_rs() -> drain_rs::DrainTree {
    drain_rs::DrainTree::new().max_depth(4).max_children(100).min_similarity(0.4)
}
