use super::mask::{Scan, VariableKind};
use super::miner::{LogMiner, line_hash, strip};
use super::template::TemplateId;
use super::token::{Pieces, Token, WILD};

/// A part of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment<'a> {
    /// Constant text of the template, blanks included.
    Literal(&'a [u8]),
    /// Value of a variable; may be empty.
    Parameter {
        /// The value.
        text: &'a [u8],
        /// What it looks like.
        kind: VariableKind,
    },
}

/// A line taken apart. Header and segments in order are the line, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extraction<'a> {
    /// Template of the line.
    pub template: TemplateId,
    /// What stands before the message.
    pub header: &'a [u8],
    /// The message.
    pub segments: Vec<Segment<'a>>,
}

impl<'a> Extraction<'a> {
    /// The values of the variables, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &'a [u8]> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Parameter { text, .. } => Some(*text),
            Segment::Literal(_) => None,
        })
    }
}

impl LogMiner {
    /// Takes a line apart; `None` when no template known has it.
    ///
    /// A variable that a template lists several values of in one place (a list of varying length) gives one parameter for
    /// each value.
    ///
    /// ```
    /// use aiops_compact::logs::{LogMiner, MinerConfig};
    /// let mut miner = LogMiner::new(MinerConfig::default());
    /// miner.push(b"open /etc/hosts: errno=2");
    /// let parts = miner.extract(b"open /var/log/syslog: errno=13").unwrap();
    /// assert_eq!(parts.parameters().collect::<Vec<_>>(), [&b"/var/log/syslog"[..], b"13"]);
    /// ```
    #[must_use]
    pub fn extract<'a>(&self, line: &'a [u8]) -> Option<Extraction<'a>> {
        let options = self.config.options();
        let seen = line.get(..options.max_line_bytes).unwrap_or(line);
        let (mut scan, mut scratch) = (Scan::default(), Pieces::default());
        scan.read(seen);
        scratch.read(&scan, seen, options.max_tokens);
        let mut tokens: Vec<Token> = Vec::with_capacity(scratch.pieces.len());
        for piece in &scratch.pieces {
            // A word never seen fits variables only.
            let symbol = self.vocabulary.find(scratch.text(piece)).unwrap_or(UNKNOWN);
            tokens.push(Token::new(symbol, piece.blank));
        }
        let all = tokens.len();
        if let Some(parts) = &self.header {
            strip(parts, &mut tokens, &self.vocabulary);
        }
        // A pattern that was dropped, its template having enough of them, is known by the hash of its line alone.
        let by_hash = || self.group_of_hash(line_hash(&scan, seen));
        let (template, group) = self.group_of(&tokens).or_else(by_hash)?;
        let skipped = all - tokens.len();
        let start = scratch.pieces.get(skipped).filter(|_| skipped > 0).map_or(0, |piece| piece.start);
        let mut out = Cutter { line, done: start, segments: Vec::new() };
        let places = (group.tokens.len() == tokens.len()).then_some(&group.tokens);
        for (at, piece) in scratch.pieces.iter().skip(skipped).enumerate() {
            let wild = places.and_then(|places| places.get(at)).is_some_and(|token| token.is_wild());
            let own = tokens.get(at).is_some_and(|token| token.symbol() == WILD);
            let within = || {
                scratch.variables.iter().filter(|(start, end, _)| *start >= piece.start && *end <= piece.end)
            };
            if wild || own {
                let whole = within().find(|v| (v.0, v.1) == (piece.start, piece.end));
                out.parameter(piece.start, piece.end, whole.map_or(VariableKind::Word, |v| v.2));
            } else {
                within().for_each(|(start, end, kind)| out.parameter(*start, *end, *kind));
            }
        }
        if seen.len() < line.len() {
            out.parameter(seen.len(), line.len(), VariableKind::Word);
        }
        out.literal(line.len());
        Some(Extraction { template, header: line.get(..start).unwrap_or_default(), segments: out.segments })
    }
}

/// Symbol of no word.
const UNKNOWN: u32 = u32::MAX >> 1;

struct Cutter<'a> {
    line: &'a [u8],
    done: usize,
    segments: Vec<Segment<'a>>,
}

impl Cutter<'_> {
    fn literal(&mut self, until: usize) {
        let text = self.line.get(self.done..until).unwrap_or_default();
        if !text.is_empty() {
            self.segments.push(Segment::Literal(text));
            self.done = until;
        }
    }

    fn parameter(&mut self, start: usize, end: usize, kind: VariableKind) {
        if start < self.done {
            return;
        }
        self.literal(start);
        let text = self.line.get(start..end).unwrap_or_default();
        self.segments.push(Segment::Parameter { text, kind });
        self.done = end;
    }
}
