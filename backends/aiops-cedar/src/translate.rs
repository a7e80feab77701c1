//! The built-in table's policies, in Cedar.

use aiops_act::guards::Pattern;
use aiops_act::policy::{Day, Effect, Policy, PolicyTable, Rule, Targets, Weekly};
use aiops_core::model::EntityKind;
use aiops_core::{Error, ErrorKind, Result};
use jiff::SignedDuration;
use jiff::civil::Time;

use crate::guard::CedarConfig;
use crate::number::{ten_thousandths, text};
use crate::schema::{quoted, type_of};

impl CedarConfig {
    /// The same policy in Cedar: it says the same of every proposal.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a policy that [`PolicyTable`] does not take, a bound with more than four decimal places, which Cedar's numbers
    /// have not, and a time of day that is no whole second.
    pub fn from_table(policy: &Policy) -> Result<Self> {
        PolicyTable::new(policy)?;
        let rules: Vec<String> = policy.rules.iter().map(rule).collect::<Result<_>>()?;
        let named = |of: &&Targets| !of.values().all(Vec::is_empty);
        let groups = policy.groups.iter().filter(|(_, of)| named(of));
        Ok(Self {
            policies: rules.join("\n"),
            groups: groups.map(|(name, of)| (name.clone(), of.clone())).collect(),
            zone: policy.zone.clone(),
        })
    }
}

fn rule(rule: &Rule) -> Result<String> {
    let wrong = |detail: &str| Error::new(ErrorKind::Invalid, detail).with("rule", &rule.id);
    let mut written = format!("@id({})\n", quoted(&rule.id));
    match rule.effect {
        Effect::Ask => {
            let wait = SignedDuration::try_from(rule.wait).map_err(|_| wrong("it waits for too long"))?;
            written += &format!("@ask(\"{wait}\")\n");
        }
        Effect::Allow if rule.notify => written += "@notify\n",
        Effect::Allow | Effect::Deny => {}
    }
    written += if rule.effect == Effect::Deny { "forbid" } else { "permit" };
    let actions: Vec<String> =
        rule.actions.iter().map(|kind| format!("Action::{}", quoted(kind.as_str()))).collect();
    let action = match actions.as_slice() {
        [] => "action".to_owned(),
        [one] => format!("action == {one}"),
        many => format!("action in [{}]", many.join(", ")),
    };
    written += &format!(" (principal, {action}, resource)");
    let conditions = conditions(rule).map_err(|e| e.with("rule", &rule.id))?;
    if !conditions.is_empty() {
        written += &format!(" when {{\n  {}\n}}", conditions.join(" &&\n  "));
    }
    Ok(written + ";\n")
}

fn conditions(rule: &Rule) -> Result<Vec<String>> {
    let mut all = Vec::new();
    if !rule.principals.is_empty() {
        let names = rule.principals.iter().map(|name| fits("principal", name));
        all.push(any(names));
    }
    if !rule.targets.is_empty() || !rule.groups.is_empty() {
        let kinds = rule.targets.iter().filter(|(_, names)| !names.is_empty());
        let of_kind = |(kind, names): (&EntityKind, &Vec<Pattern>)| {
            format!("(resource is {} && {})", type_of(*kind), any(names.iter().map(|n| fits("resource", n))))
        };
        let groups = rule.groups.iter().map(|group| format!("resource in Group::{}", quoted(group)));
        all.push(any(kinds.map(of_kind).chain(groups)));
    }
    for (bound, comparison) in
        [(rule.min_confidence, "greaterThanOrEqual"), (rule.below_confidence, "lessThan")]
    {
        let Some(bound) = bound else { continue };
        let (down, up) = (ten_thousandths(bound, false), ten_thousandths(bound, true));
        let exact = down.filter(|_| down == up).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "a confidence has more than four decimal places")
                .with("value", bound)
        })?;
        all.push(format!("context.confidence.{comparison}(decimal(\"{}\"))", text(exact)));
    }
    all.extend(rule.max_replicas.map(|most| format!("context.replicas <= {most}")));
    all.extend(rule.above_replicas.map(|least| format!("context.replicas > {least}")));
    if let Some(weekly) = &rule.during {
        all.extend(during(weekly)?);
    }
    Ok(all)
}

fn any(conditions: impl Iterator<Item = String>) -> String {
    format!("({})", conditions.collect::<Vec<_>>().join(" || "))
}

fn fits(whose: &str, pattern: &Pattern) -> String {
    match pattern.as_str().strip_suffix('*') {
        Some(beginning) => {
            let beginning = quoted(beginning);
            let open = beginning.strip_suffix('"').unwrap_or(&beginning);
            format!("{whose}.name like {open}*\"")
        }
        None => format!("{whose}.name == {}", quoted(pattern.as_str())),
    }
}

/// `None` for always.
fn during(weekly: &Weekly) -> Result<Option<String>> {
    let (from, to) = (second(weekly.from)?, second(weekly.to)?);
    let on = |days: Vec<&'static str>| {
        let days: Vec<String> = days.into_iter().map(|day| format!("Weekday::\"{day}\"")).collect();
        format!("[{}].contains(context.weekday)", days.join(", "))
    };
    let today = (!weekly.days.is_empty()).then(|| on(weekly.days.iter().map(|day| name(*day)).collect()));
    let before =
        (!weekly.days.is_empty()).then(|| on(weekly.days.iter().map(|day| name(next(*day))).collect()));
    let both = |day: Option<String>, time: String| match day {
        Some(day) => format!("({day} && {time})"),
        None => time,
    };
    if from < to {
        let time = format!("context.second_of_day >= {from} && context.second_of_day < {to}");
        return Ok(Some(both(today, time)));
    }
    if from == 0 && to == 0 {
        return Ok(today);
    }
    let evening = both(today, format!("context.second_of_day >= {from}"));
    let morning = both(before, format!("context.second_of_day < {to}"));
    Ok(Some(format!("({evening} || {morning})")))
}

fn second(time: Time) -> Result<i64> {
    if time.subsec_nanosecond() != 0 {
        return Err(Error::new(ErrorKind::Invalid, "a time of day is no whole second").with("time", time));
    }
    Ok(i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second()))
}

fn name(day: Day) -> &'static str {
    match day {
        Day::Monday => "monday",
        Day::Tuesday => "tuesday",
        Day::Wednesday => "wednesday",
        Day::Thursday => "thursday",
        Day::Friday => "friday",
        Day::Saturday => "saturday",
        Day::Sunday => "sunday",
    }
}

fn next(day: Day) -> Day {
    match day {
        Day::Monday => Day::Tuesday,
        Day::Tuesday => Day::Wednesday,
        Day::Wednesday => Day::Thursday,
        Day::Thursday => Day::Friday,
        Day::Friday => Day::Saturday,
        Day::Saturday => Day::Sunday,
        Day::Sunday => Day::Monday,
    }
}
