//! What sets a kind of fault apart from the neighbours that look alike.

use aiops_core::model::{ChangeKind, Check, Distinction, EvidenceId, FaultType, Signal};

use super::Scene;
use super::changes::changed_before;
use super::claim::Claim;
use super::observed::cited;
use crate::fusion::FindingKind;
use crate::picture::{Group, Symptom};
use crate::roles::{MetricRole, Side};

/// What is known of the suspect that tells kinds of fault apart, whatever is claimed.
struct Facts<'s, 'a> {
    /// The strongest resource, pool, lock or queue out of its norm.
    resource: Option<&'s Symptom<'a>>,
    resources_measured: bool,
    /// More work than before.
    load: Option<&'s Symptom<'a>>,
    traffic_measured: bool,
    /// The last change before its onset.
    change: Option<EvidenceId>,
    changes_looked_at: bool,
    /// A callee that serves worse.
    callee: bool,
    callees_seen: bool,
    /// Time or failures between callers and itself, as spans or clients say.
    between: Vec<EvidenceId>,
    /// Work or lines that are new, missing or failing.
    work: Vec<EvidenceId>,
    /// Its own work takes longer.
    own_time: Vec<EvidenceId>,
}

impl<'s, 'a> Facts<'s, 'a> {
    fn of(scene: &'s Scene<'_>, group: &'s Group<'a>) -> Self {
        let callees = scene.picture.callees(&scene.system);
        let onset = scene.trouble.onset();
        Self {
            resource: group.strongest(|s| {
                s.harmful && matches!(s.class.role, MetricRole::Resource | MetricRole::Saturation)
            }),
            resources_measured: group.measures_resources,
            load: group
                .strongest(|s| s.is_load(scene.config.symptoms.load_rise) && s.class.side != Side::Client),
            traffic_measured: group.measures_traffic,
            change: onset.and_then(|onset| changed_before(scene, onset)),
            changes_looked_at: scene.changes_looked_at(),
            callee: callees.iter().any(|c| scene.picture.groups.get(*c).and_then(Group::trouble).is_some()),
            callees_seen: !callees.is_empty(),
            between: cited(scene, &[FindingKind::CallTime]),
            work: cited(
                scene,
                &[
                    FindingKind::WorkMissing,
                    FindingKind::CallsMissing,
                    FindingKind::WorkNew,
                    FindingKind::LogMissing,
                    FindingKind::LogErrors,
                ],
            ),
            own_time: cited(scene, &[FindingKind::SelfTime, FindingKind::CopyTime]),
        }
    }
}

/// What sets `claim` apart. Only what was looked at counts: of what is not measured, nothing can be absent.
pub(super) fn distinctions(scene: &Scene<'_>, claim: &Claim) -> Vec<Distinction> {
    let mut told = claim.distinctions.clone();
    if claim.system.is_some() {
        // The facts are the suspect's, not those of whom the claim blames.
        return told;
    }
    let untold = Group::default();
    let group = scene.picture.groups.get(&scene.system).unwrap_or(&untold);
    let facts = Facts::of(scene, group);
    for (from, statement, evidence) in facts.apart(scene, claim) {
        if from != claim.fault && !told.iter().any(|d| d.from == from) {
            told.push(Distinction::new(from, statement, evidence));
        }
    }
    told
}

/// Neighbours of a kind of fault: what to read, the question, the answers that confirm and refute the kind against the neighbour.
type Question = (FaultType, Signal, &'static str, &'static str, &'static str);

fn questions(fault: FaultType) -> &'static [Question] {
    use FaultType::{Code, Config, Dependency, Hardware, Load, Network, ResourceExhaustion, Security};
    match fault {
        Config => &[
            (
                Code,
                Signal::Changes,
                "whether a setting or code of it was changed",
                "a setting",
                "code or image",
            ),
            (
                Dependency,
                Signal::Traces,
                "whether those it needs answer as before",
                "they answer as before, and it gives up or waits by its own limits",
                "they answer late or not at all",
            ),
        ],
        ResourceExhaustion => &[
            (
                Load,
                Signal::Metrics,
                "whether it is sent more than before",
                "as much as before",
                "more, before it ran out",
            ),
            (
                Config,
                Signal::Changes,
                "whether a limit or size of it was changed",
                "none was",
                "a limit fell before",
            ),
        ],
        Code => &[
            (Config, Signal::Changes, "what was deployed or set of it", "code or image", "a setting only"),
            (
                Network,
                Signal::Traces,
                "whether its own work differs, or the way to it",
                "its own work",
                "the way to it",
            ),
            (
                ResourceExhaustion,
                Signal::Metrics,
                "whether it ran out of anything",
                "nothing ran out",
                "something did",
            ),
        ],
        Network => &[
            (
                Dependency,
                Signal::Traces,
                "whether time is lost on the way to it or within it",
                "on the way, at several of its callers",
                "within it, or at one caller only",
            ),
            (
                ResourceExhaustion,
                Signal::Metrics,
                "whether it ran out of anything",
                "nothing ran out",
                "something did",
            ),
        ],
        Hardware => &[(
            Code,
            Signal::Logs,
            "what the kernel and drivers say",
            "errors of the device",
            "nothing about it",
        )],
        Dependency => &[(
            Network,
            Signal::Traces,
            "whether it answers others as late",
            "all who call it wait",
            "one caller waits: the way between them",
        )],
        Load => &[(
            Security,
            Signal::Logs,
            "who sends more, and what",
            "known callers with usual work",
            "unknown ones, or refused work",
        )],
        Security => {
            &[(Config, Signal::Logs, "who is refused", "few sources with many names", "the usual callers")]
        }
        _ => &[],
    }
}

