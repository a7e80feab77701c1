//! The catalogue: recipes by class. Sizes are drawn, so that two episodes of one recipe differ.

use aiops_core::action::ActionKind as Act;
use aiops_core::model::{ChangeKind, EntityId, FaultType as Kind};

use super::{Family, Fault, Injection, Site};
use crate::arena::sim::control::Control;
use crate::arena::sim::spec::{By, Role, Setting as S};
use crate::arena::sim::state::{Failure, Place, Trouble};

/// A fault that is a name, a class and a function.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    id: &'static str,
    family: Family,
    inject: fn(&mut Site<'_>) -> Option<Injection>,
}

impl Fault for Recipe {
    fn id(&self) -> &str {
        self.id
    }

    fn family(&self) -> Family {
        self.family
    }

    fn inject(&self, site: &mut Site<'_>) -> Option<Injection> {
        (self.inject)(site)
    }
}

/// Every fault of the arena, in a fixed order.
#[must_use]
pub fn catalogue() -> Vec<Recipe> {
    [CONFIG, RESOURCE, CODE, NETWORK, HARDWARE, DEPENDENCY, LOAD, SECURITY, COMPOSITE].concat()
}

/// A roll-out of `kind` on `service` that alters one setting; undone by going back.
fn rolled_out(
    site: &Site<'_>,
    service: usize,
    kind: ChangeKind,
    alters: &[(S, By)],
    types: &[Kind],
) -> Option<Injection> {
    let root = site.entity(service)?;
    let alters = alters.iter().map(|(s, by)| site.alter(*s, *by)).collect();
    let injection = Injection::new([root.clone()], types.iter().copied());
    Some(injection.at(0.0, site.roll_out(service, kind, alters)).healed_by(Act::Rollback, root))
}

/// Something that goes wrong in `service` while it runs, and that a fresh process does not have.
fn until_restart(site: &Site<'_>, service: usize, setting: S, by: By, types: &[Kind]) -> Option<Injection> {
    let root = site.entity(service)?;
    let ill = site.ail(service, setting, by, &[Act::RollingRestart]);
    Some(
        Injection::new([root.clone()], types.iter().copied())
            .at(0.0, ill)
            .healed_by(Act::RollingRestart, root),
    )
}

/// Trouble of a machine that moving work away from it heals.
fn of_machine(site: &Site<'_>, node: usize, does: Trouble, types: &[Kind]) -> Option<Injection> {
    let root = site.node_entity(node)?;
    let injection = Injection::new([root.clone()], types.iter().copied());
    Some(injection.at(0.0, site.begin(Place::Node(node), does, &[])).healed_by(Act::Drain, root))
}

const CONFIG_ONLY: &[Kind] = &[Kind::Config];
const CODE_ONLY: &[Kind] = &[Kind::Code];

