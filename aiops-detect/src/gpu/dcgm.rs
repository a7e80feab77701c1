//! The DCGM fields that are read, and the bits of those that are bit fields (DCGM API reference, *Field identifiers*; names
//! as dcgm-exporter gives them to Prometheus).

use aiops_core::model::TelemetryWindow;
use aiops_core::model::{MetricKind, MetricSeries};
use jiff::Timestamp;

use crate::usecase::signals::{inside, named};

/// A DCGM field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Field {
    /// Last XID error code seen; 0 for none.
    XidErrors,
    /// Single-bit ECC errors since the driver was loaded.
    EccSingleBitVolatile,
    /// Double-bit ECC errors since the driver was loaded.
    EccDoubleBitVolatile,
    /// Rows remapped for correctable errors.
    CorrectableRemappedRows,
    /// Rows remapped for uncorrectable errors.
    UncorrectableRemappedRows,
    /// 1 when remapping a row failed: the GPU has no spare left.
    RowRemapFailure,
    /// Pages retired for double-bit errors (before Ampere).
    RetiredDoubleBit,
    /// GPU temperature in °C.
    GpuTemperature,
    /// Memory temperature in °C.
    MemoryTemperature,
    /// Temperature in °C at which the GPU slows down.
    SlowdownTemperature,
    /// Power drawn in W.
    PowerUsage,
    /// Power limit in W.
    PowerLimit,
    /// SM clock in MHz.
    SmClock,
    /// Why clocks are below their maximum, see [`ClockReasons`].
    ClockReasons,
    /// Time throttled by power, in µs, a running total.
    PowerViolation,
    /// Time throttled by temperature, in µs, a running total.
    ThermalViolation,
    /// Share of time in which a kernel ran, in %.
    GpuUtilization,
    /// Share of SMs with at least one warp, 0 to 1.
    SmActive,
    /// Share of time the tensor pipes were active, 0 to 1.
    TensorActive,
    /// Bytes over NVLink a second.
    NvlinkBandwidth,
    /// NVLink flow-control CRC errors, a running total.
    NvlinkCrcFlit,
    /// NVLink data CRC errors, a running total.
    NvlinkCrcData,
    /// NVLink replays, a running total.
    NvlinkReplay,
    /// NVLink recoveries, a running total.
    NvlinkRecovery,
    /// State of the GPU's registration with the fabric: 3 is completed.
    FabricManagerStatus,
    /// PCIe replays, a running total.
    PcieReplay,
}

impl Field {
    /// Names of the field in Prometheus: today's, and those of older versions.
    #[must_use]
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::XidErrors => &["DCGM_FI_DEV_XID_ERRORS"],
            Self::EccSingleBitVolatile => &["DCGM_FI_DEV_ECC_SBE_VOL_TOTAL"],
            Self::EccDoubleBitVolatile => &["DCGM_FI_DEV_ECC_DBE_VOL_TOTAL"],
            Self::CorrectableRemappedRows => &["DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS"],
            Self::UncorrectableRemappedRows => &["DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS"],
            Self::RowRemapFailure => &["DCGM_FI_DEV_ROW_REMAP_FAILURE"],
            Self::RetiredDoubleBit => &["DCGM_FI_DEV_RETIRED_DBE"],
            Self::GpuTemperature => &["DCGM_FI_DEV_GPU_TEMP"],
            Self::MemoryTemperature => &["DCGM_FI_DEV_MEMORY_TEMP"],
            Self::SlowdownTemperature => &["DCGM_FI_DEV_SLOWDOWN_TEMP"],
            Self::PowerUsage => &["DCGM_FI_DEV_POWER_USAGE"],
            Self::PowerLimit => &["DCGM_FI_DEV_POWER_MGMT_LIMIT", "DCGM_FI_DEV_ENFORCED_POWER_LIMIT"],
            Self::SmClock => &["DCGM_FI_DEV_SM_CLOCK"],
            Self::ClockReasons => &["DCGM_FI_DEV_CLOCKS_EVENT_REASONS", "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS"],
            Self::PowerViolation => &["DCGM_FI_DEV_POWER_VIOLATION"],
            Self::ThermalViolation => &["DCGM_FI_DEV_THERMAL_VIOLATION"],
            Self::GpuUtilization => &["DCGM_FI_DEV_GPU_UTIL"],
            Self::SmActive => &["DCGM_FI_PROF_SM_ACTIVE"],
            Self::TensorActive => &["DCGM_FI_PROF_PIPE_TENSOR_ACTIVE"],
            Self::NvlinkBandwidth => &["DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL"],
            Self::NvlinkCrcFlit => &["DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL"],
            Self::NvlinkCrcData => &["DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL"],
            Self::NvlinkReplay => &["DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL"],
            Self::NvlinkRecovery => &["DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL"],
            Self::FabricManagerStatus => &["DCGM_FI_DEV_FABRIC_MANAGER_STATUS"],
            Self::PcieReplay => &["DCGM_FI_DEV_PCIE_REPLAY_COUNTER"],
        }
    }

    /// The series of this field in `window`, each key once, in the order of entity and key.
    pub(crate) fn series(self, window: &TelemetryWindow) -> Vec<&MetricSeries> {
        let names: Vec<String> = self.names().iter().map(|name| (*name).to_owned()).collect();
        named(window, &names)
    }
}

