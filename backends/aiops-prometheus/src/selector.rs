use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

/// Label names and values of a series, without the metric name, in order of label name.
pub type LabelMap = BTreeMap<String, String>;

/// One condition on a label. A label that is absent has the empty value, as in PromQL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LabelMatcher {
    /// `label="value"`
    Equal {
        /// Label name.
        label: String,
        /// Value it has.
        value: String,
    },
    /// `label!="value"`
    NotEqual {
        /// Label name.
        label: String,
        /// Value it does not have.
        value: String,
    },
    /// `label=~"a|b"` with every alternative taken literally; an empty list matches nothing.
    OneOf {
        /// Label name.
        label: String,
        /// Values it may have.
        values: Vec<String>,
    },
}

impl LabelMatcher {
    /// Whether the labels meet the condition.
    #[must_use]
    pub fn matches(&self, labels: &LabelMap) -> bool {
        let get = |label: &String| labels.get(label).map_or("", String::as_str);
        match self {
            Self::Equal { label, value } => get(label) == value,
            Self::NotEqual { label, value } => get(label) != value,
            Self::OneOf { label, values } => values.iter().any(|value| get(label) == value),
        }
    }
}

impl Display for LabelMatcher {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal { label, value } => write!(f, "{label}={}", Quoted(value)),
            Self::NotEqual { label, value } => write!(f, "{label}!={}", Quoted(value)),
            // `.^` demands a character before the start of the text: it matches nothing, in Go's RE2 too.
            Self::OneOf { label, values } if values.is_empty() => write!(f, "{label}=~\".^\""),
            Self::OneOf { label, values } => {
                let pattern = values.iter().map(|value| escape_regex(value)).collect::<Vec<_>>().join("|");
                write!(f, "{label}=~{}", Quoted(&pattern))
            }
        }
    }
}

/// Series of one metric name, or of all, that meet every condition. Displays as a PromQL instant vector selector.
///
/// ```
/// use aiops_prometheus::{LabelMatcher, SeriesSelector};
///
/// let selector = SeriesSelector::name("up")
///     .with(LabelMatcher::Equal { label: "job".into(), value: "a \"b\"".into() })
///     .with(LabelMatcher::OneOf { label: "instance".into(), values: vec!["10.0.0.1:80".into(), "b".into()] });
/// assert_eq!(selector.to_string(), r#"{__name__="up",job="a \"b\"",instance=~"10\\.0\\.0\\.1:80|b"}"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesSelector {
    /// Metric name; `None` selects every metric.
    pub name: Option<String>,
    /// Conditions, all of which hold.
    #[serde(default)]
    pub matchers: Vec<LabelMatcher>,
}

impl SeriesSelector {
    /// Every series of a metric.
    #[must_use]
    pub fn name(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), matchers: Vec::new() }
    }

    /// Every series.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Adds a condition.
    #[must_use]
    pub fn with(mut self, matcher: LabelMatcher) -> Self {
        self.matchers.push(matcher);
        self
    }

    /// Whether a series is selected.
    #[must_use]
    pub fn matches(&self, name: &str, labels: &LabelMap) -> bool {
        self.name.as_deref().is_none_or(|wanted| wanted == name)
            && self.matchers.iter().all(|matcher| matcher.matches(labels))
    }
}

impl Display for SeriesSelector {
    /// Always the long form `{__name__="…"}`, which every server understands for every name.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{{__name__={}", Quoted(name))?,
            // PromQL demands one matcher that does not match the empty string.
            None => f.write_str("{__name__!=\"\"")?,
        }
        for matcher in &self.matchers {
            write!(f, ",{matcher}")?;
        }
        f.write_str("}")
    }
}

/// A PromQL string literal.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

fn escape_regex(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
