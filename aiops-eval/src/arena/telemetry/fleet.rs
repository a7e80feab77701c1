//! What GPUs, jobs and machines with GPUs tell: series of dcgm-exporter, lines of the kernel, steps and queues.

use aiops_core::model::{EntityId, LogSeverity, MetricKind};

use super::metrics::{Series, Whose, series};
use super::{Line, Recorder};
use crate::arena::sim::fleet::{Gpu, pci};
use crate::arena::sim::spec::Role;
use crate::arena::sim::{Micros, Simulator};

/// Full and idle clock of the SMs, MHz.
const FULL_CLOCK: f64 = 1980.0;
const IDLE_CLOCK: f64 = 345.0;
/// Share of scrapes of one exporter that fail.
const FAILED_SCRAPES: f64 = 0.003;
/// Fabric state of a GPU: registered, and still on its way (NVML, `nvmlGpuFabricState`).
const REGISTERED: f64 = 3.0;
const REGISTERING: f64 = 2.0;
/// State of an InfiniBand port: down and active (node_exporter).
const PORT: (f64, f64) = (1.0, 4.0);

series! {
    50 XID = "DCGM_FI_DEV_XID_ERRORS" Gauge "1";
    51 SBE = "rate(DCGM_FI_DEV_ECC_SBE_VOL_TOTAL)" Rate "{error}/s";
    52 DBE = "rate(DCGM_FI_DEV_ECC_DBE_VOL_TOTAL)" Rate "{error}/s";
    53 REMAPPED = "rate(DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS)" Rate "{row}/s";
    54 REMAPPED_BAD = "rate(DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS)" Rate "{row}/s";
    55 REMAP_FAILURE = "DCGM_FI_DEV_ROW_REMAP_FAILURE" Gauge "1";
    56 TEMPERATURE = "DCGM_FI_DEV_GPU_TEMP" Gauge "Cel";
    57 POWER = "DCGM_FI_DEV_POWER_USAGE" Gauge "W";
    58 CLOCK = "DCGM_FI_DEV_SM_CLOCK" Gauge "MHz";
    59 REASONS = "DCGM_FI_DEV_CLOCKS_EVENT_REASONS" Gauge "1";
    60 BY_POWER = "rate(DCGM_FI_DEV_POWER_VIOLATION)" Rate "us/s";
    61 BY_HEAT = "rate(DCGM_FI_DEV_THERMAL_VIOLATION)" Rate "us/s";
    62 UTILISATION = "DCGM_FI_DEV_GPU_UTIL" Gauge "%";
    63 TENSOR = "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE" Ratio "1";
    64 BANDWIDTH = "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL" Gauge "By/s";
    65 CRC_FLIT = "rate(DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL)" Rate "{error}/s";
    66 CRC_DATA = "rate(DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL)" Rate "{error}/s";
    67 REPLAYS = "rate(DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL)" Rate "{error}/s";
    68 RECOVERIES = "rate(DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL)" Rate "{error}/s";
    69 FABRIC = "DCGM_FI_DEV_FABRIC_MANAGER_STATUS" Gauge "1";
    80 STEP = "training_step_duration_seconds" Gauge "s";
    81 STEPS = "rate(training_steps_total)" Rate "{step}/s";
    82 PENDING = "kueue_pending_workloads" Gauge "{workload}";
    83 OLDEST = "max_age(kueue_pending_workloads)" Gauge "s";
    84 ADMITTED = "kueue_admitted_active_workloads" Gauge "{workload}";
    85 PORT_STATE = "node_infiniband_state_id" Gauge "1";
}

impl Recorder {
    /// A line of `entity`: a service by its index, or a machine by its index after all services.
    pub(crate) fn say(&mut self, time: Micros, entity: usize, severity: LogSeverity, body: String) {
        self.lines.push(Line { time, service: entity, severity, body, trace: 0, span: 0 });
    }

