//! The life of actions as a state machine: two replicas, each a pipeline that is interrupted at every call it makes, one journal,
//! one mitigator, one kill switch. [`real`](super::real) does the same with the real types.

use stateright::{Model, Property};

use super::state::{ASKS, At, Close, Ended, Helped, Remote, State, Step, TARGET, Trace, Troubles, Work};

/// How often a pipeline hears the guards when the journal moved on.
const HEARINGS: u8 = 3;
/// When an exploration ends, should a doubt never be settled.
const LAST_TICK: u8 = 8;

/// What keeps an action safe, each alone to be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protection {
    CompareAndAppend,
    KeysOnce,
    Hold,
    WriteAhead,
    /// When guards are heard and an answer came; `record` asks once more, before any other step can be taken.
    HearingAsksKillSwitch,
    SpendAsksKillSwitch,
    SpendAsksClock,
    Consent,
    Generation,
    Cap,
    Breaker,
    MitigatorRemembers,
    MitigatorKeepsPromise,
    Fence,
    Telling,
}

/// Promises, in the order of their bits.
pub(super) const PROMISES: [&str; 11] = [
    "nothing begins that was not authorised",
    "nothing begins twice",
    "nothing begins while the kill switch is engaged",
    "nothing begins without its intent on record",
    "nothing begins by a right that expired",
    "nothing begins behind a newer action on its target",
    "no key is intended twice",
    "one open action a target",
    "no incident exceeds its cap",
    "nothing is intended while the breaker is open",
    "nothing is allowed while the kill switch is engaged",
];
pub(super) const TRUTH: &str = "what the journal calls not started never ran";
pub(super) const SETTLED: &str = "in the end every doubt is settled or told";

/// Bounds of one exploration.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// Keys by replica, round and place.
    pub(super) plans: [Vec<Vec<u8>>; 2],
    pub(super) looks: u8,
    pub(super) cap: usize,
    pub(super) breaker: bool,
    pub(super) helped: Vec<Helped>,
    pub(super) troubles: Troubles,
    pub(super) removed: Vec<Protection>,
}

impl Scenario {
    fn has(&self, protection: Protection) -> bool {
        !self.removed.contains(&protection)
    }

    pub(super) fn key(&self, r: usize, work: Work) -> Option<u8> {
        self.plans[r].get(usize::from(work.round))?.get(usize::from(work.place)).copied()
    }

    /// What the guards that count would deny.
    fn denies(&self, s: &State) -> bool {
        (self.has(Protection::Cap) && s.counted() >= self.cap)
            || (self.breaker && self.has(Protection::Breaker) && s.breaker_is_open())
    }

    /// From a proposal on to the next call that can be interrupted.
    fn pursue(&self, s: &mut State, r: usize, mut work: Work) {
        s.at[r] = loop {
            match self.key(r, work) {
                None => break At::Closed(Close::Escalated),
                Some(_) if s.killed && self.has(Protection::HearingAsksKillSwitch) => {
                    break At::Closed(Close::Escalated);
                }
                Some(_) if self.denies(s) => work = Work { place: work.place + 1, tries: 0, ..work },
                Some(key) if ASKS[usize::from(key)] => {
                    break At::Asked { work, generation: s.generation };
                }
                Some(_) => {
                    s.broke(10, s.killed);
                    break At::Recording { work, seen: s.head, born: s.now, fair: true };
                }
            }
        };
    }

    fn next_proposal(&self, s: &mut State, r: usize, work: Work) {
        self.pursue(s, r, Work { place: work.place + 1, tries: 0, ..work });
    }

    fn answer(&self, s: &mut State, r: usize, work: Work, generation: u8, yes: bool) {
        let same = generation == s.generation;
        if s.killed && self.has(Protection::HearingAsksKillSwitch) {
            s.at[r] = At::Closed(Close::Escalated);
        } else if (!yes && self.has(Protection::Consent))
            || self.denies(s)
            || (!same && self.has(Protection::Generation))
        {
            self.next_proposal(s, r, work);
        } else {
            s.broke(10, s.killed);
            s.at[r] = At::Recording { work, seen: s.head, born: s.now, fair: yes && same };
        }
    }

