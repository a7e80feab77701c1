//! A root cause that remembers past incidents (RCA-10, RCA-11).

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aiops_core::model::{Check, Diagnosis, Hypothesis};
use aiops_core::pipeline::CaseListener;
use aiops_core::seam::Rca;
use aiops_core::{Case, CaseEntry, CasePart, Context, Result};
use async_trait::async_trait;

use crate::memory::{IncidentMemory, PastIncident, SimilarIncident, Triage};
use crate::rule::null;

/// An [`IncidentMemory`] that a pipeline fills and a [`RecallingRca`] asks. Clones share it.
///
/// As the listener of a pipeline it remembers every case that closes; who has a listener already calls
/// [`appended`](CaseListener::appended) from there.
#[derive(Debug, Clone)]
pub struct SharedMemory(Arc<Mutex<IncidentMemory>>);

impl SharedMemory {
    /// Shares `memory`.
    #[must_use]
    pub fn new(memory: IncidentMemory) -> Self {
        Self(Arc::new(Mutex::new(memory)))
    }

    /// A copy of what is remembered now, to be stored.
    #[must_use]
    pub fn snapshot(&self) -> IncidentMemory {
        self.get().clone()
    }

    /// [`IncidentMemory::triage`].
    #[must_use]
    pub fn triage(&self, case: &Case, top: usize) -> Triage {
        self.get().triage(case, top)
    }

    fn get(&self) -> MutexGuard<'_, IncidentMemory> {
        // A memory is replaced as a whole or not at all, so that a panic elsewhere leaves it sound.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CaseListener for SharedMemory {
    fn appended(&self, case: &Case, entry: &CaseEntry) {
        if matches!(entry.part, CasePart::Closed(_)) {
            self.get().remember(case);
        }
    }
}

/// Past incidents that are told beside a diagnosis.
const TOP: usize = 3;

/// Adds to another root cause's diagnosis what past incidents tell.
///
/// - A hypothesis that names the cause of a known past incident ([`MemoryConfig::known`](crate::MemoryConfig::known)) asks whether it is that
///   one again, and says what ended it then.
/// - The cause of a known past incident that no hypothesis names is a null finding, and so is that there is no known incident: what is
///   novel goes to a person with the report.
///
/// Likeness is no evidence of the present case: confidences, citations and the order of hypotheses stay as they are.
///
/// ```
/// use aiops_rca::{IncidentMemory, MemoryConfig, MetricRoles, RecallingRca, RuleRca, SharedMemory};
/// let memory = IncidentMemory::new(MetricRoles::default(), MemoryConfig::default())?;
/// let memory = SharedMemory::new(memory);
/// let rca = RecallingRca::new(RuleRca::default(), memory.clone());
/// // Pipeline::builder()….rca(rca)….listener(memory)
/// # let _: &dyn aiops_core::seam::Rca = &rca;
/// # Ok::<(), aiops_core::Error>(())
/// ```
#[derive(Debug)]
pub struct RecallingRca<R> {
    inner: R,
    memory: SharedMemory,
}

impl<R: Rca> RecallingRca<R> {
    /// `inner` with `memory`.
    #[must_use]
    pub fn new(inner: R, memory: SharedMemory) -> Self {
        Self { inner, memory }
    }
}

/// Whether `hypothesis` is what `past` was.
fn is_again(hypothesis: &Hypothesis, past: &PastIncident) -> bool {
    past.cause.as_ref().is_some_and(|(system, fault, mechanism)| {
        (&hypothesis.system, hypothesis.fault, &hypothesis.mechanism) == (system, *fault, mechanism)
    })
}

/// `inc-7 (83 % alike): memory of service/orders (resource exhaustion), ended by …`.
fn account(similar: &SimilarIncident) -> String {
    let SimilarIncident { incident, similarity } = similar;
    let mut text = format!("{} ({:.0} % alike)", incident.id, similarity * 100.0);
    // Writing to a string cannot fail.
    if let Some((system, fault, mechanism)) = &incident.cause {
        let what = mechanism.as_ref().map_or(String::new(), |m| format!("{m}, "));
        let _ = write!(text, ": {what}{fault} of {system}");
    }
    match &incident.remedy {
        Some((action, target)) if incident.recovered => {
            let _ = write!(text, ", ended by {action} of {target}");
        }
        _ => text += ", and nothing that was done ended it",
    }
    text
}

#[async_trait]
impl<R: Rca> Rca for RecallingRca<R> {
    async fn diagnose(&self, case: &Case, ctx: &Context) -> Result<Diagnosis> {
        let mut diagnosis = self.inner.diagnose(case, ctx).await?;
        let (triage, known) = {
            let memory = self.memory.get();
            (memory.triage(case, TOP), memory.config().known)
        };
        for similar in triage.similar.iter().filter(|s| s.similarity >= known) {
            let again = diagnosis.hypotheses.iter_mut().find(|h| is_again(h, &similar.incident));
            match again {
                Some(hypothesis) => hypothesis.next_checks.push(
                    Check::new(format!("whether it is again {}", account(similar)))
                        .settled_by("what ended it then ends it now", "it goes on all the same"),
                ),
                None if similar.incident.cause.is_some() => diagnosis
                    .null_findings
                    .push(null(format!("nothing names the cause of {}", account(similar)))),
                None => {}
            }
        }
        if !triage.known {
            diagnosis
                .null_findings
                .push(null("no past incident that looks like this one was healed: it is novel"));
        }
        Ok(diagnosis)
    }
}
