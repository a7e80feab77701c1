//! Lines that NCCL, PyTorch, the driver and the fabric manager write when something is wrong.

use aiops_core::model::Severity;

/// What a line is a sign of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Sign {
    /// A collective did not finish in time.
    CollectiveTimeout,
    /// A peer of a collective is gone or unreachable.
    PeerLost,
    /// Ranks are in different collectives.
    Desynchronised,
    /// The NVSwitch fabric, or its manager, failed.
    Fabric,
    /// CUDA cannot start since the fabric is not up.
    NotReady,
    /// The GPU or its driver failed.
    Device,
}

/// A line to look for: all of `parts` occur in it, in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// Pieces of text, in lower case; case does not matter.
    pub parts: &'static [&'static str],
    /// What it is a sign of.
    pub sign: Sign,
    /// How grave a single one is.
    pub severity: Severity,
    /// Who writes it.
    pub writer: &'static str,
}

const fn line(
    parts: &'static [&'static str],
    sign: Sign,
    severity: Severity,
    writer: &'static str,
) -> Signature {
    Signature { parts, sign, severity, writer }
}

/// The lines that are known, most telling first.
pub const SIGNATURES: &[Signature] = &[
    line(
        &["watchdog caught collective operation timeout"],
        Sign::CollectiveTimeout,
        Severity::Critical,
        "PyTorch",
    ),
    line(
        &["some nccl operations have failed or timed out"],
        Sign::CollectiveTimeout,
        Severity::Critical,
        "PyTorch",
    ),
    line(&["watchdog", "collective", "timed out"], Sign::CollectiveTimeout, Severity::Critical, "PyTorch"),
    line(&["heartbeat monitor", "hang"], Sign::CollectiveTimeout, Severity::Critical, "PyTorch"),
    line(&["desync", "collective"], Sign::Desynchronised, Severity::Critical, "PyTorch"),
    line(&["collective operations", "do not match"], Sign::Desynchronised, Severity::Critical, "PyTorch"),
    line(&["remote process exited or there was a network error"], Sign::PeerLost, Severity::Warning, "NCCL"),
    line(&["nccl warn", "net/ib", "got completion", "error"], Sign::PeerLost, Severity::Warning, "NCCL"),
    line(&["nccl warn", "connection closed by remote peer"], Sign::PeerLost, Severity::Warning, "NCCL"),
    line(&["nccl warn", "connect", "failed"], Sign::PeerLost, Severity::Warning, "NCCL"),
    line(&["unhandled system error", "nccl"], Sign::PeerLost, Severity::Warning, "NCCL"),
    // "Non-fatal" stands after the same comma.
    line(&["nvswitch", "sxid", ", fatal"], Sign::Fabric, Severity::Critical, "driver"),
    line(&["nvswitch fatal error"], Sign::Fabric, Severity::Critical, "fabric manager"),
    line(&["nvidia-nvswitch", "sxid"], Sign::Fabric, Severity::Warning, "driver"),
    line(&["fabric manager", "failed"], Sign::Fabric, Severity::Critical, "fabric manager"),
    line(&["fabricmanager", "failed"], Sign::Fabric, Severity::Critical, "systemd"),
    line(&["failed to configure", "nvswitch"], Sign::Fabric, Severity::Critical, "fabric manager"),
    line(&["nvlink", "training", "failed"], Sign::Fabric, Severity::Critical, "fabric manager"),
    line(&["fabric manager", "version", "doesn't match"], Sign::Fabric, Severity::Critical, "fabric manager"),
    line(&["system not yet initialized"], Sign::NotReady, Severity::Critical, "CUDA"),
    line(&["cudaerrorsystemnotready"], Sign::NotReady, Severity::Critical, "CUDA"),
    line(&["gpu has fallen off the bus"], Sign::Device, Severity::Critical, "driver"),
    line(&["uncorrectable ecc error"], Sign::Device, Severity::Critical, "CUDA"),
    line(&["rminitadapter failed"], Sign::Device, Severity::Critical, "driver"),
    line(&["unable to determine the device handle"], Sign::Device, Severity::Critical, "nvidia-smi"),
];

/// Longest part of a line that is looked at: driver and library lines say what they are at their beginning.
const LONGEST: usize = 4096;

/// The first signature that fits `line`, or none.
///
/// ```
/// use aiops_detect::gpu::signature::{Sign, recognise};
/// let line = "[Rank 3] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=42, OpType=ALLREDUCE)";
/// assert_eq!(recognise(line).map(|s| s.sign), Some(Sign::CollectiveTimeout));
/// assert_eq!(recognise("NCCL INFO Connected all rings"), None);
/// ```
#[must_use]
pub fn recognise(line: &str) -> Option<&'static Signature> {
    let begin: String = line.chars().take(LONGEST).collect::<String>().to_ascii_lowercase();
    SIGNATURES.iter().find(|signature| signature.parts.iter().all(|part| begin.contains(part)))
}

/// The rank a line of a distributed job speaks of: `[Rank 3]`, `[rank3]`, `rank: 3`.
#[must_use]
pub fn rank_of(line: &str) -> Option<u32> {
    let lower = line.to_ascii_lowercase();
    lower.match_indices("rank").find_map(|(at, word)| {
        let rest = lower.get(at + word.len()..)?;
        let rest = rest.trim_start_matches([' ', ':', '=', '#']);
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    })
}
