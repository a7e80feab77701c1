//! Everything that stands between a proposal and its effect, composed in one place. This is the module to copy into a service of your own,
//! with `safety.toml`: put your journal's folder, your people and your names in.
//!
//! | file in the state folder | what |
//! |---|---|
//! | `journal` | what is done, written down before it is done |
//! | `audit`, `audit.key`, `anchor` | what was seen, decided and done, secrets masked; the key that signs it; its checkpoints, which belong on another machine |
//! | `mask.key` | the key under which equal secrets become equal tokens |
//! | `approvals` | what people were asked, and what they answered |
//! | `graduation` | which classes of action act alone, and since when |
//! | `learned` | what remedies of a class were worth, and how sure one must be for them |
//! | `lease` | which replica acts |
//! | `fitted/` | what was learned to be normal, and which of it decides |
//! | `cases/` | open cases, for whoever takes them up; closed ones |
//! | `post-mortems/` | what is told of each incident once it is over |
//! | `credential`, `root.key` | what the service may do at all, and the public key that says so |

mod budget;
mod config;
mod credentials;
mod rehearsal;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aiops_act::audit::CheckpointSigner as _;
use aiops_act::audit::{AuditReport, Ed25519Signer, Expectation, FileAnchor, verify_as};
use aiops_act::guards::{
    ActionCap, AllowList, BlastRadiusCap, ChangeCalendar, CircuitBreaker, ConfidenceBands, Cooldown,
    ErrorBudgetGuard, ErrorRateBreaker, HardRules, NodeCap, OneAtATime, RateSpike, RiskTiers,
    RollbackRequired,
};
use aiops_act::lease::{self, Term};
use aiops_act::{
    ApprovalDesk, CaseFolder, FileAudit, FileJournal, FileLease, FittedRegistry, Graduation, KillFile,
    Learned, Learning, Lease as _, Lessons, PolicyTable, PostMortem,
};
use aiops_biscuit::{CredentialedMitigator, Wallet};
use aiops_compact::mask::{MaskConfig, MaskKey, Masker};
use aiops_core::action::{Mode, Principal};
use aiops_core::guard::{ChainConfig, GuardChain, KillSwitch};
use aiops_core::layer::{LayerExt as _, Masked};
use aiops_core::seam::{AuditEvent, AuditSink as _, Mitigator, TelemetrySource};
use aiops_core::{Cancellation, Case, Context, ErrorKind};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use self::budget::ShopBudget;
use super::RunError;

pub(super) use self::config::{SHIPPED, SafetyConfig};
pub(super) use self::credentials::{issue, random};
pub(super) use self::rehearsal::Rehearsed;

/// Closed cases that are kept.
const CASES: usize = 100;

/// Noticed later than this, an incident is an action item for whoever owns detection. The shop's day has 25 s.
const LATE: Duration = Duration::from_secs(10);

/// Whoever acts, by name. The lease tells processes of one name apart.
const REPLICA: &str = "self_heal";

/// Through which everything is written to the audit log: no secret reaches the file.
pub(super) type AuditLog = Arc<Masked<Masker, FileAudit>>;

fn masked(audit: &FileAudit, key: [u8; 32]) -> Result<AuditLog, RunError> {
    let masker = Masker::new(&MaskConfig::default(), MaskKey::new(key))?;
    Ok(Arc::new(audit.clone().masked(masker)))
}

/// Where everything is kept that outlives a process.
#[derive(Debug, Clone)]
pub(super) struct StateFolder {
    pub(super) path: PathBuf,
    /// Where checkpoints of the audit log are kept. It is worth what the place is worth: another machine, in earnest.
    pub(super) anchor: PathBuf,
}