const CONFIG: &[Recipe] = &[
    Recipe {
        id: "config-timeout-too-short",
        family: Family::Config,
        inject: |site| {
            let (service, _) = site.caller_of(Role::Worker)?;
            let timeout = site.between(0.006, 0.012);
            rolled_out(
                site,
                service,
                ChangeKind::ConfigRollout,
                &[(S::Timeout, By::To(timeout)), (S::Retries, By::To(0.0))],
                CONFIG_ONLY,
            )
        },
    },
    Recipe {
        id: "config-pool-without-connections",
        family: Family::Config,
        inject: |site| {
            let (service, _) = site.caller_of(Role::Database)?;
            // A typing error: no connection at all.
            rolled_out(
                site,
                service,
                ChangeKind::ConfigRollout,
                &[(S::Pool, By::To(0.0)), (S::Timeout, By::Times(0.25))],
                CONFIG_ONLY,
            )
        },
    },
    Recipe {
        id: "config-synchronous-writes",
        family: Family::Config,
        inject: |site| {
            let service = site.worker()?;
            rolled_out(
                site,
                service,
                ChangeKind::ConfigRollout,
                &[(S::Concurrency, By::To(1.0)), (S::Queue, By::To(12.0)), (S::Wait, By::Plus(0.12))],
                CONFIG_ONLY,
            )
        },
    },
    Recipe {
        id: "config-memory-limit-too-low",
        family: Family::Config,
        inject: |site| {
            let service = site.worker()?;
            rolled_out(
                site,
                service,
                ChangeKind::ConfigRollout,
                &[(S::MemoryLimit, By::To(150e6))],
                CONFIG_ONLY,
            )
        },
    },
    Recipe {
        id: "config-wrong-credentials",
        family: Family::Config,
        inject: |site| {
            let (service, database) = site.caller_of(Role::Database)?;
            let root = site.entity(service)?;
            Some(
                Injection::new([root.clone()], [Kind::Config])
                    .at(0.0, site.roll_out(service, ChangeKind::ConfigRollout, Vec::new()))
                    .at(4.0, site.refuse(Some(service), database, Failure::Unauthorized, &[Act::Rollback]))
                    .healed_by(Act::Rollback, root),
            )
        },
    },
    Recipe {
        id: "config-flag-multiplies-calls",
        family: Family::Config,
        inject: |site| {
            let (service, _) = site.caller_of(Role::Worker)?;
            let times = site.between(8.0, 14.0);
            rolled_out(
                site,
                service,
                ChangeKind::FeatureFlag,
                &[(S::Repeat, By::To(times))],
                &[Kind::Config, Kind::Code],
            )
        },
    },
    Recipe {
        id: "config-cpu-limit-too-low",
        family: Family::Config,
        inject: |site| {
            let service = site.worker()?;
            rolled_out(
                site,
                service,
                ChangeKind::ConfigRollout,
                &[(S::CpuLimit, By::Times(0.06))],
                CONFIG_ONLY,
            )
        },
    },
    Recipe {
        id: "config-crash-on-start",
        family: Family::Config,
        inject: |site| {
            let service = site.worker()?;
            rolled_out(site, service, ChangeKind::ConfigRollout, &[(S::Crash, By::To(1.0))], CONFIG_ONLY)
        },
    },
];

const RESOURCE_ONLY: &[Kind] = &[Kind::ResourceExhaustion];

