//! Labelled incidents from public data sets: metrics, spans and log lines around a fault whose root is known.
//!
//! | layout | recognised by | telemetry of a case | what is normal |
//! |---|---|---|---|
//! | [`Layout::Nezha`] | `labels.csv` has `root_code` | `metrics/`, `traces/`, `logs/` | `ref/` and what is older than a minute before the fault |
//! | [`Layout::PetShop`] | … has `target_node` | `cases/`, call graph in `graph/` | `normal/<scenario>` |
//! | [`Layout::SockShop`] | … has `rows_anomalous` | `cases/` | the rows before the fault |
//!
//! Files are CSV with a header, compressed with gzip; times are UTC. The label is handed out apart from the telemetry,
//! so that what is scored never holds it: [`Incident`] knows nothing of the root.
//!
//! ```no_run
//! use aiops_eval::incidents::IncidentSet;
//! let set = IncidentSet::open("incidents/nezha-tt".as_ref())?;
//! for case in set.cases() {
//!     let incident = set.load(case)?;
//!     println!("{}: {} spans, root {}", case.id, incident.fault.spans.len(), case.label().root);
//! }
//! # Ok::<(), aiops_eval::EvalError>(())
//! ```

mod events;
mod labels;
mod load;
mod metrics;
mod normal;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, EntityKind, TelemetryWindow, TimeRange};
use serde::Serialize;

use crate::EvalError;

pub(crate) use events::{Ids, calls};
pub use normal::NormalSpans;

/// How a data set is laid out on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Layout {
    /// Nezha (Yu et al., FSE 2023): TrainTicket and Online Boutique with metrics, spans and logs.
    Nezha,
    /// PetShop (Hardt et al., 2023): metrics of the nodes of a call graph, a target whose trouble is to be explained.
    PetShop,
    /// Sock Shop of RCD (Ikram et al., NeurIPS 2022): metrics once a second.
    SockShop,
}

/// What is known of the cause. For scoring only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Label {
    /// The service (PetShop: node) at fault.
    pub root: EntityId,
    /// Its metric that shows the fault, as in the name of the series; where the set says so.
    pub root_metric: Option<String>,
    /// Code region `A_B` between the log or span events A and B, in the source's notation; Nezha's code faults only.
    pub root_code: Option<String>,
    /// Kind of fault in the source's words; PetShop has none.
    pub fault_type: Option<String>,
    /// `code`, `cpu`, `network`, …; Nezha only.
    pub fault_class: Option<String>,
}

/// The series whose trouble is to be explained (PetShop).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Target {
    /// Whom it is about.
    pub entity: EntityId,
    /// Name of the metric.
    pub metric: String,
    /// Value of the series' label `aggregation`.
    pub aggregation: String,
}

/// One line of `labels.csv`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IncidentCase {
    /// Id within the set.
    pub id: String,
    /// When the fault was injected. Nezha's is good to about ± 60 s.
    pub onset: Timestamp,
    /// Which reference belongs to it: a day (Nezha), a scenario (PetShop); empty elsewhere.
    pub reference: String,
    /// What is to be explained; PetShop only.
    pub target: Option<Target>,
    /// Whether something normal was recorded to compare with (false for some of PetShop).
    pub comparable: bool,
    /// Rows of its file that are normal, where the set counts them instead of telling by time (Sock Shop, whose normal rows
    /// were recorded on another day, in one case a later one).
    normal_rows: Option<usize>,
    label: Label,
}

impl IncidentCase {
    /// The answer. For scoring only.
    #[must_use]
    pub fn label(&self) -> &Label {
        &self.label
    }
}

/// The telemetry of one incident. Ids of spans are unique within it, windows are in order.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Incident {
    /// What is normal. It may be later than the fault, and its parts may lie days apart.
    pub reference: TelemetryWindow,
    /// The last minute before the injection, of which nobody knows whether it is normal (Nezha; empty elsewhere).
    pub before: TelemetryWindow,
    /// From the injection to the end of what was recorded. Its topology is what the set says of calls: the call graph
    /// (PetShop), or who called whom in the reference and here (Nezha, from parents of spans).
    pub fault: TelemetryWindow,
}

/// The telemetry of one incident as it was recorded, not parted by anybody's time of the fault.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Recording {
    /// What is known to be normal; it may be later than the fault.
    pub normal: TelemetryWindow,
    /// What was recorded about the fault: before and after it (Nezha), from it on elsewhere. Its topology as in
    /// [`Incident::fault`].
    pub window: TelemetryWindow,
}

impl Recording {
    /// When the fault of `case` is said to have begun: as its label says, or with the recording where nothing else was recorded
    /// (PetShop).
    #[must_use]
    pub fn onset(&self, layout: Layout, case: &IncidentCase) -> Timestamp {
        if layout == Layout::PetShop { self.window.range.start() } else { case.onset }
    }
}

impl Default for Recording {
    fn default() -> Self {
        let nothing = || TelemetryWindow::new(TimeRange::ending_at(Timestamp::UNIX_EPOCH, Duration::ZERO));
        Self { normal: nothing(), window: nothing() }
    }
}

/// A folder of incidents.
#[derive(Debug, Clone)]
pub struct IncidentSet {
    folder: PathBuf,
    layout: Layout,
    cases: Vec<IncidentCase>,
}

impl IncidentSet {
    /// Reads `labels.csv` of `folder` and recognises the layout by its columns.
    ///
    /// # Errors
    /// [`EvalError::Read`], [`EvalError::Table`] where the table is none of the known ones or a cell is malformed.
    pub fn open(folder: &Path) -> Result<Self, EvalError> {
        let (layout, cases) = labels::read(&folder.join("labels.csv"))?;
        Ok(Self { folder: folder.to_owned(), layout, cases })
    }

    /// How it is laid out.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The folder it was read from.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its incidents, in the order of the file.
    #[must_use]
    pub fn cases(&self) -> &[IncidentCase] {
        &self.cases
    }

    /// Reads the telemetry of one incident. A modality the set does not have for it is empty and not among the
    /// windows' [`observed`](TelemetryWindow::observed) signals.
    ///
    /// # Errors
    /// [`EvalError::Read`], [`EvalError::Table`].
    pub fn load(&self, case: &IncidentCase) -> Result<Incident, EvalError> {
        load::incident(&self.folder, self.layout, case)
    }

    /// Reads the telemetry of one incident without using when its fault began, but for sets that record nothing else.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn recording(&self, case: &IncidentCase) -> Result<Recording, EvalError> {
        load::recording(&self.folder, self.layout, case)
    }

    /// Long stretches without a fault, for counting false alarms: each file of `quiet/`, in order of name (Nezha).
    /// Empty where the set has none.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn quiet(&self) -> Result<Vec<TelemetryWindow>, EvalError> {
        load::recordings(&self.folder.join("quiet"), self.layout)
    }

    /// Whole days with their faults, for replay: the metrics in `day/`, in order of name (Nezha's Online Boutique). Latency
    /// of calls is a series of the callee named `edge_latency` with the labels `caller` and `side` (who measured:
    /// `source` or `destination`).
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn days(&self) -> Result<Vec<TelemetryWindow>, EvalError> {
        load::recordings(&self.folder.join("day"), self.layout)
    }
}

/// The entity that stands for the front door, whose metrics are what users see (`_edge` in Nezha). Not a service, so that
/// nobody ranks it among services.
#[must_use]
pub fn front_door() -> EntityId {
    EntityId::new(EntityKind::Network, "front-door")
}
