//! `labels.csv`: which incidents there are.

use std::path::Path;

use aiops_core::model::EntityId;

use super::table::{Row, Table, given};
use super::{IncidentCase, Label, Layout, Target};
use crate::EvalError;

pub(super) fn read(path: &Path) -> Result<(Layout, Vec<IncidentCase>), EvalError> {
    let mut table = Table::open(path)?;
    let has = |column: &str| table.header().iter().any(|name| name == column);
    let layout = if has("root_code") {
        Layout::Nezha
    } else if has("target_node") {
        Layout::PetShop
    } else if has("rows_anomalous") {
        Layout::SockShop
    } else {
        let what = "none of the known tables of labels".to_owned();
        return Err(EvalError::Table { path: path.to_owned(), line: 1, what });
    };
    let mut cases = Vec::new();
    table.rows(|row| {
        cases.push(case(layout, row)?);
        Ok(())
    })?;
    Ok((layout, cases))
}

fn case(layout: Layout, row: &Row<'_>) -> Result<IncidentCase, EvalError> {
    let (root, reference) = match layout {
        Layout::Nezha => ("service", row.text("day")?),
        Layout::PetShop => ("root_node", row.text("scenario")?),
        Layout::SockShop => ("service", ""),
    };
    let target = match layout {
        Layout::PetShop => Some(Target {
            entity: EntityId::service(row.text("target_node")?),
            metric: row.text("target_metric")?.to_owned(),
            aggregation: row.text("target_agg")?.to_owned(),
        }),
        Layout::Nezha | Layout::SockShop => None,
    };
    let normal_rows = match layout {
        Layout::SockShop => usize::try_from(row.integer("rows_normal")?).ok(),
        Layout::Nezha | Layout::PetShop => None,
    };
    let root_metric = given(row.optional("root_metric"));
    Ok(IncidentCase {
        id: row.text("case_id")?.to_owned(),
        onset: row.seconds(row.text("inject_unix")?)?,
        reference: reference.to_owned(),
        target,
        comparable: row.optional("normal_available") != "0",
        normal_rows,
        label: Label {
            root: EntityId::service(row.text(root)?),
            // Sock Shop writes `service/metric`.
            root_metric: root_metric.map(|name| name.rsplit('/').next().unwrap_or_default().to_owned()),
            root_code: given(row.optional("root_code")),
            fault_type: given(row.optional("fault_type")),
            fault_class: given(row.optional("fault_class")),
        },
    })
}
