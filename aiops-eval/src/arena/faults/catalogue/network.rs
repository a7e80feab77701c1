//! Between services.

use aiops_core::model::{EntityId, FaultType as Kind};

use super::{Recipe, of_machine};
use crate::arena::faults::{Family, Injection, Site};
use crate::arena::sim::spec::Role;
use crate::arena::sim::state::{Failure, Place, Trouble};

const NETWORK_ONLY: &[Kind] = &[Kind::Network];

/// Both ends of a link are right answers: nothing between them has a name.
fn of_link(site: &mut Site<'_>, role: Role, does: Trouble, kinds: &[Kind]) -> Option<Injection> {
    let (from, to) = site.caller_of(role)?;
    let ends: Vec<EntityId> = [site.entity(from)?, site.entity(to)?].into();
    Some(Injection::new(ends, kinds.iter().copied()).at(0.0, site.begin(Place::Link(from, to), does, &[])))
}

pub(super) const NETWORK: &[Recipe] = &[
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