const RESOURCE: &[Recipe] = &[
    Recipe {
        id: "resource-memory-leak",
        family: Family::Resource,
        inject: |site| {
            let service = site.worker()?;
            let leak = site.between(120e3, 260e3);
            until_restart(site, service, S::Leak, By::To(leak), RESOURCE_ONLY)
        },
    },
    Recipe {
        id: "resource-slow-memory-leak",
        family: Family::Resource,
        inject: |site| {
            let service = site.worker()?;
            let leak = site.between(40e3, 70e3);
            until_restart(site, service, S::Leak, By::To(leak), RESOURCE_ONLY)
        },
    },
    Recipe {
        id: "resource-descriptor-leak",
        family: Family::Resource,
        inject: |site| {
            let service = site.worker()?;
            until_restart(site, service, S::DescriptorLeak, By::To(1.5), RESOURCE_ONLY)
        },
    },
    Recipe {
        id: "resource-stuck-workers",
        family: Family::Resource,
        inject: |site| {
            let service = site.worker()?;
            let root = site.entity(service)?;
            let rate = site.between(0.05, 0.12);
            Some(
                Injection::new([root.clone()], [Kind::ResourceExhaustion, Kind::Code])
                    .at(
                        0.0,
                        site.begin(Place::Service(service), Trouble::Stuck(rate), &[Act::RollingRestart]),
                    )
                    .healed_by(Act::RollingRestart, root),
            )
        },
    },
    Recipe {
        id: "resource-cpu-runaway",
        family: Family::Resource,
        inject: |site| {
            let service = site.worker()?;
            let spin = site.between(14.0, 22.0);
            until_restart(site, service, S::Spin, By::To(spin), RESOURCE_ONLY)
        },
    },
    Recipe {
        id: "resource-disk-full",
        family: Family::Resource,
        inject: |site| {
            let database = site.of(Role::Database)?;
            let node = site.node_of(database)?;
            let (root, also) = (site.node_entity(node)?, site.entity(database)?);
            let rate = site.between(150e6, 300e6);
            Some(
                Injection::new([root.clone(), also.clone()], [Kind::ResourceExhaustion])
                    .at(0.0, site.begin(Place::Node(node), Trouble::Fill(rate), &[Act::LogRotation]))
                    .healed_by(Act::LogRotation, root)
                    .healed_by(Act::LogRotation, also),
            )
        },
    },
    Recipe {
        id: "resource-database-connections",
        family: Family::Resource,
        inject: |site| {
            let database = site.of(Role::Database)?;
            let root = site.entity(database)?;
            let held = site.begin(
                Place::Service(database),
                Trouble::Alter(vec![
                    site.alter(S::Concurrency, By::To(1.0)),
                    site.alter(S::Wait, By::Plus(0.12)),
                ]),
                &[Act::RollingRestart, Act::Concurrency],
            );
            Some(
                Injection::new([root.clone()], [Kind::ResourceExhaustion])
                    .at(0.0, held)
                    .healed_by(Act::RollingRestart, root.clone())
                    .healed_by(Act::Concurrency, root),
            )
        },
    },
    Recipe {
        id: "resource-lock-contention",
        family: Family::Resource,
        inject: |site| {
            let database = site.of(Role::Database)?;
            let root = site.entity(database)?;
            let wait = site.between(0.05, 0.09);
            let locked = site.begin(
                Place::Service(database),
                Trouble::Alter(vec![site.alter(S::Locked, By::To(1.0)), site.alter(S::Wait, By::Plus(wait))]),
                &[Act::RollingRestart],
            );
            Some(
                Injection::new([root.clone()], [Kind::ResourceExhaustion])
                    .at(0.0, locked)
                    .healed_by(Act::RollingRestart, root),
            )
        },
    },
    Recipe {
        id: "resource-machine-memory",
        family: Family::Resource,
        inject: |site| {
            let service = site.worker()?;
            let node = site.node_of(service)?;
            of_machine(site, node, Trouble::Hog(15e9), RESOURCE_ONLY)
        },
    },
];

