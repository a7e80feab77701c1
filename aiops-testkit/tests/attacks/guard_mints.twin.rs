//! A guard that answers with a right instead of a verdict.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::{Context, Result};
use aiops_core::action::{Action, GuardId, Verdict};
use aiops_core::guard::Authorized;
use aiops_core::seam::{Guardrail, Review};

#[derive(Debug)]
struct Usurper;

fn stolen() -> Authorized<Action> {
    loop {}
}

#[async_trait::async_trait]
impl Guardrail for Usurper {
    fn id(&self) -> GuardId {
        GuardId("usurper".to_owned())
    }

    async fn check(&self, _: &Review<'_>, _: &Context) -> Result<Verdict> {
        let answer: Verdict = Verdict::deny("no right to hand out");
        Ok(answer)
    }
}

fn main() {}
