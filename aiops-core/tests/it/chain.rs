//! The chain of guards: whatever goes wrong is a denial.

use std::sync::Mutex;
use std::time::Duration;

use aiops_core::action::*;
use aiops_core::fake::{FixedGuard, InMemoryJournal, ScriptedApprover};
use aiops_core::guard::{ChainConfig, GuardChain, KillSwitch};
use aiops_core::model::{Confidence, EntityId};
use aiops_core::seam::{Approver, Guardrail, Review};
use aiops_core::{Cancellation, Context, Error, ErrorKind, ManualClock, Result};
use async_trait::async_trait;
use futures_lite::future::block_on;

use crate::world::*;

fn person(answers: impl IntoIterator<Item = bool>) -> ScriptedApprover {
    ScriptedApprover::of(Principal::new("ann"), answers)
}

/// A guard with other answers at each hearing; the last one stays.
#[derive(Debug)]
struct Fickle(Mutex<Vec<Result<Verdict, ErrorKind>>>);

impl Fickle {
    fn of(answers: impl IntoIterator<Item = Result<Verdict, ErrorKind>>) -> Self {
        Self(Mutex::new(answers.into_iter().collect()))
    }
}

#[async_trait]
impl Guardrail for Fickle {
    fn id(&self) -> GuardId {
        GuardId("fickle".to_owned())
    }
    async fn check(&self, _: &Review<'_>, _: &Context) -> Result<Verdict> {
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        answer.map_err(|kind| Error::new(kind, "told to"))
    }
}

#[test]
fn an_allowed_proposal_is_authorised() {
    let world = World::new();
    let chain = world.chain(allow()).build().unwrap();
    let token = world.authorize(&chain, proposal()).unwrap();
    assert_eq!(*token.key(), proposal().idempotency_key().unwrap());
    let decision = token.decision();
    assert!(decision.is_authorized() && decision.approval.is_none());
    let guards: Vec<&str> = decision.verdicts.iter().map(|v| v.guard.0.as_str()).collect();
    assert_eq!(guards, ["mode", "calibration", "high-risk", "fixed"]);
    assert_eq!(decision.outcome, DecisionOutcome::Authorized { expires_at: start() + seconds(30) });
}

#[test]
fn one_no_is_a_no() {
    let world = World::new();
    let chain =
        world.chain(allow()).guard(FixedGuard::new("strict", Verdict::deny("too risky"))).guard(allow());
    assert_eq!(world.denial(chain, proposal()), "strict: too risky");
}

#[test]
fn a_guard_that_fails_denies() {
    let world = World::new();
    let broken = Fickle::of([Err(ErrorKind::Unavailable)]);
    assert_eq!(
        world.denial(world.chain(broken), proposal()),
        "fickle: the guard failed: unavailable: told to"
    );
}

#[test]
fn a_guard_that_hangs_denies_when_time_is_up() {
    #[derive(Debug)]
    struct Hangs(ManualClock);

    #[async_trait]
    impl Guardrail for Hangs {
        fn id(&self) -> GuardId {
            GuardId("hangs".to_owned())
        }
        async fn check(&self, _: &Review<'_>, _: &Context) -> Result<Verdict> {
            self.0.advance(seconds(60));
            std::future::pending().await
        }
    }

    let mut world = World::new();
    world.ctx = world.ctx.with_timeout(seconds(10));
    let reason = world.denial(world.chain(Hangs(world.clock.clone())), proposal());
    assert!(reason.contains("timeout: the deadline has passed"), "{reason}");
}

#[test]
fn a_cancelled_caller_is_denied() {
    let mut world = World::new();
    let cancellation = Cancellation::new();
    cancellation.cancel();
    world.ctx = world.ctx.with_cancellation(cancellation);
    assert!(world.denial(world.chain(allow()), proposal()).contains("cancelled"));
}

#[test]
fn no_approver_is_a_denial() {
    let world = World::new();
    let reason = world.denial(world.chain(ask()), proposal());
    assert_eq!(reason, "needs approval and there is no approver: fixed: a person must see this");
}

#[test]
fn an_approval_is_asked_once_and_recorded() {
    let world = World::new();
    let ann = person([true]);
    let chain = world.chain(ask()).approver(ann.clone()).build().unwrap();
    let token = world.authorize(&chain, proposal()).unwrap();
    assert_eq!(token.decision().approval.as_ref().unwrap().approver, Principal::new("ann"));
    let [request] = &ann.asked()[..] else { panic!("asked {} times", ann.asked().len()) };
    assert_eq!(request.reasons, ["fixed: a person must see this"]);
    assert_eq!(request.expires_at, start() + seconds(300));
    assert_eq!(request.preview.target.replicas, Some(3));
}

