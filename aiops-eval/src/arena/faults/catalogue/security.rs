//! What somebody does on purpose, or must be closed.

use aiops_core::action::ActionKind as Act;
use aiops_core::model::FaultType as Kind;

use super::Recipe;
use crate::arena::faults::{Family, Injection};
use crate::arena::sim::control::Control;
use crate::arena::sim::spec::{By, Role, Setting as S};
use crate::arena::sim::state::{Place, Trouble};

const SECURITY_ONLY: &[Kind] = &[Kind::Security];

pub(super) const SECURITY: &[Recipe] = &[
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
