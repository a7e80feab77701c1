use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use aiops_core::action::{Action, ActionKind, IdempotencyKey, Operation, Principal};
use aiops_core::model::EntityId;
use aiops_core::{Error, ErrorKind, Result};
use biscuit_auth::builder::{Check, Fact, Term};
use biscuit_auth::datalog::RunLimits;
use biscuit_auth::{AuthorizerBuilder, Biscuit, BlockBuilder};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::authority::RootKey;
use crate::broken;

/// A token of the length that a hostile holder gave it is not looked at for longer.
const LONGEST_CHECK: Duration = Duration::from_millis(500);
/// Nor one with more blocks.
const MOST_BLOCKS: usize = 16;

type Token<T> = std::result::Result<T, biscuit_auth::error::Token>;

pub(crate) fn text(text: &str) -> Term {
    Term::Str(text.to_owned())
}

/// Whole seconds, rounded down on both sides of the comparison: at most a second too strict.
fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_second()).unwrap_or(0)
}

/// The fact that block `n` is `by`'s hand-over `to` somebody.
pub(crate) fn handed_on(
    n: i64,
    by: &Principal,
    to: &Principal,
    until: Timestamp,
    key: Option<&IdempotencyKey>,
) -> Fact {
    let key = text(key.map_or("", |key| key.as_str()));
    let terms =
        vec![Term::Integer(n), text(by.as_str()), text(to.as_str()), Term::Integer(until.as_second()), key];
    Fact::new("handed_on".to_owned(), terms)
}

fn parameters<const N: usize>(given: [(&str, Term); N]) -> HashMap<String, Term> {
    given.into_iter().map(|(name, term)| (name.to_owned(), term)).collect()
}

/// A check with its values as parameters: never as source.
fn check<const N: usize>(source: &str, given: [(&str, Term); N]) -> Token<Check> {
    let mut check = Check::try_from(source)?;
    for (name, term) in parameters(given) {
        check.set(&name, term)?;
    }
    Ok(check)
}

pub(crate) fn expiry(until: Timestamp) -> Token<Check> {
    check("check if time($t), $t < {until}", [("until", Term::Date(seconds(until)))])
}

/// BLAKE3 over an operation, with all its parameters, and its target, both as JSON, in hexadecimal. Maps are sorted, so that both sides get the
/// same.
fn digest(operation: &Operation, target: &EntityId) -> Result<Term> {
    let written = serde_json::to_vec(&(operation, target))
        .map_err(|e| Error::new(ErrorKind::Internal, "an operation cannot be serialised").caused_by(e))?;
    Ok(text(blake3::hash(&written).to_hex().as_str()))
}

/// A hand-over that a credential tells of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Delegation {
    /// Who handed on.
    pub by: Principal,
    /// To whom.
    pub to: Principal,
    /// Until when, in whole seconds.
    pub until: Timestamp,
    /// The one action it is for; `None` for any that is granted.
    pub key: Option<IdempotencyKey>,
}

/// What a credential is shown for.
#[derive(Debug, Clone, Copy)]
pub struct Use<'a> {
    /// Key of the action.
    pub key: &'a IdempotencyKey,
    /// What is done, with its parameters.
    pub operation: &'a Operation,
    /// Its target.
    pub target: &'a EntityId,
    /// The present instant.
    pub now: Timestamp,
}

impl<'a> Use<'a> {
    /// To run `action` under `key` at `now`.
    #[must_use]
    pub fn of(action: &'a Action, key: &'a IdempotencyKey, now: Timestamp) -> Self {
        Self { key, operation: &action.operation, target: &action.target, now }
    }
}

/// A Biscuit token whose signatures were checked. Whoever has it may do what it says: it does not show in `Debug`.
#[derive(Clone)]
pub struct Credential(pub(crate) Biscuit);

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("blocks", &self.0.block_count()).finish_non_exhaustive()
    }
}

impl Credential {
    /// The credential `text`, as [`to_base64`](Self::to_base64) writes it, if `root` began it.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`] for one that was not begun by `root` or was changed since, and for anything else.
    pub fn from_base64(text: &str, root: &RootKey) -> Result<Self> {
        let token = Biscuit::from_base64(text, root.0);
        let token = token.map_err(|e| unauthorized("not a credential of this root").caused_by(e))?;
        if token.block_count() > MOST_BLOCKS {
            return Err(unauthorized("a credential with too many blocks"));
        }
        Ok(Self(token))
    }

    /// The credential as text, to be shown to the other side.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] when it cannot be written.
    pub fn to_base64(&self) -> Result<String> {
        self.0.to_base64().map_err(|e| broken("a credential cannot be written", e))
    }

