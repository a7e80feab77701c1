use super::cluster::Group;
use super::mask::{JOINT, class};
use super::miner::TemplateId;
use super::token::{Look, Vocabulary, WILDCARD};

/// A template as of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its stable id.
    pub id: TemplateId,
    /// Text with `<*>` for variables.
    pub text: Vec<u8>,
    /// Lines seen.
    pub count: u64,
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
