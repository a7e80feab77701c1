//! Who may act: a lease with a fencing token (ACT-10).
//!
//! What the journal gives by itself: of any number of replicas on one journal, each entry is decided by one, a key is intended once, and a target whose
//! action has not ended is held. So no action runs twice. What it does not give is *one decider*: two replicas may act on different targets of one
//! incident at once, each in the belief that it is alone.
//!
//! A [`Lease`] elects one. Whoever holds it has a [`Term`] with a token that grows with every holder, for a time that is
//! renewed. A holder that was paused, past its time, comes back with an old token, and [`FileJournal::fenced`] refuses its intents: the journal knows
//! the newest token, because a holder [begins its term](FileJournal::begin_term) in it. That check and the append are one step under the
//! journal's lock, so there is no instant between them. Outcomes of what an earlier holder began are taken from anybody: what was
//! done is always written down.
//!
//! A holder is a name and an [`Instance`], a random number that each opening of a lease draws. So two replicas that were configured with one name
//! do not share a term, and neither do two that were given separate leases, whose tokens begin alike: the journal takes a token from the one
//! who began it. The price is that a replica that is started anew waits for the end of its own old term, unless it
//! [released](Lease::release) it.
//!
//! After its intent is written a holder may still be paused. Then the right to act expires (30 s by default), and a mitigator that checks
//! [`Fence`](aiops_core::action::Fence)s refuses it where a newer one acted on the target.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::Duration;

use aiops_core::action::Principal;
use aiops_core::model::time::{after, elapsed};
use aiops_core::{Cancellation, Context, Error, ErrorKind, Result};
use async_trait::async_trait;
use futures_lite::future::or;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::require;
use crate::ledger::{Appender, Fold, Keeper, Link, payload};

#[allow(unused_imports, reason = "the documentation speaks of it")]
use crate::FileJournal;

/// Number of a term; the next holder's is larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseToken(pub u64);

impl fmt::Display for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Tells processes apart that hold a lease under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instance(u64);

impl Instance {
    /// One that nobody else has, but for one chance in 2⁶⁴: from the operating system's randomness.
    #[must_use]
    pub fn random() -> Self {
        Self(RandomState::new().hash_one(0_u64))
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The time in which one holder may act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// Its number.
    pub token: LeaseToken,
    /// Whose it is.
    pub holder: Principal,
    /// Which process of that name.
    pub instance: Instance,
    /// When it began, or was renewed last.
    pub since: Timestamp,
    /// First instant after it, unless it is renewed.
    pub until: Timestamp,
}

impl Term {
    /// Whether it holds at `now`. A clock that stands before its beginning has jumped: it does not hold then.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.since <= now && now < self.until
    }

    /// Whether `other` is this term, renewed or not.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        (self.token, &self.holder, self.instance) == (other.token, &other.holder, other.instance)
    }

    /// What is left of it at `now`; never more than it lasts, wherever the clock jumped to.
    fn left(&self, now: Timestamp) -> Duration {
        elapsed(now, self.until).min(elapsed(self.since, self.until))
    }
}

/// Elects one replica at a time.
///
/// # Contract
/// - Of any number of calls one holder at most has a term that holds.
/// - Tokens grow: a term that begins later has a larger one, also after a restart of everything.
/// - A term is durable when it is returned.
#[async_trait]
pub trait Lease: fmt::Debug + Send + Sync + 'static {
    /// A term for `holder`: a new one where nobody's holds, and its own renewed where this very instance holds it.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] while somebody else's holds, who may be of the same name; the store's own.
    async fn acquire(&self, holder: &Principal, ctx: &Context) -> Result<Term>;

    /// Ends `term` before its time, so that another one need not wait. One that is over already is no error.
    ///
    /// # Errors
    /// The store's own.
    async fn release(&self, term: &Term, ctx: &Context) -> Result<()>;

    /// The term that holds now.
    ///
    /// # Errors
    /// The store's own.
    async fn current(&self, ctx: &Context) -> Result<Option<Term>>;
}

