use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aiops_core::action::{ApprovalDecision, ApprovalRequest, Principal, Risk};
use aiops_core::model::time::elapsed;
use aiops_core::seam::Approver;
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;
use event_listener::Event;
use serde::{Deserialize, Serialize};

use super::book::{Book, Counter, Request};
use super::names::{check_name, check_reason};
use super::ticket::{Answer, ApprovalLabel, RequestId, Standing, Ticket};
use crate::config::require;
use crate::ledger::Keeper;

/// Settings of an [`ApprovalDesk`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ApprovalConfig {
    /// Different people who must say yes, where `quorum_by_risk` says nothing; default 1, 1..=10.
    pub quorum: usize,
    /// The same for actions of some risk; default none. The risk is what the action says of itself, raised or by nature
    /// ([`Action::risk`](aiops_core::action::Action::risk)): a class that only [`RiskTiers`](crate::guards::RiskTiers) gives it is not known here.
    pub quorum_by_risk: BTreeMap<Risk, usize>,
    /// Who may answer; default anybody whom a front end lets in. No two of them may differ by case only.
    pub approvers: Option<BTreeSet<Principal>>,
    /// Most requests that wait at once, 1 or more; default 100. More are not asked, and so denied.
    pub most_pending: usize,
    /// How often one who waits looks for what other processes wrote, 1 ms to 1 min; default 1 s. Answers given in this process are seen
    /// at once.
    #[serde(with = "aiops_core::model::duration")]
    pub poll: Duration,
}

impl Default for ApprovalConfig {
    fn default() -> Self {
        Self {
            quorum: 1,
            quorum_by_risk: BTreeMap::new(),
            approvers: None,
            most_pending: 100,
            poll: Duration::from_secs(1),
        }
    }
}

impl ApprovalConfig {
    fn validate(&self) -> Result<()> {
        let few = 1..=10;
        require(few.contains(&self.quorum), "quorum", self.quorum, "1..=10")?;
        for (risk, quorum) in &self.quorum_by_risk {
            require(few.contains(quorum), "quorum_by_risk", format!("{risk} = {quorum}"), "1..=10")?;
        }
        if let Some(approvers) = &self.approvers {
            let most = self.quorum_by_risk.values().chain([&self.quorum]).max().copied().unwrap_or(1);
            let enough = approvers.len() >= most;
            require(enough, "approvers", approvers.len(), "as many people as the largest quorum")?;
            approvers.iter().try_for_each(check_name)?;
            let people: BTreeSet<_> = approvers.iter().map(|a| a.as_str().to_ascii_lowercase()).collect();
            let different = people.len() == approvers.len();
            require(different, "approvers", people.len(), "names that differ by more than case")?;
        }
        require(self.most_pending > 0, "most_pending", self.most_pending, "1 or more")?;
        let (least, most) = (Duration::from_millis(1), Duration::from_secs(60));
        require((least..=most).contains(&self.poll), "poll", format!("{:?}", self.poll), "1 ms to 1 min")
    }

    pub(super) fn quorum_for(&self, risk: Risk) -> usize {
        self.quorum_by_risk.get(&risk).copied().unwrap_or(self.quorum)
    }

    pub(super) fn admits(&self, who: &Principal) -> Result<()> {
        admits(self.approvers.as_ref(), who)
    }

    /// Whether a yes to `ticket` is a yes by these settings too: whoever asked may have had laxer ones.
    pub(super) fn accepts(&self, ticket: &Ticket) -> bool {
        let listed = match (&self.approvers, &ticket.approvers) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(ours), Some(theirs)) => theirs.is_subset(ours),
        };
        listed && ticket.quorum >= self.quorum_for(ticket.request.proposal.action.risk())
    }
}

pub(super) fn admits(approvers: Option<&BTreeSet<Principal>>, who: &Principal) -> Result<()> {
    match approvers {
        Some(approvers) if !approvers.contains(who) => {
            Err(Error::new(ErrorKind::Denied, "this person may not answer").with("by", who))
        }
        _ => Ok(()),
    }
}

/// What a person answers, as a front end hands it over. The front end vouches for who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// Who answers.
    pub by: Principal,
    /// Yes or no.
    pub granted: bool,
    /// Why; at most 4 KiB, see [`check_reason`].
    pub reason: String,
    /// Whether the diagnosis is right, where that is said.
    pub diagnosis_right: Option<bool>,
}

impl Reply {
    /// A yes.
    pub fn grant(by: Principal, reason: impl Into<String>) -> Self {
        Self { by, granted: true, reason: reason.into(), diagnosis_right: None }
    }

    /// A no.
    pub fn refuse(by: Principal, reason: impl Into<String>) -> Self {
        Self { granted: false, ..Self::grant(by, reason) }
    }

    /// The same, with whether the diagnosis is right.
    #[must_use]
    pub fn with_diagnosis(mut self, right: Option<bool>) -> Self {
        self.diagnosis_right = right;
        self
    }

    fn check(&self) -> Result<()> {
        check_name(&self.by)?;
        check_reason(&self.reason)
    }
}

