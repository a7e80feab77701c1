//! What callers say of those they call.
//!
//! An error about a call to somebody speaks of that one or of the way to it before it speaks of the writer. It is told by the name that
//! a line holds, by the peer that a span or a metric of a client names. Names are those of the topology; no phrase is known.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aiops_core::model::{EntityId, Labels, Signal};

use super::calls::Calls;
use super::config::FusionConfig;
use super::finding::{Family, Finding, FindingKind};
use crate::robust::count;

/// Labels under which a span names whom it calls: OpenTelemetry's conventions, older ones last.
const PEERS: [&str; 6] = [
    "peer.service",
    "server.address",
    "db.namespace",
    "messaging.destination.name",
    "net.peer.name",
    "db.name",
];

/// Whom everybody calls, by name.
#[derive(Debug, Default)]
pub(super) struct Peers<'a>(HashMap<&'a EntityId, HashMap<&'a str, &'a EntityId>>);

impl<'a> Peers<'a> {
    /// O(calls).
    pub(super) fn of(calls: &Calls<'a>) -> Self {
        let mut peers: HashMap<&EntityId, HashMap<&str, &EntityId>> = HashMap::new();
        for (number, caller) in calls.entities() {
            for callee in calls.callees(number).iter().filter_map(|c| calls.entity(*c)) {
                // Of callees of one name the first in order.
                peers.entry(caller).or_default().entry(callee.name()).or_insert(callee);
            }
        }
        Self(peers)
    }

    /// The callee of `caller` that has this name.
    pub(super) fn named(&self, caller: &EntityId, name: &str) -> Option<&'a EntityId> {
        self.0.get(caller)?.get(name).copied()
    }

    /// The callee of `caller` that a text names first: as a word, or as the host of an address.
    pub(super) fn in_text(&self, caller: &EntityId, text: &str) -> Option<&'a EntityId> {
        let names = self.0.get(caller)?;
        let of_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let words = text.split(|c| !of_name(c)).filter(|w| !w.is_empty());
        let known = |word: &str| {
            let word = word.trim_matches('.');
            let host = word.split_once('.').map_or(word, |(host, _)| host);
            names.get(word).or_else(|| names.get(host)).copied()
        };
        words.into_iter().find_map(known)
    }

    /// The callee of `caller` that a span's attributes name.
    pub(super) fn in_labels(&self, caller: &EntityId, labels: &Labels) -> Option<&'a EntityId> {
        if labels.is_empty() {
            return None;
        }
        let names = self.0.get(caller)?;
        PEERS.iter().filter_map(|label| labels.get(label)).find_map(|name| names.get(name).copied())
    }
}

/// That calls of one to another fail or take long.
#[derive(Debug, Clone)]
pub(super) struct Accusation<'a> {
    pub(super) by: &'a EntityId,
    pub(super) of: &'a EntityId,
    /// [`FindingKind::CallErrors`] or [`FindingKind::CallTime`].
    pub(super) kind: FindingKind,
    /// Where it was read.
    pub(super) signal: Signal,
    pub(super) strength: f64,
    /// How sure it is that the calls are worse than before, on the scale of strengths, whatever of it counts.
    pub(super) certainty: f64,
    pub(super) statement: String,
}

/// Two between whom calls are in trouble, and how surely.
pub(super) type Path<'a> = (&'a EntityId, &'a EntityId, f64);

/// The calls in trouble at which it ends: who is called accuses nobody of those it calls in turn, about as surely. What is late or fails
/// further down is so for everybody above, and is one path's.
/// O(accusations · log accusations).
pub(super) fn paths<'a>(accusations: &[Accusation<'a>], config: &FusionConfig) -> Vec<Path<'a>> {
    // Where words speak no surer than figures can.
    let most = config.strength(f64::INFINITY);
    let mut pairs: BTreeMap<(&EntityId, &EntityId), f64> = BTreeMap::new();
    let mut accusers: BTreeMap<&EntityId, f64> = BTreeMap::new();
    for a in accusations {
        let certainty = a.certainty.min(most);
        let surest = pairs.entry((a.by, a.of)).or_default();
        *surest = surest.max(certainty);
        let loudest = accusers.entry(a.by).or_default();
        *loudest = loudest.max(certainty);
    }
    let ends = |of: &EntityId, sure: f64| accusers.get(of).is_none_or(|on| *on < config.alike * sure);
    pairs
        .into_iter()
        .filter(|((_, of), sure)| ends(of, *sure))
        .map(|((by, of), sure)| (by, of, sure))
        .collect()
}