const CODE: &[Recipe] = &[
    Recipe {
        id: "code-slow-release",
        family: Family::Code,
        inject: |site| {
            let service = site.worker()?;
            let times = site.between(8.0, 16.0);
            rolled_out(site, service, ChangeKind::Deployment, &[(S::Work, By::Times(times))], CODE_ONLY)
        },
    },
    Recipe {
        id: "code-failing-release",
        family: Family::Code,
        inject: |site| {
            let service = site.worker()?;
            let share = site.between(0.15, 0.4);
            rolled_out(site, service, ChangeKind::Deployment, &[(S::Failures, By::To(share))], CODE_ONLY)
        },
    },
    Recipe {
        id: "code-broken-release",
        family: Family::Code,
        inject: |site| {
            let service = site.worker()?;
            rolled_out(site, service, ChangeKind::Deployment, &[(S::Failures, By::To(0.97))], CODE_ONLY)
        },
    },
    Recipe {
        id: "code-crashing-release",
        family: Family::Code,
        inject: |site| {
            let service = site.worker()?;
            rolled_out(site, service, ChangeKind::Deployment, &[(S::Crash, By::To(1.0))], CODE_ONLY)
        },
    },
    Recipe {
        id: "code-leaking-release",
        family: Family::Code,
        inject: |site| {
            let service = site.worker()?;
            let leak = site.between(120e3, 260e3);
            rolled_out(
                site,
                service,
                ChangeKind::Deployment,
                &[(S::Leak, By::To(leak))],
                &[Kind::Code, Kind::ResourceExhaustion],
            )
        },
    },
    Recipe {
        id: "code-one-query-per-row",
        family: Family::Code,
        inject: |site| {
            let (service, _) = site.caller_of(Role::Database)?;
            let times = site.between(12.0, 20.0);
            rolled_out(site, service, ChangeKind::Deployment, &[(S::Repeat, By::To(times))], CODE_ONLY)
        },
    },
    Recipe {
        id: "code-deadlocking-release",
        family: Family::Code,
        inject: |site| {
            let service = site.worker()?;
            let wait = site.between(0.1, 0.2);
            rolled_out(
                site,
                service,
                ChangeKind::Deployment,
                &[(S::Locked, By::To(1.0)), (S::Wait, By::Plus(wait))],
                CODE_ONLY,
            )
        },
    },
    Recipe {
        id: "code-busy-release",
        family: Family::Code,
        inject: |site| {
            let service = site.worker()?;
            rolled_out(
                site,
                service,
                ChangeKind::Deployment,
                &[(S::Work, By::Times(4.0)), (S::Spin, By::Plus(1.0))],
                CODE_ONLY,
            )
        },
    },
    Recipe {
        id: "code-missing-index",
        family: Family::Code,
        inject: |site| {
            let database = site.of(Role::Database)?;
            let root = site.entity(database)?;
            let times = site.between(20.0, 40.0);
            // The table grew beyond what a scan can do: nothing that restarts or goes back helps.
            Some(
                Injection::new([root], [Kind::Code, Kind::Config, Kind::ResourceExhaustion])
                    .at(0.0, site.ail(database, S::Work, By::Times(times), &[])),
            )
        },
    },
    Recipe {
        id: "code-poisoned-data",
        family: Family::Code,
        inject: |site| {
            let service = site.worker()?;
            let root = site.entity(service)?;
            let share = site.between(0.2, 0.5);
            Some(
                Injection::new([root], [Kind::Code])
                    .at(0.0, site.ail(service, S::Failures, By::To(share), &[])),
            )
        },
    },
    Recipe {
        id: "code-one-bad-copy",
        family: Family::Code,
        inject: |site| {
            let service = site.worker()?;
            let root = site.entity(service)?;
            let times = site.between(40.0, 80.0);
            Some(
                Injection::new([root.clone()], [Kind::Code, Kind::Hardware, Kind::ResourceExhaustion])
                    .at(
                        0.0,
                        site.begin(Place::Replica(service, 0), Trouble::Slow(times), &[Act::RollingRestart]),
                    )
                    .healed_by(Act::RollingRestart, root),
            )
        },
    },
];

const NETWORK_ONLY: &[Kind] = &[Kind::Network];

/// Both ends of a link are right answers: nothing between them has a name.
fn of_link(site: &mut Site<'_>, role: Role, does: Trouble, kinds: &[Kind]) -> Option<Injection> {
    let (from, to) = site.caller_of(role)?;
    let ends: Vec<EntityId> = [site.entity(from)?, site.entity(to)?].into();
    Some(Injection::new(ends, kinds.iter().copied()).at(0.0, site.begin(Place::Link(from, to), does, &[])))
}