#[test]
fn a_refusal_is_a_denial() {
    let world = World::new();
    let chain = world.chain(ask()).approver(person([false]));
    assert_eq!(world.denial(chain, proposal()), "ann said no: scripted");
}

#[test]
fn nobody_approves_himself() {
    let world = World::new();
    let planner = ScriptedApprover::of(Principal::new("planner"), [true]);
    let reason = world.denial(world.chain(ask()).approver(planner), proposal());
    assert_eq!(reason, "nobody approves a proposal of their own");
}

#[test]
fn silence_is_a_no_after_the_shortest_wait() {
    #[derive(Debug)]
    struct Away(ManualClock, Duration);

    #[async_trait]
    impl Approver for Away {
        async fn decide(&self, request: &ApprovalRequest, ctx: &Context) -> Result<ApprovalDecision> {
            self.0.advance(self.1);
            ctx.check()?;
            self.0.set(request.expires_at);
            std::future::pending().await
        }
    }

    let world = World::new();
    let quick = Verdict::NeedsApproval { reason: "quick".to_owned(), wait: seconds(20) };
    let chain = |late| world.chain(ask()).guard(FixedGuard::new("quick", quick.clone())).approver(late);
    let reason = world.denial(chain(Away(world.clock.clone(), seconds(19))), proposal());
    assert!(reason.starts_with("no approval: timeout"), "{reason}");
    let reason = world.denial(chain(Away(world.clock.clone(), seconds(20))), proposal());
    assert!(reason.starts_with("no approval: timeout"), "{reason}");
}

/// An approval counts for the target as it was shown.
#[test]
fn a_target_that_changed_after_the_approval_denies() {
    #[derive(Debug)]
    struct Slow(aiops_core::fake::InMemoryMitigator, ScriptedApprover);

    #[async_trait]
    impl Approver for Slow {
        async fn decide(&self, request: &ApprovalRequest, ctx: &Context) -> Result<ApprovalDecision> {
            self.0.tamper(&target(), |w| w.replicas = 1);
            self.1.decide(request, ctx).await
        }
    }

    let world = World::new();
    let slow = Slow(world.mitigator.clone(), person([true]));
    let reason = world.denial(world.chain(ask()).approver(slow), proposal());
    assert_eq!(reason, "the target changed after the approval");
}

#[test]
fn guards_are_heard_again_after_the_approval() {
    let world = World::new();
    let fickle = Fickle::of([Ok(Verdict::needs_approval("first")), Ok(Verdict::deny("meanwhile"))]);
    let reason = world.denial(world.chain(fickle).approver(person([true])), proposal());
    assert_eq!(reason, "fickle: meanwhile");
}

#[test]
fn a_guard_that_asks_only_at_the_second_hearing_denies() {
    let world = World::new();
    let fickle = Fickle::of([Ok(Verdict::allow("first")), Ok(Verdict::needs_approval("second"))]);
    let reason = world.denial(world.chain(fickle).approver(person([true])), proposal());
    assert_eq!(reason, "fickle: asked for a person only at the second hearing");
}

/// The person consented to what the first hearing asked about.
#[test]
fn an_approval_does_not_cover_what_another_guard_asks_later() {
    let world = World::new();
    let fickle = Fickle::of([Ok(Verdict::allow("first")), Ok(Verdict::needs_approval("second"))]);
    let reason = world.denial(world.chain(ask()).guard(fickle).approver(person([true])), proposal());
    assert_eq!(reason, "fickle: asked for a person only at the second hearing");
}

/// After a machine was suspended, the answer and the end of the wait are found at once.
#[test]
fn an_answer_after_the_wait_does_not_count() {
    #[derive(Debug)]
    struct Sleepy(aiops_core::ManualClock);
    #[async_trait]
    impl Approver for Sleepy {
        async fn decide(&self, _: &ApprovalRequest, _: &Context) -> Result<ApprovalDecision> {
            self.0.advance(seconds(3600));
            Ok(ApprovalDecision {
                approver: Principal::new("ada"),
                granted: true,
                reason: "ok".into(),
                at: start(),
            })
        }
    }
    let world = World::new();
    let reason = world.denial(world.chain(ask()).approver(Sleepy(world.clock.clone())), proposal());
    assert_eq!(reason, "no approval: the answer came too late");
}

#[test]
fn the_window_for_undoing_is_bounded() {
    let world = World::new();
    let mut config = ChainConfig::in_mode(Mode::Auto);
    config.revert_window = seconds(24 * 3600);
    assert!(world.chain(allow()).config(config).build().is_ok());
    config.revert_window = seconds(24 * 3600 + 1);
    assert!(world.chain(allow()).config(config).build().is_err());
}

