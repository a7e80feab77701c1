//! A registry of fitted states (LRN-01): which baselines, detectors and calibrations were fitted on what, and which of them decides.
//!
//! The states themselves are files of their owners; the registry knows them by kind and [`FittedHash`]. A state comes in as a
//! [`Role::Candidate`], may be let run beside the one that decides ([`Role::Shadow`]), and is promoted by a person or a program with a name
//! and a reason. Of each kind one state is [`Role::Promoted`] at most; promoting another retires it, and [`roll_back`](FittedRegistry::roll_back) brings it
//! back. Every step is a line in a [ledger](crate::ledger) of kind `fitted`, so what decided at some instant can be told later
//! ([`FittedRegistry::promoted_at`]).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use aiops_core::action::Principal;
use aiops_core::model::{FittedHash, TimeRange};
use aiops_core::{Context, Error, ErrorKind, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::require;
use crate::ledger::{Appender, Fold, Keeper, Link, payload};

/// How well a state did on data it was not fitted on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldOut {
    /// How many labelled cases it was tried on, 1 or more.
    pub cases: usize,
    /// Share of what it said that was right, 0..=1.
    pub precision: f64,
    /// Share of what was there that it said, 0..=1.
    pub recall: f64,
    /// Expected calibration error of its confidences, 0..=1; `None` where it states none.
    #[serde(default)]
    pub calibration_error: Option<f64>,
}

impl HoldOut {
    fn validate(&self) -> Result<()> {
        require(self.cases > 0, "cases", self.cases, "1 or more")?;
        let shares = [("precision", Some(self.precision)), ("recall", Some(self.recall))];
        let shares = shares.into_iter().chain([("calibration_error", self.calibration_error)]);
        for (field, share) in shares.filter_map(|(field, share)| Some((field, share?))) {
            require((0.0..=1.0).contains(&share), field, share, "0..=1")?;
        }
        Ok(())
    }

    /// Harmonic mean of precision and recall, 0..=1.
    #[must_use]
    pub fn f1(&self) -> f64 {
        let sum = self.precision + self.recall;
        if sum > 0.0 { 2.0 * self.precision * self.recall / sum } else { 0.0 }
    }
}

/// A fitted state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FittedState {
    /// What it is a state of: `rolling-detector`, `calibrator`, ….
    pub kind: String,
    /// The state.
    pub hash: FittedHash,
    /// Version of the format it is stored in.
    pub format: u32,
    /// Where the data came from that it was fitted on.
    pub data: String,
    /// The time that data spans.
    pub fitted_on: TimeRange,
    /// How it did on other data, where that was tried.
    #[serde(default)]
    pub hold_out: Option<HoldOut>,
}

impl FittedState {
    /// The state `hash` of `kind`, fitted on `data` over `fitted_on`.
    pub fn new(
        kind: impl Into<String>,
        hash: FittedHash,
        format: u32,
        data: impl Into<String>,
        fitted_on: TimeRange,
    ) -> Self {
        Self { kind: kind.into(), hash, format, data: data.into(), fitted_on, hold_out: None }
    }

    /// The same with how it did on other data.
    #[must_use]
    pub fn with_hold_out(mut self, hold_out: HoldOut) -> Self {
        self.hold_out = Some(hold_out);
        self
    }
}

/// What a state is for at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Registered, and not in use.
    Candidate,
    /// Runs beside the one that decides; what it says is compared and does nothing.
    Shadow,
    /// Decides.
    Promoted,
    /// Decided until another one was promoted.
    Retired,
    /// Was taken back; it is not promoted again.
    RolledBack,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Candidate => "candidate",
            Self::Shadow => "shadow",
            Self::Promoted => "promoted",
            Self::Retired => "retired",
            Self::RolledBack => "rolled back",
        })
    }
}

/// A state with its role and when it got it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FittedEntry {
    /// The state.
    pub state: FittedState,
    /// What it is for.
    pub role: Role,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// Since when it has this role.
    pub since: Timestamp,
    /// Who gave it this role.
    pub by: Principal,
    /// Why.
    pub reason: String,
    /// Whether it was let decide although nobody had tried it on other data.
    #[serde(default)]
    pub untried: bool,
}

/// What is decided about a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    Shadow,
    Promote,
    /// Although nobody tried it on data that it was not fitted on.
    PromoteUntried,
    /// The promoted one is taken back.
    RollBack,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Registered { state: Box<FittedState>, by: Principal, reason: String, at: Timestamp },
    Moved { kind: String, hash: FittedHash, step: Step, by: Principal, reason: String, at: Timestamp },
}

impl Line {
    /// What is refused whoever wrote the line.
    fn check(&self) -> Result<()> {
        let (Self::Registered { by, reason, .. } | Self::Moved { by, reason, .. }) = self;
        if by.as_str().trim().is_empty() || reason.trim().is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "a step of a fitted state has a name and a reason"));
        }
        let Self::Registered { state, .. } = self else { return Ok(()) };
        require(!state.kind.is_empty(), "kind", "\"\"", "what it is a state of")?;
        require(!state.data.is_empty(), "data", "\"\"", "where the data came from")?;
        state.hold_out.as_ref().map_or(Ok(()), HoldOut::validate)
    }
}

