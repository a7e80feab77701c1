//! Detectors on labelled data sets: one declared configuration (the crates' defaults) for all of them, scores written row
//! by row for any other scorer, and the figures computed here.
//!
//! Layouts, each a folder of the data folder; one that is missing is passed over and said:
//! - `tabular/NAME.csv`: columns `x0..xk,label`; learned from all rows, without the labels.
//! - `smd/`, `asd/`: `index.json` (`name`, `cols`), `NAME.train.f32` and `NAME.test.f32` (little-endian, row by row),
//!   `NAME.label.csv`; one row a minute, or five. Learned from the train rows.
//! - `kpi/`: `index.json` (`name`, `step_s`, `start_unix`), `NAME.train.csv` and `NAME.test.csv` (`value,label`).
//! - `nab/data/GROUP/NAME.csv` (`timestamp,value`) and `nab/labels/combined_windows.json`; one series at a time, streamed.
//! - `changepoint/NAME.json` (`series[].raw`) and `annotations.json` (annotator to changes, from row 0).
//!
//! Labels are read for scoring only. There is no point adjustment: with it, noise wins.

mod changepoint;
mod ensemble;
mod files;
mod forecast;
mod kpi;
mod measure;
mod multivariate;
mod nab;
mod tabular;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use aiops_detect::Rows;
use aiops_detect::forest::{ForestConfig, IsolationForest};
use serde::Serialize;

use crate::EvalError;

pub use measure::{PointMeasures, average_precision, roc_auc};

/// Figures of one file of a data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileFigures {
    /// Name of the file, without its extension.
    pub name: String,
    /// Figures by name.
    pub figures: Vec<(&'static str, f64)>,
}

/// Figures of a detector on a data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SetFigures {
    /// Name of the data set.
    pub set: &'static str,
    /// Detector and what is particular about the run.
    pub method: String,
    /// By file, in the order of names.
    pub files: Vec<FileFigures>,
    /// Means over the files in which a figure is a number; a figure that is one in no file has none.
    pub mean: Vec<(&'static str, f64)>,
    /// Files left out of a mean, by figure, where there are any: the figure is no finite number in them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<(&'static str, usize)>,
}

impl SetFigures {
    fn new(set: &'static str, method: impl Into<String>, files: Vec<FileFigures>) -> Self {
        let names: Vec<&'static str> =
            files.first().map(|f| f.figures.iter().map(|(n, _)| *n).collect()).unwrap_or_default();
        let (mut mean, mut left_out) = (Vec::new(), Vec::new());
        for name in names {
            let of = |f: &FileFigures| f.figures.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
            let values: Vec<f64> = files.iter().filter_map(of).filter(|value| value.is_finite()).collect();
            if !values.is_empty() {
                mean.push((name, values.iter().sum::<f64>() / values.len() as f64));
            }
            if values.len() < files.len() {
                left_out.push((name, files.len() - values.len()));
            }
        }
        Self { set, method: method.into(), files, mean, left_out }
    }
}

/// What [`evaluate`] found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MetricsReport {
    /// Data sets and methods, in a fixed order.
    pub sets: Vec<SetFigures>,
    /// Data sets whose folder is not there.
    pub missing: Vec<&'static str>,
}

impl MetricsReport {
    /// The report as text, one line a file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for set in &self.sets {
            let _ = writeln!(text, "{}: {}", set.set, set.method);
            let line = |text: &mut String, name: &str, figures: &[(&'static str, f64)]| {
                let _ = write!(text, "  {name:<36}");
                for (figure, value) in figures {
                    let _ = write!(text, " {figure}={value:.4}");
                }
                text.push('\n');
            };
            for file in &set.files {
                line(&mut text, &file.name, &file.figures);
            }
            line(&mut text, &format!("mean of {}", set.files.len()), &set.mean);
            for (figure, files) in &set.left_out {
                let _ =
                    writeln!(text, "  {figure} is undefined in {files} of them, which its mean leaves out");
            }
        }
        for set in &self.missing {
            let _ = writeln!(text, "{set}: not there");
        }
        text
    }
}

/// A data set there are detectors for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DataSet {
    /// Rows without an order in time.
    Tabular,
    /// Metrics of servers, one row a minute.
    Smd,
    /// Metrics of application servers, one row every five minutes.
    Asd,
    /// Key figures of web services.
    Kpi,
    /// Single series with windows around events.
    Nab,
    /// Annotated changes.
    Changepoint,
}