#[test]
fn preconditions_hold_or_it_is_denied() {
    let world = World::new();
    for (precondition, met) in [
        (Precondition::ReadyReplicas(3), true),
        (Precondition::ReadyReplicas(4), false),
        (Precondition::Revision("r1".to_owned()), true),
        (Precondition::Revision("r2".to_owned()), false),
        // The mitigator cannot tell, so it does not hold.
        (Precondition::ReplicationHealthy, false),
    ] {
        let chain = world.chain(allow()).build().unwrap();
        let answer =
            world.authorize(&chain, propose("p", action(restart()).with_precondition(precondition.clone())));
        assert_eq!(answer.is_ok(), met, "{precondition:?}: {answer:?}");
    }
    let mut absent = action(restart());
    absent.target = EntityId::service("nowhere");
    assert_eq!(world.denial(world.chain(allow()), propose("p", absent)), "precondition not met: Exists");
}

#[test]
fn what_the_mitigator_cannot_do_is_denied_before_anybody_is_asked() {
    let world = World::new();
    let ann = person([true]);
    let chain = world.chain(ask()).approver(ann.clone());
    assert_eq!(world.denial(chain, propose("p", action(Operation::Drain))), "the mitigator cannot drain");
    assert!(ann.asked().is_empty());
}

#[test]
fn uncalibrated_confidence_and_high_risk_ask_a_person() {
    let world = World::new();
    let mut guess = proposal();
    guess.confidence = Confidence::uncalibrated(0.99).unwrap();
    let mut raised = action(restart());
    raised.raised_risk = Some(Risk::High);
    for (proposal, guard) in [
        (guess, "calibration"),
        (propose("stop", action(Operation::Stop)), "high-risk"),
        (propose("to-zero", action(Operation::Scale { replicas: 0 })), "high-risk"),
        (propose("raised", raised), "high-risk"),
    ] {
        let reason = world.denial(world.chain(allow()), proposal.clone());
        assert!(reason.starts_with(&format!("needs approval and there is no approver: {guard}")), "{reason}");
        let chain = world.chain(allow()).approver(person([true])).build().unwrap();
        assert!(world.authorize(&chain, proposal).is_ok());
    }
}

#[test]
fn modes_cap_what_is_done() {
    let world = World::new();
    let in_mode = |mode| world.chain(allow()).config(ChainConfig::in_mode(mode)).approver(person([true]));
    assert_eq!(world.denial(in_mode(Mode::Observe), proposal()), "mode: observing only");
    let token = world.authorize(&in_mode(Mode::Suggest).build().unwrap(), proposal()).unwrap();
    assert!(token.decision().approval.is_some());
}

#[test]
fn the_kill_switch_denies() {
    let world = World::new();
    let kill_switch = KillSwitch::new();
    kill_switch.engage(&Principal::new("ann"), "drill");
    let reason = world.denial(world.chain(allow()).kill_switch(kill_switch.clone()), proposal());
    assert_eq!(reason, "kill switch engaged: ann: drill");
    kill_switch.release(&Principal::new("ann"));
    let chain = world.chain(allow()).kill_switch(kill_switch).build().unwrap();
    assert!(world.authorize(&chain, proposal()).is_ok());
}

#[test]
fn a_denial_says_how_far_it_came() {
    let world = World::new();
    let chain = world.chain(ask()).approver(person([false])).build().unwrap();
    let denied = block_on(chain.authorize(proposal(), &world.mitigator, &world.ctx)).unwrap_err();
    assert!(!denied.record().is_authorized());
    assert_eq!(denied.record().verdicts.len(), 4);
    assert!(denied.record().approval.is_some());
    assert_eq!(denied.to_string(), "proposal p1 denied: ann said no: scripted");
    assert_eq!(Error::from(denied).kind(), ErrorKind::Denied);
}

#[test]
fn token_life_is_checked() {
    for (life, fine) in [(0, false), (1, true), (3600, true), (3601, false)] {
        let mut config = ChainConfig::in_mode(Mode::Auto);
        config.token_life = seconds(life);
        let built = GuardChain::builder(InMemoryJournal::new()).guard(allow()).config(config).build();
        assert_eq!(built.is_ok(), fine, "{life} s");
    }
    let read = |json: &str| serde_json::from_str::<ChainConfig>(json);
    assert_eq!(read("{\"mode\":\"auto\",\"token_life\":\"1m\"}").unwrap().token_life, seconds(60));
    assert!(read("{\"mod\":\"auto\"}").unwrap_err().to_string().contains("unknown field"));
}
