use std::collections::HashMap;

use super::cluster::{self, Group};
use super::config::MinerConfig;
use super::hash::{self, FxBuildHasher};
use super::mask;
use super::template::{Template, render};
use super::token::{Pieces, Token, Vocabulary};

/// Names a template for as long as its miner lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TemplateId(pub(super) u32);

impl TemplateId {
    /// As a number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl std::fmt::Display for TemplateId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "E{}", self.0)
    }
}

#[derive(Debug, Clone)]
struct Pattern {
    tokens: Box<[Token]>,
    count: u64,
    template: TemplateId,
}

/// Streaming template miner.
#[derive(Debug, Clone)]
pub struct LogMiner {
    config: MinerConfig,
    vocabulary: Vocabulary,
    patterns: Vec<Pattern>,
    /// Hash of the masked line → pattern.
    lines: HashMap<u64, u32, FxBuildHasher>,
    /// Tokens → pattern.
    index: HashMap<Box<[Token]>, u32, FxBuildHasher>,
    groups: HashMap<TemplateId, Group>,
    scratch: Pieces,
    tokens: Vec<Token>,
    settled: usize,
}

impl LogMiner {
    /// An empty miner.
    #[must_use]
    pub fn new(config: MinerConfig) -> Self {
        Self {
            config,
            vocabulary: Vocabulary::new(),
            patterns: Vec::new(),
            lines: HashMap::default(),
            index: HashMap::default(),
            groups: HashMap::new(),
            scratch: Pieces::default(),
            tokens: Vec::new(),
            settled: 0,
        }
    }

    /// Mines one line.
    pub fn push(&mut self, line: &[u8]) -> TemplateId {
        let key = line_hash(line);
        let index = match self.lines.get(&key) {
            Some(index) => *index,
            None => self.learn(line, key),
        };
        match self.patterns.get_mut(index as usize) {
            Some(pattern) => {
                pattern.count += 1;
                pattern.template
            }
            None => TemplateId(0),
        }
    }

    #[cold]
    fn learn(&mut self, line: &[u8], key: u64) -> u32 {
        self.scratch.read(line, self.config.options().max_tokens);
        self.tokens.clear();
        for piece in &self.scratch.pieces {
            let symbol = self.vocabulary.intern(self.scratch.text(piece));
            self.tokens.push(Token::new(symbol, piece.blank));
        }
        let next = u32::try_from(self.patterns.len()).unwrap_or(u32::MAX);
        let index = match self.index.get(self.tokens.as_slice()) {
            Some(index) => *index,
            None => {
                let tokens: Box<[Token]> = self.tokens.as_slice().into();
                self.index.insert(tokens.clone(), next);
                self.patterns.push(Pattern { tokens, count: 0, template: TemplateId(next) });
                next
            }
        };
        self.lines.insert(key, index);
        index
    }

    /// Decides anew which patterns are one template.
    pub fn settle(&mut self) {
        let mut order: Vec<usize> = (0..self.patterns.len()).collect();
        let text = |token: &Token| (token.blank(), self.vocabulary.text(token.symbol()));
        order.sort_by(|a, b| {
            let tokens = |at: &usize| self.patterns.get(*at).map_or(&[][..], |p| &p.tokens);
            tokens(a).iter().map(text).cmp(tokens(b).iter().map(text))
        });
        let sorted: Vec<&[Token]> =
            order.iter().filter_map(|at| self.patterns.get(*at)).map(|p| &*p.tokens).collect();
        let groups = cluster::group(&sorted, &self.vocabulary, self.config.options());
        self.groups.clear();
        for mut group in groups {
            for member in &mut group.members {
                *member = order.get(*member).copied().unwrap_or(0);
            }
            let id = TemplateId(group.members.iter().copied().min().unwrap_or(0) as u32);
            for member in &group.members {
                if let Some(pattern) = self.patterns.get_mut(*member) {
                    pattern.template = id;
                }
            }
            self.groups.insert(id, group);
        }
        self.settled = self.patterns.len();
    }

    /// Template that `id` is part of now.
    #[must_use]
    pub fn resolve(&self, id: TemplateId) -> Option<TemplateId> {
        self.patterns.get(id.0 as usize).map(|pattern| pattern.template)
    }

    /// The template.
    #[must_use]
    pub fn template(&self, id: TemplateId) -> Option<Template> {
        let id = self.resolve(id)?;
        let group = self.groups.get(&id)?;
        let count = group.members.iter().filter_map(|m| self.patterns.get(*m)).map(|p| p.count).sum();
        Some(Template { id, text: render(group, &self.vocabulary), count })
    }
}

fn line_hash(line: &[u8]) -> u64 {
    let mut state = 0;
    let mut done = 0;
    mask::mask(line, |start, end, _| {
        state = hash::add_bytes(state, line.get(done..start).unwrap_or_default());
        done = end;
    });
    state = hash::add_bytes(state, line.get(done..).unwrap_or_default());
    hash::finish(state)
}
