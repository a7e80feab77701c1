//! The approval desk: contract, quorum, expiry, identity, restarts, several processes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aiops_act::approval::{ApprovalConfig, ApprovalDesk, Reply, RequestId, Standing, Ticket};
use aiops_core::action::{ApprovalRequest, Mode, Principal, Risk};
use aiops_core::fake::FixedGuard;
use aiops_core::guard::{ChainConfig, GuardChain};
use aiops_core::seam::Approver;
use aiops_core::{Cancellation, Context, ErrorKind, ManualClock};
use aiops_testkit::conformance::{self, ApproverFixture};
use aiops_testkit::sample;
use futures_lite::future::{block_on, zip};

use crate::support::{World, orders, propose, restart_of, secs};

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("approvals");
    (folder, path)
}

fn desk(path: &Path) -> ApprovalDesk {
    ApprovalDesk::open(path, ApprovalConfig::default()).unwrap()
}

fn quorum(n: usize) -> ApprovalConfig {
    let mut config = ApprovalConfig::default();
    config.quorum = n;
    config
}

fn who(name: &str) -> Principal {
    Principal::new(name)
}

fn yes(name: &str) -> Reply {
    Reply::grant(who(name), "go ahead")
}

fn no(name: &str) -> Reply {
    Reply::refuse(who(name), "not now")
}

/// A clock at the sample's instant, and a context on it.
fn clock() -> (ManualClock, Context) {
    let clock = ManualClock::at(sample::now());
    let ctx = Context::new(Arc::new(clock.clone()));
    (clock, ctx)
}

fn ask(desk: &ApprovalDesk, request: &ApprovalRequest, ctx: &Context) -> Ticket {
    block_on(desk.ask(request, ctx)).unwrap()
}

fn request() -> ApprovalRequest {
    sample::approval_request().unwrap()
}

fn about(reason: &str) -> ApprovalRequest {
    let mut request = request();
    request.reasons = vec![reason.to_owned()];
    request
}

