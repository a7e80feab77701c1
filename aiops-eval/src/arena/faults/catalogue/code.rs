//! Releases and data that do harm.

use aiops_core::action::ActionKind as Act;
use aiops_core::model::{ChangeKind, FaultType as Kind};

use super::{CODE_ONLY, Recipe, rolled_out};
use crate::arena::faults::{Family, Injection};
use crate::arena::sim::spec::{By, Role, Setting as S};
use crate::arena::sim::state::{Place, Trouble};

pub(super) const CODE: &[Recipe] = &[
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
