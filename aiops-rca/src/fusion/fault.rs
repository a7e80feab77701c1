//! What kind of fault it is, apart from where.

use aiops_core::model::FaultType;

use super::config::FusionConfig;
use super::finding::{Finding, FindingKind};

/// The kind of fault that the findings of one entity speak for, the findings' kind that decided, and how much each spoke.
///
/// Resources that are used more speak of exhaustion; work or lines that are missing or new, and failures, speak of code;
/// time added without either speaks of the network, most of all between entities.
pub(super) fn fault(findings: &[Finding], config: &FusionConfig) -> (FaultType, Option<FindingKind>) {
    let strongest = |kinds: &[FindingKind]| {
        let of = findings.iter().filter(|f| kinds.contains(&f.kind));
        of.map(|f| (f.strength * f.own, f.kind)).max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
    };
    let resource = strongest(&[FindingKind::Cpu, FindingKind::Memory, FindingKind::Resource]);
    let code = strongest(&[
        FindingKind::WorkMissing,
        FindingKind::CallsMissing,
        FindingKind::WorkNew,
        FindingKind::SpanErrors,
        FindingKind::LogErrors,
        FindingKind::LogNew,
        FindingKind::LogMissing,
        FindingKind::Errors,
        // Others run the same on the same machines and ways: it is in what this process became.
        FindingKind::CopyTime,
        FindingKind::Program,
        FindingKind::OutOfStep,
    ]);
    // Of equal ones what spans say: a metric of latency does not tell within from between.
    let slow = [FindingKind::CallTime, FindingKind::SelfTime, FindingKind::Latency];
    let network = findings.iter().filter(|f| slow.contains(&f.kind)).map(|f| (f.strength * f.own, f.kind));
    let network = network.max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    // In order of cause and effect: what is busy is slow, what fails early or late is slow, and slowness causes neither. The
    // earlier wins unless it is weak beside the rest.
    let strong = [resource, code, network].into_iter().flatten().map(|f| f.0).fold(0.0, f64::max);
    let weighty = |f: Option<(f64, FindingKind)>| f.filter(|f| f.0 > 0.0 && f.0 >= config.weak * strong);
    // A device that reports itself ill needs no further reason.
    let device = strongest(&[FindingKind::Device]);
    if let Some((_, kind)) = device.filter(|d| d.0 > 0.0 && d.0 >= strong) {
        return (FaultType::Hardware, Some(kind));
    }
    let memory = strongest(&[FindingKind::Memory]);
    let cpu = strongest(&[FindingKind::Cpu]);
    let busy = resource.filter(|r| r.0 >= config.certain).or(weighty(resource));
    if let Some((best, kind)) = busy {
        // Filling memory keeps a processor busy; a busy processor fills no memory.
        let fills = memory
            .zip(cpu)
            .is_some_and(|(m, c)| kind == FindingKind::Cpu && m.0 >= config.fills * c.0.min(best));
        return (FaultType::ResourceExhaustion, Some(if fills { FindingKind::Memory } else { kind }));
    }
    // Time between entities is the network's; of time spent within, missing or new work is the likelier reason.
    let within = network.is_some_and(|n| n.1 == FindingKind::SelfTime);
    let code = code.filter(|c| c.0 >= if within { config.weak * config.weak } else { config.weak } * strong);
    let rest = [(code.filter(|c| c.0 > 0.0), FaultType::Code), (weighty(network), FaultType::Network)];
    let first = rest.into_iter().find_map(|(found, fault)| Some((fault, Some(found?.1))));
    first.unwrap_or((FaultType::Unknown, None))
}
