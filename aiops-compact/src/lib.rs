//! Compaction of telemetry: anomalies with shapes, top-k, briefings.