impl StateFolder {
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// What is open while a pipeline runs.
#[derive(Debug)]
pub(super) struct Safety {
    config: SafetyConfig,
    folder: StateFolder,
    switch: KillSwitch,
    journal: FileJournal,
    /// For checkpoints; events go through `log`.
    audit: FileAudit,
    log: AuditLog,
    desk: ApprovalDesk,
    graduation: Graduation,
    learned: Learned,
    registry: FittedRegistry,
    cases: CaseFolder,
    wallet: Wallet,
    lease: FileLease,
    term: Term,
    lost: Cancellation,
    renewing: JoinHandle<()>,
    /// What is to be told of the opening.
    pub(super) told: Vec<String>,
}

impl Safety {
    /// Opens everything in `folder`, and waits until this replica is the one that acts.
    pub(super) async fn open(
        config: SafetyConfig,
        folder: StateFolder,
        switch: KillSwitch,
        ctx: &Context,
    ) -> Result<Self, RunError> {
        let lease = FileLease::open(folder.file("lease"), config.lease)?;
        let term = first_term(&lease, config.lease.term, ctx).await?;
        let journal = FileJournal::open(folder.file("journal"))?.begin_term(&term, ctx).await?;
        let signer = Ed25519Signer::from_secret(&credentials::secret(&folder.file("audit.key"))?);
        let audit = FileAudit::open_signed(folder.file("audit"), config.audit.clone(), signer)?
            .with_anchor(FileAnchor::open(&folder.anchor)?);
        let log = masked(&audit, credentials::secret(&folder.file("mask.key"))?)?;
        let graduation = Graduation::open(folder.file("graduation"), config.graduation)?;
        let told = rehearsal::promote(&graduation, &config.promotion, ctx).await?;
        for what in &told {
            log.append(&AuditEvent::new(ctx.now(), None, "promoted", json!(what)), ctx).await?;
        }
        let lost = Cancellation::new();
        let renewing = {
            let (lease, term, lost, ctx) = (lease.clone(), term.clone(), lost.clone(), ctx.clone());
            let every = config.lease.term / 3;
            tokio::spawn(async move {
                // It says why in the log, and cancels `lost`.
                drop(lease::hold(&lease, &term, every, &lost, &ctx).await);
            })
        };
        Ok(Self {
            desk: ApprovalDesk::open(folder.file("approvals"), config.approvals.clone())?,
            learned: Learned::open(folder.file("learned"), config.learned.clone())?,
            registry: FittedRegistry::open(folder.file("fitted").join("registry"))?,
            cases: CaseFolder::open(folder.file("cases"), CASES)?,
            wallet: credentials::wallet(&folder, &Principal::new(REPLICA))?,
            config,
            folder,
            switch,
            journal,
            audit,
            log,
            graduation,
            lease,
            term,
            lost,
            renewing,
            told,
        })
    }

    /// The guards, all of which must agree, on a journal that is fenced and derives a credential for every intent.
    pub(super) fn guards<S>(&self, mode: Mode, telemetry: S) -> Result<GuardChain, RunError>
    where
        S: TelemetrySource + Clone,
    {
        let SafetyConfig { policy, allow, calendar, tiers, bands, error_rate, error_budget, .. } =
            &self.config;
        let table = PolicyTable::new(policy)?;
        if let Some(conflict) = table.conflicts().first() {
            return Err(
                format!("rules {} and {} of the policy overlap", conflict.allows, conflict.denies).into()
            );
        }
        let budget = ShopBudget::new(telemetry.clone(), error_budget)?;
        let chain = GuardChain::builder(self.wallet.journal(self.journal.clone()))
            // What may be done at all.
            .guard(table)
            .guard(AllowList::new(allow.clone())?)
            .guard(HardRules)
            .guard(ChangeCalendar::new(calendar)?)
            // Who decides.
            .guard(RiskTiers::new(tiers.clone())?)
            .guard(ConfidenceBands::new(*bands, [].into())?)
            .guard(self.graduation.clone())
            .guard(self.learned.clone())
            // How much of it.
            .guard(BlastRadiusCap::new(self.config.blast_radius)?)
            .guard(NodeCap::new(self.config.nodes)?)
            .guard(RollbackRequired)
            // How often.
            .guard(OneAtATime)
            .guard(Cooldown)
            .guard(ActionCap::new(self.config.cap)?)
            .guard(RateSpike::new(self.config.spike)?)
            // Whether it does any good.
            .guard(CircuitBreaker::new(self.config.breaker)?)
            .guard(ErrorRateBreaker::new(telemetry, error_rate.clone())?)
            .guard(ErrorBudgetGuard::new(budget, error_budget.guard)?)
            .approver(self.desk.clone())
            .kill_switch(self.switch.clone())
            .config(ChainConfig::in_mode(mode));
        Ok(chain.build()?)
    }

    /// `mitigator`, which acts under the credential of each action only.
    pub(super) fn mitigator<M: Mitigator>(&self, mitigator: M) -> CredentialedMitigator<M> {
        CredentialedMitigator::new(mitigator, self.wallet.clone())
    }

    pub(super) fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    pub(super) fn audit(&self) -> &AuditLog {
        &self.log
    }

    pub(super) fn learned(&self) -> &Learned {
        &self.learned
    }

    pub(super) fn desk(&self) -> &ApprovalDesk {
        &self.desk
    }

    pub(super) fn switch(&self) -> &KillSwitch {
        &self.switch
    }

    pub(super) fn registry(&self) -> (&FittedRegistry, PathBuf) {
        (&self.registry, self.folder.file("fitted"))
    }

    pub(super) fn cases(&self) -> &CaseFolder {
        &self.cases
    }

