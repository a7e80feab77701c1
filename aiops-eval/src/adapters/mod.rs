//! The four tasks, detection, localisation, root-cause analysis and mitigation, laid over the interfaces of two public suites. // EVA-09
//!
//! | module | suite | which of the tasks |
//! |---|---|---|
//! | [`openrca`] | OpenRCA (Xu et al., ICLR 2025) | when, where and why, from recorded telemetry |
//! | [`aiopslab`] | AIOpsLab (Chen et al., MLSys 2025) | all four, of a system that answers |
//!
//! Neither needs a download or a cluster: episodes of the [arena](crate::arena) are laid out as a data set of the one and played as
//! problems of the other.

pub mod aiopslab;
pub mod openrca;