/// Who says of those it calls that they take longer waits for them, however that is shared among its copies: then its own time is told as such.
/// O(findings · log accusations).
pub(super) fn waiting(findings: &mut [Finding], accusations: &[Accusation<'_>], config: &FusionConfig) {
    let sure = config.strength(config.least_z);
    let waits: BTreeSet<&EntityId> =
        accusations.iter().filter(|a| a.certainty >= sure).map(|a| a.by).collect();
    for finding in findings.iter_mut().filter(|f| f.kind == FindingKind::CopyTime) {
        if waits.contains(&finding.entity) {
            finding.kind = FindingKind::SelfTime;
        }
    }
}

/// What is seen of somebody who is accused.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// Whether it tells of the requests it answers, before and since.
    pub(super) answers: bool,
    /// Share of the requests to be expected that it no longer answers, 0..=1.
    pub(super) silent: f64,
}

/// Findings about those who are accused.
///
/// The share of an accusation that is held against the one accused is its part in what accuser and accused have in common with other
/// calls: how many of its callers accuse it, beside how many of those it calls the accuser accuses, both squared as for time between
/// entities, and as far as nothing vouches for it. What is left of time is the way's. Who answers the requests that it was sent before as it did before is well. Who is
/// silent, or tells nothing at all, has nothing to show for itself.
///
/// O(accusations · log accusations + calls).
pub(super) fn findings(
    mut accusations: Vec<Accusation<'_>>,
    others: &[Finding],
    (seen, slow): (&BTreeMap<&EntityId, Seen>, &BTreeMap<&EntityId, f64>),
    calls: &Calls<'_>,
    config: &FusionConfig,
) -> Vec<Finding> {
    // Of equally strong ones always the same is told.
    accusations.sort_by(|a, b| {
        (a.by, a.of, a.kind, a.signal, &a.statement).cmp(&(b.by, b.of, b.kind, b.signal, &b.statement))
    });
    // By accuser and accused, how loudly, over kinds.
    let mut pairs: BTreeMap<(&EntityId, &EntityId), f64> = BTreeMap::new();
    for a in &accusations {
        let loudest = pairs.entry((a.by, a.of)).or_default();
        *loudest = loudest.max(a.strength);
    }
    let mut trouble: BTreeMap<&EntityId, f64> = BTreeMap::new();
    for finding in others.iter().filter(|f| f.kind.family() != Family::Traffic) {
        let worst = trouble.entry(&finding.entity).or_default();
        *worst = worst.max(finding.strength);
    }
    // By accuser, and by accused, how loudly, in order.
    let mut accusing: BTreeMap<&EntityId, Vec<f64>> = BTreeMap::new();
    let mut accused: BTreeMap<&EntityId, Vec<f64>> = BTreeMap::new();
    for ((by, of), loudest) in &pairs {
        accusing.entry(*by).or_default().push(*loudest);
        accused.entry(*of).or_default().push(*loudest);
    }
    accusing.values_mut().chain(accused.values_mut()).for_each(|all| all.sort_unstable_by(f64::total_cmp));
    // How many of them are about as loud, as a share, smoothed.
    let smoothed = |all: Option<&Vec<f64>>, loud: f64, of: usize| {
        let all = all.map_or(&[] as &[f64], Vec::as_slice);
        let likewise = all.len() - all.partition_point(|other| *other < config.likewise * loud);
        (count(likewise) - 0.5).max(0.5) / count(of.max(1))
    };
    let mut between: BTreeMap<&EntityId, (f64, &Accusation<'_>)> = BTreeMap::new();
    let mut strongest: BTreeMap<(&EntityId, FindingKind, Signal), (f64, &Accusation<'_>)> = BTreeMap::new();
    for accusation in &accusations {
        let (Some(by), Some(of)) = (calls.number(accusation.by), calls.number(accusation.of)) else {
            continue;
        };
        let loud = pairs.get(&(accusation.by, accusation.of)).copied().unwrap_or(accusation.strength);
        let from = smoothed(accusing.get(accusation.by), loud, calls.callees(by).len()).powi(2);
        let to = smoothed(accused.get(accusation.of), loud, calls.callers(of).len()).powi(2);
        let to = to * (1.0 + config.accused_prior);
        let told = seen.get(accusation.of).copied().unwrap_or_default();
        let known = |of: &BTreeMap<&EntityId, f64>| of.get(accusation.of).copied().unwrap_or(0.0);
        let own = known(&trouble).max(known(slow));
        let unwell = own / (own + config.half_sure);
        let vouched = if told.answers { (1.0 - told.silent) * (1.0 - unwell) } else { 0.0 };
        let share = (1.0 - config.vouched * vouched) * to / (from + to).max(f64::MIN_POSITIVE);
        let strength = accusation.strength * share;
        let best =
            strongest.entry((accusation.of, accusation.kind, accusation.signal)).or_insert((0.0, accusation));
        if strength > best.0 {
            *best = (strength, accusation);
        }
        // Errors are written by the accuser, who has them already. Time that the one called does not take passes on the way to it.
        if accusation.kind == FindingKind::CallTime {
            let rest = between.entry(accusation.by).or_insert((0.0, accusation));
            let left = accusation.strength * (1.0 - share);
            if left > rest.0 {
                *rest = (left, accusation);
            }
        }
    }
    let told = strongest.into_iter().filter(|(_, (strength, _))| *strength >= config.least_strength);
    let finding = |((of, kind, signal), (strength, accusation)): (_, (f64, &Accusation<'_>))| {
        let statement = format!("{} says: {}", accusation.by, accusation.statement);
        Finding { signal, hearsay: true, ..Finding::new(of, kind, strength, statement) }
    };
    let mut found: Vec<Finding> = told.map(finding).collect();
    for (by, (strength, accusation)) in between {
        if strength >= config.least_strength {
            let statement = format!("on the way to {}: {}", accusation.of, accusation.statement);
            let way = Finding::new(by, FindingKind::CallTime, strength, statement);
            found.push(Finding { signal: accusation.signal, ..way });
        }
    }
    found
}

/// Requests that an entity answers in a second, before and since.
pub(super) type Answered<'a> = (&'a EntityId, f64, f64);

/// Who tells of the requests it answers, and how many fewer these are; of what spans and metrics say, the worse.
pub(super) fn answers<'a>(rates: &[Answered<'a>]) -> BTreeMap<&'a EntityId, Seen> {
    let mut seen: BTreeMap<&EntityId, Seen> = BTreeMap::new();
    for (entity, before, now) in rates.iter().filter(|r| r.1 > 0.0) {
        let entry = seen.entry(entity).or_default();
        entry.answers = true;
        entry.silent = entry.silent.max((1.0 - now / before).clamp(0.0, 1.0));
    }
    seen
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aiops_core::model::{EdgeKind, EntityId, Labels, TelemetryWindow, TimeRange};

    use super::Peers;
    use crate::fusion::calls::Calls;
    use crate::fusion::spans::tables;
    use crate::fusion::summary::Summary;

    #[test]
    fn names_are_words_hosts_of_addresses_and_peers_of_spans() {
        let (cart, store) = (EntityId::service("cart"), EntityId::service("ts-store"));
        let range = TimeRange::ending_at(jiff::Timestamp::UNIX_EPOCH, Duration::from_secs(1));
        let mut window = TelemetryWindow::new(range);
        window.topology.connect(cart.clone(), store.clone(), EdgeKind::Calls);
        let (operations, [a, b]) = tables([&[], &[]]);
        let summaries = [&Summary::of(&a, &operations), &Summary::of(&b, &operations)];
        let peers = Peers::of(&Calls::of([&window, &window], &operations, summaries));
        for text in [
            "connect to ts-store: refused",
            "GET http://ts-store:80/x",
            "ts-store.prod.svc.cluster.local: no such host",
            "(ts-store)",
            "is it ts-store.",
        ] {
            assert_eq!(peers.in_text(&cart, text), Some(&store), "{text}");
        }
        for text in ["", "ts-store2 fails", "my-ts-store", "com.ts-store.Main", "store", "☃"] {
            assert_eq!(peers.in_text(&cart, text), None, "{text}");
        }
        assert_eq!(
            peers.in_text(&store, "ts-store fails"),
            None,
            "who does not call it does not speak of calls"
        );
        let labels = Labels::new().with("peer.service", "ts-store");
        assert_eq!(peers.in_labels(&cart, &labels), Some(&store));
        assert_eq!(peers.in_labels(&cart, &Labels::new().with("other", "ts-store")), None);
    }
}
