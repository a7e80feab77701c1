//! Puts the records of many `self_heal` runs together, or fit a calibration on what they recorded.
//!
//! `self_heal_report DIR` prints the figures; `self_heal_report DIR --calibrate FILE` writes a calibration, and
//! `self_heal_report DIR… --rehearsals FILE` what classes of action graduate by.

use std::path::Path;
use std::process::ExitCode;

use aiops_examples::self_heal::{RunError, report};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.as_slice() {
        [folder] => figures(Path::new(folder)),
        [folder, flag, file] if flag == "--calibrate" => calibrate(Path::new(folder), Path::new(file)),
        [folders @ .., flag, file] if flag == "--rehearsals" => rehearsals(folders, Path::new(file)),
        _ => Err("usage: self_heal_report DIR [--calibrate FILE] | DIR… --rehearsals FILE".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("self_heal_report: {e}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout, reason = "the report is what this program prints")]
fn figures(folder: &Path) -> Result<(), RunError> {
    print!("{}", report::markdown(&report::read(folder)?));
    Ok(())
}

fn calibrate(folder: &Path, file: &Path) -> Result<(), RunError> {
    let calibrator = report::calibrate(folder)?;
    std::fs::write(file, serde_json::to_string_pretty(&calibrator)? + "\n")?;
    eprintln!("calibration {} on {} hypotheses", calibrator.id(), calibrator.outcomes());
    Ok(())
}

fn rehearsals(folders: &[String], file: &Path) -> Result<(), RunError> {
    let folders: Vec<&Path> = folders.iter().map(Path::new).collect();
    Ok(std::fs::write(file, report::rehearsals(&folders)?)?)
}
