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

impl PolicyTable {
    /// What would have been judged otherwise in `cases`, had this policy been in force: a dry run of a policy before it is.
    #[must_use]
    pub fn replay<'c>(&self, cases: impl IntoIterator<Item = &'c Case>) -> Vec<Difference> {
        cases.into_iter().flat_map(|case| self.replay_one(case)).collect()
    }

    fn replay_one(&self, case: &Case) -> Vec<Difference> {
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
                    let (then, now) = (effect(record), self.judge(proposal, record.at));
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
}

fn effect(record: &DecisionRecord) -> Effect {
    match (&record.outcome, &record.approval) {
        (DecisionOutcome::Denied { .. }, _) => Effect::Deny,
        (DecisionOutcome::Authorized { .. }, Some(_)) => Effect::Ask,
        (DecisionOutcome::Authorized { .. }, None) => Effect::Allow,
    }
}
