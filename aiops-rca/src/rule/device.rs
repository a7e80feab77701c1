//! GPUs and their links: which device fails, and whether it is the device at all (DET-12).

use aiops_core::model::{Direction, EvidenceId, FaultType, MetricKind, Signal};

use super::Scene;
use super::claim::Claim;
use super::mechanisms::told;
use crate::picture::{Group, Symptom};
use crate::roles::MetricRole;
use crate::xid::Xid;

/// Mechanisms of this module; what they say of a device, its neighbours' rules need not.
pub(crate) const XID: &str = "gpu xid";
pub(crate) const ECC: &str = "ecc";
pub(crate) const THERMAL: &str = "thermal";
pub(crate) const NVLINK: &str = "nvlink";
pub(crate) const POWER: &str = "power";
pub(crate) const CLOCK: &str = "gpu clock";
pub(crate) const UTILISATION: &str = "gpu utilisation";
pub(crate) const COLLECTIVE: &str = "collective";
/// Registration with the fabric between GPUs.
pub(crate) const FABRIC: &str = "gpu fabric";
/// How much of the time it computes, which utilisation does not tell: a kernel that waits counts as running.
pub(crate) const ACTIVITY: &str = "gpu activity";

pub(crate) const MECHANISMS: [&str; 10] =
    [XID, ECC, THERMAL, NVLINK, POWER, CLOCK, UTILISATION, COLLECTIVE, FABRIC, ACTIVITY];

/// The code of an XID symptom: a label, or the value of the gauge that holds the last code (`DCGM_FI_DEV_XID_ERRORS`).
fn code(s: &Symptom<'_>) -> Option<u32> {
    let labels = &s.anomaly().series.labels;
    let named = ["xid", "xid_code", "err_code", "code"].into_iter().find_map(|l| labels.get(l)?.parse().ok());
    let value = s.anomaly().value;
    let held = s.kind == MetricKind::Gauge && value.fract() == 0.0 && (1.0..=999.0).contains(&value);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number in 1..=999")]
    named.or_else(|| held.then_some(value as u32))
}

struct Device<'s, 'a> {
    scene: &'s Scene<'s>,
    group: &'s Group<'a>,
}

impl<'s, 'a> Device<'s, 'a> {
    fn harmful(&self, mechanism: &str) -> Option<&'s Symptom<'a>> {
        self.group.strongest(|s| s.harmful && s.class.mechanism.as_deref() == Some(mechanism))
    }

    /// Whether it does more than before.
    fn works_more(&self) -> Option<&'s Symptom<'a>> {
        self.group.strongest(|s| {
            let up = s.anomaly().direction() == Direction::Up && s.strength > 0.0;
            up && (s.class.role == MetricRole::Traffic || s.class.mechanism.as_deref() == Some(UTILISATION))
        })
    }

    fn claim(&self, fault: FaultType, mechanism: &str, what: &str, s: &Symptom<'_>, weight: f64) -> Claim {
        let statement = format!("{what} of {}: {}", self.scene.system, told(s));
        let log = "kernel and driver log around the onset (NVRM, Xid)";
        Claim::new(fault, mechanism, statement, weight * s.strength).citing([s.cited.id.clone()]).next(
            self.scene.ask(log, Signal::Logs).settled_by(
                "lines of the driver about this device since the onset",
                "no line about the device: what programs on it did is the likelier cause",
            ),
        )
    }
}

