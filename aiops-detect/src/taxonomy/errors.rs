use std::fmt;
use std::str::FromStr;

use aiops_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

/// Bytes of a report that are read.
const MAX_TEXT: usize = 64 * 1024;

/// Frames that count: the ones nearest to where it failed.
const FRAMES: usize = 8;

/// What an application says of an error: its kind, its message, and where it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ErrorReport {
    /// Name of the exception or error; empty where it is not told.
    pub kind: String,
    /// What it says.
    pub message: String,
    /// Functions with their modules, the one that failed first.
    pub frames: Vec<String>,
}

impl ErrorReport {
    /// Reads what runtimes print: stack traces of the JVM, Python, JavaScript and .NET, and backtraces of Rust. Of chained
    /// ones the first is read. A text without frames is a message. Only the first 64 KiB are read. O(bytes).
    ///
    /// ```
    /// use aiops_detect::taxonomy::ErrorReport;
    /// let report = ErrorReport::read("java.io.IOException: no route\n\tat shop.Cart.add(Cart.java:31)\n\tat shop.Web.post(Web.java:7)");
    /// assert_eq!(report.kind, "java.io.IOException");
    /// assert_eq!(report.frames, ["shop.Cart.add", "shop.Web.post"]);
    /// ```
    #[must_use]
    pub fn read(text: &str) -> Self {
        let end = (0..=MAX_TEXT.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let text = text.get(..end).unwrap_or_default();
        let python = text.lines().any(|line| line.trim_end() == "Traceback (most recent call last):");
        let mut report = Self::default();
        for raw in text.lines() {
            let line = raw.trim();
            if line.starts_with("Caused by:") || line.starts_with("During handling of") {
                break;
            }
            // Before Python's frames stands only a heading, and among them, indented, their source.
            let source = python && (report.frames.is_empty() || raw.starts_with([' ', '\t']));
            if let Some(frame) = frame(line, python) {
                report.frames.push(frame.to_owned());
            } else if report.message.is_empty() && !line.is_empty() && !source {
                (report.kind, report.message) = head(line);
            }
        }
        if python {
            // Python prints the one that failed last.
            report.frames.reverse();
        }
        report
    }
}

/// The function of a line that is a frame.
fn frame(line: &str, python: bool) -> Option<&str> {
    if python {
        let (_, function) = line.strip_prefix("File \"")?.split_once(", in ")?;
        return Some(function.trim());
    }
    if let Some(at) = line.strip_prefix("at ") {
        // Rust's second line of a frame, and frames without a name, are places alone.
        let name = at.split_once('(').or_else(|| at.split_once(" in ")).map_or(at, |(name, _)| name).trim();
        let place = name.starts_with(['/', '.', '<']) || name.contains("://");
        return (!place && !name.is_empty()).then(|| name.strip_prefix("async ").unwrap_or(name));
    }
    let (number, name) = line.split_once(": ")?;
    let numbered = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let name = name.trim();
    let name = match name.strip_prefix("0x").and_then(|rest| rest.split_once(" - ")) {
        Some((_, name)) => name,
        None => name,
    };
    (numbered && !name.is_empty()).then_some(name)
}

fn is_kind(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '$' | ':'))
}

/// Kind and message of a first line.
fn head(line: &str) -> (String, String) {
    let line = line.strip_prefix("Exception in thread \"main\" ").unwrap_or(line);
    match line.split_once(": ") {
        Some((kind, message)) if is_kind(kind) => (kind.to_owned(), message.trim().to_owned()),
        _ if is_kind(line)
            && (line.contains('.') || line.ends_with("Error") || line.ends_with("Exception")) =>
        {
            (line.to_owned(), line.to_owned())
        }
        _ => (String::new(), line.to_owned()),
    }
}

/// Identity of an application error across hosts, builds and inputs: 128 bits of BLAKE3 over its kind and the functions nearest to where it
/// failed, without what compilers and runtimes number anew, or, where no frames are told, over its message without numbers, ids and quotes.
///
/// Lines and files are no part of it: they change with every build. Every part goes in with its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ErrorFingerprint(u128);

impl ErrorFingerprint {
    /// The fingerprint of a report. O(bytes).
    #[must_use]
    pub fn of(report: &ErrorReport) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut part = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        part(&report.kind);
        let mut last = String::new();
        let mut frames = 0;
        for frame in &report.frames {
            let name = stable(frame);
            // However deep a recursion went.
            if name != last && frames < FRAMES {
                part(&name);
                frames += 1;
            }
            last = name;
        }
        if frames == 0 {
            part(&template(&report.message));
        }
        let bytes: [u8; 16] = hasher.finalize().as_bytes().first_chunk().copied().unwrap_or_default();
        Self(u128::from_le_bytes(bytes))
    }
}

impl fmt::Display for ErrorFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for ErrorFingerprint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        u128::from_str_radix(text, 16).ok().filter(|_| digits).map(Self).ok_or_else(|| {
            Error::new(ErrorKind::Malformed, "a fingerprint is 32 hexadecimal digits").with("text", text)
        })
    }
}

impl TryFrom<String> for ErrorFingerprint {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<ErrorFingerprint> for String {
    fn from(fingerprint: ErrorFingerprint) -> Self {
        fingerprint.to_string()
    }
}

/// A function without what is numbered anew: Rust's hashes, offsets, and the digits of lambdas, proxies and closures.
fn stable(frame: &str) -> String {
    let frame = match frame.rsplit_once("::h") {
        Some((head, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => head,
        _ => frame,
    };
    let frame = match frame.rsplit_once("+0x") {
        Some((head, offset)) if offset.bytes().all(|b| b.is_ascii_hexdigit()) => head,
        _ => frame,
    };
    let mut name = String::with_capacity(frame.len());
    let mut generated = false;
    for c in frame.chars() {
        // After a dollar sign, and in angle brackets, names are made by compilers.
        generated = match c {
            '$' | '<' | '{' => true,
            '.' | '>' | '}' | ':' => false,
            _ => generated,
        };
        if !(generated && c.is_ascii_digit()) {
            name.push(c);
        }
    }
    name
}

/// A message without what differs from one input to the next.
fn template(message: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    let mut quoted = false;
    for word in message.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '"' | '\'' | '`'));
        let opens = bare.starts_with(['"', '\'', '`']);
        let closes = bare.len() > 1 && bare.ends_with(['"', '\'', '`']);
        if quoted || opens {
            if !quoted {
                words.push("*");
            }
            quoted = !closes;
            continue;
        }
        words.push(if bare.bytes().any(|b| b.is_ascii_digit()) { "*" } else { bare });
    }
    words.dedup();
    words.join(" ")
}