/// Reasons for clocks below their maximum: a bit field (NVML, `nvmlClocksEventReasons`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockReasons(pub u64);

impl ClockReasons {
    /// Nothing to do.
    pub const GPU_IDLE: u64 = 0x1;
    /// Clocks were set lower by a user.
    pub const APPLICATIONS_CLOCKS: u64 = 0x2;
    /// The power limit.
    pub const SW_POWER_CAP: u64 = 0x4;
    /// Hardware slows down: heat, power brake or a too fast drop of power.
    pub const HW_SLOWDOWN: u64 = 0x8;
    /// Another GPU of the group is slower.
    pub const SYNC_BOOST: u64 = 0x10;
    /// The driver slows down for heat.
    pub const SW_THERMAL: u64 = 0x20;
    /// Hardware slows down for heat.
    pub const HW_THERMAL: u64 = 0x40;
    /// The power supply asks for it.
    pub const HW_POWER_BRAKE: u64 = 0x80;
    /// A display's clocks.
    pub const DISPLAY: u64 = 0x100;

    /// Reads a sample; what is no whole number of 64 bits is none of the reasons.
    #[must_use]
    pub fn of(value: f64) -> Self {
        // 2⁵³ and more are not exact; NVML uses the lowest 9 bits.
        if value.is_finite() && (0.0..9e15).contains(&value) { Self(value as u64) } else { Self(0) }
    }

    /// Whether heat is among the reasons.
    #[must_use]
    pub fn is_thermal(self) -> bool {
        self.0 & (Self::SW_THERMAL | Self::HW_THERMAL) != 0
    }

    /// Whether hardware slows down, for heat or for want of power: what should never be.
    #[must_use]
    pub fn is_hardware(self) -> bool {
        self.0 & (Self::HW_SLOWDOWN | Self::HW_THERMAL | Self::HW_POWER_BRAKE) != 0
    }

    /// Whether power is among the reasons. At the configured limit a busy GPU always is.
    #[must_use]
    pub fn is_power(self) -> bool {
        self.0 & (Self::SW_POWER_CAP | Self::HW_POWER_BRAKE) != 0
    }

    /// Names of the reasons, by bit.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let all = [
            (Self::GPU_IDLE, "idle"),
            (Self::APPLICATIONS_CLOCKS, "application clocks"),
            (Self::SW_POWER_CAP, "power cap"),
            (Self::HW_SLOWDOWN, "hardware slowdown"),
            (Self::SYNC_BOOST, "sync boost"),
            (Self::SW_THERMAL, "software thermal slowdown"),
            (Self::HW_THERMAL, "hardware thermal slowdown"),
            (Self::HW_POWER_BRAKE, "power brake"),
            (Self::DISPLAY, "display clocks"),
        ];
        all.into_iter().filter(|(bit, _)| self.0 & bit != 0).map(|(_, name)| name).collect()
    }
}

/// How much a running total grew, sample by sample. DCGM's totals come as counters and as gauges; both only grow, but for
/// a driver that was loaded anew. What is a rate already is taken as one.
pub(crate) fn growth(series: &MetricSeries, window: &TelemetryWindow) -> Vec<(Timestamp, f64)> {
    let points = inside(series, window);
    if series.kind() == MetricKind::Rate {
        let step = crate::rolling::typical_step(series.times()).map_or(1.0, |step| step.as_secs_f64());
        return points.into_iter().map(|(t, rate)| (t, rate * step)).collect();
    }
    let later = points.iter().skip(1);
    let grown = points.iter().zip(later).map(|((_, a), (t, b))| (*t, if b >= a { b - a } else { *b }));
    grown.filter(|(_, by)| *by > 0.0).collect()
}
