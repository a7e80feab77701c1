//! Faults and harmless events for the shop, decided by a seed.
//!
//! Nothing here is visible to whoever watches the shop: settings go over the operator's sockets, and a
//! configuration that does harm is rolled out like any other.

mod harmless;
mod right_actions;
mod scenario;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use aiops_core::Clock;
use aiops_core::jiff::Timestamp;
use aiops_process::{ConfigChange, Operation, OperationKey, OperationRequest};
use fastrand::Rng;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::shop::{SPOOL, Setting, Shop, ShopError, send};

pub use harmless::{HarmlessEvent, HarmlessPlan, play};
pub use right_actions::{ActionTarget, RightAction, RightActions};
pub use scenario::Scenario;

/// Bytes that each request leaves behind in a process that leaks.
const LEAK_BYTES: u64 = 640 * 1024;

/// Jobs in a backlog: many more than can be done while anyone watches.
const BACKLOG: u32 = 120_000;

/// The faults that can be injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Each request leaves memory behind until the process refuses work.
    MemoryLeak,
    /// A roll-out with a ruinous value.
    BadConfiguration,
    /// Connections to the store are not given back.
    PoolExhaustion,
    /// A snapshot holds the ledger's lock for long.
    LockContention,
    /// A damaged warm file makes every start fail.
    CrashLoop,
    /// A service far down answers late.
    SlowDependency,
    /// A second tenant floods the store.
    NoisyNeighbour,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 7] = [
        Self::MemoryLeak,
        Self::BadConfiguration,
        Self::PoolExhaustion,
        Self::LockContention,
        Self::CrashLoop,
        Self::SlowDependency,
        Self::NoisyNeighbour,
    ];

    /// The name as given on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MemoryLeak => "memory-leak",
            Self::BadConfiguration => "bad-configuration",
            Self::PoolExhaustion => "pool-exhaustion",
            Self::LockContention => "lock-contention",
            Self::CrashLoop => "crash-loop",
            Self::SlowDependency => "slow-dependency",
            Self::NoisyNeighbour => "noisy-neighbour",
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// No fault has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown fault {0:?}")]
pub struct UnknownFault(String);

impl FromStr for Fault {
    type Err = UnknownFault;
    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        Self::ALL.into_iter().find(|fault| fault.name() == text).ok_or_else(|| UnknownFault(text.to_owned()))
    }
}

/// What was really done. For scoring after a run; never shown to what is scored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    /// The fault.
    pub fault: Fault,
    /// The service in which it sits.
    pub service: String,
    /// When it began.
    pub began: Timestamp,
    /// What exactly was done.
    pub detail: String,
}