    fn record(&self, s: &mut State, r: usize, work: Work, seen: u8, born: u8, fair: bool) {
        let Some(key) = self.key(r, work) else { return };
        let known = s.journal.iter().any(|t| t.key == key);
        let held = s.holder(TARGET[usize::from(key)]).is_some();
        if (self.has(Protection::CompareAndAppend) && seen != s.head)
            || (self.has(Protection::KeysOnce) && known)
            || (self.has(Protection::Hold) && held)
        {
            let work = Work { tries: work.tries + 1, ..work };
            if work.tries < HEARINGS {
                return self.pursue(s, r, work);
            }
            let same_key = s.journal.iter().find(|t| t.key == key);
            let mut in_the_way = same_key.into_iter().chain(s.holder(TARGET[usize::from(key)])).peekable();
            let busy = in_the_way.peek().is_none() || in_the_way.any(|t| s.now - t.at <= 1);
            s.at[r] = At::Closed(if busy { Close::Yielded } else { Close::Escalated });
            return;
        }
        s.broke(6, known);
        s.broke(7, held);
        s.broke(9, self.breaker && s.breaker_is_open());
        if self.has(Protection::WriteAhead) {
            // The record bears the time at which it was written, not that at which the journal took it.
            s.journal.push(Trace { key, at: born, ended: None, helped: None });
            s.head += 1;
        }
        s.at[r] = At::Executing { work, fence: s.head, born, since: s.now, fair };
    }

    fn execute(&self, s: &mut State, r: usize, work: Work, fence: u8, born: u8, fair: bool) {
        let Some(key) = self.key(r, work) else { return };
        let k = usize::from(key);
        let target = usize::from(TARGET[k]);
        let (expired, stale) = (s.now > born, fence < s.newest_fence[target]);
        if (s.killed && self.has(Protection::SpendAsksKillSwitch))
            || (expired && self.has(Protection::SpendAsksClock))
            || (s.remote[k] != Remote::Nothing && self.has(Protection::MitigatorRemembers))
            || (s.refused[k] && self.has(Protection::MitigatorKeepsPromise))
            || (stale && self.has(Protection::Fence))
        {
            s.at[r] = At::Doubting { work };
            return;
        }
        s.begun[k] += 1;
        s.broke(0, !fair);
        s.broke(1, s.begun[k] > 1);
        s.broke(2, s.killed);
        s.broke(3, s.journal.iter().all(|t| t.key != key));
        s.broke(4, expired);
        s.broke(5, stale);
        let begun = s.begun.iter().filter(|n| **n > 0).count();
        s.broke(8, begun > self.cap);
        s.newest_fence[target] = s.newest_fence[target].max(fence);
        s.remote[k] = Remote::Flying;
        s.at[r] = At::Waiting { work, since: s.now };
    }

    /// What the mitigator says of `key`; `None` for running or unknown.
    fn told(s: &mut State, key: u8, lie: Option<Ended>, settled: bool) -> Option<Ended> {
        let k = usize::from(key);
        if let Some(lie) = lie {
            s.left.lies -= 1;
            return Some(lie);
        }
        match s.remote[k] {
            Remote::Nothing => {
                s.refused[k] = true;
                Some(Ended::NotStarted { settled })
            }
            Remote::Done => Some(Ended::Completed),
            Remote::Failed => Some(Ended::Failed),
            Remote::Flying | Remote::Lost => None,
        }
    }

    fn tell(&self, s: &mut State, key: u8) {
        s.told[usize::from(key)] |= self.has(Protection::Telling);
    }

    fn status(&self, s: &mut State, r: usize, lie: Option<Ended>) {
        match s.at[r].clone() {
            At::Doubting { work } => {
                let Some(key) = self.key(r, work) else { return };
                s.at[r] = match Self::told(s, key, lie, false) {
                    Some(ended) => At::Ending { work, ended },
                    None => {
                        self.tell(s, key);
                        At::Closed(Close::Escalated)
                    }
                };
            }
            At::Settling { keys, then, .. } => match Self::told(s, keys[0], lie, true) {
                Some(ended) => s.at[r] = At::Settling { keys, write: Some(ended), then },
                None => {
                    self.tell(s, keys[0]);
                    s.settle_next(r, keys, then);
                }
            },
            _ => {}
        }
    }

