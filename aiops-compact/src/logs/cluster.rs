//! From line patterns to templates: which differing words are values of one variable.
//!
//! The result depends on the set of patterns alone, not on the order in which they came; that is what makes miners of
//! shards mergeable.

use std::collections::{HashMap, HashSet};

use super::config::MinerOptions;
use super::hash::{self, FxBuildHasher};
use super::token::{Look, Token, Vocabulary};

/// Patterns that are one template.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// Wild where members differ.
    pub(super) tokens: Vec<Token>,
    /// Distinct symbols seen in each wild place; empty elsewhere.
    pub(super) values: Vec<Vec<u32>>,
    /// Indices of the patterns.
    pub(super) members: Vec<usize>,
}

impl Group {
    fn new(tokens: &[Token], member: usize) -> Self {
        Self { tokens: tokens.to_vec(), values: vec![Vec::new(); tokens.len()], members: vec![member] }
    }

    /// Symbols at `at`: the one there, or those of the variable.
    fn symbols(&self, at: usize) -> impl Iterator<Item = u32> + '_ {
        let values = self.values.get(at).map_or(&[][..], Vec::as_slice);
        let own = self.tokens.get(at).filter(|_| values.is_empty()).map(|token| token.symbol());
        values.iter().copied().chain(own)
    }

    fn absorb(&mut self, other: Self) {
        for at in 0..self.tokens.len() {
            let differs = self.tokens.get(at) != other.tokens.get(at);
            let variable = self.values.get(at).is_some_and(|v| !v.is_empty())
                || other.values.get(at).is_some_and(|v| !v.is_empty());
            if !differs && !variable {
                continue;
            }
            let mut union: Vec<u32> = self.symbols(at).chain(other.symbols(at)).collect();
            union.sort_unstable();
            union.dedup();
            if let (Some(token), Some(values)) = (self.tokens.get_mut(at), self.values.get_mut(at)) {
                *token = token.wild();
                *values = union;
            }
        }
        self.members.extend(other.members);
    }
}

/// What must agree for two patterns to be compared: number of tokens, blanks, delimiters.
pub(super) fn skeleton(tokens: &[Token], vocabulary: &Vocabulary) -> u64 {
    let start = hash::add(0, tokens.len() as u64);
    tokens.iter().fold(start, |hash, token| {
        let part = match vocabulary.look(token.symbol()) {
            Look::Delimiter => token.bits(),
            _ => token.wild().bits(),
        };
        hash::add(hash, part)
    })
}

/// Groups `patterns`, which must be distinct and sorted by content. O(patterns × tokens) hash operations a round; the
/// rounds end when nothing changes.
pub(super) fn group(patterns: &[&[Token]], vocabulary: &Vocabulary, options: &MinerOptions) -> Vec<Group> {
    let mut buckets: HashMap<u64, usize, FxBuildHasher> = HashMap::default();
    let mut parts: Vec<Vec<Group>> = Vec::new();
    for (member, tokens) in patterns.iter().enumerate() {
        let part = *buckets.entry(skeleton(tokens, vocabulary)).or_insert_with(|| {
            parts.push(Vec::new());
            parts.len() - 1
        });
        if let Some(part) = parts.get_mut(part) {
            part.push(Group::new(tokens, member));
        }
    }
    let mut judge = Judge { vocabulary, options, known: HashSet::default() };
    for _ in 0..2 {
        parts = parts.into_iter().map(|part| judge.settle(part)).collect();
        judge.learn(parts.iter().flatten());
    }
    lists(parts.into_iter().flatten().collect(), vocabulary)
}

struct Judge<'a> {
    vocabulary: &'a Vocabulary,
    options: &'a MinerOptions,
    /// Words that are values of some variable.
    known: HashSet<u32, FxBuildHasher>,
}

/// Attributes that make a record.
const RECORD: usize = 3;

const MAX_ROUNDS: usize = 8;

/// Distinct values from which a variable is beyond doubt and its values are believed elsewhere.
const ESTABLISHED: usize = 4;

