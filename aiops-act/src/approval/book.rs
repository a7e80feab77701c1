//! What the lines of the desk's file add up to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aiops_core::action::{ApprovalRequest, Principal};
use aiops_core::{Error, ErrorKind, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::desk::{ApprovalConfig, admits};
use super::names::{check_name, check_reason, same_person};
use super::ticket::{Answer, RequestId, SeenOver, Standing, Ticket};
use crate::ledger::{Appender, Fold, Link, payload};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Asked {
        id: RequestId,
        request: Box<ApprovalRequest>,
        /// What must be met for a yes. It stands in the file, so that settings of another day or process do not change what was decided.
        quorum: usize,
        approvers: Option<BTreeSet<Principal>>,
        at: Timestamp,
    },
    Answered {
        request: RequestId,
        answer: Answer,
    },
}

/// All requests so far. A copy shares its tickets: one is made when something is written while somebody reads.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    tickets: Vec<Arc<Ticket>>,
    by_id: BTreeMap<RequestId, usize>,
    /// The newest request that asks this.
    by_content: BTreeMap<digest::Content, usize>,
    /// Those that may still be answered.
    undecided: BTreeSet<usize>,
    /// Those that no line has shown to be over, by when they are.
    standing: BTreeSet<(Timestamp, usize)>,
}

impl Book {
    pub(super) fn tickets(&self) -> impl Iterator<Item = &Ticket> {
        self.tickets.iter().map(Arc::as_ref)
    }

    pub(super) fn get(&self, id: &RequestId) -> Result<&Ticket> {
        let found = self.by_id.get(id).and_then(|i| self.tickets.get(*i));
        found
            .map(Arc::as_ref)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "no request has this id").with("id", id))
    }

    /// Oldest first.
    pub(super) fn pending(&self, now: Timestamp) -> impl Iterator<Item = &Ticket> {
        let undecided = self.undecided.iter().filter_map(|i| self.tickets.get(*i)).map(Arc::as_ref);
        undecided.filter(move |ticket| ticket.standing(now) == Standing::Pending)
    }

    /// This process saw `now`. What is over then stays so, also when the clock is set back before a line tells of it.
    pub(super) fn see(&self, now: Timestamp) {
        for (_, index) in self.standing.range(..=(now, usize::MAX)) {
            if let Some(ticket) = self.tickets.get(*index) {
                ticket.seen_over.set();
            }
        }
    }

    /// A line bears `at`. A clock that jumped costs a request, not an approval.
    fn pass(&mut self, at: Timestamp) {
        while let Some((expires_at, index)) = self.standing.first().copied().filter(|(end, _)| *end <= at) {
            self.standing.remove(&(expires_at, index));
            self.undecided.remove(&index);
            if let Some(ticket) = self.tickets.get_mut(index) {
                Arc::make_mut(ticket).over = true;
            }
        }
    }

    /// The request that asked the same and still stands.
    fn same(&self, request: &ApprovalRequest, now: Timestamp) -> Result<Option<&Ticket>> {
        let newest = self.by_content.get(&digest::content(request)?);
        let newest = newest.and_then(|i| self.tickets.get(*i)).map(Arc::as_ref);
        Ok(newest.filter(|ticket| ticket.is_open(now)))
    }

    fn apply(&mut self, line: &Line) -> Result<Ticket> {
        match line {
            Line::Asked { id, request, quorum, approvers, at } => {
                self.open(id, request, *quorum, approvers.as_ref(), *at)
            }
            Line::Answered { request, answer } => self.answer(request, answer),
        }
    }

    fn open(
        &mut self,
        id: &RequestId,
        request: &ApprovalRequest,
        quorum: usize,
        approvers: Option<&BTreeSet<Principal>>,
        at: Timestamp,
    ) -> Result<Ticket> {
        let index = self.tickets.len();
        if quorum == 0 || self.by_id.contains_key(id) {
            return Err(Error::new(ErrorKind::Conflict, "not a new request").with("id", id));
        }
        approvers.into_iter().flatten().try_for_each(check_name)?;
        let content = digest::content(request)?;
        self.pass(at);
        let ticket = Ticket {
            id: id.clone(),
            request: request.clone(),
            quorum,
            approvers: approvers.cloned(),
            asked_at: at,
            answers: Vec::new(),
            over: false,
            seen_over: SeenOver::default(),
        };
        self.tickets.push(Arc::new(ticket.clone()));
        self.by_id.insert(id.clone(), index);
        self.by_content.insert(content, index);
        self.undecided.insert(index);
        self.standing.insert((request.expires_at, index));
        Ok(ticket)
    }

    fn answer(&mut self, id: &RequestId, answer: &Answer) -> Result<Ticket> {
        if !self.check(id, answer)? {
            return Err(Error::new(ErrorKind::Conflict, "an answer stands here twice").with("id", id));
        }
        self.pass(answer.at);
        let index = self.by_id.get(id).copied().unwrap_or(usize::MAX);
        let Some(ticket) = self.tickets.get_mut(index) else { return self.get(id).cloned() };
        let ticket = Arc::make_mut(ticket);
        ticket.answers.push(answer.clone());
        let ticket = ticket.clone();
        if ticket.decision().is_some() {
            self.undecided.remove(&index);
        }
        Ok(ticket)
    }

    /// Whether `answer` counts, and whether it is a new one.
    fn check(&self, id: &RequestId, answer: &Answer) -> Result<bool> {
        let ticket = self.get(id)?;
        let refuse =
            |kind, why: &str| Err(Error::new(kind, why.to_owned()).with("id", id).with("by", &answer.by));
        check_name(&answer.by)?;
        check_reason(&answer.reason)?;
        if same_person(&answer.by, &ticket.request.proposal.proposed_by) {
            return refuse(ErrorKind::Denied, "nobody approves a proposal of their own");
        }
        admits(ticket.approvers.as_ref(), &answer.by)?;
        if let Some(before) = ticket.answers.iter().find(|a| same_person(&a.by, &answer.by)) {
            if before.granted == answer.granted {
                return Ok(false);
            }
            return refuse(ErrorKind::Conflict, "this person answered otherwise before");
        }
        if ticket.decision().is_some() {
            return refuse(ErrorKind::Conflict, "the request was decided already");
        }
        if !ticket.stood_at(answer.at) {
            return refuse(ErrorKind::Expired, "the time for an answer has passed");
        }
        Ok(true)
    }
}

