//! Tables and the results page.

mod page;
mod plot;

use std::fmt::Write as _;
use std::path::Path;

use super::audit::Audit;
use super::protocol::score::{Axes, EpisodeScore, Share, Table};
use super::verdict::{self, Gamed};
use crate::EvalError;
use crate::localise::Calibration;

/// Everything that a run gave.
#[derive(Debug, Clone, Copy, Default)]
pub struct Told<'a> {
    /// A table a player.
    pub tables: &'a [Table],
    /// What cheats got, where some played.
    pub gamed: &'a [Gamed],
    /// What confidences of the default pipeline were worth.
    pub reliability: Option<&'a Calibration>,
    /// What the leak audit of the same episodes found.
    pub audit: Option<&'a Audit>,
}

const HEADINGS: [&str; 7] =
    ["detected", "located", "system", "fault type", "mitigated", "recovered", "called dark"];

fn shares(a: &Axes) -> [Share; 7] {
    [a.detection, a.localisation, a.system, a.fault_type, a.mitigation, a.recovery, a.called_dark]
}

fn row(out: &mut String, name: &str, axes: &Axes) {
    let _ = write!(out, "| {name} |");
    for share in shares(axes) {
        let _ = write!(out, " {share} |");
    }
    out.push('\n');
}

fn heading(out: &mut String, first: &str) {
    let _ = writeln!(out, "\n| {first} | {} |", HEADINGS.join(" | "));
    let _ = writeln!(out, "|---|{}", "---|".repeat(HEADINGS.len()));
}

/// Tables of every player and the verdict on cheats, as Markdown.
#[must_use]
pub fn text(told: &Told<'_>) -> String {
    let mut out = String::new();
    for table in told.tables {
        of_player(&mut out, table);
    }
    if !told.gamed.is_empty() {
        out += &verdict::text(told.gamed);
    }
    out
}

fn of_player(out: &mut String, t: &Table) {
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "## {}\n\n{} episodes in arena {}",
        t.player,
        t.episodes,
        t.arena.get(..16).unwrap_or("")
    );
    if !t.by_gold.is_empty() {
        heading(out, "gold-signal class");
        for (gold, axes) in &t.by_gold {
            row(out, &gold.to_string(), axes);
        }
    }
    if !t.by_family.is_empty() {
        heading(out, "class of fault (genuine-diagnosable)");
        for (family, axes) in &t.by_family {
            row(out, &family.to_string(), axes);
        }
    }
    if !t.by_fault.is_empty() {
        let heads = if t.by_gold.is_empty() { "fault" } else { "fault (all gold classes)" };
        heading(out, heads);
        for (fault, axes) in &t.by_fault {
            row(out, fault, axes);
        }
    }
    let _ = writeln!(out, "\n| beside the axes | |\n|---|---|");
    for (name, share) in [
        ("null episodes with an alarm", t.false_alarms),
        ("alarms before the fault", t.early_alarms),
        ("actions on a wrong target", t.wrong_target),
        ("of them without consent", t.wrong_target_alone),
        ("unsafe actions", t.unsafe_actions),
    ] {
        let _ = writeln!(out, "| {name} | {share} |");
    }
    let delay = t.median_detection_seconds.map_or("–".to_owned(), |s| format!("{s:.0} s"));
    let _ = writeln!(out, "| median time to a case | {delay} |");
    // Real processes are read as often as a look needs, which nobody counts.
    let reads = (t.reads > 0.0).then_some(("reads of telemetry an episode", t.reads));
    let others = [
        ("actions an episode", t.actions),
        ("questions to a person an episode", t.asked),
        ("seconds of open cases an episode", t.case_seconds),
    ];
    for (name, value) in reads.into_iter().chain(others) {
        let _ = writeln!(out, "| {name} | {value:.2} |");
    }
    out.push_str("| model calls and tokens | 0 |\n\n");
}

/// One line an episode.
#[must_use]
pub fn episodes(scores: &[EpisodeScore]) -> String {
    let mut out = String::new();
    for e in scores {
        let mark = |hit: bool| if hit { '+' } else { '-' };
        let _ = writeln!(
            out,
            "{:>4} {:<38} {:<21} false {} | det {} loc {} sys {} type {} mit {} rec {} dark {} | acts {} wrong {} unsafe {} | {} {}",
            e.index,
            e.fault.as_deref().unwrap_or("(none)"),
            e.gold.map_or(String::new(), |g| g.to_string()),
            e.false_alarms,
            mark(e.detected),
            mark(e.localised),
            mark(e.system),
            mark(e.fault_type),
            mark(e.mitigated),
            mark(e.recovered),
            mark(e.called_dark),
            e.actions,
            e.wrong_target,
            e.unsafe_actions,
            e.named.as_ref().map_or(String::new(), ToString::to_string),
            e.told.map_or(String::new(), |f| f.to_string()),
        );
    }
    out
}

/// Writes the results page into `folder`: `arena.md`, and `arena.html` with plots, which needs nothing beside itself.
///
/// # Errors
/// When they cannot be written.
pub fn write(folder: &Path, told: &Told<'_>) -> Result<(), EvalError> {
    let failed = |path: std::path::PathBuf| move |source| EvalError::Write { path, source };
    std::fs::create_dir_all(folder).map_err(failed(folder.to_owned()))?;
    for (name, page) in [("arena.md", page::markdown(told)), ("arena.html", page::html(told))] {
        let path = folder.join(name);
        std::fs::write(&path, page).map_err(failed(path.clone()))?;
    }
    Ok(())
}

/// What confidences were worth: of the first hypothesis on each fault.
#[must_use]
pub fn reliability(c: &Calibration) -> String {
    let separation = c.separation.map_or("–".to_owned(), |s| format!("{s:.3}"));
    let mut text = format!(
        "n {}, ECE {:.3} (95 % of perfect predictors ≤ {:.3}), Brier {:.3} (base rate {:.3}), right above wrong {separation}, above 0.85: {}/{} right\n\n| said | right | of |\n|---|---|---|\n",
        c.answers, c.ece, c.ece_of_perfect, c.brier, c.brier_of_base_rate, c.above_85.0, c.above_85.1
    );
    for bin in &c.bins {
        text += &format!("| {:.2} | {:.2} | {} |\n", bin.confidence, bin.right, bin.answers);
    }
    text
}
