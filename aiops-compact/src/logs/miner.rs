use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::cluster::{self, Group, skeleton};
use super::config::{Header, MinerConfig};
use super::hash::{self, FxBuildHasher, KeyBuildHasher};
use super::header::{self, HeaderPart};
use super::mask::{self, Scan};
use super::template::{Move, Template, TemplateId, render};
use super::token::{Pieces, Token, Vocabulary};

/// A line with its variables masked, and how often it came.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) id: TemplateId,
    pub(super) tokens: Box<[Token]>,
    pub(super) count: u64,
    /// Number of the line that showed it last.
    pub(super) last: u64,
    pub(super) template: TemplateId,
    /// Hash of its text: an order that does not depend on when it came.
    pub(super) rank: u64,
}

/// Number of lines and what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinerStats {
    /// Lines mined.
    pub lines: u64,
    /// Patterns forgotten to keep the memory bound.
    pub evicted_patterns: u64,
    /// Lines of forgotten patterns: they count in no template any more.
    pub evicted_lines: u64,
    /// Entries of the record of moves that were dropped, oldest first.
    pub dropped_moves: u64,
}

/// Streaming log template miner. // CMP-04, CMP-07
///
/// # How it works
/// One scan masks what is variable by its form ([`VariableKind`](super::VariableKind)). What remains is hashed; a line whose
/// hash is known costs one table look-up and no allocation. An unknown one is split into tokens and becomes a *pattern*.
/// Templates are groups of patterns: [`settle`](Self::settle) decides from all patterns together which of their differing
/// words are values of a variable, and is run whenever the patterns have doubled (in a quicker form). A pattern that fits a template with
/// such a variable joins it at once.
///
/// # Ids
/// [`push`](Self::push) returns the template as known then. Templates merge, and rarely split, as more lines come; the
/// part with the oldest pattern keeps its id, [`resolve`](Self::resolve) maps every id to the present one, and [`moves`](Self::moves) records what
/// changed. So group lines by resolved ids after the stream has ended, or follow the moves.
///
/// # Order and shards
/// After [`settle`](Self::settle) templates and counts are a function of the set of patterns: neither the order of the
/// lines nor the way they were sharded and [merged](Self::merge) matters, but for ids, as long as no template reached
/// `max_patterns_per_template` and nothing was evicted ([`MinerStats`] says so). Beyond that counts of templates stay
/// exact, and which words a template's variable is known to take is a sample.
///
/// # Memory
/// At most about `max_bytes` and `max_patterns` patterns; the patterns seen longest ago go first, and none before all was
/// dropped that no pattern needs: words, and the table of line hashes. That table takes at most a quarter of `max_bytes`,
/// the record of moves and the ids that lead to other ids an eighth each.
///
/// # Collisions
/// Lines are told apart by a 64-bit hash that is fast, not keyed: who can craft lines can make two of them share a template.
///
/// ```
/// use aiops_compact::logs::{LogMiner, MinerConfig};
/// let mut miner = LogMiner::new(MinerConfig::default());
/// let first = miner.push(b"Received block blk_3886504906 of size 67108864 from /10.251.42.84");
/// let second = miner.push(b"Received block blk_-695229586 of size 91178 from /10.251.215.16");
/// assert_eq!(first, second);
/// let template = miner.template(first).unwrap();
/// assert_eq!(template.to_string(), "Received block <*> of size <*> from <*>");
/// assert_eq!(template.count, 2);
/// ```
#[derive(Debug, Clone)]
pub struct LogMiner {
    pub(super) config: MinerConfig,
    pub(super) vocabulary: Vocabulary,
    /// By id.
    pub(super) patterns: Vec<Pattern>,
    /// Parts of the header, once inferred.
    pub(super) header: Option<Vec<HeaderPart>>,
    pub(super) next_id: u64,
    pub(super) stats: MinerStats,
    pub(super) moves: Vec<Move>,
    /// Ids of patterns that are kept no more → an id of their template.
    pub(super) aliases: BTreeMap<TemplateId, TemplateId>,
    /// Templates that are lists, with what their patterns have in common.
    pub(super) lists: BTreeMap<TemplateId, Vec<Token>>,
    /// Hash of the masked line → pattern.
    cache: HashMap<u64, u32, KeyBuildHasher>,
    /// Tokens → pattern.
    index: HashMap<Box<[Token]>, u32, FxBuildHasher>,
    groups: HashMap<TemplateId, Group, FxBuildHasher>,
    /// Skeleton → templates with a variable that was inferred from words.
    open: HashMap<u64, Vec<TemplateId>, FxBuildHasher>,
    scan: Scan,
    scratch: Pieces,
    tokens: Vec<Token>,
    /// Number of patterns at which to settle next.
    pub(super) due: usize,
    token_count: usize,
}

