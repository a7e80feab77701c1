//! The closed loop.
