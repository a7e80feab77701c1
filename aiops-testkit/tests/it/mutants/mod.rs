//! Mutants: for every clause of every suite an implementation that breaks exactly this clause, and must fail exactly it.
//!
//! A mutant is told the name of the clause it has to break. The names come from the report on the healthy implementation, so
//! a clause without a mutant, or one that no mutant can fail, fails these tests.

mod acting;
mod reasoning;
mod telemetry;
mod telling;

use std::sync::atomic::{AtomicU64, Ordering};

use aiops_core::{Context, Result};
use aiops_testkit::conformance::Report;

/// Runs the suite on the healthy implementation (which breaks "") and on a mutant for each of its `clauses` clauses.
fn hunt(clauses: usize, judge: impl Fn(&'static str) -> Report) {
    let healthy = judge("");
    healthy.assert_counts(clauses, 0);
    let mut wrong = Vec::new();
    for clause in healthy.passed {
        let report = judge(clause);
        if report.failures() != [clause] {
            wrong.push(format!("the mutant that breaks {clause} fails {:?}\n{report}", report.failures()));
        }
    }
    assert!(wrong.is_empty(), "{}: {}", healthy.seam, wrong.join("\n"));
}

/// What a mutant breaks, and how often it was asked.
#[derive(Debug, Default)]
struct Fault {
    clause: &'static str,
    calls: AtomicU64,
}

impl Fault {
    fn in_clause(clause: &'static str) -> Self {
        Self { clause, calls: AtomicU64::new(0) }
    }

    fn is(&self, clause: &str) -> bool {
        self.clause == clause
    }

    /// A number that is never the same.
    fn count(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::SeqCst)
    }

    /// The context, or one that never ends where the mutant must not notice the end.
    fn heed(&self, ctx: &Context) -> Context {
        let cancelled = ctx.cancellation().is_cancelled();
        let deaf = self.is("cancelled") && cancelled
            || self.is("deadline") && !cancelled && ctx.deadline().is_some();
        if deaf { Context::new(ctx.clock().clone()).with_tokens(ctx.tokens().clone()) } else { ctx.clone() }
    }
}

/// Changes an answer.
fn with<T>(answer: Result<T>, change: impl FnOnce(&mut T)) -> Result<T> {
    answer.map(|mut value| {
        change(&mut value);
        value
    })
}
