use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aiops_core::action::{ActionKind, Principal, Proposal};
use aiops_core::model::calendar::Day;
use aiops_core::model::{EntityId, EntityKind};
use aiops_core::{Error, ErrorKind, Result};
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Serialize};

use crate::config::require;
use crate::guards::Pattern;

/// What a rule says of the proposals it applies to, from lenient to strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// No objection.
    Allow,
    /// Only with a person's consent.
    Ask,
    /// No.
    Deny,
}

impl std::fmt::Display for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        })
    }
}

/// Names of targets by their kind.
pub type Targets = BTreeMap<EntityKind, Vec<Pattern>>;

/// Whether `targets` name `entity`, by kind and name.
pub(crate) fn is_named(targets: &Targets, entity: &EntityId) -> bool {
    let names = targets.get(&entity.kind()).map(Vec::as_slice).unwrap_or_default();
    names.iter().any(|name| name.matches(entity.name()))
}

/// A policy as it stands in a file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Time zone of all [`Weekly`] times, as an IANA name; default UTC.
    pub zone: Option<String>,
    /// Named sets of targets: an environment, a class of servers, what a team owns.
    pub groups: BTreeMap<String, Targets>,
    /// The rules, in any order.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, as it stands in decisions.
    pub id: String,
    /// What it says.
    pub effect: Effect,
    /// Kinds of action it is about; default all.
    #[serde(default)]
    pub actions: BTreeSet<ActionKind>,
    /// Targets it is about, beside those of `groups`; without either, all.
    #[serde(default)]
    pub targets: Targets,
    /// Groups of targets it is about.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// Who proposes; default anybody.
    #[serde(default)]
    pub principals: Vec<Pattern>,
    /// Applies to this confidence and above, 0..=1; default any.
    #[serde(default)]
    pub min_confidence: Option<f64>,
    /// Applies below this confidence, 0..=1; default any.
    #[serde(default)]
    pub below_confidence: Option<f64>,
    /// Applies up to this many copies touched; default any number.
    #[serde(default)]
    pub max_replicas: Option<u32>,
    /// Applies above this many copies touched; default any number.
    #[serde(default)]
    pub above_replicas: Option<u32>,
    /// When it applies; default always.
    #[serde(default)]
    pub during: Option<Weekly>,
    /// How long *ask* waits for an answer; default 5 min, at least 1 s.
    #[serde(default = "five_minutes", with = "aiops_core::model::duration")]
    pub wait: Duration,
    /// Whether *allow* tells people at once; default no.
    #[serde(default)]
    pub notify: bool,
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

/// Times of the week in the policy's zone. Without days, every day; from `from` to before `to`, over midnight where `to` is not later. Without
/// `from` and `to`, the whole day. A span over midnight belongs to the day on which it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weekly {
    /// Lower-case English names of days.
    #[serde(default)]
    pub days: BTreeSet<Day>,
    /// Default 00:00.
    #[serde(default)]
    pub from: Time,
    /// Default 00:00, the end of the day.
    #[serde(default)]
    pub to: Time,
}

impl Weekly {
    fn on(&self, day: Weekday) -> bool {
        self.days.is_empty() || self.days.contains(&day.into())
    }

    /// All seven days are written as none.
    fn on_any_day_by_none(mut self) -> Self {
        if self.days.len() == 7 {
            self.days.clear();
        }
        self
    }

    /// Whether it leaves out no time: such a rule is one without times.
    fn is_always(&self) -> bool {
        self.from == self.to && self.days.is_empty()
    }

    /// Whether `now` is such a time.
    fn covers(&self, now: &Zoned) -> bool {
        let (time, today) = (now.time(), now.weekday());
        if self.from < self.to {
            return self.on(today) && self.from <= time && time < self.to;
        }
        (self.on(today) && time >= self.from) || (self.on(today.previous()) && time < self.to)
    }
}

/// A rule whose groups are looked up.
#[derive(Debug, Clone)]
pub(super) struct Resolved {
    pub(super) rule: Rule,
    /// `None` for all.
    pub(super) targets: Option<Targets>,
}

impl Resolved {
    pub(super) fn new(rule: &Rule, groups: &BTreeMap<String, Targets>) -> Result<Self> {
        let wrong = |why: &str| Error::new(ErrorKind::Invalid, why).with("rule", &rule.id);
        let in_rule = |e: Error| e.with("rule", &rule.id);
        let shares = [("min_confidence", rule.min_confidence), ("below_confidence", rule.below_confidence)];
        for (field, share) in shares.into_iter().filter_map(|(f, s)| Some((f, s?))) {
            require((0.0..=1.0).contains(&share), field, share, "0..=1").map_err(in_rule)?;
        }
        require(rule.wait >= Duration::from_secs(1), "wait", format!("{:?}", rule.wait), "1 s or more")
            .map_err(in_rule)?;
        let backwards = |low: Option<f64>, high: Option<f64>| low.zip(high).is_some_and(|(l, h)| l >= h);
        if backwards(rule.min_confidence, rule.below_confidence)
            || backwards(rule.above_replicas.map(f64::from), rule.max_replicas.map(f64::from))
        {
            return Err(wrong("no proposal can meet both bounds"));
        }
        let mut targets = rule.targets.clone();
        for name in &rule.groups {
            let group =
                groups.get(name).ok_or_else(|| wrong("it names an unknown group").with("group", name))?;
            for (kind, names) in group {
                targets.entry(*kind).or_default().extend(names.iter().cloned());
            }
        }
        let stated = !rule.targets.is_empty() || !rule.groups.is_empty();
        if stated && targets.values().all(Vec::is_empty) {
            return Err(wrong("its targets have no names"));
        }
        // Bounds that leave nothing out are none, so that what they seem to narrow is seen to be covered.
        let mut rule = rule.clone();
        rule.min_confidence = rule.min_confidence.filter(|least| *least > 0.0);
        rule.max_replicas = rule.max_replicas.filter(|most| *most < u32::MAX);
        rule.during = rule.during.map(Weekly::on_any_day_by_none).filter(|weekly| !weekly.is_always());
        Ok(Self { rule, targets: stated.then_some(targets) })
    }

    /// Whether it applies to `proposal`, which touches `replicas`, at `now`, its kind of action and its target aside.
    pub(super) fn holds(&self, proposal: &Proposal, replicas: u32, now: &Zoned) -> bool {
        let rule = &self.rule;
        let confidence = proposal.confidence.probability();
        self.is_by(&proposal.proposed_by)
            && rule.min_confidence.is_none_or(|least| confidence >= least)
            && rule.below_confidence.is_none_or(|most| confidence < most)
            && rule.max_replicas.is_none_or(|most| replicas <= most)
            && rule.above_replicas.is_none_or(|least| replicas > least)
            && rule.during.as_ref().is_none_or(|weekly| weekly.covers(now))
    }

    fn is_by(&self, principal: &Principal) -> bool {
        let rule = &self.rule;
        rule.principals.is_empty() || rule.principals.iter().any(|p| p.matches(principal.as_str()))
    }
}

pub(super) fn local(now: Timestamp, zone: &TimeZone) -> Zoned {
    now.to_zoned(zone.clone())
}
