//! Machines and their parts.

use aiops_core::action::ActionKind as Act;
use aiops_core::model::FaultType as Kind;

use super::{Recipe, of_machine};
use crate::arena::faults::{Family, Injection};
use crate::arena::sim::control::Control;
use crate::arena::sim::spec::Role;
use crate::arena::sim::state::Trouble;

const HARDWARE_ONLY: &[Kind] = &[Kind::Hardware];

pub(super) const HARDWARE: &[Recipe] = &[
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
            // What runs on the machine ends at random, wherever it came from; what was moved away does not.
            let mut at = 0.0;
            while at < 2400.0 {
                let which = site.between(0.0, 1.0);
                injection = injection.at(at, Control::KillOn { node, which });
                at += site.between(15.0, 40.0);
            }
            let injection = injection.healed_by(Act::Drain, root);
            Some(injection)
        },
    },
];
