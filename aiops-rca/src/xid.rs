//! XID errors of NVIDIA's driver: what a code says, and the lines that report one.

/// What an XID error says (NVIDIA, "XID Errors", driver documentation, table of codes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Xid {
    /// A program did what it must not: out-of-range address, illegal instruction, reset channel.
    Application,
    /// Memory lost its contents.
    Memory,
    /// A link between GPUs failed.
    Link,
    /// The device no longer answers.
    Lost,
    /// The device's own firmware or driver failed.
    Driver,
    Other,
}

impl Xid {
    /// Of a code.
    pub(crate) fn of(code: u32) -> Self {
        match code {
            13 | 31 | 43 | 45 | 68 | 69 => Self::Application,
            48 | 63 | 64 | 92 | 94 | 95 | 140 | 171 | 172 => Self::Memory,
            74 | 144..=150 => Self::Link,
            79 => Self::Lost,
            38 | 61 | 62 | 109 | 119 | 120 | 143 => Self::Driver,
            _ => Self::Other,
        }
    }

    /// In words.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Application => "a program's own error",
            Self::Memory => "memory errors",
            Self::Link => "link between GPUs",
            Self::Lost => "fallen off the bus",
            Self::Driver => "driver or firmware",
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
    use super::{Bus, logged};

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
