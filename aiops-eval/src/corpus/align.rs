//! Where the variables of a template stand in a line.

const WILDCARD: &[u8] = b"<*>";

/// The part of `line` that each `<*>` of `template` stands for, in order; `None` when the line does not fit. Runs of blanks
/// of the template fit any run of blanks. O(line · template) at worst: each constant is looked for where the last one ended,
/// which finds a fit whenever there is one.
pub(super) fn spans(line: &[u8], template: &[u8]) -> Option<Vec<(usize, usize)>> {
    let mut constants = split(template).into_iter();
    let first = constants.next()?;
    let mut at = prefix(line, first)?;
    let mut spans = Vec::new();
    let mut constants = constants.peekable();
    while let Some(constant) = constants.next() {
        if constants.peek().is_none() {
            // The last one ends the line.
            let start = (at..=line.len()).find(|start| {
                line.get(*start..).is_some_and(|rest| prefix(rest, constant) == Some(rest.len()))
            })?;
            spans.push((at, start));
            return Some(spans);
        }
        let (start, length) =
            (at..=line.len()).find_map(|start| Some((start, prefix(line.get(start..)?, constant)?)))?;
        spans.push((at, start));
        at = start + length;
    }
    (at == line.len()).then_some(spans)
}

/// What stands between the wildcards; at least one.
fn split(template: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(rest) = template.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(WILDCARD) {
            parts.push(template.get(start..at).unwrap_or_default());
            at += WILDCARD.len();
            start = at;
        } else {
            at += 1;
        }
    }
    parts.push(template.get(start..).unwrap_or_default());
    parts
}

/// Bytes of `text` that `constant` fits at its start.
fn prefix(text: &[u8], constant: &[u8]) -> Option<usize> {
    let blanks = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let (mut at, mut of) = (0, 0);
    while let Some(rest) = constant.get(of..).filter(|rest| !rest.is_empty()) {
        let own = text.get(at..)?;
        let (wanted, there) = (blanks(rest), blanks(own));
        if wanted > 0 {
            if there == 0 {
                return None;
            }
            (at, of) = (at + there, of + wanted);
        } else {
            own.first().filter(|byte| rest.first() == Some(byte))?;
            (at, of) = (at + 1, of + 1);
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'l>(line: &'l str, template: &str) -> Option<Vec<&'l str>> {
        Some(spans(line.as_bytes(), template.as_bytes())?.into_iter().map(|(a, b)| &line[a..b]).collect())
    }

    #[test]
    fn variables_are_what_stands_between_the_constants() {
        assert_eq!(found("a 7 b 8", "a <*> b <*>"), Some(vec!["7", "8"]));
        assert_eq!(found("7 b", "<*> b"), Some(vec!["7"]));
        assert_eq!(found("b b b", "<*> b"), Some(vec!["b b"]));
        assert_eq!(found("a  b\t7", "a b <*>"), Some(vec!["7"]));
        assert_eq!(found("(x)=", "(<*>)=<*>"), Some(vec!["x", ""]));
        assert_eq!(found("ab", "<*><*>"), Some(vec!["", "ab"]));
        assert_eq!(found("a b", "a b"), Some(vec![]));
        for (line, template) in
            [("a b c", "a b"), ("a", "a <*>"), ("a7", "b<*>"), ("a 7 c", "a <*> b"), ("", "x")]
        {
            assert_eq!(found(line, template), None, "{line} {template}");
        }
        assert_eq!(found("", ""), Some(vec![]));
    }
}
