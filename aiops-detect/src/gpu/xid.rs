//! XID errors: what the NVIDIA driver logs, how grave it is and what is usually done (NVIDIA, *XID errors*, catalogue for Ampere
//! and later: <https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html>).
//!
//! Codes that the catalogue marks as unused are left out. The action is the catalogue's immediate one, its workflows reduced
//! to their first step; of codes 162 to 172, whose action the catalogue leaves open, and of every severity, which it does not state, the
//! entries here are this crate's: critical is what takes the GPU, or its memory, out of service.

use aiops_core::model::Severity;

/// Where the trouble is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum XidClass {
    /// What runs on the GPU, most often: a bad pointer, a bad kernel.
    Application,
    /// Driver or firmware.
    Driver,
    /// GPU memory and its ECC.
    Memory,
    /// NVLink and chip-to-chip links.
    Nvlink,
    /// PCIe.
    Bus,
    /// Power.
    Power,
    /// Follows from another XID, or says something about one.
    Sympathetic,
}

/// What is usually done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum XidAction {
    /// Nothing by itself; look for other XIDs.
    None,
    /// Restart what ran on the GPU.
    RestartApp,
    /// Drain the GPU and reset it.
    ResetGpu,
    /// Drain the node and restart it.
    RestartNode,
    /// Restart the virtual machine.
    RestartVm,
    /// Look at the NVLink counters and the fabric manager; reset the GPUs of the link.
    CheckNvlink,
    /// Look at cables and power.
    CheckMechanicals,
    /// Bring driver and firmware up to date.
    UpdateSoftware,
    /// Let the vendor look at it.
    ContactSupport,
}

impl std::fmt::Display for XidAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "none by itself",
            Self::RestartApp => "restart the application",
            Self::ResetGpu => "drain and reset the GPU",
            Self::RestartNode => "drain and restart the node",
            Self::RestartVm => "restart the virtual machine",
            Self::CheckNvlink => "check NVLink and the fabric manager",
            Self::CheckMechanicals => "check cables and power",
            Self::UpdateSoftware => "update driver and firmware",
            Self::ContactSupport => "contact support",
        })
    }
}

/// One code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Xid {
    /// Its number.
    pub code: u32,
    /// Its name in the driver.
    pub mnemonic: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Where the trouble is.
    pub class: XidClass,
    /// How grave one is.
    pub severity: Severity,
    /// What is usually done.
    pub action: XidAction,
}

const fn xid(
    code: u32,
    mnemonic: &'static str,
    meaning: &'static str,
    class: XidClass,
    severity: Severity,
    action: XidAction,
) -> Xid {
    Xid { code, mnemonic, meaning, class, severity, action }
}

/// What is known of `code`; codes of newer drivers are not.
///
/// ```
/// use aiops_detect::gpu::xid::{XidAction, lookup};
/// assert_eq!(lookup(79).map(|x| x.action), Some(XidAction::RestartNode));
/// assert_eq!(lookup(9999), None);
/// ```
#[must_use]
pub fn lookup(code: u32) -> Option<&'static Xid> {
    XIDS.binary_search_by_key(&code, |xid| xid.code).ok().and_then(|at| XIDS.get(at))
}

/// An XID as the kernel logs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logged<'l> {
    /// PCI address of the GPU, `0000:3b:00`.
    pub pci: &'l str,
    /// Code.
    pub code: u32,
}

/// Reads `NVRM: Xid (PCI:0000:3b:00): 79, pid=…`, with or without `PCI:`; `None` for any other line.
///
/// ```
/// use aiops_detect::gpu::xid::parse;
/// let logged = parse("[ 12.3] NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen off the bus.").ok_or("none")?;
/// assert_eq!((logged.pci, logged.code), ("0000:3b:00", 79));
/// assert_eq!(parse("nvidia-nvswitch0: SXid (PCI:0000:c1:00.0): 20034, Fatal"), None);
/// # Ok::<(), &str>(())
/// ```
#[must_use]
pub fn parse(line: &str) -> Option<Logged<'_>> {
    let (_, rest) = line.split_once("NVRM: Xid (")?;
    let (pci, rest) = rest.split_once(')')?;
    let code = rest.trim_start_matches([':', ' ']);
    let digits = code.find(|c: char| !c.is_ascii_digit()).unwrap_or(code.len());
    let code = code.get(..digits)?.parse().ok()?;
    Some(Logged { pci: pci.strip_prefix("PCI:").unwrap_or(pci), code })
}

