//! A miner as a value that can be stored and goes on where it stopped.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::config::MinerConfig;
use super::header::HeaderPart;
use super::miner::{LogMiner, MinerStats, Pattern, rank};
use super::template::{Move, TemplateId};
use super::token::{Token, Vocabulary};

/// Version of the stored form.
const VERSION: u32 = 1;

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
        let state = State::deserialize(deserializer)?;
        if state.version != VERSION {
            return Err(de::Error::custom(format!(
                "version {} of a miner, expected {VERSION}",
                state.version
            )));
        }
        let mut miner = Self::new(state.config);
        let mut symbols = Vec::with_capacity(state.words.len());
        for word in state.words {
            symbols.push(match word {
                Word::Text(text) => miner.vocabulary.intern(text.as_bytes()),
                Word::Bytes(bytes) => miner.vocabulary.intern(&bytes),
            });
        }
        let decode = |codes: &[u64]| -> Result<Vec<Token>, D::Error> {
            let token = |code: &u64| {
                let symbol = usize::try_from(code / 2).ok().and_then(|at| symbols.get(at));
                symbol.map(|symbol| Token::new(*symbol, code % 2 == 1))
            };
            let tokens: Option<Vec<Token>> = codes.iter().map(token).collect();
            tokens.ok_or_else(|| de::Error::custom("a token is no word"))
        };
        for (id, codes) in &state.lists {
            miner.lists.insert(*id, decode(codes)?);
        }
        for stored in state.patterns {
            let newest = miner.patterns.last().map(|pattern| pattern.id);
            if newest.is_some_and(|newest| stored.id <= newest) || stored.id.0 >= state.next_id {
                return Err(de::Error::custom("patterns are not in the order of their ids"));
            }
            let tokens = decode(&stored.tokens)?;
            let rank = rank(&tokens, &miner.vocabulary);
            miner.patterns.push(Pattern {
                rank,
                id: stored.id,
                tokens: tokens.into(),
                count: stored.count,
                last: stored.last,
                template: stored.template,
            });
        }
        // Followed without end by `resolve` otherwise.
        let known = |id: &TemplateId| miner.patterns.binary_search_by_key(id, |pattern| pattern.id).is_ok();
        if state.aliases.iter().any(|(from, _)| known(from)) {
            return Err(de::Error::custom("an alias of a pattern that is kept"));
        }
        miner.header = state.header.or(miner.header);
        miner.next_id = state.next_id;
        miner.stats = state.stats;
        miner.aliases = state.aliases;
        miner.moves = state.moves;
        miner.reindex();
        miner.due = state.due;
        Ok(miner)
    }
}