    /// Cancelled when another replica acts, or may.
    pub(super) fn lost(&self) -> &Cancellation {
        &self.lost
    }

    /// What follows from a case that was closed: stages of classes, what they taught, a post-mortem, and a checkpoint that vouches for all of it.
    pub(super) async fn after(&self, case: &Case, ctx: &Context) -> Result<Lessons, RunError> {
        let learning = Learning::new(self.graduation.clone(), self.journal.clone())
            .with_learned(self.learned.clone())
            .with_desk(self.desk.clone())
            .with_audit(self.log.clone());
        let lessons = learning.learn(case, ctx).await?;
        let page = PostMortem::of_with(case, LATE)?.to_markdown();
        std::fs::write(self.folder.file("post-mortems").join(format!("{}.md", case.id())), page)?;
        self.audit.checkpoint(ctx).await?;
        Ok(lessons)
    }

    /// Signs what was written, and lets the next replica act at once.
    pub(super) async fn close(self, ctx: &Context) -> Result<(), RunError> {
        self.audit.checkpoint(ctx).await?;
        self.renewing.abort();
        self.lease.release(&self.term, ctx).await?;
        Ok(())
    }
}

/// The first term, once that of a replica that died is over.
async fn first_term(lease: &FileLease, longest: Duration, ctx: &Context) -> Result<Term, RunError> {
    let patience = ctx.with_timeout(longest.saturating_mul(2));
    loop {
        match lease.acquire(&Principal::new(REPLICA), &patience).await {
            Ok(term) => return Ok(term),
            Err(e) if e.kind() == ErrorKind::Conflict => patience.sleep(Duration::from_millis(250)).await?,
            Err(e) => return Err(e.into()),
        }
    }
}

/// What the audit log of `folder` says, held against its key and against what was anchored.
pub(super) fn audited(folder: &StateFolder) -> Result<AuditReport, RunError> {
    let signer = Ed25519Signer::from_secret(&credentials::secret(&folder.file("audit.key"))?);
    let expected = Expectation::none().signed_by(signer.key()).kept(FileAnchor::read(&folder.anchor)?);
    Ok(verify_as(folder.file("audit"), &expected)?)
}

/// Off until the file is there, a SIGUSR1 comes, or somebody calls it.
pub(super) fn kill_switch(file: Option<&PathBuf>) -> Result<KillSwitch, RunError> {
    let switch = KillSwitch::new();
    if let Some(path) = file {
        switch.watch(KillFile::new(path)?);
    }
    let mut signals = signal(SignalKind::user_defined1())?;
    let engaged = switch.clone();
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            engaged.engage(&Principal::new("operator"), "SIGUSR1");
        }
    });
    Ok(switch)
}

#[cfg(test)]
mod tests {
    use aiops_act::AuditConfig;
    use aiops_act::audit::events;

    use super::*;

    fn log(folder: &std::path::Path) -> (PathBuf, AuditLog) {
        let path = folder.join("audit");
        let audit = FileAudit::open(&path, AuditConfig::default()).unwrap();
        (path, masked(&audit, [7; 32]).unwrap())
    }

    #[tokio::test]
    async fn a_secret_in_the_detail_of_an_action_does_not_reach_the_file() {
        let (folder, ctx) = (tempfile::tempdir().unwrap(), Context::system());
        let (path, log) = log(folder.path());
        let secrets = ["hunter2hunter2", "AKIAIOSFODNN7EXAMPLE", "ada@example.org"];
        let detail = json!({
            "outcome": "completed",
            "detail": format!("restarted with --password={} for {}", secrets[0], secrets[2]),
            "environment": { "aws_access_key_id": secrets[1] },
        });
        let told = format!("acted, by {}", secrets[2]);
        log.append(&AuditEvent::new(ctx.now(), None, &told, detail), &ctx).await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        for secret in secrets {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert!(text.contains("restarted with --password="), "{text}");
    }

    /// What people and programs read in the log is there as it was.
    #[tokio::test]
    async fn what_is_no_secret_reaches_it_unchanged() {
        let (folder, ctx) = (tempfile::tempdir().unwrap(), Context::system());
        let (path, log) = log(folder.path());
        let mut details = Vec::new();
        for action in rehearsal::played().await.unwrap().actions() {
            let detail =
                json!({ "decision": action.intent.decision, "action": action.intent.proposal.action });
            log.append(&AuditEvent::new(ctx.now(), None, "decided", detail.clone()), &ctx).await.unwrap();
            details.push(detail);
        }
        let mut read = Vec::new();
        events(&path, |event, _| read.push(event.detail)).unwrap();
        assert!(read.len() > 100);
        assert_eq!(read, details);
    }
}
