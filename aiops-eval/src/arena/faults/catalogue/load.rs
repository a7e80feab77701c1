//! More than was planned for.

use aiops_core::action::ActionKind as Act;
use aiops_core::model::{ChangeKind, FaultType as Kind};

use super::{CONFIG_ONLY, Recipe, rolled_out};
use crate::arena::faults::{Family, Injection};
use crate::arena::sim::spec::{By, Role, Setting as S};
use crate::arena::sim::state::{Place, Trouble};

pub(super) const LOAD: &[Recipe] = &[
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
            let mut injection = Injection::new([entry], [Kind::Load]);
            for tenant in 0..site.spec().tenants.len() {
                injection = injection.at(0.0, site.begin(Place::Tenant(tenant), Trouble::Surge(times), &[]));
            }
            // Every layer is beyond what it can do at once: no single action heals, as `--remedies` shows, and how much to add and
            // to pay for is a person's to decide.
            Some(injection)
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
