//! What breaks: faults as data, and a small trait for one's own.
//!
//! A fault is told a [`Site`], the drawn system and a source of randomness, and says what is done to it from its onset on
//! ([`Control`]s) and what the truth about that is. It never touches telemetry.
//!
//! ```
//! use aiops_core::action::ActionKind;
//! use aiops_core::model::{ChangeKind, FaultType};
//! use aiops_eval::arena::faults::{Family, Fault, Injection, Site};
//! use aiops_eval::arena::sim::spec::{By, Setting};
//!
//! /// A release whose work takes five times as long.
//! #[derive(Debug)]
//! struct SlowRelease;
//!
//! impl Fault for SlowRelease {
//!     fn id(&self) -> &str {
//!         "slow-release"
//!     }
//!     fn family(&self) -> Family {
//!         Family::Code
//!     }
//!     fn inject(&self, site: &mut Site<'_>) -> Option<Injection> {
//!         let service = site.worker()?;
//!         let slower = vec![site.alter(Setting::Work, By::Times(5.0))];
//!         let roll_out = site.roll_out(service, ChangeKind::Deployment, slower);
//!         let root = site.entity(service)?;
//!         Some(
//!             Injection::new([root.clone()], [FaultType::Code])
//!                 .at(0.0, roll_out)
//!                 .healed_by(ActionKind::Rollback, root),
//!         )
//!     }
//! }
//! assert_eq!(SlowRelease.id(), "slow-release");
//! ```

mod catalogue;
mod daily;
mod scenario;
mod site;

use std::fmt::Debug;

use aiops_core::action::ActionKind;
use aiops_core::model::{EntityId, FaultType};
use serde::{Deserialize, Serialize};

pub use catalogue::{Recipe, catalogue};
pub use daily::daily_life;
pub use scenario::{SCENARIOS, is_meant};
pub use site::Site;

use super::sim::control::Control;
use super::sim::draw::system;
use super::sim::fleet::draw::fleet;
use super::sim::spec::SystemSpec;

/// Classes of faults, for tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Family {
    /// Wrong settings.
    Config,
    /// Something ran out.
    Resource,
    /// Wrong code, image or data.
    Code,
    /// Between machines.
    Network,
    /// Broken machines.
    Hardware,
    /// Somebody it needs.
    Dependency,
    /// Too much work.
    Load,
    /// Attacks and what guards against them.
    Security,
    /// Several at once, or one behind another.
    Composite,
    /// GPUs, and what schedules and drives them. These faults strike in a fleet.
    Gpu,
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Config => "configuration",
            Self::Resource => "resource",
            Self::Code => "code",
            Self::Network => "network",
            Self::Hardware => "hardware",
            Self::Dependency => "dependency",
            Self::Load => "load",
            Self::Security => "security",
            Self::Composite => "composite",
            Self::Gpu => "GPU fleet",
        })
    }
}

/// What a good operator does about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duty {
    /// One of the listed actions heals it.
    Heal,
    /// Nothing in reach heals it: hand it to a person.
    AskAPerson,
    /// It passes by itself: do nothing.
    Wait,
}

/// An action that is right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RightAction {
    /// Kind.
    pub kind: ActionKind,
    /// On whom.
    pub target: EntityId,
}

/// What a fault does, and the truth about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Injection {
    /// What is done, and how many seconds after the onset.
    pub controls: Vec<(f64, Control)>,
    /// Who is at fault; any of them is a right answer to "where".
    pub roots: Vec<EntityId>,
    /// Right answers to "what kind".
    pub types: Vec<FaultType>,
    /// Actions that heal.
    pub right: Vec<RightAction>,
    /// What a good operator does.
    pub duty: Duty,
    /// Every one of these must have been acted on rightly, where there is more than one root that needs it.
    pub needs_all: bool,
}

impl Injection {
    /// A fault of `roots` that nobody but a person can heal, until [`healed_by`](Self::healed_by) says otherwise.
    pub fn new(
        roots: impl IntoIterator<Item = EntityId>,
        types: impl IntoIterator<Item = FaultType>,
    ) -> Self {
        Self {
            controls: Vec::new(),
            roots: roots.into_iter().collect(),
            types: types.into_iter().collect(),
            right: Vec::new(),
            duty: Duty::AskAPerson,
            needs_all: false,
        }
    }

    /// Does `control`, `seconds` after the onset.
    #[must_use]
    pub fn at(mut self, seconds: f64, control: Control) -> Self {
        self.controls.push((seconds, control));
        self
    }

    /// An action of `kind` on `target` heals it.
    #[must_use]
    pub fn healed_by(mut self, kind: ActionKind, target: EntityId) -> Self {
        self.right.push(RightAction { kind, target });
        self.duty = Duty::Heal;
        self
    }

    /// It passes by itself.
    #[must_use]
    pub fn passing(mut self) -> Self {
        self.duty = Duty::Wait;
        self
    }
}

/// The system that `seed` draws for a fault of `family`: GPUs break where there are some.
#[must_use]
pub fn system_for(family: Family, seed: u64) -> SystemSpec {
    if family == Family::Gpu { fleet(seed) } else { system(seed) }
}

/// One way in which a system breaks.
pub trait Fault: Debug + Send + Sync {
    /// Its name. Nothing that a pipeline can read ever carries it.
    fn id(&self) -> &str;

    /// Its class.
    fn family(&self) -> Family;

    /// What it does to the system of `site`; `None` when that system has no place for it.
    fn inject(&self, site: &mut Site<'_>) -> Option<Injection>;
}