/// What may be written.
pub(super) enum Request {
    Ask(Box<ApprovalRequest>, Timestamp),
    Answer(RequestId, Answer),
}

/// The book with the settings that new lines must meet.
#[derive(Debug, Clone)]
pub(super) struct Counter {
    pub(super) book: Arc<Book>,
    pub(super) config: ApprovalConfig,
}

impl Counter {
    fn write(&mut self, line: &Line, appender: &mut Appender) -> Result<Ticket> {
        let bytes = payload(line)?;
        let ticket = Arc::make_mut(&mut self.book).apply(line)?;
        appender.push(&bytes)?;
        Ok(ticket)
    }

    fn ask(&mut self, request: &ApprovalRequest, at: Timestamp, appender: &mut Appender) -> Result<Ticket> {
        self.book.see(at);
        if let Some(known) = self.book.same(request, at)?.filter(|ticket| self.config.accepts(ticket)) {
            return Ok(known.clone());
        }
        let open = self.book.pending(at).count();
        if open >= self.config.most_pending {
            return Err(
                Error::new(ErrorKind::Limit, "too many requests wait for an answer").with("pending", open)
            );
        }
        let quorum = self.config.quorum_for(request.proposal.action.risk());
        let (copy, approvers) = (Box::new(request.clone()), self.config.approvers.clone());
        let id = digest::id(request, at, self.book.tickets.len())?;
        self.write(&Line::Asked { id, request: copy, quorum, approvers, at }, appender)
    }
}

impl Fold for Counter {
    const KIND: &'static str = "approvals";
    type Request = Request;
    type Answer = Ticket;
    type View = Arc<Book>;

    fn replay(&mut self, payload: &[u8], _: &Link) -> Result<()> {
        let line: Line = serde_json::from_slice(payload)
            .map_err(|e| Error::new(ErrorKind::Malformed, "not a line of approvals").caused_by(e))?;
        Arc::make_mut(&mut self.book).apply(&line).map(drop)
    }

    fn admit(&mut self, request: &Request, appender: &mut Appender) -> Result<Ticket> {
        match request {
            Request::Ask(request, at) => self.ask(request, *at, appender),
            Request::Answer(id, answer) => {
                self.config.admits(&answer.by)?;
                self.book.see(answer.at);
                // The same answer once more is no second one.
                if !self.book.check(id, answer)? {
                    return self.book.get(id).cloned();
                }
                if !self.book.get(id)?.is_open(answer.at) {
                    let late = Error::new(ErrorKind::Expired, "the time for an answer has passed");
                    return Err(late.with("id", id).with("by", &answer.by));
                }
                let line = Line::Answered { request: id.clone(), answer: answer.clone() };
                self.write(&line, appender)
            }
        }
    }

    fn view(&self) -> Arc<Book> {
        Arc::clone(&self.book)
    }
}

/// What makes two requests the same, and what names one.
mod digest {
    use aiops_core::action::ApprovalRequest;
    use aiops_core::{Error, ErrorKind, Result};
    use jiff::Timestamp;

    use super::RequestId;

    pub(super) type Content = [u8; 32];

    /// Hash of all that is asked; not of when the answer is due.
    pub(super) fn content(request: &ApprovalRequest) -> Result<Content> {
        hash(&(&request.proposal, &request.preview, &request.reasons))
    }

    pub(super) fn id(request: &ApprovalRequest, at: Timestamp, number: usize) -> Result<RequestId> {
        let hash = blake3::Hash::from_bytes(hash(&(request, at, number))?);
        Ok(RequestId::new(hash.to_hex().chars().take(32).collect::<String>()))
    }

    fn hash(value: &impl serde::Serialize) -> Result<Content> {
        let text = serde_json::to_vec(value)
            .map_err(|e| Error::new(ErrorKind::Internal, "a request cannot be serialised").caused_by(e))?;
        Ok(*blake3::hash(&text).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use aiops_core::action::ProposalId;
    use aiops_testkit::sample;

    use super::super::desk::Reply;
    use super::*;

    #[test]
    fn a_copy_shares_all_tickets_but_the_one_that_changes() {
        let (mut book, now) = (Book::default(), sample::now());
        for n in 0..3 {
            let mut request = sample::approval_request().unwrap();
            request.proposal.id = ProposalId::new(format!("p{n}"));
            book.open(&RequestId::new(format!("r{n}")), &request, 1, None, now).unwrap();
        }
        let read = book.clone();
        let answer = Answer::new(Reply::grant(Principal::new("ada"), "yes"), now);
        book.answer(&RequestId::new("r1"), &answer).unwrap();
        let shared = |i: usize| Arc::ptr_eq(&read.tickets[i], &book.tickets[i]);
        assert_eq!([0, 1, 2].map(shared), [true, false, true]);
        assert_eq!((read.tickets[1].answers.len(), book.tickets[1].answers.len()), (0, 1));
    }
}
