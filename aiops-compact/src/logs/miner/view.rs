//! What was learned so far.

use super::{LogMiner, MinerStats, Pattern};
use crate::logs::cluster::{Group, skeleton};
use crate::logs::header::HeaderPart;
use crate::logs::template::{Move, Template, TemplateId, render};
use crate::logs::token::Token;

impl LogMiner {
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

    pub(super) fn describe(&self, id: TemplateId, group: &Group) -> Option<Template> {
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

    pub(in crate::logs) fn slot_of(&self, tokens: &[Token]) -> Option<&Pattern> {
        self.index.get(tokens).and_then(|slot| self.patterns.get(*slot as usize))
    }

    pub(in crate::logs) fn group_of(&self, tokens: &[Token]) -> Option<(TemplateId, &Group)> {
        if let Some(pattern) = self.slot_of(tokens) {
            return self.groups.get(&pattern.template).map(|group| (pattern.template, group));
        }
        let ids = self.open.get(&skeleton(tokens, &self.vocabulary))?;
        ids.iter()
            .find_map(|id| self.groups.get(id).filter(|group| group.fits(tokens)).map(|group| (*id, group)))
    }

    /// The template that lines of this hash were given.
    pub(in crate::logs) fn group_of_hash(&self, hash: u64) -> Option<(TemplateId, &Group)> {
        let pattern = self.patterns.get(*self.cache.get(&hash)? as usize)?;
        self.groups.get(&pattern.template).map(|group| (pattern.template, group))
    }
}