fn ids(symptoms: &[&Symptom<'_>]) -> Vec<EvidenceId> {
    symptoms.iter().map(|s| s.cited.id.clone()).collect()
}

/// Claims about GPUs and their links.
pub(super) fn claims(scene: &Scene<'_>, group: &Group<'_>) -> Vec<Claim> {
    let device = Device { scene, group };
    let mut claims = Vec::new();
    claims.extend(by_xid(&device));
    claims.extend(memory(&device));
    claims.extend(links(&device));
    claims.extend(heat(&device));
    claims.extend(collective(&device));
    claims
}

fn by_xid(device: &Device<'_, '_>) -> Option<Claim> {
    let s = device.harmful(XID)?;
    let seen = ids(&[s]);
    let code = code(s);
    let name = code.map_or_else(|| "XID errors".to_owned(), |c| format!("XID {c}"));
    let claim = match code.map_or(Xid::Other, Xid::of) {
        Xid::Application => device
            .claim(FaultType::Code, "gpu program", &format!("{name} (a program's own error)"), s, 0.9)
            .apart(
                FaultType::Hardware,
                "the code stands for what a program did, and no device counter moved",
                seen,
            ),
        Xid::Memory => {
            device.claim(FaultType::Hardware, ECC, &format!("{name} (memory errors)"), s, 0.95).apart(
                FaultType::Code,
                "the code stands for the device's memory, not for what a program did",
                seen,
            )
        }
        Xid::Link => {
            device.claim(FaultType::Hardware, NVLINK, &format!("{name} (link between GPUs)"), s, 0.95).apart(
                FaultType::Network,
                "the code stands for the link between GPUs, not for the hosts' network",
                seen,
            )
        }
        // Correction and spare rows are there for it.
        Xid::Corrected => {
            device.claim(FaultType::Hardware, ECC, &format!("{name} (memory that was repaired)"), s, 0.5)
        }
        Xid::Lost => device
            .claim(FaultType::Hardware, "gpu lost", &format!("{name} (lost on the bus)"), s, 1.0)
            .apart(FaultType::Code, "the device itself no longer answers", seen),
        Xid::Driver => device
            .claim(FaultType::Hardware, "gpu driver", &format!("{name} (driver or firmware)"), s, 0.8)
            .apart(FaultType::Code, "the code stands for the device's own firmware or driver", seen),
        Xid::Cleanup => device.claim(
            FaultType::Code,
            "gpu program",
            &format!("{name} (cleanup after another error)"),
            s,
            0.1,
        ),
        Xid::Note => device.claim(FaultType::Hardware, "gpu", &format!("{name} (nothing by itself)"), s, 0.1),
        Xid::Other => device.claim(FaultType::Hardware, "gpu", &name, s, 0.6),
    };
    Some(claim)
}

fn memory(device: &Device<'_, '_>) -> Option<Claim> {
    let uncorrected = |s: &Symptom<'_>| {
        let name = crate::roles::Words::of(&s.anomaly().series.name);
        ["dbe", "uncorrectable", "uncorrected", "double bit", "remap failure"]
            .iter()
            .any(|w| name.contain(&crate::roles::Words::of(w)))
    };
    let of = |s: &Symptom<'_>| s.harmful && s.class.mechanism.as_deref() == Some(ECC);
    let grave = device.group.strongest(|s| of(s) && uncorrected(s));
    let s = grave.or_else(|| device.harmful(ECC))?;
    // Corrected errors are what correction is for; only a storm of them foretells more.
    let (what, weight) =
        if grave.is_some() { ("uncorrected memory errors", 0.95) } else { ("corrected memory errors", 0.5) };
    let claim = device.claim(FaultType::Hardware, ECC, what, s, weight);
    Some(claim.apart(FaultType::ResourceExhaustion, "memory loses contents; it does not run out", ids(&[s])))
}

fn links(device: &Device<'_, '_>) -> Option<Claim> {
    let s = device.harmful(NVLINK)?;
    let claim = device.claim(FaultType::Hardware, NVLINK, "errors on links between GPUs", s, 0.95);
    Some(claim.apart(FaultType::Network, "the links' own error counters rise", ids(&[s])))
}

/// Throttling is a clock that falls while it is hot; heat under more work is heat.
fn heat(device: &Device<'_, '_>) -> Option<Claim> {
    let slower = device.group.strongest(|s| {
        s.class.mechanism.as_deref() == Some(CLOCK) && s.anomaly().direction() == Direction::Down
    });
    if let Some(hot) = device.harmful(THERMAL) {
        let violation = hot.class.role == MetricRole::Saturation;
        let throttled = slower.filter(|_| !violation).or(violation.then_some(hot));
        let claim = match (throttled, device.works_more()) {
            (Some(s), _) => device
                .claim(FaultType::Hardware, THERMAL, "thermal throttling", hot, 0.9)
                .citing(ids(&[s]))
                .apart(
                    FaultType::Load,
                    "its clock falls while it is hot: it does less, not more",
                    ids(&[s, hot]),
                ),
            (None, Some(_)) => device.claim(FaultType::Hardware, THERMAL, "heat under more work", hot, 0.1),
            (None, None) => device
                .claim(FaultType::Hardware, THERMAL, "heat without more work", hot, 0.5)
                .apart(FaultType::Load, "it does no more than before", Vec::new()),
        };
        return Some(claim);
    }
    let capped = device.harmful(POWER)?;
    let claim = device.claim(FaultType::ResourceExhaustion, POWER, "power cap reached", capped, 0.7);
    let cool = "its clock is held back by power, and no temperature left its norm";
    Some(claim.citing(ids(&slower.into_iter().collect::<Vec<_>>())).apart(
        FaultType::Hardware,
        cool,
        ids(&[capped]),
    ))
}

/// Everybody waits for everybody: the one whose link, device or network errs is the reason; without such a one, the program.
fn collective(device: &Device<'_, '_>) -> Option<Claim> {
    let s = device.harmful(COLLECTIVE)?;
    if device.harmful(XID).or(device.harmful(NVLINK)).or(device.harmful(ECC)).is_some() {
        return None;
    }
    let network = device.harmful("network");
    let claim = match network {
        Some(n) => device
            .claim(
                FaultType::Network,
                "collective hang",
                "a collective operation waits, over a network that errs",
                s,
                0.8,
            )
            .citing(ids(&[n]))
            .apart(
                FaultType::Hardware,
                "the hosts' network errs, and no link or device counter moved",
                ids(&[n]),
            ),
        None => device
            .claim(FaultType::Code, "collective hang", "a collective operation waits", s, 0.6)
            .apart(FaultType::Hardware, "no device, link or network counter moved", Vec::new()),
    };
    Some(claim)
}
