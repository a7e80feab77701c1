use std::fmt;
use std::future::Future;

use aiops_core::{Context, Error, ErrorKind, Result};

/// What a suite found out about one implementation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a report that nobody reads proves nothing"]
#[non_exhaustive]
pub struct Report {
    /// The seam.
    pub seam: &'static str,
    /// Clauses that hold.
    pub passed: Vec<&'static str>,
    /// Clauses that could not be judged, and why.
    pub skipped: Vec<(&'static str, String)>,
    /// Clauses that do not hold, and what was seen instead.
    pub failed: Vec<(&'static str, String)>,
}

impl Report {
    pub(super) fn of(seam: &'static str) -> Self {
        Self { seam, passed: Vec::new(), skipped: Vec::new(), failed: Vec::new() }
    }

    pub(super) async fn clause(&mut self, name: &'static str, work: impl Future<Output = Outcome>) {
        match work.await {
            Ok(()) => self.passed.push(name),
            Err(Fault::Skip(reason)) => self.skipped.push((name, reason)),
            Err(Fault::Fail(seen)) => self.failed.push((name, seen)),
        }
    }

    /// Names of the clauses that do not hold.
    #[must_use]
    pub fn failures(&self) -> Vec<&'static str> {
        self.failed.iter().map(|(name, _)| *name).collect()
    }

    /// Asserts that nothing failed and that exactly so many clauses were passed and skipped. The literals at the caller
    /// keep a suite from shrinking unseen.
    ///
    /// # Panics
    /// When it is otherwise; the message is the whole report.
    #[track_caller]
    #[allow(clippy::panic, reason = "an assertion for tests")]
    pub fn assert_counts(&self, passed: usize, skipped: usize) {
        if !self.failed.is_empty() || self.passed.len() != passed || self.skipped.len() != skipped {
            panic!("expected {passed} passed and {skipped} skipped\n{self}");
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (passed, skipped, failed) = (self.passed.len(), self.skipped.len(), self.failed.len());
        writeln!(f, "{}: {passed} passed, {skipped} skipped, {failed} failed", self.seam)?;
        for (name, seen) in &self.failed {
            writeln!(f, "  failed  {name}: {seen}")?;
        }
        for (name, reason) in &self.skipped {
            writeln!(f, "  skipped {name}: {reason}")?;
        }
        Ok(())
    }
}

/// Why a clause was not passed.
#[derive(Debug)]
pub(super) enum Fault {
    Skip(String),
    Fail(String),
}

pub(super) type Outcome<T = ()> = std::result::Result<T, Fault>;

impl From<Error> for Fault {
    fn from(e: Error) -> Self {
        Self::Fail(e.to_string())
    }
}

macro_rules! ensure {
    ($condition:expr, $($seen:tt)+) => {{
        let holds: bool = $condition;
        if !holds {
            return Err(crate::conformance::report::Fault::Fail(format!($($seen)+)));
        }
    }};
}
pub(super) use ensure;

/// The part of a fixture that a clause needs, or the reason to skip it.
pub(super) fn given<'a, T>(part: &'a Option<T>, what: &str) -> Outcome<&'a T> {
    part.as_ref().ok_or_else(|| Fault::Skip(format!("the fixture has no {what}")))
}

/// The call must have failed with `kind`.
pub(super) fn refused<T: fmt::Debug>(answer: Result<T>, kind: ErrorKind) -> Outcome {
    match answer {
        Err(e) if e.kind() == kind => Ok(()),
        Err(e) => Err(Fault::Fail(format!("expected {kind}, got: {e}"))),
        Ok(answer) => Err(Fault::Fail(format!("expected {kind}, got {answer:?}"))),
    }
}

/// Two answers must be alike. Compared as text, since NaN differs from itself.
pub(super) fn alike<T: fmt::Debug>(one: &T, two: &T) -> Outcome {
    let (one, two) = (format!("{one:?}"), format!("{two:?}"));
    ensure!(one == two, "the same question was answered {one}, then {two}");
    Ok(())
}

/// A context that its caller gave up.
pub(super) fn cancelled(ctx: &Context) -> Context {
    let cancellation = aiops_core::Cancellation::new();
    cancellation.cancel();
    ctx.clone().with_cancellation(cancellation)
}

/// A context whose deadline has passed.
pub(super) fn late(ctx: &Context) -> Context {
    ctx.with_timeout(std::time::Duration::ZERO)
}
