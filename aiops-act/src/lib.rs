//! Guards, planning, approvals and verification of actions.