    /// The driver logs an XID of the GPU in `slot` of a machine.
    pub(crate) fn xid(&mut self, time: Micros, entity: usize, slot: usize, code: u32) {
        let pid = self.rng.u32(2_000..60_000);
        let (bank, row) = (self.rng.u32(..16), self.rng.u32(..1 << 16));
        let program = format!("pid={pid}, name=python3");
        let (who, what) = match code {
            13 => (
                program,
                format!(
                    "Graphics SM Warp Exception on (GPC {}, TPC 1, SM 0): Out Of Range Address",
                    bank % 8
                ),
            ),
            31 => (
                program,
                format!(
                    "Ch {bank:08x}, intr 00000000. MMU Fault: ENGINE GRAPHICS GPCCLIENT_T1_3 faulted @ 0x7f3c_{row:08x}. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_READ"
                ),
            ),
            43 => (program, format!("Ch {bank:08x}")),
            48 => (
                "pid='<unknown>', name=<unknown>".to_owned(),
                format!("DBE (double bit error) at partition {}, subpartition 1", bank % 6),
            ),
            63 => (
                "pid='<unknown>', name=<unknown>".to_owned(),
                format!("Row Remapper: New row (0x{row:016x}) marked for remapping, reset gpu to activate"),
            ),
            64 => (
                "pid='<unknown>', name=<unknown>".to_owned(),
                format!("Row Remapper: Unable to remap row (0x{row:016x})"),
            ),
            74 => (
                "pid='<unknown>', name=<unknown>".to_owned(),
                format!("NVLink: error detected on link {bank}(0x0, 0x0, 0x10000, 0x0, 0x0, 0x0, 0x0)"),
            ),
            79 => ("pid='<unknown>', name=<unknown>".to_owned(), "GPU has fallen off the bus.".to_owned()),
            94 => (program, format!("Contained: SM ({row:#x}). RST: No, D-RST: No")),
            95 => (program, format!("Uncontained: LTC TAG ({row:#x}). RST: Yes, D-RST: No")),
            _ => (
                program,
                format!(
                    "Timeout after 6s of waiting for RPC response from GPU GSP! Expected function {} (GSP_RM_CONTROL)",
                    70 + bank
                ),
            ),
        };
        let body = format!("NVRM: Xid (PCI:{}): {code}, {who}, {what}", pci(slot));
        self.say(time, entity, LogSeverity::Error, body);
    }

    fn gpu(&mut self, number: usize, gpu: &Gpu, host: &str, registered: bool) {
        let (slot, device) = (gpu.slot.to_string(), format!("nvidia{}", gpu.slot));
        let labels = [
            ("Hostname", host),
            ("device", device.as_str()),
            ("gpu", slot.as_str()),
            ("modelName", "NVIDIA H100 80GB HBM3"),
            ("pci_bus_id", pci(gpu.slot)),
        ];
        let whose = Whose { number, part: 0, entity: &gpu.entity, labels: &labels };
        let near = |rng: &mut fastrand::Rng, v: f64, share: f64| v * (1.0 + share * (rng.f64() - 0.5));
        self.level(&XID, whose, f64::from(gpu.xid));
        let levels = [
            (&TEMPERATURE, near(&mut self.rng, gpu.celsius, 0.01).round()),
            (&POWER, near(&mut self.rng, gpu.watts, 0.03)),
            (&UTILISATION, near(&mut self.rng, 100.0 * gpu.utilisation, 0.02).min(100.0).round()),
            (&TENSOR, near(&mut self.rng, 0.6 * gpu.activity, 0.04)),
            (&BANDWIDTH, near(&mut self.rng, gpu.traffic, 0.05)),
        ];
        for (series, value) in levels {
            self.level(series, whose, value);
        }
        let clock = if gpu.utilisation > 0.0 { FULL_CLOCK * gpu.clock } else { IDLE_CLOCK };
        // Clocks come in steps of 15 MHz.
        self.level(&CLOCK, whose, (clock / 15.0).round() * 15.0);
        self.level(&REASONS, whose, gpu.reasons as f64);
        self.level(&REMAP_FAILURE, whose, f64::from(u8::from(gpu.remap_failed)));
        self.level(&FABRIC, whose, if registered { REGISTERED } else { REGISTERING });
        let totals = [
            (&SBE, gpu.single_bit as f64),
            (&DBE, gpu.double_bit as f64),
            (&REMAPPED, gpu.remapped as f64),
            (&REMAPPED_BAD, gpu.remapped_uncorrectable as f64),
            (&BY_POWER, gpu.by_power),
            (&BY_HEAT, gpu.by_heat),
            (&CRC_FLIT, gpu.crc_flit as f64),
            (&CRC_DATA, gpu.crc_data as f64),
            (&REPLAYS, gpu.replays as f64),
            (&RECOVERIES, gpu.recoveries as f64),
        ];
        for (series, total) in totals {
            self.rate(series, whose, total);
        }
    }
}

