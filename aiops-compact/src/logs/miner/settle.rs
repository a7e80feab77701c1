//! Deciding anew, from all patterns together, which of them are one template.

use std::collections::{BTreeMap, HashMap};

use super::{FIRST_SETTLING, LogMiner, Pattern, rank, strip};
use crate::logs::cluster::{self, Group, skeleton};
use crate::logs::hash::FxBuildHasher;
use crate::logs::header::{self, HeaderPart};
use crate::logs::template::Move;
use crate::logs::token::Token;

impl LogMiner {
    /// Decides anew, from all patterns together, which of them are one template.
    ///
    /// With [`Header::Infer`](crate::logs::Header::Infer) the first call fixes what the header is; [`push`](Self::push) makes
    /// it after `header_lines` lines. O(patterns × tokens), and × tokens again for templates of few words.
    pub fn settle(&mut self) {
        self.regroup(false);
    }

    /// [`settle`](Self::settle), or its quick form in mid-stream.
    pub(super) fn regroup(&mut self, quick: bool) {
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
    pub(super) fn assign(&mut self, groups: Vec<Group>) {
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

    pub(super) fn open_groups(&mut self) {
        self.open = HashMap::default();
        for (id, group) in &self.groups {
            if group.values.iter().any(|values| !values.is_empty()) {
                self.open.entry(skeleton(&group.tokens, &self.vocabulary)).or_default().push(*id);
            }
        }
        self.open.values_mut().for_each(|ids| ids.sort_unstable());
    }

    /// Infers the header from what was seen and takes it off all patterns.
    pub(in crate::logs) fn find_header(&mut self) {
        let lines: Vec<(&[Token], u64)> = self.patterns.iter().map(|p| (&*p.tokens, p.count)).collect();
        let parts = header::infer(&lines, &self.vocabulary);
        self.take_off(&parts);
        self.header = Some(parts);
    }

    pub(in crate::logs) fn take_off(&mut self, parts: &[HeaderPart]) {
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
}
