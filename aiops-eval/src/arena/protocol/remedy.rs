//! Whether what the catalogue calls right is right: somebody who knows does it, and users are well again.

use std::time::Duration;

use aiops_core::action::{Action, ActionKind, BlastRadius, Operation, Share};
use aiops_core::model::EntityId;
use aiops_core::{Clock, Error, ErrorKind, Result};

use super::episode::{Health, Layout, all_well};
use crate::arena::faults::{Duty, Injection, RightAction};
use crate::arena::world::World;

/// From the onset to the action, from there to the look at users, and from the end of that to the next one, s.
const ACTS_AFTER: f64 = 180.0;
const LOOKS_AFTER: f64 = 1500.0;
const LATER: f64 = 900.0;

/// What became of an episode in which somebody knew.
#[derive(Debug, Clone, PartialEq)]
pub struct Remedied {
    /// Action and target.
    pub done: Vec<(ActionKind, EntityId)>,
    /// Users 25 minutes later.
    pub users: Vec<Health>,
    /// And another quarter of an hour later, when what was only put off is back.
    pub later: Vec<Health>,
}

impl Remedied {
    /// Whether all users are well, and stay so.
    #[must_use]
    pub fn is_healed(&self) -> bool {
        all_well(&self.users) && all_well(&self.later)
    }
}

impl Layout {
    /// Does the listed right action of `kind` three minutes after the onset, without any pipeline, and looks at users; the
    /// first that is listed without a kind, and all of them where all are needed. `None` where no action is right.
    ///
    /// # Errors
    /// When the simulator cannot do what the catalogue calls right.
    pub fn remedied(&self, kind: Option<ActionKind>) -> Result<Option<Remedied>> {
        let Some((.., injection)) = self.fault.as_ref().filter(|f| f.2.duty == Duty::Heal) else {
            return Ok(None);
        };
        let wanted = injection.right.iter().filter(|r| kind.is_none_or(|k| k == r.kind));
        let right = wanted.take(if injection.needs_all { usize::MAX } else { 1 }).cloned();
        let right: Vec<RightAction> = right.collect();
        if right.is_empty() { Ok(None) } else { self.attempt(&right).map(Some) }
    }

    /// Does every one of `actions` three minutes after the onset, without any pipeline, and looks at users.
    ///
    /// # Errors
    /// When the simulator cannot do one of them.
    pub fn attempt(&self, actions: &[RightAction]) -> Result<Remedied> {
        let guilty = self.fault.as_ref().map(|(.., i)| i.roots.clone()).unwrap_or_default();
        let world = self.world();
        let clock = world.clock().clone();
        let wait = |seconds: f64| clock.drive(clock.sleep(Duration::from_secs_f64(seconds)));
        wait(self.learn / 2.0);
        world.with(|sim| sim.felt_since(&guilty));
        wait(self.learn / 2.0);
        let before = world.with(|sim| sim.felt_since(&guilty));
        wait(self.onset - self.learn - 1.0);
        // What is gone back to is what ran before.
        let revisions: Vec<Option<String>> = actions.iter().map(|r| world.revision(&r.target)).collect();
        wait(1.0 + ACTS_AFTER);
        for (r, revision) in actions.iter().zip(revisions) {
            let operation = operation(r.kind, revision)?;
            let radius = BlastRadius { replicas: 1, share_of_fleet: Share::new(0.1)? };
            world.act_now(&Action::new(operation, r.target.clone(), radius))?;
        }
        wait(LOOKS_AFTER);
        let users = self.health(&world, &guilty, &before);
        wait(LATER);
        let later = self.health(&world, &guilty, &before);
        Ok(Remedied { done: actions.iter().map(|r| (r.kind, r.target.clone())).collect(), users, later })
    }

    /// What the catalogue says of the fault; `None` without one.
    pub(super) fn injection(&self) -> Option<&Injection> {
        self.fault.as_ref().map(|(.., injection)| injection)
    }
}

impl World {
    fn revision(&self, target: &EntityId) -> Option<String> {
        self.target(target).revision
    }
}

/// What an operator would order.
fn operation(kind: ActionKind, revision: Option<String>) -> Result<Operation> {
    let missing = |what: &str| Error::new(ErrorKind::Unsupported, format!("no {what} to order"));
    Ok(match kind {
        ActionKind::RollingRestart => Operation::RollingRestart { max_unavailable: 1, max_surge: 0 },
        ActionKind::Rollback => Operation::Rollback { to: revision.ok_or_else(|| missing("revision"))? },
        ActionKind::Scale => Operation::Scale { replicas: 5 },
        ActionKind::Cordon => Operation::Cordon,
        ActionKind::Drain => Operation::Drain,
        ActionKind::CachePurge => Operation::CachePurge,
        ActionKind::LogRotation => Operation::LogRotation,
        // Whoever sends thirty or sixty times as much as before is left about as much as before.
        ActionKind::Throttle => Operation::Throttle { to: Share::new(0.02)? },
        ActionKind::Concurrency => Operation::Concurrency { limit: 16 },
        _ => return Err(missing("operation of this kind")),
    })
}
