//! One alert for several instances. // COR-01

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aiops_compact::ConfigError;
use aiops_core::jiff::Timestamp;
use aiops_core::model::{Alert, AlertState, time};
use aiops_core::{Context, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::config::CorrelatorOptions;
use super::fingerprint::Fingerprint;
use crate::checked::{Checked, Options};
use crate::error::check_count;

/// Whose an alert is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The claimer's: it was nobody's, or was the claimer's already. The claim holds for as long as asked from now.
    Own,
    /// Another instance's, by this name; its claim was not prolonged.
    Other(String),
}

/// What several instances that take in the same alerts share: whose each one is, for a while.
///
/// # Contract
/// Of several claims of one fingerprint at a time exactly one is [`Own`](Claim::Own). A claim that is made again by its owner is prolonged; one
/// that is not ends after its time, and the next to claim has it. A claim by one does not change another's. An error says nothing
/// about whose it is.
#[async_trait]
pub trait SharedFingerprints: Debug + Send + Sync + 'static {
    /// Claims `fingerprint` for `owner` for the time `lease`.
    ///
    /// # Errors
    /// [`Unavailable`](aiops_core::ErrorKind::Unavailable) or [`Timeout`](aiops_core::ErrorKind::Timeout) when the others cannot be
    /// asked.
    async fn claim(
        &self,
        fingerprint: Fingerprint,
        owner: &str,
        lease: Duration,
        ctx: &Context,
    ) -> Result<Claim>;
}

/// [`SharedFingerprints`] of the instances of one process; what ends is forgotten.
#[derive(Debug, Clone, Default)]
pub struct InMemoryFingerprints {
    claims: Arc<Mutex<Claims>>,
}

#[derive(Debug, Default)]
struct Claims {
    owners: BTreeMap<Fingerprint, (String, Timestamp)>,
    ends: BTreeSet<(Timestamp, Fingerprint)>,
}

impl InMemoryFingerprints {
    /// Nobody has claimed anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl SharedFingerprints for InMemoryFingerprints {
    async fn claim(
        &self,
        fingerprint: Fingerprint,
        owner: &str,
        lease: Duration,
        ctx: &Context,
    ) -> Result<Claim> {
        ctx.check().map_err(|e| e.at("SharedFingerprints::claim"))?;
        let now = ctx.now();
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((end, over)) = claims.ends.first().copied().filter(|(end, _)| *end <= now) {
            claims.ends.remove(&(end, over));
            claims.owners.remove(&over);
        }
        if let Some((known, end)) = claims.owners.get(&fingerprint).cloned() {
            if known != owner {
                return Ok(Claim::Other(known));
            }
            claims.ends.remove(&(end, fingerprint));
        }
        let end = time::after(now, lease);
        claims.owners.insert(fingerprint, (owner.to_owned(), end));
        claims.ends.insert((end, fingerprint));
        Ok(Claim::Own)
    }
}

/// How instances share alerts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SharingOptions {
    /// Time for which a claim holds, 1 s to 1 day. Default 5 min: longer than the repeats of a sender are apart, and as long as an alert waits
    /// for another instance when its own is gone.
    #[serde(with = "aiops_core::model::duration")]
    pub lease: Duration,
    /// Time to wait for an answer, 1 ms to 1 min. Default 250 ms.
    #[serde(with = "aiops_core::model::duration")]
    pub patience: Duration,
    /// Failures in a row from which the others are asked only once every `pause`, 1 to 1000. Default 3: what is down must not hold up every
    /// alert of a storm.
    pub failures: usize,
    /// That time, 1 ms to 1 h. Default 5 s.
    #[serde(with = "aiops_core::model::duration")]
    pub pause: Duration,
}

impl Default for SharingOptions {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(300),
            patience: Duration::from_millis(250),
            failures: 3,
            pause: Duration::from_secs(5),
        }
    }
}

