//! What the lines of one stream begin with before their message: times, hosts, levels, components.

use serde::{Deserialize, Serialize};

use super::token::{Look, Token, Vocabulary};

/// One part of a header, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderPart {
    /// So many fields between blanks, of which the first is variable (a time, as a rule).
    Fields(u16),
    /// Everything up to the so-manieth `|`.
    Bars(u16),
    /// Everything up to the first field that ends with a colon, one of the next three.
    Component,
    /// One field: the name of a component, without a colon.
    Name,
    /// Everything in one pair of brackets.
    Bracket,
    /// Up to two fields that end with a mark alone, such as `-`.
    Separator,
}

/// Columns looked at.
const MAX_COLUMNS: usize = 14;

/// Share of the lines that must agree for a column to be a variable of the header.
const VARIABLE_SHARE: f64 = 0.95;

/// Share of the lines in which a column must be a level.
const LEVEL_SHARE: f64 = 0.8;

/// Share of the lines that must show a component, a bracket or a separator.
const PART_SHARE: f64 = 0.6;

const LEVELS: [&str; 22] = [
    "trace",
    "debug",
    "dbg",
    "info",
    "information",
    "notice",
    "warn",
    "warning",
    "error",
    "err",
    "severe",
    "critical",
    "crit",
    "fatal",
    "alert",
    "emerg",
    "failure",
    "verbose",
    "fine",
    "config",
    "finer",
    "finest",
];

/// The tokens of one line as fields between blanks: their ranges.
fn fields(tokens: &[Token]) -> Vec<(usize, usize)> {
    let mut fields: Vec<(usize, usize)> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let full = fields.len() == MAX_COLUMNS + 4;
        match fields.last_mut() {
            Some(last) if !token.blank() => last.1 = at + 1,
            _ if full => break,
            _ => fields.push((at, at + 1)),
        }
    }
    fields
}

struct View<'a> {
    vocabulary: &'a Vocabulary,
    tokens: &'a [Token],
    fields: Vec<(usize, usize)>,
}

impl<'a> View<'a> {
    fn new(vocabulary: &'a Vocabulary, tokens: &'a [Token]) -> Self {
        Self { vocabulary, tokens, fields: fields(tokens) }
    }

    fn field(&self, column: usize) -> &'a [Token] {
        let range = self.fields.get(column).copied().unwrap_or((0, 0));
        self.tokens.get(range.0..range.1).unwrap_or_default()
    }

    fn text(&self, token: &Token) -> &'a [u8] {
        self.vocabulary.text(token.symbol())
    }

    fn look(&self, token: &Token) -> Look {
        self.vocabulary.look(token.symbol())
    }

    /// Only variables and marks, at least one variable.
    fn is_variable(&self, column: usize) -> bool {
        let field = self.field(column);
        field.iter().any(|t| matches!(self.look(t), Look::Wild | Look::Masked))
            && field.iter().all(|t| {
                matches!(self.look(t), Look::Wild | Look::Masked | Look::Delimiter | Look::Mark | Look::Empty)
            })
    }

    fn is_level(&self, column: usize) -> bool {
        let mut words = self.field(column).iter().filter(|t| self.look(t) != Look::Delimiter);
        let (Some(word), None) = (words.next(), words.next()) else { return false };
        let text = self.text(word);
        let letter = matches!(text, [b'V' | b'D' | b'I' | b'W' | b'E' | b'F' | b'C' | b'T' | b'N']);
        letter || LEVELS.iter().any(|level| text.eq_ignore_ascii_case(level.as_bytes()))
    }

    fn ends_with_colon(&self, column: usize) -> bool {
        let field = self.field(column);
        field.len() > 1 && field.last().is_some_and(|token| self.text(token) == b":")
    }

    fn is_separator(&self, column: usize) -> bool {
        matches!(self.field(column), [only] if matches!(self.text(only), b"-" | b"--" | b"|" | b":" | b"=>" | b"->"))
    }

    fn is_name(&self, column: usize) -> bool {
        matches!(self.field(column), [only] if matches!(self.look(only), Look::Name | Look::Masked))
    }

    fn bars(&self) -> usize {
        self.field(0).iter().filter(|token| self.text(token) == b"|").count()
    }

    /// Column behind `part`, when the line has it at `column`.
    fn skip(&self, part: HeaderPart, column: usize) -> Option<usize> {
        match part {
            HeaderPart::Fields(n) => {
                let behind = column + usize::from(n);
                (behind < self.fields.len() && self.is_variable_start()).then_some(behind)
            }
            HeaderPart::Bars(_) => None,
            HeaderPart::Component => (column..column + 3).find(|c| self.ends_with_colon(*c)).map(|c| c + 1),
            HeaderPart::Name => self.is_name(column).then_some(column + 1),
            HeaderPart::Bracket => {
                let start = self.fields.get(column)?.0;
                if self.text(self.tokens.get(start)?) != b"[" {
                    return None;
                }
                let mut depth = 0_usize;
                let close = self.tokens.iter().skip(start).position(|token| {
                    match self.text(token) {
                        b"[" => depth += 1,
                        b"]" => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    depth == 0
                })?;
                let behind = start + close + 1;
                self.fields.iter().position(|field| field.0 >= behind)
            }
            HeaderPart::Separator => (column..column + 2).find(|c| self.is_separator(*c)).map(|c| c + 1),
        }
    }

    /// Whether one of the first two columns is variable: what has none is a continuation line without a header.
    fn is_variable_start(&self) -> bool {
        self.is_variable(0) || self.is_variable(1)
    }
}

