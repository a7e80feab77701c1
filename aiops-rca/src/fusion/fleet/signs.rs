//! What devices and their machines report of themselves.

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::{EntityId, LogSeverity, Signal, TelemetryWindow};

use super::super::config::FusionConfig;
use super::super::finding::{Finding, FindingKind};
use super::super::place::is_machine;
use super::{Fleet, Reading};
use crate::robust::{count, quantile, sorted};
use crate::roles::{MetricRole, Words};
use crate::rule::{ACTIVITY, CLOCK, ECC, FABRIC, NVLINK, POWER, THERMAL, UTILISATION, XID};
use crate::xid::{Xid, logged};

/// Device or machine, and code.
type Errors<'a> = BTreeMap<(&'a EntityId, u32), usize>;

/// What may as well come from the software that all devices of a fleet have in common.
pub(super) const OF_SOFTWARE: [&str; 2] = [DRIVER, POWER];
/// [`Finding::about`] of errors of driver or firmware.
const DRIVER: &str = "gpu driver";

impl<'a> Fleet<'a> {
    /// What is wrong with devices, their machines and the jobs on them. Nothing without devices.
    /// O(readings · log readings + lines · log devices).
    pub(in crate::fusion) fn findings(
        &self,
        readings: &[Reading<'a>],
        windows: [&'a TelemetryWindow; 2],
        config: &FusionConfig,
    ) -> Vec<Finding> {
        if self.devices.is_empty() {
            return Vec::new();
        }
        let mut found = self.errors(readings, windows, config);
        found.extend(self.counters(readings, config));
        found.extend(self.lost(readings, windows, config));
        found.extend(self.first_lines(windows, config));
        let ill: BTreeSet<EntityId> =
            found.iter().filter(|f| f.kind == FindingKind::Device).map(|f| f.entity.clone()).collect();
        found.extend(self.out_of_step(readings, &ill, config));
        found
    }

    /// XIDs, of lines and of the gauge that holds the last: one that was not there before is sure. What a program did is its job's.
    fn errors(
        &self,
        readings: &[Reading<'a>],
        [reference, fault]: [&'a TelemetryWindow; 2],
        config: &FusionConfig,
    ) -> Vec<Finding> {
        let (before, logged) = (self.logged(reference), self.logged(fault));
        let mut since: BTreeMap<_, _> =
            logged.into_iter().map(|(which, seen)| (which, (seen, Signal::Logs))).collect();
        for reading in readings.iter().filter(|r| r.is_of(XID)) {
            // The gauge stays at what it held.
            if let Some(code) = code(reading.last).filter(|c| Some(*c) != code(reading.was)) {
                since.entry((reading.entity, code)).or_insert((1, Signal::Metrics));
            }
        }
        // What follows from another error, or was put right, says nothing beside it.
        let failed: BTreeSet<&EntityId> =
            since.keys().filter(|(_, code)| Xid::of(*code).is_failure()).map(|(entity, _)| *entity).collect();
        let ratio = seconds(fault) / seconds(reference).max(1.0);
        let mut found = Vec::new();
        for ((entity, code), (seen, signal)) in since {
            let expected = before.get(&(entity, code)).map_or(0.0, |n| count(*n) * ratio);
            let new = (1.0 - expected / count(seen)).max(0.0);
            let class = Xid::of(code);
            if !class.is_failure() && failed.contains(entity) {
                continue;
            }
            let (kind, to, weight) = match class {
                Xid::Application | Xid::Cleanup => {
                    let Some(job) = self.job(entity) else { continue };
                    let weight = if class.is_failure() { 1.0 } else { config.corrected };
                    (FindingKind::Program, job, weight * config.program)
                }
                Xid::Corrected | Xid::Note => (FindingKind::Device, entity, config.corrected * config.device),
                // Not known to be grave.
                Xid::Other => (FindingKind::Device, entity, 0.5 * config.device),
                _ => (FindingKind::Device, entity, config.device),
            };
            let strength = config.strength(config.most_z) * weight * new;
            if strength < config.least_strength {
                continue;
            }
            let statement = format!("{entity}: {seen} times XID {code} ({})", class.word());
            let about = match class {
                Xid::Application | Xid::Cleanup => "gpu program",
                Xid::Driver => DRIVER,
                Xid::Memory | Xid::Corrected => ECC,
                Xid::Link => NVLINK,
                Xid::Lost | Xid::Note | Xid::Other => XID,
            };
            let finding = Finding::new(to, kind, strength, statement);
            found.push(Finding { about: about.to_owned(), signal, ..finding });
        }
        found
    }

    fn logged(&self, window: &'a TelemetryWindow) -> Errors<'a> {
        let mut errors = Errors::new();
        for line in window.logs.iter().filter(|l| is_machine(&l.entity)) {
            if let Some((bus, code)) = logged(&line.body) {
                let device = self.at(&line.entity, bus).unwrap_or(&line.entity);
                *errors.entry((device, code)).or_default() += 1;
            }
        }
        errors
    }

    /// Counters of errors, registration, and what slows a device down that is at work: heat and power harm nobody while the clock holds.
    fn counters(&self, readings: &[Reading<'a>], config: &FusionConfig) -> Vec<Finding> {
        let of = |mechanism: &str| -> BTreeMap<&EntityId, &Reading<'a>> {
            readings.iter().filter(|r| r.is_of(mechanism)).map(|r| (r.entity, r)).collect()
        };
        let (clocks, busy) = (of(CLOCK), of(UTILISATION));
        let at_work =
            |e: &EntityId| busy.get(e).is_none_or(|u| u.is.min(u.was).min(u.lately.0) >= config.device_busy);
        let slowed = |e: &EntityId| {
            at_work(e) && clocks.get(e).is_some_and(|c| c.now() <= (1.0 - config.clock_lost) * c.was)
        };
        let mut found = Vec::new();
        for reading in readings.iter().filter(|r| r.harm >= config.least_z) {
            let violation = reading.role == MetricRole::Saturation;
            let weight = match reading.mechanism.as_deref() {
                Some(ECC | NVLINK) if is_corrected(&reading.key.name) => config.corrected,
                Some(ECC | NVLINK | FABRIC | "hardware") => 1.0,
                // Of heat the device says itself that it slows down.
                Some(THERMAL) if violation || slowed(reading.entity) => 1.0,
                // At its limit a device that works hard always is.
                Some(POWER) if slowed(reading.entity) => 1.0,
                _ => continue,
            };
            let strength = config.strength(reading.harm) * weight * config.device;
            if strength < config.least_strength {
                continue;
            }
            let statement = format!(
                "{}: {} went from {:.4} to {:.4}",
                reading.entity, reading.key.name, reading.was, reading.is
            );
            let finding = Finding::new(reading.entity, FindingKind::Device, strength, statement);
            found.push(Finding { about: reading.mechanism.clone().unwrap_or_default(), ..finding });
        }
        found.extend(self.slow_clocks(&clocks, &at_work, config));
        found
    }

    /// A clock that fell, of a device at work, below those of the job's other devices at the same time.
    fn slow_clocks(
        &self,
        clocks: &BTreeMap<&EntityId, &Reading<'a>>,
        at_work: &dyn Fn(&EntityId) -> bool,
        config: &FusionConfig,
    ) -> Vec<Finding> {
        let mut found = Vec::new();
        for job in self.jobs.keys() {
            let members: Vec<&&Reading<'_>> =
                clocks.values().filter(|c| self.job(c.entity) == Some(*job) && at_work(c.entity)).collect();
            let Some((middle, scale)) = peers(members.iter().map(|c| c.now()), config) else { continue };
            for clock in members {
                let now = clock.now();
                let z = (middle - now) / scale;
                if z < config.least_z || now > (1.0 - config.clock_lost) * clock.was {
                    continue;
                }
                let statement =
                    format!("{}: clock at {now:.0} where those of {job} are at {middle:.0}", clock.entity);
                let strength = config.strength(z) * config.device;
                let finding = Finding::new(clock.entity, FindingKind::Device, strength, statement);
                found.push(Finding { about: CLOCK.to_owned(), ..finding });
            }
        }
        found
    }

    /// Errors of a machine with devices that wrote none before: a kernel does not complain by chance.
    fn first_lines(&self, [reference, fault]: [&TelemetryWindow; 2], config: &FusionConfig) -> Vec<Finding> {
        let machines: BTreeSet<&EntityId> = self.devices.values().filter_map(|d| d.machine).collect();
        let severe = |l: &&aiops_core::model::LogRecord| {
            machines.contains(&l.entity)
                && l.severity >= Some(LogSeverity::Error)
                && logged(&l.body).is_none()
        };
        let wrote: BTreeSet<&EntityId> = reference.logs.iter().filter(severe).map(|l| &l.entity).collect();
        let mut first: BTreeMap<&EntityId, &str> = BTreeMap::new();
        for line in fault.logs.iter().filter(severe).filter(|l| !wrote.contains(&l.entity)) {
            first.entry(&line.entity).or_insert(&line.body);
        }
        let found = first.into_iter().map(|(machine, body)| {
            let begin: String = body.chars().take(160).collect();
            // As sure as nine standard errors.
            let strength = config.strength(3.0 * config.least_z) * config.device;
            let finding = Finding::new(machine, FindingKind::Device, strength, begin);
            Finding { about: "line".to_owned(), signal: Signal::Logs, ..finding }
        });
        found.collect()
    }

    /// Devices that tell nothing any more while the others of their machine do.
    fn lost(
        &self,
        readings: &[Reading<'a>],
        [reference, _]: [&'a TelemetryWindow; 2],
        config: &FusionConfig,
    ) -> Vec<Finding> {
        let before = reference.metrics.iter().map(|s| (s.entity(), 0));
        let mut told: BTreeMap<&EntityId, usize> =
            before.filter(|(e, _)| self.devices.contains_key(e)).collect();
        for reading in readings {
            let most = told.entry(reading.entity).or_default();
            *most = reading.samples.max(*most);
        }
        let mut found = Vec::new();
        for (gpu, device) in &self.devices {
            let Some(samples) = told.get(*gpu) else { continue };
            let others = told.iter().filter(|(e, _)| **e != *gpu && self.machine(e) == device.machine);
            let others = sorted(others.map(|(_, n)| count(*n)));
            let Some(usual) = quantile(&others, 0.5).filter(|_| device.machine.is_some()) else { continue };
            if usual < count(config.least_samples) || 2.0 * count(*samples) > usual {
                continue;
            }
            let statement = format!("{gpu} tells nothing any more, others of its machine do");
            let strength = config.strength(config.most_z) * config.device;
            let finding = Finding::new(gpu, FindingKind::Device, strength, statement);
            found.push(Finding { about: XID.to_owned(), ..finding });
        }
        found
    }

    /// Ranks that do other than their peers: one that idles while the others are at work (in a collective they wait for it, and waiting
    /// counts as work), or that computes as ever while the others do less. What a device that is ill (`ill`) does is its illness; of one
    /// that is well the program hangs, which is the job's.
    fn out_of_step(
        &self,
        readings: &[Reading<'a>],
        ill: &BTreeSet<EntityId>,
        config: &FusionConfig,
    ) -> Vec<Finding> {
        let mut found = Vec::new();
        for job in self.jobs.keys() {
            let of = |mechanism: &str| -> Vec<&Reading<'a>> {
                readings.iter().filter(|r| r.is_of(mechanism) && self.job(r.entity) == Some(*job)).collect()
            };
            let busy = of(UTILISATION);
            // A hang lasts: what ranks do now tells it, whenever it began.
            let middle = quantile(&sorted(busy.iter().map(|r| r.lately.0)), 0.5).unwrap_or(0.0);
            let idle: Vec<&&Reading<'_>> = busy
                .iter()
                .filter(|r| r.lately.1 < config.device_free && r.was >= config.device_busy)
                .collect();
            let odd = |n: usize, of: usize| n > 0 && count(n) <= config.odd_ranks * count(of);
            if middle >= config.device_busy && odd(idle.len(), busy.len()) {
                let Some((_, scale)) = peers(busy.iter().map(|r| r.lately.0), config) else { continue };
                for rank in idle {
                    let statement = format!("{} of {job} idles while the others wait at work", rank.entity);
                    let strength = config.strength((middle - rank.lately.1) / scale) * config.out_of_step;
                    let well = !ill.contains(rank.entity);
                    // Nothing tells whether the device or its process stopped; processes stop more often.
                    if well {
                        found.push(step(job, strength, statement.clone()));
                    }
                    found.push(step(rank.entity, if well { 0.5 } else { 1.0 } * strength, statement));
                }
                continue;
            }
            // By device: how much of what it computed it still computes.
            let left: Vec<(&Reading<'_>, f64)> =
                of(ACTIVITY).into_iter().filter(|r| r.was > 0.0).map(|r| (r, r.is / r.was)).collect();
            let all = sorted(left.iter().map(|(_, share)| *share));
            let Some(waiting) = quantile(&all, 0.25).filter(|w| *w <= 0.8) else { continue };
            let computing: Vec<_> = left.iter().filter(|(_, share)| *share >= waiting + 0.2).collect();
            if waiting <= 0.0 || 2 * computing.len() > left.len() {
                continue;
            }
            for (rank, share) in computing {
                let statement = format!(
                    "{} of {job} computes {share:.2} of what it did, those that wait {waiting:.2}",
                    rank.entity
                );
                let z = (share - waiting) / 0.05;
                found.push(step(rank.entity, 0.5 * config.strength(z) * config.out_of_step, statement));
            }
        }
        found
    }
}

fn step(entity: &EntityId, strength: f64, statement: String) -> Finding {
    let finding = Finding::new(entity, FindingKind::OutOfStep, strength, statement);
    Finding { about: "rank".to_owned(), ..finding }
}

/// Median of peers, and the scale of their median deviation from it, at least a share of it; `None` of fewer than three.
fn peers(values: impl Iterator<Item = f64>, config: &FusionConfig) -> Option<(f64, f64)> {
    let values = sorted(values);
    let middle = quantile(&values, 0.5).filter(|_| values.len() >= 3)?;
    let off = sorted(values.iter().map(|v| (v - middle).abs()));
    let scale = 1.4826 * quantile(&off, 0.5)?;
    Some((middle, scale.max(config.relative_floor * middle.abs()).max(f64::MIN_POSITIVE)))
}

/// Whether a counter is of what memory corrects or a link sends again by itself. That a link had to recover is another matter.
fn is_corrected(name: &str) -> bool {
    let words = Words::of(name);
    let says = |phrases: &[&str]| phrases.iter().any(|p| words.contain(&Words::of(p)));
    says(&["sbe", "correctable", "corrected", "single bit", "crc", "replay"])
        && !says(&["uncorrectable", "uncorrected"])
}

/// A code as a gauge holds it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number in 1..=999")]
fn code(value: f64) -> Option<u32> {
    (value.fract() == 0.0 && (1.0..=999.0).contains(&value)).then_some(value as u32)
}

fn seconds(window: &TelemetryWindow) -> f64 {
    window.range.end().duration_since(window.range.start()).as_secs_f64()
}
