//! Machines and their parts.

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
