//! The miner: a table of known lines, and what becomes of an unknown one.

mod bounds;
mod join;
mod settle;
mod view;

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::cluster::{Group, skeleton};
use super::config::{Header, MinerConfig};
use super::hash::{self, FxBuildHasher, KeyBuildHasher};
use super::header::{self, HeaderPart};
use super::mask::{self, Scan};
use super::template::{Move, TemplateId};
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
pub(super) fn line_hash(scan: &Scan, line: &[u8]) -> u64 {
    let mut state = 1;
    let mut done = 0;
    mask::mask(scan, line, |start, end, _| {
        state = scan.hash(state, done, start);
        done = end;
    });
    hash::finish(scan.hash(state, done, line.len()))
}
