//! What kind of fault it is, apart from where.

use aiops_core::model::FaultType;

use super::finding::{Finding, FindingKind};

/// The kind of fault that the findings of one entity speak for, the findings' kind that decided, and how much each spoke.
///
/// Resources that are used more speak of exhaustion; work or lines that are missing or new, and failures, speak of code;
/// time added without either speaks of the network, most of all between entities.
pub(super) fn fault(findings: &[&Finding]) -> (FaultType, Option<FindingKind>) {
    let strongest = |kinds: &[FindingKind]| {
        let of = findings.iter().filter(|f| kinds.contains(&f.kind));
        of.map(|f| (f.strength * f.own, f.kind)).max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
    };
    let resource = strongest(&[FindingKind::Cpu, FindingKind::Memory, FindingKind::Resource]);
    let code = strongest(&[
        FindingKind::WorkMissing,
        FindingKind::WorkNew,
        FindingKind::SpanErrors,
        FindingKind::LogErrors,
        FindingKind::LogNew,
        FindingKind::LogMissing,
        FindingKind::Errors,
    ]);
    let network = strongest(&[FindingKind::CallTime, FindingKind::SelfTime, FindingKind::Latency]);
    let mut candidates: Vec<(f64, FindingKind, FaultType)> = [
        (resource, FaultType::ResourceExhaustion),
        (code, FaultType::Code),
        (network, FaultType::Network),
    ]
    .into_iter()
    .filter_map(|(found, fault)| found.map(|(s, kind)| (s, kind, fault)))
    .collect();
    candidates.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    match candidates.first() {
        Some((strength, kind, fault)) if *strength > 0.0 => (*fault, Some(*kind)),
        _ => (FaultType::Unknown, None),
    }
}
