//! Log corpora of our own making, and the floor of log mining.

use std::hash::Hasher as _;
use std::hint::black_box;

use fastrand::Rng;

/// Templates of the mixed corpus: 80 in each of 16 styles.
pub const TEMPLATES: usize = 16 * 80;

const NOUNS: [&str; 48] = [
    "connection",
    "request",
    "session",
    "worker",
    "replica",
    "segment",
    "snapshot",
    "checkpoint",
    "lease",
    "leader",
    "follower",
    "partition",
    "consumer",
    "producer",
    "queue",
    "buffer",
    "cache",
    "index",
    "shard",
    "volume",
    "disk",
    "socket",
    "listener",
    "handler",
    "scheduler",
    "executor",
    "task",
    "job",
    "stage",
    "block",
    "page",
    "journal",
    "transaction",
    "cursor",
    "token",
    "certificate",
    "secret",
    "policy",
    "route",
    "gateway",
    "upstream",
    "backend",
    "container",
    "image",
    "node",
    "cluster",
    "namespace",
    "quota",
];
const VERBS: [&str; 32] = [
    "opened",
    "closed",
    "started",
    "stopped",
    "rejected",
    "accepted",
    "expired",
    "renewed",
    "committed",
    "aborted",
    "flushed",
    "evicted",
    "restored",
    "replayed",
    "assigned",
    "released",
    "scheduled",
    "cancelled",
    "promoted",
    "demoted",
    "attached",
    "detached",
    "mounted",
    "resolved",
    "throttled",
    "retried",
    "dropped",
    "merged",
    "split",
    "rotated",
    "verified",
    "skipped",
];
const LINKS: [&str; 16] = [
    "after",
    "before",
    "while",
    "because of",
    "with",
    "without",
    "from",
    "to",
    "for",
    "by",
    "on behalf of",
    "in",
    "at",
    "due to",
    "during",
    "against",
];
const LEVELS: [&str; 5] = ["INFO", "INFO", "WARN", "DEBUG", "ERROR"];
const USERS: [&str; 40] = [
    "amara", "bruno", "chiara", "deniz", "elif", "farid", "greta", "hana", "ivan", "jonas", "kemal", "lena",
    "marek", "noor", "oskar", "petra", "quinn", "rosa", "sven", "tomas", "ulla", "vera", "wanda", "xenia",
    "yusuf", "zora", "anouk", "bilal", "cleo", "dario", "edda", "fynn", "gita", "henk", "ines", "jana",
    "kai", "lars", "mila", "nils",
];

/// A variable of a template.
#[derive(Debug, Clone, Copy)]
enum Slot {
    Number,
    Decimal,
    Hex,
    Uuid,
    Address,
    Path,
    Id,
    Size,
    User,
}

const SLOTS: [Slot; 9] = [
    Slot::Number,
    Slot::Decimal,
    Slot::Hex,
    Slot::Uuid,
    Slot::Address,
    Slot::Path,
    Slot::Id,
    Slot::Size,
    Slot::User,
];

impl Slot {
    fn write(self, rng: &mut Rng, line: &mut String) {
        use std::fmt::Write as _;
        let _ = match self {
            Self::Number => write!(line, "{}", rng.u32(0..100_000)),
            Self::Decimal => write!(line, "{:.3}", rng.f64() * 1000.0),
            Self::Hex => write!(line, "0x{:08x}", rng.u32(..)),
            Self::Uuid => {
                let (a, b) = (rng.u64(..), rng.u64(..));
                write!(
                    line,
                    "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
                    a >> 32,
                    a >> 16 & 0xffff,
                    a & 0xfff,
                    b >> 52,
                    b & 0xffff_ffff_ffff
                )
            }
            Self::Address => {
                write!(line, "10.{}.{}.{}:{}", rng.u8(..), rng.u8(..), rng.u8(..), rng.u16(1024..))
            }
            Self::Path => {
                write!(line, "/srv/data/part-{:05}/{:06x}.log", rng.u32(0..10_000), rng.u32(0..1 << 24))
            }
            Self::Id => write!(line, "blk_{}", rng.u64(1_000_000_000..9_000_000_000)),
            Self::Size => write!(line, "{}KB", rng.u32(1..9999)),
            Self::User => write!(line, "{}", pick(rng, &USERS)),
        };
    }
}

fn pick<'a>(rng: &mut Rng, words: &[&'a str]) -> &'a str {
    words.get(rng.usize(..words.len())).copied().unwrap_or_default()
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Slot(Slot),
}

/// A message of one style: its header is made for each line, its component belongs to the template.
#[derive(Debug, Clone)]
struct Template {
    style: usize,
    component: String,
    parts: Vec<Part>,
}

impl Template {
    fn new(rng: &mut Rng, style: usize) -> Self {
        let component = format!("{}.{}", pick(rng, &NOUNS), pick(rng, &NOUNS));
        let mut parts = Vec::new();
        let mut text = format!("{} {}", capital(pick(rng, &NOUNS)), pick(rng, &VERBS));
        for _ in 0..rng.usize(1..5) {
            match rng.u8(..4) {
                0 => text.push_str(&format!(" {}=", pick(rng, &NOUNS))),
                1 => text.push_str(&format!(", {}: ", pick(rng, &NOUNS))),
                2 => text.push_str(&format!(" {} {} [", pick(rng, &LINKS), pick(rng, &NOUNS))),
                _ => text.push_str(&format!(" {} {} ", pick(rng, &LINKS), pick(rng, &NOUNS))),
            }
            let bracket = text.ends_with('[');
            parts.push(Part::Text(std::mem::take(&mut text)));
            parts.push(Part::Slot(SLOTS.get(rng.usize(..SLOTS.len())).copied().unwrap_or(Slot::Number)));
            if bracket {
                text.push(']');
            }
            if rng.bool() {
                text.push_str(&format!(" {} {}", pick(rng, &VERBS), pick(rng, &NOUNS)));
            }
        }
        parts.push(Part::Text(text));
        Self { style, component, parts }
    }