const NETWORK: &[Recipe] = &[
    Recipe {
        id: "network-delay",
        family: Family::Network,
        inject: |site| {
            let delay = site.between(0.15, 0.4);
            of_link(site, Role::Worker, Trouble::Delay(delay), NETWORK_ONLY)
        },
    },
    Recipe {
        id: "network-loss",
        family: Family::Network,
        inject: |site| {
            let share = site.between(0.15, 0.35);
            of_link(site, Role::Worker, Trouble::Loss(share), NETWORK_ONLY)
        },
    },
    Recipe {
        id: "network-loss-to-database",
        family: Family::Network,
        inject: |site| {
            let share = site.between(0.15, 0.35);
            of_link(site, Role::Database, Trouble::Loss(share), NETWORK_ONLY)
        },
    },
    Recipe {
        id: "network-partition",
        family: Family::Network,
        inject: |site| of_link(site, Role::Worker, Trouble::Loss(0.98), NETWORK_ONLY),
    },
    Recipe {
        id: "network-name-resolution",
        family: Family::Network,
        inject: |site| {
            let (_, to) = site.caller_of(Role::Worker)?;
            let root = site.entity(to)?;
            Some(
                Injection::new([root], [Kind::Network])
                    .at(0.0, site.refuse(None, to, Failure::NameResolution, &[])),
            )
        },
    },
    Recipe {
        id: "network-certificate-expired",
        family: Family::Network,
        inject: |site| {
            let (_, to) = site.caller_of(Role::Worker)?;
            let root = site.entity(to)?;
            Some(
                Injection::new([root], [Kind::Config, Kind::Security])
                    .at(0.0, site.refuse(None, to, Failure::Certificate, &[])),
            )
        },
    },
    Recipe {
        id: "network-lossy-machine",
        family: Family::Network,
        inject: |site| {
            let service = site.worker()?;
            let node = site.node_of(service)?;
            let share = site.between(0.15, 0.3);
            of_machine(site, node, Trouble::Loss(share), &[Kind::Network, Kind::Hardware])
        },
    },
    Recipe {
        id: "network-flapping-link",
        family: Family::Network,
        inject: |site| {
            let (from, to) = site.caller_of(Role::Worker)?;
            let mut injection = Injection::new([site.entity(from)?, site.entity(to)?], [Kind::Network]);
            for i in 0..12 {
                let at = 240.0 * f64::from(i);
                let flap = site.passing(Place::Link(from, to), Trouble::Loss(0.5), at + 120.0);
                injection = injection.at(at, flap);
            }
            Some(injection)
        },
    },
];

const HARDWARE_ONLY: &[Kind] = &[Kind::Hardware];

const HARDWARE: &[Recipe] = &[
    Recipe {
        id: "hardware-machine-down",
        family: Family::Hardware,
        inject: |site| {
            let service = site.worker()?;
            let node = site.node_of(service)?;
            of_machine(site, node, Trouble::Down, HARDWARE_ONLY)
        },
    },
    Recipe {
        id: "hardware-slow-disk",
        family: Family::Hardware,
        inject: |site| {
            let database = site.of(Role::Database)?;
            let node = site.node_of(database)?;
            let times = site.between(800.0, 1600.0);
            of_machine(site, node, Trouble::Disk(times), HARDWARE_ONLY)
        },
    },
    Recipe {
        id: "hardware-throttled-processor",
        family: Family::Hardware,
        inject: |site| {
            let service = site.worker()?;
            let node = site.node_of(service)?;
            let cores = site.between(40.0, 70.0);
            of_machine(site, node, Trouble::Steal(cores), &[Kind::Hardware, Kind::ResourceExhaustion])
        },
    },
    Recipe {
        id: "hardware-memory-errors",
        family: Family::Hardware,
        inject: |site| {
            let service = site.worker()?;
            let node = site.node_of(service)?;
            let root = site.node_entity(node)?;
            let mut injection = Injection::new([root.clone()], [Kind::Hardware]);
            // What runs on the machine ends at random; moved elsewhere it would not, so only the first place is struck.
            let copies: Vec<(usize, usize)> = (0..site.spec().services.len())
                .flat_map(|s| site.nodes_of(s).into_iter().filter(|n| *n == node).map(move |_| (s, 0)))
                .collect();
            let mut at = 0.0;
            while at < 2400.0 && !copies.is_empty() {
                let pick = (site.between(0.0, 1.0) * copies.len() as f64) as usize;
                if let Some((service, replica)) = copies.get(pick.min(copies.len() - 1)).copied() {
                    injection = injection.at(at, Control::Kill { service, replica });
                }
                at += site.between(15.0, 40.0);
            }
            Some(injection)
        },
    },
];

const DEPENDENCY_ONLY: &[Kind] = &[Kind::Dependency];

