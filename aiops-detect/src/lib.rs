//! Detectors of aiops.
