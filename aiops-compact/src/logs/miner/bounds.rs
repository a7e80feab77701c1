//! What is held, and what is forgotten when that is too much.

use std::collections::{BTreeMap, HashMap};

use super::{FIRST_SETTLING, LogMiner, Pattern};
use crate::logs::cluster::Group;
use crate::logs::hash::FxBuildHasher;
use crate::logs::template::{Move, TemplateId};
use crate::logs::token::{Token, Vocabulary};

/// Most moves kept.
const MAX_MOVES: usize = 1 << 14;

/// Bytes of an entry of the cache, a move, and an alias.
const CACHE_BYTES: usize = 18;
const MOVE_BYTES: usize = std::mem::size_of::<Move>();
const ALIAS_BYTES: usize = 32;

impl LogMiner {
    /// Estimate of the memory held, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.retained() + self.cache.capacity() * CACHE_BYTES
    }

    /// What is held but for the cache, which has a bound of its own: what is forgotten must not depend on what is cached.
    pub(super) fn retained(&self) -> usize {
        // Tokens stand in a pattern, in the index and in a group.
        self.token_count * 40
            + self.patterns.len() * 320
            + self.vocabulary.bytes()
            + self.aliases.len() * ALIAS_BYTES
            + self.moves.len() * MOVE_BYTES
    }

    /// Entries of the cache: with twice the room for growth at most a quarter of the memory.
    pub(super) fn most_cached(&self) -> usize {
        let options = self.config.options();
        options.max_patterns.saturating_mul(4).min(options.max_bytes / (8 * CACHE_BYTES))
    }

    /// Makes room for one more pattern; whether symbols or the header may have changed.
    pub(super) fn keep_bounds(&mut self) -> bool {
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

    /// Keeps the newest moves and aliases, as many as have room.
    pub(in crate::logs) fn trim_records(&mut self) {
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

    /// Keeps of each template its oldest patterns only, as many as allowed.
    pub(super) fn shrink(&mut self) {
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
    pub(super) fn evict(&mut self, max_patterns: usize, max_bytes: usize) {
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
    pub(super) fn remove(
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
    pub(in crate::logs) fn reindex(&mut self) {
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

    pub(super) fn rebuild_vocabulary(&mut self) {
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
}
