//! Plots as inline SVG.

use std::fmt::Write as _;

use super::{HEADINGS, shares};
use crate::arena::protocol::score::{Axes, Share, Table};
use crate::arena::verdict::Gamed;
use crate::localise::Calibration;

/// What is asked of the default pipeline on genuine-diagnosable faults, in the order of the headings.
const ASKED: [Option<f64>; 7] = [Some(0.95), Some(0.85), Some(0.85), Some(0.80), None, Some(0.75), None];

const BLUE: &str = "#4a7bb5";
const RED: &str = "#b5524a";

fn begin(title: &str, width: usize, height: usize) -> String {
    format!(
        "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-label=\"{title}\" font-family=\"sans-serif\"><text x=\"0\" y=\"16\" font-size=\"14\" \
         font-weight=\"bold\">{title}</text>\n"
    )
}

fn label(svg: &mut String, x: f64, y: f64, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"12\">{text}</text>");
}

fn line(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64), colour: &str, width: f64) {
    let _ = writeln!(
        svg,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\"/>"
    );
}

/// A point with its interval on a scale of `width` from `x`; nothing of no trials.
fn interval(svg: &mut String, share: Share, (x, y, width): (f64, f64, f64), colour: &str) {
    if share.of == 0 {
        label(svg, x, y + 4.0, "–");
        return;
    }
    let (low, high) = share.wilson();
    line(svg, (x + width * low, y), (x + width * high, y), colour, 2.0);
    let _ = writeln!(
        svg,
        "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>",
        x + width * share.value()
    );
}

/// A bar an axis, with whiskers, and a mark at what is asked where `asked`.
pub(super) fn axes(title: &str, axes: &Axes, asked: bool) -> String {
    const WIDTH: f64 = 500.0;
    let mut svg = begin(title, 720, 34 + 26 * HEADINGS.len());
    for (i, ((name, share), goal)) in HEADINGS.iter().zip(shares(axes)).zip(ASKED).enumerate() {
        let y = 30.0 + 26.0 * i as f64;
        label(&mut svg, 0.0, y + 13.0, name);
        if share.of == 0 {
            label(&mut svg, 112.0, y + 13.0, "–");
            continue;
        }
        let (low, high) = share.wilson();
        let _ = writeln!(
            svg,
            "<rect x=\"110\" y=\"{y:.0}\" width=\"{:.1}\" height=\"16\" fill=\"{BLUE}\"/>",
            WIDTH * share.value()
        );
        line(&mut svg, (110.0 + WIDTH * low, y + 8.0), (110.0 + WIDTH * high, y + 8.0), "#111", 2.0);
        if let Some(goal) = goal.filter(|_| asked) {
            line(&mut svg, (110.0 + WIDTH * goal, y - 3.0), (110.0 + WIDTH * goal, y + 19.0), RED, 3.0);
        }
        label(&mut svg, 620.0, y + 13.0, &format!("{}/{}", share.hits, share.of));
    }
    svg + "</svg>\n"
}

/// A row a class of fault and a column an axis.
pub(super) fn families(table: &Table) -> String {
    const COLUMN: f64 = 150.0;
    const WIDTH: f64 = 120.0;
    let title = "by class of fault, genuine-diagnosable, with 95 % intervals";
    let mut svg = begin(title, 720, 60 + 22 * table.by_family.len());
    let columns = ["detected", "located", "fault type", "recovered"];
    let foot = 42.0 + 22.0 * table.by_family.len() as f64;
    for (c, name) in columns.iter().enumerate() {
        let x = 110.0 + COLUMN * c as f64;
        label(&mut svg, x, 36.0, name);
        for at in [0.0, 0.5, 1.0] {
            line(&mut svg, (x + WIDTH * at, 42.0), (x + WIDTH * at, foot), "#ddd", 1.0);
        }
    }
    for (i, (family, axes)) in table.by_family.iter().enumerate() {
        let y = 54.0 + 22.0 * i as f64;
        label(&mut svg, 0.0, y + 4.0, &family.to_string());
        let of_axes = [axes.detection, axes.localisation, axes.fault_type, axes.recovery];
        for (c, share) in of_axes.into_iter().enumerate() {
            interval(&mut svg, share, (110.0 + COLUMN * c as f64, y, WIDTH), BLUE);
        }
    }
    label(&mut svg, 110.0, foot + 14.0, "each from 0 to 100 %");
    svg + "</svg>\n"
}

/// A row an axis that somebody games: the cheat and the default pipeline.
pub(super) fn cheats(gamed: &[Gamed]) -> String {
    if gamed.is_empty() {
        return String::new();
    }
    const WIDTH: f64 = 400.0;
    let mut svg = begin(
        "every axis that a cheat games: the cheat (red) and the default pipeline (blue)",
        720,
        40 + 26 * gamed.len(),
    );
    for (i, g) in gamed.iter().enumerate() {
        let y = 38.0 + 26.0 * i as f64;
        label(&mut svg, 0.0, y + 4.0, &format!("{}, {}", g.cheat, g.axis));
        line(&mut svg, (260.0, y), (260.0 + WIDTH, y), "#eee", 1.0);
        interval(&mut svg, g.honest, (260.0, y - 4.0, WIDTH), BLUE);
        interval(&mut svg, g.got, (260.0, y + 4.0, WIDTH), RED);
    }
    svg + "</svg>\n"
}

/// How often answers were right, by how sure they were.
pub(super) fn reliability(kept: &Calibration) -> String {
    const SIDE: f64 = 260.0;
    let at = |x: f64, y: f64| (50.0 + SIDE * x, 30.0 + SIDE * (1.0 - y));
    let mut svg = begin("said and right; on the line each confidence keeps what it says", 720, 340);
    for edge in [(at(0.0, 0.0), at(1.0, 0.0)), (at(0.0, 0.0), at(0.0, 1.0))] {
        line(&mut svg, edge.0, edge.1, "#999", 1.0);
    }
    line(&mut svg, at(0.0, 0.0), at(1.0, 1.0), "#bbb", 1.0);
    label(&mut svg, 50.0, 310.0, "confidence, 0 to 100 %");
    label(&mut svg, 0.0, 40.0, "right");
    for bin in kept.bins.iter().filter(|b| b.answers > 0) {
        let hits = (bin.right * bin.answers as f64).round() as u64;
        let (low, high) = Share { hits, of: bin.answers as u64 }.wilson();
        line(&mut svg, at(bin.confidence, low), at(bin.confidence, high), BLUE, 2.0);
        let (x, y) = at(bin.confidence, bin.right);
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{BLUE}\"/>");
        label(&mut svg, x + 8.0, y + 4.0, &bin.answers.to_string());
    }
    svg + "</svg>\n"
}
