//! GPUs, their links and drivers, what schedules them, and programs that are at fault themselves. // DET-12

use aiops_core::action::ActionKind as Act;
use aiops_core::model::{ChangeKind, EntityId, FaultType as Kind};

use super::{CODE_ONLY, CONFIG_ONLY, Recipe, rolled_out};
use crate::arena::faults::{Family, Injection, Site};
use crate::arena::sim::spec::{By, Role, Setting as S};
use crate::arena::sim::state::{Place, Trouble};

const HARDWARE_ONLY: &[Kind] = &[Kind::Hardware];

/// Trouble of one GPU of the training job; work that is moved to another machine is rid of it.
fn of_gpu(site: &mut Site<'_>, does: Trouble, types: &[Kind]) -> Option<Injection> {
    let job = site.of(Role::Training)?;
    let (node, slot) = site.gpu_of(job)?;
    let machine = site.node_entity(node)?;
    let roots = [site.gpu_entity(node, slot)?, machine.clone()];
    let begins = site.begin(Place::Gpu(node, slot), does, &[]);
    let injection = Injection::new(roots, types.iter().copied()).at(0.0, begins);
    Some(moved_away(injection, &machine))
}

/// A machine that takes no new work is left by what fails on it, too.
fn moved_away(injection: Injection, machine: &EntityId) -> Injection {
    injection.healed_by(Act::Drain, machine.clone()).healed_by(Act::Cordon, machine.clone())
}

/// Cooling of the machine on which `service` runs fails.
fn hot(site: &mut Site<'_>, service: usize) -> Option<Injection> {
    let node = site.node_of(service)?;
    let machine = site.node_entity(node)?;
    let times = site.between(2.2, 3.0);
    let begins = site.begin(Place::Node(node), Trouble::Heat(times), &[]);
    let injection = Injection::new([machine.clone()], HARDWARE_ONLY.iter().copied());
    Some(injection.at(0.0, begins).healed_by(Act::Drain, machine))
}