impl Options for SharingOptions {
    fn validate(&self) -> std::result::Result<(), ConfigError> {
        let ms = Duration::from_millis(1);
        for (field, value, least, most, allowed) in [
            ("lease", self.lease, Duration::from_secs(1), Duration::from_secs(86_400), "1 s to 1 day"),
            ("patience", self.patience, ms, Duration::from_secs(60), "1 ms to 1 min"),
            ("pause", self.pause, ms, Duration::from_secs(3600), "1 ms to 1 h"),
        ] {
            if !(least..=most).contains(&value) {
                return Err(ConfigError::new(field, format!("{value:?}"), allowed));
            }
        }
        check_count("failures", self.failures, 1..=1000, "1 to 1000 failures")
    }
}

/// Whether a notification is for this instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shared {
    /// It is: push it.
    Mine,
    /// Another instance, by this name, has the alert.
    Theirs(String),
    /// Whose it is could not be told, so it is this one's too: an alert twice is better than none.
    Unsure,
}

impl Shared {
    /// Whether to go on with it.
    #[must_use]
    pub fn is_mine(&self) -> bool {
        !matches!(self, Self::Theirs(_))
    }
}

/// Notifications by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SharingStats {
    /// This instance's.
    pub mine: u64,
    /// Another's.
    pub theirs: u64,
    /// Taken though nobody could be asked.
    pub unsure: u64,
}

/// Asks before each firing notification whose it is, so that several instances behind one sender, or fed by the same ones, make one
/// incident of it. // COR-01
///
/// The end of an alert is for everybody: whoever does not know the alert counts it as unmatched, and the one that has it must not miss it because
/// a load balancer sent it elsewhere. Where the others cannot be asked, everything is taken: sharing may fail, alerting may not.
#[derive(Debug)]
pub struct SharedIntake {
    shared: Arc<dyn SharedFingerprints>,
    me: String,
    sharing: Checked<SharingOptions>,
    fingerprints: CorrelatorOptions,
    failed: usize,
    not_before: Option<Timestamp>,
    stats: SharingStats,
}

impl SharedIntake {
    /// The instance `me`, which must be another name than that of any other instance; fingerprints by the options of the correlators,
    /// which must be the same for all.
    ///
    /// # Errors
    /// [`ConfigError`] for an empty name.
    pub fn new(
        shared: Arc<dyn SharedFingerprints>,
        me: impl Into<String>,
        sharing: Checked<SharingOptions>,
        fingerprints: CorrelatorOptions,
    ) -> std::result::Result<Self, ConfigError> {
        let me = me.into();
        if me.is_empty() {
            return Err(ConfigError::new("me", "\"\"", "a name that no other instance has"));
        }
        let stats = SharingStats::default();
        Ok(Self { shared, me, sharing, fingerprints, failed: 0, not_before: None, stats })
    }

    /// Notifications by what became of them.
    #[must_use]
    pub fn stats(&self) -> SharingStats {
        self.stats
    }

    /// Whose a notification is.
    pub async fn ask(&mut self, alert: &Alert, ctx: &Context) -> Shared {
        let answer = self.whose(alert, ctx).await;
        *match answer {
            Shared::Mine => &mut self.stats.mine,
            Shared::Theirs(_) => &mut self.stats.theirs,
            Shared::Unsure => &mut self.stats.unsure,
        } += 1;
        answer
    }

    async fn whose(&mut self, alert: &Alert, ctx: &Context) -> Shared {
        if alert.state == AlertState::Resolved {
            return Shared::Mine;
        }
        let now = ctx.now();
        // A clock that jumped back by more than the pause does not make it last.
        let pause = self.sharing.options().pause;
        if self.not_before.is_some_and(|t| now < t && time::elapsed(now, t) <= pause) {
            return Shared::Unsure;
        }
        let options = self.sharing.options();
        let limited = ctx.with_timeout(options.patience);
        let fingerprint = Fingerprint::of(alert, &self.fingerprints);
        let claim = self.shared.claim(fingerprint, &self.me, options.lease, &limited);
        match limited.bound(claim).await {
            Ok(claim) => {
                (self.failed, self.not_before) = (0, None);
                match claim {
                    Claim::Own => Shared::Mine,
                    Claim::Other(who) => Shared::Theirs(who),
                }
            }
            Err(_) => {
                self.failed = self.failed.saturating_add(1);
                if self.failed >= options.failures {
                    self.not_before = Some(time::after(ctx.now(), options.pause));
                }
                Shared::Unsure
            }
        }
    }
}
