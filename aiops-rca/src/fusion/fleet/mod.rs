//! Devices, the machines they sit in, and jobs whose ranks work in step.
//!
//! In a fleet nobody calls anybody: who suffers shares a machine or a collective with the origin. Relations are those of the topology (a device
//! is part of its machine, copies of a job run on machines, jobs need what manages their devices) and of labels (`Hostname`,
//! `exported_pod`, `pci_bus_id` and the like).
//!
//! | module | what |
//! |---|---|
//! | [`signs`] | what devices and machines report of themselves, compared with their peers |
//! | [`explain`] | who of those that suffer is explained by whom |

mod explain;
mod signs;

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::{
    EdgeKind, EntityId, EntityKind, MetricKind, MetricSeries, SeriesKey, TelemetryWindow,
};
use jiff::Timestamp;

use super::config::FusionConfig;
use super::place::{Placement, is_machine};
use crate::robust::quantile;
use crate::roles::{MetricClass, MetricRole, Words};
use crate::rule::UTILISATION;
use crate::xid::Bus;

/// Labels that name the machine of a device: of dcgm-exporter, OpenTelemetry and Prometheus.
const MACHINES: [&str; 5] = ["Hostname", "k8s.node.name", "host.name", "node", "hostname"];
/// Labels that name who holds a device, whether it is known or not. `job` is not among them: it names what Prometheus scrapes.
const HOLDERS: [&str; 4] = ["exported_pod", "hpc_job", "k8s.job.name", "job.name"];
/// Labels that name who holds a device, or else the exporter that reads it.
const PODS: [&str; 2] = ["pod", "k8s.pod.name"];
const ADDRESS: &str = "pci_bus_id";

/// A series of a device, before and since.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) entity: &'a EntityId,
    key: &'a SeriesKey,
    role: MetricRole,
    mechanism: Option<String>,
    /// Shift in standard deviations, harm positive.
    harm: f64,
    /// Medians.
    was: f64,
    is: f64,
    last: f64,
    /// Least and most of the last few samples.
    lately: (f64, f64),
    /// From when on it was, without a break, above or below all it had been before.
    apart: Option<Timestamp>,
    /// Samples since.
    samples: usize,
    /// Whether it was exported as a share, and is read in percent.
    share: bool,
}

impl<'a> Reading<'a> {
    /// Of values in order of size, and since in order of time; `None` where nothing was before or since.
    pub(super) fn of(
        series: &'a MetricSeries,
        class: MetricClass,
        harm: f64,
        (was, is): (&[f64], &[f64]),
        now: &[(Timestamp, f64)],
        config: &FusionConfig,
    ) -> Option<Self> {
        let (least, most) = (was.first()?, was.last()?);
        let out = now.iter().rev().take_while(|(_, v)| v < least || v > most);
        let lately = || now.iter().rev().take(config.lately).map(|(_, v)| *v);
        let share = class.mechanism.as_deref() == Some(UTILISATION) && is_share(series);
        let percent = |v: f64| if share { 100.0 * v } else { v };
        Some(Self {
            entity: series.entity(),
            key: series.key(),
            role: class.role,
            mechanism: class.mechanism,
            harm,
            was: percent(quantile(was, 0.5)?),
            is: percent(quantile(is, 0.5)?),
            last: percent(now.last()?.1),
            lately: (
                percent(lately().fold(f64::INFINITY, f64::min)),
                percent(lately().fold(f64::NEG_INFINITY, f64::max)),
            ),
            share,
            apart: out.last().map(|(at, _)| *at),
            samples: is.len(),
        })
    }

    /// What it is at, were it lower than it should be: since the fault, or since later than that.
    fn now(&self) -> f64 {
        self.is.min(self.lately.1)
    }

    fn is_of(&self, mechanism: &str) -> bool {
        self.mechanism.as_deref() == Some(mechanism)
    }
}

/// Leaves one reading of how much each device is used, that in percent before that of a share, and the first by name: two exporters, or two
/// fields of one, say the same of it. What else is read of it says no more than that it tells something. O(readings · log readings).
pub(super) fn one_utilisation(readings: &mut [Reading<'_>]) {
    let mut best: BTreeMap<&EntityId, (bool, &SeriesKey)> = BTreeMap::new();
    for reading in readings.iter().filter(|r| r.is_of(UTILISATION)) {
        let this = (reading.share, reading.key);
        let known = best.entry(reading.entity).or_insert(this);
        *known = this.min(*known);
    }
    for reading in readings.iter_mut().filter(|r| r.is_of(UTILISATION)) {
        if best.get(reading.entity) != Some(&(reading.share, reading.key)) {
            reading.mechanism = None;
        }
    }
}

/// Whether it is a share, 0..=1: by unit and kind, or by the names of what has neither where it is scraped: DCGM's profiling fields
/// (`DCGM_FI_PROF_GR_ENGINE_ACTIVE`) and OpenTelemetry's `hw.gpu.utilization`.
fn is_share(series: &MetricSeries) -> bool {
    let words = Words::of(&series.key().name);
    let named = ["engine active", "hw gpu", "ratio"].iter().any(|phrase| words.contain(&Words::of(phrase)));
    series.unit().0 != "%" && (series.kind() == MetricKind::Ratio || named)
}

/// What is known of a device.
#[derive(Debug, Default, Clone, Copy)]
struct Known<'a> {
    machine: Option<&'a EntityId>,
    /// The job it works for.
    job: Option<&'a EntityId>,
    bus: Option<Bus>,
}

