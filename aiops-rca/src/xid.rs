//! XID errors of NVIDIA's driver: what a code says, and the lines that report one.

/// What an XID error says (NVIDIA, *XID errors*, catalogue: <https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html>).
///
/// `aiops-detect` has the whole catalogue; a test holds the two together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Xid {
    /// A program did what it must not: out-of-range address, illegal instruction, reset channel, a stream of commands that is no such.
    Application,
    /// Memory lost its contents, or can no longer be repaired.
    Memory,
    /// Memory was repaired, or corrects itself more often than usual.
    Corrected,
    /// A link between GPUs failed.
    Link,
    /// The device no longer answers on the bus.
    Lost,
    /// The device's own firmware or driver failed.
    Driver,
    /// A channel was cleared away after another error, or because its program ended.
    Cleanup,
    /// Nothing by itself: it informs, or says something about another error.
    Note,
    /// Not known to be grave.
    Other,
}

impl Xid {
    /// Of a code.
    pub(crate) fn of(code: u32) -> Self {
        match code {
            8
            | 11
            | 13
            | 25
            | 31
            | 32
            | 39..=41
            | 43
            | 60
            | 68..=72
            | 75..=77
            | 80
            | 82..=86
            | 88
            | 89
            | 96..=105
            | 126..=135
            | 139
            | 141
            | 142
            | 159 => Self::Application,
            48 | 64 | 94 | 95 | 140 | 157 | 161 | 168 | 171 | 172 => Self::Memory,
            63 | 92 | 156 | 160 => Self::Corrected,
            74 | 136 | 144..=150 | 155 | 166 | 170 => Self::Link,
            79 | 167 => Self::Lost,
            // 61 is of generations before the catalogue.
            46 | 61 | 62 | 109 | 110 | 119 | 120 | 143 | 158 | 169 => Self::Driver,
            45 => Self::Cleanup,
            37 | 38 | 44 | 66 | 67 | 93 | 106 | 107 | 121 | 137 | 152..=154 | 162 => Self::Note,
            _ => Self::Other,
        }
    }

    /// Whether it tells a failure, and not what follows from one or harms nobody.
    pub(crate) fn is_failure(self) -> bool {
        !matches!(self, Self::Corrected | Self::Cleanup | Self::Note)
    }

    /// In words.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Application => "a program's own error",
            Self::Memory => "memory errors",
            Self::Corrected => "memory that was repaired",
            Self::Link => "link between GPUs",
            Self::Lost => "lost on the bus",
            Self::Driver => "driver or firmware",
            Self::Cleanup => "cleanup after another error",
            Self::Note => "nothing by itself",
            Self::Other => "device error",
        }
    }
}

/// Address on the PCI bus and code of `NVRM: Xid (PCI:0000:1b:00): 79, …`; `None` for other lines, those of switches (`SXid`) among them.
pub(crate) fn logged(body: &str) -> Option<(Bus, u32)> {
    let (before, rest) = body.split_once("Xid (")?;
    if before.ends_with(char::is_alphanumeric) {
        return None;
    }
    let (address, rest) = rest.split_once(')')?;
    let digits = rest.trim_start_matches([':', ' ']).split(|c: char| !c.is_ascii_digit()).next()?;
    Some((Bus::of(address)?, digits.parse().ok()?))
}

/// Domain, bus and device on PCI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bus(u32, u32, u32);

impl Bus {
    /// The address at the end of a text, whether it names the function or not: `PCI:0000:1b:00`, `00000000:1B:00.0`, `node-7/0000:1b:00`.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let last = text.rsplit('/').next()?.trim();
        let last = last.split_once('.').map_or(last, |(address, _)| address);
        let mut parts = last.rsplit(':').map(|part| u32::from_str_radix(part, 16));
        let (device, bus, domain) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
        Some(Self(domain, bus, device))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aiops_core::model::Severity;
    use aiops_detect::gpu::xid::{XIDS, XidAction, XidClass, lookup};

    use super::{Bus, Xid, logged};

    /// What the catalogue's entry comes to here.
    fn of_catalogue(code: u32, class: XidClass, severity: Severity, action: XidAction) -> Xid {
        match (class, severity, action) {
            (XidClass::Application, ..) => Xid::Application,
            (XidClass::Sympathetic, ..) if code == 45 => Xid::Cleanup,
            (XidClass::Sympathetic, ..) | (_, Severity::Info, _) => Xid::Note,
            // Rows, pages and channels that were retired, and corrected errors.
            (XidClass::Memory, Severity::Warning, XidAction::None) => Xid::Corrected,
            (XidClass::Memory, ..) if matches!(code, 92 | 156) => Xid::Corrected,
            (XidClass::Memory, ..) => Xid::Memory,
            (XidClass::Nvlink, ..) => Xid::Link,
            // What is over when the program is started anew was the program's.
            (XidClass::Bus, _, XidAction::RestartApp) => Xid::Application,
            (XidClass::Bus, ..) => Xid::Lost,
            (XidClass::Driver, Severity::Critical, _) => Xid::Driver,
            _ => Xid::Other,
        }
    }

    #[test]
    fn codes_mean_what_the_catalogue_of_detectors_says() {
        let differ: BTreeMap<u32, (Xid, Xid)> = XIDS
            .iter()
            .map(|x| (x.code, (Xid::of(x.code), of_catalogue(x.code, x.class, x.severity, x.action))))
            .filter(|(_, (here, there))| here != there)
            .collect();
        assert!(differ.is_empty(), "{differ:?}");
        let unknown: Vec<u32> =
            (0..=999).filter(|code| Xid::of(*code) != Xid::Other && lookup(*code).is_none()).collect();
        assert_eq!(unknown, [61], "of generations before the catalogue");
    }

    #[test]
    fn addresses_are_the_same_however_they_are_written() {
        let known = Bus::of("PCI:0000:1b:00");
        assert!(known.is_some());
        for text in ["0000:1B:00", "00000000:1B:00.0", "node-7/0000:1b:00", " 0:1b:0 "] {
            assert_eq!(Bus::of(text), known, "{text}");
        }
        for text in ["", "gpu-3", "1b:00", "☃:☃:☃", "0000:1c:zz", ":::"] {
            assert_eq!(Bus::of(text), None, "{text}");
        }
        assert_ne!(Bus::of("0000:43:00"), known);
    }

    #[test]
    fn lines_of_the_driver_are_read_and_others_are_not() {
        let line = "NVRM: Xid (PCI:0000:1b:00): 79, pid='<unknown>', GPU has fallen off the bus.";
        assert_eq!(logged(line).map(|(_, code)| code), Some(79));
        for text in [
            "nvidia-nvswitch2: SXid (PCI:0000:86:00.0): 20034, Fatal, Link 42",
            "Xid (",
            "Xid (PCI:0000:1b:00)",
            "Xid (PCI:0000:1b:00): none",
            "Xid (☃): 79",
            "Xid (PCI:0000:1b:00): 99999999999999",
        ] {
            assert_eq!(logged(text), None, "{text}");
        }
    }
}
