use std::collections::{BTreeMap, BTreeSet};

use aiops_core::jiff::Timestamp;
use aiops_core::model::{
    Alert, AlertState, Calendar, Change, EntityId, EntityKind, Severity, Topology, time::elapsed,
};
use serde::{Deserialize, Serialize};

use super::config::{CorrelatorConfig, CorrelatorOptions};
use super::fingerprint::{Fingerprint, name_of};
use super::graph::Graph;
use super::group::{Group, Index};
use super::incident::Incident;
use super::limit::{Limiter, Tier};
use super::pace::Pace;
use super::quiet::{Events, HeldBy, MaintenanceWindow, locus};
use super::relation::{AlertId, IncidentNumber, Link};
use super::state::{Record, trim};
use super::text::Vocabulary;
use crate::taxonomy::Labeller;

/// Alerts whose time of being held is over that one push releases; [`Correlator::advance`] releases all.
const RELEASED_BY_PUSH: usize = 4;

/// Where an alert went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Placed {
    /// The incident.
    pub incident: IncidentNumber,
    /// Why; none where it opened the incident.
    pub link: Option<Link>,
    /// Incidents that it showed to be the same, and that are now part of `incident`.
    pub merged: Vec<IncidentNumber>,
}

/// What became of a notification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// A new alert; it opened an incident or joined one.
    New(Placed),
    /// Known, and still firing; or its end was told again.
    Repeated(Option<IncidentNumber>),
    /// Known, had ended, fires again.
    Reopened(Option<IncidentNumber>),
    /// Known; it ended.
    Resolved(Option<IncidentNumber>),
    /// The end of something not known: it fired before this correlator was there, was limited, or is forgotten.
    Unmatched,
    /// Told late: the end of an earlier firing, or a firing that is over.
    Late(Option<IncidentNumber>),
    /// New and held back.
    Held(HeldBy),
    /// New and refused by this limit; if it still fires, the next notification of it may pass.
    Limited(Tier),
}

impl Disposition {
    /// The incident that the alert is in.
    #[must_use]
    pub fn incident(&self) -> Option<IncidentNumber> {
        match self {
            Self::New(placed) => Some(placed.incident),
            Self::Repeated(i) | Self::Reopened(i) | Self::Resolved(i) | Self::Late(i) => *i,
            Self::Unmatched | Self::Held(_) | Self::Limited(_) => None,
        }
    }
}

/// The answer to a notification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Identity of the alert.
    pub fingerprint: Fingerprint,
    /// Its number; none where it is not kept.
    pub alert: Option<AlertId>,
    /// What became of it.
    pub disposition: Disposition,
}

/// What became of all notifications.
///
/// Every notification is counted in `notifications` and in exactly one of `new`, `repeated`, `reopened`, `resolved`,
/// `unmatched`, `late`, `held` and `limited_*`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CorrelationStats {
    /// Notifications taken in.
    pub notifications: u64,
    /// New alerts that went to an incident at once.
    pub new: u64,
    /// Repeats.
    pub repeated: u64,
    /// Alerts that fired again.
    pub reopened: u64,
    /// Ends.
    pub resolved: u64,
    /// Ends of what is not known.
    pub unmatched: u64,
    /// Notifications that came late.
    pub late: u64,
    /// New alerts that were held back.
    pub held: u64,
    /// New alerts refused by the limit of their entity.
    pub limited_entity: u64,
    /// New informational alerts refused.
    pub limited_info: u64,
    /// New warnings refused.
    pub limited_warning: u64,
    /// Of those held back: what ended in the meantime and is in no incident.
    pub suppressed: u64,
    /// Of those held back: what went to an incident later.
    pub released: u64,
    /// Alerts folded into their incident to keep the bounds.
    pub folded: u64,
    /// Alerts that were in no incident (held back, or ended so) and forgotten to keep the bounds.
    pub forgotten: u64,
    /// Alerts in an incident of the storm.
    pub stormed: u64,
    /// Incidents opened.
    pub opened: u64,
    /// Incidents that became part of another.
    pub merged: u64,
    /// Incidents closed.
    pub closed: u64,
    /// New alerts of which something was cut.
    pub trimmed: u64,
    /// New alerts that claim to begin in the future; they begin when they came.
    pub future: u64,
}

