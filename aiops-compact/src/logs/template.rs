use super::cluster::Group;
use super::mask::{JOINT, class};
use super::miner::TemplateId;
use super::token::{Look, Token, Vocabulary, WILDCARD};

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
    let mut text: Vec<u8> = Vec::new();
    for (at, token) in group.tokens.iter().enumerate() {
        let values = group.values.get(at).map_or(&[][..], Vec::as_slice);
        // A unit that varies belongs to its number.
        let units = !values.is_empty() && values.iter().all(|v| vocabulary.look(*v) == Look::Unit);
        if units && text.ends_with(WILDCARD) {
            continue;
        }
        if token.blank() && !text.is_empty() {
            text.push(b' ');
        }
        if values.is_empty() {
            push(&mut text, token, vocabulary);
        } else {
            text.extend_from_slice(&common(values, vocabulary));
        }
    }
    text
}

fn push(text: &mut Vec<u8>, token: &Token, vocabulary: &Vocabulary) {
    text.extend_from_slice(vocabulary.text(token.symbol()));
}

/// `<*>` with the leading components that all values share.
fn common(values: &[u32], vocabulary: &Vocabulary) -> Vec<u8> {
    let mut texts = values.iter().map(|symbol| vocabulary.text(*symbol));
    let Some(first) = texts.next() else { return WILDCARD.to_vec() };
    let mut shared = first.len();
    for text in texts {
        let same = first.iter().zip(text).take_while(|(a, b)| a == b).count();
        shared = shared.min(same);
    }
    let head = first.get(..shared).unwrap_or_default();
    // Whole components only.
    let end = head.iter().rposition(|b| class(*b) == JOINT).map_or(0, |at| at + 1);
    let mut text = head.get(..end).unwrap_or_default().to_vec();
    if text.windows(3).any(|w| w == WILDCARD) || !text.iter().any(u8::is_ascii_alphabetic) {
        text.clear();
    }
    text.extend_from_slice(WILDCARD);
    text
}