impl Judge<'_> {
    fn learn<'g>(&mut self, groups: impl Iterator<Item = &'g Group>) {
        for values in groups.flat_map(|group| &group.values).filter(|values| values.len() >= ESTABLISHED) {
            let words = values.iter().filter(|symbol| {
                matches!(self.vocabulary.look(**symbol), Look::Plain | Look::Word | Look::Name)
            });
            self.known.extend(words.copied());
        }
    }

    /// Merges the groups of one skeleton until no variable is left to be found.
    fn settle(&self, mut groups: Vec<Group>) -> Vec<Group> {
        for _ in 0..MAX_ROUNDS {
            let before = groups.len();
            groups = self.round(groups, 1);
            groups = self.round(groups, 2);
            groups = self.records(groups);
            if groups.len() == before || groups.len() < 2 {
                break;
            }
        }
        groups
    }

    /// One look at all groups that agree but for `free` places.
    fn round(&self, groups: Vec<Group>, free: usize) -> Vec<Group> {
        if groups.len() < 2 {
            return groups;
        }
        let mut contexts: HashMap<u64, (Vec<usize>, Vec<usize>), FxBuildHasher> = HashMap::default();
        for (index, group) in groups.iter().enumerate() {
            let open: Vec<usize> = (0..group.tokens.len()).filter(|at| self.open(group, *at)).collect();
            // Many open places: only the plain single contexts are affordable.
            if free == 2 && open.len() > 24 {
                continue;
            }
            for (n, first) in open.iter().enumerate() {
                if free == 1 {
                    let entry = contexts.entry(context(&group.tokens, &[*first])).or_default();
                    entry.0 = vec![*first];
                    entry.1.push(index);
                    continue;
                }
                for second in open.iter().skip(n + 1) {
                    let places = [*first, *second];
                    let entry = contexts.entry(context(&group.tokens, &places)).or_default();
                    entry.0 = places.to_vec();
                    entry.1.push(index);
                }
            }
        }
        // The most shared context first: it is the best evidence. Ties by place and first member, so that the result
        // does not depend on hash order.
        let mut found: Vec<(Vec<usize>, Vec<usize>)> =
            contexts.into_values().filter(|(_, members)| members.len() > 1).collect();
        found.sort_unstable_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.cmp(b)));
        let mut slots: Vec<Option<Group>> = groups.into_iter().map(Some).collect();
        for (places, members) in found {
            let alive: Vec<usize> =
                members.into_iter().filter(|m| slots.get(*m).is_some_and(Option::is_some)).collect();
            let shown: Vec<&Group> =
                alive.iter().filter_map(|m| slots.get(*m).and_then(Option::as_ref)).collect();
            if shown.len() < 2 || !places.iter().all(|at| self.is_variable(&shown, *at, &places)) {
                continue;
            }
            let mut alive = alive.into_iter();
            let Some(keep) = alive.next() else { continue };
            let others: Vec<Group> = alive.filter_map(|m| slots.get_mut(m).and_then(Option::take)).collect();
            if let Some(Some(kept)) = slots.get_mut(keep) {
                others.into_iter().for_each(|other| kept.absorb(other));
            }
        }
        slots.into_iter().flatten().collect()
    }

    /// Joins groups that are the same record: equal but for the values of at least [`RECORD`] attributes, `name=value`.
    fn records(&self, groups: Vec<Group>) -> Vec<Group> {
        let mut slots: Vec<Option<Group>> = Vec::with_capacity(groups.len());
        let mut first: HashMap<u64, usize, FxBuildHasher> = HashMap::default();
        for group in groups {
            let places: Vec<usize> = (1..group.tokens.len())
                .filter(|at| self.assigned(&group.tokens, *at) && self.open(&group, *at))
                .collect();
            if places.len() < RECORD {
                slots.push(Some(group));
                continue;
            }
            let next = slots.len();
            let slot = *first.entry(context(&group.tokens, &places)).or_insert(next);
            match slots.get_mut(slot) {
                Some(Some(kept)) => kept.absorb(group),
                _ => slots.push(Some(group)),
            }
        }
        slots.into_iter().flatten().collect()
    }

    /// Whether the token at `at` stands behind an equals sign without a blank.
    fn assigned(&self, tokens: &[Token], at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|at| tokens.get(at));
        before.is_some_and(|token| self.vocabulary.text(token.symbol()) == b"=")
            && tokens.get(at).is_some_and(|token| !token.blank())
    }

    /// Whether all symbols are one word with different numbers behind it, such as `hda1`, `hda2`, and no name of a
    /// protocol; a word before `=` or `:` is a name, not a value.
    fn is_numbered(&self, symbols: &[u32], group: &Group, at: usize) -> bool {
        let next = group.tokens.get(at + 1).filter(|t| !t.blank()).map(|t| self.vocabulary.text(t.symbol()));
        if matches!(next, Some(b"=" | b":")) {
            return false;
        }
        let mut stem: Option<&[u8]> = None;
        symbols.iter().all(|symbol| {
            let text = self.vocabulary.text(*symbol);
            let end = text.iter().rposition(|b| !b.is_ascii_digit()).map_or(0, |at| at + 1);
            let own = text.get(..end).unwrap_or_default();
            let whole = end < text.len() && end > 0 && own.iter().all(u8::is_ascii_alphabetic);
            whole && !own.eq_ignore_ascii_case(b"ipv") && *stem.get_or_insert(own) == own
        })
    }

    /// Whether a variable may stand there.
    fn open(&self, group: &Group, at: usize) -> bool {
        group.tokens.get(at).is_some_and(|token| self.vocabulary.look(token.symbol()) != Look::Delimiter)
    }

    /// Whether what differs at `at` between `groups` is a variable.
    fn is_variable(&self, groups: &[&Group], at: usize, places: &[usize]) -> bool {
        let mut symbols: Vec<u32> = groups.iter().flat_map(|group| group.symbols(at)).collect();
        symbols.sort_unstable();
        symbols.dedup();
        let Some(first) = groups.first() else { return false };
        let constants = first
            .tokens
            .iter()
            .enumerate()
            .filter(|(place, token)| !places.contains(place) && is_word(self.vocabulary.look(token.symbol())))
            .count();
        if constants == 0 {
            return false;
        }
        let count = |wanted: fn(Look) -> bool| {
            symbols.iter().filter(|s| wanted(self.vocabulary.look(**s))).count()
        };
        // Punctuation is part of the text, not a value.
        if count(|l| l == Look::Mark) > 0 {
            return false;
        }
        let table = &self.options.variable_words;
        let base = table.get(constants - 1).or(table.last()).copied().unwrap_or(2);
        let mut needed = f64::from(base);
        let names = count(|l| l == Look::Name);
        let masked = count(|l| l == Look::Wild);
        let names = names + count(|l| l == Look::Masked);
        if places.len() > 1 {
            needed *= self.options.pair_factor;
        } else if names + masked + 1 >= symbols.len() {
            needed *= self.options.name_factor;
        }
        if self.assigned(&first.tokens, at) {
            needed = (needed * self.options.assigned_factor).max(3.0);
        }
        // What was masked in one line is a value in the others too, and so is what is a value elsewhere.
        let known = symbols.iter().filter(|s| self.known.contains(*s)).count();
        let units = count(|l| l == Look::Unit);
        if masked > 0 && constants >= 2 || 2 * known > symbols.len() && constants >= 2 || units == symbols.len()
            || constants >= 2 && self.is_numbered(&symbols, first, at)
        {
            needed = 2.0;
        }
        symbols.len() as f64 >= needed.max(2.0)
    }
}