use Severity::{Critical, Info, Warning};
use XidAction::{
    CheckMechanicals, CheckNvlink, ContactSupport, None as NoAction, ResetGpu, RestartApp, RestartNode,
    RestartVm, UpdateSoftware,
};
use XidClass::{Application, Bus, Driver, Memory, Nvlink, Power, Sympathetic};

/// The codes in use, ascending.
#[rustfmt::skip]
pub const XIDS: &[Xid] = &[
    xid(8, "ROBUST_CHANNEL_FIFO_ERROR_IDLE_TIMEOUT", "GPU stopped processing", Application, Warning, RestartApp),
    xid(11, "ROBUST_CHANNEL_GR_ERROR_MISSING_HW", "invalid or corrupted push buffer stream", Application, Warning, RestartApp),
    xid(13, "ROBUST_CHANNEL_GR_EXCEPTION", "graphics engine exception", Application, Warning, RestartApp),
    xid(25, "ROBUST_CHANNEL_GR_ILLEGAL_NOTIFY", "invalid or illegal push buffer stream", Application, Warning, RestartApp),
    xid(31, "ROBUST_CHANNEL_FIFO_ERROR_MMU_ERR_FLT", "GPU memory page fault", Application, Warning, RestartApp),
    xid(32, "ROBUST_CHANNEL_PBDMA_ERROR", "invalid or corrupted push buffer stream", Application, Warning, RestartApp),
    xid(37, "ROBUST_CHANNEL_FECS_ERR_UNIMP_FIRMWARE_METHOD", "driver firmware error", Driver, Info, NoAction),
    xid(38, "ROBUST_CHANNEL_FECS_ERR_WATCHDOG_TIMEOUT", "driver firmware error", Driver, Info, NoAction),
    xid(39, "ROBUST_CHANNEL_CE0_ERROR", "copy engine exception", Application, Warning, RestartApp),
    xid(40, "ROBUST_CHANNEL_CE1_ERROR", "copy engine exception", Application, Warning, RestartApp),
    xid(41, "ROBUST_CHANNEL_CE2_ERROR", "copy engine exception", Application, Warning, RestartApp),
    xid(43, "ROBUST_CHANNEL_RESETCHANNEL_VERIF_ERROR", "GPU stopped processing", Application, Info, NoAction),
    xid(44, "ROBUST_CHANNEL_GR_FAULT_DURING_CTXSW", "graphics engine fault during context switch", Driver, Info, NoAction),
    xid(45, "ROBUST_CHANNEL_PREEMPTIVE_REMOVAL", "preemptive cleanup, due to previous errors", Sympathetic, Info, NoAction),
    xid(46, "ROBUST_CHANNEL_GPU_TIMEOUT_ERROR", "GPU stopped processing", Driver, Critical, ResetGpu),
    xid(48, "ROBUST_CHANNEL_GPU_ECC_DBE", "double-bit ECC error", Memory, Critical, ResetGpu),
    xid(54, "SILENT_RUNNING_PWR_REDUCED_CLOCKING", "auxiliary power is not connected to the GPU board", Power, Critical, CheckMechanicals),
    xid(60, "ROBUST_CHANNEL_SEC2_ERROR", "video processor exception", Application, Warning, RestartApp),
    xid(62, "PMU_HALT_ERROR", "internal micro-controller halt", Driver, Critical, ResetGpu),
    xid(63, "INFOROM_DRAM_RETIREMENT_EVENT", "memory row remapped, or page retired", Memory, Warning, NoAction),
    xid(64, "INFOROM_DRAM_RETIREMENT_FAILURE", "row remapping, or page retirement, failed", Memory, Critical, ResetGpu),
    xid(66, "ROBUST_CHANNEL_FECS_ERR_REG_ACCESS_VIOLATION", "illegal access by driver", Driver, Info, NoAction),
    xid(67, "ROBUST_CHANNEL_FECS_ERR_VERIF_VIOLATION", "illegal access by driver", Driver, Info, NoAction),
    xid(68, "ROBUST_CHANNEL_NVDEC0_ERROR", "NVDEC0 exception", Application, Warning, RestartApp),
    xid(69, "ROBUST_CHANNEL_GR_CLASS_ERROR", "graphics engine class error", Application, Warning, RestartApp),
    xid(70, "ROBUST_CHANNEL_CE3_ERROR", "copy engine 3 error", Application, Warning, RestartApp),
    xid(71, "ROBUST_CHANNEL_CE4_ERROR", "copy engine 4 error", Application, Warning, RestartApp),
    xid(72, "ROBUST_CHANNEL_CE5_ERROR", "copy engine 5 error", Application, Warning, RestartApp),
    xid(74, "NVLINK_ERROR", "NVLink error", Nvlink, Critical, CheckNvlink),
    xid(75, "ROBUST_CHANNEL_CE6_ERROR", "copy engine 6 error", Application, Warning, RestartApp),
    xid(76, "ROBUST_CHANNEL_CE7_ERROR", "copy engine 7 error", Application, Warning, RestartApp),
    xid(77, "ROBUST_CHANNEL_CE8_ERROR", "copy engine 8 error", Application, Warning, RestartApp),
    xid(78, "VGPU_START_ERROR", "vGPU start error", Driver, Warning, UpdateSoftware),
    xid(79, "ROBUST_CHANNEL_GPU_HAS_FALLEN_OFF_THE_BUS", "GPU has fallen off the bus", Bus, Critical, RestartNode),
    xid(80, "PBDMA_PUSHBUFFER_CRC_MISMATCH", "corrupted data sent to GPU", Bus, Warning, RestartApp),
    xid(82, "ROBUST_CHANNEL_NVJPG0_ERROR", "NVJPG0 error", Application, Warning, RestartApp),
    xid(83, "ROBUST_CHANNEL_NVDEC1_ERROR", "NVDEC1 error", Application, Warning, RestartApp),
    xid(84, "ROBUST_CHANNEL_NVDEC2_ERROR", "NVDEC2 error", Application, Warning, RestartApp),
    xid(85, "ROBUST_CHANNEL_CE9_ERROR", "copy engine 9 error", Application, Warning, RestartApp),
    xid(86, "ROBUST_CHANNEL_OFA0_ERROR", "OFA exception", Application, Warning, RestartApp),
    xid(88, "ROBUST_CHANNEL_NVDEC3_ERROR", "NVDEC3 error", Application, Warning, RestartApp),
    xid(89, "ROBUST_CHANNEL_NVDEC4_ERROR", "NVDEC4 error", Application, Warning, RestartApp),
    xid(92, "EXCESSIVE_SBE_INTERRUPTS", "high single-bit ECC error rate", Memory, Warning, ContactSupport),
    xid(93, "INFOROM_ERASE_LIMIT_EXCEEDED", "provisioned InfoROM wear limit exceeded", Driver, Info, NoAction),
    xid(94, "ROBUST_CHANNEL_CONTAINED_ERROR", "contained memory error", Memory, Warning, RestartApp),
    xid(95, "ROBUST_CHANNEL_UNCONTAINED_ERROR", "uncontained memory error", Memory, Critical, ResetGpu),
    xid(96, "ROBUST_CHANNEL_NVDEC5_ERROR", "NVDEC5 error", Application, Warning, RestartApp),
    xid(97, "ROBUST_CHANNEL_NVDEC6_ERROR", "NVDEC6 error", Application, Warning, RestartApp),
    xid(98, "ROBUST_CHANNEL_NVDEC7_ERROR", "NVDEC7 error", Application, Warning, RestartApp),
    xid(99, "ROBUST_CHANNEL_NVJPG1_ERROR", "NVJPG1 error", Application, Warning, RestartApp),
    xid(100, "ROBUST_CHANNEL_NVJPG2_ERROR", "NVJPG2 error", Application, Warning, RestartApp),
    xid(101, "ROBUST_CHANNEL_NVJPG3_ERROR", "NVJPG3 error", Application, Warning, RestartApp),
    xid(102, "ROBUST_CHANNEL_NVJPG4_ERROR", "NVJPG4 error", Application, Warning, RestartApp),
    xid(103, "ROBUST_CHANNEL_NVJPG5_ERROR", "NVJPG5 error", Application, Warning, RestartApp),
    xid(104, "ROBUST_CHANNEL_NVJPG6_ERROR", "NVJPG6 error", Application, Warning, RestartApp),
    xid(105, "ROBUST_CHANNEL_NVJPG7_ERROR", "NVJPG7 error", Application, Warning, RestartApp),
    xid(106, "SMBPBI_TEST_MESSAGE", "SMBPBI test message", Sympathetic, Info, NoAction),
    xid(107, "SMBPBI_TEST_MESSAGE_SILENT", "silent SMBPBI test message", Sympathetic, Info, NoAction),
    xid(109, "ROBUST_CHANNEL_CTXSW_TIMEOUT_ERROR", "context switch timeout", Driver, Critical, ResetGpu),
    xid(110, "SEC_FAULT_ERROR", "security fault", Driver, Critical, ResetGpu),
    xid(119, "GSP_RPC_TIMEOUT", "GSP RPC timeout", Driver, Critical, ResetGpu),
    xid(120, "GSP_ERROR", "GSP error", Driver, Critical, ResetGpu),
    xid(121, "C2C_ERROR", "chip-to-chip link error", Nvlink, Info, NoAction),
    xid(126, "ROBUST_CHANNEL_CE10_ERROR", "copy engine 10 error", Application, Warning, RestartApp),
    xid(127, "ROBUST_CHANNEL_CE11_ERROR", "copy engine 11 error", Application, Warning, RestartApp),
    xid(128, "ROBUST_CHANNEL_CE12_ERROR", "copy engine 12 error", Application, Warning, RestartApp),
    xid(129, "ROBUST_CHANNEL_CE13_ERROR", "copy engine 13 error", Application, Warning, RestartApp),
    xid(130, "ROBUST_CHANNEL_CE14_ERROR", "copy engine 14 error", Application, Warning, RestartApp),
    xid(131, "ROBUST_CHANNEL_CE15_ERROR", "copy engine 15 error", Application, Warning, RestartApp),
    xid(132, "ROBUST_CHANNEL_CE16_ERROR", "copy engine 16 error", Application, Warning, RestartApp),
    xid(133, "ROBUST_CHANNEL_CE17_ERROR", "copy engine 17 error", Application, Warning, RestartApp),
    xid(134, "ROBUST_CHANNEL_CE18_ERROR", "copy engine 18 error", Application, Warning, RestartApp),
    xid(135, "ROBUST_CHANNEL_CE19_ERROR", "copy engine 19 error", Application, Warning, RestartApp),
    xid(136, "ALI_TRAINING_FAIL", "link training failed", Nvlink, Critical, ResetGpu),
    xid(137, "NVLINK_PRIV_ERR", "NVLink privilege error", Nvlink, Info, NoAction),
    xid(139, "ROBUST_CHANNEL_OFA1_ERROR", "OFA1 error", Application, Warning, RestartApp),
    xid(140, "UNRECOVERABLE_ECC_ERROR_ESCAPE", "unrecovered ECC error", Memory, Critical, ResetGpu),
    xid(141, "ROBUST_CHANNEL_FAST_PATH_ERROR", "CUDA fast path error", Application, Info, NoAction),
    xid(142, "ROBUST_CHANNEL_NVENC3_ERROR", "NVENC3 error", Application, Warning, ContactSupport),
    xid(143, "GPU_INIT_ERROR", "GPU initialisation error", Driver, Critical, ResetGpu),
    xid(144, "NVLINK_SAW_ERROR", "NVLink SAW error", Nvlink, Critical, CheckNvlink),
    xid(145, "NVLINK_RLW_ERROR", "NVLink RLW error", Nvlink, Critical, CheckNvlink),
    xid(146, "NVLINK_TLW_ERROR", "NVLink TLW error", Nvlink, Critical, CheckNvlink),
    xid(147, "NVLINK_TREX_ERROR", "NVLink TREX error", Nvlink, Critical, CheckNvlink),
    xid(148, "NVLINK_NVLPW_CTRL_ERROR", "NVLink NVLPW_CTRL error", Nvlink, Critical, CheckNvlink),
    xid(149, "NVLINK_NETIR_ERROR", "NVLink NETIR error", Nvlink, Critical, CheckNvlink),
    xid(150, "NVLINK_MSE_ERROR", "NVLink MSE error", Nvlink, Critical, CheckNvlink),
    xid(151, "ROBUST_CHANNEL_KEY_ROTATION_ERROR", "key rotation error", Driver, Warning, RestartVm),
    xid(152, "ROBUST_CHANNEL_DLA_SMMU_ERROR", "DLA SMMU error", Driver, Info, NoAction),
    xid(153, "ROBUST_CHANNEL_DLA_TIMEOUT", "DLA timeout", Driver, Info, NoAction),
    xid(154, "GPU_RECOVERY_ACTION_CHANGED", "recommended recovery action changed", Sympathetic, Info, NoAction),
    xid(155, "NVLINK_SW_DEFINED_ERROR", "NVLink error defined by software", Nvlink, Critical, ResetGpu),
    xid(156, "RESOURCE_RETIREMENT_EVENT", "resource retired", Memory, Warning, ResetGpu),
    xid(157, "RESOURCE_RETIREMENT_FAILURE", "resource retirement failed", Memory, Critical, ContactSupport),
    xid(158, "GPU_FATAL_TIMEOUT", "fatal GPU timeout", Driver, Critical, ResetGpu),
    xid(159, "ROBUST_CHANNEL_CHI_NON_DATA_ERROR", "CHI non-data error", Bus, Warning, RestartApp),
    xid(160, "CHANNEL_RETIREMENT_EVENT", "memory channel retired", Memory, Warning, NoAction),
    xid(161, "CHANNEL_RETIREMENT_FAILURE", "memory channel retirement failed", Memory, Warning, ContactSupport),
    xid(162, "PSHC_REENGAGED", "power smoothing engaged again", Power, Info, NoAction),
    xid(163, "PSHC_DISENGAGED", "power smoothing disengaged", Power, Warning, ContactSupport),
    xid(164, "PSHC_LOW_LIFETIME", "power smoothing has little lifetime left", Power, Warning, ContactSupport),
    xid(165, "PSHC_ZERO_LIFETIME", "power smoothing has no lifetime left", Power, Warning, ContactSupport),
    xid(166, "NVLINK_SECURE_CRYPTO_ERR", "NVLink traffic before encryption was configured", Nvlink, Critical, CheckNvlink),
    xid(167, "PCIE_FATAL_TIMEOUT", "fatal PCIe timeout", Bus, Critical, RestartNode),
    xid(168, "REDUCED_GPU_MEMORY_CAPACITY", "errors in the write-protected region: less memory", Memory, Warning, ContactSupport),
    xid(169, "SEC2_HALT_ERROR", "internal micro-controller halt", Driver, Critical, ResetGpu),
    xid(170, "NVLINK_SECURE_OTHER", "NVLink interrupt in confidential computing mode", Nvlink, Warning, CheckNvlink),
    xid(171, "UNCORRECTABLE_DRAM_ERROR", "uncorrectable DRAM error, particulars of a 48", Memory, Critical, ResetGpu),
    xid(172, "UNCORRECTABLE_SRAM_ERROR", "uncorrectable SRAM error, particulars of a 48", Memory, Critical, ResetGpu),
];
