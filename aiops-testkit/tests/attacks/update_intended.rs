//! A new payload put into a given intent by struct update syntax.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::action::Action;
use aiops_core::guard::Intended;

fn attack(given: Intended<Action>, action: Action) -> Intended<Action> {
    let intended = Intended { payload: action.clone(), ..given }; //~ E0451
    intended
}

fn main() {}
