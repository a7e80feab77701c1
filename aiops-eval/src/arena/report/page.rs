//! The results page, as Markdown and as HTML with plots.

use std::fmt::Write as _;

use super::{Told, plot, reliability, text};
use crate::arena::protocol::gold::Gold;
use crate::arena::protocol::score::Table;

/// How the page is to be read, for who has nothing else before him.
const LEGEND: &str = "Every share comes with its counts and the 95 % interval of Wilson. Axes are never blended; what was not detected is missed on \
every axis. Capability is claimed on genuine-diagnosable faults alone; recovered counts faults that an action heals and that users still \
suffer from when nobody does anything.";

/// The whole page as Markdown.
pub(super) fn markdown(told: &Told<'_>) -> String {
    let mut out = format!("# Arena\n\n{LEGEND}\n\n{}", summary(told.tables));
    out += &text(told);
    if let Some(kept) = told.reliability {
        let _ = write!(out, "\n## What confidences are worth\n\n{}", reliability(kept));
    }
    if let Some(audit) = told.audit {
        out += "\n## Does anything give a fault away?\n\n";
        for line in audit.text().lines() {
            let _ = writeln!(out, "{line}\n");
        }
    }
    out
}

/// A line a player: what a reader looks for first.
fn summary(tables: &[Table]) -> String {
    let mut out = "| player | detected | located | system | fault type | recovered | null episodes with an alarm | wrong targets without \
                   consent | unsafe actions |\n|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for t in tables {
        let axes = of_claim(t);
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            t.player,
            axes.detection,
            axes.localisation,
            axes.system,
            axes.fault_type,
            axes.recovery,
            t.false_alarms,
            t.wrong_target_alone,
            t.unsafe_actions
        );
    }
    out + "\n"
}

/// The episodes that a claim is made of: genuine-diagnosable ones, and all faults where no class is known.
fn of_claim(table: &Table) -> super::Axes {
    if let Some(axes) = table.by_gold.get(&Gold::GenuineDiagnosable) {
        return axes.clone();
    }
    let mut all = super::Axes::default();
    table.by_fault.values().for_each(|axes| all.merge(axes));
    all
}