    fn end(&self, s: &mut State, r: usize, helped: Helped) {
        match s.at[r].clone() {
            At::Ending { work, ended } => {
                let Some(key) = self.key(r, work) else { return };
                s.at[r] = if !s.write(key, ended) {
                    self.tell(s, key);
                    At::Closed(Close::Escalated)
                } else if ended == Ended::Completed {
                    At::Verifying { work, helped }
                } else {
                    At::Closed(Close::Escalated)
                };
            }
            At::Settling { keys, write: Some(ended), then } => {
                // Whoever settled it first is right.
                s.write(keys[0], ended);
                s.settle_next(r, keys, then);
            }
            _ => {}
        }
    }

    fn verified(&self, s: &mut State, r: usize, work: Work, helped: Helped) {
        let Some(key) = self.key(r, work) else { return };
        if let Some(trace) = s.journal.iter_mut().rev().find(|t| t.key == key) {
            trace.helped = Some(helped);
            s.head += 1;
        }
        match helped {
            Helped::Yes => s.at[r] = At::Closed(Close::Recovered),
            Helped::Unclear => s.at[r] = At::Closed(Close::Escalated),
            Helped::No => self.pursue(s, r, Work { round: work.round + 1, ..Work::default() }),
        }
    }

    fn replica_steps(&self, s: &State, r: usize, steps: &mut Vec<Step>) {
        let alive = !matches!(s.at[r], At::Idle | At::Dead | At::Closed(_));
        match &s.at[r] {
            At::Idle if s.looks[r] > 0 => steps.push(Step::Start(r)),
            At::Idle | At::Closed(_) => {}
            At::Dead => steps.push(Step::Restart(r)),
            At::Asked { .. } => steps.extend([Step::Answer(r, true), Step::Answer(r, false)]),
            At::Recording { .. } => steps.push(Step::Record(r)),
            At::Executing { since, .. } => {
                steps.push(Step::Execute(r));
                steps.extend((s.now > *since).then_some(Step::TimeOut(r)));
            }
            At::Waiting { work, since } => {
                let remote = self.key(r, *work).map(|k| s.remote[usize::from(k)]);
                if matches!(remote, Some(Remote::Done | Remote::Failed)) {
                    steps.push(Step::Reply(r));
                }
                steps.extend((s.left.losses > 0).then_some(Step::LoseReply(r)));
                steps.extend((s.now > *since).then_some(Step::TimeOut(r)));
            }
            At::Doubting { .. } | At::Settling { write: None, .. } => {
                steps.push(Step::Status(r, None));
                if s.left.lies > 0 {
                    let settled = matches!(s.at[r], At::Settling { .. });
                    steps.extend(
                        [Ended::Completed, Ended::NotStarted { settled }].map(|l| Step::Status(r, Some(l))),
                    );
                }
            }
            At::Ending { ended: Ended::Completed, .. } => {
                steps.extend(self.helped.iter().map(|h| Step::End(r, *h)));
            }
            At::Ending { .. } | At::Settling { write: Some(_), .. } => {
                steps.push(Step::End(r, Helped::Unclear));
            }
            At::Verifying { .. } => steps.push(Step::Verified(r)),
        }
        if !alive && s.at[r] != At::Dead && s.left.recoveries > 0 && s.is_worth_settling() {
            steps.push(Step::Recover(r));
        }
        steps.extend((alive && s.left.crashes > 0).then_some(Step::Crash(r)));
    }

    fn outside_steps(s: &State, steps: &mut Vec<Step>) {
        for key in 0..3_u8 {
            if s.remote[usize::from(key)] == Remote::Flying {
                steps.push(Step::Land(key, true));
                steps.extend((s.left.failures > 0).then_some(Step::Land(key, false)));
                steps.extend((s.left.deaths > 0).then_some(Step::Die(key)));
            }
        }
        steps.extend((!s.killed && s.left.kills > 0).then_some(Step::Kill));
        steps.extend((s.killed && s.left.releases > 0).then_some(Step::Release));
        steps.extend((s.left.ticks > 0).then_some(Step::Tick));
        steps.extend((s.left.tampers > 0).then_some(Step::Tamper));
    }

