use std::fmt;

use serde::{Deserialize, Serialize};

use super::cluster::Group;
use super::mask::{JOINT, class};
use super::token::{Look, Vocabulary, WILDCARD};

/// Names a template of one miner, for as long as the miner lives. Older ids are smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TemplateId(pub(super) u64);

impl TemplateId {
    /// As a number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TemplateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E{}", self.0)
    }
}

/// A template as of now. Displayed as its text; bytes that are not UTF-8 are replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its id.
    pub id: TemplateId,
    /// Its constant text, with `<*>` where a variable stands and one blank for a run of blanks.
    pub text: Vec<u8>,
    /// Lines seen.
    pub count: u64,
    /// Number of the line that showed it last, from 1.
    pub last_line: u64,
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text))
    }
}

/// Lines of one pattern were given to another template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Template that the lines were of.
    pub from: TemplateId,
    /// Template that they are of since.
    pub into: TemplateId,
    /// The id that the pattern's first line got when it was new.
    pub pattern: TemplateId,
    /// Lines seen when it happened.
    pub line: u64,
}

/// Text of a group.
pub(super) fn render(group: &Group, vocabulary: &Vocabulary) -> Vec<u8> {
    let values = |at: usize| group.values.get(at).map_or(&[][..], Vec::as_slice);
    let is_unit = |symbol: u32| vocabulary.look(symbol) == Look::Unit;
    let units_vary = |at: usize| !values(at).is_empty() && values(at).iter().all(|v| is_unit(*v));
    // Where one unit varies, the writer chooses units by size, and all of them belong to their numbers.
    let sized = (0..group.tokens.len()).any(units_vary);
    let mut text: Vec<u8> = Vec::new();
    for (at, token) in group.tokens.iter().enumerate() {
        if sized && (units_vary(at) || is_unit(token.symbol())) && text.ends_with(WILDCARD) {
            continue;
        }
        if token.blank() && !text.is_empty() {
            text.push(b' ');
        }
        if values(at).is_empty() {
            text.extend_from_slice(vocabulary.text(token.symbol()));
        } else {
            text.extend_from_slice(&common(values(at), vocabulary));
        }
    }
    text
}

/// `<*>` with the leading components that all values share. One component is too little: all package names begin with one
/// of a few.
fn common(values: &[u32], vocabulary: &Vocabulary) -> Vec<u8> {
    let mut texts = values.iter().map(|symbol| vocabulary.text(*symbol));
    let Some(first) = texts.next() else { return WILDCARD.to_vec() };
    let mut shared = first.len();
    for text in texts {
        shared = shared.min(first.iter().zip(text).take_while(|(a, b)| a == b).count());
    }
    let head = first.get(..shared).unwrap_or_default();
    let end = head.iter().rposition(|b| class(*b) == JOINT).map_or(0, |at| at + 1);
    let mut text = head.get(..end).unwrap_or_default().to_vec();
    let components = text.split(|b| class(*b) == JOINT).filter(|c| !c.is_empty()).count();
    let dotted = text.contains(&b'.');
    if text.windows(3).any(|w| w == WILDCARD) || components == 1 && dotted {
        text.clear();
    }
    text.extend_from_slice(WILDCARD);
    text
}
