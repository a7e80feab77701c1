//! A localiser that reads more about what deviates before another one ranks (RCA-10).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aiops_core::model::{EdgeKind, EntityId, Observation, Ranking, Signal, TelemetryWindow, Topology};
use aiops_core::seam::{Localizer, TelemetrySource};
use aiops_core::{CitedAnomaly, Context, Result};
use async_trait::async_trait;

use crate::cite::first;
use crate::windows::EvidenceWindows;

/// The word of observations about changes that were read here.
const CHANGE: &str = "change";

/// Reads the [`EvidenceWindows`] around the first onset, all signals at once, about whoever deviates, whomever those need and whoever needs
/// them, and lets another localiser rank by this and what the pipeline read.
///
/// It stands before the localiser and not before the root cause because what a localiser sees becomes evidence of the case, which a
/// root cause may cite, and nothing that a root cause reads by itself can. For the same reason a change that only this read found is an
/// observation without weight about the suspect it was made to: it is cited beside the suspect, and nothing is undone for it. To have changes
/// of hours blamed, let the source look back as far (`CompositeSource::with_changes`).
///
/// What cannot be read is in [`Ranking::unseen`]; [`Ranking::localizer`] is the inner one's. Nothing is read where nothing deviates.
///
/// ```
/// use aiops_core::fake::InMemorySource;
/// use aiops_rca::{EvidenceWindows, FusedLocalizer, GatheringLocalizer};
/// let source = InMemorySource::new();
/// let localizer = GatheringLocalizer::new(FusedLocalizer::default(), source, EvidenceWindows::default())?;
/// # let _: &dyn aiops_core::seam::Localizer = &localizer;
/// # Ok::<(), aiops_core::Error>(())
/// ```
#[derive(Debug)]
pub struct GatheringLocalizer<L> {
    inner: L,
    source: Arc<dyn TelemetrySource>,
    windows: EvidenceWindows,
}

impl<L: Localizer> GatheringLocalizer<L> {
    /// `inner`, which sees what `source` answers about `windows` too.
    ///
    /// # Errors
    /// [`Invalid`](aiops_core::ErrorKind::Invalid) when `windows` are out of range.
    pub fn new(inner: L, source: impl TelemetrySource, windows: EvidenceWindows) -> Result<Self> {
        windows.validate()?;
        Ok(Self { inner, source: Arc::new(source), windows })
    }
}

/// Those that deviate, whomever they need over any number of calls, whoever needs them, and the parts of all these; nobody in particular
/// where nothing is known of calls. O(edges · log edges).
fn concerned(topology: &Topology, anomalies: &[CitedAnomaly]) -> Vec<EntityId> {
    let calls = || topology.edges().filter(|e| e.kind == EdgeKind::Calls);
    if calls().next().is_none() {
        return Vec::new();
    }
    let deviating = anomalies.iter().map(|a| topology.whole(&a.anomaly.entity));
    let deviating: BTreeSet<&EntityId> = deviating.collect();
    let downstream = reach(&deviating, calls().map(|e| (&e.from, &e.to)));
    let upstream = reach(&deviating, calls().map(|e| (&e.to, &e.from)));
    let wholes: BTreeSet<&EntityId> = downstream.union(&upstream).copied().collect();
    let parts = topology.edges().filter(|e| e.kind == EdgeKind::PartOf && wholes.contains(&e.to));
    let parts: BTreeSet<&EntityId> = parts.map(|e| &e.from).collect();
    wholes.union(&parts).map(|e| (*e).clone()).collect()
}

/// Everybody on ways along `steps` that begin in `from`.
fn reach<'a>(
    from: &BTreeSet<&'a EntityId>,
    steps: impl Iterator<Item = (&'a EntityId, &'a EntityId)>,
) -> BTreeSet<&'a EntityId> {
    let mut next: BTreeMap<&EntityId, Vec<&'a EntityId>> = BTreeMap::new();
    for (here, there) in steps {
        next.entry(here).or_default().push(there);
    }
    let (mut reached, mut open) = (BTreeSet::new(), from.iter().copied().collect::<Vec<_>>());
    while let Some(entity) = open.pop() {
        if reached.insert(entity) {
            open.extend(next.get(entity).into_iter().flatten());
        }
    }
    reached
}

#[async_trait]
impl<L: Localizer> Localizer for GatheringLocalizer<L> {
    async fn localize(
        &self,
        window: &TelemetryWindow,
        anomalies: &[CitedAnomaly],
        ctx: &Context,
    ) -> Result<Ranking> {
        let Some(first) = first(anomalies) else { return self.inner.localize(window, anomalies, ctx).await };
        let about = concerned(&window.topology, anomalies);
        let read = self.windows.gather(&*self.source, first.anomaly.onset, &about, ctx).await?;
        let blind: Vec<String> = read
            .health
            .iter()
            .filter_map(|h| {
                Some(format!("{} around the onset were not read: {}", h.signal, h.note.as_ref()?))
            })
            .collect();
        let mut whole = window.clone();
        let known: BTreeSet<_> = window.changes.iter().map(|c| c.id.clone()).collect();
        let found: Vec<_> = read.changes.iter().filter(|c| !known.contains(&c.id)).cloned().collect();
        whole.merge(read);
        let mut ranking = self.inner.localize(&whole, anomalies, ctx).await?;
        for suspect in &mut ranking.suspects {
            let of_it = found.iter().filter(|c| {
                whole.topology.whole(&c.entity) == whole.topology.whole(&suspect.entity)
                    && c.time <= first.anomaly.onset
            });
            let seen = of_it.map(|c| {
                Observation::new(Signal::Changes, CHANGE, 0.0, format!("{}: {}", c.id.0, c.summary))
                    .since(c.time)
            });
            suspect.observations.extend(seen);
        }
        ranking.unseen.extend(blind);
        Ok(ranking)
    }
}
