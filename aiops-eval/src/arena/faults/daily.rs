//! What happens in every episode, broken or not: roll-outs without harm, batch jobs, load that comes and goes.

use aiops_core::model::ChangeKind;

use crate::arena::sim::control::Control;
use crate::arena::sim::spec::{Role, SystemSpec};
use crate::arena::sim::state::{Condition, Place, Trouble};
use crate::arena::sim::{Micros, micros};

/// Harmless events over `length` seconds. The same for an episode with a fault and for the one without.
#[must_use]
pub fn daily_life(spec: &SystemSpec, seed: u64, length: f64) -> Vec<(Micros, Control)> {
    let mut rng = fastrand::Rng::with_seed(seed ^ 0xda11_71fe);
    let mut events = Vec::new();
    let changed: Vec<usize> = (0..spec.services.len())
        .filter(|i| spec.services.get(*i).is_some_and(|s| s.role == Role::Worker))
        .collect();
    let kinds = [
        ChangeKind::Deployment,
        ChangeKind::Deployment,
        ChangeKind::ConfigRollout,
        ChangeKind::FeatureFlag,
        ChangeKind::Patch,
    ];
    // About one harmless change in 25 minutes, at any time.
    let mut at = 0.0;
    loop {
        at += -1500.0 * (1.0 - rng.f64()).ln();
        if at >= length {
            break;
        }
        if let (Some(service), Some(kind)) = (rng.choice(changed.iter().copied()), rng.choice(kinds)) {
            events.push((micros(at), Control::RollOut { service, kind, alters: Vec::new(), told: true }));
        }
    }
    // Batch jobs take part of a machine for some minutes.
    for _ in 0..rng.usize(1..4) {
        let (node, start) = (rng.usize(..spec.nodes.len().max(1)), rng.f64() * length);
        let until = Some(micros(start + 120.0 + 300.0 * rng.f64()));
        let does = Trouble::Steal(0.3 + 0.7 * rng.f64());
        let job = Condition { on: Place::Node(node), does, cures: Vec::new(), until };
        events.push((micros(start), Control::Begin(job)));
    }
    // A tenant sends somewhat more for a while.
    for _ in 0..rng.usize(1..3) {
        let (tenant, start) = (rng.usize(..spec.tenants.len().max(1)), rng.f64() * length);
        let until = Some(micros(start + 300.0 + 600.0 * rng.f64()));
        let does = Trouble::Surge(1.2 + 0.4 * rng.f64());
        let more = Condition { on: Place::Tenant(tenant), does, cures: Vec::new(), until };
        events.push((micros(start), Control::Begin(more)));
    }
    // Air that comes in warmer for a while: hotter GPUs, none that slows down.
    let machines: Vec<usize> =
        (0..spec.nodes.len()).filter(|n| spec.nodes.get(*n).is_some_and(|n| n.gpus > 0)).collect();
    if !machines.is_empty() {
        for _ in 0..rng.usize(1..3) {
            let Some(node) = rng.choice(machines.iter().copied()) else { break };
            let start = rng.f64() * length;
            let until = Some(micros(start + 120.0 + 300.0 * rng.f64()));
            let does = Trouble::Heat(1.1 + 0.15 * rng.f64());
            let warm = Condition { on: Place::Node(node), does, cures: Vec::new(), until };
            events.push((micros(start), Control::Begin(warm)));
        }
    }
    events.sort_by_key(|e| e.0);
    events
}
