//! Whether cheating pays. // EVA-05
//!
//! A cheat games some axes ([`Cheat::games`]). On each of them it must stay below the honest pipeline, over the same episodes,
//! and where it cannot be below because the honest pipeline scores nothing, that is said and is no success.

use serde::{Deserialize, Serialize};

use super::cheats::Cheat;
use super::protocol::players::Player;
use super::protocol::score::{Axes, Axis, Share, Table};

/// One axis that one cheat games.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gamed {
    /// Who.
    pub cheat: Cheat,
    /// What.
    pub axis: Axis,
    /// What it got.
    pub got: Share,
    /// What the honest pipeline got.
    pub honest: Share,
    /// Recoveries that it claimed, for comparison.
    pub claimed: Share,
}

impl Gamed {
    /// Whether the cheat is below.
    #[must_use]
    pub fn is_below(&self) -> bool {
        self.got.of > 0 && self.honest.of > 0 && self.got.value() < self.honest.value()
    }
}

/// Every axis that is gamed in `tables`, over all faults of all gold-signal classes; empty without an honest pipeline.
#[must_use]
pub fn gamed(tables: &[Table]) -> Vec<Gamed> {
    let Some(honest) = tables.iter().find(|t| t.player == Player::Honest) else { return Vec::new() };
    let honest = all(honest);
    let mut gamed = Vec::new();
    for table in tables {
        let Player::Cheat(cheat) = table.player else { continue };
        let own = all(table);
        let of = |axis: &Axis| Gamed {
            cheat,
            axis: *axis,
            got: own.share(*axis),
            honest: honest.share(*axis),
            claimed: own.claimed,
        };
        gamed.extend(cheat.games().iter().map(of));
    }
    gamed
}

fn all(table: &Table) -> Axes {
    let mut all = Axes::default();
    table.by_gold.values().for_each(|axes| all.merge(axes));
    all
}

/// The verdict as Markdown: a row an axis, and one sentence.
#[must_use]
pub fn text(gamed: &[Gamed]) -> String {
    let mut out = "## Does cheating pay?\n\n| cheat | axis | cheat | default pipeline | below |\n|---|---|---|---|---|\n".to_owned();
    for g in gamed {
        let below = if g.is_below() { "yes" } else { "NO" };
        out += &format!("| {} | {} | {} | {} | {below} |\n", g.cheat, g.axis, g.got, g.honest);
    }
    let bad = gamed.iter().filter(|g| !g.is_below()).count();
    out += &match bad {
        0 if gamed.is_empty() => "\nNobody cheated.\n".to_owned(),
        0 => format!(
            "\nEvery cheat is below the default pipeline on every axis it games ({} of them).\n",
            gamed.len()
        ),
        _ => format!(
            "\nCheating pays, or cannot be told from not cheating, on {bad} of {} gamed axes.\n",
            gamed.len()
        ),
    };
    out
}