/// Turns alerts into incidents. // COR-01..05
///
/// # Time
/// `at` is when a notification came; [`Alert::started_at`] says when the alert began, clamped to `at`. Grouping goes by
/// beginnings, so the order of arrival hardly matters; forgetting goes by arrivals. A clock that jumps forward lets things expire,
/// one that jumps back lets nothing expire until it has caught up; neither loses an alert.
///
/// # Bounds
/// At most [`max_alerts`](CorrelatorOptions::max_alerts) alerts of about [`max_bytes`](CorrelatorOptions::max_bytes) in all, then the one seen
/// longest ago is folded into its incident, critical ones last; at most [`max_incidents`](CorrelatorOptions::max_incidents) incidents, then
/// one for the storm takes what would open more. A push is O(log n) in what is kept plus O(neighbours + candidates); making two
/// incidents one costs the members of the smaller.
///
/// ```
/// use aiops_core::model::{Alert, EdgeKind, EntityId, Severity, Topology};
/// use aiops_detect::correlate::Correlator;
/// let mut correlator = Correlator::new(Default::default());
/// let mut topology = Topology::new();
/// topology.connect(EntityId::service("checkout"), EntityId::service("payments-db"), EdgeKind::Calls);
/// correlator.set_topology(topology);
///
/// let at = "2026-01-01T10:00:00Z".parse()?;
/// let pool = Alert::new("PoolExhausted", EntityId::service("payments-db"), at, Severity::Critical);
/// let slow = Alert::new("HighLatency", EntityId::service("checkout"), at, Severity::Warning);
/// correlator.push(&slow, at);
/// correlator.push(&pool, at);
/// correlator.push(&pool, at);
///
/// let incidents = correlator.incidents();
/// assert_eq!(incidents.len(), 1);
/// assert_eq!(incidents[0].primary_service, EntityId::service("payments-db"));
/// let why = incidents[0].links().next().unwrap().to_string();
/// assert!(why.contains("service/checkout needs service/payments-db"), "{why}");
/// # Ok::<(), aiops_core::jiff::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Correlator {
    pub(super) config: CorrelatorConfig,
    pub(super) topology: Topology,
    pub(super) graph: Graph,
    /// How incidents are named; a setting, not stored.
    pub(super) labeller: Option<Labeller>,
    /// What is known beforehand; a setting, not stored.
    calendar: Calendar,
    pub(super) vocabulary: Vocabulary,
    pub(super) limiter: Limiter,
    pub(super) events: Events,
    pub(super) pace: Pace,
    pub(super) records: BTreeMap<AlertId, Record>,
    pub(super) groups: BTreeMap<IncidentNumber, Group>,
    pub(super) storm: Option<IncidentNumber>,
    pub(super) next_alert: u64,
    pub(super) next_incident: u64,
    pub(super) stats: CorrelationStats,
    // What follows is derived from the above.
    pub(super) known: BTreeMap<Fingerprint, AlertId>,
    /// (critical, last seen, alert): what is folded first stands first.
    pub(super) recency: BTreeSet<(bool, Timestamp, AlertId)>,
    pub(super) held: BTreeSet<(Timestamp, AlertId)>,
    pub(super) index: Index,
    pub(super) bytes: usize,
}