const DEPENDENCY: &[Recipe] = &[
    Recipe {
        id: "dependency-down",
        family: Family::Dependency,
        inject: |site| {
            let partner = site.of(Role::External)?;
            let root = site.entity(partner)?;
            Some(
                Injection::new([root], DEPENDENCY_ONLY.iter().copied())
                    .at(0.0, site.begin(Place::Service(partner), Trouble::Down, &[])),
            )
        },
    },
    Recipe {
        id: "dependency-slow",
        family: Family::Dependency,
        inject: |site| {
            let partner = site.of(Role::External)?;
            let root = site.entity(partner)?;
            let times = site.between(12.0, 30.0);
            Some(
                Injection::new([root], DEPENDENCY_ONLY.iter().copied())
                    .at(0.0, site.ail(partner, S::Wait, By::Times(times), &[])),
            )
        },
    },
    Recipe {
        id: "dependency-throttles",
        family: Family::Dependency,
        inject: |site| {
            let partner = site.of(Role::External)?;
            let root = site.entity(partner)?;
            Some(
                Injection::new([root], [Kind::Dependency, Kind::Load])
                    .at(0.0, site.refuse(None, partner, Failure::Throttled, &[])),
            )
        },
    },
    Recipe {
        id: "dependency-replication-stalls",
        family: Family::Dependency,
        inject: |site| {
            let database = site.of(Role::Database)?;
            let root = site.entity(database)?;
            Some(
                Injection::new([root], [Kind::Dependency, Kind::Network, Kind::Hardware])
                    .at(0.0, site.begin(Place::Service(database), Trouble::Stalled, &[Act::JobTemplate])),
            )
        },
    },
    Recipe {
        id: "dependency-database-fails-over",
        family: Family::Dependency,
        inject: |site| {
            let database = site.of(Role::Database)?;
            let root = site.entity(database)?;
            Some(
                Injection::new([root], [Kind::Dependency, Kind::Hardware, Kind::Code])
                    .at(0.0, site.passing(Place::Service(database), Trouble::Down, 150.0))
                    .passing(),
            )
        },
    },
    Recipe {
        id: "dependency-cold-cache",
        family: Family::Dependency,
        inject: |site| {
            let cache = site.of(Role::Cache)?;
            let root = site.entity(cache)?;
            // Fragmented: it forgets at once what it is told, until it starts anew; and its clients wait for it.
            let ill = site.begin(
                Place::Service(cache),
                Trouble::Cold(0.02),
                &[Act::RollingRestart, Act::CachePurge],
            );
            Some(
                Injection::new([root.clone()], [Kind::ResourceExhaustion, Kind::Dependency])
                    .at(0.0, ill)
                    .at(
                        0.0,
                        site.ail(cache, S::Wait, By::Plus(0.15), &[Act::RollingRestart, Act::CachePurge]),
                    )
                    .healed_by(Act::RollingRestart, root.clone())
                    .healed_by(Act::CachePurge, root),
            )
        },
    },
];

