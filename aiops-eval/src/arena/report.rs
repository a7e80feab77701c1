//! Tables and pages.

use std::fmt::Write as _;
use std::path::Path;

use super::protocol::gold::Gold;
use super::protocol::score::{Axes, EpisodeScore, Share, Table};
use crate::EvalError;

const HEADINGS: [&str; 7] =
    ["detected", "located", "system", "fault type", "mitigated", "recovered", "called dark"];

fn shares(a: &Axes) -> [Share; 7] {
    [a.detection, a.localisation, a.system, a.fault_type, a.mitigation, a.recovery, a.called_dark]
}

fn row(out: &mut String, name: &str, axes: &Axes) {
    // Writing to a string cannot fail.
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

/// Tables of one or more players, as Markdown.
#[must_use]
pub fn text(tables: &[Table]) -> String {
    let mut out = String::new();
    for t in tables {
        let _ = writeln!(
            out,
            "## {}\n\n{} episodes in arena {}",
            t.player,
            t.episodes,
            t.arena.get(..16).unwrap_or("")
        );
        heading(&mut out, "gold-signal class");
        for (gold, axes) in &t.by_gold {
            row(&mut out, &gold.to_string(), axes);
        }
        heading(&mut out, "class of fault (genuine-diagnosable)");
        for (family, axes) in &t.by_family {
            row(&mut out, &family.to_string(), axes);
        }
        heading(&mut out, "fault (all gold classes)");
        for (fault, axes) in &t.by_fault {
            row(&mut out, fault, axes);
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
        for (name, value) in [
            ("reads of telemetry an episode", t.reads),
            ("actions an episode", t.actions),
            ("questions to a person an episode", t.asked),
            ("seconds of open cases an episode", t.case_seconds),
        ] {
            let _ = writeln!(out, "| {name} | {value:.2} |");
        }
        out.push_str("| model calls and tokens | 0 |\n\n");
    }
    out
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

/// Writes `arena.md` and `arena.html` into `folder`.
///
/// # Errors
/// When they cannot be written.
pub fn write(folder: &Path, tables: &[Table]) -> Result<(), EvalError> {
    let failed = |path: std::path::PathBuf| move |source| EvalError::Write { path, source };
    std::fs::create_dir_all(folder).map_err(failed(folder.to_owned()))?;
    for (name, page) in [("arena.md", format!("# Arena\n\n{}", text(tables))), ("arena.html", html(tables))] {
        let path = folder.join(name);
        std::fs::write(&path, page).map_err(failed(path.clone()))?;
    }
    Ok(())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A page that needs nothing beside itself.
fn html(tables: &[Table]) -> String {
    let mut out = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Arena</title><style>body{font:15px/1.4 sans-serif;\
         max-width:72em;margin:2em auto;padding:0 1em}table{border-collapse:collapse;margin:1em 0;font-size:13px}\
         td,th{border:1px solid #ccc;padding:3px 7px;text-align:left}svg{max-width:100%}</style><h1>Arena</h1>\n",
    );
    for t in tables {
        let _ = writeln!(out, "<h2>{}</h2>", escaped(&t.player.to_string()));
        if let Some(axes) = t.by_gold.get(&Gold::GenuineDiagnosable) {
            out += &bars("genuine-diagnosable, with 95 % intervals", axes);
        }
    }
    // The tables are those of the Markdown page, line by line.
    let mut in_table = false;
    for line in text(tables).lines() {
        let cells = line.strip_prefix("| ").and_then(|l| l.strip_suffix(" |"));
        match cells {
            Some(cells) => {
                if !in_table {
                    out.push_str("<table>\n");
                    in_table = true;
                }
                out.push_str("<tr>");
                for cell in cells.split(" | ") {
                    let _ = write!(out, "<td>{}</td>", escaped(cell.trim_matches([' ', '|'])));
                }
                out.push_str("</tr>\n");
            }
            None if line.starts_with("|--") => {}
            None => {
                if in_table {
                    out.push_str("</table>\n");
                    in_table = false;
                }
                if let Some(title) = line.strip_prefix("## ") {
                    let _ = writeln!(out, "<h2>{}: tables</h2>", escaped(title));
                } else if !line.is_empty() {
                    let _ = writeln!(out, "<p>{}</p>", escaped(line));
                }
            }
        }
    }
    out + "</html>\n"
}

/// Bars with whiskers, as inline SVG.
fn bars(title: &str, axes: &Axes) -> String {
    const WIDTH: f64 = 500.0;
    let mut svg = format!(
        "<svg viewBox=\"0 0 720 {}\" width=\"720\" role=\"img\" aria-label=\"{title}\"><text x=\"0\" y=\"16\" font-size=\"14\">{title}</text>\n",
        30 + 26 * HEADINGS.len()
    );
    for (i, (name, share)) in HEADINGS.iter().zip(shares(axes)).enumerate() {
        let y = 30.0 + 26.0 * i as f64;
        let value = if share.of == 0 { 0.0 } else { share.value() };
        let (low, high) = share.wilson();
        let _ = writeln!(
            svg,
            "<text x=\"0\" y=\"{:.0}\" font-size=\"12\">{name}</text>\
             <rect x=\"110\" y=\"{y:.0}\" width=\"{:.1}\" height=\"16\" fill=\"#4a7bb5\"/>\
             <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{:.0}\" y2=\"{:.0}\" stroke=\"#111\" stroke-width=\"2\"/>\
             <text x=\"620\" y=\"{:.0}\" font-size=\"12\">{}/{}</text>",
            y + 13.0,
            WIDTH * value,
            110.0 + WIDTH * low,
            110.0 + WIDTH * high,
            y + 8.0,
            y + 8.0,
            y + 13.0,
            share.hits,
            share.of
        );
    }
    svg + "</svg>\n"
}

/// What confidences were worth: of the first hypothesis on each fault.
#[must_use]
pub fn reliability(c: &crate::localise::Calibration) -> String {
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
