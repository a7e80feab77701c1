//! What is normal where a set has no reference of spans.

use std::collections::BTreeMap;

use aiops_core::model::{Span, SpanId, time};

use super::load::UNSURE;
use super::{IncidentCase, IncidentSet, Layout, Recording};
use crate::EvalError;

/// Normal spans of the days of which a set has no reference of spans (Nezha's Online Boutique): who calls whom, and how long it takes,
/// is known though nobody traced the minutes before a fault. For each incident those of the day's earliest other incident that was
/// traced more than a minute before its fault, so that the order of the cases does not count.
#[derive(Debug, Clone, Default)]
pub struct NormalSpans {
    /// By day: id and spans of its two earliest incidents that have some.
    days: BTreeMap<String, Vec<(String, Vec<Span>)>>,
}

/// A bit that no id of an incident has.
const OTHER: u64 = 1 << 63;

impl NormalSpans {
    /// Reads them. Reads every incident of such days in order of time until two have spans.
    ///
    /// # Errors
    /// As [`IncidentSet::recording`].
    pub fn of(set: &IncidentSet) -> Result<Self, EvalError> {
        let mut days: BTreeMap<String, Vec<(String, Vec<Span>)>> = BTreeMap::new();
        if set.layout() != Layout::Nezha {
            return Ok(Self { days });
        }
        let mut cases: Vec<&IncidentCase> = set.cases().iter().collect();
        cases.sort_by(|a, b| (&a.reference, a.onset, &a.id).cmp(&(&b.reference, b.onset, &b.id)));
        for day in cases.chunk_by(|a, b| a.reference == b.reference) {
            for case in day {
                let recording = set.recording(case)?;
                if !recording.normal.spans.is_empty() {
                    break;
                }
                let before = time::before(case.onset, UNSURE);
                let mut spans = recording.window.spans;
                spans.retain(|span| span.start < before);
                if spans.is_empty() {
                    continue;
                }
                for span in &mut spans {
                    // Ids are unique within an incident only.
                    span.span_id.0 ^= OTHER;
                    span.parent = span.parent.map(|p| SpanId(p.0 ^ OTHER));
                }
                let known = days.entry(case.reference.clone()).or_default();
                known.push((case.id.clone(), spans));
                if known.len() == 2 {
                    break;
                }
            }
        }
        Ok(Self { days })
    }

    /// Those that are normal for `case`; none where its set has a reference of spans.
    #[must_use]
    pub fn for_case(&self, case: &IncidentCase) -> &[Span] {
        let known = self.days.get(&case.reference).map(Vec::as_slice).unwrap_or_default();
        known.iter().find(|(id, _)| *id != case.id).map(|(_, spans)| spans.as_slice()).unwrap_or_default()
    }

    /// The recording of `case` with them, where it has no normal spans of its own.
    #[must_use]
    pub fn complete(&self, mut recording: Recording, case: &IncidentCase) -> Recording {
        if recording.normal.spans.is_empty() {
            recording.normal.spans = self.for_case(case).to_vec();
        }
        recording
    }
}
