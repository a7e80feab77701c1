//! One GPU: power, heat, clocks, errors.

use aiops_core::model::EntityId;

use super::{Fleet, Holder, strikes};
use crate::arena::sim::Simulator;
use crate::arena::sim::spec::{Role, Setting};
use crate::arena::sim::state::{Place, Trouble};

/// Power of an idle GPU, of one whose kernel only waits, and of one that multiplies at full clock, W. The sum is that of an H100
/// under a large job.
const IDLE_WATTS: f64 = 75.0;
const SPIN_WATTS: f64 = 120.0;
const WORK_WATTS: f64 = 480.0;
/// Temperature of the air that comes in, and of the die above it for each watt, °C; seconds until two thirds of a change.
const INLET: f64 = 28.0;
const KELVIN_A_WATT: f64 = 0.062;
const INERTIA: f64 = 40.0;
/// Temperatures at which the driver and the hardware slow down, °C.
const SLOWDOWN: f64 = 87.0;
const HARDWARE_SLOWDOWN: f64 = 92.0;
/// Lowest share of the full clock.
const LOWEST: f64 = 0.2;

/// Bits of the clock event reasons (NVML).
const REASON_IDLE: u64 = 0x1;
const REASON_POWER: u64 = 0x4;
const REASON_SOFTWARE_HEAT: u64 = 0x20;
const REASON_HARDWARE_HEAT: u64 = 0x48;

/// Rows that can be remapped before there is no spare.
const SPARE_ROWS: u64 = 8;

/// One GPU as it is; totals count from the start.
#[derive(Debug)]
pub(crate) struct Gpu {
    pub(crate) node: usize,
    pub(crate) slot: usize,
    pub(crate) entity: EntityId,
    pub(crate) holder: Option<Holder>,
    pub(crate) fallen: bool,
    /// Last XID; 0 for none.
    pub(crate) xid: u32,
    /// Share of the time in which a kernel runs, and in which it multiplies.
    pub(crate) utilisation: f64,
    pub(crate) activity: f64,
    /// Bytes over NVLink a second.
    pub(crate) traffic: f64,
    pub(crate) watts: f64,
    pub(crate) celsius: f64,
    /// Share of the full clock, and the most that heat allows.
    pub(crate) clock: f64,
    cooled: f64,
    pub(crate) reasons: u64,
    /// Microseconds slowed down by heat and by power.
    pub(crate) by_heat: f64,
    pub(crate) by_power: f64,
    pub(crate) single_bit: u64,
    pub(crate) double_bit: u64,
    pub(crate) remapped: u64,
    pub(crate) remapped_uncorrectable: u64,
    pub(crate) remap_failed: bool,
    pub(crate) crc_flit: u64,
    pub(crate) crc_data: u64,
    pub(crate) replays: u64,
    pub(crate) recoveries: u64,
    /// How many times longer collectives over its links take.
    pub(crate) link_stretch: f64,
}

/// What troubles one GPU.
#[derive(Debug, Clone, Copy)]
struct Ill {
    heat: f64,
    double_bit: f64,
    single_bit: f64,
    links: f64,
}

impl Gpu {
    pub(super) fn new(node: usize, slot: usize, entity: EntityId) -> Self {
        Self {
            node,
            slot,
            entity,
            holder: None,
            fallen: false,
            xid: 0,
            utilisation: 0.0,
            activity: 0.0,
            traffic: 0.0,
            watts: IDLE_WATTS,
            celsius: INLET + KELVIN_A_WATT * IDLE_WATTS,
            clock: 1.0,
            cooled: 1.0,
            reasons: REASON_IDLE,
            by_heat: 0.0,
            by_power: 0.0,
            single_bit: 0,
            double_bit: 0,
            remapped: 0,
            remapped_uncorrectable: 0,
            remap_failed: false,
            crc_flit: 0,
            crc_data: 0,
            replays: 0,
            recoveries: 0,
            link_stretch: 1.0,
        }
    }

    /// One second of power and heat: clocks fall until both are within their limits.
    fn warm(&mut self, heat: f64, most_watts: f64) {
        let base = IDLE_WATTS + SPIN_WATTS * self.utilisation;
        let work = WORK_WATTS * self.activity;
        let powered = if base + work > most_watts && work > 0.0 {
            ((most_watts - base) / work).clamp(LOWEST, 1.0)
        } else {
            1.0
        };
        self.cooled = (self.cooled + 0.003 * (SLOWDOWN - self.celsius)).clamp(LOWEST, 1.0);
        self.clock = powered.min(self.cooled);
        self.watts = base + work * self.clock;
        self.celsius += (INLET + KELVIN_A_WATT * heat * self.watts - self.celsius) / INERTIA;
        let bit = |holds: bool, bit: u64| if holds { bit } else { 0 };
        let (hot, capped) = (self.cooled < 0.999, powered < 0.999);
        self.reasons = bit(self.utilisation <= 0.0, REASON_IDLE)
            | bit(capped, REASON_POWER)
            | bit(hot, REASON_SOFTWARE_HEAT)
            | bit(self.celsius > HARDWARE_SLOWDOWN, REASON_HARDWARE_HEAT);
        self.by_heat += if hot { 1e6 } else { 0.0 };
        self.by_power += if capped { 1e6 } else { 0.0 };
    }

