use std::cmp::Ordering;

use aiops_core::action::{Action, Operation, RollbackPlan};

/// Whether `action` leaves more capacity than there was, or less; `None` for what sets no capacity, and where its way back does not tell how much
/// there was.
pub(super) fn direction(action: &Action) -> Option<Ordering> {
    let RollbackPlan::Operation(back) = &action.rollback else { return None };
    match (&action.operation, &**back) {
        (Operation::Scale { replicas: to }, Operation::Scale { replicas: from })
        | (Operation::Concurrency { limit: to }, Operation::Concurrency { limit: from }) => {
            Some(to.cmp(from))
        }
        _ => None,
    }
}