fn kind<T: std::fmt::Debug>(result: aiops_core::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn keeps_the_contract_of_an_approver() {
    for granted in [true, false] {
        let (_folder, path) = folder();
        let (desk, (_, ctx)) = (desk(&path), clock());
        let ticket = ask(&desk, &request(), &ctx);
        let reply = if granted { yes("ada") } else { no("ada") };
        block_on(desk.answer(&ticket.id, reply, &ctx)).unwrap();
        let fixture = ApproverFixture::new(ctx, request(), granted);
        block_on(conformance::approver(&desk, &fixture)).assert_counts(5, 0);
    }
}

#[test]
fn whoever_waits_gets_the_answer_when_it_comes() {
    let (_folder, path) = folder();
    let (desk, (_, ctx)) = (desk(&path), clock());
    let request = request();
    let front_end = async {
        while desk.pending(&ctx).await.unwrap().is_empty() {
            futures_lite::future::yield_now().await;
        }
        let pending = desk.pending(&ctx).await.unwrap();
        assert_eq!(pending[0].request, request);
        desk.answer(&pending[0].id, yes("ada"), &ctx).await.unwrap();
    };
    // The clock stands still: only the answer itself can wake the one who waits.
    let (decision, ()) = block_on(zip(desk.decide(&request, &ctx), front_end));
    let decision = decision.unwrap();
    assert!(decision.granted);
    assert_eq!((decision.approver, decision.reason.as_str()), (who("ada"), "go ahead"));
    assert!(block_on(desk.pending(&ctx)).unwrap().is_empty());
}

#[test]
fn an_answer_from_another_process_is_seen_within_the_poll() {
    let (_folder, path) = folder();
    let (desk, other) = (desk(&path), desk(&path));
    let clock = ManualClock::leaping(sample::now());
    let ctx = Context::new(Arc::new(clock.clone()));
    let ticket = ask(&desk, &request(), &ctx);
    let answered = async {
        aiops_core::Clock::sleep(&clock, secs(10)).await;
        other.answer(&ticket.id, yes("ada"), &ctx).await.unwrap();
    };
    let request = request();
    let (decision, ()) = block_on(zip(desk.decide(&request, &ctx), answered));
    assert!(decision.unwrap().granted);
    assert!(ctx.now() < ticket.request.expires_at);
}

#[test]
fn silence_is_a_no_and_stays_one() {
    let (_folder, path) = folder();
    let desk = desk(&path);
    let ctx = Context::new(Arc::new(ManualClock::leaping(sample::now())));
    let request = request();
    let error = block_on(Approver::decide(&desk, &request, &ctx)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Expired);
    assert_eq!(ctx.now(), request.expires_at);
    let labels = block_on(desk.labels(&ctx)).unwrap();
    assert!(labels.is_empty(), "nobody said anything: {labels:?}");
    // Too late is too late, by a nanosecond or a day.
    let id = RequestId::new(error.context().find(|(name, _)| *name == "request").unwrap().1);
    assert_eq!(kind(block_on(desk.answer(&id, yes("ada"), &ctx))), ErrorKind::Expired);
    assert_eq!(block_on(desk.ticket(&id, &ctx)).unwrap().standing(ctx.now()), Standing::Expired);
}

#[test]
fn a_clock_before_the_question_lets_nothing_count() {
    let (_folder, path) = folder();
    let (desk, (clock, ctx)) = (desk(&path), clock());
    let ticket = ask(&desk, &request(), &ctx);
    clock.set(sample::now() - Duration::from_secs(3600));
    assert_eq!(kind(block_on(desk.answer(&ticket.id, yes("ada"), &ctx))), ErrorKind::Expired);
    // To ask again is another question, which then waits for an answer of its own.
    assert_ne!(ask(&desk, &request(), &ctx).id, ticket.id);
}

#[test]
fn a_quorum_is_of_different_people_and_one_no_is_a_no() {
    let (_folder, path) = folder();
    let (_, ctx) = clock();
    let desk = ApprovalDesk::open(&path, quorum(2)).unwrap();
    let first = ask(&desk, &about("one"), &ctx);
    let after_one = block_on(desk.answer(&first.id, yes("ada"), &ctx)).unwrap();
    assert_eq!((after_one.standing(ctx.now()), after_one.decision()), (Standing::Pending, None));
    // The same person twice is one person.
    let again = block_on(desk.answer(&first.id, yes("ada"), &ctx)).unwrap();
    assert_eq!(again, after_one);
    let two = block_on(desk.answer(&first.id, yes("ben"), &ctx)).unwrap();
    assert_eq!(two.standing(ctx.now()), Standing::Granted);
    assert_eq!(two.decision().unwrap().approver, who("ada, ben"));

    let second = ask(&desk, &about("two"), &ctx);
    block_on(desk.answer(&second.id, yes("ada"), &ctx)).unwrap();
    let refused = block_on(desk.answer(&second.id, no("ben"), &ctx)).unwrap();
    assert_eq!(refused.standing(ctx.now()), Standing::Refused);
    let decision = block_on(Approver::decide(&desk, &about("two"), &ctx)).unwrap();
    assert_eq!((decision.granted, decision.approver), (false, who("ben")));
}

#[test]
fn a_quorum_may_depend_on_the_risk_and_the_file_remembers_which_held() {
    let (_folder, path) = folder();
    let (_, ctx) = clock();
    let mut config = quorum(1);
    config.quorum_by_risk = [(Risk::High, 3)].into();
    let strict = ApprovalDesk::open(&path, config).unwrap();
    let mut high = request();
    high.proposal.action.raised_risk = Some(Risk::High);
    let ticket = ask(&strict, &high, &ctx);
    assert_eq!(ticket.quorum, 3);
    assert_eq!(ask(&strict, &request(), &ctx).quorum, 1);
    drop(strict);
    // Opened with laxer settings, what was asked before still needs three.
    let lax = desk(&path);
    let one = block_on(lax.answer(&ticket.id, yes("ada"), &ctx)).unwrap();
    assert_eq!(one.standing(ctx.now()), Standing::Pending);
}

#[test]
fn nobody_approves_their_own_and_only_the_listed_answer() {
    let (_folder, path) = folder();
    let (_, ctx) = clock();
    let mut config = quorum(1);
    config.approvers = Some([who("ada"), who("planner")].into());
    let desk = ApprovalDesk::open(&path, config).unwrap();
    let ticket = ask(&desk, &request(), &ctx);
    assert_eq!(request().proposal.proposed_by, who("planner"));
    for by in ["planner", "mallory", "Ada", "аda"] {
        assert_eq!(kind(block_on(desk.answer(&ticket.id, yes(by), &ctx))), ErrorKind::Denied, "{by}");
    }
    for by in ["", " ", "ada ", "\tada", "ada\n", "a\u{0}da", &"a".repeat(257)] {
        assert_eq!(kind(block_on(desk.answer(&ticket.id, yes(by), &ctx))), ErrorKind::Invalid, "{by:?}");
    }
    let endless = Reply::grant(who("ada"), "x".repeat(4097));
    assert_eq!(kind(block_on(desk.answer(&ticket.id, endless, &ctx))), ErrorKind::Limit);
    assert!(block_on(desk.ticket(&ticket.id, &ctx)).unwrap().answers.is_empty());
    assert_eq!(kind(block_on(desk.answer(&RequestId::new("0"), yes("ada"), &ctx))), ErrorKind::NotFound);
}

#[test]
fn a_decision_is_not_changed() {
    let (_folder, path) = folder();
    let (desk, (_, ctx)) = (desk(&path), clock());
    let ticket = ask(&desk, &request(), &ctx);
    let granted = block_on(desk.answer(&ticket.id, yes("ada"), &ctx)).unwrap();
    assert_eq!(kind(block_on(desk.answer(&ticket.id, no("ada"), &ctx))), ErrorKind::Conflict);
    assert_eq!(kind(block_on(desk.answer(&ticket.id, no("ben"), &ctx))), ErrorKind::Conflict);
    assert_eq!(block_on(desk.answer(&ticket.id, yes("ada"), &ctx)).unwrap(), granted);
    assert_eq!(block_on(desk.ticket(&ticket.id, &ctx)).unwrap(), granted);
}

#[test]
fn of_people_who_answer_at_once_one_decides() {
    let (_folder, path) = folder();
    let (_, ctx) = clock();
    let desk = desk(&path);
    let ticket = ask(&desk, &request(), &ctx);
    let replies: Vec<_> = (0..8)
        .map(|n| {
            // A handle each, as processes would have.
            let (desk, ctx, id) = (self::desk(&path), ctx.clone(), ticket.id.clone());
            let reply = if n % 2 == 0 { yes(&format!("p{n}")) } else { no(&format!("p{n}")) };
            std::thread::spawn(move || block_on(desk.answer(&id, reply, &ctx)))
        })
        .collect();
    let outcomes: Vec<_> = replies.into_iter().map(|t| t.join().unwrap()).collect();
    assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 1);
    assert!(outcomes.into_iter().filter_map(Result::err).all(|e| e.kind() == ErrorKind::Conflict));
    assert_eq!(block_on(desk.ticket(&ticket.id, &ctx)).unwrap().answers.len(), 1);
}

