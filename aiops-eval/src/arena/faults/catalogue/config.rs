//! Configurations that do harm.

use aiops_core::action::ActionKind as Act;
use aiops_core::model::{ChangeKind, FaultType as Kind};

use super::{CONFIG_ONLY, Recipe, rolled_out};
use crate::arena::faults::{Family, Injection};
use crate::arena::sim::spec::{By, Role, Setting as S};
use crate::arena::sim::state::Failure;

pub(super) const CONFIG: &[Recipe] = &[
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
