//! Which templates an entity writes more or less often than before, whatever its load.

use std::collections::BTreeMap;

use aiops_core::model::{EntityId, LogSeverity};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::TemplateId;
use super::window::Novelty;
use crate::error::{ConfigError, check};
use crate::evidence::shares;

/// Thresholds of [`changes`]. Plain fields with the defaults that are documented on each; [`ChangeConfig`] holds a
/// checked set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChangeOptions {
    /// How sure a change must be, in σ; 1 to 100. Default 3.5: about one false change in 2,000 comparisons.
    pub finding_sigma: f64,
    /// Sureness that adds nothing any more, in σ; ≥ `finding_sigma`, up to 1000. Default 10.
    pub full_sigma: f64,
    /// Smallest change of a template's share of its entity's lines, as a share of the larger one; 0 to 1. Default 0.5:
    /// half or twice as often.
    pub min_effect: f64,
    /// Severity from which a line tells of trouble. That there is less trouble is no change to report. Default: warn.
    pub severity: LogSeverity,
    /// Weight of lines below `severity`, whose share changes with what is asked for too; 0 to 1. Default 0.5.
    pub plain_weight: f64,
}

impl Default for ChangeOptions {
    fn default() -> Self {
        Self {
            finding_sigma: 3.5,
            full_sigma: 10.0,
            min_effect: 0.5,
            severity: LogSeverity::Warn,
            plain_weight: 0.5,
        }
    }
}

/// Checked [`ChangeOptions`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ChangeOptions", into = "ChangeOptions")]
pub struct ChangeConfig(ChangeOptions);

impl ChangeConfig {
    /// The thresholds.
    #[must_use]
    pub fn options(&self) -> &ChangeOptions {
        &self.0
    }
}

impl From<ChangeConfig> for ChangeOptions {
    fn from(config: ChangeConfig) -> Self {
        config.0
    }
}

impl TryFrom<ChangeOptions> for ChangeConfig {
    type Error = ConfigError;

    fn try_from(options: ChangeOptions) -> Result<Self, ConfigError> {
        let o = &options;
        check("finding_sigma", o.finding_sigma, 1.0..=100.0, "1 to 100")?;
        check("full_sigma", o.full_sigma, o.finding_sigma..=1000.0, "`finding_sigma` to 1000")?;
        check("min_effect", o.min_effect, 0.0..=1.0, "0 to 1")?;
        check("plain_weight", o.plain_weight, 0.0..=1.0, "0 to 1")?;
        Ok(Self(options))
    }
}

/// One template of one entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    lines: u64,
    first: Timestamp,
    last: Timestamp,
    severity: Option<LogSeverity>,
}

impl Seen {
    fn merge(&mut self, other: Self) {
        self.lines += other.lines;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.severity = self.severity.max(other.severity);
    }
}

/// Lines by entity and template. // CMP-04, CMP-07
///
/// Memory: one entry per entity and template, however many lines. [`merge`](Self::merge) is exact, associative and
/// commutative.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntityLogs {
    entities: BTreeMap<EntityId, BTreeMap<TemplateId, Seen>>,
    lines: u64,
}

impl EntityLogs {
    /// No lines.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a line; order does not matter.
    pub fn observe(
        &mut self,
        entity: &EntityId,
        template: TemplateId,
        time: Timestamp,
        severity: Option<LogSeverity>,
    ) {
        let seen = Seen { lines: 1, first: time, last: time, severity };
        // The name is copied for the first line only.
        if !self.entities.contains_key(entity) {
            self.entities.insert(entity.clone(), BTreeMap::new());
        }
        if let Some(templates) = self.entities.get_mut(entity) {
            templates.entry(template).and_modify(|own| own.merge(seen)).or_insert(seen);
        }
        self.lines += 1;
    }

    /// Adds what a shard counted. Both must have the ids of one miner; [`resolved`](Self::resolved) translates.
    pub fn merge(&mut self, other: Self) {
        self.lines += other.lines;
        for (entity, templates) in other.entities {
            let own = self.entities.entry(entity).or_default();
            for (id, seen) in templates {
                own.entry(id).and_modify(|own| own.merge(seen)).or_insert(seen);
            }
        }
    }

    /// The same with each id replaced, after templates were joined or miners were.
    #[must_use]
    pub fn resolved(self, resolve: impl Fn(TemplateId) -> TemplateId) -> Self {
        let mut logs = Self { entities: BTreeMap::new(), lines: self.lines };
        for (entity, templates) in self.entities {
            let own = logs.entities.entry(entity).or_default();
            for (id, seen) in templates {
                own.entry(resolve(id)).and_modify(|own| own.merge(seen)).or_insert(seen);
            }
        }
        logs
    }

    /// Lines counted.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Lines of one entity.
    #[must_use]
    pub fn lines_of(&self, entity: &EntityId) -> u64 {
        self.entities.get(entity).map_or(0, |templates| templates.values().map(|seen| seen.lines).sum())
    }
}

