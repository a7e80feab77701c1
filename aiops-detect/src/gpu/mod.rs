//! What goes wrong in GPU fleets: five incident classes as named detectors. // DET-12, ING-10
//!
//! | detector | class | looks at |
//! |---|---|---|
//! | [`XidEccDetector`] | XID and ECC storms | `NVRM: Xid` lines, `DCGM_FI_DEV_XID_ERRORS`, ECC and row remapping fields |
//! | [`ThermalThrottleDetector`] | thermal and power throttling | clock event reasons, temperatures, SM clock |
//! | [`FabricManagerDetector`] | fabric manager and NVLink failures | NVLink error fields, `SXid` and fabric manager lines |
//! | [`NcclHangDetector`] | collectives that hang | NCCL and watchdog lines, utilisation against power and SM activity |
//! | [`SchedulerStarvationDetector`] | jobs that wait while GPUs idle | queue length and waiting time, utilisation |
//!
//! Knowledge stands in tables: [`xid::XIDS`] (all codes NVIDIA documents as in use on data centre GPUs, with severity and usual
//! action), [`dcgm::Field`], [`dcgm::ClockReasons`], [`signature::SIGNATURES`]. They read lines and metrics as dcgm-exporter,
//! the kernel and the libraries write them; nothing is learned.
//!
//! Each finding names the GPU, the node or the job, so that localisation is part of it, and its evidence says the usual
//! action, for diagnosis and mitigation to start from. None of them drains a node: that is for the guards and a person.

pub mod dcgm;
mod fabric;
mod nccl;
pub mod signature;
mod starvation;
mod throttle;
pub mod xid;
mod xid_ecc;

pub use fabric::{FabricManager, FabricManagerDetector, FabricManagerOptions};
pub use nccl::{NcclHang, NcclHangDetector, NcclHangOptions};
pub use starvation::{SchedulerStarvation, SchedulerStarvationDetector, SchedulerStarvationOptions};
pub use throttle::{ThermalThrottle, ThermalThrottleDetector, ThermalThrottleOptions};
pub use xid_ecc::{XidEcc, XidEccDetector, XidEccOptions};