    fn write(&self, rng: &mut Rng, n: usize, line: &mut String) {
        header(self.style, &self.component, rng, n, line);
        for part in &self.parts {
            match part {
                Part::Text(text) => line.push_str(text),
                Part::Slot(slot) => slot.write(rng, line),
            }
        }
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

/// Headers in the manner of 16 kinds of systems.
fn header(style: usize, component: &str, rng: &mut Rng, n: usize, line: &mut String) {
    use std::fmt::Write as _;
    let (h, m, s, ms) = (n / 3_600_000 % 24, n / 60_000 % 60, n / 1000 % 60, n % 1000);
    let level = pick(rng, &LEVELS);
    let pid = rng.u16(100..9999);
    let _ = match style {
        0 => write!(line, "Jun {:2} {h:02}:{m:02}:{s:02} web-1 {component}[{pid}]: ", 1 + n % 28),
        1 => write!(line, "0811{:02} {h:02}{m:02}{s:02} {pid} {level} {component}: ", n % 28 + 1),
        2 => write!(line, "2031-10-18 {h:02}:{m:02}:{s:02},{ms:03} {level} [main] {component}: "),
        3 => write!(line, "31/06/09 {h:02}:{m:02}:{s:02} {level} {component}: "),
        4 => write!(line, "2031-05-16 {h:02}:{m:02}:{s:02}.{ms:03} {pid} {level} {component} [-] "),
        5 => write!(line, "[Sun Dec {:2} {h:02}:{m:02}:{s:02} 2031] [{}] ", 1 + n % 28, level.to_lowercase()),
        6 => write!(line, "- {} 2031.06.03 rack-{pid} KERNEL {level} ", 1_900_000_000 + n),
        7 => write!(line, "03-17 {h:02}:{m:02}:{s:02}.{ms:03}  {pid}  {} D {component}: ", pid / 2),
        8 => write!(line, "2031-09-28 {h:02}:{m:02}:{s:02}, {level}                  {component}    "),
        9 => write!(line, "20311223-{h:02}:{m:02}:{s:02}:{ms:03}|{component}|{pid}|"),
        10 => write!(line, "[{}.{ms:06}] {component}: ", n / 1000),
        11 => write!(
            line,
            "ts=2031-07-01T{h:02}:{m:02}:{s:02}.{ms:03}Z level={level} component={component} msg="
        ),
        12 => write!(line, "2031-07-29 {h:02}:{m:02}:{s:02},{ms:03} - {level}  [{component}:{pid}] - "),
        13 => write!(line, "I0701 {h:02}:{m:02}:{s:02}.{ms:06} {pid} {component}.rs:{}] ", pid / 7),
        14 => write!(line, "{pid}:M 01 Jul 2031 {h:02}:{m:02}:{s:02}.{ms:03} * "),
        _ => write!(line, "2031-07-01 {h:02}:{m:02}:{s:02}.{ms:03} UTC [{pid}] {level}:  "),
    };
}

/// Lines in one buffer.
#[derive(Debug, Clone, Default)]
pub struct Corpus {
    /// The lines, each with a line end.
    pub bytes: Vec<u8>,
    /// Number of lines.
    pub lines: usize,
}

impl Corpus {
    /// The lines, without line ends.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        memchr::memchr_iter(b'\n', &self.bytes).map(move |end| {
            let line = self.bytes.get(start..end).unwrap_or_default();
            start = end + 1;
            line
        })
    }
}

/// `lines` lines of [`TEMPLATES`] templates in 16 styles; the k-th most frequent template has a weight of 1/k (Zipf).
#[must_use]
pub fn mixed(lines: usize) -> Corpus {
    let mut rng = Rng::with_seed(16);
    let mut templates: Vec<Template> = (0..TEMPLATES).map(|n| Template::new(&mut rng, n % 16)).collect();
    rng.shuffle(&mut templates);
    let mut sums = Vec::with_capacity(templates.len());
    let mut sum = 0.0;
    for rank in 1..=templates.len() {
        sum += 1.0 / rank as f64;
        sums.push(sum);
    }
    write(lines, &mut rng, |rng| {
        let at = rng.f64() * sum;
        templates.get(sums.partition_point(|s| *s < at).min(templates.len() - 1))
    })
}

/// `lines` lines in the manner of a block store: few templates, long headers.
#[must_use]
pub fn block_store(lines: usize) -> Corpus {
    let mut rng = Rng::with_seed(14);
    let templates: Vec<Template> = (0..14).map(|_| Template::new(&mut rng, 1)).collect();
    write(lines, &mut rng, |rng| templates.get(rng.usize(..templates.len())))
}

fn write<'t>(lines: usize, rng: &mut Rng, mut next: impl FnMut(&mut Rng) -> Option<&'t Template>) -> Corpus {
    let mut text = String::with_capacity(lines * 112);
    for n in 0..lines {
        if let Some(template) = next(rng) {
            template.write(rng, n, &mut text);
        }
        text.push('\n');
    }
    Corpus { bytes: text.into_bytes(), lines }
}

/// Floor of log mining: splits at blanks and hashes each token ("FxHash" of the Rust compiler); nothing is looked up.
pub fn split_and_hash(bytes: &[u8]) {
    for token in bytes.split(|b| *b == b' ') {
        let mut hasher = rustc_hash::FxHasher::default();
        hasher.write(token);
        black_box(hasher.finish());
    }
}

/// Floor of reading lines: finds their ends.
pub fn newlines(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count()
}