/// Patterns before the first settling.
const FIRST_SETTLING: usize = 64;

/// Most moves kept.
const MAX_MOVES: usize = 1 << 14;

/// Bytes of an entry of the cache, a move, and an alias.
const CACHE_BYTES: usize = 18;
const MOVE_BYTES: usize = std::mem::size_of::<Move>();
const ALIAS_BYTES: usize = 32;

impl LogMiner {
    /// An empty miner.
    #[must_use]
    pub fn new(config: MinerConfig) -> Self {
        let header = (config.options().header == Header::None).then(Vec::new);
        Self {
            config,
            vocabulary: Vocabulary::new(),
            patterns: Vec::new(),
            header,
            next_id: 0,
            stats: MinerStats::default(),
            moves: Vec::new(),
            aliases: BTreeMap::new(),
            lists: BTreeMap::new(),
            cache: HashMap::default(),
            index: HashMap::default(),
            groups: HashMap::default(),
            open: HashMap::default(),
            scan: Scan::default(),
            scratch: Pieces::default(),
            tokens: Vec::new(),
            due: FIRST_SETTLING,
            token_count: 0,
        }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &MinerConfig {
        &self.config
    }

    /// Mines one line, without its line end, whatever its bytes.
    #[inline]
    pub fn push(&mut self, line: &[u8]) -> TemplateId {
        if self.header.is_none() && self.stats.lines >= self.config.options().header_lines {
            self.regroup(true);
        }
        self.stats.lines += 1;
        let line = line.get(..self.config.options().max_line_bytes).unwrap_or(line);
        self.scan.read(line);
        let key = line_hash(&self.scan, line);
        let slot = match self.cache.get(&key) {
            Some(slot) => *slot,
            None => self.learn(line, key),
        };
        match self.patterns.get_mut(slot as usize) {
            Some(pattern) => {
                pattern.count += 1;
                pattern.last = self.stats.lines;
                pattern.template
            }
            None => TemplateId(u64::MAX),
        }
    }

    /// Mines lines in order; the same as [`push`](Self::push) one by one, with the ids resolved at the end.
    pub fn push_all<L: AsRef<[u8]>>(&mut self, lines: impl IntoIterator<Item = L>) -> Vec<TemplateId> {
        let mut ids: Vec<TemplateId> = lines.into_iter().map(|line| self.push(line.as_ref())).collect();
        self.settle();
        for id in &mut ids {
            *id = self.resolve(*id).unwrap_or(*id);
        }
        ids
    }

    #[cold]
    fn learn(&mut self, line: &[u8], key: u64) -> u32 {
        self.scratch.read(&self.scan, line, self.config.options().max_tokens);
        self.read_tokens();
        let known = self.index.get(self.tokens.as_slice()).copied();
        // Only a new pattern makes the miner grow or settle: what it does must not depend on what is cached.
        let slot = known.unwrap_or_else(|| {
            if self.keep_bounds() {
                self.read_tokens();
            }
            self.index.get(self.tokens.as_slice()).copied().unwrap_or_else(|| self.admit())
        });
        if self.cache.len() >= self.most_cached() {
            self.cache = HashMap::default();
        }
        self.cache.insert(key, slot);
        slot
    }

    /// The tokens of the line in `self.scratch`.
    fn read_tokens(&mut self) {
        self.tokens.clear();
        for piece in &self.scratch.pieces {
            let symbol = self.vocabulary.intern(self.scratch.text(piece));
            self.tokens.push(Token::new(symbol, piece.blank));
        }
        if let Some(parts) = &self.header {
            strip(parts, &mut self.tokens, &self.vocabulary);
        }
    }

    /// Takes in `self.tokens`, which no pattern has; its slot. A template with enough patterns gets no more of them.
    fn admit(&mut self) -> u32 {
        let slot = u32::try_from(self.patterns.len()).unwrap_or(u32::MAX);
        let id = TemplateId(self.next_id);
        let key = skeleton(&self.tokens, &self.vocabulary);
        let home = self.open.get(&key).and_then(|ids| {
            ids.iter().find(|id| self.groups.get(*id).is_some_and(|group| group.fits(&self.tokens)))
        });
        let home = home.copied();
        if let Some(group) = home.and_then(|home| self.groups.get_mut(&home)) {
            if group.members.len() >= self.config.options().max_patterns_per_template {
                // The newest one stands for all that are not kept.
                let last = group.members.last().copied().unwrap_or(0);
                return u32::try_from(last).unwrap_or(u32::MAX);
            }
            group.add(&self.tokens, slot as usize);
        } else {
            self.groups.insert(id, Group::new(&self.tokens, slot as usize));
        }
        self.next_id += 1;
        let tokens: Box<[Token]> = self.tokens.as_slice().into();
        self.token_count += tokens.len();
        self.index.insert(tokens.clone(), slot);
        let last = self.stats.lines;
        let rank = rank(&tokens, &self.vocabulary);
        self.patterns.push(Pattern { id, tokens, count: 0, last, template: home.unwrap_or(id), rank });
        slot
    }

    /// Estimate of the memory held, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.retained() + self.cache.capacity() * CACHE_BYTES
    }