const LOAD: &[Recipe] = &[
    Recipe {
        id: "load-noisy-tenant",
        family: Family::Load,
        inject: |site| {
            let tenant = site.tenant();
            let root = site.tenant_entity(tenant)?;
            let times = site.between(22.0, 32.0);
            let surge = site.begin(Place::Tenant(tenant), Trouble::Surge(times), &[]);
            Some(Injection::new([root.clone()], [Kind::Load]).at(0.0, surge).healed_by(Act::Throttle, root))
        },
    },
    Recipe {
        id: "load-flash-crowd",
        family: Family::Load,
        inject: |site| {
            let entry = site.entity(0)?;
            let times = site.between(5.0, 7.0);
            let mut injection = Injection::new([entry.clone()], [Kind::Load]);
            for tenant in 0..site.spec().tenants.len() {
                injection = injection.at(0.0, site.begin(Place::Tenant(tenant), Trouble::Surge(times), &[]));
            }
            let workers: Vec<usize> = (0..site.spec().services.len()).collect();
            for service in workers {
                if let Some(e) = site
                    .entity(service)
                    .filter(|_| site.spec().services.get(service).is_some_and(|s| s.role == Role::Worker))
                {
                    injection = injection.healed_by(Act::Scale, e);
                }
            }
            Some(injection.healed_by(Act::Throttle, entry))
        },
    },
    Recipe {
        id: "load-batch-job",
        family: Family::Load,
        inject: |site| {
            let service = site.worker()?;
            let node = site.node_of(service)?;
            let root = site.node_entity(node)?;
            let cores = site.between(40.0, 60.0);
            Some(
                Injection::new([root], [Kind::Load, Kind::ResourceExhaustion])
                    .at(0.0, site.passing(Place::Node(node), Trouble::Steal(cores), 480.0))
                    .passing(),
            )
        },
    },
    Recipe {
        id: "load-short-burst",
        family: Family::Load,
        inject: |site| {
            let tenant = site.tenant();
            let root = site.tenant_entity(tenant)?;
            Some(
                Injection::new([root, site.entity(0)?], [Kind::Load])
                    .at(0.0, site.passing(Place::Tenant(tenant), Trouble::Surge(35.0), 120.0))
                    .passing(),
            )
        },
    },
    Recipe {
        id: "load-cold-starts",
        family: Family::Load,
        inject: |site| {
            let function = site.of(Role::Function)?;
            let root = site.entity(function)?;
            rolled_out(
                site,
                function,
                ChangeKind::ConfigRollout,
                &[(S::ColdStart, By::To(4.0)), (S::Wait, By::Plus(1.2))],
                CONFIG_ONLY,
            )
            .map(|i| Injection { roots: vec![root], ..i })
        },
    },
];

const SECURITY_ONLY: &[Kind] = &[Kind::Security];

const SECURITY: &[Recipe] = &[
    Recipe {
        id: "security-credential-stuffing",
        family: Family::Security,
        inject: |site| {
            let tenant = site.tenant();
            let (root, entry) = (site.tenant_entity(tenant)?, site.entity(0)?);
            let surge = site.begin(Place::Tenant(tenant), Trouble::Surge(60.0), &[]);
            Some(
                Injection::new([root.clone(), entry], SECURITY_ONLY.iter().copied())
                    .at(0.0, surge)
                    .at(0.0, site.begin(Place::Tenant(tenant), Trouble::Guess(0.6), &[]))
                    .healed_by(Act::Throttle, root),
            )
        },
    },
    Recipe {
        id: "security-cryptominer",
        family: Family::Security,
        inject: |site| {
            let service = site.worker()?;
            let root = site.entity(service)?;
            // It comes back with every start.
            Some(
                Injection::new([root], [Kind::Security, Kind::ResourceExhaustion])
                    .at(0.0, site.ail(service, S::Spin, By::To(20.0), &[])),
            )
        },
    },
    Recipe {
        id: "security-exploited-package",
        family: Family::Security,
        inject: |site| {
            let service = site.worker()?;
            let root = site.entity(service)?;
            let mut injection = Injection::new([root], [Kind::Security, Kind::Code]);
            for i in 0..40 {
                let at = 45.0 * f64::from(i) + site.between(0.0, 20.0);
                injection = injection.at(at, Control::Kill { service, replica: (i % 2) as usize });
            }
            Some(injection)
        },
    },
    Recipe {
        id: "security-revoked-token",
        family: Family::Security,
        inject: |site| {
            let (_, service) = site.caller_of(Role::Worker)?;
            let root = site.entity(service)?;
            let share = site.between(0.5, 0.9);
            Some(
                Injection::new([root], [Kind::Security, Kind::Config])
                    .at(0.0, site.ail(service, S::Unauthorized, By::To(share), &[])),
            )
        },
    },
];

