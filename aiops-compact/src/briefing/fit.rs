use aiops_core::model::{Briefing, TokenBudget};
use aiops_core::{Error, ErrorKind, Result};

/// The briefing of the most lines, of at most `lines`, that needs no more than `budget`: `build` makes one of the first n lines,
/// `needed` counts its tokens. More lines never make it shorter, so the longest is found by bisection: O(log lines) of
/// both.
///
/// # Errors
/// [`ErrorKind::Limit`] when not even the stated loss fits.
pub(super) fn longest(
    lines: usize,
    budget: TokenBudget,
    build: impl Fn(usize) -> Briefing,
    needed: impl Fn(&Briefing) -> usize,
) -> Result<Briefing> {
    let fits = |briefing: &Briefing| needed(briefing) <= budget.0;
    let all = build(lines);
    if fits(&all) {
        return Ok(all);
    }
    let (mut enough, mut too_many) = (0, lines);
    while enough + 1 < too_many {
        let middle = enough + (too_many - enough) / 2;
        if fits(&build(middle)) { enough = middle } else { too_many = middle }
    }
    let briefing = build(enough);
    if fits(&briefing) {
        return Ok(briefing);
    }
    Err(Error::new(ErrorKind::Limit, "the stated loss alone exceeds the token budget")
        .at("Compactor::compact")
        .with("budget", budget.0)
        .with("needed", needed(&briefing)))
}
