use aiops_core::action::{ActionKind, Mode, Risk, RollbackPlan};
use aiops_core::model::EntityKind;
use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema};

use crate::flaw::{Flaw, FlawKind, Refused};

const TEXT: &str = include_str!("aiops.cedarschema");

/// The schema that policies are validated against, in Cedar's own notation, with these groups of targets: for editors, and for `cedar validate`
/// where policies are kept.
///
/// ```
/// let schema = aiops_cedar::schema_text(["production"]);
/// assert!(schema.contains(r#"entity Group enum ["production"];"#));
/// ```
pub fn schema_text<'g>(groups: impl IntoIterator<Item = &'g str>) -> String {
    let names: Vec<String> = groups.into_iter().map(quoted).collect();
    if names.is_empty() {
        // A type without members cannot be written down.
        return TEXT.replace(" in [Group]", "");
    }
    format!("{TEXT}\nentity Group enum [{}];\n", names.join(", "))
}

/// `text` as a string of Cedar, whatever is in it. A `*` of it is no wildcard.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || "-_.:/ ".contains(c) {
            quoted.push(c);
        } else {
            quoted += &format!("\\u{{{:x}}}", u32::from(c));
        }
    }
    quoted.push('"');
    quoted
}

pub(crate) fn schema<'g>(groups: impl IntoIterator<Item = &'g str>) -> Result<Schema, Refused> {
    match Schema::from_cedarschema_str(&schema_text(groups)) {
        Ok((schema, _)) => Ok(schema),
        Err(e) => Err(Flaw::everywhere(FlawKind::Config, format!("the groups make no schema: {e}")).into()),
    }
}

/// Name of the type of entities of this kind; one that is not in the schema is refused by it.
pub(crate) fn type_of(kind: EntityKind) -> &'static str {
    match kind {
        EntityKind::Service => "Service",
        EntityKind::Instance => "Instance",
        EntityKind::Pod => "Pod",
        EntityKind::Container => "Container",
        EntityKind::Node => "Node",
        EntityKind::Host => "Host",
        EntityKind::Gpu => "Gpu",
        EntityKind::Database => "Database",
        EntityKind::Queue => "Queue",
        EntityKind::Cache => "Cache",
        EntityKind::Volume => "Volume",
        EntityKind::Network => "Network",
        EntityKind::Tenant => "Tenant",
        EntityKind::Job => "Job",
        EntityKind::External => "External",
        _ => "Unknown",
    }
}

/// The entity `id` of type `type_name`; `None` for what is no name of a type.
pub(crate) fn uid(type_name: &str, id: &str) -> Option<EntityUid> {
    let type_name: EntityTypeName = type_name.parse().ok()?;
    Some(EntityUid::from_type_name_and_id(type_name, EntityId::new(id)))
}

pub(crate) fn action(kind: ActionKind) -> Option<EntityUid> {
    uid("Action", kind.as_str())
}

pub(crate) fn risk(risk: Risk) -> &'static str {
    match risk {
        Risk::Low => "low",
        Risk::Medium => "medium",
        Risk::High => "high",
    }
}

pub(crate) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Observe => "observe",
        Mode::Suggest => "suggest",
        Mode::Auto => "auto",
    }
}

pub(crate) fn way_back(plan: &RollbackPlan) -> &'static str {
    match plan {
        RollbackPlan::Operation(_) => "operation",
        RollbackPlan::NotNeeded { .. } => "not_needed",
        RollbackPlan::Impossible => "impossible",
    }
}