/// Renews `term` every `every` until it is lost, then cancels `lost` and says why. Hand `lost` to
/// [`Pipeline::run`](aiops_core::pipeline::Pipeline::run) as its shutdown: no action is begun any more then.
///
/// A store that fails for a moment is asked again until the term is over, and one that does not answer is not waited for beyond that. A term
/// that lapsed is lost also when nobody else took it meanwhile. `lost` is cancelled before anything else is done.
pub async fn hold(
    lease: &dyn Lease,
    term: &Term,
    every: Duration,
    lost: &Cancellation,
    ctx: &Context,
) -> Error {
    let (reason, unwanted) = renew_until_lost(lease, term.clone(), every, ctx).await;
    lost.cancel();
    tracing::warn!(token = %term.token, reason = %reason, "the lease is lost");
    if let Some(renewed) = unwanted {
        // Nobody acts in this one, so nobody need wait for its end.
        let limited = ctx.with_timeout(every);
        if let Err(e) = limited.bound(lease.release(&renewed, &limited)).await {
            tracing::warn!(error = %e, "a term could not be released");
        }
    }
    reason
}

/// Why the term was lost, and the new one that was taken in the attempt to renew it.
async fn renew_until_lost(
    lease: &dyn Lease,
    mut held: Term,
    every: Duration,
    ctx: &Context,
) -> (Error, Option<Term>) {
    let mut failed = None;
    loop {
        if let Err(e) = ctx.sleep(every.min(held.left(ctx.now()))).await {
            return (e, None);
        }
        let left = held.left(ctx.now());
        if left.is_zero() {
            return (lapsed(failed), None);
        }
        let over = async {
            ctx.clock().sleep(left).await;
            None
        };
        let renewal = async { Some(ctx.bound(lease.acquire(&held.holder, ctx)).await) };
        let answer = or(renewal, over).await;
        match answer {
            Some(Ok(renewed)) if renewed.is(&held) => (held, failed) = (renewed, None),
            Some(Ok(renewed)) => return (lapsed(failed), Some(renewed)),
            Some(Err(e)) if e.is_transient() => {
                tracing::warn!(error = %e, "the lease could not be renewed yet");
                failed = Some(e);
            }
            Some(Err(e)) => return (e, None),
            None => return (lapsed(failed), None),
        }
    }
}

fn lapsed(failed: Option<Error>) -> Error {
    let lapsed = Error::new(ErrorKind::Expired, "the term lapsed before it was renewed");
    match failed {
        Some(last) => lapsed.caused_by(last),
        None => lapsed,
    }
}

/// Settings of a [`FileLease`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LeaseConfig {
    /// How long a term lasts without being renewed, 1 s to 1 h; default 30 s. Renew it at a third of that.
    #[serde(with = "aiops_core::model::duration")]
    pub term: Duration,
}

impl Default for LeaseConfig {
    fn default() -> Self {
        Self { term: Duration::from_secs(30) }
    }
}

/// A [`Lease`] in one file, for the replicas of one machine: a [ledger](crate::ledger) of kind `lease`. It trusts the machine's clock;
/// a clock that jumps back ends a term early, one that jumps ahead lets another holder begin, whose larger token then fences the
/// former one off. Each opening is an [`Instance`] of its own, which its clones share.
#[derive(Debug, Clone)]
pub struct FileLease {
    keeper: Keeper<Terms>,
    config: LeaseConfig,
    instance: Instance,
}

impl FileLease {
    /// Opens the lease at `path`, or creates it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a term out of range; [`ErrorKind::Malformed`] for a damaged file; [`ErrorKind::Unavailable`] for one
    /// that cannot be read.
    pub fn open(path: impl AsRef<Path>, config: LeaseConfig) -> Result<Self> {
        let range = Duration::from_secs(1)..=Duration::from_secs(3600);
        require(range.contains(&config.term), "term", format!("{:?}", config.term), "1 s to 1 h")?;
        let keeper = Keeper::open(path.as_ref(), Terms::default())?;
        Ok(Self { keeper, config, instance: Instance::random() })
    }
}

