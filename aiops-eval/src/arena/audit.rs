//! The leak audit: looks in everything a pipeline can read for what gives a fault away. // EVA-02
//!
//! Read is what the seams give: names of entities, series and their labels, lines, spans with attributes, changes with ids,
//! summaries, authors and commits, health notes, topology. Looked for are
//!
//! - the *name* of any fault of the catalogue, in any spelling (its words in a row, the class left out),
//! - *markers* that only experimenters write ("chaos", "fault injected", "experiment" and the like),
//! - *timing*: whether the time of the onset within the episode follows the episode's number (rank correlation).
//!
//! Words that speak of an effect ("no space left on device") are no leak: that is what the program would write.

use std::collections::HashMap;
use std::time::Duration;

use aiops_core::Clock;
use aiops_core::model::{FetchRequest, TelemetryWindow, TimeRange};
use aiops_core::seam::TelemetrySource;
use serde::{Deserialize, Serialize};

use super::faults::{Fault, catalogue};
use super::protocol::RunConfig;
use super::protocol::run::{Plan, each};
use super::protocol::score::{EpisodeScore, Share};
use crate::EvalError;

/// Phrases that only experimenters write.
const MARKERS: [&str; 9] = [
    "chaos",
    "fault injected",
    "fault injection",
    "inject fault",
    "experiment",
    "litmus",
    "ground truth",
    "root cause",
    "test case",
];

/// Rank correlation beyond which timing follows the number; at 400 episodes chance reaches it once in 10⁹.
const TIMING: f64 = 0.3;

/// Share of a leaky suite's leaks that must be found, and of clean episodes that may be reported.
const FOUND: f64 = 0.95;
const FALSE_REPORTS: f64 = 0.01;

/// Something that gives a fault away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Leak {
    /// Where it stands: `line of gateway`, `label of …`.
    pub place: String,
    /// The text.
    pub text: String,
    /// What was found in it.
    pub found: String,
}

/// What the audit of a suite found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// Whether the suite is the leaky one, whose every fault gives itself away.
    pub leaky: bool,
    /// Episodes looked at that have a fault.
    pub broken: u64,
    /// Those in which something gives the fault away.
    pub leaking: Share,
    /// Null episodes in which something looks like a leak.
    pub false_reports: Share,
    /// Rank correlation of episode number and time of onset within the episode.
    pub timing: f64,
    /// Numbers of leaking episodes.
    pub episodes: Vec<u64>,
    /// Some of the leaks, at most three of an episode.
    pub leaks: Vec<(u64, Leak)>,
}

impl Audit {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.leaking.hits == 0 && self.false_reports.hits == 0 && self.timing.abs() < TIMING
    }

    /// Whether the audit is to be believed, as far as this suite can tell: of the leaky one it found at least 95 % of the
    /// leaks, and of what does not leak it reported at most 1 %. None of it can be told of no episodes.
    #[must_use]
    pub fn holds(&self) -> bool {
        let reports = if self.leaky { self.false_reports } else { self.clean_reports() };
        let found = !self.leaky || (self.leaking.of > 0 && self.leaking.value() >= FOUND);
        let silent = reports.of == 0 || reports.value() <= FALSE_REPORTS;
        found && silent && self.leaking.of + self.false_reports.of > 0 && self.timing.abs() < TIMING
    }

    /// Reports on the clean suite, where every one is false.
    fn clean_reports(&self) -> Share {
        Share {
            hits: self.leaking.hits + self.false_reports.hits,
            of: self.leaking.of + self.false_reports.of,
        }
    }

    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        let verdict = match (self.leaky, self.holds()) {
            (true, true) => format!(
                "The audit holds on the leaky suite: leaks found {}, at least 95 % asked",
                self.leaking
            ),
            (true, false) => format!(
                "The audit does NOT hold on the leaky suite: leaks found {}, at least 95 % asked",
                self.leaking
            ),
            (false, true) => {
                format!("The suite is clean: reports on {}, at most 1 % asked", self.clean_reports())
            }
            (false, false) => {
                format!("The suite is NOT clean: reports on {}, at most 1 % asked", self.clean_reports())
            }
        };
        let mut out = self.particulars();
        out += &verdict;
        out.push('\n');
        out
    }

    fn particulars(&self) -> String {
        let mut out = format!(
            "leaking episodes {}\nreports on null episodes {}\nrank correlation of number and onset {:+.3}\n",
            self.leaking, self.false_reports, self.timing
        );
        for (episode, leak) in self.leaks.iter().take(20) {
            out += &format!("{episode}: {} in {}: {}\n", leak.found, leak.place, leak.text);
        }
        out
    }
}

