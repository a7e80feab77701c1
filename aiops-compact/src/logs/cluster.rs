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
    /// Distinct symbols seen in each wild place; empty elsewhere, and as a whole as long as there is none.
    pub(super) values: Vec<Vec<u32>>,
    /// Indices of the patterns.
    pub(super) members: Vec<usize>,
    /// Whether its patterns differ in how long their lists of variables are, or where in a list a word stands; its tokens
    /// are then none of theirs.
    pub(super) is_list: bool,
}

impl Group {
    pub(super) fn new(tokens: &[Token], member: usize) -> Self {
        Self { tokens: tokens.to_vec(), values: Vec::new(), members: vec![member], is_list: false }
    }

    /// Symbols at `at`: the one there, or those of the variable.
    fn symbols(&self, at: usize) -> impl Iterator<Item = u32> + '_ {
        let values = self.values.get(at).map_or(&[][..], Vec::as_slice);
        let own = self.tokens.get(at).filter(|_| values.is_empty()).map(|token| token.symbol());
        values.iter().copied().chain(own)
    }

    /// Takes in a pattern that [fits](Self::fits).
    pub(super) fn add(&mut self, tokens: &[Token], member: usize) {
        for (values, token) in self.values.iter_mut().zip(tokens) {
            if !values.is_empty()
                && let Err(at) = values.binary_search(&token.symbol())
            {
                values.insert(at, token.symbol());
            }
        }
        self.members.push(member);
    }

    /// Takes in groups of the same skeleton.
    fn absorb(&mut self, others: Vec<Self>) {
        if others.is_empty() {
            return;
        }
        for at in 0..self.tokens.len() {
            let own = self.tokens.get(at).copied();
            let differs = others.iter().any(|other| other.tokens.get(at).copied() != own);
            let known = |group: &Self| group.values.get(at).is_some_and(|v| !v.is_empty());
            if !differs && !known(self) && !others.iter().any(known) {
                continue;
            }
            let all = others.iter().flat_map(|other| other.symbols(at));
            let mut union: Vec<u32> = self.symbols(at).chain(all).collect();
            union.sort_unstable();
            union.dedup();
            self.values.resize(self.tokens.len(), Vec::new());
            if let (Some(token), Some(values)) = (self.tokens.get_mut(at), self.values.get_mut(at)) {
                *token = token.wild();
                *values = union;
            }
        }
        self.members.extend(others.into_iter().flat_map(|other| other.members));
    }

    /// The group of these patterns, whose indices are given beside them, when they are no [list](Self::is_list).
    pub(super) fn of(patterns: &[(usize, &[Token])]) -> Option<Self> {
        let mut groups = patterns.iter().map(|(member, tokens)| Self::new(tokens, *member));
        let mut group = groups.next()?;
        group.absorb(groups.collect());
        Some(group)
    }

    /// The group of a list: what its patterns have in common, and their indices.
    pub(super) fn list(tokens: &[Token], members: Vec<usize>) -> Self {
        Self { tokens: tokens.to_vec(), values: Vec::new(), members, is_list: true }
    }

    /// A group over two skeletons: their variables are lists of different lengths.
    fn folded_with(self, other: Self, vocabulary: &Vocabulary) -> Self {
        let mut tokens = Vec::with_capacity(self.tokens.len());
        fold(&self.tokens, vocabulary, &mut tokens);
        let mut members = self.members;
        members.extend(other.members);
        Self::list(&tokens, members)
    }

    /// Whether `tokens`, of the same skeleton, differ from the group only where it is wild.
    pub(super) fn fits(&self, tokens: &[Token]) -> bool {
        self.tokens.len() == tokens.len()
            && self.tokens.iter().zip(tokens).all(|(own, token)| own == token || own.is_wild())
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
///
/// When `quick`, variables that only show where two places differ at once are left for another time.
pub(super) fn group(
    patterns: &[&[Token]],
    vocabulary: &Vocabulary,
    options: &MinerOptions,
    quick: bool,
) -> Vec<Group> {
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
    let mut judge = Judge { vocabulary, options, quick, known: HashSet::default() };
    for _ in 0..2 {
        parts = parts.into_iter().map(|part| judge.settle(part)).collect();
        judge.learn(parts.iter().flatten());
    }
    lists(parts.into_iter().flatten().collect(), vocabulary)
}

struct Judge<'a> {
    vocabulary: &'a Vocabulary,
    options: &'a MinerOptions,
    quick: bool,
    /// Words that are values of some variable.
    known: HashSet<u32, FxBuildHasher>,
}

