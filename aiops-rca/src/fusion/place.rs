//! What is part of what, and what runs on which machine.

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::{EdgeKind, EntityId, EntityKind, TelemetryWindow};

use super::accuse::Path;
use super::config::FusionConfig;
use super::finding::{Family, Finding, FindingKind};
use crate::robust::count;

/// A whole, and what its copies show, in which metric or kind of line.
type Symptom<'f> = (&'f EntityId, FindingKind, &'f str);

/// Copies, their services and machines.
#[derive(Debug, Default)]
pub(super) struct Placement<'a> {
    whole: BTreeMap<&'a EntityId, &'a EntityId>,
    parts: BTreeMap<&'a EntityId, BTreeSet<&'a EntityId>>,
    /// By machine: what runs there, and what that is part of.
    residents: BTreeMap<&'a EntityId, BTreeSet<&'a EntityId>>,
}

pub(super) fn is_machine(entity: &EntityId) -> bool {
    matches!(entity.kind(), EntityKind::Node | EntityKind::Host)
}

impl<'a> Placement<'a> {
    /// O(edges · log edges).
    pub(super) fn of(windows: [&'a TelemetryWindow; 2]) -> Self {
        let mut placed = Self::default();
        let edges = || windows.into_iter().flat_map(|w| w.topology.edges()).filter(|e| e.from != e.to);
        for edge in edges().filter(|e| e.kind == EdgeKind::PartOf) {
            // Of several wholes the first in order.
            let whole = placed.whole.entry(&edge.from).or_insert(&edge.to);
            placed.parts.entry(*whole).or_default().insert(&edge.from);
        }
        for edge in edges().filter(|e| e.kind == EdgeKind::RunsOn) {
            let here = placed.residents.entry(&edge.to).or_default();
            here.insert(&edge.from);
            here.extend(placed.whole.get(&edge.from));
        }
        placed
    }

    /// Lets a whole carry what most of its copies show alike. What one of several shows stays its own.
    /// O(findings · log findings).
    pub(super) fn roll_up(&self, findings: &mut Vec<Finding>, config: &FusionConfig) {
        if self.whole.is_empty() {
            return;
        }
        // By whole, kind and what the finding is about: the copies that show it.
        let mut alike: BTreeMap<Symptom<'_>, Vec<(&EntityId, f64, usize)>> = BTreeMap::new();
        for (at, finding) in findings.iter().enumerate() {
            let Some((part, whole)) = self.whole.get_key_value(&finding.entity) else { continue };
            alike.entry((whole, finding.kind, finding.about.as_str())).or_default().push((
                part,
                finding.strength,
                at,
            ));
        }
        let mut moved: BTreeSet<usize> = BTreeSet::new();
        let mut raised = Vec::new();
        for ((whole, _, _), copies) in alike {
            let strongest = copies.iter().map(|c| c.1).fold(0.0, f64::max);
            let strong: BTreeSet<&EntityId> =
                copies.iter().filter(|c| c.1 >= config.alike * strongest).map(|c| c.0).collect();
            let all = self.parts.get(whole).map_or(0, BTreeSet::len);
            if count(strong.len()) < config.most_copies * count(all) {
                continue;
            }
            let told =
                copies.iter().filter_map(|(part, strength, at)| Some((strength, part, findings.get(*at)?)));
            let first = told.max_by(|a, b| {
                a.0.total_cmp(b.0).then_with(|| (b.1, &b.2.statement).cmp(&(a.1, &a.2.statement)))
            });
            let Some((_, _, finding)) = first else { continue };
            let mut of_whole = finding.clone();
            of_whole.entity = whole.clone();
            of_whole.statement = format!("{}: {} of {all} copies", finding.statement, strong.len());
            raised.push(of_whole);
            moved.extend(copies.iter().map(|c| c.2));
        }
        let mut at = 0;
        findings.retain(|_| {
            at += 1;
            !moved.contains(&(at - 1))
        });
        findings.extend(raised);
    }

    /// Sets apart machines from what runs on them: what a resident uses explains the machine's use, and what is left of the machine's
    /// trouble explains its residents' slowness and failures. O((findings + paths) · log findings + residents).
    pub(super) fn explain(&self, findings: &mut [Finding], paths: &[Path<'_>], config: &FusionConfig) {
        self.network(findings, paths, config);
        let mut uses: BTreeMap<(&EntityId, FindingKind), f64> = BTreeMap::new();
        // A collector of garbage that works harder fills nobody's memory.
        let fills = |f: &Finding| is_use(f.kind) && (f.kind != FindingKind::Memory || f.level > 0.0);
        for finding in findings.iter().filter(|f| !is_machine(&f.entity) && fills(f)) {
            let most = uses.entry((&finding.entity, finding.kind)).or_default();
            *most = most.max(finding.strength * finding.own);
        }
        // What is left of the machines' own.
        let left = |finding: &Finding| {
            let here = self.residents.get(&finding.entity)?;
            let used = here.iter().filter_map(|r| uses.get(&(*r, finding.kind))).copied().fold(0.0, f64::max);
            Some(1.0 - config.explained * (used / finding.strength).min(1.0))
        };
        let left: Vec<Option<f64>> =
            findings.iter().map(|f| left(f).filter(|_| is_machine(&f.entity) && f.strength > 0.0)).collect();
        let mut sick: BTreeMap<&EntityId, f64> = BTreeMap::new();
        for (finding, left) in findings.iter_mut().zip(left) {
            let (Some(left), Some((machine, _))) = (left, self.residents.get_key_value(&finding.entity))
            else {
                continue;
            };
            finding.own *= left;
            if finding.kind.family() == Family::Own {
                let worst = sick.entry(machine).or_default();
                *worst = worst.max(finding.strength * finding.own);
            }
        }
        let mut suffers: BTreeMap<&EntityId, f64> = BTreeMap::new();
        for (machine, trouble) in &sick {
            let explains = trouble.powi(2) / (trouble.powi(2) + config.sick_machine.powi(2));
            for resident in self.residents.get(machine).into_iter().flatten() {
                let worst = suffers.entry(*resident).or_default();
                *worst = worst.max(explains);
            }
        }
        for finding in findings.iter_mut().filter(|f| !is_machine(&f.entity) && f.strength > 0.0) {
            let suffering = matches!(finding.family(), Family::Time | Family::Outcome)
                || finding.kind == FindingKind::Liveness;
            if let Some(theirs) = suffers.get(&finding.entity).filter(|_| suffering) {
                finding.own *= 1.0 - config.explained * theirs;
            }
        }
    }

    /// Counters of the network are moved at both ends of a path in trouble: one path is that path's, several that meet in a machine are the
    /// machine's, and of several machines theirs who count most. As many paths meet in a machine as there are in effect (Hill's number of order
    /// two of how surely each is in trouble), so that one that is hardly worse than by chance is no second. Where nothing tells what runs on
    /// it, every path may pass it. O((findings + paths) · log residents).
    fn network(&self, findings: &mut [Finding], paths: &[Path<'_>], config: &FusionConfig) {
        let surest = paths.iter().map(|p| p.2).fold(0.0, f64::max);
        let sure = || paths.iter().filter(|p| p.2 > 0.0 && p.2 >= config.alike * surest);
        let meeting = |machine: &EntityId| {
            let here = self.residents.get(machine);
            let ends = |e: &EntityId| here.is_none_or(|here| here.contains(e));
            let (sum, squares) =
                sure().filter(|(by, of, _)| ends(by) || ends(of)).fold((0.0, 0.0), |sums, p| {
                    let weight = p.2 * p.2;
                    (sums.0 + weight, sums.1 + weight * weight)
                });
            if squares > 0.0 { 1.0 - squares / (sum * sum) } else { 0.0 }
        };
        let mut most: BTreeMap<String, f64> = BTreeMap::new();
        let counter = |f: &Finding| f.kind == FindingKind::NetworkCounters && is_machine(&f.entity);
        for finding in findings.iter().filter(|f| counter(f)) {
            let level = most.entry(finding.about.clone()).or_default();
            *level = level.max(finding.level);
        }
        for finding in findings.iter_mut().filter(|f| counter(f)) {
            let most = most.get(&finding.about).copied().unwrap_or(0.0);
            finding.own *= meeting(&finding.entity) * (finding.level / most.max(f64::MIN_POSITIVE)).min(1.0);
        }
    }

    /// What runs on a machine, and what that is part of.
    pub(super) fn residents(&self, machine: &EntityId) -> impl Iterator<Item = &'a EntityId> + '_ {
        self.residents.get(machine).into_iter().flatten().copied()
    }

    /// Every machine something runs on.
    pub(super) fn machines(&self) -> impl Iterator<Item = &'a EntityId> + '_ {
        self.residents.keys().copied().filter(|m| is_machine(m))
    }

    /// How many copies of it there are; 1 where nothing is known to be part of it.
    pub(super) fn copies(&self, whole: &EntityId) -> usize {
        self.parts.get(whole).map_or(1, BTreeSet::len)
    }

    /// What it is part of.
    pub(super) fn whole(&self, entity: &EntityId) -> Option<&'a EntityId> {
        self.whole.get(entity).copied()
    }
}

fn is_use(kind: FindingKind) -> bool {
    matches!(kind, FindingKind::Cpu | FindingKind::Memory | FindingKind::Resource)
}