/// A template that one entity writes more or less often than before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogChange {
    /// Who writes it.
    pub entity: EntityId,
    /// The template.
    pub template: TemplateId,
    /// New, vanished, bursting (more often), or usual (less often, but there).
    pub novelty: Novelty,
    /// Highest severity of its lines.
    pub severity: Option<LogSeverity>,
    /// How sure it is that its share changed at all, in σ (signed root of a likelihood ratio); > 0 when it rose.
    pub sigma: f64,
    /// Change of the share over the larger one, 0 to 1; 1 for what is new or has vanished.
    pub effect: f64,
    /// Rank among changes: `sigma` without sign, limited, times `effect`; less for plain lines.
    pub score: f64,
    /// Its lines in the baseline, and all of the entity there.
    pub baseline: (u64, u64),
    /// Its lines now, and all of the entity.
    pub current: (u64, u64),
    /// First line now; last line of the baseline when it has vanished.
    pub since: Timestamp,
}

/// The templates whose share of their entity's lines changed from `baseline` to `current`, best first; ties by entity
/// and id. Shares, because load comes and goes and windows are of any length. Where an entity wrote nothing in one of
/// the two, its plain lines have nothing to be compared with (it was not asked for anything); its lines of trouble are
/// held against the lines of all. O(entities × templates).
///
/// ```
/// use aiops_compact::logs::{ChangeConfig, EntityLogs, LogMiner, MinerConfig, changes};
/// use aiops_core::{jiff::Timestamp, model::EntityId};
///
/// let mut miner = LogMiner::new(MinerConfig::default());
/// let (mut before, mut now) = (EntityLogs::new(), EntityLogs::new());
/// let cart = EntityId::service("cart");
/// for second in 0..60 {
///     let served = miner.push(b"request served");
///     before.observe(&cart, served, Timestamp::from_second(second).unwrap(), None);
///     let failed = miner.push(if second % 2 == 0 { b"request served" } else { b"pool exhausted" });
///     now.observe(&cart, failed, Timestamp::from_second(3600 + second).unwrap(), None);
/// }
/// let found = changes(&before, &now, &ChangeConfig::default());
/// assert_eq!(miner.template(found[0].template).unwrap().to_string(), "pool exhausted");
/// assert_eq!((found[0].baseline, found[0].current), ((0, 60), (30, 60)));
/// ```
#[must_use]
pub fn changes(baseline: &EntityLogs, current: &EntityLogs, config: &ChangeConfig) -> Vec<LogChange> {
    let options = config.options();
    let nothing = BTreeMap::new();
    let mut found = Vec::new();
    let newly = current.entities.keys().filter(|entity| !baseline.entities.contains_key(*entity));
    for entity in baseline.entities.keys().chain(newly) {
        let before = baseline.entities.get(entity).unwrap_or(&nothing);
        let now = current.entities.get(entity).unwrap_or(&nothing);
        let total = |own: &BTreeMap<TemplateId, Seen>, all: u64| {
            if own.is_empty() { all } else { own.values().map(|seen| seen.lines).sum() }
        };
        let (n0, n1) = (total(before, baseline.lines), total(now, current.lines));
        let fresh = now.keys().filter(|id| !before.contains_key(*id));
        for id in before.keys().chain(fresh) {
            let (past, present) = (before.get(id), now.get(id));
            let (k0, k1) = (past.map_or(0, |seen| seen.lines), present.map_or(0, |seen| seen.lines));
            let severity = past.and_then(|seen| seen.severity).max(present.and_then(|seen| seen.severity));
            let trouble = severity >= Some(options.severity);
            let silent = before.is_empty() || now.is_empty();
            let sigma = shares((k0, n0), (k1, n1));
            if (silent && !trouble) || (trouble && sigma < 0.0) {
                continue;
            }
            let (p0, p1) = (k0 as f64 / n0.max(1) as f64, k1 as f64 / n1.max(1) as f64);
            let effect = (p1 - p0).abs() / p0.max(p1).max(f64::MIN_POSITIVE);
            if sigma.abs() < options.finding_sigma || effect < options.min_effect {
                continue;
            }
            let novelty = match (past, present) {
                (None, _) => Novelty::New,
                (_, None) => Novelty::Vanished,
                _ if sigma > 0.0 => Novelty::Bursting,
                _ => Novelty::Usual,
            };
            let Some(since) = present.map(|seen| seen.first).or(past.map(|seen| seen.last)) else { continue };
            found.push(LogChange {
                entity: entity.clone(),
                template: *id,
                novelty,
                severity,
                sigma,
                effect,
                score: sigma.abs().min(options.full_sigma)
                    * effect
                    * if trouble { 1.0 } else { options.plain_weight },
                baseline: (k0, n0),
                current: (k1, n1),
                since,
            });
        }
    }
    found.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then_with(|| (&a.entity, a.template).cmp(&(&b.entity, b.template)))
    });
    found
}