pub(super) const GPU: &[Recipe] = &[
    Recipe {
        id: "gpu-hang-of-one-rank",
        family: Family::Gpu,
        inject: |site| {
            let job = site.of(Role::Training)?;
            let (node, slot) = site.gpu_of(job)?;
            let replica = site.copy_on(job, node)?;
            let root = site.entity(job)?;
            let roots = [root.clone(), site.gpu_entity(node, slot)?, site.node_entity(node)?];
            let hangs = site.begin(Place::Replica(job, replica), Trouble::Hang(slot), &[]);
            // A drained machine ends the process as well; it is not what a good operator does first.
            Some(Injection::new(roots, [Kind::Code]).at(0.0, hangs).healed_by(Act::RollingRestart, root))
        },
    },
    Recipe {
        id: "gpu-rail-cut",
        family: Family::Gpu,
        inject: |site| {
            let job = site.of(Role::Training)?;
            let node = site.node_of(job)?;
            let machine = site.node_entity(node)?;
            let cut = site.begin(Place::Node(node), Trouble::Rail, &[]);
            let types = [Kind::Network, Kind::Hardware];
            Some(Injection::new([machine.clone()], types).at(0.0, cut).healed_by(Act::Drain, machine))
        },
    },
    Recipe {
        id: "gpu-memory-storm",
        family: Family::Gpu,
        inject: |site| {
            let an_hour = site.between(40.0, 80.0);
            of_gpu(site, Trouble::DoubleBit(an_hour), HARDWARE_ONLY)
        },
    },
    Recipe {
        id: "gpu-lost-from-machine",
        family: Family::Gpu,
        inject: |site| of_gpu(site, Trouble::Fallen, HARDWARE_ONLY),
    },
    Recipe {
        id: "gpu-links-corrupt",
        family: Family::Gpu,
        inject: |site| {
            let times = site.between(12.0, 25.0);
            let job = of_gpu(site, Trouble::Links(times), &[Kind::Hardware, Kind::Network])?;
            // Nothing ends by itself here, so a machine that takes no new work keeps what it has.
            let right = job.right.into_iter().filter(|r| r.kind == Act::Drain).collect();
            Some(Injection { right, ..job })
        },
    },
    Recipe {
        id: "gpu-cooling-of-training",
        family: Family::Gpu,
        inject: |site| {
            let job = site.of(Role::Training)?;
            hot(site, job)
        },
    },
    Recipe {
        id: "gpu-cooling-unobserved",
        family: Family::Gpu,
        inject: |site| {
            let job = site.of(Role::Training)?;
            let exporter = site.of(Role::Exporter)?;
            let dark = site.begin(Place::Service(exporter), Trouble::Dark, &[]);
            let mut injection = hot(site, job)?.at(f64::NEG_INFINITY, dark);
            // Nobody can tell which machine: a person has to look.
            injection.right.clear();
            injection.duty = crate::arena::faults::Duty::AskAPerson;
            Some(injection)
        },
    },
    Recipe {
        id: "gpu-fabric-manager-dead",
        family: Family::Gpu,
        inject: |site| {
            let (job, fabric) = (site.of(Role::Training)?, site.of(Role::Fabric)?);
            let node = site.node_of(job)?;
            let replica = site.copy_on(fabric, node)?;
            let (root, machine) = (site.entity(fabric)?, site.node_entity(node)?);
            let ill =
                site.begin(Place::Replica(fabric, replica), Trouble::Unregistered, &[Act::RollingRestart]);
            let injection =
                Injection::new([root.clone(), machine.clone()], [Kind::Dependency, Kind::Hardware]);
            let injection = injection.at(0.0, ill).healed_by(Act::RollingRestart, root);
            Some(moved_away(injection, &machine))
        },
    },
    Recipe {
        id: "gpu-quota-too-small",
        family: Family::Gpu,
        inject: |site| {
            let scheduler = site.of(Role::Scheduler)?;
            let share = site.between(0.0, 0.04);
            rolled_out(site, scheduler, ChangeKind::ConfigRollout, &[(S::Quota, By::To(share))], CONFIG_ONLY)
        },
    },
    Recipe {
        id: "gpu-scheduler-stuck",
        family: Family::Gpu,
        inject: |site| {
            let scheduler = site.of(Role::Scheduler)?;
            let root = site.entity(scheduler)?;
            let stuck = site.begin(Place::Service(scheduler), Trouble::Stalled, &[Act::RollingRestart]);
            Some(
                Injection::new([root.clone()], [Kind::Code, Kind::ResourceExhaustion])
                    .at(0.0, stuck)
                    .healed_by(Act::RollingRestart, root),
            )
        },
    },
    Recipe {
        id: "gpu-driver-fails",
        family: Family::Gpu,
        inject: |site| {
            let driver = site.of(Role::Driver)?;
            let an_hour = site.between(2.0, 4.0);
            rolled_out(site, driver, ChangeKind::Patch, &[(S::DriverFailures, By::To(an_hour))], CODE_ONLY)
        },
    },
    Recipe {
        id: "gpu-driver-caps-power",
        family: Family::Gpu,
        inject: |site| {
            let driver = site.of(Role::Driver)?;
            let watts = site.between(270.0, 330.0);
            let types = &[Kind::Config, Kind::Code];
            rolled_out(site, driver, ChangeKind::ConfigRollout, &[(S::PowerLimit, By::To(watts))], types)
        },
    },
    Recipe {
        id: "gpu-image-slower",
        family: Family::Gpu,
        inject: |site| {
            let job = site.of(Role::Training)?;
            let times = site.between(2.0, 3.0);
            rolled_out(site, job, ChangeKind::Deployment, &[(S::Work, By::Times(times))], CODE_ONLY)
        },
    },
    Recipe {
        // XIDs 13, 31 and 43 on one GPU after the other look like hardware, and are the program's own.
        id: "gpu-program-at-fault",
        family: Family::Gpu,
        inject: |site| {
            let job = site.of(Role::Training)?;
            let share = site.between(0.02, 0.05);
            rolled_out(site, job, ChangeKind::Deployment, &[(S::Failures, By::To(share))], CODE_ONLY)
        },
    },
    Recipe {
        id: "gpu-serving-image-slower",
        family: Family::Gpu,
        inject: |site| {
            let serving = site.on_gpus()?;
            let times = site.between(4.0, 7.0);
            rolled_out(site, serving, ChangeKind::Deployment, &[(S::Wait, By::Times(times))], CODE_ONLY)
        },
    },
    Recipe {
        // Memory that corrects itself harms nobody: leave it alone.
        id: "gpu-memory-corrects-itself",
        family: Family::Gpu,
        inject: |site| {
            let rate = site.between(1.0, 3.0);
            let mut injection = of_gpu(site, Trouble::SingleBit(rate), HARDWARE_ONLY)?;
            injection.right.clear();
            Some(injection.passing())
        },
    },
];