/// How a fault is going to be injected, as the seed decides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injection {
    fault: Fault,
    service: &'static str,
    means: Means,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Means {
    Setting(Setting),
    RollOut { key: &'static str, value: i64 },
    DamageWarmFile,
    Backlog,
}

impl Injection {
    /// Draws service and means.
    #[must_use]
    pub fn draw(fault: Fault, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x6661_756c_7400);
        let which = rng.u8(0..6);
        let mut one_of = |[first, second]: [&'static str; 2]| if rng.bool() { first } else { second };
        let (service, means) = match fault {
            Fault::MemoryLeak => {
                (one_of(["orders", "inventory"]), Means::Setting(Setting::RetainedBytes(LEAK_BYTES)))
            }
            Fault::PoolExhaustion => ("inventory", Means::Setting(Setting::KeepEvery(6))),
            Fault::LockContention => ("orders", Means::Setting(Setting::SnapshotMs(300))),
            Fault::SlowDependency => match one_of(["store", "inventory"]) {
                "store" => ("store", Means::Setting(Setting::ExtraMs(150))),
                service => (service, Means::Setting(Setting::ExtraMs(300))),
            },
            Fault::CrashLoop => ("orders", Means::DamageWarmFile),
            Fault::NoisyNeighbour => ("worker", Means::Backlog),
            Fault::BadConfiguration => {
                let (service, key, value) = match which {
                    0 => ("inventory", "pool_size", 1),
                    1 => ("orders", "inventory_timeout_ms", 25),
                    2 => ("gateway", "upstream_timeout_ms", 30),
                    3 => ("store", "io_slots", 1),
                    // Not every ruinous value is a bound set too low.
                    4 => ("store", "io_ms", 150),
                    _ => ("worker", "sweep", 6000),
                };
                (service, Means::RollOut { key, value })
            }
        };
        Self { fault, service, means }
    }

    /// The service in which the fault will sit.
    #[must_use]
    pub const fn service(&self) -> &'static str {
        self.service
    }

    /// Injects the fault.
    ///
    /// # Errors
    /// A process that does not answer, a file that cannot be written, a roll-out that fails.
    pub async fn inject(&self, shop: &Shop, clock: &dyn Clock) -> Result<Truth, ShopError> {
        if matches!(self.means, Means::Setting(_)) {
            settled(shop, self.service).await;
        }
        let now = clock.now();
        let detail = match &self.means {
            Means::Setting(setting) => {
                for (instance, _) in shop.supervisor().endpoints().of(self.service) {
                    send(shop.run_folder(), instance, *setting).await?;
                }
                format!("{setting:?}")
            }
            Means::RollOut { key, value } => {
                let overlay = Table::from_iter([((*key).to_owned(), Value::Integer(*value))]);
                let change = ConfigChange::Overlay(overlay);
                let operation = Operation::RollOut { service: self.service.to_owned(), change };
                let request = OperationRequest::new(key_at(now), "deployer", operation);
                shop.supervisor().apply(request).await?;
                format!("{key} = {value}")
            }
            Means::DamageWarmFile => {
                let damaged = damage_until_noticed(shop, self.service).await?;
                format!("damaged {}", damaged.display())
            }
            Means::Backlog => {
                let folder = shop.working_directory(self.service).join(SPOOL);
                let jobs: String = (0..BACKLOG).map(|job| format!("{job}\n")).collect();
                // Written under another name first, so that the worker never sees half of it.
                std::fs::write(folder.join("batch-0417.part"), jobs)?;
                std::fs::rename(folder.join("batch-0417.part"), folder.join("batch-0417.jobs"))?;
                format!("{BACKLOG} jobs")
            }
        };
        Ok(Truth { fault: self.fault, service: self.service.to_owned(), began: now, detail })
    }
}

/// Waits, for 6 s at most, until a service has all its replicas and nobody works on it: a setting that reaches
/// a process on its way out would be lost.
async fn settled(shop: &Shop, service: &str) {
    for _ in 0..60 {
        let views = shop.supervisor().view();
        let complete = views.iter().any(|view| view.service == service && view.ready == view.wanted);
        let changes = shop.supervisor().changes(Timestamp::MIN);
        let last = changes.iter().rev().find(|change| change.service == service);
        if complete && last.is_none_or(|change| change.finished.is_some()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A key for a change made by the shop's own people.
pub(crate) fn key_at(now: Timestamp) -> OperationKey {
    OperationKey::new(format!("deploy-{}", now.as_nanosecond()))
}

/// Damages the warm file. A replica that has just read it may write it anew, so this is repeated until one has
/// stumbled.
async fn damage_until_noticed(shop: &Shop, service: &str) -> Result<PathBuf, ShopError> {
    let file = shop.working_directory(service).join("cache").join("products.dat");
    for _ in 0..100 {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if !text.ends_with('\u{1}') {
            let half: String = text.chars().take(text.chars().count() / 2).collect();
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(&file, format!("{half}\n\u{1}"))?;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let ready = shop.supervisor().endpoints().of(service).count();
        if ready == 0 {
            break;
        }
    }
    Ok(file)
}