    /// One second of errors; returns the XIDs of those that are told, and whether they end what runs on it.
    fn err(&mut self, ill: Ill, driver_failures: f64, rng: &mut fastrand::Rng) -> (Vec<u32>, bool) {
        let mut codes = Vec::new();
        let mut ends = false;
        let in_use = self.utilisation > 0.0;
        // A corrected error now and then is in order.
        self.single_bit += u64::from(strikes(rng, 0.01));
        if ill.single_bit > 0.0 {
            self.single_bit += (ill.single_bit * 2.0 * rng.f64()).round() as u64;
            self.remapped += u64::from(strikes(rng, 20.0));
        }
        if in_use && strikes(rng, ill.double_bit) {
            self.double_bit += 1;
            self.single_bit += rng.u64(5..60);
            codes.push(48);
            if self.remapped_uncorrectable < SPARE_ROWS {
                self.remapped_uncorrectable += 1;
                codes.push(63);
            } else {
                self.remap_failed = true;
                codes.push(64);
            }
            codes.push(if rng.f64() < 0.7 { 94 } else { 95 });
            ends = true;
        }
        if in_use && strikes(rng, driver_failures) {
            codes.push(119);
            ends = true;
        }
        self.link_stretch = 1.0;
        if ill.links > 1.0 && in_use {
            self.link_stretch = ill.links;
            self.crc_flit += rng.u64(5..60);
            self.crc_data += rng.u64(0..10);
            self.replays += rng.u64(0..3);
            self.recoveries += u64::from(rng.f64() < 0.08);
            if rng.f64() < 1.0 / 60.0 {
                codes.push(74);
            }
        }
        if let Some(last) = codes.last() {
            self.xid = *last;
        }
        (codes, ends)
    }
}

impl Simulator {
    /// Loads, heats and breaks every GPU.
    pub(super) fn run_gpus(&mut self, fleet: &mut Fleet) {
        let most_watts = self.set_by(Role::Driver, Setting::PowerLimit, 700.0);
        let failures = self.set_by(Role::Driver, Setting::DriverFailures, 0.0);
        let mut ended: Vec<Holder> = Vec::new();
        let Fleet { gpus, training, .. } = fleet;
        for gpu in gpus.iter_mut() {
            let down = gpu.fallen || self.nodes.get(gpu.node).is_none_or(|n| n.down);
            (gpu.utilisation, gpu.activity, gpu.traffic) = match gpu.holder {
                _ if down => (0.0, 0.0, 0.0),
                None => (0.0, 0.0, 0.0),
                Some(Holder::Batch(_)) => (0.95, 0.7, 4e9),
                Some(Holder::Replica(s, r)) => {
                    let Some(service) = self.services.get(s) else { continue };
                    let Some(copy) = service.replicas.get(r) else { continue };
                    match training.as_ref().filter(|t| t.service == s) {
                        Some(t) if copy.is_ready() => {
                            t.load(r * service.spec.gpus + gpu.slot, copy.hung == Some(gpu.slot))
                        }
                        None if copy.is_ready() => {
                            let busy = (f64::from(copy.busy) / f64::from(service.slots())).min(1.0);
                            (busy, 0.8 * busy, 0.0)
                        }
                        _ => (0.0, 0.0, 0.0),
                    }
                }
            };
            let mut ill = Ill { heat: 1.0, double_bit: 0.0, single_bit: 0.0, links: 1.0 };
            for c in &self.conditions {
                match (c.on, &c.does) {
                    (Place::Node(n), Trouble::Heat(times)) if n == gpu.node => ill.heat *= times,
                    (Place::Gpu(n, slot), does) if n == gpu.node && slot == gpu.slot => match does {
                        Trouble::DoubleBit(rate) => ill.double_bit += rate,
                        Trouble::SingleBit(rate) => ill.single_bit += rate,
                        Trouble::Links(times) => ill.links *= times,
                        _ => {}
                    },
                    _ => {}
                }
            }
            let (codes, ends) = gpu.err(ill, failures, &mut self.rng);
            for code in codes {
                self.telemetry.xid(self.now, self.services.len() + gpu.node, gpu.slot, code);
            }
            if ends || !self.has_driver(gpu.node) {
                ended.extend(gpu.holder);
            }
            gpu.warm(ill.heat, most_watts);
        }
        for (s, service) in self.services.iter_mut().enumerate().filter(|(_, s)| s.spec.gpus > 0) {
            for (r, copy) in service.replicas.iter_mut().enumerate() {
                let held = gpus.iter().filter(|g| g.holder == Some(Holder::Replica(s, r)));
                copy.gpu_stretch = held.map(|g| 1.0 / g.clock).fold(1.0, f64::max);
            }
        }
        for holder in ended {
            match holder {
                Holder::Replica(s, r) => {
                    let ready =
                        self.services.get(s).and_then(|s| s.replicas.get(r)).is_some_and(|c| c.is_ready());
                    if ready {
                        self.kill(s, r, false);
                    }
                }
                Holder::Batch(id) => fleet.lose(id),
            }
        }
    }
}