/// States of one kind.
#[derive(Debug, Clone, Default)]
struct Kind {
    /// In the order they were registered.
    entries: Vec<FittedEntry>,
    /// Those that decided and may come back, oldest first; the last one decides.
    reign: Vec<FittedHash>,
    /// Which one decided from when on; `None` for none.
    past: Vec<(Timestamp, Option<FittedHash>)>,
}

impl Kind {
    fn find(&self, hash: &FittedHash) -> Option<&FittedEntry> {
        self.entries.iter().find(|e| e.state.hash == *hash)
    }

    fn give(&mut self, hash: &FittedHash, role: Role, by: &Principal, reason: &str, at: Timestamp) {
        if let Some(entry) = self.entries.iter_mut().find(|e| e.state.hash == *hash) {
            (entry.role, entry.since) = (role, at);
            (entry.by, entry.reason) = (by.clone(), reason.to_owned());
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Shelf(BTreeMap<String, Kind>);

impl Shelf {
    fn apply(&mut self, line: &Line) -> Result<FittedEntry> {
        line.check()?;
        match line {
            Line::Registered { state, by, reason, at } => {
                let kind = self.0.entry(state.kind.clone()).or_default();
                if kind.find(&state.hash).is_some() {
                    return Err(conflict("the state is registered already", &state.kind, &state.hash));
                }
                let entry = FittedEntry {
                    state: (**state).clone(),
                    role: Role::Candidate,
                    registered_at: *at,
                    since: *at,
                    by: by.clone(),
                    reason: reason.clone(),
                    untried: false,
                };
                kind.entries.push(entry.clone());
                Ok(entry)
            }
            Line::Moved { kind, hash, step, by, reason, at } => {
                let unknown = || {
                    Error::new(ErrorKind::NotFound, "no such state is registered")
                        .with("kind", kind)
                        .with("hash", &hash.0)
                };
                let shelf = self.0.get_mut(kind).ok_or_else(unknown)?;
                let found = shelf.find(hash).ok_or_else(unknown)?;
                let (role, untried) = (found.role, found.state.hold_out.is_none());
                if *step == Step::Promote && untried {
                    return Err(Error::new(ErrorKind::Denied, "nobody tried the state on other data")
                        .with("kind", kind)
                        .with("hash", &hash.0));
                }
                let now = (by, reason.as_str(), *at);
                match (step, role) {
                    (Step::Shadow, Role::Candidate | Role::Retired) => {
                        shelf.give(hash, Role::Shadow, now.0, now.1, now.2);
                    }
                    (
                        Step::Promote | Step::PromoteUntried,
                        Role::Candidate | Role::Shadow | Role::Retired,
                    ) => {
                        let former = shelf.reign.last().cloned();
                        if let Some(former) = former {
                            shelf.give(&former, Role::Retired, now.0, now.1, now.2);
                        }
                        shelf.give(hash, Role::Promoted, now.0, now.1, now.2);
                        shelf
                            .entries
                            .iter_mut()
                            .filter(|e| e.state.hash == *hash)
                            .for_each(|e| e.untried = untried);
                        shelf.reign.retain(|h| h != hash);
                        shelf.reign.push(hash.clone());
                        shelf.past.push((*at, Some(hash.clone())));
                    }
                    (Step::RollBack, Role::Promoted) => {
                        shelf.reign.pop();
                        shelf.give(hash, Role::RolledBack, now.0, now.1, now.2);
                        let former = shelf.reign.last().cloned();
                        if let Some(former) = &former {
                            shelf.give(former, Role::Promoted, now.0, now.1, now.2);
                        }
                        shelf.past.push((*at, former));
                    }
                    _ => {
                        return Err(
                            conflict("the state's role does not allow it", kind, hash).with("role", role)
                        );
                    }
                }
                shelf.find(hash).cloned().ok_or_else(unknown)
            }
        }
    }
}

fn conflict(why: &str, kind: &str, hash: &FittedHash) -> Error {
    Error::new(ErrorKind::Conflict, why.to_owned()).with("kind", kind).with("hash", &hash.0)
}

impl Fold for Arc<Shelf> {
    const KIND: &'static str = "fitted";
    type Request = Line;
    type Answer = FittedEntry;
    type View = Self;

    fn replay(&mut self, payload: &[u8], _: &Link) -> Result<()> {
        let line: Line = serde_json::from_slice(payload)
            .map_err(|e| Error::new(ErrorKind::Malformed, "not a line of a registry").caused_by(e))?;
        Self::make_mut(self).apply(&line).map(drop)
    }

    fn admit(&mut self, line: &Line, appender: &mut Appender) -> Result<FittedEntry> {
        let bytes = payload(line)?;
        let entry = Self::make_mut(self).apply(line)?;
        appender.push(&bytes)?;
        Ok(entry)
    }

    fn view(&self) -> Self {
        Self::clone(self)
    }
}

/// The registry, in one file. Clones share it.
///
/// # Errors
/// [`ErrorKind::Malformed`] with [`Damage`](crate::ledger::Damage) as its source when the file is not as it was written.
#[derive(Debug, Clone)]
pub struct FittedRegistry(Keeper<Arc<Shelf>>);

impl FittedRegistry {
    /// Opens the registry at `path`, or creates it, and checks all of it.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] for a damaged file, naming the place; [`ErrorKind::Unavailable`] for one that cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Keeper::open(path.as_ref(), Arc::default()).map(Self)
    }

    /// Takes a state in, as a candidate.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for one without kind or data, or with figures out of range; [`ErrorKind::Conflict`] when it is registered
    /// already; the file's own.
    pub async fn register(
        &self,
        state: FittedState,
        by: Principal,
        reason: impl Into<String>,
        ctx: &Context,
    ) -> Result<FittedEntry> {
        let (state, reason, at) = (Box::new(state), reason.into(), ctx.now());
        self.write(Line::Registered { state, by, reason, at }, ctx).await
    }

    /// Lets a candidate, or one that was retired, run beside the one that decides.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] for one in another role; the file's own.
    pub async fn shadow(
        &self,
        kind: &str,
        hash: &FittedHash,
        by: Principal,
        reason: impl Into<String>,
        ctx: &Context,
    ) -> Result<FittedEntry> {
        self.step(kind, hash, Step::Shadow, by, reason.into(), ctx).await
    }

    /// Lets a state decide that was tried on other data; the one that did is retired.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Denied`] for one without hold-out figures; [`ErrorKind::Conflict`] for one that decides already
    /// or was taken back; the file's own.
    pub async fn promote(
        &self,
        kind: &str,
        hash: &FittedHash,
        by: Principal,
        reason: impl Into<String>,
        ctx: &Context,
    ) -> Result<FittedEntry> {
        self.step(kind, hash, Step::Promote, by, reason.into(), ctx).await
    }

    /// The same for a state that nobody tried on other data, which is kept in writing ([`FittedEntry::untried`]).
    ///
    /// # Errors
    /// As [`promote`](Self::promote), but for the figures.
    pub async fn promote_untried(
        &self,
        kind: &str,
        hash: &FittedHash,
        by: Principal,
        reason: impl Into<String>,
        ctx: &Context,
    ) -> Result<FittedEntry> {
        self.step(kind, hash, Step::PromoteUntried, by, reason.into(), ctx).await
    }

    /// Takes the state `hash`, which decides, back; the one before it decides again, where there is one. It is named, so that of two
    /// people who take one state back the second does not take back the one before it as well.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] for one that does not decide; the file's own.
    pub async fn roll_back(
        &self,
        kind: &str,
        hash: &FittedHash,
        by: Principal,
        reason: impl Into<String>,
        ctx: &Context,
    ) -> Result<FittedEntry> {
        self.step(kind, hash, Step::RollBack, by, reason.into(), ctx).await
    }

    /// The state of `kind` that decides.
    ///
    /// # Errors
    /// The file's own.
    pub async fn promoted(&self, kind: &str, ctx: &Context) -> Result<Option<FittedEntry>> {
        let shelf = self.shelf(ctx).await?;
        let of = |kind: &Kind| kind.reign.last().and_then(|hash| kind.find(hash)).cloned();
        Ok(shelf.0.get(kind).and_then(of))
    }

    /// The state of `kind` that decided at `at`.
    ///
    /// # Errors
    /// The file's own.
    pub async fn promoted_at(&self, kind: &str, at: Timestamp, ctx: &Context) -> Result<Option<FittedHash>> {
        let shelf = self.shelf(ctx).await?;
        let past = shelf.0.get(kind).map(|k| k.past.as_slice()).unwrap_or_default();
        // The latest line counts where the clock stood still or jumped back.
        Ok(past.iter().rev().find(|(since, _)| *since <= at).and_then(|(_, hash)| hash.clone()))
    }

    /// All states of `kind`, in the order they were registered.
    ///
    /// # Errors
    /// The file's own.
    pub async fn entries(&self, kind: &str, ctx: &Context) -> Result<Vec<FittedEntry>> {
        let shelf = self.shelf(ctx).await?;
        Ok(shelf.0.get(kind).map(|k| k.entries.clone()).unwrap_or_default())
    }

    async fn step(
        &self,
        kind: &str,
        hash: &FittedHash,
        step: Step,
        by: Principal,
        reason: String,
        ctx: &Context,
    ) -> Result<FittedEntry> {
        let (kind, hash, at) = (kind.to_owned(), hash.clone(), ctx.now());
        self.write(Line::Moved { kind, hash, step, by, reason, at }, ctx).await
    }

    async fn write(&self, line: Line, ctx: &Context) -> Result<FittedEntry> {
        ctx.check()?;
        self.0.write(line).await
    }

    async fn shelf(&self, ctx: &Context) -> Result<Arc<Shelf>> {
        ctx.check()?;
        self.0.view().await
    }
}