#[test]
fn a_restart_forgets_nothing() {
    let (_folder, path) = folder();
    let (clock, ctx) = clock();
    let before = desk(&path);
    let (open, decided) = (ask(&before, &about("open"), &ctx), ask(&before, &about("decided"), &ctx));
    let reply = yes("ada").with_diagnosis(Some(true));
    block_on(before.answer(&decided.id, reply, &ctx)).unwrap();
    drop(before);
    clock.advance(secs(60));
    let after = desk(&path);
    let pending: Vec<_> = block_on(after.pending(&ctx)).unwrap().into_iter().map(|t| t.id).collect();
    assert_eq!(pending, std::slice::from_ref(&open.id));
    // The pipeline that was restarted asks again, and nobody has to answer twice.
    let decision = block_on(Approver::decide(&after, &about("decided"), &ctx)).unwrap();
    assert!(decision.granted);
    assert_eq!(decision.at, sample::now());
    assert_eq!(ask(&after, &about("open"), &ctx).id, open.id);
    let labels = block_on(after.labels(&ctx)).unwrap();
    assert_eq!(labels.len(), 1);
    assert_eq!((labels[0].granted, labels[0].diagnosis_right), (true, Some(true)));
    assert_eq!(labels[0].proposal, request().proposal.id);
}

#[test]
fn another_question_needs_another_answer() {
    let (_folder, path) = folder();
    let (desk, (clock, ctx)) = (desk(&path), clock());
    let asked = request();
    let ticket = ask(&desk, &asked, &ctx);
    block_on(desk.answer(&ticket.id, yes("ada"), &ctx)).unwrap();
    let mut other_reasons = asked.clone();
    other_reasons.reasons.push("high-risk: high risk is always for a person".to_owned());
    let mut other_state = asked.clone();
    other_state.preview.target.generation = Some("2".to_owned());
    let mut other_action = asked.clone();
    other_action.proposal.action.blast_radius.replicas += 1;
    for other in [&other_reasons, &other_state, &other_action] {
        assert_ne!(ask(&desk, other, &ctx).id, ticket.id);
    }
    // Nor does a yes outlive its time, though the question is put again with a later one.
    clock.set(asked.expires_at);
    let mut later = asked;
    later.expires_at += Duration::from_secs(300);
    let again = ask(&desk, &later, &ctx);
    assert_ne!(again.id, ticket.id);
    assert_eq!(again.standing(ctx.now()), Standing::Pending);
}

#[test]
fn a_later_deadline_does_not_stretch_an_earlier_one() {
    let (_folder, path) = folder();
    let (desk, (clock, ctx)) = (desk(&path), clock());
    let ticket = ask(&desk, &request(), &ctx);
    clock.advance(secs(200));
    let mut later = request();
    later.expires_at += Duration::from_secs(200);
    assert_eq!(ask(&desk, &later, &ctx).request.expires_at, ticket.request.expires_at);
}

