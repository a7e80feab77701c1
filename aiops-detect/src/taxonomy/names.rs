use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Most names of a version.
const MAX_CATEGORIES: usize = 10_000;

/// One kind of incident.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// What it means.
    pub description: String,
    /// The wider kind it is one of.
    #[serde(default)]
    pub parent: Option<String>,
}

impl Category {
    /// A kind with this meaning.
    pub fn new(description: impl Into<String>) -> Self {
        Self { description: description.into(), parent: None }
    }

    /// The same as one of a wider kind.
    #[must_use]
    pub fn within(mut self, parent: impl Into<String>) -> Self {
        self.parent = Some(parent.into());
        self
    }
}

/// Why a taxonomy makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaxonomyError {
    /// More names than allowed.
    #[error("{0} categories where at most 10000 are allowed")]
    TooMany(usize),
    /// A name is empty.
    #[error("a category without a name")]
    Unnamed,
    /// A name stands for what is not there.
    #[error("{name:?} refers to {to:?}, which is no category of this version")]
    Dangling {
        /// What refers.
        name: String,
        /// What is not there.
        to: String,
    },
    /// A kind is one of itself.
    #[error("{0:?} is within itself")]
    Cycle(String),
    /// A name is moved and stays.
    #[error("{0:?} is moved and still a category")]
    MovedAndKept(String),
    /// A name of the version before is neither kept nor moved.
    #[error("{name:?} of version {version} is neither kept nor moved")]
    Lost {
        /// The name.
        name: String,
        /// The version that had it.
        version: u32,
    },
    /// A name is moved that the version before had not.
    #[error("{0:?} is moved, and no category of the version before")]
    MovedUnknown(String),
    /// Versions do not follow each other.
    #[error("version {found} where {expected} follows")]
    Version {
        /// What would follow.
        expected: u32,
        /// What came.
        found: u32,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    version: u32,
    categories: BTreeMap<String, Category>,
    #[serde(default)]
    moved: BTreeMap<String, BTreeSet<String>>,
}

/// One version of the names of incidents, as a forest: wider kinds hold narrower ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Taxonomy(Parts);

impl TryFrom<Parts> for Taxonomy {
    type Error = TaxonomyError;

    fn try_from(parts: Parts) -> Result<Self, TaxonomyError> {
        let Parts { categories, moved, .. } = &parts;
        if categories.len() > MAX_CATEGORIES {
            return Err(TaxonomyError::TooMany(categories.len()));
        }
        if categories.keys().chain(moved.keys()).any(String::is_empty) {
            return Err(TaxonomyError::Unnamed);
        }
        let dangling =
            |name: &String, to: &String| TaxonomyError::Dangling { name: name.clone(), to: to.clone() };
        for (name, category) in categories {
            if let Some(parent) = category.parent.as_ref().filter(|parent| !categories.contains_key(*parent))
            {
                return Err(dangling(name, parent));
            }
        }
        for name in categories.keys() {
            let mut seen = BTreeSet::from([name]);
            let mut at = name;
            while let Some(parent) = categories.get(at).and_then(|category| category.parent.as_ref()) {
                if !seen.insert(parent) {
                    return Err(TaxonomyError::Cycle(name.clone()));
                }
                at = parent;
            }
        }
        for (name, targets) in moved {
            if categories.contains_key(name) {
                return Err(TaxonomyError::MovedAndKept(name.clone()));
            }
            if let Some(to) = targets.iter().find(|to| !categories.contains_key(*to)) {
                return Err(dangling(name, to));
            }
        }
        Ok(Self(parts))
    }
}

impl From<Taxonomy> for Parts {
    fn from(taxonomy: Taxonomy) -> Self {
        taxonomy.0
    }
}

impl Taxonomy {
    /// A first version of these categories by name.
    ///
    /// # Errors
    /// [`TaxonomyError`].
    pub fn new(
        categories: impl IntoIterator<Item = (impl Into<String>, Category)>,
    ) -> Result<Self, TaxonomyError> {
        let categories = categories.into_iter().map(|(name, category)| (name.into(), category)).collect();
        Parts { version: 1, categories, moved: BTreeMap::new() }.try_into()
    }

    /// The version after this one. What `moved` names is no category any more, and what was called so is one of those it is moved
    /// to; moved to none, it was given up.
    ///
    /// # Errors
    /// [`TaxonomyError`], also where a name of this version is neither kept nor moved.
    pub fn next(
        &self,
        categories: impl IntoIterator<Item = (impl Into<String>, Category)>,
        moved: impl IntoIterator<Item = (impl Into<String>, BTreeSet<String>)>,
    ) -> Result<Self, TaxonomyError> {
        let categories = categories.into_iter().map(|(name, category)| (name.into(), category)).collect();
        let moved = moved.into_iter().map(|(name, to)| (name.into(), to)).collect();
        let next: Self = Parts { version: self.0.version.saturating_add(1), categories, moved }.try_into()?;
        next.follows(self)?;
        Ok(next)
    }

