//! Live progress: one line that is rewritten on a terminal, plain lines elsewhere.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Values in the sparkline.
const SPARKS: usize = 24;

/// Columns used at most.
const WIDTH: usize = 110;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// The last line is rewritten in place; otherwise every line is written once.
    pub in_place: bool,
    /// Colours are used.
    pub color: bool,
}

impl Style {
    /// What suits standard error: in place on a terminal, coloured unless `NO_COLOR` is set and not empty
    /// (<https://no-color.org>) or the terminal is a dumb one.
    #[must_use]
    pub fn detect() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { in_place: terminal && !dumb, color: terminal && !dumb && !set("NO_COLOR") }
    }
}

/// The view. Errors of the writer are passed over: a closed pipe must not end a run.
#[derive(Debug)]
pub struct Progress<W: Write> {
    out: W,
    style: Style,
    began: Instant,
    stage: String,
    latency: VecDeque<f64>,
    error_ratio: f64,
    /// In plain style, a status line is written this often.
    plain_every: Duration,
    last_plain: Option<Instant>,
    dirty: bool,
}

impl<W: Write> Progress<W> {
    /// A view on `out`.
    #[must_use]
    pub fn new(out: W, style: Style) -> Self {
        Self {
            out,
            style,
            began: Instant::now(),
            stage: String::new(),
            latency: VecDeque::new(),
            error_ratio: 0.0,
            plain_every: Duration::from_secs(5),
            last_plain: None,
            dirty: false,
        }
    }

    /// Enters a stage and writes a line that stays.
    pub fn stage(&mut self, stage: &str, detail: &str) {
        stage.clone_into(&mut self.stage);
        let stage = clean(stage);
        let name = self.paint("1", &format!("{stage:<11}"));
        let line = format!("{} {name} {}", self.elapsed(), clean(detail));
        self.erase();
        let _ = writeln!(self.out, "{line}");
        self.status();
    }

    /// Shows what customers see: 95th percentile of latency in seconds and share of failed requests.
    pub fn sample(&mut self, p95_seconds: f64, error_ratio: f64) {
        if self.latency.len() >= SPARKS {
            self.latency.pop_front();
        }
        self.latency.push_back(p95_seconds);
        self.error_ratio = error_ratio;
        if self.style.in_place {
            self.erase();
            self.status();
        } else if self.last_plain.is_none_or(|last| last.elapsed() >= self.plain_every) {
            self.last_plain = Some(Instant::now());
            let line = self.status_line();
            let _ = writeln!(self.out, "{line}");
        }
    }

    /// Takes the line that is rewritten away.
    pub fn finish(&mut self) {
        self.erase();
        let _ = self.out.flush();
    }

    fn status(&mut self) {
        if self.style.in_place {
            let line = self.status_line();
            let _ = write!(self.out, "{line}");
            self.dirty = true;
        }
        let _ = self.out.flush();
    }

    fn erase(&mut self) {
        if self.dirty {
            let _ = write!(self.out, "\r\x1b[2K");
            self.dirty = false;
        }
    }

    fn status_line(&self) -> String {
        let p95 = self.latency.back().copied().unwrap_or(0.0) * 1e3;
        let errors = format!("errors {:5.1} %", self.error_ratio * 100.0);
        let errors = if self.error_ratio > 0.03 { self.paint("31", &errors) } else { errors };
        let stage: String = clean(&self.stage).chars().take(WIDTH.saturating_sub(75)).collect();
        let sparks = sparkline(&self.latency);
        if self.style.in_place {
            format!("{} {stage:<11} gateway p95 {p95:6.0} ms {sparks:<SPARKS$}  {errors}", self.elapsed())
        } else {
            format!("{} {stage:<11} gateway p95 {p95:6.0} ms  {errors}", self.elapsed())
        }
    }

    fn elapsed(&self) -> String {
        format!("{:6.1} s ", self.began.elapsed().as_secs_f64())
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.style.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

impl<W: Write> Drop for Progress<W> {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Bars on a logarithmic scale from 10 ms to 10 s; what is not a number is a blank.
fn sparkline(values: &VecDeque<f64>) -> String {
    let bar = |value: &f64| {
        if value.is_nan() {
            return ' ';
        }
        let decades = (value.max(0.01) / 0.01).log10() / 3.0;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
        let index = (decades.clamp(0.0, 1.0) * 7.0).round() as usize;
        BARS.get(index).copied().unwrap_or(' ')
    };
    values.iter().map(bar).collect()
}

/// Text from outside must not move the cursor.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(style: Style, show: impl FnOnce(&mut Progress<&mut Vec<u8>>)) -> String {
        let mut out = Vec::new();
        show(&mut Progress::new(&mut out, style));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn plain_lines_have_no_control_characters_and_do_not_repeat() {
        let text = written(Style { in_place: false, color: false }, |progress| {
            progress.stage("baseline", "reading\x1b[31m\r");
            for _ in 0..50 {
                progress.sample(0.05, 0.5);
            }
        });
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("gateway p95     50 ms  errors  50.0 %"), "{text}");
    }

    #[test]
    fn a_terminal_line_is_rewritten_and_taken_away_at_the_end() {
        let text = written(Style { in_place: true, color: false }, |progress| {
            progress.stage("watching", "");
            progress.sample(0.01, 0.0);
            progress.sample(10.0, 0.0);
        });
        assert!(text.contains("▁█"), "{text:?}");
        assert!(text.ends_with("\r\x1b[2K"), "{text:?}");
        assert_eq!(text.matches('\n').count(), 1, "only the stage stays: {text:?}");
        assert!(!text.contains("\x1b[31m"), "no colour was asked for");
    }

    #[test]
    fn errors_are_red_where_colour_is_wanted() {
        let text = written(Style { in_place: true, color: true }, |progress| progress.sample(0.1, 0.2));
        assert!(text.contains("\x1b[31merrors"), "{text:?}");
    }

    #[test]
    fn odd_values_have_a_place_in_the_sparkline() {
        let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 0.1].into_iter().collect();
        assert_eq!(sparkline(&values), " █▁▁▁▃");
    }
}
