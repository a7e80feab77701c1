//! Conformance suites, mocks, oracles and generators for implementers of aiops seams.
