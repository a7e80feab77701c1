//! When what looks show is an incident.

use std::collections::BTreeSet;

use jiff::Timestamp;

/// What a look means, given the looks before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sighting<S> {
    /// No symptom.
    Quiet,
    /// Symptoms that somebody already looks after.
    Held {
        /// What was not among them until this look: it counts to theirs from now on, and they should be told, for it may
        /// be a second incident.
        joined: BTreeSet<S>,
    },
    /// Too few looks in a row have shown one of the symptoms.
    Unconfirmed {
        /// How many have.
        looks: u32,
    },
    /// An incident. Counting begins anew.
    Confirmed,
}

/// Counts for how many looks in a row a symptom has been there, and keeps quiet about symptoms that somebody looks after:
/// what a [`Pipeline`](super::Pipeline) opens cases by, for replays and other loops that must decide alike.
///
/// A look continues the row when it shares a symptom with the look before it. Memory is that of two looks' symptoms and of
/// what joined those held. `S` names a symptom, such as entity and series.
///
/// ```
/// use std::collections::BTreeSet;
/// use aiops_core::jiff::Timestamp;
/// use aiops_core::pipeline::{Confirmation, Sighting};
/// let mut confirmation = Confirmation::new(2);
/// let mut look = |second, symptoms: &[&'static str]| {
///     confirmation.look(Timestamp::from_second(second).unwrap(), symptoms.iter().copied().collect())
/// };
/// assert_eq!(look(0, &["slow"]), Sighting::Unconfirmed { looks: 1 });
/// assert_eq!(look(1, &["errors"]), Sighting::Unconfirmed { looks: 1 });
/// assert_eq!(look(2, &["errors", "slow"]), Sighting::Confirmed);
/// confirmation.hold(BTreeSet::from(["errors"]), Timestamp::from_second(60).unwrap());
/// let held = confirmation.look(Timestamp::from_second(3).unwrap(), BTreeSet::from(["errors", "slow"]));
/// assert_eq!(held, Sighting::Held { joined: BTreeSet::from(["slow"]) });
/// ```
#[derive(Debug, Clone)]
pub struct Confirmation<S> {
    needed: u32,
    last: BTreeSet<S>,
    looks: u32,
    /// One for each who looks after something.
    held: Vec<Hold<S>>,
}

/// Symptoms that somebody looks after.
#[derive(Debug, Clone)]
struct Hold<S> {
    symptoms: BTreeSet<S>,
    until: Timestamp,
    /// For how many looks in a row none of them was there.
    absent: u32,
}

impl<S: Ord + Clone> Confirmation<S> {
    /// Asks for `needed` looks in a row; 0 counts as 1.
    #[must_use]
    pub fn new(needed: u32) -> Self {
        Self { needed: needed.max(1), last: BTreeSet::new(), looks: 0, held: Vec::new() }
    }

    /// Takes in the symptoms of the look at `now`. O(symptoms · log of them).
    pub fn look(&mut self, now: Timestamp, symptoms: BTreeSet<S>) -> Sighting<S> {
        if let Some(joined) = self.joined(now, &symptoms) {
            return Sighting::Held { joined };
        }
        self.looks = match (symptoms.is_empty(), self.last.is_disjoint(&symptoms)) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => self.looks.saturating_add(1),
        };
        self.last = symptoms;
        match self.looks {
            0 => Sighting::Quiet,
            looks if looks < self.needed => Sighting::Unconfirmed { looks },
            _ => {
                self.last.clear();
                self.looks = 0;
                Sighting::Confirmed
            }
        }
    }

    /// Somebody looks after `symptoms`: they, and those that are seen together with them, count for nothing until `until`,
    /// or until as many looks in a row as it takes to confirm show none of them: one look alone may only have been blind.
    /// Others who look after something go on doing so.
    pub fn hold(&mut self, symptoms: BTreeSet<S>, until: Timestamp) {
        self.held.push(Hold { symptoms, until, absent: 0 });
    }

    /// What joins those held, when some of `symptoms` are; forgets holds that are over.
    fn joined(&mut self, now: Timestamp, symptoms: &BTreeSet<S>) -> Option<BTreeSet<S>> {
        for hold in &mut self.held {
            hold.absent = if hold.symptoms.is_disjoint(symptoms) { hold.absent.saturating_add(1) } else { 0 };
        }
        let needed = self.needed;
        self.held.retain(|hold| now < hold.until && hold.absent < needed);
        let known = |symptom: &&S| self.held.iter().any(|hold| hold.symptoms.contains(symptom));
        let joined: BTreeSet<S> = symptoms.iter().filter(|s| !known(s)).cloned().collect();
        // Whoever looks longest after what is there hears of what joins, so that nobody hears of it twice.
        let longest = self.held.iter_mut().filter(|hold| hold.absent == 0).max_by_key(|hold| hold.until)?;
        longest.symptoms.extend(joined.iter().cloned());
        Some(joined)
    }
}
