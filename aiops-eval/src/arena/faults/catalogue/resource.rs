//! What runs out.

use aiops_core::action::ActionKind as Act;
use aiops_core::model::FaultType as Kind;

use super::{Recipe, of_machine, until_restart};
use crate::arena::faults::{Family, Injection};
use crate::arena::sim::spec::{By, Role, Setting as S};
use crate::arena::sim::state::{Place, Trouble};

pub(super) const RESOURCE_ONLY: &[Kind] = &[Kind::ResourceExhaustion];

pub(super) const RESOURCE: &[Recipe] = &[
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
