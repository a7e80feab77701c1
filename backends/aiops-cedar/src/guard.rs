use std::collections::BTreeMap;
use std::sync::Arc;

use aiops_act::guards::BudgetSource;
use aiops_act::policy::{Difference, Effect, Judgement, Targets, replay};
use aiops_core::action::{GuardId, Proposal, Verdict};
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Case, Context, Result};
use async_trait::async_trait;
use cedar_policy::{AuthorizationError, Authorizer, Decision, Schema};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::analysis::Finding;
use crate::facts::{Circumstances, question};
use crate::flaw::{Flaw, FlawKind, Refused};
use crate::inventory::Inventory;
use crate::rules::{Rule, Rules};
use crate::schema;

/// Policies and what belongs to them, as they stand in files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CedarConfig {
    /// Policies in Cedar; without any, nothing is permitted.
    pub policies: String,
    /// Named sets of targets, by kind, name or beginning of a name: `resource in Group::"production"`. A policy that names another group is
    /// refused.
    pub groups: BTreeMap<String, Targets>,
    /// Time zone of `context.weekday` and `context.second_of_day`, as an IANA name; default UTC.
    pub zone: Option<String>,
}

/// Checked policies in Cedar, as a guard.
///
/// Of the policies that apply the strictest decides: `forbid` over `permit` with `@ask` over `permit`, whatever their order; where none applies
/// the answer is no. A policy that cannot be evaluated, whichever it is, is a no as well: Cedar leaves such a policy out, and so would drop
/// a `forbid`, or a wish to ask.
///
/// Every policy is looked at for every hearing, so it takes time in proportion to their number.
#[derive(Debug, Clone)]
pub struct CedarGuard {
    rules: Rules,
    schema: Schema,
    groups: BTreeMap<String, Targets>,
    zone: TimeZone,
    inventory: Option<Arc<dyn Inventory>>,
    budgets: Option<Arc<dyn BudgetSource>>,
}

/// What the policies say, and which of them.
struct Said<'g> {
    effect: Effect,
    rules: Vec<&'g Rule>,
}

/// Why nothing could be said: the policies to blame, and in words.
struct Unsaid {
    rules: Vec<String>,
    why: String,
}

impl CedarGuard {
    /// Parses and checks the policies and prepares them.
    ///
    /// # Errors
    /// [`Refused`] with every [`Flaw`] that was found, each naming its policy.
    pub fn new(config: &CedarConfig) -> Result<Self, Refused> {
        let wrong = |detail: String| Flaw::everywhere(FlawKind::Config, detail);
        let zone = match &config.zone {
            Some(name) => {
                TimeZone::get(name).map_err(|e| wrong(format!("unknown time zone {name:?}: {e}")))?
            }
            None => TimeZone::UTC,
        };
        if let Some((name, _)) = config.groups.iter().find(|(_, of)| of.values().all(Vec::is_empty)) {
            return Err(wrong(format!("group {name:?} has no names")).into());
        }
        let schema = schema::schema(config.groups.keys().map(String::as_str))?;
        let rules = Rules::load(&config.policies, &schema)?;
        Ok(Self { rules, schema, groups: config.groups.clone(), zone, inventory: None, budgets: None })
    }

    /// The same with an inventory; without one, environment, class, owner and labels of all targets are absent.
    #[must_use]
    pub fn with_inventory(mut self, inventory: impl Inventory) -> Self {
        self.inventory = Some(Arc::new(inventory));
        self
    }

    /// The same with error budgets; without, `context.error_budget` is absent.
    #[must_use]
    pub fn with_budgets(mut self, budgets: impl BudgetSource) -> Self {
        self.budgets = Some(Arc::new(budgets));
        self
    }