#[async_trait]
impl Lease for FileLease {
    async fn acquire(&self, holder: &Principal, ctx: &Context) -> Result<Term> {
        ctx.check()?;
        require(!holder.as_str().is_empty(), "holder", "\"\"", "a name of its own for each replica")?;
        let now = ctx.now();
        let until = after(now, self.config.term);
        let take = Take { holder: holder.clone(), instance: self.instance, now, until };
        let taken = self.keeper.write(Request::Take(take)).await?;
        taken.ok_or_else(|| Error::new(ErrorKind::Internal, "no term was written"))
    }

    async fn release(&self, term: &Term, ctx: &Context) -> Result<()> {
        ctx.check()?;
        self.keeper.write(Request::End { token: term.token }).await.map(drop)
    }

    async fn current(&self, ctx: &Context) -> Result<Option<Term>> {
        ctx.check()?;
        Ok(self.keeper.view().await?.filter(|term| term.holds(ctx.now())))
    }
}

enum Request {
    Take(Take),
    End { token: LeaseToken },
}

/// Who wants a term, from when, until when.
struct Take {
    holder: Principal,
    instance: Instance,
    now: Timestamp,
    until: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Term(Term),
    Ended(LeaseToken),
}

/// The newest term, unless it was ended, and the newest token there ever was.
#[derive(Debug, Clone, Default)]
struct Terms {
    term: Option<Term>,
    newest: u64,
}

impl Terms {
    fn apply(&mut self, line: &Line) -> Result<()> {
        match line {
            Line::Term(term) => {
                let renews = self.term.as_ref().is_some_and(|held| held.is(term));
                if !renews && term.token.0 <= self.newest {
                    return Err(Error::new(ErrorKind::Conflict, "a token that does not grow")
                        .with("token", term.token)
                        .with("newest", self.newest));
                }
                self.newest = self.newest.max(term.token.0);
                self.term = Some(term.clone());
            }
            Line::Ended(token) => {
                self.term.take_if(|term| term.token == *token);
            }
        }
        Ok(())
    }

    fn take(&self, take: &Take) -> Result<Term> {
        let held = self.term.as_ref().filter(|term| term.holds(take.now));
        let token = match held {
            Some(term) if (&term.holder, term.instance) == (&take.holder, take.instance) => term.token,
            Some(term) => {
                return Err(Error::new(ErrorKind::Conflict, "somebody else holds the lease")
                    .with("holder", &term.holder)
                    .with("instance", term.instance)
                    .with("until", term.until));
            }
            None => LeaseToken(self.newest.saturating_add(1)),
        };
        let Take { holder, instance, now, until } = take;
        Ok(Term { token, holder: holder.clone(), instance: *instance, since: *now, until: *until })
    }
}

impl Fold for Terms {
    const KIND: &'static str = "lease";
    type Request = Request;
    type Answer = Option<Term>;
    type View = Option<Term>;

    fn replay(&mut self, payload: &[u8], _: &Link) -> Result<()> {
        let line = serde_json::from_slice(payload)
            .map_err(|e| Error::new(ErrorKind::Malformed, "not a line of a lease").caused_by(e))?;
        self.apply(&line)
    }

    fn admit(&mut self, request: &Request, appender: &mut Appender) -> Result<Option<Term>> {
        let line = match request {
            Request::Take(take) => Line::Term(self.take(take)?),
            Request::End { token } if self.term.as_ref().is_some_and(|t| t.token == *token) => {
                Line::Ended(*token)
            }
            Request::End { .. } => return Ok(None),
        };
        let bytes = payload(&line)?;
        self.apply(&line)?;
        appender.push(&bytes)?;
        Ok(self.term.clone())
    }

    fn view(&self) -> Option<Term> {
        self.term.clone()
    }
}