/// Attributes that make a record.
const RECORD: usize = 3;

/// Pairs of places are compared in templates of at most this many words and variables …
const MAX_PAIRED_PLACES: usize = 24;

/// … and among at most this many patterns of one skeleton.
const MAX_PAIRED_GROUPS: usize = 2048;

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
            if !self.quick {
                groups = self.round(groups, 2);
            }
            groups = self.records(groups);
            if groups.len() == before || groups.len() < 2 {
                break;
            }
        }
        groups
    }

    /// One look at all groups that agree but for `free` places, one or two.
    fn round(&self, groups: Vec<Group>, free: usize) -> Vec<Group> {
        // Pairs are many: only where they are affordable.
        let affordable = |open: usize| free == 1 || open <= MAX_PAIRED_PLACES;
        if groups.len() < 2 || free == 2 && groups.len() > MAX_PAIRED_GROUPS {
            return groups;
        }
        let mut contexts: Vec<(u64, [u32; 2], u32)> = Vec::new();
        for (index, group) in (0_u32..).zip(&groups) {
            let open: Vec<usize> = (0..group.tokens.len()).filter(|at| self.open(group, *at)).collect();
            if !affordable(open.len()) {
                continue;
            }
            let whole = whole(&group.tokens);
            for (n, first) in open.iter().enumerate() {
                let one = opened(whole, &group.tokens, *first);
                let place = *first as u32;
                if free == 1 {
                    contexts.push((one, [place; 2], index));
                    continue;
                }
                for second in open.iter().skip(n + 1) {
                    let two = opened(one, &group.tokens, *second);
                    contexts.push((two, [place, *second as u32], index));
                }
            }
        }
        keep_shared(&mut contexts);
        contexts.sort_unstable();
        // The most shared context first: it is the best evidence. Ties by place and first member, so that the result
        // does not depend on the hash.
        let shared = contexts.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).filter(|run| run.len() > 1);
        let mut found: Vec<([u32; 2], Vec<u32>)> = shared
            .filter_map(|run| Some((run.first()?.1, run.iter().map(|entry| entry.2).collect())))
            .collect();
        found.sort_unstable_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.cmp(b)));
        let mut slots: Vec<Option<Group>> = groups.into_iter().map(Some).collect();
        for (places, members) in found {
            let both = places.map(|place| place as usize);
            let places = both.get(..free).unwrap_or_default();
            let members = members.into_iter().map(|member| member as usize);
            let alive: Vec<usize> = members.filter(|m| slots.get(*m).is_some_and(Option::is_some)).collect();
            let shown: Vec<&Group> =
                alive.iter().filter_map(|m| slots.get(*m).and_then(Option::as_ref)).collect();
            if shown.len() < 2 || !places.iter().all(|at| self.is_variable(&shown, *at, places)) {
                continue;
            }
            let mut alive = alive.into_iter();
            let Some(keep) = alive.next() else { continue };
            let others: Vec<Group> = alive.filter_map(|m| slots.get_mut(m).and_then(Option::take)).collect();
            if let Some(Some(kept)) = slots.get_mut(keep) {
                kept.absorb(others);
            }
        }
        slots.into_iter().flatten().collect()
    }

    /// Joins groups that are the same record: equal but for the values of at least [`RECORD`] attributes, `name=value`.
    fn records(&self, groups: Vec<Group>) -> Vec<Group> {
        let mut kept: Vec<(Group, Vec<Group>)> = Vec::with_capacity(groups.len());
        let mut first: HashMap<u64, usize, FxBuildHasher> = HashMap::default();
        for group in groups {
            let places: Vec<usize> = (1..group.tokens.len())
                .filter(|at| self.assigned(&group.tokens, *at) && self.open(&group, *at))
                .collect();
            let next = kept.len();
            let slot = if places.len() < RECORD {
                next
            } else {
                let start = whole(&group.tokens);
                let key = places.iter().fold(start, |hash, at| opened(hash, &group.tokens, *at));
                *first.entry(key).or_insert(next)
            };
            match kept.get_mut(slot) {
                Some((_, others)) => others.push(group),
                None => kept.push((group, Vec::new())),
            }
        }
        let joined = kept.into_iter().map(|(mut group, others)| {
            group.absorb(others);
            group
        });
        joined.collect()
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
        let count =
            |wanted: fn(Look) -> bool| symbols.iter().filter(|s| wanted(self.vocabulary.look(**s))).count();
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
        let numbered = || self.is_numbered(&symbols, first, at);
        let certain = constants >= 2 && (masked > 0 || 2 * known > symbols.len() || numbered());
        if certain || units == symbols.len() {
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
    // Most groups have no list, and most of those that have are alone: only what others have too is held against them.
    let mut folded: Vec<Token> = Vec::new();
    let mut first: HashMap<u64, usize, FxBuildHasher> = HashMap::default();
    let mut same: Vec<(Group, Vec<Group>)> = Vec::with_capacity(groups.len());
    for group in groups {
        fold(&group.tokens, vocabulary, &mut folded);
        let next = same.len();
        let slot = *first.entry(whole(&folded)).or_insert(next);
        match same.get_mut(slot) {
            Some((_, others)) => others.push(group),
            None => same.push((group, Vec::new())),
        }
    }
    let mut joined = Vec::with_capacity(same.len());
    for (group, others) in same {
        if others.is_empty() {
            joined.push(group);
            continue;
        }
        fold(&group.tokens, vocabulary, &mut folded);
        if folded.iter().any(|token| is_word(vocabulary.look(token.symbol()))) {
            joined.push(others.into_iter().fold(group, |group, other| group.folded_with(other, vocabulary)));
        } else {
            joined.push(group);
            joined.extend(others);
        }
    }
    joined
}

/// Leaves out contexts that no two groups share, as far as that can be told by counting them in a table without collision
/// lists: most are met once, and to sort those is what would cost.
fn keep_shared(contexts: &mut Vec<(u64, [u32; 2], u32)>) {
    if contexts.len() < 2 {
        contexts.clear();
        return;
    }
    let slots = (contexts.len() * 4).next_power_of_two();
    let shift = 64 - slots.trailing_zeros();
    // Contexts are sums of products: their upper bits are mixed once more.
    let slot = |context: u64| (context.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift) as usize;
    let mut met = vec![0_u8; slots];
    for (context, ..) in contexts.iter() {
        if let Some(count) = met.get_mut(slot(*context)) {
            *count = count.saturating_add(1);
        }
    }
    contexts.retain(|(context, ..)| met.get(slot(*context)).is_some_and(|count| *count > 1));
}

/// `tokens` with each run of variables between blanks or commas made one.
fn fold(tokens: &[Token], vocabulary: &Vocabulary, folded: &mut Vec<Token>) {
    folded.clear();
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
}

/// Hash of tokens in their places; a sum, so that one place is exchanged in O(1).
fn whole(tokens: &[Token]) -> u64 {
    tokens.iter().enumerate().fold(0, |sum: u64, (at, token)| sum.wrapping_add(part(at, *token)))
}

fn part(at: usize, token: Token) -> u64 {
    let hash = hash::add(hash::add(0, token.bits()), at as u64 + 1);
    hash::finish(hash).wrapping_mul(hash | 1)
}

/// `hash` of `tokens` with the token at `at` made wild; the place itself counts too.
fn opened(hash: u64, tokens: &[Token], at: usize) -> u64 {
    let Some(token) = tokens.get(at) else { return hash };
    hash.wrapping_sub(part(at, *token)).wrapping_add(part(at, token.wild()) ^ 1)
}