/// Lower-case words of letters and digits with a space between them; `camelCase` is two words.
fn words(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut lower = false;
    for c in text.chars() {
        let begins = lower && c.is_uppercase();
        lower = c.is_lowercase() || c.is_numeric();
        if (begins || !c.is_alphanumeric()) && !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
        if c.is_alphanumeric() {
            out.extend(c.to_lowercase());
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Looks through windows.
#[derive(Debug)]
pub struct Auditor {
    /// By their first word: further words, and what it is called. Most words of telemetry begin none.
    needles: HashMap<String, Vec<(Vec<String>, String)>>,
}

impl Auditor {
    /// An auditor that knows the names of `faults`.
    pub fn new<'a>(faults: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all: Vec<(String, String)> = Vec::new();
        for fault in faults {
            let whole = words(fault);
            // Without the class: "slow release" gives as much away.
            let rest: Vec<&str> = whole.split(' ').skip(1).collect();
            if rest.len() >= 3 {
                all.push((rest.join(" "), format!("name of {fault}")));
            }
            all.push((whole, format!("name of {fault}")));
        }
        all.extend(MARKERS.iter().map(|m| (words(m), format!("marker {m:?}"))));
        let mut needles: HashMap<String, Vec<(Vec<String>, String)>> = HashMap::new();
        for (needle, name) in all {
            let mut words = needle.split(' ').map(str::to_owned);
            if let Some(first) = words.next() {
                needles.entry(first).or_default().push((words.collect(), name));
            }
        }
        Self { needles }
    }

    /// What is found in `text` first. O(words of the text) but for those that begin a needle.
    fn found(&self, text: &str) -> Option<&str> {
        let said = words(text);
        let mut rest = said.split(' ');
        while let Some(word) = rest.next() {
            let Some(begun) = self.needles.get(word) else { continue };
            let follows = |more: &[String]| {
                let mut next = rest.clone();
                more.iter().all(|word| next.next() == Some(word.as_str()))
            };
            if let Some((_, name)) = begun.iter().find(|(more, _)| follows(more)) {
                return Some(name);
            }
        }
        None
    }

    fn look(&self, place: impl FnOnce() -> String, text: &str, leaks: &mut Vec<Leak>) {
        if let Some(found) = self.found(text) {
            leaks.push(Leak { place: place(), text: text.to_owned(), found: found.to_owned() });
        }
    }

    /// Everything in `window` that gives something away.
    #[must_use]
    pub fn audit(&self, window: &TelemetryWindow) -> Vec<Leak> {
        let mut leaks = Vec::new();
        for s in &window.metrics {
            self.look(
                || format!("series of {}", s.entity()),
                &format!("{} {}", s.entity(), s.key()),
                &mut leaks,
            );
        }
        for l in &window.logs {
            self.look(|| format!("line of {}", l.entity), &l.body, &mut leaks);
            for (name, value) in l.attributes.iter() {
                self.look(
                    || format!("attribute of a line of {}", l.entity),
                    &format!("{name} {value}"),
                    &mut leaks,
                );
            }
        }
        for s in &window.spans {
            self.look(|| format!("span of {}", s.entity), &s.operation, &mut leaks);
            for (name, value) in s.attributes.iter() {
                self.look(
                    || format!("attribute of a span of {}", s.entity),
                    &format!("{name} {value}"),
                    &mut leaks,
                );
            }
        }
        for c in &window.changes {
            let revision = c.revision.as_ref().map(|r| format!("{:?} {} {:?}", r.from, r.to, r.commit));
            let author = c.author.as_deref().unwrap_or_default();
            let text = format!("{} {} {author} {}", c.id, c.summary, revision.unwrap_or_default());
            self.look(|| format!("change of {}", c.entity), &text, &mut leaks);
            for (name, value) in c.attributes.iter() {
                self.look(
                    || format!("attribute of a change of {}", c.entity),
                    &format!("{name} {value}"),
                    &mut leaks,
                );
            }
        }
        for h in &window.health {
            let note = h.note.as_deref().unwrap_or_default();
            self.look(|| "health of a collector".to_owned(), note, &mut leaks);
        }
        for e in window.topology.entities() {
            self.look(|| "topology".to_owned(), e.id.name(), &mut leaks);
            for (name, value) in e.attributes.iter() {
                self.look(|| format!("attribute of {}", e.id), &format!("{name} {value}"), &mut leaks);
            }
        }
        leaks
    }
}

/// Audits every episode of `config`, without any pipeline.
///
/// # Errors
/// When the settings are out of range or telemetry cannot be read.
pub fn audit(config: &RunConfig, progress: impl FnMut(usize, usize) + Send) -> Result<Audit, EvalError> {
    let plan = Plan::new(config.clone())?;
    let names: Vec<String> = catalogue().iter().map(|f| f.id().to_owned()).collect();
    let auditor = Auditor::new(names.iter().map(String::as_str));
    let mut result = Audit {
        leaky: config.leaky,
        broken: 0,
        leaking: Share::default(),
        false_reports: Share::default(),
        timing: 0.0,
        episodes: Vec::new(),
        leaks: Vec::new(),
    };
    let looked = each(plan.episodes(), config.threads, progress, |index| {
        let layout = plan.layout(index);
        let world = layout.world();
        let (ctx, clock) = (world.context(), world.clock().clone());
        let onset = layout.onset_seconds();
        let window = clock.drive(async {
            clock.sleep(Duration::from_secs_f64(onset + 600.0)).await;
            let range = TimeRange::ending_at(ctx.now(), Duration::from_secs(2400));
            world.source().fetch(&FetchRequest::new(range), &ctx).await
        })?;
        Ok((auditor.audit(&window), layout.is_broken(), onset))
    })?;
    let mut times = Vec::new();
    for (index, (leaks, is_broken, onset)) in (0_u64..).zip(looked) {
        let share = if is_broken {
            times.push((index as f64, onset));
            result.broken += 1;
            &mut result.leaking
        } else {
            &mut result.false_reports
        };
        share.of += 1;
        if !leaks.is_empty() {
            share.hits += 1;
            result.episodes.push(index);
            result.leaks.extend(leaks.into_iter().take(3).map(|l| (index, l)));
        }
    }
    result.timing = rank_correlation(&times);
    Ok(result)
}

/// Scores without the wins of leaking episodes: whoever may have read the answer has not found it.
#[must_use]
pub fn leak_free(scores: &[EpisodeScore], leaking: &[u64]) -> Vec<EpisodeScore> {
    let discounted = |e: &EpisodeScore| {
        let mut e = e.clone();
        if leaking.contains(&e.index) {
            (e.detected, e.localised, e.system, e.fault_type) = (false, false, false, false);
            (e.mitigated, e.recovered, e.called_dark) = (false, false, false);
        }
        e
    };
    scores.iter().map(discounted).collect()
}

/// Spearman's ρ (1904); 0 of fewer than three pairs.
fn rank_correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len();
    if n < 3 {
        return 0.0;
    }
    let ranks = |of: &dyn Fn(&(f64, f64)) -> f64| {
        let mut order: Vec<usize> = (0..n).collect();
        let value = |i: &usize| pairs.get(*i).map_or(0.0, of);
        order.sort_by(|a, b| value(a).total_cmp(&value(b)));
        let mut ranks = vec![0.0; n];
        for (rank, i) in order.into_iter().enumerate() {
            if let Some(slot) = ranks.get_mut(i) {
                *slot = rank as f64;
            }
        }
        ranks
    };
    let (a, b) = (ranks(&|p| p.0), ranks(&|p| p.1));
    let squares: f64 = a.iter().zip(&b).map(|(a, b)| (a - b) * (a - b)).sum();
    let n = n as f64;
    1.0 - 6.0 * squares / (n * (n * n - 1.0))
}
