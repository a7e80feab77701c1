//! Detectors of aiops: algorithms that say which signals left their norm, behind the
//! [`Detector`](aiops_core::seam::Detector) seam.
//!
//! Learning is apart from detecting: a [`Fit`](aiops_core::seam::Fit) turns a healthy window into a fitted state (a
//! plain, versioned, serialisable value), and a detector is a pure function of that state and a window.

pub mod rolling;

pub use rolling::{FittedRolling, RollingDetector, RollingFit};
