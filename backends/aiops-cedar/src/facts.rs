//! A proposal as Cedar sees it.

use std::collections::{BTreeMap, HashSet};

use aiops_act::guards::{Touched, touched};
use aiops_act::policy::Targets;
use aiops_core::action::{Mode, Proposal};
use aiops_core::model::Entity as Asset;
use aiops_core::seam::Review;
use cedar_policy::{Context, Entities, Entity, EntityUid, Request, RestrictedExpression, Schema};
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil::Weekday};

use crate::number::{decimal, ten_thousandths};
use crate::schema::{self, uid};

/// What is known besides the proposal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    replicas: u32,
    share_of_fleet: f64,
    extent_known: bool,
    reverts_own_action: bool,
    mode: Mode,
    at: Timestamp,
    error_budget: Option<f64>,
    ready: Option<u32>,
    replication_healthy: Option<bool>,
}

impl Circumstances {
    pub(crate) fn of(review: &Review<'_>, error_budget: Option<f64>) -> Self {
        let Touched { replicas, share_of_fleet, known, .. } = touched(review);
        let target = &review.preview.target;
        Self {
            replicas,
            share_of_fleet,
            extent_known: known,
            reverts_own_action: review.reverts_own_action().is_some(),
            mode: review.mode,
            at: review.now,
            error_budget,
            ready: target.ready,
            replication_healthy: target.replication_healthy,
        }
    }

    /// What the proposal says of itself, with nobody to ask about the rest.
    pub(crate) fn declared(proposal: &Proposal, at: Timestamp) -> Self {
        let radius = proposal.action.blast_radius;
        Self {
            replicas: radius.replicas,
            share_of_fleet: radius.share_of_fleet.get(),
            extent_known: false,
            reverts_own_action: false,
            mode: Mode::Auto,
            at,
            error_budget: None,
            ready: None,
            replication_healthy: None,
        }
    }

    fn context(&self, proposal: &Proposal, zone: &TimeZone) -> Option<Vec<(String, RestrictedExpression)>> {
        let local = self.at.to_zoned(zone.clone());
        let time = local.time();
        let second = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
        let long = RestrictedExpression::new_long;
        let truth = RestrictedExpression::new_bool;
        let member = |of: &str, name: &str| Some(RestrictedExpression::new_entity_uid(uid(of, name)?));
        let action = &proposal.action;
        let always = [
            ("confidence", decimal(ten_thousandths(proposal.confidence.probability(), false)?)),
            ("calibrated", truth(proposal.confidence.is_calibrated())),
            ("replicas", long(i64::from(self.replicas))),
            ("share_of_fleet", decimal(ten_thousandths(self.share_of_fleet, true)?)),
            ("extent_known", truth(self.extent_known)),
            ("risk", member("Risk", schema::risk(action.risk()))?),
            ("way_back", member("WayBack", schema::way_back(&action.rollback))?),
            ("reverts_own_action", truth(self.reverts_own_action)),
            ("mode", member("Mode", schema::mode(self.mode))?),
            ("weekday", member("Weekday", weekday(local.weekday()))?),
            ("second_of_day", long(second)),
        ];
        let budget = self.error_budget.and_then(|left| ten_thousandths(left, false));
        let sometimes = [
            ("error_budget", budget.map(decimal)),
            ("ready_replicas", self.ready.map(|ready| long(i64::from(ready)))),
            ("replication_healthy", self.replication_healthy.map(truth)),
        ];
        let sometimes = sometimes.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Some(always.into_iter().chain(sometimes).map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

pub(crate) fn weekday(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "monday",
        Weekday::Tuesday => "tuesday",
        Weekday::Wednesday => "wednesday",
        Weekday::Thursday => "thursday",
        Weekday::Friday => "friday",
        Weekday::Saturday => "saturday",
        Weekday::Sunday => "sunday",
    }
}

/// The question, and the entities it is about.
///
/// # Errors
/// In words, for what the schema does not know, such as a kind of action that is newer than it.
pub(crate) fn question(
    proposal: &Proposal,
    circumstances: &Circumstances,
    asset: Option<&Asset>,
    groups: &BTreeMap<String, Targets>,
    (schema, zone): (&Schema, &TimeZone),
) -> Result<(Request, Entities), String> {
    let unknown = || "this proposal cannot be put in terms of the schema".to_owned();
    let action = &proposal.action;
    let who = uid("Principal", proposal.proposed_by.as_str()).ok_or_else(unknown)?;
    let target = uid(schema::type_of(action.target.kind()), action.target.name()).ok_or_else(unknown)?;
    let what = schema::action(action.kind()).ok_or_else(unknown)?;
    let context = circumstances.context(proposal, zone).ok_or_else(unknown)?;
    let context = Context::from_pairs(context).map_err(|e| e.to_string())?;
    let member = |targets: &Targets| {
        let names = targets.get(&action.target.kind()).map(Vec::as_slice).unwrap_or_default();
        names.iter().any(|name| name.matches(action.target.name()))
    };
    let inside = groups.iter().filter(|(_, targets)| member(targets));
    let inside: HashSet<EntityUid> = inside.filter_map(|(name, _)| uid("Group", name)).collect();
    let named = |name: &str| ("name".to_owned(), RestrictedExpression::new_string(name.to_owned()));
    let principal = Entity::new(who.clone(), [named(proposal.proposed_by.as_str())].into(), HashSet::new())
        .map_err(|e| e.to_string())?;
    let known = asset.into_iter().flat_map(attributes);
    let attributes = known.chain([named(action.target.name())]);
    let labels = asset.into_iter().flat_map(|asset| asset.attributes.iter());
    let tags = labels.map(|(k, v)| (k.to_owned(), RestrictedExpression::new_string(v.to_owned())));
    let resource =
        Entity::new_with_tags(target.clone(), attributes, inside, tags).map_err(|e| e.to_string())?;
    let entities = Entities::from_entities([principal, resource], Some(schema)).map_err(|e| e.to_string())?;
    let request = Request::new(who, what, target, context, Some(schema)).map_err(|e| e.to_string())?;
    Ok((request, entities))
}

fn attributes(asset: &Asset) -> impl Iterator<Item = (String, RestrictedExpression)> {
    let text = |name: &str, value: &Option<String>| {
        value.clone().map(|value| (name.to_owned(), RestrictedExpression::new_string(value)))
    };
    let facing = ("internet_facing".to_owned(), RestrictedExpression::new_bool(asset.internet_facing));
    let known = [
        text("environment", &asset.environment),
        text("server_class", &asset.asset_class),
        text("owner", &asset.owner),
        Some(facing),
    ];
    known.into_iter().flatten()
}
