//! Who of those that suffer in a fleet is explained by whom.

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::{ChangeKind, EntityId, EntityKind, LogRecord, TelemetryWindow};
use jiff::Timestamp;

use super::signs::OF_SOFTWARE;
use super::{Fleet, Reading};
use crate::fusion::config::FusionConfig;
use crate::fusion::finding::{Family, Finding, FindingKind};
use crate::fusion::place::is_machine;
use crate::robust::count;
use crate::roles::Words;
use crate::rule::{POWER, UTILISATION};
use crate::xid::{Xid, logged};

impl<'a> Fleet<'a> {
    /// Sets [`Finding::own`] and adds what changes explain. O((findings + changes) · log entities).
    pub(in crate::fusion) fn explain(
        &self,
        findings: &mut Vec<Finding>,
        readings: &[Reading<'a>],
        windows: [&'a TelemetryWindow; 2],
        config: &FusionConfig,
    ) {
        if self.devices.is_empty() {
            return;
        }
        self.starvation(findings, readings, config);
        let began = self.began(readings, windows, config);
        let rolled_out = self.rolled_out(findings, &began, windows, config);
        findings.extend(rolled_out);
        self.collectives(findings, config);
    }

    /// Jobs that wait while devices are free that no job holds starve, and whose queue it is has a reason; in a full fleet they wait in
    /// order.
    fn starvation(&self, findings: &mut [Finding], readings: &[Reading<'a>], config: &FusionConfig) {
        let open: Vec<&Reading<'_>> =
            readings.iter().filter(|r| r.is_of(UTILISATION) && self.job(r.entity).is_none()).collect();
        if open.is_empty() {
            return;
        }
        let free = open.iter().filter(|r| r.is < config.device_free).count();
        let starves = count(free) >= config.free_devices * count(open.len());
        for finding in findings.iter_mut().filter(|f| is_queue_of_jobs(f)) {
            if starves {
                finding.kind = FindingKind::Starvation;
                finding.strength *= config.starvation;
                finding.statement =
                    format!("{}, while {free} of {} GPUs are free", finding.statement, open.len());
            } else {
                finding.own *= 1.0 - config.explained;
            }
        }
    }

    /// Who was changed right before the fault, where it suffers or those do that need it; and, of what software may do to devices, where
    /// it runs on every machine whose devices show it. What only devices themselves do, no change explains.
    fn rolled_out(
        &self,
        findings: &mut [Finding],
        began: &BTreeMap<&'a EntityId, Timestamp>,
        [reference, fault]: [&'a TelemetryWindow; 2],
        config: &FusionConfig,
    ) -> Vec<Finding> {
        let onset = fault.range.start();
        let mut changed: BTreeMap<&EntityId, (f64, Timestamp)> = BTreeMap::new();
        for change in reference.changes.iter().chain(&fault.changes).filter(|c| is_new(c.kind)) {
            let who = self.whole(&change.entity);
            // Devices tell to the sample when it began with them.
            let begins = began.iter().filter(|(machine, _)| self.runs_on(who, machine)).map(|(_, at)| *at);
            let begins = begins.min().map_or(onset, |at| at.max(onset));
            let near = near(change.time, begins, config);
            let most = changed.entry(who).or_insert((near, begins));
            if near > most.0 {
                *most = (near, begins);
            }
        }
        let suffers = |f: &Finding, whole: &EntityId| self.whole(&f.entity) == whole && is_trouble(f);
        let mut found = Vec::new();
        for (entity, (near, begins)) in changed.into_iter().filter(|(_, c)| c.0 > config.weak * config.weak) {
            let users: BTreeSet<&EntityId> =
                self.needs.iter().filter(|(_, n)| n.contains(entity)).map(|(user, _)| *user).collect();
            let of_devices = |f: &Finding| {
                let machine = self.machine(&f.entity).unwrap_or(&f.entity);
                f.kind == FindingKind::Device
                    && OF_SOFTWARE.contains(&f.about.as_str())
                    && self.runs_on(entity, machine)
            };
            let on_devices = self.jobs.contains_key(entity) || !users.is_empty();
            let queues = findings.iter().any(|f| f.kind == FindingKind::Starvation && f.entity == *entity);
            if !on_devices && !queues {
                continue;
            }
            let mut worst = 0.0_f64;
            for finding in findings.iter_mut() {
                let devices = !users.is_empty() && of_devices(finding);
                let theirs = users.iter().any(|user| suffers(finding, user));
                let its_own = suffers(finding, entity)
                    || finding.kind == FindingKind::Program && finding.entity == *entity;
                if !devices && !theirs && !its_own {
                    continue;
                }
                if finding.strength >= config.strength(config.least_z) {
                    worst = worst.max(finding.strength * finding.own);
                }
                // What it suffers itself stays its own.
                if !its_own {
                    finding.own *= 1.0 - config.explained * near;
                }
            }
            let strength = config.rolled_out * near * worst;
            if strength >= config.least_strength {
                let statement = format!("{entity} was changed right before");
                let finding = Finding::new(entity, FindingKind::RolledOut, strength, statement);
                found.push(Finding { since: (begins > onset).then_some(begins), ..finding });
            }
        }
        found
    }

    /// By machine: when its devices began to show what software may do to them.
    fn began(
        &self,
        readings: &[Reading<'a>],
        [_, fault]: [&'a TelemetryWindow; 2],
        config: &FusionConfig,
    ) -> BTreeMap<&'a EntityId, Timestamp> {
        let capped = readings.iter().filter(|r| r.is_of(POWER) && r.harm >= config.least_z);
        let capped = capped.filter_map(|r| Some((self.machine(r.entity)?, r.apart?)));
        let driver = |l: &&LogRecord| logged(&l.body).is_some_and(|(_, code)| Xid::of(code) == Xid::Driver);
        let failed = fault.logs.iter().filter(driver).map(|l| (&l.entity, l.time));
        let mut began: BTreeMap<&EntityId, Timestamp> = BTreeMap::new();
        for (machine, at) in capped.chain(failed) {
            let first = began.entry(machine).or_insert(at);
            *first = at.min(*first);
        }
        began
    }

    /// Whether it, or a part of it, runs on a machine with devices.
    fn runs_on(&self, who: &EntityId, machine: &EntityId) -> bool {
        self.residents.get(machine).is_some_and(|r| r.contains(who))
    }

    /// A step ends when the slowest rank arrives: one member that is ill explains what its job suffers, on every machine.
    fn collectives(&self, findings: &mut [Finding], config: &FusionConfig) {
        let mut sick: BTreeMap<&EntityId, f64> = BTreeMap::new();
        for finding in findings.iter() {
            let own = finding.strength * finding.own;
            let machine = match self.machine(&finding.entity) {
                Some(machine) => machine,
                None => match self.residents.get_key_value(&finding.entity) {
                    Some((machine, _)) => *machine,
                    None => continue,
                },
            };
            // The way of a machine to the others is a member of the collective, too.
            let ill = matches!(finding.kind, FindingKind::Device | FindingKind::Liveness);
            if ill {
                let worst = sick.entry(machine).or_default();
                *worst = worst.max(own);
            }
        }
        let explained: BTreeMap<&EntityId, f64> = self
            .jobs
            .iter()
            .map(|(job, machines)| {
                let worst = machines.iter().filter_map(|m| sick.get(m)).copied().fold(0.0, f64::max);
                (*job, worst.powi(2) / (worst.powi(2) + config.sick_machine.powi(2)))
            })
            .collect();
        for finding in findings.iter_mut() {
            let of_job = explained.get(self.whole(&finding.entity)).copied().unwrap_or(0.0);
            let its = !matches!(finding.kind, FindingKind::Program | FindingKind::RolledOut);
            if its && !is_machine(&finding.entity) && finding.entity.kind() != EntityKind::Gpu {
                finding.own *= 1.0 - config.explained * of_job;
            }
        }
    }
}

/// Slowness, failures, restarts, waiting: what somebody suffers and does not do.
fn is_trouble(f: &Finding) -> bool {
    let suffering = matches!(f.family(), Family::Time | Family::Outcome);
    suffering || matches!(f.kind, FindingKind::Liveness | FindingKind::Starvation | FindingKind::OutOfStep)
}

/// Waiting jobs as schedulers count them (`kueue_pending_workloads`, `scheduler_pending_pods`, `slurm_jobs_pending`).
fn is_queue_of_jobs(f: &Finding) -> bool {
    let words = Words::of(&f.about);
    let says = |w: &str| words.contain(&Words::of(w));
    f.kind == FindingKind::Saturation
        && says("pending")
        && ["workload", "pod", "job", "pod group"].into_iter().any(says)
}

/// Whether it brings something that was not there before.
fn is_new(kind: ChangeKind) -> bool {
    matches!(
        kind,
        ChangeKind::Deployment | ChangeKind::ConfigRollout | ChangeKind::FeatureFlag | ChangeKind::Patch
    )
}

/// How likely a change at `time` is the reason of what began at `onset`, 0..=1: the less, the longer before. Onsets are good to the guard time.
fn near(time: Timestamp, onset: Timestamp, config: &FusionConfig) -> f64 {
    let lead = onset.duration_since(time).as_secs_f64();
    if lead < -2.0 * config.guard.as_secs_f64() {
        return 0.0;
    }
    (-lead.max(0.0) / config.change_decay).exp()
}