fn is_word(look: Look) -> bool {
    matches!(look, Look::Plain | Look::Word | Look::Name | Look::Masked | Look::Unit)
}

/// Joins groups that differ only in how long their lists of variables are.
fn lists(groups: Vec<Group>, vocabulary: &Vocabulary) -> Vec<Group> {
    let mut order: Vec<Vec<Token>> = Vec::new();
    let mut same: HashMap<Vec<Token>, Vec<Group>, FxBuildHasher> = HashMap::default();
    for group in groups {
        let folded = fold(&group.tokens, vocabulary);
        let entry = same.entry(folded.clone()).or_default();
        if entry.is_empty() {
            order.push(folded);
        }
        entry.push(group);
    }
    let mut joined = Vec::new();
    for folded in order {
        let Some(mut groups) = same.remove(&folded) else { continue };
        let words = folded.iter().filter(|token| is_word(vocabulary.look(token.symbol()))).count();
        if groups.len() < 2 || words == 0 {
            joined.append(&mut groups);
            continue;
        }
        let members = groups.into_iter().flat_map(|group| group.members).collect();
        joined.push(Group { values: vec![Vec::new(); folded.len()], tokens: folded, members });
    }
    joined
}

/// `tokens` with each run of variables between blanks or commas made one.
fn fold(tokens: &[Token], vocabulary: &Vocabulary) -> Vec<Token> {
    let mut folded: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut tokens = tokens.iter().copied().peekable();
    while let Some(token) = tokens.next() {
        let after_wild = folded.last().is_some_and(|last| last.is_wild());
        if after_wild && token.is_wild() && token.blank() {
            continue;
        }
        let comma = vocabulary.text(token.symbol()) == b",";
        if after_wild && comma && !token.blank() && tokens.peek().is_some_and(|next| next.is_wild()) {
            tokens.next();
            continue;
        }
        folded.push(token);
    }
    folded
}

fn context(tokens: &[Token], places: &[usize]) -> u64 {
    let start = places.iter().fold(1, |hash, place| hash::add(hash, *place as u64));
    tokens.iter().enumerate().fold(start, |hash, (at, token)| {
        let token = if places.contains(&at) { token.wild() } else { *token };
        hash::add(hash, token.bits())
    })
}