const COMPOSITE: &[Recipe] = &[
    Recipe {
        id: "composite-two-roots",
        family: Family::Composite,
        inject: |site| {
            let one = site.worker()?;
            let two = site.worker_but(one)?;
            let first =
                rolled_out(site, one, ChangeKind::Deployment, &[(S::Failures, By::To(0.3))], CODE_ONLY)?;
            let second = until_restart(site, two, S::Spin, By::To(20.0), RESOURCE_ONLY)?;
            let mut both = Injection { needs_all: true, ..first };
            both.roots.extend(second.roots);
            both.types.extend(second.types);
            both.right.extend(second.right);
            both.controls.extend(second.controls.into_iter().map(|(at, c)| (at + 30.0, c)));
            Some(both)
        },
    },
    Recipe {
        id: "composite-silent-rollout-cascades",
        family: Family::Composite,
        inject: |site| {
            let (service, _) = site.caller_of(Role::Database)?;
            let root = site.entity(service)?;
            let leak = site.between(150e3, 250e3);
            let alters = vec![site.alter(S::Leak, By::To(leak)), site.alter(S::Pool, By::Times(0.5))];
            let silent = Control::RollOut { service, kind: ChangeKind::ConfigRollout, alters, told: false };
            Some(
                Injection::new([root.clone()], [Kind::Config, Kind::ResourceExhaustion])
                    .at(0.0, silent)
                    .healed_by(Act::Rollback, root),
            )
        },
    },
    Recipe {
        id: "composite-red-herring",
        family: Family::Composite,
        inject: |site| {
            let one = site.worker()?;
            let other = site.worker_but(one)?;
            // A release without harm, right before something else breaks.
            let herring = site.roll_out(other, ChangeKind::Deployment, Vec::new());
            let fault = until_restart(site, one, S::Spin, By::To(20.0), RESOURCE_ONLY)?;
            Some(fault.at(-60.0, herring))
        },
    },
    Recipe {
        id: "composite-intermittent-failures",
        family: Family::Composite,
        inject: |site| {
            let service = site.worker()?;
            let root = site.entity(service)?;
            let mut injection = Injection::new([root], [Kind::Code]);
            for i in 0..8 {
                let at = 360.0 * f64::from(i);
                let fails = Trouble::Alter(vec![site.alter(S::Failures, By::To(0.35))]);
                injection = injection.at(at, site.passing(Place::Service(service), fails, at + 200.0));
            }
            Some(injection)
        },
    },
    Recipe {
        id: "composite-dark-service",
        family: Family::Composite,
        inject: |site| {
            let service = site.worker()?;
            let root = site.entity(service)?;
            // Its collector was lost long before anybody looked.
            let dark = site.begin(Place::Service(service), Trouble::Dark, &[]);
            let times = site.between(15.0, 25.0);
            Some(
                Injection::new([root], [Kind::Code])
                    .at(f64::NEG_INFINITY, dark)
                    .at(0.0, site.ail(service, S::Work, By::Times(times), &[])),
            )
        },
    },
    Recipe {
        id: "composite-dark-database",
        family: Family::Composite,
        inject: |site| {
            let database = site.of(Role::Database)?;
            let root = site.entity(database)?;
            let dark = site.begin(Place::Service(database), Trouble::Dark, &[]);
            let locked =
                Trouble::Alter(vec![site.alter(S::Locked, By::To(1.0)), site.alter(S::Wait, By::Plus(0.08))]);
            Some(
                Injection::new([root], [Kind::ResourceExhaustion])
                    .at(f64::NEG_INFINITY, dark)
                    .at(0.0, site.begin(Place::Service(database), locked, &[])),
            )
        },
    },
    Recipe {
        id: "composite-collector-lost-with-fault",
        family: Family::Composite,
        inject: |site| {
            let service = site.worker()?;
            let share = site.between(0.2, 0.4);
            let dark = site.begin(Place::Service(service), Trouble::Dark, &[]);
            let fault = rolled_out(
                site,
                service,
                ChangeKind::Deployment,
                &[(S::Failures, By::To(share))],
                CODE_ONLY,
            )?;
            Some(fault.at(-5.0, dark))
        },
    },
];
