//! A miner as a value that can be stored and goes on where it stopped.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::config::MinerConfig;
use super::header::HeaderPart;
use super::miner::{LogMiner, MinerStats, Pattern, rank};
use super::template::{Move, TemplateId};
use super::token::{Token, Vocabulary};

/// Version of the stored form.
const VERSION: u32 = 1;

/// Most lines a stored miner may have seen: what every reader of JSON takes exactly, and far from where counts overflow.
const MAX_LINES: u64 = 1 << 53;

/// A stored miner that no miner can have written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum StateError {
    #[error("version {0} of a miner, expected {VERSION}")]
    Version(u32),
    #[error("{0} are more than the lines seen, or than 2^53")]
    TooMany(&'static str),
    #[error("{patterns} patterns, of at most {most}")]
    Patterns { patterns: usize, most: usize },
    #[error("a token is no word")]
    Token,
    #[error("a line has {tokens} tokens, of at most {most}")]
    Tokens { tokens: usize, most: usize },
    #[error("patterns are not in the order of their ids")]
    Order,
    #[error("two patterns are the same")]
    Twice,
    #[error("a template is newer than one of its patterns")]
    Template,
    #[error("a list that is no template")]
    List,
    #[error("an alias of a pattern that is kept, or of one that never was")]
    Alias,
    #[error("a move of a pattern that never was")]
    Move,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    version: u32,
    config: MinerConfig,
    header: Option<Vec<HeaderPart>>,
    next_id: u64,
    /// Number of patterns at which to settle next.
    due: usize,
    stats: MinerStats,
    words: Vec<Word>,
    patterns: Vec<StoredPattern>,
    lists: BTreeMap<TemplateId, Vec<u64>>,
    aliases: BTreeMap<TemplateId, TemplateId>,
    moves: Vec<Move>,
}

/// Text where it is text, bytes where not.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Bytes(Vec<u8>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPattern {
    id: TemplateId,
    template: TemplateId,
    count: u64,
    last: u64,
    /// Index into `words`, twice, plus one where a blank stands before.
    tokens: Vec<u64>,
}

impl Serialize for LogMiner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut vocabulary = Vocabulary::new();
        let mut encode = |tokens: &[Token]| -> Vec<u64> {
            let code = |token: &Token| {
                let symbol = vocabulary.intern(self.vocabulary.text(token.symbol()));
                u64::from(symbol) * 2 + u64::from(token.blank())
            };
            tokens.iter().map(code).collect()
        };
        let stored = |pattern: &Pattern, tokens| StoredPattern {
            id: pattern.id,
            template: pattern.template,
            count: pattern.count,
            last: pattern.last,
            tokens,
        };
        let patterns = self.patterns.iter().map(|p| stored(p, encode(&p.tokens))).collect();
        let lists = self.lists.iter().map(|(id, tokens)| (*id, encode(tokens))).collect();
        let words = vocabulary.words().map(|word| match std::str::from_utf8(word) {
            Ok(text) => Word::Text(text.to_owned()),
            Err(_) => Word::Bytes(word.to_vec()),
        });
        let state = State {
            version: VERSION,
            config: self.config.clone(),
            header: self.header.clone(),
            next_id: self.next_id,
            due: self.due,
            stats: self.stats,
            words: words.collect(),
            patterns,
            lists,
            aliases: self.aliases.clone(),
            moves: self.moves.clone(),
        };
        state.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LogMiner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        State::deserialize(deserializer)?.restore().map_err(de::Error::custom)
    }
}

impl State {
    /// Nothing is taken on trust: what is read back may have been written by anybody.
    fn restore(self) -> Result<LogMiner, StateError> {
        self.check_counts()?;
        let mut miner = LogMiner::new(self.config);
        let mut symbols = Vec::with_capacity(self.words.len());
        for word in self.words {
            symbols.push(match word {
                Word::Text(text) => miner.vocabulary.intern(text.as_bytes()),
                Word::Bytes(bytes) => miner.vocabulary.intern(&bytes),
            });
        }
        // Behind the last token stand at most an empty one and what stands for the rest of the line.
        let most = miner.config.options().max_tokens + 2;
        let decode = |codes: &[u64]| -> Result<Vec<Token>, StateError> {
            if codes.len() > most {
                return Err(StateError::Tokens { tokens: codes.len(), most });
            }
            let token = |code: &u64| {
                let symbol = usize::try_from(code / 2).ok().and_then(|at| symbols.get(at));
                symbol.map(|symbol| Token::new(*symbol, code % 2 == 1))
            };
            codes.iter().map(token).collect::<Option<_>>().ok_or(StateError::Token)
        };
        let mut distinct: BTreeSet<Box<[Token]>> = BTreeSet::new();
        for stored in self.patterns {
            let newest = miner.patterns.last().map(|pattern| pattern.id);
            if newest.is_some_and(|newest| stored.id <= newest) || stored.id.0 >= self.next_id {
                return Err(StateError::Order);
            }
            if stored.template > stored.id {
                return Err(StateError::Template);
            }
            let tokens: Box<[Token]> = decode(&stored.tokens)?.into();
            if !distinct.insert(tokens.clone()) {
                return Err(StateError::Twice);
            }
            let rank = rank(&tokens, &miner.vocabulary);
            let StoredPattern { id, template, count, last, .. } = stored;
            miner.patterns.push(Pattern { id, tokens, count, last, template, rank });
        }
        let templates: BTreeSet<TemplateId> = miner.patterns.iter().map(|pattern| pattern.template).collect();
        for (id, codes) in &self.lists {
            if !templates.contains(id) {
                return Err(StateError::List);
            }
            miner.lists.insert(*id, decode(codes)?);
        }
        // Followed without end by `resolve` otherwise.
        let kept = |id: &TemplateId| miner.patterns.binary_search_by_key(id, |pattern| pattern.id).is_ok();
        let never = |id: &TemplateId| id.0 >= self.next_id;
        if self.aliases.iter().any(|(from, to)| kept(from) || never(from) || never(to)) {
            return Err(StateError::Alias);
        }
        if self.moves.iter().any(|m| never(&m.from) || never(&m.into) || never(&m.pattern)) {
            return Err(StateError::Move);
        }
        miner.header = self.header.or(miner.header);
        miner.next_id = self.next_id;
        miner.stats = self.stats;
        miner.aliases = self.aliases;
        miner.moves = self.moves;
        miner.trim_records();
        miner.reindex();
        // Never later than after a settling now.
        miner.due = miner.due.min(self.due);
        Ok(miner)
    }

    /// Every pattern came with a line of its own, and every line is counted once.
    fn check_counts(&self) -> Result<(), StateError> {
        if self.version != VERSION {
            return Err(StateError::Version(self.version));
        }
        let lines = self.stats.lines;
        let most = self.config.options().max_patterns;
        if self.patterns.len() > most {
            return Err(StateError::Patterns { patterns: self.patterns.len(), most });
        }
        let counted = self
            .patterns
            .iter()
            .fold(self.stats.evicted_lines, |sum, pattern| sum.saturating_add(pattern.count));
        for (what, count, most) in [
            ("lines", lines, MAX_LINES),
            ("dropped moves", self.stats.dropped_moves, MAX_LINES),
            ("ids", self.next_id, lines),
            ("evicted patterns", self.stats.evicted_patterns, lines),
            ("lines of patterns", counted, lines),
            (
                "numbers of last lines",
                self.patterns.iter().map(|pattern| pattern.last).max().unwrap_or(0),
                lines,
            ),
        ] {
            if count > most {
                return Err(StateError::TooMany(what));
            }
        }
        Ok(())
    }
}