/// Devices, and who works on them.
#[derive(Debug, Default)]
pub(super) struct Fleet<'a> {
    devices: BTreeMap<&'a EntityId, Known<'a>>,
    /// By job: the machines of its devices.
    jobs: BTreeMap<&'a EntityId, BTreeSet<&'a EntityId>>,
    /// Who needs what, other than by calls.
    needs: BTreeMap<&'a EntityId, BTreeSet<&'a EntityId>>,
    /// By part: its whole.
    whole: BTreeMap<&'a EntityId, &'a EntityId>,
    /// By machine with devices: what runs there, and what that is part of.
    residents: BTreeMap<&'a EntityId, BTreeSet<&'a EntityId>>,
}

impl<'a> Fleet<'a> {
    /// Empty where no device is known. O((edges + series) · log entities).
    pub(super) fn of(windows: [&'a TelemetryWindow; 2], placement: &Placement<'a>) -> Self {
        let mut fleet = Self::default();
        for window in windows {
            let measured = window.metrics.iter().map(MetricSeries::entity);
            let known = window.topology.entities().map(|e| &e.id).chain(measured);
            for gpu in known.filter(|e| e.kind() == EntityKind::Gpu) {
                let device = fleet.devices.entry(gpu).or_default();
                device.machine = placement.whole(gpu).filter(|m| is_machine(m));
                device.bus = Bus::of(gpu.name());
            }
        }
        if fleet.devices.is_empty() {
            return fleet;
        }
        let entities = || windows.into_iter().flat_map(|w| w.topology.entities()).map(|e| &e.id);
        for part in entities() {
            if let Some(whole) = placement.whole(part) {
                fleet.whole.insert(part, whole);
            }
        }
        for edge in windows.into_iter().flat_map(|w| w.topology.edges()) {
            if edge.kind == EdgeKind::DependsOn && edge.from != edge.to {
                fleet.needs.entry(&edge.from).or_default().insert(&edge.to);
            }
        }
        let machines: BTreeMap<&str, &EntityId> =
            entities().filter(|e| is_machine(e)).map(|e| (e.name(), e)).collect();
        let is_job = |e: &EntityId| e.kind() == EntityKind::Job;
        let holders: BTreeMap<&str, &EntityId> = entities()
            .filter(|e| e.kind() != EntityKind::Gpu && !is_machine(e))
            .map(|e| (e.name(), e))
            .collect();
        let mut named: BTreeMap<&EntityId, Option<&EntityId>> = BTreeMap::new();
        for series in windows.into_iter().flat_map(|w| &w.metrics) {
            let Some(device) = fleet.devices.get_mut(series.entity()) else { continue };
            let label = |names: &[&str]| names.iter().find_map(|n| series.key().labels.get(n));
            device.machine = device.machine.or_else(|| machines.get(label(&MACHINES)?).copied());
            device.bus = device.bus.or_else(|| Bus::of(label(&[ADDRESS])?));
            let job_of = |name: &str| {
                let holder = holders.get(name).copied()?;
                Some(placement.whole(holder).unwrap_or(holder)).filter(|h| is_job(h))
            };
            if let Some(name) = label(&HOLDERS) {
                named.insert(series.entity(), job_of(name));
            } else if let Some(job) = label(&PODS).and_then(job_of) {
                named.insert(series.entity(), Some(job));
            }
        }
        let with_devices: BTreeSet<&EntityId> = fleet.devices.values().filter_map(|d| d.machine).collect();
        for machine in placement.machines().filter(|m| with_devices.contains(m)) {
            fleet.residents.insert(machine, placement.residents(machine).collect());
        }
        for (gpu, device) in &mut fleet.devices {
            // Who is named holds it; where nobody is, the job whose copies run on its machine.
            device.job = match named.get(*gpu) {
                Some(holder) => *holder,
                None => {
                    let here = device.machine.and_then(|m| fleet.residents.get(m));
                    here.into_iter().flatten().copied().find(|r| is_job(r))
                }
            };
            if let (Some(job), Some(machine)) = (device.job, device.machine) {
                fleet.jobs.entry(job).or_default().insert(machine);
            }
        }
        fleet
    }

    fn machine(&self, device: &EntityId) -> Option<&'a EntityId> {
        self.devices.get(device)?.machine
    }

    fn job(&self, device: &EntityId) -> Option<&'a EntityId> {
        self.devices.get(device)?.job
    }

    /// The device of a machine at an address.
    fn at(&self, machine: &EntityId, bus: Bus) -> Option<&'a EntityId> {
        let here = |d: &Known<'_>| d.machine == Some(machine) && d.bus == Some(bus);
        self.devices.iter().find(|(_, d)| here(d)).map(|(gpu, _)| *gpu)
    }

    /// Itself, or what it is part of.
    fn whole<'e>(&self, entity: &'e EntityId) -> &'e EntityId
    where
        'a: 'e,
    {
        self.whole.get(entity).copied().unwrap_or(entity)
    }
}
