use aiops_core::seam::Mask;

use super::report::{Outcome, Report, alike, ensure};

/// What [`mask`] shows to it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MaskFixture {
    /// Texts that must not come through.
    pub secrets: Vec<String>,
    /// Texts without secrets.
    pub clean: Vec<String>,
}

impl MaskFixture {
    /// A fixture.
    pub fn new<S: Into<String>>(secrets: impl IntoIterator<Item = S>, clean: impl IntoIterator<Item = S>) -> Self {
        let text = |texts: &mut dyn Iterator<Item = S>| texts.map(Into::into).collect();
        Self { secrets: text(&mut secrets.into_iter()), clean: text(&mut clean.into_iter()) }
    }
}

/// The contract of [`Mask`]: 5 clauses.
pub async fn mask(mask: &dyn Mask, fx: &MaskFixture) -> Report {
    let mut report = Report::of("Mask");
    report.clause("hides", hides(mask, fx)).await;
    report.clause("keeps_the_rest", keeps_the_rest(mask, fx)).await;
    report.clause("equal_tokens", equal_tokens(mask, fx)).await;
    report.clause("idempotent", idempotent(mask, fx)).await;
    report.clause("clean", clean(mask, fx)).await;
    report
}

fn around(secret: &str) -> String {
    format!("user {secret} logged in")
}

async fn hides(mask: &dyn Mask, fx: &MaskFixture) -> Outcome {
    for secret in &fx.secrets {
        for text in [secret.clone(), around(secret), format!("{secret} {secret}"), format!("ü{secret}\n")] {
            let masked = mask.mask(&text);
            ensure!(!masked.contains(secret.as_str()), "{secret:?} shows in {masked:?}");
        }
    }
    Ok(())
}

async fn keeps_the_rest(mask: &dyn Mask, fx: &MaskFixture) -> Outcome {
    for secret in &fx.secrets {
        let text = around(secret);
        let masked = mask.mask(&text);
        let kept = masked.starts_with("user ") && masked.ends_with(" logged in");
        ensure!(kept, "more than the secret is gone: {masked:?}");
    }
    Ok(())
}

/// Two lines about one person can still be told to be so.
async fn equal_tokens(mask: &dyn Mask, fx: &MaskFixture) -> Outcome {
    for secret in &fx.secrets {
        let text = around(secret);
        alike(&mask.mask(&text), &mask.mask(&text))?;
    }
    Ok(())
}

async fn idempotent(mask: &dyn Mask, fx: &MaskFixture) -> Outcome {
    for secret in &fx.secrets {
        let once = mask.mask(&around(secret)).into_owned();
        let twice = mask.mask(&once);
        ensure!(twice == once, "{once:?} became {twice:?}");
    }
    Ok(())
}

async fn clean(mask: &dyn Mask, fx: &MaskFixture) -> Outcome {
    for text in &fx.clean {
        let masked = mask.mask(text);
        ensure!(masked == *text, "{text:?} became {masked:?}");
    }
    Ok(())
}
