//! A naive assembly of traces: lists, linear searches, and self time counted nanosecond by nanosecond.

use std::collections::{BTreeMap, BTreeSet};

use aiops_compact::traces::{
    CallPath, CallStats, CallType, Caller, SpanColumns, SpanRecord, Totals, TraceSummary,
};

/// A span by plain numbers; names are `s0`, `s1`, … and `o0`, `o1`, ….
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Plain {
    pub trace: u128,
    pub start: i64,
    pub span: u64,
    pub parent: u64,
    pub duration: u64,
    pub service: u32,
    pub operation: u32,
    pub error: bool,
}

pub(crate) fn columns(spans: &[Plain]) -> SpanColumns {
    let mut columns = SpanColumns::new();
    for span in spans {
        let service = columns.intern(&format!("s{}", span.service));
        let operation = columns.intern(&format!("o{}", span.operation));
        columns.push(SpanRecord {
            trace: span.trace,
            span: span.span,
            parent: span.parent,
            start: span.start,
            duration: span.duration,
            service,
            operation,
            error: span.error,
        });
    }
    columns
}

#[derive(Debug, Default)]
pub(crate) struct Naive {
    pub calls: BTreeMap<CallType, CallStats>,
    pub paths: BTreeMap<CallPath, Totals>,
    pub duplicates: u64,
    pub orphans: u64,
    pub cycles: u64,
    pub leading: u64,
    pub outlasting: u64,
    pub service_traces: BTreeMap<String, u64>,
}

fn end(span: &Plain) -> i64 {
    span.start + span.duration as i64
}

pub(crate) fn assemble(spans: &[Plain]) -> Naive {
    let mut naive = Naive::default();
    let traces: BTreeSet<u128> = spans.iter().map(|s| s.trace).collect();
    for trace in traces {
        one_trace(spans.iter().filter(|s| s.trace == trace).copied().collect(), &mut naive);
    }
    naive
}

fn one_trace(mut rows: Vec<Plain>, naive: &mut Naive) {
    rows.sort();
    let mut kept: Vec<Plain> = Vec::new();
    for row in rows {
        if row.span != 0 && kept.iter().any(|k| k.span == row.span) {
            naive.duplicates += 1;
        } else {
            kept.push(row);
        }
    }
    let mut parents: Vec<Option<usize>> = Vec::new();
    let mut orphan = vec![false; kept.len()];
    for (at, row) in kept.iter().enumerate() {
        let parent = kept.iter().position(|k| k.span == row.parent).filter(|_| row.parent != 0);
        orphan[at] = row.parent != 0 && parent.is_none();
        naive.orphans += u64::from(orphan[at]);
        parents.push(parent);
    }
    // Each circle is cut once, at the last link of the first walk that comes back to where it has been.
    for first in 0..kept.len() {
        let mut seen = vec![first];
        while let Some(next) = parents[*seen.last().unwrap()] {
            if seen.contains(&next) {
                let last = *seen.last().unwrap();
                parents[last] = None;
                orphan[last] = true;
                naive.cycles += 1;
                break;
            }
            seen.push(next);
        }
    }
    let name = |service: u32| -> std::sync::Arc<str> { format!("s{service}").into() };
    let mut per_trace: BTreeMap<CallType, u64> = BTreeMap::new();
    let mut entered: BTreeSet<String> = BTreeSet::new();
    for (at, row) in kept.iter().enumerate() {
        let children: Vec<usize> = (0..kept.len()).filter(|c| parents[*c] == Some(at)).collect();
        let mut covered = vec![false; row.duration as usize];
        for child in &children {
            let child = &kept[*child];
            naive.outlasting += u64::from(end(child) > end(row));
            let mut from = child.start - row.start;
            if from < 0 {
                naive.leading += 1;
                from = (row.duration.saturating_sub(child.duration) / 2) as i64;
            }
            for (unit, covered) in covered.iter_mut().enumerate() {
                *covered |= (from..from + child.duration as i64).contains(&(unit as i64));
            }
        }
        let own = covered.iter().filter(|covered| !**covered).count() as u64;
        let internal = parents[at].is_some_and(|p| kept[p].service == row.service);
        // The services on the way here, nearest first, spans within one service as one hop.
        let mut hops: Vec<Caller> = Vec::new();
        let (mut up, mut service) = (at, row.service);
        while hops.len() < 2 {
            match parents[up] {
                Some(p) => {
                    if kept[p].service != service {
                        hops.push(Caller::Service(name(kept[p].service)));
                    }
                    (up, service) = (p, kept[p].service);
                }
                None => {
                    hops.push(if orphan[up] { Caller::Unknown } else { Caller::Root });
                    hops.push(Caller::Root);
                }
            }
        }
        let is_waiting = |at: usize| {
            let mut of = (0..kept.len()).filter(|c| parents[*c] == Some(at));
            let only = of.next().filter(|_| of.next().is_none());
            parents[at].is_some_and(|p| kept[p].service == kept[at].service)
                && only.is_some_and(|c| kept[c].service != kept[at].service)
                && kept[at].duration > 0
        };
        let totals = Totals {
            calls: 1,
            errors: u64::from(row.error),
            own_errors: u64::from(row.error && !children.iter().any(|c| kept[*c].error)),
            children: children.len() as u64,
            duration: row.duration.into(),
            own: own.into(),
        };
        let operation: std::sync::Arc<str> = format!("o{}", row.operation).into();
        let path = CallPath {
            near: hops[0].clone(),
            far: hops[1].clone(),
            callee: name(row.service),
            operation: operation.clone(),
            internal,
        };
        naive.paths.entry(path).or_default().merge(&totals);
        let caller = if internal { Caller::Service(name(row.service)) } else { hops[0].clone() };
        if !internal {
            entered.insert(format!("s{}", row.service));
        }
        let call = CallType { caller, callee: name(row.service), operation };
        *per_trace.entry(call.clone()).or_default() += 1;
        let stats = naive.calls.entry(call).or_default();
        stats.totals.merge(&totals);
        stats.duration.push(row.duration);
        if !is_waiting(at) {
            stats.own.push(own);
        }
        if let Some(p) = parents[at].filter(|p| !internal && is_waiting(*p)) {
            stats.gap.push(kept[p].duration.saturating_sub(row.duration));
        }
    }
    for (call, count) in per_trace {
        let stats = naive.calls.get_mut(&call).unwrap();
        stats.traces += 1;
        stats.squares += u128::from(count * count);
    }
    for service in entered {
        *naive.service_traces.entry(service).or_default() += 1;
    }
}

/// Everything that does not depend on the order of arrival.
pub(crate) fn agree(summary: &TraceSummary, naive: &Naive) {
    assert_eq!(summary.calls(), &naive.calls);
    assert_eq!(summary.paths(), &naive.paths);
    let quality = summary.quality();
    assert_eq!(quality.duplicates + quality.conflicting_ids, naive.duplicates);
    assert_eq!(
        (quality.orphans, quality.cycles, quality.leading_children, quality.outlasting_children),
        (naive.orphans, naive.cycles, naive.leading, naive.outlasting)
    );
    let traces: BTreeMap<String, u64> =
        summary.services().iter().map(|(name, stats)| (name.to_string(), stats.traces)).collect();
    assert_eq!(traces, naive.service_traces);
    let leading: u64 = summary.skews().values().map(|skew| skew.leading).sum();
    assert_eq!(leading, naive.leading);
}