/// The same with plots, as one file.
pub(super) fn html(told: &Told<'_>) -> String {
    let mut out = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>Arena</title>\n<style>body{font:15px/1.45 sans-serif;color:#1b1b1b;\
         background:#fff;max-width:78em;margin:2em auto;padding:0 1em}table{border-collapse:collapse;margin:1em 0;\
         font-size:13px;display:block;overflow-x:auto}td,th{border:1px solid #ccc;padding:3px 7px;text-align:left;\
         white-space:nowrap}th{background:#f0f2f5}svg{max-width:100%;height:auto;display:block;margin:1em 0}\
         h2{margin-top:2em;border-bottom:1px solid #ddd}</style>\n</head>\n<body>\n",
    );
    let markdown = markdown(told);
    // Plots stand under the heading that they belong to.
    let mut plots: Vec<(String, String)> = told
        .tables
        .iter()
        .map(|t| {
            let title = match t.by_gold.contains_key(&Gold::GenuineDiagnosable) {
                true => "genuine-diagnosable faults, with 95 % intervals; the mark is what is asked",
                false => "all faults, with 95 % intervals",
            };
            let mut svg = plot::axes(title, &of_claim(t), t.by_gold.contains_key(&Gold::GenuineDiagnosable));
            if t.by_family.len() > 1 {
                svg += &plot::families(t);
            }
            (t.player.to_string(), svg)
        })
        .collect();
    plots.push(("Does cheating pay?".to_owned(), plot::cheats(told.gamed)));
    let curve = told.reliability.map(plot::reliability).unwrap_or_default();
    plots.push(("What confidences are worth".to_owned(), curve));
    body(&mut out, &markdown, &plots);
    out + "</body>\n</html>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Headings, tables and paragraphs of `markdown`, which is ours and has nothing else.
fn body(out: &mut String, markdown: &str, plots: &[(String, String)]) {
    let mut lines = markdown.lines().peekable();
    let mut in_table = false;
    while let Some(line) = lines.next() {
        if let Some(cells) = line.strip_prefix('|').and_then(|l| l.strip_suffix('|')) {
            if !in_table {
                out.push_str("<table>\n");
            }
            if !line.starts_with("|--") {
                let cell = if in_table { "td" } else { "th" };
                out.push_str("<tr>");
                for text in cells.split('|') {
                    let _ = write!(out, "<{cell}>{}</{cell}>", escaped(text.trim()));
                }
                out.push_str("</tr>\n");
            }
            in_table = lines.peek().is_some_and(|next| next.starts_with('|'));
            if !in_table {
                out.push_str("</table>\n");
            }
        } else if let Some(title) = line.strip_prefix("## ") {
            let _ = writeln!(out, "<h2>{}</h2>", escaped(title));
            for (_, svg) in plots.iter().filter(|(of, _)| of == title) {
                out.push_str(svg);
            }
        } else if let Some(title) = line.strip_prefix("# ") {
            let _ = writeln!(out, "<h1>{}</h1>", escaped(title));
        } else if !line.is_empty() {
            let _ = writeln!(out, "<p>{}</p>", escaped(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::cheats::Cheat;
    use crate::arena::faults::Family;
    use crate::arena::protocol::players::Player;
    use crate::arena::protocol::score::{Axes, Share, table};
    use crate::arena::verdict::gamed;
    use crate::localise::Calibration;

    fn run(player: Player, hits: u64) -> Table {
        let share = Share { hits, of: 10 };
        let axes = Axes {
            detection: share,
            localisation: share,
            recovery: share,
            mitigation: share,
            ..Axes::default()
        };
        let mut t = table(player, "0123456789abcdef0123", &[]);
        t.by_gold.insert(Gold::GenuineDiagnosable, axes.clone());
        t.by_family.insert(Family::Code, axes.clone());
        t.by_family.insert(Family::Load, Axes::default());
        t.by_fault.insert("code-<slow>".to_owned(), axes);
        t
    }

    /// Every element that is opened is closed, in order.
    fn assert_well_formed(html: &str) {
        let mut open = Vec::new();
        for tag in html.split('<').skip(1).filter_map(|t| t.split_once('>')).map(|t| t.0) {
            let name =
                tag.split(|c: char| c.is_whitespace()).next().unwrap_or_default().trim_end_matches('/');
            match name.strip_prefix('/') {
                Some(closed) => assert_eq!(open.pop(), Some(closed), "in {tag}"),
                None if tag.ends_with('/') || ["!doctype", "meta"].contains(&name) => {}
                None => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?}");
        assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
    }

    #[test]
    fn the_page_has_every_table_and_plot_once_and_is_well_formed() {
        let tables = [run(Player::Honest, 8), run(Player::Cheat(Cheat::Delete), 1)];
        let gamed = gamed(&tables);
        let kept = Calibration::of(&[(0.9, true), (0.2, false), (0.7, true)]);
        let told = Told { tables: &tables, gamed: &gamed, reliability: Some(&kept), audit: None };
        let page = html(&told);
        assert_well_formed(&page);
        assert_eq!(
            page.matches("<svg").count(),
            2 + 2 + 1 + 1,
            "axes and classes of two players, cheats, a curve"
        );
        assert!(
            page.contains("code-&lt;slow&gt;") && page.contains("8/10") && page.contains("<th>player</th>")
        );
        assert!(page.contains("Every cheat is below"));
        let text = markdown(&told);
        assert!(text.contains("| default pipeline | 80.0 % (8/10; 49–94)"), "{text}");
        assert!(!text.contains("give a fault away"), "nothing was audited");
        // Of nothing, nothing breaks.
        assert_well_formed(&html(&Told::default()));
    }
}
