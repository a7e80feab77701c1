//! Everything that stands between a proposal and its effect, composed in one place. This is the module to copy into a service of your own,
//! with `safety.toml`: put your journal's folder, your people and your names in.
//!
//! | file in the state folder | what |
//! |---|---|
//! | `journal` | what is done, written down before it is done |
//! | `audit`, `audit.key`, `anchor` | what was seen, decided and done; the key that signs it; its checkpoints, which belong on another machine |
//! | `approvals` | what people were asked, and what they answered |
//! | `graduation` | which classes of action act alone, and since when |
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
    Learning, Lease as _, Lessons, PolicyTable, PostMortem,
};
use aiops_biscuit::{CredentialedMitigator, Wallet};
use aiops_core::action::{Mode, Principal};
use aiops_core::guard::{ChainConfig, GuardChain, KillSwitch};
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
    audit: FileAudit,
    desk: ApprovalDesk,
    graduation: Graduation,
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
        let graduation = Graduation::open(folder.file("graduation"), config.graduation)?;
        let told = rehearsal::promote(&graduation, &config.promotion, ctx).await?;
        for what in &told {
            audit.append(&AuditEvent::new(ctx.now(), None, "promoted", json!(what)), ctx).await?;
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
            registry: FittedRegistry::open(folder.file("fitted").join("registry"))?,
            cases: CaseFolder::open(folder.file("cases"), CASES)?,
            wallet: credentials::wallet(&folder, &Principal::new(REPLICA))?,
            config,
            folder,
            switch,
            journal,
            audit,
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

    pub(super) fn audit(&self) -> &FileAudit {
        &self.audit
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

    /// What follows from a case that was closed: stages of classes, a post-mortem, and a checkpoint that vouches for all of it.
    pub(super) async fn after(&self, case: &Case, ctx: &Context) -> Result<Lessons, RunError> {
        let learning = Learning::new(self.graduation.clone(), self.journal.clone())
            .with_desk(self.desk.clone())
            .with_audit(self.audit.clone());
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