/// Infers the parts of the header from lines and how often each came.
pub(super) fn infer(lines: &[(&[Token], u64)], vocabulary: &Vocabulary) -> Vec<HeaderPart> {
    let views: Vec<(View<'_>, f64)> =
        lines.iter().map(|(tokens, count)| (View::new(vocabulary, tokens), *count as f64)).collect();
    let total: f64 = views.iter().map(|(_, weight)| weight).sum();
    if total == 0.0 {
        return Vec::new();
    }
    let share = |test: &dyn Fn(&View<'_>) -> bool| {
        views.iter().filter(|(view, _)| test(view)).map(|(_, weight)| weight).sum::<f64>() / total
    };
    let mut parts = Vec::new();
    let bars = (1..=16).take_while(|n| share(&|v| v.bars() >= *n) >= VARIABLE_SHARE).count();
    if bars >= 2 {
        return vec![HeaderPart::Bars(bars as u16)];
    }
    // Up to the last column that is a variable or a level in nearly all lines.
    let fixed = (0..MAX_COLUMNS)
        .filter(|c| {
            share(&|v| v.is_variable(*c)) >= VARIABLE_SHARE || share(&|v| v.is_level(*c)) >= LEVEL_SHARE
        })
        .map(|c| c + 1)
        .max()
        .unwrap_or(0);
    // A header has a time or a number in its first columns.
    if fixed == 0 || share(&|v| v.is_variable_start()) < VARIABLE_SHARE {
        return Vec::new();
    }
    parts.push(HeaderPart::Fields(fixed as u16));
    let mut unused =
        vec![HeaderPart::Bracket, HeaderPart::Separator, HeaderPart::Component, HeaderPart::Name];
    while parts.len() < 5 {
        let behind = |view: &View<'_>| apply_parts(&parts, view);
        let next = unused.iter().position(|part| {
            let needed = if *part == HeaderPart::Name { VARIABLE_SHARE } else { PART_SHARE };
            share(&|view| behind(view).is_some_and(|column| view.skip(*part, column).is_some())) >= needed
        });
        let Some(next) = next else { break };
        let part = unused.remove(next);
        parts.push(part);
        if part == HeaderPart::Component {
            break;
        }
    }
    parts
}

/// First column of the message; `None` for a line without the fixed columns.
fn apply_parts(parts: &[HeaderPart], view: &View<'_>) -> Option<usize> {
    let mut column = 0;
    for part in parts {
        match (view.skip(*part, column), part) {
            (Some(behind), _) => column = behind,
            (None, HeaderPart::Fields(_)) => return None,
            (None, _) => {}
        }
    }
    Some(column)
}

/// Number of tokens of the header of `tokens`.
pub(super) fn length(parts: &[HeaderPart], tokens: &[Token], vocabulary: &Vocabulary) -> usize {
    let view = View::new(vocabulary, tokens);
    if let [HeaderPart::Bars(n)] = parts {
        let bars = tokens.iter().enumerate().filter(|(_, token)| vocabulary.text(token.symbol()) == b"|");
        return bars.map(|(at, _)| at + 1).nth(usize::from(*n).saturating_sub(1)).unwrap_or(0);
    }
    let column = apply_parts(parts, &view).unwrap_or(0);
    // A line that ends with its header keeps its last field.
    view.fields.get(column).or(view.fields.last()).map_or(0, |field| field.0)
}