/// A durable queue of approval requests, and an [`Approver`] that waits for their answers. Clones share it.
///
/// The file is read once at opening and grows by about two kilobytes a request. Several processes of one machine may open it.
///
/// # Errors
/// [`ErrorKind::Malformed`] with [`Damage`](crate::ledger::Damage) as its source when the file is not as it was written; after a failed
/// sync, or when another file stands in its place, nothing is answered any more ([`ErrorKind::Unavailable`]), and so nothing is approved.
#[derive(Debug, Clone)]
pub struct ApprovalDesk {
    keeper: Keeper<Counter>,
    config: ApprovalConfig,
    changed: Arc<Event>,
}

impl ApprovalDesk {
    /// Opens the desk at `path`, or creates it, and checks all of it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for settings out of range; [`ErrorKind::Malformed`] for a damaged file, naming the place;
    /// [`ErrorKind::Unavailable`] for one that cannot be read.
    pub fn open(path: impl AsRef<Path>, config: ApprovalConfig) -> Result<Self> {
        config.validate()?;
        let blank = Counter { book: Arc::default(), config: config.clone() };
        Ok(Self { keeper: Keeper::open(path.as_ref(), blank)?, config, changed: Arc::default() })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.keeper.path()
    }

    /// Puts a question on the desk, or finds the one that asks the same, needs as much for a yes, and still stands.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] when too many wait already; the file's own errors.
    pub async fn ask(&self, request: &ApprovalRequest, ctx: &Context) -> Result<Ticket> {
        ctx.check()?;
        let asked = self.keeper.write(Request::Ask(Box::new(request.clone()), ctx.now())).await?;
        self.changed.notify(usize::MAX);
        Ok(asked)
    }

    /// What waits for an answer, oldest first.
    ///
    /// # Errors
    /// The file's own.
    pub async fn pending(&self, ctx: &Context) -> Result<Vec<Ticket>> {
        let book = self.book(ctx).await?;
        Ok(book.pending(ctx.now()).cloned().collect())
    }

    /// One request, whatever became of it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown id; the file's own.
    pub async fn ticket(&self, id: &RequestId, ctx: &Context) -> Result<Ticket> {
        self.book(ctx).await?.get(id).cloned()
    }

    /// Writes an answer down. It is on disk when this returns. The same answer by the same person once more changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown id; [`ErrorKind::Denied`] for the proposer and for whoever may not answer;
    /// [`ErrorKind::Conflict`] for another answer by the same person, or to a decided request; [`ErrorKind::Expired`] after its time;
    /// [`ErrorKind::Invalid`] and [`ErrorKind::Limit`] for a name or a reason that cannot be kept; the file's own.
    pub async fn answer(&self, id: &RequestId, reply: Reply, ctx: &Context) -> Result<Ticket> {
        ctx.check()?;
        reply.check()?;
        let (by, granted) = (reply.by.clone(), reply.granted);
        let answer = Answer::new(reply, ctx.now());
        let ticket = self.keeper.write(Request::Answer(id.clone(), answer)).await?;
        tracing::info!(request = %id, by = %by, granted, "an approval request was answered");
        self.changed.notify(usize::MAX);
        Ok(ticket)
    }

    /// What people said so far, oldest question first, to learn from.
    ///
    /// # Errors
    /// The file's own.
    pub async fn labels(&self, ctx: &Context) -> Result<Vec<ApprovalLabel>> {
        Ok(self.book(ctx).await?.tickets().filter_map(Ticket::label).collect())
    }

    /// Completes when something was asked or answered in this process, for front ends that show what is pending.
    pub async fn changed(&self) {
        self.changed.listen().await;
    }

    async fn book(&self, ctx: &Context) -> Result<Arc<Book>> {
        ctx.check()?;
        let book = self.keeper.view().await?;
        book.see(ctx.now());
        Ok(book)
    }
}

#[async_trait]
impl Approver for ApprovalDesk {
    async fn decide(&self, request: &ApprovalRequest, ctx: &Context) -> Result<ApprovalDecision> {
        let id = self.ask(request, ctx).await?.id;
        loop {
            let changed = self.changed.listen();
            let ticket = self.ticket(&id, ctx).await?;
            let now = ctx.now();
            // A decision counts for the time the question stood, also for one who asks it again.
            match ticket.standing(now) {
                Standing::Granted | Standing::Refused if ticket.is_open(now) => {
                    let none = || Error::new(ErrorKind::Internal, "a decided request without a decision");
                    return ticket.decision().ok_or_else(none);
                }
                Standing::Pending => {}
                _ => {
                    return Err(Error::new(ErrorKind::Expired, "nobody decided in time").with("request", &id));
                }
            }
            let left = elapsed(now, ticket.request.expires_at).max(Duration::from_millis(1));
            let woken = async {
                changed.await;
                Ok(())
            };
            futures_lite::future::or(woken, ctx.sleep(self.config.poll.min(left))).await?;
        }
    }
}
