//! Several at once, some of them harmless.

use aiops_core::model::{ChangeKind, FaultType as Kind};

use super::resource::RESOURCE_ONLY;
use super::{CODE_ONLY, Recipe, rolled_out, until_restart};
use crate::arena::faults::{Family, Injection};
use crate::arena::sim::control::Control;
use crate::arena::sim::spec::{By, Role, Setting as S};
use crate::arena::sim::state::{Place, Trouble};

pub(super) const COMPOSITE: &[Recipe] = &[
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
            // Nobody was told of a revision that one could go back to: a person has to find out.
            Some(Injection::new([root], [Kind::Config, Kind::ResourceExhaustion]).at(0.0, silent))
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
