//! The catalogue: recipes by class. Sizes are drawn, so that two episodes of one recipe differ.

mod code;
mod composite;
mod config;
mod dependency;
mod gpu;
mod hardware;
mod load;
mod network;
mod resource;
mod security;

use aiops_core::action::ActionKind as Act;
use aiops_core::model::{ChangeKind, FaultType as Kind};

use super::{Family, Fault, Injection, Site};
use crate::arena::sim::spec::{By, Setting as S};
use crate::arena::sim::state::{Place, Trouble};

/// A fault that is a name, a class and a function.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    id: &'static str,
    family: Family,
    inject: fn(&mut Site<'_>) -> Option<Injection>,
}

impl Fault for Recipe {
    fn id(&self) -> &str {
        self.id
    }

    fn family(&self) -> Family {
        self.family
    }

    fn inject(&self, site: &mut Site<'_>) -> Option<Injection> {
        (self.inject)(site)
    }
}

/// Every fault of the arena, in a fixed order.
#[must_use]
pub fn catalogue() -> Vec<Recipe> {
    [
        config::CONFIG,
        resource::RESOURCE,
        code::CODE,
        network::NETWORK,
        hardware::HARDWARE,
        dependency::DEPENDENCY,
        load::LOAD,
        security::SECURITY,
        composite::COMPOSITE,
        gpu::GPU,
    ]
    .concat()
}

/// A roll-out of `kind` on `service` that alters one setting; undone by going back.
fn rolled_out(
    site: &Site<'_>,
    service: usize,
    kind: ChangeKind,
    alters: &[(S, By)],
    types: &[Kind],
) -> Option<Injection> {
    let root = site.entity(service)?;
    let alters = alters.iter().map(|(s, by)| site.alter(*s, *by)).collect();
    let injection = Injection::new([root.clone()], types.iter().copied());
    Some(injection.at(0.0, site.roll_out(service, kind, alters)).healed_by(Act::Rollback, root))
}

/// Something that goes wrong in `service` while it runs, and that a fresh process does not have.
fn until_restart(site: &Site<'_>, service: usize, setting: S, by: By, types: &[Kind]) -> Option<Injection> {
    let root = site.entity(service)?;
    let ill = site.ail(service, setting, by, &[Act::RollingRestart]);
    Some(
        Injection::new([root.clone()], types.iter().copied())
            .at(0.0, ill)
            .healed_by(Act::RollingRestart, root),
    )
}

/// Trouble of a machine that moving work away from it heals.
fn of_machine(site: &Site<'_>, node: usize, does: Trouble, types: &[Kind]) -> Option<Injection> {
    let root = site.node_entity(node)?;
    let injection = Injection::new([root.clone()], types.iter().copied());
    Some(injection.at(0.0, site.begin(Place::Node(node), does, &[])).healed_by(Act::Drain, root))
}

const CONFIG_ONLY: &[Kind] = &[Kind::Config];
const CODE_ONLY: &[Kind] = &[Kind::Code];