    /// What is no error and often a mistake, in order of kind and policy.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.rules.findings
    }

    /// What the policies say of `proposal` at the instant `at`, going by what it declares, in mode auto, with the error budget and the target's
    /// state unknown. As a guard it goes by the target as it is.
    #[must_use]
    pub fn judge(&self, proposal: &Proposal, at: Timestamp) -> Judgement {
        match self.decide(proposal, &Circumstances::declared(proposal, at)) {
            Ok(said) => Judgement::new(said.effect, said.rules.iter().map(|rule| rule.id.clone()).collect()),
            Err(unsaid) => Judgement::new(Effect::Deny, unsaid.rules),
        }
    }

    /// What would have been judged otherwise in `cases`, had these policies been in force: a dry run of policies before they are.
    #[must_use]
    pub fn replay<'c>(&self, cases: impl IntoIterator<Item = &'c Case>) -> Vec<Difference> {
        replay(cases, |proposal, at| self.judge(proposal, at))
    }

    fn decide(&self, proposal: &Proposal, circumstances: &Circumstances) -> Result<Said<'_>, Unsaid> {
        let asset = self.inventory.as_ref().and_then(|inventory| inventory.entity(&proposal.action.target));
        let (request, entities) =
            question(proposal, circumstances, asset.as_deref(), &self.groups, (&self.schema, &self.zone))
                .map_err(|why| Unsaid { rules: Vec::new(), why })?;
        let response = Authorizer::new().is_authorized(&request, &self.rules.set, &entities);
        let mut erring: Vec<(String, String)> = response
            .diagnostics()
            .errors()
            .map(|AuthorizationError::PolicyEvaluationError(e)| (e.policy_id().to_string(), e.to_string()))
            .collect();
        erring.sort_unstable();
        if !erring.is_empty() {
            let (rules, why): (_, Vec<String>) = erring.into_iter().unzip();
            return Err(Unsaid { rules, why: why.join("; ") });
        }
        let reasons: Vec<&str> = response.diagnostics().reason().map(AsRef::as_ref).collect();
        let mut rules: Vec<&Rule> =
            self.rules.rules.iter().filter(|rule| reasons.contains(&rule.id.as_str())).collect();
        let strictest = rules.iter().map(|rule| rule.effect).max();
        rules.retain(|rule| Some(rule.effect) == strictest);
        let effect = strictest.unwrap_or(Effect::Deny);
        // Whatever our reading of the reasons is, a no of Cedar's is a no.
        let effect = if response.decision() == Decision::Deny { Effect::Deny } else { effect };
        Ok(Said { effect, rules })
    }
}

#[async_trait]
impl Guardrail for CedarGuard {
    fn id(&self) -> GuardId {
        GuardId("cedar".to_owned())
    }

    async fn check(&self, review: &Review<'_>, ctx: &Context) -> aiops_core::Result<Verdict> {
        let action = &review.proposal.action;
        let budget = match &self.budgets {
            // A source that cannot be asked knows nothing.
            Some(budgets) => budgets.remaining(&action.target, ctx).await.ok().flatten(),
            None => None,
        };
        let said = match self.decide(review.proposal, &Circumstances::of(review, budget)) {
            Ok(said) => said,
            Err(unsaid) => return Ok(Verdict::deny(format!("cannot be judged: {}", unsaid.why))),
        };
        if said.rules.is_empty() {
            return Ok(Verdict::deny(format!(
                "no policy permits {} on {} now",
                action.kind(),
                action.target
            )));
        }
        let ids: Vec<&str> = said.rules.iter().map(|rule| rule.id.as_str()).collect();
        let reason = format!("policy {}", ids.join(", "));
        Ok(match said.effect {
            Effect::Deny => Verdict::deny(reason),
            Effect::Ask if review.reverts_own_action().is_some() => Verdict::allow("undoes our own action"),
            Effect::Ask => {
                // The one who is least patient is not waited for beyond his time.
                let wait = said.rules.iter().map(|rule| rule.wait).min().unwrap_or_default();
                Verdict::NeedsApproval { reason, wait }
            }
            Effect::Allow => Verdict::Allow { reason, notify: said.rules.iter().any(|rule| rule.notify) },
        })
    }
}
