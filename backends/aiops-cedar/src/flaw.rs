use std::fmt;

use aiops_core::{Error, ErrorKind};

/// What is wrong with a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FlawKind {
    /// It does not parse.
    Syntax,
    /// It has slots, which nothing fills here, so it would never apply.
    Template,
    /// It has no `@id`, or one that another policy has.
    Id,
    /// An annotation that is unknown, or has a value it cannot have: a misspelt `@ask` would let an action run alone.
    Annotation,
    /// It speaks of what is not in the schema, or of what may be absent without asking whether it is there.
    Schema,
    /// By the schema no proposal can ever meet it.
    Impossible,
    /// Another policy applies wherever it does and is as strict, so it never decides anything.
    Unreachable,
    /// The configuration around the policies: a time zone, a group.
    Config,
}

impl fmt::Display for FlawKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "syntax",
            Self::Template => "template",
            Self::Id => "id",
            Self::Annotation => "annotation",
            Self::Schema => "schema",
            Self::Impossible => "impossible",
            Self::Unreachable => "unreachable",
            Self::Config => "config",
        })
    }
}

/// One thing that is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flaw {
    /// What it is.
    pub kind: FlawKind,
    /// Whose it is: the policy's `@id`, or its place in the text, such as `policy 3`; `None` where it is nobody's alone.
    pub policy: Option<String>,
    /// In words.
    pub detail: String,
}

impl Flaw {
    pub(crate) fn of(kind: FlawKind, policy: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { kind, policy: Some(policy.into()), detail: detail.into() }
    }

    pub(crate) fn everywhere(kind: FlawKind, detail: impl Into<String>) -> Self {
        Self { kind, policy: None, detail: detail.into() }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(policy) = &self.policy {
            write!(f, " of {policy}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// Policies that are not taken, with everything that was found wrong with them, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .flaws.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Refused {
    flaws: Vec<Flaw>,
}

impl Refused {
    /// At least one.
    #[must_use]
    pub fn flaws(&self) -> &[Flaw] {
        &self.flaws
    }

    pub(crate) fn unless_none(flaws: Vec<Flaw>) -> Result<(), Self> {
        if flaws.is_empty() { Ok(()) } else { Err(Self { flaws }) }
    }
}

impl From<Flaw> for Refused {
    fn from(flaw: Flaw) -> Self {
        Self { flaws: vec![flaw] }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        let first = refused.flaws.iter().find_map(|flaw| flaw.policy.clone());
        let error = Self::new(ErrorKind::Invalid, "policies in Cedar that are not taken");
        match first {
            Some(policy) => error.with("policy", policy).caused_by(refused),
            None => error.caused_by(refused),
        }
    }
}