    fn step(&self, s: &mut State, step: Step) {
        match step {
            Step::Start(r) => {
                s.looks[r] -= 1;
                self.pursue(s, r, Work::default());
            }
            Step::Answer(r, yes) => {
                if let At::Asked { work, generation } = s.at[r] {
                    self.answer(s, r, work, generation, yes);
                }
            }
            Step::Record(r) => {
                if let At::Recording { work, seen, born, fair } = s.at[r] {
                    self.record(s, r, work, seen, born, fair);
                }
            }
            Step::Execute(r) => {
                if let At::Executing { work, fence, born, fair, .. } = s.at[r] {
                    self.execute(s, r, work, fence, born, fair);
                }
            }
            Step::Reply(r) => {
                if let At::Waiting { work, .. } = s.at[r] {
                    let failed =
                        self.key(r, work).is_some_and(|k| s.remote[usize::from(k)] == Remote::Failed);
                    let ended = if failed { Ended::Failed } else { Ended::Completed };
                    s.at[r] = At::Ending { work, ended };
                }
            }
            Step::LoseReply(r) | Step::TimeOut(r) => {
                s.left.losses -= u8::from(matches!(step, Step::LoseReply(_)));
                if let At::Waiting { work, .. } | At::Executing { work, .. } = s.at[r] {
                    s.at[r] = At::Doubting { work };
                }
            }
            Step::Status(r, lie) => self.status(s, r, lie),
            Step::End(r, helped) => self.end(s, r, helped),
            Step::Verified(r) => {
                if let At::Verifying { work, helped } = s.at[r] {
                    self.verified(s, r, work, helped);
                }
            }
            Step::Recover(r) => {
                s.left.recoveries -= 1;
                let then = if let At::Closed(close) = s.at[r] { Some(close) } else { None };
                s.at[r] = At::Settling { keys: s.old_doubts(), write: None, then };
            }
            Step::Crash(r) => {
                s.left.crashes -= 1;
                s.at[r] = At::Dead;
            }
            Step::Restart(r) => s.at[r] = At::Idle,
            Step::Land(key, well) => {
                s.left.failures -= u8::from(!well);
                s.remote[usize::from(key)] = if well { Remote::Done } else { Remote::Failed };
            }
            Step::Die(key) => {
                s.left.deaths -= 1;
                s.remote[usize::from(key)] = Remote::Lost;
            }
            Step::Kill => {
                s.left.kills -= 1;
                s.killed = true;
            }
            Step::Release => {
                s.left.releases -= 1;
                s.killed = false;
            }
            Step::Tick => {
                if s.left.ticks == 0 {
                    s.left.recoveries = s.left.recoveries.max(1);
                }
                s.left.ticks = s.left.ticks.saturating_sub(1);
                s.now += 1;
            }
            Step::Tamper => {
                s.left.tampers -= 1;
                s.generation += 1;
            }
        }
    }
}

impl Model for Scenario {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            at: [At::Idle, At::Idle],
            looks: [0, 1].map(|r: usize| if self.plans[r].is_empty() { 0 } else { self.looks }),
            journal: Vec::new(),
            head: 0,
            killed: false,
            now: 0,
            generation: 0,
            remote: [Remote::Nothing; 3],
            refused: [false; 3],
            newest_fence: [0; 2],
            left: self.troubles,
            begun: [0; 3],
            told: [false; 3],
            broken: 0,
        }]
    }

    fn actions(&self, s: &State, steps: &mut Vec<Step>) {
        (0..2).for_each(|r| self.replica_steps(s, r, steps));
        Self::outside_steps(s, steps);
        // Time goes on, whatever the bounds: what is left open becomes old enough to be settled, and somebody settles again.
        let waits = s.has_untold_doubt() && s.now < LAST_TICK;
        steps.extend((steps.is_empty() && waits).then_some(Step::Tick));
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        self.step(&mut state, step);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        macro_rules! kept {
            ($($bit:literal)*) => { [$(Property::always(PROMISES[$bit], |_: &Self, s: &State| s.broken & (1 << $bit) == 0)),*] };
        }
        let mut properties = Vec::from(kept!(0 1 2 3 4 5 6 7 8 9 10));
        properties.push(Property::always(TRUTH, |_: &Self, s: &State| {
            let never = |t: &&Trace| matches!(t.ended, Some(Ended::NotStarted { .. }));
            s.journal.iter().filter(never).all(|t| s.begun[usize::from(t.key)] == 0)
        }));
        properties.push(Property::always(SETTLED, |model: &Self, s: &State| {
            let mut steps = Vec::new();
            model.actions(s, &mut steps);
            !steps.is_empty() || !s.has_untold_doubt()
        }));
        properties
    }
}