    fn follows(&self, before: &Self) -> Result<(), TaxonomyError> {
        let expected = before.0.version.saturating_add(1);
        if self.0.version != expected {
            return Err(TaxonomyError::Version { expected, found: self.0.version });
        }
        let known = |name: &String| self.0.categories.contains_key(name) || self.0.moved.contains_key(name);
        if let Some(name) = before.0.categories.keys().find(|name| !known(name)) {
            return Err(TaxonomyError::Lost { name: name.clone(), version: before.0.version });
        }
        match self.0.moved.keys().find(|name| !before.0.categories.contains_key(*name)) {
            Some(name) => Err(TaxonomyError::MovedUnknown(name.clone())),
            None => Ok(()),
        }
    }

    /// Its version, from 1.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.0.version
    }

    /// One kind.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Category> {
        self.0.categories.get(name)
    }

    /// All kinds, in order of name.
    pub fn categories(&self) -> impl Iterator<Item = (&str, &Category)> {
        self.0.categories.iter().map(|(name, category)| (name.as_str(), category))
    }

    /// The wider kinds that `name` is one of, the nearest first. Empty for what is no category.
    pub fn wider<'t>(&'t self, name: &str) -> impl Iterator<Item = &'t str> {
        let parent = |name: &str| self.get(name)?.parent.as_deref();
        std::iter::successors(parent(name), move |at| self.get(at)?.parent.as_deref())
    }
}

/// What a label is called in the latest version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relabelled {
    /// As before.
    Same,
    /// This.
    Renamed(String),
    /// One of these; a person must say which.
    OneOf(BTreeSet<String>),
    /// Nothing any more.
    GivenUp,
    /// It was never a category of that version, or there is no such version.
    Unknown,
}

/// Every version of a taxonomy, from the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Taxonomy>", into = "Vec<Taxonomy>")]
pub struct TaxonomyHistory(Vec<Taxonomy>);

impl TryFrom<Vec<Taxonomy>> for TaxonomyHistory {
    type Error = TaxonomyError;

    fn try_from(versions: Vec<Taxonomy>) -> Result<Self, TaxonomyError> {
        let first = versions.first().map(Taxonomy::version);
        if first != Some(1) {
            return Err(TaxonomyError::Version { expected: 1, found: first.unwrap_or(0) });
        }
        for (before, after) in versions.iter().zip(versions.iter().skip(1)) {
            after.follows(before)?;
        }
        Ok(Self(versions))
    }
}

impl From<TaxonomyHistory> for Vec<Taxonomy> {
    fn from(history: TaxonomyHistory) -> Self {
        history.0
    }
}

impl TaxonomyHistory {
    /// The latest version.
    ///
    /// ```
    /// use aiops_detect::taxonomy::{Category, Relabelled, Taxonomy, TaxonomyHistory};
    /// let first = Taxonomy::new([("slow", Category::new("latency above its objective"))])?;
    /// let second = first.next(
    ///     [("latency", Category::new("latency above its objective"))],
    ///     [("slow", ["latency".to_owned()].into())],
    /// )?;
    /// let history = TaxonomyHistory::try_from(vec![first, second])?;
    /// assert_eq!(history.relabel(1, "slow"), Relabelled::Renamed("latency".into()));
    /// # Ok::<(), aiops_detect::taxonomy::TaxonomyError>(())
    /// ```
    #[must_use]
    pub fn latest(&self) -> Option<&Taxonomy> {
        self.0.last()
    }

    /// What was called `name` in `version`, in the latest. O(versions · names it was moved to).
    #[must_use]
    pub fn relabel(&self, version: u32, name: &str) -> Relabelled {
        let at = usize::try_from(version).unwrap_or(usize::MAX);
        let given = at.checked_sub(1).and_then(|at| self.0.get(at));
        if given.is_none_or(|taxonomy| taxonomy.get(name).is_none()) {
            return Relabelled::Unknown;
        }
        let mut names = BTreeSet::from([name.to_owned()]);
        for later in self.0.iter().skip(at) {
            let moved = |name: String| match later.0.moved.get(&name) {
                Some(to) => to.clone(),
                None => BTreeSet::from([name]),
            };
            names = names.into_iter().flat_map(moved).collect();
        }
        match (names.len(), names.first()) {
            (_, None) => Relabelled::GivenUp,
            (1, Some(only)) if only == name => Relabelled::Same,
            (1, Some(only)) => Relabelled::Renamed(only.clone()),
            _ => Relabelled::OneOf(names),
        }
    }
}