impl Simulator {
    /// Samples GPUs, the training job and the queue.
    pub(super) fn scrape_fleet(&self, told: &mut Recorder) {
        if self.fleet.gpus.is_empty() {
            return;
        }
        for (n, node) in self.nodes.iter().enumerate().filter(|(_, n)| n.spec.gpus > 0 && !n.down) {
            let entity = node.spec.entity();
            let labels = [("device", "mlx5_0"), ("node", node.spec.name.as_str()), ("port", "1")];
            let whose = Whose { number: n, part: 0, entity: &entity, labels: &labels };
            let up = if self.rail_is_cut(n) { PORT.0 } else { PORT.1 };
            told.level(&PORT_STATE, whose, up);
            // The exporter of the machine reads its GPUs; without it they tell nothing.
            let mut exporters = self.services.iter().filter(|s| s.spec.role == Role::Exporter);
            let read = exporters.all(|s| !s.dark && s.replicas.iter().any(|c| c.node == n && c.is_ready()));
            if !read || told.rng.f64() < FAILED_SCRAPES {
                continue;
            }
            let registered = self.is_registered(n);
            for (number, gpu) in self.fleet.gpus.iter().enumerate().filter(|(_, g)| g.node == n && !g.fallen)
            {
                told.gpu(number, gpu, &node.spec.name, registered);
            }
        }
        for (index, service) in self.services.iter().enumerate().filter(|(_, s)| !s.dark) {
            let name = service.spec.name.as_str();
            let entity = service.spec.entity();
            match service.spec.role {
                Role::Training => {
                    let labels = [("job", name)];
                    let whose = Whose { number: index, part: 0, entity: &entity, labels: &labels };
                    if let Some(job) = &self.fleet.training {
                        told.level(&STEP, whose, job.step_seconds(self.now));
                        told.rate(&STEPS, whose, job.made as f64);
                    }
                }
                Role::Scheduler => {
                    let labels = [("cluster_queue", "shared"), ("service", name)];
                    let whose = Whose { number: index, part: 0, entity: &entity, labels: &labels };
                    told.level(&PENDING, whose, self.fleet.queue.pending() as f64);
                    told.level(&OLDEST, whose, self.fleet.queue.oldest(self.now));
                    told.level(&ADMITTED, whose, self.fleet.queue.running() as f64);
                }
                _ => {}
            }
        }
    }

    /// Series by which users feel what is no request: how long a step takes, and how long a job waits.
    pub(crate) fn felt_beside_requests(&self) -> Vec<(EntityId, &'static str)> {
        let name = |role: Role| match role {
            Role::Training => Some(STEP.name),
            Role::Scheduler => Some(OLDEST.name),
            _ => None,
        };
        let services = self.services.iter();
        services.filter_map(|s| Some((s.spec.entity(), name(s.spec.role)?))).collect()
    }
}
