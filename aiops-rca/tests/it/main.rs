//! Localisation and root cause on small made-up systems.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails may panic"
)]

mod attempts;
mod calibration;
mod calls;
mod causes;
mod changes;
mod conformance;
mod dark;
mod devices;
mod fused;
mod fused_causes;
mod fused_fleet;
mod fused_fleet_now;
mod fused_fleet_words;
mod fused_properties;
mod gather;
mod kinds;
mod localize;
mod memory;
mod observations;
mod onset;
mod properties;
mod reasoning;
mod roles;
mod windows;
mod world;