    /// What is held but for the cache, which has a bound of its own: what is forgotten must not depend on what is cached.
    fn retained(&self) -> usize {
        // Tokens stand in a pattern, in the index and in a group.
        self.token_count * 40
            + self.patterns.len() * 320
            + self.vocabulary.bytes()
            + self.aliases.len() * ALIAS_BYTES
            + self.moves.len() * MOVE_BYTES
    }

    /// Entries of the cache: with twice the room for growth at most a quarter of the memory.
    fn most_cached(&self) -> usize {
        let options = self.config.options();
        options.max_patterns.saturating_mul(4).min(options.max_bytes / (8 * CACHE_BYTES))
    }

    /// Makes room for one more pattern; whether symbols or the header may have changed.
    fn keep_bounds(&mut self) -> bool {
        let options = self.config.options();
        let max_patterns = options.max_patterns;
        let max_bytes = options.max_bytes.saturating_sub(2 * CACHE_BYTES * self.most_cached());
        let above = |miner: &Self, patterns: usize, bytes: usize| {
            miner.patterns.len() >= patterns || miner.retained() >= bytes
        };
        if above(self, max_patterns, max_bytes) {
            self.regroup(true);
            self.rebuild_vocabulary();
            // A quarter of the room must be free again, or the next lines would have all this done anew.
            if above(self, max_patterns - max_patterns / 4, max_bytes - max_bytes / 4) {
                self.evict(max_patterns / 2, max_bytes / 2);
            }
            return true;
        }
        // Before the header is known there is nothing to settle.
        if self.patterns.len() >= self.due && self.header.is_some() {
            self.regroup(true);
        }
        false
    }

    /// Decides anew, from all patterns together, which of them are one template.
    ///
    /// With [`Header::Infer`] the first call fixes what the header is; [`push`](Self::push) makes it after `header_lines`
    /// lines. O(patterns × tokens), and × tokens again for templates of few words.
    pub fn settle(&mut self) {
        self.regroup(false);
    }