    /// Who handed what to whom, the root's grant first. What stands after the grant is the word of whoever held the credential then.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`] when the hand-overs are not told one for each block, each by the one it was handed to before.
    pub fn delegations(&self) -> Result<Vec<Delegation>> {
        let wrong = || unauthorized("the credential does not tell who handed it on");
        let told = || {
            let mut authorizer = AuthorizerBuilder::new().set_limits(limits()).build(&self.0)?;
            let rule = "data($n, $by, $to, $until, $key) <- handed_on($n, $by, $to, $until, $key)";
            authorizer.query_all_with_limits::<_, (i64, String, String, i64, String), _>(rule, limits())
        };
        let mut told = told().map_err(|e| wrong().caused_by(e))?;
        told.sort();
        let mut all: Vec<Delegation> = Vec::new();
        for (place, (n, by, to, until, key)) in told.into_iter().enumerate() {
            let until = Timestamp::from_second(until).map_err(|e| wrong().caused_by(e))?;
            let (by, to) = (Principal::new(by), Principal::new(to));
            let follows = all.last().is_none_or(|before| before.to == by && before.key.is_none());
            if usize::try_from(n) != Ok(place) || !follows {
                return Err(wrong());
            }
            let key = (!key.is_empty()).then(|| IdempotencyKey::new(key));
            all.push(Delegation { by, to, until, key });
        }
        if all.len() == self.0.block_count() { Ok(all) } else { Err(wrong()) }
    }

    /// A credential for `to` that is good for fewer kinds of action, or less long.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`] when it was handed on wrongly before, or is for one action already.
    pub fn delegate(&self, to: &Principal, actions: &BTreeSet<ActionKind>, until: Timestamp) -> Result<Self> {
        let kinds = Term::Set(actions.iter().map(|kind| text(kind.as_str())).collect());
        let narrower = check("check if action($a), {kinds}.contains($a)", [("kinds", kinds)]);
        self.hand_on(to, until, None, vec![narrower])
    }

    /// The credential of one action: for this key, operation with its parameters, and target, until `until`, and sealed.
    ///
    /// # Errors
    /// As [`delegate`](Self::delegate), and [`ErrorKind::Internal`] when the operation cannot be serialised.
    pub fn for_action(
        &self,
        to: &Principal,
        action: &Action,
        key: &IdempotencyKey,
        until: Timestamp,
    ) -> Result<Self> {
        let target = &action.target;
        let only = check(
            "check if key({key}), action({kind}), does({digest}), target({target_kind}, {name})",
            [
                ("digest", digest(&action.operation, target)?),
                ("key", text(key.as_str())),
                ("kind", text(action.kind().as_str())),
                ("target_kind", text(target.kind().as_str())),
                ("name", text(target.name())),
            ],
        );
        let bound = self.hand_on(to, until, Some(key), vec![only])?;
        bound.0.seal().map(Self).map_err(|e| broken("a credential cannot be sealed", e))
    }

    fn hand_on(
        &self,
        to: &Principal,
        until: Timestamp,
        key: Option<&IdempotencyKey>,
        checks: Vec<Token<Check>>,
    ) -> Result<Self> {
        let before = self.delegations()?;
        let by = before.last().filter(|last| last.key.is_none()).map(|last| &last.to);
        let by = by.ok_or_else(|| unauthorized("the credential of one action is not handed on"))?;
        let build = || {
            let n = i64::try_from(before.len()).unwrap_or(i64::MAX);
            let mut block =
                BlockBuilder::new().fact(handed_on(n, by, to, until, key))?.check(expiry(until)?)?;
            for check in checks {
                block = block.check(check?)?;
            }
            self.0.append(block)
        };
        build().map(Self).map_err(|e| broken("a credential cannot be handed on", e))
    }

    /// Whether this is the credential for exactly this use: by the root's grant, within everything that was taken away since, not
    /// expired, and bound to this action.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`]; [`ErrorKind::Internal`] when the operation cannot be serialised.
    pub fn check(&self, of: &Use<'_>) -> Result<()> {
        let bound = self.delegations()?.last().and_then(|last| last.key.clone());
        if bound.as_ref() != Some(of.key) {
            return Err(unauthorized("the credential is not bound to this action").with("key", of.key));
        }
        let (target, kind) = (of.target, of.operation.kind());
        let digest = digest(of.operation, target)?;
        let authorize = || {
            let facts = [
                Fact::new("time".to_owned(), vec![Term::Date(seconds(of.now))]),
                Fact::new("key".to_owned(), vec![text(of.key.as_str())]),
                Fact::new("action".to_owned(), vec![text(kind.as_str())]),
                Fact::new("does".to_owned(), vec![digest]),
                Fact::new("target".to_owned(), vec![text(target.kind().as_str()), text(target.name())]),
            ];
            let mut builder = AuthorizerBuilder::new().set_limits(limits());
            for fact in facts {
                builder = builder.fact(fact)?;
            }
            // Policies see what the root said, and nothing that was added since.
            let mut authorizer = builder
                .policy("allow if action($a), may($a), target($k, $n), on_name($k, $n)")?
                .policy(
                    "allow if action($a), may($a), target($k, $n), on_beginning($k, $b), $n.starts_with($b)",
                )?
                .policy("deny if true")?
                .build(&self.0)?;
            authorizer.authorize_with_limits(limits())
        };
        authorize().map(drop).map_err(|e| {
            unauthorized("the credential is not for this action now")
                .with("action", kind)
                .with("target", target)
                .caused_by(e)
        })
    }
}

fn limits() -> RunLimits {
    RunLimits { max_time: LONGEST_CHECK, ..RunLimits::default() }
}

fn unauthorized(why: &str) -> Error {
    Error::new(ErrorKind::Unauthorized, why.to_owned())
}
