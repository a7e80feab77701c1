use aiops_core::action::{Action, ActionStatus, IdempotencyKey, Preview};
use aiops_core::guard::{Intended, Receipt};
use aiops_core::seam::{Mitigator, MitigatorCapability};
use aiops_core::{Context, Result};
use async_trait::async_trait;

use crate::wallet::Wallet;

/// A [`Mitigator`] that runs an action only under its credential, which is checked once more and forgotten when the action ended, however it
/// ended.
#[derive(Debug, Clone)]
pub struct CredentialedMitigator<M> {
    mitigator: M,
    wallet: Wallet,
}

impl<M: Mitigator> CredentialedMitigator<M> {
    /// `mitigator`, behind the credentials of `wallet`.
    pub fn new(mitigator: M, wallet: Wallet) -> Self {
        Self { mitigator, wallet }
    }
}

/// Forgets the credential also when the action's future is dropped.
struct Forget<'a>(&'a Wallet, IdempotencyKey);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.forget(&self.1);
    }
}

#[async_trait]
impl<M: Mitigator> Mitigator for CredentialedMitigator<M> {
    fn capability(&self) -> MitigatorCapability {
        self.mitigator.capability()
    }

    async fn preview(&self, action: &Action, ctx: &Context) -> Result<Preview> {
        self.mitigator.preview(action, ctx).await
    }

    /// # Errors
    /// [`ErrorKind::Unauthorized`](aiops_core::ErrorKind::Unauthorized) before any effect, and the mitigator's own.
    async fn execute(&self, action: Intended<Action>, ctx: &Context) -> Result<Receipt> {
        let forget = Forget(&self.wallet, action.key().clone());
        self.wallet.check(&forget.1, ctx.now())?;
        self.mitigator.execute(action, ctx).await
    }

    async fn status(&self, key: &IdempotencyKey, ctx: &Context) -> Result<ActionStatus> {
        self.mitigator.status(key, ctx).await
    }
}
