use serde::{Deserialize, Serialize};

/// What the state of an error budget asks of automation. // DET-07
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stance {
    /// Nothing burns.
    Usual,
    /// Roll-outs slow down; autonomy stays.
    Careful,
    /// A page fires: mitigation comes first, every other change waits.
    Mitigate,
    /// The budget is spent: only what restores service is done, and people are told sooner.
    Frozen,
}
