//! What services rest on.

use aiops_core::action::ActionKind as Act;
use aiops_core::model::FaultType as Kind;

use super::Recipe;
use crate::arena::faults::{Family, Injection};
use crate::arena::sim::spec::{By, Role, Setting as S};
use crate::arena::sim::state::{Failure, Place, Trouble};

const DEPENDENCY_ONLY: &[Kind] = &[Kind::Dependency];

pub(super) const DEPENDENCY: &[Recipe] = &[
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
