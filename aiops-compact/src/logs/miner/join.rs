//! Joining what miners of shards learned.

use super::{LogMiner, Pattern};
use crate::logs::template::TemplateId;
use crate::logs::token::{Token, Vocabulary};

impl LogMiner {
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
    pub(super) fn translate(&mut self, pattern: &Pattern, vocabulary: &Vocabulary) {
        self.tokens.clear();
        for token in &pattern.tokens {
            let symbol = self.vocabulary.intern(vocabulary.text(token.symbol()));
            self.tokens.push(Token::new(symbol, token.blank()));
        }
    }
}