impl DataSet {
    /// All, in the order of reports.
    pub const ALL: [Self; 6] = [Self::Tabular, Self::Smd, Self::Asd, Self::Kpi, Self::Nab, Self::Changepoint];

    /// Name of its folder.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tabular => "tabular",
            Self::Smd => "smd",
            Self::Asd => "asd",
            Self::Kpi => "kpi",
            Self::Nab => "nab",
            Self::Changepoint => "changepoint",
        }
    }
}

/// Runs the detectors over every data set of `data`; writes scores below `out` where it is given.
///
/// # Errors
/// [`EvalError`] when a file cannot be read, understood or written.
pub fn evaluate(data: &Path, out: Option<&Path>) -> Result<MetricsReport, EvalError> {
    let mut report = MetricsReport::default();
    for set in DataSet::ALL {
        let folder = data.join(set.name());
        if folder.is_dir() {
            report.sets.extend(evaluate_set(set, &folder, SEEDS, out)?);
        } else {
            report.missing.push(set.name());
        }
    }
    Ok(report)
}

/// Seeds of forests whose figures are averaged.
pub const SEEDS: u64 = 5;

/// Runs the detectors over one data set, whose folder is given; `seeds` is for forests.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_set(
    set: DataSet,
    folder: &Path,
    seeds: u64,
    out: Option<&Path>,
) -> Result<Vec<SetFigures>, EvalError> {
    let name = set.name();
    match set {
        DataSet::Tabular => Ok(vec![tabular::evaluate(folder, seeds, out)?]),
        DataSet::Smd => multivariate::evaluate(folder, name, Duration::from_secs(60), out),
        DataSet::Asd => multivariate::evaluate(folder, name, Duration::from_secs(300), out),
        DataSet::Kpi => kpi::evaluate(folder, out),
        DataSet::Nab => nab::evaluate(folder, out),
        DataSet::Changepoint => changepoint::evaluate(folder, out),
    }
}

/// CPU time this thread has used.
pub(crate) fn cpu_seconds() -> Result<f64, EvalError> {
    let clock = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID;
    let now = nix::time::clock_gettime(clock).map_err(|e| EvalError::Clock(e.into()))?;
    Ok(now.tv_sec() as f64 + now.tv_nsec() as f64 / 1e9)
}

/// CPU time an isolation forest takes: 100 000 rows of 10 columns, 100 trees of 256 rows, one thread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ForestSpeed {
    /// Growing, in seconds: the median of five runs.
    pub fit_seconds: f64,
    /// Scoring all rows, in seconds: the median of five runs.
    pub score_seconds: f64,
}

/// Measures [`ForestSpeed`] on generated rows.
///
/// # Errors
/// [`EvalError::Clock`] when the CPU time cannot be read.
pub fn forest_speed() -> Result<ForestSpeed, EvalError> {
    let mut state = 1_u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    // Twelve uniform numbers add up to a normal one, nearly.
    let values: Vec<f64> = (0..1_000_000).map(|_| (0..12).map(|_| uniform()).sum::<f64>() - 6.0).collect();
    let rows = Rows::new(&values, 10)?;
    let (mut fits, mut scores) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let begun = cpu_seconds()?;
        let forest = IsolationForest::fit(rows, ForestConfig::default())?;
        fits.push(cpu_seconds()? - begun);
        let begun = cpu_seconds()?;
        std::hint::black_box(forest.score_samples(rows)?);
        scores.push(cpu_seconds()? - begun);
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Ok(ForestSpeed { fit_seconds: median(&mut fits), score_seconds: median(&mut scores) })
}

#[cfg(test)]
mod tests {
    use super::{FileFigures, MetricsReport, SetFigures};

    #[test]
    fn a_mean_says_what_it_leaves_out() {
        let file = |name: &str, f1, auc| FileFigures {
            name: name.to_owned(),
            figures: vec![("f1", f1), ("auc", auc)],
        };
        let files =
            vec![file("a", 0.5, f64::NAN), file("b", f64::NAN, f64::INFINITY), file("c", 1.0, f64::NAN)];
        let set = SetFigures::new("set", "method", files);
        assert_eq!(set.mean, [("f1", 0.75)]);
        assert_eq!(set.left_out, [("f1", 1), ("auc", 3)]);
        let text = MetricsReport { sets: vec![set], missing: Vec::new() }.text();
        assert!(text.contains("f1 is undefined in 1 of them"), "{text}");
    }
}
