//! Compose incident pipelines that heal themselves.