#[test]
fn too_many_questions_are_not_asked() {
    let (_folder, path) = folder();
    let (clock, ctx) = clock();
    let mut config = ApprovalConfig::default();
    config.most_pending = 2;
    let desk = ApprovalDesk::open(&path, config).unwrap();
    let tickets: Vec<Ticket> = ["a", "b"].iter().map(|r| ask(&desk, &about(r), &ctx)).collect();
    assert_eq!(kind(block_on(desk.ask(&about("c"), &ctx))), ErrorKind::Limit);
    block_on(desk.answer(&tickets[0].id, yes("ada"), &ctx)).unwrap();
    ask(&desk, &about("c"), &ctx);
    // What expired makes room too.
    clock.set(tickets[1].request.expires_at);
    let mut later = about("d");
    later.expires_at += Duration::from_secs(300);
    ask(&desk, &later, &ctx);
    assert_eq!(block_on(desk.pending(&ctx)).unwrap().len(), 1);
}

#[test]
fn a_damaged_file_approves_nothing() {
    let (_folder, path) = folder();
    let (_, ctx) = clock();
    let ticket = {
        let desk = desk(&path);
        let ticket = ask(&desk, &request(), &ctx);
        block_on(desk.answer(&ticket.id, no("ada"), &ctx)).unwrap();
        ticket
    };
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(ticket.id.as_str()));
    std::fs::write(&path, text.replace("\"granted\":false", "\"granted\":true ")).unwrap();
    assert_eq!(kind(ApprovalDesk::open(&path, ApprovalConfig::default())), ErrorKind::Malformed);
}

/// Even with a chain that was computed anew: what the desk would not have written it does not read.
#[test]
fn a_forged_line_is_refused() {
    use aiops_act::ledger::Link;
    let (_folder, path) = folder();
    let (_, ctx) = clock();
    let ticket = ask(&desk(&path), &request(), &ctx);
    let whole = std::fs::read(&path).unwrap();
    let mut link = Link::START;
    for line in whole.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        link.read(line).unwrap();
    }
    for (by, at) in [("planner", ctx.now()), ("ada", ticket.request.expires_at)] {
        let (mut link, mut forged) = (link, whole.clone());
        let answer = serde_json::json!({"answered": {"request": ticket.id, "answer":
            {"by": by, "granted": true, "reason": "", "diagnosis_right": null, "at": at}}});
        link.write(answer.to_string().as_bytes(), &mut forged).unwrap();
        std::fs::write(&path, forged).unwrap();
        assert_eq!(kind(ApprovalDesk::open(&path, ApprovalConfig::default())), ErrorKind::Malformed, "{by}");
    }
}

#[test]
fn giving_up_leaves_the_question_to_be_answered() {
    let (_folder, path) = folder();
    let (desk, (_, ctx)) = (desk(&path), clock());
    let cancellation = Cancellation::new();
    let waiting = ctx.clone().with_cancellation(cancellation.clone());
    let request = request();
    let give_up = async {
        while desk.pending(&ctx).await.unwrap().is_empty() {
            futures_lite::future::yield_now().await;
        }
        cancellation.cancel();
    };
    let (decision, ()) = block_on(zip(Approver::decide(&desk, &request, &waiting), give_up));
    assert_eq!(kind(decision), ErrorKind::Cancelled);
    assert_eq!(block_on(desk.pending(&ctx)).unwrap().len(), 1);
}

/// Through a real chain: the desk's answer is what is recorded, and a target that changed meanwhile denies.
#[test]
fn a_chain_acts_on_the_desks_word() {
    let (_folder, path) = folder();
    let world = World::new();
    let desk = desk(&path);
    let chain = GuardChain::builder(world.journal.clone())
        .guard(FixedGuard::new("asks", aiops_core::action::Verdict::needs_approval("to be sure")))
        .approver(desk.clone())
        .config(ChainConfig::in_mode(Mode::Auto))
        .build()
        .unwrap();
    for (changes, name) in [(false, "p"), (true, "q")] {
        let front_end = async {
            let pending = loop {
                let pending = desk.pending(&world.ctx).await.unwrap();
                if !pending.is_empty() {
                    break pending;
                }
                futures_lite::future::yield_now().await;
            };
            if changes {
                world.mitigator.tamper(&orders(), |workload| workload.replicas += 1);
            }
            desk.answer(&pending[0].id, yes("ada"), &world.ctx).await.unwrap();
        };
        let proposal = propose(name, "inc", restart_of(orders()));
        let authorize = chain.authorize(proposal, &world.mitigator, &world.ctx);
        let (decided, ()) = block_on(zip(authorize, front_end));
        match decided {
            Ok(right) => {
                assert!(!changes);
                assert_eq!(right.decision().approval.as_ref().unwrap().approver, who("ada"));
            }
            Err(denied) => assert!(changes && denied.reason().contains("changed"), "{denied}"),
        }
    }
}