    /// [`settle`](Self::settle), or its quick form in mid-stream.
    fn regroup(&mut self, quick: bool) {
        if self.header.is_none() {
            self.find_header();
        }
        let mut ranked: Vec<(u64, usize)> = self.patterns.iter().map(|p| p.rank).zip(0..).collect();
        let text = |token: &Token| (token.blank(), self.vocabulary.text(token.symbol()));
        let tokens = |at: &usize| self.patterns.get(*at).map_or(&[][..], |p| &p.tokens);
        ranked.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0).then_with(|| tokens(&a.1).iter().map(text).cmp(tokens(&b.1).iter().map(text)))
        });
        let order: Vec<usize> = ranked.into_iter().map(|(_, at)| at).collect();
        let sorted: Vec<&[Token]> = order.iter().map(tokens).collect();
        let mut groups = cluster::group(&sorted, &self.vocabulary, self.config.options(), quick);
        for group in &mut groups {
            for member in &mut group.members {
                *member = order.get(*member).copied().unwrap_or(0);
            }
            group.members.sort_unstable();
        }
        self.assign(groups);
        self.shrink();
        self.due = (2 * self.patterns.len()).max(FIRST_SETTLING);
    }

    /// Names each group after its oldest pattern, and records what moved.
    fn assign(&mut self, groups: Vec<Group>) {
        self.groups = HashMap::default();
        self.lists = BTreeMap::new();
        let line = self.stats.lines;
        let mut moves = Vec::new();
        for group in groups {
            let oldest = group.members.first().and_then(|member| self.patterns.get(*member));
            let Some(id) = oldest.map(|pattern| pattern.id) else { continue };
            for member in &group.members {
                let Some(pattern) = self.patterns.get_mut(*member) else { continue };
                if pattern.template != id {
                    moves.push(Move { from: pattern.template, into: id, pattern: pattern.id, line });
                    pattern.template = id;
                }
            }
            if group.is_list {
                self.lists.insert(id, group.tokens.clone());
            }
            self.groups.insert(id, group);
        }
        moves.sort_unstable_by_key(|entry| entry.pattern);
        self.moves.append(&mut moves);
        self.trim_records();
        self.open_groups();
    }

    /// Keeps the newest moves and aliases, as many as have room.
    pub(super) fn trim_records(&mut self) {
        let options = self.config.options();
        let most = MAX_MOVES.min(options.max_bytes / (8 * MOVE_BYTES));
        if self.moves.len() > most {
            let excess = self.moves.len() - most / 2;
            self.moves.drain(..excess);
            self.stats.dropped_moves += excess as u64;
        }
        let most = options.max_patterns.min(options.max_bytes / (8 * ALIAS_BYTES));
        while self.aliases.len() > most {
            self.aliases.pop_first();
        }
    }

    fn open_groups(&mut self) {
        self.open = HashMap::default();
        for (id, group) in &self.groups {
            if group.values.iter().any(|values| !values.is_empty()) {
                self.open.entry(skeleton(&group.tokens, &self.vocabulary)).or_default().push(*id);
            }
        }
        self.open.values_mut().for_each(|ids| ids.sort_unstable());
    }

    /// Keeps of each template its oldest patterns only, as many as allowed.
    fn shrink(&mut self) {
        let most = self.config.options().max_patterns_per_template;
        let mut gone: HashMap<usize, usize, FxBuildHasher> = HashMap::default();
        for group in self.groups.values() {
            if group.members.len() > most {
                let heir = group.members.get(most - 1).copied().unwrap_or(0);
                gone.extend(group.members.iter().skip(most).map(|member| (*member, heir)));
            }
        }
        if gone.is_empty() {
            return;
        }
        for (slot, heir) in &gone {
            let Some(from) = self.patterns.get(*slot) else { continue };
            let (id, count, last) = (from.id, from.count, from.last);
            if let Some(heir) = self.patterns.get_mut(*heir) {
                heir.count += count;
                heir.last = heir.last.max(last);
                self.aliases.insert(id, heir.id);
            }
        }
        self.remove(|slot, _| gone.contains_key(&slot), &gone);
    }

    /// Forgets the patterns seen longest ago.
    fn evict(&mut self, max_patterns: usize, max_bytes: usize) {
        // Records do not shrink with the patterns.
        let records = self.aliases.len() * ALIAS_BYTES + self.moves.len() * MOVE_BYTES;
        let per_pattern = self.retained().saturating_sub(records) / self.patterns.len().max(1);
        let keep = max_patterns.min(max_bytes.saturating_sub(records) / per_pattern.max(1)).max(1);
        let mut order: Vec<(u64, TemplateId)> = self.patterns.iter().map(|p| (p.last, p.id)).collect();
        order.sort_unstable();
        let cut = order.len().saturating_sub(keep);
        let Some(limit) = order.get(cut).copied() else { return };
        let doomed = |p: &Pattern| (p.last, p.id) < limit;
        // The ids of a template that lives on lead to one of its patterns that stay.
        let mut heirs: HashMap<TemplateId, TemplateId, FxBuildHasher> = HashMap::default();
        for pattern in self.patterns.iter().filter(|p| !doomed(p)) {
            heirs.entry(pattern.template).or_insert(pattern.id);
        }
        for pattern in self.patterns.iter().filter(|p| doomed(p)) {
            match heirs.get(&pattern.template) {
                Some(heir) => {
                    self.aliases.insert(pattern.id, *heir);
                }
                None => self.stats.evicted_lines += pattern.count,
            }
            self.stats.evicted_patterns += 1;
        }
        let mut inherited: HashMap<TemplateId, u64, FxBuildHasher> = HashMap::default();
        for pattern in self.patterns.iter().filter(|p| doomed(p)) {
            if let Some(heir) = heirs.get(&pattern.template) {
                *inherited.entry(*heir).or_default() += pattern.count;
            }
        }
        for pattern in &mut self.patterns {
            pattern.count += inherited.get(&pattern.id).copied().unwrap_or(0);
        }
        self.remove(|_, pattern| doomed(pattern), &HashMap::default());
        self.rebuild_vocabulary();
    }

    /// Removes patterns, and everything that knew their slots; lines of the `heirs`' patterns find the heir.
    fn remove(
        &mut self,
        gone: impl Fn(usize, &Pattern) -> bool,
        heirs: &HashMap<usize, usize, FxBuildHasher>,
    ) {
        let mut slot = 0;
        let mut kept = 0_u32;
        let mut slots: Vec<Option<u32>> = Vec::with_capacity(self.patterns.len());
        self.patterns.retain(|pattern| {
            let keep = !gone(slot, pattern);
            slots.push(keep.then_some(kept));
            slot += 1;
            kept += u32::from(keep);
            keep
        });
        let mut cache = std::mem::take(&mut self.cache);
        cache.retain(|_, slot| {
            let old = *slot as usize;
            let new = slots.get(heirs.get(&old).copied().unwrap_or(old)).copied().flatten();
            *slot = new.unwrap_or(0);
            new.is_some()
        });
        self.trim_records();
        self.reindex();
        self.cache = cache;
    }

    /// Builds everything that follows from the patterns.
    pub(super) fn reindex(&mut self) {
        self.cache = HashMap::default();
        self.index = HashMap::default();
        self.token_count = 0;
        let mut members: BTreeMap<TemplateId, Vec<usize>> = BTreeMap::new();
        for (slot, pattern) in self.patterns.iter().enumerate() {
            self.index.insert(pattern.tokens.clone(), u32::try_from(slot).unwrap_or(u32::MAX));
            self.token_count += pattern.tokens.len();
            members.entry(pattern.template).or_default().push(slot);
        }
        self.groups = HashMap::default();
        for (id, members) in members {
            let tokens = |slot: usize| self.patterns.get(slot).map_or(&[][..], |p| &p.tokens);
            let patterns = || members.iter().map(|m| (*m, tokens(*m))).collect::<Vec<_>>();
            let group = match self.lists.get(&id) {
                Some(list) => Some(Group::list(list, members)),
                None => Group::of(&patterns()),
            };
            self.groups.extend(group.map(|group| (id, group)));
        }
        self.open_groups();
        self.due = (2 * self.patterns.len()).max(FIRST_SETTLING);
    }

    fn rebuild_vocabulary(&mut self) {
        let old = std::mem::replace(&mut self.vocabulary, Vocabulary::new());
        for pattern in &mut self.patterns {
            for token in &mut pattern.tokens {
                *token = Token::new(self.vocabulary.intern(old.text(token.symbol())), token.blank());
            }
        }
        // Lists of templates that are no more go too.
        self.lists.retain(|id, _| self.groups.contains_key(id));
        for tokens in self.lists.values_mut() {
            for token in tokens {
                *token = Token::new(self.vocabulary.intern(old.text(token.symbol())), token.blank());
            }
        }
        let cache = std::mem::take(&mut self.cache);
        self.reindex();
        self.cache = cache;
    }

    /// Infers the header from what was seen and takes it off all patterns.
    pub(super) fn find_header(&mut self) {
        let lines: Vec<(&[Token], u64)> = self.patterns.iter().map(|p| (&*p.tokens, p.count)).collect();
        let parts = header::infer(&lines, &self.vocabulary);
        self.take_off(&parts);
        self.header = Some(parts);
    }

    pub(super) fn take_off(&mut self, parts: &[HeaderPart]) {
        if parts.is_empty() {
            return;
        }
        let mut first: HashMap<Box<[Token]>, usize, FxBuildHasher> = HashMap::default();
        let mut kept: Vec<Pattern> = Vec::new();
        for mut pattern in std::mem::take(&mut self.patterns) {
            let mut tokens = pattern.tokens.to_vec();
            strip(parts, &mut tokens, &self.vocabulary);
            pattern.tokens = tokens.into();
            pattern.rank = rank(&pattern.tokens, &self.vocabulary);
            let slot = *first.entry(pattern.tokens.clone()).or_insert(kept.len());
            match kept.get_mut(slot) {
                Some(same) => {
                    same.count += pattern.count;
                    same.last = same.last.max(pattern.last);
                    self.aliases.insert(pattern.id, same.id);
                }
                None => {
                    // Templates of whole lines were none of messages.
                    pattern.template = pattern.id;
                    kept.push(pattern);
                }
            }
        }
        self.patterns = kept;
        self.lists = BTreeMap::new();
        self.trim_records();
        self.reindex();
    }

    /// The parts of the header that was inferred; `None` before.
    #[must_use]
    pub fn header(&self) -> Option<&[HeaderPart]> {
        self.header.as_deref()
    }

    /// Template that `id` is part of now; `None` when it was forgotten or is of another miner.
    #[must_use]
    pub fn resolve(&self, id: TemplateId) -> Option<TemplateId> {
        let mut id = id;
        // An alias leads to a pattern that was kept when it was made, and from there on, never in a circle; the bound is for
        // a state read from elsewhere.
        for _ in 0..=self.aliases.len() {
            if let Ok(slot) = self.patterns.binary_search_by_key(&id, |pattern| pattern.id) {
                return self.patterns.get(slot).map(|pattern| pattern.template);
            }
            id = *self.aliases.get(&id)?;
        }
        None
    }

    /// The template that `id` is part of now.
    #[must_use]
    pub fn template(&self, id: TemplateId) -> Option<Template> {
        let id = self.resolve(id)?;
        self.describe(id, self.groups.get(&id)?)
    }

    /// All templates, oldest id first.
    #[must_use]
    pub fn templates(&self) -> Vec<Template> {
        let mut all: Vec<Template> =
            self.groups.iter().filter_map(|(id, group)| self.describe(*id, group)).collect();
        all.sort_unstable_by_key(|template| template.id);
        all
    }

    fn describe(&self, id: TemplateId, group: &Group) -> Option<Template> {
        let patterns = || group.members.iter().filter_map(|member| self.patterns.get(*member));
        let last_line = patterns().map(|pattern| pattern.last).max()?;
        let count = patterns().map(|pattern| pattern.count).sum();
        Some(Template { id, text: render(group, &self.vocabulary), count, last_line })
    }

    /// Templates whose lines were given to another template since, in order; the newest of a bounded number.
    #[must_use]
    pub fn moves(&self) -> &[Move] {
        &self.moves
    }

    /// Counts of lines and of what was forgotten.
    #[must_use]
    pub fn stats(&self) -> MinerStats {
        self.stats
    }

    /// Patterns held.
    #[must_use]
    pub fn patterns(&self) -> usize {
        self.patterns.len()
    }

    /// Takes in what another miner learned, for shards mined apart; returns which of its ids became which.
    ///
    /// The header stays the one of this miner: shards are expected to be of one format.
    pub fn merge(&mut self, mut other: Self) -> Vec<(TemplateId, TemplateId)> {
        for miner in [&mut *self, &mut other] {
            if miner.header.is_none() {
                miner.find_header();
            }
        }
        self.stats.lines += other.stats.lines;
        self.stats.evicted_lines += other.stats.evicted_lines;
        self.stats.evicted_patterns += other.stats.evicted_patterns;
        self.stats.dropped_moves += other.stats.dropped_moves;
        let mut map = Vec::with_capacity(other.patterns.len());
        for pattern in &other.patterns {
            self.translate(pattern, &other.vocabulary);
            if !self.index.contains_key(self.tokens.as_slice()) && self.keep_bounds() {
                self.translate(pattern, &other.vocabulary);
            }
            let slot = match self.index.get(self.tokens.as_slice()) {
                Some(slot) => *slot,
                None => self.admit(),
            };
            if let Some(own) = self.patterns.get_mut(slot as usize) {
                own.count += pattern.count;
                own.last = own.last.max(pattern.last);
                map.push((pattern.id, own.id));
            }
        }
        self.settle();
        map
    }

    /// The tokens of another miner's pattern.
    fn translate(&mut self, pattern: &Pattern, vocabulary: &Vocabulary) {
        self.tokens.clear();
        for token in &pattern.tokens {
            let symbol = self.vocabulary.intern(vocabulary.text(token.symbol()));
            self.tokens.push(Token::new(symbol, token.blank()));
        }
    }

    pub(super) fn slot_of(&self, tokens: &[Token]) -> Option<&Pattern> {
        self.index.get(tokens).and_then(|slot| self.patterns.get(*slot as usize))
    }

    pub(super) fn group_of(&self, tokens: &[Token]) -> Option<(TemplateId, &Group)> {
        if let Some(pattern) = self.slot_of(tokens) {
            return self.groups.get(&pattern.template).map(|group| (pattern.template, group));
        }
        let ids = self.open.get(&skeleton(tokens, &self.vocabulary))?;
        ids.iter()
            .find_map(|id| self.groups.get(id).filter(|group| group.fits(tokens)).map(|group| (*id, group)))
    }
}

/// Hash of what `tokens` say, not of their symbols, which depend on the order in which words came.
pub(super) fn rank(tokens: &[Token], vocabulary: &Vocabulary) -> u64 {
    let hash = tokens.iter().fold(0, |hash, token| {
        hash::add_bytes(hash::add(hash, u64::from(token.blank())), vocabulary.text(token.symbol()))
    });
    hash::finish(hash)
}

/// Takes the header off.
pub(super) fn strip(parts: &[HeaderPart], tokens: &mut Vec<Token>, vocabulary: &Vocabulary) {
    if parts.is_empty() {
        return;
    }
    tokens.drain(..header::length(parts, tokens, vocabulary).min(tokens.len()));
    if let Some(first) = tokens.first_mut() {
        *first = Token::new(first.symbol(), false);
    }
}

/// Hash of the line that `scan` has read, but for its variables.
#[inline]
fn line_hash(scan: &Scan, line: &[u8]) -> u64 {
    let mut state = 1;
    let mut done = 0;
    mask::mask(scan, line, |start, end, _| {
        state = scan.hash(state, done, start);
        done = end;
    });
    hash::finish(scan.hash(state, done, line.len()))
}