/// What to look at to set `claim` apart from the neighbours that are still open.
pub(super) fn open(scene: &Scene<'_>, claim: &Claim, told: &[Distinction]) -> Vec<Check> {
    let system = claim.system.as_ref().unwrap_or(&scene.system);
    let open = questions(claim.fault).iter().filter(|(from, ..)| !told.iter().any(|d| d.from == *from));
    let ask = |(from, signal, question, confirms, refutes): &Question| {
        let text = format!("{question}: {system} (against {from})");
        scene.ask_about(system, &text, *signal).settled_by(*confirms, *refutes)
    };
    open.map(ask).collect()
}

type Apart = (FaultType, String, Vec<EvidenceId>);

impl Facts<'_, '_> {
    fn apart(&self, scene: &Scene<'_>, claim: &Claim) -> Vec<Apart> {
        let ids = |s: Option<&Symptom<'_>>| -> Vec<EvidenceId> {
            s.map(|s| s.cited.id.clone()).into_iter().collect()
        };
        let mut apart: Vec<Apart> = Vec::new();
        let mut say = |from: FaultType, why: &str, evidence: Vec<EvidenceId>| {
            apart.push((from, why.to_owned(), evidence));
        };
        let change = claim.change.as_ref().and_then(|id| scene.case.change(id));
        let is_image =
            change.is_some_and(|c| matches!(c.change.kind, ChangeKind::Deployment | ChangeKind::Patch));
        match claim.fault {
            FaultType::Config | FaultType::Code => {
                let cited = change.map(|c| c.id.clone()).into_iter().collect::<Vec<_>>();
                match (claim.fault, change.is_some()) {
                    (FaultType::Config, true) if !is_image => {
                        say(
                            FaultType::Code,
                            "what was changed before is a setting, not code or image",
                            cited,
                        );
                    }
                    (FaultType::Code, true) if is_image => {
                        say(
                            FaultType::Config,
                            "what was changed before is code or image, not a setting",
                            cited,
                        );
                    }
                    (FaultType::Code, false) if self.changes_looked_at && self.change.is_none() => {
                        say(FaultType::Config, "nothing was set anew before", Vec::new());
                    }
                    _ => {}
                }
                if !self.work.is_empty() {
                    say(FaultType::Network, "its work itself is another than before", self.work.clone());
                }
                self.no_resource(&mut say);
                self.no_callee(&mut say);
                self.no_load(&mut say);
            }
            FaultType::ResourceExhaustion => {
                self.no_load(&mut say);
                self.no_change(&mut say);
                self.no_callee(&mut say);
            }
            FaultType::Network => {
                if !self.between.is_empty() {
                    say(
                        FaultType::Dependency,
                        "time is lost between caller and callee",
                        self.between.clone(),
                    );
                }
                self.no_resource(&mut say);
                self.no_change(&mut say);
            }
            FaultType::Hardware | FaultType::Security => self.no_change(&mut say),
            FaultType::Dependency => {
                if !self.own_time.is_empty() && self.between.is_empty() {
                    say(
                        FaultType::Network,
                        "its own work takes longer, not the way to it",
                        self.own_time.clone(),
                    );
                }
                self.no_resource(&mut say);
                self.no_load(&mut say);
                self.no_change(&mut say);
            }
            FaultType::Load => {
                if self.load.is_some() {
                    say(FaultType::ResourceExhaustion, "more work came with it", ids(self.load));
                }
                self.no_change(&mut say);
                self.no_callee(&mut say);
            }
            _ => {}
        }
        apart
    }

    fn no_resource(&self, say: &mut impl FnMut(FaultType, &str, Vec<EvidenceId>)) {
        if self.resource.is_none() && self.resources_measured {
            say(
                FaultType::ResourceExhaustion,
                "no resource, pool, lock or queue of it left its norm",
                Vec::new(),
            );
        }
    }

    fn no_load(&self, say: &mut impl FnMut(FaultType, &str, Vec<EvidenceId>)) {
        if self.load.is_none() && self.traffic_measured {
            say(FaultType::Load, "it is not sent more than before", Vec::new());
        }
    }

    fn no_change(&self, say: &mut impl FnMut(FaultType, &str, Vec<EvidenceId>)) {
        if self.change.is_none() && self.changes_looked_at {
            say(FaultType::Config, "nothing of it was changed shortly before", Vec::new());
        }
    }

    fn no_callee(&self, say: &mut impl FnMut(FaultType, &str, Vec<EvidenceId>)) {
        if !self.callee && self.callees_seen {
            say(FaultType::Dependency, "all it needs serves as before", Vec::new());
        }
    }
}