impl Correlator {
    /// One without any alert, change or topology.
    #[must_use]
    pub fn new(config: CorrelatorConfig) -> Self {
        Self {
            config,
            topology: Topology::new(),
            graph: Graph::default(),
            labeller: None,
            calendar: Calendar::default(),
            vocabulary: Vocabulary::default(),
            limiter: Limiter::default(),
            events: Events::default(),
            pace: Pace::default(),
            records: BTreeMap::new(),
            groups: BTreeMap::new(),
            storm: None,
            next_alert: 0,
            next_incident: 0,
            stats: CorrelationStats::default(),
            known: BTreeMap::new(),
            recency: BTreeSet::new(),
            held: BTreeSet::new(),
            index: Index::default(),
            bytes: 0,
        }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &CorrelatorConfig {
        &self.config
    }

    pub(super) fn options(&self) -> &CorrelatorOptions {
        self.config.options()
    }

    /// What became of all notifications.
    #[must_use]
    pub fn stats(&self) -> &CorrelationStats {
        &self.stats
    }

    /// Estimate of the memory it takes, in bytes, the topology left out.
    #[must_use]
    pub fn memory(&self) -> usize {
        let groups: usize = self.groups.values().map(Group::bytes).sum();
        self.bytes + self.vocabulary.bytes() + self.pace.bytes() + groups
    }

    /// Replaces what is known of the topology. Alerts that were grouped stay so. O((entities + edges + alerts) log n).
    pub fn set_topology(&mut self, topology: Topology) {
        self.graph = Graph::new(&topology);
        self.topology = topology;
        self.events.reindex(&self.graph);
        let Self { records, groups, index, graph, config, bytes, .. } = self;
        *index = Index::default();
        groups.values_mut().for_each(Group::underive);
        for record in records.values_mut() {
            *bytes = bytes.saturating_sub(record.bytes());
            record.locus = locus_of(&record.alert.entity, graph, config.options());
            record.derive(graph, config.options());
            *bytes += record.bytes();
            index.add(record);
            if let Some(group) = record.incident.and_then(|number| groups.get_mut(&number)) {
                group.derive(record);
            }
        }
        groups.values().for_each(|group| index.add_group(group, graph));
    }

    /// Names incidents from now on, or no longer. Like a clock it is given, and not part of what is stored: set it again after that.
    pub fn set_labeller(&mut self, labeller: Option<Labeller>) {
        self.labeller = labeller;
    }

    /// Holds back what maintenance of `calendar` explains from now on, beside what is [announced](Self::announce). Like the names of
    /// incidents it is not part of what is stored: set it again after that. Alerts that came before stay where they are.
    pub fn set_calendar(&mut self, calendar: Calendar) {
        self.calendar = calendar;
    }

    /// Tells of a change. One that is known by its id is not taken twice. Alerts that came before it are not related by it.
    pub fn change(&mut self, change: Change) {
        let most = self.options().max_events;
        self.events.changed(change, &self.graph, most);
    }

    /// Announces a maintenance window. Alerts that came before it stay where they are.
    pub fn announce(&mut self, window: MaintenanceWindow) {
        let most = self.options().max_events;
        self.events.announce(window, most);
    }

    /// Takes in a notification that came at `at`.
    pub fn push(&mut self, alert: &Alert, at: Timestamp) -> Outcome {
        self.stats.notifications += 1;
        self.release(at, RELEASED_BY_PUSH);
        let fingerprint = Fingerprint::of(alert, self.options());
        let (disposition, id) = match (self.recall(fingerprint, alert.state, at), alert.state) {
            (Known::No(_), AlertState::Resolved) => {
                self.stats.unmatched += 1;
                (Disposition::Unmatched, None)
            }
            (Known::No(former), AlertState::Firing) => self.admit(fingerprint, alert, former, at),
            (Known::As(id), AlertState::Resolved) => (self.end(id, alert, at), Some(id)),
            (Known::As(id), AlertState::Firing) => (self.again(id, alert, at), Some(id)),
        };
        Outcome { fingerprint, alert: id, disposition }
    }

    /// The alert with this fingerprint, unless it is too long ago.
    fn recall(&mut self, fingerprint: Fingerprint, state: AlertState, at: Timestamp) -> Known {
        let Some(id) = self.known.get(&fingerprint).copied() else { return Known::No(None) };
        let options = self.config.options();
        let Some(record) = self.records.get(&id) else { return Known::No(None) };
        let ended = record.resolved_at.filter(|_| state == AlertState::Firing);
        let over = elapsed(record.last_seen, at) > options.remember
            || ended.is_some_and(|ended| elapsed(ended, at) > options.reopen_within);
        if !over {
            return Known::As(id);
        }
        self.known.remove(&fingerprint);
        if record.incident.is_none() {
            self.drop_record(id);
            return Known::No(None);
        }
        Known::No(Some(id))
    }

    /// Changes a record and what is derived from it.
    pub(super) fn update<T>(&mut self, id: AlertId, change: impl FnOnce(&mut Record) -> T) -> Option<T> {
        let record = self.records.get_mut(&id)?;
        self.recency.remove(&(record.critical(), record.last_seen, id));
        if let Some(hold) = &record.held {
            self.held.remove(&(hold.until, id));
        }
        let done = change(record);
        self.recency.insert((record.critical(), record.last_seen, id));
        if let Some(hold) = &record.held {
            self.held.insert((hold.until, id));
        }
        Some(done)
    }

    /// A known alert ended.
    fn end(&mut self, id: AlertId, alert: &Alert, at: Timestamp) -> Disposition {
        let seen = self.update(id, |record| {
            let late = alert.started_at < record.alert.started_at;
            let first = record.resolved_at.is_none();
            record.last_seen = at;
            record.count = record.count.saturating_add(1);
            if !late && first {
                record.resolved_at = Some(at);
            }
            // What ended while it was held back stays out of incidents; it is remembered a while longer.
            let suppressed = !late && record.held.take().is_some();
            (record.incident, late, first, suppressed)
        });
        let Some((incident, late, first, suppressed)) = seen else { return Disposition::Unmatched };
        self.touch(incident, None, at);
        if !late
            && first
            && let Some(group) = incident.and_then(|number| self.groups.get_mut(&number))
        {
            group.firing = group.firing.saturating_sub(1);
            group.last_end = group.last_end.max(Some(at));
        }
        self.stats.suppressed += u64::from(suppressed);
        let (count, disposition) = match (late, first) {
            (true, _) => (&mut self.stats.late, Disposition::Late(incident)),
            (false, true) => (&mut self.stats.resolved, Disposition::Resolved(incident)),
            (false, false) => (&mut self.stats.repeated, Disposition::Repeated(incident)),
        };
        *count += 1;
        disposition
    }

    /// A known alert fires.
    fn again(&mut self, id: AlertId, alert: &Alert, at: Timestamp) -> Disposition {
        let late_within = self.options().late_within;
        let seen = self.update(id, |record| {
            let ended = record.resolved_at;
            let late = ended.is_some_and(|ended| {
                alert.started_at <= record.alert.started_at && elapsed(ended, at) <= late_within
            });
            record.last_seen = at;
            record.count = record.count.saturating_add(1);
            let graver = alert.severity > record.alert.severity;
            record.alert.severity = record.alert.severity.max(alert.severity);
            if ended.is_some() && !late {
                record.resolved_at = None;
                record.flaps = record.flaps.saturating_add(1);
                record.alert.started_at = record.alert.started_at.max(alert.started_at.min(at));
            }
            (record.incident, late, ended.is_some(), graver)
        });
        let Some((incident, late, ended, graver)) = seen else { return Disposition::Unmatched };
        let reopened = ended && !late;
        self.touch(incident, graver.then_some(alert.severity), at);
        if reopened && let Some(group) = incident.and_then(|number| self.groups.get_mut(&number)) {
            group.firing += 1;
        }
        // What is in no incident and turns out to be grave, or begins again after it was suppressed, is judged anew.
        let incident = if incident.is_none() && (reopened || graver) { self.judge(id, at) } else { incident };
        let (count, disposition) = if late {
            (&mut self.stats.late, Disposition::Late(incident))
        } else if reopened {
            (&mut self.stats.reopened, Disposition::Reopened(incident))
        } else {
            (&mut self.stats.repeated, Disposition::Repeated(incident))
        };
        *count += 1;
        disposition
    }

    /// Holds an alert back that is in no incident, or finds its incident.
    fn judge(&mut self, id: AlertId, at: Timestamp) -> Option<IncidentNumber> {
        let record = self.records.get(&id)?;
        let about = (&record.alert.entity, &record.locus);
        let began = record.alert.started_at.min(at);
        let hold =
            self.events.hold(about, record.alert.severity, (began, at), (self.options(), &self.calendar));
        let held = hold.is_some();
        self.update(id, |record| record.held = hold);
        if held {
            return None;
        }
        self.stats.released += 1;
        self.place(id, at).map(|placed| placed.incident)
    }

    /// Notes in its incident that an alert was heard of.
    fn touch(&mut self, incident: Option<IncidentNumber>, severity: Option<Severity>, at: Timestamp) {
        if let Some(group) = incident.and_then(|number| self.groups.get_mut(&number)) {
            group.last_activity = at;
            group.notifications = group.notifications.saturating_add(1);
            group.severity = group.severity.max(severity.unwrap_or(group.severity));
        }
    }

    /// A new alert.
    fn admit(
        &mut self,
        fingerprint: Fingerprint,
        alert: &Alert,
        former: Option<AlertId>,
        at: Timestamp,
    ) -> (Disposition, Option<AlertId>) {
        let locus = locus_of(&alert.entity, &self.graph, self.config.options());
        if let Err(tier) = self.limiter.admit(&locus, alert.severity, at, &self.config.options().limits) {
            return (self.refuse(&locus, tier), None);
        }
        let mut alert = alert.clone();
        self.stats.future += u64::from(alert.started_at > at);
        alert.started_at = alert.started_at.min(at);
        let options = self.config.options();
        let words = self.vocabulary.read(&alert, options);
        self.stats.trimmed += u64::from(trim(&mut alert, options));
        let locus = locus_of(&alert.entity, &self.graph, options);
        let onset = alert.started_at;
        let changes = self.changes_before(&locus, onset);
        let known = (options, &self.calendar);
        let held = self.events.hold((&alert.entity, &locus), alert.severity, (onset, at), known);
        let id = AlertId(self.next_alert);
        self.next_alert += 1;
        let mut record = Record {
            id,
            fingerprint,
            alert,
            locus,
            words,
            changes,
            incident: None,
            held: held.clone(),
            links: Vec::new(),
            onset,
            first_seen: at,
            last_seen: at,
            resolved_at: None,
            count: 1,
            flaps: 0,
            former,
            node: None,
            scope: Vec::new(),
            near: Vec::new(),
        };
        record.derive(&self.graph, self.config.options());
        self.bytes += record.bytes();
        self.known.insert(fingerprint, id);
        self.recency.insert((record.critical(), at, id));
        if let Some(hold) = &held {
            self.held.insert((hold.until, id));
        }
        self.index.add(&record);
        self.records.insert(id, record);
        let disposition = match held {
            Some(hold) => {
                self.stats.held += 1;
                Disposition::Held(hold.by)
            }
            None => {
                self.stats.new += 1;
                self.place(id, at).map_or(Disposition::Unmatched, Disposition::New)
            }
        };
        self.keep_bounds(id);
        (disposition, Some(id))
    }

    fn refuse(&mut self, locus: &EntityId, tier: Tier) -> Disposition {
        match tier {
            Tier::Entity => self.stats.limited_entity += 1,
            Tier::Info => self.stats.limited_info += 1,
            Tier::Warning => self.stats.limited_warning += 1,
        }
        let latest = self.index.about(locus, 1).next().and_then(|id| self.records.get(&id)?.incident);
        if let Some(group) = latest.and_then(|number| self.groups.get_mut(&number)) {
            group.limited = group.limited.saturating_add(1);
        }
        Disposition::Limited(tier)
    }

    /// Finds the incidents of up to `most` alerts whose time of being held is over.
    fn release(&mut self, at: Timestamp, most: usize) {
        for _ in 0..most {
            let Some((until, id)) = self.held.first().copied().filter(|(until, _)| *until <= at) else {
                return;
            };
            self.held.remove(&(until, id));
            self.update(id, |record| record.held = None);
            self.stats.released += 1;
            self.place(id, at);
        }
    }

    /// Folds alerts until the bounds hold again, but never `newest`.
    fn keep_bounds(&mut self, newest: AlertId) {
        let options = self.config.options();
        let (max_alerts, max_bytes) = (options.max_alerts, options.max_bytes);
        while self.records.len() > max_alerts || self.bytes > max_bytes {
            let Some(id) = self.recency.iter().map(|(_, _, id)| *id).find(|id| *id != newest) else { return };
            self.fold(id);
        }
    }

    fn fold(&mut self, id: AlertId) {
        let Self { records, groups, index, graph, .. } = self;
        let Some(record) = records.get(&id) else { return };
        match record.incident.and_then(|number| groups.get_mut(&number)) {
            Some(group) => {
                if group.fold(record) {
                    index.leave_locus(&record.locus, group.number, graph);
                }
                self.stats.folded += 1;
            }
            None => self.stats.forgotten += 1,
        }
        self.drop_record(id);
    }

    pub(super) fn drop_record(&mut self, id: AlertId) {
        let Some(record) = self.records.remove(&id) else { return };
        self.bytes = self.bytes.saturating_sub(record.bytes());
        self.recency.remove(&(record.critical(), record.last_seen, id));
        if let Some(hold) = &record.held {
            self.held.remove(&(hold.until, id));
        }
        if self.known.get(&record.fingerprint) == Some(&id) {
            self.known.remove(&record.fingerprint);
        }
        self.index.remove(&record);
    }

    /// Lets time pass until `at`: releases what was held back until now, forgets what is over, and hands out the incidents that
    /// are closed, in order of number. An incident is closed when all its alerts ended and nothing was heard of it for
    /// [`close_after`](CorrelatorOptions::close_after), or nothing at all for [`remember`](CorrelatorOptions::remember). O(alerts).
    ///
    /// Without being called, incidents stay open, and the bounds hold all the same.
    pub fn advance(&mut self, at: Timestamp) -> Vec<Incident> {
        self.release(at, usize::MAX);
        let options = self.config.options();
        let (close_after, remember) = (options.close_after, options.remember);
        self.events.expire(at, &self.graph, options);
        let over = |group: &Group| {
            let quiet = elapsed(group.last_activity, at);
            quiet >= remember || quiet >= close_after && group.has_ended()
        };
        let closing: Vec<IncidentNumber> =
            self.groups.values().filter(|group| over(group)).map(|group| group.number).collect();
        let mut closed = Vec::new();
        for number in closing {
            closed.extend(self.incident(number).map(Incident::closed));
            if let Some(group) = self.groups.remove(&number) {
                self.index.remove_group(&group, &self.graph);
                group.members.iter().for_each(|id| self.drop_record(*id));
            }
            self.storm = self.storm.filter(|storm| *storm != number);
            self.stats.closed += 1;
        }
        let forgotten: Vec<AlertId> = self
            .records
            .values()
            .filter(|r| r.incident.is_none() && r.held.is_none() && elapsed(r.last_seen, at) > remember)
            .map(|r| r.id)
            .collect();
        forgotten.into_iter().for_each(|id| self.drop_record(id));
        closed
    }

    /// Alerts that are held back, or ended while they were, with what held them back while it does, in order of arrival.
    pub fn quiet(&self) -> impl Iterator<Item = (&Alert, Option<&HeldBy>)> {
        self.records
            .values()
            .filter(|record| record.incident.is_none())
            .map(|record| (&record.alert, record.held.as_ref().map(|hold| &hold.by)))
    }
}

/// Whether a notification is of an alert that is known.
enum Known {
    /// It is this one.
    As(AlertId),
    /// It is a new one; there may be an earlier firing of it.
    No(Option<AlertId>),
}

/// What an alert is about: the whole that its entity is a part of, by the topology, or a workload by the name of its pod.
pub(super) fn locus_of(entity: &EntityId, graph: &Graph, options: &CorrelatorOptions) -> EntityId {
    if graph.knows(entity) || entity.kind() != EntityKind::Pod {
        return locus(entity, graph);
    }
    let service = EntityId::service(name_of(entity, options));
    let stripped = options.strip_pod_suffix && service.name() != entity.name();
    if stripped { locus(&service, graph) } else { entity.clone() }
}
