//! Writing to the journal oneself gives a position, no right.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::{Context, Result};
use aiops_core::action::{Action, JournalEntry};
use aiops_core::guard::{Authorized, Intended};
use aiops_core::seam::Journal;

async fn attack(journal: &dyn Journal, entry: &JournalEntry, authorized: Authorized<Action>, ctx: &Context) -> Result<Intended<Action>> {
    let position = journal.append(entry, None, ctx).await?;
    let intended: Intended<Action> = position; //~ E0308
    Ok(intended)
}

fn main() {}
