use aiops_core::action::{DecisionOutcome, DecisionRecord, IncidentId, Proposal};
use aiops_core::{Case, CasePart};
use jiff::Timestamp;

use super::rule::Effect;
use super::table::{Judgement, PolicyTable};

/// A proposal of a recorded case that a policy judges otherwise than it was decided.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// The incident.
    pub incident: IncidentId,
    /// The proposal.
    pub proposal: Proposal,
    /// When it was decided.
    pub at: Timestamp,
    /// How: run without asking, run with consent, or denied by whichever guard or person.
    pub then: Effect,
    /// What the policy says. That it allows what was denied does not mean that it would have run: other guards have their say.
    pub now: Judgement,
}

/// What `judge` says otherwise than was decided in `cases`, of each proposal at the instant of its decision: a dry run of any policy
/// before it is in force.
///
/// ```
/// use aiops_act::policy::{Effect, Judgement, replay};
/// let cases: Vec<aiops_core::Case> = Vec::new();
/// let nothing_at_all = replay(&cases, |_, _| Judgement::new(Effect::Deny, Vec::new()));
/// assert!(nothing_at_all.is_empty());
/// ```
#[must_use]
pub fn replay<'c>(
    cases: impl IntoIterator<Item = &'c Case>,
    mut judge: impl FnMut(&Proposal, Timestamp) -> Judgement,
) -> Vec<Difference> {
    cases.into_iter().flat_map(|case| replay_one(case, &mut judge)).collect()
}

impl PolicyTable {
    /// What would have been judged otherwise in `cases`, had this policy been in force: a dry run of a policy before it is.
    #[must_use]
    pub fn replay<'c>(&self, cases: impl IntoIterator<Item = &'c Case>) -> Vec<Difference> {
        replay(cases, |proposal, at| self.judge(proposal, at))
    }
}

fn replay_one(case: &Case, judge: &mut impl FnMut(&Proposal, Timestamp) -> Judgement) -> Vec<Difference> {
    let mut proposals: Vec<&Proposal> = Vec::new();
    let mut differences = Vec::new();
    for entry in case.entries() {
        match &entry.part {
            CasePart::Planned(planned) => proposals.extend(planned),
            CasePart::Decided(record) => {
                // Of two proposals with one id the later one was decided on.
                let Some(proposal) = proposals.iter().rev().find(|p| p.id == record.proposal) else {
                    continue;
                };
                let (then, now) = (effect(record), judge(proposal, record.at));
                if then != now.effect {
                    let (incident, proposal) = (case.id().clone(), (*proposal).clone());
                    differences.push(Difference { incident, proposal, at: record.at, then, now });
                }
            }
            _ => {}
        }
    }
    differences
}

fn effect(record: &DecisionRecord) -> Effect {
    match (&record.outcome, &record.approval) {
        (DecisionOutcome::Denied { .. }, _) => Effect::Deny,
        (DecisionOutcome::Authorized { .. }, Some(_)) => Effect::Ask,
        (DecisionOutcome::Authorized { .. }, None) => Effect::Allow,
    }
}
